//! The block of replicas: eight lanes a vector, vector kernels, random streams, normal draws.
//!
//! A block is a slice of [`Lane`]s, element-major: element `e` of tile `t` is at `[e * tiles + t]`.
//! Every number made here has the same bits on every machine, and a replica's random numbers are a
//! function of (seed, purpose, replica) alone.

#![allow(clippy::inline_always, reason = "a kernel's parts must take the kernel's instruction set")]

pub mod dispatch;
mod flat;
mod gather;
pub mod math;
pub mod memory;
pub mod normal;
pub mod pass;
pub mod points;
mod product;
pub mod rows;
pub mod stopwatch;
pub mod stream;
#[cfg(target_arch = "x86_64")]
mod vectors;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use dispatch::Level;
pub(crate) use dispatch::vectorized;
pub use flat::{flat, flat_mut};
pub use gather::gather;
pub use normal::Normals;
pub use pass::{Pass, Recipe};
pub use points::{Points, Values};
pub use product::{Product, matrix_product, number_product};
pub use stream::{Purpose, Stream, Streams};

/// Replicas in one vector.
pub const LANES: usize = 8;

/// Eight replicas side by side: element `l` belongs to replica `8·tile + l`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lane(pub [f64; LANES]);

impl Lane {
    /// The same value in every lane.
    #[inline(always)]
    pub const fn splat(value: f64) -> Self {
        Self([value; LANES])
    }
}

/// Eight words of random bits, one a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Bits(pub [u64; LANES]);

/// Eight indices, one a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(32))]
pub struct Indices(pub [u32; LANES]);
