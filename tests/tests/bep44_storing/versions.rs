//! `put`: which version replaces which, `cas`, and the order of the checks.

use super::*;

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
