//! Eight numbers as one.

use crate::lanes::LANES;
use crate::lanes::product::Vector;

/// Eight numbers, in as many registers as they take.
pub(in crate::lanes) trait Eight: Vector {
    /// self + other.
    unsafe fn plus(self, other: Self) -> Self;
    /// self − other.
    unsafe fn minus(self, other: Self) -> Self;
    /// self·other.
    unsafe fn times(self, other: Self) -> Self;
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
    unsafe fn plus(mut self, other: Self) -> Self {
        for l in 0..LANES {
            self[l] += other[l];
        }
        self
    }
    #[inline(always)]
    unsafe fn minus(mut self, other: Self) -> Self {
        for l in 0..LANES {
            self[l] -= other[l];
        }
        self
    }
    #[inline(always)]
    unsafe fn times(mut self, other: Self) -> Self {
        for l in 0..LANES {
            self[l] *= other[l];
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
