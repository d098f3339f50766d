//! What all drivers need to be told, and what they are made of.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
#[cfg(feature = "redb")]
use std::path::PathBuf;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use bep44_core::id::NodeId;
use bep44_core::{Capacity, Config, Node, Storage};

use crate::clock::Clock;
use crate::error::BuildError;
#[cfg(feature = "redb")]
use crate::persist::DataDir;
#[cfg(feature = "replay")]
use crate::replay::Recording;
use crate::socket;
#[cfg(feature = "replay")]
use crate::turn::Driven;
use crate::turn::{Command, Turn};

/// Settings of a node that the driver `D` runs. Those that are not given have a default that suits most.
#[must_use = "nothing runs before `build`"]
pub struct Builder<D> {
    bind: SocketAddr,
    also_bind: Option<SocketAddr>,
    bootstrap: Vec<SocketAddr>,
    capacity: Option<Capacity>,
    seed: Option<[u8; 32]>,
    config: Config,
    external_ip: Option<IpAddr>,
    patience: Duration,
    #[cfg(feature = "redb")]
    data: Option<Data>,
    #[cfg(feature = "replay")]
    recording: Option<Recording>,
    driver: PhantomData<fn() -> D>,
}

impl<D> fmt::Debug for Builder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed is a secret.
        f.debug_struct("Builder")
            .field("bind", &self.bind)
            .field("also_bind", &self.also_bind)
            .field("bootstrap", &self.bootstrap)
            .field("capacity", &self.capacity)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// What a driver is made of.
pub(crate) struct Parts {
    /// One, or two of different families.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Their addresses, with the real ports.
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) turn: Turn,
    pub(crate) clock: Clock,
    pub(crate) commands: (Sender<Command>, Receiver<Command>),
}

impl<D> Builder<D> {
    pub(crate) fn new() -> Self {
        Self {
            bind: (Ipv4Addr::UNSPECIFIED, 0).into(),
            also_bind: None,
            bootstrap: Vec::new(),
            capacity: None,
            seed: None,
            config: Config::new([0; 32]),
            external_ip: None,
            patience: Duration::from_secs(60),
            #[cfg(feature = "redb")]
            data: None,
            #[cfg(feature = "replay")]
            recording: None,
            driver: PhantomData,
        }
    }

    /// The address to listen on (default: IPv4, all interfaces, a port of the system's choice). Its family is the
    /// network that the node takes part in; see [`also_bind`](Self::also_bind) for both.
    pub const fn bind(mut self, addr: SocketAddr) -> Self {
        self.bind = addr;
        self
    }

    /// A second address to listen on, of the other family: the node then takes part in both networks (BEP 32). Each query
    /// goes through both and is one to who waits for it.
    ///
    /// BEP 32 wants an IPv6 socket bound to one global address rather than to all, so that answers come from where the
    /// question went.
    pub const fn also_bind(mut self, addr: SocketAddr) -> Self {
        self.also_bind = Some(addr);
        self
    }

    /// Adds nodes of the network that are asked as long as no other is known. Those of a family that the node does not
    /// listen in are passed over.
    pub fn bootstrap(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.bootstrap.extend(addrs);
        self
    }

    /// The sizes of the node's tables (default: [`Capacity::home`]; for a read-only node, one that stores nothing for
    /// others).
    pub const fn capacity(mut self, capacity: Capacity) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// What all randomness of the node grows from (default: from the system). Not to be used twice, except to replay.
    pub const fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The node's id (default: random). A node that restarts should keep its id.
    pub const fn id(mut self, id: NodeId) -> Self {
        self.config.id = Some(id);
        self
    }

    /// The node's address on the Internet, if it is known: the node then has an id that suits it (BEP 42), which others
    /// prefer. An id that was given, or saved in the data directory, is kept if it does, and replaced if not.
    pub const fn external_ip(mut self, ip: IpAddr) -> Self {
        self.external_ip = Some(ip);
        self
    }

