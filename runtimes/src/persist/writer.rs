//! The thread that writes: changes are gathered, one for each item, and committed together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::file::Database;
use super::record::{Key, Snapshot};
use super::{Restored, Status};

/// How long to wait after a commit that failed, at least. Whatever the reason is, it takes a while to pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Attempts to write what is left when the node ends.
const LAST_ATTEMPTS: u32 = 3;

/// What is to become of the record of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Its new content; none to delete it.
    pub(super) record: Option<Box<[u8]>>,
    /// Whether there may be a record on the disk, which has to be deleted if the item goes again.
    on_disk: bool,
}

impl Change {
    /// Of a record that is on the disk.
    pub(super) const fn delete() -> Self {
        Self { record: None, on_disk: true }
    }

    /// Of a record that is on the disk.
    pub(super) const fn write(record: Box<[u8]>) -> Self {
        Self { record: Some(record), on_disk: true }
    }
}

pub(super) type Changes = HashMap<Key, Change>;

#[derive(Debug, Default)]
struct State {
    pending: Changes,
    snapshot: Option<Snapshot>,
    closing: bool,
    /// Changes in the commit that runs.
    committing: usize,
    commit_every: Duration,
    restored: Restored,
    commits: u64,
    slowest_commit: Duration,
    failure: Option<String>,
}

impl State {
    fn delete(&mut self, key: Key) {
        match self.pending.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Change::delete());
            }
            Entry::Occupied(mut entry) if entry.get().on_disk => entry.get_mut().record = None,
            // It came and went between two commits.
            Entry::Occupied(entry) => {
                entry.remove();
            }
        }
    }

    fn write(&mut self, key: Key, record: Box<[u8]>, is_new: bool) {
        match self.pending.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Change { record: Some(record), on_disk: !is_new });
            }
            Entry::Occupied(mut entry) => entry.get_mut().record = Some(record),
        }
    }

    /// Takes back what could not be committed; what has happened meanwhile is newer.
    fn take_back(&mut self, changes: Changes, snapshot: Option<Snapshot>) {
        for (key, change) in changes {
            match self.pending.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(change);
                }
                Entry::Occupied(mut entry) => {
                    entry.get_mut().on_disk = change.on_disk;
                    if !change.on_disk && entry.get().record.is_none() {
                        entry.remove();
                    }
                }
            }
        }
        self.snapshot = self.snapshot.take().or(snapshot);
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.snapshot.is_none() && !self.closing
    }
}

/// What the driver, the thread and those who watch have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// A failure that nobody was told of.
    trouble: AtomicBool,
}

impl Shared {
    /// Nothing that is done under the lock can leave the state half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, restored: Restored, commit_every: Duration) {
        let mut state = self.lock();
        (state.restored, state.commit_every) = (restored, commit_every);
    }

    pub(super) fn status(&self) -> Status {
        let state = self.lock();
        let octets = |change: &Change| change.record.as_ref().map_or(0, |record| record.len());
        Status {
            restored: state.restored,
            pending: state.pending.len() + state.committing,
            pending_octets: state.pending.capacity() * size_of::<(Key, Change)>()
                + state.pending.values().map(octets).sum::<usize>(),
            commits: state.commits,
            slowest_commit: state.slowest_commit,
            window: state.commit_every + 2 * state.slowest_commit,
            failure: state.failure.clone(),
        }
    }

    /// Whether a change is to be told to the thread, which sleeps only as long as there is none.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let was_idle = state.is_idle();
        change(&mut state);
        if was_idle {
            self.wake.notify_one();
        }
    }
}

