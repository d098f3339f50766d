//! `bep44 watch`: each newer version of a mutable item as it appears, until it is told to stop.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bep44::client::Got;
use bep44::{Error, Mutable, PublicKey};

use crate::args::{Join, Watch};
use crate::driver::{Dht, wait};
use crate::failure::Failure;
use crate::get::show_mutable;
use crate::network::guest;
use crate::output::{Output, count, time};
use crate::signals::on_stop;

/// The longest that is waited in addition, as a part of the interval.
const JITTER: f64 = 0.1;

/// What there is to say.
enum Happening {
    Asked(Box<Result<Got<Mutable>, Error>>),
    Stop,
}

pub(crate) fn run(args: &Watch, join: &Join, output: &Output) -> Result<(), Failure> {
    let (happens, happenings) = channel();
    on_stop(happens.clone(), || Happening::Stop)?;
    let dht = Arc::new(guest(join, output)?);
    let asking = Arc::clone(&dht);
    let (key, salt, interval) = (args.public_key, args.salt.clone().unwrap_or_default(), args.interval);
    // This thread sleeps most of the time, and ends with the process.
    std::thread::spawn(move || poll(&asking, key, salt.0.as_bytes(), interval, &happens));
    let mut watcher = Watcher { output, interval, is_first: true, out_of_reach: false };
    for happening in happenings {
        match happening {
            Happening::Asked(asked) => watcher.show(*asked)?,
            Happening::Stop => break,
        }
    }
    // The thread may sleep for long, and holds the node.
    dht.shutdown();
    Ok(())
}

/// Asks again and again for what is newer than the newest so far, as long as somebody wants to know.
fn poll(dht: &Dht, key: PublicKey, salt: &[u8], interval: Duration, happens: &Sender<Happening>) {
    let mut newest = None;
    loop {
        let asked = wait(dht.newest(key, salt, newest));
        if let Ok(Got { item: Some(item), .. }) = &asked {
            newest = Some(item.seq());
        }
        if happens.send(Happening::Asked(Box::new(asked))).is_err() {
            return;
        }
        // Those who began in the same moment do not go on asking in the same moment. Without randomness they do.
        let part = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
        std::thread::sleep(interval.mul_f64(part.mul_add(JITTER, 1.0)));
    }
}

struct Watcher<'a> {
    output: &'a Output,
    interval: Duration,
    is_first: bool,
    /// Whether nobody answered the last question.
    out_of_reach: bool,
}

impl Watcher<'_> {
    /// Who cannot be asked at all was named wrongly, and the command fails. Who could be asked once may be so again.
    fn show(&mut self, asked: Result<Got<Mutable>, Error>) -> Result<(), Failure> {
        let output = self.output;
        let is_first = std::mem::take(&mut self.is_first);
        let got = match asked {
            Ok(got) if got.outcome.answered > 0 => got,
            Ok(got) if is_first => return Err(Failure::nobody(got.outcome.asked)),
            Err(error) if is_first => return Err(error.into()),
            unreachable => {
                if !std::mem::replace(&mut self.out_of_reach, true) {
                    let why = unreachable.map_or_else(|error| error.to_string(), |_| "nobody answers".to_owned());
                    output.note(&format!("{why}: trying again every {}", time(self.interval)));
                }
                return Ok(());
            }
        };
        self.out_of_reach = false;
        let answered = count(got.outcome.answered, "node");
        match got.item {
            Some(item) => {
                show_mutable(&item, &got.outcome, output);
                // Versions are a paragraph each.
                output.line("");
            }
            None if is_first => output.note(&format!(
                "nothing is stored yet ({answered} answered): asking again every {}",
                time(self.interval)
            )),
            None => output.detail(|| format!("nothing newer ({answered} answered)")),
        }
        Ok(())
    }
}
