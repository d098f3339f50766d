//! A machine with files and a heap.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::process::ExitCode;

use crate::replay::{Replayed, Room, Sink, replay};

struct From(BufReader<File>);

impl bep44_trace::Read for From {
    type Error = std::io::Error;

    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

struct To(BufWriter<File>);

impl Sink for To {
    fn write(&mut self, octets: &[u8]) -> bool {
        self.0.write_all(octets).is_ok()
    }
}

/// `replay TRACE OUTPUTS`
pub fn main() -> ExitCode {
    match run() {
        Ok(Replayed { calls, outputs }) => {
            println!("calls {calls}\noutputs {outputs}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Replayed, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(trace), Some(outputs)) = (arguments.next(), arguments.next()) else {
        return Err("usage: replay TRACE OUTPUTS".into());
    };
    let from = From(BufReader::new(File::open(trace)?));
    let mut to = To(BufWriter::new(File::create(outputs)?));
    let room = Box::leak(Box::new(Room::ZERO));
    struct Borrowed<'a>(&'a mut To);
    impl Sink for Borrowed<'_> {
        fn write(&mut self, octets: &[u8]) -> bool {
            self.0.write(octets)
        }
    }
    let replayed = replay(room, from, Borrowed(&mut to)).map_err(|failure| failure.text().trim_end())?;
    to.0.flush()?;
    Ok(replayed)
}
