//! The ziggurat's hot loop in AVX-512 and AVX2: compilers make poor code of its table look-up.
//!
//! The one file of the crate with intrinsics. Same bits as [`super::portable`], which a test compares.

#![allow(
    unsafe_code,
    reason = "gathers have no safe form; indices are below the table's length by their mask"
)]

use super::ROWS;
use super::table::{SLOTS, Ziggurat};
use crate::lanes::Lane;
use crate::lanes::stream::TileState;
use std::arch::x86_64::{
    __m256d, __m256i, __m512i, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpgt_epi64,
    _mm256_i64gather_pd, _mm256_load_si256, _mm256_movemask_pd, _mm256_mul_pd, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_set1_pd, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_store_pd,
    _mm256_store_si256, _mm256_sub_pd, _mm256_xor_si256, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castsi512_pd, _mm512_cmpge_epu64_mask, _mm512_i64gather_pd, _mm512_load_si512, _mm512_mul_pd,
    _mm512_or_si512, _mm512_rol_epi64, _mm512_set1_epi64, _mm512_set1_pd, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_store_pd, _mm512_store_si512, _mm512_sub_pd, _mm512_xor_si512,
};

const MASK: i64 = SLOTS as i64 - 1;
const TWO: i64 = 0x4000_0000_0000_0000;

/// [`super::portable`] for [`Level::V4`](crate::lanes::Level::V4).
pub(super) fn avx512(
    table: &Ziggurat,
    state: &mut TileState,
    column: &mut [Lane],
    stride: usize,
    outside: &mut [u8; ROWS],
) {
    // SAFETY: chosen by `hot_loop` only at level V4, which is found on the machine before it is used.
    unsafe { hot512(table, state, column, stride, outside) }
}

/// [`super::portable`] for [`Level::V3`](crate::lanes::Level::V3).
pub(super) fn avx2(
    table: &Ziggurat,
    state: &mut TileState,
    column: &mut [Lane],
    stride: usize,
    outside: &mut [u8; ROWS],
) {
    // SAFETY: chosen by `hot_loop` only at level V3, which is found on the machine before it is used.
    unsafe { hot256(table, state, column, stride, outside) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn hot512(
    table: &Ziggurat,
    state: &mut TileState,
    column: &mut [Lane],
    stride: usize,
    outside: &mut [u8; ROWS],
) {
    let words = state.0.as_mut_ptr().cast::<__m512i>();
    // SAFETY: a `TileState` is four aligned vectors.
    let [mut a, mut b, mut c, mut d] = unsafe { std::array::from_fn(|k| _mm512_load_si512(words.add(k))) };
    let (low, two, three) = (_mm512_set1_epi64(MASK), _mm512_set1_epi64(TWO), _mm512_set1_pd(3.0));
    let layers = _mm512_set1_epi64(table.layers as i64);
    let widths = table.widths.as_ptr();
    for (out, mask) in column.iter_mut().step_by(stride).zip(outside) {
        let r = _mm512_add_epi64(_mm512_rol_epi64::<23>(_mm512_add_epi64(a, d)), a);
        let t = _mm512_slli_epi64::<17>(b);
        c = _mm512_xor_si512(c, a);
        d = _mm512_xor_si512(d, b);
        b = _mm512_xor_si512(b, c);
        a = _mm512_xor_si512(a, d);
        c = _mm512_xor_si512(c, t);
        d = _mm512_rol_epi64::<45>(d);
        let j = _mm512_and_si512(r, low);
        // SAFETY: j < SLOTS, the table's length.
        let width = unsafe { _mm512_i64gather_pd::<8>(j, widths) };
        let u = _mm512_sub_pd(_mm512_castsi512_pd(_mm512_or_si512(_mm512_srli_epi64::<12>(r), two)), three);
        // SAFETY: a `Lane` is one aligned vector.
        unsafe { _mm512_store_pd(out.0.as_mut_ptr(), _mm512_mul_pd(width, u)) };
        *mask = _mm512_cmpge_epu64_mask(j, layers);
    }
    for (k, word) in [a, b, c, d].into_iter().enumerate() {
        // SAFETY: as for the loads.
        unsafe { _mm512_store_si512(words.add(k), word) };
    }
}

/// Half a tile's state: four vectors of four replicas.
struct Half([__m256i; 4]);

impl Half {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn next(&mut self) -> __m256i {
        let [a, b, c, d] = self.0;
        let sum = _mm256_add_epi64(a, d);
        let r =
            _mm256_add_epi64(_mm256_or_si256(_mm256_slli_epi64::<23>(sum), _mm256_srli_epi64::<41>(sum)), a);
        let t = _mm256_slli_epi64::<17>(b);
        let c = _mm256_xor_si256(c, a);
        let d = _mm256_xor_si256(d, b);
        let b = _mm256_xor_si256(b, c);
        let a = _mm256_xor_si256(a, d);
        let c = _mm256_xor_si256(c, t);
        let d = _mm256_or_si256(_mm256_slli_epi64::<45>(d), _mm256_srli_epi64::<19>(d));
        self.0 = [a, b, c, d];
        r
    }

    /// Four draws, and which of them lie inside the boxes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn draw(&mut self, table: &Ziggurat) -> (__m256d, u8) {
        let r = self.next();
        let j = _mm256_and_si256(r, _mm256_set1_epi64x(MASK));
        // SAFETY: j < SLOTS, the table's length.
        let width = unsafe { _mm256_i64gather_pd::<8>(table.widths.as_ptr(), j) };
        let bits = _mm256_or_si256(_mm256_srli_epi64::<12>(r), _mm256_set1_epi64x(TWO));
        let u = _mm256_sub_pd(_mm256_castsi256_pd(bits), _mm256_set1_pd(3.0));
        let inside = _mm256_cmpgt_epi64(_mm256_set1_epi64x(table.layers as i64), j);
        (_mm256_mul_pd(width, u), _mm256_movemask_pd(_mm256_castsi256_pd(inside)) as u8)
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn hot256(
    table: &Ziggurat,
    state: &mut TileState,
    column: &mut [Lane],
    stride: usize,
    outside: &mut [u8; ROWS],
) {
    let words = state.0.as_mut_ptr().cast::<__m256i>();
    // SAFETY: a `TileState` is four aligned rows of two vectors each.
    let mut low = unsafe { Half(std::array::from_fn(|k| _mm256_load_si256(words.add(2 * k)))) };
    // SAFETY: as above.
    let mut high = unsafe { Half(std::array::from_fn(|k| _mm256_load_si256(words.add(2 * k + 1)))) };
    for (out, mask) in column.iter_mut().step_by(stride).zip(outside) {
        let (x, inside_low) = low.draw(table);
        let (y, inside_high) = high.draw(table);
        // SAFETY: a `Lane` is two aligned vectors.
        unsafe {
            _mm256_store_pd(out.0.as_mut_ptr(), x);
            _mm256_store_pd(out.0.as_mut_ptr().add(4), y);
        }
        *mask = !(inside_low | inside_high << 4);
    }
    for k in 0..4 {
        // SAFETY: as for the loads.
        unsafe {
            _mm256_store_si256(words.add(2 * k), low.0[k]);
            _mm256_store_si256(words.add(2 * k + 1), high.0[k]);
        }
    }
}
