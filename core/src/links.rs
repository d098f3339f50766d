//! Orders and indexes that live inside the records of a table, so that they need no memory of their own.
//!
//! A table that wants to know its oldest record in constant time keeps an [`Order`]; one that wants to find a record by
//! a key keeps an [`Index`]. Both store positions, never references, in fields of the records.

use core::num::NonZeroU32;

use crate::time::Instant;

/// The position of a record in its table. Never zero in memory, so that `Option<Slot>` takes 4 octets and `None` is all
/// zeros (a table of empty records then needs no initial values in flash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    /// The slot at `index`; `None` past 2^32 - 2.
    #[must_use]
    pub(crate) fn new(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(Self)
    }

    /// The position in the table.
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A record's place in an [`Order`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Link {
    older: Option<Slot>,
    newer: Option<Slot>,
}

impl Link {
    pub(crate) const EMPTY: Self = Self { older: None, newer: None };
}

/// A record that can stand in orders of its table. Each has a number, by which the record has a link for it.
pub(crate) trait Linked {
    fn links(&self) -> &[Link];
    fn links_mut(&mut self) -> &mut [Link];
}

/// A record of which an order can be sorted.
pub(crate) trait Expiring: Linked {
    fn expires(&self) -> Instant;
}

/// Records of a table from oldest to newest, in its order number `ORDER`; a record stands in it at most once. All
/// operations take constant time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order<const ORDER: usize>(Ends);

/// What an order has besides the links, whatever its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    oldest: Option<Slot>,
    newest: Option<Slot>,
    len: u32,
}

impl<const ORDER: usize> Order<ORDER> {
    pub(crate) const EMPTY: Self = Self(Ends { oldest: None, newest: None, len: 0 });

    pub(crate) const fn len(&self) -> usize {
        self.0.len as usize
    }

    pub(crate) const fn oldest(&self) -> Option<Slot> {
        self.0.oldest
    }

    pub(crate) fn newer<T: Linked>(table: &[T], slot: Slot) -> Option<Slot> {
        link(table, slot, ORDER)?.newer
    }

    pub(crate) const fn newest(&self) -> Option<Slot> {
        self.0.newest
    }

    /// Appends `slot`, which must not stand in this order yet.
    pub(crate) fn push<T: Linked>(&mut self, table: &mut [T], slot: Slot) {
        self.0.insert(table, ORDER, slot, self.0.newest);
    }

    /// Puts `slot`, which must not stand in this order yet, where the order stays sorted by expiry: behind all records
    /// that do not expire later. Constant time for the last to expire; otherwise a walk past those behind it.
    pub(crate) fn place<T: Expiring>(&mut self, table: &mut [T], slot: Slot) {
        self.0.place(table, ORDER, slot);
    }

    /// Takes out `slot`, which must stand in this order.
    pub(crate) fn remove<T: Linked>(&mut self, table: &mut [T], slot: Slot) {
        self.0.remove(table, ORDER, slot);
    }

    /// Takes out the oldest.
    pub(crate) fn pop<T: Linked>(&mut self, table: &mut [T]) -> Option<Slot> {
        let slot = self.0.oldest?;
        self.remove(table, slot);
        Some(slot)
    }

    /// Walks from the oldest to the newest.
    pub(crate) fn iter<'t, T: Linked>(&self, table: &'t [T]) -> impl Iterator<Item = Slot> + use<'t, T, ORDER> {
        core::iter::successors(self.0.oldest, |slot| Self::newer(table, *slot))
    }
}

/// The number of the order is an argument here, so that there is one of each function for a table.
impl Ends {
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn place<T: Expiring>(&mut self, table: &mut [T], order: usize, slot: Slot) {
        let Some(own) = table.get(slot.index()).map(T::expires) else { return };
        let mut older = self.newest;
        while let Some(before) = older
            && table.get(before.index()).is_some_and(|record| record.expires() > own)
        {
            older = link(table, before, order).and_then(|link| link.older);
        }
        self.insert(table, order, slot, older);
    }

