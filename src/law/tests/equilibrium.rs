//! `equilibrium` on synthetic paths of two motions.

use super::bench::*;
use crate::dynamics::Law;
use crate::law::{ClaimResult, Verdict, judge};
use crate::model::Shape;
use crate::study::{ClaimLaw, Study};

/// x' = ρx + s√(1 − ρ²)ξ + shift for each of two motions, with deviations and shifts of their own.
fn judged(claims: &[ClaimLaw], replicas: usize, [first, second]: [(f64, f64); 2]) -> Vec<ClaimResult> {
    let mut study: Study = loss_study(&[("x", Shape::SCALAR)], &[("y", "normal(0, 1)")], None, "(x - y)^2");
    study.dynamics = vec![
        dynamics("sgd", Law::Sgd, Some(training(0.4, 1))),
        dynamics("other", Law::GaussianSgd, Some(training(0.4, 1))),
    ];
    study.claims = claims.iter().map(|law| claim(law.clone(), &[0])).collect();
    let plan = Plan { replicas, steps: 120, burn_in: 40, every: 2 };
    let mut records = Vec::new();
    for (seed, (deviation, shift)) in [(1, first), (2, second)] {
        let step = move |state: &mut [f64], noise: &mut Noise| {
            state[0] = shift + 0.5 * (state[0] - shift) + deviation * 0.75_f64.sqrt() * noise.normal();
        };
        let start = move |noise: &mut Noise| vec![shift + deviation * noise.normal()];
        records.push(simulate(&mut study, plan, seed, &start, &step));
    }
    let mut second = records.pop().unwrap().dynamics.remove(0);
    let mut record = records.pop().unwrap();
    second.name = "other".to_owned();
    record.dynamics.push(second);
    judge(&study, &record)
}

fn law(ratio: Option<&str>, same: bool, tolerance: Option<f64>) -> ClaimLaw {
    ClaimLaw::Equilibrium {
        second: 1,
        observable: "x".to_owned(),
        ratio: ratio.map(formula),
        ratio_text: String::new(),
        same,
        tolerance,
    }
}

fn verdicts(results: &[ClaimResult]) -> Vec<Verdict> {
    results.iter().map(|r| r.verdict).collect()
}

#[test]
fn laws_that_differ_in_mean_variance_or_not_at_all() {
    let same = law(None, true, None);
    let near = law(None, true, Some(0.1));
    let claims = [same, near, law(Some("1/(1 - rate/2)"), false, None), law(Some("1"), false, None)];
    let (holds, fails) = (Verdict::Holds, Verdict::Fails);
    assert_eq!(verdicts(&judged(&claims, 4000, [(1.0, 0.0), (1.0, 0.0)])), [holds, holds, fails, holds]);
    // A variance 25 % larger: the predicted ratio at rate 0.4.
    let wide = [(1.25_f64.sqrt(), 0.0), (1.0, 0.0)];
    assert_eq!(verdicts(&judged(&claims, 4000, wide)), [fails, fails, holds, fails]);
    assert_eq!(verdicts(&judged(&claims, 4000, [(1.0, 0.3), (1.0, 0.0)])), [fails, fails, fails, holds]);
}

#[test]
fn nothing_claimed_is_reported_and_too_few_replicas_are_undecided() {
    let results = judged(&[law(None, false, None), law(None, true, None)], 200, [(1.0, 0.0), (1.0, 0.0)]);
    assert_eq!(verdicts(&results), [Verdict::Holds, Verdict::Undecided]);
    let names: Vec<&str> = results[0].tests.iter().map(|t| t.quantity.as_str()).collect();
    assert_eq!(
        names,
        [
            "mean of x, sgd − other",
            "variance of x, sgd / other",
            "Kolmogorov–Smirnov distance of x",
            "Wasserstein-1 distance of x"
        ]
    );
    for test in &results[0].tests {
        assert!(
            test.predicted.is_nan() && test.measured.is_finite() && test.standard_error > 0.0,
            "{test:?}"
        );
    }
    assert!((results[0].tests[1].measured - 1.0).abs() < 0.1);
    assert!(results[1].reason.is_some());
}
