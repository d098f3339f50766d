//! Every call that can change a node or draw something from it.

use bep44_core::item::ImmutableItem;
use bep44_core::time::Duration;
use bep44_core::{
    Instant, Item, ItemError, MAX_DATAGRAM, MutableItem, Node, NodeId, PublicKey, QueryHandle, Signature, Target,
};
use serde::{Deserialize, Serialize};

use crate::output::Output;
use crate::record::Addr;

/// A call on a [`Node`], by the method's name. The order of the variants is part of the format: new ones come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// [`Node::handle_datagram`].
    HandleDatagram {
        /// Who sent it.
        from: Addr,
        /// Its octets.
        #[serde(borrow, with = "serde_bytes")]
        datagram: &'a [u8],
        /// The length of the buffer for the answer, if it was below [`MAX_DATAGRAM`].
        room: Option<u16>,
    },
    /// [`Node::handle_timeout`].
    HandleTimeout,
    /// [`Node::handle_unreachable`].
    HandleUnreachable {
        /// What cannot be reached.
        to: Addr,
    },
    /// [`Node::poll_transmit`].
    PollTransmit {
        /// The length of the buffer, if it was below [`MAX_DATAGRAM`].
        room: Option<u16>,
    },
    /// [`Node::poll_event`].
    PollEvent,
    /// [`Node::poll_timeout`].
    PollTimeout,
    /// [`Node::add_bootstrap`].
    AddBootstrap {
        /// The address.
        addr: Addr,
    },
    /// [`Node::bootstrap`].
    Bootstrap,
    /// [`Node::find_node`].
    FindNode {
        /// Where to.
        target: [u8; 20],
    },
    /// [`Node::get`].
    Get {
        /// The item's.
        target: [u8; 20],
    },
    /// [`Node::get_mutable`].
    GetMutable {
        /// The key.
        key: [u8; 32],
        /// The salt; empty if there is none.
        #[serde(borrow, with = "serde_bytes")]
        salt: &'a [u8],
        /// Only versions above this one.
        newer_than: Option<i64>,
    },
    /// [`Node::put`].
    Put {
        /// The item.
        #[serde(borrow)]
        item: ItemRecord<'a>,
        /// The condition.
        cas: Option<i64>,
    },
    /// [`Node::get_peers`].
    GetPeers {
        /// The torrent.
        info_hash: [u8; 20],
    },
    /// [`Node::announce`].
    Announce {
        /// The torrent.
        info_hash: [u8; 20],
        /// The peer's port.
        port: Option<u16>,
    },
    /// [`Node::ping`].
    Ping {
        /// Whom.
        addr: Addr,
    },
    /// [`Node::cancel`].
    Cancel {
        /// The query's handle ([`QueryHandle::to_bits`]).
        query: u64,
    },
    /// [`Node::restore_item`].
    RestoreItem {
        /// The item.
        #[serde(borrow)]
        item: ItemRecord<'a>,
        /// The time that it has left.
        remaining: Duration,
    },
    /// [`Node::restore_peer`].
    RestorePeer {
        /// The torrent.
        info_hash: [u8; 20],
        /// The peer.
        addr: Addr,
        /// Whether it has all of it.
        seed: bool,
        /// The time that it has left.
        remaining: Duration,
    },
    /// [`Node::restore_contact`].
    RestoreContact {
        /// Its id.
        id: [u8; 20],
        /// Its address.
        addr: Addr,
    },
    /// [`Node::keep`].
    Keep {
        /// The item.
        #[serde(borrow)]
        item: ItemRecord<'a>,
    },
    /// [`Node::forget`].
    Forget {
        /// The item's.
        target: [u8; 20],
    },
    /// [`Node::restore_kept`].
    RestoreKept {
        /// The item.
        #[serde(borrow)]
        item: ItemRecord<'a>,
        /// The time until it is announced.
        until_next: Duration,
    },
}

