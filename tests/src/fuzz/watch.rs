//! A node whose every call is watched: what it promises is checked after each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::addr::CompactAddr;
use bep44_core::item::{MAX_SALT, MAX_VALUE};
use bep44_core::{
    Capacity, Config, Instant, Item, MAX_DATAGRAM, Node, Outcome, PutResult, QueryError, QueryHandle, Storage,
};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::datagram::{Id, Value, Writer, sha1};
use crate::script::{Kept, Told, id_of};

/// The longest answer without a value, and the longest refusal: BEP 32's 1,024 octets, and what a text and an echoed
/// transaction id of 64 octets take.
const LONGEST_ANSWER: usize = 1_024;
const LONGEST_REFUSAL: usize = 200;

/// Octets that an item takes at most in the memory for values.
const LARGEST_ITEM: usize = 6 + 105 + MAX_SALT + MAX_VALUE;

/// How long all queries together may take, when nobody answers any of them.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// An item's name: its target, and whether it is mutable.
pub(super) type Name = (Id, bool);

/// What a query of ours is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    Get(Id),
    GetMutable(Id, Option<i64>),
    Put,
    Peers,
    Other,
}

/// A query that runs, and what was told of it.
#[derive(Debug)]
struct Running {
    aim: Aim,
    found: Option<i64>,
    /// The number with which two values were seen.
    equivocal: Option<i64>,
    answered: u16,
    accepted: u16,
    refused: u16,
}

/// A question that the node has sent.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) to: SocketAddr,
    pub(super) message: Value,
}

/// A node, and what a host would know of it.
pub(super) struct Watch {
    pub(super) node: Node<'static>,
    pub(super) config: Config,
    capacity: Capacity,
    /// The latest moment that the node was told.
    pub(super) now: Instant,
    /// The latest questions.
    pub(super) questions: VecDeque<Question>,
    running: BTreeMap<u64, Running>,
    /// Handles of queries that are over.
    pub(super) over: Vec<QueryHandle>,
    /// The items that are stored, as they were after the last call.
    kept: BTreeMap<Name, Kept>,
    /// The items that are stored, as the events have told.
    told: BTreeMap<Name, Kept>,
    /// Calls since the last event was fetched.
    behind: usize,
    /// Whether what is stored may expire sooner after this call than before it.
    may_shorten: bool,
}

impl Watch {
    pub(super) fn new(capacity: Capacity, config: Config, now: Instant) -> Self {
        Self {
            node: Node::new(Storage::boxed(&capacity), &config, now),
            config,
            capacity,
            now,
            questions: VecDeque::new(),
            running: BTreeMap::new(),
            over: Vec::new(),
            kept: BTreeMap::new(),
            told: BTreeMap::new(),
            behind: 0,
            may_shorten: false,
        }
    }

    /// The items that are stored.
    pub(super) fn kept(&self) -> &BTreeMap<Name, Kept> {
        &self.kept
    }

    /// The handles of the queries that run.
    pub(super) fn running(&self) -> Vec<QueryHandle> {
        self.running.keys().map(|bits| QueryHandle::from_bits(*bits)).collect()
    }

    // --- what has happened ---

