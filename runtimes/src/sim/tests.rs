//! Small networks, and what must be true of any.

use std::time::Duration;

use super::*;
use bep44_core::{ImmutableItem, Item, QueryError, Target};

fn small() -> Scenario {
    Scenario {
        nodes: 80,
        stable: 10,
        workload: Workload { items: 30, reads: 60, ..Workload::default() },
        ..Scenario::default()
    }
}

fn run(scenario: &Scenario, threads: u32) -> Report {
    Simulation::on_threads(scenario, threads).unwrap().run(|_| {})
}

#[test]
fn a_good_network_finds_everything_and_stores_on_the_closest() {
    for seed in 0..5 {
        let checks = Checks { missed: 0.0, found: 1.0 };
        let report = run(&Scenario { seed, checks, ..small() }, 1);
        assert_eq!(report.violations, []);
        assert_eq!((report.found.reads, report.found.newest), (60, 60));
        assert!(report.reach.mean >= 7.9, "{:?}", report.reach);
        assert_eq!(report.packets.sent, report.packets.arrived + report.packets.to_nobody);
    }
}

fn hostile(seed: u64) -> Scenario {
    Scenario {
        seed,
        network: Network { loss: 0.05, duplicate: 0.02, reorder: 0.05, one_way: 0.01, nat: 0.2, ..Network::default() },
        churn: Churn::Weibull { shape: 0.5, median: Duration::from_secs(300) },
        rogues: Rogues { silent: 0.03, liar: 0.03, stale: 0.03, wrong_token: 0.03 },
        ..small()
    }
}

#[test]
fn the_number_of_threads_makes_no_difference() {
    for seed in [1, 2] {
        let one = run(&hostile(seed), 1);
        assert_ne!(one.found.reads, 0);
        for threads in [2, 3] {
            let mut network = Simulation::on_threads(&hostile(seed), threads).unwrap();
            assert_eq!(network.run(|_| {}), one, "in turn, {threads}");
            let mut network = Simulation::on_threads(&hostile(seed), threads).unwrap();
            network.worth_threads = 0;
            assert_eq!(network.run(|_| {}), one, "in parallel, {threads}");
        }
        assert_ne!(run(&hostile(seed + 10), 1).packets, one.packets);
    }
}

#[test]
fn nobody_counts_what_did_not_happen() {
    let report = run(&hostile(3), 1);
    let Packets { sent, arrived, doubled, lost, one_way, partition, nat, to_nobody, .. } = report.packets;
    // What was under way at the end is in neither.
    let ended = arrived + lost + one_way + partition + nat + to_nobody;
    assert!(ended <= sent + doubled && ended + 1_000 > sent + doubled, "{:?}", report.packets);
    assert!(lost > 0 && one_way > 0 && nat > 0 && to_nobody > 0 && doubled > 0 && partition == 0);
    assert!(report.population.left > 0 && report.population.rogues > 0 && report.population.behind_nat > 0);
    assert_eq!(report.population.began, 80 + report.population.left);
}

#[test]
fn a_partition_heals() {
    let mut scenario = Scenario { nodes: 60, stable: 60, ..small() };
    let begins = scenario.joined();
    scenario.partitions = vec![Partition { at: begins, lasts: Duration::from_secs(600), share: 0.5 }];
    let mut network = Simulation::new(&scenario).unwrap();
    network.advance(begins);
    let item = ImmutableItem::new(b"5:hello").unwrap();
    let put = network.ask(0, |node, now| node.put(now, &Item::Immutable(item), None)).unwrap();
    network.advance(Duration::from_secs(30));
    let put = network.ended(put).unwrap();
    let apart = |host: u32| network.setting.wire.is_apart(network.now, 0, host);
    assert!(put.outcome.accepted >= 6 && put.accepted.iter().all(|host| !apart(*host)));
    let other = (0..60).find(|host| apart(*host)).unwrap();
    let find = |network: &mut Simulation| {
        let get = network.ask(other, |node, now| node.get(now, item.target())).unwrap();
        network.advance(Duration::from_secs(30));
        network.ended(get).unwrap().item.is_some()
    };
    assert!(!find(&mut network), "the other side has never heard of it");
    network.advance(Duration::from_secs(1_200));
    assert!(find(&mut network), "and hears of it when the network is one again");
}

#[test]
fn an_item_is_gone_after_two_hours_unless_it_is_announced_again() {
    let scenario = |reannounce| Scenario {
        workload: Workload {
            items: 10,
            reads: 100,
            read_over: Duration::from_secs(5 * 60 * 60),
            reannounce,
            ..Workload::default()
        },
        ..small()
    };
    let once = run(&scenario(None), 1);
    assert_eq!(once.copies.last().unwrap().mean, 0.0);
    assert!(once.copies[0].mean >= 8.0);
    assert!((30..50).contains(&once.found.newest) && once.found.missed == 0, "{:?}", once.found);
    let again = run(&scenario(Some(Duration::from_secs(60 * 60))), 1);
    assert_eq!(again.found.newest, 100, "{:?}", again.found);
    assert!(again.copies.iter().all(|copies| copies.least >= 8), "{:?}", again.copies);
}

#[test]
fn what_must_hold_and_does_not_is_told() {
    // A store with room for one item loses most of what it is given.
    let tables = Tables { contacts: 64, transactions: 24, queries: 2, items: 1, values: 300 };
    let scenario = Scenario { tables: Some(tables), checks: Checks { missed: 0.0, found: 1.0 }, ..small() };
    let report = run(&scenario, 1);
    assert!(report.found.gone > 0 && report.found.share() < 1.0);
    assert_eq!(report.violations_in_all, 1);
    assert!(report.violations[0].what.contains("of all reads found an item"), "{:?}", report.violations);
}

#[test]
fn a_host_that_is_killed_is_not_there() {
    let mut network = Simulation::on_threads(&small(), 2).unwrap();
    network.advance(Duration::from_secs(120));
    assert_eq!(network.hosts().len(), 80);
    let target = Target::from(network.id(7));
    assert_eq!(network.closest(&target, 1), [7]);
    network.kill(7);
    assert!(network.node(7).is_none() && network.closest(&target, 1) != [7] && network.hosts().len() == 79);
    assert_eq!(network.ask(7, |node, now| node.get(now, target)), Err(QueryError::Busy));
    assert!(network.with_node(8, |node, _| node.contacts().count()).unwrap() > 8);
}
