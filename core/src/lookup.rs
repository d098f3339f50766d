//! One walk towards a target (BEP 5; Kademlia's iterative lookup): whom to ask next, and when it is finished. Knows no
//! packets and no clock; what happens to its questions is told to it.

use crate::addr::CompactAddr;
use crate::id::{Distance, NodeId, Target};
use crate::list::{first_to_back, last_to_front};
use crate::table::K;
use crate::transactions::Age;
use crate::wire::Code;

/// Candidates that a walk remembers: the K that it is after, and spares for those that do not answer.
pub(crate) const SHORTLIST: usize = 20;

/// Octets of the longest token that is kept. The implementations that are in use send 4 to 20; a node with a longer one
/// cannot be stored on.
pub(crate) const MAX_TOKEN: usize = 32;

/// How many questions of one walk are in flight at once. More of them find faster, and cost the network more packets.
///
/// Whatever is said, there is at least one, and never more than 20 (as many nodes as a walk remembers). A question that
/// has grown late no longer counts, so that a silent node does not hold up the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallelism {
    /// As long as answers lead nearer to the target. Kademlia's α is 3; most implementations ask 4 to 8.
    pub narrow: u8,
    /// From an answer on that named nobody nearer: near the target every candidate is needed. Below `narrow` it counts
    /// as `narrow`.
    pub wide: u8,
}

impl Parallelism {
    /// 4, widening to 8: what more of either would gain is little, and paid with packets.
    ///
    /// Of a thousand simulated nodes with 5 % loss (`bep44 sim --report DIR`, where there are plots, other networks and the
    /// other percentiles), changing one at a time: the time to the first value beyond the unavoidable last hop in round
    /// trips of the median pair, at the median; the same time whole, 99 in 100; nodes that a read asks.
    ///
    /// | `narrow` | beyond the last hop | 99 in 100 | asked | | `wide` | beyond the last hop | 99 in 100 | asked |
    /// | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    /// | 1 | 2.19 | 1,476 ms | 7.1 | | | | | |
    /// | 2 | 1.38 | 1,022 ms | 11.0 | | | | | |
    /// | 3 | 1.17 | 748 ms | 13.4 | | 4 | 1.23 | 763 ms | 10.9 |
    /// | **4** | 1.04 | 713 ms | 14.5 | | 6 | 1.14 | 730 ms | 12.5 |
    /// | 6 | 0.99 | 655 ms | 16.0 | | **8** | 1.04 | 713 ms | 14.5 |
    /// | 8 | 0.98 | 651 ms | 17.3 | | 12 | 0.98 | 691 ms | 17.0 |
    /// | 12, `wide` too | 0.78 | 578 ms | 21.4 | | 16 | 0.98 | 679 ms | 17.7 |
    ///
    /// From 2 to 4, a question more at once saves a sixth of a round trip, and both 0.3 s of the slowest reads; from 4 to
    /// 8, all four together save a sixteenth of a round trip. Of 10,000 nodes (`--studies all`) 1 and 2 take 3.10 and 2.03
    /// round trips, 4 takes 1.59, 8 takes 1.37. Puts reach as many nodes with any (7.98 to 8.00 of 8).
    pub const DEFAULT: Self = Self { narrow: 4, wide: 8 };

    /// Questions at once at this stage of a walk.
    pub(crate) fn width(self, near: bool) -> usize {
        let width = if near { self.wide.max(self.narrow) } else { self.narrow };
        usize::from(width).clamp(1, SHORTLIST)
    }
}

/// Questions in one walk at most: ten times what a walk through the largest network takes. Otherwise a liar that always
/// names somebody nearer would keep it going for ever.
const MAX_ASKED: u16 = 500;

/// How often a candidate is asked: again when the latest question has grown late, because it or its answer may have been
/// lost.
const TRIES: u8 = 2;

/// The same in a walk that stores, where each of the closest nodes counts; and how often such a node is sent the item. There
/// is time for three within [patience](Age::Overdue), so that a node that is gone is waited for no longer than with two.
///
/// At 5 % loss a question fails in one of ten tries. With two, 7.857 of the 8 closest nodes were reached; with three, 7.980
/// (`bep44 sim --scenario lossy`).
const TRIES_TO_STORE: u8 = 3;

