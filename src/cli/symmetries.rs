//! `perrin symmetries`: every linear symmetry of a study's loss.

use super::args;
use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::model::symmetry;
use crate::report::{self, Symmetries};
use crate::study::{self, System};

/// Reads the study, searches its loss, and shows what it found; runs nothing. Declared symmetries and claims are not read: they may be wrong.
pub(super) fn symmetries(arguments: &args::Symmetries) -> Result<Outcome, Failure> {
    let study = study::load_without_claims(&arguments.study.study, &arguments.study.overrides)?;
    let System::Loss(loss) = &study.system else {
        return Err(Failure::command(
            "this study has an [sde]: there is no loss whose symmetries could be found",
            "give a study with a [loss]",
        ));
    };
    let algebra = symmetry::find(&*loss.model, study.run.seed).map_err(|error| {
        Failure::command(
            error.to_string(),
            "the loss must be finite for parameters of order 1, of either sign or positive",
        )
    })?;
    let found = Symmetries { study: &study, algebra: &algebra };
    if arguments.json {
        terminal::print_json(&report::symmetries_document(&found))?;
    } else {
        terminal::print(&report::symmetries_text(&found, &terminal::style()))?;
    }
    Ok(Outcome::AsExpected)
}
