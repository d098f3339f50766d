//! BEP 44 as a storing node sees it: each line of the project's checklist, over datagrams in and datagrams out. A test is
//! named after the line that it checks.

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

// --- get ---

#[test]
fn line_01_a_get_that_hits_carries_nodes_as_well() {
    let mut script = with_contacts(12);
    let item = immutable(b"5:hello");
    script.put(alice(), &item).unwrap();
    let reply = script.get(bob(), target_of(&item));
    assert_eq!(reply.keys(), ["id", "nodes", "token", "v"]);
    assert_eq!(nodes_of(reply.get("nodes").unwrap().bytes().unwrap(), 6).len(), 8);
    // Over IPv6 those of IPv6 (BEP 32), of which there are none yet.
    let reply = script.get(addr("[2001:db8::1]:5"), target_of(&item));
    assert_eq!(reply.keys(), ["id", "nodes6", "token", "v"]);
    script.befriend(addr("[2001:db8::77]:5"), Remote::new([3; 20]));
    let reply = script.get(addr("[2001:db8::1]:5"), target_of(&item));
    let nodes = nodes_of(reply.get("nodes6").unwrap().bytes().unwrap(), 18);
    assert_eq!(nodes, [([3; 20], addr("[2001:db8::77]:5"))]);
}

#[test]
fn line_02_a_get_carries_a_token_whether_it_hits_or_not() {
    let mut script = Script::new();
    let item = immutable(b"5:hello");
    for _ in 0..2 {
        let reply = script.get(alice(), target_of(&item));
        assert!(!reply.get("token").unwrap().bytes().unwrap().is_empty());
        script.put(alice(), &item).unwrap();
    }
}

#[test]
fn line_03_a_token_for_one_target_does_not_open_another() {
    let mut script = Script::new();
    let (a, b) = (immutable(b"1:a"), immutable(b"1:b"));
    let token = script.token(alice(), target_of(&a));
    refused(&mut script, alice(), &b.with("token", token.clone()), 203);
    refused(&mut script, alice(), &writer().item(b"", 1, b"1:a").with("token", token.clone()), 203);
    send(&mut script, alice(), &a.with("token", token)).unwrap();
}

#[test]
fn line_04_a_token_from_another_ip_is_refused() {
    let mut script = Script::new();
    let item = immutable(b"1:a");
    let token = script.token(alice(), target_of(&item));
    for from in ["203.0.113.6:1111", "198.51.100.7:1111", "[2001:db8::1]:1111"] {
        refused(&mut script, addr(from), &item.clone().with("token", token.clone()), 203);
    }
    let token = script.token(addr("[2001:db8::1]:1111"), target_of(&item));
    refused(&mut script, addr("[2001:db8::2]:1111"), &item.clone().with("token", token.clone()), 203);
    is_not_stored(&mut script, target_of(&item));
    send(&mut script, addr("[2001:db8::1]:1111"), &item.with("token", token)).unwrap();
}

#[test]
fn line_05_a_token_from_another_port_is_accepted() {
    let mut script = Script::new();
    let item = immutable(b"1:a");
    let token = script.token(alice(), target_of(&item));
    send(&mut script, addr("203.0.113.5:9"), &item.clone().with("token", token)).unwrap();
    is_stored(&mut script, &item);
}

#[test]
fn line_06_a_token_lives_for_five_minutes_and_not_for_more_than_ten() {
    // Issued at any time within the life of a secret.
    for second in [0, 1, 150, 299, 300, 301] {
        let mut script = Script::new();
        script.wait(Duration::from_secs(second));
        let arguments = with_token(&mut script, alice(), immutable(b"1:a"));
        script.wait(5 * MINUTE);
        send(&mut script, alice(), &arguments).unwrap();
        script.wait(5 * MINUTE);
        refused(&mut script, alice(), &arguments, 203);
    }
}

#[test]
fn line_07_a_get_that_misses_has_id_token_and_nodes_only() {
    let mut script = with_contacts(3);
    script.put(alice(), &immutable(b"1:a")).unwrap();
    assert_eq!(script.get(alice(), [9; 20]).keys(), ["id", "nodes", "token"]);
}

#[test]
fn line_08_an_immutable_item_is_returned_octet_for_octet() {
    let mut script = Script::new();
    let value = b"d1:ai1e1:bl0:i-7eee";
    script.put(alice(), &immutable(value)).unwrap();
    let reply = script.get(bob(), sha1(value));
    assert_eq!(reply.keys(), ["id", "nodes", "token", "v"]);
    assert_eq!(reply.get("v").unwrap().encode(), value);
}

#[test]
fn line_09_a_mutable_item_is_returned_octet_for_octet_and_without_its_salt() {
    let mut script = Script::new();
    for salt in [&b""[..], b"salt"] {
        let item = writer().item(salt, 4, b"12:Hello World!");
        script.put(alice(), &item).unwrap();
        let reply = script.get(bob(), writer().target(salt));
        assert_eq!(reply.keys(), ["id", "k", "nodes", "seq", "sig", "token", "v"]);
        assert_eq!(item_in(reply), as_found(&item));
    }
}

/// A `get` with `seq`.
fn get_newer(script: &mut Script<'_>, target: Id, seq: Value) -> Result<Value, i64> {
    script.content(bob(), &query("get", dict().with("seq", seq).with("target", target)))
}

#[test]
fn line_10_who_has_the_newest_version_is_told_its_number_only() {
    let mut script = with_contacts(2);
    script.put(alice(), &writer().item(b"", 5, b"1:a")).unwrap();
    for seq in [5, 6, i64::MAX] {
        let reply = get_newer(&mut script, writer().target(b""), seq.into()).unwrap();
        assert_eq!(reply.keys(), ["id", "nodes", "seq", "token"]);
        assert_eq!(reply.get("seq"), Some(&5.into()));
        assert_eq!(reply.get("nodes").unwrap().bytes().unwrap().len(), 2 * 26);
    }
}

#[test]
fn line_11_who_has_an_older_version_is_given_the_newest() {
    let mut script = Script::new();
    let item = writer().item(b"", 5, b"1:a");
    script.put(alice(), &item).unwrap();
    for seq in [4, 0] {
        let reply = get_newer(&mut script, writer().target(b""), seq.into()).unwrap();
        assert_eq!(item_in(reply), as_found(&item));
    }
}

#[test]
fn line_12_seq_means_nothing_for_an_immutable_item() {
    let mut script = Script::new();
    script.put(alice(), &immutable(b"1:a")).unwrap();
    for seq in [0, 5, i64::MAX] {
        let reply = get_newer(&mut script, sha1(b"1:a"), seq.into()).unwrap();
        assert_eq!(item_in(reply), dict().with("v", "a"));
    }
}

