//! Tables in HDF5: a dataset, or all datasets of a group. Only what a study names is read, and that by parts.
//!
//! Numbers are decoded as netCDF's conventions have it and xarray reads it: what equals `_FillValue` or `missing_value` is missing, `_Unsigned = "true"`
//! makes signed integers unsigned, and a value x stands for x·`scale_factor` + `add_offset`. Truth values and enumerations are their numbers.
//! MATLAB stores its arrays on their side: they are turned.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ::hdf5::{ByteOrder, DatatypeMessage, H5Dataset, H5File, LinkClass};

use super::{Body, MOST_COLUMNS, Numbers, Table, TableError, held, reads_as_name};
use crate::study::Diagnostic;

/// Numbers that are read at once.
const PART: usize = 1 << 20;
/// Most bytes of a chunk, which is unpacked as a whole.
const MOST_CHUNK: usize = 1 << 28;
/// Most names that a message lists.
const LISTED: usize = 16;

/// The datasets of a table.
#[derive(Debug)]
pub(super) struct Datasets {
    path: PathBuf,
    /// Those that give columns, in order.
    list: Vec<Dataset>,
    /// Names of those that give none, and why.
    others: Vec<(String, String)>,
}

#[derive(Debug)]
struct Dataset {
    name: String,
    /// Within the file.
    place: String,
    rows: usize,
    /// Its columns among the table's.
    columns: Range<usize>,
    /// Rows of the table are columns of the dataset.
    turned: bool,
}

impl Datasets {
    /// The columns of a whole dataset.
    pub fn columns_of(&self, name: &str) -> Option<Range<usize>> {
        self.list.iter().find(|d| d.name == name).map(|d| d.columns.clone())
    }

    /// Why a dataset gives no columns.
    pub fn trouble(&self, name: &str) -> Option<(String, String)> {
        let (_, reason) = self.others.iter().find(|(other, _)| other == name)?;
        let help = "a column is a dataset of numbers of one dimension, or of two: rows and columns";
        Some((format!("the dataset `{name}` {reason}"), help.to_owned()))
    }
}

impl Table {
    pub(super) fn open_hdf5(
        path: &Path,
        shown: &str,
        dataset: Option<&str>,
        matlab: bool,
    ) -> Result<Self, TableError> {
        let wrong = |error: ::hdf5::Hdf5Error| {
            TableError::whole(
                format!("cannot read {shown}: {error}"),
                "check the file with h5dump; h5repack writes it anew",
            )
        };
        let file = H5File::options().no_locking().open(path).map_err(wrong)?;
        let mut found = Found { datasets: Datasets::new(path), names: Vec::new(), matlab };
        let wanted = dataset.unwrap_or("").trim_matches('/');
        let root = file.root_group();
        let group = if wanted.is_empty() { Some(root) } else { root.group(wanted).ok() };
        if let Some(group) = group {
            let mut names = group.dataset_names().map_err(wrong)?;
            // Links by a path stand for what they lead to.
            for link in group.link_names().map_err(wrong)? {
                if !names.contains(&link) && matches!(group.link_class(&link), Ok(LinkClass::Soft { .. })) {
                    names.push(link);
                }
            }
            for name in names {
                let place = if wanted.is_empty() { name.clone() } else { format!("{wanted}/{name}") };
                match file.dataset(&place) {
                    Ok(dataset) => found.add(&name, &place, &dataset, false),
                    // A link to a group is no dataset.
                    Err(_) if group.group(&name).is_ok() => {}
                    Err(error) => found.datasets.others.push((name, format!("cannot be read: {error}"))),
                }
            }
        } else {
            let dataset = file.dataset(wanted).map_err(|error| {
                let all = file.dataset_names();
                if all.iter().any(|name| name.trim_matches('/') == wanted) {
                    let help = "convert it with h5repack -f GZIP=1 in.h5 out.h5, or write it anew with h5py";
                    return TableError::whole(format!("cannot read the dataset `{wanted}`: {error}"), help);
                }
                TableError::whole(format!("{shown} has no dataset or group `{wanted}`"), known(&all))
            })?;
            let name = wanted.rsplit('/').next().unwrap_or(wanted);
            found.add(name, wanted, &dataset, true);
            if let Some((message, help)) = found.datasets.trouble(name) {
                return Err(TableError::Whole(message, help));
            }
        }
        if found.names.is_empty() {
            let reasons: Vec<String> =
                found.datasets.others.iter().map(|(n, why)| format!("`{n}` {why}")).collect();
            let help = if reasons.is_empty() {
                format!("name one with `dataset`; {}", known(&file.dataset_names()))
            } else {
                reasons.into_iter().take(LISTED).collect::<Vec<_>>().join("; ")
            };
            return Err(TableError::whole(format!("{shown} has no columns of numbers there"), help));
        }
        Ok(Self::new(shown, found.names, true, Body::Hdf5(found.datasets)))
    }

