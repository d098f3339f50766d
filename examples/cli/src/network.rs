//! Joining a network for one command, and asking it.

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bep44::core::MAX_BOOTSTRAP;
use bep44::replay::Recording;
use bep44::turn::{Answered, Progress, Want};
use bep44::{AnyItem, Capacity, Outcome};

use crate::args::{HostPort, Join};
use crate::driver::{Dht, Settings, wait};
use crate::failure::Failure;
use crate::output::{Output, time};

/// Nodes that stand ready for newcomers, run by makers of BitTorrent clients.
const PUBLIC: [(&str, u16); 4] = [
    ("router.bittorrent.com", 6_881),
    ("dht.transmissionbt.com", 6_881),
    ("router.utorrent.com", 6_881),
    ("dht.libtorrent.org", 25_401),
];

/// How long names may take to become addresses, all of them together.
const NAMES: Duration = Duration::from_secs(3);

/// A node for one command: it asks, and answers nobody (BEP 43).
pub(crate) fn guest(join: &Join, output: &Output) -> Result<Dht, Failure> {
    guest_of(join, None, output)
}

/// The same with memory for an item that it keeps alive.
pub(crate) fn keeper(join: &Join, output: &Output) -> Result<Dht, Failure> {
    guest_of(join, Some(Capacity { peers: 0, ..Capacity::tiny() }), output)
}

fn guest_of(join: &Join, capacity: Option<Capacity>, output: &Output) -> Result<Dht, Failure> {
    let bootstrap = bootstrap(join, output)?;
    if bootstrap.is_empty() {
        return Err(Failure::refused("nobody to ask: give a node of the network with --bootstrap HOST:PORT"));
    }
    start(join, Settings { bootstrap, read_only: true, capacity, ..Settings::default() })
}

/// A node with these `settings`, and what `join` says of all nodes.
pub(crate) fn start(join: &Join, settings: Settings) -> Result<Dht, Failure> {
    // Who names only nodes of that network means that network.
    let means_ipv6 = !settings.bootstrap.is_empty() && settings.bootstrap.iter().all(SocketAddr::is_ipv6);
    let any_ipv6 = || (Ipv6Addr::UNSPECIFIED, 0).into();
    let bind = if join.bind.is_empty() && means_ipv6 { vec![any_ipv6()] } else { join.bind.clone() };
    if bind.len() > 2 {
        return Err(Failure::usage(format!(
            "--bind was given {} times; twice is the limit, IPv4 and IPv6",
            bind.len()
        )));
    }
    let recording = join.record.as_ref().map(Recording::create).transpose()?;
    let timeout = Some(join.timeout);
    Ok(Dht::start(join.runtime, Settings { bind, timeout, recording, ..settings })?)
}

/// The addresses to join through: those given, or the public ones. None if nothing but this host can be reached.
pub(crate) fn bootstrap(join: &Join, output: &Output) -> Result<Vec<SocketAddr>, Failure> {
    let given = if !join.bootstrap.is_empty() {
        join.bootstrap.clone()
    } else if !join.bind.is_empty() && join.bind.iter().all(|addr| addr.ip().is_loopback()) {
        return Ok(Vec::new());
    } else {
        PUBLIC.iter().map(|(host, port)| HostPort::Name((*host).to_owned(), *port)).collect()
    };
    let addrs = resolve(&given, output);
    let mut addrs: Vec<_> = addrs.into_iter().filter(|addr| join.listens_in_family_of(addr)).collect();
    // Of the public ones, some are as good as all.
    if join.bootstrap.is_empty() {
        addrs.truncate(MAX_BOOTSTRAP);
    }
    if addrs.is_empty() {
        let only_ipv6 = !join.bind.is_empty() && join.bind.iter().all(SocketAddr::is_ipv6);
        let family = if only_ipv6 { "IPv6 " } else { "" };
        return Err(Failure::refused(format!(
            "nobody to ask: no {family}address of a bootstrap node is known; give one with --bootstrap HOST:PORT"
        )));
    }
    Ok(addrs)
}

/// The addresses of hosts. Names are looked up all at once and only for so long, because a resolver without a network
/// may take very long to say so.
pub(crate) fn resolve(hosts: &[HostPort], output: &Output) -> Vec<SocketAddr> {
    let mut addrs = Vec::new();
    let (found, finds) = mpsc::channel();
    let mut names = 0;
    for host in hosts {
        match host {
            HostPort::Addr(addr) => addrs.push(*addr),
            HostPort::Name(name, port) => {
                names += 1;
                let (name, port, found) = (name.clone(), *port, found.clone());
                std::thread::spawn(move || {
                    let result = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
                    // Too late for anybody to listen.
                    let _ = found.send((name, result));
                });
            }
        }
    }
    let until = Instant::now() + NAMES;
    for _ in 0..names {
        match finds.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((_, Ok(found))) => addrs.extend(found),
            Ok((name, Err(error))) => output.detail(|| format!("{name}: {error}")),
            Err(_) => break,
        }
    }
    addrs
}

/// What a query has brought.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The item; of a mutable one, the newest version.
    pub(crate) item: Option<AnyItem>,
    pub(crate) peers: Vec<SocketAddr>,
}

/// Asks and waits, showing on the way who answers. Fails if nobody does.
pub(crate) fn ask(dht: &Dht, want: Want, doing: &str, output: &Output) -> Result<(Answer, Outcome), Failure> {
    ask_and_show(dht, want, doing, output, |_| ())
}

/// The same; each node that answers is also handed to `show`.
pub(crate) fn ask_and_show(
    dht: &Dht,
    want: Want,
    doing: &str,
    output: &Output,
    mut show: impl FnMut(&Answered),
) -> Result<(Answer, Outcome), Failure> {
    let progress = output.progress(doing);
    let (mut answer, mut answered) = (Answer::default(), 0);
    let mut query = dht.start(want, true);
    while let Some(step) = wait(query.next()) {
        match step? {
            Progress::Answered(node) => {
                answered += 1;
                progress.answered(answered);
                output
                    .detail(|| format!("hop {} {} at {} in {}", node.hop, node.node, node.addr, time(node.round_trip)));
                show(&node);
            }
            Progress::Found(item) => answer.item = Some(item),
            Progress::Peers(peers) => answer.peers.extend(peers),
            Progress::Equivocation(seq) => {
                output.note(&format!("the key's holder has signed two values with sequence number {seq}"));
            }
            _ => {}
        }
    }
    let outcome = query.ended().ok_or_else(|| Failure::refused("the node has ended"))?.clone();
    drop(progress);
    output.detail(|| {
        format!(
            "{}: asked {}, answered {}, failed {}, invalid {}, copies {}, {} hops",
            time(outcome.elapsed),
            outcome.asked,
            outcome.answered,
            outcome.failed,
            outcome.invalid,
            outcome.copies,
            outcome.hops
        )
    });
    if outcome.answered == 0 {
        return Err(Failure::nobody(outcome.asked));
    }
    Ok((answer, outcome))
}
