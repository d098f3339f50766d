//! BEP 5: each line of the project's checklist (its section 1.3), over datagrams in and datagrams out. A test is named
//! after the line that it checks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{Capacity, Config, Contact, NodeId, Standing, Target};
use bep44_tests::datagram::{
    ASKER, Id, Value, addr, addr_of, compact, compact_nodes, dict, error, list, nodes_of, query, raw, reply, sha1,
};
use bep44_tests::script::{Answer, Remote, Script, Told, capacity, config, place};

const MINUTE: Duration = Duration::from_secs(60);

fn alice() -> SocketAddr {
    addr("203.0.113.5:1111")
}

fn bob() -> SocketAddr {
    addr("198.51.100.7:2222")
}

/// A node whose id is all zeros, so that the leading zero bits of an id are the number of its bucket.
fn zero() -> Script<'static> {
    Script::with(&capacity(), &Config { id: Some(NodeId::ZERO), ..config() })
}

/// An id of the bucket number `bucket`, in a table of [`zero`].
fn in_bucket(bucket: u32, number: u8) -> Id {
    let mut id = sha1(&[number]);
    let bit = 0x8000_0000_u32 >> bucket;
    let head = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    id[..4].copy_from_slice(&(bit | (head & (bit - 1))).to_be_bytes());
    id
}

fn find_node(target: Id) -> Value {
    query("find_node", dict().with("target", target))
}

fn nodes_in(reply: &Value) -> Vec<(Id, SocketAddr)> {
    nodes_of(reply.get("nodes").unwrap().bytes().unwrap(), 6)
}

fn distance(id: &Id, target: &Id) -> Vec<u8> {
    id.iter().zip(target).map(|(a, b)| a ^ b).collect()
}

fn get_peers(script: &mut Script<'_>, from: SocketAddr, info_hash: Id) -> Value {
    script.content(from, &query("get_peers", dict().with("info_hash", info_hash))).unwrap()
}

fn announcement(token: &[u8], info_hash: Id, port: i64) -> Value {
    dict().with("info_hash", info_hash).with("port", port).with("token", token)
}

fn announce(script: &mut Script<'_>, from: SocketAddr, info_hash: Id, port: u16) {
    let reply = get_peers(script, from, info_hash);
    let token = reply.get("token").unwrap().bytes().unwrap();
    script.content(from, &query("announce_peer", announcement(token, info_hash, port.into()))).unwrap();
}

fn peers_in(reply: &Value) -> Vec<SocketAddr> {
    let values = reply.get("values").and_then(Value::items).unwrap_or_default();
    values.iter().map(|value| addr_of(value.bytes().unwrap())).collect()
}

fn contact_at<'s>(script: &'s Script<'_>, at: SocketAddr) -> Option<&'s Contact> {
    script.node.contacts().find(|contact| contact.addr() == at)
}

fn standing(script: &Script<'_>, at: SocketAddr) -> Option<Standing> {
    contact_at(script, at).map(|contact| contact.standing(script.now))
}

#[test]
fn line_01_a_ping_is_answered_with_our_id() {
    let mut script = Script::new();
    for from in [alice(), addr("[2001:db8::1]:9")] {
        // Id and transaction are checked by `ask`.
        assert_eq!(script.content(from, &query("ping", dict())).unwrap().keys(), ["id"]);
    }
}

#[test]
fn line_02_find_node_names_the_eight_closest_good_contacts() {
    let mut script = zero();
    let mut known = Vec::new();
    for bucket in 0..4 {
        for number in 0..8 {
            let (id, at) = (in_bucket(bucket, number), place(u16::from(number) + 10 * bucket as u16));
            script.befriend(at, Remote::new(id));
            known.push((id, at));
        }
    }
    for target in [[0; 20], [0xff; 20], sha1(b"x"), sha1(b"y"), known[9].0, known[30].0] {
        known.sort_by_key(|(id, _)| distance(id, &target));
        let reply = script.content(alice(), &find_node(target)).unwrap();
        assert_eq!(reply.keys(), ["id", "nodes"]);
        assert_eq!(nodes_in(&reply), known[..8]);
    }
    // Those that are no longer good are left out, as long as there are eight others.
    let quiet: Vec<Id> = known[..4].iter().map(|(id, _)| *id).collect();
    script.now = script.now + 14 * MINUTE;
    for (id, at) in &known[4..] {
        script.ask(*at, &query("ping", dict()).with("a", dict().with("id", *id)));
    }
    script.now = script.now + 2 * MINUTE;
    let named = nodes_in(&script.content(alice(), &find_node(known[0].0)).unwrap());
    assert_eq!(named.len(), 8);
    assert!(named.iter().all(|(id, _)| !quiet.contains(id)));
}

