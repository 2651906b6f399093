//! The formula language: text → syntax → graph → program.
//!
//! Being written; these signatures are the contract that other modules build on.

pub mod error;
pub mod syntax;

use std::sync::Arc;

use crate::lanes::Lane;
pub use error::FormulaError;

use crate::model::{Layout, Nodes, Population, Scratch, Shape};

/// A number, vector or matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its shape.
    pub shape: Shape,
    /// Elements, row by row.
    pub data: Vec<f64>,
}

/// A parsed formula: one expression, or several lines of which all but the last name intermediates.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    lines: Arc<syntax::Lines>,
}

impl Expression {
    /// Parses; all independent syntax errors at once.
    pub fn parse(text: &str) -> Result<Self, Vec<FormulaError>> {
        Ok(Self { text: text.to_owned(), lines: Arc::new(syntax::parse(text)?) })
    }
    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Free names with the byte range of their first use (intermediates and functions excluded).
    pub fn names(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let mut names: Vec<(String, std::ops::Range<usize>)> = Vec::new();
        syntax::free_names(&self.lines, &mut |name, span| {
            if !names.iter().any(|(n, _)| n == name) {
                names.push((name.to_owned(), span.clone()));
            }
        });
        names
    }
    /// Value of a formula of constants; unknown names and shape errors are reported with their place.
    pub fn evaluate(&self, _constant: &dyn Fn(&str) -> Option<Value>) -> Result<Value, FormulaError> {
        todo!()
    }
}

/// One entry of `[data]`.
#[derive(Clone, Debug)]
pub struct DataEntry {
    /// The user's name.
    pub name: String,
    /// Its law, formula or columns.
    pub source: DataSource,
}

/// What a data name stands for.
#[derive(Clone, Debug)]
pub enum DataSource {
    /// A law (`normal(0, 1)`, also bare `rademacher`) or a formula over constants, earlier data and laws.
    Formula {
        /// The formula; laws may be called anywhere in it.
        formula: Expression,
        /// `shape = [..]`: laws without shape of their own draw that many; a scalar result is not broadcast.
        shape: Option<Shape>,
    },
    /// Columns of a table: `[rows][len]`.
    Columns {
        /// Numbers a row.
        len: usize,
        /// Values row by row.
        values: Vec<f64>,
    },
}

/// All that makes a formula model.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// Parameters.
    pub layout: Layout,
    /// Named constants, with `rate batch decay pi momentum` among them.
    pub constants: std::collections::BTreeMap<String, Value>,
    /// `[data]` in file order.
    pub data: Vec<DataEntry>,
    /// Rows of the finite population: `size = N`, or the table's; `None` for fresh draws.
    pub size: Option<usize>,
    /// The loss.
    pub loss: Expression,
    /// λ of the force λθ, for `objective`.
    pub decay: f64,
    /// Seed of finite populations and reference samples.
    pub seed: u64,
}

/// Which formula of a [`ModelSpec`] or SDE an error is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `data[i]`.
    Data(usize),
    /// The loss.
    Loss,
    /// Drift of entry i.
    Drift(usize),
    /// Diffusion of entry i.
    Diffusion(usize),
}

/// A compiled formula over the state, or a population mean of one.
pub struct Function {
    shape: Shape,
}

impl Function {
    /// Shape of the value.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Working memory for blocks of `tiles` vectors.
    pub fn scratch(&self, _tiles: usize) -> Scratch {
        todo!()
    }
    /// The value for a block: θ is `[P][tiles]`, `out` is `[elements][tiles]`.
    pub fn evaluate(&self, _theta: &[Lane], _out: &mut [Lane], _scratch: &mut Scratch) {
        todo!()
    }
    /// The value for one state.
    pub fn value(&self, _theta: &[f64]) -> Vec<f64> {
        todo!()
    }
}

/// A model given by its formula.
pub struct FormulaModel {
    layout: Layout,
    population: Population,
}

