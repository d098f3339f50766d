//! The inputs of a trace in a file, one after another, with what came of each.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use bep44_core::Instant;
use bep44_trace::{
    Call, Damage, End, Fault, MAX_RECORD, Output, OutputRecord, Record, Start, Stream, StreamError, frame, write_record,
};

/// Why a trace cannot be read or replayed at all. (Damage further on is no such failure: what stands before it counts.)
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The system does not let us read.
    #[error("cannot read the trace: {0}")]
    Io(#[from] io::Error),
    /// It is no trace, or one of another version, or damaged in its first record.
    #[error("not a trace that can be replayed: {0}")]
    NotATrace(Damage),
    /// Its records do not follow each other as they are written. Something else than a recorder has written it.
    #[error("no recorder has written this trace: {reason} (at octet {offset})")]
    Forged {
        /// What is wrong.
        reason: String,
        /// Where.
        offset: u64,
    },
    /// The recorded node had more memory than a replay may take.
    #[error("the recorded node had {needed} octets of tables, and a replay may take {limit}: allow it more")]
    TooBig {
        /// Octets of the node's tables.
        needed: u128,
        /// How many a replay may take.
        limit: u64,
    },
}

/// Something that a node was told: its start, or a call.
#[derive(Debug, Clone)]
pub struct Input {
    /// The start is 0, the first call 1.
    pub number: u64,
    /// Where its record begins in the trace.
    pub offset: u64,
    /// The time of the call, or of the one before for a call without.
    pub now: Instant,
    /// The record, as a frame.
    record: Vec<u8>,
    /// The record of what came of it, as a frame.
    output: Option<Vec<u8>>,
    /// Whether the trace goes on after it. If not, it may have had an output that was not written any more.
    pub(crate) is_followed: bool,
}

impl Input {
    /// The call; `None` for the start.
    #[must_use]
    pub fn call(&self) -> Option<Call<'_>> {
        match unframed(&self.record)? {
            Record::Call { call, .. } => Some(call),
            _ => None,
        }
    }

    /// What the node was made of, if this is the start.
    #[must_use]
    pub fn start(&self) -> Option<Start<'_>> {
        match unframed(&self.record)? {
            Record::Start(start) => Some(start),
            _ => None,
        }
    }

    /// What came of it when it was recorded.
    #[must_use]
    pub fn expected(&self) -> Option<OutputRecord<'_>> {
        match unframed(self.output.as_ref()?)? {
            Record::Output(output) => Some(output),
            _ => None,
        }
    }

    /// The same, if the trace has it in full.
    #[must_use]
    pub fn expected_output(&self) -> Option<Output<'_>> {
        match self.expected()? {
            OutputRecord::Full(octets) => Output::decode(octets),
            OutputRecord::Digest(_) => None,
        }
    }

    pub(crate) fn record(&self) -> Option<Record<'_>> {
        unframed(&self.record)
    }
}

fn unframed(octets: &[u8]) -> Option<Record<'_>> {
    frame(octets).ok().flatten().map(|frame| frame.record)
}

/// How a trace ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the recorder ended it.
    Complete,
    /// Between two records: the recorder was killed, or still runs, or could not write any more.
    Open,
    /// With damage: nothing behind it was read.
    Damaged(Damage),
}

/// The inputs of a trace, read as they are asked for: memory for the longest record is all that it takes.
#[derive(Debug)]
pub struct Inputs<R> {
    stream: Stream<Vec<u8>, Reading<R>>,
    /// Read already, to see whether it belongs to the input before.
    held: Option<Held>,
    number: u64,
    now: Instant,
    ending: Option<Ending>,
    end: Option<End>,
}

#[derive(Debug)]
struct Held {
    offset: u64,
    frame: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start(Instant),
    Call(i64),
    Output,
    End,
}

impl Inputs<BufReader<File>> {
    /// The inputs of the trace in the file `path`.
    ///
    /// # Errors
    /// The system says no, or the file is no trace of our version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: io::Read> Inputs<R> {
    /// The inputs of the trace that `from` has.
    ///
    /// # Errors
    /// It cannot be read, or is no trace of our version.
    pub fn new(from: R) -> Result<Self, TraceError> {
        let mut inputs = Self {
            stream: Stream::new(Reading(from), vec![0; MAX_RECORD + 16]),
            held: None,
            number: 0,
            now: Instant::ZERO,
            ending: None,
            end: None,
        };
        inputs.held = inputs.pull()?;
        match (&inputs.held, inputs.ending) {
            (Some(Held { kind: Kind::Start(_), .. }), _) => Ok(inputs),
            (None, Some(Ending::Damaged(damage))) => Err(TraceError::NotATrace(damage)),
            (None, _) => Err(TraceError::NotATrace(Damage { offset: 8, records: 0, fault: Fault::CutOff })),
            (Some(held), _) => Err(forged("its first record is not the start", held.offset)),
        }
    }

