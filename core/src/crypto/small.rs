//! Ed25519 (RFC 8032) by the arithmetic of `salty`: less than half of the code of `ed25519-compact`, and many times the
//! instructions. Both accept and refuse the same signatures, and make the same ones.

// A point takes 512 octets, and a board's stack is small: what needs several is a function of its own, so that they are
// gone when it returns.

use salty::{CompressedY, EdwardsPoint, FieldElement, FieldImplementation, Scalar, Sha512};

/// A secret key with its public half. Its memory is wiped at its end: a [`Scalar`] does that, be it used as a number or
/// as 32 secret octets.
#[derive(Clone)]
pub(super) struct Secret {
    scalar: Scalar,
    /// What the nonces grow from.
    prefix: Scalar,
    public: [u8; 32],
}

impl Secret {
    pub(super) fn from_seed(seed: [u8; 32]) -> Option<Self> {
        if seed == [0; 32] {
            return None;
        }
        let hash = Sha512::new().updated(&seed).finalize();
        let (mut scalar, prefix) = (Scalar(*hash.first_chunk()?), Scalar(*hash.last_chunk()?));
        // RFC 8032, 5.1.5: a multiple of the cofactor, with the highest bit at a fixed place.
        let [lowest, .., highest] = &mut scalar.0;
        *lowest &= 0xf8;
        *highest = *highest & 0x3f | 0x40;
        let public = (&scalar * &EdwardsPoint::basepoint()).compressed().0;
        Some(Self { scalar, prefix, public })
    }

    pub(super) const fn public_key(&self) -> [u8; 32] {
        self.public
    }

    #[inline(never)]
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let nonce = Scalar::from_u512_le(&Sha512::new().updated(&self.prefix.0).updated(message).finalize());
        let r = (&nonce * &EdwardsPoint::basepoint()).compressed().0;
        let s = &nonce + &(&challenge(&r, &self.public, &[message]) * &self.scalar);
        let mut signature = [0; 64];
        let halves = signature.iter_mut().zip(r.iter().chain(&s.0));
        halves.for_each(|(octet, half)| *octet = *half);
        signature
    }
}

#[inline(never)]
pub(super) fn verifies(key: &[u8; 32], signature: &[u8; 64], pieces: &[&[u8]]) -> bool {
    difference(key, signature, pieces).is_some_and(|left_over| has_small_order(&left_over))
}

/// What the two sides of the equation differ by. As it is the cofactored one, that may be of small order.
#[inline(never)]
fn difference(key: &[u8; 32], signature: &[u8; 64], pieces: &[&[u8]]) -> Option<EdwardsPoint> {
    let (r, s) = (signature.first_chunk()?, Scalar::from_bytes(signature.last_chunk()?));
    if !s.is_canonical() {
        return None;
    }
    let minus_key = -&decode(key)?;
    let minus_r = -&decode(r)?;
    let mut sum = sum_of_products(&s, &challenge(r, key, pieces), &minus_key);
    sum = &sum + &minus_r;
    Some(sum)
}

/// `s` times the base point plus `k` times `point`, both at once. How long it takes depends on the numbers: they are
/// known to everybody.
#[inline(never)]
fn sum_of_products(s: &Scalar, k: &Scalar, point: &EdwardsPoint) -> EdwardsPoint {
    let base = EdwardsPoint::basepoint();
    let both = &base + point;
    let mut sum = EdwardsPoint::neutral_element();
    for (s, k) in s.0.iter().zip(&k.0).rev() {
        for bit in (0..8).rev() {
            sum = &sum + &sum;
            let addend = match (s >> bit & 1, k >> bit & 1) {
                (0, 0) => continue,
                (_, 0) => &base,
                (0, _) => point,
                _ => &both,
            };
            sum = &sum + addend;
        }
    }
    sum
}

/// What ties a signature to its nonce, its key and its message.
#[inline(never)]
fn challenge(r: &[u8; 32], key: &[u8; 32], pieces: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new().updated(r).updated(key);
    for piece in pieces {
        hash.update(piece);
    }
    Scalar::from_u512_le(&hash.finalize())
}

/// The y of the four points of order 8, lowest octet first: two numbers, of which one is the negative of the other.
const Y_OF_ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// The point, unless it has a small order or is not encoded as it should be.
fn decode(octets: &[u8; 32]) -> Option<EdwardsPoint> {
    // Above its 255 bits stands the sign of x.
    let mut y = *octets;
    let [lowest, middle @ .., highest] = &mut y;
    *highest &= 0x7f;
    // 2^255 - 19 and more is not reduced; one less is -1, the y of the point of order 2. Those with y = 0 have order 4, and
    // the one with y = 1 is neutral.
    let is_minus_1_or_more = *lowest >= 0xec && *highest == 0x7f && middle.iter().all(|octet| *octet == 0xff);
    let is_0_or_1 = *lowest <= 1 && *highest == 0 && middle.iter().all(|octet| *octet == 0);
    if is_minus_1_or_more || is_0_or_1 || Y_OF_ORDER_8.contains(&y) {
        return None;
    }
    CompressedY(*octets).decompressed().ok()
}

