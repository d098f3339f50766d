//! What is read: values that are checked, compared and told.

use super::*;

#[test]
fn line_67_an_immutable_value_whose_hash_is_not_the_target_is_ignored() {
    let value = b"5:right";
    let mut script = network(6, |number, remote| match number {
        1 => remote.holding(dict().with("v", "wrong")),
        2 => remote.holding(dict().with("v", raw("li1ee"))),
        3 => remote.holding(dict().with("v", "right")),
        _ => remote,
    });
    let target = sha1(value);
    // The holder answers last.
    script.remotes.get_mut(&place(3)).unwrap().delay = Duration::from_millis(80);
    let handle = script.node.get(script.now, bep44_core::Target::new(target)).unwrap();
    let outcome = script.finish(handle);
    let found = script.found(handle);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].value[..], found[0].target), (&value[..], target));
    assert_eq!(outcome.copies, 1);
    assert_eq!(outcome.invalid, 2);
}

#[test]
fn line_67_a_value_that_is_not_canonical_is_ignored_even_if_its_hash_is_right() {
    let value = b"d1:b0:1:a0:e";
    let mut script = network(4, |number, remote| match number {
        0 => remote,
        _ => remote.holding(dict().with("v", raw(value))),
    });
    let handle = script.node.get(script.now, bep44_core::Target::new(sha1(value))).unwrap();
    let outcome = script.finish(handle);
    assert_eq!((script.found(handle).len(), outcome.copies, outcome.invalid), (0, 0, 3));
}

#[test]
fn line_68_a_mutable_value_of_another_key_salt_or_signature_is_ignored() {
    let other = Writer::new(2);
    let salt = b"salt";
    let good = writer().found(salt, 3, b"1:a");
    let wrong = [
        // Everything right, but of another key; and that with our key in its place.
        other.found(salt, 9, b"1:x"),
        other.found(salt, 9, b"1:x").with("k", writer().key()),
        // Ours, but with another salt, or none.
        writer().found(b"tlas", 9, b"1:x"),
        writer().found(b"", 9, b"1:x"),
        // Ours, and changed on the way.
        writer().found(salt, 9, b"1:x").with("v", "y"),
        writer().found(salt, 9, b"1:x").with("seq", 10),
        writer().found(salt, 9, b"1:x").with("sig", [0; 64]),
    ];
    let mut script = network(8, |number, remote| {
        let wrong = usize::from(number).checked_sub(1).map(|number| wrong[number].clone());
        remote.holding(wrong.unwrap_or_else(|| good.clone()))
    });
    let (found, outcome) = read_salted(&mut script, salt, None);
    assert_eq!(found, [(3, b"1:a".to_vec())]);
    assert_eq!((outcome.newest, outcome.copies, outcome.invalid), (Some(3), 1, 7));
}

#[test]
fn line_69_half_an_item_is_no_item() {
    let whole = writer().found(b"", 4, b"1:a");
    let halves: [&[&str]; 7] =
        [&["seq", "sig", "v"], &["sig", "v"], &["k", "sig", "v"], &["v"], &["seq"], &["sig"], &["seq", "sig"]];
    for newer_than in [None, Some(2)] {
        let mut script = network(7, |number, remote| {
            let missing = halves[usize::from(number)];
            remote.holding(missing.iter().fold(whole.clone(), |item, key| item.without(key)))
        });
        let (found, outcome) = read(&mut script, newer_than);
        assert_eq!(found, []);
        // A value without the rest proves nothing; a number without a value claims nothing.
        assert_eq!((outcome.copies, outcome.newest, outcome.invalid), (0, None, 3));
        assert_eq!(outcome.answered + outcome.failed, 7);
    }
}

#[test]
fn line_69_a_reply_of_wrong_types_does_no_harm() {
    let wrong = ["i1e", "le", "de", "0:", "1:x", "i99999999999999999999e", "i-1e"];
    for key in ["k", "seq", "sig", "v", "token", "nodes", "nodes6", "values"] {
        for octets in wrong {
            let whole = writer().found(b"", 4, b"1:a");
            let mut script = network(3, |number, remote| match number {
                0 => {
                    let content = whole.clone().with("nodes", compact_nodes(&remote.nodes)).with("token", "x");
                    let content = content.with(key, raw(octets));
                    remote.acting(move |query| {
                        (query.get("q") == Some(&"get".into())).then(|| Answer::Reply(content.clone()))
                    })
                }
                _ => remote.holding(whole.clone()),
            });
            script.befriend(place(1), Remote::new(id(1)).holding(whole.clone()));
            let (found, outcome) = read(&mut script, None);
            assert_eq!(found, [(4, b"1:a".to_vec())], "{key} {octets}");
            assert!(outcome.copies >= 1);
        }
    }
}

#[test]
fn line_70_a_value_over_1_000_octets_is_not_taken() {
    for (len, copies) in [(1_000, 1), (1_001, 0), (1_200, 0)] {
        let value = string_of(len, b'x');
        let mut script = network(1, |_, remote| remote.holding(writer().found(b"", 1, &value)));
        let (found, outcome) = read(&mut script, None);
        assert_eq!((found.len(), outcome.copies), (copies, copies as u16), "{len}");
        let mut script = network(1, |_, remote| remote.holding(dict().with("v", raw(&value))));
        let handle = script.node.get(script.now, bep44_core::Target::new(sha1(&value))).unwrap();
        assert_eq!(script.finish(handle).copies, copies as u16);
    }
}

