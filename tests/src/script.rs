//! One node, and around it nodes of the network that follow a script, in a time of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::{
    Capacity, Config, DropReason, Event, Instant, Item, MAX_DATAGRAM, Node, Outcome, PutResult, QueryHandle, Rate,
    Storage, Stored,
};

use crate::datagram::{Id, Value, addr, compact_nodes, dict, error, query, reply, sha1};

/// A configuration without budgets, so that a test may ask as often as it likes.
#[must_use]
pub fn config() -> Config {
    Config { joins: false, queries: Rate::UNLIMITED, verifications: Rate::UNLIMITED, ..Config::new([7; 32]) }
}

/// Capacities of both families, small enough to be filled.
#[must_use]
pub const fn capacity() -> Capacity {
    Capacity { contacts: 64, contacts6: 64, transactions: 64, queries: 8, items: 32, values: 32 * 1024, peers: 64 }
}

/// A copy of an item that is stored, or was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Where it is stored.
    pub target: Id,
    /// The bencoded value.
    pub value: Vec<u8>,
    /// What a mutable item has besides.
    pub mutable: Option<SignedBy>,
    /// When it will be dropped.
    pub expires: Instant,
}

/// What a mutable item has besides its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedBy {
    /// The public key.
    pub key: Vec<u8>,
    /// The salt.
    pub salt: Vec<u8>,
    /// The sequence number.
    pub seq: i64,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Kept {
    fn new(item: &Item<'_>, expires: Instant) -> Self {
        let mutable = item.as_mutable().map(|item| SignedBy {
            key: item.key().0.to_vec(),
            salt: item.salt().to_vec(),
            seq: item.seq(),
            signature: item.signature().0.to_vec(),
        });
        Self { target: *item.target().as_bytes(), value: item.value().to_vec(), mutable, expires }
    }

    /// The sequence number of a mutable item.
    #[must_use]
    pub fn seq(&self) -> Option<i64> {
        self.mutable.as_ref().map(|mutable| mutable.seq)
    }
}

impl From<&Stored<'_>> for Kept {
    fn from(stored: &Stored<'_>) -> Self {
        let kept = Self::new(&stored.item, stored.expires);
        assert_eq!(kept.target, *stored.target.as_bytes(), "an item is stored under its target");
        kept
    }
}

/// A copy of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// [`Event::ItemStored`].
    Stored(Kept),
    /// [`Event::ItemReplaced`].
    Replaced(Kept),
    /// [`Event::ItemRefreshed`].
    Refreshed(Kept),
    /// [`Event::ItemDropped`]: its target, whether it was mutable, and why.
    Dropped(Id, bool, DropReason),
    /// [`Event::Answered`]: who, where, and after how many answers.
    Answered(QueryHandle, Id, SocketAddr, u8),
    /// [`Event::Found`].
    Found(QueryHandle, Kept),
    /// [`Event::Equivocation`]: the sequence number.
    Equivocation(QueryHandle, i64),
    /// [`Event::Peers`].
    Peers(QueryHandle, Vec<SocketAddr>),
    /// [`Event::Put`]: where, and what became of it.
    Put(QueryHandle, SocketAddr, PutResult),
    /// [`Event::Ended`].
    Ended(QueryHandle, Outcome),
    /// [`Event::Adopted`].
    Adopted(Kept),
    /// [`Event::Announced`].
    Announced(Announced),
}

/// A copy of [`Event::Announced`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Where the item is stored.
    pub target: Id,
    /// The sequence number of a mutable one.
    pub seq: Option<i64>,
    /// Whether storing was spared.
    pub skipped: bool,
    /// Who had it, who accepted it.
    pub outcome: Outcome,
    /// When it is announced next.
    pub next: Instant,
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::ItemStored(stored) => Self::Stored((&stored).into()),
            Event::ItemReplaced(stored) => Self::Replaced((&stored).into()),
            Event::ItemRefreshed(stored) => Self::Refreshed((&stored).into()),
            Event::ItemDropped { target, mutable, reason } => Self::Dropped(*target.as_bytes(), mutable, reason),
            Event::Answered { query, node, addr, hop, .. } => Self::Answered(query, *node.as_bytes(), addr, hop),
            Event::Found { query, item } => Self::Found(query, Kept::new(&item, Instant::ZERO)),
            Event::Equivocation { query, seq } => Self::Equivocation(query, seq),
            Event::Peers { query, peers } => Self::Peers(query, peers.collect()),
            Event::Put { query, addr, result, .. } => Self::Put(query, addr, result),
            Event::Ended { query, outcome } => Self::Ended(query, outcome),
            Event::Adopted(stored) => Self::Adopted((&stored).into()),
            Event::Announced { target, seq, skipped, outcome, next } => {
                Self::Announced(Announced { target: *target.as_bytes(), seq, skipped, outcome, next })
            }
            other => panic!("an event that the tests do not know: {other:?}"),
        }
    }
}

