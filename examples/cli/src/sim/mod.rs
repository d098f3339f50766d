//! `bep44 sim`: a network in virtual time. What is written to standard output and into the report follows from the scenario
//! alone; what it cost this machine goes to standard error.

mod chart;
mod comparisons;
mod page;
mod report;
mod study;
mod widths;

use std::path::Path;
use std::time::{Duration, Instant};

use bep44::sim::{Churn, Phase, Progress, Report, Scenario, ScenarioError, Simulation};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
pub(crate) use study::Which;

use crate::args;
use crate::failure::Failure;
use crate::output::{BAD, DIM, GOOD, Output, count, time};

pub(crate) fn run(args: &args::Sim, output: &Output) -> Result<(), Failure> {
    let scenario = scenario(args)?;
    // Before the work, not after it.
    args.report.as_deref().map_or(Ok(()), report::prepare)?;
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    let started = Instant::now();
    let mut simulation = Simulation::on_threads(&scenario, threads)?;
    let bar = bar();
    let report = simulation.run(|progress| show(&bar, progress));
    bar.finish_and_clear();
    let cost = cost(started.elapsed(), simulation.events(), scenario.nodes);
    drop(simulation);
    summarize(output, &report);
    output.note(&format!("{DIM}{cost}{DIM:#}"));
    if let Some(directory) = &args.report {
        let studies = study::run(&scenario, args.studies, threads, &bar)?;
        bar.finish_and_clear();
        let page = report::write(directory, &report, &studies)?;
        output.row("report", &page.display().to_string());
    }
    output.object(&summary(&report));
    verdict(args, &report)
}

