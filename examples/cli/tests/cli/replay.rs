//! `--record` on every command that joins a network, with every runtime, and `bep44 replay`.

use std::path::PathBuf;

use bep44::replay::format::{Call, Record, Records, Write, write_header, write_record};
use serde_json::{Value, json};

use crate::network::{Done, Network, Node, run, run_with_input, text};

const INFO_HASH: &str = "4a533d47ec9c7d95b1ad75f576cffc641853b750";

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The trace must be whole and come out the same, each time.
fn identical(path: &str) -> Value {
    let done = run(&["replay", path, "--json"]);
    assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    let report = done.object();
    assert_eq!((&report["identical"], &report["complete"]), (&json!(true), &json!(true)));
    assert!(report["inputs"].as_u64().unwrap() > 5 && report["outputs"].as_u64().unwrap() > 3, "{report}");
    assert_eq!(run(&["replay", path, "--json"]).object(), report);
    report
}

struct Tape(Vec<u8>);

impl Write for Tape {
    type Error = ();

    fn write(&mut self, octets: &[u8]) -> Result<(), ()> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

#[test]
fn every_command_with_every_runtime() {
    let network = Network::start(3);
    let directory = Directory::new();
    let key = directory.path("key");
    let public_key = text(&run(&["keygen", &key, "--json"]).object()["public_key"]).to_owned();
    let target = text(&network.ok(&["put", "before"])["target"]).to_owned();
    let node = network.0[1].addr.to_string();
    let runtimes = ["blocking", "smol", "tokio"].into_iter().chain(cfg!(feature = "async-std").then_some("async-std"));
    for runtime in runtimes {
        let commands: [&[&str]; 10] = [
            &["put", "a value"],
            &["put", "--key", &key, runtime],
            &["get", &target],
            &["get", "--public-key", &public_key],
            &["publish", "--key", &key, "--salt", runtime, INFO_HASH],
            &["announce", INFO_HASH, "--port", "5000"],
            &["peers", INFO_HASH],
            &["ping", &node],
            &["lookup", &target],
            // One that fails.
            &["get", INFO_HASH],
        ];
        for command in commands {
            let trace = directory.path("trace");
            let done = network.run(&[command, &["--runtime", runtime, "--record", &trace]].concat());
            assert_eq!(done.status, Some(i32::from(command == ["get", INFO_HASH])), "{command:?}: {done:?}");
            identical(&trace);
        }
    }
}

#[cfg(unix)]
#[test]
fn nodes_that_are_stopped_and_killed() {
    let directory = Directory::new();
    let (trace, data) = (directory.path("trace"), directory.path("data"));
    let ask = |node: &Node, args: &[&str]| {
        let addr = node.addr.to_string();
        let done = run(&[args, &["--bind", "127.0.0.1:0", "--bootstrap", &addr]].concat());
        assert_eq!(done.status, Some(0), "{done:?}");
    };
    for runtime in ["blocking", "tokio"] {
        let with = ["--record", &trace, "--data", &data, "--runtime", runtime];
        let node = Node::with(None, &with);
        ask(&node, &["put", "kept"]);
        ask(&node, &["announce", INFO_HASH, "--port", "5000"]);
        assert_eq!(node.signal("TERM"), Some(0));
        identical(&trace);
        // What comes back from the disk is told to the node, and is in the trace as well.
        let node = Node::with(None, &with);
        ask(&node, &["peers", INFO_HASH]);
        std::thread::sleep(std::time::Duration::from_secs(1));
        drop(node);
        let done = run(&["replay", &trace, "--dump"]);
        assert_eq!(done.status, Some(0), "{done:?}");
        assert!(done.stdout.contains("restore_item v=\"4:kept\""), "{done:?}");
        assert!(done.stdout.contains("127.0.0.1:5000") && done.stdout.contains("query get_peers"), "{done:?}");
        assert!(done.stderr.contains("no end"), "{done:?}");
    }
}

fn recorded(directory: &Directory) -> String {
    let network = Network::start(2);
    let trace = directory.path("recorded");
    network.ok(&["put", "hello", "--record", &trace]);
    trace
}

#[test]
fn dump_step_until_and_packets() {
    let directory = Directory::new();
    let trace = recorded(&directory);
    let all = identical(&trace);

    let dump = run(&["replay", &trace, "--dump"]);
    assert_eq!(dump.status, Some(0));
    for shown in [
        "start by=",
        "contacts=64 contacts6=",
        "put v=\"5:hello\"",
        "query put",
        "a.v=\"hello\"",
        "answer",
        "event: ended",
        "accepted=2",
        "identical",
    ] {
        assert!(dump.stdout.contains(shown), "{shown} in {dump:?}");
    }
    assert!(!dump.stdout.contains("poll_timeout"));
    assert!(run(&["replay", &trace, "--dump", "-v"]).stdout.contains("poll_timeout"));
    // Where nobody can press Enter, it does not wait.
    assert_eq!(run_with_input(&["replay", &trace, "--step"], b"").stdout, dump.stdout);

    let lines = run(&["replay", &trace, "--dump", "--json"]).stdout;
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.last(), Some(&all));
    let put = objects.iter().find(|object| object["call"] == "put").unwrap();
    assert_eq!((&put["fields"]["v"], &put["output"]["what"]), (&json!("\"5:hello\""), &json!("started")));

