//! A run that is killed at any moment leaves no file, or one that opens with all that was committed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use perrin::ensemble::Record;
use perrin::store::{Status, StoreError, Writer, read};

use crate::sample;

const KILLS: u64 = 24;

/// The child: writes, every block a commit, until it is done or killed.
#[test]
#[ignore = "run by the tests of this file, which kill it"]
fn child() {
    let (Ok(path), Ok(replicas)) = (std::env::var("PERRIN_KILL_FILE"), std::env::var("PERRIN_KILL_REPLICAS"))
    else {
        return;
    };
    let record = sample::record(replicas.parse().unwrap());
    let mut writer =
        Writer::create(Path::new(&path), &sample::header(), false).unwrap().commit_every(Duration::ZERO);
    sample::play(&record, 8, &mut writer).unwrap();
    writer.complete(&record, "digest", &sample::claims(70), Status::Complete).unwrap();
}

/// SplitMix64 (Steele, Lea & Flood 2014): moments that are the same at every run of the test.
fn pseudo_random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn a_killed_run_leaves_a_file_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let mut replicas_seen = vec![];
    for kill in 0..KILLS {
        // Short runs are killed while dynamics end and claims are written; long ones between blocks.
        let replicas = [64, 400, 3000][kill as usize % 3];
        let path = folder.path().join(format!("{kill}.h5"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored"])
            .env("PERRIN_KILL_FILE", &path)
            .env("PERRIN_KILL_REPLICAS", replicas.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(30_000 + pseudo_random(kill) % 300_000));
        child.kill().unwrap();
        child.wait().unwrap();
        match read(&path) {
            Ok(stored) => replicas_seen.push(check(&stored.record, &sample::record(replicas), stored.status)),
            // Killed before the skeleton had its name.
            Err(StoreError::Io { .. }) if !path.exists() => {}
            Err(e) => panic!("kill {kill}: {e}"),
        }
    }
    replicas_seen.sort_unstable();
    replicas_seen.dedup();
    assert!(replicas_seen.len() > 4, "the kills came at different moments: {replicas_seen:?}");
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
