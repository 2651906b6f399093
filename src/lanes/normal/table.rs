//! The interior ziggurat: boxes of equal area under the normal density, and what is left over.
//!
//! With f(x) = exp(−x²/2) on x ≥ 0, of area A = √(π/2), boxes `[0, x_j] × [f(x_{j−1}), f(x_j)]` of area A/N are
//! stacked from the bottom, each as wide as fits under f. They are L < N in number. A draw takes one
//! of N slots: a box gives x_j·U at once, the N − L slots left over stand for the density outside the boxes: overhangs
//! to the right of each box, and the tail beyond x_0 (McFarland 2016, J. Stat. Comput. Simul. 86, 1281; after
//! Marsaglia & Tsang 2000, J. Stat. Softw. 5(8); the tail after Marsaglia 1964, Technometrics 6, 101;
//! the choice of overhang by Walker's alias table, 1977, ACM TOMS 3, 253).

use crate::lanes::math::scalar;
use crate::lanes::stream;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use std::sync::OnceLock;

/// N, the number of slots.
pub(super) const SLOTS: usize = 2048;

/// A, the area under exp(−x²/2) on x ≥ 0: √(π/2).
const AREA: f64 = 1.253_314_137_315_500_3;

/// Slot of a word: its low eleven bits.
#[inline(always)]
pub(super) fn layer_index(word: u64) -> usize {
    (word % SLOTS as u64) as usize
}

/// The top 52 bits of a word as a number in [−1, 1), a multiple of 2⁻⁵¹.
#[inline(always)]
pub(super) fn signed_unit(word: u64) -> f64 {
    f64::from_bits((word >> 12) | 0x4000_0000_0000_0000) - 3.0
}

fn density(x: f64) -> f64 {
    scalar::exp(-0.5 * x * x)
}

/// The part of the density between a box's edge and f.
#[derive(Clone, Copy, Debug, Default)]
struct Overhang {
    left: f64,
    right: f64,
    bottom: f64,
    top: f64,
    /// |f − chord|/(top − bottom) is smaller.
    bulge: f64,
}

/// Boxes and overhangs.
#[derive(Debug)]
pub(super) struct Ziggurat {
    /// x_j for j < L, then zeros.
    pub(super) widths: Box<[f64; SLOTS]>,
    /// L.
    pub(super) layers: usize,
    overhangs: Vec<Overhang>,
    /// Alias table over the L overhangs and, last, the tail.
    slots: Vec<Slot>,
}

/// A slot of an alias table: kept below the threshold, else it becomes the other.
#[derive(Clone, Copy, Debug)]
struct Slot {
    threshold: f64,
    alias: u32,
}

impl Ziggurat {
    /// The one table of the process, made when first asked for.
    pub(super) fn shared() -> &'static Ziggurat {
        static TABLE: OnceLock<Ziggurat> = OnceLock::new();
        TABLE.get_or_init(Ziggurat::new)
    }

    fn new() -> Self {
        let mut widths = Box::new([0.0; SLOTS]);
        let layers = stack(&mut widths);
        let overhangs: Vec<Overhang> = (0..layers)
            .map(|j| {
                let left = if j + 1 < layers { widths[j + 1] } else { 0.0 };
                Overhang::new(left, widths[j])
            })
            .collect();
        let mut weights: Vec<f64> = overhangs.iter().map(Overhang::area).collect();
        let rest = AREA * (SLOTS - layers) as f64 / SLOTS as f64;
        weights.push(rest - weights.iter().sum::<f64>());
        let slots = alias_table(&weights);
        Self { widths, layers, overhangs, slots }
    }

    /// Width of the word's box; `None` outside the boxes.
    pub(super) fn layer(&self, word: u64) -> Option<f64> {
        let j = layer_index(word);
        (j < self.layers).then(|| self.widths[j])
    }

    /// A number from the density outside the boxes, with random sign.
    ///
    /// Branches go by what is known early: the words of a generator before the tables.
    #[inline]
    pub(super) fn residual(&self, words: &mut Xoshiro256PlusPlus) -> f64 {
        let slot = stream::unit(words.next_u64()) * self.slots.len() as f64;
        let own = slot as usize;
        let Slot { threshold, alias } = self.slots[own];
        let j = if slot - own as f64 >= threshold { alias as usize } else { own };
        let Some(o) = self.overhangs.get(j) else { return signed(self.beyond(words), words.next_u64()) };
        loop {
            let (along, up) = (stream::unit(words.next_u64()), stream::unit(words.next_u64()));
            let x = o.left + (o.right - o.left) * along;
            // Above the chord from the top left to the bottom right by so much of the height; only near it is f itself needed.
            let above = along + up - 1.0;
            let under = if above < 0.0 {
                above < -o.bulge || o.under(x, up)
            } else {
                above <= o.bulge && o.under(x, up)
            };
            if under {
                return signed(x, words.next_u64());
            }
        }
    }

    /// A number from the tail.
    #[cold]
    fn beyond(&self, words: &mut Xoshiro256PlusPlus) -> f64 {
        let mut uniform = || stream::unit(words.next_u64());
        let edge = self.widths[0];
        loop {
            let beyond = -scalar::ln(1.0 - uniform()) / edge;
            if -2.0 * scalar::ln(1.0 - uniform()) > beyond * beyond {
                return edge + beyond;
            }
        }
    }
}

/// −x where the top bit of a word is not set, else x; x ≥ 0.
#[inline(always)]
fn signed(x: f64, word: u64) -> f64 {
    f64::from_bits(x.to_bits() | (!word & (1 << 63)))
}

