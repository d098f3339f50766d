//! Our own queries: where walks and transactions meet. From a command to its outcome: [`start`](Node::start) fills a
//! slot, [`next_question`](Node::next_question) writes what is due, [`on_reply`](Node::on_reply) and its siblings take in
//! what comes back, [`advance_query`](Node::advance_query) decides whether the walk goes on, storing begins or all is
//! done, and [`next_untold`](Node::next_untold) finds what the application does not know yet.

use core::net::SocketAddr;
use core::num::NonZeroU16;

use crate::addr::{CompactAddr, Family};
use crate::crypto::{PublicKey, Signature};
use crate::error::QueryError;
use crate::event::{Event, Outcome, Peers, QueryHandle};
use crate::id::{NodeId, Target};
use crate::item::{ImmutableItem, Item, MAX_VALUE, MutableItem, Salt, mutable_target};
use crate::links::{Link, Linked, Slot};
use crate::list::Empty;
use crate::lookup::{Candidate, Lookup, SHORTLIST, State, Storing};
use crate::node::Node;
use crate::table::{K, Standing};
use crate::time::{Duration, Instant};
use crate::transactions::{Age, Asked, Elapsed, Purpose};
use crate::wire::{AnnouncedPort, Code, Method, Put, PutMutable, Query, RemoteError, Reply, Want};

/// The order of the queries that may have a packet to send (and, apart from it, of the free slots).
pub(super) const READY: usize = 0;
/// The order of the queries that have something to tell.
pub(super) const UNTOLD: usize = 1;

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Ping,
    FindNode,
    GetImmutable,
    GetMutable { newer_than: Option<i64> },
    PutImmutable,
    PutMutable { cas: Option<i64> },
    GetPeers,
    Announce { port: Option<u16> },
}

impl Aim {
    /// Whether a walk is followed by storing on the nodes that it found.
    const fn stores(self) -> bool {
        matches!(self, Self::PutImmutable | Self::PutMutable { .. } | Self::Announce { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Walking,
    Storing,
    /// Over, and not told yet.
    Ended,
}

/// A query that runs. Opaque: a place for the node to work in, of some 4 KiB.
#[derive(Debug)]
pub struct QuerySlot {
    phase: Phase,
    /// Started by the node itself: nobody is told of it.
    internal: bool,
    in_ready: bool,
    in_untold: bool,
    /// Whether `value` is an item that was found, and has yet to be told.
    value_untold: bool,
    /// A sequence number with two values has been seen, and has yet to be told.
    equivocal: bool,
    /// Octets of peers in `value` that have been told.
    peers_told: u16,
    /// Counts the queries that have used this slot, so that old handles name nothing.
    generation: u32,
    aim: Aim,
    family: Family,
    started: Instant,
    lookup: Lookup,
    /// The item that is being put, or the best that was found; its key and so on only if it is mutable. For `get_peers`,
    /// the peers in compact form.
    value: heapless::Vec<u8, MAX_VALUE, u16>,
    salt: Salt,
    key: PublicKey,
    signature: Signature,
    seq: i64,
    /// `value` holds an item.
    holds_item: bool,
    outcome: Outcome,
    ready: Link,
    untold: Link,
}

impl Empty for QuerySlot {
    const EMPTY: Self = Self {
        phase: Phase::Free,
        internal: false,
        in_ready: false,
        in_untold: false,
        value_untold: false,
        equivocal: false,
        peers_told: 0,
        generation: 0,
        aim: Aim::Ping,
        family: Family::V4,
        started: Instant::ZERO,
        lookup: Lookup::new(Target::ZERO),
        value: heapless::Vec::new(),
        salt: heapless::Vec::new(),
        key: PublicKey([0; 32]),
        signature: Signature([0; 64]),
        seq: 0,
        holds_item: false,
        outcome: Outcome::EMPTY,
        ready: Link::EMPTY,
        untold: Link::EMPTY,
    };
}

impl Linked<READY> for QuerySlot {
    fn link(&self) -> &Link {
        &self.ready
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.ready
    }
}

impl Linked<UNTOLD> for QuerySlot {
    fn link(&self) -> &Link {
        &self.untold
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.untold
    }
}

impl QuerySlot {
    /// Makes the slot as good as new, whatever node it has served before.
    pub(super) fn reset(&mut self) {
        self.clear();
        self.generation = 0;
    }

    /// Makes the slot free, whatever was in it.
    pub(super) fn clear(&mut self) {
        self.phase = Phase::Free;
        self.in_ready = false;
        self.in_untold = false;
        self.ready = Link::EMPTY;
        self.untold = Link::EMPTY;
    }

    fn begin(&mut self, now: Instant, target: Target, aim: Aim, family: Family) {
        self.phase = Phase::Walking;
        self.internal = false;
        self.value_untold = false;
        self.equivocal = false;
        self.peers_told = 0;
        self.generation = self.generation.wrapping_add(1);
        self.aim = aim;
        self.family = family;
        self.started = now;
        self.lookup.restart(target);
        self.lookup.needs_tokens = aim.stores();
        self.value.clear();
        self.salt.clear();
        self.holds_item = false;
        self.outcome = Outcome::EMPTY;
    }

    /// The mutable item in this slot.
    fn mutable_item(&self) -> Option<MutableItem<'_>> {
        MutableItem::of_canonical(self.key, &self.salt, self.seq, &self.value, self.signature).ok()
    }

    fn item(&self) -> Option<Item<'_>> {
        match self.aim {
            Aim::GetMutable { .. } | Aim::PutMutable { .. } => self.mutable_item().map(Item::Mutable),
            _ => ImmutableItem::of_canonical(&self.value).ok().map(Item::Immutable),
        }
    }

    fn keep(&mut self, value: &[u8], seq: i64, signature: Signature) {
        self.value.clear();
        // Values are at most MAX_VALUE long: they came out of an item.
        let _ = self.value.extend_from_slice(value);
        self.seq = seq;
        self.signature = signature;
        self.holds_item = true;
        self.value_untold = true;
    }

    /// What the question to a node of the walk is.
    fn question(&self) -> Method<'static> {
        let (target, want) = (*self.lookup.target(), Want::UNSAID);
        match self.aim {
            Aim::Ping => Method::Ping,
            Aim::FindNode => Method::FindNode { target, want },
            Aim::GetPeers | Aim::Announce { .. } => Method::GetPeers { info_hash: target, want },
            Aim::GetMutable { newer_than } => Method::Get { target, seq: newer_than, want },
            Aim::GetImmutable | Aim::PutImmutable | Aim::PutMutable { .. } => Method::Get { target, seq: None, want },
        }
    }