    /// How the trace ends; known when there are no more inputs.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The record at the end, if it was reached.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next input; none at the end of the trace, and where it is damaged.
    ///
    /// # Errors
    /// The trace cannot be read, or its records are not in order.
    #[expect(clippy::should_implement_trait, reason = "what fails is told once, and then there is nothing more")]
    pub fn next(&mut self) -> Result<Option<Input>, TraceError> {
        let Some(Held { offset, frame, kind }) = self.held.take() else { return Ok(None) };
        match kind {
            Kind::Start(at) if self.number == 0 => self.now = at,
            Kind::Call(after) => {
                self.number += 1;
                self.now = later(self.now, after);
            }
            Kind::Start(_) => return Err(forged("it starts twice", offset)),
            Kind::Output => return Err(forged("an output follows no call", offset)),
            Kind::End => return Err(forged("there is an end in it", offset)),
        }
        let number = self.number;
        let mut next = self.pull()?;
        let mut output = None;
        if next.as_ref().is_some_and(|next| next.kind == Kind::Output) {
            output = next.take().map(|next| next.frame);
            next = self.pull()?;
        }
        let is_followed = next.is_some();
        if next.as_ref().is_some_and(|next| next.kind == Kind::End) {
            if let Some(Record::End(end)) = next.as_ref().and_then(|next| unframed(&next.frame)) {
                self.end = Some(end);
            }
            if let Some(more) = self.pull()? {
                return Err(forged("something follows its end", more.offset));
            }
            if self.ending == Some(Ending::Open) {
                self.ending = Some(Ending::Complete);
            }
            next = None;
        }
        self.held = next;
        Ok(Some(Input { number, offset, now: self.now, record: frame, output, is_followed }))
    }

    /// The time of the next input.
    pub(crate) fn next_now(&self) -> Option<Instant> {
        match self.held.as_ref()?.kind {
            Kind::Call(after) => Some(later(self.now, after)),
            _ => None,
        }
    }

    fn pull(&mut self) -> Result<Option<Held>, TraceError> {
        match self.stream.next() {
            Ok(Some(traced)) => {
                let kind = match &traced.record {
                    Record::Start(start) => Kind::Start(Instant::from_micros(start.now)),
                    Record::Call { after, .. } => Kind::Call(*after),
                    Record::Output(_) => Kind::Output,
                    Record::End(_) => Kind::End,
                };
                Ok(Some(Held { offset: traced.offset, frame: framed(&traced.record), kind }))
            }
            Ok(None) => {
                self.ending.get_or_insert(Ending::Open);
                Ok(None)
            }
            Err(StreamError::Damage(damage)) => {
                self.ending = Some(Ending::Damaged(damage));
                Ok(None)
            }
            Err(StreamError::Read(error)) => Err(TraceError::Io(error)),
        }
    }
}

/// The moment so many microseconds after another, as a trace counts.
const fn later(now: Instant, after: i64) -> Instant {
    Instant::from_micros(now.as_micros().wrapping_add(after.cast_unsigned()))
}

pub(crate) fn forged(reason: &str, offset: u64) -> TraceError {
    TraceError::Forged { reason: reason.to_owned(), offset }
}

/// The record as it stands in a trace.
pub(crate) fn framed(record: &Record<'_>) -> Vec<u8> {
    let mut octets = Octets::default();
    match write_record(&mut octets, record) {
        Ok(()) => octets.0,
        Err(never) => match never {},
    }
}

/// The octets of an output.
pub(crate) fn octets_of(output: &Output<'_>) -> Vec<u8> {
    let mut octets = Octets::default();
    match output.write(&mut octets) {
        Ok(()) => octets.0,
        Err(never) => match never {},
    }
}

/// Memory for something that is written.
#[derive(Debug, Default)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl bep44_trace::Write for Octets {
    type Error = std::convert::Infallible;

    fn write(&mut self, octets: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

#[derive(Debug)]
struct Reading<R>(R);

impl<R: io::Read> bep44_trace::Read for Reading<R> {
    type Error = io::Error;

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
