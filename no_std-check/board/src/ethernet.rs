//! The Ethernet controller of the LM3S6965 (data sheet, chapter "Ethernet Controller"), polled.

use bare_udp::MAX_FRAME;

use crate::register::registers;

registers! { 0x4004_8000:
    INTERRUPT_MASK = 0x04,
    RECEIVE_CONTROL = 0x08,
    TRANSMIT_CONTROL = 0x0c,
    DATA = 0x10,
    ADDRESS_LOW = 0x14,
    ADDRESS_HIGH = 0x18,
    PACKETS = 0x34,
    TRANSMIT = 0x38,
}

registers! { 0x400f_e000:
    CLOCK_GATE = 0x108,
}

/// Frames that are larger than their own length: two octets of length, four of check sequence.
const EXTRA: usize = 6;

/// The card.
#[derive(Debug)]
pub struct Ethernet(());

impl Ethernet {
    pub(crate) fn start() -> Self {
        // Clocks for the controller and its transceiver.
        CLOCK_GATE.write(CLOCK_GATE.read() | 1 << 30 | 1 << 28);
        // All interrupts are on after a reset, and nobody listens to them.
        INTERRUPT_MASK.write(0);
        // Empty the queue; then receive, without frames that are damaged.
        RECEIVE_CONTROL.write(0x10);
        RECEIVE_CONTROL.write(0x09);
        // Full duplex, check sequence, padding, on.
        TRANSMIT_CONTROL.write(0x17);
        Self(())
    }
}

impl firmware::Card for Ethernet {
    fn set_address(&mut self, mac: [u8; 6]) {
        let [a, b, c, d, e, f] = mac;
        ADDRESS_LOW.write(u32::from_le_bytes([a, b, c, d]));
        ADDRESS_HIGH.write(u32::from_le_bytes([e, f, 0, 0]));
    }

    fn waiting(&mut self) -> bool {
        PACKETS.read() & 0x3f != 0
    }

    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        if !self.waiting() {
            return None;
        }
        // The first word holds the length, and the first two octets of the frame.
        let [low, high, first, second] = DATA.read().to_le_bytes();
        let total = usize::from(u16::from_le_bytes([low, high]));
        let len = total.saturating_sub(EXTRA);
        let [one, two, rest @ ..] = frame;
        (*one, *two) = (first, second);
        let mut rest = rest.chunks_mut(4);
        // All words must be read, the check sequence as well, or the frame stays.
        for _ in 0..total.div_ceil(4).saturating_sub(1) {
            let word = DATA.read().to_le_bytes();
            // A frame that is too long loses its end, and with it its check sums.
            for (octet, read) in rest.next().unwrap_or_default().iter_mut().zip(word) {
                *octet = read;
            }
        }
        (len <= MAX_FRAME).then_some(len)
    }

    fn send(&mut self, frame: &[u8]) {
        // Not before the last one has left.
        while TRANSMIT.read() & 1 != 0 {}
        let Some((&[one, two], rest)) = frame.split_first_chunk::<2>() else { return };
        // The length that it wants is that of the payload.
        let [low, high] = (frame.len().saturating_sub(14) as u16).to_le_bytes();
        DATA.write(u32::from_le_bytes([low, high, one, two]));
        for chunk in rest.chunks(4) {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            DATA.write(u32::from_le_bytes(word));
        }
        TRANSMIT.write(1);
    }
}