#[test]
fn line_03_get_peers_gives_token_peers_and_nodes() {
    let mut script = zero();
    script.befriend(place(1), Remote::new(in_bucket(0, 1)));
    let info_hash = [7; 20];
    let reply = get_peers(&mut script, alice(), info_hash);
    assert_eq!(reply.keys(), ["id", "nodes", "token"]);
    announce(&mut script, alice(), info_hash, 6_881);
    announce(&mut script, bob(), info_hash, 6_882);
    announce(&mut script, addr("[2001:db8::1]:9"), info_hash, 6_883);
    let reply = get_peers(&mut script, bob(), info_hash);
    assert_eq!(reply.keys(), ["id", "nodes", "token", "values"]);
    assert_eq!(nodes_in(&reply).len(), 1);
    let peers: BTreeSet<_> = peers_in(&reply).into_iter().collect();
    assert_eq!(peers, BTreeSet::from([addr("203.0.113.5:6881"), addr("198.51.100.7:6882")]));
    // A peer is known in the family that it announced from.
    let reply = get_peers(&mut script, addr("[2001:db8::2]:9"), info_hash);
    assert_eq!(peers_in(&reply), [addr("[2001:db8::1]:6883")]);
    assert_eq!(peers_in(&get_peers(&mut script, bob(), [8; 20])), []);
}

#[test]
fn line_04_announce_peer_needs_a_token_and_a_port() {
    let mut script = Script::new();
    let info_hash = [7; 20];
    let reply = get_peers(&mut script, alice(), info_hash);
    let token = reply.get("token").unwrap().bytes().unwrap().to_vec();
    let good = announcement(&token, info_hash, 6_881);
    let mut ask = |from, arguments: Value| script.content(from, &query("announce_peer", arguments)).map(drop);
    let mut wrong = token.clone();
    wrong[3] ^= 4;
    for token in [raw("0:"), wrong.into(), token[..11].into(), raw("i1e"), raw("le")] {
        assert_eq!(ask(alice(), good.clone().with("token", token)), Err(203));
    }
    assert_eq!(ask(alice(), good.clone().without("token")), Err(203));
    assert_eq!(ask(bob(), good.clone()), Err(203));
    assert_eq!(ask(alice(), good.clone().with("info_hash", [8; 20])), Err(203));
    for port in ["i0e", "i65536e", "i-1e", "1:1", "le", "i06881e"] {
        assert_eq!(ask(alice(), good.clone().with("port", raw(port))), Err(203), "{port}");
    }
    assert_eq!(ask(alice(), good.clone().without("port")), Err(203));
    assert_eq!(ask(alice(), good.clone().with("implied_port", 0).with("port", 0)), Err(203));
    for info_hash in [raw("0:"), [1; 19].into(), raw("i1e")] {
        assert_eq!(ask(alice(), good.clone().with("info_hash", info_hash)), Err(203));
    }
    assert_eq!(peers_in(&get_peers(&mut script, bob(), info_hash)), []);

    let peers = |arguments: Value| {
        let mut script = Script::new();
        let reply = get_peers(&mut script, alice(), info_hash);
        let arguments = arguments.with("token", reply.get("token").unwrap().bytes().unwrap());
        script.content(alice(), &query("announce_peer", arguments)).unwrap();
        peers_in(&get_peers(&mut script, bob(), info_hash))
    };
    assert_eq!(peers(good.clone()), [addr("203.0.113.5:6881")]);
    assert_eq!(peers(good.clone().with("implied_port", 0)), [addr("203.0.113.5:6881")]);
    assert_eq!(peers(good.clone().with("implied_port", 1)), [alice()]);
    assert_eq!(peers(good.clone().with("implied_port", 1).with("port", 0)), [alice()]);
    assert_eq!(peers(good.with("implied_port", 1).without("port")), [alice()]);
}

