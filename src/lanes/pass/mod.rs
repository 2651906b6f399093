//! A *pass*: one loop over the vectors of a block, in which whole formulas are computed in registers.
//!
//! The operations of a [`Recipe`] are those of IEEE 754, each rounded by itself, so a pass gives to the bit what separate loops give; it
//! only leaves out their loads, stores and calls. A pass is machine code, made when the program runs, for the vectors of the present
//! [`Level`]; where none can be made ([`Recipe::pass`] says `None`) callers keep to their loops.

#[cfg(all(unix, target_arch = "x86_64"))]
mod machine;

use super::{Lane, Level};
use std::collections::HashMap;
#[cfg(all(unix, target_arch = "x86_64"))]
use std::sync::Arc;

/// Most operations of a recipe: what is longer is better off in loops whose code stays in the cache.
const MOST: usize = 512;

/// A number computed in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

impl Value {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whose rows are read: element `e` of a block is row `e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// θ, which is written, too.
    State,
    /// v, which is written, too.
    Velocity,
    /// Samples.
    Samples,
    /// Random numbers.
    Noise,
}

/// Operations of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Two {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The second, unless the first is larger.
    Larger,
    And,
    /// Bits of the second that the first has not.
    Without,
    Or,
    ExclusiveOr,
    /// All bits where the first is larger, else none.
    Above,
}

impl Two {
    fn of(self, a: f64, b: f64) -> f64 {
        let bits = |f: fn(u64, u64) -> u64| f64::from_bits(f(a.to_bits(), b.to_bits()));
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Larger => {
                if a > b {
                    a
                } else {
                    b
                }
            }
            Self::And => bits(|a, b| a & b),
            Self::Without => bits(|a, b| !a & b),
            Self::Or => bits(|a, b| a | b),
            Self::ExclusiveOr => bits(|a, b| a ^ b),
            Self::Above => f64::from_bits(if a > b { u64::MAX } else { 0 }),
        }
    }
    fn commutes(self) -> bool {
        !matches!(self, Self::Subtract | Self::Divide | Self::Larger | Self::Without | Self::Above)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Row(Rows, usize),
    /// The bits of a number.
    Constant(u64),
    Parameter(usize),
    Two(Two, Value, Value),
    Root(Value),
}

impl Step {
    fn operands(self) -> impl Iterator<Item = Value> {
        let pair = match self {
            Self::Two(_, a, b) => [Some(a), Some(b)],
            Self::Root(a) => [Some(a), None],
            _ => [None, None],
        };
        pair.into_iter().flatten()
    }
}

/// What a pass computes.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    steps: Vec<Step>,
    known: HashMap<Step, Value>,
    /// Elements of the state or the velocity, and their new values.
    stores: Vec<(Rows, usize, Value)>,
}

impl Recipe {
    fn push(&mut self, step: Step) -> Value {
        let Self { steps, known, .. } = self;
        *known.entry(step).or_insert_with(|| {
            steps.push(step);
            Value(steps.len() as u32 - 1)
        })
    }
    fn number(&self, a: Value) -> Option<f64> {
        match self.steps[a.index()] {
            Step::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
    fn two(&mut self, operation: Two, a: Value, b: Value) -> Value {
        match (self.number(a), self.number(b)) {
            (Some(a), Some(b)) => self.constant(operation.of(a, b)),
            _ => self.push(Step::Two(operation, a, b)),
        }
    }

    /// Row `element` of some rows; those of the state and the velocity as they were before the pass.
    pub fn row(&mut self, rows: Rows, element: usize) -> Value {
        self.push(Step::Row(rows, element))
    }
    /// A number, the same for all replicas.
    pub fn constant(&mut self, value: f64) -> Value {
        self.push(Step::Constant(value.to_bits()))
    }
    /// A number that is set from run to run, see [`Pass::set`].
    pub fn parameter(&mut self, which: usize) -> Value {
        self.push(Step::Parameter(which))
    }
    /// a + b.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::Add, a, b)
    }
    /// a − b.
    pub fn subtract(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::Subtract, a, b)
    }
    /// a·b.
    pub fn multiply(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::Multiply, a, b)
    }
    /// a/b.
    pub fn divide(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::Divide, a, b)
    }
    /// −a.
    pub fn negate(&mut self, a: Value) -> Value {
        let sign = self.constant(-0.0);
        self.two(Two::ExclusiveOr, a, sign)
    }
    /// |a|.
    pub fn abs(&mut self, a: Value) -> Value {
        let rest = self.constant(f64::from_bits(u64::MAX >> 1));
        self.two(Two::And, a, rest)
    }
    /// a where a > 0, 0 where a ≤ 0, else a.
    pub fn positive_part(&mut self, a: Value) -> Value {
        let zero = self.constant(0.0);
        let larger = self.two(Two::Larger, zero, a);
        // −0 becomes 0.
        self.add(larger, zero)
    }
    /// 1 where a > 0, else 0.
    pub fn step(&mut self, a: Value) -> Value {
        let (zero, one) = (self.constant(0.0), self.constant(1.0));
        let above = self.two(Two::Above, a, zero);
        self.two(Two::And, above, one)
    }
    /// 1 where a > 0, −1 where a < 0, else a, which is 0 or not a number.
    pub fn sign(&mut self, a: Value) -> Value {
        let (zero, minus) = (self.constant(0.0), self.constant(-1.0));
        let above = self.step(a);
        let (over, under) = (self.two(Two::Above, a, zero), self.two(Two::Above, zero, a));
        let below = self.two(Two::And, under, minus);
        let either = self.two(Two::Or, over, under);
        let rest = self.two(Two::Without, either, a);
        let signs = self.two(Two::Or, above, below);
        self.two(Two::Or, signs, rest)
    }
    /// √a.
    pub fn sqrt(&mut self, a: Value) -> Value {
        match self.number(a) {
            Some(a) => self.constant(a.sqrt()),
            None => self.push(Step::Root(a)),
        }
    }
    /// Σ a_i, from the left; `None` of nothing.
    pub fn sum(&mut self, values: impl IntoIterator<Item = Value>) -> Option<Value> {
        let mut values = values.into_iter();
        let first = values.next()?;
        Some(values.fold(first, |sum, a| self.add(sum, a)))
    }
    /// An element of the state or the velocity gets this value, at the end of the pass.
    pub fn store(&mut self, rows: Rows, element: usize, value: Value) {
        debug_assert!(matches!(rows, Rows::State | Rows::Velocity), "other rows are only read");
        self.stores.push((rows, element, value));
    }
    /// Numbers read and computed.
    pub fn len(&self) -> usize {
        self.steps.len()
    }
    /// True before anything is computed.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
    /// True if it has become too long to be a pass.
    pub fn too_long(&self) -> bool {
        self.steps.len() > MOST
    }

    /// Machine code for blocks of `tiles` vectors; `None` if this machine or so long a recipe has none.
    pub fn pass(&self, tiles: usize) -> Option<Pass> {
        if self.too_long() || tiles == 0 {
            return None;
        }
        #[cfg(all(unix, target_arch = "x86_64"))]
        {
            let level = Level::current();
            if level == Level::V1 {
                return None;
            }
            let plan = Plan::new(self);
            let code = machine::Code::new(self, &plan, tiles, level == Level::V4)?;
            let mut needs = [0; 4];
            for (step, live) in self.steps.iter().zip(&plan.last) {
                if let (&Step::Row(rows, element), Some(_)) = (step, live) {
                    let need = &mut needs[rows as usize];
                    *need = (*need).max((element + 1) * tiles);
                }
            }
            for &(rows, element, _) in &self.stores {
                let need = &mut needs[rows as usize];
                *need = (*need).max((element + 1) * tiles);
            }
            let parameter = plan.constants.len();
            let mut table: Vec<f64> = plan.constants.iter().map(|&bits| f64::from_bits(bits)).collect();
            table.resize(parameter + plan.parameters, 0.0);
            Some(Pass { code: Arc::new(code), table, parameter, needs })
        }
        #[cfg(not(all(unix, target_arch = "x86_64")))]
        None
    }

    /// The state and the velocity after a pass over one replica, by plain arithmetic; rows in the order of [`Rows`].
    #[cfg(test)]
    pub(crate) fn plain(&self, rows: [&[f64]; 4], parameters: &[f64]) -> [Vec<f64>; 2] {
        let mut values = Vec::with_capacity(self.steps.len());
        for &step in &self.steps {
            let of = |a: Value| -> f64 { values[a.index()] };
            values.push(match step {
                Step::Row(kind, element) => rows[kind as usize][element],
                Step::Constant(bits) => f64::from_bits(bits),
                Step::Parameter(p) => parameters[p],
                Step::Two(operation, a, b) => operation.of(of(a), of(b)),
                Step::Root(a) => of(a).sqrt(),
            });
        }
        let mut moved = [rows[0].to_vec(), rows[1].to_vec()];
        for &(kind, element, value) in &self.stores {
            moved[kind as usize][element] = values[value.index()];
        }
        moved
    }
}

/// What of a recipe is needed, and until when.
#[cfg(all(unix, target_arch = "x86_64"))]
struct Plan {
    /// The last step that reads a value, its stores as the step behind the last; `None` if nothing does.
    last: Vec<Option<usize>>,
    constants: Vec<u64>,
    parameters: usize,
}

#[cfg(all(unix, target_arch = "x86_64"))]
impl Plan {
    fn new(recipe: &Recipe) -> Self {
        let end = recipe.steps.len();
        let mut last: Vec<Option<usize>> = vec![None; end];
        for &(_, _, value) in &recipe.stores {
            last[value.index()] = Some(end);
        }
        for (at, step) in recipe.steps.iter().enumerate().rev() {
            if last[at].is_some() {
                for a in step.operands() {
                    last[a.index()] = last[a.index()].max(Some(at));
                }
            }
        }
        let (mut constants, mut parameters) = (Vec::new(), 0);
        for (step, live) in recipe.steps.iter().zip(&last) {
            match (step, live) {
                (&Step::Constant(bits), Some(_)) => constants.push(bits),
                (&Step::Parameter(which), _) => parameters = parameters.max(which + 1),
                _ => {}
            }
        }
        Self { last, constants, parameters }
    }
}

/// A recipe made ready for blocks of one size.
#[derive(Clone)]
pub struct Pass {
    #[cfg(all(unix, target_arch = "x86_64"))]
    code: Arc<machine::Code>,
    /// Constants, then parameters.
    table: Vec<f64>,
    parameter: usize,
    /// Vectors that are read or written of each kind of [`Rows`].
    needs: [usize; 4],
}

impl Pass {
    /// Gives a parameter its value; one that the recipe does not read is let be.
    pub fn set(&mut self, which: usize, value: f64) {
        if let Some(place) = self.table.get_mut(self.parameter + which) {
            *place = value;
        }
    }

    /// Moves the state on, and the velocity where there is one: all rows are `[…][tiles]`.
    ///
    /// # Panics
    /// If there are fewer rows than the recipe reads.
    #[inline]
    pub fn run(&self, state: &mut [Lane], velocity: &mut [Lane], samples: &[Lane], noise: &[Lane]) {
        let there = [state.len(), velocity.len(), samples.len(), noise.len()];
        assert!(
            there.iter().zip(&self.needs).all(|(there, need)| there >= need),
            "rows for {:?} vectors",
            self.needs
        );
        #[cfg(all(unix, target_arch = "x86_64"))]
        self.code.run(state, velocity, samples, noise, &self.table);
    }
}

#[cfg(test)]
mod tests;
