//! The file: the one place that calls `redb`.
//!
//! A file is looked at before it is touched. `redb` writes to a file as soon as it opens it, and repairs what a crash has
//! left; so it is first let loose on an [`Overlay`] that keeps all writes in memory, reads everything there, and only if
//! nothing is wrong it gets the file itself. The lock is taken before and kept all the while.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bep44_core::id::NodeId;
use redb::backends::FileBackend;
use redb::{DatabaseError, ReadableTable, StorageBackend, StorageError, TableDefinition, TableError, WriteTransaction};

use super::record::{self, Key, PeerRecord, Snapshot};
use super::writer::{Change, Changes};
use super::{DataError, FORMAT};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ITEMS: TableDefinition<'_, &Key, &[u8]> = TableDefinition::new("items");
const PEERS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("peers");
const CONTACTS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("contacts");

/// Octets that redb may keep in memory: the nodes of a tree of 100,000 items, and what one commit writes.
const CACHE: usize = 16 << 20;

/// What is under one key.
pub(super) type Record = (Key, Box<[u8]>);

/// Peers, each with the moment when it was written, and contacts.
pub(super) type Remembered = (Vec<(u64, PeerRecord)>, Vec<(NodeId, SocketAddr)>);

/// A database that is open and locked.
pub(super) struct Database {
    dir: PathBuf,
    file: PathBuf,
    backend: Arc<dyn StorageBackend>,
    /// None only between closing and opening it again.
    open: Option<redb::Database>,
}

