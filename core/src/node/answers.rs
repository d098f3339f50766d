//! What comes back to our questions, what does not, and where a query stands after it:
//! [`advance_query`](Node::advance_query) decides whether the walk goes on, storing begins, or all is done.

use crate::addr::CompactAddr;
use crate::event::QueryHandle;
use crate::item::{Change, ItemError};
use crate::links::Slot;
use crate::lookup::{Candidate, Marks, Storing};
use crate::node::Node;
use crate::node::query::{Aim, Phase};
use crate::table::K;
use crate::time::Instant;
use crate::transactions::{Age, Asked, Elapsed, Purpose};
use crate::wire::{Code, RemoteError, Reply};

impl Node<'_> {
    /// An answer has arrived. Only one to a question of ours, from whom it was put to, is looked at.
    pub(super) fn on_reply(&mut self, now: Instant, from: &CompactAddr, reply: &Reply<'_>) {
        if reply.sender == self.id {
            self.stats.unsolicited += 1;
            return;
        }
        let Some(asked) = self.transactions.answer(now, from, reply.transaction) else {
            self.stats.unsolicited += 1;
            return;
        };
        if !asked.is_from(&reply.sender) {
            // Another node lives there now; what it says was not asked of it.
            self.stats.unsolicited += 1;
            if let Some(id) = &asked.node {
                self.tables.get_mut(from.family()).forget(from, id);
            }
            return self.on_failure(now, &asked);
        }
        self.stats.answered += 1;
        self.note_answer(now, &reply.sender, from);
        match asked.purpose {
            Purpose::Probe => {}
            Purpose::Walk(handle) => self.on_walk_answer(now, handle, &asked, reply),
            Purpose::Store(handle) => self.on_stored(now, handle, from, Storing::Accepted),
        }
    }

    fn on_walk_answer(&mut self, now: Instant, handle: QueryHandle, asked: &Asked, reply: &Reply<'_>) {
        let own = self.id;
        let Some(query) = self.query_mut(handle) else { return };
        let round_trip = now.micros_since(asked.sent);
        let from = &asked.addr;
        let invalid = query.invalid;
        let copy = query.take_in(from, reply);
        let compares = matches!(query.aim, Aim::PutMutable { cas: Some(_) });
        let refusal = if compares { Code::CasMismatch } else { Code::SequenceTooLow };
        let replaced = query.phase == Phase::Storing && query.aim.keeps() && query.value_untold;
        if query.invalid != invalid {
            // Who sends a forged value is not asked for nodes either, nor given anything to store.
            return self.on_no_answer(now, handle, from);
        }
        let Some(candidate) = query.lookup.on_answer(from, reply.sender, round_trip) else { return };
        candidate.marks.set(Marks::COPY, copy);
        candidate.set_seq(reply.seq);
        // A longer token than we keep is none.
        candidate.token = reply.token.and_then(|token| heapless::Vec::from_slice(token).ok()).unwrap_or_default();
        candidate.storing = match candidate.storing {
            Storing::AskedForToken if candidate.token.is_empty() => Storing::unable(Code::Protocol),
            Storing::AskedForToken => Storing::Unsent,
            // It was ours that it had stored: only the answer was lost.
            Storing::Checking if copy => Storing::Accepted,
            Storing::Checking => Storing::refused(refusal),
            other => other,
        };
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
        if replaced && let Some(slot) = self.slot_of(handle) {
            self.on_kept_replaced(slot);
        }
        self.advance_query(now, handle);
    }

    /// A storing node has answered, or will not.
    fn on_stored(&mut self, now: Instant, handle: QueryHandle, addr: &CompactAddr, result: Storing) {
        let Some(query) = self.query_mut(handle) else { return };
        if let Some(candidate) = query.lookup.candidate_mut(addr)
            && matches!(candidate.storing, Storing::Sent | Storing::Again | Storing::Silent)
        {
            candidate.storing = result;
            if result == Storing::NeedsToken {
                candidate.marks.set(Marks::RENEWED, true);
            }
        }
        self.advance_query(now, handle);
    }

    /// An error has arrived: an answer, too, and a sign of life.
    pub(super) fn on_error(&mut self, now: Instant, from: &CompactAddr, error: &RemoteError<'_>) {
        let Some(asked) = self.transactions.answer(now, from, error.transaction) else {
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
                let Some(query) = self.query_mut(handle) else { return };
                let Some(Candidate { marks, .. }) = query.lookup.candidate_mut(from) else { return };
                // Nobody honest has codes beyond 16 bits.
                let code = i16::try_from(error.code).unwrap_or(if error.code < 0 { i16::MIN } else { i16::MAX });
                let result = match error.known() {
                    // The token may have grown old on the way; asking for another is cheap, but not twice.
                    Some(Code::Protocol) if !marks.has(Marks::RENEWED) => Storing::NeedsToken,
                    // It has just shown that it holds this very item; some refuse what is no news to them.
                    Some(Code::SequenceTooLow) if marks.has(Marks::COPY) => Storing::Accepted,
                    // What it compared with may be the item that reached it first.
                    Some(Code::CasMismatch | Code::SequenceTooLow) if marks.has(Marks::RESENT) => Storing::Doubtful,
                    Some(Code::Generic | Code::Server | Code::Protocol | Code::UnknownMethod) | None => {
                        Storing::Unable(code)
                    }
                    Some(_) => Storing::Refused(code),
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
        if let Some(candidate) = query.lookup.candidate_mut(addr) {
            candidate.storing = match candidate.storing {
                Storing::AskedForToken => Storing::unable(Code::Protocol),
                Storing::Checking => Storing::Silent,
                other => other,
            };
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
                Elapsed::Aged(Asked { purpose: Purpose::Store(handle), addr, .. }, age) => {
                    let Some(query) = self.query_mut(handle) else { continue };
                    query.lookup.on_store_late(&addr, age);
                    self.advance_query(now, handle);
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

    /// A full node is one of those that its own puts look for: if it is among the closest, it judges what it puts by the
    /// same rules as all others, before these are asked. Otherwise several writers who store for each other would each
    /// have another set of nodes.
    fn judge_own(&mut self, slot: Slot) {
        let Self { queries, store, .. } = self;
        let Some(query) = queries.get_mut(slot.index()) else { return };
        if self.config.read_only || query.follows || !query.lookup.is_among_closest(&self.id) {
            return;
        }
        query.own = match query.judge(store) {
            None => Storing::Unsent,
            Some(Ok(_)) => Storing::Sent,
            Some(Err(ItemError::CasMismatch { .. })) => Storing::refused(Code::CasMismatch),
            Some(Err(_)) => Storing::refused(Code::SequenceTooLow),
        };
    }

    /// Stores what was put here as well, if others have: a version that nobody else took would look like the newest to
    /// this node alone.
    fn store_own(&mut self, now: Instant, slot: Slot) {
        let Self { queries, store, .. } = self;
        let Some(query) = queries.get_mut(slot.index()) else { return };
        if query.own != Storing::Sent || !query.is_accepted() {
            return;
        }
        let target = *query.lookup.target();
        // Somebody else's may have come in the meantime.
        let kept = match (query.judge(store), query.item()) {
            (Some(Ok(Change::ReplaceIfVerified)), Some(item)) => {
                // It was verified when the put began.
                store.insert(now, &target, &item, &CompactAddr::UNSPECIFIED).is_ok()
            }
            (Some(Ok(_)), Some(_)) => store.refresh(now, &target, true),
            _ => false,
        };
        query.own = if kept { Storing::Accepted } else { Storing::Unsent };
    }

    /// Goes on with a query after something has happened to it.
    pub(super) fn advance_query(&mut self, now: Instant, handle: QueryHandle) {
        let Some(slot) = self.slot_of(handle) else { return };
        let Some(query) = self.queries.get_mut(slot.index()) else { return };
        let was_over = query.phase == Phase::Ended;
        if query.phase == Phase::Walking && (query.is_satisfied() || query.lookup.is_finished()) {
            query.phase = if query.aim.stores() { Phase::Storing } else { Phase::Ended };
            if query.aim.keeps() {
                self.on_kept_read(slot);
            } else if query.phase == Phase::Storing {
                self.judge_own(slot);
            }
        }
        let Some(query) = self.queries.get_mut(slot.index()) else { return };
        if query.phase == Phase::Storing {
            let waiting = |candidate: &Candidate| {
                matches!(
                    candidate.storing,
                    Storing::Sent
                        | Storing::NeedsToken
                        | Storing::AskedForToken
                        | Storing::Doubtful
                        | Storing::Checking
                )
            };
            let lookup = &mut query.lookup;
            let busy = lookup.candidates().iter().any(waiting) || lookup.next_to_store_on().is_some();
            if !busy && !lookup.has_spare() {
                query.phase = Phase::Ended;
            }
        }
        if query.phase == Phase::Ended {
            if !was_over {
                query.ended = now;
                self.store_own(now, slot);
            }
            let Some(query) = self.queries.get_mut(slot.index()) else { return };
            if query.aim.keeps() && !was_over {
                self.on_kept_announced(now, slot);
            }
            let Some(query) = self.queries.get_mut(slot.index()) else { return };
            if query.internal {
                self.release(handle);
                self.note_internal_end(now);
                return;
            }
            // What was found in one family need not be looked for in the other.
            let satisfied_twin = query.twin().filter(|_| !was_over && query.is_satisfied());
            if let Some(twin) = satisfied_twin.and_then(|twin| self.queries.get_mut(twin.index())) {
                twin.phase = Phase::Ended;
                twin.ended = now;
            }
        } else {
            self.mark_ready(slot);
        }
        self.mark_untold(slot);
    }
}
