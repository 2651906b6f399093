//! Products of matrices of lanes, in blocks of rows and columns held in registers.

#![allow(
    unsafe_code,
    reason = "bounds are checked once a product; checks in the innermost loop cost more than its arithmetic"
)]

#[cfg(target_arch = "x86_64")]
use super::vectors;
use super::{LANES, Lane, Level};

/// Extents and strides of a matrix product, in elements of a block.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of the result.
    pub rows: usize,
    /// Terms of each sum.
    pub inner: usize,
    /// Columns of the result.
    pub cols: usize,
    /// From a row of the left factor to the next.
    pub a_row: usize,
    /// From a term of the left factor to the next.
    pub a_inner: usize,
    /// From a term of the right factor to the next.
    pub b_inner: usize,
    /// From a column of the right factor to the next.
    pub b_col: usize,
    /// From a row of the result to the next.
    pub out_row: usize,
    /// From a column of the result to the next.
    pub out_col: usize,
    /// Vectors an element.
    pub tiles: usize,
}

impl Product {
    /// The transposed product, outᵀ = bᵀ aᵀ: the same numbers, as a·b = b·a to the bit.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            a_row: self.b_col,
            a_inner: self.b_inner,
            b_inner: self.a_inner,
            b_col: self.a_row,
            out_row: self.out_col,
            out_col: self.out_row,
            ..*self
        }
    }
    /// Checks the right factor and the result, and the left one, each element of which is `size` in `left`.
    fn check(&self, out: &[Lane], left: usize, size: usize, b: &[Lane]) {
        let d = self;
        let last = |i: usize, row: usize, j: usize, col: usize, size: usize| {
            ((i - 1) * row + (j - 1) * col) * size + size
        };
        assert!(last(d.rows, d.out_row, d.cols, d.out_col, d.tiles) <= out.len(), "{d:?} into {}", out.len());
        if d.inner > 0 {
            assert!(last(d.rows, d.a_row, d.inner, d.a_inner, size) <= left, "{d:?} of {left}");
            assert!(last(d.inner, d.b_inner, d.cols, d.b_col, d.tiles) <= b.len(), "{d:?} by {}", b.len());
        }
    }
}

/// out[i,j] (+)= Σ_k a[i,k] b[k,j], tile by tile; the sum runs over k in order, from the value that is there if `add`.
///
/// # Panics
/// If an operand is shorter than its extents.
pub fn matrix_product(out: &mut [Lane], a: &[Lane], b: &[Lane], extents: &Product, add: bool) {
    let d = extents;
    if d.rows == 0 || d.cols == 0 || d.tiles == 0 {
        return;
    }
    d.check(out, a.len(), d.tiles, b);
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::product_v4(out, a, b, d, add),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::product_v3(out, a, b, d, add),
        // SAFETY: the extents are checked.
        _ => unsafe { in_blocks::<[f64; 2], Lane, 4, 2>(out, a, b, d, add) },
    }
}

/// As [`matrix_product`], with a left factor that is the same for all replicas: its strides count numbers.
///
/// # Panics
/// If an operand is shorter than its extents.
pub fn number_product(out: &mut [Lane], a: &[f64], b: &[Lane], extents: &Product, add: bool) {
    let d = extents;
    if d.rows == 0 || d.cols == 0 || d.tiles == 0 {
        return;
    }
    d.check(out, a.len(), 1, b);
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::number_product_v4(out, a, b, d, add),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::number_product_v3(out, a, b, d, add),
        // SAFETY: the extents are checked.
        _ => unsafe { in_blocks::<[f64; 2], f64, 4, 2>(out, a, b, d, add) },
    }
}

/// What the left factor of a product is made of.
pub(super) trait Element {
    /// Numbers from a part of an element to the same part of the next, for elements of that many `tiles`.
    fn step(tiles: usize) -> usize;
    /// Numbers to part `first` of an element.
    fn part(first: usize) -> usize;
    /// The part of an element from there on.
    unsafe fn read<V: Vector>(from: *const f64) -> V;
}

impl Element for Lane {
    #[inline(always)]
    fn step(tiles: usize) -> usize {
        tiles * LANES
    }
    #[inline(always)]
    fn part(first: usize) -> usize {
        first
    }
    #[inline(always)]
    unsafe fn read<V: Vector>(from: *const f64) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(from) }
    }
}

