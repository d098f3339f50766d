//! The routing table of one address family (BEP 5, "Routing Table"): contacts in k-buckets.
//!
//! Contacts lie in one list, ordered by the number of leading bits that they share with our id: the contacts that share
//! exactly n bits are bucket n. That is the tree of BEP 5 with every bucket split that holds our id; a bucket has room
//! for [`K`] contacts. How many each holds is written down beside the list, so that a contact is found without a look at
//! the others. Nobody is in the table who has not answered a question of ours.

use core::net::SocketAddr;
use core::ops::Range;

use crate::addr::CompactAddr;
use crate::id::{Distance, ID_LEN, NodeId, Target};
use crate::list::{Empty, List, Slots, last_to_front};
use crate::rng::Rng;
use crate::time::Instant;

/// Contacts in a bucket, nodes in a reply, and nodes that an item is stored on (BEP 5: K = 8).
pub const K: usize = 8;

/// A contact that gave no sign of life for so long is questionable, and a bucket in which nothing changed for so long
/// is refreshed (BEP 5: 15 minutes for both). In microseconds.
pub(crate) const QUIET: u32 = 15 * 60 * 1_000_000;

/// A contact that was quiet for longer than this is not named to others, unless there are no better ones. In microseconds.
const NAMED_WITHIN: u32 = 30 * 60 * 1_000_000;

/// A contact that left so many questions in a row unanswered is bad: one and a retry (BEP 5).
const BAD_AFTER: u8 = 2;

/// Buckets; all who share more bits with our id share the last one. A network of 2^31 nodes fills no more.
const BUCKETS: usize = u32::BITS as usize;

/// A node that has answered us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    id: NodeId,
    addr: CompactAddr,
    /// When it last answered a question, or, having answered before, asked one.
    last_seen: Instant,
    /// Questions left unanswered since it last answered.
    failures: u8,
    /// A question is out to learn whether it still lives.
    probed: bool,
}

impl Empty for Contact {
    const EMPTY: Self =
        Self { id: NodeId::ZERO, addr: CompactAddr::UNSPECIFIED, last_seen: Instant::ZERO, failures: 0, probed: false };
}

/// What is thought of a contact (BEP 5, "Routing Table").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Gave a sign of life within 15 minutes.
    Good,
    /// Quiet for 15 minutes, or left one question unanswered.
    Questionable,
    /// Left several questions in a row unanswered; the next comer takes its place.
    Bad,
}

impl Contact {
    /// The node's id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Where it answered from.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr.into()
    }

    pub(crate) const fn compact(&self) -> CompactAddr {
        self.addr
    }

    /// What is thought of it at `now`.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        if self.failures >= BAD_AFTER {
            Standing::Bad
        } else if self.failures > 0 || now.micros_since(self.last_seen) >= QUIET {
            Standing::Questionable
        } else {
            Standing::Good
        }
    }
}

/// Which contacts are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fit {
    /// Good ones.
    Good,
    /// Such as may be named to others where good ones are too few: they have left no question unanswered, and were quiet
    /// for less than [`NAMED_WITHIN`].
    Named,
    /// All but bad ones.
    NotBad,
    /// All.
    Any,
}

impl Contact {
    fn fits(&self, now: Instant, fit: Fit) -> bool {
        match fit {
            Fit::Good => self.standing(now) == Standing::Good,
            Fit::Named => self.failures == 0 && now.micros_since(self.last_seen) < NAMED_WITHIN,
            Fit::NotBad => self.standing(now) != Standing::Bad,
            Fit::Any => true,
        }
    }
}

/// Contacts with their distances, nearest first.
pub(crate) type Closest<'t, const N: usize> = heapless::Vec<(Distance, &'t Contact), N>;
type Found<'t> = heapless::vec::VecView<(Distance, &'t Contact)>;

/// What became of a node that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is a new contact.
    Added,
    /// It was one already.
    Known,
    /// Its bucket is full of contacts that are not bad, or its id is known at an address that still answers.
    Declined,
}

