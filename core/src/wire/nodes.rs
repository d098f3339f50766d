//! Lists of nodes and of peers in compact form (BEP 5, "Contact Encoding"; BEP 32, "nodes6" and "values").

use super::bencode::{Reader, Value};
use crate::addr::{CompactAddr, Family, PerFamily};
use crate::id::{ID_LEN, NodeId};

/// How many nodes we list for one family: k of BEP 5.
pub const MAX_NODES: usize = 8;

/// Octets of the largest list of nodes.
const NODE_LIST_LEN: usize = MAX_NODES * (ID_LEN + CompactAddr::MAX_LEN);

/// The nodes of a reply: `nodes` with 26 octets a node (IPv4) and `nodes6` with 38 (IPv6). Each of the two may be absent,
/// which is not the same as empty. An incomplete last entry is ignored, and never written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nodes<'a> {
    lists: PerFamily<Option<&'a [u8]>>,
}

impl<'a> Nodes<'a> {
    /// Both lists are absent.
    pub const ABSENT: Self = Self { lists: PerFamily::new(None, None) };

    /// The lists from the octets of `nodes` and `nodes6`. Octets after the last whole entry are dropped.
    #[must_use]
    pub fn new(nodes: Option<&'a [u8]>, nodes6: Option<&'a [u8]>) -> Self {
        Self { lists: PerFamily::new(nodes, nodes6) }.truncated(usize::MAX)
    }

    /// The same with `list` as the list of its family.
    #[must_use]
    pub fn with(mut self, list: &'a NodeList) -> Self {
        *self.lists.get_mut(list.family) = Some(&list.octets);
        self
    }

    /// The same with at most `count` nodes in each list, the first ones: how an answer is brought down to a size.
    #[must_use]
    pub fn truncated(self, count: usize) -> Self {
        let first = |family| self.octets(family).map(|list| first_entries(list, count, family));
        Self { lists: Family::ALL.map(first) }
    }

    /// The octets of one list: a whole number of entries. `None` if it is absent.
    #[must_use]
    pub const fn octets(&self, family: Family) -> Option<&'a [u8]> {
        *self.lists.get(family)
    }

    /// The nodes of `nodes`, then those of `nodes6`.
    #[must_use]
    pub fn iter(&self) -> NodeIter<'a> {
        NodeIter { lists: self.lists.map(Option::unwrap_or_default) }
    }
}

impl<'a> IntoIterator for Nodes<'a> {
    type Item = (NodeId, CompactAddr);
    type IntoIter = NodeIter<'a>;

    fn into_iter(self) -> NodeIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Nodes<'a> {
    type Item = (NodeId, CompactAddr);
    type IntoIter = NodeIter<'a>;

    fn into_iter(self) -> NodeIter<'a> {
        self.iter()
    }
}

/// The nodes of a reply, one by one. Their addresses are as the sender told them: judge them before use.
#[derive(Debug, Clone)]
pub struct NodeIter<'a> {
    lists: PerFamily<&'a [u8]>,
}

impl Iterator for NodeIter<'_> {
    type Item = (NodeId, CompactAddr);

    fn next(&mut self) -> Option<Self::Item> {
        Family::ALL.into_iter().find_map(|family| split_node(self.lists.get_mut(family), family))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = Family::ALL.map(|family| entries(self.lists.get(family).len(), family));
        let count = count.into_iter().fold(0, usize::saturating_add);
        (count, Some(count))
    }
}

impl ExactSizeIterator for NodeIter<'_> {}

/// A list of up to [`MAX_NODES`] nodes of one family, to be written into a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeList {
    family: Family,
    octets: heapless::Vec<u8, NODE_LIST_LEN>,
}