/// The scenario by its name or from its file, with what the command line says otherwise.
fn scenario(args: &args::Sim) -> Result<Scenario, Failure> {
    let name = &args.scenario;
    let mut scenario = match Path::new(name) {
        file if file.is_file() => Scenario::load(file)?,
        _ => Scenario::named(name)?,
    };
    if let Some(nodes) = args.nodes {
        scenario.nodes = nodes;
        scenario.stable = scenario.stable.min(nodes);
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    scenario.network.loss = args.loss.unwrap_or(scenario.network.loss);
    scenario.churn = args.churn.unwrap_or(scenario.churn);
    scenario.workload.items = args.items.unwrap_or(scenario.workload.items);
    scenario.workload.reads = args.reads.unwrap_or(scenario.workload.reads);
    scenario.check()?;
    Ok(scenario)
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        let text = error.to_string();
        Self::usage(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    if bar.is_hidden() {
        return;
    }
    let (passed, whole) = progress.time;
    bar.set_position((passed.as_secs_f64() / whole.as_secs_f64() * 1_000.0) as u64);
    let phase = match progress.phase {
        Phase::Joining => "nodes join",
        Phase::Putting => "items are put",
        Phase::Reading => "items are read",
    };
    let events = progress.events / 1_000;
    bar.set_message(format!(
        "{phase}: {} nodes, {events} thousand events, {} of virtual time",
        progress.hosts,
        time(passed)
    ));
}

/// What the simulation took of this machine.
fn cost(elapsed: Duration, events: u64, nodes: u32) -> String {
    let rate = (events as f64 / elapsed.as_secs_f64().max(1e-6)) as u64;
    let memory = peak_memory().map_or_else(String::new, |octets| {
        format!(
            "; {} MiB of memory at most, {:.1} KiB a node",
            octets >> 20,
            octets as f64 / 1_024.0 / f64::from(nodes)
        )
    });
    format!("simulated in {}: {events} events, {rate} a second{memory}", time(elapsed))
}

/// Octets of memory that this process has had at most, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

/// For people.
fn summarize(output: &Output, report: &Report) {
    let scenario = &report.scenario;
    let ms = |ms: f64| time(Duration::from_secs_f64(ms / 1e3));
    let population = &report.population;
    output.row("network", &network(scenario));
    output.row(
        "nodes",
        &format!(
            "{} in all, {} left, {} behind a translator of addresses, {} misbehave",
            population.began, population.left, population.behind_nat, population.rogues
        ),
    );
    let lost = report.packets.sent + report.packets.doubled - report.packets.arrived;
    output.row(
        "packets",
        &format!(
            "{} sent, {lost} never arrived; {:.0} a minute at the median node, {:.0} at the busiest in a hundred",
            report.packets.sent,
            report.load.percentile(50),
            report.load.percentile(99)
        ),
    );
    let puts = &report.puts;
    output.row(
        "puts",
        &format!(
            "{}: median {}, 99 in 100 within {}; {:.3} of the 8 closest nodes reached",
            count(puts.time.count, "put"),
            ms(puts.time.percentile(50)),
            ms(puts.time.percentile(99)),
            report.reach.mean
        ),
    );
    let reads = &report.reads;
    output.row(
        "reads",
        &format!(
            "{}: median {}, 99 in 100 within {}; {:.1} nodes asked, {:.1} hops",
            count(reads.time.count, "read"),
            ms(reads.time.percentile(50)),
            ms(reads.time.percentile(99)),
            reads.asked.mean,
            reads.hops.mean
        ),
    );
    output.row(
        "first value",
        &format!(
            "median {}, {:.2} round trips of the median pair ({}); {:.2} beyond the last hop",
            ms(reads.first_value.percentile(50)),
            report.first_value_in_round_trips,
            ms(report.round_trip),
            report.beyond_last_hop_in_round_trips
        ),
    );
    let found = &report.found;
    let style = if report.violations_in_all == 0 { GOOD } else { BAD };
    output.row(
        "found",
        &format!(
            "{style}{:.3} %{style:#} of {}: {} the newest version, {} an older one, {} missed it, {} when nobody had it",
            100.0 * found.share(),
            count(found.reads, "read"),
            found.newest,
            found.older,
            found.missed,
            found.gone
        ),
    );
    for violation in report.violations.iter().take(5) {
        output.row("broken", &format!("{BAD}{violation}{BAD:#}"));
    }
}

/// The network in a few words.
fn network(scenario: &Scenario) -> String {
    let mut words = vec![count(scenario.nodes, "node"), format!("seed {}", scenario.seed)];
    if scenario.network.loss > 0.0 {
        words.push(format!("{} % of packets lost", 100.0 * scenario.network.loss));
    }
    match scenario.churn {
        Churn::None => {}
        Churn::Mainline => words.push("nodes come and go as in mainline".to_owned()),
        Churn::Weibull { median, .. } => words.push(format!("half of the sessions shorter than {}", time(median))),
    }
    words.push(format!("{} of virtual time", time(scenario.duration())));
    words.join(", ")
}

/// For programs.
fn summary(report: &Report) -> Value {
    let of = |operations: &bep44::sim::Operations| {
        json!({
            "count": operations.time.count,
            "median_ms": operations.time.percentile(50),
            "p99_ms": operations.time.percentile(99),
            "hops": operations.hops.mean,
            "asked": operations.asked.mean,
            "abandoned": operations.abandoned,
        })
    };
    json!({
        "nodes": report.scenario.nodes,
        "seed": report.scenario.seed,
        "virtual_seconds": report.scenario.duration().as_secs_f64(),
        "population": report.population,
        "packets": report.packets,
        "round_trip_ms": report.round_trip,
        "puts": of(&report.puts),
        "reads": of(&report.reads),
        "first_value_ms": report.reads.first_value.percentile(50),
        "first_value_round_trips": report.first_value_in_round_trips,
        "last_hop_ms": report.last_hop.percentile(50),
        "beyond_last_hop_round_trips": report.beyond_last_hop_in_round_trips,
        "reached_of_8": report.reach.mean,
        "found": report.found,
        "found_share": report.found.share(),
        "load_per_minute": { "median": report.load.percentile(50), "p99": report.load.percentile(99) },
        "violations": report.violations,
        "violations_in_all": report.violations_in_all,
    })
}

/// What must hold and did not, with the command that shows it again.
fn verdict(args: &args::Sim, report: &Report) -> Result<(), Failure> {
    let Some(first) = report.violations.first() else { return Ok(()) };
    let mut command = format!("bep44 sim --scenario {} --seed {}", args.scenario, report.scenario.seed);
    for (name, value) in [
        ("nodes", args.nodes.map(|nodes| nodes.to_string())),
        ("loss", args.loss.map(|loss| loss.to_string())),
        ("churn", args.churn.map(args::churn_text)),
        ("items", args.items.map(|items| items.to_string())),
        ("reads", args.reads.map(|reads| reads.to_string())),
    ] {
        if let Some(value) = value {
            command.push_str(&format!(" --{name} {value}"));
        }
    }
    Err(Failure::refused(format!("{first}; to see it again: {command}")))
}
