//! Tables in HDF5: a dataset, or all datasets of a group.

use std::path::Path;

use ::hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group};

use super::{Body, Table, TableError};

impl Table {
    pub(super) fn open_hdf5(path: &Path, shown: &str, dataset: Option<&str>) -> Result<Self, TableError> {
        let wrong = |error: ::hdf5::Hdf5Error| {
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
}

fn numeric(dataset: &H5Dataset) -> bool {
    matches!(
        dataset.datatype(),
        Ok(DatatypeMessage::FixedPoint { .. } | DatatypeMessage::FloatingPoint { .. })
    )
}

fn read_numbers(dataset: &H5Dataset) -> ::hdf5::Result<Vec<f64>> {
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
