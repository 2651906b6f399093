//! Rows of a table, one a replica, used where they lie: products and sums of rows that never become vectors of replicas.
//!
//! What meets such rows is turned instead: the parameters of a replica become a row, once a step, and what is summed up for a
//! replica is turned back. The order of summation is the same on every vector unit: see [`row_products`].

#![allow(
    unsafe_code,
    reason = "bounds are checked once a row; checks in the innermost loop cost more than its arithmetic"
)]

use super::product::Vector;
#[cfg(target_arch = "x86_64")]
use super::vectors;
use super::{Indices, LANES, Lane, Level};
use std::mem::MaybeUninit;

/// Some columns of a table, each row padded with zeros to whole vectors.
#[derive(Clone, Debug, Default)]
pub struct Table {
    data: Vec<Lane>,
    /// Vectors a row.
    vectors: usize,
}

impl Table {
    /// `len` columns from `first` on, of a table `[rows][width]`.
    pub fn new(values: &[f64], width: usize, first: usize, len: usize) -> Self {
        let vectors = len.div_ceil(LANES);
        let mut data = Vec::with_capacity(vectors * (values.len() / width.max(1)));
        for row in values.chunks_exact(width.max(1)) {
            for part in row[first..first + len].chunks(LANES) {
                let mut vector = Lane::default();
                vector.0[..part.len()].copy_from_slice(part);
                data.push(vector);
            }
        }
        Self { data, vectors }
    }
    /// Vectors a row.
    pub fn vectors(&self) -> usize {
        self.vectors
    }
}

/// The elements of a vector in the lanes of a block: element e of tile t is at `[(e·step)·tiles + t]`.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    /// How many.
    pub len: usize,
    /// From one to the next.
    pub step: usize,
    /// Vectors an element.
    pub tiles: usize,
}

impl Elements {
    /// Vectors of the rows when they are turned, `[tile][lane][vector]`.
    pub fn turned_len(&self) -> usize {
        self.tiles * LANES * self.len.div_ceil(LANES)
    }
    fn check(&self, lanes: &[Lane], turned: &[Lane]) {
        assert!(self.turned_len() <= turned.len(), "{self:?} in {} vectors", turned.len());
        let needed = if self.len == 0 { 0 } else { ((self.len - 1) * self.step + 1) * self.tiles };
        assert!(needed <= lanes.len(), "{self:?} of {} vectors", lanes.len());
    }
}

/// The elements of every replica as a row of numbers, padded with zeros.
///
/// # Panics
/// If the elements, or their rows, do not fit.
pub fn to_rows(turned: &mut [Lane], lanes: &[Lane], elements: &Elements) {
    elements.check(lanes, turned);
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::to_rows_v4(turned, lanes, elements),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::to_rows_v3(turned, lanes, elements),
        // SAFETY: the extents are checked.
        _ => unsafe { turn_to_rows::<[f64; LANES]>(turned, lanes, elements) },
    }
}

/// Back: the row of every replica as elements in lanes.
///
/// # Panics
/// If the elements, or their rows, do not fit.
pub fn to_lanes(lanes: &mut [Lane], turned: &[Lane], elements: &Elements) {
    elements.check(lanes, turned);
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::to_lanes_v4(lanes, turned, elements),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::to_lanes_v3(lanes, turned, elements),
        // SAFETY: the extents are checked.
        _ => unsafe { turn_to_lanes::<[f64; LANES]>(lanes, turned, elements) },
    }
}

/// Samples that are rows of a table: sample k of lane l of tile t is row `indices[k·tiles + t][l]`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// The table.
    pub table: &'a Table,
    /// `[count][tiles]`.
    pub indices: &'a [Indices],
    /// How many samples.
    pub count: usize,
    /// Vectors an element.
    pub tiles: usize,
}

