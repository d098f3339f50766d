//! What every driver promises, written once. Who includes this says what is driven, and how one waits for it:
//!
//! - `Dht`: the driver's handle;
//! - `build(builder)`: builds it where it can be built;
//! - `wait!(call)`: waits for the end of a call;
//! - `each!(stream)`: an iterator over what a stream or iterator gives.
//!
//! Nodes are on loopback, and share one address; what holds on a slow machine as well is all that is asked of time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bep44::client::Query;
use bep44::core::PutResult;
use bep44::core::Rate;
use bep44::core::wire::Code;
use bep44::turn::{NodeEvent, PutOn, Want};
use bep44::{
    AnyItem, BuildError, Builder, Capacity, Error, Immutable, Mutable, QueryError, SecretKey, Target, bencoded_bytes,
};
use futures_lite::future::{block_on, poll_once};

use super::{Dht, build};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A node that serves without limits: all nodes here share one address.
fn node(bootstrap: Option<SocketAddr>) -> Builder<Dht> {
    let unlimited = |config: &mut bep44::Config| {
        (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED);
    };
    Dht::builder().bind(ANY).bootstrap(bootstrap).config(unlimited)
}

/// Nodes that know each other.
fn network(nodes: usize) -> Vec<Dht> {
    let mut network: Vec<Dht> = Vec::new();
    for _ in 0..nodes {
        let dht = build(node(network.first().map(|first| first.local_addr()))).unwrap();
        if !network.is_empty() {
            assert!(wait!(dht.bootstrap()).unwrap().answered > 0);
        }
        network.push(dht);
    }
    // Whoever has only been asked takes the other for a node when that has answered as well.
    while nodes > 1 && wait!(network[0].contacts()).unwrap().is_empty() {
        thread::yield_now();
    }
    network
}

fn guest(network: &[Dht]) -> Dht {
    build(node(Some(network[0].local_addr())).read_only(true)).unwrap()
}

/// A socket that never answers, and a node that knows nobody else, with room for so many queries.
fn lost(queries: usize) -> (UdpSocket, Dht) {
    let silent = UdpSocket::bind(ANY).unwrap();
    let capacity = Capacity { queries, items: 0, values: 0, peers: 0, ..Capacity::server() };
    let dht = build(node(Some(silent.local_addr().unwrap())).read_only(true).capacity(capacity)).unwrap();
    (silent, dht)
}

/// An address where nobody listens.
fn closed_port() -> SocketAddr {
    UdpSocket::bind(ANY).unwrap().local_addr().unwrap()
}

fn secret() -> SecretKey {
    SecretKey::from_seed([7; 32]).unwrap()
}

/// Whether a query still runs, as far as the driver has told.
fn runs(dht: &Dht, query: &mut Query) -> bool {
    // The driver takes commands in their order, so it has seen the query when it answers this.
    wait!(dht.stats()).unwrap();
    block_on(poll_once(query.next())).is_none()
}

#[test]
fn handles_go_anywhere() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send>(_: &T) {}
    let (_silent, dht) = lost(8);
    shared(&dht);
    shared(dht.client());
    sent(&dht.lookup(Target::ZERO));
    sent(&dht.get_mutable(secret().public_key(), b"", None));
    sent(&dht.client().get(Target::ZERO));
    sent(&dht.client().update(&secret(), b"", |_| None));
    let other = dht.clone();
    assert_eq!((other.id(), other.local_addr()), (dht.id(), dht.local_addr()));
    assert_eq!(thread::spawn(move || wait!(other.contacts())).join().unwrap(), Ok(Vec::new()));
}

#[test]
fn two_nodes() {
    let network = network(2);
    for (from, to) in [(0, 1), (1, 0)] {
        let item = Immutable::text(&format!("from {from}")).unwrap();
        let put = wait!(network[from].put(&item)).unwrap();
        assert_eq!((put.stored(), put.target), (1, item.target()));
        assert_eq!(wait!(network[to].ping(network[from].local_addr())).unwrap().node, network[from].id());
        // Whoever stores it asks the other, and finds nothing there: it need not look at itself.
        assert_eq!(wait!(network[from].get(item.target())).unwrap().item, Some(item));
    }
}

