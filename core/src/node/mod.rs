//! The node: where the tables meet. Its public methods are here; what they do is in the other files of this folder:
//! [`serve`] answers strangers; [`query`] is one query of ours, which starts and asks in [`asking`], goes on in
//! [`answers`] and is reported by [`telling`]; [`keep`] announces items again; [`upkeep`] keeps the routing table and the
//! clock.

mod answers;
mod asking;
mod keep;
mod query;
mod serve;
mod telling;
mod upkeep;

use core::net::SocketAddr;

use crate::addr::{CompactAddr, Family, PerFamily};
use crate::config::{Config, Settings};
use crate::crypto::PublicKey;
use crate::error::{KeepError, QueryError};
use crate::event::{Event, Kept, QueryHandle, Stored, Transmit};
use crate::id::{NodeId, Target};
use crate::item::{Item, ItemError, MAX_SALT};
use crate::limit::Limit;
use crate::links::{Index, Order};
use crate::list::Slots;
use crate::memory::Storage;
use crate::peers::{Peer, Peers};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::store::Store;
use crate::table::{Contact, Table};
use crate::time::{Duration, Instant};
use crate::token::Tokens;
use crate::transactions::Transactions;
use crate::wire::{self, Message, ParseError};

pub use query::QuerySlot;
use query::{Aim, READY, UNTOLD};
use upkeep::Upkeep;

/// Octets of the largest datagram that a node sends: what fits into one Ethernet frame over IPv6. The
/// buffers given to a node must have so many.
pub const MAX_DATAGRAM: usize = 1_452;

/// Bootstrap addresses that are remembered.
pub const MAX_BOOTSTRAP: usize = 16;

/// A node of the DHT that does nothing by itself: it has no socket, clock, thread, allocator or source of randomness.
///
/// # The contract
///
/// *What has happened* is told to it: a datagram ([`handle_datagram`](Self::handle_datagram)), the passing of time
/// ([`handle_timeout`](Self::handle_timeout)), and, where the host learns of it, that an address cannot be reached
/// ([`handle_unreachable`](Self::handle_unreachable)).
///
/// *What is wanted* are the commands ([`get`](Self::get), [`put`](Self::put) and so on). They return a handle at once and
/// send nothing by themselves; what comes of them is told by events with this handle, of which
/// [`Event::Ended`] is the last.
///
/// *What is to be done* is asked of it, after anything of the above: [`poll_transmit`](Self::poll_transmit) until it has
/// no packet left, [`poll_event`](Self::poll_event) until it has no event left, and then the host sleeps until a datagram
/// arrives or the moment comes that [`poll_timeout`](Self::poll_timeout) names.
///
/// Calls in another order, or more of them, are harmless: a packet that is not fetched is a question that is not asked
/// yet, an event that is not fetched is merged with later ones, and nothing piles up. `now` never runs backwards inside:
/// an earlier moment counts as the latest that was seen.
///
/// The same memory sizes, configuration and calls give the same packets and events, octet for octet, on every machine.
///
/// # The run loop
///
/// ```no_run
/// use bep44_core::{Config, Instant, MAX_DATAGRAM, Node, TinyMemory};
/// use std::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let start = std::time::Instant::now();
/// let now = || Instant::from_micros(start.elapsed().as_micros() as u64);
/// let mut memory = Box::new(TinyMemory::new());
/// let mut node = Node::new(&mut *memory, &Config::new([42; 32]), now());
/// let (mut incoming, mut outgoing) = ([0; 2_048], [0; MAX_DATAGRAM]);
/// loop {
///     // 1. Send all that is due.
///     while let Some(packet) = node.poll_transmit(now(), &mut outgoing) {
///         socket.send_to(packet.datagram, packet.to)?;
///     }
///     // 2. Take note of what has happened.
///     while let Some(event) = node.poll_event() {
///         println!("{event:?}");
///     }
///     // 3. Wait for a datagram, or until the node has something to do.
///     let wait = node.poll_timeout().map(|at| at.since(now()).max(std::time::Duration::from_micros(1)));
///     socket.set_read_timeout(wait)?;
///     match socket.recv_from(&mut incoming) {
///         // 4. Tell the node what has happened; an answer to a stranger is to be sent at once.
///         Ok((len, from)) => {
///             if let Some(answer) = node.handle_datagram(now(), from, &incoming[..len], &mut outgoing) {
///                 socket.send_to(answer.datagram, answer.to)?;
///             }
///         }
///         Err(_) => node.handle_timeout(now()),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Node<'m> {
    id: NodeId,
    config: Settings,
    /// The latest moment that was seen.
    now: Instant,
    rng: Rng,
    stats: Stats,
    tables: PerFamily<Table<'m>>,
    transactions: Transactions<'m>,
    queries: Slots<'m, QuerySlot>,
    /// Queries that may have a packet to send.
    ready: Order<READY>,
    /// Queries that have something to tell.
    untold: Order<UNTOLD>,
    store: Store<'m>,
    peers: Peers<'m>,
    tokens: Tokens,
    query_limit: Limit,
    verification_limit: Limit,
    bootstrap: heapless::Vec<CompactAddr, MAX_BOOTSTRAP, u8>,
    upkeep: Upkeep,
    /// No announcement of a kept item begins before.
    announce_from: Instant,
}

