//! Tells the linker that nothing of a hosted program comes along.
fn main() {
    // On a hosted target the C runtime would bring its own entry point. Of its library only memcpy and its like are
    // wanted, which bare targets get from the compiler.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        println!("cargo:rustc-link-arg-bins=-nostartfiles");
        println!("cargo:rustc-link-arg-bins=-lc");
    }
}
