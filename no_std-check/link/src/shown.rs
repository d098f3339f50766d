//! What only people read: texts of ids, keys and errors.

use core::fmt::Write;

use bep44_core::id::ParseIdError;
use bep44_core::wire::bencode::Malformed;
use bep44_core::{ItemError, KeepError, NodeId, PublicKey, QueryError, SecretKey, Signature, Target};

use crate::outside;

/// Shows one of each, and reads ids back.
#[inline(never)]
pub fn all(octets: &[u8]) {
    let mut text = heapless::String::<512>::new();
    let id: Result<NodeId, ParseIdError> = core::str::from_utf8(octets).unwrap_or_default().parse();
    let target: Result<Target, ParseIdError> = core::str::from_utf8(octets).unwrap_or_default().parse();
    let (key, signature) = (PublicKey(outside([1; 32])), Signature(outside([2; 64])));
    let (query, item) = (outside(QueryError::Busy), outside(ItemError::NotCanonical));
    let keep = outside(KeepError::NoRoom);
    let mut written =
        write!(text, "{key} {key:?} {signature} {signature:?} {query} {keep} {item} {}", outside(Malformed));
    for id in id.iter() {
        written = written.and(write!(text, "{id} {id:?}"));
    }
    for target in target.iter() {
        written = written.and(write!(text, "{target} {target:?}"));
    }
    if let (Err(error), Some(secret)) = (id, SecretKey::from_seed(outside([7; 32]))) {
        written = written.and(write!(text, "{error} {secret:?}"));
    }
    let _ = outside((written, text));
}
