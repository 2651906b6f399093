//! A disk that fills up: the error comes back, nothing panics, and what was committed stays readable.
//!
//! Needs root and Linux, for a small file system of its own: `cargo test --test store -- --ignored full_disk`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use perrin::ensemble::Sink;
use perrin::store::{Status, StoreError, Writer, read};

use crate::sample;

struct Mount(tempfile::TempDir);

impl Mount {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "mounting needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.path()).unwrap().count()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: after an error the writer keeps its file open rather than let the library write its headers.
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[test]
#[ignore = "needs root, to mount a small file system"]
fn no_room_for_the_skeleton() {
    for size in ["16k", "64k", "256k"] {
        let disk = Mount::new(size);
        let record = sample::record(16);
        let mut writer = Writer::create(&disk.path().join("a.h5"), &sample::header(), false).unwrap();
        let error = writer.begin_file(&sample::plan(&record)).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{size}: {error}");
        assert_eq!(disk.files(), 0, "the temporary is removed");
    }
}

#[test]
#[ignore = "needs root, to mount a small file system"]
fn no_room_for_more_blocks() {
    for size in ["450k", "1m", "4m", "7m", "11m"] {
        let disk = Mount::new(size);
        let path = disk.path().join("a.h5");
        let record = sample::record(20_000);
        let mut writer =
            Writer::create(&path, &sample::header(), false).unwrap().commit_every(Duration::ZERO);
        writer.begin(&sample::plan(&record)).unwrap();
        let mut error = None;
        for first in (0..20_000).step_by(64) {
            if let Err(e) = writer.write_block(0, sample::block(&record.dynamics[0], first, 64)) {
                error = Some(e);
                break;
            }
        }
        let error = error.expect("the disk is too small for this");
        assert!(matches!(error, StoreError::Full { .. }), "{size}: {error}");
        let again = writer.complete(&record, "d", &[], Status::Interrupted);
        assert!(matches!(again, Err(StoreError::Stopped { .. })));
        drop(writer);
        let stored = read(&path).unwrap();
        assert_eq!(stored.status, Status::Failed);
        let (found, whole) = (&stored.record.dynamics[0], &record.dynamics[0]);
        println!("{size}: {} replicas", found.replicas);
        for (found, whole) in found.observables.iter().zip(&whole.observables) {
            assert_eq!(found.last[..], whole.last[..found.last.len()]);
            assert_eq!(found.trajectories[..], whole.trajectories[..found.trajectories.len()]);
        }
    }
}
