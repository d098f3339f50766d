//! Who watches the firmware, and tells it what to do.

use core::net::SocketAddrV4;

use crate::core::error::KeepError;
use crate::core::{Event, Instant, Node, NodeId, PublicKey};
use crate::published::Published;
use crate::{Console, Line, Machine};

/// Somebody at a console ([`Terminal`](crate::Terminal)), or nobody ([`Quiet`]). A board of its own may have something
/// else here: lights, and a button.
pub trait Operator {
    /// The node is there, with this id, at this address, and publishes under this key.
    fn started(&mut self, id: &NodeId, key: &PublicKey, addr: SocketAddrV4);

    /// The board's own item was signed, and is kept published: the number of this version. Or it is not.
    fn published(&mut self, seq: Result<i64, KeepError>);

    /// Something has happened.
    fn told(&mut self, event: &Event<'_>) {
        let _ = event;
    }

    /// What is to be done now, if anything: it is done when this returns.
    fn order(
        &mut self,
        now: Instant,
        node: &mut Node<'_>,
        published: &mut Published,
        machine: &impl Machine,
    ) -> Option<Order> {
        let _ = (now, node, published, machine);
        None
    }
}

/// What an operator has wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Something of the node, which may have something to send or to tell now.
    Done,
    /// The end.
    Exit,
}

/// Nobody: shows on a console that the node has started, and if its own item could not be published, and takes no orders.
#[derive(Debug)]
pub struct Quiet<C> {
    console: C,
}

impl<C: Console> Quiet<C> {
    /// Shows it on `console`.
    #[must_use]
    pub const fn new(console: C) -> Self {
        Self { console }
    }
}

impl<C: Console> Operator for Quiet<C> {
    fn started(&mut self, id: &NodeId, key: &PublicKey, _: SocketAddrV4) {
        drop(Line::new(&mut self.console, "listening").hex("id", id.as_bytes()).hex("public_key", &key.0));
    }

    fn published(&mut self, seq: Result<i64, KeepError>) {
        if seq.is_err() {
            drop(Line::new(&mut self.console, "not_kept"));
        }
    }
}
