//! Tables that finite populations come from: CSV with a header, HDF5 datasets.

use std::io::Read;
use std::path::Path;

use hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group};

use super::Diagnostic;
use super::source;

/// First bytes of every HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Most cells of one table that are reported at once.
const MOST_CELLS: usize = 10;

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
        let text = String::from_utf8(bytes).map_err(|_| {
            TableError::whole(
                format!("{shown} is neither UTF-8 text nor HDF5"),
                "save the table as CSV in UTF-8, with a header line, or as HDF5",
            )
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let mut reader = csv_reader(&text);
        let names: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Err(TableError::Places(vec![csv_error(shown, &text, &error)])),
        };
        if names.iter().all(String::is_empty) {
            return Err(TableError::whole(
                format!("{shown} has no header"),
                "the first line names the columns, separated by commas",
            ));
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                let place = cell(&text, 1, index);
                return Err(TableError::Places(vec![source::at(
                    shown,
                    &text,
                    place,
                    format!("two columns are called `{name}`"),
                    "give every column a name of its own",
                )]));
            }
        }
        Ok(Self { path: shown.to_owned(), names, groups: Vec::new(), body: Body::Csv(text) })
    }

    fn open_hdf5(path: &Path, shown: &str, dataset: Option<&str>) -> Result<Self, TableError> {
        let wrong = |error: hdf5::Hdf5Error| {
            TableError::whole(format!("cannot read {shown}: {error}"), "check the file with h5dump or h5py")
        };
        let file = H5File::options().no_locking().open(path).map_err(wrong)?;
        let mut table = Self {
            path: shown.to_owned(),
            names: Vec::new(),
            groups: Vec::new(),
            body: Body::Hdf5(Vec::new()),
        };
        let wanted = dataset.unwrap_or("").trim_matches('/');
        let all = file.dataset_names();
        if !wanted.is_empty() && all.iter().any(|n| n.trim_matches('/') == wanted) {
            let dataset = file.dataset(wanted).map_err(wrong)?;
            let name = wanted.rsplit('/').next().unwrap_or(wanted);
            let single = dataset.ndims() == 2;
            table.add(name, &dataset, single)?;
        } else {
            let group: H5Group = if wanted.is_empty() {
                file.root_group()
            } else {
                file.root_group().group(wanted).map_err(|_| {
                    TableError::whole(
                        format!("{shown} has no dataset or group `{wanted}`"),
                        format!("it has: {}", all.join(", ")),
                    )
                })?
            };
            let prefix = if wanted.is_empty() { String::new() } else { format!("{wanted}/") };
            for name in group.dataset_names().map_err(wrong)? {
                let dataset = file.dataset(&format!("{prefix}{name}")).map_err(wrong)?;
                if numeric(&dataset) && (1..=2).contains(&dataset.ndims()) {
                    table.add(&name, &dataset, false)?;
                }
            }
        }
        if table.names.is_empty() {
            return Err(TableError::whole(
                format!("{shown} has no columns of numbers there"),
                format!("name one with `dataset`; the file has: {}", all.join(", ")),
            ));
        }
        Ok(table)
    }

    /// Adds a dataset's columns: by index where it is the only one, else `name` (1-D) or `name[0]`, `name[1]`, … (2-D).
    fn add(&mut self, name: &str, dataset: &H5Dataset, single: bool) -> Result<(), TableError> {
        let shape = dataset.shape();
        let (rows, columns) = match shape[..] {
            [rows] => (rows, 1),
            [rows, columns] => (rows, columns),
            _ => {
                return Err(TableError::whole(
                    format!("the dataset `{name}` has {} dimensions", shape.len()),
                    "a table has one (a column) or two (rows and columns)",
                ));
            }
        };
        let values = read_numbers(dataset).map_err(|error| {
            TableError::whole(
                format!("cannot read the dataset `{name}`: {error}"),
                "datasets must hold plain numbers",
            )
        })?;
        if let Some(bad) = values.iter().position(|x| !x.is_finite()) {
            return Err(TableError::whole(
                format!(
                    "the dataset `{name}` is not finite at row {}, column {}",
                    bad / columns.max(1),
                    bad % columns.max(1)
                ),
                "remove or fill the missing values",
            ));
        }
        let Body::Hdf5(list) = &mut self.body else { return Ok(()) };
        if list.first().is_some_and(|first| first.len() != rows) {
            return Err(TableError::whole(
                format!(
                    "the dataset `{name}` has {rows} rows, the others {}",
                    list.first().map_or(0, Vec::len)
                ),
                "all datasets of a table have the same number of rows; name one with `dataset`",
            ));
        }
        let mut group = Vec::new();
        for column in 0..columns {
            group.push(self.names.len());
            self.names.push(match (single, shape.len()) {
                (true, _) => column.to_string(),
                (false, 1) => name.to_owned(),
                (false, _) => format!("{name}[{column}]"),
            });
            list.push((0..rows).map(|row| values[row * columns + column]).collect());
        }
        self.groups.push((name.to_owned(), group));
        Ok(())
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

    fn read_csv(&self, text: &str, columns: &[usize]) -> Result<Numbers, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut values = Vec::new();
        let mut rows = 0;
        let mut record = csv::StringRecord::new();
        let mut reader = csv_reader(text);
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) => {
                    errors.push(csv_error(&self.path, text, &error));
                    break;
                }
            }
            rows += 1;
            for &column in columns {
                let written = record.get(column).unwrap_or("");
                match written.parse::<f64>() {
                    Ok(x) if x.is_finite() => values.push(x),
                    _ => {
                        let line = record.position().map_or(1, csv::Position::line);
                        let what = if written.is_empty() {
                            "this cell is empty".to_owned()
                        } else {
                            format!("`{written}` is not a finite number")
                        };
                        errors.push(source::at(
                            &self.path,
                            text,
                            cell(text, usize::try_from(line).unwrap_or(1), column),
                            format!("{what} (row {rows}, column `{}`)", self.names[column]),
                            "every cell of a column that the study uses must be a number",
                        ));
                    }
                }
            }
            if errors.len() >= MOST_CELLS {
                break;
            }
        }
        if errors.is_empty() { Ok(Numbers { rows, width: columns.len(), values }) } else { Err(errors) }
    }
}

fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes())
}

/// A malformed row: one of another length than the header.
fn csv_error(path: &str, text: &str, error: &csv::Error) -> Diagnostic {
    let line = error.position().map_or(1, csv::Position::line);
    let (message, help) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!("this row has {len} cells, the header {expected_len}"),
            "every row has as many cells as the header, separated by commas",
        ),
        _ => (format!("this is not CSV: {error}"), "save the table as CSV in UTF-8, with a header line"),
    };
    source::at(path, text, cell(text, usize::try_from(line).unwrap_or(1), 0), message, help)
}

/// The bytes of a cell: `line` counts from 1 and is where the row begins, `column` from 0. Quotes are followed.
fn cell(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let mut start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let bytes = text.as_bytes();
    // The reader counts lines of a row from the end of the one before: empty lines between them are skipped.
    while matches!(bytes.get(start), Some(b'\n' | b'\r')) {
        start += 1;
    }
    let mut found = 0;
    let mut quoted = false;
    let mut begin = start;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                if found == column {
                    break;
                }
                found += 1;
                begin = at + 1;
            }
            b'\n' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    let written = &text[begin..at];
    let lead = written.len() - written.trim_start().len();
    let kept = written.trim();
    if kept.is_empty() { begin..at } else { begin + lead..begin + lead + kept.len() }
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

fn numeric(dataset: &H5Dataset) -> bool {
    matches!(
        dataset.datatype(),
        Ok(DatatypeMessage::FixedPoint { .. } | DatatypeMessage::FloatingPoint { .. })
    )
}

