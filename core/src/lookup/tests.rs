//! Walks step by step, and any walks at all.

use super::*;
use quickcheck::quickcheck;
use std::vec::Vec;

fn id(first: u8) -> NodeId {
    let mut octets = [0; 20];
    octets[0] = first;
    NodeId::new(octets)
}

fn addr(number: u8) -> CompactAddr {
    CompactAddr::V4([10, 0, 0, number], 1)
}

/// A walk towards zero, where a node's distance is its number.
fn walk(numbers: impl IntoIterator<Item = u8>) -> Lookup {
    let mut lookup = Lookup::new(Target::ZERO);
    for number in numbers {
        lookup.offer(Some(id(number)), addr(number), 0);
    }
    lookup
}

fn asked(lookup: &mut Lookup) -> Vec<u8> {
    core::iter::from_fn(|| lookup.next(Parallelism::DEFAULT)).map(|(addr, _)| addr.ip()[3]).collect()
}

fn answer(lookup: &mut Lookup, number: u8, names: &[u8]) {
    lookup.on_answer(&addr(number), id(number), 0).unwrap();
    let mut nearer = false;
    for name in names {
        nearer |= lookup.offer(Some(id(*name)), addr(*name), 1);
    }
    lookup.on_named(nearer);
}

#[test]
fn the_nearest_are_asked_first_and_a_few_at_a_time() {
    let mut lookup = walk([90, 10, 50, 70, 30, 20]);
    assert_eq!(asked(&mut lookup), [10, 20, 30, 50]);
    answer(&mut lookup, 10, &[5]);
    assert_eq!(asked(&mut lookup), [5]);
}

#[test]
fn an_answer_that_leads_no_nearer_widens_the_walk() {
    let mut lookup = walk(1..=12);
    assert_eq!(asked(&mut lookup), [1, 2, 3, 4]);
    answer(&mut lookup, 1, &[40]);
    assert_eq!(asked(&mut lookup), [5, 6, 7, 8], "and not beyond the K nearest");
}

#[test]
fn how_many_are_asked_at_a_time_is_a_setting() {
    let ask = |parallelism, lookup: &mut Lookup| core::iter::from_fn(|| lookup.next(parallelism)).count();
    let setting = Parallelism { narrow: 1, wide: 3 };
    let mut lookup = walk(1..=12);
    assert_eq!(ask(setting, &mut lookup), 1);
    answer(&mut lookup, 1, &[]);
    assert_eq!(ask(setting, &mut lookup), 3);
}

#[test]
fn a_walk_asks_somebody_and_no_more_than_it_remembers_whatever_the_setting() {
    let widths = |narrow, wide| {
        let parallelism = Parallelism { narrow, wide };
        (parallelism.width(false), parallelism.width(true))
    };
    assert_eq!(widths(4, 8), (4, 8));
    assert_eq!(widths(0, 0), (1, 1));
    assert_eq!(widths(6, 2), (6, 6));
    assert_eq!(widths(3, 255), (3, SHORTLIST));
}

#[test]
fn the_walk_ends_when_the_k_nearest_alive_have_answered() {
    let mut lookup = walk(1..=12);
    for number in 1..=8 {
        asked(&mut lookup);
        assert!(!lookup.is_finished());
        answer(&mut lookup, number, &[]);
    }
    assert_eq!(asked(&mut lookup), []);
    assert!(lookup.is_finished());
}

#[test]
fn a_late_question_opens_a_slot_is_waited_for_and_still_counts() {
    let mut lookup = walk(1..=9);
    assert_eq!(asked(&mut lookup), [1, 2, 3, 4]);
    answer(&mut lookup, 1, &[]);
    assert_eq!(asked(&mut lookup), [5, 6, 7, 8]);
    lookup.on_late(&addr(2));
    assert_eq!(asked(&mut lookup), [2, 9]);
    (3..=9).for_each(|number| answer(&mut lookup, number, &[]));
    assert!(!lookup.is_finished(), "within patience");
    let mut patient = lookup.clone();
    answer(&mut patient, 2, &[]);
    assert!(patient.is_finished());
    lookup.on_overdue(&addr(2));
    assert!(lookup.is_finished());
    answer(&mut lookup, 2, &[]);
    assert_eq!(lookup.answered, 9);
}

