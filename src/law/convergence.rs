//! `convergence`: an error falls with a power of a step.
//!
//! Along a ladder of steps h_i the error D_i is the difference of two means (weak), or the mean distance on common paths (strong); its
//! logarithm is fitted by a line over ln h, and the slope is the order. Its standard error comes from the replicas: the slope is a function of the
//! D_i, to first order p + Σ a_i (d_ir/D_i − 1) for replica r, so that errors of common paths count once.
//!
//! A ladder whose slopes still change ([`super::bend`]) holds or fails only where what they tend to does so too.
//!
//! Where the reference is the same scheme with a step r, what is seen is D_i ∝ h_i^p − r^p (for paths, the root of h_i^2p − r^2p), and that is
//! fitted.

use super::bend::{Bend, Finest};
use super::diverges::{self, of_divergence};
use super::measure::component_name;
use super::number::{round_up, short};
use super::rounding::{NOTHING, Rounding};
use super::settle::{Question, Settled, settle};
use super::verdict::Verdict;
use crate::ensemble::record::{DynamicsRecord, ObservableRecord, Record};
use crate::stats::Estimate;
use crate::study::{Claim, Convergence, Study, Varied};

/// An error must be so many of its standard errors for its logarithm to mean anything.
const CLEAR: f64 = 5.0;
/// Relative error of a rung beyond what the replicas say, so that the best known rungs do not speak alone.
const MODEL: f64 = 0.02;
/// Rounds of the fit with a remainder.
const ROUNDS: usize = 50;

/// Judges the claim.
pub(super) fn judge(ladder: &Convergence, study: &Study, record: &Record, claim: &Claim) -> Settled {
    match questions(ladder, study, record) {
        Ok(fits) => settled(ladder, fits, claim.significance),
        Err(Refusal::Diverged(words)) => of_divergence(&words, claim.expect_holds),
        Err(Refusal::Unknown(reason)) => Settled::without_tests(Verdict::Undecided, reason),
    }
}

/// One fit, and how its ladder bends.
struct Fit {
    question: Question,
    bend: Option<Bend>,
}

fn settled(ladder: &Convergence, fits: Vec<Fit>, significance: f64) -> Settled {
    let (questions, bends): (Vec<Question>, Vec<Option<Bend>>) =
        fits.into_iter().map(|fit| (fit.question, fit.bend)).unzip();
    let mut settled = settle(questions, significance);
    let smallest = (0..ladder.steps.len()).min_by(|&a, &b| ladder.steps[a].total_cmp(&ladder.steps[b]));
    let Some(smallest) = smallest else { return settled };
    let value = ladder.values[smallest];
    let finest =
        Finest { name: setting(ladder.over), value, inverse: ladder.values.iter().any(|v| *v < value) };
    let mut reason = None;
    for (test, bend) in settled.tests.iter_mut().zip(bends) {
        let doubt = bend
            .filter(|_| test.verdict != Verdict::Undecided)
            .and_then(|bend| bend.doubt(test.measured, ladder.order, ladder.tolerance, &finest));
        if let Some(doubt) = doubt {
            test.verdict = Verdict::Undecided;
            reason.get_or_insert(format!("{}: {doubt}", test.quantity));
        }
    }
    let reason = reason.or(settled.reason);
    Settled::of_tests(settled.tests, reason)
}

/// Why there is nothing to fit.
enum Refusal {
    Unknown(String),
    Diverged(String),
}

