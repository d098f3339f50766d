//! What the tests of whole nodes share: datagrams made and read without the core, nodes of the network that follow a
//! script, whole networks in virtual time, and the bodies of the fuzz targets.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod datagram;
pub mod fuzz;
pub mod neighbours;
pub mod script;
pub mod world;
