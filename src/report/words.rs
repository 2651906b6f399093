//! A law of motion in words and as a formula.

use super::number::plain;
use crate::dynamics::{Convention, Decay, Law, Sampling, Schedule, Training};
use crate::scheme::{Increments, Scheme};

/// What a reader is told of a law of motion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// `stochastic gradient descent`.
    pub name: String,
    /// `θ' = θ − η(ĝ + λθ)`.
    pub formula: String,
    /// `η = 0.1, S = 16 with replacement`.
    pub settings: String,
}

/// Describes a law of motion with its settings; `population` is N where it is finite.
pub fn describe(law: &Law, training: Option<&Training>, population: Option<usize>) -> Words {
    let decay = training.is_some_and(|t| t.decay.force() != 0.0 || t.course.decay.is_some());
    let momentum = training.is_some_and(Training::heavy);
    let convention = training.map_or(Convention::Sutskever, |t| t.course.convention);
    let force = |gradient: &str| if decay { format!("({gradient} + λθ)") } else { gradient.to_owned() };
    let descent = |gradient: &str, heavy: bool| {
        let force = force(gradient);
        if heavy && momentum {
            match convention {
                Convention::Sutskever => format!("v' = βv − η{force}, θ' = θ + v'"),
                Convention::PyTorch { nesterov: true, .. } => {
                    format!("b' = βb + {force}, θ' = θ − η({} + βb')", force.trim_matches(['(', ')']))
                }
                Convention::PyTorch { dampening: 0.0, .. } => format!("b' = βb + {force}, θ' = θ − ηb'"),
                Convention::PyTorch { .. } => format!("b' = βb + (1 − d){force}, θ' = θ − ηb'"),
            }
        } else {
            format!("θ' = θ − η{force}")
        }
    };
    let noise = match (training, population) {
        (Some(Training { sampling: Sampling::WithoutReplacement { .. }, .. }), Some(_)) => {
            "√(η C(θ) (N−S)/(S(N−1)))"
        }
        _ => "√(η C(θ)/S)",
    };
    let (name, formula) = match law {
        Law::GradientFlow { .. } => ("gradient flow", format!("dθ/dt = −{}", force("∇L"))),
        Law::GradientDescent => ("gradient descent", descent("∇L", true)),
        Law::Sgd => ("stochastic gradient descent", descent("ĝ", true)),
        Law::GaussianSgd => {
            ("SGD with Gaussian noise", format!("{}, ĝ normal with SGD's covariance", descent("ĝ", true)))
        }
        Law::Langevin { order: 1, .. } => {
            ("Langevin equation", format!("dθ = −{} dt + {noise} dW", force("∇L")))
        }
        Law::Langevin { .. } => {
            let potential = if decay { "U = L + ½λ‖θ‖²" } else { "U = L" };
            (
                "Langevin equation of second order",
                format!("dθ = −∇(U + (η/4)‖∇U‖²) dt + {noise} dW, {potential}"),
            )
        }
        Law::Svag { .. } => (
            "stochastic variance amplified gradient",
            format!(
                "l times θ' = θ − (η/l){}, ĝ_l = ½(1 + √(2l − 1)) ĝ₁ + ½(1 − √(2l − 1)) ĝ₂",
                force("ĝ_l")
            ),
        ),
        Law::Underdamped { .. } => (
            "Langevin equation with inertia",
            format!("dθ = (v/η) dt, dv = −γ(v/η) dt − {} dt + {noise} dW", force("∇L")),
        ),
        Law::OrnsteinUhlenbeck => (
            "Ornstein–Uhlenbeck process",
            format!("dθ = −{}(θ − θ*) dt + {} dW", hessian(decay), noise.replace("C(θ)", "C(θ*)")),
        ),
        Law::Integrated { method, .. } => scheme(method.scheme),
        Law::Exact => ("exact transition law", "x(t + s) drawn from its law given x(t)".to_owned()),
    };
    Words { name: name.into(), formula, settings: settings(law, training, population) }
}

fn scheme(scheme: Scheme) -> (&'static str, String) {
    let (name, formula) = match scheme {
        Scheme::EulerMaruyama => ("Euler–Maruyama scheme", "x' = x + a(x) h + b(x) √h ξ"),
        Scheme::Milstein => ("Milstein scheme", "x' = x + a h + b ΔW + ½ b ∂b (ΔW² − h)"),
        Scheme::Heun => {
            ("Heun scheme", "x' = x + ½(F(x) + F(x + F(x))), F = a h + b ΔW in Stratonovich's form")
        }
        Scheme::StochasticRungeKutta => (
            "stochastic Runge–Kutta scheme",
            "stages with ΔW and ∫(W − W₀) ds, strong order 1.5 (1 for other noise that commutes)",
        ),
        Scheme::Weak2 => (
            "scheme of weak order 2",
            "x' = exp(ha + √h(ξ − ζ/√2)b) exp(√h ζ/√2 b) x, a in Stratonovich's form",
        ),
    };
    (name, formula.to_owned())
}

