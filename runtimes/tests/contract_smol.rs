//! The contract that all drivers keep, kept by the one for smol.
#![cfg(feature = "smol")]

use bep44::smol::Dht;
use bep44::{BuildError, Builder};

macro_rules! wait {
    ($call:expr) => {
        smol::block_on($call)
    };
}

macro_rules! each {
    ($stream:expr) => {
        futures_lite::stream::block_on($stream)
    };
}

mod contract;

fn build(builder: Builder<Dht>) -> Result<Dht, BuildError> {
    builder.build()
}
