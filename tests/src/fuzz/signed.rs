//! Items, good and forged, that are made once: signing takes as long as a hundred steps of a fuzzer. And what a node has to
//! make of them, in the plainest words.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bep44_core::item::MAX_VALUE;

use crate::datagram::{Id, Value, Writer, immutable, string_of};
use crate::fuzz::choices::Choices;
use crate::script::target_of;

/// The salts that occur.
pub(super) const SALTS: [&[u8]; 3] = [b"", b"salt", &[b's'; 64]];
/// The sequence numbers that occur.
pub(super) const SEQS: [i64; 5] = [0, 1, 2, 3, i64::MAX];
/// The values that occur: the shortest, two small ones, and the longest.
pub(super) static VALUES: LazyLock<[Vec<u8>; 4]> =
    LazyLock::new(|| [b"0:".to_vec(), b"d1:ai1ee".to_vec(), b"li-5e1:be".to_vec(), string_of(1_000, b'x')]);
/// The seeds of the writers that occur.
pub(super) const WRITERS: [u8; 2] = [1, 2];

/// The arguments of a put of a mutable item.
#[derive(Debug, Clone)]
pub(super) struct SignedItem {
    pub(super) arguments: Value,
    pub(super) target: Id,
    pub(super) seq: i64,
    pub(super) value: Vec<u8>,
    /// Whether the signature is right.
    pub(super) good: bool,
}

/// Which item: writer, salt, sequence number, value, and how it is signed (2: forged; 1: another good signature).
type Name = (usize, usize, usize, usize, usize);

static ITEMS: LazyLock<BTreeMap<Name, SignedItem>> = LazyLock::new(|| {
    let mut items = BTreeMap::new();
    for (w, writer) in WRITERS.map(Writer::new).iter().enumerate() {
        for (s, salt) in SALTS.iter().enumerate() {
            for (n, seq) in SEQS.into_iter().enumerate() {
                for (v, value) in VALUES.iter().enumerate() {
                    let signed = Writer::signed(salt, seq, value);
                    for how in 0..3 {
                        let signature = match how {
                            0 => writer.sign(&signed),
                            1 => writer.sign_again(&signed, 7),
                            _ => [how as u8; 64],
                        };
                        let arguments = writer.item_with(salt, seq, value, signature);
                        let target = target_of(&arguments);
                        let value = value.clone();
                        items.insert((w, s, n, v, how), SignedItem { arguments, target, seq, value, good: how != 2 });
                    }
                }
            }
        }
    }
    items
});

/// A mutable item, mostly well signed.
pub(super) fn mutable(choices: &mut Choices<'_>) -> &'static SignedItem {
    let which = choices.number();
    let part = |divisor: u16, of: usize| usize::from(which / divisor) % of;
    let how = [0, 0, 0, 0, 0, 1, 1, 2][part(120, 8)];
    &ITEMS[&(part(1, 2), part(2, 3), part(6, 5), part(30, 4), how)]
}

/// The well signed items whose target is `target`.
pub(super) fn at_target(target: Id) -> impl Iterator<Item = &'static SignedItem> {
    ITEMS.values().filter(move |item| item.target == target)
}

/// The arguments of a put of an immutable item, small ones and large ones, and some that are too large.
pub(super) fn immutable_item(choices: &mut Choices<'_>) -> Value {
    let which = choices.octet();
    match which % 4 {
        0 => immutable(&VALUES[usize::from(which / 4) % 4]),
        1 => immutable(&string_of(2 + usize::from(which) * 4, b'y')),
        _ => immutable(&Value::Int((which / 4).into()).encode()),
    }
}

/// The value of an immutable item that is within the limits.
pub(super) fn immutable_value(choices: &mut Choices<'_>) -> Vec<u8> {
    let value = immutable_item(choices).get("v").expect("v").encode();
    if value.len() <= MAX_VALUE { value } else { VALUES[0].clone() }
}

/// What a node answers to a put of a version where `stored` is (its sequence number, value and signature), as BEP 44 and
/// the core's PROTOCOL.md say: whether what is put takes its place, or the code of the error.
pub(super) fn judged(
    stored: Option<(i64, &[u8])>,
    new: (i64, &[u8]),
    cas: Option<i64>,
    good: bool,
) -> Result<bool, i64> {
    if let Some((seq, value)) = stored {
        if cas.is_some_and(|cas| cas != seq) {
            return Err(301);
        }
        if new.0 < seq || (new.0 == seq && new.1 != value) {
            return Err(302);
        }
    }
    if good { Ok(stored.is_none_or(|(seq, _)| new.0 > seq)) } else { Err(206) }
}
