//! The report of a simulation: a page with tables and plots, the same numbers for programs, and the scenario as a file, in
//! one directory.

use std::io;
use std::path::{Path, PathBuf};

use bep44::sim::{Distribution, Report};
use serde_json::json;

use super::chart::{Axis, Chart, Corner, Line};
use super::page::{Block, Page, Section};
use super::study::{Run, Studies};
use super::widths::{self, Widths};
use crate::failure::Failure;

/// Makes the directory of a report.
pub(super) fn prepare(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))
}

/// Writes the report and returns the path of its page.
pub(super) fn write(directory: &Path, report: &Report, studies: &Studies) -> Result<PathBuf, Failure> {
    let page = directory.join("index.html");
    write_all(directory, &page, report, studies).map_err(|error| cannot_write(directory, &error))?;
    Ok(page)
}

fn cannot_write(directory: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot write the report to {}: {error}", directory.display()))
}

fn write_all(directory: &Path, page: &Path, report: &Report, studies: &Studies) -> io::Result<()> {
    let compared = |runs: &[Run]| -> Vec<_> {
        runs.iter().map(|run| json!({ "name": run.name, "value": run.value, "report": run.report })).collect()
    };
    let networks = |widths: &Widths| json!({ "network": widths.network, "runs": compared(&widths.runs) });
    let all = json!({
        "report": report,
        "by_loss": compared(&studies.loss),
        "by_churn": compared(&studies.churn),
        "by_parallelism": studies.parallelism.iter().map(networks).collect::<Vec<_>>(),
        "days": compared(&studies.day),
    });
    std::fs::write(directory.join("report.json"), format!("{all:#}\n"))?;
    std::fs::write(directory.join("scenario.toml"), report.scenario.to_toml())?;
    std::fs::write(page, compose(report, studies).render())
}

fn compose(report: &Report, studies: &Studies) -> Page {
    let scenario = &report.scenario;
    let mut sections = vec![overview(report), lookups(report), items(report), load(report)];
    sections.extend(comparisons(studies));
    let listing = Block::Listing(scenario.to_toml());
    sections.push(Section { title: "The scenario", blocks: vec![listing] });
    Page {
        title: format!("A simulated DHT of {} nodes", scenario.nodes),
        lead: format!(
            "Virtual time, seed {}. The same scenario with the same seed gives this page again, octet for octet: \
             bep44 sim --scenario scenario.toml --report DIRECTORY",
            scenario.seed
        ),
        warnings: report.violations.iter().map(|violation| format!("Broken: {violation}")).collect(),
        sections,
    }
}

pub(super) fn row(label: &str, value: impl Into<String>) -> (String, String) {
    (label.to_owned(), value.into())
}

fn overview(report: &Report) -> Section {
    let packets = &report.packets;
    let found = &report.found;
    let rows = vec![
        row("Items found", format!("{:.3} % of {} reads", 100.0 * found.share(), found.reads)),
        row(
            "Of the reads",
            format!(
                "{} found the newest version, {} an older one, {} missed an item that could be reached, {} came when nobody had it",
                found.newest, found.older, found.missed, found.gone
            ),
        ),
        row(
            "Puts",
            format!(
                "{}; of the 8 nodes truly closest, {:.3} accepted on average",
                report.reach.puts, report.reach.mean
            ),
        ),
        row(
            "First value",
            format!(
                "{:.0} ms at the median: {:.2} round trips of the median pair of nodes ({:.0} ms)",
                report.reads.first_value.percentile(50),
                report.first_value_in_round_trips,
                report.round_trip
            ),
        ),
        row(
            "Beyond the last hop",
            format!(
                "{:.2} round trips of the median pair, at the median: what the first value took longer than the round trip \
                 between the reader and the nearest of those that held the item ({:.0} ms at the median), which no read can \
                 do without",
                report.beyond_last_hop_in_round_trips,
                report.last_hop.percentile(50)
            ),
        ),
        row(
            "Nodes",
            format!(
                "{} in all, {} left; at the end {} were behind a translator of addresses and {} misbehaved",
                report.population.began, report.population.left, report.population.behind_nat, report.population.rogues
            ),
        ),
        row(
            "Packets",
            format!(
                "{} sent, {} taken in, {} doubled; {} lost, {} one-way, {} across a partition, {} stopped by a translator, {} to nobody",
                packets.sent,
                packets.arrived,
                packets.doubled,
                packets.lost,
                packets.one_way,
                packets.partition,
                packets.nat,
                packets.to_nobody
            ),
        ),
    ];
    Section { title: "Results", blocks: vec![Block::Rows(rows)] }
}

