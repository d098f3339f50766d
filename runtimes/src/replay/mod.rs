//! Traces: what a node was told and what it said, written by any driver ([`Builder::record`](crate::Builder::record)), and
//! replayed on a fresh core, which must say the same, octet for octet.
//!
//! **A trace is a secret** as long as its node runs, and its seed must not be used again: see [`format`](mod@format), which
//! is also what runs where there is no std.
//!
//! Record a node, and replay what it did:
//!
#![cfg_attr(feature = "blocking", doc = "```")]
#![cfg_attr(not(feature = "blocking"), doc = "```ignore")]
//! use bep44::blocking::Dht;
//! use bep44::replay::{Recording, replay};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("node.trace");
//! let recording = Recording::create(&path)?;
//! let dht = Dht::builder().bind("127.0.0.1:0".parse()?).record(recording).build()?;
//! dht.shutdown();
//!
//! let report = replay(&path)?;
//! assert!(report.is_identical(), "{report}");
//! # Ok(())
//! # }
//! ```
//!
//! In the tests of one's own program, a trace from the field is a test case of one line: it fails, with the first
//! difference side by side, as soon as a version of the core does something else.
//!
//! ```no_run
//! #[test]
//! fn what_happened_on_tuesday() {
//!     bep44::replay::assert_identical("tests/traces/tuesday.trace");
//! }
//! ```
//!
//! When a difference is on purpose, record the trace anew. [`Player`] goes through a trace input by input, [`Shown`] puts
//! inputs and outputs into words, [`write_pcap`] writes the packets for Wireshark, and [`Shrinker`] cuts a trace down to what
//! it takes to show something.
//!
//! The file is written whenever the node pauses, so that `kill -9` takes a quarter of a second of it at most; a trace that
//! was cut off or damaged is replayed up to there. A disk that is full ends the recording, which is told by
//! [`NodeEvent::RecordingFailed`](crate::turn::NodeEvent::RecordingFailed) and the [`RecordingMonitor`], and never the node.

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