    /// Takes in what an answer brings besides nodes, and returns whether it is the newest version of the item. Nothing
    /// that a peer sends is kept before it is checked; each distinct value is verified once.
    fn take_in(&mut self, from: &CompactAddr, reply: &Reply<'_>) -> bool {
        match self.aim {
            Aim::Ping | Aim::FindNode => false,
            Aim::GetPeers | Aim::Announce { .. } => {
                self.take_peers(from, reply);
                false
            }
            Aim::GetImmutable | Aim::PutImmutable => self.take_immutable(reply),
            Aim::GetMutable { newer_than } => self.take_mutable(reply, newer_than),
            Aim::PutMutable { .. } => self.take_earlier(reply),
        }
    }

    fn take_peers(&mut self, from: &CompactAddr, reply: &Reply<'_>) {
        let len = self.family.compact_len();
        for peer in reply.values.iter().flat_map(|values| values.iter()) {
            let mut compact = heapless::Vec::<u8, 18>::new();
            if peer.family() == self.family
                && peer.is_plausible(from)
                && peer.write_compact(&mut compact).is_some()
                && !self.value.chunks_exact(len).any(|known| known == compact.as_slice())
            {
                // Beyond the first 166 peers (55 over IPv6), more are of no use to anybody.
                let _ = self.value.extend_from_slice(&compact);
            }
        }
    }

    fn take_immutable(&mut self, reply: &Reply<'_>) -> bool {
        let Some(value) = reply.value else { return false };
        match ImmutableItem::new(value) {
            Ok(item) if item.target() == *self.lookup.target() => {
                if !self.holds_item {
                    self.keep(value, 0, Signature([0; 64]));
                }
                true
            }
            _ => {
                self.outcome.invalid = self.outcome.invalid.saturating_add(1);
                false
            }
        }
    }

    /// The mutable item in an answer, if it is whole and one of our key. Its signature is not verified.
    fn mutable_in<'a>(&'a self, reply: &Reply<'a>) -> Option<MutableItem<'a>> {
        if reply.key.is_some_and(|key| *key != self.key.0) {
            return None;
        }
        MutableItem::new(self.key, &self.salt, reply.seq?, reply.value?, Signature(*reply.signature?)).ok()
    }

