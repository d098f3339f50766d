//! What was seen: failures, and the tables that are printed at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::peer::Kind;

/// A part of a step.
pub(crate) type Job<'a> = Box<dyn FnOnce(&mut Report) + Send + 'a>;

#[derive(Default)]
pub(crate) struct Report {
    failures: Vec<String>,
    checks: usize,
    /// Rows in the order in which they were first seen.
    rows: Vec<(String, Cells)>,
    tables: Vec<String>,
    speeds: Vec<(Kind, bool, Vec<String>)>,
}

/// What is done with one kind of theirs: by whom, and among whom.
#[derive(Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) kind: Kind,
    pub(crate) way: Way,
    /// Whose nodes store.
    pub(crate) storage: Kind,
}

/// Who writes and who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    TheyWrite,
    WeWrite,
    Turns,
}

/// What was seen in each lane of a row.
type Cells = BTreeMap<(Kind, Way, Kind), BTreeSet<String>>;

impl Report {
    /// Notes a failure unless `seen` is `expected`.
    pub(crate) fn expect<T: PartialEq + Debug>(&mut self, what: &str, seen: &T, expected: &T) -> bool {
        let good = seen == expected;
        self.check(what, good, &format!("{seen:?} instead of {expected:?}"));
        good
    }

    pub(crate) fn check(&mut self, what: &str, good: bool, seen: &str) {
        self.checks += 1;
        if !good {
            println!("  FAILED {what}: {seen}");
            self.failures.push(format!("{what}: {seen}"));
        }
    }

    /// As `expect`; what was expected stands in the table as `cell`.
    pub(crate) fn row<T: PartialEq + Debug>(&mut self, lane: Lane, row: &str, seen: &T, expected: &T, cell: &str) {
        let what = format!("{} and us, {} store, {:?}: {row}", lane.kind.name(), lane.storage.name(), lane.way);
        let cell = if self.expect(&what, seen, expected) { cell } else { "FAILED" };
        self.cell(row, (lane.kind, lane.way, lane.storage), cell);
    }

    /// Runs `jobs` at the same time, and takes in what each has seen, in this order.
    pub(crate) fn together(&mut self, jobs: Vec<Job<'_>>) {
        let reports: Vec<Self> = std::thread::scope(|scope| {
            let run = |job: Job<'_>| {
                let mut report = Self::default();
                if catch_unwind(AssertUnwindSafe(|| job(&mut report))).is_err() {
                    report.broken("a part of it");
                }
                report
            };
            let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || run(job))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for report in reports {
            self.checks += report.checks;
            self.failures.extend(report.failures);
            self.tables.extend(report.tables);
            self.speeds.extend(report.speeds);
            for (row, cells) in report.rows {
                for (lane, texts) in cells {
                    texts.iter().for_each(|text| self.cell(&row, lane, text));
                }
            }
        }
    }

    fn cell(&mut self, row: &str, lane: (Kind, Way, Kind), cell: &str) {
        let at = self.rows.iter().position(|(known, _)| known == row).unwrap_or_else(|| {
            self.rows.push((row.to_owned(), BTreeMap::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(lane).or_default().insert(cell.to_owned());
    }

    /// Keeps a table for the end.
    pub(crate) fn table(&mut self, title: &str, head: &[String], rows: &[Vec<String>]) {
        let mut table = format!("### {title}\n\n");
        let mut line = |cells: &[String]| writeln!(table, "| {} |", cells.join(" | ")).unwrap();
        line(head);
        line(&vec!["---".to_owned(); head.len()]);
        rows.iter().for_each(|row| line(row));
        self.tables.push(table);
    }

    /// Keeps a line of measurements: warm put and get, one-shot put and get.
    pub(crate) fn speeds(&mut self, kind: Kind, some_are_dead: bool, cells: Vec<String>) {
        self.speeds.push((kind, some_are_dead, cells));
    }

    pub(crate) fn table_of_speeds(&mut self, nodes: usize) {
        let what = ["warm put", "warm get", "one-shot put", "one-shot get"];
        let head: Vec<_> = [""].into_iter().chain(what).map(str::to_owned).collect();
        let rows: Vec<_> = std::mem::take(&mut self.speeds)
            .into_iter()
            .map(|(kind, some_are_dead, cells)| {
                let told = if some_are_dead { ", a quarter of the addresses dead" } else { "" };
                std::iter::once(format!("{}{told}", kind.name())).chain(cells).collect()
            })
            .collect();
        let build = if cfg!(debug_assertions) { ", ours built without optimisation" } else { "" };
        self.table(
            &format!(
                "Immutable items, {nodes} nodes of ours{build}: medians in ms (on how many at least it is stored)"
            ),
            &head,
            &rows,
        );
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// A step could not go on.
    pub(crate) fn broken(&mut self, step: &str) {
        self.failures.push(format!("{step}: broken off"));
    }

    /// Keeps the table of what was seen in the ways `ways`, those that the rows have in common.
    pub(crate) fn table_of_lanes(&mut self, title: &str, ways: &[(Way, &str)]) {
        let columns: Vec<_> =
            Kind::THEIRS.into_iter().flat_map(|kind| ways.iter().map(move |way| (kind, *way))).collect();
        let names = columns.iter().map(|(kind, (_, name))| format!("{}{name}", kind.name()));
        let head: Vec<_> = std::iter::once(String::new()).chain(names).collect();
        let has_any = |cells: &Cells| cells.keys().any(|(_, way, _)| ways.iter().any(|(wanted, _)| wanted == way));
        let rows: Vec<Vec<_>> = self
            .rows
            .iter()
            .filter(|(_, cells)| has_any(cells))
            .map(|(row, cells)| {
                let cell = |(kind, (way, _)): &(Kind, (Way, &str))| both(cells, *kind, *way);
                std::iter::once(row.clone()).chain(columns.iter().map(cell)).collect()
            })
            .collect();
        self.table(title, &head, &rows);
    }

    /// Prints the tables.
    pub(crate) fn show(&self) {
        for table in &self.tables {
            println!("\n{table}");
        }
        println!("{} checks, {} failures", self.checks, self.failures.len());
        for failure in &self.failures {
            println!("  FAILED {failure}");
        }
    }
}

/// What was seen among theirs and among ours: one text, if it is the same.
fn both(cells: &Cells, kind: Kind, way: Way) -> String {
    let among = |storage| {
        let texts = cells.get(&(kind, way, storage))?;
        Some(texts.iter().map(String::as_str).collect::<Vec<_>>().join(" or "))
    };
    match (among(kind), among(Kind::Ours)) {
        (Some(theirs), Some(ours)) if theirs == ours => ours,
        (Some(theirs), Some(ours)) => format!("theirs: {theirs}; ours: {ours}"),
        (Some(one), None) => format!("theirs: {one}"),
        (None, Some(one)) => format!("ours: {one}"),
        (None, None) => "-".to_owned(),
    }
}

pub(crate) fn median(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied()
}

pub(crate) fn milliseconds(time: Option<Duration>) -> String {
    match time.map(|time| time.as_secs_f64() * 1_000.0) {
        None => "-".to_owned(),
        Some(time) if time < 10.0 => format!("{time:.1}"),
        Some(time) => format!("{time:.0}"),
    }
}
