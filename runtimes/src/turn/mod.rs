//! A driver's turn, the same for every runtime: a node, those who wait for it, and the one order in which things are
//! done. No socket, no clock, no runtime.
//!
//! A driver asks [`Turn::next`] what to do and does it: sends a packet, or waits for whatever comes first of a datagram,
//! a command and the deadline, and tells the turn which it was.
//!
//! ```
//! # use bep44::{Capacity, Clock, Config, turn::{Step, Turn}};
//! # use bep44::core::{Node, Storage};
//! # use std::time::Duration;
//! # fn main() -> std::io::Result<()> {
//! # let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! # let (commands, incoming_commands) = async_channel::unbounded();
//! # commands.try_send(bep44::turn::Command::Shutdown).unwrap();
//! let clock = Clock::start();
//! let node = Node::new(Storage::boxed(&Capacity::tiny()), &Config::new([7; 32]), clock.now());
//! let mut turn = Turn::new(node, Duration::from_secs(30));
//! let mut incoming = [0; 2_048];
//! loop {
//!     match turn.next(clock.now()) {
//!         Step::Send(packet) => drop(socket.send_to(packet.datagram, packet.to)),
//!         Step::End => break,
//!         Step::Wait(_deadline) => {
//!             // A real driver waits for all three at once.
//!             if let Ok(command) = incoming_commands.try_recv() {
//!                 turn.on_command(clock.now(), command);
//!             } else if let Ok((len, from)) = socket.recv_from(&mut incoming) {
//!                 if let Some(answer) = turn.on_datagram(clock.now(), from, &incoming[..len]) {
//!                     drop(socket.send_to(answer.datagram, answer.to));
//!                 }
//!             } else {
//!                 turn.on_timeout(clock.now());
//!             }
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod command;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use async_channel::{Receiver, Sender, TrySendError};
use bep44_core::event::{Event, QueryHandle, Transmit};
use bep44_core::{Contact, Instant, KeepError, Kept, MAX_DATAGRAM, Node, QueryError};

pub use self::command::{Command, Ticket, Want};
use self::told::owned;
pub use self::told::{Answered, KeptItem, Known, NodeEvent, Progress, PutOn, StoredItem};
use crate::error::Error;
use crate::item::AnyItem;