impl Samples<'_> {
    fn check(&self, numbers: &[Lane]) {
        let needed = self.count * self.tiles;
        assert!(self.indices.len() >= needed, "{} indices for {needed}", self.indices.len());
        assert!(numbers.len() >= needed, "{} numbers for {needed}", numbers.len());
    }
    /// Where the rows of `S` samples begin, in numbers: sample by sample from `k` on, lane by lane of tile `t`.
    #[inline(always)]
    fn places<const S: usize>(&self, k: usize, t: usize) -> [[usize; LANES]; S] {
        let mut places = [[0; LANES]; S];
        for s in 0..S {
            let index = &self.indices[(k + s) * self.tiles + t];
            places[s] = starts(index, self.table.vectors * LANES, self.table.data.len() * LANES);
        }
        places
    }
}

/// Where rows of `width` begin in a table of `len`.
#[inline(always)]
fn starts(index: &Indices, width: usize, len: usize) -> [usize; LANES] {
    let (mut starts, mut last) = ([0; LANES], 0);
    for l in 0..LANES {
        starts[l] = index.0[l] as usize * width;
        last = last.max(starts[l]);
    }
    assert!(last + width <= len, "a row from {last} on in a table of {len}");
    starts
}

/// Turns columns of the samples' rows into vectors: column c of sample k goes to `out[k·stride + c·tiles ..]`, a vector a tile.
///
/// # Panics
/// If an index lies beyond the table, a column beyond its rows, or a result beyond `out`.
pub fn columns(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { width, first, len, indices, tiles, .. } = columns;
    assert!(first + len <= width, "columns {first} + {len} of {width}");
    let samples = indices.len() / tiles.max(1);
    assert!(samples == 0 || (samples - 1) * stride + len * tiles <= out.len(), "{} vectors", out.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::columns_v4(out, stride, columns),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::columns_v3(out, stride, columns),
        // SAFETY: the extents are checked.
        _ => unsafe { turn_columns::<[f64; LANES]>(out, stride, columns) },
    }
}

/// Some columns of a table `[rows][width]`; samples as [`Samples`] have them.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The table.
    pub table: &'a [f64],
    /// Numbers a row.
    pub width: usize,
    /// The first column.
    pub first: usize,
    /// How many.
    pub len: usize,
    /// `[count][tiles]`.
    pub indices: &'a [Indices],
    /// Vectors an element.
    pub tiles: usize,
}

/// As [`columns`].
///
/// # Safety
/// The extents are checked, and the machine has the vector's instructions.
#[inline(always)]
pub(super) unsafe fn turn_columns<V: Eight>(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { table, width, first, len, indices, tiles } = columns;
    for (k, indices) in indices.chunks_exact(tiles).enumerate() {
        for (t, index) in indices.iter().enumerate() {
            let starts = starts(index, width, table.len());
            for c in 0..len {
                // SAFETY: whole rows of the table, and places of the result that were checked.
                unsafe {
                    let from = table.as_ptr().add(first + c);
                    V::gather(from, &starts).store(out.as_mut_ptr().add(k * stride + c * tiles + t).cast());
                }
            }
        }
    }
}

/// out[k] = Σ_e w[e] x_k[e], `[count][tiles]`, for every replica's w as [`to_rows`] turned it.
///
/// A sum is made of eight, s_j = Σ_v w[8v + j] x[8v + j] in the order of v, as ((s₀ + s₄) + (s₂ + s₆)) + ((s₁ + s₅) + (s₃ + s₇)).
///
/// # Panics
/// If an operand is too short, or an index lies beyond the table.
pub fn row_products(out: &mut [Lane], turned: &[Lane], samples: Samples<'_>) {
    let Samples { table, tiles, .. } = samples;
    samples.check(out);
    assert!(turned.len() >= tiles * LANES * table.vectors, "rows of {} vectors", turned.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::row_products_v4(out, turned, samples),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::row_products_v3(out, turned, samples),
        // SAFETY: the extents are checked.
        _ => unsafe { products_in_blocks::<[f64; LANES], 4>(out, turned, samples) },
    }
}

