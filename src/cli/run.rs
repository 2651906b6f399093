//! `perrin run`: a study, from text to verdict to file.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::args;
use super::check::tried;
use super::outcome::{Failure, Outcome, tag};
use super::output::default_output;
use super::progress::Bar;
use super::simulate::{Simulated, prepare, simulate};
use super::terminal;
use crate::ensemble::{self, Record};
use crate::lanes::stopwatch;
use crate::law::{self, ClaimResult, Kind, Test};
use crate::report::{self, Outlook, Report, count};
use crate::store::{ClaimRow, Status, StudyHeader, Writer};
use crate::study::{self, Study, System};

/// Runs, judges, writes, shows.
pub(super) fn run(arguments: &args::Run, typed: &[OsString]) -> Result<Outcome, Failure> {
    if arguments.profile {
        stopwatch::start();
    }
    let path = &arguments.study.study;
    let mut study = study::load(path, &arguments.study.overrides)?;
    prepare(&mut study)?;
    let study = Arc::new(study);
    let mut writer = writer(arguments, &StudyHeader::of(&study, &command_line(typed)))?;
    if !arguments.quiet {
        Outlook::new(&study).warnings().iter().for_each(|warning| terminal::warn(warning));
        long(&study, arguments.threads)?.iter().for_each(|warning| terminal::warn(warning));
    }

    let bar = Bar::new(arguments.quiet);
    let Simulated { record, claims, interrupted } = simulate(&study, arguments.threads, &bar, &mut writer)?;
    let digest = ensemble::digest(&record);
    let status = if interrupted { Status::Interrupted } else { Status::Complete };
    writer.complete(&record, &digest, &rows(&claims), status)?;

    let output = writer.path().to_path_buf();
    let shown = Report {
        study: &study,
        record: &record,
        claims: &claims,
        digest: &digest,
        output: Some(&output),
        interrupted,
    };
    let printed = if arguments.json {
        terminal::print_json(&report::document(&shown))
    } else {
        terminal::print(&report::table(&shown, &terminal::style()))
    };
    printed.map_err(|failure| failure.with_help(format!("the run is saved in {}", output.display())))?;
    if interrupted {
        terminal::tell(&how_to_go_on(&study, &record, &output, bar.done()));
        return Ok(Outcome::Interrupted);
    }
    let lost = law::lost(&study, &record);
    if !lost.is_empty() {
        terminal::tell(&said_to_be_lost(&lost));
        return Ok(Outcome::Lost);
    }
    Ok(if claims.iter().all(|claim| claim.as_expected) { Outcome::AsExpected } else { Outcome::Otherwise })
}

/// What is to be said of a run that takes more than an hour; one that may is tried first.
fn long(study: &Study, threads: Option<u16>) -> Result<Option<String>, Failure> {
    const TRIED_ABOVE: f64 = 1e9;
    let outlook = Outlook::new(study);
    // Whatever a step takes, it takes all the numbers that it reads.
    let batch = study.dynamics.iter().filter_map(|d| d.training.as_ref()).map(|t| t.batch).max().unwrap_or(1);
    let samples = match &study.system {
        System::Loss(loss) => batch.max(loss.model.population().size().unwrap_or(1)),
        System::Sde(_) => 1,
    };
    if outlook.replica_steps() as f64 * samples as f64 * (study.layout().len() as f64) < TRIED_ABOVE {
        return Ok(None);
    }
    let threads = threads.map(usize::from).or(std::thread::available_parallelism().ok().map(usize::from));
    let trial = tried(study, outlook)?;
    Ok(trial.as_ref().and_then(|trial| outlook.with(trial, threads.unwrap_or(1)).long()))
}

/// Opens the output; an output that was not named takes the first free name.
fn writer(arguments: &args::Run, header: &StudyHeader) -> Result<Writer, Failure> {
    let study = &arguments.study.study;
    if let Some(output) = &arguments.output {
        if same_file(output, study) {
            return Err(Failure::command(
                format!("the output {} is the study itself", output.display()),
                "name another file with -o",
            ));
        }
        return Ok(Writer::create(output, header, arguments.force)?);
    }
    let output = default_output(study);
    Ok(if arguments.force {
        Writer::create(&output, header, true)?
    } else {
        Writer::create_numbered(&output, header)?
    })
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The command as it can be given to a shell again.
fn command_line(typed: &[OsString]) -> String {
    let mut words = vec!["perrin".to_owned()];
    for word in typed.iter().skip(1) {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%[]".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            words.push(word.into_owned());
        } else {
            words.push(format!("'{}'", word.replace('\'', r"'\''")));
        }
    }
    words.join(" ")
}

