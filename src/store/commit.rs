//! What has come and what is in the file: buffers of rows, and the two-phase commits that carry them over.

use hdf5::H5File;

use super::buffer::Buffer;
use super::claims::{self, ClaimRow};
use super::deflate::Deflater;
use super::error::StoreError;
use super::layout::Layout;
use super::schema::{self, Part, Quantity, Source, Table, TableKind};
use super::skeleton;
use super::target::Target;
use super::writer::Status;
use crate::ensemble::{BlockRecord, ObservableRecord};
use crate::stats::moments::Moments;

/// What is known of a dynamics at its end.
pub(super) struct Finish {
    pub seconds: f64,
    /// Replicas that were asked for in the end, as an ensemble may grow.
    pub requested: i64,
    /// `[observable][time][component]`.
    pub ensemble: Vec<Vec<Moments>>,
}

/// The file and what waits for it.
pub(super) struct Committer {
    target: Target,
    dynamics: Vec<Dynamics>,
    /// Open while chunks are written beyond the extents: the first phase of the next commit has begun.
    filling: Option<H5File>,
    deflater: Deflater,
}

struct Dynamics {
    group: String,
    /// Those that grow along `replica`.
    tables: Vec<(TableKind, Vec<Buffer>)>,
    /// Those along `time`.
    statistics: Vec<Table>,
    replicas: i64,
    diverged: i64,
    /// No more rows will come: short last chunks may be written.
    ended: bool,
    /// What it ended with, until that is in the file.
    finish: Option<Finish>,
    changed: bool,
}

impl Committer {
    pub fn new(target: Target, layout: &Layout) -> Self {
        let dynamics = layout
            .dynamics
            .iter()
            .map(|d| {
                let (statistics, tables): (Vec<_>, Vec<_>) =
                    schema::tables(d).into_iter().partition(|t| t.kind.along_time());
                let buffers =
                    |t: Table| (t.kind, t.columns.into_iter().map(|c| Buffer::new(&t.path, c)).collect());
                Dynamics {
                    group: d.group.clone(),
                    tables: tables.into_iter().map(buffers).collect(),
                    statistics,
                    replicas: 0,
                    diverged: 0,
                    ended: false,
                    finish: None,
                    changed: false,
                }
            })
            .collect();
        Self { target, dynamics, filling: None, deflater: Deflater::new() }
    }

    /// Something has come since the last commit.
    pub fn pending(&self) -> bool {
        self.dynamics.iter().any(|d| d.changed)
    }

    /// Bytes that have come since the last commit, or are kept for a chunk to fill.
    pub fn waiting(&self) -> usize {
        self.dynamics.iter().filter(|d| d.changed).flat_map(Dynamics::buffers).map(Buffer::held).sum()
    }

    /// Takes replicas in; what fills chunks goes to the file at once, where no reader looks yet.
    pub fn rows(&mut self, dynamics: usize, rows: &BlockRecord) -> Result<(), StoreError> {
        self.take(dynamics, rows);
        if !self.dynamics[dynamics].buffers().any(Buffer::fills_chunks) {
            return Ok(());
        }
        let file = self.begin_filling()?;
        let Self { dynamics: all, deflater, .. } = self;
        let written = all[dynamics].buffers_mut().try_for_each(|buffer| buffer.write_whole(&file, deflater));
        self.filled(file, written)
    }

    /// The file, opened if it is not.
    fn begin_filling(&mut self) -> Result<H5File, StoreError> {
        match self.filling.take() {
            Some(file) => Ok(file),
            None => self.target.open("writing"),
        }
    }

    /// Keeps the file open after something was written to it.
    fn filled(&mut self, file: H5File, written: hdf5::Result<()>) -> Result<(), StoreError> {
        match written {
            Ok(()) => {
                self.filling = Some(file);
                Ok(())
            }
            Err(error) => self.target.close(file, Err(error), "writing"),
        }
    }