impl NodeList {
    /// An empty list of nodes of `family`.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self { family, octets: heapless::Vec::new() }
    }

    /// The family of all nodes in it.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// How many nodes are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        entries(self.octets.len(), self.family)
    }

    /// Whether no node is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Appends a node; `None`, and nothing changes, if the list is full or the address is of the other family.
    #[must_use]
    pub fn push(&mut self, id: &NodeId, addr: CompactAddr) -> Option<()> {
        if addr.family() != self.family || self.len() >= MAX_NODES {
            return None;
        }
        // Both fit: there is room for `MAX_NODES` entries of either length.
        self.octets.extend_from_slice(id.as_bytes()).ok()?;
        addr.write_compact(&mut self.octets)
    }
}

/// The peers of a reply to `get_peers`: a list of strings of 6 octets (IPv4) or 18 (IPv6), mixed as the sender likes
/// (BEP 32). Whatever else is in the list is passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values<'a> {
    /// Whole values, without the `l` and `e` around them.
    items: &'a [u8],
}

impl<'a> Values<'a> {
    /// The peers in `value`, if it is a list.
    #[must_use]
    pub fn new(value: Value<'a>) -> Option<Self> {
        Some(Self { items: value.raw().strip_prefix(b"l")?.strip_suffix(b"e")? })
    }

    /// The bencoded strings, one after another, without the `l` and `e` around them.
    #[must_use]
    pub const fn items(&self) -> &'a [u8] {
        self.items
    }

    /// The peers, in order.
    #[must_use]
    pub const fn iter(&self) -> ValueIter<'a> {
        ValueIter { items: Reader::new(self.items) }
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = CompactAddr;
    type IntoIter = ValueIter<'a>;

    fn into_iter(self) -> ValueIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Values<'a> {
    type Item = CompactAddr;
    type IntoIter = ValueIter<'a>;

    fn into_iter(self) -> ValueIter<'a> {
        self.iter()
    }
}

/// The peers of a reply, one by one. Their addresses are as the sender told them: judge them before use.
#[derive(Debug, Clone)]
pub struct ValueIter<'a> {
    items: Reader<'a>,
}

impl Iterator for ValueIter<'_> {
    type Item = CompactAddr;

    fn next(&mut self) -> Option<CompactAddr> {
        loop {
            let value = self.items.value().ok()?;
            if let Some(addr) = value.bytes().and_then(CompactAddr::from_compact) {
                return Some(addr);
            }
        }
    }
}

/// A list of peers to be written into a reply, of at most `N` octets: 8 for a peer over IPv4, 21 over IPv6.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueList<const N: usize> {
    items: heapless::Vec<u8, N>,
}

impl<const N: usize> ValueList<N> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: heapless::Vec::new() }
    }

    /// Appends a peer; `None`, and nothing changes, if there is no room.
    #[must_use]
    pub fn push(&mut self, addr: CompactAddr) -> Option<()> {
        let prefix = *PerFamily::<&[u8]>::new(b"6:", b"18:").get(addr.family());
        let before = self.items.len();
        let pushed = self.items.extend_from_slice(prefix).ok().and_then(|()| addr.write_compact(&mut self.items));
        if pushed.is_none() {
            self.items.truncate(before);
        }
        pushed
    }

    /// The list as a reply carries it.
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        Values { items: &self.items }
    }
}

/// How many whole entries of `family` are in `len` octets.
const fn entries(len: usize, family: Family) -> usize {
    // Not through `entry_len`, so that the compiler knows what it divides by.
    *PerFamily::new(len / 26, len / 38).get(family)
}

/// The first `count` entries of `list`, or all there are, without an incomplete last one.
fn first_entries(list: &[u8], count: usize, family: Family) -> &[u8] {
    let count = count.min(entries(list.len(), family));
    list.get(..count.saturating_mul(entry_len(family))).unwrap_or_default()
}

/// Octets of a node in `nodes` (26) or `nodes6` (38).
const fn entry_len(family: Family) -> usize {
    ID_LEN.saturating_add(family.compact_len())
}

