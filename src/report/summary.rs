//! Stationary averages of an observable as `law` judges them, component by component.

use crate::ensemble::{DynamicsRecord, ObservableRecord};
use crate::law::{StationarySummary, stationary_summary};
use crate::study::Study;

/// One entry a component, row by row; empty where there is nothing to say of all of them.
pub(super) fn stationary(
    study: &Study,
    record: &DynamicsRecord,
    observable: &ObservableRecord,
) -> Vec<StationarySummary> {
    let Some(dynamics) = study.dynamics.iter().find(|d| d.name == record.name) else { return vec![] };
    let summaries = stationary_summary(study, dynamics, record, observable);
    if summaries.len() == observable.components() { summaries } else { vec![] }
}
