//! A replica's normals depend on its key alone, and their law is normal.

use super::*;
use crate::lanes::{Level, Stream};
use rand_xoshiro::rand_core::SeedableRng;
use statrs::function::erf::{erf, erfc};
use std::f64::consts::SQRT_2;

const SEED: u64 = 99;

/// Replica `replica`'s numbers in a block, as `[n][tiles]` vectors have them.
fn column(out: &[Lane], tiles: usize, replica: usize) -> Vec<f64> {
    out.chunks_exact(tiles).map(|row| row[replica / LANES].0[replica % LANES]).collect()
}

fn filled(level: Level, first: u64, tiles: usize, rows: usize) -> Vec<Lane> {
    let mut out = vec![Lane::default(); rows * tiles];
    Level::force(level, || Normals::new(SEED, Purpose::Wiener, first, tiles).fill(&mut out));
    out
}

#[test]
fn every_lane_is_its_scalar_twin_at_every_level() {
    // 3000 rows: about six repairs a lane.
    let (first, tiles, rows) = (16, 3, 3000);
    let twins: Vec<Vec<f64>> = (0..24)
        .map(|r| {
            let mut twin = Stream::new(SEED, Purpose::Wiener, first + r);
            (0..rows).map(|_| twin.normal()).collect()
        })
        .collect();
    for level in Level::ALL {
        let out = filled(level, first, tiles, rows);
        for (replica, twin) in twins.iter().enumerate() {
            assert_eq!(&column(&out, tiles, replica), twin, "replica {replica} at {level:?}");
        }
    }
}

#[test]
fn rows_and_fills_of_any_length_give_one_sequence() {
    let (tiles, rows) = (2, 1000);
    let wanted = filled(Level::V4, 0, tiles, rows);
    let mut normals = Normals::new(SEED, Purpose::Wiener, 0, tiles);
    let mut got = Vec::new();
    for turn in 0.. {
        match turn % 4 {
            0 => got.extend_from_slice(normals.row()),
            k => {
                let mut out = vec![Lane::default(); [0, 1, 3, 130][k] * tiles];
                normals.fill(&mut out);
                got.extend_from_slice(&out);
            }
        }
        if got.len() >= wanted.len() {
            break;
        }
    }
    assert_eq!(got[..wanted.len()], wanted);
    let copy = normals.clone().row().to_vec();
    assert_eq!(copy, normals.row());
}

#[test]
fn a_replica_does_not_depend_on_its_block() {
    let alone = filled(Level::V4, 32, 1, 500);
    let among = filled(Level::V4, 0, 9, 500);
    let shifted = filled(Level::V4, 27, 2, 500);
    assert_eq!(column(&alone, 1, 3), column(&among, 9, 35));
    assert_eq!(column(&alone, 1, 3), column(&shifted, 2, 8));
    assert_ne!(column(&alone, 1, 3), column(&alone, 1, 4));
    Normals::new(SEED, Purpose::Wiener, 0, 0).fill(&mut []);
    assert!(Normals::new(SEED, Purpose::Wiener, 0, 0).row().is_empty());
}

#[test]
fn boxes_fill_the_density_from_below() {
    let table = Ziggurat::shared();
    let f = |x: f64| (-0.5 * x * x).exp();
    let area = (std::f64::consts::PI / 2.0).sqrt() / table::SLOTS as f64;
    let mut floor = 0.0;
    assert!(table.layers > 2000 && table.layers < table::SLOTS, "{}", table.layers);
    for &x in &table.widths[..table.layers] {
        assert!((x * (f(x) - floor) / area - 1.0).abs() < 1e-9, "box of width {x}");
        floor = f(x);
    }
    assert!(table.widths[table.layers..].iter().all(|&x| x == 0.0));
    // No further box fits: x(f − floor) stays below its area.
    assert!((0..10_000).all(|k| 1e-4 * f64::from(k) * (f(1e-4 * f64::from(k)) - floor) < area));
}

