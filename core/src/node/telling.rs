//! What the application does not know yet of our queries. A query in both families is one to the application: it has one
//! handle, tells a version only if it is newer than what either walk has told, and ends when both have.

use crate::event::{Event, Outcome, Peers, PutResult, QueryHandle};
use crate::links::Slot;
use crate::lookup::{Candidate, Marks, Storing};
use crate::node::Node;
use crate::node::query::{Phase, QuerySlot};
use crate::time::Duration;
use crate::wire::Code;

/// Something that the application does not know yet.
#[expect(clippy::large_enum_variant, reason = "one at a time, which is taken apart at once")]
pub(super) enum Untold {
    /// What lends nothing.
    Whole(Event<'static>),
    Found {
        query: QueryHandle,
        slot: Slot,
    },
    Peers {
        query: QueryHandle,
        slot: Slot,
        from: u16,
    },
}

/// What is told of storing on a node, once the query is over.
fn result_of(candidate: &Candidate) -> Option<PutResult> {
    Some(match candidate.storing {
        Storing::Unsent => return None,
        Storing::Accepted => PutResult::Accepted,
        Storing::Refused(code) | Storing::Unable(code) => PutResult::Refused(code.into()),
        Storing::NeedsToken | Storing::AskedForToken => PutResult::Refused(Code::Protocol.number().into()),
        Storing::Sent | Storing::Again | Storing::Doubtful | Storing::Checking | Storing::Silent => PutResult::Silent,
        Storing::Skipped => PutResult::Skipped,
    })
}

impl Node<'_> {
    /// What is to be told next. It counts as told.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn next_untold(&mut self) -> Option<Untold> {
        while let Some(slot) = self.untold.oldest() {
            let handle = self.handle_told(slot);
            let query = self.queries.get_mut(slot.index())?;
            if query.aim.keeps() {
                if let Some(announced) = self.end_of_announcement(slot, handle) {
                    return Some(announced);
                }
                self.unmark_untold(slot);
                continue;
            }
            if let Some(candidate) =
                query.lookup.candidates_mut().iter_mut().find(|candidate| candidate.marks.has(Marks::UNTOLD))
            {
                candidate.marks.set(Marks::UNTOLD, false);
                let Some(node) = candidate.id else { continue };
                let (addr, hop) = (candidate.addr.into(), candidate.hop);
                let round_trip = Duration::from_micros(candidate.round_trip.into());
                return Some(Untold::Whole(Event::Answered { query: handle, node, addr, hop, round_trip }));
            }
            if core::mem::take(&mut query.equivocal) {
                return Some(Untold::Whole(Event::Equivocation { query: handle, seq: query.seq }));
            }
            if core::mem::take(&mut query.value_untold) {
                let (seq, twin) = (Some(query.seq), query.twin());
                query.told = seq;
                let told_by_twin = twin.and_then(|twin| self.queries.get(twin.index())).and_then(|twin| twin.told);
                if told_by_twin < seq {
                    return Some(Untold::Found { query: handle, slot });
                }
                continue;
            }
            if query.has_untold_peers() {
                let from = query.peers_told;
                query.peers_told = u16::try_from(query.value.len()).unwrap_or(u16::MAX);
                return Some(Untold::Peers { query: handle, slot, from });
            }
            if query.phase == Phase::Ended
                && let Some((candidate, result)) = (query.lookup.candidates_mut().iter_mut())
                    .filter(|candidate| !candidate.marks.has(Marks::STORING_TOLD))
                    .find_map(|candidate| result_of(candidate).map(|result| (candidate, result)))
            {
                candidate.marks.set(Marks::STORING_TOLD, true);
                let Some(node) = candidate.id else { continue };
                let addr = candidate.addr.into();
                return Some(Untold::Whole(Event::Put { query: handle, node, addr, result }));
            }
            if query.phase == Phase::Ended
                && let Some(ended) = self.end_of(slot, handle)
            {
                return Some(ended);
            }
            self.unmark_untold(slot);
        }
        None
    }

    fn unmark_untold(&mut self, slot: Slot) {
        if let Some(query) = self.queries.get_mut(slot.index())
            && query.in_untold
        {
            query.in_untold = false;
            self.untold.remove(&mut self.queries, slot);
        }
    }

    /// The handle by which the application knows the query in this slot.
    fn handle_told(&self, slot: Slot) -> QueryHandle {
        let leader = self.queries.get(slot.index()).filter(|query| query.follows).and_then(QuerySlot::twin);
        self.handle_of(leader.unwrap_or(slot))
    }

    pub(super) fn twin_of(&self, query: &QuerySlot) -> Option<&QuerySlot> {
        self.queries.get(query.twin()?.index())
    }

    /// What became of a query and its twin.
    pub(super) fn outcome_of_both(&self, query: &QuerySlot) -> Outcome {
        let mut outcome = query.outcome();
        if let Some(twin) = self.twin_of(query) {
            outcome.merge(&twin.outcome());
        }
        outcome
    }

    /// The end of a query, if its twin has ended as well and has nothing else to tell.
    fn end_of(&mut self, slot: Slot, handle: QueryHandle) -> Option<Untold> {
        let query = self.queries.get(slot.index())?;
        if let Some(twin) = self.twin_of(query) {
            if twin.phase != Phase::Ended {
                // It will tell the end of both.
                return None;
            }
            if twin.has_untold_findings() || twin.has_untold_puts() {
                // First what it has found; it stands behind this one, and tells the end of both after that.
                let twin = query.twin()?;
                self.mark_untold(twin);
                return None;
            }
        }
        let outcome = self.outcome_of_both(query);
        self.release(handle);
        Some(Untold::Whole(Event::Ended { query: handle, outcome }))
    }

    /// The event of it, which lends from the query.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn lend(&self, untold: Untold) -> Option<Event<'_>> {
        Some(match untold {
            Untold::Whole(event) => event,
            Untold::Found { query, slot } => Event::Found { query, item: self.queries.get(slot.index())?.item()? },
            Untold::Peers { query, slot, from } => {
                let found = self.queries.get(slot.index())?;
                Event::Peers {
                    query,
                    peers: Peers { family: found.family, compact: found.value.get(usize::from(from)..)? },
                }
            }
        })
    }
}
