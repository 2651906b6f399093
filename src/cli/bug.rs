//! No panic reaches a user: a bug of ours ends as a failure that asks to be reported.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

use super::outcome::Failure;

/// Where the first panic was; later ones follow from it.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// Carries out `work`; a panic in it, or in a thread it waits for, becomes a failure.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // With a backtrace asked for, the developer sees what the user is spared.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line()));
            let what = said(info.payload()).to_owned();
            let mut first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            first.get_or_insert(format!("{what}{place}"));
        }));
    }
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Failure::run(
            format!("internal error: {}", first.unwrap_or_else(|| "see above".into())),
            "this is a bug of perrin's: please report it with the study file and the command",
        )
    })
}