/// sums[e] (+)= Σ_k factors[k] x_k[e] in the order of k, in rows of every replica that [`to_lanes`] turns back; `factors` is `[count][tiles]`,
/// and the sums begin anew unless `add`.
///
/// # Panics
/// If an operand is too short, or an index lies beyond the table.
pub fn row_sums(sums: &mut [Lane], factors: &[Lane], samples: Samples<'_>, add: bool) {
    let Samples { table, tiles, .. } = samples;
    samples.check(factors);
    assert!(sums.len() >= tiles * LANES * table.vectors, "sums in {} vectors", sums.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::row_sums_v4(sums, factors, samples, add),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::row_sums_v3(sums, factors, samples, add),
        // SAFETY: the extents are checked.
        _ => unsafe { sums_in_blocks::<[f64; LANES], 4>(sums, factors, samples, add) },
    }
}

/// Eight numbers, in as many registers as they take.
pub(super) trait Eight: Vector {
    /// The numbers at these distances from there.
    unsafe fn gather(from: *const f64, at: &[usize; LANES]) -> Self;
    /// self + other.
    unsafe fn plus(self, other: Self) -> Self;
    /// Columns of a square.
    unsafe fn turn(square: [Self; LANES]) -> [Self; LANES];
    /// The sum over each row of a square: see [`row_products`].
    #[inline(always)]
    unsafe fn fold(square: [Self; LANES]) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let s = Self::turn(square);
            let even = s[0].plus(s[4]).plus(s[2].plus(s[6]));
            even.plus(s[1].plus(s[5]).plus(s[3].plus(s[7])))
        }
    }
}

impl Eight for [f64; LANES] {
    #[inline(always)]
    unsafe fn gather(from: *const f64, at: &[usize; LANES]) -> Self {
        let mut numbers = [0.0; LANES];
        for l in 0..LANES {
            // SAFETY: the caller's.
            numbers[l] = unsafe { *from.add(at[l]) };
        }
        numbers
    }
    #[inline(always)]
    unsafe fn plus(mut self, other: Self) -> Self {
        for l in 0..LANES {
            self[l] += other[l];
        }
        self
    }
    #[inline(always)]
    unsafe fn turn(square: [Self; LANES]) -> [Self; LANES] {
        let mut turned = square;
        for i in 0..LANES {
            for j in 0..LANES {
                turned[i][j] = square[j][i];
            }
        }
        turned
    }
}

/// As [`to_rows`].
///
/// # Safety
/// The operands hold the elements, and the machine has the vector's instructions.
#[inline(always)]
pub(super) unsafe fn turn_to_rows<V: Eight>(turned: &mut [Lane], lanes: &[Lane], elements: &Elements) {
    let Elements { len, step, tiles } = *elements;
    let vectors = len.div_ceil(LANES);
    // Steps in numbers: from an element to the next, and from the row of a lane to that of the next.
    let (element, lane) = (step * tiles * LANES, vectors * LANES);
    for t in 0..tiles {
        // SAFETY: elements below `len`, and rows of that many vectors.
        unsafe {
            let mut from = lanes.as_ptr().wrapping_add(t).cast::<f64>();
            let mut to = turned.as_mut_ptr().wrapping_add(t * LANES * vectors).cast::<f64>();
            let mut square = [V::splat(0.0); LANES];
            for _ in 0..len / LANES {
                for j in 0..LANES {
                    square[j] = V::load(from.add(j * element));
                }
                let turned = V::turn(square);
                for l in 0..LANES {
                    turned[l].store(to.add(l * lane));
                }
                from = from.wrapping_add(LANES * element);
                to = to.wrapping_add(LANES);
            }
            let rest = len % LANES;
            if rest > 0 {
                for j in 0..LANES {
                    square[j] = if j < rest { V::load(from.add(j * element)) } else { V::splat(0.0) };
                }
                let turned = V::turn(square);
                for l in 0..LANES {
                    turned[l].store(to.add(l * lane));
                }
            }
        }
    }
}

