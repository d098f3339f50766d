//! Ed25519 and SHA-1: the one room that calls `ed25519-compact`, `sha1_smol`, and `salty` where that is chosen.

// What it has is called `ed25519` here: both have the same functions, accept and refuse the same signatures, and make
// the same ones.
#[cfg(not(feature = "salty"))]
#[path = "compact.rs"]
mod ed25519;
#[cfg(feature = "salty")]
#[path = "small.rs"]
mod ed25519;

use core::fmt;

use crate::id::ID_LEN;

/// An Ed25519 public key, as BEP 44 writes it (`k`): 32 octets. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature, as BEP 44 writes it (`sig`): 64 octets. Shown as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

macro_rules! shown_as_hex {
    ($name:ident) => {
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
    };
}

shown_as_hex!(PublicKey);
shown_as_hex!(Signature);

impl PublicKey {
    /// Whether `signature` is this key's for the octets of `pieces`, one after the other.
    ///
    /// Refused as well: a key or an `R` that is not the canonical encoding of a point or that has a small order, and an
    /// `S` that is not reduced. The equation is the cofactored one of RFC 8032, so that every correct verifier that
    /// checks many signatures at once agrees with it.
    pub(crate) fn verifies(&self, signature: &Signature, pieces: &[&[u8]]) -> bool {
        ed25519::verifies(&self.0, &signature.0, pieces)
    }
}

/// An Ed25519 secret key, made from a 32-octet seed (RFC 8032, 5.1.5). It never enters a node: signing is done beside it.
#[derive(Clone)]
pub struct SecretKey(ed25519::Secret);

impl SecretKey {
    /// The key that grows from `seed`; `None` for a seed of all zeros, which is surely a mistake.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Option<Self> {
        ed25519::Secret::from_seed(seed).map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// Signs `message`: the same signature each time, as RFC 8032 has it.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public_key())
    }
}

/// The SHA-1 of the octets of `pieces`, one after the other.
pub(crate) fn sha1(pieces: &[&[u8]]) -> [u8; ID_LEN] {
    let mut digest = sha1_smol::Sha1::new();
    for piece in pieces {
        digest.update(piece);
    }
    digest.digest().bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        SecretKey::from_seed([7; 32]).unwrap()
    }

    #[test]
    fn a_signature_over_pieces_is_one_over_the_whole() {
        let signature = secret().sign(b"abcdef");
        let key = secret().public_key();
        assert!(key.verifies(&signature, &[b"abc", b"", b"def"]));
        assert!(!key.verifies(&signature, &[b"abc", b"deg"]));
    }

    #[test]
    fn signing_is_deterministic() {
        assert_eq!(secret().sign(b"x"), secret().sign(b"x"));
    }

    #[test]
    fn the_first_vector_of_rfc_8032() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let secret = SecretKey::from_seed(seed).unwrap();
        assert_eq!(secret.public_key().0[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(secret.sign(b"").0[..4], [0xe5, 0x56, 0x43, 0x00]);
    }

    #[test]
    fn an_unreduced_s_and_a_key_of_small_order_are_refused() {
        // The order of the base point, little-endian: S + L verifies the same equation, and would make a second
        // signature out of any first one.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut forged = secret().sign(b"x");
        let mut carry = 0;
        for (octet, add) in forged.0[32..].iter_mut().zip(L) {
            let sum = u16::from(*octet) + u16::from(add) + carry;
            *octet = sum as u8;
            carry = sum >> 8;
        }
        assert!(!secret().public_key().verifies(&forged, &[b"x"]));

        // The identity as key, R the identity, S zero: true for every message if small orders were allowed.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!PublicKey(identity).verifies(&Signature(signature), &[b"anything"]));
    }

    #[test]
    fn a_seed_of_zeros_is_refused() {
        assert!(SecretKey::from_seed([0; 32]).is_none());
    }
}
