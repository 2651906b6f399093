//! Standard normals by the interior ziggurat of 2048 layers, in blocks of up to 512, draws outside the boxes repaired
//! after each block (McFarland 2016, J. Stat. Comput. Simul. 86, 1281; tail: Marsaglia 1964).
//!
//! One xoshiro256++ a lane; repairs of all lanes from one generator: less than perrin promises, and so a little cheaper.

use std::f64::consts::PI;
use std::sync::OnceLock;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::vector::Vector;

/// Vectors of a block at most.
pub const ROWS: usize = 64;

/// A block of normals, aligned for whole vectors.
#[repr(align(64))]
pub struct Block(pub [f64; 8 * ROWS]);

/// Eight streams and what repairs them.
pub struct Normals<V: Vector> {
    words: Words<V>,
    repairs: Xoshiro256PlusPlus,
    table: &'static Ziggurat,
}

impl<V: Vector> Normals<V> {
    #[inline(always)]
    pub unsafe fn new(seed: u64, block: u64) -> Self {
        Self {
            words: unsafe { Words::new(seed, block) },
            repairs: Xoshiro256PlusPlus::seed_from_u64(seed ^ (block << 20) ^ 0x5555),
            table: Ziggurat::shared(),
        }
    }

    /// The next `rows` vectors.
    #[inline(always)]
    pub unsafe fn fill(&mut self, out: &mut Block, rows: usize) {
        const ONE: u64 = 0x4000_0000_0000_0000;
        let mut outside = [0_u8; ROWS];
        let out = out.0.as_mut_ptr();
        let widths = self.table.widths.as_ptr();
        let layers = self.table.layers as u64;
        let mut words = self.words;
        for row in 0..rows {
            unsafe {
                let word = words.next();
                let layer = V::and(word, V::u(2047));
                let unit = V::sub(V::from_bits(V::or(V::shift_right::<12>(word), V::u(ONE))), V::f(3.0));
                V::store(out.add(8 * row), V::mul(V::gather(widths, layer), unit));
                outside[row] = V::at_least(layer, V::u(layers));
            }
        }
        self.words = words;
        for (eight, masks) in outside.as_chunks::<8>().0.iter().enumerate() {
            let mut mask = u64::from_le_bytes(*masks);
            while mask != 0 {
                let at = 64 * eight + mask.trailing_zeros() as usize;
                unsafe { *out.add(at) = self.table.residual(&mut self.repairs) };
                mask &= mask - 1;
            }
        }
    }
}

/// xoshiro256++ (Blackman & Vigna 2021), one a lane.
#[derive(Clone, Copy)]
struct Words<V: Vector>([V::U; 4]);

impl<V: Vector> Words<V> {
    #[inline(always)]
    unsafe fn new(seed: u64, block: u64) -> Self {
        let mut source = Xoshiro256PlusPlus::seed_from_u64(seed ^ block.wrapping_mul(0xd134_2543_de82_ef95));
        let mut state = [[0; 8]; 4];
        for lane in 0..8 {
            for word in &mut state {
                word[lane] = source.next_u64();
            }
        }
        Self(state.map(|word| unsafe { V::load_words(word.as_ptr()) }))
    }

    #[inline(always)]
    unsafe fn next(&mut self) -> V::U {
        let [mut a, mut b, mut c, mut d] = self.0;
        unsafe {
            let out = V::add_words(V::rotate_left::<23>(V::add_words(a, d)), a);
            let shifted = V::shift_left::<17>(b);
            c = V::xor(c, a);
            d = V::xor(d, b);
            b = V::xor(b, c);
            a = V::xor(a, d);
            c = V::xor(c, shifted);
            d = V::rotate_left::<45>(d);
            self.0 = [a, b, c, d];
            out
        }
    }
}

