//! Many tests at once.

/// Holm's step-down procedure (Holm 1979): adjusted p-values, in the order given.
///
/// Rejecting where the adjusted value is ≤ α keeps the chance of any false rejection below α, however the
/// tests depend on each other.
///
/// ```
/// let adjusted = perrin::stats::multiple::holm(&[0.04, 0.001, 0.02]);
/// assert_eq!(adjusted, [0.04, 0.003, 0.04]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; count];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(((count - rank) as f64 * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn matches_the_worked_example() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() < 1e-15, "{adjusted:?}");
        }
    }

    #[test]
    fn is_monotone_and_bounded() {
        assert_eq!(holm(&[0.9, 0.8]), vec![1.0, 1.0]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.2]), vec![0.2]);
    }
}
