//! A small network of `bep44 node` processes on loopback, and one-shot commands in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here should take, on the slowest host.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running command; ended when it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bep44"));
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, lines }
    }

    /// The next line that it writes.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Whether there is nothing that it has written and nobody has read.
    pub(crate) fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Asks it to end, as a person or a service manager does, and returns its exit status.
    #[cfg(unix)]
    pub(crate) fn signal(mut self, name: &str) -> Option<i32> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let start = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `bep44 node`; ended when it is dropped.
pub(crate) struct Node {
    running: Running,
    pub(crate) addr: SocketAddr,
    pub(crate) id: String,
}

impl Node {
    /// One that has joined, if there is something to join.
    pub(crate) fn start(bootstrap: Option<SocketAddr>) -> Self {
        Self::joined(bootstrap, &[])
    }

    fn joined(bootstrap: Option<SocketAddr>, options: &[&str]) -> Self {
        let node = Self::with(bootstrap, options);
        if bootstrap.is_some() {
            assert_eq!(node.event()["event"], "joined");
        }
        node
    }

    /// One that listens.
    pub(crate) fn with(bootstrap: Option<SocketAddr>, options: &[&str]) -> Self {
        let bootstrap = bootstrap.map(|addr| addr.to_string());
        let bootstrap: Vec<_> = bootstrap.iter().flat_map(|addr| ["--bootstrap", addr.as_str()]).collect();
        let bind: &[&str] = if options.contains(&"--bind") { &[] } else { &["--bind", "127.0.0.1:0"] };
        let running = Running::start(&[&["node", "--json"], bind, &bootstrap, options].concat());
        let first = running.object();
        assert_eq!(first["event"], "listening");
        let (addr, id) = (text(&first["addr"]).parse().unwrap(), text(&first["id"]).to_owned());
        Self { running, addr, id }
    }

    /// The next thing that it tells.
    pub(crate) fn event(&self) -> Value {
        self.running.object()
    }

    /// Asks it to end, as a person or a service manager does, and returns its exit status.
    #[cfg(unix)]
    pub(crate) fn signal(self, name: &str) -> Option<i32> {
        self.running.signal(name)
    }
}

/// Nodes that have joined one network.
pub(crate) struct Network(pub(crate) Vec<Node>);

impl Network {
    pub(crate) fn start(nodes: usize) -> Self {
        Self::start_with(nodes, &[])
    }

    pub(crate) fn start_with(nodes: usize, options: &[&str]) -> Self {
        let first = Node::with(None, options);
        let addr = first.addr;
        Self(std::iter::once(first).chain((1..nodes).map(|_| Node::joined(Some(addr), options))).collect())
    }

    /// Runs a command in it.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let addr = self.0[0].addr.to_string();
        run(&[args, &["--bind", "127.0.0.1:0", "--bootstrap", &addr]].concat())
    }

    /// Runs a command in it that should succeed, and returns what it wrote.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--json"]].concat());
        assert_eq!(done.status, Some(0), "{done:?}");
        done.object()
    }
}

/// What a command has done.
#[derive(Debug)]
pub(crate) struct Done {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The one line on standard output.
    pub(crate) fn object(&self) -> Value {
        let lines: Vec<_> = self.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        serde_json::from_str(lines[0]).unwrap()
    }

    /// That it was refused as wrong usage, in one line that has all of `words` in it.
    pub(crate) fn is_usage(&self, words: &[&str]) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        self.says(words);
    }

    /// That standard error is one line that has all of `words` in it.
    pub(crate) fn says(&self, words: &[&str]) {
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert!(words.iter().all(|word| self.stderr.contains(word)), "{words:?} in {self:?}");
    }
}

pub(crate) fn run(args: &[&str]) -> Done {
    run_with_input(args, b"")
}

pub(crate) fn run_with_input(args: &[&str], input: &[u8]) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bep44"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Done { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
