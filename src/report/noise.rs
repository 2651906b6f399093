//! The noise of an `[sde]` in a look ahead: which Wiener process moves what.

use serde_json::{Value, json};

use super::number::{count, plain};
use super::style::{Cell, Grid, Style, Tone};
use crate::model::formula::{NoiseEntry, SdeModel};

/// Widest entry that is written out.
const WIDEST: usize = 28;

fn entry(entry: &NoiseEntry) -> String {
    match entry {
        NoiseEntry::Number(value) => plain(*value, 6),
        NoiseEntry::Formula(text) if text.chars().count() > WIDEST => {
            text.chars().take(WIDEST - 1).chain(['…']).collect()
        }
        NoiseEntry::Formula(text) => text.clone(),
    }
}

/// The matrix B of B dW, with the names of its Wiener processes.
pub fn text(equation: &SdeModel, style: &Style) -> Vec<String> {
    let noises = equation.noises();
    if noises == 0 {
        return vec![];
    }
    let head = style.paint(Tone::Dim, "noise");
    let Some(matrix) = equation.noise_matrix() else {
        let coordinates = equation.layout().len();
        let (noises, coordinates) = (count(noises as u64), count(coordinates as u64));
        return vec![
            format!("  {head}  {noises} Wiener processes move {coordinates} coordinates"),
            String::new(),
        ];
    };
    let mut grid = Grid::with_right_aligned(&(1..=noises).collect::<Vec<_>>());
    let cells = |first: String, rest: Vec<String>, tone: Tone| {
        std::iter::once(Cell::new(first, Tone::Dim)).chain(rest.into_iter().map(move |t| Cell::new(t, tone)))
    };
    grid.row(cells(String::new(), matrix.processes, Tone::Dim));
    for (name, entries) in matrix.rows {
        grid.row(cells(format!("d{name}"), entries.iter().map(entry).collect(), Tone::Plain));
    }
    let mut lines = vec![format!("  {head}  by Wiener process, each independent of the others")];
    lines.extend(grid.lines(style, 6));
    lines.push(String::new());
    lines
}

/// The same for JSON.
pub fn json(equation: &SdeModel) -> Value {
    let matrix = equation.noise_matrix().map(|matrix| {
        let rows: serde_json::Map<String, Value> = matrix
            .rows
            .into_iter()
            .map(|(name, entries)| {
                let entries: Vec<Value> = entries
                    .iter()
                    .map(|e| match e {
                        NoiseEntry::Number(value) => json!(value),
                        NoiseEntry::Formula(text) => json!(text),
                    })
                    .collect();
                (name, Value::from(entries))
            })
            .collect();
        json!({ "processes": matrix.processes, "rows": rows })
    });
    json!({ "wiener_processes": equation.noises(), "matrix": matrix })
}
