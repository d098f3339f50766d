//! What strangers and clumsy hosts may do to a node: any octets, any mutation of good messages, any order of calls, any
//! size of memory. Nothing of it may panic, exceed what memory there is, or keep the node from answering; and two nodes to
//! which the same is done do the same.

mod calls;
mod model;
mod strangers;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bep44_core::{
    Capacity, Config, ImmutableItem, Instant, Item, MAX_DATAGRAM, Memory, MicroMemory, MutableItem, Node, NodeId,
    PublicKey, QueryHandle, Rate, SecretKey, Storage, Target,
};
use bep44_tests::datagram::{
    ASKER, Id, Value, Writer, addr, compact_nodes, dict, error, immutable, list, query, raw, reply, sha1, string_of,
};
use bep44_tests::script::{Kept, Script, Told, capacity, config, target_of};
use quickcheck::{QuickCheck, TestResult, quickcheck};

use self::strangers::Strangers;

fn key() -> PublicKey {
    SecretKey::from_seed([1; 32]).unwrap().public_key()
}

/// Starts a query; whether it could be is of no interest.
fn command(node: &mut Node<'_>, now: Instant, which: usize, target: Id) -> Option<QueryHandle> {
    let target = Target::new(target);
    match which % 8 {
        0 => node.get(now, target),
        1 => node.get_mutable(now, &key(), b"salt", None),
        2 => node.get_mutable(now, &key(), b"", Some(1)),
        3 => node.put(now, &Item::Immutable(ImmutableItem::new(b"5:value").unwrap()), None),
        4 => node.announce(now, target, Some(6_881)),
        5 => node.get_peers(now, target),
        6 => node.bootstrap(now),
        _ => node.find_node(now, target),
    }
    .ok()
}

/// A put as it should be, with a token that was asked for.
fn honest_put(node: &mut Node<'_>, now: Instant, from: SocketAddr, item: &Value) -> Option<Vec<u8>> {
    let mut buf = [0; MAX_DATAGRAM];
    let get = query("get", dict().with("target", target_of(item))).encode();
    let answer = Value::decode(node.handle_datagram(now, from, &get, &mut buf)?.datagram).unwrap();
    let put = query("put", item.clone().with("token", answer.get("r")?.get("token")?.clone())).encode();
    Some(node.handle_datagram(now, from, &put, &mut buf)?.datagram.to_vec())
}

fn limits_are_kept(node: &Node<'_>, capacity: &Capacity) {
    assert!(node.items().count() <= capacity.items);
    assert!(node.item_octets() <= capacity.values);
    assert!(node.peers().count() <= capacity.peers);
    assert!(node.contacts().count() <= capacity.contacts + capacity.contacts6);
    let octets: usize = node.items().map(|stored| stored.item.value().len()).sum();
    assert!(octets <= node.item_octets());
}

fn answers_ping(node: &mut Node<'_>, now: Instant) {
    let mut buf = [0; MAX_DATAGRAM];
    let ping = query("ping", dict()).encode();
    let answer = node.handle_datagram(now, addr("198.51.100.9:9"), &ping, &mut buf).expect("an answer");
    let answer = Value::decode(answer.datagram).unwrap();
    assert_eq!((answer.get("y"), answer.get("t")), (Some(&"r".into()), Some(&"aa".into())));
}

fn storm(capacity: &Capacity, seed: u64, datagrams: usize) {
    let mut node = Node::new(Storage::boxed(capacity), &Config { id: Some(NodeId::ZERO), ..config() }, Instant::ZERO);
    let mut strangers = Strangers::new(seed);
    let mut now = Instant::from_secs(1_000);
    let mut buf = [0; MAX_DATAGRAM];
    for number in 0..4 {
        node.add_bootstrap(addr(&format!("60.0.0.{number}:1000"))).ok();
    }
    for count in 0..datagrams {
        let (from, datagram) = strangers.datagram();
        if let Some(answer) = node.handle_datagram(now, from, &datagram, &mut buf) {
            assert!(answer.datagram.len() <= MAX_DATAGRAM && answer.to == from);
            strangers.note(from, answer.datagram);
        }
        if count % 4 == 0 {
            now = now + Duration::from_millis(strangers.dice.next() % 60);
            if strangers.dice.one_in(500) {
                now = now + Duration::from_secs(strangers.dice.next() % 4_000);
            }
            let (which, target) = (strangers.dice.below(8), strangers.dice.id());
            command(&mut node, now, which, target);
            let mut sent = 0;
            while let Some(packet) = node.poll_transmit(now, &mut buf) {
                strangers.note(packet.to, packet.datagram);
                sent += 1;
                assert!(sent <= 2 * capacity.transactions + 50, "more questions than fit");
            }
            let mut told = 0;
            while let Some(event) = node.poll_event() {
                let _ = Told::from(event);
                told += 1;
                assert!(told < 10_000, "events without end");
            }
        }
        if count % 64 == 0 {
            let (from, item) = (strangers.addr(), strangers.item());
            honest_put(&mut node, now, from, &item);
        }
        if count % 512 == 0 {
            limits_are_kept(&node, capacity);
            answers_ping(&mut node, now);
        }
    }
    limits_are_kept(&node, capacity);
    answers_ping(&mut node, now);
    let stats = node.stats();
    // It was not all refused at the door.
    assert!(stats.served > datagrams as u64 / 100, "{stats:?}");
    assert!(stats.answered > datagrams as u64 / 1_000, "{stats:?}");
    assert!(stats.ignored > datagrams as u64 / 100, "{stats:?}");
    if capacity.items > 4 {
        assert!(stats.verified > 0 && node.items().count() > 0, "{stats:?}");
    }
}

/// How many datagrams a storm has, altogether.
const STORM: usize = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };

#[test]
fn a_storm_of_datagrams_does_no_harm() {
    storm(&capacity(), 1, STORM / 2);
}

#[test]
fn a_storm_of_datagrams_does_no_harm_to_a_tiny_node() {
    storm(&Capacity::tiny(), 2, STORM / 4);
}

#[test]
fn a_storm_of_datagrams_does_no_harm_to_the_smallest_node() {
    let micro = Capacity { contacts: 16, contacts6: 0, transactions: 8, queries: 1, items: 2, values: 2_304, peers: 0 };
    storm(&micro, 3, STORM / 4);
}

quickcheck! {
    fn any_octets_do_no_harm(datagrams: Vec<Vec<u8>>) -> bool {
        let mut script = Script::new();
        for datagram in datagrams {
            script.hand(addr("203.0.113.5:5"), &datagram);
        }
        script.ask(addr("203.0.113.5:5"), &query("ping", dict())).is_some()
    }

    fn any_octets_in_any_place_of_a_query_do_no_harm(octets: Vec<u8>, place: u8) -> bool {
        let mut script = Script::new();
        let from = addr("203.0.113.5:5");
        let places = ["id", "target", "info_hash", "token", "v", "k", "sig", "seq", "cas", "salt", "want", "port"];
        let key = places[usize::from(place) % places.len()];
        for method in ["ping", "find_node", "get_peers", "announce_peer", "get", "put", "x"] {
            let item = Writer::new(1).item(b"salt", 1, b"1:a").with("token", "x").with("target", [1; 20]);
            for value in [raw(&octets), octets.clone().into()] {
                let arguments = item.clone().with("id", ASKER).with("info_hash", [2; 20]).with(key, value);
                script.hand(from, &query(method, dict()).with("a", arguments).encode());
            }
        }
        script.ask(from, &query("ping", dict())).is_some() && script.kept().is_empty()
    }
}
