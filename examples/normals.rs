//! Standard normals as the simulations get them: tested at length, or written out for tests of your own.
//!
//!     cargo run --release --example normals -- quality 1e9
//!     cargo run --release --example normals -- dump 1000 512 --seed 7 > normals.f64
//!
//! `quality` looks at moments to order 8, tails to 6σ, the distribution (Kolmogorov–Smirnov, χ²), pairs of successive
//! numbers (χ²), sums of each replica, and correlations between numbers, lanes, tiles, replicas, purposes and seeds. It says p of
//! each, and ends with exit code 1 where the least is too small; numbers spoiled on purpose must be seen. 1e9 numbers
//! take about half a minute.
//!
//! `dump ROWS REPLICAS` writes doubles, little-endian, the replicas' first numbers, then their second, …:
//! `numpy.fromfile("normals.f64").reshape(1000, 512)`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(clippy::disallowed_methods, reason = "p-values are judged, not recorded")]

use std::error::Error;
use std::f64::consts::SQRT_2;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use perrin::lanes::{LANES, Lane, Normals, Purpose};
use statrs::distribution::{ChiSquared, ContinuousCDF, DiscreteCDF, Poisson};
use statrs::function::erf::erfc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Test so many numbers
    Quality {
        /// How many, 1e6 at least
        count: f64,
        #[arg(long, default_value_t = 20_261_125)]
        seed: u64,
    },
    /// Write numbers to standard output
    Dump {
        /// Numbers of each replica
        rows: usize,
        /// Replicas, the first having number 0
        replicas: usize,
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// What they are for
        #[arg(long, default_value = "wiener")]
        purpose: String,
    },
}

const PURPOSES: [(&str, Purpose); 6] = [
    ("wiener", Purpose::Wiener),
    ("gradient", Purpose::Gradient),
    ("normal", Purpose::Normal),
    ("initial", Purpose::Initial),
    ("velocity", Purpose::Velocity),
    ("test", Purpose::Test),
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Quality { count, seed } => quality(count, seed),
        Command::Dump { rows, replicas, seed, purpose } => dump(rows, replicas, seed, &purpose),
    }
}

