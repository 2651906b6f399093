//! What the user wrote, and what will be run: text → `Spec` (as written, with places) → [`Study`] (resolved).

pub mod clock;
pub mod diagnostics;
pub mod draft;
pub mod keys;
mod overrides;
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

/// Reads and resolves a study file, with `--set` overrides `K=V` applied.
///
/// # Errors
/// Every independent thing that is wrong with the study, the table it names or the overrides; a missing file too.
pub fn load(path: &Path, overrides: &[String]) -> Result<Study, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        vec![Diagnostic::whole(
            &name,
            format!("cannot read the study: {error}"),
            "check the path and its permissions",
        )]
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        vec![Diagnostic::whole(&name, "the study is not UTF-8 text", "save the file as UTF-8")]
    })?;
    parse(&name, &text, path.parent().unwrap_or(Path::new("")), overrides)
}

/// As [`load`], from a text: `name` stands for the file in messages, tables are looked for relative to `base`.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, base: &Path, overrides: &[String]) -> Result<Study, Vec<Diagnostic>> {
    let (spec, errors) = Spec::parse(name, text, base, overrides);
    finish(spec, errors, None)
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
