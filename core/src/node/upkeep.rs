//! What a node does unasked: it lets time pass, gets to know those who ask it, looks after quiet contacts, refreshes
//! buckets, and joins the network again when it has lost it (BEP 5, "Routing Table").

use crate::addr::{CompactAddr, Family};
use crate::id::{NodeId, Target};
use crate::node::Node;
use crate::table::{Admission, QUIET};
use crate::time::Instant;
use crate::transactions::{Asked, Purpose};
use crate::wire::Method;

/// Strangers who asked us and wait to be asked for a sign of life. When there are more, the later ones are left out:
/// whoever is worth knowing asks again.
const PROSPECTS: usize = 8;

/// The first and the longest pause between walks towards our own id, and how fast it grows. Who joins a network that is
/// just beginning finds few nodes that know each other yet, so it looks again soon; later, every 15 minutes, the walk
/// finds the neighbours that have come since. Without any answer, the same pauses keep a lost network from being asked
/// too often. In seconds.
const JOIN_PAUSE: (u32, u32, u32) = (1, 15 * 60, 4);

/// As long as the pause is no longer than this, buckets with few contacts are refreshed after each walk as well.
const YOUNG: u32 = 16;

/// The pause when there is no free query for a refresh, or upkeep has one already, in milliseconds.
const BUSY_PAUSE: u32 = 1_000;

#[derive(Debug)]
pub(super) struct Upkeep {
    prospects: heapless::Vec<(NodeId, CompactAddr), PROSPECTS, u8>,
    /// When contacts or buckets need attention next.
    due: Instant,
    /// When to walk towards our own id next.
    join_at: Instant,
    join_pause: u32,
    /// Whether to do so at all.
    joins: bool,
}

impl Upkeep {
    pub(super) const fn new(now: Instant, joins: bool) -> Self {
        Self { prospects: heapless::Vec::new(), due: Instant::FAR, join_at: now, join_pause: JOIN_PAUSE.0, joins }
    }
}

impl Node<'_> {
    /// Lets time pass until `now`, and returns it; time never runs backwards.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        let now = self.now;
        self.tokens.rotate(now, &mut self.rng);
        self.store.expire(now);
        self.peers.expire(now);
        self.elapse(now);
        now
    }

    /// A stranger has asked us something. A contact has thereby given a sign of life; somebody else may become one, when
    /// it has answered a question of ours.
    pub(super) fn meet(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) {
        if self.tables.get_mut(addr.family()).asked_us(now, id, addr) {
            return;
        }
        let waits = self.upkeep.prospects.iter().any(|(_, known)| known == addr);
        if !waits && self.tables.get(addr.family()).has_room_for(id, now) {
            // See PROSPECTS.
            let _ = self.upkeep.prospects.push((*id, *addr));
        }
    }

    /// A node has answered a question of ours: it is a contact, if there is room.
    pub(super) fn note_answer(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) {
        if self.tables.get_mut(addr.family()).answered(now, id, addr) == Admission::Added {
            self.upkeep.due = self.upkeep.due.min(now.after_micros(QUIET.into()));
        }
    }

    /// A contact of an earlier node is to be asked whether it still lives.
    pub(super) fn take_back_contact(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) -> bool {
        let taken = self.tables.get_mut(addr.family()).restore(now, id, addr);
        if taken {
            self.upkeep.due = self.upkeep.due.min(now);
        }
        taken
    }

    /// A question was not answered: a contact who was asked is looked at again soon.
    pub(super) fn note_failure(&mut self, now: Instant, asked: &Asked) {
        self.tables.get_mut(asked.addr.family()).failed(&asked.addr, asked.node.as_ref());
        self.upkeep.due = self.upkeep.due.min(now);
    }

    /// A walk of the node's own has ended: the next one may begin.
    pub(super) fn note_internal_end(&mut self, now: Instant) {
        self.upkeep.due = self.upkeep.due.min(now);
    }

    /// The node has been told to join now.
    pub(super) const fn note_join(&mut self) {
        self.upkeep.joins = true;
    }

    /// Whether the node knows anybody to ask.
    pub(super) fn knows_somebody(&self) -> bool {
        !self.bootstrap.is_empty() || self.contacts().next().is_some()
    }

    /// When to walk towards our own id.
    fn next_join(&self) -> Option<Instant> {
        (self.upkeep.joins && self.knows_somebody()).then_some(self.upkeep.join_at)
    }

    /// When upkeep has something to do. While no more questions fit, it waits for the end of one of those.
    pub(super) fn upkeep_deadline(&self) -> Option<Instant> {
        if self.transactions.is_full() {
            return None;
        }
        Instant::first(self.next_join(), Some(self.upkeep.due)).filter(|due| *due < Instant::FAR)
    }

    /// Writes the next question of upkeep into `buf`.
    pub(super) fn next_upkeep(&mut self, now: Instant, buf: &mut [u8]) -> Option<(CompactAddr, usize)> {
        if self.transactions.is_full() {
            return None;
        }
        while let Some((id, addr)) = self.upkeep.prospects.pop() {
            if self.tables.get(addr.family()).has_room_for(&id, now) {
                let len = self.ask(now, addr, Some(id), Purpose::Probe, Method::Ping, buf)?;
                return Some((addr, len));
            }
        }
        if self.next_join().is_some_and(|join_at| now >= join_at) {
            // The second walk and the third, when neighbours are known.
            let young = self.upkeep.join_pause > JOIN_PAUSE.0 && self.upkeep.join_pause <= YOUNG;
            self.upkeep.join_at = now.after_millis(self.upkeep.join_pause * 1_000);
            self.upkeep.join_pause = (self.upkeep.join_pause * JOIN_PAUSE.2).min(JOIN_PAUSE.1);
            for family in Family::ALL {
                // One that the application has just started serves as well.
                if !self.is_joining(family) {
                    self.start_internal(now, family, Target::from(self.id));
                }
                if young {
                    self.tables.get_mut(family).hasten_sparse();
                    self.upkeep.due = now;
                }
            }
            if let Some(question) = self.next_question(now, buf) {
                return Some(question);
            }
        }
        if let Some(question) = self.next_announcement(now, buf) {
            return Some(question);
        }
        if now < self.upkeep.due {
            return None;
        }
        if let Some(contact) = Family::ALL.into_iter().find_map(|family| self.tables.get_mut(family).next_probe(now)) {
            let (addr, id) = (contact.compact(), Some(contact.id()));
            let len = self.ask(now, addr, id, Purpose::Probe, Method::Ping, buf)?;
            return Some((addr, len));
        }
        // One refresh at a time, so that queries are left for the application.
        if !self.may_start_internal() {
            // Where there is no query at all, there is nothing to be looked for each second either.
            self.upkeep.due = now.after_millis(BUSY_PAUSE).max(self.tables_due());
            return None;
        }
        for family in Family::ALL {
            if let Some(target) = self.tables.get_mut(family).next_refresh(now, &mut self.rng) {
                self.start_internal(now, family, target);
                return self.next_question(now, buf);
            }
        }
        self.upkeep.due = self.tables_due();
        None
    }

    /// When the first table needs attention.
    fn tables_due(&self) -> Instant {
        let due = Family::ALL.map(|family| self.tables.get(family).next_due());
        due.into_iter().fold(Instant::FAR, Instant::min)
    }
}
