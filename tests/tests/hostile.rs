//! What strangers and clumsy hosts may do to a node: any octets, any mutation of good messages, any order of calls, any
//! size of memory. Nothing of it may panic, exceed what memory there is, or keep the node from answering; and two nodes to
//! which the same is done do the same.

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

/// Random numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn id(&mut self) -> Id {
        let mut id: Id = self.octets(20).try_into().unwrap();
        // Close to the node every now and then, so that deep buckets and long walks come up.
        for octet in id.iter_mut().take(self.below(24).min(20)) {
            *octet = 0;
        }
        id
    }
}

/// What was asked by the node, and is not answered yet.
struct Asked {
    to: SocketAddr,
    transaction: Vec<u8>,
}

/// Strangers: they know every message there is, and what they were asked.
struct Strangers {
    dice: Dice,
    asked: Vec<Asked>,
    tokens: Vec<Vec<u8>>,
    /// Signing takes long: items are made once.
    items: Vec<Value>,
}

impl Strangers {
    fn new(seed: u64) -> Self {
        let writer = Writer::new(1);
        let mut items = Vec::new();
        for salt in [&b""[..], b"salt"] {
            for seq in [0, 1, 2, i64::MAX] {
                for value in [b"1:a".to_vec(), string_of(1_000, b'x')] {
                    items.push(writer.item(salt, seq, &value));
                }
            }
        }
        Self { dice: Dice(seed), asked: Vec::new(), tokens: vec![b"token".to_vec()], items }
    }

