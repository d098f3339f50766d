//! Every command with every runtime.

use crate::network::{Network, Node, run, text};
use serde_json::{Value, json};

fn every_command(runtime: &str) {
    let with = ["--runtime", runtime];
    let network = Network::start_with(5, &with);
    let ok = |args: &[&str]| network.ok(&[args, &with].concat());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key").to_str().unwrap().to_owned();
    let public_key = text(&ok(&["keygen", &file])["public_key"]).to_owned();

    let put = ok(&["put", "Hello World!"]);
    assert_eq!(put, json!({ "target": "e5f96f6f38320f0f33959cb4d3d656452117aadb", "stored": 5 }));
    assert_eq!(ok(&["get", text(&put["target"])])["value"], "Hello World!");
    assert_eq!(ok(&["put", "--key", &file, "one"])["stored"], 5);
    assert_eq!(ok(&["put", "--key", &file, "two"])["seq"], 2);
    assert_eq!(ok(&["get", "--public-key", &public_key])["value"], "two");
    let info_hash = "4a533d47ec9c7d95b1ad75f576cffc641853b750";
    let published = ok(&["publish", "--key", &file, "--salt", "n", info_hash]);
    assert_eq!(ok(&["resolve", text(&published["magnet"])]), published);
    assert_eq!(ok(&["announce", info_hash, "--port", "5000"])["stored"], 5);
    assert_eq!(ok(&["peers", info_hash])["peers"], json!(["127.0.0.1:5000"]));
    let node = &network.0[3];
    assert_eq!(ok(&["ping", &node.addr.to_string()])["id"], node.id.as_str());
    let walk = network.run(&["lookup", &node.id, "--json", "--runtime", runtime]);
    let end: Value = serde_json::from_str(walk.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((walk.status, &end["closest"][0]["id"]), (Some(0), &json!(node.id)), "{walk:?}");

    // What goes wrong, goes wrong in the same way.
    let missing = network.run(&["get", info_hash, "--runtime", runtime]);
    assert_eq!(missing.status, Some(1));
    missing.says(&["not found", "answered"]);
    let addr = node.addr.to_string();
    run(&["get", info_hash, "--bind", "192.0.2.1:0", "--bootstrap", &addr, "--runtime", runtime])
        .is_usage(&["192.0.2.1:0", "--bind"]);

    let demo = run(&["demo", "--json", "--runtime", runtime]);
    assert_eq!((demo.status, demo.stderr.as_str()), (Some(0), ""), "{demo:?}");

    let data = directory.path().join("data").to_str().unwrap().to_owned();
    let kept = Node::with(None, &["--data", &data, "--runtime", runtime]);
    assert_eq!(kept.event()["items"], 0);
    let id = kept.id.clone();
    run(&["put", "x", "--bind", "127.0.0.1:0", "--bootstrap", &kept.addr.to_string(), "--runtime", runtime]);
    assert_eq!(kept.event()["event"], "stored");
    #[cfg(unix)]
    {
        assert_eq!(kept.signal("TERM"), Some(0));
        let again = Node::with(None, &["--data", &data, "--runtime", runtime]);
        assert_eq!((&again.event()["items"], &again.id), (&json!(1), &id));
        for (node, signal) in network.0.into_iter().zip(["INT", "TERM"]) {
            assert_eq!(node.signal(signal), Some(0));
        }
    }
}

#[test]
fn blocking() {
    every_command("blocking");
}

#[test]
fn smol() {
    every_command("smol");
}

#[cfg(feature = "async-std")]
#[test]
fn async_std() {
    every_command("async-std");
}

#[test]
fn tokio() {
    every_command("tokio");
}
