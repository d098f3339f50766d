//! A recorded node and another that it talks to, in virtual time, doing most of what a node can do.

use std::net::SocketAddr;

use bep44_core::item::ImmutableItem;
use bep44_core::time::Duration;
use bep44_core::{
    Capacity, Config, Instant, Item, MAX_DATAGRAM, MutableItem, Node, NodeId, SecretKey, Storage, Target,
};
use bep44_trace::{About, Outputs, Recorded, Write};

/// A trace in memory, which can be full.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(crate) octets: Vec<u8>,
    pub(crate) room: usize,
}

impl Default for Tape {
    fn default() -> Self {
        Self { octets: Vec::new(), room: usize::MAX }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Write for Tape {
    type Error = Full;

    fn write(&mut self, octets: &[u8]) -> Result<(), Full> {
        let taken = octets.len().min(self.room - self.octets.len());
        self.octets.extend_from_slice(&octets[..taken]);
        if taken < octets.len() { Err(Full) } else { Ok(()) }
    }
}

pub(crate) const OURS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)), 1_001);
pub(crate) const OTHER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)), 1_002);

pub(crate) const CAPACITY: Capacity = Capacity { contacts6: 8, ..Capacity::tiny() };

/// Everything that came out of the recorded node, as text, for a comparison that the crate has no part in.
pub(crate) fn life<W: Write>(node: &mut Recorded<'_, W>, seed: u8) -> Vec<String> {
    let mut log = Vec::new();
    let mut other = Node::new(Storage::boxed(&CAPACITY), &Config::new([seed.wrapping_add(1); 32]), Instant::ZERO);
    let mut now = Instant::from_millis(10);
    let secret = SecretKey::from_seed([seed | 1; 32]).unwrap();
    let value = b"5:value";
    let item = |seq| MutableItem::sign(&secret, b"salt", seq, value).unwrap();
    let restored = MutableItem::sign(&secret, b"old", 3, b"i7e").unwrap();

    let note = |log: &mut Vec<String>, what: String| log.push(what);
    note(&mut log, format!("{:?}", node.get(now, Target::new([1; 20]))));
    let result = node.restore_item(now, &Item::Mutable(restored), Duration::from_secs(60));
    note(&mut log, format!("{result:?}"));
    let forged = MutableItem::new(*restored.key(), b"old", 4, b"i7e", *restored.signature()).unwrap();
    let result = node.restore_item(now, &Item::Mutable(forged), Duration::from_secs(60));
    note(&mut log, format!("{result:?}"));
    let peer = "127.0.0.9:9".parse().unwrap();
    let result = node.restore_peer(now, Target::new([9; 20]), peer, true, Duration::from_secs(9));
    note(&mut log, format!("{result:?}"));
    let result = node.restore_contact(now, NodeId::new([8; 20]), "[2001:db8::9]:99".parse().unwrap());
    note(&mut log, format!("{result:?}"));
    note(&mut log, format!("{:?}", node.add_bootstrap("0.0.0.0:0".parse().unwrap())));
    note(&mut log, format!("{:?}", node.add_bootstrap(OTHER)));
    note(&mut log, format!("{:?}", other.add_bootstrap(OURS)));

    for round in 0..60_u64 {
        let begun = match round {
            2 => Some(node.bootstrap(now)),
            4 => Some(node.put(now, &Item::Immutable(ImmutableItem::new(b"2:hi").unwrap()), None)),
            6 => Some(node.put(now, &Item::Mutable(item(1)), None)),
            8 => Some(node.put(now, &Item::Mutable(item(2)), Some(7))),
            10 => Some(node.get_mutable(now, item(1).key(), b"salt", Some(0))),
            12 => Some(node.get(now, ImmutableItem::new(b"2:hi").unwrap().target())),
            14 => Some(node.announce(now, Target::new([9; 20]), Some(7))),
            16 => Some(node.get_peers(now, Target::new([9; 20]))),
            18 => Some(node.ping(now, "127.0.0.1:1003".parse().unwrap())),
            20 => Some(node.ping(now, OTHER)),
            22 => Some(node.find_node(now, Target::new([3; 20]))),
            50 => Some(node.put(now, &Item::Mutable(item(1)), None)),
            24 => Some(node.get_mutable(now, item(1).key(), &[0; 65], None)),
            _ => None,
        };
        note(&mut log, format!("{begun:?}"));
        if round == 22
            && let Some(Ok(query)) = begun
        {
            node.cancel(query);
        }
        if round == 19 {
            node.handle_unreachable(now, "127.0.0.1:1003".parse().unwrap());
        }
        if round == 30 {
            // The other asks and stores as well.
            let _ = other.put(now, &Item::Mutable(item(3)), None);
            let _ = other.get_peers(now, Target::new([9; 20]));
        }
        if round == 35 {
            let kept = MutableItem::sign(&secret, b"kept", 5, b"i1e").unwrap();
            note(&mut log, format!("{:?}", node.keep(now, &Item::Mutable(kept))));
            let older = MutableItem::sign(&secret, b"kept", 4, b"i1e").unwrap();
            note(&mut log, format!("{:?}", node.keep(now, &Item::Mutable(older))));
            let immutable = Item::Immutable(ImmutableItem::new(b"4:kept").unwrap());
            note(&mut log, format!("{:?}", node.restore_kept(now, &immutable, Duration::from_secs(5))));
        }
        if round == 52 {
            let target = ImmutableItem::new(b"4:kept").unwrap().target();
            note(&mut log, format!("{:?} {:?}", node.forget(now, &target), node.forget(now, &target)));
        }
        if round == 40 {
            while let Ok(query) = node.find_node(now, Target::new([4; 20])) {
                note(&mut log, format!("{query:?}"));
            }
            note(&mut log, format!("{:?}", node.get(now, Target::new([4; 20]))));
        }
        exchange(node, &mut other, now, round, &mut log);
        note(&mut log, format!("{:?}", node.poll_timeout()));
        // Now and then the clock runs backwards.
        now =
            if round % 7 == 6 { Instant::from_micros(now.as_micros() - 500) } else { now + Duration::from_millis(700) };
    }
    log
}

