//! The interrupts of the devices: none is listened to. The part has 44 (data sheet, chapter "Exceptions"), and the vector
//! table ends with them; without this one, cortex-m-rt makes one for the 240 that a Cortex-M3 could have.

/// Interrupts of the LM3S6965.
const INTERRUPTS: usize = 44;

unsafe extern "C" {
    /// Of cortex-m-rt: a loop that does nothing.
    fn DefaultHandler();
}

// SAFETY: the name and the section are those that the linker script of cortex-m-rt asks for, with its feature `device`.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = [DefaultHandler; INTERRUPTS];
