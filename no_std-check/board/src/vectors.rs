//! The interrupts of the devices: none is switched on, so that the processor looks none of them up, and the vector table
//! ends with the first, which the linker script of cortex-m-rt asks for. A part whose firmware listens to some has one for
//! each up to the last of those (data sheet, chapter "Exceptions": 44). Without this one, cortex-m-rt makes one for the 240
//! that a Cortex-M3 could have.

unsafe extern "C" {
    /// Of cortex-m-rt: a loop that does nothing.
    fn DefaultHandler();
}

// SAFETY: the name and the section are those that the linker script of cortex-m-rt asks for, with its feature `device`.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];
