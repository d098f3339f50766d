//! The first serial port (an ARM PL011), polled.

use crate::register::registers;

registers! { 0x4000_c000:
    DATA = 0x00,
    FLAGS = 0x18,
    LINE = 0x2c,
    CONTROL = 0x30,
}

const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;

/// The serial port.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// The port, switched on.
    #[must_use]
    pub fn start() -> Self {
        // Eight bits, with queues; both directions on.
        LINE.write(0x70);
        CONTROL.write(0x301);
        Self(())
    }

    // Once for all who write.
    #[inline(never)]
    pub(crate) fn write_octets(&mut self, octets: &[u8]) {
        for octet in octets {
            while FLAGS.read() & TRANSMIT_FULL != 0 {}
            DATA.write((*octet).into());
        }
    }
}

impl firmware::Console for Uart {
    fn write(&mut self, octets: &[u8]) {
        self.write_octets(octets);
    }

    fn read(&mut self) -> Option<u8> {
        (FLAGS.read() & RECEIVE_EMPTY == 0).then(|| DATA.read() as u8)
    }
}
