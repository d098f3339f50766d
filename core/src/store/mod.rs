//! Items that strangers gave us to keep: bounded in number and in octets, found in constant time, gone after a while.
//!
//! Nothing is judged here: whether an item may be stored, and whether it may replace another, is decided by the rules of
//! [`item`](crate::item) before it comes here. An immutable and a mutable item under one target are two items.
//!
//! **Expiry.** An item lives for a constant time after it was stored, replaced or refreshed; at the end of that time
//! exactly it is gone, as soon as [`expire`](Store::expire) is called. Reading it prolongs nothing.
//!
//! **When it is full**, in number or in octets, somebody's oldest item goes; whose, is said in [`fair`](crate::fair).
//! Whoever stored an item first is its source for good: otherwise a stranger could repeat the item of another, have it
//! counted as its own and push it out. An item costs 6 octets and its value, a mutable one 105 more and its salt; of the
//! arena all can be filled if it has up to 64 KiB, and otherwise three quarters ([`arena`]).
//!
//! **What the node keeps of its own accord** ([`kept`]) neither expires nor is evicted, and belongs to no source. It takes
//! records and octets like all others: strangers share what it leaves.
//!
//! **Reports.** What happened to an item since the host asked last is a state of its record, so that nothing can
//! overflow. Records are reported in the order in which they first had something to report. Of several things that
//! happened, this is told:
//!
//! | before | now | told |
//! | --- | --- | --- |
//! | stored | replaced or refreshed | stored, as it is now |
//! | replaced | replaced or refreshed | replaced, as it is now |
//! | refreshed | refreshed / replaced | refreshed / replaced, as it is now |
//! | anything but dropped | a newer version of what the node keeps was adopted | adopted, as it is now |
//! | stored | dropped | nothing: the host never knew of it |
//! | replaced or refreshed | dropped | dropped |
//! | dropped | stored again, or taken back | both, in this order |
//!
//! A record that was dropped is kept until that was told, unless the record is needed. Then the report moves to a place
//! of its own, of which there is one: a host that asks after each packet misses nothing; one that does not may miss that
//! an item was dropped, which is harmless (what it restores later is verified, and expires). That an item was stored,
//! replaced or refreshed is never missed as long as the item is there.

mod arena;
mod kept;

use self::arena::{Arena, HEADER};
pub use self::kept::{Kept, LastAnnouncement};
use crate::addr::CompactAddr;
use crate::crypto::{PublicKey, Signature};
use crate::event::Event;
use crate::fair::{Group, Sourced, Sources};
use crate::id::Target;
use crate::item::{ImmutableItem, Item, MutableItem};
use crate::links::{Chain, Chained, Expiring, Index, Link, Linked, Order, Slot};
use crate::list::{Empty, Slots};
use crate::time::{Duration, Instant, micros};

/// Octets of a mutable item besides salt and value: key, signature, sequence number, length of the salt.
const MUTABLE_HEAD: usize = 32 + 64 + 8 + 1;

/// The order of a record among those that live (sorted by expiry), that the node keeps (sorted by when they are due), that
/// were dropped, or that are free.
const AGE: usize = 0;
/// The order of the records that have something to report.
const REPORT: usize = 2;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Immutable,
    Mutable,
}

impl Kind {
    const fn of(item: &Item<'_>) -> Self {
        match item {
            Item::Immutable(_) => Self::Immutable,
            Item::Mutable(_) => Self::Mutable,
        }
    }
}

/// What the host has not been told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Stored,
    Replaced,
    Refreshed,
    Adopted,
    // Not one variant with a reason: `Nothing` would not be zero in memory then.
    Expired,
    Evicted,
}

/// The record of one stored item: 92 octets, besides those in the arena.
#[derive(Debug)]
pub struct ItemSlot {
    /// When it expires; of an item that the node keeps, when it is to be announced again.
    expires: Instant,
    target: Target,
    /// Where its blob lies in the arena, and how long it is.
    offset: u32,
    len: u16,
    kind: Kind,
    pending: Pending,
    /// Whether the node keeps it, and how announcing it went.
    kept: bool,
    last: LastAnnouncement,
    source: Option<Slot>,
    /// For the orders [`AGE`], [`SOURCE`](crate::fair::SOURCE) and [`REPORT`].
    links: [Link; 3],
    // These two may have nothing to do with the item in this record; see `Chain` and `Group`.
    chain: Chain,
    group: Group,
}