    /// Puts `slot` right behind `older`; `None` makes it the oldest.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn insert<T: Linked>(&mut self, table: &mut [T], order: usize, slot: Slot, older: Option<Slot>) {
        let newer = match older {
            Some(older) => link(table, older, order).and_then(|link| link.newer),
            None => self.oldest,
        };
        self.tie(table, order, older, Some(slot));
        self.tie(table, order, Some(slot), newer);
        self.len += 1;
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    fn remove<T: Linked>(&mut self, table: &mut [T], order: usize, slot: Slot) {
        let Some(own) = link_mut(table, Some(slot), order) else { return };
        let Link { older, newer } = core::mem::take(own);
        self.tie(table, order, older, newer);
        self.len = self.len.saturating_sub(1);
    }

    /// Lets `newer` follow upon `older`. Where one of them is missing, the end of the order stands in its place.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn tie<T: Linked>(&mut self, table: &mut [T], order: usize, older: Option<Slot>, newer: Option<Slot>) {
        match link_mut(table, older, order) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
        match link_mut(table, newer, order) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
    }
}

fn link<T: Linked>(table: &[T], slot: Slot, order: usize) -> Option<&Link> {
    table.get(slot.index())?.links().get(order)
}

fn link_mut<T: Linked>(table: &mut [T], slot: Option<Slot>, order: usize) -> Option<&mut Link> {
    table.get_mut(slot?.index())?.links_mut().get_mut(order)
}

/// A record's place in an [`Index`], and the head of one of its chains: the table has as many chains as records, and
/// chain number n begins in record number n, whichever record that is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    head: Option<Slot>,
    next: Option<Slot>,
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { head: None, next: None };

    /// A record that is in no chain may use its `next` to stand in a list of free records.
    pub(crate) const fn set_next(&mut self, next: Option<Slot>) {
        self.next = next;
    }

    /// Takes what [`set_next`](Self::set_next) has put there.
    pub(crate) const fn take_next(&mut self) -> Option<Slot> {
        self.next.take()
    }
}

/// A record that can be found through the index of its table.
pub(crate) trait Chained {
    fn chain(&self) -> &Chain;
    fn chain_mut(&mut self) -> &mut Chain;
}

/// Finds records by a key in constant time on average. The hash is keyed: without the key nobody can choose targets
/// that end in one chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index {
    key: u64,
}

impl Index {
    pub(crate) const fn new(key: u64) -> Self {
        Self { key }
    }

