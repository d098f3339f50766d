//! A network on loopback, and what a recorded node does in it: all that its holder can ask for, successes and failures.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use bep44::client::Client;
use bep44::core::Rate;
use bep44::replay::{Ending, assert_identical, replay};
use bep44::turn::Want;
use bep44::{Builder, Immutable, Mutable, QueryError, SecretKey, Target, bencoded_bytes, blocking};
use futures_lite::future::block_on;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) struct Network(Vec<blocking::Dht>);

impl Network {
    /// Four nodes that know each other.
    pub(crate) fn start() -> Self {
        let mut network = Self(Vec::new());
        for number in 0..4 {
            let dht = network.member(blocking::Dht::builder()).build().unwrap();
            if number > 0 {
                dht.bootstrap().unwrap();
            }
            network.0.push(dht);
        }
        network
    }

    /// A node that joins, and serves without limits: all share one address.
    pub(crate) fn member<D>(&self, builder: Builder<D>) -> Builder<D> {
        let unlimited = |config: &mut bep44::Config| {
            (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED);
        };
        builder.bind(ANY).bootstrap(self.0.first().map(blocking::Dht::local_addr)).config(unlimited)
    }
}

/// What the node of `client` does in the network, and what others do to it.
pub(crate) fn live(client: &Client, network: &Network) {
    let other = &network.0[1];
    block_on(client.bootstrap()).unwrap();
    let item = Immutable::text("recorded").unwrap();
    assert!(block_on(client.put(&item)).unwrap().stored() > 0);
    assert_eq!(block_on(client.get(item.target())).unwrap().item, Some(item));
    assert_eq!(block_on(client.get(Target::new([1; 20]))).unwrap().item, None);

    let secret = SecretKey::from_seed([7; 32]).unwrap();
    let version = |seq, text: &str| Mutable::sign(&secret, b"salt", seq, bencoded_bytes(text.as_bytes())).unwrap();
    assert!(block_on(client.put_mutable(&version(1, "one"), None)).unwrap().stored() > 0);
    assert!(block_on(client.put_mutable(&version(2, "two"), Some(1))).unwrap().stored() > 0);
    // Refused: too old, and another number expected.
    assert_eq!(block_on(client.put_mutable(&version(1, "one"), None)).unwrap().stored(), 0);
    assert_eq!(block_on(client.put_mutable(&version(4, "four"), Some(1))).unwrap().stored(), 0);
    let newest = block_on(client.newest(secret.public_key(), b"salt", None)).unwrap().item.unwrap();
    assert_eq!(newest.seq(), 2);
    assert_eq!(block_on(client.newest(secret.public_key(), b"salt", Some(2))).unwrap().item, None);

    let info_hash = Target::new([9; 20]);
    assert!(block_on(client.announce(info_hash, Some(5_000))).unwrap().peers.is_empty());
    assert!(!block_on(client.get_peers(info_hash)).unwrap().peers.is_empty());
    block_on(client.ping(other.local_addr())).unwrap();
    let closed = UdpSocket::bind(ANY).unwrap().local_addr().unwrap();
    assert!(block_on(client.ping(closed)).is_err());
    assert_eq!(block_on(client.add_bootstrap("0.0.0.0:0".parse().unwrap())), Err(QueryError::UnusableAddress.into()));
    // One that nobody waits for, which cancels it.
    let mut query = client.start(Want::FindNode(Target::new([3; 20])), true);
    block_on(query.next());
    drop(query);

    // The others store here, read, update, and announce.
    assert!(other.put(&Immutable::text("from another").unwrap()).unwrap().stored() > 0);
    assert!(other.put_mutable(&version(3, "three"), Some(2)).unwrap().stored() > 0);
    assert!(other.newest(secret.public_key(), b"salt", None).unwrap().item.is_some());
    other.announce(info_hash, None).unwrap();
    let lookup: Vec<_> = other.lookup(Target::from(client.id())).collect();
    assert!(!lookup.is_empty());
    block_on(client.stats()).unwrap();
}

/// Replays the trace twice; each time all of it is the same.
pub(crate) fn twice(trace: &Path) {
    assert_identical(trace);
    let (one, two) = (replay(trace).unwrap(), replay(trace).unwrap());
    assert_eq!((one.inputs, one.outputs, one.digest), (two.inputs, two.outputs, two.digest));
    assert_eq!(one.ending, Some(Ending::Complete));
    assert!(one.inputs > 200 && one.outputs > 100, "{one}");
    println!("{one}, {} octets", std::fs::metadata(trace).unwrap().len());
}

/// Records a life on a driver and replays it.
macro_rules! record_and_replay {
    ($name:ident, $dht:ty, $build:expr, $shutdown:expr) => {
        #[test]
        fn $name() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("trace");
            let network = $crate::recorded::Network::start();
            let builder = network.member(<$dht>::builder()).record(bep44::replay::Recording::create(&path).unwrap());
            let build: fn(bep44::Builder<$dht>) -> $dht = $build;
            let dht = build(builder);
            $crate::recorded::live(dht.client(), &network);
            let shutdown: fn(&$dht) = $shutdown;
            shutdown(&dht);
            $crate::recorded::twice(&path);
        }
    };
}

pub(crate) use record_and_replay;
