//! A file read back: the record as the engine left it, the claims, and what the study said.

use std::io::Read;
use std::path::{Path, PathBuf};

use hdf5::{H5File, H5Type};

use super::claims::{self, ClaimRow};
use super::error::StoreError;
use super::layout::{DynamicsHeader, DynamicsLayout, FORMAT, Layout, StudyHeader};
use super::process::Process;
use super::schema::{self, Column, Quantity, Source, Table, TableKind};
use super::writer::Status;
use crate::ensemble::{DynamicsRecord, ObservableRecord, Record};
use crate::stats::moments::Moments;

/// All that a file holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What the study said of itself.
    pub header: StudyHeader,
    /// The perrin that wrote it.
    pub perrin_version: String,
    /// How far the run got.
    pub status: Status,
    /// Who wrote it, or does.
    pub process: Process,
    /// Digest of all numbers; empty until the run has ended.
    pub digest: String,
    /// What was recorded, bit by bit as it was. Of a dynamics that has not ended, the replicas committed are there
    /// and the ensemble's moments are empty.
    pub record: Record,
    /// Names of the groups, in the record's order.
    pub groups: Vec<String>,
    /// The claims as they were judged.
    pub claims: Vec<ClaimRow>,
}

/// Reads a file, whole or left behind by a run that was killed; it may be one that is being written.
///
/// # Errors
/// [`StoreError::Io`] where there is no file, [`StoreError::Foreign`] for another's, [`StoreError::Version`] for one of
/// a perrin to come, [`StoreError::Hdf5`] for a damaged one.
pub fn read(path: &Path) -> Result<Stored, StoreError> {
    open(path, true)
}

/// The same without the numbers of single replicas and without claims: what is in a file, quickly.
///
/// Arrays of replicas are empty; `replicas`, `diverged` and the ensemble's moments are there.
///
/// # Errors
/// As [`read`].
pub fn read_summary(path: &Path) -> Result<Stored, StoreError> {
    open(path, false)
}

fn open(path: &Path, replicas: bool) -> Result<Stored, StoreError> {
    // The library says "not found" in its own words; the operating system says it better.
    let metadata = std::fs::metadata(path).map_err(|e| StoreError::io("reading", path, e))?;
    if !metadata.is_file() {
        return Err(StoreError::NotAFile { path: path.to_path_buf() });
    }
    check_length(path, metadata.len())?;
    let file = H5File::options().no_locking().open(path).map_err(|e| StoreError::hdf5("reading", path, e))?;
    Reader { file, path: path.to_path_buf() }.all(replicas)
}

/// The library reads zeros beyond the end of a file; the reference library refuses such a file, and so do we.
fn check_length(path: &Path, found: u64) -> Result<(), StoreError> {
    let mut superblock = [0; 36];
    let mut file = std::fs::File::open(path).map_err(|e| StoreError::io("reading", path, e))?;
    if file.read_exact(&mut superblock).is_err()
        || !superblock.starts_with(b"\x89HDF\r\n\x1a\n\x02")
            && !superblock.starts_with(b"\x89HDF\r\n\x1a\n\x03")
    {
        // Not ours; opening it says why.
        return Ok(());
    }
    // HDF5 File Format Specification 3.0, II.A: versions 2 and 3 have the end-of-file address at byte 28.
    let (_, end) = superblock.split_at(28);
    let expected = end.try_into().map_or(0, u64::from_le_bytes);
    if found < expected {
        return Err(StoreError::Truncated { path: path.to_path_buf(), expected, found });
    }
    Ok(())
}

struct Reader {
    file: H5File,
    path: PathBuf,
}

impl Reader {
    fn all(&self, replicas: bool) -> Result<Stored, StoreError> {
        let layout = self.layout()?;
        let text = |name: &str| self.file.attr_string(name).map_err(|e| self.foreign(format!("{name}: {e}")));
        let status = text("status")?;
        let status = Status::of(&status).ok_or_else(|| self.foreign(format!("status {status:?}")))?;
        let header = StudyHeader {
            title: text("title")?,
            study: text("study")?,
            study_resolved: text("study_resolved")?,
            command_line: text("command_line")?,
            seed: layout.seed,
            generator: text("generator")?,
            stream_version: layout.stream_version,
            dynamics: layout
                .dynamics
                .iter()
                .map(|d| DynamicsHeader {
                    name: d.name.clone(),
                    law: d.law.clone(),
                    settings: d.settings.clone(),
                })
                .collect(),
            labels: layout.labels(),
        };
        let dynamics =
            layout.dynamics.iter().map(|d| self.dynamics(d, replicas)).collect::<hdf5::Result<Vec<_>>>();
        let dynamics = dynamics.map_err(|e| StoreError::hdf5("reading", &self.path, e))?;
        let claims = if replicas { self.claims() } else { Ok(vec![]) };
        Ok(Stored {
            header,
            perrin_version: text("perrin_version")?,
            status,
            process: layout.process.clone(),
            digest: text("digest")?,
            record: Record { dynamics, interrupted: status != Status::Complete, ..Record::default() },
            groups: layout.dynamics.into_iter().map(|d| d.group).collect(),
            claims: claims.map_err(|e| StoreError::hdf5("reading the claims of", &self.path, e))?,
        })
    }

