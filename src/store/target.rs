//! The file on disk: how it comes to its name, and how it is opened and closed for a commit.
//!
//! # The name
//! A skeleton is built under a temporary name in the same folder, and takes the output's name only when it is whole.
//! Without `force` that is at once, and never over another file (a hard link, which fails where the name is taken).
//! With `force` an older file keeps the name until the first data have been committed: a run that fails before it
//! has anything to show destroys nothing.
//!
//! # A commit
//! Chunks first, beyond the extents, where no reader looks; close. Then the extents; close. A kill at any moment
//! leaves either the old extents or the new ones, and data behind both. No byte of an object header moves
//! (`tests/store.rs` compares the bytes).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hdf5::H5File;
use tempfile::TempPath;

use super::claims;
use super::error::StoreError;

/// The file of a run.
#[derive(Debug)]
pub(super) struct Target {
    /// Its final name.
    path: PathBuf,
    /// The name it still has; `None` once it has its own.
    temporary: Option<TempPath>,
    /// May an older file be replaced?
    force: bool,
    identity: Identity,
    /// While it is open, no other file can have its number.
    _open: fs::File,
}

impl Target {
    /// Checks that `path` can be written, and begins an empty file under a temporary name beside it.
    pub fn create(path: &Path, force: bool) -> Result<Self, StoreError> {
        let path = resolve(path, force)?;
        let folder = folder_of(&path);
        if !folder.is_dir() {
            return Err(StoreError::NoFolder { folder: folder.to_path_buf() });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fail = |source| StoreError::io("creating", &path, source);
        let (open, temporary) = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".tmp")
            .permissions_of_a_new_file()
            .tempfile_in(folder)
            .map_err(fail)?
            .into_parts();
        let identity = Identity::of(&temporary).map_err(fail)?;
        Ok(Self { path, temporary: Some(temporary), force, identity, _open: open })
    }

    /// Builds the skeleton with `build` and commits it. It takes its name now, unless `force` is to replace an older
    /// file.
    pub fn build(&mut self, build: impl FnOnce(&H5File) -> hdf5::Result<()>) -> Result<(), StoreError> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let fail = |e| StoreError::hdf5("creating", &self.path, e);
        let file = H5File::options().track_order(true).no_locking().create(temporary).map_err(fail)?;
        let built = build(&file);
        finish(file, built, false).map_err(fail)?;
        settle(temporary).map_err(fail)?;
        // An older file keeps its name until there are data; one that came meanwhile is an error.
        if self.force && self.path.exists() { Ok(()) } else { self.take_name(false) }
    }

    /// Opens for a while. `sync` waits until the disk has it.
    pub fn session(
        &self,
        action: &'static str,
        sync: bool,
        work: impl FnOnce(&H5File) -> hdf5::Result<()>,
    ) -> Result<(), StoreError> {
        let file = self.open(action)?;
        let worked = work(&file);
        self.close(file, worked, action, sync)
    }

    /// Opens until [`Target::close`].
    pub fn open(&self, action: &'static str) -> Result<H5File, StoreError> {
        let path: &Path = self.temporary.as_deref().unwrap_or(&self.path);
        // Somebody who renamed another file over ours would get our chunks in the middle of his data.
        match Identity::of(path) {
            Ok(identity) if identity == self.identity => {}
            _ => return Err(StoreError::Replaced { path: self.path.clone() }),
        }
        reopen(path).map_err(|e| StoreError::hdf5(action, &self.path, e))
    }

    /// Closes what [`Target::open`] gave, after work that came out so.
    pub fn close(
        &self,
        file: H5File,
        worked: hdf5::Result<()>,
        action: &'static str,
        sync: bool,
    ) -> Result<(), StoreError> {
        finish(file, worked, sync).map_err(|e| StoreError::hdf5(action, &self.path, e))
    }

    /// After the first commit with data: the older file gives way.
    pub fn has_data(&mut self) -> Result<(), StoreError> {
        self.take_name(true)
    }

    fn take_name(&mut self, over: bool) -> Result<(), StoreError> {
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        let result =
            if over { temporary.persist(&self.path) } else { temporary.persist_noclobber(&self.path) };
        // A failed `persist` gives the temporary file back in the error; dropping that removes it.
        result.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists { path: self.path.clone() },
            _ => StoreError::io("naming", &self.path, e.error),
        })
    }
}

