//! A run that is killed at any moment leaves no file, or one that opens with all that was committed.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use perrin::ensemble::{Record, Sink};
use perrin::store::{Status, Writer, read};

use crate::sample;

/// Blocks of eight replicas after which a run stands still until it is killed; the last number is never reached: that run
/// goes on to its end, and is killed on the way there.
const KILLS: [usize; 16] = [0, 1, 2, 6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 66, 72, usize::MAX];
const REPLICAS: usize = 400;
/// Blocks that may be under way: in the channel, with the writer, and in the commit that the kill meets.
const UNDER_WAY: usize = 6;

/// The child: writes, every block a commit, until it is done or killed. It tells standard error of every block.
#[test]
#[ignore = "run by the tests of this file, which kill it"]
fn child() {
    let (Ok(path), Ok(blocks)) = (std::env::var("PERRIN_KILL_FILE"), std::env::var("PERRIN_KILL_BLOCKS"))
    else {
        return;
    };
    let mut blocks: usize = blocks.parse().unwrap();
    let record = sample::record(REPLICAS);
    let mut writer =
        Writer::create(Path::new(&path), &sample::header(), false).unwrap().commit_every(Duration::ZERO);
    let mut told = || {
        std::io::stderr().write_all(b".").unwrap();
        let Some(left) = blocks.checked_sub(1) else {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        };
        blocks = left;
    };
    writer.begin(&sample::plan(&record)).unwrap();
    told();
    for (index, dynamics) in record.dynamics.iter().enumerate() {
        for first in (0..dynamics.replicas).step_by(8) {
            writer.write_block(index, sample::block(dynamics, first, 8)).unwrap();
            told();
        }
        writer.finish(index, dynamics).unwrap();
    }
    writer.complete(&record, "digest", &sample::claims(70), Status::Complete).unwrap();
}

#[test]
fn a_killed_run_leaves_a_file_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let whole = sample::record(REPLICAS);
    let all: usize = whole.dynamics.iter().map(|d| d.replicas).sum();
    for blocks in KILLS {
        let path = folder.path().join(format!("{blocks}.h5"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored"])
            .env("PERRIN_KILL_FILE", &path)
            .env("PERRIN_KILL_BLOCKS", blocks.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed as soon as it has told of so many; of what it goes on with by itself, after three quarters.
        let counted = if blocks == usize::MAX { all / 8 * 3 / 4 } else { blocks + 1 };
        let mut told = vec![0; counted];
        child.stderr.take().unwrap().read_exact(&mut told).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let stored = read(&path).unwrap_or_else(|e| panic!("killed after {blocks} blocks: {e}"));
        let replicas = check(&stored.record, &whole, stored.status);
        let least = 8 * (counted - 1).saturating_sub(UNDER_WAY);
        let most = if blocks == usize::MAX { all } else { 8 * blocks };
        assert!((least..=most).contains(&replicas), "{replicas} replicas after {blocks} blocks");
        assert_eq!(stored.process.lives(), Some(false), "a dead run is told from a living one");
    }
}

/// What is there is the beginning of what was written. Returns the replicas found.
fn check(found: &Record, whole: &Record, status: Status) -> usize {
    for (found, whole) in found.dynamics.iter().zip(&whole.dynamics) {
        let n = found.replicas;
        assert!(n <= whole.replicas);
        let finished = !found.observables[0].ensemble.is_empty();
        assert!(n.is_multiple_of(8) || n == whole.replicas, "whole blocks: {n}");
        assert!(status == Status::Running || finished);
        for (found, whole) in found.observables.iter().zip(&whole.observables) {
            let row = whole.components();
            assert_eq!(found.last, whole.last[..n * row]);
            assert_eq!(found.max_change, whole.max_change[..n * row]);
            assert_eq!(found.stationary.mean, whole.stationary.mean[..n * row]);
            assert_eq!(found.stationary.second_variance, whole.stationary.second_variance[..n * row]);
            assert_eq!(found.trajectories, whole.trajectories[..found.trajectories.len()]);
            assert!(!finished || found.ensemble == whole.ensemble);
        }
    }
    found.dynamics.iter().map(|d| d.replicas).sum()
}