#[test]
fn line_05_an_unknown_method_is_204_or_find_node_if_it_has_a_target() {
    let mut script = zero();
    script.befriend(place(1), Remote::new(in_bucket(0, 1)));
    for method in ["vote", "", "PING", "sample_infohashes", "get\0"] {
        assert_eq!(script.content(alice(), &query(method, dict())), Err(204));
        assert_eq!(script.content(alice(), &query(method, dict().with("target", [1; 19]))), Err(204));
        for key in ["target", "info_hash"] {
            let reply = script.content(alice(), &query(method, dict().with(key, [1; 20]))).unwrap();
            assert_eq!(reply.keys(), ["id", "nodes"]);
            assert_eq!(nodes_in(&reply).len(), 1);
        }
    }
}

#[test]
fn line_06_a_malformed_query_is_203_and_what_is_no_message_is_dropped() {
    let mut script = Script::new();
    let ping = query("ping", dict());
    for malformed in [
        ping.clone().without("q"),
        ping.clone().with("q", 5),
        ping.clone().without("a"),
        ping.clone().with("a", list(vec![])),
        ping.clone().with("a", dict()),
        ping.clone().with("a", dict().with("id", [1; 19])),
        ping.clone().with("a", dict().with("id", 7)),
        query("find_node", dict()),
        query("find_node", dict().with("target", [1; 21])),
        query("get_peers", dict()),
        query("get_peers", dict().with("info_hash", "short")),
        query("announce_peer", dict()),
        query("get", dict()),
        query("put", dict()),
    ] {
        assert_eq!(script.content(alice(), &malformed), Err(203), "{malformed:?}");
    }
    for dropped in [
        ping.clone().without("y"),
        ping.clone().with("y", "x"),
        ping.clone().with("y", ""),
        ping.clone().with("y", 1),
        ping.clone().without("t"),
        ping.clone().with("t", ""),
        ping.clone().with("t", 5),
        raw("hello"),
        raw(""),
        raw("d"),
        raw("le"),
        raw("i1e"),
        raw("d1:t2:aa1:y1:q"),
    ] {
        assert_eq!(script.ask(alice(), &dropped), None, "{dropped:?}");
    }
    assert_eq!(script.node.contacts().count(), 0);
}

#[test]
fn line_07_an_error_completes_the_question() {
    for code in [201, 202, 203, 204, 999] {
        let mut script = Script::new();
        script.add(place(1), Remote::new([1; 20]).acting(move |_| Some(Answer::Error(code))));
        let ping = script.node.ping(script.now, place(1)).unwrap();
        let outcome = script.finish(ping);
        assert_eq!((outcome.answered, outcome.failed), (0, 1));
        assert!(outcome.elapsed < Duration::from_millis(100), "it is not waited for: {:?}", outcome.elapsed);
        assert_eq!(script.node.stats().answered, 1);
        assert_eq!(script.node.contacts().count(), 0, "an error has no id");
    }
    // Whatever stands in it.
    for text in ["le", "li201ee", "l1:xe", "de", "i1e", "li201e1:xi5ee"] {
        let mut script = Script::new();
        let answer =
            move |query: &Value| Some(Answer::Whole(error(query.get("t")?.bytes()?, 1, "").with("e", raw(text))));
        script.add(place(1), Remote::new([1; 20]).acting(answer));
        let ping = script.node.ping(script.now, place(1)).unwrap();
        assert_eq!(script.finish(ping).failed, 1);
    }
}

