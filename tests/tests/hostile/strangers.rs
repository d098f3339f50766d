//! Strangers, who send whatever can be sent.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::*;

/// Choices by chance, from a seed.
pub(super) struct Dice(Pcg32);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0.random()
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit.max(1))
    }

    pub(super) fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    pub(super) fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    pub(super) fn octets(&mut self, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        self.0.fill(&mut octets[..]);
        octets
    }

    pub(super) fn id(&mut self) -> Id {
        let mut id: Id = self.octets(20).try_into().unwrap();
        // Close to the node every now and then, so that deep buckets and long walks come up.
        for octet in id.iter_mut().take(self.below(24).min(20)) {
            *octet = 0;
        }
        id
    }
}

/// What was asked by the node, and is not answered yet.
pub(super) struct Asked {
    to: SocketAddr,
    transaction: Vec<u8>,
}

/// Strangers: they know every message there is, and what they were asked.
pub(super) struct Strangers {
    pub(super) dice: Dice,
    asked: Vec<Asked>,
    tokens: Vec<Vec<u8>>,
    /// Signing takes long: items are made once.
    items: Vec<Value>,
}

impl Strangers {
    pub(super) fn new(seed: u64) -> Self {
        let writer = Writer::new(1);
        let mut items = Vec::new();
        for salt in [&b""[..], b"salt"] {
            for seq in [0, 1, 2, i64::MAX] {
                for value in [b"1:a".to_vec(), string_of(1_000, b'x')] {
                    items.push(writer.item(salt, seq, &value));
                }
            }
        }
        Self { dice: Dice(Pcg32::seed_from_u64(seed)), asked: Vec::new(), tokens: vec![b"token".to_vec()], items }
    }

    pub(super) fn addr(&mut self) -> SocketAddr {
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

    pub(super) fn nodes(&mut self) -> Vec<u8> {
        let count = self.dice.below(20);
        let nodes: Vec<_> = (0..count).map(|_| (self.dice.id(), self.addr())).filter(|(_, at)| at.is_ipv4()).collect();
        compact_nodes(&nodes)
    }

    pub(super) fn item(&mut self) -> Value {
        if self.dice.one_in(3) {
            let len = [2, 3, 50, 600, 1_000, 1_001][self.dice.below(6)];
            return immutable(&string_of(len, b'a' + self.dice.below(20) as u8));
        }
        let item = self.dice.of(&self.items);
        if self.dice.one_in(4) { item.with("cas", self.dice.below(3) as i64) } else { item }
    }

    pub(super) fn query(&mut self) -> Value {
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
    pub(super) fn answer(&mut self) -> (SocketAddr, Value) {
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

    pub(super) fn datagram(&mut self) -> (SocketAddr, Vec<u8>) {
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

    pub(super) fn mutated(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
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
    pub(super) fn note(&mut self, to: SocketAddr, datagram: &[u8]) {
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
