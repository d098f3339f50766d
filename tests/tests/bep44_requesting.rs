//! BEP 44 as a node sees it that reads and writes: each line of the project's checklist, against scripted nodes of the
//! network. A test is named after the line that it checks.

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::event::{PutResult, Rejection};
use bep44_core::{
    Config, ImmutableItem, Instant, Item, ItemError, MutableItem, Outcome, PublicKey, QueryError, SecretKey, Signature,
    Standing,
};
use bep44_tests::datagram::{Id, Value, Writer, addr, compact_nodes, dict, raw, reply, sha1, string_of};
use bep44_tests::script::{Answer, Remote, Script, Told, capacity, config, id_of, place};

fn writer() -> Writer {
    Writer::new(1)
}

fn key() -> PublicKey {
    PublicKey(writer().key())
}

/// The id of the scripted node number `number`.
fn id(number: u16) -> Id {
    sha1(&number.to_be_bytes())
}

/// A node in a network of `count` scripted ones, of which it knows the first; that one names all others.
fn network(count: u16, mut remote: impl FnMut(u16, Remote) -> Remote) -> Script<'static> {
    network_of(&config(), count, &mut remote)
}

fn network_of(config: &Config, count: u16, remote: &mut dyn FnMut(u16, Remote) -> Remote) -> Script<'static> {
    let mut script = Script::with(&capacity(), config);
    let all: Vec<_> = (0..count).map(|number| (id(number), place(number))).collect();
    for number in (0..count).rev() {
        let plain = Remote { nodes: all.clone(), ..Remote::new(id(number)) };
        let remote = remote(number, plain);
        if number == 0 {
            script.befriend(place(0), remote);
        } else {
            script.add(place(number), remote);
        }
    }
    script.sent.clear();
    script.events.clear();
    script
}

/// The numbers of `count` nodes, the closest to `target` first.
fn by_distance(count: u16, target: Id) -> Vec<u16> {
    let mut numbers: Vec<u16> = (0..count).collect();
    numbers.sort_by_key(|number| -> Vec<u8> { id(*number).iter().zip(target).map(|(a, b)| a ^ b).collect() });
    numbers
}

fn mutable<'a>(salt: &'a [u8], seq: i64, value: &'a [u8]) -> Item<'a> {
    let signature = Signature(writer().sign(&Writer::signed(salt, seq, value)));
    Item::Mutable(MutableItem::new(key(), salt, seq, value, signature).unwrap())
}

fn immutable(value: &[u8]) -> Item<'_> {
    Item::Immutable(ImmutableItem::new(value).unwrap())
}

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

/// The puts that were sent, by the number of the node: their arguments.
fn puts(script: &Script<'_>, count: u16) -> Vec<(u16, Value)> {
    let of = |number| script.remote(place(number)).asked_for("put").into_iter().map(move |put| (number, put.clone()));
    (0..count).flat_map(of).collect()
}

// --- reading ---

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

// --- writing ---

#[test]
fn line_75_a_put_goes_to_the_closest_nodes_that_gave_a_token() {
    let count = 14;
    let value = b"5:value";
    let order = by_distance(count, sha1(value));
    let tokenless = [order[1], order[4]];
    let mut script = network(count, |number, remote| {
        let token = (!tokenless.contains(&number)).then(|| vec![number as u8; 4]);
        Remote { token, ..remote }
    });
    let outcome = put(&mut script, &immutable(value), None);
    let mut expected: Vec<u16> = order.iter().copied().filter(|number| !tokenless.contains(number)).take(8).collect();
    expected.sort_unstable();
    let stored: Vec<u16> = puts(&script, count).into_iter().map(|(number, _)| number).collect();
    assert_eq!(stored, expected);
    assert_eq!(usize::from(outcome.accepted), stored.len());
    for (number, arguments) in puts(&script, count) {
        assert_eq!(arguments.get("token").and_then(Value::bytes), Some(&[number as u8; 4][..]), "each has its own");
        assert_eq!(arguments.get("v").unwrap().encode(), value);
    }
}

