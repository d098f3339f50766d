//! What a node is told at its start.

use crate::id::NodeId;
use crate::limit::Rate;
use crate::lookup::Parallelism;
use crate::time::Duration;

/// Settings of a node. Sizes of tables are not here: they follow from the memory that it is given.
///
/// ```
/// use bep44_core::Config;
/// // 32 octets from the host's source of randomness; a test takes fixed ones.
/// let config = Config { read_only: true, ..Config::new([7; 32]) };
/// assert!(config.superfluous_target);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// All randomness of the node grows from this: its id (unless given), transaction ids, and the secret of its write
    /// tokens. Unpredictable and never used twice, except to replay.
    pub seed: [u8; 32],
    /// The node id; random if none is given. A node that restarts should keep its id.
    pub id: Option<NodeId>,
    /// A read-only node (BEP 43): says so in its queries, answers none, and is in nobody's table. For who stays a few
    /// seconds, or cannot be reached.
    pub read_only: bool,
    /// Whether the node joins the network by itself as soon as it knows an address, and looks for new neighbours from
    /// time to time. Otherwise, and in a read-only node, it does so from the first call of
    /// [`bootstrap`](crate::Node::bootstrap) on.
    pub joins: bool,
    /// The client version sent as `v` (BEP 5): two letters and two octets of version; none is sent if absent. Exactly
    /// four octets, because some implementations drop a message with any other number.
    pub version: Option<[u8; 4]>,
    /// Whether a put carries the `target` that no BEP asks for. The `mainline` crate decodes no put without it, and all
    /// others ignore it.
    pub superfluous_target: bool,
    /// How many questions of one walk are in flight at once.
    pub parallelism: Parallelism,
    /// How long an item is kept that nobody announces again (BEP 44: 2 hours).
    pub item_lifetime: Duration,
    /// How often an item that the node keeps is announced again (BEP 44: once an hour). Up to a sixth sooner, drawn anew
    /// each time; at least a minute, and 49 days at most.
    pub keep_interval: Duration,
    /// How long a peer is kept that does not announce again. No BEP says; others keep them for 30 to 45 minutes, and
    /// clients announce again after 15 to 30.
    pub peer_lifetime: Duration,
    /// Queries answered for each network (/24, /48). A walk of ours asks one network some 8 times within a second.
    pub queries: Rate,
    /// Signatures verified for each network: some 50 µs each on a PC, 40 ms on a microcontroller.
    pub verifications: Rate,
    /// Whether what happens to stored items is reported by events. A host that neither shows nor saves them saves work.
    pub report_items: bool,
}

impl Config {
    /// The defaults of all settings but the seed.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            id: None,
            read_only: false,
            joins: true,
            version: Some(*b"B4\x00\x01"),
            superfluous_target: true,
            parallelism: Parallelism::DEFAULT,
            item_lifetime: Duration::from_secs(2 * 60 * 60),
            keep_interval: Duration::from_secs(60 * 60),
            peer_lifetime: Duration::from_secs(45 * 60),
            queries: Rate { per_second: 100, burst: 1_000 },
            verifications: Rate { per_second: 20, burst: 200 },
            report_items: true,
        }
    }
}

/// The shortest interval between two announcements of a kept item, in milliseconds. Below it, announcing would only be a
/// flood.
const MIN_KEEP_INTERVAL: u32 = 60 * 1_000;

/// What a node still needs of its settings once its tables are made. Its seed is not among it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// In milliseconds.
    pub(crate) keep_interval: u32,
    pub(crate) parallelism: Parallelism,
    pub(crate) version: Option<[u8; 4]>,
    pub(crate) superfluous_target: bool,
    pub(crate) read_only: bool,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let Config { keep_interval, parallelism, version, superfluous_target, read_only, .. } = *config;
        let millis = keep_interval.as_secs().saturating_mul(1_000).saturating_add(keep_interval.subsec_millis().into());
        let keep_interval = u32::try_from(millis).unwrap_or(u32::MAX).max(MIN_KEEP_INTERVAL);
        Self { keep_interval, parallelism, version, superfluous_target, read_only }
    }
}
