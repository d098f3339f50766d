//! Some of the hosts, and all that happens to them. Shards share nothing: what one host sends to a host of another shard
//! is handed over when both have come to the same time.

use std::net::SocketAddr;

use bep44_core::{Instant, MAX_DATAGRAM};

use super::host::Host;
use super::operation::{Ended, Operation, Running, Start};
use super::queue::{Event, Queue, What};
use super::report::{Packets, Stores, Violation};
use super::rogue::Treatment;
use super::scenario::Scenario;
use super::wire::{Lost, Wire, addr_of, host_at};

/// What all shards read.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) scenario: Scenario,
    pub(super) wire: Wire,
    /// How many shards there are.
    pub(super) shards: u32,
}

/// What has happened to an operation.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) at: u64,
    pub(super) host: u32,
    pub(super) operation: Operation,
    pub(super) result: Noted,
}

#[derive(Debug)]
pub(super) enum Noted {
    Ended(Box<Ended>),
    /// The node had no room for another query, or knew nobody.
    Busy(Box<Start>),
    /// The host left before it ended, or was gone before it began.
    Gone,
}

#[derive(Debug)]
pub(super) struct Shard {
    number: u32,
    /// Those whose number, divided by that of shards, leaves this shard's number.
    hosts: Vec<Option<Box<Host>>>,
    pub(super) queue: Queue,
    /// For other shards.
    pub(super) outgoing: Vec<Vec<Event>>,
    pub(super) notes: Vec<Note>,
    pub(super) violations: Vec<Violation>,
    pub(super) packets: Packets,
    pub(super) stores: Stores,
    /// Packets taken in and microseconds lived by hosts that are gone.
    pub(super) loads: Vec<(u64, u64)>,
    pub(super) events: u64,
    buf: Box<[u8; MAX_DATAGRAM]>,
}

impl Shard {
    pub(super) fn new(number: u32, shards: u32) -> Self {
        Self {
            number,
            hosts: Vec::new(),
            queue: Queue::new(),
            outgoing: (0..shards).map(|_| Vec::new()).collect(),
            notes: Vec::new(),
            violations: Vec::new(),
            packets: Packets::default(),
            stores: Stores::default(),
            loads: Vec::new(),
            events: 0,
            buf: Box::new([0; MAX_DATAGRAM]),
        }
    }

    pub(super) fn host(&self, slot: usize) -> Option<&Host> {
        self.hosts.get(slot)?.as_deref()
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().flatten().map(|host| &**host)
    }

    /// Does all that happens before `end`.
    pub(super) fn run(&mut self, setting: &Setting, end: u64) {
        while let Some(event) = self.queue.pop_before(end) {
            self.events += 1;
            self.happen(setting, event);
        }
    }

    fn happen(&mut self, setting: &Setting, event: Event) {
        let Event { at, to, what, .. } = event;
        if let What::Begin(known) = what {
            self.begin(setting, at, to, &known[..]);
            return;
        }
        let slot = (to / setting.shards) as usize;
        // Taken out for the time being, so that the host and the shard can be worked on side by side.
        let Some(mut host) = self.hosts.get_mut(slot).and_then(Option::take) else {
            match what {
                What::Packet(..) => self.packets.to_nobody += 1,
                What::Start(start) => self.note_gone(at, to, start.operation),
                _ => {}
            }
            return;
        };
        match what {
            What::Packet(from, datagram) => self.deliver(setting, at, &mut host, from, &datagram),
            What::Timer => {
                // One that was set for later, or was overtaken by an earlier one.
                if at < host.timer {
                    self.hosts[slot] = Some(host);
                    return;
                }
                host.timer = u64::MAX;
                host.node.handle_timeout(Instant::from_micros(at));
            }
            What::Start(start) => self.start(at, &mut host, start),
            What::End => {
                self.bury(at, &host);
                return;
            }
            What::Begin(_) => {}
        }
        self.turn(setting, at, &mut host);
        self.hosts[slot] = Some(host);
    }

    fn begin(&mut self, setting: &Setting, now: u64, number: u32, known: &[u32]) {
        let slot = (number / setting.shards) as usize;
        if self.hosts.len() <= slot {
            self.hosts.resize_with(slot + 1, || None);
        }
        let behind = setting.wire.is_behind_nat(number);
        let mut host = Box::new(Host::new(&setting.scenario, number, behind, now));
        for other in known.iter().filter(|other| **other != number) {
            // A node takes more than there are here.
            let _ = host.node.add_bootstrap(addr_of(*other));
        }
        self.turn(setting, now, &mut host);
        self.hosts[slot] = Some(host);
    }

    fn bury(&mut self, now: u64, host: &Host) {
        for running in &host.running {
            self.notes.push(Note { at: now, host: host.number, operation: running.operation, result: Noted::Gone });
        }
        self.loads.push((host.received, now - host.began));
    }

