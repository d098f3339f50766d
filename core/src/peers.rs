//! Who announced that it has a torrent (BEP 5, "announce_peer"): addresses by info-hash, which expire.
//!
//! One record per info-hash, address and port; announcing again begins its life anew. The records of one info-hash stand
//! in one chain of the index, and are at most a quarter of all (at least 1, at most 512), so that an announcement or an
//! answer walks past no more than that many, apart from the rare neighbour.
//!
//! **When an info-hash has its share**, the oldest of its peers goes; if the newcomer's network (/24 or /48) has an eighth
//! of them already, the oldest of that network. **When the table is full**, whose oldest record goes is said in
//! [`fair`](crate::fair).

use crate::addr::{CompactAddr, Family};
use crate::fair::{Group, SOURCE, Sourced, Sources};
use crate::id::Target;
use crate::links::{Chain, Chained, Expiring, Index, Link, Linked, Order, Slot};
use crate::list::{Empty, Slots};
use crate::rng::Rng;
use crate::time::{Duration, Instant, micros};

/// Peers of one info-hash at most: five times what fits into an answer of 1,024 octets.
const MAX_PER_TORRENT: usize = 512;

/// The order of a record among those that live (sorted by expiry) or that are free.
const AGE: usize = 0;

/// The record of one announced peer: 88 octets, without IPv6 72.
#[derive(Debug)]
pub struct PeerSlot {
    expires: Instant,
    info_hash: Target,
    addr: CompactAddr,
    seed: bool,
    /// For the orders [`AGE`] and [`SOURCE`].
    links: [Link; 2],
    // These two may have nothing to do with the peer in this record; see `Chain` and `Group`.
    chain: Chain,
    group: Order<SOURCE>,
}

impl Empty for PeerSlot {
    const EMPTY: Self = Self {
        expires: Instant::ZERO,
        info_hash: Target::ZERO,
        addr: CompactAddr::UNSPECIFIED,
        seed: false,
        links: [Link::EMPTY; 2],
        chain: Chain::EMPTY,
        group: Order::EMPTY,
    };
}

impl Linked for PeerSlot {
    fn links(&self) -> &[Link] {
        &self.links
    }
    fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }
}

impl Expiring for PeerSlot {
    fn expires(&self) -> Instant {
        self.expires
    }
}

impl Chained for PeerSlot {
    fn chain(&self) -> &Chain {
        &self.chain
    }
    fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

impl Sourced for PeerSlot {
    fn group(&self) -> Group {
        // All peers take the same room, so that their octets need not be counted.
        Group { order: self.group, octets: 0 }
    }
    fn set_group(&mut self, group: Group) {
        self.group = group.order;
    }
}

/// A peer that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The torrent that it has or wants.
    pub info_hash: Target,
    /// Its address, and the port that it announced.
    pub addr: CompactAddr,
    /// Whether it says that it has all of the torrent (BEP 33).
    pub seed: bool,
    /// When it will be forgotten unless it announces again.
    pub expires: Instant,
}

/// Announced peers over memory that the caller lends.
#[derive(Debug)]
pub(crate) struct Peers<'m> {
    records: Slots<'m, PeerSlot>,
    /// In microseconds.
    lifetime: u64,
    index: Index,
    sources: Sources,
    /// The records that were never used are those from here on.
    unused: usize,
    /// Sorted by expiry.
    live: Order<AGE>,
    free: Order<AGE>,
}

impl<'m> Peers<'m> {
    /// An empty table; what was in `records` before is lost. `hash_key` must be unpredictable.
    pub(crate) fn new(mut records: Slots<'m, PeerSlot>, lifetime: Duration, hash_key: u64) -> Self {
        // The caller's memory may have served another node before.
        records.fill_with(|| PeerSlot::EMPTY);
        let sources = Sources::new(hash_key, records.len(), 0);
        Self {
            records,
            lifetime: micros(lifetime),
            index: Index::new(hash_key),
            sources,
            unused: 0,
            live: Order::EMPTY,
            free: Order::EMPTY,
        }
    }