    fn addr(&mut self) -> SocketAddr {
        if !self.asked.is_empty() && self.dice.one_in(2) {
            let at = self.dice.below(self.asked.len());
            return self.asked[at].to;
        }
        let [a, b] = [self.dice.below(4) as u8, self.dice.below(256) as u8];
        let port = 1_000 + self.dice.below(4) as u16;
        match self.dice.below(40) {
            0 => addr("0.0.0.0:0"),
            1 => addr("127.0.0.1:5"),
            2 => addr("255.255.255.255:5"),
            3..8 => SocketAddr::new(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, a.into(), 0, 0, 0, 0, b.into())), port),
            _ => SocketAddr::new(IpAddr::from([60, a, 0, b]), port),
        }
    }

    fn nodes(&mut self) -> Vec<u8> {
        let count = self.dice.below(20);
        let nodes: Vec<_> = (0..count).map(|_| (self.dice.id(), self.addr())).filter(|(_, at)| at.is_ipv4()).collect();
        compact_nodes(&nodes)
    }

    fn item(&mut self) -> Value {
        if self.dice.one_in(3) {
            let len = [2, 3, 50, 600, 1_000, 1_001][self.dice.below(6)];
            return immutable(&string_of(len, b'a' + self.dice.below(20) as u8));
        }
        let item = self.dice.of(&self.items);
        if self.dice.one_in(4) { item.with("cas", self.dice.below(3) as i64) } else { item }
    }

    fn query(&mut self) -> Value {
        let target = match self.dice.below(4) {
            0 => target_of(&self.item()),
            1 => sha1(b"info"),
            _ => self.dice.id(),
        };
        let token = self.dice.of(&self.tokens);
        let (method, arguments) = match self.dice.below(8) {
            0 => ("ping", dict()),
            1 => ("find_node", dict().with("target", target)),
            2 => ("get_peers", dict().with("info_hash", target)),
            3 => {
                let port = dict().with("info_hash", target).with("port", self.dice.below(70_000) as i64);
                ("announce_peer", port.with("token", token).with("implied_port", self.dice.below(2) as i64))
            }
            4 => ("get", dict().with("target", target)),
            5 => ("get", dict().with("target", target).with("seq", self.dice.below(4) as i64)),
            6 => ("vote", dict().with("target", target)),
            _ => ("put", self.item().with("token", token)),
        };
        let arguments = arguments.with("want", list(vec!["n4".into(), "n6".into()]));
        let arguments = if self.dice.one_in(2) { arguments.without("want") } else { arguments };
        let id = self.dice.id();
        let message = query(method, arguments.clone()).with("a", arguments.with("id", id));
        if self.dice.one_in(8) { message.with("ro", 1) } else { message }
    }

    /// An answer: to something that was asked, if there is something.
    fn answer(&mut self) -> (SocketAddr, Value) {
        let (to, transaction) = match self.asked.len() {
            0 => (self.addr(), self.dice.octets(4)),
            len => {
                let at = self.dice.below(len);
                let asked = if self.dice.one_in(2) {
                    self.asked.swap_remove(at)
                } else {
                    let Asked { to, transaction } = &self.asked[at];
                    Asked { to: *to, transaction: transaction.clone() }
                };
                (asked.to, asked.transaction)
            }
        };
        if self.dice.one_in(6) {
            let code = self.dice.of(&[201, 202, 203, 204, 205, 206, 207, 301, 302, 0, -1, i64::MIN]);
            return (to, error(&transaction, code, "no"));
        }
        let mut content = if self.dice.one_in(2) { self.item().without("salt").without("cas") } else { dict() };
        for (key, chance) in [("nodes", 2), ("token", 2), ("values", 4), ("nodes6", 9)] {
            if self.dice.one_in(chance) {
                let value = match key {
                    "nodes" => self.nodes().into(),
                    "token" => {
                        let len = self.dice.below(40);
                        self.dice.octets(len).into()
                    }
                    "values" => list((0..self.dice.below(60)).map(|_| self.dice.octets(6).into()).collect()),
                    _ => {
                        let len = self.dice.below(200);
                        self.dice.octets(len).into()
                    }
                };
                content = content.with(key, value);
            }
        }
        for key in ["k", "seq", "sig", "v"] {
            if self.dice.one_in(12) {
                content = content.without(key);
            }
        }
        // One id for each address, mostly.
        let id = if self.dice.one_in(10) { self.dice.id() } else { sha1(to.to_string().as_bytes()) };
        (to, reply(&transaction, id, content))
    }

    fn datagram(&mut self) -> (SocketAddr, Vec<u8>) {
        let (from, octets) = match self.dice.below(8) {
            0 => {
                let len = self.dice.below(200);
                (self.addr(), self.dice.octets(len))
            }
            1..4 => {
                let (from, answer) = self.answer();
                (from, answer.encode())
            }
            _ => (self.addr(), self.query().encode()),
        };
        if self.dice.one_in(3) { (from, octets) } else { (from, self.mutated(octets)) }
    }

    fn mutated(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.dice.below(3) {
            let len = octets.len();
            let (one, other) = (self.dice.below(len + 1), self.dice.below(len + 1));
            let (from, to) = (one.min(other), one.max(other));
            match self.dice.below(8) {
                0 => octets.truncate(from),
                1 => drop(octets.drain(from..to)),
                2 => {
                    let part = octets[from..to].to_vec();
                    octets.splice(from..from, part);
                }
                3 => {
                    let other = self.query().encode();
                    octets.splice(from..to, other);
                }
                4 => {
                    let inserted = self.dice.of(&[&b"e"[..], b"d", b"l", b"i", b":", b"0", b"9", b"1:", b"ie", b"-"]);
                    octets.splice(from..from, inserted.iter().copied());
                }
                5 if len > 0 => {
                    // Numbers are where parsers break.
                    let digits: Vec<usize> = (0..len).filter(|at| octets[*at].is_ascii_digit()).collect();
                    if !digits.is_empty() {
                        let at = self.dice.of(&digits);
                        octets[at] = b'0' + self.dice.below(10) as u8;
                    }
                }
                _ if len > 0 => octets[from.min(len - 1)] ^= 1 << self.dice.below(8),
                _ => {}
            }
            octets.truncate(4_000);
        }
        octets
    }

    /// Remembers what the node has asked, and the tokens that it has given.
    fn note(&mut self, to: SocketAddr, datagram: &[u8]) {
        let message = Value::decode(datagram).expect("what the node sends is canonical");
        let transaction = message.get("t").and_then(Value::bytes).unwrap().to_vec();
        if message.get("y") == Some(&"q".into()) {
            self.asked.push(Asked { to, transaction });
            if self.asked.len() > 200 {
                self.asked.remove(0);
            }
        } else if let Some(token) = message.get("r").and_then(|reply| reply.get("token")?.bytes()) {
            self.tokens.push(token.to_vec());
            if self.tokens.len() > 50 {
                self.tokens.remove(0);
            }
        }
    }
}

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

