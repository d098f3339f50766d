//! A simulation as its user sees it: a network that runs by itself, or step by step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{Instant, Node, NodeId, QueryError, QueryHandle, Target};
use rand_pcg::Pcg32;

use super::churn::Sessions;
use super::course::PATIENCE;
use super::host::{Host, id_of};
use super::operation::{Ended, Operation, Running};
use super::parallel::WORTH_THREADS;
use super::queue::What;
use super::random::Draw;
use super::report::{Packets, Report, Stores};
use super::results::Results;
use super::rogue::Role;
use super::scenario::{Scenario, ScenarioError};
use super::shard::{Setting, Shard};
use super::truth::Truth;
use super::wire::{Wire, addr_of, micros};
use super::workload::Workload;

/// Causes of what nobody in the network has caused: they come after those of all hosts.
const FROM_OUTSIDE: u64 = (u32::MAX as u64) << 32;

/// A network that is simulated: see the [module](crate::sim).
#[derive(Debug)]
pub struct Simulation {
    pub(super) setting: Setting,
    pub(super) shards: Vec<Shard>,
    pub(super) now: u64,
    pub(super) truth: Truth,
    pub(super) sessions: Sessions,
    /// When each host leaves: soonest first.
    pub(super) ends: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many of the first hosts have arrived.
    pub(super) arrived: u32,
    /// The number of the next host that takes the place of another.
    pub(super) next_host: u32,
    pub(super) causes: u64,
    pub(super) operations: u64,
    pub(super) workload: Workload,
    /// Operations that were asked for from outside, and are over.
    pub(super) ended: BTreeMap<Operation, Ended>,
    pub(super) results: Results,
    pub(super) random: Pcg32,
    pub(super) next_sample: u64,
    pub(super) events_in_tick: u64,
    /// Events in a tick from which on threads are worth their while.
    pub(super) worth_threads: u64,
}

/// How far a simulation has come.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Virtual time that has passed, and how much there is.
    pub time: (Duration, Duration),
    /// Hosts that are there.
    pub hosts: usize,
    /// Things that have happened: packets that arrived and timers that went off.
    pub events: u64,
    /// What the network is doing.
    pub phase: Phase,
}

/// What a network is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nodes arrive.
    Joining,
    /// Items are put.
    Putting,
    /// Items are read.
    Reading,
}

impl Simulation {
    /// A network on one thread, in which nothing has happened yet.
    ///
    /// # Errors
    /// The scenario has a number that is out of its bounds.
    pub fn new(scenario: &Scenario) -> Result<Self, ScenarioError> {
        Self::on_threads(scenario, 1)
    }

    /// A network on so many threads. What comes of it is the same on any number.
    ///
    /// # Errors
    /// The scenario has a number that is out of its bounds.
    pub fn on_threads(scenario: &Scenario, threads: u32) -> Result<Self, ScenarioError> {
        scenario.check()?;
        let shards = threads.clamp(1, 64);
        let setting = Setting { scenario: scenario.clone(), wire: Wire::new(scenario), shards };
        let workload = Workload::new(scenario).map_err(|error| ScenarioError::OutOfBounds {
            field: "workload.value",
            value: error.to_string(),
            bounds: "what an item can hold",
        })?;
        Ok(Self {
            shards: (0..shards).map(|number| Shard::new(number, shards)).collect(),
            now: 0,
            truth: Truth::default(),
            sessions: Sessions::new(scenario.seed, scenario.churn),
            ends: BinaryHeap::new(),
            arrived: 0,
            next_host: scenario.nodes,
            causes: FROM_OUTSIDE,
            operations: 0,
            next_sample: workload.out_at(),
            workload,
            ended: BTreeMap::new(),
            results: Results::default(),
            random: Draw::new(scenario.seed, "arrivals", 0).stream(),
            events_in_tick: 0,
            worth_threads: WORTH_THREADS,
            setting,
        })
    }

    /// Simulates the scenario from here to its end. `progress` is told from time to time how far it has come.
    pub fn run(&mut self, mut progress: impl FnMut(&Progress)) -> Report {
        let end = micros(self.setting.scenario.duration());
        let mut told = 0;
        while self.now < end {
            self.tick(end);
            // Some ten times a second on a fast machine; a bar needs no more.
            let events = self.events();
            if events - told > 100_000 || self.now >= end {
                told = events;
                progress(&self.progress());
            }
        }
        // What was begun before the end is waited for, so that it counts.
        let give_up = end + 2 * micros(PATIENCE);
        while self.now < give_up && !self.is_idle() {
            self.tick(give_up);
        }
        self.check_all();
        self.report()
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + micros(time);
        while self.now < end {
            self.tick(end);
        }
    }

