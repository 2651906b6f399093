//! Conventions of momentum, and settings that change, as a study has them: paths, predictions, and what cannot be said.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::ensemble::{NoSink, Options, Record, Silent, run};
use crate::law::{ClaimResult, Verdict, judge, needs};
use crate::study::{Rendered, Study, parse};

pub(super) fn study(text: &str) -> Study {
    parse("s.toml", text, Path::new(""), &[]).unwrap_or_else(|e| panic!("{}\n{text}", Rendered(&e)))
}

pub(super) fn judged(study: &mut Study) -> Vec<ClaimResult> {
    let needed = needs(study);
    study.observables.extend(needed);
    judge(study, &recorded(study))
}

pub(super) fn recorded(study: &Study) -> Record {
    let options =
        Options { threads: Some(1), stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink };
    run(study, &study.observables, options).unwrap()
}

/// Gradient 1, rate 0.1 for one step and 0.01 for the next.
#[test]
fn a_rate_that_changes_tells_the_conventions_apart() {
    let two_steps = |momentum: &str| {
        let mut study = study(&format!(
            "[parameters]\nw = 0.0\n[loss]\nformula = \"w\"\n\
             [training]\nrate = [[0, 0.1], [1, 0.01]]\nmomentum = {momentum}\n[dynamics]\ngd = \"gradient-descent\"\n\
             [run]\nsteps = 2\nreplicas = 8\nrecord = 2\n\
             [[claims]]\nequals = {{ observable = \"w\", at = \"end\", value = -0.119, absolute_tolerance = 1e-9 }}\n\
             [[claims]]\nequals = {{ observable = \"w\", at = \"end\", value = -0.2, absolute_tolerance = 1e-9 }}\n"
        ));
        let verdicts: Vec<Verdict> = judged(&mut study).into_iter().map(|r| r.verdict).collect();
        (verdicts, study.warnings)
    };
    let (verdicts, warnings) = two_steps("0.9");
    assert_eq!(verdicts, [Verdict::Fails, Verdict::Holds]);
    assert!(warnings.len() == 1 && warnings[0].contains("pytorch"), "{warnings:?}");
    let stated = two_steps("{ beta = 0.9, convention = \"sutskever\" }");
    assert_eq!(stated, (vec![Verdict::Fails, Verdict::Holds], vec![]));
    let pytorch = two_steps("{ beta = 0.9, convention = \"pytorch\" }");
    assert_eq!(pytorch, (vec![Verdict::Holds, Verdict::Fails], vec![]));
}

/// Constant curvature and noise, where all stationary moments are known.
fn stationary(momentum: &str, dynamics: &str, claims: &str) -> Vec<Verdict> {
    let mut study = study(&format!(
        "[parameters]\nw = 0.0\n[data]\nx = \"normal(0, 1)\"\n[loss]\nformula = \"(w - x)^2/2\"\n\
         [training]\nrate = 0.2\nmomentum = {momentum}\n[dynamics]\nd = {dynamics}\n\
         [run]\nsteps = 800\nreplicas = 512\nseed = 11\nburn_in = 0.25\n{claims}"
    ));
    judged(&mut study).into_iter().map(|r| r.verdict).collect()
}

#[test]
fn a_dampened_ball_has_the_moments_of_one_at_a_lower_rate() {
    let claims = "[[claims]]\neinstein = {}\n[[claims]]\nfdt = {}\n\
                  [[claims]]\neinstein = { equation = \"discrete\" }\n";
    let dampened = "{ beta = 0.5, convention = \"pytorch\", dampening = 0.5 }";
    let [einstein, fdt, discrete] = stationary(dampened, "\"sgd\"", claims)[..] else { unreachable!() };
    assert_eq!((einstein, fdt), (Verdict::Holds, Verdict::Holds));
    // Control: the equation without momentum, whose variance is half as large.
    assert_eq!(discrete, Verdict::Fails);
    let ahead = "{ beta = 0.5, convention = \"pytorch\", nesterov = true }";
    let verdicts = stationary(ahead, "\"sgd\"", claims);
    assert!(verdicts.iter().all(|v| *v == Verdict::Undecided), "{verdicts:?}");
}

#[test]
fn the_window_begins_after_the_last_change_of_any_setting() {
    let claims = "[[claims]]\neinstein = {}\n";
    for momentum in ["[[0, 0.9], [700, 0.5]]", "0.5\nweight_decay = [[0, 1], [700, 0.5]]"] {
        assert_eq!(stationary(momentum, "\"sgd\"", claims), [Verdict::Undecided], "{momentum}");
    }
    for momentum in ["[[0, 0.9], [50, 0.5]]", "0.5\nweight_decay = [[0, 1], [50, 0.5]]"] {
        assert_eq!(stationary(momentum, "\"sgd\"", claims), [Verdict::Holds], "{momentum}");
    }
}

#[test]
fn without_friction_there_is_no_stationary_law() {
    let claims = "[[claims]]\neinstein = {}\n[[claims]]\nfdt = {}\n";
    let verdicts = stationary("0.5", "{ underdamped = { friction = 0 } }", claims);
    assert_eq!(verdicts, [Verdict::Undecided; 2]);
}

/// dθ = (v/η)dt, dv = −θ dt + √(ηf c) dW on the clock t = kη, f c = 0.25: cos(t/√η) without noise, and a variance that grows as f c t/2.
#[test]
fn without_friction_energy_is_kept_and_noise_heats() {
    let mut study = study(
        "[parameters]\nw = 1.0\n[data]\nx = \"normal(0, 0.5)\"\n[loss]\nformula = \"(w - x)^2/2\"\n\
         [training]\nrate = 0.01\n[dynamics]\nd = { underdamped = { friction = 0, substeps = 2 } }\n\
         [run]\ntime = 3.0\nreplicas = 4096\nseed = 3\nrecord = 3\n\
         [[claims]]\nequals = { observable = \"w\", at = 0.3, value = \"cos(0.3/sqrt(rate))\", absolute_tolerance = 0.03 }\n\
         [[claims]]\nequals = { observable = \"w\", at = 0.3, value = \"exp(-0.3)\", absolute_tolerance = 0.03 }\n\
         [[claims]]\nequals = { observable = \"w\", statistic = \"variance\", at = \"end\", value = \"0.25*3/2\", tolerance = 0.15 }\n",
    );
    let verdicts: Vec<Verdict> = judged(&mut study).into_iter().map(|r| r.verdict).collect();
    assert_eq!(verdicts, [Verdict::Holds, Verdict::Fails, Verdict::Holds]);
}