/// A line through all percentiles.
fn percentiles(name: &str, distribution: &Distribution) -> Line {
    Line::new(name, (0_u32..).map(f64::from).zip(distribution.percentiles.iter().copied()))
}

fn percentile_axis() -> Axis {
    Axis::new("percentile").between(0.0, 100.0)
}

fn lookups(report: &Report) -> Section {
    let (puts, reads) = (&report.puts, &report.reads);
    let level = Line::level("two round trips of the median pair", 2.0 * report.round_trip, 0.0, 100.0);
    let times = Chart {
        title: "Time of lookups".to_owned(),
        x: percentile_axis(),
        y: Axis::new("milliseconds").logarithmic(),
        lines: vec![
            percentiles("read, the last hop alone", &report.last_hop),
            percentiles("read, to the first value", &reads.first_value),
            percentiles("read, to its end", &reads.time),
            percentiles("put, to its end", &puts.time),
            level,
        ],
        names: Corner::BottomRight,
    };
    let hops = Chart {
        title: "Hops of lookups".to_owned(),
        x: percentile_axis(),
        y: Axis::new("answers that led to the farthest node"),
        lines: vec![percentiles("read", &reads.hops), percentiles("put", &puts.hops)],
        names: Corner::TopLeft,
    };
    let asked = Chart {
        title: "Messages of lookups".to_owned(),
        x: percentile_axis(),
        y: Axis::new("nodes asked"),
        lines: vec![percentiles("read", &reads.asked), percentiles("put, without storing", &puts.asked)],
        names: Corner::TopLeft,
    };
    let blocks = vec![
        Block::Figure(
            times,
            "A read ends when the closest nodes have answered; an immutable one at the first value.".to_owned(),
        ),
        Block::Figure(hops, "0 for nodes that were known at the start.".to_owned()),
        Block::Figure(asked, "Each counts once, however often it is asked.".to_owned()),
    ];
    Section { title: "Lookups", blocks }
}

fn items(report: &Report) -> Section {
    let hours = |seconds: f64| seconds / 3_600.0;
    let copies = |name: &str, of: fn(&bep44::sim::CopiesAt) -> f64| {
        Line::new(name, report.copies.iter().map(|copies| (hours(copies.at), of(copies))))
    };
    let chart = Chart {
        title: "Copies of an item".to_owned(),
        x: Axis::new("hours since the last item was put"),
        y: Axis::new("nodes that hold it"),
        lines: vec![
            copies("mean", |copies| copies.mean),
            copies("one item in ten has fewer than", |copies| copies.tenth.into()),
            copies("fewest", |copies| copies.least.into()),
        ],
        names: Corner::BottomLeft,
    };
    let reached = report.reach.puts_by_nodes;
    let rows =
        reached.iter().enumerate().rev().map(|(nodes, puts)| vec![format!("{nodes} of 8"), puts.to_string()]).collect();
    let blocks = vec![
        Block::Figure(chart, "Counted at all nodes at once, as nobody in a real network can.".to_owned()),
        Block::Table(vec!["Of the truly closest, accepted", "puts"], rows),
    ];
    Section { title: "Items", blocks }
}

