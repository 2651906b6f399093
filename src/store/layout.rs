//! What a file will hold, fixed before the run: the root attribute `layout` says it in JSON, so that a file can be
//! read back, judged again and gone on with from itself alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::naming::unique;
use super::process::Process;
use super::schema::{INTERNALS, TableKind, derived_names};
use crate::ensemble::{DynamicsRecord, Plan};
use crate::study::{Study, described};

/// The format of the files written; readers refuse another.
pub const FORMAT: u32 = 2;

/// What the root attributes say of a study.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyHeader {
    /// The study's title.
    pub title: String,
    /// The study file as given.
    pub study: String,
    /// The same with every default written out.
    pub study_resolved: String,
    /// The command line, for the eyes of people.
    pub command_line: String,
    /// Seed of all streams.
    pub seed: u64,
    /// The random generator: `xoshiro256++`.
    pub generator: String,
    /// Version of the rule that makes streams from (seed, purpose, replica).
    pub stream_version: u32,
    /// The laws of motion, by name.
    pub dynamics: Vec<DynamicsHeader>,
    /// Names of the elements of observables, by observable: one list a dimension, as long as the dimension, or empty where
    /// elements have numbers alone. They become coordinates.
    pub labels: BTreeMap<String, Vec<Vec<String>>>,
}

/// What a group says of its law of motion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicsHeader {
    /// The user's name of it.
    pub name: String,
    /// The law's name: `sgd`, `langevin`, …
    pub law: String,
    /// Its settings by the study file's keys: numbers, words and lists. Each becomes an attribute of the dynamics' group.
    pub settings: Map<String, Value>,
}

impl StudyHeader {
    /// What a resolved study says of itself.
    pub fn of(study: &Study, command_line: &str) -> Self {
        Self {
            title: study.title.clone(),
            study: study.text.clone(),
            study_resolved: study.resolved.clone(),
            command_line: command_line.to_string(),
            seed: study.run.seed,
            generator: "xoshiro256++".to_string(),
            stream_version: 1,
            dynamics: study
                .dynamics
                .iter()
                .map(|d| DynamicsHeader {
                    name: d.name.clone(),
                    law: d.law.name().to_string(),
                    settings: described::settings(d),
                })
                .collect(),
            labels: BTreeMap::new(),
        }
    }
}

/// The root attribute `layout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub format: u32,
    pub seed: u64,
    pub stream_version: u32,
    /// Who writes the file.
    pub process: Process,
    pub dynamics: Vec<DynamicsLayout>,
}

/// One dynamics in `layout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DynamicsLayout {
    pub name: String,
    pub group: String,
    pub law: String,
    pub settings: Map<String, Value>,
    pub requested: usize,
    /// Replicas there may be in the end.
    pub most: usize,
    pub kept: usize,
    pub instants: usize,
    pub burn_in: usize,
    /// Instants in the window of stationary averages.
    pub window: usize,
    pub observables: Vec<ObservableLayout>,
}

/// One observable in `layout`: its name, and the one its variables bear (none where claims alone look at it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ObservableLayout {
    pub name: String,
    pub variable: String,
    pub shape: Vec<usize>,
    pub hidden: bool,
    /// Names of the elements, a list a dimension; empty lists where they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Vec<String>>,
}

impl ObservableLayout {
    /// Numbers a value has.
    pub fn components(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Layout {
    /// Gives every dynamics a group and every observable its variables' name, no two alike.
    pub fn new(header: &StudyHeader, plan: &Plan) -> Self {
        let labels = &header.labels;
        let mut groups = BTreeSet::from([(0, "claims".to_string()), (0, INTERNALS.to_string())]);
        let dynamics = plan
            .dynamics
            .iter()
            .map(|plan| {
                let header =
                    header.dynamics.iter().find(|d| d.name == plan.name).cloned().unwrap_or_default();
                DynamicsLayout {
                    name: plan.name.clone(),
                    group: unique(&plan.name, &mut groups, |base| vec![(0, base.to_string())]),
                    law: header.law,
                    settings: header.settings,
                    requested: plan.requested,
                    most: plan.most.max(plan.requested),
                    kept: plan.kept,
                    instants: plan.times.len(),
                    burn_in: plan.burn_in,
                    window: plan.observables.first().map_or(0, |o| o.stationary.instants),
                    observables: observables(plan, labels),
                }
            })
            .collect();
        Self {
            format: FORMAT,
            seed: header.seed,
            stream_version: header.stream_version,
            process: Process::this(),
            dynamics,
        }
    }
}

impl Layout {
    /// [`StudyHeader::labels`].
    pub fn labels(&self) -> BTreeMap<String, Vec<Vec<String>>> {
        let observables = self.dynamics.iter().flat_map(|d| &d.observables).filter(|o| !o.labels.is_empty());
        observables.map(|o| (o.name.clone(), o.labels.clone())).collect()
    }
}

fn observables(plan: &DynamicsRecord, labels: &BTreeMap<String, Vec<Vec<String>>>) -> Vec<ObservableLayout> {
    let mut taken = BTreeSet::new();
    for kind in TableKind::ALL {
        for name in ["time", "step", "replica", "diverged_step"] {
            taken.insert((kind as usize, name.to_string()));
        }
    }
    plan.observables
        .iter()
        .map(|o| ObservableLayout {
            name: o.name.clone(),
            // What a claim alone looks at has no variable of its own.
            variable: if o.hidden {
                String::new()
            } else {
                unique(&o.name, &mut taken, |base| derived_names(base, o.shape.len()))
            },
            shape: o.shape.clone(),
            hidden: o.hidden,
            labels: labels.get(&o.name).cloned().unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::ObservableRecord;

    fn plan(names: &[&str]) -> DynamicsRecord {
        let observables =
            names.iter().map(|n| ObservableRecord { name: (*n).to_string(), ..Default::default() }).collect();
        DynamicsRecord { name: "claims".into(), observables, ..Default::default() }
    }

    fn layout(dynamics: Vec<DynamicsRecord>) -> Layout {
        Layout::new(&StudyHeader { seed: u64::MAX, ..Default::default() }, &Plan { dynamics })
    }

    fn variables(names: &[&str]) -> Vec<String> {
        layout(vec![plan(names)]).dynamics[0].observables.iter().map(|o| o.variable.clone()).collect()
    }

    #[test]
    fn plain_names_stay_and_others_are_told_apart() {
        assert_eq!(variables(&["u", "w", "loss"]), ["u", "w", "loss"]);
        assert_eq!(variables(&["u/w", "u*w", "time", "replica"]), ["u_w", "u_w_2", "time_2", "replica_2"]);
    }

    #[test]
    fn a_name_never_meets_the_statistic_of_another() {
        // `u_variance_standard_error` would be both the error of u's variance and the error of `u_variance`.
        assert_eq!(variables(&["u", "u_variance"]), ["u", "u_variance_2"]);
        assert_eq!(variables(&["u", "u_max_change"]), ["u", "u_max_change_2"]);
        assert_eq!(
            variables(&["x_count", "x"]),
            ["x_count", "x"],
            "what has no suffix stands in other groups"
        );
        assert_eq!(variables(&["x_first", "x"]), ["x_first", "x"], "halves of the window have no variables");
    }

    #[test]
    fn a_dynamics_may_be_called_claims() {
        let layout = layout(vec![plan(&["u"]), plan(&["u"])]);
        assert_eq!(layout.dynamics[0].group, "claims_2");
        assert_eq!(layout.dynamics[1].group, "claims_3");
    }

    #[test]
    fn json_and_back() {
        let layout = layout(vec![plan(&["u/w"])]);
        let text = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
    }
}
