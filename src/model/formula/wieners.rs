//! The Wiener processes of an `[sde]`, and the matrix B of B(x) dW.

use super::Expression;
use super::error::FormulaError;
use super::graph::{Graph, Node};
use super::sde::{SdeModel, misfit};
use super::syntax::{Kind, Syntax};

use crate::model::{Layout, Parameter, Shape};

/// Most processes, and most coordinates, whose entries are written out.
const MOST_SHOWN: usize = 8;

/// Who moves what: processes are numbered as they first appear.
#[derive(Clone, Default)]
pub(super) struct Wieners {
    processes: Vec<Process>,
    /// First of the common columns, how many they are, and whose formula said so.
    columns: Option<(usize, usize, String)>,
    /// A process moves more than one coordinate, or may.
    shared: bool,
    /// What moves each parameter, as written.
    written: Vec<Written>,
}

#[derive(Clone, PartialEq)]
enum Process {
    /// Of one coordinate alone: parameter and element.
    Own(String, usize),
    Named(String),
    /// A column, counted from 0.
    Column(usize),
}

#[derive(Clone)]
struct Written {
    parameter: String,
    first: usize,
    count: usize,
    formula: Expression,
}

/// B as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseMatrix {
    /// What the processes are called, by column.
    pub processes: Vec<String>,
    /// Coordinates with their entries, by row.
    pub rows: Vec<(String, Vec<NoiseEntry>)>,
}

/// One entry of B.
#[derive(Clone, Debug, PartialEq)]
pub enum NoiseEntry {
    /// A constant.
    Number(f64),
    /// What depends on the state or on time, as written.
    Formula(String),
}

impl Wieners {
    /// M.
    pub(super) fn count(&self) -> usize {
        self.processes.len()
    }
    /// True if, as written, every process moves one coordinate alone, and no two the same.
    pub(super) fn separate(&self) -> bool {
        !self.shared
    }

    /// B dW of one formula, in the parameter's shape; `named` is the process where it has a name.
    pub(super) fn increment(
        &mut self,
        graph: &mut Graph,
        node: Node,
        named: Option<&str>,
        parameter: &Parameter,
        formula: &Expression,
    ) -> Result<Node, FormulaError> {
        let (shape, found) = (parameter.shape, graph.shape(node));
        let fits = found == shape || found.is_scalar();
        let columns = shape.cols == 1 && found.rows == shape.rows && found.cols > 1;
        let (first, count, increment) = match named {
            Some(name) if fits => {
                self.shared = true;
                let process = Process::Named(name.to_owned());
                let at = self.processes.iter().position(|p| *p == process).unwrap_or(self.count());
                if at == self.count() {
                    self.processes.push(process);
                }
                let dw = graph.auxiliary(at, Shape::SCALAR);
                let product = graph.multiply(node, dw);
                (at, 1, graph.broadcast(product, shape))
            }
            None if fits => {
                let at = self.count();
                self.processes.extend((0..shape.len()).map(|e| Process::Own(parameter.name.clone(), e)));
                let dw = graph.auxiliary(at, shape);
                (at, shape.len(), graph.multiply(node, dw))
            }
            None if columns => {
                let at = self.columns(found.cols, parameter, formula)?;
                let dw = graph.auxiliary(at, Shape::vector(found.cols));
                let product = graph.matrix_product(node, false, dw, false);
                let product = product.map_err(|e| FormulaError::new(0..formula.text().len(), e))?;
                (at, found.cols, product)
            }
            _ => {
                let error = misfit(formula, "diffusion", &parameter.name, found, shape);
                let row = named.is_none() && shape.is_scalar() && found.cols == 1;
                return Err(if row {
                    error.help(format!(
                        "give a scalar, or a row of {} Wiener processes in double brackets: [[…, …]]",
                        found.rows
                    ))
                } else if named.is_none() && shape.cols == 1 {
                    error
                        .help("give one value an element, a scalar for all, or a row of processes an element")
                } else {
                    error
                });
            }
        };
        let written = Written { parameter: parameter.name.clone(), first, count, formula: formula.clone() };
        self.written.push(written);
        Ok(increment)
    }

