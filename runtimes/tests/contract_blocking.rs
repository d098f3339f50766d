//! The contract that all drivers keep, kept by the one for callers that wait.
#![cfg(feature = "blocking")]

use bep44::blocking::Dht;
use bep44::{BuildError, Builder};

macro_rules! wait {
    ($call:expr) => {
        $call
    };
}

macro_rules! each {
    ($stream:expr) => {
        std::convert::identity($stream)
    };
}

mod contract;

fn build(builder: Builder<Dht>) -> Result<Dht, BuildError> {
    builder.build()
}
