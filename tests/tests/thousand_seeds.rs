//! A small network in which all goes wrong at once, from a thousand seeds. Whatever happens, tables keep their bounds, no
//! item gives way to an older version, every query ends, and nearly every read finds something.
//!
//! In a debug build fewer seeds are tried. `BEP44_SEEDS=FROM..TO` tries others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bep44::sim::{Scenario, Simulation};

/// The seeds to try.
fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("BEP44_SEEDS") else {
        return 0..if cfg!(debug_assertions) { 20 } else { 1_000 };
    };
    let bounds = range.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.expect("BEP44_SEEDS is FROM..TO")
}

#[test]
fn a_hostile_world_breaks_nothing() {
    let scenario = Scenario::named("hostile").unwrap();
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let reads = AtomicU64::new(0);
    let (found, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let report = Simulation::new(&Scenario { seed, ..scenario.clone() }).unwrap().run(|_| {});
            reads.fetch_add(report.found.reads, Ordering::Relaxed);
            found.fetch_add(report.found.newest + report.found.older, Ordering::Relaxed);
            missed.fetch_add(report.found.missed, Ordering::Relaxed);
            for violation in &report.violations {
                failures.lock().unwrap().push(format!("{violation}: bep44 sim --scenario hostile --seed {seed}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures; to see them again:\n{}", failures.len(), failures.join("\n"));
    let (reads, found, missed) = (reads.into_inner(), found.into_inner(), missed.into_inner());
    assert!(reads > 50 * (seeds.end - seeds.start), "nodes leave before they have read, but not that many: {reads}");
    assert!(found * 100 >= reads * 98, "{found} of {reads} reads found an item");
    assert!(missed * 100 <= reads, "{missed} of {reads} reads missed an item that was there");
    println!("{found} of {reads} reads found an item, {missed} missed one that was there");
}
