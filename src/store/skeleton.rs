//! A whole file without data: every group, variable, dimension and attribute there will be.
//!
//! What is written later only fills chunks and moves extents, both in place, which is what makes the commits of
//! [`super::commit`] safe.

use hdf5::types::VarLenUnicode;
use hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group};

use super::claims;
use super::deflate;
use super::layout::{DynamicsLayout, Layout, StudyHeader};
use super::schema::{self, Column, Element, Source, Table, TableKind};
use crate::ensemble::{DynamicsRecord, Plan};

type Result<T> = hdf5::Result<T>;

/// Length in bytes of `status`, constant so that the attribute is rewritten in place.
pub(super) const STATUS_BYTES: u32 = 16;
/// Length in bytes of `digest`.
pub(super) const DIGEST_BYTES: u32 = 128;

/// Writes the skeleton into a file that has just been created.
pub(super) fn write(file: &H5File, header: &StudyHeader, layout: &Layout, plan: &Plan) -> Result<()> {
    root_attributes(file, header, layout)?;
    for (dynamics, plan) in layout.dynamics.iter().zip(&plan.dynamics) {
        let group = file.create_group(&dynamics.group)?;
        dynamics_attributes(&group, dynamics, &plan.times)?;
        for table in schema::tables(dynamics) {
            write_table(&group, dynamics, &table, plan)?;
        }
    }
    write_claims(file)
}

fn root_attributes(file: &H5File, header: &StudyHeader, layout: &Layout) -> Result<()> {
    let json = serde_json::to_string(layout).map_err(|e| hdf5::Hdf5Error::InvalidState(e.to_string()))?;
    file.set_attr_string("title", &header.title)?;
    file.set_attr_string("perrin_version", env!("CARGO_PKG_VERSION"))?;
    set_text(file, "status", "running", STATUS_BYTES)?;
    set_text(file, "digest", "", DIGEST_BYTES)?;
    file.set_attr_numeric("seed", &header.seed)?;
    file.set_attr_string("generator", &header.generator)?;
    file.set_attr_numeric("stream_version", &i64::from(header.stream_version))?;
    file.set_attr_string("command_line", &header.command_line)?;
    file.set_attr_numeric("format", &i64::from(layout.format))?;
    file.set_attr_string("study", &header.study)?;
    file.set_attr_string("study_resolved", &header.study_resolved)?;
    file.set_attr_string("layout", &json)
}

/// Sets a root attribute of constant length, padded with zero bytes.
pub(super) fn set_text(file: &H5File, name: &str, text: &str, length: u32) -> Result<()> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() > length as usize {
        return Err(hdf5::Hdf5Error::InvalidState(format!("{name} is longer than {length} bytes: {text}")));
    }
    bytes.resize(length as usize, 0);
    // Null-padded UTF-8.
    file.set_attr_typed(name, DatatypeMessage::FixedString { size: length, padding: 1, charset: 1 }, bytes)
}

fn dynamics_attributes(group: &H5Group, dynamics: &DynamicsLayout, times: &[f64]) -> Result<()> {
    group.set_attr_string("long_name", &dynamics.name)?;
    group.set_attr_string("law", &dynamics.law)?;
    group.set_attr_string("settings", &dynamics.settings)?;
    group.set_attr_numeric("requested", &signed(dynamics.requested))?;
    group.set_attr_numeric("replicas", &0i64)?;
    group.set_attr_numeric("diverged", &0i64)?;
    group.set_attr_numeric("burn_in", &signed(dynamics.burn_in))?;
    group.set_attr_numeric("burn_in_time", &times.get(dynamics.burn_in).copied().unwrap_or(f64::NAN))
}

fn write_table(
    parent: &H5Group,
    dynamics: &DynamicsLayout,
    table: &Table,
    plan: &DynamicsRecord,
) -> Result<()> {
    let group = parent.create_group(table.kind.name())?;
    group.set_attr_string("long_name", table.kind.long_name())?;
    let mut scales: Vec<(String, H5Dataset)> = vec![];
    if table.kind.along_time() || table.kind == TableKind::Trajectories {
        // xarray's way of saying that a variable is a coordinate although no dimension bears its name.
        group.set_attr_string("coordinates", "step")?;
    }
    if table.kind == TableKind::Trajectories {
        let time = fixed(&group, "time", &plan.times, schema::TIME)?;
        time.set_scale(Some("time"))?;
        fixed(&group, "step", &steps(plan), schema::STEP)?.attach_scale(0, &time)?;
        scales.push(("time".to_string(), time));
    }
    for observable in &dynamics.observables {
        let names = schema::dimension_names(&observable.variable, observable.shape.len());
        for (name, &length) in names.into_iter().zip(&observable.shape) {
            let index: Vec<i64> = (0..signed(length)).collect();
            let scale = fixed(&group, &name, &index, &format!("{}: index", observable.name))?;
            scale.set_scale(Some(&name))?;
            scales.push((name, scale));
        }
    }
    let mut along: Option<H5Dataset> = None;
    for column in &table.columns {
        let dataset = match column.source {
            Source::Time => fixed(&group, &column.name, &plan.times, &column.long_name)?,
            Source::Step => fixed(&group, &column.name, &steps(plan), &column.long_name)?,
            _ if table.kind.along_time() => blank(&group, column, plan.times.len())?,
            _ => growing(&group, column)?,
        };
        if column.hidden {
            dataset.new_attr::<i64>().shape(()).create("hidden")?.write_numeric(&1i64)?;
        }
        let Some(along) = &along else {
            dataset.set_scale(Some(&column.name))?;
            if table.kind == TableKind::Ensemble {
                set_end(&dataset, 0.0, false)?;
            }
            along = Some(dataset);
            continue;
        };
        dataset.attach_scale(0, along)?;
        for (axis, (name, _)) in column.inner.iter().enumerate() {
            if let Some((_, scale)) = scales.iter().find(|s| s.0 == *name) {
                dataset.attach_scale(axis + 1, scale)?;
            }
        }
    }
    Ok(())
}

