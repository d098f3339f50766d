//! The item that the board publishes under its own key.

use core::time::Duration;

use crate::core::{Instant, Item, MutableItem, Node, Outcome, PublicKey, QueryHandle, SecretKey, Signature};

/// How often it is put again: BEP 44 asks for once an hour, and a storing node forgets after two.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// How long after a put that nobody has accepted, or that could not begin, it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Octets of the longest text.
pub(crate) const MAX_TEXT: usize = 100;

/// The item, and when it is put next.
pub(crate) struct Published {
    secret: SecretKey,
    seq: i64,
    /// Bencoded.
    value: heapless::Vec<u8, { MAX_TEXT + 4 }>,
    signature: Signature,
    due: Instant,
    /// The put that is under way, and the number that it puts.
    query: Option<(QueryHandle, i64)>,
}

impl Published {
    /// Before its first version; not due before [`begin`](Self::begin).
    pub(crate) fn new(secret: [u8; 32]) -> Option<Self> {
        let secret = SecretKey::from_seed(secret)?;
        Some(Self {
            secret,
            seq: 0,
            value: heapless::Vec::new(),
            signature: Signature([0; 64]),
            due: Instant::FAR,
            query: None,
        })
    }

    pub(crate) fn key(&self) -> PublicKey {
        self.secret.public_key()
    }

    pub(crate) const fn seq(&self) -> i64 {
        self.seq
    }

    pub(crate) fn item(&self) -> Option<Item<'_>> {
        MutableItem::new(self.key(), &[], self.seq, &self.value, self.signature).ok().map(Item::Mutable)
    }

    /// Makes the next version of it, with this text; false if the text is too long.
    pub(crate) fn say(&mut self, text: &[u8]) -> bool {
        let fits = bencode(text, &mut self.value);
        self.sign(self.seq.saturating_add(1));
        fits
    }

    /// Its own frame, so that what signing takes of the stack is not on top of what the caller has.
    #[inline(never)]
    fn sign(&mut self, seq: i64) {
        self.seq = seq;
        if let Ok(item) = MutableItem::sign(&self.secret, &[], seq, &self.value) {
            self.signature = *item.signature();
        }
    }

    /// It is to be put now.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.due = now;
    }

    /// Puts it if it is due; the query that does.
    pub(crate) fn put(&mut self, now: Instant, node: &mut Node<'_>) -> Option<QueryHandle> {
        if now < self.due {
            return None;
        }
        self.due = now + RETRY;
        if self.query.is_some() {
            // The last one has not ended; its end says when the next one is due.
            return None;
        }
        let query = node.put(now, &self.item()?, None).ok()?;
        self.query = Some((query, self.seq));
        Some(query)
    }

    /// A query has ended. If it was the one that puts: the number that it has put.
    pub(crate) fn ended(&mut self, now: Instant, query: QueryHandle, outcome: &Outcome) -> Option<i64> {
        let (_, put) = self.query.filter(|(own, _)| *own == query)?;
        self.query = None;
        let overtaken = outcome.newest.filter(|newest| *newest > put || outcome.accepted == 0 && *newest == put);
        self.due = now;
        if let Some(newest) = overtaken.filter(|newest| *newest >= self.seq) {
            // A board without memory has begun to count anew, and the network remembers more: ours is the newest all the
            // same.
            self.sign(newest.saturating_add(1));
        } else if put == self.seq {
            self.due = now + if outcome.accepted > 0 { PERIOD } else { RETRY };
        }
        Some(put)
    }
}

/// Writes `text` as a byte string; false if it is too long, and nothing is changed.
pub(crate) fn bencode<const N: usize>(text: &[u8], out: &mut heapless::Vec<u8, N>) -> bool {
    if text.len() > MAX_TEXT || text.len() + 4 > N {
        return false;
    }
    out.clear();
    let mut divisor = 100;
    while divisor > 0 {
        if text.len() >= divisor || divisor == 1 {
            let _ = out.push(b'0' + (text.len() / divisor % 10) as u8);
        }
        divisor /= 10;
    }
    // It fits: three digits, a colon and the text.
    let _ = out.push(b':');
    out.extend_from_slice(text).is_ok()
}

/// The secret key of a board that was given none: another one than the seed, from which all else is made.
pub(crate) fn default_key(seed: &[u8; 32]) -> [u8; 32] {
    let mut key = *seed;
    for octet in &mut key {
        *octet ^= 0x5a;
    }
    key
}

impl core::fmt::Debug for Published {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Not the key.
        f.debug_struct("Published").field("seq", &self.seq).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bencoded() {
        let mut out = heapless::Vec::<u8, 104>::new();
        for (text, expected) in [(&b""[..], &b"0:"[..]), (b"x", b"1:x"), (&[b'y'; 10], b"10:yyyyyyyyyy")] {
            assert!(bencode(text, &mut out));
            assert_eq!(out, expected);
        }
        assert!(bencode(&[b'z'; 100], &mut out));
        assert_eq!((&out[..4], out.len()), (&b"100:"[..], 104));
        assert!(!bencode(&[b'z'; 101], &mut out));
        assert_eq!(out.len(), 104);
    }

    #[test]
    fn each_text_is_a_new_version_with_a_right_signature() {
        let mut published = Published::new([7; 32]).unwrap();
        assert!(published.item().is_none());
        assert!(published.say(b"hello"));
        assert_eq!(published.seq(), 1);
        let item = *published.item().unwrap().as_mutable().unwrap();
        assert_eq!((item.value(), item.verify()), (&b"5:hello"[..], Ok(())));
    }
}
