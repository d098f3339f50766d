//! Two nodes and the wire between them, which does what the octets say.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{Capacity, Config, Instant, Item, MutableItem, PublicKey, QueryHandle, SecretKey, Target};

use crate::datagram::{Value, sha1};
use crate::fuzz::choices::Choices;
use crate::fuzz::signed::{SALTS, VALUES, immutable_value};
use crate::fuzz::watch::{Aim, Watch};
use crate::script::{Told, capacity, config, place};

/// Steps of one input.
const MOST: usize = 300;
/// Packets under way at most: beyond it, the wire loses them.
const WIRE: usize = 64;
/// How long a packet takes when nothing goes wrong any more.
const LATENCY: Duration = Duration::from_millis(20);
/// How long the two have to find each other again, after the wire has been mended.
const RECOVERY: Duration = Duration::from_secs(60 * 60);

struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    datagram: Vec<u8>,
    /// As it was sent.
    whole: bool,
}

struct Pair {
    ends: [(SocketAddr, Watch); 2],
    wire: VecDeque<Packet>,
    now: Instant,
}

/// Two nodes that know each other's address start queries, while packets between them are lost, doubled, swapped,
/// changed, and sent from addresses that are not theirs. What `watch.rs` checks holds for both; whole packets are never
/// malformed to the other. Then the wire is mended: all queries end, and what one puts the other finds.
///
/// # Panics
/// If a promise is broken.
pub fn pair(octets: &[u8]) {
    let mut choices = Choices::new(octets);
    let now = Instant::from_secs(1_000);
    let other = choices.of(&[Capacity::tiny(), capacity()]);
    let second = Config { seed: [8; 32], joins: choices.one_in(2), ..config() };
    let mut pair = Pair {
        ends: [
            (place(1), Watch::new(capacity(), Config { joins: true, ..config() }, now)),
            (place(2), Watch::new(other, second, now)),
        ],
        wire: VecDeque::new(),
        now,
    };
    for end in 0..2 {
        let there = pair.ends[1 - end].0;
        pair.ends[end].1.node.add_bootstrap(there).expect("room");
    }
    for _ in 0..MOST {
        if choices.is_over() {
            break;
        }
        pair.step(&mut choices);
    }
    pair.mend();
}

