//! `console` with smoltcp as its network stack.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::core::{Node, TinyMemory};
use firmware::{App, Buffers, Notes, Smoltcp, Terminal};
use lm3s6965::{Board, Ethernet, Uart, exit, settings};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<TinyMemory> = ConstStaticCell::new(TinyMemory::new());
static NODE: StaticCell<Node<'static>> = StaticCell::new();
static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
static NOTES: StaticCell<Notes> = StaticCell::new();
static NETWORK: StaticCell<Smoltcp<Ethernet>> = StaticCell::new();
static APP: StaticCell<App<'static, Smoltcp<Ethernet>, Terminal<Uart>>> = StaticCell::new();

#[entry]
fn main() -> ! {
    exit(run().is_some())
}

/// Runs until the console says that it is enough; `None` if something is missing, or wrong with the settings.
fn run() -> Option<()> {
    let Board { mut machine, ethernet, uart } = Board::take()?;
    let settings = settings()?;
    let node = firmware::node(&NODE, MEMORY.try_take()?, &settings)?;
    let network = Smoltcp::start(&NETWORK, BUFFERS.try_take()?, &NOTES, ethernet, &settings.network)?;
    let app = App::new(&APP, &settings, node, network, Terminal::new(uart))?;
    app.start(&settings)?;
    app.run(&mut machine);
    Some(())
}
