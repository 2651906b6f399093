//! References for tests: the same functions in double-double arithmetic (about 100 bits), by series of their own.

/// An unevaluated sum of two numbers, |low| ≤ ulp(high)/2 (Dekker 1971).
#[derive(Clone, Copy, Debug)]
pub(super) struct Double {
    pub(super) high: f64,
    pub(super) low: f64,
}

const fn new(high: f64, low: f64) -> Double {
    Double { high, low }
}

const LN_2: Double = new(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
/// π/2 in four parts.
const HALF_PI: [f64; 4] =
    [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_17e-33, 5.0e-50];
const TWO_OVER_SQRT_PI: Double = new(std::f64::consts::FRAC_2_SQRT_PI, 1.533_545_961_316_588_1e-17);

fn two_sum(a: f64, b: f64) -> Double {
    let s = a + b;
    let t = s - a;
    new(s, (a - (s - t)) + (b - t))
}

fn two_product(a: f64, b: f64) -> Double {
    let p = a * b;
    new(p, a.mul_add(b, -p))
}

impl From<f64> for Double {
    fn from(x: f64) -> Self {
        new(x, 0.0)
    }
}

impl std::ops::Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        new(-self.high, -self.low)
    }
}

impl std::ops::Add for Double {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        let s = two_sum(self.high, o.high);
        let t = two_sum(self.low, o.low);
        let u = two_sum(s.high, s.low + t.high);
        two_sum(u.high, u.low + t.low)
    }
}

impl std::ops::Sub for Double {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self + -o
    }
}

impl std::ops::Mul for Double {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        let p = two_product(self.high, o.high);
        two_sum(p.high, p.low + (self.high * o.low + self.low * o.high))
    }
}

impl std::ops::Div for Double {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let q = self.high / o.high;
        let rest = self - o * q.into();
        let q = two_sum(q, rest.high / o.high);
        let rest = self - o * q;
        q + (rest.high / o.high).into()
    }
}

impl Double {
    fn times_power_of_two(self, k: i32) -> Self {
        let (a, b) = (2f64.powi(k / 2), 2f64.powi(k - k / 2));
        new(self.high * a * b, self.low * a * b)
    }

    pub(super) fn exp_m1(self) -> Self {
        let k = (self.high / LN_2.high).round();
        if k == 0.0 {
            return Self::series_exp_m1(self);
        }
        let r = self - LN_2 * k.into();
        let scaled = (Self::series_exp_m1(r) + 1.0.into()).times_power_of_two(k as i32);
        scaled - 1.0.into()
    }

    fn series_exp_m1(r: Self) -> Self {
        let mut sum = Self::from(0.0);
        for n in (1..=30).rev() {
            sum = (sum + 1.0.into()) * r / f64::from(n).into();
        }
        sum
    }

    /// eˣ where it is neither subnormal nor above 2¹⁰²³.
    pub(super) fn exp(self) -> Self {
        let k = (self.high / LN_2.high).round();
        let r = self - LN_2 * k.into();
        (Self::series_exp_m1(r) + 1.0.into()).times_power_of_two(k as i32)
    }

    /// By Newton's method on a first value of the standard library.
    pub(super) fn ln(self) -> Self {
        let mut y = Self::from(self.high.ln());
        for _ in 0..2 {
            // ln x = y + ln(x e^−y), and the last is small.
            let d = self * (-y).exp() - 1.0.into();
            y = y + d - d * d * 0.5.into() + d * d * d / 3.0.into();
        }
        y
    }

    pub(super) fn ln_1p(self) -> Self {
        if self.high.abs() < 0.1 {
            // 2·artanh(x/(2 + x)).
            let s = self / (self + 2.0.into());
            let z = s * s;
            let mut sum = Self::from(0.0);
            for n in (0..24).rev() {
                sum = sum * z + Self::from(1.0) / f64::from(2 * n + 1).into();
            }
            return s * sum * 2.0.into();
        }
        (self + 1.0.into()).ln()
    }

    pub(super) fn tanh(self) -> Self {
        let m = (self * 2.0.into()).exp_m1();
        m / (m + 2.0.into())
    }

    pub(super) fn sigmoid(self) -> Self {
        if self.high < 0.0 {
            let e = self.exp();
            return e / (e + 1.0.into());
        }
        Self::from(1.0) / ((-self).exp() + 1.0.into())
    }

    pub(super) fn softplus(self) -> Self {
        if self.high > 0.0 { self + (-self).exp().ln_1p() } else { self.exp().ln_1p() }
    }

    /// (sin, cos), |x| < 10⁶.
    pub(super) fn sin_cos(self) -> (Self, Self) {
        let n = (self.high / HALF_PI[0]).round();
        let mut r = self;
        for part in HALF_PI {
            r = r - two_product(n, part);
        }
        let z = r * r;
        let (mut s, mut c) = (Self::from(0.0), Self::from(0.0));
        for k in (0..16).rev() {
            let k = f64::from(k);
            s = Self::from(1.0) - s * z / ((2.0 * k + 2.0) * (2.0 * k + 3.0)).into();
            c = Self::from(1.0) - c * z / ((2.0 * k + 1.0) * (2.0 * k + 2.0)).into();
        }
        let s = s * r;
        match n.rem_euclid(4.0) as u8 {
            0 => (s, c),
            1 => (c, -s),
            2 => (-s, -c),
            _ => (-c, s),
        }
    }

    /// 2/√π·Σ 2ⁿx²ⁿ⁺¹e^−x²/(2n+1)!!: all terms have one sign.
    pub(super) fn erf(self) -> Self {
        let z = self * self;
        let mut term = self;
        let mut sum = self;
        let mut n = 1.0;
        while term.high.abs() > 1e-33 * sum.high.abs() {
            term = term * z * 2.0.into() / f64::from(2 * n as i32 + 1).into();
            sum = sum + term;
            n += 1.0;
        }
        sum * (-z).exp() * TWO_OVER_SQRT_PI
    }

    /// Distance of `value` in units in the last place of this number.
    pub(super) fn ulps(self, value: f64) -> f64 {
        let exponent = (self.high.abs().to_bits() >> 52).max(1) as i32 - 1075;
        let unit = 2f64.powi(exponent.max(-1022)) * 2f64.powi(exponent.min(-1022) + 1022);
        (((value - self.high) - self.low) / unit).abs()
    }
}
