//! A node among scripted ones, all of which it can find, and the items of one writer: what the tests of reading, writing
//! and keeping begin with.

use bep44_core::{Capacity, Config, ImmutableItem, Item, MutableItem, PublicKey, Signature};

use crate::datagram::{Id, Value, Writer, sha1};
use crate::script::{Remote, Script, capacity, config, place};

/// Who signs the mutable items.
#[must_use]
pub fn writer() -> Writer {
    Writer::new(1)
}

/// The key of [`writer`].
#[must_use]
pub fn key() -> PublicKey {
    PublicKey(writer().key())
}

/// The id of the scripted node number `number`.
#[must_use]
pub fn id(number: u16) -> Id {
    sha1(&number.to_be_bytes())
}

/// A node in a network of `count` scripted ones, of which it knows the first; that one names all others. `remote` may
/// change each of them.
pub fn network(count: u16, remote: impl FnMut(u16, Remote) -> Remote) -> Script<'static> {
    network_of(&capacity(), &config(), count, remote)
}

/// The same, for a node with other tables or settings.
pub fn network_of(
    capacity: &Capacity,
    config: &Config,
    count: u16,
    mut remote: impl FnMut(u16, Remote) -> Remote,
) -> Script<'static> {
    let mut script = Script::with(capacity, config);
    let all: Vec<_> = (0..count).map(|number| (id(number), place(number))).collect();
    for number in (0..count).rev() {
        let plain = Remote { nodes: all.clone(), ..Remote::new(id(number)) };
        let remote = remote(number, plain);
        if number == 0 {
            script.befriend(place(0), remote);
        } else {
            script.add(place(number), remote);
        }
    }
    script.sent.clear();
    script.events.clear();
    script
}

/// The numbers of `count` nodes, the closest to `target` first.
#[must_use]
pub fn by_distance(count: u16, target: Id) -> Vec<u16> {
    let mut numbers: Vec<u16> = (0..count).collect();
    numbers.sort_by_key(|number| -> Vec<u8> { id(*number).iter().zip(target).map(|(a, b)| a ^ b).collect() });
    numbers
}

/// An item of [`writer`].
///
/// # Panics
/// It is none: the value is not canonical, or something is too long.
#[must_use]
pub fn mutable<'a>(salt: &'a [u8], seq: i64, value: &'a [u8]) -> Item<'a> {
    let signature = Signature(writer().sign(&Writer::signed(salt, seq, value)));
    Item::Mutable(MutableItem::new(key(), salt, seq, value, signature).unwrap())
}

/// An immutable item.
///
/// # Panics
/// The value is not canonical, or too long.
#[must_use]
pub fn immutable(value: &[u8]) -> Item<'_> {
    Item::Immutable(ImmutableItem::new(value).unwrap())
}

/// The puts that were sent, by the number of the node: their arguments.
#[must_use]
pub fn puts(script: &Script<'_>, count: u16) -> Vec<(u16, Value)> {
    let of = |number| script.remote(place(number)).asked_for("put").into_iter().map(move |put| (number, put.clone()));
    (0..count).flat_map(of).collect()
}
