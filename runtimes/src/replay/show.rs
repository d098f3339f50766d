//! Inputs, outputs and differences as people read them.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::Capacity;
use bep44_trace::{Addr, Call, Difference, ItemRecord, OutcomeRecord, Output, OutputRecord, Start, StoredRecord, Told};

use super::message::{self, Field, octets};
use super::play::{Divergence, What};
use crate::hex::to_hex;

/// What a person wants to see of an input or an output: what it is, and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is, in a few words.
    pub title: String,
    /// Its parts, by name. Those of a datagram are named by their path in it, such as `a.target`.
    pub fields: Vec<(String, String)>,
}

/// All in one line.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl Shown {
    fn new(title: impl Into<String>, fields: Vec<Field>) -> Self {
        Self { title: title.into(), fields }
    }

    /// The start of a trace. The seed is left out.
    #[must_use]
    pub fn start(start: &Start<'_>) -> Self {
        let Start { software, unix_micros, local, local6, outputs, now: _, config, capacity } = start;
        let mut fields = vec![("by".to_owned(), format!("{software:?}"))];
        if let Some(unix) = unix_micros {
            fields.push(("unix".to_owned(), seconds(Duration::from_micros(*unix))));
        }
        fields.extend([local, local6].into_iter().flatten().map(|own| ("address".to_owned(), addr(own))));
        fields.push(("outputs".to_owned(), format!("{outputs:?}").to_lowercase()));
        fields.push(("read_only".to_owned(), config.read_only.to_string()));
        let Capacity { contacts, contacts6, transactions, queries, items, values, peers } = *capacity;
        let sizes = [
            ("contacts", contacts),
            ("contacts6", contacts6),
            ("transactions", transactions),
            ("queries", queries),
            ("items", items),
            ("values", values),
            ("peers", peers),
        ];
        fields.extend(sizes.map(|(name, size)| (name.to_owned(), size.to_string())));
        Self::new("start", fields)
    }

    /// A call.
    #[must_use]
    pub fn call(call: &Call<'_>) -> Self {
        let name = |name: &str| name.to_owned();
        let target = |octets: &[u8]| vec![(name("target"), to_hex(octets))];
        let info_hash = |octets: &[u8]| vec![(name("info_hash"), to_hex(octets))];
        let room = |room: &Option<u16>| room.iter().map(|room| (name("room"), room.to_string())).collect::<Vec<_>>();
        match call {
            Call::HandleDatagram { from, datagram, room: short } => {
                let title = format!("datagram from {}, {}", addr(from), message::kind(datagram));
                Self::new(title, [message::fields(datagram), room(short)].concat())
            }
            Call::HandleTimeout => Self::new("timeout", Vec::new()),
            Call::HandleUnreachable { to } => Self::new(format!("unreachable {}", addr(to)), Vec::new()),
            Call::PollTransmit { room: short } => Self::new("poll_transmit", room(short)),
            Call::PollEvent => Self::new("poll_event", Vec::new()),
            Call::PollTimeout => Self::new("poll_timeout", Vec::new()),
            Call::AddBootstrap { addr: node } => Self::new(format!("add_bootstrap {}", addr(node)), Vec::new()),
            Call::Bootstrap => Self::new("bootstrap", Vec::new()),
            Call::FindNode { target: to } => Self::new("find_node", target(to)),
            Call::Get { target: of } => Self::new("get", target(of)),
            Call::GetMutable { key, salt, newer_than } => {
                let mut fields = vec![(name("key"), to_hex(key)), (name("salt"), octets(salt))];
                fields.extend(newer_than.map(|seq| (name("newer_than"), seq.to_string())));
                Self::new("get_mutable", fields)
            }
            Call::Put { item: new, cas } => {
                let mut fields = item(new);
                fields.extend(cas.map(|seq| (name("cas"), seq.to_string())));
                Self::new("put", fields)
            }
            Call::GetPeers { info_hash: of } => Self::new("get_peers", info_hash(of)),
            Call::Announce { info_hash: of, port } => {
                let port = port.map(|port| (name("port"), port.to_string()));
                Self::new("announce", info_hash(of).into_iter().chain(port).collect())
            }
            Call::Ping { addr: node } => Self::new(format!("ping {}", addr(node)), Vec::new()),
            Call::Cancel { query: handle } => Self::new("cancel", query(*handle)),
            Call::RestoreItem { item: old, remaining } => {
                Self::new("restore_item", [item(old), vec![(name("remaining"), seconds(*remaining))]].concat())
            }
            Call::RestorePeer { info_hash: of, addr: peer, seed, remaining } => {
                let fields = [
                    (name("peer"), addr(peer)),
                    (name("seed"), seed.to_string()),
                    (name("remaining"), seconds(*remaining)),
                ];
                Self::new("restore_peer", info_hash(of).into_iter().chain(fields).collect())
            }
            Call::RestoreContact { id, addr: at } => {
                Self::new("restore_contact", vec![(name("id"), to_hex(id)), (name("addr"), addr(at))])
            }
            Call::Keep { item: kept } => Self::new("keep", item(kept)),
            Call::Forget { target: of } => Self::new("forget", target(of)),
            Call::RestoreKept { item: kept, until_next } => {
                Self::new("restore_kept", [item(kept), vec![(name("until_next"), seconds(*until_next))]].concat())
            }
        }
    }

    /// An output.
    #[must_use]
    pub fn output(output: &Output<'_>) -> Self {
        match output {
            Output::Id(id) => Self::new("node", vec![("id".to_owned(), to_hex(id))]),
            Output::Packet { to, datagram } => {
                let title = format!("packet to {}, {}", addr(to), message::kind(datagram));
                Self::new(title, message::fields(datagram))
            }
            Output::Deadline(at) => Self::new("deadline", vec![("at".to_owned(), seconds(Duration::from_micros(*at)))]),
            Output::Query(handle) => Self::new("started", query(*handle)),
            Output::Refused(why) => Self::new("refused", vec![("why".to_owned(), format!("{why:?}"))]),
            Output::NotRestored(why) => Self::new("not restored", vec![("why".to_owned(), format!("{why:?}"))]),
            Output::Taken(taken) => Self::new(if *taken { "taken" } else { "not taken" }, Vec::new()),
            Output::Event(told) => event(told),
            Output::NotKept(why) => Self::new("not kept", vec![("why".to_owned(), format!("{why:?}"))]),
        }
    }

    /// What a trace has of an output; of a short one, its digest.
    #[must_use]
    pub fn expected(output: &OutputRecord<'_>) -> Self {
        match output {
            OutputRecord::Full(octets) => match Output::decode(octets) {
                Some(output) => Self::output(&output),
                None => Self::new("something unknown", vec![("octets".to_owned(), to_hex(octets))]),
            },
            OutputRecord::Digest(digest) => {
                Self::new("an output of which the trace has only", vec![("digest".to_owned(), to_hex(digest))])
            }
        }
    }
}