    pub(super) fn read_hdf5(
        &self,
        datasets: &Datasets,
        wanted: &[usize],
    ) -> Result<Numbers, Vec<Diagnostic>> {
        let fail = |(message, help): (String, String)| vec![self.whole(message, help)];
        let used: Vec<&Dataset> = datasets
            .list
            .iter()
            .filter(|d| wanted.is_empty() || wanted.iter().any(|c| d.columns.contains(c)))
            .collect();
        let rows = used.first().map_or(0, |d| d.rows);
        if let Some(other) = used.iter().find(|d| d.rows != rows) {
            return Err(fail((
                format!("the dataset `{}` has {} rows, `{}` {rows}", other.name, other.rows, used[0].name),
                "columns of one table have the same number of rows; name those that have, or a `dataset`"
                    .to_owned(),
            )));
        }
        held(rows, wanted.len()).map_err(fail)?;
        let mut values = Vec::new();
        if values.try_reserve_exact(rows * wanted.len()).is_err() {
            let message = format!("there is no memory for {rows} rows of {} columns", wanted.len());
            return Err(fail((message, "name fewer columns in [data], or cut the table".to_owned())));
        }
        values.resize(rows * wanted.len(), 0.0);
        if wanted.is_empty() || rows == 0 {
            return Ok(Numbers { rows, width: wanted.len(), values });
        }
        let broken = |error: ::hdf5::Hdf5Error| {
            fail((format!("cannot read {}: {error}", self.path), "check the file with h5dump".to_owned()))
        };
        let file = H5File::options().no_locking().open(&datasets.path).map_err(broken)?;
        for dataset in used {
            let from = wanted.partition_point(|c| *c < dataset.columns.start);
            let to = wanted.partition_point(|c| *c < dataset.columns.end);
            let chosen = &wanted[from..to];
            let open = file.dataset(&dataset.place).map_err(broken)?;
            let decoding = Decoding::of(&open);
            let mut put = |row: usize, column: usize, stored: f64| {
                let at = wanted.partition_point(|c| *c < dataset.columns.start + column);
                match decoding.value(stored) {
                    Ok(x) => values[row * wanted.len() + at] = x,
                    Err(what) => {
                        return Err((
                            format!("the dataset `{}` {what} at row {row}, column {column}", dataset.name),
                            "remove the rows whose values are missing, or fill them".to_owned(),
                        ));
                    }
                }
                Ok(())
            };
            dataset.each(&open, chosen, &mut put).map_err(fail)?;
        }
        Ok(Numbers { rows, width: wanted.len(), values })
    }
}

/// What an open file was found to have.
struct Found {
    datasets: Datasets,
    names: Vec<String>,
    matlab: bool,
}

