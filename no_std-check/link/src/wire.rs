//! Bencoding and messages: read and written.

use core::net::SocketAddr;

use bep44_core::addr::{CompactAddr, Family};
use bep44_core::wire::bencode::{Dict, List, Reader, Value, Writer, is_canonical};
use bep44_core::wire::{
    Code, Message, Method, NodeList, Nodes, ParseError, Query, Refusal, RemoteError, Reply, ValueList, Values, Want,
    parse,
};
use bep44_core::{NodeId, Target};

use crate::outside;

/// Reads `octets` in every way, and writes every kind of value.
#[inline(never)]
pub fn bencoding(octets: &[u8], buf: &mut [u8]) {
    outside(is_canonical(octets));
    let mut reader = Reader::new(octets);
    let _ = outside((reader.bytes(), reader.integer(), reader.skip(), reader.rest()));
    if let Ok(value) = reader.value() {
        look_at(value);
    }
    if let (Ok(list), Ok(dict)) = (List::open(octets), Dict::open(octets)) {
        for value in list {
            let _ = outside(value);
        }
        for entry in dict {
            let _ = outside(entry);
        }
    }
    let mut writer = Writer::new(buf);
    writer.dict().bytes(octets).integer(outside(-1)).list().raw(octets).end().end();
    outside(writer.finish());
}

#[inline(never)]
fn look_at(value: Value<'_>) {
    outside((value.raw(), value.bytes(), value.integer()));
    outside((value.items().into_iter().flatten().count(), value.entries().into_iter().flatten().count()));
    if let Some(values) = Values::new(value) {
        for addr in &values {
            outside(addr);
        }
        outside(values.iter().next());
    }
}

/// Reads `octets` as a message, and writes one of each kind.
#[inline(never)]
pub fn messages(octets: &[u8], buf: &mut [u8]) {
    let version = outside(None);
    let written = match parse(octets) {
        Ok(Message::Query(query)) => query.write(version, buf),
        Ok(Message::Reply(reply)) => look_at_reply(&reply, buf),
        Ok(Message::Error(error)) => {
            outside(RemoteError::known(&error));
            None
        }
        Err(ParseError::Refuse { transaction, refusal }) => refusal.write(transaction, None, version, buf),
        Err(ParseError::Drop) => None,
    };
    outside(written);

    let want = outside(Want::UNSAID);
    outside(want.includes(outside(Family::V4), outside(Family::V6)));
    let method = Method::FindNode { target: outside(Target::ZERO), want };
    let query = Query { transaction: outside(b"aa"), sender: outside(NodeId::ZERO), read_only: outside(true), method };
    outside(query.write(version, buf));
    if let Some(code) = Code::from_number(outside(203)) {
        outside(code.number());
        outside(Refusal::new(code, outside("no")).write(outside(b"aa"), observed(), version, buf));
    }
}

fn observed() -> Option<CompactAddr> {
    Some(CompactAddr::from(outside(SocketAddr::from(([127, 0, 0, 1], 6_881)))))
}

#[inline(never)]
fn look_at_reply(reply: &Reply<'_>, buf: &mut [u8]) -> Option<usize> {
    let mut list = NodeList::new(outside(Family::V4));
    for (id, addr) in reply.nodes.iter() {
        list.push(&id, addr)?;
    }
    for node in reply.nodes.truncated(outside(1)) {
        outside(node);
    }
    for node in &Nodes::new(reply.value, outside(None)) {
        outside(node);
    }
    outside((list.family(), list.len(), list.is_empty(), reply.nodes.iter().size_hint()));
    outside(reply.nodes.octets(outside(Family::V6)));

    let mut values = ValueList::<256>::new();
    for addr in reply.values.iter().flatten() {
        values.push(addr)?;
    }
    for addr in values.values() {
        outside(addr);
    }
    outside(values.values().items());
    let mut answer = Reply::new(outside(b"aa"), outside(NodeId::ZERO));
    answer.nodes = answer.nodes.with(&list);
    answer.values = Some(values.values());
    answer.write(outside(None), buf)
}
