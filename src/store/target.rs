//! The file on disk: how it comes to its name, and how it is opened and closed for a commit.
//!
//! # The name
//! A skeleton is built under a temporary name in the same folder, and takes the output's name only when it is whole.
//! Without `force` that is at once, and never over another file (a hard link, which fails where the name is taken).
//! With `force` an older file keeps the name until the first data have been committed: a run that fails before it
//! has anything to show destroys nothing.
//!
//! A run that is killed before its file has a name leaves the temporary. While it lives it holds a lock on it; so the next run to
//! the same name knows what nobody holds, and removes it.
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
    /// Where the name is taken, the next number is tried: of `NAME.h5`, the 2 of `NAME-2.h5`.
    numbered: Option<Numbered>,
    identity: Identity,
    /// Locked until the file has its name. While it is open, no other file can have its number.
    open: fs::File,
}

/// The names of a file that takes the first free one.
#[derive(Debug)]
struct Numbered {
    first: PathBuf,
    number: u64,
}

impl Numbered {
    /// The name after the one that was tried last.
    fn next(&mut self) -> PathBuf {
        self.number += 1;
        let stem = self.first.file_stem().unwrap_or_default().to_string_lossy();
        let ending = self.first.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
        self.first.with_file_name(format!("{stem}-{}{ending}", self.number))
    }
}

impl Target {
    /// Checks that `path` can be written, and begins an empty file under a temporary name beside it.
    pub fn create(path: &Path, force: bool) -> Result<Self, StoreError> {
        let path = resolve(path, force)?;
        let (temporary, open, identity) = temporary(&path, &path)?;
        Ok(Self { path, temporary: Some(temporary), force, numbered: None, identity, open })
    }

    /// The same under the first free name of `NAME.h5`, `NAME-2.h5`, `NAME-3.h5`, …
    pub fn create_numbered(first: &Path) -> Result<Self, StoreError> {
        let mut numbered = Numbered { first: first.to_path_buf(), number: 1 };
        let mut path = first.to_path_buf();
        // A link that leads nowhere is taken, too.
        while path.symlink_metadata().is_ok() {
            path = numbered.next();
        }
        let (temporary, open, identity) = temporary(&path, first)?;
        Ok(Self { path, temporary: Some(temporary), force: false, numbered: Some(numbered), identity, open })
    }

    /// The name it has, or will have if nobody takes it before.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Builds the skeleton with `build` and commits it. It takes its name now, unless `force` is to replace an older
    /// file.
    pub fn build(&mut self, build: impl FnOnce(&H5File) -> hdf5::Result<()>) -> Result<(), StoreError> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let fail = |e| StoreError::hdf5("creating", &self.path, e);
        let file = H5File::options().track_order(true).no_locking().create(temporary).map_err(fail)?;
        let built = build(&file);
        finish(file, built).map_err(fail)?;
        settle(temporary).map_err(fail)?;
        // An older file keeps its name until there are data; one that came meanwhile is an error.
        if self.force && self.path.exists() { Ok(()) } else { self.take_name(false) }
    }

    /// Opens for a while.
    pub fn session(
        &self,
        action: &'static str,
        work: impl FnOnce(&H5File) -> hdf5::Result<()>,
    ) -> Result<(), StoreError> {
        let file = self.open(action)?;
        let worked = work(&file);
        self.close(file, worked, action)
    }

    /// Waits until the disk has all of it: once a file, where the library would wait once a variable.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.open.sync_all().map_err(|e| StoreError::io("completing", &self.path, e))
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
    ) -> Result<(), StoreError> {
        finish(file, worked).map_err(|e| StoreError::hdf5(action, &self.path, e))
    }

    /// After the first commit with data: the older file gives way.
    pub fn has_data(&mut self) -> Result<(), StoreError> {
        self.take_name(true)
    }

    fn take_name(&mut self, over: bool) -> Result<(), StoreError> {
        let Some(mut temporary) = self.temporary.take() else { return Ok(()) };
        loop {
            let named =
                if over { temporary.persist(&self.path) } else { temporary.persist_noclobber(&self.path) };
            // A failed `persist` gives the temporary file back in the error; dropping that removes it.
            let Err(error) = named else { break };
            if error.error.kind() != io::ErrorKind::AlreadyExists {
                return Err(StoreError::io("naming", &self.path, error.error));
            }
            let Some(numbered) = &mut self.numbered else {
                return Err(StoreError::Exists { path: self.path.clone() });
            };
            // Another run took the name since we looked.
            self.path = numbered.next();
            temporary = error.path;
        }
        // Readers that lock, as the reference library does, may come now. Not before: without a lock it might be taken for a dead run's.
        self.open.unlock().or_else(|error| match error.kind() {
            io::ErrorKind::Unsupported => Ok(()),
            _ => Err(StoreError::io("naming", &self.path, error)),
        })
    }
}

