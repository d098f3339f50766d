//! What a node's answers cost, beside the bare cost of the two primitives under them: one Ed25519 verification and one
//! SHA-1 over 1,000 octets. Only the ratios between lines of one run mean something.
//!
//! Run with `cargo bench -p bep44-core --features alloc`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use bep44_core::item::mutable_target;
use bep44_core::wire::{self, Message, Method, Put, PutMutable, Query, Want};
use bep44_core::{
    Capacity, Config, ImmutableItem, Instant, MAX_DATAGRAM, MutableItem, Node, NodeId, SecretKey, Storage, Target,
};
use bep44_tests::world::{Wire, World};
use criterion::{Criterion, criterion_group, criterion_main};
use sha1::{Digest, Sha1};

const ASKER: NodeId = NodeId::new([0x55; 20]);

fn asker() -> SocketAddr {
    "127.0.0.1:7000".parse().unwrap()
}

fn now() -> Instant {
    Instant::from_secs(1)
}

/// A byte string of 1,000 octets once it is bencoded.
fn value() -> Vec<u8> {
    [b"996:".as_slice(), &[b'x'; 996]].concat()
}

fn secret() -> SecretKey {
    SecretKey::from_seed([7; 32]).unwrap()
}

fn query(method: Method<'_>) -> Vec<u8> {
    let mut buf = [0; 2_048];
    let query = Query { transaction: b"abcd", sender: ASKER, read_only: true, method };
    let len = query.write(Some(*b"XX01"), &mut buf).unwrap();
    buf[..len].to_vec()
}

/// A node with a well-filled routing table.
fn node() -> Node<'static> {
    let config = Config { report_items: false, ..Config::new([1; 32]) };
    let mut node = Node::new(Storage::boxed(&Capacity::home()), &config, now());
    let (mut buf, mut reply) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
    // Strangers ask, are asked back, and answer.
    for number in 0..2_000_u32 {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        let [_, a, b, c] = number.to_be_bytes();
        let from = SocketAddr::from(([20 + a, b, c, 1], 6_881));
        let ping = Query { transaction: b"t", sender: NodeId::new(id), read_only: false, method: Method::Ping };
        let len = ping.write(None, &mut reply).unwrap();
        let _ = node.handle_datagram(now(), from, &reply[..len], &mut buf);
        while let Some(asked) = node.poll_transmit(now(), &mut buf) {
            let Ok(Message::Query(question)) = wire::parse(asked.datagram) else { continue };
            let answer = wire::Reply::new(question.transaction, NodeId::new(id));
            let len = answer.write(None, &mut reply).unwrap();
            let mut unused = [0; MAX_DATAGRAM];
            let _ = node.handle_datagram(now(), from, &reply[..len], &mut unused);
        }
    }
    assert!(node.contacts().count() > 50, "{}", node.contacts().count());
    node
}

fn ask<'b>(node: &mut Node<'_>, datagram: &[u8], buf: &'b mut [u8]) -> Message<'b> {
    let answer = node.handle_datagram(now(), asker(), datagram, buf).expect("an answer");
    wire::parse(answer.datagram).expect("a message")
}

fn token(node: &mut Node<'_>, target: Target) -> Vec<u8> {
    let mut buf = [0; MAX_DATAGRAM];
    let get = query(Method::Get { target, seq: None, want: Want::UNSAID });
    match ask(node, &get, &mut buf) {
        Message::Reply(reply) => reply.token.expect("a token").to_vec(),
        other => panic!("{other:?}"),
    }
}

fn immutable_put(token: &[u8], value: &[u8]) -> Vec<u8> {
    query(Method::Put(Put { token, value, mutable: None, target: None }))
}

fn mutable_put(token: &[u8], item: &MutableItem<'_>) -> Vec<u8> {
    let mutable = PutMutable {
        key: &item.key().0,
        salt: item.salt(),
        seq: item.seq(),
        signature: &item.signature().0,
        cas: None,
    };
    query(Method::Put(Put { token, value: item.value(), mutable: Some(mutable), target: None }))
}

fn is_refused_with(message: &Message<'_>, code: i64) -> bool {
    matches!(message, Message::Error(error) if error.code == code)
}

