//! What a report compares: the same small network with one thing changed at a time.

use std::time::Duration;

use bep44::sim::{Churn, Report, Scenario, ScenarioError, Simulation, Workload};
use indicatif::ProgressBar;

use super::widths::{self, Widths};

/// Nodes of the networks that are compared: enough for lookups of several hops, few enough for dozens of runs.
const NODES: u32 = 1_000;

/// One network among those that are compared.
#[derive(Debug)]
pub(super) struct Run {
    /// What is different about it.
    pub(super) name: String,
    /// The same as a number, where it is one.
    pub(super) value: f64,
    pub(super) report: Report,
}

/// All that is compared.
#[derive(Debug, Default)]
pub(super) struct Studies {
    /// By the share of packets that are lost.
    pub(super) loss: Vec<Run>,
    /// By the median session in minutes.
    pub(super) churn: Vec<Run>,
    /// By the questions in flight at once, in some networks.
    pub(super) parallelism: Vec<Widths>,
    /// A day with and without announcing items again.
    pub(super) day: Vec<Run>,
}

/// Which comparisons are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// None: only what was simulated is shown
    None,
    /// By loss, churn and parallelism
    Short,
    /// Also parallelism in networks of ten thousand nodes, and a day with and without announcing items again
    All,
}

/// A scenario to compare, and what is different about it.
pub(super) type Planned = (String, f64, Scenario);

pub(super) fn run(
    scenario: &Scenario,
    which: Which,
    threads: u32,
    bar: &ProgressBar,
) -> Result<Studies, ScenarioError> {
    if which == Which::None {
        return Ok(Studies::default());
    }
    let base = Scenario {
        seed: scenario.seed,
        nodes: NODES,
        stable: 100,
        workload: Workload { items: 500, reads: 2_000, ..Workload::default() },
        ..Scenario::default()
    };
    let (loss, churn, parallelism) = (by_loss(&base), by_churn(&base), widths::plan(&base, which));
    let day = if which == Which::All { days(&base) } else { Vec::new() };
    let widths = parallelism.iter().map(|(_, planned)| planned.len()).sum::<usize>();
    bar.reset();
    bar.set_length((loss.len() + churn.len() + widths + day.len()) as u64);
    let each = |planned: Vec<Planned>| -> Result<Vec<Run>, ScenarioError> {
        let run = |(name, value, scenario): Planned| {
            bar.set_message(format!("networks are compared: {name}"));
            let report = Simulation::on_threads(&scenario, threads)?.run(|_| {});
            bar.inc(1);
            Ok(Run { name, value, report })
        };
        planned.into_iter().map(run).collect()
    };
    let parallelism = parallelism.into_iter().map(|(network, planned)| Ok(Widths { network, runs: each(planned)? }));
    Ok(Studies {
        loss: each(loss)?,
        churn: each(churn)?,
        parallelism: parallelism.collect::<Result<_, ScenarioError>>()?,
        day: each(day)?,
    })
}

fn by_loss(base: &Scenario) -> Vec<Planned> {
    let with = |percent: u32| {
        let mut scenario = base.clone();
        scenario.network.loss = f64::from(percent) / 100.0;
        (format!("{percent} %"), f64::from(percent), scenario)
    };
    [0, 1, 2, 5, 10, 20, 30].into_iter().map(with).collect()
}

/// Items are read for an hour after they were put, and not announced again.
fn by_churn(base: &Scenario) -> Vec<Planned> {
    let with = |minutes: u32| {
        let mut scenario = base.clone();
        scenario.churn = Churn::Weibull { shape: 0.426, median: Duration::from_secs(u64::from(minutes) * 60) };
        scenario.workload.read_over = Duration::from_secs(60 * 60);
        (format!("{minutes} min"), f64::from(minutes), scenario)
    };
    [2, 5, 10, 20, 60, 200].into_iter().map(with).collect()
}

fn days(base: &Scenario) -> Vec<Planned> {
    let hour = Duration::from_secs(60 * 60);
    let with = |(name, reannounce): (&str, Option<Duration>)| {
        let mut scenario = base.clone();
        scenario.churn = Churn::Mainline;
        scenario.stable = 50;
        scenario.network.loss = 0.01;
        scenario.network.nat = 0.2;
        scenario.workload = Workload {
            reads: 5_000,
            put_over: hour / 6,
            read_over: 24 * hour,
            reannounce,
            samples: 288,
            ..base.workload.clone()
        };
        (name.to_owned(), 0.0, scenario)
    };
    [("announced again every hour", Some(hour)), ("never announced again", None)].into_iter().map(with).collect()
}
