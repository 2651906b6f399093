//! What cannot be written says so before the run, or at the next block; what was there stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perrin::ensemble::Sink;
use perrin::store::{Status, StoreError, Writer, read};

use crate::sample;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn an_older_file_is_not_touched_without_force() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    fs::write(&path, "older").unwrap();
    let error = Writer::create(&path, &sample::header(), false).unwrap_err();
    assert!(matches!(&error, StoreError::Exists { path: p } if *p == path));
    assert!(error.to_string().contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(names(folder.path()), [path]);
}

#[test]
fn force_replaces_when_there_is_something_to_show() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    fs::write(&path, "older").unwrap();
    let record = sample::record(16);
    let mut writer = Writer::create(&path, &sample::header(), true).unwrap().commit_every(Duration::ZERO);
    writer.begin(&sample::plan(&record)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "older", "nothing has been committed yet");
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "older", "a run without data leaves what was there");
    assert_eq!(names(folder.path()), std::slice::from_ref(&path));

    let mut writer = Writer::create(&path, &sample::header(), true).unwrap().commit_every(Duration::ZERO);
    sample::play(&record, 8, &mut writer).unwrap();
    writer.complete(&record, "d", &[], Status::Complete).unwrap();
    sample::assert_same(&read(&path).unwrap().record, &record);
    assert_eq!(names(folder.path()), [path]);
}

#[test]
fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    fs::write(&path, "another's").unwrap();
    let record = sample::record(16);
    writer.begin_file(&sample::plan(&record)).unwrap_err();
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    assert_eq!(names(folder.path()), [path]);
}

#[test]
fn what_dead_runs_left_is_cleared_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    // A living run, which has no name yet; what a dead one left; and files of others.
    let living = Writer::create(&path, &sample::header(), false).unwrap();
    let held = names(folder.path());
    assert_eq!(held.len(), 1);
    let dead = folder.path().join(".a.h5.Xy3fgH.tmp");
    let others = [".a.h5.tmp", ".a.h5.Xy3fg!.tmp", ".b.h5.Xy3fgH.tmp", "a.h5.Xy3fgH.tmp"];
    for name in others.iter().map(|name| folder.path().join(name)).chain([dead.clone()]) {
        fs::write(name, "").unwrap();
    }
    let second = Writer::create(&path, &sample::header(), false).unwrap();
    let left = names(folder.path());
    assert!(left.contains(&held[0]) && !left.contains(&dead), "{left:?}");
    assert_eq!(left.len(), 2 + others.len(), "{left:?}");
    drop((living, second));
    assert_eq!(names(folder.path()).len(), others.len(), "runs that end clear their own");
}

#[test]
fn runs_at_once_get_a_name_each() {
    let folder = folder();
    let first = folder.path().join("a.h5");
    let record = sample::record(8);
    // All look for a name while none is taken.
    let mut writers: Vec<Writer> =
        (0..6).map(|_| Writer::create_numbered(&first, &sample::header()).unwrap()).collect();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| writer.complete(&record, "d", &[], Status::Complete).unwrap());
        }
    });
    let mut taken: Vec<PathBuf> = writers.iter().map(|w| w.path().to_path_buf()).collect();
    taken.sort();
    let numbers = ["-2", "-3", "-4", "-5", "-6", ""];
    assert_eq!(taken, numbers.map(|n| folder.path().join(format!("a{n}.h5"))));
    assert_eq!(names(folder.path()), taken, "and nothing beside");
    for path in &taken {
        sample::assert_same(&read(path).unwrap().record, &record);
    }
}

#[test]
fn targets_that_cannot_be_written_are_told_apart() {
    let folder = folder();
    let create = |path: &Path, force| Writer::create(path, &sample::header(), force).map(drop);
    let missing = folder.path().join("none/a.h5");
    assert!(matches!(create(&missing, false), Err(StoreError::NoFolder { .. })));
    assert!(matches!(create(folder.path(), true), Err(StoreError::NotAFile { .. })));
    assert!(matches!(create(Path::new("/dev/null"), true), Err(StoreError::NotAFile { .. })));
    assert!(matches!(create(Path::new(""), false), Err(StoreError::NotAFile { .. })));
    assert!(matches!(create(Path::new("/"), false), Err(StoreError::NotAFile { .. })));
    // A file in the place of a folder.
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(create(&folder.path().join("file/a.h5"), false), Err(StoreError::NoFolder { .. })));
    // A name that is too long for any file system.
    let long = folder.path().join("x".repeat(300));
    assert!(matches!(create(&long, false), Err(StoreError::Io { .. })));
    assert_eq!(names(folder.path()), [folder.path().join("file")]);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let folder = folder();
    let (path, link) = (folder.path().join("a.h5"), folder.path().join("link.h5"));
    fs::write(&path, "older").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let record = sample::record(16);
    assert!(matches!(
        Writer::create(&link, &sample::header(), false).map(drop),
        Err(StoreError::Exists { .. })
    ));
    let mut writer = Writer::create(&link, &sample::header(), true).unwrap();
    writer.complete(&record, "d", &[], Status::Complete).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    sample::assert_same(&read(&path).unwrap().record, &record);
}