fn event(told: &Told<'_>) -> Shown {
    let name = |name: &str| name.to_owned();
    match told {
        Told::ItemStored(stored) => Shown::new("event: item stored", self::stored(stored)),
        Told::ItemReplaced(stored) => Shown::new("event: item replaced", self::stored(stored)),
        Told::ItemRefreshed(stored) => Shown::new("event: item refreshed", self::stored(stored)),
        Told::ItemDropped { target, mutable, reason } => Shown::new(
            "event: item dropped",
            vec![
                (name("target"), to_hex(target)),
                (name("mutable"), mutable.to_string()),
                (name("reason"), format!("{reason:?}")),
            ],
        ),
        Told::Answered { query: handle, node, addr: at, hop, round_trip } => {
            let fields = [
                (name("node"), to_hex(node)),
                (name("addr"), addr(at)),
                (name("hop"), hop.to_string()),
                (name("round_trip"), seconds(*round_trip)),
            ];
            Shown::new("event: answered", query(*handle).into_iter().chain(fields).collect())
        }
        Told::Found { query: handle, item: found } => {
            Shown::new("event: found", [query(*handle), item(found)].concat())
        }
        Told::Equivocation { query: handle, seq } => {
            Shown::new("event: equivocation", [query(*handle), vec![(name("seq"), seq.to_string())]].concat())
        }
        Told::Peers { query: handle, peers } => {
            let peers = peers.clone().enumerate().map(|(number, peer)| (format!("peers[{number}]"), peer.to_string()));
            Shown::new("event: peers", query(*handle).into_iter().chain(peers).collect())
        }
        Told::Put { query: handle, node, addr: at, result } => {
            let fields =
                [(name("node"), to_hex(node)), (name("addr"), addr(at)), (name("result"), format!("{result:?}"))];
            Shown::new("event: put", query(*handle).into_iter().chain(fields).collect())
        }
        Told::Ended { query: handle, outcome: end } => {
            Shown::new("event: ended", [query(*handle), outcome(end)].concat())
        }
        Told::Adopted(stored) => Shown::new("event: newer version adopted", self::stored(stored)),
        Told::Announced { target, seq, skipped, outcome: end, next } => {
            let mut fields = vec![(name("target"), to_hex(target))];
            fields.extend(seq.map(|seq| (name("seq"), seq.to_string())));
            fields.push((name("skipped"), skipped.to_string()));
            fields.extend(outcome(end));
            fields.push((name("next"), seconds(Duration::from_micros(*next))));
            Shown::new("event: announced", fields)
        }
        Told::Other => Shown::new("event: one that this program does not know", Vec::new()),
    }
}

