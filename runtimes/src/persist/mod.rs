//! A data directory: a node that ends, or is killed, or loses its power, comes back with what it held (feature `redb`).
//!
//! ```no_run
//! # #[cfg(feature = "blocking")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bep44::{blocking::Dht, persist::DataDir};
//!
//! let dir = DataDir::open("/var/lib/bep44")?;
//! let monitor = dir.monitor();
//! let dht = Dht::builder().data(dir).build()?;
//! println!("{} items are back, {} were damaged", monitor.status().restored.items, monitor.status().restored.invalid);
//! # dht.shutdown();
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "blocking"))]
//! # fn main() {}
//! ```
//!
//! **What is kept**: the node's id, the items with the time that each has left, the peers, and the contacts. An item that
//! the node keeps alive is kept alive by the next one, and announced when it was due. Items are
//! written down as they come, go and change; peers and contacts every few minutes and at the end. At the start each item
//! is verified as if a stranger had sent it (its signature, or its hash), contacts are asked for a sign of life before
//! they are named to anybody, and no item or peer gets more time than it had left.
//!
//! **What can be lost.** Storing never waits for the disk: a thread commits what has happened since the last time, every
//! [half second](DataDir::commit_every) as long as something happens, and each commit is on the disk before the next one
//! begins. An item that was acknowledged longer ago than the *window* is therefore never lost, neither by `kill -9` nor by
//! a power cut: the window is the interval and twice the time that a commit takes. On a disk that commits within a quarter
//! of a second it is at most one second; [`Status::window`] tells what it is on the disk at hand. A shutdown loses nothing:
//! it returns when everything is written. Peers and contacts of the last minutes may be lost by a crash; both come back by
//! themselves.
//!
//! **How much memory that takes.** Of several changes of an item only the last waits to be written, so that no more can
//! wait than the node stores, and has stored at the last commit, however slow the disk is.
//!
//! **One node a directory.** A second one that opens it gets [`DataError::InUse`].
//!
//! **A damaged file** is found when it is opened, by reading all of it, before anything is written to it: it is refused
//! ([`DataError::Damaged`]) and left as it is, byte for byte. So is one of a newer format.
//!
//! **Clocks.** How much time an item has left is told from the system's clock, which must not be set forward by hours
//! while the node is down. A clock that was set back lets no item live longer than the lifetime from the restart on.
//!
//! **The format**, version 1, of the file `bep44.redb` in the directory: a [redb](https://docs.rs/redb) database in its
//! file format 3 with the tables below. Integers are little-endian, moments milliseconds since 1970, times milliseconds.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `"format"` | the version (`u32`) |
//! | `meta` | `"id"` | the node's id (20 octets) |
//! | `items` | target (20), 0 for an immutable item or 1 for a mutable one (1) | when this was written (`u64`), the time that it had left then (`u64`; of an item that the node keeps alive, 2^63 and the time until its next announcement); of a mutable item the key (32), signature (64), sequence number (`i64`), length of the salt (1) and the salt; the bencoded value |
//! | `peers` | number from 0 (`u32`) | when this was written (`u64`), and up to 1,000 peers: info-hash (20), whether it has all (1), the time that it had left (`u32`), length of the address (1), compact address (6 or 18) |
//! | `contacts` | number from 0 (`u32`) | up to 1,000 contacts: id (20), length of the address (1), compact address (6 or 18) |

mod file;
mod record;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bep44_core::event::Event;
use bep44_core::id::NodeId;
use bep44_core::{Capacity, Instant, KeepError, Node, Standing};

use self::file::Database;
use self::record::{Key, PeerRecord, Snapshot, Stamp};
use self::writer::{Change, Shared, Writer};
use crate::error::BuildError;
use crate::turn::{Driven, Sink};

/// The version of the tables.
const FORMAT: u32 = 1;

/// How long changes are gathered before they are committed together.
const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// Peers and contacts change all the time, and none is worth much.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(3 * 60);

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Another node has it open.
    #[error("data directory {} is in use by another node: stop that one, or choose another directory", .dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The database is damaged, or is something else. It was not changed.
    #[error(
        "{} is damaged ({reason}) and was left as it is: put a copy in its place, or move it away to begin with nothing stored",
        .file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database was written by a version that knows more than this one. It was not changed.
    #[error(
        "{} has format {found}, and this version knows up to {known}: use the version that wrote it, or another directory",
        .file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version of the format.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// The system does not let us read or write.
    #[error("cannot use data directory {}: {source}", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What came back from a data directory at the start, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Restored {
    /// Items that are stored again.
    pub items: u64,
    /// Items whose time has run out meanwhile.
    pub expired: u64,
    /// Items whose signature or hash is not right, or that are no items. They are deleted.
    pub invalid: u64,
    /// Items that have no room in this node: its capacity is smaller than that of the one before.
    pub left_out: u64,
    /// Peers.
    pub peers: u64,
    /// Contacts, which are asked for a sign of life first.
    pub contacts: u64,
}

