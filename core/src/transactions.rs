//! Questions in flight: their transaction ids, whom they went to, and how long an answer is worth waiting for.

use crate::addr::CompactAddr;
use crate::id::NodeId;
use crate::links::{Chain, Chained, Index, Link, Linked, Order, Slot};
use crate::list::{Empty, Slots};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Octets of our transaction ids. Four, because one common implementation takes no other length; random, so that who
/// does not see our packets cannot answer them.
pub(crate) const TRANSACTION_LEN: usize = 4;

/// How long a transaction stays open: an answer later than this is not recognised, and the contact has failed.
/// Round trips on the Internet's DHT are below 1 s for all but a few in a hundred. In microseconds, as all of these times:
/// on a small processor a [`Duration`] is dear.
pub(crate) const FULL_TIMEOUT: u32 = 3_000_000;

/// The short timeout until a round trip was measured: more than most round trips on the Internet.
const FIRST_SHORT: u32 = 300_000;

/// Bounds of the measured short timeout. Below the lower one the scheduler of a busy host is measured, not the network.
const SHORT_BOUNDS: (u32, u32) = (30_000, 1_000_000);

/// How often the short timeout fits into the patience, and the least that patience is: a slow holder of the only copy
/// costs less than a false "not found".
const PATIENCE: (u32, u32) = (3, 200_000);

/// Which question it is, and for whom; carried along and handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Is this node alive? Asked for the routing table.
    Probe,
    /// A step of a walk.
    Walk(QueryHandle),
    /// A put or an announcement.
    Store(QueryHandle),
}

/// Names a query that was started. A handle of a query that has ended is harmless: it names nothing.
// Without padding: every question in flight holds one.
#[repr(Rust, packed(2))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueryHandle {
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

impl QueryHandle {
    /// The handle as a number, to write it down: for a trace, or a map of the host's.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 16 | self.slot as u64
    }

    /// The handle that [`to_bits`](Self::to_bits) made into this number; of any other number, a handle that names
    /// nothing or, by chance, a query that runs.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each part is what is left of the number")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u16, generation: (bits >> 16) as u32 }
    }
}

/// How long a question has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    /// Within the time that most answers take.
    Fresh,
    /// Past the short timeout: time to ask somebody else as well.
    Late,
    /// Past patience: nobody waits for it any more, but it is still welcome.
    Overdue,
}

/// A question in flight. Opaque: a place for the node to work in.
#[derive(Debug, Clone, Copy)]
pub struct Transaction {
    id: [u8; TRANSACTION_LEN],
    age: Age,
    // Not an `Option` of a purpose: its `None` would not be zero in memory.
    open: bool,
    purpose: Purpose,
    node: Option<NodeId>,
    addr: CompactAddr,
    sent: Instant,
    links: [Link; 1],
    chain: Chain,
}

impl Empty for Transaction {
    const EMPTY: Self = Self {
        id: [0; TRANSACTION_LEN],
        age: Age::Fresh,
        open: false,
        purpose: Purpose::Probe,
        node: None,
        addr: CompactAddr::UNSPECIFIED,
        sent: Instant::ZERO,
        links: [Link::EMPTY],
        chain: Chain::EMPTY,
    };
}

impl Linked for Transaction {
    fn links(&self) -> &[Link] {
        &self.links
    }

    fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }
}

impl Chained for Transaction {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

/// A question that is no longer in flight, or has grown older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) purpose: Purpose,
    /// Who was asked, if its id was known.
    pub(crate) node: Option<NodeId>,
    pub(crate) addr: CompactAddr,
    pub(crate) sent: Instant,
}

impl Asked {
    /// Whether this node was asked, as far as it was known who is there.
    pub(crate) fn is_from(&self, node: &NodeId) -> bool {
        self.node.is_none_or(|asked| asked == *node)
    }
}

/// What time has done to the questions in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elapsed {
    /// Has grown older, and is still open.
    Aged(Asked, Age),
    /// Has been closed without an answer.
    TimedOut(Asked),
}

#[derive(Debug)]
pub(crate) struct Transactions<'m> {
    slots: Slots<'m, Transaction>,
    used: usize,
    free: Option<Slot>,
    /// From the longest in flight to the latest. As patience is the same for all, they also grow old in this order.
    order: Order<0>,
    index: Index,
    round_trip: RoundTrip,
}