impl Call<'_> {
    /// Makes the call. `buf` is for a packet, and has at least [`MAX_DATAGRAM`] octets (a shorter one may change what comes
    /// out). `None`: the call returned nothing.
    ///
    /// # Errors
    /// What should be put or restored is no item within the limits: no recorder has written that, and the node was not
    /// called.
    pub fn apply<'r>(
        &self,
        node: &'r mut Node<'_>,
        now: Instant,
        buf: &'r mut [u8],
    ) -> Result<Option<Output<'r>>, ItemError> {
        Ok(match *self {
            Self::HandleDatagram { from, datagram, room } => {
                node.handle_datagram(now, from.into(), datagram, cut(buf, room)).as_ref().map(Output::of_packet)
            }
            Self::HandleTimeout => {
                node.handle_timeout(now);
                None
            }
            Self::HandleUnreachable { to } => {
                node.handle_unreachable(now, to.into());
                None
            }
            Self::PollTransmit { room } => node.poll_transmit(now, cut(buf, room)).as_ref().map(Output::of_packet),
            Self::PollEvent => node.poll_event().as_ref().map(Output::of_event),
            Self::PollTimeout => Output::of_deadline(node.poll_timeout()),
            Self::AddBootstrap { addr } => Output::of_done(node.add_bootstrap(addr.into())),
            Self::Bootstrap => Some(Output::of_query(node.bootstrap(now))),
            Self::FindNode { target } => Some(Output::of_query(node.find_node(now, Target::new(target)))),
            Self::Get { target } => Some(Output::of_query(node.get(now, Target::new(target)))),
            Self::GetMutable { key, salt, newer_than } => {
                Some(Output::of_query(node.get_mutable(now, &PublicKey(key), salt, newer_than)))
            }
            Self::Put { item, cas } => Some(Output::of_query(node.put(now, &item.to_item()?, cas))),
            Self::GetPeers { info_hash } => Some(Output::of_query(node.get_peers(now, Target::new(info_hash)))),
            Self::Announce { info_hash, port } => {
                Some(Output::of_query(node.announce(now, Target::new(info_hash), port)))
            }
            Self::Ping { addr } => Some(Output::of_query(node.ping(now, addr.into()))),
            Self::Cancel { query } => {
                node.cancel(QueryHandle::from_bits(query));
                None
            }
            Self::RestoreItem { item, remaining } => {
                Some(Output::of_restored(node.restore_item(now, &item.to_item()?, remaining)))
            }
            Self::RestorePeer { info_hash, addr, seed, remaining } => {
                Some(Output::of_taken(node.restore_peer(now, Target::new(info_hash), addr.into(), seed, remaining)))
            }
            Self::RestoreContact { id, addr } => {
                Some(Output::of_taken(node.restore_contact(now, NodeId::new(id), addr.into())))
            }
            Self::Keep { item } => Output::of_kept(node.keep(now, &item.to_item()?)),
            Self::Forget { target } => Some(Output::of_taken(node.forget(now, &Target::new(target)))),
            Self::RestoreKept { item, until_next } => {
                Output::of_kept(node.restore_kept(now, &item.to_item()?, until_next))
            }
        })
    }

    /// Whether the call tells the node the time.
    #[must_use]
    pub const fn has_now(&self) -> bool {
        !matches!(self, Self::PollEvent | Self::PollTimeout | Self::AddBootstrap { .. } | Self::Cancel { .. })
    }
}

/// The part of `buf` that the recorded call had.
fn cut(buf: &mut [u8], room: Option<u16>) -> &mut [u8] {
    let room = room.map_or(MAX_DATAGRAM, usize::from).min(buf.len());
    buf.split_at_mut(room).0
}

/// An item as it was given to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemRecord<'a> {
    /// A value under its own SHA-1.
    Immutable {
        /// The bencoded value.
        #[serde(borrow, with = "serde_bytes")]
        value: &'a [u8],
    },
    /// A signed value under its key and salt.
    Mutable {
        /// The key.
        key: [u8; 32],
        /// The salt; empty if there is none.
        #[serde(borrow, with = "serde_bytes")]
        salt: &'a [u8],
        /// The sequence number.
        seq: i64,
        /// The bencoded value.
        #[serde(borrow, with = "serde_bytes")]
        value: &'a [u8],
        /// The two halves of the signature.
        signature: [[u8; 32]; 2],
    },
}

impl<'a> ItemRecord<'a> {
    /// The item that is written here.
    ///
    /// # Errors
    /// It is none within the limits.
    pub fn to_item(self) -> Result<Item<'a>, ItemError> {
        match self {
            Self::Immutable { value } => ImmutableItem::new(value).map(Item::Immutable),
            Self::Mutable { key, salt, seq, value, signature: [r, s] } => {
                let mut signature = [0; 64];
                for (octet, part) in signature.iter_mut().zip(r.into_iter().chain(s)) {
                    *octet = part;
                }
                MutableItem::new(PublicKey(key), salt, seq, value, Signature(signature)).map(Item::Mutable)
            }
        }
    }
}

impl<'a> From<&Item<'a>> for ItemRecord<'a> {
    fn from(item: &Item<'a>) -> Self {
        match item {
            Item::Immutable(item) => Self::Immutable { value: item.value() },
            Item::Mutable(item) => {
                let mut signature = [[0; 32]; 2];
                for (octet, part) in signature.as_flattened_mut().iter_mut().zip(item.signature().0) {
                    *octet = part;
                }
                Self::Mutable { key: item.key().0, salt: item.salt(), seq: item.seq(), value: item.value(), signature }
            }
        }
    }
}