// --- any order of calls ---

/// One call of a clumsy host.
#[derive(Debug, Clone)]
enum Call {
    Datagram(SocketAddr, Vec<u8>, usize),
    Timeout,
    Unreachable(SocketAddr),
    Command(usize, Id),
    PutMutable(i64, Option<i64>),
    Ping(SocketAddr),
    Cancel(usize),
    Bootstrap(SocketAddr),
    Restore(u8, u64),
    HonestPut(SocketAddr, Value),
    Transmit(usize),
    Event,
    Look,
}

/// What came of it: all that a host can see.
type Seen = (Option<(SocketAddr, Vec<u8>)>, Option<Told>, String);

fn call(node: &mut Node<'_>, now: Instant, call: &Call, handles: &mut Vec<QueryHandle>) -> Seen {
    let mut buf = [0; 2_000];
    let mut text = String::new();
    let mut packet = None;
    let mut told = None;
    match call {
        Call::Datagram(from, datagram, room) => {
            let answer = node.handle_datagram(now, *from, datagram, &mut buf[..*room]);
            packet = answer.map(|answer| (answer.to, answer.datagram.to_vec()));
        }
        Call::Timeout => node.handle_timeout(now),
        Call::Unreachable(to) => node.handle_unreachable(now, *to),
        Call::Command(which, target) => handles.extend(command(node, now, *which, *target)),
        Call::PutMutable(seq, cas) => {
            let secret = SecretKey::from_seed([1; 32]).unwrap();
            let item = MutableItem::sign(&secret, b"salt", *seq, b"1:a").map(Item::Mutable).unwrap();
            handles.extend(node.put(now, &item, *cas));
        }
        Call::Ping(to) => handles.extend(node.ping(now, *to)),
        Call::Cancel(which) => {
            if let Some(handle) = handles.get(*which) {
                node.cancel(*handle);
            }
        }
        Call::Bootstrap(at) => text = format!("{:?}", node.add_bootstrap(*at)),
        Call::Restore(number, seconds) => {
            let value = Value::Int((*number).into()).encode();
            let item = Item::Immutable(ImmutableItem::new(&value).unwrap());
            text = format!("{:?}", node.restore_item(now, &item, Duration::from_secs(*seconds)));
        }
        Call::HonestPut(from, item) => packet = honest_put(node, now, *from, item).map(|answer| (*from, answer)),
        Call::Transmit(room) => {
            let sent = node.poll_transmit(now, &mut buf[..*room]);
            packet = sent.map(|sent| (sent.to, sent.datagram.to_vec()));
        }
        Call::Event => told = node.poll_event().map(Told::from),
        Call::Look => {
            text = format!(
                "{:?} {:?} {:?} {:?} {:?} {:?}",
                node.stats(),
                node.poll_timeout(),
                node.round_trip(),
                node.contacts().collect::<Vec<_>>(),
                node.items().map(|stored| Kept::from(&stored)).collect::<Vec<_>>(),
                node.peers().collect::<Vec<_>>(),
            );
        }
    }
    if handles.len() > 64 {
        handles.remove(0);
    }
    (packet, told, text)
}

fn any_call(strangers: &mut Strangers) -> Call {
    let room = match strangers.dice.below(6) {
        0 => strangers.dice.below(200),
        1 => strangers.dice.below(2_000),
        _ => MAX_DATAGRAM,
    };
    match strangers.dice.below(24) {
        0..8 => {
            let (from, datagram) = strangers.datagram();
            Call::Datagram(from, datagram, room)
        }
        8 => Call::Timeout,
        9 => Call::Unreachable(strangers.addr()),
        10 | 11 => Call::Command(strangers.dice.below(8), strangers.dice.id()),
        12 => {
            let cas = strangers.dice.one_in(2).then_some(1);
            // Signing and verifying take long.
            match strangers.dice.below(8) {
                0 => Call::PutMutable(2, cas),
                1 => Call::HonestPut(strangers.addr(), strangers.item()),
                _ => Call::HonestPut(strangers.addr(), immutable(&string_of(20, strangers.dice.below(256) as u8))),
            }
        }
        13 => Call::Ping(strangers.addr()),
        14 => Call::Cancel(strangers.dice.below(64)),
        15 => Call::Bootstrap(strangers.addr()),
        16 => Call::Restore(strangers.dice.below(256) as u8, strangers.dice.next() % 10_000),
        17..21 => Call::Transmit(room),
        21 | 22 => Call::Event,
        _ => Call::Look,
    }
}

