//! What a node costs that has joined a network and is asked for nothing: wake-ups and processor time, read from the
//! system (Linux only). Each driver is measured in a process of its own, all at the same time, and so is any other
//! process whose number is given:
//!
//!     cargo run --release -p bep44-examples --features smol,async-std,tokio --bin idle -- [SECONDS] [WHAT]...
//!
//! `WHAT` is `blocking`, `smol`, `async-std`, `tokio` or a process number; without any, all drivers built in.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use bep44::Builder;
use bep44::blocking::Dht;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Those that it was built with.
const DRIVERS: &[&str] = &[
    "blocking",
    #[cfg(feature = "smol")]
    "smol",
    #[cfg(feature = "async-std")]
    "async-std",
    #[cfg(feature = "tokio")]
    "tokio",
];

/// Nodes of the network that is joined.
const NODES: usize = 8;

/// What a process has used so far, all threads together.
#[derive(Clone, Copy)]
struct Used {
    /// How often a thread that had waited for something ran again.
    wakes: u64,
    /// Nanoseconds on a processor.
    busy: u64,
}

fn used(pid: u32) -> Result<Used> {
    let mut used = Used { wakes: 0, busy: 0 };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        let status = fs::read_to_string(thread.join("status"))?;
        let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        used.wakes += switches.ok_or("no count of context switches")?.trim().parse::<u64>()?;
        let schedule = fs::read_to_string(thread.join("schedstat"))?;
        used.busy += schedule.split(' ').next().ok_or("no count of time")?.parse::<u64>()?;
    }
    Ok(used)
}

fn main() -> Result<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    if let [role, driver, network] = &words[..]
        && role == "node"
    {
        return node(driver, network);
    }
    let seconds = words.first().map_or(Ok(60), |word| word.parse::<u64>())?;
    let mut what = words.into_iter().skip(1).collect::<Vec<_>>();
    if what.is_empty() {
        what = DRIVERS.iter().map(|&driver| driver.to_owned()).collect();
    }
    measure(Duration::from_secs(seconds), &what)
}

fn measure(time: Duration, what: &[String]) -> Result<()> {
    // The network answers from this process, which is not measured.
    let mut network: Vec<Dht> = Vec::new();
    for _ in 0..NODES {
        let node = settings(Dht::builder(), network.first().map(Dht::local_addr))?.build()?;
        if !network.is_empty() {
            node.bootstrap()?;
        }
        network.push(node);
    }
    let mut children = Vec::new();
    let mut pids = Vec::new();
    for what in what {
        pids.push(match what.parse() {
            Ok(pid) => pid,
            Err(_) => {
                let child = start(what, network[0].local_addr())?;
                children.push(child);
                children.last().map_or(0, Child::id)
            }
        });
    }
    // The pings by which a node that joins makes sure of its contacts are over.
    thread::sleep(Duration::from_secs(5));
    let before = pids.iter().map(|pid| used(*pid)).collect::<Result<Vec<_>>>()?;
    thread::sleep(time);
    println!("{:<12}{:>12}{:>16}   over {time:?}", "node", "wake-ups/s", "processor ms/s");
    for ((what, pid), before) in what.iter().zip(&pids).zip(before) {
        let after = used(*pid)?;
        let wakes = (after.wakes - before.wakes) as f64 / time.as_secs_f64();
        let busy = (after.busy - before.busy) as f64 / 1e6 / time.as_secs_f64();
        println!("{what:<12}{wakes:>12.2}{busy:>16.3}");
    }
    for mut child in children {
        // It ends when its standard input does.
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(())
}

fn start(driver: &str, network: SocketAddr) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["node", driver, &network.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
    if line == "joined\n" { Ok(child) } else { Err(format!("{driver} did not join").into()) }
}

fn settings<D>(builder: Builder<D>, network: Option<SocketAddr>) -> Result<Builder<D>> {
    Ok(builder.bind("127.0.0.1:0".parse()?).bootstrap(network))
}

/// Runs a node by itself, which has joined the network and says so.
fn node(driver: &str, network: &str) -> Result<()> {
    let network = Some(network.parse()?);
    match driver {
        "blocking" => {
            let dht = settings(Dht::builder(), network)?.build()?;
            dht.bootstrap()?;
            stay(dht)
        }
        #[cfg(feature = "smol")]
        "smol" => smol::block_on(async {
            let dht = settings(bep44::smol::Dht::builder(), network)?.build()?;
            dht.bootstrap().await?;
            stay(dht)
        }),
        #[cfg(feature = "async-std")]
        "async-std" => async_std::task::block_on(async {
            let dht = settings(bep44::async_std::Dht::builder(), network)?.build()?;
            dht.bootstrap().await?;
            stay(dht)
        }),
        #[cfg(feature = "tokio")]
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let dht = runtime.block_on(async {
                let dht = settings(bep44::tokio::Dht::builder(), network)?.build()?;
                dht.bootstrap().await?;
                Ok::<_, Box<dyn Error>>(dht)
            })?;
            stay(dht)
        }
        other => Err(format!("no driver {other}").into()),
    }
}

/// Stays until the standard input ends.
fn stay<D>(dht: D) -> Result<()> {
    println!("joined");
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(dht);
    Ok(())
}
