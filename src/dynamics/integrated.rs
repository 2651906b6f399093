//! Continuous laws stepped by any scheme.

use crate::dynamics::equations::{LangevinEquation, SdeEquation};
use crate::dynamics::{Clock, Schedule, Stepper};
use crate::lanes::Lane;
use crate::scheme::{Equation as _, Stepping, Wiener};

/// What is stepped, and how far at once.
pub enum Course {
    /// An `[sde]`, by steps of one length.
    Steps {
        /// The equation.
        equation: SdeEquation,
        /// h.
        dt: f64,
    },
    /// A Langevin equation, by η/m.
    Iterations {
        /// The equation.
        equation: Box<LangevinEquation>,
        /// η.
        rate: Schedule,
        /// m.
        substeps: u32,
    },
}

/// The stepper.
pub struct Integrated {
    course: Course,
    stepping: Stepping,
    wiener: Wiener,
}

impl Integrated {
    /// Steps `course` by `stepping`, driven by `wiener`.
    pub fn new(course: Course, stepping: Stepping, wiener: Wiener) -> Self {
        Self { course, stepping, wiener }
    }
}

impl Stepper for Integrated {
    fn advance(
        &mut self,
        x: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        let Self { course, stepping, wiener } = self;
        for iteration in from.step..to.step {
            match course {
                Course::Steps { equation, dt } => stepping.step(equation, x, *dt, wiener),
                Course::Iterations { equation, rate, substeps } => {
                    let rate = rate.at(iteration);
                    equation.tune(rate);
                    for _ in 0..*substeps {
                        stepping.step(&mut **equation, x, rate / f64::from(*substeps), wiener);
                    }
                }
            }
            if !pulse(1) {
                return false;
            }
        }
        true
    }
}

impl Course {
    /// P and M.
    pub fn size(&self) -> (usize, usize) {
        match self {
            Course::Steps { equation, .. } => (equation.dimension(), equation.noises()),
            Course::Iterations { equation, .. } => (equation.dimension(), equation.noises()),
        }
    }
}
