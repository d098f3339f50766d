//! The contract that all drivers keep, kept by the one for async-std.
#![cfg(feature = "async-std")]

use bep44::async_std::Dht;
use bep44::{BuildError, Builder};

macro_rules! wait {
    ($call:expr) => {
        async_std::task::block_on($call)
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
