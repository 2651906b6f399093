//! One block of replicas from the start to the last recorded instant.

use crate::dynamics::{Clock, Motion, Stepper};
use crate::ensemble::initial;
use crate::ensemble::kernels::taint;
use crate::ensemble::observe::{State, Tracker, Windows, books};
use crate::ensemble::sink::BlockRecord;
use crate::lanes::stopwatch::{self, Section};
use crate::lanes::{LANES, Lane};
use crate::study::{Observable, Study};

/// What all blocks of a dynamics have in common.
pub struct Job<'a> {
    /// The study.
    pub study: &'a Study,
    /// The law made ready.
    pub motion: &'a Motion,
    /// What is recorded.
    pub observables: &'a [Observable],
    /// When.
    pub instants: &'a [Clock],
    /// Stationary windows.
    pub windows: Windows,
    /// Replicas of the ensemble.
    pub replicas: usize,
    /// The first of them, whose whole path is kept.
    pub kept: usize,
    /// The one path of all replicas, where law and start are the same for all.
    pub path: Option<CommonPath>,
}

/// The path of all replicas of a law without noise from one start.
pub struct CommonPath {
    points: Vec<Point>,
    /// Why it was given up, if it was.
    failure: Option<String>,
}

/// An instant of a path that all replicas share.
pub struct Point {
    theta: Vec<f64>,
    books: Vec<Vec<f64>>,
}

impl Job<'_> {
    /// The path that all replicas share; `None` if they do not, or if `pulse` ended it.
    pub fn common_path(&self, pulse: &mut dyn FnMut(u64) -> bool) -> Option<CommonPath> {
        let layout = self.study.layout();
        let mut theta = vec![Lane::default(); layout.len()];
        initial::fill(&mut theta, &self.study.starting_laws(), layout, self.study.run.seed, 0, 1);
        let kept = books(self.observables);
        let mut rows: Vec<Vec<Lane>> = kept.iter().map(|book| vec![Lane::default(); book.rows()]).collect();
        let mut stepper = self.motion.stepper_with(&kept, self.study.run.seed, 0, 1);
        let mut path = Vec::with_capacity(self.instants.len());
        let mut before: Option<Clock> = None;
        for &now in self.instants {
            if let Some(before) = before
                && !stepper.advance(&mut theta, before, now, pulse)
            {
                return None;
            }
            stepper.accounts(&theta, &mut rows);
            let first = |lanes: &Vec<Lane>| lanes.iter().map(|x| x.0[0]).collect::<Vec<f64>>();
            path.push(Point { theta: first(&theta), books: rows.iter().map(first).collect() });
            before = Some(now);
        }
        let failure = stepper.failures().first().map(|f| f.reason.clone());
        Some(CommonPath { points: path, failure })
    }

    /// Simulates `tiles` vectors from replica `first` on; `None` if `pulse`, told of replica-steps, ended it.
    pub fn run(&self, first: usize, tiles: usize, pulse: &mut dyn FnMut(u64) -> bool) -> Option<BlockRecord> {
        let layout = self.study.layout();
        let seed = self.study.run.seed;
        let replicas = (LANES * tiles).min(self.replicas - first);
        let kept = self.kept.saturating_sub(first).min(replicas);
        let mut theta = vec![Lane::default(); layout.len() * tiles];
        let kept_books = books(self.observables);
        let mut rows: Vec<Vec<Lane>> =
            kept_books.iter().map(|book| vec![Lane::default(); book.rows() * tiles]).collect();
        let mut stepper: Option<Box<dyn Stepper>> = None;
        if self.path.is_none() {
            initial::fill(&mut theta, &self.study.starting_laws(), layout, seed, first as u64, tiles);
            stepper = Some(self.motion.stepper_with(&kept_books, seed, first as u64, tiles));
        }
        let times: Vec<f64> = self.instants.iter().map(|now| now.time).collect();
        let mut book = 0;
        let mut trackers: Vec<Tracker> = self
            .observables
            .iter()
            .map(|observable| {
                let before = book;
                book += usize::from(observable.kind.book().is_some());
                Tracker::new(observable, before, &times, self.windows, tiles, replicas, kept)
            })
            .collect();
        let mut alive: Vec<u8> = (0..tiles).map(|t| padding(replicas.saturating_sub(t * LANES))).collect();
        let mut tainted = vec![Lane::default(); tiles];
        let mut diverged = Vec::new();
        let mut before: Option<Clock> = None;
        for (index, &now) in self.instants.iter().enumerate() {
            if let Some(path) = &self.path {
                let point = &path.points[index];
                spread(&mut theta, &point.theta, tiles);
                for (rows, values) in rows.iter_mut().zip(&point.books) {
                    spread(rows, values, tiles);
                }
            } else if let (Some(stepper), Some(before)) = (&mut stepper, before) {
                let _step = stopwatch::enter(Section::Gradient);
                let mut beat = |steps: u64| pulse(steps * replicas as u64);
                if !stepper.advance(&mut theta, before, now, &mut beat) {
                    return None;
                }
            }
            if let Some(stepper) = stepper.as_ref().filter(|_| !rows.is_empty()) {
                stepper.accounts(&theta, &mut rows);
            }
            if !pulse(0) {
                return None;
            }
            let _observing = stopwatch::enter(Section::Observables);
            before = Some(now);
            tainted.fill(Lane::default());
            taint(&mut tainted, &theta);
            let velocity = stepper.as_ref().map_or(&[][..], |stepper| stepper.velocity());
            for tracker in &mut trackers {
                tracker.evaluate(State { instant: index, theta: &theta, velocity, books: &rows });
                taint(&mut tainted, tracker.value());
            }
            for (t, (alive, tainted)) in alive.iter_mut().zip(&tainted).enumerate() {
                for l in 0..LANES {
                    if *alive >> l & 1 == 1 && tainted.0[l].is_nan() {
                        *alive &= !(1 << l);
                        diverged.push((first + t * LANES + l, now.step));
                    }
                }
            }
            for tracker in &mut trackers {
                tracker.record(index, &alive);
            }
        }
        if self.path.is_some() && !pulse(before.map_or(0, |b| b.step) * replicas as u64) {
            return None;
        }
        let _observing = stopwatch::enter(Section::Observables);
        diverged.sort_unstable();
        let observables = trackers.into_iter().map(|tracker| tracker.finish(&alive)).collect();
        let own = stepper.iter().flat_map(|s| s.failures()).map(|f| (first + f.lane, f.reason.clone()));
        let common = self.path.iter().filter_map(|p| p.failure.clone()).map(|reason| (first, reason));
        let failure = own.chain(common).filter(|f| f.0 < first + replicas).min_by_key(|f| f.0);
        Some(BlockRecord { first, replicas, diverged, failure, observables })
    }
}

/// The same values in every lane of `tiles` vectors.
fn spread(block: &mut [Lane], values: &[f64], tiles: usize) {
    for (row, &x) in block.chunks_exact_mut(tiles).zip(values) {
        row.fill(Lane::splat(x));
    }
}

/// Bits of the first `replicas` lanes of a tile.
fn padding(replicas: usize) -> u8 {
    if replicas >= LANES { u8::MAX } else { (1 << replicas) - 1 }
}