#[test]
fn line_75_a_put_says_what_is_stored_and_no_more() {
    let mut script = network(1, |_, remote| remote);
    put(&mut script, &immutable(b"5:value"), None);
    let own = *script.node.id().as_bytes();
    let (_, arguments) = &puts(&script, 1)[0];
    let expected = dict().with("id", own).with("target", sha1(b"5:value")).with("token", "token").with("v", "value");
    assert_eq!(*arguments, expected);
    put(&mut script, &mutable(b"salt", 7, b"le"), None);
    let (_, arguments) = &puts(&script, 1)[1];
    let item = writer().item(b"salt", 7, b"le").with("target", writer().target(b"salt"));
    let expected = item.with("id", own).with("token", "token");
    assert_eq!(arguments.encode(), expected.encode());
}

#[test]
fn line_76_no_cas_is_sent_to_a_node_that_returned_nothing() {
    let mut script = network(6, |number, remote| match number {
        0..3 => remote.holding(writer().found(b"", 4, b"1:a")),
        _ => remote,
    });
    let outcome = put(&mut script, &mutable(b"", 5, b"1:b"), Some(4));
    let puts = puts(&script, 6);
    assert_eq!(puts.len(), 6);
    for (number, arguments) in &puts {
        assert_eq!(arguments.get("cas"), (*number < 3).then_some(&4.into()), "{number}");
    }
    assert_eq!(outcome.accepted, 6);
    // And none at all if none was asked for.
    let mut script = network(2, |_, remote| remote.holding(writer().found(b"", 4, b"1:a")));
    put(&mut script, &mutable(b"", 5, b"1:b"), None);
    assert!(script.sent.iter().all(|(_, query)| query.get("a").unwrap().get("cas").is_none()));
}

#[test]
fn line_77_a_node_is_sent_the_number_that_it_returned_but_never_one_above_what_was_expected() {
    let held = [Some(4), Some(2), Some(6), Some(0), None];
    let mut script = network(5, |number, remote| {
        let Some(seq) = held[usize::from(number)] else { return remote };
        let on_put = if seq > 4 { Answer::Error(301) } else { remote.on_put.clone() };
        Remote { on_put, ..remote.holding(writer().found(b"", seq, &Value::Int(seq.into()).encode())) }
    });
    let outcome = put(&mut script, &mutable(b"", 9, b"1:b"), Some(4));
    let cas: Vec<_> = puts(&script, 5).into_iter().map(|(number, put)| (number, put.get("cas").cloned())).collect();
    // Number 4 holds nothing, and version 6 is elsewhere: storing there would only divide the nodes.
    assert_eq!(
        cas,
        [4, 2, 4, 0].into_iter().enumerate().map(|(n, cas)| (n as u16, Some(cas.into()))).collect::<Vec<_>>()
    );
    assert_eq!(outcome.newest, Some(6));
    assert_eq!((outcome.accepted, outcome.rejected.to_vec()), (3, vec![Rejection { code: 301, count: 1 }]));
}

#[test]
fn line_77_a_put_ends_where_only_the_node_itself_or_one_that_takes_nothing_holds_a_newer_version() {
    let skipped = |script: &Script<'_>| {
        let is_it = |event: &&Told| matches!(event, Told::Put(_, _, PutResult::Skipped));
        script.events.iter().filter(is_it).count()
    };
    // Our own node is one of the closest, and nobody else holds anything.
    let mut script = network(3, |_, remote| remote);
    assert_eq!(script.node.restore_item(script.now, &mutable(b"", 6, b"1:a"), Duration::from_secs(60)), Ok(true));
    let outcome = put(&mut script, &mutable(b"", 9, b"1:b"), Some(4));
    assert_eq!((outcome.accepted, outcome.rejected.to_vec()), (0, vec![Rejection { code: 301, count: 1 }]));
    assert_eq!((puts(&script, 3).len(), skipped(&script)), (0, 3));
    // Another node holds it, and gives no token.
    let mut script = network(3, |number, remote| match number {
        1 => Remote { token: None, ..remote.holding(writer().found(b"", 6, b"1:a")) },
        _ => remote,
    });
    let outcome = put(&mut script, &mutable(b"", 9, b"1:b"), Some(4));
    assert_eq!((outcome.accepted, outcome.newest), (0, Some(6)));
    assert_eq!((puts(&script, 3).len(), skipped(&script)), (0, 2));
}

