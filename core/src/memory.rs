//! The memory of a node: lent by the caller, one slice a table, or (with `alloc`) on the heap.

use crate::list::{Empty, Slots};
use crate::node::QuerySlot;
use crate::peers::PeerSlot;
use crate::store::ItemSlot;
use crate::table::Contact;
use crate::transactions::Transaction;

/// The tables of one node, each in a slice. Any of them may be empty: what it is for is then switched off.
#[derive(Debug)]
pub struct Storage<'m> {
    /// Contacts over IPv4. 8 for each time that the network doubles fill it; the farthest thin out in a smaller one.
    pub contacts: Slots<'m, Contact>,
    /// Contacts over IPv6; none if the node is an IPv4 one.
    pub contacts6: Slots<'m, Contact>,
    /// Questions in flight: 8 for each query that runs, and some for upkeep. With too few, queries take longer.
    pub transactions: Slots<'m, Transaction>,
    /// Queries of ours that run at once, upkeep's own (at most one in each family) included.
    pub queries: Slots<'m, QuerySlot>,
    /// Items stored for others, by number.
    pub items: Slots<'m, ItemSlot>,
    /// Items stored for others, by size: octets for their values, keys, signatures and salts.
    pub values: Slots<'m, u8>,
    /// Peers announced by others.
    pub peers: Slots<'m, PeerSlot>,
}

/// Memory for one node whose capacities are fixed at compile time: put it into a `static`, or on the stack if that is
/// large enough, and lend it to [`Node::new`](crate::Node::new).
///
/// ```
/// use bep44_core::{Config, Instant, MicroMemory, Node};
///
/// let mut memory = MicroMemory::new();
/// let node = Node::new(&mut memory, &Config::new([1; 32]), Instant::ZERO);
/// assert_eq!(node.items().count(), 0);
/// ```
#[derive(Debug)]
pub struct Memory<
    const CONTACTS: usize,
    const CONTACTS6: usize,
    const TRANSACTIONS: usize,
    const QUERIES: usize,
    const ITEMS: usize,
    const VALUES: usize,
    const PEERS: usize,
> {
    contacts: [Contact; CONTACTS],
    contacts6: [Contact; CONTACTS6],
    transactions: [Transaction; TRANSACTIONS],
    queries: [QuerySlot; QUERIES],
    items: [ItemSlot; ITEMS],
    values: [u8; VALUES],
    peers: [PeerSlot; PEERS],
}

/// The least that is a node: 16 contacts, one query at a time, 2 items, no peers. For a part with 32 KiB of RAM: it takes
/// 7.2 KB of them, and 6.6 KB without the feature `ipv6`.
pub type MicroMemory = Memory<16, 0, 8, 1, 2, 2_304, 0>;

/// A node on a microcontroller with 64 KiB of RAM: 64 contacts, 2 queries at a time, 16 items in 8 KiB, 32 peers. It takes
/// 23.6 KB of them, and 21.3 KB without the feature `ipv6`.
pub type TinyMemory = Memory<64, 0, 16, 2, 16, 8_192, 32>;

impl<
    const CONTACTS: usize,
    const CONTACTS6: usize,
    const TRANSACTIONS: usize,
    const QUERIES: usize,
    const ITEMS: usize,
    const VALUES: usize,
    const PEERS: usize,
> Memory<CONTACTS, CONTACTS6, TRANSACTIONS, QUERIES, ITEMS, VALUES, PEERS>
{
    /// What the tables need to fit together, checked when it is compiled.
    const FITS: () = {
        assert!(CONTACTS + CONTACTS6 > 0, "a node without contacts finds nobody");
        assert!(QUERIES > 0 && QUERIES < u16::MAX as usize, "joining the network takes a query");
        assert!(TRANSACTIONS > 0, "asking takes a transaction");
        assert!((ITEMS == 0) == (VALUES == 0), "items need octets, and octets items");
    };

    /// Memory in which nothing is stored yet. All octets are zero: a `static` of it takes RAM, and no flash.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would invite copies of kilobytes; `new` is const")]
    pub const fn new() -> Self {
        const { Self::FITS };
        Self {
            contacts: [Contact::EMPTY; CONTACTS],
            contacts6: [Contact::EMPTY; CONTACTS6],
            transactions: [Transaction::EMPTY; TRANSACTIONS],
            queries: [const { QuerySlot::EMPTY }; QUERIES],
            items: [const { ItemSlot::EMPTY }; ITEMS],
            values: [0; VALUES],
            peers: [const { PeerSlot::EMPTY }; PEERS],
        }
    }
}