impl Empty for ItemSlot {
    const EMPTY: Self = Self {
        expires: Instant::ZERO,
        target: Target::ZERO,
        offset: 0,
        len: 0,
        kind: Kind::Nothing,
        pending: Pending::Nothing,
        kept: false,
        last: LastAnnouncement::Never,
        source: None,
        links: [Link::EMPTY; 3],
        chain: Chain::EMPTY,
        group: Group::EMPTY,
    };
}

impl ItemSlot {
    /// Octets in the arena.
    fn octets(&self) -> u32 {
        HEADER as u32 + u32::from(self.len)
    }
}

impl Linked for ItemSlot {
    fn links(&self) -> &[Link] {
        &self.links
    }
    fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }
}

impl Expiring for ItemSlot {
    fn expires(&self) -> Instant {
        self.expires
    }
}

impl Chained for ItemSlot {
    fn chain(&self) -> &Chain {
        &self.chain
    }
    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

impl Sourced for ItemSlot {
    fn group(&self) -> Group {
        self.group
    }
    fn set_group(&mut self, group: Group) {
        self.group = group;
    }
}

/// Why an item is not stored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// Nobody refreshed it in time.
    Expired,
    /// The store was full, and another item took its room.
    Evicted,
}

/// An item in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Where it is stored.
    pub target: Target,
    /// The item.
    pub item: Item<'a>,
    /// When it will be dropped unless somebody refreshes it; [`Instant::FAR`] if the node keeps it.
    pub expires: Instant,
    /// Whether the node keeps it ([`Node::keep`](crate::Node::keep)).
    pub kept: bool,
}

/// The item can never fit: the store has no records, or its arena is smaller than the item, or what the node keeps leaves
/// no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// For whom an item is stored.
#[derive(Debug, Clone, Copy)]
enum Claim {
    /// For a stranger, until it expires.
    Stranger { source: Option<Slot>, expires: Instant },
    /// For ourselves, to be announced when it is due.
    Own { due: Instant },
}

/// What becomes of a record by a claim.
struct Terms {
    kept: bool,
    source: Option<Slot>,
    until: Instant,
    news: Pending,
}

impl Terms {
    /// `held` is the record, if the item is stored in an earlier version. It stays with whom it belonged to first.
    fn of(claim: Claim, held: Option<&ItemSlot>) -> Self {
        match (held, claim) {
            (None, Claim::Stranger { source, expires }) => {
                Self { kept: false, source, until: expires, news: Pending::Stored }
            }
            (None, Claim::Own { due }) => Self { kept: true, source: None, until: due, news: Pending::Stored },
            (Some(held), Claim::Own { due }) => {
                Self { kept: true, source: held.source, until: due, news: Pending::Replaced }
            }
            // A newer version changes nothing about when it is announced: otherwise strangers would decide on that.
            (Some(held), Claim::Stranger { .. }) if held.kept => {
                Self { kept: true, source: held.source, until: held.expires, news: Pending::Adopted }
            }
            (Some(held), Claim::Stranger { expires, .. }) => {
                Self { kept: false, source: held.source, until: expires, news: Pending::Replaced }
            }
        }
    }
}

/// The report of a drop whose record was needed before it was told.
#[derive(Debug, Clone, Copy)]
struct Displaced {
    target: Target,
    mutable: bool,
    reason: DropReason,
}

/// Items over memory that the caller lends. All operations take constant time on average, apart from moving octets in
/// the arena and where something else is said.
#[derive(Debug)]
pub(crate) struct Store<'m> {
    records: Slots<'m, ItemSlot>,
    arena: Arena<'m>,
    /// In microseconds.
    lifetime: u64,
    reports_wanted: bool,
    index: Index,
    sources: Sources,
    /// The records that were never used are those from here on.
    unused: usize,
    /// Sorted by expiry.
    live: Order<AGE>,
    /// Sorted by when they are due.
    kept: Order<AGE>,
    /// Octets that those take of the arena.
    kept_octets: usize,
    dropped: Order<AGE>,
    free: Order<AGE>,
    reports: Order<REPORT>,
    displaced: Option<Displaced>,
}

