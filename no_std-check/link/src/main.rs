//! Uses every public function of the core where there is no std and no allocator. That it links is the first proof: with
//! an allocation anywhere it would not. The proofs of size, stack and panics look at what was linked.
//!
//! The program is never run. What hardware would give (a datagram, the time, a seed) comes out of [`outside`], about
//! which the compiler knows nothing.
#![no_std]
#![no_main]

mod node;
mod records;
#[cfg(feature = "shown")]
mod shown;
mod wire;

use core::cell::UnsafeCell;
use core::hint::black_box;
use core::mem::MaybeUninit;

use bep44_core::{Config, Instant, MAX_DATAGRAM, Node, TinyMemory};

/// A value that the compiler can know nothing about.
fn outside<T>(value: T) -> T {
    black_box(value)
}

/// What the program has for its whole life; all zeros at the start, so that it costs no flash.
struct Machine {
    memory: TinyMemory,
    node: MaybeUninit<Node<'static>>,
    incoming: [u8; MAX_DATAGRAM],
    outgoing: [u8; MAX_DATAGRAM],
}

struct OnlyOnce(UnsafeCell<Machine>);

// SAFETY: `_start` alone uses it, and is called once.
unsafe impl Sync for OnlyOnce {}

static MACHINE: OnlyOnce = OnlyOnce(UnsafeCell::new(Machine {
    memory: TinyMemory::new(),
    node: MaybeUninit::uninit(),
    incoming: [0; MAX_DATAGRAM],
    outgoing: [0; MAX_DATAGRAM],
}));

/// The entry point of the linked program.
// SAFETY: no other function has this name.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // SAFETY: nobody else has a reference to it; see `OnlyOnce`.
    let Machine { memory, node, incoming, outgoing } = unsafe { &mut *MACHINE.0.get() };
    let node = start(node, memory);
    loop {
        outside(&mut *incoming);
        let len = outside(incoming.len());
        let datagram = incoming.get(..len).unwrap_or_default();
        node::command(node, datagram);
        node::turn(node, datagram, outgoing);
        node::read(node);
        records::items(datagram);
        records::points(datagram);
        records::lists();
        wire::bencoding(datagram, outgoing);
        wire::messages(datagram, outgoing);
        #[cfg(feature = "shown")]
        shown::all(datagram);
    }
}

/// Makes the node where it stays.
// Not a part of `_start`: a node is made on the stack, and would keep its 4 KiB there for good.
#[inline(never)]
fn start(
    place: &'static mut MaybeUninit<Node<'static>>,
    memory: &'static mut TinyMemory,
) -> &'static mut Node<'static> {
    let config = Config { id: outside(None), ..Config::new(outside([1; 32])) };
    place.write(Node::new(memory, &config, outside(Instant::ZERO)))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            // Defined nowhere: the linker says so if it is needed.
            safe fn a_panic_can_be_reached() -> !;
        }
        a_panic_can_be_reached()
    }
    #[cfg(not(feature = "no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}