    fn take(&mut self, dynamics: usize, rows: &BlockRecord) {
        let dynamics = &mut self.dynamics[dynamics];
        let count = rows.replicas;
        let mut diverged_step = vec![-1; count];
        for &(replica, step) in &rows.diverged {
            if let Some(slot) = replica.checked_sub(rows.first).and_then(|r| diverged_step.get_mut(r)) {
                *slot = i64::try_from(step).unwrap_or(i64::MAX);
            }
        }
        for (kind, buffers) in &mut dynamics.tables {
            for buffer in buffers.iter_mut() {
                match &buffer.column().source {
                    // Paths are kept of the first replicas only; the observables say of how many.
                    Source::Replica if kind.of_paths() => {}
                    Source::Replica => buffer.push_integers((rows.first..rows.first + count).map(signed)),
                    Source::DivergedStep => buffer.push_integers(diverged_step.iter().copied()),
                    Source::Observable(index, quantity) => {
                        buffer.push(of_replicas(&rows.observables[*index], *quantity));
                    }
                    Source::Packed(parts) => {
                        let parts = parts.clone();
                        pack(buffer, &parts, rows);
                    }
                    Source::Time | Source::Step => {}
                }
            }
            if kind.of_paths() {
                number_paths(buffers);
            }
        }
        dynamics.replicas += signed(count);
        dynamics.diverged += signed(diverged_step.iter().filter(|s| **s >= 0).count());
        dynamics.changed = true;
    }

    /// Takes the statistics in.
    pub fn finish(&mut self, dynamics: usize, finish: Finish) {
        let dynamics = &mut self.dynamics[dynamics];
        dynamics.finish = Some(finish);
        dynamics.ended = true;
        dynamics.changed = true;
    }

    /// Commits what has come.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !self.pending() {
            return Ok(());
        }
        self.fill(&[])?;
        self.reveal(None)?;
        self.target.has_data()
    }

    /// Commits what has come of a run that ends without a word.
    pub fn leave(&mut self) -> Result<(), StoreError> {
        let data = self.pending();
        self.end(&End { digest: "", claims: &[], status: Status::Failed })?;
        if data { self.target.has_data() } else { Ok(()) }
    }

    /// Says, if the file can still be written, that the run failed.
    pub fn fail(&mut self) {
        // Closed, it would write headers of what did not get there.
        if let Some(file) = self.filling.take() {
            std::mem::forget(file);
        }
        let failed = self.target.session("ending", |file| {
            skeleton::set_text(file, "status", Status::Failed.name(), skeleton::STATUS_BYTES)
        });
        // The error that is told is the one before.
        drop(failed);
    }

    /// First phase: chunks beyond the extents, which no reader looks at.
    fn fill(&mut self, claims: &[ClaimRow]) -> Result<(), StoreError> {
        let file = self.begin_filling()?;
        let Self { dynamics, deflater, .. } = self;
        let written = dynamics.iter_mut().filter(|d| d.changed).try_for_each(|dynamics| {
            let last = dynamics.ended;
            dynamics.buffers_mut().try_for_each(|buffer| buffer.write(&file, last, deflater))?;
            dynamics.write_statistics(&file)
        });
        let written = match claims {
            [] => written,
            claims => {
                written.and_then(|()| write_numbers(&file, claims)).and_then(|()| write_words(&file, claims))
            }
        };
        self.target.close(file, written, "writing")
    }

    /// Second phase: the extents; with the last of them, the disk has it all.
    fn reveal(&mut self, end: Option<&End<'_>>) -> Result<(), StoreError> {
        let Self { target, dynamics, .. } = self;
        target.session("writing", |file| {
            for dynamics in dynamics.iter().filter(|d| d.changed) {
                dynamics.extend(file)?;
            }
            end.map_or(Ok(()), |end| end.write(file))
        })?;
        if end.is_some() {
            target.sync()?;
        }
        for dynamics in dynamics.iter_mut().filter(|d| d.changed) {
            dynamics.buffers_mut().for_each(Buffer::settle);
            dynamics.finish = None;
            dynamics.changed = false;
        }
        Ok(())
    }

    /// The claims, then digest and status.
    pub fn complete(&mut self, digest: &str, claims: &[ClaimRow], status: Status) -> Result<(), StoreError> {
        let data = self.pending();
        self.end(&End { digest, claims, status })?;
        if data || status == Status::Complete { self.target.has_data() } else { Ok(()) }
    }

    fn end(&mut self, end: &End<'_>) -> Result<(), StoreError> {
        for dynamics in &mut self.dynamics {
            dynamics.ended = true;
            // Chunks that waited to be full are written short now.
            let waiting = dynamics.buffers().any(|buffer| buffer.held() > 0);
            dynamics.changed |= waiting;
        }
        self.fill(end.claims)?;
        self.reveal(Some(end))
    }
}

