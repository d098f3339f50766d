//! Those who ask the node: most of them as they should, some not.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bep44_tests::datagram::{Id, Value, Writer, dict, immutable, list, query, raw, string_of};
use bep44_tests::script::target_of;

use crate::chance::Chance;
use crate::scene::Scene;

/// Networks that strangers come from.
const NETWORKS: u32 = 40;

/// An item that a stranger has put: who can put it again, and what it was.
#[derive(Debug, Clone)]
struct Known {
    seed: u8,
    salt: Vec<u8>,
    seq: i64,
    value: Vec<u8>,
}

/// What they know.
#[derive(Debug)]
pub struct Strangers {
    items: Vec<Known>,
    values: Vec<Vec<u8>>,
    /// A write token for each address and target. They are never renewed unless one was refused: some are too old.
    tokens: BTreeMap<(SocketAddr, Id), Vec<u8>>,
}

impl Strangers {
    pub const fn new() -> Self {
        Self { items: Vec::new(), values: Vec::new(), tokens: BTreeMap::new() }
    }

    fn addr(chance: &mut Chance) -> SocketAddr {
        match chance.below(NETWORKS) {
            // Over IPv6 for once.
            0 => SocketAddr::from(([0x2a01, 2, 3, 4, 5, 6, 7, 8], 6_900)),
            network => SocketAddr::from(([70, 1, network as u8, chance.below(3) as u8 + 1], 6_900)),
        }
    }

    /// One of them asks something.
    pub fn act(&mut self, scene: &mut Scene, chance: &mut Chance) {
        let from = Self::addr(chance);
        match chance.below(30) {
            0 => self.ask(scene, from, "ping", dict()),
            1 => {
                let want = list(vec!["n4".into(), "n6".into()]);
                self.ask(scene, from, "find_node", dict().with("target", chance.id()).with("want", want))
            }
            2 => self.ask(scene, from, "find_node", dict().with("target", chance.id())),
            3 | 4 => self.ask(scene, from, "get_peers", dict().with("info_hash", [chance.below(6) as u8; 20])),
            5 | 6 => self.announce(scene, from, chance),
            7..10 => self.get(scene, from, chance),
            10 => self.malformed(scene, from, chance),
            11 if chance.below(8) == 0 => (0..60).for_each(|_| self.ask(scene, from, "ping", dict())),
            11 => self.ask(scene, from, "vote", dict().with("target", chance.id())),
            12..16 => self.put_immutable(scene, from, chance),
            16 if chance.below(4) == 0 => (0..8).for_each(|_| self.put_mutable(scene, from, chance, 7)),
            _ => {
                let variant = chance.below(12);
                self.put_mutable(scene, from, chance, variant);
            }
        }
    }

    fn ask(&mut self, scene: &mut Scene, from: SocketAddr, method: &str, arguments: Value) {
        // Counts as what it is called, whether it is right or not.
        scene.hand(from, &query(method, arguments).encode(), &format!("asked: {method}"));
    }

    fn token(&mut self, scene: &mut Scene, from: SocketAddr, target: Id) -> Vec<u8> {
        if let Some(token) = self.tokens.get(&(from, target)) {
            return token.clone();
        }
        let answer = scene.hand(from, &query("get", dict().with("target", target)).encode(), "asked: get");
        let token = answer.as_ref().and_then(|answer| answer.get("r")?.get("token")?.bytes());
        // Who is over the budget gets none, and tries with a wrong one.
        let token = token.unwrap_or(b"none").to_vec();
        self.tokens.insert((from, target), token.clone());
        token
    }

    fn put(&mut self, scene: &mut Scene, from: SocketAddr, arguments: Value, forged_token: bool) {
        let target = target_of(&arguments);
        let token = if forged_token { b"12345678".to_vec() } else { self.token(scene, from, target) };
        let answer = scene.hand(from, &query("put", arguments.with("token", token)).encode(), "asked: put");
        if answer.is_some_and(|answer| answer.get("e").is_some()) {
            self.tokens.remove(&(from, target));
        }
    }

    fn put_immutable(&mut self, scene: &mut Scene, from: SocketAddr, chance: &mut Chance) {
        let value = match chance.below(6) {
            0 => string_of(1_005 + chance.below(200) as usize, b'x'),
            // A number with a zero before it, and a dictionary in the wrong order.
            1 => [b"i042e".as_slice(), b"d1:b0:1:a0:e"][chance.below(2) as usize].to_vec(),
            2 if !self.values.is_empty() => chance.pick(&self.values).clone(),
            3 => list(vec![Value::Int(chance.below(1_000).into()), dict().with("k", "v")]).encode(),
            _ => string_of([10, 100, 400, 1_000][chance.below(4) as usize], b'a' + chance.below(26) as u8),
        };
        self.values.push(value.clone());
        self.put(scene, from, immutable(&value), chance.below(8) == 0);
    }

