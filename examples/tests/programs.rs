//! The programs run in a small network on loopback.

use std::net::SocketAddr;
use std::process::Command;

use bep44::blocking::Dht;

fn network() -> Vec<Dht> {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut nodes: Vec<Dht> = Vec::new();
    for _ in 0..4 {
        let node = Dht::builder().bind(any).bootstrap(nodes.first().map(Dht::local_addr)).build().unwrap();
        if !nodes.is_empty() {
            node.bootstrap().unwrap();
        }
        nodes.push(node);
    }
    nodes
}

fn run(program: &str, network: &[Dht]) -> String {
    let output = Command::new(program).arg(network[0].local_addr().to_string()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn event_loop() {
    let said = run(env!("CARGO_BIN_EXE_event_loop"), &network());
    assert!(said.starts_with("4 nodes have stored ") && said.ends_with("found \"18:From my event loop\"\n"), "{said}");
}

#[test]
fn put_get() {
    let network = network();
    let said = run(env!("CARGO_BIN_EXE_put_get"), &network);
    assert!(said.contains("found Some(\"Hello, world\")") && said.contains("written: true"), "{said}");
    assert!(said.ends_with("found Some(\"Ada\\n\"), sequence number 1\n"), "{said}");
    assert!(run(env!("CARGO_BIN_EXE_put_get"), &network).contains("written: false"));
}

/// The same program on each runtime.
#[cfg(any(feature = "smol", feature = "async-std", feature = "tokio"))]
fn joins_stores_and_finds(program: &str) {
    let said = run(program, &network());
    assert!(said.starts_with("4 nodes have stored ") && said.ends_with("found Some(\"Hello, world\")\n"), "{said}");
}

#[test]
#[cfg(feature = "smol")]
fn smol() {
    joins_stores_and_finds(env!("CARGO_BIN_EXE_smol_put_get"));
}

#[test]
#[cfg(feature = "async-std")]
fn async_std() {
    joins_stores_and_finds(env!("CARGO_BIN_EXE_async_std_put_get"));
}

#[test]
#[cfg(feature = "tokio")]
fn tokio() {
    joins_stores_and_finds(env!("CARGO_BIN_EXE_tokio_put_get"));
}
