//! Bencoding and signing that know nothing of the core, so that the tests judge the core from outside: an owned tree, a
//! writer that also writes what nobody should, and a reader that takes nothing but canonical form.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Sha512, Signer as _, SigningKey};

/// A bencoded value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// An integer.
    Int(i128),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A dictionary, its keys in the order in which they are written.
    Dict(Vec<(Vec<u8>, Self)>),
    /// Octets that are written as they are, whatever they are.
    Raw(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.encode().escape_ascii())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Value {
    fn from(octets: &[u8]) -> Self {
        Self::Bytes(octets.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(octets: [u8; N]) -> Self {
        Self::Bytes(octets.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(octets: &[u8; N]) -> Self {
        Self::Bytes(octets.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(octets: Vec<u8>) -> Self {
        Self::Bytes(octets)
    }
}

/// A list.
#[must_use]
pub const fn list(items: Vec<Value>) -> Value {
    Value::List(items)
}

/// Octets that are bencoded already, or are meant not to be.
pub fn raw(octets: impl AsRef<[u8]>) -> Value {
    Value::Raw(octets.as_ref().to_vec())
}

/// A dictionary without entries, to be filled by [`Value::with`].
#[must_use]
pub const fn dict() -> Value {
    Value::Dict(Vec::new())
}

impl Value {
    /// The same dictionary with `key` set to `value`, at its place in ascending order.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Self>) -> Self {
        let Self::Dict(mut entries) = self.without(key) else { unreachable!() };
        let at = entries.partition_point(|(known, _)| known.as_slice() < key.as_bytes());
        entries.insert(at, (key.as_bytes().to_vec(), value.into()));
        Self::Dict(entries)
    }

    /// The same dictionary without `key`.
    #[must_use]
    pub fn without(self, key: &str) -> Self {
        let Self::Dict(mut entries) = self else { panic!("{self:?} is no dictionary") };
        entries.retain(|(known, _)| known != key.as_bytes());
        Self::Dict(entries)
    }

    /// The entry at `key`, if this is a dictionary that has one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key.as_bytes()).map(|(_, value)| value)
    }

    /// The octets of a byte string.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of an integer.
    #[must_use]
    pub const fn int(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The keys of a dictionary.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let Self::Dict(entries) = self else { return Vec::new() };
        entries.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// The octets of the bencoded value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend(format!("{}:", bytes.len()).bytes());
            out.extend(bytes);
        };
        match self {
            Self::Int(number) => out.extend(format!("i{number}e").bytes()),
            Self::Bytes(octets) => bytes(out, octets),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    bytes(out, key);
                    value.write(out);
                }
                out.push(b'e');
            }
            Self::Raw(octets) => out.extend(octets),
        }
    }

    /// Reads `octets`, which must be exactly one value in canonical form.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn decode(octets: &[u8]) -> Result<Self, String> {
        let mut at = 0;
        let value = read(octets, &mut at)?;
        if at == octets.len() { Ok(value) } else { Err(format!("{} octets after the end", octets.len() - at)) }
    }
}

fn read(octets: &[u8], at: &mut usize) -> Result<Value, String> {
    let fault = |what: &str, at: usize| format!("{what} at {at} of {}", octets.escape_ascii());
    match octets.get(*at) {
        Some(b'i') => {
            let end = *at
                + octets[*at..].iter().position(|octet| *octet == b'e').ok_or_else(|| fault("endless integer", *at))?;
            let text = String::from_utf8_lossy(&octets[*at + 1..end]);
            let number: i128 = text.parse().map_err(|_| fault("no number", *at))?;
            if number.to_string() != text {
                return Err(fault("integer not canonical", *at));
            }
            *at = end + 1;
            Ok(Value::Int(number))
        }
        Some(b'0'..=b'9') => read_bytes(octets, at).map(Value::Bytes),
        Some(b'l') => {
            *at += 1;
            let mut items = Vec::new();
            while octets.get(*at) != Some(&b'e') {
                items.push(read(octets, at)?);
            }
            *at += 1;
            Ok(Value::List(items))
        }
        Some(b'd') => {
            *at += 1;
            let mut entries: Vec<(Vec<u8>, Value)> = Vec::new();
            while octets.get(*at) != Some(&b'e') {
                let key = read_bytes(octets, at)?;
                if entries.last().is_some_and(|(before, _)| *before >= key) {
                    return Err(fault("key not in order", *at));
                }
                entries.push((key, read(octets, at)?));
            }
            *at += 1;
            Ok(Value::Dict(entries))
        }
        _ => Err(fault("no value", *at)),
    }
}