    fn take_mutable(&mut self, reply: &Reply<'_>, newer_than: Option<i64>) -> bool {
        // Without a value the node only says what it holds; "nothing newer" is one of the things that it may mean.
        if reply.value.is_none() {
            return false;
        }
        let Some(found) = self.mutable_in(reply) else {
            self.outcome.invalid = self.outcome.invalid.saturating_add(1);
            return false;
        };
        let seq = found.seq();
        if newer_than.is_some_and(|known| seq <= known) || (self.holds_item && seq < self.seq) {
            return false;
        }
        let same_number = self.holds_item && seq == self.seq;
        if same_number && found.value() == self.value.as_slice() {
            return true;
        }
        if found.verify().is_err() {
            self.outcome.invalid = self.outcome.invalid.saturating_add(1);
            return false;
        }
        // Two values with one number: everybody must choose the same, whoever answered first.
        let greater = found.value() > self.value.as_slice();
        let signature = *found.signature();
        if same_number {
            self.equivocal = true;
        }
        if !same_number || greater {
            if let Some(value) = reply.value {
                self.keep(value, seq, signature);
            }
            self.outcome.newest = Some(seq);
        }
        true
    }

    /// What was stored before a put: whether it is what is being put, and how new the newest is.
    fn take_earlier(&mut self, reply: &Reply<'_>) -> bool {
        if reply.value.is_none() {
            return false;
        }
        let Some(found) = self.mutable_in(reply) else {
            self.outcome.invalid = self.outcome.invalid.saturating_add(1);
            return false;
        };
        let seq = found.seq();
        if seq == self.seq && found.value() == self.value.as_slice() {
            self.outcome.newest = self.outcome.newest.max(Some(seq));
            return true;
        }
        if self.outcome.newest.is_some_and(|newest| newest >= seq) {
            return false;
        }
        if found.verify().is_ok() {
            self.outcome.newest = Some(seq);
        } else {
            self.outcome.invalid = self.outcome.invalid.saturating_add(1);
        }
        false
    }

    /// Which sequence number a storing node is told to compare with. One that holds an older version than expected is
    /// told that older one: it missed an update, but that is no conflict. Nor is it one to hold the very version that is
    /// being put, as after an earlier attempt. One that holds nothing is told none (BEP 44, "CAS").
    fn cas_for(cas: Option<i64>, candidate: &Candidate) -> Option<i64> {
        let (cas, held) = (cas?, candidate.seq?);
        Some(if candidate.copy { held } else { cas.min(held) })
    }

    /// Whether somebody holds a version newer than the put expects, and not the one that is being put.
    fn conflicts(&self) -> bool {
        let Aim::PutMutable { cas: Some(expected) } = self.aim else { return false };
        let is_ours = self.outcome.newest == Some(self.seq) && self.lookup.candidates().iter().any(|known| known.copy);
        self.outcome.newest > Some(expected) && !is_ours
    }

    /// Whether the walk need not go on: everything that was wanted is there.
    fn is_satisfied(&self) -> bool {
        self.aim == Aim::GetImmutable && self.holds_item
    }

    fn has_untold(&self) -> bool {
        self.phase == Phase::Ended
            || self.value_untold
            || self.equivocal
            || self.lookup.candidates().iter().any(|candidate| candidate.untold)
            || self.has_untold_peers()
    }

    fn has_untold_peers(&self) -> bool {
        matches!(self.aim, Aim::GetPeers | Aim::Announce { .. }) && usize::from(self.peers_told) < self.value.len()
    }

    /// Counts what has become of the query: anew each time, since an answer may still come before the end is told.
    fn conclude(&mut self) {
        let (lookup, outcome) = (&self.lookup, &mut self.outcome);
        (outcome.copies, outcome.accepted, outcome.silent) = (0, 0, 0);
        outcome.rejected.clear();
        outcome.asked = lookup.asked;
        outcome.answered = lookup.answered;
        outcome.failed = lookup.failed;
        let newest = match self.aim {
            Aim::GetMutable { newer_than } if !self.holds_item => newer_than,
            Aim::GetMutable { .. } | Aim::PutMutable { .. } => Some(self.seq),
            _ => None,
        };
        for candidate in lookup.candidates() {
            if candidate.state == State::Answered {
                outcome.hops = outcome.hops.max(candidate.hop);
            }
            // Who only says that there is nothing newer than what we know counts as well (BEP 44, "get").
            let silent_copy = !self.holds_item && newest.is_some() && candidate.seq == newest;
            if (candidate.copy && (newest.is_none() || candidate.seq == newest)) || silent_copy {
                outcome.copies += 1;
            }
            match candidate.storing {
                Storing::Accepted => outcome.accepted += 1,
                Storing::Refused(code) | Storing::Unable(code) => outcome.reject(code),
                Storing::NeedsToken | Storing::AskedForToken => outcome.reject(Code::Protocol.number().into()),
                Storing::Silent | Storing::Sent => outcome.silent += 1,
                Storing::Unsent | Storing::Skipped => {}
            }
        }
    }
}

