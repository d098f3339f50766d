//! Budgets for strangers: how much work one network (/24 or /48) may ask for.

use crate::addr::CompactAddr;
use crate::links::Index;
use crate::time::Instant;

/// A budget: so many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, on average; 0 switches the limit off.
    pub per_second: u32,
    /// How many at once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 0 };
}

/// How many budgets there are; networks share them by hash. Enough that one loud network rarely silences a given other.
const CELLS: usize = 32;

/// One budget for each hash of a network. A cell holds no counter, only how long it takes until its budget is full again
/// (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct Limit {
    /// Microseconds from `since` on: more than an hour at most, which is longer than any burst of use.
    full_in: [u32; CELLS],
    since: Instant,
    rate: Rate,
    index: Index,
}

impl Limit {
    pub(crate) const fn new(rate: Rate, index: Index) -> Self {
        Self { full_in: [0; CELLS], since: Instant::ZERO, rate, index }
    }

    /// Takes one from the budget of the network of `addr`; false if there is none left. This host itself is not
    /// limited: its processes have cheaper ways to hurt each other, and whole test networks live on one address.
    pub(crate) fn allows(&mut self, now: Instant, addr: &CompactAddr) -> bool {
        if self.rate.per_second == 0 || addr.is_loopback() {
            return true;
        }
        let passed = now.micros_since(self.since);
        if passed > 0 {
            self.since = now;
            for full_in in &mut self.full_in {
                *full_in = full_in.saturating_sub(passed);
            }
        }
        let cost = 1_000_000 / self.rate.per_second.clamp(1, 1_000_000);
        let cell = self.index.hash(&addr.network().to_be_bytes()) as usize % CELLS;
        let Some(full_in) = self.full_in.get_mut(cell) else { return true };
        let next = full_in.checked_add(cost).filter(|next| *next <= cost.saturating_mul(self.rate.burst.max(1)));
        *full_in = next.unwrap_or(*full_in);
        next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const RATE: Rate = Rate { per_second: 10, burst: 5 };

    fn limit() -> Limit {
        Limit::new(RATE, Index::new(7))
    }

    fn addr(c: u8, d: u8) -> CompactAddr {
        CompactAddr::V4([8, 8, c, d], 1)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut limit = limit();
        let now = Instant::from_secs(100);
        assert_eq!((0..10).filter(|_| limit.allows(now, &addr(1, 1))).count(), 5);
        // In ten seconds at ten a second: a hundred, asked for in steps of one millisecond.
        let allowed = (1..=10_000).filter(|ms| limit.allows(now + Duration::from_millis(*ms), &addr(1, 1))).count();
        assert_eq!(allowed, 100);
    }

    #[test]
    fn a_network_shares_a_budget_and_others_have_their_own() {
        let mut limit = limit();
        let now = Instant::from_secs(100);
        assert!((0..5).all(|host| limit.allows(now, &addr(1, host))));
        assert!(!limit.allows(now, &addr(1, 99)));
        assert!(limit.allows(now, &addr(2, 1)));
    }

    #[test]
    fn this_host_is_not_limited() {
        let mut limit = limit();
        assert!((0..1_000).all(|_| limit.allows(Instant::ZERO, &CompactAddr::V4([127, 0, 0, 1], 1))));
    }

    #[test]
    fn a_budget_is_full_after_any_pause_wherever_the_clock_starts() {
        let mut limit = limit();
        for now in [1, 5_000_000, 10_000_000_000, 1 << 40, u64::MAX - 1].map(Instant::from_micros) {
            assert_eq!((0..10).filter(|_| limit.allows(now, &addr(1, 1))).count(), 5);
        }
    }

    #[test]
    fn a_burst_of_more_than_an_hour_is_cut_and_not_forgotten() {
        let mut limit = Limit::new(Rate { per_second: 1, burst: 1_000_000 }, Index::new(7));
        let now = Instant::from_secs(100);
        assert_eq!((0..10_000).filter(|_| limit.allows(now, &addr(1, 1))).count(), 4_294);
        assert!(!limit.allows(now, &addr(1, 1)));
    }
}