impl Found {
    /// Adds a dataset's columns: by index where it is the only one, else `name` (1-D) or `name[0]`, `name[1]`, … (2-D).
    fn add(&mut self, name: &str, place: &str, dataset: &H5Dataset, only: bool) {
        let shape = dataset.shape();
        // MATLAB's arrays have two dimensions or more, the last one first.
        let turned = self.matlab && shape.len() == 2;
        let (rows, columns) = match shape[..] {
            [rows] => (rows, 1),
            [columns, rows] if turned => (rows, columns),
            [rows, columns] => (rows, columns),
            _ => {
                let reason = format!("has {} dimensions", shape.len());
                self.datasets.others.push((name.to_owned(), reason));
                return;
            }
        };
        let first = self.names.len();
        let reason = match dataset.datatype() {
            Err(error) => Some(format!("cannot be read: {error}")),
            Ok(kind) if !numeric(&kind) => Some(format!("holds no numbers, but {kind}")),
            Ok(_) if first.saturating_add(columns) > MOST_COLUMNS => {
                Some(format!("has {columns} columns; a table has at most {MOST_COLUMNS}"))
            }
            Ok(_) => chunk_trouble(dataset),
        };
        if let Some(reason) = reason {
            self.datasets.others.push((name.to_owned(), reason));
            return;
        }
        let flat = shape.len() == 1 || (turned && columns == 1);
        for column in 0..columns {
            self.names.push(match (only && shape.len() == 2, flat) {
                (true, _) => column.to_string(),
                (false, true) => name.to_owned(),
                (false, false) => format!("{name}[{column}]"),
            });
        }
        self.datasets.list.push(Dataset {
            name: name.to_owned(),
            place: place.to_owned(),
            rows,
            columns: first..first + columns,
            turned,
        });
    }
}

impl Datasets {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), list: Vec::new(), others: Vec::new() }
    }
}

/// What is wrong: what, and how to mend it.
type Trouble = (String, String);

