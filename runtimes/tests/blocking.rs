//! The blocking driver on loopback: a network of twelve nodes, each with a thread and a socket.
#![cfg(feature = "blocking")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bep44::blocking::Dht;
use bep44::core::wire::Code;
use bep44::core::{QueryError, Rate};
use bep44::turn::NodeEvent;
use bep44::{Error, Immutable, Mutable, SecretKey, Target, bencoded_bytes};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Nodes that all know each other. They share one network address, so the limits for each are off.
fn network(nodes: usize) -> Vec<Dht> {
    let mut network: Vec<Dht> = Vec::new();
    for _ in 0..nodes {
        let node = Dht::builder()
            .bind(ANY)
            .bootstrap(network.first().map(Dht::local_addr))
            .config(|config| (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED))
            .build()
            .unwrap();
        if !network.is_empty() {
            node.bootstrap().unwrap();
        }
        network.push(node);
    }
    network
}

fn guest(network: &[Dht]) -> Dht {
    Dht::builder().bind(ANY).bootstrap([network[0].local_addr()]).read_only(true).build().unwrap()
}

fn secret() -> SecretKey {
    SecretKey::from_seed([3; 32]).unwrap()
}

#[test]
fn what_one_puts_another_gets() {
    let network = network(12);
    let item = Immutable::text("Hello, world").unwrap();
    let put = guest(&network).put(&item).unwrap();
    assert_eq!((put.stored(), put.target), (8, item.target()));
    let got = guest(&network).get(item.target()).unwrap();
    assert_eq!(got.item.as_ref(), Some(&item));
    let missing = network[5].get(Target::new([1; 20])).unwrap();
    assert_eq!(missing.item, None);
    assert!(missing.outcome.answered >= 8, "{:?}", missing.outcome);
}

#[test]
fn versions_conflicts_and_updates() {
    let network = network(12);
    let dht = guest(&network);
    let item = |seq: i64| Mutable::sign(&secret(), *b"salt", seq, bencoded_bytes(seq.to_string().as_bytes())).unwrap();
    assert_eq!(dht.put_mutable(&item(1), None).unwrap().stored(), 8);
    assert_eq!(dht.put_mutable(&item(2), Some(1)).unwrap().stored(), 8);

    let stale = dht.put_mutable(&item(1), None).unwrap();
    assert_eq!((stale.stored(), stale.refused_with(Code::SequenceTooLow)), (0, 8));
    let conflict = dht.put_mutable(&item(3), Some(1)).unwrap();
    assert_eq!((conflict.stored(), conflict.refused_with(Code::CasMismatch)), (0, 8));
    assert!(conflict.is_conflict());

    let key = secret().public_key();
    let versions: Vec<_> = dht.get_mutable(key, b"salt", None).map(Result::unwrap).collect();
    assert_eq!(versions.last(), Some(&item(2)));
    assert_eq!(dht.newest(key, b"salt", Some(2)).unwrap().item, None);

    let update = dht.update(&secret(), b"salt", |current| Some(current.unwrap().value().to_vec())).unwrap();
    assert_eq!((update.item.unwrap().seq(), update.attempts), (3, 1));
    let first = dht.update(&secret(), b"new", |current| current.is_none().then(|| b"1:x".to_vec())).unwrap();
    assert_eq!(first.item.unwrap().seq(), 1);
    let untouched = dht.update(&secret(), b"new", |_| None).unwrap();
    assert_eq!((untouched.item.unwrap().seq(), untouched.put), (1, None));
}

