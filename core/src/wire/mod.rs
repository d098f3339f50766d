//! Datagrams: what strangers send is parsed here, and what we say is written here (BEP 5, BEP 32, BEP 44).
//!
//! [`parse`] borrows from the datagram and copies nothing but ids; what it returns is well-formed, so that the rest of
//! the core judges rules (sizes, tokens, sequence numbers), never form. Every number of octets is bounded by the
//! datagram's, every walk is linear in it and without recursion, and no input reaches a panic.

// What arrives here is written by strangers: an oversight must not compile.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod bencode;
mod keys;
mod message;
mod nodes;
mod query;
mod refusal;
mod reply;

pub(crate) use keys::Key;
pub use message::{Message, ParseError, parse};
pub use nodes::{MAX_NODES, NodeIter, NodeList, Nodes, ValueIter, ValueList, Values};
pub use query::{AnnouncedPort, Method, Put, PutMutable, Query, Want};
pub use refusal::{Code, Refusal};
pub use reply::{RemoteError, Reply};
