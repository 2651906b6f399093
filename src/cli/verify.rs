//! `perrin verify`: the catalogue, from its files to one table of verdicts. Writes nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::args;
use super::outcome::{Failure, Outcome, tag};
use super::progress::Bar;
use super::run::said_to_be_lost;
use super::simulate::{Simulated, prepare, simulate};
use super::terminal;
use crate::ensemble::NoSink;
use crate::law::{self, Tally};
use crate::report::{Verified, duration, verification, verification_document};
use crate::study::catalogue::{Catalogue, Entry};
use crate::study::spec::read::suggestion;
use crate::study::{self, Diagnostic, Study};

/// Reads all studies, then runs and judges them one after the other.
pub(super) fn verify(arguments: &args::Verify) -> Result<Outcome, Failure> {
    let studies = studies(arguments)?;
    let begin = Instant::now();
    let mut verified = Vec::new();
    let mut lost = Vec::new();
    let mut interrupted = false;
    for (name, study) in &studies {
        let start = Instant::now();
        let bar = Bar::of_study(arguments.quiet, name);
        let Simulated { record, claims, interrupted: stopped } =
            simulate(study, arguments.threads, &bar, &mut NoSink)
                .map_err(|failure| failure.of_study(name))?;
        if stopped {
            interrupted = true;
            break;
        }
        if !arguments.quiet {
            terminal::tell(&line(name, Tally::of(&claims), start.elapsed().as_secs_f64()));
        }
        lost.extend(law::lost(study, &record).iter().map(|words| format!("{name}: {words}")));
        verified.push(Verified { study: name.clone(), claims });
    }
    if arguments.json {
        terminal::print_json(&verification_document(&verified))?;
    } else {
        terminal::print(&verification(&verified, &terminal::style()))?;
    }
    if interrupted {
        terminal::tell(&format!(
            "{} {} of {} studies verified\n",
            tag("interrupted:", "1;33", terminal::colour_on_stderr()),
            verified.len(),
            studies.len()
        ));
        return Ok(Outcome::Interrupted);
    }
    if !arguments.quiet {
        terminal::tell(&format!("  {} in all\n", duration(begin.elapsed().as_secs_f64())));
    }
    if !lost.is_empty() {
        terminal::tell(&said_to_be_lost(&lost));
        return Ok(Outcome::Lost);
    }
    let as_expected = Tally::of(verified.iter().flat_map(|study| &study.claims)).as_expected();
    Ok(if as_expected { Outcome::AsExpected } else { Outcome::Otherwise })
}

/// A study that is done, for those who wait.
fn line(name: &str, tally: Tally, seconds: f64) -> String {
    let mut text = format!("  {name}: {} as expected", tally.held + tally.controls);
    if !tally.as_expected() {
        text.push_str(&format!(", {} otherwise, {} undecided", tally.failed, tally.undecided));
    }
    format!("{text}, {}\n", duration(seconds))
}

/// The studies asked for, resolved and with their tables read, so that whatever is wrong is said before hours are spent;
/// an unpacked catalogue is gone afterwards.
fn studies(arguments: &args::Verify) -> Result<Vec<(String, Arc<Study>)>, Failure> {
    let catalogue = Catalogue::find().map_err(|error| unreadable("the catalogue", &error))?;
    let mut studies = Vec::new();
    let mut errors = Vec::new();
    let mut left_out = Vec::new();
    for entry in chosen(&catalogue, &arguments.names)? {
        match load(&entry, arguments) {
            Ok(Some(mut study)) => {
                prepare(&mut study).map_err(|failure| failure.of_study(&entry.name))?;
                studies.push((entry.name, Arc::new(study)));
            }
            Ok(None) => left_out.push(entry.name),
            Err(list) => errors.extend(list),
        }
    }
    if !errors.is_empty() {
        return Err(errors.into());
    }
    if !left_out.is_empty() && !arguments.quiet {
        terminal::tell(&format!("  not in the quick set: {}\n", left_out.join(", ")));
    }
    Ok(studies)
}

fn load(entry: &Entry, arguments: &args::Verify) -> Result<Option<Study>, Vec<Diagnostic>> {
    let text = study::text_of(&entry.path, &entry.shown)?;
    let base = entry.path.parent().unwrap_or(Path::new(""));
    if arguments.quick {
        return study::parse_quick(&entry.shown, &text, base, &arguments.overrides);
    }
    study::parse(&entry.shown, &text, base, &arguments.overrides).map(Some)
}

/// What the names stand for, each study once: a name of the catalogue, a folder of studies, or a study file.
fn chosen(catalogue: &Catalogue, names: &[String]) -> Result<Vec<Entry>, Failure> {
    if names.is_empty() {
        return Ok(catalogue.entries.clone());
    }
    let mut chosen: Vec<Entry> = Vec::new();
    for name in names {
        let path = Path::new(name);
        let found = if let Some(entry) = catalogue.entries.iter().find(|entry| entry.name == *name) {
            vec![entry.clone()]
        } else if path.is_dir() {
            let folder = Catalogue::of_folder(path).map_err(|error| unreadable(name, &error))?;
            if folder.entries.is_empty() {
                return Err(Failure::command(
                    format!("there is no study in {name}"),
                    "a study is a file that ends in .toml",
                ));
            }
            folder.entries
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            vec![Entry::of_file(path)]
        } else {
            let known = catalogue.entries.iter().map(|entry| entry.name.as_str());
            return Err(Failure::command(
                format!("there is no study `{name}` in the catalogue"),
                suggestion(name, known),
            ));
        };
        for entry in found {
            if !chosen.contains(&entry) {
                chosen.push(entry);
            }
        }
    }
    Ok(chosen)
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::run(format!("cannot read {what}: {error}"), "check the folder and its permissions")
}