/// Does the same to both nodes; whatever one does, the other must do.
fn same_calls(one: &mut Node<'_>, two: &mut Node<'_>, limits: &Capacity, seed: u64, calls: usize) {
    let mut strangers = Strangers::new(seed);
    let (mut handles, mut others) = (Vec::new(), Vec::new());
    let mut now = Instant::from_secs(1_000);
    for count in 0..calls {
        match strangers.dice.below(20) {
            0..10 => now = now + Duration::from_micros(strangers.dice.next() % 50_000),
            10 => now = Instant::from_micros(now.as_micros().saturating_sub(strangers.dice.next() % 10_000_000)),
            11 if strangers.dice.one_in(40) => now = now + Duration::from_secs(strangers.dice.next() % 10_000),
            12 => now = one.poll_timeout().unwrap_or(now).max(now),
            _ => {}
        }
        let next = any_call(&mut strangers);
        let seen = call(one, now, &next, &mut handles);
        let also = call(two, now, &next, &mut others);
        assert_eq!(seen, also, "call number {count} of seed {seed}: {next:?}");
        if let Some((to, packet)) = &seen.0 {
            strangers.note(*to, packet);
        }
        if count % 64 == 0 {
            limits_are_kept(one, limits);
        }
    }
}

fn any_calls(limits: &Capacity, config: &Config, seed: u64) {
    let calls = if cfg!(debug_assertions) { 1_500 } else { 20_000 };
    let mut one = Node::new(Storage::boxed(limits), config, Instant::ZERO);
    let mut two = Node::new(Storage::boxed(limits), config, Instant::ZERO);
    same_calls(&mut one, &mut two, limits, seed, calls);
}

#[test]
fn any_order_of_calls_is_harmless_and_repeatable() {
    let none = Capacity { contacts: 0, contacts6: 0, transactions: 0, queries: 0, items: 0, values: 0, peers: 0 };
    let one = Capacity { contacts: 1, contacts6: 1, transactions: 1, queries: 1, items: 1, values: 1_200, peers: 1 };
    for (seed, limits) in [
        capacity(),
        Capacity::tiny(),
        none,
        one,
        Capacity { values: 5, ..one },
        Capacity { contacts6: 0, transactions: 3, ..capacity() },
        Capacity { contacts: 0, ..capacity() },
        Capacity { queries: 0, ..capacity() },
        Capacity { transactions: 0, ..capacity() },
        Capacity { items: 0, ..capacity() },
        Capacity { values: 0, ..capacity() },
        Capacity { contacts: 0, contacts6: 0, ..capacity() },
    ]
    .into_iter()
    .enumerate()
    {
        any_calls(&limits, &config(), seed as u64);
        any_calls(&limits, &Config::new([9; 32]), 100 + seed as u64);
    }
}

#[test]
fn any_order_of_calls_is_harmless_whatever_the_settings() {
    let nothing = Duration::ZERO;
    for (seed, config) in [
        Config { read_only: true, ..config() },
        Config { item_lifetime: nothing, peer_lifetime: nothing, ..config() },
        Config { item_lifetime: Duration::MAX, peer_lifetime: Duration::MAX, ..config() },
        Config { queries: Rate { per_second: 1, burst: 0 }, ..config() },
        Config { queries: Rate { per_second: u32::MAX, burst: u32::MAX }, ..config() },
        Config { verifications: Rate { per_second: 1, burst: 1 }, report_items: false, ..config() },
        Config { version: None, superfluous_target: false, id: Some(NodeId::new([0xff; 20])), ..config() },
    ]
    .into_iter()
    .enumerate()
    {
        any_calls(&capacity(), &config, 200 + seed as u64);
    }
}