#[test]
fn line_13_a_seq_that_is_negative_compares_and_one_that_is_no_integer_of_64_bits_is_refused() {
    let mut script = Script::new();
    let item = writer().item(b"", 0, b"1:a");
    script.put(alice(), &item).unwrap();
    for seq in [-1, i64::MIN] {
        let reply = get_newer(&mut script, writer().target(b""), seq.into()).unwrap();
        assert_eq!(item_in(reply), as_found(&item));
    }
    for seq in ["1:1", "0:", "le", "de", "i-0e", "i01e", "ie", "ixe", "i9223372036854775808e", "i-9223372036854775809e"]
    {
        assert_eq!(get_newer(&mut script, writer().target(b""), raw(seq)), Err(203), "{seq}");
    }
}

#[test]
fn line_14_a_get_without_a_target_of_20_octets_is_refused() {
    let mut script = Script::new();
    assert_eq!(script.content(alice(), &query("get", dict())), Err(203));
    for target in [raw("0:"), [1; 19].into(), [1; 21].into(), 5.into(), list(vec![]), dict()] {
        assert_eq!(script.content(alice(), &query("get", dict().with("target", target))), Err(203));
    }
}

#[test]
fn line_15_want_says_which_nodes() {
    let mut script = with_contacts(1);
    script.befriend(addr("[2001:db8::77]:5"), Remote::new([3; 20]));
    let (v4, v6) = (alice(), addr("[2001:db8::1]:5"));
    let mut keys = |from, want: &[&str]| {
        let want = list(want.iter().map(|want| (*want).into()).collect());
        let reply = script.content(from, &query("get", dict().with("target", [0; 20]).with("want", want))).unwrap();
        for (key, len) in [("nodes", 26), ("nodes6", 38)] {
            assert!(reply.get(key).is_none_or(|nodes| nodes.bytes().unwrap().len() == len));
        }
        reply.without("id").without("token").keys()
    };
    for from in [v4, v6] {
        assert_eq!(keys(from, &["n4"]), ["nodes"]);
        assert_eq!(keys(from, &["n6"]), ["nodes6"]);
        assert_eq!(keys(from, &["n4", "n6"]), ["nodes", "nodes6"]);
        assert_eq!(keys(from, &["n6", "x", "n4"]), ["nodes", "nodes6"]);
        assert_eq!(keys(from, &["n4", "n8"]), ["nodes"]);
        let own = if from == v4 { ["nodes"] } else { ["nodes6"] };
        assert_eq!(keys(from, &["x", ""]), own);
        assert_eq!(keys(from, &[]), own);
    }
    for want in [5.into(), "n6".into(), list(vec![6.into()])] {
        let arguments = dict().with("target", [0; 20]).with("want", want);
        assert_eq!(script.content(v4, &query("get", arguments)).unwrap().keys(), ["id", "nodes", "token"]);
    }
}

#[test]
fn line_16_a_long_answer_has_fewer_nodes_and_the_whole_value() {
    let mut script = with_contacts(16);
    for number in 0..16 {
        let at = addr(&format!("[2001:db8:{number:x}::7]:5"));
        script.befriend(at, Remote::new(sha1(&[b'6', number])));
    }
    let (mut short, mut long) = (0, 0);
    for len in [2, 60, 500, 600, 700, 800, 900, 1_000] {
        for mutable in [false, true] {
            let value = string_of(len, b'v');
            let item = if mutable { writer().item(b"", len as i64, &value) } else { immutable(&value) };
            script.put(alice(), &item).unwrap();
            let both = dict().with("want", list(vec!["n4".into(), "n6".into()]));
            for arguments in [dict(), both] {
                let ask = query("get", arguments.with("target", target_of(&item)));
                let datagram = script.hand(bob(), &ask.encode()).unwrap();
                let reply = script.content(bob(), &ask).unwrap();
                assert_eq!(reply.get("v").unwrap().encode(), value, "the value is never cut");
                let nodes = nodes_of(reply.get("nodes").unwrap().bytes().unwrap(), 6);
                assert!((3..=8).contains(&nodes.len()) && datagram.len() <= 1_452, "{}", datagram.len());
                // Four are kept, as long as one datagram can hold them.
                assert!(datagram.len() <= 1_024 || nodes.len() == 4 || datagram.len() > 1_452 - 26 - 38);
                assert!(nodes.len() >= 4 || reply.get("nodes6").is_some());
                if datagram.len() <= 1_024 {
                    short += 1
                } else {
                    long += 1
                }
                // The nearest stay.
                let distance = |id: &Id| -> Vec<u8> { id.iter().zip(target_of(&item)).map(|(a, b)| a ^ b).collect() };
                assert!(nodes.is_sorted_by_key(|(id, _)| distance(id)));
            }
        }
    }
    assert!(short > 0 && long > 0);
}

// --- put: form ---

#[test]
fn line_17_a_put_needs_no_target_and_one_that_it_has_is_not_trusted() {
    let mut script = Script::new();
    let (a, b) = (immutable(b"1:a"), writer().item(b"", 1, b"1:b"));
    for item in [&a, &b] {
        for target in [raw("i1e"), [7; 20].into()] {
            let arguments = with_token(&mut script, alice(), item.clone());
            send(&mut script, alice(), &arguments.with("target", target)).unwrap();
        }
        is_stored(&mut script, item);
    }
    is_not_stored(&mut script, [7; 20]);
    // Nor does a token for the target that it names help.
    let token = script.token(alice(), [7; 20]);
    refused(&mut script, alice(), &a.with("target", [7; 20]).with("token", token), 203);
}

#[test]
fn line_18_a_token_that_is_missing_empty_or_no_string_is_refused() {
    let mut script = Script::new();
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        refused(&mut script, alice(), &item, 203);
        for token in ["0:", "i1e", "le", "l1:ae", "de"] {
            refused(&mut script, alice(), &item.clone().with("token", raw(token)), 203);
        }
    }
}

#[test]
fn line_19_a_wrong_token_of_any_length_is_refused() {
    let mut script = Script::new();
    let item = immutable(b"1:a");
    let good = script.token(alice(), target_of(&item));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut wrong = good.clone();
            wrong[at] ^= 1 << bit;
            refused(&mut script, alice(), &item.clone().with("token", wrong), 203);
        }
    }
    for len in (1..good.len()).chain(good.len() + 1..40) {
        let wrong: Vec<u8> = good.iter().cycle().copied().take(len).collect();
        refused(&mut script, alice(), &item.clone().with("token", wrong), 203);
    }
    is_not_stored(&mut script, target_of(&item));
    send(&mut script, alice(), &item.with("token", good)).unwrap();
}

