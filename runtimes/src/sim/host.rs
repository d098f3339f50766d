//! One simulated host: a node, what the host knows besides, and what it has counted.

use std::collections::BTreeMap;

use bep44_core::{Capacity, Config, DropReason, Event, Instant, Node, NodeId, PutResult, Storage, Stored, Target};
use rand::RngExt as _;
use rand_pcg::Pcg32;

use super::operation::Running;
use super::random::Draw;
use super::report::{Stores, Violation};
use super::rogue::Role;
use super::scenario::{Scenario, Width};
use super::wire::{host_at, micros};

/// Addresses that a translator remembers at most before it forgets those that are too old.
const NAT_TABLE: usize = 4_096;

#[derive(Debug)]
pub(super) struct Host {
    pub(super) number: u32,
    pub(super) node: Node<'static>,
    pub(super) role: Role,
    pub(super) random: Pcg32,
    /// How many events this host has caused.
    causes: u32,
    /// When the earliest timer goes off that was set for this host.
    pub(super) timer: u64,
    pub(super) nat: Option<Translator>,
    pub(super) running: Vec<Running>,
    /// The version of each mutable item that is stored, as told by events.
    versions: BTreeMap<Target, i64>,
    pub(super) began: u64,
    /// Packets that the node has taken in.
    pub(super) received: u64,
}

/// What stands between a host and everybody else, and lets in only who was written to.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// When each host was last written to.
    opened: BTreeMap<u32, u64>,
}

impl Translator {
    pub(super) fn open(&mut self, now: u64, to: u32, memory: u64) {
        if self.opened.len() >= NAT_TABLE {
            self.opened.retain(|_, at| *at + memory > now);
        }
        self.opened.insert(to, now);
    }

    pub(super) fn lets_in(&self, now: u64, from: u32, memory: u64) -> bool {
        self.opened.get(&from).is_some_and(|at| *at + memory > now)
    }
}

/// The id of a host's node, which follows from the seed so that everybody knows it at once.
pub(super) fn id_of(seed: u64, host: u32) -> NodeId {
    let mut octets = [0; 20];
    Draw::new(seed, "id", host.into()).stream().fill(&mut octets);
    NodeId::new(octets)
}

impl Host {
    pub(super) fn new(scenario: &Scenario, number: u32, is_behind_nat: bool, now: u64) -> Self {
        let mut seed = [0; 32];
        Draw::new(scenario.seed, "node", number.into()).stream().fill(&mut seed);
        let Width { narrow, wide } = scenario.parallelism;
        let config = Config {
            id: Some(id_of(scenario.seed, number)),
            parallelism: bep44_core::Parallelism { narrow, wide },
            ..Config::new(seed)
        };
        let node = Node::new(Storage::boxed(&scenario.capacity_of(number)), &config, Instant::from_micros(now));
        Self {
            number,
            node,
            role: Role::of(scenario, number),
            random: Draw::new(scenario.seed, "wire", number.into()).stream(),
            causes: 0,
            timer: u64::MAX,
            nat: is_behind_nat.then(Translator::default),
            running: Vec::new(),
            versions: BTreeMap::new(),
            began: now,
            received: 0,
        }
    }

    /// The order of the next event that this host causes.
    pub(super) fn cause(&mut self) -> u64 {
        self.causes = self.causes.wrapping_add(1);
        u64::from(self.number) << 32 | u64::from(self.causes)
    }

