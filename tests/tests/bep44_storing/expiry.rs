//! Expiry and eviction.

use super::*;

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
