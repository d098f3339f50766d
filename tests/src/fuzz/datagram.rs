//! Any octets, to the parser and to a node.

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::wire::{self, Message, ParseError};
use bep44_core::{Item, MAX_DATAGRAM, MutableItem, NodeId, PublicKey, SecretKey, Target};

use crate::datagram::{Value, Writer, addr, dict, query};
use crate::fuzz::signed::{SALTS, VALUES};
use crate::fuzz::watch::check_answer;
use crate::script::{Script, capacity, config};

/// In an input, 12 octets that stand for the token that the node has given the sender.
const TOKEN: &[u8; 12] = b"TOKEN-TOKEN-";
/// In an input, 4 octets that stand for the transaction id of the node's question to the sender.
const TRANSACTION: &[u8; 4] = b"TID?";

/// Any octets as a datagram: from a stranger that has a token, and from a node that was asked something. Nothing panics;
/// what was read is written and read again; an answer keeps its bounds; what is refused changes nothing; and the node
/// still answers.
///
/// # Panics
/// If it is not so.
pub fn datagram(octets: &[u8]) {
    read_and_write(octets);

    let stranger = addr("203.0.113.5:5");
    let asked = addr("60.0.0.1:1000");
    let mut script = Script::with(&capacity(), &bep44_core::Config { id: Some(NodeId::ZERO), ..config() });
    let now = script.now;
    let secret = SecretKey::from_seed([1; 32]).expect("a seed");
    let stored = MutableItem::sign(&secret, SALTS[1], 2, &VALUES[1]).map(Item::Mutable).expect("an item");
    assert_eq!(script.node.restore_item(now, &stored, Duration::from_secs(60)), Ok(true));
    let target = Target::new(Writer::new(1).target(SALTS[1]));
    let token = script.token(stranger, *target.as_bytes());
    assert!(script.node.restore_peer(now, target, asked, false, Duration::from_secs(60)));
    script.node.add_bootstrap(asked).expect("room");
    let key: &PublicKey = &secret.public_key();
    script.node.get_mutable(now, key, SALTS[0], None).expect("a query");
    let question = script.send().pop().expect("a question").1;
    let transaction = question.get("t").and_then(Value::bytes).expect("a transaction id").to_vec();

    let octets = replaced(replaced(octets.to_vec(), TOKEN, &token), TRANSACTION, &transaction);
    for from in [stranger, asked] {
        hand(&mut script, from, &octets);
    }
    script.tell();
    assert!(script.ask(addr("198.51.100.9:9"), &query("ping", dict())).is_some());
}

/// One datagram to a node.
fn hand(script: &mut Script<'_>, from: SocketAddr, octets: &[u8]) {
    let accounted = |script: &Script<'_>| {
        let stats = script.node.stats();
        let refused: u64 = stats.refused.iter().map(|(_, count)| count).sum();
        stats.ignored + stats.over_budget + stats.served + refused + stats.answered + stats.unsolicited
    };
    let (kept, peers) = (script.kept(), script.node.peers().collect::<Vec<_>>());
    let count = accounted(script);
    let mut buf = [0; MAX_DATAGRAM];
    let answer = script.node.handle_datagram(script.now, from, octets, &mut buf);
    let answer = answer.map(|answer| (answer.to, answer.datagram.to_vec()));
    assert_eq!(accounted(script), count + 1, "each datagram is counted once");

    let wanted = matches!(wire::parse(octets), Ok(Message::Query(_)) | Err(ParseError::Refuse { .. }));
    let mut may_change = false;
    if let Some((to, answer)) = &answer {
        assert!(wanted, "only a query is answered");
        assert_eq!(*to, from);
        let is_reply = check_answer(from, answer).get("y") == Some(&"r".into());
        let Ok(Message::Query(query)) = wire::parse(octets) else {
            assert!(!is_reply, "a bad query is refused");
            return assert_eq!(kept, script.kept());
        };
        let writes = matches!(query.method, wire::Method::Put(_) | wire::Method::AnnouncePeer { .. });
        may_change = writes && is_reply;
    }
    if !may_change {
        assert_eq!(kept, script.kept(), "what is refused changes nothing");
        assert_eq!(peers, script.node.peers().collect::<Vec<_>>(), "what is refused changes nothing");
    }
}

/// What the parser reads, the writer writes, and the parser reads as the same.
fn read_and_write(octets: &[u8]) {
    let mut buf = vec![0; octets.len() + 200];
    let len = match wire::parse(octets) {
        Ok(Message::Query(query)) => query.write(Some(*b"FUZZ"), &mut buf),
        Ok(Message::Reply(reply)) => {
            assert!(reply.nodes.iter().count() <= octets.len() / 26);
            assert!(reply.values.into_iter().flatten().count() <= octets.len() / 8);
            reply.write(Some(*b"FUZZ"), &mut buf)
        }
        Ok(Message::Error(error)) => return assert!(!error.transaction.is_empty()),
        Err(ParseError::Refuse { transaction, refusal }) => {
            assert!(!transaction.is_empty());
            refusal.write(transaction, None, None, &mut buf)
        }
        Err(ParseError::Drop) => return,
    };
    let len = len.expect("what was read can be written");
    if let Ok(message) = wire::parse(octets) {
        assert_eq!(wire::parse(&buf[..len]), Ok(message));
    }
}

fn replaced(octets: Vec<u8>, what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = &octets[..];
    while let Some((first, others)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(what) {
            out.extend(with);
            rest = after;
        } else {
            out.push(*first);
            rest = others;
        }
    }
    out
}