    /// Takes note of what the node tells. True if an operation may have ended.
    pub(super) fn note_events(&mut self, now: u64, stores: &mut Stores, violations: &mut Vec<Violation>) -> bool {
        let Self { number, node, running, versions, .. } = self;
        let mut ended = false;
        while let Some(event) = node.poll_event() {
            let of = |query| running.iter().position(|running| running.handle == query);
            match event {
                Event::Found { query, item } => {
                    if let Some(at) = of(query) {
                        running[at].found(now, item);
                    }
                }
                Event::Put { query, addr, result: PutResult::Accepted, .. } => {
                    if let (Some(at), Some(host)) = (of(query), host_at(&addr)) {
                        running[at].accepted.push(host);
                    }
                }
                Event::Ended { query, outcome } => {
                    if let Some(at) = of(query) {
                        running[at].outcome = Some(outcome);
                        ended = true;
                    }
                }
                Event::ItemStored(stored) | Event::ItemReplaced(stored) | Event::ItemRefreshed(stored) => {
                    stores.stored += u64::from(matches!(event, Event::ItemStored(_)));
                    violations.extend(note_version(versions, now, *number, &stored));
                }
                Event::ItemDropped { target, mutable, reason } => {
                    match reason {
                        DropReason::Evicted => stores.evicted += 1,
                        _ => stores.expired += 1,
                    }
                    if mutable {
                        versions.remove(&target);
                    }
                }
                _ => {}
            }
        }
        ended
    }

    /// What is out of its bounds in this node's tables.
    pub(super) fn check_bounds(&self, now: u64, capacity: &Capacity) -> Option<Violation> {
        let (items, contacts) = (self.node.items().count(), self.node.contacts().count());
        let octets = self.node.item_octets();
        let within = items <= capacity.items && contacts <= capacity.contacts && octets <= capacity.values;
        let what = || format!("{items} items in {octets} octets and {contacts} contacts: more than it has room for");
        (!within).then(|| Violation::new(now, self.number, None, what()))
    }

    /// A stored item that is not the version that the node has told of: what the check of each event cannot see.
    pub(super) fn check_versions(&self, now: u64) -> Option<Violation> {
        let mut stored = self.node.items().filter_map(|stored| Some((stored.target, stored.item.as_mutable()?.seq())));
        let (target, seq) = stored.find(|(target, seq)| self.versions.get(target) != Some(seq))?;
        let what = match self.versions.get(&target) {
            Some(told) => format!("version {seq} is stored where version {told} was"),
            None => format!("version {seq} is stored, and nobody was told"),
        };
        Some(Violation::new(now, self.number, Some(target), what))
    }

    /// A query that takes longer than any should.
    pub(super) fn check_queries(&self, now: u64, patience: std::time::Duration) -> Option<Violation> {
        let late = self.running.iter().find(|running| now.saturating_sub(running.started) > micros(patience))?;
        let what = format!("a query has not ended after {} s", patience.as_secs());
        Some(Violation::new(late.started, self.number, None, what))
    }
}

/// A stored item never gives way to an older version.
fn note_version(versions: &mut BTreeMap<Target, i64>, now: u64, host: u32, stored: &Stored<'_>) -> Option<Violation> {
    let seq = stored.item.as_mutable()?.seq();
    let before = versions.insert(stored.target, seq)?;
    let what = || format!("version {before} has given way to version {seq}");
    (before > seq).then(|| Violation::new(now, host, Some(stored.target), what()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bep44_core::{Item, MutableItem};

    #[test]
    fn an_older_version_is_noticed_and_a_newer_one_is_not() {
        let secret = bep44_core::SecretKey::from_seed([7; 32]).unwrap();
        let mut versions = BTreeMap::new();
        let mut told = |seq| {
            let item = MutableItem::sign(&secret, b"", seq, b"1:a").unwrap();
            let stored =
                Stored { target: item.target(), item: Item::Mutable(item), expires: Instant::FAR, kept: false };
            note_version(&mut versions, 1_000_000, 5, &stored).map(|violation| violation.what)
        };
        assert_eq!([told(1), told(3), told(3)], [None, None, None]);
        assert_eq!(told(2).unwrap(), "version 3 has given way to version 2");
    }

    #[test]
    fn a_translator_lets_in_whom_its_host_has_written_to() {
        let mut translator = Translator::default();
        translator.open(1_000, 7, 60);
        assert!(
            translator.lets_in(1_059, 7, 60) && !translator.lets_in(1_060, 7, 60) && !translator.lets_in(1_000, 8, 60)
        );
        for host in 0..10_000 {
            translator.open(2_000 + u64::from(host), host, 60);
        }
        assert!(translator.opened.len() <= NAT_TABLE);
    }
}
