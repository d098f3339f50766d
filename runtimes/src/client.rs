//! What the holder of a handle can do, whatever drives the node: commands go to the driver, and answers come back.
//!
//! The functions here are `async` but need no runtime: any executor polls them. The overall time limit is kept by the
//! driver. A future or stream that is dropped cancels its query.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use async_channel::{Receiver, Sender};
use bep44_core::crypto::{PublicKey, SecretKey};
use bep44_core::id::{NodeId, Target};
use bep44_core::wire::Code;
use bep44_core::{Outcome, Stats};
use futures_lite::{Stream, StreamExt};

use crate::error::Error;
use crate::item::{AnyItem, Immutable, Mutable};
use crate::turn::{Answered, Command, KeptItem, Known, NodeEvent, Progress, PutOn, Ticket, Want};

/// Events that wait for a slow subscriber; more are lost and counted.
const EVENTS: usize = 4_096;

/// How often [`Client::update`] tries.
pub const UPDATE_ATTEMPTS: u32 = 16;

/// What a get has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got<T> {
    /// The item; none was found, or none newer than asked for, if it is absent. If `outcome.answered` is 0, nobody
    /// was there to say so.
    pub item: Option<T>,
    /// Who was asked, who answered.
    pub outcome: Outcome,
}

/// What became of a put: [`stored`](Self::stored) tells whether it succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nodes may have refused, or nobody may have been there"]
pub struct PutOutcome {
    /// Where the item is stored.
    pub target: Target,
    /// How many accepted, refused with which code, were silent.
    pub outcome: Outcome,
    /// The same node by node, the closest first.
    pub nodes: Vec<PutOn>,
}

impl PutOutcome {
    /// Nodes that accepted. None has stored the item if it is 0.
    #[must_use]
    pub const fn stored(&self) -> u16 {
        self.outcome.accepted
    }

    /// Nodes that refused with this code.
    #[must_use]
    pub fn refused_with(&self, code: Code) -> u16 {
        let number = i64::from(code.number());
        self.outcome.rejected.iter().find(|rejection| rejection.code == number).map_or(0, |rejection| rejection.count)
    }

    /// Whether somebody else has written a version that this one should not, or cannot, replace.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.refused_with(Code::CasMismatch) + self.refused_with(Code::SequenceTooLow) > 0
    }
}

/// What [`Client::update`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The version that is stored now; absent if there was none, and none was written.
    pub item: Option<Mutable>,
    /// What became of the last put; absent if none was needed.
    pub put: Option<PutOutcome>,
    /// How often it was read and written; more than once if others wrote at the same time.
    pub attempts: u32,
}

/// Peers of an info-hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPeers {
    /// Each once, in the order in which they were found.
    pub peers: Vec<SocketAddr>,
    /// Who was asked, who answered; for an announcement, who accepted.
    pub outcome: Outcome,
}

#[derive(Debug)]
struct Shared {
    commands: Sender<Command>,
    /// Tells the driver that a command waits, where the channel itself does not.
    waker: Waker,
    tickets: AtomicU64,
    id: NodeId,
    addrs: Vec<SocketAddr>,
}

impl Shared {
    fn command(&self, command: Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|_| Error::Closed)?;
        self.waker.wake_by_ref();
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.commands.close();
        self.waker.wake_by_ref();
    }
}

