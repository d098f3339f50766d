//! One kind of theirs and us: all that BEP 44 and BEP 5 let one say to the other, in either direction.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bep44::core::item::immutable_target;
use bep44::core::wire::Code;
use bep44::{Mutable, SecretKey, Target};
use serde_json::{Value, json};

use crate::network::{client, network};
use crate::node::{Node, Put, Write, bencoded, public_key};
use crate::peer::{Failure, Kind, Peer};
use crate::report::{Job, Lane, Report, Way};

/// Nodes that store. More than the eight on which an item is put, so that a walk has to choose.
const STORING: usize = 10;

/// A number that was not used before in this run: items and keys are made of such numbers.
pub(crate) fn fresh() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn fresh_seed() -> [u8; 32] {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&fresh().to_le_bytes());
    seed
}

/// A place where nothing is.
pub(crate) fn fresh_target() -> Target {
    immutable_target(format!("nothing {}", fresh()).as_bytes())
}

/// For each of their kinds, a network of theirs that our client writes for and reads from, and one of ours that their
/// client does. At the same time: most of it is waiting, see below.
pub(crate) fn all(report: &mut Report) {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for kind in Kind::THEIRS {
        for read_only in [false, true] {
            jobs.push(Box::new(move |report| theirs_store(report, kind, read_only)));
        }
    }
    for kind in Kind::THEIRS {
        for read_only in [false, true] {
            // The JavaScript package has no read-only nodes.
            if !(kind == Kind::BittorrentDht && read_only) {
                jobs.push(Box::new(move |report| ours_store(report, kind, read_only)));
            }
        }
    }
    report.together(jobs);
    let ways = [(Way::TheyWrite, ": they write, we read"), (Way::WeWrite, ": we write, they read")];
    report.table_of_lanes("What each of them does and does not do with us, in networks of theirs and of ours", &ways);
    report.table_of_lanes("One key, written by them and by us in turn", &[(Way::Turns, "")]);
}

fn theirs_store(report: &mut Report, kind: Kind, read_only: bool) {
    let begun = Instant::now();
    let peer = Peer::start(kind);
    let nodes = network([Some(&peer); STORING]);
    let ours = client(None, &nodes, read_only);
    let lane = |way| Lane { kind, way, storage: kind };
    let they = Pair { storage: kind, read_only, writer: &nodes[1], reader: &ours };
    they.exercise(report, lane(Way::TheyWrite));
    // After the first put of a read-only node, libtorrent and bittorrent-dht have it in their tables, ask it, and wait
    // for it: from here on each walk of theirs takes them as long as they wait.
    let we = Pair { writer: &ours, reader: &nodes[9], ..they };
    report.together(vec![
        Box::new(|report| we.exercise(report, lane(Way::WeWrite))),
        Box::new(|report| turns(report, lane(Way::Turns), &ours, &nodes[4])),
    ]);
    done(kind, &peer.version, "theirs store", read_only, begun);
}

fn ours_store(report: &mut Report, kind: Kind, read_only: bool) {
    let begun = Instant::now();
    let peer = Peer::start(kind);
    let nodes = network([None; STORING]);
    let theirs = client(Some(&peer), &nodes, read_only);
    let lane = |way| Lane { kind, way, storage: Kind::Ours };
    let they = Pair { storage: Kind::Ours, read_only, writer: &theirs, reader: &nodes[7] };
    they.exercise(report, lane(Way::TheyWrite));
    let we = Pair { writer: &nodes[2], reader: &theirs, ..they };
    we.exercise(report, lane(Way::WeWrite));
    turns(report, lane(Way::Turns), &nodes[5], &theirs);
    if read_only {
        // It has asked and written: that alone puts nobody into our tables.
        let lists_it = |node: &&Node| match node {
            Node::Ours(dht) => dht.contacts().unwrap().iter().any(|known| known.addr == theirs.addr()),
            Node::Theirs(_) => false,
        };
        let listed = nodes.iter().filter(lists_it).count();
        report.row(lane(Way::TheyWrite), "a read-only node that has written", &listed, &0, "in no table of ours");
    }
    done(kind, &peer.version, "ours store", read_only, begun);
}

fn done(kind: Kind, version: &str, who: &str, read_only: bool, begun: Instant) {
    let client = if read_only { "a read-only node" } else { "a full node" };
    println!("  {} {version}: {who}, the client is {client}: {:.1} s", kind.name(), begun.elapsed().as_secs_f64());
}

#[derive(Clone, Copy)]
struct Pair<'a> {
    /// Which kind the storing nodes are.
    storage: Kind,
    /// Whether the client of this network is a read-only node.
    read_only: bool,
    writer: &'a Node,
    reader: &'a Node,
}

