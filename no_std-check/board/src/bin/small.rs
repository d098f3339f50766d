//! `node` on a part with 64 KiB of flash: with the Ed25519 of the feature `salty`.
#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use firmware::Quiet as Operator;
use firmware::core::TinyMemory as Memory;
