//! Numbers as a person reads them: a value with its error in parentheses, and no more digits than it has.

/// Exponents of ten that are written out; others take the scientific form.
const PLAIN: std::ops::RangeInclusive<i32> = -4..=5;

/// `0.003531(52)`: the error, to two digits, counts in units of the value's last digits.
///
/// An error of zero (or lost in rounding) is left out, one that is unknown is `(?)`; a value that is not finite is
/// said so.
///
/// ```
/// use perrin::report::with_error;
/// assert_eq!(with_error(0.00353124, 0.0000521), "0.003531(52)");
/// assert_eq!(with_error(-12.34, 4.56), "-12.3(4.6)");
/// assert_eq!(with_error(1.25e-9, 3.1e-12), "1.2500(31)e-9");
/// ```
pub fn with_error(value: f64, error: f64) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    if error.is_nan() {
        return format!("{}(?)", plain(value, 4));
    }
    if error.is_infinite() {
        return format!("{}(inf)", plain(value, 4));
    }
    let error = error.abs();
    if error <= 1e-13 * value.abs() {
        return plain(value, 7);
    }
    // The exponent after rounding: 0.0996 is 1.0e-1.
    let scale = exponent(error, 2);
    let top = scale.max(if value == 0.0 { scale } else { exponent(value, 2) });
    if PLAIN.contains(&top) {
        return fixed(value, error, scale);
    }
    let power = ten_to(top);
    format!("{}e{top}", fixed(value / power, error / power, scale - top))
}

/// Both numbers in fixed point, to the error's second digit, which stands at 10^(scale − 1).
fn fixed(value: f64, error: f64, scale: i32) -> String {
    let decimals = usize::try_from(1 - scale).unwrap_or(0);
    let unit = ten_to(scale - 1);
    if decimals == 0 {
        let round = |x: f64| (x / unit).round() * unit;
        return format!("{:.0}({:.0})", round(value), round(error));
    }
    let value = positive_zero(format!("{value:.decimals$}"));
    if error >= 0.995 { format!("{value}({error:.1})") } else { format!("{value}({:.0})", error / unit) }
}

/// What a claim predicts, to six digits; 0 where it is a rounding of 0 beside the error or the tolerance that it is compared with.
pub(super) fn prediction(predicted: f64, scale: f64) -> String {
    plain(if predicted.abs() < 1e-9 * scale { 0.0 } else { predicted }, 6)
}

/// At most `digits` significant digits, without trailing zeros: `0.25`, `1e-9`, `120000`.
///
/// ```
/// use perrin::report::plain;
/// assert_eq!(plain(0.25, 6), "0.25");
/// assert_eq!(plain(2.0 / 3.0, 4), "0.6667");
/// assert_eq!(plain(1.5e-9, 4), "1.5e-9");
/// ```
pub fn plain(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    if value == 0.0 {
        return "0".into();
    }
    let top = exponent(value, digits);
    if PLAIN.contains(&top) {
        let decimals = usize::try_from(i32::try_from(digits).unwrap_or(17) - 1 - top).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    match text.split_once('e') {
        Some((mantissa, power)) => format!("{}e{power}", trim(mantissa)),
        None => text,
    }
}

/// A probability: two digits, the very small as a bound.
pub fn probability(p: f64) -> String {
    if p.is_nan() {
        "-".into()
    } else if p < 1e-99 {
        "<1e-99".into()
    } else if p < 1e-3 {
        format!("{p:.0e}")
    } else {
        plain(p, 2)
    }
}

/// `12 000`: groups of three, from five digits on.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `34 MB`: powers of 1000.
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["bytes", "kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            return if unit == "bytes" {
                format!("{number} bytes")
            } else {
                format!("{} {unit}", plain(value, 3))
            };
        }
        value /= 1000.0;
    }
    format!("{} EB", plain(value, 3))
}

/// `0.3 s`, `2 min 5 s`, `3 h 10 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Exponent of ten of a number once rounded to `digits` significant digits.
fn exponent(value: f64, digits: usize) -> i32 {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    text.rsplit_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

fn ten_to(power: i32) -> f64 {
    // Read from text, so that it is the nearest double; beyond the range the caller's quotient overflows as it must.
    format!("1e{power}").parse().unwrap_or(f64::NAN)
}

fn trim(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn positive_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        _ => text,
    }
}

fn not_finite(value: f64) -> String {
    if value.is_nan() {
        "not a number".into()
    } else if value > 0.0 {
        "infinite".into()
    } else {
        "-infinite".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_of_nothing_is_0_unless_it_is_what_is_compared() {
        assert_eq!(prediction(-1.110_22e-16, 3e-4), "0");
        assert_eq!(prediction(-1.110_22e-16, 1e-17), "-1.11022e-16");
        assert_eq!(prediction(1e-12, 1e-12), "1e-12");
        assert_eq!(prediction(0.25, f64::NAN), "0.25");
    }

    #[test]
    fn errors_have_two_digits_in_units_of_the_values_last() {
        for (value, error, text) in [
            (3.531_24e-3, 5.21e-5, "0.003531(52)"),
            (1.0, 0.0996, "1.00(10)"),
            (0.75, 0.00043, "0.75000(43)"),
            (12.34, 4.56, "12.3(4.6)"),
            (12.34, 0.996, "12.3(1.0)"),
            (1234.5, 56.0, "1235(56)"),
            (123_456.0, 1234.0, "123500(1200)"),
            (0.001, 0.12, "0.00(12)"),
            (-0.001, 0.12, "0.00(12)"),
            (1.25e-9, 3.1e-12, "1.2500(31)e-9"),
            (-4.2e12, 3e10, "-4.200(30)e12"),
            (0.0, 2e-7, "0.0(2.0)e-7"),
            (1e-12, 2e-7, "0.0(2.0)e-7"),
            (1.5, 0.0, "1.5"),
            (1.0 / 3.0, 1e-18, "0.3333333"),
            (1.5, f64::NAN, "1.5(?)"),
            (f64::NAN, 1.0, "not a number"),
            (f64::NEG_INFINITY, 1.0, "-infinite"),
        ] {
            assert_eq!(with_error(value, error), text, "{value} ± {error}");
        }
    }

    #[test]
    fn plain_numbers_end_with_their_last_digit_that_counts() {
        for (value, digits, text) in [
            (0.0, 6, "0"),
            (100_000.0, 6, "100000"),
            (1e6, 6, "1e6"),
            (999_999.7, 6, "1e6"),
            (0.1 + 0.2, 6, "0.3"),
            (-1.234_56e-7, 3, "-1.23e-7"),
            (f64::INFINITY, 3, "infinite"),
        ] {
            assert_eq!(plain(value, digits), text);
        }
    }

    #[test]
    fn counts_sizes_times_and_probabilities() {
        assert_eq!(count(1234), "1234");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(35_200_000), "35.2 MB");
        assert_eq!(duration(0.26), "0.3 s");
        assert_eq!(duration(125.2), "2 min 5 s");
        assert_eq!(duration(11_400.0), "3 h 10 min");
        assert_eq!(probability(0.0341), "0.034");
        assert_eq!(probability(3.4e-12), "3e-12");
        assert_eq!(probability(0.0), "<1e-99");
        assert_eq!(probability(f64::NAN), "-");
    }
}