fn split_node(list: &mut &[u8], family: Family) -> Option<(NodeId, CompactAddr)> {
    let (entry, rest) = list.split_at_checked(entry_len(family))?;
    let (id, addr) = entry.split_first_chunk()?;
    *list = rest;
    Some((NodeId::new(*id), CompactAddr::from_compact(addr)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "ipv6")]
    use std::vec::Vec;

    const V4: CompactAddr = CompactAddr::V4([1, 2, 3, 4], 0x0506);
    #[cfg(feature = "ipv6")]
    const V6: CompactAddr = CompactAddr::V6([7; 16], 0x0809);

    #[cfg(feature = "ipv6")]
    #[test]
    fn nodes_are_20_octets_of_id_and_the_address() {
        let list = b"abcdefghij0123456789\x01\x02\x03\x04\x05\x06";
        let list6 = b"mnopqrstuvwxyz123456\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x08\x09";
        let nodes = Nodes::new(Some(list), Some(list6));
        let (a, b) = (NodeId::new(*b"abcdefghij0123456789"), NodeId::new(*b"mnopqrstuvwxyz123456"));
        assert_eq!(nodes.iter().len(), 2);
        assert_eq!(nodes.iter().collect::<Vec<_>>(), [(a, V4), (b, V6)]);

        let (mut v4, mut v6) = (NodeList::new(Family::V4), NodeList::new(Family::V6));
        v4.push(&a, V4).unwrap();
        v6.push(&b, V6).unwrap();
        assert_eq!(Nodes::ABSENT.with(&v6).with(&v4), nodes);
    }

    #[test]
    fn an_incomplete_last_node_is_ignored() {
        let mut list = [7; 2 * 26 + 25].to_vec();
        assert_eq!(Nodes::new(Some(&list), None).iter().count(), 2);
        assert_eq!(Nodes::new(Some(&list), None).octets(Family::V4).unwrap().len(), 2 * 26);
        list.push(7);
        assert_eq!(Nodes::new(Some(&list), None).iter().count(), 3);
        assert_eq!(Nodes::new(None, Some(&list)).iter().count(), if cfg!(feature = "ipv6") { 2 } else { 0 });
        assert_eq!(Nodes::new(Some(b"def456..."), None).octets(Family::V4), Some(&b""[..]));
    }

    #[test]
    fn a_node_list_takes_eight_of_its_own_family() {
        for (family, addr) in [
            (Family::V4, V4),
            #[cfg(feature = "ipv6")]
            (Family::V6, V6),
        ] {
            let mut list = NodeList::new(family);
            for _ in 0..MAX_NODES {
                #[cfg(feature = "ipv6")]
                assert_eq!(list.push(&NodeId::ZERO, if family == Family::V4 { V6 } else { V4 }), None);
                list.push(&NodeId::ZERO, addr).unwrap();
            }
            assert_eq!(list.push(&NodeId::ZERO, addr), None);
            assert_eq!(list.len(), MAX_NODES);
            let nodes = Nodes::ABSENT.with(&list);
            for (most, count) in [(0, 0), (3, 3), (8, 8), (usize::MAX, 8)] {
                assert_eq!(nodes.truncated(most).iter().count(), count);
                assert!(nodes.truncated(most).octets(family).is_some());
            }
        }
    }

    #[cfg(feature = "ipv6")]
    #[test]
    fn values_of_both_lengths_are_read_and_others_passed_over() {
        let list = b"l6:\x01\x02\x03\x04\x05\x065:12345i1el6:abcdefe18:\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x08\x09e";
        let value = Reader::new(list).value().unwrap();
        assert_eq!(Values::new(value).unwrap().iter().collect::<Vec<_>>(), [V4, V6]);
        for other in [&b"i1e"[..], b"2:le", b"de"] {
            assert_eq!(Values::new(Reader::new(other).value().unwrap()), None);
        }
    }

    #[cfg(feature = "ipv6")]
    #[test]
    fn a_value_list_is_bounded() {
        let mut list = ValueList::<{ 8 + 21 + 7 }>::new();
        list.push(V4).unwrap();
        list.push(V6).unwrap();
        assert_eq!(list.push(V4), None, "one octet short");
        assert_eq!(list.push(V6), None);
        assert_eq!(list.values().iter().collect::<Vec<_>>(), [V4, V6]);
        assert_eq!(list.values().items().len(), 29);
    }
}
