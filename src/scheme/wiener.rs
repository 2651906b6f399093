//! Increments of Wiener processes, normal or of few points, at the resolution of the step or of a finer one.
//!
//! [`Wiener::along`] makes paths that every scheme can follow: two numbers a process and step, whether or not the scheme wants the second; and
//! increments of few points are then those of the path's own, ±1 by its sign or three points by its size, each with its exact law.
//! A step that is n times as long as another reads n of its increments together, so that both follow the same Wiener paths: their
//! difference is then the schemes' alone.

use super::kernels::{add_scaled, multiply, scale};
use super::{Increments, kernels};
use crate::lanes::{Lane, Normals, Points};

/// Where the numbers come from.
enum Source {
    Normals(Normals),
    /// Of few points.
    Points(Points),
    /// Given rows, one after the other.
    #[cfg(test)]
    Listed(std::vec::IntoIter<Vec<Lane>>),
}

/// The increments of M Wiener processes.
pub struct Wiener {
    source: Source,
    tiles: usize,
    noises: usize,
    together: u32,
    row: Vec<Lane>,
    /// `[M][tiles]`: running sums, where several are read together.
    walk: Vec<Lane>,
    /// Along a path that others follow, too, with increments of this law.
    along: Option<Increments>,
}

impl Wiener {
    /// Normal increments of `noises` processes; each step reads `together` of the stream's together.
    pub fn normal(normals: Normals, noises: usize, together: u32) -> Self {
        let tiles = normals.tiles();
        Self::new(Source::Normals(normals), tiles, noises, together)
    }

    /// Increments along the paths that `normals` make, of a law of its own; each step reads `together` of the paths' steps.
    pub fn along(normals: Normals, increments: Increments, noises: usize, together: u32) -> Self {
        Self { along: Some(increments), ..Self::normal(normals, noises, together) }
    }

    /// Increments of few points.
    pub fn points(points: Points, noises: usize) -> Self {
        let tiles = points.tiles();
        Self::new(Source::Points(points), tiles, noises, 1)
    }

    /// These rows in turn.
    #[cfg(test)]
    pub(crate) fn listed(rows: Vec<Vec<Lane>>, noises: usize) -> Self {
        let tiles = rows[0].len();
        Self::new(Source::Listed(rows.into_iter()), tiles, noises, 1)
    }

    fn new(source: Source, tiles: usize, noises: usize, together: u32) -> Self {
        let walk = if together > 1 { noises * tiles } else { 0 };
        Self {
            source,
            tiles,
            noises,
            together: together.max(1),
            row: vec![Lane::default(); tiles],
            walk: vec![Lane::default(); walk],
            along: None,
        }
    }

    /// Vectors a row has.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    /// ξ = ΔW/√h of the next step, `[M][tiles]`.
    pub fn first(&mut self, xi: &mut [Lane]) {
        let Self { source, tiles, together, row, noises, along, .. } = self;
        let skipped = if along.is_some() { *noises } else { 0 };
        if *together == 1 {
            xi.chunks_exact_mut(*tiles).for_each(|out| source.next(out));
            (0..skipped).for_each(|_| source.next(row));
        } else {
            xi.fill(Lane::default());
            for _ in 0..*together {
                for out in xi.chunks_exact_mut(*tiles) {
                    source.next(row);
                    add_scaled(out, row, 1.0);
                }
                (0..skipped).for_each(|_| source.next(row));
            }
            multiply(xi, 1.0 / f64::from(*together).sqrt());
        }
        self.coarsened(xi);
    }

    /// ΔW of the next step of length h, `[M][tiles]`.
    pub fn increments(&mut self, w: &mut [Lane], h: f64) {
        let root = h.sqrt();
        if self.together == 1 && self.along.is_none() {
            let Self { source, tiles, .. } = self;
            w.chunks_exact_mut(*tiles).for_each(|out| source.next_scaled(out, root));
        } else {
            self.first(w);
            multiply(w, root);
        }
    }

