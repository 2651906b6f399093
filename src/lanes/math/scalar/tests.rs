//! Errors in units in the last place, special values, and kernels against scalars.

use super::reference::Double;
use crate::lanes::{LANES, Lane};
use crate::lanes::{Level, Purpose, Stream, math};
use proptest::prelude::*;

/// Points of each range.
const POINTS: u64 = 10_000;

/// A reference, or none where it has no answer.
type Reference = fn(f64) -> Double;

/// The largest error over uniform and over log-uniform points of `low .. high`.
fn worst(f: fn(f64) -> f64, reference: Reference, low: f64, high: f64) -> (f64, f64) {
    let mut stream = Stream::new(1, Purpose::Test, 0);
    let mut worst = (0.0, 0.0);
    for k in 0..POINTS {
        let u = stream.uniform();
        let x =
            if k % 2 == 0 || low * high <= 0.0 { low + (high - low) * u } else { low * (high / low).powf(u) };
        let error = reference(x).ulps(f(x));
        if error > worst.0 || error.is_nan() {
            worst = (error, x);
        }
    }
    worst
}

macro_rules! bounds {
    ($($name:ident: $function:path, $reference:expr, $bound:literal, [$($low:literal .. $high:literal),+];)*) => { $(
        #[test]
        fn $name() {
            for (low, high) in [$(($low, $high)),+] {
                let (error, at) = worst($function, $reference, low, high);
                assert!(error < $bound, "{error} ulp at {at:e} = {:#x}", at.to_bits());
            }
        }
    )* };
}

bounds! {
    exp_is_accurate: super::exp, |x| Double::from(x).exp(), 1.0, [-707.0 .. 708.0, -1.0 .. 1.0, 1e-20 .. 0.4, 0.3 .. 3.0];
    expm1_is_accurate: super::expm1, |x| Double::from(x).exp_m1(), 1.5, [-40.0 .. 700.0, -2.0 .. 2.0, 1e-30 .. 0.4, -0.4 .. -1e-20, 0.3 .. 1.5];
    ln_is_accurate: super::ln, |x| Double::from(x).ln(), 1.0, [1e-300 .. 1e4, 1e-4 .. 1e300, 0.5 .. 2.0, 0.999 .. 1.001, 0.69 .. 0.72];
    ln1p_is_accurate: super::ln1p, |x| Double::from(x).ln_1p(), 1.0, [-0.999 .. 3.0, 1e-20 .. 1e20, -0.5 .. -1e-20, 0.3 .. 0.5];
    tanh_is_accurate: super::tanh, |x| Double::from(x).tanh(), 1.5, [-25.0 .. 25.0, -1.0 .. 1.0, 1e-30 .. 1.0, 0.1 .. 0.6];
    sigmoid_is_accurate: super::sigmoid, |x| Double::from(x).sigmoid(), 1.5, [-700.0 .. 50.0, -40.0 .. 40.0, -3.0 .. 3.0];
    softplus_is_accurate: super::softplus, |x| Double::from(x).softplus(), 1.5, [-700.0 .. 50.0, -40.0 .. 40.0, -2.0 .. 2.0, -1.0 .. -0.8];
    sin_is_accurate: super::sin, |x| Double::from(x).sin_cos().0, 0.8, [-1e6 .. 1e6, -10.0 .. 10.0, 1e-20 .. 0.8];
    cos_is_accurate: super::cos, |x| Double::from(x).sin_cos().1, 0.8, [-1e6 .. 1e6, -10.0 .. 10.0, 1e-20 .. 0.8];
    log10_is_accurate: super::log10, |x| Double::from(x).ln() / Double::from(10.0).ln(), 2.0, [1e-300 .. 1e4, 1e-4 .. 1e300, 0.5 .. 2.0, 0.999 .. 1.001];
    tan_is_accurate: super::tan, |x| { let (s, c) = Double::from(x).sin_cos(); s / c }, 2.2, [-1e6 .. 1e6, -10.0 .. 10.0, 1e-20 .. 0.8];
    atan_is_accurate: super::atan, arc_tangent, 1.0, [-1e3 .. 1e3, -3.0 .. 3.0, 1e-20 .. 0.5, 0.43 .. 2.5, 1.0 .. 1e300];
    erf_is_accurate: super::erf, |x| Double::from(x).erf(), 1.6, [-6.0 .. 6.0, -1.2 .. 1.2, 1e-30 .. 0.9, 0.9 .. 1.1];
}