#[test]
fn line_20_a_put_without_a_value_is_refused() {
    let mut script = Script::new();
    let token = script.token(alice(), writer().target(b""));
    refused(&mut script, alice(), &dict().with("token", token.clone()), 203);
    refused(&mut script, alice(), &writer().item(b"", 1, b"1:a").without("v").with("token", token), 203);
}

/// Values of every type.
const VALUES: [&[u8]; 14] = [
    b"0:",
    b"1:a",
    b"12:Hello World!",
    b"3:\0\xff\x80",
    b"i0e",
    b"i-1e",
    b"i9223372036854775807e",
    b"i-9223372036854775808e",
    b"le",
    b"li1e1:alee",
    b"de",
    b"d0:0:1:ai1e2:aade1:bl0:ee",
    b"d5:tokeni1e1:v1:ve",
    b"llleee",
];

#[test]
fn line_21_a_value_of_any_type_is_stored_and_returned_octet_for_octet() {
    let mut script = Script::new();
    for (at, value) in VALUES.into_iter().enumerate() {
        for item in [immutable(value), writer().item(b"", at as i64, value)] {
            script.put(alice(), &item).unwrap();
            let reply = script.get(bob(), target_of(&item));
            assert_eq!(reply.get("v").unwrap().encode(), value);
        }
    }
}

#[test]
fn line_22_the_target_of_an_immutable_item_is_the_hash_of_exactly_its_octets() {
    let mut script = Script::new();
    for value in VALUES {
        let token = script.token(alice(), sha1(value));
        send(&mut script, alice(), &immutable(value).with("token", token)).unwrap();
        assert_eq!(script.get(bob(), sha1(value)).get("v").unwrap().encode(), value);
    }
}

/// Octets that end where a value would end, and are no value in canonical form.
const NOT_CANONICAL: [&str; 20] = [
    "d1:bi1e1:ai2ee",
    "d1:ai1e1:ai2ee",
    "d2:aai1e1:ai1ee",
    "di1e1:ae",
    "d1:ae",
    "i03e",
    "i-0e",
    "i-03e",
    "i00e",
    "i e",
    "ie",
    "i-e",
    "i+1e",
    "i1 e",
    "i0x1e",
    "i--1e",
    "03:abc",
    "00:",
    "li03ee",
    "d1:ad1:b0:1:a0:ee",
];

#[test]
fn line_23_a_value_that_is_not_canonical_is_refused() {
    let mut script = Script::new();
    for value in NOT_CANONICAL {
        refused_with_token(&mut script, &immutable(value.as_bytes()), 203);
        refused_with_token(&mut script, &writer().item(b"", 1, value.as_bytes()), 203);
        // What is right outside may be wrong inside.
        refused_with_token(&mut script, &immutable(format!("l{value}e").as_bytes()), 203);
    }
    // More than one value: what follows the first is no key.
    for value in ["0:i1e", "lei1e", "i1ei2e"] {
        refused_with_token(&mut script, &immutable(value.as_bytes()), 203);
    }
    assert_eq!(script.kept(), []);
}

#[test]
fn line_23_a_value_that_swallows_what_follows_leaves_nothing_to_answer() {
    let mut script = Script::new();
    for value in ["1:", "5:abc", "l", "d", "i1", "x", "-1:a", "99999999999999999999:a"] {
        let arguments = with_token(&mut script, alice(), immutable(value.as_bytes()));
        assert_eq!(script.hand(alice(), &query("put", arguments).encode()), None, "{value}");
    }
    // Nor can a transaction id that stands before it be known to be one.
    let text = b"d1:t2:aa1:y1:q1:q3:put1:ad2:id20:abcdefghij01234567895:token1:x1:v9:abc";
    assert_eq!(script.hand(alice(), text), None);
    assert_eq!(script.kept(), []);
}

#[test]
fn line_24_keys_of_the_message_may_stand_in_any_order() {
    let mut script = Script::new();
    let item = writer().item(b"salt", 3, b"d1:a0:e");
    let Value::Dict(mut arguments) = with_token(&mut script, alice(), item.clone()).with("id", ASKER) else { panic!() };
    arguments.reverse();
    let message = Value::Dict(vec![
        (b"y".to_vec(), "q".into()),
        (b"t".to_vec(), "aa".into()),
        (b"q".to_vec(), "put".into()),
        (b"a".to_vec(), Value::Dict(arguments)),
    ]);
    script.content(alice(), &message).unwrap();
    is_stored(&mut script, &item);
}

#[test]
fn line_25_integers_of_any_size_in_a_value_are_octets_to_us() {
    let mut script = Script::new();
    let long = format!("i-{}e", "9".repeat(900));
    for value in ["i9223372036854775808e", "i18446744073709551615e", "li99999999999999999999999ee", &long] {
        // The tests' own reader knows no such integers.
        let get = query("get", dict().with("target", sha1(value.as_bytes()))).encode();
        let token = script.token(alice(), sha1(value.as_bytes()));
        send(&mut script, alice(), &immutable(value.as_bytes()).with("token", token)).unwrap();
        let datagram = script.hand(bob(), &get).unwrap();
        let expected = format!("1:v{value}e");
        assert!(datagram.windows(expected.len()).any(|window| window == expected.as_bytes()), "{value}");
    }
}

