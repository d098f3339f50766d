//! What can fail here. (That a node refuses or stays silent is no failure of a call: it is in its outcome.)

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::item::ItemError;
use bep44_core::{KeepError, QueryError};

/// Why a call came back without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query was not started.
    #[error(transparent)]
    Query(QueryError),
    /// What should be stored or asked for is not an item within the limits. Nothing was sent.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The item is not kept.
    #[error(transparent)]
    Keep(KeepError),
    /// The query did not end within the time it was given.
    #[error("no outcome within {0:?}: give it more time, or look at the network")]
    TimedOut(Duration),
    /// A node that was asked for a sign of life gave none.
    #[error("no answer from {0}")]
    NoAnswer(SocketAddr),
    /// Other writers were faster each time: after so many attempts, `update` gave up.
    #[error("other writers were faster {attempts} times; sequence number {newest:?} is stored: try again")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
        /// The highest sequence number that was seen.
        newest: Option<i64>,
    },
    /// The highest sequence number there is, 2^63 - 1, is stored: the item can never change again.
    #[error("sequence number {max} is stored, the highest there is: nothing can replace it", max = i64::MAX)]
    NoHigherSeq,
    /// The node was shut down, or its driver has ended.
    #[error("the node has been shut down")]
    Closed,
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Item(error) => Self::Item(error),
            error => Self::Query(error),
        }
    }
}

impl From<KeepError> for Error {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Item(error) => Self::Item(error),
            error => Self::Keep(error),
        }
    }
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address could not be bound.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Two addresses to listen on are of one family.
    #[error("cannot listen on both {first} and {second}: a node has one address for each of IPv4 and IPv6")]
    OneFamily {
        /// The address given first.
        first: SocketAddr,
        /// The other.
        second: SocketAddr,
    },
    /// A bootstrap address cannot be used, or there are too many.
    #[error("bootstrap address {addr}: {source}")]
    Bootstrap {
        /// The address.
        addr: SocketAddr,
        /// What the core says of it.
        source: QueryError,
    },
    /// The data directory could not be opened.
    #[cfg(feature = "redb")]
    #[error(transparent)]
    Data(#[from] crate::persist::DataError),
    /// The system gave no randomness for the seed.
    #[error("no randomness for the seed: {0}")]
    Seed(getrandom::Error),
    /// The driver needs a runtime, and was built outside of one.
    #[error("no runtime here: build the node within one (for tokio: in an async function, or after `Handle::enter`)")]
    NoRuntime,
    /// The driver could not be set up.
    #[error("cannot start the driver: {0}")]
    Driver(#[source] io::Error),
}