fn dump(rows: usize, replicas: usize, seed: u64, purpose: &str) -> Result<ExitCode, Box<dyn Error>> {
    let Some((_, purpose)) = PURPOSES.into_iter().find(|(name, _)| *name == purpose) else {
        let known: Vec<&str> = PURPOSES.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no purpose {purpose}; there are {}", known.join(", ")).into());
    };
    let mut normals = Normals::new(seed, purpose, 0, replicas.div_ceil(LANES));
    let mut out = BufWriter::new(std::io::stdout().lock());
    for _ in 0..rows {
        for x in normals.row().iter().flat_map(|lane| lane.0).take(replicas) {
            out.write_all(&x.to_le_bytes())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Tiles of the block that is tested: 512 replicas.
const TILES: usize = 64;
const REPLICAS: usize = TILES * LANES;
/// Cells of width 1/1024 from −8 to 8.
const CELLS: usize = 1 << 14;
/// Intervals of about equal probability, for pairs.
const BINS: usize = 64;
/// The least p, times the number of statistics, that is taken for chance.
const CHANCE: f64 = 1e-5;

/// Numbers spoiled on purpose, to see that it is seen.
#[derive(Clone, Copy)]
enum Spoiled {
    No,
    /// Too wide by this much.
    Wide(f64),
    /// No number beyond this.
    Cut(f64),
    /// Each replica's number is mixed with its left neighbour's.
    Lanes(f64),
    /// One purpose's numbers are mixed with another's.
    Purposes(f64),
}

fn quality(count: f64, seed: u64) -> Result<ExitCode, Box<dyn Error>> {
    let rows = count / REPLICAS as f64;
    if !(1e6..1e15).contains(&count) {
        return Err("ask for 1e6 to 1e15 numbers".into());
    }
    let evidence = Evidence::gather(seed, rows as u64, Spoiled::No);
    println!("{count:e} numbers, the largest {:.3}", evidence.largest);
    let scores = evidence.scores()?;
    for score in &scores {
        println!("{:30} {:>10}   p = {:.3e}", score.name, score.value, score.p);
    }
    let fine = verdict(&scores, "the numbers");
    println!("\nspoiled on purpose:");
    // A deviation that is 10 standard errors of what shows it.
    let part = (count / 10.0).max(1e6);
    let small = 10.0 / part.sqrt();
    let beyond = |half_sigmas: usize| 0.5 * erfc(half_sigmas as f64 / 2.0 / SQRT_2) * part;
    let cut = (6..=12).rev().find(|&h| beyond(h) > 30.0).unwrap_or(6) as f64 / 2.0;
    let mut seen = true;
    for (name, spoiled) in [
        ("too wide", Spoiled::Wide(small)),
        ("without the tails", Spoiled::Cut(cut - 0.01)),
        ("lanes mixed", Spoiled::Lanes(small)),
        ("purposes mixed", Spoiled::Purposes(small)),
    ] {
        let scores = Evidence::gather(seed, (part / REPLICAS as f64) as u64, spoiled).scores()?;
        seen &= !verdict(&scores, name);
    }
    Ok(if fine && seen { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// True where the worst of the statistics may be chance.
fn verdict(scores: &[Score], what: &str) -> bool {
    let Some(worst) = scores.iter().min_by(|a, b| a.p.total_cmp(&b.p)) else { return false };
    let chance = (worst.p * scores.len() as f64).min(1.0);
    let fine = chance > CHANCE;
    let word = if fine { "normal" } else { "not normal" };
    println!("{what}: {word}; the worst of {} is {}, by chance {chance:.2e}", scores.len(), worst.name);
    fine
}

/// Sums of products of numbers that must not know of each other, and of their squares less 1.
#[derive(Clone, Copy, Default)]
struct Pair {
    products: f64,
    squares: f64,
}

impl Pair {
    fn add(&mut self, x: &[f64], y: &[f64]) {
        let (mut products, mut squares) = (0.0, 0.0);
        for (x, y) in x.iter().zip(y) {
            products += x * y;
            squares += (x * x - 1.0) * (y * y - 1.0);
        }
        self.products += products;
        self.squares += squares;
    }
}

/// Names of the pairs; the shift along the row, or what else is paired, stands in [`Evidence::pairs_of`].
const PAIRS: [&str; 8] = [
    "successive numbers",
    "numbers two apart",
    "numbers eight apart",
    "neighbouring lanes",
    "neighbouring tiles",
    "distant replicas",
    "purposes",
    "seeds",
];

struct Evidence {
    rows: u64,
    powers: [f64; 8],
    cells: Vec<u64>,
    pairs: [Pair; PAIRS.len()],
    serial: Vec<u64>,
    /// Interval of each cell.
    bin: Vec<u8>,
    /// Sum of each replica's numbers.
    sums: Vec<f64>,
    largest: f64,
}

fn flat(row: &[Lane], out: &mut [f64]) {
    for (lane, out) in row.iter().zip(out.chunks_exact_mut(LANES)) {
        out.copy_from_slice(&lane.0);
    }
}

fn cell(x: f64) -> usize {
    ((x + 8.0) * 1024.0).clamp(0.0, CELLS as f64 - 1.0) as usize
}

/// Probability of a cell; the outermost have the tails.
fn probability(cell: usize) -> f64 {
    let edge = |k: usize| (k as f64 / 1024.0 - 8.0) / SQRT_2;
    let (low, high) = (edge(cell), edge(cell + 1));
    match cell {
        0 => 0.5 * erfc(-high),
        c if c == CELLS - 1 => 0.5 * erfc(low),
        c if c < CELLS / 2 => 0.5 * (erfc(-high) - erfc(-low)),
        _ => 0.5 * (erfc(low) - erfc(high)),
    }
}

impl Evidence {
    fn gather(seed: u64, rows: u64, spoiled: Spoiled) -> Self {
        let mut below = 0.0;
        let bin = (0..CELLS)
            .map(|c| {
                let middle = below + 0.5 * probability(c);
                below += probability(c);
                ((middle * BINS as f64) as usize).min(BINS - 1) as u8
            })
            .collect();
        let mut e = Self {
            rows,
            powers: [0.0; 8],
            cells: vec![0; CELLS],
            pairs: [Pair::default(); PAIRS.len()],
            serial: vec![0; BINS * BINS],
            bin,
            sums: vec![0.0; REPLICAS],
            largest: 0.0,
        };
        let mut normals = Normals::new(seed, Purpose::Wiener, 0, TILES);
        let mut purpose = Normals::new(seed, Purpose::Gradient, 0, TILES);
        let mut other = Normals::new(seed + 1, Purpose::Wiener, 0, TILES);
        // The last eight rows, the newest first.
        let mut past = vec![vec![0.0; REPLICAS]; 9];
        let (mut second, mut third) = (vec![0.0; REPLICAS], vec![0.0; REPLICAS]);
        for row in 0..rows {
            past.rotate_right(1);
            flat(normals.row(), &mut past[0]);
            flat(purpose.row(), &mut second);
            flat(other.row(), &mut third);
            spoil(&mut past[0], &mut second, spoiled);
            e.add(&past, row);
            e.pairs[6].add(&past[0], &second);
            e.pairs[7].add(&past[0], &third);
        }
        e
    }

    fn add(&mut self, past: &[Vec<f64>], row: u64) {
        let now = &past[0];
        let mut powers = [0.0; 8];
        for (&x, sum) in now.iter().zip(&mut self.sums) {
            let mut power = 1.0;
            for total in &mut powers {
                power *= x;
                *total += power;
            }
            self.cells[cell(x)] += 1;
            *sum += x;
        }
        self.largest = now.iter().fold(self.largest, |largest, x| largest.max(x.abs()));
        self.powers.iter_mut().zip(powers).for_each(|(sum, power)| *sum += power);
        for (pair, lag) in [(0, 1), (1, 2), (2, 8)] {
            if row >= lag as u64 {
                self.pairs[pair].add(now, &past[lag]);
            }
        }
        if row >= 1 && row % 2 == 1 {
            for (&x, &y) in now.iter().zip(&past[1]) {
                self.serial[BINS * usize::from(self.bin[cell(x)]) + usize::from(self.bin[cell(y)])] += 1;
            }
        }
        self.pairs[3].add(&now[1..], now);
        self.pairs[4].add(&now[LANES..], now);
        self.pairs[5].add(&now[REPLICAS / 2..], now);
    }

    /// Pairs that were multiplied.
    fn pairs_of(&self, pair: usize) -> f64 {
        let rows = self.rows as f64;
        match pair {
            0 => (rows - 1.0) * REPLICAS as f64,
            1 => (rows - 2.0) * REPLICAS as f64,
            2 => (rows - 8.0) * REPLICAS as f64,
            3 => rows * (REPLICAS - 1) as f64,
            4 => rows * (REPLICAS - LANES) as f64,
            5 => rows * (REPLICAS / 2) as f64,
            _ => rows * REPLICAS as f64,
        }
    }

    fn scores(&self) -> Result<Vec<Score>, Box<dyn Error>> {
        let n = self.rows as f64 * REPLICAS as f64;
        let mut scores = Vec::new();
        // E x^k and the variance of x^k.
        let means = [0.0, 1.0, 0.0, 3.0, 0.0, 15.0, 0.0, 105.0];
        let variances = [1.0, 2.0, 15.0, 96.0, 945.0, 10_170.0, 135_135.0, 2_016_000.0];
        for k in 0..8 {
            let z = (self.powers[k] / n - means[k]) / (variances[k] / n).sqrt();
            scores.push(Score::normal(format!("moment {}", k + 1), z));
        }
        for half_sigmas in 6..=12_usize {
            let inner = half_sigmas * 512;
            let expected = 0.5 * erfc(half_sigmas as f64 / 2.0 / SQRT_2) * n;
            for (sign, cells) in
                [("+", &self.cells[CELLS / 2 + inner..]), ("−", &self.cells[..CELLS / 2 - inner])]
            {
                let name = format!("beyond {sign}{:.1}", half_sigmas as f64 / 2.0);
                scores.push(Score::count(name, cells.iter().sum(), expected)?);
            }
        }
        // The distribution function at the cells' edges.
        let (mut below, mut sum, mut distance) = (0, 0.0, 0.0_f64);
        let (mut chi2, mut free) = (0.0, -1.0);
        let (mut pooled, mut pooled_expected) = (0, 0.0);
        for (c, &count) in self.cells.iter().enumerate() {
            let p = probability(c);
            below += count;
            sum += p;
            distance = distance.max((below as f64 / n - sum).abs());
            pooled += count;
            pooled_expected += p * n;
            // Neighbours together until a hundred are expected; what is left at the end counts with none.
            if pooled_expected > 100.0 {
                chi2 += (pooled as f64 - pooled_expected).powi(2) / pooled_expected;
                free += 1.0;
                (pooled, pooled_expected) = (0, 0.0);
            }
        }
        scores.push(Score::kolmogorov(distance * n.sqrt()));
        scores.push(Score::chi_squared("distribution, χ²".into(), chi2, free)?);
        scores.push(self.serial()?);
        let sums: f64 = self.sums.iter().map(|s| s * s / self.rows as f64).sum();
        scores.push(Score::chi_squared("sums of replicas, χ²".into(), sums, REPLICAS as f64)?);
        for (pair, name) in PAIRS.iter().enumerate() {
            let scale = self.pairs_of(pair).sqrt();
            scores.push(Score::normal((*name).to_owned(), self.pairs[pair].products / scale));
            scores.push(Score::normal(format!("{name}, squares"), self.pairs[pair].squares / (2.0 * scale)));
        }
        Ok(scores)
    }

    /// Pairs of successive numbers, each number in two pairs at most of different rows: in which of 64 × 64 fields.
    fn serial(&self) -> Result<Score, Box<dyn Error>> {
        let mut share = [0.0; BINS];
        for (c, &bin) in self.bin.iter().enumerate() {
            share[usize::from(bin)] += probability(c);
        }
        let n = self.serial.iter().sum::<u64>() as f64;
        let mut chi2 = 0.0;
        for (field, &count) in self.serial.iter().enumerate() {
            let expected = share[field / BINS] * share[field % BINS] * n;
            chi2 += (count as f64 - expected).powi(2) / expected;
        }
        Score::chi_squared("pairs of numbers, χ²".into(), chi2, (BINS * BINS - 1) as f64)
    }
}

fn spoil(now: &mut [f64], second: &mut [f64], spoiled: Spoiled) {
    match spoiled {
        Spoiled::No => {}
        Spoiled::Wide(by) => now.iter_mut().for_each(|x| *x *= 1.0 + by),
        Spoiled::Cut(at) => now.iter_mut().for_each(|x| *x = x.clamp(-at, at)),
        Spoiled::Lanes(by) => (1..now.len()).rev().for_each(|l| now[l] += by * now[l - 1]),
        Spoiled::Purposes(by) => second.iter_mut().zip(now).for_each(|(y, x)| *y += by * *x),
    }
}

/// A statistic, and the probability of one at least as far from what is expected.
struct Score {
    name: String,
    value: String,
    p: f64,
}

impl Score {
    fn normal(name: String, z: f64) -> Self {
        Self { name, value: format!("{z:.2} σ"), p: erfc(z.abs() / SQRT_2) }
    }

    fn count(name: String, count: u64, expected: f64) -> Result<Self, Box<dyn Error>> {
        let value = format!("{count}/{expected:.0}");
        if expected > 1e4 {
            return Ok(Self { value, ..Self::normal(name, (count as f64 - expected) / expected.sqrt()) });
        }
        let law = Poisson::new(expected)?;
        let above = if count == 0 { 1.0 } else { law.sf(count - 1) };
        Ok(Self { name, value, p: (2.0 * law.cdf(count).min(above)).min(1.0) })
    }

    fn chi_squared(name: String, chi2: f64, free: f64) -> Result<Self, Box<dyn Error>> {
        let law = ChiSquared::new(free)?;
        let p = (2.0 * law.cdf(chi2).min(law.sf(chi2))).min(1.0);
        Ok(Self { name, value: format!("{chi2:.0}/{free:.0}"), p })
    }

    /// √n·sup|F_n − F| (Kolmogorov's limit law).
    fn kolmogorov(distance: f64) -> Self {
        let term = |k: i32| {
            let k = f64::from(k);
            2.0 * (-2.0 * k * k * distance * distance).exp()
        };
        let p = (1..100).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum::<f64>();
        Self { name: "distribution, KS".into(), value: format!("{distance:.3}"), p: p.clamp(0.0, 1.0) }
    }
}
