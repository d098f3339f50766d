//! The firmware with smoltcp as its network stack, and the memory of `TinyMemory`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::core::{Node, TinyMemory};
use firmware::{App, Arguments, Buffers, Smoltcp};
use lm3s6965::{Board, Ethernet, Uart, exit, settings};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<TinyMemory> = ConstStaticCell::new(TinyMemory::new());
static NODE: StaticCell<Node<'static>> = StaticCell::new();
static BUFFERS: StaticCell<Buffers> = StaticCell::new();
static NETWORK: StaticCell<Smoltcp<Ethernet>> = StaticCell::new();
static APP: StaticCell<App<'static, Smoltcp<Ethernet>, Uart>> = StaticCell::new();

// Its own frame: smoltcp is made on the stack before it is moved where it stays.
#[inline(never)]
fn network(ethernet: Ethernet, settings: &Arguments) -> Option<&'static mut Smoltcp<Ethernet>> {
    Smoltcp::new(ethernet, &settings.network, BUFFERS.init_with(Buffers::new)).map(|network| NETWORK.init(network))
}

#[entry]
fn main() -> ! {
    let (Some(Board { mut machine, ethernet, uart }), Some(settings)) = (Board::take(), settings()) else { exit(false) };
    let node = firmware::node(&NODE, MEMORY.take(), settings);
    let Some(network) = network(ethernet, settings) else { exit(false) };
    let app = APP.init_with(|| App::new(settings, node, network, uart));
    app.start(settings, &mut machine);
    app.run(&mut machine);
    exit(true)
}
