//! What can go wrong with a file: what, where, and how to go on.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The output is there already and `force` was not given.
    #[error("{path} exists already; --force replaces it, -o names another file")]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The folder of the output is not there.
    #[error("the folder {folder} does not exist")]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The output is a folder, a device or a socket.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// What was named as output.
        path: PathBuf,
    },
    /// The folder or file system does not let us write.
    #[error("cannot write {path}: {source}")]
    NotWritable {
        /// The output.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No space is left, or a quota is used up. What was committed before stays readable.
    #[error("the disk is full while {action} {path}")]
    Full {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The system or a limit of the process (`ulimit -f`) allows no larger file. What was committed before stays readable.
    #[error("the file may not grow any further (ulimit -f) while {action} {path}: {source}")]
    TooLarge {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another failure of the operating system.
    #[error("failed {action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is no HDF5, is damaged, or is not what was expected.
    #[error("failed {action} {path}: {source}")]
    Hdf5 {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the HDF5 library said.
        source: hdf5::Hdf5Error,
    },
    /// Somebody moved, deleted or replaced the file while it was being written.
    #[error("{path} was moved or replaced during the run")]
    Replaced {
        /// Where the file had been.
        path: PathBuf,
    },
    /// Shorter than its own superblock says: a copy that was cut off.
    #[error("{path} is cut off: {found} bytes of {expected}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// An HDF5 file, but not one of perrin's.
    #[error("{path} was not written by perrin: {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is missing or strange.
        what: String,
    },
    /// Written by a perrin whose format this one does not know.
    #[error("{path} has format {found}; this perrin reads format {known}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The engine handed over something that does not fit its own plan: a bug of perrin's.
    #[error("block of replicas does not fit the plan: {what}")]
    Mismatch {
        /// What does not fit.
        what: String,
    },
    /// The writer stopped at an earlier error, which has been reported.
    #[error("the writer of {path} has stopped")]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Sorts a failure of the operating system by its kind.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, path, source },
            io::ErrorKind::FileTooLarge => Self::TooLarge { action, path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// The same for a failure that came up through the HDF5 library.
    pub(super) fn hdf5(action: &'static str, path: &Path, source: hdf5::Hdf5Error) -> Self {
        match source {
            hdf5::Hdf5Error::Io(source) => Self::io(action, path, source),
            source => match inner_io(&source) {
                Some(kind) => Self::io(action, path, io::Error::new(kind, source.to_string())),
                None => Self::Hdf5 { action, path: path.to_path_buf(), source },
            },
        }
    }
}

/// The library's inner layer keeps its error type to itself; only its `Debug` text shows the kind of an
/// operating system's error.
fn inner_io(error: &hdf5::Hdf5Error) -> Option<io::ErrorKind> {
    let text = format!("{error:?}");
    let code = text.split("Os { code: ").nth(1)?.split(',').next()?.trim().parse().ok()?;
    Some(io::Error::from_raw_os_error(code).kind())
}
