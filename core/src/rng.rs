//! Random octets from a seed: the only source of randomness that the core has.

use chacha20::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A cryptographic generator (ChaCha with 12 rounds): the same seed gives the same octets on every machine.
#[derive(Debug)]
pub(crate) struct Rng(ChaCha12Rng);

impl Rng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.octets())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.octets())
    }

    pub(crate) fn octets<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    #[cfg_attr(feature = "opt-size", inline(never))]
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// A number below `limit` (0 if `limit` is 0). The bias is below `limit` in 2^32: fine for choices, not for keys.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(limit)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_octets() {
        let (mut a, mut b, mut c) = (Rng::new([1; 32]), Rng::new([1; 32]), Rng::new([2; 32]));
        let first = a.octets::<100>();
        assert_eq!(first, b.octets());
        assert_ne!(first, c.octets());
        // Pinned: traces recorded today replay tomorrow.
        assert_eq!(Rng::new([0; 32]).u64(), 0x53f9_55076a9af49b);
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::new([3; 32]);
        assert_eq!(rng.below(0), 0);
        assert!((0..1_000).all(|_| rng.below(7) < 7));
    }
}