/// What a scripted node does with a query.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Replies with this content (its id is added).
    Reply(Value),
    /// Refuses with this code.
    Error(i64),
    /// Sends this whole message.
    Whole(Value),
    /// Sends this message from another address.
    From(SocketAddr, Value),
    /// Nothing.
    Silence,
}

/// What a scripted node does instead of what it would do otherwise: given the whole query, it may answer.
pub type Act = Box<dyn FnMut(&Value) -> Option<Answer>>;

/// A scripted node of the network.
pub struct Remote {
    /// Its id.
    pub id: Id,
    /// The write token that it gives, if it gives any.
    pub token: Option<Vec<u8>>,
    /// The nodes that it names.
    pub nodes: Vec<(Id, SocketAddr)>,
    /// What it answers to `get` and `get_peers` besides.
    pub content: Value,
    /// What it answers to `put` and `announce_peer`.
    pub on_put: Answer,
    /// From the question to the answer.
    pub delay: Duration,
    /// The queries that it was sent.
    pub asked: Vec<Value>,
    /// What it does instead, where this has an answer.
    pub act: Option<Act>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("id", &self.id).field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Remote {
    /// A node that answers everything, names nobody and stores nothing.
    #[must_use]
    pub fn new(id: Id) -> Self {
        Self {
            id,
            token: Some(b"token".to_vec()),
            nodes: Vec::new(),
            content: dict(),
            on_put: Answer::Reply(dict()),
            delay: Duration::from_millis(20),
            asked: Vec::new(),
            act: None,
        }
    }

    /// The same with something that it does instead, where `act` has an answer.
    #[must_use]
    pub fn acting(self, act: impl FnMut(&Value) -> Option<Answer> + 'static) -> Self {
        Self { act: Some(Box::new(act)), ..self }
    }

    /// The same with what it answers to `get` and `get_peers` besides token and nodes.
    #[must_use]
    pub fn holding(self, content: Value) -> Self {
        Self { content, ..self }
    }

    /// The queries of one method that it was sent, their arguments.
    #[must_use]
    pub fn asked_for(&self, method: &str) -> Vec<&Value> {
        let is_it = |query: &&Value| query.get("q") == Some(&method.into());
        self.asked.iter().filter(is_it).filter_map(|query| query.get("a")).collect()
    }

    fn answer(&mut self, query: &Value) -> Option<(Option<SocketAddr>, Value)> {
        self.asked.push(query.clone());
        let transaction = query.get("t").and_then(Value::bytes).expect("a transaction id");
        let answer = match self.act.as_mut().and_then(|act| act(query)) {
            Some(answer) => answer,
            None => self.usual(query),
        };
        match answer {
            Answer::Reply(content) => Some((None, reply(transaction, self.id, content))),
            Answer::Error(code) => Some((None, error(transaction, code, "no"))),
            Answer::Whole(message) => Some((None, message)),
            Answer::From(addr, message) => Some((Some(addr), message)),
            Answer::Silence => None,
        }
    }

    fn usual(&self, query: &Value) -> Answer {
        let nodes = compact_nodes(&self.nodes);
        let with_token = |content: Value| match &self.token {
            Some(token) => content.with("token", token.clone()),
            None => content,
        };
        match query.get("q").and_then(Value::bytes) {
            Some(b"find_node") => Answer::Reply(dict().with("nodes", nodes)),
            Some(b"get" | b"get_peers") => Answer::Reply(with_token(self.content.clone().with("nodes", nodes))),
            Some(b"put" | b"announce_peer") => self.on_put.clone(),
            _ => Answer::Reply(dict()),
        }
    }
}

/// One node, the network around it, and the time.
#[derive(Debug)]
pub struct Script<'m> {
    /// The node.
    pub node: Node<'m>,
    /// The time.
    pub now: Instant,
    /// What the node has told.
    pub events: Vec<Told>,
    /// The network.
    pub remotes: BTreeMap<SocketAddr, Remote>,
    /// What the node has sent unasked, and where to.
    pub sent: Vec<(SocketAddr, Value)>,
    /// Answers on their way, by the time of their arrival.
    underway: BTreeMap<(Instant, u64), (SocketAddr, Value)>,
    count: u64,
}

impl Script<'static> {
    /// A node of the usual capacity.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&capacity(), &config())
    }

    /// A node of another capacity or with other settings.
    #[must_use]
    pub fn with(capacity: &Capacity, config: &Config) -> Self {
        Self::of(Node::new(Storage::boxed(capacity), config, Instant::from_secs(1_000)))
    }
}

