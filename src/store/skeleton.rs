//! A whole file without data: every group, variable, dimension and attribute there will be.
//!
//! What is written later only fills chunks and moves extents, both in place, which is what makes the commits of
//! [`super::commit`] safe.

use hdf5::types::VarLenUnicode;
use hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group};
use serde_json::{Value, json};

use super::claims;
use super::deflate;
use super::layout::{DynamicsLayout, Layout, ObservableLayout, StudyHeader};
use super::schema::{self, Column, Element, INTERNALS, NUMBER, Part, Source, Table, TableKind};
use crate::ensemble::{DynamicsRecord, Plan};

type Result<T> = hdf5::Result<T>;

/// Length in bytes of `status`, constant so that the attribute is rewritten in place.
pub(super) const STATUS_BYTES: u32 = 16;
/// Length in bytes of `digest`.
pub(super) const DIGEST_BYTES: u32 = 128;

/// Writes the skeleton into a file that has just been created.
pub(super) fn write(file: &H5File, header: &StudyHeader, layout: &Layout, plan: &Plan) -> Result<()> {
    root_attributes(file, header, layout)?;
    let tables: Vec<Vec<Table>> = layout.dynamics.iter().map(schema::tables).collect();
    for ((dynamics, plan), tables) in layout.dynamics.iter().zip(&plan.dynamics).zip(&tables) {
        let group = file.create_group(&dynamics.group)?;
        dynamics_attributes(&group, dynamics, &plan.times)?;
        for table in tables.iter().filter(|table| !table.kind.packed()) {
            write_table(&group, dynamics, table, plan)?;
        }
    }
    write_claims(file)?;
    let internals = file.create_group(INTERNALS)?;
    internals.set_attr_string("long_name", "what claims are judged from, packed")?;
    for ((dynamics, plan), tables) in layout.dynamics.iter().zip(&plan.dynamics).zip(&tables) {
        let group = internals.create_group(&dynamics.group)?;
        group.set_attr_string("long_name", &dynamics.name)?;
        for table in tables.iter().filter(|table| table.kind.packed()) {
            write_table(&group, dynamics, table, plan)?;
        }
    }
    Ok(())
}

fn root_attributes(file: &H5File, header: &StudyHeader, layout: &Layout) -> Result<()> {
    let json = serde_json::to_string(layout).map_err(|e| hdf5::Hdf5Error::InvalidState(e.to_string()))?;
    file.set_attr_string("title", &header.title)?;
    file.set_attr_string("perrin_version", env!("CARGO_PKG_VERSION"))?;
    set_text(file, "status", "running", STATUS_BYTES)?;
    set_text(file, "digest", "", DIGEST_BYTES)?;
    file.set_attr_numeric("process", &i64::from(layout.process.id))?;
    file.set_attr_string("host", &layout.process.host)?;
    file.set_attr_string("started", &layout.process.started)?;
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
    for (key, value) in &dynamics.settings {
        set_value(group, key, value)?;
    }
    group.set_attr_numeric("requested", &signed(dynamics.requested))?;
    group.set_attr_numeric("replicas", &0i64)?;
    group.set_attr_numeric("diverged", &0i64)?;
    group.set_attr_numeric("burn_in", &signed(dynamics.burn_in))?;
    group.set_attr_numeric("burn_in_time", &times.get(dynamics.burn_in).copied().unwrap_or(f64::NAN))
}

