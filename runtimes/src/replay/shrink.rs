//! Cutting a trace that shows something down to the few inputs that it takes.
//!
//! Inputs are left out as long as what is to be shown still happens (delta debugging: A. Zeller, R. Hildebrandt, "Simplifying
//! and Isolating Failure-Inducing Input", 2002), then the time between those that are left is shortened, and parts of
//! datagrams are left out.
//!
//! Leaving out an input changes which transaction ids the node draws afterwards, so that recorded answers would answer
//! nothing. Each answer is therefore tied to its question, and gets the id that this question has in the run at hand.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bep44_core::wire::bencode::Reader;
use bep44_core::{Instant, MAX_DATAGRAM, Node};
use bep44_trace::{About, Call, Output, Record, Recorded, frame};

use super::message::text_of;
use super::play::{message, storage};
use super::read::{Inputs, Octets, TraceError, forged, framed, octets_of};

/// Runs that are made at most, unless it is said otherwise: a second for a short trace, minutes for a long one.
const RUNS: usize = 10_000;

/// Octets of tables that a node may have here.
const MEMORY_LIMIT: u64 = 1 << 30;

/// Names a question: to whom, what (its octets without the transaction id), and which of several that are the same.
type Question = (Vec<u8>, usize);

/// An input that may be left out.
#[derive(Debug, Clone)]
struct Piece {
    now: Instant,
    /// The call, as a frame.
    call: Vec<u8>,
    /// The question that the datagram answers.
    answers: Option<Question>,
    /// Which of the queries that were started it names.
    cancels: Option<usize>,
}

/// One run of a candidate: what was done, and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Run {
    steps: Vec<(Instant, Vec<u8>, Option<Vec<u8>>)>,
    panic: Option<String>,
}

impl Run {
    /// The calls that were made, with their time and what each returned.
    pub fn steps(&self) -> impl Iterator<Item = (Instant, Call<'_>, Option<Output<'_>>)> {
        self.steps.iter().filter_map(|(now, call, output)| {
            let Record::Call { call, .. } = frame(call).ok()??.record else { return None };
            Some((*now, call, output.as_deref().and_then(Output::decode)))
        })
    }

    /// What the node said when it panicked, if it did: in the last of the calls.
    #[must_use]
    pub fn panic(&self) -> Option<&str> {
        self.panic.as_deref()
    }
}

/// A trace that was cut down.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The octets of a trace that replays identically on this core, and shows what it should.
    pub trace: Vec<u8>,
    /// Calls before.
    pub before: usize,
    /// Calls that are left.
    pub after: usize,
    /// Runs that it took.
    pub runs: usize,
}

/// Cuts traces down: see [`shrink`](Self::shrink).
#[derive(Debug, Clone)]
pub struct Shrinker {
    runs: usize,
}

impl Default for Shrinker {
    fn default() -> Self {
        Self { runs: RUNS }
    }
}

impl Shrinker {
    /// One that makes so many runs at most (default: 10,000).
    #[must_use]
    pub const fn new(runs: usize) -> Self {
        Self { runs }
    }

    /// The smallest trace that could be found of which `shows` still says yes. `shows` looks at what a fresh node does with
    /// the inputs of a candidate: that it says something it should not, or [panics](Run::panic). `None` if even the whole
    /// trace does not show it.
    ///
    /// # Errors
    /// The trace cannot be read, or its node would take more than 1 GiB.
    pub fn shrink<R: io::Read>(
        &self,
        mut trace: Inputs<R>,
        mut shows: impl FnMut(&Run) -> bool,
    ) -> Result<Option<Shrunk>, TraceError> {
        let mut search = Search { start: Vec::new(), left: self.runs, shows: &mut shows };
        let mut recorded = Vec::new();
        while let Some(input) = trace.next()? {
            match input.record() {
                Some(Record::Start(start)) => {
                    storage(&start.capacity, MEMORY_LIMIT)?;
                    search.start = framed(&Record::Start(start));
                }
                Some(Record::Call { call, .. }) => {
                    recorded.push((input.now, framed(&Record::Call { after: 0, call })));
                }
                _ => return Err(forged("there is something in it that is no input", input.offset)),
            }
        }
        let mut pieces = search.tied(recorded);
        let before = pieces.len();
        if !search.still(&pieces) {
            return Ok(None);
        }
        loop {
            let (calls, octets) = (pieces.len(), size(&pieces));
            search.leave_out_inputs(&mut pieces);
            search.leave_out_parts(&mut pieces);
            search.leave_out_time(&mut pieces);
            if (pieces.len(), size(&pieces)) == (calls, octets) || search.left == 0 {
                break;
            }
        }
        let trace = search.record(&pieces);
        Ok(Some(Shrunk { trace, before, after: pieces.len(), runs: self.runs - search.left }))
    }
}

