//! `bep44 node`: a full node until it is told to stop.

use std::sync::mpsc;

use bep44::Error;
use bep44::client::Client;
use bep44::turn::{AnyItem, NodeEvent, StoredItem};
use serde_json::{Value, json};

use crate::args::{Join, Node};
use crate::driver::wait;
use crate::failure::Failure;
use crate::network::{bootstrap, start};
use crate::output::{DIM, GOOD, Output, STRONG, count, time};

/// What there is to say.
enum Happening {
    Joined(Result<usize, Error>),
    Item(NodeEvent),
    Stop,
}

pub(crate) fn run(args: &Node, join: &Join, output: &Output) -> Result<(), Failure> {
    if args.data.is_some() {
        return Err(Failure::not_yet("--data", "leave it out, and the node starts anew each time"));
    }
    let (happens, happenings) = mpsc::channel();
    // Before the socket is there, so that no signal finds the node without it.
    let stop = happens.clone();
    ctrlc::set_handler(move || drop(stop.send(Happening::Stop)))
        .map_err(|error| Failure::refused(format!("cannot listen for signals: {error}")))?;
    let bootstrap = bootstrap(join, output)?;
    let joins = !bootstrap.is_empty();
    let dht = start(join, bootstrap, args.read_only, None)?;
    let (addr, id) = (dht.local_addr(), dht.id());
    output.object(&json!({ "event": "listening", "addr": addr.to_string(), "id": id.to_string() }));
    output.line(&format!("listening  {STRONG}{addr}{STRONG:#}  {DIM}node {id}{DIM:#}"));
    let mut events = dht.events()?;
    let items = happens.clone();
    std::thread::spawn(move || {
        // Once nobody takes them any more, the node is ending.
        while wait(events.next()).is_some_and(|event| items.send(Happening::Item(event)).is_ok()) {}
    });
    if joins {
        let client = Client::clone(&dht);
        std::thread::spawn(move || drop(happens.send(Happening::Joined(wait(join_network(&client))))));
    }
    for happening in happenings {
        match happening {
            Happening::Joined(joined) => show_joined(joined, output),
            Happening::Item(event) => show(&event, output),
            Happening::Stop => break,
        }
    }
    let stats = wait(dht.stats())?;
    output.object(&json!({ "event": "stopped", "queries": stats.queries, "served": stats.served }));
    output.line(&format!("stopped    after {} answered", count(stats.served, "question")));
    dht.shutdown();
    Ok(())
}

async fn join_network(client: &Client) -> Result<usize, Error> {
    client.bootstrap().await?;
    Ok(client.contacts().await?.len())
}

fn show_joined(joined: Result<usize, Error>, output: &Output) {
    match joined {
        Ok(contacts @ 1..) => {
            output.object(&json!({ "event": "joined", "contacts": contacts }));
            output.line(&format!("{GOOD}joined{GOOD:#}     {} known", count(contacts as u64, "node")));
        }
        Ok(0) => {
            output.object(&json!({ "event": "alone", "message": "no bootstrap node answered: trying again later" }));
            output.line("alone      no bootstrap node answered: trying again later");
        }
        // Stopped meanwhile, or too slow: the node goes on trying.
        Err(error) => output.detail(|| error.to_string()),
    }
}

fn show(event: &NodeEvent, output: &Output) {
    match event {
        NodeEvent::ItemStored(stored) => show_item("stored", stored, output),
        NodeEvent::ItemReplaced(stored) => show_item("replaced", stored, output),
        NodeEvent::ItemRefreshed(stored) => show_item("refreshed", stored, output),
        NodeEvent::ItemDropped { target, mutable, reason } => {
            let reason = format!("{reason:?}").to_lowercase();
            output.object(&json!({
                "event": "dropped", "target": target.to_string(), "mutable": mutable, "reason": reason,
            }));
            output.line(&format!("{:<10} {target}  {reason}", "dropped"));
        }
        NodeEvent::Lagged(lost) => {
            output.object(&json!({ "event": "lagged", "lost": lost }));
            output.line(&format!("lagged     {} not shown", count(*lost, "event")));
        }
        _ => {}
    }
}

fn show_item(event: &str, stored: &StoredItem, output: &Output) {
    let (octets, remaining) = (stored.item.value().len(), stored.remaining);
    let mut object: Value = json!({
        "event": event,
        "target": stored.target.to_string(),
        "mutable": false,
        "octets": octets,
        "remaining_s": remaining.as_secs(),
    });
    let mut version = String::new();
    if let AnyItem::Mutable(item) = &stored.item {
        object["mutable"] = true.into();
        object["public_key"] = item.key().to_string().into();
        object["seq"] = item.seq().into();
        version = format!(", sequence {}", item.seq());
    }
    output.object(&object);
    let octets = count(octets as u64, "octet");
    output.line(&format!("{event:<10} {}  {octets}{version} {DIM}for {}{DIM:#}", stored.target, time(remaining)));
}