/// Distribution function of |x| in the density outside the boxes.
fn residual_law(table: &Ziggurat) -> impl Fn(f64) -> f64 + '_ {
    let share = table.layers as f64 / table::SLOTS as f64;
    move |x: f64| {
        // Boxes narrower than x lie wholly to its left; of the others a part x/x_j.
        let wider = table.widths[..table.layers].partition_point(|&w| w > x);
        let part: f64 = table.widths[..wider].iter().map(|w| x / w).sum();
        let boxes = (part + (table.layers - wider) as f64) / table::SLOTS as f64;
        (erf(x / SQRT_2) - boxes) / (1.0 - share)
    }
}

/// √n·sup|F_n − F|.
fn kolmogorov(sorted: &[f64], law: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    let deviation = sorted.iter().enumerate().map(|(k, &x)| {
        let p = law(x);
        (p - k as f64 / n).max((k + 1) as f64 / n - p)
    });
    deviation.fold(0.0, f64::max) * n.sqrt()
}

/// Exceeded by √n·D with probability 2·exp(−2·2.8²) = 3·10⁻⁷.
const KOLMOGOROV_BOUND: f64 = 2.8;

#[test]
fn the_rest_of_the_density_has_its_law() {
    let table = Ziggurat::shared();
    let mut words = Xoshiro256PlusPlus::seed_from_u64(5);
    let (mut sizes, mut positive) = (Vec::new(), 0.0);
    let n = 100_000;
    for _ in 0..n {
        let x = table.residual(&mut words);
        positive += f64::from(u8::from(x > 0.0));
        sizes.push(x.abs());
    }
    sizes.sort_by(f64::total_cmp);
    let law = residual_law(table);
    let d = kolmogorov(&sizes, &law);
    assert!(d < KOLMOGOROV_BOUND, "{d}");
    assert!((positive - f64::from(n) / 2.0).abs() < 5.5 * (f64::from(n) / 4.0).sqrt());
    // The tail apart, with its own distribution function.
    let edge = table.widths[0];
    let tail = &sizes[sizes.partition_point(|&x| x < edge)..];
    assert!(tail.len() > 1000, "{}", tail.len());
    let d = kolmogorov(tail, |x| 1.0 - erfc(x / SQRT_2) / erfc(edge / SQRT_2));
    assert!(d < KOLMOGOROV_BOUND, "tail: {d}");
    // Controls: numbers 2 % too large, a tail that falls too slowly.
    let stretched: Vec<f64> = sizes.iter().map(|x| 1.02 * x).collect();
    assert!(kolmogorov(&stretched, &law) > KOLMOGOROV_BOUND);
    let slow: Vec<f64> = tail.iter().map(|x| edge + 1.5 * (x - edge)).collect();
    assert!(kolmogorov(&slow, |x| 1.0 - erfc(x / SQRT_2) / erfc(edge / SQRT_2)) > KOLMOGOROV_BOUND);
}

/// Scores of the second and fourth moment of the numbers outside the boxes, whose law has what the boxes leave over:
/// E xᵏ = (m_k − Σ x_jᵏ/(k + 1)/N)/(1 − L/N) for even k.
fn residual_scores(n: u32) -> [f64; 2] {
    let table = Ziggurat::shared();
    let slots = table::SLOTS as f64;
    let moment = |normal: f64, k: i32| {
        let boxes: f64 = table.widths.iter().map(|x| x.powi(k) / f64::from(k + 1)).sum();
        (normal - boxes / slots) / (1.0 - table.layers as f64 / slots)
    };
    let (second, fourth, eighth) = (moment(1.0, 2), moment(3.0, 4), moment(105.0, 8));
    let mut words = Xoshiro256PlusPlus::seed_from_u64(6);
    let (mut squares, mut fourths) = (0.0, 0.0);
    for _ in 0..n {
        let square = table.residual(&mut words).powi(2);
        squares += square;
        fourths += square * square;
    }
    let n = f64::from(n);
    [
        (squares / n - second) / ((fourth - second * second) / n).sqrt(),
        (fourths / n - fourth) / ((eighth - fourth * fourth) / n).sqrt(),
    ]
}