    /// The keyed hash of `octets`.
    pub(crate) fn hash(&self, octets: &[u8]) -> u32 {
        // An odd constant with about half of its bits set: the golden ratio's fraction.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut state = self.key ^ (octets.len() as u64);
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            let product = u128::from(state ^ u64::from_le_bytes(word)) * u128::from(ODD ^ self.key.rotate_left(32) | 1);
            // Folding the high half in makes every bit of the word count. Truncation is the point.
            state = (product >> 64) as u64 ^ product as u64;
        }
        (state >> 32) as u32
    }

    /// Which chain of `table` records with this hash are in: below its length, or 0 if it is empty.
    pub(crate) fn chain_number<T>(table: &[T], hash: u32) -> usize {
        // Scales the hash to the number of chains without a division.
        ((hash as u64 * table.len() as u64) >> 32) as usize
    }

    /// The records whose key may have this hash; the caller compares the keys.
    pub(crate) fn candidates<'t, T: Chained>(table: &'t [T], hash: u32) -> impl Iterator<Item = Slot> + use<'t, T> {
        let head = table.get(Self::chain_number(table, hash)).and_then(|record| record.chain().head);
        core::iter::successors(head, |slot| table.get(slot.index())?.chain().next)
    }

    /// Enters `slot`, which must not be in the index yet.
    pub(crate) fn insert<T: Chained>(table: &mut [T], slot: Slot, hash: u32) {
        let number = Self::chain_number(table, hash);
        let Some(start) = table.get_mut(number) else { return };
        let next = start.chain_mut().head.replace(slot);
        if let Some(record) = table.get_mut(slot.index()) {
            record.chain_mut().next = next;
        }
    }

    /// Takes out `slot`, which must have been entered with the same hash.
    pub(crate) fn remove<T: Chained>(table: &mut [T], slot: Slot, hash: u32) {
        let number = Self::chain_number(table, hash);
        let Some(record) = table.get_mut(slot.index()) else { return };
        let next = record.chain_mut().next.take();
        let before = Self::candidates(table, hash)
            .find(|before| table.get(before.index()).is_some_and(|record| record.chain().next == Some(slot)));
        match before.and_then(|before| table.get_mut(before.index())) {
            Some(record) => record.chain_mut().next = next,
            None => {
                if let Some(start) = table.get_mut(number)
                    && start.chain().head == Some(slot)
                {
                    start.chain_mut().head = next;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    #[derive(Clone, Copy, Default)]
    struct Record {
        key: u8,
        links: [Link; 2],
        chain: Chain,
    }

    impl Linked for Record {
        fn links(&self) -> &[Link] {
            &self.links
        }
        fn links_mut(&mut self) -> &mut [Link] {
            &mut self.links
        }
    }

    impl Expiring for Record {
        fn expires(&self) -> Instant {
            Instant::from_micros(self.key.into())
        }
    }

    impl Chained for Record {
        fn chain(&self) -> &Chain {
            &self.chain
        }
        fn chain_mut(&mut self) -> &mut Chain {
            &mut self.chain
        }
    }

    quickcheck! {
        fn an_order_is_a_queue_with_removal(steps: Vec<(bool, u8)>) -> bool {
            let mut table = [Record::default(); 8];
            let mut order = Order::<0>::EMPTY;
            let mut model: Vec<usize> = Vec::new();
            for (add, at) in steps {
                let at = usize::from(at % 8);
                let slot = Slot::new(at).unwrap();
                match (add, model.iter().position(|&other| other == at)) {
                    (true, None) => { model.push(at); order.push(&mut table, slot); }
                    (false, Some(place)) => { model.remove(place); order.remove(&mut table, slot); }
                    (true, Some(_)) => {
                        model.remove(0);
                        order.pop(&mut table);
                    }
                    (false, None) => {}
                }
                assert!(order.iter(&table).map(Slot::index).eq(model.iter().copied()));
                assert_eq!(order.len(), model.len());
            }
            true
        }

        fn placing_keeps_an_order_sorted_and_equals_in_turn(keys: Vec<u8>) -> bool {
            let mut table = [Record::default(); 8];
            let mut order = Order::<0>::EMPTY;
            let mut model = Vec::new();
            for (at, key) in keys.into_iter().take(8).enumerate() {
                table[at].key = key % 4;
                order.place(&mut table, Slot::new(at).unwrap());
                model.push((key % 4, at));
            }
            model.sort();
            assert!(order.iter(&table).map(Slot::index).eq(model.into_iter().map(|(_, at)| at)));
            let backwards = core::iter::successors(order.newest(), |slot| table[slot.index()].links[0].older);
            backwards.count() == order.len()
        }

        fn an_index_finds_what_is_in_it_and_nothing_else(key: u64, steps: Vec<(bool, u8, u8)>) -> bool {
            let mut table = [Record::default(); 8];
            let index = Index::new(key);
            let mut present = [false; 8];
            for (add, at, key) in steps {
                let at = usize::from(at % 8);
                let slot = Slot::new(at).unwrap();
                if add && !present[at] {
                    table[at].key = key;
                    Index::insert(&mut table, slot, index.hash(&[key]));
                    present[at] = true;
                } else if !add && present[at] {
                    let hash = index.hash(&[table[at].key]);
                    Index::remove(&mut table, slot, hash);
                    present[at] = false;
                }
                for at in 0..8 {
                    let found = Index::candidates(&table, index.hash(&[table[at].key])).any(|slot| slot.index() == at);
                    assert_eq!(found, present[at]);
                }
            }
            true
        }
    }
}
