//! Between elements in lanes and rows of replicas.

use super::eight::Eight;
#[cfg(target_arch = "x86_64")]
use crate::lanes::vectors;
use crate::lanes::{LANES, Lane, Level};

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

/// As [`to_rows`].
///
/// # Safety
/// The operands hold the elements, and the machine has the vector's instructions.
#[inline(always)]
pub(in crate::lanes) unsafe fn turn_to_rows<V: Eight>(
    turned: &mut [Lane],
    lanes: &[Lane],
    elements: &Elements,
) {
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
            for v in 0..vectors {
                let whole = v < len / LANES;
                for j in 0..LANES {
                    let there = whole || j < len % LANES;
                    square[j] = if there { V::load(from.add(j * element)) } else { V::splat(0.0) };
                }
                let turned = V::turn(square);
                for l in 0..LANES {
                    turned[l].store(to.add(l * lane));
                }
                from = from.wrapping_add(LANES * element);
                to = to.wrapping_add(LANES);
            }
        }
    }
}

/// As [`to_lanes`].
///
/// # Safety
/// As for [`turn_to_rows`].
#[inline(always)]
pub(in crate::lanes) unsafe fn turn_to_lanes<V: Eight>(
    lanes: &mut [Lane],
    turned: &[Lane],
    elements: &Elements,
) {
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