/// A handle of a node: clones are cheap and name the same node, which ends when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// A handle of the node with this id at these addresses (one or two; the first is the one asked for first), whose driver takes `commands` and is woken by `waker` (one
    /// that does nothing, if the channel wakes it).
    #[must_use]
    pub fn new(commands: Sender<Command>, waker: Waker, id: NodeId, addrs: Vec<SocketAddr>) -> Self {
        Self { shared: Arc::new(Shared { commands, waker, tickets: AtomicU64::new(0), id, addrs }) }
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// The address of the node's socket, with the real port. Of a node in both networks, the one bound first.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addrs.first().copied().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// The addresses of the node's sockets, with the real ports: one for each network that it is in.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.shared.addrs
    }

    /// Starts any query. With `steps`, what happens on the way is told as it happens; otherwise only what it brought.
    pub fn start(&self, want: Want, steps: bool) -> Query {
        let (reply, progress) = async_channel::unbounded();
        let ticket = Ticket(self.shared.tickets.fetch_add(1, Ordering::Relaxed));
        // If the driver is gone, so is `reply`, and the query says so.
        let _ = self.shared.command(Command::Start { ticket, want, steps, reply });
        Query { shared: Arc::clone(&self.shared), ticket, progress: Box::pin(progress), state: State::Running }
    }

    /// Joins the network: walks towards the node's own id.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub async fn bootstrap(&self) -> Result<Outcome, Error> {
        self.start(Want::Bootstrap, false).outcome().await
    }

    /// Looks for the immutable item at `target`.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub async fn get(&self, target: Target) -> Result<Got<Immutable>, Error> {
        let mut query = self.start(Want::Get(target), false);
        let mut item = None;
        while let Some(progress) = query.try_next().await? {
            if let Progress::Found(AnyItem::Immutable(found)) = progress {
                item = Some(found);
            }
        }
        Ok(Got { item, outcome: query.outcome().await? })
    }

    /// Looks for versions of the mutable item of `key` and `salt` (empty: none) that are newer than `newer_than`, and
    /// gives each improvement as it comes.
    pub fn get_mutable(&self, key: PublicKey, salt: &[u8], newer_than: Option<i64>) -> Versions {
        Versions { query: self.start(Want::GetMutable { key, salt: salt.to_vec(), newer_than }, true) }
    }

    /// Looks for the newest version of the mutable item of `key` and `salt` (empty: none), if it is newer than
    /// `newer_than`.
    ///
    /// # Errors
    /// The salt is too long, nobody to ask, or no outcome in time.
    pub async fn newest(&self, key: PublicKey, salt: &[u8], newer_than: Option<i64>) -> Result<Got<Mutable>, Error> {
        let mut query = self.start(Want::GetMutable { key, salt: salt.to_vec(), newer_than }, false);
        let mut item = None;
        while let Some(progress) = query.try_next().await? {
            if let Progress::Found(AnyItem::Mutable(found)) = progress {
                item = Some(found);
            }
        }
        Ok(Got { item, outcome: query.outcome().await? })
    }

    /// Stores an immutable item on the nodes closest to its target.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub async fn put(&self, item: &Immutable) -> Result<PutOutcome, Error> {
        self.store(AnyItem::Immutable(item.clone()), None).await
    }

    /// Stores a mutable item on the nodes closest to its target; with `cas` only where this sequence number is stored,
    /// or nothing.
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub async fn put_mutable(&self, item: &Mutable, cas: Option<i64>) -> Result<PutOutcome, Error> {
        self.store(AnyItem::Mutable(item.clone()), cas).await
    }

    async fn store(&self, item: AnyItem, cas: Option<i64>) -> Result<PutOutcome, Error> {
        let target = item.target();
        let mut query = self.start(Want::Put { item, cas }, false);
        let mut nodes = Vec::new();
        while let Some(progress) = query.try_next().await? {
            if let Progress::Put(told) = progress {
                nodes = told;
            }
        }
        Ok(PutOutcome { target, outcome: query.outcome().await?, nodes })
    }

    /// Reads the newest version, lets `change` make a new value of it (bencoded; `None`: leave it as it is), and writes
    /// that with the next sequence number, on condition that nobody else has written meanwhile. If somebody has, it
    /// starts over, up to [`UPDATE_ATTEMPTS`] times.
    ///
    /// A change may have been stored on some nodes before a conflict showed on others, so `change` may see a version
    /// that already contains it: let it add what is missing rather than count. Nodes compare sequence numbers, not
    /// values (BEP 44), so writers who each reach a part of the nodes in the same moment are told apart by reading again:
    /// the version that most nodes hold is the one to go on from. On a network that loses packets or nodes meanwhile, that
    /// may be misjudged; where no change may be lost, read it back later.
    ///
    /// # Errors
    /// A limit is not kept, nobody to ask, no outcome in time, or others were faster each time.
    pub async fn update(
        &self,
        secret: &SecretKey,
        salt: &[u8],
        mut change: impl FnMut(Option<&Mutable>) -> Option<Vec<u8>>,
    ) -> Result<Update, Error> {
        let key = secret.public_key();
        // Whether a write of ours is on some nodes while others hold another's with the same number: then only a write
        // that all accept settles it.
        let mut divided = false;
        let mut newest = None;
        for attempts in 1..=UPDATE_ATTEMPTS {
            let current = self.newest(key, salt, None).await?.item;
            let value = match (change(current.as_ref()), &current) {
                (Some(value), _) => value,
                (None, Some(current)) if divided => current.value().to_vec(),
                (None, _) => return Ok(Update { item: current, put: None, attempts }),
            };
            let (seq, cas) = match &current {
                None => (1, None),
                Some(current) => (current.seq().checked_add(1).ok_or(Error::NoHigherSeq)?, Some(current.seq())),
            };
            let item = Mutable::sign(secret, salt, seq, value)?;
            let put = self.put_mutable(&item, cas).await?;
            newest = put.outcome.newest;
            // Without `cas`, a version that appeared meanwhile shows only by its number.
            if !put.is_conflict() && newest.is_none_or(|newest| newest < seq) {
                return Ok(Update { item: Some(item), put: Some(put), attempts });
            }
            divided |= put.stored() > 0;
            // Who has lost steps back, for as long as a few reads take: that is known to be in proportion to how long
            // the others take, on any network.
            if 2 * put.stored() <= put.outcome.refused() {
                for _ in 0..getrandom::u32().unwrap_or(0) % (2 * attempts) {
                    self.newest(key, salt, None).await?;
                }
            }
        }
        Err(Error::Conflict { attempts: UPDATE_ATTEMPTS, newest })
    }

    /// Looks for peers of `info_hash` (BEP 5).
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time.
    pub async fn get_peers(&self, info_hash: Target) -> Result<FoundPeers, Error> {
        self.peers(Want::GetPeers(info_hash)).await
    }

    /// Announces that a peer of `info_hash` listens on this host, on `port` or, without one, on the node's own (BEP 5).
    ///
    /// # Errors
    /// Nobody to ask, or no outcome in time. That nodes refuse or are silent is told in the outcome.
    pub async fn announce(&self, info_hash: Target, port: Option<u16>) -> Result<FoundPeers, Error> {
        self.peers(Want::Announce { info_hash, port }).await
    }

    async fn peers(&self, want: Want) -> Result<FoundPeers, Error> {
        let mut query = self.start(want, false);
        let mut peers = Vec::new();
        while let Some(progress) = query.try_next().await? {
            if let Progress::Peers(found) = progress {
                peers.extend(found);
            }
        }
        Ok(FoundPeers { peers, outcome: query.outcome().await? })
    }

    /// Asks the node at `addr` for a sign of life.
    ///
    /// # Errors
    /// It gave none, or no packet can be sent there.
    pub async fn ping(&self, addr: SocketAddr) -> Result<Answered, Error> {
        let mut query = self.start(Want::Ping(addr), true);
        while let Some(progress) = query.try_next().await? {
            if let Progress::Answered(answered) = progress {
                return Ok(answered);
            }
        }
        Err(Error::NoAnswer(addr))
    }

    /// Walks towards `target` and gives each node that answers, as it does.
    pub fn lookup(&self, target: Target) -> Lookup {
        Lookup { query: self.start(Want::FindNode(target), true) }
    }

    /// The routing table, the farthest first.
    ///
    /// # Errors
    /// The node was shut down.
    pub async fn contacts(&self) -> Result<Vec<Known>, Error> {
        self.ask(Command::Contacts).await
    }

    /// The counters.
    ///
    /// # Errors
    /// The node was shut down.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.ask(Command::Stats).await
    }

    /// Remembers `addr` as a node of the network, to be asked when no other is known.
    ///
    /// # Errors
    /// No packet can be sent there, or too many are remembered already.
    pub async fn add_bootstrap(&self, addr: SocketAddr) -> Result<(), Error> {
        Ok(self.ask(|reply| Command::AddBootstrap(addr, reply)).await??)
    }

    /// Keeps an item alive until the node is told to [`forget`](Self::forget) it, or ends: announces it as soon as
    /// somebody is known, and then once an hour (BEP 44, "Expiration"), without anybody's secret key. It neither expires
    /// nor makes room for others. What becomes of each announcement is told by [`events`](Self::events), and so is a newer
    /// version that somebody else has written: that one is kept from then on. A node with a data directory keeps it
    /// after a restart as well. A read-only node needs memory for it ([`Builder::capacity`](crate::Builder::capacity)).
    ///
    /// # Errors
    /// There is no memory for it, it is not an item within the limits, or a newer version is stored.
    pub async fn keep(&self, item: impl Into<AnyItem>) -> Result<(), Error> {
        let item = item.into();
        Ok(self.ask(|reply| Command::Keep(item, reply)).await??)
    }

    /// Stops keeping what is kept at `target`: it expires like any other. False if nothing is.
    ///
    /// # Errors
    /// The node was shut down.
    pub async fn forget(&self, target: Target) -> Result<bool, Error> {
        self.ask(|reply| Command::Forget(target, reply)).await
    }

    /// What the node keeps alive, the next to be announced first.
    ///
    /// # Errors
    /// The node was shut down.
    pub async fn kept(&self) -> Result<Vec<KeptItem>, Error> {
        self.ask(Command::Kept).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = async_channel::bounded(1);
        self.shared.command(command(reply))?;
        answer.recv().await.map_err(|_| Error::Closed)
    }

    /// What happens from now on to the items that the node stores, and to those that it keeps alive. Ends with the node, and does not keep it
    /// running.
    ///
    /// # Errors
    /// The node was shut down.
    pub fn events(&self) -> Result<NodeEvents, Error> {
        let (events, receiver) = async_channel::bounded(EVENTS);
        self.shared.command(Command::Subscribe(events))?;
        Ok(NodeEvents(Box::pin(receiver)))
    }

    /// Ends the node, whoever still holds a handle: their calls fail with [`Error::Closed`].
    pub fn shutdown(&self) {
        // If the driver is gone already, all is well.
        let _ = self.shared.command(Command::Shutdown);
    }
}