/// y + (x cos y − sin y)/(cos y + x sin y), a Newton step from y = atan x as it is.
fn arc_tangent(x: f64) -> Double {
    let y = super::atan(x);
    let ((s, c), x) = (Double::from(y).sin_cos(), Double::from(x));
    Double::from(y) + (x * c - s) / (c + x * s)
}

#[test]
fn tangents_and_common_logarithms_have_their_special_values() {
    use super::{atan, log10, tan};
    let half_pi = std::f64::consts::FRAC_PI_2;
    for (x, wanted) in [
        (0.0, 0.0),
        (-0.0, -0.0),
        (1.0, half_pi / 2.0),
        (INF, half_pi),
        (-INF, -half_pi),
        (1e300, half_pi),
        (NAN, NAN),
    ] {
        is(atan(x), wanted);
    }
    is(tan(-0.0), -0.0);
    is(tan(INF), NAN);
    let mut power = 1.0;
    for n in 0..=22 {
        is(log10(power), f64::from(n));
        power *= 10.0;
    }
    for (x, wanted) in
        [(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (NAN, NAN), (TINY, -323.306_215_343_115_8)]
    {
        is(log10(x), wanted);
    }
}

#[test]
fn powers_are_accurate() {
    let mut stream = Stream::new(2, Purpose::Test, 0);
    let mut check = |low: f64, high: f64, range: f64, bound: f64| {
        let mut worst = 0.0;
        for _ in 0..POINTS {
            let x = low * (high / low).powf(stream.uniform());
            let y = range * (2.0 * stream.uniform() - 1.0);
            let product = Double::from(x).ln() * y.into();
            if product.high.abs() < 700.0 {
                let error = product.exp().ulps(super::powf(x, y));
                worst = f64::max(worst, error);
                assert!(error < bound, "{error} ulp at {x:e}^{y:e}");
            }
        }
    };
    check(1e-300, 1e300, 1.0, 1.0);
    check(1e-3, 1e3, 100.0, 1.0);
    check(0.5, 2.0, 1000.0, 1.0);
    check(0.999, 1.001, 1e5, 1.0);
}

#[test]
fn sines_near_multiples_of_a_quarter_turn_keep_their_digits() {
    for n in (1..600_000u32).step_by(97) {
        let x = f64::from(n) * std::f64::consts::FRAC_PI_2;
        let (s, c) = Double::from(x).sin_cos();
        assert!(s.ulps(super::sin(x)) < 1.0, "sin {x}");
        assert!(c.ulps(super::cos(x)) < 1.0, "cos {x}");
    }
}

#[test]
fn sines_of_large_arguments_keep_their_digits() {
    for (x, s, c) in super::far_values::values() {
        for sign in [1.0, -1.0] {
            let (sine, cosine) = (sign * super::sin(sign * x), super::cos(sign * x));
            assert!(s.ulps(sine) < 0.8, "sin {x:e}: {sine:e} for {:e}", s.high);
            assert!(c.ulps(cosine) < 0.8, "cos {x:e}: {cosine:e} for {:e}", c.high);
        }
    }
    // On both sides of where the reduction changes, and wherever the reference in double-double reaches.
    for k in 0..2000 {
        let x = 1e6 + f64::from(k - 1000) * 0.731;
        let (s, c) = Double::from(x).sin_cos();
        assert!(s.ulps(super::sin(x)) < 0.8 && c.ulps(super::cos(x)) < 0.8, "{x}");
    }
}

/// Bits, with one NaN for all.
fn bits(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

#[track_caller]
fn is(value: f64, wanted: f64) {
    assert_eq!(bits(value), bits(wanted), "{value:e}, not {wanted:e}");
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const TINY: f64 = f64::from_bits(1);

#[test]
fn special_values() {
    use super::*;
    for (f, at_zero) in
        [(exp as fn(f64) -> f64, 1.0), (cos, 1.0), (sigmoid, 0.5), (softplus, std::f64::consts::LN_2)]
    {
        is(f(0.0), at_zero);
        is(f(-0.0), at_zero);
        is(f(NAN), NAN);
    }
    for f in [expm1 as fn(f64) -> f64, ln1p, sin, tanh] {
        for x in [0.0, -0.0, TINY, -TINY, 1e-310, 2.5e-300, -1e-200] {
            is(f(x), x);
        }
        is(f(NAN), NAN);
    }
    for (f, left, right) in [
        (exp as fn(f64) -> f64, 0.0, INF),
        (expm1, -1.0, INF),
        (tanh, -1.0, 1.0),
        (sigmoid, 0.0, 1.0),
        (softplus, 0.0, INF),
        (erf, -1.0, 1.0),
        (sin, NAN, NAN),
        (cos, NAN, NAN),
        (ln, NAN, INF),
        (ln1p, NAN, INF),
    ] {
        is(f(-INF), left);
        is(f(INF), right);
        if !left.is_nan() {
            is(f(-1e300), left);
        }
    }
    is(erf(-0.0), -0.0);
    is(erf(NAN), NAN);
    is(erf(7.0), 1.0);
    is(exp(709.79), INF);
    is(exp(-745.13), TINY);
    is(exp(-745.14), 0.0);
    is(exp(-720.0), f64::from_bits(41_132_809_365));
    for largest in [exp(709.782_712_893_384), expm1(709.782_712_893_384)] {
        assert!((largest / 1.797_693_134_862_273_2e308 - 1.0).abs() < 1e-15, "{largest:e}");
    }
    is(sigmoid(-720.0), f64::from_bits(41_132_809_365));
    is(softplus(-720.0), f64::from_bits(41_132_809_365));
    is(softplus(1e300), 1e300);
    for f in [ln as fn(f64) -> f64, |x| ln1p(x - 1.0)] {
        is(f(1.0), 0.0);
        is(f(0.0), -INF);
        is(f(-1e-3), NAN);
    }
    is(ln(-0.0), -INF);
    is(ln(TINY), -1074.0 * std::f64::consts::LN_2);
    is(ln(f64::MAX), 709.782_712_893_384);
    for x in [1e7, 1e12, 1e15, 1e16, 1e19, 1e300, f64::MAX, -f64::MAX] {
        assert!(sin(x).abs() <= 1.0 && cos(x).abs() <= 1.0, "{x:e}");
    }
}

#[test]
fn powers_have_the_special_cases_of_c() {
    let odd = [1.0, -1.0, 3.0, -5.0, 9_007_199_254_740_991.0, -9_007_199_254_740_991.0];
    let even = [2.0, -4.0, 9_007_199_254_740_992.0, 1e300, -1e300];
    let broken = [0.5, -0.5, 2.5, -3.7, 4_503_599_627_370_495.5, 1e-300];
    let bases = [
        0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1e-300, -1e-300, 1e300, -1e300, TINY, -TINY, INF, -INF,
        NAN,
    ];
    let extra = [0.0, -0.0, INF, -INF, NAN, 1000.0, -1000.0, 1075.0, -1074.0, -1075.0];
    for x in bases {
        for y in odd.into_iter().chain(even).chain(broken).chain(extra) {
            let (ours, theirs) = (super::powf(x, y), x.powf(y));
            let close = theirs.is_finite() && (ours - theirs).abs() <= theirs.abs() * f64::EPSILON;
            assert!(close || bits(ours) == bits(theirs), "{x:e}^{y:e} = {ours:e}, not {theirs:e}");
            assert_eq!(
                ours.is_sign_negative() && !ours.is_nan(),
                theirs.is_sign_negative() && !theirs.is_nan()
            );
        }
    }
    // Exact powers are exact.
    for n in 0..15 {
        is(super::powf(3.0, f64::from(n)), 3f64.powi(n));
        is(super::powf(-7.0, f64::from(n)), (-7f64).powi(n));
    }
    is(super::powf(2.0, -1074.0), TINY);
    is(super::powf(0.25, 0.5), 0.5);
}

/// What a kernel writes at every level.
fn kernel_bits(run: impl Fn(&mut [Lane], &[Lane]), x: &[Lane]) -> Vec<Vec<u64>> {
    Level::ALL
        .into_iter()
        .map(|level| {
            let mut out = vec![Lane::default(); x.len()];
            Level::force(level, || run(&mut out, x));
            out.iter().flat_map(|lane| lane.0.map(bits)).collect()
        })
        .collect()
}

/// Any double, often a special one.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<f64>(),
        4 => -50.0..50.0,
        2 => -1000.0..1000.0,
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, TINY, f64::MIN_POSITIVE, f64::MAX, 1e5, 0.5, 1e6, 1e12]),
    ]
}

