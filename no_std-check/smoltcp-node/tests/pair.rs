//! Two nodes, each over a smoltcp interface of its own, on one wire: in virtual time, and frame by frame as on a board.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bep44_core::item::{Item, MutableItem};
use bep44_core::{Config, Event, Instant, MAX_DATAGRAM, Node, SecretKey, TinyMemory};
use smoltcp::iface::{self, Interface, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::udp;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
use smoltcp_node::Driver;

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a wire.
struct Wire {
    incoming: Queue,
    outgoing: Queue,
    sent: Rc<RefCell<usize>>,
}

struct Received(Vec<u8>);
struct Sending<'d>(&'d Wire);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        *self.0.sent.borrow_mut() += 1;
        self.0.outgoing.borrow_mut().push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'d> = Received;
    type TxToken<'d> = Sending<'d>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.incoming.borrow_mut().pop_front()?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        ethernet()
    }
}

fn ethernet() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = 1_514;
    capabilities
}

/// A board: its wire, its network stack, its node.
struct Board {
    wire: Wire,
    driver: Driver<'static>,
    node: Node<'static>,
    due: Option<Instant>,
}

impl Board {
    fn new(number: u8, wire: Wire) -> Self {
        let mut wire = wire;
        let mac = EthernetAddress([2, 0, 0, 0, 0, number]);
        let mut interface =
            Interface::new(iface::Config::new(mac.into()), &mut wire, smoltcp::time::Instant::from_micros(0));
        interface.update_ip_addrs(|addrs| {
            addrs.push(IpCidr::new(Ipv4Address::new(192, 168, 0, number).into(), 24)).unwrap();
        });
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY], vec![0; MAX_DATAGRAM]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(6_881).unwrap();
        let memory = Box::leak(Box::new(TinyMemory::new()));
        Self {
            wire,
            driver: Driver::new(interface, SocketSet::new(vec![]), socket),
            node: Node::new(memory, &Config::new([number; 32]), Instant::ZERO),
            due: Some(Instant::ZERO),
        }
    }

    fn turn(&mut self, now: Instant) {
        self.due = self.driver.turn(now, &mut self.wire, &mut self.node);
    }
}

/// Runs both until neither has anything to do before `end`, or `done` says that it is enough.
fn run(
    boards: &mut [Board; 2],
    mut now: Instant,
    end: Instant,
    mut done: impl FnMut(&mut [Board; 2]) -> bool,
) -> Instant {
    for board in &mut *boards {
        board.turn(now);
    }
    loop {
        for board in &mut *boards {
            if !board.wire.incoming.borrow().is_empty() || board.due.is_some_and(|at| at <= now) {
                board.turn(now);
            }
        }
        if done(boards) {
            return now;
        }
        if boards.iter().all(|board| board.wire.incoming.borrow().is_empty()) {
            let next = boards.iter().filter_map(|board| board.due).min().unwrap_or(end);
            if next >= end {
                return end;
            }
            now = now.max(next) + std::time::Duration::from_micros(1);
        }
    }
}

fn boards() -> [Board; 2] {
    let (one, two, sent) = (Queue::default(), Queue::default(), Rc::default());
    let wire = |incoming: &Queue, outgoing: &Queue| Wire {
        incoming: Rc::clone(incoming),
        outgoing: Rc::clone(outgoing),
        sent: Rc::clone(&sent),
    };
    [Board::new(1, wire(&one, &two)), Board::new(2, wire(&two, &one))]
}

#[test]
fn two_boards_find_each_other_and_one_stores_what_the_other_puts() {
    let mut boards = boards();
    boards[0].node.add_bootstrap("192.168.0.2:6881".parse().unwrap()).unwrap();
    let end = Instant::from_secs(60);
    boards[0].node.bootstrap(Instant::ZERO).unwrap();
    let now =
        run(&mut boards, Instant::ZERO, end, |boards| boards.iter().all(|board| board.node.contacts().count() == 1));
    assert!(now < end, "they have not found each other");

    // The longest item there is, so that its datagrams are.
    let secret = SecretKey::from_seed([9; 32]).unwrap();
    let value = [b"996:".as_slice(), &[b'x'; 996]].concat();
    let item = Item::Mutable(MutableItem::sign(&secret, b"salt", 1, &value).unwrap());
    let query = boards[0].node.put(now, &item, None).unwrap();
    let mut accepted = 0;
    let now = run(&mut boards, now, end, |boards| {
        while let Some(event) = boards[0].node.poll_event() {
            if let Event::Ended { query: of, outcome } = event
                && of == query
            {
                accepted = outcome.accepted;
            }
        }
        accepted > 0
    });
    assert!(now < end, "it is not stored");
    assert_eq!(boards[1].node.items().next().unwrap().item, item);

    let query = boards[0].node.get_mutable(now, &secret.public_key(), b"salt", None).unwrap();
    let mut found = None;
    let now = run(&mut boards, now, end, |boards| {
        while let Some(event) = boards[0].node.poll_event() {
            match event {
                Event::Found { query: of, item } if of == query => found = Some(item.value().to_vec()),
                Event::Ended { query: of, .. } if of == query => return true,
                _ => {}
            }
        }
        false
    });
    assert!(now < end, "the search has not ended");
    assert_eq!(found, Some(value));
}

