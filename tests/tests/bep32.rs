//! BEP 32: two DHTs, one for IPv4 and one for IPv6, that a node may be in both of.

use std::net::SocketAddr;

use bep44_core::item::{immutable_target, mutable_target};
use bep44_core::time::Duration;
use bep44_core::{Capacity, ImmutableItem, Item, MutableItem, SecretKey, Target};
use bep44_tests::datagram::{dict, list, query};
use bep44_tests::script::{self, Script};
use bep44_tests::world::{Wire, World};

const V4: Capacity = Capacity::tiny();
const V6: Capacity = Capacity { contacts: 0, contacts6: 64, ..Capacity::tiny() };
const BOTH: Capacity = Capacity { contacts6: 64, queries: 4, ..Capacity::tiny() };

/// Twelve nodes in IPv4 only, twelve in IPv6 only, and two in both, which know one of each.
fn two_networks() -> (World, usize, usize) {
    let mut world = World::new(1, Wire::GOOD);
    for number in 0..24 {
        let member = world.add(if number < 12 { &V4 } else { &V6 }, |_| {});
        if number % 12 > 0 {
            world.introduce(member, if number < 12 { 0 } else { 12 });
        }
    }
    let [first, second] = [(); 2].map(|()| {
        let member = world.add(&BOTH, |_| {});
        world.introduce(member, 0);
        world.introduce(member, 12);
        member
    });
    world.run(Duration::from_secs(60));
    (world, first, second)
}

#[test]
fn line_1_the_two_tables_are_apart() {
    let (world, first, _) = two_networks();
    let known: Vec<SocketAddr> = world.node(first).contacts().map(bep44_core::Contact::addr).collect();
    assert!(known.iter().filter(|addr| addr.is_ipv4()).count() >= 8);
    assert!(known.iter().filter(|addr| addr.is_ipv6()).count() >= 8);
    for member in 0..12 {
        assert!(world.node(member).contacts().all(|contact| contact.addr().is_ipv4()));
        assert!(world.node(member + 12).contacts().all(|contact| contact.addr().is_ipv6()));
    }
}

#[test]
fn line_1_an_item_is_put_and_found_in_both() {
    let (mut world, first, second) = two_networks();
    let value = b"5:hello";
    let item = Item::Immutable(ImmutableItem::new(value).unwrap());
    let put = world.query(first, |node, now| node.put(now, &item, None));
    assert_eq!(put.ended().accepted, 16, "eight in each");
    let target = immutable_target(value);
    for reader in [3, 15, second] {
        let found = world.query(reader, |node, now| node.get(now, target));
        assert_eq!(found.values, [(0, value.to_vec())], "told once by {reader}");
    }
}

#[test]
fn line_1_the_newest_version_of_both_is_found_and_none_is_told_after_a_newer_one() {
    let (mut world, first, second) = two_networks();
    let secret = SecretKey::from_seed([5; 32]).unwrap();
    let put = |world: &mut World, writer, seq, value: &[u8]| {
        let item = Item::Mutable(MutableItem::sign(&secret, b"", seq, value).unwrap());
        world.query(writer, |node, now| node.put(now, &item, None)).ended().accepted
    };
    assert_eq!(put(&mut world, 2, 1, b"3:one"), 8);
    assert_eq!(put(&mut world, 14, 2, b"3:two"), 8);
    let found = world.query(second, |node, now| node.get_mutable(now, &secret.public_key(), b"", None));
    assert_eq!(found.newest(), Some(&(2, b"3:two".to_vec())));
    assert!(found.values.is_sorted(), "{:?}", found.values);
    // Copies of the newest only: of eight nodes in one network, and of one that is in both and is asked in both.
    assert_eq!(found.ended().newest, Some(2));
    assert!((7..=9).contains(&found.ended().copies), "{:?}", found.ended());
    // Now those of the other network get it as well.
    assert_eq!(put(&mut world, first, 3, b"5:three"), 16);
    let found = world.query(first, |node, now| node.get_mutable(now, &secret.public_key(), b"", None));
    assert_eq!(found.values.len(), 1, "one version is told once");
    assert!(found.ended().copies >= 14);
    let target = mutable_target(&secret.public_key(), b"");
    assert!(world.holders(&target).len() >= 16);
}