fn hessian(decay: bool) -> &'static str {
    if decay { "(H + λ)" } else { "H" }
}

fn settings(law: &Law, training: Option<&Training>, population: Option<usize>) -> String {
    let mut parts = Vec::new();
    if let Law::Integrated { dt, .. } = law {
        parts.push(format!("h = {}", plain(*dt, 6)));
    }
    if let Some(training) = training {
        parts.push(rate(&training.rate));
        if !law.deterministic() {
            parts.push(batch(training, population));
        }
        match training.decay {
            _ if training.course.decay.is_some() => {
                parts.extend(training.course.decay.as_ref().map(|d| changing("λ", d)));
            }
            Decay::None => {}
            Decay::Force(lambda) => parts.push(format!("λ = {}", plain(lambda, 6))),
            Decay::Penalty(gamma) => {
                parts.push(format!("λ = {} (penalty {})", plain(2.0 * gamma, 6), plain(gamma, 6)));
            }
        }
        if training.heavy() && law.takes_momentum() {
            let beta = training.course.momentum.as_ref();
            parts.push(
                beta.map_or_else(|| format!("β = {}", plain(training.momentum, 6)), |b| changing("β", b)),
            );
            if let Convention::PyTorch { dampening, .. } = training.course.convention
                && dampening != 0.0
            {
                parts.push(format!("d = {}", plain(dampening, 6)));
            }
        }
    }
    match law {
        Law::Langevin { substeps, method, .. } => {
            if method.scheme != Scheme::default() {
                parts.push(method.scheme.name().to_owned());
            }
            parts.push(format!("dt = η/{substeps}"));
        }
        Law::Underdamped { friction, substeps } => {
            parts.push(format!("γ = {}, dt = η/{substeps}", plain(*friction, 6)));
        }
        Law::Svag { level } => parts.push(format!("l = {level}")),
        _ => {}
    }
    if let Law::Langevin { method, .. } | Law::Integrated { method, .. } = law
        && method.increments != Increments::default()
    {
        parts.push(format!("{} increments", method.increments.name()));
    }
    parts.join(", ")
}

fn rate(schedule: &Schedule) -> String {
    changing("η", schedule)
}

/// `λ = 0.1, 0.2 from step 100`.
fn changing(name: &str, schedule: &Schedule) -> String {
    let mut text = format!("{name} = ");
    for (i, (step, rate)) in schedule.pieces.iter().enumerate() {
        match i {
            0 => text.push_str(&plain(*rate, 6)),
            1..=3 => text.push_str(&format!(", {} from step {step}", plain(*rate, 6))),
            _ => {
                text.push_str(&format!(", … ({} pieces)", schedule.pieces.len()));
                break;
            }
        }
    }
    text
}

fn batch(training: &Training, population: Option<usize>) -> String {
    let how = match (training.sampling, population) {
        (_, None) => "fresh draws",
        (Sampling::WithReplacement, _) => "with replacement",
        (Sampling::WithoutReplacement { drop_last: false }, _) => "without replacement",
        (Sampling::WithoutReplacement { drop_last: true }, _) => "without replacement, last batch dropped",
    };
    format!("S = {} {how}", training.batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training() -> Training {
        Training {
            rate: Schedule::constant(0.1),
            batch: 16,
            decay: Decay::None,
            momentum: 0.0,
            sampling: Sampling::WithReplacement,
            course: crate::dynamics::Course::default(),
        }
    }

    #[test]
    fn sgd_with_everything() {
        let training = Training {
            rate: Schedule { pieces: vec![(0, 0.001), (5000, 0.008)] },
            decay: Decay::Penalty(0.5),
            momentum: 0.9,
            sampling: Sampling::WithoutReplacement { drop_last: false },
            ..training()
        };
        let words = describe(&Law::Sgd, Some(&training), Some(442));
        assert_eq!(words.formula, "v' = βv − η(ĝ + λθ), θ' = θ + v'");
        assert_eq!(
            words.settings,
            "η = 0.001, 0.008 from step 5000, S = 16 without replacement, λ = 1 (penalty 0.5), β = 0.9"
        );
    }

    #[test]
    fn the_langevin_equation_says_its_step() {
        let words = describe(&Law::langevin(4), Some(&training()), Some(442));
        assert_eq!(words.formula, "dθ = −∇L dt + √(η C(θ)/S) dW");
        assert_eq!(words.settings, "η = 0.1, S = 16 with replacement, dt = η/4");
    }
}
