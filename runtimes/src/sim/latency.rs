//! How long a packet takes between two hosts: a model of the Internet.
//!
//! The time in one direction is the sum of four parts, all but the last the same for every packet between two hosts:
//!
//! 1. *Regions.* Each host is in one of six regions of the world, and each pair of regions has a time ([`REGIONS`],
//!    [`BETWEEN`]). Both tables are chosen by us: times that light in a fibre takes over such distances, with the usual
//!    half more.
//! 2. *Detours.* The time between the regions is multiplied by a factor of the pair, log-normal with a sigma of 0.25: not
//!    all routes are direct, so that two hosts may be farther from each other than both are from a third.
//! 3. *The last mile.* Each host has a line to its provider, log-normal with a median of 5 ms and a sigma of 1: most are
//!    fast, some are very slow. This is the heavy tail.
//! 4. *Jitter*: of each packet, exponential with a mean of 2 ms.
//!
//! Never less than [`FLOOR`], which is what lets several processors simulate one network.
//!
//! A test holds the whole against what was measured: the round trips between the 1,740 name servers of the King data set
//! have a median of 159 ms (Dabek, Cox, Kaashoek and Morris, "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM
//! 2004, section 4.1).
//!
//! Where a host is follows from its number and the seed alone, so that nothing has to be remembered or shared.

use std::time::Duration;

use rand::RngExt as _;
use rand_pcg::Pcg32;

use super::random::{Draws, exponential, log_normal, standard_normal_quantile};
use super::scenario::Latency;

/// No packet arrives sooner.
pub const FLOOR: Duration = Duration::from_millis(5);

/// The share of hosts in each region, in percent: North America, Europe, East Asia, South Asia, South America, and
/// elsewhere.
pub const REGIONS: [u8; 6] = [22, 38, 20, 8, 8, 4];

/// The time between regions in one direction, in milliseconds.
pub const BETWEEN: [[u32; 6]; 6] = [
    [20, 48, 80, 115, 70, 95],
    [48, 14, 105, 75, 100, 85],
    [80, 105, 28, 60, 145, 90],
    [115, 75, 60, 25, 150, 95],
    [70, 100, 145, 150, 24, 140],
    [95, 85, 90, 95, 140, 60],
];

/// Steps in which distributions are tabulated.
const STEPS: usize = 4_096;

/// Where each host is, and how long a packet takes.
#[derive(Debug)]
pub(super) struct Geography {
    latency: Latency,
    regions: Draws,
    last_miles: Draws,
    detours: Draws,
    /// Quantiles of the last mile in microseconds.
    last_mile: Vec<u32>,
    /// Quantiles of the detour's factor, in thousandths.
    detour: Vec<u32>,
}

impl Geography {
    pub(super) fn new(seed: u64, latency: Latency) -> Self {
        let quantiles = |median: f64, sigma: f64| {
            let at = |step: usize| (step as f64 + 0.5) / STEPS as f64;
            (0..STEPS).map(|step| log_normal(median, sigma, standard_normal_quantile(at(step))) as u32).collect()
        };
        let draws = |purpose| Draws::new(seed, purpose);
        Self {
            latency,
            regions: draws("region"),
            last_miles: draws("last mile"),
            detours: draws("detour"),
            last_mile: quantiles(5_000.0, 1.0),
            detour: quantiles(1_000.0, 0.25),
        }
    }

    /// Microseconds from one host to another, for one packet.
    pub(super) fn delay(&self, from: u32, to: u32, random: &mut Pcg32) -> u64 {
        let micros = match self.latency {
            Latency::Internet => self.fixed(from, to) + exponential(2_000.0, random.random()) as u64,
            Latency::Uniform(least, most) => random.random_range(micros(least)..=micros(most)),
        };
        micros.max(micros_floor())
    }

    /// What all packets between two hosts have in common, in microseconds.
    pub(super) fn fixed(&self, from: u32, to: u32) -> u64 {
        let (low, high) = (from.min(to), from.max(to));
        let pair = self.detours.of(u64::from(low) << 32 | u64::from(high)).bits();
        let between = BETWEEN[self.region(from)][self.region(to)];
        let detour = self.detour[(pair % STEPS as u64) as usize];
        u64::from(between) * u64::from(detour) + self.last_mile(from) + self.last_mile(to)
    }

    fn region(&self, host: u32) -> usize {
        let mut drawn = (self.regions.of(host.into()).bits() % 100) as u8;
        REGIONS
            .iter()
            .position(|share| {
                let here = drawn < *share;
                drawn = drawn.saturating_sub(*share);
                here
            })
            .unwrap_or_default()
    }

    fn last_mile(&self, host: u32) -> u64 {
        let drawn = self.last_miles.of(host.into()).bits();
        self.last_mile[(drawn % STEPS as u64) as usize].into()
    }

    /// From one host to another and back, without jitter; of a time that is drawn for each packet, the mean.
    pub(super) fn round_trip(&self, one: u32, other: u32) -> Duration {
        let micros = match self.latency {
            Latency::Internet => 2 * self.fixed(one, other).max(micros_floor()),
            Latency::Uniform(least, most) => (micros(least) + micros(most)).max(2 * micros_floor()),
        };
        Duration::from_micros(micros)
    }

    /// The median round trip between two random hosts, without jitter.
    pub(super) fn median_round_trip(&self) -> Duration {
        let mut round_trips: Vec<_> = (0..2_001).map(|pair| self.round_trip(2 * pair, 2 * pair + 1)).collect();
        round_trips.sort_unstable();
        round_trips[1_000]
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

pub(super) fn micros_floor() -> u64 {
    micros(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn round_trips_are_like_those_of_the_king_data_set() {
        for seed in 0..5 {
            let geography = Geography::new(seed, Latency::Internet);
            let median = geography.median_round_trip().as_millis();
            assert!((140..=180).contains(&median), "{median} ms");
            let mut all: Vec<_> = (0..20_000).map(|pair| 2 * geography.fixed(pair, pair + 7) / 1_000).collect();
            all.sort_unstable();
            let (tenth, ninetieth, last) = (all[2_000], all[18_000], all[19_980]);
            assert!(tenth < 90, "{tenth} ms: some are near");
            assert!((280..420).contains(&ninetieth), "{ninetieth} ms");
            assert!(last > 500, "{last} ms: and a few are very far");
        }
    }

    #[test]
    fn the_way_back_is_as_long_and_nothing_is_below_the_floor() {
        let geography = Geography::new(1, Latency::Internet);
        let mut random = Pcg32::seed_from_u64(1);
        for host in 0..1_000 {
            assert_eq!(geography.fixed(host, 7), geography.fixed(7, host));
            let delay = geography.delay(host, 7, &mut random);
            assert!(delay >= micros_floor() && delay >= geography.fixed(host, 7));
        }
        let short = Geography::new(1, Latency::Uniform(Duration::ZERO, Duration::from_millis(9)));
        assert!((0..1_000).all(|host| (5_000..=9_000).contains(&short.delay(host, 7, &mut random))));
    }

    #[test]
    fn regions_have_the_hosts_that_they_should() {
        let geography = Geography::new(1, Latency::Internet);
        let mut counts = [0; 6];
        (0..100_000).for_each(|host| counts[geography.region(host)] += 1);
        for (count, share) in counts.iter().zip(REGIONS) {
            assert!((count - i32::from(share) * 1_000_i32).abs() < 500, "{counts:?}");
        }
        assert_eq!(REGIONS.iter().map(|share| u32::from(*share)).sum::<u32>(), 100);
    }
}
