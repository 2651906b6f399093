//! Random streams: xoshiro256++ (Blackman & Vigna 2021, ACM TOMS 47, 36), one a replica and purpose.
//!
//! The stream of (seed, purpose, replica) is `Xoshiro256PlusPlus::seed_from_u64(key)`: its four state
//! words are the first four outputs of SplitMix64 started at `key`, where
//!
//! ```text
//! mix(z)  z ← (z ⊕ z≫30)·0xbf58476d1ce4e5b9;  z ← (z ⊕ z≫27)·0x94d049bb133111eb;  z ⊕ z≫31
//! key   = mix(mix(seed + γ) ⊕ mix(id + γ)),   γ = 0x9e3779b97f4a7c15
//! id    = replica + 2⁵⁶·purpose + 2⁶³·repair        (replica < 2⁵⁶)
//! ```
//!
//! and `mix` is SplitMix64's output function. `mix` is a bijection, so no two streams of one seed share a key.
//! Every purpose has a *repair twin*: the second stream of a replica, from which rejection sampling
//! takes its extra draws, so that the first stream is used once a draw whatever the neighbours do.

use super::dispatch::vectorized;
use super::flat::{as_words, flat_indices, flat_mut, flat_words};
use super::stopwatch::{self, Section};
use super::{Bits, Indices, LANES, Lane, normal};
#[cfg(target_arch = "x86_64")]
use super::{Level, wide};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Infallible, Rng, SeedableRng, TryRng};

/// What random numbers are for; part of a stream's key. The numbers are part of the record: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Initial values of parameters.
    Initial = 1,
    /// Indices of a minibatch.
    Index = 2,
    /// Uniform data.
    Uniform = 3,
    /// Normal data.
    Normal = 4,
    /// Data of ±1.
    Sign = 5,
    /// Data with Student's law.
    Student = 6,
    /// Increments of a Wiener process.
    Wiener = 7,
    /// Gaussian weights of the samples in a gradient noise.
    Gradient = 8,
    /// A finite population, drawn once.
    Population = 9,
    /// A reference sample for expectations.
    Reference = 10,
    /// Orders of the epochs without replacement.
    Shuffle = 11,
    /// Initial velocities, and the noise of a thermostat.
    Velocity = 12,
    /// Random starts of searches (minima, spectra).
    Search = 13,
    /// Resampling and permutation in statistics.
    Resampling = 14,
    /// Free for tests and examples.
    Test = 15,
    /// Increments of few points.
    Increment = 16,
    /// Data of the laws that take a number of draws that varies, or no kernel of their own.
    Law = 17,
    /// Brownian bridges between the ends of steps, where a first passage is looked for.
    Bridge = 18,
    /// Least and largest values within steps, at walls.
    Wall = 19,
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function (Stafford's variant 13 of MurmurHash3's finaliser).
#[inline(always)]
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[inline(always)]
fn key(seed: u64, purpose: Purpose, replica: u64, repair: bool) -> u64 {
    debug_assert!(replica < 1 << 56, "a replica's number has 56 bits");
    let id = replica.wrapping_add(u64::from(purpose as u8) << 56) | (u64::from(repair) << 63);
    mix(mix(seed.wrapping_add(GAMMA)) ^ mix(id.wrapping_add(GAMMA)))
}

/// The generator of (seed, purpose, replica), or its repair twin.
pub(super) fn generator(seed: u64, purpose: Purpose, replica: u64, repair: bool) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(key(seed, purpose, replica, repair))
}

/// The top 53 bits of a word as a number in [0, 1), a multiple of 2⁻⁵³ (the convention of `rand`).
#[inline(always)]
pub(super) fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// ⌊word·n/2⁶⁴⌋ (Lemire 2019, ACM TOMACS 29, 3, without its rejection).
#[inline(always)]
fn index_below(word: u64, n: u64) -> u64 {
    ((u128::from(word) * u128::from(n)) >> 64) as u64
}

/// xoshiro256++ of eight replicas: word `k` of the state of replica `l` is at `[k][l]`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct TileState(pub(super) [[u64; LANES]; 4]);

impl TileState {
    /// The states of `tiles` × 8 replicas.
    pub(super) fn block(seed: u64, purpose: Purpose, first_replica: u64, tiles: usize) -> Vec<Self> {
        let mut states = vec![Self([[0; LANES]; 4]); tiles];
        seed_states(&mut states, seed, purpose, first_replica, false);
        states
    }

