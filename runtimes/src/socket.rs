//! The UDP sockets of a node: one for each family that it is in.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Octets that the system keeps for datagrams that wait to be read: answers to several walks at once come in bursts.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Octets of the largest datagram that is read whole. BEP 32 asks for 1,024; nobody sends more than one Ethernet frame.
pub(crate) const INCOMING: usize = 2_048;

/// Datagrams or commands taken in before others have their turn: our own packets, and those who wait for answers.
pub(crate) const BATCH: usize = 64;

/// A socket bound to `addr` that never blocks. One for IPv6 takes no IPv4 datagrams (BEP 32: the two networks are apart,
/// and a mapped address must never be told to others).
pub(crate) fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A wish: the system may grant less, and a node works with less.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// The one of `sockets`, whose addresses are `addrs`, that can send to `to`.
pub(crate) fn of_family<'s, S>(addrs: &[SocketAddr], sockets: &'s [S], to: SocketAddr) -> Option<&'s S> {
    let number = addrs.iter().position(|own| own.is_ipv4() == to.is_ipv4())?;
    sockets.get(number)
}

/// What to make of an error on sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendFailure {
    /// No packet reaches this address: the node is told, and need not wait for an answer.
    Unreachable,
    /// The packet is lost, as packets may be. (A full buffer; the echo of an earlier packet to a closed port.)
    Lost,
}

pub(crate) fn send_failure(error: &io::Error) -> SendFailure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NetworkUnreachable
        | Kind::HostUnreachable
        | Kind::AddrNotAvailable
        | Kind::InvalidInput
        | Kind::PermissionDenied => SendFailure::Unreachable,
        _ => SendFailure::Lost,
    }
}

/// Sends now or not at all.
pub(crate) fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) -> Result<(), SendFailure> {
    socket.send_to(datagram, to).map(drop).map_err(|error| send_failure(&error))
}
