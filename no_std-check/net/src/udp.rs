//! UDP (RFC 768).

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::checksum::Checksum;
use crate::ipv4::Protocol;

/// Octets of the header.
pub(crate) const UDP: usize = 8;

/// What is summed before the datagram itself.
fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, len: u16) -> Checksum {
    Checksum::default().add(&from.octets()).add(&to.octets()).word(Protocol::Udp.number().into()).word(len)
}

/// Reads a datagram: its ports and its payload. `None` if it is cut short or damaged.
pub(crate) fn parse(from: Ipv4Addr, to: Ipv4Addr, datagram: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (header, _) = datagram.split_first_chunk::<UDP>()?;
    let [s0, s1, d0, d1, l0, l1, c0, c1] = *header;
    let len = u16::from_be_bytes([l0, l1]);
    let datagram = datagram.get(..len.into())?;
    // A sum of zero means that there is none.
    if [c0, c1] != [0, 0] && pseudo_header(from, to, len).add(datagram).finish() != 0 {
        return None;
    }
    Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]), datagram.get(UDP..)?))
}

/// The header before `payload`, whose length and the header's fit into 16 bits.
pub(crate) fn header(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> [u8; UDP] {
    let len = (payload.len() as u16).wrapping_add(UDP as u16);
    let ([s0, s1], [d0, d1], [l0, l1]) = (from.port().to_be_bytes(), to.port().to_be_bytes(), len.to_be_bytes());
    let mut header = [s0, s1, d0, d1, l0, l1, 0, 0];
    let sum = pseudo_header(*from.ip(), *to.ip(), len).add(&header).add(payload).finish();
    // Zero would mean that there is no sum; its other form sums to the same.
    [header[6], header[7]] = if sum == 0 { [0xff; 2] } else { sum.to_be_bytes() };
    header
}
