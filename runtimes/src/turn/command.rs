//! What is asked of a driver.

use std::net::SocketAddr;

use async_channel::Sender;
use bep44_core::crypto::PublicKey;
use bep44_core::id::Target;
use bep44_core::{KeepError, QueryError, Stats};

use super::told::{KeptItem, Known, NodeEvent, Progress};
use crate::item::AnyItem;

/// A query that is wanted: the core's, with octets of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A walk towards the node's own id.
    Bootstrap,
    /// A walk towards any point.
    FindNode(Target),
    /// An immutable item.
    Get(Target),
    /// The newest version of a mutable item.
    GetMutable {
        /// The key.
        key: PublicKey,
        /// The salt; empty if there is none.
        salt: Vec<u8>,
        /// Only versions above this one.
        newer_than: Option<i64>,
    },
    /// Storing an item.
    Put {
        /// The item.
        item: AnyItem,
        /// Only where this sequence number is stored, or nothing.
        cas: Option<i64>,
    },
    /// Peers of an info-hash.
    GetPeers(Target),
    /// Announcing a peer of an info-hash.
    Announce {
        /// The info-hash.
        info_hash: Target,
        /// Its port, or that of the node's socket.
        port: Option<u16>,
    },
    /// A sign of life.
    Ping(SocketAddr),
}

/// Names a query among those of one node, from before it has started. Chosen by who asks, never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the holder of a handle asks of the driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Start a query.
    Start {
        /// Its name, to cancel it.
        ticket: Ticket,
        /// What is wanted.
        want: Want,
        /// Whether each step is told as it happens. Otherwise only the result, once: it spares waking who waits.
        steps: bool,
        /// Where to tell it. Not bounded: what one query has to tell is.
        reply: Sender<Progress>,
    },
    /// Forget a query that nobody waits for any more. Harmless if it has ended.
    Cancel(Ticket),
    /// Tell what happens to stored items. A subscriber whose channel is full loses events, and is told how many.
    Subscribe(Sender<NodeEvent>),
    /// Remember a node of the network.
    AddBootstrap(SocketAddr, Sender<Result<(), QueryError>>),
    /// Keep an item alive.
    Keep(AnyItem, Sender<Result<(), KeepError>>),
    /// Stop keeping what is kept there; says whether anything was.
    Forget(Target, Sender<bool>),
    /// What the node keeps.
    Kept(Sender<Vec<KeptItem>>),
    /// The routing table.
    Contacts(Sender<Vec<Known>>),
    /// The counters.
    Stats(Sender<Stats>),
    /// End the driver.
    Shutdown,
}
