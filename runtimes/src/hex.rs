//! Octets as hexadecimal digits, as keys, salts and values are written on command lines and in magnet links.

use std::fmt::Write as _;

/// Why a text is not octets in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseHexError {
    /// An octet takes two digits.
    #[error("expected two hexadecimal digits for each octet, found {0} characters")]
    Odd(usize),
    /// Another number of octets was expected.
    #[error("expected {expected} hexadecimal digits, found {found} characters")]
    Length {
        /// Digits that were expected.
        expected: usize,
        /// Characters that were found.
        found: usize,
    },
    /// The character at this position (from 1) is not a hexadecimal digit.
    #[error("character {0} is not a hexadecimal digit")]
    Digit(usize),
}

/// The octets that `text` names, two digits each, in either case.
///
/// # Errors
/// An odd number of characters, or one that is not a digit.
pub fn from_hex(text: &str) -> Result<Vec<u8>, ParseHexError> {
    let digits: Vec<u8> = text
        .chars()
        .enumerate()
        .map(|(at, c)| c.to_digit(16).map(|digit| digit as u8).ok_or(ParseHexError::Digit(at + 1)))
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ParseHexError::Odd(digits.len()));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Exactly `N` octets.
pub(crate) fn array_from_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseHexError> {
    let wrong_length = || ParseHexError::Length { expected: 2 * N, found: text.chars().count() };
    if text.chars().count() != 2 * N {
        return Err(wrong_length());
    }
    from_hex(text)?.try_into().map_err(|_| wrong_length())
}

/// `octets` as hexadecimal digits in lower case.
#[must_use]
pub fn to_hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(from_hex("00fFa1"), Ok(vec![0, 255, 0xa1]));
        assert_eq!(to_hex(&[0, 255, 0xa1]), "00ffa1");
        assert_eq!(from_hex(""), Ok(vec![]));
    }

    #[test]
    fn what_is_not_hex_says_where() {
        assert_eq!(from_hex("0"), Err(ParseHexError::Odd(1)));
        assert_eq!(from_hex("0g"), Err(ParseHexError::Digit(2)));
        assert_eq!(from_hex("é0"), Err(ParseHexError::Digit(1)));
        assert_eq!(array_from_hex::<2>("00"), Err(ParseHexError::Length { expected: 4, found: 2 }));
    }
}
