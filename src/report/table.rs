//! The table that a person reads after a run: what was run, what was measured, what of the claims came of it.

use unicode_width::UnicodeWidthStr;

use super::number::{count, duration, plain, prediction, probability, with_error};
use super::outlook::what;
use super::style::{Cell, Grid, Style, Tone};
use super::summary::stationary;
use super::{Report, describe};
use crate::ensemble::precision::standard_error;
use crate::ensemble::{DynamicsRecord, ObservableRecord};
use crate::law::{ClaimResult, Kind, StationarySummary, Tally, Test, Verdict};
use crate::model::Layout;
use crate::study::{Study, System};

/// Components of an observable that are shown one by one; of a longer one, the first [`FIRST`].
const SHOWN: usize = 12;
const FIRST: usize = 6;
/// Tests of a claim that are shown one by one; of more, the [`WORST`].
const TESTS: usize = 4;
const WORST: usize = 3;

/// The whole table, with a line feed at its end.
pub fn table(report: &Report<'_>, style: &Style) -> String {
    let mut lines = vec![String::new()];
    lines.extend(title(report.study, style));
    lines.push(String::new());
    lines.extend(runs(report, style));
    lines.extend(profiles(report, style));
    lines.extend(observables(report, style));
    lines.extend(claims(report, style));
    lines.push(String::new());
    lines.extend(closing(report, style));
    lines.push(String::new());
    lines.join("\n") + "\n"
}

/// The title and a line on the size of the thing.
pub(super) fn title(study: &Study, style: &Style) -> Vec<String> {
    let mut lines: Vec<String> =
        style.wrap(&study.title, 2).iter().map(|line| style.paint(Tone::Strong, line)).collect();
    let parameters = match study.layout().len() {
        1 => "1 parameter".to_owned(),
        n => format!("{} parameters", count(n as u64)),
    };
    let replicas = match study.run.replicas {
        1 => "1 replica".to_owned(),
        n => format!("{} replicas", count(n as u64)),
    };
    let mut parts = vec![replicas, parameters];
    if let System::Loss(loss) = &study.system {
        parts.push(match loss.model.population().size() {
            Some(n) if loss.model.population().mixed() => {
                format!("{} rows with fresh draws", count(n as u64))
            }
            Some(n) => format!("{} samples", count(n as u64)),
            None => "infinite population".to_owned(),
        });
    }
    parts.push(format!("seed {}", study.run.seed));
    lines.extend(style.wrap(&parts.join(" · "), 2).iter().map(|line| style.paint(Tone::Dim, line)));
    lines
}

/// A line a dynamics: its law, its settings, how far it went.
fn runs(report: &Report<'_>, style: &Style) -> Vec<String> {
    let population = match &report.study.system {
        System::Loss(loss) => loss.model.population().size(),
        System::Sde(_) => None,
    };
    let mut grid = Grid::with_right_aligned(&[3]).flexible(1);
    for record in &report.record.dynamics {
        let dynamics = report.study.dynamics.iter().find(|d| d.name == record.name);
        let what = dynamics.map_or_else(String::new, |d| {
            let words = describe(&d.law, d.training.as_ref(), population);
            if words.settings.is_empty() { words.name } else { format!("{}, {}", words.name, words.settings) }
        });
        let end = record.times.last().copied().unwrap_or(0.0);
        let mut note = Cell::new("", Tone::Plain);
        if !record.diverged.is_empty() {
            note = Cell::new(format!("{} diverged", count(record.diverged.len() as u64)), Tone::Bad);
        } else if record.replicas < record.requested {
            note = Cell::new(
                format!("{} of {} replicas", count(record.replicas as u64), count(record.requested as u64)),
                Tone::Doubt,
            );
        }
        if let Some(precision) = &report.study.run.precision
            && record.diverged.is_empty()
        {
            let error = standard_error(precision, record);
            let reached = error <= precision.standard_error;
            let relation = if reached { "" } else { ", not reached" };
            note = Cell::new(
                format!(
                    "{} replicas: {} ± {}{relation}",
                    count(record.replicas as u64),
                    precision.observable,
                    plain(error, 3)
                ),
                if reached { Tone::Dim } else { Tone::Doubt },
            );
        }
        grid.row([
            Cell::new(record.name.clone(), Tone::Strong),
            what.into(),
            format!("t = {}", plain(end, 6)).into(),
            Cell::new(duration(record.seconds), Tone::Dim),
            note,
        ]);
    }
    grid.lines(style, 2)
}

