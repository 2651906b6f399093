//! Where a run writes when it is not told.

use std::path::{Path, PathBuf};

/// The study's name with `.h5` in the current folder. Where that exists, the writer takes the first free number: so nothing is ever
/// overwritten, and the same command can be given again.
pub(super) fn default_output(study: &Path) -> PathBuf {
    let stem = study.file_stem().map_or_else(|| "study".into(), |stem| stem.to_string_lossy().into_owned());
    PathBuf::from(format!("{stem}.h5"))
}