/// How the writing goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// What came back at the start.
    pub restored: Restored,
    /// Changes of items that wait for the next commit, or are in one.
    pub pending: usize,
    /// Octets of memory that these take, about.
    pub pending_octets: usize,
    /// Commits since the start.
    pub commits: u64,
    /// The longest that a commit took.
    pub slowest_commit: Duration,
    /// An item that was acknowledged longer ago than this is on the disk, unless there is a `failure`.
    pub window: Duration,
    /// Why the last commit failed, if it did. It is tried again until it succeeds; what happens meanwhile is kept in
    /// memory.
    pub failure: Option<String>,
}

/// Tells how the writing goes, as long as anybody wants to know.
#[derive(Debug, Clone)]
pub struct Monitor(Arc<Shared>);

impl Monitor {
    /// How it goes at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

/// A data directory that is open, and locked against other nodes: see the [module](self). To be given to
/// [`Builder::data`](crate::Builder::data).
pub struct DataDir {
    database: Database,
    id: Option<NodeId>,
    shared: Arc<Shared>,
    commit_every: Duration,
    snapshot_every: Duration,
}

impl fmt::Debug for DataDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataDir").field("dir", &self.database.dir()).field("id", &self.id).finish_non_exhaustive()
    }
}

impl DataDir {
    /// Opens the directory at `path`, which is made if it is not there. Reads all of the database to see whether it is
    /// sound.
    ///
    /// # Errors
    /// It is in use by another node, damaged, of a newer format, or the system says no.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let database = Database::open(path.as_ref())?;
        let id = database.id()?;
        Ok(Self { database, id, shared: Arc::default(), commit_every: COMMIT_EVERY, snapshot_every: SNAPSHOT_EVERY })
    }

    /// How long changes of items are gathered before they are written together (default: half a second). Shorter loses
    /// less in a crash, and writes more: each commit takes a few dozen KiB and two syncs, however small it is.
    #[must_use]
    pub const fn commit_every(mut self, interval: Duration) -> Self {
        self.commit_every = interval;
        self
    }

    /// How often peers and contacts are written (default: every 3 minutes).
    #[must_use]
    pub const fn snapshot_every(mut self, interval: Duration) -> Self {
        self.snapshot_every = interval;
        self
    }

    /// The id of the node that was here before; none if there was none. It is that of the next one as well, unless
    /// [`Builder::id`](crate::Builder::id) says otherwise.
    #[must_use]
    pub const fn id(&self) -> Option<NodeId> {
        self.id
    }

    /// Where to ask how the writing goes.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor(Arc::clone(&self.shared))
    }

    /// Gives `node` back what is in the directory, and starts to write down what happens to it.
    pub(crate) fn attach(
        mut self,
        node: &mut Driven,
        now: Instant,
        capacity: &Capacity,
    ) -> Result<Box<dyn Sink>, BuildError> {
        let wall = wall_clock();
        let mut restored = Restored::default();
        let changes = self.restore_items(node, now, wall, capacity.items > 0, &mut restored)?;
        let (peers, contacts) = self.database.snapshot()?;
        for (written, peer) in &peers {
            let left = Stamp { written: *written, remaining: peer.remaining, kept: false }.left(wall);
            restored.peers += u64::from(node.restore_peer(now, peer.info_hash, peer.addr, peer.seed, left));
        }
        for (id, addr) in &contacts {
            restored.contacts += u64::from(node.restore_contact(now, *id, *addr));
        }
        // Shows at once whether the directory can be written to.
        self.database.begin(&node.id(), &changes)?;
        self.shared.begin(restored, self.commit_every);
        let writer = Writer::start(self.database, self.shared, self.commit_every).map_err(BuildError::Driver)?;
        let sink = DirSink {
            writer,
            due: now + self.snapshot_every,
            snapshot_every: self.snapshot_every,
            keeps_peers: capacity.peers > 0,
            due_of_kept: HashMap::new(),
        };
        Ok(Box::new(sink))
    }

    /// Gives the items back, and tells what has to change on the disk.
    fn restore_items(
        &self,
        node: &mut Driven,
        now: Instant,
        wall: u64,
        keeps_items: bool,
        restored: &mut Restored,
    ) -> Result<Vec<(Key, Change)>, DataError> {
        let mut changes = Vec::new();
        let mut items = self.database.items()?;
        // The next to expire first: then each has its place in constant time.
        items.sort_by_key(|(_, record)| Stamp::read(record).map(|stamp| stamp.left(wall)));
        let mut stale = Vec::new();
        for (key, record) in &items {
            let Some((stamp, item)) = record::read_item(key, record) else {
                restored.invalid += 1;
                changes.push((*key, Change::delete()));
                continue;
            };
            let left = stamp.left(wall);
            if stamp.kept && keeps_items {
                match node.restore_kept(now, &item, left) {
                    Ok(()) => stale.push((*key, stamp.written > wall)),
                    // A smaller node may have no room for all. What it can keep is not to be lost for it.
                    Err(KeepError::NoRoom) => restored.left_out += 1,
                    Err(_) => {
                        restored.invalid += 1;
                        changes.push((*key, Change::delete()));
                    }
                }
            } else if left.is_zero() && !stamp.kept {
                restored.expired += 1;
                changes.push((*key, Change::delete()));
            } else if !keeps_items {
                // A node that stores nothing for others leaves them for one that does.
                restored.left_out += 1;
            } else if node.restore_item(now, &item, left).is_err() {
                restored.invalid += 1;
                changes.push((*key, Change::delete()));
            } else {
                stale.push((*key, stamp.written > wall));
            }
        }
        // Those that had no room, or had to make room for others restored after them.
        let stored: HashSet<Key> =
            node.items().map(|stored| record::key(&stored.target, stored.item.as_mutable().is_some())).collect();
        restored.items = stored.len() as u64;
        for (key, _) in stale.iter().filter(|(key, _)| !stored.contains(key)) {
            restored.left_out += 1;
            changes.push((*key, Change::delete()));
        }
        // Written in what is now the future: from here on, their time runs by the clock as it is.
        let from_future: HashSet<Key> = stale.iter().filter(|(_, future)| *future).map(|(key, _)| *key).collect();
        if !from_future.is_empty() {
            // What is kept alive is written again with the first snapshot.
            for stored in node.items().filter(|stored| !stored.kept) {
                let key = record::key(&stored.target, stored.item.as_mutable().is_some());
                if from_future.contains(&key) {
                    let record = record::write_item(Stamp::new(wall, stored.expires.since(now)), &stored.item);
                    changes.push((key, Change::write(record)));
                }
            }
        }
        Ok(changes)
    }
}

