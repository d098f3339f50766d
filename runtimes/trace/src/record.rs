//! What a trace consists of: one record for the start, for each call, for each output, and for the end.

use core::net::SocketAddr;

use bep44_core::addr::CompactAddr;
use bep44_core::time::Duration;
use bep44_core::{Capacity, Config, NodeId, Parallelism, Rate};
use serde::{Deserialize, Serialize};

use crate::call::Call;

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u8 = 1;

/// An address and port. Flow label and scope of an IPv6 address are not kept: the node does not look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Addr {
    /// IPv4 address and port.
    V4([u8; 4], u16),
    /// IPv6 address and port.
    V6([u8; 16], u16),
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self::V4(addr.ip().octets(), addr.port()),
            SocketAddr::V6(addr) => Self::V6(addr.ip().octets(), addr.port()),
        }
    }
}

impl From<CompactAddr> for Addr {
    fn from(addr: CompactAddr) -> Self {
        SocketAddr::from(addr).into()
    }
}

impl From<Addr> for SocketAddr {
    fn from(addr: Addr) -> Self {
        match addr {
            Addr::V4(ip, port) => Self::from((ip, port)),
            Addr::V6(ip, port) => Self::from((ip, port)),
        }
    }
}

/// One record of a trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Record<'a> {
    /// The first record: what the node was made of.
    Start(#[serde(borrow)] Start<'a>),
    /// A call on the node, written before it was made.
    Call {
        /// Microseconds from the `now` of the call before (or of the start) to this one's; negative if the caller's clock
        /// ran backwards, 0 for a call without `now`. Wraps at 2^64.
        after: i64,
        /// The call.
        #[serde(borrow)]
        call: Call<'a>,
    },
    /// What the call before returned. A call that returned nothing has none.
    Output(#[serde(borrow)] OutputRecord<'a>),
    /// The last record: the recording was ended, and not cut off.
    End(End),
}

/// How outputs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Outputs {
    /// Four octets of the running digest each: a difference is found, but what was expected is not known.
    Digests,
    /// All octets: a difference can be shown.
    #[default]
    Full,
}

/// What a node was made of, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start<'a> {
    /// What wrote the trace, for people.
    pub software: &'a str,
    /// The time of `now` in microseconds since 1970, if the recorder knew; for people.
    pub unix_micros: Option<u64>,
    /// The node's own IPv4 address, if the recorder knew; for people.
    pub local: Option<Addr>,
    /// Its own IPv6 address.
    pub local6: Option<Addr>,
    /// How outputs are written.
    pub outputs: Outputs,
    /// The moment at which the node was made, in microseconds since the caller's epoch.
    pub now: u64,
    /// The configuration; the seed is in it.
    #[serde(with = "ConfigRecord")]
    pub config: Config,
    /// The sizes of the tables.
    #[serde(with = "CapacityRecord")]
    pub capacity: Capacity,
}

/// What a call returned: one of the two, as [`Start::outputs`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputRecord<'a> {
    /// The first four octets of the running digest after it.
    Digest([u8; 4]),
    /// The canonical octets of an [`Output`](crate::Output).
    Full(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
}

/// The end of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Calls that were made.
    pub calls: u64,
    /// Outputs that came of them, the node's id (that of the start) included.
    pub outputs: u64,
    /// The running digest of all outputs.
    pub digest: [u8; 20],
    /// The digest of what could be read from the node at the end: counters, contacts, items, peers
    /// ([`state`](crate::state)).
    pub state: [u8; 20],
}

/// The core's configuration, field by field: one that is added there does not compile here until it is added as well (and
/// the version is counted up).
#[derive(Serialize, Deserialize)]
#[serde(remote = "Config")]
struct ConfigRecord {
    seed: [u8; 32],
    #[serde(with = "optional_id")]
    id: Option<NodeId>,
    read_only: bool,
    joins: bool,
    version: Option<[u8; 4]>,
    superfluous_target: bool,
    #[serde(with = "ParallelismRecord")]
    parallelism: Parallelism,
    item_lifetime: Duration,
    peer_lifetime: Duration,
    #[serde(with = "RateRecord")]
    queries: Rate,
    #[serde(with = "RateRecord")]
    verifications: Rate,
    report_items: bool,
    keep_interval: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Parallelism")]
struct ParallelismRecord {
    narrow: u8,
    wide: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rate")]
struct RateRecord {
    per_second: u32,
    burst: u32,
}

/// The sizes of the tables. Numbers are written without regard to the machine's word; a machine whose word is too short for
/// a table cannot replay the trace, and says so when it reads it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Capacity")]
struct CapacityRecord {
    contacts: usize,
    contacts6: usize,
    transactions: usize,
    queries: usize,
    items: usize,
    values: usize,
    peers: usize,
}

mod optional_id {
    use bep44_core::NodeId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(id: &Option<NodeId>, to: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(NodeId::as_bytes).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NodeId>, D::Error> {
        Ok(Option::<[u8; 20]>::deserialize(from)?.map(NodeId::new))
    }
}
