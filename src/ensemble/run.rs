//! A study's run: dynamics by dynamics, block by block, folded in replica order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::dynamics::{Clock, Law, Motion, Setting, System};
use crate::ensemble::block::Job;
use crate::ensemble::fold::{Fold, blocks};
use crate::ensemble::observe::{Windows, blank};
use crate::ensemble::record::{DynamicsRecord, Profile, Record};
use crate::ensemble::sink::{BlockRecord, Plan};
use crate::ensemble::{Options, Progress, RunError, diagnosis, initial, pool, precision};
use crate::lanes::stopwatch::{self, Section};
use crate::lanes::{LANES, Level};
use crate::stats::moments::Moments;
use crate::study::{self, ClaimLaw, Dynamics, HiddenRun, Observable, Study};

/// Simulates every dynamics of the study and records `observables` (`Study::observables`, and what claims ask for).
///
/// # Errors
/// [`RunError`]; a diverged replica is no error but counted in the record.
pub fn run(study: &Study, observables: &[Observable], options: Options<'_>) -> Result<Record, RunError> {
    run_in_blocks(study, observables, options, None)
}

/// As [`run`], with blocks of at most `most` tiles (a power of two) in place of the study's own size. No number may depend on it.
pub(super) fn run_in_blocks(
    study: &Study,
    observables: &[Observable],
    options: Options<'_>,
    most: Option<usize>,
) -> Result<Record, RunError> {
    let Options { threads, stop, progress, sink } = options;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|error| RunError::Threads { threads: threads.unwrap_or(0), reason: error.to_string() })?;
    let prepared: Vec<Prepared> = study
        .dynamics
        .iter()
        .map(|dynamics| Prepared::new(study, dynamics, None))
        .collect::<Result<_, _>>()?;
    let ladders = Ladders::new(study, observables)?;
    let planned: Vec<DynamicsRecord> = study
        .dynamics
        .iter()
        .zip(&prepared)
        .map(|(dynamics, prepared)| prepared.record(study, dynamics, observables))
        .collect();
    sink.begin(&Plan { dynamics: planned.clone() })?;
    let steps = prepared.iter().map(|p| p.instants.last().map_or(0, |now| now.step));
    let wanted =
        study.run.precision.as_ref().map_or(study.run.replicas, |p| precision::first(p, study.run.replicas));
    let total = steps
        .map(|steps| steps.saturating_mul(wanted as u64))
        .fold(ladders.steps(study), u64::saturating_add);
    progress.begin(prepared.len() + ladders.runs.len(), total);
    let mut record = Record::default();
    for (index, (prepared, mut done)) in prepared.iter().zip(planned).enumerate() {
        if stop.load(Ordering::Relaxed) {
            record.interrupted = true;
            break;
        }
        let began = Instant::now();
        let precision = study.run.precision.as_ref();
        let mut replicas = precision.map_or(done.requested, |p| precision::first(p, done.requested));
        let last_step = prepared.instants.last().map_or(0, |now| now.step);
        progress.start(&done.name, last_step * replicas as u64);
        let mut job = Job {
            study,
            motion: &prepared.motion,
            observables,
            instants: &prepared.instants,
            windows: prepared.windows,
            replicas,
            kept: done.kept,
            path: None,
        };
        let mut stopped = false;
        stopwatch::take();
        if study.dynamics[index].law.deterministic() && study.one_start() {
            job.path = job.common_path(&mut |_| !stop.load(Ordering::Relaxed));
            stopped = job.path.is_none();
        }
        reserve(&mut done);
        let tiles = most.unwrap_or_else(|| prepared.motion.tiles(replicas));
        let mut sizes = Vec::new();
        let mut folds = vec![Fold::default(); observables.len()];
        while !stopped {
            let from = done.replicas;
            let round = blocks(replicas - from, tiles.min(precision::STEP / LANES));
            job.replicas = replicas;
            let finished = pool::run(&pool, &job, from, &round, stop, progress, |mut block, tiles| {
                for (fold, observable) in folds.iter_mut().zip(&mut block.observables) {
                    fold.push(tiles, std::mem::take(&mut observable.ensemble));
                }
                let block = Arc::new(block);
                sink.block(index, &block)?;
                append(&mut done, &block);
                Ok(())
            })?;
            sizes.extend(round);
            stopped = !finished;
            let more = precision.filter(|_| finished).and_then(|p| precision::next(p, &done));
            let Some(more) = more else { break };
            progress.finish();
            progress.start(&done.name, last_step * (more - replicas) as u64);
            replicas = more;
        }
        done.requested = replicas;
        for (observable, fold) in done.observables.iter_mut().zip(folds) {
            observable.ensemble = fold.finish();
            // Without a single replica: nothing was counted anywhere.
            observable.ensemble.resize(done.times.len() * observable.components(), Moments::default());
        }
        if let (None, false, Some(&(replica, step))) = (&done.failure, stopped, done.diverged.first()) {
            let go_on = || !stop.load(Ordering::Relaxed);
            let why = diagnosis::of(study, &study.dynamics[index], &prepared.motion, replica, step, &go_on);
            done.failure = why.map(|why| (replica, why));
        }
        done.seconds = began.elapsed().as_secs_f64();
        progress.finish();
        sink.finish(index, &done)?;
        done.profile = profile(&done, &sizes, pool.current_num_threads());
        record.dynamics.push(done);
        if stopped {
            record.interrupted = true;
            break;
        }
    }
    if !record.interrupted {
        ladders.run(study, &pool, stop, progress, most, &mut record)?;
    }
    Ok(record)
}