type Kernel = fn(&mut [Lane], &[Lane]);
type Function = fn(f64) -> f64;

proptest! {
    #[test]
    fn kernels_have_the_bits_of_the_scalars_at_every_level(x in prop::collection::vec(any_number(), LANES * 3)) {
        let lanes: Vec<Lane> = x.chunks_exact(LANES).map(|c| Lane(std::array::from_fn(|l| c[l]))).collect();
        let pairs: [(Kernel, Function); 14] = [
            (math::exp, super::exp), (math::expm1, super::expm1), (math::ln, super::ln), (math::ln1p, super::ln1p),
            (math::sin, super::sin), (math::cos, super::cos), (math::tanh, super::tanh),
            (math::sigmoid, super::sigmoid), (math::softplus, super::softplus), (math::erf, super::erf),
            (math::log10, super::log10), (math::tan, super::tan), (math::atan, super::atan),
            (|out, x| math::power(out, x, 1.7), |x| super::powf(x, 1.7)),
        ];
        for (n, (kernel, scalar)) in pairs.into_iter().enumerate() {
            let wanted: Vec<u64> = x.iter().map(|&x| bits(scalar(x))).collect();
            for found in kernel_bits(kernel, &lanes) {
                prop_assert_eq!(&found, &wanted, "function {}", n);
            }
        }
        let exponents: Vec<Lane> = lanes.iter().rev().copied().collect();
        let wanted: Vec<u64> = x.chunks_exact(LANES).zip(&exponents)
            .flat_map(|(x, y)| (0..LANES).map(|l| bits(super::powf(x[l], y.0[l])))).collect();
        for found in kernel_bits(|out, x| math::powf(out, x, &exponents), &lanes) {
            prop_assert_eq!(&found, &wanted);
        }
    }
}

