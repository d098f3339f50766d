//! Where flash, RAM and the stack are, for each program.
use std::path::PathBuf;

/// Bytes of stack. It lies below everything else, at the start of RAM: who overruns it leaves memory and stops, instead
/// of writing over the node's tables.
const STACK: usize = 12 * 1_024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // `micro` shows that it would run on a part with half of the memory, and `small` with a quarter of the flash.
    let programs = [
        ("node", 256, 64),
        ("small", 64, 64),
        ("micro", 256, 32),
        ("console", 256, 64),
        ("smoltcp", 256, 64),
        ("cost", 256, 64),
    ];
    for (program, flash, ram) in programs {
        let folder = out.join(program);
        std::fs::create_dir_all(&folder)?;
        let start = 0x2000_0000;
        let script = format!(
            "MEMORY {{\n  FLASH : ORIGIN = 0, LENGTH = {flash}K\n  RAM : ORIGIN = {:#x}, LENGTH = {}\n}}\n\
             _stack_end = {start:#x};\n_stack_start = {:#x};\n",
            start + STACK,
            ram * 1_024 - STACK,
            start + STACK,
        );
        std::fs::write(folder.join("memory.x"), script)?;
        // Names for handlers of interrupts: there are none.
        std::fs::write(folder.join("device.x"), "")?;
        println!("cargo:rustc-link-arg-bin={program}=-L{}", folder.display());
    }
    Ok(())
}
