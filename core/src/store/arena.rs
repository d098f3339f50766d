//! One run of octets in which blobs of different lengths lie, each contiguous, without holes that last.
//!
//! The blobs fill two regions, `0..write` and `scan..end`, without a gap inside either; what lies between the two and
//! behind `end` is free. A new blob goes behind `end` or, if it does not fit there, to `write`. Room is won back by
//! *sliding*: the blob at `scan` is dropped if it is dead, and otherwise moved down to `write`. When `scan` meets `end` a
//! pass is over: everything behind `write` is free, and the next pass begins at 0. Blobs that die in the order in which
//! they came (as they do when the oldest expire or are evicted) are met dead, and hardly anything is ever moved.
//!
//! **Capacity.** A blob takes its length and [`HEADER`] octets. Of an arena of up to [`SMALL`] octets all can be filled:
//! sliding starts only when a blob does not fit, and at worst moves everything, twice, which still takes less time than
//! verifying one signature. Of an arena of N octets that is larger than 4/3 of that, three quarters can be filled.
//!
//! **Work.** There, sliding is ahead of need. What is left to scan in a pass (`end - scan`) is never more than [`PACE`]
//! times what is free, so that room does not run out during the pass; nor more than 8 times what would be free at its
//! end beyond N/8, so that N/8 is free then, and both hold for the next pass, which has at most 7 N/8 to scan. A death
//! breaks neither; a blob of n octets costs at most 9 n octets of scanning to keep both, 8 n if what is free happens to be
//! in two pieces (then it is less than 2 n), and what one blob takes. It can always be kept, because at most 3 N/4 live.

use crate::links::Slot;
use crate::list::Slots;

/// Octets in front of each blob: its owner (4; 0 if it is dead) and its length (2), both little-endian.
pub(super) const HEADER: usize = 6;

/// An arena of up to this many octets can be filled to the last one.
const SMALL: usize = 64 * 1024;

/// How many octets may be left to scan for each octet that is free.
const PACE: usize = 8;

#[derive(Debug)]
pub(super) struct Arena<'m> {
    octets: Slots<'m, u8>,
    write: usize,
    scan: usize,
    end: usize,
    /// Octets of live blobs and their headers.
    live: usize,
    /// Octets of dead ones below `write`: those that only the next pass can win back.
    dead_behind: usize,
}

impl<'m> Arena<'m> {
    pub(super) const fn new(octets: Slots<'m, u8>) -> Self {
        Self { octets, write: 0, scan: 0, end: 0, live: 0, dead_behind: 0 }
    }

    /// Octets in total. What 32 bits cannot name is left unused.
    fn capacity(&self) -> usize {
        self.octets.len().min(u32::MAX as usize)
    }