#[test]
fn recorded_bits() {
    let mut sum = [0u64; 11];
    let mut stream = Stream::new(3, Purpose::Test, 0);
    for _ in 0..10_000 {
        let x = 40.0 * stream.uniform() - 20.0;
        let values = [
            super::exp(x),
            super::expm1(x),
            super::ln(x.abs()),
            super::ln1p(x.abs()),
            super::sin(x),
            super::cos(x),
            super::tanh(x),
            super::sigmoid(x),
            super::softplus(x),
            super::erf(x),
            super::powf(x.abs(), x),
        ];
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum = sum.rotate_left(1) ^ value.to_bits();
        }
    }
    assert_eq!(sum, RECORDED, "{sum:#x?}");
}

/// Change them only with an entry under *Value-breaking* in the change log.
const RECORDED: [u64; 11] = [
    0x6261e4bdc2be3ab3,
    0x19f2ac3f8d90aa41,
    0x9cda10c3eeecfcd0,
    0x7d1a50f05675a67b,
    0xcc4238702da3b07e,
    0xcac472e98692d890,
    0x1dc9c22822a62400,
    0x2edb3344027fa4d,
    0x45a8b4749d1c0f0d,
    0x46c0bd448bd85409,
    0x4a9ba7a54ce4b344,
];
