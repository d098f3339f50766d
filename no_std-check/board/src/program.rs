//! A program over the network stack of this repository: its statics, and its start. What is different from one to the next
//! is named by the file that has this one as a module: the memory of its node, and who operates it.

use cortex_m_rt::entry;
use firmware::core::Node;
use firmware::{App, Bare};
use lm3s6965::{Board, Ethernet, Uart, exit, settings};
use static_cell::{ConstStaticCell, StaticCell};

use super::{Memory, Operator};

// All that is large is static, so that the linker knows how much there is, and the stack is left to what comes and goes.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static NODE: StaticCell<Node<'static>> = StaticCell::new();
static NETWORK: StaticCell<Bare<Ethernet>> = StaticCell::new();
static APP: StaticCell<App<'static, Bare<Ethernet>, Operator<Uart>>> = StaticCell::new();

#[entry]
fn main() -> ! {
    exit(run().is_some())
}

/// Runs until the operator says that it is enough; `None` if something is missing, or wrong with the settings.
fn run() -> Option<()> {
    let Board { mut machine, ethernet, uart } = Board::take()?;
    let settings = settings()?;
    let node = firmware::node(&NODE, MEMORY.try_take()?, &settings)?;
    let network = Bare::start(&NETWORK, ethernet, settings.network)?;
    let app = App::new(&APP, &settings, node, network, Operator::new(uart))?;
    app.start(&settings)?;
    app.run(&mut machine);
    Some(())
}
