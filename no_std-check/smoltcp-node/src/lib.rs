//! A node of the DHT on a board that has [`smoltcp`]: the whole driver.
//!
//! Call [`Driver::turn`] whenever a frame has arrived, and at the moment that it returned. `run.rs` beside this file is a
//! program around it, which `../README.md` shows; `tests/pair.rs` runs two boards of both against each other.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use core::net::SocketAddr;
use core::time::Duration;

use bep44_core::{Instant, MAX_DATAGRAM, Node};
use smoltcp::iface::{Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::udp;

/// Frames that are taken in one turn, so that a flood of them does not keep the board from all else.
const FRAMES: usize = 32;

/// How long a datagram may wait for its neighbour. smoltcp alone would wait for ever, and all others behind it.
const PATIENCE: Duration = Duration::from_secs(3);

/// An interface, a UDP socket in it that is the node's, and room for one datagram.
pub struct Driver<'a> {
    interface: Interface,
    sockets: SocketSet<'a>,
    socket: SocketHandle,
    buffer: [u8; MAX_DATAGRAM],
    /// Since when a datagram has waited.
    blocked: Option<Instant>,
}

impl<'a> Driver<'a> {
    /// The node's `socket`, bound to a port, is `sockets`' new member. Room for one datagram of [`MAX_DATAGRAM`] octets
    /// in each direction is enough.
    pub fn new(interface: Interface, mut sockets: SocketSet<'a>, socket: udp::Socket<'a>) -> Self {
        let socket = sockets.add(socket);
        Self { interface, sockets, socket, buffer: [0; MAX_DATAGRAM], blocked: None }
    }

    /// One turn: tells `node` of all that has arrived, and sends all that it has to send. The moment of the next turn, if
    /// no frame arrives before.
    pub fn turn(&mut self, now: Instant, device: &mut impl Device, node: &mut Node<'_>) -> Option<Instant> {
        let Self { interface, sockets, socket, buffer, .. } = self;
        let time = smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        // One frame, then its answer: more would have to wait in a larger buffer.
        for _ in 0..FRAMES {
            let arrived = interface.poll_ingress_single(time, device, sockets);
            let udp = sockets.get_mut::<udp::Socket<'_>>(*socket);
            if let Ok((datagram, about)) = udp.recv() {
                let from = SocketAddr::new(about.endpoint.addr.into(), about.endpoint.port);
                if let Some(answer) = node.handle_datagram(now, from, datagram, buffer) {
                    // No room while another one waits: then it is lost, as any datagram may be.
                    let _ = udp.send_slice(answer.datagram, about.endpoint);
                }
                interface.poll_egress(time, device, sockets);
            } else if arrived == PollIngressSingleResult::None {
                break;
            }
        }
        // What is not fetched yet is a question that is not asked yet: nothing is lost while one waits.
        loop {
            interface.poll_egress(time, device, sockets);
            let udp = sockets.get_mut::<udp::Socket<'_>>(*socket);
            if udp.send_queue() > 0 {
                let since = *self.blocked.get_or_insert(now);
                if now.since(since) >= PATIENCE {
                    // Empties the queue.
                    let endpoint = udp.endpoint();
                    udp.close();
                    let _ = udp.bind(endpoint);
                    self.blocked = None;
                    continue;
                }
                break;
            }
            self.blocked = None;
            let Some(question) = node.poll_transmit(now, buffer) else { break };
            if let SocketAddr::V4(to) = question.to {
                let _ = udp.send_slice(question.datagram, to);
            }
        }
        let network = interface.poll_at(time, sockets).and_then(|at| u64::try_from(at.total_micros()).ok());
        [network.map(Instant::from_micros), node.poll_timeout()].into_iter().flatten().min()
    }
}
