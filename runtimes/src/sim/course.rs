//! The course of a simulation: between the steps of a clock, on one thread, all that concerns the whole network.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use bep44_core::Target;

use super::host::Host;
use super::operation::Ended;
use super::queue::{Event, What};
use super::report::Violation;
use super::rogue::Role;
use super::scenario::MAX_HOSTS;
use super::shard::{Note, Noted, Shard};
use super::simulation::{Simulation, next_operation};
use super::wire::micros;
use super::workload::Purpose;

/// Microseconds from one look at the whole network to the next.
const TICK: u64 = 100_000;

/// How long a query may take. A walk through silence alone takes less.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A node that was busy is asked again after so many microseconds.
const AGAIN: u64 = 1_000_000;

impl Simulation {
    /// Whether nothing is under way that was begun.
    pub(super) fn is_idle(&self) -> bool {
        self.workload.is_idle() && self.shards.iter().flat_map(Shard::hosts).all(|host| host.running.is_empty())
    }

    /// Goes on to the next look at the whole network, or to `end` if that comes first.
    pub(super) fn tick(&mut self, end: u64) {
        let next = ((self.now / TICK + 1) * TICK).min(end);
        self.arrive(next);
        self.begin_operations(next);
        let before = self.events();
        self.run_shards(next);
        self.events_in_tick = self.events() - before;
        self.now = next;
        self.collect();
        self.depart();
        self.sample();
    }

    pub(super) fn push(&mut self, at: u64, to: u32, what: What) {
        self.causes += 1;
        let event = Event { at, cause: self.causes, to, what };
        self.shards[(to % self.setting.shards) as usize].queue.push(event);
    }

    // --- who is there ---

    /// The first nodes arrive, evenly.
    fn arrive(&mut self, until: u64) {
        let scenario = &self.setting.scenario;
        let (nodes, over) = (scenario.nodes, micros(scenario.join.over));
        while self.arrived < nodes {
            let host = self.arrived;
            let at = (u128::from(over) * u128::from(host) / u128::from(nodes)) as u64;
            if at >= until {
                return;
            }
            self.arrived += 1;
            self.add(host, at.max(self.now), self.sessions.remaining(host));
        }
    }

    /// A new host comes, stays for so long, and knows a few of those who are there.
    fn add(&mut self, host: u32, at: u64, stays: Option<Duration>) {
        let mut known = [host; 8];
        for known in known.iter_mut().take(self.setting.scenario.join.bootstrap.into()) {
            *known = self.draw_reachable().unwrap_or(host);
        }
        self.truth.add(host, self.id(host));
        self.results.population.began += 1;
        self.push(at, host, What::Begin(Box::new(known)));
        if let Some(stays) = stays.filter(|_| host >= self.setting.scenario.stable) {
            let end = at.saturating_add(micros(stays));
            self.ends.push(Reverse((end, host)));
            self.push(end, host, What::End);
        }
    }

    /// Any host that others can reach, as those are that stand in lists. (A few draws are enough to find one, unless
    /// there is hardly any.)
    fn draw_reachable(&mut self) -> Option<u32> {
        let Self { truth, random, setting, .. } = self;
        let drawn = std::iter::repeat_with(|| truth.draw(random)).take(16).flatten();
        drawn.into_iter().find(|host| !setting.wire.is_behind_nat(*host))
    }

