//! `[population]` and `[data]`: how many samples, and what each holds.

use std::sync::Arc;

use super::names::{self, Names};
use crate::model::Model;
use crate::model::formula::{DataEntry, DataSource, Expression};
use crate::study::source::Spanned;
use crate::study::spec::read::Errors;
use crate::study::spec::{DataSpec, Field, Named, PopulationSpec, Spec};
use crate::study::table::{Table, TableError};

/// Most samples of a finite population drawn from its law.
const MOST_SAMPLES: u64 = 100_000_000;

/// How many samples there are.
#[derive(Debug)]
pub enum PopulationKind {
    /// Fresh draws.
    Infinite,
    /// So many samples.
    Finite(usize),
    /// It could not be read; that is reported.
    Unknown,
}

/// The population and the entries of `[data]`, as far as they could be read.
pub struct PopulationRead {
    pub kind: PopulationKind,
    pub entries: Vec<(DataEntry, Option<Spanned<String>>)>,
    /// Columns of the table.
    pub columns: Vec<String>,
    pub complete: bool,
}

impl std::ops::Deref for PopulationRead {
    type Target = PopulationKind;
    fn deref(&self) -> &PopulationKind {
        &self.kind
    }
}

pub fn population(
    spec: &Spec,
    model: Option<&Arc<dyn Model>>,
    names: &mut Names,
    errors: &mut Errors<'_>,
) -> PopulationRead {
    if let Some(model) = model {
        let kind = model.population().size().map_or(PopulationKind::Infinite, PopulationKind::Finite);
        return PopulationRead { kind, entries: Vec::new(), columns: Vec::new(), complete: true };
    }
    let empty = PopulationSpec::default();
    let written = spec.population.as_ref().map_or(&empty, |s| &s.value);
    let mut read = PopulationRead {
        kind: PopulationKind::Infinite,
        entries: Vec::new(),
        columns: Vec::new(),
        complete: true,
    };
    if spec.population.is_none() && spec.written("population") {
        read.kind = PopulationKind::Unknown;
    }
    if let Some(size) = written.size.given() {
        if (1..=MOST_SAMPLES).contains(&size.value) {
            read.kind = PopulationKind::Finite(usize::try_from(size.value).unwrap_or(usize::MAX));
        } else {
            errors.at(
                size.span,
                format!("a population of {} samples", size.value),
                format!(
                    "choose a size from 1 to {MOST_SAMPLES}; without [population] there are infinitely many"
                ),
            );
            read.kind = PopulationKind::Unknown;
        }
    }
    if let (Some(_), Some(table)) = (written.size.given(), written.table.given()) {
        errors.at_key(
            table.span,
            "a population has a `size` or a `table`, not both",
            "a table has its own number of rows: remove `size`",
        );
    }
    if let (Field::Given(dataset), Field::Absent) = (&written.dataset, &written.table) {
        errors.at_key(dataset.span, "`dataset` without a `table`", "add table = \"file.h5\"");
    }
    let table = open(spec, written, errors);
    read.columns = table.as_ref().map(|t| t.names().to_vec()).unwrap_or_default();
    if !written.table.is_absent() || matches!(written.size, Field::Broken) {
        read.kind = PopulationKind::Unknown;
    }
    data(spec, table.as_ref(), !written.table.is_absent(), &mut read, names, errors);
    if let Some(table) = &table
        && matches!(read.kind, PopulationKind::Unknown)
    {
        // No entry names a column: the number of rows still counts.
        match table.read(&[]) {
            Ok(numbers) => read.kind = PopulationKind::Finite(numbers.rows),
            Err(list) if read.complete => {
                errors.list.extend(list);
                read.complete = false;
            }
            Err(_) => {}
        }
    }
    if matches!(read.kind, PopulationKind::Unknown) {
        read.complete = false;
    }
    read
}

fn open(spec: &Spec, written: &PopulationSpec, errors: &mut Errors<'_>) -> Option<Table> {
    let given = written.table.given()?;
    let path = spec.base.join(&given.value);
    let shown = path.display().to_string();
    match Table::open(&path, &shown, written.dataset.value().map(String::as_str)) {
        Ok(table) => Some(table),
        Err(TableError::Whole(message, help)) => {
            let at = written.dataset.span().filter(|_| message.contains("dataset")).unwrap_or(given.span);
            errors.at(at, message, help);
            None
        }
        Err(TableError::Places(list)) => {
            errors.list.extend(list);
            None
        }
    }
}

