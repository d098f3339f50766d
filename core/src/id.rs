//! Points of the 160-bit key space: node ids, targets, and the distance between them (BEP 5, "Overview").

use core::fmt;
use core::str::FromStr;

/// Octets in a node id, a target or an info-hash (BEP 5: 160 bits).
pub const ID_LEN: usize = 20;

/// Why a text is not a node id or a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text does not have 40 characters; it has this many octets.
    Length(usize),
    /// The octet at this position is not a hexadecimal digit.
    Digit(usize),
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "expected 40 hexadecimal digits, found {len} characters"),
            Self::Digit(at) => write!(f, "character {} is not a hexadecimal digit", at + 1),
        }
    }
}

impl core::error::Error for ParseIdError {}

/// Reads exactly `N` octets written as hexadecimal digits.
fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    if text.len() != 2 * N {
        return Err(ParseIdError::Length(text.len()));
    }
    let mut out = [0; N];
    for (at, (octet, pair)) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)).enumerate() {
        for (nibble, &digit) in pair.iter().enumerate() {
            let value = char::from(digit).to_digit(16).ok_or(ParseIdError::Digit(2 * at + nibble))?;
            // A hexadecimal digit is below 16.
            *octet = (*octet << 4) | value as u8;
        }
    }
    Ok(out)
}

macro_rules! point {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// The point with all bits zero.
            pub const ZERO: Self = Self([0; ID_LEN]);

            /// Takes the 20 octets as they stand on the wire (big-endian).
            #[must_use]
            pub const fn new(octets: [u8; ID_LEN]) -> Self {
                Self(octets)
            }

            /// The point in `octets`, if they are exactly 20.
            #[must_use]
            #[cfg_attr(feature = "opt-size", inline(never))]
            pub fn from_slice(octets: &[u8]) -> Option<Self> {
                Some(Self(octets.try_into().ok()?))
            }

            /// The 20 octets as they stand on the wire.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                from_hex(text).map(Self)
            }
        }
    };
}

point! {
    /// The id of a node (BEP 5): its place in the key space. Shown as 40 hexadecimal digits.
    NodeId
}

point! {
    /// What a lookup walks towards: the key of an item (BEP 44), an info-hash (BEP 5), or any other point. Shown as 40
    /// hexadecimal digits.
    // Words: copied as such wherever they stand. (An id has a place in every candidate, where that would cost memory.)
    #[repr(align(4))]
    Target
}

impl From<NodeId> for Target {
    fn from(id: NodeId) -> Self {
        Self(id.0)
    }
}

impl NodeId {
    /// How far this node is from `target`: the exclusive or of the two, as a big-endian number (BEP 5, "Overview").
    #[must_use]
    pub fn distance(&self, target: &Target) -> Distance {
        let mut octets = self.0;
        for (octet, other) in octets.iter_mut().zip(&target.0) {
            *octet ^= other;
        }
        Distance(octets)
    }
}

/// A distance in the key space; smaller is closer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; ID_LEN]);

impl Distance {
    /// The distance between a point and itself.
    pub const ZERO: Self = Self([0; ID_LEN]);
    /// As far as two points can be.
    pub const MAX: Self = Self([0xff; ID_LEN]);

    /// How many leading bits the two points share, from 0 to 160.
    #[must_use]
    pub fn shared_prefix(&self) -> u32 {
        let mut bits = 0;
        for octet in self.0 {
            bits += octet.leading_zeros();
            if octet != 0 {
                break;
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn hex_round_trip() {
        let text = "4a533d47ec9c7d95b1ad75f576cffc641853b750";
        let target: Target = text.parse().unwrap();
        assert_eq!(target.to_string(), text);
        assert_eq!("4A53".parse::<Target>(), Err(ParseIdError::Length(4)));
        let bad = "4a533d47ec9c7d95b1ad75f576cffc641853b75g";
        assert_eq!(bad.parse::<NodeId>(), Err(ParseIdError::Digit(39)));
    }

    #[test]
    fn hex_of_other_alphabets_is_refused() {
        // 40 octets, but 20 characters.
        assert!("éééééééééééééééééééé".parse::<NodeId>().is_err());
    }

    #[test]
    fn distance_is_symmetric_and_counts_the_shared_prefix() {
        let mut a = [0; ID_LEN];
        a[2] = 0b0001_0000;
        let (a, b) = (NodeId::new(a), NodeId::ZERO);
        assert_eq!(a.distance(&b.into()), b.distance(&a.into()));
        assert_eq!(a.distance(&b.into()).shared_prefix(), 19);
        assert_eq!(a.distance(&a.into()), Distance::ZERO);
        assert_eq!(Distance::ZERO.shared_prefix(), 160);
    }
}