    /// The generators of their repair twins, one a replica.
    pub(super) fn repairs(
        seed: u64,
        purpose: Purpose,
        first_replica: u64,
        tiles: usize,
    ) -> Vec<Xoshiro256PlusPlus> {
        let mut states = vec![Self([[0; LANES]; 4]); tiles];
        seed_states(&mut states, seed, purpose, first_replica, true);
        let generator = |(state, lane): (&Self, usize)| {
            let mut bytes = [0; 32];
            for (to, row) in bytes.as_chunks_mut().0.iter_mut().zip(&state.0) {
                *to = row[lane].to_le_bytes();
            }
            Xoshiro256PlusPlus::from_seed(bytes)
        };
        states.iter().flat_map(|state| (0..LANES).map(move |lane| (state, lane))).map(generator).collect()
    }

    /// The next word of every lane.
    #[inline(always)]
    pub(super) fn next(&mut self) -> [u64; LANES] {
        let [a, b, c, d] = &mut self.0;
        let mut out = [0; LANES];
        for l in 0..LANES {
            out[l] = a[l].wrapping_add(d[l]).rotate_left(23).wrapping_add(a[l]);
            let t = b[l] << 17;
            c[l] ^= a[l];
            d[l] ^= b[l];
            b[l] ^= c[l];
            a[l] ^= d[l];
            c[l] ^= t;
            d[l] = d[l].rotate_left(45);
        }
        out
    }
}

/// The next words of one tile: `column[row · stride]`, row after row.
fn words(state: &mut TileState, column: &mut [Bits], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    match Level::current() {
        Level::V4 => return wide::words_v4(state, column, stride),
        Level::V3 => return wide::words_v3(state, column, stride),
        Level::V1 => {}
    }
    let mut s = *state;
    for out in column.iter_mut().step_by(stride) {
        out.0 = s.next();
    }
    *state = s;
}

vectorized! {
    /// The first words of every replica, from `first_replica` on.
    fn seed_states(states: &mut [TileState], seed: u64, purpose: Purpose, first_replica: u64, repair: bool) {
        for (tile, state) in states.iter_mut().enumerate() {
            let mut keys = [0; LANES];
            for l in 0..LANES {
                keys[l] = key(seed, purpose, first_replica + (LANES * tile + l) as u64, repair);
            }
            for (k, row) in state.0.iter_mut().enumerate() {
                for l in 0..LANES {
                    row[l] = mix(keys[l].wrapping_add(GAMMA.wrapping_mul(k as u64 + 1)));
                }
            }
        }
    }

    fn to_uniform(numbers: &mut [f64]) {
        for x in numbers {
            *x = unit(x.to_bits());
        }
    }

    fn to_sign(numbers: &mut [f64]) {
        for x in numbers {
            *x = sign(x.to_bits());
        }
    }

    fn to_index(out: &mut [u32], words: &[u64], n: u64) {
        for (out, &word) in out.iter_mut().zip(words) {
            // The high half of word·n, by halves: no step overflows for n ≤ 2³².
            let low = (word & 0xffff_ffff) * n;
            let high = (word >> 32) * n;
            *out = ((high + (low >> 32)) >> 32) as u32;
        }
    }
}

/// −1 where the top bit is set, else 1.
#[inline(always)]
fn sign(word: u64) -> f64 {
    f64::from_bits(1.0f64.to_bits() | (word & (1 << 63)))
}

/// The streams of one purpose for a block of `tiles` × 8 replicas.
///
/// Output slices are `[n][tiles]`, element-major, with n = `out.len() / tiles` (anything else panics); each draw takes one
/// word of each replica's stream. So a replica's sequence is that of its own xoshiro256++,
/// however calls are split and whatever the block holds besides.
#[derive(Clone, Debug)]
pub struct Streams {
    states: Vec<TileState>,
    /// Words on their way to indices.
    scratch: Vec<Bits>,
}

impl Streams {
    /// The streams of replicas `first_replica ..  first_replica + 8·tiles`.
    pub fn new(seed: u64, purpose: Purpose, first_replica: u64, tiles: usize) -> Self {
        Self { states: TileState::block(seed, purpose, first_replica, tiles), scratch: Vec::new() }
    }

    /// Tiles in the block.
    pub fn tiles(&self) -> usize {
        self.states.len()
    }

    /// The four state words of one replica, as `Xoshiro256PlusPlus` has them.
    pub fn state(&self, replica_in_block: usize) -> [u64; 4] {
        let tile = &self.states[replica_in_block / LANES];
        std::array::from_fn(|k| tile.0[k][replica_in_block % LANES])
    }

    /// Raw words.
    pub fn fill_bits(&mut self, out: &mut [Bits]) {
        let _noise = stopwatch::enter(Section::Noise);
        let tiles = self.rows_of(out.len());
        for (tile, state) in self.states.iter_mut().enumerate().take(out.len()) {
            words(state, &mut out[tile..], tiles);
        }
    }

