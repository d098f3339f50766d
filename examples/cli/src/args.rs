//! What can be written on the command line. Everything that is wrong in itself is refused here, before anything is sent.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bep44::mutable_torrent::Magnet;
use bep44::replay::Until;
use bep44::sim::Churn;
use bep44::{MAX_SALT, PublicKey, Target, from_hex};
use clap::{Args, Parser, Subcommand};

use crate::driver::Runtime;
use crate::sim::Which;

const HEADING: &str = "Network";

/// A year: longer than any item is kept, and short enough to calculate with.
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Stores and finds small data in the BitTorrent DHT (BEP 44)
///
/// Try `bep44 demo` first: it needs no network.
#[derive(Debug, Parser)]
#[command(name = "bep44", version, arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Write one JSON object a line to standard output, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error: each node that answers
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) join: Join,
}

impl Join {
    /// Whether the node is to listen in the family of `addr`; it is, if nothing was said.
    pub(crate) fn listens_in_family_of(&self, addr: &SocketAddr) -> bool {
        self.bind.is_empty() || self.bind.iter().any(|bind| bind.is_ipv4() == addr.is_ipv4())
    }
}

/// How a node joins a network.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// Listen here, in both networks if given once for IPv4 and once for IPv6; a loopback address keeps to this host
    /// [default: 0.0.0.0:0]
    #[arg(long, global = true, value_name = "ADDR", value_parser = bind_addr, help_heading = HEADING)]
    pub(crate) bind: Vec<SocketAddr>,
    /// Join through this node, more than one if repeated [default: the public bootstrap nodes]
    #[arg(long, global = true, value_name = "HOST:PORT", help_heading = HEADING)]
    pub(crate) bootstrap: Vec<HostPort>,
    /// Give up after so long
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true, help_heading = HEADING)]
    pub(crate) timeout: Duration,
    /// What drives the node
    #[arg(long, global = true, default_value = "blocking", help_heading = HEADING)]
    pub(crate) runtime: Runtime,
    /// Write down all that the node is told and says, for `replay`; the file is as secret as a running node's memory
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what this does, in a small network of its own on this host
    Demo,
    /// Write a new secret key to a file
    Keygen(Keygen),
    /// Store a value: immutable, or mutable with --key
    Put(Put),
    /// Find a value: immutable by its target, or the newest one of a key
    Get(Get),
    /// Show each newer value of a key as it appears, until SIGINT or SIGTERM
    Watch(Watch),
    /// Point a key at a torrent (BEP 46)
    Publish(Publish),
    /// Find the torrent that a key points at (BEP 46)
    Resolve(Resolve),
    /// Announce a peer of a torrent (BEP 5)
    Announce(Announce),
    /// Find peers of a torrent (BEP 5)
    Peers(InfoHash),
    /// Ask one node for a sign of life
    Ping(Ping),
    /// Walk to the nodes closest to a target, hop by hop
    Lookup(Lookup),
    /// Run a full node until SIGINT or SIGTERM
    Node(Node),
    /// Feed a trace to a fresh node, and check that it says the same, octet for octet
    Replay(Replay),
    /// Simulate a network in virtual time: the same seed gives the same report
    Sim(Sim),
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file to write; never one that exists
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The value, stored as a byte string of 996 octets at most; `-` reads standard input
    #[arg(required_unless_present = "file", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// Read the value from this file
    #[arg(long, value_name = "PATH", conflicts_with = "value")]
    pub(crate) file: Option<PathBuf>,
    /// The value is bencoded already, in 1,000 octets at most
    #[arg(long)]
    pub(crate) bencoded: bool,
    /// Store a mutable item, signed with the secret key in this file (see keygen)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Tells several items of one key apart: 64 octets at most
    #[arg(long, requires = "key", allow_hyphen_values = true)]
    pub(crate) salt: Option<Salt>,
    /// The sequence number; without it, the newest is read first and the next one written
    #[arg(long, value_name = "N", requires = "key", value_parser = sequence_number, allow_negative_numbers = true)]
    pub(crate) seq: Option<i64>,
    /// Store only where this sequence number is stored, or nothing
    #[arg(long, value_name = "N", requires = "key", value_parser = sequence_number, allow_negative_numbers = true)]
    pub(crate) cas: Option<i64>,
    /// Stay until stopped, and announce the item once an hour, so that it does not expire
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Where the immutable item is stored: 40 hexadecimal digits
    #[arg(required_unless_present = "public_key", conflicts_with = "public_key")]
    pub(crate) target: Option<Target>,
    /// The newest mutable item of this key: 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    pub(crate) public_key: Option<PublicKey>,
    /// The item's salt
    #[arg(long, requires = "public_key", conflicts_with = "target", allow_hyphen_values = true)]
    pub(crate) salt: Option<Salt>,
    /// Only if it is newer than this
    #[arg(long, value_name = "N", requires = "public_key", conflicts_with = "target", value_parser = sequence_number, allow_negative_numbers = true)]
    pub(crate) seq: Option<i64>,
    /// Write the value to standard output as it is, and nothing else
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The key: 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    pub(crate) public_key: PublicKey,
    /// The item's salt
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) salt: Option<Salt>,
    /// How long to wait until it is asked again, at least 1; up to a tenth more, at random
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = interval, allow_negative_numbers = true)]
    pub(crate) interval: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The torrent: 40 hexadecimal digits
    pub(crate) infohash: Target,
    /// The secret key that signs (see keygen)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Tells several torrents of one key apart: 64 octets at most
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) salt: Option<Salt>,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// magnet:?xs=urn:btpk:... with &s=... if there is a salt
    pub(crate) magnet: Magnet,
}

