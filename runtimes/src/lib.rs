//! A BitTorrent DHT node with storage (BEP 44), with a socket, a clock and a place to run.
//!
//! The protocol is in [`core`], which does nothing by itself. This crate adds what differs from host to host, one
//! driver a feature, all with the same words:
//!
//! | feature | driver |
//! | --- | --- |
//! | `blocking` (default) | [`blocking::Dht`]: one thread, calls that wait |
//! | `smol` | `smol::Dht`: a task on smol's global executor |
//! | `async-std` | `async_std::Dht`: a task on async-std's global executor (discontinued upstream: for who is on it) |
//! | `tokio` | `tokio::Dht`: a task on the tokio runtime in which it is built |
//!
//! None of the last three is on by default. All are one driver, [`runtime`], on one of three [`runtime::Runtime`]s: a
//! socket, a timer and a place to run are all that it takes to add another.
//!
#![cfg_attr(feature = "blocking", doc = "```no_run")]
#![cfg_attr(not(feature = "blocking"), doc = "```ignore")]
//! use bep44::{Immutable, blocking::Dht};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dht = Dht::builder().bootstrap(["127.0.0.1:6881".parse()?]).read_only(true).build()?;
//! let item = Immutable::text("Hello, world")?;
//! let put = dht.put(&item)?;
//! println!("{} nodes have stored {}", put.stored(), put.target);
//! let found = dht.get(put.target)?.item;
//! assert_eq!(found, Some(item));
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `redb` a node can have a data directory, and comes back after a restart with what it held:
//! `persist`.
//!
//! With the feature `replay` every driver can record a trace of all that its node is told and says, which can be replayed,
//! compared and shown: `replay`.
//!
//! To write a driver of one's own: [`turn::Turn`] is all of it but the socket and the timer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use bep44_core as core;
pub use bep44_core::crypto::{PublicKey, SecretKey, Signature};
pub use bep44_core::event::Rejection;
pub use bep44_core::id::{NodeId, ParseIdError, Target};
pub use bep44_core::item::{ItemError, MAX_SALT, MAX_VALUE};
pub use bep44_core::{Capacity, Config, Outcome, QueryError, Stats};

mod builder;
pub mod client;
mod clock;
mod error;
mod hex;
mod item;
pub mod mutable_torrent;
#[cfg(feature = "redb")]
pub mod persist;
#[cfg(feature = "replay")]
pub mod replay;
pub mod runtime;
#[cfg(feature = "sim")]
pub mod sim;
mod socket;
pub mod turn;

#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "smol")]
pub mod smol;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use builder::Builder;
pub use clock::Clock;
pub use error::{BuildError, Error};
pub use hex::{ParseHexError, from_hex, to_hex};
pub use item::{AnyItem, Immutable, Mutable, bencoded_bytes};

/// The programs of the project's README, compiled.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../../README.md")]
struct Readme;