#[test]
fn twenty_nodes_and_every_operation() {
    let network = network(20);
    let dht = guest(&network);

    let item = Immutable::text("Hello, world").unwrap();
    assert_eq!(wait!(dht.put(&item)).unwrap().stored(), 8);
    assert_eq!(wait!(network[13].get(item.target())).unwrap().item.as_ref(), Some(&item));
    let missing = wait!(dht.get(Target::new([1; 20]))).unwrap();
    assert_eq!(missing.item, None);
    assert!(missing.outcome.answered >= 8, "{:?}", missing.outcome);

    let version = |seq: i64| Mutable::sign(&secret(), *b"salt", seq, bencoded_bytes(b"value")).unwrap();
    let key = secret().public_key();
    assert_eq!(wait!(dht.put_mutable(&version(1), None)).unwrap().stored(), 8);
    assert_eq!(wait!(dht.put_mutable(&version(5), Some(1))).unwrap().stored(), 8);
    let conflict = wait!(dht.put_mutable(&version(6), Some(1))).unwrap();
    assert_eq!((conflict.stored(), conflict.refused_with(Code::CasMismatch)), (0, 8));
    // Node by node as well: each of the eight is one of the network, and says 301.
    let refused = |on: &PutOn| on.result == PutResult::Refused(301) && network.iter().any(|dht| dht.id() == on.node);
    assert!(conflict.nodes.len() == 8 && conflict.nodes.iter().all(refused), "{:?}", conflict.nodes);
    let mut versions = network[4].get_mutable(key, b"salt", None);
    let seen: Vec<_> = each!(&mut versions).map(Result::unwrap).collect();
    assert_eq!(seen.last(), Some(&version(5)));
    assert!(seen.is_sorted_by_key(Mutable::seq));
    assert!(versions.outcome().is_some_and(|outcome| outcome.answered >= 8));
    assert_eq!(wait!(dht.newest(key, b"salt", Some(4))).unwrap().item, Some(version(5)));
    assert_eq!(wait!(dht.newest(key, b"salt", Some(5))).unwrap().item, None);
    let update = wait!(dht.update(&secret(), b"salt", |old| old.map(|old| old.value().to_vec()))).unwrap();
    assert_eq!(update.item.unwrap().seq(), 6);

    let info_hash = Target::new([9; 20]);
    assert_eq!(wait!(network[3].announce(info_hash, Some(5_000))).unwrap().outcome.accepted, 8);
    assert_eq!(wait!(dht.get_peers(info_hash)).unwrap().peers, ["127.0.0.1:5000".parse().unwrap()]);

    assert_eq!(wait!(dht.ping(network[4].local_addr())).unwrap().node, network[4].id());
    let mut walk = dht.lookup(network[9].id().into());
    let steps: Vec<_> = each!(&mut walk).map(Result::unwrap).collect();
    assert!(steps.iter().any(|step| step.node == network[9].id()));
    assert!(walk.outcome().is_some_and(|outcome| outcome.answered >= 8));

    assert!(wait!(network[0].contacts()).unwrap().len() >= 8);
    assert!(wait!(network[0].stats()).unwrap().served > 0);
}

#[test]
fn stored_items_are_told() {
    let network = network(2);
    let mut events = network[1].events().unwrap();
    let item = Immutable::text("told").unwrap();
    assert_eq!(wait!(network[0].put(&item)).unwrap().stored(), 1);
    match each!(&mut events).next() {
        Some(NodeEvent::ItemStored(stored)) => assert_eq!(stored.target, item.target()),
        event => panic!("{event:?}"),
    }
    wait_for_nothing(network[1].clone());
    assert_eq!(each!(&mut events).next(), None, "it ends with the node");
}

