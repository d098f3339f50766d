//! What nodes are asked to do, and what became of it.

use std::time::Duration;

use bep44_core::{Instant, Item, ItemError, Node, Outcome, PublicKey, QueryError, QueryHandle, SecretKey, Target};
use rand::RngExt as _;

use super::random::Draw;
use crate::item::{AnyItem, Immutable, Mutable};

/// Names an operation among all of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation(pub(super) u64);

/// An operation that begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) operation: Operation,
    /// When it was to begin first, in microseconds.
    pub(super) due: u64,
    pub(super) ask: Ask,
}

/// What a node is asked to do.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Put(AnyItem),
    Get(Target),
    GetMutable(PublicKey),
}

impl Ask {
    pub(super) fn start(&self, node: &mut Node<'_>, now: Instant) -> Result<QueryHandle, QueryError> {
        match self {
            Self::Put(item) => node.put(now, &item.as_item()?, None),
            Self::Get(target) => node.get(now, *target),
            Self::GetMutable(key) => node.get_mutable(now, key, b"", None),
        }
    }
}

/// What became of an operation.
#[derive(Debug, Clone)]
pub struct Ended {
    /// When it ended, from the beginning of the simulation.
    pub at: Duration,
    /// What the node says of it.
    pub outcome: Outcome,
    /// The newest item that was found, if it was a search.
    pub item: Option<AnyItem>,
    /// From the command to the first valid item.
    pub first: Option<Duration>,
    /// The hosts that accepted a put.
    pub accepted: Vec<u32>,
}

/// An operation that a host has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) handle: QueryHandle,
    pub(super) operation: Operation,
    pub(super) started: u64,
    pub(super) first: Option<Duration>,
    pub(super) item: Option<AnyItem>,
    pub(super) accepted: Vec<u32>,
    pub(super) outcome: Option<Outcome>,
}

impl Running {
    pub(super) fn new(handle: QueryHandle, operation: Operation, now: u64) -> Self {
        Self { handle, operation, started: now, first: None, item: None, accepted: Vec::new(), outcome: None }
    }

    pub(super) fn found(&mut self, now: u64, item: Item<'_>) {
        self.first.get_or_insert(Duration::from_micros(now - self.started));
        self.item = Some(item.into());
    }

    pub(super) fn end(self, now: u64) -> Option<Ended> {
        let Self { first, item, accepted, outcome, .. } = self;
        Some(Ended { at: Duration::from_micros(now), outcome: outcome?, item, first, accepted })
    }
}

/// An item of the workload, which one host publishes.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) target: Target,
    secret: Option<SecretKey>,
    /// The number of the newest version; 0 for an immutable item.
    pub(super) seq: i64,
    pub(super) publisher: u32,
    value: Vec<u8>,
    /// Hosts that accepted the newest version.
    pub(super) accepted: Vec<u32>,
    /// Whether it was put at all.
    pub(super) is_out: bool,
}

impl Published {
    /// Item number `number` of the workload.
    pub(super) fn new(seed: u64, number: u32, octets: usize, mutable: bool, publisher: u32) -> Result<Self, ItemError> {
        let mut text = vec![0; octets];
        Draw::new(seed, "value", number.into()).stream().fill(text.as_mut_slice());
        let value = crate::item::bencoded_bytes(&text);
        let mut seed_of_key = [0; 32];
        Draw::new(seed, "key", number.into()).stream().fill(&mut seed_of_key);
        let secret = SecretKey::from_seed(seed_of_key).filter(|_| mutable);
        let target = match &secret {
            Some(secret) => bep44_core::item::mutable_target(&secret.public_key(), b""),
            None => Immutable::new(value.clone())?.target(),
        };
        Ok(Self { target, secret, seq: 0, publisher, value, accepted: Vec::new(), is_out: false })
    }

    /// Puts it, as a new version if there is none yet or if `update` says so.
    pub(super) fn put(&mut self, update: bool) -> Result<Ask, ItemError> {
        let Some(secret) = &self.secret else {
            return Ok(Ask::Put(AnyItem::Immutable(Immutable::new(self.value.clone())?)));
        };
        if update || self.seq == 0 {
            self.seq += 1;
            self.accepted.clear();
        }
        Ok(Ask::Put(AnyItem::Mutable(Mutable::sign(secret, b"", self.seq, self.value.clone())?)))
    }

    /// Those that may hold the newest version: who accepted it, who published it, and the reader itself.
    pub(super) fn who_may_hold(&self, reader: u32) -> impl Iterator<Item = u32> {
        self.accepted.iter().copied().chain([self.publisher, reader])
    }

    pub(super) fn get(&self) -> Ask {
        self.secret.as_ref().map_or(Ask::Get(self.target), |secret| Ask::GetMutable(secret.public_key()))
    }
}
