//! IPv4 (RFC 791) without fragments: what is sent has no options and says that it must not be cut; what arrives in
//! pieces is dropped.

use core::net::Ipv4Addr;

use crate::checksum::Checksum;

/// Octets of a header without options.
pub(crate) const IPV4: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Icmp,
    Udp,
}

impl Protocol {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Udp => 17,
        }
    }
}

/// A header that was found right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    pub(crate) protocol: Protocol,
    /// Octets of header and options.
    pub(crate) header_len: usize,
    /// Octets of header, options and payload.
    pub(crate) total_len: usize,
}

/// Reads the header at the start of `packet`; `None` if it is damaged, a fragment, or of a protocol that we do not speak.
/// `packet` may be longer than it says, as short frames are padded.
pub(crate) fn parse(packet: &[u8]) -> Option<Header> {
    let header = quoted(packet)?;
    let options = packet.get(..header.header_len)?;
    let whole = header.total_len >= header.header_len && header.total_len <= packet.len();
    (whole && Checksum::default().add(options).finish() == 0).then_some(header)
}

/// The same for a packet of which only a beginning is there, as in an ICMP error.
pub(crate) fn quoted(packet: &[u8]) -> Option<Header> {
    let [version, _, l0, l1, _, _, f0, f1, _, protocol, _, _, from @ .., t0, t1, t2, t3] =
        packet.first_chunk::<IPV4>()?;
    let [a, b, c, d] = *from;
    let header_len = usize::from(version & 0x0f) * 4;
    // The flag "more fragments", and the offset.
    let fragment = u16::from_be_bytes([*f0, *f1]) & 0x3fff != 0;
    if version >> 4 != 4 || header_len < IPV4 || fragment {
        return None;
    }
    Some(Header {
        from: Ipv4Addr::new(a, b, c, d),
        to: Ipv4Addr::new(*t0, *t1, *t2, *t3),
        protocol: [Protocol::Icmp, Protocol::Udp].into_iter().find(|known| known.number() == *protocol)?,
        header_len,
        total_len: u16::from_be_bytes([*l0, *l1]).into(),
    })
}

/// The header of a packet with `len` octets of payload.
pub(crate) fn header(from: Ipv4Addr, to: Ipv4Addr, protocol: Protocol, len: u16) -> [u8; IPV4] {
    let [l0, l1] = len.wrapping_add(IPV4 as u16).to_be_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (from.octets(), to.octets());
    // No identification is needed for what is never cut (RFC 6864). 64 hops, as RFC 1700 says.
    let mut header = [0x45, 0, l0, l1, 0, 0, 0x40, 0, 64, protocol.number(), 0, 0, a, b, c, d, e, f, g, h];
    [header[10], header[11]] = Checksum::default().add(&header).finish().to_be_bytes();
    header
}
