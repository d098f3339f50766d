//! What the tests of whole nodes share: datagrams made and read without the core, nodes of the network that follow a
//! script, and whole networks in virtual time.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod datagram;
pub mod script;
pub mod world;
