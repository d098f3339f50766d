//! A network of nodes in virtual time, from one seed: latency, loss, and nodes that die. What the wire does to a packet
//! is drawn from the seed alone, so that a failure is repeated by its seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bep44_core::time::Duration;
use bep44_core::{Capacity, Config, Event, Instant, Item, MAX_DATAGRAM, Node, Outcome, QueryHandle, Storage};
use bep44_trace::{About, Recorded, Write};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

/// What a query has brought, kept beyond the event.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Bencoded values with their sequence numbers (0 for immutable ones), in the order in which they were told.
    pub values: Vec<(i64, Vec<u8>)>,
    /// Peers.
    pub peers: Vec<SocketAddr>,
    /// Nodes that answered.
    pub answered: Vec<SocketAddr>,
    /// The end, once it has come.
    pub outcome: Option<Outcome>,
}

impl Found {
    /// The last value that was told.
    #[must_use]
    pub fn newest(&self) -> Option<&(i64, Vec<u8>)> {
        self.values.last()
    }

    /// The outcome.
    ///
    /// # Panics
    /// If the query has not ended.
    #[must_use]
    pub fn ended(&self) -> &Outcome {
        self.outcome.as_ref().expect("the query has ended")
    }
}

/// A trace in memory.
#[derive(Debug, Default)]
pub struct Tape(Vec<u8>);

impl Write for Tape {
    type Error = std::convert::Infallible;

    fn write(&mut self, octets: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

/// A node of a world, which can be recorded.
pub type Member = Recorded<'static, Tape>;

/// A node and what it has told.
struct Place {
    addr: SocketAddr,
    /// Its address in the other family, if it is in both.
    addr6: Option<SocketAddr>,
    node: Member,
    alive: bool,
    found: Vec<(QueryHandle, Found)>,
}

/// What the wire is like.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// The shortest and the longest time that a packet takes.
    pub latency: (Duration, Duration),
    /// How many of a thousand packets are lost.
    pub lost_per_mille: u32,
}

impl Wire {
    /// 10 to 50 ms, nothing lost.
    pub const GOOD: Self = Self { latency: (Duration::from_millis(10), Duration::from_millis(50)), lost_per_mille: 0 };
}

/// Nodes, the packets between them, and the time.
pub struct World {
    now: Instant,
    wire: Wire,
    members: Vec<Place>,
    /// Packets under way, by arrival and number.
    packets: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    random: Pcg32,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64, wire: Wire) -> Self {
        Self {
            now: Instant::ZERO,
            wire,
            members: Vec::new(),
            packets: BTreeMap::new(),
            sent: 0,
            random: Pcg32::seed_from_u64(seed),
        }
    }

    /// `count` full nodes that all know the first one, after they have joined.
    #[must_use]
    pub fn joined(seed: u64, wire: Wire, count: usize) -> Self {
        let mut world = Self::new(seed, wire);
        for number in 0..count {
            let member = world.add(&Capacity::tiny(), |_| {});
            if number > 0 {
                world.introduce(member, 0);
            }
        }
        world.run(Duration::from_secs(60));
        world
    }

    /// Adds a node and returns its number.
    pub fn add(&mut self, capacity: &Capacity, configure: impl FnOnce(&mut Config)) -> usize {
        self.add_with(capacity, configure, None)
    }

    /// Adds a node that is recorded: [`trace`](Self::trace) ends and gives its trace.
    pub fn add_recorded(&mut self, capacity: &Capacity, about: &About) -> usize {
        self.add_with(capacity, |_| {}, Some(about))
    }

    /// The trace of a recorded node, which is not recorded any more.
    ///
    /// # Panics
    /// If it is not recorded.
    pub fn trace(&mut self, member: usize) -> Vec<u8> {
        self.members[member].node.finish().expect("the node is recorded").0
    }

