use super::*;
use quickcheck::quickcheck;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const TWO_HOURS: Duration = Duration::from_secs(7_200);
/// Key, signature, number and salt length, and the header in the arena.
const MUTABLE_COST: usize = MUTABLE_HEAD + HEADER;

struct Memory {
    records: Vec<ItemSlot>,
    arena: Vec<u8>,
}

impl Memory {
    fn new(records: usize, arena: usize) -> Self {
        let records = core::iter::repeat_with(|| ItemSlot::EMPTY).take(records).collect();
        Self { records, arena: vec![0xee; arena] }
    }

    fn store(&mut self, reports: bool) -> Store<'_> {
        Store::new(Slots::Borrowed(&mut self.records), Slots::Borrowed(&mut self.arena), TWO_HOURS, 42, reports)
    }
}

/// Targets are free to choose here: the store does not judge.
fn target(number: u32) -> Target {
    let mut octets = [7; 20];
    octets[..4].copy_from_slice(&number.to_le_bytes());
    Target::new(octets)
}

fn immutable(value: &[u8]) -> Item<'_> {
    Item::Immutable(ImmutableItem::of_canonical(value).unwrap())
}

fn mutable<'a>(salt: &'a [u8], seq: i64, value: &'a [u8]) -> Item<'a> {
    let signature = Signature([value.len() as u8; 64]);
    Item::Mutable(MutableItem::of_canonical(PublicKey([3; 32]), salt, seq, value, signature).unwrap())
}

/// An address in network number `net`.
fn from(net: u16) -> CompactAddr {
    let [a, b] = net.to_be_bytes();
    CompactAddr::V4([1, a, b, 9], 6_881)
}

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

impl Store<'_> {
    fn has(&self, number: u32) -> bool {
        self.get(&target(number)).is_some()
    }

    /// Every record is where it should be and nowhere else.
    fn check(&self) {
        let live: Vec<_> = self.live.iter(&self.records).collect();
        assert_eq!(live.len() + self.kept.len(), self.len());
        assert!(live.is_sorted_by_key(|slot| self.records[slot.index()].expires));
        let kept: Vec<_> = self.kept.iter(&self.records).collect();
        assert!(kept.is_sorted_by_key(|slot| self.records[slot.index()].expires));
        assert!(kept.iter().all(|slot| self.records[slot.index()].kept));
        assert!(live.iter().all(|slot| !self.records[slot.index()].kept));
        assert_eq!(self.kept_octets, kept.iter().map(|slot| self.records[slot.index()].octets() as usize).sum());
        let unused = self.records.len() - self.unused;
        assert_eq!(kept.len() + live.len() + self.free.len() + self.dropped.len() + unused, self.records.len());

        let blobs = self.arena.blobs();
        assert_eq!(blobs.iter().filter(|(_, owner, _)| owner.is_some()).count(), live.len() + kept.len());
        for &slot in live.iter().chain(&kept) {
            let record = &self.records[slot.index()];
            assert_eq!(self.find(&record.target, record.kind), Some(slot));
            assert!(blobs.contains(&(record.offset, Some(slot), usize::from(record.len))));
        }
        for slot in self.dropped.iter(&self.records) {
            let record = &self.records[slot.index()];
            assert!(matches!(record.pending, Pending::Expired | Pending::Evicted));
        }
        for slot in self.free.iter(&self.records) {
            let record = &self.records[slot.index()];
            assert_eq!((record.kind, record.pending), (Kind::Nothing, Pending::Nothing));
        }
        let reports: Vec<_> = self.reports.iter(&self.records).collect();
        let pending = |slot: &Slot| self.records[slot.index()].pending != Pending::Nothing;
        assert!(reports.iter().all(pending));
        assert_eq!(reports.len(), self.records.iter().filter(|record| record.pending != Pending::Nothing).count());
        let adopted = |slot: &Slot| self.records[slot.index()].pending == Pending::Adopted;
        assert!(self.reports_wanted || reports.iter().all(adopted));

        crate::fair::check(&self.sources, &self.records, |record| {
            let own = |slot: &Slot| core::ptr::eq(&self.records[slot.index()], record);
            live.iter().any(own).then_some((record.source, record.octets()))
        });
    }
}

