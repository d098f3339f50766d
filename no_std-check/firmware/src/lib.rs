//! A node of the DHT as the firmware of a board: it joins, serves others, and publishes an item of its own and keeps it
//! published. What it needs of the board are a clock and a card; and a serial port, to show that it has started
//! ([`Quiet`]), or all that happens, and to take commands ([`Terminal`]).
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

mod app;
mod arguments;
mod bare;
mod command;
mod hex;
mod line;
mod operator;
#[cfg(feature = "smoltcp")]
mod over_smoltcp;
mod published;
mod terminal;

pub use app::{App, node};
pub use arguments::Arguments;
pub use bare::Bare;
pub use line::Line;
pub use operator::{Operator, Order, Quiet};
#[cfg(feature = "smoltcp")]
pub use over_smoltcp::{Buffers, Notes, Smoltcp};
pub use published::Published;
pub use terminal::Terminal;

pub use bep44_core as core;

use bare_udp::MAX_FRAME;
use bep44_core::{Instant, Node};

/// The processor.
pub trait Machine {
    /// Milliseconds since the start.
    fn millis(&mut self) -> u64;

    /// Sleeps until something may have happened: a millisecond at most.
    fn sleep(&mut self);

    /// Octets of stack that were used at most since the start; 0 where nobody knows.
    fn stack_used(&self) -> usize;
}

/// The board's serial console.
pub trait Console {
    /// Writes all of `octets`.
    fn write(&mut self, octets: &[u8]);

    /// An octet that was typed, if there is one.
    fn read(&mut self) -> Option<u8>;
}

/// The board's Ethernet card.
pub trait Card {
    /// The card receives what is for this address, or for everybody.
    fn set_address(&mut self, mac: [u8; 6]);

    /// Whether a frame has arrived.
    fn waiting(&mut self) -> bool;

    /// The next frame that has arrived, without its check sequence: written into `frame`, and how long it is.
    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize>;

    /// Sends a frame of at least 60 octets; the card adds the check sequence.
    fn send(&mut self, frame: &[u8]);
}

/// What carries datagrams between the node and the card.
pub trait Network {
    /// Whether a turn is due for the network's own sake: a frame has arrived, or something has waited long enough.
    fn wants_turn(&mut self, now: Instant) -> bool;

    /// One turn: the node is told of all that has arrived, and all that it has to send is sent.
    fn turn(&mut self, now: Instant, node: &mut Node<'_>);
}