impl<'m> Node<'m> {
    /// A node that works in `storage` and knows nobody yet. What was in the memory before does not matter.
    #[must_use]
    pub fn new(storage: impl Into<Storage<'m>>, config: &Config, now: Instant) -> Self {
        let Storage { contacts, contacts6, transactions, mut queries, items, values, peers } = storage.into();
        let mut rng = Rng::new(config.seed);
        // Drawn even if it is given, so that all else is the same with and without.
        let drawn = NodeId::new(rng.octets());
        let id = config.id.unwrap_or(drawn);
        let index = Index::new(rng.u64());
        for slot in &mut *queries {
            slot.reset();
        }
        Self {
            id,
            config: config.into(),
            now,
            stats: Stats::default(),
            tables: PerFamily::from([contacts, contacts6]).map(|contacts| Table::new(id, contacts, now)),
            transactions: Transactions::new(transactions, index),
            queries,
            ready: Order::EMPTY,
            untold: Order::EMPTY,
            store: Store::new(items, values, config.item_lifetime, rng.u64(), config.report_items),
            peers: Peers::new(peers, config.peer_lifetime, rng.u64()),
            tokens: Tokens::new(now, &mut rng),
            query_limit: Limit::new(config.queries, index),
            verification_limit: Limit::new(config.verifications, index),
            bootstrap: heapless::Vec::new(),
            upkeep: Upkeep::new(now, config.joins && !config.read_only),
            announce_from: now,
            rng,
        }
    }

    // --- what has happened ---