impl Element for f64 {
    #[inline(always)]
    fn step(_: usize) -> usize {
        1
    }
    #[inline(always)]
    fn part(_: usize) -> usize {
        0
    }
    #[inline(always)]
    unsafe fn read<V: Vector>(from: *const f64) -> V {
        // SAFETY: the caller's.
        unsafe { V::splat(*from) }
    }
}

/// Numbers of a lane that one register holds.
pub(super) trait Vector: Copy {
    /// How many.
    const WIDTH: usize;
    /// The same number everywhere.
    unsafe fn splat(value: f64) -> Self;
    /// −0 everywhere, which added to anything leaves it as it is.
    #[inline(always)]
    unsafe fn nothing() -> Self {
        // SAFETY: the caller's.
        unsafe { Self::splat(-0.0) }
    }
    /// The numbers from there on.
    unsafe fn load(from: *const f64) -> Self;
    /// The numbers to there.
    unsafe fn store(self, to: *mut f64);
    /// self + x·y, rounded twice.
    unsafe fn plus_product(self, x: Self, y: Self) -> Self;
}

impl<const W: usize> Vector for [f64; W] {
    const WIDTH: usize = W;
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        [value; W]
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: the caller's.
        unsafe { to.cast::<Self>().write(self) }
    }
    #[inline(always)]
    unsafe fn plus_product(mut self, x: Self, y: Self) -> Self {
        for l in 0..W {
            self[l] += x[l] * y[l];
        }
        self
    }
}

/// As [`matrix_product`] in blocks of `R`×`C` vectors: as many sums as there are registers for.
///
/// # Safety
/// The operands hold the extents, and the machine has the vector's instructions.
#[inline(always)]
pub(super) unsafe fn in_blocks<V: Vector, A: Element, const R: usize, const C: usize>(
    out: &mut [Lane],
    a: &[A],
    b: &[Lane],
    d: &Product,
    add: bool,
) {
    const TALL: usize = 8;
    let (rows, cols, tall) = (d.rows - d.rows % R, d.cols - d.cols % C, d.rows - d.rows % TALL);
    // No closures around vectors here and below: they would be compiled without the caller's instructions.
    macro_rules! block {
        ($rows:expr, $cols:expr, $at:expr) => {
            // SAFETY: the blocks lie within the extents.
            unsafe { block::<V, A, { $rows }, { $cols }>(out, a, b, d, $at, add) }
        };
    }
    for t in 0..d.tiles {
        for i in (0..rows).step_by(R) {
            for j in (0..cols).step_by(C) {
                block!(R, C, [i, j, t]);
            }
        }
        for j in cols..d.cols {
            for i in (0..tall).step_by(TALL) {
                block!(TALL, 1, [i, j, t]);
            }
            for i in (tall..rows).step_by(R) {
                block!(R, 1, [i, j, t]);
            }
        }
        for i in rows..d.rows {
            for j in (0..cols).step_by(C) {
                block!(1, C, [i, j, t]);
            }
            for j in cols..d.cols {
                block!(1, 1, [i, j, t]);
            }
        }
    }
}

