//! Samples and their law: a table, or fresh draws; with weighted nodes for expectations.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use super::{Batch, StandardLaw};
use crate::lanes::Lane;

/// `len` independent draws of one standard law, at `offset` in a sample's row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variate {
    /// The law.
    pub law: StandardLaw,
    /// Number of independent draws.
    pub len: usize,
    /// First column in the sample's row.
    pub offset: usize,
}

/// Where weighted nodes come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// The whole finite population: exact.
    Table,
    /// Gauss quadrature; `error` is the relative change of the drift and the gradient covariance under refinement.
    Quadrature {
        /// Nodes along each variate.
        per_variate: usize,
        /// Estimated relative error.
        error: f64,
    },
    /// A seeded reference sample, which is off by chance as any sample of its size is. Both errors are estimated from
    /// its own scatter, at a few states θ of order 1.
    Reference {
        /// Its size n.
        size: usize,
        /// Relative standard error of the mean gradient, all its elements together.
        mean: f64,
        /// Relative standard error of the worst element of the gradient covariance's diagonal, about √((κ − 1)/n) with
        /// κ the kurtosis of that element of a sample's gradient.
        covariance: f64,
    },
}

impl Origin {
    /// Relative (standard) error of expectations: the larger of those of the mean gradient and of its covariance.
    pub fn error(&self) -> f64 {
        match *self {
            Self::Table => 0.0,
            Self::Quadrature { error, .. } => error,
            Self::Reference { mean, covariance, .. } => mean.max(covariance),
        }
    }
}

/// Weighted samples z_k, ω_k with Σω = 1, that stand for the population in expectations.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// Numbers a sample.
    pub width: usize,
    /// `[n][width]`.
    pub values: Vec<f64>,
    /// ω, `[n]`.
    pub weights: Vec<f64>,
    /// How they were made.
    pub origin: Origin,
}

impl Nodes {
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.weights.len()
    }
    /// True without nodes.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
    /// Nodes `first ..`, `[count][width]`.
    pub fn samples(&self, first: usize, count: usize) -> &[f64] {
        &self.values[first * self.width..(first + count) * self.width]
    }
    /// Writes nodes `first ..` to `samples`, `[count][width][tiles]`, the same for every replica.
    pub fn fill_samples(&self, tiles: usize, first: usize, count: usize, samples: &mut [Lane]) {
        for (to, &value) in samples.chunks_exact_mut(tiles).zip(self.samples(first, count)) {
            to.fill(Lane::splat(value));
        }
    }
    /// Writes ω of nodes `first ..` to `weights`, `[count][tiles]`.
    pub fn fill_weights(&self, tiles: usize, first: usize, count: usize, weights: &mut [Lane]) {
        for (to, &weight) in weights.chunks_exact_mut(tiles).zip(&self.weights[first..]).take(count) {
            to.fill(Lane::splat(weight));
        }
    }
}

/// Nodes that are made when they are first asked for: a run of fresh draws may never need those of expectations.
#[derive(Clone)]
pub struct LazyNodes(Arc<LazyLock<Nodes, Make>>);

/// Makes the nodes.
type Make = Box<dyn FnOnce() -> Nodes + Send>;

impl LazyNodes {
    /// What `make` will make.
    pub fn new(make: impl FnOnce() -> Nodes + Send + 'static) -> Self {
        let make: Make = Box::new(make);
        Self(Arc::new(LazyLock::new(make)))
    }
}

impl From<Nodes> for LazyNodes {
    fn from(nodes: Nodes) -> Self {
        Self::new(|| nodes)
    }
}

impl Deref for LazyNodes {
    type Target = Nodes;
    fn deref(&self) -> &Nodes {
        &self.0
    }
}

impl fmt::Debug for LazyNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Rows of a table that samples begin with, where fresh draws stand behind them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Numbers a row.
    pub width: usize,
    /// Number of rows N.
    pub count: usize,
    /// `[count][width]`.
    pub values: Vec<f64>,
}

/// The law of samples: rows of a table, fresh draws, or a row with fresh draws behind it.
#[derive(Clone, Debug)]
pub struct Population {
    /// Numbers a sample (columns of a table, then standard variates of a law).
    pub width: usize,
    /// Draws that make a sample fresh; `None` for a finite population, whose samples are the nodes.
    pub fresh: Option<Vec<Variate>>,
    /// What a sample has of a table, where it has fresh draws too: a sample is a row, and draws that are made anew whenever it is taken. The
    /// nodes are then each row with the same nodes of the law, row by row.
    pub rows: Option<Arc<Rows>>,
    /// Where samples do not change with a uniform draw but at these points: the first column of the draw, and the points.
    pub cells: Vec<(usize, Vec<f64>)>,
    /// Weighted nodes for expectations; for a finite population the table itself, ω = 1/N.
    pub nodes: LazyNodes,
}

impl Population {
    /// N, the number of rows that minibatches and epochs are made of; `None` for an infinite population.
    pub fn size(&self) -> Option<usize> {
        match (&self.fresh, &self.rows) {
            (None, _) => Some(self.nodes.len()),
            (Some(_), Some(rows)) => Some(rows.count),
            (Some(_), None) => None,
        }
    }

    /// N, if the population is its N rows and nothing else: the nodes are the samples.
    pub fn finite(&self) -> Option<usize> {
        if self.fresh.is_none() { self.size() } else { None }
    }

    /// True where rows of a table have fresh draws behind them. A minibatch of S of the N rows then has, without replacement, a gradient of
    /// covariance B(N − S)/(S(N − 1)) + W/S: B of the rows' means, W of the draws about them. It is no multiple of C = B + W.
    pub fn mixed(&self) -> bool {
        self.fresh.is_some() && self.rows.is_some()
    }

    /// Numbers of a sample that come from a table, where fresh draws stand behind them: a row drawn from `stream`.
    pub fn row(&self, stream: &mut crate::lanes::Stream) -> &[f64] {
        match &self.rows {
            Some(rows) if rows.width > 0 => {
                let row = stream.below(rows.count as u64) as usize;
                &rows.values[row * rows.width..(row + 1) * rows.width]
            }
            _ => &[],
        }
    }
}

/// One node of a population, weight 1.
pub struct SingleNode<'a> {
    /// All nodes.
    pub nodes: &'a Nodes,
    /// Which.
    pub node: usize,
    /// Vectors of the block.
    pub tiles: usize,
}

impl Batch for SingleNode<'_> {
    fn len(&self) -> usize {
        1
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0)
    }
    fn fill(&mut self, _first: usize, _count: usize, samples: &mut [Lane], _weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, self.node, 1, samples);
    }
}
