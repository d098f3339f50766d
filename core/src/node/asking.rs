//! How our queries start and ask: a command fills a slot (one for each family that the node is in), and
//! [`next_question`](Node::next_question) writes what is due.

use core::num::NonZeroU16;

use crate::addr::{CompactAddr, Family};
use crate::crypto::{PublicKey, Signature};
use crate::error::QueryError;
use crate::event::QueryHandle;
use crate::id::{NodeId, Target};
use crate::item::{Item, mutable_target};
use crate::links::Slot;
use crate::lookup::{Candidate, SHORTLIST, Storing};
use crate::node::Node;
use crate::node::query::{Aim, Phase, QuerySlot};
use crate::table::{Fit, K, Table};
use crate::time::Instant;
use crate::transactions::Purpose;
use crate::wire::{AnnouncedPort, Method, Put, PutMutable, Query};

impl Node<'_> {
    /// Starts a query with a walk: in each family that the node is in, as far as there are free slots and nodes to ask.
    pub(super) fn start(&mut self, now: Instant, target: Target, aim: Aim) -> Result<QueryHandle, QueryError> {
        let now = self.advance(now);
        let mut started = Err(QueryError::NobodyToAsk);
        for family in Family::ALL {
            started = match (started, self.start_in(now, family, target, aim)) {
                (Ok(leader), Ok(follower)) => {
                    self.tie(leader, follower);
                    started
                }
                (Ok(leader), Err(_)) | (Err(_), Ok(leader)) => Ok(leader),
                (Err(QueryError::NobodyToAsk), Err(error)) | (Err(error), Err(_)) => Err(error),
            };
        }
        Ok(self.handle_of(started?))
    }

    /// Makes twins of two queries for the same, of which the application knows only the leader.
    fn tie(&mut self, leader: Slot, follower: Slot) {
        for (slot, twin, follows) in [(leader, follower, false), (follower, leader, true)] {
            if let Some(query) = self.queries.get_mut(slot.index()) {
                query.tie(twin, follows);
            }
        }
    }

    /// Starts a walk in one family.
    fn start_in(&mut self, now: Instant, family: Family, target: Target, aim: Aim) -> Result<Slot, QueryError> {
        let slot = self.free_query().ok_or(QueryError::Busy)?;
        let Self { tables, queries, bootstrap, .. } = self;
        let table = tables.get(family);
        let Some(query) = queries.get_mut(slot.index()) else { return Err(QueryError::Busy) };
        query.begin(now, target, aim, family);
        offer_contacts(query, table, now, Fit::NotBad);
        if query.lookup.candidates().len() < K {
            for addr in bootstrap.iter().filter(|addr| addr.family() == family) {
                query.lookup.offer(None, *addr, 0);
            }
        }
        if query.lookup.candidates().is_empty() {
            // Whoever has been silent is still a better guess than nobody: perhaps it was our own line.
            offer_contacts(query, table, now, Fit::Any);
        }
        if query.lookup.candidates().is_empty() {
            query.clear();
            return Err(QueryError::NobodyToAsk);
        }
        self.mark_ready(slot);
        Ok(slot)
    }

    /// Starts to look for an immutable item. What is stored here is found at once.
    pub(super) fn start_get(&mut self, now: Instant, target: Target) -> Result<QueryHandle, QueryError> {
        let handle = self.start(now, target, Aim::GetImmutable)?;
        if let Some(slot) = self.slot_of(handle)
            && let Some(query) = self.queries.get_mut(slot.index())
            && let Some(stored) = self.store.get_immutable(&target)
        {
            query.keep(stored.value(), 0, Signature([0; 64]));
            self.advance_query(self.now, handle);
        }
        Ok(handle)
    }

    pub(super) fn start_get_mutable(
        &mut self,
        now: Instant,
        key: &PublicKey,
        salt: &[u8],
        newer_than: Option<i64>,
    ) -> Result<QueryHandle, QueryError> {
        let handle = self.start(now, mutable_target(key, salt), Aim::GetMutable { newer_than })?;
        self.prepare(handle, |query| {
            query.key = *key;
            // Its length was checked.
            let _ = query.salt.extend_from_slice(salt);
        });
        // What is stored here is a version like any other's.
        if let Some(slot) = self.slot_of(handle)
            && let Some(query) = self.queries.get_mut(slot.index())
            && let Some(stored) = self.store.get_mutable(query.lookup.target())
            && newer_than.is_none_or(|known| stored.seq() > known)
        {
            query.keep(stored.value(), stored.seq(), *stored.signature());
            query.newest = Some(stored.seq());
            self.mark_untold(slot);
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
        self.prepare(handle, |query| {
            // Lengths are within the limits: it is an item.
            let _ = query.value.extend_from_slice(item.value());
            query.holds_item = true;
            if let Some(mutable) = item.as_mutable() {
                query.key = *mutable.key();
                let _ = query.salt.extend_from_slice(mutable.salt());
                query.seq = mutable.seq();
                query.signature = *mutable.signature();
            }
        });
        Ok(handle)
    }

    /// Completes a query that was just started, in both families.
    fn prepare(&mut self, handle: QueryHandle, complete: impl Fn(&mut QuerySlot)) {
        let Some(query) = self.query_mut(handle) else { return };
        complete(query);
        let twin = query.twin();
        if let Some(twin) = twin.and_then(|twin| self.queries.get_mut(twin.index())) {
            complete(twin);
        }
    }

    pub(super) fn start_ping(&mut self, now: Instant, addr: CompactAddr) -> Result<QueryHandle, QueryError> {
        let now = self.advance(now);
        if !addr.is_usable() || !self.tables.get(addr.family()).has_room_at_all() {
            return Err(QueryError::UnusableAddress);
        }
        let slot = self.free_query().ok_or(QueryError::Busy)?;
        let Some(query) = self.queries.get_mut(slot.index()) else { return Err(QueryError::Busy) };
        query.begin(now, Target::ZERO, Aim::Ping, addr.family());
        query.lookup.offer(None, addr, 0);
        self.mark_ready(slot);
        Ok(self.handle_of(slot))
    }

    /// Starts a walk of the node's own, of which nobody is told. False if there is no free slot, or nobody to ask.
    pub(super) fn start_internal(&mut self, now: Instant, family: Family, target: Target) -> bool {
        let Ok(slot) = self.start_in(now, family, target, Aim::FindNode) else { return false };
        if let Some(query) = self.queries.get_mut(slot.index()) {
            query.internal = true;
        }
        true
    }

    /// Whether there is a free slot, and no walk of the node's own.
    pub(super) fn may_start_internal(&self) -> bool {
        let runs = |query: &QuerySlot| query.phase != Phase::Free && query.internal;
        self.free_query().is_some() && !self.queries.iter().any(runs)
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn free_query(&self) -> Option<Slot> {
        let at = self.queries.iter().position(|query| query.phase == Phase::Free)?;
        // Handles number the slots with 16 bits.
        Slot::new(at).filter(|_| at < usize::from(u16::MAX))
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn handle_of(&self, slot: Slot) -> QueryHandle {
        let generation = self.queries.get(slot.index()).map_or(0, |query| query.generation);
        QueryHandle { slot: u16::try_from(slot.index()).unwrap_or(u16::MAX), generation }
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn slot_of(&self, handle: QueryHandle) -> Option<Slot> {
        let query = self.queries.get(usize::from(handle.slot))?;
        let names_it = query.phase != Phase::Free && query.generation == handle.generation;
        Slot::new(usize::from(handle.slot)).filter(|_| names_it)
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn query_mut(&mut self, handle: QueryHandle) -> Option<&mut QuerySlot> {
        let slot = self.slot_of(handle)?;
        self.queries.get_mut(slot.index())
    }

    /// Whether the node walks towards its own id at the moment, in this family.
    pub(super) fn is_joining(&self, family: Family) -> bool {
        let own = Target::from(self.id);
        let walks = |query: &QuerySlot| query.phase == Phase::Walking && query.family == family;
        self.queries.iter().any(|query| walks(query) && *query.lookup.target() == own)
    }

    /// Frees the slots of a query. Answers that still come find nothing to go to.
    pub(super) fn release(&mut self, handle: QueryHandle) {
        let Some(slot) = self.slot_of(handle) else { return };
        let twin = self.queries.get(slot.index()).and_then(QuerySlot::twin);
        self.free(slot);
        if let Some(twin) = twin {
            self.free(twin);
        }
    }

    fn free(&mut self, slot: Slot) {
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

    pub(super) fn mark_ready(&mut self, slot: Slot) {
        if let Some(query) = self.queries.get_mut(slot.index())
            && !query.in_ready
        {
            query.in_ready = true;
            self.ready.push(&mut self.queries, slot);
        }
    }

    pub(super) fn mark_untold(&mut self, slot: Slot) {
        if let Some(query) = self.queries.get_mut(slot.index())
            && !query.in_untold
            && !query.internal
            && query.has_untold()
        {
            query.in_untold = true;
            self.untold.push(&mut self.queries, slot);
        }
    }

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
                let (addr, id) = query.lookup.next(self.config.parallelism)?;
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
        let asks = |candidate: &&mut Candidate| matches!(candidate.storing, Storing::NeedsToken | Storing::Doubtful);
        let asked = query.lookup.candidates_mut().iter_mut().find(asks).map(|candidate| {
            let doubtful = candidate.storing == Storing::Doubtful;
            candidate.storing = if doubtful { Storing::Checking } else { Storing::AskedForToken };
            (candidate.addr, candidate.id)
        });
        let passed_over = asked.is_none() && query.pass_over();
        let to_ask = match asked {
            None if query.lookup.next_to_store_on().is_none() => {
                // A spare is asked, or that was all.
                let spare = query.lookup.next_spare();
                if spare.is_none() && passed_over {
                    self.advance_query(now, handle);
                }
                Some(spare?)
            }
            asked => asked,
        };
        if let Some((addr, id)) = to_ask {
            let method = self.queries.get(slot.index())?.question();
            let len = self.ask(now, addr, id, Purpose::Walk(handle), method, buf)?;
            return Some((addr, len));
        }
        let Self { id: sender, config, rng, transactions, queries, .. } = self;
        let query = queries.get_mut(slot.index())?;
        let (aim, target) = (query.aim, *query.lookup.target());
        let candidate = query.lookup.next_to_store_on()?;
        candidate.on_sent();
        let cas = match aim {
            Aim::PutMutable { cas } => QuerySlot::cas_for(cas, candidate),
            _ => None,
        };
        let (addr, token) = (candidate.addr, &candidate.token);
        let transaction = transactions.open(now, rng, addr, candidate.id, Purpose::Store(handle))?;
        let mutable =
            PutMutable { key: &query.key.0, salt: &query.salt, seq: query.seq, signature: &query.signature.0, cas };
        let put = |mutable| {
            let target = config.superfluous_target.then_some(target);
            Method::Put(Put { token, value: &query.value, mutable, target })
        };
        let method = match aim {
            Aim::PutMutable { .. } | Aim::Keep { mutable: true } => put(Some(mutable)),
            Aim::Announce { port } => Method::AnnouncePeer {
                info_hash: target,
                port: match port.and_then(NonZeroU16::new) {
                    Some(port) => AnnouncedPort::Explicit(port),
                    None => AnnouncedPort::Implied { fallback: 0 },
                },
                token,
            },
            _ => put(None),
        };
        let question = Query { transaction: &transaction, sender: *sender, read_only: config.read_only, method };
        Some((addr, question.write(config.version, buf)?))
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
}

/// Makes a walk know of the contacts closest to where it goes.
#[cfg_attr(feature = "opt-size", inline(never))]
fn offer_contacts(query: &mut QuerySlot, table: &Table<'_>, now: Instant, fit: Fit) {
    let target = *query.lookup.target();
    for (_, contact) in &table.closest::<SHORTLIST>(&target, now, fit) {
        query.lookup.offer(Some(contact.id()), contact.compact(), 0);
    }
}
