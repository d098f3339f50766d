//! The same node on a part with 64 KiB of flash: with the Ed25519 of the feature `salty`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::core::{Node, TinyMemory};
use firmware::{App, Bare, Quiet};
use lm3s6965::{Board, Ethernet, Uart, exit, settings};
use static_cell::{ConstStaticCell, StaticCell};

// All that is large is static, so that the linker knows how much there is, and the stack is left to what comes and goes.
static MEMORY: ConstStaticCell<TinyMemory> = ConstStaticCell::new(TinyMemory::new());
static NODE: StaticCell<Node<'static>> = StaticCell::new();
static NETWORK: StaticCell<Bare<Ethernet>> = StaticCell::new();
static APP: StaticCell<App<'static, Bare<Ethernet>, Quiet<Uart>>> = StaticCell::new();

#[entry]
fn main() -> ! {
    exit(run().is_some())
}

/// Runs for ever; `None` if something is missing, or wrong with the settings.
fn run() -> Option<()> {
    let Board { mut machine, ethernet, uart } = Board::take()?;
    let settings = settings()?;
    let node = firmware::node(&NODE, MEMORY.try_take()?, &settings)?;
    let network = Bare::start(&NETWORK, ethernet, settings.network)?;
    let app = App::new(&APP, &settings, node, network, Quiet::new(uart))?;
    app.start(&settings)?;
    app.run(&mut machine);
    Some(())
}