impl<'m> Store<'m> {
    /// An empty store; what was in `records` and `arena` before is lost. `lifetime` is that of every item (BEP 44
    /// recommends 2 hours). `hash_key` must be unpredictable. Without `reports_wanted` nothing is ever reported.
    pub(crate) fn new(
        mut records: Slots<'m, ItemSlot>,
        arena: Slots<'m, u8>,
        lifetime: Duration,
        hash_key: u64,
        reports_wanted: bool,
    ) -> Self {
        // The caller's memory may have served another node before.
        records.fill_with(|| ItemSlot::EMPTY);
        let arena = Arena::new(arena);
        let sources = Sources::new(hash_key, records.len(), arena.limit());
        Self {
            records,
            arena,
            lifetime: micros(lifetime),
            reports_wanted,
            index: Index::new(hash_key),
            sources,
            unused: 0,
            live: Order::EMPTY,
            kept: Order::EMPTY,
            kept_octets: 0,
            dropped: Order::EMPTY,
            free: Order::EMPTY,
            reports: Order::EMPTY,
            displaced: None,
        }
    }

    /// How many items are stored.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.live.len() + self.kept.len()
    }

    /// How many octets of the arena they take.
    pub(crate) const fn bytes(&self) -> usize {
        self.arena.live()
    }

    fn record(&self, slot: Slot) -> Option<&ItemSlot> {
        self.records.get(slot.index())
    }

    fn find(&self, target: &Target, kind: Kind) -> Option<Slot> {
        let hash = self.index.hash(target.as_bytes());
        Index::candidates(&self.records, hash)
            .find(|slot| self.record(*slot).is_some_and(|record| record.kind == kind && record.target == *target))
    }

    fn read(&self, slot: Slot) -> Option<Stored<'_>> {
        let record = self.record(slot)?;
        let blob = self.arena.blob(record.offset, record.len)?;
        let item = match record.kind {
            Kind::Nothing => return None,
            Kind::Immutable => Item::Immutable(ImmutableItem::of_canonical(blob).ok()?),
            Kind::Mutable => Item::Mutable(read_mutable(blob)?),
        };
        let expires = if record.kept { Instant::FAR } else { record.expires };
        Some(Stored { target: record.target, item, expires, kept: record.kept })
    }

    /// The item under `target`: the mutable one, or else the immutable one.
    ///
    /// Both may be there without a collision of SHA-1: where key and salt together happen to be a bencoded value,
    /// everybody can store that value as an immutable item. Only the holder of the key can store the mutable one, so
    /// nobody can hide an item of another this way.
    pub(crate) fn get(&self, target: &Target) -> Option<Item<'_>> {
        match self.get_mutable(target) {
            Some(item) => Some(Item::Mutable(item)),
            None => self.get_immutable(target).map(Item::Immutable),
        }
    }

    /// The immutable item under `target`.
    pub(crate) fn get_immutable(&self, target: &Target) -> Option<ImmutableItem<'_>> {
        let record = self.record(self.find(target, Kind::Immutable)?)?;
        ImmutableItem::of_canonical(self.arena.blob(record.offset, record.len)?).ok()
    }

    /// The mutable item under `target`.
    pub(crate) fn get_mutable(&self, target: &Target) -> Option<MutableItem<'_>> {
        let record = self.record(self.find(target, Kind::Mutable)?)?;
        read_mutable(self.arena.blob(record.offset, record.len)?)
    }

    /// All items, the next to expire first (the best order for [`restore`](Self::restore)), and behind them those that the
    /// node keeps.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Stored<'_>> {
        self.live.iter(&self.records).chain(self.kept.iter(&self.records)).filter_map(|slot| self.read(slot))
    }

    /// When the next item expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        Some(self.record(self.live.oldest()?)?.expires)
    }

    /// Drops all items whose time is over and says how many. Each item costs this once in its life.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while let Some(slot) = self.live.oldest()
            && self.record(slot).is_some_and(|record| record.expires <= now)
        {
            self.discard(slot, DropReason::Expired);
            count += 1;
        }
        count
    }

    /// Stores `item`, whose target is `target` and which the node at `source` sent. A mutable item of the same target is
    /// replaced, whatever its sequence number; an immutable one is refreshed. What the node keeps it keeps on, in this
    /// version. Says how many others were evicted for it.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        target: &Target,
        item: &Item<'_>,
        source: &CompactAddr,
    ) -> Result<usize, Full> {
        if item.as_mutable().is_none() && self.refresh(now, target, false) {
            return Ok(0);
        }
        let source = self.sources.group_of(&self.records, &source.network().to_le_bytes());
        self.put(target, item, Claim::Stranger { source, expires: now.after_micros(self.lifetime) }, false)
    }

    /// Takes back an item that the host was told of in an earlier life, and that has `remaining` to live (at most the
    /// lifetime). Its signature must have been verified. If it is stored already, the higher sequence number stays, and
    /// what is stored if they are equal. Nobody knows any more who stored it, so each counts as a source of its own. Says
    /// whether it is taken back.
    ///
    /// Constant time if no item is restored before one that expires earlier; otherwise a walk past those that expire
    /// later.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        target: &Target,
        item: &Item<'_>,
        remaining: Duration,
    ) -> Result<bool, Full> {
        let is_newer = match item {
            Item::Immutable(_) => self.find(target, Kind::Immutable).is_none(),
            Item::Mutable(item) => self.get_mutable(target).is_none_or(|stored| stored.seq() < item.seq()),
        };
        if remaining.is_zero() || !is_newer {
            return Ok(false);
        }
        let source = self.sources.group_of(&self.records, target.as_bytes());
        let expires = now.after_micros(micros(remaining).min(self.lifetime));
        self.put(target, item, Claim::Stranger { source, expires }, true).map(|_evicted| true)
    }

    /// Begins the life of an item anew, unless the node keeps it: that has no end. Says whether it is there.
    pub(crate) fn refresh(&mut self, now: Instant, target: &Target, mutable: bool) -> bool {
        let kind = if mutable { Kind::Mutable } else { Kind::Immutable };
        let Some(slot) = self.find(target, kind) else { return false };
        let expires = now.after_micros(self.lifetime);
        let Some(record) = self.records.get_mut(slot.index()) else { return false };
        if record.kept {
            return true;
        }
        let source = record.source;
        record.expires = expires;
        self.live.remove(&mut self.records, slot);
        self.live.place(&mut self.records, slot);
        Sources::renew(&mut self.records, slot, source);
        self.note(slot, Pending::Refreshed);
        true
    }

    fn put(&mut self, target: &Target, item: &Item<'_>, claim: Claim, known: bool) -> Result<usize, Full> {
        let kind = Kind::of(item);
        let len = blob_len(item);
        let found = self.find(target, kind);
        let held = found.and_then(|slot| self.record(slot));
        if !self.arena.can_hold(len) || !self.may_evict_enough(len, held) {
            return Err(Full);
        }
        // What the arena can hold is shorter than 2^16.
        let len = len as u16;
        let octets = HEADER as u32 + u32::from(len);
        let Terms { kept, source, until, news } = Terms::of(claim, held);
        let mut evicted = 0;

        // Out of the orders first, so that it cannot be evicted for itself.
        let in_place = found.and_then(|slot| self.detach(slot, len));
        if in_place.is_none() {
            while !self.arena.has_room(usize::from(len)) && self.evict(source, octets) {
                evicted += 1;
            }
        }
        let slot = match found {
            Some(slot) => slot,
            None => match self.acquire() {
                Some(slot) => slot,
                None => {
                    evicted += usize::from(self.evict(source, octets));
                    self.acquire().ok_or(Full)?
                }
            },
        };
        let Self { records, arena, .. } = self;
        let offset = in_place.or_else(|| {
            arena.reserve(slot, len, |moved, offset| {
                if let Some(record) = records.get_mut(moved.index()) {
                    record.offset = offset;
                }
            })
        });
        let blob = offset.and_then(|offset| Some((offset, arena.blob_mut(offset, len)?)));
        let (Some((offset, blob)), Some(record)) = (blob, records.get_mut(slot.index())) else {
            // Cannot be, since it can be held and enough could be evicted.
            return Err(Full);
        };
        write_blob(item, blob);
        (record.offset, record.len, record.expires) = (offset, len, until);
        (record.kept, record.source) = (kept, source);
        if found.is_none() {
            (record.target, record.kind, record.last) = (*target, kind, LastAnnouncement::Never);
            Index::insert(records, slot, self.index.hash(target.as_bytes()));
        }
        self.enter(slot);
        if !known {
            self.note(slot, news);
        }
        Ok(evicted)
    }

    /// Whether a blob of `len` octets fits, perhaps in place of what is `held`, when all goes that may go.
    fn may_evict_enough(&self, len: usize, held: Option<&ItemSlot>) -> bool {
        let own = held.filter(|held| held.kept).map_or(0, |held| held.octets() as usize);
        let pinned = self.kept_octets.saturating_sub(own);
        pinned + HEADER + len <= self.arena.limit() && (held.is_some() || self.kept.len() < self.records.len())
    }

    /// Enters a record, of which all is set, into the orders.
    fn enter(&mut self, slot: Slot) {
        let Some(record) = self.records.get(slot.index()) else { return };
        let (source, octets) = (record.source, record.octets());
        if record.kept {
            self.kept.place(&mut self.records, slot);
            self.kept_octets += octets as usize;
        } else {
            self.live.place(&mut self.records, slot);
            self.sources.enter(&mut self.records, slot, source, octets);
        }
    }

    /// Takes a record out of the orders.
    fn leave(&mut self, slot: Slot) {
        let Some(record) = self.records.get(slot.index()) else { return };
        let (source, octets) = (record.source, record.octets());
        if record.kept {
            self.kept.remove(&mut self.records, slot);
            self.kept_octets = self.kept_octets.saturating_sub(octets as usize);
        } else {
            self.live.remove(&mut self.records, slot);
            self.sources.leave(&mut self.records, slot, source, octets);
        }
    }

    /// Takes a record out of the orders, and gives up its blob unless its length is `len`: then answers where it is.
    fn detach(&mut self, slot: Slot, len: u16) -> Option<u32> {
        self.leave(slot);
        let record = self.records.get(slot.index())?;
        let offset = record.offset;
        if record.len == len {
            return Some(offset);
        }
        self.arena.free(offset);
        None
    }

    /// A record without an item: one that is free, or that nobody used yet, or whose drop nobody asked for.
    fn acquire(&mut self) -> Option<Slot> {
        if let Some(slot) = self.free.pop(&mut self.records) {
            return Some(slot);
        }
        if self.unused < self.records.len() {
            self.unused += 1;
            return Slot::new(self.unused - 1);
        }
        let slot = self.dropped.pop(&mut self.records)?;
        self.reports.remove(&mut self.records, slot);
        self.displaced = self.records.get_mut(slot.index()).and_then(take_drop);
        Some(slot)
    }

    /// Evicts one item for a newcomer of `octets` octets from `source`; says whether there was one.
    fn evict(&mut self, source: Option<Slot>, octets: u32) -> bool {
        let victim = self.sources.victim(&self.records, source, octets).or(self.live.oldest());
        if let Some(slot) = victim {
            self.discard(slot, DropReason::Evicted);
        }
        victim.is_some()
    }

    /// Drops a live item.
    fn discard(&mut self, slot: Slot, reason: DropReason) {
        let Some(record) = self.record(slot) else { return };
        let (offset, pending) = (record.offset, record.pending);
        let hash = self.index.hash(record.target.as_bytes());
        self.leave(slot);
        self.arena.free(offset);
        Index::remove(&mut self.records, slot, hash);
        if self.reports_wanted && pending != Pending::Stored {
            let news = match reason {
                DropReason::Expired => Pending::Expired,
                DropReason::Evicted => Pending::Evicted,
            };
            self.note(slot, news);
            self.dropped.push(&mut self.records, slot);
            return;
        }
        if pending != Pending::Nothing {
            self.reports.remove(&mut self.records, slot);
        }
        if let Some(record) = self.records.get_mut(slot.index()) {
            (record.kind, record.pending) = (Kind::Nothing, Pending::Nothing);
        }
        self.free.push(&mut self.records, slot);
    }

    /// Notes what is to be reported, merged with what has not been told yet.
    fn note(&mut self, slot: Slot, news: Pending) {
        let Some(record) = self.records.get_mut(slot.index()) else { return };
        // Of what it keeps for the host, it always tells.
        if !self.reports_wanted && news != Pending::Adopted {
            return;
        }
        let before = record.pending;
        record.pending = match (before, news) {
            (Pending::Adopted, Pending::Replaced | Pending::Refreshed) => Pending::Adopted,
            (Pending::Stored, news) if news != Pending::Adopted => Pending::Stored,
            (Pending::Replaced, Pending::Refreshed) => Pending::Replaced,
            _ => news,
        };
        if before == Pending::Nothing {
            self.reports.push(&mut self.records, slot);
        }
    }

    /// The next thing that happened to an item and was not told yet.
    pub(crate) fn poll_report(&mut self) -> Option<Event<'_>> {
        if let Some(displaced) = self.displaced.take() {
            return Some(self.report_drop(displaced));
        }
        let slot = self.reports.pop(&mut self.records)?;
        let record = self.records.get_mut(slot.index())?;
        let pending = record.pending;
        if let Some(displaced) = take_drop(record) {
            self.dropped.remove(&mut self.records, slot);
            self.free.push(&mut self.records, slot);
            return Some(self.report_drop(displaced));
        }
        record.pending = Pending::Nothing;
        let stored = self.read(slot)?;
        match pending {
            Pending::Stored => Some(Event::ItemStored(stored)),
            Pending::Replaced => Some(Event::ItemReplaced(stored)),
            Pending::Refreshed => Some(Event::ItemRefreshed(stored)),
            Pending::Adopted => Some(Event::Adopted(stored)),
            Pending::Nothing | Pending::Expired | Pending::Evicted => None,
        }
    }

    /// The host forgets the item. If it had taken it back before it heard of the drop, it must be told that it is there.
    fn report_drop(&mut self, Displaced { target, mutable, reason }: Displaced) -> Event<'static> {
        let kind = if mutable { Kind::Mutable } else { Kind::Immutable };
        if let Some(slot) = self.find(&target, kind) {
            self.note(slot, Pending::Stored);
        }
        Event::ItemDropped { target, mutable, reason }
    }
}

