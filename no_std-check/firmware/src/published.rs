//! The item that the board publishes under its own key. The node keeps it announced; here it is signed.

use crate::core::error::KeepError;
use crate::core::{Instant, Item, ItemError, MutableItem, Node, PublicKey, SecretKey};

/// Octets of the longest text: two digits.
pub(crate) const MAX_TEXT: usize = 80;

/// A text, bencoded: with its length and a colon.
pub(crate) type Value = heapless::Vec<u8, { MAX_TEXT + 3 }>;

/// The board's own item: what it says, and the number of its newest version.
pub struct Published {
    secret: SecretKey,
    seq: i64,
    value: Value,
    /// This version is to be signed, and given to the node.
    due: bool,
}

impl Published {
    /// Before its first version.
    pub(crate) fn new(secret: [u8; 32]) -> Option<Self> {
        let secret = SecretKey::from_seed(secret)?;
        Some(Self { secret, seq: 0, value: Value::new(), due: false })
    }

    /// The key that it is published under.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.secret.public_key()
    }

    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }

    /// The next version is to say this; false if the text is too long, with more than 80 octets.
    pub fn say(&mut self, text: &[u8]) -> bool {
        let fits = bencode(text, &mut self.value);
        if fits {
            self.next_after(self.seq);
        }
        fits
    }

    #[inline(never)]
    fn next_after(&mut self, seq: i64) {
        self.seq = seq.saturating_add(1);
        self.due = true;
    }

    /// Signs the version that is due, and has the node keep it: its number.
    // Its own frame: signing takes more stack than all else.
    #[inline(never)]
    pub(crate) fn keep(&mut self, now: Instant, node: &mut Node<'_>) -> Result<i64, KeepError> {
        self.due = false;
        let item = MutableItem::sign(&self.secret, &[], self.seq, &self.value)?;
        let kept = node.keep(now, &Item::Mutable(item));
        if let Err(KeepError::Item(ItemError::SequenceTooLow { stored })) = kept {
            self.next_after(stored);
        }
        kept.map(|()| self.seq)
    }

    /// The network has remembered a version that this board has forgotten, as one without memory does when it restarts.
    /// What the board says is the newest all the same.
    pub(crate) fn adopted(&mut self, item: &MutableItem<'_>) {
        if *item.key() == self.key() && item.salt().is_empty() {
            if item.value() == self.value.as_slice() {
                self.seq = item.seq();
            } else {
                self.next_after(item.seq());
            }
        }
    }
}

/// Writes `text` as a byte string; false if it is too long, and nothing is changed.
pub(crate) fn bencode(text: &[u8], out: &mut Value) -> bool {
    if text.len() > MAX_TEXT {
        return false;
    }
    out.clear();
    // It fits: two digits at most, a colon and the text.
    if text.len() >= 10 {
        let _ = out.push(b'0' + (text.len() / 10) as u8);
    }
    let _ = out.push(b'0' + (text.len() % 10) as u8);
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
    use crate::core::{Config, MicroMemory};
    use std::boxed::Box;

    #[test]
    fn texts_are_bencoded() {
        let mut out = Value::new();
        for (text, expected) in [(&b""[..], &b"0:"[..]), (b"x", b"1:x"), (&[b'y'; 10], b"10:yyyyyyyyyy")] {
            assert!(bencode(text, &mut out));
            assert_eq!(out, expected);
        }
        assert!(bencode(&[b'z'; 80], &mut out));
        assert_eq!((&out[..4], out.len()), (&b"80:z"[..], 83));
        assert!(!bencode(&[b'z'; 81], &mut out));
        assert_eq!(out.len(), 83);
    }

    #[test]
    fn each_text_is_a_new_version_that_the_node_keeps() {
        let mut memory = Box::new(MicroMemory::new());
        let mut node = Node::new(&mut *memory, &Config::new([1; 32]), Instant::ZERO);
        let mut published = Published::new([7; 32]).unwrap();
        assert!(!published.is_due());
        for (seq, text) in [(1, "hello"), (2, "world")] {
            assert!(published.say(text.as_bytes()) && published.is_due());
            assert_eq!(published.keep(Instant::ZERO, &mut node), Ok(seq));
            assert!(!published.is_due());
            let kept = node.kept().next().unwrap();
            assert_eq!(*kept.item.as_mutable().unwrap().key(), published.key());
            assert_eq!(kept.item.value(), std::format!("5:{text}").as_bytes());
        }
        // Another board with the same key has begun to count anew: it takes the number after the one that is stored.
        let mut another = Published::new([7; 32]).unwrap();
        another.say(b"anew");
        assert!(another.keep(Instant::ZERO, &mut node).is_err() && another.is_due());
        assert_eq!(another.keep(Instant::ZERO, &mut node), Ok(3));
    }
}