/// Writes down what a node holds, so that another can begin with it.
///
/// Everything here is called from the driver, so nothing may take long, [`close`](Self::close) excepted.
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// One of the events about stored items. Each is told before the answer leaves that says of it; what it says replaces
    /// whatever was told of this item before.
    fn item(&mut self, now: Instant, event: &Event<'_>);

    /// When [`snapshot`](Self::snapshot) is wanted next.
    fn due(&self) -> Option<Instant>;

    /// Contacts and peers may be read now, and items for who wants to.
    fn snapshot(&mut self, now: Instant, node: &Node<'static>);

    /// Why nothing can be written, in one line; once for each time that it begins to fail.
    fn trouble(&mut self) -> Option<String>;

    /// The node ends: when this returns, everything is written. Called once.
    fn close(&mut self, now: Instant, node: &Node<'static>);
}

/// The node of a turn: with traces, one that can be recorded.
#[cfg(feature = "replay")]
pub(crate) type Driven = bep44_trace::Recorded<'static, crate::replay::Tape>;
#[cfg(not(feature = "replay"))]
pub(crate) type Driven = Node<'static>;

/// What a driver has to do next.
#[derive(Debug)]
#[must_use = "the driver does nothing by itself"]
pub enum Step<'a> {
    /// Send this packet.
    Send(Transmit<'a>),
    /// Wait for a datagram, a command, or this moment (which may have come already).
    Wait(Option<Instant>),
    /// Stop.
    End,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    deadline: Instant,
    steps: bool,
    reply: Sender<Progress>,
    /// What was found, kept until the end if steps are not told.
    found: Option<AnyItem>,
    peers: Vec<SocketAddr>,
    put_on: Vec<PutOn>,
}

impl Waiting {
    /// Whoever does not listen any more cancels the query by a command; nothing is to be done about it here.
    fn tell(&self, progress: Progress) {
        let _ = self.reply.try_send(progress);
    }
}

#[derive(Debug)]
struct Subscriber {
    events: Sender<NodeEvent>,
    lost: u64,
}

impl Subscriber {
    /// False if nobody listens any more.
    fn tell(&mut self, event: &NodeEvent) -> bool {
        if self.lost > 0 {
            match self.events.try_send(NodeEvent::Lagged(self.lost)) {
                Ok(()) => self.lost = 0,
                Err(TrySendError::Full(_)) => {
                    self.lost += 1;
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// A node and those who wait for it: see the [module](self).
#[derive(Debug)]
pub struct Turn {
    node: Driven,
    patience: Duration,
    waiting: HashMap<QueryHandle, Waiting>,
    tickets: HashMap<Ticket, QueryHandle>,
    /// When each running query has taken too long.
    deadlines: BTreeSet<(Instant, Ticket)>,
    subscribers: Vec<Subscriber>,
    outgoing: Box<[u8; MAX_DATAGRAM]>,
    sink: Option<Box<dyn Sink>>,
    now: Instant,
    ending: bool,
}

impl Drop for Turn {
    /// A driver that ends in another way than by [`Step::End`] loses nothing either.
    fn drop(&mut self) {
        #[cfg(feature = "replay")]
        if std::thread::panicking() {
            // What has led to the panic is in the trace, which has no end then.
            self.node.stop();
        }
        self.close_sink();
        #[cfg(feature = "replay")]
        self.node.finish();
    }
}

impl Turn {
    /// A turn for `node`. A query that has not ended after `patience` fails with [`Error::TimedOut`].
    #[must_use]
    pub fn new(node: Node<'static>, patience: Duration) -> Self {
        #[cfg(feature = "replay")]
        let node = Driven::unrecorded(node);
        Self::driving(node, patience)
    }

    pub(crate) fn driving(node: Driven, patience: Duration) -> Self {
        Self {
            node,
            patience,
            waiting: HashMap::new(),
            tickets: HashMap::new(),
            deadlines: BTreeSet::new(),
            subscribers: Vec::new(),
            outgoing: Box::new([0; MAX_DATAGRAM]),
            sink: None,
            now: Instant::ZERO,
            ending: false,
        }
    }

    /// The node, to read from.
    #[must_use]
    pub fn node(&self) -> &Node<'static> {
        &self.node
    }

    /// Lets `sink` write down what the node holds from now on. Before [`Step::End`] (or when the turn is dropped) it is
    /// closed, which may wait for a disk.
    pub fn set_sink(&mut self, sink: Box<dyn Sink>) {
        self.close_sink();
        self.sink = Some(sink);
    }

    /// What to do next: first all packets that are due, then all reports (done in here), then the wait.
    pub fn next(&mut self, now: Instant) -> Step<'_> {
        self.now = now;
        if self.ending {
            self.close_sink();
            #[cfg(feature = "replay")]
            self.node.finish();
            return Step::End;
        }
        self.give_up(now);
        self.save(now);
        let due = loop {
            let packet = self.node.poll_transmit(now, &mut *self.outgoing);
            if let Some(packet) = packet {
                break Some((packet.to, packet.datagram.len()));
            }
            // A report may be what makes the next packet due.
            if !self.report(now) {
                break None;
            }
        };
        match due {
            Some((to, len)) => Step::Send(Transmit { to, datagram: &self.outgoing[..len] }),
            None => {
                let deadline = self.deadline();
                #[cfg(feature = "replay")]
                self.keep_trace(deadline);
                Step::Wait(deadline)
            }
        }
    }

    /// A datagram has arrived. The answer, if there is one, is to be sent at once.
    #[must_use = "the answer is to be sent"]
    pub fn on_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<Transmit<'_>> {
        let Transmit { to, datagram } = self.node.handle_datagram(now, from, datagram, &mut *self.outgoing)?;
        let len = datagram.len();
        // Who is told that an item is stored can rely on its being written down from here on; and of items that made room
        // none is missed, which a full store could not promise if it were asked less often.
        if self.sink.is_some() {
            self.report(now);
        }
        Some(Transmit { to, datagram: &self.outgoing[..len] })
    }

    /// The deadline has come. Harmless at any other time.
    pub fn on_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    /// The system says that no packet reaches this address.
    pub fn on_unreachable(&mut self, now: Instant, to: SocketAddr) {
        self.node.handle_unreachable(now, to);
    }

    /// The holder of a handle asks for something.
    pub fn on_command(&mut self, now: Instant, command: Command) {
        // An answer that nobody waits for any more is dropped.
        match command {
            Command::Start { ticket, want, steps, reply } => self.start(now, ticket, &want, steps, reply),
            Command::Cancel(ticket) => {
                if let Some(query) = self.tickets.get(&ticket).copied() {
                    self.node.cancel(query);
                    self.forget(query);
                }
            }
            Command::Subscribe(events) => self.subscribers.push(Subscriber { events, lost: 0 }),
            Command::AddBootstrap(addr, reply) => {
                let _ = reply.try_send(self.node.add_bootstrap(addr));
            }
            Command::Keep(item, reply) => {
                let kept = item.as_item().map_err(KeepError::from).and_then(|item| self.node.keep(now, &item));
                let _ = reply.try_send(kept);
            }
            Command::Forget(target, reply) => {
                let _ = reply.try_send(self.node.forget(now, &target));
            }
            Command::Kept(reply) => {
                let copy = |kept: Kept<'_>| KeptItem {
                    target: kept.target,
                    item: kept.item.into(),
                    until_next: kept.due.since(now),
                    last: kept.last,
                };
                let _ = reply.try_send(self.node.kept().map(copy).collect());
            }
            Command::Contacts(reply) => {
                let known = |contact: &Contact| Known {
                    node: contact.id(),
                    addr: contact.addr(),
                    standing: contact.standing(now),
                };
                let _ = reply.try_send(self.node.contacts().map(known).collect());
            }
            Command::Stats(reply) => {
                let _ = reply.try_send(*self.node.stats());
            }
            Command::Shutdown => self.ending = true,
        }
    }

    /// The driver has ended: commands that nobody has taken are dropped, so that who waits for an answer to them learns
    /// of it.
    pub fn close(commands: &Receiver<Command>) {
        commands.close();
        while commands.try_recv().is_ok() {}
    }

    /// Nobody can give a command any more: the driver ends.
    pub const fn on_abandoned(&mut self) {
        self.ending = true;
    }

    fn start(&mut self, now: Instant, ticket: Ticket, want: &Want, steps: bool, reply: Sender<Progress>) {
        let started = match want {
            Want::Bootstrap => self.node.bootstrap(now),
            Want::FindNode(target) => self.node.find_node(now, *target),
            Want::Get(target) => self.node.get(now, *target),
            Want::GetMutable { key, salt, newer_than } => self.node.get_mutable(now, key, salt, *newer_than),
            Want::Put { item, cas } => {
                item.as_item().map_err(QueryError::from).and_then(|item| self.node.put(now, &item, *cas))
            }
            Want::GetPeers(info_hash) => self.node.get_peers(now, *info_hash),
            Want::Announce { info_hash, port } => self.node.announce(now, *info_hash, *port),
            Want::Ping(addr) => self.node.ping(now, *addr),
        };
        match started {
            Ok(query) => {
                let deadline = now + self.patience;
                let waiting =
                    Waiting { ticket, deadline, steps, reply, found: None, peers: Vec::new(), put_on: Vec::new() };
                self.waiting.insert(query, waiting);
                self.tickets.insert(ticket, query);
                self.deadlines.insert((deadline, ticket));
            }
            Err(error) => {
                let _ = reply.try_send(Progress::Failed(error.into()));
            }
        }
    }

    fn forget(&mut self, query: QueryHandle) -> Option<Waiting> {
        let waiting = self.waiting.remove(&query)?;
        self.tickets.remove(&waiting.ticket);
        self.deadlines.remove(&(waiting.deadline, waiting.ticket));
        Some(waiting)
    }

    /// Ends the queries that have taken too long.
    fn give_up(&mut self, now: Instant) {
        while let Some((deadline, ticket)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(query) = self.tickets.get(&ticket).copied() {
                self.node.cancel(query);
                if let Some(waiting) = self.forget(query) {
                    waiting.tell(Progress::Failed(Error::TimedOut(self.patience)));
                }
            }
        }
    }

    #[cfg_attr(
        not(feature = "replay"),
        expect(clippy::needless_pass_by_ref_mut, reason = "a trace has the deadline as well")
    )]
    fn deadline(&mut self) -> Option<Instant> {
        let patience = self.deadlines.first().map(|(deadline, _)| *deadline);
        let save = self.sink.as_ref().and_then(|sink| sink.due());
        self.node.poll_timeout().into_iter().chain(patience).chain(save).min()
    }

    /// Gives the sink what it wants now and then.
    fn save(&mut self, now: Instant) {
        let Some(sink) = &mut self.sink else { return };
        if sink.due().is_some_and(|due| due <= now) {
            sink.snapshot(now, &self.node);
        }
        if let Some(trouble) = sink.trouble() {
            let event = NodeEvent::SavingFailed(trouble);
            self.subscribers.retain_mut(|subscriber| subscriber.tell(&event));
        }
    }

    fn close_sink(&mut self) {
        if self.sink.is_some() {
            self.report(self.now);
        }
        if let Some(mut sink) = self.sink.take() {
            sink.close(self.now, &self.node);
        }
    }

    /// Before a pause until `deadline`: puts what is recorded where it outlives the process, and tells why nothing is any
    /// more, if so.
    #[cfg(feature = "replay")]
    fn keep_trace(&mut self, deadline: Option<Instant>) {
        if let Some(trouble) = crate::replay::keep(&mut self.node, self.now, deadline) {
            let event = NodeEvent::RecordingFailed(trouble);
            self.subscribers.retain_mut(|subscriber| subscriber.tell(&event));
        }
    }

    /// Tells everybody what has happened. False if nothing has.
    fn report(&mut self, now: Instant) -> bool {
        let mut any = false;
        loop {
            let ended = {
                let Some(event) = self.node.poll_event() else { return any };
                any = true;
                match event {
                    Event::Answered { query, node, addr, hop, round_trip } => {
                        if let Some(waiting) = self.waiting.get(&query).filter(|waiting| waiting.steps) {
                            waiting.tell(Progress::Answered(Answered { node, addr, hop, round_trip }));
                        }
                        None
                    }
                    Event::Found { query, item } => {
                        if let Some(waiting) = self.waiting.get_mut(&query) {
                            if waiting.steps {
                                waiting.tell(Progress::Found(item.into()));
                            } else {
                                waiting.found = Some(item.into());
                            }
                        }
                        None
                    }
                    Event::Equivocation { query, seq } => {
                        if let Some(waiting) = self.waiting.get(&query).filter(|waiting| waiting.steps) {
                            waiting.tell(Progress::Equivocation(seq));
                        }
                        None
                    }
                    Event::Peers { query, peers } => {
                        if let Some(waiting) = self.waiting.get_mut(&query) {
                            if waiting.steps {
                                waiting.tell(Progress::Peers(peers.collect()));
                            } else {
                                waiting.peers.extend(peers);
                            }
                        }
                        None
                    }
                    Event::Put { query, node, addr, result } => {
                        if let Some(waiting) = self.waiting.get_mut(&query) {
                            waiting.put_on.push(PutOn { node, addr, result });
                        }
                        None
                    }
                    Event::Ended { query, outcome } => Some((query, outcome)),
                    event => {
                        if let Some(sink) = &mut self.sink {
                            sink.item(now, &event);
                        }
                        if !self.subscribers.is_empty()
                            && let Some(event) = owned(&event, now)
                        {
                            self.subscribers.retain_mut(|subscriber| subscriber.tell(&event));
                        }
                        None
                    }
                }
            };
            if let Some((query, outcome)) = ended
                && let Some(mut waiting) = self.forget(query)
            {
                if let Some(item) = waiting.found.take() {
                    waiting.tell(Progress::Found(item));
                }
                let peers = std::mem::take(&mut waiting.peers);
                if !peers.is_empty() {
                    waiting.tell(Progress::Peers(peers));
                }
                let put_on = std::mem::take(&mut waiting.put_on);
                if !put_on.is_empty() {
                    waiting.tell(Progress::Put(put_on));
                }
                waiting.tell(Progress::Ended(outcome));
            }
        }
    }
}
