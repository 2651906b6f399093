//! What a scheme sees of a stochastic differential equation.

use crate::lanes::Lane;

/// dx = a(x) dt + B(x) dW of a block of replicas, with a in the calculus that the scheme reads
/// ([`Scheme::calculus`](crate::scheme::Scheme::calculus)).
pub trait Equation: Send {
    /// P.
    fn dimension(&self) -> usize;
    /// M, the number of Wiener processes.
    fn noises(&self) -> usize;
    /// `out` = a(x) h + B(x) w, with x and `out` `[P][tiles]` and w `[M][tiles]`.
    fn increment(&mut self, x: &[Lane], h: f64, w: &[Lane], out: &mut [Lane]);
    /// `out` = (∂_x(B(x)w)) B(x)w = Σ_jk (∂b_j)b_k w_j w_k. Only Milstein's scheme asks for it, where the noise is not additive.
    fn slope(&mut self, x: &[Lane], w: &[Lane], out: &mut [Lane]);
    /// True if a or B depend on the time.
    fn timed(&self) -> bool {
        false
    }
    /// From here on a and B are those at `time` after the beginning of the step.
    fn ahead(&mut self, _time: f64) {}
}
