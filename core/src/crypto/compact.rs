//! Ed25519 by `ed25519-compact`.

use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};

/// A secret key with its public half. Its memory is wiped at its end.
#[derive(Clone)]
pub(super) struct Secret(KeyPair);

impl Secret {
    pub(super) fn from_seed(seed: [u8; 32]) -> Option<Self> {
        KeyPair::try_from_seed(Seed::new(seed)).ok().map(Self)
    }

    pub(super) fn public_key(&self) -> [u8; 32] {
        *self.0.pk
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        *self.0.sk.sign(message, None)
    }
}

pub(super) fn verifies(key: &[u8; 32], signature: &[u8; 64], pieces: &[&[u8]]) -> bool {
    let key = PublicKey::new(*key);
    let Ok(mut state) = key.verify_incremental(&Signature::new(*signature)) else { return false };
    for piece in pieces {
        state.absorb(piece);
    }
    state.verify().is_ok()
}
