use super::*;
use crate::lanes::{Level, Purpose, Stream};

const N: usize = 23;

/// Numbers with all bits in use.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Test, 0);
    (0..len).map(|_| stream.normal()).collect()
}
fn lanes(len: usize, seed: u64) -> Vec<Lane> {
    numbers(len * LANES, seed).chunks_exact(LANES).map(|x| Lane(std::array::from_fn(|l| x[l]))).collect()
}
fn indices(count: usize, tiles: usize) -> Vec<Indices> {
    (0..count * tiles).map(|i| Indices(std::array::from_fn(|l| ((i * 31 + l * 17 + 5) % N) as u32))).collect()
}

/// Each lane alone, as [`row_products`] says.
fn product(w: impl Fn(usize) -> f64, x: &[f64]) -> f64 {
    let mut s = [-0.0; LANES];
    for v in 0..x.len().div_ceil(LANES) {
        for j in 0..LANES {
            let e = v * LANES + j;
            s[j] += if e < x.len() { w(e) * x[e] } else { 0.0 };
        }
    }
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

#[test]
fn products_and_sums_of_rows_have_the_bits_that_are_promised_at_every_level() {
    // Rows of every short length, and of longer ones; blocks of samples, and every rest.
    let short = (1..9).map(|vectors| (8 * vectors - vectors % 3, 25 - vectors));
    let long = [(1, 1), (64, 8), (13, 3), (8, 9), (17, 5), (100, 11), (56, 2), (128, 16), (33, 0), (140, 29)];
    for (len, count) in short.chain(long) {
        for (tiles, step) in [(1, 1), (3, 1), (1, 5), (2, 4)] {
            let (width, first) = (len + 3, 2);
            let values = numbers(N * width, 1);
            let table = Table::new(&values, width, first, len);
            let indices = indices(count, tiles);
            let samples = Samples { table: &table, indices: &indices, count, tiles };
            let elements = Elements { len, step, tiles };
            let (w, factors) = (lanes(step * len * tiles, 2), lanes(count * tiles, 3));
            for level in Level::ALL {
                let what = format!("{elements:?} {count} {level:?}");
                let mut turned = vec![Lane::splat(f64::NAN); elements.turned_len()];
                let mut out = vec![Lane::default(); count * tiles];
                let mut sums = turned.clone();
                let mut back = vec![Lane::default(); step * len * tiles];
                let mut beside = vec![Lane::default(); count * 7 * tiles];
                Level::force(level, || {
                    to_rows(&mut turned, &w, &elements);
                    row_products(&mut out, &turned, samples);
                    // In two parts, as a long batch comes.
                    let (early, late) = indices.split_at(count / 2 * tiles);
                    let part = Samples { indices: early, count: count / 2, ..samples };
                    row_sums(&mut sums, &factors, part, false);
                    let part = Samples { indices: late, count: count - count / 2, ..samples };
                    row_sums(&mut sums, &factors[early.len()..], part, true);
                    to_lanes(&mut back, &sums, &elements);
                    let both = Columns { table: &values, width, first: 1, len: 2, indices: &indices, tiles };
                    columns(&mut beside, 7 * tiles, both);
                });
                for (t, l) in (0..tiles).flat_map(|t| (0..LANES).map(move |l| (t, l))) {
                    let row = |k: usize| &values[indices[k * tiles + t].0[l] as usize * width..][..width];
                    let place = |e: usize| e * step * tiles + t;
                    for k in 0..count {
                        let wanted = product(|e| w[place(e)].0[l], &row(k)[first..][..len]);
                        assert_eq!(out[k * tiles + t].0[l].to_bits(), wanted.to_bits(), "{what}");
                        for c in 0..2 {
                            assert_eq!(beside[(k * 7 + c) * tiles + t].0[l], row(k)[1 + c], "{what}");
                        }
                    }
                    for e in 0..len {
                        let terms = (0..count).map(|k| factors[k * tiles + t].0[l] * row(k)[first + e]);
                        let wanted = terms.fold(-0.0, |sum: f64, term| sum + term);
                        assert_eq!(back[place(e)].0[l].to_bits(), wanted.to_bits(), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "a row from")]
fn an_index_beyond_the_table_is_refused() {
    let table = Table::new(&numbers(N * 8, 1), 8, 0, 8);
    let indices = [Indices([N as u32; LANES])];
    let samples = Samples { table: &table, indices: &indices, count: 1, tiles: 1 };
    row_products(&mut [Lane::default()], &lanes(LANES, 2), samples);
}

/// Rows that step and the same numbers one by one, from random sums.
#[test]
fn a_step_along_sums_is_that_of_numbers_one_by_one_at_every_level() {
    let tiles = 2;
    for (len, count) in [(64, 8), (9, 3), (70, 17), (131, 8), (64, 4), (20, 6), (72, 21)] {
        let values = numbers(N * len, 1);
        let table = Table::new(&values, len, 0, len);
        let (indices, mut factors) = (indices(count, tiles), lanes(count * tiles, 3));
        let samples = Samples { table: &table, indices: &indices, count, tiles };
        let elements = Elements { len, step: 1, tiles };
        let (x, v) = (lanes(len * tiles, 2), lanes(len * tiles, 4));
        // One replica is out of bounds: its padding is to stay 0.
        factors[1].0[5] = f64::INFINITY;
        for momentum in [None, Some(0.9)] {
            for level in Level::ALL {
                let rows = || vec![Lane::splat(f64::NAN); elements.turned_len()];
                let (mut theta, mut velocity, mut sums, mut wanted) = (rows(), rows(), rows(), rows());
                if momentum.is_none() {
                    velocity.clear();
                }
                let (mut x, mut v) = (x.clone(), v.clone());
                Level::force(level, || {
                    to_rows(&mut theta, &x, &elements);
                    if momentum.is_some() {
                        to_rows(&mut velocity, &v, &elements);
                    }
                    let (early, late) = indices.split_at(count / 2 * tiles);
                    let early = Samples { indices: early, count: count / 2, ..samples };
                    let late = Samples { indices: late, count: count - count / 2, ..samples };
                    row_sums(&mut wanted, &factors, samples, false);
                    let mut step = Step {
                        theta: &mut theta,
                        velocity: &mut velocity,
                        sums: &mut sums,
                        len,
                        rate: 0.1,
                        factor: 0.7,
                        decay: 0.3,
                        momentum: momentum.unwrap_or(0.0),
                    };
                    row_sums(step.sums, &factors, early, false);
                    step_along_sums(&mut step, &factors[early.indices.len()..], late, true);
                });
                let padding = |rows: &[Lane]| -> Vec<f64> {
                    let padded = rows.chunks_exact(len.div_ceil(LANES));
                    padded.flat_map(|row| row.iter().flat_map(|lane| lane.0).skip(len)).collect()
                };
                assert!(padding(&theta).iter().chain(&padding(&velocity)).all(|x| x.to_bits() == 0));
                let mut gradient = vec![Lane::default(); len * tiles];
                to_lanes(&mut gradient, &wanted, &elements);
                for ((x, v), g) in x.iter_mut().zip(&mut v).zip(&gradient) {
                    for l in 0..LANES {
                        let change = 0.1 * (0.7 * g.0[l] + 0.3 * x.0[l]);
                        match momentum {
                            None => x.0[l] -= change,
                            Some(momentum) => {
                                v.0[l] = momentum * v.0[l] - change;
                                x.0[l] += v.0[l];
                            }
                        }
                    }
                }
                let mut back = vec![Lane::default(); len * tiles];
                let same = |a: &[Lane], b: &[Lane]| {
                    let bits = |lane: &Lane| lane.0.map(|x| if x.is_nan() { 0 } else { x.to_bits() });
                    a.iter().map(bits).eq(b.iter().map(bits))
                };
                to_lanes(&mut back, &theta, &elements);
                assert!(same(&back, &x), "θ of {len}, {count} samples, {momentum:?}, {level:?}");
                if momentum.is_some() {
                    to_lanes(&mut back, &velocity, &elements);
                    assert!(same(&back, &v), "v of {len}, {count} samples, {level:?}");
                }
            }
        }
    }
}