/// How a dynamics was computed, if the clocks run.
fn profile(done: &DynamicsRecord, sizes: &[usize], threads: usize) -> Option<Profile> {
    let steps = done.steps.last().copied().unwrap_or(0) as f64 * done.replicas as f64;
    stopwatch::running().then(|| Profile {
        threads,
        block: sizes.first().copied().unwrap_or(0) * LANES,
        blocks: sizes.len(),
        level: Level::current().name(),
        steps_a_second: steps / done.seconds,
        sections: Section::ALL.iter().map(|s| s.name()).zip(stopwatch::take()).collect(),
    })
}

/// The runs that claims need beside the study's own, before the first of them.
struct Ladders {
    runs: Vec<HiddenPlan>,
}

/// One of them, and what its claims look at.
struct HiddenPlan {
    name: String,
    prepared: Prepared,
    observables: Vec<Observable>,
}

impl Ladders {
    fn new(study: &Study, observables: &[Observable]) -> Result<Self, RunError> {
        let asked = |run: &HiddenRun, name: &str| {
            study.claims.iter().any(|claim| match &claim.law {
                ClaimLaw::Convergence(ladder) => {
                    ladder.observable == name && ladder.rungs.iter().any(|(of, to)| of == run || to == run)
                }
                _ => false,
            })
        };
        let runs = study
            .hidden_runs()
            .into_iter()
            .map(|run| {
                Ok(HiddenPlan {
                    name: run.dynamics.name.clone(),
                    prepared: Prepared::new(study, &run.dynamics, run.together)?,
                    observables: observables.iter().filter(|o| asked(run, &o.name)).cloned().collect(),
                })
            })
            .collect::<Result<_, RunError>>()?;
        Ok(Self { runs })
    }

    /// Replica-steps of all.
    fn steps(&self, study: &Study) -> u64 {
        let last = |run: &HiddenPlan| run.prepared.instants.last().map_or(0, |now| now.step);
        let each = self.runs.iter().map(|run| last(run).saturating_mul(study.run.replicas as u64));
        each.fold(0, u64::saturating_add)
    }