    /// How many octets live blobs and their headers may take.
    pub(super) fn limit(&self) -> usize {
        let capacity = self.capacity();
        (capacity - capacity / 4).max(capacity.min(SMALL))
    }

    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Whether a blob of `len` octets fits beside those that live.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.live + HEADER + len <= self.limit()
    }

    /// Whether a blob of `len` octets would fit into the empty arena.
    pub(super) fn can_hold(&self, len: usize) -> bool {
        len <= usize::from(u16::MAX) && HEADER + len <= self.limit()
    }

    fn free_octets(&self) -> usize {
        self.capacity() - self.end + self.scan - self.write
    }

    /// Whether a pass is late, if a blob that takes `total` octets is to be stored: see the head of this file.
    fn is_late(&self, total: usize) -> bool {
        let capacity = self.capacity();
        let left = self.end - self.scan;
        let free_now = self.free_octets().saturating_sub(total);
        let free_then = (capacity - capacity / PACE).saturating_sub(self.live + self.dead_behind + total);
        left / PACE > free_now.min(free_then)
    }

    /// The owner of the blob at `offset`, if it lives, and how many octets it takes with its header.
    fn header(&self, offset: usize) -> Option<(Option<Slot>, usize)> {
        let (owner, rest) = self.octets.get(offset..)?.split_first_chunk::<4>()?;
        let len = u16::from_le_bytes(*rest.first_chunk::<2>()?);
        let owner = (u32::from_le_bytes(*owner) as usize).checked_sub(1).and_then(Slot::new);
        Some((owner, HEADER + usize::from(len)))
    }

    /// The `len` octets of the blob at `offset`.
    pub(super) fn blob(&self, offset: u32, len: u16) -> Option<&[u8]> {
        self.octets.get(offset as usize..)?.get(HEADER..)?.get(..usize::from(len))
    }

    pub(super) fn blob_mut(&mut self, offset: u32, len: u16) -> Option<&mut [u8]> {
        self.octets.get_mut(offset as usize..)?.get_mut(HEADER..)?.get_mut(..usize::from(len))
    }

    /// Gives up the live blob at `offset`.
    pub(super) fn free(&mut self, offset: u32) {
        let offset = offset as usize;
        let Some((Some(_), total)) = self.header(offset) else { return };
        if let Some(owner) = self.octets.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<4>) {
            *owner = [0; 4];
        }
        self.live = self.live.saturating_sub(total);
        if offset < self.write {
            self.dead_behind += total;
        }
    }

    /// Room for a blob of `len` octets for `owner`, to be written through [`blob_mut`](Self::blob_mut). Other blobs may
    /// be moved for it: `moved` is told the owner and the new offset of each. `None`, and nothing is changed, if there
    /// is not [room](Self::has_room).
    pub(super) fn reserve(&mut self, owner: Slot, len: u16, mut moved: impl FnMut(Slot, u32)) -> Option<u32> {
        let total = HEADER + usize::from(len);
        if !self.has_room(usize::from(len)) {
            return None;
        }
        if self.live == 0 {
            (self.write, self.scan, self.end, self.dead_behind) = (0, 0, 0, 0);
        }
        let is_paced = self.limit() <= self.capacity() - self.capacity() / 4;
        while is_paced && self.is_late(total) {
            self.slide(&mut moved);
        }
        // Ends: after two passes at most all that is free is in one piece behind `end`, and it is enough.
        let offset = loop {
            if self.capacity() - self.end >= total {
                self.end += total;
                break self.end - total;
            }
            if self.scan - self.write >= total {
                self.write += total;
                break self.write - total;
            }
            self.slide(&mut moved);
        };
        let (owner_at, rest) = self.octets.get_mut(offset..)?.split_first_chunk_mut::<4>()?;
        // An index is below 2^32 - 1, and an offset below 2^32.
        *owner_at = (owner.index() as u32 + 1).to_le_bytes();
        *rest.first_chunk_mut()? = len.to_le_bytes();
        self.live += total;
        Some(offset as u32)
    }

    /// Goes past one blob; past the last one, the next pass begins at once.
    fn slide(&mut self, moved: &mut impl FnMut(Slot, u32)) {
        let header = if self.scan < self.end { self.header(self.scan) } else { None };
        // There is always a blob before `end`; whatever else it were, the loops that slide must end.
        let (owner, total) = header.unwrap_or((None, usize::MAX));
        if let Some(owner) = owner {
            let gap = self.scan - self.write;
            if gap > 0
                && let Some(window) = self.octets.get_mut(self.write..self.scan + total)
            {
                move_down(window, gap);
                moved(owner, self.write as u32);
            }
            self.write += total;
        }
        self.scan = self.scan.saturating_add(total);
        if self.scan >= self.end {
            (self.write, self.scan, self.end, self.dead_behind) = (0, 0, self.write, 0);
        }
    }
}