/// Only points of small order have x = 0 when multiplied by 4.
#[inline(never)]
fn has_small_order(point: &EdwardsPoint) -> bool {
    let double = point + point;
    (&double + &double).x() == FieldElement::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
    use quickcheck::quickcheck;
    use std::vec::Vec;

    /// Whether both verifiers accept, or both refuse.
    fn both_verify(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        let other = PublicKey::new(*key).verify(message, &Signature::new(*signature)).is_ok();
        assert_eq!(verifies(key, signature, &[message]), other, "{key:?} {signature:?}");
        other
    }

    fn seed_of(number: u64) -> [u8; 32] {
        core::array::from_fn(|at| (number >> (8 * (at % 8))) as u8 ^ at as u8)
    }

    quickcheck! {
        fn keys_and_signatures_are_those_of_the_other(number: u64, message: Vec<u8>) -> bool {
            let (ours, other) = (Secret::from_seed(seed_of(number)).unwrap(), KeyPair::from_seed(Seed::new(seed_of(number))));
            let signature = ours.sign(&message);
            ours.public_key() == *other.pk
                && signature == *other.sk.sign(&message, None)
                && both_verify(&ours.public_key(), &signature, &message)
        }

        fn what_was_changed_is_refused(number: u64, message: Vec<u8>, bit: u16) -> bool {
            let secret = Secret::from_seed(seed_of(number)).unwrap();
            let (mut key, mut signature) = (secret.public_key(), secret.sign(&message));
            let flipped = 1 << (bit % 8);
            match usize::from(bit / 8 % 96) {
                at @ 0..64 => signature[at] ^= flipped,
                at => key[at - 64] ^= flipped,
            }
            !both_verify(&key, &signature, &message)
        }

        fn whatever_octets_come_both_say_the_same(key: Vec<u8>, signature: Vec<u8>) -> bool {
            let octet = |from: &[u8], at: usize| from.get(at).copied().unwrap_or(0xff);
            let key = core::array::from_fn(|at| octet(&key, at));
            both_verify(&key, &core::array::from_fn(|at| octet(&signature, at)), b"x");
            true
        }
    }

    /// The eight points of small order: the multiples of one of order eight, which is what is left of any point times the
    /// order of the base point.
    fn of_small_order() -> Vec<EdwardsPoint> {
        let order = Scalar::from_bytes(&Scalar::ell());
        let generators = (1..)
            .filter_map(|y| CompressedY(core::array::from_fn(|at| if at == 0 { y } else { 0 })).decompressed().ok());
        let is_of_order_8 = |point: &EdwardsPoint| {
            let double = point + point;
            (&double + &double).compressed().0 != EdwardsPoint::neutral_element().compressed().0
        };
        let generator = generators.map(|point| &order * &point).find(is_of_order_8).unwrap();
        let mut points = std::vec![EdwardsPoint::neutral_element()];
        for at in 0..7 {
            points.push(&points[at] + &generator);
        }
        points
    }

    #[test]
    fn points_of_small_order_are_refused_and_what_they_are_added_to_is_not() {
        let secret = Secret::from_seed([7; 32]).unwrap();
        let key_point = CompressedY(secret.public_key()).decompressed().unwrap();
        let nonce = Scalar::from_u512_le(&[9; 64]);
        let nonce_point = &nonce * &EdwardsPoint::basepoint();
        let points = of_small_order();
        assert_eq!(points.iter().map(|point| point.compressed().0).collect::<std::collections::BTreeSet<_>>().len(), 8);
        for point in &points {
            // Alone, as key and as R, with an S for which the equation holds.
            let small = point.compressed().0;
            for s in [[0; 32], nonce.0] {
                let signature: Vec<u8> = small.iter().chain(&s).copied().collect();
                assert!(!both_verify(&small, signature[..].try_into().unwrap(), b"x"));
                assert!(!both_verify(&secret.public_key(), signature[..].try_into().unwrap(), b"x"));
            }
            // Added to the key and to R: the cofactored equation does not see it.
            for other in &points {
                let key = (&key_point + point).compressed().0;
                let r = (&nonce_point + other).compressed().0;
                let s = &nonce + &(&challenge(&r, &key, &[b"x"]) * &secret.scalar);
                let signature: Vec<u8> = r.iter().chain(&s.0).copied().collect();
                assert!(both_verify(&key, signature[..].try_into().unwrap(), b"x"));
                assert!(!both_verify(&key, signature[..].try_into().unwrap(), b"y"));
            }
        }
    }

    #[test]
    fn encodings_that_are_not_reduced_are_refused() {
        let signature = Secret::from_seed([7; 32]).unwrap().sign(b"x");
        for lowest in 0xe0..=0xff {
            for sign in [0x7f, 0xff] {
                let key: [u8; 32] = core::array::from_fn(|at| {
                    if at == 0 {
                        lowest
                    } else if at == 31 {
                        sign
                    } else {
                        0xff
                    }
                });
                assert!(!both_verify(&key, &signature, b"x"));
                if lowest >= 0xed {
                    assert!(decode(&key).is_none());
                }
                // As R.
                let forged: Vec<u8> = key.iter().chain(&signature[32..]).copied().collect();
                let own = Secret::from_seed([7; 32]).unwrap().public_key();
                assert!(!both_verify(&own, forged[..].try_into().unwrap(), b"x"));
            }
        }
        // S and what is added to it around the order.
        for add in 0..=2_u8 {
            let mut s = Scalar::ell();
            s[0] = s[0] - 1 + add;
            let forged: Vec<u8> = signature[..32].iter().chain(&s).copied().collect();
            assert!(!both_verify(
                &Secret::from_seed([7; 32]).unwrap().public_key(),
                forged[..].try_into().unwrap(),
                b"x"
            ));
            assert_eq!(Scalar::from_bytes(&s).is_canonical(), add == 0);
        }
    }
}
