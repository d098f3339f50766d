//! A node of any kind, ours included, with one and the same words.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bep44::blocking::Dht;
use bep44::core::wire::Code;
use bep44::{Error, Immutable, Mutable, PublicKey, SecretKey, Target, to_hex};
use serde_json::{Value, json};

use crate::peer::{Failure, Kind, Peer, PeerNode};

/// How long a query of ours may take. Less than what the peers are given: ours do not wait for silent nodes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) enum Node {
    Ours(Dht),
    Theirs(PeerNode),
}

/// What a writer is told to write.
#[derive(Debug, Clone)]
pub(crate) struct Write<'a> {
    pub(crate) seed: [u8; 32],
    pub(crate) salt: Option<&'a str>,
    pub(crate) value: Value,
    pub(crate) seq: i64,
    pub(crate) cas: Option<i64>,
}

/// A put that succeeded, as the writer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) target: String,
    /// Absent if it was immutable.
    pub(crate) seq: Option<i64>,
    /// Nodes that said yes; `mainline` does not count them.
    pub(crate) stored: Option<u64>,
}

/// A sequence number and a bencoded value.
pub(crate) type Version = (i64, Vec<u8>);

impl Node {
    pub(crate) fn ours(bind: SocketAddr, bootstrap: &[SocketAddr], read_only: bool) -> Self {
        let dht = Dht::builder().bind(bind).bootstrap(bootstrap.iter().copied()).read_only(read_only);
        Self::Ours(dht.timeout(PATIENCE).build().unwrap())
    }

