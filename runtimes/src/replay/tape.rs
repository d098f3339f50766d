//! A trace as a running node writes it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bep44_core::{Config, Instant, Storage};
use bep44_trace::{About, Outputs, Recorded};

use crate::turn::Driven;

/// What is recorded waits in memory for so long at most, if nothing else happens: so much of a trace `kill -9` may take.
const KEEP_EVERY: Duration = Duration::from_millis(250);

/// Why a file cannot be made a trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There is a file that is no trace. It was not changed.
    #[error("{} is there and is no trace: choose another name", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us write.
    #[error("cannot write the trace {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A trace to be written by a node: see [`Builder::record`](crate::Builder::record).
pub struct Recording {
    to: Box<dyn Write + Send + Sync>,
    outputs: Outputs,
    shared: Arc<Shared>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

impl Recording {
    /// A trace in the file `path`, which only its owner can read: the node's seed is in it. A trace that is there already is
    /// replaced; any other file is left alone.
    ///
    /// # Errors
    /// There is another file, or the system says no.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let failed = |source| RecordError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(path).map_err(failed)?;
        if !may_be_replaced(&mut file).map_err(failed)? {
            return Err(RecordError::Exists { path: path.to_owned() });
        }
        Ok(Self::to(file))
    }

    /// A trace that is written to anything: a socket, a pipe, memory.
    #[must_use]
    pub fn to(writer: impl Write + Send + Sync + 'static) -> Self {
        Self { to: Box::new(writer), outputs: Outputs::Full, shared: Arc::default() }
    }

    /// How outputs are written (default: in full, so that a difference can be shown; short ones take about half the room).
    #[must_use]
    pub const fn outputs(mut self, outputs: Outputs) -> Self {
        self.outputs = outputs;
        self
    }

    /// Where to ask how the writing goes.
    #[must_use]
    pub fn monitor(&self) -> RecordingMonitor {
        RecordingMonitor(Arc::clone(&self.shared))
    }

    pub(crate) fn start(
        self,
        storage: Storage<'static>,
        config: &Config,
        now: Instant,
        addrs: &[SocketAddr],
    ) -> Driven {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let about = About {
            outputs: self.outputs,
            unix_micros: unix.and_then(|unix| u64::try_from(unix.as_micros()).ok()),
            local: addrs.iter().copied().find(SocketAddr::is_ipv4),
            local6: addrs.iter().copied().find(SocketAddr::is_ipv6),
        };
        let tape = Tape { to: BufWriter::new(self.to), shared: self.shared, kept: now };
        Recorded::start(storage, config, now, &about, tape)
    }
}

/// Tells how the writing of a trace goes, as long as anybody wants to know.
#[derive(Debug, Clone)]
pub struct RecordingMonitor(Arc<Shared>);

impl RecordingMonitor {
    /// Why the trace is not written any more, if it is not. What was written before is there.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Octets of the trace so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.0.octets.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Shared {
    octets: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// Where a driver's node writes its trace.
pub(crate) struct Tape {
    to: BufWriter<Box<dyn Write + Send + Sync>>,
    shared: Arc<Shared>,
    /// When everything was last written out.
    kept: Instant,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl bep44_trace::Write for Tape {
    type Error = io::Error;

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let written = self.to.write_all(octets);
        self.shared.octets.fetch_add(octets.len() as u64, Ordering::Relaxed);
        self.shared.heed(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.shared.heed(flushed)
    }
}

impl Shared {
    /// Remembers a failure for the monitor.
    fn heed(&self, written: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &written {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        written
    }
}

/// Before a pause until `deadline`: writes out what was recorded, unless that was done a moment ago and the pause is a short
/// one. Why nothing is recorded any more, told once.
pub(crate) fn keep(node: &mut Driven, now: Instant, deadline: Option<Instant>) -> Option<String> {
    if let Some(tape) = node.writer() {
        let is_short = deadline.is_some_and(|at| at.since(now) < KEEP_EVERY);
        if !is_short || now.since(tape.kept) >= KEEP_EVERY {
            tape.kept = now;
            node.flush();
        }
    }
    node.failure().map(|error| error.to_string())
}

/// Whether the file is empty or a trace, which is emptied then; or something that has no content to lose, like a pipe.
fn may_be_replaced(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(true);
    }
    let mut head = Vec::new();
    file.take(8).read_to_end(&mut head)?;
    // A trace of another version is one as well.
    let is_trace = head.len() == 8 && !matches!(bep44_trace::header(&head), Err(bep44_trace::Fault::NotATrace));
    if head.is_empty() || is_trace {
        file.rewind()?;
        file.set_len(0)?;
        return Ok(true);
    }
    Ok(false)
}