impl Dataset {
    /// Shows the stored numbers of some of the table's columns, by parts.
    fn each(
        &self,
        open: &H5Dataset,
        chosen: &[usize],
        put: &mut dyn FnMut(usize, usize, f64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let (Some(first), Some(last)) = (chosen.first(), chosen.last()) else { return Ok(()) };
        let (first, last) = (first - self.columns.start, last - self.columns.start);
        let width = last + 1 - first;
        let step = (PART / width).max(1);
        // Parts along the chunks, which are unpacked once each.
        let along = open.chunk_dims().and_then(|dims| dims.get(usize::from(self.turned)).copied());
        let step = along.map_or(step, |chunk| step.next_multiple_of(chunk.max(1)));
        let block = (MOST_CHUNK / 8 / step).clamp(1, width);
        for row in (0..self.rows).step_by(step) {
            for begin in (first..=last).step_by(block) {
                let columns = begin..(begin + block).min(last + 1);
                let from = chosen.partition_point(|c| c - self.columns.start < columns.start);
                let to = chosen.partition_point(|c| c - self.columns.start < columns.end);
                self.part(open, row..(row + step).min(self.rows), columns, &chosen[from..to], put)?;
            }
        }
        Ok(())
    }

    /// The same for some rows, and columns of the dataset that lie side by side.
    fn part(
        &self,
        open: &H5Dataset,
        rows: Range<usize>,
        columns: Range<usize>,
        chosen: &[usize],
        put: &mut dyn FnMut(usize, usize, f64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if !chosen.is_empty() {
            let (row, count, first, width) = (rows.start, rows.len(), columns.start, columns.len());
            let (starts, counts) = match (open.ndims(), self.turned) {
                (1, _) => (vec![row], vec![count]),
                (_, false) => (vec![row, first], vec![count, width]),
                (_, true) => (vec![first, row], vec![width, count]),
            };
            let part = stored(open, &starts, &counts).map_err(|error| {
                (
                    format!("cannot read the dataset `{}`: {error}", self.name),
                    "convert it with h5repack -f GZIP=1 in.h5 out.h5, or write it anew with h5py".to_owned(),
                )
            })?;
            for at in 0..count {
                for column in chosen {
                    let column = column - self.columns.start;
                    let place = column - first;
                    let index = if self.turned { place * count + at } else { at * width + place };
                    let value = part.get(index).copied().unwrap_or(f64::NAN);
                    put(row + at, column, value)?;
                }
            }
        }
        Ok(())
    }
}

/// How a stored number is read.
#[derive(Debug, Default)]
struct Decoding {
    missing: Vec<f64>,
    /// What is added to negative numbers.
    wrap: f64,
    scale: Option<f64>,
    offset: Option<f64>,
}

impl Decoding {
    fn of(dataset: &H5Dataset) -> Self {
        let names = dataset.attr_names().unwrap_or_default();
        let number = |name: &str| -> Option<f64> {
            let attribute = names.iter().any(|n| n == name).then(|| dataset.attr(name).ok())??;
            let whole =
                || attribute.read_numeric_as::<i64>().ok().map(|v| v.iter().map(|&i| i as f64).collect());
            let large =
                || attribute.read_numeric_as::<u64>().ok().map(|v| v.iter().map(|&i| i as f64).collect());
            let list: Vec<f64> = attribute.read_numeric_as::<f64>().ok().or_else(whole).or_else(large)?;
            list.first().copied()
        };
        let unsigned = names.iter().any(|n| n == "_Unsigned")
            && dataset.attr("_Unsigned").and_then(|a| a.read_string()).is_ok_and(|s| s.trim() == "true");
        let wrap = match dataset.datatype() {
            Ok(DatatypeMessage::FixedPoint { size, signed: true, .. }) if unsigned && size < 8 => {
                (1_u64 << (8 * size)) as f64
            }
            _ => 0.0,
        };
        Self {
            missing: ["_FillValue", "missing_value"].into_iter().filter_map(number).collect(),
            wrap,
            scale: number("scale_factor"),
            offset: number("add_offset"),
        }
    }

    fn value(&self, stored: f64) -> Result<f64, String> {
        if self.missing.contains(&stored) {
            return Err(format!("has a missing value ({stored}, as its attributes say)"));
        }
        let x = if stored < 0.0 { stored + self.wrap } else { stored };
        let x = self.scale.map_or(x, |scale| x * scale);
        let x = self.offset.map_or(x, |offset| x + offset);
        if x.is_finite() { Ok(x) } else { Err("is not finite".to_owned()) }
    }
}

/// A chunk that is too large to be unpacked.
fn chunk_trouble(dataset: &H5Dataset) -> Option<String> {
    let size = dataset.element_size();
    let bytes = dataset.chunk_dims()?.iter().fold(size, |bytes, n| bytes.saturating_mul(*n));
    (bytes > MOST_CHUNK)
        .then(|| format!("has chunks of {bytes} bytes; at most {MOST_CHUNK} are unpacked at once"))
}

/// True for numbers, truth values and enumerations.
fn numeric(kind: &DatatypeMessage) -> bool {
    match kind {
        DatatypeMessage::FixedPoint { .. }
        | DatatypeMessage::FloatingPoint { .. }
        | DatatypeMessage::BitField { .. } => true,
        DatatypeMessage::Enum { base, .. } => matches!(**base, DatatypeMessage::FixedPoint { .. }),
        _ => false,
    }
}

/// The numbers of a part as they are stored.
fn stored(dataset: &H5Dataset, starts: &[usize], counts: &[usize]) -> ::hdf5::Result<Vec<f64>> {
    let kind = dataset.datatype()?;
    match &kind {
        DatatypeMessage::Enum { base, .. } => match **base {
            DatatypeMessage::FixedPoint { size, byte_order, signed, .. } => {
                enumerated(dataset, starts, counts, (size, byte_order, signed))
            }
            _ => dataset.read_numeric_slice_as::<f64>(starts, counts),
        },
        DatatypeMessage::FixedPoint { signed: false, .. } | DatatypeMessage::BitField { .. } => {
            Ok(dataset.read_numeric_slice_as::<u64>(starts, counts)?.into_iter().map(|i| i as f64).collect())
        }
        DatatypeMessage::FixedPoint { .. } => {
            Ok(dataset.read_numeric_slice_as::<i64>(starts, counts)?.into_iter().map(|i| i as f64).collect())
        }
        _ => dataset.read_numeric_slice_as::<f64>(starts, counts),
    }
}

/// The numbers of an enumeration, by the integers that it is made of.
#[allow(
    clippy::cast_lossless,
    reason = "one macro reads numbers of every width, and the widest have more digits than a double"
)]
fn enumerated(
    dataset: &H5Dataset,
    starts: &[usize],
    counts: &[usize],
    (size, order, signed): (u32, ByteOrder, bool),
) -> ::hdf5::Result<Vec<f64>> {
    let big = order == ByteOrder::BigEndian;
    macro_rules! read {
        ($unsigned:ty, $signed:ty) => {
            dataset
                .read_slice::<$unsigned>(starts, counts)?
                .into_iter()
                .map(|raw| if big { raw.swap_bytes() } else { raw })
                .map(|raw| if signed { raw.cast_signed() as f64 } else { raw as f64 })
                .collect()
        };
    }
    Ok(match size {
        1 => read!(u8, i8),
        2 => read!(u16, i16),
        4 => read!(u32, i32),
        _ => read!(u64, i64),
    })
}

