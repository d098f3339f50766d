//! `node` with a console, on which one sees what happens, and types commands.
#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use firmware::Terminal as Operator;
use firmware::core::TinyMemory as Memory;
