//! Vectors of AVX-512 and AVX2 for products of matrices and of rows, and those products at each level.
//!
//! Same bits as the portable loops in [`product`](super::product) and [`rows`](super::rows), which tests compare. Each function here is safe
//! to call: it runs its own instruction set only where [`Level::available`] found it, and is called at that level alone.

#![allow(
    unsafe_code,
    reason = "vectors are loaded and stored without checks in the innermost loops; their users say why they stay in bounds"
)]

use super::product::{Product, Vector, in_blocks};
use super::rows::{
    Along, Eight, Elements, Samples, products_of_few, products_of_rows, sums_in_blocks, turn_to_lanes,
    turn_to_rows,
};
use super::{LANES, Lane, Level};
use std::arch::x86_64::{
    __m256d, __m512d, _mm256_add_pd, _mm256_load_pd, _mm256_mul_pd, _mm256_permute2f128_pd, _mm256_set1_pd,
    _mm256_store_pd, _mm256_sub_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd, _mm512_add_pd, _mm512_load_pd,
    _mm512_mul_pd, _mm512_permutexvar_pd, _mm512_set_epi64, _mm512_set1_pd, _mm512_shuffle_f64x2,
    _mm512_store_pd, _mm512_sub_pd, _mm512_unpackhi_pd, _mm512_unpacklo_pd,
};

impl Vector for __m512d {
    const WIDTH: usize = 8;
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        // SAFETY: the caller's, as below.
        unsafe { _mm512_set1_pd(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        unsafe { _mm512_load_pd(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        unsafe { _mm512_store_pd(to, self) }
    }
    #[inline(always)]
    unsafe fn plus_product(self, x: Self, y: Self) -> Self {
        unsafe { _mm512_add_pd(self, _mm512_mul_pd(x, y)) }
    }
}

impl Vector for __m256d {
    const WIDTH: usize = 4;
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        // SAFETY: the caller's, as below.
        unsafe { _mm256_set1_pd(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        unsafe { _mm256_load_pd(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        unsafe { _mm256_store_pd(to, self) }
    }
    #[inline(always)]
    unsafe fn plus_product(self, x: Self, y: Self) -> Self {
        unsafe { _mm256_add_pd(self, _mm256_mul_pd(x, y)) }
    }
}

/// Two halves.
impl Vector for [__m256d; 2] {
    const WIDTH: usize = 8;
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        // SAFETY: the caller's, as below.
        unsafe { [__m256d::splat(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        unsafe { [__m256d::load(from), __m256d::load(from.add(4))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        unsafe {
            self[0].store(to);
            self[1].store(to.add(4));
        }
    }
    #[inline(always)]
    unsafe fn plus_product(self, x: Self, y: Self) -> Self {
        unsafe { [self[0].plus_product(x[0], y[0]), self[1].plus_product(x[1], y[1])] }
    }
}

impl Eight for __m512d {
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        unsafe { _mm512_add_pd(self, other) }
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { _mm512_sub_pd(self, other) }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm512_mul_pd(self, other) }
    }
    #[inline(always)]
    unsafe fn turn(square: [Self; LANES]) -> [Self; LANES] {
        // SAFETY: the caller's.
        unsafe {
            let [a, b, c, d, e, f, g, h] = square;
            // Pairs of rows, then of pairs, then of fours.
            let (ab, cd) = (_mm512_unpacklo_pd(a, b), _mm512_unpacklo_pd(c, d));
            let (ef, gh) = (_mm512_unpacklo_pd(e, f), _mm512_unpacklo_pd(g, h));
            let (x0, x1) = (_mm512_shuffle_f64x2::<0x88>(ab, cd), _mm512_shuffle_f64x2::<0xdd>(ab, cd));
            let (x2, x3) = (_mm512_shuffle_f64x2::<0x88>(ef, gh), _mm512_shuffle_f64x2::<0xdd>(ef, gh));
            let (ab, cd) = (_mm512_unpackhi_pd(a, b), _mm512_unpackhi_pd(c, d));
            let (ef, gh) = (_mm512_unpackhi_pd(e, f), _mm512_unpackhi_pd(g, h));
            let (y0, y1) = (_mm512_shuffle_f64x2::<0x88>(ab, cd), _mm512_shuffle_f64x2::<0xdd>(ab, cd));
            let (y2, y3) = (_mm512_shuffle_f64x2::<0x88>(ef, gh), _mm512_shuffle_f64x2::<0xdd>(ef, gh));
            [
                _mm512_shuffle_f64x2::<0x88>(x0, x2),
                _mm512_shuffle_f64x2::<0x88>(y0, y2),
                _mm512_shuffle_f64x2::<0x88>(x1, x3),
                _mm512_shuffle_f64x2::<0x88>(y1, y3),
                _mm512_shuffle_f64x2::<0xdd>(x0, x2),
                _mm512_shuffle_f64x2::<0xdd>(y0, y2),
                _mm512_shuffle_f64x2::<0xdd>(x1, x3),
                _mm512_shuffle_f64x2::<0xdd>(y1, y3),
            ]
        }
    }
    #[inline(always)]
    unsafe fn fold(square: [Self; LANES]) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let [a, b, c, d, e, f, g, h] = square;
            // s_j + s_{j+4} of two rows.
            let ab = _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0xee>(a, b));
            let cd = _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(c, d), _mm512_shuffle_f64x2::<0xee>(c, d));
            let ef = _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(e, f), _mm512_shuffle_f64x2::<0xee>(e, f));
            let gh = _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(g, h), _mm512_shuffle_f64x2::<0xee>(g, h));
            // (s₀ + s₄) + (s₂ + s₆) and the odd ones, of four rows.
            let low =
                _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(ab, cd), _mm512_shuffle_f64x2::<0xdd>(ab, cd));
            let high =
                _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(ef, gh), _mm512_shuffle_f64x2::<0xdd>(ef, gh));
            // Rows 0, 4, 1, 5, 2, 6, 3, 7.
            let sums = _mm512_add_pd(_mm512_unpacklo_pd(low, high), _mm512_unpackhi_pd(low, high));
            _mm512_permutexvar_pd(_mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), sums)
        }
    }
}