fn questions(ladder: &Convergence, study: &Study, record: &Record) -> Result<Vec<Fit>, Refusal> {
    if record.hidden.is_empty() && !record.interrupted {
        let reason = "the runs of this claim are not stored: its verdict is that of the time when the study was run, in /claims of the file, and \
                      running the study again makes it anew";
        return Err(Refusal::Unknown(reason.to_owned()));
    }
    let runs = study.hidden_runs();
    let found = |wanted: &crate::study::HiddenRun| {
        runs.iter()
            .position(|run| *run == wanted)
            .and_then(|index| record.hidden.get(index))
            .filter(|done| done.replicas == done.requested)
            .ok_or_else(|| Refusal::Unknown("the run ended before the runs of this claim".to_owned()))
    };
    let mut rungs = Vec::with_capacity(ladder.rungs.len());
    for (of, to) in &ladder.rungs {
        let pair = [found(of)?, found(to)?];
        for done in pair {
            if let Some(words) = diverges::words(&done.name, done) {
                return Err(Refusal::Diverged(words));
            }
        }
        rungs.push((observable(pair[0], ladder)?, observable(pair[1], ladder)?));
    }
    let Some(&(first, _)) = rungs.first() else {
        return Err(Refusal::Unknown("no step was given".into()));
    };
    let components = first.components();
    if ladder.strong {
        let distances: Vec<Vec<f64>> = rungs
            .iter()
            .map(|(a, b)| {
                let pairs = a.last.chunks(components).zip(b.last.chunks(components));
                pairs
                    .map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt())
                    .collect()
            })
            .collect();
        let name = format!("strong order of {} ({} to {})", ladder.observable, ladder.of, ladder.to);
        return Ok(vec![question(ladder, name, &distances)]);
    }
    Ok((0..components)
        .map(|component| {
            let differences: Vec<Vec<f64>> = rungs
                .iter()
                .map(|(a, b)| {
                    let pick = |o: &ObservableRecord| -> Vec<f64> {
                        o.last.iter().skip(component).step_by(components).copied().collect()
                    };
                    pick(a).into_iter().zip(pick(b)).map(|(a, b)| a - b).collect()
                })
                .collect();
            let name = format!(
                "weak order of {} ({} to {})",
                component_name(first, component),
                ladder.of,
                ladder.to
            );
            question(ladder, name, &differences)
        })
        .collect())
}

fn observable<'a>(done: &'a DynamicsRecord, ladder: &Convergence) -> Result<&'a ObservableRecord, Refusal> {
    let found = done.observables.iter().find(|o| o.name == ladder.observable);
    found.ok_or_else(|| Refusal::Unknown(format!("`{}` was not recorded", ladder.observable)))
}

/// The setting's name in the study file.
pub(super) fn setting(varied: Varied) -> &'static str {
    match varied {
        Varied::Rate => "rate",
        Varied::Dt => "dt",
        Varied::Substeps => "substeps",
        Varied::Level => "level",
    }
}

/// One fit; `samples` holds an error a replica for each rung.
fn question(ladder: &Convergence, quantity: String, samples: &[Vec<f64>]) -> Fit {
    let errors: Vec<Estimate> = samples.iter().map(|s| Estimate::of_sample(s)).collect();
    let replicas = samples.first().map_or(0, Vec::len);
    let name = setting(ladder.over);
    let shown: Vec<String> = errors
        .iter()
        .zip(&ladder.values)
        .map(|(e, value)| {
            let error = if e.standard_error > 0.0 {
                format!("{} ± {}", short(e.value), short(e.standard_error))
            } else {
                short(e.value)
            };
            format!("{error} at {name} = {}", short(*value))
        })
        .collect();
    let unclear = errors
        .iter()
        .enumerate()
        .filter(|(_, e)| !(e.value != 0.0 && e.value.abs() >= CLEAR * e.standard_error.max(0.0)))
        .max_by(|(_, a), (_, b)| noise(a).total_cmp(&noise(b)));
    let doubt = unclear.map(|(index, e)| {
        let place = format!("{name} = {}", short(ladder.values[index]));
        if e.value == 0.0 || !e.standard_error.is_finite() {
            return format!("there is no error to speak of at {place}");
        }
        // Room for the error itself to be smaller than it looks.
        let needed = replicas as f64 * (2.0 * CLEAR * noise(e)).powi(2);
        format!(
            "the error at {place} is {} ± {}, too noisy for its logarithm; about {} replicas (now {replicas}) would tell",
            short(e.value),
            short(e.standard_error),
            round_up(needed)
        )
    });
    let (slope, weights) = fit(ladder, &errors);
    let contributions: Vec<f64> = (0..replicas)
        .map(|r| {
            let moved: f64 =
                samples.iter().zip(&errors).zip(&weights).map(|((s, e), a)| a * (s[r] / e.value - 1.0)).sum();
            slope + moved
        })
        .collect();
    let mut estimate = Estimate::of_sample(&contributions);
    estimate.value = slope;
    if errors.iter().all(|e| e.standard_error == 0.0) {
        estimate.standard_error = 0.0;
    }
    let units: Vec<Vec<f64>> = samples
        .iter()
        .zip(&errors)
        .map(|(s, e)| {
            let alike = e.standard_error == 0.0;
            s.iter().map(|x| if alike { 0.0 } else { x / e.value - 1.0 }).collect()
        })
        .collect();
    let (x, y) = (logarithms(&ladder.steps), unseen(ladder, &errors, slope));
    let bend = Bend::new(&x, &y, &precisions(&errors), &units, ladder.strong);
    let question = Question {
        quantity,
        estimate,
        prediction_error: 0.0,
        squared: None,
        predicted: ladder.order,
        tolerance: Some(ladder.tolerance),
        resolution: 0.0,
        rounding: Rounding::own(NOTHING * ladder.order),
        note: Some(shown.join(", ")),
        doubt,
        averaged: false,
    };
    Fit { question, bend }
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|x| x.ln()).collect()
}

