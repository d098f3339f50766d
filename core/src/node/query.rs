//! One query of ours: what it is for, what it has found, and what an answer means to it. Nothing that a peer sends is
//! kept before it is checked. How queries ask, what comes back, and what is told of them is in the files beside this one.

use crate::addr::{CompactAddr, Family};
use crate::crypto::{PublicKey, Signature, sha1};
use crate::event::Outcome;
use crate::id::{ID_LEN, Target};
use crate::item::{Change, ImmutableItem, Item, ItemError, MAX_VALUE, MutableItem, Salt, judge};
use crate::links::{Link, Linked, Slot};
use crate::list::Empty;
use crate::lookup::{Candidate, Lookup, Marks, State, Storing};
use crate::store::Store;
use crate::table::K;
use crate::time::Instant;
use crate::wire::{Code, Method, Reply, Want};

/// The order of the queries that may have a packet to send (and, apart from it, of the free slots).
pub(super) const READY: usize = 0;
/// The order of the queries that have something to tell.
pub(super) const UNTOLD: usize = 1;

/// How many of the closest nodes are read before a kept item is stored: more than 8, because more than 8 copies are
/// needed to spare it, and some more, because copies are left where the closest nodes have changed.
const READ_BEFORE_KEEPING: u8 = 12;

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Ping,
    FindNode,
    GetImmutable,
    GetMutable {
        newer_than: Option<i64>,
    },
    PutImmutable,
    PutMutable {
        cas: Option<i64>,
    },
    GetPeers,
    Announce {
        port: Option<u16>,
    },
    /// Announcing an item that the node keeps: first it is read.
    Keep {
        mutable: bool,
    },
}

impl Aim {
    /// Whether a walk is followed by storing on the nodes that it found.
    pub(super) const fn stores(self) -> bool {
        matches!(self, Self::PutImmutable | Self::PutMutable { .. } | Self::Announce { .. } | Self::Keep { .. })
    }

    pub(super) const fn is_mutable_keep(self) -> bool {
        matches!(self, Self::Keep { mutable: true })
    }

    /// Whether it is the node's own, and tells nothing but how it ended.
    pub(super) const fn keeps(self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Walking,
    Storing,
    /// Over, and not told yet.
    Ended,
}

/// A query that runs. Opaque: a place for the node to work in, of some 3 KiB.
#[derive(Debug)]
pub struct QuerySlot {
    pub(super) phase: Phase,
    /// Started by the node itself: nobody is told of it.
    pub(super) internal: bool,
    pub(super) in_ready: bool,
    pub(super) in_untold: bool,
    /// Whether `value` is an item that was found, and has yet to be told.
    pub(super) value_untold: bool,
    /// A sequence number with two values has been seen, and has yet to be told.
    pub(super) equivocal: bool,
    /// Octets of peers in `value` that have been told.
    pub(super) peers_told: u16,
    /// Counts the queries that have used this slot, so that old handles name nothing.
    pub(super) generation: u32,
    pub(super) aim: Aim,
    pub(super) family: Family,
    pub(super) started: Instant,
    pub(super) lookup: Lookup,
    /// The item that is being put, or the best that was found; its key and so on only if it is mutable. For `get_peers`,
    /// the peers in compact form.
    pub(super) value: heapless::Vec<u8, MAX_VALUE, u16>,
    pub(super) salt: Salt,
    pub(super) key: PublicKey,
    pub(super) signature: Signature,
    pub(super) seq: i64,
    /// How many more nodes have returned `value` than another value with the same number.
    pub(super) lead: u16,
    /// What identifies that other value, which was verified.
    pub(super) rival: Option<[u8; ID_LEN]>,
    /// `value` holds an item.
    pub(super) holds_item: bool,
    /// Answers with a value that was not the item.
    pub(super) invalid: u16,
    /// The highest sequence number that [`Outcome::newest`] is about.
    pub(super) newest: Option<i64>,
    /// When the query was over.
    pub(super) ended: Instant,
    /// What this node itself has made of the item that is being put.
    pub(super) own: Storing,
    /// The query for the same in the other family, of which the application knows only one.
    twin: Option<Slot>,
    /// The application knows the twin.
    pub(super) follows: bool,
    /// The highest sequence number that has been told.
    pub(super) told: Option<i64>,
    /// For the orders [`READY`] and [`UNTOLD`].
    links: [Link; 2],
}

impl Empty for QuerySlot {
    const EMPTY: Self = Self {
        phase: Phase::Free,
        internal: false,
        in_ready: false,
        in_untold: false,
        value_untold: false,
        equivocal: false,
        peers_told: 0,
        generation: 0,
        aim: Aim::Ping,
        family: Family::V4,
        started: Instant::ZERO,
        lookup: Lookup::new(Target::ZERO),
        value: heapless::Vec::new(),
        salt: heapless::Vec::new(),
        key: PublicKey([0; 32]),
        signature: Signature([0; 64]),
        seq: 0,
        lead: 0,
        rival: None,
        holds_item: false,
        invalid: 0,
        newest: None,
        ended: Instant::ZERO,
        twin: None,
        own: Storing::Unsent,
        follows: false,
        told: None,
        links: [Link::EMPTY; 2],
    };
}

impl Linked for QuerySlot {
    fn links(&self) -> &[Link] {
        &self.links
    }

    fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }
}

impl QuerySlot {
    /// Makes the slot as good as new, whatever node it has served before.
    pub(super) fn reset(&mut self) {
        self.clear();
        self.generation = 0;
    }

    /// Makes the slot free, whatever was in it.
    pub(super) fn clear(&mut self) {
        self.phase = Phase::Free;
        self.in_ready = false;
        self.in_untold = false;
        self.links = [Link::EMPTY; 2];
    }

    pub(super) fn begin(&mut self, now: Instant, target: Target, aim: Aim, family: Family) {
        self.phase = Phase::Walking;
        self.internal = false;
        self.value_untold = false;
        self.equivocal = false;
        self.peers_told = 0;
        self.generation = self.generation.wrapping_add(1);
        self.aim = aim;
        self.family = family;
        self.started = now;
        self.lookup.restart(target);
        self.lookup.needs_tokens = aim.stores();
        if aim.keeps() {
            self.lookup.more = READ_BEFORE_KEEPING - K as u8;
        }
        self.value.clear();
        self.salt.clear();
        self.lead = 0;
        self.rival = None;
        self.holds_item = false;
        self.invalid = 0;
        self.newest = None;
        self.ended = now;
        self.twin = None;
        self.own = Storing::Unsent;
        self.follows = false;
        self.told = None;
    }

    /// Makes it the query for the same in the other family as `twin`, which the application knows if this one follows.
    pub(super) fn tie(&mut self, twin: Slot, follows: bool) {
        self.twin = Some(twin);
        self.follows = follows;
    }

    /// The query for the same in the other family.
    pub(super) fn twin(&self) -> Option<Slot> {
        self.twin.filter(|_| Family::ARE_TWO)
    }

