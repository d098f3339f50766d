//! Traces of nodes on every driver, among others on loopback: a recorded node behaves as any, and its trace comes out the
//! same each time that it is replayed.
#![cfg(all(feature = "replay", feature = "blocking"))]

mod recorded;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bep44::core::{Instant, Storage};
use bep44::replay::format::{
    Call, ItemRecord, Output, Record, Recorded, Records, Told, Write, write_header, write_record,
};
use bep44::replay::{
    Damage, Ending, Inputs, Outputs, Player, RecordError, Recording, Report, Run, Shown, Shrinker, TraceError, Until,
    assert_identical, replay, write_pcap,
};
use bep44::{Builder, Capacity, Config, blocking};
#[cfg(any(feature = "smol", feature = "async-std", feature = "tokio"))]
use futures_lite::future::block_on;
use recorded::{Network, live, record_and_replay};

record_and_replay!(on_a_thread, blocking::Dht, |builder| builder.build().unwrap(), blocking::Dht::shutdown);

#[cfg(feature = "smol")]
record_and_replay!(on_smol, bep44::smol::Dht, |builder| builder.build().unwrap(), |dht| block_on(dht.shutdown()));

#[cfg(feature = "async-std")]
record_and_replay!(on_async_std, bep44::async_std::Dht, |builder| builder.build().unwrap(), |dht| block_on(
    dht.shutdown()
));

#[cfg(feature = "tokio")]
record_and_replay!(
    on_tokio,
    bep44::tokio::Dht,
    |builder| {
        let _inside = TOKIO.enter();
        builder.build().unwrap()
    },
    |dht| block_on(dht.shutdown())
);

/// A runtime on a thread of its own.
#[cfg(feature = "tokio")]
static TOKIO: std::sync::LazyLock<tokio::runtime::Handle> = std::sync::LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
});

/// A trace in memory.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A trace of the blocking driver, as octets.
fn trace() -> Vec<u8> {
    trace_of(|builder| builder)
}

fn trace_of(change: fn(Builder<blocking::Dht>) -> Builder<blocking::Dht>) -> Vec<u8> {
    let network = Network::start();
    let tape = Shared::default();
    let builder = network.member(blocking::Dht::builder()).record(Recording::to(tape.clone()));
    let dht = change(builder).build().unwrap();
    live(dht.client(), &network);
    dht.shutdown();
    tape.0.lock().unwrap().clone()
}

fn replayed(trace: &[u8]) -> Report {
    let mut player = Player::new(Inputs::new(trace).unwrap());
    player.run(None, |_| ()).unwrap();
    player.report()
}

#[derive(Default)]
struct Tape(Vec<u8>);

impl Write for Tape {
    type Error = ();