impl<'m> Transactions<'m> {
    pub(crate) fn new(mut slots: Slots<'m, Transaction>, index: Index) -> Self {
        // The caller's memory may have served another node before, whose chains would lead in circles.
        slots.fill(Transaction::EMPTY);
        Self { slots, used: 0, free: None, order: Order::EMPTY, index, round_trip: RoundTrip::default() }
    }

    #[cfg(test)]
    pub(crate) const fn in_flight(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.free.is_none() && self.used >= self.slots.len()
    }

    /// The smoothed round trip, once one was measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed.map(|micros| Duration::from_micros(micros.into()))
    }

    /// Opens a transaction and returns its id; `None` if too many are in flight.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        addr: CompactAddr,
        node: Option<NodeId>,
        purpose: Purpose,
    ) -> Option<[u8; TRANSACTION_LEN]> {
        let slot = match self.free {
            Some(slot) => slot,
            None if self.used < self.slots.len() => Slot::new(self.used)?,
            None => return None,
        };
        let id = rng.octets();
        let record = self.slots.get_mut(slot.index())?;
        if self.free.is_some() {
            self.free = record.chain.take_next();
        } else {
            self.used += 1;
        }
        record.id = id;
        record.age = Age::Fresh;
        record.open = true;
        record.purpose = purpose;
        record.node = node;
        record.addr = addr;
        record.sent = now;
        self.order.push(&mut self.slots, slot);
        Index::insert(&mut self.slots, slot, self.index.hash(&id));
        Some(id)
    }

    /// The question that this answer is for: its id and its address match. The transaction is closed, and its round trip
    /// measured. Whether it was the node asked that has answered is [another question](Asked::is_from).
    pub(crate) fn answer(&mut self, now: Instant, from: &CompactAddr, id: &[u8]) -> Option<Asked> {
        let hash = self.index.hash(id);
        let matches =
            |slot: &Slot| self.slots.get(slot.index()).is_some_and(|record| record.id == *id && record.addr == *from);
        let slot = Index::candidates(&self.slots, hash).find(matches)?;
        let asked = self.close(slot)?;
        self.round_trip.measured(now.micros_since(asked.sent));
        Some(asked)
    }

    /// Closes one question to an address that cannot be reached; to be called until there is none.
    pub(crate) fn unreachable(&mut self, addr: &CompactAddr) -> Option<Asked> {
        let is_there = |slot: &Slot| self.slots.get(slot.index()).is_some_and(|record| record.addr == *addr);
        let slot = self.order.iter(&self.slots).find(is_there)?;
        self.close(slot)
    }

    /// What time has done to one question; to be called until it has done nothing more.
    pub(crate) fn elapse(&mut self, now: Instant) -> Option<Elapsed> {
        let (short, patience) = (self.round_trip.short(), self.round_trip.patience());
        let oldest = self.order.oldest()?;
        let record = self.slots.get(oldest.index())?;
        // One that nobody waits for is still welcome, but not where there is no room for others.
        if record.sent.after_micros(FULL_TIMEOUT.into()) <= now || (record.age == Age::Overdue && self.is_full()) {
            return self.close(oldest).map(Elapsed::TimedOut);
        }
        let mut next = Some(oldest);
        while let Some(slot) = next {
            let record = self.slots.get_mut(slot.index())?;
            let age = match now.micros_since(record.sent) {
                waited if waited >= patience => Age::Overdue,
                waited if waited >= short => Age::Late,
                // Those behind it were sent later still.
                _ => return None,
            };
            if age > record.age {
                record.age = age;
                return Some(Elapsed::Aged(record.asked()?, age));
            }
            next = Order::<0>::newer(&self.slots, slot);
        }
        None
    }

    /// When [`elapse`](Self::elapse) has something to say.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let oldest = self.slots.get(self.order.oldest()?.index())?;
        let mut next = oldest.sent.after_micros(FULL_TIMEOUT.into());
        for slot in self.order.iter(&self.slots) {
            let record = self.slots.get(slot.index())?;
            match record.age {
                Age::Overdue => {}
                Age::Late => next = next.min(record.sent.after_micros(self.round_trip.patience().into())),
                Age::Fresh => {
                    next = next.min(record.sent.after_micros(self.round_trip.short().into()));
                    break;
                }
            }
        }
        Some(next)
    }

    fn close(&mut self, slot: Slot) -> Option<Asked> {
        let record = self.slots.get(slot.index())?;
        let asked = record.asked()?;
        let hash = self.index.hash(&record.id);
        Index::remove(&mut self.slots, slot, hash);
        self.order.remove(&mut self.slots, slot);
        let record = self.slots.get_mut(slot.index())?;
        record.open = false;
        record.chain.set_next(self.free.replace(slot));
        Some(asked)
    }
}

