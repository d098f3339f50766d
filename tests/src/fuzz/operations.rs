//! Any calls of one node, with what strangers say to it: all that it promises is checked after each.

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::item::MAX_VALUE;
use bep44_core::{
    Capacity, Config, ImmutableItem, Instant, Item, MutableItem, NodeId, PublicKey, Rate, Signature, Target,
};

use crate::datagram::{Id, Value, compact_nodes, dict, error, list, query, reply, sha1};
use crate::fuzz::choices::Choices;
use crate::fuzz::signed::{SignedItem, at_target, immutable_item, immutable_value, judged, mutable};
use crate::fuzz::watch::{Aim, Watch};
use crate::script::{capacity, config, place, target_of};

/// Calls of one input: what is behind them adds time, and nothing new.
const MOST: usize = 400;

/// For how long a token is good at least, and from when on it is not (BEP 5: ten minutes).
const TOKEN_LIFE: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(10 * 60));

/// A token that the node has given: to whom, for what, when.
#[derive(Clone)]
struct Token {
    to: SocketAddr,
    target: Id,
    token: Value,
    given: Instant,
}

/// The octets choose the size and the settings of a node, and then call after call: strangers that ask, put and announce
/// with good and bad tokens, answers to what the node has asked, commands, time, and a host that is quick or slow to
/// fetch packets and events. What is put is stored, or refused, as `judged` in `signed.rs` says; `watch.rs` has what else is checked. At the end,
/// nobody answers, and every query ends.
///
/// # Panics
/// If a promise is broken.
pub fn operations(octets: &[u8]) {
    let mut choices = Choices::new(octets);
    let (capacity, config) = setting(&mut choices);
    let mut watch = Watch::new(capacity, config, Instant::from_secs(1_000));
    let mut tokens = Vec::new();
    for _ in 0..MOST {
        if choices.is_over() {
            break;
        }
        call(&mut watch, &mut tokens, &mut choices);
    }
    watch.finish();
}

/// A node of some size, with some settings.
fn setting(choices: &mut Choices<'_>) -> (Capacity, Config) {
    let small = Capacity { contacts: 8, contacts6: 8, transactions: 2, queries: 2, items: 2, values: 1_300, peers: 2 };
    let micro = Capacity { contacts: 16, contacts6: 0, transactions: 8, queries: 1, items: 2, values: 2_304, peers: 0 };
    let few = Capacity { contacts: 0, items: 4, values: 2_500, queries: 3, ..capacity() };
    let capacity = choices.of(&[capacity(), capacity(), Capacity::tiny(), small, micro, few]);
    let flags = choices.octet();
    let mut config = Config {
        id: (flags & 1 != 0).then_some(NodeId::ZERO),
        read_only: flags & 6 == 6,
        joins: flags & 8 != 0,
        report_items: flags & 48 != 48,
        ..config()
    };
    if flags & 64 != 0 {
        config.item_lifetime = Duration::from_secs(60);
        config.peer_lifetime = Duration::from_secs(60);
    }
    if flags & 128 != 0 {
        config.queries = Rate { per_second: 1, burst: 8 };
        config.verifications = Rate { per_second: 1, burst: 2 };
    }
    (capacity, config)
}

fn call(watch: &mut Watch, tokens: &mut Vec<Token>, choices: &mut Choices<'_>) {
    match choices.below(24) {
        0 => drop(watch.hand(choices.addr(), &choices.octets(60))),
        1 | 2 => {
            let (from, question) = (choices.addr(), stranger_query(choices));
            let question = choices.mutated(question.encode());
            watch.hand(from, &question);
        }
        3 => ask_token(watch, tokens, choices),
        4..8 => put(watch, tokens, choices),
        8 => announce(watch, tokens, choices),
        9..12 => answer(watch, choices),
        12 => {
            let passed = match choices.below(6) {
                0 => Duration::from_micros(choices.octet().into()),
                1 | 2 => Duration::from_millis(choices.octet().into()),
                3 => Duration::from_secs(choices.octet().into()),
                _ => Duration::from_secs(60 * u64::from(choices.octet())),
            };
            watch.timeout(watch.now + passed);
        }
        13 => {
            // To the deadline exactly, as a host sleeps; or backwards, as a clock may run.
            let deadline = watch.node.poll_timeout().unwrap_or(watch.now);
            let back = Instant::from_micros(watch.now.as_micros() - 1_000_000 * u64::from(choices.octet()));
            watch.timeout(if choices.one_in(6) { back } else { deadline });
        }
        14 => drop(watch.transmit()),
        15 | 16 => drop(watch.turn()),
        17 => drop(watch.event()),
        18..20 => command(watch, choices),
        20 => match choices.below(3) {
            0 => drop(watch.node.add_bootstrap(choices.addr())),
            1 => {
                let to = watch.questions.back().map_or(choices.addr(), |question| question.to);
                watch.node.handle_unreachable(watch.now, to);
                watch.timeout(watch.now);
            }
            _ => {
                let handles = [watch.running(), watch.over.clone()].concat();
                if let Some(handle) = handles.get(usize::from(choices.octet()) % handles.len().max(1)) {
                    watch.cancel(*handle);
                }
            }
        },
        21 => drop(watch.node.add_bootstrap(place((choices.octet() % 40).into()))),
        22 => restore(watch, choices),
        _ => {
            let (id, at) = (NodeId::new(choices.id()), choices.addr());
            watch.node.restore_contact(watch.now, id, at);
            let remaining = Duration::from_secs(choices.octet().into());
            watch.node.restore_peer(watch.now, Target::new(choices.id()), at, false, remaining);
            watch.timeout(watch.now);
        }
    }
}