    pub(crate) fn theirs(peer: &std::sync::Arc<Peer>, bind: SocketAddr, boot: &[SocketAddr], read_only: bool) -> Self {
        Self::Theirs(peer.node(bind, boot, read_only))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Ours(_) => Kind::Ours,
            Self::Theirs(node) => node.peer.kind,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Ours(dht) => dht.local_addr(),
            Self::Theirs(node) => node.addr,
        }
    }

    /// Nodes in its routing table.
    pub(crate) fn contacts(&self) -> usize {
        match self {
            Self::Ours(dht) => dht.contacts().unwrap().len(),
            Self::Theirs(node) => {
                let count = node.ask("nodes", json!({})).unwrap()["count"].as_u64();
                usize::try_from(count.unwrap()).unwrap()
            }
        }
    }

    pub(crate) fn put_immutable(&self, value: &Value) -> Result<Put, Failure> {
        match self {
            Self::Ours(dht) => told(dht.put(&Immutable::new(bencoded(value)).unwrap()), None),
            Self::Theirs(node) => {
                let answer = node.ask("put_immutable", json!({ "value": value }))?;
                Ok(Put {
                    target: answer["target"].as_str().unwrap().to_owned(),
                    seq: None,
                    stored: answer.get("stored").and_then(Value::as_u64),
                })
            }
        }
    }

    /// The bencoded value, if it was found.
    pub(crate) fn get_immutable(&self, target: Target) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Ours(dht) => Ok(dht.get(target).map_err(other)?.item.map(|item| item.value().to_vec())),
            Self::Theirs(node) => {
                let answer = node.ask("get_immutable", json!({ "target": target.to_string() }))?;
                Ok(Some(&answer["value"]).filter(|value| !value.is_null()).map(bencoded))
            }
        }
    }

    pub(crate) fn put_mutable(&self, write: &Write<'_>) -> Result<Put, Failure> {
        match self {
            Self::Ours(dht) => {
                let secret = SecretKey::from_seed(write.seed).unwrap();
                let salt = write.salt.unwrap_or_default();
                let item = Mutable::sign(&secret, salt, write.seq, bencoded(&write.value)).unwrap();
                told(dht.put_mutable(&item, write.cas), Some(write.seq))
            }
            Self::Theirs(node) => {
                let mut request = json!({ "seed": to_hex(&write.seed), "value": write.value, "seq": write.seq });
                if let Some(salt) = write.salt {
                    request["salt"] = json!(salt);
                }
                if let Some(cas) = write.cas {
                    request["cas"] = json!(cas);
                }
                let answer = node.ask("put_mutable", request)?;
                assert_eq!(answer["public_key"], json!(to_hex(&public_key(write.seed).0)));
                Ok(Put {
                    target: answer["target"].as_str().unwrap().to_owned(),
                    seq: answer["seq"].as_i64(),
                    stored: answer.get("stored").and_then(Value::as_u64),
                })
            }
        }
    }

    pub(crate) fn get_mutable(&self, key: PublicKey, salt: Option<&str>) -> Result<Option<Version>, Failure> {
        match self {
            Self::Ours(dht) => {
                let got = dht.newest(key, salt.unwrap_or_default().as_bytes(), None).map_err(other)?;
                Ok(got.item.map(|item| (item.seq(), item.value().to_vec())))
            }
            Self::Theirs(node) => {
                let mut request = json!({ "public_key": to_hex(&key.0) });
                if let Some(salt) = salt {
                    request["salt"] = json!(salt);
                }
                let answer = node.ask("get_mutable", request)?;
                Ok(answer["seq"].as_i64().map(|seq| (seq, bencoded(&answer["value"]))))
            }
        }
    }

    pub(crate) fn announce(&self, info_hash: Target, port: Option<u16>) -> Result<(), Failure> {
        match self {
            Self::Ours(dht) => {
                let found = dht.announce(info_hash, port).map_err(other)?;
                if found.outcome.accepted > 0 { Ok(()) } else { Err(Failure::NotStored) }
            }
            Self::Theirs(node) => {
                let mut request = json!({ "info_hash": info_hash.to_string() });
                if let Some(port) = port {
                    request["port"] = json!(port);
                }
                node.ask("announce", request).map(drop)
            }
        }
    }

    pub(crate) fn get_peers(&self, info_hash: Target) -> Result<Vec<SocketAddr>, Failure> {
        match self {
            Self::Ours(dht) => {
                let mut peers = dht.get_peers(info_hash).map_err(other)?.peers;
                peers.sort();
                Ok(peers)
            }
            Self::Theirs(node) => {
                let answer = node.ask("get_peers", json!({ "info_hash": info_hash.to_string() }))?;
                let peers = answer["peers"].as_array().unwrap().iter();
                Ok(peers.map(|peer| peer.as_str().unwrap().parse().unwrap()).collect())
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Waited for, so that no two nodes of a test overlap.
        if let Self::Ours(dht) = self {
            dht.shutdown();
        }
    }
}

pub(crate) fn public_key(seed: [u8; 32]) -> PublicKey {
    SecretKey::from_seed(seed).unwrap().public_key()
}

/// An outcome of ours in the words of all: refused, if most said so.
fn told(outcome: Result<bep44::client::PutOutcome, Error>, seq: Option<i64>) -> Result<Put, Failure> {
    let put = outcome.map_err(other)?;
    for code in [Code::CasMismatch, Code::SequenceTooLow] {
        if put.refused_with(code) > put.stored() {
            return Err(Failure::Refused(code.number().into()));
        }
    }
    if put.stored() == 0 {
        return Err(Failure::NotStored);
    }
    Ok(Put { target: put.target.to_string(), seq, stored: Some(put.stored().into()) })
}

fn other(error: Error) -> Failure {
    Failure::Other(error.to_string())
}

/// What the peers' JSON stands for: texts and `{"$hex":"..."}` are byte strings, all else is what it looks like.
pub(crate) fn bencoded(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => bep44::bencoded_bytes(text.as_bytes()),
        Value::Number(number) => format!("i{}e", number.as_i64().unwrap()).into_bytes(),
        Value::Array(list) => [b"l", list.iter().flat_map(bencoded).collect::<Vec<_>>().as_slice(), b"e"].concat(),
        Value::Object(fields) => {
            if let Some(digits) = fields.get("$hex").and_then(Value::as_str) {
                return bep44::bencoded_bytes(&bep44::from_hex(digits).unwrap());
            }
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let entry =
                |(key, value): (&String, &Value)| [bep44::bencoded_bytes(key.as_bytes()), bencoded(value)].concat();
            [b"d", sorted.into_iter().flat_map(entry).collect::<Vec<_>>().as_slice(), b"e"].concat()
        }
        Value::Null | Value::Bool(_) => panic!("{value} cannot be bencoded"),
    }
}
