//! Where replicas start.

use nalgebra::DMatrix;

use crate::lanes::math::scalar::exp;
use crate::lanes::{LANES, Lane, Purpose, Stream};
use crate::model::{Layout, Shape, StandardLaw};
use crate::stats::moments::Moments;
use crate::study::{Initial, Study};

/// True if all replicas start at the same place.
pub fn all_fixed(initial: &[Initial]) -> bool {
    initial.iter().all(|law| matches!(law, Initial::Fixed(_)))
}

/// θ of replicas `first .. first + 8·tiles`, `[P][tiles]`: parameters in file order, elements row by row, from each replica's initial stream.
/// Replica r starts by the law `laws[r mod laws.len()]`.
pub fn fill(theta: &mut [Lane], laws: &[&[Initial]], layout: &Layout, seed: u64, first: u64, tiles: usize) {
    for replica in 0..LANES * tiles {
        let mut stream = Stream::new(seed, Purpose::Initial, first + replica as u64);
        let (t, l) = (replica / LANES, replica % LANES);
        let mut put = |element: usize, value: f64| theta[element * tiles + t].0[l] = value;
        let initial = laws[((first + replica as u64) % laws.len() as u64) as usize];
        for (parameter, law) in layout.parameters().iter().zip(initial) {
            let elements = parameter.offset..parameter.offset + parameter.shape.len();
            match law {
                Initial::Fixed(values) => elements.zip(values).for_each(|(e, &x)| put(e, x)),
                Initial::Normal { mean, standard_deviation } => {
                    elements.for_each(|e| put(e, mean + standard_deviation * stream.normal()));
                }
                Initial::Uniform { low, high } => {
                    elements.for_each(|e| put(e, low + (high - low) * stream.uniform()));
                }
                Initial::Law { law: StandardLaw::Rademacher, shift, scale } => {
                    elements.for_each(|e| put(e, shift + scale * stream.sign()));
                }
                Initial::Law { law, shift, scale } => {
                    elements.for_each(|e| put(e, shift + scale * law.draw(&mut || stream.uniform())));
                }
                Initial::LogNormal { mean, standard_deviation } => {
                    elements.for_each(|e| put(e, exp(mean + standard_deviation * stream.normal())));
                }
                Initial::Multinormal { mean, factor } => {
                    let n = mean.len();
                    let z: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
                    for (i, e) in elements.enumerate() {
                        let row = &factor[i * n..=i * n + i];
                        let mut sum = mean[i];
                        row.iter().zip(&z).for_each(|(f, z)| sum += f * z);
                        put(e, sum);
                    }
                }
                Initial::Rows { values } => {
                    let count = (values.len() / elements.len().max(1)).max(1) as u64;
                    let row =
                        ((first + replica as u64) / laws.len() as u64 % count) as usize * elements.len();
                    elements.zip(&values[row..]).for_each(|(e, &x)| put(e, x));
                }
                Initial::Orthogonal { scale } => {
                    let matrix = orthogonal(parameter.shape, &mut stream);
                    elements.zip(matrix).for_each(|(e, x)| put(e, scale * x));
                }
            }
        }
    }
}

/// A Haar-distributed matrix with orthonormal columns (rows, where it is wider than high), row by row: Q of a Gaussian matrix's QR
/// decomposition with the signs of R's diagonal. Source: Mezzadri (2007), Notices of the AMS 54, 592.
fn orthogonal(shape: Shape, stream: &mut Stream) -> Vec<f64> {
    let (long, short) = (shape.rows.max(shape.cols), shape.rows.min(shape.cols));
    let gaussian = DMatrix::from_fn(long, short, |_, _| stream.normal());
    let qr = gaussian.qr();
    let (q, r) = (qr.q(), qr.r());
    let element = |i: usize, j: usize| if r[(j, j)] < 0.0 { -q[(i, j)] } else { q[(i, j)] };
    (0..shape.rows)
        .flat_map(|i| (0..shape.cols).map(move |j| (i, j)))
        .map(|(i, j)| if shape.rows >= shape.cols { element(i, j) } else { element(j, i) })
        .collect()
}

