//! BEP 44 as a node sees it that keeps items alive: each line of the project's checklist, against scripted nodes of the
//! network. A test is named after the line that it checks.

use std::collections::BTreeSet;
use std::time::Duration;

use bep44_core::{Capacity, Config, Instant, Item, ItemError, KeepError, LastAnnouncement, MutableItem, Target};
use bep44_tests::datagram::{Id, Value, Writer, addr, dict, raw, sha1};
use bep44_tests::neighbours::{by_distance, id, immutable, key, mutable, network, network_of, puts, writer};
use bep44_tests::script::{Announced, Answer, Remote, Script, Told, capacity, config, place};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const VALUE: &[u8] = b"4:kept";

/// The target of the mutable item without salt.
fn target() -> Id {
    sha1(&writer().key())
}

fn count_of(script: &Script<'_>, count: u16, method: &str) -> usize {
    (0..count).map(|number| script.remote(place(number)).asked_for(method).len()).sum()
}

fn keep(script: &mut Script<'_>, item: &Item<'_>) {
    script.node.keep(script.now, item).unwrap();
}

/// Keeps the item and waits for its first announcement.
fn announce(script: &mut Script<'_>, item: &Item<'_>) -> Announced {
    keep(script, item);
    script.run_for(MINUTE);
    let announced = script.announced();
    assert_eq!(announced.len(), 1);
    announced[0].clone()
}

fn adopted(script: &Script<'_>) -> Vec<(i64, Vec<u8>)> {
    let of = |event: &Told| match event {
        Told::Adopted(kept) => Some((kept.seq().unwrap(), kept.value.clone())),
        _ => None,
    };
    script.events.iter().filter_map(of).collect()
}

fn kept_versions(script: &Script<'_>) -> Vec<(Option<i64>, Vec<u8>)> {
    let of = |item: Item<'_>| (item.as_mutable().map(MutableItem::seq), item.value().to_vec());
    script.node.kept().map(|kept| of(kept.item)).collect()
}

// --- how often ---

