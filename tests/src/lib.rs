//! What the tests of whole nodes share.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod world;
