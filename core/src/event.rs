//! What a node has to tell and to send.

use core::cmp::Ordering;
use core::net::SocketAddr;

use crate::addr::{CompactAddr, Family};
use crate::id::{NodeId, Target};
use crate::item::Item;
use crate::time::{Duration, Instant};

pub use crate::store::{DropReason, Kept, LastAnnouncement, Stored};
pub use crate::transactions::QueryHandle;

/// A packet to send: its octets are in the buffer that the caller gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a packet that is not sent is lost"]
pub struct Transmit<'b> {
    /// Where to.
    pub to: SocketAddr,
    /// The datagram.
    pub datagram: &'b [u8],
}

/// Something that has happened. Lends from the node; copy out what is to be kept.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An item is stored here that was not before.
    ItemStored(Stored<'a>),
    /// A newer version of a mutable item is stored here.
    ItemReplaced(Stored<'a>),
    /// An item that is stored here was announced again: its life starts anew. Or the node keeps it from now on, or no
    /// longer.
    ItemRefreshed(Stored<'a>),
    /// An item is no longer stored here.
    ItemDropped {
        /// Where it was stored.
        target: Target,
        /// Whether it was a mutable one.
        mutable: bool,
        /// Why.
        reason: DropReason,
    },
    /// Somebody has written a newer version of an item that the node keeps ([`Node::keep`](crate::Node::keep)): this one,
    /// whose signature is verified, is kept and announced from now on. Told even without
    /// [`Config::report_items`](crate::Config::report_items).
    Adopted(Stored<'a>),
    /// An item that the node keeps was announced (BEP 44: once an hour).
    Announced {
        /// Where it is stored.
        target: Target,
        /// The sequence number of a mutable one.
        seq: Option<i64>,
        /// Whether storing was spared: more than 8 nodes have this version, and among them the 8 closest.
        skipped: bool,
        /// Who was asked, who had it, who accepted it.
        outcome: Outcome,
        /// When it is announced next.
        next: Instant,
    },
    /// A query of ours got an answer: one step of its walk.
    Answered {
        /// The query.
        query: QueryHandle,
        /// Who answered.
        node: NodeId,
        /// Where it is.
        addr: SocketAddr,
        /// How many answers led to it: 0 for those known at the start.
        hop: u8,
        /// The time between question and answer.
        round_trip: Duration,
    },
    /// A query of ours has found a valid item: the only version of an immutable one, a newer version than reported
    /// before of a mutable one (or, after an [`Equivocation`](Self::Equivocation), its other value). Whether a still newer one exists is known when the query has ended.
    Found {
        /// The query.
        query: QueryHandle,
        /// The item; a mutable one's signature is verified.
        item: Item<'a>,
    },
    /// The key's holder has signed two values with one sequence number. The one that more nodes hold is taken; of equally
    /// many, the greater in octet order.
    Equivocation {
        /// The query.
        query: QueryHandle,
        /// The number.
        seq: i64,
    },
    /// A query of ours has found peers.
    Peers {
        /// The query.
        query: QueryHandle,
        /// Those not reported before.
        peers: Peers<'a>,
    },
    /// What has become of a put or an announcement on one node. Told when the query is over, before its end.
    Put {
        /// The query.
        query: QueryHandle,
        /// The node.
        node: NodeId,
        /// Where it is.
        addr: SocketAddr,
        /// What became of it there.
        result: PutResult,
    },
    /// A query of ours has ended. Its handle names nothing any more.
    Ended {
        /// The query.
        query: QueryHandle,
        /// What became of it.
        outcome: Outcome,
    },
}

/// What one node has made of a put or an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutResult {
    /// It says that it has stored it.
    Accepted,
    /// It refused with this code (BEP 5 and BEP 44: 201 to 207, 301, 302; or whatever it sent, as far as 16 bits hold it).
    Refused(i64),
    /// It has not answered, though it was sent it several times.
    Silent,
    /// It was not sent the item: it holds nothing, and the condition of the put has failed elsewhere.
    Skipped,
}

/// Addresses of peers, each once.
#[derive(Debug, Clone)]
pub struct Peers<'a> {
    pub(crate) family: Family,
    pub(crate) compact: &'a [u8],
}

impl Iterator for Peers<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        let (first, rest) = self.compact.split_at_checked(self.family.compact_len())?;
        self.compact = rest;
        CompactAddr::from_compact(first).map(SocketAddr::from)
    }
}

