//! What it takes to work with the peers that exist.

use super::*;

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
        let mut script = network_of(&capacity(), &config, 2, |_, remote| remote);
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
        let mut script = network_of(&capacity(), &Config { version, ..config() }, 2, |_, remote| remote);
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
