//! Made-up records: numbers that say where they belong, so that a misplaced one is seen.

use std::sync::Arc;

use perrin::ensemble::{
    BlockRecord, DynamicsRecord, ObservableRecord, Plan, Record, Sink, SinkError, Stationary,
};
use perrin::stats::moments::Moments;
use perrin::store::{ClaimRow, DynamicsHeader, StudyHeader};

/// A number made of its coordinates: never the same in two places.
fn number(observable: usize, quantity: usize, replica: usize, rest: usize) -> f64 {
    let id = ((observable * 64 + quantity) * 1_000_003 + replica) * 1009 + rest;
    id as f64 * 1e-3 + 0.1
}

/// A dynamics: names and shapes of its observables, numbers of replicas, kept paths and instants.
pub fn dynamics(
    name: &str,
    observables: &[(&str, &[usize])],
    replicas: usize,
    kept: usize,
    instants: usize,
) -> DynamicsRecord {
    let steps: Vec<u64> = (0..instants as u64).map(|i| i * 10).collect();
    let times = steps.iter().map(|&s| s as f64 * 0.01).collect();
    let kept = kept.min(replicas);
    let rows = |o: usize, q: usize, rows: usize, row: usize| -> Vec<f64> {
        (0..rows).flat_map(|r| (0..row).map(move |k| number(o, q, r, k))).collect()
    };
    let observables = observables
        .iter()
        .enumerate()
        .map(|(o, (name, shape))| {
            let row: usize = shape.iter().product();
            ObservableRecord {
                name: (*name).to_string(),
                shape: shape.to_vec(),
                hidden: name.contains(' '),
                ensemble: (0..instants * row)
                    .map(|i| Moments::of((0..replicas.min(5)).map(|r| number(o, 0, r, i))))
                    .collect(),
                last: rows(o, 1, replicas, row),
                stationary: Stationary {
                    instants: instants - instants / 2,
                    mean: rows(o, 2, replicas, row),
                    variance: rows(o, 3, replicas, row),
                    first_mean: rows(o, 4, replicas, row),
                    first_variance: rows(o, 5, replicas, row),
                    second_mean: rows(o, 6, replicas, row),
                    second_variance: rows(o, 7, replicas, row),
                },
                max_change: rows(o, 8, replicas, row),
                trajectories: rows(o, 9, kept, row * instants),
            }
        })
        .collect();
    DynamicsRecord {
        name: name.to_string(),
        steps,
        times,
        burn_in: instants / 2,
        replicas,
        requested: replicas,
        most: replicas,
        diverged: if replicas > 3 { vec![(0, 20), (replicas - 2, 0)] } else { vec![] },
        failure: None,
        kept,
        observables,
        seconds: 1.25,
        profile: None,
    }
}

/// A scalar, a vector, a matrix, and a formula that is no name.
pub const USUAL: [(&str, &[usize]); 4] = [("u", &[]), ("w", &[3]), ("W", &[2, 3]), ("u^2 - w/2", &[])];

/// The same record without data.
pub fn plan(record: &Record) -> Plan {
    let strip = |o: &ObservableRecord| ObservableRecord {
        name: o.name.clone(),
        shape: o.shape.clone(),
        hidden: o.hidden,
        stationary: Stationary { instants: o.stationary.instants, ..Default::default() },
        ..Default::default()
    };
    let dynamics = record.dynamics.iter().map(|d| DynamicsRecord {
        replicas: 0,
        diverged: vec![],
        observables: d.observables.iter().map(strip).collect(),
        seconds: 0.0,
        profile: None,
        ..d.clone()
    });
    Plan { dynamics: dynamics.collect() }
}

