//! Rows with fresh draws beside them: every law of motion against the equation of the law of rows and draws together.

use super::bench::*;
use super::engine::run;
use crate::dynamics::{Law, Sampling, Training};
use crate::law::{ClaimResult, Verdict};
use crate::model::Shape;
use crate::study::{Equation, Initial, Study};

const EPOCHS: Sampling = Sampling::WithoutReplacement { drop_last: false };

/// Regression on six rows whose inputs get new noise whenever a row is taken; `n` is its law.
fn augmented(n: &str) -> Study {
    let mut study = loss_study(
        &[("a", Shape::SCALAR), ("b", Shape::SCALAR)],
        &[("x", "normal(0.5, 1)"), ("y", "0.7*x + normal(0, 0.5)"), ("n", n)],
        Some(6),
        "0.5*(a*(x + n) + b - y)^2",
    );
    study.initial = vec![Initial::Fixed(vec![0.3]), Initial::Fixed(vec![0.1])];
    study
}

fn judged(mut study: Study, laws: Vec<(Law, Training)>, equation: Equation) -> Vec<ClaimResult> {
    study.dynamics = laws
        .into_iter()
        .enumerate()
        .map(|(k, (law, training))| dynamics(&format!("{} {k}", law.name()), law, Some(training)))
        .collect();
    let mut claim = einstein(equation, None);
    claim.dynamics = (0..study.dynamics.len()).collect();
    study.claims.push(claim);
    run(&mut study, 256, 1600, 16)
}

fn verdicts(results: &[ClaimResult]) -> Vec<Verdict> {
    results.iter().map(|r| r.verdict).collect()
}

#[test]
fn every_law_of_motion_obeys_the_equation_of_rows_and_fresh_draws() {
    let laws = || {
        vec![
            (Law::Sgd, training(0.1, 2)),
            (Law::GaussianSgd, training(0.1, 2)),
            (Law::langevin(2), training(0.1, 2)),
            (Law::Svag { level: 3 }, training(0.1, 2)),
        ]
    };
    let results = judged(augmented("fresh normal(0, 0.6)"), laws(), Equation::Own);
    assert_eq!(verdicts(&results), [Verdict::Holds; 4], "{results:#?}");
    // Control: the equation without the step's own term is another one for SGD.
    let sgd = vec![(Law::Sgd, training(0.25, 6))];
    let results = judged(augmented("fresh normal(0, 0.3)"), sgd, Equation::Continuous);
    assert_eq!(verdicts(&results), [Verdict::Fails], "{results:#?}");
}

#[test]
fn epochs_permute_rows_and_draw_afresh_at_each_visit() {
    let epochs = |momentum: f64| (Law::Sgd, Training { sampling: EPOCHS, momentum, ..training(0.1, 2) });
    let results = judged(augmented("fresh normal(0, 0.6)"), vec![epochs(0.0), epochs(0.5)], Equation::Own);
    assert_eq!(verdicts(&results), [Verdict::Holds; 2], "{results:#?}");
    assert!(results[0].tests[0].note.as_deref().unwrap().contains("permutations with draws"), "{results:#?}");
    // Noise on the labels alone does not depend on θ: the two parts' closed forms.
    let labels = |law: &str| {
        let mut study = loss_study(
            &[("a", Shape::SCALAR)],
            &[("x", "0.8"), ("t", "normal(0, 1)"), ("n", law)],
            Some(6),
            "0.5*(a*x - t - n)^2",
        );
        study.initial = vec![Initial::Fixed(vec![0.3])];
        study
    };
    let results = judged(labels("fresh normal(0, 0.6)"), vec![epochs(0.0)], Equation::Own);
    assert_eq!(verdicts(&results), [Verdict::Holds], "{results:#?}");
    // What is another law's for a minibatch of two factors is refused, and said.
    let results = judged(labels("fresh normal(0, 0.6)"), vec![epochs(0.0)], Equation::Discrete);
    assert_eq!(verdicts(&results), [Verdict::Undecided], "{results:#?}");
}
