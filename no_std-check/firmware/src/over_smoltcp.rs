//! The node over smoltcp: the same board with a network stack that many have already. The driver itself is
//! [`smoltcp_node`]; here is the card as smoltcp wants it.

use bare_udp::{MAX_FRAME, Settings};
use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::udp;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{EthernetAddress, IpCidr};
use smoltcp_node::Driver;
use static_cell::StaticCell;

use crate::core::{Instant, MAX_DATAGRAM, Node};
use crate::{Card, Network};

/// Room for one frame and one datagram in each direction.
#[derive(Debug)]
pub struct Buffers {
    frames: [[u8; MAX_FRAME]; 2],
    datagrams: [[u8; MAX_DATAGRAM]; 2],
}

impl Buffers {
    /// Nothing in them. All octets are zero: a `static` of it takes RAM, and no flash.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would invite copies of kilobytes; `new` is const")]
    pub const fn new() -> Self {
        Self { frames: [[0; MAX_FRAME]; 2], datagrams: [[0; MAX_DATAGRAM]; 2] }
    }
}

/// What smoltcp notes of one datagram in each direction, and of one socket. Not all zeros while it is empty, and so made
/// when the firmware starts.
#[derive(Debug)]
pub struct Notes {
    metadata: [[udp::PacketMetadata; 1]; 2],
    sockets: [SocketStorage<'static>; 1],
}

/// A card, and smoltcp behind it.
pub struct Smoltcp<C> {
    card: Frames<C>,
    driver: Driver<'static>,
    due: Option<Instant>,
}

impl<C: Card> Smoltcp<C> {
    /// The host of `settings` behind `card`, made in `cell`; `None` if there are no such addresses, or if there is
    /// something in the cells already.
    // Its own frame: it is made on the stack before it is moved where it stays.
    #[inline(never)]
    pub fn start(
        cell: &'static StaticCell<Self>,
        buffers: &'static mut Buffers,
        notes: &'static StaticCell<Notes>,
        mut card: C,
        settings: &Settings,
    ) -> Option<&'static mut Self> {
        let Buffers { frames: [incoming, outgoing], datagrams: [received, sent] } = buffers;
        let Notes { metadata: [about_received, about_sent], sockets } =
            notes.try_init(Notes { metadata: [[udp::PacketMetadata::EMPTY]; 2], sockets: [SocketStorage::EMPTY] })?;
        card.set_address(settings.mac);
        let mut card = Frames { card, incoming, outgoing };
        let mut interface =
            Interface::new(Config::new(EthernetAddress(settings.mac).into()), &mut card, Time::from_micros(0));
        let own = IpCidr::new(settings.ip.into(), settings.prefix);
        let mut fits = true;
        interface.update_ip_addrs(|addrs| fits = addrs.push(own).is_ok());
        if let Some(gateway) = settings.gateway {
            fits &= interface.routes_mut().add_default_ipv4_route(gateway).is_ok();
        }
        let mut socket = udp::Socket::new(
            udp::PacketBuffer::new(&mut about_received[..], &mut received[..]),
            udp::PacketBuffer::new(&mut about_sent[..], &mut sent[..]),
        );
        fits &= socket.bind(settings.port).is_ok();
        let driver = Driver::new(interface, SocketSet::new(&mut sockets[..]), socket);
        if fits { cell.try_init(Self { card, driver, due: Some(Instant::ZERO) }) } else { None }
    }
}

impl<C: Card> Network for Smoltcp<C> {
    fn wants_turn(&mut self, now: Instant) -> bool {
        self.card.card.waiting() || self.due.is_some_and(|at| at <= now)
    }

    fn turn(&mut self, now: Instant, node: &mut Node<'_>) {
        self.due = self.driver.turn(now, &mut self.card, node);
    }
}

/// The card with a frame in each direction, as smoltcp borrows them.
struct Frames<C> {
    card: C,
    incoming: &'static mut [u8; MAX_FRAME],
    outgoing: &'static mut [u8; MAX_FRAME],
}

/// A frame that has arrived.
struct Received<'d>(&'d [u8]);

/// A frame that is about to be sent.
struct Sending<'d, C> {
    card: &'d mut C,
    frame: &'d mut [u8; MAX_FRAME],
}

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl<C: Card> phy::TxToken for Sending<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        // smoltcp keeps to the capabilities below; what were longer would be cut.
        let len = len.min(MAX_FRAME);
        let result = write(self.frame.get_mut(..len).unwrap_or_default());
        // A card is given no less than the smallest frame.
        let padded = len.max(bare_udp::MIN_FRAME);
        if let Some(padding) = self.frame.get_mut(len..padded) {
            padding.fill(0);
        }
        self.card.send(self.frame.get(..padded).unwrap_or_default());
        result
    }
}

impl<C: Card> Device for Frames<C> {
    type RxToken<'d>
        = Received<'d>
    where
        C: 'd;
    type TxToken<'d>
        = Sending<'d, C>
    where
        C: 'd;

    fn receive(&mut self, _: Time) -> Option<(Received<'_>, Sending<'_, C>)> {
        let len = self.card.receive(self.incoming)?;
        let frame = self.incoming.get(..len)?;
        Some((Received(frame), Sending { card: &mut self.card, frame: self.outgoing }))
    }

    fn transmit(&mut self, _: Time) -> Option<Sending<'_, C>> {
        Some(Sending { card: &mut self.card, frame: self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}
