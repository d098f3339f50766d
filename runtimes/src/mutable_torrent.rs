//! Torrents that a key points at (BEP 46): a mutable item whose value names an info-hash, and the magnet link that names
//! the key and the salt.
//!
//! ```
//! use bep44::mutable_torrent::{Magnet, info_hash_in, value};
//!
//! let magnet: Magnet =
//!     "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e".parse()?;
//! assert_eq!(magnet.target().to_string(), "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f");
//! let info_hash = "4a533d47ec9c7d95b1ad75f576cffc641853b750".parse()?;
//! assert_eq!(info_hash_in(&value(info_hash)), Ok(info_hash));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use bep44_core::crypto::PublicKey;
use bep44_core::id::Target;
use bep44_core::item::{MAX_SALT, mutable_target};
use bep44_core::wire::bencode::Dict;

use crate::hex::{ParseHexError, array_from_hex, from_hex, to_hex};

/// The bencoded value of an item that points at `info_hash`: `d2:ih20:...e`.
#[must_use]
pub fn value(info_hash: Target) -> Vec<u8> {
    [b"d2:ih20:", &info_hash.as_bytes()[..], b"e"].concat()
}

/// Why a value points at no torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoInfoHash {
    /// It is not a dict, or has no byte string `ih`.
    #[error("the value is not a dict with an info-hash `ih`: it points at no torrent")]
    Missing,
    /// Its `ih` has this many octets.
    #[error("the info-hash `ih` has {0} octets instead of 20")]
    Length(usize),
}

/// The info-hash that the bencoded `value` points at. Other keys are passed over (BEP 46: they may be added).
///
/// # Errors
/// It is not a dict with an `ih` of 20 octets.
pub fn info_hash_in(value: &[u8]) -> Result<Target, NoInfoHash> {
    let mut entries = Dict::open(value).map_err(|_| NoInfoHash::Missing)?.map_while(Result::ok);
    let (_, entry) = entries.find(|(key, _)| *key == b"ih").ok_or(NoInfoHash::Missing)?;
    let info_hash = entry.bytes().ok_or(NoInfoHash::Missing)?;
    Target::from_slice(info_hash).ok_or(NoInfoHash::Length(info_hash.len()))
}

/// What a magnet link names: `magnet:?xs=urn:btpk:<key>&s=<salt>`, both in hexadecimal digits. Shown as that link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Magnet {
    /// The key that signs.
    pub key: PublicKey,
    /// The salt, 64 octets at most; empty if there is none.
    pub salt: Vec<u8>,
}

impl Magnet {
    /// Where the item is stored.
    #[must_use]
    pub fn target(&self) -> Target {
        mutable_target(&self.key, &self.salt)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xs=urn:btpk:{}", self.key)?;
        if !self.salt.is_empty() {
            write!(f, "&s={}", to_hex(&self.salt))?;
        }
        Ok(())
    }
}

/// Why a text is not a magnet link of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMagnetError {
    /// It does not begin with `magnet:?`.
    #[error("expected magnet:?xs=urn:btpk:<64 hexadecimal digits>, with &s=<salt> if there is one")]
    NotMagnet,
    /// It has no `xs=urn:btpk:`.
    #[error("the link names no public key: expected xs=urn:btpk:<64 hexadecimal digits> in it")]
    NoKey,
    /// The key is not 64 hexadecimal digits.
    #[error("the public key in the link: {0}")]
    Key(ParseHexError),
    /// The salt is not hexadecimal.
    #[error("the salt in the link: {0}")]
    Salt(ParseHexError),
    /// The salt has this many octets.
    #[error("the salt in the link has {0} octets; the limit is {MAX_SALT}")]
    SaltTooBig(usize),
}

impl FromStr for Magnet {
    type Err = ParseMagnetError;