/// How each dynamics was computed, where that was asked for.
fn profiles(report: &Report<'_>, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for record in &report.record.dynamics {
        let Some(profile) = &record.profile else { continue };
        let threads = if profile.threads == 1 { "thread" } else { "threads" };
        let how = format!(
            "{}  {} {threads}, vector unit {}, {} blocks of up to {} replicas, {} steps a second",
            record.name,
            profile.threads,
            profile.level,
            count(profile.blocks as u64),
            count(profile.block as u64),
            plain(profile.steps_a_second, 3),
        );
        // The writer has a thread of its own.
        let whole = record.seconds * profile.threads as f64;
        let share = |seconds: f64| format!("{:.0} %", 100.0 * seconds / whole.max(f64::MIN_POSITIVE));
        let (beside, own): (Vec<_>, Vec<_>) =
            profile.sections.iter().partition(|(name, _)| *name == "storage");
        let mut parts: Vec<String> =
            own.iter().map(|(name, seconds)| format!("{name} {}", share(*seconds))).collect();
        let known: f64 = own.iter().map(|(_, seconds)| seconds).sum();
        parts.push(format!("set-up and waiting {}", share((whole - known).max(0.0))));
        let mut spent = format!("of its time: {}", parts.join(", "));
        for (name, seconds) in beside {
            spent.push_str(&format!("; beside it, on a thread of its own: {name} {} s", plain(seconds, 2)));
        }
        for line in [how, spent] {
            lines.extend(style.wrap(&line, 2).iter().map(|line| style.paint(Tone::Dim, line)));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// Name of component `index` of an observable: `w`, `w[2]`, `W[1,0]`.
fn component_name(observable: &ObservableRecord, index: usize) -> String {
    match observable.shape[..] {
        [] => observable.name.clone(),
        [_] => format!("{}[{index}]", observable.name),
        [_, columns, ..] => format!("{}[{},{}]", observable.name, index / columns, index % columns),
    }
}

/// Mean and variance of one component under one dynamics.
struct Measured {
    mean: String,
    variance: String,
    settled: bool,
}

fn measured(
    record: &DynamicsRecord,
    observable: &ObservableRecord,
    summary: &[StationarySummary],
    index: usize,
) -> Measured {
    if let Some(component) = summary.get(index).filter(|c| c.reached) {
        return Measured {
            mean: with_error(component.mean, component.standard_error),
            variance: scatter(component.mean, component.variance, component.variance_standard_error),
            settled: true,
        };
    }
    let components = observable.components();
    let last = record.times.len().saturating_sub(1);
    match observable.ensemble.get(last * components + index) {
        None => Measured { mean: String::new(), variance: String::new(), settled: true },
        Some(moments) if moments.count == 0 => {
            Measured { mean: "diverged".into(), variance: String::new(), settled: true }
        }
        Some(moments) => Measured {
            mean: with_error(moments.mean, if moments.count == 1 { 0.0 } else { moments.standard_error() }),
            variance: match moments.count {
                1 => "-".into(),
                _ => scatter(moments.mean, moments.variance(), moments.variance_standard_error()),
            },
            settled: false,
        },
    }
}

/// A variance with its error; rounding of a number that does not scatter is shown as none.
fn scatter(mean: f64, variance: f64, error: f64) -> String {
    if variance.abs().sqrt() <= 1e-12 * mean.abs() { "0".into() } else { with_error(variance, error) }
}

/// Means and variances, a row an observable's component, two columns a dynamics.
fn observables(report: &Report<'_>, style: &Style) -> Vec<String> {
    let records: Vec<&DynamicsRecord> = report.record.dynamics.iter().filter(|d| d.replicas > 0).collect();
    let mut lines = Vec::new();
    let mut marked = false;
    let mut hidden = false;
    let mut next = 0;
    while next < records.len() {
        let mut taken = 1;
        let mut columns = column_block(report, &records[next..=next], &mut marked, &mut hidden);
        while let Some(wider) = records.get(next..next + taken + 1) {
            let (mut also_marked, mut also_hidden) = (marked, hidden);
            let more = column_block(report, wider, &mut also_marked, &mut also_hidden);
            if more.lines(style, 2).iter().any(|line| width(line) > style.width) {
                break;
            }
            (columns, marked, hidden) = (more, also_marked, also_hidden);
            taken += 1;
        }
        if !columns.is_empty() {
            lines.push(String::new());
            lines.extend(columns.lines(style, 2));
        }
        next += taken;
    }
    if marked {
        lines.push(style.paint(Tone::Dim, "  → not stationary: over replicas, at the end of the run"));
    }
    if hidden {
        lines.push(style.paint(Tone::Dim, "  … the other components are in the file, and in --json"));
    }
    lines
}

/// Printed width, escape sequences of colours not counted.
pub(super) fn width(line: &str) -> usize {
    let mut width = 0;
    for (i, part) in line.split('\u{1b}').enumerate() {
        width += if i == 0 { part.width() } else { part.split_once('m').map_or(0, |(_, rest)| rest.width()) };
    }
    width
}

fn column_block(
    report: &Report<'_>,
    records: &[&DynamicsRecord],
    marked: &mut bool,
    hidden: &mut bool,
) -> Grid {
    let mut grid = Grid::with_right_aligned(&[]);
    let Some(first) = records.first() else { return grid };
    let visible: Vec<usize> =
        (0..first.observables.len()).filter(|&o| !first.observables[o].hidden).collect();
    if visible.is_empty() {
        return grid;
    }
    let mut names = vec![Cell::new("", Tone::Plain)];
    let mut heads = vec![Cell::new("", Tone::Plain)];
    for record in records {
        names.extend([Cell::new(record.name.clone(), Tone::Strong), "".into()]);
        heads.extend([Cell::new("mean", Tone::Dim), Cell::new("variance", Tone::Dim)]);
    }
    grid.row(names);
    grid.row(heads);
    for o in visible {
        let components = first.observables[o].components();
        let shown = if components <= SHOWN { components } else { FIRST };
        let summaries: Vec<Vec<StationarySummary>> =
            records.iter().map(|record| stationary(report.study, record, &record.observables[o])).collect();
        for index in 0..shown {
            let mut row = vec![Cell::from(component_name(&first.observables[o], index))];
            for (record, summary) in records.iter().zip(&summaries) {
                let measured = measured(record, &record.observables[o], summary, index);
                *marked |= !measured.settled;
                let arrow = if measured.settled { "" } else { "→ " };
                row.push(format!("{arrow}{}", measured.mean).into());
                row.push(measured.variance.into());
            }
            grid.row(row);
        }
        if shown < components {
            *hidden = true;
            let name =
                format!("… {} more of {}", count((components - shown) as u64), first.observables[o].name);
            grid.row([Cell::new(name, Tone::Dim)]);
        }
    }
    grid
}

/// The claims: a line each with its verdict, and below it the comparisons that speak for it.
fn claims(report: &Report<'_>, style: &Style) -> Vec<String> {
    if report.claims.is_empty() {
        return vec![];
    }
    let mut heads = Grid::default();
    let mut tests = Grid::default().flexible(0);
    tests.row([
        Cell::new("", Tone::Plain),
        Cell::new("measured", Tone::Dim),
        Cell::new("predicted", Tone::Dim),
    ]);
    for claim in report.claims {
        heads.row([
            Cell::new(format!("{} {}", mark(claim), claim.verdict), tone(claim)),
            Cell::new(claim.law, Tone::Strong),
            Cell::new(claim.dynamics.clone(), Tone::Strong),
        ]);
        for test in shown(claim) {
            let (predicted, comparison) = match reported(test) {
                Some(note) => (String::new(), note.to_owned()),
                None => {
                    (prediction(test.predicted, test.standard_error.max(test.tolerance)), comparison(test))
                }
            };
            tests.row([
                Cell::from(test.quantity.clone()),
                with_error(test.measured, test.standard_error).into(),
                predicted.into(),
                Cell::new(comparison, Tone::Dim),
            ]);
        }
    }
    let mut tests = tests.lines(style, 6).into_iter();
    let mut lines = vec![String::new()];
    lines.extend(tests.next());
    let heads = heads.lines(style, 2);
    let indent = heads.iter().map(|head| width(head)).max().unwrap_or(0) + 2;
    for (claim, head) in report.claims.iter().zip(heads) {
        let mut statement = style.wrap(&statement(claim, report.study), indent).into_iter();
        let first = statement.next().unwrap_or_default();
        let gap = " ".repeat(indent - width(&head));
        lines.push(format!("{head}{gap}{}", first.trim_start()).trim_end().to_owned());
        lines.extend(statement);
        let shown = shown(claim);
        lines.extend(tests.by_ref().take(shown.len()));
        let mut text = Vec::new();
        if shown.len() < claim.tests.len() {
            text.push(others(claim, &shown));
        }
        let judged = shown.iter().filter(|test| reported(test).is_none());
        for note in claim.reason.iter().chain(judged.filter_map(|test| test.note.as_ref())) {
            if !text.contains(note) {
                text.push(note.clone());
            }
        }
        for text in text {
            lines.extend(style.wrap(&text, 6).iter().map(|line| style.paint(Tone::Dim, line)));
        }
    }
    lines
}

/// The note of a number that is only reported: no prediction stands against it.
fn reported(test: &Test) -> Option<&str> {
    let note = test.note.as_deref().filter(|_| test.predicted.is_nan())?;
    note.starts_with("reported only").then(|| note.strip_prefix("reported only; ").unwrap_or(note))
}

/// What the claim says, and that it is a control.
fn statement(claim: &ClaimResult, study: &Study) -> String {
    let statement = study.claims.get(claim.claim).map(|c| what(&c.law)).unwrap_or_default();
    if claim.expect == Verdict::Fails { format!("control: {statement}") } else { statement }
}

/// The tests to show: all of few, the worst of many, those that decided the verdict first.
fn shown(claim: &ClaimResult) -> Vec<&Test> {
    let mut tests: Vec<&Test> = claim.tests.iter().collect();
    if tests.len() > TESTS {
        let aside = |test: &Test| test.verdict != claim.verdict;
        tests.sort_by(|a, b| aside(a).cmp(&aside(b)).then(a.p_value.total_cmp(&b.p_value)));
        tests.truncate(WORST);
    }
    tests
}

/// `… 52 more hold`, `… 52 more: 50 hold, 2 undecided`.
fn others(claim: &ClaimResult, shown: &[&Test]) -> String {
    let counted = |verdict: Verdict| {
        let all = claim.tests.iter().filter(|t| t.verdict == verdict).count();
        all - shown.iter().filter(|t| t.verdict == verdict).count()
    };
    let parts: Vec<String> =
        [(Verdict::Fails, "fail"), (Verdict::Undecided, "undecided"), (Verdict::Holds, "hold")]
            .into_iter()
            .filter(|(verdict, _)| counted(*verdict) > 0)
            .map(|(verdict, word)| format!("{} {word}", counted(verdict)))
            .collect();
    let more = claim.tests.len() - shown.len();
    match parts.as_slice() {
        [_] => format!("… {more} more {}", parts[0].split_once(' ').map_or("", |(_, word)| word)),
        _ => format!("… {more} more: {}", parts.join(", ")),
    }
}

/// A sign for the outcome.
pub(super) fn mark(claim: &ClaimResult) -> &'static str {
    match claim.verdict {
        _ if claim.as_expected => "✓",
        Verdict::Undecided => "?",
        _ => "✗",
    }
}

/// A colour for the outcome.
pub(super) fn tone(claim: &ClaimResult) -> Tone {
    match claim.verdict {
        _ if claim.as_expected => Tone::Good,
        Verdict::Undecided => Tone::Doubt,
        _ => Tone::Bad,
    }
}

/// How the two numbers were compared.
fn comparison(test: &Test) -> String {
    match test.kind {
        Kind::LeadingOrder => format!("± {}", plain(test.tolerance, 2)),
        Kind::Exact if test.tolerance > 0.0 => format!("± {}", plain(test.tolerance, 2)),
        Kind::Exact => format!("p = {}", probability(test.p_value)).replace("= <", "< "),
    }
}

/// `5 hold, 1 control fails as it must, 1 undecided`: what there is of each.
fn counted(tally: &Tally) -> String {
    let named = |n: usize, one: &str, more: &str| {
        (n > 0).then(|| format!("{} {}", count(n as u64), if n == 1 { one } else { more }))
    };
    let parts = [
        named(tally.held, "holds", "hold"),
        named(tally.controls, "control fails as it must", "controls fail as they must"),
        named(tally.failed, "came out otherwise", "came out otherwise"),
        named(tally.undecided, "undecided", "undecided"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A colour for several claims together.
pub(super) fn tone_of_all(tally: &Tally) -> Tone {
    match tally {
        Tally { failed: 1.., .. } => Tone::Bad,
        Tally { undecided: 1.., .. } => Tone::Doubt,
        _ => Tone::Good,
    }
}

/// How many claims came out how, and where the numbers are.
fn closing(report: &Report<'_>, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.claims.is_empty() {
        let tally = Tally::of(report.claims);
        lines.push(format!("  {}", style.paint(tone_of_all(&tally), &counted(&tally))));
    }
    if report.interrupted {
        lines.push(format!("  {}", style.paint(Tone::Doubt, "interrupted: judged on what is done")));
    }
    let mut place = report.output.map(|path| path.display().to_string()).unwrap_or_default();
    if !report.digest.is_empty() {
        let short: String = report.digest.chars().take(16).collect();
        place = if place.is_empty() {
            format!("digest {short}…")
        } else {
            format!("{place} · digest {short}…")
        };
    }
    if !place.is_empty() {
        lines.push(format!("  {}", style.paint(Tone::Dim, &place)));
    }
    lines
}

/// `u, w, W [3,4]`: names and shapes of the parameters.
pub(super) fn parameters(layout: &Layout) -> String {
    let names: Vec<String> = layout
        .parameters()
        .iter()
        .map(|p| if p.shape.is_scalar() { p.name.clone() } else { format!("{} {}", p.name, p.shape) })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn shown(style: &Style) -> String {
        let (study, record, claims) = (fixture::study(), fixture::record(), fixture::claims());
        table(
            &Report {
                study: &study,
                record: &record,
                claims: &claims,
                digest: "0123456789abcdef0123",
                output: Some(std::path::Path::new("two.h5")),
                interrupted: false,
            },
            style,
        )
    }

    #[test]
    fn the_table_as_a_person_reads_it() {
        let text = shown(&Style::default());
        println!("{text}");
        assert_eq!(text, include_str!("fixture.txt"));
    }

    #[test]
    fn a_narrow_terminal_gets_narrow_lines() {
        let text = shown(&Style { width: 80, colour: false });
        let widest = text.lines().map(width).max();
        assert!(widest <= Some(80), "{widest:?} in\n{text}");
        assert!(text.contains("variance"));
    }

    #[test]
    fn colours_change_nothing_but_the_look() {
        let plain = shown(&Style::default());
        let coloured = shown(&Style { colour: true, ..Style::default() });
        assert!(coloured.contains("\u{1b}[32m✓"));
        for (a, b) in plain.lines().zip(coloured.lines()) {
            assert_eq!(width(a), width(b), "{b}");
        }
    }
}