#[test]
fn line_08_good_questionable_and_bad() {
    let mut script = zero();
    script.befriend(place(1), Remote::new(in_bucket(0, 1)));
    script.befriend(place(2), Remote::new(in_bucket(0, 2)));
    let hello = |number| query("ping", dict()).with("a", dict().with("id", in_bucket(0, number)));
    assert_eq!(standing(&script, place(1)), Some(Standing::Good));
    script.now = script.now + 14 * MINUTE;
    // Who has answered before and asks is good for another quarter of an hour.
    script.ask(place(2), &hello(2));
    // Who has never answered is no contact, however often it asks.
    script.ask(place(3), &hello(3));
    script.now = script.now + 2 * MINUTE;
    assert_eq!(standing(&script, place(1)), Some(Standing::Questionable));
    assert_eq!(standing(&script, place(2)), Some(Standing::Good));
    assert_eq!(standing(&script, place(3)), None);
    // Nor is it good if somebody else asks in its name.
    script.ask(bob(), &hello(1));
    assert_eq!(standing(&script, place(1)), Some(Standing::Questionable));
    // An answer makes it good; silence, again and again, makes it bad.
    script.run_for(MINUTE);
    assert_eq!(standing(&script, place(1)), Some(Standing::Good));
    script.remotes.clear();
    script.run_for(16 * MINUTE);
    assert_eq!(standing(&script, place(1)), Some(Standing::Bad));
    assert_eq!(nodes_in(&script.content(alice(), &find_node([0; 20])).unwrap()), [], "and is not named any more");
}

#[test]
fn line_09_a_bucket_holds_eight_and_a_newcomer_replaces_a_bad_one() {
    let mut script = zero();
    for number in 0..8 {
        script.befriend(place(number), Remote::new(in_bucket(0, number as u8)));
    }
    // The bucket of the far half is full of good contacts.
    let (newcomer, at) = (in_bucket(0, 99), place(99));
    script.befriend(at, Remote::new(newcomer));
    assert_eq!(script.node.contacts().count(), 8);
    assert_eq!(standing(&script, at), None);
    // The others have room.
    for number in 0..8 {
        script.befriend(place(200 + number), Remote::new(in_bucket(1, number as u8)));
    }
    assert_eq!(script.node.contacts().count(), 16);
    // One falls silent; it is asked twice, and then gives way to whoever comes.
    script.remotes.remove(&place(3));
    script.sent.clear();
    script.run_for(20 * MINUTE);
    let pings = script.sent.iter().filter(|(to, query)| *to == place(3) && query.get("q") == Some(&"ping".into()));
    assert_eq!(pings.count(), 2);
    assert_eq!(standing(&script, place(3)), Some(Standing::Bad));
    let hello = query("ping", dict()).with("a", dict().with("id", newcomer));
    script.ask(at, &hello);
    script.run_for(Duration::from_secs(1));
    assert_eq!(standing(&script, at), Some(Standing::Good));
    assert_eq!(standing(&script, place(3)), None);
    assert_eq!(script.node.contacts().count(), 16);
}

#[test]
fn line_09_who_asks_is_asked_back_once_before_it_is_a_contact() {
    let mut script = zero();
    script.add(place(1), Remote::new(in_bucket(0, 1)));
    let hello = query("find_node", dict().with("target", [1; 20]));
    let hello = hello.with("a", dict().with("id", in_bucket(0, 1)).with("target", [1; 20]));
    script.ask(place(1), &hello);
    script.ask(place(1), &hello);
    assert_eq!(script.node.contacts().count(), 0);
    let sent = script.turn();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1.get("q")), (place(1), Some(&"ping".into())));
    script.run_for(Duration::from_secs(1));
    assert_eq!(standing(&script, place(1)), Some(Standing::Good));
    // Somebody who claims its id from elsewhere takes nothing from it.
    script.ask(bob(), &hello);
    script.run_for(Duration::from_secs(10));
    assert_eq!(standing(&script, place(1)), Some(Standing::Good));
    assert_eq!(standing(&script, bob()), None);
}

