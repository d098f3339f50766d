//! `bep44 node`: a full node until it is told to stop.

use std::panic;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bep44::client::Client;
use bep44::persist::{DataDir, DataError, Restored};
use bep44::turn::{NodeEvent, StoredItem};
use bep44::{AnyItem, Error};
use serde_json::{Value, json};

use crate::args::{Join, Node};
use crate::driver::{Settings, wait};
use crate::failure::{Failure, rejections};
use crate::network::{bootstrap, start};
use crate::output::{BAD, DIM, GOOD, Output, STRONG, count, time};
use crate::signals::on_stop;

/// How often contacts and peers are written down: so much of them a crash may take. Items are written at once.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);

/// What there is to say.
enum Happening {
    Joined(Result<usize, Error>),
    Item(NodeEvent),
    Stop,
}

pub(crate) fn run(args: &Node, join: &Join, output: &Output) -> Result<(), Failure> {
    let (happens, happenings) = mpsc::channel();
    on_stop(happens.clone(), || Happening::Stop)?;
    // First of all: who finds it in use or damaged asks nobody for anything, not even for the address of a host.
    let data = args.data.as_deref().map(open).transpose()?;
    let monitor = data.as_ref().map(DataDir::monitor);
    let bootstrap = match bootstrap(join, output) {
        // Who was in the network before knows others to ask.
        Err(error) if data.as_ref().is_some_and(|data| data.id().is_some()) => {
            output.detail(|| error.to_string());
            Vec::new()
        }
        bootstrap => bootstrap?,
    };
    let has_bootstrap = !bootstrap.is_empty();
    let (read_only, external_ip) = (args.read_only, args.external_ip);
    let dht = start(join, Settings { bootstrap, read_only, data, external_ip, ..Settings::default() })?;
    let (addr, id) = (dht.local_addr(), dht.id());
    let addrs: Vec<String> = dht.local_addrs().iter().map(ToString::to_string).collect();
    output.object(&json!({ "event": "listening", "addr": addr.to_string(), "addrs": addrs, "id": id.to_string() }));
    output.line(&format!("listening  {STRONG}{}{STRONG:#}  {DIM}node {id}{DIM:#}", addrs.join(", ")));
    let restored = monitor.as_ref().map(|monitor| monitor.status().restored);
    if let Some(restored) = &restored {
        show_restored(restored, output);
    }
    let mut events = dht.events()?;
    let items = happens.clone();
    std::thread::spawn(move || {
        // Once nobody takes them any more, the node is ending.
        while wait(events.next()).is_some_and(|event| items.send(Happening::Item(event)).is_ok()) {}
    });
    if has_bootstrap || restored.is_some_and(|restored| restored.contacts > 0) {
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
    dht.shutdown();
    if let Some(failure) = monitor.and_then(|monitor| monitor.status().failure) {
        return Err(Failure::refused(format!("the latest changes are not in the data directory: {failure}")));
    }
    output.object(&json!({ "event": "stopped", "queries": stats.queries, "served": stats.served }));
    output.line(&format!("stopped    after {} answered", count(stats.served, "question")));
    Ok(())
}

/// Opens a data directory.
fn open(path: &Path) -> Result<DataDir, DataError> {
    // Where a damaged file surprises the database, it panics. That is caught and told as an error, and should not be told
    // twice. No node runs yet whose panic could go unnoticed.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let opened = DataDir::open(path);
    panic::set_hook(hook);
    Ok(opened?.snapshot_every(SNAPSHOT_EVERY))
}

async fn join_network(client: &Client) -> Result<usize, Error> {
    client.bootstrap().await?;
    Ok(client.contacts().await?.len())
}

fn show_restored(restored: &Restored, output: &Output) {
    let Restored { items, peers, contacts, expired, invalid, left_out, .. } = restored;
    output.object(&json!({
        "event": "restored", "items": items, "peers": peers, "contacts": contacts,
        "expired": expired, "invalid": invalid, "left_out": left_out,
    }));
    let (items, peers, contacts) = (count(*items, "item"), count(*peers, "peer"), count(*contacts, "contact"));
    let mut text = format!("restored   {items}, {peers}, {contacts}");
    for (number, why) in [(expired, "expired"), (invalid, "invalid"), (left_out, "without room")] {
        if *number > 0 {
            text += &format!("; {} {why}", count(*number, "item"));
        }
    }
    output.line(&text);
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

/// One line, or one object, about what has happened.
pub(crate) fn show(event: &NodeEvent, output: &Output) {
    match event {
        NodeEvent::ItemStored(stored) => show_item("stored", stored, output),
        NodeEvent::ItemReplaced(stored) => show_item("replaced", stored, output),
        NodeEvent::ItemRefreshed(stored) => show_item("refreshed", stored, output),
        NodeEvent::Adopted(stored) => show_item("adopted", stored, output),
        NodeEvent::Announced { target, seq, skipped, outcome, until_next } => {
            output.object(&json!({
                "event": "announced", "target": target.to_string(), "seq": seq, "skipped": skipped,
                "copies": outcome.copies, "answered": outcome.answered, "stored": outcome.accepted,
                "rejected": rejections(outcome), "next_s": until_next.as_secs(),
            }));
            let what = match (skipped, outcome.answered) {
                (true, _) => format!("spared: {} have it", count(outcome.copies, "node")),
                (false, 0) => "nobody answered".to_owned(),
                (false, _) => format!("stored by {}, {} had it", count(outcome.accepted, "node"), outcome.copies),
            };
            let next = time(*until_next);
            output.line(&format!("{:<10} {target}  {what} {DIM}again in {next}{DIM:#}", "announced"));
        }
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
        NodeEvent::SavingFailed(reason) => {
            output.object(&json!({ "event": "saving_failed", "message": reason }));
            output.note(&format!("{BAD}not saved{BAD:#}  {reason}: trying again"));
        }
        NodeEvent::RecordingFailed(reason) => {
            output.object(&json!({ "event": "recording_failed", "message": reason }));
            output.note(&format!("{BAD}not recorded{BAD:#}  {reason}: the trace ends here"));
        }
        _ => {}
    }
}

fn show_item(event: &str, stored: &StoredItem, output: &Output) {
    let octets = stored.item.value().len();
    let mut object: Value = json!({
        "event": event,
        "target": stored.target.to_string(),
        "mutable": false,
        "octets": octets,
        "remaining_s": stored.remaining.map(|remaining| remaining.as_secs()),
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
    let remaining = stored.remaining.map_or_else(|| "kept alive".to_owned(), |left| format!("for {}", time(left)));
    output.line(&format!("{event:<10} {}  {octets}{version} {DIM}{remaining}{DIM:#}", stored.target));
}
