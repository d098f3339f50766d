//! The core's bencoding against that of the tests, which knows nothing of it.

use bep44_core::wire::bencode::{self, MAX_DEPTH, MAX_NESTED_LEN, Reader, Writer, is_canonical};
use bep44_core::wire::{self, Message, Method};
use bep44_core::{Config, ImmutableItem};

use crate::datagram::{Value, sha1};
use crate::fuzz::choices::Choices;

/// The reader of the tests recurses: deeper values are not shown to it.
const LONGEST: usize = 4_096;

/// The same octets to both readers, and what both read to both writers: they agree on what is canonical, on what a value
/// is, on the octets of it, and on the fields of a query. The first octet says whether the others are octets as they
/// stand, or choices by which a value grows.
///
/// # Panics
/// If they differ.
pub fn differential(octets: &[u8]) {
    let mut choices = Choices::new(octets);
    let grown;
    let octets = if choices.one_in(2) {
        let encoded = grow(&mut choices, 0).encode();
        grown = choices.mutated(encoded);
        &grown[..]
    } else {
        choices.rest()
    };
    let octets = &octets[..octets.len().min(LONGEST)];
    let Ok(value) = Value::decode(octets) else {
        // Only numbers beyond 128 bits are too large for the reader of the tests, and not for ours.
        let digits = octets.iter().map(|octet| octet.is_ascii_digit());
        let longest = digits
            .scan(0, |run, is| {
                *run = if is { *run + 1 } else { 0 };
                Some(*run)
            })
            .max();
        assert!(longest.unwrap_or(0) >= 39 || !is_canonical(octets), "not canonical: {}", octets.escape_ascii());
        return;
    };
    let too_deep = depth(&value) > MAX_DEPTH || octets.len() > MAX_NESTED_LEN;
    assert_eq!(is_canonical(octets), !too_deep, "canonical: {}", octets.escape_ascii());
    assert_eq!(value.encode(), octets, "canonical form is unique");

    let mut reader = Reader::new(octets);
    let read = reader.value().expect("a value");
    assert_eq!((read.raw(), reader.rest()), (octets, &b""[..]));
    same(read, &value);

    let mut buf = vec![0; octets.len()];
    let mut writer = Writer::new(&mut buf);
    if write(&mut writer, &value) {
        assert_eq!(writer.finish(), Some(octets));
        let mut writer = Writer::new(&mut buf[1..]);
        write(&mut writer, &value);
        assert_eq!(writer.finish(), None, "one octet too few");
    }
    if let Ok(item) = ImmutableItem::new(octets) {
        assert_eq!(*item.target().as_bytes(), sha1(octets));
    }
    query_fields(octets, &value);
}

/// A query that our parser takes has the fields that the tests read in it, and is written as they would write it.
fn query_fields(octets: &[u8], value: &Value) {
    let parsed = wire::parse(octets);
    let is_query = value.get("y").and_then(Value::bytes) == Some(b"q");
    let Ok(Message::Query(query)) = parsed else { return };
    assert!(is_query);
    let arguments = value.get("a").expect("arguments");
    let octets_of = |key| arguments.get(key).and_then(Value::bytes);
    let int_of = |key| arguments.get(key).and_then(Value::int);
    assert_eq!(value.get("t").and_then(Value::bytes), Some(query.transaction));
    assert_eq!(octets_of("id"), Some(&query.sender.as_bytes()[..]));
    match query.method {
        Method::Ping => {}
        Method::FindNode { target, .. } => {
            assert!([octets_of("target"), octets_of("info_hash")].contains(&Some(target.as_bytes())));
        }
        Method::GetPeers { info_hash, .. } => assert_eq!(octets_of("info_hash"), Some(&info_hash.as_bytes()[..])),
        Method::Get { target, seq, .. } => {
            assert_eq!(octets_of("target"), Some(&target.as_bytes()[..]));
            assert!(seq.is_none() || int_of("seq") == seq.map(i128::from));
        }
        Method::AnnouncePeer { info_hash, token, .. } => {
            assert_eq!(octets_of("info_hash"), Some(&info_hash.as_bytes()[..]));
            assert_eq!(octets_of("token"), Some(token));
        }
        Method::Put(put) => {
            assert_eq!(octets_of("token"), Some(put.token));
            assert_eq!(arguments.get("v").expect("v").encode(), put.value);
            if let Some(mutable) = put.mutable {
                assert_eq!(octets_of("k"), Some(&mutable.key[..]));
                assert_eq!(octets_of("sig"), Some(&mutable.signature[..]));
                assert_eq!(octets_of("salt").unwrap_or_default(), mutable.salt);
                assert_eq!(int_of("seq"), Some(mutable.seq.into()));
                assert_eq!(int_of("cas"), mutable.cas.map(i128::from));
            } else {
                assert!(["k", "sig"].iter().all(|key| arguments.get(key).is_none()));
            }
        }
    }
    let mut buf = vec![0; octets.len() + 32];
    let len = query.write(Config::new([0; 32]).version, &mut buf).expect("room");
    let written = Value::decode(&buf[..len]).expect("what we write is canonical");
    assert_eq!(written.get("t"), value.get("t"));
    for key in written.get("a").expect("arguments").keys() {
        // What both have, they have in the same words; a list of wants is put in our words, and so are ports.
        if !matches!(&key[..], "want" | "port" | "implied_port" | "salt" | "target") {
            assert_eq!(written.get("a").and_then(|written| written.get(&key)), arguments.get(&key), "{key}");
        }
    }
}

