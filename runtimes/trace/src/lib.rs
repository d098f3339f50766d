//! Traces of a BEP 44 node: everything that it is told, with the time, and everything that it says. As the core gives
//! the same output for the same input on every machine, a trace that was recorded in the field can be replayed at a desk,
//! on another architecture, or on a microcontroller, and must come out the same, octet for octet.
//!
//! - [`Recorded`] is a [`Node`](bep44_core::Node) with the same calls that writes each of them to a [`Write`] before it is
//!   made, and what came of it afterwards. It allocates nothing and runs wherever the core does.
//! - [`Records`] reads a trace from a slice, [`Stream`] from a [`Read`] through a small buffer. Both give all records up to
//!   the first damage, and then say where and what it is.
//! - [`Replayer`] applies the records to a fresh node and compares.
//!
//! **A trace is a secret** as long as its node runs, and as long as another runs with the same seed: the seed is in it, and
//! from that follow the node's write tokens and transaction ids. It also holds every address that the node spoke to. Secret
//! keys are not in it: the node never sees them.
//!
//! ```
//! use bep44_core::{Config, Instant, MAX_DATAGRAM, TinyMemory};
//! use bep44_trace::{About, Outputs, Records, Recorded, Replayer};
//!
//! let mut memory = TinyMemory::new();
//! let mut trace = Buffer { octets: [0; 1_024], len: 0 };
//! let about = About { outputs: Outputs::Full, ..About::default() };
//! let mut node = Recorded::start(&mut memory, &Config::new([7; 32]), Instant::ZERO, &about, &mut trace);
//! node.add_bootstrap("192.0.2.1:6881".parse().unwrap()).unwrap();
//! let mut buf = [0; MAX_DATAGRAM];
//! while let Some(packet) = node.poll_transmit(Instant::from_millis(5), &mut buf) {
//!     assert_eq!(packet.to, "192.0.2.1:6881".parse().unwrap());
//! }
//! node.finish();
//!
//! let mut memory = TinyMemory::new();
//! let mut replayer = Replayer::new(&mut memory);
//! for record in Records::new(&trace.octets[..trace.len]).unwrap() {
//!     replayer.step(&record.unwrap().record, &mut buf, |_| {}).unwrap();
//! }
//! assert!(replayer.is_complete());
//! # struct Buffer { octets: [u8; 1_024], len: usize }
//! # impl bep44_trace::Write for &mut Buffer {
//! #     type Error = ();
//! #     fn write(&mut self, octets: &[u8]) -> Result<(), ()> {
//! #         let end = self.len + octets.len();
//! #         self.octets.get_mut(self.len..end).ok_or(())?.copy_from_slice(octets);
//! #         self.len = end;
//! #         Ok(())
//! #     }
//! # }
//! ```
//!
//! The format stands in `FORMAT.md` beside this crate.
// Nothing of std, so that a microcontroller can record and replay.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// What is in a file that strangers wrote must not panic: an oversight must not compile.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod call;
mod digest;
mod frame;
mod output;
mod read;
mod record;
mod recorded;
mod replay;

pub use call::{Call, ItemRecord};
pub use digest::{Digest, state};
pub use frame::{Frame, MAX_RECORD, frame, header, write_header, write_record};
pub use output::{
    Addrs, Failure, ItemFailure, Loss, NotKept, OutcomeRecord, Output, RejectionRecord, StoredRecord, Told, Verdict,
};
pub use read::{Damage, Fault, Read, Records, Stream, StreamError, Traced};
pub use record::{Addr, End, OutputRecord, Outputs, Record, Start, VERSION};
pub use recorded::{About, Recorded, Write};
pub use replay::{Difference, Replayer, Step, StepError};

#[cfg(test)]
extern crate std;
