//! Schemes on equations with closed forms: strong and weak orders, calculus, kinds of noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamics::equations::{SdeEquation, kind};
use crate::lanes::{LANES, Lane, Normals, Purpose, flat};
use crate::model::formula::{Diffusion, Expression, SdeModel};
use crate::model::{Layout, Shape};
use crate::scheme::{Calculus, Equation as _, Increments, Method, NoiseKind, Scheme, Stepping, Wiener};

fn formula(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

/// Scalars with these drifts, and diffusions by name of the Wiener process (`""`: of their own).
fn equation(drift: &[(&str, &str)], diffusion: &[(&str, &[(&str, &str)])], stratonovich: bool) -> SdeModel {
    let mut layout = Layout::default();
    for (name, _) in drift {
        layout.push(*name, Shape::SCALAR);
    }
    let drift: Vec<_> = drift.iter().map(|(n, f)| ((*n).to_owned(), formula(f))).collect();
    let diffusion: Vec<_> = diffusion
        .iter()
        .map(|(n, parts)| {
            let own = match parts {
                [("", text)] => Diffusion::Own(formula(text)),
                named => Diffusion::Named(named.iter().map(|(w, f)| ((*w).to_owned(), formula(f))).collect()),
            };
            ((*n).to_owned(), own)
        })
        .collect();
    SdeModel::new(layout, &BTreeMap::new(), &drift, &diffusion, stratonovich)
        .map_err(|e| format!("{e:?}"))
        .unwrap()
}

fn noise(model: &SdeModel) -> NoiseKind {
    kind(model.noise_structure(), model.noises())
}

fn made(model: &SdeModel, scheme: Scheme, tiles: usize) -> (SdeEquation, Stepping) {
    let kind = noise(model);
    let stratonovich = scheme.calculus(kind) == Calculus::Stratonovich;
    let compiled = Arc::new(model.compiled(stratonovich, scheme == Scheme::Milstein).unwrap());
    let equation = SdeEquation::new(compiled, tiles);
    let stepping = Stepping::new(scheme, kind, equation.dimension(), equation.noises(), tiles);
    (equation, stepping)
}

/// dX = X dt + X dW, X(0) = 1: mean of |X_n − X(1)| with X(1) = e^{½ + W(1)}, for n steps that read one path of 256.
fn strong_error(scheme: Scheme, stratonovich: bool, n: u32) -> f64 {
    const FINE: u32 = 256;
    const TILES: usize = 64;
    // The Stratonovich equation of the same solution has the drift ½X.
    let drift = if stratonovich { "0.5*x" } else { "x" };
    let model = equation(&[("x", drift)], &[("x", &[("", "x")])], stratonovich);
    let (mut total, mut count) = (0.0, 0.0);
    for block in 0..4 {
        let (mut equation, mut stepping) = made(&model, scheme, TILES);
        let normals = || Normals::new(9, Purpose::Test, block * 8 * TILES as u64, TILES);
        let mut wiener = Wiener::normal(normals(), 1, FINE / n);
        let mut x = vec![Lane::splat(1.0); TILES];
        let h = 1.0 / f64::from(n);
        for _ in 0..n {
            stepping.step(&mut equation, &mut x, h, &mut wiener);
        }
        let mut path = Wiener::normal(normals(), 1, FINE);
        let (mut w, mut z) = (vec![Lane::default(); TILES], vec![Lane::default(); TILES]);
        // Schemes that draw both integrals read two numbers a step.
        if scheme == Scheme::StochasticRungeKutta {
            path.both(&mut w, &mut z);
        } else {
            path.first(&mut w);
        }
        for (x, w) in flat(&x).iter().zip(flat(&w)) {
            total += (x - (0.5 + w).exp()).abs();
            count += 1.0;
        }
    }
    total / count
}

#[test]
fn strong_errors_on_geometric_brownian_motion() {
    // 2048 paths; references from 20000 paths: E|X − X(1)| scatters by about 4 % here, and the ratio of two errors on the same paths by less.
    let reference = [
        (Scheme::EulerMaruyama, [0.3806, 0.1928, 0.0975], 0.5),
        (Scheme::Milstein, [0.1563, 0.0409, 0.01036], 1.0),
    ];
    for (scheme, expected, order) in reference {
        let errors = [16, 64, 256].map(|n| strong_error(scheme, false, n));
        for (error, expected) in errors.iter().zip(expected) {
            assert!((error / expected - 1.0).abs() < 0.2, "{scheme:?}: {errors:?}");
        }
        let slope = (errors[0] / errors[2]).log2() / 4.0;
        assert!((slope - order).abs() < 0.1, "{scheme:?}: {slope}");
    }
    for (scheme, order) in [(Scheme::Heun, 1.0), (Scheme::StochasticRungeKutta, 1.5)] {
        let errors = [16, 64, 256].map(|n| strong_error(scheme, false, n));
        let slope = (errors[0] / errors[2]).log2() / 4.0;
        assert!((slope - order).abs() < 0.1, "{scheme:?}: {slope}, {errors:?}");
    }
}

#[test]
fn both_interpretations_have_the_same_solution() {
    for scheme in Scheme::ALL {
        if scheme == Scheme::Weak2 {
            continue;
        }
        let (ito, stratonovich) = (strong_error(scheme, false, 64), strong_error(scheme, true, 64));
        assert!((ito / stratonovich - 1.0).abs() < 1e-9, "{scheme:?}: {ito} {stratonovich}");
    }
}

/// All combinations of `draws` three-point numbers as rows of vectors, and the probability of each.
fn combinations(draws: usize, increments: Increments) -> (Vec<Vec<Lane>>, Vec<f64>) {
    let root = 3.0_f64.sqrt();
    let points: &[(f64, f64)] = match increments {
        Increments::Rademacher => &[(1.0, 0.5), (-1.0, 0.5)],
        _ => &[(0.0, 2.0 / 3.0), (root, 1.0 / 6.0), (-root, 1.0 / 6.0)],
    };
    let total = points.len().pow(draws as u32);
    let tiles = total.div_ceil(LANES);
    let mut rows = vec![vec![Lane::default(); tiles]; draws];
    let mut probabilities = vec![0.0; tiles * LANES];
    for (index, probability) in probabilities.iter_mut().enumerate().take(total) {
        *probability = 1.0;
        for (draw, row) in rows.iter_mut().enumerate() {
            let (value, weight) = points[index / points.len().pow(draw as u32) % points.len()];
            row[index / LANES].0[index % LANES] = value;
            *probability *= weight;
        }
    }
    (rows, probabilities)
}

/// Exact expectation over one step from `start` of every product x_i x_j and every x_i.
fn one_step(model: &SdeModel, scheme: Scheme, increments: Increments, h: f64, start: &[f64]) -> Vec<f64> {
    let draws = model.noises() * if scheme == Scheme::Weak2 { 2 } else { 1 };
    let (rows, probabilities) = combinations(draws, increments);
    let tiles = rows[0].len();
    let (mut equation, mut stepping) = made(model, scheme, tiles);
    let mut x: Vec<Lane> = start.iter().flat_map(|&x| std::iter::repeat_n(Lane::splat(x), tiles)).collect();
    stepping.step(&mut equation, &mut x, h, &mut Wiener::listed(rows, model.noises()));
    let rows: Vec<&[f64]> = x.chunks(tiles).map(flat).collect();
    let mean = |f: &dyn Fn(usize) -> f64| -> f64 {
        probabilities.iter().enumerate().map(|(i, p)| if *p > 0.0 { p * f(i) } else { 0.0 }).sum()
    };
    let mut out: Vec<f64> = rows.iter().map(|row| mean(&|i| row[i])).collect();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[i..] {
            out.push(mean(&|k| a[k] * b[k]));
        }
    }
    out
}