/// A setting as an attribute: a number, a word, a list of numbers or of words. What netCDF has no type for is put otherwise: `true` and
/// `false` are 1 and 0; of a schedule `[[first step, value], …]` there are two lists, the values and, as `<key>_from`, the first steps;
/// anything else stands as JSON.
fn set_value(group: &H5Group, key: &str, value: &Value) -> Result<()> {
    let number = |value: &Value| value.as_f64();
    match value {
        Value::String(word) => return group.set_attr_string(key, word),
        Value::Bool(flag) => return group.set_attr_numeric(key, &i64::from(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => return group.set_attr_numeric(key, &whole),
            (None, Some(number)) => return group.set_attr_numeric(key, &number),
            (None, None) => {}
        },
        Value::Array(list) if !list.is_empty() => {
            if let Some(numbers) = list.iter().map(number).collect::<Option<Vec<f64>>>() {
                return group.set_attr_array_numeric(key, &numbers);
            }
            if let Some(words) = list.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() {
                return group.set_attr_string_array(key, &words);
            }
            let pair = |value: &Value| match value.as_array()?.as_slice() {
                [first, value] => Some((number(first)?, number(value)?)),
                _ => None,
            };
            if let Some(pairs) = list.iter().map(pair).collect::<Option<Vec<(f64, f64)>>>() {
                let (first, values): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
                group.set_attr_array_numeric(&format!("{key}_from"), &first)?;
                return group.set_attr_array_numeric(key, &values);
            }
        }
        _ => {}
    }
    group.set_attr_string(key, &value.to_string())
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
    if matches!(table.kind, TableKind::Ensemble | TableKind::Trajectories) {
        // xarray's way of saying that a variable is a coordinate although no dimension bears its name.
        group.set_attr_string("coordinates", "step")?;
    }
    if table.kind.of_paths() {
        let time = fixed(&group, "time", &plan.times, schema::TIME)?;
        time.set_scale(Some("time"))?;
        if table.kind == TableKind::Trajectories {
            fixed(&group, "step", &steps(plan), schema::STEP)?.attach_scale(0, &time)?;
        }
        scales.push(("time".to_string(), time));
    }
    if let Some(Source::Packed(parts)) = table.columns.last().map(|column| &column.source) {
        group.set_attr_string("numbers", &numbers(dynamics, parts))?;
        let width = parts.iter().map(|part| part.components).sum();
        let scale = index(&group, NUMBER, width, "place; `numbers` of the group says what stands where")?;
        scales.push((NUMBER.to_string(), scale));
    } else {
        for observable in dynamics.observables.iter().filter(|o| !o.hidden) {
            scales.extend(elements(&group, observable)?);
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

/// The dimensions of an observable's elements: their names, where they have some, or their numbers.
fn elements(group: &H5Group, observable: &ObservableLayout) -> Result<Vec<(String, H5Dataset)>> {
    let names = schema::dimension_names(&observable.variable, observable.shape.len());
    let axes = names.into_iter().zip(&observable.shape).enumerate();
    let scale = |(axis, (name, &length)): (usize, (String, &usize))| {
        let labels = observable.labels.get(axis).filter(|labels| labels.len() == length && length > 0);
        let scale = match labels {
            Some(labels) => {
                let words: Vec<&str> = labels.iter().map(String::as_str).collect();
                let scale = group.write_vlen_strings(&name, &words)?;
                describe(&scale, &format!("{}: name", observable.name))?;
                scale.set_scale(Some(&name))?;
                scale
            }
            None => index(group, &name, length, &format!("{}: index", observable.name))?,
        };
        Ok((name, scale))
    };
    axes.map(scale).collect()
}

/// A dimension whose coordinate counts from 0.
fn index(group: &H5Group, name: &str, length: usize, meaning: &str) -> Result<H5Dataset> {
    let scale = fixed(group, name, &(0..signed(length)).collect::<Vec<_>>(), meaning)?;
    scale.set_scale(Some(name))?;
    Ok(scale)
}

/// What stands where in a packed variable, in JSON.
fn numbers(dynamics: &DynamicsLayout, parts: &[Part]) -> String {
    let mut first = 0;
    let line = |part: &Part| {
        let observable = &dynamics.observables[part.observable];
        let line = json!({
            "observable": observable.name,
            "quantity": part.quantity.meaning(),
            "shape": observable.shape,
            "first": first,
        });
        first += part.components;
        line
    };
    Value::Array(parts.iter().map(line).collect()).to_string()
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
    limit[0] = column.most;
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
        most: None,
        inner: vec![],
        long_name: meaning.to_string(),
        chunk: vec![claims::CHUNK],
        compressed: false,
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
