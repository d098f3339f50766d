//! Small networks, and what must be true of any.

use std::time::Duration;

use super::*;
use bep44_core::{Capacity, Config, ImmutableItem, Item, Node, QueryError, SecretKey, Storage, Target};

use crate::item::Mutable;

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

/// A network of twenty in which one node, closest to a mutable item, stores its third version.
fn with_a_third_version() -> (Simulation, u32) {
    let scenario =
        Scenario { nodes: 20, stable: 20, workload: Workload { items: 0, ..Workload::default() }, ..small() };
    let mut network = Simulation::new(&scenario).unwrap();
    network.advance(scenario.joined());
    let secret = SecretKey::from_seed([7; 32]).unwrap();
    let item = Mutable::sign(&secret, b"", 3, b"1:a".to_vec()).unwrap();
    let put = network.ask(0, |node, now| node.put(now, &item.as_item().unwrap(), None)).unwrap();
    network.advance(Duration::from_secs(10));
    let holder = network.ended(put).unwrap().accepted[0];
    (network, holder)
}

/// What the checks say of a network that was tampered with.
fn violations(mut network: Simulation) -> Vec<String> {
    network.check_all();
    network.report().violations.iter().map(ToString::to_string).collect()
}

#[test]
fn a_node_that_stores_another_version_than_it_told_of_is_caught() {
    let (network, ..) = with_a_third_version();
    assert_eq!(violations(network), [""; 0], "as long as nobody meddles");
    for (seq, of_whom, what) in [
        (2, 7, "version 2 is stored where version 3 was"),
        (4, 7, "version 4 is stored where version 3 was"),
        (1, 8, "version 1 is stored, and nobody was told"),
    ] {
        let (mut network, holder) = with_a_third_version();
        let item = Mutable::sign(&SecretKey::from_seed([of_whom; 32]).unwrap(), b"", seq, b"1:a".to_vec()).unwrap();
        let tables = network.setting.scenario.capacity();
        network.with_node(holder, |node, now| {
            *node = Node::new(Storage::boxed(&tables), &Config::new([1; 32]), now);
            assert!(node.restore_item(now, &item.as_item().unwrap(), Duration::from_secs(60)).unwrap());
        });
        let told = violations(network);
        assert!(told.len() == 1 && told[0].contains(what), "{told:?}");
        assert!(told[0].contains(&format!("at host {holder}")), "{told:?}");
    }
}

#[test]
fn a_table_beyond_its_bounds_is_caught() {
    let (mut network, holder) = with_a_third_version();
    network.setting.scenario.tables = Some(Tables { contacts: 3, transactions: 8, queries: 1, items: 1, values: 300 });
    let told = violations(network);
    assert_eq!(told.len(), 20, "all know more than three others: {told:?}");
    assert!(told[holder as usize].contains("contacts: more than it has room for"), "{told:?}");
}

#[test]
fn a_query_that_never_ends_is_caught() {
    let (mut network, _) = with_a_third_version();
    network.ask(5, |node, now| node.get(now, Target::ZERO)).unwrap();
    network.with_node(5, |node, now| {
        *node = Node::new(Storage::boxed(&Capacity::tiny()), &Config::new([1; 32]), now);
    });
    network.advance(Duration::from_secs(121));
    let told = violations(network);
    assert!(told.len() == 1 && told[0].contains("at host 5: a query has not ended after 120 s"), "{told:?}");
}

/// What comes of a network in which some nodes, when items are read, have forgotten everybody; they know nobody but those
/// who are named here.
fn with_forgetful_nodes(known: Option<u32>) -> Report {
    let checks = Checks { missed: 0.0, found: 0.0 };
    let workload = Workload { items: 5, reads: 20, put_over: Duration::from_secs(5), ..Workload::default() };
    let scenario = Scenario { nodes: 20, stable: 20, checks, workload, ..small() };
    let mut network = Simulation::new(&scenario).unwrap();
    network.advance(scenario.put());
    for host in 0..4 {
        let known = known.map(|known| network.addr(known));
        network.with_node(host, |node, now| {
            // Nor does it get to know anybody by being asked.
            let config = Config { read_only: true, ..Config::new([1; 32]) };
            *node = Node::new(Storage::boxed(&Capacity::tiny()), &config, now);
            known.map_or(Ok(()), |known| node.add_bootstrap(known)).unwrap();
        });
    }
    network.run(|_| {})
}

#[test]
fn a_read_that_misses_what_is_there_is_caught() {
    let report = with_forgetful_nodes(Some(1_000));
    assert!(report.found.missed > 0 && report.found.gone == 0 && report.found.reads == 20, "{:?}", report.found);
    assert_eq!(report.violations.len(), 1, "{:?}", report.violations);
    assert!(report.violations[0].what.contains("of all reads missed an item that was there"));
}

#[test]
fn a_read_that_never_begins_is_caught() {
    let report = with_forgetful_nodes(None);
    assert!(report.reads.abandoned > 0 && report.found.reads + report.reads.abandoned == 20, "{:?}", report.found);
    assert_eq!(report.violations.len() as u64, report.reads.abandoned, "{:?}", report.violations);
    assert!(
        report.violations.iter().all(|it| it.what == "a query could not begin for 120 s"),
        "{:?}",
        report.violations
    );
}
