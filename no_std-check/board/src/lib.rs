//! The board: a Stellaris LM3S6965 (Cortex-M3, 256 KiB of flash, 64 KiB of RAM) as QEMU's `lm3s6965evb` has it. All
//! unsafe code of the firmware is here: registers, and what runs before and beside the program.
#![no_std]

mod clock;
mod ethernet;
mod host;
mod register;
mod stack;
mod uart;
mod vectors;

use clock::Clock;
pub use clock::spin;
pub use ethernet::Ethernet;
pub use host::{exit, settings};
pub use uart::Uart;

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};

/// All that is on the board.
#[derive(Debug)]
pub struct Board {
    /// The processor.
    pub machine: Cortex,
    /// The network card.
    pub ethernet: Ethernet,
    /// The serial console.
    pub uart: Uart,
}

/// The processor.
#[derive(Debug)]
pub struct Cortex {
    clock: Clock,
}

impl firmware::Machine for Cortex {
    fn millis(&mut self) -> u64 {
        self.clock.millis()
    }

    fn sleep(&mut self) {
        // The timer's interrupt ends it.
        cortex_m::asm::wfi();
    }

    fn stack_used(&self) -> usize {
        stack::used()
    }
}

impl Board {
    /// Starts the board; `None` at the second call.
    #[must_use]
    pub fn take() -> Option<Self> {
        let peripherals = cortex_m::Peripherals::take()?;
        Some(Self {
            machine: Cortex { clock: Clock::start(peripherals.SYST) },
            ethernet: Ethernet::start(),
            uart: Uart::start(),
        })
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            fn a_panic_can_be_reached() -> !;
        }
        // SAFETY: it does not exist. What links in spite of it never comes here; what is to be looked into, and never to
        // be run, is linked with an address for it.
        unsafe { a_panic_can_be_reached() }
    }
    #[cfg(not(feature = "no-panic"))]
    {
        Uart::start().write_octets(b"{\"event\":\"panic\"}\n");
        exit(false)
    }
}

/// Any fault ends the program, an overrun of the stack as well.
// SAFETY: nothing is done that depends on the state of the program that was interrupted.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let _ = frame;
    Uart::start().write_octets(b"{\"event\":\"fault\"}\n");
    exit(false)
}
