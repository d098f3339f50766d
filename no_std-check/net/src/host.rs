//! The host: where Ethernet, ARP, IPv4, ICMP and UDP meet.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::arp::{self, Known, Neighbours};
use crate::ethernet::{self, ETHERNET, EtherType, MacAddr};
use crate::icmp;
use crate::ipv4::{self, IPV4, Protocol};
use crate::udp::{self, UDP};
use crate::{MAX_PAYLOAD, MIN_FRAME, Micros, PAYLOAD};

/// What a host is told at its start.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The Ethernet address of the card.
    pub mac: MacAddr,
    /// Our address.
    pub ip: Ipv4Addr,
    /// How many bits of it are those of our link (0 to 32; 24 for a mask of 255.255.255.0).
    pub prefix: u8,
    /// Where to send what is for other links; without it, nothing is sent there.
    pub gateway: Option<Ipv4Addr>,
    /// The one UDP port that datagrams come from and arrive at.
    pub port: u16,
}

/// One host with one UDP socket.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    neighbours: Neighbours,
}

/// What a frame that has arrived means.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Incoming<'f> {
    /// A datagram for us.
    Datagram {
        /// Who has sent it.
        from: SocketAddrV4,
        /// What it says.
        payload: &'f [u8],
    },
    /// An answer to a question about this host, made in the same buffer: to be sent as it is.
    Answer(&'f [u8]),
    /// An address that [`Host::send`] waited for is known: call it again.
    Resolved,
    /// Somebody says that a datagram of ours to this address has found no listener. Unproven, as all of ICMP.
    Unreachable(SocketAddrV4),
    /// Nothing for us, or damaged.
    Nothing,
}

/// What is to be done with a datagram.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Outgoing<'f> {
    /// Send this frame.
    Frame(&'f [u8]),
    /// The Ethernet address of the next hop is unknown. Send `request`, if there is one (there is one a second at most),
    /// leave the datagram where it is, and call [`Host::send`] again after [`Incoming::Resolved`], or after a second.
    Waits {
        /// A frame that asks for it.
        request: Option<[u8; MIN_FRAME]>,
    },
    /// It cannot be sent: too long, to nobody in particular, to ourselves, or to another link without a gateway.
    Unroutable,
}

