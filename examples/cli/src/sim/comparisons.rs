//! What a report says of networks that differ in one thing: charts and tables.

use bep44::sim::Report;

use super::chart::{Axis, Chart, Corner, Line};
use super::page::{Block, Section};
use super::report::percent_axis;
use super::study::{Run, Studies};
use super::widths;

pub(super) fn comparisons(studies: &Studies) -> Vec<Section> {
    let mut sections = Vec::new();
    if !studies.loss.is_empty() {
        let found = Chart {
            title: "Success by loss".to_owned(),
            x: Axis::new("packets lost, in percent"),
            y: percent_axis("percent", lines_of(&studies.loss)),
            lines: lines_of(&studies.loss),
            names: Corner::BottomLeft,
        };
        let note = "A thousand nodes; a question that is late is asked again, and a put as well.".to_owned();
        sections.push(Section {
            title: "Loss",
            blocks: vec![Block::Figure(found, note), table("Packets lost", &studies.loss)],
        });
    }
    if !studies.churn.is_empty() {
        let found = Chart {
            title: "Success by churn".to_owned(),
            x: Axis::new("median session, in minutes").logarithmic(),
            y: percent_axis("percent", lines_of(&studies.churn)),
            lines: lines_of(&studies.churn),
            names: Corner::BottomRight,
        };
        let note = "A thousand nodes; items are read for an hour, and nobody announces them again. In mainline the median \
                    session is 200 minutes.";
        let blocks = vec![Block::Figure(found, note.to_owned()), table("Median session", &studies.churn)];
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
            x: Axis::new("hours since all items had been put").between(0.0, 24.0),
            y: Axis::new(label),
            lines,
            names: Corner::BottomRight,
        };
        let found = studies.day.iter().map(|run| {
            let parts = run.report.found_over_time.iter().filter(|part| part.found.reads > 0);
            Line::new(run.name.clone(), parts.map(|part| (part.at / 3_600.0, 100.0 * part.found.share())))
        });
        let found = chart("Items found over a day", "reads that found the item, in percent", found.collect());
        let alive = chart("Items that somebody holds", "share of items", line(|copies| copies.alive));
        let copies = chart("Copies of an item over a day", "nodes that hold it, mean", line(|copies| copies.mean));
        let note = "A thousand nodes that come and go as in mainline. A node drops an item two hours after it was put.";
        let blocks = vec![
            Block::Figure(copies, note.to_owned()),
            Block::Figure(found, "Each point stands for the reads of an hour.".to_owned()),
            Block::Figure(alive, "Counted at all nodes at once.".to_owned()),
            table("Items", &studies.day),
        ];
        sections.push(Section { title: "A day", blocks });
    }
    sections
}

/// How well networks did, by what differs between them.
fn lines_of(runs: &[Run]) -> Vec<Line> {
    let line = |name: &str, of: fn(&Report) -> f64| {
        Line::new(name, runs.iter().map(|run| (run.value, 100.0 * of(&run.report))))
    };
    vec![
        line("reads that found the item", |report| report.found.share()),
        line("of the 8 nodes closest to an item, those that accepted it", |report| report.reach.mean / 8.0),
    ]
}

/// What differs between networks, in numbers.
fn table(what: &'static str, runs: &[Run]) -> Block {
    let heads = vec![
        what,
        "found, %",
        "reads that missed",
        "of the 8 closest, accepted",
        "ms to the first value",
        "of 99 in 100",
        "ms of a put",
        "of 99 in 100",
        "nodes asked",
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
