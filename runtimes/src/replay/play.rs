//! Replaying a trace, and where it first differs.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use bep44_core::{Capacity, Contact, Instant, ItemSlot, MAX_DATAGRAM, Node, PeerSlot, QuerySlot, Storage, Transaction};
use bep44_trace::{Difference, Output, OutputRecord, Record, Replayer, StepError};

use super::read::{Ending, Input, Inputs, TraceError, forged, octets_of};
use super::show;

/// Octets of tables that a replay takes at most, unless it is allowed more: ten times what the largest preset has. (The
/// sizes stand in the trace, and a forged one could name any.)
const MEMORY_LIMIT: u64 = 1 << 30;

/// Up to where a trace is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// So many calls.
    Call(u64),
    /// So long after the start.
    Time(Duration),
}

/// Where and how a replay differs from its trace.
#[derive(Debug, Clone)]
pub struct Divergence {
    /// The input that has brought something else; the start has number 0.
    pub input: Input,
    /// The time since the start.
    pub time: Duration,
    /// What is different.
    pub what: What,
    /// The octets of what came out now.
    pub actual: Option<Vec<u8>>,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The output, or what can be read from the node at the end.
    Differs(Difference),
    /// The node panicked.
    Panicked(String),
}

impl Divergence {
    /// What came out when it was recorded.
    #[must_use]
    pub fn expected(&self) -> Option<OutputRecord<'_>> {
        self.input.expected()
    }

    /// What came out now.
    #[must_use]
    pub fn actual_output(&self) -> Option<Output<'_>> {
        Output::decode(self.actual.as_deref()?)
    }
}

/// Several lines: the time, the input, and what was expected and came, side by side.
impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::divergence(self, f)
    }
}

/// What a replay has shown.
#[derive(Debug, Clone)]
#[must_use]
pub struct Report {
    /// Calls that were made.
    pub inputs: u64,
    /// Outputs that came of them, and the id of the node.
    pub outputs: u64,
    /// The running digest of all that came out: of two replays of one trace, on any two machines, the same.
    pub digest: [u8; 20],
    /// How the trace ends; `None` if the replay ended before.
    pub ending: Option<Ending>,
    /// The first difference.
    pub divergence: Option<Divergence>,
}

impl Report {
    /// Whether all that was replayed came out as it was recorded.
    #[must_use]
    pub const fn is_identical(&self) -> bool {
        self.divergence.is_none()
    }
}

/// One or several lines that say what was found.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.divergence {
            Some(divergence) => divergence.fmt(f)?,
            None => write!(f, "identical: {} inputs, {} outputs", self.inputs, self.outputs)?,
        }
        match self.ending {
            Some(Ending::Damaged(damage)) => write!(f, "\nthe trace is {damage}"),
            Some(Ending::Open) => f.write_str("\nthe trace has no end: its recorder was killed, or still runs"),
            Some(Ending::Complete) | None => Ok(()),
        }
    }
}

/// What an input has brought.
#[derive(Debug, Clone)]
pub struct Played {
    /// The input, and what was expected of it.
    pub input: Input,
    /// The time since the start.
    pub time: Duration,
    /// The octets of what came out now.
    pub actual: Option<Vec<u8>>,
    /// What is different, if anything is. What follows may differ as well.
    pub what: Option<What>,
}

impl Played {
    /// What came out now.
    #[must_use]
    pub fn output(&self) -> Option<Output<'_>> {
        Output::decode(self.actual.as_deref()?)
    }
}

/// A replay, input by input.
#[derive(Debug)]
pub struct Player<R> {
    inputs: Inputs<R>,
    replayer: Option<Replayer<'static>>,
    buf: Vec<u8>,
    limit: u64,
    begun: Instant,
    divergence: Option<Divergence>,
    ended: bool,
}

impl Player<BufReader<File>> {
    /// A replay of the trace in the file `path`.
    ///
    /// # Errors
    /// The system says no, or the file is no trace of our version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        Ok(Self::new(Inputs::open(path)?))
    }
}

impl<R: io::Read> Player<R> {
    /// A replay of these inputs, from the first.
    #[must_use]
    pub fn new(inputs: Inputs<R>) -> Self {
        Self {
            inputs,
            replayer: None,
            buf: vec![0; MAX_DATAGRAM],
            limit: MEMORY_LIMIT,
            begun: Instant::ZERO,
            divergence: None,
            ended: false,
        }
    }

    /// How many octets of tables the node may have (default: 1 GiB).
    #[must_use]
    pub const fn memory_limit(mut self, octets: u64) -> Self {
        self.limit = octets;
        self
    }