#[test]
fn line_1_a_query_that_is_given_up_is_given_up_in_both() {
    let (mut world, first, _) = two_networks();
    for _ in 0..20 {
        let mut handle = None;
        world.start(first, |node, now| {
            let query = node.find_node(now, Target::ZERO)?;
            node.cancel(query);
            handle = Some(query);
            Ok::<_, bep44_core::QueryError>(query)
        });
        assert!(world.ended(first, handle.unwrap()).is_none());
    }
    world.run(Duration::from_secs(10));
    assert!(world.query(first, |node, now| node.find_node(now, Target::ZERO)).ended().answered >= 16);
}

#[test]
fn line_1_who_is_in_both_and_hears_nothing_from_one_uses_the_other() {
    let (mut world, first, _) = two_networks();
    (12..24).for_each(|member| world.kill(member));
    let item = Item::Immutable(ImmutableItem::new(b"5:hello").unwrap());
    let put = world.query(first, |node, now| node.put(now, &item, None));
    assert!(put.ended().accepted >= 8);
    assert_eq!(world.query(4, |node, now| node.get(now, immutable_target(b"5:hello"))).values.len(), 1);
}

#[test]
fn line_2_want_decides_and_without_it_the_family_of_the_question() {
    let mut script = Script::with(&BOTH, &script::config());
    for number in 0..4_u8 {
        let v4 = SocketAddr::from(([60, 0, number, 1], 6_000));
        let v6 = SocketAddr::from(([0x2600, 1, u16::from(number), 0, 0, 0, 0, 1], 6_000));
        for (family, addr) in [(1, v4), (2, v6)] {
            let mut id = [family; 20];
            id[0] = 0x40 * number;
            script.befriend(addr, script::Remote::new(id));
        }
    }
    let four: SocketAddr = "198.51.100.1:1".parse().unwrap();
    let six: SocketAddr = "[2600:2::1]:1".parse().unwrap();
    let lists = |script: &mut Script<'_>, from, want: Option<&[&str]>| {
        let mut arguments = dict().with("target", [7; 20]);
        if let Some(want) = want {
            arguments = arguments.with("want", list(want.iter().map(|text| (*text).into()).collect()));
        }
        let reply = script.content(from, &query("get", arguments)).unwrap();
        let len = |key| reply.get(key).map(|list| list.bytes().unwrap().len());
        (len("nodes"), len("nodes6"))
    };
    let (n4, n6) = (Some(4 * 26), Some(4 * 38));
    assert_eq!(lists(&mut script, four, None), (n4, None));
    assert_eq!(lists(&mut script, six, None), (None, n6));
    for from in [four, six] {
        assert_eq!(lists(&mut script, from, Some(&["n4"])), (n4, None));
        assert_eq!(lists(&mut script, from, Some(&["n6"])), (None, n6));
        assert_eq!(lists(&mut script, from, Some(&["n6", "n4", "n8"])), (n4, n6));
    }
    assert_eq!(lists(&mut script, six, Some(&["n8"])), (None, n6), "as if nothing had been said");
}

#[test]
fn line_7_tokens_are_bound_to_all_16_octets() {
    let mut script = Script::with(&BOTH, &script::config());
    let target = *immutable_target(b"5:hello").as_bytes();
    let asker: SocketAddr = "[2600:2::1]:1".parse().unwrap();
    let neighbour: SocketAddr = "[2600:2::2]:1".parse().unwrap();
    let token = script.token(asker, target);
    let put = query("put", dict().with("token", token).with("v", "hello"));
    assert_eq!(script.content(neighbour, &put), Err(203));
    assert!(script.content(asker, &put).is_ok());
    assert_eq!(script.kept().len(), 1);
}

#[test]
fn line_8_a_peer_is_known_in_the_family_that_it_announced_from() {
    let (mut world, first, second) = two_networks();
    let info_hash = Target::new([0xab; 20]);
    assert_eq!(world.query(2, |node, now| node.announce(now, info_hash, Some(4_444))).ended().accepted, 8);
    assert_eq!(world.query(14, |node, now| node.announce(now, info_hash, Some(6_666))).ended().accepted, 8);
    let four = world.query(5, |node, now| node.get_peers(now, info_hash)).peers;
    assert_eq!(four.iter().map(SocketAddr::port).collect::<Vec<_>>(), [4_444]);
    let six = world.query(17, |node, now| node.get_peers(now, info_hash)).peers;
    assert_eq!(six.iter().map(SocketAddr::port).collect::<Vec<_>>(), [6_666]);
    for member in [first, second] {
        let mut both = world.query(member, |node, now| node.get_peers(now, info_hash)).peers;
        both.sort();
        assert_eq!(both.iter().map(SocketAddr::port).collect::<Vec<_>>(), [4_444, 6_666]);
    }
}