/// Something that the application does not know yet.
pub(super) enum Untold {
    Answered { query: QueryHandle, node: NodeId, addr: CompactAddr, hop: u8, round_trip: Duration },
    Found { query: QueryHandle, slot: Slot },
    Equivocation { query: QueryHandle, seq: i64 },
    Peers { query: QueryHandle, slot: Slot, from: u16 },
    Ended { query: QueryHandle, outcome: Outcome },
}

impl Node<'_> {
    // --- starting ---

    /// Starts a query with a walk.
    pub(super) fn start(&mut self, now: Instant, target: Target, aim: Aim) -> Result<QueryHandle, QueryError> {
        let now = self.advance(now);
        let slot = self.free_query().ok_or(QueryError::Busy)?;
        let family = if self.table.has_room_at_all() { Family::V4 } else { Family::V6 };
        let closest = self.table_of(family).closest::<SHORTLIST>(&target, |c| c.standing(now) != Standing::Bad);
        let Some(query) = self.queries.get_mut(slot.index()) else { return Err(QueryError::Busy) };
        query.begin(now, target, aim, family);
        for contact in closest.iter() {
            query.lookup.offer(Some(contact.id()), contact.compact(), 0);
        }
        if query.lookup.candidates().len() < K {
            for addr in self.bootstrap.iter().filter(|addr| addr.family() == family) {
                query.lookup.offer(None, *addr, 0);
            }
        }
        if query.lookup.candidates().is_empty() {
            // Whoever has been silent is still a better guess than nobody: perhaps it was our own line.
            let silent = self.table_of(family).closest::<SHORTLIST>(&target, |_| true);
            let Some(query) = self.queries.get_mut(slot.index()) else { return Err(QueryError::Busy) };
            for contact in silent.iter() {
                query.lookup.offer(Some(contact.id()), contact.compact(), 0);
            }
            if query.lookup.candidates().is_empty() {
                query.clear();
                return Err(QueryError::NobodyToAsk);
            }
        }
        Ok(self.admit(slot))
    }

    pub(super) fn start_get_mutable(
        &mut self,
        now: Instant,
        key: &PublicKey,
        salt: &[u8],
        newer_than: Option<i64>,
    ) -> Result<QueryHandle, QueryError> {
        let handle = self.start(now, mutable_target(key, salt), Aim::GetMutable { newer_than })?;
        if let Some(query) = self.query_mut(handle) {
            query.key = *key;
            // Its length was checked.
            let _ = query.salt.extend_from_slice(salt);
        }
        Ok(handle)
    }

    pub(super) fn start_put(
        &mut self,
        now: Instant,
        item: &Item<'_>,
        cas: Option<i64>,
    ) -> Result<QueryHandle, QueryError> {
        let aim = match item {
            Item::Immutable(_) => Aim::PutImmutable,
            Item::Mutable(mutable) => {
                // Every node would refuse it, after a walk.
                mutable.verify()?;
                Aim::PutMutable { cas }
            }
        };
        let handle = self.start(now, item.target(), aim)?;
        if let Some(query) = self.query_mut(handle) {
            // Lengths are within the limits: it is an item.
            let _ = query.value.extend_from_slice(item.value());
            query.holds_item = true;
            if let Some(mutable) = item.as_mutable() {
                query.key = *mutable.key();
                let _ = query.salt.extend_from_slice(mutable.salt());
                query.seq = mutable.seq();
                query.signature = *mutable.signature();
            }
        }
        Ok(handle)
    }

    pub(super) fn start_ping(&mut self, now: Instant, addr: CompactAddr) -> Result<QueryHandle, QueryError> {
        let now = self.advance(now);
        if !addr.is_usable() || !self.table_of(addr.family()).has_room_at_all() {
            return Err(QueryError::UnusableAddress);
        }
        let slot = self.free_query().ok_or(QueryError::Busy)?;
        let Some(query) = self.queries.get_mut(slot.index()) else { return Err(QueryError::Busy) };
        query.begin(now, Target::ZERO, Aim::Ping, addr.family());
        query.lookup.offer(None, addr, 0);
        Ok(self.admit(slot))
    }

    /// Starts a walk of the node's own, of which nobody is told.
    pub(super) fn start_internal(&mut self, now: Instant, target: Target) -> Option<QueryHandle> {
        let handle = self.start(now, target, Aim::FindNode).ok()?;
        self.query_mut(handle)?.internal = true;
        Some(handle)
    }

    fn free_query(&self) -> Option<Slot> {
        let at = self.queries.iter().position(|query| query.phase == Phase::Free)?;
        // Handles number the slots with 16 bits.
        Slot::new(at).filter(|_| at < usize::from(u16::MAX))
    }

    fn admit(&mut self, slot: Slot) -> QueryHandle {
        self.mark_ready(slot);
        self.handle_of(slot)
    }

    fn handle_of(&self, slot: Slot) -> QueryHandle {
        let generation = self.queries.get(slot.index()).map_or(0, |query| query.generation);
        QueryHandle { slot: u16::try_from(slot.index()).unwrap_or(u16::MAX), generation }
    }

    fn slot_of(&self, handle: QueryHandle) -> Option<Slot> {
        let query = self.queries.get(usize::from(handle.slot))?;
        let names_it = query.phase != Phase::Free && query.generation == handle.generation;
        Slot::new(usize::from(handle.slot)).filter(|_| names_it)
    }

    fn query_mut(&mut self, handle: QueryHandle) -> Option<&mut QuerySlot> {
        let slot = self.slot_of(handle)?;
        self.queries.get_mut(slot.index())
    }

    /// Whether the node walks towards its own id at the moment.
    pub(super) fn is_joining(&self) -> bool {
        let own = Target::from(self.id);
        let walks = |query: &QuerySlot| matches!(query.phase, Phase::Walking) && *query.lookup.target() == own;
        self.queries.iter().any(walks)
    }

    /// Frees a query's slot. Answers that still come find nothing to go to.
    pub(super) fn release(&mut self, handle: QueryHandle) {
        let Some(slot) = self.slot_of(handle) else { return };
        let Some(query) = self.queries.get_mut(slot.index()) else { return };
        let (in_ready, in_untold) = (query.in_ready, query.in_untold);
        query.phase = Phase::Free;
        query.in_ready = false;
        query.in_untold = false;
        if in_ready {
            self.ready.remove(&mut self.queries, slot);
        }
        if in_untold {
            self.untold.remove(&mut self.queries, slot);
        }
    }

    fn mark_ready(&mut self, slot: Slot) {
        if let Some(query) = self.queries.get_mut(slot.index())
            && !query.in_ready
        {
            query.in_ready = true;
            self.ready.push(&mut self.queries, slot);
        }
    }

    fn mark_untold(&mut self, slot: Slot) {
        if let Some(query) = self.queries.get_mut(slot.index())
            && !query.in_untold
            && !query.internal
            && query.has_untold()
        {
            query.in_untold = true;
            self.untold.push(&mut self.queries, slot);
        }
    }

    // --- asking ---

    /// Writes the next question of our queries into `buf`. They take turns.
    pub(super) fn next_question(&mut self, now: Instant, buf: &mut [u8]) -> Option<(CompactAddr, usize)> {
        while let Some(slot) = self.ready.oldest() {
            if self.transactions.is_full() {
                // The query stays ready: it goes on when a transaction has ended.
                return None;
            }
            self.ready.remove(&mut self.queries, slot);
            let handle = self.handle_of(slot);
            let question = self.question_of(now, slot, handle, buf);
            if question.is_some() {
                self.ready.push(&mut self.queries, slot);
                return question;
            }
            if let Some(query) = self.queries.get_mut(slot.index()) {
                query.in_ready = false;
            }
        }
        None
    }

    fn question_of(
        &mut self,
        now: Instant,
        slot: Slot,
        handle: QueryHandle,
        buf: &mut [u8],
    ) -> Option<(CompactAddr, usize)> {
        let query = self.queries.get_mut(slot.index())?;
        match query.phase {
            Phase::Walking => {
                let (addr, id) = query.lookup.next()?;
                let method = query.question();
                let len = self.ask(now, addr, id, Purpose::Walk(handle), method, buf)?;
                Some((addr, len))
            }
            Phase::Storing => self.storing_question(now, slot, handle, buf),
            Phase::Free | Phase::Ended => None,
        }
    }

    fn storing_question(
        &mut self,
        now: Instant,
        slot: Slot,
        handle: QueryHandle,
        buf: &mut [u8],
    ) -> Option<(CompactAddr, usize)> {
        let query = self.queries.get_mut(slot.index())?;
        let method = query.question();
        let needs_token = |candidate: &&mut Candidate| candidate.storing == Storing::NeedsToken;
        if let Some(candidate) = query.lookup.candidates_mut().iter_mut().find(needs_token) {
            candidate.storing = Storing::AskedForToken;
            let (addr, id) = (candidate.addr, candidate.id);
            let len = self.ask(now, addr, id, Purpose::Walk(handle), method, buf)?;
            return Some((addr, len));
        }
        let aim = query.aim;
        let conflict = query.conflicts();
        let candidate = loop {
            let candidate = query.lookup.next_to_store_on()?;
            if !(conflict && candidate.seq.is_none()) {
                candidate.storing = Storing::Sent;
                break candidate;
            }
            // Elsewhere the condition has failed already: storing here would only divide the nodes.
            candidate.storing = Storing::Skipped;
        };
        let cas = match aim {
            Aim::PutMutable { cas } => QuerySlot::cas_for(cas, candidate),
            _ => None,
        };
        let (addr, id, token) = (candidate.addr, candidate.id, candidate.token.clone());
        let target = *query.lookup.target();
        let transaction = self.transactions.open(now, &mut self.rng, addr, id, Purpose::Store(handle))?;
        let query = self.queries.get(slot.index())?;
        let mutable =
            PutMutable { key: &query.key.0, salt: &query.salt, seq: query.seq, signature: &query.signature.0, cas };
        let put = |mutable| {
            let target = self.config.superfluous_target.then_some(target);
            Method::Put(Put { token: &token, value: &query.value, mutable, target })
        };
        let method = match aim {
            Aim::PutMutable { .. } => put(Some(mutable)),
            Aim::Announce { port } => Method::AnnouncePeer {
                info_hash: target,
                port: match port.and_then(NonZeroU16::new) {
                    Some(port) => AnnouncedPort::Explicit(port),
                    None => AnnouncedPort::Implied { fallback: 0 },
                },
                token: &token,
            },
            _ => put(None),
        };
        let question = Query { transaction: &transaction, sender: self.id, read_only: self.config.read_only, method };
        Some((addr, question.write(self.config.version, buf)?))
    }

    /// Opens a transaction and writes its question.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        addr: CompactAddr,
        id: Option<NodeId>,
        purpose: Purpose,
        method: Method<'_>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let transaction = self.transactions.open(now, &mut self.rng, addr, id, purpose)?;
        let question = Query { transaction: &transaction, sender: self.id, read_only: self.config.read_only, method };
        question.write(self.config.version, buf)
    }

    // --- what comes back ---

    /// An answer has arrived. Only one to a question of ours, from whom it was put to, is looked at.
    pub(super) fn on_reply(&mut self, now: Instant, from: &CompactAddr, reply: &Reply<'_>) {
        if reply.sender == self.id {
            self.stats.unsolicited += 1;
            return;
        }
        match self.transactions.answer(now, from, reply.transaction, Some(&reply.sender)) {
            None => self.stats.unsolicited += 1,
            Some(Err(asked)) => {
                // Another node lives there now; what it says was not asked of it.
                self.stats.unsolicited += 1;
                if let Some(id) = &asked.node {
                    self.table_of_mut(from.family()).forget(from, id);
                }
                self.on_failure(now, &asked);
            }
            Some(Ok(asked)) => {
                self.stats.answered += 1;
                self.note_answer(now, &reply.sender, from);
                match asked.purpose {
                    Purpose::Probe => {}
                    Purpose::Walk(handle) => self.on_walk_answer(now, handle, &asked, reply),
                    Purpose::Store(handle) => self.on_stored(now, handle, from, Storing::Accepted),
                }
            }
        }
    }

    fn on_walk_answer(&mut self, now: Instant, handle: QueryHandle, asked: &Asked, reply: &Reply<'_>) {
        let own = self.id;
        let Some(query) = self.query_mut(handle) else { return };
        let round_trip = now.since(asked.sent);
        let from = &asked.addr;
        let invalid = query.outcome.invalid;
        let copy = query.take_in(from, reply);
        if query.outcome.invalid != invalid {
            // Who sends a forged value is not asked for nodes either, nor given anything to store.
            return self.on_no_answer(now, handle, from);
        }
        let Some(candidate) = query.lookup.on_answer(from, reply.sender, round_trip) else { return };
        candidate.copy = copy;
        candidate.seq = reply.seq;
        // A longer token than we keep is none.
        candidate.token = reply.token.and_then(|token| heapless::Vec::from_slice(token).ok()).unwrap_or_default();
        if candidate.storing == Storing::AskedForToken {
            let code = Code::Protocol.number().into();
            candidate.storing = if candidate.token.is_empty() { Storing::Unable(code) } else { Storing::Unsent };
        }
        let (hop, family) = (candidate.hop.saturating_add(1), query.family);
        if query.phase == Phase::Walking && query.aim != Aim::Ping {
            let mut nearer = false;
            // No more than a reply of full length holds is looked at.
            for (id, addr) in reply.nodes.iter().take(2 * K) {
                if id != own && addr.family() == family && addr.is_plausible(from) {
                    nearer |= query.lookup.offer(Some(id), addr, hop);
                }
            }
            query.lookup.on_named(nearer);
        }
        self.advance_query(now, handle);
    }

    /// A storing node has answered, or will not.
    fn on_stored(&mut self, now: Instant, handle: QueryHandle, addr: &CompactAddr, result: Storing) {
        let Some(query) = self.query_mut(handle) else { return };
        if let Some(candidate) = query.lookup.candidate_mut(addr)
            && matches!(candidate.storing, Storing::Sent | Storing::Silent)
        {
            candidate.storing = result;
            if result == Storing::NeedsToken {
                candidate.renewed = true;
            }
        }
        self.advance_query(now, handle);
    }

    /// An error has arrived: an answer, too, and a sign of life.
    pub(super) fn on_error(&mut self, now: Instant, from: &CompactAddr, error: &RemoteError<'_>) {
        let Some(Ok(asked)) = self.transactions.answer(now, from, error.transaction, None) else {
            self.stats.unsolicited += 1;
            return;
        };
        self.stats.answered += 1;
        if let Some(id) = &asked.node {
            self.note_answer(now, id, from);
        }
        match asked.purpose {
            Purpose::Probe => {}
            Purpose::Walk(handle) => self.on_no_answer(now, handle, &asked.addr),
            Purpose::Store(handle) => {
                let renewed = |query: &mut QuerySlot| query.lookup.candidate_mut(from).is_some_and(|c| c.renewed);
                let renewed = self.query_mut(handle).is_some_and(renewed);
                let result = match error.known() {
                    // The token may have grown old on the way; asking for another is cheap, but not twice.
                    Some(Code::Protocol) if !renewed => Storing::NeedsToken,
                    Some(Code::Generic | Code::Server | Code::Protocol | Code::UnknownMethod) | None => {
                        Storing::Unable(error.code)
                    }
                    Some(_) => Storing::Refused(error.code),
                };
                self.on_stored(now, handle, from, result);
            }
        }
    }

    /// A question was not answered, and will not be.
    fn on_failure(&mut self, now: Instant, asked: &Asked) {
        match asked.purpose {
            Purpose::Probe => {}
            Purpose::Walk(handle) => self.on_no_answer(now, handle, &asked.addr),
            Purpose::Store(handle) => self.on_stored(now, handle, &asked.addr, Storing::Silent),
        }
    }

    /// A node of a walk is of no use to it.
    fn on_no_answer(&mut self, now: Instant, handle: QueryHandle, addr: &CompactAddr) {
        let Some(query) = self.query_mut(handle) else { return };
        query.lookup.on_failure(addr);
        if let Some(candidate) = query.lookup.candidate_mut(addr)
            && candidate.storing == Storing::AskedForToken
        {
            candidate.storing = Storing::Unable(Code::Protocol.number().into());
        }
        self.advance_query(now, handle);
    }

    /// Takes note of what time has done to our questions.
    pub(super) fn elapse(&mut self, now: Instant) {
        while let Some(elapsed) = self.transactions.elapse(now) {
            match elapsed {
                Elapsed::Aged(Asked { purpose: Purpose::Walk(handle), addr, .. }, age) => {
                    let Some(query) = self.query_mut(handle) else { continue };
                    match age {
                        Age::Fresh => {}
                        Age::Late => query.lookup.on_late(&addr),
                        Age::Overdue => query.lookup.on_overdue(&addr),
                    }
                    self.advance_query(now, handle);
                }
                Elapsed::Aged(Asked { purpose: Purpose::Store(handle), addr, .. }, Age::Overdue) => {
                    self.on_stored(now, handle, &addr, Storing::Silent);
                }
                Elapsed::Aged(..) => {}
                Elapsed::TimedOut(asked) => {
                    self.stats.timed_out += 1;
                    self.note_failure(now, &asked);
                    self.on_failure(now, &asked);
                }
            }
        }
    }

    /// No packet reaches `addr`: what was asked there will not be answered.
    pub(super) fn on_unreachable(&mut self, now: Instant, addr: &CompactAddr) {
        while let Some(asked) = self.transactions.unreachable(addr) {
            self.note_failure(now, &asked);
            self.on_failure(now, &asked);
        }
    }

    // --- where it stands ---

    /// Goes on with a query after something has happened to it.
    fn advance_query(&mut self, now: Instant, handle: QueryHandle) {
        let Some(slot) = self.slot_of(handle) else { return };
        let Some(query) = self.queries.get_mut(slot.index()) else { return };
        let was_over = query.phase == Phase::Ended;
        if query.phase == Phase::Walking && (query.is_satisfied() || query.lookup.is_finished()) {
            query.phase = if query.aim.stores() { Phase::Storing } else { Phase::Ended };
        }
        if query.phase == Phase::Storing {
            let waiting = |candidate: &Candidate| {
                matches!(candidate.storing, Storing::Sent | Storing::NeedsToken | Storing::AskedForToken)
            };
            if !query.lookup.candidates().iter().any(waiting) && query.lookup.next_to_store_on().is_none() {
                query.phase = Phase::Ended;
            }
        }
        if query.phase == Phase::Ended {
            if !was_over {
                query.outcome.elapsed = now.since(query.started);
            }
            query.conclude();
            if query.internal {
                self.release(handle);
                return;
            }
        } else {
            self.mark_ready(slot);
        }
        self.mark_untold(slot);
    }

    // --- telling ---

    /// What is to be told next. It counts as told.
    pub(super) fn next_untold(&mut self) -> Option<Untold> {
        while let Some(slot) = self.untold.oldest() {
            let handle = self.handle_of(slot);
            let query = self.queries.get_mut(slot.index())?;
            if let Some(candidate) = query.lookup.candidates_mut().iter_mut().find(|candidate| candidate.untold) {
                candidate.untold = false;
                let (addr, hop) = (candidate.addr, candidate.hop);
                let round_trip = Duration::from_micros(candidate.round_trip.into());
                if let Some(node) = candidate.id {
                    return Some(Untold::Answered { query: handle, node, addr, hop, round_trip });
                }
                continue;
            }
            if core::mem::take(&mut query.equivocal) {
                return Some(Untold::Equivocation { query: handle, seq: query.seq });
            }
            if core::mem::take(&mut query.value_untold) {
                return Some(Untold::Found { query: handle, slot });
            }
            if query.has_untold_peers() {
                let from = query.peers_told;
                query.peers_told = u16::try_from(query.value.len()).unwrap_or(u16::MAX);
                return Some(Untold::Peers { query: handle, slot, from });
            }
            if query.phase == Phase::Ended {
                let outcome = query.outcome.clone();
                self.release(handle);
                return Some(Untold::Ended { query: handle, outcome });
            }
            query.in_untold = false;
            self.untold.remove(&mut self.queries, slot);
        }
        None
    }

    /// The event of it, which lends from the query.
    pub(super) fn lend(&self, untold: Untold) -> Option<Event<'_>> {
        Some(match untold {
            Untold::Answered { query, node, addr, hop, round_trip } => {
                Event::Answered { query, node, addr: SocketAddr::from(addr), hop, round_trip }
            }
            Untold::Found { query, slot } => Event::Found { query, item: self.queries.get(slot.index())?.item()? },
            Untold::Equivocation { query, seq } => Event::Equivocation { query, seq },
            Untold::Peers { query, slot, from } => {
                let found = self.queries.get(slot.index())?;
                Event::Peers {
                    query,
                    peers: Peers { family: found.family, compact: found.value.get(usize::from(from)..)? },
                }
            }
            Untold::Ended { query, outcome } => Event::Ended { query, outcome },
        })
    }
}
