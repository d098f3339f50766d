//! Why a command was not taken. (What a peer does wrong is never an error here: it is answered, counted and forgotten.)

use core::fmt;

use crate::item::ItemError;

/// Why a query was not started. Nothing has been sent, and nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// As many queries run as the memory has slots for: try again when one has ended, or give the node more.
    Busy,
    /// The node knows nobody whom it could ask: give it an address with `add_bootstrap`.
    NobodyToAsk,
    /// No packet can be sent to this address: it is port 0, unspecified, multicast, reserved, or of a family that the
    /// node has no table for.
    UnusableAddress,
    /// What should be stored or asked for is not an item within the limits.
    Item(ItemError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many queries at once: try again when one has ended"),
            Self::NobodyToAsk => {
                f.write_str("nobody to ask: no node of the network is known; give a bootstrap address")
            }
            Self::UnusableAddress => f.write_str("no packet can be sent to this address"),
            Self::Item(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for QueryError {}

/// Why an item is not kept. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepError {
    /// There is no memory for it, even if all goes that the node stores for others: forget another item, or give the node
    /// more.
    NoRoom,
    /// It is not an item within the limits, or another version is stored that it may not replace.
    Item(ItemError),
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("no memory to keep it: forget another item, or give the node more"),
            Self::Item(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for KeepError {}

impl From<ItemError> for KeepError {
    fn from(error: ItemError) -> Self {
        Self::Item(error)
    }
}

impl From<ItemError> for QueryError {
    fn from(error: ItemError) -> Self {
        Self::Item(error)
    }
}