#[test]
fn the_rest_of_the_density_has_its_moments() {
    let scores = residual_scores(1_000_000);
    assert!(scores.iter().all(|z| z.abs() < BOUND), "{scores:?}");
}

/// Sums that show whether numbers are normal and independent.
struct Evidence {
    n: f64,
    powers: [f64; 8],
    /// Cells of width 1/1024 from −8 to 8.
    cells: Vec<u64>,
    /// Products of a replica's successive numbers, and of neighbouring replicas' numbers.
    lag: f64,
    neighbour: f64,
    squares_lag: f64,
}

const CELLS: usize = 1 << 14;

impl Evidence {
    /// Of `rows` rows of `tiles` vectors, changed by `change`.
    fn gather(seed: u64, tiles: usize, rows: usize, change: impl Fn(f64) -> f64) -> Self {
        let mut normals = Normals::new(seed, Purpose::Normal, 0, tiles);
        let n = (rows * tiles * LANES) as f64;
        let mut e =
            Self { n, powers: [0.0; 8], cells: vec![0; CELLS], lag: 0.0, neighbour: 0.0, squares_lag: 0.0 };
        let mut before = vec![0.0; tiles * LANES];
        for row in 0..rows {
            let mut powers = [0.0; 8];
            let mut left = 0.0;
            for (x, before) in normals.row().iter().flat_map(|lane| lane.0).zip(&mut before) {
                let x = change(x);
                let mut power = 1.0;
                for sum in &mut powers {
                    power *= x;
                    *sum += power;
                }
                let cell = ((x + 8.0) * 1024.0).clamp(0.0, CELLS as f64 - 1.0);
                e.cells[cell as usize] += 1;
                e.neighbour += x * left;
                if row > 0 {
                    e.lag += x * *before;
                    e.squares_lag += (x * x - 1.0) * (*before * *before - 1.0);
                }
                (left, *before) = (x, x);
            }
            for (sum, power) in e.powers.iter_mut().zip(powers) {
                *sum += power;
            }
        }
        e
    }

    /// Every statistic in standard deviations, with its name. Each is normal to a good approximation.
    fn scores(&self) -> Vec<(String, f64)> {
        let mut scores = Vec::new();
        // E x^k, and the variance of x^k.
        let laws = [
            (0.0, 1.0),
            (1.0, 2.0),
            (0.0, 15.0),
            (3.0, 96.0),
            (0.0, 945.0),
            (15.0, 10_170.0),
            (0.0, 135_135.0),
            (105.0, 2_016_000.0),
        ];
        for (k, (sum, (mean, variance))) in self.powers.iter().zip(laws).enumerate() {
            scores.push((format!("moment {}", k + 1), (sum / self.n - mean) / (variance / self.n).sqrt()));
        }
        for (threshold, first) in [(3.0, 3 * 1024), (3.5, 3584), (4.0, 4096), (4.5, 4608)] {
            let beyond = |cells: &[u64]| cells.iter().sum::<u64>() as f64;
            for (side, count) in [
                ("+", beyond(&self.cells[CELLS / 2 + first..])),
                ("-", beyond(&self.cells[..CELLS / 2 - first])),
            ] {
                let expected = 0.5 * erfc(threshold / SQRT_2) * self.n;
                scores.push((format!("tail {side}{threshold}"), (count - expected) / expected.sqrt()));
            }
        }
        scores.push(("lag".into(), self.lag / self.n.sqrt()));
        scores.push(("neighbour".into(), self.neighbour / self.n.sqrt()));
        scores.push(("squares".into(), self.squares_lag / (4.0 * self.n).sqrt()));
        // χ² of the cells expected to hold a hundred numbers.
        let (mut chi2, mut freedom) = (0.0, 0.0);
        for (cell, &count) in self.cells.iter().enumerate() {
            let edge = |k: usize| (k as f64 / 1024.0 - 8.0) / SQRT_2;
            let p = if cell < CELLS / 2 {
                0.5 * (erfc(-edge(cell + 1)) - erfc(-edge(cell)))
            } else {
                0.5 * (erfc(edge(cell)) - erfc(edge(cell + 1)))
            };
            let expected = p * self.n;
            if expected > 100.0 {
                chi2 += (count as f64 - expected).powi(2) / expected;
                freedom += 1.0;
            }
        }
        scores.push(("cells".into(), (chi2 - freedom) / (2.0f64 * freedom).sqrt()));
        scores
    }

