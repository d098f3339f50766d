//! Would system calls for several datagrams at once pay for the drivers? A node answers on a socket of the loopback
//! interface, in a thread with the loop of the blocking driver, and a second thread keeps a window of queries in flight.
//! Only the calls that read and send differ:
//!
//! - `plain`: `recv_from` until it would block, `send_to` for each answer: what the drivers do.
//! - `quinn-udp`: `recvmmsg`, up to 32 datagrams a call; `sendmsg` for each answer. Up to version 0.4 that crate had
//!   `sendmmsg`. Since then it sends several datagrams in one call only by segmentation offload, to one address, which
//!   does not apply to answers: each goes to who asked.
//! - `both`: `recvmmsg` and `sendmmsg`, through `nix`, with none of the socket options that `quinn-udp` sets: the most
//!   that batches can bring, whatever the crate.
//!
//! What counts is the processor time of the node's thread for each query. The node has an empty routing table and the
//! client reads and sends in batches itself, both in favour of batches.
//!
//! Run with `cargo bench -p bep44 --bench batching`; a number behind `--` is the queries of one run (default: 5,000).
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("measured on Linux only: recvmmsg, and the processor time of one thread");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use bep44::core::wire::{self, Message, Method, Put, Query, Want};
    use bep44::core::{Node, Rate, Storage};
    use bep44::turn::{Step, Turn};
    use bep44::{Capacity, Clock, Config, Immutable, NodeId, Target};
    use mio::net::UdpSocket;
    use mio::{Events, Interest, Poll, Token};
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
    use nix::time::{ClockId, clock_gettime};
    use nix::unistd::Pid;
    use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
    use socket2::{Domain, Protocol, Socket, Type};

    /// As in the drivers.
    const INCOMING: usize = 2_048;
    const TURN: usize = 64;
    const RECEIVE_BUFFER: usize = 1 << 20;

    /// Datagrams in one call: what `quinn-udp` takes.
    const BATCH: usize = quinn_udp::BATCH_SIZE;
    /// Room for what the kernel may join into one datagram for `quinn-udp`, which switches that on. Not a multiple of a
    /// page, lest all datagrams meet in the same lines of the cache.
    const JOINED: usize = 66_000;

    const WINDOWS: [usize; 3] = [1, 8, 64];
    const QUERIES: usize = 5_000;
    const ROUNDS: usize = 15;
    /// Answered before a run is measured.
    const WARM_UP: usize = 500;

    const ASKER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7_000));

    pub(crate) fn main() {
        let arguments: Vec<_> = std::env::args().collect();
        let number = arguments.iter().find_map(|argument| argument.parse().ok());
        // As a test, it only has to work.
        let is_test = !arguments.iter().any(|argument| argument == "--bench");
        let (queries, rounds) = if is_test { (1_000, 1) } else { (number.unwrap_or(QUERIES), ROUNDS) };

        println!("{rounds} rounds of {queries} queries; medians; ratios are of processor time, plain / other");
        println!();
        println!("| query | window | calls | CPU, ns a query | ratio (middle half) | queries a second | a read |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for kind in [Kind::Ping, Kind::Get] {
            for window in WINDOWS {
                let mut runs = vec![Vec::new(); Calls::ALL.len()];
                for round in 0..rounds {
                    // Each in turn, and each first in turn.
                    for number in 0..Calls::ALL.len() {
                        let number = (number + round) % Calls::ALL.len();
                        runs[number].push(run(Calls::ALL[number], kind, window, queries));
                    }
                }
                for (calls, others) in Calls::ALL.iter().zip(&runs) {
                    let pairs = runs[0].iter().zip(others);
                    let mut ratios: Vec<_> = pairs.map(|(plain, other)| plain.cpu / other.cpu).collect();
                    ratios.sort_by(f64::total_cmp);
                    let of = |figure: fn(&Run) -> f64| median(others.iter().map(figure));
                    println!(
                        "| {} | {window} | {} | {:.0} | {:.2} ({:.2}-{:.2}) | {:.0} | {:.1} |",
                        kind.name(),
                        calls.name(),
                        of(|run| run.cpu),
                        median(ratios.iter().copied()),
                        ratios[rounds / 4],
                        ratios[rounds - 1 - rounds / 4],
                        of(|run| run.rate),
                        of(|run| run.a_read),
                    );
                }
            }
        }
    }

    fn median(values: impl Iterator<Item = f64>) -> f64 {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Ping,
        Get,
    }

    impl Kind {
        const fn name(self) -> &'static str {
            match self {
                Self::Ping => "`ping`",
                Self::Get => "`get`, 1,000 octets",
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Calls {
        Plain,
        QuinnUdp,
        Both,
    }

    impl Calls {
        const ALL: [Self; 3] = [Self::Plain, Self::QuinnUdp, Self::Both];

        const fn name(self) -> &'static str {
            match self {
                Self::Plain => "plain",
                Self::QuinnUdp => "`quinn-udp`",
                Self::Both => "both",
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    struct Run {
        /// Nanoseconds of the processor for each query.
        cpu: f64,
        /// Queries a second.
        rate: f64,
        /// Queries that a call brought which read any.
        a_read: f64,
    }

    #[derive(Debug, Clone, Copy)]
    struct Counts {
        answered: usize,
        /// Calls that read something.
        reads: usize,
    }

    fn run(calls: Calls, kind: Kind, window: usize, queries: usize) -> Run {
        let ((socket, addr), (asker, asker_addr)) = (bind(), bind());
        let bell = socket.try_clone().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let query = match kind {
                Kind::Ping => query(Method::Ping),
                Kind::Get => get(item().target()),
            };
            let done = &done;
            scope.spawn(move || ask(&asker, addr, &query, window, done));
            let server = scope.spawn(move || {
                let run = serve(calls, socket, queries);
                done.store(true, Ordering::Relaxed);
                // It may wait for an answer.
                bell.send_to(&[], asker_addr).unwrap();
                run
            });
            server.join().unwrap()
        })
    }

    fn bind() -> (std::net::UdpSocket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let socket = std::net::UdpSocket::from(socket);
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    /// An item whose bencoded value has 1,000 octets.
    fn item() -> Immutable {
        Immutable::new([b"996:".as_slice(), &[b'x'; 996]].concat()).unwrap()
    }

    fn query(method: Method<'_>) -> Vec<u8> {
        let mut buf = [0; INCOMING];
        let query = Query { transaction: b"abcd", sender: NodeId::new([0x55; 20]), read_only: true, method };
        let len = query.write(Some(*b"XX01"), &mut buf).unwrap();
        buf[..len].to_vec()
    }

    /// A node that holds the item.
    fn turn(clock: Clock) -> Turn {
        let config = Config { queries: Rate::UNLIMITED, ..Config::new([1; 32]) };
        let mut turn = Turn::new(Node::new(Storage::boxed(&Capacity::home()), &config, clock.now()), Duration::MAX);
        let (item, target) = (item(), item().target());
        let token = answer(&mut turn, clock, &get(target), |message| match message {
            Message::Reply(reply) => reply.token.unwrap().to_vec(),
            other => panic!("{other:?}"),
        });
        let put = Put { token: &token, value: item.value(), mutable: None, target: None };
        answer(&mut turn, clock, &query(Method::Put(put)), |message| assert!(matches!(message, Message::Reply(_))));
        answer(&mut turn, clock, &get(target), |message| match message {
            Message::Reply(reply) => assert_eq!(reply.value, Some(item.value())),
            other => panic!("{other:?}"),
        });
        turn
    }

    fn get(target: Target) -> Vec<u8> {
        query(Method::Get { target, seq: None, want: Want::UNSAID })
    }

    fn answer<T>(turn: &mut Turn, clock: Clock, query: &[u8], read: impl FnOnce(Message<'_>) -> T) -> T {
        let answer = turn.on_datagram(clock.now(), ASKER, query).unwrap();
        read(wire::parse(answer.datagram).unwrap())
    }

    /// A processor of its own for each of the two threads, so that all runs are alike. A wish.
    fn stay_on(processor: usize) {
        let mut set = CpuSet::new();
        let _ = set.set(processor);
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }

    fn cpu_time() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
    }

    /// The loop of the blocking driver, without commands and with one socket.
    fn serve(calls: Calls, socket: std::net::UdpSocket, queries: usize) -> Run {
        stay_on(0);
        socket.set_nonblocking(true).unwrap();
        let clock = Clock::start();
        let mut turn = turn(clock);
        let mut poll = Poll::new().unwrap();
        let mut socket = UdpSocket::from_std(socket);
        poll.registry().register(&mut socket, Token(0), Interest::READABLE).unwrap();
        let mut reader: Box<dyn Reader> = match calls {
            Calls::Plain => Box::new(Plain { incoming: vec![0; INCOMING] }),
            Calls::QuinnUdp => Box::new(QuinnUdp::new(&socket)),
            Calls::Both => Box::new(Both::new()),
        };

        let mut events = Events::with_capacity(3);
        let mut readable = false;
        let mut counts = Counts { answered: 0, reads: 0 };
        let mut start = None;
        while counts.answered < WARM_UP + queries {
            if start.is_none() && counts.answered >= WARM_UP {
                start = Some((counts, cpu_time(), Instant::now()));
            }
            let deadline = match turn.next(clock.now()) {
                Step::Wait(deadline) => deadline,
                step => panic!("{step:?}"),
            };
            let wait = if readable { Some(Duration::ZERO) } else { deadline.map(|at| at.since(clock.now())) };
            poll.poll(&mut events, wait).unwrap();
            if readable || !events.is_empty() {
                readable = reader.take(&socket, &mut turn, clock, &mut counts);
            }
            if deadline.is_some_and(|at| at <= clock.now()) {
                turn.on_timeout(clock.now());
            }
        }
        let (before, cpu, time) = start.unwrap();
        let measured = (counts.answered - before.answered) as f64;
        Run {
            cpu: (cpu_time() - cpu).as_nanos() as f64 / measured,
            rate: measured / time.elapsed().as_secs_f64(),
            a_read: measured / (counts.reads - before.reads) as f64,
        }
    }

    trait Reader {
        /// Reads what has arrived, up to [`TURN`] datagrams, and answers. True if there may be more.
        fn take(&mut self, socket: &UdpSocket, turn: &mut Turn, clock: Clock, counts: &mut Counts) -> bool;
    }

    struct Plain {
        incoming: Vec<u8>,
    }

    impl Reader for Plain {
        fn take(&mut self, socket: &UdpSocket, turn: &mut Turn, clock: Clock, counts: &mut Counts) -> bool {
            for _ in 0..TURN {
                match socket.recv_from(&mut self.incoming) {
                    Ok((len, from)) => {
                        counts.reads += 1;
                        if let Some(answer) = turn.on_datagram(clock.now(), from, &self.incoming[..len]) {
                            let _ = socket.send_to(answer.datagram, answer.to);
                            counts.answered += 1;
                        }
                    }
                    Err(error) => return !is_empty(&error),
                }
            }
            true
        }
    }

    /// Nothing else than an empty socket ends the reading; on loopback, all that goes wrong passes.
    fn is_empty(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock
    }

    struct QuinnUdp {
        state: UdpSocketState,
        incoming: Vec<u8>,
    }

    impl QuinnUdp {
        fn new(socket: &UdpSocket) -> Self {
            Self { state: UdpSocketState::new(socket.into()).unwrap(), incoming: vec![0; BATCH * JOINED] }
        }
    }

    impl Reader for QuinnUdp {
        fn take(&mut self, socket: &UdpSocket, turn: &mut Turn, clock: Clock, counts: &mut Counts) -> bool {
            let mut left = TURN;
            while left > 0 {
                let mut buffers = self.incoming.chunks_exact_mut(JOINED);
                let mut buffers: [_; BATCH] = std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap()));
                let mut meta = [RecvMeta::default(); BATCH];
                let taken = match self.state.recv(socket.into(), &mut buffers, &mut meta) {
                    Ok(taken) => taken,
                    Err(error) => return !is_empty(&error),
                };
                counts.reads += 1;
                left = left.saturating_sub(taken);
                for (meta, buffer) in meta[..taken].iter().zip(&buffers) {
                    for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                        if let Some(answer) = turn.on_datagram(clock.now(), meta.addr, datagram) {
                            let transmit = Transmit {
                                destination: answer.to,
                                ecn: None,
                                contents: answer.datagram,
                                segment_size: None,
                                src_ip: None,
                            };
                            let _ = self.state.try_send(socket.into(), &transmit);
                            counts.answered += 1;
                        }
                    }
                }
            }
            true
        }
    }

    struct Both {
        incoming: Vec<u8>,
        outgoing: Vec<u8>,
        read: MultiHeaders<SockaddrIn>,
        sent: MultiHeaders<SockaddrIn>,
    }

    impl Both {
        fn new() -> Self {
            Self {
                incoming: vec![0; BATCH * INCOMING],
                outgoing: vec![0; BATCH * INCOMING],
                read: MultiHeaders::preallocate(BATCH, None),
                sent: MultiHeaders::preallocate(BATCH, None),
            }
        }
    }

    impl Reader for Both {
        fn take(&mut self, socket: &UdpSocket, turn: &mut Turn, clock: Clock, counts: &mut Counts) -> bool {
            let mut left = TURN;
            while left > 0 {
                let mut buffers = self.incoming.chunks_exact_mut(INCOMING);
                let mut buffers: [_; BATCH] = std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap())]);
                let flags = MsgFlags::empty();
                let read = match recvmmsg(socket.as_raw_fd(), &mut self.read, &mut buffers, flags, None) {
                    Ok(read) => read,
                    Err(error) => return !is_empty(&error.into()),
                };
                counts.reads += 1;
                let mut answers = 0;
                let mut lens = [0; BATCH];
                let mut addrs = [None; BATCH];
                for message in read {
                    left = left.saturating_sub(1);
                    let (Some(from), Some(datagram)) = (message.address, message.iovs().next()) else { continue };
                    let from = SocketAddrV4::new(from.ip(), from.port()).into();
                    if let Some(answer) = turn.on_datagram(clock.now(), from, datagram) {
                        let SocketAddr::V4(to) = answer.to else { continue };
                        // The turn has room for one answer.
                        let outgoing = &mut self.outgoing[answers * INCOMING..];
                        outgoing[..answer.datagram.len()].copy_from_slice(answer.datagram);
                        (lens[answers], addrs[answers]) = (answer.datagram.len(), Some(SockaddrIn::from(to)));
                        answers += 1;
                    }
                }
                if answers > 0 {
                    let mut answer = self.outgoing.chunks_exact(INCOMING).zip(lens);
                    let slices: [_; BATCH] = std::array::from_fn(|_| {
                        let (buffer, len) = answer.next().unwrap();
                        [IoSlice::new(&buffer[..len])]
                    });
                    let _ = sendmmsg(socket.as_raw_fd(), &mut self.sent, &slices[..answers], addrs, [], flags);
                    counts.answered += answers;
                }
            }
            true
        }
    }

    /// Keeps `window` queries on their way until the node has had enough.
    fn ask(socket: &std::net::UdpSocket, to: SocketAddr, query: &[u8], window: usize, done: &AtomicBool) {
        stay_on(1);
        socket.connect(to).unwrap();
        // What is lost is asked again.
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut incoming = vec![0; TURN * INCOMING];
        let mut read = MultiHeaders::<SockaddrIn>::preallocate(TURN, None);
        let mut sent = MultiHeaders::<SockaddrIn>::preallocate(TURN, None);
        let mut wanted = window;
        while !done.load(Ordering::Relaxed) {
            let slices = [[IoSlice::new(query)]; TURN];
            let flags = MsgFlags::empty();
            let _ = sendmmsg(socket.as_raw_fd(), &mut sent, &slices[..wanted], [None; TURN], [], flags);
            let mut buffers = incoming.chunks_exact_mut(INCOMING);
            let mut buffers: [_; TURN] = std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap())]);
            let flags = MsgFlags::MSG_WAITFORONE;
            wanted = match recvmmsg(socket.as_raw_fd(), &mut read, &mut buffers, flags, None) {
                Ok(answers) => answers.count(),
                Err(_) => window,
            };
        }
    }
}
