//! Stands in for `sha1_smol` where everything but cryptography is to be proved free of panics: the same names, and octets of
//! which the compiler knows nothing. Nothing is hashed here.
#![no_std]
#![forbid(unsafe_code)]

use core::hint::black_box;

/// Takes in octets.
#[derive(Debug)]
pub struct Sha1;

/// What comes out.
#[derive(Debug)]
pub struct Digest;

impl Sha1 {
    /// Has taken in nothing.
    #[expect(clippy::new_without_default, reason = "the core calls nothing else")]
    pub fn new() -> Self {
        Self
    }

    /// Takes in octets.
    pub fn update(&mut self, octets: &[u8]) {
        black_box((self, octets));
    }

    /// The digest.
    pub fn digest(&self) -> Digest {
        Digest
    }
}

impl Digest {
    /// As octets.
    pub fn bytes(&self) -> [u8; 20] {
        black_box([0; 20])
    }
}