/// What is written last.
struct End<'a> {
    digest: &'a str,
    claims: &'a [ClaimRow],
    status: Status,
}

impl End<'_> {
    fn write(&self, file: &H5File) -> hdf5::Result<()> {
        if !self.claims.is_empty() {
            for name in ["claim"].into_iter().chain(claims::NUMBERS.map(|n| n.0)).chain(["test"]) {
                file.dataset_writer(&format!("claims/{name}"))?.extend(&[self.claims.len()])?;
            }
        }
        skeleton::set_text(file, "digest", self.digest, skeleton::DIGEST_BYTES)?;
        skeleton::set_text(file, "status", self.status.name(), skeleton::STATUS_BYTES)
    }
}

impl Dynamics {
    fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.tables.iter().flat_map(|t| t.1.iter())
    }

    fn buffers_mut(&mut self) -> impl Iterator<Item = &mut Buffer> {
        self.tables.iter_mut().flat_map(|t| t.1.iter_mut())
    }

    fn extend(&self, file: &H5File) -> hdf5::Result<()> {
        for buffer in self.buffers() {
            buffer.extend(file)?;
        }
        let group = file.root_group().group(&self.group)?;
        group.set_attr_numeric("replicas", &self.replicas)?;
        group.set_attr_numeric("diverged", &self.diverged)?;
        if let Some(finish) = &self.finish {
            let time = file.dataset_writer(&format!("{}/ensemble/time", self.group))?;
            skeleton::set_end(&time, finish.seconds, true)?;
            group.set_attr_numeric("requested", &finish.requested)?;
        }
        Ok(())
    }

    /// Over the NaN that stand in their place.
    fn write_statistics(&self, file: &H5File) -> hdf5::Result<()> {
        let Some(finish) = &self.finish else { return Ok(()) };
        for table in &self.statistics {
            for column in &table.columns {
                let values = |index: usize, quantity: Quantity| {
                    finish.ensemble[index].iter().map(move |moments| of_moments(moments, quantity))
                };
                let write = |values: &[f64]| {
                    file.dataset_writer(&format!("{}/{}", table.path, column.name))?.write_raw(values)
                };
                match &column.source {
                    Source::Observable(index, Quantity::Count) => {
                        let counts = finish.ensemble[*index]
                            .iter()
                            .map(|m| i64::try_from(m.count).unwrap_or(i64::MAX));
                        file.dataset_writer(&format!("{}/{}", table.path, column.name))?
                            .write_raw(&counts.collect::<Vec<_>>())?;
                    }
                    Source::Observable(index, quantity) => {
                        write(&values(*index, *quantity).collect::<Vec<_>>())?;
                    }
                    Source::Packed(parts) => {
                        let mut each: Vec<_> =
                            parts.iter().map(|part| values(part.observable, part.quantity)).collect();
                        let instants = parts.first().map_or(0, |part| {
                            finish.ensemble[part.observable].len() / part.components.max(1)
                        });
                        let mut all = Vec::with_capacity(instants * column.row());
                        for _ in 0..instants {
                            for (values, part) in each.iter_mut().zip(parts) {
                                all.extend(values.take(part.components));
                            }
                        }
                        write(&all)?;
                    }
                    Source::Replica | Source::Time | Source::Step | Source::DivergedStep => {}
                }
            }
        }
        Ok(())
    }
}

/// A packed row a replica; of paths, a packed row a replica and instant.
fn pack(buffer: &mut Buffer, parts: &[Part], rows: &BlockRecord) {
    let arrays: Vec<(&[f64], usize)> = parts
        .iter()
        .map(|part| (of_replicas(&rows.observables[part.observable], part.quantity), part.components))
        .collect();
    let count = arrays.iter().find(|a| a.1 > 0).map_or(0, |(values, width)| values.len() / width);
    buffer.push_packed(count, &arrays);
}