impl Eight for [__m256d; 2] {
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        unsafe { [_mm256_add_pd(self[0], other[0]), _mm256_add_pd(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { [_mm256_sub_pd(self[0], other[0]), _mm256_sub_pd(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { [_mm256_mul_pd(self[0], other[0]), _mm256_mul_pd(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn turn(square: [Self; LANES]) -> [Self; LANES] {
        let mut turned = square;
        // Quarters: half `i` of rows from 4j on becomes half `j` of rows from 4i on.
        for i in 0..2 {
            for j in 0..2 {
                // SAFETY: the caller's.
                unsafe {
                    let (a, b) = (square[4 * j][i], square[4 * j + 1][i]);
                    let (c, d) = (square[4 * j + 2][i], square[4 * j + 3][i]);
                    let (ab, cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
                    turned[4 * i][j] = _mm256_permute2f128_pd::<0x20>(ab, cd);
                    turned[4 * i + 2][j] = _mm256_permute2f128_pd::<0x31>(ab, cd);
                    let (ab, cd) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
                    turned[4 * i + 1][j] = _mm256_permute2f128_pd::<0x20>(ab, cd);
                    turned[4 * i + 3][j] = _mm256_permute2f128_pd::<0x31>(ab, cd);
                }
            }
        }
        turned
    }
}

/// Functions of [`rows`](super::rows) at a level: safe to call, since they are called at that level alone.
macro_rules! at_level {
    ($level:ident $features:literal: $(
        $(#[$meta:meta])*
        $name:ident($($arg:ident: $type:ty),*) = $generic:expr;
    )*) => { $(
        $(#[$meta])*
        pub(super) fn $name($($arg: $type),*) {
            #[target_feature(enable = $features)]
            fn inner($($arg: $type),*) {
                // SAFETY: the extents are checked by the caller, and this function's instructions are there.
                unsafe { $generic($($arg),*) }
            }
            debug_assert!(Level::available() >= Level::$level);
            // SAFETY: called at this level only, which is found on the machine before it is used.
            unsafe { inner($($arg),*) }
        }
    )* };
}

at_level! { V4 "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt":
    /// [`matrix_product`](super::product::matrix_product) with AVX-512.
    product_v4(out: &mut [Lane], a: &[Lane], b: &[Lane], extents: &Product, add: bool) = in_blocks::<__m512d, Lane, 4, 4>;
    /// [`number_product`](super::product::number_product) with AVX-512.
    number_product_v4(out: &mut [Lane], a: &[f64], b: &[Lane], extents: &Product, add: bool) = in_blocks::<__m512d, f64, 4, 4>;
    /// [`to_rows`](super::rows::to_rows) with AVX-512.
    to_rows_v4(turned: &mut [Lane], lanes: &[Lane], elements: &Elements) = turn_to_rows::<__m512d>;
    /// [`to_lanes`](super::rows::to_lanes) with AVX-512.
    to_lanes_v4(lanes: &mut [Lane], turned: &[Lane], elements: &Elements) = turn_to_lanes::<__m512d>;
    /// [`row_products`](super::rows::row_products) with AVX-512.
    row_products_v4(out: &mut [Lane], turned: &[Lane], samples: Samples<'_>) = products_of_few::<__m512d, 8>;
    /// [`row_sums`](super::rows::row_sums) with AVX-512.
    row_sums_v4(sums: &mut [Lane], factors: &[Lane], samples: Samples<'_>, add: bool, along: Option<&Along>) = sums_in_blocks::<__m512d, 8>;
}

at_level! { V3 "avx2,bmi1,bmi2,lzcnt,popcnt":
    /// [`matrix_product`](super::product::matrix_product) with AVX2.
    product_v3(out: &mut [Lane], a: &[Lane], b: &[Lane], extents: &Product, add: bool) = in_blocks::<__m256d, Lane, 4, 2>;
    /// [`number_product`](super::product::number_product) with AVX2.
    number_product_v3(out: &mut [Lane], a: &[f64], b: &[Lane], extents: &Product, add: bool) = in_blocks::<__m256d, f64, 4, 2>;
    /// [`to_rows`](super::rows::to_rows) with AVX2.
    to_rows_v3(turned: &mut [Lane], lanes: &[Lane], elements: &Elements) = turn_to_rows::<[__m256d; 2]>;
    /// [`to_lanes`](super::rows::to_lanes) with AVX2.
    to_lanes_v3(lanes: &mut [Lane], turned: &[Lane], elements: &Elements) = turn_to_lanes::<[__m256d; 2]>;
    /// [`row_products`](super::rows::row_products) with AVX2.
    row_products_v3(out: &mut [Lane], turned: &[Lane], samples: Samples<'_>) = products_of_rows::<[__m256d; 2], 4, 0>;
    /// [`row_sums`](super::rows::row_sums) with AVX2.
    row_sums_v3(sums: &mut [Lane], factors: &[Lane], samples: Samples<'_>, add: bool, along: Option<&Along>) = sums_in_blocks::<[__m256d; 2], 4>;
}
