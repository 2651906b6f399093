//! The block of replicas: eight lanes a vector, vector kernels, random streams, normal draws.

mod standin;
pub(crate) use standin::vectorized;
pub use standin::{math, stream};

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
