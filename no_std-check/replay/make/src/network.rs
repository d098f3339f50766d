//! The network around the node: scripted nodes that know each other, store what they are given, and are not all well.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bep44_tests::datagram::{Id, Value, compact, compact_nodes, dict, error, list, reply, sha1};
use bep44_tests::script::target_of;

use crate::chance::Chance;

/// Nodes in the network.
const NODES: u16 = 32;

/// How a node behaves, by its number in the network; the rest behave well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    Good,
    /// Answers to puts with this code.
    Refuses(i64),
    /// Never answers.
    Silent,
    /// Answers gets, and no put.
    SilentToPuts,
    /// Answers after 3 seconds.
    Slow,
    /// Answers from another port.
    Elsewhere,
    /// Answers what is no bencoding.
    Broken,
    /// Changes an octet of each value.
    Forger,
    /// Gives no token.
    NoToken,
    /// Refuses the first put of each item for its token.
    Forgetful,
}

/// One of the nodes.
#[derive(Debug)]
struct Remote {
    id: Id,
    temper: Temper,
    /// What it stores: the content of its answers to `get`, by target.
    items: BTreeMap<Id, Value>,
    peers: BTreeMap<Id, Vec<SocketAddr>>,
    forgotten: bool,
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answer {
    pub from: SocketAddr,
    pub octets: Vec<u8>,
    /// Milliseconds until it arrives.
    pub delay: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Network {
    remotes: BTreeMap<SocketAddr, Remote>,
}

impl Network {
    pub fn new(chance: &mut Chance) -> Self {
        let temper = |number| match number {
            3 => Temper::Refuses(201),
            4 => Temper::Refuses(301),
            5 => Temper::Refuses(302),
            6 | 7 => Temper::Silent,
            8 | 9 => Temper::SilentToPuts,
            10 => Temper::Slow,
            11 => Temper::Elsewhere,
            12 => Temper::Broken,
            13 | 14 => Temper::Forger,
            15 => Temper::NoToken,
            16 | 17 => Temper::Forgetful,
            _ => Temper::Good,
        };
        let remotes = (0..NODES).map(|number| {
            let remote = Remote {
                id: chance.id(),
                temper: temper(number),
                items: BTreeMap::new(),
                peers: BTreeMap::new(),
                forgotten: false,
            };
            (Self::place(number), remote)
        });
        Self { remotes: remotes.collect() }
    }

    /// The address of a node. All are usable, and each is in a network of its own.
    pub fn place(number: u16) -> SocketAddr {
        SocketAddr::from(([60, 1, number as u8, 9], 6_000 + number))
    }

    /// The address of some node.
    pub fn some(chance: &mut Chance) -> SocketAddr {
        Self::place(chance.below(NODES.into()) as u16)
    }

    /// The nodes, to be taken back as contacts.
    pub fn nodes(&self) -> impl Iterator<Item = (Id, SocketAddr)> {
        self.remotes.iter().map(|(addr, remote)| (remote.id, *addr))
    }

    /// Lets every second well-behaved node hold one value, and the others another, with one sequence number.
    pub fn equivocate(&mut self, target: Id, values: [&Value; 2]) {
        let good = self.remotes.values_mut().filter(|remote| remote.temper == Temper::Good);
        for (remote, value) in good.zip(values.into_iter().cycle()) {
            remote.items.insert(target, value.clone());
        }
    }

    /// What comes of a question to `to`.
    pub fn ask(&mut self, to: SocketAddr, asker: SocketAddr, query: &Value, chance: &mut Chance) -> Option<Answer> {
        let arguments = query.get("a")?;
        let target: Option<Id> = ["target", "info_hash"].into_iter().find_map(|key| id_at(arguments, key));
        let nodes = target.map(|target| self.closest(&target));
        let remote = self.remotes.get_mut(&to)?;
        let method = query.get("q").and_then(Value::bytes)?;
        let transaction = query.get("t").and_then(Value::bytes)?;
        let stores = matches!(method, b"put" | b"announce_peer");
        let mut content = dict();
        match (remote.temper, method) {
            (Temper::Silent, _) => return None,
            (Temper::SilentToPuts, _) if stores => return None,
            (Temper::Refuses(code), _) if stores => return remote.refusal(to, transaction, code),
            (Temper::Forgetful, _) if stores && !remote.forgotten => {
                remote.forgotten = true;
                return remote.refusal(to, transaction, 203);
            }
            (_, b"put") => {
                remote.forgotten = false;
                remote.items.insert(target_of(arguments), held(arguments));
            }
            (_, b"announce_peer") => {
                let peers = remote.peers.entry(target?).or_default();
                if peers.len() < 10 {
                    peers.push(asker);
                }
            }
            (_, b"get") => content = remote.items.get(&target?).cloned().unwrap_or(content),
            (_, b"get_peers") => {
                let peers = remote.peers.get(&target?).into_iter().flatten();
                let peers: Vec<Value> = peers.map(|peer| compact(*peer).into()).collect();
                if !peers.is_empty() {
                    content = content.with("values", list(peers));
                }
            }
            _ => {}
        }
        if remote.temper == Temper::Forger
            && let Some(Value::Raw(value)) = content.get("v").cloned()
        {
            content = content.with("v", Value::Bytes(sha1(&value).to_vec()));
        }
        if let (Some(nodes), false) = (nodes, stores) {
            content = content.with("nodes", compact_nodes(&nodes));
        }
        if matches!(method, b"get" | b"get_peers") && remote.temper != Temper::NoToken {
            content = content.with("token", "token");
        }
        let mut octets = reply(transaction, remote.id, content).with("ip", compact(asker)).encode();
        if remote.temper == Temper::Broken {
            octets.truncate(octets.len() / 2);
        }
        let from = if remote.temper == Temper::Elsewhere { SocketAddr::new(to.ip(), 1) } else { to };
        let delay = if remote.temper == Temper::Slow { 3_000 } else { 10 + u64::from(chance.below(300)) };
        Some(Answer { from, octets, delay })
    }

    fn closest(&self, target: &Id) -> Vec<(Id, SocketAddr)> {
        let mut nodes: Vec<_> = self.nodes().collect();
        nodes.sort_by_key(|(id, _)| std::array::from_fn::<u8, 20, _>(|at| id[at] ^ target[at]));
        nodes.truncate(8);
        nodes
    }
}

impl Remote {
    fn refusal(&self, from: SocketAddr, transaction: &[u8], code: i64) -> Option<Answer> {
        Some(Answer { from, octets: error(transaction, code, "no").encode(), delay: 30 })
    }
}

/// What of the arguments of a put is answered to a get.
fn held(arguments: &Value) -> Value {
    let mut content = dict();
    for key in ["k", "seq", "sig"] {
        if let Some(value) = arguments.get(key) {
            content = content.with(key, value.clone());
        }
    }
    // As it was: octets that are bencoded already.
    let value = arguments.get("v").map(Value::encode).unwrap_or_default();
    content.with("v", Value::Raw(value))
}

fn id_at(arguments: &Value, key: &str) -> Option<Id> {
    arguments.get(key)?.bytes()?.try_into().ok()
}