    /// Reads a link. Parameters of other kinds (a name, trackers) are passed over, and so is an `xs` of another kind.
    fn from_str(text: &str) -> Result<Self, ParseMagnetError> {
        const SCHEME: &str = "magnet:?";
        let (scheme, parameters) = text.split_at_checked(SCHEME.len()).ok_or(ParseMagnetError::NotMagnet)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(ParseMagnetError::NotMagnet);
        }
        let parameter = |name: &'static str| {
            parameters.split('&').filter_map(|parameter| parameter.split_once('=')).filter_map(move |(key, value)| {
                // `xs.1` is how magnet links number several of a kind.
                (key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))).then_some(value)
            })
        };
        let key = parameter("xs").find_map(|value| value.strip_prefix("urn:btpk:")).ok_or(ParseMagnetError::NoKey)?;
        let key = PublicKey(array_from_hex(key).map_err(ParseMagnetError::Key)?);
        let salt = from_hex(parameter("s").next().unwrap_or_default()).map_err(ParseMagnetError::Salt)?;
        if salt.len() > MAX_SALT {
            return Err(ParseMagnetError::SaltTooBig(salt.len()));
        }
        Ok(Self { key, salt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";

    #[test]
    fn the_vectors_of_the_bep() {
        let plain = format!("magnet:?xs=urn:btpk:{KEY}");
        let magnet: Magnet = plain.parse().unwrap();
        assert_eq!(magnet.target().to_string(), "cc3f9d90b572172053626f9980ce261a850d050b");
        assert_eq!(magnet.to_string(), plain);

        let salted = format!("magnet:?xs=urn:btpk:{KEY}&s=6e");
        let magnet: Magnet = salted.parse().unwrap();
        assert_eq!(magnet.salt, b"n");
        assert_eq!(magnet.target().to_string(), "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f");
        assert_eq!(magnet.to_string(), salted);
    }

    #[test]
    fn other_parameters_are_passed_over() {
        let magnet: Magnet = format!("MAGNET:?dn=a+name&xs=http://x/y&s=00&xs.1=urn:btpk:{KEY}&tr=z").parse().unwrap();
        assert_eq!((magnet.key.to_string().as_str(), &magnet.salt[..]), (KEY, &[0][..]));
    }

    #[test]
    fn other_links_are_refused() {
        let parse = |text: &str| text.parse::<Magnet>().unwrap_err();
        assert_eq!(parse("http://x"), ParseMagnetError::NotMagnet);
        assert_eq!(parse("é"), ParseMagnetError::NotMagnet);
        assert_eq!(parse("magnet:?xt=urn:btih:00"), ParseMagnetError::NoKey);
        assert!(matches!(parse("magnet:?xs=urn:btpk:00"), ParseMagnetError::Key(ParseHexError::Length { .. })));
        assert!(matches!(parse(&format!("magnet:?xs=urn:btpk:{KEY}&s=0")), ParseMagnetError::Salt(_)));
        let long = format!("magnet:?xs=urn:btpk:{KEY}&s={}", "00".repeat(65));
        assert_eq!(parse(&long), ParseMagnetError::SaltTooBig(65));
    }

    #[test]
    fn a_value_has_an_info_hash_of_20_octets() {
        let info_hash = Target::new(*b"abcdefghijklmnopqrst");
        assert_eq!(value(info_hash), b"d2:ih20:abcdefghijklmnopqrste");
        assert_eq!(info_hash_in(b"d1:ai1e2:ih20:abcdefghijklmnopqrst1:z0:e"), Ok(info_hash));
        assert_eq!(info_hash_in(b"d2:ih19:abcdefghijklmnopqrse"), Err(NoInfoHash::Length(19)));
        assert_eq!(info_hash_in(b"d2:ihi5ee"), Err(NoInfoHash::Missing));
        assert_eq!(info_hash_in(b"de"), Err(NoInfoHash::Missing));
        assert_eq!(info_hash_in(b"20:abcdefghijklmnopqrst"), Err(NoInfoHash::Missing));
    }
}