/// Entries of `[data]`, in file order.
fn data(
    spec: &Spec,
    table: Option<&Table>,
    tabled: bool,
    read: &mut PopulationRead,
    names: &mut Names,
    errors: &mut Errors<'_>,
) {
    let entries: &[Named<Field<DataSpec>>] = spec.data.as_ref().map_or(&[], |s| &s.value);
    if spec.data.is_none() && spec.written("data") {
        read.complete = false;
    }
    for entry in entries {
        if !names.take(&entry.name, "data entry", errors) {
            read.complete = false;
            continue;
        }
        let made = entry.value.given().and_then(|written| match &written.value {
            DataSpec::Formula { formula, shape, fresh } => {
                let text = formula.value.trim();
                let known = names
                    .of("constant")
                    .chain(names.of("data entry"))
                    .any(|n| n == text && n != entry.name.value);
                if let Some(table) = table
                    && !known
                    && let Some(column) = table.names().iter().position(|n| n == text)
                {
                    return columns(table, &[column], read, errors).map(|source| (source, None));
                }
                let expression = names::parse(&formula.value, formula, errors)?;
                let shape = shape.value().copied();
                let fresh = freshness(&entry.name.value, &expression, fresh, spec, errors)?;
                let source = if fresh {
                    DataSource::Fresh { formula: expression, shape }
                } else {
                    DataSource::Formula { formula: expression, shape }
                };
                Some((source, Some(formula.clone())))
            }
            DataSpec::Column(column) => {
                let found = choose(std::slice::from_ref(column), false, table, tabled, errors)?;
                columns(table?, &found, read, errors).map(|source| (source, None))
            }
            DataSpec::Columns(list) => {
                let found = choose(list, true, table, tabled, errors)?;
                columns(table?, &found, read, errors).map(|source| (source, None))
            }
        });
        if let Some((source, formula)) = made {
            read.entries.push((DataEntry { name: entry.name.value.clone(), source }, formula));
        } else {
            names.broken.push(&entry.name.value);
            read.complete = false;
        }
    }
}

/// True for a law that is drawn anew with every sample of a finite population; whether it is must be said beside a table.
fn freshness(
    name: &str,
    formula: &Expression,
    fresh: &Field<bool>,
    spec: &Spec,
    errors: &mut Errors<'_>,
) -> Option<bool> {
    let of = |f: fn(&PopulationSpec) -> bool| spec.population.as_ref().is_some_and(|s| f(&s.value));
    let table = of(|p| !p.table.is_absent());
    let finite = table || of(|p| !p.size.is_absent());
    let Some(given) = fresh.given() else {
        if table && formula.law().is_some() {
            errors.warn(&format!(
                "`{name}` is drawn once for every row of the table, and is then the same for all steps and replicas; for noise that is \
                 new with every sample write {name} = {{ law = \"{}\", fresh = true }}, or fresh = false if once is meant",
                formula.text().trim().replace('\n', "; ")
            ));
        }
        return Some(false);
    };
    if formula.law().is_none() {
        errors.at_key(
            given.span,
            format!("`{name}` draws nothing that could be fresh"),
            "give `fresh` to the law that is drawn; what is derived from it follows",
        );
        return None;
    }
    if !given.value && !finite && !spec.written("population") {
        errors.at_key(
            given.span,
            "without [population] all that is drawn is fresh",
            "remove `fresh`, or add [population] with size = 1000 for samples that are drawn once",
        );
        return None;
    }
    Some(given.value && finite)
}

/// Columns by name or pattern.
fn choose(
    list: &[Spanned<String>],
    patterns: bool,
    table: Option<&Table>,
    tabled: bool,
    errors: &mut Errors<'_>,
) -> Option<Vec<usize>> {
    let Some(table) = table else {
        if !tabled && let Some(first) = list.first() {
            errors.at(
                first.span,
                "there is no table to take columns from",
                "add [population] with table = \"file.csv\"",
            );
        }
        return None;
    };
    let mut found = Vec::new();
    let mut fine = true;
    for name in list {
        let columns = if patterns {
            table.matching(&name.value)
        } else {
            table.names().iter().position(|n| *n == name.value).into_iter().collect()
        };
        if columns.is_empty() {
            fine = false;
            errors.unknown(name.span, "column", &name.value, table.names().iter().map(String::as_str));
        }
        found.extend(columns);
    }
    fine.then_some(found)
}

fn columns(
    table: &Table,
    chosen: &[usize],
    read: &mut PopulationRead,
    errors: &mut Errors<'_>,
) -> Option<DataSource> {
    match table.read(chosen) {
        Ok(numbers) => {
            read.kind = PopulationKind::Finite(numbers.rows);
            Some(DataSource::Columns { len: numbers.width, values: numbers.values })
        }
        Err(list) => {
            errors.list.extend(list);
            None
        }
    }
}
