//! Tables in text: a header, then rows of numbers; text stands only in columns that the study does not use.

use std::collections::HashSet;
use std::ops::Range;

use super::{Body, Format, Numbers, Table, TableError, held, reads_as_name};
use crate::study::Diagnostic;
use crate::study::source;

/// Most cells of one table that are reported at once.
const MOST_CELLS: usize = 10;
/// Names by which it is judged whether a header may be shown.
const JUDGED: usize = 64;
/// What may stand between cells, and what it is called.
const SEPARATORS: [(char, &str); 4] = [(',', "commas"), (';', "semicolons"), ('\t', "tabs"), ('|', "bars")];

/// A table as text.
#[derive(Debug)]
pub(super) struct Text {
    decoded: String,
    /// Where the header stands, or the first row: after lines that begin with `#`.
    start: usize,
    /// Lines before that.
    above: usize,
    separator: u8,
    /// Whether the first line names the columns.
    header: bool,
    /// The first line has numbers alone, and nothing says whether it is a header.
    pub headed_by_numbers: bool,
}

impl Table {
    pub(super) fn open_csv(bytes: Vec<u8>, shown: &str, format: Format<'_>) -> Result<Self, TableError> {
        let text = decoded(bytes, shown)?;
        let separator = format.separator.unwrap_or(',');
        if !SEPARATORS.iter().any(|(c, _)| *c == separator) {
            return Err(TableError::whole(
                format!("cells cannot be separated by {separator:?}"),
                "a separator is a comma, a semicolon, a tab (\"\\t\") or a bar",
            ));
        }
        let (start, above) = after_comments(&text);
        let mut body = Text {
            decoded: text,
            start,
            above,
            separator: separator as u8,
            header: format.header.unwrap_or(true),
            headed_by_numbers: false,
        };
        let mut reader = body.reader();
        let first: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Err(TableError::Places(vec![body.malformed(shown, &error, false)])),
        };
        if first.iter().all(String::is_empty) {
            return Err(TableError::whole(
                format!("{shown} has no header"),
                "the first line names the columns, separated by commas",
            ));
        }
        if format.separator.is_none() && first.len() == 1 {
            other_separator(&body, shown)?;
        }
        let is_number = |cell: &String| cell.parse::<f64>().is_ok_and(f64::is_finite);
        let names: Vec<String> =
            if body.header { first.clone() } else { (0..first.len()).map(|c| c.to_string()).collect() };
        // What follows the header tells a table from a file of another kind, whose lines no message should show.
        let mut second = ::csv::StringRecord::new();
        let follows = if body.header {
            matches!(reader.read_record(&mut second), Ok(true))
                && second.iter().any(|cell| is_number(&cell.to_owned()))
        } else {
            first.iter().any(is_number)
        };
        let readable = follows && names.iter().take(JUDGED).all(|name| reads_as_name(name));
        drop(reader);
        if names.len() > super::MOST_COLUMNS {
            return Err(TableError::whole(
                format!("{shown} has {} columns; a table has at most {}", names.len(), super::MOST_COLUMNS),
                "rows are samples, columns what each has: is the table on its side?",
            ));
        }
        let mut seen = HashSet::with_capacity(names.len());
        if let Some(index) = names.iter().position(|name| !seen.insert(name.as_str())) {
            let message = if readable {
                format!("two columns are called `{}`", names[index])
            } else {
                "two columns have the same name".to_owned()
            };
            let help = "give every column a name of its own";
            let place = body.place(body.above + 1, index);
            return Err(TableError::Places(vec![body.at(shown, place, message, help, readable)]));
        }
        body.headed_by_numbers = format.header.is_none() && first.iter().all(is_number);
        Ok(Self::new(shown, names, readable, Body::Csv(body)))
    }

    pub(super) fn read_csv(&self, body: &Text, columns: &[usize]) -> Result<Numbers, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut values: Vec<f64> = Vec::new();
        let mut rows = 0;
        let mut record = ::csv::StringRecord::new();
        let mut reader = body.reader();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) => {
                    errors.push(body.malformed(&self.path, &error, self.readable));
                    break;
                }
            }
            rows += 1;
            if let Err((message, help)) = held(rows, columns.len()) {
                return Err(vec![self.whole(message, help)]);
            }
            for &column in columns {
                let written = record.get(column).unwrap_or("");
                match written.parse::<f64>() {
                    Ok(x) if x.is_finite() => values.push(x),
                    _ => {
                        let line = record.position().map_or(1, ::csv::Position::line);
                        let line = usize::try_from(line).unwrap_or(1) + body.above;
                        let what = match written {
                            "" => "this cell is empty".to_owned(),
                            _ if !self.readable => "a cell is not a finite number".to_owned(),
                            _ => format!("`{written}` is not a finite number"),
                        };
                        let comma = written.replacen(',', ".", 1).parse::<f64>().is_ok();
                        let help = if comma && written.contains(',') {
                            "write decimals with a point, such as 1.5"
                        } else {
                            "every cell of a column that the study uses must be a number"
                        };
                        let name = if self.readable {
                            format!("column `{}`", self.names[column])
                        } else {
                            format!("column {}", column + 1)
                        };
                        let message = format!("{what} (row {rows}, {name})");
                        let place = body.place(line, column);
                        errors.push(body.at(&self.path, place, message, help, self.readable));
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

impl Text {
    fn reader(&self) -> ::csv::Reader<&[u8]> {
        ::csv::ReaderBuilder::new()
            .trim(::csv::Trim::All)
            .delimiter(self.separator)
            .has_headers(self.header)
            .from_reader(&self.decoded.as_bytes()[self.start..])
    }

    /// A malformed row: one of another length than the first.
    fn malformed(&self, shown: &str, error: &::csv::Error, readable: bool) -> Diagnostic {
        let line = error.position().map_or(1, ::csv::Position::line);
        let line = usize::try_from(line).unwrap_or(1) + self.above;
        let place = self.place(line, 0);
        let comment = self.decoded[place.start..].starts_with('#');
        let (message, help) = match error.kind() {
            ::csv::ErrorKind::UnequalLengths { .. } if comment => (
                "a comment among the rows".to_owned(),
                "comments stand above the header, in lines that begin with #".to_owned(),
            ),
            ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                let first = if self.header { "header" } else { "first row" };
                (
                    format!("this row has {len} cells, the {first} {expected_len}"),
                    format!("every row has as many cells as the {first}, separated by {}", self.separated()),
                )
            }
            _ => (
                format!("this is not CSV: {error}"),
                "save the table as CSV in UTF-8, with a header line".to_owned(),
            ),
        };
        self.at(shown, place, message, &help, readable)
    }

    fn separated(&self) -> &'static str {
        SEPARATORS.iter().find(|(c, _)| *c as u8 == self.separator).map_or("commas", |(_, name)| name)
    }

    /// A message at a place, which shows the line there if it may be shown.
    fn at(
        &self,
        shown: &str,
        place: Range<usize>,
        message: String,
        help: &str,
        readable: bool,
    ) -> Diagnostic {
        let mut found = source::at(shown, &self.decoded, place, message, help);
        if !readable {
            found.excerpt = None;
        }
        found
    }

    /// The bytes of a cell: `line` counts from 1 and is where the row begins, `column` from 0. Quotes are followed.
    fn place(&self, line: usize, column: usize) -> Range<usize> {
        let text = &self.decoded;
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
                b if b == self.separator && !quoted => {
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
}

/// The text of a file that is no HDF5, or what it is instead.
fn decoded(bytes: Vec<u8>, shown: &str) -> Result<String, TableError> {
    let other: Option<(&str, &str)> = match &bytes[..bytes.len().min(8)] {
        [0x89, b'H', b'D', b'F', ..] => Some(("HDF5 packed by gzip", "unpack it: gunzip")),
        [b'P', b'K', 3, 4, ..] => {
            Some(("a zip archive, as spreadsheets and .npz are", "save the table as CSV"))
        }
        [0x93, b'N', b'U', b'M', ..] => {
            Some(("a NumPy array", "write it as text: numpy.savetxt(name, a, delimiter=\",\"), or with h5py"))
        }
        [b'P', b'A', b'R', b'1', ..] => {
            Some(("Parquet", "write it as CSV: pandas.read_parquet(name).to_csv(…)"))
        }
        [b'C', b'D', b'F', 1 | 2 | 5, ..] => {
            Some(("netCDF of the classic format", "make HDF5 of it: nccopy -k netCDF-4 in.nc out.nc"))
        }
        [b'M', b'A', b'T', b'L', b'A', b'B', ..] => {
            Some(("a MATLAB file of an old version", "save it as HDF5: save(name, '-v7.3')"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(("text in UTF-16", "save the table as CSV in UTF-8")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', ..] | [b'B', b'Z', b'h', ..] => {
            Some(("packed, and not by gzip", "unpack it, or pack it by gzip"))
        }
        _ => None,
    };
    if let Some((what, help)) = other {
        return Err(TableError::whole(format!("{shown} is {what}"), help));
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
        TableError::whole(
            format!("{shown} is neither UTF-8 text nor HDF5"),
            "save the table as CSV in UTF-8, with a header line, or as HDF5",
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Where the lines end that begin with `#`, and how many there are, empty ones among them too.
fn after_comments(text: &str) -> (usize, usize) {
    let (mut start, mut above, mut seen) = (0, 0, 0);
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        seen += 1;
        end += line.len();
        if line.starts_with('#') {
            (start, above) = (end, seen);
        } else if !line.trim().is_empty() {
            break;
        }
    }
    (start, above)
}

/// An error where the first lines are cut by another separator than commas.
fn other_separator(body: &Text, shown: &str) -> Result<(), TableError> {
    let mut lines = body.decoded[body.start..].lines().filter(|line| !line.trim().is_empty());
    let (first, second) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    for (separator, called) in SEPARATORS.iter().filter(|(c, _)| *c as u8 != body.separator) {
        let cells = |line: &str| line.split(*separator).count();
        if cells(first) > 1 && cells(first) == cells(second) {
            return Err(TableError::whole(
                format!("{shown} has one column by commas, and {} by {called}", cells(first)),
                format!(
                    "add separator = {} to [population]",
                    if *separator == '\t' { "\"\\t\"".to_owned() } else { format!("\"{separator}\"") }
                ),
            ));
        }
    }
    Ok(())
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
        let table = Table::open(&path, "t.csv", Format::default()).unwrap();
        assert_eq!(table.matching("x*"), [1, 2]);
        assert_eq!(table.matching("?"), [3]);
        let numbers = table.read(&[vec![3, 1], vec![], vec![1]]).unwrap();
        assert_eq!((numbers[0].rows, &numbers[0].values), (2, &vec![3.0, 1.0, 6.0, 4.0]));
        assert_eq!((numbers[1].rows, numbers[1].values.len(), &numbers[2].values), (2, 0, &vec![1.0, 4.0]));
    }

    #[test]
    fn broken_cells_are_located() {
        let (_folder, path) = csv("x,y\n1,2\n\n\"a,b\", nan\n3,\n");
        let table = Table::open(&path, "t.csv", Format::default()).unwrap();
        let errors = table.read(&[vec![0], vec![1]]).unwrap_err();
        let places: Vec<_> = errors.iter().map(|e| (e.line, e.column, e.length)).collect();
        assert_eq!(places, [(4, 1, 5), (4, 8, 3), (5, 3, 1)], "{errors:?}");
        assert!(errors[1].message.contains("`nan` is not a finite number (row 2, column `y`)"));
    }

    #[test]
    fn rows_of_another_length_and_doubled_names_are_located() {
        let (_folder, path) = csv("x,y\n1,2\n3\n");
        let errors = Table::open(&path, "t.csv", Format::default()).unwrap().read(&[vec![0]]).unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (3, 1));
        let (_folder, path) = csv("x,y,x\n1,2,3\n");
        let Err(TableError::Places(errors)) = Table::open(&path, "t.csv", Format::default()) else {
            panic!()
        };
        assert_eq!((errors[0].line, errors[0].column), (1, 5));
    }

    fn open(text: &str, format: Format<'_>) -> Result<Table, TableError> {
        let (_folder, path) = csv(text);
        Table::open(&path, "t.csv", format)
    }

    fn whole(found: Result<Table, TableError>) -> (String, String) {
        match found {
            Err(TableError::Whole(message, help)) => (message, help),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn separators_are_read_where_they_are_said_and_named_where_not() {
        for (separator, text, written) in [
            (';', "a;b\n1;2\n3;4\n", "\";\""),
            ('\t', "a\tb\n1\t2\n3\t4\n", "\"\\t\""),
            ('|', "a|b\n1|2\n3|4\n", "\"|\""),
        ] {
            let (message, help) = whole(open(text, Format::default()));
            assert!(message.contains("has one column by commas, and 2 by "), "{message}");
            assert!(help.contains(&format!("separator = {written}")), "{help}");
            let table = open(text, Format { separator: Some(separator), ..Format::default() }).unwrap();
            assert_eq!(table.read(&[vec![1, 0]]).unwrap()[0].values, [2.0, 1.0, 4.0, 3.0]);
        }
        let (message, _) = whole(open("a b\n1 2\n", Format { separator: Some(' '), ..Format::default() }));
        assert!(message.contains("cannot be separated by ' '"), "{message}");
        // A decimal comma is no separator, and no number.
        let table = open("a;b\n1,5;2\n", Format { separator: Some(';'), ..Format::default() }).unwrap();
        let errors = table.read(&[vec![0]]).unwrap_err();
        assert!(errors[0].help.contains("decimals with a point") && errors[0].column == 1, "{errors:?}");
    }

    #[test]
    fn a_table_without_a_header_loses_no_row() {
        let text = "100,200\n1,2\n3,4\n";
        let table = open(text, Format::default()).unwrap();
        assert!(table.headed_by_numbers());
        let table = open(text, Format { header: Some(false), ..Format::default() }).unwrap();
        assert!(!table.headed_by_numbers() && table.names() == ["0", "1"]);
        assert_eq!(table.read(&[vec![0, 1]]).unwrap()[0].values, [100.0, 200.0, 1.0, 2.0, 3.0, 4.0]);
        // Numbers that are said to be names are names.
        let table = open(text, Format { header: Some(true), ..Format::default() }).unwrap();
        assert!(!table.headed_by_numbers() && table.names() == ["100", "200"]);
        assert!(!open("a,2\n1,2\n", Format::default()).unwrap().headed_by_numbers());
    }

    #[test]
    fn comments_stand_above_the_header_and_hide_no_row() {
        let table = open("# made by hand\n\n#, too\nx,y\n1,2\n#3,4\n", Format::default()).unwrap();
        assert_eq!(table.names(), ["x", "y"]);
        // A cell that begins with # is a cell.
        let errors = table.read(&[vec![0]]).unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (6, 1), "{errors:?}");
        assert_eq!(table.read(&[vec![1]]).unwrap()[0].values, [2.0, 4.0]);
        let table = open("# here\nx,y\n1,2\n# there\n3,4\n", Format::default()).unwrap();
        let errors = table.read(&[vec![0]]).unwrap_err();
        assert!(errors[0].message == "a comment among the rows" && errors[0].line == 4, "{errors:?}");
    }

    #[test]
    fn what_gzip_packed_is_read_and_what_is_no_text_is_called_what_it_is() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"x,y\n1,2\n").unwrap();
        let packed = packed.finish().unwrap();
        std::fs::write(&path, &packed).unwrap();
        let table = Table::open(&path, "t.csv.gz", Format::default()).unwrap();
        assert_eq!(table.read(&[vec![1]]).unwrap()[0].values, [2.0]);
        std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
        let (message, _) = whole(Table::open(&path, "t.csv.gz", Format::default()));
        assert!(message.starts_with("cannot unpack t.csv.gz: "), "{message}");
        for (bytes, what) in [
            (&b"PK\x03\x04abcd"[..], "zip"),
            (b"\x93NUMPY\x01\x00", "NumPy"),
            (b"CDF\x01abcd", "netCDF"),
            (b"x,y\n1,\0\n", "neither UTF-8 text nor HDF5"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let (message, help) = whole(Table::open(&path, "t", Format::default()));
            assert!(message.contains(what) && !help.is_empty(), "{message}");
        }
    }

    #[test]
    fn no_message_shows_the_lines_of_a_file_that_is_no_table() {
        let secret = "root:*:0:0:System Administrator:/var/root:/bin/sh\nnobody:*:-2:-2:x:y,z:/bin/false\n";
        let table = open(secret, Format::default()).unwrap();
        assert!(table.shown_names().is_empty());
        let mut said = format!("{:?}", table.trouble("x"));
        for error in table.read(&[vec![0]]).unwrap_err() {
            said.push_str(&error.render(false));
        }
        for text in ["hunter2\n", "hunter2\nhunter2\n", "hunter2,hunter2\n", "a b c d e f hunter2\n1\n"] {
            match open(text, Format::default()) {
                Ok(table) => said.push_str(&format!("{:?} {:?}", table.shown_names(), table.trouble("x"))),
                Err(TableError::Places(errors)) => {
                    for error in &errors {
                        said.push_str(&error.render(false));
                    }
                }
                Err(TableError::Whole(message, help)) => said.push_str(&format!("{message} {help}")),
            }
        }
        assert!(!said.contains("root") && !said.contains("nobody") && !said.contains("hunter"), "{said}");
        // Control: names are shown where they read as such and numbers follow.
        let table = open("petal length (cm),T [K]\nred,2\n", Format::default()).unwrap();
        assert_eq!(table.shown_names().len(), 2);
        assert!(table.read(&[vec![0]]).unwrap_err()[0].render(false).contains("red"));
    }

    #[test]
    fn many_columns_take_time_in_proportion() {
        // 10⁵ names were compared by pairs: 5·10⁹ comparisons would not end here.
        let names: Vec<String> = (0..100_000).map(|i| format!("c{i}")).collect();
        let row = vec!["1"; names.len()].join(",");
        let table = open(&format!("{}\n{row}\n{row}\n", names.join(",")), Format::default()).unwrap();
        assert_eq!((table.column("c99999"), table.matching("c9999?").len()), (Some(99_999), 10));
        let sets: Vec<Vec<usize>> = (0..names.len()).map(|c| vec![c]).collect();
        assert_eq!(table.read(&sets).unwrap().len(), names.len());
        let twice = format!("{},c0\n{row},1\n", names.join(","));
        assert!(matches!(open(&twice, Format::default()), Err(TableError::Places(_))));
    }
}
