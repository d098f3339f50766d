//! Whatever else must hold for a query.

use super::*;

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
