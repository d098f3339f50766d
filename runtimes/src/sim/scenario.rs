//! What is simulated: a value in code, a file on disk (TOML).

use std::path::Path;
use std::time::Duration;

use bep44_core::{Capacity, Parallelism};
use serde::{Deserialize, Serialize};

/// Hosts at most: each has an IPv4 network of its own, and so has each of those that take the place of hosts that left.
pub const MAX_HOSTS: u32 = 5_000_000;

/// A network and what happens in it. Every field has a default, so that a file says only what is different.
///
/// ```
/// use bep44::sim::Scenario;
///
/// let scenario = Scenario::from_toml("
///     nodes = 500
///     [network]
///     loss = 0.05
///     [workload]
///     items = 100
///     read_over = '10m'
/// ").unwrap();
/// assert_eq!((scenario.nodes, scenario.workload.items), (500, 100));
/// assert!(Scenario::from_toml("nods = 500").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Where all randomness comes from. The same scenario with the same seed gives the same report.
    pub seed: u64,
    /// Nodes at any time: who leaves is replaced.
    pub nodes: u32,
    /// How many of them never leave and never misbehave. Items are published by these.
    pub stable: u32,
    /// The sizes of each node's tables; by default what a network of this size and this workload needs.
    pub tables: Option<Tables>,
    /// Questions in flight in each lookup.
    pub parallelism: Width,
    /// How the network begins.
    pub join: Join,
    /// What happens to packets.
    pub network: Network,
    /// How long nodes stay.
    pub churn: Churn,
    /// How many nodes misbehave, and how.
    pub rogues: Rogues,
    /// Times when the network is in two parts.
    pub partitions: Vec<Partition>,
    /// What is stored and looked for.
    pub workload: Workload,
    /// What must hold.
    pub checks: Checks,
}

/// [`Capacity`] of each node, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Contacts.
    pub contacts: usize,
    /// Questions in flight.
    pub transactions: usize,
    /// Queries at once.
    pub queries: usize,
    /// Items stored for others.
    pub items: usize,
    /// Octets for them.
    pub values: usize,
}

/// The width of a lookup: see [`Parallelism`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Width {
    /// While answers lead nearer.
    pub narrow: u8,
    /// Once one did not.
    pub wide: u8,
}

impl Default for Width {
    fn default() -> Self {
        let Parallelism { narrow, wide } = Parallelism::DEFAULT;
        Self { narrow, wide }
    }
}

/// How the network begins: nodes arrive evenly, each knowing a few of those that came before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Join {
    /// From the first arrival to the last.
    #[serde(with = "humantime_serde")]
    pub over: Duration,
    /// From the last arrival to the first put.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
    /// Earlier nodes that each is told of, as if from a file of the last time or a list on the web.
    pub bootstrap: u8,
}

impl Default for Join {
    fn default() -> Self {
        Self { over: Duration::from_secs(60), settle: Duration::from_secs(60), bootstrap: 3 }
    }
}

/// What happens to packets on their way. Shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How long a packet takes.
    pub latency: Latency,
    /// The share of packets that are lost.
    pub loss: f64,
    /// The share of packets that arrive twice.
    pub duplicate: f64,
    /// The share of packets that are held up, so that later ones overtake them.
    pub reorder: f64,
    /// For how long they are held up at most.
    #[serde(with = "humantime_serde")]
    pub reorder_by: Duration,
    /// The share of pairs (from one host to another) between which nothing arrives in this direction.
    pub one_way: f64,
    /// The share of hosts that are behind a translator: what comes in from an address and port that nothing was sent to
    /// is dropped (RFC 4787 5, "address and port-dependent filtering").
    pub nat: f64,
    /// How long such a translator remembers (RFC 4787 REQ-5: not less than two minutes; many keep less).
    #[serde(with = "humantime_serde")]
    pub nat_memory: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: Latency::Internet,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::from_millis(200),
            one_way: 0.0,
            nat: 0.0,
            nat_memory: Duration::from_secs(60),
        }
    }
}