#[derive(Debug)]
enum State {
    Running,
    Ended(Outcome),
    Failed(Error),
}

/// A query that runs: a stream of what happens, which ends with the query or after an error. Dropping it cancels the
/// query.
#[derive(Debug)]
#[must_use = "dropping it cancels the query"]
pub struct Query {
    shared: Arc<Shared>,
    ticket: Ticket,
    /// Pinned, so that the query itself need not be.
    progress: Pin<Box<Receiver<Progress>>>,
    state: State,
}

impl Query {
    /// What happens next: what `StreamExt::next` does, for who has no such trait at hand.
    pub async fn next(&mut self) -> Option<Result<Progress, Error>> {
        StreamExt::next(self).await
    }

    /// Waits for the end, and passes over everything before it.
    ///
    /// # Errors
    /// The query was not started or took too long.
    pub async fn outcome(mut self) -> Result<Outcome, Error> {
        while self.try_next().await?.is_some() {}
        match &self.state {
            State::Ended(outcome) => Ok(outcome.clone()),
            State::Failed(error) => Err(*error),
            // Not reached: the stream has ended.
            State::Running => Err(Error::Closed),
        }
    }

    /// The outcome, once the query has ended.
    #[must_use]
    pub const fn ended(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            State::Running | State::Failed(_) => None,
        }
    }
}

