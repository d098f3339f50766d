//! `bep44 put`

use std::sync::mpsc;

use bep44::core::wire::Code;
use bep44::turn::{NodeEvent, Want};
use bep44::{AnyItem, Immutable, Mutable, Outcome, SecretKey};
use serde_json::{Value, json};

use crate::args::{Join, Put};
use crate::driver::{Dht, wait};
use crate::failure::{Failure, meaning, rejections};
use crate::network::{ask, guest, keeper};
use crate::output::{DIM, GOOD, Output, STRONG, count, time};
use crate::signals::on_stop;
use crate::{key, node, value};

pub(crate) fn run(args: &Put, join: &Join, output: &Output) -> Result<(), Failure> {
    let value = value::of(args)?;
    let (happens, happenings) = mpsc::channel();
    if args.keep {
        on_stop(happens.clone(), || Happening::Stop)?;
    }
    let (dht, item) = match &args.key {
        None => immutable(args, value, join, output)?,
        Some(path) => mutable(args, &key::read(path)?, &value, join, output)?,
    };
    if !args.keep {
        return Ok(());
    }
    let mut events = dht.events()?;
    wait(dht.keep(item))?;
    std::thread::spawn(move || {
        // Once nobody takes them any more, the node is ending.
        while wait(events.next()).is_some_and(|event| happens.send(Happening::Told(event)).is_ok()) {}
    });
    for happening in happenings {
        match happening {
            Happening::Told(event @ (NodeEvent::Announced { .. } | NodeEvent::Adopted(_))) => {
                node::show(&event, output);
            }
            Happening::Told(_) => {}
            Happening::Stop => break,
        }
    }
    dht.shutdown();
    Ok(())
}

/// What there is to say of an item that is kept alive.
enum Happening {
    Told(NodeEvent),
    Stop,
}

fn immutable(args: &Put, value: Vec<u8>, join: &Join, output: &Output) -> Result<(Dht, AnyItem), Failure> {
    let item = Immutable::new(value)?;
    let target = item.target();
    let dht = if args.keep { keeper(join, output)? } else { guest(join, output)? };
    let item = AnyItem::Immutable(item);
    let (_, outcome) = ask(&dht, Want::Put { item: item.clone(), cas: None }, "storing", output)?;
    let object = json!({ "target": target.to_string(), "stored": outcome.accepted });
    judge(&outcome, None, &object)?;
    output.row("target", &format!("{STRONG}{target}{STRONG:#}"));
    show(&outcome, output);
    output.object(&object);
    Ok((dht, item))
}

fn mutable(
    args: &Put,
    secret: &SecretKey,
    value: &[u8],
    join: &Join,
    output: &Output,
) -> Result<(Dht, AnyItem), Failure> {
    let salt = args.salt.as_ref().map_or("", |salt| &salt.0);
    // Signed before anything is sent, so that a value that breaks a limit is refused first.
    let mut item = Mutable::sign(secret, salt, args.seq.unwrap_or(1), value)?;
    let dht = if args.keep { keeper(join, output)? } else { guest(join, output)? };
    let mut cas = args.cas;
    if args.seq.is_none() {
        (item, cas) = next_version(&dht, secret, salt, value, args.cas, output)?;
    }
    let outcome = store(&dht, &item, cas, output)?;
    let public_key = item.key().to_string();
    output.row("target", &format!("{STRONG}{}{STRONG:#}", item.target()));
    output.row("public key", &public_key);
    if !salt.is_empty() {
        output.row("salt", salt);
    }
    output.row("sequence", &item.seq().to_string());
    show(&outcome, output);
    output.object(&as_object(&item, &outcome));
    Ok((dht, item.into()))
}