/// An item as the naive model keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    target: Target,
    mutable: bool,
    seq: i64,
    salt: Vec<u8>,
    value: Vec<u8>,
    source: Option<Slot>,
    expires: Instant,
}

impl Kept {
    fn item(&self) -> Item<'_> {
        if self.mutable { mutable(&self.salt, self.seq, &self.value) } else { immutable(&self.value) }
    }

    fn cost(&self) -> usize {
        HEADER + blob_len(&self.item())
    }

    fn is(&self, stored: &Stored<'_>) -> bool {
        (self.target, self.item(), self.expires) == (stored.target, stored.item, stored.expires)
    }
}

/// The rules of the store and of `fair`, in the plainest form: items from the oldest to the newest.
#[derive(Default)]
struct Model {
    records: usize,
    octets: usize,
    items: Vec<Kept>,
}

impl Model {
    fn position(&self, target: &Target, mutable: bool) -> Option<usize> {
        self.items.iter().position(|item| item.target == *target && item.mutable == mutable)
    }

    fn of(&self, source: Option<Slot>) -> (usize, usize) {
        let own = self.items.iter().filter(|item| item.source == source);
        own.fold((0, 0), |(count, octets), item| (count + 1, octets + item.cost()))
    }

    fn victim(&self, new: &Kept) -> usize {
        let (share, octets_share) = ((self.records / 8).max(1), self.octets / 8);
        let (count, octets) = self.of(new.source);
        let own = self.items.iter().position(|item| item.source == new.source);
        if let Some(own) = own
            && (count + 1 > share || octets + new.cost() > octets_share)
        {
            return own;
        }
        let above = |item: &Kept| {
            let (count, octets) = self.of(item.source);
            count > 1 && (count > share || octets > octets_share)
        };
        self.items.iter().position(above).unwrap_or(0)
    }

    fn insert(&mut self, mut new: Kept) -> Result<usize, Full> {
        if let Some(at) = self.position(&new.target, new.mutable)
            && !new.mutable
        {
            let old = self.items.remove(at);
            self.items.push(Kept { expires: new.expires, ..old });
            return Ok(0);
        }
        if self.records == 0 || new.cost() > self.octets {
            return Err(Full);
        }
        if let Some(at) = self.position(&new.target, new.mutable) {
            new.source = self.items.remove(at).source;
        }
        let mut evicted = 0;
        while self.items.len() + 1 > self.records
            || self.items.iter().map(Kept::cost).sum::<usize>() + new.cost() > self.octets
        {
            self.items.remove(self.victim(&new));
            evicted += 1;
        }
        self.items.push(new);
        Ok(evicted)
    }
}

