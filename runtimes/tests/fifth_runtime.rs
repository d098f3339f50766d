//! A runtime from outside of the crate, as the README says: smol, with a socket that fails every other time.
#![cfg(feature = "smol")]

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bep44::runtime::{Dht, Runtime};
use bep44::smol::Smol;
use bep44::{BuildError, Immutable};

enum Flaky {}

struct FlakySocket {
    socket: <Smol as Runtime>::Socket,
    reads: AtomicUsize,
}

impl Runtime for Flaky {
    type Socket = FlakySocket;

    fn socket(socket: UdpSocket) -> Result<FlakySocket, BuildError> {
        Ok(FlakySocket { socket: Smol::socket(socket)?, reads: AtomicUsize::new(0) })
    }

    async fn recv_from(socket: &FlakySocket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        // Wait first, so that it fails as a socket does: once each, and not when nothing has happened.
        socket.socket.readable().await?;
        match socket.reads.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Smol::recv_from(&socket.socket, datagram).await,
        }
    }

    async fn sleep(time: Duration) {
        Smol::sleep(time).await;
    }

    fn spawn(driver: impl Future<Output = ()> + Send + 'static) {
        Smol::spawn(driver);
    }
}

#[test]
fn errors_of_the_socket_pass() {
    let any = "127.0.0.1:0".parse().unwrap();
    smol::block_on(async {
        let serving = Dht::<Flaky>::builder().bind(any).build().unwrap();
        let asking = Dht::<Flaky>::builder().bind(any).bootstrap([serving.local_addr()]).build().unwrap();
        let item = Immutable::text("through errors").unwrap();
        assert_eq!(asking.put(&item).await.unwrap().stored(), 1);
        assert_eq!(asking.get(item.target()).await.unwrap().item, Some(item));
        asking.shutdown().await;
        serving.shutdown().await;
    });
}
