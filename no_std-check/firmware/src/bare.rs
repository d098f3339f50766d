//! The node over [`bare_udp`]: the driver of a board that has no network stack yet.

use core::net::{SocketAddr, SocketAddrV4};

use bare_udp::{Host, Incoming, MAX_FRAME, Outgoing, PAYLOAD, Settings};
use static_cell::StaticCell;

use crate::core::{Instant, MAX_DATAGRAM, Node};
use crate::{Card, Network};

/// Frames that are taken in one turn, so that a flood of them does not keep the board from all else.
const FRAMES: usize = 32;

/// The time between two questions for the next hop of a datagram that waits, in microseconds.
const AGAIN: u64 = 1_000_000;

/// How long a datagram waits for its next hop, in microseconds: then it is lost, and those behind it go on.
const PATIENCE: u64 = 3_000_000;

/// A card, a host behind it, and one frame in each direction.
#[derive(Debug)]
pub struct Bare<C> {
    card: C,
    host: Host,
    incoming: [u8; MAX_FRAME],
    outgoing: [u8; PAYLOAD + MAX_DATAGRAM],
    held: Option<Held>,
}

/// A datagram in `outgoing` that could not be sent yet.
#[derive(Debug, Clone, Copy)]
struct Held {
    to: SocketAddrV4,
    len: usize,
    /// When it is tried again, and when it is given up.
    next: u64,
    end: u64,
}

impl<C: Card> Bare<C> {
    /// The host of `settings` behind `card`, made in `cell`; `None` if there is one in it already.
    // Its own frame: it is made on the stack before it is moved where it stays.
    #[inline(never)]
    pub fn start(cell: &'static StaticCell<Self>, mut card: C, settings: Settings) -> Option<&'static mut Self> {
        card.set_address(settings.mac);
        cell.try_init_with(|| Self {
            card,
            host: Host::new(settings),
            incoming: [0; MAX_FRAME],
            outgoing: [0; PAYLOAD + MAX_DATAGRAM],
            held: None,
        })
    }

    /// Sends the datagram that lies in `outgoing`, or holds it until its next hop is known, but not past `end`.
    fn send(&mut self, now: u64, to: SocketAddr, len: usize, end: u64) {
        let SocketAddr::V4(to) = to else { return };
        self.held = None;
        match self.host.send(now, to, len, &mut self.outgoing) {
            Outgoing::Frame(frame) => self.card.send(frame),
            Outgoing::Waits { .. } if now >= end => {}
            Outgoing::Waits { request } => {
                if let Some(request) = request {
                    self.card.send(&request);
                }
                self.held = Some(Held { to, len, next: now + AGAIN, end });
            }
            Outgoing::Unroutable => {}
        }
    }

    fn send_held(&mut self, now: u64) {
        if let Some(Held { to, len, end, .. }) = self.held {
            self.send(now, to.into(), len, end);
        }
    }

    fn receive(&mut self, now: Instant, len: usize, node: &mut Node<'_>) {
        let micros = now.as_micros();
        let Some(frame) = self.incoming.get_mut(..len) else { return };
        match self.host.receive(micros, frame) {
            Incoming::Datagram { from, payload } => {
                let Some(room) = self.outgoing.get_mut(PAYLOAD..) else { return };
                // One frame only waits: the answer to a stranger takes its place. (What we ask is asked again.)
                self.held = None;
                let answer = node.handle_datagram(now, from.into(), payload, room);
                if let Some((to, len)) = answer.map(|answer| (answer.to, answer.datagram.len())) {
                    self.send(micros, to, len, micros + PATIENCE);
                }
            }
            Incoming::Answer(frame) => self.card.send(frame),
            Incoming::Resolved => self.send_held(micros),
            Incoming::Unreachable(to) => node.handle_unreachable(now, to.into()),
            Incoming::Nothing => {}
        }
    }
}

impl<C: Card> Network for Bare<C> {
    fn wants_turn(&mut self, now: Instant) -> bool {
        self.card.waiting() || self.held.is_some_and(|held| held.next <= now.as_micros())
    }

    fn turn(&mut self, now: Instant, node: &mut Node<'_>) {
        let micros = now.as_micros();
        for _ in 0..FRAMES {
            let Some(len) = self.card.receive(&mut self.incoming) else { break };
            self.receive(now, len, node);
        }
        if self.held.is_some_and(|held| held.next <= micros) {
            self.send_held(micros);
        }
        // What is not fetched yet is a question that is not asked yet: nothing is lost while one waits.
        while self.held.is_none()
            && let Some(room) = self.outgoing.get_mut(PAYLOAD..)
            && let Some((to, len)) = node.poll_transmit(now, room).map(|packet| (packet.to, packet.datagram.len()))
        {
            self.send(micros, to, len, micros + PATIENCE);
        }
    }
}