/// Each time that one question in so many was lost, there is one try more, and patience for it.
///
/// So 7.95 of 8 are reached at 10 % loss and 7.70 at 20 %; without, 7.88 and 7.22, in the same time (`bep44 sim --scenario
/// lossy --loss 0.2`).
const LOST_FOR_A_TRY: u16 = 12;

/// Tries at most: more do not fit into the time that a question stays open.
const MAX_TRIES: u8 = 6;

/// What has become of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not asked yet.
    Fresh,
    /// Asked, within the short timeout.
    Asked,
    /// Asked, past the short timeout: somebody else may be asked as well.
    Late,
    /// Asked, past patience: the walk may end without it.
    Overdue,
    /// Will not answer.
    Failed,
    /// Has answered.
    Answered,
}

/// How far the storing on a candidate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storing {
    /// Not sent to it.
    Unsent,
    /// Sent, not answered yet.
    Sent,
    /// Sent, and late: to be sent again, because it or its answer may have been lost.
    Again,
    /// Sent more than once, and refused because of what is stored there, which may be what was sent first: to be asked.
    Doubtful,
    /// It is being asked what it stores.
    Checking,
    /// It refused the token: it is asked for another, once.
    NeedsToken,
    /// It is being asked for another token.
    AskedForToken,
    /// It says that it has stored.
    Accepted,
    /// It refused, with this code; another node is no more likely to accept.
    Refused(i16),
    /// It refused for reasons of its own, with this code; the next closest takes its place.
    Unable(i16),
    /// It has not answered; the next closest takes its place.
    Silent,
    /// It holds nothing, and the condition of the put has failed elsewhere already.
    Skipped,
}

impl Storing {
    /// It refused with a code of ours.
    pub(crate) const fn refused(code: Code) -> Self {
        Self::Refused(code.number() as i16)
    }

    /// It cannot, and says so with a code of ours.
    pub(crate) const fn unable(code: Code) -> Self {
        Self::Unable(code.number() as i16)
    }
}

/// What is to be remembered of a candidate with yes or no, in one octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks(u8);

impl Marks {
    /// Its answer still has to be told to the application.
    pub(crate) const UNTOLD: Self = Self(1);
    /// What became of storing on it has been told to the application.
    pub(crate) const STORING_TOLD: Self = Self(2);
    /// It has given a second token.
    pub(crate) const RENEWED: Self = Self(4);
    /// The item has been sent to it more than once.
    pub(crate) const RESENT: Self = Self(8);
    /// It returned the newest value.
    pub(crate) const COPY: Self = Self(16);
    /// It has said which sequence number it holds.
    const SAID_SEQ: Self = Self(32);
    /// The latest question to it has grown late: it may be asked again.
    const DUE: Self = Self(64);

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(crate) const fn set(&mut self, mark: Self, on: bool) {
        if on {
            self.0 |= mark.0;
        } else {
            self.0 &= !mark.0;
        }
    }
}

/// A node that a walk knows of.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Its id; of a node of which only the address is known, none before it answers.
    pub(crate) id: Option<NodeId>,
    pub(crate) addr: CompactAddr,
    pub(crate) state: State,
    /// How often it was asked, or then sent the item.
    tries: u8,
    /// How many answers led to it: 0 for those known at the start.
    pub(crate) hop: u8,
    pub(crate) marks: Marks,
    pub(crate) storing: Storing,
    /// Microseconds between question and answer.
    pub(crate) round_trip: u32,
    /// The sequence number that it says to hold, if it has [said](Marks::SAID_SEQ) one.
    seq: i64,
    /// The write token that it gave; empty if none.
    pub(crate) token: heapless::Vec<u8, MAX_TOKEN, u8>,
}

impl Candidate {
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn distance(&self, target: &Target) -> Distance {
        self.id.map_or(Distance::MAX, |id| id.distance(target))
    }

    /// The sequence number that it says to hold.
    pub(crate) fn seq(&self) -> Option<i64> {
        self.marks.has(Marks::SAID_SEQ).then_some(self.seq)
    }

