//! What the user wrote, and what will be run: text → `Spec` (as written, with places) → [`Study`] (resolved).

pub mod catalogue;
pub mod clock;
pub mod described;
pub mod diagnostics;
pub mod draft;
mod files;
pub mod keys;
mod overrides;
pub mod printable;
mod resolve;
pub mod resolved;
pub mod source;
pub mod spec;
pub mod table;
pub mod tree;
mod written;

use std::path::Path;
use std::sync::Arc;

use crate::model::Model;
pub use diagnostics::{Diagnostic, Rendered};
pub use draft::Draft;
pub use resolved::*;
pub use source::{Source, Sources, Span, Spanned};
pub use spec::Spec;

/// Most bytes of a study.
const MOST_TEXT: u64 = 1 << 26;

/// Reads and resolves a study file, with `--set` overrides `K=V` applied.
///
/// # Errors
/// Every independent thing that is wrong with the study, the table it names or the overrides; a missing file too.
pub fn load(path: &Path, overrides: &[String]) -> Result<Study, Vec<Diagnostic>> {
    let name = path.display().to_string();
    parse(&name, &text_of(path, &name)?, path.parent().unwrap_or(Path::new("")), overrides)
}

/// As [`load`], without `[symmetries]` and `[[claims]]`: what can be asked of a study whose symmetries are not known yet.
///
/// # Errors
/// As [`load`].
pub fn load_without_claims(path: &Path, overrides: &[String]) -> Result<Study, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new(""));
    let (mut spec, errors) = Spec::parse(&name, &text_of(path, &name)?, base, false, overrides);
    if let Some(spec) = &mut spec {
        spec.symmetries.clear();
        spec.claims.clear();
    }
    finish(spec, errors, None)
}

/// The text of a study file called `name` in messages.
///
/// # Errors
/// A file that cannot be read, or is no text.
pub fn text_of(path: &Path, name: &str) -> Result<String, Vec<Diagnostic>> {
    let help = "check the path and its permissions";
    let file = files::open(path, "the study", help)
        .map_err(|files::Unreadable(message, help)| vec![Diagnostic::whole(name, message, help)])?;
    let bytes = files::bytes(file, MOST_TEXT)
        .map_err(|error| vec![Diagnostic::whole(name, format!("cannot read the study: {error}"), help)])?;
    let bytes = bytes.ok_or_else(|| {
        let message = format!("the study is longer than {MOST_TEXT} bytes");
        vec![Diagnostic::whole(name, message, "large numbers of values belong in a table")]
    })?;
    String::from_utf8(bytes)
        .map_err(|_| vec![Diagnostic::whole(name, "the study is not UTF-8 text", "save the file as UTF-8")])
}

/// As [`load`], from a text: `name` stands for the file in messages, tables are looked for relative to `base`.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, base: &Path, overrides: &[String]) -> Result<Study, Vec<Diagnostic>> {
    let (spec, errors) = Spec::parse(name, text, base, false, overrides);
    finish(spec, errors, None)
}

/// As [`parse`], for a run in short: what the study's `[quick]` says stands in place of its own values, and overrides in
/// place of both. `None` where the study has `quick = false`.
///
/// # Errors
/// As [`load`].
pub fn parse_quick(
    name: &str,
    text: &str,
    base: &Path,
    overrides: &[String],
) -> Result<Option<Study>, Vec<Diagnostic>> {
    let (spec, errors) = Spec::parse(name, text, base, true, overrides);
    if errors.is_empty() && spec.as_ref().is_some_and(|spec| spec.never_quick) {
        return Ok(None);
    }
    finish(spec, errors, None).map(Some)
}

impl Study {
    /// A message about a dynamics, at the place where it is written.
    pub fn error_at_dynamics(
        &self,
        name: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        let (spec, _) = Spec::parse(&self.path, &self.text, "", false, &self.overrides);
        let found = spec.as_ref().and_then(|spec| {
            let list = &spec.dynamics.as_ref()?.value;
            let entry = list.iter().find(|entry| entry.name.value == name)?;
            Some((&spec.sources, entry.value.law.span().unwrap_or(entry.name.span)))
        });
        match found {
            Some((sources, place)) => sources.diagnostic(place, message, help),
            None => Diagnostic::whole(self.path.as_str(), message, help),
        }
    }
}

/// Resolves what could be read; errors of reading and of resolving come together.
fn finish(
    spec: Option<Spec>,
    mut errors: Vec<Diagnostic>,
    model: Option<Arc<dyn Model>>,
) -> Result<Study, Vec<Diagnostic>> {
    let Some(spec) = spec else { return Err(errors) };
    match spec.resolve(model) {
        Ok(study) if errors.is_empty() => Ok(study),
        Ok(_) => Err(resolve::tidy(errors)),
        Err(list) => {
            errors.extend(list);
            Err(resolve::tidy(errors))
        }
    }
}