fn outcome(end: &OutcomeRecord) -> Vec<Field> {
    let OutcomeRecord { asked, answered, failed, invalid, copies, newest, accepted, rejected, silent, hops, elapsed } =
        end;
    let mut fields: Vec<Field> = [
        ("asked", asked),
        ("answered", answered),
        ("failed", failed),
        ("invalid", invalid),
        ("copies", copies),
        ("accepted", accepted),
        ("silent", silent),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count.to_string()))
    .collect();
    fields.extend(newest.map(|seq| ("newest".to_owned(), seq.to_string())));
    fields.extend(rejected.iter().map(|by| (format!("rejected[{}]", by.code), by.count.to_string())));
    fields.push(("hops".to_owned(), hops.to_string()));
    fields.push(("elapsed".to_owned(), seconds(*elapsed)));
    fields
}

fn stored(stored: &StoredRecord<'_>) -> Vec<Field> {
    let StoredRecord { target, item: what, expires, kept } = stored;
    let mut fields = vec![("target".to_owned(), to_hex(target))];
    fields.extend(item(what));
    if *kept {
        fields.push(("kept".to_owned(), "true".to_owned()));
    } else {
        fields.push(("expires".to_owned(), seconds(Duration::from_micros(*expires))));
    }
    fields
}

fn item(item: &ItemRecord<'_>) -> Vec<Field> {
    match item {
        ItemRecord::Immutable { value } => vec![("v".to_owned(), octets(value))],
        ItemRecord::Mutable { key, salt, seq, value, signature } => vec![
            ("k".to_owned(), to_hex(key)),
            ("salt".to_owned(), octets(salt)),
            ("seq".to_owned(), seq.to_string()),
            ("v".to_owned(), octets(value)),
            ("sig".to_owned(), to_hex(signature.as_flattened())),
        ],
    }
}

fn query(handle: u64) -> Vec<Field> {
    vec![("query".to_owned(), handle.to_string())]
}

fn addr(addr: &Addr) -> String {
    SocketAddr::from(*addr).to_string()
}

/// Seconds with six digits.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{}.{:06}", duration.as_secs(), duration.subsec_micros())
}

/// The first difference of a replay, in several lines.
pub(crate) fn divergence(divergence: &Divergence, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Divergence { input, time, what, actual } = divergence;
    let title = match (input.call(), input.start()) {
        (Some(call), _) => Shown::call(&call).to_string(),
        (None, Some(start)) => Shown::start(&start).to_string(),
        (None, None) => String::new(),
    };
    let reason = match what {
        What::Differs(difference) => difference.to_string(),
        What::Panicked(message) => format!("the node panicked: {message}"),
    };
    writeln!(
        f,
        "input {} (octet {} of the trace), {} s after the start: {reason}",
        input.number,
        input.offset,
        seconds(*time)
    )?;
    write!(f, "  input: {title}")?;
    if matches!(what, What::Differs(Difference::State | Difference::Counts)) {
        return Ok(());
    }
    let expected = input.expected().as_ref().map(Shown::expected);
    let came = divergence.actual_output().as_ref().map(Shown::output);
    f.write_char('\n')?;
    side_by_side(expected.as_ref(), came.as_ref(), f)?;
    if let (Some(OutputRecord::Full(expected)), Some(actual)) = (input.expected(), actual) {
        f.write_char('\n')?;
        octets_that_differ(expected, actual, f)?;
    }
    Ok(())
}

