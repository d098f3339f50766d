//! The running digest of all outputs, and that of what can be read from a node.

use bep44_core::event::LastAnnouncement;
use bep44_core::{Instant, Node, Standing, Stats};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use sha1_smol::Sha1;

use crate::output::Output;
use crate::record::Addr;

/// The running digest of all outputs: a chain, so that it depends on all outputs and on which call each came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    /// Before the first output: zeros.
    pub const NONE: Self = Self([0; 20]);

    /// After one more output: the SHA-1 of this digest, the number of the call that returned it (8 octets, little-endian;
    /// 0 is the start), and the octets of the output.
    #[must_use]
    pub fn after(&self, call: u64, octets: &[u8]) -> Self {
        let mut digest = self.link(call);
        digest.update(octets);
        Self(digest.digest().bytes())
    }

    /// The same for an output whose octets nobody has.
    pub(crate) fn after_output(&self, call: u64, output: &Output<'_>) -> Self {
        Self(hash(self.link(call), output))
    }

    fn link(&self, call: u64) -> Sha1 {
        let mut digest = Sha1::new();
        digest.update(&self.0);
        digest.update(&call.to_le_bytes());
        digest
    }

    /// All 20 octets.
    #[must_use]
    pub const fn octets(&self) -> [u8; 20] {
        self.0
    }

    /// The first four octets, which a short trace has of each output.
    #[must_use]
    pub const fn short(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }
}

/// The digest of what can be read from `node` at `now`: the SHA-1 of, one after another, its counters, its round trip, its
/// contacts, its items, its peers and what it keeps, each encoded as a record is.
#[must_use]
pub fn state(node: &Node<'_>, now: Instant) -> [u8; 20] {
    let mut digest = Sha1::new();
    let stats: &Stats = node.stats();
    feed(
        &mut digest,
        &(
            stats.ignored,
            stats.queries,
            stats.over_budget,
            stats.served,
            stats.verified,
            stats.asked,
            stats.answered,
            stats.timed_out,
            stats.unsolicited,
        ),
    );
    for (code, count) in stats.refused.iter() {
        feed(&mut digest, &(code as u16, count));
    }
    feed(&mut digest, &node.round_trip());
    for contact in node.contacts() {
        let standing = match contact.standing(now) {
            Standing::Good => 0_u8,
            Standing::Questionable => 1,
            Standing::Bad => 2,
        };
        feed(&mut digest, &(contact.id().as_bytes(), Addr::from(contact.addr()), standing));
    }
    for stored in node.items() {
        feed(&mut digest, &crate::output::StoredRecord::from(&stored));
    }
    for peer in node.peers() {
        feed(&mut digest, &(peer.info_hash.as_bytes(), Addr::from(peer.addr), peer.seed, peer.expires.as_micros()));
    }
    for kept in node.kept() {
        let (last, copies, accepted) = match kept.last {
            LastAnnouncement::Never => (0_u8, 0, 0),
            LastAnnouncement::Unanswered => (1, 0, 0),
            LastAnnouncement::Skipped { copies } => (2, copies, 0),
            LastAnnouncement::Sent { copies, accepted } => (3, copies, accepted),
            _ => (4, 0, 0),
        };
        feed(&mut digest, &(kept.target.as_bytes(), kept.due.as_micros(), last, copies, accepted));
    }
    digest.digest().bytes()
}

fn feed<T: Serialize>(digest: &mut Sha1, value: &T) {
    *digest = absorb(digest.clone(), value);
}

fn hash<T: Serialize>(digest: Sha1, value: &T) -> [u8; 20] {
    absorb(digest, value).digest().bytes()
}

fn absorb<T: Serialize>(digest: Sha1, value: &T) -> Sha1 {
    let before = digest.clone();
    // Only a type without a known length, of which there is none here, can fail.
    postcard::serialize_with_flavor(value, Hashing(digest)).unwrap_or(before)
}

/// Gives the octets of a value to the digest as they are made.
struct Hashing(Sha1);

impl Flavor for Hashing {
    type Output = Sha1;

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.0.update(octets);
        Ok(())
    }

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.0.update(&[octet]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Sha1> {
        Ok(self.0)
    }
}