    /// Normal numbers as those of few points, where that is asked for.
    fn coarsened(&self, xi: &mut [Lane]) {
        match self.along {
            Some(Increments::Rademacher) => kernels::to_sign(xi),
            Some(Increments::ThreePoint) => kernels::to_three_points(xi),
            Some(Increments::Normal) | None => {}
        }
    }

    /// ξ = ΔW/√h and z = h^(−3/2) ∫(W_s − W_0) ds of the next step, `[M][tiles]` each: z = ½(ξ + ζ/√3) with an independent ζ; or, of
    /// n steps together, the sum over them and of the walk before each.
    pub fn both(&mut self, xi: &mut [Lane], z: &mut [Lane]) {
        let root = 1.0 / 3.0_f64.sqrt();
        let Self { source, tiles, noises, together, row, walk, .. } = self;
        if *together == 1 {
            xi.chunks_exact_mut(*tiles).for_each(|out| source.next(out));
            z.chunks_exact_mut(*tiles).for_each(|out| source.next(out));
            for (z, xi) in z.chunks_exact_mut(*tiles).zip(xi.chunks_exact(*tiles)) {
                row.copy_from_slice(z);
                kernels::blend(z, xi, 0.5, row, 0.5 * root);
            }
            return;
        }
        walk.fill(Lane::default());
        z.fill(Lane::default());
        for _ in 0..*together {
            // The walk before the step, and half of the step itself: ½(before + after).
            add_scaled(z, walk, 0.5);
            for out in walk.chunks_exact_mut(*tiles).take(*noises) {
                source.next(row);
                add_scaled(out, row, 1.0);
            }
            add_scaled(z, walk, 0.5);
            for out in z.chunks_exact_mut(*tiles) {
                source.next(row);
                add_scaled(out, row, 0.5 * root);
            }
        }
        let n = f64::from(*together);
        scale(xi, walk, 1.0 / n.sqrt());
        multiply(z, 1.0 / (n * n.sqrt()));
    }

    /// ξ = ΔW/√h of the next step and an independent ζ of the same law, `[M][tiles]` each.
    pub fn pair(&mut self, xi: &mut [Lane], zeta: &mut [Lane]) {
        let Self { source, tiles, together, row, .. } = self;
        xi.fill(Lane::default());
        zeta.fill(Lane::default());
        for _ in 0..*together {
            for out in xi.chunks_exact_mut(*tiles).chain(zeta.chunks_exact_mut(*tiles)) {
                source.next(row);
                add_scaled(out, row, 1.0);
            }
        }
        if *together > 1 {
            let shrink = 1.0 / f64::from(*together).sqrt();
            multiply(xi, shrink);
            multiply(zeta, shrink);
        }
        self.coarsened(xi);
        self.coarsened(zeta);
    }
}

impl Source {
    /// The next draw of every replica.
    fn next(&mut self, out: &mut [Lane]) {
        match self {
            Self::Normals(normals) => out.copy_from_slice(normals.row()),
            #[cfg(test)]
            Self::Listed(rows) => out.copy_from_slice(&rows.next().unwrap()),
            Self::Points(points) => points.row(out, 1.0),
        }
    }