#[test]
fn what_is_kept_is_announced_and_told_until_it_is_forgotten() {
    let network = network(2);
    let mut events = network[0].events().unwrap();
    let item = Immutable::text("kept alive").unwrap();
    wait!(network[0].keep(item.clone())).unwrap();
    let announced = each!(&mut events).find(|event| matches!(event, NodeEvent::Announced { .. }));
    let Some(NodeEvent::Announced { target, seq, skipped, outcome, until_next }) = announced else {
        panic!("{announced:?}")
    };
    assert_eq!((target, seq, skipped, outcome.accepted), (item.target(), None, false, 1));
    assert!((50 * 60 - 10..=60 * 60).contains(&until_next.as_secs()), "{until_next:?}");
    let kept = wait!(network[0].kept()).unwrap();
    assert_eq!((kept.len(), kept[0].target, &kept[0].item), (1, item.target(), &AnyItem::from(item.clone())));
    assert_eq!(wait!(guest(&network[1..]).get(item.target())).unwrap().item, Some(item.clone()));
    assert!(wait!(network[0].forget(item.target())).unwrap());
    assert!(!wait!(network[0].forget(item.target())).unwrap());
    assert_eq!(wait!(network[0].kept()).unwrap(), []);
    wait!(network[0].shutdown());
}

fn wait_for_nothing(dht: Dht) {
    wait!(dht.shutdown());
    wait!(dht.shutdown());
}

#[test]
fn who_is_told_of_a_node_finds_it() {
    let network = network(1);
    let dht = build(node(None).read_only(true)).unwrap();
    assert_eq!(wait!(dht.get(Target::ZERO)), Err(Error::Query(QueryError::NobodyToAsk)));
    wait!(dht.add_bootstrap(network[0].local_addr())).unwrap();
    assert_eq!(wait!(dht.get(Target::ZERO)).unwrap().outcome.answered, 1);
}

#[test]
fn an_error_ends_a_stream() {
    let alone = build(node(None).read_only(true)).unwrap();
    let error = Err(Error::Query(QueryError::NobodyToAsk));
    let mut walk = alone.lookup(Target::ZERO);
    assert_eq!((each!(&mut walk).next(), each!(&mut walk).next()), (Some(error), None));
    let versions: Vec<_> = each!(&mut alone.get_mutable(secret().public_key(), b"", None)).collect();
    assert_eq!(versions.len(), 1);
    assert_eq!(walk.outcome(), None);
}

#[test]
fn what_nobody_waits_for_gives_its_place_back() {
    let (_silent, dht) = lost(4);
    let full = |dht: &Dht| wait!(dht.get(Target::ZERO)) == Err(Error::Query(QueryError::Busy));
    for _ in 0..3 {
        let walks: Vec<_> = (0..3).map(|_| dht.lookup(Target::ZERO)).collect();
        let versions = dht.get_mutable(secret().public_key(), b"", None);
        assert!(full(&dht), "four streams take four places");
        drop((walks, versions));

        for _ in 0..3 {
            // A future that has begun, and is dropped.
            assert_eq!(block_on(poll_once(dht.client().get(Target::ZERO))), None);
            let item = Immutable::text("never stored").unwrap();
            assert!(block_on(poll_once(dht.client().put(&item))).is_none());
            assert_eq!(block_on(poll_once(dht.client().get_peers(Target::ZERO))), None);
        }
        let mut queries: Vec<_> = (0..4).map(|_| dht.client().start(Want::Get(Target::ZERO), false)).collect();
        assert!(queries.iter_mut().all(|query| runs(&dht, query)), "all four places are free again");
        assert!(full(&dht));
    }
}

#[test]
fn a_thousand_queries_at_once() {
    let network = network(8);
    let items: Vec<_> = (0..10).map(|number| Immutable::text(&number.to_string()).unwrap()).collect();
    // No more questions at once than the sockets of eight nodes hold where the system grants them little.
    let capacity = Capacity { transactions: 1_000, ..Capacity::server() };
    let dht = build(node(Some(network[0].local_addr())).read_only(true).capacity(capacity)).unwrap();
    for item in &items {
        assert_eq!(wait!(dht.put(item)).unwrap().stored(), 8);
    }
    let start = |number: usize| dht.client().start(Want::Get(items[number % items.len()].target()), true);
    let queries: Vec<_> = (0..1_000).map(start).collect();
    for (number, mut query) in queries.into_iter().enumerate() {
        let found = std::iter::from_fn(|| block_on(query.next()))
            .filter(|progress| matches!(progress.as_ref().unwrap(), bep44::turn::Progress::Found(_)))
            .count();
        assert_eq!(found, 1, "query {number}: {:?}", query.ended());
    }
}