    /// Runs them; of each only the last instant is kept.
    fn run(
        &self,
        study: &Study,
        pool: &rayon::ThreadPool,
        stop: &AtomicBool,
        progress: &dyn Progress,
        most: Option<usize>,
        record: &mut Record,
    ) -> Result<(), RunError> {
        for HiddenPlan { name, prepared, observables } in &self.runs {
            if stop.load(Ordering::Relaxed) {
                record.interrupted = true;
                return Ok(());
            }
            let replicas = study.run.replicas;
            let last_step = prepared.instants.last().map_or(0, |now| now.step);
            progress.start(name, last_step * replicas as u64);
            let windows = prepared.windows;
            let job = Job {
                study,
                motion: &prepared.motion,
                observables,
                instants: &prepared.instants,
                windows,
                replicas,
                kept: 0,
                path: None,
            };
            let mut done = DynamicsRecord {
                name: name.clone(),
                requested: replicas,
                steps: prepared.instants.iter().map(|now| now.step).collect(),
                times: prepared.instants.iter().map(|now| now.time).collect(),
                observables: observables.iter().map(|observable| blank(observable, windows)).collect(),
                ..DynamicsRecord::default()
            };
            let sizes = blocks(replicas, most.unwrap_or_else(|| prepared.motion.tiles(replicas)));
            let finished = pool::run(pool, &job, 0, &sizes, stop, progress, |block, _| {
                done.replicas = block.first + block.replicas;
                done.diverged.extend_from_slice(&block.diverged);
                for (to, from) in done.observables.iter_mut().zip(&block.observables) {
                    to.last.extend_from_slice(&from.last);
                }
                Ok(())
            })?;
            progress.finish();
            record.hidden.push(done);
            if !finished {
                record.interrupted = true;
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What a run would refuse before its first step: laws of motion that look for a minimum, and find none.
///
/// # Errors
/// [`RunError::Dynamics`].
pub fn check(study: &Study) -> Result<(), RunError> {
    let about_minima = study.dynamics.iter().filter(|d| d.law == Law::OrnsteinUhlenbeck);
    about_minima.map(|dynamics| Prepared::new(study, dynamics, None)).try_for_each(|found| found.map(drop))
}

/// One dynamics before its first block.
pub(super) struct Prepared {
    pub(super) motion: Motion,
    pub(super) instants: Vec<Clock>,
    pub(super) windows: Windows,
}

impl Prepared {
    pub(super) fn new(study: &Study, dynamics: &Dynamics, together: Option<u32>) -> Result<Self, RunError> {
        let instants: Vec<Clock> =
            dynamics.instants.iter().map(|now| Clock { step: now.step, time: now.time }).collect();
        let system = match &study.system {
            study::System::Loss(loss) => {
                System::Loss { model: loss.model.clone(), formula: loss.formula.clone() }
            }
            study::System::Sde(equation) => System::Sde(equation.clone()),
        };
        let starts = [initial::search_start(study, 0.0), initial::search_start(study, 1.0)];
        let starts = if initial::all_fixed(&study.initial) { &starts[..1] } else { &starts[..] };
        let setting = Setting {
            law: &dynamics.law,
            training: dynamics.training.as_ref(),
            system,
            instants: &instants,
            starts,
            together,
        };
        let motion = Motion::new(&setting)
            .map_err(|reason| RunError::Dynamics { dynamics: dynamics.name.clone(), reason })?;
        let windows = Windows { instants: instants.len(), burn_in: burn_in(&instants, study.run.burn_in) };
        Ok(Self { motion, instants, windows })
    }

    /// Its record without a replica in it.
    fn record(&self, study: &Study, dynamics: &Dynamics, observables: &[Observable]) -> DynamicsRecord {
        DynamicsRecord {
            name: dynamics.name.clone(),
            steps: self.instants.iter().map(|now| now.step).collect(),
            times: self.instants.iter().map(|now| now.time).collect(),
            burn_in: self.windows.burn_in,
            requested: study.run.replicas,
            most: study.run.precision.as_ref().map_or(study.run.replicas, |precision| precision.most),
            kept: study.run.trajectories.min(study.run.replicas),
            observables: observables.iter().map(|observable| blank(observable, self.windows)).collect(),
            ..DynamicsRecord::default()
        }
    }
}

/// Index of the first instant after `share` of the time; a time that misses it by rounding alone counts.
fn burn_in(instants: &[Clock], share: f64) -> usize {
    let (Some(first), Some(last)) = (instants.first(), instants.last()) else { return 0 };
    let length = last.time - first.time;
    let end = first.time + share * length;
    instants.iter().position(|now| now.time >= end - 1e-9 * length).unwrap_or(instants.len())
}

/// Asks for the memory that the record will need, so that it is not moved again and again; what the system will not promise is asked for as it
/// comes.
fn reserve(done: &mut DynamicsRecord) {
    let (replicas, kept, instants) = (done.requested, done.kept, done.times.len());
    for observable in &mut done.observables {
        let components = observable.components();
        let s = &mut observable.stationary;
        for list in [
            &mut observable.last,
            &mut observable.max_change,
            &mut s.mean,
            &mut s.variance,
            &mut s.first_mean,
            &mut s.first_variance,
            &mut s.second_mean,
            &mut s.second_variance,
        ] {
            let _refused = list.try_reserve_exact(replicas.saturating_mul(components)).is_err();
        }
        let path = kept.saturating_mul(instants).saturating_mul(components);
        let _refused = observable.trajectories.try_reserve_exact(path).is_err();
    }
}

/// Adds a block's numbers behind those of the blocks before it.
fn append(done: &mut DynamicsRecord, block: &BlockRecord) {
    done.replicas = block.first + block.replicas;
    done.diverged.extend_from_slice(&block.diverged);
    if done.failure.is_none() {
        done.failure.clone_from(&block.failure);
    }
    for (to, from) in done.observables.iter_mut().zip(&block.observables) {
        to.last.extend_from_slice(&from.last);
        to.max_change.extend_from_slice(&from.max_change);
        to.trajectories.extend_from_slice(&from.trajectories);
        let (to, from) = (&mut to.stationary, &from.stationary);
        to.mean.extend_from_slice(&from.mean);
        to.variance.extend_from_slice(&from.variance);
        to.first_mean.extend_from_slice(&from.first_mean);
        to.first_variance.extend_from_slice(&from.first_variance);
        to.second_mean.extend_from_slice(&from.second_mean);
        to.second_variance.extend_from_slice(&from.second_variance);
    }
}
