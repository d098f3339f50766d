//! The node, the network around it, and the time. Everything that happens goes through here, is recorded and counted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{
    Config, DropReason, Event, ImmutableItem, Instant, Item, MAX_DATAGRAM, MutableItem, NodeId, PutResult, QueryError,
    QueryHandle, SecretKey, Storage, Target,
};
use bep44_tests::datagram::{Value, Writer};
use bep44_trace::{About, Outputs, Recorded, Write};

use crate::chance::Chance;
use crate::counts::Counts;
use crate::network::Network;

/// Where the trace is written.
#[derive(Debug, Default)]
struct Tape(Vec<u8>);

impl Write for Tape {
    type Error = Infallible;

    fn write(&mut self, octets: &[u8]) -> Result<(), Infallible> {
        self.0.extend(octets);
        Ok(())
    }
}

/// The node's own address, as others see it.
const SELF: ([u8; 4], u16) = ([61, 5, 5, 5], 6_881);

/// Where the time begins.
const START: Instant = Instant::from_secs(1_000);

pub struct Scene {
    node: Recorded<'static, Tape>,
    network: Network,
    now: Instant,
    /// Answers on their way, by the time of their arrival.
    underway: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    running: Vec<QueryHandle>,
    /// What our puts have stored: seeds and salts of keys, and the last sequence number.
    own: BTreeMap<(u8, Vec<u8>), i64>,
    published: Vec<Vec<u8>>,
    sent: u64,
    chance: Chance,
    counts: Counts,
}

impl Scene {
    pub fn new(storage: Storage<'static>, config: &Config) -> Self {
        let about = About { outputs: Outputs::Full, ..About::default() };
        let mut chance = Chance::new(7);
        Self {
            node: Recorded::start(storage, config, START, &about, Tape::default()),
            network: Network::new(&mut chance),
            now: START,
            underway: BTreeMap::new(),
            running: Vec::new(),
            own: BTreeMap::new(),
            published: Vec::new(),
            sent: 0,
            chance,
            counts: Counts::default(),
        }
    }

    /// What a node does that starts again: it takes back what it knew, and joins.
    pub fn begin(&mut self) {
        for (id, addr) in self.network.nodes().take(12).collect::<Vec<_>>() {
            self.input("restored");
            self.node.restore_contact(self.now, NodeId::new(id), addr);
        }
        let peer = SocketAddr::from(([62, 1, 1, 1], 5_000));
        for number in 0..4_u8 {
            self.input("restored");
            let hour = Duration::from_secs(3_600);
            self.node.restore_peer(self.now, Target::new([number; 20]), peer, number % 2 == 0, hour);
            let value = [b"5:valu".as_slice(), &[b'0' + number]].concat();
            let secret = SecretKey::from_seed([number + 1; 32]).expect("not zero");
            let item = MutableItem::sign(&secret, b"", 3, &value).expect("an item");
            self.node.restore_item(self.now, &Item::Mutable(item), hour).expect("it is signed");
        }
        for number in 0..3 {
            self.input("bootstrap");
            self.node.add_bootstrap(Network::place(number)).expect("an address");
        }
        // Two values with one number, both signed: in one walk both are seen.
        let writer = Writer::new(200);
        let [one, other] = [b"3:one", b"3:two"].map(|value| writer.found(b"", 9, value));
        self.network.equivocate(writer.target(b""), [&one, &other]);
    }

    /// Counts something that only the sender knows.
    pub fn note(&mut self, what: &str) {
        self.counts.count(what);
    }

    /// Something comes from outside.
    fn input(&mut self, what: &str) {
        self.counts.count("inputs");
        self.counts.count(what);
    }

    /// A stranger sends a datagram; returns the answer.
    pub fn hand(&mut self, from: SocketAddr, octets: &[u8], what: &str) -> Option<Value> {
        self.input(what);
        let over_budget = self.node.stats().over_budget;
        let mut buf = [0; MAX_DATAGRAM];
        let answer = self.node.handle_datagram(self.now, from, octets, &mut buf).map(|packet| packet.datagram.to_vec());
        self.counts.add("over budget", self.node.stats().over_budget - over_budget);
        let answer = Value::decode(&answer?).expect("an answer is canonical");
        match answer.get("e").and_then(Value::items) {
            Some(items) => self.counts.count(format!("answered: {}", items[0].int().expect("a code"))),
            None => {
                self.counts.count("answered: reply");
                let content = answer.get("r").expect("r");
                for (key, name) in [("v", "answered: value"), ("values", "answered: peers")] {
                    if content.get(key).is_some() {
                        self.counts.count(name);
                    }
                }
            }
        }
        Some(answer)
    }

    /// The application wants something.
    pub fn command(&mut self, chance: &mut Chance) {
        let now = self.now;
        let hash = Target::new([chance.below(6) as u8; 20]);
        let started = match chance.below(14) {
            0 => self.start("bootstrap", |node| node.bootstrap(now)),
            1 => self.start("find_node", |node| node.find_node(now, Target::new(chance.id()))),
            2 => self.start("get_peers", |node| node.get_peers(now, hash)),
            3 => self.start("announce", |node| node.announce(now, hash, (chance.below(2) == 0).then_some(7_000))),
            4 => self.start("ping", |node| node.ping(now, Network::some(chance))),
            5 | 6 => {
                let value = match self.published.as_slice() {
                    [] => b"0:".to_vec(),
                    known => chance.pick(known).clone(),
                };
                let target = ImmutableItem::new(&value).expect("it was put").target();
                self.start("get", |node| node.get(now, target))
            }
            7 => {
                let len = [1, 20, 300, 990][chance.below(4) as usize];
                let value = Value::Bytes(chance.octets(len)).encode();
                self.published.push(value.clone());
                let item = Item::Immutable(ImmutableItem::new(&value).expect("an item"));
                self.start("put", |node| node.put(now, &item, None))
            }
            8..11 => self.put_mutable(chance),
            11 | 12 => {
                let (seed, salt) = match self.own.len() {
                    0 => (200, Vec::new()),
                    len => match chance.below(len as u32 + 1) as usize {
                        at if at == len => (200, Vec::new()),
                        at => self.own.keys().nth(at).expect("one of them").clone(),
                    },
                };
                let key = SecretKey::from_seed([seed; 32]).expect("not zero").public_key();
                let newer_than = [None, Some(1)][chance.below(2) as usize];
                self.start("get_mutable", |node| node.get_mutable(now, &key, &salt, newer_than))
            }
            _ => {
                if let Some(query) = self.running.pop() {
                    self.input("cancelled");
                    self.node.cancel(query);
                }
                return;
            }
        };
        if let Ok(query) = started {
            self.running.push(query);
        }
    }

