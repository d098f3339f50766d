//! Write tokens (BEP 5, "get_peers"; BEP 44): proof that whoever writes has received a reply at the address it writes
//! from.

use crate::addr::CompactAddr;
use crate::crypto::sha1;
use crate::id::Target;
use crate::links::Index;
use crate::rng::Rng;
use crate::time::Instant;

/// Octets that bind a token to the asker's address: nobody guesses 2^64 within the ten minutes that one lives.
const ADDRESS_PART: usize = 8;

/// Octets that bind it to the target as well. Guessing these wins no more than a token that could be asked for.
const TARGET_PART: usize = 4;

/// Octets of the tokens that we issue.
pub(crate) const TOKEN_LEN: usize = ADDRESS_PART + TARGET_PART;

/// How long a secret issues tokens; it accepts them for as long again (BEP 5: five and ten minutes). In milliseconds.
const SECRET_LIFE: u32 = 5 * 60 * 1_000;

/// Issues and checks tokens without remembering any: a token is a keyed hash of the asker's IP address (not its port:
/// NATs change it) and the target, so one cannot be collected for other targets or passed on to other hosts.
///
/// It has two parts, so that a token of another address is found out without the target, which takes hashing the value
/// of an immutable item.
#[derive(Debug)]
pub(crate) struct Tokens {
    current: [u8; 16],
    previous: [u8; 16],
    rotate_at: Instant,
}

impl Tokens {
    pub(crate) fn new(now: Instant, rng: &mut Rng) -> Self {
        Self { current: rng.octets(), previous: rng.octets(), rotate_at: now.after_millis(SECRET_LIFE) }
    }

    /// Retires secrets that have lived long enough. Must be called before tokens are issued or checked at `now`; nothing
    /// has to wake up for it.
    pub(crate) fn rotate(&mut self, now: Instant, rng: &mut Rng) {
        if now < self.rotate_at {
            return;
        }
        if now < self.rotate_at.after_millis(SECRET_LIFE) {
            self.previous = self.current;
            // Not `now + SECRET_LIFE`: a late rotation must not prolong the life of the retired secret.
            self.rotate_at = self.rotate_at.after_millis(SECRET_LIFE);
        } else {
            self.previous = rng.octets();
            self.rotate_at = now.after_millis(SECRET_LIFE);
        }
        self.current = rng.octets();
    }

    pub(crate) fn issue(&self, asker: &CompactAddr, target: &Target) -> [u8; TOKEN_LEN] {
        let bound = Bound::to(&self.current, asker);
        let mut token = [0; TOKEN_LEN];
        for (to, from) in token.iter_mut().zip(bound.address.into_iter().chain(bound.for_target(target))) {
            *to = from;
        }
        token
    }

    /// Whether the token was issued to this address, whatever the target. What comes back says for which.
    pub(crate) fn accepts_from<'a>(&self, writer: &CompactAddr, offered: &'a [u8]) -> Option<FromHere<'a>> {
        let (address, target) = parts(offered)?;
        let bound = [&self.current, &self.previous].map(|secret| Bound::to(secret, writer));
        // Both are always computed and compared, so that time tells nothing.
        let [current, previous] = bound.each_ref().map(|bound| equal(&bound.address, address));
        (current | previous).then_some(FromHere { bound, target })
    }
}

/// A token that was issued to the address that it came from.
pub(crate) struct FromHere<'a> {
    bound: [Bound; 2],
    target: &'a [u8; TARGET_PART],
}

impl FromHere<'_> {
    /// Whether it was issued for this target.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        self.bound.iter().any(|bound| equal(&bound.for_target(target), self.target))
    }
}

fn parts(token: &[u8]) -> Option<(&[u8; ADDRESS_PART], &[u8; TARGET_PART])> {
    let (address, target) = token.split_first_chunk()?;
    Some((address, target.try_into().ok()?))
}

/// What one secret says about one address.
struct Bound {
    address: [u8; ADDRESS_PART],
    /// The key of the second part. It need not withstand cryptanalysis: whoever finds it out can only make tokens for
    /// his own address, which he could just as well ask for.
    key: [u8; 8],
}

impl Bound {
    /// At most 16 + 16 octets are hashed, one block of SHA-1. The length is fixed for each family and the digest is cut,
    /// so that a keyed prefix is enough of a key.
    fn to(secret: &[u8; 16], addr: &CompactAddr) -> Self {
        let digest = sha1(&[secret, addr.ip()]);
        let (mut address, mut key) = ([0; ADDRESS_PART], [0; 8]);
        for (to, from) in address.iter_mut().chain(&mut key).zip(digest) {
            *to = from;
        }
        Self { address, key }
    }

    fn for_target(&self, target: &Target) -> [u8; TARGET_PART] {
        Index::new(u64::from_le_bytes(self.key)).hash(target.as_bytes()).to_le_bytes()
    }
}

/// Compares in a time that depends on nothing secret.
fn equal<const N: usize>(expected: &[u8; N], offered: &[u8; N]) -> bool {
    let difference = expected.iter().zip(offered).fold(0, |sum, (a, b)| sum | (a ^ b));
    // Keeps the compiler from leaving the fold early.
    core::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;

    fn accepts(tokens: &Tokens, writer: &CompactAddr, target: &Target, offered: &[u8]) -> bool {
        tokens.accepts_from(writer, offered).is_some_and(|token| token.is_for(target))
    }

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
            // Without IPv6, its addresses cannot be told from each other.
            if cfg!(not(feature = "ipv6")) && asker.starts_with('[') {
                continue;
            }
            let token = tokens.issue(&addr(asker), &target);
            assert!(accepts(&tokens, &addr(asker), &target, &token));
            assert!(accepts(&tokens, &addr(same), &target, &token));
            assert!(!accepts(&tokens, &addr(other), &target, &token));
            assert!(!accepts(&tokens, &addr(asker), &Target::new([2; 20]), &token));
        }
    }

    #[test]
    fn a_token_of_another_length_or_content_is_refused() {
        let tokens = Tokens::new(Instant::ZERO, &mut Rng::new([1; 32]));
        let (asker, target) = (addr("1.2.3.4:5"), Target::ZERO);
        let token = tokens.issue(&asker, &target);
        let longer = [token, token].concat();
        for wrong in [&token[..11], &longer[..13], &longer[..], b"", &[0; 12]] {
            assert!(!accepts(&tokens, &asker, &target, wrong));
        }
        for at in 0..TOKEN_LEN {
            let mut wrong = token;
            wrong[at] ^= 1;
            assert!(!accepts(&tokens, &asker, &target, &wrong));
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
        // However late the rotation comes.
        tokens.rotate(Instant::from_secs(599), &mut rng);
        assert_ne!(tokens.issue(&asker, &target), token);
        assert!(accepts(&tokens, &asker, &target, &token));
        tokens.rotate(Instant::from_secs(600), &mut rng);
        assert!(!accepts(&tokens, &asker, &target, &token));
    }

    #[test]
    fn a_token_from_before_a_long_sleep_is_refused() {
        let mut rng = Rng::new([1; 32]);
        let mut tokens = Tokens::new(Instant::ZERO, &mut rng);
        let token = tokens.issue(&addr("1.2.3.4:5"), &Target::ZERO);
        tokens.rotate(Instant::from_secs(3_600), &mut rng);
        assert!(!accepts(&tokens, &addr("1.2.3.4:5"), &Target::ZERO, &token));
    }
}
