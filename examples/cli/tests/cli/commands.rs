//! Every command in a network of processes on loopback: exit status, standard output, standard error.

use crate::network::{Network, Node, Running, run, run_with_input, text};
use serde_json::{Value, json};

/// A key file in a directory that is gone with the test.
fn key(network: &Network, directory: &tempfile::TempDir) -> (String, String) {
    let file = directory.path().join("key").to_str().unwrap().to_owned();
    let public_key = text(&network.ok(&["keygen", &file])["public_key"]).to_owned();
    (file, public_key)
}

#[test]
fn immutable_items() {
    let network = Network::start(12);
    let put = network.ok(&["put", "Hello World!"]);
    assert_eq!(put, json!({ "target": "e5f96f6f38320f0f33959cb4d3d656452117aadb", "stored": 8 }));
    let target = text(&put["target"]);
    let get = network.ok(&["get", target]);
    assert_eq!(
        get,
        json!({ "target": target, "value_hex": "31323a48656c6c6f20576f726c6421", "value": "Hello World!" })
    );

    // For people.
    let shown = network.run(&["get", target]);
    assert_eq!((shown.status, shown.stderr.as_str()), (Some(0), ""));
    assert!(shown.stdout.starts_with("value       Hello World!\n") && !shown.stdout.contains('\x1b'), "{shown:?}");
    assert_eq!(network.run(&["get", "--raw", target]).stdout, "Hello World!");
    assert!(network.run(&["-v", "get", target]).stderr.contains("hop 0 "));

    // A value of another type, from a file.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("value");
    std::fs::write(&file, b"d1:ai1ee").unwrap();
    let put = network.ok(&["put", "--bencoded", "--file", file.to_str().unwrap()]);
    let get = network.ok(&["get", text(&put["target"])]);
    assert_eq!((&get["value_hex"], &get["value"]), (&json!("64313a6169316565"), &Value::Null));
    assert!(network.run(&["get", text(&put["target"])]).stdout.contains("{\"a\": 1}"));

    // From standard input, in the largest size there is.
    let addr = network.0[3].addr.to_string();
    let args = ["put", "-", "--json", "--bind", "127.0.0.1:0", "--bootstrap", &addr];
    let put = run_with_input(&args, &[b'x'; 996]);
    assert_eq!((put.status, &put.object()["stored"]), (Some(0), &json!(8)), "{put:?}");
    run_with_input(&args[..2], &[b'x'; 997]).is_usage(&["1001", "1000"]);
}

#[test]
fn mutable_items() {
    let network = Network::start(12);
    let directory = tempfile::tempdir().unwrap();
    let (file, public_key) = key(&network, &directory);
    let put = |args: &[&str]| network.run(&[&["put", "--key", &file, "--salt", "s", "--json"], args].concat());

    let first = put(&["one"]).object();
    let target = text(&first["target"]);
    assert_eq!(
        first,
        json!({
            "target": target, "public_key": public_key, "salt": "s", "seq": 1, "stored": 8, "rejected": []
        })
    );
    assert_eq!(put(&["two"]).object()["seq"], 2);
    let get = network.ok(&["get", "--public-key", &public_key, "--salt", "s"]);
    assert_eq!((&get["seq"], &get["value"], &get["target"]), (&json!(2), &json!("two"), &json!(target)));
    assert_eq!((text(&get["sig"]).len(), text(&get["public_key"])), (128, public_key.as_str()));

    let stale = put(&["old", "--seq", "1"]);
    assert_eq!((stale.status, &stale.object()["code"]), (Some(1), &json!(302)), "{stale:?}");
    assert_eq!(stale.object()["stored"], 0);
    stale.says(&["302", "sequence number 1", "2 is stored"]);
    let conflict = put(&["three", "--seq", "3", "--cas", "1"]);
    assert_eq!((conflict.status, &conflict.object()["code"]), (Some(1), &json!(301)), "{conflict:?}");
    assert_eq!(conflict.object()["rejected"][0]["count"], 8);
    assert_eq!(put(&["three", "--cas", "1"]).object()["code"], 301);
    assert_eq!(put(&["three", "--seq", "3", "--cas", "2"]).object()["stored"], 8);

    let newer = |seq: &str| network.run(&["get", "--public-key", &public_key, "--salt", "s", "--seq", seq, "--json"]);
    assert_eq!(newer("2").object()["value"], "three");
    let none = newer("3");
    assert_eq!(none.status, Some(1));
    assert!(text(&none.object()["error"]).contains("not found"));

    // Another salt is another item.
    let other = network.run(&["get", "--public-key", &public_key]);
    assert_eq!(other.status, Some(1));
    other.says(&["not found", "answered"]);
}