impl Database {
    pub(super) fn open(dir: &Path) -> Result<Self, DataError> {
        let file = dir.join("bep44.redb");
        let io = |source| DataError::Io { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(io)?;
        if !file.try_exists().map_err(io)? {
            create(dir, &file)?;
        }
        let opened = OpenOptions::new().read(true).write(true).open(&file).map_err(io)?;
        let backend = FileBackend::new(opened).map_err(|error| Flaw::from(error).explain(dir, &file))?;
        Self::over(Arc::new(backend), dir, file)
    }

    /// Of a file that is locked.
    fn over(backend: Arc<dyn StorageBackend>, dir: &Path, file: PathBuf) -> Result<Self, DataError> {
        let rehearsed = quietly(|| rehearse(&backend));
        match rehearsed {
            Ok(FORMAT) => {}
            Ok(found) if found > FORMAT => return Err(DataError::Newer { file, found, known: FORMAT }),
            Ok(found) => return Err(DataError::Damaged { file, reason: format!("its format is said to be {found}") }),
            Err(flaw) => return Err(flaw.explain(dir, &file)),
        }
        let mut database = Self { dir: dir.to_owned(), file, backend, open: None };
        database.reopen().map_err(|flaw| flaw.explain(&database.dir, &database.file))?;
        Ok(database)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id of the node that was here before.
    pub(super) fn id(&self) -> Result<Option<NodeId>, DataError> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(META)?;
            Ok(table.get("id")?.and_then(|id| id.value().try_into().ok()).map(NodeId::new))
        })
    }

    /// All records of items.
    pub(super) fn items(&self) -> Result<Vec<Record>, DataError> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(ITEMS)?;
            let mut records = Vec::new();
            for row in table.iter()? {
                let (key, record) = row?;
                records.push((*key.value(), record.value().into()));
            }
            Ok(records)
        })
    }

    /// All peers and contacts.
    pub(super) fn snapshot(&self) -> Result<Remembered, DataError> {
        self.read(|database| {
            let transaction = database.begin_read()?;
            let (mut peers, mut contacts) = (Vec::new(), Vec::new());
            for row in transaction.open_table(PEERS)?.iter()? {
                peers.extend(record::read_peers(row?.1.value()));
            }
            for row in transaction.open_table(CONTACTS)?.iter()? {
                contacts.extend(record::read_contacts(row?.1.value()));
            }
            Ok((peers, contacts))
        })
    }

    fn read<T>(&self, read: impl FnOnce(&redb::Database) -> Result<T, Flaw>) -> Result<T, DataError> {
        let open = self.open.as_ref();
        let done = quietly(|| match open {
            Some(database) => read(database),
            None => Err(Flaw::Damage("it is closed".into())),
        });
        done.map_err(|flaw| flaw.explain(&self.dir, &self.file))
    }

    /// The first commit of a node.
    pub(super) fn begin(&mut self, id: &NodeId, changes: &[(Key, Change)]) -> Result<(), DataError> {
        let changes = changes.iter().map(|(key, change)| (key, change));
        let done = self.transact(|transaction| {
            transaction.open_table(META)?.insert("id", id.as_bytes().as_slice())?;
            write_items(transaction, changes)
        });
        done.map_err(|flaw| flaw.explain(&self.dir, &self.file))
    }

    /// Writes everything or nothing; it is on the disk when this returns. After a failure the next call begins by opening
    /// the file again.
    pub(super) fn commit(&mut self, changes: &Changes, snapshot: Option<&Snapshot>) -> Result<(), String> {
        let done = self.transact(|transaction| {
            write_items(transaction, changes)?;
            let Some(snapshot) = snapshot else { return Ok(()) };
            if let Some(peers) = &snapshot.peers {
                transaction.delete_table(PEERS)?;
                let mut table = transaction.open_table(PEERS)?;
                for (number, row) in (0..).zip(record::write_peers(snapshot.written, peers)) {
                    table.insert(number, row.as_slice())?;
                }
            }
            if let Some(contacts) = &snapshot.contacts {
                transaction.delete_table(CONTACTS)?;
                let mut table = transaction.open_table(CONTACTS)?;
                for (number, row) in (0..).zip(record::write_contacts(contacts)) {
                    table.insert(number, row.as_slice())?;
                }
            }
            Ok(())
        });
        done.map_err(|flaw| format!("cannot write to {}: {}", self.file.display(), flaw.reason()))
    }

    fn transact(&mut self, write: impl FnOnce(&WriteTransaction) -> Result<(), Flaw>) -> Result<(), Flaw> {
        if self.open.is_none() {
            self.reopen()?;
        }
        let open = self.open.as_ref();
        let done = quietly(|| {
            let Some(database) = open else { return Ok(()) };
            let mut transaction = database.begin_write()?;
            // Strangers choose what is written: a torn write must not be told from a whole one by a checksum alone, for
            // which they could find a collision.
            transaction.set_two_phase_commit(true);
            write(&transaction)?;
            transaction.commit()?;
            Ok(())
        });
        if done.is_err() {
            // It takes no more orders after a failure, and may have half of one in memory.
            let open = self.open.take();
            let _ = quietly(|| {
                drop(open);
                Ok(())
            });
        }
        done
    }

    fn reopen(&mut self) -> Result<(), Flaw> {
        let backend = Direct(Arc::clone(&self.backend));
        let open = quietly(|| Ok(builder().create_with_backend(backend)?));
        self.open = Some(open?);
        Ok(())
    }
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    // The format that later versions of redb read.
    builder.create_with_file_format_v3(true).set_cache_size(CACHE);
    builder
}

fn write_items<'c>(
    transaction: &WriteTransaction,
    changes: impl IntoIterator<Item = (&'c Key, &'c Change)>,
) -> Result<(), Flaw> {
    let mut items = transaction.open_table(ITEMS)?;
    for (key, change) in changes {
        match &change.record {
            Some(record) => items.insert(key, &**record)?,
            None => items.remove(key)?,
        };
    }
    Ok(())
}

