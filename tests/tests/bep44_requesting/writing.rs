//! What is written: to whom, under which condition, and what becomes of it.

use super::*;

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
