//! Mini-batches and gradient noise on their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamics::Sampling;
use crate::dynamics::draws::{Block, Draws};
use crate::dynamics::sweep::{GaussianGradient, Way, factor_is_cheaper};
use crate::lanes::{LANES, Lane};
use crate::model::formula::{DataEntry, DataSource, Expression, FormulaModel, ModelSpec};
use crate::model::{Layout, Model, Shape, critical};
use crate::stats::moments::Moments;

fn model(parameters: &[&str], data: &[(&str, &str)], size: Option<usize>, text: &str) -> FormulaModel {
    let mut layout = Layout::default();
    for name in parameters {
        layout.push(*name, Shape::SCALAR);
    }
    let data = data
        .iter()
        .map(|(name, law)| DataEntry {
            name: (*name).to_owned(),
            source: match law.strip_prefix("fresh ") {
                Some(law) => DataSource::Fresh { formula: Expression::parse(law).unwrap(), shape: None },
                None => DataSource::Formula { formula: Expression::parse(law).unwrap(), shape: None },
            },
        })
        .collect();
    let loss = Expression::parse(text).unwrap();
    let spec = ModelSpec { layout, constants: BTreeMap::new(), data, size, loss, decay: 0.0, seed: 3 };
    FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap()
}

const BLOCK: Block = Block { seed: 5, first: 0, tiles: 4 };

/// Samples of the next batch, `[len][width][tiles]`, fetched in chunks of `chunk`.
fn batch(draws: &mut Draws, width: usize, chunk: usize) -> (Vec<Lane>, f64) {
    let tiles = BLOCK.tiles;
    let batch = draws.advance();
    let len = batch.len();
    let mut samples = vec![Lane::default(); len * width * tiles];
    let mut weights = vec![Lane::default(); len * tiles];
    let mut first = 0;
    while first < len {
        let count = chunk.min(len - first);
        let (from, to) = (first * width * tiles, (first + count) * width * tiles);
        batch.fill(first, count, &mut samples[from..to], &mut weights[first * tiles..]);
        first += count;
    }
    (samples, batch.uniform_weight().unwrap())
}

#[test]
fn an_epoch_meets_every_row_once() {
    let model = model(&["w"], &[("x", "normal(0, 1)")], Some(20), "(w - x)^2");
    let table = model.nodes().values.clone();
    let model: Arc<dyn Model> = Arc::new(model);
    for (drop_last, sizes) in [(false, vec![8, 8, 4]), (true, vec![8, 8])] {
        let mut draws = Draws::new(&model, 8, Sampling::WithoutReplacement { drop_last }, BLOCK);
        let mut orders = Vec::new();
        for _ in 0..3 {
            let mut epoch: Vec<Lane> = Vec::new();
            for size in &sizes {
                let (samples, weight) = batch(&mut draws, 1, 3);
                assert_eq!(samples.len(), size * 4);
                assert_eq!(weight, 1.0 / *size as f64);
                epoch.extend(samples);
            }
            for replica in 0..LANES * 4 {
                let rows: Vec<f64> =
                    epoch.chunks(4).map(|row| row[replica / LANES].0[replica % LANES]).collect();
                let mut sorted = rows.clone();
                sorted.sort_by(f64::total_cmp);
                sorted.dedup();
                assert_eq!(sorted.len(), sizes.iter().sum::<usize>());
                assert!(sorted.iter().all(|x| table.contains(x)));
                orders.push(rows);
            }
        }
        // Replicas and epochs have different orders.
        let count = orders.len();
        orders.sort_by(|a, b| a.partial_cmp(b).unwrap());
        orders.dedup();
        assert_eq!(orders.len(), count);
    }
}

