//! Tells the linker what kind of program this is.

fn main() {
    println!("cargo:rerun-if-changed=link.x");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        // Where .cargo/config.toml's `link.x` is to be found.
        println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    } else {
        // On a hosted target the C runtime would bring its own entry point. Of its library only memcpy and its like are
        // wanted, which bare targets get from the compiler.
        println!("cargo:rustc-link-arg-bins=-nostartfiles");
        println!("cargo:rustc-link-arg-bins=-lc");
    }
}
