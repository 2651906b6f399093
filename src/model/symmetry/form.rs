//! Quadratic forms of θ: Noether charges, and what a step adds to them.

use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::Shape;

/// c_k(x) = Σ w x_i x_j over the terms of component k; its polar form is c_k(x, y) = Σ w (x_i y_j + x_j y_i)/2.
#[derive(Clone, Debug, PartialEq)]
pub struct QuadraticForm {
    shape: Shape,
    terms: Vec<Term>,
}

/// w x_i x_j of one component.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    component: usize,
    left: usize,
    right: usize,
    weight: f64,
}

impl QuadraticForm {
    /// A form of that shape from `(component, i, j, w)`; terms of weight 0 are left out.
    pub fn new(shape: Shape, terms: impl IntoIterator<Item = (usize, usize, usize, f64)>) -> Self {
        let terms = terms
            .into_iter()
            .filter(|t| t.3 != 0.0)
            .map(|(component, left, right, weight)| Term { component, left, right, weight })
            .collect();
        Self { shape, terms }
    }

    /// θᵀAθ of a symmetric A, `[P][P]`.
    pub fn of_matrix(a: &[f64], parameters: usize) -> Self {
        let upper = (0..parameters).flat_map(|i| (i..parameters).map(move |j| (i, j)));
        let weight =
            |i: usize, j: usize| if i == j { a[i * parameters + i] } else { 2.0 * a[i * parameters + j] };
        Self::new(Shape::SCALAR, upper.map(|(i, j)| (0, i, j, weight(i, j))))
    }

    /// The components of several forms, one behind the other.
    pub fn joined<'f>(forms: impl IntoIterator<Item = &'f QuadraticForm>) -> Self {
        let mut terms = Vec::new();
        let mut before = 0;
        for form in forms {
            terms.extend(form.terms.iter().map(|t| Term { component: before + t.component, ..*t }));
            before += form.shape.len();
        }
        Self { shape: Shape::vector(before), terms }
    }

    /// Σ |w| |x_i| |x_j| over all terms: the size of what cancels in the form.
    #[must_use]
    pub fn absolute(&self) -> AbsoluteForm {
        AbsoluteForm(self.terms.clone())
    }

    /// Σ |w| (x_i² + x_j²)/2 over all terms, a bound of what cancels in the form.
    #[must_use]
    pub fn bound(&self) -> Self {
        let squares = self.terms.iter().flat_map(|t| {
            let half = 0.5 * t.weight.abs();
            [(0, t.left, t.left, half), (0, t.right, t.right, half)]
        });
        Self::new(Shape::SCALAR, squares)
    }

    /// Shape of the value.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// `out += factor · c(x, y)` for a block: x and y are `[P][tiles]`, `out` is `[components][tiles]`.
    pub fn accumulate(&self, x: &[Lane], y: &[Lane], factor: f64, out: &mut [Lane], tiles: usize) {
        let row = |e: usize| e * tiles..(e + 1) * tiles;
        for term in &self.terms {
            let weight = 0.5 * factor * term.weight;
            let to = &mut out[term.component * tiles..(term.component + 1) * tiles];
            let (i, j) = (row(term.left), row(term.right));
            add_polar(to, &x[i.clone()], &y[j.clone()], &x[j], &y[i], weight);
        }
    }

    /// `out += factor · c(x)` for a block.
    pub fn add(&self, x: &[Lane], factor: f64, out: &mut [Lane], tiles: usize) {
        for term in &self.terms {
            let to = &mut out[term.component * tiles..(term.component + 1) * tiles];
            let (i, j) = (term.left * tiles, term.right * tiles);
            add_product(to, &x[i..i + tiles], &x[j..j + tiles], factor * term.weight);
        }
    }

    /// The value for one state.
    pub fn value(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.shape.len()];
        for term in &self.terms {
            out[term.component] += term.weight * x[term.left] * x[term.right];
        }
        out
    }
}

/// Σ |w| |x_i x_j| over all terms and components of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsoluteForm(Vec<Term>);

impl AbsoluteForm {
    /// `out += factor · value` for a block, `[tiles]`.
    pub fn add(&self, x: &[Lane], factor: f64, out: &mut [Lane], tiles: usize) {
        for term in &self.0 {
            let (i, j) = (term.left * tiles, term.right * tiles);
            add_absolute(out, &x[i..i + tiles], &x[j..j + tiles], factor * term.weight.abs());
        }
    }
}

vectorized! {
    fn add_product(out: &mut [Lane], x: &[Lane], y: &[Lane], weight: f64) {
        for ((o, x), y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *o += weight * (x * y);
        }
    }

    fn add_absolute(out: &mut [Lane], x: &[Lane], y: &[Lane], weight: f64) {
        for ((o, x), y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *o += weight * (x * y).abs();
        }
    }

    fn add_polar(out: &mut [Lane], xi: &[Lane], yj: &[Lane], xj: &[Lane], yi: &[Lane], weight: f64) {
        let (xi, yj, xj, yi) = (flat(xi), flat(yj), flat(xj), flat(yi));
        for (k, o) in flat_mut(out).iter_mut().enumerate() {
            *o += weight * (xi[k] * yj[k] + xj[k] * yi[k]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_values_of_its_states() {
        let a = [1.0, 0.5, 0.0, 0.5, -2.0, 0.25, 0.0, 0.25, 3.0];
        let form = QuadraticForm::of_matrix(&a, 3);
        let state = |seed: f64| [0.3 + seed, -1.1 * seed, 0.7 - seed * seed];
        let tiles = 2;
        let mut x = vec![Lane::default(); 6];
        let mut y = vec![Lane::default(); 6];
        for replica in 0..16 {
            for e in 0..3 {
                x[e * tiles + replica / 8].0[replica % 8] = state(0.1 * replica as f64)[e];
                y[e * tiles + replica / 8].0[replica % 8] = state(1.0 - 0.2 * replica as f64)[e];
            }
        }
        let mut square = vec![Lane::splat(1.0); tiles];
        let mut polar = vec![Lane::default(); tiles];
        form.add(&x, 2.0, &mut square, tiles);
        form.accumulate(&x, &y, 1.0, &mut polar, tiles);
        for replica in 0..16 {
            let (u, v) = (state(0.1 * replica as f64), state(1.0 - 0.2 * replica as f64));
            let both = |u: &[f64], v: &[f64]| (0..9).map(|e| a[e] * u[e / 3] * v[e % 3]).sum::<f64>();
            let (s, p) = (square[replica / 8].0[replica % 8], polar[replica / 8].0[replica % 8]);
            assert!((s - 1.0 - 2.0 * both(&u, &u)).abs() < 1e-14);
            assert!((p - both(&u, &v)).abs() < 1e-14);
            assert!((form.value(&u)[0] - both(&u, &u)).abs() < 1e-14);
        }
    }
}
