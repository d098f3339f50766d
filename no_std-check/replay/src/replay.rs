//! The replay, which knows nothing of the machine.

use core::mem::MaybeUninit;

use bep44_core::MAX_DATAGRAM;
use bep44_trace::{Output, Read, Replayer, StepError, Stream, StreamError};

use crate::Memory;

/// Octets of the longest record of the traces that are replayed here, and of what is read with it.
const RECORD: usize = 2_048;

/// Octets of the longest output: a packet and its address.
const OUTPUT: usize = MAX_DATAGRAM + 32;

/// All memory that a replay takes, but for the stack.
pub struct Room {
    memory: Memory,
    replayer: MaybeUninit<Replayer<'static>>,
    record: [u8; RECORD],
    packet: [u8; MAX_DATAGRAM],
    output: [u8; OUTPUT],
}

impl Room {
    /// All zeros, so that a static costs no flash.
    pub const ZERO: Self = Self {
        memory: Memory::new(),
        replayer: MaybeUninit::zeroed(),
        record: [0; RECORD],
        packet: [0; MAX_DATAGRAM],
        output: [0; OUTPUT],
    };
}

/// What was replayed.
pub struct Replayed {
    /// Calls on the node.
    pub calls: u64,
    /// What came of them.
    pub outputs: u64,
}

/// Why a replay failed.
pub enum Failure {
    /// The machine could not read or write.
    Machine,
    /// The trace cannot be read.
    Trace,
    /// The node did something else than the trace says, or the trace is for another memory.
    Step(StepError),
    /// The trace has no end.
    Incomplete,
    /// An output is longer than any should be.
    Output,
}

impl Failure {
    /// One line, without the formatting of `core`.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Machine => "the machine could not read or write\n",
            Self::Trace => "the trace is damaged, or has a record that is too long\n",
            Self::Step(StepError::Differs { .. }) => "the node did something else than the trace says\n",
            Self::Step(StepError::Capacity(_)) => "the trace is for a node with other memory\n",
            Self::Step(_) => "the trace cannot be replayed\n",
            Self::Incomplete => "the trace has no end\n",
            Self::Output => "an output is longer than any should be\n",
        }
    }
}

/// Where outputs go.
pub trait Sink {
    /// Writes all of `octets`; false if that failed.
    fn write(&mut self, octets: &[u8]) -> bool;
}

/// Replays the trace that `from` gives, and writes what comes out to `to`.
pub fn replay(room: &'static mut Room, from: impl Read, mut to: impl Sink) -> Result<Replayed, Failure> {
    let Room { memory, replayer, record, packet, output } = room;
    let replayer = start(replayer, memory);
    let mut records = Stream::new(from, record);
    loop {
        let traced = match records.next() {
            Ok(Some(traced)) => traced,
            Ok(None) => break,
            Err(StreamError::Damage(_)) => return Err(Failure::Trace),
            Err(StreamError::Read(_)) => return Err(Failure::Machine),
        };
        let mut written = Ok(());
        let step = replayer.step(&traced.record, packet, |step| {
            if let Some(came) = step.output {
                written = write(step.call, came, output, &mut to);
            }
        });
        written?;
        step.map_err(Failure::Step)?;
    }
    if !replayer.is_complete() {
        return Err(Failure::Incomplete);
    }
    Ok(Replayed { calls: replayer.calls(), outputs: replayer.outputs() })
}

// Not a part of its caller: a replayer is made on the stack, and would keep its 4 KiB there.
#[inline(never)]
fn start(
    place: &'static mut MaybeUninit<Replayer<'static>>,
    memory: &'static mut Memory,
) -> &'static mut Replayer<'static> {
    place.write(Replayer::new(memory))
}

fn write(call: u64, came: &Output<'_>, buf: &mut [u8], to: &mut impl Sink) -> Result<(), Failure> {
    // The head first, and all in one piece: each is a call to the host.
    let (head, rest) = buf.split_at_mut_checked(12).ok_or(Failure::Output)?;
    let len = postcard::to_slice(came, rest).map_err(|_| Failure::Output)?.len();
    let mut head = head.chunks_exact_mut(8);
    let (call, len4) = (call.to_le_bytes(), (len as u32).to_le_bytes());
    if let Some(place) = head.next() {
        place.copy_from_slice(&call);
    }
    head.into_remainder().copy_from_slice(&len4);
    let all = buf.get(..12 + len).ok_or(Failure::Output)?;
    if to.write(all) { Ok(()) } else { Err(Failure::Machine) }
}
