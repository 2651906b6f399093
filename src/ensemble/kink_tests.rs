//! Gradient flow of losses with kinks against closed forms; and what is said of paths that end.

use super::tests::*;
use super::*;
use crate::dynamics::{Decay, Law, Training};
use crate::model::Shape;
use crate::study::{Initial, Study, System};

const RATE: f64 = 0.1;

fn flow_of(loss: System, start: Vec<Initial>, steps: &[u64], replicas: usize) -> Study {
    let law = Law::GradientFlow { tolerance: 1e-12 };
    study(loss, start, vec![dynamics(law, Some(training(RATE, 1)), RATE, steps)], replicas)
}

/// Every parameter at the end, of one replica.
fn ends(record: &Record) -> Vec<f64> {
    record.dynamics[0].observables.iter().map(|o| o.last[0]).collect()
}

/// The flow of a loss of scalars from a start, at each of some instants (in steps of 0.1).
fn path(names: &[&str], text: &str, start: &[f64], steps: &[u64]) -> Vec<Vec<f64>> {
    let parameters: Vec<_> = names.iter().map(|n| (*n, SCALAR)).collect();
    let at = |&step: &u64| {
        let study = flow_of(loss(&parameters, &[], Some(1), text), fixed(start), &[0, step], 1);
        let record = simulate(&study, 1, None);
        assert!(record.dynamics[0].failure.is_none(), "{text}: {:?}", record.dynamics[0].failure);
        ends(&record)
    };
    steps.iter().map(at).collect()
}

#[track_caller]
fn close(found: &[Vec<f64>], wanted: &[&[f64]]) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.iter().zip(*wanted).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?}, not {wanted:?}");
    }
}

#[test]
fn a_path_crosses_a_kink_where_it_is() {
    // Speed 1 below 0, 2 above.
    close(&path(&["w"], "-w - relu(w)", &[-1.0], &[5, 10, 20]), &[&[-0.5], &[0.0], &[2.0]]);
    // Within a kink another: the slope ends where 1 - |w - 0.2| does.
    close(&path(&["w"], "relu(1 - abs(w - 0.2))", &[0.5], &[5, 10, 30]), &[&[1.0], &[1.2], &[1.2]]);
    // The other way round, and by max and min.
    close(&path(&["w"], "max(w, 3*w - 2)", &[2.0], &[1, 30]), &[&[1.7], &[1.0 - (3.0 - 1.0 / 3.0)]]);
    close(&path(&["w"], "-min(w, 2*w)", &[-1.0], &[2, 5, 10]), &[&[-0.6], &[0.0], &[0.5]]);
}

#[test]
fn a_path_stays_on_a_kink_that_both_sides_push_to() {
    close(&path(&["w"], "abs(w)", &[1.0], &[5, 10, 30]), &[&[0.5], &[0.0], &[0.0]]);
    close(&path(&["w"], "max(2*w, -w)", &[-1.0], &[5, 30]), &[&[-0.5], &[0.0]]);
    close(&path(&["w"], "sqrt(0.25*w^2) + relu(w)*0", &[0.0], &[10]), &[&[0.0]]);
    // v slides along u = 0 to where its pull is stronger than the kink, at v = 1, t = ln 2; from there u'' + u' - u = 1.
    let loss = "abs(u) - u*v + 0.5*(v - 2)^2";
    let root = 5_f64.sqrt();
    let (fast, slow) = (-0.5 * (1.0 + root), 0.5 * (root - 1.0));
    let off = |t: f64| {
        let (a, b) = (slow / root, -fast / root);
        let (grow, fall) = ((slow * t).exp(), (fast * t).exp());
        [-1.0 + b * grow + a * fall, 1.0 + b * slow * grow + a * fast * fall]
    };
    let sliding = |t: f64| [0.0, 2.0 * (1.0 - (-t).exp())];
    let found = path(&["u", "v"], loss, &[0.0, 0.0], &[3, 6, 10, 20]);
    let left = std::f64::consts::LN_2;
    let wanted = [sliding(0.3), sliding(0.6), off(1.0 - left), off(2.0 - left)];
    close(&found, &wanted.iter().map(|w| &w[..]).collect::<Vec<_>>());
    // Along two kinks at once, |u| and |v|; the third parameter goes on.
    let found = path(&["u", "v", "w"], "abs(u) + abs(v) + 0.3*u*w + 0.5*(w - 1)^2", &[0.5, 0.25, 1.0], &[20]);
    assert!(found[0][0].abs() < 1e-12 && found[0][1].abs() < 1e-12, "{found:?}");
}