#[derive(Debug, Args)]
pub(crate) struct Announce {
    /// The torrent: 40 hexadecimal digits
    pub(crate) infohash: Target,
    /// The port that the peer listens on
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct InfoHash {
    /// The torrent: 40 hexadecimal digits
    pub(crate) infohash: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The node
    #[arg(value_name = "HOST:PORT")]
    pub(crate) addr: HostPort,
}

#[derive(Debug, Args)]
pub(crate) struct Lookup {
    /// Any point: 40 hexadecimal digits
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Ask, but answer nobody
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Keep items, peers, the node's id and its contacts here, and begin with them after a restart or a crash
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The node's address on the Internet: take an id that suits it (BEP 42), which other nodes prefer
    #[arg(long, value_name = "IP")]
    pub(crate) external_ip: Option<IpAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// What is simulated: lossy, hostile, mainline-day, large, hundred-thousand, million, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "lossy")]
    pub(crate) scenario: String,
    /// So many nodes
    #[arg(long, value_name = "N")]
    pub(crate) nodes: Option<u32>,
    /// Where all randomness comes from
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// The share of packets that are lost, from 0 to 1
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) loss: Option<f64>,
    /// How nodes come and go: none, mainline, or the median session in minutes
    #[arg(long, value_name = "none|mainline|MINUTES", value_parser = churn)]
    pub(crate) churn: Option<Churn>,
    /// So many items are put
    #[arg(long, value_name = "N")]
    pub(crate) items: Option<u32>,
    /// So many times an item is read
    #[arg(long, value_name = "N")]
    pub(crate) reads: Option<u32>,
    /// Simulate on so many threads, which changes nothing but the time that it takes [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: Option<u32>,
    /// Write a page with plots, and all numbers, to this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// What the page compares besides: small networks with one thing changed at a time
    #[arg(long, value_name = "WHICH", default_value = "short", requires = "report")]
    pub(crate) studies: Which,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The trace that --record has written
    pub(crate) file: PathBuf,
    /// Stop after so many inputs (a number), or so long after the start (a time, such as 1.5s or 20ms)
    #[arg(long, value_name = "TIME|N", value_parser = until)]
    pub(crate) until: Option<Until>,
    /// Show each input and what comes of it, one at a time; Enter for the next
    #[arg(long, conflicts_with = "dump")]
    pub(crate) step: bool,
    /// Show all messages, calls and events, one a line; with -v also calls that brought nothing
    #[arg(long)]
    pub(crate) dump: bool,
    /// Write the packets for Wireshark to this file
    #[arg(long, value_name = "OUT")]
    pub(crate) pcap: Option<PathBuf>,
}

