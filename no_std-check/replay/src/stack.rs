//! How deep the stack has grown: painted before, and looked at afterwards.

use core::hint::black_box;

/// What no program leaves there by chance.
const PAINT: u32 = 0xB44B_44B4;

/// Octets below the caller's frame that are left alone: the frame of the painter.
const MARGIN: usize = 128;

unsafe extern "C" {
    // Both are addresses that the linker script gives, not variables.
    static mut _stack_lowest: u32;
    static _stack_highest: u32;
}

/// Paints what is left of the stack. To be called first.
#[inline(never)]
pub fn paint() {
    let here = black_box(0_u32);
    let end = (&raw const here as usize).saturating_sub(MARGIN);
    let mut at = &raw mut _stack_lowest;
    while (at as usize) < end {
        // SAFETY: between the lowest address of the stack and the frame of this function lies nothing that is in use.
        unsafe {
            at.write_volatile(PAINT);
            at = at.add(1);
        }
    }
}

/// Octets from the start of the stack to the deepest word that was written since.
#[inline(never)]
pub fn used() -> usize {
    let highest = &raw const _stack_highest;
    let mut at = (&raw mut _stack_lowest).cast_const();
    // SAFETY: the whole stack can be read.
    while at < highest && unsafe { at.read_volatile() } == PAINT {
        // SAFETY: at most one past its end.
        at = unsafe { at.add(1) };
    }
    (highest as usize).saturating_sub(at as usize)
}