    /// √n·D on the edges of the cells.
    fn kolmogorov(&self) -> f64 {
        let (mut sum, mut largest) = (0u64, 0.0f64);
        for (cell, &count) in self.cells.iter().enumerate() {
            sum += count;
            let x = (cell + 1) as f64 / 1024.0 - 8.0;
            largest = largest.max((sum as f64 / self.n - 0.5 * erfc(-x / SQRT_2)).abs());
        }
        largest * self.n.sqrt()
    }

    fn worst(&self) -> (String, f64) {
        self.scores().into_iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap()
    }
}

/// Twenty statistics beyond 6 by chance: 4·10⁻⁸ were they normal; the skewest, the tail of 14 expected numbers beyond 4.5,
/// has 36 or more with probability 3·10⁻⁷.
const BOUND: f64 = 6.0;

#[test]
fn they_are_normal() {
    // 4 million numbers.
    let (tiles, rows) = (16, 31_250);
    let evidence = Evidence::gather(1, tiles, rows, |x| x);
    let (name, z) = evidence.worst();
    assert!(z.abs() < BOUND, "{name}: {z}");
    assert!(evidence.kolmogorov() < KOLMOGOROV_BOUND, "{}", evidence.kolmogorov());
    // Controls: too wide by 1/300; no tail from 4 on; a shift by 1/300.
    assert!(Evidence::gather(1, tiles, rows, |x| x * (1.0 + 1.0 / 300.0)).worst().1.abs() > BOUND);
    assert!(Evidence::gather(1, tiles, rows, |x| x.clamp(-3.99, 3.99)).worst().1.abs() > BOUND);
    assert!(Evidence::gather(1, tiles, rows, |x| x + 1.0 / 300.0).kolmogorov() > KOLMOGOROV_BOUND);
}

#[test]
#[ignore = "long: a thousand million numbers, ten seconds in a release build"]
fn they_are_normal_at_length() {
    let scores = residual_scores(100_000_000);
    println!("outside the boxes: {scores:?}");
    assert!(scores.iter().all(|z| z.abs() < BOUND));
    let evidence = Evidence::gather(20_261_125, 64, 2_000_000, |x| x);
    for (name, z) in evidence.scores() {
        println!("{name}: {z:.2}");
    }
    println!("kolmogorov: {:.3}", evidence.kolmogorov());
    let (name, z) = evidence.worst();
    assert!(z.abs() < BOUND, "{name}: {z}");
    assert!(evidence.kolmogorov() < KOLMOGOROV_BOUND);
}

#[test]
fn recorded_bits() {
    // Change them only with an entry under *Value-breaking* in the change log.
    let mut out = vec![Lane::default(); 4000];
    Normals::new(7, Purpose::Wiener, 0, 2).fill(&mut out);
    let folded = out.iter().flat_map(|lane| lane.0).fold(0u64, |sum, x| sum.rotate_left(5) ^ x.to_bits());
    assert_eq!((Ziggurat::shared().layers, folded), (2045, 0x03be_e58d_9c3a_0229));
    assert_eq!(out[0].0[..3], [0.795_542_427_491_316_9, -1.789_979_050_448_310_2, -1.423_190_830_787_841_8]);
}