#[test]
fn an_epoch_meets_every_row_once_with_draws_of_its_own() {
    let data = [("x", "normal(0, 1)"), ("n", "fresh normal(0, 1)"), ("s", "fresh rademacher")];
    let model = model(&["w"], &data, Some(6), "(w - x - n*s)^2");
    let rows = model.population().rows.clone().unwrap();
    assert_eq!((model.population().size(), model.population().finite(), rows.width), (Some(6), None, 1));
    let model: Arc<dyn Model> = Arc::new(model);
    let mut draws = Draws::new(&model, 4, Sampling::WithoutReplacement { drop_last: false }, BLOCK);
    let (mut all, mut normals) = (Vec::new(), Moments::default());
    for _ in 0..50 {
        let mut epoch: Vec<Lane> = batch(&mut draws, 3, 3).0;
        epoch.extend(batch(&mut draws, 3, 3).0);
        assert_eq!(epoch.len(), 6 * 3 * 4);
        for replica in 0..LANES * 4 {
            let column = |c: usize| -> Vec<f64> {
                epoch.chunks(12).map(|s| s[c * 4 + replica / LANES].0[replica % LANES]).collect()
            };
            let (mut met, drawn, signs) = (column(0), column(1), column(2));
            met.sort_by(f64::total_cmp);
            let mut known = rows.values.clone();
            known.sort_by(f64::total_cmp);
            assert_eq!(met, known);
            assert!(signs.iter().all(|s| s.abs() == 1.0));
            for &x in &drawn {
                normals.push(x);
            }
            all.extend(drawn);
        }
    }
    // Of 9600 normals no two are the same, neither within a row nor between replicas; |z| < 5 on mean and variance.
    let count = all.len();
    all.sort_by(f64::total_cmp);
    all.dedup();
    assert_eq!((all.len(), count), (9600, 9600));
    assert!(normals.mean.abs() < 5.0 * normals.standard_error(), "{normals:?}");
    assert!((normals.variance() - 1.0).abs() < 5.0 * normals.variance_standard_error(), "{normals:?}");
}

#[test]
fn shuffles_are_uniform() {
    // Position of row 0 in the second batch of one of N = 5, over 32 replicas × 3000 epochs: χ² with 4 degrees, 44.0 has odds 6e-9.
    let model = model(&["w"], &[("x", "normal(0, 1)")], Some(5), "(w - x)^2");
    let first = model.nodes().values[0];
    let model: Arc<dyn Model> = Arc::new(model);
    let mut draws = Draws::new(&model, 5, Sampling::WithoutReplacement { drop_last: false }, BLOCK);
    let mut counts = [0.0; 5];
    for _ in 0..3000 {
        let (samples, _) = batch(&mut draws, 1, 5);
        for (position, row) in samples.chunks(4).enumerate() {
            counts[position] += row.iter().flat_map(|x| x.0).filter(|x| *x == first).count() as f64;
        }
    }
    let expected = 32.0 * 3000.0 / 5.0;
    let chi2: f64 = counts.iter().map(|c| (c - expected) * (c - expected) / expected).sum();
    assert!(chi2 < 44.0, "{counts:?}");
}

#[test]
fn chunks_do_not_change_a_batch() {
    let infinite = model(
        &["w"],
        &[("a", "normal(0, 1)"), ("b", "uniform(0, 1)"), ("c", "rademacher"), ("d", "student(5)")],
        None,
        "(w - a*b*c*d)^2",
    );
    let finite = model(&["w"], &[("x", "normal(0, 1)")], Some(7), "(w - x)^2");
    let others = model(
        &["w"],
        &[("a", "gamma(0.5, 1)"), ("b", "poisson(12)"), ("c", "normal(0, 1)"), ("d", "laplace(0, 1)")],
        None,
        "(w - a*b*c*d)^2",
    );
    let mixed = model(&["w"], &[("x", "normal(0, 1)"), ("n", "fresh student(5)")], Some(7), "(w - x*n)^2");
    for model in [infinite, finite, others, mixed] {
        let width = model.population().width;
        let model: Arc<dyn Model> = Arc::new(model);
        let draws = || Draws::new(&model, 40, Sampling::WithReplacement, BLOCK);
        let (mut one, mut two) = (draws(), draws());
        for _ in 0..3 {
            assert_eq!(batch(&mut one, width, 40), batch(&mut two, width, 7));
        }
    }
}