#[test]
fn lent_and_boxed_memory_make_no_difference_nor_does_what_was_in_it() {
    let micro = Capacity { contacts: 16, contacts6: 0, transactions: 8, queries: 1, items: 2, values: 2_304, peers: 0 };
    let config = Config { id: Some(NodeId::ZERO), ..config() };
    let mut memory = Box::new(MicroMemory::new());
    for seed in 300..306 {
        // The second time, the lent memory is full of what the node before it left there.
        let mut lent = Node::new(&mut *memory, &config, Instant::ZERO);
        let mut boxed = Node::new(Storage::boxed(&micro), &config, Instant::ZERO);
        same_calls(&mut lent, &mut boxed, &micro, seed, if cfg!(debug_assertions) { 800 } else { 20_000 });
    }
    // And with tables of one.
    let mut memory = Box::new(Memory::<1, 1, 1, 1, 1, 1_200, 1>::new());
    let one = Capacity { contacts: 1, contacts6: 1, transactions: 1, queries: 1, items: 1, values: 1_200, peers: 1 };
    for seed in 310..313 {
        let mut lent = Node::new(&mut *memory, &config, Instant::ZERO);
        let mut boxed = Node::new(Storage::boxed(&one), &config, Instant::ZERO);
        same_calls(&mut lent, &mut boxed, &one, seed, if cfg!(debug_assertions) { 800 } else { 20_000 });
    }
}

#[test]
fn another_seed_gives_other_secrets() {
    let mut tokens = Vec::new();
    for seed in 0..8 {
        let mut script = Script::with(&capacity(), &Config { seed: [seed; 32], ..config() });
        tokens.push((*script.node.id().as_bytes(), script.token(addr("203.0.113.5:5"), [1; 20])));
    }
    tokens.sort();
    tokens.dedup_by(|a, b| a.0 == b.0 || a.1 == b.1);
    assert_eq!(tokens.len(), 8);
}

// --- the store against a model ---

/// A version of a mutable item, as the model keeps it.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    arguments: Value,
    seq: i64,
    value: usize,
    expires: Instant,
}

#[derive(Debug, Default)]
struct Model {
    immutable: BTreeMap<Id, (usize, Instant)>,
    mutable: BTreeMap<Id, Version>,
}

const VALUES: [&[u8]; 3] = [b"1:a", b"d1:ai1ee", b"li-5ee"];
const SALTS: [&[u8]; 2] = [b"", b"salt"];
const LIFE: Duration = Duration::from_secs(2 * 60 * 60);

impl Model {
    fn expire(&mut self, now: Instant) {
        self.immutable.retain(|_, (_, expires)| *expires > now);
        self.mutable.retain(|_, version| version.expires > now);
    }

    fn put(
        &mut self,
        now: Instant,
        (arguments, good): (&Value, bool),
        (seq, value, cas): (i64, usize, Option<i64>),
    ) -> Result<(), i64> {
        let expires = now + LIFE;
        let target = target_of(arguments);
        if let Some(stored) = self.mutable.get_mut(&target) {
            if cas.is_some_and(|cas| cas != stored.seq) {
                return Err(301);
            }
            if seq < stored.seq || (seq == stored.seq && value != stored.value) {
                return Err(302);
            }
            if !good {
                return Err(206);
            }
            if seq == stored.seq {
                stored.expires = expires;
                return Ok(());
            }
        }
        if !good {
            return Err(206);
        }
        let arguments = arguments.clone().without("cas");
        self.mutable.insert(target, Version { arguments, seq, value, expires });
        Ok(())
    }
}

/// Signing takes long; each version is signed once, in two ways.
struct Signed(BTreeMap<(u8, usize, i64, usize, u8), Value>);

impl Signed {
    /// `how`: 0 and 1 are two good signatures, 2 is a forged one.
    fn item(&mut self, writer: u8, salt: usize, seq: i64, value: usize, how: u8) -> Value {
        let make = || {
            let signer = Writer::new(writer);
            let item = signer.item(SALTS[salt], seq, VALUES[value]);
            let signed = Writer::signed(SALTS[salt], seq, VALUES[value]);
            match how {
                0 => item,
                1 => item.with("sig", signer.sign_again(&signed, 7)),
                _ => item.with("sig", signer.sign(&[&signed[..], b"x"].concat())),
            }
        };
        self.0.entry((writer, salt, seq, value, how)).or_insert_with(make).clone()
    }
}