    fn layout(&self) -> Result<Layout, StoreError> {
        let text = self.file.attr_string("layout").map_err(|e| self.foreign(format!("layout: {e}")))?;
        let version: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| self.foreign(format!("layout: {e}")))?;
        let found = version.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if found != FORMAT {
            return Err(StoreError::Version { path: self.path.clone(), found, known: FORMAT });
        }
        serde_json::from_value(version).map_err(|e| self.foreign(format!("layout: {e}")))
    }

    fn foreign(&self, what: String) -> StoreError {
        StoreError::Foreign { path: self.path.clone(), what }
    }

    fn dynamics(&self, layout: &DynamicsLayout, replicas: bool) -> hdf5::Result<DynamicsRecord> {
        let mut record = DynamicsRecord {
            name: layout.name.clone(),
            burn_in: layout.burn_in,
            requested: layout.requested,
            most: layout.most,
            kept: layout.kept,
            observables: layout.observables.iter().map(|o| empty(o, layout.window)).collect(),
            ..Default::default()
        };
        let path = format!("{}/trajectories", layout.group);
        record.times = self.file.dataset(&format!("{path}/time"))?.read_raw()?;
        let steps: Vec<i64> = self.file.dataset(&format!("{path}/step"))?.read_raw()?;
        record.steps = steps.into_iter().map(|s| u64::try_from(s).unwrap_or(0)).collect();
        let tables = schema::tables(layout);
        // A kill in the middle of a commit's second phase leaves some extents moved and others not.
        let fewest = |paths: bool| {
            // A table of nothing but the replicas' numbers keeps no paths.
            let alike = |table: &&Table| {
                !table.kind.along_time()
                    && table.kind.of_paths() == paths
                    && table.columns.len() > usize::from(paths)
            };
            let rows = tables.iter().filter(alike).map(|table| self.rows(table));
            rows.collect::<hdf5::Result<Vec<_>>>().map(|rows| rows.into_iter().min().unwrap_or(0))
        };
        record.replicas = fewest(false)?;
        // An ensemble that grew to a precision was asked for what it has; numbers of a group's attributes cannot be read.
        record.requested = layout.requested.max(record.replicas);
        let paths = fewest(true)?.min(record.replicas);
        let time = self.file.dataset(&format!("{}/ensemble/time", layout.group))?;
        record.seconds = time.attr("seconds")?.read_numeric()?;
        // Until the dynamics has ended, NaN stand in the place of its statistics.
        let finished = time.attr("finished")?.read_numeric::<i64>()? == 1;
        for table in &tables {
            let count = match table.kind {
                kind if kind.along_time() => usize::from(finished) * layout.instants,
                _ if !replicas => 0,
                kind if kind.of_paths() => paths,
                _ => record.replicas,
            };
            for column in &table.columns {
                self.fill(&mut record, table, column, count)?;
            }
            if table.kind == TableKind::Final {
                let steps: Vec<i64> =
                    self.read(&format!("{}/diverged_step", table.path), &[], record.replicas)?;
                let diverged = steps.into_iter().enumerate();
                record.diverged =
                    diverged.filter_map(|(r, step)| u64::try_from(step).ok().map(|step| (r, step))).collect();
            }
        }
        Ok(record)
    }

    /// Rows that every variable of a table has.
    fn rows(&self, table: &Table) -> hdf5::Result<usize> {
        let mut rows = usize::MAX;
        for column in &table.columns {
            let shape = self.file.dataset(&format!("{}/{}", table.path, column.name))?.shape();
            rows = rows.min(shape.first().copied().unwrap_or(0));
        }
        Ok(rows)
    }

    fn fill(
        &self,
        record: &mut DynamicsRecord,
        table: &Table,
        column: &Column,
        rows: usize,
    ) -> hdf5::Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let path = format!("{}/{}", table.path, column.name);
        let inner: Vec<usize> = column.inner.iter().map(|d| d.1).collect();
        match &column.source {
            Source::Observable(index, Quantity::Count) => {
                let counts: Vec<i64> = self.read(&path, &inner, rows)?;
                put_moments(&mut record.observables[*index].ensemble, counts, |m, n| {
                    m.count = u64::try_from(n).unwrap_or(0);
                });
            }
            Source::Observable(index, quantity) => {
                put(&mut record.observables[*index], *quantity, self.read(&path, &inner, rows)?);
            }
            Source::Packed(parts) => {
                let values: Vec<f64> = self.read(&path, &inner, rows)?;
                let width: usize = parts.iter().map(|part| part.components).sum();
                let mut first = 0;
                for part in parts {
                    let of = |row: &[f64]| row[first..first + part.components].to_vec();
                    let own = values.chunks_exact(width.max(1)).flat_map(of).collect();
                    put(&mut record.observables[part.observable], part.quantity, own);
                    first += part.components;
                }
            }
            Source::Replica | Source::Time | Source::Step | Source::DivergedStep => {}
        }
        Ok(())
    }

    fn read<T: H5Type>(&self, path: &str, inner: &[usize], rows: usize) -> hdf5::Result<Vec<T>> {
        if rows == 0 || inner.contains(&0) {
            return Ok(vec![]);
        }
        let mut counts = vec![rows];
        counts.extend(inner);
        self.file.dataset(path)?.read_slice(&vec![0; counts.len()], &counts)
    }

    fn claims(&self) -> hdf5::Result<Vec<ClaimRow>> {
        let names = claims::NUMBERS.map(|n| n.0).into_iter().chain(claims::WORDS.map(|w| w.0));
        let mut count = usize::MAX;
        for name in names.chain(["test", "claim"]) {
            let shape = self.file.dataset(&format!("claims/{name}"))?.shape();
            count = count.min(shape.first().copied().unwrap_or(0));
        }
        let mut rows = vec![ClaimRow::default(); count];
        if count == 0 {
            return Ok(rows);
        }
        let numbers: Vec<i64> = self.read("claims/claim", &[], count)?;
        rows.iter_mut().zip(numbers).for_each(|(r, n)| r.claim = usize::try_from(n).unwrap_or(0));
        for (name, _, set) in claims::NUMBERS {
            let values: Vec<f64> = self.read(&format!("claims/{name}"), &[], count)?;
            rows.iter_mut().zip(values).for_each(|(r, x)| set(r, x));
        }
        for (name, _, set) in claims::WORDS {
            let words = self.file.dataset(&format!("claims/{name}"))?.read_vlen_strings()?;
            rows.iter_mut().zip(words).for_each(|(r, x)| set(r, x));
        }
        Ok(rows)
    }
}