fn size(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.call.len()).sum()
}

struct Search<'s> {
    /// The record of the start, as a frame.
    start: Vec<u8>,
    left: usize,
    shows: &'s mut dyn FnMut(&Run) -> bool,
}

impl Search<'_> {
    /// Whether what is left still shows it; no, when there were too many runs.
    fn still(&mut self, pieces: &[Piece]) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let run = self.run(pieces, None);
        (self.shows)(&run)
    }

    /// Ever smaller parts are left out, until nothing that is left can be.
    fn leave_out_inputs(&mut self, pieces: &mut Vec<Piece>) {
        let mut part = pieces.len().div_ceil(2).max(1);
        loop {
            let (mut at, mut any) = (0, false);
            while at < pieces.len() && self.left > 0 {
                let end = (at + part).min(pieces.len());
                let candidate = [&pieces[..at], &pieces[end..]].concat();
                if self.still(&candidate) {
                    *pieces = candidate;
                    any = true;
                } else {
                    at = end;
                }
            }
            if part == 1 && !any || self.left == 0 {
                return;
            }
            if !any || part > pieces.len() {
                part = part.div_ceil(2).min(pieces.len().max(1));
            }
            if part == 1 && pieces.is_empty() {
                return;
            }
        }
    }

    /// Each dict entry and list item of each datagram, the largest first.
    fn leave_out_parts(&mut self, pieces: &mut [Piece]) {
        for number in 0..pieces.len() {
            let mut skip = 0;
            while self.left > 0 {
                let Some(datagram) = datagram_of(&pieces[number].call) else { break };
                let Some(range) = parts(&datagram).into_iter().nth(skip) else { break };
                let shorter = [&datagram[..range.0], &datagram[range.1..]].concat();
                let call = with_datagram(&pieces[number].call, &shorter);
                let before = mem::replace(&mut pieces[number].call, call);
                if !self.still(pieces) {
                    pieces[number].call = before;
                    skip += 1;
                }
            }
        }
    }

    /// The time between an input and the one before: none, or down to a round number.
    fn leave_out_time(&mut self, pieces: &mut [Piece]) {
        for number in 0..pieces.len() {
            let previous = number.checked_sub(1).map_or_else(|| self.begun(), |before| pieces[before].now);
            let gap = pieces[number].now.as_micros().saturating_sub(previous.as_micros());
            for round in [u64::MAX, 1_000_000, 1_000] {
                let cut = if round == u64::MAX { gap } else { gap % round };
                if cut == 0 {
                    continue;
                }
                let earlier: Vec<_> = pieces
                    .iter()
                    .enumerate()
                    .map(|(at, piece)| {
                        let cut = if at >= number { cut } else { 0 };
                        let now = Instant::from_micros(piece.now.as_micros().saturating_sub(cut));
                        Piece { now, ..piece.clone() }
                    })
                    .collect();
                if self.still(&earlier) {
                    pieces.clone_from_slice(&earlier);
                    break;
                }
            }
        }
    }

    fn begun(&self) -> Instant {
        match frame(&self.start) {
            Ok(Some(frame)) => match frame.record {
                Record::Start(start) => Instant::from_micros(start.now),
                _ => Instant::ZERO,
            },
            _ => Instant::ZERO,
        }
    }

    /// Ties answers to questions, and cancellations to queries, as they were when it was recorded.
    fn tied(&self, recorded: Vec<(Instant, Vec<u8>)>) -> Vec<Piece> {
        let mut pieces: Vec<_> =
            recorded.into_iter().map(|(now, call)| Piece { now, call, answers: None, cancels: None }).collect();
        // The calls are made as they stand, and tied on the way.
        let mut ties = vec![(None, None); pieces.len()];
        self.run(&pieces, Some(&mut ties));
        for (piece, (answers, cancels)) in pieces.iter_mut().zip(ties) {
            (piece.answers, piece.cancels) = (answers, cancels);
        }
        pieces
    }

    /// Makes the calls on a fresh node.
    fn run(&self, pieces: &[Piece], mut ties: Option<&mut Vec<Tie>>) -> Run {
        let mut run = Run::default();
        let Ok(Some(started)) = frame(&self.start) else { return run };
        let Record::Start(start) = started.record else { return run };
        let Ok(storage) = storage(&start.capacity, MEMORY_LIMIT) else { return run };
        let mut node = Node::new(storage, &start.config, Instant::from_micros(start.now));
        let mut links = Links::default();
        let mut buf = vec![0; MAX_DATAGRAM];
        for (number, piece) in pieces.iter().enumerate() {
            if let Some(ties) = &mut ties {
                ties[number] = links.tie(&piece.call);
            }
            let call = links.adapted(piece);
            let Ok(Some(framed)) = frame(&call) else { continue };
            let Record::Call { call: made, .. } = framed.record else { continue };
            let result = catch_unwind(AssertUnwindSafe(|| {
                made.apply(&mut node, piece.now, &mut buf).ok().map(|output| output.as_ref().map(octets_of))
            }));
            let output = match result {
                Ok(Some(output)) => output,
                // It is no item, which no recorder has written.
                Ok(None) => continue,
                Err(panic) => {
                    run.panic = Some(message(&*panic));
                    None
                }
            };
            if let Some(output) = output.as_deref().and_then(Output::decode) {
                links.note(&output);
            }
            run.steps.push((piece.now, call, output));
            if run.panic.is_some() {
                break;
            }
        }
        run
    }

    /// The trace of a run.
    fn record(&self, pieces: &[Piece]) -> Vec<u8> {
        let run = self.run(pieces, None);
        let Ok(Some(started)) = frame(&self.start) else { return Vec::new() };
        let Record::Start(start) = started.record else { return Vec::new() };
        let Ok(storage) = storage(&start.capacity, MEMORY_LIMIT) else { return Vec::new() };
        let about = About {
            outputs: start.outputs,
            unix_micros: start.unix_micros,
            local: start.local.map(Into::into),
            local6: start.local6.map(Into::into),
        };
        let begun = Instant::from_micros(start.now);
        let mut node = Recorded::start(storage, &start.config, begun, &about, Octets::default());
        let mut buf = vec![0; MAX_DATAGRAM];
        for (now, call, _) in run.steps() {
            // A call that panics is in the trace when it does.
            let made = catch_unwind(AssertUnwindSafe(|| node.make(now, &call, &mut buf).is_ok()));
            if made.is_err() {
                return node.stop().map(|octets| octets.0).unwrap_or_default();
            }
        }
        node.finish().map(|octets| octets.0).unwrap_or_default()
    }
}

