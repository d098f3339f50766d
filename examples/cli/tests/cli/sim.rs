//! `sim`: what it prints, what it writes, and that the same seed gives the same octets.

use crate::network::run;
use serde_json::{Value, json};

const SMALL: [&str; 9] = ["sim", "--nodes", "60", "--items", "20", "--reads", "40", "--seed", "7"];

#[test]
fn the_same_seed_gives_the_same_report() {
    let directory = tempfile::tempdir().unwrap();
    let report = |name: &str, threads: &str| {
        let path = directory.path().join(name);
        let path = path.to_str().unwrap();
        let shown =
            run(&[&SMALL[..], &["--threads", threads, "--report", path, "--studies", "none", "--json"]].concat());
        assert_eq!(shown.status, Some(0), "{shown:?}");
        let files = ["index.html", "report.json", "scenario.toml"];
        let files = files.map(|file| std::fs::read_to_string(format!("{path}/{file}")).unwrap());
        (shown.object(), files)
    };
    let (summary, files) = report("one", "1");
    assert_eq!(report("two", "2"), (summary.clone(), files.clone()));
    assert_eq!(summary["found"], json!({ "reads": 40, "newest": 40, "older": 0, "missed": 0, "gone": 0 }));
    assert_eq!((&summary["nodes"], &summary["seed"]), (&json!(60), &json!(7)));

    let [page, numbers, scenario] = files;
    for text in ["<!DOCTYPE html>", "Time of lookups", "Copies of an item", "Load of nodes", "Hops of lookups", "<svg"]
    {
        assert!(page.contains(text), "{text}");
    }
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    assert_eq!(numbers["report"]["found"], summary["found"]);

    // The scenario of a report is a scenario.
    let again = directory.path().join("again.toml");
    std::fs::write(&again, scenario).unwrap();
    let shown = run(&["sim", "--scenario", again.to_str().unwrap(), "--json"]);
    assert_eq!(shown.object(), summary);
}

#[test]
fn people_read_a_summary_and_programs_nothing_else() {
    let shown = run(&SMALL);
    assert_eq!(shown.status, Some(0), "{shown:?}");
    for text in ["60 nodes, seed 7, 5 % of packets lost", "40 reads", "100.000 %", "round trips of the median pair"] {
        assert!(shown.stdout.contains(text), "{text} in {shown:?}");
    }
    assert!(shown.stderr.contains("events"), "what it cost is not part of the result");
}

#[test]
fn what_does_not_hold_is_told_with_the_command_that_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("strict.toml");
    std::fs::write(&file, "nodes = 40\nstable = 5\n[tables]\ncontacts = 40\ntransactions = 8\nqueries = 1\nitems = 1\nvalues = 300\n[workload]\nitems = 40\nreads = 40\n[checks]\nfound = 1.0\n").unwrap();
    let file = file.to_str().unwrap();
    let shown = run(&["sim", "--scenario", file, "--loss", "0.1", "--json"]);
    assert_eq!(shown.status, Some(1), "{shown:?}");
    let command = format!("bep44 sim --scenario {file} --seed 1 --loss 0.1");
    assert!(shown.stderr.contains(&command), "{shown:?}");
    assert!(shown.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn what_cannot_be_simulated_is_refused_in_one_line() {
    run(&["sim", "--loss", "1.5"]).is_usage(&["network.loss is 1.5", "from 0 to 1"]);
    run(&["sim", "--scenario", "friendly"]).is_usage(&["friendly", "lossy, hostile"]);
    run(&["sim", "--nodes", "1"]).is_usage(&["nodes is 1"]);
    run(&["sim", "--churn", "often"]).is_usage(&["often", "mainline"]);
    run(&["sim", "--report", "/proc/nowhere", "--nodes", "20", "--items", "1", "--reads", "1", "--studies", "none"])
        .is_usage(&["/proc/nowhere"]);
}