#[test]
fn line_26_deep_nesting_is_judged_on_a_small_stack() {
    let test = || {
        let mut script = Script::new();
        for depth in [1, 249, 332, 450, 499, 500] {
            for (open, close) in [("l", "e"), ("d0:", "e")] {
                let value = format!("{}{}{}", open.repeat(depth), "de", close.repeat(depth));
                let token = script.token(alice(), sha1(value.as_bytes()));
                let put = send(&mut script, alice(), &immutable(value.as_bytes()).with("token", token));
                assert_eq!(put.map(drop), if value.len() <= 1_000 { Ok(()) } else { Err(205) }, "{value}");
            }
        }
        // Far deeper than a value can be, and in places where nothing is stored.
        for depth in [501, 2_000, 30_000] {
            let nested = format!("{}{}", "l".repeat(depth), "e".repeat(depth));
            let put = send(&mut script, alice(), &immutable(nested.as_bytes()).with("token", "x"));
            assert!(matches!(put, Err(203 | 205)), "{put:?}");
            let target = dict().with("target", raw(&nested));
            assert_eq!(script.content(alice(), &query("get", target)), Err(203));
            assert_eq!(script.hand(alice(), nested.as_bytes()), None);
        }
    };
    std::thread::Builder::new().stack_size(256 * 1_024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn line_27_unknown_arguments_are_ignored() {
    let mut script = Script::new();
    let item = writer().item(b"", 1, b"1:a");
    let arguments = with_token(&mut script, alice(), item.clone());
    let arguments = arguments.with("A", dict()).with("noseed", 1).with("zz", list(vec![])).with("", "");
    send(&mut script, alice(), &arguments).unwrap();
    is_stored(&mut script, &item);
}

#[test]
fn line_28_a_transaction_id_of_any_length_is_echoed() {
    let mut script = Script::new();
    let item = immutable(b"1:a");
    let put = query("put", with_token(&mut script, alice(), item.clone()));
    let get = query("get", dict().with("target", target_of(&item)));
    for len in 1..=64_usize {
        let transaction: Vec<u8> = (0..len).map(|at| (at * 37 + len) as u8).collect();
        for message in [&put, &get, &query("ping", dict()), &query("get", dict()), &query("put", dict())] {
            // That it is echoed is checked by `ask`.
            assert!(script.ask(alice(), &message.clone().with("t", transaction.clone())).is_some());
        }
    }
    // A longer one is not answered, nor is what is none.
    for transaction in [raw("0:"), vec![7; 65].into(), 5.into(), list(vec!["aa".into()])] {
        assert_eq!(script.ask(alice(), &get.clone().with("t", transaction)), None);
    }
}

// --- put: size, salt, key, signature ---

#[test]
fn line_29_a_value_of_1_000_octets_is_stored_and_one_of_1_001_is_not() {
    let mut script = Script::new();
    let value = |content| Value::Bytes(vec![b'x'; content]).encode();
    assert_eq!((value(996).len(), value(997).len()), (1_000, 1_001));
    let good = [immutable(&value(996)), writer().item(b"", 5, &value(996))];
    for item in &good {
        script.put(alice(), item).unwrap();
    }
    for content in [997, 998, 1_100, 30_000] {
        refused_with_token(&mut script, &immutable(&value(content)), 205);
        refused_with_token(&mut script, &writer().item(b"", 6, &value(content)), 205);
        is_not_stored(&mut script, sha1(&value(content)));
    }
    for item in &good {
        is_stored(&mut script, item);
    }
}

#[test]
fn line_30_the_limit_of_1_000_octets_counts_the_encoded_value() {
    let mut script = Script::new();
    let numbers = |count, last| format!("l{}{last}e", "i1e".repeat(count));
    let exact = numbers(331, "i100e");
    assert_eq!(exact.len(), 1_000);
    script.put(alice(), &immutable(exact.as_bytes())).unwrap();
    is_stored(&mut script, &immutable(exact.as_bytes()));
    let over = numbers(331, "i1000e");
    assert_eq!(over.len(), 1_001);
    refused_with_token(&mut script, &immutable(over.as_bytes()), 205);
}

#[test]
fn line_31_a_salt_of_64_octets_is_taken_and_one_of_65_is_not() {
    let mut script = Script::new();
    let item = writer().item(&[0xff; 64], 1, b"1:a");
    script.put(alice(), &item).unwrap();
    is_stored(&mut script, &item);
    for len in [65, 100, 1_000] {
        refused_with_token(&mut script, &writer().item(&vec![0xff; len], 1, b"1:a"), 207);
    }
    for salt in ["i1e", "le", "de"] {
        let item = writer().item(b"", 1, b"1:a").with("salt", raw(salt));
        let token = script.token(alice(), writer().target(b""));
        refused(&mut script, alice(), &item.with("token", token), 203);
    }
}

#[test]
fn line_32_an_empty_salt_is_none() {
    let mut script = Script::new();
    for seq in 1..=4 {
        let item = writer().item(b"", seq, b"1:a");
        let item = if seq % 2 == 0 { item } else { item.with("salt", "") };
        script.put(alice(), &item).unwrap();
        is_stored(&mut script, &item);
    }
    assert_eq!(script.kept().len(), 1);
}

#[test]
fn line_33_a_signature_over_an_empty_salt_is_refused() {
    let mut script = Script::new();
    let wrong = writer().sign(b"4:salt0:3:seqi1e1:v1:a");
    let item = writer().item(b"", 1, b"1:a").with("sig", wrong);
    refused_with_token(&mut script, &item, 206);
    refused_with_token(&mut script, &item.with("salt", ""), 206);
    is_not_stored(&mut script, writer().target(b""));
}

#[test]
fn line_34_a_mutable_item_is_stored_under_the_hash_of_key_and_salt() {
    let mut script = Script::new();
    let item = writer().item(b"salt", 1, b"1:a");
    script.put(alice(), &item).unwrap();
    let target = sha1(&[&writer().key()[..], b"salt"].concat());
    assert_eq!(item_in(script.get(bob(), target)), as_found(&item));
    is_not_stored(&mut script, sha1(&writer().key()));
    is_not_stored(&mut script, sha1(b"1:a"));
}

#[test]
fn line_35_a_key_or_signature_of_another_length_is_malformed() {
    let mut script = Script::new();
    let item = writer().item(b"", 1, b"1:a");
    for len in [0, 31, 33, 64] {
        refused_with_token(&mut script, &item.clone().with("k", vec![1; len]), 203);
    }
    for len in [0, 63, 65, 128] {
        refused_with_token(&mut script, &item.clone().with("sig", vec![1; len]), 203);
    }
    let token = script.token(alice(), writer().target(b""));
    let item = item.with("token", token);
    for wrong in ["i1e", "le"] {
        refused(&mut script, alice(), &item.clone().with("k", raw(wrong)), 203);
        refused(&mut script, alice(), &item.clone().with("sig", raw(wrong)), 203);
    }
}

#[test]
fn line_36_a_key_without_seq_or_signature_is_refused_and_not_stored_as_immutable() {
    let mut script = Script::new();
    let item = writer().item(b"", 1, b"1:a");
    for missing in [&["seq"][..], &["sig"], &["seq", "sig"]] {
        let arguments = missing.iter().fold(item.clone(), |item, key| item.without(key));
        for target in [writer().target(b""), sha1(b"1:a")] {
            let token = script.token(alice(), target);
            refused(&mut script, alice(), &arguments.clone().with("token", token), 203);
        }
    }
    is_not_stored(&mut script, sha1(b"1:a"));
}

#[test]
fn line_37_what_belongs_to_a_key_is_refused_without_one() {
    let mut script = Script::new();
    let item = writer().item(b"salt", 1, b"1:a").without("k");
    for missing in [&[][..], &["seq"], &["sig"], &["salt"], &["seq", "sig"], &["seq", "salt"], &["sig", "salt"]] {
        let arguments = missing.iter().fold(item.clone(), |item, key| item.without(key));
        let token = script.token(alice(), sha1(b"1:a"));
        refused(&mut script, alice(), &arguments.with("token", token), 203);
    }
    is_not_stored(&mut script, sha1(b"1:a"));
}

/// Flips one bit of a string.
fn flipped(arguments: &Value, key: &str, bit: usize) -> Value {
    let mut octets = arguments.get(key).and_then(Value::bytes).unwrap().to_vec();
    octets[bit / 8] ^= 1 << (bit % 8);
    arguments.clone().with(key, octets)
}

#[test]
fn line_38_a_signature_is_verified_before_anything_changes() {
    let mut script = Script::new();
    let old = writer().item(b"salt", 1, b"5:value");
    script.put(alice(), &old).unwrap();
    let since = script.now;
    script.wait(HOUR);
    let new = writer().item(b"salt", 2, b"5:other");
    for bit in [0, 7, 100, 255, 256, 300, 400, 511] {
        refused_with_token(&mut script, &flipped(&new, "sig", bit), 206);
    }
    for bit in [0, 1, 100, 200, 255] {
        refused_with_token(&mut script, &flipped(&new, "k", bit), 206);
    }
    for bit in [0, 31] {
        refused_with_token(&mut script, &flipped(&new, "salt", bit), 206);
    }
    refused_with_token(&mut script, &new.clone().with("v", "othes"), 206);
    refused_with_token(&mut script, &new.clone().with("seq", 3), 206);
    refused_with_token(&mut script, &new.clone().without("salt"), 206);
    refused_with_token(&mut script, &new.with("sig", old.get("sig").unwrap().clone()), 206);
    is_stored(&mut script, &old);
    assert_eq!(script.kept().len(), 1);
    // Its time is as it was.
    script.wait((since + TWO_HOURS).since(script.now) - TICK);
    is_stored(&mut script, &old);
    script.wait(TICK);
    is_not_stored(&mut script, writer().target(b"salt"));
}

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn line_39_signatures_that_only_a_lenient_verifier_takes_are_refused() {
    let mut script = Script::new();
    let item = writer().item(b"", 1, b"1:a");
    // S + L: solves the same equation.
    let mut signature = item.get("sig").and_then(Value::bytes).unwrap().to_vec();
    let mut carry = 0;
    for (octet, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*octet) + u16::from(add) + carry;
        (*octet, carry) = (sum as u8, sum >> 8);
    }
    refused_with_token(&mut script, &item.clone().with("sig", signature), 206);
    // Keys of small order: the identity, the point of order 2, one of order 4, and encodings of these that are not
    // canonical (y + p, or the wrong sign of zero). With R the identity and S zero the equation holds for any value.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let (mut p, mut p_plus_one, mut identity_signed) = ([0xff; 32], [0xff; 32], identity);
    (p[0], p[31]) = (0xed, 0x7f);
    (p_plus_one[0], p_plus_one[31]) = (0xee, 0x7f);
    identity_signed[31] = 0x80;
    for key in [identity, [0; 32], minus_one, p, p_plus_one, identity_signed] {
        for r in [identity, p_plus_one, minus_one] {
            let signature = [r, [0; 32]].concat();
            let forged = dict().with("k", key).with("seq", 1).with("sig", signature).with("v", raw("1:a"));
            refused_with_token(&mut script, &forged, 206);
        }
    }
    // A good key with such an R.
    for r in [identity, p_plus_one, [0xff; 32]] {
        refused_with_token(&mut script, &item.clone().with("sig", [r, [0; 32]].concat()), 206);
    }
    script.put(alice(), &item).unwrap();
}

#[test]
fn line_40_a_sequence_number_is_an_integer_from_0_to_the_largest_of_63_bits() {
    let mut script = Script::new();
    for seq in [0, 1, i64::MAX] {
        let item = writer().item(b"", seq, b"1:a");
        script.put(alice(), &item).unwrap();
        is_stored(&mut script, &item);
    }
    let item = writer().item(b"other", 1, b"1:a");
    let token = script.token(alice(), writer().target(b"other"));
    for seq in ["i9223372036854775808e", "i-1e", "i-0e", "i00e", "i-9223372036854775808e", "ie", "1:1", "le"] {
        let arguments = item.clone().with("seq", raw(seq)).with("token", token.clone());
        refused(&mut script, alice(), &arguments, 203);
    }
    // Even if it is signed.
    refused_with_token(&mut script, &writer().item(b"other", -1, b"1:a"), 203);
}

#[test]
fn line_41_what_has_the_highest_sequence_number_stays() {
    let mut script = Script::new();
    let item = writer().item(b"", i64::MAX, b"1:a");
    script.put(alice(), &item).unwrap();
    script.wait(MINUTE);
    for seq in [0, i64::MAX - 1, i64::MAX] {
        refused_with_token(&mut script, &writer().item(b"", seq, b"1:b"), 302);
    }
    script.put(alice(), &item).unwrap();
    is_stored(&mut script, &item);
}

// --- put: seq and cas ---

/// A node that has stored `item` an hour ago.
fn with_item(item: &Value) -> Script<'static> {
    let mut script = Script::new();
    script.put(alice(), item).unwrap();
    script.wait(HOUR);
    script
}

