//! `get`: what the answer holds.

use super::*;

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
