//! The driver for every asynchronous runtime, and what it asks of one: a socket, a timer and a place to run.
//!
//! The modules `smol`, `async_std` and `tokio` are a [`Runtime`] each, and nothing else. `runtimes/README.md` says how to
//! add another, in this crate or outside of it.

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Deref;
use std::pin::pin;
use std::task::Waker;
use std::time::Duration;

use async_channel::{Receiver, RecvError, Sender, TryRecvError};
use futures_lite::FutureExt;
use futures_lite::future::{poll_once, yield_now};

use crate::builder::{Builder, Parts};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::BuildError;
use crate::socket::{BATCH, INCOMING, SendFailure, of_family, send};
use crate::turn::{Command, Step, Turn};

/// An asynchronous runtime.
pub trait Runtime: Sized + 'static {
    /// A UDP socket that the runtime watches.
    type Socket: Send + Sync + 'static;

    /// Has the runtime watch this socket, which never blocks. This comes first of all calls, and before the first
    /// packet.
    ///
    /// # Errors
    /// There is no runtime here ([`BuildError::NoRuntime`]), or it cannot watch the socket ([`BuildError::Driver`]).
    fn socket(socket: UdpSocket) -> Result<Self::Socket, BuildError>;

    /// Waits for a datagram. If one is there, it is ready at once; dropping the future loses none.
    fn recv_from(
        socket: &Self::Socket,
        datagram: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;

    /// Waits so long, and not less. A little more is harmless.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Runs this to its end, whether somebody waits for it or not.
    fn spawn(driver: impl Future<Output = ()> + Send + 'static);
}

/// A node of the DHT on a task of the runtime `R`. Clones are cheap and name the same node; it ends when the last one
/// (and the last future or stream made from one) is dropped, by [`shutdown`](Self::shutdown), or with the runtime.
///
/// All that can be asked of a node is in [`Client`]. The futures are polled by any executor, also by another than `R`.
pub struct Dht<R> {
    client: Client,
    /// Never sends: it is closed when the driver has ended.
    ended: Receiver<Never>,
    runtime: PhantomData<fn() -> R>,
}

#[derive(Debug)]
enum Never {}

impl<R> Clone for Dht<R> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), ended: self.ended.clone(), runtime: PhantomData }
    }
}

impl<R> fmt::Debug for Dht<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dht").field(&self.client).finish()
    }
}

impl<R> Deref for Dht<R> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl<R> Dht<R> {
    /// Settings to start from.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// The handle behind this one, which is the same for every driver.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Ends the node, whoever still holds a handle, and waits until its task is gone and its port is free.
    pub async fn shutdown(&self) {
        self.client.shutdown();
        // Nothing is ever sent, so this is the driver's end.
        let _ = self.ended.recv().await;
    }
}

impl<R: Runtime> Builder<Dht<R>> {
    /// Binds the socket and spawns the task.
    ///
    /// # Errors
    /// The address is in use or not ours, a bootstrap address cannot be used, the runtime cannot watch the socket, or
    /// the system gives no randomness. With tokio: it is called outside of a runtime.
    pub fn build(self) -> Result<Dht<R>, BuildError> {
        let Parts { sockets, addrs, turn, clock, commands: (sender, commands) } = self.parts()?;
        let out = sockets.iter().map(UdpSocket::try_clone).collect::<Result<_, _>>().map_err(BuildError::Driver)?;
        let sockets = sockets.into_iter().map(R::socket).collect::<Result<_, _>>()?;
        let (alive, ended) = async_channel::bounded(1);
        // The channel wakes the driver.
        let client = Client::new(sender, Waker::noop().clone(), turn.node().id(), addrs.clone());
        let driver = Driver::<R> { sockets, addrs, out, commands, turn, clock, _alive: alive };
        R::spawn(driver.run());
        Ok(Dht { client, ended, runtime: PhantomData })
    }
}

/// Why the driver has woken up.
enum Woken {
    /// On the socket with this number.
    Datagram(usize, io::Result<(usize, SocketAddr)>),
    Command(Result<Command, RecvError>),
    Timer,
}

struct Driver<R: Runtime> {
    /// One, or two of different families.
    sockets: Vec<R::Socket>,
    addrs: Vec<SocketAddr>,
    /// The same sockets, to send: a packet goes out at once or, as packets may, is lost. Nothing waits for it.
    out: Vec<UdpSocket>,
    commands: Receiver<Command>,
    turn: Turn,
    clock: Clock,
    /// The last field, so that it is dropped when the sockets are.
    _alive: Sender<Never>,
}