/// Runs `steps` (what, which, how long, whence, how late) on the store and on the model, and mirrors the reports in a
/// host that asks after every `patience`-th step.
fn compare(records: usize, arena: usize, patience: usize, steps: &[(u8, u8, u16, u8, u8)]) {
    let mut memory = Memory::new(records, arena);
    let mut store = memory.store(patience > 0);
    let mut model = Model { records, octets: arena, items: Vec::new() };
    let mut host: BTreeMap<(Target, bool), (Vec<u8>, Instant)> = BTreeMap::new();
    let mut now = Instant::ZERO;
    for (count, &(what, which, size, net, tick)) in steps.iter().enumerate() {
        // Never the same moment twice, so that "the oldest" is one.
        now = now + Duration::from_secs(1 + u64::from(tick) * u64::from(tick % 16));
        let due = model.items.iter().filter(|item| item.expires <= now).count();
        assert_eq!(store.next_expiry().is_some_and(|at| at <= now), due > 0);
        assert_eq!(store.expire(now), due);
        model.items.retain(|item| item.expires > now);

        let number = u32::from(which % 12);
        let (target, source) = (target(number), from(u16::from(net % 5)));
        let salt = vec![b's'; usize::from(what / 8) * usize::from(which & 1)];
        let item = Kept {
            target,
            mutable: what & 1 == 1,
            seq: count as i64,
            salt,
            value: vec![which ^ net; usize::from(size) % 300],
            source: store.sources.group_of(&store.records, &source.network().to_le_bytes()),
            expires: now + TWO_HOURS,
        };
        if what % 8 < 6 {
            assert_eq!(store.insert(now, &target, &item.item(), &source), model.insert(item));
        } else {
            let found = model.position(&target, item.mutable);
            assert_eq!(store.refresh(now, &target, item.mutable), found.is_some());
            if let Some(found) = found {
                let old = model.items.remove(found);
                model.items.push(Kept { expires: item.expires, ..old });
            }
        }
        store.check();
        assert!(store.iter().zip(&model.items).all(|(stored, kept)| kept.is(&stored)));
        assert_eq!(store.len(), model.items.len());
        assert_eq!(store.bytes(), model.items.iter().map(Kept::cost).sum::<usize>());
        let found = model.position(&target, true).or(model.position(&target, false));
        assert_eq!(store.get(&target), found.map(|found| model.items[found].item()));

        if patience == 0 {
            assert!(store.poll_report().is_none());
        } else if count % patience == 0 {
            while let Some(report) = store.poll_report() {
                let (Event::ItemStored(new) | Event::ItemReplaced(new) | Event::ItemRefreshed(new)) = report else {
                    let Event::ItemDropped { target, mutable, .. } = report else { unreachable!() };
                    assert!(host.remove(&(target, mutable)).is_some(), "dropped what it was never told of");
                    continue;
                };
                let key = (new.target, new.item.as_mutable().is_some());
                let old = host.insert(key, (new.item.value().to_vec(), new.expires));
                match report {
                    // A drop that was missed: the host has an item that it should not have.
                    Event::ItemStored(_) => assert!(old.is_none() || patience > 1),
                    Event::ItemReplaced(_) => assert!(old.is_some()),
                    _ => assert_eq!(old.unwrap().0, new.item.value()),
                }
            }
            for kept in &model.items {
                assert_eq!(host.get(&(kept.target, kept.mutable)), Some(&(kept.value.clone(), kept.expires)));
            }
            assert!(host.len() == model.items.len() || patience > 1, "one that asks each time misses nothing");
            store.check();
        }
    }
}

quickcheck! {
    fn the_store_does_what_the_model_does(
        records: u8, arena: u16, patience: u8, steps: Vec<(u8, u8, u16, u8, u8)>
    ) -> bool {
        compare(usize::from(records % 20), 100 + usize::from(arena % 1_900), usize::from(patience % 4), &steps);
        // Rather full in octets, then in number; and as small as can be.
        compare(20, 1_000, 1, &steps);
        compare(5, 2_000, 1, &steps);
        compare(1, 500, 2, &steps);
        compare(2, 500, 1, &steps);
        true
    }
}

#[test]
fn an_item_lives_two_hours_and_reading_it_prolongs_nothing() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(false);
    store.insert(at(0), &target(1), &immutable(b"1:a"), &from(1)).unwrap();
    assert_eq!(store.next_expiry(), Some(at(7_200)));
    assert_eq!(store.expire(Instant::from_micros(7_199_999_999)), 0);
    assert!(store.has(1));
    assert_eq!(store.expire(at(7_200)), 1);
    assert!(!store.has(1));
    assert_eq!((store.len(), store.bytes(), store.next_expiry()), (0, 0, None));
}

#[test]
fn an_item_that_is_refreshed_after_one_hour_lives_until_the_third() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(false);
    store.insert(at(0), &target(1), &mutable(b"", 1, b"1:a"), &from(1)).unwrap();
    assert!(store.refresh(at(3_600), &target(1), true));
    assert!(!store.refresh(at(3_600), &target(1), false));
    assert_eq!(store.expire(Instant::from_micros(10_799_999_999)), 0);
    assert_eq!(store.expire(at(10_800)), 1);
}

