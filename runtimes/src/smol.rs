//! The driver for smol. Its task runs on the global executor (`smol::spawn`), which starts its own thread.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use ::smol::{Async, Timer};

use crate::error::BuildError;
use crate::runtime::{self, Runtime};

/// A node of the DHT on smol's global executor.
pub type Dht = runtime::Dht<Smol>;

/// smol, as a [`Runtime`].
#[derive(Debug)]
pub enum Smol {}

impl Runtime for Smol {
    type Socket = Async<UdpSocket>;

    fn socket(socket: UdpSocket) -> Result<Self::Socket, BuildError> {
        Async::new_nonblocking(socket).map_err(BuildError::Driver)
    }

    async fn recv_from(socket: &Self::Socket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(datagram).await
    }

    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }

    fn spawn(driver: impl Future<Output = ()> + Send + 'static) {
        ::smol::spawn(driver).detach();
    }
}
