//! What a node does unasked: it lets time pass, gets to know those who ask it, looks after quiet contacts, refreshes
//! buckets, and joins the network again when it has lost it (BEP 5, "Routing Table").

use crate::addr::CompactAddr;
use crate::id::{NodeId, Target};
use crate::node::Node;
use crate::table::QUIET;
use crate::time::{Duration, Instant};
use crate::transactions::{Asked, Purpose};
use crate::wire::Method;

/// Strangers who asked us and wait to be asked for a sign of life. When there are more, the later ones are left out:
/// whoever is worth knowing asks again.
const PROSPECTS: usize = 16;

/// The first and the longest pause between attempts to join, while nobody answers.
const REJOIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(15 * 60));

#[derive(Debug)]
pub(super) struct Upkeep {
    prospects: heapless::Vec<(NodeId, CompactAddr), PROSPECTS, u8>,
    /// When contacts or buckets need attention next.
    due: Instant,
    /// When to try to join, as long as no contact is known.
    join_at: Instant,
    join_pause: Duration,
}

impl Upkeep {
    pub(super) const fn new() -> Self {
        Self { prospects: heapless::Vec::new(), due: Instant::ZERO, join_at: Instant::ZERO, join_pause: REJOIN.0 }
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
        if self.table_of_mut(addr.family()).asked_us(now, id, addr) {
            return;
        }
        let waits = self.upkeep.prospects.iter().any(|(_, known)| known == addr);
        if !waits && self.table_of(addr.family()).has_room_for(id, now) {
            // See PROSPECTS.
            let _ = self.upkeep.prospects.push((*id, *addr));
        }
    }

    /// A node has answered a question of ours: if there is room, it is a contact from now on, to be looked after when it
    /// has been quiet for a while.
    pub(super) fn note_answer(&mut self, now: Instant, id: &NodeId, addr: &CompactAddr) {
        self.table_of_mut(addr.family()).answered(now, id, addr);
        self.upkeep.join_pause = REJOIN.0;
        self.upkeep.due = self.upkeep.due.min(now + QUIET);
    }

    /// A question was not answered: a contact who was asked is looked at again soon.
    pub(super) fn note_failure(&mut self, now: Instant, asked: &Asked) {
        self.table_of_mut(asked.addr.family()).failed(&asked.addr, asked.node.as_ref());
        self.upkeep.due = self.upkeep.due.min(now);
    }

    /// Whether the node should join the network by itself.
    fn wants_to_join(&self) -> bool {
        !self.config.read_only
            && !self.bootstrap.is_empty()
            && self.table.contacts().is_empty()
            && self.table6.contacts().is_empty()
    }

    /// When upkeep has something to do.
    pub(super) fn upkeep_deadline(&self) -> Option<Instant> {
        // Nothing can be asked before a question in flight has ended, and that is a deadline of its own.
        if self.transactions.is_full() {
            return None;
        }
        if self.wants_to_join() && !self.is_joining() {
            return Some(self.upkeep.join_at);
        }
        let known = !self.table.contacts().is_empty() || !self.table6.contacts().is_empty();
        known.then_some(self.upkeep.due)
    }

    /// Writes the next question of upkeep into `buf`.
    pub(super) fn next_upkeep(&mut self, now: Instant, buf: &mut [u8]) -> Option<(CompactAddr, usize)> {
        if self.transactions.is_full() {
            return None;
        }
        while let Some((id, addr)) = self.upkeep.prospects.pop() {
            if self.table_of(addr.family()).has_room_for(&id, now) {
                let len = self.ask(now, addr, Some(id), Purpose::Probe, Method::Ping, buf)?;
                return Some((addr, len));
            }
        }
        if self.wants_to_join() && now >= self.upkeep.join_at && !self.is_joining() {
            self.upkeep.join_at = now + self.upkeep.join_pause;
            self.upkeep.join_pause = (self.upkeep.join_pause * 2).min(REJOIN.1);
            self.start_internal(now, Target::from(self.id))?;
            return self.next_question(now, buf);
        }
        if now < self.upkeep.due {
            return None;
        }
        if let Some(contact) = self.table.next_probe(now).or_else(|| self.table6.next_probe(now)) {
            let (addr, id) = (contact.compact(), Some(contact.id()));
            let len = self.ask(now, addr, id, Purpose::Probe, Method::Ping, buf)?;
            return Some((addr, len));
        }
        if let Some(target) = self.table.next_refresh(now, &mut self.rng) {
            // Without a free query the bucket waits for its next turn.
            self.start_internal(now, target)?;
            return self.next_question(now, buf);
        }
        self.upkeep.due = self.table.next_due().min(self.table6.next_due());
        None
    }
}