/// How long a packet takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Six regions of the world, the lines from each host to its provider, and the detours between: see
    /// [`latency`](crate::sim::latency).
    Internet,
    /// Any time from the first to the second with equal probability, drawn for each packet; not below 5 ms.
    Uniform(#[serde(with = "humantime_serde")] Duration, #[serde(with = "humantime_serde")] Duration),
}

/// How long nodes stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Churn {
    /// For ever.
    None,
    /// As in mainline: half of the sessions are shorter than 200 minutes, 3 in 100 are longer than 9,000. See
    /// [`churn`](crate::sim::churn).
    Mainline,
    /// A Weibull distribution.
    Weibull {
        /// Below 1, who has stayed long stays longer.
        shape: f64,
        /// The median session.
        #[serde(with = "humantime_serde")]
        median: Duration,
    },
}

/// Shares of nodes that misbehave, from 0 to 1; one node misbehaves in one way.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rogues {
    /// Looks alive, and never answers a `get` or a `put`.
    pub silent: f64,
    /// Names nodes that do not exist, close to whatever is looked for.
    pub liar: f64,
    /// Says that it has stored a newer version, and goes on to return the older one.
    pub stale: f64,
    /// Gives tokens that it does not accept.
    pub wrong_token: f64,
}

impl Rogues {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.silent + self.liar + self.stale + self.wrong_token
    }
}

/// A time when the network is in two parts, between which nothing arrives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// From the beginning of the simulation.
    #[serde(with = "humantime_serde")]
    pub at: Duration,
    /// How long it lasts.
    #[serde(with = "humantime_serde")]
    pub lasts: Duration,
    /// The share of hosts in the smaller part.
    pub share: f64,
}

/// What is stored and looked for. Items are put evenly over a time by the stable nodes, and then read evenly over another
/// by any node: each read is of a random item by a random node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Different items.
    pub items: u32,
    /// The share of them that are mutable.
    pub mutable: f64,
    /// Octets of each value.
    pub value: usize,
    /// From the first put to the last.
    #[serde(with = "humantime_serde")]
    pub put_over: Duration,
    /// From the last put to the first read: time for it to end, so that no read comes before its item.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
    /// After what time each item is announced again, give or take a tenth; never, if it is not given (BEP 44: once an
    /// hour).
    #[serde(with = "humantime_serde")]
    pub reannounce: Option<Duration>,
    /// Whether each announcement of a mutable item is a new version.
    pub update: bool,
    /// Reads.
    pub reads: u32,
    /// From the first read to the last.
    #[serde(with = "humantime_serde")]
    pub read_over: Duration,
    /// How often copies are counted while items are read.
    pub samples: u32,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            items: 200,
            mutable: 0.5,
            value: 100,
            put_over: Duration::from_secs(60),
            settle: Duration::from_secs(10),
            reannounce: None,
            update: false,
            reads: 1_000,
            read_over: Duration::from_secs(60),
            samples: 24,
        }
    }
}

/// What must hold. That tables stay within their bounds, that no stored item gives way to an older version and that every
/// query ends is always checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// The share of reads that may miss an item although a node that accepted it from its publisher is there, has it, and
    /// can be reached: 0 where nothing goes wrong. A read that misses for any other reason is counted, and no failure.
    pub missed: f64,
    /// The share of reads that must find something, whatever happens.
    pub found: f64,
}

impl Default for Checks {
    fn default() -> Self {
        Self { missed: 1.0, found: 0.0 }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 1_000,
            stable: 50,
            tables: None,
            parallelism: Width::default(),
            join: Join::default(),
            network: Network::default(),
            churn: Churn::None,
            rogues: Rogues::default(),
            partitions: Vec::new(),
            workload: Workload::default(),
            checks: Checks::default(),
        }
    }
}

/// Why a scenario cannot be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no scenario of this name.
    #[error("there is no scenario {name}; there are {known}, or the path of a file")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It is no TOML, or has a field that is none of a scenario's.
    #[error("not a scenario: {0}")]
    Parse(#[from] toml::de::Error),
    /// A number is out of its bounds.
    #[error("{field} is {value}; it must be {bounds}")]
    OutOfBounds {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        bounds: &'static str,
    },
}

