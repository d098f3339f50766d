//! Shards side by side: on one thread or on several, with the same result.

use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};

use super::latency;
use super::queue::Event;
use super::simulation::Simulation;

/// Events in a tick from which on threads are worth their while.
pub(super) const WORTH_THREADS: u64 = 4_000;

impl Simulation {
    /// Has all shards do what happens before `end`.
    pub(super) fn run_shards(&mut self, end: u64) {
        match &mut self.shards[..] {
            [shard] => shard.run(&self.setting, end),
            // The same steps in either way; only for much work do several threads pay.
            _ if self.events_in_tick < self.worth_threads => self.run_in_turn(end),
            _ => self.run_in_parallel(end),
        }
    }

    fn run_in_turn(&mut self, end: u64) {
        let mut at = self.now;
        while at < end {
            at = self.step_from(at).min(end);
            for shard in &mut self.shards {
                shard.run(&self.setting, at);
            }
            self.exchange();
        }
    }

    /// How far all shards may go from here without knowing of each other.
    fn step_from(&mut self, at: u64) -> u64 {
        let next = self.shards.iter_mut().filter_map(|shard| shard.queue.next_at()).min();
        next.unwrap_or(u64::MAX / 2).max(at) + latency::micros_floor()
    }

    /// Hands over what hosts of one shard have sent to hosts of another.
    pub(super) fn exchange(&mut self) {
        for from in 0..self.shards.len() {
            for to in 0..self.shards.len() {
                let mut events = std::mem::take(&mut self.shards[from].outgoing[to]);
                for event in events.drain(..) {
                    self.shards[to].queue.push(event);
                }
                // The room is kept for the next time.
                self.shards[from].outgoing[to] = events;
            }
        }
    }

    fn run_in_parallel(&mut self, end: u64) {
        let Self { setting, shards, now, .. } = self;
        let (setting, now) = (&*setting, *now);
        let barrier = Barrier::new(shards.len());
        // One for each receiver: what the others have sent to it.
        let mail: Vec<Mutex<Vec<Event>>> = shards.iter().map(|_| Mutex::new(Vec::new())).collect();
        std::thread::scope(|scope| {
            for (number, shard) in shards.iter_mut().enumerate() {
                let (barrier, mail) = (&barrier, &mail);
                scope.spawn(move || {
                    let mut at = now;
                    while at < end {
                        at = (at + latency::micros_floor()).min(end);
                        shard.run(setting, at);
                        for (mail, events) in mail.iter().zip(&mut shard.outgoing) {
                            if !events.is_empty() {
                                lock(mail).append(events);
                            }
                        }
                        barrier.wait();
                        for event in lock(&mail[number]).drain(..) {
                            shard.queue.push(event);
                        }
                        barrier.wait();
                    }
                });
            }
        });
    }
}

/// A thread that panics takes the simulation with it, so that what it leaves behind is never used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