    let until = run(&["replay", &trace, "--until", "7", "--json"]).object();
    assert_eq!((&until["inputs"], &until["identical"], &until["complete"]), (&json!(7), &json!(true), &json!(false)));
    let until = run(&["replay", &trace, "--until", "0s", "--json"]).object();
    assert!(until["inputs"].as_u64() < all["inputs"].as_u64());
    assert_eq!(run(&["replay", &trace, "--until", "100s", "--json"]).object(), all);

    let pcap = directory.path("packets");
    let done = run(&["replay", &trace, "--pcap", &pcap, "--json"]);
    let packets = done.object()["packets"].as_u64().unwrap();
    let octets = std::fs::read(&pcap).unwrap();
    // Microseconds, the highest octet first; IP without a link layer.
    assert_eq!((&octets[..4], &octets[20..24]), (&[0xa1, 0xb2, 0xc3, 0xd4][..], &[0, 0, 0, 101][..]));
    assert!(packets >= 8 && octets.len() as u64 > 24 + packets * (16 + 28), "{packets}");
}

/// Changes a bit of the transaction id in the first datagram that the node answered, or that answered it.
fn with_bit_changed(path: &str) -> (Vec<u8>, u64) {
    let trace = std::fs::read(path).unwrap();
    let (mut tape, mut calls, mut changed) = (Tape(Vec::new()), 0, 0);
    write_header(&mut tape).unwrap();
    for traced in Records::new(&trace).unwrap() {
        let record = traced.unwrap().record;
        calls += u64::from(matches!(record, Record::Call { .. }));
        match record {
            Record::Call { after, call: Call::HandleDatagram { from, datagram, room } } if changed == 0 => {
                changed = calls;
                let mut octets = datagram.to_vec();
                let at = octets.windows(5).rposition(|octets| octets == b"1:t4:").unwrap() + 5;
                octets[at] ^= 1;
                let call = Call::HandleDatagram { from, datagram: &octets, room };
                write_record(&mut tape, &Record::Call { after, call }).unwrap();
            }
            record => write_record(&mut tape, &record).unwrap(),
        }
    }
    (tape.0, changed)
}

#[test]
fn a_difference_and_damage() {
    let directory = Directory::new();
    let trace = recorded(&directory);
    let other = directory.path("other");
    let (octets, call) = with_bit_changed(&trace);
    std::fs::write(&other, octets).unwrap();
    let done = run(&["replay", &other]);
    assert_eq!(done.status, Some(1), "{done:?}");
    for shown in ["input ", "s after the start", "expected", "actual", "octet "] {
        assert!(done.stdout.contains(shown), "{shown} in {done:?}");
    }
    done.says(&["different at input"]);
    let object = run(&["replay", &other, "--json"]).object();
    assert_eq!(object["identical"], false);
    // The answer went unheard, which shows in one of the next calls.
    let at = object["difference"]["input"].as_u64().unwrap();
    assert!(at >= call && at < call + 4, "{object}");
    assert!(run(&["replay", &other, "--until", &(at - 1).to_string()]).status == Some(0));

    let whole = std::fs::read(&trace).unwrap();
    std::fs::write(&other, &whole[..whole.len() - 3]).unwrap();
    let done = run(&["replay", &other]);
    assert_eq!(done.status, Some(1));
    done.says(&["damaged at octet", "middle of a record", "identical"]);
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 8;
    std::fs::write(&other, damaged).unwrap();
    let object = run(&["replay", &other, "--json"]).object();
    assert!(object["damage"]["octet"].as_u64().unwrap() <= middle as u64 && text(&object["error"]).contains("damaged"));
}

#[test]
fn wrong_usage() {
    let directory = Directory::new();
    let refused = |args: &[&str], words: &[&str]| -> Done {
        let done = run(args);
        done.is_usage(words);
        done
    };
    let (none, key) = (directory.path("none"), directory.path("key"));
    run(&["keygen", &key]);
    refused(&["replay"], &["FILE"]);
    refused(&["replay", &none], &[&none]);
    refused(&["replay", &key], &[&key, "does not begin"]);
    for until in ["x", "-1", "1h", "s", "1e400s"] {
        refused(&["replay", &none, &format!("--until={until}")], &["number of inputs", "1.5s"]);
    }
    refused(&["replay", &none, "--step", "--dump"], &["--dump"]);
    refused(&["demo", "--record", &none], &["--record", "joins none"]);
    refused(&["replay", &key, "--record", &none], &["joins none"]);
    assert!(!PathBuf::from(&none).exists());

    // A file that is no trace is not replaced.
    let before = std::fs::read(&key).unwrap();
    let get = ["get", INFO_HASH, "--bind", "127.0.0.1:0", "--bootstrap", "127.0.0.1:9", "--record"];
    refused(&[&get[..], &[&key]].concat(), &[&key, "no trace"]);
    assert_eq!(std::fs::read(&key).unwrap(), before);
    refused(&[&get[..], &["/nonexistent/trace"]].concat(), &["/nonexistent/trace"]);
    let trace = recorded(&directory);
    refused(&["replay", &trace, "--pcap", &trace], &["the trace itself"]);
    identical(&trace);
}
