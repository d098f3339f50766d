//! A node with a data directory, on loopback: what comes back after a restart, and what is refused.
#![cfg(all(feature = "blocking", feature = "redb"))]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bep44::blocking::Dht;
use bep44::core::{Event, MAX_DATAGRAM, Node, Rate, Storage};
use bep44::persist::{DataDir, DataError, Monitor, Status};
use bep44::turn::{Command, NodeEvent, Sink, Step, Turn};
use bep44::{AnyItem, BuildError, Builder, Capacity, Immutable, Mutable, NodeId, SecretKey, Target, bencoded_bytes};
use redb::{ReadableTable, TableDefinition};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const FILE: &str = "bep44.redb";
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ITEMS: TableDefinition<'_, &[u8; 21], &[u8]> = TableDefinition::new("items");

fn builder() -> Builder<Dht> {
    Dht::builder()
        .bind(ANY)
        .config(|config| (config.queries, config.verifications) = (Rate::UNLIMITED, Rate::UNLIMITED))
}

fn start(dir: &Path) -> (Dht, Monitor) {
    let dir = DataDir::open(dir).unwrap();
    let monitor = dir.monitor();
    (builder().data(dir).build().unwrap(), monitor)
}

fn guest(node: &Dht) -> Dht {
    Dht::builder().bind(ANY).bootstrap([node.local_addr()]).read_only(true).build().unwrap()
}

fn mutable(seq: i64) -> Mutable {
    let secret = SecretKey::from_seed([3; 32]).unwrap();
    Mutable::sign(&secret, *b"salt", seq, bencoded_bytes(format!("version {seq}").as_bytes())).unwrap()
}

fn put(node: &Dht, text: &str) -> Immutable {
    let item = Immutable::text(text).unwrap();
    assert_eq!(guest(node).put(&item).unwrap().stored(), 1);
    item
}