/// As [`to_lanes`].
///
/// # Safety
/// As for [`turn_to_rows`].
#[inline(always)]
pub(super) unsafe fn turn_to_lanes<V: Eight>(lanes: &mut [Lane], turned: &[Lane], elements: &Elements) {
    let Elements { len, step, tiles } = *elements;
    let vectors = len.div_ceil(LANES);
    let (element, lane) = (step * tiles * LANES, vectors * LANES);
    for t in 0..tiles {
        // SAFETY: as above.
        unsafe {
            let mut from = turned.as_ptr().wrapping_add(t * LANES * vectors).cast::<f64>();
            let mut to = lanes.as_mut_ptr().wrapping_add(t).cast::<f64>();
            let mut square = [V::splat(0.0); LANES];
            for v in 0..vectors {
                for l in 0..LANES {
                    square[l] = V::load(from.add(l * lane));
                }
                let turned = V::turn(square);
                let whole = v < len / LANES;
                for j in 0..LANES {
                    if whole || j < len % LANES {
                        turned[j].store(to.add(j * element));
                    }
                }
                from = from.wrapping_add(LANES);
                to = to.wrapping_add(LANES * element);
            }
        }
    }
}

/// As [`row_products`]; `KEPT` vectors of a replica's row stay in registers for all samples of a block.
///
/// # Safety
/// The operands hold the extents, and the machine has the vector's instructions.
#[inline(always)]
pub(super) unsafe fn products_in_blocks<V: Eight, const KEPT: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
) {
    let whole = samples.count - samples.count % SAMPLES;
    // SAFETY: the blocks lie within the extents.
    unsafe {
        for t in 0..samples.tiles {
            for k in (0..whole).step_by(SAMPLES) {
                block_of_products::<V, KEPT, SAMPLES>(out, turned, samples, k, t);
            }
            for k in whole..samples.count {
                block_of_products::<V, KEPT, 1>(out, turned, samples, k, t);
            }
        }
    }
}

/// Samples of a block.
const SAMPLES: usize = 8;

/// Room for parts of the sums of a block, `[sum][lane]`.
type Parts = MaybeUninit<[Lane; SAMPLES * LANES]>;

/// Does `$block!($n)` with the number of vectors that is left, below 8.
macro_rules! of_rest {
    ($rest:expr, $block:ident) => {
        match $rest {
            0 => {}
            1 => $block!(1),
            2 => $block!(2),
            3 => $block!(3),
            4 => $block!(4),
            5 => $block!(5),
            6 => $block!(6),
            _ => $block!(7),
        }
    };
}

/// Products with `S` samples from sample `k` on.
///
/// # Safety
/// As for [`products_in_blocks`]; the products are among the result's.
#[inline(always)]
unsafe fn block_of_products<V: Eight, const KEPT: usize, const S: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
    k: usize,
    t: usize,
) {
    const { assert!(KEPT <= 8 && S <= SAMPLES) };
    let (vectors, tiles) = (samples.table.vectors, samples.tiles);
    let whole = vectors - vectors % KEPT;
    let places = samples.places::<S>(k, t);
    let table = samples.table.data.as_ptr().cast::<f64>();
    let mut parts = Parts::uninit();
    let parts = parts.as_mut_ptr().cast::<f64>();
    // SAFETY: whole rows of the table and of the matrix; parts of so many sums.
    unsafe {
        let w = turned.as_ptr().add(t * LANES * vectors).cast::<f64>();
        macro_rules! stretch {
            ($n:expr, $first:expr) => {
                for l in 0..LANES {
                    let w = w.add((l * vectors + $first) * LANES);
                    stretch::<V, { $n }, S>(parts.add(l * LANES), table, &places, w, l, $first * LANES);
                }
            };
            ($n:expr) => {
                stretch!($n, whole)
            };
        }
        for first in (0..whole).step_by(KEPT) {
            stretch!(KEPT, first);
        }
        of_rest!(vectors - whole, stretch);
        for s in 0..S {
            let mut square = [V::splat(0.0); LANES];
            for l in 0..LANES {
                square[l] = V::load(parts.add((s * LANES + l) * LANES));
            }
            V::fold(square).store(out.as_mut_ptr().add((k + s) * tiles + t).cast());
        }
    }
}

