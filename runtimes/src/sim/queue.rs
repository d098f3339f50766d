//! What is to happen, in the order in which it happens: a calendar queue (R. Brown, Communications of the ACM 31(10),
//! 1988). Nearly all events of a network come within a second or two, so that a year of short days takes them in at a
//! constant cost; only the current day is sorted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Microseconds in a day, as a power of two: about a millisecond.
const DAY_BITS: u32 = 10;

/// Days in a year: about eight seconds.
const DAYS: u64 = 8_192;

/// Something that happens to a host.
#[derive(Debug)]
pub(super) struct Event {
    /// When, in microseconds.
    pub(super) at: u64,
    /// Who has caused it, and the how manieth of its causes it is: what happens at the same time happens in this order,
    /// whoever simulates it.
    pub(super) cause: u64,
    /// To whom.
    pub(super) to: u32,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The host begins, and knows these others.
    Begin(Box<[u32; 8]>),
    /// The host is gone.
    End,
    /// A packet arrives from a host.
    Packet(u32, Box<[u8]>),
    /// The moment has come that the node had named.
    Timer,
    /// An operation of the workload begins.
    Start(Box<super::operation::Start>),
}

impl Event {
    const fn order(&self) -> (u64, u64, u32) {
        (self.at, self.cause, self.to)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Events in order.
#[derive(Debug)]
pub(super) struct Queue {
    /// The current day as it began, the last event first.
    today: Vec<Event>,
    /// What has come to the current day since.
    added: BinaryHeap<Reverse<Event>>,
    /// The day that is sorted, counted from the beginning.
    day: u64,
    /// The days of the current year that are still to come.
    year: Vec<Vec<Event>>,
    /// How many events are in `year`.
    in_year: usize,
    /// Later years.
    later: BTreeMap<u64, Vec<Event>>,
    /// Room of days that are over, for others: as much as there are days with events at any time, not as there are days.
    spare: Vec<Vec<Event>>,
}

impl Queue {
    pub(super) fn new() -> Self {
        let year = std::iter::repeat_with(Vec::new).take(DAYS as usize).collect();
        Self {
            today: Vec::new(),
            added: BinaryHeap::new(),
            day: 0,
            year,
            in_year: 0,
            later: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        let day = event.at >> DAY_BITS;
        if day <= self.day {
            self.added.push(Reverse(event));
        } else if day / DAYS == self.day / DAYS {
            let events = &mut self.year[(day % DAYS) as usize];
            if events.capacity() == 0 {
                *events = self.spare.pop().unwrap_or_default();
            }
            events.push(event);
            self.in_year += 1;
        } else {
            self.later.entry(day / DAYS).or_default().push(event);
        }
    }

    /// When the next event happens.
    pub(super) fn next_at(&mut self) -> Option<u64> {
        self.find_day();
        let next = |event: Option<&Event>| event.map_or(u64::MAX, |event| event.at);
        let at = next(self.today.last()).min(next(self.added.peek().map(|event| &event.0)));
        (at < u64::MAX).then_some(at)
    }

    /// The next event, if it happens before `end`.
    pub(super) fn pop_before(&mut self, end: u64) -> Option<Event> {
        self.find_day();
        let is_added = match (self.today.last(), self.added.peek()) {
            (Some(event), Some(Reverse(added))) => added < event,
            (event, _) => event.is_none(),
        };
        if is_added {
            self.added.peek().filter(|event| event.0.at < end)?;
            return self.added.pop().map(|event| event.0);
        }
        self.today.pop_if(|event| event.at < end)
    }

    /// Goes on to the next day on which something happens.
    fn find_day(&mut self) {
        while self.today.is_empty() && self.added.is_empty() {
            if self.in_year == 0 {
                let Some((year, events)) = self.later.pop_first() else { return };
                self.day = year * DAYS;
                for event in events {
                    self.push(event);
                }
                continue;
            }
            self.day += 1;
            let day = &mut self.year[(self.day % DAYS) as usize];
            if day.is_empty() {
                continue;
            }
            self.spare.push(std::mem::replace(&mut self.today, std::mem::take(day)));
            self.in_year -= self.today.len();
            // Sorted at once: cheaper than one by one.
            self.today.sort_unstable_by(|one, other| other.cmp(one));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn event(at: u64, cause: u64) -> Event {
        Event { at, cause, to: 0, what: What::Timer }
    }

    quickcheck! {
        fn events_come_in_order(steps: Vec<(u32, u8, u8)>) -> bool {
            let (mut queue, mut model, mut now) = (Queue::new(), BTreeMap::new(), 0);
            for (number, (ahead, scale, pops)) in steps.into_iter().enumerate() {
                // From microseconds to hours ahead.
                let at = now + (u64::from(ahead) >> (scale % 33));
                queue.push(event(at, number as u64));
                model.insert((at, number as u64), ());
                for _ in 0..pops % 3 {
                    let Some(event) = queue.pop_before(u64::MAX) else { break };
                    assert_eq!(model.pop_first().unwrap().0, (event.at, event.cause));
                    now = event.at;
                }
            }
            let rest: Vec<_> = std::iter::from_fn(|| queue.pop_before(u64::MAX)).map(|e| (e.at, e.cause)).collect();
            rest == model.into_keys().collect::<Vec<_>>()
        }
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let mut queue = Queue::new();
        queue.push(event(50_000_000, 1));
        assert_eq!(queue.next_at(), Some(50_000_000));
        assert!(queue.pop_before(50_000_000).is_none());
        queue.push(event(10, 2));
        assert_eq!(queue.pop_before(50_000_001).unwrap().at, 10);
        assert_eq!(queue.pop_before(50_000_001).unwrap().at, 50_000_000);
        assert!(queue.pop_before(u64::MAX).is_none());
    }
}
