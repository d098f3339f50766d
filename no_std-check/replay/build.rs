//! Where flash, RAM and the stack are.

use std::path::PathBuf;

/// Octets of stack: what is proved for it, and the start-up's own.
const STACK: usize = 12 * 1_024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    // A part of half the size, for a node of a third.
    let ram = if std::env::var_os("CARGO_FEATURE_MICRO").is_some() { 32 } else { 64 } * 1_024;
    let script = match std::env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        // A Stellaris LM3S6965. The stack lies below everything else: who overruns it leaves memory and stops.
        "arm" => format!(
            "MEMORY {{\n  FLASH : ORIGIN = 0, LENGTH = 256K\n  RAM : ORIGIN = {:#x}, LENGTH = {}\n}}\n\
             _stack_end = {:#x};\n_stack_start = {:#x};\n_stack_lowest = _stack_end;\n_stack_highest = _stack_start;\n",
            0x2000_0000 + STACK,
            ram - STACK,
            0x2000_0000,
            0x2000_0000 + STACK,
        ),
        // QEMU's `virt`, as if a part of its memory were flash.
        "riscv32" => format!(
            "MEMORY {{\n  FLASH : ORIGIN = 0x80000000, LENGTH = 256K\n  RAM : ORIGIN = 0x80100000, LENGTH = {ram}\n}}\n\
             REGION_ALIAS(\"REGION_TEXT\", FLASH);\nREGION_ALIAS(\"REGION_RODATA\", FLASH);\n\
             REGION_ALIAS(\"REGION_DATA\", RAM);\nREGION_ALIAS(\"REGION_BSS\", RAM);\n\
             REGION_ALIAS(\"REGION_HEAP\", RAM);\nREGION_ALIAS(\"REGION_STACK\", RAM);\n\
             _stack_highest = ORIGIN(RAM) + LENGTH(RAM);\n_stack_lowest = _stack_highest - {STACK};\n"
        ),
        other => return Err(format!("no board with {other} is known").into()),
    };
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("memory.x"), script)?;
    println!("cargo:rustc-link-search={}", out.display());
    Ok(())
}
