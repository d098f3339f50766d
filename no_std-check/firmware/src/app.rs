//! What the firmware does, turn by turn.

use static_cell::StaticCell;

use crate::arguments::Arguments;
use crate::core::error::KeepError;
use crate::core::item::ItemError;
use crate::core::{Config, Event, Instant, Node, Rate, Storage};
use crate::operator::{Operator, Order};
use crate::published::{Published, default_key};
use crate::{Machine, Network};

/// The firmware: a node, the network that it is in, the item that it publishes, and who watches it and tells it what to do.
#[derive(Debug)]
pub struct App<'m, N, O> {
    node: &'m mut Node<'m>,
    network: &'m mut N,
    operator: O,
    published: Published,
    /// Something was asked of the node since its last turn.
    stirred: bool,
}

/// Signatures verified for each network of strangers. While it verifies one, a board does nothing else: 2 million
/// instructions, or 37 million with the smaller Ed25519.
const VERIFICATIONS: Rate = Rate { per_second: 1, burst: 8 };

/// The node of a board that runs with `settings`, made in `cell`; `None` if there is one in it already.
// Its own frame: a node is made on the stack before it is moved where it stays.
#[inline(never)]
pub fn node(
    cell: &'static StaticCell<Node<'static>>,
    memory: impl Into<Storage<'static>>,
    settings: &Arguments,
) -> Option<&'static mut Node<'static>> {
    let config = Config { id: settings.id, verifications: VERIFICATIONS, ..Config::new(settings.seed) };
    cell.try_init_with(|| Node::new(memory, &config, Instant::ZERO))
}

impl<N: Network, O: Operator> App<'static, N, O> {
    /// The firmware, made in `cell`; `None` if there is one in it already, or if the secret key is all zeros. It has yet to
    /// [`start`](Self::start).
    // Its own frame, and two steps: what makes and what signs need not be on the stack at once.
    #[inline(never)]
    pub fn new(
        cell: &'static StaticCell<Self>,
        settings: &Arguments,
        node: &'static mut Node<'static>,
        network: &'static mut N,
        operator: O,
    ) -> Option<&'static mut Self> {
        let published = Published::new(settings.key.unwrap_or_else(|| default_key(&settings.seed)))?;
        cell.try_init_with(move || Self { node, network, operator, published, stirred: true })
    }
}

impl<N: Network, O: Operator> App<'_, N, O> {
    /// Starts: tells the operator what is there, and the node whom to join through. `None` if it cannot be joined through
    /// one of them.
    #[inline(never)]
    pub fn start(&mut self, settings: &Arguments) -> Option<()> {
        self.operator.started(&self.node.id(), &self.published.key(), settings.addr());
        for addr in &settings.bootstrap {
            self.node.add_bootstrap((*addr).into()).ok()?;
        }
        self.published.say(&settings.text).then_some(())
    }

    /// Runs until the operator says that it is enough.
    pub fn run(&mut self, machine: &mut impl Machine) {
        while self.turn(machine) {
            machine.sleep();
        }
    }

    /// One turn; false if it was the last.
    pub fn turn(&mut self, machine: &mut impl Machine) -> bool {
        let now = Instant::from_millis(machine.millis());
        match self.operator.order(now, self.node, &mut self.published, machine) {
            None => {}
            Some(Order::Done) => self.stirred = true,
            Some(Order::Exit) => return false,
        }
        if self.published.is_due() {
            self.publish(now);
        }
        let due = self.stirred || self.node.poll_timeout().is_some_and(|at| at <= now);
        if due || self.network.wants_turn(now) {
            self.stirred = false;
            self.network.turn(now, self.node);
            self.tell();
        }
        true
    }

    fn publish(&mut self, now: Instant) {
        self.stirred = true;
        let seq = self.published.keep(now, self.node);
        // Otherwise with the next number, at the next turn.
        if !matches!(seq, Err(KeepError::Item(ItemError::SequenceTooLow { .. }))) {
            self.operator.published(seq);
        }
    }

    /// Tells the operator what has happened.
    #[inline(never)]
    fn tell(&mut self) {
        while let Some(event) = next_event(self.node) {
            if let Event::Adopted(stored) = &event
                && let Some(item) = stored.item.as_mutable()
            {
                self.published.adopted(item);
            }
            self.operator.told(&event);
        }
    }
}

// Its own function: what is written into memory as a whole takes less code than what is kept in parts.
#[inline(never)]
fn next_event<'n>(node: &'n mut Node<'_>) -> Option<Event<'n>> {
    node.poll_event()
}
