//! `bep44 demo`: the main job with no network at all. A small network of full nodes in this process, on loopback; each
//! step says what was done and what it proves, and the demo succeeds only if every step held.

mod forgery;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bep44::core::wire::Code;
use bep44::{Immutable, Mutable, SecretKey, Target, bencoded_bytes};
use serde_json::json;

use crate::driver::{Dht, Runtime, Settings, wait};
use crate::failure::Failure;
use crate::output::{BAD, DIM, GOOD, Output, STRONG, time};

/// Full nodes: more than the 8 that store an item, so that finding them takes a walk.
const NODES: usize = 12;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a step has shown, or why it did not hold.
type Shown = Result<String, Box<dyn std::error::Error>>;

pub(crate) fn run(runtime: Runtime, output: &Output) -> Result<(), Failure> {
    let mut demo = Demo { output, steps: 0, started: Instant::now() };
    output.line(&format!("{STRONG}A network of {NODES} nodes on this host; nothing leaves it.{STRONG:#}\n"));

    let mut network = Vec::new();
    demo.step("network", "start the nodes, each joining through the first", || start(runtime, &mut network))?;
    let writer = node(runtime, &network, true)?;
    let reader = node(runtime, &network, true)?;

    let text = "Hello from BEP 44";
    let hello = Immutable::text(text)?;
    demo.step("put", &format!("store {text:?} as an immutable item"), || put(&writer, &hello))?;
    demo.step("get", "find it again, from another node that knows only its target", || get(&reader, &hello))?;
    demo.step("miss", "look for an item that nobody has stored", || miss(&reader))?;

    let secret = secret()?;
    let version = |seq: i64, text: &str| Mutable::sign(&secret, *b"demo", seq, bencoded_bytes(text.as_bytes()));
    let (first, second, third) = (version(1, "first")?, version(2, "second")?, version(3, "third")?);
    demo.step("put mutable", "sign a value with a new key and store it as version 1", || {
        put_mutable(&writer, &first, None)
    })?;
    demo.step("get mutable", "find it with the public key, and verify the signature", || newest(&reader, &first))?;
    demo.step("update", "replace it with version 2, on condition that 1 is stored", || {
        put_mutable(&writer, &second, Some(1))
    })?;
    demo.step("get newest", "find the newer version in its place", || newest(&reader, &second))?;
    demo.step("stale write", "try to store version 1 once more", || {
        refused(&writer, &first, None, Code::SequenceTooLow)
    })?;
    demo.step("conflict", "try to store version 3, on condition that 1 is still stored", || {
        refused(&writer, &third, Some(1), Code::CasMismatch)
    })?;
    demo.step("forgery", "try to store version 3 with another value than was signed", || {
        let code = forgery::attempt(network[0].local_addr(), &third)?;
        expect(code == i64::from(Code::InvalidSignature.number()), &format!("it was answered with code {code}"))?;
        Ok(format!("refused with code {code} (invalid signature)"))
    })?;
    demo.step("unharmed", "find version 2 after all of this", || newest(&reader, &second))?;
    demo.step("peers", "announce a peer of a torrent, and find it (BEP 5)", || peers(&writer, &reader))?;
    demo.finish();
    Ok(())
}

struct Demo<'a> {
    output: &'a Output,
    steps: u32,
    started: Instant,
}

impl Demo<'_> {
    /// Does one step, and says what came of it.
    fn step(&mut self, name: &str, what: &str, act: impl FnOnce() -> Shown) -> Result<(), Failure> {
        self.steps += 1;
        let number = self.steps;
        let start = Instant::now();
        let shown = act();
        let elapsed = start.elapsed();
        let (ok, result) = match &shown {
            Ok(result) => (true, result.clone()),
            Err(error) => (false, error.to_string()),
        };
        let (style, mark) = if ok { (GOOD, "ok  ") } else { (BAD, "FAIL") };
        self.output.line(&format!("{style}{mark}{style:#} {STRONG}{number:>2}. {name:<12}{STRONG:#} {what}"));
        self.output.line(&format!("         {:<12} {result} {DIM}in {}{DIM:#}", "", time(elapsed)));
        self.output.object(&json!({
            "step": number, "name": name, "what": what, "result": result, "ok": ok,
            "elapsed_ms": elapsed.as_secs_f64() * 1e3,
        }));
        if ok { Ok(()) } else { Err(Failure::refused(format!("step {number}, {name}: {result}"))) }
    }

    fn finish(&self) {
        let (steps, elapsed) = (self.steps, self.started.elapsed());
        self.output.line(&format!("\n{GOOD}All {steps} steps held{GOOD:#}, in {}.", time(elapsed)));
        self.output.object(&json!({ "done": true, "steps": steps, "elapsed_ms": elapsed.as_secs_f64() * 1e3 }));
    }
}

