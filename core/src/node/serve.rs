//! What happens when a stranger asks: from the datagram to the answer, top to bottom, one function a query kind.
//!
//! Checks go from cheap to dear, and nothing that is refused changes anything. A put is judged in this order: its form
//! (203, by the parser), the size of its value (205) and salt (207), its token (203), the condition it names (301), its
//! sequence number (302), and only then its signature (206). So nobody without a valid token can make us verify one.

use crate::addr::{CompactAddr, Family, PerFamily};
use crate::crypto::{PublicKey, Signature};
use crate::id::Target;
use crate::item::{Change, ImmutableItem, Item, ItemError, MutableItem, judge};
use crate::node::Node;
use crate::store::Full;
use crate::table::{Fit, K};
use crate::time::Instant;
use crate::wire::{
    AnnouncedPort, Code, Method, NodeList, Nodes, Put, PutMutable, Query, Refusal, Reply, ValueList, Want,
};

/// Octets that an answer is meant to stay within (BEP 32: 1,024 pass everywhere). A value is never cut for it: nodes
/// are left out instead, the farthest first.
const REPLY_TARGET: usize = 1_024;

/// Nodes that an answer keeps even so. Without any, an asker that knows nobody else would take the one value it got for
/// the newest. With a value of 1,000 octets, an answer has some 1,300. Only where even these do not fit into a datagram
/// (such a value, and nodes of both families) there are fewer.
const NODES_KEPT: usize = 4;

/// Octets for peers in an answer: 50 over IPv4, 19 over IPv6. With 8 nodes, the answer is below 800 octets.
const VALUES_LEN: usize = 400;

/// The longest transaction id that is echoed: others use 2 to 20 octets. A longer one can only be meant to make our
/// answers long.
const MAX_TRANSACTION: usize = 64;

const BAD_TOKEN: Refusal = Refusal::new(Code::Protocol, "bad token: ask with get or get_peers first");
const BUSY: Refusal = Refusal::new(Code::Server, "too many signatures from your network: try again later");
const NO_ROOM: Refusal = Refusal::new(Code::Server, "nothing is stored here");

/// Who asks, and when.
struct Asker<'a> {
    now: Instant,
    addr: &'a CompactAddr,
    transaction: &'a [u8],
}

