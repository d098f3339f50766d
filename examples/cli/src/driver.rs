//! What drives a node: the one place that knows of the runtimes. All else asks a [`Client`], which is the same for each,
//! and [`wait`]s for it on its own thread.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use bep44::client::Client;
use bep44::persist::DataDir;
use bep44::replay::{Recording, RecordingMonitor};
use bep44::{BuildError, Builder, Capacity, blocking, smol, tokio};
use clap::ValueEnum;
/// Waits for an answer. Every driver has threads of its own, so that none needs this one.
pub(crate) use futures_lite::future::block_on as wait;

use crate::output::{BAD, Output};

/// What there is to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    Blocking,
    Smol,
    #[cfg(feature = "async-std")]
    AsyncStd,
    Tokio,
}

/// What a node is told, whatever drives it.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// One address, or one for each family; the default if none.
    pub(crate) bind: Vec<SocketAddr>,
    pub(crate) bootstrap: Vec<SocketAddr>,
    pub(crate) read_only: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) data: Option<DataDir>,
    pub(crate) recording: Option<Recording>,
    /// The sizes of its tables, if not the default.
    pub(crate) capacity: Option<Capacity>,
    /// Its address on the Internet, if it is known.
    pub(crate) external_ip: Option<IpAddr>,
}

impl Settings {
    fn apply<D>(self, mut builder: Builder<D>) -> Builder<D> {
        let mut bind = self.bind.into_iter();
        if let Some(addr) = bind.next() {
            builder = builder.bind(addr);
        }
        // More than two cannot be of different families, and the last two are told apart when the node is built.
        for addr in bind {
            builder = builder.also_bind(addr);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(data) = self.data {
            builder = builder.data(data);
        }
        if let Some(capacity) = self.capacity {
            builder = builder.capacity(capacity);
        }
        if let Some(recording) = self.recording {
            builder = builder.record(recording);
        }
        if let Some(ip) = self.external_ip {
            builder = builder.external_ip(ip);
        }
        builder.bootstrap(self.bootstrap).read_only(self.read_only)
    }
}

/// A running node, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Dht {
    driver: Driver,
    /// How its trace goes.
    recording: Option<RecordingMonitor>,
}

#[derive(Debug)]
enum Driver {
    Blocking(blocking::Dht),
    Smol(smol::Dht),
    #[cfg(feature = "async-std")]
    AsyncStd(bep44::async_std::Dht),
    /// The others have an executor for the whole process; here each node brings its own, which ends after it.
    Tokio {
        dht: tokio::Dht,
        _runtime: ::tokio::runtime::Runtime,
    },
}

impl Dht {
    pub(crate) fn start(runtime: Runtime, settings: Settings) -> Result<Self, BuildError> {
        let recording = settings.recording.as_ref().map(Recording::monitor);
        Ok(Self { driver: Driver::start(runtime, settings)?, recording })
    }

    /// Ends the node, whoever still holds a handle, and waits until it is gone and all it held is written.
    pub(crate) fn shutdown(&self) {
        match &self.driver {
            Driver::Blocking(dht) => dht.shutdown(),
            Driver::Smol(dht) => wait(dht.shutdown()),
            #[cfg(feature = "async-std")]
            Driver::AsyncStd(dht) => wait(dht.shutdown()),
            Driver::Tokio { dht, .. } => wait(dht.shutdown()),
        }
    }
}

impl Drop for Dht {
    /// The process may end right after this, and a trace should have its end.
    fn drop(&mut self) {
        if let Some(recording) = &self.recording {
            self.shutdown();
            if let Some(failure) = recording.failure() {
                Output::new(false, 0).note(&format!("{BAD}not recorded{BAD:#} to the end: {failure}"));
            }
        }
    }
}

impl Driver {
    fn start(runtime: Runtime, settings: Settings) -> Result<Self, BuildError> {
        Ok(match runtime {
            Runtime::Blocking => Self::Blocking(settings.apply(blocking::Dht::builder()).build()?),
            Runtime::Smol => Self::Smol(settings.apply(smol::Dht::builder()).build()?),
            #[cfg(feature = "async-std")]
            Runtime::AsyncStd => Self::AsyncStd(settings.apply(bep44::async_std::Dht::builder()).build()?),
            Runtime::Tokio => {
                // A node is one task.
                let mut runtime = ::tokio::runtime::Builder::new_multi_thread();
                let runtime = runtime.worker_threads(1).enable_all().build().map_err(BuildError::Driver)?;
                let within = runtime.enter();
                let dht = settings.apply(tokio::Dht::builder()).build()?;
                drop(within);
                Self::Tokio { dht, _runtime: runtime }
            }
        })
    }
}

impl Deref for Dht {
    type Target = Client;

    fn deref(&self) -> &Client {
        match &self.driver {
            Driver::Blocking(dht) => dht.client(),
            Driver::Smol(dht) => dht.client(),
            #[cfg(feature = "async-std")]
            Driver::AsyncStd(dht) => dht.client(),
            Driver::Tokio { dht, .. } => dht.client(),
        }
    }
}
