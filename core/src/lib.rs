//! A BitTorrent DHT node with storage (BEP 44) that does nothing by itself.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod addr;
pub mod crypto;
mod fair;
pub mod id;
pub mod item;
mod limit;
mod links;
mod list;
mod lookup;
mod rng;
mod table;
mod peers;
mod rng;
mod store;
pub mod time;
mod token;
mod transactions;
pub mod wire;
