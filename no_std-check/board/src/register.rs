//! A register of a device in memory.

/// One register of 32 bits at a fixed address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    /// The register at `address`.
    ///
    /// # Safety
    /// A device register of 32 bits must be there, aligned, which may be read and written at any time without breaking
    /// what Rust relies on: no memory of the program is behind it.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: as promised at `at`.
        unsafe { core::ptr::read_volatile(self.0 as *const u32) }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: as promised at `at`.
        unsafe { core::ptr::write_volatile(self.0 as *mut u32, value) }
    }
}

/// Names registers at offsets of a device.
macro_rules! registers {
    ($base:literal: $($name:ident = $offset:literal,)*) => {
        $(
            // SAFETY: the data sheet of the LM3S6965 has this register there.
            const $name: $crate::register::Register = unsafe { $crate::register::Register::at($base + $offset) };
        )*
    };
}
pub(crate) use registers;
