//! The hot loops of random numbers and of tables in AVX-512 and AVX2: compilers make poor code of a generator's state
//! carried over a loop, of table look-ups, and of rows to be turned into columns.
//!
//! With [`vectors`](super::vectors) the one file of the crate with intrinsics. Same bits as the portable loops in [`stream`](super::stream),
//! [`normal`](super::normal) and [`gather`](super::gather), which tests compare.
//!
//! Each function here is safe to call: it runs its own instruction set only where
//! [`Level::available`] found it, and is called at that level alone.

#![allow(
    unsafe_code,
    reason = "loads, stores and gathers have no safe form; each says why it stays in bounds"
)]

use super::stream::TileState;
use super::{Bits, LANES, Lane, Level};
use std::arch::x86_64::{
    __m256d, __m256i, __m512d, __m512i, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_load_sd, _mm_loadh_pd,
    _mm256_add_epi64, _mm256_and_si256, _mm256_castpd128_pd256, _mm256_castsi256_pd, _mm256_cmpgt_epi64,
    _mm256_i64gather_pd, _mm256_insertf128_pd, _mm256_load_si256, _mm256_loadu_pd, _mm256_movemask_pd,
    _mm256_mul_pd, _mm256_or_si256, _mm256_permute2f128_pd, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_store_pd, _mm256_store_si256, _mm256_sub_pd,
    _mm256_unpackhi_pd, _mm256_unpacklo_pd, _mm256_xor_si256, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castpd256_pd512, _mm512_castsi512_pd, _mm512_cmpge_epu64_mask, _mm512_cvtepi64_epi16,
    _mm512_insertf64x4, _mm512_load_si512, _mm512_mul_pd, _mm512_or_si512, _mm512_rol_epi64,
    _mm512_set1_epi64, _mm512_set1_pd, _mm512_shuffle_f64x2, _mm512_slli_epi64, _mm512_srli_epi64,
    _mm512_store_pd, _mm512_store_si512, _mm512_sub_pd, _mm512_ternarylogic_epi64, _mm512_unpackhi_pd,
    _mm512_unpacklo_pd, _mm512_xor_si512,
};

/// Boxes of a ziggurat: widths in a table whose length is a power of two, of which the first `layers` are boxes.
#[derive(Clone, Copy)]
pub(super) struct Boxes<'a, const SLOTS: usize> {
    pub(super) widths: &'a [f64; SLOTS],
    pub(super) layers: usize,
}

/// [`stream::words`](super::stream::words) with AVX-512.
pub(super) fn words_v4(state: &mut TileState, column: &mut [Bits], stride: usize) {
    debug_assert!(Level::available() >= Level::V4);
    // SAFETY: called at level V4 only, which is found on the machine before it is used.
    unsafe { words_512(state, column, stride) }
}

/// [`stream::words`](super::stream::words) with AVX2.
pub(super) fn words_v3(state: &mut TileState, column: &mut [Bits], stride: usize) {
    debug_assert!(Level::available() >= Level::V3);
    // SAFETY: called at level V3 only, which is found on the machine before it is used.
    unsafe { words_256(state, column, stride) }
}

/// [`normal::boxed`](super::normal) with AVX-512.
pub(super) fn boxed_v4<const SLOTS: usize>(
    boxes: Boxes<'_, SLOTS>,
    states: &mut [TileState],
    out: &mut [Lane],
    outside: &mut [u8],
) {
    debug_assert!(Level::available() >= Level::V4);
    // SAFETY: called at level V4 only, which is found on the machine before it is used.
    unsafe { boxed_512(boxes, states, out, outside) }
}

/// [`normal::boxed`](super::normal) with AVX2.
pub(super) fn boxed_v3<const SLOTS: usize>(
    boxes: Boxes<'_, SLOTS>,
    states: &mut [TileState],
    out: &mut [Lane],
    outside: &mut [u8],
) {
    debug_assert!(Level::available() >= Level::V3);
    // SAFETY: called at level V3 only, which is found on the machine before it is used.
    unsafe { boxed_256(boxes, states, out, outside) }
}

