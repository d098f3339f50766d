//! Questions: ping, find_node, get_peers, announce_peer (BEP 5), get and put (BEP 44).

use core::num::NonZeroU16;

use super::bencode::{Malformed, Value, Writer, is_canonical};
use super::keys::{Fields, Key};
use super::message::{finish, non_empty};
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

/// The arguments that any method knows.
const KEYS: [Key; 13] = [
    Key::Cas,
    Key::Id,
    Key::ImpliedPort,
    Key::InfoHash,
    Key::K,
    Key::Port,
    Key::Salt,
    Key::Seq,
    Key::Sig,
    Key::Target,
    Key::Token,
    Key::V,
    Key::Want,
];

impl<'a> Query<'a> {
    /// Writes the query and returns its length. `version` is the name of the program (BEP 5, "v").
    ///
    /// `None` if it does not fit into `buf`, or if it breaks what the fields promise so that no node would take it: an
    /// empty transaction id or token, a negative sequence number in a put. That `value` is canonical is not checked.
    #[must_use]
    pub fn write(&self, version: Option<[u8; 4]>, buf: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(buf);
        writer.dict().key(Key::Arguments).dict();
        let method = self.write_arguments(&mut writer)?;
        writer.end().entry(Key::Method, method);
        if self.read_only {
            writer.number(Key::ReadOnly, 1);
        }
        finish(writer, self.transaction, version, b"q")
    }

    /// Writes the content of `a`, in the order of its keys; returns the name of the method.
    fn write_arguments(&self, writer: &mut Writer<'_>) -> Option<&'static [u8]> {
        if let Method::Put(Put { mutable: Some(PutMutable { cas: Some(cas), .. }), .. }) = self.method {
            writer.number(Key::Cas, cas);
        }
        writer.entry(Key::Id, self.sender.as_bytes());
        Some(match &self.method {
            Method::Ping => b"ping",
            Method::FindNode { target, want } => {
                writer.entry(Key::Target, target.as_bytes());
                write_want(writer, *want);
                b"find_node"
            }
            Method::GetPeers { info_hash, want } => {
                writer.entry(Key::InfoHash, info_hash.as_bytes());
                write_want(writer, *want);
                b"get_peers"
            }
            Method::AnnouncePeer { info_hash, port, token } => {
                let port = match *port {
                    AnnouncedPort::Explicit(port) => port.get(),
                    AnnouncedPort::Implied { fallback } => {
                        writer.number(Key::ImpliedPort, 1);
                        fallback
                    }
                };
                writer.entry(Key::InfoHash, info_hash.as_bytes()).number(Key::Port, port.into());
                writer.entry(Key::Token, non_empty(token)?);
                b"announce_peer"
            }
            Method::Get { target, seq, want } => {
                if let Some(seq) = seq {
                    writer.number(Key::Seq, *seq);
                }
                writer.entry(Key::Target, target.as_bytes());
                write_want(writer, *want);
                b"get"
            }
            Method::Put(put) => {
                put.write_arguments(writer)?;
                b"put"
            }
        })
    }

    /// `message` has the keys of the top level.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn read(transaction: &'a [u8], message: &Fields<'a>) -> Result<Self, Refusal> {
        let query = Self::read_known(transaction, message).map_err(|fault| Refusal::new(Code::Protocol, fault))?;
        query.ok_or(Refusal::new(Code::UnknownMethod, "method unknown"))
    }

    /// `None` if the method is unknown. The error says what is malformed.
    fn read_known(transaction: &'a [u8], message: &Fields<'a>) -> Result<Option<Self>, &'static str> {
        let method = message.bytes(Key::Method).ok_or("q missing or not a string")?;
        let entries = message.get(Key::Arguments).and_then(Value::entries);
        let entries = entries.ok_or("a missing or not a dict")?;
        let mut arguments = Fields::EMPTY;
        arguments.read(entries, &KEYS).map_err(|Malformed| "malformed arguments")?;
        let id = arguments.array(Key::Id).ok_or("id missing or not 20 octets")?;
        let Some(method) = Method::read(method, &arguments)? else { return Ok(None) };
        Ok(Some(Self {
            transaction,
            sender: NodeId::new(*id),
            read_only: message.integer(Key::ReadOnly).is_some_and(|ro| ro != 0),
            method,
        }))
    }
}