impl Pair {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..5 => drop(self.deliver()),
            5 => drop(self.wire.pop_front()),
            6 => {
                if let Some(Packet { from, to, datagram, whole }) = self.wire.front() {
                    let again = Packet { from: *from, to: *to, datagram: datagram.clone(), whole: *whole };
                    self.wire.push_back(again);
                }
            }
            7 => self.wire.rotate_left(usize::from(self.wire.len() > 1)),
            8 => {
                if let Some(packet) = self.wire.front_mut() {
                    let datagram = choices.mutated(packet.datagram.clone());
                    packet.whole &= datagram == packet.datagram;
                    packet.datagram = datagram;
                }
            }
            9 => {
                let from = choices.addr();
                if let Some(packet) = self.wire.front_mut() {
                    (packet.from, packet.whole) = (from, false);
                }
            }
            10 => self.pass(Duration::from_millis(choices.octet().into())),
            11 => {
                let deadline = self.ends.iter().filter_map(|(_, watch)| watch.node.poll_timeout()).min();
                self.pass(deadline.unwrap_or(self.now).since(self.now));
            }
            12 => self.pass(Duration::from_secs(10 * u64::from(choices.octet()))),
            _ => {
                let end = choices.below(2);
                self.command(end, choices);
                self.turn(end);
            }
        }
    }

    fn command(&mut self, end: usize, choices: &mut Choices<'_>) {
        let (now, node) = (self.now, &mut self.ends[end].1.node);
        let value = immutable_value(choices);
        let target = sha1(&value);
        let (aim, query) = match choices.below(6) {
            0 => {
                let item = bep44_core::ImmutableItem::new(&value).map(Item::Immutable).expect("an item");
                (Aim::Put, node.put(now, &item, None))
            }
            1 => (Aim::Get(target), node.get(now, Target::new(target))),
            2 => {
                let seq = i64::from(choices.octet() % 4);
                let cas = choices.of(&[None, None, Some(seq - 1)]);
                let item = signed(seq);
                (Aim::Put, node.put(now, &Item::Mutable(item), cas))
            }
            3 => {
                let target = *signed(0).target().as_bytes();
                (Aim::GetMutable(target, None), node.get_mutable(now, &key(), SALTS[1], None))
            }
            4 => (Aim::Peers, node.announce(now, Target::new(sha1(b"info")), Some(7))),
            _ => (Aim::Peers, node.get_peers(now, Target::new(sha1(b"info")))),
        };
        self.ends[end].1.started(aim, query);
    }

    /// Time passes for both.
    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for end in 0..2 {
            self.ends[end].1.timeout(self.now);
            self.turn(end);
        }
    }

    /// A driver's turn; what it sends is on the wire.
    fn turn(&mut self, end: usize) -> Vec<Told> {
        let (from, watch) = &mut self.ends[end];
        let mut told = Vec::new();
        while let Some((to, datagram)) = watch.transmit() {
            if self.wire.len() < WIRE {
                self.wire.push_back(Packet { from: *from, to, datagram, whole: true });
            }
        }
        while let Some(event) = watch.event() {
            told.push(event);
        }
        watch.turn();
        told
    }

    /// The first packet arrives.
    fn deliver(&mut self) -> Vec<Told> {
        let Some(Packet { from, to, datagram, whole }) = self.wire.pop_front() else { return Vec::new() };
        let Some(end) = self.ends.iter().position(|(at, _)| *at == to) else { return Vec::new() };
        let answer = self.ends[end].1.hand(from, &datagram);
        if let Some(answer) = answer {
            if whole {
                check_refusal(&datagram, &answer);
            }
            self.wire.push_back(Packet { from: to, to: from, datagram: answer.encode(), whole });
        }
        self.turn(end)
    }

    /// Nothing goes wrong any more.
    fn mend(&mut self) {
        self.run(RECOVERY);
        for (_, watch) in &self.ends {
            assert!(watch.running().is_empty(), "a query does not end");
        }
        let newest = self.ends.iter().flat_map(|(_, watch)| watch.kept().values().filter_map(|kept| kept.seq())).max();
        let seq = newest.map_or(0, |seq| seq + 1);
        let now = self.now;
        let item = signed(seq);
        let put = self.ends[0].1.node.put(now, &Item::Mutable(item), None);
        let put = self.ends[0].1.started(Aim::Put, put).expect("a put starts");
        let told = self.run(Duration::from_secs(60));
        let accepted =
            |event: &Told| matches!(event, Told::Ended(query, outcome) if *query == put && outcome.accepted > 0);
        assert!(told.iter().any(accepted), "the other accepts what one puts");
        let get = self.ends[1].1.node.get_mutable(self.now, &key(), SALTS[1], None);
        let aim = Aim::GetMutable(*item.target().as_bytes(), None);
        let get: QueryHandle = self.ends[1].1.started(aim, get).expect("a get starts");
        let told = self.run(Duration::from_secs(60));
        let found =
            |event: &Told| matches!(event, Told::Found(query, kept) if *query == get && kept.seq() == Some(seq));
        assert!(told.iter().any(found), "what one puts the other finds");
    }

    /// Packets arrive, and time passes.
    fn run(&mut self, duration: Duration) -> Vec<Told> {
        let end = self.now + duration;
        let mut told = [0, 1].map(|end| self.turn(end)).concat();
        let mut steps = 0;
        while self.now < end {
            steps += 1;
            assert!(steps < 100_000, "the nodes never sleep");
            if self.wire.is_empty() {
                let deadline = self.ends.iter().filter_map(|(_, watch)| watch.node.poll_timeout()).min();
                self.now = deadline.map_or(end, |deadline| deadline.max(self.now).min(end));
            } else {
                self.now = self.now + LATENCY;
                for _ in 0..self.wire.len() {
                    for (_, watch) in &mut self.ends {
                        watch.timeout(self.now);
                    }
                    told.extend(self.deliver());
                }
            }
            for end in 0..2 {
                self.ends[end].1.timeout(self.now);
                told.extend(self.turn(end));
            }
        }
        told
    }
}

/// What a node sends, another does not find malformed: it refuses only what it must.
fn check_refusal(question: &[u8], answer: &Value) {
    let Some(code) = answer.get("e").and_then(|error| error.items()?[0].int()) else { return };
    let question = Value::decode(question).expect("canonical");
    let method = question.get("q").and_then(Value::bytes).expect("a method");
    let may = match method {
        b"put" => [203, 301, 302].contains(&code),
        b"announce_peer" => code == 203,
        _ => false,
    };
    assert!(may, "{question:?} is refused with {code}");
}

fn secret() -> SecretKey {
    SecretKey::from_seed([1; 32]).expect("a seed")
}

fn key() -> PublicKey {
    secret().public_key()
}

fn signed(seq: i64) -> MutableItem<'static> {
    MutableItem::sign(&secret(), SALTS[1], seq, &VALUES[1]).expect("an item")
}
