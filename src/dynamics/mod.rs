//! The laws of motion: from a law, its settings and a system to steppers of blocks of replicas.
//!
//! A replica's path is a function of (study, seed, replica): every random number comes from the replica's own streams, and
//! neither the block it is in, nor what is recorded, nor the other dynamics of the study reaches it.

pub mod accounts;
pub mod balance;
mod descent;
mod diffusion;
pub mod draws;
mod equations;
mod flow;
mod in_rows;
mod integrated;
mod kernels;
pub mod ledger;
mod linear;
mod motion;
pub mod passage;
mod passes;
mod pieces;
pub mod settings;
mod svag;
pub mod sweep;
mod underdamped;
mod walls;

pub use accounts::Book;
pub use balance::Balance;
pub use ledger::Ledger;
pub use motion::{Motion, Setting, System, check, noise_kind};
pub use settings::{
    Budget, Convention, Course, Decay, Gait, Law, Sampling, Schedule, Training, amplifying_weights,
};

use crate::lanes::Lane;
pub use crate::scheme::runge_kutta::Failure;

/// Substeps of one iteration after which a pulse is felt, though no iteration is done.
pub const SUBSTEPS_A_PULSE: u32 = 1 << 10;

/// True after every so many substeps of an iteration that has more.
fn pause(substep: u32) -> bool {
    substep % SUBSTEPS_A_PULSE == SUBSTEPS_A_PULSE - 1
}

/// An instant on a dynamics' clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Iterations since the start.
    pub step: u64,
    /// t.
    pub time: f64,
}

/// Moves the replicas of one block; made once a block.
pub trait Stepper: Send {
    /// Moves θ, `[P][tiles]`, from one instant to the next. Calls follow each other: `from` is where the last one ended, and
    /// θ is what it left.
    ///
    /// `pulse` is told of the iterations done since its last call; when it answers false the stepper returns false
    /// at once, and θ is of no use any more. Within an iteration it is told of none, after every [`SUBSTEPS_A_PULSE`] substeps. Allocates
    /// nothing.
    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool;

    /// v of the last step, `[P][tiles]`, 0 before the first; empty where the law of motion has no velocity.
    fn velocity(&self) -> &[Lane] {
        &[]
    }

    /// Writes the rows of the books that the stepper was made with, `[rows][tiles]` each, at the θ that the last `advance` left; nothing where the law
    /// keeps none.
    fn accounts(&self, _theta: &[Lane], _out: &mut [Vec<Lane>]) {}

    /// Lanes that the stepper had to give up, and why; their θ is NaN since then.
    fn failures(&self) -> &[Failure] {
        &[]
    }
}

#[cfg(test)]
mod in_rows_tests;
#[cfg(test)]
mod momentum_tests;
#[cfg(test)]
mod passes_tests;
#[cfg(test)]
mod scheme_tests;
#[cfg(test)]
mod tests;
