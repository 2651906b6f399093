//! Tables in CSV: a header, then rows of numbers; text stands only in columns that the study does not use.

use super::{Body, Numbers, Table, TableError};
use crate::study::Diagnostic;
use crate::study::source;

/// Most cells of one table that are reported at once.
const MOST_CELLS: usize = 10;

impl Table {
    pub(super) fn open_csv(bytes: Vec<u8>, shown: &str) -> Result<Self, TableError> {
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

    pub(super) fn read_csv(&self, text: &str, columns: &[usize]) -> Result<Numbers, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut values = Vec::new();
        let mut rows = 0;
        let mut record = ::csv::StringRecord::new();
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
                        let line = record.position().map_or(1, ::csv::Position::line);
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

fn csv_reader(text: &str) -> ::csv::Reader<&[u8]> {
    ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(text.as_bytes())
}

/// A malformed row: one of another length than the header.
fn csv_error(path: &str, text: &str, error: &::csv::Error) -> Diagnostic {
    let line = error.position().map_or(1, ::csv::Position::line);
    let (message, help) = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

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
}
