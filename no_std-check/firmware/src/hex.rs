//! Hexadecimal digits.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// The two digits of `octet`.
pub(crate) fn digits(octet: u8) -> [u8; 2] {
    [octet >> 4, octet & 15].map(|value| DIGITS.get(usize::from(value)).copied().unwrap_or(b'?'))
}

/// Exactly `N` octets, written as `2 * N` digits.
pub(crate) fn parse<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut octets = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *octet = (value(*high)? << 4 | value(*low)?) as u8;
    }
    Some(octets)
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