impl Pair<'_> {
    fn exercise(&self, report: &mut Report, lane: Lane) {
        report.together(vec![
            Box::new(|report| self.immutable(report, lane)),
            Box::new(|report| self.mutable(report, lane, None)),
            Box::new(|report| self.mutable(report, lane, Some("a salt"))),
            Box::new(|report| self.missing(report, lane)),
            Box::new(|report| self.same_number(report, lane)),
            Box::new(|report| self.empty_salt(report, lane)),
            Box::new(|report| self.limits(report, lane)),
            Box::new(|report| self.peers(report, lane)),
        ]);
    }

    fn immutable(&self, report: &mut Report, lane: Lane) {
        let value = json!(format!("immutable {}", fresh()));
        self.write_and_read(report, lane, "an immutable item", &value, "found");
        for (value, row) in [
            (json!(fresh()), "an immutable integer"),
            (json!([fresh(), "a", []]), "an immutable list"),
            (json!({"a": fresh(), "b": {"$hex": "ff00"}}), "an immutable dictionary"),
        ] {
            // The crate stores, writes and reads byte strings only: its nodes leave a put of anything else unanswered,
            // its client cannot be given it, and takes a reply with it for none.
            if self.writer.kind() == Kind::Mainline {
                report.row(lane, row, &self.writer.put_immutable(&value), &Err(Failure::Unsupported), "cannot write");
            } else if self.storage == Kind::Mainline {
                // Our own full node is not among those that are asked to store: a writer does not store with itself.
                report.row(lane, row, &self.writer.put_immutable(&value), &Err(Failure::NotStored), "not stored");
            } else if self.reader.kind() == Kind::Mainline {
                let put = self.writer.put_immutable(&value);
                let target = immutable_target(&bencoded(&value));
                report.check("it is stored all the same", put.is_ok(), &format!("{put:?}"));
                report.row(lane, row, &self.reader.get_immutable(target), &Ok(None), "cannot read");
            } else {
                self.write_and_read(report, lane, row, &value, "found");
            }
        }
    }

    fn missing(&self, report: &mut Report, lane: Lane) {
        let row = "what nobody has put";
        report.row(lane, row, &self.reader.get_immutable(fresh_target()), &Ok(None), "not found");
        let key = public_key(fresh_seed());
        report.row(lane, row, &self.reader.get_mutable(key, None), &Ok(None), "not found");
        report.row(lane, row, &self.reader.get_mutable(key, Some("a salt")), &Ok(None), "not found");
    }

    fn write_and_read(&self, report: &mut Report, lane: Lane, row: &str, value: &Value, cell: &str) {
        let wanted = bencoded(value);
        let target = immutable_target(&wanted);
        let put = self.writer.put_immutable(value);
        report.row(lane, row, &put.map(|put| put.target), &Ok(target.to_string()), cell);
        report.row(lane, row, &self.reader.get_immutable(target), &Ok(Some(wanted)), cell);
    }

    fn mutable(&self, report: &mut Report, lane: Lane, salt: Option<&str>) {
        let seed = fresh_seed();
        let key = public_key(seed);
        let write = |text: &str, seq, cas| self.writer.put_mutable(&Write { seed, salt, value: json!(text), seq, cas });
        let text = |text: &str| bencoded(&json!(text));
        let found = |seq, value: &str| Ok(Some((seq, text(value))));
        let numbered = |put: Result<Put, Failure>| put.map(|put| put.seq);

        let row = "a mutable item";
        report.row(lane, row, &numbered(write("one", 1, None)), &Ok(Some(1)), "found");
        report.row(lane, row, &self.reader.get_mutable(key, salt), &found(1, "one"), "found");
        if salt.is_some() {
            report.row(lane, "without its salt", &self.reader.get_mutable(key, None), &Ok(None), "not found");
        }
        let row = "an update";
        report.row(lane, row, &numbered(write("two", 2, None)), &Ok(Some(2)), "found");
        report.row(lane, row, &self.reader.get_mutable(key, salt), &found(2, "two"), "found");

        if self.writer.kind() == Kind::Libtorrent {
            // It sends no cas, and always writes the number after the highest that it finds: nothing of it is stale.
            for row in ["cas that fits", "cas that does not fit"] {
                let unsupported = Err(Failure::Unsupported);
                report.row(lane, row, &write("three", 3, Some(2)), &unsupported, "cannot send");
            }
            let row = "an older number";
            let cell = "writes the highest found + 1 instead";
            report.row(lane, row, &numbered(write("old", 1, None)), &Ok(Some(3)), cell);
            report.row(lane, row, &self.reader.get_mutable(key, salt), &found(3, "old"), cell);
            return;
        }
        let row = "cas that fits";
        report.row(lane, row, &numbered(write("three", 3, Some(2))), &Ok(Some(3)), "stored");
        let row = "cas that does not fit";
        report.row(lane, row, &write("four", 4, Some(2)), &Err(Failure::Refused(301)), "301");
        let row = "an older number";
        report.row(lane, row, &write("old", 1, None), &Err(Failure::Refused(302)), "302");
        let row = "after what was refused";
        report.row(lane, row, &self.reader.get_mutable(key, salt), &found(3, "three"), "unchanged");
    }

    /// BEP 44 has an empty salt and none be the same; those who sign `4:salt0:` disagree.
    fn empty_salt(&self, report: &mut Report, lane: Lane) {
        if self.writer.kind() == Kind::Ours {
            return;
        }
        let seed = fresh_seed();
        let write = Write { seed, salt: Some(""), value: json!("empty salt"), seq: 1, cas: None };
        let put = self.writer.put_mutable(&write).map(|put| put.seq);
        let read = self.reader.get_mutable(public_key(seed), None);
        let row = "an empty salt";
        if self.writer.kind() == Kind::Libtorrent {
            report.row(lane, row, &put, &Ok(Some(1)), "found, as if none");
            report.row(lane, row, &read, &Ok(Some((1, bencoded(&write.value)))), "found, as if none");
            return;
        }
        let cell = if self.storage == Kind::Ours {
            "signed as `4:salt0:`, refused"
        } else {
            "signed as `4:salt0:`, not found"
        };
        report.row(lane, row, &put, &self.put_that_ours_refuse(&put, Some(1)), cell);
        report.row(lane, row, &read, &Ok(None), cell);
    }

    /// What a writer of theirs must tell of a put that our nodes refuse and its own kind accepts. A full node of `mainline`
    /// among ours asks itself, too, if it is one of the closest, and is content then: of it, either is right.
    fn put_that_ours_refuse<T: PartialEq>(&self, seen: &Result<T, Failure>, accepted: T) -> Result<T, Failure> {
        let refused = Err(Failure::NotStored);
        let asks_itself = self.writer.kind() == Kind::Mainline && !self.read_only;
        if self.storage != Kind::Ours || (asks_itself && *seen != refused) { Ok(accepted) } else { refused }
    }

    /// The number that is stored already.
    fn same_number(&self, report: &mut Report, lane: Lane) {
        let seed = fresh_seed();
        let write = |text: &str| {
            self.writer
                .put_mutable(&Write { seed, salt: None, value: json!(text), seq: 1, cas: None })
                .map(|put| put.seq)
        };
        // libtorrent chooses another number, and what they do among themselves is not ours to test.
        if self.writer.kind() == Kind::Libtorrent || (self.writer.kind() != Kind::Ours && self.storage != Kind::Ours) {
            return;
        }
        // A full node of the other kind stores as well and judges otherwise than those around it, so that what a reader
        // finds is a matter of chance: of two values with one number, a single node that took the other is enough.
        if !self.read_only && (self.storage != Kind::Ours || lane.kind == Kind::Mainline) {
            return;
        }
        let first = write("first");
        report.expect("the first version", &first, &Ok(Some(1)));
        report.row(lane, "the same again", &write("first"), &Ok(Some(1)), "accepted");
        let (expected, value, cell) = match self.storage {
            Kind::Libtorrent => (Ok(Some(1)), "first", "success, and keeps the old"),
            Kind::Mainline => (Ok(Some(1)), "other", "success, and takes the new"),
            Kind::Ours | Kind::BittorrentDht => (Err(Failure::Refused(302)), "first", "302"),
        };
        report.row(lane, "another value with the same number", &write("other"), &expected, cell);
        let found = Ok(Some((1, bencoded(&json!(value)))));
        report.row(
            lane,
            "another value with the same number",
            &self.reader.get_mutable(public_key(seed), None),
            &found,
            cell,
        );
    }

    fn limits(&self, report: &mut Report, lane: Lane) {
        // 996 octets and four of length.
        let text = format!("{:>996}", fresh());
        self.write_and_read(report, lane, "an immutable value of 1,000 octets", &json!(text), "found");
        let seed = fresh_seed();
        let salt = format!("{:>64}", fresh());
        let write = Write { seed, salt: Some(&salt), value: json!(text), seq: 1, cas: None };
        let row = "a mutable value of 1,000 octets, with a salt of 64";
        let put = self.writer.put_mutable(&write).map(|put| put.seq);
        report.row(lane, row, &put, &Ok(Some(1)), "found");
        let found = self.reader.get_mutable(public_key(seed), Some(&salt));
        report.row(lane, row, &found, &Ok(Some((1, bencoded(&write.value)))), "found");
        if self.writer.kind() == Kind::Ours {
            return;
        }
        let long = json!(format!("{:>997}", fresh()));
        let put = self.writer.put_immutable(&long).map(drop);
        let row = "an immutable value of 1,001 octets";
        let (expected, cell) = match self.writer.kind() {
            Kind::Libtorrent => (Err(Failure::NotStored), "cannot write"),
            _ if self.storage == Kind::Ours => (self.put_that_ours_refuse(&put, ()), "refused"),
            _ => (Ok(()), "stored by theirs, not read by us"),
        };
        report.row(lane, row, &put, &expected, cell);
        report.row(lane, row, &self.reader.get_immutable(immutable_target(&bencoded(&long))), &Ok(None), cell);
    }

    fn peers(&self, report: &mut Report, lane: Lane) {
        let nobody = self.reader.get_peers(fresh_target());
        report.row(lane, "peers of what nobody has", &nobody, &Ok(vec![]), "none");
        for (row, port) in [("a peer on a port", Some(4_321)), ("a peer on the port of its node", None)] {
            let info_hash = fresh_target();
            let addr = SocketAddr::new(self.writer.addr().ip(), port.unwrap_or(self.writer.addr().port()));
            report.row(lane, row, &self.writer.announce(info_hash, port), &Ok(()), "found");
            report.row(lane, row, &self.reader.get_peers(info_hash), &Ok(vec![addr]), "found");
        }
    }
}

