//! The tape's cost on a block, without noise: gradients of formulas, in replica-evaluations a second.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use perrin::lanes::{LANES, Lane};
use perrin::model::formula::{DataEntry, DataSource, Expression, FormulaModel, ModelSpec};
use perrin::model::{Batch, Layout, Model, Shape};

/// The same sample again and again, of weight 1.
struct Ones(usize);

impl Batch for Ones {
    fn len(&self) -> usize {
        self.0
    }
    fn fill(&mut self, _: usize, _: usize, _: &mut [Lane], weights: &mut [Lane]) {
        weights.fill(Lane::splat(1.0));
    }
}

fn formula(text: &str) -> Expression {
    match Expression::parse(text) {
        Ok(expression) => expression,
        Err(errors) => unreachable!("{errors:?}"),
    }
}

fn model(parameters: &[(&str, Shape)], data: &[(&str, Shape)], loss: &str) -> FormulaModel {
    let mut layout = Layout::default();
    for (name, shape) in parameters {
        layout.push(*name, *shape);
    }
    let data = data
        .iter()
        .map(|(name, shape)| DataEntry {
            name: (*name).to_owned(),
            source: DataSource::Formula { formula: formula("normal(0, 1)"), shape: Some(*shape) },
        })
        .collect();
    let spec = ModelSpec {
        layout,
        constants: BTreeMap::new(),
        data,
        size: Some(64),
        loss: formula(loss),
        decay: 0.0,
        seed: 1,
    };
    match FormulaModel::new(spec) {
        Ok(model) => model,
        Err(errors) => unreachable!("{errors:?}"),
    }
}

fn gradients(criterion: &mut Criterion) {
    let (scalar, matrix) = (Shape::SCALAR, Shape::matrix(32, 32));
    let cases = [
        (
            "(uwx-1)^2, batch 1",
            model(&[("u", scalar), ("w", scalar)], &[("x", scalar)], "(u*w*x - 1)^2"),
            1,
            16,
        ),
        (
            "regression d=64, batch 8",
            model(
                &[("w", Shape::vector(64))],
                &[("x", Shape::vector(64)), ("y", scalar)],
                "(dot(w, x) - y)^2",
            ),
            8,
            4,
        ),
        (
            "deep linear 3x32x32, batch 16",
            model(
                &[("A", matrix), ("B", matrix), ("C", matrix)],
                &[("x", Shape::vector(32)), ("y", Shape::vector(32))],
                "norm2(C @ B @ A @ x - y)",
            ),
            16,
            1,
        ),
    ];
    let mut group = criterion.benchmark_group("tape/gradient");
    for (name, model, samples, tiles) in &cases {
        group.throughput(Throughput::Elements((tiles * LANES) as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let theta = vec![Lane::splat(0.3); model.layout().len() * tiles];
            let mut gradient = theta.clone();
            let mut scratch = model.scratch(*tiles);
            bencher.iter(|| {
                model.weighted_gradient(black_box(&theta), &mut Ones(*samples), &mut gradient, &mut scratch);
            });
            black_box(&gradient);
        });
    }
    group.finish();
}

criterion_group!(benches, gradients);
criterion_main!(benches);