#[test]
fn who_fails_is_replaced_by_the_next_nearest() {
    let mut lookup = walk(1..=9);
    answer(&mut lookup, 9, &[]);
    asked(&mut lookup);
    lookup.on_failure(&addr(1));
    (2..=8).for_each(|number| answer(&mut lookup, number, &[]));
    assert!(lookup.is_finished());
    assert_eq!((lookup.answered, lookup.failed), (8, 1));
}

#[test]
fn while_nobody_answers_everybody_is_waited_for() {
    let mut lookup = Lookup::new(Target::ZERO);
    lookup.offer(None, addr(1), 0);
    assert_eq!(asked(&mut lookup), [1]);
    lookup.on_late(&addr(1));
    assert_eq!(asked(&mut lookup), [1], "once more");
    lookup.on_late(&addr(1));
    lookup.on_overdue(&addr(1));
    assert_eq!(asked(&mut lookup), []);
    assert!(!lookup.is_finished());
    lookup.on_failure(&addr(1));
    assert!(lookup.is_finished());
}

#[test]
fn a_node_known_by_address_gets_its_place_when_it_answers_or_is_named() {
    let mut lookup = Lookup::new(Target::ZERO);
    lookup.offer(None, addr(7), 0);
    lookup.offer(None, addr(8), 0);
    lookup.offer(Some(id(9)), addr(9), 0);
    assert_eq!(lookup.candidates()[0].addr, addr(9));
    assert!(lookup.offer(Some(id(8)), addr(8), 1), "named");
    asked(&mut lookup);
    answer(&mut lookup, 7, &[]);
    let order: Vec<_> = lookup.candidates().iter().map(|candidate| candidate.addr.ip()[3]).collect();
    assert_eq!(order, [7, 8, 9]);
}

#[test]
fn an_id_at_two_addresses_is_the_one_that_answers() {
    let mut lookup = Lookup::new(Target::ZERO);
    lookup.offer(None, addr(7), 0);
    asked(&mut lookup);
    lookup.offer(Some(id(3)), addr(99), 1);
    assert!(lookup.on_answer(&addr(7), id(3), 0).is_some());
    assert_eq!(asked(&mut lookup), []);
    assert!(lookup.is_finished());
}

#[test]
fn storing_takes_the_k_nearest_and_replaces_the_silent() {
    let mut lookup = walk(1..=10);
    for number in 1..=10 {
        let candidate = lookup.on_answer(&addr(number), id(number), 0).unwrap();
        // Number 2 gives no token.
        let token: &[u8] = if number == 2 { b"" } else { b"token" };
        candidate.token = heapless::Vec::from_slice(token).unwrap();
    }
    let mut order = Vec::new();
    while let Some(candidate) = lookup.next_to_store_on() {
        candidate.storing = Storing::Sent;
        order.push(candidate.addr.ip()[3]);
    }
    assert_eq!(order, [1, 3, 4, 5, 6, 7, 8, 9]);
    lookup.candidate_mut(&addr(1)).unwrap().storing = Storing::Refused(302);
    assert!(lookup.next_to_store_on().is_none(), "the next one would refuse as well");
    lookup.candidate_mut(&addr(3)).unwrap().storing = Storing::Silent;
    assert_eq!(lookup.next_to_store_on().unwrap().addr, addr(10));
}

/// A walk that stores, whose questions to the second to ninth node were answered on the given try.
fn storing_walk(tries: u8) -> Lookup {
    let mut lookup = walk(1..=8);
    lookup.needs_tokens = true;
    let mut answered = 0;
    while answered < 7 {
        for number in asked(&mut lookup).into_iter().filter(|number| *number > 1) {
            if lookup.candidate_mut(&addr(number)).unwrap().tries == tries {
                answer(&mut lookup, number, &[]);
                lookup.candidate_mut(&addr(number)).unwrap().token.push(7).unwrap();
                answered += 1;
            } else {
                lookup.on_late(&addr(number));
            }
        }
    }
    lookup
}

#[test]
fn a_walk_that_stores_asks_three_times_within_patience() {
    let mut lookup = storing_walk(1);
    for _ in 0..2 {
        lookup.on_late(&addr(1));
        assert_eq!(asked(&mut lookup), [1]);
        assert_eq!(asked(&mut lookup), [], "not before that is late as well");
    }
    lookup.on_late(&addr(1));
    assert_eq!(asked(&mut lookup), []);
    assert!(!lookup.is_finished());
    lookup.on_overdue(&addr(1));
    assert!(lookup.is_finished());
}

