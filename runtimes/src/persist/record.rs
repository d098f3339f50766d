//! The octets of what is kept: see "the format" in the [module](super).

use std::net::SocketAddr;
use std::time::Duration;

use bep44_core::addr::CompactAddr;
use bep44_core::crypto::{PublicKey, Signature};
use bep44_core::id::{NodeId, Target};
use bep44_core::item::{ImmutableItem, Item, MutableItem};

/// Target, and 1 for a mutable item.
pub(super) type Key = [u8; 21];

/// Entries of one row of peers or contacts.
const ROW: usize = 1_000;

pub(super) fn key(target: &Target, mutable: bool) -> Key {
    let mut key = [0; 21];
    let (front, kind) = key.split_at_mut(20);
    front.copy_from_slice(target.as_bytes());
    kind.fill(u8::from(mutable));
    key
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How much time was left, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// By the system's clock.
    pub(super) written: u64,
    pub(super) remaining: u64,
    /// The node keeps the item alive: the time is that until its next announcement.
    pub(super) kept: bool,
}

/// Stands above the time that is left, if the node keeps the item alive; nothing else in the upper 24 bits does. (So many
/// milliseconds that the rest does not hold them are 34 years.)
const KEPT: u64 = 1 << 63;
const KEPT_TIME: u64 = (1 << 40) - 1;

impl Stamp {
    pub(super) fn new(written: u64, remaining: Duration) -> Self {
        Self { written, remaining: millis(remaining), kept: false }
    }

    /// Of an item that the node keeps alive.
    pub(super) fn of_kept(written: u64, until_next: Duration) -> Self {
        Self { written, remaining: millis(until_next).min(KEPT_TIME), kept: true }
    }

    /// How much is left at `now`. A clock that was set back takes none away, and adds none.
    pub(super) const fn left(&self, now: u64) -> Duration {
        Duration::from_millis(self.remaining.saturating_sub(now.saturating_sub(self.written)))
    }

    pub(super) fn read(record: &[u8]) -> Option<Self> {
        Octets(record).stamp()
    }
}

pub(super) fn write_item(stamp: Stamp, item: &Item<'_>) -> Box<[u8]> {
    let mut record = Vec::with_capacity(16 + 105 + 64 + item.value().len());
    record.extend_from_slice(&stamp.written.to_le_bytes());
    let kept = if stamp.kept { KEPT } else { 0 };
    record.extend_from_slice(&(stamp.remaining | kept).to_le_bytes());
    if let Item::Mutable(item) = item {
        record.extend_from_slice(&item.key().0);
        record.extend_from_slice(&item.signature().0);
        record.extend_from_slice(&item.seq().to_le_bytes());
        // 64 octets at most.
        record.push(item.salt().len() as u8);
        record.extend_from_slice(item.salt());
    }
    record.extend_from_slice(item.value());
    record.into_boxed_slice()
}

/// The item in a record, if it is one and belongs under this key. The signature is not verified.
pub(super) fn read_item<'r>(key: &Key, record: &'r [u8]) -> Option<(Stamp, Item<'r>)> {
    let mut octets = Octets(record);
    let stamp = octets.stamp()?;
    let mutable = match key.last() {
        Some(0) => false,
        Some(1) => true,
        _ => return None,
    };
    let item = if mutable {
        let (public_key, signature) = (PublicKey(octets.array()?), Signature(octets.array()?));
        let seq = i64::from_le_bytes(octets.array()?);
        let salt_len = octets.octet()?;
        let salt = octets.take(salt_len.into())?;
        Item::Mutable(MutableItem::new(public_key, salt, seq, octets.0, signature).ok()?)
    } else {
        Item::Immutable(ImmutableItem::new(octets.0).ok()?)
    };
    (self::key(&item.target(), mutable) == *key).then_some((stamp, item))
}

/// A peer, and the milliseconds that it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerRecord {
    pub(super) info_hash: Target,
    pub(super) addr: SocketAddr,
    pub(super) seed: bool,
    pub(super) remaining: u64,
}

/// What takes the place of all that was kept of its kind; nothing does where it is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// By the system's clock.
    pub(super) written: u64,
    pub(super) peers: Option<Vec<PeerRecord>>,
    pub(super) contacts: Option<Vec<(NodeId, SocketAddr)>>,
}

/// The rows of the table of peers.
pub(super) fn write_peers(written: u64, peers: &[PeerRecord]) -> impl Iterator<Item = Vec<u8>> {
    peers.chunks(ROW).map(move |peers| {
        let mut row = written.to_le_bytes().to_vec();
        for peer in peers {
            row.extend_from_slice(peer.info_hash.as_bytes());
            row.push(peer.seed.into());
            // 49 days; the lifetime is some minutes.
            row.extend_from_slice(&u32::try_from(peer.remaining).unwrap_or(u32::MAX).to_le_bytes());
            write_addr(&mut row, peer.addr);
        }
        row
    })
}