/// How long the only item has left.
fn time_left(script: &Script<'_>) -> Duration {
    let kept = script.kept();
    assert_eq!(kept.len(), 1);
    kept[0].expires.since(script.now)
}

#[test]
fn line_42_a_lower_sequence_number_is_refused() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    for (seq, value) in [(4, b"1:a"), (4, b"1:b"), (0, b"1:a")] {
        refused_with_token(&mut script, &writer().item(b"", seq, value), 302);
    }
    is_stored(&mut script, &writer().item(b"", 5, b"1:a"));
    assert_eq!(time_left(&script), HOUR);
}

#[test]
fn line_43_another_value_with_the_same_sequence_number_is_refused() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    for value in [&b"1:b"[..], b"0:", b"2:aa", b"1:A"] {
        refused_with_token(&mut script, &writer().item(b"", 5, value), 302);
    }
    is_stored(&mut script, &writer().item(b"", 5, b"1:a"));
    assert_eq!(time_left(&script), HOUR);
}

#[test]
fn line_44_the_same_version_again_begins_its_life_anew() {
    let item = writer().item(b"", 5, b"1:a");
    let mut script = with_item(&item);
    let reply = script.put(bob(), &item).unwrap();
    assert_eq!(reply.keys(), ["id"]);
    assert_eq!(time_left(&script), TWO_HOURS);
    script.wait(TWO_HOURS - TICK);
    is_stored(&mut script, &item);
    script.wait(TICK);
    is_not_stored(&mut script, writer().target(b""));
}

