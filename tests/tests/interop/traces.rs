//! A node of ours on each driver among nodes of theirs, recorded: its trace comes out the same each time.

use std::net::SocketAddr;
use std::path::Path;

use bep44::client::Client;
use bep44::core::item::immutable_target;
use bep44::replay::{Ending, Recording, replay};
use bep44::{Builder, Immutable, Mutable, SecretKey, async_std, bencoded_bytes, blocking, smol, tokio};
use futures_lite::future::block_on;
use serde_json::json;

use crate::network::{addresses, network};
use crate::node::{Node, Write, public_key};
use crate::pairs::fresh_seed;
use crate::peer::{Kind, Peer};
use crate::report::Report;

/// Nodes of theirs in a network.
const NODES: usize = 8;

/// The name of a driver, and a life on it: recorded to a file, among these nodes.
type Life = (&'static str, fn(&Path, &[SocketAddr], &mut dyn FnMut(&Client)));

const LIVES: [Life; 4] = [
    ("blocking", |path, nodes, live| {
        let dht = recorded(blocking::Dht::builder(), path, nodes).build().unwrap();
        live(dht.client());
        dht.shutdown();
    }),
    ("smol", |path, nodes, live| {
        let dht = recorded(smol::Dht::builder(), path, nodes).build().unwrap();
        live(dht.client());
        block_on(dht.shutdown());
    }),
    ("async-std", |path, nodes, live| {
        let dht = recorded(async_std::Dht::builder(), path, nodes).build().unwrap();
        live(dht.client());
        block_on(dht.shutdown());
    }),
    ("tokio", |path, nodes, live| {
        let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let within = runtime.enter();
        let dht = recorded(tokio::Dht::builder(), path, nodes).build().unwrap();
        drop(within);
        live(dht.client());
        block_on(dht.shutdown());
    }),
];

fn recorded<D>(builder: Builder<D>, path: &Path, nodes: &[SocketAddr]) -> Builder<D> {
    let recording = Recording::create(path).unwrap();
    builder.bind("127.0.0.1:0".parse().unwrap()).bootstrap(nodes.iter().copied()).record(recording)
}

pub(crate) fn of_each_driver(report: &mut Report) {
    let directory = std::env::temp_dir().join(format!("bep44-traces-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let mut rows = Vec::new();
    for kind in Kind::THEIRS {
        let peer = Peer::start(kind);
        let theirs = network(std::iter::repeat_n(Some(&peer), NODES));
        let nodes = addresses(&theirs);
        for (driver, life) in LIVES {
            let path = directory.join(format!("{}-{driver}", kind.name()));
            life(&path, &nodes, &mut |client| live(client, &theirs, report));
            let what = format!("a trace on {driver} among nodes of {}", kind.name());
            let (one, two) = (replay(&path).unwrap(), replay(&path).unwrap());
            report.check(&what, one.is_identical() && one.ending == Some(Ending::Complete), &one.to_string());
            report.expect(&format!("{what}, replayed again"), &two.digest, &one.digest);
            let octets = std::fs::metadata(&path).unwrap().len();
            let counts = [one.inputs, one.outputs, octets].map(|count| count.to_string());
            rows.push([vec![kind.name().to_owned(), driver.to_owned()], counts.to_vec()].concat());
        }
    }
    let head = ["among", "driver", "inputs", "outputs", "octets"].map(str::to_owned);
    report.table("recorded among nodes of theirs, and identical when replayed", &head, &rows);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Puts and gets in both directions.
fn live(client: &Client, theirs: &[Node], report: &mut Report) {
    let name = theirs[0].kind().name();
    block_on(client.bootstrap()).unwrap();
    let item = Immutable::text(&format!("recorded {:?}", &fresh_seed()[..4])).unwrap();
    let put = block_on(client.put(&item)).unwrap();
    report.check(&format!("{name} stores what a recorded node puts"), put.stored() > 0, &format!("{put:?}"));
    let seed = fresh_seed();
    let secret = SecretKey::from_seed(seed).unwrap();
    for seq in 1..=2 {
        let value = bencoded_bytes(format!("version {seq}").as_bytes());
        let signed = Mutable::sign(&secret, b"salt", seq, value).unwrap();
        let put = block_on(client.put_mutable(&signed, (seq > 1).then_some(seq - 1))).unwrap();
        report.check(&format!("{name} stores version {seq} of it"), put.stored() > 0, &format!("{put:?}"));
    }
    let found = theirs[2].get_mutable(public_key(seed), Some("salt"));
    report.expect(&format!("{name} finds it"), &found, &Ok(Some((2, bencoded_bytes(b"version 2")))));

    let text = format!("from {name} {:?}", &fresh_seed()[..4]);
    let target = immutable_target(&bencoded_bytes(text.as_bytes()));
    theirs[3].put_immutable(&json!(text)).unwrap();
    let found = block_on(client.get(target)).unwrap().item;
    report.expect(
        &format!("a recorded node finds what {name} has put"),
        &found,
        &Some(Immutable::text(&text).unwrap()),
    );
    let write = Write { seed: fresh_seed(), salt: None, value: json!(text), seq: 1, cas: None };
    theirs[4].put_mutable(&write).unwrap();
    let found = block_on(client.newest(public_key(write.seed), b"", None)).unwrap().item;
    report.check(&format!("a recorded node finds the mutable item of {name}"), found.is_some(), "nothing");
}
