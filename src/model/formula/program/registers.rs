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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shape;
    use crate::model::formula::graph::Graph;

    /// Some nodes, to have names for values.
    fn names(count: usize) -> Vec<Node> {
        let mut graph = Graph::default();
        (0..count).map(|at| graph.parameter(at, Shape::SCALAR)).collect()
    }
    fn step(defines: Node, reads: &[Node]) -> Step {
        Step { defines: Some(defines), reads: reads.to_vec() }
    }

    #[test]
    fn a_chain_takes_two_registers_and_what_is_read_later_is_kept() {
        let n = names(9);
        let chain: Vec<Step> = (1..9).map(|at| step(n[at], &n[at - 1..at])).collect();
        assert_eq!(Registers::new(&chain, &[], |_| 5).len(), 10);
        assert_eq!(Registers::new(&chain, &n[1..], |_| 5).len(), 40);
        let mut late = chain;
        late.push(Step { defines: None, reads: vec![n[1], n[8]] });
        let registers = Registers::new(&late, &[], |_| 5);
        assert_eq!(registers.len(), 15);
        assert!((2..9).all(|at| registers.place(n[at]) != registers.place(n[1])));
        assert_eq!(registers.place(n[0]), None, "it is defined elsewhere");
    }

    #[test]
    fn values_that_are_needed_together_never_overlap() {
        let n = names(60);
        let len = |node: Node| 1 + node.index() * 7 % 11;
        // Each reads two of those before it, one of them far back.
        let steps: Vec<Step> =
            (2..60).map(|at| step(n[at], &[n[at - 1], n[at - 2 - at * 13 % (at - 1)]])).collect();
        let kept = [n[17]];
        let registers = Registers::new(&steps, &kept, len);
        let range = |at: usize| {
            let start = registers.place(n[at]).expect("defined");
            start..start + len(n[at])
        };
        let last = |at: usize| {
            let reads = steps.iter().rposition(|s| s.reads.contains(&n[at])).map_or(at, |step| step + 2);
            if kept.contains(&n[at]) { 60 } else { reads.max(at) }
        };
        for b in 2..60 {
            assert!(range(b).end <= registers.len());
            for a in (2..b).filter(|&a| last(a) >= b) {
                let (a, b) = (range(a), range(b));
                assert!(a.end <= b.start || b.end <= a.start, "{a:?} and {b:?}");
            }
        }
        assert!(registers.len() < (2..60).map(|at| len(n[at])).sum());
    }
}