#[test]
fn the_largest_of_several_comes_down_with_those_it_meets() {
    // max(a) from (1, ½, 0): alone to ½, as two at half the speed to 0, as three at a third.
    let three = Shape::vector(3);
    for (step, wanted) in [(3, [0.7, 0.5, 0.0]), (10, [0.25, 0.25, 0.0]), (30, [-0.5; 3])] {
        let system = loss(&[("a", three)], &[], Some(1), "max(a)");
        let study = flow_of(system, vec![Initial::Fixed(vec![1.0, 0.5, 0.0])], &[0, step], 1);
        let record = simulate(&study, 1, None);
        let found = &record.dynamics[0].observables[0].last;
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?}, not {wanted:?}");
    }
}

#[test]
fn a_start_on_a_kink_goes_where_it_is_driven() {
    close(&path(&["w"], "-w - relu(w)", &[0.0], &[10]), &[&[2.0]]);
    close(&path(&["w"], "w + relu(w)", &[0.0], &[10]), &[&[-1.0]]);
    // Driven away to both sides, or to none: by the slope that the derivative has.
    close(&path(&["w"], "-abs(w)", &[0.0], &[10]), &[&[0.0]]);
    close(&path(&["w"], "-abs(w) - 0.1*w", &[0.0], &[10]), &[&[1.1]]);
    close(&path(&["u", "w"], "(relu(u)*w - 1)^2", &[0.0, 0.0], &[10]), &[&[0.0, 0.0]]);
}

/// A hidden layer of rectifiers on 8 samples, every replica from a start of its own.
fn rectifiers(replicas: usize, steps: &[u64], decay: f64) -> Study {
    let data = [("x", "normal(0, 1)"), ("y", "relu(x) - 0.3 + normal(0, 0.3)")];
    let parameters = [("a", Shape::vector(2)), ("b", Shape::vector(2)), ("c", Shape::vector(2))];
    let system = loss(&parameters, &data, Some(8), "(dot(c, relu(a*x + b)) - y)^2");
    let starts = vec![Initial::Normal { mean: 0.0, standard_deviation: 0.8 }; 3];
    let mut study = flow_of(system, starts, steps, replicas);
    if let Some(training) = &mut study.dynamics[0].training {
        *training = Training { decay: Decay::Force(decay), ..training.clone() };
    }
    observe(&mut study, "charge", "exp(0)*(a^2 + b^2 - c^2)");
    observe(&mut study, "wrong", "a^2 + b^2 - 1.1*c^2");
    study
}

#[test]
fn charges_are_kept_across_kinks_and_along_them() {
    let steps: Vec<u64> = (0..=40).collect();
    let record = simulate(&rectifiers(8, &steps, 0.0), 1, None);
    let flow = &record.dynamics[0];
    assert!(flow.diverged.is_empty(), "{:?}", flow.failure);
    let largest = |which: usize| flow.observables[which].max_change.iter().fold(0.0_f64, |a, &b| a.max(b));
    assert!(largest(3) < 1e-11, "{}", largest(3));
    assert!(largest(4) > 1e-2, "a charge that is none changes");
    // With decay they fall as e^(-2λt), sliding or not.
    let record = simulate(&rectifiers(8, &steps, 0.05), 1, None);
    let start = simulate(&rectifiers(8, &[0], 0.05), 1, None);
    let (before, after) = (&start.dynamics[0].observables[3].last, &record.dynamics[0].observables[3].last);
    let factor = (-2.0 * 0.05 * 4.0_f64).exp();
    assert!(before.iter().zip(after).all(|(a, b)| (a * factor - b).abs() < 1e-11), "{before:?} {after:?}");
}