/// Scenarios that come with the library, with what stands in their files.
const NAMED: [(&str, &str); 6] = [
    ("lossy", include_str!("../../scenarios/lossy.toml")),
    ("hostile", include_str!("../../scenarios/hostile.toml")),
    ("mainline-day", include_str!("../../scenarios/mainline-day.toml")),
    ("large", include_str!("../../scenarios/large.toml")),
    ("hundred-thousand", include_str!("../../scenarios/hundred-thousand.toml")),
    ("million", include_str!("../../scenarios/million.toml")),
];

impl Scenario {
    /// The names of the scenarios that come with the library.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// A scenario that comes with the library.
    ///
    /// # Errors
    /// It has no scenario of this name.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let (_, text) = NAMED.iter().find(|(known, _)| *known == name).ok_or_else(|| ScenarioError::Unknown {
            name: name.to_owned(),
            known: Self::names().collect::<Vec<_>>().join(", "),
        })?;
        Self::from_toml(text)
    }

    /// A scenario as a file says it.
    ///
    /// # Errors
    /// It is no TOML, has an unknown field, or a number is out of bounds.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// A scenario from a file.
    ///
    /// # Errors
    /// The file cannot be read, or says no scenario.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: path.display().to_string(), source })?;
        Self::from_toml(&text)
    }

    /// The scenario as a file says it, with every field.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // All that is in it can be written as TOML.
        toml::to_string(self).unwrap_or_default()
    }

    /// From the first arrival to the last read.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.put() + self.workload.read_over
    }

    /// From the first arrival to the first put.
    #[must_use]
    pub fn joined(&self) -> Duration {
        self.join.over + self.join.settle
    }

    /// From the first arrival to the first read: all items have been put.
    #[must_use]
    pub fn put(&self) -> Duration {
        self.joined() + self.workload.put_over + self.workload.settle
    }

    /// The tables of each node; a stable one can publish and look after its routing table at the same time.
    #[must_use]
    pub fn capacity_of(&self, host: u32) -> Capacity {
        let capacity = self.capacity();
        if host < self.stable { Capacity { queries: capacity.queries.max(2), ..capacity } } else { capacity }
    }

    /// The tables of a node.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let tables = self.tables.unwrap_or_else(|| self.default_tables());
        let Tables { contacts, transactions, queries, items, values } = tables;
        Capacity { contacts, contacts6: 0, transactions, queries, items, values, peers: 0 }
    }

    /// Eight contacts for each time that the network doubles, and room for several times the average of items: ids are
    /// random, so that some nodes are the closest to many more.
    fn default_tables(&self) -> Tables {
        let doublings = (self.nodes / 8).max(1).ilog2() as usize + 1;
        let average = (u64::from(self.workload.items) * 8 / u64::from(self.nodes.max(1))) as usize;
        let items = average * 2 + 8;
        // The bencoded value and what a store adds to it; of a mutable item also key, signature and number.
        let octets = self.workload.value as f64 + 10.0 + self.workload.mutable * 105.0;
        let values = ((items as f64 * octets) as usize).max(2_048);
        Tables { contacts: 8 * doublings, transactions: 12, queries: 1, items, values }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// The first that is out of its bounds.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |field, value: &dyn std::fmt::Display, bounds| {
            Err(ScenarioError::OutOfBounds { field, value: value.to_string(), bounds })
        };
        if !(2..=MAX_HOSTS).contains(&self.nodes) {
            return wrong("nodes", &self.nodes, "from 2 to 5,000,000");
        }
        if !(1..=self.nodes).contains(&self.stable) {
            return wrong("stable", &self.stable, "from 1 to the number of nodes");
        }
        let shares = [
            ("network.loss", self.network.loss),
            ("network.duplicate", self.network.duplicate),
            ("network.reorder", self.network.reorder),
            ("network.one_way", self.network.one_way),
            ("network.nat", self.network.nat),
            ("rogues.silent", self.rogues.silent),
            ("rogues.liar", self.rogues.liar),
            ("rogues.stale", self.rogues.stale),
            ("rogues.wrong_token", self.rogues.wrong_token),
            ("the sum of rogues", self.rogues.total()),
            ("workload.mutable", self.workload.mutable),
            ("checks.missed", self.checks.missed),
            ("checks.found", self.checks.found),
        ];
        let partitions = self.partitions.iter().map(|partition| ("partitions.share", partition.share));
        for (field, share) in shares.into_iter().chain(partitions) {
            if !(0.0..=1.0).contains(&share) {
                return wrong(field, &share, "from 0 to 1");
            }
        }
        if !(1..=900).contains(&self.workload.value) {
            return wrong("workload.value", &self.workload.value, "from 1 to 900 octets");
        }
        if self.join.bootstrap == 0 || self.join.bootstrap > 8 {
            return wrong("join.bootstrap", &self.join.bootstrap, "from 1 to 8");
        }
        let year = Duration::from_secs(366 * 24 * 60 * 60);
        if [self.duration(), self.network.reorder_by, self.network.nat_memory].iter().any(|time| *time > year) {
            return wrong("the whole of all times", &format!("{:?}", self.duration()), "a year at most");
        }
        if self.workload.reannounce.is_some_and(|time| time < Duration::from_secs(60)) {
            return wrong("workload.reannounce", &"shorter", "a minute at least");
        }
        if let Churn::Weibull { shape, median } = self.churn {
            if !(0.2..=5.0).contains(&shape) {
                return wrong("churn.weibull.shape", &shape, "from 0.2 to 5");
            }
            if median < Duration::from_secs(30) || median > year {
                return wrong("churn.weibull.median", &format!("{median:?}"), "from 30 seconds to a year");
            }
        }
        if let Some(tables) = self.tables
            && (tables.contacts == 0 || tables.transactions == 0 || tables.queries == 0)
        {
            return wrong("tables", &"too small", "at least one contact, transaction and query each");
        }
        if let Latency::Uniform(from, to) = self.network.latency
            && (from > to || to > Duration::from_secs(60))
        {
            return wrong("network.latency.uniform", &format!("{from:?} to {to:?}"), "in order, and a minute at most");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_the_same_after_it_was_a_file() {
        let scenario = Scenario {
            churn: Churn::Weibull { shape: 0.5, median: Duration::from_secs(1_200) },
            network: Network {
                latency: Latency::Uniform(Duration::from_millis(10), Duration::from_millis(50)),
                loss: 0.05,
                ..Network::default()
            },
            partitions: vec![Partition { at: Duration::from_secs(60), lasts: Duration::from_secs(90), share: 0.3 }],
            workload: Workload { reannounce: Some(Duration::from_secs(3_600)), ..Workload::default() },
            tables: Some(Tables { contacts: 64, transactions: 16, queries: 2, items: 4, values: 2_000 }),
            ..Scenario::default()
        };
        assert_eq!(Scenario::from_toml(&scenario.to_toml()).unwrap(), scenario);
        assert_eq!(Scenario::from_toml(&Scenario::default().to_toml()).unwrap(), Scenario::default());
        assert_eq!(Scenario::from_toml("").unwrap(), Scenario::default());
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        for (text, named) in [
            ("nodes = 1", "nodes is 1; it must be from 2"),
            ("nodes = 20\nstable = 21", "stable"),
            ("[network]\nloss = 1.5", "network.loss is 1.5"),
            ("[rogues]\nliar = 0.6\nsilent = 0.6", "the sum of rogues"),
            ("[workload]\nvalue = 1000", "900 octets"),
            ("[churn.weibull]\nshape = 0.01\nmedian = '1h'", "shape"),
            ("[[partitions]]\nat = '1m'\nlasts = '1m'\nshare = 2.0", "partitions.share"),
            ("[network]\nlos = 0.1", "unknown field `los`"),
            ("[workload]\nread_over = '1 fortnight'", "fortnight"),
        ] {
            let error = Scenario::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn those_that_come_with_the_library_can_be_simulated() {
        for name in Scenario::names() {
            let scenario = Scenario::named(name).unwrap();
            assert!(scenario.duration() > Duration::from_secs(60), "{name}");
        }
        let error = Scenario::named("friendly").unwrap_err().to_string();
        assert!(error.contains("friendly") && error.contains("lossy, hostile"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Scenario::load(Path::new("/nowhere/at-all.toml")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at-all.toml"), "{error}");
    }
}