    fn put_mutable(&mut self, scene: &mut Scene, from: SocketAddr, chance: &mut Chance, variant: u32) {
        let fresh = Known {
            seed: 1 + chance.below(6) as u8,
            salt: [Vec::new(), b"salt".to_vec(), vec![b's'; 64]][chance.below(3) as usize].clone(),
            seq: 1,
            value: string_of([8, 60, 500, 1_000][chance.below(4) as usize], b'A' + chance.below(26) as u8),
        };
        // Mostly one of the last few: older ones are gone.
        let known = match self.items.len() {
            0 => fresh.clone(),
            len => self.items[len - 1 - chance.below(len.min(3) as u32) as usize].clone(),
        };
        let next = Known { seq: known.seq + 1, value: fresh.value.clone(), ..known.clone() };
        let signed = |item: &Known| Writer::new(item.seed).item(&item.salt, item.seq, &item.value);
        let (put, arguments) = match variant {
            0..3 => (Some(fresh.clone()), signed(&fresh)),
            3 => (None, signed(&known)),
            4 => {
                let octets = Writer::signed(&known.salt, known.seq, &known.value);
                let again = Writer::new(known.seed).sign_again(&octets, chance.below(200) as u8);
                (None, signed(&known).with("sig", again))
            }
            5 => (None, signed(&Known { value: fresh.value, ..known })),
            6 => (None, signed(&Known { seq: known.seq - 1, ..known })),
            7 => {
                scene.note("forged signature");
                (None, signed(&next).with("sig", chance.octets(64)))
            }
            8 => (Some(next.clone()), signed(&next).with("cas", known.seq)),
            9 => (None, signed(&next).with("cas", known.seq + 5)),
            10 if chance.below(2) == 0 => (None, signed(&Known { salt: vec![b's'; 65], ..next })),
            10 => (None, signed(&Known { value: string_of(1_001, b'y'), ..next })),
            _ => (Some(next.clone()), signed(&next)),
        };
        let forged_token = chance.below(12) == 0;
        if forged_token {
            scene.note("forged token");
        } else if let Some(put) = put {
            self.items.push(put);
        }
        self.put(scene, from, arguments, forged_token);
    }

    fn get(&mut self, scene: &mut Scene, from: SocketAddr, chance: &mut Chance) {
        let mut arguments = dict();
        let target = match (chance.below(4), self.items.last(), self.values.last()) {
            (0 | 1, Some(item), _) => {
                if chance.below(2) == 0 {
                    arguments = arguments.with("seq", item.seq);
                }
                Writer::new(item.seed).target(&item.salt)
            }
            (2, _, Some(value)) => target_of(&immutable(value)),
            _ => chance.id(),
        };
        self.ask(scene, from, "get", arguments.with("target", target));
    }

    fn announce(&mut self, scene: &mut Scene, from: SocketAddr, chance: &mut Chance) {
        let hash = [chance.below(6) as u8; 20];
        let token = self.token(scene, from, hash);
        let arguments = dict().with("info_hash", hash).with("port", i64::from(chance.below(40_000)));
        let arguments = match chance.below(6) {
            0 => arguments.with("implied_port", 1),
            1 => arguments.with("port", 0),
            2 => arguments.with("seed", 1),
            _ => arguments,
        };
        let token = if chance.below(8) == 0 { b"12345678".to_vec() } else { token };
        self.ask(scene, from, "announce_peer", arguments.with("token", token));
    }

    /// Queries that no BEP allows.
    fn malformed(&mut self, scene: &mut Scene, from: SocketAddr, chance: &mut Chance) {
        let message = match chance.below(7) {
            0 => query("vote", dict()),
            1 => query("get", dict().with("target", "short")),
            2 => query("find_node", dict()),
            3 => query("ping", dict()).without("a"),
            4 => query("put", dict().with("token", "t").with("v", raw(b"i-0e"))),
            5 => query("put", dict().with("token", "t").with("seq", 1).with("v", "x")),
            // Read-only askers are answered, and not remembered (BEP 43).
            _ => query("ping", dict()).with("ro", 1),
        };
        scene.hand(from, &message.encode(), "asked: something malformed");
    }

    /// What is no message, and answers to questions that were never asked.
    pub fn send_garbage(&mut self, scene: &mut Scene, chance: &mut Chance) {
        let from = Self::addr(chance);
        let mut octets = match chance.below(4) {
            0 => {
                let len = chance.below(1_400) as usize;
                chance.octets(len)
            }
            1 => query("get", dict().with("target", chance.id())).encode(),
            2 => bep44_tests::datagram::reply(&chance.octets(4), chance.id(), dict().with("token", "t")).encode(),
            _ => bep44_tests::datagram::error(&chance.octets(4), 301, "no").encode(),
        };
        match chance.below(3) {
            0 if !octets.is_empty() => {
                let at = chance.below(octets.len() as u32) as usize;
                octets[at] ^= 1 << chance.below(8);
            }
            1 => octets.truncate(chance.below(octets.len() as u32 + 1) as usize),
            _ => {}
        }
        scene.hand(from, &octets, "garbage");
    }
}