#[test]
fn neither_blocks_nor_instants_change_a_path_with_kinks() {
    let steps = [0, 7, 20];
    let whole = simulate(&rectifiers(12, &steps, 0.05), 2, None);
    for other in [
        simulate(&rectifiers(12, &steps, 0.05), 1, Some(1)),
        simulate(&rectifiers(12, &[0, 1, 2, 3, 7, 11, 19, 20], 0.05), 1, None),
    ] {
        for (a, b) in whole.dynamics[0].observables.iter().zip(&other.dynamics[0].observables) {
            let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&a.last), bits(&b.last), "{}", a.name);
        }
    }
}

#[test]
fn a_flow_that_cannot_be_followed_says_why() {
    let two = [("u", SCALAR), ("w", SCALAR)];
    for text in ["0.5e8*u^2 + 0.5*(w - 1)^2", "0.5e8*u^2 + abs(w - 1)"] {
        let study = flow_of(loss(&two, &[], Some(1), text), fixed(&[1.0, 20.0]), &[0, 100], 1);
        let record = simulate(&study, 1, None);
        let (replica, reason) = record.dynamics[0].failure.clone().unwrap_or_default();
        assert!(replica == 0 && reason.contains("stiff") && reason.contains("5e6"), "{text}: {reason}");
        assert_eq!(record.dynamics[0].diverged, [(0, 100)]);
    }
}

/// The reason of the first replica that diverged.
fn reason(study: &Study) -> Option<String> {
    let record = simulate(study, 1, None);
    record.dynamics[0].failure.as_ref().map(|f| f.1.clone())
}

#[test]
fn a_descent_that_diverges_says_which_formula_did_and_whether_it_is_stiff() {
    let descent = |text: &str, rate: f64, start: f64| {
        let law = dynamics(Law::GradientDescent, Some(training(rate, 1)), rate, &[0, 2000]);
        reason(&study(loss(&[("w", SCALAR)], &[], Some(1), text), fixed(&[start]), vec![law], 1))
    };
    let quartic = descent("0.25*w^4", 1.0, 2.0).unwrap_or_default();
    assert!(quartic.contains("became infinite at w = ") && quartic.contains("in the loss"), "{quartic}");
    assert!(quartic.contains("rate × curvature was") && quartic.contains("stiff for this rate"), "{quartic}");
    // Not stiff where it began and ended, but out of a root's domain.
    let root = descent("-w - 1e-9*sqrt(1 - w)", 0.1, 0.5).unwrap_or_default();
    assert!(root.contains("`sqrt(1 - w)` became not a number at 1 - w = -"), "{root}");
    assert!(!root.contains("stiff"), "{root}");
    // What does not diverge has no reason.
    assert_eq!(descent("0.5*w^2", 0.1, 2.0), None);
}

#[test]
fn an_equation_that_diverges_says_so_too() {
    let run = |drift: &str, noise: &str, dt: f64| {
        let system = sde(&[("x", SCALAR)], &[("x", drift)], &[("x", noise)]);
        let law = dynamics(Law::euler_maruyama(dt), None, dt, &[0, 1000]);
        reason(&study(system, fixed(&[0.5]), vec![law], 24))
    };
    let stiff = run("-1e5*(x - cos(x))", "1", 1e-3).unwrap_or_default();
    assert!(stiff.contains("became infinite at x - cos(x) = "), "{stiff}");
    assert!(stiff.contains("in the drift of `x`") && stiff.contains("stiff for this dt"), "{stiff}");
    // A noise that leaves the domain of a root.
    let root = run("0.1 - x", "sqrt(x)", 1e-2).unwrap_or_default();
    assert!(root.contains("`sqrt(x)` became not a number at x = -"), "{root}");
    assert!(root.contains("in the diffusion of `x`") && !root.contains("stiff"), "{root}");
    assert_eq!(run("-x", "1", 1e-2), None);
}
