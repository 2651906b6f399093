//! Moments over replicas, folded so that neither threads nor block sizes reach a bit of them.
//!
//! A *leaf* is a tile, eight replicas from a multiple of eight. Leaves are merged as a binary tree over their index: aligned
//! pairs, pairs of pairs, and so on; what is left over at the end is merged from the right. A block of 2ᵏ tiles that
//! begins at a multiple of its size is one node of that tree, so any such division into blocks gives the same tree.

use crate::lanes::LANES;
use crate::stats::moments::Moments;

/// Sizes, in tiles, of the blocks that `replicas` replicas are divided into: `most` (a power of two) as often as it fits,
/// then smaller powers of two, so that each begins at a multiple of its size.
pub fn blocks(replicas: usize, most: usize) -> Vec<usize> {
    let mut left = replicas.div_ceil(LANES);
    let mut sizes = vec![most; left / most];
    left %= most;
    while left > 0 {
        let size = 1 << left.ilog2();
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// Moments of those values of a tile whose bit in `counted` is set.
pub fn leaf(values: &[f64; LANES], counted: u8) -> Moments {
    if counted != u8::MAX {
        let alive = |l: &usize| counted >> l & 1 == 1;
        return Moments::of((0..LANES).filter(alive).map(|l| values[l]));
    }
    let sum = |x: [f64; LANES]| ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
    let mean = sum(*values) * (1.0 / LANES as f64);
    let mut powers = [[0.0; LANES]; 3];
    let (mut min, mut max) = (values[0], values[0]);
    for (l, &x) in values.iter().enumerate() {
        let d = x - mean;
        let d2 = d * d;
        (powers[0][l], powers[1][l], powers[2][l]) = (d2, d2 * d, d2 * d2);
        min = if x < min { x } else { min };
        max = if x > max { x } else { max };
    }
    Moments {
        count: LANES as u64,
        mean,
        m2: sum(powers[0]),
        m3: sum(powers[1]),
        m4: sum(powers[2]),
        min,
        max,
    }
}

/// The root of the tree over these leaves, whose number is a power of two; they are used up.
pub fn tree(leaves: &mut [Moments]) -> Moments {
    let mut width = leaves.len();
    while width > 1 {
        width /= 2;
        for i in 0..width {
            let mut left = leaves[2 * i];
            left.merge(&leaves[2 * i + 1]);
            leaves[i] = left;
        }
    }
    leaves.first().copied().unwrap_or_default()
}

/// Folds blocks that come in replica order; keeps one array of moments a level of the tree.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// Blocks that wait for their right neighbour, larger ones first: size in tiles, moments.
    waiting: Vec<(usize, Vec<Moments>)>,
}

impl Fold {
    /// The next block, of `tiles` tiles: any number of moments, always the same.
    pub fn push(&mut self, tiles: usize, moments: Vec<Moments>) {
        let (mut size, mut node) = (tiles, moments);
        while let Some((_, mut left)) = self.waiting.pop_if(|(waiting, _)| *waiting == size) {
            merge(&mut left, &node);
            (size, node) = (2 * size, left);
        }
        self.waiting.push((size, node));
    }

    /// The moments of all blocks so far; empty if there is none.
    pub fn finish(mut self) -> Vec<Moments> {
        let Some((_, mut right)) = self.waiting.pop() else { return Vec::new() };
        while let Some((_, mut left)) = self.waiting.pop() {
            merge(&mut left, &right);
            right = left;
        }
        right
    }
}

fn merge(left: &mut [Moments], right: &[Moments]) {
    for (left, right) in left.iter_mut().zip(right) {
        left.merge(right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919) % 1009) as f64 / 31.0 - 11.0).collect()
    }

    fn folded(replicas: usize, most: usize, dead: &[usize]) -> Moments {
        let values = values(replicas.next_multiple_of(LANES));
        let mut fold = Fold::default();
        let mut first = 0;
        for tiles in blocks(replicas, most) {
            let mut leaves: Vec<Moments> = (0..tiles)
                .map(|t| {
                    let start = first + t * LANES;
                    let mut counted = 0;
                    for l in 0..LANES {
                        counted |= u8::from(start + l < replicas && !dead.contains(&(start + l))) << l;
                    }
                    leaf(values[start..start + LANES].try_into().unwrap(), counted)
                })
                .collect();
            fold.push(tiles, vec![tree(&mut leaves)]);
            first += tiles * LANES;
        }
        fold.finish()[0]
    }

    #[test]
    fn block_sizes_do_not_reach_a_bit() {
        for replicas in [1, 8, 9, 100, 1000, 4096] {
            let dead = [3, 17, 18, 640];
            let one = folded(replicas, 1, &dead);
            for most in [2, 4, 16, 64, 1024] {
                assert_eq!(folded(replicas, most, &dead), one, "{replicas} {most}");
            }
        }
    }

    #[test]
    fn the_tree_gives_the_moments() {
        let tree = folded(1000, 16, &[5]);
        let direct = Moments::of(values(1000).into_iter().enumerate().filter(|(i, _)| *i != 5).map(|x| x.1));
        assert_eq!((tree.count, tree.min, tree.max), (direct.count, direct.min, direct.max));
        for (a, b) in
            [(tree.mean, direct.mean), (tree.m2, direct.m2), (tree.m3, direct.m3), (tree.m4, direct.m4)]
        {
            assert!((a - b).abs() <= 1e-11 * b.abs(), "{a} {b}");
        }
    }

    #[test]
    fn blocks_begin_at_multiples_of_their_size() {
        for (replicas, most) in [(100_000, 64), (1, 64), (4097, 16), (8 * 13, 8)] {
            let mut first = 0;
            for size in blocks(replicas, most) {
                assert!(size <= most && size.is_power_of_two() && first % size == 0);
                first += size;
            }
            assert_eq!(first, replicas.div_ceil(8));
        }
    }
}
