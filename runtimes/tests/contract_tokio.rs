//! The contract that all drivers keep, kept by the one for tokio.
#![cfg(feature = "tokio")]

use std::sync::LazyLock;
use std::{future, thread};

use bep44::tokio::Dht;
use bep44::{BuildError, Builder, Error, Target};
use tokio::runtime::{self, Handle, Runtime};

macro_rules! wait {
    ($call:expr) => {
        crate::HANDLE.block_on($call)
    };
}

macro_rules! each {
    ($stream:expr) => {
        futures_lite::stream::block_on($stream)
    };
}

mod contract;

/// A runtime on a thread of its own.
static HANDLE: LazyLock<Handle> = LazyLock::new(|| {
    let runtime = single();
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(future::pending::<()>()));
    handle
});

fn single() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn build(builder: Builder<Dht>) -> Result<Dht, BuildError> {
    let _inside = HANDLE.enter();
    builder.build()
}

#[test]
fn outside_of_a_runtime_nothing_is_built() {
    let builder = Dht::builder().bind("127.0.0.1:0".parse().unwrap());
    assert!(matches!(builder.build(), Err(BuildError::NoRuntime)));
}

#[test]
fn a_node_ends_with_its_runtime() {
    let runtime = single();
    let dht = runtime.block_on(async { Dht::builder().bind("127.0.0.1:0".parse().unwrap()).build() }).unwrap();
    runtime.block_on(dht.stats()).unwrap();
    drop(runtime);
    assert_eq!(futures_lite::future::block_on(dht.get(Target::ZERO)), Err(Error::Closed));
    futures_lite::future::block_on(dht.shutdown());
}
