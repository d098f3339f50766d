//! A board under an emulator or a debugger that gives it the host's files (semihosting): `trace` and `outputs` in the
//! folder where the emulator was started.

use core::cell::UnsafeCell;

use semihosting::fs::File;
use semihosting::io::{self, Read as _, Write as _};
use semihosting::process::exit;

use crate::replay::{Replayed, Room, Sink, replay};
use crate::stack;

struct OnlyOnce(UnsafeCell<Room>);

// SAFETY: `run` alone uses it, and is called once.
unsafe impl Sync for OnlyOnce {}

static ROOM: OnlyOnce = OnlyOnce(UnsafeCell::new(Room::ZERO));

struct From(File);

impl bep44_trace::Read for From {
    type Error = io::Error;

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

struct To(File);

impl Sink for To {
    fn write(&mut self, octets: &[u8]) -> bool {
        self.0.write_all(octets).is_ok()
    }
}

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    stack::paint();
    let done = run();
    exit(if done.is_some() { 0 } else { 1 })
}

fn run() -> Option<()> {
    // SAFETY: nobody else has a reference to it; see `OnlyOnce`.
    let room = unsafe { &mut *ROOM.0.get() };
    let from = From(File::open(c"trace").ok()?);
    let to = To(File::create(c"outputs").ok()?);
    match replay(room, from, to) {
        Ok(replayed) => tell(&replayed),
        Err(failure) => {
            say(failure.text());
            None
        }
    }
}

/// Figures on the host's console, without the formatting of `core`: it calls through pointers, so that nobody could say
/// how deep the stack can grow.
fn tell(replayed: &Replayed) -> Option<()> {
    for (name, number) in [("calls", replayed.calls), ("outputs", replayed.outputs), ("stack", stack::used() as u64)] {
        say(name);
        say(" ");
        let mut digits = [0; 20];
        let mut rest = number;
        let mut start = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' | (rest % 10) as u8;
            rest /= 10;
            start = start.saturating_sub(1);
            if rest == 0 {
                break;
            }
        }
        say(core::str::from_utf8(digits.get(start..)?).ok()?);
        say("\n");
    }
    Some(())
}

fn say(text: &str) {
    if let Ok(mut console) = io::stdout() {
        // Without a console there is nobody to tell.
        let _ = console.write_all(text.as_bytes());
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
