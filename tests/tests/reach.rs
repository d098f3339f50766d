//! How near a put and a read come to the best that there is: which nodes are truly the closest, and who holds an item, is
//! known in a simulation.

use bep44::sim::{Network, Report, Scenario, Simulation, Workload};

/// A network of 300 nodes in which so many packets are lost.
fn with_loss(loss: f64) -> Report {
    let scenario = Scenario {
        nodes: 300,
        stable: 100,
        network: Network { loss, ..Network::default() },
        // Signatures would take most of the time.
        workload: Workload { items: 300, reads: 300, mutable: 0.0, ..Workload::default() },
        ..Scenario::default()
    };
    let report = Simulation::new(&scenario).unwrap().run(|_| {});
    assert_eq!((report.reach.puts, report.found.newest), (300, 300));
    report
}

#[test]
fn puts_reach_the_closest_nodes_and_reads_are_fast_though_one_packet_in_twenty_is_lost() {
    let report = with_loss(0.05);
    println!("{:?}, {} round trips beyond the last hop", report.reach, report.beyond_last_hop_in_round_trips);
    assert!(report.reach.mean >= 7.9, "{:?}", report.reach);
    assert!(report.beyond_last_hop_in_round_trips < 2.0, "{}", report.beyond_last_hop_in_round_trips);
    assert_eq!(report.last_hop.count, 300);
    let (last_hop, first) = (&report.last_hop, &report.reads.first_value);
    assert!((0..=100).all(|percent| last_hop.percentile(percent) <= first.percentile(percent)));
}

#[test]
fn where_nothing_is_lost_every_put_reaches_all_of_them() {
    assert!(with_loss(0.0).reach.mean >= 7.99);
}

#[test]
fn where_one_packet_in_five_is_lost_more_tries_are_made() {
    let report = with_loss(0.2);
    println!("{:?}", report.reach);
    assert!(report.reach.mean >= 7.5, "{:?}", report.reach);
}