fn read_bytes(octets: &[u8], at: &mut usize) -> Result<Vec<u8>, String> {
    let fault = |what: &str, at: usize| format!("{what} at {at} of {}", octets.escape_ascii());
    let rest = octets.get(*at..).unwrap_or_default();
    let colon = rest.iter().position(|octet| *octet == b':').ok_or_else(|| fault("no string", *at))?;
    let text = String::from_utf8_lossy(&rest[..colon]);
    let len: usize = text.parse().map_err(|_| fault("no length", *at))?;
    if len.to_string() != text {
        return Err(fault("length not canonical", *at));
    }
    let bytes = rest.get(colon + 1..colon + 1 + len).ok_or_else(|| fault("string too short", *at))?;
    *at += colon + 1 + len;
    Ok(bytes.to_vec())
}

/// 160 bits: a node id, a target, an info-hash.
pub type Id = [u8; 20];

/// The id of the node that asks in the tests.
pub const ASKER: Id = *b"abcdefghij0123456789";

/// An address from its text.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

/// An address and port in compact form.
#[must_use]
pub fn compact(addr: SocketAddr) -> Vec<u8> {
    let mut out = match addr.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    out.extend(addr.port().to_be_bytes());
    out
}

/// A list of nodes in compact form.
#[must_use]
pub fn compact_nodes(nodes: &[(Id, SocketAddr)]) -> Vec<u8> {
    nodes.iter().flat_map(|(id, addr)| [id.to_vec(), compact(*addr)].concat()).collect()
}

/// The nodes of a list in compact form, with addresses of `len` octets (6 or 18).
///
/// # Panics
/// If the list is not a whole number of them.
#[must_use]
pub fn nodes_of(list: &[u8], len: usize) -> Vec<(Id, SocketAddr)> {
    assert_eq!(list.len() % (20 + len), 0);
    let node = |entry: &[u8]| {
        let (id, rest) = entry.split_first_chunk::<20>().expect("20 octets");
        (*id, addr_of(rest))
    };
    list.chunks(20 + len).map(node).collect()
}

/// The address and port of 6 or 18 octets.
///
/// # Panics
/// If it is another number.
#[must_use]
pub fn addr_of(compact: &[u8]) -> SocketAddr {
    let (ip, port) = compact.split_last_chunk::<2>().expect("a port");
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).expect("4")),
        16 => IpAddr::from(<[u8; 16]>::try_from(ip).expect("16")),
        len => panic!("an address of {len} octets"),
    };
    SocketAddr::new(ip, u16::from_be_bytes(*port))
}

/// A query of [`ASKER`] with transaction id `aa`; `arguments` has no id yet.
#[must_use]
pub fn query(method: &str, arguments: Value) -> Value {
    dict().with("a", arguments.with("id", ASKER)).with("q", method).with("t", "aa").with("y", "q")
}

/// A reply of the node `id`; `content` has no id yet.
#[must_use]
pub fn reply(transaction: &[u8], id: Id, content: Value) -> Value {
    dict().with("r", content.with("id", id)).with("t", transaction).with("y", "r")
}

/// An error.
#[must_use]
pub fn error(transaction: &[u8], code: i64, text: &str) -> Value {
    dict().with("e", list(vec![code.into(), text.into()])).with("t", transaction).with("y", "e")
}

