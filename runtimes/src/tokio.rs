//! The driver for tokio. Its task runs on the runtime in whose context the node is built, and ends with it.
//!
//! That runtime needs its I/O and its time enabled (`enable_all`, as `#[tokio::main]` does); without, building panics, as
//! everything of tokio that needs them does.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::tokio::{net::UdpSocket, runtime::Handle, time};

use crate::error::BuildError;
use crate::runtime::{self, Runtime};

/// A node of the DHT on a tokio runtime.
pub type Dht = runtime::Dht<Tokio>;

/// tokio, as a [`Runtime`].
#[derive(Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    type Socket = UdpSocket;

    fn socket(socket: std::net::UdpSocket) -> Result<Self::Socket, BuildError> {
        Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        // Fails where the time is not enabled: better here, in the caller's hands, than in the task.
        drop(time::sleep(Duration::ZERO));
        UdpSocket::from_std(socket).map_err(BuildError::Driver)
    }

    async fn recv_from(socket: &Self::Socket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(datagram).await
    }

    async fn sleep(time: Duration) {
        time::sleep(time).await;
    }

    fn spawn(driver: impl Future<Output = ()> + Send + 'static) {
        ::tokio::spawn(driver);
    }
}
