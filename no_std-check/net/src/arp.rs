//! Which Ethernet address a host on our link has: ARP (RFC 826) and a small table of what it has said.

use core::net::Ipv4Addr;

use crate::ethernet::{self, ETHERNET, EtherType, MacAddr};
use crate::{MIN_FRAME, Micros};

/// Neighbours that are remembered. Behind a gateway one is enough.
const NEIGHBOURS: usize = 4;

/// How long an answer holds. No RFC says; most hosts take from one to twenty minutes.
const LIFETIME: Micros = 10 * 60 * 1_000_000;

/// The time between two questions for one address (RFC 1122, 2.3.2.1: at most one a second).
const PAUSE: Micros = 1_000_000;

/// Ethernet, IPv4, and how long their addresses are.
const KIND: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Octets of an ARP message without the Ethernet header.
const MESSAGE: usize = 28;

#[derive(Debug, Clone, Copy)]
struct Neighbour {
    ip: Ipv4Addr,
    /// Unknown while it has not answered.
    mac: Option<MacAddr>,
    /// When it answered, or was asked last.
    since: Micros,
    used: Micros,
}

/// What is known of an address.
pub(crate) enum Known {
    Here(MacAddr),
    /// Not known: to be asked with this frame, or (none) asked a moment ago.
    Ask(Option<[u8; MIN_FRAME]>),
}

#[derive(Debug)]
pub(crate) struct Neighbours {
    slots: [Option<Neighbour>; NEIGHBOURS],
}

impl Neighbours {
    pub(crate) const fn new() -> Self {
        Self { slots: [None; NEIGHBOURS] }
    }

    fn find(&mut self, ip: Ipv4Addr) -> Option<&mut Neighbour> {
        self.slots.iter_mut().flatten().find(|neighbour| neighbour.ip == ip)
    }

    fn put(&mut self, new: Neighbour) {
        // An empty slot counts as used before all others.
        let oldest = self.slots.iter_mut().min_by_key(|slot| slot.map(|neighbour| neighbour.used));
        if let Some(slot) = oldest {
            *slot = Some(new);
        }
    }

    /// Where `ip` is, or how to learn it.
    pub(crate) fn look_up(&mut self, now: Micros, ip: Ipv4Addr, own_mac: MacAddr, own_ip: Ipv4Addr) -> Known {
        let request = || Known::Ask(Some(message(REQUEST, (own_mac, own_ip), (None, ip))));
        let Some(neighbour) = self.find(ip) else {
            self.put(Neighbour { ip, mac: None, since: now, used: now });
            return request();
        };
        neighbour.used = now;
        let age = now.saturating_sub(neighbour.since);
        match neighbour.mac {
            Some(mac) if age < LIFETIME => Known::Here(mac),
            None if age < PAUSE => Known::Ask(None),
            _ => {
                neighbour.mac = None;
                neighbour.since = now;
                request()
            }
        }
    }

    /// Takes note of a message; whether it answered a question of ours. If it is a question for us, `frame` becomes the
    /// answer.
    pub(crate) fn receive(&mut self, now: Micros, frame: &mut [u8], own_mac: MacAddr, own_ip: Ipv4Addr) -> Heard {
        let Some(arp) = frame.get(ETHERNET..).and_then(Arp::parse) else { return Heard::Nothing };
        if arp.target != own_ip || arp.sender == own_ip || !ethernet::is_unicast(arp.mac) || arp.sender.is_unspecified()
        {
            return Heard::Nothing;
        }
        let known = self.find(arp.sender);
        match (arp.operation, known) {
            (REPLY, Some(neighbour)) => {
                let waited = neighbour.mac.is_none();
                neighbour.mac = Some(arp.mac);
                neighbour.since = now;
                if waited { Heard::Resolved } else { Heard::Nothing }
            }
            (REQUEST, known) => {
                // Whoever asks for us is about to talk to us (RFC 826, "Packet Reception").
                let new = Neighbour { ip: arp.sender, mac: Some(arp.mac), since: now, used: now };
                match known {
                    Some(neighbour) => *neighbour = new,
                    None => self.put(new),
                }
                let answer = message(REPLY, (own_mac, own_ip), (Some(arp.mac), arp.sender));
                match frame.first_chunk_mut() {
                    Some(room) => {
                        *room = answer;
                        Heard::Answer
                    }
                    None => Heard::Nothing,
                }
            }
            // An answer that nobody asked for.
            _ => Heard::Nothing,
        }
    }
}

/// What came of an ARP message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// The first [`MIN_FRAME`] octets of the frame are the answer.
    Answer,
    /// An address that was asked for is known now.
    Resolved,
}

struct Arp {
    operation: u16,
    mac: MacAddr,
    sender: Ipv4Addr,
    target: Ipv4Addr,
}

impl Arp {
    fn parse(message: &[u8]) -> Option<Self> {
        // In pieces, so that each is copied as a whole.
        let (kind, rest) = message.first_chunk::<MESSAGE>()?.split_first_chunk()?;
        let (operation, rest) = rest.split_first_chunk()?;
        let (mac, rest) = rest.split_first_chunk()?;
        let (sender, rest) = rest.split_first_chunk::<4>()?;
        let target = rest.last_chunk::<4>()?;
        (*kind == KIND).then_some(Self {
            operation: u16::from_be_bytes(*operation),
            mac: *mac,
            sender: (*sender).into(),
            target: (*target).into(),
        })
    }
}

