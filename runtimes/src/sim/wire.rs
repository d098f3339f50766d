//! What becomes of a packet on its way. What is fixed between two hosts follows from their numbers and the seed; what is
//! different for each packet is drawn from the sender's own randomness.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use rand::RngExt as _;
use rand_pcg::Pcg32;

use super::latency::Geography;
use super::random::Draw;
use super::scenario::{Network, Partition, Scenario};

/// The port of every host.
const PORT: u16 = 6_881;

/// The first octet of the first host's address: above all private networks that are near.
const FIRST: u32 = 20;

/// What lies between hosts.
#[derive(Debug)]
pub(super) struct Wire {
    seed: u64,
    network: Network,
    partitions: Vec<Partition>,
    geography: Geography,
    /// Hosts below this are never behind a translator.
    stable: u32,
}

/// Why a packet does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// By chance.
    Loss,
    /// Nothing arrives in this direction.
    OneWay,
    /// The network is in two parts.
    Partition,
}

/// How long each copy of a packet takes, in microseconds.
pub(super) type Copies = (u64, Option<u64>);

impl Wire {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            seed: scenario.seed,
            network: scenario.network.clone(),
            partitions: scenario.partitions.clone(),
            geography: Geography::new(scenario.seed, scenario.network.latency),
            stable: scenario.stable,
        }
    }

    pub(super) const fn geography(&self) -> &Geography {
        &self.geography
    }

    /// Whether a host is behind a translator of addresses.
    pub(super) fn is_behind_nat(&self, host: u32) -> bool {
        host >= self.stable && self.chance("nat", host.into(), self.network.nat)
    }

    /// How long a translator remembers, in microseconds.
    pub(super) fn nat_memory(&self) -> u64 {
        micros(self.network.nat_memory)
    }

    /// What becomes of a packet that is sent now.
    pub(super) fn send(&self, now: u64, from: u32, to: u32, random: &mut Pcg32) -> Result<Copies, Lost> {
        let network = &self.network;
        if self.is_apart(now, from, to) {
            return Err(Lost::Partition);
        }
        if self.is_deaf(from, to) {
            return Err(Lost::OneWay);
        }
        if happens(network.loss, random) {
            return Err(Lost::Loss);
        }
        let first = self.delay(from, to, random);
        let second = happens(network.duplicate, random).then(|| self.delay(from, to, random));
        Ok((first, second))
    }

    fn delay(&self, from: u32, to: u32, random: &mut Pcg32) -> u64 {
        let held_up = if happens(self.network.reorder, random) {
            random.random_range(0..=micros(self.network.reorder_by))
        } else {
            0
        };
        self.geography.delay(from, to, random) + held_up
    }

    /// Whether two hosts are in different parts of the network.
    pub(super) fn is_apart(&self, now: u64, from: u32, to: u32) -> bool {
        self.partitions.iter().enumerate().any(|(number, partition)| {
            let (begins, lasts) = (micros(partition.at), micros(partition.lasts));
            let side = |host: u32| self.chance("partition", u64::from(host) << 16 | number as u64, partition.share);
            (begins..begins.saturating_add(lasts)).contains(&now) && side(from) != side(to)
        })
    }

    /// Whether nothing that one host sends arrives at the other.
    pub(super) fn is_deaf(&self, from: u32, to: u32) -> bool {
        self.chance("one way", u64::from(from) << 32 | u64::from(to), self.network.one_way)
    }

    fn chance(&self, purpose: &str, number: u64, share: f64) -> bool {
        share > 0.0 && Draw::new(self.seed, purpose, number).unit() < share
    }
}

fn happens(share: f64, random: &mut Pcg32) -> bool {
    share > 0.0 && random.random::<f64>() < share
}

pub(super) fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// A host's address: public, and in a network (/24) of its own.
pub(super) fn addr_of(host: u32) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from((host + (FIRST << 16)) << 8 | 1), PORT))
}

/// The host at an address, if there can be one.
pub(super) fn host_at(addr: &SocketAddr) -> Option<u32> {
    let SocketAddr::V4(addr) = addr else { return None };
    let bits = addr.ip().to_bits();
    (addr.port() == PORT && bits & 0xff == 1).then_some(())?;
    (bits >> 8).checked_sub(FIRST << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario::MAX_HOSTS;
    use rand::SeedableRng as _;

    fn wire(network: Network) -> Wire {
        Wire::new(&Scenario { network, ..Scenario::default() })
    }

    #[test]
    fn addresses_name_hosts() {
        for host in [0, 1, 255, 256, 65_536, MAX_HOSTS] {
            let addr = addr_of(host);
            assert_eq!(host_at(&addr), Some(host));
            let SocketAddr::V4(addr) = addr else { unreachable!() };
            assert!((20..224).contains(&addr.ip().octets()[0]) && !addr.ip().is_private(), "{addr}");
        }
        assert_eq!(host_at(&"20.0.0.2:6881".parse().unwrap()), None);
        assert_eq!(host_at(&"20.0.0.1:6882".parse().unwrap()), None);
        assert_eq!(host_at(&"1.0.0.1:6881".parse().unwrap()), None);
    }

    #[test]
    fn packets_are_lost_doubled_and_overtaken_as_often_as_they_should_be() {
        let network = Network { loss: 0.05, duplicate: 0.1, reorder: 0.2, ..Network::default() };
        let (bad, good) = (wire(network), wire(Network::default()));
        let mut random = Pcg32::seed_from_u64(1);
        let (mut lost, mut doubled, mut late) = (0, 0, 0);
        for number in 0..20_000 {
            let Ok((first, second)) = bad.send(0, number, number + 1, &mut random) else {
                lost += 1;
                continue;
            };
            doubled += u32::from(second.is_some());
            // Jitter is hardly ever beyond 20 ms.
            late += u32::from(first > good.geography.fixed(number, number + 1) + 20_000);
        }
        assert!((900..1_100).contains(&lost), "{lost}");
        assert!((1_800..2_000).contains(&doubled), "{doubled}");
        assert!((3_250..3_600).contains(&late), "{late}");
    }

    #[test]
    fn some_hosts_cannot_hear_some_others_and_only_in_one_direction() {
        let wire = wire(Network { one_way: 0.1, ..Network::default() });
        let deaf: Vec<_> = (0..20_000).filter(|host| wire.is_deaf(*host, 7)).collect();
        assert!((1_850..2_150).contains(&deaf.len()), "{}", deaf.len());
        assert!(deaf.iter().filter(|host| wire.is_deaf(7, **host)).count() < 300);
        let mut random = Pcg32::seed_from_u64(1);
        assert!((0..100).all(|_| wire.send(0, deaf[0], 7, &mut random) == Err(Lost::OneWay)));
    }

    #[test]
    fn a_partition_begins_and_heals() {
        let partition = Partition { at: Duration::from_secs(60), lasts: Duration::from_secs(30), share: 0.3 };
        let wire = Wire::new(&Scenario { partitions: vec![partition], ..Scenario::default() });
        let apart = |now: u64| (0..10_000).filter(|host| wire.is_apart(now * 1_000_000, *host, 7)).count();
        assert_eq!((apart(59), apart(90)), (0, 0));
        let smaller = apart(60).min(10_000 - apart(60));
        assert!((2_850..3_150).contains(&smaller), "{smaller}");
        assert_eq!(apart(60), apart(89));
    }
}
