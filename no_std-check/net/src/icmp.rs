//! ICMP (RFC 792), of which two things matter: an echo is answered, and a closed port is told.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::checksum::Checksum;
use crate::ipv4::{self, Protocol};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;

/// The codes of "unreachable" that mean: nobody listens there, and waiting does not help (RFC 1122, 4.1.3.3 and 4.2.3.9).
const PROTOCOL_OR_PORT: [u8; 2] = [2, 3];

pub(crate) enum Heard {
    Nothing,
    /// The message has become the answer.
    Answer,
    /// A datagram of ours to this address has found nobody.
    Unreachable(SocketAddrV4),
}

/// Reads `message`, which came to `own_ip`; `port` is the one that our datagrams come from.
pub(crate) fn receive(message: &mut [u8], own_ip: Ipv4Addr, port: u16) -> Heard {
    if Checksum::default().add(message).finish() != 0 {
        return Heard::Nothing;
    }
    match message {
        [kind @ ECHO, 0, sum_high, sum_low, ..] => {
            *kind = ECHO_REPLY;
            // The word with the kind is smaller by this much, and so the sum is greater (RFC 1624).
            let sum =
                Checksum::default().word(!u16::from_be_bytes([*sum_high, *sum_low])).word(!(u16::from(ECHO) << 8));
            [*sum_high, *sum_low] = sum.finish().to_be_bytes();
            Heard::Answer
        }
        [UNREACHABLE, code, _, _, _, _, _, _, quote @ ..] if PROTOCOL_OR_PORT.contains(code) => {
            lost(quote, own_ip, port).map_or(Heard::Nothing, Heard::Unreachable)
        }
        _ => Heard::Nothing,
    }
}

/// Where the quoted datagram was sent, if it is one of ours.
fn lost(quote: &[u8], own_ip: Ipv4Addr, port: u16) -> Option<SocketAddrV4> {
    let header = ipv4::quoted(quote)?;
    let [s0, s1, d0, d1] = *quote.get(header.header_len..)?.first_chunk::<4>()?;
    let ours = header.protocol == Protocol::Udp && header.from == own_ip && u16::from_be_bytes([s0, s1]) == port;
    ours.then(|| SocketAddrV4::new(header.to, u16::from_be_bytes([d0, d1])))
}
