//! A whole node on a part with 64 KiB of RAM: the network stack of this repository, the memory of `TinyMemory`, and no console.
#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use firmware::Quiet as Operator;
use firmware::core::TinyMemory as Memory;