#[test]
fn line_71_the_highest_number_wins_and_improvements_are_told_as_they_come() {
    // Numbers in the order in which they arrive.
    for seqs in [[3, 7, 5, 9], [9, 7, 5, 3], [3, 5, 7, 9], [4, 4, 4, 4]] {
        let mut script = network(4, |number, remote| {
            let seq = seqs[usize::from(number)];
            let value = Value::Int(seq.into()).encode();
            let delay = Duration::from_millis(20 + 40 * u64::from(number));
            Remote { delay, ..remote.holding(writer().found(b"", seq, &value)) }
        });
        let (found, outcome) = read(&mut script, None);
        let mut improvements: Vec<i64> = Vec::new();
        for seq in seqs {
            if improvements.last().is_none_or(|last| *last < seq) {
                improvements.push(seq);
            }
        }
        assert_eq!(found.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), improvements);
        assert!(found.iter().all(|(seq, value)| *value == Value::Int((*seq).into()).encode()));
        let newest = improvements.last().copied();
        assert_eq!(outcome.newest, newest);
        let copies = seqs.iter().filter(|seq| Some(**seq) == newest).count();
        assert_eq!(usize::from(outcome.copies), copies);
        assert!(matches!(script.events.last(), Some(Told::Ended(..))), "and nothing comes after the end");
    }
}

#[test]
fn line_72_two_values_with_one_number_are_told_and_everybody_chooses_the_same() {
    for values in [[b"1:a", b"1:b"], [b"1:b", b"1:a"]] {
        let mut script = network(2, |number, remote| {
            let delay = Duration::from_millis(20 + 40 * u64::from(number));
            Remote { delay, ..remote.holding(writer().found(b"", 5, values[usize::from(number)])) }
        });
        let (found, outcome) = read(&mut script, None);
        assert_eq!(found.last(), Some(&(5, b"1:b".to_vec())));
        let equivocations = script.events.iter().filter(|event| matches!(event, Told::Equivocation(_, 5))).count();
        assert_eq!(equivocations, 1);
        assert_eq!(outcome.newest, Some(5));
    }
    // One value twice is none.
    let mut script = network(2, |_, remote| remote.holding(writer().found(b"", 5, b"1:a")));
    read(&mut script, None);
    assert!(!script.events.iter().any(|event| matches!(event, Told::Equivocation(..))));
}

#[test]
fn line_72_of_two_values_with_one_number_the_one_that_more_nodes_hold_is_taken() {
    // Whatever the order of the answers, and though the other is greater.
    for odd in 0..4 {
        let mut script = network(4, |number, remote| {
            let value: &[u8] = if number == odd { b"1:z" } else { b"1:a" };
            let delay = Duration::from_millis(20 + 40 * u64::from(number));
            Remote { delay, ..remote.holding(writer().found(b"", 5, value)) }
        });
        let (found, outcome) = read(&mut script, None);
        assert_eq!(found.last(), Some(&(5, b"1:a".to_vec())), "the odd one answers as number {odd}");
        assert_eq!((outcome.newest, outcome.invalid), (Some(5), 0));
    }
}

#[test]
fn line_73_who_sends_a_wrong_value_is_not_trusted_for_this_walk() {
    // The first node is a liar that names a whole network of its own.
    let mut script = Script::new();
    let theirs: Vec<_> = (100..108).map(|number| (id(number), place(number))).collect();
    for (id, at) in &theirs {
        script.add(*at, Remote::new(*id));
    }
    let bad = writer().found(b"", 9, b"1:x").with("v", "y");
    let liar = Remote { nodes: theirs.clone(), ..Remote::new(id(0)).holding(bad) };
    script.befriend(place(0), liar);
    script.befriend(place(1), Remote::new(id(1)).holding(writer().found(b"", 3, b"1:a")));
    let (found, outcome) = read(&mut script, None);
    assert_eq!(found, [(3, b"1:a".to_vec())]);
    assert_eq!((outcome.invalid, outcome.answered, outcome.failed), (1, 1, 1));
    assert!(theirs.iter().all(|(_, at)| script.remote(*at).asked.is_empty()), "nobody is asked on its word");
    // Nor is anything stored there.
    let outcome = put(&mut script, &mutable(b"", 4, b"1:b"), None);
    assert_eq!((outcome.accepted, outcome.invalid), (1, 1));
    assert!(script.remote(place(0)).asked_for("put").is_empty());
}

#[test]
fn line_74_who_has_nothing_newer_holds_a_copy() {
    let mut script = network(6, |number, remote| match number {
        0..3 => remote.holding(dict().with("seq", 5)),
        3 => remote.holding(dict().with("seq", 4)),
        _ => remote,
    });
    let (found, outcome) = read(&mut script, Some(5));
    assert_eq!(found, []);
    assert_eq!((outcome.copies, outcome.answered), (3, 6));
    for number in 0..6 {
        assert_eq!(script.remote(place(number)).asked_for("get")[0].get("seq"), Some(&5.into()));
    }
    // Where somebody has a newer one, only that counts.
    let mut script = network(6, |number, remote| match number {
        0..3 => remote.holding(dict().with("seq", 5)),
        3 => remote.holding(writer().found(b"", 6, b"1:a")),
        _ => remote,
    });
    let (found, outcome) = read(&mut script, Some(5));
    assert_eq!(found, [(6, b"1:a".to_vec())]);
    assert_eq!((outcome.copies, outcome.newest), (1, Some(6)));
}

#[test]
fn line_74_what_is_not_newer_is_not_told() {
    let mut script = network(2, |_, remote| remote.holding(writer().found(b"", 5, b"1:a")));
    for known in [5, 6] {
        assert_eq!(read(&mut script, Some(known)).0, []);
    }
    assert_eq!(read(&mut script, Some(4)).0.len(), 1);
}
