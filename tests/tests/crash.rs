//! A node with a data directory is killed in the middle of its work, again and again: after each restart it serves, byte
//! for byte, every item that it had acknowledged longer ago than the window that its documentation states.
//!
//! `BEP44_KILLS=50` kills it fifty times instead of five. `BEP44_BIN=target/release/bep44` does it to the command line's
//! node, more slowly because that one limits what one network may ask.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bep44::blocking::Dht;
use bep44::core::Rate;
use bep44::persist::DataDir;
use bep44::{Capacity, Immutable, Mutable, SecretKey, Target, bencoded_bytes};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Tells a process of this test that it is the node, and where its data are.
const DIR: &str = "BEP44_CRASH_TEST_DIR";

/// What the documentation states for a disk that commits within a quarter of a second.
const WINDOW: Duration = Duration::from_secs(1);

/// Those who put, each with mutable items of its own that it writes again and again.
const WRITERS: u8 = 4;
const SALTS: u8 = 25;

/// Items of former rounds that are looked at again in each.
const OLD: usize = 200;

/// Not a test: the node that is killed, a process of its own.
#[test]
#[ignore = "the process that the test kills"]
fn node() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let start = Instant::now();
    let dir = DataDir::open(dir).unwrap();
    let opened = start.elapsed();
    let monitor = dir.monitor();
    let node = Dht::builder()
        .bind(ANY)
        .capacity(Capacity::server())
        .config(|config| (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED))
        .data(dir)
        .build()
        .unwrap();
    println!("\n{{\"event\":\"listening\",\"addr\":\"{}\"}}", node.local_addr());
    eprintln!("opened in {opened:?}, ready after {:?}: {:?}", start.elapsed(), monitor.status().restored);
    let mut told = Duration::ZERO;
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let status = monitor.status();
        if status.slowest_commit > told {
            told = status.slowest_commit;
            eprintln!("slowest commit {told:?} of {}, window {:?}", status.commits, status.window);
        }
    }
}

/// A node of a process of its own. However the test ends, it does.
struct Node {
    process: Child,
    addr: SocketAddr,
}

impl Node {
    fn start(dir: &Path) -> Self {
        let mut command = match std::env::var_os("BEP44_BIN") {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(["node", "--json", "--bind", "127.0.0.1:0", "--data"]).arg(dir);
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["--exact", "node", "--ignored", "--nocapture"]).env(DIR, dir);
                command
            }
        };
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let addr = loop {
            let line = lines.next().expect("the node says where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("\"addr\":\"") {
                break rest.split('"').next().unwrap().parse().unwrap();
            }
        };
        // A full pipe would stop the node.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, addr }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn client(&self) -> Dht {
        Dht::builder().bind(ANY).bootstrap([self.addr]).read_only(true).timeout(Duration::from_secs(5)).build().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What was acknowledged, and when.
#[derive(Default)]
struct Acknowledged {
    immutable: Vec<(Immutable, Instant)>,
    mutable: Vec<(Mutable, Instant)>,
}

fn secret(writer: u8) -> SecretKey {
    SecretKey::from_seed([writer + 1; 32]).unwrap()
}

/// The version `seq`, whose octets nobody else would write.
fn version(writer: u8, salt: u8, seq: i64) -> Mutable {
    let text = format!("{writer} {salt} {seq} ").repeat(1 + seq as usize % 40);
    Mutable::sign(&secret(writer), [salt], seq, bencoded_bytes(text.as_bytes())).unwrap()
}

fn write(client: &Dht, writer: u8, round: u32, next_seq: &mut i64, stop: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{round} {writer} {number} ").repeat(1 + number % 60);
        let item = Immutable::text(&text[..text.len().min(996)]).unwrap();
        if client.put(&item).is_ok_and(|put| put.stored() == 1) {
            acknowledged.immutable.push((item, Instant::now()));
        }
        *next_seq += 1;
        let item = version(writer, (*next_seq % i64::from(SALTS)) as u8, *next_seq);
        if client.put_mutable(&item, None).is_ok_and(|put| put.stored() == 1) {
            acknowledged.mutable.push((item, Instant::now()));
        }
        // Fifty rounds fit into the node's store; and the command line's node limits what one network may ask.
        std::thread::sleep(Duration::from_millis(if std::env::var_os("BEP44_BIN").is_some() { 300 } else { 4 }));
    }
    acknowledged
}