/// A query of a stranger, without a token that is good for anything.
fn stranger_query(choices: &mut Choices<'_>) -> Value {
    let target = any_target(choices);
    let arguments = dict().with("target", target).with("info_hash", target).with("token", "token");
    let arguments = match choices.below(6) {
        0 => arguments.with("want", list(vec!["n4".into(), "n6".into()])),
        1 => arguments.with("seq", i64::from(choices.octet()) - 1),
        2 => arguments.with("v", choices.octets(8)).with("port", 7),
        _ => arguments,
    };
    let method = choices.of(&["ping", "find_node", "get_peers", "get", "get", "announce_peer", "put", "vote"]);
    let question = query(method, arguments.clone()).with("a", arguments.with("id", choices.id()));
    match choices.below(5) {
        0 => question.with("ro", 1),
        1 => question.with("t", vec![b't'; choices.octet().into()]),
        _ => question,
    }
}

/// A target at which something may be.
fn any_target(choices: &mut Choices<'_>) -> Id {
    match choices.below(4) {
        0 => choices.id(),
        1 => target_of(&immutable_item(choices)),
        2 => sha1(b"info"),
        _ => mutable(choices).target,
    }
}

/// A stranger asks for a token, and gets one unless it is over its budget, or the node answers nobody.
fn ask_token(watch: &mut Watch, tokens: &mut Vec<Token>, choices: &mut Choices<'_>) {
    let (to, target) = (place((choices.octet() % 4).into()), any_target(choices));
    take_token(watch, tokens, to, target);
}

fn take_token(watch: &mut Watch, tokens: &mut Vec<Token>, to: SocketAddr, target: Id) -> Option<Value> {
    let over_budget = watch.node.stats().over_budget;
    let answer = watch.hand(to, &query("get", dict().with("target", target)).encode());
    let Some(answer) = answer else {
        assert!(watch.config.read_only || watch.node.stats().over_budget > over_budget, "a get is answered");
        return None;
    };
    let found = answer.get("r").expect("a get is never refused");
    check_found(watch, target, found);
    let token = found.get("token").expect("a token").clone();
    if tokens.len() == 16 {
        tokens.remove(0);
    }
    tokens.push(Token { to, target, token: token.clone(), given: watch.now });
    Some(token)
}

/// A get is answered with what is stored: the mutable item, or else the immutable one.
fn check_found(watch: &Watch, target: Id, found: &Value) {
    let kept = |mutable| watch.kept().get(&(target, mutable));
    let expected = kept(true).or(kept(false)).map(|kept| kept.value.clone());
    assert_eq!(found.get("v").map(Value::encode), expected);
    let signed = kept(true).and_then(|kept| kept.mutable.as_ref());
    assert_eq!(found.get("seq").and_then(Value::int), signed.map(|signed| signed.seq.into()));
    assert_eq!(found.get("sig").and_then(Value::bytes), signed.map(|signed| &signed.signature[..]));
}

/// A token for `target` from `from`, good or bad, and whether it is good; no answer if it may be either.
fn any_token(
    watch: &mut Watch,
    tokens: &mut Vec<Token>,
    from: SocketAddr,
    target: Id,
    choices: &mut Choices<'_>,
) -> Option<(Value, Option<bool>)> {
    if choices.one_in(4) && !tokens.is_empty() {
        let at = choices.below(tokens.len());
        let Token { to, target: of, token, given } = tokens[at].clone();
        let age = watch.now.since(given);
        let good = if to.ip() != from.ip() || of != target || age >= TOKEN_LIFE.1 {
            Some(false)
        } else {
            (age < TOKEN_LIFE.0).then_some(true)
        };
        return Some((token, good));
    }
    take_token(watch, tokens, from, target).map(|token| (token, Some(true)))
}

