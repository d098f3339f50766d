//! What a driver tells.

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::event::{DropReason, Event, PutResult, Stored};
use bep44_core::id::{NodeId, Target};
use bep44_core::{Instant, LastAnnouncement, Outcome, Standing};

use crate::error::Error;
use crate::item::AnyItem;

/// How a query goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A node has answered (only if steps were asked for).
    Answered(Answered),
    /// An item was found; of a mutable one, a newer version than told before.
    Found(AnyItem),
    /// The key's holder has signed two values with this sequence number.
    Equivocation(i64),
    /// Peers that were not told before.
    Peers(Vec<SocketAddr>),
    /// What each node has made of a put or an announcement; once, when the query is over.
    Put(Vec<PutOn>),
    /// The query has ended; nothing follows.
    Ended(Outcome),
    /// The query was not started, or took too long; nothing follows.
    Failed(Error),
}

/// A node that has answered on a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Its id.
    pub node: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// How many answers led to it.
    pub hop: u8,
    /// From question to answer.
    pub round_trip: Duration,
}

/// What one node has made of a put or an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOn {
    /// Its id.
    pub node: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// Whether it accepted, refused (with which code), was silent, or was not sent it.
    pub result: PutResult,
}

/// An entry of the routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The node's id.
    pub node: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// What is thought of it.
    pub standing: Standing,
}

/// An item that the node keeps alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem {
    /// Where it is stored.
    pub target: Target,
    /// The item, in the newest version that is known.
    pub item: AnyItem,
    /// How long until it is announced next.
    pub until_next: Duration,
    /// How the last announcement went.
    pub last: LastAnnouncement,
}

/// An item that the node stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredItem {
    /// Where it is stored.
    pub target: Target,
    /// The item.
    pub item: AnyItem,
    /// How long it stays unless somebody puts it again; absent if the node keeps it alive.
    pub remaining: Option<Duration>,
}

/// Something that happened to an item that the node stores.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// It was not stored before.
    ItemStored(StoredItem),
    /// It took the place of an older version.
    ItemReplaced(StoredItem),
    /// It was put again, and stays longer. Or the node keeps it alive from now on, or no longer.
    ItemRefreshed(StoredItem),
    /// Somebody has written a newer version of an item that the node keeps alive: this one is kept from now on.
    Adopted(StoredItem),
    /// An item that the node keeps alive was announced.
    Announced {
        /// Where it is stored.
        target: Target,
        /// The sequence number of a mutable item.
        seq: Option<i64>,
        /// Whether storing was spared, because enough nodes have it.
        skipped: bool,
        /// Who had it, who accepted it.
        outcome: Box<Outcome>,
        /// How long until it is announced next.
        until_next: Duration,
    },
    /// It is gone.
    ItemDropped {
        /// Where it was stored.
        target: Target,
        /// Whether it was a mutable item.
        mutable: bool,
        /// Why.
        reason: DropReason,
    },
    /// So many events were lost because they were not collected in time.
    Lagged(u64),
    /// What happens cannot be written down any more (a full disk, for instance); told once, until it works again. The
    /// node goes on, and so do the attempts.
    SavingFailed(String),
    /// The trace cannot be written any more (a full disk, for instance), and ends here. The node goes on.
    RecordingFailed(String),
}

/// The event with octets of its own, if it is about stored or kept items.
pub(super) fn owned(event: &Event<'_>, now: Instant) -> Option<NodeEvent> {
    let copy = |stored: &Stored<'_>| StoredItem {
        target: stored.target,
        item: stored.item.into(),
        remaining: (!stored.kept).then(|| stored.expires.since(now)),
    };
    Some(match event {
        Event::ItemStored(stored) => NodeEvent::ItemStored(copy(stored)),
        Event::ItemReplaced(stored) => NodeEvent::ItemReplaced(copy(stored)),
        Event::ItemRefreshed(stored) => NodeEvent::ItemRefreshed(copy(stored)),
        Event::Adopted(stored) => NodeEvent::Adopted(copy(stored)),
        Event::Announced { target, seq, skipped, outcome, next } => NodeEvent::Announced {
            target: *target,
            seq: *seq,
            skipped: *skipped,
            outcome: Box::new(outcome.clone()),
            until_next: next.since(now),
        },
        Event::ItemDropped { target, mutable, reason } => {
            NodeEvent::ItemDropped { target: *target, mutable: *mutable, reason: *reason }
        }
        _ => return None,
    })
}