impl<
    'm,
    const CONTACTS: usize,
    const CONTACTS6: usize,
    const TRANSACTIONS: usize,
    const QUERIES: usize,
    const ITEMS: usize,
    const VALUES: usize,
    const PEERS: usize,
> From<&'m mut Memory<CONTACTS, CONTACTS6, TRANSACTIONS, QUERIES, ITEMS, VALUES, PEERS>> for Storage<'m>
{
    fn from(memory: &'m mut Memory<CONTACTS, CONTACTS6, TRANSACTIONS, QUERIES, ITEMS, VALUES, PEERS>) -> Self {
        Self {
            contacts: Slots::Borrowed(&mut memory.contacts),
            contacts6: Slots::Borrowed(&mut memory.contacts6),
            transactions: Slots::Borrowed(&mut memory.transactions),
            queries: Slots::Borrowed(&mut memory.queries),
            items: Slots::Borrowed(&mut memory.items),
            values: Slots::Borrowed(&mut memory.values),
            peers: Slots::Borrowed(&mut memory.peers),
        }
    }
}

/// How large the tables are that [`Storage::boxed`] makes. The fields are those of [`Storage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Contacts over IPv4.
    pub contacts: usize,
    /// Contacts over IPv6.
    pub contacts6: usize,
    /// Questions in flight.
    pub transactions: usize,
    /// Queries of ours at once.
    pub queries: usize,
    /// Items stored for others.
    pub items: usize,
    /// Octets for them.
    pub values: usize,
    /// Peers announced by others.
    pub peers: usize,
}

impl Capacity {
    /// What [`TinyMemory`] has: 23 KiB.
    #[must_use]
    pub const fn tiny() -> Self {
        Self { contacts: 64, contacts6: 0, transactions: 16, queries: 2, items: 16, values: 8_192, peers: 32 }
    }

    /// A node in an application: 256 contacts, 32 queries, 2,000 items in 1 MiB; 1.5 MiB altogether.
    #[must_use]
    pub const fn home() -> Self {
        Self {
            contacts: 256,
            contacts6: 0,
            transactions: 512,
            queries: 32,
            items: 2_000,
            values: 1 << 20,
            peers: 2_000,
        }
    }

    /// A node that serves many: 100,000 items in 64 MiB, 1,024 queries; 86 MiB altogether.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            contacts: 512,
            contacts6: 0,
            transactions: 10_000,
            queries: 1_024,
            items: 100_000,
            values: 64 << 20,
            peers: 100_000,
        }
    }
}

#[cfg(feature = "alloc")]
impl Storage<'static> {
    /// Tables on the heap, of the sizes that `capacity` says. Only the heap is used, a table at a time: a thread with a
    /// small stack can do it.
    #[must_use]
    pub fn boxed(capacity: &Capacity) -> Self {
        Self {
            contacts: Slots::boxed(capacity.contacts),
            contacts6: Slots::boxed(capacity.contacts6),
            transactions: Slots::boxed(capacity.transactions),
            queries: Slots::boxed(capacity.queries.min(usize::from(u16::MAX))),
            items: Slots::boxed(capacity.items),
            values: Slots::boxed(capacity.values),
            peers: Slots::boxed(capacity.peers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_microcontroller_fits_its_budget() {
        let (tiny, micro) = if cfg!(feature = "ipv6") { (23_700, 7_300) } else { (21_300, 6_600) };
        assert!(size_of::<TinyMemory>() <= tiny, "{}", size_of::<TinyMemory>());
        assert!(size_of::<MicroMemory>() <= micro, "{}", size_of::<MicroMemory>());
    }
}
