//! What a simulation has shown: values only, with nothing in them of the machine or the time that it took, so that the
//! same scenario gives the same report, octet for octet.

use std::fmt;
use std::time::Duration;

use bep44_core::Target;
use serde::{Deserialize, Serialize};

use super::scenario::Scenario;

/// What a simulation has shown.
///
/// As JSON, every field stands under its name, here and in all that it holds; each says what it counts, and in which unit.
/// `bep44 sim --report` writes it as `report` into `report.json`. Beside it stand the networks that were compared, `by_loss`,
/// `by_churn` and `days`: lists of `name`, `value` (what differs, as a number) and `report`; and `by_parallelism`, a list
/// of `network` and `runs`, which are such a list each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// What was simulated.
    pub scenario: Scenario,
    /// Who was there.
    pub population: Population,
    /// What became of packets.
    pub packets: Packets,
    /// What became of items in the nodes' stores.
    pub stores: Stores,
    /// The median round trip between two hosts, in milliseconds, without jitter.
    pub round_trip: f64,
    /// Puts of items, announcing them again included.
    pub puts: Operations,
    /// Reads of items.
    pub reads: Operations,
    /// How many of the 8 nodes truly closest to the item accepted each put.
    pub reach: Reach,
    /// What became of reads.
    pub found: Found,
    /// The same for each part of the time in which items were read.
    pub found_over_time: Vec<FoundAt>,
    /// How many nodes held an item, as time went by.
    pub copies: Vec<CopiesAt>,
    /// Packets that each node took in, a minute.
    pub load: Distribution,
    /// Times from the first question to the answer that brought the value, of reads that found it: in round trips of the
    /// median pair.
    pub first_value_in_round_trips: f64,
    /// The last hop of reads that found their item, which no read can do without: from the reader to the nearest (in time)
    /// of those that hold it and can be reached and back, in milliseconds, without jitter. 0 if the reader holds it itself.
    pub last_hop: Distribution,
    /// What the first value took longer than the last hop of the same read: the median of reads that found it, in round
    /// trips of the median pair.
    pub beyond_last_hop_in_round_trips: f64,
    /// What must hold and did not. The first hundred.
    pub violations: Vec<Violation>,
    /// All of them.
    pub violations_in_all: u64,
}

/// Who was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Population {
    /// Nodes that began.
    pub began: u32,
    /// Nodes that left.
    pub left: u32,
    /// Of those that were there at the end: behind a translator of addresses.
    pub behind_nat: u32,
    /// Of those: misbehaving.
    pub rogues: u32,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Packets {
    /// Sent, by anybody to anybody.
    pub sent: u64,
    /// Their octets, without the headers of IP and UDP.
    pub octets: u64,
    /// Taken in by a node.
    pub arrived: u64,
    /// Arrived twice.
    pub doubled: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Sent to a host that never hears the sender.
    pub one_way: u64,
    /// Sent to the other part of the network.
    pub partition: u64,
    /// Not let in by a translator of addresses.
    pub nat: u64,
    /// Sent to where nobody is, or is any more.
    pub to_nobody: u64,
}

impl Packets {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.sent, other.sent),
            (&mut self.octets, other.octets),
            (&mut self.arrived, other.arrived),
            (&mut self.doubled, other.doubled),
            (&mut self.lost, other.lost),
            (&mut self.one_way, other.one_way),
            (&mut self.partition, other.partition),
            (&mut self.nat, other.nat),
            (&mut self.to_nobody, other.to_nobody),
        ] {
            *sum += part;
        }
    }
}

/// What became of items in the stores of all nodes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stores {
    /// Items that a node took in that it did not have.
    pub stored: u64,
    /// Items that nobody announced again in time.
    pub expired: u64,
    /// Items that had to go because the node's store was full.
    pub evicted: u64,
}

impl Stores {
    pub(super) const fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.expired += other.expired;
        self.evicted += other.evicted;
    }
}

/// How operations of one kind went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Operations {
    /// From the command to the end, in milliseconds.
    pub time: Distribution,
    /// From the command to the first valid value, in milliseconds; of those that found one.
    pub first_value: Distribution,
    /// How many answers led to the node that answered with the most of them behind it; 0 if all were known at the start.
    pub hops: Distribution,
    /// Nodes asked: each counts once, however often it was asked.
    pub asked: Distribution,
    /// Those whose node left before they ended, or could not begin them for two minutes.
    pub abandoned: u64,
}

