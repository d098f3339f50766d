//! What calls return, in a form whose octets (those of [postcard](https://postcard.jamesmunns.com)) are canonical: the
//! same output has the same octets, on every machine.

use core::net::SocketAddr;

use bep44_core::event::{Peers, Stored};
use bep44_core::time::Duration;
use bep44_core::{
    DropReason, Event, Instant, ItemError, KeepError, Node, Outcome, PutResult, QueryError, QueryHandle, Transmit,
};
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use crate::call::ItemRecord;
use crate::frame;
use crate::record::Addr;
use crate::recorded::Write;

/// What a call returned. The order of the variants, here and below, is part of the format: new ones come last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "a box would need an allocator; outputs are looked at one at a time")]
pub enum Output<'a> {
    /// The id of a node that was made.
    Id([u8; 20]),
    /// A packet to send.
    Packet {
        /// Where to.
        to: Addr,
        /// Its octets.
        #[serde(borrow, with = "serde_bytes")]
        datagram: &'a [u8],
    },
    /// The deadline, in microseconds since the caller's epoch.
    Deadline(u64),
    /// The handle of a query that has started ([`QueryHandle::to_bits`]).
    Query(u64),
    /// A command was not taken.
    Refused(Failure),
    /// An item could not be restored.
    NotRestored(ItemFailure),
    /// Whether something was restored.
    Taken(bool),
    /// Something has happened.
    Event(#[serde(borrow)] Told<'a>),
    /// An item is not kept.
    NotKept(NotKept),
}

/// An [`Event`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told<'a> {
    /// [`Event::ItemStored`].
    ItemStored(#[serde(borrow)] StoredRecord<'a>),
    /// [`Event::ItemReplaced`].
    ItemReplaced(#[serde(borrow)] StoredRecord<'a>),
    /// [`Event::ItemRefreshed`].
    ItemRefreshed(#[serde(borrow)] StoredRecord<'a>),
    /// [`Event::ItemDropped`].
    ItemDropped {
        /// Where it was stored.
        target: [u8; 20],
        /// Whether it was a mutable one.
        mutable: bool,
        /// Why.
        reason: Loss,
    },
    /// [`Event::Answered`].
    Answered {
        /// The query.
        query: u64,
        /// Who answered.
        node: [u8; 20],
        /// Where it is.
        addr: Addr,
        /// How many answers led to it.
        hop: u8,
        /// The time between question and answer.
        round_trip: Duration,
    },
    /// [`Event::Found`].
    Found {
        /// The query.
        query: u64,
        /// The item.
        #[serde(borrow)]
        item: ItemRecord<'a>,
    },
    /// [`Event::Equivocation`].
    Equivocation {
        /// The query.
        query: u64,
        /// The number.
        seq: i64,
    },
    /// [`Event::Peers`].
    Peers {
        /// The query.
        query: u64,
        /// Those not reported before.
        #[serde(borrow)]
        peers: Addrs<'a>,
    },
    /// [`Event::Put`].
    Put {
        /// The query.
        query: u64,
        /// The node.
        node: [u8; 20],
        /// Where it is.
        addr: Addr,
        /// What became of it there.
        result: Verdict,
    },
    /// [`Event::Ended`].
    Ended {
        /// The query.
        query: u64,
        /// What became of it.
        outcome: OutcomeRecord,
    },
    /// An event that this version of the format does not know.
    Other,
    /// [`Event::Adopted`].
    Adopted(#[serde(borrow)] StoredRecord<'a>),
    /// [`Event::Announced`].
    Announced {
        /// Where it is stored.
        target: [u8; 20],
        /// The sequence number of a mutable one.
        seq: Option<i64>,
        /// Whether storing was spared.
        skipped: bool,
        /// What became of it.
        outcome: OutcomeRecord,
        /// When it is announced next, in microseconds since the caller's epoch.
        next: u64,
    },
}

/// A [`Stored`] item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord<'a> {
    /// Where it is stored.
    pub target: [u8; 20],
    /// The item.
    #[serde(borrow)]
    pub item: ItemRecord<'a>,
    /// When it will be dropped, in microseconds since the caller's epoch; the greatest number if the node keeps it.
    pub expires: u64,
    /// Whether the node keeps it.
    pub kept: bool,
}

/// A [`DropReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// [`DropReason::Expired`].
    Expired,
    /// [`DropReason::Evicted`].
    Evicted,
    /// One that this version of the format does not know.
    Other,
}

/// A [`PutResult`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// [`PutResult::Accepted`].
    Accepted,
    /// [`PutResult::Refused`].
    Refused(i64),
    /// [`PutResult::Silent`].
    Silent,
    /// [`PutResult::Skipped`].
    Skipped,
}

/// A [`Rejection`](bep44_core::Rejection).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionRecord {
    /// The code.
    pub code: i64,
    /// How many nodes refused with it.
    pub count: u16,
}