#[test]
fn both_kinds_live_under_one_target() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(false);
    let (first, second, newer) = (immutable(b"1:i"), mutable(b"salt", 5, b"1:m"), mutable(b"salt", 6, b"2:mm"));
    store.insert(at(0), &target(1), &second, &from(1)).unwrap();
    assert_eq!(store.get(&target(1)), Some(second));
    store.insert(at(1), &target(1), &first, &from(1)).unwrap();
    store.insert(at(2), &target(1), &newer, &from(1)).unwrap();
    store.check();
    assert_eq!(store.get(&target(1)), Some(newer));
    assert_eq!(store.get_immutable(&target(1)).unwrap().value(), b"1:i");
    assert_eq!(store.get_mutable(&target(1)).as_ref(), newer.as_mutable());
    assert_eq!(store.expire(at(7_201)), 1);
    assert_eq!(store.get(&target(1)), Some(newer));
}

#[test]
fn a_microcontroller_keeps_seven_large_items_or_many_small_ones() {
    let value = [b'x'; 1_000];
    let mut memory = Memory::new(16, 8_192);
    let mut store = memory.store(false);
    for number in 0..100 {
        // Each from a network of its own, and every second one with another length, so that nothing is in place.
        let value = &value[(number % 2) as usize..];
        store.insert(at(number.into()), &target(number), &mutable(b"", 1, value), &from(number as u16)).unwrap();
        assert_eq!(store.len(), 7.min(number as usize + 1));
        store.check();
    }
    assert!(store.has(99));
    for number in 100..116 {
        store.insert(at(number.into()), &target(number), &immutable(b"1:a"), &from(number as u16)).unwrap();
    }
    assert_eq!(store.len(), 16);
}

#[test]
fn what_can_never_fit_is_refused_and_changes_nothing() {
    let fits = |records, arena, item: &Item<'_>| {
        Memory::new(records, arena).store(true).insert(at(0), &target(1), item, &from(1))
    };
    assert_eq!(fits(0, 1_000, &immutable(b"0:")), Err(Full));
    assert_eq!(fits(1, 0, &immutable(b"0:")), Err(Full));
    assert_eq!(fits(1, HEADER + 2, &immutable(b"0:")), Ok(0));
    assert_eq!(fits(1, HEADER + 2, &immutable(b"1:a")), Err(Full));
    assert_eq!(fits(1, MUTABLE_COST + 4, &mutable(b"ab", 1, b"0:")), Ok(0));
    assert_eq!(fits(1, MUTABLE_COST + 3, &mutable(b"ab", 1, b"0:")), Err(Full));

    let mut memory = Memory::new(2, 200);
    let mut store = memory.store(true);
    store.insert(at(0), &target(1), &mutable(b"", 1, b"0:"), &from(1)).unwrap();
    assert_eq!(store.insert(at(1), &target(1), &mutable(b"", 2, &[b'x'; 100]), &from(1)), Err(Full));
    assert_eq!(store.get_mutable(&target(1)).unwrap().seq(), 1);
    assert_eq!(store.next_expiry(), Some(at(7_200)));
    store.check();
}

#[test]
fn a_flood_from_one_network_takes_an_eighth_of_a_full_store() {
    let mut memory = Memory::new(64, 65_536);
    let mut store = memory.store(false);
    for number in 0..64 {
        store.insert(at(0), &target(number), &immutable(b"1:a"), &from(number as u16)).unwrap();
    }
    for number in 100..10_100 {
        let evicted = store.insert(Instant::from_millis(number.into()), &target(number), &immutable(b"1:b"), &from(99));
        assert_eq!(evicted, Ok(1));
    }
    assert!((0..64).filter(|&number| store.has(number)).count() >= 64 - 8);
    assert!((100..10_100).filter(|&number| store.has(number)).count() <= 8);
    assert!(store.has(10_099));
    store.check();
}

