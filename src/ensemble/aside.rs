//! Work on a thread of its own, which can be given up while it goes on.

use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often `stop` is looked at.
const PULSE: Duration = Duration::from_millis(20);

/// Does `work`, which hands over what it makes piece by piece, and returns the pieces in that order; true if it came to its end. Once `stop` is
/// set it has `patience` left, and is then given up: what it has handed over counts, its thread is left to itself. Whether a piece is there depends on
/// the clock then, what it says never does.
///
/// A panic of `work` goes on here.
pub fn aside<T: Send + 'static>(
    stop: &AtomicBool,
    patience: Duration,
    work: impl FnOnce(&mut dyn FnMut(T)) + Send + 'static,
) -> (Vec<T>, bool) {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        work(&mut |piece| {
            // Nobody listens any more once it has been given up.
            sender.send(piece).ok();
        });
    });
    let mut pieces = Vec::new();
    let mut stopped: Option<Instant> = None;
    loop {
        match receiver.recv_timeout(PULSE) {
            Ok(piece) => pieces.push(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                if let Err(payload) = worker.join() {
                    panic::resume_unwind(payload);
                }
                return (pieces, true);
            }
        }
        if stop.load(Ordering::Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() >= patience {
            return (pieces, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use super::*;

    #[test]
    fn what_ends_is_whole() {
        let stop = AtomicBool::new(false);
        let (pieces, ended) = aside(&stop, Duration::ZERO, |tell| (0..5).for_each(tell));
        assert_eq!((pieces, ended), (vec![0, 1, 2, 3, 4], true));
    }

    #[test]
    fn what_does_not_end_is_given_up() {
        static STOP: AtomicBool = AtomicBool::new(false);
        // The work waits for what never comes before this test has ended.
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let closed = gate.clone();
        let (pieces, ended) = aside(&STOP, Duration::ZERO, move |tell| {
            tell(1);
            STOP.store(true, Ordering::Relaxed);
            let (open, turned) = &*closed;
            let open = open.lock().unwrap();
            drop(turned.wait_while(open, |open| !*open).unwrap());
            tell(2);
        });
        assert_eq!((pieces, ended), (vec![1], false));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }

    #[test]
    #[should_panic(expected = "a bug of ours")]
    fn a_panic_goes_on() {
        aside::<()>(&AtomicBool::new(false), Duration::ZERO, |_| panic!("a bug of ours"));
    }
}