    /// The mutable item in this slot.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn mutable_item(&self) -> Option<MutableItem<'_>> {
        MutableItem::of_canonical(self.key, &self.salt, self.seq, &self.value, self.signature).ok()
    }

    pub(super) fn item(&self) -> Option<Item<'_>> {
        match self.aim {
            Aim::GetMutable { .. } | Aim::PutMutable { .. } | Aim::Keep { mutable: true } => {
                self.mutable_item().map(Item::Mutable)
            }
            _ => ImmutableItem::of_canonical(&self.value).ok().map(Item::Immutable),
        }
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn keep(&mut self, value: &[u8], seq: i64, signature: Signature) {
        self.value.clear();
        // Values are at most MAX_VALUE long: they came out of an item.
        let _ = self.value.extend_from_slice(value);
        self.seq = seq;
        self.signature = signature;
        self.lead = 1;
        self.holds_item = true;
        self.value_untold = true;
    }

    /// What the question to a node of the walk is.
    pub(super) fn question(&self) -> Method<'static> {
        let (target, want) = (*self.lookup.target(), Want::UNSAID);
        match self.aim {
            Aim::Ping => Method::Ping,
            Aim::FindNode => Method::FindNode { target, want },
            Aim::GetPeers | Aim::Announce { .. } => Method::GetPeers { info_hash: target, want },
            Aim::GetMutable { newer_than } => Method::Get { target, seq: newer_than, want },
            Aim::GetImmutable | Aim::PutImmutable | Aim::PutMutable { .. } | Aim::Keep { .. } => {
                Method::Get { target, seq: None, want }
            }
        }
    }

    /// Takes in what an answer brings besides nodes, and returns whether it is the newest version of the item. Nothing
    /// that a peer sends is kept before it is checked; each distinct value is verified once.
    pub(super) fn take_in(&mut self, from: &CompactAddr, reply: &Reply<'_>) -> bool {
        match self.aim {
            Aim::Ping | Aim::FindNode => false,
            Aim::GetPeers | Aim::Announce { .. } => {
                self.take_peers(from, reply);
                false
            }
            Aim::GetImmutable | Aim::PutImmutable | Aim::Keep { mutable: false } => self.take_immutable(reply),
            Aim::GetMutable { newer_than } => self.take_mutable(reply, newer_than),
            Aim::Keep { mutable: true } => self.take_mutable(reply, None),
            Aim::PutMutable { .. } => self.take_earlier(reply),
        }
    }

    fn take_peers(&mut self, from: &CompactAddr, reply: &Reply<'_>) {
        let len = self.family.compact_len();
        let Some(values) = reply.values else { return };
        for peer in values {
            let mut compact = heapless::Vec::<u8, { CompactAddr::MAX_LEN }>::new();
            if peer.family() == self.family
                && peer.is_plausible(from)
                && peer.write_compact(&mut compact).is_some()
                && !self.value.chunks_exact(len).any(|known| known == compact.as_slice())
            {
                // Beyond the first 166 peers (55 over IPv6), more are of no use to anybody.
                let _ = self.value.extend_from_slice(&compact);
            }
        }
    }

    fn take_immutable(&mut self, reply: &Reply<'_>) -> bool {
        let Some(value) = reply.value else { return false };
        match ImmutableItem::new(value) {
            Ok(item) if item.target() == *self.lookup.target() => {
                if !self.holds_item {
                    self.keep(value, 0, Signature([0; 64]));
                }
                true
            }
            _ => {
                self.invalid = self.invalid.saturating_add(1);
                false
            }
        }
    }

    /// The mutable item in an answer, if it is whole and one of our key. Its signature is not verified.
    fn mutable_in<'a>(&'a self, reply: &Reply<'a>) -> Option<MutableItem<'a>> {
        if reply.key.is_some_and(|key| *key != self.key.0) {
            return None;
        }
        MutableItem::new(self.key, &self.salt, reply.seq?, reply.value?, Signature(*reply.signature?)).ok()
    }

    fn take_mutable(&mut self, reply: &Reply<'_>, newer_than: Option<i64>) -> bool {
        // Without a value the node only says what it holds; "nothing newer" is one of the things that it may mean.
        if reply.value.is_none() {
            return false;
        }
        let Some(found) = self.mutable_in(reply) else {
            self.invalid = self.invalid.saturating_add(1);
            return false;
        };
        let seq = found.seq();
        if newer_than.is_some_and(|known| seq <= known) || (self.holds_item && seq < self.seq) {
            return false;
        }
        let same_number = self.holds_item && seq == self.seq;
        if same_number && found.value() == self.value.as_slice() {
            self.lead = self.lead.saturating_add(1);
            return true;
        }
        let digest = same_number.then(|| digest(&found));
        let verified = digest.is_some() && digest == self.rival;
        if !verified && found.verify().is_err() {
            self.invalid = self.invalid.saturating_add(1);
            return false;
        }
        let greater = found.value() > self.value.as_slice();
        let mut lead = 1;
        if same_number {
            // Two values with one number, as when two writers did not know of each other. What most nodes hold is what the
            // others will come to hold; where they are even, everybody must choose alike, whoever answered first.
            self.equivocal = true;
            if self.lead > 1 || (self.lead == 1 && !greater) {
                self.lead -= 1;
                self.rival = digest;
                return false;
            }
            lead = 1 - self.lead;
            self.rival = self.mutable_item().map(|item| self::digest(&item));
        }
        if let (Some(value), Some(signature)) = (reply.value, reply.signature) {
            self.keep(value, seq, Signature(*signature));
            self.lead = lead;
        }
        self.newest = Some(seq);
        true
    }

    /// What was stored before a put: whether it is what is being put, and how new the newest is.
    fn take_earlier(&mut self, reply: &Reply<'_>) -> bool {
        if reply.value.is_none() {
            return false;
        }
        let Some(found) = self.mutable_in(reply) else {
            self.invalid = self.invalid.saturating_add(1);
            return false;
        };
        let seq = found.seq();
        if seq == self.seq && found.value() == self.value.as_slice() {
            self.newest = self.newest.max(Some(seq));
            return true;
        }
        // An older version than what the put expects, or replaces, decides nothing: it need not be verified.
        let Aim::PutMutable { cas } = self.aim else { return false };
        let matters = seq >= self.seq || cas.is_some_and(|expected| seq > expected);
        if !matters || self.newest.is_some_and(|newest| newest >= seq) {
            return false;
        }
        if found.verify().is_ok() {
            self.newest = Some(seq);
        } else {
            self.invalid = self.invalid.saturating_add(1);
        }
        false
    }

    /// Whether the node has this version of what is kept: it returned the value, or at least says this number.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn has(aim: Aim, seq: i64, candidate: &Candidate) -> bool {
        candidate.state == State::Answered
            && match aim {
                Aim::Keep { mutable: true } => candidate.seq() == Some(seq),
                _ => candidate.marks.has(Marks::COPY),
            }
    }

    /// Whether what is kept need not be stored (BEP 44, "Expiration"): more than 8 nodes have this version, and all of
    /// the 8 closest that would take it do.
    pub(super) fn is_plentiful(&self) -> bool {
        let has = |candidate: &&Candidate| Self::has(self.aim, self.seq, candidate);
        let candidates = self.lookup.candidates();
        let takes = |known: &&Candidate| known.state == State::Answered && !known.token.is_empty();
        candidates.iter().filter(has).count() > K && candidates.iter().filter(takes).take(K).filter(has).count() == K
    }

    /// Another version is to be stored: on those as well who were sent the one before.
    pub(super) fn begin_storing_anew(&mut self) {
        for candidate in self.lookup.candidates_mut() {
            if matches!(candidate.storing, Storing::Sent | Storing::Again | Storing::Accepted) {
                candidate.storing = Storing::Unsent;
                candidate.marks.set(Marks::RESENT, false);
            }
        }
    }

    /// What this node's own store makes of the item that is being put; none if nothing is.
    pub(super) fn judge(&self, store: &Store<'_>) -> Option<Result<Change, ItemError>> {
        let cas = match self.aim {
            Aim::PutMutable { cas } => cas,
            Aim::PutImmutable => None,
            _ => return None,
        };
        let item = self.item()?;
        Some(match (item.as_mutable(), store.get_mutable(self.lookup.target())) {
            (Some(new), Some(stored)) => judge(&stored, new, cas),
            _ => Ok(Change::ReplaceIfVerified),
        })
    }

    /// Which sequence number a storing node is told to compare with. One that holds an older version than expected is
    /// told that older one: it missed an update, but that is no conflict. Nor is it one to hold the very version that is
    /// being put, as after an earlier attempt. One that holds nothing is told none (BEP 44, "CAS").
    pub(super) fn cas_for(cas: Option<i64>, candidate: &Candidate) -> Option<i64> {
        let (cas, held) = (cas?, candidate.seq()?);
        Some(if candidate.marks.has(Marks::COPY) { held } else { cas.min(held) })
    }

    /// Whether somebody holds a version newer than the put expects, and not the one that is being put.
    fn conflicts(&self) -> bool {
        let Aim::PutMutable { cas: Some(expected) } = self.aim else { return false };
        if self.own == Storing::refused(Code::CasMismatch) {
            return true;
        }
        let is_ours =
            self.newest == Some(self.seq) && self.lookup.candidates().iter().any(|known| known.marks.has(Marks::COPY));
        self.newest > Some(expected) && !is_ours
    }

    /// Passes over nodes that are next to be stored on, but hold nothing, if the condition of the put has failed elsewhere
    /// already: storing there would only divide the nodes. Says whether there were any.
    pub(super) fn pass_over(&mut self) -> bool {
        let conflict = self.conflicts();
        let mut passed_over = false;
        while let Some(candidate) = self.lookup.next_to_store_on()
            && conflict
            && candidate.seq().is_none()
        {
            candidate.storing = Storing::Skipped;
            passed_over = true;
        }
        passed_over
    }

    /// Whether the walk need not go on: everything that was wanted is there.
    pub(super) fn is_satisfied(&self) -> bool {
        self.aim == Aim::GetImmutable && self.holds_item
    }

    pub(super) fn has_untold(&self) -> bool {
        self.phase == Phase::Ended || (!self.aim.keeps() && self.has_untold_findings())
    }

    /// Whether there is something to tell besides the end.
    pub(super) fn has_untold_findings(&self) -> bool {
        self.value_untold
            || self.equivocal
            || self.lookup.candidates().iter().any(|candidate| candidate.marks.has(Marks::UNTOLD))
            || self.has_untold_peers()
    }

    /// Whether what became of storing somewhere has not been told.
    pub(super) fn has_untold_puts(&self) -> bool {
        let is_untold = |known: &Candidate| !known.marks.has(Marks::STORING_TOLD) && known.storing != Storing::Unsent;
        self.lookup.candidates().iter().any(is_untold)
    }

    pub(super) fn has_untold_peers(&self) -> bool {
        matches!(self.aim, Aim::GetPeers | Aim::Announce { .. }) && usize::from(self.peers_told) < self.value.len()
    }

    /// What has become of the query so far: counted when it is asked for, since an answer may still come until then.
    pub(super) fn outcome(&self) -> Outcome {
        let lookup = &self.lookup;
        let mut outcome = Outcome {
            asked: lookup.asked,
            answered: lookup.answered,
            failed: lookup.failed,
            invalid: self.invalid,
            newest: self.newest,
            elapsed: self.ended.since(self.started),
            ..Outcome::EMPTY
        };
        if let Storing::Refused(code) = self.own {
            outcome.reject(code.into());
        }
        for candidate in lookup.candidates() {
            if candidate.state == State::Answered {
                outcome.hops = outcome.hops.max(candidate.hop);
            }
            outcome.copies += u16::from(self.is_copy(candidate));
            match candidate.storing {
                Storing::Accepted => outcome.accepted += 1,
                Storing::Refused(code) | Storing::Unable(code) => outcome.reject(code.into()),
                Storing::NeedsToken | Storing::AskedForToken => outcome.reject(Code::Protocol.number().into()),
                Storing::Silent | Storing::Sent | Storing::Again | Storing::Doubtful | Storing::Checking => {
                    outcome.silent += 1;
                }
                Storing::Unsent | Storing::Skipped => {}
            }
        }
        outcome
    }

    /// Whether the candidate returned the item, in its newest version.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn is_copy(&self, candidate: &Candidate) -> bool {
        let newest = match self.aim {
            Aim::Keep { .. } => return Self::has(self.aim, self.seq, candidate),
            Aim::GetMutable { newer_than } if !self.holds_item => newer_than,
            Aim::GetMutable { .. } | Aim::PutMutable { .. } => Some(self.seq),
            _ => None,
        };
        // Who only says that there is nothing newer than what we know counts as well (BEP 44, "get").
        let silent_copy = !self.holds_item && newest.is_some() && candidate.seq() == newest;
        silent_copy || (candidate.marks.has(Marks::COPY) && (newest.is_none() || candidate.seq() == newest))
    }

    /// Whether a node has accepted what was put.
    pub(super) fn is_accepted(&self) -> bool {
        self.lookup.candidates().iter().any(|candidate| candidate.storing == Storing::Accepted)
    }
}

/// What tells two versions with one sequence number apart, in little room.
#[cfg_attr(feature = "opt-size", inline(never))]
fn digest(item: &MutableItem<'_>) -> [u8; ID_LEN] {
    sha1(&[&item.signature().0, item.value()])
}
