//! The bodies of the fuzz targets: each takes any octets and panics if the core breaks a promise. libFuzzer calls them
//! (`tests/fuzz`), and so does a plain test with every input that is kept (`tests/tests/fuzz_corpus.rs`).

mod choices;
mod datagram;
mod differential;
mod operations;
mod pair;
mod signed;
mod watch;

pub use datagram::datagram;
pub use differential::differential;
pub use operations::operations;
pub use pair::pair;

/// A target: its name, which is that of its folders, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 4] =
    [("datagram", datagram), ("differential", differential), ("operations", operations), ("pair", pair)];