impl Transaction {
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn asked(&self) -> Option<Asked> {
        self.open.then_some(Asked { purpose: self.purpose, node: self.node, addr: self.addr, sent: self.sent })
    }
}

/// How long answers take, smoothed as TCP does it (RFC 6298), over all nodes together: most are asked only once. In whole
/// microseconds, as moments have them: with a fraction, a deadline would come before its time is up.
#[derive(Debug, Default)]
struct RoundTrip {
    smoothed: Option<u32>,
    deviation: u32,
}

impl RoundTrip {
    fn measured(&mut self, sample: u32) {
        // No answer comes after FULL_TIMEOUT, so that a sample has 22 bits and nothing here can overflow.
        let sample = sample.min(FULL_TIMEOUT);
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.deviation = sample / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    fn short(&self) -> u32 {
        match self.smoothed {
            None => FIRST_SHORT,
            Some(smoothed) => (smoothed + 4 * self.deviation).clamp(SHORT_BOUNDS.0, SHORT_BOUNDS.1),
        }
    }

    fn patience(&self) -> u32 {
        (self.short() * PATIENCE.0).max(PATIENCE.1)
    }
}

// Each timeout is longer than the one before, whatever was measured.
const _: () = assert!(SHORT_BOUNDS.1 * PATIENCE.0 <= FULL_TIMEOUT);
const _: () = assert!(SHORT_BOUNDS.0 < PATIENCE.1);

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    fn addr(number: u16) -> CompactAddr {
        CompactAddr::V4([10, 0, 0, 1], number + 1)
    }

