//! `put`: the form of the message.

use super::*;

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
