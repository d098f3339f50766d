//! `bep44 replay`: a trace on a fresh node, compared, shown, and exported.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, IsTerminal as _, Write as _, stdin, stdout};
use std::path::Path;

use bep44::replay::format::{Call, Output as Said};
use bep44::replay::{
    Damage, Ending, Inputs, PacketWriter, PcapWriteError, Played, Player, Report, Shown, TraceError, What,
};
use bep44::{replay, to_hex};
use serde_json::{Map, Value, json};

use crate::args::Replay;
use crate::failure::Failure;
use crate::output::{BAD, DIM, GOOD, Output, STRONG, count};

pub(crate) fn run(args: &Replay, output: &Output) -> Result<(), Failure> {
    let mut player = open(&args.file)?;
    let mut packets = args.pcap.as_deref().map(|path| create(path, &args.file)).transpose()?;
    let mut unwritten = None;
    let waits = args.step && !output.is_json() && stdin().is_terminal() && stdout().is_terminal();
    let played = player.run(args.until, |played| {
        if args.dump || args.step {
            show(played, output);
        }
        if waits && !is_quiet(played) {
            wait_for_enter();
        }
        if let Some(packets) = packets.as_mut().filter(|_| unwritten.is_none()) {
            unwritten = packets.write(played).err();
        }
    });
    played.map_err(|error| failed(&args.file, &error))?;
    let packets = packets.map(|packets| {
        let number = packets.packets();
        packets.finish().map(|()| number)
    });
    let packets = match (unwritten, packets) {
        (Some(error), _) | (None, Some(Err(error))) => return Err(Failure::refused(error.to_string())),
        (None, Some(Ok(number))) => Some(number),
        (None, None) => None,
    };
    conclude(&player.report(), packets, args, output)
}

fn open(path: &Path) -> Result<Player<BufReader<File>>, Failure> {
    Inputs::open(path).map(Player::new).map_err(|error| failed(path, &error))
}

/// What is no trace is wrong usage; one that is damaged, or was forged, is not.
fn failed(path: &Path, error: &TraceError) -> Failure {
    let message = format!("{}: {error}", path.display());
    match error {
        TraceError::Io(_)
        | TraceError::NotATrace(Damage { fault: replay::Fault::NotATrace | replay::Fault::Version(_), .. }) => {
            Failure::usage(message)
        }
        _ => Failure::refused(message),
    }
}

fn create(path: &Path, trace: &Path) -> Result<PacketWriter<BufWriter<File>>, Failure> {
    let failed = |error: PcapWriteError| Failure::usage(format!("{}: {error}", path.display()));
    let same = |path: &Path| path.canonicalize().ok();
    if same(path).is_some() && same(path) == same(trace) {
        return Err(Failure::usage(format!("{} is the trace itself: name another file for --pcap", path.display())));
    }
    let file = File::create(path).map_err(|error| failed(PcapWriteError::Io(error)))?;
    PacketWriter::new(BufWriter::new(file)).map_err(failed)
}

/// A call that only asked whether there is something to do, and there was nothing.
fn is_quiet(played: &Played) -> bool {
    let asks = matches!(played.input.call(), Some(Call::PollTransmit { .. } | Call::PollEvent | Call::PollTimeout));
    asks && played.what.is_none() && matches!(played.output(), None | Some(Said::Deadline(_)))
}