/// One key, held by both: each goes on from where the other stopped, and neither overwrites what it has not seen.
fn turns(report: &mut Report, lane: Lane, ours: &Node, theirs: &Node) {
    let Node::Ours(dht) = ours else { panic!("{:?} is not ours", ours.kind()) };
    let seed = fresh_seed();
    let (secret, key) = (SecretKey::from_seed(seed).unwrap(), public_key(seed));
    let by_theirs = |text: &str, seq, cas| {
        theirs.put_mutable(&Write { seed, salt: None, value: json!(text), seq, cas }).map(|put| put.seq)
    };
    let text = |text: &str| bencoded(&json!(text));

    report.row(lane, "they begin", &by_theirs("a", 1, None), &Ok(Some(1)), "stored");
    let mut seen = None;
    let update = dht.update(&secret, b"", |current| {
        seen = current.and_then(Mutable::as_text).map(str::to_owned);
        Some(text(&format!("{}b", seen.as_deref().unwrap_or_default())))
    });
    let written = update.map(|update| (update.item.map(|item| (item.seq(), item.value().to_vec())), update.attempts));
    report.row(lane, "we read, change and write it", &written, &Ok((Some((2, text("ab"))), 1)), "stored at once");
    report.row(lane, "they read that", &theirs.get_mutable(key, None), &Ok(Some((2, text("ab")))), "found");
    if theirs.kind() == Kind::Libtorrent {
        report.row(lane, "they go on", &by_theirs("abc", 3, None), &Ok(Some(3)), "stored");
    } else {
        let stale = by_theirs("ac", 3, Some(1));
        let row = "they go on from what is old";
        if theirs.kind() == Kind::BittorrentDht && stale.is_ok() {
            // One that we passed over, see below, has taken it, and a single success is one to this package.
            report.row(lane, row, &stale, &Ok(Some(3)), "success, if one node of all takes it");
        } else {
            report.row(lane, row, &stale, &Err(Failure::Refused(301)), "301");
        }
        report.row(lane, "they go on", &by_theirs("abc", 3, Some(2)), &Ok(Some(3)), "stored");
    }
    let stale = Mutable::sign(&secret, *b"", 3, text("abd")).unwrap();
    let put = dht.put_mutable(&stale, Some(2)).unwrap();
    // Who writes does not store with itself, so the eight nodes of one writer are not those of another, and the one that
    // theirs passed over still holds version 2, which fits. The others tell.
    let told = (put.is_conflict(), put.refused_with(Code::CasMismatch) > put.stored(), put.outcome.newest);
    report.row(lane, "we go on from what is old", &told, &(true, true, Some(3)), "301 from most");
    // That has left a node with another version 3; the next update is accepted by all of them.
    let update = dht.update(&secret, b"", |current| Some(text(&format!("{}e", current?.as_text()?)))).unwrap();
    let settled = Ok(update.item.map(|item| (item.seq(), item.value().to_vec())));
    report.check("the update is the fourth version", matches!(&settled, Ok(Some((4, _)))), &format!("{settled:?}"));
    report.row(lane, "we update it, and they read that", &theirs.get_mutable(key, None), &settled, "found");
}