    /// U in [0, 1): multiples of 2⁻⁵³ from the top 53 bits of a word.
    pub fn fill_uniform(&mut self, out: &mut [Lane]) {
        self.fill(out, to_uniform);
    }

    /// ±1 with probability ½ each, the sign of the top bit: one word a draw.
    pub fn fill_sign(&mut self, out: &mut [Lane]) {
        self.fill(out, to_sign);
    }

    /// Indices ⌊w·n/2⁶⁴⌋ of words w, uniform on 0 .. n, 1 ≤ n ≤ 2³²: a probability differs from 1/n by at most n·2⁻⁶⁴ of
    /// itself, 2.4·10⁻¹⁰ at the largest n.
    pub fn fill_below(&mut self, out: &mut [Indices], n: u64) {
        debug_assert!((1..=1 << 32).contains(&n), "indices below {n}");
        let tiles = self.rows_of(out.len());
        let mut scratch = std::mem::take(&mut self.scratch);
        for out in out.chunks_mut(chunk(tiles)) {
            scratch.resize(out.len(), Bits::default());
            self.fill_bits(&mut scratch);
            to_index(flat_indices(out), flat_words(&scratch), n);
        }
        self.scratch = scratch;
    }

    /// Words drawn into the memory of `out`, then turned into numbers in place, while they are in the cache.
    fn fill(&mut self, out: &mut [Lane], convert: fn(&mut [f64])) {
        let tiles = self.rows_of(out.len());
        for out in out.chunks_mut(chunk(tiles)) {
            self.fill_bits(as_words(out));
            convert(flat_mut(out));
        }
    }

    /// The next word of one replica; the others do not move.
    pub fn next(&mut self, replica_in_block: usize) -> u64 {
        let tile = &mut self.states[replica_in_block / LANES];
        let lane = replica_in_block % LANES;
        let mut s: [u64; 4] = std::array::from_fn(|k| tile.0[k][lane]);
        let word = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        for (row, word) in tile.0.iter_mut().zip(s) {
            row[lane] = word;
        }
        word
    }

    /// U in [0, 1) of one replica; the others do not move.
    pub fn uniform(&mut self, replica_in_block: usize) -> f64 {
        unit(self.next(replica_in_block))
    }

    /// One index of one replica, by the rule of [`fill_below`](Self::fill_below).
    pub fn below(&mut self, replica_in_block: usize, n: u64) -> u64 {
        index_below(self.next(replica_in_block), n)
    }

    /// The number of tiles, after seeing that `len` vectors are whole rows of them.
    fn rows_of(&self, len: usize) -> usize {
        let tiles = self.states.len().max(1);
        assert!(len.is_multiple_of(tiles), "{len} vectors are no rows of {tiles} tiles");
        tiles
    }
}

/// Vectors in a chunk of whole rows that fits the first-level cache.
fn chunk(tiles: usize) -> usize {
    (256 / tiles).max(1) * tiles
}

/// The stream of one replica, for set-up code: initial laws, finite populations.
///
/// Its words, uniforms, signs, indices and normals are those of the same replica's lane in [`Streams`] and
/// [`Normals`](super::Normals). It is a generator for `rand` and `rand_distr`, too.
///
/// ```
/// use perrin::lanes::{Purpose, Stream};
/// use rand_distr::{Distribution, Exp1};
/// let mut stream = Stream::new(7, Purpose::Initial, 0);
/// let (z, k) = (stream.normal(), stream.below(10));
/// assert!(z.abs() < 10.0 && k < 10);
/// let waiting_time: f64 = Exp1.sample(&mut stream);
/// assert!(waiting_time > 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    words: Xoshiro256PlusPlus,
    repairs: Xoshiro256PlusPlus,
}

impl Stream {
    /// The stream of (seed, purpose, replica).
    pub fn new(seed: u64, purpose: Purpose, replica: u64) -> Self {
        Self {
            words: generator(seed, purpose, replica, false),
            repairs: generator(seed, purpose, replica, true),
        }
    }

    /// U in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        unit(self.words.next_u64())
    }

    /// A standard normal number: one word, and at times some of the repair twin's.
    pub fn normal(&mut self) -> f64 {
        normal::one(self.words.next_u64(), &mut self.repairs)
    }

    /// ⌊w·n/2⁶⁴⌋ of a word w, uniform on 0 .. n; the bias of [`Streams::fill_below`].
    pub fn below(&mut self, n: u64) -> u64 {
        index_below(self.words.next_u64(), n)
    }

    /// ±1.
    pub fn sign(&mut self) -> f64 {
        sign(self.words.next_u64())
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.words.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.words.try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.words.try_fill_bytes(out)
    }
}

#[cfg(test)]
mod tests;