/// A host and a port: an address, or a name to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPort {
    Addr(SocketAddr),
    Name(String, u16),
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected HOST:PORT, such as 127.0.0.1:6881, [::1]:6881 or router.example:6881".to_owned();
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() == 0 { Err(expected()) } else { Ok(Self::Addr(addr)) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        // Digits and dots alone would be an address, and are none.
        let is_number = host.chars().all(|c| c.is_ascii_digit() || c == '.');
        match port.parse() {
            Ok(port @ 1..) if !is_number && host.chars().all(is_name) => Ok(Self::Name(host.to_owned(), port)),
            _ => Err(expected()),
        }
    }
}

/// A salt within its limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Salt(pub(crate) String);

impl FromStr for Salt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SALT {
            return Err(format!("the salt has {} octets; the limit is {MAX_SALT}", text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

fn bind_addr(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected ADDRESS:PORT, such as 0.0.0.0:6881 or [::]:0".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

fn until(text: &str) -> Result<Until, String> {
    let time = |number: &str, unit: f64| {
        let seconds = number.parse::<f64>().ok().filter(|number| *number >= 0.0)? * unit;
        Duration::try_from_secs_f64(seconds).ok().map(Until::Time)
    };
    // The longest unit first: each of the others ends with an s as well.
    let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let parsed = match units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))) {
        Some((number, unit)) => time(number, unit),
        None => text.parse().ok().map(Until::Call),
    };
    parsed.ok_or_else(|| "expected a number of inputs, such as 100, or a time, such as 1.5s or 20ms".to_owned())
}

/// Nodes that are asked more often than once a second may stop answering.
fn interval(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a number of seconds from 1 to {}", LONGEST_INTERVAL.as_secs());
    seconds(text).ok().filter(|time| (Duration::from_secs(1)..=LONGEST_INTERVAL).contains(time)).ok_or_else(expected)
}

fn churn(text: &str) -> Result<Churn, String> {
    match text {
        "none" => Ok(Churn::None),
        "mainline" => Ok(Churn::Mainline),
        minutes => {
            let expected = || "expected none, mainline, or a number of minutes from 0.5".to_owned();
            let minutes: f64 = minutes.parse().ok().filter(|minutes| *minutes >= 0.5).ok_or_else(expected)?;
            let median = Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| expected())?;
            // The shape of mainline's sessions.
            Ok(Churn::Weibull { shape: bep44::sim::churn::MAINLINE.0, median })
        }
    }
}

/// What [`churn`] reads.
pub(crate) fn churn_text(churn: Churn) -> String {
    match churn {
        Churn::None => "none".to_owned(),
        Churn::Mainline => "mainline".to_owned(),
        Churn::Weibull { median, .. } => format!("{}", median.as_secs_f64() / 60.0),
    }
}

fn sequence_number(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(seq @ 0..) => Ok(seq),
        _ => Err(format!("expected a sequence number from 0 to {}", i64::MAX)),
    }
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let octets = from_hex(text).map_err(|error| error.to_string())?;
    let found = octets.len();
    let key = octets.try_into().map_err(|_| format!("expected 64 hexadecimal digits, found {}", 2 * found))?;
    Ok(PublicKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn hosts_and_ports() {
        let parse = |text: &str| text.parse::<HostPort>();
        assert_eq!(parse("[::1]:6881"), Ok(HostPort::Addr("[::1]:6881".parse().unwrap())));
        assert_eq!(parse("a.b-c:1"), Ok(HostPort::Name("a.b-c".to_owned(), 1)));
        for bad in ["", "host", "host:", ":1", "host:0", "host:65536", "::1:6881", "1.2.3:5", "300.1.1.1:5", "a b:1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