impl FormulaModel {
    /// Compiles; errors name the formula they are in.
    pub fn new(_spec: ModelSpec) -> Result<Self, Vec<(Place, FormulaError)>> {
        todo!()
    }
    /// Compiles a formula over parameters, constants, `loss`, `objective`, `gradient_norm2`, data and the loss's named
    /// intermediates (`h`, and `grad(h)` its gradient); whatever depends on data is averaged over the population's nodes.
    pub fn function(&self, _formula: &Expression) -> Result<Function, FormulaError> {
        todo!()
    }
    /// Σ_i |θ_i ∂f/∂θ_i| of a scalar formula (elementwise for others): the size of what cancels in it.
    pub fn magnitude(&self, _formula: &Expression) -> Result<Function, FormulaError> {
        todo!()
    }
    /// The flattened outer product (θ−c)(θ−c)ᵀ, P×P.
    pub fn second_moments_about(&self, _center: &[f64]) -> Function {
        todo!()
    }
    /// ∇L(θ) over the population's nodes (without decay).
    pub fn mean_gradient(&self, _theta: &[f64]) -> Vec<f64> {
        todo!()
    }
    /// L(θ) over the population's nodes (without decay).
    pub fn mean_loss(&self, _theta: &[f64]) -> f64 {
        todo!()
    }
    /// ∇ℓ(θ; z_k) of every node: `[n][P]`.
    pub fn sample_gradients(&self, _theta: &[f64]) -> Vec<f64> {
        todo!()
    }
    /// Hessians ∇²ℓ(θ; z_k) of every node: `[n][P][P]`.
    pub fn sample_hessians(&self, _theta: &[f64]) -> Vec<f64> {
        todo!()
    }
    /// Hessian of L over the population's nodes (without decay): `[P][P]`.
    pub fn mean_hessian(&self, _theta: &[f64]) -> Vec<f64> {
        todo!()
    }
    /// True if every ∇ℓ(θ; z) is affine in θ (regression): decided from the graph, not by sampling.
    pub fn quadratic(&self) -> bool {
        todo!()
    }
    /// The nodes that stand for the population.
    pub fn nodes(&self) -> &Nodes {
        &self.population.nodes
    }
}

impl crate::model::Model for FormulaModel {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn population(&self) -> &Population {
        &self.population
    }
    fn scratch(&self, _tiles: usize) -> Scratch {
        todo!()
    }
    fn weighted_gradient(
        &self,
        _theta: &[Lane],
        _batch: &mut dyn crate::model::Batch,
        _gradient: &mut [Lane],
        _scratch: &mut Scratch,
    ) {
        todo!()
    }
    fn weighted_loss(
        &self,
        _theta: &[Lane],
        _batch: &mut dyn crate::model::Batch,
        _loss: &mut [Lane],
        _scratch: &mut Scratch,
    ) {
        todo!()
    }
}

/// An SDE given by its drift and diffusion (Itô or Stratonovich as written).
pub struct SdeModel {
    layout: Layout,
    noises: usize,
}

/// Diffusion of one parameter.
#[derive(Clone, Debug)]
pub enum Diffusion {
    /// A bare formula: every element has a Wiener process of its own; for a vector [n] a matrix formula [n, m] has m processes.
    Own(Expression),
    /// By name of shared, scalar Wiener processes.
    Named(Vec<(String, Expression)>),
}

impl SdeModel {
    /// `drift` and `diffusion` by parameter name, an absent one is 0; entries of `Place` count in the order given.
    pub fn new(
        _layout: Layout,
        _constants: &std::collections::BTreeMap<String, Value>,
        _drift: &[(String, Expression)],
        _diffusion: &[(String, Diffusion)],
        _stratonovich: bool,
    ) -> Result<Self, Vec<(Place, FormulaError)>> {
        todo!()
    }
    /// Names and shapes of the state.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// M, the number of Wiener processes.
    pub fn noises(&self) -> usize {
        self.noises
    }
    /// True if interpreted after Stratonovich.
    pub fn stratonovich(&self) -> bool {
        false
    }
    /// Working memory.
    pub fn scratch(&self, _tiles: usize) -> Scratch {
        todo!()
    }
    /// `drift` `[P][tiles]`, and `increment` `[P][tiles]` = B(x)·dW for `wiener` `[M][tiles]` (absent processes of an element cost nothing).
    pub fn drift_and_noise(
        &self,
        _state: &[Lane],
        _wiener: &[Lane],
        _drift: &mut [Lane],
        _increment: &mut [Lane],
        _scratch: &mut Scratch,
    ) {
        todo!()
    }
    /// `(A, c, B)` with drift = A x + c and constant B `[P][M]`, if the drift is affine and the noise constant; else the reason why not.
    pub fn linear(&self) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>), String> {
        todo!()
    }
    /// Compiles a formula over the state and constants.
    pub fn function(&self, _formula: &Expression) -> Result<Function, FormulaError> {
        todo!()
    }
    /// As [`FormulaModel::magnitude`].
    pub fn magnitude(&self, _formula: &Expression) -> Result<Function, FormulaError> {
        todo!()
    }
    /// As [`FormulaModel::second_moments_about`].
    pub fn second_moments_about(&self, _center: &[f64]) -> Function {
        todo!()
    }
}

/// Shared handle, for convenience.
pub type SharedFunction = Arc<Function>;
