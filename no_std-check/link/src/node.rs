//! The node: every command, every turn of its loop, all that can be read.

use core::net::SocketAddr;

use bep44_core::event::Peers;
use bep44_core::{
    Capacity, Contact, Event, ImmutableItem, Instant, Item, MicroMemory, MutableItem, Node, NodeId, Outcome, PublicKey,
    QueryHandle, SecretKey, Signature, Storage, Target,
};

use crate::outside;

fn peer() -> SocketAddr {
    outside(SocketAddr::from(([127, 0, 0, 1], 6_881)))
}

/// All that an application can want of a node. `octets` stand for whatever it has.
#[inline(never)]
pub fn command(node: &mut Node<'_>, octets: &[u8]) {
    let now = outside(Instant::ZERO);
    let target = outside(Target::ZERO);
    outside(node.add_bootstrap(peer())).ok();
    for handle in [
        node.bootstrap(now),
        node.find_node(now, target),
        node.get(now, target),
        node.get_mutable(now, &PublicKey(outside([1; 32])), octets, outside(None)),
        node.get_peers(now, target),
        node.announce(now, target, outside(Some(1))),
        node.ping(now, peer()),
    ]
    .into_iter()
    .flatten()
    {
        node.cancel(QueryHandle::from_bits(outside(handle.to_bits())));
    }
    let (salt, value) = octets.split_at_checked(outside(8)).unwrap_or_default();
    if let Ok(item) = ImmutableItem::new(value) {
        outside(node.put(now, &Item::Immutable(item), None)).ok();
        outside((node.keep(now, &Item::Immutable(item)).is_ok(), node.forget(now, &target)));
    }
    if let Ok(item) =
        MutableItem::new(PublicKey(outside([1; 32])), salt, outside(1), value, Signature(outside([2; 64])))
    {
        outside(node.put(now, &Item::Mutable(item), outside(Some(0)))).ok();
    }
    restore(node, now, octets);
}

/// What an application that has written down what a node knew gives back to it.
fn restore(node: &mut Node<'_>, now: Instant, value: &[u8]) {
    let remaining = outside(core::time::Duration::from_secs(60));
    if let Some(secret) = SecretKey::from_seed(outside([7; 32]))
        && let Ok(item) = MutableItem::sign(&secret, b"salt", outside(1), value)
    {
        outside(secret.public_key());
        outside(node.restore_item(now, &Item::Mutable(item), remaining)).ok();
        outside(node.restore_kept(now, &Item::Mutable(item), remaining)).ok();
    }
    outside(node.restore_peer(now, outside(Target::ZERO), peer(), outside(true), remaining));
    outside(node.restore_contact(now, outside(NodeId::ZERO), peer()));
}

/// One turn of the loop that drives a node.
#[inline(never)]
pub fn turn(node: &mut Node<'_>, datagram: &[u8], outgoing: &mut [u8]) {
    let now = outside(Instant::from_micros(1));
    if let Some(answer) = node.handle_datagram(now, peer(), datagram, outgoing) {
        let _ = outside(answer);
    }
    node.handle_timeout(now);
    node.handle_unreachable(now, peer());
    while let Some(packet) = node.poll_transmit(now, outgoing) {
        let _ = outside(packet);
    }
    while let Some(event) = node.poll_event() {
        tell(&event);
    }
    outside(node.poll_timeout());
}

fn tell(event: &Event<'_>) {
    match event {
        Event::Peers { peers, .. } => count(peers.clone()),
        Event::Ended { outcome, .. } => judge(outcome),
        other => {
            outside(other);
        }
    }
}

fn count(peers: Peers<'_>) {
    for peer in peers {
        outside(peer);
    }
}

fn judge(outcome: &Outcome) {
    outside(outcome.refused());
}

/// All that can be read from a node.
#[inline(never)]
pub fn read(node: &Node<'_>) {
    outside((node.id(), node.round_trip(), node.item_octets()));
    for contact in node.contacts() {
        outside((Contact::id(contact), contact.addr(), contact.standing(outside(Instant::ZERO))));
    }
    for item in node.items() {
        outside(item);
    }
    for kept in node.kept() {
        outside(kept);
    }
    for peer in node.peers() {
        outside(peer);
    }
    let stats = outside(node.stats());
    for (code, count) in stats.refused.iter() {
        outside((code, count, stats.refused.with(code)));
    }
    outside([Capacity::tiny(), Capacity::home(), Capacity::server()]);
}

/// Memory of other sizes than this program's, which it only ever lends.
#[inline(never)]
pub fn lend(memory: &mut MicroMemory) {
    outside(Storage::from(memory).contacts.len());
}