/// Numbers of the replicas whose paths came.
fn number_paths(buffers: &mut [Buffer]) {
    let [replica, others @ ..] = buffers else { return };
    let kept = others.first().map_or(0, Buffer::rows);
    replica.push_integers((replica.rows()..kept).map(signed));
}

fn of_replicas(rows: &ObservableRecord, quantity: Quantity) -> &[f64] {
    match quantity {
        Quantity::Path => &rows.trajectories,
        Quantity::Last => &rows.last,
        Quantity::MaxChange => &rows.max_change,
        Quantity::WindowMean => &rows.stationary.mean,
        Quantity::WindowVariance => &rows.stationary.variance,
        Quantity::FirstMean => &rows.stationary.first_mean,
        Quantity::FirstVariance => &rows.stationary.first_variance,
        Quantity::SecondMean => &rows.stationary.second_mean,
        Quantity::SecondVariance => &rows.stationary.second_variance,
        _ => &[],
    }
}

fn of_moments(moments: &Moments, quantity: Quantity) -> f64 {
    match quantity {
        Quantity::Mean => moments.mean,
        Quantity::Variance => moments.variance(),
        Quantity::StandardError => moments.standard_error(),
        Quantity::VarianceStandardError => moments.variance_standard_error(),
        Quantity::Minimum => moments.min,
        Quantity::Maximum => moments.max,
        Quantity::M2 => moments.m2,
        Quantity::M3 => moments.m3,
        Quantity::M4 => moments.m4,
        // Whole to 2^53.
        Quantity::Count => moments.count as f64,
        _ => f64::NAN,
    }
}

fn write_numbers(file: &H5File, rows: &[ClaimRow]) -> hdf5::Result<()> {
    for (chunk, rows) in rows.chunks(claims::CHUNK).enumerate() {
        let put = |name: &str, mut bytes: Vec<u8>| {
            bytes.resize(8 * claims::CHUNK, 0);
            file.dataset_writer(&format!("claims/{name}"))?.write_chunk(chunk, &bytes)
        };
        let first = chunk * claims::CHUNK;
        put("test", (first..first + rows.len()).flat_map(|i| signed(i).to_le_bytes()).collect())?;
        put("claim", rows.iter().flat_map(|r| signed(r.claim).to_le_bytes()).collect())?;
        for (name, get, _) in claims::NUMBERS {
            put(name, rows.iter().flat_map(|r| get(r).to_le_bytes()).collect())?;
        }
    }
    Ok(())
}

