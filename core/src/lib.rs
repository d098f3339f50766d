//! A BitTorrent DHT node with storage (BEP 44) that does nothing by itself.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod addr;
pub mod id;
mod links;
mod list;
mod rng;
pub mod time;
pub mod wire;