    /// Those whose time has come are gone; each is replaced.
    fn depart(&mut self) {
        while let Some(Reverse((at, host))) = self.ends.peek().copied()
            && at < self.now
        {
            self.ends.pop();
            if self.truth.is_there(host) {
                self.remove(host);
                self.results.population.left += 1;
                if self.next_host < MAX_HOSTS {
                    let host = self.next_host;
                    self.next_host += 1;
                    self.add(host, self.now, self.sessions.fresh(host));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, host: u32) {
        let id = self.id(host);
        self.truth.remove(host, id);
    }

    // --- what is put and read ---

    fn begin_operations(&mut self, until: u64) {
        let Self { workload, setting, truth, operations, causes, shards, now, .. } = self;
        let begin = |at: u64, to: u32, start| {
            *causes += 1;
            let event = Event { at: at.max(*now), cause: *causes, to, what: What::Start(Box::new(start)) };
            shards[(to % setting.shards) as usize].queue.push(event);
        };
        workload.due(&setting.scenario, truth, until, || next_operation(operations), begin);
    }

    /// Takes in what the shards have noted, in the order in which it happened.
    fn collect(&mut self) {
        let mut notes: Vec<Note> = self.shards.iter_mut().flat_map(|shard| shard.notes.drain(..)).collect();
        notes.sort_by_key(|note| (note.at, note.host, note.operation));
        for note in notes {
            self.take_note(note);
        }
        let mut violations: Vec<_> = self.shards.iter_mut().flat_map(|shard| shard.violations.drain(..)).collect();
        violations.sort_by(|one, other| one.at.total_cmp(&other.at).then(one.host.cmp(&other.host)));
        violations.into_iter().for_each(|violation| self.results.violate(violation));
    }

    fn take_note(&mut self, note: Note) {
        let Note { at, host, operation, result } = note;
        let purpose = self.workload.take(operation);
        match (result, purpose) {
            (Noted::Ended(ended), Some(Purpose::Put { item })) => self.note_put(host, item, &ended),
            (Noted::Ended(ended), Some(Purpose::Read { item, began })) => self.note_read(host, item, began, &ended),
            (Noted::Ended(ended), None) => {
                self.ended.insert(operation, *ended);
            }
            (Noted::Busy(start), Some(purpose)) if at - start.due > micros(PATIENCE) => {
                let what = format!("a query could not begin for {} s", PATIENCE.as_secs());
                self.results.violate(Violation::new(at, host, None, what));
                self.abandon(purpose);
            }
            (Noted::Busy(start), Some(purpose)) => {
                self.workload.keep(operation, purpose);
                self.push((at + AGAIN).max(self.now), host, What::Start(start));
            }
            (Noted::Gone, Some(purpose)) => self.abandon(purpose),
            (Noted::Busy(_) | Noted::Gone, None) => {}
        }
    }

    const fn abandon(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Put { .. } => self.results.abandon_put(),
            Purpose::Read { .. } => self.results.abandon_read(),
        }
    }

    fn note_put(&mut self, host: u32, item: u32, ended: &Ended) {
        self.workload.note_put(item, ended);
        let target = self.workload.items()[item as usize].target;
        let setting = &self.setting;
        let answers = |other: u32| {
            other != host
                && !setting.wire.is_behind_nat(other)
                && !setting.wire.is_apart(self.now, host, other)
                && Role::of(&setting.scenario, other) != Role::Silent
        };
        let closest = self.truth.closest(&target, 8, answers);
        let reached = closest.iter().filter(|host| ended.accepted.contains(host)).count();
        self.results.add_put(ended, reached);
    }

    fn note_read(&mut self, reader: u32, item: u32, began: u64, ended: &Ended) {
        let target = self.workload.items()[item as usize].target;
        let wire = &self.setting.wire;
        let holds = |host: u32| {
            let reachable = !wire.is_apart(self.now, reader, host)
                && !wire.is_deaf(reader, host)
                && !wire.is_deaf(host, reader)
                && !wire.is_behind_nat(host);
            let stores = |host: &Host| host.node.items().any(|stored| stored.target == target);
            reachable
                && Role::of(&self.setting.scenario, host) == Role::Honest
                && self.truth.is_there(host)
                && self.host(host).is_some_and(stores)
        };
        let read = self.workload.judge(item, ended, holds);
        let last_hop = self.workload.items()[item as usize]
            .who_may_hold(reader)
            .filter(|host| holds(*host))
            .map(|host| if host == reader { Duration::ZERO } else { wire.geography().round_trip(reader, host) });
        let last_hop = last_hop.min();
        let since = Duration::from_micros(began - self.workload.out_at());
        self.results.add_read(&self.setting.scenario, since, ended, read, last_hop);
    }

    // --- looking ---

    /// Counts copies and checks what must hold, from time to time.
    fn sample(&mut self) {
        let workload = &self.setting.scenario.workload;
        if self.now < self.next_sample || workload.samples == 0 {
            return;
        }
        self.next_sample += (micros(workload.read_over) / u64::from(workload.samples)).max(TICK);
        let mut copies: BTreeMap<Target, u32> =
            self.workload.items().iter().filter(|item| item.is_out).map(|item| (item.target, 0)).collect();
        for host in self.shards.iter().flat_map(Shard::hosts) {
            for stored in host.node.items() {
                if let Some(count) = copies.get_mut(&stored.target) {
                    *count += 1;
                }
            }
        }
        let since = Duration::from_micros(self.now - self.workload.out_at());
        self.results.add_copies(since, copies.into_values().collect());
        self.check_all();
    }

    /// Checks all hosts.
    pub(super) fn check_all(&mut self) {
        let Self { shards, results, setting, now, .. } = self;
        let mut found: Vec<_> = shards
            .iter()
            .flat_map(Shard::hosts)
            .flat_map(|host| {
                let bounds = host.check_bounds(*now, &setting.scenario.capacity_of(host.number));
                bounds.into_iter().chain(host.check_versions(*now)).chain(host.check_queries(*now, PATIENCE))
            })
            .collect();
        found.sort_by_key(|violation| violation.host);
        found.into_iter().for_each(|violation| results.violate(violation));
    }
}
