//! Applying the records of a trace to a fresh node, and comparing what comes out.

use core::fmt;

use bep44_core::{Capacity, Instant, ItemError, Node, Storage};

use crate::call::Call;
use crate::digest::{Digest, state};
use crate::output::Output;
use crate::record::{End, OutputRecord, Record, Start};
use crate::recorded::capacity;

/// Where a replay differs from its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The call returned something else.
    Output,
    /// The call returned something, and should have returned nothing.
    Unexpected,
    /// The call returned nothing, and should have returned something.
    Missing,
    /// All outputs were the same, but what can be read from the node at the end is not: a counter, a contact, an item or a
    /// peer.
    State,
    /// The end says that there were other calls or outputs than the trace has: records are missing.
    Counts,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Output => "something else came out",
            Self::Unexpected => "something came out, and nothing should have",
            Self::Missing => "nothing came out, and something should have",
            Self::State => "all outputs are the same, but counters, contacts, items or peers at the end are not",
            Self::Counts => "the end tells of other numbers of calls and outputs: records are missing",
        })
    }
}

/// Why a record could not be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError {
    /// The node did something else than the recorded one. The call's number counts from 1; 0 is the start.
    Differs {
        /// Of which call.
        call: u64,
        /// What is different.
        difference: Difference,
    },
    /// The records are not in an order in which they are written: the first is not the start, or another one is, or
    /// something follows the end.
    Order,
    /// The trace needs tables of these sizes, and the memory has others.
    Capacity(Capacity),
    /// What should be put or restored is no item.
    Item(ItemError),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { call, difference } => write!(f, "call {call}: {difference}"),
            Self::Order => f.write_str("the records of the trace are not in order"),
            Self::Capacity(needed) => write!(f, "the trace needs memory with other capacities: {needed:?}"),
            Self::Item(error) => write!(f, "the trace holds something that is no item: {error}"),
        }
    }
}

impl core::error::Error for StepError {}

/// Something that a replay has done, told as it happens.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// The number of the call; 0 is the start.
    pub call: u64,
    /// The time of the call.
    pub now: Instant,
    /// What it returned now; `None` if nothing.
    pub output: Option<&'a Output<'a>>,
    /// The running digest after it.
    pub digest: Digest,
}

/// Replays a trace, record by record. Keeps no octets: what came out is compared by its digest.
// The node stays where it is from the start to the end: moving it would take the stack of a microcontroller.
#[derive(Debug)]
pub struct Replayer<'m> {
    /// Until the node has started.
    storage: Option<Storage<'m>>,
    /// From then on.
    node: Option<Node<'m>>,
    is_ended: bool,
    progress: Progress,
}

/// How far a replay is, and what has come out until now.
#[derive(Debug)]
struct Progress {
    calls: u64,
    outputs: u64,
    now: Instant,
    digest: Digest,
    last: Last,
}

/// What the last call returned, and whether the trace has told its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    /// The digest before it.
    Output(Digest),
    Compared,
}

impl<'m> Replayer<'m> {
    /// A replay in `storage`, whose capacities must be those of the trace. (The trace begins with them: with an allocator,
    /// read its [`Start`] first and box storage of the same sizes.)
    #[must_use]
    pub fn new(storage: impl Into<Storage<'m>>) -> Self {
        Self {
            storage: Some(storage.into()),
            node: None,
            is_ended: false,
            progress: Progress { calls: 0, outputs: 0, now: Instant::ZERO, digest: Digest::NONE, last: Last::Compared },
        }
    }

