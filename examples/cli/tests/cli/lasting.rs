//! What runs until it is told to stop: nodes with a data directory, and watchers.
#![cfg(unix)]

use std::time::Duration;

use crate::network::{Network, Node, Running, run, text};
use serde_json::json;

const INFO_HASH: &str = "4a533d47ec9c7d95b1ad75f576cffc641853b750";

/// Longer than the window within which an acknowledged item may be lost, on a slow disk.
const WINDOW: Duration = Duration::from_secs(3);

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Asks one node only, on loopback.
fn ask(node: &Node, args: &[&str]) -> serde_json::Value {
    let done = run(&[args, &["--json", "--bind", "127.0.0.1:0", "--bootstrap", &node.addr.to_string()]].concat());
    assert_eq!(done.status, Some(0), "{done:?}");
    done.object()
}

#[test]
fn a_restart_and_a_crash() {
    let directory = Directory::new();
    let (data, key) = (directory.path("data"), directory.path("key"));
    let other = Node::start(None);
    let public_key = run(&["keygen", &key, "--json"]).object()["public_key"].clone();

    let node = Node::with(Some(other.addr), &["--data", &data]);
    let empty = json!({
        "event": "restored", "items": 0, "peers": 0, "contacts": 0, "expired": 0, "invalid": 0, "left_out": 0,
    });
    assert_eq!(node.event(), empty);
    assert_eq!(node.event()["event"], "joined");
    let id = node.id.clone();
    let target = ask(&node, &["put", "kept"])["target"].clone();
    ask(&node, &["put", "--key", &key, "one"]);
    ask(&node, &["announce", INFO_HASH, "--port", "5000"]);
    assert_eq!(node.signal("TERM"), Some(0));
    // Nobody else is asked from here on.
    drop(other);

    let node = Node::with(None, &["--data", &data]);
    let restored = node.event();
    assert_eq!((&restored["items"], &restored["peers"], &restored["contacts"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(node.id, id);
    assert_eq!(ask(&node, &["get", text(&target)])["value"], "kept");
    assert_eq!(ask(&node, &["peers", INFO_HASH])["peers"], json!(["127.0.0.1:5000"]));
    ask(&node, &["put", "--key", &key, "two"]);
    ask(&node, &["put", "more"]);
    std::thread::sleep(WINDOW);
    assert_eq!(node.signal("KILL"), None);

    let node = Node::with(None, &["--data", &data]);
    let restored = node.event();
    assert_eq!((&restored["items"], &restored["peers"], &restored["invalid"]), (&json!(3), &json!(1), &json!(0)));
    assert_eq!(node.id, id);
    let get = ask(&node, &["get", "--public-key", text(&public_key)]);
    assert_eq!((&get["value"], &get["seq"]), (&json!("two"), &json!(2)));
}

#[test]
fn an_id_suits_the_address_that_is_given_and_is_kept_as_long_as_it_does() {
    let directory = Directory::new();
    let (data, first, second) = (directory.path("data"), "203.0.113.7", "198.51.100.7");
    let id_at = |ip: &str| {
        let node = Node::with(None, &["--data", &data, "--external-ip", ip]);
        let id: bep44::core::NodeId = node.id.parse().unwrap();
        assert_eq!(node.signal("TERM"), Some(0));
        id
    };
    let id = id_at(first);
    assert!(id.suits(first.parse().unwrap()));
    assert_eq!(id_at(first), id);
    let moved = id_at(second);
    assert!(moved.suits(second.parse().unwrap()) && moved != id);
}

#[test]
fn a_directory_is_refused_before_anything_is_sent() {
    let directory = Directory::new();
    let data = directory.path("data");
    // Whoever sends anything sends it here.
    let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let refused = |data: &str, words: &[&str]| {
        let args = ["node", "--bind", "127.0.0.1:0", "--bootstrap", &addr, "--data", data];
        run(&args).is_usage(words);
        let done = run(&[&args[..], &["--json"]].concat());
        assert_eq!((done.status, done.object()["error"].is_string()), (Some(2), true));
    };
    let node = Node::with(None, &["--data", &data]);
    refused(&data, &[&data, "in use by another node"]);
    assert_eq!(node.signal("INT"), Some(0));

    let file = format!("{data}/bep44.redb");
    let mut octets = std::fs::read(&file).unwrap();
    octets.truncate(1_000);
    std::fs::write(&file, &octets).unwrap();
    refused(&data, &[&file, "damaged"]);
    assert_eq!(std::fs::read(&file).unwrap(), octets);
    let is_a_file = directory.path("file");
    std::fs::write(&is_a_file, "").unwrap();
    refused(&is_a_file, &[&is_a_file]);
    assert!(listener.recv(&mut [0; 1]).is_err());
}

#[test]
fn what_is_put_to_be_kept_is_announced_until_it_is_stopped() {
    let network = Network::start(3);
    let directory = Directory::new();
    let key = directory.path("key");
    network.ok(&["keygen", &key]);
    let bootstrap = network.0[0].addr.to_string();
    let args = ["put", "--keep", "--key", &key, "--seq", "1", "kept alive", "--json"];
    let keeper = Running::start(&[&args[..], &["--bind", "127.0.0.1:0", "--bootstrap", &bootstrap]].concat());
    let put = keeper.object();
    assert_eq!((&put["seq"], &put["stored"]), (&json!(1), &json!(3)));
    let announced = keeper.object();
    assert_eq!((&announced["event"], &announced["target"]), (&json!("announced"), &put["target"]));
    assert_eq!((&announced["seq"], &announced["stored"], &announced["copies"]), (&json!(1), &json!(3), &json!(3)));
    assert!((50 * 60 - 10..=60 * 60).contains(&announced["next_s"].as_u64().unwrap()));
    assert_eq!(keeper.signal("INT"), Some(0));
}

#[test]
fn a_watcher_sees_each_newer_version() {
    let network = Network::start(3);
    let directory = Directory::new();
    let key = directory.path("key");
    let public_key = text(&network.ok(&["keygen", &key])["public_key"]).to_owned();
    let bootstrap = network.0[0].addr.to_string();
    let put = |value: &str| network.ok(&["put", "--key", &key, "--salt", "s", value]);
    let get = || network.ok(&["get", "--public-key", &public_key, "--salt", "s"]);
    let watch = |args: &[&str]| {
        let network = ["--bind", "127.0.0.1:0", "--bootstrap", &bootstrap];
        let item = ["watch", "--public-key", &public_key, "--salt", "s"];
        Running::start(&[&item[..], &network, args].concat())
    };

    put("one");
    let (watcher, patient) =
        (watch(&["--json", "--interval", "1"]), watch(&["--json", "--runtime", "tokio", "--interval", "3600"]));
    for watcher in [&watcher, &patient] {
        assert_eq!(watcher.object(), get());
    }
    for value in ["two", "three"] {
        put(value);
        let seen = watcher.object();
        assert_eq!((&seen, &seen["value"]), (&get(), &json!(value)));
    }
    // The same version is not shown twice.
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(watcher.is_silent() && patient.is_silent());
    assert_eq!(watcher.signal("INT"), Some(0));
    // Also while it waits for something that is far away.
    assert_eq!(patient.signal("TERM"), Some(0));

    let people = watch(&[]);
    assert_eq!(people.line(), "value       three");
    assert_eq!(people.signal("TERM"), Some(0));
}

#[test]
fn a_watcher_waits_for_a_first_version_and_outlasts_its_network() {
    let first = Node::start(None);
    let addr = first.addr.to_string();
    let directory = Directory::new();
    let key = directory.path("key");
    let public_key = text(&run(&["keygen", &key, "--json"]).object()["public_key"]).to_owned();
    let args = ["watch", "--public-key", &public_key, "--interval", "1", "--timeout", "2", "--json"];
    let args = [&args[..], &["--bind", "127.0.0.1:0", "--bootstrap", &addr]].concat();
    let watcher = Running::start(&args);
    std::thread::sleep(Duration::from_millis(500));
    ask(&first, &["put", "--key", &key, "one"]);
    assert_eq!(watcher.object()["value"], "one");

    // Gone, and there again with another version.
    drop(first);
    std::thread::sleep(Duration::from_secs(3));
    let again = Node::with(None, &["--bind", &addr]);
    ask(&again, &["put", "--key", &key, "--seq", "2", "two"]);
    assert_eq!(watcher.object()["value"], "two");
    drop(again);
    assert_eq!(watcher.signal("INT"), Some(0));

    // Nobody at all is a mistake.
    let done = run(&args);
    assert_eq!(done.status, Some(1), "{done:?}");
}