/// The same of dx = Ax dt + Σ B_j x dW_j itself, by the power series of its moments' linear equations.
fn exact_step(a: [[f64; 2]; 2], b: &[[[f64; 2]; 2]], h: f64, start: [f64; 2]) -> Vec<f64> {
    let series = |first: Vec<f64>, generator: &dyn Fn(&[f64]) -> Vec<f64>| {
        let (mut term, mut sum) = (first.clone(), first);
        for n in 1..25 {
            term = generator(&term).iter().map(|x| x * h / f64::from(n)).collect();
            sum.iter_mut().zip(&term).for_each(|(s, t)| *s += t);
        }
        sum
    };
    let mean = series(start.to_vec(), &|x| (0..2).map(|i| a[i][0] * x[0] + a[i][1] * x[1]).collect());
    let products = vec![start[0] * start[0], start[0] * start[1], start[1] * start[0], start[1] * start[1]];
    let second = series(products, &|m| {
        let mut out = vec![0.0; 4];
        for i in 0..2 {
            for j in 0..2 {
                for k in 0..2 {
                    out[2 * i + j] += a[i][k] * m[2 * k + j] + a[j][k] * m[2 * i + k];
                    for b in b {
                        for l in 0..2 {
                            out[2 * i + j] += b[i][k] * b[j][l] * m[2 * k + l];
                        }
                    }
                }
            }
        }
        out
    });
    vec![mean[0], mean[1], second[0], second[1], second[3]]
}

