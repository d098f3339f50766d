//! A BitTorrent DHT node with storage (BEP 44) that does nothing by itself: a `no_std` state machine without allocation.
//!
//! Datagrams, the time and commands go in; packets, events and the next deadline come out. [`Node`] says how to drive it
//! and shows the loop; [`Memory`] is what it works in. Drivers for sockets and runtimes are in the crate `bep44`.
//!
//! Features: `ipv6` (on by default) is the second DHT of BEP 32; without it there are no IPv6 contacts, and IPv6 addresses
//! count as unusable. `alloc` is for tables on the heap, `std` implies it, and `opt-size` is less code, above all for Ed25519, at a
//! somewhat lower speed. For bare metal: `default-features = false, features = ["opt-size"]`. `salty` is an Ed25519 in half
//! of that code that takes up to twenty times the instructions, for parts with 64 KiB of flash; the signatures are the same.
//!
//! The node is a full one of BEP 5 and stores items by BEP 44. Out of scope here: downloading torrents, finding bootstrap
//! addresses (the host knows DNS, the core does not), and keeping secret keys (items come signed).
// Nothing of std, so that it runs where there is none; tests are hosted.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// What strangers can reach must not panic: an oversight must not compile.
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

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod addr;
pub mod config;
pub mod crypto;
mod divide;
pub mod error;
pub mod event;
mod fair;
pub mod id;
pub mod item;
mod limit;
mod links;
pub mod list;
mod lookup;
mod memory;
mod node;
mod peers;
mod rng;
mod stats;
mod store;
mod table;
pub mod time;
mod token;
mod transactions;
pub mod wire;

pub use config::Config;
pub use crypto::{PublicKey, SecretKey, Signature};
pub use error::{KeepError, QueryError};
pub use event::{
    DropReason, Event, Kept, LastAnnouncement, Outcome, PutResult, QueryHandle, Rejection, Stored, Transmit,
};
pub use id::{NodeId, Target};
pub use item::{ImmutableItem, Item, ItemError, MutableItem};
pub use limit::Rate;
pub use lookup::Parallelism;
pub use memory::{Capacity, Memory, MicroMemory, Storage, TinyMemory};
pub use node::{MAX_BOOTSTRAP, MAX_DATAGRAM, Node, QuerySlot};
pub use peers::{Peer, PeerSlot};
pub use stats::{Refusals, Stats};
pub use store::ItemSlot;
pub use table::{Contact, K, Standing};
pub use time::Instant;
pub use transactions::Transaction;
