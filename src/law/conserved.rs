//! `conserved`: an observable does not change along any path.

use super::measure::{Run, component_name, largest};
use super::number::short;
use super::settle::Settled;
use super::verdict::{Kind, Test, Verdict};
use crate::ensemble::record::ObservableRecord;

/// Judges the claim for one dynamics: max over replicas and recorded instants of |C(t) − C(0)|, against
/// `tolerance` times the size of the terms that cancel in C at the start (`scale`, a recorded observable; its
/// largest value over replicas), or of C itself where that is not known.
pub(super) fn judge(observable: &str, tolerance: f64, scale: Option<&str>, run: &Run) -> Settled {
    let outcome = run.observable(observable).and_then(|charge| {
        let scale = scale.map(|name| run.observable(name)).transpose()?;
        let tests = (0..charge.components())
            .map(|component| test(charge, component, tolerance, scale))
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Settled::of_tests(tests, None))
    });
    outcome.unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

fn test(
    charge: &ObservableRecord,
    component: usize,
    tolerance: f64,
    scale: Option<&ObservableRecord>,
) -> Result<Test, String> {
    let components = charge.components();
    let changes = charge.max_change.iter().skip(component).step_by(components);
    let change = changes.fold(f64::NEG_INFINITY, |a, &b| if b.is_nan() { f64::NAN } else { a.max(b) });
    if !change.is_finite() {
        return Err(format!("no change of `{}` was recorded", charge.name));
    }
    let at_start = |observable: &ObservableRecord| {
        // A magnitude without the charge's own components stands for all of them.
        let index = if observable.components() == components { component } else { 0 };
        observable.ensemble.get(index).filter(|m| m.count > 0).map_or(0.0, |m| m.min.abs().max(m.max.abs()))
    };
    let mut scale = scale.map_or(0.0, at_start).max(at_start(charge));
    if scale == 0.0 {
        // All terms vanish at the start: the largest value ever reached is the only size there is.
        scale = largest(charge, component, 0..charge.ensemble.len() / components.max(1));
    }
    let allowed = tolerance * scale;
    let verdict = if change <= allowed { Verdict::Holds } else { Verdict::Fails };
    Ok(Test {
        quantity: format!("largest change of {}", component_name(charge, component)),
        measured: change,
        standard_error: 0.0,
        predicted: 0.0,
        tolerance: allowed,
        p_value: f64::from(u8::from(verdict == Verdict::Holds)),
        kind: Kind::Exact,
        verdict,
        note: Some(format!(
            "over {} replicas; the terms of the charge are as large as {}",
            charge.max_change.len() / components.max(1),
            short(scale)
        )),
    })
}