    /// How many peers are known, of all torrents.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.live.len()
    }

    /// Peers of one info-hash at most.
    fn cap(&self) -> usize {
        (self.records.len() / 4).clamp(1, MAX_PER_TORRENT)
    }

    fn record(&self, slot: Slot) -> Option<&PeerSlot> {
        self.records.get(slot.index())
    }

    fn of<'t>(&'t self, info_hash: &'t Target) -> impl Iterator<Item = (Slot, &'t PeerSlot)> + use<'t> {
        Index::candidates(&self.records, self.index.hash(info_hash.as_bytes()))
            .filter_map(|slot| Some((slot, self.record(slot)?)))
            .filter(|(_, record)| record.info_hash == *info_hash)
    }

    /// Enters a peer, or begins its life anew. `addr` has the address that the announcement came from, which its token
    /// proves, and the port that it names. False if there are no records at all.
    pub(crate) fn announce(&mut self, now: Instant, info_hash: &Target, addr: CompactAddr, seed: bool) -> bool {
        self.enter(now.after_micros(self.lifetime), info_hash, addr, seed)
    }

    /// Takes back a peer that an earlier node knew, and that has `remaining` to live (at most the lifetime). Says whether
    /// it is taken back: not if it has announced itself since, or has no time left. Constant time if no peer is restored
    /// before one that expires earlier.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        info_hash: &Target,
        addr: CompactAddr,
        seed: bool,
        remaining: Duration,
    ) -> bool {
        let is_known = self.of(info_hash).any(|(_, record)| record.addr == addr);
        if remaining.is_zero() || is_known {
            return false;
        }
        self.enter(now.after_micros(micros(remaining).min(self.lifetime)), info_hash, addr, seed)
    }

    fn enter(&mut self, expires: Instant, info_hash: &Target, addr: CompactAddr, seed: bool) -> bool {
        let network = addr.network();
        let (mut same, mut count, mut kin_count) = (None, 0, 0);
        let (mut oldest, mut oldest_kin) = (None, None);
        for (slot, record) in self.of(info_hash) {
            if record.addr == addr {
                same = Some(slot);
                break;
            }
            count += 1;
            oldest = self.older(oldest, slot);
            if record.addr.network() == network {
                kin_count += 1;
                oldest_kin = self.older(oldest_kin, slot);
            }
        }
        if let Some(slot) = same {
            return self.refresh(slot, expires, seed);
        }

        let source = self.source_of(&addr);
        if count >= self.cap() {
            let kin_has_share = kin_count >= (self.cap() / 8).max(1);
            let victim = if kin_has_share { oldest_kin } else { oldest };
            if let Some(slot) = victim {
                self.discard(slot);
            }
        }
        let slot = match self.acquire() {
            Some(slot) => slot,
            None => {
                if let Some(victim) = self.sources.victim(&self.records, source, 0).or(self.live.oldest()) {
                    self.discard(victim);
                }
                let Some(slot) = self.acquire() else { return false };
                slot
            }
        };
        let Some(record) = self.records.get_mut(slot.index()) else { return false };
        (record.info_hash, record.addr, record.seed, record.expires) = (*info_hash, addr, seed, expires);
        Index::insert(&mut self.records, slot, self.index.hash(info_hash.as_bytes()));
        self.live.place(&mut self.records, slot);
        self.sources.enter(&mut self.records, slot, source, 0);
        true
    }

    fn refresh(&mut self, slot: Slot, expires: Instant, seed: bool) -> bool {
        let Some(record) = self.records.get_mut(slot.index()) else { return false };
        (record.expires, record.seed) = (expires, seed);
        let addr = record.addr;
        self.live.remove(&mut self.records, slot);
        self.live.place(&mut self.records, slot);
        let source = self.source_of(&addr);
        Sources::renew(&mut self.records, slot, source);
        true
    }

    /// Which of two expires first; of those that expire at once, the one of the lower number.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn older(&self, one: Option<Slot>, other: Slot) -> Option<Slot> {
        let age = |slot: Slot| (self.record(slot).map_or(Instant::FAR, |record| record.expires), slot);
        one.filter(|one| age(*one) < age(other)).or(Some(other))
    }

    /// The group of those in the network of `addr`.
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn source_of(&self, addr: &CompactAddr) -> Option<Slot> {
        self.sources.group_of(&self.records, &addr.network().to_le_bytes())
    }

    fn acquire(&mut self) -> Option<Slot> {
        if let Some(slot) = self.free.pop(&mut self.records) {
            return Some(slot);
        }
        if self.unused < self.records.len() {
            self.unused += 1;
            return Slot::new(self.unused - 1);
        }
        None
    }

    fn discard(&mut self, slot: Slot) {
        let Some(record) = self.record(slot) else { return };
        let hash = self.index.hash(record.info_hash.as_bytes());
        let source = self.source_of(&record.addr);
        Index::remove(&mut self.records, slot, hash);
        self.live.remove(&mut self.records, slot);
        self.sources.leave(&mut self.records, slot, source, 0);
        self.free.push(&mut self.records, slot);
    }

    /// Gives `each` up to `max` peers of `info_hash` in `family`, every one with the same probability.
    ///
    /// Systematic sampling: the peers stand in a row, and every n/max-th is taken from a random start. One random number
    /// and two walks, whatever `max` is; and since neighbours in the row came one after the other, no run of peers that a
    /// single stranger announced is ever taken as a whole.
    pub(crate) fn sample(
        &self,
        info_hash: &Target,
        family: Family,
        rng: &mut Rng,
        max: usize,
        mut each: impl FnMut(CompactAddr),
    ) {
        let row = || self.of(info_hash).filter(|(_, record)| record.addr.family() == family);
        let count = row().count();
        let take = max.min(count);
        // A table has fewer than 2^32 records.
        let mut credit = rng.below(count as u32) as usize;
        for (_, record) in row() {
            credit += take;
            if credit >= count {
                credit -= count;
                each(record.addr);
            }
        }
    }

    /// All peers, the next to expire first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Peer> {
        self.live.iter(&self.records).filter_map(|slot| {
            let PeerSlot { info_hash, addr, seed, expires, .. } = *self.record(slot)?;
            Some(Peer { info_hash, addr, seed, expires })
        })
    }

    /// When the next peer expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        Some(self.record(self.live.oldest()?)?.expires)
    }

    /// Forgets all peers whose time is over and says how many. Each costs this once in its life.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while let Some(slot) = self.live.oldest()
            && self.record(slot).is_some_and(|record| record.expires <= now)
        {
            self.discard(slot);
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec;
    use std::vec::Vec;

    const HALF_HOUR: Duration = Duration::from_secs(1_800);

    fn slots(count: usize) -> Vec<PeerSlot> {
        core::iter::repeat_with(|| PeerSlot::EMPTY).take(count).collect()
    }

    fn info_hash(number: u8) -> Target {
        Target::new([number; 20])
    }

    /// Port 1,000 and up in network 1.2.`net`.
    fn addr(net: u8, number: u16) -> CompactAddr {
        CompactAddr::V4([1, 2, net, 7], 1_000 + number)
    }

    fn sampled(peers: &Peers<'_>, hash: u8, rng: &mut Rng, max: usize) -> Vec<CompactAddr> {
        let mut out = Vec::new();
        peers.sample(&info_hash(hash), Family::V4, rng, max, |addr| out.push(addr));
        out
    }

    fn check(peers: &Peers<'_>) {
        let live: Vec<_> = peers.live.iter(&peers.records).collect();
        assert_eq!(live.len(), peers.len());
        assert_eq!(live.len() + peers.free.len() + peers.records.len() - peers.unused, peers.records.len());
        assert!(live.is_sorted_by_key(|slot| peers.records[slot.index()].expires));
        for slot in &live {
            let hash = peers.records[slot.index()].info_hash;
            assert_eq!(peers.of(&hash).filter(|(other, _)| other == slot).count(), 1);
            assert!(peers.of(&hash).count() <= peers.cap());
        }
        crate::fair::check(&peers.sources, &peers.records, |record| {
            let own = |slot: &Slot| core::ptr::eq(&peers.records[slot.index()], record);
            let network = record.addr.network().to_le_bytes();
            live.iter().any(own).then(|| (peers.sources.group_of(&peers.records, &network), 0))
        });
    }

    quickcheck! {
        fn a_table_of_peers_is_a_list_that_forgets(records: u8, steps: Vec<(u8, u8, u8, u8)>) -> bool {
            let records = usize::from(records % 20);
            let mut memory = slots(records);
            let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
            let mut model: Vec<Peer> = Vec::new();
            let mut now = Instant::ZERO;
            for (hash, net, number, tick) in steps {
                // Never the same moment twice, so that "the oldest" is one.
                now = now + Duration::from_secs(1 + u64::from(tick % 128) * u64::from(tick / 128) * 5);
                let before = model.len();
                model.retain(|peer| peer.expires > now);
                assert_eq!(peers.next_expiry().is_some_and(|at| at <= now), model.len() < before);
                assert_eq!(peers.expire(now), before - model.len());

                let (hash, addr) = (info_hash(hash % 3), addr(net % 4, u16::from(number % 8)));
                assert_eq!(peers.announce(now, &hash, addr, tick % 2 == 0), records > 0);
                check(&peers);
                if records == 0 {
                    continue;
                }
                model.retain(|peer| (peer.info_hash, peer.addr) != (hash, addr));
                model.push(Peer { info_hash: hash, addr, seed: tick % 2 == 0, expires: now + HALF_HOUR });
                // Whoever else went was one, and there was a reason.
                let stays = |peer: &Peer| peers.iter().any(|other| other == *peer);
                let gone: Vec<_> = model.iter().copied().filter(|peer| !stays(peer)).collect();
                let of_hash = model.iter().filter(|peer| peer.info_hash == hash).count();
                match gone[..] {
                    [] => assert!(model.len() <= records && of_hash <= peers.cap()),
                    [gone] if of_hash > peers.cap() => assert_eq!(gone.info_hash, hash),
                    [_] => assert!(model.len() > records),
                    _ => panic!("one came and {} went", gone.len()),
                }
                model.retain(stays);
                assert!(peers.iter().eq(model.iter().copied()));
            }
            true
        }

        fn a_sample_has_what_was_asked_for(count: u8, max: u8, seed: u8) -> bool {
            let (count, max) = (u16::from(count), usize::from(max));
            let mut memory = slots(1_024);
            let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
            for number in 0..count {
                peers.announce(Instant::ZERO, &info_hash(1), addr(1, number), false);
                #[cfg(feature = "ipv6")]
                peers.announce(Instant::ZERO, &info_hash(1), CompactAddr::V6([9; 16], number), false);
                peers.announce(Instant::ZERO, &info_hash(2), addr(2, number), false);
            }
            // More than the share of 256 were announced, in all.
            let known = peers.of(&info_hash(1)).filter(|(_, record)| record.addr.family() == Family::V4).count();
            let mut out = sampled(&peers, 1, &mut Rng::new([seed; 32]), max);
            let len = out.len();
            out.sort_by_key(CompactAddr::port);
            out.dedup();
            len == max.min(known) && out.len() == len && out.iter().all(|addr| addr.network() == 0x010201)
        }
    }

    #[test]
    fn every_peer_is_sampled_equally_often() {
        let mut memory = slots(100);
        let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
        for number in 0..21 {
            peers.announce(Instant::ZERO, &info_hash(1), addr(number as u8, number), false);
        }
        let mut rng = Rng::new([5; 32]);
        let mut seen = vec![0; 21];
        for _ in 0..21_000 {
            for addr in sampled(&peers, 1, &mut rng, 8) {
                seen[usize::from(addr.port() - 1_000)] += 1;
            }
        }
        // 8,000 each; six standard deviations are 420.
        assert!(seen.iter().all(|count| (7_580..8_420).contains(count)), "{seen:?}");
    }

    #[test]
    fn a_peer_is_forgotten_half_an_hour_after_it_announced_last() {
        let mut memory = slots(10);
        let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
        peers.announce(Instant::ZERO, &info_hash(1), addr(1, 1), false);
        peers.announce(Instant::ZERO, &info_hash(1), addr(1, 2), false);
        peers.announce(Instant::from_secs(600), &info_hash(1), addr(1, 1), true);
        assert_eq!(peers.len(), 2);
        assert_eq!(peers.next_expiry(), Some(Instant::from_secs(1_800)));
        assert_eq!(peers.expire(Instant::from_micros(1_799_999_999)), 0);
        assert_eq!(peers.expire(Instant::from_secs(1_800)), 1);
        let left: Vec<_> = peers.iter().collect();
        let expires = Instant::from_secs(2_400);
        assert_eq!(left, [Peer { info_hash: info_hash(1), addr: addr(1, 1), seed: true, expires }]);
        assert_eq!(peers.expire(expires), 1);
        assert_eq!(peers.next_expiry(), None);
    }

    #[test]
    fn a_peer_taken_back_has_the_time_it_had_left() {
        let mut memory = slots(16);
        let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
        let mut restore = |number, secs| {
            let done = peers.restore(Instant::ZERO, &info_hash(1), addr(1, number), true, Duration::from_secs(secs));
            check(&peers);
            done
        };
        assert!(restore(1, 60) && restore(2, 30) && restore(3, 1_000_000));
        assert!(!restore(4, 0), "no time left");
        assert!(!restore(1, 90), "known");
        let expiries: Vec<_> = peers.iter().map(|peer| peer.expires).collect();
        assert_eq!(expiries, [30, 60, 1_800].map(Instant::from_secs));
    }

    #[test]
    fn one_torrent_takes_a_quarter_and_one_network_an_eighth_of_that() {
        let mut memory = slots(64);
        let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
        for number in 0..16_u16 {
            peers.announce(Instant::from_secs(number.into()), &info_hash(1), addr(number as u8, 0), false);
        }
        // The oldest goes; the network of the second flood pays for all but two of its own.
        for number in 0..1_000 {
            peers.announce(Instant::from_secs(100 + u64::from(number)), &info_hash(1), addr(99, number), false);
        }
        let left: Vec<_> = peers.iter().map(|peer| peer.addr).collect();
        assert_eq!(left.len(), 16);
        assert_eq!(left.iter().filter(|addr| addr.network() == 0x010263).count(), 2);
        assert_eq!(left[0], addr(2, 0));
        check(&peers);
    }

    #[test]
    fn a_flood_of_torrents_from_one_network_takes_an_eighth_of_a_full_table() {
        let mut memory = slots(64);
        let mut peers = Peers::new(Slots::Borrowed(&mut memory), HALF_HOUR, 7);
        let mut now = Instant::ZERO;
        let mut announce = |hash: u32, net| {
            now = now + Duration::from_micros(1);
            let mut octets = [0; 20];
            octets[..4].copy_from_slice(&hash.to_le_bytes());
            assert!(peers.announce(now, &Target::new(octets), addr(net, 0), false));
            peers.iter().filter(|peer| peer.addr.network() == 0x010263).count()
        };
        for number in 0..64 {
            announce(number, number as u8);
        }
        for number in 0..100_000 {
            assert!(announce(1_000 + number, 99) <= 8);
        }
        assert_eq!(peers.len(), 64);
        check(&peers);
    }

    #[test]
    fn records_have_the_size_that_the_presets_count_on() {
        assert_eq!(size_of::<PeerSlot>(), if cfg!(feature = "ipv6") { 88 } else { 72 });
    }
}