/// Folder of a path; `.` for a bare name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The name to write to: a link's end, so that the link stays one. Refuses what must not be replaced.
fn resolve(path: &Path, force: bool) -> Result<PathBuf, StoreError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(StoreError::NotAFile { path: path.to_path_buf() }),
        Ok(_) if !force => Err(StoreError::Exists { path: path.to_path_buf() }),
        Ok(_) => fs::canonicalize(path).map_err(|e| StoreError::io("resolving", path, e)),
        // A link that leads nowhere is a name that is taken.
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            Err(StoreError::NotAFile { path: path.to_path_buf() })
        }
        Err(_) if path.file_name().is_none() => Err(StoreError::NotAFile { path: path.to_path_buf() }),
        Err(_) => Ok(path.to_path_buf()),
    }
}

fn session(path: &Path, work: impl FnOnce(&H5File) -> hdf5::Result<()>) -> hdf5::Result<()> {
    let file = reopen(path)?;
    let worked = work(&file);
    finish(file, worked, false)
}

fn reopen(path: &Path) -> hdf5::Result<H5File> {
    // Without `no_locking`, a Python reader that holds the file open would end the run.
    H5File::options().no_locking().open_rw(path)
}

/// Rewrites a fresh file until rewriting moves nothing any more.
///
/// At every close the library frees the blocks of group metadata and takes them again, smallest fit first. So a
/// commit writes the same bytes to the same places only once the blocks have found places that they keep, whether or
/// not the commit takes new space at the end of the file. That must be so before the file has its name: a kill while
/// blocks move leaves a file that does not open.
fn settle(path: &Path) -> hdf5::Result<()> {
    let read = || fs::read(path).map_err(hdf5::Hdf5Error::Io);
    let compared = fs::metadata(path).map_err(hdf5::Hdf5Error::Io)?.len() <= COMPARED;
    let mut before = if compared { read()? } else { vec![] };
    for spare in 0..ROUNDS {
        // A chunk beyond the extent, which the claims will fill one day.
        let zeros = [0; 8 * claims::CHUNK];
        session(path, |file| file.dataset_writer(claims::SPARE)?.write_chunk(spare, &zeros))?;
        let grown = if compared { read()? } else { vec![] };
        session(path, |_| Ok(()))?;
        if compared {
            let after = read()?;
            // What may change: the superblock's end of file; index and header of the one variable that was written.
            let changed = before.iter().zip(&grown).filter(|(old, new)| old != new).count();
            if changed < 256 && grown == after {
                break;
            }
            before = after;
        }
    }
    Ok(())
}

/// Rounds after which [`settle`] gives up; four or five are enough for the studies that the tests try.
const ROUNDS: usize = 10;
/// Bytes of a file up to which [`settle`] looks whether it may stop; beyond, looking costs more than all its rounds.
const COMPARED: u64 = 64 << 20;

fn finish(file: H5File, worked: hdf5::Result<()>, sync: bool) -> hdf5::Result<()> {
    match worked {
        Ok(()) if sync => file.close(),
        Ok(()) => file.close_no_sync(),
        Err(error) => {
            // Dropped, it would write its half-changed headers; what is on disk now is whole.
            std::mem::forget(file);
            Err(error)
        }
    }
}

/// Which file a name leads to.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self {})
    }
}

/// `tempfile` makes files for their owner alone; an output is to be like any other file.
trait Permissions {
    fn permissions_of_a_new_file(&mut self) -> &mut Self;
}

impl Permissions for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_of_a_new_file(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // Less the umask, as always.
        self.permissions(fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_of_a_new_file(&mut self) -> &mut Self {
        self
    }
}
