//! The core's time from the host's monotonic clock.

use bep44_core::Instant;

/// A monotonic clock whose epoch is its own creation.
#[derive(Debug, Clone, Copy)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Instant {
        // 2^64 microseconds are 584,000 years.
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }
}