#[test]
fn line_45_another_good_signature_of_the_same_version_refreshes_it_and_is_not_kept() {
    let item = writer().item(b"salt", 5, b"1:a");
    let mut script = with_item(&item);
    let again = writer().sign_again(&Writer::signed(b"salt", 5, b"1:a"), 3);
    script.put(bob(), &item.clone().with("sig", again)).unwrap();
    is_stored(&mut script, &item);
    assert_eq!(time_left(&script), TWO_HOURS);
}

#[test]
fn line_46_a_bad_signature_of_the_same_version_refreshes_nothing() {
    let item = writer().item(b"", 5, b"1:a");
    let mut script = with_item(&item);
    refused_with_token(&mut script, &flipped(&item, "sig", 3), 206);
    refused_with_token(&mut script, &item.with("sig", [0; 64]), 206);
    assert_eq!(time_left(&script), HOUR);
}

#[test]
fn line_47_a_cas_that_is_not_the_stored_number_is_refused() {
    let old = writer().item(b"", 5, b"1:a");
    let mut script = with_item(&old);
    for cas in [4, 6, 0, i64::MAX] {
        refused_with_token(&mut script, &writer().item(b"", 6, b"1:b").with("cas", cas), 301);
    }
    is_stored(&mut script, &old);
    assert_eq!(time_left(&script), HOUR);
}

#[test]
fn line_48_a_cas_that_is_the_stored_number_lets_a_newer_version_in() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    let new = writer().item(b"", 9, b"1:b").with("cas", 5);
    script.put(bob(), &new).unwrap();
    is_stored(&mut script, &new);
}

#[test]
fn line_49_a_cas_that_matches_lets_no_older_version_in() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    for (seq, value) in [(4, b"1:b"), (5, b"1:b")] {
        refused_with_token(&mut script, &writer().item(b"", seq, value).with("cas", 5), 302);
    }
    is_stored(&mut script, &writer().item(b"", 5, b"1:a"));
}

#[test]
fn line_50_a_cas_mismatch_is_told_before_a_low_sequence_number() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    for (seq, cas) in [(4, 4), (5, 6), (0, 0)] {
        refused_with_token(&mut script, &writer().item(b"", seq, b"1:b").with("cas", cas), 301);
    }
}

#[test]
fn line_51_a_cas_means_nothing_where_nothing_is_stored() {
    for cas in [0, 7, -1, i64::MAX] {
        let mut script = Script::new();
        let item = writer().item(b"", 5, b"1:a").with("cas", cas);
        script.put(alice(), &item).unwrap();
        is_stored(&mut script, &item);
    }
}

#[test]
fn line_52_a_cas_means_nothing_for_an_immutable_item() {
    let mut script = Script::new();
    for cas in ["i0e", "i7e", "1:x", "le"] {
        for _ in 0..2 {
            script.put(alice(), &immutable(b"1:a").with("cas", raw(cas))).unwrap();
            is_stored(&mut script, &immutable(b"1:a"));
        }
    }
}

#[test]
fn line_53_a_cas_that_is_no_integer_is_refused_and_a_negative_one_never_matches() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    let new = writer().item(b"", 6, b"1:b");
    for cas in ["1:5", "le", "de", "i05e", "ie", "i9223372036854775808e"] {
        refused_with_token(&mut script, &new.clone().with("cas", raw(cas)), 203);
    }
    for cas in [-1, -5, i64::MIN] {
        refused_with_token(&mut script, &new.clone().with("cas", cas), 301);
    }
}

#[test]
fn line_54_a_cas_of_0_matches_sequence_number_0() {
    let mut script = with_item(&writer().item(b"", 0, b"1:a"));
    let new = writer().item(b"", 1, b"1:b").with("cas", 0);
    script.put(bob(), &new).unwrap();
    is_stored(&mut script, &new);
    refused_with_token(&mut script, &writer().item(b"", 2, b"1:c").with("cas", 0), 301);
}

#[test]
fn line_55_an_item_that_has_expired_is_compared_with_nothing() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    script.wait(HOUR);
    // A lower number, too: nobody remembers the higher one.
    let new = writer().item(b"", 3, b"1:b").with("cas", 99);
    script.put(bob(), &new).unwrap();
    is_stored(&mut script, &new);
}

#[test]
fn line_56_a_repeated_put_with_a_stale_cas_is_a_mismatch() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    let new = writer().item(b"", 6, b"1:b").with("cas", 5);
    script.put(bob(), &new).unwrap();
    script.wait(MINUTE);
    refused_with_token(&mut script, &new, 301);
    is_stored(&mut script, &new);
    assert_eq!(time_left(&script), TWO_HOURS - MINUTE);
}

#[test]
fn line_57_checks_are_made_from_cheap_to_dear() {
    let mut script = with_item(&writer().item(b"salt", 5, b"1:a"));
    // Everything is wrong with it; each repair brings the next fault to light.
    let mut item = writer()
        .item(&[b's'; 65], 4, &Value::Bytes(vec![b'x'; 1_000]).encode())
        .with("sig", [1; 64])
        .with("cas", 7)
        .with("token", "bad")
        .with("k", [1; 31]);
    refused(&mut script, alice(), &item, 203);
    item = item.with("k", writer().key()).with("v", raw("i01e"));
    refused(&mut script, alice(), &item, 203);
    item = item.with("v", raw(string_of(1_001, b'x')));
    refused(&mut script, alice(), &item, 205);
    item = item.with("v", raw("1:b"));
    refused(&mut script, alice(), &item, 207);
    item = item.with("salt", "salt");
    let verified = script.node.stats().verified;
    refused(&mut script, alice(), &item, 203);
    item = with_token(&mut script, alice(), item.without("token"));
    refused(&mut script, alice(), &item, 301);
    item = item.with("cas", 5);
    refused(&mut script, alice(), &item, 302);
    item = item.with("seq", 6);
    assert_eq!(script.node.stats().verified, verified, "no signature was verified so far");
    refused(&mut script, alice(), &item, 206);
    assert_eq!(script.node.stats().verified, verified + 1);
    let good = Writer::signed(b"salt", 6, b"1:b");
    send(&mut script, alice(), &item.with("sig", writer().sign(&good))).unwrap();
}

#[test]
fn line_57_the_very_same_put_refreshes_without_another_verification() {
    let item = writer().item(b"", 5, b"1:a");
    let mut script = with_item(&item);
    let verified = script.node.stats().verified;
    script.put(alice(), &item).unwrap();
    assert_eq!(time_left(&script), TWO_HOURS);
    assert_eq!(script.node.stats().verified, verified);
}