#[test]
fn line_83_an_item_is_announced_at_once_and_then_once_an_hour_with_jitter() {
    let pauses = |seed| {
        let mut script = network_of(&capacity(), &Config { seed: [seed; 32], ..config() }, 12, |_, remote| remote);
        let first = announce(&mut script, &mutable(b"", 1, VALUE));
        assert_eq!((first.target, first.seq, first.skipped), (target(), Some(1), false));
        assert_eq!((first.outcome.accepted, first.outcome.copies), (8, 0));
        let mut times = vec![script.now];
        let mut gets = count_of(&script, 12, "get");
        let end = script.now + 24 * HOUR;
        while script.now < end {
            let before = script.announced().len();
            script.run_for(Duration::from_secs(10));
            if script.announced().len() > before {
                times.push(script.now);
                assert!(count_of(&script, 12, "get") > gets, "it reads");
                gets = count_of(&script, 12, "get");
                assert_eq!(puts(&script, 12).len(), 8 * times.len(), "and stores");
            }
        }
        let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        assert!((24..=29).contains(&times.len()), "{}", times.len());
        assert!(pauses[1..].iter().all(|pause| (50 * 60 - 10..=60 * 60 + 10).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().collect::<BTreeSet<_>>().len() > 12, "each time another pause");
        pauses
    };
    assert_ne!(pauses(1), pauses(2));
}

#[test]
fn line_83_what_is_not_kept_any_more_is_not_announced_and_expires() {
    let mut script = network(12, |_, remote| remote);
    announce(&mut script, &immutable(VALUE));
    script.run_for(3 * HOUR);
    assert!(script.announced().len() >= 4);
    assert_eq!(script.kept().len(), 1, "it outlives what strangers store");
    let target = Target::new(sha1(VALUE));
    assert!(script.node.forget(script.now, &target));
    assert!(!script.node.forget(script.now, &target));
    let announced = script.announced().len();
    script.run_for(2 * HOUR - MINUTE);
    assert_eq!((script.kept().len(), script.node.kept().count()), (1, 0));
    script.run_for(2 * MINUTE);
    assert_eq!((script.kept().len(), script.announced().len()), (0, announced));
}

#[test]
fn line_83_forgetting_ends_an_announcement_that_runs() {
    let mut script = network(12, |_, remote| remote);
    keep(&mut script, &immutable(VALUE));
    script.turn();
    assert!(script.node.forget(script.now, &Target::new(sha1(VALUE))));
    script.run_for(2 * HOUR);
    assert_eq!((puts(&script, 12).len(), script.announced().len()), (0, 0));
}

#[test]
fn line_83_the_interval_is_a_setting_with_a_lower_limit() {
    for (interval, expected) in [(4 * HOUR, 6..=8), (Duration::ZERO, 24 * 60..=24 * 72 + 1)] {
        let mut script = network_of(&capacity(), &Config { keep_interval: interval, ..config() }, 3, |_, r| r);
        keep(&mut script, &immutable(VALUE));
        script.run_for(24 * HOUR);
        assert!(expected.contains(&script.announced().len()), "{}", script.announced().len());
    }
}

#[test]
fn line_83_who_knows_nobody_waits_until_it_does() {
    let mut script = Script::new();
    keep(&mut script, &immutable(VALUE));
    assert_eq!(script.node.poll_timeout(), None);
    script.run_for(24 * HOUR);
    script.befriend(place(0), Remote::new(id(0)));
    script.run_for(Duration::from_secs(2));
    assert_eq!(script.announced().len(), 1);
    assert_eq!(puts(&script, 1).len(), 1);
}

#[test]
fn line_83_what_nobody_answered_is_tried_again_soon() {
    let mut script = network(3, |_, remote| remote);
    for remote in script.remotes.values_mut() {
        remote.act = Some(Box::new(|_| Some(Answer::Silence)));
    }
    let first = announce(&mut script, &immutable(VALUE));
    assert_eq!((first.outcome.answered, first.outcome.accepted), (0, 0));
    assert_eq!(script.node.kept().next().unwrap().last, LastAnnouncement::Unanswered);
    script.run_for(11 * MINUTE);
    assert_eq!(script.announced().len(), 3, "every five minutes");
    for remote in script.remotes.values_mut() {
        remote.act = None;
    }
    script.run_for(5 * MINUTE);
    assert_eq!(script.announced().last().unwrap().outcome.accepted, 3);
    script.run_for(45 * MINUTE);
    assert_eq!(script.announced().len(), 4, "and then once an hour");
}

#[test]
fn line_83_who_refuses_or_is_silent_does_not_make_it_announce_more_often() {
    for on_put in [Answer::Error(202), Answer::Error(203), Answer::Error(302), Answer::Silence] {
        let mut script = network(12, |_, remote| Remote { on_put: on_put.clone(), ..remote });
        keep(&mut script, &mutable(b"", 1, VALUE));
        script.run_for(24 * HOUR);
        assert!(script.announced().len() <= 30, "{}", script.announced().len());
        assert!(script.announced().iter().all(|announced| announced.outcome.accepted == 0));
    }
}

// --- what is sent ---

#[test]
fn line_84_what_is_stored_is_put_again_octet_for_octet_without_a_secret_key() {
    for salt in [&b""[..], b"salt"] {
        let mut script = network(12, |_, remote| remote);
        let item = mutable(salt, 7, VALUE);
        announce(&mut script, &item);
        script.run_for(HOUR);
        let puts = puts(&script, 12);
        assert_eq!(puts.len(), 16);
        let Item::Mutable(item) = item else { unreachable!() };
        for (_, put) in puts {
            assert_eq!(put.get("k").and_then(Value::bytes), Some(&key().0[..]));
            assert_eq!(put.get("salt").and_then(Value::bytes).unwrap_or_default(), salt);
            assert_eq!(put.get("seq").and_then(Value::int), Some(7));
            assert_eq!(put.get("sig").and_then(Value::bytes), Some(&item.signature().0[..]));
            assert_eq!(put.get("v").unwrap().encode(), VALUE);
            assert_eq!(put.get("cas"), None);
        }
    }
    let mut script = network(12, |_, remote| remote);
    announce(&mut script, &immutable(VALUE));
    script.run_for(HOUR);
    let puts = puts(&script, 12);
    assert_eq!(puts.len(), 16);
    assert!(puts.iter().all(|(_, put)| put.get("k").is_none() && put.get("v").unwrap().encode() == VALUE));
}

#[test]
fn line_84_what_is_not_signed_or_not_new_enough_is_not_kept() {
    let mut script = Script::new();
    let Item::Mutable(good) = mutable(b"", 5, VALUE) else { unreachable!() };
    let forged = MutableItem::new(key(), b"", 6, VALUE, *good.signature()).unwrap();
    let now = script.now;
    assert_eq!(script.node.keep(now, &Item::Mutable(forged)), Err(KeepError::Item(ItemError::InvalidSignature)));
    keep(&mut script, &Item::Mutable(good));
    let too_low = Err(KeepError::Item(ItemError::SequenceTooLow { stored: 5 }));
    assert_eq!(script.node.keep(now, &mutable(b"", 4, VALUE)), too_low);
    assert_eq!(script.node.keep(now, &mutable(b"", 5, b"1:x")), too_low);
    assert_eq!(script.node.keep(now, &mutable(b"", 5, VALUE)), Ok(()));
    assert_eq!(script.node.keep(now, &mutable(b"", 6, b"1:x")), Ok(()));
    assert_eq!(kept_versions(&script), [(Some(6), b"1:x".to_vec())]);
    let mut without = Script::with(&Capacity { items: 0, values: 0, ..capacity() }, &config());
    assert_eq!(without.node.keep(now, &immutable(VALUE)), Err(KeepError::NoRoom));
}

#[test]
fn line_84_a_read_only_node_keeps_as_well() {
    let mut script = network_of(&capacity(), &Config { read_only: true, ..config() }, 12, |_, remote| remote);
    announce(&mut script, &immutable(VALUE));
    script.run_for(HOUR);
    assert_eq!(puts(&script, 12).len(), 16);
}

#[test]
fn line_84_a_node_in_both_networks_announces_in_both() {
    let mut script = network(3, |_, remote| remote);
    let v6 = addr("[2600::1]:7000");
    script.befriend(v6, Remote { nodes: Vec::new(), ..Remote::new(id(100)) });
    script.events.clear();
    let announced = announce(&mut script, &immutable(VALUE));
    assert_eq!((announced.outcome.accepted, puts(&script, 3).len()), (4, 3));
    assert_eq!(script.remote(v6).asked_for("put").len(), 1);
}

// --- whether it is sent ---

/// A network of 14 nodes of which some hold an item: `held(rank)` is what the node at this place by distance answers.
fn holding(target: Id, held: impl Fn(usize) -> Option<Value>) -> Script<'static> {
    let order = by_distance(14, target);
    network(14, |number, remote| {
        let rank = order.iter().position(|other| *other == number).unwrap();
        match held(rank) {
            Some(content) => remote.holding(content),
            None => remote,
        }
    })
}