#[test]
fn draws_of_other_laws_belong_to_their_replica_and_have_its_moments() {
    // n = 32·1500: |z| < 5 on mean and variance, and the variance taken 1.3 times too large is seen.
    let model = model(
        &["w"],
        &[("a", "gamma(0.5, 1)"), ("b", "poisson(12)"), ("c", "exponential(1)"), ("d", "beta(2, 3)")],
        None,
        "(w - a*b*c*d)^2",
    );
    let variates = model.population().fresh.clone().unwrap();
    let width = model.population().width;
    let model: Arc<dyn Model> = Arc::new(model);
    let (samples, _) = batch(&mut Draws::new(&model, 1500, Sampling::WithReplacement, BLOCK), width, 16);
    for variate in &variates {
        let values = samples
            .chunks(width * 4)
            .flat_map(|s| s[variate.offset * 4..(variate.offset + 1) * 4].iter().flat_map(|x| x.0));
        let m = Moments::of(values);
        let (mean, deviation) = variate.law.centre_and_scale();
        assert!((m.mean - mean).abs() < 5.0 * m.standard_error(), "{variate:?} {m:?}");
        let z = |variance: f64| (m.variance() - variance).abs() / m.variance_standard_error();
        assert!(z(deviation * deviation) < 5.0 && z(1.3 * deviation * deviation) > 5.0, "{variate:?} {m:?}");
    }
    // The third tile alone: the same numbers, whatever its neighbours took.
    let alone = Block { first: 16, tiles: 1, ..BLOCK };
    let mut draws = Draws::new(&model, 1500, Sampling::WithReplacement, alone);
    let mut rows = vec![Lane::default(); 1500 * width];
    draws.advance().fill(0, 1500, &mut rows, &mut []);
    assert!(rows.iter().zip(samples.chunks(4)).all(|(one, all)| *one == all[2]));
}

#[test]
fn fresh_draws_have_their_laws() {
    // n = 32·1500: |z| < 5 on mean and variance; Student's t by its distribution function.
    let model = model(
        &["w"],
        &[("a", "normal(0, 1)"), ("b", "uniform(0, 1)"), ("c", "rademacher"), ("d", "student(5)")],
        None,
        "(w - a*b*c*d)^2",
    );
    let variates = model.population().fresh.clone().unwrap();
    let width = model.population().width;
    let model: Arc<dyn Model> = Arc::new(model);
    let mut draws = Draws::new(&model, 1500, Sampling::WithReplacement, BLOCK);
    let (samples, _) = batch(&mut draws, width, 16);
    for variate in variates {
        let values: Vec<f64> = samples
            .chunks(width * 4)
            .flat_map(|s| s[variate.offset * 4..(variate.offset + 1) * 4].iter().flat_map(|x| x.0))
            .collect();
        let m = Moments::of(values.iter().copied());
        let (mean, variance) = match variate.law {
            crate::model::StandardLaw::Normal | crate::model::StandardLaw::Rademacher => (0.0, 1.0),
            crate::model::StandardLaw::Uniform => (0.5, 1.0 / 12.0),
            crate::model::StandardLaw::Student(_) => (0.0, 5.0 / 3.0),
            law => {
                let (mean, deviation) = law.centre_and_scale();
                (mean, deviation * deviation)
            }
        };
        assert!((m.mean - mean).abs() < 5.0 * m.standard_error(), "{variate:?} {m:?}");
        let error = m.variance_standard_error().max(1e-4);
        assert!((m.variance() - variance).abs() < 5.0 * error, "{variate:?} {m:?}");
        if let crate::model::StandardLaw::Student(freedom) = variate.law {
            // Kolmogorov–Smirnov: √n D > 2.7 has odds 9e-7; against the normal law it is far beyond.
            use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
            let distance = |cdf: &dyn Fn(f64) -> f64| {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let n = sorted.len() as f64;
                let gaps = sorted.iter().enumerate().map(|(i, &x)| {
                    let f = cdf(x);
                    (f - i as f64 / n).abs().max((f - (i + 1) as f64 / n).abs())
                });
                n.sqrt() * gaps.fold(0.0, f64::max)
            };
            let student = StudentsT::new(0.0, 1.0, freedom).unwrap();
            let normal = Normal::new(0.0, (5.0_f64 / 3.0).sqrt()).unwrap();
            assert!(distance(&|x| student.cdf(x)) < 2.7);
            assert!(distance(&|x| normal.cdf(x)) > 2.7);
        }
    }
}

