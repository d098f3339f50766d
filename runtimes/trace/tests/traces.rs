//! Recording changes nothing; replaying gives the same; damage is found where it is.

mod pair;

use bep44_core::{Config, Instant, MAX_DATAGRAM, Node, Storage};
use bep44_trace::{
    About, Call, Damage, Difference, Fault, Output, OutputRecord, Outputs, Read, Record, Recorded, Records, Replayer,
    StepError, Stream, StreamError, Told, frame, write_header, write_record,
};
use pair::{CAPACITY, Full, Tape, life, recorded};
use quickcheck::quickcheck;

/// Replays, and tells where it differs.
fn replay(trace: &[u8]) -> Result<Replayer<'static>, StepError> {
    let mut replayer = Replayer::new(Storage::boxed(&CAPACITY));
    let mut buf = [0; MAX_DATAGRAM];
    for traced in Records::new(trace).unwrap() {
        replayer.step(&traced.unwrap().record, &mut buf, |_| {})?;
    }
    Ok(replayer)
}

/// The trace again, with each record as `change` makes it.
fn rewritten(trace: &[u8], mut change: impl FnMut(usize, Record<'_>, &mut Tape)) -> Vec<u8> {
    let mut tape = Tape::default();
    write_header(&mut tape).unwrap();
    for (number, traced) in Records::new(trace).unwrap().enumerate() {
        change(number, traced.unwrap().record, &mut tape);
    }
    tape.octets
}

#[test]
fn a_recorded_node_does_what_a_plain_one_does() {
    let config = Config::new([7; 32]);
    let plain = Node::new(Storage::boxed(&CAPACITY), &config, Instant::ZERO);
    let mut plain = Recorded::<Tape>::unrecorded(plain);
    let without = life(&mut plain, 7);
    assert!(!plain.is_recording() && plain.finish().is_none());
    for outputs in [Outputs::Full, Outputs::Digests] {
        let about = About { outputs, ..About::default() };
        let mut node = Recorded::start(Storage::boxed(&CAPACITY), &config, Instant::ZERO, &about, Tape::default());
        assert_eq!(life(&mut node, 7), without);
        assert_eq!(node.stats(), plain.stats());
    }
    // It is a life that is worth it.
    for what in [
        "Found",
        "Ended",
        "Put {",
        "Peers {",
        "ItemStored",
        "Accepted",
        "Busy",
        "NobodyToAsk",
        "InvalidSignature",
        "Announced {",
    ] {
        assert!(without.iter().any(|line| line.contains(what)), "{what}");
    }
}

#[test]
fn a_replay_is_identical() {
    for seed in [7, 100] {
        for outputs in [Outputs::Full, Outputs::Digests] {
            let trace = recorded(seed, outputs);
            let replayer = replay(&trace).unwrap();
            assert!(replayer.is_complete());
            assert!(replayer.calls() > 300 && replayer.outputs() > 100, "{} {}", replayer.calls(), replayer.outputs());
            assert_eq!(replay(&trace).unwrap().digest(), replayer.digest());
        }
        assert_eq!(
            replay(&recorded(seed, Outputs::Full)).unwrap().digest(),
            replay(&recorded(seed, Outputs::Digests)).unwrap().digest()
        );
    }
}

#[test]
fn another_seed_is_found_at_once() {
    let trace = rewritten(&recorded(7, Outputs::Digests), |_, record, tape| {
        let record = match record {
            Record::Start(mut start) => {
                start.config.seed[0] ^= 1;
                Record::Start(start)
            }
            other => other,
        };
        write_record(tape, &record).unwrap();
    });
    assert_eq!(replay(&trace).unwrap_err(), StepError::Differs { call: 0, difference: Difference::Output });
}

/// Every bit of a datagram that brings an answer or an event matters; what comes out first of it is where it is reported.
#[test]
fn a_changed_bit_of_a_datagram_is_reported_where_it_first_shows() {
    let trace = recorded(7, Outputs::Full);
    let records: Vec<_> = Records::new(&trace).unwrap().map(|traced| traced.unwrap().record).collect();
    let mut tried = 0;
    let mut call = 0;
    for (number, record) in records.iter().enumerate() {
        call += u64::from(matches!(record, Record::Call { .. }));
        let Record::Call { after, call: Call::HandleDatagram { from, datagram, room: None } } = *record else {
            continue;
        };
        // The query whose answer is next: an octet of its transaction id, which the answer repeats.
        let answered = matches!(records[number + 1], Record::Output(_));
        let Some(at) = datagram.windows(5).position(|octets| octets == b"1:t4:").filter(|_| answered) else { continue };
        let mut changed = datagram.to_vec();
        changed[at + 5] ^= 1;
        let changed = rewritten(&trace, |other, record, tape| {
            let datagram = &changed;
            let call = Call::HandleDatagram { from, datagram, room: None };
            let record = if other == number { Record::Call { after, call } } else { record };
            write_record(tape, &record).unwrap();
        });
        assert_eq!(replay(&changed).unwrap_err(), StepError::Differs { call, difference: Difference::Output });
        tried += 1;
    }
    assert!(tried > 5, "{tried}");
}

#[test]
fn a_missing_or_added_output_is_told() {
    let trace = recorded(7, Outputs::Full);
    let without = |which: usize| {
        rewritten(&trace, |number, record, tape| {
            if number != which {
                write_record(tape, &record).unwrap();
            }
        })
    };
    let records: Vec<_> = Records::new(&trace).unwrap().map(|traced| traced.unwrap().record).collect();
    let mut calls = 0;
    for (number, record) in records.iter().enumerate().take(60) {
        match record {
            Record::Call { .. } => calls += 1,
            Record::Output(_) => {
                let differs = StepError::Differs { call: calls, difference: Difference::Unexpected };
                assert_eq!(replay(&without(number)).unwrap_err(), differs);
            }
            _ => {}
        }
    }
    let mut calls = 0;
    let added = rewritten(&trace, |_, record, tape| {
        write_record(tape, &record).unwrap();
        if matches!(record, Record::Call { .. }) {
            calls += 1;
            if calls == 1 {
                write_record(tape, &Record::Call { after: 0, call: Call::HandleTimeout }).unwrap();
                write_record(tape, &Record::Output(OutputRecord::Full(&[6, 1]))).unwrap();
            }
        }
    });
    assert!(matches!(replay(&added).unwrap_err(), StepError::Differs { call: 1, .. }));
}

#[test]
fn the_end_counts_and_knows_the_state() {
    let trace = recorded(7, Outputs::Digests);
    let ended = |change: &dyn Fn(&mut bep44_trace::End)| {
        rewritten(&trace, |_, record, tape| {
            let record = match record {
                Record::End(mut end) => {
                    change(&mut end);
                    Record::End(end)
                }
                other => other,
            };
            write_record(tape, &record).unwrap();
        })
    };
    let difference = |trace: &[u8]| match replay(trace) {
        Err(StepError::Differs { difference, .. }) => Some(difference),
        _ => None,
    };
    assert_eq!(difference(&ended(&|_| {})), None);
    assert_eq!(difference(&ended(&|end| end.calls += 1)), Some(Difference::Counts));
    assert_eq!(difference(&ended(&|end| end.outputs += 1)), Some(Difference::Counts));
    assert_eq!(difference(&ended(&|end| end.digest[19] ^= 1)), Some(Difference::Output));
    assert_eq!(difference(&ended(&|end| end.state[19] ^= 1)), Some(Difference::State));
}

#[test]
fn records_out_of_order_are_refused() {
    let trace = recorded(7, Outputs::Digests);
    let twice = rewritten(&trace, |_, record, tape| {
        write_record(tape, &record).unwrap();
        if matches!(record, Record::Start(_) | Record::End(_)) {
            write_record(tape, &record).unwrap();
        }
    });
    assert_eq!(replay(&twice).unwrap_err(), StepError::Order);
    let headless = rewritten(&trace, |number, record, tape| {
        if number > 0 {
            write_record(tape, &record).unwrap();
        }
    });
    assert_eq!(replay(&headless).unwrap_err(), StepError::Order);
}

#[test]
fn memory_of_other_sizes_is_refused() {
    let trace = recorded(7, Outputs::Digests);
    let mut replayer = Replayer::new(Storage::boxed(&bep44_core::Capacity::tiny()));
    let first = Records::new(&trace).unwrap().next().unwrap().unwrap();
    let result = replayer.step(&first.record, &mut [0; MAX_DATAGRAM], |_| {});
    assert_eq!(result, Err(StepError::Capacity(CAPACITY)));
}

#[test]
fn a_trace_that_cannot_be_written_ends_and_the_node_goes_on() {
    let config = Config::new([7; 32]);
    let mut plain = Recorded::<Tape>::unrecorded(Node::new(Storage::boxed(&CAPACITY), &config, Instant::ZERO));
    let without = life(&mut plain, 7);
    for room in [0, 1, 8, 9, 100, 101, 102, 5_000] {
        let tape = Tape { room, ..Tape::default() };
        let mut node = Recorded::start(Storage::boxed(&CAPACITY), &config, Instant::ZERO, &About::default(), tape);
        assert_eq!(life(&mut node, 7), without, "room for {room}");
        assert!(!node.is_recording());
        assert_eq!((node.failure(), node.failure()), (Some(Full), None), "told once");
    }
}

#[test]
fn a_trace_cut_off_anywhere_is_read_up_to_there() {
    let trace = &recorded(7, Outputs::Full)[..6_000];
    let ends: Vec<_> =
        Records::new(trace).unwrap().map_while(Result::ok).map(|traced| traced.offset + traced.len as u64).collect();
    for len in 0..trace.len() {
        let whole = ends.iter().filter(|end| **end <= len as u64).count();
        let start = ends[..whole].last().copied().unwrap_or(8);
        let cut = Damage { offset: start, records: whole as u64, fault: Fault::CutOff };
        match Records::new(&trace[..len]) {
            Err(damage) => assert!(len < 8 && damage == Damage { offset: 0, ..cut }),
            Ok(mut records) => {
                assert_eq!(records.by_ref().take(whole).filter(Result::is_ok).count(), whole);
                let at_end = start == len as u64;
                assert_eq!(records.next().map(|traced| traced.unwrap_err()), (!at_end).then_some(cut));
                assert!(records.next().is_none());
            }
        }
    }
}

#[test]
fn a_changed_bit_anywhere_is_found_in_its_record() {
    let trace = &recorded(7, Outputs::Full)[..3_000];
    let starts: Vec<_> = Records::new(trace).unwrap().map_while(Result::ok).map(|traced| traced.offset).collect();
    let last = Records::new(trace).unwrap().map_while(Result::ok).last().unwrap();
    let end = last.offset as usize + last.len;
    for bit in 0..end * 8 {
        let mut changed = trace[..end].to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        if bit < 64 {
            assert!(matches!(
                Records::new(&changed).unwrap_err(),
                Damage { offset: 0, records: 0, fault: Fault::NotATrace | Fault::Version(_) }
            ));
            continue;
        }
        let damage = Records::new(&changed).unwrap().find_map(Result::err).unwrap();
        let record = starts.iter().rposition(|start| *start as usize <= bit / 8).unwrap();
        assert_eq!((damage.offset, damage.records), (starts[record], record as u64), "bit {bit}");
    }
}

/// Gives few octets at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    type Error = ();

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ()> {
        let len = self.1.min(self.0.len()).min(buf.len());
        let (now, later) = self.0.split_at(len);
        buf[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

#[test]
fn a_stream_gives_what_a_slice_gives() {
    let trace = recorded(7, Outputs::Full);
    let whole: Vec<_> = Records::new(&trace).unwrap().map(|traced| format!("{traced:?}")).collect();
    for (piece, room) in [(1, 2_048), (7, 1_600), (5_000, 4_096), (usize::MAX, 100_000)] {
        let mut stream = Stream::new(Trickle(&trace, piece), vec![0; room]);
        let mut streamed = Vec::new();
        while let Some(traced) = stream.next().unwrap() {
            streamed.push(format!("{:?}", Ok::<_, ()>(traced)));
        }
        assert_eq!(streamed, whole);
        assert!(stream.next().unwrap().is_none());
    }
    for len in 0..2_000 {
        let sliced = Records::new(&trace[..len]).and_then(|records| records.collect::<Result<Vec<_>, _>>()).err();
        let mut buf = [0; 2_048];
        let mut stream = Stream::new(Trickle(&trace[..len], 100), &mut buf[..]);
        let streamed = loop {
            match stream.next() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(StreamError::Damage(damage)) => break Some(damage),
                Err(StreamError::Read(())) => unreachable!(),
            }
        };
        assert_eq!(streamed, sliced, "{len}");
    }
    let mut buf = [0; 60];
    let mut stream = Stream::new(Trickle(&trace, 100), &mut buf[..]);
    assert!(matches!(stream.next(), Err(StreamError::Damage(Damage { offset: 8, fault: Fault::NoRoom, .. }))));
}

#[test]
fn outputs_in_full_can_be_read() {
    let trace = recorded(7, Outputs::Full);
    let mut replayer = Replayer::new(Storage::boxed(&CAPACITY));
    let (mut buf, mut said) = ([0; MAX_DATAGRAM], None);
    let mut kinds = std::collections::BTreeSet::new();
    for traced in Records::new(&trace).unwrap() {
        let record = traced.unwrap().record;
        if let Record::Output(OutputRecord::Full(octets)) = record {
            let expected = Output::decode(octets).unwrap();
            assert_eq!(said.take(), Some(format!("{:?}", shown(&expected))));
            if let Output::Event(Told::Peers { peers, .. }) = &expected {
                assert!(peers.clone().count() > 0);
            }
            kinds.insert(octets[0]);
        }
        replayer
            .step(&record, &mut buf, |step| said = step.output.map(|output| format!("{:?}", shown(output))))
            .unwrap();
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(Output::decode(&[]).is_none() && Output::decode(&[5, 1, 0]).is_none() && Output::decode(&[99]).is_none());
}

/// What is the same of lent and written addresses.
fn shown(output: &Output<'_>) -> String {
    match output {
        Output::Event(Told::Peers { query, peers }) => format!("{query} {:?}", peers.clone().collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_longest_datagram_can_be_recorded() {
    let mut node = Recorded::start(
        Storage::boxed(&CAPACITY),
        &Config::new([7; 32]),
        Instant::ZERO,
        &About::default(),
        Tape::default(),
    );
    let from = "[2001:db8::1]:65535".parse().unwrap();
    assert!(node.handle_datagram(Instant::FAR, from, &[b'i'; 65_535], &mut [0; 1]).is_none());
    assert!(node.handle_datagram(Instant::ZERO, from, &[b'l'; 65_535], &mut [0; 1]).is_none());
    assert!(replay(&node.finish().unwrap().octets).unwrap().is_complete());
}

/// The format, octet for octet, as FORMAT.md shows it.
#[test]
fn the_octets_are_those_of_the_document() {
    let mut tape = Tape::default();
    write_header(&mut tape).unwrap();
    write_record(&mut tape, &Record::Call { after: 1_500, call: Call::PollTransmit { room: None } }).unwrap();
    write_record(&mut tape, &Record::Output(OutputRecord::Full(&[2, 0x80, 1]))).unwrap();
    let expected: &[&[u8]] = &[
        b"\x89bep44\n\x01",
        &[5, 1, 0xb8, 0x17, 3, 0],
        &crc32(&[5, 1, 0xb8, 0x17, 3, 0]).to_le_bytes(),
        &[6, 2, 1, 3, 2, 0x80, 1],
        &crc32(&[6, 2, 1, 3, 2, 0x80, 1]).to_le_bytes(),
    ];
    assert_eq!(tape.octets, expected.concat());
    assert_eq!(Output::decode(&[2, 0x80, 1]), Some(Output::Deadline(128)));
}

/// CRC-32 bit by bit, from its definition (ISO 3309).
fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0_u32, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

quickcheck! {
    fn random_octets_never_panic(octets: Vec<u8>) -> bool {
        let mut trace = b"\x89bep44\n\x01".to_vec();
        trace.extend(&octets);
        let _ = frame(&octets);
        let _ = Output::decode(&octets);
        Records::new(&octets).is_err() && Records::new(&trace).unwrap().count() <= octets.len()
    }

    /// Records with a right check and any content.
    fn random_records_never_panic(contents: Vec<Vec<u8>>) -> bool {
        let mut trace = recorded_start();
        for content in &contents {
            let mut framed = vec![u8::try_from(content.len() % 128).unwrap()];
            framed.extend(&content[..content.len() % 128]);
            trace.extend(&framed);
            trace.extend(crc32(&framed).to_le_bytes());
        }
        let mut replayer = Replayer::new(Storage::boxed(&CAPACITY));
        for traced in Records::new(&trace).unwrap().map_while(Result::ok) {
            let _ = replayer.step(&traced.record, &mut [0; MAX_DATAGRAM], |_| {});
        }
        true
    }

    fn changed_traces_never_panic(changes: Vec<(u16, u8)>) -> bool {
        let mut trace = recorded(7, Outputs::Full);
        let whole = Records::new(&trace).unwrap().count();
        for (at, octet) in changes {
            let at = 8 + usize::from(at) % (trace.len() - 8);
            trace[at] = octet;
        }
        let mut records = Records::new(&trace).unwrap();
        let sound = records.by_ref().take_while(Result::is_ok).count();
        sound <= whole && records.next().is_none()
    }
}

/// The header and the first record.
fn recorded_start() -> Vec<u8> {
    let trace = recorded(7, Outputs::Digests);
    let first = Records::new(&trace).unwrap().next().unwrap().unwrap();
    trace[..first.offset as usize + first.len].to_vec()
}
