//! On smol: joins through the node at the address that is given as argument, stores an item, and reads it back.
//!
//!     cargo run -p bep44-examples --features smol --bin smol_put_get -- 127.0.0.1:6881

use bep44::{Immutable, smol::Dht};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::args().nth(1).ok_or("usage: smol_put_get ADDRESS:PORT")?.parse()?;
    smol::block_on(async {
        let dht = Dht::builder().bootstrap([bootstrap]).read_only(true).build()?;
        let put = dht.put(&Immutable::text("Hello, world")?).await?;
        println!("{} nodes have stored {}", put.stored(), put.target);
        let item = dht.get(put.target).await?.item.ok_or("not found")?;
        println!("found {:?}", item.as_text());
        Ok(())
    })
}