    /// How much time has passed.
    #[must_use]
    pub const fn now(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let scenario = &self.setting.scenario;
        let phase = match self.now {
            now if now < micros(scenario.joined()) => Phase::Joining,
            now if now < self.workload.out_at() => Phase::Putting,
            _ => Phase::Reading,
        };
        Progress { time: (self.now(), scenario.duration()), hosts: self.truth.len(), events: self.events(), phase }
    }

    /// Packets that have arrived and timers that have gone off.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shards.iter().map(|shard| shard.events).sum()
    }

    /// The hosts that are there, by their numbers, in no particular order.
    #[must_use]
    pub fn hosts(&self) -> &[u32] {
        self.truth.hosts()
    }

    /// The node of a host that is there.
    #[must_use]
    pub fn node(&self, host: u32) -> Option<&Node<'static>> {
        self.host(host).map(|host| &host.node)
    }

    /// The id of a host's node; it is known before the host is there.
    #[must_use]
    pub fn id(&self, host: u32) -> NodeId {
        id_of(self.setting.scenario.seed, host)
    }

    /// The address of a host.
    #[must_use]
    pub fn addr(&self, host: u32) -> SocketAddr {
        addr_of(host)
    }

    /// The hosts closest to `target` of all that are there, the closest first: what a perfect lookup would find.
    #[must_use]
    pub fn closest(&self, target: &Target, count: usize) -> Vec<u32> {
        self.truth.closest(target, count, |_| true)
    }

    /// The hosts that store something at `target`.
    #[must_use]
    pub fn holders(&self, target: &Target) -> Vec<u32> {
        let holds = |host: &&Host| host.node.items().any(|stored| stored.target == *target);
        let mut holders: Vec<_> =
            self.shards.iter().flat_map(Shard::hosts).filter(holds).map(|host| host.number).collect();
        holders.sort_unstable();
        holders
    }

    /// Has a host's node begin a query. What becomes of it is there once it has [`ended`](Self::ended).
    ///
    /// # Errors
    /// What the node says; or [`QueryError::Busy`] if the host is not there.
    pub fn ask(
        &mut self,
        host: u32,
        start: impl FnOnce(&mut Node<'static>, Instant) -> Result<QueryHandle, QueryError>,
    ) -> Result<Operation, QueryError> {
        let operation = next_operation(&mut self.operations);
        let now = self.now;
        self.work_on(host, |host| {
            let handle = start(&mut host.node, Instant::from_micros(now))?;
            host.running.push(Running::new(handle, operation, now));
            Ok(operation)
        })
        .unwrap_or(Err(QueryError::Busy))
    }

    /// What became of a query that was [`ask`](Self::ask)ed for, if it has ended. It is told once.
    pub fn ended(&mut self, operation: Operation) -> Option<Ended> {
        self.ended.remove(&operation)
    }

    /// Works on a host's node in any other way. `None` if the host is not there.
    pub fn with_node<T>(&mut self, host: u32, work: impl FnOnce(&mut Node<'static>, Instant) -> T) -> Option<T> {
        let now = Instant::from_micros(self.now);
        self.work_on(host, |host| work(&mut host.node, now))
    }

    /// Takes a host away without a word. Nobody takes its place.
    pub fn kill(&mut self, host: u32) {
        self.remove(host);
        self.push(self.now, host, What::End);
        // What happens now happens before the next look.
        let shard = &mut self.shards[(host % self.setting.shards) as usize];
        shard.run(&self.setting, self.now + 1);
        self.exchange();
    }

    /// What has been shown so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let (mut packets, mut stores) = (Packets::default(), Stores::default());
        let mut loads = Vec::new();
        for shard in &self.shards {
            packets.add(&shard.packets);
            stores.add(shard.stores);
            loads.extend(&shard.loads);
            loads.extend(shard.hosts().map(|host| (host.received, self.now - host.began)));
        }
        let mut report = self.results.report(
            &self.setting.scenario,
            packets,
            stores,
            self.setting.wire.geography().median_round_trip(),
            loads.into_iter(),
        );
        for host in self.truth.hosts() {
            report.population.behind_nat += u32::from(self.setting.wire.is_behind_nat(*host));
            report.population.rogues += u32::from(Role::of(&self.setting.scenario, *host) != Role::Honest);
        }
        report
    }

    pub(super) fn host(&self, host: u32) -> Option<&Host> {
        let shards = self.setting.shards;
        self.shards[(host % shards) as usize].host((host / shards) as usize)
    }

    pub(super) fn work_on<T>(&mut self, host: u32, work: impl FnOnce(&mut Host) -> T) -> Option<T> {
        let shards = self.setting.shards;
        let done =
            self.shards[(host % shards) as usize].work_on(&self.setting, self.now, (host / shards) as usize, work);
        self.exchange();
        done
    }
}

pub(super) const fn next_operation(operations: &mut u64) -> Operation {
    *operations += 1;
    Operation(*operations)
}
