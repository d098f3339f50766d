//! What the tests of whole nodes share: datagrams made and read without the core, and nodes of the network that follow a
//! script.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod datagram;
pub mod script;