impl Node<'_> {
    /// Answers a stranger's query: writes the answer into `buf` and returns its length.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn serve(
        &mut self,
        now: Instant,
        from: &CompactAddr,
        query: &Query<'_>,
        buf: &mut [u8],
    ) -> Option<usize> {
        if !self.admits(now, from, query.transaction) {
            return None;
        }
        if !query.read_only {
            self.meet(now, &query.sender, from);
        }
        let asker = Asker { now, addr: from, transaction: query.transaction };
        let answered = match &query.method {
            Method::Ping => Ok(self.answer(&self.reply(&asker), buf)),
            Method::FindNode { target, want } => Ok(self.find_node_for(&asker, target, *want, buf)),
            Method::GetPeers { info_hash, want } => Ok(self.get_peers_for(&asker, info_hash, *want, buf)),
            Method::Get { target, seq, want } => Ok(self.get_for(&asker, target, *seq, *want, buf)),
            Method::AnnouncePeer { info_hash, port, token } => {
                self.announce_from(&asker, info_hash, *port, token).map(|()| self.answer(&self.reply(&asker), buf))
            }
            Method::Put(put) => self.put_from(&asker, put).map(|()| self.answer(&self.reply(&asker), buf)),
        };
        match answered {
            Ok(len) => {
                self.stats.served += 1;
                len
            }
            Err(refusal) => self.write_refusal(from, query.transaction, refusal, buf),
        }
    }

    /// Answers a query that could not even be read.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        from: &CompactAddr,
        transaction: &[u8],
        refusal: Refusal,
        buf: &mut [u8],
    ) -> Option<usize> {
        if !self.admits(now, from, transaction) {
            return None;
        }
        self.write_refusal(from, transaction, refusal, buf)
    }

    /// Whether a query is answered at all: not by a read-only node (BEP 43), and not beyond the asker's budget.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn admits(&mut self, now: Instant, from: &CompactAddr, transaction: &[u8]) -> bool {
        self.stats.queries += 1;
        if self.config.read_only || transaction.len() > MAX_TRANSACTION {
            self.stats.ignored += 1;
            return false;
        }
        let admitted = self.query_limit.allows(now, from);
        if !admitted {
            self.stats.over_budget += 1;
        }
        admitted
    }

    /// `find_node` (BEP 5): the contacts closest to the target.
    fn find_node_for(&self, asker: &Asker<'_>, target: &Target, want: Want, buf: &mut [u8]) -> Option<usize> {
        let lists = self.closest_for(asker, target, want);
        let mut reply = self.reply(asker);
        reply.nodes = lists.nodes();
        self.answer(&reply, buf)
    }

    /// `get_peers` (BEP 5): peers, if there are any, and nodes and a token in any case.
    fn get_peers_for(&mut self, asker: &Asker<'_>, info_hash: &Target, want: Want, buf: &mut [u8]) -> Option<usize> {
        let mut values = ValueList::<VALUES_LEN>::new();
        let family = asker.addr.family();
        let max = *PerFamily::new(VALUES_LEN / 8, VALUES_LEN / 21).get(family);
        self.peers.sample(info_hash, family, &mut self.rng, max, |peer| {
            // `max` fit.
            let _ = values.push(peer);
        });
        let token = self.tokens.issue(asker.addr, info_hash);
        let lists = self.closest_for(asker, info_hash, want);
        let found = values.values();
        let mut reply = self.reply(asker);
        reply.token = Some(&token);
        reply.nodes = lists.nodes();
        reply.values = found.iter().next().is_some().then_some(found);
        self.answer(&reply, buf)
    }

    /// `announce_peer` (BEP 5): the asker's address is remembered with the port it names, or the one it sent from.
    fn announce_from(
        &mut self,
        asker: &Asker<'_>,
        info_hash: &Target,
        port: AnnouncedPort,
        token: &[u8],
    ) -> Result<(), Refusal> {
        if !self.tokens.accepts_from(asker.addr, token).is_some_and(|token| token.is_for(info_hash)) {
            return Err(BAD_TOKEN);
        }
        let peer = match port {
            AnnouncedPort::Explicit(port) => asker.addr.with_port(port.get()),
            AnnouncedPort::Implied { .. } => *asker.addr,
        };
        if self.peers.announce(asker.now, info_hash, peer, false) { Ok(()) } else { Err(NO_ROOM) }
    }

    /// `get` (BEP 44): the item, if it is stored here, and nodes and a token in any case. Of a mutable item that is not
    /// newer than the asker's, only the sequence number.
    fn get_for(
        &self,
        asker: &Asker<'_>,
        target: &Target,
        seq: Option<i64>,
        want: Want,
        buf: &mut [u8],
    ) -> Option<usize> {
        let token = self.tokens.issue(asker.addr, target);
        let lists = self.closest_for(asker, target, want);
        let mut reply = self.reply(asker);
        reply.token = Some(&token);
        reply.nodes = lists.nodes();
        let stored = self.store.get(target);
        match &stored {
            None => {}
            Some(Item::Immutable(item)) => reply.value = Some(item.value()),
            Some(Item::Mutable(item)) => {
                reply.seq = Some(item.seq());
                if seq.is_none_or(|known| item.seq() > known) {
                    reply.value = Some(item.value());
                    reply.key = Some(&item.key().0);
                    reply.signature = Some(&item.signature().0);
                }
            }
        }
        self.answer(&reply, buf)
    }

    /// `put` (BEP 44): stores an item, or refreshes one that is stored. The order of the checks stands at the top of
    /// this file.
    fn put_from(&mut self, asker: &Asker<'_>, put: &Put<'_>) -> Result<(), Refusal> {
        let item = item_of(put).map_err(refusal_of)?;
        // A token that was not made for this address is told apart before anything long is hashed.
        let token = self.tokens.accepts_from(asker.addr, put.token).ok_or(BAD_TOKEN)?;
        let target = item.target();
        if !token.is_for(&target) {
            return Err(BAD_TOKEN);
        }
        if let Item::Mutable(new) = &item {
            let cas = put.mutable.and_then(|mutable| mutable.cas);
            let change = match self.store.get_mutable(&target) {
                // Nothing is stored, so there is nothing to compare with (BEP 44, "CAS").
                None => Change::ReplaceIfVerified,
                Some(stored) => judge(&stored, new, cas).map_err(refusal_of)?,
            };
            if change != Change::Refresh {
                self.verify_for(asker, new)?;
            }
            if change != Change::ReplaceIfVerified {
                self.store.refresh(asker.now, &target, true);
                return Ok(());
            }
        }
        match self.store.insert(asker.now, &target, &item, asker.addr) {
            Ok(_evicted) => Ok(()),
            Err(Full) => Err(NO_ROOM),
        }
    }

    /// Verifies a signature, which is the dearest thing that a stranger can ask for.
    fn verify_for(&mut self, asker: &Asker<'_>, item: &MutableItem<'_>) -> Result<(), Refusal> {
        if !self.verification_limit.allows(asker.now, asker.addr) {
            return Err(BUSY);
        }
        self.stats.verified += 1;
        item.verify().map_err(refusal_of)
    }

    /// Our contacts closest to `target`, of the families that the asker wants (BEP 32): good ones, or, if there are too
    /// few, such as have been quiet for a while but left no question unanswered.
    fn closest_for(&self, asker: &Asker<'_>, target: &Target, want: Want) -> NodeLists {
        NodeLists(Family::ALL.map(|family| {
            want.includes(family, asker.addr.family()).then(|| {
                let table = self.tables.get(family);
                let mut closest = table.closest::<K>(target, asker.now, Fit::Good);
                if closest.len() < K {
                    closest = table.closest(target, asker.now, Fit::Named);
                }
                let mut list = NodeList::new(family);
                for (_, contact) in &closest {
                    // K fit.
                    let _ = list.push(&contact.id(), contact.compact());
                }
                list
            })
        }))
    }

    /// An answer that says who we are and where the asker is (BEP 42, "ip").
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn reply<'a>(&self, asker: &Asker<'a>) -> Reply<'a> {
        Reply { observed: Some(*asker.addr), ..Reply::new(asker.transaction, self.id) }
    }

    /// Writes an answer, with fewer nodes if it would be too long.
    fn answer(&self, reply: &Reply<'_>, buf: &mut [u8]) -> Option<usize> {
        let version = self.config.version;
        let mut shorter = *reply;
        for nodes in (0..K + 1).rev() {
            shorter.nodes = reply.nodes.truncated(nodes);
            let limit = if nodes > NODES_KEPT { REPLY_TARGET } else { super::MAX_DATAGRAM };
            let len = shorter.write(version, buf);
            if len.is_some_and(|len| len <= limit) {
                return len;
            }
        }
        None
    }

    fn write_refusal(
        &mut self,
        from: &CompactAddr,
        transaction: &[u8],
        refusal: Refusal,
        buf: &mut [u8],
    ) -> Option<usize> {
        self.stats.refused.count(refusal.code);
        refusal.write(transaction, Some(*from), self.config.version, buf)
    }
}

