//! Who loses a record when a table is full: fairness between the networks that fill it.
//!
//! What a network stored (a /24 or a /48: [`CompactAddr::network`](crate::addr::CompactAddr::network)) is one *group*.
//! Networks are hashed, with a key that no stranger knows, into as many groups as the table has records; group number n
//! is kept in record number n, whichever record that is, so that fairness needs no memory of its own. Two networks that
//! fall into one group share one share.
//!
//! A share is an eighth of the records and an eighth of the octets. As long as there is room it means nothing. When a
//! newcomer needs room, the first of these rules that applies says whose oldest record goes:
//! 1. its own network's, if with the newcomer that network would hold more than its share;
//! 2. among all networks that hold more than their share, the one's whose oldest record is the oldest;
//! 3. the oldest of all.
//!
//! So a network that flooded the table while it was empty gives way first, however eagerly it refreshes what it stored,
//! and one that floods a full table displaces an eighth of it. A network with one record is never above its share.

use crate::links::{Expiring, Index, Order, Slot};
use crate::time::Instant;

/// The number of the order in which the records of one group stand.
pub(crate) const SOURCE: usize = 1;

/// What one network may hold of a full table: one part in this many.
const SHARES: usize = 8;

/// The records of one group, sorted by expiry, and their octets together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) order: Order<SOURCE>,
    pub(crate) octets: u32,
}

impl Group {
    pub(crate) const EMPTY: Self = Self { order: Order::EMPTY, octets: 0 };
}

/// A record that stands in a group, and in which a group is kept.
pub(crate) trait Sourced: Expiring {
    /// The group that is kept in this record, whoever is in it.
    fn group(&self) -> Group;
    fn set_group(&mut self, group: Group);
}

/// The groups of a table.
#[derive(Debug)]
pub(crate) struct Sources {
    hash: Index,
    /// The share in records, at least 1.
    records: usize,
    /// The share in octets.
    octets: usize,
    /// The groups above their share: fewer than [`SHARES`] can be above it in records, and as many in octets.
    above: [Option<Slot>; 2 * (SHARES - 1)],
}

impl Sources {
    /// For a table of `records` records that hold `octets` octets together.
    pub(crate) const fn new(key: u64, records: usize, octets: usize) -> Self {
        // Another key than that of the table's index, so that the two have nothing to do with each other.
        let hash = Index::new(key.rotate_left(17) ^ 0x5bd1_e995_97f4_a7c1);
        let share = records / SHARES;
        Self {
            hash,
            records: if share == 0 { 1 } else { share },
            octets: octets / SHARES,
            above: [None; 2 * (SHARES - 1)],
        }
    }

    /// The group of the network (or whatever else counts as one source) that `octets` names.
    pub(crate) fn group_of<T>(&self, table: &[T], octets: &[u8]) -> Option<Slot> {
        Slot::new(Index::chain_number(table, self.hash.hash(octets)))
    }

    fn get<T: Sourced>(table: &[T], source: Option<Slot>) -> Option<Group> {
        Some(table.get(source?.index())?.group())
    }

    /// Enters a record of `octets` octets, whose expiry is set already, into the group `source`.
    pub(crate) fn enter<T: Sourced>(&mut self, table: &mut [T], slot: Slot, source: Option<Slot>, octets: u32) {
        let Some(mut group) = Self::get(table, source) else { return };
        group.order.place(table, slot);
        group.octets = group.octets.saturating_add(octets);
        self.settle(table, source, group);
    }

    /// Takes a record out, which was entered with the same `source` and `octets`.
    pub(crate) fn leave<T: Sourced>(&mut self, table: &mut [T], slot: Slot, source: Option<Slot>, octets: u32) {
        let Some(mut group) = Self::get(table, source) else { return };
        group.order.remove(table, slot);
        group.octets = group.octets.saturating_sub(octets);
        self.settle(table, source, group);
    }

    /// Puts a record whose expiry has just become the latest of all at the end of its group.
    pub(crate) fn renew<T: Sourced>(table: &mut [T], slot: Slot, source: Option<Slot>) {
        let Some(mut group) = Self::get(table, source) else { return };
        // Most networks store little, and then there is nothing to do.
        if group.order.newest() != Some(slot) {
            group.order.remove(table, slot);
            group.order.push(table, slot);
            Self::put_back(table, source, group);
        }
    }

    fn put_back<T: Sourced>(table: &mut [T], source: Option<Slot>, group: Group) {
        if let Some(record) = source.and_then(|source| table.get_mut(source.index())) {
            record.set_group(group);
        }
    }

    /// Writes a changed group back.
    fn settle<T: Sourced>(&mut self, table: &mut [T], source: Option<Slot>, group: Group) {
        Self::put_back(table, source, group);
        self.judge(source, group);
    }

    /// Notes whether a group is above its share. Apart, so that there is one of it for all tables.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn judge(&mut self, source: Option<Slot>, group: Group) {
        let len = group.order.len();
        let is_above = len > 1 && (len > self.records || group.octets as usize > self.octets);
        let noted = self.above.iter_mut().find(|above| **above == source);
        match (is_above, noted) {
            (true, None) => {
                if let Some(free) = self.above.iter_mut().find(|above| above.is_none()) {
                    *free = source;
                }
            }
            (false, Some(noted)) => *noted = None,
            _ => {}
        }
    }

    /// The record that goes by the first two rules, for a newcomer of `octets` octets from `source`; by the third rule,
    /// when there is none, it is the oldest of all.
    pub(crate) fn victim<T: Sourced>(&self, table: &[T], source: Option<Slot>, octets: u32) -> Option<Slot> {
        if let Some(own) = Self::get(table, source)
            && own.order.oldest().is_some()
            && (own.order.len() >= self.records || own.octets.saturating_add(octets) as usize > self.octets)
        {
            return own.order.oldest();
        }
        let oldest = |source: &Option<Slot>| Self::get(table, *source)?.order.oldest();
        let expires = |slot: Slot| table.get(slot.index()).map_or(Instant::FAR, T::expires);
        let slots = self.above.iter().filter_map(oldest);
        slots.reduce(|first, slot| if expires(slot) < expires(first) { slot } else { first })
    }
}

/// Checks, in tests, the groups of a table against its records: `member` tells the group and the octets of a record that
/// stands in one.
#[cfg(test)]
pub(crate) fn check<T: Sourced>(sources: &Sources, table: &[T], member: impl Fn(&T) -> Option<(Option<Slot>, u32)>) {
    use std::vec::Vec;
    let mut seen = 0;
    let mut above = Vec::new();
    for number in 0..table.len() {
        let source = Slot::new(number);
        let group = table[number].group();
        let slots: Vec<_> = group.order.iter(table).collect();
        assert!(slots.is_sorted_by_key(|slot| table[slot.index()].expires()));
        let octets: u32 = slots
            .iter()
            .map(|slot| {
                let (of, octets) = member(&table[slot.index()]).expect("only members stand in groups");
                assert_eq!(of, source);
                octets
            })
            .sum();
        assert_eq!((slots.len(), octets), (group.order.len(), group.octets));
        seen += slots.len();
        if slots.len() > 1 && (slots.len() > sources.records || octets as usize > sources.octets) {
            above.push(source);
        }
    }
    assert_eq!(seen, table.iter().filter(|record| member(record).is_some()).count());
    let mut noted: Vec<_> = sources.above.iter().copied().filter(Option::is_some).collect();
    noted.sort();
    assert_eq!(noted, above);
}
