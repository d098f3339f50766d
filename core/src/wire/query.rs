//! Questions: ping, find_node, get_peers, announce_peer (BEP 5), get and put (BEP 44).

use core::num::NonZeroU16;

use super::bencode::{Dict, Malformed, Value, Writer, fields, is_canonical};
use super::message::{Envelope, finish, non_empty};
use super::refusal::{Code, Refusal};
use crate::addr::{Family, PerFamily};
use crate::id::{NodeId, Target};

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// Echoed in the answer; not empty.
    pub transaction: &'a [u8],
    /// The id of the node that asks.
    pub sender: NodeId,
    /// The asker answers no queries: it belongs into no table (BEP 43).
    pub read_only: bool,
    /// What is asked.
    pub method: Method<'a>,
}

/// What is asked, with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'a> {
    /// Are you there? (BEP 5)
    Ping,
    /// Which nodes are closest to the target? (BEP 5) A query of unknown name that has a target is read as this.
    FindNode {
        /// The point in question.
        target: Target,
        /// Nodes of which family.
        want: Want,
    },
    /// Which peers have announced themselves? (BEP 5)
    GetPeers {
        /// What they announced themselves for.
        info_hash: Target,
        /// Nodes of which family.
        want: Want,
    },
    /// Remember me as a peer. (BEP 5)
    AnnouncePeer {
        /// For this.
        info_hash: Target,
        /// Where the peer listens.
        port: AnnouncedPort,
        /// From the answer to `get_peers`; not empty.
        token: &'a [u8],
    },
    /// Which item is stored here? (BEP 44)
    Get {
        /// The key of the item.
        target: Target,
        /// Only a mutable item with a higher sequence number than this is of interest.
        seq: Option<i64>,
        /// Nodes of which family.
        want: Want,
    },
    /// Store an item. (BEP 44)
    Put(Put<'a>),
}

/// The item that a `put` brings (BEP 44).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put<'a> {
    /// From the answer to `get`; not empty.
    pub token: &'a [u8],
    /// The value as it stood on the wire: one bencoded value in canonical form, of any length.
    pub value: &'a [u8],
    /// What a mutable item has besides; `None` for an immutable one.
    pub mutable: Option<PutMutable<'a>>,
    /// Written if it is there, because the `mainline` crate reads no put without it. BEP 44 knows no such argument: it is
    /// not read, and `None` after parsing.
    pub target: Option<Target>,
}

/// What a mutable item has besides its value (BEP 44, "Mutable Items").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutMutable<'a> {
    /// `k`: the public key.
    pub key: &'a [u8; 32],
    /// The salt, of any length; empty for none, which is the same.
    pub salt: &'a [u8],
    /// The sequence number; not negative.
    pub seq: i64,
    /// `sig`: the signature, not verified.
    pub signature: &'a [u8; 64],
    /// Store only if the stored sequence number is this one.
    pub cas: Option<i64>,
}

/// Where a peer listens (BEP 5, "announce_peer").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnouncedPort {
    /// On the port that it names.
    Explicit(NonZeroU16),
    /// On the port that the datagram came from (`implied_port`).
    Implied {
        /// `port` all the same, for nodes that do not know `implied_port`; many drop the query without it. 0 if it was
        /// not there or is no port.
        fallback: u16,
    },
}

/// Nodes of which family are wanted in the answer (BEP 32, "want"). Neither: not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// IPv4: `nodes`.
    pub n4: bool,
    /// IPv6: `nodes6`.
    pub n6: bool,
}

impl Want {
    /// Nothing said: the family over which the query came.
    pub const UNSAID: Self = Self { n4: false, n6: false };

    /// Whether nodes of `family` belong into the answer to a query that came over `transport`.
    #[must_use]
    pub fn includes(self, family: Family, transport: Family) -> bool {
        match (self, family) {
            (Self::UNSAID, _) => family == transport,
            (Self { n4, n6 }, family) => *PerFamily::new(n4, n6).get(family),
        }
    }
}

impl<'a> Query<'a> {
    /// Writes the query and returns its length. `version` is the name of the program (BEP 5, "v").
    ///
    /// `None` if it does not fit into `buf`, or if it breaks what the fields promise so that no node would take it: an
    /// empty transaction id or token, a negative sequence number in a put. That `value` is canonical is not checked.
    #[must_use]
    pub fn write(&self, version: Option<[u8; 4]>, buf: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(buf);
        writer.dict().bytes(b"a").dict();
        let method = self.write_arguments(&mut writer)?;
        writer.end().entry(b"q", method);
        if self.read_only {
            writer.number(b"ro", 1);
        }
        finish(writer, self.transaction, version, b"q")
    }

