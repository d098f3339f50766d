//! Randomness that depends on the seed and on what it is for, never on who comes first. What a host draws does not depend
//! on other hosts, so that a simulation is the same on any number of processors; and only `libm` is used, so that it is the
//! same on any platform.

use rand::SeedableRng as _;
use rand_pcg::Pcg32;

/// All draws for one purpose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let mut mixed = mix(seed);
        for octet in purpose.bytes() {
            mixed = mixed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(octet);
        }
        Self(mixed)
    }

    pub(super) fn of(self, number: u64) -> Draw {
        Draw(mix(self.0 ^ mix(number)))
    }
}

/// A draw that is found again by what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, purpose: &str, number: u64) -> Self {
        Draws::new(seed, purpose).of(number)
    }

    /// 64 bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// From 0 to 1.
    pub(super) fn unit(self) -> f64 {
        unit(self.0)
    }

    /// A source of more.
    pub(super) fn stream(self) -> Pcg32 {
        Pcg32::seed_from_u64(self.0)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which changes half of all bits for each that changes.
fn mix(bits: u64) -> u64 {
    let mut mixed = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The upper 53 bits, as a fraction: never 0, never 1.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// An exponential time with this mean, from a fraction.
pub(super) fn exponential(mean: f64, fraction: f64) -> f64 {
    -mean * libm::log(1.0 - fraction.min(1.0 - f64::EPSILON))
}

/// A log-normal value with this median, from a standard normal one.
pub(super) fn log_normal(median: f64, sigma: f64, normal: f64) -> f64 {
    median * libm::exp(sigma * normal)
}

/// The value of a standard normal distribution below which this share lies, by bisection of its distribution function.
pub(super) fn standard_normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        let below = 0.5 * libm::erfc(-middle / core::f64::consts::SQRT_2);
        if below < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_by_seed_purpose_and_number() {
        let draw = |seed, purpose, number| Draw::new(seed, purpose, number).bits();
        let all = [draw(1, "a", 1), draw(2, "a", 1), draw(1, "b", 1), draw(1, "a", 2)];
        assert!(all.iter().enumerate().all(|(at, bits)| !all[..at].contains(bits)));
        assert_eq!(draw(1, "a", 1), all[0]);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (share, value) in [(0.5, 0.0), (0.841_344_746, 1.0), (0.975, 1.959_964), (0.001, -3.090_232)] {
            assert!((standard_normal_quantile(share) - value).abs() < 1e-5, "{share}");
        }
        assert!((log_normal(9.0, 0.9, 0.0) - 9.0).abs() < 1e-9);
        assert!((exponential(2.0, 0.5) - 1.386_294).abs() < 1e-5);
    }

    #[test]
    fn fractions_are_spread_evenly() {
        let mut tenths = [0; 10];
        (0..100_000).for_each(|number| tenths[(Draw::new(7, "x", number).unit() * 10.0) as usize] += 1);
        assert!(tenths.iter().all(|count| (9_600..10_400).contains(count)), "{tenths:?}");
    }
}