fn expect(held: bool, otherwise: &str) -> Result<(), String> {
    if held { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// A node that joins through the first; with `read_only` it asks and does not answer, as one-shot commands do.
fn node(runtime: Runtime, network: &[Dht], read_only: bool) -> Result<Dht, bep44::BuildError> {
    let bootstrap = network.first().map(|first| first.local_addr()).into_iter().collect();
    Dht::start(runtime, Settings { bind: vec![LOOPBACK], bootstrap, read_only, ..Settings::default() })
}

fn start(runtime: Runtime, network: &mut Vec<Dht>) -> Shown {
    for _ in 0..NODES {
        let node = node(runtime, network, false)?;
        if !network.is_empty() {
            let outcome = wait(node.bootstrap())?;
            expect(outcome.answered > 0, "a node could not join: nobody answered")?;
        }
        network.push(node);
    }
    let ports: Vec<_> = network.iter().map(|node| node.local_addr().port().to_string()).collect();
    Ok(format!("{NODES} nodes on 127.0.0.1, ports {}", ports.join(" ")))
}

fn secret() -> Result<SecretKey, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::refused(format!("no randomness for a key: {error}")))?;
    SecretKey::from_seed(seed).ok_or_else(|| Failure::refused("the system's randomness is all zeros"))
}

fn put(writer: &Dht, item: &Immutable) -> Shown {
    let put = wait(writer.put(item))?;
    expect(put.stored() > 0, &format!("nobody has stored it: {:?}", put.outcome))?;
    Ok(format!("{} nodes have stored it under its hash {}", put.stored(), put.target))
}

fn get(reader: &Dht, item: &Immutable) -> Shown {
    let got = wait(reader.get(item.target()))?;
    let found = got.item.ok_or("it was not found")?;
    expect(found == *item, "another value was found")?;
    Ok(format!("{:?}, and its hash is the target", found.as_text().unwrap_or_default()))
}

fn miss(reader: &Dht) -> Shown {
    let got = wait(reader.get(Target::new([0x44; 20])))?;
    expect(got.item.is_none() && got.outcome.answered > 0, "something was found, or nobody answered")?;
    Ok(format!("not found: {} nodes answered, and none has it", got.outcome.answered))
}

fn put_mutable(writer: &Dht, item: &Mutable, cas: Option<i64>) -> Shown {
    let put = wait(writer.put_mutable(item, cas))?;
    expect(put.stored() > 0 && !put.is_conflict(), &format!("it was not accepted: {:?}", put.outcome))?;
    Ok(format!("{} nodes have verified the signature and stored it at {}", put.stored(), put.target))
}

fn newest(reader: &Dht, item: &Mutable) -> Shown {
    let got = wait(reader.newest(*item.key(), item.salt(), None))?;
    let found = got.item.ok_or("it was not found")?;
    expect(found == *item, &format!("version {} was found", found.seq()))?;
    let text = found.as_text().unwrap_or_default();
    Ok(format!(
        "version {}, {text:?}, on {} nodes, signed by {:.8}...",
        found.seq(),
        got.outcome.copies,
        item.key().to_string()
    ))
}

fn refused(writer: &Dht, item: &Mutable, cas: Option<i64>, code: Code) -> Shown {
    let put = wait(writer.put_mutable(item, cas))?;
    let by = put.refused_with(code);
    expect(put.stored() == 0 && by > 0, &format!("it was not refused by all: {:?}", put.outcome))?;
    Ok(format!(
        "{by} nodes have refused with code {} ({})",
        code.number(),
        crate::failure::meaning(code.number().into())
    ))
}

fn peers(writer: &Dht, reader: &Dht) -> Shown {
    let info_hash = Target::new([0x55; 20]);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 6_881));
    let announced = wait(writer.announce(info_hash, Some(peer.port())))?.outcome.accepted;
    expect(announced > 0, "nobody has accepted the announcement")?;
    let found = wait(reader.get_peers(info_hash))?.peers;
    expect(found == [peer], &format!("found were {found:?}"))?;
    Ok(format!("announced to {announced} nodes, and found: {peer}"))
}