/// Where a search for the study's minimum starts: the mean of the initial law, and within `spread` of its standard deviations from it
/// (the mean of a symmetric law may be a saddle, a typical start is not).
pub fn search_start(study: &Study, spread: f64) -> Vec<f64> {
    let mut stream = Stream::new(study.run.seed, Purpose::Search, 0);
    let mut theta = Vec::with_capacity(study.layout().len());
    for (parameter, initial) in study.layout().parameters().iter().zip(&study.initial) {
        for element in 0..parameter.shape.len() {
            let step = spread * (2.0 * stream.uniform() - 1.0);
            theta.push(match initial {
                Initial::Fixed(values) => values.get(element).copied().unwrap_or(0.0),
                Initial::Normal { mean, standard_deviation } => mean + step * standard_deviation,
                Initial::Uniform { low, high } => 0.5 * ((high + low) + step * (high - low)),
                Initial::Law { law, shift, scale } => {
                    let (centre, deviation) = law.centre_and_scale();
                    shift + scale * (centre + step * deviation)
                }
                Initial::LogNormal { mean, standard_deviation } => exp(mean + step * standard_deviation),
                Initial::Multinormal { mean, factor } => {
                    let row = &factor[element * mean.len()..(element + 1) * mean.len()];
                    let variance: f64 = row.iter().map(|f| f * f).sum();
                    mean[element] + step * variance.sqrt()
                }
                Initial::Rows { values } => {
                    let column = || values.iter().skip(element).step_by(parameter.shape.len());
                    let moments = Moments::of(column().copied());
                    moments.mean + step * moments.variance().max(0.0).sqrt()
                }
                Initial::Orthogonal { scale } => step * scale,
            });
        }
    }
    theta
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: Shape) -> Layout {
        let mut layout = Layout::default();
        layout.push("a", Shape::SCALAR);
        layout.push("W", shape);
        layout
    }

    #[test]
    fn a_start_is_a_function_of_the_replica_alone() {
        let layout = layout(Shape::matrix(2, 2));
        let initial = [
            Initial::Normal { mean: 1.0, standard_deviation: 2.0 },
            Initial::Uniform { low: -1.0, high: 3.0 },
        ];
        let mut all = vec![Lane::default(); 5 * 4];
        fill(&mut all, &[&initial], &layout, 3, 0, 4);
        let mut last = vec![Lane::default(); 5];
        fill(&mut last, &[&initial], &layout, 3, 24, 1);
        for e in 0..5 {
            assert_eq!(all[e * 4 + 3], last[e]);
        }
        let mut other = vec![Lane::default(); 5];
        fill(&mut other, &[&initial], &layout, 4, 24, 1);
        assert_ne!(last, other);
    }

    #[test]
    fn rows_of_a_table_are_dealt_in_turn_within_their_start() {
        let layout = layout(Shape::vector(2));
        let rows = Initial::Rows { values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0].into() };
        let other = [Initial::Fixed(vec![-1.0]), Initial::Fixed(vec![0.0, 0.0])];
        let laws = [Initial::Fixed(vec![7.0]), rows];
        let row = |theta: &[Lane], replica: usize| {
            let tiles = theta.len() / 3;
            (0..3).map(|e| theta[e * tiles + replica / 8].0[replica % 8]).collect::<Vec<_>>()
        };
        let mut theta = vec![Lane::default(); 6];
        fill(&mut theta, &[&laws], &layout, 3, 8, 2);
        for replica in 0..16 {
            let k = ((8 + replica) % 3) as f64;
            assert_eq!(row(&theta, replica), [7.0, 1.0 + 2.0 * k, 2.0 + 2.0 * k]);
        }
        fill(&mut theta, &[&other, &laws], &layout, 3, 8, 2);
        for replica in 0..16 {
            let k = ((4 + replica / 2) % 3) as f64;
            let expected =
                if replica % 2 == 0 { [-1.0, 0.0, 0.0] } else { [7.0, 1.0 + 2.0 * k, 2.0 + 2.0 * k] };
            assert_eq!(row(&theta, replica), expected);
        }
        assert!(!all_fixed(&laws));
    }

    #[test]
    fn starts_are_dealt_in_turn_and_one_is_what_it_was() {
        let layout = layout(Shape::SCALAR);
        let normal = Initial::Normal { mean: 0.0, standard_deviation: 1.0 };
        let laws = [
            [Initial::Fixed(vec![1.0]), normal.clone()],
            [Initial::Fixed(vec![2.0]), normal.clone()],
            [normal.clone(), normal],
        ];
        let dealt: Vec<&[Initial]> = laws.iter().map(|law| &law[..]).collect();
        let (mut all, mut alone) = (vec![Lane::default(); 4], vec![Lane::default(); 4]);
        fill(&mut all, &dealt, &layout, 3, 8, 2);
        for (group, law) in laws.iter().enumerate() {
            fill(&mut alone, &[law], &layout, 3, 8, 2);
            for replica in (0..16).filter(|r| (8 + r) % 3 == group) {
                for e in 0..2 {
                    assert_eq!(
                        all[2 * e + replica / 8].0[replica % 8],
                        alone[2 * e + replica / 8].0[replica % 8]
                    );
                }
            }
        }
    }

    #[test]
    fn normal_and_uniform_starts_have_their_laws() {
        // n = 8·512·4: 5 standard errors on means and variances, odds 6e-7 each.
        let layout = layout(Shape::vector(4));
        let initial = [Initial::Fixed(vec![7.0]), Initial::Normal { mean: 1.0, standard_deviation: 2.0 }];
        let mut theta = vec![Lane::default(); 5 * 512];
        fill(&mut theta, &[&initial], &layout, 1, 0, 512);
        assert!(theta[..512].iter().all(|x| *x == Lane::splat(7.0)));
        let m = Moments::of(theta[512..].iter().flat_map(|x| x.0));
        assert!((m.mean - 1.0).abs() < 5.0 * m.standard_error());
        assert!((m.variance() - 4.0).abs() < 5.0 * m.variance_standard_error());
        let initial = [Initial::Fixed(vec![7.0]), Initial::Uniform { low: -1.0, high: 3.0 }];
        fill(&mut theta, &[&initial], &layout, 1, 0, 512);
        let m = Moments::of(theta[512..].iter().flat_map(|x| x.0));
        assert!((m.mean - 1.0).abs() < 5.0 * m.standard_error());
        assert!((m.variance() - 16.0 / 12.0).abs() < 5.0 * m.variance_standard_error());
        assert!(m.min >= -1.0 && m.max < 3.0);
    }

    #[test]
    fn laws_of_starts_have_their_moments() {
        // n = 8·512·2: 5 standard errors, odds 6e-7 each.
        let layout = layout(Shape::vector(2));
        let start = |law: Initial| {
            let mut theta = vec![Lane::default(); 3 * 512];
            fill(&mut theta, &[&[Initial::Fixed(vec![7.0]), law]], &layout, 1, 0, 512);
            theta[512..].iter().flat_map(|x| x.0).collect::<Vec<f64>>()
        };
        let of = |law, shift, scale| Initial::Law { law, shift, scale };
        for (law, mean, variance) in [
            (of(StandardLaw::Rademacher, 1.0, 0.5), 1.0, 0.25),
            (of(StandardLaw::Exponential, 0.0, 0.5), 0.5, 0.25),
            (of(StandardLaw::Gamma(3.0), 0.0, 2.0), 6.0, 12.0),
            (of(StandardLaw::Poisson(2.5), 0.0, 1.0), 2.5, 2.5),
            (of(StandardLaw::Beta(1.0, 3.0), 0.0, 1.0), 0.25, 3.0 / 80.0),
            (of(StandardLaw::Laplace, 1.0, 2.0), 1.0, 8.0),
            (
                Initial::LogNormal { mean: 0.1, standard_deviation: 0.5 },
                (0.1_f64 + 0.125).exp(),
                ((0.25_f64).exp() - 1.0) * (0.2_f64 + 0.25).exp(),
            ),
        ] {
            let m = Moments::of(start(law.clone()));
            assert!((m.mean - mean).abs() < 5.0 * m.standard_error(), "{law:?}: {m:?}");
            let error = m.variance_standard_error().max(1e-3);
            assert!((m.variance() - variance).abs() < 5.0 * error, "{law:?}: {m:?}");
            assert!((m.variance() - 1.3 * variance).abs() > 5.0 * error, "{law:?}: {m:?}");
        }
        let signs = start(of(StandardLaw::Rademacher, 0.0, 1.0));
        assert!(signs.iter().all(|x| x.abs() == 1.0));
        // C = [[4, 2], [2, 10]].
        let both = start(Initial::Multinormal { mean: vec![1.0, -1.0], factor: vec![2.0, 0.0, 1.0, 3.0] });
        let (x, y) = both.split_at(8 * 512);
        let product = Moments::of(x.iter().zip(y).map(|(x, y)| (x - 1.0) * (y + 1.0)));
        assert!((product.mean - 2.0).abs() < 5.0 * product.standard_error(), "{product:?}");
        assert!((Moments::of(y.iter().copied()).variance() - 10.0).abs() < 1.5);
    }

    #[test]
    fn orthogonal_starts_are_orthonormal_and_without_a_preferred_sign() {
        for shape in [Shape::matrix(3, 3), Shape::matrix(4, 2), Shape::matrix(2, 4)] {
            let layout = layout(shape);
            let initial = [Initial::Fixed(vec![0.0]), Initial::Orthogonal { scale: 0.5 }];
            let tiles = 64;
            let mut theta = vec![Lane::default(); layout.len() * tiles];
            fill(&mut theta, &[&initial], &layout, 5, 0, tiles);
            let value =
                |i: usize, j: usize, r: usize| theta[(1 + i * shape.cols + j) * tiles + r / 8].0[r % 8];
            for r in 0..8 * tiles {
                let (long, short) = (shape.rows.max(shape.cols), shape.rows.min(shape.cols));
                for a in 0..short {
                    for b in 0..short {
                        let dot: f64 = (0..long)
                            .map(|k| {
                                if shape.rows >= shape.cols {
                                    value(k, a, r) * value(k, b, r)
                                } else {
                                    value(a, k, r) * value(b, k, r)
                                }
                            })
                            .sum();
                        assert!((dot - if a == b { 0.25 } else { 0.0 }).abs() < 1e-14);
                    }
                }
            }
            // Haar: every element has mean 0 and variance scale²/long; QR without the sign fix has a first column of one sign.
            let m = Moments::of((0..8 * tiles).map(|r| value(0, 0, r)));
            assert!(m.mean.abs() < 5.0 * m.standard_error(), "{shape}: {}", m.mean);
            let long = shape.rows.max(shape.cols) as f64;
            assert!((m.variance() - 0.25 / long).abs() < 5.0 * m.variance_standard_error());
        }
    }
}
