//! Normal draws and elementary functions, a number at a time's cost.
//!
//! `PERRIN_SIMD=v1|v3|v4 cargo bench -p perrin-benches --bench lanes` measures one level of vector width.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use perrin::lanes::{Bits, Indices, LANES, Lane, Level, Normals, Purpose, Streams, math};
use std::hint::black_box;

/// Sixteen tiles are 128 replicas, a block of the usual size.
const TILES: usize = 16;

fn random(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("lanes/random/{}", Level::current().name()));
    group.throughput(Throughput::Elements((LANES * TILES * 64) as u64));
    let mut normals = Normals::new(1, Purpose::Test, 0, TILES);
    group.bench_function("normal, 64 rows", |b| {
        b.iter(|| {
            for _ in 0..64 {
                black_box(normals.row());
            }
        });
    });
    let mut out = vec![Lane::default(); 64 * TILES];
    group.bench_function("normal, filled", |b| b.iter(|| normals.fill(black_box(&mut out))));
    let mut streams = Streams::new(1, Purpose::Test, 0, TILES);
    group.bench_function("uniform", |b| b.iter(|| streams.fill_uniform(black_box(&mut out))));
    group.bench_function("sign", |b| b.iter(|| streams.fill_sign(black_box(&mut out))));
    let mut bits = vec![Bits::default(); 64 * TILES];
    group.bench_function("bits", |b| b.iter(|| streams.fill_bits(black_box(&mut bits))));
    let mut indices = vec![Indices::default(); 64 * TILES];
    group.bench_function("index", |b| b.iter(|| streams.fill_below(black_box(&mut indices), 442)));
    group.finish();
}

type Kernel = fn(&mut [Lane], &[Lane]);

fn functions(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("lanes/math/{}", Level::current().name()));
    group.throughput(Throughput::Elements((LANES * TILES * 8) as u64));
    let mut x = vec![Lane::default(); TILES * 8];
    Normals::new(2, Purpose::Test, 0, TILES).fill(&mut x);
    let positive: Vec<Lane> = x.iter().map(|lane| Lane(lane.0.map(f64::abs))).collect();
    let mut out = x.clone();
    let kernels: [(&str, Kernel, &[Lane]); 10] = [
        ("exp", math::exp, &x),
        ("expm1", math::expm1, &x),
        ("ln", math::ln, &positive),
        ("ln1p", math::ln1p, &positive),
        ("tanh", math::tanh, &x),
        ("sigmoid", math::sigmoid, &x),
        ("softplus", math::softplus, &x),
        ("sin", math::sin, &x),
        ("erf", math::erf, &x),
        ("power", |out, x| math::power(out, x, 1.7), &positive),
    ];
    for (name, kernel, x) in kernels {
        group.bench_function(name, |b| b.iter(|| kernel(black_box(&mut out), black_box(x))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1)).sample_size(30);
    targets = random, functions
}
criterion_main!(benches);
