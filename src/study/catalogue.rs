//! The catalogue: the studies that come with perrin, each with its claims and controls.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Folder and name of every file of `models/` and `data/`, with what it holds: `build.rs` lists them.
const CARRIED: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// Name of the catalogue's folder.
const FOLDER: &str = "models";

/// A study file by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's name without `.toml`.
    pub name: String,
    /// Where it is read.
    pub path: PathBuf,
    /// What messages call it.
    pub shown: String,
}

/// Study files of one folder, in the order of their names.
#[derive(Debug)]
pub struct Catalogue {
    /// The studies.
    pub entries: Vec<Entry>,
    /// The copies that the program carries, where they are used; gone when dropped.
    _unpacked: Option<TempDir>,
}

impl Catalogue {
    /// The folder `models/` of the current folder if it has studies; else the studies that the program carries, which
    /// are unpacked, with their data, into a temporary folder.
    ///
    /// # Errors
    /// A folder that cannot be read, or written.
    pub fn find() -> io::Result<Self> {
        let here = Path::new(FOLDER);
        if here.is_dir() {
            let catalogue = Self::of_folder(here)?;
            if !catalogue.entries.is_empty() {
                return Ok(catalogue);
            }
        }
        Self::carried()
    }

    /// The studies that the program carries.
    ///
    /// # Errors
    /// No temporary folder can be written.
    pub fn carried() -> io::Result<Self> {
        let unpacked = tempfile::Builder::new().prefix("perrin-").tempdir()?;
        for (folder, name, content) in CARRIED {
            let folder = unpacked.path().join(folder);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(name), content)?;
        }
        let mut entries = studies(&unpacked.path().join(FOLDER))?;
        for entry in &mut entries {
            entry.shown = format!("{FOLDER}/{}.toml", entry.name);
        }
        Ok(Self { entries, _unpacked: Some(unpacked) })
    }

    /// The studies of a folder, those of its subfolders not among them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        Ok(Self { entries: studies(folder)?, _unpacked: None })
    }
}

impl Entry {
    /// One study file.
    pub fn of_file(path: &Path) -> Self {
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self { name, path: path.to_path_buf(), shown: path.display().to_string() }
    }
}

fn studies(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "toml") && path.is_file() {
            entries.push(Entry::of_file(&path));
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_carries_is_the_folder_and_leaves_nothing() {
        let folder = Catalogue::of_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)).unwrap();
        let carried = Catalogue::carried().unwrap();
        let names = |list: &[Entry]| list.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&carried.entries), names(&folder.entries));
        for (a, b) in carried.entries.iter().zip(&folder.entries) {
            assert_eq!(std::fs::read(&a.path).unwrap(), std::fs::read(&b.path).unwrap());
            // Tables are found beside it.
            assert!(crate::study::load(&a.path, &[]).is_ok(), "{}", a.shown);
        }
        let path = carried.entries[0].path.clone();
        drop(carried);
        assert!(!path.exists());
    }
}
