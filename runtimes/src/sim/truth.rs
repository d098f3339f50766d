//! Who is there, as only somebody who sees all can know.

use std::collections::BTreeMap;
use std::ops::Bound;

use bep44_core::{NodeId, Target};
use rand::RngExt as _;
use rand_pcg::Pcg32;

/// The living hosts, by id and by number.
#[derive(Debug, Default)]
pub(super) struct Truth {
    by_id: BTreeMap<[u8; 20], u32>,
    /// In no particular order, so that one can be drawn and any be taken out at once.
    list: Vec<u32>,
    /// Where each host stands in `list`.
    places: BTreeMap<u32, usize>,
}

impl Truth {
    pub(super) fn add(&mut self, host: u32, id: NodeId) {
        self.by_id.insert(*id.as_bytes(), host);
        self.places.insert(host, self.list.len());
        self.list.push(host);
    }

    pub(super) fn remove(&mut self, host: u32, id: NodeId) {
        self.by_id.remove(id.as_bytes());
        if let Some(place) = self.places.remove(&host) {
            self.list.swap_remove(place);
            if let Some(moved) = self.list.get(place) {
                self.places.insert(*moved, place);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn hosts(&self) -> &[u32] {
        &self.list
    }

    pub(super) fn is_there(&self, host: u32) -> bool {
        self.places.contains_key(&host)
    }

    /// Any host.
    pub(super) fn draw(&self, random: &mut Pcg32) -> Option<u32> {
        let at = random.random_range(0..self.list.len().max(1));
        self.list.get(at).copied()
    }

    /// The hosts closest to `target` for which `counts` holds, the closest first.
    ///
    /// All that share more of their first bits with the target are closer than all that share fewer. So the search goes
    /// from the longest common beginning to the shortest, and stops when it has found enough.
    pub(super) fn closest(&self, target: &Target, count: usize, counts: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut found: Vec<(NodeId, u32)> = Vec::new();
        let mut beyond: Option<([u8; 20], [u8; 20])> = None;
        for prefix in (0..=self.longest_prefix()).rev() {
            let (first, last) = bounds(target, prefix);
            // What is new at this length is what lies around the part that has been searched.
            let parts = match beyond {
                None => [(Bound::Included(first), Bound::Included(last)), EMPTY],
                Some((from, to)) => {
                    [(Bound::Included(first), Bound::Excluded(from)), (Bound::Excluded(to), Bound::Included(last))]
                }
            };
            for (from, to) in parts {
                if is_empty(&from, &to) {
                    continue;
                }
                let new = self.by_id.range((from, to)).filter(|(_, host)| counts(**host));
                found.extend(new.map(|(id, host)| (NodeId::new(*id), *host)));
            }
            if found.len() >= count {
                break;
            }
            beyond = Some((first, last));
        }
        found.sort_by_key(|(id, _)| id.distance(target));
        found.truncate(count);
        found.into_iter().map(|(_, host)| host).collect()
    }

    /// Bits that the ids closest to a point may have in common with it: some more than it takes to tell them apart.
    fn longest_prefix(&self) -> u32 {
        (self.list.len().max(1).ilog2() + 8).min(159)
    }
}

const EMPTY: (Bound<[u8; 20]>, Bound<[u8; 20]>) = (Bound::Included([1; 20]), Bound::Excluded([1; 20]));

fn is_empty(from: &Bound<[u8; 20]>, to: &Bound<[u8; 20]>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Excluded(to)) | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

/// The first and the last id that share so many bits with the target.
fn bounds(target: &Target, prefix: u32) -> ([u8; 20], [u8; 20]) {
    let (mut first, mut last) = (*target.as_bytes(), *target.as_bytes());
    for bit in prefix as usize..160 {
        let mask = 0x80 >> (bit % 8);
        first[bit / 8] &= !mask;
        last[bit / 8] |= mask;
    }
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Draw;
    use rand::SeedableRng as _;

    fn id(number: u64) -> NodeId {
        let mut octets = [0; 20];
        Draw::new(1, "id", number).stream().fill(&mut octets);
        NodeId::new(octets)
    }

    #[test]
    fn the_closest_are_those_that_sorting_all_would_find() {
        for size in [1, 5, 30, 500] {
            let mut truth = Truth::default();
            (0..size).for_each(|host| truth.add(host, id(host.into())));
            truth.remove(0, id(0));
            let counts = |host: u32| host & 3 != 0;
            for number in 0..50 {
                let target = Target::from(id(1_000 + number));
                let mut all: Vec<_> = (1..size).filter(|host| counts(*host)).collect();
                all.sort_by_key(|host| id((*host).into()).distance(&target));
                all.truncate(8);
                assert_eq!(truth.closest(&target, 8, counts), all, "{size} {number}");
            }
        }
    }

    #[test]
    fn who_leaves_is_not_drawn() {
        let mut truth = Truth::default();
        (0..10).for_each(|host| truth.add(host, id(host.into())));
        (0..9).for_each(|host| truth.remove(host, id(host.into())));
        let mut random = Pcg32::seed_from_u64(1);
        assert!((0..50).all(|_| truth.draw(&mut random) == Some(9)));
        assert!(truth.is_there(9) && !truth.is_there(3) && truth.len() == 1);
        truth.remove(9, id(9));
        assert_eq!(truth.draw(&mut random), None);
    }
}
