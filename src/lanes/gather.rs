//! Rows of a table, one a replica, turned into vectors of replicas.

use super::stopwatch::{self, Section};
#[cfg(target_arch = "x86_64")]
use super::wide;
use super::{Indices, LANES, Lane, Level};

/// Rows `indices`, `[count][tiles]`, of a table `[n][width]` to `samples`, `[count][width][tiles]`.
///
/// # Panics
/// If an index lies beyond the table.
pub fn gather(samples: &mut [Lane], table: &[f64], indices: &[Indices], width: usize, tiles: usize) {
    if width == 0 {
        return;
    }
    let _noise = stopwatch::enter(Section::Noise);
    // Turns as many elements of eight rows into vectors, `stride` apart, as it is good at, and says how many.
    let turn: fn(&[&[f64]; LANES], &mut [Lane], usize) -> usize = match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => wide::turn_v4,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => wide::turn_v3,
        _ => |_, _, _| 0,
    };
    for (samples, indices) in samples.chunks_exact_mut(width * tiles).zip(indices.chunks_exact(tiles)) {
        for (t, index) in indices.iter().enumerate() {
            let mut rows: [&[f64]; LANES] = [&[]; LANES];
            for (row, &i) in rows.iter_mut().zip(&index.0) {
                let first = i as usize * width;
                *row = &table[first..first + width];
            }
            let column = &mut samples[t..];
            for e in turn(&rows, column, tiles)..width {
                for (x, row) in column[e * tiles].0.iter_mut().zip(rows) {
                    *x = row[e];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_turns_rows_of_any_width() {
        let table: Vec<f64> = (0..50 * 37).map(f64::from).collect();
        for width in [1, 2, 3, 4, 7, 8, 9, 12, 16, 31, 37] {
            let rows = table.len() / width;
            for tiles in [1, 3] {
                let indices: Vec<Indices> = (0..2 * tiles)
                    .map(|i| Indices(std::array::from_fn(|l| ((i * 31 + l * 17 + 5) % rows) as u32)))
                    .collect();
                for level in Level::ALL {
                    let mut samples = vec![Lane::splat(-1.0); 2 * width * tiles];
                    Level::force(level, || gather(&mut samples, &table, &indices, width, tiles));
                    for (k, sample) in samples.chunks_exact(width * tiles).enumerate() {
                        for (e, element) in sample.chunks_exact(tiles).enumerate() {
                            for (t, lane) in element.iter().enumerate() {
                                for l in 0..LANES {
                                    let row = indices[k * tiles + t].0[l] as usize;
                                    assert_eq!(
                                        lane.0[l],
                                        table[row * width + e],
                                        "{width} {tiles} {level:?}"
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