    /// Whether the node only asks and never answers (BEP 43; default: no). For who stays a few seconds, or cannot be
    /// reached.
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.config.read_only = read_only;
        self
    }

    /// How long a query may take altogether (default: 60 s) before it fails with [`Error::TimedOut`].
    ///
    /// [`Error::TimedOut`]: crate::Error::TimedOut
    pub const fn timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Keeps what the node holds in the directory `path`, which is made if it is not there, and starts with what is in
    /// it: see [`persist`](crate::persist). Building then waits for the disk (and some 50 µs for each signature that is
    /// verified), and so does ending the node, for as long as the last commit takes.
    #[cfg(feature = "redb")]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(Data::At(path.into()));
        self
    }

    /// The same with a directory that is open already, to change its settings or to watch it.
    #[cfg(feature = "redb")]
    pub fn data(mut self, dir: DataDir) -> Self {
        self.data = Some(Data::Open(dir));
        self
    }

    /// Writes all that the node is told and says to a trace: see [`replay`](crate::replay). What the node does is the same
    /// with and without.
    #[cfg(feature = "replay")]
    pub fn record(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Changes any other setting of the core. The seed is set afterwards.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn parts(self) -> Result<Parts, BuildError> {
        let Self { bind, also_bind, bootstrap, capacity, seed, mut config, external_ip, patience, .. } = self;
        if let Some(second) = also_bind.filter(|second| second.is_ipv4() == bind.is_ipv4()) {
            return Err(BuildError::OneFamily { first: bind, second });
        }
        // First of all: who finds it in use should not even open a socket.
        #[cfg(feature = "redb")]
        let data = match self.data {
            Some(Data::At(path)) => Some(DataDir::open(path)?),
            Some(Data::Open(dir)) => Some(dir),
            None => None,
        };
        #[cfg(feature = "redb")]
        if let Some(dir) = &data {
            config.id = config.id.or(dir.id());
            config.report_items = true;
        }
        config.seed = match seed {
            Some(seed) => seed,
            None => random()?,
        };
        if let Some(ip) = external_ip
            && !config.id.is_some_and(|id| id.suits(ip))
        {
            config.id = Some(NodeId::for_ip(ip, random()?));
        }
        let mut capacity = capacity.unwrap_or(if config.read_only { asking_only() } else { Capacity::home() });
        // Who names no sizes for IPv6 means the same for both.
        if capacity.contacts6 == 0 && (bind.is_ipv6() || also_bind.is_some()) {
            capacity.contacts6 = capacity.contacts;
        }
        if bind.is_ipv6() && also_bind.is_none() {
            capacity.contacts = 0;
        }
        let (mut sockets, mut addrs) = (Vec::new(), Vec::new());
        for bind in [Some(bind), also_bind].into_iter().flatten() {
            let bind_error = |source| BuildError::Bind { addr: bind, source };
            let socket = socket::bind(bind).map_err(bind_error)?;
            addrs.push(socket.local_addr().map_err(bind_error)?);
            sockets.push(socket);
        }
        let clock = Clock::start();
        let storage = Storage::boxed(&capacity);
        #[cfg(not(feature = "replay"))]
        let mut node = Node::new(storage, &config, clock.now());
        #[cfg(feature = "replay")]
        let mut node = match self.recording {
            Some(recording) => recording.start(storage, &config, clock.now(), &addrs),
            None => Driven::unrecorded(Node::new(storage, &config, clock.now())),
        };
        let listens = |addr: &SocketAddr| addrs.iter().any(|own| own.is_ipv4() == addr.is_ipv4());
        for addr in bootstrap.into_iter().filter(listens) {
            node.add_bootstrap(addr).map_err(|source| BuildError::Bootstrap { addr, source })?;
        }
        #[cfg(feature = "redb")]
        let sink = data.map(|dir| dir.attach(&mut node, clock.now(), &capacity)).transpose()?;
        #[cfg_attr(not(feature = "redb"), expect(unused_mut, reason = "nothing is added to it"))]
        let mut turn = Turn::driving(node, patience);
        #[cfg(feature = "redb")]
        if let Some(sink) = sink {
            turn.set_sink(sink);
        }
        Ok(Parts { sockets, addrs, turn, clock, commands: async_channel::unbounded() })
    }
}

fn random<const N: usize>() -> Result<[u8; N], BuildError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(BuildError::Seed)?;
    Ok(octets)
}

/// Where the node's data are.
#[cfg(feature = "redb")]
enum Data {
    At(PathBuf),
    Open(DataDir),
}

/// Room for a few queries, and for nothing that others store.
const fn asking_only() -> Capacity {
    Capacity { contacts: 64, contacts6: 0, transactions: 128, queries: 8, items: 0, values: 0, peers: 0 }
}