fn exchange<W: Write>(
    node: &mut Recorded<'_, W>,
    other: &mut Node<'_>,
    now: Instant,
    round: u64,
    log: &mut Vec<String>,
) {
    let (mut buf, mut back) = ([0; 2_000], [0; MAX_DATAGRAM]);
    // A buffer that is too short for anything.
    log.push(format!("{:?}", node.poll_transmit(now, &mut [0; 10]).is_some()));
    for _ in 0..20 {
        let mut quiet = true;
        while let Some(packet) = node.poll_transmit(now, &mut buf) {
            quiet = false;
            log.push(format!("{packet:?}"));
            if packet.to == OTHER
                && round != 25
                && let Some(answer) = other.handle_datagram(now, OURS, packet.datagram, &mut back)
            {
                let answer = answer.datagram.to_vec();
                log.push(format!("{:?}", node.handle_datagram(now, OTHER, &answer, &mut buf)));
            }
        }
        while let Some(packet) = other.poll_transmit(now, &mut back) {
            quiet = false;
            let answer = node.handle_datagram(now, OTHER, packet.datagram, &mut buf);
            log.push(format!("{answer:?}"));
            if let Some(answer) = answer {
                let answer = answer.datagram.to_vec();
                let _ = other.handle_datagram(now, OURS, &answer, &mut back);
            }
        }
        while let Some(event) = node.poll_event() {
            log.push(format!("{event:?}"));
        }
        while other.poll_event().is_some() {}
        if quiet {
            break;
        }
    }
    log.push(format!("{:?}", node.handle_datagram(now, OTHER, b"no message", &mut [0; 3]).is_some()));
    node.handle_timeout(now);
    other.handle_timeout(now);
}

/// Records a life and returns the trace.
pub(crate) fn recorded(seed: u8, outputs: Outputs) -> Vec<u8> {
    let about = About { outputs, local: Some(OURS), ..About::default() };
    let mut node =
        Recorded::start(Storage::boxed(&CAPACITY), &Config::new([seed; 32]), Instant::ZERO, &about, Tape::default());
    life(&mut node, seed);
    assert!(node.is_recording());
    node.finish().unwrap().octets
}