    /// Time has passed until `now`.
    pub(super) fn timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
        self.now = self.now.max(now);
        self.check();
    }

    /// A datagram has arrived.
    pub(super) fn hand(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Value> {
        // Time that passes may end a query of ours, and that may store an item.
        self.timeout(self.now);
        let (before, peers) = (self.kept.clone(), self.node.peers().count());
        let mut buf = [0; MAX_DATAGRAM];
        let answer = self.node.handle_datagram(self.now, from, datagram, &mut buf);
        let answer = answer.map(|answer| {
            assert_eq!(answer.to, from);
            check_answer(from, answer.datagram)
        });
        if let Some(answer) = &answer {
            assert!(!self.config.read_only, "a read-only node answers nobody");
            if answer.get("y") == Some(&"r".into()) {
                assert_eq!(id_of(answer), Some(*self.node.id().as_bytes()));
            }
        }
        self.check();
        if answer.as_ref().is_some_and(|answer| answer.get("e").is_some()) {
            assert_eq!(before, self.kept, "what is refused changes nothing");
            assert_eq!(peers, self.node.peers().count(), "what is refused changes nothing");
        }
        answer
    }

    /// A command was given.
    pub(super) fn started(&mut self, aim: Aim, query: Result<QueryHandle, QueryError>) -> Option<QueryHandle> {
        let handle = query.ok()?;
        let running = Running { aim, found: None, equivocal: None, answered: 0, accepted: 0, refused: 0 };
        assert!(!self.over.contains(&handle), "a handle is not given twice");
        assert!(self.running.insert(handle.to_bits(), running).is_none(), "a handle is not given twice");
        assert!(self.running.len() <= self.capacity.queries);
        self.check();
        Some(handle)
    }

    /// A query is given up.
    pub(super) fn cancel(&mut self, handle: QueryHandle) {
        self.node.cancel(handle);
        if self.running.remove(&handle.to_bits()).is_some() {
            self.over.push(handle);
        }
        self.check();
    }

    /// An item is taken back.
    pub(super) fn restore(&mut self, item: &Item<'_>, remaining: Duration, good: bool) {
        let name = (*item.target().as_bytes(), item.as_mutable().is_some());
        let restored = self.node.restore_item(self.now, item, remaining);
        assert_eq!(restored.is_ok(), good);
        // A newer version that is taken back brings its own time.
        self.may_shorten = true;
        self.check();
        self.may_shorten = false;
        if restored == Ok(true) {
            let kept = self.kept.get(&name).expect("what was taken back is stored").clone();
            self.told.insert(name, kept);
        }
    }

    // --- what is to be done ---

    /// The next packet, if there is one.
    pub(super) fn transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buf = [0; MAX_DATAGRAM];
        let packet = self.node.poll_transmit(self.now, &mut buf).map(|sent| (sent.to, sent.datagram.to_vec()));
        self.check();
        let (to, datagram) = packet?;
        assert!(CompactAddr::from(to).is_usable(), "a packet to {to}");
        let contacts = if to.is_ipv4() { self.capacity.contacts } else { self.capacity.contacts6 };
        assert!(contacts > 0, "a packet in a family that the node is not in");
        let message = Value::decode(&datagram).expect("a packet is canonical");
        assert_eq!(message.get("y"), Some(&"q".into()));
        assert_eq!(id_of(&message), Some(*self.node.id().as_bytes()));
        assert_eq!(message.get("ro").is_some(), self.config.read_only);
        assert_eq!(message.get("t").and_then(Value::bytes).map(<[u8]>::len), Some(4));
        if self.questions.len() == 64 {
            self.questions.pop_front();
        }
        self.questions.push_back(Question { to, message });
        Some((to, datagram))
    }

    /// The next event, if there is one.
    pub(super) fn event(&mut self) -> Option<Told> {
        let told = self.node.poll_event().map(Told::from);
        match told.clone() {
            None => self.all_told(),
            Some(Told::Stored(kept)) => {
                self.told.insert(name_of(&kept), kept);
            }
            Some(Told::Replaced(kept)) => {
                let seq = kept.seq();
                let before = self.told.insert(name_of(&kept), kept).expect("the host knows what is replaced");
                // The host may have taken the newer one back itself.
                assert!(before.seq() <= seq, "an older version replaces a newer one");
            }
            Some(Told::Refreshed(kept)) => {
                self.told.insert(name_of(&kept), kept).expect("the host knows what is refreshed");
            }
            Some(Told::Dropped(target, mutable, _)) => {
                assert!(self.told.remove(&(target, mutable)).is_some() || self.behind > 1, "dropped twice");
            }
            Some(Told::Answered(query, _, _, _)) => self.of(query).answered += 1,
            Some(Told::Found(query, kept)) => self.found(query, &kept),
            Some(Told::Equivocation(query, seq)) => {
                let running = self.of(query);
                assert!(matches!(running.aim, Aim::GetMutable(..) | Aim::Put));
                running.equivocal = Some(seq);
            }
            Some(Told::Peers(query, peers)) => {
                assert!(matches!(self.of(query).aim, Aim::Peers) && !peers.is_empty());
            }
            Some(Told::Put(query, _, result)) => {
                let running = self.of(query);
                assert!(matches!(running.aim, Aim::Put | Aim::Peers));
                running.accepted += u16::from(result == PutResult::Accepted);
                running.refused += u16::from(matches!(result, PutResult::Refused(_)));
            }
            Some(Told::Ended(query, outcome)) => self.ended(query, &outcome),
            Some(told @ (Told::Adopted(_) | Told::Announced(_))) => panic!("nothing is kept: {told:?}"),
        }
        told
    }

    /// A driver's turn: all packets, all events. After it, the node sleeps. Returns the packets.
    pub(super) fn turn(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut packets = Vec::new();
        while let Some(packet) = self.transmit() {
            packets.push(packet);
            assert!(packets.len() <= 2 * self.capacity.transactions + 50, "more questions than fit");
        }
        let mut events = 0;
        while self.event().is_some() {
            events += 1;
            assert!(events < 10_000, "events without end");
        }
        let next = self.node.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "the node would never sleep: {next:?} at {:?}", self.now);
        packets
    }

    /// Nobody answers any more: all queries end.
    pub(super) fn finish(&mut self) {
        let end = self.now + PATIENCE;
        self.turn();
        while !self.running.is_empty() {
            let next = self.node.poll_timeout().expect("a query waits for something");
            assert!(next < end, "a query does not end");
            self.timeout(next);
            self.turn();
        }
    }

    // --- checks ---

    fn of(&mut self, query: QueryHandle) -> &mut Running {
        self.running.get_mut(&query.to_bits()).expect("an event of a query that runs")
    }

    fn found(&mut self, query: QueryHandle, kept: &Kept) {
        let running = self.of(query);
        match running.aim {
            Aim::Get(target) => {
                assert!(kept.mutable.is_none() && kept.target == target);
                assert_eq!(running.found.replace(0), None, "there is one version of an immutable item");
            }
            Aim::GetMutable(target, newer_than) => {
                assert_eq!(kept.target, target);
                let seq = kept.seq().expect("a mutable item");
                assert!(newer_than < Some(seq), "{newer_than:?} {seq}");
                // Of two values with one number, another may be taken in the end.
                let newer = running.found < Some(seq) || running.equivocal == Some(seq);
                assert!(newer && running.found <= Some(seq), "only a newer version is told");
                running.found = Some(seq);
            }
            Aim::Put | Aim::Peers | Aim::Other => panic!("nobody looks for an item: {kept:?}"),
        }
        check_item(kept);
    }

    fn ended(&mut self, query: QueryHandle, outcome: &Outcome) {
        let running = self.running.remove(&query.to_bits()).expect("a query ends once");
        self.over.push(query);
        assert!(outcome.answered >= running.answered.min(1) && outcome.answered <= outcome.asked, "{outcome:?}");
        assert_eq!(outcome.accepted, running.accepted, "{outcome:?}");
        assert!(outcome.refused() >= running.refused, "{outcome:?}");
        if let (Aim::GetMutable(..), Some(found)) = (running.aim, running.found) {
            assert!(outcome.newest >= Some(found), "{outcome:?} {found}");
            assert!(outcome.copies > 0 || outcome.newest.is_some(), "{outcome:?}");
        }
    }

    /// All events are fetched: the host knows what is stored.
    fn all_told(&mut self) {
        if self.behind > 1 {
            // Of several drops in a row, some may not be told.
            self.told.retain(|name, _| self.kept.contains_key(name));
        }
        self.behind = 0;
        if self.config.report_items {
            assert_eq!(self.told, self.kept, "the events tell what is stored");
        } else {
            self.told.clone_from(&self.kept);
        }
    }

    /// What holds at any time.
    fn check(&mut self) {
        self.behind += 1;
        let (node, capacity) = (&self.node, &self.capacity);
        let kept: Vec<Kept> = node.items().map(|stored| Kept::from(&stored)).collect();
        assert!(kept.len() <= capacity.items && node.item_octets() <= capacity.values);
        assert!(kept.is_sorted_by_key(|kept| kept.expires), "the next to expire comes first");
        let life = self.config.item_lifetime;
        for item in &kept {
            assert!(item.expires > self.now && item.expires <= self.now + life, "{item:?}");
        }
        let kept: BTreeMap<Name, Kept> = kept.into_iter().map(|kept| (name_of(&kept), kept)).collect();
        assert_eq!(kept.len(), node.items().count(), "an item is stored once");
        for (name, new) in &kept {
            let before = self.kept.get(name);
            if before.is_none_or(|before| (&before.value, &before.mutable) != (&new.value, &new.mutable)) {
                check_item(new);
                assert!(before.is_none_or(|before| before.seq() < new.seq()), "an older version replaces a newer one");
            }
            assert!(self.may_shorten || before.is_none_or(|before| before.expires <= new.expires));
        }
        let was_full = self.kept.len() >= capacity.items
            || self.kept.values().map(octets_of).sum::<usize>() + LARGEST_ITEM > capacity.values;
        for (name, before) in &self.kept {
            let gone = !kept.contains_key(name);
            assert!(!gone || before.expires <= self.now || was_full, "lost without need: {before:?}");
        }
        self.kept = kept;

        assert!(node.peers().count() <= capacity.peers);
        assert!(node.peers().all(|peer| peer.addr.is_usable() && peer.expires > self.now));
        let contacts: BTreeSet<_> = node.contacts().map(|contact| contact.addr()).collect();
        assert_eq!(contacts.len(), node.contacts().count(), "a contact has an address of its own");
        assert!(contacts.iter().filter(|addr| addr.is_ipv4()).count() <= capacity.contacts);
        assert!(contacts.iter().filter(|addr| addr.is_ipv6()).count() <= capacity.contacts6);
        assert!(node.contacts().all(|contact| contact.id() != node.id()), "no node is its own contact");
        let stats = node.stats();
        assert!(stats.asked >= stats.answered + stats.timed_out, "{stats:?}");
    }
}

