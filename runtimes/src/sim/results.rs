//! What is counted while a simulation runs, and how a report is made of it.

use std::time::Duration;

use super::operation::Ended;
use super::report::{
    CopiesAt, Distribution, Found, FoundAt, Operations, Packets, Population, Reach, Read, Report, Stores, Violation,
    millis, rounded, seconds,
};
use super::scenario::Scenario;

/// Violations that are kept.
const KEPT: usize = 100;

/// Parts of the time in which items are read.
const PARTS: u32 = 24;

/// What ended operations of one kind took.
#[derive(Debug, Default)]
struct Times {
    time: Vec<f64>,
    first_value: Vec<f64>,
    hops: Vec<f64>,
    asked: Vec<f64>,
    abandoned: u64,
}

impl Times {
    fn add(&mut self, ended: &Ended) {
        self.time.push(millis(ended.outcome.elapsed));
        self.first_value.extend(ended.first.map(millis));
        self.hops.push(ended.outcome.hops.into());
        self.asked.push(ended.outcome.asked.into());
    }

    fn report(&self) -> Operations {
        Operations {
            time: Distribution::new(self.time.clone()),
            first_value: Distribution::new(self.first_value.clone()),
            hops: Distribution::new(self.hops.clone()),
            asked: Distribution::new(self.asked.clone()),
            abandoned: self.abandoned,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Results {
    puts: Times,
    reads: Times,
    /// How many puts reached so many of the closest nodes.
    reached: [u64; 9],
    accepted: u64,
    last_hop: Vec<f64>,
    beyond_last_hop: Vec<f64>,
    found: Found,
    found_over_time: Vec<Found>,
    pub(super) copies: Vec<CopiesAt>,
    pub(super) population: Population,
    violations: Vec<Violation>,
    violations_in_all: u64,
}

impl Results {
    pub(super) fn add_put(&mut self, ended: &Ended, reached: usize) {
        self.puts.add(ended);
        if let Some(count) = self.reached.get_mut(reached) {
            *count += 1;
        }
        self.accepted += ended.accepted.len() as u64;
    }

    /// `since` is the time from the first read to the beginning of this one, `last_hop` what it could not do without.
    pub(super) fn add_read(
        &mut self,
        scenario: &Scenario,
        since: Duration,
        ended: &Ended,
        read: Read,
        last_hop: Option<Duration>,
    ) {
        self.reads.add(ended);
        if let (Some(first), Some(last_hop)) = (ended.first, last_hop) {
            self.last_hop.push(millis(last_hop));
            self.beyond_last_hop.push(millis(first.saturating_sub(last_hop)));
        }
        self.found.add(read);
        self.found_over_time.resize(PARTS as usize, Found::default());
        let part = since.as_secs_f64() / part(scenario).as_secs_f64();
        if let Some(found) = self.found_over_time.get_mut(part as usize) {
            found.add(read);
        }
    }

    pub(super) const fn abandon_put(&mut self) {
        self.puts.abandoned += 1;
    }

    pub(super) const fn abandon_read(&mut self) {
        self.reads.abandoned += 1;
    }

    pub(super) fn violate(&mut self, violation: Violation) {
        self.violations_in_all += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }

    pub(super) fn add_copies(&mut self, at: Duration, mut counts: Vec<u32>) {
        if counts.is_empty() {
            return;
        }
        counts.sort_unstable();
        let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        let alive = counts.iter().filter(|count| **count > 0).count();
        self.copies.push(CopiesAt {
            at: seconds(at),
            mean: rounded(sum as f64 / counts.len() as f64),
            tenth: counts[counts.len() / 10],
            least: counts[0],
            alive: super::report::share(alive as u64, counts.len() as u64),
        });
    }

    /// `loads` are packets taken in and microseconds lived, of each host.
    pub(super) fn report(
        &self,
        scenario: &Scenario,
        packets: Packets,
        stores: Stores,
        round_trip: Duration,
        loads: impl Iterator<Item = (u64, u64)>,
    ) -> Report {
        // Who was there for less than a minute says little.
        let lived = loads.filter(|(_, lived)| *lived >= 60_000_000);
        let a_minute = lived.map(|(packets, lived)| packets as f64 * 60e6 / lived as f64);
        let reads = self.reads.report();
        let in_round_trips = |times: &Distribution| rounded(times.percentile(50) / millis(round_trip).max(0.001));
        let part = part(scenario);
        let mut violations = self.violations.clone();
        let mut violations_in_all = self.violations_in_all;
        for (limit, is_kept, what) in self.limits(scenario) {
            if !is_kept {
                violations_in_all += 1;
                violations.push(Violation::of_all(scenario.duration(), format!("{what}; the limit is {limit}")));
            }
        }
        Report {
            scenario: scenario.clone(),
            population: self.population,
            packets,
            stores,
            round_trip: millis(round_trip),
            puts: self.puts.report(),
            first_value_in_round_trips: in_round_trips(&reads.first_value),
            last_hop: Distribution::new(self.last_hop.clone()),
            beyond_last_hop_in_round_trips: in_round_trips(&Distribution::new(self.beyond_last_hop.clone())),
            reads,
            reach: self.reach(),
            found: self.found,
            found_over_time: (0_u32..)
                .zip(&self.found_over_time)
                .map(|(number, found)| FoundAt { at: seconds(part * number + part / 2), found: *found })
                .collect(),
            copies: self.copies.clone(),
            load: Distribution::new(a_minute.collect()),
            violations,
            violations_in_all,
        }
    }

    fn reach(&self) -> Reach {
        let puts: u64 = self.reached.iter().sum();
        let nodes: u64 = self.reached.iter().zip(0..).map(|(puts, nodes): (&u64, u64)| puts * nodes).sum();
        let mean = |sum: u64| rounded(sum as f64 / puts.max(1) as f64);
        Reach { puts, mean: mean(nodes), puts_by_nodes: self.reached, accepted: mean(self.accepted) }
    }

    /// What the scenario wants of all reads together.
    fn limits(&self, scenario: &Scenario) -> [(f64, bool, String); 2] {
        let missed = super::report::share(self.found.missed, self.found.reads);
        let found = self.found.share();
        let checks = scenario.checks;
        [
            (checks.missed, missed <= checks.missed, format!("{missed} of all reads missed an item that was there")),
            (
                checks.found,
                found >= checks.found || self.found.reads == 0,
                format!("only {found} of all reads found an item"),
            ),
        ]
    }
}

/// One of the parts of the time in which items are read.
fn part(scenario: &Scenario) -> Duration {
    (scenario.workload.read_over / PARTS).max(Duration::from_micros(1))
}