fn serving(criterion: &mut Criterion) {
    let (mut node, mut buf, mut answer) = (node(), [0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
    let mut group = criterion.benchmark_group("serve");
    let value = value();
    let target = ImmutableItem::new(&value).unwrap().target();
    let mut measure = |name: &str, node: &mut Node<'_>, datagram: &[u8]| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(node.handle_datagram(now(), asker(), black_box(datagram), &mut buf)).is_some());
        });
    };

    measure("ping", &mut node, &query(Method::Ping));
    measure("find_node", &mut node, &query(Method::FindNode { target, want: Want::UNSAID }));
    let get = query(Method::Get { target, seq: None, want: Want::UNSAID });
    measure("get, miss", &mut node, &get);
    let good = token(&mut node, target);
    let put = immutable_put(&good, &value);
    assert!(matches!(ask(&mut node, &put, &mut answer), Message::Reply(_)));
    measure("get, hit of 1,000 octets", &mut node, &get);
    measure("put, immutable, known", &mut node, &put);
    let bad = immutable_put(b"guessed-well", &value);
    assert!(is_refused_with(&ask(&mut node, &bad, &mut answer), 203));
    measure("put, refused for its token", &mut node, &bad);

    let (key, secret) = (secret().public_key(), secret());
    let mutable = MutableItem::sign(&secret, b"", 5, &value).unwrap();
    let good = token(&mut node, mutable_target(&key, b""));
    let put = mutable_put(&good, &mutable);
    assert!(matches!(ask(&mut node, &put, &mut answer), Message::Reply(_)));
    measure("put, mutable, byte-equal refresh", &mut node, &put);
    // The signature of another version: well-formed, so that all of the verification is done.
    let other = MutableItem::sign(&secret, b"", 7, &value).unwrap();
    let forged = MutableItem::new(key, b"", 6, &value, *other.signature()).unwrap();
    let forged = mutable_put(&good, &forged);
    assert!(is_refused_with(&ask(&mut node, &forged, &mut answer), 206));
    measure("put, refused for its signature", &mut node, &forged);
    group.finish();
}

/// Puts that each replace what the one before has stored: a new sequence number each time.
fn accepted_puts(criterion: &mut Criterion) {
    const PUTS: usize = 2_000;
    let (value, secret) = (value(), secret());
    let target = mutable_target(&secret.public_key(), b"");
    let good = token(&mut node(), target);
    let items = (0..PUTS).map(|seq| MutableItem::sign(&secret, b"", seq as i64, &value).unwrap());
    let puts: Vec<Vec<u8>> = items.map(|item| mutable_put(&good, &item)).collect();
    criterion.bench_function("serve/put, mutable, accepted", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            let mut left = usize::try_from(iterations).unwrap();
            while left > 0 {
                // From the same seed and the same calls, so that the token holds.
                let (mut node, mut buf) = (node(), [0; MAX_DATAGRAM]);
                let start = Clock::now();
                for put in puts.iter().take(left) {
                    let answer = node.handle_datagram(now(), asker(), black_box(put), &mut buf);
                    assert!(black_box(answer).is_some());
                }
                spent += start.elapsed();
                let newest = node.items().next().unwrap().item.as_mutable().unwrap().seq();
                assert_eq!(newest, left.min(PUTS) as i64 - 1);
                left = left.saturating_sub(PUTS);
            }
            spent
        });
    });
}

fn primitives(criterion: &mut Criterion) {
    let value = value();
    let mut group = criterion.benchmark_group("primitive");
    group.bench_function("SHA-1 of 1,000 octets", |bencher| {
        bencher.iter(|| Sha1::digest(black_box(&value)));
    });
    let item = MutableItem::sign(&secret(), b"", 5, &value).unwrap();
    group.bench_function("Ed25519 verification of 1,000 octets", |bencher| {
        bencher.iter(|| black_box(&item).verify().is_ok());
    });
    group.bench_function("parse of a get", |bencher| {
        let get = query(Method::Get { target: item.target(), seq: None, want: Want::UNSAID });
        bencher.iter(|| wire::parse(black_box(&get)).is_ok());
    });
    group.finish();
}

/// A whole lookup, with all that the other nodes do for it, in a network of 1,000 nodes.
fn lookup(criterion: &mut Criterion) {
    let mut world = World::joined(1, Wire::GOOD, 1_000);
    let mut number = 0_u8;
    criterion.bench_function("world/lookup among 1,000 nodes", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_add(1);
            let target = Target::new([number; 20]);
            world.query(usize::from(number), |node, now| node.find_node(now, target)).ended().answered
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    targets = primitives, serving, accepted_puts, lookup
}
criterion_main!(benches);