/// The peers of a row, each with the moment when it was written, up to the first that is none.
pub(super) fn read_peers(row: &[u8]) -> Vec<(u64, PeerRecord)> {
    let mut octets = Octets(row);
    let Some(written) = octets.u64() else { return Vec::new() };
    std::iter::from_fn(|| {
        let info_hash = Target::new(octets.array()?);
        let seed = octets.octet()? != 0;
        let remaining = u32::from_le_bytes(octets.array()?).into();
        Some((written, PeerRecord { info_hash, addr: octets.addr()?, seed, remaining }))
    })
    .collect()
}

/// The rows of the table of contacts.
pub(super) fn write_contacts(contacts: &[(NodeId, SocketAddr)]) -> impl Iterator<Item = Vec<u8>> {
    contacts.chunks(ROW).map(|contacts| {
        let mut row = Vec::new();
        for (id, addr) in contacts {
            row.extend_from_slice(id.as_bytes());
            write_addr(&mut row, *addr);
        }
        row
    })
}

/// The contacts of a row, up to the first that is none.
pub(super) fn read_contacts(row: &[u8]) -> Vec<(NodeId, SocketAddr)> {
    let mut octets = Octets(row);
    std::iter::from_fn(|| Some((NodeId::new(octets.array()?), octets.addr()?))).collect()
}

fn write_addr(row: &mut Vec<u8>, addr: SocketAddr) {
    let addr = CompactAddr::from(addr);
    row.push(addr.family().compact_len() as u8);
    row.extend_from_slice(addr.ip());
    row.extend_from_slice(&addr.port().to_be_bytes());
}

/// Octets that are read from the front.
struct Octets<'r>(&'r [u8]);

impl<'r> Octets<'r> {
    fn take(&mut self, len: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let (written, remaining) = (self.u64()?, self.u64()?);
        let kept = remaining & !KEPT_TIME == KEPT;
        Some(Stamp { written, remaining: if kept { remaining & KEPT_TIME } else { remaining }, kept })
    }

    fn addr(&mut self) -> Option<SocketAddr> {
        let len = self.octet()?;
        CompactAddr::from_compact(self.take(len.into())?).map(SocketAddr::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bep44_core::SecretKey;

    const STAMP: Stamp = Stamp { written: 1_000_000, remaining: 60_000, kept: false };

    #[test]
    fn items_come_back_octet_for_octet() {
        let secret = SecretKey::from_seed([1; 32]).unwrap();
        let mutable = Item::Mutable(MutableItem::sign(&secret, b"salt", i64::MAX, b"2:xy").unwrap());
        let immutable = Item::Immutable(ImmutableItem::new(b"i5e").unwrap());
        for (item, is_mutable) in [(mutable, true), (immutable, false)] {
            let key = key(&item.target(), is_mutable);
            let record = write_item(STAMP, &item);
            assert_eq!(read_item(&key, &record), Some((STAMP, item)));
            // Under another key, or as the other kind, it is nothing.
            for at in [0, 19, 20] {
                let mut other = key;
                other[at] ^= 1;
                assert_eq!(read_item(&other, &record), None);
            }
            for len in 0..record.len() {
                assert_eq!(read_item(&key, &record[..len]), None);
            }
        }
    }

    #[test]
    fn time_runs_out_and_never_grows() {
        let left = |now| STAMP.left(now).as_millis();
        assert_eq!([1_000_000, 1_000_001, 1_059_999, 1_060_000, u64::MAX].map(left), [60_000, 59_999, 1, 0, 0]);
        assert_eq!([999_999, 0].map(left), [60_000; 2], "the clock was set back");
    }

    #[test]
    fn peers_and_contacts_come_back() {
        let addr = |number: usize| -> SocketAddr {
            if number.is_multiple_of(2) {
                ([127, 0, 0, 1], number as u16).into()
            } else {
                ([1; 8], number as u16).into()
            }
        };
        let peer = |number| PeerRecord {
            info_hash: Target::new([number as u8; 20]),
            addr: addr(number),
            seed: number.is_multiple_of(3),
            remaining: number as u64,
        };
        let peers: Vec<_> = (0..2_500).map(peer).collect();
        let rows: Vec<_> = write_peers(7, &peers).collect();
        assert_eq!(rows.len(), 3);
        let back: Vec<_> = rows.iter().flat_map(|row| read_peers(row)).collect();
        assert!(back.iter().map(|(_, peer)| peer).eq(&peers) && back.iter().all(|(written, _)| *written == 7));

        let contacts: Vec<_> = (0..1_001).map(|number| (NodeId::new([number as u8; 20]), addr(number))).collect();
        let rows: Vec<_> = write_contacts(&contacts).collect();
        let back: Vec<_> = rows.iter().flat_map(|row| read_contacts(row)).collect();
        assert_eq!(back, contacts);
        assert_eq!(read_contacts(&rows[1][..26]), []);
    }
}