#[test]
fn a_flood_of_large_values_takes_an_eighth_of_the_octets() {
    let mut memory = Memory::new(1_000, 60_000);
    let mut store = memory.store(false);
    // 540 small items from 54 networks, half of the octets and of the records.
    for number in 0..540 {
        store.insert(at(0), &target(number), &immutable(&[b'x'; 50]), &from((number % 54) as u16)).unwrap();
    }
    for number in 1_000..2_000 {
        store.insert(at(1), &target(number), &immutable(&[b'y'; 1_000]), &from(99)).unwrap();
    }
    // Nothing was taken from anybody while there was room; then the flood paid for itself.
    assert_eq!((0..540).filter(|&number| store.has(number)).count(), 540);
    // And it gives way as soon as others come, though its items are the freshest.
    for number in 3_000..3_150 {
        store.insert(at(2), &target(number), &immutable(&[b'z'; 100]), &from((200 + number % 60) as u16)).unwrap();
    }
    let left = |range: core::ops::Range<u32>| range.filter(|&number| store.has(number)).count();
    assert_eq!((left(0..540), left(3_000..3_150)), (540, 150));
    store.check();
}

#[test]
fn whoever_filled_the_empty_store_gives_way_first_however_fresh_its_items_are() {
    let mut memory = Memory::new(64, 65_536);
    let mut store = memory.store(false);
    for number in 0..8 {
        store.insert(at(0), &target(number), &immutable(b"1:a"), &from(number as u16)).unwrap();
    }
    for number in 100..156 {
        store.insert(at(1), &target(number), &immutable(b"1:b"), &from(99)).unwrap();
    }
    for number in 200..240 {
        store.insert(at(2), &target(number), &immutable(b"1:c"), &from(number as u16)).unwrap();
        for flood in 100..156 {
            store.refresh(at(3), &target(flood), false);
        }
    }
    assert!((0..8).chain(200..240).all(|number| store.has(number)));
    store.check();
}

#[test]
fn a_stranger_cannot_make_the_item_of_another_its_own() {
    let mut memory = Memory::new(64, 65_536);
    let mut store = memory.store(false);
    store.insert(at(0), &target(1), &mutable(b"", 1, b"1:a"), &from(1)).unwrap();
    let source = store.records[0].source;
    store.insert(at(0), &target(1), &mutable(b"", 2, b"2:bb"), &from(2)).unwrap();
    assert_eq!(store.records[0].source, source);
    store.check();
}

#[test]
fn a_million_items_need_no_more_room_than_a_hundred() {
    let mut memory = Memory::new(100, 10_000);
    let mut store = memory.store(true);
    let value = [b'v'; 256];
    for number in 0..1_000_000_u32 {
        let value = &value[..(number.wrapping_mul(2_654_435_761) >> 24) as usize];
        let now = Instant::from_millis(number.into());
        store.expire(now);
        assert!(store.insert(now, &target(number), &immutable(value), &from((number % 5_000) as u16)).is_ok());
        assert!(store.len() <= 100 && store.bytes() <= 10_000);
    }
    store.check();
    assert!(store.len() > 30);
}

fn told(store: &mut Store<'_>) -> Vec<std::string::String> {
    let mut told = Vec::new();
    while let Some(report) = store.poll_report() {
        told.push(match report {
            Event::ItemStored(new) => std::format!("stored {:?} until {}", new.item.value(), new.expires.as_micros()),
            Event::ItemReplaced(new) => {
                std::format!("replaced {:?} until {}", new.item.value(), new.expires.as_micros())
            }
            Event::ItemRefreshed(new) => std::format!("refreshed until {}", new.expires.as_micros()),
            Event::Adopted(new) => std::format!("adopted {:?}", new.item.value()),
            Event::ItemDropped { target, mutable, reason } => {
                std::format!("{} {mutable} {reason:?}", target.as_bytes()[0])
            }
            other => panic!("{other:?}"),
        });
    }
    told
}

