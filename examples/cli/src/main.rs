//! The command line of the BitTorrent DHT's storage of small data (BEP 44): `bep44 --help` says what it can do.
#![forbid(unsafe_code)]

mod announce;
mod args;
mod demo;
mod driver;
mod failure;
mod get;
mod key;
mod network;
mod node;
mod output;
mod put;
mod replay;
mod signals;
mod sim;
mod torrent;
mod value;
mod walk;
mod watch;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let output = Output::new(cli.common.json, cli.common.verbose);
    match run(&cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&output),
    }
}

fn run(cli: &Cli, output: &Output) -> Result<(), Failure> {
    let join = &cli.common.join;
    let joins = !matches!(cli.command, Command::Demo | Command::Keygen(_) | Command::Replay(_) | Command::Sim { .. });
    if join.record.is_some() && !joins {
        return Err(Failure::usage("--record writes down what a node does that joins a network, and this joins none"));
    }
    match &cli.command {
        Command::Demo => demo::run(join.runtime, output),
        Command::Keygen(args) => key::generate(args, output),
        Command::Put(args) => put::run(args, join, output),
        Command::Get(args) => get::run(args, join, output),
        Command::Watch(args) => watch::run(args, join, output),
        Command::Publish(args) => torrent::publish(args, join, output),
        Command::Resolve(args) => torrent::resolve(args, join, output),
        Command::Announce(args) => announce::announce(args, join, output),
        Command::Peers(args) => announce::peers(args, join, output),
        Command::Ping(args) => walk::ping(args, join, output),
        Command::Lookup(args) => walk::lookup(args, join, output),
        Command::Node(args) => node::run(args, join, output),
        Command::Replay(args) => replay::run(args, output),
        Command::Sim(args) => sim::run(args, output),
    }
}