#[test]
fn line_56_a_put_that_is_repeated_with_its_old_cas_succeeds_where_it_has_been_stored() {
    // Half of the nodes stored it the first time, and the answers were lost.
    let mut script = network(6, |number, remote| match number {
        0..3 => remote.holding(writer().found(b"", 5, b"1:b")).acting(|query| {
            let arguments = query.get("a")?;
            (query.get("q") == Some(&"put".into()) && arguments.get("cas") != Some(&5.into()))
                .then_some(Answer::Error(301))
        }),
        3 => remote.holding(writer().found(b"", 4, b"1:a")),
        _ => remote,
    });
    let outcome = put(&mut script, &mutable(b"", 5, b"1:b"), Some(4));
    assert_eq!((outcome.accepted, outcome.copies, outcome.rejected.to_vec()), (6, 3, vec![]));
    for (number, arguments) in puts(&script, 6) {
        let cas = [Some(5), Some(5), Some(5), Some(4), None, None][usize::from(number)];
        assert_eq!(arguments.get("cas"), cas.map(Value::from).as_ref(), "{number}");
    }
}

#[test]
fn line_56_a_put_whose_answers_are_lost_is_sent_again_and_a_refusal_of_the_copy_is_looked_into() {
    // Each stores what comes first, and says nothing; then it refuses the copy, as if it were another's. That of number 2
    // is another's.
    for (code, cas) in [(301, Some(4)), (302, None)] {
        for heard in 1..=3 {
            let mut script = network(3, |number, remote| {
                let nodes = compact_nodes(&remote.nodes);
                let found = writer().found(b"", 5, if number == 2 { b"1:c" } else { b"1:b" });
                let mut copies = 0;
                remote.holding(writer().found(b"", 4, b"1:a")).acting(move |query| match query.get("q")?.bytes()? {
                    b"put" => {
                        copies += 1;
                        Some(match copies {
                            copies if copies < heard => Answer::Silence,
                            1 => Answer::Reply(dict()),
                            _ => Answer::Error(code),
                        })
                    }
                    b"get" if copies > 0 => {
                        Some(Answer::Reply(found.clone().with("nodes", nodes.clone()).with("token", "token")))
                    }
                    _ => None,
                })
            });
            let outcome = put(&mut script, &mutable(b"", 5, b"1:b"), cas);
            let refused = (heard > 1).then_some(Rejection { code, count: 1 });
            let accepted = if heard > 1 { 2 } else { 3 };
            assert_eq!(
                (outcome.accepted, outcome.rejected.iter().copied().next()),
                (accepted, refused),
                "{code} {heard}"
            );
            assert_eq!(puts(&script, 3).len(), 3 * heard, "{code} {heard}");
        }
    }
}

#[test]
fn line_78_every_refusal_and_every_silence_is_in_the_outcome() {
    let answers = [Some(301), Some(302), Some(302), Some(205), Some(206), Some(207), None, Some(302)];
    let mut script = network(8, |number, remote| {
        let on_put = answers[usize::from(number)].map_or(Answer::Silence, Answer::Error);
        Remote { on_put, ..remote }
    });
    let outcome = put(&mut script, &mutable(b"", 5, b"1:b"), None);
    let mut rejected: Vec<_> = outcome.rejected.iter().map(|r| (r.code, r.count)).collect();
    rejected.sort_unstable();
    assert_eq!(rejected, [(205, 1), (206, 1), (207, 1), (301, 1), (302, 3)]);
    assert_eq!((outcome.accepted, outcome.refused(), outcome.silent), (0, 7, 1));
    assert_eq!((outcome.asked, outcome.answered, outcome.failed), (8, 8, 0));
    // And node by node.
    for (number, code) in answers.into_iter().enumerate() {
        let expected = code.map_or(PutResult::Silent, PutResult::Refused);
        let told = |event: &&Told| matches!(event, Told::Put(_, at, result) if *at == place(number as u16) && *result == expected);
        assert_eq!(script.events.iter().filter(told).count(), 1, "node {number}: {code:?}");
    }
    assert!(matches!(script.events.last(), Some(Told::Ended(..))), "the end comes last");
}

