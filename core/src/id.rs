//! Points of the 160-bit key space: node ids, targets, and the distance between them (BEP 5, "Overview"); and which ids a
//! node may have at its address (BEP 42).

use core::fmt;
use core::net::IpAddr;
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

    /// An id for a node whose address on the Internet is `ip`: its first 21 bits follow from the address and the last
    /// octet of `random`, so that nobody can choose where in the key space to be; all else is `random` (BEP 42).
    ///
    /// ```
    /// use bep44_core::NodeId;
    /// let ip = "124.31.75.21".parse().unwrap();
    /// // 20 octets from the host's source of randomness.
    /// let id = NodeId::for_ip(ip, [1; 20]);
    /// assert!(id.suits(ip) && !id.suits("21.75.31.124".parse().unwrap()));
    /// ```
    #[must_use]
    pub fn for_ip(ip: IpAddr, random: [u8; ID_LEN]) -> Self {
        let mut id = random;
        let [first, second, third, .., last] = &mut id;
        let [high, middle, low, _] = prefix_for(ip, *last).to_be_bytes();
        (*first, *second) = (high, middle);
        *third = (low & 0xf8) | (*third & 0x07);
        Self(id)
    }

    /// Whether a node at `ip` may have this id (BEP 42). At an address of a local network, which is not its address on the
    /// Internet, it may have any.
    #[must_use]
    pub fn suits(&self, ip: IpAddr) -> bool {
        // The networks that BEP 42 exempts, no more: an address behind a carrier's translator is none of them.
        let is_local = match ip {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
        };
        is_local || Self::for_ip(ip, self.0) == *self
    }
}

/// What the first 21 bits of an id at `ip` must be, in the highest bits. `last` is the id's last octet.
fn prefix_for(ip: IpAddr, last: u8) -> u32 {
    // Of an IPv4 address as much as its holder cannot choose; of an IPv6 one, of the half that names the network.
    let bits = match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() & 0x030f_3fff),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 & 0x0103_070f_1f3f_7fff,
    };
    // Three bits of the id's choice stand above it: so many ids has one address, whatever else is random.
    let len = if ip.is_ipv4() { 4 } else { 8 };
    let bits = bits | u64::from(last & 7) << (8 * len - 3);
    bits.to_be_bytes().iter().skip(8 - len).fold(u32::MAX, |crc, octet| crc32c(crc, *octet)) ^ u32::MAX
}

/// One octet more of a CRC-32C (the polynomial of Castagnoli, lowest bits first).
fn crc32c(crc: u32, octet: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(octet), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
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
    use quickcheck::quickcheck;
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
    fn the_ids_of_bep_42_suit_their_addresses() {
        for (ip, rand, id) in [
            ("124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let (ip, id): (IpAddr, NodeId) = (ip.parse().unwrap(), id.parse().unwrap());
            assert!(id.suits(ip), "{ip} {id}");
            assert_eq!(id.0[19], rand);
            // From the same random octets, the same id again, whatever stands where the address decides.
            let mut random = id.0;
            (random[0], random[1], random[2]) = (!random[0], !random[1], random[2] ^ 0xf8);
            assert!(!NodeId(random).suits(ip));
            assert_eq!(NodeId::for_ip(ip, random), id);
        }
    }

    #[test]
    fn a_crc_is_that_of_castagnoli() {
        // The check value of this CRC in every catalogue.
        assert_eq!(b"123456789".iter().fold(u32::MAX, |crc, octet| crc32c(crc, *octet)) ^ u32::MAX, 0xe306_9283);
    }

    #[test]
    fn any_id_suits_a_local_address() {
        for local in ["10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.1.1", "127.0.0.1", "::1", "fe80::1", "fd00::1"]
        {
            assert!(NodeId::ZERO.suits(local.parse().unwrap()), "{local}");
        }
        assert!(
            !NodeId::ZERO.suits("172.32.0.1".parse().unwrap()) && !NodeId::ZERO.suits("2001:db8::1".parse().unwrap())
        );
    }

    quickcheck! {
        fn an_id_made_for_an_address_suits_it_and_its_network_only(ip: u128, four: bool, seed: u64, bit: u8) -> bool {
            let address = |bits: u128| if four { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) };
            let random = core::array::from_fn(|at| (seed >> (at % 8 * 8)) as u8 ^ at as u8);
            let id = NodeId::for_ip(address(ip), random);
            // The lower half of an IPv6 address is the holder's to choose.
            let other = if four { ip ^ 1 } else { ip ^ 1 << (bit % 64) };
            let is_the_same = prefix_for(address(other), id.0[19]) == prefix_for(address(ip), id.0[19]);
            id.suits(address(ip)) && is_the_same != four && id.0[3..] == random[3..]
        }
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