#[test]
fn weak_orders_with_noise_that_does_not_commute() {
    let (a, b) = ([[-0.7, 0.4], [0.2, -1.1]], [[[0.3, 0.5], [0.0, 0.2]], [[0.1, 0.0], [-0.6, 0.4]]]);
    let model = equation(
        &[("x", "-0.7*x + 0.4*y"), ("y", "0.2*x - 1.1*y")],
        &[
            ("x", &[("a", "0.3*x + 0.5*y"), ("b", "0.1*x")]),
            ("y", &[("a", "0.2*y"), ("b", "-0.6*x + 0.4*y")]),
        ],
        false,
    );
    assert_eq!(noise(&model), NoiseKind::General);
    let start = [1.0, -0.5];
    let error = |scheme, increments, h| {
        let exact = exact_step(a, &b, h, start);
        let ours = one_step(&model, scheme, increments, h, &start);
        exact.iter().zip(&ours).map(|(e, o)| (e - o).powi(2)).sum::<f64>().sqrt()
    };
    // The error of a step is of order h^(p + 1).
    for (scheme, increments, order) in [
        (Scheme::EulerMaruyama, Increments::Rademacher, 1.0),
        (Scheme::EulerMaruyama, Increments::ThreePoint, 1.0),
        (Scheme::Heun, Increments::Rademacher, 1.0),
        (Scheme::Weak2, Increments::ThreePoint, 2.0),
        // The control: two points leave second order with the first.
        (Scheme::Weak2, Increments::Rademacher, 1.0),
    ] {
        let slope = (error(scheme, increments, 0.02) / error(scheme, increments, 0.01)).log2();
        assert!((slope - (order + 1.0)).abs() < 0.15, "{scheme:?} {increments:?}: {slope}");
    }
    let method = Method { scheme: Scheme::Weak2, increments: Increments::Rademacher };
    assert!(method.check_increments().unwrap_err().contains("three-point"));
    assert_eq!((method.weak_order(NoiseKind::General), method.strong_order(NoiseKind::General)), (2.0, None));
}

#[test]
fn kinds_of_noise_are_told_apart() {
    let drift = [("x", "-x"), ("y", "-y")];
    for (parts, expected) in [
        ([("x", &[("", "2")] as &[_]), ("y", &[("", "1")])], NoiseKind::Additive),
        ([("x", &[("a", "x")]), ("y", &[("a", "x*y")])], NoiseKind::Scalar),
        ([("x", &[("", "x")]), ("y", &[("", "sqrt(y)")])], NoiseKind::Diagonal),
        // A linear noise of commuting matrices.
        ([("x", &[("a", "x"), ("b", "y")]), ("y", &[("a", "y"), ("b", "x")])], NoiseKind::Commutative),
        ([("x", &[("", "y")]), ("y", &[("", "x")])], NoiseKind::General),
    ] {
        let model = equation(&drift, &parts, false);
        assert_eq!(noise(&model), expected, "{parts:?}");
        let method = Method { scheme: Scheme::Milstein, ..Method::default() };
        assert_eq!(method.check_noise(expected).is_err(), expected == NoiseKind::General);
    }
}

#[test]
fn the_drifts_of_ito_and_stratonovich_differ_by_the_noises_own_slope() {
    // b = (xy, x²), W of each its own: ½Σ(∂b_j)b_j = ½(xy·y, 0) for the first and 0 for the second.
    let model =
        equation(&[("x", "x*y"), ("y", "-y")], &[("x", &[("", "x*y")]), ("y", &[("", "x^2")])], false);
    let ito = model.compiled(false, true).unwrap();
    let stratonovich = model.compiled(true, false).unwrap();
    let (x, y) = (1.3, -0.4);
    let state = [Lane::splat(x), Lane::splat(y)];
    let zero = [Lane::default(); 2];
    let (mut a, mut b) = ([Lane::default(); 2], [Lane::default(); 2]);
    ito.increment(&state, 1.0, &zero, 0.0, &mut a, &mut ito.scratch(1));
    stratonovich.increment(&state, 1.0, &zero, 0.0, &mut b, &mut stratonovich.scratch(1));
    assert_eq!(a[0].0[0], x * y);
    assert!((a[0].0[0] - b[0].0[0] - 0.5 * x * y * y).abs() < 1e-15);
    assert!((a[1].0[0] - b[1].0[0]).abs() < 1e-15);
    // Diagonal noise of a vector, more than are taken one by one: ½b'b = ½·0.09x at each element.
    let mut layout = Layout::default();
    layout.push("x", Shape::vector(300));
    let text = |text: &str| vec![("x".to_owned(), formula(text))];
    let noise = vec![("x".to_owned(), Diffusion::Own(formula("0.3*x")))];
    let wide = SdeModel::new(layout, &BTreeMap::new(), &text("-x"), &noise, true).unwrap();
    assert_eq!(self::noise(&wide), NoiseKind::Diagonal);
    let ito_of_wide = wide.compiled(false, false).unwrap();
    let state: Vec<Lane> = (0..300).map(|i| Lane::splat(0.01 * f64::from(i))).collect();
    let mut drift = vec![Lane::default(); 300];
    let none = vec![Lane::default(); 300];
    ito_of_wide.increment(&state, 1.0, &none, 0.0, &mut drift, &mut ito_of_wide.scratch(1));
    for (a, x) in drift.iter().zip(&state) {
        assert!((a.0[0] - (0.5 * 0.09 - 1.0) * x.0[0]).abs() < 1e-15);
    }
    let state = [Lane::splat(x), Lane::splat(y)];
    // (∂(Bw))Bw with w = (2, 3): B w = (2xy, 3x²); its derivative along itself is (2(2xy·y + x·3x²), 6x·2xy).
    let w = [Lane::splat(2.0), Lane::splat(3.0)];
    ito.slope(&state, &w, 0.0, &mut a, &mut ito.scratch(1));
    assert!((a[0].0[0] - 2.0 * (2.0 * x * y * y + 3.0 * x.powi(3))).abs() < 1e-14);
    assert!((a[1].0[0] - 12.0 * x * x * y).abs() < 1e-14);
}

