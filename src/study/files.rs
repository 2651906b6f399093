//! Files that a study names: only regular files are read, and of them no more than a bound.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Why a file is not read: what is wrong, and how to mend it.
pub struct Unreadable(pub String, pub String);

/// Opens a regular file, or a link to one: a device has no end, a pipe may never begin. `what` it is to be, such as "the table".
///
/// # Errors
/// What cannot be read, or is no file.
pub fn open(path: &Path, what: &str, help: &str) -> Result<File, Unreadable> {
    let unreadable = |error: std::io::Error| {
        Unreadable(format!("cannot read {what} {}: {error}", path.display()), help.to_owned())
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() {
        return Err(Unreadable(
            format!("{what} {} is {}", path.display(), kind_of(kind)),
            "name a file; write what a device or a pipe gives to one first".to_owned(),
        ));
    }
    File::open(path).map_err(unreadable)
}

/// What is no file, in words.
fn kind_of(kind: std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a pipe, not a file";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device, not a file";
        }
        if kind.is_socket() {
            return "a socket, not a file";
        }
    }
    if kind.is_dir() { "a folder, not a file" } else { "not a file" }
}

/// All bytes, if they are no more than `most`.
///
/// # Errors
/// As the reader; `Ok(None)` where there are more.
pub fn bytes(reader: impl Read, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The first `count` bytes from `place` on, or as many as there are.
///
/// # Errors
/// As the file.
pub fn bytes_at(file: &mut File, place: u64, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(place))?;
    file.by_ref().take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}
