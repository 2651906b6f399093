//! The one document of `--json`. Strict JSON: a number that is not finite is null.

use serde_json::{Map, Value, json};

use super::Report;
use super::summary::stationary;
use crate::ensemble::precision::standard_error;
use crate::ensemble::{DynamicsRecord, ObservableRecord};
use crate::law::StationarySummary;
use crate::stats::moments::Moments;
use crate::study::PrecisionMean;
use crate::study::described::settings;

/// Version of the documents' format, their first key.
pub const FORMAT: u32 = 1;

/// The document of a run: the same content as the file's summary.
///
/// A vector is a list, a matrix a list of rows. `variance` is the ensemble's over replicas at each instant; under
/// `stationary`, mean and variance pool time and replicas after burn-in and have their standard errors from the
/// scatter between replicas.
pub fn document(report: &Report<'_>) -> Value {
    let study = report.study;
    let mut dynamics = Map::new();
    for record in &report.record.dynamics {
        dynamics.insert(record.name.clone(), of_dynamics(record, report));
    }
    json!({
        "format": FORMAT,
        "perrin": env!("CARGO_PKG_VERSION"),
        "title": study.title,
        "seed": study.run.seed,
        "replicas": study.run.replicas,
        "digest": report.digest,
        "interrupted": report.interrupted,
        "output": report.output.map(|path| path.display().to_string()),
        "dynamics": dynamics,
        "claims": report.claims,
    })
}

fn of_dynamics(record: &DynamicsRecord, report: &Report<'_>) -> Value {
    let mut observables = Map::new();
    let mut averages = Map::new();
    for observable in record.observables.iter().filter(|o| !o.hidden) {
        let over_time = |of: fn(&Moments) -> f64| -> Vec<Value> {
            let components = observable.components().max(1);
            observable
                .ensemble
                .chunks(components)
                .map(|instant| nested(&observable.shape, &mut instant.iter().map(|m| number(of(m)))))
                .collect()
        };
        observables.insert(
            observable.name.clone(),
            json!({
                "mean": over_time(|m| if m.count == 0 { f64::NAN } else { m.mean }),
                "standard_error": over_time(Moments::standard_error),
                "variance": over_time(Moments::variance),
            }),
        );
        averages.insert(observable.name.clone(), of_stationary(record, observable, report));
    }
    let law = report.study.dynamics.iter().find(|d| d.name == record.name);
    let mut document = json!({
        "law": law.map(|d| d.law.name()),
        "settings": law.map(settings),
        "replicas": record.replicas,
        "diverged": record.diverged.len(),
        "time": record.times,
        "observables": observables,
        "stationary": averages,
    });
    if let Some(precision) = &report.study.run.precision {
        let error = standard_error(precision, record);
        document["precision"] = json!({
            "observable": precision.observable,
            "at": if precision.of == PrecisionMean::End { "end" } else { "stationary" },
            "standard_error": number(error),
            "wanted": precision.standard_error,
            "reached": error <= precision.standard_error,
        });
    }
    if let Some(profile) = &record.profile {
        let sections: serde_json::Map<String, Value> =
            profile.sections.iter().map(|(name, seconds)| ((*name).to_owned(), number(*seconds))).collect();
        document["profile"] = json!({
            "threads": profile.threads,
            "block": profile.block,
            "blocks": profile.blocks,
            "level": profile.level,
            "seconds": number(record.seconds),
            "steps_a_second": number(profile.steps_a_second),
            "thread_seconds": sections,
        });
    }
    document
}

fn of_stationary(record: &DynamicsRecord, observable: &ObservableRecord, report: &Report<'_>) -> Value {
    let components = stationary(report.study, record, observable);
    let each = |of: fn(&StationarySummary) -> f64| {
        if components.is_empty() {
            return Value::Null;
        }
        nested(&observable.shape, &mut components.iter().map(|c| number(of(c))))
    };
    json!({
        "mean": each(|c| c.mean),
        "standard_error": each(|c| c.standard_error),
        "variance": each(|c| c.variance),
        "variance_standard_error": each(|c| c.variance_standard_error),
        "reached": !components.is_empty() && components.iter().all(|c| c.reached),
        "r_hat": each(|c| c.r_hat),
        "effective_samples": each(|c| c.effective_samples),
    })
}

/// A number, or null.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// Values in row-major order as nested lists; one value alone where there is no shape.
fn nested(shape: &[usize], values: &mut dyn Iterator<Item = Value>) -> Value {
    match shape {
        [] => values.next().unwrap_or(Value::Null),
        [length, inner @ ..] => (0..*length).map(|_| nested(inner, values)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn shown() -> Value {
        let (study, record, claims) = (fixture::study(), fixture::record(), fixture::claims());
        document(&Report {
            study: &study,
            record: &record,
            claims: &claims,
            digest: "abc",
            output: None,
            interrupted: false,
        })
    }

    #[test]
    fn keys_are_those_of_the_design_in_its_order() {
        let document = shown();
        let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(
            keys(&document),
            [
                "format",
                "perrin",
                "title",
                "seed",
                "replicas",
                "digest",
                "interrupted",
                "output",
                "dynamics",
                "claims"
            ]
        );
        let sgd = &document["dynamics"]["sgd"];
        assert_eq!(
            keys(sgd),
            ["law", "settings", "replicas", "diverged", "time", "observables", "stationary"]
        );
        assert_eq!(keys(&sgd["observables"]), ["w"], "hidden observables stay out");
        assert_eq!(keys(&sgd["observables"]["w"]), ["mean", "standard_error", "variance"]);
        assert_eq!(
            keys(&sgd["stationary"]["w"])[..5],
            ["mean", "standard_error", "variance", "variance_standard_error", "reached"]
        );
        let claim = &document["claims"][0];
        assert_eq!(keys(claim)[..4], ["law", "dynamics", "verdict", "expect"]);
        assert_eq!(claim["tests"][0]["kind"], "exact");
        assert_eq!(document["claims"][2]["reason"], "not stationary yet: run about 3 times as long");
    }

    #[test]
    fn vectors_are_lists_at_each_instant() {
        let document = shown();
        let mean = &document["dynamics"]["sgd"]["observables"]["w"]["mean"];
        assert_eq!(mean.as_array().unwrap().len(), 5);
        assert_eq!(mean[0].as_array().unwrap().len(), 2);
        let stationary = &document["dynamics"]["sgd"]["stationary"]["w"];
        assert!((stationary["mean"][1].as_f64().unwrap() + 2.0).abs() < 0.02);
        assert_eq!(stationary["reached"], true);
        assert_eq!(document["dynamics"]["sde"]["stationary"]["w"]["reached"], false);
        assert_eq!(document["dynamics"]["sde"]["diverged"], 1);
    }

    #[test]
    fn matrices_are_lists_of_rows() {
        let mut values = (0..6).map(|i| json!(i));
        assert_eq!(nested(&[2, 3], &mut values), json!([[0, 1, 2], [3, 4, 5]]));
        assert_eq!(nested(&[], &mut [json!(1.5)].into_iter()), json!(1.5));
    }

    #[test]
    fn what_is_not_finite_is_null() {
        assert_eq!(number(f64::NAN), Value::Null);
        assert_eq!(number(f64::INFINITY), Value::Null);
        assert_eq!(number(0.1).to_string(), "0.1");
    }
}