#[test]
fn line_78_codes_that_nobody_knows_are_in_the_outcome_too() {
    let mut script = network(8, |number, remote| {
        let code = [0, -1, 999, i64::MAX, i64::MIN, 300, 303, 404][usize::from(number)];
        Remote { on_put: Answer::Error(code), ..remote }
    });
    let outcome = put(&mut script, &immutable(b"1:a"), None);
    assert_eq!((outcome.accepted, outcome.refused(), outcome.rejected.len()), (0, 8, 8));
}

#[test]
fn line_79_a_refused_token_is_renewed_once() {
    // The first token of each is worthless; of number 2 the second as well.
    let mut script = network(4, |number, remote| {
        let mut gets = 0_u8;
        let nodes = compact_nodes(&remote.nodes);
        remote.acting(move |query| match query.get("q")?.bytes()? {
            b"get" => {
                gets += 1;
                Some(Answer::Reply(dict().with("nodes", nodes.clone()).with("token", [number as u8, gets])))
            }
            b"put" => {
                let token = query.get("a")?.get("token")?.bytes()?.to_vec();
                let good = number == 0 || (token[1] == 2 && number != 2);
                Some(if good { Answer::Reply(dict()) } else { Answer::Error(203) })
            }
            _ => None,
        })
    });
    let outcome = put(&mut script, &immutable(b"1:a"), None);
    let asked = |number: u16| {
        let remote = script.remote(place(number));
        (remote.asked_for("get").len(), remote.asked_for("put").len())
    };
    assert_eq!([asked(0), asked(1), asked(2), asked(3)], [(1, 1), (2, 2), (2, 2), (2, 2)]);
    assert_eq!((outcome.accepted, outcome.rejected.to_vec()), (3, vec![Rejection { code: 203, count: 1 }]));
}

#[test]
fn line_79_a_node_that_gives_no_second_token_is_given_up() {
    let mut script = network(2, |number, remote| {
        let mut gets = 0;
        Remote { on_put: Answer::Error(203), ..remote }.acting(move |query| {
            if query.get("q")?.bytes()? != b"get" {
                return None;
            }
            gets += 1;
            (gets == 2).then_some(if number == 0 { Answer::Silence } else { Answer::Error(201) })
        })
    });
    let outcome = put(&mut script, &immutable(b"1:a"), None);
    assert_eq!((outcome.accepted, outcome.rejected.to_vec()), (0, vec![Rejection { code: 203, count: 2 }]));
}

#[test]
fn line_80_an_error_is_an_answer_and_silence_is_not() {
    let mut script = Script::new();
    let refusing = |query: &Value| (query.get("q") != Some(&"ping".into())).then_some(Answer::Error(202));
    let silent = |query: &Value| (query.get("q") != Some(&"ping".into())).then_some(Answer::Silence);
    script.befriend(place(0), Remote::new(id(0)).acting(refusing));
    script.befriend(place(1), Remote::new(id(1)).acting(silent));
    script.run_for(Duration::from_secs(14 * 60));
    let handle = script.node.get(script.now, bep44_core::Target::new([1; 20])).unwrap();
    let outcome = script.finish(handle);
    assert_eq!((outcome.answered, outcome.failed), (0, 2));
    // Before upkeep has asked the silent one again.
    let standing = |at: SocketAddr| {
        script.node.contacts().find(|contact| contact.addr() == at).map(|contact| contact.standing(script.now))
    };
    assert_eq!(standing(place(0)), Some(Standing::Good));
    assert_eq!(standing(place(1)), Some(Standing::Questionable));
    // And its fifteen minutes have begun anew.
    script.now = script.now + Duration::from_secs(5 * 60);
    let refused = script.node.contacts().find(|contact| contact.addr() == place(0)).unwrap();
    assert_eq!(refused.standing(script.now), Standing::Good);
}