impl Overhang {
    fn new(left: f64, right: f64) -> Self {
        let (bottom, top) = (density(right), density(left));
        // |f''| = |x² − 1| f, and |f − chord| ≤ max |f''|·(right − left)²/8; roundings are far below what is added.
        let curvature = (left * left - 1.0).abs().max((right * right - 1.0).abs()) * top;
        let bulge = curvature * (right - left) * (right - left) / (8.0 * (top - bottom)) + 1e-9;
        Self { left, right, bottom, top, bulge }
    }

    /// True if the point over x, `up` of the way from the bottom to the top, lies under f.
    #[cold]
    fn under(&self, x: f64, up: f64) -> bool {
        self.bottom + (self.top - self.bottom) * up < density(x)
    }

    /// ∫(f − bottom) by Gauss–Legendre quadrature of eight points: exact to rounding on these narrow intervals.
    fn area(&self) -> f64 {
        const NODES: [f64; 4] = [
            0.183_434_642_495_649_8,
            0.525_532_409_916_329,
            0.796_666_477_413_626_7,
            0.960_289_856_497_536_2,
        ];
        const WEIGHTS: [f64; 4] = [
            0.362_683_783_378_362,
            0.313_706_645_877_887_3,
            0.222_381_034_453_374_48,
            0.101_228_536_290_376_26,
        ];
        let (middle, half) = (0.5 * (self.left + self.right), 0.5 * (self.right - self.left));
        let height = |x: f64| density(middle + half * x) - self.bottom;
        NODES.iter().zip(WEIGHTS).map(|(&x, w)| w * (height(x) + height(-x))).sum::<f64>() * half
    }
}

/// Stacks boxes from the bottom until none fits any more; returns their number.
fn stack(widths: &mut [f64; SLOTS]) -> usize {
    let area = AREA / SLOTS as f64;
    let (mut floor, mut right, mut widest) = (0.0, 10.0, 1.0);
    for j in 0..SLOTS {
        // x(f − floor) is largest where (1 − x²)f = floor.
        widest = descend(0.0, widest, |x| {
            let f = density(x);
            ((1.0 - x * x) * f - floor, x * (x * x - 3.0) * f)
        });
        if widest * (density(widest) - floor) < area {
            return j;
        }
        right = descend(widest, right, |x| {
            let f = density(x);
            (x * (f - floor) - area, f - floor - x * x * f)
        });
        widths[j] = right;
        floor = density(right);
    }
    SLOTS
}

/// Root in `[low, high]` of a function (value, derivative) that falls through zero: Newton's method inside a bracket.
fn descend(mut low: f64, mut high: f64, f: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut x = high;
    for _ in 0..100 {
        let (value, slope) = f(x);
        if value >= 0.0 {
            low = x;
        } else {
            high = x;
        }
        let newton = x - value / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= 1e-15 * x.abs() {
            return next;
        }
        x = next;
    }
    x
}

/// Walker's table.
fn alias_table(weights: &[f64]) -> Vec<Slot> {
    let n = weights.len();
    let total: f64 = weights.iter().sum();
    let mut share: Vec<f64> = weights.iter().map(|w| w / total * n as f64).collect();
    let mut slots: Vec<Slot> = (0..n as u32).map(|alias| Slot { threshold: 1.0, alias }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&k| share[k] < 1.0);
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        slots[poor] = Slot { threshold: share[poor], alias: rich as u32 };
        share[rich] -= 1.0 - share[poor];
        if share[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng;

    /// The same draw without a look at the chord.
    fn plain(table: &Ziggurat, words: &mut Xoshiro256PlusPlus) -> f64 {
        let mut uniform = || stream::unit(words.next_u64());
        let slot = uniform() * table.slots.len() as f64;
        let mut j = slot as usize;
        if slot - j as f64 >= table.slots[j].threshold {
            j = table.slots[j].alias as usize;
        }
        let Some(o) = table.overhangs.get(j) else {
            return signed(table.beyond(words), words.next_u64());
        };
        loop {
            let x = o.left + (o.right - o.left) * uniform();
            let y = o.bottom + (o.top - o.bottom) * uniform();
            if y < density(x) {
                return if uniform() < 0.5 { -x } else { x };
            }
        }
    }

    #[test]
    fn the_chord_decides_as_the_density_does() {
        let table = Ziggurat::shared();
        let (mut words, mut twin) =
            (Xoshiro256PlusPlus::seed_from_u64(11), Xoshiro256PlusPlus::seed_from_u64(11));
        for _ in 0..1_000_000 {
            assert_eq!(table.residual(&mut words).to_bits(), plain(table, &mut twin).to_bits());
        }
        assert_eq!(words, twin);
    }

    #[test]
    fn an_overhang_bulges_less_than_it_says() {
        let table = Ziggurat::shared();
        let mut widest: f64 = 0.0;
        for o in &table.overhangs {
            let furthest = (0..=100)
                .map(|k| {
                    let along = f64::from(k) / 100.0;
                    let height =
                        (density(o.left + (o.right - o.left) * along) - o.bottom) / (o.top - o.bottom);
                    (height - (1.0 - along)).abs()
                })
                .fold(0.0, f64::max);
            assert!(furthest <= o.bulge, "{o:?}: {furthest}");
            widest = widest.max(furthest / o.bulge);
        }
        assert!(widest > 0.9, "{widest}");
        // So f itself is seldom needed.
        let mean = table.overhangs.iter().map(|o| o.bulge).sum::<f64>() / table.overhangs.len() as f64;
        assert!(mean < 0.05, "{mean}");
    }
}
