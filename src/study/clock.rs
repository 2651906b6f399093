//! The clock t = Σ η that all dynamics of a study share, and the instants that are recorded on it.

use super::resolved::Instant;
use crate::dynamics::Schedule;
use crate::lanes::math::scalar;

/// Most instants that a dynamics records.
pub const MOST_INSTANTS: u64 = 1_000_000;

/// First instant of `{ log = n }` where there are no steps to begin with, relative to the whole time.
const LOG_START: f64 = 1e-3;

/// A time that differs from an instant by no more than this share of itself is that instant.
pub const SAME: f64 = 1e-9;

/// When to record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// n instants after the start, evenly in steps.
    Count(u64),
    /// Every so much time, and the end.
    Every(f64),
    /// n instants after the start, evenly in the logarithm of the step, from the first step to the last.
    Log(u64),
    /// These times, increasing, and the end.
    At(Vec<f64>),
}

/// Length of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// `[training]`'s rate and the iterations it makes; `None` where only time counts.
    pub steps: Option<(Schedule, u64)>,
    /// T.
    pub time: f64,
}

/// The iteration whose time is nearest to `time`: round(time/η) for a constant rate.
pub fn steps_for(schedule: &Schedule, time: f64) -> u64 {
    let mut begin = 0.0;
    for (i, &(first, rate)) in schedule.pieces.iter().enumerate() {
        let next = schedule.pieces.get(i + 1).map(|p| p.0);
        let length = next.map_or(f64::INFINITY, |n| (n - first) as f64 * rate);
        if time <= begin + length {
            let steps = ((time - begin) / rate).round().max(0.0);
            return first.saturating_add(steps as u64);
        }
        begin += length;
    }
    0
}

