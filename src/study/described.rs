//! The settings of a law of motion as plain values by the study file's keys: what the file has as attributes, and JSON as numbers.

use serde_json::{Map, Value, json};

use super::resolved::Dynamics;
use crate::dynamics::{Convention, Course, Decay, Law, Sampling, Schedule, Training};
use crate::scheme::Method;

/// Every setting of a dynamics, given or not, under its key: numbers, words and lists (a schedule is a list of pairs
/// `[first step, rate]`). `weight_decay` is the coefficient λ of the force λθ, also where the study gives a `penalty` (½λ).
pub fn settings(dynamics: &Dynamics) -> Map<String, Value> {
    let mut settings = Map::new();
    let mut put = |key: &str, value: Value| {
        settings.insert(key.to_owned(), value);
    };
    if let Some(training) = &dynamics.training {
        of_training(training, &mut put);
    }
    of_law(&dynamics.law, &mut put);
    settings
}

/// The same in a line, as `key = value`.
pub fn line(settings: &Map<String, Value>) -> String {
    settings.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

fn of_training(training: &Training, put: &mut impl FnMut(&str, Value)) {
    let Course { convention, momentum, decay } = &training.course;
    let of = |schedule: &Option<Schedule>, value: f64| schedule.as_ref().map_or(json!(value), changing);
    put("rate", changing(&training.rate));
    put("batch", json!(training.batch));
    put("momentum", of(momentum, training.momentum));
    if let Convention::PyTorch { dampening, nesterov } = convention {
        put("momentum_convention", json!("pytorch"));
        put("dampening", json!(dampening));
        put("nesterov", json!(nesterov));
    }
    put("weight_decay", of(decay, training.decay.force()));
    if let Decay::Penalty(gamma) = training.decay {
        put("penalty", of(&decay.as_ref().map(|forces| forces.times(0.5)), gamma));
    }
    let (sampling, drop_last) = match training.sampling {
        Sampling::WithReplacement => ("with-replacement", None),
        Sampling::WithoutReplacement { drop_last } => ("without-replacement", Some(drop_last)),
    };
    put("sampling", json!(sampling));
    if let Some(drop_last) = drop_last {
        put("drop_last", json!(drop_last));
    }
}

/// A number, or pairs of the first step and the value from there on.
fn changing(schedule: &Schedule) -> Value {
    match schedule.pieces.as_slice() {
        [(0, value)] => json!(value),
        pieces => json!(pieces),
    }
}

fn of_law(law: &Law, put: &mut impl FnMut(&str, Value)) {
    let method = |method: &Method, put: &mut dyn FnMut(&str, Value)| {
        put("scheme", json!(method.scheme.name()));
        put("increments", json!(method.increments.name()));
    };
    match law {
        Law::GradientFlow { tolerance } => put("tolerance", json!(tolerance)),
        Law::Langevin { order, substeps, method: of } => {
            put("order", json!(order));
            put("substeps", json!(substeps));
            method(of, put);
        }
        Law::Svag { level } => put("level", json!(level)),
        Law::Underdamped { friction, substeps } => {
            // 1 − 0.9 is 0.1 to anybody but a double; the resolved study has the double.
            let shown: f64 = format!("{friction:.14e}").parse().unwrap_or(*friction);
            put("friction", json!(shown));
            put("substeps", json!(substeps));
        }
        Law::Integrated { dt, method: of } => {
            put("dt", json!(dt));
            method(of, put);
        }
        Law::GradientDescent | Law::Sgd | Law::GaussianSgd | Law::OrnsteinUhlenbeck | Law::Exact => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamics(law: Law, training: Option<Training>) -> Dynamics {
        Dynamics { name: "d".into(), law, training, instants: vec![] }
    }

    #[test]
    fn settings_speak_the_study_files_words() {
        let training = Training {
            rate: Schedule { pieces: vec![(0, 0.001), (5000, 0.008)] },
            batch: 4,
            decay: Decay::Penalty(0.5),
            momentum: 0.9,
            sampling: Sampling::WithoutReplacement { drop_last: true },
            course: Course::default(),
        };
        assert_eq!(
            Value::Object(settings(&dynamics(Law::langevin(4), Some(training)))),
            json!({
                "rate": [[0, 0.001], [5000, 0.008]], "batch": 4, "momentum": 0.9, "weight_decay": 1.0, "penalty": 0.5,
                "sampling": "without-replacement", "drop_last": true,
                "order": 1, "substeps": 4, "scheme": "euler-maruyama", "increments": "normal",
            })
        );
        let equation = settings(&dynamics(Law::euler_maruyama(0.01), None));
        assert_eq!(line(&equation), r#"dt = 0.01, scheme = "euler-maruyama", increments = "normal""#);
    }

    #[test]
    fn what_is_zero_is_said() {
        let training = Training {
            rate: Schedule::constant(0.1),
            batch: 1,
            decay: Decay::None,
            momentum: 0.0,
            sampling: Sampling::WithReplacement,
            course: Course::default(),
        };
        let settings = settings(&dynamics(Law::Sgd, Some(training)));
        assert_eq!((&settings["momentum"], &settings["weight_decay"]), (&json!(0.0), &json!(0.0)));
        assert_eq!(settings["rate"], 0.1);
    }
}