#[test]
fn line_57_nobody_without_a_good_token_makes_us_verify() {
    let mut script = Script::new();
    let item = writer().item(b"", 5, b"1:a");
    let token = script.token(bob(), target_of(&item));
    let other = script.token(alice(), [7; 20]);
    for token in [token, other, b"x".to_vec(), vec![0; 12]] {
        refused(&mut script, alice(), &item.clone().with("token", token), 203);
    }
    assert_eq!(script.node.stats().verified, 0);
}

#[test]
fn line_58_every_refusal_is_an_error_with_code_text_and_transaction_id() {
    let mut script = with_item(&writer().item(b"", 5, b"1:a"));
    let put = |script: &mut Script<'_>, item: Value| {
        let arguments = with_token(script, alice(), item);
        let answer = script.ask(alice(), &query("put", arguments).with("t", "tx99")).expect("never silence");
        assert_eq!(answer.get("y"), Some(&"e".into()));
        assert_eq!(answer.get("t"), Some(&"tx99".into()));
        assert_eq!(answer.get("r"), None);
        let [code, text] = answer.get("e").unwrap().items().unwrap() else { panic!() };
        assert!(!text.bytes().unwrap().is_empty());
        code.int().unwrap()
    };
    let new = writer().item(b"", 6, b"1:b");
    assert_eq!(put(&mut script, new.clone().with("seq", -1)), 203);
    assert_eq!(put(&mut script, immutable(&string_of(1_001, b'x'))), 205);
    assert_eq!(put(&mut script, new.clone().with("sig", [9; 64])), 206);
    assert_eq!(put(&mut script, writer().item(&[1; 65], 1, b"0:")), 207);
    assert_eq!(put(&mut script, new.with("cas", 1)), 301);
    assert_eq!(put(&mut script, writer().item(b"", 1, b"0:")), 302);
}

#[test]
fn line_59_success_is_a_reply_with_our_id() {
    let mut script = Script::new();
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        let arguments = with_token(&mut script, alice(), item);
        let answer = script.ask(alice(), &query("put", arguments)).unwrap();
        assert_eq!(answer.keys(), ["ip", "r", "t", "v", "y"]);
        assert_eq!(answer.get("r").unwrap().keys(), ["id"]);
        assert_eq!(answer.get("ip").and_then(Value::bytes).unwrap(), compact(alice()));
        assert_eq!(answer.get("v").and_then(Value::bytes).unwrap().len(), 4);
    }
}

#[test]
fn line_60_an_immutable_item_that_is_there_is_refreshed_and_not_stored_twice() {
    let item = immutable(b"5:value");
    let mut script = with_item(&item);
    let octets = script.node.item_octets();
    for from in [alice(), bob()] {
        script.put(from, &item).unwrap();
        assert_eq!(time_left(&script), TWO_HOURS);
    }
    assert_eq!(script.node.item_octets(), octets);
    is_stored(&mut script, &item);
}

#[test]
fn line_61_an_immutable_and_a_mutable_item_of_one_target_are_two() {
    // No collision of SHA-1 is needed: this key begins with `40:`, so that key and salt together are a byte string,
    // whose target as an immutable item is that of the mutable one.
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&458_804_u64.to_le_bytes());
    seed[31] = 1;
    let writer = Writer::from_seed(seed);
    let salt = b"saltsaltsal";
    let both = [&writer.key()[..], salt].concat();
    assert_eq!(Value::decode(&both).unwrap(), both[3..].into());
    let (fixed, changing) = (immutable(&both), writer.item(salt, 1, b"1:a"));
    assert_eq!(target_of(&fixed), target_of(&changing));
    for order in [[&fixed, &changing], [&changing, &fixed]] {
        let mut script = Script::new();
        for item in order {
            script.put(alice(), item).unwrap();
        }
        assert_eq!(script.kept().len(), 2, "neither has replaced the other");
        // Anybody could have put the immutable one, and only the holder of the key the other: so that one is shown.
        is_stored(&mut script, &changing);
        let newer = writer.item(salt, 2, b"1:b");
        script.put(alice(), &newer).unwrap();
        refused_with_token(&mut script, &changing, 302);
        is_stored(&mut script, &newer);
        assert_eq!(script.kept().len(), 2);
    }
}

// --- expiry and eviction ---

#[test]
fn line_62_an_item_lives_for_two_hours() {
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        let mut script = Script::new();
        script.put(alice(), &item).unwrap();
        script.wait(TWO_HOURS - TICK);
        is_stored(&mut script, &item);
        script.wait(TICK);
        is_not_stored(&mut script, target_of(&item));
        assert_eq!((script.kept().len(), script.node.item_octets()), (0, 0));
        // Nor does anything have to wake the node up for it.
        let mut script = Script::new();
        script.put(alice(), &item).unwrap();
        script.now = script.now + TWO_HOURS;
        is_not_stored(&mut script, target_of(&item));
    }
}

#[test]
fn line_62_the_node_wakes_up_when_an_item_expires_and_tells_of_it() {
    let mut script = Script::new();
    script.put(alice(), &immutable(b"1:a")).unwrap();
    script.tell();
    assert!(matches!(&script.events[..], [Told::Stored(kept)] if kept.value == b"1:a"));
    assert_eq!(script.node.poll_timeout(), Some(script.now + TWO_HOURS));
    script.wait(TWO_HOURS);
    script.tell();
    assert_eq!(script.events[1..], [Told::Dropped(sha1(b"1:a"), false, DropReason::Expired)]);
    assert_eq!(script.node.poll_timeout(), None);
}

#[test]
fn line_63_an_item_that_is_put_again_lives_for_two_hours_from_then_on() {
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        let mut script = with_item(&item);
        script.put(bob(), &item).unwrap();
        script.wait(TWO_HOURS - TICK);
        is_stored(&mut script, &item);
        script.wait(TICK);
        is_not_stored(&mut script, target_of(&item));
    }
}

#[test]
fn line_64_reading_prolongs_nothing() {
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        let mut script = Script::new();
        script.put(alice(), &item).unwrap();
        for _ in 0..119 {
            script.wait(MINUTE);
            is_stored(&mut script, &item);
        }
        script.wait(MINUTE);
        is_not_stored(&mut script, target_of(&item));
    }
}

/// An address in the network number `network`.
fn in_network(network: u16, host: u8) -> SocketAddr {
    let [a, b] = network.to_be_bytes();
    addr(&format!("70.{a}.{b}.{host}:4000"))
}

