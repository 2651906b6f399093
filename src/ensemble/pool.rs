//! Blocks over worker threads, handed back in replica order, with a bounded number in flight.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::ensemble::block::Job;
use crate::ensemble::progress::Progress;
use crate::ensemble::sink::{BlockRecord, SinkError};
use crate::lanes::LANES;

/// Replica-steps that a worker gathers before it tells progress of them,
const TOLD_AT_ONCE: u64 = 1 << 18;
/// or the time after which it does so at the next recorded instant.
const TOLD_AFTER: Duration = Duration::from_millis(100);

/// Which block is next, and how far the fold is.
struct Queue {
    next: usize,
    folded: usize,
}

/// Runs `job` from replica `from` on in blocks of these sizes (in tiles) on `pool`; `take` gets each block with its size, in order, on the calling
/// thread. False if `stop` ended it before the last block.
///
/// # Errors
/// The first error of `take`; the workers are stopped then.
pub fn run(
    pool: &rayon::ThreadPool,
    job: &Job<'_>,
    from: usize,
    sizes: &[usize],
    stop: &AtomicBool,
    progress: &dyn Progress,
    mut take: impl FnMut(BlockRecord, usize) -> Result<(), SinkError>,
) -> Result<bool, SinkError> {
    let starts: Vec<usize> = sizes
        .iter()
        .scan(from, |first, tiles| {
            let here = *first;
            *first += tiles * LANES;
            Some(here)
        })
        .collect();
    let workers = pool.current_num_threads().max(1);
    let window = 4 * workers;
    let failed = AtomicBool::new(false);
    let queue = Mutex::new(Queue { next: 0, folded: 0 });
    let turned = Condvar::new();
    let (sender, receiver) = mpsc::channel();
    let ended = || stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
    let (ended, queue, turned, starts, failed) = (&ended, &queue, &turned, &starts, &failed);
    pool.in_place_scope(|scope| {
        for _ in 0..workers.min(sizes.len()) {
            let sender = sender.clone();
            scope.spawn(move |_| {
                let _guard = EndOthers(failed);
                let mut teller = Teller { progress, untold: 0, told: Instant::now() };
                let mut pulse = |steps: u64| {
                    teller.count(steps);
                    !ended()
                };
                while let Some(block) = next_block(queue, turned, sizes.len(), window, ended) {
                    let Some(record) = job.run(starts[block], sizes[block], &mut pulse) else { return };
                    if sender.send((block, record)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut folded = 0;
        for (block, record) in receiver {
            early.insert(block, record);
            while let Some(record) = early.remove(&folded) {
                if let Err(error) = take(record, sizes[folded]) {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                folded += 1;
            }
            queue.lock().unwrap_or_else(PoisonError::into_inner).folded = folded;
            turned.notify_all();
        }
        Ok(folded == sizes.len())
    })
}

/// What a worker has done and not told yet.
struct Teller<'a> {
    progress: &'a dyn Progress,
    untold: u64,
    told: Instant,
}

impl Teller<'_> {
    /// So many more replica-steps; 0 at a recorded instant.
    fn count(&mut self, steps: u64) {
        self.untold += steps;
        if self.untold >= TOLD_AT_ONCE || (steps == 0 && self.told.elapsed() >= TOLD_AFTER) {
            self.tell();
        }
    }
    fn tell(&mut self) {
        if self.untold > 0 {
            self.progress.advance(std::mem::take(&mut self.untold));
        }
        self.told = Instant::now();
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

/// A worker that panics never hands over its block: without this, the others would wait for it to be folded.
struct EndOthers<'a>(&'a AtomicBool);

impl Drop for EndOthers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The next block to simulate, once the fold is near enough; `None` when there is none or the run has ended.
fn next_block(
    queue: &Mutex<Queue>,
    turned: &Condvar,
    blocks: usize,
    window: usize,
    ended: &(dyn Fn() -> bool + Sync),
) -> Option<usize> {
    let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if ended() || state.next >= blocks {
            return None;
        }
        if state.next < state.folded + window {
            state.next += 1;
            return Some(state.next - 1);
        }
        // A stop flag set by a signal handler notifies nobody: look again now and then.
        let woken = turned.wait_timeout(state, Duration::from_millis(50));
        state = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}