    /// The node, once it has started.
    #[must_use]
    pub fn node(&self) -> Option<&Node<'static>> {
        self.replayer.as_ref().and_then(Replayer::node)
    }

    /// Replays the next input; none is left at the end of the trace, where it is damaged, and after a panic.
    ///
    /// # Errors
    /// The trace cannot be read, was forged, or needs too much memory.
    #[expect(clippy::should_implement_trait, reason = "what fails is told once, and then there is nothing more")]
    pub fn next(&mut self) -> Result<Option<Played>, TraceError> {
        if self.ended {
            return Ok(None);
        }
        let Some(input) = self.inputs.next()? else {
            self.ended = true;
            return Ok(None);
        };
        let record = input.record().ok_or_else(|| forged("a record cannot be read again", input.offset))?;
        let replayer = match &mut self.replayer {
            Some(replayer) => replayer,
            replayer => {
                let Record::Start(start) = &record else { return Err(forged("it does not start", input.offset)) };
                self.begun = Instant::from_micros(start.now);
                replayer.insert(Replayer::new(storage(&start.capacity, self.limit)?))
            }
        };
        let (mut actual, buf) = (None, &mut self.buf);
        // The core does not panic; if it does all the same, that is what somebody wants to know.
        let step = catch_unwind(AssertUnwindSafe(|| {
            replayer.step(&record, buf, |step| actual = step.output.map(octets_of))?;
            match input.expected() {
                Some(expected) => replayer.step(&Record::Output(expected), buf, |_| ()),
                None if input.is_followed => replayer.settle(),
                None => Ok(()),
            }
        }));
        let mut what = match step {
            Ok(Ok(())) => None,
            Ok(Err(StepError::Differs { difference, .. })) => Some(What::Differs(difference)),
            Ok(Err(error)) => return Err(forged(&error.to_string(), input.offset)),
            Err(panic) => {
                self.ended = true;
                Some(What::Panicked(message(&*panic)))
            }
        };
        // With the last input comes the end.
        if what.is_none()
            && let Some(end) = self.inputs.end()
            && let Err(StepError::Differs { difference, .. }) = replayer.step(&Record::End(*end), buf, |_| ())
        {
            what = Some(What::Differs(difference));
        }
        let time = input.now.since(self.begun);
        if let Some(what) = &what
            && self.divergence.is_none()
        {
            self.divergence =
                Some(Divergence { input: input.clone(), time, what: what.clone(), actual: actual.clone() });
        }
        Ok(Some(Played { input, time, actual, what }))
    }

    /// Replays up to the first difference, the end, or `until`.
    ///
    /// # Errors
    /// The trace cannot be read, was forged, or needs too much memory.
    pub fn run(&mut self, until: Option<Until>, mut see: impl FnMut(&Played)) -> Result<(), TraceError> {
        while !until.is_some_and(|until| self.is_past(until)) {
            let Some(played) = self.next()? else { break };
            see(&played);
            if played.what.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn is_past(&self, until: Until) -> bool {
        let Some(replayer) = &self.replayer else { return false };
        match until {
            Until::Call(call) => replayer.calls() >= call,
            Until::Time(end) => self.inputs.next_now().is_some_and(|next| next.since(self.begun) > end),
        }
    }

    /// What the replay has shown so far.
    pub fn report(&self) -> Report {
        let replayer = self.replayer.as_ref();
        Report {
            inputs: replayer.map_or(0, Replayer::calls),
            outputs: replayer.map_or(0, Replayer::outputs),
            digest: replayer.map_or([0; 20], |replayer| replayer.digest().octets()),
            ending: self.inputs.ending(),
            divergence: self.divergence.clone(),
        }
    }
}

/// Replays the trace in the file `path` on a fresh core, up to the first difference.
///
/// # Errors
/// The system says no, the file is no trace of our version, was forged, or needs too much memory.
pub fn replay(path: impl AsRef<Path>) -> Result<Report, TraceError> {
    let mut player = Player::open(path)?;
    player.run(None, |_| ())?;
    Ok(player.report())
}

/// For one's own tests: replays the trace in the file `path`, which must be whole and come out as it was recorded.
///
/// # Panics
/// It does not, or cannot be read; the message shows the first difference.
#[track_caller]
pub fn assert_identical(path: impl AsRef<Path>) {
    let path = path.as_ref();
    match replay(path) {
        Ok(report) if report.is_identical() && report.ending == Some(Ending::Complete) => {}
        Ok(report) => panic!("{}: {report}", path.display()),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Tables of the recorded sizes.
pub(crate) fn storage(capacity: &Capacity, limit: u64) -> Result<Storage<'static>, TraceError> {
    let Capacity { contacts, contacts6, transactions, queries, items, values, peers } = *capacity;
    let octets = |count: usize, each: usize| count as u128 * each as u128;
    let needed = octets(contacts, size_of::<Contact>())
        + octets(contacts6, size_of::<Contact>())
        + octets(transactions, size_of::<Transaction>())
        + octets(queries, size_of::<QuerySlot>())
        + octets(items, size_of::<ItemSlot>())
        + octets(values, 1)
        + octets(peers, size_of::<PeerSlot>());
    if needed > u128::from(limit) { Err(TraceError::TooBig { needed, limit }) } else { Ok(Storage::boxed(capacity)) }
}

pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