/// Weights of a fit to ln|D|.
fn precisions(errors: &[Estimate]) -> Vec<f64> {
    errors.iter().map(|e| 1.0 / (noise(e).powi(2).min(1.0) + MODEL * MODEL)).collect()
}

/// ln|D| of the whole errors, of order `p`, where a share of them is seen.
fn unseen(ladder: &Convergence, errors: &[Estimate], p: f64) -> Vec<f64> {
    let share = |h: &f64| ladder.remainder.map_or(0.0, |r| seen(ladder.strong, r / h, p).ln());
    errors.iter().zip(&ladder.steps).map(|(e, h)| e.value.abs().ln() - share(h)).collect()
}

fn noise(e: &Estimate) -> f64 {
    if e.value == 0.0 { f64::INFINITY } else { (e.standard_error / e.value).abs() }
}

/// The slope of ln|D| over ln h, and its derivative by each ln|D_i|.
fn fit(ladder: &Convergence, errors: &[Estimate]) -> (f64, Vec<f64>) {
    let x = logarithms(&ladder.steps);
    let w = precisions(errors);
    let total: f64 = w.iter().sum();
    let center = w.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() / total;
    let spread: f64 = w.iter().zip(&x).map(|(w, x)| w * (x - center).powi(2)).sum();
    let weights: Vec<f64> = w.iter().zip(&x).map(|(w, x)| w * (x - center) / spread).collect();
    let slope_at =
        |p: f64| -> f64 { unseen(ladder, errors, p).iter().zip(&weights).map(|(y, a)| a * y).sum() };
    let mut slope = ladder.order;
    for _ in 0..ROUNDS {
        slope = slope_at(slope).max(0.05);
    }
    // p = slope_at(p): by the implicit function's derivative.
    let small = 1e-4;
    let feedback = (slope_at(slope + small) - slope_at(slope - small)) / (2.0 * small);
    let stretch = 1.0 / (1.0 - feedback);
    let slope = slope_at(slope);
    (slope, weights.into_iter().map(|a| a * stretch).collect())
}

