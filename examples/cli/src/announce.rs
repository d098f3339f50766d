//! `bep44 announce` and `bep44 peers` (BEP 5).

use std::net::SocketAddr;

use bep44::turn::Want;
use serde_json::{Value, json};

use crate::args::{Announce, InfoHash, Join};
use crate::failure::{Failure, rejections};
use crate::network::{ask, guest};
use crate::output::{DIM, GOOD, Output, count, time};

pub(crate) fn announce(args: &Announce, join: &Join, output: &Output) -> Result<(), Failure> {
    let dht = guest(join, output)?;
    let want = Want::Announce { info_hash: args.infohash, port: Some(args.port) };
    let (answer, outcome) = ask(&dht, want, "announcing", output)?;
    let object = json!({
        "infohash": args.infohash.to_string(),
        "port": args.port,
        "stored": outcome.accepted,
        "rejected": rejections(&outcome),
        "peers": as_value(&answer.peers),
    });
    if outcome.accepted == 0 {
        let code = outcome.rejected.first().map(|rejection| rejection.code);
        let answered = count(outcome.answered, "node");
        let failure = Failure::refused(format!("not announced: {answered} answered, and none has accepted it"));
        return Err(failure.with_code(code).with_details(object));
    }
    let by = count(outcome.accepted, "node");
    output.row("announced", &format!("{GOOD}to {by}{GOOD:#} {DIM}in {}{DIM:#}", time(outcome.elapsed)));
    output.object(&object);
    Ok(())
}

pub(crate) fn peers(args: &InfoHash, join: &Join, output: &Output) -> Result<(), Failure> {
    let dht = guest(join, output)?;
    let (answer, outcome) = ask(&dht, Want::GetPeers(args.infohash), "looking for peers", output)?;
    if answer.peers.is_empty() {
        return Err(Failure::not_found("peers", &outcome));
    }
    for peer in &answer.peers {
        output.line(&peer.to_string());
    }
    output.object(&json!({ "infohash": args.infohash.to_string(), "peers": as_value(&answer.peers) }));
    Ok(())
}

fn as_value(peers: &[SocketAddr]) -> Value {
    peers.iter().map(ToString::to_string).collect()
}