#[test]
fn line_10_a_quiet_bucket_is_refreshed_with_a_random_target_in_it() {
    // A bucket in which a contact answers a ping has changed (BEP 5): 1 and 3 have nobody who could.
    let mut script = zero();
    for bucket in [0, 2, 4] {
        for number in 0..3 {
            let remote = Remote::new(in_bucket(bucket, number));
            script.befriend(place(u16::from(number) + 10 * bucket as u16), remote);
        }
    }
    script.run_for(14 * MINUTE);
    script.sent.clear();
    script.run_for(3 * MINUTE);
    let searched: BTreeSet<u32> = (script.sent.iter())
        .filter(|(_, query)| query.get("q") == Some(&"find_node".into()))
        .map(|(_, query)| query.get("a").unwrap().get("target").unwrap().bytes().unwrap().to_vec())
        .map(|target| u32::from_be_bytes([target[0], target[1], target[2], target[3]]).leading_zeros())
        .collect();
    assert_eq!(searched, BTreeSet::from([1, 3]));
    // And after that there is quiet again.
    script.sent.clear();
    script.run_for(10 * MINUTE);
    assert_eq!(script.sent, []);
}

/// A node with the id zero that joins by itself.
fn joining() -> Script<'static> {
    Script::with(&capacity(), &Config { id: Some(NodeId::ZERO), joins: true, ..config() })
}

#[test]
fn line_10_a_node_that_knows_nobody_joins_by_asking_for_itself() {
    let mut script = joining();
    let all: Vec<_> = (0..6).map(|number| (in_bucket(u32::from(number), number), place(number.into()))).collect();
    for (id, at) in &all {
        script.add(*at, Remote { nodes: all.clone(), ..Remote::new(*id) });
    }
    script.node.add_bootstrap(place(0)).unwrap();
    assert_eq!(script.node.poll_timeout().map(|due| due <= script.now), Some(true));
    script.run_for(Duration::from_secs(5));
    assert_eq!(script.node.contacts().count(), 6);
    for (_, at) in &all {
        let asked = script.remote(*at).asked_for("find_node");
        assert_eq!(asked[0].get("target"), Some(&[0; 20].into()));
    }
    assert_eq!(script.events, [], "nobody asked for it, so nobody is told");
}

#[test]
fn line_10_joining_is_tried_again_and_not_too_often() {
    let mut script = joining();
    script.node.add_bootstrap(place(0)).unwrap();
    script.run_for(60 * MINUTE);
    let tries = script.sent.len();
    assert!((8..60).contains(&tries), "{tries}");
    script.add(place(0), Remote::new([1; 20]));
    script.run_for(30 * MINUTE);
    assert_eq!(script.node.contacts().count(), 1);
}

#[test]
fn line_10_a_node_that_was_cut_off_for_a_while_comes_back() {
    let mut script = zero();
    for number in 0..4 {
        script.befriend(place(number), Remote::new(in_bucket(number.into(), number as u8)));
    }
    let remotes = std::mem::take(&mut script.remotes);
    script.run_for(20 * MINUTE);
    assert!(script.node.contacts().all(|contact| contact.standing(script.now) == Standing::Bad));
    script.remotes = remotes;
    script.run_for(20 * MINUTE);
    assert!(script.node.contacts().all(|contact| contact.standing(script.now) == Standing::Good));
}

#[test]
fn line_10_a_node_sleeps_while_it_cannot_ask_more() {
    let few = Capacity { transactions: 4, ..capacity() };
    let mut script = Script::with(&few, &Config { id: Some(NodeId::ZERO), ..config() });
    for number in 0..24 {
        script.befriend(place(number), Remote::new(in_bucket(u32::from(number) % 3, number as u8)));
    }
    // All are quiet at once, and none answers: four can be asked at a time.
    script.remotes.clear();
    let (mut steps, end) = (0, script.now + 20 * MINUTE);
    while script.step(end) {
        steps += 1;
        assert!(steps < 2_000, "the node does not sleep");
    }
    assert!(script.node.contacts().all(|contact| contact.standing(script.now) == Standing::Bad));
}

