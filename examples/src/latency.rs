//! How long puts and gets take in a network of twelve nodes in this process, on loopback.
//!
//!     cargo run --release -p bep44-examples --bin latency

use std::time::{Duration, Instant};

use bep44::blocking::Dht;
use bep44::core::Rate;
use bep44::{Immutable, Mutable, SecretKey};

const ROUNDS: i64 = 1_000;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let any = "127.0.0.1:0".parse()?;
    let mut network: Vec<Dht> = Vec::new();
    for _ in 0..12 {
        // All nodes and the one who asks have one address: what protects against a flood is off.
        let node = Dht::builder()
            .bind(any)
            .bootstrap(network.first().map(Dht::local_addr))
            .config(|config| (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED))
            .build()?;
        if !network.is_empty() {
            node.bootstrap()?;
        }
        network.push(node);
    }
    let dht = Dht::builder().bind(any).bootstrap([network[0].local_addr()]).read_only(true).build()?;
    let secret = SecretKey::from_seed([1; 32]).ok_or("a seed of zeros")?;
    let item = |number: i64| Immutable::text(&number.to_string());
    // Signed beforehand: what is measured is the network.
    let versions: Vec<_> =
        (0..ROUNDS).map(|seq| Mutable::sign(&secret, *b"", seq, *b"5:value")).collect::<Result<_, _>>()?;
    let mut versions = versions.iter();

    measure("ping", |_| dht.ping(network[5].local_addr()).map(drop).map_err(Error::from))?;
    measure("put, immutable", |round| expect(dht.put(&item(round)?)?.stored() == 8))?;
    measure("get, immutable", |round| expect(dht.get(item(round)?.target())?.item.is_some()))?;
    measure("put, mutable", |_| {
        let version = versions.next().ok_or("as many as rounds")?;
        expect(dht.put_mutable(version, None)?.stored() == 8)
    })?;
    measure("get, mutable", |_| expect(dht.newest(secret.public_key(), b"", None)?.item.is_some()))?;
    Ok(())
}

fn expect(held: bool) -> Result<(), Error> {
    if held { Ok(()) } else { Err("not stored, or not found".into()) }
}

fn measure(name: &str, mut act: impl FnMut(i64) -> Result<(), Error>) -> Result<(), Error> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        act(round)?;
        times.push(start.elapsed());
    }
    times.sort();
    let of = |part: usize| times.get(times.len() * part / 1_000).map_or(0.0, Duration::as_secs_f64) * 1e3;
    println!("{name:<15} median {:.3} ms, 99 % {:.3} ms, longest {:.3} ms", of(500), of(990), of(999));
    Ok(())
}
