//! placeholder
#![no_std]
#![no_main]
use lm3s6965::exit;
#[cortex_m_rt::entry]
fn main() -> ! { exit(true) }