/// A stranger puts an item. It is stored, or refused, as it has to be.
fn put(watch: &mut Watch, tokens: &mut Vec<Token>, choices: &mut Choices<'_>) {
    let from = place((choices.octet() % 4).into());
    let signed = (!choices.one_in(3)).then(|| mutable(choices));
    let arguments = signed.map_or_else(|| immutable_item(choices), |item| item.arguments.clone());
    let target = target_of(&arguments);
    let cas = choices.of(&[None, None, None, Some(0), Some(1), Some(3)]);
    let Some((token, good_token)) = any_token(watch, tokens, from, target, choices) else { return };
    let arguments = arguments.with("token", token);
    let arguments = cas.map_or(arguments.clone(), |cas| arguments.with("cas", cas));
    let value = arguments.get("v").expect("v").encode();

    let before = watch.kept().get(&(target, signed.is_some())).cloned();
    let over_budget = watch.node.stats().over_budget;
    let Some(answer) = watch.hand(from, &query("put", arguments).encode()) else {
        assert!(watch.node.stats().over_budget > over_budget, "a put is answered");
        return;
    };
    let code = answer.get("e").and_then(|error| error.items()?[0].int());
    let expected = match signed {
        None if value.len() > MAX_VALUE => Err(205),
        None => Ok(true),
        Some(SignedItem { seq, good, .. }) => {
            let stored = before.as_ref().and_then(|kept| Some((kept.seq()?, &kept.value[..])));
            judged(stored, (*seq, &value), cas, *good)
        }
    };
    match (good_token, code) {
        (_, Some(205)) => assert_eq!(expected, Err(205), "sizes are looked at first"),
        (Some(false), code) => assert_eq!(code, Some(203), "a bad token"),
        // It may be too old, or not.
        (None, Some(203)) => {}
        // There may be no room for it, or no budget for its signature; the latter only if it had to be verified.
        (_, Some(202)) => {
            let never_fits = watch.config.verifications != Rate::UNLIMITED || value.len() > 900;
            assert!(never_fits && before.as_ref().is_none_or(|before| signed.is_some() || before.value != value));
        }
        (_, code) => assert_eq!(code, expected.err().map(i128::from)),
    }
    let after = watch.kept().get(&(target, signed.is_some()));
    if code.is_none() {
        let after = after.expect("what was accepted is stored");
        assert_eq!((&after.value, after.expires), (&value, watch.now + watch.config.item_lifetime));
        if expected == Ok(false) {
            let before = before.expect("it was refreshed");
            assert_eq!(Some(&before.mutable), Some(&after.mutable), "what is stored keeps its signature");
        }
    } else {
        assert_eq!(after, before.as_ref());
    }
}

/// A stranger announces itself as a peer.
fn announce(watch: &mut Watch, tokens: &mut Vec<Token>, choices: &mut Choices<'_>) {
    let (from, info_hash) = (place((choices.octet() % 4).into()), sha1(b"info"));
    let Some((token, good)) = any_token(watch, tokens, from, info_hash, choices) else { return };
    let port = i64::from(choices.number());
    let arguments = dict().with("info_hash", info_hash).with("port", port).with("token", token);
    let implied = choices.one_in(3);
    let arguments = if implied { arguments.with("implied_port", 1) } else { arguments };
    let Some(answer) = watch.hand(from, &query("announce_peer", arguments).encode()) else { return };
    let code = answer.get("e").and_then(|error| error.items()?[0].int());
    match good {
        Some(false) => assert_eq!(code, Some(203)),
        Some(true) if code.is_none() => {
            let mut at = from;
            if !implied {
                at.set_port(port as u16);
            }
            assert!(watch.node.peers().any(|peer| SocketAddr::from(peer.addr) == at), "what was announced is stored");
        }
        _ => {}
    }
}