/// The claims as the file holds them: a row a test; one row for a claim that could make none.
fn rows(claims: &[ClaimResult]) -> Vec<ClaimRow> {
    let row = |claim: &ClaimResult, test: Option<&Test>| {
        let number = |of: fn(&Test) -> f64| test.map_or(f64::NAN, of);
        ClaimRow {
            claim: claim.claim,
            law: claim.law.to_owned(),
            dynamics: claim.dynamics.clone(),
            quantity: test.map(|t| t.quantity.clone()).unwrap_or_default(),
            predicted: number(|t| t.predicted),
            measured: number(|t| t.measured),
            standard_error: number(|t| t.standard_error),
            tolerance: number(|t| if t.kind == Kind::Exact { f64::NAN } else { t.tolerance }),
            p_value: number(|t| t.p_value),
            verdict: claim.verdict.to_string(),
            expect: claim.expect.to_string(),
            kind: test.map(|t| t.kind.as_str().to_owned()).unwrap_or_default(),
        }
    };
    let mut rows = Vec::new();
    for claim in claims {
        if claim.tests.is_empty() {
            rows.push(row(claim, None));
        }
        rows.extend(claim.tests.iter().map(|test| row(claim, Some(test))));
    }
    rows
}

/// Nothing is left of a dynamics, and how that can be what is meant.
pub(super) fn said_to_be_lost(lost: &[String]) -> String {
    let colour = terminal::colour_on_stderr();
    format!(
        "{} {}: nothing is left to judge\n{} lower the rate or the step; if it must diverge, claim it: diverges = {{ dynamics = … }}\n",
        tag("error:", "1;31", colour),
        lost.join("; "),
        tag("help:", "1;36", colour),
    )
}

/// What an interrupted run has saved, what of its work is lost, and what to do next. `under_way` is what was done of the last dynamics, in
/// replica-steps.
fn how_to_go_on(study: &Study, record: &Record, output: &Path, under_way: u64) -> String {
    let done: Vec<String> = study
        .dynamics
        .iter()
        .map(|dynamics| {
            let replicas = record.dynamics.iter().find(|d| d.name == dynamics.name).map_or(0, |d| d.replicas);
            format!(
                "{} of {} of `{}`",
                count(replicas as u64),
                count(study.run.replicas as u64),
                dynamics.name
            )
        })
        .collect();
    let colour = terminal::colour_on_stderr();
    let lost = lost(record, under_way);
    let lost = if lost.is_empty() { lost } else { format!("{} {lost}\n", tag("lost:", "1;33", colour)) };
    format!(
        "{} replicas saved in {}: {}\n{lost}{} the same command with --force runs it whole; these replicas come out the same, bit by bit\n",
        tag("interrupted:", "1;33", colour),
        output.display(),
        done.join(", "),
        tag("help:", "1;36", colour),
    )
}

/// A replica is saved when it has come to its end; what was done of others is not.
fn lost(record: &Record, under_way: u64) -> String {
    let Some(last) = record.dynamics.last().filter(|d| d.replicas < d.requested) else {
        return String::new();
    };
    let saved = last.steps.last().copied().unwrap_or(0).saturating_mul(last.replicas as u64);
    match under_way.saturating_sub(saved) {
        0 => String::new(),
        steps => format!(
            "{} replica-steps of `{}`, by replicas that had not come to their end",
            count(steps),
            last.name
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_command_line_can_be_given_to_a_shell_again() {
        let typed = ["/usr/bin/perrin", "run", "my study.toml", "--set", "title='x'", "-o", "a.h5"];
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        assert_eq!(command_line(&typed), r"perrin run 'my study.toml' --set 'title='\''x'\''' -o a.h5");
    }

    #[test]
    fn a_claim_without_tests_has_a_row() {
        let claim = ClaimResult {
            claim: 3,
            law: "equals",
            dynamics: "sgd".into(),
            verdict: law::Verdict::Undecided,
            expect: law::Verdict::Holds,
            as_expected: false,
            tests: vec![],
            reason: None,
        };
        let rows = rows(&[claim]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].claim, rows[0].verdict.as_str()), (3, "undecided"));
        assert!(rows[0].measured.is_nan());
    }

    #[test]
    fn what_is_lost_is_said() {
        let dynamics = |replicas| ensemble::DynamicsRecord {
            name: "sgd".into(),
            steps: vec![0, 1000],
            replicas,
            requested: 16,
            ..Default::default()
        };
        let record = |replicas| Record { dynamics: vec![dynamics(replicas)], ..Record::default() };
        assert_eq!(
            lost(&record(8), 9000),
            "1000 replica-steps of `sgd`, by replicas that had not come to their end"
        );
        assert_eq!((lost(&record(16), 16_000), lost(&record(8), 8000)), (String::new(), String::new()));
    }

    #[test]
    fn a_study_is_never_its_own_output() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        assert!(same_file(&here.join("Cargo.toml"), &here.join("src/../Cargo.toml")));
        assert!(!same_file(&here.join("Cargo.toml"), &here.join("no such file")));
    }
}