/// Adds the products of `N` vectors w with those of `S` samples of lane l, from number `first` of their rows on, to the parts of the lane;
/// begins them if that is 0.
///
/// # Safety
/// There are so many vectors, and parts of every sample.
#[inline(always)]
unsafe fn stretch<V: Eight, const N: usize, const S: usize>(
    parts: *mut f64,
    table: *const f64,
    places: &[[usize; LANES]; S],
    w: *const f64,
    l: usize,
    first: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut kept = [V::splat(0.0); N];
        for v in 0..N {
            kept[v] = V::load(w.add(v * LANES));
        }
        for s in 0..S {
            let (x, part) = (table.add(places[s][l] + first), parts.add(s * LANES * LANES));
            let mut sum = if first == 0 { V::splat(-0.0) } else { V::load(part) };
            for v in 0..N {
                sum = sum.plus_product(V::load(x.add(v * LANES)), kept[v]);
            }
            sum.store(part);
        }
    }
}

/// As [`row_sums`]; `KEPT` vectors of a replica's sums stay in registers for all samples of a block.
///
/// # Safety
/// As for [`products_in_blocks`].
#[inline(always)]
pub(super) unsafe fn sums_in_blocks<V: Eight, const KEPT: usize>(
    sums: &mut [Lane],
    factors: &[Lane],
    samples: Samples<'_>,
    add: bool,
) {
    const { assert!(KEPT <= 8) };
    if samples.count == 0 && !add {
        return sums.fill(Lane::splat(-0.0));
    }
    let (count, vectors) = (samples.count, samples.table.vectors);
    let (many, whole) = (count - count % SAMPLES, vectors - vectors % KEPT);
    // SAFETY: the blocks lie within the extents.
    unsafe {
        for t in 0..samples.tiles {
            macro_rules! block {
                ($n:expr, $samples:expr, $k:expr, $v:expr) => {
                    let places = samples.places::<{ $samples }>($k, t);
                    // The rows that were read last are the likeliest to be in the first cache.
                    for l in (0..LANES).rev() {
                        let at = [$v, t, l, $k];
                        summed::<V, { $n }, { $samples }>(sums, factors, samples, &places, at, add || $k > 0);
                    }
                };
            }
            for k in (0..many).step_by(SAMPLES) {
                for v in (0..whole).step_by(KEPT) {
                    block!(KEPT, SAMPLES, k, v);
                }
                macro_rules! rest {
                    ($n:expr) => {{
                        block!($n, SAMPLES, k, whole);
                    }};
                }
                of_rest!(vectors - whole, rest);
            }
            for k in many..count {
                for v in (0..whole).step_by(KEPT) {
                    block!(KEPT, 1, k, v);
                }
                macro_rules! rest {
                    ($n:expr) => {{
                        block!($n, 1, k, whole);
                    }};
                }
                of_rest!(vectors - whole, rest);
            }
        }
    }
}