    fn with_transactions(capacity: usize, test: impl FnOnce(&mut Transactions<'_>, &mut Rng)) {
        let mut memory = std::vec![Transaction::EMPTY; capacity];
        let mut rng = Rng::new([3; 32]);
        test(&mut Transactions::new(Slots::Borrowed(&mut memory), Index::new(5)), &mut rng);
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn open(transactions: &mut Transactions<'_>, rng: &mut Rng, millis: u64, number: u16) -> [u8; 4] {
        transactions.open(at(millis), rng, addr(number), None, Purpose::Probe).unwrap()
    }

    quickcheck! {
        fn a_handle_is_what_its_number_says(slot: u16, generation: u32) -> bool {
            let handle = QueryHandle { slot, generation };
            QueryHandle::from_bits(handle.to_bits()) == handle && handle.to_bits() >> 48 == 0
        }
    }

    #[test]
    fn an_answer_must_match_id_and_address() {
        with_transactions(4, |transactions, rng| {
            let id = open(transactions, rng, 0, 1);
            assert!(transactions.answer(at(1), &addr(2), &id).is_none());
            assert!(transactions.answer(at(1), &addr(1), &[id[0], id[1], id[2], !id[3]]).is_none());
            assert!(transactions.answer(at(1), &addr(1), &id[..3]).is_none());
            assert!(transactions.answer(at(1), &addr(1), &id).unwrap().is_from(&NodeId::ZERO));
            assert!(transactions.answer(at(1), &addr(1), &id).is_none(), "an answer counts once");
        });
    }

    #[test]
    fn another_node_id_at_the_same_address_is_told() {
        with_transactions(4, |transactions, rng| {
            let expected = Some(NodeId::new([1; 20]));
            let id = transactions.open(at(0), rng, addr(1), expected, Purpose::Probe).unwrap();
            let asked = transactions.answer(at(1), &addr(1), &id).unwrap();
            assert!(!asked.is_from(&NodeId::ZERO));
            assert_eq!(asked.node, expected);
        });
    }

    #[test]
    fn a_full_table_delays_and_freed_slots_are_used_again() {
        with_transactions(3, |transactions, rng| {
            for round in 0..10 {
                let ids: Vec<_> = (0..3).map(|number| open(transactions, rng, round, number)).collect();
                assert!(transactions.is_full());
                assert!(transactions.open(at(round), rng, addr(9), None, Purpose::Probe).is_none());
                for (number, id) in ids.iter().enumerate() {
                    assert!(transactions.answer(at(round), &addr(number as u16), id).is_some());
                }
                assert_eq!(transactions.in_flight(), 0);
            }
        });
    }

    #[test]
    fn a_question_grows_late_then_overdue_and_then_times_out() {
        with_transactions(4, |transactions, rng| {
            open(transactions, rng, 0, 1);
            assert_eq!(transactions.next_timeout(), Some(at(300)));
            assert_eq!(transactions.elapse(at(299)), None);
            assert!(matches!(transactions.elapse(at(300)), Some(Elapsed::Aged(_, Age::Late))));
            assert_eq!(transactions.elapse(at(300)), None);
            assert_eq!(transactions.next_timeout(), Some(at(900)));
            assert!(matches!(transactions.elapse(at(900)), Some(Elapsed::Aged(_, Age::Overdue))));
            assert_eq!(transactions.next_timeout(), Some(at(3_000)));
            assert!(matches!(transactions.elapse(at(3_000)), Some(Elapsed::TimedOut(_))));
            assert_eq!(transactions.next_timeout(), None);
        });
    }

    #[test]
    fn a_question_that_nobody_waits_for_gives_way_where_there_is_no_room() {
        with_transactions(2, |transactions, rng| {
            open(transactions, rng, 0, 1);
            open(transactions, rng, 0, 2);
            assert_eq!((0..4).filter(|_| transactions.elapse(at(899)).is_some()).count(), 2, "both are late");
            assert!(
                matches!(transactions.elapse(at(900)), Some(Elapsed::Aged(asked, Age::Overdue)) if asked.addr == addr(1))
            );
            assert!(matches!(transactions.elapse(at(900)), Some(Elapsed::TimedOut(asked)) if asked.addr == addr(1)));
            assert!(
                matches!(transactions.elapse(at(900)), Some(Elapsed::Aged(asked, Age::Overdue)) if asked.addr == addr(2))
            );
            assert_eq!(transactions.elapse(at(2_999)), None, "there is room");
            open(transactions, rng, 2_999, 3);
            assert!(matches!(transactions.elapse(at(2_999)), Some(Elapsed::TimedOut(asked)) if asked.addr == addr(2)));
        });
    }

    #[test]
    fn a_measured_round_trip_shortens_the_wait_of_those_in_flight() {
        with_transactions(4, |transactions, rng| {
            open(transactions, rng, 0, 1);
            let id = open(transactions, rng, 0, 2);
            transactions.answer(at(1), &addr(2), &id);
            assert_eq!(transactions.next_timeout(), Some(at(30)));
            assert!(
                matches!(transactions.elapse(at(30)), Some(Elapsed::Aged(asked, Age::Late)) if asked.addr == addr(1))
            );
        });
    }

    #[test]
    fn a_late_answer_lengthens_the_wait() {
        let mut round_trip = RoundTrip::default();
        round_trip.measured(1_000);
        assert_eq!(round_trip.short(), SHORT_BOUNDS.0);
        round_trip.measured(400_000);
        assert!(round_trip.short() > 400_000);
        (0..20).for_each(|_| round_trip.measured(3_000_000));
        assert_eq!(round_trip.short(), SHORT_BOUNDS.1);
    }

    quickcheck::quickcheck! {
        fn a_deadline_comes_when_its_time_is_up(samples: Vec<u32>) -> bool {
            with_transactions(4, |transactions, rng| {
                let mut now = 0;
                for sample in samples {
                    let id = open_at(transactions, rng, now);
                    now += u64::from(sample % 1_000_000);
                    transactions.answer(Instant::from_micros(now), &addr(1), &id);
                }
                open_at(transactions, rng, now);
                while let Some(next) = transactions.next_timeout() {
                    assert!(transactions.elapse(next).is_some());
                }
            });
            true
        }
    }

    fn open_at(transactions: &mut Transactions<'_>, rng: &mut Rng, micros: u64) -> [u8; 4] {
        transactions.open(Instant::from_micros(micros), rng, addr(1), None, Purpose::Probe).unwrap()
    }

    #[test]
    fn an_unreachable_address_closes_all_that_went_there() {
        with_transactions(4, |transactions, rng| {
            for number in [1, 2, 1] {
                open(transactions, rng, 0, number);
            }
            assert_eq!(core::iter::from_fn(|| transactions.unreachable(&addr(1))).count(), 2);
            assert_eq!(transactions.in_flight(), 1);
        });
    }
}