    /// The next draw of every replica, times `factor`.
    fn next_scaled(&mut self, out: &mut [Lane], factor: f64) {
        match self {
            Self::Normals(normals) => scale(out, normals.row(), factor),
            Self::Points(points) => points.row(out, factor),
            #[cfg(test)]
            Self::Listed(_) => {
                self.next(out);
                multiply(out, factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Purpose, Values, flat};

    fn points(values: Values) -> Wiener {
        Wiener::points(Points::new(values, 3, Purpose::Test, 0, 4), 2)
    }

    #[test]
    fn few_points_have_the_moments_that_weak_orders_need() {
        // 2·32·20000 draws of which the sixth power is at most 27: standard errors ≤ 27/√1.28e6 = 0.024; six of them.
        for (values, moments) in
            [(Values::Two, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]), (Values::Three, [0.0, 1.0, 0.0, 3.0, 0.0, 9.0])]
        {
            let mut wiener = points(values);
            let mut xi = vec![Lane::default(); 8];
            let mut sums = [0.0; 6];
            let mut crossed = 0.0;
            for _ in 0..20_000 {
                let before = flat(&xi)[0];
                wiener.first(&mut xi);
                crossed += before * flat(&xi)[0] / 20_000.0;
                for &x in flat(&xi) {
                    let mut power = 1.0;
                    for sum in &mut sums {
                        power *= x;
                        *sum += power / (64.0 * 20_000.0);
                    }
                }
            }
            for (sum, (moment, error)) in
                sums.iter().zip(moments.iter().zip([0.001, 0.0013, 0.0027, 0.004, 0.008, 0.012]))
            {
                assert!((sum - moment).abs() < 6.0 * error, "{values:?}: {sums:?}");
            }
            assert!(crossed.abs() < 6.0 / 20_000.0_f64.sqrt());
        }
    }

    #[test]
    fn a_long_step_reads_the_same_paths_as_short_ones() {
        let normals = || Normals::new(3, Purpose::Test, 0, 4);
        let (mut short, mut long) = (Wiener::normal(normals(), 2, 1), Wiener::normal(normals(), 2, 5));
        let buffer = || vec![Lane::default(); 8];
        let (mut xi, mut z, mut total, mut area) = (buffer(), buffer(), buffer(), buffer());
        for _ in 0..3 {
            // With h = 1: ∫W over five steps is Σ (z_i + W before).
            total.fill(Lane::default());
            area.fill(Lane::default());
            for _ in 0..5 {
                short.both(&mut xi, &mut z);
                add_scaled(&mut area, &z, 1.0);
                add_scaled(&mut area, &total, 1.0);
                add_scaled(&mut total, &xi, 1.0);
            }
            long.both(&mut xi, &mut z);
            let n = 5.0_f64;
            for i in 0..64 {
                assert!((flat(&xi)[i] * n.sqrt() - flat(&total)[i]).abs() < 1e-12);
                assert!((flat(&z)[i] * n.powf(1.5) - flat(&area)[i]).abs() < 1e-12);
            }
        }
        // Along paths: schemes of one number a step and of two meet the same increments, and so do increments of few points.
        let along = |increments, together| Wiener::along(normals(), increments, 2, together);
        let (mut one, mut two) = (along(Increments::Normal, 3), along(Increments::Normal, 3));
        let (mut sign, mut points) = (along(Increments::Rademacher, 3), along(Increments::ThreePoint, 3));
        let (mut tally, mut squares) = ([0.0_f64; 2], 0.0_f64);
        for _ in 0..500 {
            one.first(&mut xi);
            two.both(&mut total, &mut z);
            for i in 0..64 {
                assert!((flat(&xi)[i] - flat(&total)[i]).abs() < 1e-12);
            }
            sign.first(&mut z);
            points.first(&mut area);
            for i in 0..64 {
                assert_eq!(flat(&z)[i], flat(&xi)[i].signum());
                let point = flat(&area)[i];
                assert!(point == 0.0 || point.signum() == flat(&xi)[i].signum());
                tally[usize::from(point == 0.0)] += 1.0 / 32_000.0;
                squares += point * point / 32_000.0;
            }
        }
        // Six standard errors of a share of ⅓ among 32000.
        assert!((tally[0] - 1.0 / 3.0).abs() < 0.016 && (squares - 1.0).abs() < 0.05);
        let (mut short, mut long) = (Wiener::normal(normals(), 2, 1), Wiener::normal(normals(), 2, 4));
        total.fill(Lane::default());
        for _ in 0..4 {
            short.first(&mut xi);
            add_scaled(&mut total, &xi, 0.5);
        }
        long.first(&mut xi);
        for i in 0..64 {
            assert!((flat(&xi)[i] - flat(&total)[i]).abs() < 1e-14);
        }
    }
}
