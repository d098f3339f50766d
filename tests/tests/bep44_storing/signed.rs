//! `put`: sizes, salt, key and signature.

use super::*;

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