/// How many of the truly closest nodes accepted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reach {
    /// Puts that ended.
    pub puts: u64,
    /// Of the 8 nodes closest to the target that live, can be reached and answer (without the writer), those that
    /// accepted: the mean over all puts.
    pub mean: f64,
    /// How many puts reached none of them, one, and so on up to 8.
    pub puts_by_nodes: [u64; 9],
    /// Nodes that accepted, wherever they are: the mean over all puts.
    pub accepted: f64,
}

/// What became of reads.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Found {
    /// Reads that ended.
    pub reads: u64,
    /// Those that found the newest version.
    pub newest: u64,
    /// Those that found an older version only.
    pub older: u64,
    /// Those that found nothing, though a node that had accepted the item was there, had it, and could be reached.
    pub missed: u64,
    /// Those that found nothing because none of those who had accepted the item was left.
    pub gone: u64,
}

impl Found {
    /// The share of reads that found the item in any version.
    #[must_use]
    pub fn share(&self) -> f64 {
        share(self.newest + self.older, self.reads)
    }

    pub(super) fn add(&mut self, read: Read) {
        self.reads += 1;
        *match read {
            Read::Newest => &mut self.newest,
            Read::Older => &mut self.older,
            Read::Missed => &mut self.missed,
            Read::Gone => &mut self.gone,
        } += 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Newest,
    Older,
    Missed,
    Gone,
}

/// What became of reads in one part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FoundAt {
    /// Seconds from the first read to the middle of this part.
    pub at: f64,
    /// What became of them.
    pub found: Found,
}

/// How many nodes held an item at one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopiesAt {
    /// Seconds since all items had been put: since the first read.
    pub at: f64,
    /// The mean over all items.
    pub mean: f64,
    /// Of ten items, one had fewer.
    pub tenth: u32,
    /// The fewest.
    pub least: u32,
    /// The share of items that somebody held.
    pub alive: f64,
}

/// Values, by percentile.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The least, the value that one in a hundred is not above, and so on to the greatest: 101 values, or none.
    pub percentiles: Vec<f64>,
    /// The value that one in a thousand is above.
    pub per_mille_999: f64,
}

impl Distribution {
    pub(super) fn new(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_unstable_by(f64::total_cmp);
        let at = |per_mille: usize| rounded(values[(values.len() - 1) * per_mille / 1_000]);
        Self {
            count: values.len() as u64,
            mean: rounded(values.iter().sum::<f64>() / values.len() as f64),
            percentiles: (0..=100).map(|percent| at(10 * percent)).collect(),
            per_mille_999: at(999),
        }
    }

    /// The value that so many in a hundred are not above; 0 if there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        self.percentiles.get(percent).copied().unwrap_or_default()
    }
}

/// Something that must hold and did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Violation {
    /// When, in seconds from the beginning.
    pub at: f64,
    /// At which host; `None` if it is about all of them.
    pub host: Option<u32>,
    /// Of which item.
    pub target: Option<String>,
    /// What.
    pub what: String,
}

impl Violation {
    pub(super) fn new(at: u64, host: u32, target: Option<Target>, what: String) -> Self {
        let target = target.map(|target| target.to_string());
        Self { at: seconds(Duration::from_micros(at)), host: Some(host), target, what }
    }

    pub(super) fn of_all(at: Duration, what: String) -> Self {
        Self { at: seconds(at), host: None, target: None, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} s", self.at)?;
        self.host.map_or(Ok(()), |host| write!(f, ", at host {host}"))?;
        write!(f, ": {}", self.what)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, " (item {target})"))
    }
}

/// To three digits after the point: what is below is noise, and long to read.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

pub(super) fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

pub(super) fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

/// A share, to five digits after the point.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e5).round() / 1e5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let distribution = Distribution::new((0..=1_000).rev().map(f64::from).collect());
        assert_eq!((distribution.count, distribution.mean), (1_001, 500.0));
        assert_eq!(
            (distribution.percentile(0), distribution.percentile(50), distribution.percentile(100)),
            (0.0, 500.0, 1_000.0)
        );
        assert_eq!(distribution.per_mille_999, 999.0);
        assert_eq!(Distribution::new(Vec::new()).percentile(50), 0.0);
    }

    #[test]
    fn a_violation_says_where_to_look() {
        let violation = Violation::new(1_500_000, 7, Some(Target::ZERO), "version 2 has given way to version 1".into());
        let zeros = "0".repeat(40);
        assert_eq!(
            violation.to_string(),
            format!("after 1.5 s, at host 7: version 2 has given way to version 1 (item {zeros})")
        );
    }
}
