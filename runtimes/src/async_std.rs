//! The driver for async-std. Its task runs on the global executor (`async_std::task::spawn`).
//!
//! async-std is discontinued ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)): its authors
//! recommend smol. This driver is for programs that are built on it already; new ones should take `bep44::smol`, whose
//! reactor is the same.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::async_std::{net::UdpSocket, task};

use crate::error::BuildError;
use crate::runtime::{self, Runtime};

/// A node of the DHT on async-std's global executor.
pub type Dht = runtime::Dht<AsyncStd>;

/// async-std, as a [`Runtime`].
#[derive(Debug)]
pub enum AsyncStd {}

impl Runtime for AsyncStd {
    type Socket = UdpSocket;

    fn socket(socket: std::net::UdpSocket) -> Result<Self::Socket, BuildError> {
        Ok(socket.into())
    }

    async fn recv_from(socket: &Self::Socket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(datagram).await
    }

    async fn sleep(time: Duration) {
        task::sleep(time).await;
    }

    fn spawn(driver: impl Future<Output = ()> + Send + 'static) {
        task::spawn(driver);
    }
}
