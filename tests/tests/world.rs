//! Whole networks in virtual time: two nodes, twenty, two hundred; with loss and with dead nodes.

use bep44_core::item::{immutable_target, mutable_target};
use bep44_core::time::Duration;
use bep44_core::{Capacity, ImmutableItem, Item, MutableItem, SecretKey, Target};
use bep44_tests::world::{Wire, World};

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed([number + 1; 32]).unwrap()
}

fn put_immutable(world: &mut World, member: usize, value: &[u8]) -> bep44_core::Outcome {
    let item = Item::Immutable(ImmutableItem::new(value).unwrap());
    world.query(member, |node, now| node.put(now, &item, None)).ended().clone()
}

fn put_mutable(
    world: &mut World,
    member: usize,
    secret: &SecretKey,
    salt: &[u8],
    seq: i64,
    value: &[u8],
    cas: Option<i64>,
) -> bep44_core::Outcome {
    let item = Item::Mutable(MutableItem::sign(secret, salt, seq, value).unwrap());
    world.query(member, |node, now| node.put(now, &item, cas)).ended().clone()
}

fn get_mutable(world: &mut World, member: usize, secret: &SecretKey, salt: &[u8]) -> Option<(i64, Vec<u8>)> {
    world.query(member, |node, now| node.get_mutable(now, &secret.public_key(), salt, None)).newest().cloned()
}

#[test]
fn two_nodes_store_for_each_other() {
    let mut world = World::joined(1, Wire::GOOD, 2);
    assert_eq!(put_immutable(&mut world, 1, b"5:hello").accepted, 1);
    let found = world.query(1, |node, now| node.get(now, immutable_target(b"5:hello")));
    assert_eq!(found.newest().unwrap().1, b"5:hello");
    let missing = world.query(1, |node, now| node.get(now, Target::ZERO));
    assert_eq!((missing.values.len(), missing.ended().answered), (0, 1));
}

#[test]
fn twenty_nodes_find_what_any_of_them_put() {
    let mut world = World::joined(2, Wire::GOOD, 20);
    for writer in 0..20_u8 {
        let value = format!("9:value-{writer:03}").into_bytes();
        let target = immutable_target(&value);
        assert_eq!(put_immutable(&mut world, writer.into(), &value).accepted, 8, "writer {writer}");
        // The eight closest of the others have it, and the writer itself if it is among the closest.
        let writer = usize::from(writer);
        let closest = world.closest(&target);
        let others = closest.iter().copied().filter(|member| *member != writer).take(8);
        let own = closest.iter().copied().take(8).filter(|member| *member == writer);
        let mut expected: Vec<_> = others.chain(own).collect();
        expected.sort_by_key(|member| closest.iter().position(|other| other == member));
        assert_eq!(world.holders(&target), expected);
        let writer = writer as u8;
        let stored = put_mutable(&mut world, writer.into(), &secret(writer), b"salt", 1, &value, None);
        assert_eq!(stored.accepted, 8);
        let reader = usize::from((writer + 7) % 20);
        let found = world.query(reader, |node, now| node.get(now, target));
        assert_eq!(found.newest().unwrap().1, value);
        assert_eq!(get_mutable(&mut world, reader, &secret(writer), b"salt"), Some((1, value)));
        assert_eq!(get_mutable(&mut world, reader, &secret(writer), b""), None);
    }
}

#[test]
fn an_update_replaces_and_a_stale_write_or_a_conflict_does_not() {
    let mut world = World::joined(3, Wire::GOOD, 20);
    let key = secret(9);
    assert_eq!(put_mutable(&mut world, 4, &key, b"", 1, b"3:one", None).accepted, 8);
    assert_eq!(put_mutable(&mut world, 4, &key, b"", 2, b"3:two", Some(1)).accepted, 8);
    assert_eq!(get_mutable(&mut world, 6, &key, b""), Some((2, b"3:two".to_vec())));

    let stale = put_mutable(&mut world, 4, &key, b"", 1, b"3:one", None);
    // A writer who stores the item itself refuses as well.
    assert_eq!((stale.accepted, stale.rejected[0].code), (0, 302));
    assert!((8..=9).contains(&stale.refused()));
    assert_eq!(stale.newest, Some(2), "somebody has written a newer one");

    let conflict = put_mutable(&mut world, 4, &key, b"", 3, b"5:three", Some(1));
    assert_eq!((conflict.accepted, conflict.rejected[0].code), (0, 301));
    assert!((8..=9).contains(&conflict.refused()));
    assert_eq!(get_mutable(&mut world, 6, &key, b""), Some((2, b"3:two".to_vec())));
}