#[derive(Debug)]
pub(crate) struct Table<'m> {
    own: NodeId,
    contacts: List<'m, Contact>,
    started: Instant,
    /// When something changed in each bucket last: seconds since `started`, rounded up, so that the contact who made the
    /// change is asked for a sign of life before the bucket is refreshed, and may make that needless.
    changed: [u32; BUCKETS],
    /// Contacts in each bucket: no more than [`K`].
    sizes: [u8; BUCKETS],
    /// Buckets to refresh now, a bit each.
    hastened: u32,
}

impl<'m> Table<'m> {
    pub(crate) fn new(own: NodeId, slots: Slots<'m, Contact>, now: Instant) -> Self {
        Self { own, contacts: List::new(slots), started: now, changed: [0; BUCKETS], sizes: [0; BUCKETS], hastened: 0 }
    }

    pub(crate) fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// Whether this family is in use at all.
    pub(crate) fn has_room_at_all(&self) -> bool {
        self.contacts.capacity() > 0
    }

    /// The number of the bucket that `id` belongs to.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn bucket(&self, id: &NodeId) -> usize {
        (self.own.distance(&Target::from(*id)).shared_prefix() as usize).min(BUCKETS - 1)
    }

    /// Where the contacts of a bucket lie.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn range(&self, bucket: usize) -> Range<usize> {
        let (before, rest) = self.sizes.split_at_checked(bucket).unwrap_or((&self.sizes, &[]));
        let start = before.iter().map(|size| usize::from(*size)).sum();
        start..start + rest.first().map_or(0, |size| usize::from(*size))
    }

    fn position(&self, id: &NodeId) -> Option<usize> {
        let range = self.range(self.bucket(id));
        let start = range.start;
        self.contacts.get(range)?.iter().position(|contact| contact.id == *id).map(|at| start + at)
    }

    /// Adds a contact to its bucket, if the list has room.
    fn add(&mut self, contact: Contact) -> bool {
        let bucket = self.bucket(&contact.id);
        let added = self.contacts.insert(self.range(bucket).end, contact).is_ok();
        if added && let Some(size) = self.sizes.get_mut(bucket) {
            *size += 1;
        }
        added
    }

    fn remove(&mut self, at: usize) {
        if let Some(contact) = self.contacts.get(at) {
            let bucket = self.bucket(&contact.id);
            if let Some(size) = self.sizes.get_mut(bucket) {
                *size = size.saturating_sub(1);
            }
            self.contacts.remove(at);
        }
    }

    /// Up to `N` contacts that fit, the closest to `target` first, with their distances.
    pub(crate) fn closest<const N: usize>(&self, target: &Target, now: Instant, fit: Fit) -> Closest<'_, N> {
        let mut closest = heapless::Vec::new();
        self.find_closest(target, now, fit, &mut closest);
        closest
    }

    /// Fills `found`. (One function for all numbers of contacts.)
    ///
    /// With p the bits that `target` shares with our id, the contacts of bucket p are closest to it, then those of all
    /// later buckets together, then those of p - 1, p - 2 and so on.
    fn find_closest<'t>(&'t self, target: &Target, now: Instant, fit: Fit, found: &mut Found<'t>) {
        let bucket = self.bucket(&NodeId::new(*target.as_bytes()));
        let Range { start, mut end } = self.range(bucket);
        self.merge(target, now, fit, start..end, found);
        let mut group = end..self.contacts.len();
        end = start;
        let mut before = self.sizes.iter().take(bucket).rev();
        while !found.is_full() {
            self.merge(target, now, fit, group, found);
            let Some(size) = before.next() else { return };
            group = end.saturating_sub(usize::from(*size))..end;
            end = group.start;
        }
    }

    /// Merges in a group of contacts, of which each is farther than all of the groups before it.
    fn merge<'t>(&'t self, target: &Target, now: Instant, fit: Fit, group: Range<usize>, found: &mut Found<'t>) {
        for contact in self.contacts.get(group).unwrap_or_default().iter().filter(|contact| contact.fits(now, fit)) {
            let distance = contact.id.distance(target);
            if found.is_full() {
                if found.last().is_none_or(|(farthest, _)| *farthest <= distance) {
                    continue;
                }
                found.pop();
            }
            let at = found.iter().rposition(|(nearer, _)| *nearer < distance).map_or(0, |nearer| nearer + 1);
            // Push and rotate: the panic-free way to insert.
            if found.push((distance, contact)).is_ok()
                && let Some(tail) = found.get_mut(at..)
            {
                last_to_front(tail);
            }
        }
    }

    /// Whether a node with this id, if it answered, could become a contact: what is worth a question to a stranger.
    pub(crate) fn has_room_for(&self, id: &NodeId, now: Instant) -> bool {
        if *id == self.own || self.position(id).is_some() {
            return false;
        }
        let range = self.range(self.bucket(id));
        let bucket = self.contacts.get(range).unwrap_or_default();
        let spare = bucket.len() < K && (self.contacts.len() < self.contacts.capacity() || self.victim(id).is_some());
        spare || bucket.iter().any(|contact| contact.standing(now) == Standing::Bad)
    }

    /// In a table that is full before its buckets are: who makes room for `id`. The fullest bucket loses its least
    /// recently seen contact, the farthest of equally full ones, as long as the newcomer's bucket stays the emptier.
    fn victim(&self, id: &NodeId) -> Option<usize> {
        let newcomer = self.range(self.bucket(id)).len();
        // Of equal ones the last is taken: the farthest, when they are gone through from the nearest.
        let (fullest, _) = self.sizes.iter().enumerate().rev().max_by_key(|(_, size)| **size)?;
        let best = self.range(fullest);
        if best.len() <= newcomer + 1 {
            return None;
        }
        let offset = best.start;
        let is_worse = |one: &Contact, than: &Contact| {
            one.failures > than.failures || (one.failures == than.failures && one.last_seen < than.last_seen)
        };
        let members = self.contacts.get(best)?.iter().enumerate();
        let worst = members.reduce(|worst, next| if is_worse(next.1, worst.1) { next } else { worst });
        worst.map(|(at, _)| offset + at)
    }

    /// Notes that the node answered a question of ours, and makes it a contact if there is room.
    pub(crate) fn answered(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) -> Admission {
        if *id == self.own {
            return Admission::Declined;
        }
        // Somebody else's id may be claimed from anywhere: an address that still answers keeps it.
        let elsewhere = |known: &Contact| known.addr != *addr && known.standing(now) != Standing::Bad;
        let known = self.position(id).and_then(|at| self.contacts.get(at));
        if known.is_some_and(elsewhere) {
            return Admission::Declined;
        }
        // The address has a new id: the old one is gone. (An address is in the list once.)
        if known.is_none_or(|known| known.addr != *addr)
            && let Some(at) = self.contacts.iter().position(|contact| contact.addr == *addr)
        {
            self.remove(at);
        }
        if let Some(contact) = self.position(id).and_then(|at| self.contacts.get_mut(at)) {
            *contact = Contact { id: *id, addr: *addr, last_seen: now, failures: 0, probed: false };
            self.set_changed(self.bucket(id), now);
            return Admission::Known;
        }
        let bucket = self.bucket(id);
        let range = self.range(bucket);
        let bad = |contact: &Contact| contact.standing(now) == Standing::Bad;
        let members = self.contacts.get(range.clone()).unwrap_or_default();
        if let Some(at) = members.iter().position(bad) {
            self.remove(range.start + at);
        } else if members.len() >= K {
            return Admission::Declined;
        } else if self.contacts.len() == self.contacts.capacity() {
            let Some(victim) = self.victim(id) else { return Admission::Declined };
            self.remove(victim);
        }
        if !self.add(Contact { id: *id, addr: *addr, last_seen: now, failures: 0, probed: false }) {
            return Admission::Declined;
        }
        self.set_changed(bucket, now);
        Admission::Added
    }

    /// Takes back a contact that an earlier node had, if there is room and its id and address are not known yet; says
    /// whether it is. Until it has answered it is questionable: asked for a sign of life soon, and named to nobody.
    pub(crate) fn restore(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) -> bool {
        let is_known = self.contacts.iter().any(|contact| contact.id == *id || contact.addr == *addr);
        if *id == self.own || is_known || self.range(self.bucket(id)).len() >= K {
            return false;
        }
        // One failure stands for "not seen since the start": a moment before the start cannot always be written.
        // In a table that is full already, none goes for one of which nothing is known.
        self.add(Contact { id: *id, addr: *addr, last_seen: now, failures: 1, probed: false })
    }

    /// Notes that a contact asked us something: a sign of life, once it has answered (BEP 5). False if it is none.
    pub(crate) fn asked_us(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) -> bool {
        let known = self.position(id).and_then(|at| self.contacts.get_mut(at)).filter(|contact| contact.addr == *addr);
        match known {
            Some(contact) => {
                if contact.failures == 0 {
                    contact.last_seen = now;
                }
                true
            }
            None => false,
        }
    }

    /// Notes that the node at `addr` left a question unanswered.
    pub(crate) fn failed(&mut self, addr: &CompactAddr, id: Option<&NodeId>) {
        let at = match id {
            Some(id) => self.position(id),
            None => self.contacts.iter().position(|contact| contact.addr == *addr),
        };
        if let Some(contact) = at.and_then(|at| self.contacts.get_mut(at)).filter(|contact| contact.addr == *addr) {
            contact.failures = contact.failures.saturating_add(1);
            contact.probed = false;
        }
    }

    /// Forgets the contact with this id at this address: another id answers there now.
    pub(crate) fn forget(&mut self, addr: &CompactAddr, id: &NodeId) {
        if let Some(at) = self.position(id)
            && self.contacts.get(at).is_some_and(|contact| contact.addr == *addr)
        {
            self.remove(at);
        }
    }

    /// The contact that should be asked for a sign of life, if any; it counts as asked from now on.
    pub(crate) fn next_probe(&mut self, now: Instant) -> Option<Contact> {
        let due = |contact: &&mut Contact| !contact.probed && contact.standing(now) == Standing::Questionable;
        let contact = self.contacts.iter_mut().find(due)?;
        contact.probed = true;
        Some(*contact)
    }

    /// When the next contact becomes questionable, or the next bucket needs a refresh.
    pub(crate) fn next_due(&self) -> Instant {
        let mut due = if self.hastened == 0 { Instant::FAR } else { Instant::ZERO };
        for contact in self.contacts.iter().filter(|contact| !contact.probed && contact.failures < BAD_AFTER) {
            let patience = if contact.failures > 0 { 0 } else { QUIET };
            due = due.min(contact.last_seen.after_micros(patience.into()));
        }
        for changed in self.changed.iter().take(self.buckets()) {
            due = due.min(self.moment(*changed).after_micros(QUIET.into()));
        }
        due
    }

    /// How many buckets there are to keep fresh: those up to the deepest with a contact, whose shared entry is the last.
    fn buckets(&self) -> usize {
        self.contacts.last().map_or(0, |deepest| self.bucket(&deepest.id) + 1)
    }

    /// A random target in a bucket in which nothing changed for 15 minutes (BEP 5), which counts as refreshed from now on.
    pub(crate) fn next_refresh(&mut self, now: Instant, rng: &mut Rng) -> Option<Target> {
        let (buckets, hastened) = (self.buckets(), core::mem::take(&mut self.hastened));
        let is_due = |bucket: usize, changed: u32| {
            hastened & (1 << bucket) != 0 || now.micros_since(self.moment(changed)) >= QUIET
        };
        let mut changed = self.changed.iter().take(buckets).enumerate();
        let bucket = changed.find(|(bucket, changed)| is_due(*bucket, **changed))?.0;
        self.hastened = hastened & !(1 << bucket);
        self.set_changed(bucket, now);
        let mut target = rng.octets::<ID_LEN>();
        // Shares the first `bucket` bits with our id, and differs in the next.
        for (at, (octet, own)) in target.iter_mut().zip(self.own.as_bytes()).enumerate() {
            let shared = bucket.saturating_sub(8 * at).min(8);
            let mask = !(0xff_u16 >> shared) as u8;
            *octet = (own & mask) | (*octet & !mask);
            if 8 * at <= bucket && bucket < 8 * at + 8 {
                let differs = 0x80 >> (bucket - 8 * at);
                *octet = (*octet & !differs) | (!own & differs);
            }
        }
        Some(Target::new(target))
    }

    /// Has all buckets with too few contacts refreshed now: who has just joined knows its neighbours, but may know a
    /// single node of the far half of the network (Kademlia, 2.3).
    pub(crate) fn hasten_sparse(&mut self) {
        for (bucket, size) in self.sizes.iter().enumerate().take(self.buckets()) {
            if usize::from(*size) < K {
                self.hastened |= 1 << bucket;
            }
        }
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    fn set_changed(&mut self, bucket: usize, now: Instant) {
        if let Some(changed) = self.changed.get_mut(bucket) {
            let (secs, more) = now.secs_since(self.started);
            *changed = u32::try_from(secs + u64::from(more > 0)).unwrap_or(u32::MAX);
        }
    }

    fn moment(&self, secs: u32) -> Instant {
        self.started.after_micros(u64::from(secs) * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    fn id(first: u8, second: u8) -> NodeId {
        let mut octets = [0; ID_LEN];
        octets[..2].copy_from_slice(&[first, second]);
        NodeId::new(octets)
    }

    fn addr(number: u16) -> CompactAddr {
        CompactAddr::V4([10, 0, 0, 1], number + 1)
    }

    fn with_table(capacity: usize, test: impl FnOnce(&mut Table<'_>)) {
        let mut memory = std::vec![Contact::EMPTY; capacity];
        test(&mut Table::new(NodeId::ZERO, Slots::Borrowed(&mut memory), Instant::ZERO));
    }

    quickcheck! {
        fn the_closest_are_those_that_sorting_finds(ids: Vec<(u8, u8)>, target: (u8, u8)) -> bool {
            with_table(64, |table| {
                for (number, (first, second)) in ids.into_iter().enumerate() {
                    table.answered(Instant::ZERO, &id(first, second), &addr(number as u16));
                }
                let target = Target::from(id(target.0, target.1));
                let mut expected: Vec<NodeId> = table.contacts().iter().map(Contact::id).collect();
                expected.sort_by_key(|id| id.distance(&target));
                expected.truncate(K);
                let found: Vec<NodeId> = {
                    let closest = table.closest::<K>(&target, Instant::ZERO, Fit::Any);
                    closest.iter().map(|(_, contact)| contact.id()).collect()
                };
                assert_eq!(found, expected);
            });
            true
        }

        fn buckets_hold_at_most_k_and_stay_in_order(ids: Vec<(u8, u8)>, failures: Vec<u8>) -> bool {
            with_table(20, |table| {
                let mut failures = failures.into_iter().cycle();
                for (number, (first, second)) in ids.into_iter().enumerate() {
                    table.answered(Instant::from_secs(number as u64), &id(first, second), &addr(number as u16));
                    if let Some(failed) = failures.next() {
                        table.failed(&addr(u16::from(failed)), None);
                    }
                    let buckets: Vec<usize> = table.contacts().iter().map(|c| table.bucket(&c.id)).collect();
                    assert!(buckets.is_sorted() && buckets.len() <= 20);
                    let in_bucket = |bucket: usize| buckets.iter().filter(|other| **other == bucket).count();
                    assert!((0..BUCKETS).all(|b| in_bucket(b) <= K && in_bucket(b) == usize::from(table.sizes[b])));
                    assert!(!table.contacts().iter().any(|contact| contact.id == NodeId::ZERO));
                }
            });
            true
        }
    }

    #[test]
    fn a_full_bucket_of_good_contacts_declines_and_a_bad_one_makes_room() {
        with_table(64, |table| {
            for number in 0..8 {
                assert_eq!(table.answered(Instant::ZERO, &id(0x80, number), &addr(number.into())), Admission::Added);
            }
            let newcomer = id(0x80, 99);
            assert!(!table.has_room_for(&newcomer, Instant::ZERO));
            assert_eq!(table.answered(Instant::ZERO, &newcomer, &addr(99)), Admission::Declined);
            table.failed(&addr(3), None);
            assert!(!table.has_room_for(&newcomer, Instant::ZERO), "one question unanswered is not enough");
            table.failed(&addr(3), Some(&id(0x80, 3)));
            assert!(table.has_room_for(&newcomer, Instant::ZERO));
            assert_eq!(table.answered(Instant::ZERO, &newcomer, &addr(99)), Admission::Added);
            assert_eq!(table.position(&id(0x80, 3)), None);
        });
    }

    #[test]
    fn ids_made_to_be_near_share_the_last_bucket() {
        with_table(64, |table| {
            let near = |number: u8| NodeId::new(core::array::from_fn(|at| if at == 19 { number } else { 0 }));
            for number in 1..20 {
                let admission = table.answered(Instant::ZERO, &near(number), &addr(number.into()));
                assert_eq!(admission == Admission::Added, number <= 8, "{number}");
            }
            table.answered(Instant::ZERO, &id(0x80, 0), &addr(99));
            let closest = table.closest::<K>(&Target::from(near(3)), Instant::ZERO, Fit::Any);
            let ids: Vec<_> = closest.iter().map(|(_, contact)| contact.id()).collect();
            assert_eq!(ids, [3, 2, 1, 7, 6, 5, 4, 8].map(near));
            assert_eq!(table.closest::<9>(&Target::from(near(3)), Instant::ZERO, Fit::Any).len(), 9);
        });
    }

    #[test]
    fn a_quiet_contact_is_questionable_and_asked_once_until_it_answers() {
        with_table(8, |table| {
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(1));
            assert_eq!(table.next_due(), Instant::ZERO.after_micros(QUIET.into()));
            let before = Instant::from_micros(u64::from(QUIET) - 1);
            assert_eq!(table.contacts()[0].standing(before), Standing::Good);
            assert!(table.next_probe(before).is_none());
            let later = Instant::ZERO.after_micros(QUIET.into());
            assert_eq!(table.contacts()[0].standing(later), Standing::Questionable);
            assert_eq!(table.next_probe(later).map(|contact| contact.id), Some(id(0x80, 1)));
            assert!(table.next_probe(later).is_none());
            table.failed(&addr(1), Some(&id(0x80, 1)));
            assert!(table.next_probe(later).is_some(), "one retry");
            table.answered(later, &id(0x80, 1), &addr(1));
            assert_eq!(table.contacts()[0].standing(later), Standing::Good);
        });
    }

    #[test]
    fn a_question_of_a_contact_is_a_sign_of_life_unless_it_leaves_ours_unanswered() {
        with_table(8, |table| {
            assert!(!table.asked_us(Instant::ZERO, &id(0x80, 1), &addr(1)));
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(1));
            assert!(!table.asked_us(Instant::ZERO, &id(0x80, 1), &addr(2)), "another address is another node");
            let later = Instant::ZERO.after_micros(QUIET.into());
            assert!(table.asked_us(later, &id(0x80, 1), &addr(1)));
            assert_eq!(table.contacts()[0].standing(later), Standing::Good);
            table.failed(&addr(1), None);
            table.asked_us(later, &id(0x80, 1), &addr(1));
            assert_eq!(table.contacts()[0].standing(later), Standing::Questionable);
        });
    }

    #[test]
    fn an_id_stays_with_the_address_that_answers() {
        with_table(8, |table| {
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(1));
            assert_eq!(table.answered(Instant::ZERO, &id(0x80, 1), &addr(2)), Admission::Declined);
            table.failed(&addr(1), None);
            table.failed(&addr(1), None);
            assert_eq!(table.answered(Instant::ZERO, &id(0x80, 1), &addr(2)), Admission::Known);
            assert_eq!(table.contacts()[0].compact(), addr(2));
        });
    }

    #[test]
    fn an_address_has_one_id() {
        with_table(8, |table| {
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(1));
            assert_eq!(table.answered(Instant::ZERO, &id(0x40, 1), &addr(1)), Admission::Added);
            assert_eq!(table.contacts().len(), 1);
            // And if the id is that of a contact that was lost elsewhere.
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(2));
            table.failed(&addr(2), None);
            table.failed(&addr(2), None);
            assert_eq!(table.answered(Instant::ZERO, &id(0x80, 1), &addr(1)), Admission::Known);
            let contacts: Vec<_> = table.contacts().iter().map(|contact| (contact.id, contact.addr)).collect();
            assert_eq!(contacts, [(id(0x80, 1), addr(1))]);
        });
    }

    #[test]
    fn a_small_table_keeps_near_contacts_at_the_cost_of_far_ones() {
        with_table(16, |table| {
            for number in 0..8 {
                table.answered(Instant::from_secs(number.into()), &id(0x80, number), &addr(number.into()));
                table.answered(Instant::from_secs(number.into()), &id(0x40, number), &addr(100 + u16::from(number)));
            }
            for number in 0..8 {
                table.answered(Instant::from_secs(99), &id(0x20, number), &addr(200 + u16::from(number)));
            }
            let count = |bucket| table.range(bucket).len();
            assert_eq!(table.contacts().len(), 16);
            assert!(count(2) >= 5 && count(0) >= 5 && count(1) >= 5, "{} {} {}", count(0), count(1), count(2));
            assert!(table.position(&id(0x80, 0)).is_none(), "the least recently seen went first");
        });
    }

    #[test]
    fn a_contact_taken_back_is_asked_before_it_is_named() {
        with_table(8, |table| {
            assert!(table.restore(Instant::ZERO, &id(0x80, 1), &addr(1)));
            assert!(!table.restore(Instant::ZERO, &id(0x80, 1), &addr(2)), "its id is known");
            assert!(!table.restore(Instant::ZERO, &id(0x80, 2), &addr(1)), "its address is known");
            assert!(!table.restore(Instant::ZERO, &NodeId::ZERO, &addr(3)), "it is us");
            assert!(!table.contacts()[0].fits(Instant::ZERO, Fit::Named));
            assert_eq!(table.next_due(), Instant::ZERO);
            assert_eq!(table.next_probe(Instant::ZERO).map(|contact| contact.id), Some(id(0x80, 1)));
            table.answered(Instant::ZERO, &id(0x80, 1), &addr(1));
            assert_eq!(table.contacts()[0].standing(Instant::ZERO), Standing::Good);
            for number in 2..20 {
                assert_eq!(table.restore(Instant::ZERO, &id(0x80, number), &addr(number.into())), number < 9);
            }
        });
    }

    #[test]
    fn a_refresh_aims_into_the_quiet_bucket() {
        with_table(64, |table| {
            let mut rng = Rng::new([5; 32]);
            for (number, first) in [0x80, 0x40, 0x20, 0x01].into_iter().enumerate() {
                table.answered(Instant::ZERO, &id(first, 1), &addr(number as u16));
            }
            assert_eq!(table.next_refresh(Instant::ZERO, &mut rng), None);
            let later = Instant::ZERO.after_micros(QUIET.into());
            let own = table.own;
            let aimed: Vec<usize> = core::iter::from_fn(|| table.next_refresh(later, &mut rng))
                .map(|target| own.distance(&target).shared_prefix() as usize)
                .collect();
            assert_eq!(aimed, [0, 1, 2, 3, 4, 5, 6, 7]);
        });
    }

    #[test]
    fn a_table_without_slots_takes_nobody() {
        with_table(0, |table| {
            assert!(!table.has_room_at_all());
            assert_eq!(table.answered(Instant::ZERO, &id(0x80, 1), &addr(1)), Admission::Declined);
            assert_eq!(table.next_due(), Instant::FAR);
        });
    }

    #[test]
    fn a_contact_takes_52_octets_and_without_ipv6_36() {
        assert_eq!(size_of::<Contact>(), if cfg!(feature = "ipv6") { 52 } else { 36 });
    }
}
