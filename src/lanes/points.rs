//! Random numbers of mean 0 and variance 1 with two or three values: a few bits each, so that one word makes many.

use super::dispatch::vectorized;
use super::flat::{flat_mut, flat_words};
use super::{Bits, Lane, Purpose, Streams};

/// Which values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// ±1 with probability ½ each.
    Two,
    /// 0 with probability ⅔, ±√3 with ⅙ each; to 5·10⁻⁸ of a probability.
    Three,
}

impl Values {
    /// Numbers that a word makes.
    fn per_word(self) -> u32 {
        match self {
            Values::Two => u64::BITS,
            Values::Three => 6,
        }
    }
}

/// The numbers, one stream a replica, `tiles` × 8 replicas at a time.
#[derive(Clone, Debug)]
pub struct Points {
    streams: Streams,
    values: Values,
    words: Vec<Bits>,
    /// Of the present words, so many have been made.
    made: u32,
}

impl Points {
    /// The numbers of replicas `first_replica .. first_replica + 8·tiles` for one purpose.
    pub fn new(values: Values, seed: u64, purpose: Purpose, first_replica: u64, tiles: usize) -> Self {
        let streams = Streams::new(seed, purpose, first_replica, tiles);
        Self { streams, values, words: vec![Bits::default(); tiles], made: 0 }
    }

    /// Tiles in the block.
    pub fn tiles(&self) -> usize {
        self.words.len()
    }

    /// The next number of every replica, times `scale`: `tiles` vectors.
    pub fn row(&mut self, out: &mut [Lane], scale: f64) {
        if self.made == 0 {
            self.streams.fill_bits(&mut self.words);
        }
        let words = flat_words(&self.words);
        match self.values {
            Values::Two => two(flat_mut(out), words, self.made, scale),
            Values::Three => three(flat_mut(out), words, self.made, scale * 3.0_f64.sqrt()),
        }
        self.made = (self.made + 1) % self.values.per_word();
    }
}

/// A sixth of 2³², rounded up.
const SIXTH: u64 = 715_827_883;
/// A third of it.
const THIRD: u64 = 1_431_655_766;

vectorized! {
    /// ±size, the sign being bit `bit` of each word.
    fn two(out: &mut [f64], words: &[u64], bit: u32, size: f64) {
        let up = 63 - bit;
        for (o, w) in out.iter_mut().zip(words) {
            *o = f64::from_bits(size.to_bits() | ((w << up) & (1 << 63)));
        }
    }

    /// 0 or ±size, by digit `digit` in base 6 of the lower or, from 3 on, the upper half of each word.
    fn three(out: &mut [f64], words: &[u64], digit: u32, size: f64) {
        let (half, power) = (32 * (digit / 3), 6_u64.pow(digit % 3));
        for (o, w) in out.iter_mut().zip(words) {
            // What is left of the half as a fraction of 2³², after its first digits.
            let left = ((w >> half & 0xffff_ffff) * power) & 0xffff_ffff;
            let plus = if left < SIXTH { size } else { 0.0 };
            *o = if (SIXTH..THIRD).contains(&left) { -size } else { plus };
        }
    }
}