fn wait_for(monitor: &Monitor, what: impl Fn(&Status) -> bool) -> Status {
    let start = Instant::now();
    loop {
        let status = monitor.status();
        if what(&status) {
            return status;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Changes the records of a directory that no node has open.
fn edit(dir: &Path, change: impl Fn(&[u8; 21], &mut Vec<u8>)) {
    let database = redb::Database::open(dir.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(ITEMS).unwrap();
        let rows: Vec<_> =
            table.iter().unwrap().map(|row| row.map(|(k, v)| (*k.value(), v.value().to_vec())).unwrap()).collect();
        for (key, mut record) in rows {
            change(&key, &mut record);
            table.insert(&key, record.as_slice()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn count(dir: &Path) -> usize {
    let database = redb::Database::open(dir.join(FILE)).unwrap();
    database.begin_read().unwrap().open_table(ITEMS).unwrap().iter().unwrap().count()
}

#[test]
fn a_restart_brings_everything_back() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    let (id, info_hash) = (node.id(), Target::new([9; 20]));
    let item = put(&node, "kept");
    let client = guest(&node);
    for seq in 1..=3 {
        assert_eq!(client.put_mutable(&mutable(seq), None).unwrap().stored(), 1);
    }
    assert_eq!(client.announce(info_hash, Some(5_000)).unwrap().outcome.accepted, 1);
    // A full node, so that it becomes a contact.
    let neighbour = builder().bootstrap([node.local_addr()]).build().unwrap();
    neighbour.bootstrap().unwrap();
    let since = Instant::now();
    while node.contacts().unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    node.shutdown();

    let (node, monitor) = start(dir.path());
    assert_eq!(node.id(), id);
    let restored = monitor.status().restored;
    assert_eq!((restored.items, restored.peers, restored.contacts), (2, 1, 1));
    assert_eq!((restored.expired, restored.invalid, restored.left_out), (0, 0, 0));
    // Nobody has told the node of the network: it asks the contact it remembers.
    let since = Instant::now();
    while node.contacts().unwrap().iter().all(|known| known.standing != bep44::core::Standing::Good) {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(node.contacts().unwrap()[0].addr, neighbour.local_addr());
    neighbour.shutdown();
    // Byte for byte: key, salt, number, value and signature.
    let client = guest(&node);
    assert_eq!(client.get(item.target()).unwrap().item, Some(item));
    let newest = mutable(3);
    assert_eq!(client.newest(*newest.key(), b"salt", None).unwrap().item, Some(newest));
    assert_eq!(client.get_peers(info_hash).unwrap().peers, ["127.0.0.1:5000".parse().unwrap()]);
}

#[test]
fn what_is_kept_alive_is_so_after_a_restart_and_a_forgotten_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    let forgotten = Immutable::text("forgotten").unwrap();
    node.keep(mutable(3)).unwrap();
    node.keep(forgotten.clone()).unwrap();
    assert!(node.forget(forgotten.target()).unwrap());
    // Nobody is there whom it could be announced to: it stays due.
    node.shutdown();

    let (node, monitor) = start(dir.path());
    assert_eq!(monitor.status().restored.items, 2);
    let kept = node.kept().unwrap();
    assert_eq!(kept.iter().map(|kept| kept.item.clone()).collect::<Vec<_>>(), [AnyItem::from(mutable(3))]);
    let events = node.events().unwrap();
    let neighbour = builder().bootstrap([node.local_addr()]).build().unwrap();
    neighbour.bootstrap().unwrap();
    let announced = events.into_iter().find(|event| matches!(event, NodeEvent::Announced { .. }));
    let Some(NodeEvent::Announced { seq: Some(3), outcome, .. }) = announced else { panic!("{announced:?}") };
    assert_eq!(outcome.accepted, 1);
    // Somebody writes a newer version: that one comes back, and is not announced again at once.
    assert_eq!(guest(&node).put_mutable(&mutable(4), None).unwrap().stored(), 2);
    node.shutdown();
    let (node, _) = start(dir.path());
    let kept = node.kept().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].item, AnyItem::from(mutable(4)));
    assert!(kept[0].until_next > Duration::from_secs(45 * 60), "{:?}", kept[0].until_next);
    node.shutdown();

    // Of nothing else than what it wrote itself it believes that it kept it, and not of what was changed since.
    edit(dir.path(), |key, record| {
        if key[20] == 1 {
            *record.last_mut().unwrap() ^= 1;
        }
    });
    let (node, monitor) = start(dir.path());
    assert_eq!((monitor.status().restored.invalid, node.kept().unwrap().len()), (1, 0));
}

#[test]
fn an_id_that_is_given_takes_the_place_of_the_one_that_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let given = NodeId::new([7; 20]);
    builder().data_dir(dir.path()).id(given).build().unwrap().shutdown();
    assert_eq!(DataDir::open(dir.path()).unwrap().id(), Some(given));
}

#[test]
fn an_item_keeps_the_time_it_had_left_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let short = |config: &mut bep44::Config| config.item_lifetime = Duration::from_secs(3);
    let node = builder().config(short).data_dir(dir.path()).build().unwrap();
    let item = put(&node, "short");
    let stored = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    node.shutdown();

    let node = builder().config(short).data_dir(dir.path()).build().unwrap();
    let events = node.events().unwrap();
    assert_eq!(guest(&node).get(item.target()).unwrap().item, Some(item.clone()));
    for event in events {
        if let NodeEvent::ItemDropped { target, .. } = event {
            assert_eq!(target, item.target());
            break;
        }
    }
    let lived = stored.elapsed();
    assert!(lived > Duration::from_millis(2_800) && lived < Duration::from_millis(3_900), "{lived:?}");
    node.shutdown();
    assert_eq!(count(dir.path()), 0, "what was dropped is gone from the disk as well");
    let (_node, monitor) = start(dir.path());
    assert_eq!(monitor.status().restored.items, 0);
}

#[test]
fn time_runs_while_the_node_is_down_and_a_clock_set_back_gives_none() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    let (old, future, endless) = (put(&node, "old"), put(&node, "future"), put(&node, "endless"));
    node.shutdown();
    let written = |record: &[u8]| u64::from_le_bytes(record[..8].try_into().unwrap());
    edit(dir.path(), |key, record| {
        let stamp = written(record);
        if key[..20] == *old.target().as_bytes() {
            record[..8].copy_from_slice(&(stamp - 3 * 3_600_000).to_le_bytes());
        } else if key[..20] == *future.target().as_bytes() {
            record[..8].copy_from_slice(&(stamp + 100 * 3_600_000).to_le_bytes());
        } else {
            record[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        }
    });
    let (node, monitor) = start(dir.path());
    let restored = monitor.status().restored;
    assert_eq!((restored.items, restored.expired), (2, 1));
    assert_eq!(guest(&node).get(old.target()).unwrap().item, None);
    assert_eq!(guest(&node).get(endless.target()).unwrap().item, Some(endless.clone()));
    node.shutdown();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    edit(dir.path(), |key, record| {
        if key[..20] == *future.target().as_bytes() {
            assert!(written(record) <= now, "written anew by the clock as it is");
            let left = u64::from_le_bytes(record[8..16].try_into().unwrap());
            assert!(left <= 2 * 3_600_000);
        }
    });
}

#[test]
fn what_is_damaged_in_a_record_is_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    let (good, bad) = (put(&node, "good"), put(&node, "bad"));
    assert_eq!(guest(&node).put_mutable(&mutable(1), None).unwrap().stored(), 1);
    node.shutdown();
    edit(dir.path(), |key, record| {
        let is_bad = key[..20] == *bad.target().as_bytes();
        // A letter of the value that is hashed, and the sequence number that is signed.
        if is_bad {
            *record.last_mut().unwrap() ^= 1;
        } else if key[20] == 1 {
            record[16 + 32 + 64] += 1;
        }
    });
    let (node, monitor) = start(dir.path());
    let restored = monitor.status().restored;
    assert_eq!((restored.items, restored.invalid), (1, 2));
    assert_eq!(guest(&node).get(bad.target()).unwrap().item, None);
    assert_eq!(guest(&node).newest(*mutable(1).key(), b"salt", None).unwrap().item, None);
    assert_eq!(guest(&node).get(good.target()).unwrap().item, Some(good));
    node.shutdown();
    assert_eq!(count(dir.path()), 1);
}

#[test]
fn a_second_node_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    match builder().data_dir(dir.path()).build() {
        Err(BuildError::Data(error @ DataError::InUse { .. })) => {
            let text = error.to_string();
            assert!(text.contains(&dir.path().display().to_string()) && text.contains("another node"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    let item = put(&node, "still here");
    node.shutdown();
    let (node, _) = start(dir.path());
    assert_eq!(guest(&node).get(item.target()).unwrap().item, Some(item));
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    for number in 0..20 {
        put(&node, &format!("{number:0500}"));
    }
    node.shutdown();
    let file = dir.path().join(FILE);
    let sound = fs::read(&file).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let result = DataDir::open(dir.path());
        assert!(fs::read(&file).unwrap() == bytes, "the file was changed");
        matches!(result, Err(DataError::Damaged { .. }))
    };
    // The last letters of a value: no page is left unread.
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let value = sound.windows(300).position(|window| window.iter().all(|octet| *octet == b'0')).unwrap();
    assert!(refused(&flipped(value)), "a value");
    assert!(refused(&flipped(0)), "the magic number");
    assert!(refused(&sound[..sound.len() / 2]), "half a file");
    assert!(refused(&sound[..100]), "a piece of the header");
    assert!(refused(b""), "nothing");
    assert!(refused(b"something else"), "another file");
    assert!(refused(&vec![0; sound.len()]), "zeros");
    fs::write(&file, &sound).unwrap();
    let (_node, monitor) = start(dir.path());
    assert_eq!(monitor.status().restored.items, 20);
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(DataDir::open(dir.path()).unwrap());
    let file = dir.path().join(FILE);
    {
        let database = redb::Database::open(&file).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", 2_u32.to_le_bytes().as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    let bytes = fs::read(&file).unwrap();
    let error = DataDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, DataError::Newer { found: 2, known: 1, .. }), "{error:?}");
    assert!(fs::read(&file).unwrap() == bytes);
}

#[test]
fn a_directory_that_cannot_be_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DataDir::open(file.join("data")).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }) && error.to_string().contains("file/data"), "{error}");
}

