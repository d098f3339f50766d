//! `bep44 get`

use bep44::turn::Want;
use bep44::{AnyItem, Mutable, Outcome, PublicKey, Target, to_hex};
use serde_json::{Value, json};

use crate::args::{Get, Join};
use crate::failure::Failure;
use crate::network::{ask, guest};
use crate::output::{DIM, Output, STRONG, count, time};
use crate::value;

pub(crate) fn run(args: &Get, join: &Join, output: &Output) -> Result<(), Failure> {
    match (args.public_key, args.target) {
        (Some(key), _) => mutable(args, key, join, output),
        (None, Some(target)) => immutable(args, target, join, output),
        // The argument parser sees to it that one of them is there.
        (None, None) => Err(Failure::usage("get what? Give a TARGET or --public-key HEX")),
    }
}

fn immutable(args: &Get, target: Target, join: &Join, output: &Output) -> Result<(), Failure> {
    let dht = guest(join, output)?;
    let (answer, outcome) = ask(&dht, Want::Get(target), "looking", output)?;
    let Some(AnyItem::Immutable(item)) = answer.item else { return Err(Failure::not_found("item", &outcome)) };
    if args.raw {
        Output::raw(item.as_bytes().unwrap_or(item.value()));
        return Ok(());
    }
    show(item.value(), output);
    output.row("target", &target.to_string());
    show_source(&outcome, output);
    output.object(&as_object(target, item.value()));
    Ok(())
}

fn mutable(args: &Get, key: PublicKey, join: &Join, output: &Output) -> Result<(), Failure> {
    let salt = args.salt.as_ref().map_or("", |salt| &salt.0);
    let dht = guest(join, output)?;
    let want = Want::GetMutable { key, salt: salt.into(), newer_than: args.seq };
    let (answer, outcome) = ask(&dht, want, "looking for the newest version", output)?;
    let Some(AnyItem::Mutable(item)) = answer.item else {
        let what = args.seq.map_or_else(|| "item".to_owned(), |seq| format!("version newer than {seq}"));
        return Err(Failure::not_found(&what, &outcome));
    };
    if args.raw {
        Output::raw(item.as_bytes().unwrap_or(item.value()));
        return Ok(());
    }
    show_mutable(&item, &outcome, output);
    Ok(())
}

/// A version of a mutable item, and where it was found.
pub(crate) fn show_mutable(item: &Mutable, outcome: &Outcome, output: &Output) {
    // What is not text was not written on a command line.
    let salt = String::from_utf8_lossy(item.salt());
    show(item.value(), output);
    output.row("target", &item.target().to_string());
    output.row("public key", &item.key().to_string());
    if !salt.is_empty() {
        output.row("salt", &salt);
    }
    output.row("sequence", &item.seq().to_string());
    show_source(outcome, output);
    let mut object = as_object(item.target(), item.value());
    object["public_key"] = item.key().to_string().into();
    object["salt"] = salt.into();
    object["seq"] = item.seq().into();
    object["sig"] = item.signature().to_string().into();
    output.object(&object);
}

fn as_object(target: Target, value: &[u8]) -> Value {
    json!({ "target": target.to_string(), "value_hex": to_hex(value), "value": value::text(value) })
}

fn show(value: &[u8], output: &Output) {
    output.row("value", &format!("{STRONG}{}{STRONG:#}", value::shown(value)));
}

fn show_source(outcome: &Outcome, output: &Output) {
    let (copies, elapsed) = (count(outcome.copies, "node"), time(outcome.elapsed));
    output.row("found", &format!("on {copies}, the value verified {DIM}in {elapsed}{DIM:#}"));
}
