//! The host of an emulated board, by semihosting. On a board without a debugger these calls stop the processor: a
//! firmware for such a board has its parameters in flash, and nowhere to exit to.

use cortex_m_semihosting::{debug, nr, syscall1};
use firmware::Arguments;

/// Octets of the longest line of parameters.
const LINE: usize = 512;

/// What the host gives this board to run with; `None` if there is something wrong with it.
pub fn settings() -> Option<Arguments> {
    let mut settings = Arguments::new();
    take(&mut settings).then_some(settings)
}

// Its own frame: the line is not needed after it.
#[inline(never)]
fn take(settings: &mut Arguments) -> bool {
    settings.take(arguments(&mut [0; LINE])).is_ok()
}

/// The line of parameters: `-semihosting-config arg=...,arg=...` of QEMU, with blanks between. Empty
/// if there is nothing, or more than fits.
fn arguments(room: &mut [u8]) -> &[u8] {
    let mut block = [room.as_mut_ptr() as usize, room.len()];
    // SAFETY: the block is what SYS_GET_CMDLINE wants: a buffer and its length, which becomes that of the text. The host
    // writes into both, and nothing else holds them.
    let failed = unsafe { syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) };
    let len = if failed == 0 { block[1] } else { 0 };
    room.get(..len).unwrap_or_default()
}

/// Ends the emulation, with the exit status 0 for `well` and 1 otherwise.
pub fn exit(well: bool) -> ! {
    loop {
        debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}