fn read_numbers(dataset: &H5Dataset) -> hdf5::Result<Vec<f64>> {
    match dataset.datatype()? {
        DatatypeMessage::FixedPoint { signed: false, .. } => {
            Ok(dataset.read_numeric_as::<u64>()?.into_iter().map(|i| i as f64).collect())
        }
        DatatypeMessage::FixedPoint { .. } => {
            Ok(dataset.read_numeric_as::<i64>()?.into_iter().map(|i| i as f64).collect())
        }
        _ => dataset.read_numeric_as::<f64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn csv(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn reads_the_columns_asked_for_in_their_order() {
        let (_folder, path) = csv("id,x1, x2,y\na,1,2,3\nb,4,5,\"6\"\n");
        let table = Table::open(&path, "t.csv", None).unwrap();
        assert_eq!(table.matching("x*"), [1, 2]);
        assert_eq!(table.matching("?"), [3]);
        let numbers = table.read(&[3, 1]).unwrap();
        assert_eq!((numbers.rows, numbers.values), (2, vec![3.0, 1.0, 6.0, 4.0]));
    }

    #[test]
    fn broken_cells_are_located() {
        let (_folder, path) = csv("x,y\n1,2\n\n\"a,b\", nan\n3,\n");
        let table = Table::open(&path, "t.csv", None).unwrap();
        let errors = table.read(&[0, 1]).unwrap_err();
        let places: Vec<_> = errors.iter().map(|e| (e.line, e.column, e.length)).collect();
        assert_eq!(places, [(4, 1, 5), (4, 8, 3), (5, 3, 1)], "{errors:?}");
        assert!(errors[1].message.contains("`nan` is not a finite number (row 2, column `y`)"));
    }

    #[test]
    fn rows_of_another_length_and_doubled_names_are_located() {
        let (_folder, path) = csv("x,y\n1,2\n3\n");
        let errors = Table::open(&path, "t.csv", None).unwrap().read(&[0]).unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (3, 1));
        let (_folder, path) = csv("x,y,x\n1,2,3\n");
        let Err(TableError::Places(errors)) = Table::open(&path, "t.csv", None) else { panic!() };
        assert_eq!((errors[0].line, errors[0].column), (1, 5));
    }

    #[test]
    fn globs() {
        let matches = |p: &str, n: &str| glob(&p.chars().collect::<Vec<_>>(), &n.chars().collect::<Vec<_>>());
        assert!(matches("pixel*", "pixel12") && matches("*", "") && matches("a*b*c", "axxbyyc"));
        assert!(!matches("pixel*", "pixe") && !matches("a?c", "ac") && !matches("a*b", "ac"));
    }

    #[test]
    fn hdf5_datasets_become_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.h5");
        let file = H5File::create(&path).unwrap();
        file.new_dataset::<f64>()
            .shape([3, 2])
            .create("x")
            .unwrap()
            .write_raw(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .unwrap();
        file.new_dataset::<i32>().shape([3]).create("y").unwrap().write_raw(&[7_i32, 8, 9]).unwrap();
        let group = file.create_group("g").unwrap();
        group.new_dataset::<u8>().shape([2]).create("z").unwrap().write_raw(&[1_u8, 255]).unwrap();
        file.close().unwrap();
        let table = Table::open(&path, "t.h5", None).unwrap();
        assert_eq!(table.names(), ["x[0]", "x[1]", "y"]);
        assert_eq!(table.matching("x"), [0, 1]);
        assert_eq!(table.read(&[2, 1]).unwrap().values, [7.0, 2.0, 8.0, 4.0, 9.0, 6.0]);
        let table = Table::open(&path, "t.h5", Some("x")).unwrap();
        assert_eq!(table.names(), ["0", "1"]);
        let table = Table::open(&path, "t.h5", Some("g")).unwrap();
        assert_eq!(table.read(&[0]).unwrap().values, [1.0, 255.0]);
        assert!(matches!(Table::open(&path, "t.h5", Some("nothing")), Err(TableError::Whole(..))));
    }
}