#[test]
fn line_11_a_token_of_get_peers_lives_five_to_ten_minutes_and_is_bound_to_the_ip() {
    let mut script = Script::new();
    let info_hash = [7; 20];
    let reply = get_peers(&mut script, alice(), info_hash);
    let ask = query("announce_peer", announcement(reply.get("token").unwrap().bytes().unwrap(), info_hash, 6_881));
    script.wait(5 * MINUTE);
    script.content(addr("203.0.113.5:9"), &ask).unwrap();
    assert_eq!(script.content(addr("203.0.113.6:1111"), &ask), Err(203));
    script.wait(5 * MINUTE);
    assert_eq!(script.content(alice(), &ask), Err(203));
}

#[test]
fn line_12_an_answer_to_no_question_changes_nothing() {
    let mut script = zero();
    script.befriend(place(1), Remote::new(in_bucket(0, 1)));
    let before: Vec<_> = script.node.contacts().copied().collect();
    for from in [alice(), place(1)] {
        for id in [[0xcc; 20], in_bucket(0, 1)] {
            let content = dict().with("nodes", compact_nodes(&[([0xdd; 20], place(7))])).with("token", "x");
            for t in [&b"aa"[..], b"aaaa", b"\0\0\0\0", b""] {
                assert_eq!(script.ask(from, &reply(t, id, content.clone())), None);
                assert_eq!(script.ask(from, &error(t, 201, "x")), None);
            }
        }
    }
    assert_eq!(script.node.contacts().copied().collect::<Vec<_>>(), before);
    assert_eq!(script.turn(), []);
    assert_eq!(script.node.poll_event().map(|event| format!("{event:?}")), None);
}

#[test]
fn line_12_an_answer_counts_once_and_from_whom_it_was_asked_only() {
    let mut script = zero();
    let ping = script.node.ping(script.now, place(1)).unwrap();
    let sent = script.turn();
    let t = sent[0].1.get("t").unwrap().bytes().unwrap();
    let answer = reply(t, [1; 20], dict());
    script.ask(place(2), &answer);
    script.ask(addr(&format!("{}:1", place(1).ip())), &answer);
    assert_eq!(script.node.contacts().count(), 0);
    script.ask(place(1), &answer);
    script.ask(place(1), &answer);
    assert_eq!(script.node.contacts().count(), 1);
    script.tell();
    let ended = script.events.iter().filter(|event| matches!(event, Told::Ended(query, _) if *query == ping));
    assert_eq!(ended.count(), 1);
}

#[test]
fn line_13_a_version_of_any_length_or_type_is_accepted() {
    let mut script = zero();
    for (number, version) in
        ["0:", "1:x", "4:UT\x01\x02", "20:01234567890123456789", "i1e", "le", "de"].iter().enumerate()
    {
        assert!(script.ask(alice(), &query("ping", dict()).with("v", raw(version))).is_some(), "{version}");
        let id = in_bucket(0, number as u8);
        let answer = move |query: &Value| {
            Some(Answer::Whole(reply(query.get("t")?.bytes()?, id, dict()).with("v", raw(version))))
        };
        let at = place(number as u16);
        script.befriend(at, Remote::new(id).acting(answer));
        assert!(contact_at(&script, at).is_some(), "{version}");
    }
}

#[test]
fn line_14_reading_is_tolerant_of_what_does_not_matter() {
    let mut script = zero();
    let good = (in_bucket(1, 1), place(50));
    let list = compact_nodes(&[good]);
    let variants: [(Value, bool); 7] = [
        (dict().with("nodes", list.clone()).with("zz", dict()).with("", 1), true),
        (dict().with("nodes", [&list[..], b"half a node"].concat()), true),
        (dict().with("nodes", list.clone()).with("nodes6", 5), true),
        (dict().with("nodes", list.clone()).with("values", "none"), true),
        (dict().with("nodes", list.clone()).with("token", dict()), true),
        (dict().with("nodes", &list[..25]), false),
        (dict().with("nodes", raw("le")), false),
    ];
    for (content, named) in variants {
        let mut script = zero();
        script.add(good.1, Remote::new(good.0));
        let answer = content.clone();
        let act = move |query: &Value| (query.get("q") != Some(&"ping".into())).then(|| Answer::Reply(answer.clone()));
        script.befriend(place(1), Remote::new(in_bucket(0, 1)).acting(act));
        let walk = script.node.find_node(script.now, Target::new([0; 20])).unwrap();
        let outcome = script.finish(walk);
        assert_eq!(outcome.answered, 1 + u16::from(named), "{content:?}");
    }
    // What follows a message is not looked at.
    let datagram = [&query("ping", dict()).encode()[..], b"junk"].concat();
    assert!(script.hand(alice(), &datagram).is_some());
}