fn empty(layout: &super::layout::ObservableLayout, window: usize) -> ObservableRecord {
    let mut observable = ObservableRecord {
        name: layout.name.clone(),
        shape: layout.shape.clone(),
        hidden: layout.hidden,
        ..Default::default()
    };
    observable.stationary.instants = window;
    observable
}

/// A quantity's values into their place.
fn put(observable: &mut ObservableRecord, quantity: Quantity, values: Vec<f64>) {
    let window = &mut observable.stationary;
    match quantity {
        Quantity::Path => observable.trajectories = values,
        Quantity::Last => observable.last = values,
        Quantity::MaxChange => observable.max_change = values,
        Quantity::WindowMean => window.mean = values,
        Quantity::WindowVariance => window.variance = values,
        Quantity::FirstMean => window.first_mean = values,
        Quantity::FirstVariance => window.first_variance = values,
        Quantity::SecondMean => window.second_mean = values,
        Quantity::SecondVariance => window.second_variance = values,
        Quantity::Mean => put_moments(&mut observable.ensemble, values, |m, x| m.mean = x),
        Quantity::M2 => put_moments(&mut observable.ensemble, values, |m, x| m.m2 = x),
        Quantity::M3 => put_moments(&mut observable.ensemble, values, |m, x| m.m3 = x),
        Quantity::M4 => put_moments(&mut observable.ensemble, values, |m, x| m.m4 = x),
        Quantity::Minimum => put_moments(&mut observable.ensemble, values, |m, x| m.min = x),
        Quantity::Maximum => put_moments(&mut observable.ensemble, values, |m, x| m.max = x),
        Quantity::Count => put_moments(&mut observable.ensemble, values, |m, n| m.count = n as u64),
        // These follow from the others.
        Quantity::Variance | Quantity::StandardError | Quantity::VarianceStandardError => {}
    }
}

fn put_moments<T>(moments: &mut Vec<Moments>, values: Vec<T>, put: impl Fn(&mut Moments, T)) {
    moments.resize(values.len(), Moments::default());
    moments.iter_mut().zip(values).for_each(|(m, x)| put(m, x));
}
