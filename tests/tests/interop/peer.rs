//! Nodes of other implementations, as processes that are driven by lines of JSON: `tests/interop/README.md`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// How long a peer may take for anything. Long, because some of them wait for one another: the README's "Asking".
const PATIENCE: Duration = Duration::from_secs(90);

/// How much longer its process may take to say that it has given up.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Ours,
    Libtorrent,
    BittorrentDht,
    Mainline,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Libtorrent, Self::BittorrentDht, Self::Mainline];
    pub(crate) const THEIRS: [Self; 3] = [Self::Libtorrent, Self::BittorrentDht, Self::Mainline];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Libtorrent => "libtorrent",
            Self::BittorrentDht => "bittorrent-dht",
            Self::Mainline => "mainline",
        }
    }
}

/// Why something asked of a node did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The storing nodes said no, most of them with this code.
    Refused(i64),
    /// Nobody took it, and the asker does not say why.
    NotStored,
    /// This implementation cannot be asked for it.
    Unsupported,
    /// Anything else, which no test expects.
    Other(String),
}

type Answer = Map<String, Value>;

/// One process of peers. It ends with this value, however the test ends.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    child: Mutex<Child>,
    requests: Mutex<Option<ChildStdin>>,
    waiting: Arc<Mutex<HashMap<u64, mpsc::Sender<Answer>>>>,
    number: AtomicU64,
}

impl Peer {
    pub(crate) fn start(kind: Kind) -> Arc<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/.peers/bin").join(kind.name());
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: has tests/interop/setup been run?", program.display()));
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let waiting: Arc<Mutex<HashMap<u64, mpsc::Sender<Answer>>>> = Arc::default();
        let (ready, greeting) = mpsc::channel();
        let mut peer = Self {
            kind,
            version: String::new(),
            child: Mutex::new(child),
            requests: Mutex::new(Some(requests)),
            waiting: Arc::clone(&waiting),
            number: AtomicU64::new(0),
        };
        // Ends with the process, whose output it reads.
        std::thread::spawn(move || {
            for line in answers.lines() {
                let Ok(Ok(Value::Object(answer))) = line.map(|line| serde_json::from_str(&line)) else { break };
                if answer.contains_key("event") {
                    let _ = ready.send(answer);
                } else if let Some(waiter) = answer["id"].as_u64().and_then(|id| waiting.lock().unwrap().remove(&id)) {
                    let _ = waiter.send(answer);
                }
            }
            // Whoever still waits learns at once that nothing comes.
            waiting.lock().unwrap().clear();
        });
        let greeting = greeting.recv_timeout(Duration::from_secs(20)).expect("the peer says that it is ready");
        assert_eq!((&greeting["kind"], &greeting["protocol"]), (&json!(kind.name()), &json!(1)));
        peer.version = greeting["version"].as_str().unwrap_or_default().to_owned();
        Arc::new(peer)
    }

    fn tell(&self, op: &str, mut request: Value) -> mpsc::Receiver<Answer> {
        let id = self.number.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        request["op"] = json!(op);
        request["timeout_ms"] = json!(PATIENCE.as_millis());
        let (waiter, answer) = mpsc::channel();
        self.waiting.lock().unwrap().insert(id, waiter);
        if let Some(requests) = &mut *self.requests.lock().unwrap() {
            // If the process is gone, the thread that reads it drops `waiter`.
            let _ = writeln!(requests, "{request}").and_then(|()| requests.flush());
        }
        answer
    }

    pub(crate) fn ask(&self, op: &str, request: Value) -> Result<Answer, Failure> {
        let answer = self.tell(op, request).recv_timeout(PATIENCE + GRACE);
        let answer = answer.map_err(|_| Failure::Other(format!("{op}: the process does not answer")))?;
        if answer["ok"] == json!(true) {
            return Ok(answer);
        }
        Err(match (answer["error"].as_str(), answer.get("code").and_then(Value::as_i64)) {
            (Some("refused"), Some(code)) => Failure::Refused(code),
            (Some("not_stored"), _) => Failure::NotStored,
            (Some("unsupported"), _) => Failure::Unsupported,
            _ => Failure::Other(format!("{op}: {}", Value::Object(answer))),
        })
    }

    /// Starts a node in this process.
    pub(crate) fn node(self: &Arc<Self>, bind: SocketAddr, bootstrap: &[SocketAddr], read_only: bool) -> PeerNode {
        let mut request = json!({
            "bind": bind.to_string(),
            "bootstrap": bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        if read_only {
            request["read_only"] = json!(true);
        }
        let started = self.ask("start", request).unwrap();
        PeerNode {
            number: started["node"].as_u64().unwrap(),
            addr: started["addr"].as_str().unwrap().parse().unwrap(),
            peer: Arc::clone(self),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Closing its input ends it; one that does not obey is killed.
        *self.requests.lock().unwrap() = None;
        let child = self.child.get_mut().unwrap();
        let end = Instant::now() + GRACE;
        while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A node in such a process. Stops with this value.
pub(crate) struct PeerNode {
    pub(crate) peer: Arc<Peer>,
    pub(crate) addr: SocketAddr,
    number: u64,
}

impl PeerNode {
    pub(crate) fn ask(&self, op: &str, mut request: Value) -> Result<Answer, Failure> {
        request["node"] = json!(self.number);
        self.peer.ask(op, request)
    }
}

impl Drop for PeerNode {
    fn drop(&mut self) {
        // Waited for, so that what is measured next is not measured beside its end; if it fails, so what.
        let _ = self.peer.tell("stop", json!({ "node": self.number })).recv_timeout(GRACE);
    }
}
