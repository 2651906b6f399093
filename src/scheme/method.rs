//! The schemes by name, and the facts about them: calculus, orders, and what they can do with which noise.

use std::fmt;

/// How a stochastic differential equation is stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// [`euler_maruyama`](crate::scheme::euler_maruyama).
    #[default]
    EulerMaruyama,
    /// [`milstein`](crate::scheme::milstein).
    Milstein,
    /// [`heun`](crate::scheme::heun).
    Heun,
    /// [`strong`](crate::scheme::strong).
    StochasticRungeKutta,
    /// [`weak`](crate::scheme::weak).
    Weak2,
}

/// The law of the random numbers that stand for a Wiener process's increments, each of mean 0 and variance 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Increments {
    /// N(0, 1).
    #[default]
    Normal,
    /// ±1: moments to the third as the normal's, enough for weak order 1.
    Rademacher,
    /// 0 with probability ⅔, ±√3 with ⅙ each: moments to the fifth, enough for weak order 2.
    ThreePoint,
}

/// Scheme and increments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Method {
    /// The scheme.
    pub scheme: Scheme,
    /// The increments.
    pub increments: Increments,
}

/// The interpretation in which a scheme reads the drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calculus {
    /// Itô's.
    Ito,
    /// Stratonovich's: the drift is Itô's less ½Σ_j(∂b_j)b_j.
    Stratonovich,
}

/// What the noise B(x) dW, of columns b_j, is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKind {
    /// B does not depend on x (or there is no noise).
    Additive,
    /// One Wiener process.
    Scalar,
    /// Each coordinate has a Wiener process of its own, and its coefficient depends on that coordinate alone.
    Diagonal,
    /// (∂b_j)b_k = (∂b_k)b_j for all pairs: no Lévy areas appear.
    Commutative,
    /// Anything else.
    General,
}

/// A step on dx = Ax dt + B dW with constant B: x' = R(hA)x + √h Σ_s q_s(hA)B ξ_s with independent standard normal ξ_s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Propagation {
    /// Coefficients of R, from that of the power 0.
    pub state: &'static [f64],
    /// Those of each q_s.
    pub noise: &'static [&'static [f64]],
}

impl Scheme {
    /// What it does to a linear equation with constant noise.
    pub fn propagation(self) -> Propagation {
        // ½/√3, and ½, ⅓, ⅛, 1/24 over √2.
        const HALF: f64 = 0.288_675_134_594_812_9;
        const FLOWS: [f64; 5] = [
            0.0,
            0.353_553_390_593_273_8,
            0.235_702_260_395_515_84,
            0.088_388_347_648_318_45,
            0.029_462_782_549_439_48,
        ];
        match self {
            Scheme::EulerMaruyama | Scheme::Milstein => Propagation { state: &[1.0, 1.0], noise: &[&[1.0]] },
            Scheme::Heun => Propagation { state: &[1.0, 1.0, 0.5], noise: &[&[1.0, 0.5]] },
            Scheme::StochasticRungeKutta => {
                Propagation { state: &[1.0, 1.0, 0.5], noise: &[&[1.0, 0.5], &[0.0, HALF]] }
            }
            Scheme::Weak2 => Propagation {
                state: &[1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0],
                noise: &[&[1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0], &FLOWS],
            },
        }
    }

    /// All of them.
    pub const ALL: [Scheme; 5] =
        [Scheme::EulerMaruyama, Scheme::Milstein, Scheme::Heun, Scheme::StochasticRungeKutta, Scheme::Weak2];

