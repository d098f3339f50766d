//! Linux, without a library: the trace from standard input, what comes out to standard output. For processors of another
//! byte order, of which an emulator of user programs is at hand.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use crate::replay::{Failure, Replayed, Room, Sink, replay};

struct OnlyOnce(UnsafeCell<Room>);

// SAFETY: `run` alone uses it, and is called once.
unsafe impl Sync for OnlyOnce {}

static ROOM: OnlyOnce = OnlyOnce(UnsafeCell::new(Room::ZERO));

// The kernel gives a stack, and expects no return. A caller leaves 160 octets for its callee (z/Architecture ELF ABI).
global_asm!(".globl _start", "_start:", "aghi %r15, -160", "brasl %r14, {run}", run = sym run);

/// Numbers of system calls on s390.
const EXIT: u64 = 1;
const READ: u64 = 3;
const WRITE: u64 = 4;

/// # Safety
/// What the kernel is told to do must not break anything of this program.
unsafe fn system_call(number: u64, first: u64, second: u64, third: u64) -> i64 {
    let result: i64;
    // SAFETY: the caller has seen to it; the kernel changes no register but that of the result.
    unsafe {
        asm!(
            "svc 0",
            in("r1") number,
            inout("r2") first => result,
            in("r3") second,
            in("r4") third,
            options(nostack),
        );
    }
    result
}

struct From;

impl bep44_trace::Read for From {
    type Error = ();

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ()> {
        // SAFETY: the kernel writes into the buffer, and not more than its length.
        let read = unsafe { system_call(READ, 0, buf.as_mut_ptr() as u64, buf.len() as u64) };
        usize::try_from(read).map_err(|_| ())
    }
}

struct To;

impl Sink for To {
    fn write(&mut self, octets: &[u8]) -> bool {
        let mut rest = octets;
        while !rest.is_empty() {
            // SAFETY: the kernel only reads.
            let written = unsafe { system_call(WRITE, 1, rest.as_ptr() as u64, rest.len() as u64) };
            match usize::try_from(written).ok().and_then(|written| rest.get(written..)) {
                Some(left) if left.len() < rest.len() => rest = left,
                _ => return false,
            }
        }
        true
    }
}

extern "C" fn run() -> ! {
    // SAFETY: nobody else has a reference to it; see `OnlyOnce`.
    let room = unsafe { &mut *ROOM.0.get() };
    match replay(room, From, To) {
        Ok(Replayed { calls, outputs }) => exit(u64::from(calls == 0 || outputs == 0)),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ! {
    let text = failure.text();
    // SAFETY: the kernel only reads.
    unsafe { system_call(WRITE, 2, text.as_ptr() as u64, text.len() as u64) };
    exit(1)
}

fn exit(code: u64) -> ! {
    loop {
        // SAFETY: the program ends.
        unsafe { system_call(EXIT, code, 0, 0) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