/// Half of the network dies and is replaced, a node at a time over a day; whether an item is found each hour.
fn found_through_a_day(seed: u64, keep: bool) -> Vec<bool> {
    let mut world = World::joined(seed, Wire::GOOD, 30);
    let key = secret(7);
    let item = Item::Mutable(MutableItem::sign(&key, b"", 5, b"4:kept").unwrap());
    let target = item.target();
    assert_eq!(world.query(1, |node, now| node.put(now, &item, None)).ended().accepted, 8);
    if keep {
        world.command(1, |node, now| node.keep(now, &item)).unwrap();
    } else {
        // The copy that the writer may have counts as little as any other.
        assert!(!world.command(1, |node, now| node.forget(now, &target)));
    }
    let mut newest = 2;
    (0..24)
        .map(|hour| {
            world.run(Duration::from_secs(1_800));
            // One of those that hold it, if it is not the keeper or the one that all others were introduced to.
            let victim = world.holders(&target).into_iter().find(|member| *member > 2).unwrap_or(3 + hour);
            world.kill(victim);
            newest = world.add(&Capacity::home(), |_| {});
            world.introduce(newest, 0);
            world.run(Duration::from_secs(1_800));
            get_mutable(&mut world, newest, &key, b"") == Some((5, b"4:kept".to_vec()))
        })
        .collect()
}

#[test]
fn what_is_kept_is_found_for_a_day_though_those_who_hold_it_die_and_what_is_not_is_gone_after_two_hours() {
    assert_eq!(found_through_a_day(40, true), [true; 24]);
    let without = found_through_a_day(40, false);
    assert!(without[0], "within two hours");
    assert_eq!(without[2..], [false; 22]);
}

#[test]
fn several_who_keep_one_item_agree_on_its_newest_version() {
    for seed in 42..48 {
        several_keep_one_item(seed);
    }
}

fn several_keep_one_item(seed: u64) {
    let mut world = World::joined(seed, Wire::GOOD, 30);
    let key = secret(7);
    let version = |seq| Item::Mutable(MutableItem::sign(&key, b"", seq, b"4:kept").unwrap());
    let keepers = [4, 9, 17, 25];
    for (seq, keeper) in [1, 3, 2, 3].into_iter().zip(keepers) {
        world.command(keeper, |node, now| node.keep(now, &version(seq))).unwrap();
    }
    world.run(Duration::from_secs(3 * 3_600));
    for keeper in keepers {
        let kept: Vec<_> = world.node(keeper).kept().filter_map(|kept| Some(kept.item.as_mutable()?.seq())).collect();
        assert_eq!(kept, [3], "keeper {keeper}, seed {seed}");
    }
    // A new version by somebody who keeps nothing reaches them all.
    assert!(world.query(2, |node, now| node.put(now, &version(8), None)).ended().accepted > 0);
    world.run(Duration::from_secs(2 * 3_600));
    for keeper in keepers {
        let kept: Vec<_> = world.node(keeper).kept().filter_map(|kept| Some(kept.item.as_mutable()?.seq())).collect();
        assert_eq!(kept, [8], "keeper {keeper}, seed {seed}");
    }
    // All of them know that many hold it. Whoever stored it does no more; it must not expire for that.
    for _ in 0..12 {
        let found = get_mutable(&mut world, 20, &key, b"");
        assert_eq!(found, Some((8, b"4:kept".to_vec())), "seed {seed}");
        world.run(Duration::from_secs(600));
    }
}

#[test]
fn peers_are_found() {
    let mut world = World::joined(4, Wire::GOOD, 20);
    let info_hash = Target::new([0xab; 20]);
    assert_eq!(world.query(3, |node, now| node.announce(now, info_hash, Some(5_000))).ended().accepted, 8);
    assert_eq!(world.query(4, |node, now| node.announce(now, info_hash, None)).ended().accepted, 8);
    let mut peers = world.query(17, |node, now| node.get_peers(now, info_hash)).peers;
    peers.sort();
    let mut expected = [world.addr(3), world.addr(4)];
    expected[0].set_port(5_000);
    assert_eq!(peers, expected);
}