#[test]
fn a_neighbour_that_is_not_there_blocks_nobody_for_long() {
    let mut boards = boards();
    boards[0].node.ping(Instant::ZERO, "192.168.0.77:6881".parse().unwrap()).unwrap();
    let end = Instant::from_secs(20);
    boards[0].turn(Instant::ZERO);
    let asked = boards[0].node.ping(Instant::ZERO, "192.168.0.2:6881".parse().unwrap()).unwrap();
    let mut answered = false;
    let now = run(&mut boards, Instant::ZERO, end, |boards| {
        while let Some(event) = boards[0].node.poll_event() {
            answered |= matches!(event, Event::Answered { query, .. } if query == asked);
        }
        answered
    });
    assert!(answered && now < Instant::from_secs(5), "answered: {answered}, at {now:?}");
    let frames = *boards[0].wire.sent.borrow();
    assert!(frames < 40, "{frames} frames");
}

#[test]
fn a_burst_is_answered_one_by_one() {
    let mut boards = boards();
    boards[0].node.add_bootstrap("192.168.0.2:6881".parse().unwrap()).unwrap();
    boards[0].node.bootstrap(Instant::ZERO).unwrap();
    let now = run(&mut boards, Instant::ZERO, Instant::from_secs(5), |boards| boards[1].node.contacts().count() == 1);
    // The same question sixty-four times over, before the second board has looked once.
    boards[0].node.ping(now, "192.168.0.2:6881".parse().unwrap()).unwrap();
    boards[0].turn(now);
    let frame = boards[1].wire.incoming.borrow().back().unwrap().clone();
    for _ in 1..64 {
        boards[1].wire.incoming.borrow_mut().push_back(frame.clone());
    }
    let before = boards[1].node.stats().served;
    run(&mut boards, now, now + std::time::Duration::from_millis(1), |_| false);
    assert_eq!(boards[1].node.stats().served - before, 64);
}

/// The program of the README, on two boards in real time: one publishes, the other stores it.
mod program {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
    use std::time::Duration;

    use super::*;

    // It is shown in the README as it is, and so uses the words of a program, not of a module.
    #[expect(unreachable_pub, reason = "a program's words")]
    mod run {
        include!("../src/run.rs");
    }

    struct Board {
        number: u8,
        start: std::time::Instant,
        incoming: Receiver<Vec<u8>>,
        waiting: VecDeque<Vec<u8>>,
        outgoing: Sender<Vec<u8>>,
        told: Sender<String>,
        /// Disconnected when it is enough.
        end: Receiver<()>,
    }

    struct Send<'d>(&'d Sender<Vec<u8>>);

    impl phy::TxToken for Send<'_> {
        fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
            let mut frame = vec![0; len];
            let result = write(&mut frame);
            // Nobody hears it who has ended.
            let _ = self.0.send(frame);
            result
        }
    }

    impl Device for Board {
        type RxToken<'d> = Received;
        type TxToken<'d> = Send<'d>;

        fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Send<'_>)> {
            let frame = self.waiting.pop_front().or_else(|| self.incoming.try_recv().ok())?;
            Some((Received(frame), Send(&self.outgoing)))
        }

        fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Send<'_>> {
            Some(Send(&self.outgoing))
        }

        fn capabilities(&self) -> DeviceCapabilities {
            ethernet()
        }
    }

    impl run::Board for Board {
        fn now(&mut self) -> Instant {
            Instant::from_micros(self.start.elapsed().as_micros() as u64)
        }

        fn random(&mut self) -> [u8; 32] {
            [self.number; 32]
        }

        fn sleep(&mut self, due: Option<Instant>) -> bool {
            let now = self.now();
            let longest = Duration::from_millis(50);
            match self.incoming.recv_timeout(due.map_or(longest, |due| due.since(now).min(longest))) {
                Ok(frame) => self.waiting.push_back(frame),
                Err(RecvTimeoutError::Timeout) => {}
                // The other has ended: only the clock goes on.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
            }
            matches!(self.end.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
        }

        fn tell(&mut self, event: &Event<'_>) {
            let _ = self.told.send(format!("{event:?}"));
        }
    }

    #[test]
    fn the_program_of_the_readme_publishes_on_another_board() {
        let ((to_one, one), (to_two, two)) = (channel(), channel());
        let mut ends = Vec::new();
        let boards = [(1, one, to_two), (2, two, to_one)].map(|(number, incoming, outgoing)| {
            let ((told, hears), (end, ending)) = (channel(), channel());
            ends.push(end);
            let mut board = Board {
                number,
                start: std::time::Instant::now(),
                incoming,
                waiting: VecDeque::new(),
                outgoing,
                told,
                end: ending,
            };
            let thread = std::thread::spawn(move || {
                let secret = SecretKey::from_seed([number; 32]).unwrap();
                let known = Ipv4Address::new(192, 168, 0, 3 - number);
                run::run(&mut board, &mut TinyMemory::new(), number, known, &secret, b"7:reading");
            });
            (thread, hears)
        });
        for (_, hears) in &boards {
            let mut stored = 0;
            // Its own, which it keeps, and the other's.
            while stored < 2 {
                let event = hears.recv_timeout(Duration::from_secs(20)).expect("both items are stored on both boards");
                stored += usize::from(event.starts_with("ItemStored"));
            }
        }
        drop(ends);
        for (thread, _) in boards {
            thread.join().unwrap();
        }
    }

    #[test]
    fn the_readme_shows_this_program() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(include_str!("../src/run.rs")), "the README's program is not src/run.rs");
    }
}