/// Somebody answers a question of the node, well or badly.
fn answer(watch: &mut Watch, choices: &mut Choices<'_>) {
    let count = watch.questions.len();
    if count == 0 {
        return;
    }
    // The latest ones most of the time.
    let at = count - 1 - choices.below(count.min(8));
    let question = watch.questions[at].clone();
    let transaction = question.message.get("t").and_then(Value::bytes).expect("an id").to_vec();
    let from = if choices.one_in(16) { choices.addr() } else { question.to };
    if choices.one_in(8) {
        let code = choices.of(&[201, 202, 203, 204, 205, 206, 207, 301, 302, 0, -1, i64::MIN]);
        watch.hand(from, &error(&transaction, code, "no").encode());
        return;
    }
    let asked = question.message.get("a").and_then(|arguments| arguments.get("target")?.bytes());
    let asked: Option<Id> = asked.and_then(|target| target.try_into().ok());
    let flags = choices.octet();
    let mut content = dict();
    if flags & 1 != 0 {
        content = content.with("token", vec![b't'; (flags >> 2).into()]);
    }
    if flags & 2 != 0 {
        let nodes: Vec<_> = (0..choices.below(12)).map(|_| (choices.id(), choices.addr())).collect();
        let (v4, v6): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|(_, at)| at.is_ipv4());
        content = content.with("nodes", compact_nodes(&v4)).with("nodes6", compact_nodes(&v6));
    }
    if flags & 12 == 4 {
        let which = choices.octet();
        let items: Vec<_> = asked.into_iter().flat_map(at_target).collect();
        let item = match items.get(usize::from(which) % items.len().max(1)) {
            Some(item) if which < 200 => item.arguments.clone(),
            _ if which & 1 == 0 => immutable_item(choices),
            _ => mutable(choices).arguments.clone(),
        };
        for (key, value) in ["k", "seq", "sig", "v"].map(|key| (key, item.get(key))) {
            content = value.map_or(content.clone(), |value| content.with(key, value.clone()));
        }
    }
    if flags & 48 == 48 {
        content = content.with("values", list((0..choices.below(8)).map(|_| choices.octets(6).into()).collect()));
    }
    // One id for each address, mostly.
    let id = if flags & 192 == 192 { choices.id() } else { sha1(from.to_string().as_bytes()) };
    let datagram = choices.mutated(reply(&transaction, id, content).encode());
    watch.hand(from, &datagram);
}

/// The application wants something.
fn command(watch: &mut Watch, choices: &mut Choices<'_>) {
    let (now, which) = (watch.now, choices.below(9));
    let target = any_target(choices);
    let item = mutable(choices);
    let (aim, query) = match which {
        0 => (Aim::Get(target), watch.node.get(now, Target::new(target))),
        1 | 2 => {
            let key = PublicKey(octets_of(item, "k"));
            let salt = item.arguments.get("salt").and_then(Value::bytes).unwrap_or_default();
            let newer_than = choices.of(&[None, None, Some(-1), Some(0), Some(1), Some(i64::MAX)]);
            (Aim::GetMutable(item.target, newer_than), watch.node.get_mutable(now, &key, salt, newer_than))
        }
        3 => {
            let value = immutable_value(choices);
            let item = Item::Immutable(ImmutableItem::new(&value).expect("an item"));
            (Aim::Put, watch.node.put(now, &item, None))
        }
        4 | 5 => {
            let cas = choices.of(&[None, None, Some(0), Some(1), Some(-1)]);
            let put = with_item(item, |mutable| watch.node.put(now, &Item::Mutable(mutable), cas));
            assert!(item.good || put.is_err(), "a forged item is not put");
            (Aim::Put, put)
        }
        6 => (Aim::Peers, watch.node.get_peers(now, Target::new(sha1(b"info")))),
        7 => (Aim::Peers, watch.node.announce(now, Target::new(sha1(b"info")), Some(choices.number()))),
        _ => match choices.below(3) {
            0 => (Aim::Other, watch.node.find_node(now, Target::new(target))),
            1 => (Aim::Other, watch.node.bootstrap(now)),
            _ => (Aim::Other, watch.node.ping(now, choices.addr())),
        },
    };
    watch.started(aim, query);
}

/// An item is taken back, or a forged one is not.
fn restore(watch: &mut Watch, choices: &mut Choices<'_>) {
    let remaining = Duration::from_secs(60 * u64::from(choices.octet()));
    if choices.one_in(2) {
        let value = immutable_value(choices);
        watch.restore(&Item::Immutable(ImmutableItem::new(&value).expect("an item")), remaining, true);
    } else {
        let item = mutable(choices);
        with_item(item, |mutable| watch.restore(&Item::Mutable(mutable), remaining, item.good));
    }
}

/// Hands the item to `take` as the core has it.
fn with_item<T>(item: &SignedItem, take: impl FnOnce(MutableItem<'_>) -> T) -> T {
    let (key, signature) = (PublicKey(octets_of(item, "k")), Signature(octets_of(item, "sig")));
    let salt = item.arguments.get("salt").and_then(Value::bytes).unwrap_or_default();
    take(MutableItem::new(key, salt, item.seq, &item.value, signature).expect("within the limits"))
}

fn octets_of<const N: usize>(item: &SignedItem, key: &str) -> [u8; N] {
    item.arguments.get(key).and_then(Value::bytes).and_then(|octets| octets.try_into().ok()).expect("octets")
}
