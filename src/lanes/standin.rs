//! Stand-ins until the vector kernels and streams are in place; replaced as a whole.
macro_rules! vectorized { ($($item:item)*) => { $($item)* }; }
pub(crate) use vectorized;
pub mod math {
    use crate::lanes::Lane;
    macro_rules! k { ($($n:ident $f:expr;)*) => { $(pub fn $n(out: &mut [Lane], x: &[Lane]) { for (o, a) in out.iter_mut().zip(x) { for l in 0..8 { let f: fn(f64) -> f64 = $f; o.0[l] = f(a.0[l]); } } })* } }
    k! { exp f64::exp; ln f64::ln; sin f64::sin; cos f64::cos; tanh f64::tanh; sigmoid |x| 1.0/(1.0+(-x).exp()); softplus |x| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }; erf |x| statrs::function::erf::erf(x); }
    pub fn powf(out: &mut [Lane], x: &[Lane], y: &[Lane]) {
        for ((o, a), b) in out.iter_mut().zip(x).zip(y) {
            for l in 0..8 {
                o.0[l] = a.0[l].powf(b.0[l]);
            }
        }
    }
    pub fn powf_scalar(x: f64, y: f64) -> f64 {
        x.powf(y)
    }
    pub fn cos_scalar(x: f64) -> f64 {
        x.cos()
    }
}
pub mod stream {
    pub enum Purpose {
        Population,
        Reference,
    }
    pub struct Stream(rand_xoshiro::Xoshiro256PlusPlus);
    use rand_xoshiro::rand_core::{Rng, SeedableRng};
    impl Stream {
        pub fn new(seed: u64, p: Purpose, r: u64) -> Self {
            Self(rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed ^ (r << 8) ^ p as u64))
        }
        pub fn uniform(&mut self) -> f64 {
            (self.0.next_u64() >> 11) as f64 / 9007199254740992.0
        }
        pub fn sign(&mut self) -> f64 {
            if self.0.next_u64() >> 63 == 1 { 1.0 } else { -1.0 }
        }
        pub fn normal(&mut self) -> f64 {
            let u = 1.0 - self.uniform();
            let v = self.uniform();
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        }
    }
}
