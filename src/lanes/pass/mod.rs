//! A *pass*: one loop over the vectors of a block, in which whole formulas are computed in registers.
//!
//! The operations of a [`Recipe`] are those of IEEE 754, each rounded by itself, so a pass gives to the bit what separate loops give; it
//! only leaves out their loads, stores and calls. A function that is no single operation divides a pass: its arguments are computed first,
//! then the kernel runs over them, and the rest reads what it gave. A pass is machine code, made when the program runs, for the vectors of the present
//! [`Level`]; where none can be made ([`Recipe::pass`] says `None`) callers keep to their loops.

#![cfg_attr(
    not(all(unix, target_arch = "x86_64")),
    allow(dead_code, unused_imports, reason = "what only machine code has a use for")
)]

#[cfg(all(unix, target_arch = "x86_64"))]
mod machine;

use super::{Lane, Level};
use std::collections::HashMap;
use std::fmt;
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

/// A kernel over the numbers of rows.
#[derive(Clone, Copy)]
pub enum Kernel {
    /// out = f(x).
    Plain(fn(&mut [Lane], &[Lane])),
    /// out = f(x, c).
    With(fn(&mut [Lane], &[Lane], f64), f64),
}

impl Kernel {
    fn run(self, out: &mut [Lane], x: &[Lane]) {
        match self {
            Self::Plain(kernel) => kernel(out, x),
            Self::With(kernel, c) => kernel(out, x, c),
        }
    }
    fn of(self, x: f64) -> f64 {
        let mut out = [Lane::default()];
        self.run(&mut out, &[Lane::splat(x)]);
        out[0].0[0]
    }
    /// Tells kernels of one name apart.
    fn bits(self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::With(_, c) => c.to_bits(),
        }
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
    /// Arguments and values of functions, of the pass itself.
    Scratch,
}

/// Kinds of rows.
const KINDS: usize = 5;

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
    /// A function by its name and number, see [`Kernel::bits`].
    Call(&'static str, u64, Value),
}

impl Step {
    fn operands(self) -> impl Iterator<Item = Value> {
        let pair = match self {
            Self::Two(_, a, b) => [Some(a), Some(b)],
            Self::Root(a) | Self::Call(_, _, a) => [Some(a), None],
            _ => [None, None],
        };
        pair.into_iter().flatten()
    }
}

/// What a pass computes.
#[derive(Clone, Default)]
pub struct Recipe {
    steps: Vec<Step>,
    known: HashMap<Step, Value>,
    /// Elements of the state or the velocity, and their new values.
    stores: Vec<(Rows, usize, Value)>,
    kernels: HashMap<(&'static str, u64), Kernel>,
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("steps", &self.steps)
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
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
    /// A mask: all bits where a > b, else none.
    pub fn above(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::Above, a, b)
    }
    /// What both have: a where the mask b is set, else 0.
    pub fn and(&mut self, a: Value, b: Value) -> Value {
        self.two(Two::And, a, b)
    }
    /// b where the mask is not set, else 0.
    pub fn without(&mut self, mask: Value, b: Value) -> Value {
        self.two(Two::Without, mask, b)
    }
    /// a where the mask is set, else b.
    pub fn choose(&mut self, mask: Value, a: Value, b: Value) -> Value {
        let (a, b) = (self.and(mask, a), self.without(mask, b));
        self.two(Two::Or, a, b)
    }
    /// b, but a where a is 0 or not a number.
    pub fn unless_zero(&mut self, a: Value, b: Value) -> Value {
        let zero = self.constant(0.0);
        let size = self.abs(a);
        let apart = self.above(size, zero);
        self.choose(apart, b, a)
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
    /// f(a) by the kernel of that name.
    pub fn call(&mut self, name: &'static str, kernel: Kernel, a: Value) -> Value {
        if let Some(a) = self.number(a) {
            return self.constant(kernel.of(a));
        }
        self.kernels.insert((name, kernel.bits()), kernel);
        self.push(Step::Call(name, kernel.bits(), a))
    }
    /// Σ a_i, from the left; `None` of nothing.
    pub fn sum(&mut self, values: impl IntoIterator<Item = Value>) -> Option<Value> {
        let mut values = values.into_iter();
        let first = values.next()?;
        Some(values.fold(first, |sum, a| self.add(sum, a)))
    }
    /// An element of the state or the velocity gets this value, at the end of the pass.
    pub fn store(&mut self, rows: Rows, element: usize, value: Value) {
        debug_assert!(!matches!(rows, Rows::Samples | Rows::Noise), "these rows are only read");
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
            if Level::current() == Level::V1 {
                return None;
            }
            let (mut stages, mut scratch) = (Vec::new(), 0);
            for (recipe, calls) in self.stages() {
                stages.push(Stage::new(&recipe, tiles, calls)?);
            }
            for call in stages.iter().flat_map(|stage| &stage.calls) {
                scratch = scratch.max(call.values + call.count);
            }
            Some(Pass { stages, scratch: vec![Lane::default(); scratch * tiles], tiles })
        }
        #[cfg(not(all(unix, target_arch = "x86_64")))]
        None
    }