    fn write(&mut self, octets: &[u8]) -> Result<(), ()> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

/// The trace again, with the bit `bit` of the datagram of call `which` changed.
fn with_bit_changed(trace: &[u8], which: u64, bit: usize) -> Vec<u8> {
    let mut tape = Tape::default();
    write_header(&mut tape).unwrap();
    let mut calls = 0;
    for traced in Records::new(trace).unwrap() {
        let record = traced.unwrap().record;
        calls += u64::from(matches!(record, Record::Call { .. }));
        match record {
            Record::Call { after, call: Call::HandleDatagram { from, datagram, room } } if calls == which => {
                let mut changed = datagram.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                let call = Call::HandleDatagram { from, datagram: &changed, room };
                write_record(&mut tape, &Record::Call { after, call }).unwrap();
            }
            record => write_record(&mut tape, &record).unwrap(),
        }
    }
    tape.0
}

#[test]
fn one_bit_of_a_datagram_is_reported_where_it_shows() {
    let trace = trace();
    assert!(replayed(&trace).is_identical());
    let mut inputs = Inputs::new(&trace[..]).unwrap();
    let mut datagrams = Vec::new();
    while let Some(input) = inputs.next().unwrap() {
        if let Some(Call::HandleDatagram { datagram, .. }) = input.call() {
            datagrams.push((input.number, datagram.to_vec(), input.expected().is_some()));
        }
    }
    assert!(datagrams.len() > 20);
    let (mut at_once, mut later) = (0, 0);
    for (number, datagram, is_answered) in datagrams {
        // The last octet before the end of a transaction id.
        let at = datagram.windows(5).rposition(|octets| octets == b"1:t4:").unwrap() + 8;
        let report = replayed(&with_bit_changed(&trace, number, 8 * at));
        let divergence = report.divergence.expect("a transaction id matters");
        if is_answered {
            // A query of somebody's: the answer repeats the id.
            assert_eq!(divergence.input.number, number);
            let text = divergence.to_string();
            assert!(text.contains(&format!("input {number} (octet ")), "{text}");
            assert!(text.contains("something else came out") && text.contains("\n  * t "), "{text}");
            assert!(text.contains("1 of the first"), "{text}");
            at_once += 1;
        } else {
            // An answer to nobody: what should have come of it does not.
            assert!(divergence.input.number > number);
            later += 1;
        }
    }
    assert!(at_once > 3 && later > 10, "{at_once} {later}");
}

#[test]
fn until_a_call_or_a_time() {
    let trace = trace();
    let until = |until| {
        let mut player = Player::new(Inputs::new(&trace[..]).unwrap());
        let mut last = None;
        player.run(Some(until), |played| last = Some((played.input.number, played.time))).unwrap();
        let report = player.report();
        assert!(report.is_identical());
        assert_eq!(report.ending, None);
        (report.inputs, last.unwrap())
    };
    assert_eq!(until(Until::Call(0)).0, 0);
    assert_eq!(until(Until::Call(17)).0, 17);
    let (inputs, (number, time)) = until(Until::Time(Duration::from_millis(1)));
    assert!(inputs == number && time <= Duration::from_millis(1) && inputs > 0);
    assert_eq!(replayed(&trace).ending, Some(Ending::Complete));
}

#[test]
fn short_outputs_are_enough_to_find_a_difference() {
    let network = Network::start();
    let tape = Shared::default();
    let recording = Recording::to(tape.clone()).outputs(Outputs::Digests);
    let dht = network.member(blocking::Dht::builder()).record(recording).build().unwrap();
    live(dht.client(), &network);
    dht.shutdown();
    let trace = tape.0.lock().unwrap().clone();
    let report = replayed(&trace);
    assert!(report.is_identical() && report.ending == Some(Ending::Complete));
    let mut inputs = Inputs::new(&trace[..]).unwrap();
    let answered = loop {
        let input = inputs.next().unwrap().unwrap();
        if let Some(Call::HandleDatagram { datagram, .. }) = input.call()
            && input.expected().is_some()
        {
            break (input.number, datagram.windows(5).rposition(|octets| octets == b"1:t4:").unwrap() + 8);
        }
    };
    let report = replayed(&with_bit_changed(&trace, answered.0, 8 * answered.1));
    let divergence = report.divergence.unwrap();
    assert_eq!(divergence.input.number, answered.0);
    assert!(divergence.to_string().contains("digest"));
}

#[test]
fn a_trace_that_was_cut_off_or_damaged_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    let trace = trace();
    std::fs::write(&path, &trace).unwrap();
    assert_identical(&path);

    // Without the last record.
    let end = Records::new(&trace).unwrap().last().unwrap().unwrap();
    std::fs::write(&path, &trace[..end.offset as usize]).unwrap();
    let report = replay(&path).unwrap();
    assert!(report.is_identical() && report.ending == Some(Ending::Open));
    assert!(report.to_string().contains("no end"));

    // In the middle of one.
    let middle = trace.len() / 2;
    std::fs::write(&path, &trace[..middle]).unwrap();
    let report = replay(&path).unwrap();
    assert!(report.is_identical());
    let Some(Ending::Damaged(Damage { offset, .. })) = report.ending else { panic!("{report}") };
    assert!(offset as usize <= middle && middle - (offset as usize) < 2_000);

    let mut damaged = trace.clone();
    damaged[middle] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let report = replay(&path).unwrap();
    assert!(report.is_identical() && report.inputs > 10);
    assert!(report.to_string().contains(&format!("damaged at octet {offset}")), "{report}");
    let result = std::panic::catch_unwind(|| assert_identical(&path));
    assert!(result.is_err(), "a damaged trace is not identical");

