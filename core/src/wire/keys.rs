//! The keys of messages: how each is called, how it is written, and what a dict has under it.

use super::bencode::{Dict, Malformed, Value, Writer};

/// A key of a message, or of one of the dicts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// `a`.
    Arguments,
    Cas,
    /// `e`.
    Error,
    Id,
    ImpliedPort,
    InfoHash,
    /// `ip` (BEP 42).
    Ip,
    K,
    /// `q`.
    Method,
    Nodes,
    Nodes6,
    Port,
    /// `ro` (BEP 43).
    ReadOnly,
    /// `r`.
    Reply,
    Salt,
    Seq,
    Sig,
    Target,
    Token,
    /// `t`.
    Transaction,
    /// `v`: a value, or the name of a program.
    V,
    Values,
    Want,
    /// `y`: what kind of message it is.
    Y,
}

/// How many keys there are.
const COUNT: usize = Key::Y as usize + 1;

impl Key {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Arguments => b"a",
            Self::Cas => b"cas",
            Self::Error => b"e",
            Self::Id => b"id",
            Self::ImpliedPort => b"implied_port",
            Self::InfoHash => b"info_hash",
            Self::Ip => b"ip",
            Self::K => b"k",
            Self::Method => b"q",
            Self::Nodes => b"nodes",
            Self::Nodes6 => b"nodes6",
            Self::Port => b"port",
            Self::ReadOnly => b"ro",
            Self::Reply => b"r",
            Self::Salt => b"salt",
            Self::Seq => b"seq",
            Self::Sig => b"sig",
            Self::Target => b"target",
            Self::Token => b"token",
            Self::Transaction => b"t",
            Self::V => b"v",
            Self::Values => b"values",
            Self::Want => b"want",
            Self::Y => b"y",
        }
    }
}

impl Writer<'_> {
    /// A key of a dict.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn key(&mut self, key: Key) -> &mut Self {
        self.bytes(key.name())
    }

    /// A key of a dict, and a byte string.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn entry(&mut self, key: Key, value: &[u8]) -> &mut Self {
        self.key(key).bytes(value)
    }

    /// A key of a dict, and an integer.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(crate) fn number(&mut self, key: Key, value: i64) -> &mut Self {
        self.key(key).integer(value)
    }
}

/// The values that a dict has under certain keys; of duplicates the first.
pub(super) struct Fields<'a>([Option<Value<'a>>; COUNT]);

impl<'a> Fields<'a> {
    /// None yet.
    pub(super) const EMPTY: Self = Self([None; COUNT]);

    /// Takes those of `keys` from `dict`, in one pass.
    ///
    /// # Errors
    /// [`Malformed`] if the dict is not whole.
    // Not a function that makes them: whatever it returned would be copied.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn read(&mut self, dict: Dict<'a>, keys: &[Key]) -> Result<(), Malformed> {
        for entry in dict {
            let (name, value) = entry?;
            // By the first octet first: most of them differ in that, and comparing slices is a call.
            let is_it = |key: &&Key| key.name().first() == name.first() && key.name() == name;
            if let Some(place) = keys.iter().find(is_it).and_then(|key| self.0.get_mut(*key as usize)) {
                place.get_or_insert(value);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, key: Key) -> Option<Value<'a>> {
        *self.0.get(key as usize)?
    }

    /// The content, if there is a byte string.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn bytes(&self, key: Key) -> Option<&'a [u8]> {
        self.get(key)?.bytes()
    }

    /// The content, if there is a byte string of this length.
    pub(super) fn array<const N: usize>(&self, key: Key) -> Option<&'a [u8; N]> {
        self.bytes(key)?.try_into().ok()
    }

    /// The number, if there is a well-formed integer that fits into 64 bits.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub(super) fn integer(&self, key: Key) -> Option<i64> {
        self.get(key)?.integer()
    }
}
