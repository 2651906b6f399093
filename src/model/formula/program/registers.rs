//! Registers for values that differ between samples: taken again as soon as nothing reads what they hold.

use std::collections::HashMap;
use std::ops::Range;

use crate::model::formula::graph::Node;

/// A step of the body: the value it defines, if that needs a register, and the values it reads.
pub(super) struct Step {
    pub(super) defines: Option<Node>,
    pub(super) reads: Vec<Node>,
}

/// Where values are kept, in elements of one sample.
#[derive(Default)]
pub(super) struct Registers {
    places: HashMap<Node, usize>,
    len: usize,
}

impl Registers {
    /// Assigns places to what `steps` define, one after the other, in the smallest gap that holds it. A value does not share elements with
    /// what its own step reads. `kept` are read after the last step.
    pub(super) fn new(steps: &[Step], kept: &[Node], elements: impl Fn(Node) -> usize) -> Self {
        let mut last: HashMap<Node, usize> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            last.extend(step.defines.iter().chain(&step.reads).map(|&node| (node, at)));
        }
        last.extend(kept.iter().map(|&node| (node, usize::MAX)));
        let mut registers = Self::default();
        // In the order of their places.
        let mut held: Vec<(Range<usize>, usize)> = Vec::new();
        for (at, node) in steps.iter().enumerate().filter_map(|(at, step)| Some((at, step.defines?))) {
            held.retain(|&(_, last)| last >= at);
            let len = elements(node);
            let (mut end, mut gap) = (0, None::<Range<usize>>);
            for (range, _) in &held {
                if range.start - end >= len && gap.as_ref().is_none_or(|g| range.start - end < g.len()) {
                    gap = Some(end..range.start);
                }
                end = range.end;
            }
            let start = gap.map_or(end, |gap| gap.start);
            let behind = held.partition_point(|(range, _)| range.start < start);
            held.insert(behind, (start..start + len, last[&node]));
            registers.len = registers.len.max(start + len);
            registers.places.insert(node, start);
        }
        registers
    }

    /// Where a value is kept.
    pub(super) fn place(&self, node: Node) -> Option<usize> {
        self.places.get(&node).copied()
    }

    /// How many elements a sample takes.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
