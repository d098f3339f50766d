//! What a report says of the width of lookups: in each of some networks, how many questions are in flight at once as long as
//! answers lead nearer, and how many after that, are changed apart from each other.

use std::time::Duration;

use bep44::sim::{Churn, Report, Scenario, Tables, Width};

use super::chart::{Axis, Chart, Corner, Line};
use super::page::{Block, Section};
use super::report::row;
use super::study::{Planned, Run, Which};

/// The default, from which only one of both is changed.
const USUAL: Width = Width { narrow: 4, wide: 8 };

/// Questions at once as long as answers lead nearer.
const NARROW: [u8; 7] = [1, 2, 3, 4, 6, 8, 12];

/// Questions at once after that.
const WIDE: [u8; 6] = [4, 6, 8, 12, 16, 20];

/// One network with lookups of each width.
#[derive(Debug)]
pub(super) struct Widths {
    pub(super) network: &'static str,
    pub(super) runs: Vec<Run>,
}

/// The networks, and in each of them what is simulated.
pub(super) fn plan(base: &Scenario, which: Which) -> Vec<(&'static str, Vec<Planned>)> {
    let lossy = |nodes: u32, loss: f64| {
        let mut scenario = Scenario { nodes, ..base.clone() };
        scenario.network.loss = loss;
        scenario
    };
    let mut mainline = lossy(base.nodes, 0.02);
    mainline.network.nat = 0.2;
    mainline.churn = Churn::Mainline;
    // Until nobody takes those for reachable who only have just spoken.
    mainline.join.settle = Duration::from_secs(20 * 60);
    let mut networks = match which {
        Which::None => Vec::new(),
        Which::Short | Which::All => vec![
            ("1,000 nodes", lossy(base.nodes, 0.0)),
            ("1,000 nodes, 5 % of packets lost", lossy(base.nodes, 0.05)),
            (
                "1,000 nodes as in mainline: they come and go, a fifth is behind translators, 2 % of packets lost",
                mainline,
            ),
        ],
    };
    if which == Which::All {
        networks.push(("10,000 nodes", lossy(10_000, 0.0)));
        networks.push(("10,000 nodes, 5 % of packets lost", lossy(10_000, 0.05)));
    }
    networks.into_iter().map(|(network, scenario)| (network, each_width(&scenario))).collect()
}

fn each_width(scenario: &Scenario) -> Vec<Planned> {
    let narrow = NARROW.map(|narrow| Width { narrow, wide: USUAL.wide.max(narrow) });
    let wide = WIDE.map(|wide| Width { wide, ..USUAL }).into_iter().filter(|width| *width != USUAL);
    let with = |width: Width| {
        let capacity = scenario.capacity();
        // A small table would be what limits them.
        let tables = Tables {
            contacts: capacity.contacts,
            transactions: 64,
            queries: capacity.queries,
            items: capacity.items,
            values: capacity.values,
        };
        let scenario = Scenario { parallelism: width, tables: Some(tables), ..scenario.clone() };
        (name(width), width.narrow.into(), scenario)
    };
    narrow.into_iter().chain(wide).map(with).collect()
}

fn name(width: Width) -> String {
    format!("{}, {}", width.narrow, width.wide)
}

/// The section of the page; none if nothing was compared.
pub(super) fn section(networks: &[Widths]) -> Option<Section> {
    let first = networks.first()?;
    let mut blocks = Vec::new();
    for network in networks {
        let of = |title: &str, chosen: fn(Width) -> Option<u8>, axis| {
            let title = format!("Time by {title}: {}", network.network);
            Block::Figure(times(title, axis, &points(network, chosen)), String::new())
        };
        blocks.push(of("first width", as_narrow, NARROW_AXIS));
        blocks.push(of("second width", as_wide, WIDE_AXIS));
        blocks.push(table(network));
    }
    let note = "Each node counts once, however often it is asked.";
    blocks.push(Block::Figure(asked("first", networks, as_narrow, NARROW_AXIS), note.to_owned()));
    blocks.push(Block::Figure(asked("second", networks, as_wide, WIDE_AXIS), note.to_owned()));
    let usual = first.runs.iter().find(|run| run.report.scenario.parallelism == Width::default());
    let explained = "questions in flight at once: the first as long as answers lead nearer to the target, the second from \
                     an answer on that named nobody nearer";
    let rows = vec![row("A width", explained), row("The default", usual.map_or("", |run| run.name.as_str()))];
    blocks.insert(0, Block::Rows(rows));
    Some(Section { title: "Parallelism", blocks })
}