/// A value that the choices make: mostly canonical.
fn grow(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.below(if depth < 6 { 9 } else { 4 }) {
        0 => Value::Int(choices.octet().into()),
        1 => Value::Int(-i128::from(choices.number()) << (choices.octet() % 100)),
        2 => Value::Bytes(choices.octets(24)),
        3 => Value::Bytes(vec![b'x'; choices.of(&[0, 1, 9, 10, 20, 32, 64, 99, 100, 999, 1_000])]),
        4 => Value::List((0..choices.below(6)).map(|_| grow(choices, depth + 1)).collect()),
        5 => raw_nest(choices),
        6 => {
            // As it comes: perhaps not in order, perhaps twice.
            let entries = (0..choices.below(4)).map(|_| (choices.octets(3), grow(choices, depth + 1)));
            Value::Dict(entries.collect())
        }
        7 => {
            let entries: std::collections::BTreeMap<_, _> =
                (0..choices.below(6)).map(|_| (choices.octets(4), grow(choices, depth + 1))).collect();
            Value::Dict(entries.into_iter().collect())
        }
        _ => message(choices, depth),
    }
}

/// Many levels of lists or dicts.
fn raw_nest(choices: &mut Choices<'_>) -> Value {
    let levels = choices.of(&[2, 100, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1]);
    if choices.one_in(2) {
        Value::Raw(["d0:".repeat(levels - 1), "de".into(), "e".repeat(levels - 1)].concat().into_bytes())
    } else {
        Value::Raw(["l".repeat(levels), "e".repeat(levels)].concat().into_bytes())
    }
}

/// A query with some of the arguments that queries have.
fn message(choices: &mut Choices<'_>, depth: usize) -> Value {
    let mut arguments = crate::datagram::dict();
    for key in ["id", "target", "info_hash", "token", "v", "k", "sig", "salt", "seq", "cas", "want", "port"] {
        let value = match choices.below(4) {
            0 => continue,
            1 => grow(choices, depth + 2),
            _ => match key {
                "v" => grow(choices, depth + 2),
                "seq" | "cas" | "port" => Value::Int(choices.octet().into()),
                "k" => Value::Bytes(vec![choices.octet(); 32]),
                "sig" => Value::Bytes(vec![choices.octet(); 64]),
                "want" => Value::List(vec!["n4".into(), "n6".into()]),
                _ => Value::Bytes(vec![choices.octet(); 20]),
            },
        };
        arguments = arguments.with(key, value);
    }
    let method = choices.of(&["ping", "find_node", "get_peers", "announce_peer", "get", "put", "vote"]);
    let kind = choices.of(&["q", "q", "q", "r", "e", "x"]);
    let content = if kind == "r" { "r" } else { "a" };
    crate::datagram::dict().with(content, arguments).with("q", method).with("t", "aa").with("y", kind)
}

/// What our reader finds in the value is what the tests' reader has found.
fn same(ours: bencode::Value<'_>, theirs: &Value) {
    assert_eq!(ours.raw(), theirs.encode());
    assert_eq!(ours.bytes(), theirs.bytes());
    assert_eq!(ours.integer(), theirs.int().and_then(|number| i64::try_from(number).ok()));
    assert_eq!(ours.items().is_some(), theirs.items().is_some());
    if let (Some(ours), Some(theirs)) = (ours.items(), theirs.items()) {
        let ours: Vec<_> = ours.map(|item| item.expect("an item")).collect();
        assert_eq!(ours.len(), theirs.len());
        ours.into_iter().zip(theirs).for_each(|(ours, theirs)| same(ours, theirs));
    }
    assert_eq!(ours.entries().is_some(), matches!(theirs, Value::Dict(_)));
    if let (Some(ours), Value::Dict(theirs)) = (ours.entries(), theirs) {
        let ours: Vec<_> = ours.map(|entry| entry.expect("an entry")).collect();
        assert_eq!(ours.len(), theirs.len());
        for ((our_key, ours), (key, theirs)) in ours.into_iter().zip(theirs) {
            assert_eq!(our_key, key);
            same(ours, theirs);
        }
    }
}

/// Writes the value with our writer; false if it has a number that ours does not write.
fn write(writer: &mut Writer<'_>, value: &Value) -> bool {
    match value {
        Value::Int(number) => match i64::try_from(*number) {
            Ok(number) => _ = writer.integer(number),
            Err(_) => return false,
        },
        Value::Bytes(octets) => _ = writer.bytes(octets),
        Value::List(items) => {
            writer.list();
            if !items.iter().all(|item| write(writer, item)) {
                return false;
            }
            writer.end();
        }
        Value::Dict(entries) => {
            writer.dict();
            for (key, value) in entries {
                writer.bytes(key);
                if !write(writer, value) {
                    return false;
                }
            }
            writer.end();
        }
        Value::Raw(octets) => _ = writer.raw(octets),
    }
    true
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Dict(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
