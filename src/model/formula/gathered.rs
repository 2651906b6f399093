//! Columns of a table's rows that a program uses where they lie, and never as vectors of replicas.
//!
//! A sample of a table is another row for every replica. To turn rows into vectors costs more than what is done with them once or
//! twice, as in linear models; products with parameters, and sums of multiples over a batch, can do without:
//! see [`rows`](crate::lanes::rows).

use std::collections::HashMap;

use super::graph::{Graph, Node, Op};
use super::operations::{DOT, MATRIX_PRODUCT, MULTIPLY, Operation as _};
use crate::lanes::rows::{self, Columns, Elements, Table};
use crate::lanes::{Indices, LANES, Lane};

/// Fewest columns that fill a vector.
const FEWEST: usize = LANES;

/// What a node does with gathered columns x.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Σ_e w_e x_e for a vector w of every replica, the argument of that index.
    Product(usize),
    /// Σ_k s_k x_k over the batch for a scalar s, the argument of that index.
    Sum(usize),
}

/// A node that uses gathered columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) form: Form,
    /// Which of the gathered columns.
    pub(super) table: usize,
    /// w, or the sums, in a block of one tile.
    pub(super) elements: Elements,
    /// Where their rows are kept, in elements of the registers.
    pub(super) turned: usize,
}

/// The columns that a program gathers, and those that it needs as vectors of replicas.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathering {
    /// Offset and length in a sample.
    gathered: Vec<(usize, usize)>,
    others: Vec<(usize, usize)>,
    /// How many products there are of them.
    products: usize,
    /// Elements that are turned once a step.
    turned: usize,
    /// Elements of the registers for those.
    room: usize,
}

impl Gathering {
    /// Finds the nodes among `order` that can use columns where they lie, if all that use these columns can; `summed` are those that are
    /// computed inside sums over the batch.
    pub(super) fn new(
        graph: &Graph,
        order: &[Node],
        outputs: &[Node],
        summed: &[Node],
    ) -> (Self, HashMap<Node, Use>) {
        let mut plan = Self::default();
        let mut uses = HashMap::new();
        for &sample in order {
            let Op::Sample(offset) = graph.entry(sample).op else { continue };
            let len = graph.shape(sample).len();
            let users = || order.iter().filter(|&&n| graph.entry(n).args.contains(&sample));
            let forms: Option<Vec<(Node, Form, Elements)>> = users()
                .map(|&user| {
                    form(graph, user, sample, summed.contains(&user)).map(|(form, m)| (user, form, m))
                })
                .collect();
            match forms {
                Some(forms)
                    if len >= FEWEST
                        && !outputs.contains(&sample)
                        && forms.iter().all(|f| !uses.contains_key(&f.0)) =>
                {
                    for (user, form, elements) in forms {
                        plan.products += usize::from(matches!(form, Form::Product(_)));
                        plan.turned += elements.len;
                        plan.room += elements.turned_len();
                        uses.insert(user, Use { form, table: plan.gathered.len(), elements, turned: 0 });
                    }
                    plan.gathered.push((offset, len));
                }
                _ => plan.others.push((offset, len)),
            }
        }
        (plan, uses)
    }
    /// Numbers of a sample that are never turned.
    pub(super) fn width(&self) -> usize {
        self.gathered.iter().map(|c| c.1).sum()
    }
    /// Elements of the registers that turned matrices take.
    pub(super) fn turned_len(&self) -> usize {
        self.room
    }
    /// True if a batch of `samples` is cheaper so than with its rows turned into vectors, which pays where these are used often.
    pub(super) fn worth(&self, samples: usize) -> bool {
        let once = self.products <= self.gathered.len();
        !self.gathered.is_empty() && once && samples * self.width() >= self.turned
    }
}

/// How `user` can use a sample's columns, and the elements that it turns.
fn form(graph: &Graph, user: Node, sample: Node, summed: bool) -> Option<(Form, Elements)> {
    let entry = graph.entry(user);
    let (Op::Call(operation, _), &[a, _]) = (&entry.op, entry.args.as_slice()) else { return None };
    let which = usize::from(a == sample);
    let other = entry.args[which];
    // Sums are of multiples that differ between samples, products are with what does not.
    if other == sample || graph.batched(other) != summed {
        return None;
    }
    let (name, len) = (operation.name(), graph.shape(sample).len());
    let form = if name == MULTIPLY.name() {
        (summed && graph.shape(other).is_scalar()).then_some(Form::Sum(which))
    } else if name == MATRIX_PRODUCT.name() {
        // A row times a column, or a scalar times a row or a column, which lie in memory all alike.
        match (summed, entry.shape.is_scalar()) {
            (false, true) => Some(Form::Product(which)),
            (true, false) if graph.shape(other).is_scalar() => Some(Form::Sum(which)),
            _ => None,
        }
    } else {
        (!summed && name == DOT.name()).then_some(Form::Product(which))
    };
    Some((form?, Elements { len, step: 1, tiles: 1 }))
}

/// The columns of a population as a program's [`Gathering`] wants them.
#[derive(Debug)]
pub(super) struct Tables {
    gathered: Vec<Table>,
    /// The other columns side by side, `[n][…]`.
    others: Vec<f64>,
    columns: Vec<(usize, usize)>,
    width: usize,
}

impl Tables {
    /// From a table `[n][width]`.
    pub(super) fn new(gathering: &Gathering, values: &[f64], width: usize) -> Self {
        let mut others = Vec::new();
        for row in values.chunks_exact(width.max(1)) {
            for &(offset, len) in &gathering.others {
                others.extend_from_slice(&row[offset..offset + len]);
            }
        }
        let table = |&(offset, len): &(usize, usize)| Table::new(values, width, offset, len);
        Self {
            gathered: gathering.gathered.iter().map(table).collect(),
            others,
            columns: gathering.others.clone(),
            width: gathering.others.iter().map(|c| c.1).sum(),
        }
    }
    /// Number `index` of the gathered columns.
    pub(super) fn table(&self, index: usize) -> &Table {
        &self.gathered[index]
    }
    /// Writes the other columns of rows `indices`, `[count][tiles]`, to their places in `samples`, `[count][width][tiles]`.
    pub(super) fn fill_others(&self, samples: &mut [Lane], indices: &[Indices], width: usize, tiles: usize) {
        if self.width == 0 {
            return;
        }
        let mut first = 0;
        for &(offset, len) in &self.columns {
            let (table, width_of) = (self.others.as_slice(), self.width);
            let columns = Columns { table, width: width_of, first, len, indices, tiles };
            rows::columns(&mut samples[offset * tiles..], width * tiles, columns);
            first += len;
        }
    }
}