    /// Recipes without calls, each with the calls that follow it.
    #[cfg(all(unix, target_arch = "x86_64"))]
    fn stages(&self) -> Vec<(Recipe, Vec<Calls>)> {
        let live = Plan::new(self).last;
        // How many calls lie one behind the other up to a value.
        let mut depth = vec![0; self.steps.len()];
        for (at, step) in self.steps.iter().enumerate() {
            let before = step.operands().map(|a| depth[a.index()]).max().unwrap_or(0);
            depth[at] = before + usize::from(matches!(step, Step::Call(..)));
        }
        let mut calls: Vec<(usize, &'static str, u64, Value)> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            if let (&Step::Call(name, bits, _), Some(_)) = (step, live[at]) {
                calls.push((depth[at], name, bits, Value(at as u32)));
            }
        }
        calls.sort_unstable();
        // Arguments first, then values: those of one kernel and stage lie side by side.
        let value_row = |call: usize| calls.len() + call;
        let row_of: HashMap<Value, usize> =
            calls.iter().enumerate().map(|(call, &(.., value))| (value, value_row(call))).collect();
        let last = calls.last().map_or(0, |call| call.0);
        let mut stages = Vec::new();
        for stage in 1..=last {
            let mut recipe = Recipe::default();
            let mut known = HashMap::new();
            let mut groups: Vec<Calls> = Vec::new();
            for (call, &(_, name, bits, value)) in
                calls.iter().enumerate().filter(|(_, call)| call.0 == stage)
            {
                for argument in self.steps[value.index()].operands() {
                    let argument = self.copied(&mut recipe, &mut known, &row_of, argument);
                    recipe.store(Rows::Scratch, call, argument);
                }
                let kernel = (name, bits);
                match groups.last_mut().filter(|group| group.kernel == kernel) {
                    Some(group) => group.count += 1,
                    None => groups.push(Calls {
                        kernel,
                        run: self.kernels[&kernel],
                        arguments: call,
                        values: value_row(call),
                        count: 1,
                    }),
                }
            }
            stages.push((recipe, groups));
        }
        let (mut recipe, mut known) = (Recipe::default(), HashMap::new());
        for &(rows, element, value) in &self.stores {
            let value = self.copied(&mut recipe, &mut known, &row_of, value);
            recipe.store(rows, element, value);
        }
        stages.push((recipe, Vec::new()));
        stages
    }

    /// A value, and what it needs, in another recipe, where values of functions are rows.
    #[cfg(all(unix, target_arch = "x86_64"))]
    fn copied(
        &self,
        to: &mut Recipe,
        known: &mut HashMap<Value, Value>,
        row_of: &HashMap<Value, usize>,
        value: Value,
    ) -> Value {
        let mut needed = vec![false; value.index() + 1];
        needed[value.index()] = true;
        for at in (0..=value.index()).rev() {
            let here = Value(at as u32);
            if needed[at] && !known.contains_key(&here) && !row_of.contains_key(&here) {
                self.steps[at].operands().for_each(|a| needed[a.index()] = true);
            }
        }
        for at in (0..=value.index()).filter(|&at| needed[at]) {
            let value = Value(at as u32);
            if known.contains_key(&value) {
                continue;
            }
            let step = match (row_of.get(&value), self.steps[value.index()]) {
                (Some(&row), _) => Step::Row(Rows::Scratch, row),
                (None, Step::Two(operation, a, b)) => Step::Two(operation, known[&a], known[&b]),
                (None, Step::Root(a)) => Step::Root(known[&a]),
                (None, step) => step,
            };
            let copy = to.push(step);
            known.insert(value, copy);
        }
        known[&value]
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
                Step::Call(name, bits, a) => self.kernels[&(name, bits)].of(of(a)),
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
    /// The needed steps that read a value, in order.
    readers: Vec<Vec<usize>>,
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
        let mut readers = vec![Vec::new(); end];
        for (at, step) in recipe.steps.iter().enumerate().filter(|(at, _)| last[*at].is_some()) {
            step.operands().for_each(|a| readers[a.index()].push(at));
        }
        let (mut constants, mut parameters) = (Vec::new(), 0);
        for (step, live) in recipe.steps.iter().zip(&last) {
            match (step, live) {
                (&Step::Constant(bits), Some(_)) => constants.push(bits),
                (&Step::Parameter(which), _) => parameters = parameters.max(which + 1),
                _ => {}
            }
        }
        Self { last, readers, constants, parameters }
    }
}