    fn put_mutable(&mut self, chance: &mut Chance) -> Result<QueryHandle, QueryError> {
        let now = self.now;
        let key = (100 + chance.below(4) as u8, [b"".as_slice(), b"salt"][chance.below(2) as usize].to_vec());
        let known = self.own.get(&key).copied();
        // Mostly the next number; sometimes an old one, which others refuse; sometimes under a condition, right or wrong.
        let seq = known.unwrap_or(0) + i64::from(chance.below(4) != 0);
        let cas = [None, None, known, Some(77)][chance.below(4) as usize];
        let secret = SecretKey::from_seed([key.0; 32]).expect("not zero");
        let value = Value::Bytes(chance.octets(40)).encode();
        let item = MutableItem::sign(&secret, &key.1, seq, &value).expect("an item");
        let started = self.start("put", |node| node.put(now, &Item::Mutable(item), cas));
        if started.is_ok() {
            self.own.insert(key, seq);
        }
        started
    }

    fn start(
        &mut self,
        what: &str,
        command: impl FnOnce(&mut Recorded<'static, Tape>) -> Result<QueryHandle, QueryError>,
    ) -> Result<QueryHandle, QueryError> {
        self.input(&format!("wanted: {what}"));
        command(&mut self.node)
    }

    /// Lets things happen for so many milliseconds.
    pub fn run_for(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            self.turn();
            let arrival = self.underway.keys().next().map(|(arrival, _)| *arrival);
            let deadline = self.node.poll_timeout();
            let next = [arrival, deadline].into_iter().flatten().min().filter(|next| *next <= end);
            self.now = next.unwrap_or(end).max(self.now);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let (_, (from, octets)) = self.underway.pop_first().expect("an answer");
                self.hand(from, &octets, "answers of others");
            } else {
                self.input("timeouts");
                self.node.handle_timeout(self.now);
            }
            if next.is_none() {
                self.turn();
                return;
            }
        }
    }

    /// Sends all that is due, and takes note of all that is told.
    fn turn(&mut self) {
        let mut buf = [0; MAX_DATAGRAM];
        loop {
            let packet =
                self.node.poll_transmit(self.now, &mut buf).map(|packet| (packet.to, packet.datagram.to_vec()));
            let Some((to, octets)) = packet else { break };
            self.send(to, &Value::decode(&octets).expect("a packet is canonical"));
        }
        while let Some(event) = self.node.poll_event() {
            let name = match event {
                Event::ItemStored(_) => "told: ItemStored",
                Event::ItemReplaced(_) => "told: ItemReplaced",
                Event::ItemRefreshed(_) => "told: ItemRefreshed",
                Event::ItemDropped { reason: DropReason::Expired, .. } => "told: ItemDropped, expired",
                Event::ItemDropped { .. } => "told: ItemDropped, evicted",
                Event::Answered { .. } => "told: Answered",
                Event::Found { item: Item::Immutable(_), .. } => "told: Found, immutable",
                Event::Found { .. } => "told: Found, mutable",
                Event::Equivocation { .. } => "told: Equivocation",
                Event::Peers { .. } => "told: Peers",
                Event::Put { result: PutResult::Accepted, .. } => "told: Put, accepted",
                Event::Put { result: PutResult::Refused(_), .. } => "told: Put, refused",
                Event::Put { result: PutResult::Silent, .. } => "told: Put, silent",
                Event::Put { result: PutResult::Skipped, .. } => "told: Put, skipped",
                Event::Ended { query, .. } => {
                    self.running.retain(|running| *running != query);
                    "told: Ended"
                }
                _ => "told: something new",
            };
            self.counts.count(name);
        }
    }

    fn send(&mut self, to: SocketAddr, query: &Value) {
        let method = query.get("q").and_then(Value::bytes).map(String::from_utf8_lossy).expect("a method");
        self.counts.count(format!("sent: {method}"));
        if query.get("a").is_some_and(|arguments| arguments.get("cas").is_some()) {
            self.counts.count("sent: put with cas");
        }
        if self.chance.below(60) == 0 {
            // The host learns that nobody is there.
            self.input("unreachable");
            self.node.handle_unreachable(self.now, to);
            return;
        }
        if let Some(answer) = self.network.ask(to, SELF.into(), query, &mut self.chance) {
            self.sent += 1;
            let arrival = self.now + Duration::from_millis(answer.delay);
            self.underway.insert((arrival, self.sent), (answer.from, answer.octets));
        }
    }

    /// Ends the recording: the trace, and what has happened in it.
    pub fn end(mut self) -> (Vec<u8>, Counts) {
        self.counts.add("virtual seconds", self.now.since(START).as_secs());
        let Tape(trace) = self.node.finish().expect("nothing fails in memory");
        self.counts.add("octets of trace", trace.len() as u64);
        (trace, self.counts)
    }
}