/// Reads the newest version, and signs the next one, together with the number that is expected to be stored.
pub(crate) fn next_version(
    dht: &Dht,
    secret: &SecretKey,
    salt: &str,
    value: &[u8],
    cas: Option<i64>,
    output: &Output,
) -> Result<(Mutable, Option<i64>), Failure> {
    let want = Want::GetMutable { key: secret.public_key(), salt: salt.into(), newer_than: None };
    let (answer, _) = ask(dht, want, "reading the newest version", output)?;
    let newest = match answer.item {
        Some(AnyItem::Mutable(newest)) => Some(newest.seq()),
        _ => None,
    };
    let seq = match newest {
        None => 1,
        Some(newest) => newest.checked_add(1).ok_or(bep44::Error::NoHigherSeq)?,
    };
    Ok((Mutable::sign(secret, salt, seq, value)?, cas.or(newest)))
}

/// Puts a mutable item, and fails unless it is what readers will find.
pub(crate) fn store(dht: &Dht, item: &Mutable, cas: Option<i64>, output: &Output) -> Result<Outcome, Failure> {
    let (_, outcome) = ask(dht, Want::Put { item: AnyItem::Mutable(item.clone()), cas }, "storing", output)?;
    judge(&outcome, Some(item.seq()), &as_object(item, &outcome))?;
    Ok(outcome)
}

fn as_object(item: &Mutable, outcome: &Outcome) -> Value {
    json!({
        "target": item.target().to_string(),
        "public_key": item.key().to_string(),
        "salt": String::from_utf8_lossy(item.salt()),
        "seq": item.seq(),
        "stored": outcome.accepted,
        "rejected": rejections(outcome),
    })
}

/// Whether a put has succeeded: nobody refused because of another version, and somebody has accepted.
fn judge(outcome: &Outcome, seq: Option<i64>, object: &Value) -> Result<(), Failure> {
    let refused_with = |code: Code| {
        let number = i64::from(code.number());
        outcome.rejected.iter().find(|rejection| rejection.code == number)
    };
    let stored = outcome.newest.map_or_else(String::new, |newest| format!(" ({newest} is stored)"));
    let failure = if let Some(rejection) = refused_with(Code::CasMismatch) {
        let by = count(rejection.count, "node");
        Failure::refused(format!(
            "conflict: another sequence number is stored than was expected{stored}, said {by} with code 301: read again"
        ))
        .with_code(Some(rejection.code))
    } else if let Some(rejection) = refused_with(Code::SequenceTooLow) {
        let (by, seq) = (count(rejection.count, "node"), seq.unwrap_or_default());
        Failure::refused(format!(
            "rejected: sequence number {seq} is not above the one that is stored{stored}, said {by} with code 302: \
             write a higher one"
        ))
        .with_code(Some(rejection.code))
    } else if seq.is_some() && outcome.newest > seq {
        // Nobody has refused, but readers find the newer one.
        Failure::refused(format!("conflict: a newer version exists{stored}: read again"))
    } else if outcome.accepted > 0 {
        return Ok(());
    } else if let Some(rejection) = outcome.rejected.iter().max_by_key(|rejection| rejection.count) {
        let (by, code) = (count(rejection.count, "node"), rejection.code);
        Failure::refused(format!("rejected: {}, said {by} with code {code}", meaning(code))).with_code(Some(code))
    } else {
        Failure::refused(format!("not stored: {} answered, and none has accepted it", count(outcome.answered, "node")))
    };
    Err(failure.with_details(object.clone()))
}

fn show(outcome: &Outcome, output: &Output) {
    let by = count(outcome.accepted, "node");
    output.row("stored", &format!("{GOOD}by {by}{GOOD:#} {DIM}in {}{DIM:#}", time(outcome.elapsed)));
    for rejection in &outcome.rejected {
        let by = count(rejection.count, "node");
        output.row("refused", &format!("by {by}: {} (code {})", meaning(rejection.code), rejection.code));
    }
    if outcome.silent > 0 {
        output.row("no answer", &format!("from {}", count(outcome.silent, "node")));
    }
}