    /// Writes the content of `a`; returns the name of the method.
    fn write_arguments(&self, writer: &mut Writer<'_>) -> Option<&'static [u8]> {
        let id = self.sender.as_bytes();
        Some(match &self.method {
            Method::Ping => {
                writer.entry(b"id", id);
                b"ping"
            }
            Method::FindNode { target, want } => {
                writer.entry(b"id", id).entry(b"target", target.as_bytes());
                write_want(writer, *want);
                b"find_node"
            }
            Method::GetPeers { info_hash, want } => {
                writer.entry(b"id", id).entry(b"info_hash", info_hash.as_bytes());
                write_want(writer, *want);
                b"get_peers"
            }
            Method::AnnouncePeer { info_hash, port, token } => {
                writer.entry(b"id", id);
                let port = match *port {
                    AnnouncedPort::Explicit(port) => port.get(),
                    AnnouncedPort::Implied { fallback } => {
                        writer.number(b"implied_port", 1);
                        fallback
                    }
                };
                writer.entry(b"info_hash", info_hash.as_bytes()).number(b"port", port.into());
                writer.entry(b"token", non_empty(token)?);
                b"announce_peer"
            }
            Method::Get { target, seq, want } => {
                writer.entry(b"id", id);
                if let Some(seq) = seq {
                    writer.number(b"seq", *seq);
                }
                writer.entry(b"target", target.as_bytes());
                write_want(writer, *want);
                b"get"
            }
            Method::Put(put) => {
                put.write_arguments(writer, id)?;
                b"put"
            }
        })
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn read(envelope: &Envelope<'a>) -> Result<Self, Refusal> {
        let method = envelope.method.and_then(Value::bytes).ok_or(protocol("q missing or not a string"))?;
        let entries = envelope.arguments.and_then(Value::entries).ok_or(protocol("a missing or not a dict"))?;
        let arguments = Arguments::read(entries).map_err(|Malformed| protocol("malformed arguments"))?;
        let id = arguments.id.and_then(Value::bytes).and_then(NodeId::from_slice);
        Ok(Self {
            transaction: envelope.transaction,
            sender: id.ok_or(protocol("id missing or not 20 octets"))?,
            read_only: envelope.read_only.and_then(Value::integer).is_some_and(|ro| ro != 0),
            method: Method::read(method, &arguments)?,
        })
    }
}

impl<'a> Method<'a> {
    fn read(name: &[u8], arguments: &Arguments<'a>) -> Result<Self, Refusal> {
        let (target, info_hash) = (point(arguments.target), point(arguments.info_hash));
        let target_fault = protocol("target missing or not 20 octets");
        let info_hash_fault = protocol("info_hash missing or not 20 octets");
        let want = || arguments.want.map_or(Want::UNSAID, read_want);
        // Not a `match`, which compares octet by octet, in ten times the code.
        Ok(if name == b"ping" {
            Self::Ping
        } else if name == b"get_peers" {
            Self::GetPeers { info_hash: info_hash.ok_or(info_hash_fault)?, want: want() }
        } else if name == b"announce_peer" {
            Self::AnnouncePeer {
                info_hash: info_hash.ok_or(info_hash_fault)?,
                port: arguments.port()?,
                token: arguments.token()?,
            }
        } else if name == b"get" {
            Self::Get {
                target: target.ok_or(target_fault)?,
                seq: optional_integer(arguments.seq, "seq not an integer of 64 bits")?,
                want: want(),
            }
        } else if name == b"put" {
            Self::Put(Put::read(arguments)?)
        } else if name == b"find_node" {
            Self::FindNode { target: target.ok_or(target_fault)?, want: want() }
        } else {
            // BEP 5, "Errors": what has a target is answered as if it were find_node, for extensions to come.
            Self::FindNode {
                target: target.or(info_hash).ok_or(Refusal::new(Code::UnknownMethod, "method unknown"))?,
                want: want(),
            }
        })
    }
}

impl<'a> Put<'a> {
    fn read(arguments: &Arguments<'a>) -> Result<Self, Refusal> {
        let token = arguments.token()?;
        let value = arguments.v.ok_or(protocol("v missing"))?.raw();
        let mutable = PutMutable::read(arguments)?;
        if !is_canonical(value) {
            return Err(protocol("v not canonical"));
        }
        Ok(Self { token, value, mutable, target: None })
    }

    fn write_arguments(&self, writer: &mut Writer<'_>, id: &[u8]) -> Option<()> {
        if let Some(PutMutable { cas: Some(cas), .. }) = self.mutable {
            writer.number(b"cas", cas);
        }
        writer.entry(b"id", id);
        if let Some(mutable) = &self.mutable {
            if mutable.seq < 0 {
                return None;
            }
            writer.entry(b"k", mutable.key);
            if !mutable.salt.is_empty() {
                writer.entry(b"salt", mutable.salt);
            }
            writer.number(b"seq", mutable.seq).entry(b"sig", mutable.signature);
        }
        if let Some(target) = &self.target {
            writer.entry(b"target", target.as_bytes());
        }
        writer.entry(b"token", non_empty(self.token)?).bytes(b"v").raw(self.value);
        Some(())
    }
}

impl<'a> PutMutable<'a> {
    /// `None` is an immutable item.
    fn read(arguments: &Arguments<'a>) -> Result<Option<Self>, Refusal> {
        let salt = match arguments.salt {
            Some(salt) => salt.bytes().ok_or(protocol("salt not a string"))?,
            None => &[],
        };
        let Some(key) = arguments.k else {
            // A lone `cas` says nothing about an immutable item, and means no harm.
            return if arguments.sig.is_none() && arguments.seq.is_none() && salt.is_empty() {
                Ok(None)
            } else {
                Err(protocol("sig, seq or salt without k"))
            };
        };
        let seq = arguments.seq.and_then(Value::integer).ok_or(protocol("seq missing or not an integer of 64 bits"))?;
        if seq < 0 {
            return Err(protocol("seq negative"));
        }
        let signature = arguments.sig.ok_or(protocol("sig missing"))?;
        Ok(Some(Self {
            key: array(key).ok_or(protocol("k not 32 octets"))?,
            salt,
            seq,
            signature: array(signature).ok_or(protocol("sig not 64 octets"))?,
            cas: optional_integer(arguments.cas, "cas not an integer of 64 bits")?,
        }))
    }
}

/// The arguments that any method knows; of duplicates the first.
struct Arguments<'a> {
    cas: Option<Value<'a>>,
    id: Option<Value<'a>>,
    implied_port: Option<Value<'a>>,
    info_hash: Option<Value<'a>>,
    k: Option<Value<'a>>,
    port: Option<Value<'a>>,
    salt: Option<Value<'a>>,
    seq: Option<Value<'a>>,
    sig: Option<Value<'a>>,
    target: Option<Value<'a>>,
    token: Option<Value<'a>>,
    v: Option<Value<'a>>,
    want: Option<Value<'a>>,
}

impl<'a> Arguments<'a> {
    fn read(entries: Dict<'a>) -> Result<Self, Malformed> {
        let [cas, id, implied_port, info_hash, k, port, salt, seq, sig, target, token, v, want] = fields(
            entries,
            &[
                b"cas",
                b"id",
                b"implied_port",
                b"info_hash",
                b"k",
                b"port",
                b"salt",
                b"seq",
                b"sig",
                b"target",
                b"token",
                b"v",
                b"want",
            ],
        )?;
        Ok(Self { cas, id, implied_port, info_hash, k, port, salt, seq, sig, target, token, v, want })
    }