/// Share of the error that is seen against a reference whose step is the share `r` of this one.
fn seen(strong: bool, r: f64, p: f64) -> f64 {
    if strong { (1.0 - r.powf(2.0 * p)).sqrt() } else { 1.0 - r.powf(p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(strong: bool, remainder: Option<f64>) -> Convergence {
        let values = vec![0.4, 0.2, 0.1, 0.05];
        Convergence {
            observable: "x".to_owned(),
            of: "em".to_owned(),
            to: "exact".to_owned(),
            over: Varied::Dt,
            steps: values.clone(),
            values,
            time: 1.0,
            order: 1.0,
            tolerance: 0.15,
            strong,
            rungs: vec![],
            remainder,
        }
    }

    /// `count` errors c·h^p·seen + noise·z with the same z at every step, z of mean 0 and variance 1.
    fn samples(ladder: &Convergence, p: f64, noise: f64, common: bool) -> Vec<Vec<f64>> {
        let mut stream = crate::lanes::Stream::new(3, crate::lanes::Purpose::Test, 0);
        let base: Vec<f64> = (0..2000).map(|_| stream.normal()).collect();
        let mean = base.iter().sum::<f64>() / 2000.0;
        ladder
            .steps
            .iter()
            .map(|h| {
                let error = h.powf(p) * ladder.remainder.map_or(1.0, |r| seen(ladder.strong, r / h, p));
                let z = |r: usize, stream: &mut crate::lanes::Stream| {
                    if common { error * (base[r] - mean) } else { stream.normal() }
                };
                (0..2000).map(|r| error + noise * z(r, &mut stream)).collect()
            })
            .collect()
    }

    fn verdict(ladder: &Convergence, samples: &[Vec<f64>]) -> (Verdict, f64, f64) {
        let settled = settled(ladder, vec![question(ladder, "order".to_owned(), samples)], 1e-3);
        (settled.verdict, settled.tests[0].measured, settled.tests[0].standard_error)
    }

    #[test]
    fn the_right_order_holds_and_its_neighbours_fail() {
        for (strong, remainder) in [(false, None), (false, Some(0.0125)), (true, Some(0.0125))] {
            let ladder = ladder(strong, remainder);
            for (p, expected) in
                [(1.0, Verdict::Holds), (0.5, Verdict::Fails), (2.0, Verdict::Fails), (1.5, Verdict::Fails)]
            {
                let (found, slope, _) = verdict(&ladder, &samples(&ladder, p, 0.0, true));
                assert_eq!(found, expected, "{strong} {remainder:?}: {slope} for {p}");
                assert!((slope - p).abs() < 1e-9, "{slope} for {p}");
            }
        }
    }

    #[test]
    fn noise_is_counted_and_too_much_of_it_is_undecided() {
        let ladder = ladder(false, None);
        // Scatter that all steps share, in proportion to the error, leaves the slope alone.
        let (found, slope, error) = verdict(&ladder, &samples(&ladder, 1.0, 3.0, true));
        assert_eq!(found, Verdict::Holds);
        assert!((slope - 1.0).abs() < 1e-9 && error < 1e-9, "{slope} ± {error}");
        // Scatter of each its own: 0.2/√2000 = 0.0045 on the smallest error, 0.05.
        let (found, slope, error) = verdict(&ladder, &samples(&ladder, 1.0, 0.2, false));
        assert_eq!(found, Verdict::Holds, "{slope} ± {error}");
        assert!((slope - 1.0).abs() < 5.0 * error && (0.005..0.05).contains(&error), "{slope} ± {error}");
        let (found, ..) = verdict(&ladder, &samples(&ladder, 1.0, 1.0, false));
        assert_eq!(found, Verdict::Undecided);
    }

    /// Paths that differ by √(h + b²h²): of order ½ in the end, of order 1 where b²h ≫ 1.
    fn bent(ladder: &Convergence, b: f64, noise: f64) -> Vec<Vec<f64>> {
        let mut stream = crate::lanes::Stream::new(5, crate::lanes::Purpose::Test, 0);
        let common: Vec<f64> = (0..2000).map(|_| stream.normal()).collect();
        ladder
            .steps
            .iter()
            .map(|h| {
                let error = (h + b * b * h * h).sqrt();
                // Nine parts of the scatter in ten are the same for all steps.
                (0..2000)
                    .map(|r| error * (1.0 + noise * (0.95 * common[r] + 0.3 * stream.normal())).abs())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_ladder_before_its_asymptotic_range_is_undecided() {
        let with = |order: f64, b: f64| {
            let ladder = Convergence { order, ..ladder(true, None) };
            let settled =
                settled(&ladder, vec![question(&ladder, "order".to_owned(), &bent(&ladder, b, 0.2))], 1e-3);
            (settled.verdict, settled.reason.unwrap_or_default())
        };
        // Slopes from 0.8 to 0.6: the true order, and the one that the line shows.
        for order in [0.5, 0.75] {
            let (verdict, reason) = with(order, 3.0);
            assert_eq!(verdict, Verdict::Undecided, "{order}");
            assert!(reason.contains("a finer ladder would tell, down to dt = "), "{reason}");
        }
        // Orders from which the slopes move away are wrong.
        assert_eq!(with(1.0, 3.0).0, Verdict::Fails);
        assert_eq!(with(1.5, 3.0).0, Verdict::Fails);
        // Control: without curvature to speak of the same scatter decides.
        assert_eq!(with(0.5, 0.0).0, Verdict::Holds);
        assert_eq!(with(0.75, 0.0).0, Verdict::Fails);
    }
}