/// What the turn tells goes to the thread that writes.
#[derive(Debug)]
struct DirSink {
    writer: Writer,
    due: Instant,
    snapshot_every: Duration,
    keeps_peers: bool,
    /// When each kept item was to be announced, as it was written last.
    due_of_kept: HashMap<Key, Instant>,
}

impl DirSink {
    /// Writes down when the kept items are to be announced, as far as that has changed: about once an hour for each.
    fn write_kept(&mut self, now: Instant, node: &Node<'static>) {
        let mut before = std::mem::take(&mut self.due_of_kept);
        for kept in node.kept() {
            let key = record::key(&kept.target, kept.item.as_mutable().is_some());
            if before.remove(&key) != Some(kept.due) {
                let stamp = Stamp::of_kept(wall_clock(), kept.due.since(now));
                self.writer.write(key, record::write_item(stamp, &kept.item), false);
            }
            self.due_of_kept.insert(key, kept.due);
        }
    }
}

impl Sink for DirSink {
    fn item(&mut self, now: Instant, event: &Event<'_>) {
        let (stored, is_new) = match event {
            Event::ItemStored(stored) => (stored, true),
            Event::ItemReplaced(stored) | Event::ItemRefreshed(stored) | Event::Adopted(stored) => (stored, false),
            Event::ItemDropped { target, mutable, .. } => {
                return self.writer.delete(record::key(target, *mutable));
            }
            _ => return,
        };
        let key = record::key(&stored.target, stored.item.as_mutable().is_some());
        let stamp = if stored.kept {
            // When it is due is written with the next snapshot; after a crash before that, it is announced at once.
            self.due_of_kept.remove(&key);
            Stamp::of_kept(wall_clock(), Duration::ZERO)
        } else {
            Stamp::new(wall_clock(), stored.expires.since(now))
        };
        self.writer.write(key, record::write_item(stamp, &stored.item), is_new);
    }

    fn due(&self) -> Option<Instant> {
        Some(self.due)
    }

    fn snapshot(&mut self, now: Instant, node: &Node<'static>) {
        self.due = now + self.snapshot_every;
        self.write_kept(now, node);
        self.writer.snapshot(take_snapshot(now, node, self.keeps_peers));
    }

    fn trouble(&mut self) -> Option<String> {
        self.writer.trouble()
    }

    fn close(&mut self, now: Instant, node: &Node<'static>) {
        self.write_kept(now, node);
        self.writer.snapshot(take_snapshot(now, node, self.keeps_peers));
        self.writer.close();
    }
}

fn take_snapshot(now: Instant, node: &Node<'static>, keeps_peers: bool) -> Snapshot {
    let contacts: Vec<_> = node
        .contacts()
        .filter(|contact| contact.standing(now) != Standing::Bad)
        .map(|contact| (contact.id(), contact.addr()))
        .collect();
    let peer = |peer: bep44_core::Peer| PeerRecord {
        info_hash: peer.info_hash,
        addr: peer.addr.into(),
        seed: peer.seed,
        remaining: record::millis(peer.expires.since(now)),
    };
    Snapshot {
        written: wall_clock(),
        peers: keeps_peers.then(|| node.peers().map(peer).collect()),
        // A node that has lost the network remembers those who were there, not that nobody is.
        contacts: (!contacts.is_empty()).then_some(contacts),
    }
}

/// Milliseconds since 1970 by the system's clock; 0 before that.
fn wall_clock() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, record::millis)
}