impl<'a> Method<'a> {
    /// `None` is an unknown method. The error says what is wrong with the arguments.
    fn read(name: &[u8], arguments: &Fields<'a>) -> Result<Option<Self>, &'static str> {
        let target = arguments.array(Key::Target).ok_or("target missing or not 20 octets");
        let info_hash = arguments.array(Key::InfoHash).ok_or("info_hash missing or not 20 octets");
        let want = || arguments.get(Key::Want).map_or(Want::UNSAID, read_want);
        // Not a `match`, which compares octet by octet, in ten times the code.
        Ok(Some(if name == b"ping" {
            Self::Ping
        } else if name == b"get_peers" {
            Self::GetPeers { info_hash: Target::new(*info_hash?), want: want() }
        } else if name == b"announce_peer" {
            Self::AnnouncePeer {
                info_hash: Target::new(*info_hash?),
                port: AnnouncedPort::read(arguments)?,
                token: read_token(arguments)?,
            }
        } else if name == b"get" {
            Self::Get {
                target: Target::new(*target?),
                seq: optional_integer(arguments, Key::Seq, "seq not an integer of 64 bits")?,
                want: want(),
            }
        } else if name == b"put" {
            Self::Put(Put::read(arguments)?)
        } else if name == b"find_node" {
            Self::FindNode { target: Target::new(*target?), want: want() }
        } else {
            // BEP 5, "Errors": what has a target is answered as if it were find_node, for extensions to come.
            let Ok(point) = target.or(info_hash) else { return Ok(None) };
            Self::FindNode { target: Target::new(*point), want: want() }
        }))
    }
}

impl<'a> Put<'a> {
    fn read(arguments: &Fields<'a>) -> Result<Self, &'static str> {
        let token = read_token(arguments)?;
        let value = arguments.get(Key::V).ok_or("v missing")?.raw();
        let mutable = PutMutable::read(arguments)?;
        if !is_canonical(value) {
            return Err("v not canonical");
        }
        Ok(Self { token, value, mutable, target: None })
    }

    /// What comes behind the id.
    fn write_arguments(&self, writer: &mut Writer<'_>) -> Option<()> {
        if let Some(mutable) = &self.mutable {
            if mutable.seq < 0 {
                return None;
            }
            writer.entry(Key::K, mutable.key);
            if !mutable.salt.is_empty() {
                writer.entry(Key::Salt, mutable.salt);
            }
            writer.number(Key::Seq, mutable.seq).entry(Key::Sig, mutable.signature);
        }
        if let Some(target) = &self.target {
            writer.entry(Key::Target, target.as_bytes());
        }
        writer.entry(Key::Token, non_empty(self.token)?).key(Key::V).raw(self.value);
        Some(())
    }
}

impl<'a> PutMutable<'a> {
    /// `None` is an immutable item.
    fn read(arguments: &Fields<'a>) -> Result<Option<Self>, &'static str> {
        let salt = match arguments.get(Key::Salt) {
            Some(salt) => salt.bytes().ok_or("salt not a string")?,
            None => &[],
        };
        if arguments.get(Key::K).is_none() {
            // A lone `cas` says nothing about an immutable item, and means no harm.
            let others = arguments.get(Key::Sig).is_some() || arguments.get(Key::Seq).is_some() || !salt.is_empty();
            return if others { Err("sig, seq or salt without k") } else { Ok(None) };
        }
        let seq = arguments.integer(Key::Seq).ok_or("seq missing or not an integer of 64 bits")?;
        if seq < 0 {
            return Err("seq negative");
        }
        if arguments.get(Key::Sig).is_none() {
            return Err("sig missing");
        }
        Ok(Some(Self {
            key: arguments.array(Key::K).ok_or("k not 32 octets")?,
            salt,
            seq,
            signature: arguments.array(Key::Sig).ok_or("sig not 64 octets")?,
            cas: optional_integer(arguments, Key::Cas, "cas not an integer of 64 bits")?,
        }))
    }
}

impl AnnouncedPort {
    fn read(arguments: &Fields<'_>) -> Result<Self, &'static str> {
        let port = arguments.integer(Key::Port).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        if arguments.integer(Key::ImpliedPort).is_some_and(|implied| implied != 0) {
            return Ok(Self::Implied { fallback: port });
        }
        NonZeroU16::new(port).map(Self::Explicit).ok_or("port missing or not from 1 to 65535")
    }
}

fn read_token<'a>(arguments: &Fields<'a>) -> Result<&'a [u8], &'static str> {
    let token = arguments.bytes(Key::Token).and_then(non_empty);
    token.ok_or("token missing, empty or not a string")
}

fn optional_integer(arguments: &Fields<'_>, key: Key, fault: &'static str) -> Result<Option<i64>, &'static str> {
    let number = arguments.integer(key);
    if number.is_none() && arguments.get(key).is_some() { Err(fault) } else { Ok(number) }
}

/// Strings but `n4` and `n6`, and other types, say nothing (BEP 32).
fn read_want(value: Value<'_>) -> Want {
    let mut want = Want::UNSAID;
    let Some(mut items) = value.items() else { return want };
    while let Some(Ok(item)) = items.next() {
        want.n4 |= item.bytes() == Some(b"n4");
        want.n6 |= item.bytes() == Some(b"n6");
    }
    want
}

fn write_want(writer: &mut Writer<'_>, want: Want) {
    if want != Want::UNSAID {
        writer.key(Key::Want).list();
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