/// Calls of one kernel: arguments and values are rows of the scratch memory, side by side.
#[cfg(all(unix, target_arch = "x86_64"))]
#[derive(Clone)]
struct Calls {
    kernel: (&'static str, u64),
    run: Kernel,
    arguments: usize,
    values: usize,
    count: usize,
}

/// A loop, and the calls behind it.
#[cfg(all(unix, target_arch = "x86_64"))]
#[derive(Clone)]
struct Stage {
    code: Arc<machine::Code>,
    /// Constants, then parameters.
    table: Vec<f64>,
    parameter: usize,
    /// Vectors that are read or written of each kind of [`Rows`].
    needs: [usize; KINDS],
    calls: Vec<Calls>,
}

#[cfg(all(unix, target_arch = "x86_64"))]
impl Stage {
    /// `None` if there is no code for it.
    fn new(recipe: &Recipe, tiles: usize, calls: Vec<Calls>) -> Option<Self> {
        let plan = Plan::new(recipe);
        let code = machine::Code::new(recipe, &plan, tiles, Level::current() == Level::V4)?;
        let mut needs = [0; KINDS];
        let mut need = |rows: Rows, element: usize| {
            let need = &mut needs[rows as usize];
            *need = (*need).max((element + 1) * tiles);
        };
        for (step, live) in recipe.steps.iter().zip(&plan.last) {
            if let (&Step::Row(rows, element), Some(_)) = (step, live) {
                need(rows, element);
            }
        }
        recipe.stores.iter().for_each(|&(rows, element, _)| need(rows, element));
        let parameter = plan.constants.len();
        let mut table: Vec<f64> = plan.constants.iter().map(|&bits| f64::from_bits(bits)).collect();
        table.resize(parameter + plan.parameters, 0.0);
        Some(Self { code: Arc::new(code), table, parameter, needs, calls })
    }
}

/// A recipe made ready for blocks of one size.
#[derive(Clone)]
pub struct Pass {
    #[cfg(all(unix, target_arch = "x86_64"))]
    stages: Vec<Stage>,
    #[cfg(all(unix, target_arch = "x86_64"))]
    scratch: Vec<Lane>,
    #[cfg(all(unix, target_arch = "x86_64"))]
    tiles: usize,
}

impl Pass {
    /// Gives a parameter its value; one that the recipe does not read is let be.
    pub fn set(&mut self, which: usize, value: f64) {
        #[cfg(all(unix, target_arch = "x86_64"))]
        for stage in &mut self.stages {
            if let Some(place) = stage.table.get_mut(stage.parameter + which) {
                *place = value;
            }
        }
        #[cfg(not(all(unix, target_arch = "x86_64")))]
        let _ = (which, value);
    }

    /// Moves the state on, and the velocity where there is one: all rows are `[…][tiles]`.
    ///
    /// # Panics
    /// If there are fewer rows than the recipe reads.
    #[inline]
    pub fn run(&mut self, state: &mut [Lane], velocity: &mut [Lane], samples: &[Lane], noise: &[Lane]) {
        #[cfg(all(unix, target_arch = "x86_64"))]
        for stage in &self.stages {
            let scratch = &mut self.scratch[..];
            let there = [state.len(), velocity.len(), samples.len(), noise.len(), scratch.len()];
            assert!(
                there.iter().zip(&stage.needs).all(|(there, need)| there >= need),
                "rows for {:?} vectors",
                stage.needs
            );
            stage.code.run([state, velocity, scratch], samples, noise, &stage.table);
            for call in &stage.calls {
                let (arguments, values) = scratch.split_at_mut(call.values * self.tiles);
                let length = call.count * self.tiles;
                call.run.run(&mut values[..length], &arguments[call.arguments * self.tiles..][..length]);
            }
        }
        #[cfg(not(all(unix, target_arch = "x86_64")))]
        let _ = (state, velocity, samples, noise);
    }
}

#[cfg(test)]
mod tests;
