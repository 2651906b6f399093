//! A short trial of each dynamics: what its steps take on this machine, and what its blocks hold.

use std::time::{Duration, Instant};

use crate::dynamics::{Clock, Law, SUBSTEPS_A_PULSE, Stepper, Training};
use crate::ensemble::block::Job;
use crate::ensemble::initial;
use crate::ensemble::observe::{State, Tracker, books};
use crate::ensemble::run::Prepared;
use crate::ensemble::{RunError, precision};
use crate::lanes::stopwatch::cpu_time;
use crate::lanes::{LANES, Lane, memory};
use crate::study::{Dynamics, Observable, Study, System};

/// Derivatives (a number of θ, a sample, a replica) that one iteration of a block may take to be tried.
const TRIED: f64 = 3e7;
/// Seconds that one takes at least, where an iteration is too long to be tried.
const STATED: f64 = 2e-10;

/// What one dynamics is expected to take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Seconds of one thread.
    pub seconds: f64,
    /// It takes longer than that: not one iteration came to its end.
    pub at_least: bool,
    /// Blocks of replicas.
    pub blocks: usize,
    /// Bytes that a block holds while it moves; 0 where allocations are not counted.
    pub block: u64,
}

/// What a study is expected to take.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// One entry a dynamics.
    pub dynamics: Vec<Expected>,
    /// One entry for each run that claims add.
    pub hidden: Vec<Expected>,
}

impl Trial {
    /// Seconds on so many threads.
    pub fn seconds(&self, threads: usize) -> f64 {
        let one = |e: &Expected| e.seconds / threads.min(e.blocks).max(1) as f64;
        self.dynamics.iter().chain(&self.hidden).map(one).sum()
    }

    /// True if some part of it was too long to be tried.
    pub fn at_least(&self) -> bool {
        self.dynamics.iter().chain(&self.hidden).any(|e| e.at_least)
    }

    /// Most bytes that a block holds.
    pub fn block(&self) -> u64 {
        self.dynamics.iter().chain(&self.hidden).map(|e| e.block).max().unwrap_or(0)
    }
}

/// Tries each dynamics for its share of `time`; an iteration that takes longer is ended after it. `observables` are as of [`run`](super::run).
///
/// # Errors
/// A law of motion that cannot move the system.
pub fn trial(study: &Study, observables: &[Observable], time: Duration) -> Result<Trial, RunError> {
    let hidden = study.hidden_runs();
    let share = time / u32::try_from(study.dynamics.len() + hidden.len()).unwrap_or(u32::MAX).max(1);
    let of = |dynamics: &Dynamics, together, observables: &[Observable], kept| {
        let prepared = Prepared::new(study, dynamics, together)?;
        Ok(expected(study, dynamics, &prepared, observables, kept, share))
    };
    Ok(Trial {
        dynamics: study
            .dynamics
            .iter()
            .map(|dynamics| of(dynamics, None, observables, study.run.trajectories))
            .collect::<Result<_, RunError>>()?,
        // What its claim looks at is not worth telling apart.
        hidden: hidden
            .iter()
            .map(|run| of(&run.dynamics, run.together, &[], 0))
            .collect::<Result<_, RunError>>()?,
    })
}

fn expected(
    study: &Study,
    dynamics: &Dynamics,
    prepared: &Prepared,
    observables: &[Observable],
    kept: usize,
    budget: Duration,
) -> Expected {
    let replicas =
        study.run.precision.as_ref().map_or(study.run.replicas, |p| precision::first(p, study.run.replicas));
    let job = Job {
        study,
        motion: &prepared.motion,
        observables,
        instants: &prepared.instants,
        windows: prepared.windows,
        replicas,
        kept,
        path: None,
    };
    let tiles = prepared.motion.tiles(replicas);
    let blocks = replicas.div_ceil(LANES * tiles).max(1);
    let one_path = dynamics.law.deterministic() && study.one_start();
    let steps = prepared.instants.last().map_or(0, |now| now.step) as f64;
    let moving = if one_path { 1 } else { tiles };
    let samples = samples(&dynamics.law, dynamics.training.as_ref(), &study.system);
    let (substeps, evaluations) = dynamics.law.substeps();
    let work = samples as f64 * evaluations as f64 * (LANES * moving) as f64 * study.layout().len() as f64;
    if work > TRIED {
        let seconds =
            work * f64::from(substeps) * steps * STATED * if one_path { 1.0 } else { blocks as f64 };
        return Expected { seconds, at_least: true, blocks, block: 0 };
    }
    let held = memory::mark();
    let tried = Tried::new(&job, tiles, moving, substeps, budget);
    let block = memory::peak().saturating_sub(held);
    let instants = prepared.instants.len() as f64;
    let others = blocks as f64 * (tried.setup + instants * tried.observation);
    let moving = steps * tried.step * if one_path { 1.0 } else { blocks as f64 };
    Expected { seconds: others + moving, at_least: tried.unfinished, blocks, block }
}

