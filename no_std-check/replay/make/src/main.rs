//! `make-trace TRACE [--micro]`: a node that is asked by strangers, among them some who mean no good, and asks a network in
//! which not everybody answers, for some hours of its own time. From one seed: the same trace each time.
//!
//! The trace is evidence only for what happens in it. So what happens is counted, printed, and must be enough of each.

mod chance;
mod counts;
mod network;
mod scene;
mod strangers;

use std::process::ExitCode;

use bep44_core::{Config, MicroMemory, Rate, Storage, TinyMemory};

use chance::Chance;
use scene::Scene;
use strangers::Strangers;

/// What happens, one thing after the other.
const STEPS: u32 = 3_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, micro) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => (path, false),
        [path, "--micro"] => (path, true),
        _ => {
            eprintln!("usage: make-trace TRACE [--micro]");
            return ExitCode::from(2);
        }
    };
    let storage: Storage<'static> = if micro {
        Box::leak(Box::new(MicroMemory::new())).into()
    } else {
        Box::leak(Box::new(TinyMemory::new())).into()
    };
    // Budgets that a burst of a few dozen queries exceeds, and of a few puts.
    let config = Config {
        queries: Rate { per_second: 2, burst: 30 },
        verifications: Rate { per_second: 1, burst: 4 },
        ..Config::new([0x44; 32])
    };
    let mut scene = Scene::new(storage, &config);
    let mut chance = Chance::new(44);
    let mut strangers = Strangers::new();
    scene.begin();
    for step in 0..STEPS {
        match chance.below(100) {
            0..62 => strangers.act(&mut scene, &mut chance),
            62..72 => strangers.send_garbage(&mut scene, &mut chance),
            _ => scene.command(&mut chance),
        }
        // Some seconds; and three times so long that what is stored expires.
        let pause = if step % 1_000 == 999 { 7_300_000 } else { u64::from(chance.below(3_000)) };
        scene.run_for(pause);
    }
    let (trace, counts) = scene.end();
    print!("{counts}");
    let missing = counts.missing(micro);
    for what in &missing {
        eprintln!("make-trace: not enough of {what}");
    }
    if !missing.is_empty() {
        return ExitCode::FAILURE;
    }
    match std::fs::write(path, trace) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make-trace: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