    for (octets, fault) in [(&trace[..0], "middle"), (&trace[..20], "middle"), (b"something else", "begin")] {
        std::fs::write(&path, octets).unwrap();
        let error = replay(&path).unwrap_err();
        assert!(matches!(error, TraceError::NotATrace(_)) && error.to_string().contains(fault), "{error}");
    }
    assert!(matches!(replay(directory.path().join("none")), Err(TraceError::Io(_))));
}

#[test]
fn a_forged_trace_takes_no_memory() {
    let mut node = Recorded::start(
        Storage::boxed(&Capacity::tiny()),
        &Config::new([1; 32]),
        Instant::ZERO,
        &Default::default(),
        Tape::default(),
    );
    let trace = node.finish().unwrap().0;
    let mut forged = Tape::default();
    write_header(&mut forged).unwrap();
    for traced in Records::new(&trace).unwrap() {
        let record = match traced.unwrap().record {
            Record::Start(mut start) => {
                start.capacity.values = usize::MAX;
                Record::Start(start)
            }
            record => record,
        };
        write_record(&mut forged, &record).unwrap();
    }
    let mut player = Player::new(Inputs::new(&forged.0[..]).unwrap());
    assert!(matches!(player.next(), Err(TraceError::TooBig { .. })));
}

#[test]
fn files_that_are_no_traces_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Recording::create(&path), Err(RecordError::Exists { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert!(matches!(Recording::create(directory.path()), Err(RecordError::Io { .. })));

    let path = directory.path().join("trace");
    std::fs::write(&path, trace()).unwrap();
    drop(Recording::create(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), b"", "an old trace is replaced");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        drop(Recording::create(directory.path().join("new")).unwrap());
        let mode = std::fs::metadata(directory.path().join("new")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the seed is in it");
    }
}

/// A disk that is full after so many octets.
struct FullDisk(usize);

impl std::io::Write for FullDisk {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(octets.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_node() {
    for room in [0, 500, 5_000] {
        let network = Network::start();
        let recording = Recording::to(FullDisk(room));
        let monitor = recording.monitor();
        let dht = network.member(blocking::Dht::builder()).record(recording).build().unwrap();
        let mut events = dht.events().unwrap();
        live(dht.client(), &network);
        assert!(monitor.failure().is_some(), "{room}");
        dht.shutdown();
        // What fails as early as the first two could be told to nobody; the monitor knows it.
        let told = events.any(|event| matches!(event, bep44::turn::NodeEvent::RecordingFailed(_)));
        assert!(told || room < 5_000);
    }
}

#[test]
fn what_is_recorded_is_in_the_file_a_second_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    let network = Network::start();
    let recording = Recording::create(&path).unwrap();
    let dht = network.member(blocking::Dht::builder()).record(recording).build().unwrap();
    live(dht.client(), &network);
    std::thread::sleep(Duration::from_secs(1));
    // As after `kill -9`.
    let copy = directory.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    let report = replay(&copy).unwrap();
    assert!(report.is_identical(), "{report}");
    assert!(report.inputs > 100, "{report}");
    dht.shutdown();
    assert_identical(&path);
}

#[test]
fn a_call_that_no_recorder_has_seen_is_refused() {
    let mut node = Recorded::start(
        Storage::boxed(&Capacity::tiny()),
        &Config::new([1; 32]),
        Instant::ZERO,
        &Default::default(),
        Tape::default(),
    );
    node.handle_timeout(Instant::ZERO);
    let mut trace = node.stop().unwrap();
    let value = [b'x'; 2_000];
    let item = ItemRecord::Immutable { value: &value };
    write_record(&mut trace, &Record::Call { after: 0, call: Call::Put { item, cas: None } }).unwrap();
    let mut player = Player::new(Inputs::new(&trace.0[..]).unwrap());
    assert!(matches!(player.run(None, |_| ()), Err(TraceError::Forged { .. })));
}

#[test]
fn wireshark_gets_the_packets() {
    use pcap_file::DataLink;
    use pcap_file::pcap::PcapReader;

    let trace = trace();
    let (mut sent, mut received) = (0, 0);
    let mut player = Player::new(Inputs::new(&trace[..]).unwrap());
    player
        .run(None, |played| {
            received += u64::from(matches!(played.input.call(), Some(Call::HandleDatagram { .. })));
            sent += u64::from(matches!(played.output(), Some(Output::Packet { .. })));
        })
        .unwrap();
    let mut pcap = Vec::new();
    let mut player = Player::new(Inputs::new(&trace[..]).unwrap());
    assert_eq!(write_pcap(&mut player, None, &mut pcap).unwrap(), sent + received);
    let mut reader = PcapReader::new(&pcap[..]).unwrap();
    assert_eq!(reader.header().datalink, DataLink::RAW);
    let mut local = std::collections::BTreeMap::<_, u64>::new();
    let mut last = Duration::ZERO;
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        assert!(packet.timestamp >= last && packet.timestamp.as_secs() > 1_700_000_000);
        last = packet.timestamp;
        let sliced = etherparse::SlicedPacket::from_ip(&packet.data).unwrap();
        let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else { panic!("not UDP") };
        assert!(udp.payload().starts_with(b"d") && udp.payload().ends_with(b"e"));
        for port in [udp.source_port(), udp.destination_port()] {
            *local.entry(port).or_default() += 1;
        }
    }
    assert!(local.values().any(|count| *count == sent + received), "one side of each packet is the node's");
}

#[test]
fn the_shrinker_leaves_what_it_takes() {
    let trace = trace();
    // A stranger has stored an item here: one datagram is enough, and its time (the token is valid only for some).
    let stores = |run: &Run| {
        run.steps().any(|(_, _, output)| {
            matches!(&output, Some(Output::Event(Told::ItemStored(stored)))
                if matches!(stored.item, ItemRecord::Immutable { value } if value.ends_with(b"from another")))
        })
    };
    let shrunk = Shrinker::default().shrink(Inputs::new(&trace[..]).unwrap(), stores).unwrap().unwrap();
    assert!(shrunk.before > 200, "{}", shrunk.before);
    // The put, and the call that tells of it.
    assert_eq!(shrunk.after, 2, "{:?}", calls(&shrunk.trace));
    assert!(replayed(&shrunk.trace).is_identical());

    // A node that stores nothing has found an item: by a query of ours, whose question draws another id when what was before is left out.
    let finds = |run: &Run| {
        run.steps().any(|(_, _, output)| {
            matches!(&output, Some(Output::Event(Told::Found { item: ItemRecord::Mutable { seq: 2, .. }, .. })))
        })
    };
    let trace = trace_of(|builder| builder.read_only(true));
    let inputs = || Inputs::new(&trace[..]).unwrap();
    let shrunk = Shrinker::default().shrink(inputs(), finds).unwrap().unwrap();
    let left = calls(&shrunk.trace);
    // Somebody to ask, the query, the question, its answer, the event; and what none of these can do without in this recording.
    assert!(shrunk.after * 10 <= shrunk.before, "{left:?}");
    assert!(left.iter().any(|call| call.starts_with("get_mutable")) && left.iter().any(|call| call.contains("answer")));
    let report = replayed(&shrunk.trace);
    assert!(report.is_identical() && report.ending == Some(Ending::Complete));
    println!("{} of {} calls after {} runs: {left:#?}", shrunk.after, shrunk.before, shrunk.runs);

    assert!(Shrinker::new(10).shrink(inputs(), |_| false).unwrap().is_none());
    let few = Shrinker::new(3).shrink(inputs(), finds).unwrap().unwrap();
    assert!(few.runs == 3 && few.after <= few.before);
}

fn calls(trace: &[u8]) -> Vec<String> {
    let mut inputs = Inputs::new(trace).unwrap();
    let mut calls = Vec::new();
    while let Some(input) = inputs.next().unwrap() {
        calls.extend(input.call().as_ref().map(|call| Shown::call(call).to_string()));
    }
    calls
}
