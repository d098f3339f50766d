//! Hexadecimal digits.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// The two digits of `octet`.
pub(crate) fn digits(octet: u8) -> [u8; 2] {
    [octet >> 4, octet & 15].map(|value| DIGITS.get(usize::from(value)).copied().unwrap_or(b'?'))
}

/// Exactly `N` octets, written as `2 * N` digits.
pub(crate) fn parse<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut octets = [0; N];
    fill(&mut octets, text)?;
    Some(octets)
}

/// Likewise, into `octets`; after a mistake, half of them are there.
// Once for all lengths.
#[inline(never)]
pub(crate) fn fill(octets: &mut [u8], text: &[u8]) -> Option<()> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != octets.len() {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(pairs) {
        for digit in pair {
            *octet = *octet << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parse(b"00ff7A"), Some([0x00, 0xff, 0x7a]));
        for wrong in [&b"00ff7"[..], b"00ff7g", b"00ff", b"00ff7a00", b""] {
            assert_eq!(parse::<3>(wrong), None);
        }
        for octet in 0..=255 {
            assert_eq!(parse(&digits(octet)), Some([octet]));
        }
    }
}