/// The driver's end. Nothing here waits for the disk but [`close`](Self::close).
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Database, shared: Arc<Shared>, commit_every: Duration) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("bep44 data".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(database, &shared, commit_every)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn delete(&self, key: Key) {
        self.shared.change(|state| state.delete(key));
    }

    pub(super) fn write(&self, key: Key, record: Box<[u8]>, is_new: bool) {
        self.shared.change(|state| state.write(key, record, is_new));
    }

    pub(super) fn snapshot(&self, snapshot: Snapshot) {
        self.shared.change(|state| state.snapshot = Some(snapshot));
    }

    /// A failure that was not told yet.
    pub(super) fn trouble(&self) -> Option<String> {
        if !self.shared.trouble.swap(false, Ordering::Relaxed) {
            return None;
        }
        self.shared.lock().failure.clone()
    }

    /// Returns when everything is on the disk and the directory is free, or nothing can be written.
    pub(super) fn close(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It catches what the database does; if it panicked all the same, nothing more can be done.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(mut database: Database, shared: &Shared, commit_every: Duration) {
    // The first change after a pause is committed at once.
    let mut next_commit = Instant::now();
    let mut last_attempts = 0;
    loop {
        let (changes, snapshot, closing) = {
            let mut state = shared.lock();
            loop {
                if state.closing {
                    break;
                }
                if state.is_idle() {
                    state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                let wait = next_commit.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    break;
                }
                state = shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
            state.committing = state.pending.len();
            (std::mem::take(&mut state.pending), state.snapshot.take(), state.closing)
        };
        if changes.is_empty() && snapshot.is_none() {
            // Only at the end is there nothing to do here.
            return;
        }
        let start = Instant::now();
        let committed = database.commit(&changes, snapshot.as_ref());
        let took = start.elapsed();
        let mut state = shared.lock();
        state.committing = 0;
        match committed {
            Ok(()) => {
                state.commits += 1;
                state.slowest_commit = state.slowest_commit.max(took);
                state.failure = None;
                next_commit = start + commit_every;
            }
            Err(reason) => {
                state.take_back(changes, snapshot);
                if state.failure.replace(reason).is_none() {
                    shared.trouble.store(true, Ordering::Relaxed);
                }
                next_commit = Instant::now() + commit_every.max(RETRY_AFTER);
            }
        }
        if closing {
            last_attempts += 1;
            if state.failure.is_none() || last_attempts == LAST_ATTEMPTS {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [1; 21];

    fn record(octet: u8) -> Box<[u8]> {
        Box::new([octet])
    }

    #[test]
    fn changes_of_one_item_are_one_change() {
        let mut state = State::default();
        state.write(KEY, record(1), true);
        state.write(KEY, record(2), false);
        assert_eq!(state.pending[&KEY], Change { record: Some(record(2)), on_disk: false });
        state.delete(KEY);
        assert!(state.pending.is_empty(), "the disk never knew of it");

        state.write(KEY, record(3), false);
        state.delete(KEY);
        assert_eq!(state.pending[&KEY], Change::delete());
        state.write(KEY, record(4), true);
        assert_eq!(state.pending[&KEY], Change { record: Some(record(4)), on_disk: true });
    }

    #[test]
    fn what_could_not_be_committed_is_merged_with_what_came_since() {
        let failed = |state: &mut State| std::mem::take(&mut state.pending);
        let mut state = State::default();
        state.write(KEY, record(1), true);
        let batch = failed(&mut state);
        state.take_back(batch, None);
        assert_eq!(state.pending[&KEY], Change { record: Some(record(1)), on_disk: false });

        let batch = failed(&mut state);
        state.write(KEY, record(2), false);
        state.take_back(batch, None);
        assert_eq!(state.pending[&KEY], Change { record: Some(record(2)), on_disk: false });

        let batch = failed(&mut state);
        state.delete(KEY);
        state.take_back(batch, None);
        assert!(state.pending.is_empty(), "it never came to the disk");
    }

    #[test]
    fn what_waits_is_bounded_by_the_items_not_by_the_changes() {
        let shared = Shared::default();
        for number in 0..100_000_u32 {
            let key = [(number % 100) as u8; 21];
            shared.change(|state| state.write(key, vec![0; 1_000].into_boxed_slice(), false));
        }
        let status = shared.status();
        assert_eq!(status.pending, 100);
        assert!(status.pending_octets < 120_000, "{}", status.pending_octets);
        // Items that come and go between two commits leave nothing behind.
        for number in 0..100_000_u32 {
            let mut key = [0xff; 21];
            key[..4].copy_from_slice(&number.to_le_bytes());
            shared.change(|state| state.write(key, record(1), true));
            shared.change(|state| state.delete(key));
        }
        assert_eq!(shared.status().pending, 100);
    }
}