#[test]
fn what_happened_is_told_once_and_merged() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(true);
    let put = |store: &mut Store<'_>, secs, seq, value: &[u8]| {
        store.insert(at(secs), &target(1), &mutable(b"", seq, value), &from(1)).unwrap();
    };
    put(&mut store, 0, 1, b"1");
    assert_eq!(told(&mut store), ["stored [49] until 7200000000"]);
    assert!(told(&mut store).is_empty());
    // Refreshed twice.
    store.refresh(at(1), &target(1), true);
    store.refresh(at(2), &target(1), true);
    assert_eq!(told(&mut store), ["refreshed until 7202000000"]);
    // Refreshed, replaced, refreshed.
    store.refresh(at(3), &target(1), true);
    put(&mut store, 4, 2, b"2");
    store.refresh(at(5), &target(1), true);
    assert_eq!(told(&mut store), ["replaced [50] until 7205000000"]);
    // Replaced, dropped, stored again.
    put(&mut store, 6, 3, b"3");
    store.expire(at(10_000));
    put(&mut store, 10_000, 4, b"4");
    put(&mut store, 10_001, 5, b"5");
    assert_eq!(told(&mut store), ["1 true Expired", "stored [53] until 17201000000"]);
    // Dropped, and stored and dropped before anybody asked.
    store.expire(at(20_000));
    put(&mut store, 20_000, 6, b"6");
    store.expire(at(30_000));
    assert_eq!(told(&mut store), ["1 true Expired"]);
    store.check();
    assert_eq!(store.free.len(), store.unused);
}

#[test]
fn a_drop_that_nobody_asked_for_is_missed_only_when_two_more_records_were_needed() {
    let mut memory = Memory::new(2, 1_000);
    let mut store = memory.store(true);
    let put = |store: &mut Store<'_>, number: u32| {
        store.insert(at(number.into()), &target(number), &immutable(b"1"), &from(number as u16)).unwrap();
    };
    put(&mut store, 1);
    put(&mut store, 2);
    assert_eq!(told(&mut store).len(), 2);
    put(&mut store, 3);
    // The host asks each time: it misses nothing.
    assert_eq!(told(&mut store).len(), 2);
    let before: Vec<_> = store.iter().map(|stored| stored.target).collect();
    put(&mut store, 4);
    put(&mut store, 5);
    put(&mut store, 6);
    // Of four drops one was of an item nobody was told of, and the displaced ones share one place.
    let told = told(&mut store);
    assert_eq!(told.iter().filter(|told| told.ends_with("Evicted")).count(), 1, "{told:?} {before:?}");
    assert_eq!(told.iter().filter(|told| told.starts_with("stored")).count(), 2);
    store.check();
}

#[test]
fn a_host_that_does_not_care_is_told_nothing() {
    let mut memory = Memory::new(2, 1_000);
    let mut store = memory.store(false);
    for number in 0..10 {
        store.insert(at(number.into()), &target(number), &immutable(b"1"), &from(1)).unwrap();
        store.refresh(at(number.into()), &target(number), false);
    }
    store.expire(at(100_000));
    assert!(store.poll_report().is_none());
    assert_eq!(store.free.len(), 2);
}

#[test]
fn restored_items_live_as_long_as_they_had_and_are_not_told() {
    let mut memory = Memory::new(8, 2_000);
    let mut store = memory.store(true);
    let now = at(100_000);
    let mut restore = |number, item: &Item<'_>, secs| {
        store.restore(now, &target(number), item, Duration::from_secs(secs)).unwrap();
    };
    restore(1, &immutable(b"1"), 50);
    restore(2, &immutable(b"2"), 7_300);
    restore(3, &mutable(b"", 3, b"3"), 40);
    restore(4, &immutable(b"4"), 0);
    // A journal may tell of the same item several times.
    restore(3, &mutable(b"", 4, b"33"), 60);
    restore(3, &mutable(b"", 2, b"333"), 70);
    restore(1, &immutable(b"1"), 70);
    store.check();
    let left: Vec<_> = store.iter().map(|stored| (stored.item.value(), stored.expires)).collect();
    assert_eq!(left, [(&b"1"[..], at(100_050)), (b"33", at(100_060)), (b"2", at(107_200))]);
    assert!(told(&mut store).is_empty());
    assert_eq!(store.expire(at(100_050)), 1);
    assert_eq!(told(&mut store), ["1 false Expired"]);
}

