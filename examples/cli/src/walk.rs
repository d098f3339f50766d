//! `bep44 ping` and `bep44 lookup`: who is there.

use bep44::turn::{Answered, Want};
use serde_json::{Value, json};

use crate::args::{Join, Lookup, Ping};
use crate::driver::{Settings, wait};
use crate::failure::Failure;
use crate::network::{ask_and_show, guest, resolve, start};
use crate::output::{DIM, GOOD, Output, STRONG, count, time};

/// Nodes that store an item (BEP 5: K).
const CLOSEST: usize = bep44::core::K;

pub(crate) fn ping(args: &Ping, join: &Join, output: &Output) -> Result<(), Failure> {
    let addrs = resolve(std::slice::from_ref(&args.addr), output);
    let Some(addr) = addrs.into_iter().find(|addr| join.listens_in_family_of(addr)) else {
        return Err(Failure::refused("no address that can be reached from here is known for this host"));
    };
    let dht = start(join, Settings { bootstrap: vec![addr], read_only: true, ..Settings::default() })?;
    let progress = output.progress("waiting for an answer");
    let node = wait(dht.ping(addr))?;
    drop(progress);
    output.row("node", &format!("{STRONG}{}{STRONG:#}", node.node));
    output.row("address", &addr.to_string());
    output.row("round trip", &format!("{GOOD}{}{GOOD:#}", time(node.round_trip)));
    output.object(&json!({ "id": node.node.to_string(), "addr": addr.to_string(), "rtt_ms": millis(&node) }));
    Ok(())
}

pub(crate) fn lookup(args: &Lookup, join: &Join, output: &Output) -> Result<(), Failure> {
    let target = args.target;
    let dht = guest(join, output)?;
    let mut nodes = Vec::new();
    output
        .line(&format!("{DIM}hop  node                                      shared bits  round trip  address{DIM:#}"));
    let (_, outcome) = ask_and_show(&dht, Want::FindNode(target), "walking", output, |node| {
        let shared = node.node.distance(&target).shared_prefix();
        let (id, trip, addr) = (node.node, time(node.round_trip), node.addr);
        output.line(&format!("{:>3}  {id}  {shared:>11}  {trip:>10}  {addr}", node.hop));
        output.object(&as_object(node, Some(shared)));
        nodes.push(*node);
    })?;
    nodes.sort_by_key(|node| node.node.distance(&target));
    nodes.truncate(CLOSEST);
    let (answered, closest) = (count(outcome.answered, "node"), nodes.len());
    output.line(&format!(
        "{GOOD}{answered} answered{GOOD:#} in {} hops and {}; the {closest} closest:",
        outcome.hops,
        time(outcome.elapsed)
    ));
    for node in &nodes {
        output.line(&format!("     {STRONG}{}{STRONG:#}  {}", node.node, node.addr));
    }
    output.object(&json!({
        "target": target.to_string(),
        "closest": nodes.iter().map(|node| as_object(node, None)).collect::<Value>(),
        "asked": outcome.asked,
        "answered": outcome.answered,
        "hops": outcome.hops,
        "elapsed_ms": outcome.elapsed.as_secs_f64() * 1e3,
    }));
    Ok(())
}

fn as_object(node: &Answered, shared_bits: Option<u32>) -> Value {
    let mut object = json!({
        "id": node.node.to_string(),
        "addr": node.addr.to_string(),
        "hop": node.hop,
        "rtt_ms": millis(node),
    });
    if let Some(bits) = shared_bits {
        object["shared_bits"] = bits.into();
    }
    object
}

fn millis(node: &Answered) -> f64 {
    node.round_trip.as_secs_f64() * 1e3
}
