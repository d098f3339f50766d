//! What the node keeps of its own accord: it stays until the host forgets it, and stands in an order of its own, sorted
//! by when it is to be announced again. Whether and how that is done is not decided here.

use crate::id::Target;
use crate::item::Item;
use crate::links::Slot;
use crate::store::{Claim, Full, Kind, Pending, Store};
use crate::time::Instant;

/// How the last announcement of a kept item went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LastAnnouncement {
    /// There was none yet.
    #[default]
    Never,
    /// Nobody answered: perhaps our own line was down.
    Unanswered,
    /// It was spared: enough nodes have the item.
    Skipped {
        /// Nodes that have it.
        copies: u8,
    },
    /// It was sent.
    Sent {
        /// Nodes that had it before.
        copies: u8,
        /// Nodes that accepted it. None has it for sure if both are 0.
        accepted: u8,
    },
}

/// An item that the node keeps: announces again and again, until it is told to forget it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Where it is stored.
    pub target: Target,
    /// The item, in the newest version that is known.
    pub item: Item<'a>,
    /// When it is to be announced next, if somebody is there then to be asked.
    pub due: Instant,
    /// How the last announcement went.
    pub last: LastAnnouncement,
}

impl Store<'_> {
    /// Keeps `item`, whose target is `target`, from now on: to be announced when it is `due`. An earlier version is
    /// replaced, whatever its sequence number. Strangers' items are evicted for it.
    pub(crate) fn keep(&mut self, target: &Target, item: &Item<'_>, due: Instant) -> Result<(), Full> {
        let stored = match item {
            Item::Immutable(_) => self.get_immutable(target).map(Item::Immutable),
            Item::Mutable(_) => self.get_mutable(target).map(Item::Mutable),
        };
        // Another signature of the same is no other version.
        let same = stored.is_some_and(|stored| {
            let seq = |item: &Item<'_>| item.as_mutable().map(crate::item::MutableItem::seq);
            stored.value() == item.value() && seq(&stored) == seq(item)
        });
        match self.find(target, Kind::of(item)).filter(|_| same) {
            Some(slot) => {
                self.change(slot, true, due);
                Ok(())
            }
            None => self.put(target, item, Claim::Own { due }, false).map(|_evicted| ()),
        }
    }

    /// Ends keeping: the item is one like any other, and expires unless somebody refreshes it. Says whether it was kept.
    pub(crate) fn forget(&mut self, now: Instant, target: &Target, mutable: bool) -> bool {
        let kept = self.find_kept(target, mutable);
        if let Some(slot) = kept {
            self.change(slot, false, now.after_micros(self.lifetime));
        }
        kept.is_some()
    }

    fn change(&mut self, slot: Slot, kept: bool, until: Instant) {
        self.leave(slot);
        let Some(target) = self.record(slot).map(|record| record.target) else { return };
        // Like an item that is restored, it counts as a source of its own if nobody else stored it first.
        let source = self.sources.group_of(&self.records, target.as_bytes());
        if let Some(record) = self.records.get_mut(slot.index()) {
            (record.kept, record.expires) = (kept, until);
            record.source = record.source.or(source);
        }
        self.enter(slot);
        self.note(slot, Pending::Refreshed);
    }

    fn find_kept(&self, target: &Target, mutable: bool) -> Option<Slot> {
        let kind = if mutable { Kind::Mutable } else { Kind::Immutable };
        self.find(target, kind).filter(|slot| self.record(*slot).is_some_and(|record| record.kept))
    }

    /// Whether the item is kept.
    pub(crate) fn is_kept(&self, target: &Target, mutable: bool) -> bool {
        self.find_kept(target, mutable).is_some()
    }

    /// How many items are kept.
    pub(crate) const fn kept_len(&self) -> usize {
        self.kept.len()
    }

    /// All that is kept, what is due first before the rest.
    pub(crate) fn kept(&self) -> impl Iterator<Item = Kept<'_>> {
        self.kept.iter(&self.records).filter_map(|slot| {
            let record = self.record(slot)?;
            let item = self.read(slot)?.item;
            Some(Kept { target: record.target, item, due: record.expires, last: record.last })
        })
    }

    /// Sets when a kept item is to be announced next; `last` says how it went. A walk past those that are due later.
    pub(crate) fn reschedule(&mut self, target: &Target, mutable: bool, due: Instant, last: Option<LastAnnouncement>) {
        let Some(slot) = self.find_kept(target, mutable) else { return };
        self.leave(slot);
        if let Some(record) = self.records.get_mut(slot.index()) {
            record.expires = due;
            record.last = last.unwrap_or(record.last);
        }
        self.enter(slot);
    }

    /// What is to be announced first, and whether it is a mutable item.
    pub(crate) fn next_kept(&self) -> Option<(Target, bool)> {
        let record = self.record(self.kept.oldest()?)?;
        Some((record.target, record.kind == Kind::Mutable))
    }

    /// When the first of what is kept is to be announced.
    pub(crate) fn next_announcement(&self) -> Option<Instant> {
        Some(self.record(self.kept.oldest()?)?.expires)
    }

    /// When this item is to be announced next, if it is kept.
    pub(crate) fn kept_due(&self, target: &Target, mutable: bool) -> Option<Instant> {
        Some(self.record(self.find_kept(target, mutable)?)?.expires)
    }

    /// How the last announcement of this item went, if it is kept.
    pub(crate) fn last_announcement(&self, target: &Target, mutable: bool) -> Option<LastAnnouncement> {
        Some(self.record(self.find_kept(target, mutable)?)?.last)
    }

    /// Puts a version found elsewhere in the place of the one that is kept; it is announced when that was due.
    pub(crate) fn adopt(&mut self, target: &Target, item: &Item<'_>) -> Result<(), Full> {
        if !self.is_kept(target, item.as_mutable().is_some()) {
            return Ok(());
        }
        let claim = Claim::Stranger { source: None, expires: Instant::ZERO };
        self.put(target, item, claim, false).map(|_evicted| ())
    }
}