/// A byte string, bencoded, that takes `len` octets with its head.
#[must_use]
pub fn string_of(len: usize, octet: u8) -> Vec<u8> {
    let content = (0..len).rev().find(|content| content.to_string().len() + 1 + content == len);
    Value::Bytes(vec![octet; content.expect("there is a string of this length")]).encode()
}

/// The SHA-1 of the octets.
#[must_use]
pub fn sha1(octets: &[u8]) -> Id {
    sha1_smol::Sha1::from(octets).digest().bytes()
}

/// Octets from hexadecimal digits.
///
/// # Panics
/// If they are none.
#[must_use]
pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// Holds a key and signs with it: a writer of mutable items.
#[derive(Debug, Clone)]
pub struct Writer(SigningKey);

impl Writer {
    /// The writer whose seed is 32 times `seed`.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        Self::from_seed([seed; 32])
    }

    /// The writer whose key grows from `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Where the item with this salt is stored.
    #[must_use]
    pub fn target(&self, salt: &[u8]) -> Id {
        sha1(&[&self.key(), salt].concat())
    }

    /// What BEP 44 has signed.
    #[must_use]
    pub fn signed(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if !salt.is_empty() {
            out.extend(format!("4:salt{}:", salt.len()).bytes());
            out.extend(salt);
        }
        out.extend(format!("3:seqi{seq}e1:v").bytes());
        out.extend(value);
        out
    }

    /// The signature of any octets.
    #[must_use]
    pub fn sign(&self, octets: &[u8]) -> [u8; 64] {
        self.0.sign(octets).to_bytes()
    }

    /// Another valid signature of the same octets, for each `nonce` another one.
    #[must_use]
    pub fn sign_again(&self, octets: &[u8], nonce: u8) -> [u8; 64] {
        let mut secret = ExpandedSecretKey::from(&self.0.to_bytes());
        secret.hash_prefix = [nonce; 32];
        raw_sign::<Sha512>(&secret, octets, &self.0.verifying_key()).to_bytes()
    }

    /// The arguments of a put of a mutable item, without id and token.
    #[must_use]
    pub fn item(&self, salt: &[u8], seq: i64, value: &[u8]) -> Value {
        self.item_with(salt, seq, value, self.sign(&Self::signed(salt, seq, value)))
    }

    /// The same with a signature that was made elsewhere.
    #[must_use]
    pub fn item_with(&self, salt: &[u8], seq: i64, value: &[u8], signature: [u8; 64]) -> Value {
        let arguments = dict().with("k", self.key()).with("seq", seq).with("sig", signature).with("v", raw(value));
        if salt.is_empty() { arguments } else { arguments.with("salt", salt) }
    }

    /// The content of a reply to a get that hits, without id, token and nodes.
    #[must_use]
    pub fn found(&self, salt: &[u8], seq: i64, value: &[u8]) -> Value {
        self.item(salt, seq, value).without("salt")
    }
}

/// The arguments of a put of an immutable item, without id and token.
#[must_use]
pub fn immutable(value: &[u8]) -> Value {
    dict().with("v", raw(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let value = dict().with("b", -3).with("a", list(vec!["x".into(), dict(), list(vec![])])).with("", "");
        assert_eq!(value.encode(), b"d0:0:1:al1:xdelee1:bi-3ee");
        assert_eq!(Value::decode(&value.encode()), Ok(value));
    }

    #[test]
    fn what_is_not_canonical_is_not_decoded() {
        for bad in
            ["", "i03e", "i-0e", "i+1e", "ie", "03:abc", "3:ab", "d1:b0:1:a0:e", "d1:a0:1:a0:e", "le1", "l", "di1e0:e"]
        {
            assert!(Value::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_signature_is_valid_and_different() {
        let writer = Writer::new(1);
        let key = writer.0.verifying_key();
        for signature in [writer.sign(b"x"), writer.sign_again(b"x", 1), writer.sign_again(b"x", 2)] {
            key.verify_strict(b"x", &ed25519_dalek::Signature::from_bytes(&signature)).unwrap();
        }
        assert_ne!(writer.sign_again(b"x", 1), writer.sign(b"x"));
    }
}