/// A new file beside `path`, locked, under a temporary name that says for whose sake (`whose`). What runs that were killed left there under
/// such names is removed.
fn temporary(path: &Path, whose: &Path) -> Result<(TempPath, fs::File, Identity), StoreError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(StoreError::NoFolder { folder: folder.to_path_buf() });
    }
    let prefix = format!(".{}.", whose.file_name().unwrap_or_default().to_string_lossy());
    clear(folder, &prefix);
    let fail = |source| StoreError::io("creating", path, source);
    // One that clears the folder may hold ours between its making and its locking; then it is gone.
    for _ in 0..ATTEMPTS {
        let (open, temporary) = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .suffix(SUFFIX)
            .permissions_of_a_new_file()
            .tempfile_in(folder)
            .map_err(fail)?
            .into_parts();
        if matches!(open.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            continue;
        }
        let identity = Identity::of_file(&open).map_err(fail)?;
        if Identity::of(&temporary).is_ok_and(|named| named == identity) {
            return Ok((temporary, open, identity));
        }
    }
    Err(fail(io::Error::new(io::ErrorKind::ResourceBusy, "others keep removing its temporary file")))
}

/// Files made before [`temporary`] gives up.
const ATTEMPTS: usize = 100;
/// Letters of chance in a temporary name.
const RANDOM: usize = 6;
/// Its end.
const SUFFIX: &str = ".tmp";

/// Removes temporary files that nobody holds a lock on. Where locks are not known, or the folder does not let us, they stay.
fn clear(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let middle = name.to_str().and_then(|n| n.strip_prefix(prefix)?.strip_suffix(SUFFIX));
        let ours = middle.is_some_and(|m| m.len() == RANDOM && m.chars().all(|c| c.is_ascii_alphanumeric()));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = fs::File::open(&path) else { continue };
        // It may have got its final name meanwhile, and the temporary name another file.
        let same = || {
            Identity::of_file(&file).is_ok_and(|file| Identity::of(&path).is_ok_and(|named| named == file))
        };
        if file.try_lock().is_ok() && same() {
            // Somebody else may be clearing, too.
            drop(fs::remove_file(&path));
        }
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
    finish(file, worked)
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
        // What may change: the superblock's end of file; index and header of the one variable that was written.
        let changed = before.iter().zip(&grown).filter(|(old, new)| old != new).count();
        before = grown;
        if compared && changed >= 256 {
            continue;
        }
        // And without taking space: nothing at all.
        session(path, |_| Ok(()))?;
        if compared {
            let after = read()?;
            if before == after {
                break;
            }
            before = after;
        }
    }
    Ok(())
}

/// Rounds after which [`settle`] gives up; four or five are enough for the studies that the tests try.
const ROUNDS: usize = 12;
/// Bytes of a file up to which [`settle`] looks whether it may stop; beyond, looking costs more than all its rounds.
const COMPARED: u64 = 64 << 20;

fn finish(file: H5File, worked: hdf5::Result<()>) -> hdf5::Result<()> {
    match worked {
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

    #[cfg(unix)]
    fn of_file(file: &fs::File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = file.metadata()?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    #[cfg(not(unix))]
    fn of_file(file: &fs::File) -> io::Result<Self> {
        file.metadata().map(|_| Self {})
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