#[test]
fn an_item_that_is_taken_back_before_its_drop_was_told_is_told_after_it() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(true);
    store.insert(at(0), &target(1), &immutable(b"1:a"), &from(1)).unwrap();
    assert_eq!(told(&mut store).len(), 1);
    store.expire(at(7_200));
    assert_eq!(store.restore(at(7_200), &target(1), &immutable(b"1:a"), TWO_HOURS), Ok(true));
    assert!(matches!(store.poll_report(), Some(Event::ItemDropped { .. })));
    assert!(matches!(store.poll_report(), Some(Event::ItemStored(stored)) if stored.target == target(1)));
    assert!(store.poll_report().is_none());
}

#[test]
fn memory_that_served_another_store_serves_again() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(true);
    for number in 0..10 {
        store.insert(at(0), &target(number), &immutable(b"1"), &from(number as u16)).unwrap();
    }
    let store = memory.store(true);
    store.check();
    assert_eq!((store.len(), store.bytes()), (0, 0));
}

#[test]
fn records_have_the_size_that_the_presets_count_on() {
    assert_eq!(size_of::<ItemSlot>(), 92);
}

// --- what the node keeps ---

#[test]
fn what_is_kept_neither_expires_nor_is_evicted_and_shares_the_capacity() {
    let mut memory = Memory::new(8, 2_000);
    let mut store = memory.store(true);
    store.keep(&target(1), &immutable(b"4:kept"), at(5)).unwrap();
    for number in 100..200 {
        store.insert(at(1), &target(number), &immutable(b"1:a"), &from(number as u16)).unwrap();
        store.check();
    }
    assert_eq!(store.len(), 8);
    store.expire(at(1_000_000));
    assert_eq!((store.len(), store.next_expiry()), (1, None));
    let kept: Vec<_> = store.kept().map(|kept| (kept.target, kept.item.value(), kept.due, kept.last)).collect();
    assert_eq!(kept, [(target(1), &b"4:kept"[..], at(5), LastAnnouncement::Never)]);
    assert_eq!(store.iter().map(|stored| (stored.kept, stored.expires)).collect::<Vec<_>>(), [(true, Instant::FAR)]);
}

#[test]
fn keeping_evicts_strangers_items_and_fails_only_when_none_are_left() {
    let mut memory = Memory::new(4, 2_000);
    let mut store = memory.store(false);
    for number in 100..104 {
        store.insert(at(0), &target(number), &immutable(&[b'x'; 400]), &from(1)).unwrap();
    }
    for number in 0..3 {
        store.keep(&target(number), &immutable(&[b'k'; 500]), at(0)).unwrap();
        store.check();
    }
    // Octets are short, then records.
    assert_eq!(store.keep(&target(3), &immutable(&[b'k'; 500]), at(0)), Err(Full));
    assert_eq!(store.insert(at(0), &target(3), &immutable(&[b's'; 500]), &from(2)), Err(Full));
    store.insert(at(0), &target(104), &immutable(b"1:s"), &from(2)).unwrap();
    store.keep(&target(4), &immutable(b"1:k"), at(0)).unwrap();
    store.check();
    assert_eq!(store.keep(&target(5), &immutable(b"1:k"), at(0)), Err(Full));
    assert_eq!(store.insert(at(0), &target(5), &immutable(b"1:s"), &from(2)), Err(Full));
    assert!(store.kept().map(|kept| kept.target).eq([0, 1, 2, 4].map(target)));
    store.check();
    assert!(store.forget(at(9), &target(1), false));
    assert!(!store.forget(at(9), &target(1), false));
    assert_eq!(store.next_expiry(), Some(at(7_209)));
    store.check();
    store.keep(&target(5), &immutable(b"1:k"), at(0)).unwrap();
    assert!(!store.has(1));
}

