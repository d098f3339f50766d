//! Items that own their octets. The core's borrow; these can be kept, sent to other threads, and put again.

use bep44_core::crypto::{PublicKey, SecretKey, Signature};
use bep44_core::id::Target;
use bep44_core::item::{ImmutableItem, Item, ItemError, MutableItem};
use bep44_core::wire::bencode::Reader;

/// `bytes` as a bencoded byte string: the one type of value that every implementation reads and stores.
#[must_use]
pub fn bencoded_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut value = bytes.len().to_string().into_bytes();
    value.push(b':');
    value.extend_from_slice(bytes);
    value
}

/// The content, if `value` is a bencoded byte string.
fn content(value: &[u8]) -> Option<&[u8]> {
    Reader::new(value).bytes().ok()
}

/// An immutable item: a value that is stored under its own SHA-1. Within the limits by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Immutable {
    value: Vec<u8>,
}

impl Immutable {
    /// An item whose `value` is bencoded already: 1,000 octets at most.
    ///
    /// # Errors
    /// The value is too long, or is not one bencoded value in canonical form.
    pub fn new(value: impl Into<Vec<u8>>) -> Result<Self, ItemError> {
        let value = value.into();
        ImmutableItem::new(&value)?;
        Ok(Self { value })
    }

    /// An item whose value is a byte string: 996 octets at most, so that it is within 1,000 when bencoded.
    ///
    /// # Errors
    /// The value is too long.
    pub fn bytes(bytes: &[u8]) -> Result<Self, ItemError> {
        Self::new(bencoded_bytes(bytes))
    }

    /// An item whose value is the byte string of a text.
    ///
    /// # Errors
    /// The value is too long: see [`bytes`](Self::bytes).
    pub fn text(text: &str) -> Result<Self, ItemError> {
        Self::bytes(text.as_bytes())
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The content, if the value is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        content(&self.value)
    }

    /// The text, if the value is a byte string in UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Where the item is stored: the SHA-1 of the bencoded value.
    #[must_use]
    pub fn target(&self) -> Target {
        bep44_core::item::immutable_target(&self.value)
    }

    /// The core's view of it.
    ///
    /// # Errors
    /// None that was not found out when the item was made.
    pub fn as_item(&self) -> Result<Item<'_>, ItemError> {
        ImmutableItem::new(&self.value).map(Item::Immutable)
    }
}

impl From<ImmutableItem<'_>> for Immutable {
    fn from(item: ImmutableItem<'_>) -> Self {
        Self { value: item.value().to_vec() }
    }
}

/// A mutable item: a signed value that the holder of a key may replace by one with a higher sequence number. Within the
/// limits by construction; items that were found in the network are verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mutable {
    key: PublicKey,
    salt: Vec<u8>,
    seq: i64,
    value: Vec<u8>,
    signature: Signature,
}

impl Mutable {
    /// Signs an item. `salt` (64 octets at most; empty: none) tells apart several items of one key, `seq` is 0 or more,
    /// and `value` is bencoded already (1,000 octets at most).
    ///
    /// # Errors
    /// One of these limits is not kept.
    pub fn sign(
        secret: &SecretKey,
        salt: impl Into<Vec<u8>>,
        seq: i64,
        value: impl Into<Vec<u8>>,
    ) -> Result<Self, ItemError> {
        let (salt, value) = (salt.into(), value.into());
        let item = MutableItem::sign(secret, &salt, seq, &value)?;
        let (key, signature) = (*item.key(), *item.signature());
        Ok(Self { key, salt, seq, value, signature })
    }

    /// An item that was signed elsewhere. Its signature is verified, so that nobody is sent a wrong one.
    ///
    /// # Errors
    /// A limit is not kept, or the signature is not the key's for this salt, sequence number and value.
    pub fn new(
        key: PublicKey,
        salt: impl Into<Vec<u8>>,
        seq: i64,
        value: impl Into<Vec<u8>>,
        signature: Signature,
    ) -> Result<Self, ItemError> {
        let (salt, value) = (salt.into(), value.into());
        MutableItem::new(key, &salt, seq, &value, signature)?.verify()?;
        Ok(Self { key, salt, seq, value, signature })
    }

    /// The public key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The salt; empty if there is none.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The sequence number.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The content, if the value is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        content(&self.value)
    }

    /// The text, if the value is a byte string in UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The signature.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Where the item is stored: the SHA-1 of key and salt.
    #[must_use]
    pub fn target(&self) -> Target {
        bep44_core::item::mutable_target(&self.key, &self.salt)
    }

    /// The core's view of it.
    ///
    /// # Errors
    /// None that was not found out when the item was made.
    pub fn as_item(&self) -> Result<Item<'_>, ItemError> {
        MutableItem::new(self.key, &self.salt, self.seq, &self.value, self.signature).map(Item::Mutable)
    }
}

impl From<MutableItem<'_>> for Mutable {
    /// Copies the octets; the signature is not verified (those that the core hands out are).
    fn from(item: MutableItem<'_>) -> Self {
        Self {
            key: *item.key(),
            salt: item.salt().to_vec(),
            seq: item.seq(),
            value: item.value().to_vec(),
            signature: *item.signature(),
        }
    }
}

/// An item of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyItem {
    /// A value under its own SHA-1.
    Immutable(Immutable),
    /// A signed value under its key and salt.
    Mutable(Mutable),
}

impl AnyItem {
    /// Where it is stored.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Immutable(item) => item.target(),
            Self::Mutable(item) => item.target(),
        }
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Immutable(item) => item.value(),
            Self::Mutable(item) => item.value(),
        }
    }

    pub(crate) fn as_item(&self) -> Result<Item<'_>, ItemError> {
        match self {
            Self::Immutable(item) => item.as_item(),
            Self::Mutable(item) => item.as_item(),
        }
    }
}

impl From<Immutable> for AnyItem {
    fn from(item: Immutable) -> Self {
        Self::Immutable(item)
    }
}

impl From<Mutable> for AnyItem {
    fn from(item: Mutable) -> Self {
        Self::Mutable(item)
    }
}

impl From<Item<'_>> for AnyItem {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Immutable(item) => Self::Immutable(item.into()),
            Item::Mutable(item) => Self::Mutable(item.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_byte_string() {
        let item = Immutable::text("Hello World!").unwrap();
        assert_eq!(item.value(), b"12:Hello World!");
        assert_eq!(item.as_text(), Some("Hello World!"));
        // BEP 44, test vector 3.
        assert_eq!(item.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
        assert_eq!(Immutable::new(b"i5e").unwrap().as_bytes(), None);
    }

    #[test]
    fn limits_are_checked_at_once() {
        assert!(Immutable::bytes(&[0; 996]).is_ok());
        assert_eq!(Immutable::bytes(&[0; 997]), Err(ItemError::ValueTooBig(1_001)));
        let secret = SecretKey::from_seed([1; 32]).unwrap();
        assert_eq!(Mutable::sign(&secret, [0; 65], 0, b"0:"), Err(ItemError::SaltTooBig(65)));
        let good = Mutable::sign(&secret, *b"salt", 1, b"1:x").unwrap();
        let tampered = Mutable::new(*good.key(), good.salt(), 1, *b"1:y", *good.signature());
        assert_eq!(tampered, Err(ItemError::InvalidSignature));
    }
}