impl<R: Runtime> Drop for Driver<R> {
    fn drop(&mut self) {
        Turn::close(&self.commands);
    }
}

impl<R: Runtime> Driver<R> {
    async fn run(mut self) {
        let mut incoming = [vec![0; INCOMING], vec![0; INCOMING]];
        let mut timer = pin!(R::sleep(Duration::ZERO));
        // What the timer is set to. It is left alone while that stays the same, which is most of the time.
        let mut set = None;
        // Packets sent and things taken in since others had their turn.
        let mut busy = 0;
        loop {
            match self.turn.next(self.clock.now()) {
                Step::Send(packet) => {
                    let to = packet.to;
                    let sent = match of_family(&self.addrs, &self.out, to) {
                        Some(socket) => send(socket, packet.datagram, to),
                        None => Err(SendFailure::Unreachable),
                    };
                    if sent == Err(SendFailure::Unreachable) {
                        self.turn.on_unreachable(self.clock.now(), to);
                    }
                    busy += 1;
                }
                Step::Wait(deadline) => {
                    if deadline != set {
                        if let Some(at) = deadline {
                            timer.set(R::sleep(at.since(self.clock.now())));
                        }
                        set = deadline;
                    }
                    let [first, second] = &mut incoming;
                    let datagram = receive::<R>(&self.sockets, 0, first).or(receive::<R>(&self.sockets, 1, second));
                    let command = async { Woken::Command(self.commands.recv().await) };
                    let due = async {
                        match set {
                            Some(_) => timer.as_mut().await,
                            None => pending().await,
                        }
                        Woken::Timer
                    };
                    match datagram.or(command).or(due).await {
                        Woken::Datagram(number, received) => {
                            self.on_received(number, received, &incoming[number]);
                            busy += 1 + self.take_datagrams(&mut incoming).await;
                        }
                        Woken::Command(Ok(command)) => self.turn.on_command(self.clock.now(), command),
                        Woken::Command(Err(RecvError)) => self.turn.on_abandoned(),
                        // It has done its work, and must be set anew before it is waited for.
                        Woken::Timer => set = None,
                    }
                    busy += self.take_commands();
                    if deadline.is_some_and(|at| at <= self.clock.now()) {
                        self.turn.on_timeout(self.clock.now());
                    }
                }
                Step::End => return,
            }
            // Answers come in while there is still much to ask, and the other tasks of this thread want to run.
            if busy >= BATCH {
                yield_now().await;
                busy = 0;
                self.take_datagrams(&mut incoming).await;
            }
        }
    }

    /// Reads what has arrived, and answers. Says how much it was.
    async fn take_datagrams(&mut self, incoming: &mut [Vec<u8>; 2]) -> usize {
        let mut taken = 0;
        for (number, incoming) in incoming.iter_mut().enumerate().take(self.sockets.len()) {
            for _ in 0..BATCH {
                let Some(received) = poll_once(R::recv_from(&self.sockets[number], incoming)).await else { break };
                self.on_received(number, received, incoming);
                taken += 1;
            }
        }
        taken
    }

    fn on_received(&mut self, number: usize, received: io::Result<(usize, SocketAddr)>, incoming: &[u8]) {
        // An error is the echo of a packet to a closed port, or a passing shortage: the next read goes on.
        let Ok((len, from)) = received else { return };
        if let Some(answer) = self.turn.on_datagram(self.clock.now(), from, &incoming[..len]) {
            // An answer that is lost is asked for again.
            let _ = send(&self.out[number], answer.datagram, answer.to);
        }
    }

    fn take_commands(&mut self) -> usize {
        for taken in 0..BATCH {
            match self.commands.try_recv() {
                Ok(command) => self.turn.on_command(self.clock.now(), command),
                Err(TryRecvError::Empty) => return taken,
                Err(TryRecvError::Closed) => {
                    self.turn.on_abandoned();
                    return taken;
                }
            }
        }
        BATCH
    }
}

/// Waits for a datagram on the socket with this number; for ever, if there is none.
async fn receive<R: Runtime>(sockets: &[R::Socket], number: usize, incoming: &mut [u8]) -> Woken {
    match sockets.get(number) {
        Some(socket) => Woken::Datagram(number, R::recv_from(socket, incoming).await),
        None => pending().await,
    }
}