fn load(report: &Report) -> Section {
    let chart = Chart {
        title: "Load of nodes".to_owned(),
        x: percentile_axis(),
        y: Axis::new("packets taken in, a minute").logarithmic(),
        lines: vec![percentiles("nodes", &report.load)],
        names: Corner::TopLeft,
    };
    let note = "From the node with the fewest to the one with the most, over the time that each was there.";
    Section { title: "Load", blocks: vec![Block::Figure(chart, note.to_owned())] }
}

fn comparisons(studies: &Studies) -> Vec<Section> {
    let mut sections = Vec::new();
    let percent = |run: &Run| (run.value, 100.0 * run.report.found.share());
    if !studies.loss.is_empty() {
        let found = Chart {
            title: "Success by loss".to_owned(),
            x: Axis::new("packets lost, in percent"),
            y: Axis::new("reads that found the item, in percent").between(90.0, 100.1),
            lines: vec![Line::new("found", studies.loss.iter().map(percent))],
            names: Corner::BottomLeft,
        };
        let note = "A thousand nodes; a question that is late is asked again, and a put as well.".to_owned();
        sections
            .push(Section { title: "Loss", blocks: vec![Block::Figure(found, note), table("Loss", &studies.loss)] });
    }
    if !studies.churn.is_empty() {
        let found = Chart {
            title: "Success by churn".to_owned(),
            x: Axis::new("median session, in minutes").logarithmic(),
            y: Axis::new("reads that found the item, in percent").between(90.0, 100.1),
            lines: vec![Line::new("found", studies.churn.iter().map(percent))],
            names: Corner::BottomRight,
        };
        let note = "A thousand nodes; items are read for an hour, and nobody announces them again. In mainline the median \
                    session is 200 minutes.";
        let blocks = vec![Block::Figure(found, note.to_owned()), table("Churn", &studies.churn)];
        sections.push(Section { title: "Churn", blocks });
    }
    sections.extend(widths::section(&studies.parallelism));
    if !studies.day.is_empty() {
        let line = |of: fn(&bep44::sim::CopiesAt) -> f64| {
            let lines = studies.day.iter().map(move |run| {
                Line::new(
                    run.name.clone(),
                    run.report.copies.iter().map(move |copies| (copies.at / 3_600.0, of(copies))),
                )
            });
            lines.collect::<Vec<_>>()
        };
        let chart = |title: &str, label, lines| Chart {
            title: title.to_owned(),
            x: Axis::new("hours since the last item was put").between(0.0, 24.0),
            y: Axis::new(label),
            lines,
            names: Corner::BottomRight,
        };
        let alive = chart("Items that somebody holds", "share of items", line(|copies| copies.alive));
        let copies = chart("Copies of an item over a day", "nodes that hold it, mean", line(|copies| copies.mean));
        let note = "A thousand nodes that come and go as in mainline. A node drops an item two hours after it was put.";
        let blocks = vec![
            Block::Figure(copies, note.to_owned()),
            Block::Figure(alive, String::new()),
            table("Items", &studies.day),
        ];
        sections.push(Section { title: "A day", blocks });
    }
    sections
}

/// What differs between networks, in numbers.
fn table(what: &'static str, runs: &[Run]) -> Block {
    let heads = vec![
        what,
        "found, %",
        "missed",
        "of 8 closest",
        "first value, ms: median",
        "99 in 100",
        "put, ms: median",
        "99 in 100",
        "asked",
    ];
    let line = |run: &Run| {
        let report = &run.report;
        vec![
            run.name.clone(),
            format!("{:.3}", 100.0 * report.found.share()),
            report.found.missed.to_string(),
            format!("{:.3}", report.reach.mean),
            format!("{:.0}", report.reads.first_value.percentile(50)),
            format!("{:.0}", report.reads.first_value.percentile(99)),
            format!("{:.0}", report.puts.time.percentile(50)),
            format!("{:.0}", report.puts.time.percentile(99)),
            format!("{:.1}", report.reads.asked.mean),
        ]
    };
    Block::Table(heads, runs.iter().map(line).collect())
}
