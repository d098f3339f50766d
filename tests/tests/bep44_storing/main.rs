//! BEP 44 as a storing node sees it: each line of the project's checklist, over datagrams in and datagrams out. A test is
//! named after the line that it checks.

mod expiry;
mod form;
mod get;
mod signed;
mod vectors;
mod versions;

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{Capacity, Config, DropReason};
use bep44_tests::datagram::{
    ASKER, Id, Value, Writer, addr, compact, dict, hex, immutable, list, nodes_of, query, raw, sha1, string_of,
};
use bep44_tests::script::{Kept, Remote, Script, SignedBy, Told, capacity, config, place, target_of};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
const TICK: Duration = Duration::from_micros(1);

/// Who asks.
fn alice() -> SocketAddr {
    addr("203.0.113.5:1111")
}

/// Somebody else.
fn bob() -> SocketAddr {
    addr("198.51.100.7:2222")
}

fn writer() -> Writer {
    Writer::new(1)
}

/// A node that knows `count` others, with ids that have nothing in common.
fn with_contacts(count: u16) -> Script<'static> {
    let mut script = Script::new();
    for number in 0..count {
        script.befriend(place(number), Remote::new(sha1(&number.to_be_bytes())));
    }
    script
}

/// A put that is sent as it is.
fn send(script: &mut Script<'_>, from: SocketAddr, arguments: &Value) -> Result<Value, i64> {
    script.content(from, &query("put", arguments.clone()))
}

/// `arguments` with a good token for the item in them.
fn with_token(script: &mut Script<'_>, from: SocketAddr, arguments: Value) -> Value {
    let token = script.token(from, target_of(&arguments));
    arguments.with("token", token)
}

/// Checks that a put, sent as it is, is refused with `code`, and that all that is stored is as before: values,
/// signatures and the time that is left.
#[track_caller]
fn refused(script: &mut Script<'_>, from: SocketAddr, arguments: &Value, code: i64) {
    let before = (script.kept(), script.node.item_octets());
    assert_eq!(send(script, from, arguments), Err(code), "{arguments:?}");
    assert_eq!((script.kept(), script.node.item_octets()), before, "{arguments:?} has changed something");
}

/// The same for a put with a good token.
#[track_caller]
fn refused_with_token(script: &mut Script<'_>, arguments: &Value, code: i64) {
    let arguments = with_token(script, alice(), arguments.clone());
    refused(script, alice(), &arguments, code);
}

/// What a `get` returns for an item that was put with these arguments.
fn as_found(arguments: &Value) -> Value {
    let found = arguments.clone().without("salt").without("cas");
    Value::decode(&found.encode()).unwrap()
}

/// The item in the reply to a `get`, without what every reply has.
fn item_in(reply: Value) -> Value {
    reply.without("id").without("nodes").without("nodes6").without("token")
}

#[track_caller]
fn is_stored(script: &mut Script<'_>, arguments: &Value) {
    let reply = script.get(bob(), target_of(arguments));
    assert_eq!(item_in(reply), as_found(arguments));
}

#[track_caller]
fn is_not_stored(script: &mut Script<'_>, target: Id) {
    assert_eq!(item_in(script.get(bob(), target)), dict());
}

/// A node that has stored `item` an hour ago.
fn with_item(item: &Value) -> Script<'static> {
    let mut script = Script::new();
    script.put(alice(), item).unwrap();
    script.wait(HOUR);
    script
}

/// Flips one bit of a string.
fn flipped(arguments: &Value, key: &str, bit: usize) -> Value {
    let mut octets = arguments.get(key).and_then(Value::bytes).unwrap().to_vec();
    octets[bit / 8] ^= 1 << (bit % 8);
    arguments.clone().with(key, octets)
}
