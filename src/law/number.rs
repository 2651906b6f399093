//! Numbers in sentences.

/// Two significant digits, upwards: 1234 → 1300.
pub(super) fn round_up(count: f64) -> u64 {
    let magnitude = 10_f64.powf((count.log10().floor() - 1.0).max(0.0));
    ((count / magnitude).ceil() * magnitude) as u64
}

/// Four significant digits, as short as they come.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !x.is_finite() {
        return format!("{x}");
    }
    let exponent = x.abs().log10().floor();
    if !(-4.0..6.0).contains(&exponent) {
        let text = format!("{x:.3e}");
        return match text.split_once('e') {
            Some((digits, power)) => format!("{}e{power}", trim(digits)),
            None => text,
        };
    }
    let text = format!("{x:.*}", (3.0 - exponent).max(0.0) as usize);
    trim(&text).to_owned()
}

fn trim(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(-0.0), "0");
        for (x, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.125, "0.125"),
            (-0.001_234_56, "-0.001235"),
            (1234.56, "1235"),
            (1e-7, "1e-7"),
            (1.5e12, "1.5e12"),
        ] {
            assert_eq!(short(x), text);
        }
    }

    #[test]
    fn needs_are_rounded_up() {
        assert_eq!((round_up(1234.0), round_up(7.2), round_up(100.0)), (1300, 8, 100));
    }
}
