//! Keeping an item alive (BEP 44, "Expiration"): what the node keeps is announced as soon as possible, and then once an
//! hour, without anybody's secret key. An announcement is a query of the node's own. It reads first, and stores what is
//! kept only where that is of use; a newer version that it meets is kept in the place of the old one.

use crate::addr::{CompactAddr, Family};
use crate::crypto::Signature;
use crate::error::{KeepError, QueryError};
use crate::event::{Event, QueryHandle};
use crate::id::Target;
use crate::item::{Item, judge};
use crate::links::Slot;
use crate::lookup::Storing;
use crate::node::Node;
use crate::node::query::{Aim, Phase, QuerySlot};
use crate::node::telling::Untold;
use crate::store::{Full, LastAnnouncement, Store};
use crate::time::Instant;

/// Each time, up to this part of the interval is taken off: so that many nodes which keep one item, or many items that
/// were kept at once, drift apart. It never gets longer, because two intervals are what an item lives elsewhere: an
/// announcement that fails must not end it.
const JITTER: u32 = 6;

/// The pause between the beginnings of two announcements, so that many items make no flood. Who keeps more than fit into
/// half of the interval announces them faster. In milliseconds.
const PACE: u32 = 1_000;

/// The part of the interval after which an announcement is tried again that nobody at all has answered.
const UNANSWERED: u32 = 12;

/// The pause when there is no free query for an announcement, in milliseconds.
const BUSY_PAUSE: u32 = 1_000;

/// One query in so many may be an announcement (but one always, and never more than the second figure).
const QUERIES: (usize, usize) = (8, 16);

