//! The checksum of IPv4, UDP and ICMP (RFC 1071): the one's complement of the sum of all 16-bit words.

/// A sum under way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// Adds the words of `octets`. Of all slices that are added, only the last may have an odd length.
    // Once for all who add.
    #[inline(never)]
    pub(crate) fn add(self, octets: &[u8]) -> Self {
        let (words, odd) = octets.as_chunks::<2>();
        // A frame has fewer than 2^16 words, so that the sum does not overflow.
        let sum = words.iter().fold(self.0, |sum, word| sum.wrapping_add(u16::from_be_bytes(*word).into()));
        Self(odd.first().map_or(sum, |last| sum.wrapping_add(u32::from(*last) << 8)))
    }

    /// Adds one word.
    pub(crate) const fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word as u32))
    }

    /// The checksum: what is written for octets in whose sum it counts as zero, and zero for octets with a right one.
    pub(crate) const fn finish(self) -> u16 {
        let folded = (self.0 >> 16) + (self.0 & 0xffff);
        let folded = (folded >> 16) + (folded & 0xffff);
        !(folded as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 1071, section 3.
        let sum = Checksum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
        // In two pieces, and with an odd one at the end.
        let whole = Checksum::default().add(&[1, 2, 3, 4, 5]);
        assert_eq!(Checksum::default().add(&[1, 2]).add(&[3, 4, 5]).finish(), whole.finish());
        assert_eq!(Checksum::default().add(&[1, 2, 3, 4, 5, 0]).finish(), whole.finish());
    }

    #[test]
    fn a_header_with_its_checksum_sums_to_zero() {
        // An IPv4 header as Linux has sent it: 192.168.0.1 to 192.168.0.199, UDP, 115 octets.
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(Checksum::default().add(&header).finish(), 0);
        let mut blank = header;
        blank[10..12].fill(0);
        assert_eq!(Checksum::default().add(&blank).finish(), 0xb861);
    }
}