/// Moves what lies in `window` behind its first `gap` octets, of which there is at least one, to its start. In pieces that
/// do not overlap: pieces that do are copied by a function (`memmove`) that nothing else needs.
fn move_down(window: &mut [u8], gap: usize) {
    let mut rest = window;
    while let Some((to, from)) = rest.split_at_mut_checked(gap)
        && !from.is_empty()
    {
        for (to, from) in to.iter_mut().zip(&*from) {
            *to = *from;
        }
        rest = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec;
    use std::vec::Vec;

    impl Arena<'_> {
        /// Offset, owner and length of each blob, dead or live, after checking that they fill their regions.
        pub(in crate::store) fn blobs(&self) -> Vec<(u32, Option<Slot>, usize)> {
            assert!(self.write <= self.scan && self.scan <= self.end && self.end <= self.capacity());
            let mut blobs = Vec::new();
            for (mut at, end) in [(0, self.write), (self.scan, self.end)] {
                while at < end {
                    let (owner, total) = self.header(at).unwrap();
                    blobs.push((at as u32, owner, total - HEADER));
                    at += total;
                }
                assert_eq!(at, end, "blobs tile their region");
            }
            let live: usize =
                blobs.iter().filter(|(_, owner, _)| owner.is_some()).map(|(_, _, len)| len + HEADER).sum();
            assert_eq!(live, self.live);
            let dead = |(at, owner, _): &&(u32, Option<Slot>, usize)| owner.is_none() && (*at as usize) < self.write;
            assert_eq!(self.dead_behind, blobs.iter().filter(dead).map(|(_, _, len)| len + HEADER).sum::<usize>());
            assert!(live <= self.limit());
            blobs
        }
    }

    /// Stores and frees blobs as `steps` say and checks all contents after each; answers the most octets that one
    /// `reserve` moved for each octet it stored.
    fn run(size: usize, steps: impl IntoIterator<Item = (u16, u16)>, check_each: bool) -> usize {
        let mut memory = vec![0xaa; size];
        let mut arena = Arena::new(Slots::Borrowed(&mut memory));
        let mut model: Vec<Option<(u32, u16, u8)>> = vec![None; 512];
        let mut worst = 0;
        for (count, (at, len)) in steps.into_iter().enumerate() {
            let owner = Slot::new(usize::from(at)).unwrap();
            if let Some((offset, ..)) = model[usize::from(at)].take() {
                arena.free(offset);
            }
            let fits = arena.live() + HEADER + usize::from(len) <= arena.limit();
            assert_eq!(fits, arena.has_room(usize::from(len)));
            let mut moves = 0;
            let offset = arena.reserve(owner, len, |slot, offset| {
                let blob = model[slot.index()].as_mut().unwrap();
                blob.0 = offset;
                moves += usize::from(blob.1) + HEADER;
            });
            assert_eq!(offset.is_some(), fits, "whatever has room is stored");
            if let Some(offset) = offset {
                let fill = count as u8;
                arena.blob_mut(offset, len).unwrap().fill(fill);
                model[usize::from(at)] = Some((offset, len, fill));
                worst = worst.max(moves / (usize::from(len) + HEADER));
            }
            if check_each {
                arena.blobs();
                for &(offset, len, fill) in model.iter().flatten() {
                    assert!(arena.blob(offset, len).unwrap().iter().all(|&octet| octet == fill));
                }
            }
        }
        arena.blobs();
        worst
    }

    quickcheck! {
        fn contents_survive_whatever_comes_and_goes(size: u16, steps: Vec<(u8, u16)>) -> bool {
            for size in [usize::from(size % 2_000), 300] {
                run(size, steps.iter().map(|&(at, len)| (u16::from(at % 16), len % 200)), true);
            }
            true
        }
    }

    #[test]
    fn a_small_arena_is_filled_to_the_last_octet_and_a_large_one_to_three_quarters() {
        let limit = |size| Arena::new(Slots::Borrowed(&mut vec![0; size])).limit();
        assert_eq!(limit(0), 0);
        assert_eq!(limit(8_192), 8_192);
        assert_eq!(limit(65_536), 65_536);
        assert_eq!(limit(80_000), 65_536);
        assert_eq!(limit(1_000_000), 750_000);
        // 100 octets: 10 blobs of 4, of which every second is replaced by one of 14.
        let fill = (0..10).map(|at| (at, 4));
        run(100, fill.clone().chain([(1, 0), (3, 0), (1, 4), (3, 4), (5, 0), (7, 0), (9, 12)]), true);
    }

    /// Any numbers, the same each time.
    fn numbers() -> impl Iterator<Item = usize> {
        core::iter::successors(Some(1_u64), |state| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|state| (state >> 33) as usize)
    }

    #[test]
    fn the_pace_bounds_the_work_for_one_blob() {
        // 300 blobs of 400 octets and a little are just what can live in 160,000 octets; with 350, some find no room.
        for owners in [150, 290, 350] {
            let random = numbers().map(|number| ((number % owners) as u16, 390 + (number / 1_000 % 8) as u16));
            let mixed = numbers().map(|number| ((number % owners) as u16, (number / 1_000 % 800) as u16));
            let in_turn = (0..).zip(numbers()).map(|(at, number)| ((at % owners) as u16, 390 + (number % 8) as u16));
            // Long only the first of them die, then only the last.
            let in_parts = (0..).zip(numbers()).map(|(at, number): (usize, usize)| {
                let part = at / 1_000 % 3 * (owners / 3);
                ((part + number % (owners / 3)) as u16, 390 + (number / 1_000 % 8) as u16)
            });
            for (at, steps) in [&mut { random } as &mut dyn Iterator<Item = _>, &mut { in_turn }, &mut { in_parts }]
                .into_iter()
                .enumerate()
            {
                let worst = run(160_000, steps.take(30_000), false);
                assert!(worst <= 9 + 8 + 2, "{owners} {at}: {worst}");
            }
            run(160_000, mixed.take(3_000), true);
        }
    }

    #[test]
    fn what_dies_in_turn_is_hardly_ever_moved() {
        let in_turn = (0..).zip(numbers()).map(|(at, number): (u16, usize)| (at % 200, 500 + (number % 200) as u16));
        let mut memory = vec![0; 170_000];
        let mut arena = Arena::new(Slots::Borrowed(&mut memory));
        let mut offsets = vec![None; 200];
        let (mut stored, mut moves) = (0, 0);
        for (at, len) in in_turn.take(50_000) {
            if let Some(offset) = offsets[usize::from(at)].take() {
                arena.free(offset);
            }
            let offset = arena.reserve(Slot::new(at.into()).unwrap(), len, |slot, offset| {
                offsets[slot.index()] = Some(offset);
                moves += 600;
            });
            offsets[usize::from(at)] = Some(offset.unwrap());
            stored += usize::from(len);
        }
        assert!(moves * 10 < stored, "{moves} of {stored}");
    }
}