/// What the coordinate `time` of `ensemble` says of the dynamics' end: wall-clock seconds, and whether the statistics
/// are there.
pub(super) fn set_end(time: &H5Dataset, seconds: f64, finished: bool) -> Result<()> {
    time.new_attr::<f64>().shape(()).create("seconds")?.write_numeric(&seconds)?;
    time.new_attr::<i64>().shape(()).create("finished")?.write_numeric(&i64::from(finished))
}

fn steps(plan: &DynamicsRecord) -> Vec<i64> {
    plan.steps.iter().map(|&s| i64::try_from(s).unwrap_or(i64::MAX)).collect()
}

/// A variable of its full length, of NaN (or 0).
fn blank(group: &H5Group, column: &Column, rows: usize) -> Result<H5Dataset> {
    let mut shape = vec![rows];
    shape.extend(column.inner.iter().map(|d| d.1));
    let numbers = shape.iter().product();
    let dataset = match column.element {
        Element::F64 => {
            let dataset = group.new_dataset::<f64>().shape(&shape).create(&column.name)?;
            dataset.write_raw(&vec![f64::NAN; numbers])?;
            dataset
        }
        Element::I64 => {
            let dataset = group.new_dataset::<i64>().shape(&shape).create(&column.name)?;
            dataset.write_raw(&vec![0i64; numbers])?;
            dataset
        }
    };
    describe(&dataset, &column.long_name)?;
    Ok(dataset)
}

/// A variable of known length with its values.
fn fixed<T: hdf5::H5Type>(group: &H5Group, name: &str, values: &[T], meaning: &str) -> Result<H5Dataset> {
    let dataset = group.new_dataset::<T>().shape([values.len()]).create(name)?;
    dataset.write_raw(values)?;
    describe(&dataset, meaning)?;
    Ok(dataset)
}

/// A variable of no rows yet.
fn growing(group: &H5Group, column: &Column) -> Result<H5Dataset> {
    let mut shape = vec![0];
    shape.extend(column.inner.iter().map(|d| d.1));
    let mut limit: Vec<Option<usize>> = shape.iter().map(|&n| Some(n)).collect();
    limit[0] = None;
    let dataset = match column.element {
        Element::F64 => {
            let builder = group.new_dataset::<f64>().shape(&shape).chunk(&column.chunk).max_shape(&limit);
            let builder = builder.fill_value(f64::NAN);
            if column.compressed { builder.shuffle_deflate(deflate::LEVEL) } else { builder }
                .create(&column.name)
        }
        Element::I64 => {
            let builder = group.new_dataset::<i64>().shape(&shape).chunk(&column.chunk).max_shape(&limit);
            if column.compressed { builder.shuffle_deflate(deflate::LEVEL) } else { builder }
                .create(&column.name)
        }
    }?;
    if !column.long_name.is_empty() {
        describe(&dataset, &column.long_name)?;
    }
    Ok(dataset)
}

fn describe(dataset: &H5Dataset, meaning: &str) -> Result<()> {
    dataset.new_attr::<VarLenUnicode>().shape(()).create("long_name")?.write_string(meaning)
}

fn write_claims(file: &H5File) -> Result<()> {
    let group = file.create_group("claims")?;
    group.set_attr_string("long_name", "every test of every claim")?;
    let column = |name: &str, element, meaning: &str| Column {
        name: name.to_string(),
        source: Source::Replica,
        element,
        inner: vec![],
        long_name: meaning.to_string(),
        chunk: vec![claims::CHUNK],
        compressed: false,
        hidden: false,
    };
    let test = growing(&group, &column("test", Element::I64, "number of the test"))?;
    test.set_scale(Some("test"))?;
    growing(&group, &column("claim", Element::I64, "which of the study's claims"))?.attach_scale(0, &test)?;
    for (name, _, _) in claims::WORDS {
        let path = format!("claims/{name}");
        group.create_appendable_vlen_dataset(name, claims::CHUNK, None)?;
        file.dataset_writer(&path)?.attach_scale(0, &test)?;
    }
    for (name, _, _) in claims::NUMBERS {
        growing(&group, &column(name, Element::F64, ""))?.attach_scale(0, &test)?;
    }
    Ok(())
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