/// What a piece is tied to.
type Tie = (Option<Question>, Option<usize>);

/// The questions that a node has asked in a run, and the queries that it has started.
#[derive(Debug, Default)]
struct Links {
    /// The transaction id of each question, in the order in which the same was asked.
    asked: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Which question has an id: to whom (as octets) and the id.
    by_id: BTreeMap<(Vec<u8>, Vec<u8>), Question>,
    started: Vec<u64>,
}

impl Links {
    /// Notes what came out.
    fn note(&mut self, output: &Output<'_>) {
        match output {
            Output::Packet { to, datagram } if text_of(datagram, b"y") == Some(b"q") => {
                let Some((id, without)) = split_id(datagram) else { return };
                let to = format!("{to:?}").into_bytes();
                let question = [to.as_slice(), &without].concat();
                let ids = self.asked.entry(question.clone()).or_default();
                self.by_id.insert((to, id.clone()), (question, ids.len()));
                ids.push(id);
            }
            Output::Query(handle) => self.started.push(*handle),
            _ => {}
        }
    }

    /// What a recorded call belongs to.
    fn tie(&self, call: &[u8]) -> Tie {
        let Ok(Some(framed)) = frame(call) else { return (None, None) };
        match framed.record {
            Record::Call { call: Call::HandleDatagram { from, datagram, .. }, .. } => {
                let id = split_id(datagram).map(|(id, _)| id).unwrap_or_default();
                (self.by_id.get(&(format!("{from:?}").into_bytes(), id)).cloned(), None)
            }
            Record::Call { call: Call::Cancel { query }, .. } => {
                (None, self.started.iter().position(|started| *started == query))
            }
            _ => (None, None),
        }
    }

