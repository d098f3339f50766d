//! Uses the core from start to end where there is no std and no allocator. That this links is the test: with an
//! allocation anywhere it would not.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::net::SocketAddr;

use bep44_core::crypto::SecretKey;
use bep44_core::item::{Item, MutableItem};
use bep44_core::{Config, Event, Instant, MAX_DATAGRAM, Node, Target, TinyMemory};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// What the hardware would give: a datagram, the time, a seed.
#[inline(never)]
fn outside<T>(value: T) -> T {
    black_box(value)
}

/// The entry point of the linked program. It is never run.
// A name that the linker finds is the one thing here that the compiler cannot check.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let mut memory = TinyMemory::new();
    let mut node = Node::new(&mut memory, &Config::new(outside([1; 32])), outside(Instant::ZERO));
    let (mut incoming, mut outgoing) = ([0; 2_048], [0; MAX_DATAGRAM]);
    let peer = outside(SocketAddr::from(([127, 0, 0, 1], 6_881)));
    let _ = node.add_bootstrap(peer);
    if let Some(secret) = SecretKey::from_seed(outside([7; 32]))
        && let Ok(item) = MutableItem::sign(&secret, b"salt", outside(1), b"5:hello")
    {
        let now = outside(Instant::ZERO);
        let _ = node.put(now, &Item::Mutable(item), outside(Some(0)));
        let _ = node.get_mutable(now, &secret.public_key(), b"salt", None);
        let _ = node.restore_item(now, &Item::Mutable(item), outside(core::time::Duration::from_secs(60)));
    }
    loop {
        let now = outside(Instant::from_micros(1));
        let _ = node.get(now, outside(Target::ZERO));
        let _ = node.find_node(now, outside(Target::ZERO));
        let _ = node.announce(now, outside(Target::ZERO), Some(1));
        let _ = node.get_peers(now, outside(Target::ZERO));
        let _ = node.ping(now, peer);
        let _ = node.bootstrap(now);
        while let Some(packet) = node.poll_transmit(now, &mut outgoing) {
            outside(packet.datagram);
        }
        while let Some(event) = node.poll_event() {
            if let Event::Ended { query, .. } = outside(event) {
                node.cancel(query);
            }
        }
        let len = outside(incoming.len());
        outside(&mut incoming);
        if let Some(datagram) = incoming.get(..len)
            && let Some(answer) = node.handle_datagram(now, peer, datagram, &mut outgoing)
        {
            outside(answer.datagram);
        }
        node.handle_timeout(now);
        node.handle_unreachable(now, peer);
        outside((node.poll_timeout(), node.items().count(), node.contacts().count(), node.peers().count()));
        outside((node.stats(), node.id(), node.round_trip()));
    }
}
