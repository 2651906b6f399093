//! A block as plain numbers.
//!
//! Loops over `&[f64]` become contiguous vector loops; nested loops over the lanes of `&[Lane]` tempt the
//! compiler into gathers and scatters across vectors, several times slower.

#![allow(
    unsafe_code,
    reason = "a Lane is eight numbers and nothing else; the standard library offers no safe cast"
)]

use super::{Bits, Indices, LANES, Lane};

/// The numbers of a block, lane after lane.
#[inline(always)]
pub fn flat(lanes: &[Lane]) -> &[f64] {
    // SAFETY: Lane is repr(C) with one field [f64; 8] and no padding (size 64 = alignment 64).
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// The numbers of a block, lane after lane, to be written.
#[inline(always)]
pub fn flat_mut(lanes: &mut [Lane]) -> &mut [f64] {
    // SAFETY: as above, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}

/// A block's memory as words, to be drawn into.
#[inline(always)]
pub(super) fn as_words(lanes: &mut [Lane]) -> &mut [Bits] {
    // SAFETY: same size and alignment, and any eight words are eight numbers and the reverse.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len()) }
}

/// The words of a block, lane after lane.
#[inline(always)]
pub(super) fn flat_words(words: &[Bits]) -> &[u64] {
    // SAFETY: Bits is repr(C) with one field [u64; 8] and no padding.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * LANES) }
}

/// The indices of a block, lane after lane, to be written.
#[inline(always)]
pub(super) fn flat_indices(indices: &mut [Indices]) -> &mut [u32] {
    // SAFETY: Indices is repr(C) with one field [u32; 8] and no padding.
    unsafe { std::slice::from_raw_parts_mut(indices.as_mut_ptr().cast(), indices.len() * LANES) }
}

const _: () = assert!(size_of::<Lane>() == LANES * size_of::<f64>());
const _: () = assert!(size_of::<Bits>() == size_of::<Lane>() && align_of::<Bits>() == align_of::<Lane>());
const _: () = assert!(size_of::<Indices>() == LANES * size_of::<u32>());
