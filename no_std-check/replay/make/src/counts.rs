//! What has happened in a trace.

use std::collections::BTreeMap;
use std::fmt;

/// How often each thing has happened, by name.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

/// What a trace must have, and how much of it.
const NEEDED: [(&str, u64); 47] = [
    ("inputs", 5_000),
    ("virtual seconds", 2 * 60 * 60),
    ("asked: ping", 50),
    ("asked: find_node", 50),
    ("asked: get_peers", 50),
    ("asked: announce_peer", 50),
    ("asked: get", 50),
    ("asked: put", 500),
    ("garbage", 200),
    ("forged signature", 30),
    ("forged token", 30),
    ("over budget", 20),
    ("answered: reply", 1_000),
    ("answered: 202", 5),
    ("answered: 203", 50),
    ("answered: 204", 5),
    ("answered: 205", 10),
    ("answered: 206", 10),
    ("answered: 207", 10),
    ("answered: 301", 10),
    ("answered: 302", 20),
    ("answered: value", 50),
    ("answered: peers", 10),
    ("sent: ping", 50),
    ("sent: find_node", 100),
    ("sent: get", 500),
    ("sent: get_peers", 100),
    ("sent: announce_peer", 50),
    ("sent: put", 200),
    ("sent: put with cas", 10),
    ("unreachable", 20),
    ("cancelled", 10),
    ("told: ItemStored", 50),
    ("told: ItemReplaced", 5),
    ("told: ItemRefreshed", 5),
    ("told: ItemDropped, expired", 5),
    ("told: ItemDropped, evicted", 20),
    ("told: Answered", 500),
    ("told: Found, immutable", 20),
    ("told: Found, mutable", 20),
    ("told: Equivocation", 1),
    ("told: Peers", 20),
    ("told: Put, accepted", 100),
    ("told: Put, refused", 20),
    ("told: Put, silent", 10),
    ("told: Put, skipped", 1),
    ("told: Ended", 300),
];

/// What the smallest node never does: it has no memory for peers, and one query at a time.
const NOT_MICRO: [&str; 2] = ["answered: peers", "told: Put, skipped"];

impl Counts {
    /// Once more.
    pub fn count(&mut self, what: impl Into<String>) {
        self.add(what, 1);
    }

    /// So many times more.
    pub fn add(&mut self, what: impl Into<String>, times: u64) {
        *self.0.entry(what.into()).or_default() += times;
    }

    /// What has not happened often enough.
    pub fn missing(&self, micro: bool) -> Vec<&'static str> {
        let often_enough = |what: &str, needed| self.0.get(what).is_some_and(|times| *times >= needed);
        let needed = NEEDED.into_iter().filter(|(what, _)| !micro || !NOT_MICRO.contains(what));
        // It is asked as often as the larger one, and does a tenth of it at least.
        let needed =
            needed.map(|(what, times)| (what, if micro && times < 5_000 { times.div_ceil(10) } else { times }));
        needed.filter(|(what, times)| !often_enough(what, *times)).map(|(what, _)| what).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>8}  {what}"))
    }
}
