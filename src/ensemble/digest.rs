//! A fingerprint of all recorded numbers.
//!
//! SHA-256 over 64-bit little-endian words: the bits of each number (all NaNs as one), counts as integers, texts as their length
//! in bytes and their bytes. A record: number of dynamics, then each one. A dynamics: name, replicas, steps, times, `burn_in`, diverged
//! (replica, step), kept, number of observables, then each one. An observable: name, shape, ensemble moments (count, mean,
//! m2, m3, m4, min, max) by `[time][component]`, last, stationary (instants, mean, variance, first mean, first variance, second mean,
//! second variance), max change, trajectories. Every list is preceded by its length. Wall-clock time and `hidden` are left out.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::ensemble::record::{DynamicsRecord, ObservableRecord, Record};

/// SHA-256, in hexadecimal, of every recorded number of a record.
pub fn digest(record: &Record) -> String {
    let mut hash = Hash::default();
    hash.count(record.dynamics.len());
    for dynamics in &record.dynamics {
        hash.header(dynamics, dynamics.replicas);
        for observable in &dynamics.observables {
            hash.text(&observable.name);
            hash.counts(&observable.shape);
            hash.count(observable.ensemble.len());
            for m in &observable.ensemble {
                hash.word(m.count);
                for x in [m.mean, m.m2, m.m3, m.m4, m.min, m.max] {
                    hash.number(x);
                }
            }
            hash.replicas(observable, dynamics.replicas, dynamics.kept, dynamics.times.len());
        }
    }
    hash.finish()
}

/// SHA-256, in hexadecimal, of the numbers of the first `replicas` replicas alone: equal for an ensemble and a longer one.
/// As [`digest`] without the ensemble moments, every list of replicas cut to the first.
pub fn digest_of_first(record: &Record, replicas: usize) -> String {
    let mut hash = Hash::default();
    hash.count(record.dynamics.len());
    for dynamics in &record.dynamics {
        let replicas = replicas.min(dynamics.replicas);
        hash.header(dynamics, replicas);
        for observable in &dynamics.observables {
            hash.text(&observable.name);
            hash.counts(&observable.shape);
            hash.replicas(observable, replicas, dynamics.kept.min(replicas), dynamics.times.len());
        }
    }
    hash.finish()
}

/// Bytes that are hashed at once.
const CHUNK: usize = 4096;

#[derive(Default)]
struct Hash {
    state: Sha256,
    waiting: Vec<u8>,
}

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.state.update(&self.waiting);
            self.waiting.clear();
        }
    }
    fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }
    fn count(&mut self, count: usize) {
        self.word(count as u64);
    }
    fn number(&mut self, x: f64) {
        self.word(if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() });
    }
    fn numbers(&mut self, numbers: &[f64]) {
        self.count(numbers.len());
        for &x in numbers {
            self.number(x);
        }
    }
    fn counts(&mut self, counts: &[usize]) {
        self.count(counts.len());
        for &x in counts {
            self.count(x);
        }
    }
    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }
    fn header(&mut self, dynamics: &DynamicsRecord, replicas: usize) {
        self.text(&dynamics.name);
        self.count(replicas);
        self.count(dynamics.steps.len());
        for &step in &dynamics.steps {
            self.word(step);
        }
        self.numbers(&dynamics.times);
        self.count(dynamics.burn_in);
        let diverged: Vec<_> = dynamics.diverged.iter().filter(|d| d.0 < replicas).collect();
        self.count(diverged.len());
        for (replica, step) in diverged {
            self.count(*replica);
            self.word(*step);
        }
        self.count(dynamics.kept.min(replicas));
        self.count(dynamics.observables.len());
    }
    /// The numbers of the first replicas of an observable.
    fn replicas(&mut self, observable: &ObservableRecord, replicas: usize, kept: usize, instants: usize) {
        let components = observable.components();
        let mut first = |values: &[f64], count: usize| self.numbers(&values[..count.min(values.len())]);
        first(&observable.last, replicas * components);
        let s = &observable.stationary;
        first(&[s.instants as f64], 1);
        for values in
            [&s.mean, &s.variance, &s.first_mean, &s.first_variance, &s.second_mean, &s.second_variance]
        {
            first(values, replicas * components);
        }
        first(&observable.max_change, replicas * components);
        first(&observable.trajectories, kept * instants * components);
    }
    fn finish(mut self) -> String {
        self.state.update(&self.waiting);
        self.state.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::moments::Moments;

    fn record(replicas: usize) -> Record {
        let numbers = |offset: f64| (0..replicas).map(|r| offset + r as f64).collect::<Vec<_>>();
        let mut observable = ObservableRecord {
            name: "x".to_owned(),
            ensemble: vec![Moments::of(numbers(0.5))],
            last: numbers(1.0),
            max_change: numbers(2.0),
            trajectories: numbers(0.0)[..2].to_vec(),
            ..ObservableRecord::default()
        };
        observable.stationary.mean = numbers(3.0);
        let dynamics = DynamicsRecord {
            name: "sgd".to_owned(),
            steps: vec![0],
            times: vec![0.0],
            replicas,
            kept: 2,
            observables: vec![observable],
            ..DynamicsRecord::default()
        };
        Record { dynamics: vec![dynamics], ..Record::default() }
    }

    #[test]
    fn every_number_counts_and_seconds_do_not() {
        let one = digest(&record(4));
        assert_eq!(one.len(), 64);
        let mut other = record(4);
        other.dynamics[0].seconds = 3.0;
        assert_eq!(digest(&other), one);
        other.dynamics[0].observables[0].last[3] += 1e-15 * 4.0;
        assert_ne!(digest(&other), one);
        let mut other = record(4);
        other.dynamics[0].observables[0].ensemble[0].m4 += 1.0;
        assert_ne!(digest(&other), one);
        let mut other = record(4);
        other.dynamics[0].diverged.push((1, 7));
        assert_ne!(digest(&other), one);
    }

    #[test]
    fn the_first_replicas_of_a_longer_ensemble_are_the_same() {
        assert_eq!(digest_of_first(&record(9), 4), digest_of_first(&record(4), 4));
        assert_ne!(digest_of_first(&record(9), 5), digest_of_first(&record(4), 5));
        let mut other = record(9);
        other.dynamics[0].observables[0].stationary.mean[3] = 0.0;
        assert_ne!(digest_of_first(&other, 4), digest_of_first(&record(4), 4));
    }
}