    /// The first of the common columns.
    fn columns(
        &mut self,
        count: usize,
        parameter: &Parameter,
        formula: &Expression,
    ) -> Result<usize, FormulaError> {
        self.shared = true;
        match &self.columns {
            Some((first, known, _)) if *known == count => Ok(*first),
            Some((_, known, of)) => Err(FormulaError::new(
                formula.lines.value.span.clone(),
                format!("the diffusion of `{}` has {count} columns, that of `{of}` has {known}", parameter.name),
            )
            .help(
                "columns are the same Wiener processes for all parameters: give every row as many entries, 0 where a \
                 process does not move it, or name the processes: { a = \"…\", b = \"…\" }",
            )),
            None => {
                let first = self.count();
                self.processes.extend((0..count).map(Process::Column));
                self.columns = Some((first, count, parameter.name.clone()));
                Ok(first)
            }
        }
    }

    fn name(&self, process: usize, layout: &Layout) -> String {
        match &self.processes[process] {
            Process::Named(name) => name.clone(),
            Process::Column(j) => format!("column {}", j + 1),
            Process::Own(parameter, element) => {
                let offset = layout.get(parameter).map_or(0, |p| p.offset);
                format!("{} alone", layout.element_name(offset + element))
            }
        }
    }

    /// The part of a formula that makes element `element` along `process`.
    fn text(&self, parameter: &Parameter, element: usize, process: usize) -> String {
        let of =
            |w: &&Written| w.parameter == parameter.name && (w.first..w.first + w.count).contains(&process);
        let Some(written) = self.written.iter().find(of) else { return "0".to_owned() };
        let value = &written.formula.lines.value;
        let text = |syntax: &Syntax| written.formula.text()[syntax.span.clone()].trim().to_owned();
        let items = |syntax: &Syntax| match &syntax.kind {
            Kind::Array(items) => Some(items.clone()),
            _ => None,
        };
        let Some(rows) = items(value) else { return text(value) };
        let (row, column) = (element / parameter.shape.cols, element % parameter.shape.cols);
        let column = if matches!(self.processes[process], Process::Column(_)) {
            process - written.first
        } else {
            column
        };
        let Some(entry) = rows.get(row) else { return text(value) };
        match items(entry) {
            Some(entries) => entries.get(column).map_or_else(|| text(value), text),
            None => text(entry),
        }
    }
}

impl SdeModel {
    /// B as written, with the names of its processes; `None` where it is too large to show.
    pub fn noise_matrix(&self) -> Option<NoiseMatrix> {
        let (layout, noises) = (self.layout(), self.noises());
        if noises > MOST_SHOWN || layout.len() > MOST_SHOWN {
            return None;
        }
        let mut graph = self.graph.clone();
        let columns: Vec<Vec<Node>> = (0..noises)
            .map(|j| {
                let unit: Vec<f64> = (0..noises).map(|k| f64::from(u8::from(k == j))).collect();
                graph.with_auxiliary(&self.increment, &unit)
            })
            .collect();
        let mut rows = Vec::new();
        for (index, parameter) in layout.parameters().iter().enumerate() {
            for element in 0..parameter.shape.len() {
                let entry = |j: usize| {
                    if let Some(values) = graph.constant_of(columns[j][index]) {
                        return NoiseEntry::Number(values[element]);
                    }
                    // A process of one element alone does not move the others.
                    match &self.wieners.processes[j] {
                        Process::Own(p, e) if (p, *e) != (&parameter.name, element) => {
                            NoiseEntry::Number(0.0)
                        }
                        _ => NoiseEntry::Formula(self.wieners.text(parameter, element, j)),
                    }
                };
                let entries = (0..noises).map(entry).collect();
                rows.push((layout.element_name(parameter.offset + element), entries));
            }
        }
        let processes = (0..noises).map(|j| self.wieners.name(j, layout)).collect();
        Some(NoiseMatrix { processes, rows })
    }
}
