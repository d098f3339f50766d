//! Write tokens (BEP 5, "get_peers"; BEP 44): proof that whoever writes has received a reply at the address it writes
//! from.

use crate::addr::CompactAddr;
use crate::crypto::sha1;
use crate::id::Target;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Octets of the tokens that we issue: nobody guesses 2^64 within the ten minutes that one lives.
pub(crate) const TOKEN_LEN: usize = 8;

/// How long a secret issues tokens; it accepts them for as long again (BEP 5: five and ten minutes).
const SECRET_LIFE: Duration = Duration::from_secs(5 * 60);

/// Issues and checks tokens without remembering any: a token is a keyed hash of the asker's IP address (not its port:
/// NATs change it) and the target, so one cannot be collected for other targets or passed on to other hosts.
#[derive(Debug)]
pub(crate) struct Tokens {
    current: [u8; 16],
    previous: [u8; 16],
    rotate_at: Instant,
}

impl Tokens {
    pub(crate) fn new(now: Instant, rng: &mut Rng) -> Self {
        Self { current: rng.octets(), previous: rng.octets(), rotate_at: now + SECRET_LIFE }
    }

    /// When [`rotate`](Self::rotate) has something to do.
    pub(crate) const fn next_rotation(&self) -> Instant {
        self.rotate_at
    }

    /// Retires secrets that have lived long enough. Must be called before tokens are issued or checked at `now`.
    pub(crate) fn rotate(&mut self, now: Instant, rng: &mut Rng) {
        if now < self.rotate_at {
            return;
        }
        // After a long sleep the "previous" secret would be too old as well.
        let overslept = now >= self.rotate_at + SECRET_LIFE;
        self.previous = if overslept { rng.octets() } else { self.current };
        self.current = rng.octets();
        self.rotate_at = now + SECRET_LIFE;
    }

    pub(crate) fn issue(&self, asker: &CompactAddr, target: &Target) -> [u8; TOKEN_LEN] {
        token(&self.current, asker, target)
    }

    pub(crate) fn accepts(&self, writer: &CompactAddr, target: &Target, offered: &[u8]) -> bool {
        // Both are always computed and compared, so that time tells nothing.
        let current = equal(&token(&self.current, writer, target), offered);
        let previous = equal(&token(&self.previous, writer, target), offered);
        current | previous
    }
}

/// At most 16 + 16 + 20 octets are hashed, one block of SHA-1. Lengths are fixed for each family and the digest is cut,
/// so that a keyed prefix is enough of a key.
fn token(secret: &[u8; 16], addr: &CompactAddr, target: &Target) -> [u8; TOKEN_LEN] {
    let digest = sha1(&[secret, addr.ip(), target.as_bytes()]);
    let mut token = [0; TOKEN_LEN];
    for (to, from) in token.iter_mut().zip(digest) {
        *to = from;
    }
    token
}

/// Compares in a time that depends on nothing secret.
fn equal(expected: &[u8; TOKEN_LEN], offered: &[u8]) -> bool {
    let difference = expected.iter().zip(offered).fold(0, |sum, (a, b)| sum | (a ^ b));
    // Keeps the compiler from leaving the fold early.
    core::hint::black_box(difference) == 0 && offered.len() == TOKEN_LEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;

    fn addr(text: &str) -> CompactAddr {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn a_token_is_bound_to_address_and_target_but_not_to_the_port() {
        let tokens = Tokens::new(Instant::ZERO, &mut Rng::new([1; 32]));
        let target = Target::new([1; 20]);
        for (asker, same, other) in
            [("1.2.3.4:5", "1.2.3.4:6", "1.2.3.5:5"), ("[2001:db8::1]:5", "[2001:db8::1]:6", "[2001:db8::2]:5")]
        {
            let token = tokens.issue(&addr(asker), &target);
            assert!(tokens.accepts(&addr(asker), &target, &token));
            assert!(tokens.accepts(&addr(same), &target, &token));
            assert!(!tokens.accepts(&addr(other), &target, &token));
            assert!(!tokens.accepts(&addr(asker), &Target::new([2; 20]), &token));
        }
    }

    #[test]
    fn a_token_of_another_length_or_content_is_refused() {
        let tokens = Tokens::new(Instant::ZERO, &mut Rng::new([1; 32]));
        let (asker, target) = (addr("1.2.3.4:5"), Target::ZERO);
        let token = tokens.issue(&asker, &target);
        let longer = [token, token].concat();
        for wrong in [&token[..7], &longer[..9], &longer[..], b"", &[0; 8]] {
            assert!(!tokens.accepts(&asker, &target, wrong));
        }
        for at in 0..TOKEN_LEN {
            let mut wrong = token;
            wrong[at] ^= 1;
            assert!(!tokens.accepts(&asker, &target, &wrong));
        }
    }

    #[test]
    fn a_token_lives_five_to_ten_minutes() {
        let mut rng = Rng::new([1; 32]);
        let mut tokens = Tokens::new(Instant::ZERO, &mut rng);
        let (asker, target) = (addr("1.2.3.4:5"), Target::ZERO);
        let token = tokens.issue(&asker, &target);
        tokens.rotate(Instant::from_secs(299), &mut rng);
        assert_eq!(tokens.issue(&asker, &target), token);
        tokens.rotate(tokens.next_rotation(), &mut rng);
        assert_ne!(tokens.issue(&asker, &target), token);
        assert!(tokens.accepts(&asker, &target, &token));
        tokens.rotate(tokens.next_rotation(), &mut rng);
        assert!(!tokens.accepts(&asker, &target, &token));
    }

    #[test]
    fn a_token_from_before_a_long_sleep_is_refused() {
        let mut rng = Rng::new([1; 32]);
        let mut tokens = Tokens::new(Instant::ZERO, &mut rng);
        let token = tokens.issue(&addr("1.2.3.4:5"), &Target::ZERO);
        tokens.rotate(Instant::from_secs(3_600), &mut rng);
        assert!(!tokens.accepts(&addr("1.2.3.4:5"), &Target::ZERO, &token));
    }
}