fn the_node_does_what_the_model_does(steps: &[(u8, u8, u8, u8)], signed: &mut Signed) {
    let addrs = ["203.0.113.5:5", "203.0.113.6:5", "198.51.100.7:7", "[2001:db8::1]:5"].map(addr);
    let mut script = Script::new();
    let mut model = Model::default();
    for (kind, which, number, extra) in steps {
        let from = addrs[usize::from(extra >> 6)];
        let value = usize::from(number % 3);
        let token_for = |script: &mut Script<'_>, target: Id| match extra % 8 {
            // Somebody else's token, one for something else, and one that is no longer good.
            0 => (script.token(addrs[usize::from(extra >> 6) ^ 1], target), false),
            1 => (script.token(from, [9; 20]), false),
            _ => (script.token(from, target), true),
        };
        match kind % 8 {
            0 | 1 => {
                let item = immutable(VALUES[value]);
                let (token, good) = token_for(&mut script, target_of(&item));
                let result = script.content(from, &query("put", item.clone().with("token", token))).map(drop);
                assert_eq!(result, if good { Ok(()) } else { Err(203) });
                if good {
                    model.immutable.insert(target_of(&item), (value, script.now + LIFE));
                }
            }
            2 => {
                script.wait(Duration::from_secs(60 * u64::from(which % 50)));
                model.expire(script.now);
            }
            _ => {
                let (writer, salt) = (1 + (which & 1), usize::from((which >> 1) & 1));
                let (seq, how) = (i64::from((number / 3) % 4), [0, 0, 0, 1, 2][usize::from(which >> 2) % 5]);
                let cas = [None, None, None, Some(0), Some(1), Some(2)][usize::from(extra >> 3) % 6];
                let item = signed.item(writer, salt, seq, value, how);
                let item = cas.map_or(item.clone(), |cas| item.with("cas", cas));
                let (token, good) = token_for(&mut script, target_of(&item));
                let result = script.content(from, &query("put", item.clone().with("token", token))).map(drop);
                let expected =
                    if good { model.put(script.now, (&item, how != 2), (seq, value, cas)) } else { Err(203) };
                assert_eq!(result, expected, "{item:?}");
            }
        }
        // Everything is as in the model, for whoever asks.
        let bare = |reply: Value| reply.without("id").without("token").without("nodes").without("nodes6");
        for value in VALUES {
            let found = bare(script.get(from, sha1(value)));
            let expected = model.immutable.get(&sha1(value)).map(|_| immutable(value));
            assert_eq!(found.encode(), expected.unwrap_or(dict()).encode());
        }
        for writer in [1, 2] {
            for salt in SALTS {
                let target = Writer::new(writer).target(salt);
                let found = bare(script.get(from, target));
                let expected = model.mutable.get(&target).map(|version| version.arguments.clone().without("salt"));
                assert_eq!(found.encode(), expected.unwrap_or(dict()).encode());
            }
        }
        let expiries: BTreeMap<Id, Instant> = script.kept().iter().map(|kept| (kept.target, kept.expires)).collect();
        let immutable = model.immutable.iter().map(|(target, (_, expires))| (*target, *expires));
        let mutable = model.mutable.iter().map(|(target, version)| (*target, version.expires));
        assert_eq!(expiries, immutable.chain(mutable).collect());
    }
}

#[test]
fn a_node_stores_what_a_simple_model_stores() {
    fn property(steps: Vec<(u8, u8, u8, u8)>) -> TestResult {
        thread_local! {
            static SIGNED: std::cell::RefCell<Signed> = const { std::cell::RefCell::new(Signed(BTreeMap::new())) };
        }
        SIGNED.with_borrow_mut(|signed| the_node_does_what_the_model_does(&steps, signed));
        TestResult::passed()
    }
    let tests = if cfg!(debug_assertions) { 25 } else { 400 };
    QuickCheck::new().tests(tests).quickcheck(property as fn(Vec<(u8, u8, u8, u8)>) -> TestResult);
}
