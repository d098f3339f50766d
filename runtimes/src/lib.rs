//! A BitTorrent DHT node with storage (BEP 44), with a socket, a clock and a place to run.
//!
//! The protocol is in [`core`], which does nothing by itself. This crate adds what differs from host to host, one
//! driver a feature, all with the same words:
//!
//! | feature | driver |
//! | --- | --- |
//! | `blocking` (default) | [`blocking::Dht`]: one thread, calls that wait |
//!
//! ```no_run
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
mod socket;
pub mod turn;

#[cfg(feature = "blocking")]
pub mod blocking;

pub use builder::Builder;
pub use clock::Clock;
pub use error::{BuildError, Error};
pub use hex::{ParseHexError, from_hex, to_hex};
pub use item::{Immutable, Mutable, bencoded_bytes};
