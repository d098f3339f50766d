//! UDP over IPv4 over Ethernet for a host with one socket: ARP, answers to echo requests, no fragments; no allocation, no
//! unsafe code, no reachable panic, and no clock, queue or driver of its own.
//!
//! A frame that has arrived goes into [`Host::receive`], a datagram that is to be sent into [`Host::send`], each in the
//! buffer in which it lies: nothing is copied. The network card is whatever moves frames.
//!
//! ```
//! use bare_udp::{Host, Incoming, Outgoing, PAYLOAD, Settings};
//! use core::net::{Ipv4Addr, SocketAddrV4};
//!
//! let mut host = Host::new(Settings {
//!     mac: [2, 0, 0, 0, 0, 1],
//!     ip: Ipv4Addr::new(10, 0, 2, 15),
//!     prefix: 24,
//!     gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
//!     port: 6_881,
//! });
//! let (now, mut frame) = (0, [0; bare_udp::MAX_FRAME]);
//! // The payload lies where it will be sent from.
//! frame[PAYLOAD..PAYLOAD + 5].copy_from_slice(b"hello");
//! match host.send(now, SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 6_881), 5, &mut frame) {
//!     Outgoing::Frame(frame) => unreachable!("nothing is known of the gateway yet: {frame:?}"),
//!     // Sent as it is; when `receive` has said `Resolved`, the datagram is sent with the same call again.
//!     Outgoing::Waits { request } => assert_eq!(request.unwrap()[..6], [0xff; 6]),
//!     Outgoing::Unroutable => unreachable!("there is a gateway"),
//! }
//! # let mut frame = [0; 60];
//! match host.receive(now, &mut frame) {
//!     Incoming::Datagram { from, payload } => println!("{payload:?} from {from}"),
//!     Incoming::Answer(frame) => println!("to be sent: {frame:?}"),
//!     Incoming::Resolved | Incoming::Unreachable(_) | Incoming::Nothing => {}
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

mod arp;
mod checksum;
mod ethernet;
mod host;
mod icmp;
mod ipv4;
mod udp;

pub use ethernet::MacAddr;
pub use host::{Host, Incoming, Outgoing, Settings};

/// Microseconds since any moment, as long as it stays the same and they never run backwards.
pub type Micros = u64;

/// Octets of the largest frame: header and 1,500 octets, without the check sequence that the card adds.
pub const MAX_FRAME: usize = 1_514;

/// Octets of the smallest frame without the check sequence; what is shorter is filled up with zeros.
pub const MIN_FRAME: usize = 60;

/// Where in a frame the payload of a datagram lies that is to be sent.
pub const PAYLOAD: usize = ethernet::ETHERNET + ipv4::IPV4 + udp::UDP;

/// Octets of the longest datagram that can be sent.
pub const MAX_PAYLOAD: usize = MAX_FRAME - PAYLOAD;
