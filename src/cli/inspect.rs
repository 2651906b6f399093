//! `perrin inspect`: what a file holds.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::args;
use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::ensemble::{DynamicsRecord, digest_of_first};
use crate::report::{Cell, FORMAT, Grid, Style, Tone, bytes, count, duration, plain};
use crate::store::{self, ClaimRow, Status, StoreError, Stored};
use crate::study::described;

/// Shows attributes, groups with their dimensions, claims and the digest.
pub(super) fn inspect(arguments: &args::Inspect) -> Result<Outcome, Failure> {
    let path = &arguments.file;
    let stored = store::read(path).map_err(|error| unreadable(path, error))?;
    let first = arguments.replicas.map(|replicas| first(&stored, replicas)).transpose()?;
    if arguments.json {
        terminal::print_json(&document(path, &stored, first.as_ref()))?;
    } else {
        terminal::print(&text(path, &stored, first.as_ref(), &terminal::style()))?;
    }
    Ok(Outcome::AsExpected)
}

/// A file that is not there, or not ours, is a wrong command; one that the disk does not give is a failure.
fn unreadable(path: &Path, error: StoreError) -> Failure {
    match error {
        StoreError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::command(
                format!("there is no file {}", path.display()),
                "`perrin run STUDY -o FILE` writes one",
            )
        }
        StoreError::NotAFile { .. } | StoreError::Foreign { .. } | StoreError::Version { .. } => {
            Failure::command(error.to_string(), "give a file that `perrin run` wrote")
        }
        StoreError::Hdf5 { .. } => Failure::command(
            format!("{} is no HDF5 file, or damaged: {error}", path.display()),
            "give a file that `perrin run` wrote",
        ),
        other => other.into(),
    }
}

/// The digest over the first replicas alone, with their number.
struct First {
    replicas: usize,
    digest: String,
}

fn first(stored: &Stored, replicas: usize) -> Result<First, Failure> {
    let fewest = stored.record.dynamics.iter().map(|d| d.replicas).min().unwrap_or(0);
    if replicas > fewest {
        return Err(Failure::command(
            format!("--replicas {replicas}: the file holds {fewest}"),
            format!("ask for at most {fewest}"),
        ));
    }
    Ok(First { replicas, digest: digest_of_first(&stored.record, replicas) })
}

fn text(path: &Path, stored: &Stored, first: Option<&First>, style: &Style) -> String {
    let header = &stored.header;
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    let mut lines = vec![
        String::new(),
        format!("  {}", style.paint(Tone::Strong, &header.title)),
        format!("  {} · {} · {}", path.display(), status(stored), bytes(size)),
        String::new(),
    ];
    let mut about = Grid::default();
    let mut attribute = |name: &str, value: String| about.row([Cell::new(name, Tone::Dim), value.into()]);
    attribute("written by", format!("perrin {}", stored.perrin_version));
    attribute("command", header.command_line.clone());
    attribute(
        "seed",
        format!("{} ({}, stream version {})", header.seed, header.generator, header.stream_version),
    );
    attribute(
        "study",
        format!(
            "{} lines as given, {} as resolved",
            header.study.lines().count(),
            header.study_resolved.lines().count()
        ),
    );
    attribute("digest", if stored.digest.is_empty() { "none yet".into() } else { stored.digest.clone() });
    if let Some(first) = first {
        attribute("", format!("{} over the first {} replicas", first.digest, first.replicas));
    }
    lines.extend(about.lines(style, 2));
    for ((record, group), law) in stored.record.dynamics.iter().zip(&stored.groups).zip(&header.dynamics) {
        lines.push(String::new());
        let what = [law.law.as_str(), described::line(&law.settings).as_str()]
            .iter()
            .filter(|t| !t.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        lines.push(format!(
            "  {}  {}",
            style.paint(Tone::Strong, &format!("/{group}")),
            style.paint(Tone::Dim, &what)
        ));
        lines.extend(tree(record).lines(style, 4));
        lines.extend(style.wrap(&state(record), 4));
    }
    let claims = claims(&stored.claims);
    if !claims.is_empty() {
        lines.push(String::new());
        lines.push(format!("  {}  test {}", style.paint(Tone::Strong, "/claims"), stored.claims.len()));
        let mut grid = Grid::default();
        for claim in &claims {
            let (mark, tone) = match claim.verdict {
                verdict if verdict == claim.expect => ("✓", Tone::Good),
                "undecided" => ("?", Tone::Doubt),
                _ => ("✗", Tone::Bad),
            };
            grid.row([
                Cell::new(mark, tone),
                claim.law.into(),
                claim.dynamics.into(),
                Cell::new(claim.verdict, tone),
                Cell::new(if claim.expect == "fails" { "control" } else { "" }, Tone::Dim),
                Cell::new(
                    match claim.tests {
                        1 => "1 test".into(),
                        n => format!("{n} tests"),
                    },
                    Tone::Dim,
                ),
            ]);
        }
        lines.extend(grid.lines(style, 4));
    }
    lines.push(String::new());
    lines.join("\n") + "\n"
}

/// How far the run got; of one that goes on or was killed, which of the two.
fn status(stored: &Stored) -> String {
    let process = &stored.process;
    let who = format!("process {} of {}, begun {}", process.id, process.host, process.started);
    match (stored.status, process.lives()) {
        (Status::Running, Some(true)) => format!("running ({who})"),
        (Status::Running, Some(false)) => format!("killed while it ran ({who})"),
        (Status::Running, None) => format!("running, or killed ({who})"),
        (other, _) => other.name().to_owned(),
    }
}

/// The groups of one dynamics with their dimensions.
fn tree(record: &DynamicsRecord) -> Grid {
    let time = format!("time {}", count(record.times.len() as u64));
    let replica = format!("replica {}", count(record.replicas as u64));
    let names: Vec<String> = record
        .observables
        .iter()
        .filter(|o| !o.hidden)
        .map(|o| match o.shape.as_slice() {
            [] => o.name.clone(),
            shape => format!("{} {shape:?}", o.name),
        })
        .collect();
    let hidden = record.observables.iter().filter(|o| o.hidden).count();
    let mut names = names.join(", ");
    if hidden > 0 {
        names.push_str(&format!(" (and {hidden} for the claims)"));
    }
    let kept = format!("replica {}, {time}", count(record.kept.min(record.replicas) as u64));
    let mut grid = Grid::default().flexible(2);
    for (group, dims) in
        [("ensemble", &time), ("trajectories", &kept), ("final", &replica), ("stationary", &replica)]
    {
        grid.row([group.into(), dims.clone().into(), Cell::new(names.clone(), Tone::Dim)]);
    }
    grid
}

fn state(record: &DynamicsRecord) -> String {
    let mut text = format!(
        "{} of {} replicas to t = {}, burn-in until t = {}, {}",
        count(record.replicas as u64),
        count(record.requested as u64),
        plain(record.times.last().copied().unwrap_or(0.0), 6),
        plain(record.times.get(record.burn_in).copied().unwrap_or(0.0), 6),
        duration(record.seconds)
    );
    if !record.diverged.is_empty() {
        text.push_str(&format!(", {} diverged", count(record.diverged.len() as u64)));
    }
    text
}

/// One claim for one dynamics: its rows together.
struct Claim<'a> {
    law: &'a str,
    dynamics: &'a str,
    verdict: &'a str,
    expect: &'a str,
    tests: usize,
}

