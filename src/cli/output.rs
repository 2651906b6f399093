//! Where a run writes when it is not told.

use std::path::{Path, PathBuf};

/// The study's name with `.h5` in the current folder; where that exists, the first free of `name-2.h5`, `name-3.h5`, …
/// So nothing is ever overwritten, and the same command can be given again. With `force`, always `name.h5`.
pub(super) fn default_output(study: &Path, force: bool) -> PathBuf {
    let stem = study.file_stem().map_or_else(|| "study".into(), |stem| stem.to_string_lossy().into_owned());
    let plain = PathBuf::from(format!("{stem}.h5"));
    // A link that leads nowhere is taken, too.
    let taken = |path: &Path| path.symlink_metadata().is_ok();
    if force || !taken(&plain) {
        return plain;
    }
    (2..u64::MAX).map(|n| PathBuf::from(format!("{stem}-{n}.h5"))).find(|path| !taken(path)).unwrap_or(plain)
}