    fn token(&self) -> Result<&'a [u8], Refusal> {
        self.token.and_then(Value::bytes).and_then(non_empty).ok_or(protocol("token missing, empty or not a string"))
    }

    fn port(&self) -> Result<AnnouncedPort, Refusal> {
        let port = self.port.and_then(Value::integer).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        if self.implied_port.and_then(Value::integer).is_some_and(|implied| implied != 0) {
            return Ok(AnnouncedPort::Implied { fallback: port });
        }
        NonZeroU16::new(port).map(AnnouncedPort::Explicit).ok_or(protocol("port missing or not from 1 to 65535"))
    }
}

const fn protocol(message: &'static str) -> Refusal {
    Refusal::new(Code::Protocol, message)
}

fn point(value: Option<Value<'_>>) -> Option<Target> {
    Target::from_slice(value?.bytes()?)
}

fn array<const N: usize>(value: Value<'_>) -> Option<&[u8; N]> {
    value.bytes()?.try_into().ok()
}

fn optional_integer(value: Option<Value<'_>>, fault: &'static str) -> Result<Option<i64>, Refusal> {
    value.map(|value| value.integer().ok_or(protocol(fault))).transpose()
}

/// Strings but `n4` and `n6`, and other types, say nothing (BEP 32).
fn read_want(value: Value<'_>) -> Want {
    let mut want = Want::UNSAID;
    for item in value.items().into_iter().flatten().flatten() {
        let name = item.bytes().unwrap_or_default();
        want.n4 |= name == b"n4";
        want.n6 |= name == b"n6";
    }
    want
}

fn write_want(writer: &mut Writer<'_>, want: Want) {
    if want != Want::UNSAID {
        writer.bytes(b"want").list();
        if want.n4 {
            writer.bytes(b"n4");
        }
        if want.n6 {
            writer.bytes(b"n6");
        }
        writer.end();
    }
}

#[cfg(test)]
mod tests;