/// The one change that is not behind an extent until its space is in the superblock: for some microseconds at the end
/// of a run, the words of claims that nobody has been told of cannot be read. All else can.
fn write_words(file: &H5File, rows: &[ClaimRow]) -> hdf5::Result<()> {
    let group = file.root_group().group("claims")?;
    for (name, get, _) in claims::WORDS {
        group.append_vlen_strings(name, &rows.iter().map(get).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{DynamicsRecord, Plan, Stationary};
    use crate::store::layout::StudyHeader;

    const INSTANTS: usize = 5;
    const KEPT: usize = 20;

    fn plan(dynamics: usize, observables: usize) -> Plan {
        let shapes: [&[usize]; 3] = [&[], &[3], &[2, 3]];
        let observable = |i: usize| ObservableRecord {
            name: format!("observable_{i}"),
            shape: shapes[i % 3].to_vec(),
            ..Default::default()
        };
        let record = |i: usize| DynamicsRecord {
            name: format!("dynamics_{i}"),
            steps: (0..INSTANTS as u64).collect(),
            times: (0..INSTANTS).map(|t| t as f64).collect(),
            requested: 4096,
            kept: KEPT,
            observables: (0..observables).map(observable).collect(),
            ..Default::default()
        };
        Plan { dynamics: (0..dynamics).map(record).collect() }
    }

    fn block(plan: &DynamicsRecord, first: usize, replicas: usize) -> BlockRecord {
        let kept = KEPT.saturating_sub(first).min(replicas);
        let rows = |o: &ObservableRecord| {
            let all = || vec![first as f64 + 0.3; replicas * o.components()];
            let stationary = Stationary {
                mean: all(),
                variance: all(),
                first_mean: all(),
                first_variance: all(),
                second_mean: all(),
                second_variance: all(),
                ..Default::default()
            };
            let trajectories = vec![0.7; kept * INSTANTS * o.components()];
            ObservableRecord { last: all(), max_change: all(), trajectories, stationary, ..o.clone() }
        };
        BlockRecord {
            first,
            replicas,
            diverged: vec![(first, 3)],
            failure: None,
            observables: plan.observables.iter().map(rows).collect(),
        }
    }

    fn finish(plan: &DynamicsRecord) -> Finish {
        let moments = |o: &ObservableRecord| vec![Moments::of([1.0, 2.0, 4.0]); INSTANTS * o.components()];
        Finish { seconds: 2.5, requested: 4096, ensemble: plan.observables.iter().map(moments).collect() }
    }

    struct File {
        path: std::path::PathBuf,
        bytes: Vec<u8>,
        variables: usize,
    }

    impl File {
        /// Bytes of the old file that are not what they were, and whether it grew.
        fn changed(&mut self) -> (usize, bool) {
            let now = std::fs::read(&self.path).unwrap();
            let changed = self.bytes.iter().zip(&now).filter(|(old, new)| old != new).count();
            let grew = now.len() != self.bytes.len();
            self.bytes = now;
            (changed, grew)
        }

        /// Each phase in turn: extents and indices are all that may change, a dozen or two bytes a variable. A header
        /// or heap that moves changes hundreds, and a kill while it moves leaves a file that does not open.
        fn two_phases(&mut self, committer: &mut Committer, what: &str, data: usize) {
            committer.fill(&[]).unwrap();
            let (changed, _) = self.changed();
            assert!(changed < 64 * self.variables + data, "{what}: {changed} bytes in the first phase");
            committer.reveal(None).unwrap();
            let (changed, grew) = self.changed();
            assert!(!grew, "{what}: the second phase takes no space");
            assert!(changed < 16 * self.variables + 64, "{what}: {changed} bytes in the second phase");
        }
    }

    #[test]
    fn a_commit_moves_no_header() {
        let folder = tempfile::tempdir().unwrap();
        for (dynamics, observables) in [(1, 1), (2, 4), (3, 9), (1, 14)] {
            let plan = plan(dynamics, observables);
            let layout = Layout::new(&StudyHeader::default(), &plan);
            let path = folder.path().join(format!("{dynamics}-{observables}.h5"));
            let mut target = Target::create(&path, false).unwrap();
            target.build(|file| skeleton::write(file, &StudyHeader::default(), &layout, &plan)).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let mut committer = Committer::new(target, &layout);
            let variables = committer.dynamics.iter().flat_map(Dynamics::buffers).count();
            let mut file = File { path: path.clone(), bytes, variables };
            for (index, plan) in plan.dynamics.iter().enumerate() {
                let row: usize = plan.observables.iter().map(ObservableRecord::components).sum();
                for step in 0..3 {
                    committer.rows(index, &block(plan, step * 16, 16)).unwrap();
                    let what = format!("{dynamics} dynamics, {observables} observables, {index}, {step}");
                    file.two_phases(&mut committer, &what, 8 * 16 * (8 * row + 3));
                }
                committer.finish(index, finish(plan));
                committer.commit().unwrap();
                let (changed, _) = file.changed();
                let statistics = 8 * 10 * INSTANTS * row;
                assert!(changed < 16 * variables + 64 + statistics, "{changed} bytes at a dynamics' end");
            }
            let claims = vec![ClaimRow { quantity: "a quantity".repeat(20), ..Default::default() }; 100];
            committer.complete("digest", &claims, Status::Complete).unwrap();
            let (changed, _) = file.changed();
            assert!(changed < 64 * 100 + 64 * 14, "{changed} bytes at the end");
        }
    }
}