/// An [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the outcome")]
pub struct OutcomeRecord {
    pub asked: u16,
    pub answered: u16,
    pub failed: u16,
    pub invalid: u16,
    pub copies: u16,
    pub newest: Option<i64>,
    pub accepted: u16,
    pub rejected: heapless::Vec<RejectionRecord, { bep44_core::event::MAX_REJECTIONS }>,
    pub silent: u16,
    pub hops: u8,
    pub elapsed: Duration,
}

/// A [`QueryError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// [`QueryError::Busy`].
    Busy,
    /// [`QueryError::NobodyToAsk`].
    NobodyToAsk,
    /// [`QueryError::UnusableAddress`].
    UnusableAddress,
    /// [`QueryError::Item`].
    Item(ItemFailure),
    /// One that this version of the format does not know.
    Other,
}

/// A [`KeepError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotKept {
    /// [`KeepError::NoRoom`].
    NoRoom,
    /// [`KeepError::Item`].
    Item(ItemFailure),
    /// One that this version of the format does not know.
    Other,
}

/// An [`ItemError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemFailure {
    /// [`ItemError::ValueTooBig`].
    ValueTooBig(u64),
    /// [`ItemError::NotCanonical`].
    NotCanonical,
    /// [`ItemError::SaltTooBig`].
    SaltTooBig(u64),
    /// [`ItemError::NegativeSeq`].
    NegativeSeq(i64),
    /// [`ItemError::InvalidSignature`].
    InvalidSignature,
    /// [`ItemError::CasMismatch`].
    CasMismatch(i64),
    /// [`ItemError::SequenceTooLow`].
    SequenceTooLow(i64),
    /// One that this version of the format does not know.
    Other,
}

impl<'a> Output<'a> {
    /// Reads the octets of one output; nothing may follow them.
    #[must_use]
    pub fn decode(octets: &'a [u8]) -> Option<Self> {
        match postcard::take_from_bytes(octets) {
            Ok((output, [])) => Some(output),
            _ => None,
        }
    }

    /// Writes the octets of the output, which are those of an output in full in a trace.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: Write>(&self, to: &mut W) -> Result<(), W::Error> {
        frame::write_bare(to, self)
    }

    pub(crate) const fn of_node(node: &Node<'_>) -> Self {
        Self::Id(*node.id().as_bytes())
    }

    pub(crate) fn of_packet(packet: &Transmit<'a>) -> Self {
        Self::Packet { to: packet.to.into(), datagram: packet.datagram }
    }

    pub(crate) fn of_deadline(deadline: Option<Instant>) -> Option<Self> {
        deadline.map(|at| Self::Deadline(at.as_micros()))
    }

    pub(crate) fn of_done(result: Result<(), QueryError>) -> Option<Self> {
        result.err().map(|error| Self::Refused(error.into()))
    }

    pub(crate) fn of_query(result: Result<QueryHandle, QueryError>) -> Self {
        result.map_or_else(|error| Self::Refused(error.into()), |query| Self::Query(query.to_bits()))
    }

    pub(crate) const fn of_taken(taken: bool) -> Self {
        Self::Taken(taken)
    }

    pub(crate) fn of_restored(result: Result<bool, ItemError>) -> Self {
        result.map_or_else(|error| Self::NotRestored(error.into()), Self::Taken)
    }

    pub(crate) fn of_kept(result: Result<(), KeepError>) -> Option<Self> {
        result.err().map(|error| {
            Self::NotKept(match error {
                KeepError::NoRoom => NotKept::NoRoom,
                KeepError::Item(error) => NotKept::Item(error.into()),
                _ => NotKept::Other,
            })
        })
    }

    pub(crate) fn of_event(event: &Event<'a>) -> Self {
        Self::Event(match event {
            Event::ItemStored(stored) => Told::ItemStored(stored.into()),
            Event::ItemReplaced(stored) => Told::ItemReplaced(stored.into()),
            Event::ItemRefreshed(stored) => Told::ItemRefreshed(stored.into()),
            Event::ItemDropped { target, mutable, reason } => Told::ItemDropped {
                target: *target.as_bytes(),
                mutable: *mutable,
                reason: match reason {
                    DropReason::Expired => Loss::Expired,
                    DropReason::Evicted => Loss::Evicted,
                    _ => Loss::Other,
                },
            },
            Event::Answered { query, node, addr, hop, round_trip } => Told::Answered {
                query: query.to_bits(),
                node: *node.as_bytes(),
                addr: (*addr).into(),
                hop: *hop,
                round_trip: *round_trip,
            },
            Event::Found { query, item } => Told::Found { query: query.to_bits(), item: item.into() },
            Event::Equivocation { query, seq } => Told::Equivocation { query: query.to_bits(), seq: *seq },
            Event::Peers { query, peers } => {
                Told::Peers { query: query.to_bits(), peers: Addrs(List::Lent(peers.clone())) }
            }
            Event::Put { query, node, addr, result } => Told::Put {
                query: query.to_bits(),
                node: *node.as_bytes(),
                addr: (*addr).into(),
                result: match result {
                    PutResult::Accepted => Verdict::Accepted,
                    PutResult::Refused(code) => Verdict::Refused(*code),
                    PutResult::Silent => Verdict::Silent,
                    PutResult::Skipped => Verdict::Skipped,
                },
            },
            Event::Ended { query, outcome } => Told::Ended { query: query.to_bits(), outcome: outcome.into() },
            Event::Adopted(stored) => Told::Adopted(stored.into()),
            Event::Announced { target, seq, skipped, outcome, next } => Told::Announced {
                target: *target.as_bytes(),
                seq: *seq,
                skipped: *skipped,
                outcome: outcome.into(),
                next: next.as_micros(),
            },
            // An event that the core has and this crate does not: to be added here.
            _ => Told::Other,
        })
    }
}

