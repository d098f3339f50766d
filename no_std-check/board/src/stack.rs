//! How much of the stack was ever used: it is painted before the program starts, and what is not painted any more was used.

use core::ptr::{addr_of, read_volatile};

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// Where the stack ends, and RAM begins: from the linker script.
    static _stack_end: u32;
    /// Where it starts.
    static _stack_start: u32;
}

/// Bytes of stack that were used at most since the start.
pub(crate) fn used() -> usize {
    let (mut at, start) = (addr_of!(_stack_end) as usize, addr_of!(_stack_start) as usize);
    // SAFETY: the whole stack is readable memory, and aligned.
    while at < start && unsafe { read_volatile(at as *const u32) } == STACK_PAINT_VALUE {
        at += 4;
    }
    start - at
}