#[test]
fn line_81_what_no_node_would_store_is_refused_before_any_packet() {
    let secret = SecretKey::from_seed([1; 32]).unwrap();
    let long = Value::Bytes(vec![0; 997]).encode();
    assert_eq!(ImmutableItem::new(&long), Err(ItemError::ValueTooBig(1_001)));
    assert_eq!(MutableItem::sign(&secret, b"", 1, &long), Err(ItemError::ValueTooBig(1_001)));
    assert_eq!(MutableItem::sign(&secret, &[0; 65], 1, b"0:"), Err(ItemError::SaltTooBig(65)));
    assert_eq!(MutableItem::sign(&secret, b"", -1, b"0:"), Err(ItemError::NegativeSeq(-1)));
    assert_eq!(ImmutableItem::new(b"i01e"), Err(ItemError::NotCanonical));
    assert_eq!(ImmutableItem::new(b""), Err(ItemError::NotCanonical));
    let mut script = network(2, |_, remote| remote);
    let unsigned = Item::Mutable(MutableItem::new(key(), b"", 1, b"0:", Signature([0; 64])).unwrap());
    assert_eq!(script.node.put(script.now, &unsigned, None), Err(QueryError::Item(ItemError::InvalidSignature)));
    let salt = [0; 65];
    assert_eq!(
        script.node.get_mutable(script.now, &key(), &salt, None),
        Err(QueryError::Item(ItemError::SaltTooBig(65)))
    );
    assert_eq!(script.turn(), []);
}

#[test]
fn line_81_the_core_signs_as_others_do() {
    let secret = SecretKey::from_seed([1; 32]).unwrap();
    assert_eq!(secret.public_key(), key());
    for (salt, seq) in [(&b""[..], 0), (b"salt", 7), (&[0xff; 64], i64::MAX)] {
        let item = MutableItem::sign(&secret, salt, seq, b"1:a").unwrap();
        assert_eq!(item.signature().0, writer().sign(&Writer::signed(salt, seq, b"1:a")));
        assert_eq!(*item.target().as_bytes(), writer().target(salt));
    }
}

#[test]
fn line_82_an_empty_salt_is_not_sent() {
    let mut script = network(1, |_, remote| remote);
    put(&mut script, &mutable(b"", 1, b"1:a"), None);
    let (_, arguments) = &puts(&script, 1)[0];
    assert_eq!(arguments.get("salt"), None);
    assert_eq!(arguments.get("target"), Some(&sha1(&writer().key()).into()));
}

// --- what it takes to work with the peers that exist (section 2 of the checklist) ---