    /// The call of a piece, as it has to be in this run.
    fn adapted(&self, piece: &Piece) -> Vec<u8> {
        if let Some((question, number)) = &piece.answers
            && let Some(ids) = self.asked.get(question)
            && let Some(id) = ids.get(*number).or(ids.last())
            && let Some(mut datagram) = datagram_of(&piece.call)
            && let Some(place) = place_of_id(&datagram).filter(|place| place.1 - place.0 == id.len())
        {
            datagram[place.0..place.1].copy_from_slice(id);
            return with_datagram(&piece.call, &datagram);
        }
        if let Some(number) = piece.cancels
            && let Some(query) = self.started.get(number)
        {
            return framed(&Record::Call { after: 0, call: Call::Cancel { query: *query } });
        }
        piece.call.clone()
    }
}

/// The datagram of a call that has one.
fn datagram_of(call: &[u8]) -> Option<Vec<u8>> {
    match frame(call).ok()??.record {
        Record::Call { call: Call::HandleDatagram { datagram, .. }, .. } => Some(datagram.to_vec()),
        _ => None,
    }
}

/// The same call with another datagram.
fn with_datagram(call: &[u8], datagram: &[u8]) -> Vec<u8> {
    match frame(call) {
        Ok(Some(framed_call)) => match framed_call.record {
            Record::Call { after, call: Call::HandleDatagram { from, room, .. } } => {
                framed(&Record::Call { after, call: Call::HandleDatagram { from, datagram, room } })
            }
            _ => call.to_vec(),
        },
        _ => call.to_vec(),
    }
}

/// The transaction id of a message, and the message without it.
fn split_id(datagram: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (start, end) = place_of_id(datagram)?;
    Some((datagram[start..end].to_vec(), [&datagram[..start], &datagram[end..]].concat()))
}

/// Where in a message its transaction id stands.
fn place_of_id(datagram: &[u8]) -> Option<(usize, usize)> {
    let id = text_of(datagram, b"t")?;
    let entry = inside(datagram, 0).into_iter().find(|entry| datagram[entry.start..].starts_with(b"1:t"))?;
    // A byte string ends with its content.
    Some((entry.end - id.len(), entry.end))
}

/// The places of the dict entries and list items of a message, the longest first.
fn parts(datagram: &[u8]) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    collect(datagram, 0, 4, &mut parts);
    parts.sort_by_key(|(start, end)| (usize::MAX - (end - start), *start));
    parts
}

fn collect(octets: &[u8], value: usize, depth: usize, parts: &mut Vec<(usize, usize)>) {
    if depth == 0 {
        return;
    }
    for entry in inside(octets, value) {
        parts.push((entry.start, entry.end));
        collect(octets, entry.value, depth - 1, parts);
    }
}

/// Where something lies that is in a list or a dict: a value, with its key before it in a dict.
struct Entry {
    start: usize,
    value: usize,
    end: usize,
}

/// What is in the list or dict that begins at `start`.
fn inside(octets: &[u8], start: usize) -> Vec<Entry> {
    let Some((kind, rest)) = octets.get(start..).and_then(<[u8]>::split_first) else { return Vec::new() };
    if !matches!(kind, b'd' | b'l') {
        return Vec::new();
    }
    let mut reader = Reader::new(rest);
    let mut entries = Vec::new();
    let at = |reader: &Reader<'_>| octets.len() - reader.rest().len();
    while reader.rest().first().is_some_and(|octet| *octet != b'e') {
        let start = at(&reader);
        if *kind == b'd' && reader.bytes().is_err() {
            break;
        }
        let value = at(&reader);
        if reader.skip().is_err() {
            break;
        }
        entries.push(Entry { start, value, end: at(&reader) });
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn every_part_can_be_left_out() {
        let datagram = b"d1:ad2:id4:abcd1:xli1ei2eee1:q4:ping1:t2:aa1:y1:qe";
        let parts = parts(datagram);
        // Four entries, two in `a`, two items in `x`.
        assert_eq!(parts.len(), 8);
        for (start, end) in parts {
            let shorter = [&datagram[..start], &datagram[end..]].concat();
            let mut reader = Reader::new(&shorter);
            assert!(reader.value().is_ok() && reader.rest().is_empty(), "{}", String::from_utf8_lossy(&shorter));
        }
        assert_eq!(split_id(datagram).unwrap().0, b"aa");
    }

    quickcheck! {
        fn parts_of_anything(octets: Vec<u8>) -> bool {
            parts(&octets).iter().all(|(start, end)| start < end && *end <= octets.len())
        }
    }
}