#[test]
fn line_65_what_does_not_fit_evicts_the_oldest() {
    let mut script = Script::new();
    let value = |number: u16| Value::Int(number.into()).encode();
    for number in 0..32 {
        script.put(in_network(number, 1), &immutable(&value(number))).unwrap();
        script.wait(TICK);
    }
    // Whoever is refreshed is not the oldest any more.
    script.put(bob(), &immutable(&value(0))).unwrap();
    script.tell();
    script.put(in_network(99, 1), &immutable(&value(99))).unwrap();
    script.tell();
    assert!(script.events.contains(&Told::Dropped(sha1(&value(1)), false, DropReason::Evicted)));
    is_not_stored(&mut script, sha1(&value(1)));
    for number in (2..32).chain([0, 99]) {
        is_stored(&mut script, &immutable(&value(number)));
    }
}

#[test]
fn line_65_one_network_displaces_only_its_share() {
    let mut script = Script::new();
    let value = |number: u32| Value::Int(number.into()).encode();
    for number in 0..32 {
        script.put(in_network(number as u16, 1), &immutable(&value(number))).unwrap();
        script.wait(TICK);
    }
    for number in 1_000..2_000 {
        script.put(in_network(7_777, number as u8), &immutable(&value(number))).unwrap();
        script.wait(TICK);
    }
    let left = script.kept().iter().filter(|kept| kept.value.len() <= 4).count();
    assert!(left >= 28, "an eighth of 32 is the flooder's: {left}");
    assert_eq!(script.kept().len(), 32);
}

#[test]
fn line_65_the_store_never_grows_past_its_limits() {
    let puts = if cfg!(debug_assertions) { 6_000_usize } else { 1_000_000 };
    let small = Capacity { items: 100, values: 20_000, ..capacity() };
    let mut script = Script::with(&small, &config());
    for number in 0..puts {
        let value = Value::Bytes([&vec![b'x'; number % 700], &number.to_be_bytes()[..]].concat()).encode();
        let from = in_network((number * 7 % 999) as u16, (number % 250) as u8);
        script.put(from, &immutable(&value)).unwrap();
        if number % 16 == 0 {
            script.wait(Duration::from_secs(1));
            script.tell();
            script.events.clear();
            let kept = script.kept();
            let octets: usize = kept.iter().map(|kept| kept.value.len()).sum();
            assert!(kept.len() <= 100 && octets <= script.node.item_octets());
            assert!(script.node.item_octets() <= 20_000);
            assert!(kept.iter().any(|kept| kept.value == value), "who comes is let in");
        }
    }
    assert!(script.kept().len() > 30);
}

#[test]
fn line_66_a_node_that_stores_nothing_says_so() {
    let none = Capacity { items: 0, values: 0, ..capacity() };
    let mut script = Script::with(&none, &config());
    for item in [immutable(b"1:a"), writer().item(b"", 1, b"1:a")] {
        refused_with_token(&mut script, &item, 202);
        is_not_stored(&mut script, target_of(&item));
    }
    // So does one whose memory is too small for this item.
    let little = Capacity { items: 4, values: 100, ..capacity() };
    let mut script = Script::with(&little, &config());
    script.put(alice(), &immutable(b"1:a")).unwrap();
    refused_with_token(&mut script, &immutable(&string_of(200, b'x')), 202);
    refused_with_token(&mut script, &writer().item(b"", 1, b"1:a"), 202);
    is_stored(&mut script, &immutable(b"1:a"));
}

#[test]
fn line_66_a_network_that_has_too_much_verified_is_told_so() {
    let mut script = Script::with(&capacity(), &Config { queries: config().queries, ..Config::new([7; 32]) });
    let mut refusals = 0;
    for seq in 1..=300 {
        let item = writer().item(b"", seq, b"1:a").with("sig", [1; 64]);
        match script.put(alice(), &item) {
            Err(202) => refusals += 1,
            Err(206) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refusals, 100);
    // Others are not affected, and what needs no verification is stored.
    script.put(bob(), &writer().item(b"", 1, b"1:a")).unwrap();
    script.put(alice(), &immutable(b"1:a")).unwrap();
    script.wait(MINUTE);
    script.put(alice(), &writer().item(b"", 2, b"1:a")).unwrap();
}

// --- the test vectors ---

const VECTOR_KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const VECTOR_VALUE: &[u8] = b"12:Hello World!";

fn vector(salt: &str, target: &str, signature: &str) {
    let (key, target) = (hex(VECTOR_KEY), <Id>::try_from(hex(target)).unwrap());
    let mut script = Script::new();
    let token = script.token(alice(), target);
    // Written by hand, so that nothing but the octets of the BEP counts.
    let salt = if salt.is_empty() { String::new() } else { format!("4:salt{}:{salt}", salt.len()) };
    let datagram = [
        &b"d1:ad2:id20:abcdefghij01234567891:k32:"[..],
        &key,
        salt.as_bytes(),
        b"3:seqi1e3:sig64:",
        &hex(signature),
        b"5:token12:",
        &token,
        b"1:v",
        VECTOR_VALUE,
        b"e1:q3:put1:t2:aa1:y1:qe",
    ]
    .concat();
    let answer = Value::decode(&script.hand(alice(), &datagram).unwrap()).unwrap();
    assert_eq!(answer.get("y"), Some(&"r".into()), "{answer:?}");
    let found = dict().with("k", key).with("seq", 1).with("sig", hex(signature)).with("v", "Hello World!");
    assert_eq!(item_in(script.get(bob(), target)), found);
}

#[test]
fn line_88_the_first_test_vector_is_stored() {
    vector(
        "",
        "4a533d47ec9c7d95b1ad75f576cffc641853b750",
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
         1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
    );
}

#[test]
fn line_88_the_second_test_vector_is_stored() {
    vector(
        "foobar",
        "411eba73b6f087ca51a3795d9c8c938d365e32c1",
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
         df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
    );
}

#[test]
fn line_88_the_third_test_vector_is_stored() {
    let mut script = Script::new();
    script.put(alice(), &immutable(VECTOR_VALUE)).unwrap();
    let target: Id = hex("e5f96f6f38320f0f33959cb4d3d656452117aadb").try_into().unwrap();
    let reply = script.get(bob(), target);
    assert_eq!(reply.get("v").unwrap().encode(), VECTOR_VALUE);
}

#[test]
fn what_is_kept_is_what_was_put() {
    // The tests above look at `kept` to see that nothing has changed: it must show all there is.
    let mut script = Script::new();
    let item = writer().item(b"salt", 5, b"1:a");
    script.put(alice(), &item).unwrap();
    let signature = item.get("sig").and_then(Value::bytes).unwrap().to_vec();
    let expected = Kept {
        target: writer().target(b"salt"),
        value: b"1:a".to_vec(),
        mutable: Some(SignedBy { key: writer().key().to_vec(), salt: b"salt".to_vec(), seq: 5, signature }),
        expires: script.now + TWO_HOURS,
    };
    assert_eq!(script.kept(), [expected]);
}