fn version(seq: i64) -> Value {
    writer().found(b"", seq, VALUE)
}

#[test]
fn line_85_eight_copies_are_too_few() {
    let mut script = holding(target(), |rank| (rank < 8).then(|| version(3)));
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (false, 8));
    assert_eq!(puts(&script, 14).len(), 8);
}

#[test]
fn line_85_nine_copies_of_which_seven_on_the_closest_are_too_few() {
    let mut script = holding(target(), |rank| (rank < 10 && rank != 4).then(|| version(3)));
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (false, 9));
    assert_eq!(puts(&script, 14).len(), 8);
}

#[test]
fn line_85_an_older_version_on_one_of_the_closest_is_too_old() {
    let mut script = holding(target(), |rank| (rank < 10).then(|| version(if rank == 4 { 2 } else { 3 })));
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (false, 9));
    assert_eq!(puts(&script, 14).len(), 8);
}

#[test]
fn line_85_older_versions_elsewhere_are_no_copies() {
    let mut script = holding(target(), |rank| (rank < 12).then(|| version(if rank < 8 { 3 } else { 2 })));
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (false, 8));
}

#[test]
fn line_85_nine_copies_on_the_closest_and_another_are_enough() {
    let mut script = holding(target(), |rank| (rank < 9).then(|| version(3)));
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies, announced.outcome.accepted), (true, 9, 0));
    assert_eq!(puts(&script, 14).len(), 0);
    assert_eq!(script.node.kept().next().unwrap().last, LastAnnouncement::Skipped { copies: 9 });
    script.run_for(HOUR);
    assert_eq!(script.announced().len(), 2, "it reads again in an hour");
}

