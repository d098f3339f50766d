//! Stands in for `ed25519-compact` where everything but cryptography is to be proved free of panics: the same names, and
//! answers about which the compiler knows nothing. Nothing is signed or verified here.
#![no_std]
#![forbid(unsafe_code)]

use core::hint::black_box;
use core::ops::Deref;

/// Why something is refused: nobody asks.
#[derive(Debug)]
pub struct Error;

fn perhaps<T>(value: T) -> Result<T, Error> {
    if black_box(true) { Ok(value) } else { Err(Error) }
}

macro_rules! octets {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Holds these octets.
            pub fn new(octets: [u8; $len]) -> Self {
                Self(octets)
            }
        }

        impl Deref for $name {
            type Target = [u8; $len];

            fn deref(&self) -> &[u8; $len] {
                &self.0
            }
        }
    };
}

octets!(
    /// What a key is made from.
    Seed,
    32
);
octets!(
    /// A public key.
    PublicKey,
    32
);
octets!(
    /// A secret key.
    SecretKey,
    64
);
octets!(
    /// A signature.
    Signature,
    64
);
octets!(
    /// What would make each signature another.
    Noise,
    16
);

/// Both keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyPair {
    /// The public one.
    pub pk: PublicKey,
    /// The secret one.
    pub sk: SecretKey,
}

impl KeyPair {
    /// Keys, or none.
    pub fn try_from_seed(seed: Seed) -> Result<Self, Error> {
        perhaps(Self { pk: PublicKey(black_box(seed.0)), sk: SecretKey(black_box([0; 64])) })
    }
}

impl SecretKey {
    /// A signature.
    pub fn sign(&self, message: impl AsRef<[u8]>, _: Option<Noise>) -> Signature {
        black_box((self, message.as_ref()));
        Signature(black_box([0; 64]))
    }
}

impl PublicKey {
    /// Begins to verify, or refuses.
    pub fn verify_incremental(&self, signature: &Signature) -> Result<VerifyingState, Error> {
        black_box((self, signature));
        perhaps(VerifyingState)
    }
}

/// Verifies what comes in pieces.
#[derive(Debug)]
pub struct VerifyingState;

impl VerifyingState {
    /// The next piece.
    pub fn absorb(&mut self, piece: impl AsRef<[u8]>) {
        black_box(piece.as_ref());
    }

    /// Whether the signature is right.
    pub fn verify(&self) -> Result<(), Error> {
        perhaps(())
    }
}
