//! The core in a loop written by hand, with nothing but a socket of std: joins through the node at the address that is
//! given as argument, stores an item, and gets it back.
//!
//!     cargo run -p bep44-examples --bin event_loop -- 127.0.0.1:6881

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bep44_core::{Config, Event, ImmutableItem, Instant, Item, MAX_DATAGRAM, Node, TinyMemory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap: SocketAddr = std::env::args().nth(1).ok_or("usage: event_loop ADDRESS:PORT")?.parse()?;
    let socket = UdpSocket::bind(if bootstrap.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    let start = std::time::Instant::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as u64);

    // A real program takes the seed from the system's randomness: who guesses it can forge answers to our questions.
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&std::time::UNIX_EPOCH.elapsed()?.as_nanos().to_le_bytes());
    let mut memory = Box::new(TinyMemory::new());
    let mut node = Node::new(&mut *memory, &Config { read_only: true, ..Config::new(seed) }, now());
    node.add_bootstrap(bootstrap)?;

    let item = Item::Immutable(ImmutableItem::new(b"18:From my event loop")?);
    let put = node.put(now(), &item, None)?;
    let (mut incoming, mut outgoing) = ([0; 2_048], [0; MAX_DATAGRAM]);
    loop {
        while let Some(packet) = node.poll_transmit(now(), &mut outgoing) {
            socket.send_to(packet.datagram, packet.to)?;
        }
        let mut stored = false;
        while let Some(event) = node.poll_event() {
            match event {
                Event::Ended { query, outcome } if query == put => {
                    println!("{} nodes have stored {}", outcome.accepted, item.target());
                    stored = outcome.accepted > 0;
                }
                Event::Found { item: found, .. } => println!("found {:?}", String::from_utf8_lossy(found.value())),
                Event::Ended { .. } => return Ok(()),
                _ => {}
            }
        }
        if stored {
            node.get(now(), item.target())?;
            continue;
        }
        // A timeout of zero would mean none.
        let wait = node.poll_timeout().map(|at| at.since(now()).max(Duration::from_micros(1)));
        socket.set_read_timeout(wait)?;
        match socket.recv_from(&mut incoming) {
            Ok((len, from)) => {
                if let Some(answer) = node.handle_datagram(now(), from, &incoming[..len], &mut outgoing) {
                    socket.send_to(answer.datagram, answer.to)?;
                }
            }
            Err(_) => node.handle_timeout(now()),
        }
    }
}