    fn note_gone(&mut self, at: u64, host: u32, operation: Operation) {
        self.notes.push(Note { at, host, operation, result: Noted::Gone });
    }

    /// Has a node begin an operation.
    fn start(&mut self, now: u64, host: &mut Host, start: Box<Start>) {
        match start.ask.start(&mut host.node, Instant::from_micros(now)) {
            Ok(handle) => host.running.push(Running::new(handle, start.operation, now)),
            Err(_) => {
                let (host, operation) = (host.number, start.operation);
                self.notes.push(Note { at: now, host, operation, result: Noted::Busy(start) });
            }
        }
    }

    fn deliver(&mut self, setting: &Setting, now: u64, host: &mut Host, from: u32, datagram: &[u8]) {
        let memory = setting.wire.nat_memory();
        if host.nat.as_ref().is_some_and(|nat| !nat.lets_in(now, from, memory)) {
            self.packets.nat += 1;
            return;
        }
        self.packets.arrived += 1;
        host.received += 1;
        let back = addr_of(from);
        let len = match host.role.treat(&host.node, datagram, &mut self.buf) {
            Treatment::TakeIn => {
                let now = Instant::from_micros(now);
                let answer = host.node.handle_datagram(now, back, datagram, &mut *self.buf);
                let len = answer.map(|answer| answer.datagram.len());
                len.and_then(|len| host.role.spoil(datagram, &mut self.buf, len, &mut host.random))
            }
            Treatment::Ignore => None,
            Treatment::Answer(len) => Some(len),
        };
        if let Some(len) = len {
            let datagram = self.buf[..len].into();
            self.send(setting, now, host, &back, datagram);
        }
    }

    /// A driver's turn: sends all that is due, takes note of all that has happened, and sets the timer.
    pub(super) fn turn(&mut self, setting: &Setting, now: u64, host: &mut Host) {
        let instant = Instant::from_micros(now);
        loop {
            while let Some(packet) = host.node.poll_transmit(instant, &mut *self.buf) {
                let (to, datagram) = (packet.to, packet.datagram.into());
                self.send(setting, now, host, &to, datagram);
            }
            if !host.note_events(now, &mut self.stores, &mut self.violations) {
                break;
            }
            self.note_ended(now, host);
        }
        let Some(due) = host.node.poll_timeout() else { return };
        // A node that is due still after its turn has nothing to do that it can: it would wake up for ever.
        let due = due.as_micros().max(now + 1);
        if due < host.timer {
            host.timer = due;
            let cause = host.cause();
            self.queue.push(Event { at: due, cause, to: host.number, what: What::Timer });
        }
    }

    fn note_ended(&mut self, now: u64, host: &mut Host) {
        let mut at = 0;
        while at < host.running.len() {
            if host.running[at].outcome.is_none() {
                at += 1;
                continue;
            }
            let running = host.running.swap_remove(at);
            let operation = running.operation;
            if let Some(ended) = running.end(now) {
                let result = Noted::Ended(Box::new(ended));
                self.notes.push(Note { at: now, host: host.number, operation, result });
            }
        }
    }

    fn send(&mut self, setting: &Setting, now: u64, host: &mut Host, to: &SocketAddr, datagram: Box<[u8]>) {
        self.packets.sent += 1;
        self.packets.octets += datagram.len() as u64;
        let Some(to) = host_at(to) else {
            self.packets.to_nobody += 1;
            return;
        };
        if let Some(nat) = &mut host.nat {
            nat.open(now, to, setting.wire.nat_memory());
        }
        match setting.wire.send(now, host.number, to, &mut host.random) {
            Err(Lost::Loss) => self.packets.lost += 1,
            Err(Lost::OneWay) => self.packets.one_way += 1,
            Err(Lost::Partition) => self.packets.partition += 1,
            Ok((delay, again)) => {
                if let Some(delay) = again {
                    self.packets.doubled += 1;
                    self.carry(setting, now + delay, host, to, datagram.clone());
                }
                self.carry(setting, now + delay, host, to, datagram);
            }
        }
    }

    fn carry(&mut self, setting: &Setting, at: u64, host: &mut Host, to: u32, datagram: Box<[u8]>) {
        let event = Event { at, cause: host.cause(), to, what: What::Packet(host.number, datagram) };
        let shard = to % setting.shards;
        if shard == self.number {
            self.queue.push(event);
        } else {
            self.outgoing[shard as usize].push(event);
        }
    }

    /// Works on a host from outside, and gives it its turn.
    pub(super) fn work_on<T>(
        &mut self,
        setting: &Setting,
        now: u64,
        slot: usize,
        work: impl FnOnce(&mut Host) -> T,
    ) -> Option<T> {
        let mut host = self.hosts.get_mut(slot).and_then(Option::take)?;
        let done = work(&mut host);
        self.turn(setting, now, &mut host);
        self.hosts[slot] = Some(host);
        Some(done)
    }
}