/// Replicas `first .. first + count` of a record.
pub fn block(record: &DynamicsRecord, first: usize, count: usize) -> BlockRecord {
    let end = (first + count).min(record.replicas);
    let cut = |values: &[f64], row: usize, end: usize| {
        let end = end * row;
        values[(first * row).min(end)..end].to_vec()
    };
    let observables = record.observables.iter().map(|o| {
        let row = o.components();
        let s = &o.stationary;
        ObservableRecord {
            name: o.name.clone(),
            shape: o.shape.clone(),
            hidden: o.hidden,
            ensemble: vec![],
            last: cut(&o.last, row, end),
            stationary: Stationary {
                instants: s.instants,
                mean: cut(&s.mean, row, end),
                variance: cut(&s.variance, row, end),
                first_mean: cut(&s.first_mean, row, end),
                first_variance: cut(&s.first_variance, row, end),
                second_mean: cut(&s.second_mean, row, end),
                second_variance: cut(&s.second_variance, row, end),
            },
            max_change: cut(&o.max_change, row, end),
            trajectories: cut(&o.trajectories, row * record.times.len(), end.min(record.kept)),
        }
    });
    BlockRecord {
        first,
        replicas: end - first,
        diverged: record.diverged.iter().copied().filter(|d| (first..end).contains(&d.0)).collect(),
        failure: None,
        observables: observables.collect(),
    }
}

/// Plays a record to a sink as the engine would.
pub fn play(record: &Record, size: usize, sink: &mut dyn Sink) -> Result<(), SinkError> {
    sink.begin(&plan(record))?;
    for (index, dynamics) in record.dynamics.iter().enumerate() {
        for first in (0..dynamics.replicas).step_by(size) {
            sink.block(index, &Arc::new(block(dynamics, first, size)))?;
        }
        sink.finish(index, dynamics)?;
    }
    Ok(())
}

/// Of every type there is.
fn settings() -> serde_json::Map<String, serde_json::Value> {
    let settings = serde_json::json!({
        "rate": [[0, 0.1], [100, 0.05]], "batch": 1, "momentum": 0.0, "scheme": "heun", "drop_last": true,
        "decays": [0.5, 0.25], "names": ["a", "b"], "strange": {"a": [1, "b"]},
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// What the root says.
pub fn header() -> StudyHeader {
    StudyHeader {
        title: "A title — with a dash".into(),
        study: "title = \"x\"\n".repeat(9000),
        study_resolved: "resolved = true\n".into(),
        command_line: "perrin run x.toml".into(),
        seed: u64::MAX,
        generator: "xoshiro256++".into(),
        stream_version: 1,
        dynamics: ["sgd", "flow/2"]
            .map(|name| DynamicsHeader { name: name.into(), law: "sgd".into(), settings: settings() })
            .to_vec(),
        labels: [("w".to_owned(), vec![["age", "sex", "bmi"].map(String::from).to_vec()])].into(),
    }
}

/// Two dynamics, one with a name that is none.
pub fn record(replicas: usize) -> Record {
    Record {
        dynamics: vec![
            dynamics("sgd", &USUAL, replicas, 11, 21),
            dynamics("flow/2", &USUAL, replicas / 2, 4, 5),
        ],
        ..Record::default()
    }
}

/// Claims, as many as asked for.
pub fn claims(count: usize) -> Vec<ClaimRow> {
    (0..count)
        .map(|i| ClaimRow {
            claim: i / 2,
            law: "equals".into(),
            dynamics: "sgd".into(),
            quantity: format!("mean of u² − w at the end, test {i}"),
            predicted: i as f64,
            measured: i as f64 + 0.5,
            standard_error: 0.25,
            tolerance: 0.125,
            p_value: 1.0 / (i + 1) as f64,
            verdict: ["holds", "fails", "undecided"][i % 3].into(),
            expect: "holds".into(),
            kind: "exact".into(),
        })
        .collect()
}

/// Every number of two records the same, bit by bit.
pub fn assert_same(found: &Record, wanted: &Record) {
    assert_eq!(found.dynamics.len(), wanted.dynamics.len());
    for (f, w) in found.dynamics.iter().zip(&wanted.dynamics) {
        assert_eq!(
            (&f.name, &f.steps, &f.times, f.burn_in, f.replicas, f.requested, &f.diverged, f.kept, f.seconds),
            (&w.name, &w.steps, &w.times, w.burn_in, w.replicas, w.requested, &w.diverged, w.kept, w.seconds)
        );
        assert_eq!(f.observables.len(), w.observables.len());
        for (f, w) in f.observables.iter().zip(&w.observables) {
            assert_eq!((&f.name, &f.shape, f.hidden), (&w.name, &w.shape, w.hidden));
            // NaN is the same as NaN here, so through the text of it.
            assert_eq!(format!("{f:?}"), format!("{w:?}"), "{}", f.name);
        }
    }
}