fn name_of(kept: &Kept) -> Name {
    (kept.target, kept.mutable.is_some())
}

fn octets_of(kept: &Kept) -> usize {
    6 + kept.value.len() + kept.mutable.as_ref().map_or(0, |mutable| 105 + mutable.salt.len())
}

/// An item is within the limits, canonical, under its own target, and well signed.
fn check_item(kept: &Kept) {
    assert!(kept.value.len() <= MAX_VALUE);
    assert!(Value::decode(&kept.value).is_ok() || kept.value.len() > 39, "{kept:?}");
    let Some(mutable) = &kept.mutable else { return assert_eq!(kept.target, sha1(&kept.value)) };
    assert!(mutable.seq >= 0 && mutable.salt.len() <= MAX_SALT);
    assert_eq!(kept.target, sha1(&[&mutable.key[..], &mutable.salt].concat()));
    let key = VerifyingKey::from_bytes(mutable.key[..].try_into().expect("32 octets")).expect("a key");
    let signature = Signature::from_slice(&mutable.signature).expect("64 octets");
    let signed = Writer::signed(&mutable.salt, mutable.seq, &kept.value);
    key.verify_strict(&signed, &signature).expect("a valid signature");
}

/// An answer is canonical, tells the asker its address, and is no longer than it may be. Returns it.
pub(super) fn check_answer(to: SocketAddr, answer: &[u8]) -> Value {
    assert!(answer.len() <= MAX_DATAGRAM);
    let message = Value::decode(answer).expect("an answer is canonical");
    assert_eq!(message.get("ip").and_then(Value::bytes), Some(&crate::datagram::compact(to)[..]));
    assert!(message.get("t").and_then(Value::bytes).is_some_and(|id| !id.is_empty() && id.len() <= 64));
    match message.get("r") {
        None => assert!(answer.len() <= LONGEST_REFUSAL, "a refusal of {} octets", answer.len()),
        Some(content) if content.get("v").is_none() => {
            assert!(answer.len() <= LONGEST_ANSWER, "an answer of {} octets", answer.len());
        }
        Some(_) => {}
    }
    message
}
