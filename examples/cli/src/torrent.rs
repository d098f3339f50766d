//! `bep44 publish` and `bep44 resolve`: a key that points at a torrent (BEP 46).

use bep44::mutable_torrent::{Magnet, info_hash_in, value};
use bep44::turn::Want;
use bep44::{AnyItem, MAX_SALT, Target};
use serde_json::json;

use crate::args::{Join, Publish, Resolve};
use crate::failure::Failure;
use crate::key;
use crate::network::{ask, guest};
use crate::output::{GOOD, Output, STRONG, count};
use crate::put::{next_version, store};

pub(crate) fn publish(args: &Publish, join: &Join, output: &Output) -> Result<(), Failure> {
    let secret = key::read(&args.key)?;
    let salt = args.salt.as_ref().map_or("", |salt| &salt.0);
    debug_assert!(salt.len() <= MAX_SALT);
    let dht = guest(join, output)?;
    let (item, cas) = next_version(&dht, &secret, salt, &value(args.infohash), None, output)?;
    let outcome = store(&dht, &item, cas, output)?;
    let magnet = Magnet { key: secret.public_key(), salt: salt.into() };
    show(&magnet, args.infohash, item.seq(), output);
    output.row("stored", &format!("{GOOD}by {}{GOOD:#}", count(outcome.accepted, "node")));
    Ok(())
}

pub(crate) fn resolve(args: &Resolve, join: &Join, output: &Output) -> Result<(), Failure> {
    let Magnet { key, salt } = args.magnet.clone();
    let dht = guest(join, output)?;
    let want = Want::GetMutable { key, salt, newer_than: None };
    let (answer, outcome) = ask(&dht, want, "looking for the newest version", output)?;
    let Some(AnyItem::Mutable(item)) = answer.item else { return Err(Failure::not_found("item", &outcome)) };
    let info_hash = info_hash_in(item.value()).map_err(|error| Failure::refused(error.to_string()))?;
    show(&args.magnet, info_hash, item.seq(), output);
    Ok(())
}

fn show(magnet: &Magnet, info_hash: Target, seq: i64, output: &Output) {
    output.row("magnet", &magnet.to_string());
    output.row("info-hash", &format!("{STRONG}{info_hash}{STRONG:#}"));
    output.row("sequence", &seq.to_string());
    output.object(&json!({ "magnet": magnet.to_string(), "infohash": info_hash.to_string(), "seq": seq }));
}