/// The names of datasets that read as such, and not too many of them.
fn known(all: &[String]) -> String {
    let names: Vec<&str> =
        all.iter().map(String::as_str).filter(|name| name.split('/').all(reads_as_name)).collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("it has: {}{more}", names.into_iter().take(LISTED).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn open(path: &Path, dataset: Option<&str>) -> Result<Table, TableError> {
        Table::open(path, "t.h5", Format { dataset, ..Format::default() })
    }

    fn values(table: &Table, columns: &[usize]) -> Vec<f64> {
        table.read(&[columns.to_vec()]).unwrap()[0].values.clone()
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.h5");
        (folder, path)
    }

    #[test]
    fn hdf5_datasets_become_columns() {
        let (_folder, path) = folder();
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
        file.create_soft_link("link", "/g/z").unwrap();
        file.close().unwrap();
        let table = open(&path, None).unwrap();
        assert_eq!(table.names(), ["x[0]", "x[1]", "y", "link"]);
        assert_eq!(table.matching("x"), [0, 1]);
        assert_eq!(values(&table, &[2, 1]), [7.0, 2.0, 8.0, 4.0, 9.0, 6.0]);
        // What no data names has no say: the linked column has two rows.
        assert_eq!(values(&table, &[3]), [1.0, 255.0]);
        let errors = table.read(&[vec![0], vec![3]]).unwrap_err();
        assert_eq!(errors[0].message, "the dataset `link` has 2 rows, `x` 3");
        let table = open(&path, Some("x")).unwrap();
        assert_eq!(table.names(), ["0", "1"]);
        let table = open(&path, Some("g")).unwrap();
        assert_eq!(values(&table, &[0]), [1.0, 255.0]);
        assert_eq!(values(&open(&path, Some("link")).unwrap(), &[0]), [1.0, 255.0]);
        assert!(matches!(open(&path, Some("nothing")), Err(TableError::Whole(..))));
    }

    #[test]
    fn packed_numbers_are_read_as_xarray_reads_them_and_missing_ones_are_refused() {
        let (_folder, path) = folder();
        let file = H5File::create(&path).unwrap();
        let make = |name: &str, numbers: &[i16], attributes: &[(&str, f64)]| {
            let dataset = file.new_dataset::<i16>().shape([numbers.len()]).create(name).unwrap();
            dataset.write_raw(numbers).unwrap();
            for (name, value) in attributes {
                dataset.new_attr::<f64>().shape(()).create(name).unwrap().write_numeric(value).unwrap();
            }
            dataset
        };
        let packed = [("scale_factor", 0.5), ("add_offset", 25.0), ("_FillValue", -999.0)];
        make("x", &[1, 2, -3], &packed);
        make("gap", &[1, -999, 3], &packed);
        make("plain", &[1, -999, 3], &[]);
        let unsigned = make("unsigned", &[1, -1, 3], &[]);
        unsigned
            .new_attr::<::hdf5::types::VarLenUnicode>()
            .shape(())
            .create("_Unsigned")
            .unwrap()
            .write_string("true")
            .unwrap();
        let nan = file.new_dataset::<f64>().shape([3]).create("nan").unwrap();
        nan.write_raw(&[1.0, f64::NAN, 2.0]).unwrap();
        file.close().unwrap();
        let table = open(&path, None).unwrap();
        let column = |name: &str| vec![table.column(name).unwrap()];
        assert_eq!(values(&table, &column("x")), [25.5, 26.0, 23.5]);
        assert_eq!(values(&table, &column("plain")), [1.0, -999.0, 3.0]);
        assert_eq!(values(&table, &column("unsigned")), [1.0, 65535.0, 3.0]);
        let errors = table.read(&[column("x"), column("gap")]).unwrap_err();
        assert_eq!(
            errors[0].message,
            "the dataset `gap` has a missing value (-999, as its attributes say) at row 1, column 0"
        );
        let errors = table.read(&[column("nan")]).unwrap_err();
        assert_eq!(errors[0].message, "the dataset `nan` is not finite at row 1, column 0");
    }

    #[test]
    fn matlab_files_are_turned_and_truth_values_are_numbers() {
        let (_folder, path) = folder();
        let file = H5File::options().userblock(512).create(&path).unwrap();
        // A matrix of three rows and two columns, a column, and a row of truth values, as MATLAB stores them.
        let make = |name: &str, shape: [usize; 2], numbers: &[f64]| {
            file.new_dataset::<f64>().shape(shape).create(name).unwrap().write_raw(numbers).unwrap();
        };
        make("X", [2, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        make("y", [1, 3], &[7.0, 8.0, 9.0]);
        let byte = DatatypeMessage::FixedPoint {
            size: 1,
            byte_order: ByteOrder::LittleEndian,
            signed: true,
            bit_offset: 0,
            bit_precision: 8,
        };
        let member = |name: &str, value: u8| ::hdf5::format::messages::datatype::EnumMember {
            name: name.to_owned(),
            value: vec![value],
        };
        let truth = DatatypeMessage::Enum {
            base: Box::new(byte),
            members: vec![member("FALSE", 0), member("TRUE", 1)],
        };
        let dataset = file.new_dataset::<u8>().datatype(truth).shape([3]).create("b").unwrap();
        dataset.write_raw_bytes(&[1, 0, 1]).unwrap();
        file.close().unwrap();
        // Any other block is a block, and nothing is turned.
        let table = open(&path, None).unwrap();
        assert_eq!((table.matching("X").len(), table.matching("y").len()), (3, 3));
        assert_eq!(values(&table, &[table.column("b").unwrap()]), [1.0, 0.0, 1.0]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[..10].copy_from_slice(b"MATLAB 7.3");
        std::fs::write(&path, bytes).unwrap();
        let table = open(&path, None).unwrap();
        assert_eq!(table.matching("X").len(), 2);
        let columns = [table.matching("X"), table.matching("y")].concat();
        assert_eq!(values(&table, &columns), [1.0, 2.0, 7.0, 3.0, 4.0, 8.0, 5.0, 6.0, 9.0]);
    }

    #[test]
    fn sizes_are_counted_before_anything_is_made() {
        let (_folder, path) = folder();
        let file = H5File::create(&path).unwrap();
        let chunked = |name: &str, shape: [usize; 2], chunk: [usize; 2]| {
            let most = [None, Some(shape[1])];
            file.new_dataset::<f64>().shape(shape).max_shape(&most).chunk(&chunk).create(name).unwrap();
        };
        chunked("wide", [0, 1_000_000_000], [1, 1 << 20]);
        chunked("long", [1_000_000_000, 1], [1 << 20, 1]);
        chunked("lumps", [100_000_000, 1], [50_000_000, 1]);
        file.new_dataset::<f64>().shape([2]).create("y").unwrap().write_raw(&[1.0, 2.0]).unwrap();
        file.close().unwrap();
        let table = open(&path, None).unwrap();
        assert_eq!(values(&table, &[table.column("y").unwrap()]), [1.0, 2.0]);
        let (message, _) = table.trouble("wide").unwrap();
        assert!(message.contains("has 1000000000 columns"), "{message}");
        let (message, _) = table.trouble("lumps").unwrap();
        assert!(message.contains("has chunks of 400000000 bytes"), "{message}");
        let errors = table.read(&[table.matching("long")]).unwrap_err();
        assert!(errors[0].message.contains("more numbers than are read"), "{errors:?}");
        let Err(TableError::Whole(message, _)) = open(&path, Some("wide")) else { panic!() };
        assert!(message.contains("has 1000000000 columns"), "{message}");
    }
}
