//! BEP 43, read-only nodes: each line of the project's checklist (its section 1.6), over datagrams in and datagrams out.
//! A test is named after the line that it checks.

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{Config, ImmutableItem, Item, Target};
use bep44_tests::datagram::{Value, addr, dict, immutable, query, raw, reply};
use bep44_tests::script::{Answer, Remote, Script, capacity, config, place};

fn alice() -> SocketAddr {
    addr("203.0.113.5:1111")
}

fn read_only() -> Script<'static> {
    Script::with(&capacity(), &Config { read_only: true, ..config() })
}

#[test]
fn line_01_a_read_only_node_says_so_in_every_query() {
    for (mut script, ro) in [(read_only(), Some(Value::from(1))), (Script::new(), None)] {
        script.befriend(place(1), Remote::new([1; 20]));
        let item = ImmutableItem::new(b"1:a").map(Item::Immutable).unwrap();
        let put = script.node.put(script.now, &item, None).unwrap();
        script.finish(put);
        let announcement = script.node.announce(script.now, Target::new([7; 20]), None).unwrap();
        script.finish(announcement);
        let walk = script.node.bootstrap(script.now).unwrap();
        script.finish(walk);
        // Upkeep as well.
        script.run_for(Duration::from_secs(20 * 60));
        let mut methods: Vec<_> = script.sent.iter().filter_map(|(_, query)| query.get("q")?.bytes()).collect();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods, [&b"announce_peer"[..], b"find_node", b"get", b"get_peers", b"ping", b"put"]);
        assert!(script.sent.iter().all(|(_, query)| query.get("ro") == ro.as_ref()));
    }
}

#[test]
fn line_01_a_read_only_node_answers_nothing() {
    let mut script = read_only();
    let target = dict().with("target", [1; 20]);
    let info_hash = dict().with("info_hash", [1; 20]);
    for ask in [
        query("ping", dict()),
        query("find_node", target.clone()),
        query("get", target),
        query("get_peers", info_hash),
        query("put", immutable(b"1:a").with("token", "x")),
        // Not even what is wrong.
        query("vote", dict()),
        query("put", dict()),
        query("ping", dict()).without("a"),
    ] {
        assert_eq!(script.ask(alice(), &ask), None, "{ask:?}");
    }
    assert_eq!(script.turn(), [], "nor does it get to know who asks");
}

#[test]
fn line_02_a_read_only_asker_is_answered_and_not_made_a_contact() {
    let mut script = Script::new();
    script.add(alice(), Remote::new([9; 20]));
    let hello = query("ping", dict()).with("a", dict().with("id", [9; 20]));
    for _ in 0..3 {
        assert!(script.ask(alice(), &hello.clone().with("ro", 1)).is_some());
        assert_eq!(script.turn(), [], "it is not even asked");
    }
    // What it stores is stored.
    let token = script.content(alice(), &query("get", dict().with("target", [1; 20])).with("ro", 1)).unwrap();
    assert!(token.get("token").is_some());
    script.run_for(Duration::from_secs(5));
    assert_eq!(script.node.contacts().count(), 0);
}

#[test]
fn line_02_a_contact_that_turns_read_only_gives_no_sign_of_life_by_asking() {
    let mut script = Script::new();
    script.befriend(alice(), Remote::new([9; 20]));
    let hello = query("ping", dict()).with("a", dict().with("id", [9; 20])).with("ro", 1);
    script.now = script.now + Duration::from_secs(14 * 60);
    script.ask(alice(), &hello);
    script.now = script.now + Duration::from_secs(2 * 60);
    let contact = script.node.contacts().next().unwrap();
    assert_eq!(contact.standing(script.now), bep44_core::Standing::Questionable);
}

#[test]
fn line_03_ro_is_an_integer_other_than_zero_and_means_something_in_queries_only() {
    for (ro, asked) in
        [("i0e", true), ("1:1", true), ("le", true), ("i-0e", true), ("i01e", true), ("i1e", false), ("i2e", false)]
    {
        let mut script = Script::new();
        script.add(alice(), Remote::new([9; 20]));
        let hello = query("ping", dict()).with("a", dict().with("id", [9; 20])).with("ro", raw(ro));
        assert!(script.ask(alice(), &hello).is_some());
        assert_eq!(script.turn().len(), usize::from(asked), "{ro}");
    }
    // In an answer it means nothing.
    let mut script = Script::new();
    let answer = |query: &Value| Some(Answer::Whole(reply(query.get("t")?.bytes()?, [9; 20], dict()).with("ro", 1)));
    script.befriend(alice(), Remote::new([9; 20]).acting(answer));
    assert_eq!(script.node.contacts().count(), 1);
}

#[test]
fn line_04_a_read_only_node_can_put_and_announce() {
    let mut script = read_only();
    script.befriend(place(1), Remote::new([1; 20]));
    let item = ImmutableItem::new(b"1:a").map(Item::Immutable).unwrap();
    let put = script.node.put(script.now, &item, None).unwrap();
    assert_eq!(script.finish(put).accepted, 1);
    let announcement = script.node.announce(script.now, Target::new([7; 20]), Some(6_881)).unwrap();
    assert_eq!(script.finish(announcement).accepted, 1);
}
