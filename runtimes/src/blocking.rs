//! The driver without a runtime: one thread that sleeps until a datagram, a command or a deadline, and calls that wait.
//!
//! Deadlines are met to the millisecond, which is how exactly the system's poll sleeps. No thread polls.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::{Receiver, TryRecvError};
use bep44_core::crypto::{PublicKey, SecretKey};
use bep44_core::id::{NodeId, Target};
use bep44_core::{Outcome, Stats};
use futures_lite::future::block_on;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::builder::{Builder, Parts};
use crate::client::{self, Client, FoundPeers, Got, PutOutcome, Update};
use crate::clock::Clock;
use crate::error::{BuildError, Error};
use crate::item::{AnyItem, Immutable, Mutable};
use crate::socket::{BATCH, INCOMING, SendFailure, of_family, send_failure};
use crate::turn::{Answered, Command, KeptItem, Known, NodeEvent, Progress, Step, Turn, Want};

/// The sockets have their numbers, 0 and 1.
const COMMANDS: Token = Token(2);

/// A node of the DHT on a thread of its own. Clones are cheap and name the same node; it ends when the last one (and
/// the last iterator made from one) is dropped, or by [`shutdown`](Self::shutdown).
#[derive(Debug, Clone)]
pub struct Dht {
    client: Client,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Builder<Dht> {
    /// Binds the socket and starts the thread.
    ///
    /// # Errors
    /// The address is in use or not ours, a bootstrap address cannot be used, or the system gives no thread, poll or
    /// randomness.
    pub fn build(self) -> Result<Dht, BuildError> {
        let Parts { sockets, addrs, turn, clock, commands: (sender, commands) } = self.parts()?;
        let poll = Poll::new().map_err(BuildError::Driver)?;
        let mut sockets: Vec<_> = sockets.into_iter().map(UdpSocket::from_std).collect();
        for (number, socket) in sockets.iter_mut().enumerate() {
            poll.registry().register(socket, Token(number), Interest::READABLE).map_err(BuildError::Driver)?;
        }
        let bell = Arc::new(Bell(mio::Waker::new(poll.registry(), COMMANDS).map_err(BuildError::Driver)?));
        let client = Client::new(sender, Arc::clone(&bell).into(), turn.node().id(), addrs.clone());
        let name = format!("bep44 {}", client.local_addr());
        let driver = Driver { turn, poll, sockets, addrs, commands, clock, _bell: bell };
        let thread = std::thread::Builder::new().name(name).spawn(move || driver.run()).map_err(BuildError::Driver)?;
        Ok(Dht { client, thread: Arc::new(Mutex::new(Some(thread))) })
    }
}

/// Wakes the thread when a command waits.
#[derive(Debug)]
struct Bell(mio::Waker);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only when the counter behind it is full, and then the thread is awake.
        let _ = self.0.wake();
    }
}

