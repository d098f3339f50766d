//! What the nodes of a scenario are asked to do, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bep44_core::ItemError;
use rand::RngExt as _;
use rand_pcg::Pcg32;

use super::operation::{Ended, Operation, Published, Start};
use super::random::Draw;
use super::report::Read;
use super::scenario::Scenario;
use super::truth::Truth;
use super::wire::micros;

/// What an operation of the workload is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Put { item: u32 },
    Read { item: u32, began: u64 },
}

/// The items of a scenario and the plan for them.
#[derive(Debug)]
pub(super) struct Workload {
    items: Vec<Published>,
    /// When each item is put next: soonest first.
    puts: BinaryHeap<Reverse<(u64, u32)>>,
    /// Reads that are still to come, and when the next one is.
    reads: u32,
    next_read: u64,
    between_reads: u64,
    running: BTreeMap<Operation, Purpose>,
    /// From the first arrival to the first read.
    out_at: u64,
    random: Pcg32,
}

impl Workload {
    pub(super) fn new(scenario: &Scenario) -> Result<Self, ItemError> {
        let workload = &scenario.workload;
        let joined = micros(scenario.joined());
        let between_puts = micros(workload.put_over) / u64::from(workload.items.max(1));
        let mut items = Vec::with_capacity(workload.items as usize);
        let mut puts = BinaryHeap::new();
        for number in 0..workload.items {
            let mutable = Draw::new(scenario.seed, "mutable", number.into()).unit() < workload.mutable;
            let publisher = number % scenario.stable;
            items.push(Published::new(scenario.seed, number, workload.value, mutable, publisher)?);
            puts.push(Reverse((joined + between_puts * u64::from(number), number)));
        }
        let out_at = micros(scenario.put());
        let between_reads = micros(workload.read_over) / u64::from(workload.reads.max(1));
        Ok(Self {
            items,
            puts,
            reads: workload.reads,
            next_read: out_at,
            between_reads,
            running: BTreeMap::new(),
            out_at,
            random: Draw::new(scenario.seed, "workload", 0).stream(),
        })
    }

    pub(super) fn items(&self) -> &[Published] {
        &self.items
    }

    /// When all items have been put, and reads begin.
    pub(super) const fn out_at(&self) -> u64 {
        self.out_at
    }

    /// What begins before `end`: when, on which host, and what. `operations` gives each a name.
    pub(super) fn due(
        &mut self,
        scenario: &Scenario,
        truth: &Truth,
        end: u64,
        mut operations: impl FnMut() -> Operation,
        mut begin: impl FnMut(u64, u32, Start),
    ) {
        while let Some(Reverse((at, number))) = self.puts.peek().copied()
            && at < end
        {
            self.puts.pop();
            if let Some(again) = scenario.workload.reannounce {
                let next = at + self.about(again);
                self.puts.push(Reverse((next, number)));
            }
            let item = &mut self.items[number as usize];
            // The value was judged when the workload was made.
            let Ok(ask) = item.put(scenario.workload.update) else { continue };
            let publisher = item.publisher;
            let operation = operations();
            self.running.insert(operation, Purpose::Put { item: number });
            begin(at, publisher, Start { operation, due: at, ask });
        }
        while self.reads > 0 && self.next_read < end && !self.items.is_empty() {
            let at = self.next_read;
            self.next_read += self.between_reads;
            self.reads -= 1;
            let number = self.random.random_range(0..self.items.len() as u32);
            let Some(reader) = truth.draw(&mut self.random) else { continue };
            let ask = self.items[number as usize].get();
            let operation = operations();
            self.running.insert(operation, Purpose::Read { item: number, began: at });
            begin(at, reader, Start { operation, due: at, ask });
        }
    }

    /// A time, give or take a tenth.
    fn about(&mut self, time: Duration) -> u64 {
        let time = micros(time);
        self.random.random_range(time - time / 10..=time + time / 10)
    }

    /// What an operation was for, if it was of the workload. It is over.
    pub(super) fn take(&mut self, operation: Operation) -> Option<Purpose> {
        self.running.remove(&operation)
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// An operation that has to be begun once more.
    pub(super) fn keep(&mut self, operation: Operation, purpose: Purpose) {
        self.running.insert(operation, purpose);
    }

    /// A put has ended.
    pub(super) fn note_put(&mut self, item: u32, ended: &Ended) {
        let item = &mut self.items[item as usize];
        item.is_out = true;
        for host in &ended.accepted {
            if !item.accepted.contains(host) {
                item.accepted.push(*host);
            }
        }
    }

    /// What a read has brought; `holds` says of a host whether the item is there for the reader to find.
    pub(super) fn judge(&self, item: u32, ended: &Ended, holds: impl Fn(u32) -> bool) -> Read {
        let item = &self.items[item as usize];
        match &ended.item {
            Some(crate::item::AnyItem::Mutable(found)) if found.seq() < item.seq => Read::Older,
            Some(_) => Read::Newest,
            None if item.accepted.iter().any(|host| holds(*host)) => Read::Missed,
            None => Read::Gone,
        }
    }
}