    /// A datagram has arrived. If it was a stranger's question, the answer is written into `buf` (of at least
    /// [`MAX_DATAGRAM`] octets; a shorter one may leave questions unanswered) and is to be sent at once.
    ///
    /// Work is bounded: at most one signature is verified, and only for somebody with a valid token or in answer to a
    /// question of ours.
    #[must_use = "the answer is to be sent"]
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        buf: &'b mut [u8],
    ) -> Option<Transmit<'b>> {
        let now = self.advance(now);
        let addr = CompactAddr::from(from);
        if !addr.is_usable() {
            self.stats.ignored += 1;
            return None;
        }
        let len = match wire::parse(datagram) {
            Ok(Message::Query(query)) => self.serve(now, &addr, &query, buf),
            Err(ParseError::Refuse { transaction, refusal }) => self.refuse(now, &addr, transaction, refusal, buf),
            Ok(Message::Reply(reply)) => {
                self.on_reply(now, &addr, &reply);
                None
            }
            Ok(Message::Error(error)) => {
                self.on_error(now, &addr, &error);
                None
            }
            Err(ParseError::Drop) => {
                self.stats.ignored += 1;
                None
            }
        }?;
        Some(Transmit { to: from, datagram: buf.get(..len)? })
    }

    /// Time has passed. To be called when the moment of [`poll_timeout`](Self::poll_timeout) has come; harmless at any
    /// other.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The host has learned that no packet reaches `to` (an ICMP error, a closed port): what was asked there has failed.
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {
        let now = self.advance(now);
        self.on_unreachable(now, &to.into());
    }

    // --- what the application wants ---

    /// Remembers `addr` as a node of the network, to be asked when no contact is known. Sends nothing by itself: the
    /// next query does. [`MAX_BOOTSTRAP`] are remembered; more are refused, as are unusable ones.
    pub fn add_bootstrap(&mut self, addr: SocketAddr) -> Result<(), QueryError> {
        let addr = CompactAddr::from(addr);
        if !addr.is_usable() || !self.tables.get(addr.family()).has_room_at_all() {
            return Err(QueryError::UnusableAddress);
        }
        if !self.bootstrap.contains(&addr) {
            self.bootstrap.push(addr).map_err(|_| QueryError::Busy)?;
        }
        Ok(())
    }

    /// Joins the network: walks towards our own id, so that our neighbours are known to us and we to them (BEP 5,
    /// "Routing Table"). Most nodes also do so by themselves, and again from time to time ([`Config::joins`]).
    pub fn bootstrap(&mut self, now: Instant) -> Result<QueryHandle, QueryError> {
        self.note_join();
        self.find_node(now, self.id.into())
    }

    /// Walks towards `target`: the nodes closest to it are known at the end (BEP 5, "find_node").
    pub fn find_node(&mut self, now: Instant, target: Target) -> Result<QueryHandle, QueryError> {
        self.start(now, target, Aim::FindNode)
    }

    /// Looks for the immutable item at `target` (BEP 44). Ends with the first value whose hash is right.
    pub fn get(&mut self, now: Instant, target: Target) -> Result<QueryHandle, QueryError> {
        self.start_get(now, target)
    }

    /// Looks for the newest version of the mutable item of `key` and `salt` (empty: none), if it is newer than
    /// `newer_than` (BEP 44, "get" with `seq`). Asks all of the closest nodes, and tells each improvement as it comes.
    pub fn get_mutable(
        &mut self,
        now: Instant,
        key: &PublicKey,
        salt: &[u8],
        newer_than: Option<i64>,
    ) -> Result<QueryHandle, QueryError> {
        if salt.len() > MAX_SALT {
            return Err(ItemError::SaltTooBig(salt.len()).into());
        }
        self.start_get_mutable(now, key, salt, newer_than)
    }

    /// Stores `item` on the nodes closest to its target (BEP 44). A mutable item is signed already
    /// ([`MutableItem::sign`](crate::item::MutableItem::sign)): a node never sees a secret key.
    ///
    /// With `cas` the item is stored only where exactly this sequence number is stored, or nothing. A node that holds an
    /// older version is told to compare with that one; a node that holds nothing is not told to compare, and is passed
    /// over if a version newer than `cas` was seen elsewhere.
    pub fn put(&mut self, now: Instant, item: &Item<'_>, cas: Option<i64>) -> Result<QueryHandle, QueryError> {
        self.start_put(now, item, cas)
    }

    /// Keeps `item` alive until it is told to [`forget`](Self::forget) it: stores it here, and announces it as soon as
    /// somebody is known whom to ask, and then once an hour ([`Config::keep_interval`]; BEP 44, "Expiration"). No secret
    /// key is needed. What came of it is told by [`Event::Announced`]; an announcement takes a query until that is fetched.
    ///
    /// An announcement reads first. It stores nothing if more than 8 nodes have the item and among them the 8 closest. If
    /// it meets a newer version of a mutable item, or a stranger stores one here, that one is kept from then on, which is
    /// told by [`Event::Adopted`].
    ///
    /// The item takes memory among those stored for others, which are evicted for it; it neither expires nor is evicted
    /// itself. To keep another version, call this again; the number must be higher.
    pub fn keep(&mut self, now: Instant, item: &Item<'_>) -> Result<(), KeepError> {
        let now = self.advance(now);
        self.start_keeping(item, now)
    }

    /// Stops to keep what is kept at `target`: it is an item like any other, and expires. False if nothing is.
    pub fn forget(&mut self, now: Instant, target: &Target) -> bool {
        let now = self.advance(now);
        self.stop_keeping(now, target)
    }

    /// Looks for peers of `info_hash` (BEP 5, "get_peers").
    pub fn get_peers(&mut self, now: Instant, info_hash: Target) -> Result<QueryHandle, QueryError> {
        self.start(now, info_hash, Aim::GetPeers)
    }

    /// Announces that a peer of `info_hash` listens on this host (BEP 5, "announce_peer"): on `port`, or without one on
    /// the port that our datagrams come from. Peers found on the way are told as well.
    pub fn announce(&mut self, now: Instant, info_hash: Target, port: Option<u16>) -> Result<QueryHandle, QueryError> {
        self.start(now, info_hash, Aim::Announce { port: port.filter(|port| *port != 0) })
    }

    /// Asks the node at `addr` for a sign of life (BEP 5, "ping"). Its id and round trip come as [`Event::Answered`].
    pub fn ping(&mut self, now: Instant, addr: SocketAddr) -> Result<QueryHandle, QueryError> {
        self.start_ping(now, addr.into())
    }

    /// Ends a query without an outcome. A handle of one that has ended changes nothing.
    pub fn cancel(&mut self, query: QueryHandle) {
        self.release(query);
    }

    // --- what the caller should do ---

    /// The next packet to send, written into `buf`; none if nothing is due, or if `buf` is shorter than [`MAX_DATAGRAM`]
    /// octets.
    #[must_use = "the packet is to be sent"]
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn poll_transmit<'b>(&mut self, now: Instant, buf: &'b mut [u8]) -> Option<Transmit<'b>> {
        let now = self.advance(now);
        if buf.len() < MAX_DATAGRAM {
            // A question that does not fit would count as asked, and its silence against the node.
            return None;
        }
        let (to, len) = match self.next_question(now, buf) {
            Some(question) => question,
            None => self.next_upkeep(now, buf)?,
        };
        self.stats.asked += 1;
        Some(Transmit { to: to.into(), datagram: buf.get(..len)? })
    }

    /// The next thing to tell; none if all is told.
    #[must_use = "an event is told once"]
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        if self.untold.oldest().is_some() {
            // Nothing is told that its borrow would keep: looked at first, then lent.
            if let Some(told) = self.next_untold() {
                return self.lend(told);
            }
        }
        self.store.poll_report()
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next, if nothing else happens before. `None` for a
    /// node that waits for nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        // One by one: hosts ask this after every packet, simulators of a thousand nodes.
        let next = self.upkeep_deadline();
        let next = Instant::first(next, self.transactions.next_timeout());
        let next = Instant::first(next, self.store.next_expiry());
        let next = Instant::first(next, self.peers.next_expiry());
        Instant::first(next, self.keep_deadline())
    }

    // --- reading, to show, save and restore ---

    /// The node's id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// What has been counted since the start.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How long an answer takes, smoothed over all nodes; unknown before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.transactions.round_trip()
    }

    /// All contacts of both families, the farthest first.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        Family::ALL.into_iter().flat_map(|family| self.tables.get(family).contacts())
    }

    /// All items that are stored here, the next to expire first, and behind them those that the node keeps.
    pub fn items(&self) -> impl Iterator<Item = Stored<'_>> {
        self.store.iter()
    }

    /// All items that the node keeps, the next to be announced first.
    pub fn kept(&self) -> impl Iterator<Item = Kept<'_>> {
        self.store.kept()
    }

    /// All peers that are stored here, the next to expire first.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.peers.iter()
    }

    /// Octets of value memory in use, with each item's overhead.
    #[must_use]
    pub const fn item_octets(&self) -> usize {
        self.store.bytes()
    }

    /// Takes back an item that an earlier node had stored (an [`Event::ItemStored`] or [`items`](Self::items) told of
    /// it), with the time it has left. A mutable item's signature is verified again. True if it is stored now; false if
    /// a version at least as new is, if no time is left, or if it can never fit.
    pub fn restore_item(&mut self, now: Instant, item: &Item<'_>, remaining: Duration) -> Result<bool, ItemError> {
        let now = self.advance(now);
        if let Some(item) = item.as_mutable() {
            item.verify()?;
        }
        Ok(self.store.restore(now, &item.target(), item, remaining).unwrap_or(false))
    }

    /// Keeps an item again that an earlier node kept ([`kept`](Self::kept) told of it), with the time until it is to be
    /// announced: so a restart does not announce everything at once. Otherwise the same as [`keep`](Self::keep). Fastest
    /// if those come first that are announced first.
    pub fn restore_kept(&mut self, now: Instant, item: &Item<'_>, until_next: Duration) -> Result<(), KeepError> {
        let now = self.advance(now);
        self.start_keeping(item, now + until_next)
    }

    /// Takes back a peer that an earlier node knew ([`peers`](Self::peers) told of it), with the time it has left (at most
    /// [`Config::peer_lifetime`]). True if it is known now; false if it was already, if no time is left, if no packet can
    /// be sent to it, or if there is no memory for peers.
    pub fn restore_peer(
        &mut self,
        now: Instant,
        info_hash: Target,
        addr: SocketAddr,
        seed: bool,
        remaining: Duration,
    ) -> bool {
        let now = self.advance(now);
        let addr = CompactAddr::from(addr);
        addr.is_usable() && self.peers.restore(now, &info_hash, addr, seed, remaining)
    }

    /// Takes back a contact that an earlier node with the same id had ([`contacts`](Self::contacts) told of it). It is
    /// asked for a sign of life at once, asked by our queries, and named to others when it has answered. False if it is
    /// known, if no packet can be sent to it, or if there is no room where it belongs.
    pub fn restore_contact(&mut self, now: Instant, id: NodeId, addr: SocketAddr) -> bool {
        let now = self.advance(now);
        let addr = CompactAddr::from(addr);
        addr.is_usable() && self.take_back_contact(now, &id, &addr)
    }
}
