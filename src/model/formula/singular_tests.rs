//! Slopes where they do not exist: bounded, and the same in lanes and by hand.

use std::collections::BTreeMap;

use super::tests::{S, expression, model};
use super::*;
use crate::lanes::Lane;

/// First and second derivatives of a loss of one parameter at `x`.
fn slopes(loss: &str, x: f64) -> (f64, f64) {
    let m = model(&[("x", S)], &[], Some(1), loss);
    (m.mean_gradient(&[x])[0], m.mean_hessian(&[x])[0])
}

#[test]
fn a_slope_that_does_not_exist_is_that_of_the_bounded_side() {
    for loss in [
        "sqrt(x)",
        "sqrt(relu(x))",
        "sqrt(max(x, 0))",
        "sqrt(abs(x))",
        "sqrt(x^2)",
        "relu(x)^0.5",
        "max(x, 0)^0.25",
        "abs(x)^0.75",
        "relu(x)^1.5",
        "abs(x)^0.3*sqrt(abs(x))",
        "abs(x)^(0.5 + 0*x)",
        "max(log(x), -5)",
        "relu(log(x))",
        "max(log(relu(x)), -5)",
        "min(1/x, 5)",
        "min(1/abs(x), 5)",
        "min(x^(-2), 5)",
        "min(abs(x)^(-0.3), 5)",
        "min(1/sqrt(x), 5)",
        "sqrt(sqrt(abs(x)))",
        "abs(x)",
        "relu(x)",
    ] {
        assert_eq!(slopes(loss, 0.0), (0.0, 0.0), "{loss}");
    }
    // An exponent that moves with x has further terms; a first slope all the same.
    assert_eq!(slopes("relu(x)^(0.5 + x)", 0.0).0, 0.0);
    // Beside the point nothing is hidden: slopes grow as they do.
    for (loss, x, slope, curvature) in [
        ("sqrt(x)", 1e-8, 0.5e4, -0.25e12),
        ("sqrt(abs(x))", -1e-8, -0.5e4, -0.25e12),
        ("x^0.25", 1e-8, 0.25e6, -0.1875e14),
        ("x^(0.25 + 0*x)", 1e-8, 0.25e6, -0.1875e14),
        ("max(log(x), -50)", 1e-8, 1e8, -1e16),
        ("min(1/x, 1e9)", 1e-8, -1e16, 2e24),
    ] {
        let (first, second) = slopes(loss, x);
        assert!(
            (first / slope - 1.0).abs() < 1e-12 && (second / curvature - 1.0).abs() < 1e-12,
            "{loss}: {first} {second}"
        );
    }
    // What is infinite itself has an infinite slope: a loss that has no value has no gradient either.
    for (loss, slope) in
        [("log(x)", f64::INFINITY), ("1/x", f64::NEG_INFINITY), ("x^(-0.5)", f64::NEG_INFINITY)]
    {
        assert_eq!(slopes(loss, 0.0).0, slope, "{loss}");
    }
    assert!(slopes("sqrt(x)", -1.0).0.is_nan() && slopes("sqrt(x)", f64::NAN).0.is_nan());
    assert!(slopes("max(log(x), -5)", f64::NAN).0.is_nan());
}

#[test]
fn the_length_of_a_vector_has_no_slope_at_the_origin() {
    let v = Shape::vector(3);
    for loss in ["sqrt(norm2(w))", "sqrt(dot(w, w))", "norm2(w)^0.25", "max(abs(w))", "sum(sqrt(abs(w)))"] {
        let m = model(&[("w", v)], &[], Some(1), loss);
        assert_eq!(m.mean_gradient(&[0.0; 3]), [0.0; 3], "{loss}");
        assert!(m.mean_hessian(&[0.0; 3]).iter().all(|h| *h == 0.0), "{loss}");
    }
    let m = model(&[("w", v)], &[], Some(1), "sqrt(norm2(w))");
    let slope = m.mean_gradient(&[3e-9, 0.0, -4e-9]);
    assert!((slope[0] - 0.6).abs() < 1e-15 && slope[1] == 0.0 && (slope[2] + 0.8).abs() < 1e-15, "{slope:?}");
}

/// ½bb′, as schemes take it: from 0, beside it, and for replicas on both sides at once.
#[test]
fn half_of_b_times_its_slope_is_bounded() {
    for (b, at) in [
        ("sqrt(max(x, 0))", [0.0, 0.0, 0.25]),
        ("sqrt(relu(x))", [0.0, 0.0, 0.25]),
        ("relu(x)^0.5", [0.0, 0.0, 0.25]),
        ("max(x, 0)^(0.5 + 0*x)", [0.0, 0.0, 0.25]),
        ("sqrt(abs(x))", [-0.25, 0.0, 0.25]),
        ("2*sqrt(abs(x))", [-1.0, 0.0, 1.0]),
    ] {
        let mut layout = Layout::default();
        layout.push("x", S);
        let drift = [("x".to_owned(), expression("0"))];
        let diffusion = [("x".to_owned(), Diffusion::Own(expression(b)))];
        let sde = SdeModel::new(layout, &BTreeMap::new(), &drift, &diffusion, false)
            .unwrap_or_else(|e| panic!("{b}: {e:?}"));
        let states = Lane([-0.7, 0.0, -0.0, 0.3, -1e-300, 1e-12, 0.0, 2.0]);
        let equation = sde.compiled(true, true).unwrap_or_else(|e| panic!("{b}: {e}"));
        let mut scratch = equation.scratch(1);
        let (mut drift, mut slope) = ([Lane::default()], [Lane::default()]);
        equation.increment(&[states], 1.0, &[Lane::default()], 0.0, &mut drift, &mut scratch);
        equation.slope(&[states], &[Lane::splat(1.0)], 0.0, &mut slope, &mut scratch);
        for l in 0..8 {
            let x = states.0[l];
            let wanted = at[if x < 0.0 {
                0
            } else if x == 0.0 {
                1
            } else {
                2
            }];
            let (stratonovich, milstein) = (-drift[0].0[l], 0.5 * slope[0].0[l]);
            assert!((stratonovich - wanted).abs() < 1e-12, "{b} at {x}: {stratonovich}");
            assert!((milstein - wanted).abs() < 1e-12, "{b} at {x}: {milstein}");
        }
    }
}