/// Exponent bits of 2: with the top 52 bits of a word below them, a number in [2, 4).
const TWO: i64 = 0x4000_0000_0000_0000;

/// Eight generators side by side.
struct Whole([__m512i; 4]);

impl Whole {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(state: &TileState) -> Self {
        let [a, b, c, d] = &state.0;
        // SAFETY: a `TileState` is four aligned vectors.
        let word = |row: &[u64; LANES]| unsafe { _mm512_load_si512(row.as_ptr().cast()) };
        Self([word(a), word(b), word(c), word(d)])
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(&self, state: &mut TileState) {
        for (row, word) in state.0.iter_mut().zip(self.0) {
            // SAFETY: as for the loads.
            unsafe { _mm512_store_si512(row.as_mut_ptr().cast(), word) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn next(&mut self) -> __m512i {
        let [a, b, c, d] = self.0;
        let word = _mm512_add_epi64(_mm512_rol_epi64::<23>(_mm512_add_epi64(a, d)), a);
        let t = _mm512_slli_epi64::<17>(b);
        // What follows at most two operations behind what went before: the chain from word to word is what a generator waits for.
        self.0 = [
            exclusive_or(a, d, b),
            exclusive_or(b, c, a),
            exclusive_or(c, a, t),
            _mm512_rol_epi64::<45>(_mm512_xor_si512(d, b)),
        ];
        word
    }
}

/// a ⊕ b ⊕ c.
#[inline]
#[target_feature(enable = "avx512f")]
fn exclusive_or(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

/// Eight numbers of a table at eight indices below `SLOTS`, one load each: less work for the machine than a gather instruction.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2")]
fn looked_up<const SLOTS: usize>(table: &[f64; SLOTS], at: __m512i) -> __m512d {
    const { assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 16) };
    let packed = _mm512_cvtepi64_epi16(at);
    let words = [_mm_cvtsi128_si64(packed).cast_unsigned(), _mm_extract_epi64::<1>(packed).cast_unsigned()];
    let number = |l: usize| &raw const table[(words[l / 4] >> (16 * (l % 4))) as usize % SLOTS];
    // SAFETY: pointers to numbers of the table.
    let pair = |l: usize| unsafe { _mm_loadh_pd(_mm_load_sd(number(l)), number(l + 1)) };
    let low = _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(pair(0)), pair(2));
    let high = _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(pair(4)), pair(6));
    _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn words_512(state: &mut TileState, column: &mut [Bits], stride: usize) {
    let mut generators = Whole::load(state);
    for out in column.iter_mut().step_by(stride) {
        // SAFETY: `Bits` is one aligned vector.
        unsafe { _mm512_store_si512(out.0.as_mut_ptr().cast(), generators.next()) };
    }
    generators.store(state);
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn boxed_512<const SLOTS: usize>(
    boxes: Boxes<'_, SLOTS>,
    states: &mut [TileState],
    out: &mut [Lane],
    outside: &mut [u8],
) {
    let low = _mm512_set1_epi64(SLOTS as i64 - 1);
    let layers = _mm512_set1_epi64(boxes.layers as i64);
    let (two, three) = (_mm512_set1_epi64(TWO), _mm512_set1_pd(3.0));
    let tiles = states.len();
    assert!(out.len().is_multiple_of(tiles) && outside.len() == out.len(), "whole rows");
    let (numbers, masks, end) = (out.as_mut_ptr(), outside.as_mut_ptr(), out.len());
    for (tile, state) in states.iter_mut().enumerate() {
        let mut generators = Whole::load(state);
        let mut at = tile;
        while at < end {
            let word = generators.next();
            let j = _mm512_and_si512(word, low);
            let width = looked_up(boxes.widths, j);
            let bits = _mm512_or_si512(_mm512_srli_epi64::<12>(word), two);
            let u = _mm512_sub_pd(_mm512_castsi512_pd(bits), three);
            // SAFETY: at < end, the length of both; a `Lane` is one aligned vector.
            unsafe {
                _mm512_store_pd(numbers.add(at).cast(), _mm512_mul_pd(width, u));
                *masks.add(at) = _mm512_cmpge_epu64_mask(j, layers);
            }
            at += tiles;
        }
        generators.store(state);
    }
}

/// Four generators side by side, the low or the high half of a tile.
struct Half([__m256i; 4]);

impl Half {
    /// Lanes `first .. first + 4`; `first` is 0 or 4.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(state: &TileState, first: usize) -> Self {
        let [a, b, c, d] = &state.0;
        // SAFETY: four words from lane 0 or 4 of eight, aligned to 32 bytes.
        let word = |row: &[u64; LANES]| unsafe { _mm256_load_si256(row[first..first + 4].as_ptr().cast()) };
        Self([word(a), word(b), word(c), word(d)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(&self, state: &mut TileState, first: usize) {
        for (row, word) in state.0.iter_mut().zip(self.0) {
            // SAFETY: as for the loads.
            unsafe { _mm256_store_si256(row[first..first + 4].as_mut_ptr().cast(), word) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn next(&mut self) -> __m256i {
        let [a, b, c, d] = self.0;
        let sum = _mm256_add_epi64(a, d);
        let word =
            _mm256_add_epi64(_mm256_or_si256(_mm256_slli_epi64::<23>(sum), _mm256_srli_epi64::<41>(sum)), a);
        let t = _mm256_slli_epi64::<17>(b);
        let c = _mm256_xor_si256(c, a);
        let d = _mm256_xor_si256(d, b);
        let b = _mm256_xor_si256(b, c);
        let a = _mm256_xor_si256(a, d);
        let c = _mm256_xor_si256(c, t);
        let d = _mm256_or_si256(_mm256_slli_epi64::<45>(d), _mm256_srli_epi64::<19>(d));
        self.0 = [a, b, c, d];
        word
    }

    /// Four draws, and which of them lie inside the boxes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn boxed<const SLOTS: usize>(&mut self, boxes: Boxes<'_, SLOTS>) -> (__m256d, u8) {
        const { assert!(SLOTS.is_power_of_two()) };
        let word = self.next();
        let j = _mm256_and_si256(word, _mm256_set1_epi64x(SLOTS as i64 - 1));
        // SAFETY: j < SLOTS, the table's length.
        let width = unsafe { _mm256_i64gather_pd::<8>(boxes.widths.as_ptr(), j) };
        let bits = _mm256_or_si256(_mm256_srli_epi64::<12>(word), _mm256_set1_epi64x(TWO));
        let u = _mm256_sub_pd(_mm256_castsi256_pd(bits), _mm256_set1_pd(3.0));
        let inside = _mm256_cmpgt_epi64(_mm256_set1_epi64x(boxes.layers as i64), j);
        (_mm256_mul_pd(width, u), _mm256_movemask_pd(_mm256_castsi256_pd(inside)) as u8)
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn words_256(state: &mut TileState, column: &mut [Bits], stride: usize) {
    let (mut low, mut high) = (Half::load(state, 0), Half::load(state, 4));
    for out in column.iter_mut().step_by(stride) {
        // SAFETY: `Bits` is two aligned vectors.
        unsafe {
            _mm256_store_si256(out.0[..4].as_mut_ptr().cast(), low.next());
            _mm256_store_si256(out.0[4..].as_mut_ptr().cast(), high.next());
        }
    }
    low.store(state, 0);
    high.store(state, 4);
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn boxed_256<const SLOTS: usize>(
    boxes: Boxes<'_, SLOTS>,
    states: &mut [TileState],
    out: &mut [Lane],
    outside: &mut [u8],
) {
    let tiles = states.len();
    assert!(out.len().is_multiple_of(tiles) && outside.len() == out.len(), "whole rows");
    let (numbers, masks, end) = (out.as_mut_ptr().cast::<f64>(), outside.as_mut_ptr(), out.len());
    for (tile, state) in states.iter_mut().enumerate() {
        let (mut low, mut high) = (Half::load(state, 0), Half::load(state, 4));
        let mut at = tile;
        while at < end {
            let (x, inside_low) = low.boxed(boxes);
            let (y, inside_high) = high.boxed(boxes);
            // SAFETY: at < end, the length of both; a `Lane` is two aligned vectors.
            unsafe {
                _mm256_store_pd(numbers.add(LANES * at), x);
                _mm256_store_pd(numbers.add(LANES * at + LANES / 2), y);
                *masks.add(at) = !(inside_low | inside_high << 4);
            }
            at += tiles;
        }
        low.store(state, 0);
        high.store(state, 4);
    }
}

/// Turns as many elements of the rows as fill whole vectors, and says how many.
pub(super) fn turn_v4(rows: &[&[f64]; LANES], column: &mut [Lane], stride: usize) -> usize {
    debug_assert!(Level::available() >= Level::V4);
    // SAFETY: called at level V4 only, which is found on the machine before it is used.
    unsafe { turn_512(rows, column, stride) }
}

/// As [`turn_v4`], by halves.
pub(super) fn turn_v3(rows: &[&[f64]; LANES], column: &mut [Lane], stride: usize) -> usize {
    debug_assert!(Level::available() >= Level::V3);
    // SAFETY: called at level V3 only, which is found on the machine before it is used.
    unsafe { turn_256(rows, column, stride) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn turn_512(rows: &[&[f64]; LANES], column: &mut [Lane], stride: usize) -> usize {
    let whole = rows.iter().map(|row| row.len()).min().unwrap_or(0) / 4 * 4;
    assert!(whole == 0 || (whole - 1) * stride < column.len(), "a column of {} vectors", column.len());
    let to = column.as_mut_ptr();
    for e in (0..whole).step_by(4) {
        // SAFETY: every row has at least `whole` ≥ e + 4 numbers.
        let quarter = |l: usize| unsafe { _mm256_loadu_pd(rows[l].as_ptr().add(e)) };
        // Two rows, one behind the other.
        let both =
            |l: usize, m: usize| _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(quarter(l)), quarter(m));
        let (a, b, c, d) = (both(0, 2), both(1, 3), both(4, 6), both(5, 7));
        let even = [_mm512_unpacklo_pd(a, b), _mm512_unpacklo_pd(c, d)];
        let odd = [_mm512_unpackhi_pd(a, b), _mm512_unpackhi_pd(c, d)];
        for (parity, [x, y]) in [even, odd].into_iter().enumerate() {
            let low = _mm512_shuffle_f64x2::<0x88>(x, y);
            let high = _mm512_shuffle_f64x2::<0xdd>(x, y);
            for (first, value) in [(parity, low), (parity + 2, high)] {
                // SAFETY: (e + first)·stride ≤ (whole − 1)·stride lies in the column; a `Lane` is one aligned vector.
                unsafe { _mm512_store_pd(to.add((e + first) * stride).cast(), value) };
            }
        }
    }
    whole
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn turn_256(rows: &[&[f64]; LANES], column: &mut [Lane], stride: usize) -> usize {
    let whole = rows.iter().map(|row| row.len()).min().unwrap_or(0) / 4 * 4;
    for half in [0, 4] {
        for e in (0..whole).step_by(4) {
            // SAFETY: every row has at least `whole` ≥ e + 4 numbers.
            let row = |l: usize| unsafe { _mm256_loadu_pd(rows[half + l].as_ptr().add(e)) };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let even = [_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d)];
            let odd = [_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d)];
            for (parity, [x, y]) in [even, odd].into_iter().enumerate() {
                let low = _mm256_permute2f128_pd::<0x20>(x, y);
                let high = _mm256_permute2f128_pd::<0x31>(x, y);
                for (first, value) in [(parity, low), (parity + 2, high)] {
                    let to = column[(e + first) * stride].0[half..].as_mut_ptr();
                    // SAFETY: four numbers from lane 0 or 4 of eight, aligned to 32 bytes.
                    unsafe { _mm256_store_pd(to, value) };
                }
            }
        }
    }
    whole
}