impl<'a> From<&Stored<'a>> for StoredRecord<'a> {
    fn from(stored: &Stored<'a>) -> Self {
        let Stored { target, item, expires, kept } = stored;
        Self { target: *target.as_bytes(), item: item.into(), expires: expires.as_micros(), kept: *kept }
    }
}

impl From<&Outcome> for OutcomeRecord {
    fn from(outcome: &Outcome) -> Self {
        let Outcome { asked, answered, failed, invalid, copies, newest, accepted, rejected, silent, hops, elapsed } =
            outcome;
        Self {
            asked: *asked,
            answered: *answered,
            failed: *failed,
            invalid: *invalid,
            copies: *copies,
            newest: *newest,
            accepted: *accepted,
            rejected: rejected.iter().map(|by| RejectionRecord { code: by.code, count: by.count }).collect(),
            silent: *silent,
            hops: *hops,
            elapsed: *elapsed,
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Busy => Self::Busy,
            QueryError::NobodyToAsk => Self::NobodyToAsk,
            QueryError::UnusableAddress => Self::UnusableAddress,
            QueryError::Item(error) => Self::Item(error.into()),
            _ => Self::Other,
        }
    }
}

impl From<ItemError> for ItemFailure {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::ValueTooBig(len) => Self::ValueTooBig(len as u64),
            ItemError::NotCanonical => Self::NotCanonical,
            ItemError::SaltTooBig(len) => Self::SaltTooBig(len as u64),
            ItemError::NegativeSeq(seq) => Self::NegativeSeq(seq),
            ItemError::InvalidSignature => Self::InvalidSignature,
            ItemError::CasMismatch { stored } => Self::CasMismatch(stored),
            ItemError::SequenceTooLow { stored } => Self::SequenceTooLow(stored),
            _ => Self::Other,
        }
    }
}

/// Addresses, each once. Written as a string of octets: the length of each in compact form (6 or 18; absent if there is no
/// address), and their compact forms.
#[derive(Debug, Clone)]
pub struct Addrs<'a>(List<'a>);

#[derive(Debug, Clone)]
enum List<'a> {
    /// As the node lends them.
    Lent(Peers<'a>),
    /// As they are written, without the first octet.
    Written { each: usize, octets: &'a [u8] },
}

impl Iterator for Addrs<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match &mut self.0 {
            List::Lent(peers) => peers.next(),
            List::Written { each, octets } => {
                let (first, rest) = octets.split_at_checked(*each)?;
                *octets = rest;
                bep44_core::addr::CompactAddr::from_compact(first).map(SocketAddr::from)
            }
        }
    }
}

impl PartialEq for Addrs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl Eq for Addrs<'_> {}

impl Serialize for Addrs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let each = |addr: &SocketAddr| if addr.is_ipv4() { 6_u8 } else { 18 };
        let count: usize = self.clone().map(|addr| usize::from(each(&addr))).sum();
        let first = self.clone().next().map(|addr| each(&addr));
        let mut seq = to.serialize_seq(Some(count + usize::from(first.is_some())))?;
        if let Some(octet) = first {
            seq.serialize_element(&octet)?;
        }
        for addr in self.clone() {
            let compact = bep44_core::addr::CompactAddr::from(addr);
            for octet in compact.ip().iter().chain(&compact.port().to_be_bytes()) {
                seq.serialize_element(octet)?;
            }
        }
        seq.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Addrs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Octets;

        impl<'de> Visitor<'de> for Octets {
            type Value = Addrs<'de>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("addresses in compact form")
            }

            fn visit_borrowed_bytes<E: Error>(self, octets: &'de [u8]) -> Result<Addrs<'de>, E> {
                let (each, octets) =
                    octets.split_first().map_or((6, octets), |(each, rest)| (usize::from(*each), rest));
                if matches!(each, 6 | 18) && octets.len().is_multiple_of(each) {
                    Ok(Addrs(List::Written { each, octets }))
                } else {
                    Err(E::custom("not a list of compact addresses"))
                }
            }
        }

        from.deserialize_bytes(Octets)
    }
}