/// The lists of nodes for one answer.
struct NodeLists(PerFamily<Option<NodeList>>);

impl NodeLists {
    fn nodes(&self) -> Nodes<'_> {
        Family::ALL.into_iter().filter_map(|family| self.0.get(family).as_ref()).fold(Nodes::ABSENT, Nodes::with)
    }
}

/// The item in a put, if its sizes are within the limits.
fn item_of<'a>(put: &Put<'a>) -> Result<Item<'a>, ItemError> {
    // The parser has found the value canonical.
    match &put.mutable {
        None => ImmutableItem::of_canonical(put.value).map(Item::Immutable),
        Some(PutMutable { key, salt, seq, signature, .. }) => {
            MutableItem::of_canonical(PublicKey(**key), salt, *seq, put.value, Signature(**signature))
                .map(Item::Mutable)
        }
    }
}

/// The one map from what is wrong with an item to what is said on the wire (BEP 44, "Errors").
#[cfg_attr(feature = "opt-size", inline(never))]
fn refusal_of(error: ItemError) -> Refusal {
    match error {
        ItemError::ValueTooBig(_) => Refusal::new(Code::ValueTooBig, "message (v field) too big"),
        ItemError::NotCanonical => Refusal::new(Code::Protocol, "v is not canonically bencoded"),
        ItemError::SaltTooBig(_) => Refusal::new(Code::SaltTooBig, "salt (salt field) too big"),
        ItemError::NegativeSeq(_) => Refusal::new(Code::Protocol, "seq is negative"),
        ItemError::InvalidSignature => Refusal::new(Code::InvalidSignature, "invalid signature"),
        ItemError::CasMismatch { .. } => {
            Refusal::new(Code::CasMismatch, "the CAS hash mismatched, re-read value and try again")
        }
        ItemError::SequenceTooLow { .. } => Refusal::new(Code::SequenceTooLow, "sequence number less than current"),
    }
}
