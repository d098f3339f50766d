//! Ids, addresses, moments, items and lists.

use core::net::SocketAddr;

use bep44_core::addr::{CompactAddr, Family};
use bep44_core::item::{immutable_target, mutable_target};
use bep44_core::list::{List, Slots};
use bep44_core::{
    ImmutableItem, Instant, Item, ItemError, KeepError, MicroMemory, MutableItem, NodeId, PublicKey, QueryError,
    SecretKey, Signature, Target,
};

use crate::outside;

/// Items of both kinds, out of `octets` and as they are signed.
#[inline(never)]
pub fn items(octets: &[u8]) {
    outside((immutable_target(octets), mutable_target(&PublicKey(outside([1; 32])), octets)));
    if let Ok(item) = ImmutableItem::new(octets) {
        outside((item.value(), item.target()));
        read_item(&Item::Immutable(item));
    }
    let (key, signature) = (PublicKey(outside([1; 32])), Signature(outside([2; 64])));
    let made = MutableItem::new(key, outside(b"salt"), outside(1), octets, signature);
    let signed = SecretKey::from_seed(outside([7; 32])).map(|secret| {
        outside(secret.public_key());
        MutableItem::sign(&secret, outside(b"salt"), outside(1), octets)
    });
    for item in [Some(made), signed].into_iter().flatten() {
        match item {
            Ok(item) => {
                outside((item.key(), item.salt(), item.seq(), item.value(), item.signature(), item.target()));
                let verified: Result<(), ItemError> = item.verify();
                outside((verified.map_err(QueryError::from), verified.map_err(KeepError::from))).0.ok();
                read_item(&Item::Mutable(item));
            }
            Err(error) => {
                outside(error);
            }
        }
    }
}

#[inline(never)]
fn read_item(item: &Item<'_>) {
    outside((item.target(), item.value(), item.as_mutable().is_some()));
}

/// Ids, addresses and moments.
#[inline(never)]
pub fn points(octets: &[u8]) {
    let id = NodeId::from_slice(octets).unwrap_or(NodeId::new(outside([1; 20])));
    let target = Target::from_slice(octets).unwrap_or(Target::new(outside([1; 20])));
    outside((id.as_bytes(), target.as_bytes(), Target::from(id), id.distance(&target).shared_prefix()));
    let ip = outside(SocketAddr::from(([127, 0, 0, 1], 6_881))).ip();
    outside((NodeId::for_ip(ip, outside([1; 20])), id.suits(ip)));

    if let Some(addr) = CompactAddr::from_compact(octets) {
        let other = CompactAddr::from(outside(SocketAddr::from(([127, 0, 0, 1], 6_881))));
        outside((addr.family(), addr.port(), addr.ip(), addr.with_port(outside(1)), addr.network()));
        outside((addr.is_usable(), addr.is_loopback(), addr.is_plausible(&other)));
        let mut compact = heapless::Vec::<u8, 18>::new();
        outside(addr.write_compact(&mut compact));
        outside((SocketAddr::from(addr), outside(Family::V4).compact_len()));
    }

    let moment = Instant::from_micros(outside(1)).max(Instant::from_millis(outside(1)));
    let later = Instant::from_secs(outside(1)) + outside(core::time::Duration::from_secs(1));
    outside((moment.as_micros(), later.since(moment)));
}

/// A list in memory that is lent.
#[inline(never)]
pub fn lists() {
    let mut octets = [0; 8];
    let mut list = List::new(Slots::Borrowed(&mut octets));
    outside(list.push(outside(1))).ok();
    outside(list.insert(outside(0), outside(2))).ok();
    list.remove(outside(1));
    if let Some(first) = list.first_mut() {
        *first = outside(3);
    }
    outside((list.capacity(), list.len()));
    list.clear();
    let mut none = Slots::<u8>::none();
    outside((none.len(), none.first_mut().is_some()));
    let lend: fn(&mut MicroMemory) = crate::node::lend;
    outside(lend);
}
