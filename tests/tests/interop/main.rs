//! Our nodes and those of other implementations in the same networks, over real sockets on loopback: see
//! `tests/interop/README.md`.
//!
//! A program of its own rather than functions for the test harness: its steps share two cores and one table, so they run
//! one after the other, in this order. Words on the command line select the steps whose names contain one of them.

mod big;
mod network;
mod node;
mod pairs;
mod peer;
mod report;
mod speeds;
mod traces;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use report::Report;

type Step = (&'static str, fn(&mut Report));

const STEPS: [Step; 4] = [
    ("pairs", pairs::all),
    ("speeds", speeds::measured),
    ("everybody", big::everybody_finds_everything),
    ("traces", traces::of_each_driver),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    // What is left of the options of the usual harness: the number in `--test-threads 1` selects nothing.
    let words: Vec<_> = words.iter().filter(|word| word.parse::<u32>().is_err()).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    if std::env::args().any(|word| word == "--list") {
        STEPS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let (mut report, begun) = (Report::default(), Instant::now());
    for (name, step) in STEPS.into_iter().filter(|(name, _)| chosen(name)) {
        let (begun, failures) = (Instant::now(), report.failures().len());
        println!("{name}");
        if catch_unwind(AssertUnwindSafe(|| step(&mut report))).is_err() {
            report.broken(name);
        }
        let good = if report.failures().len() == failures { "ok" } else { "FAILED" };
        println!("{name}: {good} after {:.1} s", begun.elapsed().as_secs_f64());
    }
    report.show();
    println!("took {:.0} s", begun.elapsed().as_secs_f64());
    if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