/// `N` vectors from vector, tile and lane `at` on, over `S` samples from sample `k` on, whose rows are at `places`.
///
/// # Safety
/// As for [`sums_in_blocks`]; the vectors are among the sums'.
#[inline(always)]
unsafe fn summed<V: Eight, const N: usize, const S: usize>(
    sums: &mut [Lane],
    factors: &[Lane],
    samples: Samples<'_>,
    places: &[[usize; LANES]; S],
    [v, t, l, k]: [usize; 4],
    add: bool,
) {
    let (vectors, tiles) = (samples.table.vectors, samples.tiles);
    // SAFETY: the caller's.
    unsafe {
        let to = sums.as_mut_ptr().add((t * LANES + l) * vectors + v).cast::<f64>();
        let mut total = [V::splat(-0.0); N];
        if add {
            for c in 0..N {
                total[c] = V::load(to.add(c * LANES));
            }
        }
        let from = factors.as_ptr().add(k * tiles + t).cast::<f64>().add(l);
        let table = samples.table.data.as_ptr().add(v).cast::<f64>();
        for s in 0..S {
            let (row, factor) = (table.add(places[s][l]), V::splat(*from.add(s * tiles * LANES)));
            for c in 0..N {
                total[c] = total[c].plus_product(factor, V::load(row.add(c * LANES)));
            }
        }
        for c in 0..N {
            total[c].store(to.add(c * LANES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Purpose, Stream};

    const N: usize = 23;

    /// Numbers with all bits in use.
    fn numbers(len: usize, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::Test, 0);
        (0..len).map(|_| stream.normal()).collect()
    }
    fn lanes(len: usize, seed: u64) -> Vec<Lane> {
        numbers(len * LANES, seed).chunks_exact(LANES).map(|x| Lane(std::array::from_fn(|l| x[l]))).collect()
    }
    fn indices(count: usize, tiles: usize) -> Vec<Indices> {
        (0..count * tiles)
            .map(|i| Indices(std::array::from_fn(|l| ((i * 31 + l * 17 + 5) % N) as u32)))
            .collect()
    }

    /// Each lane alone, as [`row_products`] says.
    fn product(w: impl Fn(usize) -> f64, x: &[f64]) -> f64 {
        let mut s = [-0.0; LANES];
        for v in 0..x.len().div_ceil(LANES) {
            for j in 0..LANES {
                let e = v * LANES + j;
                s[j] += if e < x.len() { w(e) * x[e] } else { 0.0 };
            }
        }
        ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
    }

    #[test]
    fn products_and_sums_of_rows_have_the_bits_that_are_promised_at_every_level() {
        for (len, count) in
            [(1, 1), (64, 8), (13, 3), (8, 9), (17, 5), (100, 11), (56, 2), (128, 16), (33, 0)]
        {
            for (tiles, step) in [(1, 1), (3, 1), (1, 5), (2, 4)] {
                let (width, first) = (len + 3, 2);
                let values = numbers(N * width, 1);
                let table = Table::new(&values, width, first, len);
                let indices = indices(count, tiles);
                let samples = Samples { table: &table, indices: &indices, count, tiles };
                let elements = Elements { len, step, tiles };
                let (w, factors) = (lanes(step * len * tiles, 2), lanes(count * tiles, 3));
                for level in Level::ALL {
                    let what = format!("{elements:?} {count} {level:?}");
                    let mut turned = vec![Lane::splat(f64::NAN); elements.turned_len()];
                    let mut out = vec![Lane::default(); count * tiles];
                    let mut sums = turned.clone();
                    let mut back = vec![Lane::default(); step * len * tiles];
                    let mut beside = vec![Lane::default(); count * 7 * tiles];
                    Level::force(level, || {
                        to_rows(&mut turned, &w, &elements);
                        row_products(&mut out, &turned, samples);
                        // In two parts, as a long batch comes.
                        let (early, late) = indices.split_at(count / 2 * tiles);
                        let part = Samples { indices: early, count: count / 2, ..samples };
                        row_sums(&mut sums, &factors, part, false);
                        let part = Samples { indices: late, count: count - count / 2, ..samples };
                        row_sums(&mut sums, &factors[early.len()..], part, true);
                        to_lanes(&mut back, &sums, &elements);
                        let both =
                            Columns { table: &values, width, first: 1, len: 2, indices: &indices, tiles };
                        columns(&mut beside, 7 * tiles, both);
                    });
                    for (t, l) in (0..tiles).flat_map(|t| (0..LANES).map(move |l| (t, l))) {
                        let row = |k: usize| &values[indices[k * tiles + t].0[l] as usize * width..][..width];
                        let place = |e: usize| e * step * tiles + t;
                        for k in 0..count {
                            let wanted = product(|e| w[place(e)].0[l], &row(k)[first..][..len]);
                            assert_eq!(out[k * tiles + t].0[l].to_bits(), wanted.to_bits(), "{what}");
                            for c in 0..2 {
                                assert_eq!(beside[(k * 7 + c) * tiles + t].0[l], row(k)[1 + c], "{what}");
                            }
                        }
                        for e in 0..len {
                            let terms = (0..count).map(|k| factors[k * tiles + t].0[l] * row(k)[first + e]);
                            let wanted = terms.fold(-0.0, |sum: f64, term| sum + term);
                            assert_eq!(back[place(e)].0[l].to_bits(), wanted.to_bits(), "{what}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a row from")]
    fn an_index_beyond_the_table_is_refused() {
        let table = Table::new(&numbers(N * 8, 1), 8, 0, 8);
        let indices = [Indices([N as u32; LANES])];
        let samples = Samples { table: &table, indices: &indices, count: 1, tiles: 1 };
        row_products(&mut [Lane::default()], &lanes(LANES, 2), samples);
    }
}