#[test]
fn line_15_ourselves_and_addresses_that_lead_nowhere_are_not_asked() {
    let mut script = zero();
    let nowhere = [
        "0.0.0.0:5",
        "0.1.2.3:5",
        "127.0.0.1:5",
        "10.1.2.3:5",
        "192.168.1.1:5",
        "172.16.0.1:5",
        "169.254.1.1:5",
        "100.64.0.1:5",
        "224.0.0.1:5",
        "239.255.255.255:5",
        "240.0.0.1:5",
        "255.255.255.255:5",
        "8.8.8.8:0",
    ];
    let mut nodes: Vec<_> =
        nowhere.iter().enumerate().map(|(number, at)| (in_bucket(2, number as u8), addr(at))).collect();
    nodes.push((*script.node.id().as_bytes(), addr("60.9.9.9:9")));
    script.befriend(place(1), Remote { nodes, ..Remote::new(in_bucket(0, 1)) });
    script.sent.clear();
    let walk = script.node.find_node(script.now, Target::new([0; 20])).unwrap();
    assert_eq!(script.finish(walk).asked, 1);
    assert!(script.sent.iter().all(|(to, _)| *to == place(1)));
    // Nor is anybody answered, or given as a starting point, who cannot be.
    for at in ["0.0.0.0:5", "224.0.0.1:5", "255.255.255.255:5", "8.8.8.8:0"] {
        assert_eq!(script.ask(addr(at), &query("ping", dict())), None);
        assert!(script.node.add_bootstrap(addr(at)).is_err());
        assert!(script.node.ping(script.now, addr(at)).is_err());
    }
}

#[test]
fn line_15_a_reply_with_our_own_id_is_ignored() {
    let mut script = zero();
    script.add(place(1), Remote::new([0; 20]));
    let ping = script.node.ping(script.now, place(1)).unwrap();
    let outcome = script.finish(ping);
    assert_eq!((outcome.answered, script.node.contacts().count()), (0, 0));
}

#[test]
fn line_16_peers_expire_are_bounded_and_are_drawn_at_random() {
    let roomy = Capacity { peers: 1_000, ..capacity() };
    let mut script = Script::with(&roomy, &config());
    let info_hash = [7; 20];
    announce(&mut script, alice(), info_hash, 6_881);
    script.wait(30 * MINUTE);
    assert_eq!(peers_in(&get_peers(&mut script, bob(), info_hash)), [addr("203.0.113.5:6881")]);
    script.wait(15 * MINUTE);
    assert_eq!(peers_in(&get_peers(&mut script, bob(), info_hash)), []);
    // Announcing again is not a second peer.
    announce(&mut script, alice(), info_hash, 6_881);
    announce(&mut script, alice(), info_hash, 6_881);
    assert_eq!(script.node.peers().count(), 1);
    // A torrent has a share of the table, and an answer has some of its peers, not always the same.
    for number in 0..400 {
        announce(&mut script, place(number), info_hash, 6_881);
    }
    assert!(script.node.peers().count() <= 250);
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let ask = query("get_peers", dict().with("info_hash", info_hash));
        assert!(script.hand(bob(), &ask.encode()).unwrap().len() <= 1_024);
        let peers = peers_in(&get_peers(&mut script, bob(), info_hash));
        assert_eq!(peers.len(), 50);
        assert_eq!(peers.iter().collect::<BTreeSet<_>>().len(), 50, "each once");
        seen.extend(peers);
    }
    assert!(seen.len() > 200, "{}", seen.len());
}