impl Host {
    /// A host that knows no neighbour yet.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings, neighbours: Neighbours::new() }
    }

    /// What the host was told at its start.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    fn same_link(&self, other: Ipv4Addr) -> bool {
        let bits = u32::from(self.settings.ip) ^ u32::from(other);
        // A shift by 32 or more leaves nothing: every address is on a link without a prefix, and only ours on one of 32.
        bits.checked_shr(32_u32.saturating_sub(self.settings.prefix.into())).unwrap_or(0) == 0
    }

    /// Whether `ip` names one host other than this one.
    fn is_somebody(&self, ip: Ipv4Addr) -> bool {
        let host_bits = u32::MAX.checked_shr(self.settings.prefix.into()).unwrap_or(0);
        let everybody_here = self.same_link(ip) && host_bits > 1 && u32::from(ip) & host_bits == host_bits;
        ip != self.settings.ip && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && !everybody_here
    }

    /// A frame has arrived. It may be changed: answers are made in it. (A frame that was cut to less than
    /// [`MIN_FRAME`] octets is not answered.)
    pub fn receive<'f>(&mut self, now: Micros, frame: &'f mut [u8]) -> Incoming<'f> {
        let Settings { mac, ip, .. } = self.settings;
        match ethernet::parse(frame) {
            Some((to, EtherType::Arp)) if to == mac || to == ethernet::BROADCAST => {
                match self.neighbours.receive(now, frame, mac, ip) {
                    arp::Heard::Answer => frame.get(..MIN_FRAME).map_or(Incoming::Nothing, Incoming::Answer),
                    arp::Heard::Resolved => Incoming::Resolved,
                    arp::Heard::Nothing => Incoming::Nothing,
                }
            }
            // Nothing that is sent to everybody is for the one socket there is.
            Some((to, EtherType::Ipv4)) if to == mac => self.packet(frame).unwrap_or(Incoming::Nothing),
            _ => Incoming::Nothing,
        }
    }

    fn packet<'f>(&self, frame: &'f mut [u8]) -> Option<Incoming<'f>> {
        let Settings { ip, port, .. } = self.settings;
        let header = ipv4::parse(frame.get(ETHERNET..)?)?;
        if header.to != ip || !self.is_somebody(header.from) {
            return None;
        }
        let (start, end) = (ETHERNET + header.header_len, ETHERNET + header.total_len);
        match header.protocol {
            Protocol::Udp => {
                let (source, destination, payload) = udp::parse(header.from, ip, frame.get(start..end)?)?;
                let from = SocketAddrV4::new(header.from, source);
                (destination == port).then_some(Incoming::Datagram { from, payload })
            }
            Protocol::Icmp => match icmp::receive(frame.get_mut(start..end)?, ip, port) {
                icmp::Heard::Nothing => None,
                icmp::Heard::Unreachable(to) => Some(Incoming::Unreachable(to)),
                icmp::Heard::Answer => self.turn_back(frame, header).map(Incoming::Answer),
            },
        }
    }

    /// Sends a packet whose payload has become an answer back to where it came from. Its options stay.
    fn turn_back<'f>(&self, frame: &'f mut [u8], header: ipv4::Header) -> Option<&'f [u8]> {
        // Swapping the addresses changes no sum.
        let packet = frame.get_mut(ETHERNET..)?.first_chunk_mut::<IPV4>()?;
        let [.., a, b, c, d, e, f, g, h] = packet;
        [*a, *b, *c, *d] = self.settings.ip.octets();
        [*e, *f, *g, *h] = header.from.octets();
        let (to, rest) = frame.split_first_chunk_mut::<6>()?;
        let from = rest.first_chunk_mut::<6>()?;
        (*to, *from) = (*from, self.settings.mac);
        frame.get(..(ETHERNET + header.total_len).max(MIN_FRAME))
    }

    /// A datagram is to be sent: its `len` octets lie in `frame` from [`PAYLOAD`] on. What is before
    /// them is overwritten. The same call may be made again for the same datagram, as long as the buffer is left alone.
    pub fn send<'f>(&mut self, now: Micros, to: SocketAddrV4, len: usize, frame: &'f mut [u8]) -> Outgoing<'f> {
        let Settings { mac, ip, gateway, port, .. } = self.settings;
        let hop = if self.same_link(*to.ip()) { Some(*to.ip()) } else { gateway };
        let Some(hop) = hop.filter(|hop| len <= MAX_PAYLOAD && self.is_somebody(*to.ip()) && self.is_somebody(*hop))
        else {
            return Outgoing::Unroutable;
        };
        match self.neighbours.look_up(now, hop, mac, ip) {
            Known::Ask(request) => Outgoing::Waits { request },
            Known::Here(hop) => {
                let from = SocketAddrV4::new(ip, port);
                address(frame, len, mac, hop, from, to).map_or(Outgoing::Unroutable, Outgoing::Frame)
            }
        }
    }
}

/// Writes the headers; `None` if `frame` is too short.
fn address(
    frame: &mut [u8],
    len: usize,
    mac: MacAddr,
    hop: MacAddr,
    from: SocketAddrV4,
    to: SocketAddrV4,
) -> Option<&[u8]> {
    let end = PAYLOAD + len;
    let udp = udp::header(from, to, frame.get(PAYLOAD..end)?);
    let ip = ipv4::header(*from.ip(), *to.ip(), Protocol::Udp, (UDP + len) as u16);
    ethernet::write(frame, &[&hop, &mac, &EtherType::Ipv4.octets(), &ip, &udp]);
    if let Some(padding) = frame.get_mut(end..MIN_FRAME) {
        padding.fill(0);
    }
    frame.get(..end.max(MIN_FRAME))
}
