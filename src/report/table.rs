//! The table that a person reads after a run: what was run, what was measured, what of the claims came of it.

use unicode_width::UnicodeWidthStr;

use super::number::{count, duration, plain, probability, with_error};
use super::style::{Cell, Grid, Style, Tone};
use super::summary::{ObservableSummary, summarise};
use super::{Report, describe};
use crate::ensemble::{DynamicsRecord, ObservableRecord};
use crate::law::{ClaimResult, Kind, Test, Verdict};
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
    let mut grid = Grid::with_right_aligned(&[3]).flexible(2);
    for record in &report.record.dynamics {
        let dynamics = report.study.dynamics.iter().find(|d| d.name == record.name);
        let words = dynamics.map(|d| describe(&d.law, d.training.as_ref(), population));
        let (name, settings) = words.map_or_else(Default::default, |w| (w.name, w.settings));
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
        grid.row([
            Cell::new(record.name.clone(), Tone::Strong),
            name.into(),
            Cell::new(settings, Tone::Dim),
            format!("t = {}", plain(end, 6)).into(),
            Cell::new(duration(record.seconds), Tone::Dim),
            note,
        ]);
    }
    grid.lines(style, 2)
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
    summary: &ObservableSummary,
    index: usize,
) -> Measured {
    if let Some(component) = summary.components.get(index).filter(|c| c.reached) {
        return Measured {
            mean: with_error(component.mean.value, component.mean.standard_error),
            variance: with_error(component.variance.value, component.variance.standard_error),
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
                _ => with_error(moments.variance(), moments.variance_standard_error()),
            },
            settled: false,
        },
    }
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
fn width(line: &str) -> usize {
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
        let summaries: Vec<ObservableSummary> = records
            .iter()
            .map(|record| summarise(record, &record.observables[o], report.study.run.significance))
            .collect();
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

/// The claims, with the comparisons that speak for them.
fn claims(report: &Report<'_>, style: &Style) -> Vec<String> {
    if report.claims.is_empty() {
        return vec![];
    }
    let mut grid = Grid::with_right_aligned(&[]).flexible(3);
    let head = ["", "claim", "dynamics", "quantity", "measured", "predicted", "test", "verdict"];
    grid.row(head.map(|text| Cell::new(text, Tone::Dim)));
    // Text that stands below a claim's rows: `(row, lines)`.
    let mut below: Vec<(usize, Vec<String>)> = Vec::new();
    let mut rows = 1;
    for claim in report.claims {
        let tests = shown(claim);
        let (mark, tone) = mark(claim);
        let mut lead = vec![Cell::new(mark, tone), claim.law.into(), claim.dynamics.clone().into()];
        let verdict = Cell::new(verdict(claim), tone);
        if tests.is_empty() {
            lead.extend(["".into(), "".into(), "".into(), "".into(), verdict.clone()]);
            grid.row(std::mem::take(&mut lead));
            rows += 1;
        }
        for (i, test) in tests.iter().enumerate() {
            let mut row = std::mem::take(&mut lead);
            if i > 0 {
                row.extend(["".into(), "".into(), "".into()]);
            }
            row.extend([
                Cell::from(test.quantity.clone()),
                with_error(test.measured, test.standard_error).into(),
                plain(test.predicted, 6).into(),
                comparison(test).into(),
            ]);
            row.push(if i == 0 { verdict.clone() } else { Cell::new("", Tone::Plain) });
            grid.row(row);
            rows += 1;
        }
        let mut text = Vec::new();
        if tests.len() < claim.tests.len() {
            text.extend(style.wrap(&others(claim, &tests), 5));
        }
        let notes = claim.reason.iter().chain(tests.iter().filter_map(|test| test.note.as_ref()));
        let mut said: Vec<&String> = Vec::new();
        for note in notes {
            if !said.contains(&note) {
                said.push(note);
                text.extend(style.wrap(note, 5));
            }
        }
        below.push((rows, text));
    }
    let mut lines = vec![String::new()];
    let mut below = below.into_iter().peekable();
    for (i, line) in grid.lines(style, 2).into_iter().enumerate() {
        lines.push(line);
        while let Some((_, text)) = below.next_if(|(row, _)| *row == i + 1) {
            lines.extend(text.iter().map(|line| style.paint(Tone::Dim, line)));
        }
    }
    lines
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

/// `… 52 more: 50 hold, 2 undecided`.
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
    format!("… {} more: {}", claim.tests.len() - shown.len(), parts.join(", "))
}

fn mark(claim: &ClaimResult) -> (&'static str, Tone) {
    match claim.verdict {
        _ if claim.as_expected => ("✓", Tone::Good),
        Verdict::Undecided => ("?", Tone::Doubt),
        _ => ("✗", Tone::Bad),
    }
}

fn verdict(claim: &ClaimResult) -> String {
    match (claim.expect, claim.verdict) {
        (Verdict::Fails, Verdict::Fails) => "fails, as it must".into(),
        (Verdict::Fails, Verdict::Holds) => "holds: this control must fail".into(),
        (Verdict::Fails, verdict) => format!("{verdict}: this control must fail"),
        (_, verdict) => verdict.to_string(),
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

/// How many claims are as expected, and where the numbers are.
fn closing(report: &Report<'_>, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let expected = report.claims.iter().filter(|c| c.as_expected).count();
    if !report.claims.is_empty() {
        let all = report.claims.len();
        let (text, tone) = if expected == all {
            (
                if all == 1 {
                    "the claim is as expected".to_owned()
                } else {
                    format!("all {all} claims are as expected")
                },
                Tone::Good,
            )
        } else {
            (format!("{} of {all} claims came out otherwise", all - expected), Tone::Bad)
        };
        lines.push(format!("  {}", style.paint(tone, &text)));
    }
    if report.record.interrupted {
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
