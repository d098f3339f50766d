//! Traces of nodes in networks in virtual time, and those that are kept in `traces/`.

use std::path::{Path, PathBuf};

use bep44::replay::{Ending, Outputs, Until, assert_identical, replay};
use bep44_core::item::ImmutableItem;
use bep44_core::time::Duration;
use bep44_core::{Capacity, Instant, Item, MutableItem, SecretKey, Target};
use bep44_tests::world::{Wire, World};
use bep44_trace::{About, Records};

const LOSSY: Wire = Wire { latency: (Duration::from_millis(10), Duration::from_millis(300)), lost_per_mille: 100 };

/// The first octets of the values that are put.
fn value(number: i64) -> Vec<u8> {
    let text = format!("value {number}");
    format!("{}:{text}", text.len()).into_bytes()
}

/// The trace of a node in a network that loses a tenth of all packets, and where two nodes die; it does all that a node
/// can, and others store with it, and then does little for a while, so many times.
fn recorded(seed: u64, outputs: Outputs) -> Vec<u8> {
    life(seed, outputs, 12, 3, Duration::from_secs(600))
}

fn life(seed: u64, outputs: Outputs, nodes: usize, rounds: i64, pause: Duration) -> Vec<u8> {
    let mut world = World::joined(seed, LOSSY, nodes);
    let about = About { outputs, unix_micros: Some(1_700_000_000_000_000), ..About::default() };
    let member = world.add_recorded(&Capacity { items: 8, values: 4_096, ..Capacity::tiny() }, &about);
    world.introduce(member, 0);
    world.run(pause / 20);
    world.kill(nodes - 2);
    world.kill(nodes - 1);
    let secret = SecretKey::from_seed([9; 32]).unwrap();
    let info_hash = Target::new([5; 20]);
    for seq in 1..=rounds {
        let value = value(seq);
        let immutable = ImmutableItem::new(&value).unwrap();
        let mutable = MutableItem::sign(&secret, b"salt", seq, &value).unwrap();
        world.query(member, |node, now| node.put(now, &Item::Immutable(immutable), None));
        world.query(member, |node, now| node.put(now, &Item::Mutable(mutable), (seq > 1).then_some(seq - 1)));
        world.query(member, |node, now| node.get(now, immutable.target()));
        world.query(member, |node, now| node.get_mutable(now, &secret.public_key(), b"salt", None));
        world.query(member, |node, now| node.announce(now, info_hash, Some(5_000)));
        world.query(1, |node, now| node.put(now, &Item::Mutable(mutable), None));
        world.query(2, |node, now| node.get(now, immutable.target()));
        world.run(pause);
    }
    let missing = world.query(member, |node, now| node.get(now, Target::new([1; 20])));
    assert!(missing.values.is_empty());
    world.trace(member)
}

fn written(directory: &Path, trace: &[u8]) -> PathBuf {
    let path = directory.join("trace");
    std::fs::write(&path, trace).unwrap();
    path
}

#[test]
fn nodes_in_a_lossy_network_come_out_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 1..=5 {
        let trace = recorded(seed, Outputs::Full);
        assert!(trace == recorded(seed, Outputs::Full), "the same seed gives the same trace, octet for octet");
        let path = written(directory.path(), &trace);
        assert_identical(&path);
        let full = replay(&path).unwrap();
        let short = replay(written(directory.path(), &recorded(seed, Outputs::Digests))).unwrap();
        assert!(short.is_identical() && short.ending == Some(Ending::Complete));
        assert_eq!(full.digest, short.digest);
        assert!(full.inputs > 500 && full.outputs > 200, "{full}");
    }
}

/// Any prefix of a trace can be replayed, and half a trace is enough to find a difference in it.
#[test]
fn a_difference_is_found_where_it_is_whatever_follows() {
    let directory = tempfile::tempdir().unwrap();
    let trace = recorded(1, Outputs::Full);
    let records = Records::new(&trace).unwrap().count();
    let half = Records::new(&trace).unwrap().nth(records / 2).unwrap().unwrap();
    let path = written(directory.path(), &trace[..half.offset as usize]);
    let report = replay(&path).unwrap();
    assert!(report.is_identical() && report.ending == Some(Ending::Open));
    let mut player = bep44::replay::Player::open(&path).unwrap();
    player.run(Some(Until::Call(report.inputs / 2)), |_| ()).unwrap();
    assert_eq!(player.report().inputs, report.inputs / 2);
    assert!(player.node().unwrap().contacts().count() > 0);
}

/// The trace in `traces/node.trace` was recorded once and is replayed ever since, on every machine: it pins what a node
/// says, and the format. If either is changed on purpose,
///
/// ```sh
/// RENEW_TRACES=1 cargo test -p bep44-tests --test traces
/// ```
///
/// records it anew; what has changed should be looked at first (`bep44 replay tests/traces/node.trace`).
#[test]
fn the_kept_trace_comes_out_the_same() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/node.trace");
    if std::env::var_os("RENEW_TRACES").is_some() {
        std::fs::write(&kept, life(1, Outputs::Full, 5, 2, Duration::from_secs(20))).unwrap();
    }
    assert_identical(&kept);
    assert!(std::fs::metadata(&kept).unwrap().len() < 60_000);
}

/// A clock that starts late, and never stops at the end of its range.
#[test]
fn a_start_at_any_time_is_kept() {
    let mut world = World::new(1, Wire::GOOD);
    world.run(Duration::from_secs(1_000_000));
    let member = world.add_recorded(&Capacity::tiny(), &About::default());
    assert_eq!(world.now(), Instant::from_secs(1_000_000));
    world.run(Duration::from_secs(3_600));
    let directory = tempfile::tempdir().unwrap();
    assert_identical(written(directory.path(), &world.trace(member)));
}