    /// The item is sent to it, for the first time or again.
    pub(crate) fn on_sent(&mut self) {
        let again = self.storing == Storing::Again;
        self.tries = if again { self.tries + 1 } else { 1 };
        self.marks.set(Marks::RESENT, again);
        self.storing = Storing::Sent;
    }

    pub(crate) fn set_seq(&mut self, seq: Option<i64>) {
        self.marks.set(Marks::SAID_SEQ, seq.is_some());
        self.seq = seq.unwrap_or_default();
    }

    /// Whether the walk still counts on it.
    fn is_alive(&self, needs_tokens: bool) -> bool {
        match self.state {
            State::Overdue | State::Failed => false,
            State::Answered => !needs_tokens || !self.token.is_empty(),
            State::Fresh | State::Asked | State::Late => true,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    target: Target,
    /// By distance; those of unknown id last.
    candidates: heapless::Vec<Candidate, SHORTLIST, u8>,
    /// The last answer named nobody nearer than was known.
    near: bool,
    /// The walk is after nodes to store on: one that gave no token does not count.
    pub(crate) needs_tokens: bool,
    /// How many nodes more than [`K`] are to have answered. (More, and not all: so that an unused slot is all zeros.)
    pub(crate) more: u8,
    pub(crate) asked: u16,
    pub(crate) answered: u16,
    pub(crate) failed: u16,
    /// Questions that were lost on the way, or their answers, as far as it is known: a later one was answered.
    lost: u16,
}

impl Lookup {
    pub(crate) const fn new(target: Target) -> Self {
        Self {
            target,
            candidates: heapless::Vec::new(),
            near: false,
            needs_tokens: false,
            more: 0,
            asked: 0,
            answered: 0,
            failed: 0,
            lost: 0,
        }
    }

    /// Begins another walk in the same memory.
    pub(crate) fn restart(&mut self, target: Target) {
        self.target = target;
        self.candidates.clear();
        self.near = false;
        self.needs_tokens = false;
        self.more = 0;
        self.asked = 0;
        self.answered = 0;
        self.failed = 0;
        self.lost = 0;
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    pub(crate) fn candidates_mut(&mut self) -> &mut [Candidate] {
        &mut self.candidates
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn candidate_mut(&mut self, addr: &CompactAddr) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.addr == *addr)
    }

    /// Makes the walk know of a node. One that is known already (by address or id), or is farther than all of a full
    /// shortlist, changes nothing. True if it is now the nearest of all.
    pub(crate) fn offer(&mut self, id: Option<NodeId>, addr: CompactAddr, hop: u8) -> bool {
        if self.asked >= MAX_ASKED {
            return false;
        }
        if let Some(id) = id
            && self.candidates.iter().any(|candidate| candidate.id == Some(id))
        {
            return false;
        }
        if let Some(at) = self.candidates.iter().position(|candidate| candidate.addr == addr) {
            // A node that was known by its address alone now has a place, unless it is about to tell its id itself.
            let Some(known) = self.candidates.get_mut(at).filter(|c| c.id.is_none() && c.state == State::Fresh) else {
                return false;
            };
            known.id = id;
            return self.settle(at) == 0;
        }
        let candidate = Candidate {
            id,
            addr,
            state: State::Fresh,
            tries: 0,
            hop,
            marks: Marks::default(),
            storing: Storing::Unsent,
            round_trip: 0,
            seq: 0,
            token: heapless::Vec::new(),
        };
        if self.candidates.is_full() {
            let distance = candidate.distance(&self.target);
            let movable = |known: &Candidate| !matches!(known.state, State::Asked | State::Late);
            let Some(farthest) = self.candidates.iter().rposition(movable) else { return false };
            let Some(place) = self.candidates.get_mut(farthest) else { return false };
            if place.distance(&self.target) <= distance {
                return false;
            }
            *place = candidate;
            return self.settle(farthest) == 0;
        }
        let last = self.candidates.len();
        self.candidates.push(candidate).is_ok() && self.settle(last) == 0
    }

    /// Moves the candidate at `at` to where its distance belongs, and returns that place.
    fn settle(&mut self, at: usize) -> usize {
        let target = self.target;
        let Some(distance) = self.candidates.get(at).map(|candidate| candidate.distance(&target)) else { return at };
        let nearer = |candidate: &Candidate| candidate.distance(&target) <= distance;
        let before = self.candidates.iter().take(at).take_while(|candidate| nearer(candidate)).count();
        if before < at {
            if let Some(part) = self.candidates.get_mut(before..=at) {
                last_to_front(part);
            }
            return before;
        }
        let behind = self.candidates.iter().skip(at + 1).take_while(|candidate| candidate.distance(&target) < distance);
        let place = at + behind.count();
        if let Some(part) = self.candidates.get_mut(at..=place) {
            first_to_back(part);
        }
        place
    }

    /// Whom to ask now, if anybody; it counts as asked. To be called until it returns none.
    pub(crate) fn next(&mut self, parallelism: Parallelism) -> Option<(CompactAddr, Option<NodeId>)> {
        let width = parallelism.width(self.near);
        if self.candidates.iter().filter(|candidate| candidate.state == State::Asked).count() >= width {
            return None;
        }
        let tries = self.tries();
        let mut counted = 0;
        for candidate in &mut self.candidates {
            match candidate.state {
                State::Fresh => {
                    candidate.state = State::Asked;
                    candidate.tries += 1;
                    self.asked = self.asked.saturating_add(1);
                    return Some((candidate.addr, candidate.id));
                }
                State::Late if candidate.marks.has(Marks::DUE) && candidate.tries < tries => {
                    candidate.marks.set(Marks::DUE, false);
                    candidate.tries += 1;
                    return Some((candidate.addr, candidate.id));
                }
                // May yet answer, but somebody else is asked meanwhile.
                State::Late => {}
                _ => counted += usize::from(candidate.is_alive(self.needs_tokens)),
            }
            if counted == K + usize::from(self.more) {
                break;
            }
        }
        None
    }

    /// The node has answered. Its candidate, unless the walk has dropped it meanwhile.
    pub(crate) fn on_answer(&mut self, addr: &CompactAddr, id: NodeId, round_trip: u32) -> Option<&mut Candidate> {
        let at = self.candidates.iter().position(|candidate| candidate.addr == *addr)?;
        let twin = self.candidates.iter().position(|candidate| candidate.id == Some(id));
        let candidate = self.candidates.get_mut(at)?;
        if candidate.state != State::Answered {
            self.answered = self.answered.saturating_add(1);
            self.lost = self.lost.saturating_add(u16::from(candidate.tries).saturating_sub(1));
            candidate.marks.set(Marks::UNTOLD, true);
        }
        candidate.state = State::Answered;
        candidate.id = Some(id);
        candidate.round_trip = round_trip;
        // One id at two addresses is one node: the one that answers is right.
        if let Some(twin) = twin.filter(|twin| *twin != at)
            && let Some(twin) = self.candidates.get_mut(twin)
            && twin.state != State::Answered
        {
            twin.state = State::Failed;
        }
        let place = self.settle(at);
        self.candidates.get_mut(place)
    }

    /// The nodes that an answer named have been offered; `nearer` if one of them was the nearest of all.
    pub(crate) const fn on_named(&mut self, nearer: bool) {
        self.near = !nearer;
    }

    /// How often each node is asked, or sent the item.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn tries(&self) -> u8 {
        if !self.needs_tokens {
            return TRIES;
        }
        let more = self.lost.saturating_mul(LOST_FOR_A_TRY) / self.answered.saturating_add(self.lost).max(1);
        TRIES_TO_STORE.saturating_add(more as u8).min(MAX_TRIES)
    }

    /// A question has grown late: the first, or one after it.
    pub(crate) fn on_late(&mut self, addr: &CompactAddr) {
        if let Some(candidate) = self.candidate_mut(addr)
            && matches!(candidate.state, State::Asked | State::Late)
        {
            candidate.state = State::Late;
            candidate.marks.set(Marks::DUE, true);
        }
    }

    /// A question is past patience.
    pub(crate) fn on_overdue(&mut self, addr: &CompactAddr) {
        let tries = self.tries();
        if let Some(candidate) = self.candidate_mut(addr)
            && matches!(candidate.state, State::Asked | State::Late)
            && !(TRIES_TO_STORE..tries).contains(&candidate.tries)
        {
            candidate.state = State::Overdue;
        }
    }

    /// The item was sent to a node that takes its time: it is sent again, and later the node is given up.
    pub(crate) fn on_store_late(&mut self, addr: &CompactAddr, age: Age) {
        let tries = self.tries();
        let Some(candidate) = self.candidate_mut(addr).filter(|candidate| candidate.storing == Storing::Sent) else {
            return;
        };
        match age {
            Age::Late if candidate.tries < tries => candidate.storing = Storing::Again,
            Age::Overdue if !(TRIES_TO_STORE..tries).contains(&candidate.tries) => candidate.storing = Storing::Silent,
            Age::Fresh | Age::Late | Age::Overdue => {}
        }
    }

    /// The node cannot help: it is silent, or has answered with an error.
    pub(crate) fn on_failure(&mut self, addr: &CompactAddr) {
        if let Some(candidate) = self.candidate_mut(addr)
            && matches!(candidate.state, State::Asked | State::Late | State::Overdue)
        {
            candidate.state = State::Failed;
            self.failed = self.failed.saturating_add(1);
        }
    }

    /// Whether the walk has come to its end: as many as are wanted of the closest of those that it still counts on have answered. As long as
    /// nobody at all has answered, it waits for every question.
    pub(crate) fn is_finished(&self) -> bool {
        if self.answered == 0 {
            return self.candidates.iter().all(|candidate| candidate.state == State::Failed);
        }
        let alive = self.candidates.iter().filter(|candidate| candidate.is_alive(self.needs_tokens));
        alive.take(K + usize::from(self.more)).all(|candidate| candidate.state == State::Answered)
    }

    /// Whether a node with this id would be one of the K to store on.
    pub(crate) fn is_among_closest(&self, id: &NodeId) -> bool {
        let distance = id.distance(&self.target);
        let takes = |known: &&Candidate| known.state == State::Answered && !known.token.is_empty();
        self.candidates.iter().filter(takes).filter(|known| known.distance(&self.target) < distance).count() < K
    }

    /// How many of the candidates take the item, or may yet.
    fn takers(&self, may: impl Fn(&Candidate) -> bool) -> usize {
        let takes = |candidate: &&Candidate| match candidate.state {
            State::Answered => {
                !candidate.token.is_empty() && !matches!(candidate.storing, Storing::Unable(_) | Storing::Silent)
            }
            _ => may(candidate),
        };
        self.candidates.iter().filter(takes).count()
    }

    /// Whether too few take the item, and a spare is to be asked or may still answer in time.
    pub(crate) fn has_spare(&self) -> bool {
        let pending = |candidate: &Candidate| matches!(candidate.state, State::Fresh | State::Asked | State::Late);
        self.takers(|_| false) < K && self.candidates.iter().any(pending)
    }

    /// A node to ask for a token in place of one that does not take the item: the closest that was not asked. It counts
    /// as asked.
    pub(crate) fn next_spare(&mut self) -> Option<(CompactAddr, Option<NodeId>)> {
        if self.takers(|candidate| candidate.state == State::Asked) >= K {
            return None;
        }
        let candidate = self.candidates.iter_mut().find(|candidate| candidate.state == State::Fresh)?;
        candidate.state = State::Asked;
        candidate.tries += 1;
        self.asked = self.asked.saturating_add(1);
        Some((candidate.addr, candidate.id))
    }

    /// The node to store on next, if any: the closest with a token that has not been tried, as long as fewer than K
    /// have accepted, refused, or not answered yet.
    pub(crate) fn next_to_store_on(&mut self) -> Option<&mut Candidate> {
        let mut taken = 0;
        let at = self.candidates.iter().position(|candidate| {
            let usable = candidate.state == State::Answered && !candidate.token.is_empty();
            match candidate.storing {
                _ if taken >= K || !usable => false,
                Storing::Unsent | Storing::Again => true,
                Storing::Unable(_) | Storing::Silent => false,
                _ => {
                    taken += 1;
                    false
                }
            }
        })?;
        self.candidates.get_mut(at)
    }
}

#[cfg(test)]
mod tests;