impl Default for Script<'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'m> Script<'m> {
    /// A node that was made elsewhere, 1,000 seconds after its epoch.
    #[must_use]
    pub fn of(node: Node<'m>) -> Self {
        Self {
            node,
            now: Instant::from_secs(1_000),
            events: Vec::new(),
            remotes: BTreeMap::new(),
            sent: Vec::new(),
            underway: BTreeMap::new(),
            count: 0,
        }
    }

    // --- the node is asked ---

    /// Hands a datagram to the node; returns the answer. Nothing else moves.
    ///
    /// # Panics
    /// If the answer is not addressed to the asker.
    pub fn hand(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut buf = [0; MAX_DATAGRAM];
        let answer = self.node.handle_datagram(self.now, from, datagram, &mut buf)?;
        assert_eq!(answer.to, from);
        Some(answer.datagram.to_vec())
    }

    /// Asks the node; returns the answer.
    ///
    /// # Panics
    /// If the answer is not canonical, or is not one to this query, or does not tell the asker its address.
    pub fn ask(&mut self, from: SocketAddr, query: &Value) -> Option<Value> {
        let answer = self.hand(from, &query.encode())?;
        let answer = Value::decode(&answer).expect("an answer is canonical");
        assert_eq!(answer.get("t"), query.get("t"), "an answer echoes the transaction id");
        assert_eq!(answer.get("ip").and_then(Value::bytes), Some(&crate::datagram::compact(from)[..]));
        match answer.get("y").and_then(Value::bytes) {
            Some(b"r") => assert_eq!(id_of(&answer), Some(*self.node.id().as_bytes()), "a reply has our id"),
            Some(b"e") => {
                let [code, text] = answer.get("e").and_then(Value::items).expect("a list") else { panic!("two items") };
                assert!(code.int().is_some() && text.bytes().is_some());
            }
            _ => panic!("{answer:?} is no answer"),
        }
        Some(answer)
    }

    /// Asks the node; returns the content of its reply, or the code of its error.
    ///
    /// # Errors
    /// The code.
    ///
    /// # Panics
    /// If there is no answer, besides what [`ask`](Self::ask) panics for.
    pub fn content(&mut self, from: SocketAddr, query: &Value) -> Result<Value, i64> {
        let answer = self.ask(from, query).unwrap_or_else(|| panic!("no answer to {query:?}"));
        match answer.get("e") {
            None => Ok(answer.get("r").expect("r").clone()),
            Some(error) => Err(error
                .items()
                .and_then(|items| items[0].int())
                .and_then(|code| i64::try_from(code).ok())
                .expect("a code")),
        }
    }

    /// `get`: the content of the reply.
    pub fn get(&mut self, from: SocketAddr, target: Id) -> Value {
        self.content(from, &query("get", dict().with("target", target))).expect("a get is never refused")
    }

    /// The token that the node gives for `target`.
    pub fn token(&mut self, from: SocketAddr, target: Id) -> Vec<u8> {
        let reply = self.get(from, target);
        reply.get("token").and_then(Value::bytes).expect("a token").to_vec()
    }

    /// `put` with a token that was asked for just before: `arguments` has neither id nor token.
    ///
    /// # Errors
    /// The code.
    pub fn put(&mut self, from: SocketAddr, arguments: &Value) -> Result<Value, i64> {
        let token = self.token(from, target_of(arguments));
        self.content(from, &query("put", arguments.clone().with("token", token)))
    }

    /// All items that the node stores, sorted.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept: Vec<_> = self.node.items().map(|stored| Kept::from(&stored)).collect();
        kept.sort();
        kept
    }

    /// Lets time pass, and nothing else happen.
    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.node.handle_timeout(self.now);
    }

    // --- the node asks ---

    /// Adds a node to the network.
    pub fn add(&mut self, at: SocketAddr, remote: Remote) {
        self.remotes.insert(at, remote);
    }

    /// Adds a node to the network and makes it a contact.
    pub fn befriend(&mut self, at: SocketAddr, remote: Remote) {
        self.add(at, remote);
        let ping = self.node.ping(self.now, at).expect("a ping");
        self.finish(ping);
    }

    /// A scripted node that was added.
    ///
    /// # Panics
    /// If there is none there.
    #[must_use]
    pub fn remote(&self, at: SocketAddr) -> &Remote {
        &self.remotes[&at]
    }

    /// Sends all that the node has to send, and notes all that it has to tell. Returns what was sent.
    ///
    /// # Panics
    /// If that does not come to an end, or a packet is not canonical or too long.
    pub fn turn(&mut self) -> Vec<(SocketAddr, Value)> {
        let sent = self.send();
        self.tell();
        sent
    }

    /// Sends all that the node has to send, as a host does that is slow to look at events. Returns what was sent.
    ///
    /// # Panics
    /// As [`turn`](Self::turn).
    pub fn send(&mut self) -> Vec<(SocketAddr, Value)> {
        let mut sent = Vec::new();
        let mut buf = [0; MAX_DATAGRAM];
        while let Some(packet) = self.node.poll_transmit(self.now, &mut buf) {
            let query = Value::decode(packet.datagram).expect("a packet is canonical");
            sent.push((packet.to, query));
            assert!(sent.len() < 10_000, "the node never has enough");
        }
        for (to, query) in &sent {
            let Some(remote) = self.remotes.get_mut(to) else { continue };
            let arrival = self.now + remote.delay;
            if let Some((from, answer)) = remote.answer(query) {
                self.count += 1;
                self.underway.insert((arrival, self.count), (from.unwrap_or(*to), answer));
            }
        }
        self.sent.extend(sent.iter().cloned());
        sent
    }

    /// Notes all that the node has to tell.
    pub fn tell(&mut self) {
        while let Some(event) = self.node.poll_event() {
            self.events.push(event.into());
        }
    }

    /// Lets the next thing happen: an answer arrives, or the node's deadline has come. False if nothing will happen
    /// before `end`, and then it is `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        self.turn();
        let arrival = self.underway.keys().next().map(|(arrival, _)| *arrival);
        let deadline = self.node.poll_timeout();
        let Some(next) = [arrival, deadline].into_iter().flatten().min().filter(|next| *next <= end) else {
            self.now = self.now.max(end);
            self.node.handle_timeout(self.now);
            self.turn();
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|arrival| arrival <= self.now) {
            let (_, (from, answer)) = self.underway.pop_first().expect("an answer");
            assert_eq!(self.hand(from, &answer.encode()), None, "an answer is not answered");
        } else {
            // As a host that sleeps at least so long.
            self.now = self.now.max(next) + Duration::from_micros(1);
            self.node.handle_timeout(self.now);
        }
        true
    }

    /// Hands over all answers that have arrived by now.
    pub fn deliver(&mut self) {
        while let Some(first) = self.underway.first_entry().filter(|first| first.key().0 <= self.now) {
            let (from, answer) = first.remove();
            self.hand(from, &answer.encode());
        }
    }

    /// Lets things happen for so long.
    ///
    /// # Panics
    /// If the node wakes up absurdly often.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        while self.step(end) {
            steps += 1;
            assert!(steps < 1_000_000, "the node does not sleep");
        }
    }

    /// Lets things happen until the query has ended; returns its outcome.
    ///
    /// # Panics
    /// If it does not end within ten minutes.
    pub fn finish(&mut self, handle: QueryHandle) -> Outcome {
        let end = self.now + Duration::from_secs(600);
        let mut goes_on = true;
        loop {
            self.tell();
            let ended = self.events.iter().find_map(|event| match event {
                Told::Ended(query, outcome) if *query == handle => Some(outcome.clone()),
                _ => None,
            });
            if let Some(outcome) = ended {
                return outcome;
            }
            assert!(goes_on, "the query does not end");
            goes_on = self.step(end);
        }
    }

    /// What was told of announcements of kept items.
    #[must_use]
    pub fn announced(&self) -> Vec<Announced> {
        let of = |event: &Told| match event {
            Told::Announced(announced) => Some(announced.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// The items that a query has found, in the order in which it told them.
    #[must_use]
    pub fn found(&self, handle: QueryHandle) -> Vec<Kept> {
        let of = |event: &Told| match event {
            Told::Found(query, kept) if *query == handle => Some(kept.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}

/// The node id in a message.
#[must_use]
pub fn id_of(message: &Value) -> Option<Id> {
    let content = message.get("r").or(message.get("a"))?;
    content.get("id")?.bytes()?.try_into().ok()
}

/// The target of the item in the arguments of a put.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn target_of(arguments: &Value) -> Id {
    match arguments.get("k").and_then(Value::bytes) {
        Some(key) => {
            let salt = arguments.get("salt").and_then(Value::bytes).unwrap_or_default();
            sha1(&[key, salt].concat())
        }
        None => sha1(&arguments.get("v").expect("v").encode()),
    }
}

/// An address for the scripted node number `number`, each in a network of its own.
#[must_use]
pub fn place(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    addr(&format!("60.{high}.{low}.9:{}", 6_000 + number % 1_000))
}
