//! What goes in comes out, whatever the sizes of blocks.

use perrin::ensemble::{Record, Sink};
use perrin::store::{Status, Writer, read, read_summary};

use crate::sample::{self, assert_same};

#[test]
fn every_bit_comes_back_for_any_size_of_blocks() {
    let folder = tempfile::tempdir().unwrap();
    // Across chunks of paths (8), across chunks of rows, one block, single replicas.
    for (replicas, size) in [(1, 8), (7, 2), (100, 8), (100, 1000), (37, 1), (5000, 512)] {
        let record = sample::record(replicas);
        let path = folder.path().join(format!("{replicas}-{size}.h5"));
        let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
        sample::play(&record, size, &mut writer).unwrap();
        let claims = sample::claims(replicas);
        writer.complete(&record, "0123abcd", &claims, Status::Complete).unwrap();
        let stored = read(&path).unwrap();
        assert_same(&stored.record, &record);
        assert_eq!(stored.claims, claims);
        assert_eq!(stored.header, sample::header());
        assert_eq!((stored.status, stored.digest.as_str()), (Status::Complete, "0123abcd"));
        assert_eq!(stored.groups, ["sgd", "flow_2"]);
        assert_eq!(stored.perrin_version, env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn a_record_is_written_in_one_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.h5");
    let record = sample::record(40);
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.complete(&record, "d", &[], Status::Complete).unwrap();
    assert_same(&read(&path).unwrap().record, &record);
}

#[test]
fn an_interrupted_run_keeps_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stopped.h5");
    let whole = sample::record(200);
    let mut done = sample::dynamics("sgd", &sample::USUAL, 48, 11, 21);
    done.requested = 200;
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.begin(&sample::plan(&whole)).unwrap();
    for first in (0..48).step_by(16) {
        writer.write_block(0, sample::block(&done, first, 16)).unwrap();
    }
    writer.finish(0, &done).unwrap();
    let record = Record { dynamics: vec![done.clone()], interrupted: true, ..Record::default() };
    writer.complete(&record, "d", &[], Status::Interrupted).unwrap();
    let stored = read(&path).unwrap();
    assert_eq!(stored.status, Status::Interrupted);
    assert!(stored.record.interrupted);
    assert_same(
        &Record { dynamics: vec![stored.record.dynamics[0].clone()], ..stored.record.clone() },
        &record,
    );
    assert_eq!(stored.record.dynamics[1].replicas, 0, "the second was not begun");
}

#[test]
fn a_writer_that_is_dropped_leaves_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.h5");
    let record = sample::record(64);
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.begin(&sample::plan(&record)).unwrap();
    writer.write_block(0, sample::block(&record.dynamics[0], 0, 24)).unwrap();
    drop(writer);
    let stored = read(&path).unwrap();
    assert_eq!((stored.status, stored.digest.as_str()), (Status::Failed, ""));
    let dynamics = &stored.record.dynamics[0];
    assert_eq!((dynamics.replicas, dynamics.requested, dynamics.kept), (24, 64, 11));
    let wanted = sample::block(&record.dynamics[0], 0, 24);
    for (found, wanted) in dynamics.observables.iter().zip(&wanted.observables) {
        assert_eq!(found.last, wanted.last);
        assert_eq!(found.stationary.second_variance, wanted.stationary.second_variance);
        assert_eq!(found.trajectories, wanted.trajectories);
        assert!(found.ensemble.is_empty());
    }
}

#[test]
fn a_run_that_keeps_no_paths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.h5");
    let record =
        Record { dynamics: vec![sample::dynamics("sgd", &sample::USUAL, 20, 0, 5)], ..Record::default() };
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    sample::play(&record, 8, &mut writer).unwrap();
    writer.complete(&record, "d", &[], Status::Complete).unwrap();
    assert_same(&read(&path).unwrap().record, &record);
}

#[test]
fn a_grown_ensemble_reads_as_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let record = sample::record(100);
    // Far fewer than there might have been, and more than an index is laid out for.
    for most in [100_000, usize::MAX / 2] {
        let path = folder.path().join("grown.h5");
        let mut plan = sample::plan(&record);
        plan.dynamics.iter_mut().for_each(|d| (d.requested, d.most) = (16, most));
        let mut writer = Writer::create(&path, &sample::header(), true).unwrap();
        writer.begin(&plan).unwrap();
        for (index, dynamics) in record.dynamics.iter().enumerate() {
            for first in (0..dynamics.replicas).step_by(32) {
                writer.write_block(index, sample::block(dynamics, first, 32)).unwrap();
            }
            writer.finish(index, dynamics).unwrap();
        }
        writer.complete(&record, "d", &[], Status::Complete).unwrap();
        assert_same(&read(&path).unwrap().record, &record);
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size < 1 << 20, "{size} bytes: what is not done takes little room");
    }
}

#[test]
fn a_running_file_says_who_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("running.h5");
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.begin(&sample::plan(&sample::record(8))).unwrap();
    let stored = read(&path).unwrap();
    assert_eq!((stored.status, stored.process.id), (Status::Running, std::process::id()));
    if cfg!(target_os = "linux") {
        assert_eq!(stored.process.lives(), Some(true));
    }
}

#[test]
fn a_summary_leaves_the_replicas_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.h5");
    let record = sample::record(40);
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.complete(&record, "d", &sample::claims(3), Status::Complete).unwrap();
    let stored = read_summary(&path).unwrap();
    let (found, wanted) = (&stored.record.dynamics[0], &record.dynamics[0]);
    assert_eq!((found.replicas, &found.diverged), (wanted.replicas, &wanted.diverged));
    assert_eq!(found.observables[1].ensemble, wanted.observables[1].ensemble);
    assert!(found.observables[1].last.is_empty() && stored.claims.is_empty());
}
