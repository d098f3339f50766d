//! Every input that the fuzzer has kept, and every one that it has found something with, without the fuzzer: see
//! `tests/fuzz/README.md`.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use bep44_tests::fuzz::TARGETS;

/// Octets that the inputs may take in the repository.
const LARGEST_CORPUS: u64 = 300_000;

/// The inputs of a target in one of its folders, in the order of their names.
fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    inputs.sort();
    inputs
}

/// Runs a target on all its inputs.
fn replay(name: &str) {
    let (_, body) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target");
    let (kept, found) = (inputs("corpus", name), inputs("findings", name));
    assert!(kept.len() >= 10, "{} inputs are kept of {name}", kept.len());
    // The empty input makes the first of every choice.
    body(b"");
    for path in kept.iter().chain(&found) {
        let octets = fs::read(path).expect("a readable input");
        assert!(catch_unwind(|| body(&octets)).is_ok(), "{} does not pass", path.display());
    }
}

#[test]
fn inputs_of_datagram() {
    replay("datagram");
}

#[test]
fn inputs_of_differential() {
    replay("differential");
}

#[test]
fn inputs_of_operations() {
    replay("operations");
}

#[test]
fn inputs_of_pair() {
    replay("pair");
}

#[test]
fn the_inputs_stay_small() {
    let all = TARGETS.iter().flat_map(|(name, _)| [inputs("corpus", name), inputs("findings", name)].concat());
    let octets: u64 = all.map(|path| fs::metadata(path).expect("a file").len()).sum();
    assert!(octets <= LARGEST_CORPUS, "{octets} octets: minimise with tests/fuzz/run");
}