/// `R`×`C` elements from row, column and tile `at` on.
///
/// # Safety
/// As for [`in_blocks`]; the elements are among the result's.
#[inline(always)]
unsafe fn block<V: Vector, A: Element, const R: usize, const C: usize>(
    out: &mut [Lane],
    a: &[A],
    b: &[Lane],
    d: &Product,
    [i, j, t]: [usize; 3],
    add: bool,
) {
    // Steps in numbers.
    let step = |elements: usize| elements * d.tiles * LANES;
    let (a_row, a_inner) = (d.a_row * A::step(d.tiles), d.a_inner * A::step(d.tiles));
    let (b_inner, b_col) = (step(d.b_inner), step(d.b_col));
    let (out_row, out_col) = (step(d.out_row), step(d.out_col));
    for part in (0..LANES).step_by(V::WIDTH) {
        let first = t * LANES + part;
        // SAFETY: rows i + r < rows, columns j + c < cols and terms k < inner of operands that hold them all.
        unsafe {
            let to = out.as_mut_ptr().cast::<f64>().add(first + i * out_row + j * out_col);
            let mut sums = [[V::nothing(); C]; R];
            if add {
                for r in 0..R {
                    for c in 0..C {
                        sums[r][c] = V::load(to.add(r * out_row + c * out_col));
                    }
                }
            }
            let mut left = a.as_ptr().cast::<f64>().wrapping_add(A::part(first) + i * a_row);
            let mut right = b.as_ptr().cast::<f64>().wrapping_add(first + j * b_col);
            for _ in 0..d.inner {
                let mut y = [V::nothing(); C];
                for c in 0..C {
                    y[c] = V::load(right.add(c * b_col));
                }
                for r in 0..R {
                    let x: V = A::read(left.add(r * a_row));
                    for c in 0..C {
                        sums[r][c] = sums[r][c].plus_product(x, y[c]);
                    }
                }
                left = left.wrapping_add(a_inner);
                right = right.wrapping_add(b_inner);
            }
            for r in 0..R {
                for c in 0..C {
                    sums[r][c].store(to.add(r * out_row + c * out_col));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers with all bits in use.
    fn numbers(len: usize, seed: u64) -> Vec<Lane> {
        let mut stream = crate::lanes::Stream::new(seed, crate::lanes::Purpose::Test, 0);
        (0..len).map(|_| Lane(std::array::from_fn(|_| stream.normal()))).collect()
    }

    /// Element by element, lane by lane, term by term.
    fn plain(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, add: bool) {
        for (i, j, t, l) in (0..d.rows).flat_map(|i| {
            (0..d.cols)
                .flat_map(move |j| (0..d.tiles).flat_map(move |t| (0..LANES).map(move |l| (i, j, t, l))))
        }) {
            let at = (i * d.out_row + j * d.out_col) * d.tiles + t;
            let mut terms = (0..d.inner).map(|k| {
                let x = a[(i * d.a_row + k * d.a_inner) * d.tiles + t].0[l];
                x * b[(k * d.b_inner + j * d.b_col) * d.tiles + t].0[l]
            });
            let first = if add { out[at].0[l] } else { terms.next().unwrap_or(-0.0) };
            out[at].0[l] = terms.fold(first, |sum, term| sum + term);
        }
    }

    #[test]
    fn products_of_all_shapes_and_strides_have_the_same_bits_at_every_level() {
        let shapes = [
            (1, 1, 1),
            (1, 5, 4),
            (2, 3, 2),
            (3, 7, 9),
            (4, 4, 4),
            (5, 2, 6),
            (8, 3, 1),
            (13, 11, 5),
            (16, 1, 17),
            (3, 0, 2),
        ];
        for (rows, inner, cols) in shapes {
            for tiles in [1, 3] {
                for turned in 0..8 {
                    let d = Product {
                        rows,
                        inner,
                        cols,
                        a_row: if turned & 1 == 0 { inner } else { 1 },
                        a_inner: if turned & 1 == 0 { 1 } else { rows },
                        b_inner: if turned & 2 == 0 { cols } else { 1 },
                        b_col: if turned & 2 == 0 { 1 } else { inner },
                        out_row: if turned & 4 == 0 { cols } else { 1 },
                        out_col: if turned & 4 == 0 { 1 } else { rows },
                        tiles,
                    };
                    let (a, b) = (numbers(rows * inner * tiles, 1), numbers(inner * cols * tiles, 2));
                    let before = numbers(rows * cols * tiles, 3);
                    for add in [false, true] {
                        let mut wanted = before.clone();
                        plain(&mut wanted, &a, &b, &d, add);
                        for level in Level::ALL {
                            let mut out = before.clone();
                            Level::force(level, || matrix_product(&mut out, &a, &b, &d, add));
                            assert_eq!(out, wanted, "{d:?} {level:?} {add}");
                            let mut out = before.clone();
                            Level::force(level, || matrix_product(&mut out, &b, &a, &d.turned(), add));
                            assert_eq!(out, wanted, "{d:?} turned {level:?} {add}");
                        }
                        let shared: Vec<f64> = (0..rows * inner).map(|e| a[e * tiles].0[0]).collect();
                        let everywhere: Vec<Lane> =
                            shared.iter().flat_map(|&x| vec![Lane::splat(x); tiles]).collect();
                        let mut wanted = before.clone();
                        plain(&mut wanted, &everywhere, &b, &d, add);
                        for level in Level::ALL {
                            let mut out = before.clone();
                            Level::force(level, || number_product(&mut out, &shared, &b, &d, add));
                            assert_eq!(out, wanted, "{d:?} of numbers {level:?} {add}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "by 5")]
    fn operands_that_are_too_short_are_refused() {
        let d = Product {
            rows: 2,
            inner: 3,
            cols: 2,
            a_row: 3,
            a_inner: 1,
            b_inner: 2,
            b_col: 1,
            out_row: 2,
            out_col: 1,
            tiles: 1,
        };
        matrix_product(&mut [Lane::default(); 4], &[Lane::default(); 6], &[Lane::default(); 5], &d, false);
    }
}