/// Different error codes that an outcome counts apart; the BEPs have nine.
pub const MAX_REJECTIONS: usize = 10;

/// Storing nodes that refused with the same code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// The code (BEP 5 and BEP 44: 201 to 207, 301, 302), or whatever the node sent, as far as 16 bits hold it.
    pub code: i64,
    /// How many nodes refused with it.
    pub count: u16,
}

/// What became of a query: who was asked, who answered, who stored, and who did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Nodes asked on the walk.
    pub asked: u16,
    /// Nodes that answered.
    pub answered: u16,
    /// Nodes that did not, or answered with an error.
    pub failed: u16,
    /// Answers with a value that was not the item: wrong hash, wrong signature, or none of the limits kept.
    pub invalid: u16,
    /// Nodes that returned the item, in its newest version.
    pub copies: u16,
    /// For a search, the highest sequence number of a valid version that was seen. For a put, the highest one of a
    /// version that was there before it and stood in its way: above its condition, or not below its own number. (Above
    /// its own number, it means that somebody else has written a newer version.)
    pub newest: Option<i64>,
    /// Other nodes that accepted a put or an announcement. (That they have stored it, only reading it back proves.) A full
    /// node that is itself among the closest stores the item as well.
    pub accepted: u16,
    /// Nodes that refused, this one included, by code.
    pub rejected: heapless::Vec<Rejection, MAX_REJECTIONS>,
    /// Nodes that were sent a put or an announcement and did not answer.
    pub silent: u16,
    /// The greatest number of answers that led to a node that answered.
    pub hops: u8,
    /// From the command to the end.
    pub elapsed: Duration,
}

impl Outcome {
    /// Nothing has happened.
    pub(crate) const EMPTY: Self = Self {
        asked: 0,
        answered: 0,
        failed: 0,
        invalid: 0,
        copies: 0,
        newest: None,
        accepted: 0,
        rejected: heapless::Vec::new(),
        silent: 0,
        hops: 0,
        elapsed: Duration::ZERO,
    };

    pub(crate) fn reject(&mut self, code: i64) {
        self.count_rejections(Rejection { code, count: 1 });
    }

    fn count_rejections(&mut self, rejection: Rejection) {
        if let Some(known) = self.rejected.iter_mut().find(|known| known.code == rejection.code) {
            known.count = known.count.saturating_add(rejection.count);
        } else if let Err(rejection) = self.rejected.push(rejection)
            && let Some(last) = self.rejected.last_mut()
        {
            // Codes beyond the limit are counted with the last one: nobody sends ten different ones honestly.
            last.count = last.count.saturating_add(rejection.count);
        }
    }

    /// Adds what became of the same query in the other family.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Copies are those of the newest version.
        self.copies = match self.newest.cmp(&other.newest) {
            Ordering::Less => other.copies,
            Ordering::Equal => self.copies.saturating_add(other.copies),
            Ordering::Greater => self.copies,
        };
        self.newest = self.newest.max(other.newest);
        for (sum, part) in [
            (&mut self.asked, other.asked),
            (&mut self.answered, other.answered),
            (&mut self.failed, other.failed),
            (&mut self.invalid, other.invalid),
            (&mut self.accepted, other.accepted),
            (&mut self.silent, other.silent),
        ] {
            *sum = sum.saturating_add(part);
        }
        for rejection in &other.rejected {
            self.count_rejections(*rejection);
        }
        self.hops = self.hops.max(other.hops);
        self.elapsed = self.elapsed.max(other.elapsed);
    }

    /// Nodes that refused, whatever the code.
    #[must_use]
    pub fn refused(&self) -> u16 {
        self.rejected.iter().map(|rejection| rejection.count).sum()
    }
}