#[test]
fn a_creation_that_was_interrupted_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bep44.redb.new"), "half a datab").unwrap();
    drop(DataDir::open(dir.path()).unwrap());
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
}

#[test]
fn a_smaller_node_takes_what_fits_and_one_without_room_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = start(dir.path());
    for number in 0..10 {
        put(&node, &number.to_string());
    }
    node.shutdown();
    let restored = |capacity: Capacity| {
        let dir = DataDir::open(dir.path()).unwrap();
        let monitor = dir.monitor();
        builder().capacity(capacity).data(dir).build().unwrap().shutdown();
        let restored = monitor.status().restored;
        (restored.items, restored.left_out)
    };
    assert_eq!(restored(Capacity { items: 0, values: 0, ..Capacity::tiny() }), (0, 10));
    assert_eq!(restored(Capacity { items: 6, ..Capacity::tiny() }), (6, 4));
    assert_eq!(restored(Capacity::tiny()), (6, 0));
}

#[test]
fn a_full_store_leaves_nothing_behind_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let node = builder().capacity(Capacity { items: 8, ..Capacity::tiny() }).data_dir(dir.path()).build().unwrap();
    let client = guest(&node);
    for number in 0..500 {
        assert_eq!(client.put(&Immutable::text(&number.to_string()).unwrap()).unwrap().stored(), 1);
    }
    node.shutdown();
    assert_eq!(count(dir.path()), 8);
}