impl Dht {
    /// Settings to start from.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.client.id()
    }

    /// The address of the node's socket, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.client.local_addr()
    }

    /// The addresses of the node's sockets, with the real ports: one for each network that it is in.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        self.client.local_addrs()
    }

    /// The handle behind this one, for who has an executor.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Joins the network: walks towards the node's own id. A node that is not read-only does so by itself at its start;
    /// this waits until it is done.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub fn bootstrap(&self) -> Result<Outcome, Error> {
        block_on(self.client.bootstrap())
    }

    /// Looks for the immutable item at `target`.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub fn get(&self, target: Target) -> Result<Got<Immutable>, Error> {
        block_on(self.client.get(target))
    }

    /// Looks for versions of the mutable item of `key` and `salt` (empty: none) that are newer than `newer_than`, and
    /// gives each improvement as it comes.
    #[must_use = "dropping it cancels the query"]
    pub fn get_mutable(&self, key: PublicKey, salt: &[u8], newer_than: Option<i64>) -> Versions {
        Versions(self.client.get_mutable(key, salt, newer_than))
    }

    /// Looks for the newest version of the mutable item of `key` and `salt` (empty: none), if it is newer than
    /// `newer_than`.
    ///
    /// # Errors
    /// The salt is too long, nobody to ask, or no outcome in time.
    pub fn newest(&self, key: PublicKey, salt: &[u8], newer_than: Option<i64>) -> Result<Got<Mutable>, Error> {
        block_on(self.client.newest(key, salt, newer_than))
    }

    /// Stores an immutable item on the nodes closest to its target.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub fn put(&self, item: &Immutable) -> Result<PutOutcome, Error> {
        block_on(self.client.put(item))
    }

    /// Stores a mutable item on the nodes closest to its target; with `cas` only where this sequence number is stored,
    /// or nothing.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub fn put_mutable(&self, item: &Mutable, cas: Option<i64>) -> Result<PutOutcome, Error> {
        block_on(self.client.put_mutable(item, cas))
    }

    /// Reads the newest version, lets `change` make a new value of it (bencoded; `None`: leave it as it is), and writes
    /// that with the next sequence number, on condition that nobody else has written meanwhile: see [`Client::update`].
    ///
    /// # Errors
    /// A limit is not kept, nobody to ask, no outcome in time, or others were faster each time.
    pub fn update(
        &self,
        secret: &SecretKey,
        salt: &[u8],
        change: impl FnMut(Option<&Mutable>) -> Option<Vec<u8>>,
    ) -> Result<Update, Error> {
        block_on(self.client.update(secret, salt, change))
    }

    /// Looks for peers of `info_hash` (BEP 5).
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub fn get_peers(&self, info_hash: Target) -> Result<FoundPeers, Error> {
        block_on(self.client.get_peers(info_hash))
    }

    /// Announces that a peer of `info_hash` listens on this host, on `port` or, without one, on the node's own (BEP 5).
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub fn announce(&self, info_hash: Target, port: Option<u16>) -> Result<FoundPeers, Error> {
        block_on(self.client.announce(info_hash, port))
    }

    /// Asks the node at `addr` for a sign of life.
    ///
    /// # Errors
    /// It gave none, or no packet can be sent there.
    pub fn ping(&self, addr: SocketAddr) -> Result<Answered, Error> {
        block_on(self.client.ping(addr))
    }

    /// Walks towards `target` and gives each node that answers, as it does.
    #[must_use = "dropping it cancels the query"]
    pub fn lookup(&self, target: Target) -> Lookup {
        Lookup(self.client.lookup(target))
    }

    /// Starts any query and gives all that happens to it, as it happens.
    #[must_use = "dropping it cancels the query"]
    pub fn start(&self, want: Want) -> Steps {
        Steps(self.client.start(want, true))
    }

    /// The routing table, the farthest first.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn contacts(&self) -> Result<Vec<Known>, Error> {
        block_on(self.client.contacts())
    }

    /// The counters.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn stats(&self) -> Result<Stats, Error> {
        block_on(self.client.stats())
    }

    /// Remembers `addr` as a node of the network, to be asked when no other is known.
    ///
    /// # Errors
    /// No packet can be sent there, or too many are remembered already.
    pub fn add_bootstrap(&self, addr: SocketAddr) -> Result<(), Error> {
        block_on(self.client.add_bootstrap(addr))
    }

    /// Keeps an item alive until the node is told to [`forget`](Self::forget) it, or ends: see [`Client::keep`].
    ///
    /// # Errors
    /// There is no memory for it, it is not an item within the limits, or a newer version is stored.
    pub fn keep(&self, item: impl Into<AnyItem>) -> Result<(), Error> {
        block_on(self.client.keep(item))
    }

    /// Stops keeping what is kept at `target`: it expires like any other. False if nothing is.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn forget(&self, target: Target) -> Result<bool, Error> {
        block_on(self.client.forget(target))
    }

    /// What the node keeps alive, the next to be announced first.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn kept(&self) -> Result<Vec<KeptItem>, Error> {
        block_on(self.client.kept())
    }

    /// What happens from now on to the items that the node stores, and to those that it keeps alive. Ends with the node, and does not keep it
    /// running.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn events(&self) -> Result<NodeEvents, Error> {
        self.client.events().map(NodeEvents)
    }

    /// Ends the node, whoever still holds a handle, and waits until its thread is gone and its port is free.
    pub fn shutdown(&self) {
        self.client.shutdown();
        // A thread that panicked while it held the lock has left the handle intact.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is held until the end, so that others who call this wait for it as well.
        if let Some(thread) = thread.take() {
            // If the driver panicked, it has ended as well.
            let _ = thread.join();
        }
    }
}

/// Improving versions of a mutable item, each as it comes. Dropping it cancels the query.
#[derive(Debug)]
pub struct Versions(client::Versions);

impl Versions {
    /// Who was asked and who answered, once there is nothing more to come.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.0.outcome()
    }
}