#[test]
fn a_node_that_is_killed_loses_nothing_older_than_the_window() {
    let kills: u32 = std::env::var("BEP44_KILLS").map_or(5, |kills| kills.parse().expect("BEP44_KILLS is a number"));
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::start(dir.path());
    let mut next_seqs = [0; WRITERS as usize];
    // All immutable items that must be there, and the least version of each mutable one.
    let mut kept: Vec<Immutable> = Vec::new();
    let mut least: HashMap<Target, Mutable> = HashMap::new();
    let (mut acknowledged_in_all, mut young, mut young_lost) = (0, 0, 0);
    for round in 0..kills {
        let stop = AtomicBool::new(false);
        let client = node.client();
        // Somewhere between commits, at another point of their rhythm each time.
        let works_for = Duration::from_millis(1_500 + u64::from(round) * 137 % 500);
        let (acknowledged, killed_at) = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .zip(&mut next_seqs)
                .map(|(writer, next_seq)| {
                    let (client, stop) = (client.clone(), &stop);
                    scope.spawn(move || write(&client, writer, round, next_seq, stop))
                })
                .collect();
            std::thread::sleep(works_for);
            let killed_at = Instant::now();
            node.kill();
            stop.store(true, Ordering::Relaxed);
            client.shutdown();
            let all: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
            (all, killed_at)
        });
        node = Node::start(dir.path());
        let client = node.client();

        let is_old = |at: &Instant| *at + WINDOW <= killed_at;
        let (mut immutable, mut mutable) = (0, 0);
        let kept_before = kept.len();
        for Acknowledged { immutable: items, mutable: versions } in acknowledged {
            acknowledged_in_all += items.len() + versions.len();
            for (item, at) in items {
                if is_old(&at) {
                    immutable += 1;
                    kept.push(item);
                } else {
                    young += 1;
                    young_lost += usize::from(client.get(item.target()).unwrap().item.as_ref() != Some(&item));
                }
            }
            for (item, _) in versions.into_iter().filter(|(_, at)| is_old(at)) {
                mutable += 1;
                least.insert(item.target(), item);
            }
        }
        assert!(immutable > 0 && mutable > 0, "there was no load");
        // All of this round, and some of those before.
        let step = (kept_before / OLD).max(1);
        for item in kept[..kept_before].iter().step_by(step).chain(&kept[kept_before..]) {
            let got = client.get(item.target()).unwrap().item;
            assert_eq!(got.as_ref(), Some(item), "round {round}: lost, or changed");
        }
        for item in least.values() {
            let got = client.newest(*item.key(), item.salt(), None).unwrap().item;
            let got = got.unwrap_or_else(|| panic!("round {round}: {item:?} is lost"));
            assert!(got.seq() >= item.seq(), "round {round}: {} came back for {}", got.seq(), item.seq());
            let writer = (0..WRITERS).find(|writer| secret(*writer).public_key() == *got.key()).unwrap();
            assert_eq!(got, version(writer, got.salt()[0], got.seq()), "round {round}: changed");
        }
        println!("kill {}: {immutable} immutable items and {mutable} versions older than the window", round + 1);
        // What is acknowledged now must be newer than what the node holds.
        for (writer, next_seq) in (0..WRITERS).zip(&mut next_seqs) {
            *next_seq += i64::from(SALTS) + i64::from(writer);
        }
    }
    println!(
        "{kills} kills, {acknowledged_in_all} acknowledged, {} items must be there and are; of {young} immutable ones younger \
         than the window {young_lost} are lost",
        kept.len() + least.len()
    );
}