/// A sink that cannot write.
#[derive(Debug, Default, Clone)]
struct Notes(Arc<Mutex<Vec<&'static str>>>);

impl Sink for Notes {
    fn item(&mut self, _now: bep44::core::Instant, event: &Event<'_>) {
        assert!(matches!(event, Event::ItemStored(_)), "{event:?}");
        self.0.lock().unwrap().push("stored");
    }
    fn due(&self) -> Option<bep44::core::Instant> {
        let snapshots = self.0.lock().unwrap().iter().filter(|note| **note == "snapshot").count();
        Some(bep44::core::Instant::from_secs(60 * (1 + snapshots as u64)))
    }
    fn snapshot(&mut self, _now: bep44::core::Instant, node: &Node<'static>) {
        assert_eq!(node.items().count(), 1);
        self.0.lock().unwrap().push("snapshot");
    }
    fn trouble(&mut self) -> Option<String> {
        let mut notes = self.0.lock().unwrap();
        let is_first = notes.last() == Some(&"snapshot");
        is_first.then(|| {
            notes.push("trouble");
            "the disk is full".into()
        })
    }
    fn close(&mut self, _now: bep44::core::Instant, _node: &Node<'static>) {
        self.0.lock().unwrap().push("closed");
    }
}

#[test]
fn a_sink_is_told_before_the_answer_leaves_and_closed_once() {
    let notes = Notes::default();
    let at = |secs| bep44::core::Instant::from_secs(secs);
    let storage = || Storage::boxed(&Capacity::tiny());
    let mut turn = Turn::new(Node::new(storage(), &bep44::Config::new([1; 32]), at(0)), Duration::from_secs(60));
    turn.set_sink(Box::new(notes.clone()));
    let (sender, events) = async_channel::bounded(8);
    turn.on_command(at(0), Command::Subscribe(sender));

    // Another node puts an item; each packet goes straight to the other side.
    let (here, there) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let mut other = Node::new(storage(), &bep44::Config::new([2; 32]), at(0));
    other.add_bootstrap(here).unwrap();
    let item = Immutable::text("told").unwrap();
    other.put(at(0), &item.as_item().unwrap(), None).unwrap();
    let mut buf = [0; MAX_DATAGRAM];
    while notes.0.lock().unwrap().is_empty() {
        let question = other.poll_transmit(at(1), &mut buf).expect("there is more to do").datagram.to_vec();
        let answer = turn.on_datagram(at(1), there, &question).map(|answer| answer.datagram.to_vec());
        if let Some(answer) = answer {
            assert!(other.handle_datagram(at(1), here, &answer, &mut buf).is_none());
        }
    }
    // No call of `next` so far.
    assert_eq!(*notes.0.lock().unwrap(), ["stored"]);
    let mut step = |secs| loop {
        match turn.next(at(secs)) {
            Step::Send(_) => {}
            Step::Wait(until) => return until,
            Step::End => return None,
        }
    };
    assert!(step(59).is_some_and(|until| until <= at(60)));
    step(60);
    assert_eq!(*notes.0.lock().unwrap(), ["stored", "snapshot", "trouble"]);
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(told.last(), Some(&NodeEvent::SavingFailed("the disk is full".into())));
    turn.on_command(at(61), Command::Shutdown);
    assert!(matches!(turn.next(at(61)), Step::End) && matches!(turn.next(at(61)), Step::End));
    drop(turn);
    assert_eq!(*notes.0.lock().unwrap(), ["stored", "snapshot", "trouble", "closed"]);
}

#[test]
fn storing_does_not_wait_for_a_commit_and_a_commit_takes_what_has_gathered() {
    let dir = tempfile::tempdir().unwrap();
    let open = DataDir::open(dir.path()).unwrap().commit_every(Duration::from_secs(3_600));
    let monitor = open.monitor();
    let node = builder().data(open).build().unwrap();
    put(&node, "the first is committed at once");
    wait_for(&monitor, |status| status.commits == 1 && status.pending == 0);
    let client = guest(&node);
    for seq in 1..=200 {
        assert_eq!(client.put_mutable(&mutable(seq), None).unwrap().stored(), 1);
    }
    let status = monitor.status();
    assert_eq!((status.commits, status.pending), (1, 1), "one change is pending for one item");
    assert!(status.window >= Duration::from_secs(3_600) && status.failure.is_none());
    node.shutdown();
    let status = monitor.status();
    assert_eq!((status.commits, status.pending), (2, 0));
    let (node, _) = start(dir.path());
    assert_eq!(guest(&node).newest(*mutable(1).key(), b"salt", None).unwrap().item, Some(mutable(200)));
}

#[cfg(feature = "tokio")]
#[test]
fn a_task_has_written_everything_when_shutdown_returns() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let build = || bep44::tokio::Dht::builder().bind(ANY).data_dir(dir.path()).build().unwrap();
        let node = build();
        let client =
            bep44::tokio::Dht::builder().bind(ANY).bootstrap([node.local_addr()]).read_only(true).build().unwrap();
        let item = Immutable::text("kept by a task").unwrap();
        assert_eq!(client.put(&item).await.unwrap().stored(), 1);
        node.shutdown().await;
        // At once: the directory is free, and the item is there.
        let node = build();
        let client =
            bep44::tokio::Dht::builder().bind(ANY).bootstrap([node.local_addr()]).read_only(true).build().unwrap();
        assert_eq!(client.get(item.target()).await.unwrap().item, Some(item));
    });
}