#[test]
fn a_newer_version_of_what_is_kept_stays_kept_and_due_and_is_told_even_to_who_wants_no_reports() {
    for reports in [false, true] {
        let mut memory = Memory::new(4, 600);
        let mut store = memory.store(reports);
        store.keep(&target(1), &mutable(b"", 1, b"1:a"), at(50)).unwrap();
        assert_eq!(told(&mut store).len(), usize::from(reports));
        // A refresh by a stranger changes nothing.
        assert!(store.refresh(at(10), &target(1), true));
        assert!(told(&mut store).is_empty());
        store.insert(at(10), &target(1), &mutable(b"", 2, &[b'x'; 300]), &from(7)).unwrap();
        store.check();
        assert_eq!(store.kept().map(|kept| kept.due).collect::<Vec<_>>(), [at(50)]);
        assert_eq!(told(&mut store).len(), 1);
        // One that does not fit leaves what is there.
        assert_eq!(store.insert(at(10), &target(1), &mutable(b"", 3, &[b'x'; 700]), &from(7)), Err(Full));
        store.check();
        assert_eq!(store.get_mutable(&target(1)).unwrap().seq(), 2);
        store.adopt(&target(1), &mutable(b"", 4, b"1:d")).unwrap();
        assert_eq!(store.get_mutable(&target(1)).unwrap().seq(), 4);
        assert_eq!(told(&mut store).len(), 1);
        store.expire(at(1_000_000));
        assert!(store.has(1));
    }
}

#[test]
fn a_strangers_item_that_is_kept_from_now_on_stands_in_the_order_of_what_is_due() {
    let mut memory = Memory::new(4, 1_000);
    let mut store = memory.store(true);
    store.insert(at(0), &target(1), &mutable(b"", 1, b"1:a"), &from(1)).unwrap();
    store.keep(&target(2), &immutable(b"1:b"), at(20)).unwrap();
    store.keep(&target(1), &mutable(b"", 1, b"1:a"), at(10)).unwrap();
    assert!(store.kept().map(|kept| kept.target).eq([1, 2].map(target)));
    store.reschedule(&target(1), true, at(30), Some(LastAnnouncement::Skipped { copies: 9 }));
    assert!(store.kept().map(|kept| kept.target).eq([2, 1].map(target)));
    assert_eq!(store.kept_due(&target(1), true), Some(at(30)));
    assert_eq!(store.kept_due(&target(1), false), None);
    store.check();
}

quickcheck! {
    fn keeping_and_forgetting_disturb_nothing(records: u8, arena: u16, steps: Vec<(u8, u8, u16, u8)>) -> bool {
        let mut memory = Memory::new(usize::from(records % 12), 100 + usize::from(arena % 1_900));
        let mut store = memory.store(true);
        // What is kept: its value and when it is due.
        let mut model: BTreeMap<(Target, bool), (Vec<u8>, Instant)> = BTreeMap::new();
        for (count, (what, which, size, net)) in steps.into_iter().enumerate() {
            let now = at(100 * count as u64);
            store.expire(now);
            let (target, is_mutable) = (target(u32::from(which % 6)), which & 8 == 0);
            let value = vec![which ^ net; usize::from(size) % 300];
            let item = if is_mutable { mutable(b"", count as i64, &value) } else { immutable(&value) };
            let due = now + Duration::from_secs(u64::from(net));
            let key = (target, is_mutable);
            match what % 4 {
                0 => if store.keep(&target, &item, due).is_ok() {
                    // Immutable values are not compared in the model of a store that does not judge.
                    model.insert(key, (value, due));
                },
                1 => {
                    assert_eq!(store.forget(now, &target, is_mutable), model.remove(&key).is_some());
                }
                2 => {
                    let stored = store.insert(now, &target, &item, &from(u16::from(net % 5)));
                    if let (Ok(_), true, Some((kept, _))) = (stored, is_mutable, model.get_mut(&key)) {
                        *kept = value;
                    }
                }
                _ => {
                    store.reschedule(&target, is_mutable, due, None);
                    if let Some((_, known)) = model.get_mut(&key) {
                        *known = due;
                    }
                }
            }
            store.check();
            let kept: BTreeMap<_, _> = store.kept().map(|kept| {
                let key = (kept.target, kept.item.as_mutable().is_some());
                (key, (kept.item.value().to_vec(), kept.due))
            }).collect();
            assert_eq!(kept, model);
            if count % 5 == 0 {
                while store.poll_report().is_some() {}
            }
        }
        true
    }
}