#[test]
fn where_every_other_question_is_lost_it_asks_six_times_and_has_patience_for_it() {
    let mut lookup = storing_walk(2);
    assert_eq!((lookup.answered, lookup.lost), (7, 7));
    for question in 2..=MAX_TRIES {
        if question > TRIES_TO_STORE {
            // Of the question three before.
            lookup.on_overdue(&addr(1));
        }
        lookup.on_late(&addr(1));
        assert_eq!(asked(&mut lookup), [1], "question {question}");
    }
    lookup.on_late(&addr(1));
    assert_eq!(asked(&mut lookup), []);
    assert!(!lookup.is_finished());
    lookup.on_overdue(&addr(1));
    assert!(lookup.is_finished());
}

#[test]
fn an_item_is_sent_as_often_as_a_question() {
    for (lost_each, times) in [(1, TRIES_TO_STORE), (2, MAX_TRIES)] {
        let mut lookup = storing_walk(lost_each);
        let sent = |lookup: &mut Lookup| {
            let candidate = lookup.next_to_store_on().unwrap();
            candidate.on_sent();
            (candidate.addr, candidate.marks.has(Marks::RESENT))
        };
        assert_eq!(sent(&mut lookup), (addr(2), false));
        for time in 2..=times {
            if time > TRIES_TO_STORE {
                lookup.on_store_late(&addr(2), Age::Overdue);
            }
            lookup.on_store_late(&addr(2), Age::Late);
            assert_eq!(sent(&mut lookup), (addr(2), true), "{time}");
        }
        lookup.on_store_late(&addr(2), Age::Late);
        assert_eq!(lookup.candidate_mut(&addr(2)).unwrap().storing, Storing::Sent);
        lookup.on_store_late(&addr(2), Age::Overdue);
        assert_eq!(lookup.candidate_mut(&addr(2)).unwrap().storing, Storing::Silent);
    }
}

#[test]
fn storing_waits_for_nobody_when_enough_take_the_item() {
    let mut lookup = walk(1..=9);
    lookup.offer(None, addr(99), 0);
    for number in 1..=8 {
        let candidate = lookup.on_answer(&addr(number), id(number), 0).unwrap();
        candidate.token = heapless::Vec::from_slice(b"token").unwrap();
        candidate.storing = Storing::Accepted;
    }
    lookup.candidate_mut(&addr(99)).unwrap().state = State::Late;
    assert!(!lookup.has_spare());
    assert!(lookup.next_spare().is_none());
    lookup.candidate_mut(&addr(3)).unwrap().storing = Storing::Silent;
    assert!(lookup.has_spare());
    assert_eq!(lookup.next_spare().unwrap().0, addr(9));
    assert!(lookup.next_spare().is_none(), "one is enough, as long as it may answer");
    assert!(lookup.has_spare());
}

quickcheck! {
    fn the_shortlist_stays_sorted_and_ends(steps: Vec<(u8, u8, u8)>) -> bool {
        let mut lookup = walk([200, 100, 50]);
        for (kind, number, named) in steps {
            match kind % 6 {
                0 => { lookup.next(Parallelism::DEFAULT); }
                1 if lookup.candidates().iter().any(|c| c.addr == addr(number)) => {
                    answer(&mut lookup, number, &[named, named.wrapping_add(1)]);
                }
                2 => lookup.on_late(&addr(number)),
                3 => lookup.on_overdue(&addr(number)),
                4 => lookup.on_failure(&addr(number)),
                _ => { lookup.offer(Some(id(named)), addr(named), 1); }
            }
            assert!(lookup.candidates().is_sorted_by_key(|c| c.distance(&Target::ZERO)));
        }
        // Whatever happened, failing every question ends it.
        for _ in 0..100 {
            let asked = asked(&mut lookup);
            asked.iter().for_each(|number| lookup.on_failure(&addr(*number)));
            let waiting: Vec<_> = lookup.candidates().iter().map(|c| c.addr).collect();
            waiting.iter().for_each(|addr| lookup.on_failure(addr));
        }
        lookup.is_finished()
    }
}

#[test]
fn a_walk_takes_less_than_2_000_octets() {
    assert!(size_of::<Lookup>() < 2_000, "{}", size_of::<Lookup>());
}