    fn add_with(&mut self, capacity: &Capacity, configure: impl FnOnce(&mut Config), about: Option<&About>) -> usize {
        let number = self.members.len();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.random.random::<u64>().to_le_bytes());
        let mut config = Config::new(seed);
        configure(&mut config);
        let octets = u32::try_from(number).expect("fewer than 2^24 nodes").to_be_bytes();
        // Public addresses, each in a network of its own.
        let v4 = SocketAddr::from(([20 + octets[1], octets[2], octets[3], 1], 6_881));
        let v6 = SocketAddr::from(([0x2600, 0, number as u16, 0, 0, 0, 0, 1], 6_881));
        let addr = if capacity.contacts > 0 { v4 } else { v6 };
        let addr6 = (capacity.contacts > 0 && capacity.contacts6 > 0).then_some(v6);
        let storage = Storage::boxed(capacity);
        let node = match about {
            Some(about) => {
                let about = About { local: Some(v4), local6: Some(v6), ..*about };
                Member::start(storage, &config, self.now, &about, Tape::default())
            }
            None => Member::unrecorded(Node::new(storage, &config, self.now)),
        };
        self.members.push(Place { addr, addr6, node, alive: true, found: Vec::new() });
        number
    }

    /// Tells `member` the address of `other` as a bootstrap node.
    pub fn introduce(&mut self, member: usize, other: usize) {
        let Place { addr, addr6, .. } = self.members[other];
        let node = &mut self.members[member].node;
        // A node refuses addresses of a family that it is not in.
        let taken = [Some(addr), addr6].into_iter().flatten().filter(|addr| node.add_bootstrap(*addr).is_ok()).count();
        assert!(taken > 0, "the two have a family in common, and there is room for a bootstrap address");
        self.turn(member);
    }

    /// Gives a node a command that is no query.
    pub fn command<T>(&mut self, member: usize, command: impl FnOnce(&mut Member, Instant) -> T) -> T {
        let result = command(&mut self.members[member].node, self.now);
        self.turn(member);
        result
    }

    /// Takes a node off the network without a word.
    pub fn kill(&mut self, member: usize) {
        self.members[member].alive = false;
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many packets have been sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// A node's address; the IPv4 one, if it has two.
    #[must_use]
    pub fn addr(&self, member: usize) -> SocketAddr {
        self.members[member].addr
    }

    /// A node.
    #[must_use]
    pub fn node(&self, member: usize) -> &Node<'static> {
        &self.members[member].node
    }

    /// The living nodes, the closest to `target` first, as only somebody who sees all can know.
    #[must_use]
    pub fn closest(&self, target: &bep44_core::Target) -> Vec<usize> {
        let mut alive: Vec<usize> = (0..self.members.len()).filter(|member| self.members[*member].alive).collect();
        alive.sort_by_key(|member| self.members[*member].node.id().distance(target));
        alive
    }

    /// Which living nodes store something at `target`.
    #[must_use]
    pub fn holders(&self, target: &bep44_core::Target) -> Vec<usize> {
        let holds = |member: &usize| self.members[*member].node.items().any(|stored| stored.target == *target);
        self.closest(target).into_iter().filter(holds).collect()
    }

    /// Starts a query on a node and runs the world until it has ended.
    ///
    /// # Panics
    /// If the node does not take the query, or if it has not ended after a minute.
    pub fn query<E: std::fmt::Debug>(
        &mut self,
        member: usize,
        start: impl FnOnce(&mut Member, Instant) -> Result<QueryHandle, E>,
    ) -> Found {
        let handle = self.start(member, start);
        let give_up = self.now + Duration::from_secs(60);
        loop {
            if let Some(found) = self.ended(member, handle) {
                return found;
            }
            assert!(self.step(give_up), "a query ends within a minute");
        }
    }

    /// Starts a query on a node.
    ///
    /// # Panics
    /// If the node does not take it.
    pub fn start<E: std::fmt::Debug>(
        &mut self,
        member: usize,
        start: impl FnOnce(&mut Member, Instant) -> Result<QueryHandle, E>,
    ) -> QueryHandle {
        let handle = start(&mut self.members[member].node, self.now).expect("the node takes the query");
        self.turn(member);
        handle
    }

    /// What a query has brought, if it has ended.
    pub fn ended(&mut self, member: usize, handle: QueryHandle) -> Option<Found> {
        let found = &mut self.members[member].found;
        let at = found.iter().position(|(query, found)| *query == handle && found.outcome.is_some())?;
        Some(found.remove(at).1)
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
    }

    /// Does what comes next, if it comes before `end`; otherwise `end` has come.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.packets.keys().next().map(|(at, _)| *at);
        let timeout = (0..self.members.len())
            .filter(|member| self.members[*member].alive)
            .filter_map(|member| Some((self.node(member).poll_timeout()?, member)))
            .min();
        let next = packet.into_iter().chain(timeout.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|next| *next < end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(next);
        if packet.is_some_and(|packet| packet <= next) {
            let (_, (from, to, datagram)) = self.packets.pop_first().expect("it was looked at");
            self.deliver(from, to, &datagram);
        } else if let Some((_, member)) = timeout {
            self.members[member].node.handle_timeout(self.now);
            self.turn(member);
            let next = self.members[member].node.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "node {member} would never sleep again: {next:?}");
        }
        true
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let is_there = |member: &Place| member.alive && (member.addr == to || member.addr6 == Some(to));
        let Some(member) = self.members.iter().position(is_there) else { return };
        let mut buf = [0; MAX_DATAGRAM];
        let answer = self.members[member].node.handle_datagram(self.now, from, datagram, &mut buf);
        let answer = answer.map(|answer| (answer.to, answer.datagram.to_vec()));
        if let Some((back, answer)) = answer {
            self.send(to, back, answer);
        }
        self.turn(member);
    }

    /// A driver's turn: sends all that is due and takes note of all that has happened.
    fn turn(&mut self, number: usize) {
        let mut buf = [0; MAX_DATAGRAM];
        loop {
            let member = &mut self.members[number];
            let (addr, addr6) = (member.addr, member.addr6);
            let Some(packet) = member.node.poll_transmit(self.now, &mut buf) else { break };
            let (to, datagram) = (packet.to, packet.datagram.to_vec());
            let from = addr6.filter(|_| to.is_ipv6()).unwrap_or(addr);
            assert_eq!(from.is_ipv6(), to.is_ipv6(), "a node sends only in families that it is in");
            self.send(from, to, datagram);
        }
        let Place { node, found, .. } = &mut self.members[number];
        while let Some(event) = node.poll_event() {
            note(found, &event);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        assert!(datagram.len() <= MAX_DATAGRAM);
        self.sent += 1;
        let (shortest, longest) = self.wire.latency;
        let lost = self.random.random_ratio(self.wire.lost_per_mille, 1_000);
        let arrival = self.now + self.random.random_range(shortest..=longest);
        if lost {
            return;
        }
        self.packets.insert((arrival, self.sent), (from, to, datagram));
    }
}

fn note(all: &mut Vec<(QueryHandle, Found)>, event: &Event<'_>) {
    let mut of = |query: QueryHandle| {
        let at = all.iter().position(|(known, _)| *known == query).unwrap_or(all.len());
        if at == all.len() {
            all.push((query, Found::default()));
        }
        at
    };
    match event {
        Event::Answered { query, addr, .. } => {
            let at = of(*query);
            all[at].1.answered.push(*addr);
        }
        Event::Found { query, item } => {
            let at = of(*query);
            let seq = item.as_mutable().map_or(0, bep44_core::MutableItem::seq);
            all[at].1.values.push((seq, Item::value(item).to_vec()));
        }
        Event::Peers { query, peers } => {
            let at = of(*query);
            all[at].1.peers.extend(peers.clone());
        }
        Event::Ended { query, outcome } => {
            let at = of(*query);
            all[at].1.outcome = Some(outcome.clone());
        }
        _ => {}
    }
}
