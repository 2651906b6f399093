//! Stationary averages of an observable, component by component, as tables and JSON show them.

use crate::ensemble::{DynamicsRecord, ObservableRecord};
use crate::stats::window::TimeAverages;
use crate::stats::{Estimate, Window};

/// One component's averages over time and replicas after burn-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Mean.
    pub mean: Estimate,
    /// Variance about the pooled mean.
    pub variance: Estimate,
    /// The two halves of the window agree, replica by replica.
    pub reached: bool,
    /// R̂ of the halves of all replicas; NaN where the window is too short.
    pub r_hat: f64,
    /// Independent samples behind the mean.
    pub effective_samples: f64,
}

/// One observable's stationary averages.
#[derive(Clone, Debug, Default)]
pub struct ObservableSummary {
    /// One a component, row by row; empty where there is no window to speak of.
    pub components: Vec<Component>,
    /// Why there is none.
    pub missing: Option<String>,
}

impl ObservableSummary {
    /// Every component is stationary.
    pub fn reached(&self) -> bool {
        !self.components.is_empty() && self.components.iter().all(|c| c.reached)
    }
}

/// Stationary averages of one observable at level `significance` for the whole of it. Replicas that diverged are
/// left out: their number stands beside.
pub fn summarise(
    record: &DynamicsRecord,
    observable: &ObservableRecord,
    significance: f64,
) -> ObservableSummary {
    let components = observable.components();
    let mut summary = ObservableSummary::default();
    for component in 0..components {
        match window(record, observable, component) {
            Ok(window) => summary.components.push(of_window(&window, significance / components as f64)),
            Err(reason) => return ObservableSummary { components: vec![], missing: Some(reason) },
        }
    }
    summary
}

fn of_window(window: &Window, significance: f64) -> Component {
    let (mean, variance) = (window.mean(), window.variance());
    let scale = mean.value.abs() + variance.value.max(0.0).sqrt();
    let stationarity = window.stationarity(significance, scale);
    Component {
        mean,
        variance,
        reached: stationarity.reached,
        r_hat: stationarity.r_hat,
        effective_samples: window.effective_samples(),
    }
}

/// The window of one component: over replicas, or over the batches of the only one's path.
fn window(
    record: &DynamicsRecord,
    observable: &ObservableRecord,
    component: usize,
) -> Result<Window, String> {
    let components = observable.components();
    if record.replicas == 1 && record.kept > 0 {
        let path: Vec<f64> =
            observable.trajectories.iter().skip(component).step_by(components).copied().collect();
        return Window::of_path(path.get(record.burn_in..).unwrap_or(&[]));
    }
    let stationary = &observable.stationary;
    let mut finite = vec![true; record.replicas];
    for &(replica, _) in &record.diverged {
        if let Some(finite) = finite.get_mut(replica) {
            *finite = false;
        }
    }
    let alive: Vec<usize> = (0..record.replicas).filter(|&r| finite[r]).collect();
    if alive.is_empty() {
        return Err("no replica is left".into());
    }
    let column = |values: &[f64]| -> Vec<f64> {
        alive.iter().filter_map(|r| values.get(r * components + component)).copied().collect()
    };
    Window::of_replicas(&TimeAverages {
        instants: stationary.instants,
        mean: column(&stationary.mean),
        variance: column(&stationary.variance),
        first_mean: column(&stationary.first_mean),
        first_variance: column(&stationary.first_variance),
        second_mean: column(&stationary.second_mean),
        second_variance: column(&stationary.second_variance),
    })
}