#[test]
fn peers_01_our_queries_carry_transaction_ids_of_four_octets() {
    let mut script = network(8, |_, remote| remote);
    put(&mut script, &immutable(b"1:a"), None);
    let ids: Vec<_> = script.sent.iter().map(|(_, query)| query.get("t").and_then(Value::bytes).unwrap()).collect();
    assert!(ids.len() >= 16 && ids.iter().all(|id| id.len() == 4));
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn peers_02_a_put_carries_a_target_unless_told_otherwise() {
    for superfluous_target in [true, false] {
        let config = Config { superfluous_target, ..config() };
        let mut script = network_of(&config, 2, &mut |_, remote| remote);
        put(&mut script, &immutable(b"1:a"), None);
        let target = Value::from(sha1(b"1:a"));
        for (_, arguments) in puts(&script, 2) {
            assert_eq!(arguments.get("target"), superfluous_target.then_some(&target));
        }
    }
}

#[test]
fn peers_03_our_version_has_four_octets() {
    for (version, expected) in [(Some(*b"XY\x01\x02"), Some(Value::from(b"XY\x01\x02"))), (None, None)] {
        let mut script = network_of(&Config { version, ..config() }, 2, &mut |_, remote| remote);
        put(&mut script, &immutable(b"1:a"), None);
        assert!(!script.sent.is_empty());
        assert!(script.sent.iter().all(|(_, query)| query.get("v") == expected.as_ref()));
    }
}

#[test]
fn peers_05_a_hit_without_nodes_and_a_number_left_out_do_not_end_the_walk() {
    let mut script = network(4, |number, remote| {
        let found = writer().found(b"", 5, b"1:a");
        match number {
            0 => remote,
            1 => remote.acting(move |query| {
                (query.get("q") == Some(&"get".into())).then(|| Answer::Reply(found.clone().with("token", "x")))
            }),
            2 => remote,
            _ => remote.holding(found),
        }
    });
    let (found, outcome) = read(&mut script, None);
    assert_eq!((found.len(), outcome.copies, outcome.answered), (1, 2, 4));
    // Who omits the number is no copy.
    let (found, outcome) = read(&mut script, Some(5));
    assert_eq!((found.len(), outcome.copies, outcome.answered), (0, 2, 4));
}

#[test]
fn peers_08_an_answer_counts_only_from_where_it_was_asked_for() {
    let good = writer().found(b"", 5, b"1:a");
    let elsewhere = addr("198.51.100.99:1");
    let mut script = network(4, |number, remote| {
        let (own, good) = (remote.id, good.clone());
        match number {
            // The right id, from elsewhere; a wrong id; another node's id; and one that is as it should be.
            1 => remote.acting(move |query| {
                let t = query.get("t")?.bytes()?;
                Some(Answer::From(elsewhere, reply(t, own, good.clone().with("token", "x"))))
            }),
            2 => remote.acting(move |_| Some(Answer::Whole(reply(b"zzzz", own, good.clone())))),
            3 => {
                remote.acting(move |query| Some(Answer::Whole(reply(query.get("t")?.bytes()?, [9; 20], good.clone()))))
            }
            _ => remote,
        }
    });
    let (found, outcome) = read(&mut script, None);
    assert_eq!(found, []);
    assert_eq!((outcome.asked, outcome.answered, outcome.invalid), (4, 1, 0));
    assert_eq!(script.node.contacts().count(), 1);
    assert!(script.node.stats().unsolicited >= 3);
}

// --- whatever else must hold ---

#[test]
fn a_query_that_nobody_can_be_asked_is_not_started() {
    let mut script = Script::new();
    let nobody = Err(QueryError::NobodyToAsk);
    assert_eq!(script.node.get(script.now, bep44_core::Target::ZERO), nobody);
    assert_eq!(script.node.put(script.now, &immutable(b"1:a"), None), nobody);
    assert_eq!(script.turn(), []);
    // As many as there are slots, and no more.
    let mut script = network(1, |_, remote| remote);
    for _ in 0..8 {
        script.node.get(script.now, bep44_core::Target::ZERO).unwrap();
    }
    assert_eq!(script.node.get(script.now, bep44_core::Target::ZERO), Err(QueryError::Busy));
}

#[test]
fn a_cancelled_query_asks_nobody_and_tells_nothing() {
    let mut script = network(3, |_, remote| remote);
    let handle = script.node.get(script.now, bep44_core::Target::ZERO).unwrap();
    script.step(Instant::from_secs(1_000_000));
    script.node.cancel(handle);
    script.node.cancel(handle);
    script.events.clear();
    script.run_for(Duration::from_secs(10));
    assert_eq!(script.events, []);
    // Its handle does not name the next one in its place.
    let next = script.node.get(script.now, bep44_core::Target::ZERO).unwrap();
    assert_ne!(next, handle);
    script.node.cancel(handle);
    script.finish(next);
}

#[test]
fn an_outcome_counts_everything_once_however_late_the_rest_comes() {
    // Two nodes are silent: when they have failed, both at one moment, the query ends at the first.
    let mut script = network(12, |number, remote| {
        if [3, 5, 7].contains(&number) {
            return remote.acting(|query| (query.get("q") == Some(&"get".into())).then_some(Answer::Silence));
        }
        remote.holding(writer().found(b"", 5, b"1:a"))
    });
    let handle = script.node.get_mutable(script.now, &key(), b"", None).unwrap();
    // The host is slow: nothing is told before all is over.
    let mut copies = 0;
    for _ in 0..40 {
        script.send();
        script.now = script.now + Duration::from_millis(100);
        script.deliver();
        script.node.handle_timeout(script.now);
    }
    let outcome = script.finish(handle);
    for number in 0..12 {
        copies += u16::from(!script.remote(place(number)).asked_for("get").is_empty());
    }
    assert!(outcome.copies <= copies && outcome.copies == outcome.answered, "{outcome:?}");
}

#[test]
fn a_walk_ends_though_a_liar_always_names_somebody_nearer() {
    // Each answer names sixteen nodes, all on the liar's ports, nearer to the target than any before.
    let target = [0; 20];
    let mut script = Script::new();
    let liar = addr("198.51.100.66:1");
    let own = |step: u32| -> Id {
        // Nearer with each step.
        let mut id = [0; 20];
        id[..4].copy_from_slice(&(u32::MAX - step).to_be_bytes());
        id
    };
    script.befriend(liar, Remote::new(own(0)));
    let handle = script.node.get(script.now, bep44_core::Target::new(target)).unwrap();
    let (mut step, mut asked) = (0, 0);
    let mut ids = std::collections::BTreeMap::from([(liar, own(0))]);
    while !script.events.iter().any(|event| matches!(event, Told::Ended(query, _) if *query == handle)) {
        let sent = script.turn();
        for (to, query) in &sent {
            asked += 1;
            assert!(asked < 5_000, "the walk goes on for as long as the liar likes");
            let mut named = Vec::new();
            for _ in 0..8 {
                step += 1;
                let at = SocketAddr::new(liar.ip(), 1 + (step % 65_000) as u16);
                ids.insert(at, own(step));
                named.push((own(step), at));
            }
            let content = dict().with("nodes", compact_nodes(&named)).with("token", "x").with("v", "lie");
            let content = if asked % 2 == 0 { content } else { content.without("v") };
            let answer = reply(query.get("t").unwrap().bytes().unwrap(), ids[to], content);
            script.hand(*to, &answer.encode());
        }
        if sent.is_empty() {
            script.wait(Duration::from_millis(100));
        }
        script.tell();
    }
}

#[test]
fn an_item_that_is_given_back_says_whether_it_is_stored() {
    let mut script = Script::new();
    let hour = Duration::from_secs(3_600);
    let restore = |script: &mut Script<'_>, item: &Item<'_>, left| script.node.restore_item(script.now, item, left);
    assert_eq!(restore(&mut script, &mutable(b"", 5, b"1:a"), hour), Ok(true));
    assert_eq!(restore(&mut script, &mutable(b"", 5, b"1:a"), hour), Ok(false), "as new as what is there");
    assert_eq!(restore(&mut script, &mutable(b"", 4, b"1:a"), hour), Ok(false));
    assert_eq!(restore(&mut script, &mutable(b"", 6, b"1:b"), hour), Ok(true), "newer than what is there");
    assert_eq!(restore(&mut script, &immutable(b"1:a"), Duration::ZERO), Ok(false));
    let forged = Item::Mutable(MutableItem::new(key(), b"", 9, b"0:", Signature([0; 64])).unwrap());
    assert_eq!(restore(&mut script, &forged, hour), Err(ItemError::InvalidSignature));
    // When it is full, something else goes.
    for number in 0..100 {
        let value = Value::Int(number).encode();
        assert_eq!(restore(&mut script, &immutable(&value), hour), Ok(true), "{number}");
        assert!(script.node.items().any(|stored| stored.item.value() == value));
    }
    assert_eq!(script.kept().len(), 32);
}

#[test]
fn a_query_reads_what_its_own_node_would_store() {
    // The same octets that a query of ours sends are taken by a node of ours.
    let mut one = Script::new();
    let mut two = Script::with(&capacity(), &Config { seed: [8; 32], ..config() });
    let (here, there) = (addr("192.0.2.1:10"), addr("192.0.2.2:20"));
    one.node.add_bootstrap(there).unwrap();
    let handle = one.node.put(one.now, &mutable(b"salt", 3, b"5:value"), Some(1)).unwrap();
    for _ in 0..100 {
        for (to, query) in one.turn() {
            if to == there
                && let Some(answer) = two.hand(here, &query.encode())
            {
                one.hand(there, &answer);
            }
        }
        one.wait(Duration::from_millis(10));
        one.tell();
    }
    assert_eq!(one.finish(handle).accepted, 1);
    assert_eq!(two.kept()[0].value, b"5:value");
    assert_eq!(
        id_of(
            &Value::decode(&two.hand(here, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe").unwrap())
                .unwrap()
        ),
        Some(*two.node.id().as_bytes())
    );
}