fn show(played: &Played, output: &Output) {
    if is_quiet(played) && !output.is_verbose() {
        return;
    }
    let Some(input) = shown(played) else { return };
    let said = played.output().as_ref().map(Shown::output);
    let expected = played.input.expected().filter(|_| played.what.is_some()).as_ref().map(Shown::expected);
    let mut object = json!({
        "input": played.input.number,
        "time": played.time.as_secs_f64(),
        "call": input.title,
        "fields": fields(&input),
    });
    if let Some(said) = &said {
        object["output"] = json!({ "what": said.title, "fields": fields(said) });
    }
    if let Some(expected) = &expected {
        object["expected"] = json!({ "what": expected.title, "fields": fields(expected) });
    }
    output.object(&object);
    let time = format!("{}.{:06}", played.time.as_secs(), played.time.subsec_micros());
    output.line(&format!("{DIM}{:>6} {time:>13}{DIM:#}  {}", played.input.number, line(&input)));
    if let Some(said) = &said {
        output.line(&format!("{:>20}  {GOOD}->{GOOD:#} {}", "", line(said)));
    }
    if played.what.is_some() {
        let text = expected.as_ref().map_or_else(|| "nothing".to_owned(), line);
        output.line(&format!("{:>20}  {BAD}expected{BAD:#} {text}", ""));
    }
}

fn shown(played: &Played) -> Option<Shown> {
    let call = played.input.call().as_ref().map(Shown::call);
    call.or_else(|| played.input.start().as_ref().map(Shown::start))
}

fn line(shown: &Shown) -> String {
    let fields = shown.fields.iter().map(|(name, value)| format!(" {DIM}{name}={DIM:#}{value}"));
    format!("{STRONG}{}{STRONG:#}{}", shown.title, fields.collect::<String>())
}

/// As an object; of fields with one name, which a message may have, the first.
fn fields(shown: &Shown) -> Value {
    let mut fields = Map::new();
    for (name, value) in &shown.fields {
        fields.entry(name.clone()).or_insert_with(|| value.clone().into());
    }
    Value::Object(fields)
}

/// Until the end of the input, if there is no more.
fn wait_for_enter() {
    let _ = stdout().flush();
    // Nobody who could press it any more: the rest is shown at once.
    let _ = stdin().lock().read_line(&mut String::new());
}

fn conclude(report: &Report, packets: Option<u64>, args: &Replay, output: &Output) -> Result<(), Failure> {
    let mut object = json!({
        "inputs": report.inputs,
        "outputs": report.outputs,
        "identical": report.is_identical(),
        "complete": report.ending == Some(Ending::Complete),
        "digest": to_hex(&report.digest),
    });
    if let (Some(packets), Some(path)) = (packets, &args.pcap) {
        object["packets"] = packets.into();
        output.note(&format!("{} in {}", count(packets, "packet"), path.display()));
    }
    let so_far = format!("{}, {}", count(report.inputs, "input"), count(report.outputs, "output"));
    if let Some(divergence) = &report.divergence {
        object["difference"] = json!({
            "input": divergence.input.number,
            "octet": divergence.input.offset,
            "time": divergence.time.as_secs_f64(),
            "reason": match &divergence.what {
                What::Differs(difference) => difference.to_string(),
                What::Panicked(message) => format!("the node panicked: {message}"),
                _ => String::new(),
            },
            "expected": divergence.expected().as_ref().map(|expected| fields(&Shown::expected(expected))),
            "actual": divergence.actual_output().as_ref().map(|actual| fields(&Shown::output(actual))),
        });
        output.line(&divergence.to_string());
        let number = divergence.input.number;
        return Err(
            Failure::refused(format!("different at input {number}, the first of {so_far}")).with_details(object)
        );
    }
    match report.ending {
        Some(Ending::Damaged(damage)) => {
            object["damage"] = json!({ "octet": damage.offset, "reason": damage.fault.to_string() });
            let message = format!("the trace is {damage}. Up to there it is identical ({so_far})");
            return Err(Failure::refused(message).with_details(object));
        }
        Some(Ending::Open) => {
            output.note("the trace has no end: its recorder was killed, could not write any more, or still runs");
        }
        Some(Ending::Complete) | None => {}
    }
    output.object(&object);
    output.line(&format!("{GOOD}identical{GOOD:#}  {so_far}"));
    output.detail(|| format!("running digest {}", to_hex(&report.digest)));
    Ok(())
}
