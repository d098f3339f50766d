//! The blocking driver: joins through the node at the address that is given as argument, stores an immutable and a
//! mutable item, and reads both back.
//!
//!     cargo run -p bep44-examples --bin put_get -- 127.0.0.1:6881

use bep44::blocking::Dht;
use bep44::{Immutable, Mutable, SecretKey, bencoded_bytes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::args().nth(1).ok_or("usage: put_get ADDRESS:PORT")?.parse()?;
    let dht = Dht::builder().bootstrap([bootstrap]).read_only(true).build()?;

    // Immutable: whoever knows the target finds this value, and no other.
    let put = dht.put(&Immutable::text("Hello, world")?)?;
    println!("{} nodes have stored {}", put.stored(), put.target);
    let item = dht.get(put.target)?.item.ok_or("not found")?;
    println!("found {:?}", item.as_text());

    // Mutable: whoever knows the public key finds the newest value that its holder has signed.
    let secret = SecretKey::from_seed(*b"not a secret: use random octets.").ok_or("a seed of zeros")?;
    let sign_in = |book: Option<&Mutable>| {
        let book = book.and_then(Mutable::as_text).unwrap_or_default();
        // Nothing to write if the name is there already, perhaps from an attempt that others interrupted.
        (!book.contains("Ada")).then(|| bencoded_bytes(format!("{book}Ada\n").as_bytes()))
    };
    let update = dht.update(&secret, b"guest book", sign_in)?;
    println!("written: {}, after {} attempt(s)", update.put.is_some(), update.attempts);
    let newest = dht.newest(secret.public_key(), b"guest book", None)?.item.ok_or("not found")?;
    println!("found {:?}, sequence number {}", newest.as_text(), newest.seq());
    Ok(())
}