/// E|X_n − X(1)| of dX = cos(5t) dt + (1 + t) dW or, `multiplicative`, dX = ½cos(5t)X dt + ½(1 + t)X dW (both Itô), from n steps along one path
/// of 512, against 512 steps of order 1.5.
fn error_in_time(scheme: Scheme, multiplicative: bool, n: u32) -> f64 {
    const FINE: u32 = 512;
    const TILES: usize = 32;
    let factor = if multiplicative { "0.5*x*" } else { "" };
    let drift = format!("{factor}cos(5*t)");
    let noise = format!("{factor}(1 + t)");
    let model = equation(&[("x", &drift)], &[("x", &[("", &noise)])], false);
    assert!(model.timed());
    let run = |scheme: Scheme, n: u32| {
        let (mut equation, mut stepping) = made(&model, scheme, TILES);
        let mut wiener =
            Wiener::along(Normals::new(9, Purpose::Test, 0, TILES), Increments::Normal, 1, FINE / n);
        let mut x = vec![Lane::splat(1.0); TILES];
        let h = 1.0 / f64::from(n);
        for k in 0..n {
            equation.begin(f64::from(k) * h);
            stepping.step(&mut equation, &mut x, h, &mut wiener);
        }
        x
    };
    let (coarse, fine) = (run(scheme, n), run(Scheme::StochasticRungeKutta, FINE));
    flat(&coarse).iter().zip(flat(&fine)).map(|(a, b)| (a - b).abs()).sum::<f64>() / (TILES * LANES) as f64
}

#[test]
fn strong_orders_of_equations_that_change_with_time() {
    for (scheme, multiplicative, order) in [
        (Scheme::EulerMaruyama, false, 1.0),
        (Scheme::EulerMaruyama, true, 0.5),
        (Scheme::Milstein, true, 1.0),
        (Scheme::Heun, true, 1.0),
        (Scheme::StochasticRungeKutta, false, 2.0),
        (Scheme::StochasticRungeKutta, true, 1.5),
    ] {
        let errors = [8, 32].map(|n| error_in_time(scheme, multiplicative, n));
        let slope = (errors[0] / errors[1]).log2() / 2.0;
        // A stage taken at a wrong time has order 1 at best.
        assert!((slope - order).abs() < 0.3, "{scheme:?} {multiplicative}: {slope}, {errors:?}");
    }
}

#[test]
fn a_step_that_changes_with_time_has_weak_order_two() {
    // dx = cos(5t)x dt + (1 + t)x dW: E x = e^{sin(5h)/5}, E x² = e^{2 sin(5h)/5 + ((1 + h)³ − 1)/3}.
    let model = equation(&[("x", "cos(5*t)*x")], &[("x", &[("", "(1 + t)*x")])], false);
    let error = |scheme, increments, h: f64| {
        let [mean, second] = one_step(&model, scheme, increments, h, &[1.0])[..] else {
            panic!("two moments")
        };
        let exact = (5.0 * h).sin() / 5.0;
        let square = 2.0 * exact + ((1.0 + h).powi(3) - 1.0) / 3.0;
        (mean - exact.exp()).hypot(second - square.exp())
    };
    for (scheme, increments, order) in [
        (Scheme::Weak2, Increments::ThreePoint, 2.0),
        (Scheme::Heun, Increments::Rademacher, 1.0),
        (Scheme::EulerMaruyama, Increments::Rademacher, 1.0),
    ] {
        let slope = (error(scheme, increments, 0.02) / error(scheme, increments, 0.01)).log2();
        assert!((slope - (order + 1.0)).abs() < 0.2, "{scheme:?}: {slope}");
    }
}