/// What is to be told of a dropped record, which holds nothing from then on.
fn take_drop(record: &mut ItemSlot) -> Option<Displaced> {
    let reason = match record.pending {
        Pending::Expired => DropReason::Expired,
        Pending::Evicted => DropReason::Evicted,
        _ => return None,
    };
    let displaced = Displaced { target: record.target, mutable: record.kind == Kind::Mutable, reason };
    (record.kind, record.pending) = (Kind::Nothing, Pending::Nothing);
    Some(displaced)
}

fn blob_len(item: &Item<'_>) -> usize {
    match item {
        Item::Immutable(item) => item.value().len(),
        Item::Mutable(item) => MUTABLE_HEAD + item.salt().len() + item.value().len(),
    }
}

fn write_blob(item: &Item<'_>, out: &mut [u8]) {
    let mut rest = out;
    if let Item::Mutable(item) = item {
        rest = append(rest, &item.key().0);
        rest = append(rest, &item.signature().0);
        rest = append(rest, &item.seq().to_le_bytes());
        // A salt has 64 octets at most.
        rest = append(rest, &[item.salt().len() as u8]);
        rest = append(rest, item.salt());
    }
    append(rest, item.value());
}

/// Copies `octets` to the front of `out`, which has room for them, and answers what is behind.
fn append<'o>(out: &'o mut [u8], octets: &[u8]) -> &'o mut [u8] {
    let Some((to, rest)) = out.split_at_mut_checked(octets.len()) else { return &mut [] };
    to.copy_from_slice(octets);
    rest
}

fn read_mutable(blob: &[u8]) -> Option<MutableItem<'_>> {
    let (key, rest) = blob.split_first_chunk()?;
    let (signature, rest) = rest.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (salt_len, rest) = rest.split_first()?;
    let (salt, value) = rest.split_at_checked(usize::from(*salt_len))?;
    MutableItem::of_canonical(PublicKey(*key), salt, i64::from_le_bytes(*seq), value, Signature(*signature)).ok()
}

#[cfg(test)]
mod tests;
