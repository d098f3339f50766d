use bep44_core::item::{Item, MutableItem};
use bep44_core::{Config, Event, Instant, MAX_DATAGRAM, Node, SecretKey, TinyMemory};
use smoltcp::iface::{self, Interface, SocketSet, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
use smoltcp_node::Driver;

/// What a board has to have: a network card that smoltcp can use, a clock, and randomness.
pub trait Board: Device {
    fn now(&mut self) -> Instant;
    fn random(&mut self) -> [u8; 32];
    /// Sleeps until a frame arrives, or until `due`. False: that was all.
    fn sleep(&mut self, due: Option<Instant>) -> bool;
    fn tell(&mut self, event: &Event<'_>);
}

/// Joins through the node at `known`, serves whoever asks, and publishes `value` under the key of `secret`.
pub fn run(
    board: &mut impl Board,
    memory: &mut TinyMemory,
    ip: u8,
    known: Ipv4Address,
    secret: &SecretKey,
    value: &[u8],
) {
    // The network, as in any program with smoltcp.
    let mac = EthernetAddress([0x02, 0, 0, 0, 0, ip]);
    let mut interface = Interface::new(iface::Config::new(mac.into()), board, smoltcp::time::Instant::ZERO);
    let own = IpCidr::new(Ipv4Address::new(192, 168, 0, ip).into(), 24);
    interface.update_ip_addrs(|addrs| addrs.push(own).expect("there is room for one address"));
    let (mut came, mut goes) = ([PacketMetadata::EMPTY], [PacketMetadata::EMPTY]);
    let (mut incoming, mut outgoing) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
    let (receive, send) =
        (PacketBuffer::new(&mut came[..], &mut incoming[..]), PacketBuffer::new(&mut goes[..], &mut outgoing[..]));
    let mut socket = Socket::new(receive, send);
    socket.bind(6_881).expect("a port, and the first time");
    let mut sockets = [SocketStorage::EMPTY];
    let mut driver = Driver::new(interface, SocketSet::new(&mut sockets[..]), socket);

    // The node, and what it publishes: put as soon as it knows somebody, and then every hour.
    let mut node = Node::new(memory, &Config::new(board.random()), board.now());
    node.add_bootstrap((known, 6_881).into()).expect("an address that can be sent to");
    let item = MutableItem::sign(secret, b"", 1, value).expect("bencoded, and 1,000 octets at most");
    node.keep(board.now(), &Item::Mutable(item)).expect("there is memory for it");
    loop {
        let due = driver.turn(board.now(), board, &mut node);
        while let Some(event) = node.poll_event() {
            board.tell(&event);
        }
        if !board.sleep(due) {
            return;
        }
    }
}