impl Iterator for Versions {
    type Item = Result<Mutable, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

/// The steps of a walk, each as it comes. Dropping it cancels the query.
#[derive(Debug)]
pub struct Lookup(client::Lookup);

impl Lookup {
    /// Who was asked and who answered, once the walk is finished.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.0.outcome()
    }
}

impl Iterator for Lookup {
    type Item = Result<Answered, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

/// All that happens to a query, each thing as it comes. Dropping it cancels the query.
#[derive(Debug)]
pub struct Steps(client::Query);

impl Steps {
    /// Who was asked, who answered, who stored, once there is nothing more to come.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.0.ended()
    }
}

impl Iterator for Steps {
    type Item = Result<Progress, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

/// What happens to the items that a node stores for others. Ends with the node.
#[derive(Debug)]
pub struct NodeEvents(client::NodeEvents);

impl Iterator for NodeEvents {
    type Item = NodeEvent;

    fn next(&mut self) -> Option<NodeEvent> {
        block_on(self.0.next())
    }
}

struct Driver {
    turn: Turn,
    poll: Poll,
    /// One, or two of different families.
    sockets: Vec<UdpSocket>,
    addrs: Vec<SocketAddr>,
    commands: Receiver<Command>,
    clock: Clock,
    /// Kept, because a bell that is gone with the last handle takes its last ring with it.
    _bell: Arc<Bell>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        Turn::close(&self.commands);
    }
}

impl Driver {
    fn run(mut self) {
        let mut events = Events::with_capacity(3);
        let mut incoming = vec![0; INCOMING];
        // The poll tells of a datagram once, so a socket is read until it is empty, if need be over several turns.
        let mut readable = [false; 2];
        let mut sent = 0;
        loop {
            let deadline = match self.turn.next(self.clock.now()) {
                Step::Send(packet) => {
                    let to = packet.to;
                    let result = match of_family(&self.addrs, &self.sockets, to) {
                        Some(socket) => send(socket, packet.datagram, to),
                        None => Err(SendFailure::Unreachable),
                    };
                    if result == Err(SendFailure::Unreachable) {
                        self.turn.on_unreachable(self.clock.now(), to);
                    }
                    sent += 1;
                    if sent % BATCH == 0 {
                        // Answers come in while there is still much to ask, and would not all fit into the socket.
                        readable = [true; 2];
                        self.take_all_datagrams(&mut readable, &mut incoming);
                    }
                    continue;
                }
                Step::Wait(deadline) => deadline,
                Step::End => return,
            };
            let wait = if readable.contains(&true) {
                Some(Duration::ZERO)
            } else {
                deadline.map(|at| at.since(self.clock.now()))
            };
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                // A signal handler has run on this thread: nothing has happened.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Without its poll the driver cannot go on; who waits is told that the node is closed.
                Err(_) => return,
            }
            for event in &events {
                if let Some(readable) = readable.get_mut(event.token().0) {
                    *readable = true;
                }
            }
            self.take_commands();
            self.take_all_datagrams(&mut readable, &mut incoming);
            if deadline.is_some_and(|at| at <= self.clock.now()) {
                self.turn.on_timeout(self.clock.now());
            }
        }
    }

    fn take_commands(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.turn.on_command(self.clock.now(), command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => return self.turn.on_abandoned(),
            }
        }
    }

    /// Reads from the sockets that may have something, and notes which may have more.
    fn take_all_datagrams(&mut self, readable: &mut [bool; 2], incoming: &mut [u8]) {
        for (number, readable) in readable.iter_mut().enumerate() {
            *readable = *readable && number < self.sockets.len() && self.take_datagrams(number, incoming);
        }
    }

    /// Reads what has arrived on a socket, and answers. True if there may be more.
    fn take_datagrams(&mut self, number: usize, incoming: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            match self.sockets[number].recv_from(incoming) {
                Ok((len, from)) => {
                    if let Some(answer) = self.turn.on_datagram(self.clock.now(), from, &incoming[..len]) {
                        // An answer that is lost is asked for again.
                        let _ = send(&self.sockets[number], answer.datagram, answer.to);
                    }
                }
                // The echo of a packet to a closed port: what has arrived stands behind it.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                    ) => {}
                // Empty, or a shortage that passes: the next datagram wakes us again.
                Err(_) => return false,
            }
        }
        true
    }
}

fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) -> Result<(), SendFailure> {
    socket.send_to(datagram, to).map(drop).map_err(|error| send_failure(&error))
}