#[test]
fn a_shutdown_in_the_middle_leaves_nobody_waiting() {
    let (_silent, dht) = lost(100);
    let mut query = dht.client().start(Want::Get(Target::ZERO), false);
    let mut walk = dht.lookup(Target::ZERO);
    assert!(runs(&dht, &mut query));
    let (ready, waiting) = mpsc::channel();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (dht, ready) = (dht.clone(), ready.clone());
            thread::spawn(move || {
                ready.send(()).unwrap();
                wait!(dht.get(Target::ZERO))
            })
        })
        .collect();
    waiting.iter().take(waiters.len()).for_each(drop);
    let stopping = dht.clone();
    let stopping = thread::spawn(move || wait!(stopping.shutdown()));
    wait!(dht.shutdown());
    let addr = dht.local_addr();
    UdpSocket::bind(addr).expect("the port is free");
    stopping.join().unwrap();

    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Err(Error::Closed));
    }
    assert_eq!(block_on(query.outcome()), Err(Error::Closed));
    assert_eq!(each!(&mut walk).next(), Some(Err(Error::Closed)));
    assert_eq!(each!(&mut walk).next(), None);
    assert_eq!(wait!(dht.get(Target::ZERO)), Err(Error::Closed));
    assert_eq!(wait!(dht.stats()), Err(Error::Closed));
    assert!(matches!(dht.events(), Err(Error::Closed)));
    wait!(dht.shutdown());
}

#[test]
fn the_last_handle_ends_the_node() {
    let (_silent, dht) = lost(8);
    let (addr, mut events) = (dht.local_addr(), dht.events().unwrap());
    let (other, walk) = (dht.clone(), dht.lookup(Target::ZERO));
    drop(dht);
    wait!(other.stats()).unwrap();
    drop(other);
    drop(walk);
    assert_eq!(each!(&mut events).count(), 0);
    // The events end when the driver does, and its sockets are closed about then.
    while UdpSocket::bind(addr).is_err() {
        thread::yield_now();
    }
}

#[test]
fn the_dead_are_counted_and_passed_over() {
    let network = network(8);
    let dht = guest(&network);
    assert!(wait!(dht.bootstrap()).unwrap().answered >= 8);
    wait!(network[5].shutdown());
    let dead = network[5].local_addr();
    assert_eq!(wait!(dht.ping(dead)), Err(Error::NoAnswer(dead)));
    let item = Immutable::text("without one").unwrap();
    let put = wait!(dht.put(&item)).unwrap();
    assert_eq!(put.stored(), 7, "{put:?}");
    assert_eq!(wait!(network[2].get(item.target())).unwrap().item, Some(item));
}

#[test]
fn unreachable_ports_and_refused_packets_stop_nobody() {
    let network = network(3);
    let dht = build(
        node(Some(network[0].local_addr())).bootstrap([closed_port()]).read_only(true).timeout(Duration::from_secs(60)),
    )
    .unwrap();
    assert!(wait!(dht.bootstrap()).unwrap().answered >= 3);
    let closed = closed_port();
    let mut silent = dht.client().start(Want::Ping(closed), false);
    assert!(runs(&dht, &mut silent));
    // The system sends nothing from a loopback address to any other, and says so: an error of the socket, which passes.
    let elsewhere = "203.0.113.1:6881".parse().unwrap();
    assert_eq!(wait!(dht.ping(elsewhere)), Err(Error::NoAnswer(elsewhere)));
    assert!(runs(&dht, &mut silent), "an address that cannot be sent to is not waited for");
    assert_eq!(wait!(dht.ping(closed)), Err(Error::NoAnswer(closed)));
    let item = Immutable::text("all the same").unwrap();
    assert_eq!(wait!(dht.put(&item)).unwrap().stored(), 3);
    assert_eq!(wait!(network[1].get(item.target())).unwrap().item, Some(item));
}