/// Four writers who each add a letter to the list under one key, at the same time.
fn write_at_the_same_time(network: &[Dht], writer: impl Fn(usize) -> Dht) {
    let writers: Vec<_> = (b'a'..=b'd')
        .enumerate()
        .map(|(number, letter)| {
            let dht = writer(number);
            std::thread::spawn(move || {
                // Each adds its letter to the list, once.
                let add = |current: Option<&Mutable>| {
                    let mut letters = current.and_then(Mutable::as_bytes).unwrap_or_default().to_vec();
                    if letters.contains(&letter) {
                        return None;
                    }
                    letters.push(letter);
                    Some(bencoded_bytes(&letters))
                };
                dht.update(&secret(), b"", add).unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let newest = network[7].newest(secret().public_key(), b"", None).unwrap().item.unwrap();
    let mut letters = newest.as_bytes().unwrap().to_vec();
    letters.sort_unstable();
    assert_eq!(letters, b"abcd");
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let network = network(12);
    write_at_the_same_time(&network, |_| guest(&network));
}

#[test]
fn storing_nodes_that_write_at_the_same_time_lose_nothing() {
    for _ in 0..8 {
        let network = network(12);
        write_at_the_same_time(&network, |number| network[2 * number + 1].clone());
    }
}

#[test]
fn peers_pings_and_walks() {
    let network = network(12);
    let dht = guest(&network);
    let info_hash = Target::new([9; 20]);
    assert_eq!(network[3].announce(info_hash, Some(5_000)).unwrap().outcome.accepted, 8);
    let peers = dht.get_peers(info_hash).unwrap().peers;
    assert_eq!(peers, ["127.0.0.1:5000".parse().unwrap()]);
    assert_eq!(dht.ping(network[4].local_addr()).unwrap().node, network[4].id());
    let mut walk = dht.lookup(network[9].id().into());
    assert!(walk.by_ref().map(Result::unwrap).any(|step| step.node == network[9].id()));
    walk.by_ref().for_each(drop);
    assert!(walk.outcome().is_some_and(|outcome| outcome.answered >= 8));
    assert!(!network[0].contacts().unwrap().is_empty());
    assert!(network[0].stats().unwrap().queries > 0);
}

#[test]
fn stored_items_are_told() {
    let network = network(3);
    let events = network[1].events().unwrap();
    let item = Immutable::text("told").unwrap();
    assert_eq!(network[0].put(&item).unwrap().stored(), 2);
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || events.for_each(|event| drop(told.send(event))));
    match heard.recv_timeout(Duration::from_secs(5)).unwrap() {
        NodeEvent::ItemStored(stored) => assert_eq!(stored.target, item.target()),
        event => panic!("{event:?}"),
    }
    network[1].shutdown();
    assert!(heard.recv_timeout(Duration::from_secs(5)).is_err(), "the stream ends with the node");
}

#[test]
fn nobody_to_ask_is_said_at_once() {
    let alone = Dht::builder().bind(ANY).build().unwrap();
    assert_eq!(alone.get(Target::ZERO), Err(Error::Query(QueryError::NobodyToAsk)));
}

#[test]
fn a_silent_address_takes_no_longer_than_the_time_given() {
    let silent = UdpSocket::bind(ANY).unwrap();
    let build = |timeout| {
        let addr = silent.local_addr().unwrap();
        Dht::builder().bind(ANY).bootstrap([addr]).read_only(true).timeout(timeout).build().unwrap()
    };
    let timeout = Duration::from_millis(50);
    assert_eq!(build(timeout).get(Target::ZERO), Err(Error::TimedOut(timeout)));
    let outcome = build(Duration::from_secs(30)).get(Target::ZERO).unwrap().outcome;
    assert_eq!(outcome.answered, 0);
    assert!(outcome.elapsed < Duration::from_secs(5), "{outcome:?}");
}

#[test]
fn the_end_of_a_node() {
    let network = network(2);
    let port = network[1].local_addr();
    let other = network[1].clone();
    network[1].shutdown();
    assert_eq!(other.get(Target::ZERO), Err(Error::Closed));
    drop(UdpSocket::bind(port).expect("the port is free"));

    // Dropping the last handle ends it as well, some time soon.
    let last = Dht::builder().bind(ANY).build().unwrap();
    let (port, events) = (last.local_addr(), last.events().unwrap());
    drop(last);
    assert_eq!(events.count(), 0);
    let start = Instant::now();
    while UdpSocket::bind(port).is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "the port is still taken");
        std::thread::yield_now();
    }
}