#[test]
fn line_16_one_network_does_not_push_out_the_peers_of_others() {
    let mut script = Script::new();
    let info_hash = [7; 20];
    for number in 0..10 {
        announce(&mut script, place(number), info_hash, 6_881);
    }
    for number in 0..200 {
        announce(&mut script, addr(&format!("203.0.113.{number}:5")), info_hash, 6_881);
        announce(&mut script, addr(&format!("203.0.113.{number}:5")), sha1(&[number]), 6_881);
    }
    let left = script.node.peers().filter(|peer| peer.addr.ip()[0] == 60).count();
    assert!(left >= 9, "{left}");
}

#[test]
fn a_node_that_keeps_no_peers_says_so() {
    let mut script = Script::with(&Capacity { peers: 0, ..capacity() }, &config());
    let reply = get_peers(&mut script, alice(), [7; 20]);
    let token = reply.get("token").unwrap().bytes().unwrap();
    let ask = query("announce_peer", announcement(token, [7; 20], 1));
    assert_eq!(script.content(alice(), &ask), Err(202));
}

#[test]
fn an_announcement_of_ours_carries_tokens_and_port() {
    let mut script = zero();
    for number in 0..3 {
        let content = dict().with("values", list(vec![compact(place(100 + number)).into()]));
        let remote = Remote { token: Some(vec![number as u8; 3]), ..Remote::new(in_bucket(0, number as u8)) };
        script.befriend(place(number), remote.holding(content));
    }
    for port in [Some(6_881), None] {
        script.remotes.values_mut().for_each(|remote| remote.asked.clear());
        script.events.clear();
        let handle = script.node.announce(script.now, Target::new([7; 20]), port).unwrap();
        let outcome = script.finish(handle);
        assert_eq!(outcome.accepted, 3);
        for number in 0..3 {
            let asked = script.remote(place(number)).asked_for("announce_peer");
            let expected = announcement(&[number as u8; 3], [7; 20], port.unwrap_or(0).into()).with("id", [0; 20]);
            let expected = if port.is_some() { expected } else { expected.with("implied_port", 1) };
            assert_eq!(asked, [&Value::decode(&expected.encode()).unwrap()]);
        }
        let told = script.events.iter().filter_map(|event| match event {
            Told::Peers(_, peers) => Some(peers.clone()),
            _ => None,
        });
        let told: BTreeSet<SocketAddr> = told.flatten().collect();
        assert_eq!(told, (100..103).map(place).collect());
    }
}

#[test]
fn the_asker_is_never_taken_for_its_id_alone() {
    // Nobody is named who has not answered a question of ours.
    let mut script = zero();
    for number in 0..50 {
        let mut id = ASKER;
        id[0] = number;
        let ask = query("get", dict()).with("a", dict().with("id", id).with("target", [0; 20]));
        script.ask(place(u16::from(number)), &ask);
    }
    assert_eq!(nodes_in(&script.content(alice(), &find_node([0; 20])).unwrap()), []);
    script.run_for(Duration::from_secs(30));
    assert_eq!(nodes_in(&script.content(alice(), &find_node([0; 20])).unwrap()), []);
}

#[test]
fn a_node_without_memory_for_queries_sleeps_until_a_contact_has_been_quiet() {
    let mut script = Script::with(&Capacity { queries: 0, ..Capacity::tiny() }, &config());
    script.add(place(1), Remote::new([1; 20]));
    assert!(script.node.restore_contact(script.now, NodeId::new([1; 20]), place(1)));
    script.run_for(Duration::from_secs(10));
    assert_eq!(script.remote(place(1)).asked_for("ping").len(), 1);
    let wakes = script.node.poll_timeout().expect("it looks after its contact");
    assert!(wakes.since(script.now) > Duration::from_secs(14 * 60), "it wakes in {:?}", wakes.since(script.now));
}