const NARROW_AXIS: &str = "questions at once as long as answers lead nearer; 8 after that, or as many";
const WIDE_AXIS: &str = "questions at once after an answer that led no nearer; 4 before that";

/// The first width of those where only that is not the usual.
fn as_narrow(width: Width) -> Option<u8> {
    (width.wide == USUAL.wide.max(width.narrow)).then_some(width.narrow)
}

/// The second width of those where only that is not the usual.
fn as_wide(width: Width) -> Option<u8> {
    (width.narrow == USUAL.narrow).then_some(width.wide)
}

fn points(network: &Widths, chosen: fn(Width) -> Option<u8>) -> Vec<(f64, &Report)> {
    let width = |run: &Run| chosen(run.report.scenario.parallelism);
    let mut points: Vec<_> =
        network.runs.iter().filter_map(|run| Some((f64::from(width(run)?), &run.report))).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// With room for the names of the lines beyond the greatest width.
const fn x_axis(label: &'static str) -> Axis {
    Axis::new(label).between(0.0, 29.0)
}

fn times(title: String, axis: &'static str, points: &[(f64, &Report)]) -> Chart {
    let line = |name: &str, of: fn(&Report) -> f64| Line::new(name, points.iter().map(|(x, report)| (*x, of(report))));
    let lines = vec![
        line("first value, median", |report| report.reads.first_value.percentile(50)),
        line("first value, 90 in 100", |report| report.reads.first_value.percentile(90)),
        line("first value, 99 in 100", |report| report.reads.first_value.percentile(99)),
        line("read to its end, median", |report| report.reads.time.percentile(50)),
        line("put to its end, median", |report| report.puts.time.percentile(50)),
    ];
    Chart { title, x: x_axis(axis), y: Axis::new("milliseconds"), lines, names: Corner::TopRight }
}

fn asked(which: &str, networks: &[Widths], chosen: fn(Width) -> Option<u8>, axis: &'static str) -> Chart {
    let line = |network: &Widths| {
        let points = points(network, chosen);
        Line::new(network.network, points.into_iter().map(|(x, report)| (x, report.reads.asked.mean)))
    };
    Chart {
        title: format!("Nodes that a read asks, by {which} width"),
        x: x_axis(axis),
        y: Axis::new("nodes asked, mean"),
        lines: networks.iter().map(line).collect(),
        names: Corner::BottomRight,
    }
}

fn table(network: &Widths) -> Block {
    let heads = vec![
        "Width",
        "first value, ms: median",
        "90 in 100",
        "99 in 100",
        "beyond last hop, round trips",
        "read, ms: median",
        "put, ms: median",
        "99 in 100",
        "read asks",
        "put asks",
        "of 8 closest",
    ];
    let line = |run: &Run| {
        let Report { reads, puts, .. } = &run.report;
        vec![
            run.name.clone(),
            format!("{:.0}", reads.first_value.percentile(50)),
            format!("{:.0}", reads.first_value.percentile(90)),
            format!("{:.0}", reads.first_value.percentile(99)),
            format!("{:.2}", run.report.beyond_last_hop_in_round_trips),
            format!("{:.0}", reads.time.percentile(50)),
            format!("{:.0}", puts.time.percentile(50)),
            format!("{:.0}", puts.time.percentile(99)),
            format!("{:.1}", reads.asked.mean),
            format!("{:.1}", puts.asked.mean),
            format!("{:.3}", run.report.reach.mean),
        ]
    };
    Block::Table(heads, network.runs.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_is_tried_once_and_the_default_is_among_them() {
        for (_, planned) in plan(&Scenario::default(), Which::All) {
            let widths: Vec<_> = planned.iter().map(|(_, _, scenario)| scenario.parallelism).collect();
            assert_eq!(widths.len(), NARROW.len() + WIDE.len() - 1);
            assert!(widths.iter().enumerate().all(|(at, width)| !widths[..at].contains(width)));
            assert!(widths.contains(&Width::default()));
            assert_eq!(widths.iter().filter_map(|width| as_narrow(*width)).collect::<Vec<_>>(), NARROW);
            assert_eq!(widths.iter().filter_map(|width| as_wide(*width)).count(), WIDE.len());
            assert!(planned.iter().all(|(_, _, scenario)| scenario.check().is_ok()));
        }
    }
}