#[cfg(unix)]
#[test]
fn an_output_has_the_rights_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (path, other) = (folder.path().join("a.h5"), folder.path().join("other"));
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.complete(&sample::record(4), "d", &[], Status::Complete).unwrap();
    fs::write(&other, "").unwrap();
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&other));
}

#[cfg(unix)]
#[test]
fn a_file_that_was_replaced_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    let record = sample::record(64);
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap().commit_every(Duration::ZERO);
    writer.begin(&sample::plan(&record)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another's").unwrap();
    // The error comes from the block after the commit that failed, or from the one after that.
    let mut result = Ok(());
    for first in (0..64).step_by(8) {
        result = result.and_then(|()| writer.write_block(0, sample::block(&record.dynamics[0], first, 8)));
    }
    let result = result.and_then(|()| writer.complete(&record, "d", &[], Status::Complete));
    assert!(matches!(result, Err(StoreError::Replaced { .. })), "{result:?}");
    assert!(matches!(writer.complete(&record, "d", &[], Status::Complete), Err(StoreError::Stopped { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
}

#[test]
fn blocks_that_do_not_fit_the_plan_are_refused() {
    let folder = folder();
    let record = sample::record(64);
    let mut writer = Writer::create(&folder.path().join("a.h5"), &sample::header(), false).unwrap();
    writer.begin_file(&sample::plan(&record)).unwrap();
    let refused = |result| matches!(result, Err(StoreError::Mismatch { .. }));
    let dynamics = &record.dynamics[0];
    assert!(refused(writer.write_block(0, sample::block(dynamics, 8, 8))), "out of order");
    assert!(refused(writer.write_block(7, sample::block(dynamics, 0, 8))), "no such dynamics");
    let mut short = sample::block(dynamics, 0, 8);
    short.observables[1].stationary.first_mean.pop();
    assert!(refused(writer.write_block(0, short)), "an array too short");
    let mut fewer = sample::block(dynamics, 0, 8);
    fewer.observables.pop();
    assert!(refused(writer.write_block(0, fewer)), "an observable too few");
    writer.write_block(0, sample::block(dynamics, 0, 8)).unwrap();
    let mut other = dynamics.clone();
    other.times[1] += 0.5;
    assert!(refused(writer.finish_dynamics(0, &other)), "other instants");
    writer.complete(&record, "d", &[], Status::Complete).unwrap();
}

#[test]
fn what_is_no_file_of_perrins_is_told_apart() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    assert!(matches!(read(&path), Err(StoreError::Io { .. })));
    assert!(matches!(read(folder.path()), Err(StoreError::NotAFile { .. })));
    fs::write(&path, "text").unwrap();
    assert!(matches!(read(&path), Err(StoreError::Hdf5 { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(read(&path), Err(StoreError::Hdf5 { .. })));
    let file = hdf5::H5File::create(&path).unwrap();
    file.close().unwrap();
    assert!(matches!(read(&path), Err(StoreError::Foreign { .. })));
    let file = hdf5::H5File::create(&path).unwrap();
    file.set_attr_string("layout", "{\"format\": 99}").unwrap();
    file.close().unwrap();
    assert!(matches!(read(&path), Err(StoreError::Version { found: 99, .. })));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = folder();
    let path = folder.path().join("a.h5");
    let mut writer = Writer::create(&path, &sample::header(), false).unwrap();
    writer.complete(&sample::record(16), "d", &sample::claims(3), Status::Complete).unwrap();
    let whole = fs::read(&path).unwrap();
    // Truncated at many places.
    for cut in (0..whole.len()).step_by(whole.len() / 40) {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(read(&path).is_err(), "cut at {cut}");
    }
    // Runs of bytes overwritten: an error or other numbers, but no panic.
    for at in (0..whole.len() - 64).step_by(whole.len() / 200) {
        let mut bytes = whole.clone();
        bytes[at..at + 64].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        drop(read(&path));
    }
}
