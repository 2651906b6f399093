//! Why a replica diverged: the run itself only sees that it did, so one replica is run again, step by step, and looked at.

use crate::dynamics::{Clock, Law, Motion};
use crate::ensemble::initial;
use crate::lanes::math::scalar;
use crate::lanes::{LANES, Lane};
use crate::model::formula::{FormulaModel, SdeModel};
use crate::study::{Dynamics, Study, System};

/// Most parameters whose curvature is looked at.
const MOST_PARAMETERS: usize = 64;
/// Steps of power iteration.
const POWERS: usize = 60;
/// A state this much larger than the start has been carried away.
const CARRIED_AWAY: f64 = 10.0;

/// What happened to a replica that had diverged by `last`; `None` where that cannot be said. `go_on` ends the search.
pub fn of(
    study: &Study,
    dynamics: &Dynamics,
    motion: &Motion,
    replica: usize,
    last: u64,
    go_on: &dyn Fn() -> bool,
) -> Option<String> {
    // These move from instant to instant, or say themselves why they could not.
    if matches!(dynamics.law, Law::GradientFlow { .. } | Law::Exact | Law::OrnsteinUhlenbeck) {
        return None;
    }
    let layout = study.layout();
    let (first, lane) = (replica / LANES * LANES, replica % LANES);
    let mut theta = vec![Lane::default(); layout.len()];
    initial::fill(&mut theta, &study.starting_laws(), layout, study.run.seed, first as u64, 1);
    let mut stepper = motion.stepper(study.run.seed, first as u64, 1);
    let mine = |theta: &[Lane]| theta.iter().map(|x| x.0[lane]).collect::<Vec<f64>>();
    let start = mine(&theta);
    let size = |x: &[f64]| x.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
    let (mut before, mut calm) = (start.clone(), start.clone());
    let mut at = None;
    for step in 0..last {
        let clock = |step| Clock { step, time: 0.0 };
        if !go_on() || !stepper.advance(&mut theta, clock(step), clock(step + 1), &mut |_| true) {
            return None;
        }
        let now = mine(&theta);
        if now.iter().any(|x| !x.is_finite()) {
            at = Some(step + 1);
            break;
        }
        if size(&now) <= CARRIED_AWAY * (1.0 + size(&start)) {
            calm.clone_from(&now);
        }
        before = now;
    }
    // An observable alone may have ceased to be finite.
    let at = at?;
    let fault = match &study.system {
        System::Loss(loss) => loss.formula.as_ref().and_then(|f| f.first_fault(&before)),
        System::Sde(equation) => equation.first_fault(&before),
    };
    let fault = fault.map(|fault| format!("at step {at} {fault}"));
    let stiff = match &study.system {
        System::Loss(loss) => {
            loss.formula.as_ref().and_then(|f| unstable_descent(f, dynamics, at, [&start, &calm]))
        }
        System::Sde(equation) => unstable_drift(equation, &dynamics.law, [&start, &calm]),
    };
    match (fault, stiff) {
        (Some(fault), Some(stiff)) => Some(format!("{fault}; {stiff}")),
        (fault, stiff) => fault.or(stiff),
    }
}

/// A descent whose steps are too long for the curvature that it met.
fn unstable_descent(
    model: &FormulaModel,
    dynamics: &Dynamics,
    step: u64,
    states: [&Vec<f64>; 2],
) -> Option<String> {
    let training = dynamics.training.as_ref()?;
    let p = states[0].len();
    if p > MOST_PARAMETERS {
        return None;
    }
    let rate = training.rate.at(step.saturating_sub(1));
    let steps = f64::from(dynamics.law.substeps().0);
    let beta = if dynamics.law.takes_momentum() { training.momentum } else { 0.0 };
    let limit = 2.0 * (1.0 + beta);
    let curvature = states
        .iter()
        .map(|state| {
            let mut hessian = model.mean_hessian(state);
            (0..p).for_each(|i| hessian[i * p + i] += training.decay.force());
            radius(&hessian, p)
        })
        .fold(0.0, f64::max);
    let product = rate / steps * curvature;
    (product > limit).then(|| {
        format!(
            "rate × curvature was {product:.3}, beyond {limit:.3} steps grow: stiff for this rate, which would have to be below {:.2e}",
            limit * steps / curvature
        )
    })
}

/// A scheme whose steps are too long for the drift's slope.
fn unstable_drift(equation: &SdeModel, law: &Law, states: [&Vec<f64>; 2]) -> Option<String> {
    let Law::Integrated { dt, .. } = *law else { return None };
    let p = states[0].len();
    if p > MOST_PARAMETERS {
        return None;
    }
    let slope = states.iter().map(|x| radius(&equation.drift_slopes(x), p)).fold(0.0, f64::max);
    let product = dt * slope;
    (product > 2.0).then(|| {
        format!(
            "dt × the slope of the drift was {product:.3}, beyond 2 steps grow: stiff for this dt, which would have to be below {:.2e}",
            2.0 / slope
        )
    })
}

/// The largest |eigenvalue| of a square matrix, by power iteration; a pair of complex ones by the mean growth.
fn radius(matrix: &[f64], n: usize) -> f64 {
    let mut v: Vec<f64> = (0..n).map(|i| 1.0 + 0.1 * (i % 7) as f64).collect();
    let mut growth = Vec::with_capacity(POWERS);
    for _ in 0..POWERS {
        let next: Vec<f64> =
            matrix.chunks_exact(n).map(|row| row.iter().zip(&v).map(|(a, x)| a * x).sum()).collect();
        let (old, new) = (norm(&v), norm(&next));
        if new == 0.0 || !new.is_finite() {
            return 0.0;
        }
        growth.push(new / old);
        v = next.iter().map(|x| x / new).collect();
    }
    // The geometric mean of the last half.
    let late = &growth[POWERS / 2..];
    scalar::exp(late.iter().map(|&g| scalar::ln(g)).sum::<f64>() / late.len() as f64)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}
