//! The time, from the system timer.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// Timer steps a millisecond: 12.5 MHz, the clock that the board starts with in QEMU.
const STEPS: u32 = 12_500;

/// Milliseconds since the start, counted by the timer's interrupt.
static TICKS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    TICKS.store(TICKS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Counts milliseconds.
#[derive(Debug)]
pub(crate) struct Clock {
    last: u32,
    millis: u64,
}

impl Clock {
    pub(crate) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(STEPS - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self { last: 0, millis: 0 }
    }
}

impl Clock {
    pub(crate) fn millis(&mut self) -> u64 {
        // The counter runs over after 49 days: what has passed since the last look is right if one looks more often.
        let ticks = TICKS.load(Ordering::Relaxed);
        self.millis = self.millis.saturating_add(ticks.wrapping_sub(self.last).into());
        self.last = ticks;
        self.millis
    }
}

/// Takes exactly two instructions each time round, and a few around them: by it one tells what time is in instructions.
pub fn spin(rounds: u32) {
    // SAFETY: counts a register down to zero, and touches nothing else.
    unsafe {
        core::arch::asm!(
            "1: subs {rounds}, #1",
            "bne 1b",
            rounds = inout(reg) rounds.max(1) => _,
            options(nomem, nostack),
        );
    }
}
