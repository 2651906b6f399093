//! `[population]` and `[data]`: how many samples, and what each holds.

use std::sync::Arc;

use super::names::{self, Names};
use crate::model::Model;
use crate::model::formula::{DataEntry, DataSource, Expression};
use crate::study::source::Spanned;
use crate::study::spec::read::Errors;
use crate::study::spec::{DataSpec, Field, Named, PopulationSpec, Spec};
use crate::study::table::{Format, Table, TableError};

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
    if written.table.is_absent() {
        let spans = [
            ("dataset", written.dataset.span(), "file.h5"),
            ("separator", written.separator.span(), "file.csv"),
            ("header", written.header.span(), "file.csv"),
        ];
        for (key, span, file) in spans {
            if let Some(span) = span {
                errors.at_key(span, format!("`{key}` without a `table`"), format!("add table = \"{file}\""));
            }
        }
    }
    let table = open(spec, written, errors);
    read.columns = table.as_ref().map(|t| t.names().to_vec()).unwrap_or_default();
    if !written.table.is_absent() || matches!(written.size, Field::Broken) {
        read.kind = PopulationKind::Unknown;
    }
    data(spec, table.as_ref(), !written.table.is_absent(), &mut read, names, errors);
    if matches!(read.kind, PopulationKind::Unknown) {
        read.complete = false;
    }
    read
}

/// The table that is named.
pub(super) fn open(spec: &Spec, written: &PopulationSpec, errors: &mut Errors<'_>) -> Option<Table> {
    let given = written.table.given()?;
    let path = spec.base.join(&given.value);
    let shown = path.display().to_string();
    let format = Format {
        dataset: written.dataset.value().map(String::as_str),
        separator: written.separator.value().copied(),
        header: written.header.value().copied(),
    };
    match Table::open(&path, &shown, format) {
        Ok(table) => Some(table),
        Err(TableError::Whole(message, help)) => {
            let spans = [
                ("dataset", written.dataset.span()),
                ("`separator`", written.separator.span()),
                ("separated by", written.separator.span()),
            ];
            let of = spans.iter().find(|(word, span)| span.is_some() && message.contains(word));
            let at = of.and_then(|(_, span)| *span).unwrap_or(given.span);
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
    // Columns of each entry, read together once all are known.
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut waiting: Vec<usize> = Vec::new();
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
                    && let Some(column) = table.column(text)
                {
                    return Some((Made::Columns(vec![column]), None));
                }
                let expression = names::parse(&formula.value, formula, errors)?;
                let shape = shape.value().copied();
                let fresh = freshness(&entry.name.value, &expression, fresh, spec, errors)?;
                let source = if fresh {
                    DataSource::Fresh { formula: expression, shape }
                } else {
                    DataSource::Formula { formula: expression, shape }
                };
                Some((Made::Source(source), Some(formula.clone())))
            }
            DataSpec::Column(column) => {
                let found = choose(std::slice::from_ref(column), false, table, tabled, errors)?;
                Some((Made::Columns(found), None))
            }
            DataSpec::Columns(list) => {
                let found = choose(list, true, table, tabled, errors)?;
                Some((Made::Columns(found), None))
            }
        });
        let Some((made, formula)) = made else {
            names.broken.push(&entry.name.value);
            read.complete = false;
            continue;
        };
        let source = match made {
            Made::Source(source) => source,
            Made::Columns(set) => {
                waiting.push(read.entries.len());
                let source = DataSource::Columns { len: set.len(), values: Vec::new() };
                sets.push(set);
                source
            }
        };
        read.entries.push((DataEntry { name: entry.name.value.clone(), source }, formula));
    }
    let Some(table) = table else { return };
    // Where no entry names a column, the number of rows still counts.
    if sets.is_empty() {
        if !read.complete {
            return;
        }
        sets.push(Vec::new());
    }
    match table.read(&sets) {
        Ok(list) => {
            read.kind = PopulationKind::Finite(list.first().map_or(0, |numbers| numbers.rows));
            for (index, numbers) in waiting.into_iter().zip(list) {
                read.entries[index].0.source =
                    DataSource::Columns { len: numbers.width, values: numbers.values };
            }
        }
        Err(list) => {
            errors.list.extend(list);
            read.complete = false;
        }
    }
}

/// An entry as it was written: what it is, or the columns that are to be read for it.
enum Made {
    Source(DataSource),
    Columns(Vec<usize>),
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
pub(super) fn choose(
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
            table.column(&name.value).into_iter().collect()
        };
        if columns.is_empty() {
            fine = false;
            if let Some((message, help)) = table.trouble(&name.value) {
                errors.at(name.span, message, help);
            } else {
                let known = table.shown_names().iter().map(String::as_str);
                errors.unknown(name.span, "column", &name.value, known);
            }
        } else if table.headed_by_numbers() && table.column(&name.value).is_none() {
            fine = false;
            errors.at(
                name.span,
                "the first line of the table is numbers alone: is it a header, or the first row?",
                "add header = false to [population] where the table has no header, header = true where numbers name the columns",
            );
        }
        found.extend(columns);
    }
    fine.then_some(found)
}