    /// Takes the next record: makes the call that it holds, or compares what came of the last one. `buf` is for packets and
    /// has at least [`MAX_DATAGRAM`](bep44_core::MAX_DATAGRAM) octets. `see` is told of each call as it is made, the start
    /// included, with what came out.
    ///
    /// # Errors
    /// Something differs, and then the replay may go on, but all that follows in the trace may differ as well; or the trace
    /// cannot be replayed.
    pub fn step(&mut self, record: &Record<'_>, buf: &mut [u8], see: impl FnMut(&Step<'_>)) -> Result<(), StepError> {
        match record {
            Record::Start(start) => self.start(start, see),
            Record::Call { after, call } => {
                self.settle()?;
                self.call(*after, call, buf, see)
            }
            Record::Output(output) => self.compare(output),
            Record::End(end) => {
                self.settle()?;
                self.end(end)
            }
        }
    }

    /// What the last call returned, compared with that there is no record of its output. To be called at the end of a
    /// trace that has no [`End`] only if it is known that nothing was cut off.
    ///
    /// # Errors
    /// It did return something.
    pub fn settle(&mut self) -> Result<(), StepError> {
        match core::mem::replace(&mut self.progress.last, Last::Compared) {
            Last::Output(_) => self.differs(Difference::Unexpected),
            Last::Nothing | Last::Compared => Ok(()),
        }
    }

    /// The node, once it has started.
    #[must_use]
    pub const fn node(&self) -> Option<&Node<'m>> {
        self.node.as_ref()
    }

    /// Calls that were made.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.progress.calls
    }

    /// Outputs that came of them, the node's id included.
    #[must_use]
    pub const fn outputs(&self) -> u64 {
        self.progress.outputs
    }

    /// The time of the last call.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.progress.now
    }

    /// The running digest of all that came out.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.progress.digest
    }

    /// Whether the end of the trace was reached, and nothing is missing.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_ended
    }

    // Not a part of its caller: the new node is on the stack here, and must not be for all other records.
    #[inline(never)]
    fn start(&mut self, start: &Start<'_>, see: impl FnMut(&Step<'_>)) -> Result<(), StepError> {
        let Some(storage) = self.storage.take_if(|storage| capacity(storage) == start.capacity) else {
            let is_fresh = self.storage.is_some();
            return Err(if is_fresh { StepError::Capacity(start.capacity) } else { StepError::Order });
        };
        self.progress.now = Instant::from_micros(start.now);
        let node = self.node.insert(Node::new(storage, &start.config, self.progress.now));
        self.progress.came(Some(&Output::of_node(node)), see);
        Ok(())
    }

    fn call(
        &mut self,
        after: i64,
        call: &Call<'_>,
        buf: &mut [u8],
        see: impl FnMut(&Step<'_>),
    ) -> Result<(), StepError> {
        let Self { node: Some(node), is_ended: false, progress, .. } = self else { return Err(StepError::Order) };
        progress.now = Instant::from_micros(progress.now.as_micros().wrapping_add(after.cast_unsigned()));
        progress.calls += 1;
        let output = call.apply(node, progress.now, buf).map_err(StepError::Item)?;
        progress.came(output.as_ref(), see);
        Ok(())
    }

    fn compare(&mut self, expected: &OutputRecord<'_>) -> Result<(), StepError> {
        if self.node.is_none() || self.is_ended {
            return Err(StepError::Order);
        }
        let before = match core::mem::replace(&mut self.progress.last, Last::Compared) {
            Last::Output(before) => before,
            Last::Nothing => return self.differs(Difference::Missing),
            Last::Compared => return Err(StepError::Order),
        };
        let same = match expected {
            OutputRecord::Digest(short) => *short == self.progress.digest.short(),
            OutputRecord::Full(octets) => before.after(self.progress.calls, octets) == self.progress.digest,
        };
        if same { Ok(()) } else { self.differs(Difference::Output) }
    }

    fn end(&mut self, end: &End) -> Result<(), StepError> {
        let Self { node: Some(node), is_ended: false, progress, .. } = self else { return Err(StepError::Order) };
        let now_state = state(node, progress.now);
        let came = (progress.calls, progress.outputs);
        let came_digest = progress.digest.octets();
        self.is_ended = true;
        let End { calls, outputs, digest, state } = end;
        if came != (*calls, *outputs) {
            self.differs(Difference::Counts)
        } else if came_digest != *digest {
            self.differs(Difference::Output)
        } else if now_state != *state {
            self.differs(Difference::State)
        } else {
            Ok(())
        }
    }

    const fn differs(&self, difference: Difference) -> Result<(), StepError> {
        Err(StepError::Differs { call: self.progress.calls, difference })
    }
}

impl Progress {
    fn came(&mut self, output: Option<&Output<'_>>, mut see: impl FnMut(&Step<'_>)) {
        match output {
            Some(output) => {
                self.last = Last::Output(self.digest);
                self.digest = self.digest.after_output(self.calls, output);
                self.outputs += 1;
            }
            None => self.last = Last::Nothing,
        }
        see(&Step { call: self.calls, now: self.now, output, digest: self.digest });
    }
}
