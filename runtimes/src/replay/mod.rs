//! Traces: what a node was told and what it said, written by any driver ([`Builder::record`](crate::Builder::record)), and
//! replayed on a fresh core, which must say the same, octet for octet.

mod message;
mod pcap;
mod play;
mod read;
mod show;
mod shrink;
mod tape;

pub use bep44_trace as format;
pub use bep44_trace::{Damage, Difference, Fault, Outputs};
pub use pcap::{PacketWriter, PcapWriteError, write_pcap};
pub use play::{Divergence, Played, Player, Report, Until, What, assert_identical, replay};
pub use read::{Ending, Input, Inputs, TraceError};
pub use show::Shown;
pub use shrink::{Run, Shrinker, Shrunk};
pub use tape::{RecordError, Recording, RecordingMonitor};
pub(crate) use tape::{Tape, keep};