#[test]
fn line_85_storing_is_spared_every_other_time_at_most_because_it_refreshes_nothing() {
    let mut script = holding(target(), |rank| (rank < 9).then(|| version(3)));
    announce(&mut script, &mutable(b"", 3, VALUE));
    script.run_for(4 * HOUR);
    let skipped: Vec<_> = script.announced().iter().map(|announced| announced.skipped).collect();
    assert_eq!(skipped[..4], [true, false, true, false]);
    // Whoever has it is sent it twice: within two hours, after which it would be gone.
    assert_eq!(puts(&script, 14).len(), 8 * skipped.iter().filter(|skipped| !**skipped).count());
}

#[test]
fn line_85_who_says_the_number_alone_has_it_as_well() {
    let mut script = holding(target(), |rank| match rank {
        2 | 5 => Some(dict().with("seq", 3)),
        0..9 => Some(version(3)),
        _ => None,
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (true, 9));
}

#[test]
fn line_85_the_same_for_an_immutable_item() {
    for (copies, skipped) in [(8, false), (9, true)] {
        let value = || dict().with("v", raw(VALUE));
        let mut script = holding(sha1(VALUE), |rank| (rank < copies).then(value));
        let announced = announce(&mut script, &immutable(VALUE));
        assert_eq!((announced.skipped, usize::from(announced.outcome.copies)), (skipped, copies));
        assert_eq!(puts(&script, 14).len(), if skipped { 0 } else { 8 });
    }
}

#[test]
fn line_85_closest_are_those_that_take_it() {
    // The closest of all has it not, but gives no token either: it could not be stored on anyway.
    let order = by_distance(14, target());
    let mut script = network(14, |number, remote| match order.iter().position(|other| *other == number).unwrap() {
        0 => Remote { token: None, ..remote },
        1..10 => remote.holding(version(3)),
        _ => remote,
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (true, 9));
}

#[test]
fn line_85_forged_copies_are_none() {
    let forged = || version(3).with("v", "forg");
    let mut script = holding(target(), |rank| match rank {
        0..=7 => Some(version(3)),
        9 => Some(forged()),
        _ => None,
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.outcome.copies), (false, 8));
}

// --- newer versions ---

#[test]
fn line_86_a_newer_version_that_is_met_is_adopted_and_announced_instead() {
    let newer = || writer().found(b"", 9, b"5:newer");
    let mut script = holding(target(), |rank| match rank {
        3 => Some(newer()),
        0..12 => Some(version(3)),
        _ => None,
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.skipped, announced.seq, announced.outcome.copies), (false, Some(9), 1));
    assert_eq!(adopted(&script), [(9, b"5:newer".to_vec())]);
    assert_eq!(kept_versions(&script), [(Some(9), b"5:newer".to_vec())]);
    script.run_for(HOUR);
    let puts = puts(&script, 14);
    assert_eq!(puts.len(), 16);
    let is_newer = |put: &Value| {
        put.get("seq").and_then(Value::int) == Some(9)
            && put.get("sig") == newer().get("sig")
            && put.get("v").unwrap().encode() == b"5:newer"
    };
    assert!(puts.iter().all(|(_, put)| is_newer(put)), "the old one is never sent again");
    assert_eq!(adopted(&script).len(), 1, "told once");
}

#[test]
fn line_86_a_newer_version_that_is_plentiful_is_adopted_and_not_stored() {
    let mut script = holding(target(), |rank| (rank < 9).then(|| version(4)));
    let announced = announce(&mut script, &mutable(b"", 3, b"3:old"));
    assert_eq!((announced.skipped, announced.seq), (true, Some(4)));
    assert_eq!(adopted(&script), [(4, VALUE.to_vec())]);
    assert_eq!(puts(&script, 14).len(), 0);
}

#[test]
fn line_86_a_newer_version_is_adopted_even_while_the_old_one_is_being_stored() {
    let newer = || writer().found(b"", 9, b"5:newer").with("token", "fresh");
    let first = by_distance(12, target())[0];
    let mut script = network(12, |number, remote| {
        if number != first {
            return remote;
        }
        // It wants another token, and has a newer version by the time that it is asked for one.
        let mut puts = 0;
        let mut gets = 0;
        remote.acting(move |query| match query.get("q").and_then(Value::bytes) {
            Some(b"put") => {
                puts += 1;
                (puts == 1).then_some(Answer::Error(203))
            }
            Some(b"get") => {
                gets += 1;
                (gets == 2).then(|| Answer::Reply(newer()))
            }
            _ => None,
        })
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.seq, announced.outcome.accepted), (Some(9), 8));
    assert_eq!(adopted(&script), [(9, b"5:newer".to_vec())]);
    for number in by_distance(12, target()).into_iter().take(8) {
        let puts = script.remote(place(number)).asked_for("put");
        assert_eq!(puts.last().unwrap().get("seq").and_then(Value::int), Some(9), "node {number} has the newer one");
    }
}

#[test]
fn line_86_a_newer_version_that_a_stranger_stores_here_is_adopted() {
    let mut script = network(12, |_, remote| remote);
    announce(&mut script, &mutable(b"", 3, VALUE));
    let due = script.node.kept().next().unwrap().due;
    let stranger = addr("70.1.2.3:5000");
    script.put(stranger, &writer().item(b"", 4, b"5:newer")).unwrap();
    script.turn();
    assert_eq!(adopted(&script), [(4, b"5:newer".to_vec())]);
    assert_eq!(script.node.kept().next().unwrap().due, due, "a stranger does not decide when it is announced");
    script.run_for(HOUR);
    assert_eq!(script.announced().last().unwrap().seq, Some(4));
}

#[test]
fn line_86_what_is_older_or_forged_is_never_adopted() {
    let forged = writer().found(b"", 9, b"5:newer").with("v", "other");
    let of_another = Writer::new(2).found(b"", 9, b"5:newer");
    let mut script = holding(target(), |rank| match rank {
        0 | 6 => Some(version(2)),
        1 | 7 => Some(forged.clone()),
        2 | 8 => Some(of_another.clone()),
        3 => Some(of_another.clone().with("k", writer().key())),
        4 => Some(dict().with("seq", i64::MAX)),
        _ => None,
    });
    let announced = announce(&mut script, &mutable(b"", 3, VALUE));
    assert_eq!((announced.seq, announced.outcome.copies), (Some(3), 0));
    let stranger = addr("70.1.2.3:5000");
    assert_eq!(script.put(stranger, &writer().item(b"", 2, b"1:a")), Err(302));
    assert_eq!(script.put(stranger, &writer().item(b"", 3, b"1:a")), Err(302));
    assert_eq!(script.put(stranger, &writer().item(b"", 4, b"1:a").with("v", "b")), Err(206));
    script.run_for(3 * HOUR);
    assert_eq!(adopted(&script), []);
    assert_eq!(kept_versions(&script), [(Some(3), VALUE.to_vec())]);
}

#[test]
fn line_86_of_two_values_with_one_number_the_one_that_more_hold_is_kept_and_stays() {
    let (ours, theirs) = (&b"1:z"[..], &b"1:a"[..]);
    for (others, expected) in [(2, ours), (6, theirs)] {
        let mut script = holding(target(), |rank| match rank {
            0..2 => Some(writer().found(b"", 3, ours)),
            _ if rank < 2 + others => Some(writer().found(b"", 3, theirs)),
            _ => None,
        });
        keep(&mut script, &mutable(b"", 3, ours));
        script.run_for(24 * HOUR);
        assert_eq!(kept_versions(&script), [(Some(3), expected.to_vec())]);
        assert_eq!(adopted(&script).len(), usize::from(expected == theirs), "decided once");
    }
}

// --- restarts ---

#[test]
fn line_87_what_was_kept_is_kept_by_the_next_node_and_announced_when_it_was_due() {
    let mut script = network(12, |_, remote| remote);
    for number in 0..20_u8 {
        let value = format!("2:{number:02}");
        script.node.restore_kept(script.now, &immutable(value.as_bytes()), u32::from(number) * 3 * MINUTE).unwrap();
    }
    keep(&mut script, &mutable(b"salt", 3, VALUE));
    script.run_for(MINUTE);
    assert_eq!(script.announced().len(), 2, "not all at once");

    let mut next = network(12, |_, remote| remote);
    let now = script.now;
    let mut snapshot = Vec::new();
    for kept in script.node.kept() {
        next.node.restore_kept(next.now, &kept.item, kept.due.since(now)).unwrap();
        snapshot.push((kept.target, kept.due.since(now)));
    }
    assert_eq!(snapshot.len(), 21);
    let restored: Vec<_> = next.node.kept().map(|kept| (kept.target, kept.due.since(next.now))).collect();
    assert_eq!(restored, snapshot);
    next.run_for(MINUTE);
    assert_eq!(next.announced().len(), 0);
    next.run_for(30 * MINUTE);
    assert_eq!(next.announced().len(), 10);
    next.run_for(30 * MINUTE);
    let targets: BTreeSet<_> = next.announced().into_iter().map(|announced| announced.target).collect();
    assert_eq!(targets.len(), 21);
    // What an ordinary restart restores is not kept.
    assert!(next.events.iter().all(|event| !matches!(event, Told::Adopted(_))));
}

// --- many items ---

#[test]
fn line_83_many_items_make_no_flood_and_leave_queries_for_the_application() {
    let capacity = Capacity { items: 1_000, values: 64 * 1024, queries: 4, ..capacity() };
    let mut script = network_of(&capacity, &config(), 12, |_, remote| remote);
    for number in 0..500_u16 {
        keep(&mut script, &immutable(format!("3:{number:03}").as_bytes()));
    }
    let start = script.now;
    while script.announced().len() < 500 {
        let before = script.sent.len();
        script.run_for(Duration::from_secs(1));
        assert!(script.sent.len() - before < 60, "{} packets in a second", script.sent.len() - before);
        // Always: the one that announces takes turns with it.
        let handle = script.node.get(script.now, Target::ZERO).expect("a query for the application");
        script.finish(handle);
    }
    let took = script.now.since(start);
    assert!(took >= Duration::from_secs(499) && took < Duration::from_secs(1_200), "{took:?}");
    let targets: BTreeSet<_> = script.announced().into_iter().map(|announced| announced.target).collect();
    assert_eq!(targets.len(), 500, "each once");
}

#[test]
fn line_83_more_items_than_seconds_are_announced_all_the_same() {
    let capacity = Capacity { items: 5_000, values: 128 * 1024, queries: 32, ..capacity() };
    let mut script = network_of(&capacity, &config(), 3, |_, remote| remote);
    for number in 0..5_000_u16 {
        keep(&mut script, &immutable(format!("4:{number:04}").as_bytes()));
    }
    script.run_for(HOUR - MINUTE);
    let targets: BTreeSet<_> = script.announced().into_iter().map(|announced| announced.target).collect();
    assert_eq!(targets.len(), 5_000);
}

#[test]
fn line_83_a_node_with_one_query_announces_between_those_of_the_application() {
    let capacity = Capacity { queries: 1, contacts6: 0, ..capacity() };
    let mut script = network_of(&capacity, &config(), 12, |_, remote| remote);
    keep(&mut script, &immutable(VALUE));
    let handle = script.node.get(script.now, Target::ZERO).unwrap();
    script.finish(handle);
    assert_eq!(script.announced().len(), 0);
    script.run_for(MINUTE);
    assert_eq!(script.announced().len(), 1);
}

// --- strangers ---

#[test]
fn a_flood_of_strangers_items_neither_evicts_nor_delays_what_is_kept() {
    let mut script = network(12, |_, remote| remote);
    announce(&mut script, &immutable(VALUE));
    let due = script.node.kept().next().unwrap().due;
    for number in 0..500_u16 {
        let value = format!("3:{number:03}");
        let put = dict().with("v", raw(&value));
        script.put(place(2_000 + number), &put).unwrap();
    }
    // Nor does putting the item itself.
    script.put(place(1), &dict().with("v", raw(VALUE))).unwrap();
    script.turn();
    let kept: Vec<_> = script.node.kept().map(|kept| (kept.target, kept.due)).collect();
    assert_eq!(kept, [(Target::new(sha1(VALUE)), due)]);
    assert_eq!(script.node.items().count(), 32, "the store is full");
}

#[test]
fn a_store_full_of_what_is_kept_refuses_strangers_and_tells_the_application() {
    let mut script = Script::with(&Capacity { items: 4, values: 4_096, ..capacity() }, &config());
    let stranger = addr("70.1.2.3:5000");
    for number in 0..3_u8 {
        keep(&mut script, &immutable(format!("1:{number}").as_bytes()));
    }
    keep(&mut script, &mutable(b"", 1, VALUE));
    let now = script.now;
    assert_eq!(script.node.keep(now, &immutable(b"1:x")), Err(KeepError::NoRoom));
    assert_eq!(script.put(stranger, &dict().with("v", "x")), Err(202));
    // A newer version takes the room of the old one.
    script.put(stranger, &writer().item(b"", 2, &string_value(900))).unwrap();
    assert_eq!(script.node.kept().count(), 4);
    assert!(script.node.forget(now, &Target::new(sha1(b"1:0"))));
    assert_eq!(script.node.keep(now, &immutable(b"1:x")), Ok(()));
}

fn string_value(len: usize) -> Vec<u8> {
    [format!("{len}:").into_bytes(), vec![b'x'; len]].concat()
}

#[test]
fn adoptions_do_not_make_it_announce_more_often() {
    let mut script = network(12, |_, remote| remote);
    keep(&mut script, &mutable(b"", 1, VALUE));
    let stranger = addr("70.1.2.3:5000");
    for seq in 2..200 {
        script.put(stranger, &writer().item(b"", seq, b"1:n")).unwrap();
        script.run_for(MINUTE);
    }
    assert!(script.announced().len() <= 5, "{}", script.announced().len());
    assert_eq!(adopted(&script).len(), 198);
}

#[test]
fn the_clock_may_start_anywhere() {
    // Due in the past of the clock, and far in its future.
    let mut script = network(3, |_, remote| remote);
    script.node.restore_kept(Instant::ZERO, &immutable(VALUE), Duration::ZERO).unwrap();
    script.node.restore_kept(script.now, &immutable(b"1:f"), Duration::MAX).unwrap();
    script.run_for(24 * HOUR);
    let targets: BTreeSet<_> = script.announced().into_iter().map(|announced| announced.target).collect();
    assert_eq!(targets.len(), 1);
}