/// A whole frame; to everybody if the receiver's Ethernet address is unknown.
fn message(
    operation: u16,
    (own_mac, own_ip): (MacAddr, Ipv4Addr),
    (mac, ip): (Option<MacAddr>, Ipv4Addr),
) -> [u8; MIN_FRAME] {
    let mut frame = [0; MIN_FRAME];
    let (to, kind) = (mac.unwrap_or(ethernet::BROADCAST), EtherType::Arp.octets());
    let (operation, own_ip, mac, ip) = (operation.to_be_bytes(), own_ip.octets(), mac.unwrap_or_default(), ip.octets());
    ethernet::write(&mut frame, &[&to, &own_mac, &kind, &KIND, &operation, &own_mac, &own_ip, &mac, &ip]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: (MacAddr, Ipv4Addr) = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 2, 15));
    const OTHER: (MacAddr, Ipv4Addr) = ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 0, 2, 2));

    fn reply(from: (MacAddr, Ipv4Addr)) -> [u8; MIN_FRAME] {
        message(REPLY, from, (Some(OWN.0), OWN.1))
    }

    fn look_up(neighbours: &mut Neighbours, now: Micros, ip: Ipv4Addr) -> Known {
        neighbours.look_up(now, ip, OWN.0, OWN.1)
    }

    #[test]
    fn a_request_is_the_one_of_the_rfc() {
        let mut neighbours = Neighbours::new();
        let Known::Ask(Some(frame)) = look_up(&mut neighbours, 0, OTHER.1) else { panic!() };
        assert_eq!(
            frame[..42],
            [
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06, // Ethernet
                0, 1, 0x08, 0x00, 6, 4, 0, 1, // a request, Ethernet and IPv4
                2, 0, 0, 0, 0, 1, 10, 0, 2, 15, // we
                0, 0, 0, 0, 0, 0, 10, 0, 2, 2, // whom we look for
            ]
        );
    }

    #[test]
    fn an_answer_is_learned_and_grows_old() {
        let mut neighbours = Neighbours::new();
        assert!(matches!(look_up(&mut neighbours, 0, OTHER.1), Known::Ask(Some(_))));
        assert!(matches!(look_up(&mut neighbours, PAUSE - 1, OTHER.1), Known::Ask(None)));
        assert!(matches!(look_up(&mut neighbours, PAUSE, OTHER.1), Known::Ask(Some(_))));
        assert_eq!(neighbours.receive(PAUSE, &mut reply(OTHER), OWN.0, OWN.1), Heard::Resolved);
        assert_eq!(neighbours.receive(PAUSE, &mut reply(OTHER), OWN.0, OWN.1), Heard::Nothing);
        assert!(matches!(look_up(&mut neighbours, PAUSE + LIFETIME - 1, OTHER.1), Known::Here(mac) if mac == OTHER.0));
        assert!(matches!(look_up(&mut neighbours, PAUSE + LIFETIME, OTHER.1), Known::Ask(Some(_))));
    }

    #[test]
    fn an_answer_to_no_question_is_not_learned() {
        let mut neighbours = Neighbours::new();
        assert_eq!(neighbours.receive(0, &mut reply(OTHER), OWN.0, OWN.1), Heard::Nothing);
        assert!(matches!(look_up(&mut neighbours, 0, OTHER.1), Known::Ask(Some(_))));
    }

    #[test]
    fn who_asks_for_us_is_answered_and_learned() {
        let mut neighbours = Neighbours::new();
        let mut frame = message(REQUEST, OTHER, (None, OWN.1));
        assert_eq!(neighbours.receive(0, &mut frame, OWN.0, OWN.1), Heard::Answer);
        assert_eq!(frame, message(REPLY, OWN, (Some(OTHER.0), OTHER.1)));
        assert!(matches!(look_up(&mut neighbours, 0, OTHER.1), Known::Here(mac) if mac == OTHER.0));
        // For somebody else, or from somebody who claims our address: nothing.
        for mut frame in [message(REQUEST, OTHER, (None, OTHER.1)), message(REQUEST, (OTHER.0, OWN.1), (None, OWN.1))] {
            assert_eq!(neighbours.receive(0, &mut frame, OWN.0, OWN.1), Heard::Nothing);
        }
    }

    #[test]
    fn the_one_in_use_outlives_those_that_only_asked() {
        let mut neighbours = Neighbours::new();
        assert!(matches!(look_up(&mut neighbours, 0, OTHER.1), Known::Ask(Some(_))));
        neighbours.receive(0, &mut reply(OTHER), OWN.0, OWN.1);
        for number in 0..100 {
            let stranger = ([2, 0, 0, 0, 1, number], Ipv4Addr::new(10, 0, 2, 100 + number % 100));
            neighbours.receive(number.into(), &mut message(REQUEST, stranger, (None, OWN.1)), OWN.0, OWN.1);
            assert!(matches!(look_up(&mut neighbours, number.into(), OTHER.1), Known::Here(_)));
        }
    }
}