/// Columns of a value in a table; longer ones are cut in the middle, where they are rarely different.
const COLUMN: usize = 44;

fn side_by_side(expected: Option<&Shown>, actual: Option<&Shown>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rows = |shown: Option<&Shown>| {
        let mut rows =
            vec![("what".to_owned(), shown.map_or_else(|| "nothing".to_owned(), |shown| shown.title.clone()))];
        rows.extend(shown.map(|shown| shown.fields.clone()).unwrap_or_default());
        rows
    };
    let (expected, actual) = (rows(expected), rows(actual));
    let width = expected.iter().chain(&actual).map(|(name, _)| name.len()).max().unwrap_or(0);
    writeln!(f, "    {:width$}  {:COLUMN$}  actual", "", "expected")?;
    let mut left = actual;
    let mut lines = Vec::new();
    for (name, value) in expected {
        // The first of this name: repeated keys keep their order.
        let other = left.iter().position(|(other, _)| *other == name).map(|at| left.remove(at).1);
        lines.push((name, Some(value), other));
    }
    lines.extend(left.into_iter().map(|(name, value)| (name, None, Some(value))));
    for (number, (name, expected, actual)) in lines.iter().enumerate() {
        let mark = if expected == actual { ' ' } else { '*' };
        let cut = |value: &Option<String>, other: &Option<String>| {
            value
                .as_ref()
                .map_or_else(|| "-".to_owned(), |value| shortened(value, other.as_deref().unwrap_or_default()))
        };
        let (expected, actual) = (cut(expected, actual), cut(actual, expected));
        write!(f, "  {mark} {name:width$}  {expected:COLUMN$}  {actual}")?;
        if number + 1 < lines.len() {
            f.write_char('\n')?;
        }
    }
    Ok(())
}

/// At most [`COLUMN`] characters, with where it first differs from `other` among them.
fn shortened(value: &str, other: &str) -> String {
    let chars: Vec<char> = value.chars().collect();
    if chars.len() <= COLUMN {
        return value.to_owned();
    }
    let same = value.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let differs = same < chars.len() && value != other;
    let start = if differs { same.saturating_sub(COLUMN / 2).min(chars.len() - (COLUMN - 2)) } else { 0 };
    let shown: String = chars.iter().skip(start).take(COLUMN - 2).collect();
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + COLUMN - 2 < chars.len() { "…" } else { "" });
    format!("{before}{shown}{after}")
}

/// Which octets are different, of those that a trace has of an output.
fn octets_that_differ(expected: &[u8], actual: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let places: Vec<usize> =
        expected.iter().zip(actual).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
    write!(f, "    octets: {} expected, {} came", expected.len(), actual.len())?;
    if let Some(first) = places.first() {
        let (a, b) = (expected.get(*first).copied().unwrap_or(0), actual.get(*first).copied().unwrap_or(0));
        write!(f, "; {} of the first {} differ", places.len(), expected.len().min(actual.len()))?;
        write!(f, ", the first at {first}: {a:02x} expected, {b:02x} came")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_show_where_they_differ() {
        let value = "a".repeat(100);
        let other = format!("{}b{}", "a".repeat(80), "a".repeat(19));
        let (one, two) = (shortened(&value, &other), shortened(&other, &value));
        assert_ne!(one, two);
        assert!(two.contains('b') && two.starts_with('…') && two.chars().count() <= COLUMN);
        assert_eq!(shortened("short", "other"), "short");
        assert_eq!(shortened(&value, &value), format!("{}…", "a".repeat(COLUMN - 2)));
    }
}
