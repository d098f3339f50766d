//! A network of nodes in virtual time, from one seed: thousands of them, or a million, in one process.
//!
//! Each host is a [`Node`](bep44_core::Node) of the core; what lies between them is a model of the Internet ([`latency`]) with whatever goes
//! wrong on it, and nodes come and go ([`churn`]) and misbehave ([`Rogues`]). What is simulated is a [`Scenario`]: a value
//! in code, or a file. What comes of it is a [`Report`], which is the same, octet for octet, each time that the same
//! scenario is simulated, on however many processors.
//!
//! ```
//! use bep44::sim::{Scenario, Simulation};
//!
//! let scenario = Scenario::from_toml("
//!     nodes = 60
//!     [network]
//!     loss = 0.05
//!     [workload]
//!     items = 20
//!     reads = 50
//! ").unwrap();
//! let report = Simulation::new(&scenario).unwrap().run(|_| {});
//! assert!(report.violations.is_empty());
//! assert_eq!((report.found.reads, report.found.share()), (50, 1.0));
//! ```
//!
//! For a test of one's own there are steps: let time pass, ask a node, look, take a host away.
//!
//! ```
//! use bep44::core::{ImmutableItem, Item};
//! use bep44::sim::{Scenario, Simulation};
//! use std::time::Duration;
//!
//! let scenario = Scenario { nodes: 30, stable: 30, ..Scenario::default() };
//! let mut network = Simulation::new(&scenario).unwrap();
//! network.advance(scenario.joined());
//! let item = ImmutableItem::new(b"5:hello").unwrap();
//! let put = network.ask(3, |node, now| node.put(now, &Item::Immutable(item), None)).unwrap();
//! network.advance(Duration::from_secs(10));
//! let put = network.ended(put).unwrap();
//! assert_eq!(put.outcome.accepted, 8);
//! assert_eq!(put.accepted.len(), 8);
//! let holders = network.holders(&item.target()).len();
//! network.kill(put.accepted[0]);
//! assert_eq!(network.holders(&item.target()).len(), holders - 1);
//! ```
//!
//! # How it is done
//!
//! Hosts are dealt out to as many shards as there are threads. No packet takes less than [`latency::FLOOR`], so all shards
//! may go that far without knowing of each other; then they exchange what they have sent. What happens to a host at one
//! time is ordered by who caused it, and each host draws from randomness of its own, so that it makes no difference who
//! simulates it. Whatever concerns all of them (who is there, what is put and read) happens between the steps of a clock
//! of a tenth of a second, on one thread.

pub mod churn;
mod course;
mod host;
pub mod latency;
mod operation;
mod parallel;
mod queue;
mod random;
mod report;
mod results;
mod rogue;
mod scenario;
mod shard;
mod simulation;
#[cfg(test)]
mod tests;
mod truth;
mod wire;
mod workload;

pub use operation::{Ended, Operation};
pub use report::{
    CopiesAt, Distribution, Found, FoundAt, Operations, Packets, Population, Reach, Report, Stores, Violation,
};
pub use scenario::{
    Checks, Churn, Join, Latency, MAX_HOSTS, Network, Partition, Rogues, Scenario, ScenarioError, Tables, Width,
    Workload,
};
pub use simulation::{Phase, Progress, Simulation};