impl Node<'_> {
    pub(super) fn start_keeping(&mut self, item: &Item<'_>, due: Instant) -> Result<(), KeepError> {
        let target = item.target();
        if let Item::Mutable(new) = item {
            new.verify()?;
            if let Some(stored) = self.store.get_mutable(&target) {
                judge(&stored, new, None)?;
            }
        }
        self.store.keep(&target, item, due).map_err(|Full| KeepError::NoRoom)
    }

    pub(super) fn stop_keeping(&mut self, now: Instant, target: &Target) -> bool {
        let announces = |query: &QuerySlot| {
            query.phase != Phase::Free && query.aim.keeps() && !query.follows && query.lookup.target() == target
        };
        while let Some(at) = self.queries.iter().position(announces)
            && let Some(slot) = Slot::new(at)
        {
            self.release(self.handle_of(slot));
        }
        // One of each kind can be kept under one target.
        let mutable = self.store.forget(now, target, true);
        self.store.forget(now, target, false) || mutable
    }

    /// When the next announcement is due that begins now.
    fn next_due(&mut self, now: Instant) -> Instant {
        let interval = self.config.keep_interval;
        now.after_millis(interval - self.rng.below(interval / JITTER))
    }

    /// When an announcement is to begin. A node that knows nobody waits until it does.
    pub(super) fn keep_deadline(&self) -> Option<Instant> {
        let due = self.store.next_announcement()?;
        (self.knows_somebody() && !self.transactions.is_full()).then_some(due.max(self.announce_from))
    }

    /// Begins the announcement that is due, and writes its first question into `buf`.
    pub(super) fn next_announcement(&mut self, now: Instant, buf: &mut [u8]) -> Option<(CompactAddr, usize)> {
        if self.keep_deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        let (target, mutable) = self.store.next_kept()?;
        let announcements = u32::try_from(2 * self.store.kept_len()).unwrap_or(u32::MAX).max(1);
        let pause = self.config.keep_interval / announcements;
        if !self.may_announce() || self.announce_item(now, target, mutable).is_err() {
            self.announce_from = now.after_millis(BUSY_PAUSE);
            return None;
        }
        self.announce_from = now.after_millis(PACE.min(pause));
        // Whatever becomes of it, the next one is not forgotten.
        let due = self.next_due(now);
        self.store.reschedule(&target, mutable, due, None);
        self.next_question(now, buf)
    }

    /// Whether an announcement may begin: it leaves a query for the application, or nothing else runs at all.
    fn may_announce(&self) -> bool {
        let (part, most) = QUERIES;
        let runs = |query: &&QuerySlot| query.phase != Phase::Free;
        let running = self.queries.iter().filter(runs).count();
        let announcing = self.queries.iter().filter(runs).filter(|query| query.aim.keeps()).count();
        let families = Family::ALL.into_iter().filter(|family| self.tables.get(*family).has_room_at_all());
        let leaves_some = running + families.count() < self.queries.len();
        announcing < (self.queries.len() / part).clamp(1, most) && (leaves_some || running == 0)
    }

    fn announce_item(&mut self, now: Instant, target: Target, mutable: bool) -> Result<(), QueryError> {
        let handle = self.start(now, target, Aim::Keep { mutable })?;
        let slot = self.slot_of(handle);
        let twin = slot.and_then(|slot| self.queries.get(slot.index())).and_then(QuerySlot::twin);
        let Self { store, queries, .. } = self;
        for slot in [slot, twin].into_iter().flatten() {
            if let Some(query) = queries.get_mut(slot.index()) {
                take_kept(query, store, mutable);
            }
        }
        Ok(())
    }

    /// All have been read: decides whether storing is of use.
    pub(super) fn on_kept_read(&mut self, slot: Slot) {
        self.agree_with_store(slot);
        let Some(query) = self.queries.get_mut(slot.index()) else { return };
        // From here on, it says that the version has changed once more.
        query.value_untold = false;
        let spared = self.store.last_announcement(query.lookup.target(), query.aim.is_mutable_keep());
        // What is spared refreshes nothing. If all who keep an item spared it for as long as it is plentiful, it would
        // expire everywhere at once: so never twice in a row.
        let again = matches!(spared, Some(LastAnnouncement::Skipped { .. }));
        if query.is_plentiful() && !again {
            query.own = Storing::Skipped;
            query.phase = Phase::Ended;
        }
    }

    /// Another version has taken the place of the one that was being stored.
    pub(super) fn on_kept_replaced(&mut self, slot: Slot) {
        self.agree_with_store(slot);
        if let Some(query) = self.queries.get_mut(slot.index()) {
            query.value_untold = false;
            query.begin_storing_anew();
        }
    }

    /// The newer of what the walk has found and what is kept is announced and kept. Of two values with one number it is
    /// the one that the walk decided for, with ours among the votes.
    fn agree_with_store(&mut self, slot: Slot) {
        let Self { store, queries, .. } = self;
        let Some(query) = queries.get_mut(slot.index()) else { return };
        let Some(stored) = store.get_mutable(query.lookup.target()).filter(|_| query.aim.is_mutable_keep()) else {
            return;
        };
        if stored.seq() > query.seq {
            take_kept(query, store, true);
        } else if (stored.seq() < query.seq || stored.value() != query.value.as_slice())
            && let Some(found) = query.mutable_item()
        {
            // If there is no room for it, it is announced all the same, and found again in an hour.
            let _ = store.adopt(&found.target(), &Item::Mutable(found));
        }
    }

    /// An announcement has ended in one family; in the other as well, if it runs there.
    pub(super) fn on_kept_announced(&mut self, now: Instant, slot: Slot) {
        let Some(query) = self.queries.get(slot.index()) else { return };
        if self.twin_of(query).is_some_and(|twin| twin.phase != Phase::Ended) {
            return;
        }
        let (target, mutable) = (*query.lookup.target(), query.aim.is_mutable_keep());
        let (outcome, skipped) = (self.outcome_of_both(query), self.was_skipped(query));
        let in_octet = |count| u8::try_from(count).unwrap_or(u8::MAX);
        let (copies, accepted) = (in_octet(outcome.copies), in_octet(outcome.accepted));
        let last = match (skipped, outcome.answered) {
            (true, _) => LastAnnouncement::Skipped { copies },
            (false, 0) => LastAnnouncement::Unanswered,
            (false, _) => LastAnnouncement::Sent { copies, accepted },
        };
        let Some(mut due) = self.store.kept_due(&target, mutable) else { return };
        if last == LastAnnouncement::Unanswered {
            due = due.min(now.after_millis(self.config.keep_interval / UNANSWERED));
        }
        self.store.reschedule(&target, mutable, due, Some(last));
    }

    /// Whether storing was spared, in both families.
    fn was_skipped(&self, query: &QuerySlot) -> bool {
        let spared = |query: &QuerySlot| query.own == Storing::Skipped;
        spared(query) && self.twin_of(query).is_none_or(spared)
    }

    /// What is told of an announcement that has ended. Its query is free then.
    pub(super) fn end_of_announcement(&mut self, slot: Slot, handle: QueryHandle) -> Option<Untold> {
        let query = self.queries.get(slot.index())?;
        let twin = self.twin_of(query);
        if twin.is_some_and(|twin| twin.phase != Phase::Ended) {
            // That one tells the end of both.
            return None;
        }
        let (target, mutable) = (*query.lookup.target(), query.aim.is_mutable_keep());
        let (outcome, skipped) = (self.outcome_of_both(query), self.was_skipped(query));
        let seq = twin.map_or(query.seq, |twin| query.seq.max(twin.seq));
        let next = self.store.kept_due(&target, mutable);
        self.release(handle);
        let seq = mutable.then_some(seq);
        Some(Untold::Whole(Event::Announced { target, seq, skipped, outcome, next: next? }))
    }
}

/// Lets a walk begin with, or go over to, what is kept.
fn take_kept(query: &mut QuerySlot, store: &Store<'_>, mutable: bool) {
    let target = *query.lookup.target();
    if mutable {
        let Some(stored) = store.get_mutable(&target) else { return };
        query.key = *stored.key();
        query.salt.clear();
        // A stored salt is within the limit.
        let _ = query.salt.extend_from_slice(stored.salt());
        query.keep(stored.value(), stored.seq(), *stored.signature());
        query.newest = Some(stored.seq());
    } else if let Some(stored) = store.get_immutable(&target) {
        query.keep(stored.value(), 0, Signature([0; 64]));
    }
}