/// What runs on the clock.
#[derive(Clone, Copy, Debug)]
pub enum Pace<'a> {
    /// Iterations of a schedule.
    Schedule(&'a Schedule),
    /// In continuous time beside the iterations of a schedule.
    Flow(&'a Schedule),
    /// Steps of a fixed length.
    Step(f64),
    /// Transitions from instant to instant.
    Instants,
}

impl Record {
    /// Given in times, and not counted.
    fn in_times(&self) -> bool {
        matches!(self, Record::Every(_) | Record::At(_))
    }
}

impl Clock {
    /// Iterations of a dynamics until T.
    pub fn steps_of(&self, pace: Pace<'_>) -> u64 {
        match (pace, &self.steps) {
            (Pace::Schedule(own) | Pace::Flow(own), Some((study, steps))) if own == study => *steps,
            (Pace::Schedule(own) | Pace::Flow(own), _) => steps_for(own, self.time),
            (Pace::Step(dt), _) => (self.time / dt).round() as u64,
            (Pace::Instants, _) => u64::MAX,
        }
    }

    /// Instants that `record` asks for, as a dynamics of that pace can reach them: the start, then increasing.
    pub fn instants(&self, record: &Record, pace: Pace<'_>) -> Vec<Instant> {
        let total = self.steps_of(pace);
        let mut instants = vec![Instant { step: 0, time: 0.0 }];
        let mut push = |step: u64, time: f64| {
            if instants.last().is_some_and(|last| step > last.step) {
                instants.push(Instant { step, time });
            }
        };
        match (pace, &self.steps) {
            (Pace::Flow(_), _) if record.in_times() => {
                for time in self.times(record, 1.0) {
                    let now = self.nearest(pace, time);
                    if instants.last().is_some_and(|last| now.time > last.time) {
                        instants.push(now);
                    }
                }
            }
            (Pace::Schedule(own), _) if record.in_times() => {
                for time in self.times(record, 1.0) {
                    let step = steps_for(own, time).min(total);
                    push(step, own.time(step));
                }
                push(total, own.time(total));
            }
            (Pace::Schedule(own) | Pace::Flow(own), Some((study, _))) if own == study => {
                for step in Self::study_steps(record, total) {
                    push(step, own.time(step));
                }
            }
            (Pace::Schedule(own) | Pace::Flow(own), Some((study, steps))) => {
                for step in Self::study_steps(record, *steps) {
                    // T itself, where the study's own steps only come near it.
                    let time = if step == *steps { self.time } else { study.time(step) };
                    let step = steps_for(own, time);
                    push(step, own.time(step));
                }
            }
            (Pace::Schedule(own) | Pace::Flow(own), None) => {
                for time in self.times(record, 1.0 / total.max(1) as f64) {
                    let step = steps_for(own, time);
                    push(step, own.time(step));
                }
            }
            (Pace::Step(dt), _) => {
                for time in self.times(record, 1.0 / total.max(1) as f64) {
                    let step = (time / dt).round() as u64;
                    push(step, step as f64 * dt);
                }
            }
            (Pace::Instants, _) => {
                let mut step = 0;
                for time in self.times(record, LOG_START) {
                    if time > 0.0 {
                        step += 1;
                        push(step, time);
                    }
                }
            }
        }
        if let (Pace::Flow(_), Some(last)) = (pace, instants.last_mut())
            && last.step > 0
        {
            last.time = self.nearest(pace, self.time).time;
        }
        instants
    }

    /// The instant nearest to `time` that a dynamics of that pace can reach.
    fn nearest(&self, pace: Pace<'_>, time: f64) -> Instant {
        match pace {
            Pace::Schedule(own) => {
                let step = steps_for(own, time).min(self.steps_of(pace));
                Instant { step, time: own.time(step) }
            }
            Pace::Flow(own) => {
                let step = steps_for(own, time).min(self.steps_of(pace));
                let of_step = own.time(step);
                if (of_step - time).abs() <= SAME * time {
                    Instant { step, time: of_step }
                } else {
                    // Iterations that are over by then.
                    Instant { step: step - u64::from(of_step > time && step > 0), time }
                }
            }
            Pace::Step(dt) => {
                let step = ((time / dt).round() as u64).min(self.steps_of(pace));
                Instant { step, time: step as f64 * dt }
            }
            Pace::Instants => Instant { step: 0, time },
        }
    }

    /// The ends of steps before and after a time that is the end of none, of a dynamics of that pace; the second is missing where the run is over.
    pub fn around(&self, pace: Pace<'_>, time: f64) -> Option<(f64, Option<f64>)> {
        let Instant { step, time: found } = self.nearest(pace, time);
        if (found - time).abs() <= SAME * time {
            return None;
        }
        let of_step = |step: u64| match pace {
            Pace::Schedule(own) | Pace::Flow(own) => own.time(step),
            Pace::Step(dt) => step as f64 * dt,
            Pace::Instants => time,
        };
        if found > time {
            return Some((of_step(step.saturating_sub(1)), Some(found)));
        }
        let next = (step < self.steps_of(pace)).then(|| of_step(step + 1));
        Some((found, next))
    }

    /// Adds the instant nearest to `time` that a dynamics of that pace can reach, unless it is there already.
    pub fn insert(&self, instants: &mut Vec<Instant>, pace: Pace<'_>, time: f64) {
        let now = self.nearest(pace, time.clamp(0.0, self.time));
        let near = |i: &Instant| (i.time - now.time).abs() <= SAME * self.time;
        if instants.iter().any(near) {
            return;
        }
        let place = instants.partition_point(|i| i.time < now.time);
        instants.insert(place, now);
        if matches!(pace, Pace::Instants) {
            for (step, instant) in instants.iter_mut().enumerate() {
                instant.step = step as u64;
            }
        }
    }

    /// Instants in the study's own steps, of a record that is counted.
    fn study_steps(record: &Record, steps: u64) -> Vec<u64> {
        match *record {
            Record::Count(n) => {
                let n = n.clamp(1, steps.max(1));
                (1..=n).map(|k| nearest_share(k, n, steps)).collect()
            }
            Record::Log(n) => {
                let n = n.clamp(1, steps.max(1));
                let range = scalar::ln(steps.max(1) as f64);
                let mut list: Vec<u64> =
                    (0..n).map(|k| scalar::exp(range * share(k, n - 1)).round() as u64).collect();
                if let Some(last) = list.last_mut() {
                    *last = steps;
                }
                list
            }
            Record::Every(_) | Record::At(_) => Vec::new(),
        }
    }

    /// Times that were asked for one by one: not those that are only counted, nor the end.
    pub fn asked(&self, record: &Record) -> Vec<f64> {
        match record {
            Record::Every(every) => {
                let whole = (self.time / every * (1.0 + 1e-12)).floor().min(MOST_INSTANTS as f64) as u64;
                (1..=whole).map(|k| k as f64 * every).collect()
            }
            Record::At(times) => times.clone(),
            Record::Count(_) | Record::Log(_) => Vec::new(),
        }
    }

    /// Instants in time; `first` is the first of a logarithmic scale, relative to T.
    fn times(&self, record: &Record, first: f64) -> Vec<f64> {
        match *record {
            Record::Count(n) => {
                let n = n.clamp(1, MOST_INSTANTS);
                (1..=n).map(|k| self.time * (k as f64 / n as f64)).collect()
            }
            Record::Every(_) | Record::At(_) => {
                let mut list = self.asked(record);
                let near = SAME * if let Record::Every(every) = record { *every } else { self.time };
                match list.last_mut() {
                    Some(last) if self.time - *last < near => *last = self.time,
                    _ => list.push(self.time),
                }
                list
            }
            Record::Log(n) => {
                let n = n.clamp(1, MOST_INSTANTS);
                let range = -scalar::ln(first.min(1.0));
                let mut list: Vec<f64> =
                    (0..n).map(|k| self.time * scalar::exp(-range * (1.0 - share(k, n - 1)))).collect();
                if let Some(last) = list.last_mut() {
                    *last = self.time;
                }
                list
            }
        }
    }
}

/// k/n, 1 where there is only one.
fn share(k: u64, n: u64) -> f64 {
    if n == 0 { 1.0 } else { k as f64 / n as f64 }
}

/// round(k·steps/n), in whole numbers.
fn nearest_share(k: u64, n: u64, steps: u64) -> u64 {
    let (k, n, steps) = (u128::from(k), u128::from(n), u128::from(steps));
    u64::try_from((2 * k * steps + n) / (2 * n)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(rate: f64, steps: u64) -> Clock {
        let schedule = Schedule::constant(rate);
        let time = schedule.time(steps);
        Clock { steps: Some((schedule, steps)), time }
    }

    fn steps(instants: &[Instant]) -> Vec<u64> {
        instants.iter().map(|i| i.step).collect()
    }

    #[test]
    fn instants_that_claims_ask_for_are_added_in_their_place() {
        let clock = constant(0.1, 400);
        let own = Schedule::constant(0.1);
        let pace = Pace::Schedule(&own);
        let mut list = clock.instants(&Record::Count(100), pace);
        let before = list.len();
        clock.insert(&mut list, pace, 1.2);
        assert_eq!(list.len(), before);
        clock.insert(&mut list, pace, 1.0);
        assert_eq!(steps(&list)[..5], [0, 4, 8, 10, 12]);
        assert!((list[3].time - 1.0).abs() < 1e-12);
        let mut exact = clock.instants(&Record::Count(4), Pace::Instants);
        clock.insert(&mut exact, Pace::Instants, 15.0);
        assert_eq!(steps(&exact), [0, 1, 2, 3, 4, 5]);
        assert_eq!(exact[2].time, 15.0);
    }

    #[test]
    fn counted_instants_are_even_and_end_at_the_end() {
        let clock = constant(0.1, 10);
        let own = Schedule::constant(0.1);
        let list = clock.instants(&Record::Count(4), Pace::Schedule(&own));
        assert_eq!(steps(&list), [0, 3, 5, 8, 10]);
        assert_eq!(list[4].time, own.time(10));
        assert_eq!(steps(&clock.instants(&Record::Count(100), Pace::Schedule(&own))).len(), 11);
    }

    #[test]
    fn another_rate_reaches_the_same_times_with_its_own_steps() {
        let clock = constant(0.1, 100);
        let slow = Schedule::constant(0.01);
        let list = clock.instants(&Record::Count(10), Pace::Schedule(&slow));
        assert_eq!(steps(&list), [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
        assert!((list[10].time - 10.0).abs() < 1e-12);
        assert_eq!(clock.steps_of(Pace::Schedule(&Schedule::constant(0.3))), 33);
        // A time that is no whole number of the study's steps: each dynamics comes as near to it as it can.
        let clock = Clock { steps: Some((Schedule::constant(0.3), 3)), time: 1.0 };
        let fine = Schedule::constant(0.01);
        let last = *clock.instants(&Record::Count(3), Pace::Schedule(&fine)).last().unwrap();
        assert_eq!((last.step, clock.steps_of(Pace::Schedule(&fine))), (100, 100));
    }

    #[test]
    fn times_that_are_asked_for_are_kept_or_refused() {
        let sde = Clock { steps: None, time: 1.0 };
        let list = Record::At(vec![0.1, 0.3, 0.7]);
        let step = Pace::Step(0.1);
        assert_eq!(steps(&sde.instants(&list, step)), [0, 1, 3, 7, 10]);
        // 3 · 0.1 differs from 0.3 in its last bit.
        assert_eq!(sde.around(step, 0.3), None);
        let (before, after) = sde.around(step, 0.25).unwrap();
        assert!((before - 0.2).abs() < 1e-12 && (after.unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(sde.around(Pace::Step(0.3), 1.0), Some((3.0 * 0.3, None)));
        assert_eq!(sde.around(Pace::Instants, 0.123), None);
        assert_eq!(sde.asked(&Record::Every(0.4)).len(), 2);
        // Of two rates, each on its own grid, whatever the study's own is.
        let clock = constant(0.1, 10);
        let (fine, coarse) = (Schedule::constant(0.05), Schedule::constant(0.2));
        let list = Record::At(vec![0.25, 0.4]);
        assert_eq!(steps(&clock.instants(&list, Pace::Schedule(&fine))), [0, 5, 8, 20]);
        assert!(clock.around(Pace::Schedule(&coarse), 0.25).is_some());
        assert_eq!(clock.around(Pace::Schedule(&coarse), 0.4), None);
    }

    #[test]
    fn a_flow_is_recorded_at_any_time_and_ends_at_the_end() {
        let clock = Clock { steps: Some((Schedule::constant(0.3), 3)), time: 1.0 };
        let own = Schedule::constant(0.3);
        let flow = clock.instants(&Record::At(vec![0.25, 0.3, 0.31, 0.95]), Pace::Flow(&own));
        assert_eq!(flow.iter().map(|i| i.time).collect::<Vec<_>>(), [0.0, 0.25, 0.3, 0.31, 0.95, 1.0]);
        assert_eq!(steps(&flow), [0, 0, 1, 1, 3, 3]);
        assert_eq!(clock.instants(&Record::Count(3), Pace::Flow(&own)).last().unwrap().time, 1.0);
        assert_eq!(clock.instants(&Record::Count(3), Pace::Schedule(&own)).last().unwrap().time, own.time(3));
    }

    #[test]
    fn schedules_are_inverted_piece_by_piece() {
        let schedule = Schedule { pieces: vec![(0, 0.001), (5000, 0.008)] };
        for step in [0, 1, 4999, 5000, 5001, 9000] {
            assert_eq!(steps_for(&schedule, schedule.time(step)), step);
        }
    }

    #[test]
    fn every_and_log_begin_at_the_start_and_end_at_the_end() {
        let clock = constant(0.5, 21);
        let own = Schedule::constant(0.5);
        assert_eq!(
            steps(&clock.instants(&Record::Every(2.0), Pace::Schedule(&own))),
            [0, 4, 8, 12, 16, 20, 21]
        );
        let list =
            steps(&constant(1.0, 10_000).instants(&Record::Log(5), Pace::Schedule(&Schedule::constant(1.0))));
        assert_eq!(list, [0, 1, 10, 100, 1000, 10_000]);
        let sde = Clock { steps: None, time: 10.0 };
        assert_eq!(steps(&sde.instants(&Record::Every(2.5), Pace::Step(0.1))), [0, 25, 50, 75, 100]);
        let exact = sde.instants(&Record::Count(4), Pace::Instants);
        assert_eq!(
            exact.iter().map(|i| (i.step, i.time)).collect::<Vec<_>>(),
            [(0, 0.0), (1, 2.5), (2, 5.0), (3, 7.5), (4, 10.0)]
        );
        assert_eq!(sde.instants(&Record::Log(7), Pace::Instants).len(), 8);
        assert_eq!(sde.instants(&Record::Log(1), Pace::Step(0.1)).last().unwrap().step, 100);
    }
}