impl Stream for Query {
    type Item = Result<Progress, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !matches!(self.state, State::Running) {
            return Poll::Ready(None);
        }
        let progress = ready!(self.progress.as_mut().poll_next(cx)).unwrap_or(Progress::Failed(Error::Closed));
        Poll::Ready(match progress {
            Progress::Ended(outcome) => {
                self.state = State::Ended(outcome);
                None
            }
            Progress::Failed(error) => {
                self.state = State::Failed(error);
                Some(Err(error))
            }
            progress => Some(Ok(progress)),
        })
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        if matches!(self.state, State::Running) {
            // If the driver is gone, so is the query.
            let _ = self.shared.command(Command::Cancel(self.ticket));
        }
    }
}

/// Improving versions of a mutable item: a stream that ends when no newer one exists, or after an error. Dropping it
/// cancels the query.
#[derive(Debug)]
#[must_use = "dropping it cancels the query"]
pub struct Versions {
    query: Query,
}

impl Versions {
    /// The next version, newer than those before: what `StreamExt::next` does, for who has no such trait at hand.
    pub async fn next(&mut self) -> Option<Result<Mutable, Error>> {
        StreamExt::next(self).await
    }

    /// Who was asked and who answered, once there is nothing more to come.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.query.ended()
    }
}

impl Stream for Versions {
    type Item = Result<Mutable, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.query).poll_next(cx)) {
                Some(Ok(Progress::Found(AnyItem::Mutable(item)))) => Some(Ok(item)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

/// The steps of a walk: a stream of the nodes that have answered, which ends with the walk, or after an error. Dropping
/// it cancels the query.
#[derive(Debug)]
#[must_use = "dropping it cancels the query"]
pub struct Lookup {
    query: Query,
}

impl Lookup {
    /// The next node that has answered: what `StreamExt::next` does, for who has no such trait at hand.
    pub async fn next(&mut self) -> Option<Result<Answered, Error>> {
        StreamExt::next(self).await
    }

    /// Who was asked and who answered, once the walk is finished.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.query.ended()
    }
}

impl Stream for Lookup {
    type Item = Result<Answered, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.query).poll_next(cx)) {
                Some(Ok(Progress::Answered(answered))) => Some(Ok(answered)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

/// What happens to the items that a node stores for others: a stream that ends with the node.
#[derive(Debug)]
#[must_use = "events are told only from here on"]
pub struct NodeEvents(Pin<Box<Receiver<NodeEvent>>>);

impl NodeEvents {
    /// The next event: what `StreamExt::next` does, for who has no such trait at hand.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        StreamExt::next(self).await
    }
}

impl Stream for NodeEvents {
    type Item = NodeEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}
