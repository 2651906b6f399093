//! Tables that finite populations and starts come from: CSV with a header, HDF5 datasets.

mod csv;
mod hdf5;

use std::collections::HashMap;
use std::path::Path;

use super::{Diagnostic, files};

/// First bytes of every HDF5 file, behind a block of its user's where it has one.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// First bytes of a gzip stream.
const GZIP_SIGNATURE: &[u8] = b"\x1f\x8b";
/// Longest block of a user's before an HDF5 file that is looked for; these are of 512 bytes, and doubled.
const MOST_USERBLOCK: u64 = 1 << 20;
/// Most bytes of text, unpacked.
const MOST_TEXT: u64 = 1 << 30;
/// Most columns of a table.
const MOST_COLUMNS: usize = 1_000_000;
/// Most numbers that are read of a table.
const MOST_NUMBERS: usize = 1 << 28;

/// An opened table: its columns are known, its numbers not yet read.
#[derive(Debug)]
pub struct Table {
    path: String,
    names: Vec<String>,
    /// Where each name is.
    places: HashMap<String, usize>,
    /// The names read as names and rows of numbers follow: messages may show them, and where they are.
    readable: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Csv(csv::Text),
    Hdf5(hdf5::Datasets),
}

/// How a table is written, as far as the study says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Format<'a> {
    /// A dataset or a group of an HDF5 file.
    pub dataset: Option<&'a str>,
    /// What stands between the cells of a text: `,` where nothing is said.
    pub separator: Option<char>,
    /// Whether the first line of a text names the columns: it does where nothing is said.
    pub header: Option<bool>,
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
    /// Opens a table: HDF5 by its signature, else CSV, which may be packed by gzip.
    ///
    /// # Errors
    /// A file that cannot be read or is none, has no columns, or two of the same name.
    pub fn open(path: &Path, shown: &str, format: Format<'_>) -> Result<Self, TableError> {
        let help = "the path is relative to the study file's folder";
        let mut file = files::open(path, "the table", help)
            .map_err(|files::Unreadable(message, help)| TableError::Whole(message, help))?;
        let unreadable = |error: std::io::Error| {
            TableError::whole(format!("cannot read the table {}: {error}", path.display()), help)
        };
        let length = file.metadata().map_err(unreadable)?.len();
        let mut place = 0;
        while place < length.min(MOST_USERBLOCK) {
            let found = files::bytes_at(&mut file, place, HDF5_SIGNATURE.len() as u64);
            if found.map_err(unreadable)? == HDF5_SIGNATURE {
                if format.separator.is_some() || format.header.is_some() {
                    return Err(TableError::whole(
                        format!("`separator` and `header` are about text, but {shown} is an HDF5 file"),
                        "remove them; `dataset` says where the columns are",
                    ));
                }
                let head = files::bytes_at(&mut file, 0, 6).map_err(unreadable)?;
                return Self::open_hdf5(path, shown, format.dataset, place > 0 && head == b"MATLAB");
            }
            place = if place == 0 { 512 } else { 2 * place };
        }
        if format.dataset.is_some() {
            return Err(TableError::whole(
                format!("`dataset` is given, but {shown} is not an HDF5 file"),
                "remove `dataset`; a CSV file has one table",
            ));
        }
        let head = files::bytes_at(&mut file, 0, 8).map_err(unreadable)?;
        files::bytes_at(&mut file, 0, 0).map_err(unreadable)?;
        let bytes = if head.starts_with(GZIP_SIGNATURE) {
            files::bytes(flate2::read::MultiGzDecoder::new(file), MOST_TEXT).map_err(|error| {
                TableError::whole(
                    format!("cannot unpack {shown}: {error}"),
                    "check the file with gzip -t; a table is CSV, CSV packed by gzip, or HDF5",
                )
            })?
        } else {
            files::bytes(file, MOST_TEXT).map_err(unreadable)?
        };
        let bytes = bytes.ok_or_else(|| {
            TableError::whole(
                format!("{shown} is longer than {MOST_TEXT} bytes of text"),
                "write so large a table as HDF5, of which only what the study names is read",
            )
        })?;
        Self::open_csv(bytes, shown, format)
    }

    fn new(path: &str, names: Vec<String>, readable: bool, body: Body) -> Self {
        let places = names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        Self { path: path.to_owned(), names, places, readable, body }
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Names that messages may show: none of a file whose first line does not read as names.
    pub fn shown_names(&self) -> &[String] {
        if self.readable { &self.names } else { &[] }
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Columns that a name with `*` and `?` stands for, in the table's order; a dataset's name stands for all its columns.
    pub fn matching(&self, pattern: &str) -> Vec<usize> {
        if let Some(exact) = self.column(pattern) {
            return vec![exact];
        }
        if let Body::Hdf5(datasets) = &self.body
            && let Some(columns) = datasets.columns_of(pattern)
        {
            return columns.collect();
        }
        let pattern: Vec<char> = pattern.chars().collect();
        if !pattern.contains(&'*') && !pattern.contains(&'?') {
            return Vec::new();
        }
        (0..self.names.len())
            .filter(|&i| glob(&pattern, &self.names[i].chars().collect::<Vec<_>>()))
            .collect()
    }

    /// Why a name that is none of a column cannot be one: what, and how to mend it.
    pub fn trouble(&self, name: &str) -> Option<(String, String)> {
        match &self.body {
            Body::Hdf5(datasets) => datasets.trouble(name),
            Body::Csv(_) if !self.readable => Some((
                format!("unknown column `{name}`"),
                format!(
                    "the first line of {} does not read as names of columns, with a row of numbers below",
                    self.path
                ),
            )),
            Body::Csv(_) => None,
        }
    }

    /// True where the first line is numbers alone, and nothing says that it names the columns.
    pub fn headed_by_numbers(&self) -> bool {
        matches!(&self.body, Body::Csv(text) if text.headed_by_numbers)
    }

    /// Reads columns, one set after the other; cells that are not finite numbers are reported at their places.
    ///
    /// # Errors
    /// Cells that are no numbers, rows of another length, columns of different lengths, a table without rows, more than can be held.
    pub fn read(&self, sets: &[Vec<usize>]) -> Result<Vec<Numbers>, Vec<Diagnostic>> {
        let mut wanted: Vec<usize> = sets.iter().flatten().copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let all = match &self.body {
            Body::Csv(text) => self.read_csv(text, &wanted)?,
            Body::Hdf5(datasets) => self.read_hdf5(datasets, &wanted)?,
        };
        if all.rows == 0 {
            return Err(vec![self.whole("the table has no rows", "add at least one row of numbers")]);
        }
        let place: HashMap<usize, usize> = wanted.iter().enumerate().map(|(at, &c)| (c, at)).collect();
        Ok(sets
            .iter()
            .map(|set| {
                let from: Vec<usize> = set.iter().map(|c| place[c]).collect();
                let mut values = Vec::with_capacity(all.rows * set.len());
                if !set.is_empty() {
                    for row in all.values.chunks_exact(all.width) {
                        values.extend(from.iter().map(|&at| row[at]));
                    }
                }
                Numbers { rows: all.rows, width: set.len(), values }
            })
            .collect())
    }

    fn whole(&self, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic::whole(&self.path, message, help)
    }
}

/// Sees whether so many numbers may be read.
fn held(rows: usize, columns: usize) -> Result<(), (String, String)> {
    if rows.saturating_mul(columns) <= MOST_NUMBERS {
        return Ok(());
    }
    Err((
        format!("{rows} rows of {columns} columns are more numbers than are read of a table, {MOST_NUMBERS}"),
        "name fewer columns in [data], or cut the table".to_owned(),
    ))
}

/// Longest name of a column that is shown, in characters and in words.
const LONGEST_NAME: (usize, usize) = (64, 6);

/// True for what may be meant as the name of a column.
fn reads_as_name(name: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || " _-.,()[]/%^°".contains(c);
    name.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
        && name.chars().all(inner)
        && name.chars().count() <= LONGEST_NAME.0
        && name.split(' ').count() <= LONGEST_NAME.1
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