/// Sample mean and second moments of `gradient` at one θ in every lane.
fn sampled(mut gradient: GaussianGradient, theta: &[f64], rounds: usize) -> Vec<Moments> {
    let tiles = BLOCK.tiles;
    let state: Vec<Lane> = theta.iter().flat_map(|&x| vec![Lane::splat(x); tiles]).collect();
    let mut out = vec![Lane::default(); state.len()];
    let p = theta.len();
    let mut moments = vec![Moments::default(); p + p * p];
    for _ in 0..rounds {
        gradient.evaluate(&state, &mut out);
        for replica in 0..LANES * tiles {
            let g = |i: usize| out[i * tiles + replica / LANES].0[replica % LANES];
            for i in 0..p {
                moments[i].push(g(i));
                for j in 0..p {
                    moments[p + i * p + j].push(g(i) * g(j));
                }
            }
        }
    }
    moments
}

#[test]
fn sweep_and_factor_have_exactly_the_gradient_covariance() {
    // n = 32·1500 draws at one θ: |z| < 5 for each mean and second moment; the control is the noise of 1.15 C, and of
    // the second moment in place of the covariance (∇L is not small here).
    let formulas: [(&[&str], &str); 3] = [
        (&["a"], "(a*x - y - 1)^2"),
        (&["a", "b"], "(a*b*x - y)^2 + a*y"),
        (&["a", "b", "c"], "(a*x + b*y + c)^2"),
    ];
    for (parameters, text) in formulas {
        let formula = model(parameters, &[("x", "normal(1, 1)"), ("y", "normal(0, 0.5)")], None, text);
        let p = parameters.len();
        let theta = [0.8, -0.4, 1.1][..p].to_vec();
        let mean = formula.mean_gradient(&theta);
        let exact = critical::covariance(&formula.sample_gradients(&theta), &formula.nodes().weights, p);
        let formula: Arc<dyn Model> = Arc::new(formula);
        for way in [Way::Sweep, Way::Factor, Way::Sums] {
            for (sigma, right) in [(0.5, true), (0.5 * 1.15_f64.sqrt(), false)] {
                let gradient = GaussianGradient::by(formula.clone(), sigma, BLOCK, way);
                let m = sampled(gradient, &theta, 1500);
                let mut worst = 0.0_f64;
                for i in 0..p {
                    let z = (m[i].mean - mean[i]) / m[i].standard_error();
                    assert!(z.abs() < 5.0, "mean of {text}, {way:?}: {z}");
                    for j in 0..p {
                        let second = &m[p + i * p + j];
                        let expected = 0.25 * exact[(i, j)] + mean[i] * mean[j];
                        worst = worst.max(((second.mean - expected) / second.standard_error()).abs());
                    }
                }
                assert_eq!(worst < 5.0, right, "{text}, {way:?}, sigma {sigma}: z = {worst}");
            }
        }
    }
}

#[test]
fn a_singular_covariance_leaves_its_null_direction_without_noise() {
    // C = V(w, u)(w, u)ᵀ: the noise never moves along (u, −w), whatever the way.
    let formula =
        model(&["u", "w"], &[("x", "normal(0, 1)"), ("e", "normal(0, 1)")], None, "(u*w*x - x - e)^2");
    let formula: Arc<dyn Model> = Arc::new(formula);
    for (u, w) in [(1.25, 0.75), (1e-3, 2.0), (3.0, -1e-7), (0.0, 1.0)] {
        for way in [Way::Sweep, Way::Factor, Way::Sums] {
            let mut gradient = GaussianGradient::by(formula.clone(), 1.0, BLOCK, way);
            let mut state = vec![Lane::splat(u); 8];
            state[4..].fill(Lane::splat(w));
            let mut out = vec![Lane::default(); 8];
            gradient.evaluate(&state, &mut out);
            for (a, b) in out[..4].iter().zip(&out[4..]) {
                for l in 0..LANES {
                    let size = (a.0[l] * u).abs() + (b.0[l] * w).abs();
                    assert!((a.0[l] * u - b.0[l] * w).abs() <= 1e-14 * size, "{u} {w} {way:?}");
                    assert!(a.0[l].abs() + b.0[l].abs() > 1e-4);
                }
            }
        }
    }
}

#[test]
fn the_factor_is_for_few_parameters_and_many_nodes() {
    assert!(factor_is_cheaper(1, 10) && factor_is_cheaper(2, 64) && factor_is_cheaper(3, 512));
    assert!(!factor_is_cheaper(2, 5) && !factor_is_cheaper(4, 100_000) && !factor_is_cheaper(100, 442));
}