/// Makes an empty database. It gets its name when it is whole, so that a crash on the way leaves nothing that looks
/// damaged; and none that has the name already is replaced.
fn create(dir: &Path, file: &Path) -> Result<(), DataError> {
    let io = |source| DataError::Io { dir: dir.to_owned(), source };
    let unfinished = dir.join("bep44.redb.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let new = OpenOptions::new().read(true).write(true).create_new(true).open(&unfinished).map_err(io)?;
    let done = quietly(|| fill(&builder().create_file(new)?));
    done.map_err(|flaw| flaw.explain(dir, &unfinished))?;
    match fs::hard_link(&unfinished, file) {
        Ok(()) => {}
        // Another node was faster; whose lock it is will be seen.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // A file system without links.
        Err(_) => return fs::rename(&unfinished, file).map_err(io),
    }
    fs::remove_file(&unfinished).map_err(io)?;
    // The name must not be lost with the power either. Not every system can sync a directory.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}

/// The tables of a node that holds nothing.
fn fill(database: &redb::Database) -> Result<(), Flaw> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.open_table(META)?.insert("format", FORMAT.to_le_bytes().as_slice())?;
    transaction.open_table(ITEMS)?;
    transaction.open_table(PEERS)?;
    transaction.open_table(CONTACTS)?;
    Ok(transaction.commit()?)
}

/// Opens and reads everything without writing to the file; answers its version of the format.
fn rehearse(backend: &Arc<dyn StorageBackend>) -> Result<u32, Flaw> {
    let len = backend.len()?;
    if len == 0 {
        return Err(Flaw::Damage("it is empty".into()));
    }
    let overlay = Overlay {
        file: Arc::clone(backend),
        changes: Mutex::new(Overlaid { len, below: len, pages: BTreeMap::new() }),
    };
    let mut database = builder().create_with_backend(overlay)?;
    let format = {
        let transaction = database.begin_read()?;
        let table = match transaction.open_table(META) {
            Err(TableError::TableDoesNotExist(_)) => return Err(Flaw::Damage("it is another program's".into())),
            table => table?,
        };
        let format = table.get("format")?.and_then(|version| version.value().try_into().ok());
        u32::from_le_bytes(format.ok_or_else(|| Flaw::Damage("it does not say its format".into()))?)
    };
    // False tells that it had to be repaired, as after a crash: with two-phase commits nothing can be lost by that.
    database.check_integrity()?;
    if format == FORMAT {
        let transaction = database.begin_read()?;
        for row in transaction.open_table(ITEMS)?.iter()? {
            row?;
        }
        for table in [PEERS, CONTACTS] {
            for row in transaction.open_table(table)?.iter()? {
                row?;
            }
        }
    }
    Ok(format)
}

/// What is wrong with a file.
enum Flaw {
    Locked,
    Damage(String),
    Io(io::Error),
}

impl Flaw {
    fn explain(self, dir: &Path, file: &Path) -> DataError {
        let (dir, file) = (dir.to_owned(), file.to_owned());
        match self {
            Self::Locked => DataError::InUse { dir },
            Self::Damage(reason) => DataError::Damaged { file, reason },
            Self::Io(source) => DataError::Io { dir, source },
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Locked => "it is in use".into(),
            Self::Damage(reason) => reason.clone(),
            Self::Io(error) => error.to_string(),
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Of a file that ends too early, or does not begin as it should.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Damage(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for Flaw {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Locked,
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(reason) => Self::Damage(reason),
            error => Self::Damage(error.to_string()),
        }
    }
}

/// Errors of redb, each of which has a type of its own.
macro_rules! flaw_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Flaw {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

flaw_from!(DatabaseError, StorageError, TableError, redb::TransactionError, redb::CommitError);

/// Lets `work` panic: redb does where a damaged file surprises it. What it worked on is not used again then.
fn quietly<T>(work: impl FnOnce() -> Result<T, Flaw>) -> Result<T, Flaw> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Err(Flaw::Damage(text.unwrap_or("it cannot be read").to_owned()))
    })
}

/// The file itself, whose lock outlives one opening of the database.
#[derive(Debug)]
struct Direct(Arc<dyn StorageBackend>);

impl StorageBackend for Direct {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.read(offset, len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.0.sync_data(eventual)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Octets that are overlaid together.
const PAGE: u64 = 4_096;

/// The file as if it were written to.
#[derive(Debug)]
struct Overlay {
    file: Arc<dyn StorageBackend>,
    changes: Mutex<Overlaid>,
}

#[derive(Debug)]
struct Overlaid {
    len: u64,
    /// Up to where the file shows through: not beyond where it was cut off once.
    below: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn lock(&self) -> MutexGuard<'_, Overlaid> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `len` octets from `offset` on, of the file up to `below` and zeros behind.
    fn shown(&self, offset: u64, len: usize, below: u64) -> io::Result<Vec<u8>> {
        let shown = below.saturating_sub(offset).min(len as u64) as usize;
        let mut out = if shown == 0 { Vec::new() } else { self.file.read(offset, shown)? };
        out.resize(len, 0);
        Ok(out)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let overlaid = self.lock();
        let end = offset.checked_add(len as u64).filter(|end| *end <= overlaid.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // One read for the whole, since most of it is the file's.
        let mut out = self.shown(offset, len, overlaid.below)?;
        for (number, page) in overlaid.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = number * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let source = page.get((from - start) as usize..(to - start) as usize);
            let target = out.get_mut((from - offset) as usize..(to - offset) as usize);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        }
        Ok(out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut overlaid = self.lock();
        let below = overlaid.below.min(len);
        if len < overlaid.len {
            overlaid.pages.split_off(&len.div_ceil(PAGE));
            let start = len / PAGE * PAGE;
            if let Some(last) = overlaid.pages.get_mut(&(len / PAGE)) {
                last.iter_mut().skip((len - start) as usize).for_each(|octet| *octet = 0);
            }
        }
        (overlaid.len, overlaid.below) = (len, below);
        Ok(())
    }

    fn sync_data(&self, _eventual: bool) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut overlaid = self.lock();
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= overlaid.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let below = overlaid.below;
        for number in offset / PAGE..end.div_ceil(PAGE) {
            let start = number * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let mut page = match overlaid.pages.remove(&number) {
                Some(page) => page,
                None => self.shown(start, PAGE as usize, below)?,
            };
            let source = data.get((from - offset) as usize..(to - offset) as usize);
            let target = page.get_mut((from - start) as usize..(to - start) as usize);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
            overlaid.pages.insert(number, page);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk in memory whose writes are certain only after a sync, and which can refuse them.
    #[derive(Debug, Default)]
    struct Disk(Mutex<Platter>);

    #[derive(Debug, Default, Clone)]
    struct Platter {
        /// What is certain.
        synced: Vec<u8>,
        /// What the program sees.
        seen: Vec<u8>,
        /// What the next sync makes certain, in pieces as small as a disk writes at once.
        written: Vec<(usize, Vec<u8>)>,
        /// Writes until one is refused.
        refuses_after: Option<u32>,
    }

    impl Disk {
        fn lock(&self) -> MutexGuard<'_, Platter> {
            self.0.lock().unwrap()
        }
    }

    impl Platter {
        fn obey(&mut self) -> io::Result<()> {
            match &mut self.refuses_after {
                Some(0) => Err(io::ErrorKind::StorageFull.into()),
                Some(writes) => {
                    *writes -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        }

        /// The disk after a power cut: of what was not certain, some was written and some was not.
        fn cut(&self, chance: &mut u64) -> Self {
            let mut left = self.synced.clone();
            for (offset, data) in &self.written {
                *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if *chance >> 63 == 0 {
                    let end = offset + data.len();
                    left.resize(left.len().max(end), 0);
                    left[*offset..end].copy_from_slice(data);
                }
            }
            Self { synced: left.clone(), seen: left, ..Self::default() }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.lock().seen.len() as u64)
        }
        fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
            let disk = self.lock();
            let octets = disk.seen.get(offset as usize..offset as usize + len);
            Ok(octets.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            let mut disk = self.lock();
            disk.obey()?;
            // A file's length is written at once here; what is in it is not.
            disk.seen.resize(len as usize, 0);
            disk.synced.resize(len as usize, 0);
            disk.written.retain(|(offset, data)| offset + data.len() <= len as usize);
            Ok(())
        }
        fn sync_data(&self, _eventual: bool) -> io::Result<()> {
            let mut disk = self.lock();
            disk.obey()?;
            disk.synced = disk.seen.clone();
            disk.written.clear();
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let mut disk = self.lock();
            disk.obey()?;
            disk.seen[offset as usize..offset as usize + data.len()].copy_from_slice(data);
            for (number, sector) in data.chunks(512).enumerate() {
                disk.written.push((offset as usize + 512 * number, sector.to_vec()));
            }
            Ok(())
        }
    }

    fn new_disk() -> Arc<Disk> {
        let disk = Arc::new(Disk::default());
        let database = builder().create_with_backend(Direct(Arc::clone(&disk) as Arc<dyn StorageBackend>)).unwrap();
        assert!(fill(&database).is_ok());
        drop(database);
        disk
    }

    fn open(disk: &Arc<Disk>) -> Result<Database, DataError> {
        Database::over(Arc::clone(disk) as Arc<dyn StorageBackend>, Path::new("dir"), "file".into())
    }

    fn key(number: u32) -> Key {
        let mut key = [0; 21];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    /// Commit number `number` writes ten records anew and deletes one.
    fn changes(number: u32) -> Changes {
        let write = |at| (key(at % 70), Change::write(vec![number as u8; 900].into_boxed_slice()));
        let mut changes: Changes = (number * 10..number * 10 + 10).map(write).collect();
        changes.insert(key((number * 10 + 35) % 70), Change::delete());
        changes
    }

    type Rows = BTreeMap<Key, Box<[u8]>>;

    fn apply(rows: &mut Rows, changes: &Changes) {
        for (key, change) in changes {
            match &change.record {
                Some(record) => drop(rows.insert(*key, record.clone())),
                None => drop(rows.remove(key)),
            }
        }
    }

    fn rows(database: &Database) -> Rows {
        database.items().unwrap().into_iter().collect()
    }

    #[test]
    fn a_power_cut_takes_nothing_that_was_committed() {
        let disk = new_disk();
        let mut chance = 1;
        let mut model = Rows::new();
        let mut database = open(&disk).unwrap();
        let mut cuts = 0;
        for number in 0..2 {
            let changes = changes(number);
            let mut after = model.clone();
            apply(&mut after, &changes);
            // The power is cut at any write or sync of the commit; at every other one, since each takes a while.
            for writes in (number % 2..).step_by(2) {
                let before = disk.lock().clone();
                let trial = Arc::new(Disk(Mutex::new(Platter { refuses_after: Some(writes), ..before })));
                // Opened where the writes are counted, so that opening and repairing are cut as well.
                let done = open(&trial).is_ok_and(|mut database| database.commit(&changes, None).is_ok());
                let cut = Arc::new(Disk(Mutex::new(trial.lock().cut(&mut chance))));
                let found = rows(&open(&cut).unwrap());
                assert!(found == after || (!done && found == model), "commit {number}, after {writes} writes");
                cuts += 1;
                if done {
                    break;
                }
            }
            database.commit(&changes, None).unwrap();
            model = after;
            assert_eq!(rows(&database), model);
        }
        assert!(cuts > 10, "{cuts}");
    }

    #[test]
    fn a_full_disk_is_told_and_tried_again() {
        let disk = new_disk();
        let mut database = open(&disk).unwrap();
        let mut model = Rows::new();
        database.commit(&changes(0), None).unwrap();
        apply(&mut model, &changes(0));
        for writes in 0..6 {
            disk.lock().refuses_after = Some(writes);
            let reason = database.commit(&changes(1), None).unwrap_err();
            assert!(reason.contains("cannot write to file"), "{reason}");
            assert!(database.commit(&changes(1), None).is_err(), "still full");
        }
        disk.lock().refuses_after = None;
        database.commit(&changes(1), None).unwrap();
        apply(&mut model, &changes(1));
        assert_eq!(rows(&database), model);
    }

    #[test]
    fn the_overlay_is_the_file_as_if_it_were_written_to() {
        let below: Vec<u8> = (0..20_000).map(|at| (at % 251) as u8).collect();
        let disk = Disk(Mutex::new(Platter { seen: below.clone(), synced: below.clone(), ..Platter::default() }));
        let (len, disk) = (below.len() as u64, Arc::new(disk));
        let overlaid = Overlaid { len, below: len, pages: BTreeMap::new() };
        let overlay = Overlay { file: Arc::clone(&disk) as Arc<dyn StorageBackend>, changes: Mutex::new(overlaid) };
        let mut model = below.clone();
        let mut chance = 7_u64;
        for step in 0..2_000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let from = (chance >> 33) as usize % model.len();
            let to = from + (chance >> 20) as usize % 9_000.min(model.len() - from);
            match step % 20 {
                0 => {
                    let len = 10_000 + (chance >> 40) as usize % 20_000;
                    model.resize(len, 0);
                    overlay.set_len(len as u64).unwrap();
                }
                1..10 => {
                    model[from..to].fill(step as u8);
                    overlay.write(from as u64, &model[from..to]).unwrap();
                }
                _ => assert_eq!(overlay.read(from as u64, to - from).unwrap(), model[from..to]),
            }
        }
        assert!(overlay.read(0, model.len() + 1).is_err());
        assert_eq!(disk.lock().seen, below, "the file is what it was");
    }
}
