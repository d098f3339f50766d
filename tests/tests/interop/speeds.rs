//! How long each of us takes in a network of ours. Printed, and asserted of nothing: a machine may be busy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bep44::core::item::immutable_target;
use serde_json::json;

use crate::network::{addresses, dead, network, start};
use crate::node::{Node, bencoded};
use crate::pairs::fresh;
use crate::peer::{Kind, Peer};
use crate::report::{Job, Report, median, milliseconds};

const NODES: usize = 12;

/// How often each is measured, unless that takes longer than this.
const TIMES: usize = 15;
const ENOUGH: Duration = Duration::from_secs(5);

pub(crate) fn measured(report: &mut Report) {
    for kind in Kind::ALL {
        measure(report, kind, false);
    }
    measure(report, Kind::Ours, true);
    // The others spend that time waiting.
    let job = |kind| -> Job<'_> { Box::new(move |report: &mut Report| measure(report, kind, true)) };
    report.together(Kind::THEIRS.map(job).into_iter().collect());
    report.table_of_speeds(NODES);
}

fn measure(report: &mut Report, kind: Kind, some_are_dead: bool) {
    let peer = (kind != Kind::Ours).then(|| Peer::start(kind));
    let site = |own: &[Node]| {
        let mut told = addresses(own);
        if some_are_dead {
            // A quarter of those that it is told of, and not the last of them.
            (0..NODES / 3).for_each(|number| told.insert(4 * number, dead(u8::try_from(number).unwrap())));
        }
        told
    };
    let start = |told: &[SocketAddr]| start(peer.as_ref(), told, kind != Kind::BittorrentDht);
    let put = |node: &Node| node.put_immutable(&json!(format!("measured {}", fresh()))).ok().map(|put| put.stored);
    let stored = immutable_target(&bencoded(&json!("to be read")));
    let get = |node: &Node| matches!(node.get_immutable(stored), Ok(Some(_))).then_some(None);

    let nodes = network([None; NODES]);
    assert!(put_to_be_read(&nodes));
    let warm = start(&site(&nodes));
    until_done(|| put(&warm));
    let [warm_put, warm_get] = [repeat(|| timed(|| put(&warm))), repeat(|| timed(|| get(&warm)))];
    // Each comes to a network of its own: where a full node has come and gone, it is still listed for a while, and the
    // next one would be measured waiting for it.
    let once = |act: &dyn Fn(&Node) -> Option<Option<u64>>| {
        repeat(|| {
            let nodes = network([None; NODES]);
            assert!(put_to_be_read(&nodes));
            let told = site(&nodes);
            let mut once = None;
            timed(|| act(once.get_or_insert_with(|| start(&told))))
        })
    };
    report.speeds(kind, some_are_dead, vec![warm_put, warm_get, once(&put), once(&get)]);
}

fn put_to_be_read(nodes: &[Node]) -> bool {
    nodes[0].put_immutable(&json!("to be read")).is_ok()
}

/// Who has just started may know nobody yet, and fail at once: then it tries again.
fn until_done<T>(mut act: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(done) = act() {
            return done;
        }
        assert!(Instant::now() < end, "it never succeeds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn timed<T>(act: impl FnMut() -> Option<T>) -> (Duration, T) {
    let begun = Instant::now();
    let done = until_done(act);
    (begun.elapsed(), done)
}

/// The median time, and how many nodes have stored, if that is what is measured and the asker tells: the fewest.
fn repeat(mut act: impl FnMut() -> (Duration, Option<u64>)) -> String {
    let (begun, mut times, mut fewest) = (Instant::now(), Vec::new(), None);
    while times.len() < TIMES && begun.elapsed() < ENOUGH {
        let (time, stored) = act();
        times.push(time);
        fewest = [fewest, stored].into_iter().flatten().min();
    }
    let time = milliseconds(median(&times));
    fewest.map_or(time.clone(), |fewest| format!("{time} ({fewest})"))
}