    /// Its name in the study file.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::EulerMaruyama => "euler-maruyama",
            Scheme::Milstein => "milstein",
            Scheme::Heun => "heun",
            Scheme::StochasticRungeKutta => "stochastic-runge-kutta",
            Scheme::Weak2 => "weak-2",
        }
    }

    /// The scheme of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The interpretation in which it reads the drift, for noise of that kind.
    pub fn calculus(self, noise: NoiseKind) -> Calculus {
        match self {
            Scheme::EulerMaruyama => Calculus::Ito,
            Scheme::StochasticRungeKutta if noise != NoiseKind::Commutative => Calculus::Ito,
            _ => Calculus::Stratonovich,
        }
    }

    /// Evaluations of drift and noise in a step, about.
    pub fn evaluations(self) -> u64 {
        match self {
            Scheme::EulerMaruyama => 1,
            Scheme::Milstein | Scheme::Heun => 2,
            Scheme::StochasticRungeKutta => 4,
            Scheme::Weak2 => 8,
        }
    }
}

impl Increments {
    /// All of them.
    pub const ALL: [Increments; 3] = [Increments::Normal, Increments::Rademacher, Increments::ThreePoint];

    /// Its name in the study file.
    pub fn name(self) -> &'static str {
        match self {
            Increments::Normal => "normal",
            Increments::Rademacher => "rademacher",
            Increments::ThreePoint => "three-point",
        }
    }

    /// The increments of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.increments {
            Increments::Normal => f.write_str(self.scheme.name()),
            other => write!(f, "{}, {} increments", self.scheme.name(), other.name()),
        }
    }
}

impl Method {
    /// Refuses increments that the scheme's order cannot be had with.
    ///
    /// # Errors
    /// A sentence: what does not fit: what would.
    pub fn check_increments(self) -> Result<(), String> {
        match (self.scheme, self.increments) {
            (Scheme::Milstein | Scheme::StochasticRungeKutta, Increments::Rademacher | Increments::ThreePoint) => {
                Err(format!(
                    "`{}` is a strong scheme, which follows the path of a Wiener process, and {} increments have none: \
                     write increments = \"normal\", or take euler-maruyama, heun or weak-2",
                    self.scheme.name(),
                    self.increments.name()
                ))
            }
            (Scheme::Weak2, Increments::Rademacher) => Err(
                "rademacher increments have the fourth moment 1, not 3, which leaves a weak scheme of second order \
                 with the first: write increments = \"three-point\", as cheap a law that has it"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Refuses noise that the scheme cannot follow.
    ///
    /// # Errors
    /// A sentence: what does not fit: what would.
    pub fn check_noise(self, noise: NoiseKind) -> Result<(), String> {
        if noise == NoiseKind::General
            && matches!(self.scheme, Scheme::Milstein | Scheme::StochasticRungeKutta)
        {
            return Err(format!(
                "the noise does not commute, (∂b_j)b_k differs from (∂b_k)b_j, so that `{}` would need the Lévy areas of \
                 its Wiener processes: take euler-maruyama (strong order ½, weak 1), heun or weak-2 (weak order 2)",
                self.scheme.name()
            ));
        }
        Ok(())
    }

    /// Strong order with normal increments, for noise of that kind; `None` where there is none or the scheme is refused.
    pub fn strong_order(self, noise: NoiseKind) -> Option<f64> {
        if self.increments != Increments::Normal || self.check_noise(noise).is_err() {
            return None;
        }
        let additive = noise == NoiseKind::Additive;
        Some(match self.scheme {
            Scheme::StochasticRungeKutta if noise == NoiseKind::Commutative => 1.0,
            Scheme::StochasticRungeKutta => 1.5,
            _ if additive => 1.0,
            Scheme::EulerMaruyama => 0.5,
            // What it leaves out are the Lévy areas.
            Scheme::Heun if noise == NoiseKind::General => 0.5,
            Scheme::Milstein | Scheme::Heun => 1.0,
            Scheme::Weak2 => return None,
        })
    }

    /// Weak order, for noise of that kind.
    pub fn weak_order(self, noise: NoiseKind) -> f64 {
        match self.scheme {
            Scheme::Weak2 => 2.0,
            Scheme::StochasticRungeKutta if noise == NoiseKind::Additive => 2.0,
            _ => 1.0,
        }
    }
}