#[test]
fn two_writers_lose_nothing() {
    let network = network(10);
    let writers: Vec<_> = [*b"abcd", *b"ABCD"]
        .into_iter()
        .map(|letters| {
            let dht = guest(&network);
            thread::spawn(move || {
                for letter in letters {
                    let add = |current: Option<&Mutable>| {
                        let mut letters = current.and_then(Mutable::as_bytes).unwrap_or_default().to_vec();
                        if letters.contains(&letter) {
                            return None;
                        }
                        letters.push(letter);
                        Some(bencoded_bytes(&letters))
                    };
                    wait!(dht.update(&secret(), b"list", add)).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let newest = wait!(network[7].newest(secret().public_key(), b"list", None)).unwrap().item.unwrap();
    let mut letters = newest.as_bytes().unwrap().to_vec();
    letters.sort_unstable();
    assert_eq!(letters, b"ABCDabcd");
}

#[test]
#[cfg(feature = "redb")]
fn after_a_shutdown_everything_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let item = Immutable::text("kept").unwrap();
    let first = build(node(None).data_dir(dir.path())).unwrap();
    let put = wait!(guest(std::slice::from_ref(&first)).put(&item)).unwrap();
    assert_eq!(put.stored(), 1);
    wait!(first.shutdown());
    // The directory is free, too.
    let again = build(node(None).data_dir(dir.path())).unwrap();
    assert_eq!(again.id(), first.id());
    assert_eq!(wait!(guest(&[again]).get(item.target())).unwrap().item, Some(item));
}

#[test]
fn an_address_in_use_is_said() {
    let (_silent, dht) = lost(8);
    match build(Dht::builder().bind(dht.local_addr())) {
        Err(BuildError::Bind { addr, .. }) => assert_eq!(addr, dht.local_addr()),
        other => panic!("{other:?}"),
    }
}

const ANY6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

#[test]
fn a_node_in_both_networks_carries_items_between_them() {
    let four = network(9);
    let mut six: Vec<Dht> = Vec::new();
    for _ in 0..9 {
        let dht = build(node(six.first().map(|first| first.local_addr())).bind(ANY6)).unwrap();
        if !six.is_empty() {
            assert!(wait!(dht.bootstrap()).unwrap().answered > 0);
        }
        six.push(dht);
    }
    let known = [four[0].local_addr(), six[0].local_addr()];
    let both = build(node(None).also_bind(ANY6).bootstrap(known).read_only(true)).unwrap();
    let families: Vec<bool> = both.local_addrs().iter().map(SocketAddr::is_ipv4).collect();
    assert_eq!(families, [true, false]);

    let item = Immutable::text("in both").unwrap();
    assert!(wait!(both.put(&item)).unwrap().stored() >= 14, "eight in each, or all but the one that has just begun");
    assert_eq!(wait!(four[3].get(item.target())).unwrap().item.as_ref(), Some(&item));
    assert_eq!(wait!(six[3].get(item.target())).unwrap().item.as_ref(), Some(&item));

    // Each network has a version of its own: the newest of both is found, wherever it is.
    let version = |seq: i64| Mutable::sign(&secret(), *b"", seq, bencoded_bytes(b"value")).unwrap();
    let guest6 = build(node(Some(known[1])).bind(ANY6).read_only(true)).unwrap();
    assert!(wait!(guest(&four).put_mutable(&version(1), None)).unwrap().stored() > 0);
    assert!(wait!(guest6.put_mutable(&version(2), None)).unwrap().stored() > 0);
    let newest = wait!(both.newest(secret().public_key(), b"", None)).unwrap();
    assert_eq!(newest.item, Some(version(2)));
    for dht in [&four[2], &six[2]] {
        assert_eq!(wait!(both.ping(dht.local_addr())).unwrap().node, dht.id());
    }
}

#[test]
fn two_addresses_of_one_family_are_refused() {
    match build(Dht::builder().bind(ANY).also_bind(ANY)) {
        Err(BuildError::OneFamily { first, second }) => assert_eq!((first, second), (ANY, ANY)),
        other => panic!("{other:?}"),
    }
}
