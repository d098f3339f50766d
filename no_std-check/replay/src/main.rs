//! Replays a trace from a file, and writes all that comes out of the node to another: number of the call, length, octets.
//! On every machine the second file must be the same, octet for octet. (That what comes out is also what the trace says,
//! and that counters, contacts, items and peers are the same at the end, is compared on the way.)
//!
//! The same program for a hosted machine, for boards under semihosting, and for Linux without a library.
#![cfg_attr(not(target_arch = "x86_64"), no_std, no_main)]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg_attr(target_os = "none", path = "board.rs")]
#[cfg_attr(all(target_os = "linux", target_arch = "x86_64"), path = "hosted.rs")]
#[cfg_attr(all(target_os = "linux", not(target_arch = "x86_64")), path = "bare_linux.rs")]
mod machine;
mod replay;
#[cfg(target_os = "none")]
mod stack;

/// What the trace is replayed in.
#[cfg(not(feature = "micro"))]
type Memory = bep44_core::TinyMemory;
#[cfg(feature = "micro")]
type Memory = bep44_core::MicroMemory;

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    machine::main()
}
