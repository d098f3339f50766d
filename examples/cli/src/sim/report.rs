//! The report of a simulation: a page with tables and plots, the same numbers for programs, and the scenario as a file, in
//! one directory.

use std::io;
use std::path::{Path, PathBuf};

use bep44::sim::{Distribution, Report};
use serde_json::json;

use super::chart::{Axis, Chart, Corner, Line};
use super::comparisons::comparisons;
use super::page::{Block, Page, Section};
use super::study::{Run, Studies};
use super::widths::Widths;
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
        y: Axis::new("answers that led to the farthest node").whole(),
        lines: vec![percentiles("read", &reads.hops), percentiles("put", &puts.hops)],
        names: Corner::TopLeft,
    };
    let asked = Chart {
        title: "Messages per lookup".to_owned(),
        x: percentile_axis(),
        y: Axis::new("nodes asked, one message to each"),
        lines: vec![percentiles("read", &reads.asked), percentiles("put, before it stores", &puts.asked)],
        names: Corner::TopLeft,
    };
    let blocks = vec![
        Block::Figure(
            times,
            "A read ends when the closest nodes have answered; an immutable one at the first value.".to_owned(),
        ),
        Block::Figure(hops, "0 for nodes that were known at the start.".to_owned()),
        Block::Figure(
            asked,
            "Each node counts once, however often it is asked. One that answers sends one message back; a put sends one more \
             to each of the 8 that are to store the item."
                .to_owned(),
        ),
        by_percentile(
            "Lookups in numbers",
            &[
                ("read, ms to the first value", &reads.first_value, 0),
                ("read, ms to its end", &reads.time, 0),
                ("put, ms to its end", &puts.time, 0),
                ("read, hops", &reads.hops, 0),
                ("put, hops", &puts.hops, 0),
                ("read, nodes asked", &reads.asked, 0),
                ("put, nodes asked", &puts.asked, 0),
            ],
        ),
    ];
    Section { title: "Lookups", blocks }
}

/// Some percentiles of each of several distributions, with so many digits after the point.
fn by_percentile(what: &'static str, rows: &[(&str, &Distribution, usize)]) -> Block {
    let row = |(name, values, digits): &(&str, &Distribution, usize)| {
        let percentiles = [0, 10, 50, 90, 99, 100].map(|percent| values.percentile(percent));
        let shown = percentiles.iter().map(|value| format!("{value:.digits$}"));
        let mean = format!("{:.1}", values.mean);
        [(*name).to_owned()].into_iter().chain(shown).chain([mean]).collect()
    };
    Block::Table(vec![what, "least", "10 %", "median", "90 %", "99 %", "most", "mean"], rows.iter().map(row).collect())
}

/// A network whose items are watched for less than this shows no course of anything.
const COURSE: f64 = 30.0 * 60.0;

fn items(report: &Report) -> Section {
    let mut blocks = Vec::new();
    let stores = report.stores;
    let mut rows = vec![row(
        "In the stores",
        format!(
            "{} copies taken in, {} dropped because nobody announced the item again in time, {} because the node had no room for more",
            stores.stored, stores.expired, stores.evicted
        ),
    )];
    let span = report.copies.last().map_or(0.0, |last| last.at);
    if span >= COURSE {
        blocks.extend([copies(report), found(report)]);
    } else if let Some(last) = report.copies.last() {
        rows.push(row(
            "Copies of an item",
            format!(
                "{:.3} on average {span:.0} s after the first read; one item in ten has fewer than {}, none fewer than {}",
                last.mean, last.tenth, last.least
            ),
        ));
    }
    blocks.push(Block::Rows(rows));
    let reached = report.reach.puts_by_nodes;
    let rows =
        reached.iter().enumerate().rev().map(|(nodes, puts)| vec![format!("{nodes} of 8"), puts.to_string()]).collect();
    blocks.push(Block::Table(vec!["Of the 8 nodes truly closest, accepted", "puts"], rows));
    Section { title: "Items", blocks }
}

fn hours(seconds: f64) -> f64 {
    seconds / 3_600.0
}

fn copies(report: &Report) -> Block {
    let line = |name: &str, of: fn(&bep44::sim::CopiesAt) -> f64| {
        Line::new(name, report.copies.iter().map(|copies| (hours(copies.at), of(copies))))
    };
    let chart = Chart {
        title: "Copies of an item".to_owned(),
        x: Axis::new("hours since all items had been put"),
        y: Axis::new("nodes that hold it").whole(),
        lines: vec![
            line("mean", |copies| copies.mean),
            line("one item in ten has fewer than", |copies| copies.tenth.into()),
            line("fewest", |copies| copies.least.into()),
        ],
        names: Corner::BottomRight,
    };
    Block::Figure(chart, "Counted at all nodes at once, as nobody in a real network can.".to_owned())
}

fn found(report: &Report) -> Block {
    let parts = report.found_over_time.iter().filter(|part| part.found.reads > 0);
    let line = || Line::new("found", parts.clone().map(|part| (hours(part.at), 100.0 * part.found.share())));
    let chart = Chart {
        title: "Items found".to_owned(),
        x: Axis::new("hours since all items had been put"),
        y: percent_axis("reads that found the item, in percent", [line()]),
        lines: vec![line()],
        names: Corner::BottomLeft,
    };
    Block::Figure(chart, "Each point stands for the reads of a twenty-fourth of the time.".to_owned())
}

/// Percents, from 90 to 100 if all of the lines are there, and otherwise from the next ten below.
pub(super) fn percent_axis(label: &'static str, lines: impl IntoIterator<Item = Line>) -> Axis {
    let least = lines.into_iter().flat_map(|line| line.points).map(|point| point.1).fold(90.0, f64::min);
    Axis::new(label).between((least / 10.0).floor() * 10.0, 100.1)
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
    let blocks = vec![
        Block::Figure(chart, note.to_owned()),
        by_percentile("Load in numbers", &[("packets taken in, a minute", &report.load, 0)]),
    ];
    Section { title: "Load", blocks }
}