#[test]
fn an_item_outlives_the_nodes_that_die_and_puts_pass_them_over() {
    let mut world = World::joined(5, Wire::GOOD, 40);
    let key = secret(1);
    let target = mutable_target(&key.public_key(), b"");
    assert_eq!(put_mutable(&mut world, 0, &key, b"", 1, b"3:one", None).accepted, 8);
    let holders = world.holders(&target);
    holders.iter().take(6).for_each(|member| world.kill(*member));
    let reader = *world.closest(&target).last().unwrap();
    assert_eq!(get_mutable(&mut world, reader, &key, b""), Some((1, b"3:one".to_vec())));
    let again = put_mutable(&mut world, reader, &key, b"", 2, b"3:two", None);
    assert_eq!(again.accepted, 8);
    let another = world.closest(&target)[20];
    assert_eq!(get_mutable(&mut world, another, &key, b"").unwrap().0, 2);
}

#[test]
fn a_lossy_wire_delays_and_does_not_lose() {
    for seed in 0..10 {
        let wire = Wire { lost_per_mille: 50, ..Wire::GOOD };
        let mut world = World::joined(seed, wire, 30);
        let mut found = 0;
        for writer in 0..30_u8 {
            let value = format!("9:value-{writer:03}").into_bytes();
            assert!(put_immutable(&mut world, writer.into(), &value).accepted >= 6, "seed {seed}, writer {writer}");
            let target = immutable_target(&value);
            let reader = usize::from((writer + 11) % 30);
            found += world.query(reader, |node, now| node.get(now, target)).values.len();
        }
        assert_eq!(found, 30, "seed {seed}");
    }
}

#[test]
fn a_read_only_node_reads_and_writes_and_is_named_by_nobody() {
    let mut world = World::joined(6, Wire::GOOD, 12);
    let visitor = world.add(&Capacity::tiny(), |config| config.read_only = true);
    world.introduce(visitor, 0);
    assert_eq!(put_immutable(&mut world, visitor, b"5:hello").accepted, 8);
    let addr = world.addr(visitor);
    world.run(Duration::from_secs(60));
    assert!((0..12).all(|member| world.node(member).contacts().all(|contact| contact.addr() != addr)));
    assert_eq!(world.query(3, |node, now| node.get(now, immutable_target(b"5:hello"))).values.len(), 1);
}

#[test]
fn an_item_that_nobody_announces_again_is_gone_after_two_hours() {
    let mut world = World::joined(7, Wire::GOOD, 12);
    let target = immutable_target(b"5:hello");
    put_immutable(&mut world, 1, b"5:hello");
    world.run(Duration::from_secs(7_100));
    assert_eq!(world.query(2, |node, now| node.get(now, target)).values.len(), 1);
    world.run(Duration::from_secs(200));
    assert_eq!(world.query(2, |node, now| node.get(now, target)).values.len(), 0);
    assert_eq!(world.holders(&target), Vec::<usize>::new());
}

#[test]
fn two_hundred_nodes_store_on_the_truly_closest() {
    let mut world = World::joined(8, Wire::GOOD, 200);
    let mut hits = 0;
    for number in 0..50_u8 {
        let value = format!("9:value-{number:03}").into_bytes();
        let target = immutable_target(&value);
        assert_eq!(put_immutable(&mut world, number.into(), &value).accepted, 8);
        let others = world.closest(&target).into_iter().filter(|member| *member != usize::from(number));
        let holders = world.holders(&target);
        hits += others.take(8).filter(|member| holders.contains(member)).count();
    }
    assert!(hits >= 395, "{hits} of 400");
}

#[test]
fn a_node_that_lost_everybody_joins_again() {
    let mut world = World::joined(9, Wire::GOOD, 3);
    assert!(world.node(2).contacts().count() > 0);
    world.kill(0);
    world.kill(1);
    world.run(Duration::from_secs(3_600));
    let late = world.add(&Capacity::tiny(), |_| {});
    world.introduce(late, 2);
    world.run(Duration::from_secs(10));
    assert_eq!(world.node(late).contacts().count(), 1);
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let run = || {
        let mut world = World::joined(10, Wire { lost_per_mille: 100, ..Wire::GOOD }, 20);
        let outcome = put_immutable(&mut world, 3, b"5:hello");
        (world.sent(), world.now(), outcome)
    };
    assert_eq!(run(), run());
}
