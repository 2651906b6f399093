//! Tables that finite populations come from: CSV with a header, HDF5 datasets.

mod csv;
mod hdf5;

use std::io::Read;
use std::path::Path;

use super::Diagnostic;

/// First bytes of every HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// An opened table: its columns are known, its numbers not yet read.
#[derive(Debug)]
pub struct Table {
    path: String,
    names: Vec<String>,
    /// Whole datasets that columns come from, by name.
    groups: Vec<(String, Vec<usize>)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Csv(String),
    /// Values of every column.
    Hdf5(Vec<Vec<f64>>),
}

/// Why a table cannot be opened: what, and how to mend it; or a place in it.
#[derive(Debug)]
pub enum TableError {
    /// About the file as a whole: shown where the study names it.
    Whole(String, String),
    /// At places of the table's own.
    Places(Vec<Diagnostic>),
}

impl TableError {
    fn whole(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Whole(message.into(), help.into())
    }
}

/// The numbers of some columns, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Rows.
    pub rows: usize,
    /// Columns read.
    pub width: usize,
    /// `[rows][width]`.
    pub values: Vec<f64>,
}

impl Table {
    /// Opens a table: HDF5 by its signature, else CSV. `dataset` names a dataset or a group of an HDF5 file.
    ///
    /// # Errors
    /// A file that cannot be read, has no columns, or two of the same name.
    pub fn open(path: &Path, shown: &str, dataset: Option<&str>) -> Result<Self, TableError> {
        let unreadable = |error: std::io::Error| {
            TableError::whole(
                format!("cannot read the table {}: {error}", path.display()),
                "the path is relative to the study file's folder",
            )
        };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.by_ref().take(HDF5_SIGNATURE.len() as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes == HDF5_SIGNATURE {
            return Self::open_hdf5(path, shown, dataset);
        }
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        if dataset.is_some() {
            return Err(TableError::whole(
                format!("`dataset` is given, but {shown} is not an HDF5 file"),
                "remove `dataset`; a CSV file has one table",
            ));
        }
        Self::open_csv(bytes, shown)
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Columns that a name with `*` and `?` stands for, in the table's order; a dataset's name stands for all its columns.
    pub fn matching(&self, pattern: &str) -> Vec<usize> {
        if let Some(exact) = self.names.iter().position(|n| n == pattern) {
            return vec![exact];
        }
        if let Some((_, group)) = self.groups.iter().find(|(name, _)| name == pattern) {
            return group.clone();
        }
        let pattern: Vec<char> = pattern.chars().collect();
        (0..self.names.len())
            .filter(|&i| glob(&pattern, &self.names[i].chars().collect::<Vec<_>>()))
            .collect()
    }

    /// Reads columns; cells that are not finite numbers are reported at their places.
    ///
    /// # Errors
    /// Cells that are no numbers, rows of another length, a table without rows.
    pub fn read(&self, columns: &[usize]) -> Result<Numbers, Vec<Diagnostic>> {
        let numbers = match &self.body {
            Body::Csv(text) => self.read_csv(text, columns)?,
            Body::Hdf5(list) => {
                let rows = list.first().map_or(0, Vec::len);
                let values = (0..rows).flat_map(|row| columns.iter().map(move |&c| list[c][row])).collect();
                Numbers { rows, width: columns.len(), values }
            }
        };
        if numbers.rows == 0 {
            return Err(vec![Diagnostic::whole(
                &self.path,
                "the table has no rows",
                "add at least one row of numbers",
            )]);
        }
        Ok(numbers)
    }
}

/// `*` stands for any text, `?` for any character.
fn glob(pattern: &[char], name: &[char]) -> bool {
    // The last star, and the length of the text it stands for so far.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let matches = |p: &str, n: &str| glob(&p.chars().collect::<Vec<_>>(), &n.chars().collect::<Vec<_>>());
        assert!(matches("pixel*", "pixel12") && matches("*", "") && matches("a*b*c", "axxbyyc"));
        assert!(!matches("pixel*", "pixe") && !matches("a?c", "ac") && !matches("a*b", "ac"));
    }
}
