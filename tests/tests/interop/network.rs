//! Networks on loopback, of nodes of any kinds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bep44::core::{K, MAX_BOOTSTRAP};
use serde_json::json;

use crate::node::Node;
use crate::peer::{Kind, Peer};

/// How long a network may take to form.
const FORMING: Duration = Duration::from_secs(30);

/// Where a node comes from: a process of peers, or (none) this one.
pub(crate) type Source<'a> = Option<&'a Arc<Peer>>;

/// An address that no other node of the last two hundred has had: some implementations take one node an address, and
/// one that has just gone would be taken for its successor.
fn address() -> SocketAddr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    (Ipv4Addr::new(127, 0, 0, 2 + LAST.fetch_add(1, Ordering::Relaxed) % 200), 0).into()
}

/// An address of loopback where nobody listens, nor will: no system gives these ports out by itself.
pub(crate) fn dead(number: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, 210 + number), 2).into()
}

pub(crate) fn start(source: Source<'_>, bootstrap: &[SocketAddr], read_only: bool) -> Node {
    match source {
        None => Node::ours(address(), &bootstrap[..bootstrap.len().min(MAX_BOOTSTRAP)], read_only),
        Some(peer) => Node::theirs(peer, address(), bootstrap, read_only),
    }
}

pub(crate) fn addresses(nodes: &[Node]) -> Vec<SocketAddr> {
    nodes.iter().map(Node::addr).collect()
}

/// Starts a node of each of `sources`, tells each of all before it, and waits until they know each other.
pub(crate) fn network<'a>(sources: impl IntoIterator<Item = Source<'a>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    for source in sources {
        let node = start(source, &addresses(&nodes), false);
        nodes.push(node);
    }
    introduce(&nodes, &nodes);
    wait_until_formed(&nodes);
    nodes
}

/// A node that is told of all of `network`, in a state to be used.
pub(crate) fn client(source: Source<'_>, network: &[Node], read_only: bool) -> Node {
    let client = start(source, &addresses(network), read_only);
    introduce(std::slice::from_ref(&client), network);
    if !read_only {
        introduce(network, std::slice::from_ref(&client));
    }
    match &client {
        Node::Ours(dht) if read_only => drop(dht.bootstrap().unwrap()),
        _ => wait_until_formed(std::slice::from_ref(&client)),
    }
    client
}

/// Tells those who learn slowly, or not at all, of whoever asks them. Nobody but us and its own kind is told of
/// `mainline`: to the others it is silent.
fn introduce(nodes: &[Node], others: &[Node]) {
    for node in nodes {
        let Node::Theirs(peer) = node else { continue };
        if node.kind() == Kind::Mainline {
            continue;
        }
        for other in others.iter().filter(|other| other.addr() != node.addr() && other.kind() != Kind::Mainline) {
            peer.ask("add_node", json!({ "addr": other.addr().to_string() })).unwrap();
        }
    }
}

fn wait_until_formed(nodes: &[Node]) {
    // A node that is alone here joins others.
    let wanted = if nodes.len() == 1 { K } else { K.min(nodes.len() - 1) };
    let knows_enough = |node: &Node| match node.kind() {
        // It lists those that were there before it, and the first one whoever came after; see the README.
        Kind::Mainline => node.contacts() >= 1,
        // Of a network of nodes that are silent to it, it knows nobody.
        _ => node.contacts() >= wanted,
    };
    let end = Instant::now() + FORMING;
    while !nodes.iter().all(knows_enough) {
        let counts = || nodes.iter().map(|node| (node.kind(), node.contacts())).collect::<Vec<_>>();
        assert!(Instant::now() < end, "the network does not form: {:?}", counts());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Those who came first knew few: now they look around among all.
    for node in nodes {
        if let Node::Ours(dht) = node {
            dht.bootstrap().unwrap();
        }
    }
}