fn claims(rows: &[ClaimRow]) -> Vec<Claim<'_>> {
    let mut places: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for row in rows {
        let place = *places.entry((row.claim, row.dynamics.as_str())).or_insert_with(|| {
            claims.push(Claim {
                law: &row.law,
                dynamics: &row.dynamics,
                verdict: &row.verdict,
                expect: &row.expect,
                tests: 0,
            });
            claims.len() - 1
        });
        claims[place].tests += 1;
    }
    claims
}

fn document(path: &Path, stored: &Stored, first: Option<&First>) -> Value {
    let header = &stored.header;
    let mut dynamics = Map::new();
    for ((record, group), law) in stored.record.dynamics.iter().zip(&stored.groups).zip(&header.dynamics) {
        let observables: Map<String, Value> = record
            .observables
            .iter()
            .map(|o| (o.name.clone(), json!({ "shape": o.shape, "hidden": o.hidden })))
            .collect();
        dynamics.insert(
            record.name.clone(),
            json!({
                "group": format!("/{group}"),
                "law": law.law,
                "settings": law.settings,
                "replicas": record.replicas,
                "requested": record.requested,
                "diverged": record.diverged.len(),
                "trajectories": record.kept.min(record.replicas),
                "instants": record.times.len(),
                "burn_in": record.burn_in,
                "time": record.times,
                "seconds": record.seconds,
                "observables": observables,
            }),
        );
    }
    let claims: Vec<Value> = stored
        .claims
        .iter()
        .map(|row| {
            json!({
                "claim": row.claim,
                "law": row.law,
                "dynamics": row.dynamics,
                "quantity": row.quantity,
                "predicted": row.predicted,
                "measured": row.measured,
                "standard_error": row.standard_error,
                "tolerance": row.tolerance,
                "p_value": row.p_value,
                "verdict": row.verdict,
                "expect": row.expect,
                "kind": row.kind,
            })
        })
        .collect();
    let mut document = json!({
        "format": FORMAT,
        "perrin": stored.perrin_version,
        "file": path.display().to_string(),
        "status": stored.status.name(),
        "process": {
            "id": stored.process.id,
            "host": stored.process.host,
            "started": stored.process.started,
            "lives": stored.process.lives(),
        },
        "title": header.title,
        "seed": header.seed,
        "generator": header.generator,
        "stream_version": header.stream_version,
        "command_line": header.command_line,
        "digest": stored.digest,
        "dynamics": dynamics,
        "claims": claims,
        "study": header.study,
        "study_resolved": header.study_resolved,
    });
    if let (Some(first), Value::Object(map)) = (first, &mut document) {
        map.insert("digest_of_first".into(), json!({ "replicas": first.replicas, "digest": first.digest }));
    }
    document
}