/// Samples whose gradients one evaluation takes.
fn samples(law: &Law, training: Option<&Training>, system: &System) -> usize {
    match (law, system) {
        (Law::Sgd | Law::Svag { .. }, _) => training.map_or(1, |t| t.batch),
        (Law::OrnsteinUhlenbeck | Law::Exact | Law::Integrated { .. }, _) | (_, System::Sde(_)) => 1,
        // Nodes of an infinite population are few.
        (_, System::Loss(loss)) => loss.model.population().size().unwrap_or(1),
    }
}

/// Seconds that parts of a block's work took.
struct Tried {
    setup: f64,
    observation: f64,
    step: f64,
    unfinished: bool,
}

impl Tried {
    fn new(job: &Job<'_>, tiles: usize, moving: usize, substeps: u32, budget: Duration) -> Self {
        let begin = cpu_time();
        let layout = job.study.layout();
        let seed = job.study.run.seed;
        let replicas = (LANES * tiles).min(job.replicas);
        let books_kept = books(job.observables);
        let rows = |tiles: usize| -> Vec<Vec<Lane>> {
            books_kept.iter().map(|book| vec![Lane::default(); book.rows() * tiles]).collect()
        };
        let mut theta = vec![Lane::default(); layout.len() * moving];
        initial::fill(&mut theta, &job.study.starting_laws(), layout, seed, 0, moving);
        let mut stepper = job.motion.stepper_with(&books_kept, seed, 0, moving);
        let times: Vec<f64> = job.instants.iter().map(|now| now.time).collect();
        let mut book = 0;
        let mut trackers: Vec<Tracker> = job
            .observables
            .iter()
            .map(|observable| {
                let before = book;
                book += usize::from(observable.kind.book().is_some());
                Tracker::new(observable, before, &times, job.windows, tiles, replicas, job.kept.min(replicas))
            })
            .collect();
        let setup = cpu_time().saturating_sub(begin).as_secs_f64();
        let observed = vec![theta[0]; layout.len() * tiles];
        let accounts = rows(tiles);
        let alive = vec![u8::MAX; tiles];
        let begin = cpu_time();
        for tracker in &mut trackers {
            tracker.evaluate(State { instant: 0, theta: &observed, velocity: &[], books: &accounts });
            tracker.record(0, &alive);
        }
        let observation = cpu_time().saturating_sub(begin).as_secs_f64();
        let (step, unfinished) = step(&mut *stepper, &mut theta, job.instants, substeps, budget);
        Self { setup, observation, step, unfinished }
    }
}

/// Seconds of an iteration, from stretches of 1, 2, 4, … of them: the least, for all that disturbs a measurement makes it longer. True if not one
/// came to its end. Time is the thread's own, so that what else runs on the machine does not count, and ends with `budget` of the wall's.
fn step(
    stepper: &mut dyn Stepper,
    theta: &mut [Lane],
    instants: &[Clock],
    substeps: u32,
    budget: Duration,
) -> (f64, bool) {
    let Some(end) = instants.last().filter(|end| end.step > 0) else { return (0.0, false) };
    let began = Instant::now();
    let (mut from, mut stretch, mut seconds) = (instants[0], 1, f64::INFINITY);
    while from.step < end.step && began.elapsed() < budget {
        let to = clock(instants, (from.step + stretch).min(end.step));
        let (begin, start) = (Instant::now(), cpu_time());
        // The clock is looked at now and then: looking takes as long as a small step.
        let (mut iterations, mut pauses, mut calls, mut next, mut looked) = (0, 0_u64, 0_u64, 1, begin);
        let mut pulse = |done: u64| {
            iterations += done;
            pauses += u64::from(done == 0);
            calls += 1;
            if calls < next {
                return true;
            }
            let now = Instant::now();
            let gap = if now - looked < Duration::from_micros(300) { 2 * calls } else { calls };
            (next, looked) = (gap.max(calls + 1), now);
            // A thread that was kept waiting has its time yet.
            now - began < budget || cpu_time().saturating_sub(start) < budget / 4
        };
        let finished = stepper.advance(theta, from, to, &mut pulse);
        let elapsed = cpu_time().saturating_sub(start).as_secs_f64();
        if !finished {
            let part = if substeps > SUBSTEPS_A_PULSE {
                (pauses * u64::from(SUBSTEPS_A_PULSE)) as f64 / f64::from(substeps)
            } else {
                0.0
            };
            let done = iterations as f64 + part % 1.0;
            if done > 0.0 {
                seconds = seconds.min(elapsed / done);
            }
            return if seconds.is_finite() { (seconds, false) } else { (elapsed, true) };
        }
        seconds = seconds.min(elapsed / (to.step - from.step) as f64);
        (from, stretch) = (to, 2 * stretch);
    }
    if seconds.is_finite() { (seconds, false) } else { (0.0, true) }
}

/// The time of a step, between the recorded instants around it.
fn clock(instants: &[Clock], step: u64) -> Clock {
    let after = instants.partition_point(|now| now.step < step).min(instants.len() - 1);
    let (b, a) = (instants[after], instants[after.saturating_sub(1)]);
    if b.step <= step || b.step == a.step {
        return b;
    }
    let share = (step - a.step) as f64 / (b.step - a.step) as f64;
    Clock { step, time: a.time + share * (b.time - a.time) }
}
