//! BEP 44 as a node sees it that reads and writes: each line of the project's checklist, against scripted nodes of the
//! network. A test is named after the line that it checks.

mod peers;
mod queries;
mod reading;
mod writing;

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::event::{PutResult, Rejection};
use bep44_core::{
    Config, ImmutableItem, Instant, Item, ItemError, MutableItem, Outcome, QueryError, SecretKey, Signature, Standing,
};
use bep44_tests::datagram::{Id, Value, Writer, addr, compact_nodes, dict, raw, reply, sha1, string_of};
use bep44_tests::neighbours::{by_distance, id, immutable, key, mutable, network, network_of, puts, writer};
use bep44_tests::script::{Answer, Remote, Script, Told, capacity, config, id_of, place};

fn put(script: &mut Script<'_>, item: &Item<'_>, cas: Option<i64>) -> Outcome {
    let handle = script.node.put(script.now, item, cas).unwrap();
    script.finish(handle)
}

/// Reads the mutable item without salt; the values that were told, and the outcome.
fn read(script: &mut Script<'_>, newer_than: Option<i64>) -> (Vec<(i64, Vec<u8>)>, Outcome) {
    read_salted(script, b"", newer_than)
}

fn read_salted(script: &mut Script<'_>, salt: &[u8], newer_than: Option<i64>) -> (Vec<(i64, Vec<u8>)>, Outcome) {
    let handle = script.node.get_mutable(script.now, &key(), salt, newer_than).unwrap();
    let outcome = script.finish(handle);
    let found = script.found(handle).into_iter().map(|kept| (kept.seq().unwrap(), kept.value)).collect();
    (found, outcome)
}
