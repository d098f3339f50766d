//! `node` with the memory of `MicroMemory`, linked for a part with 32 KiB of RAM.
#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use firmware::Quiet as Operator;
use firmware::core::MicroMemory as Memory;
