//! Time as the caller tells it.

pub use core::time::Duration;

use crate::divide::by_million;

/// A moment, in microseconds since an epoch of the caller's choice (boot, process start, 1970: any, as long as it stays
/// the same for one node). Arithmetic saturates: the last moment, [`Instant::FAR`], is never reached.
// In tables of records with fields of 4 octets, an alignment of 8 would cost each of them up to 4.
#[repr(Rust, packed(4))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes (584,000 years after the epoch).
    pub const FAR: Self = Self(u64::MAX);

    /// The moment `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The moment `secs` seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The earlier of two moments that may not be.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn first(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Microseconds since `earlier`, as far as 32 bits hold them (more than an hour). Differences of 64 bits, and even more
    /// [`Duration`]s, are dear on small processors.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn micros_since(self, earlier: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u32::MAX)
    }

    /// The moment `micros` microseconds later.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) const fn after_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The moment `millis` milliseconds later.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) const fn after_millis(self, millis: u32) -> Self {
        self.after_micros(millis as u64 * 1_000)
    }

    /// Seconds since `earlier`, and the microseconds beyond them; zero if `earlier` is later.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) const fn secs_since(self, earlier: Self) -> (u64, u32) {
        by_million(self.0.saturating_sub(earlier.0))
    }

    /// The time that has passed from `earlier` until this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let (secs, micros) = self.secs_since(earlier);
        // There are never more, which the compiler does not know.
        let micros = if micros < 1_000_000 { micros } else { 999_999 };
        Duration::new(secs, micros * 1_000)
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.after_micros(micros(duration))
    }
}

/// Microseconds of `duration`. More than 584,000 years mean "never".
// Not `as_micros`, which is of 128 bits.
pub(crate) const fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let second = Duration::from_secs(1);
        assert_eq!(Instant::from_secs(2) + second, Instant::from_millis(3_000));
        assert_eq!(Instant::FAR + second, Instant::FAR);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::FAR);
        assert_eq!(Instant::from_secs(3).since(Instant::from_secs(1)), Duration::from_secs(2));
        assert_eq!(Instant::from_secs(1).since(Instant::from_secs(3)), Duration::ZERO);
    }
}