/// 2048 boxes of equal area inside half the density, and the pieces between them and the curve.
struct Ziggurat {
    widths: Vec<f64>,
    layers: usize,
    /// Left, right, lower, upper end of the piece beside each box.
    pieces: Vec<[f64; 4]>,
    probability: Vec<f64>,
    alias: Vec<usize>,
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

/// ∫ₓ^∞ exp(−t²/2) dt, by series and continued fraction.
fn tail(x: f64) -> f64 {
    let x = x / 2.0_f64.sqrt();
    let erfc = if x < 2.0 {
        let (mut sum, mut term, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        1.0 - sum * 2.0 / PI.sqrt()
    } else {
        let fraction = (1..200).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (x + f));
        (-x * x).exp() / (x + fraction) / PI.sqrt()
    };
    (PI / 2.0).sqrt() * erfc
}

impl Ziggurat {
    fn shared() -> &'static Self {
        static TABLE: OnceLock<Ziggurat> = OnceLock::new();
        TABLE.get_or_init(Self::new)
    }

    fn new() -> Self {
        const BOXES: usize = 2048;
        let area = (PI / 2.0).sqrt() / BOXES as f64;
        let mut widths = Vec::new();
        let mut floor: f64 = 0.0;
        while widths.len() < BOXES {
            // The widest box of that area that stands on the floor and fits below the curve.
            let widest = if floor > 0.0 { (-2.0 * floor.ln()).sqrt() } else { 10.0 };
            let fits = |x: f64| x * (density(x) - floor) >= area;
            let scan = (0..=4000).map(|i| widest * (1.0 - f64::from(i) / 4000.0)).find(|&x| fits(x));
            let Some(mut low) = scan else { break };
            let mut high = (low + widest / 4000.0).min(widest);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                *if fits(middle) { &mut low } else { &mut high } = middle;
            }
            widths.push(low);
            floor = density(low);
        }
        let layers = widths.len();
        let mut pieces = Vec::new();
        let mut areas = Vec::new();
        for (j, &right) in widths.iter().enumerate() {
            let left = widths.get(j + 1).copied().unwrap_or(0.0);
            let (lower, upper) = (density(right), if left > 0.0 { density(left) } else { 1.0 });
            pieces.push([left, right, lower, upper]);
            areas.push(tail(left) - tail(right) - lower * (right - left));
        }
        areas.push(tail(widths[0]));
        let (probability, alias) = alias(&areas);
        widths.resize(BOXES, 0.0);
        Self { widths, layers, pieces, probability, alias }
    }

    /// A draw from what the boxes leave.
    #[inline(never)]
    fn residual(&self, words: &mut Xoshiro256PlusPlus) -> f64 {
        let mut uniform = || (words.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let count = self.probability.len();
        let v = uniform() * count as f64;
        let mut j = v as usize;
        if v - j as f64 >= self.probability[j] {
            j = self.alias[j];
        }
        let x = if j == count - 1 {
            let edge = self.widths[0];
            loop {
                let (a, b) = (-(1.0 - uniform()).ln() / edge, -(1.0 - uniform()).ln());
                if 2.0 * b > a * a {
                    break edge + a;
                }
            }
        } else {
            let [left, right, lower, upper] = self.pieces[j];
            loop {
                let (x, y) = (left + (right - left) * uniform(), lower + (upper - lower) * uniform());
                if y < density(x) {
                    break x;
                }
            }
        };
        if uniform() < 0.5 { -x } else { x }
    }
}

/// Walker's alias table.
fn alias(areas: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let count = areas.len();
    let scale = count as f64 / areas.iter().sum::<f64>();
    let mut left: Vec<f64> = areas.iter().map(|a| a * scale).collect();
    let (mut probability, mut alias) = (vec![1.0; count], vec![0; count]);
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..count).partition(|&i| left[i] < 1.0);
    while let (Some(a), Some(&b)) = (small.pop(), large.last()) {
        probability[a] = left[a];
        alias[a] = b;
        left[b] -= 1.0 - left[a];
        if left[b] < 1.0 {
            large.pop();
            small.push(b);
        }
    }
    (probability, alias)
}