#[test]
fn torrents_and_peers() {
    let network = Network::start(12);
    let directory = tempfile::tempdir().unwrap();
    let (file, public_key) = key(&network, &directory);
    let info_hash = "4a533d47ec9c7d95b1ad75f576cffc641853b750";
    let magnet = format!("magnet:?xs=urn:btpk:{public_key}&s=6e");
    let expected = json!({ "magnet": magnet, "infohash": info_hash, "seq": 1 });
    assert_eq!(network.ok(&["publish", "--key", &file, "--salt", "n", info_hash]), expected);
    assert_eq!(network.ok(&["resolve", &magnet]), expected);
    let missing = network.run(&["resolve", &format!("magnet:?xs=urn:btpk:{public_key}")]);
    assert_eq!(missing.status, Some(1));
    missing.says(&["not found"]);

    network.run(&["peers", info_hash]).says(&["not found"]);
    assert_eq!(network.ok(&["announce", info_hash, "--port", "5000"])["stored"], 8);
    assert_eq!(network.ok(&["peers", info_hash])["peers"], json!(["127.0.0.1:5000"]));
    assert_eq!(network.run(&["peers", info_hash]).stdout, "127.0.0.1:5000\n");
}

#[test]
fn pings_and_walks() {
    let network = Network::start(12);
    let node = &network.0[7];
    let ping = run(&["ping", &node.addr.to_string(), "--json"]).object();
    assert_eq!((text(&ping["id"]), text(&ping["addr"])), (node.id.as_str(), node.addr.to_string().as_str()));
    assert!(ping["rtt_ms"].as_f64().unwrap() > 0.0);

    let walk = network.run(&["lookup", &node.id, "--json"]);
    let lines: Vec<Value> = walk.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, steps) = lines.split_last().unwrap();
    assert_eq!(end["answered"], steps.len());
    assert_eq!((&end["closest"][0]["id"], end["closest"].as_array().unwrap().len()), (&json!(node.id), 8));
    assert!(network.run(&["lookup", &node.id]).stdout.contains(&node.addr.to_string()));
}

#[test]
fn a_node_tells_what_it_stores_and_ends_on_a_signal() {
    let network = Network::start(2);
    let put = network.ok(&["put", "x"]);
    let event = network.0[0].event();
    assert_eq!(
        (&event["event"], &event["target"], &event["mutable"]),
        (&json!("stored"), &put["target"], &json!(false))
    );
    #[cfg(unix)]
    for (node, signal) in network.0.into_iter().zip(["INT", "TERM"]) {
        assert_eq!(node.signal(signal), Some(0));
    }
}

#[test]
fn a_node_in_both_networks_serves_both() {
    let node = Running::start(&["node", "--json", "--bind", "127.0.0.1:0", "--bind", "[::1]:0"]);
    let listening = node.object();
    let addrs: Vec<&str> = listening["addrs"].as_array().unwrap().iter().map(text).collect();
    assert!(addrs.len() == 2 && addrs[0].starts_with("127.0.0.1:") && addrs[1].starts_with("[::1]:"), "{addrs:?}");
    let in_v4 = ["--bind", "127.0.0.1:0", "--bootstrap", addrs[0]];
    let in_v6 = ["--bind", "[::1]:0", "--bootstrap", addrs[1]];
    let in_both = ["--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bootstrap", addrs[0], "--bootstrap", addrs[1]];
    let put = run(&[&["put", "x", "--json"][..], &in_v4].concat()).object();
    for network in [&in_v4[..], &in_v6, &in_both] {
        let got = run(&[&["get", text(&put["target"]), "--json"][..], network].concat());
        assert_eq!(got.object()["value"], json!("x"));
    }
}

#[test]
fn nobody_there_is_said_soon() {
    let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    let soon = std::time::Duration::from_secs(10);
    let alone = run(&["get", target, "--bind", "127.0.0.1:0", "--json"]);
    assert_eq!(alone.status, Some(1));
    assert!(text(&alone.object()["error"]).contains("nobody to ask"));

    // A port where nobody listens, and one where somebody listens and says nothing.
    let gone = Node::start(None).addr.to_string();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for addr in [gone, silent.local_addr().unwrap().to_string()] {
        let start = std::time::Instant::now();
        let done = run(&["get", target, "--bind", "127.0.0.1:0", "--bootstrap", &addr]);
        assert!(start.elapsed() < soon);
        assert_eq!(done.status, Some(1));
        done.says(&["nobody answered", "--bootstrap"]);
        let done = run(&["ping", &addr, "--timeout", "0.2"]);
        assert_eq!(done.status, Some(1));
        done.says(&["200ms"]);
    }
}

#[test]
fn the_demo_holds() {
    let demo = run(&["demo", "--json"]);
    assert_eq!((demo.status, demo.stderr.as_str()), (Some(0), ""), "{demo:?}");
    let lines: Vec<Value> = demo.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, steps) = lines.split_last().unwrap();
    assert!(steps.iter().all(|step| step["ok"] == true));
    assert_eq!((&end["done"], &end["steps"]), (&json!(true), &json!(steps.len())));
    assert!(run(&["demo"]).stdout.contains("All 13 steps held"));
}
