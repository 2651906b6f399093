//! Budgets of charges along paths, of every law that keeps accounts, and wrong ones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::dynamics::Ledger;
use crate::ensemble::{NoSink, Options, Record, Silent, run};
use crate::law::{ClaimResult, Verdict, judge};
use crate::model::Shape;
use crate::model::symmetry::QuadraticForm;
use crate::study::{ObservableKind, Study, parse};

/// tanh(c(a·x)) with its rescaling, or a linear net with its double rotation.
fn study(net: bool, training: &str, dynamics: &str, steps: u64, claim: &str) -> Study {
    let system = if net {
        "[parameters]\nU = { shape = [2, 3], init = \"normal(0, 0.6)\" }\nW = { shape = [3, 2], init = \"normal(0, 0.6)\" }\n\
         [data]\nx = { shape = [2], law = \"normal(0, 1)\" }\ne = { shape = [2], law = \"normal(0, 0.5)\" }\n\
         [population]\nsize = 24\n[loss]\nformula = \"norm2(U @ W @ x - x - e)\"\n\
         [symmetries]\ns = { double_rotation = { left = \"W\", right = \"U\" } }\n"
    } else {
        "[parameters]\na = { shape = [2], init = \"normal(0.8, 0.2)\" }\nc = { init = \"normal(1, 0.2)\" }\n\
         [data]\nx = { shape = [2], law = \"normal(0, 1)\" }\ny = \"dot([0.5, -0.3], x) + normal(0, 0.5)\"\n\
         [loss]\nformula = \"(c*dot(a, x) - y)^2\"\n\
         [symmetries]\ns = { exponential = { a = 1, c = -1 } }\n"
    };
    let text = format!(
        "{system}[training]\n{training}\n[dynamics]\nd = {dynamics}\n[run]\nsteps = {steps}\nreplicas = 64\nseed = 5\n\
         record = 10\n[[claims]]\nnoether-flow = {{ symmetry = \"s\"{claim} }}\n"
    );
    parse("s.toml", &text, Path::new(""), &[])
        .unwrap_or_else(|e| panic!("{}\n{text}", crate::study::Rendered(&e)))
}

fn recorded(study: &Study) -> Record {
    let options =
        Options { threads: Some(1), stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink };
    run(study, &study.observables, options).unwrap()
}

fn judged(study: &Study) -> ClaimResult {
    judge(study, &recorded(study)).remove(0)
}

const PLAIN: &str = "rate = 0.02\nbatch = 2";
const DECAY: &str = "rate = [[0, 0.02], [40, 0.05]]\nbatch = 2\nweight_decay = 0.3";
/// Many samples a batch: no path stands out.
const MANY: &str = "rate = 0.02\nbatch = 8";
const MANY_DECAY: &str = "rate = 0.02\nbatch = 8\npenalty = 0.15";
const PENALTY: &str = "rate = 0.02\nbatch = 2\npenalty = 0.15";

#[test]
fn the_budget_closes_to_rounding_for_every_law_that_keeps_accounts() {
    let heavy = "rate = 0.01\nbatch = 3\npenalty = 0.2\nmomentum = 0.8";
    let changing = "rate = [[0, 0.01], [40, 0.02]]\nbatch = 3\nweight_decay = [[0, 0.5], [60, 0]]\n";
    let dampened = format!(
        "{changing}momentum = {{ beta = [[0, 0.5], [30, 0.8]], convention = \"pytorch\", dampening = 0.4 }}"
    );
    let ahead = format!("{changing}momentum = {{ beta = 0.8, convention = \"pytorch\", nesterov = true }}");
    let schedule = format!("{changing}momentum = [[0, 0.8], [70, 0]]");
    for net in [false, true] {
        for (training, dynamics) in [
            (PLAIN, "\"sgd\""),
            (DECAY, "\"sgd\""),
            (PENALTY, "\"sgd\""),
            (heavy, "\"sgd\""),
            (heavy, "\"gradient-descent\""),
            (heavy, "\"gaussian-sgd\""),
            (&dampened, "\"sgd\""),
            (&ahead, "\"sgd\""),
            (&ahead, "\"gradient-descent\""),
            (&schedule, "\"sgd\""),
            (DECAY, "{ langevin = { substeps = 3 } }"),
            (DECAY, "{ svag = { level = 3 } }"),
            (PENALTY, "\"gradient-flow\""),
            (DECAY, "{ langevin = { order = 2, substeps = 3 } }"),
            (DECAY, "{ underdamped = { friction = 0.5, substeps = 2 } }"),
            (PENALTY, "{ langevin = { increments = \"rademacher\" } }"),
        ] {
            let result = judged(&study(net, training, dynamics, 100, ""));
            assert_eq!(result.verdict, Verdict::Holds, "{net} {training} {dynamics}: {result:#?}");
            assert!(result.tests[0].tolerance < 1e-8, "{result:?}");
        }
    }
}

#[test]
fn epochs_close_their_budget_and_their_first_batches_have_the_noise_of_a_batch() {
    let epochs = format!("{PLAIN}\nsampling = \"without-replacement\"");
    // Twelve steps an epoch: recorded every 10, 1 and 5 instants of 11 and 6 are beginnings of one.
    let result = judged(&study(true, &epochs, "\"sgd\"", 100, ""));
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    let aligned = study(true, &epochs, "\"sgd\"", 120, "");
    let record = recorded(&aligned);
    let result = judge(&aligned, &record).remove(0);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    assert!(result.tests.len() > 2, "{result:#?}");
    // Without the factor (N − S)/(N − 1) the noise is 22/23 of what is expected: seen by many replicas alone.
    let ledger = record.dynamics[0].observables.iter().find(|o| o.name.starts_with("ledger")).unwrap();
    let rows = crate::dynamics::ledger::Rows::new(9);
    assert!(ledger.last.chunks(rows.len()).all(|replica| replica[rows.sampled()] == 10.0));
}

#[test]
fn schemes_and_the_drift_of_order_2_change_charges_by_itos_drift() {
    for (dynamics, net) in [
        ("{ langevin = { scheme = \"heun\" } }", false),
        ("{ langevin = { scheme = \"weak-2\", increments = \"three-point\" } }", false),
        ("{ langevin = { order = 2, substeps = 2, scheme = \"heun\" } }", true),
    ] {
        for (training, wrong, expected) in [
            (MANY, "", Verdict::Holds),
            (MANY, ", noise = 0.5", Verdict::Fails),
            (MANY, ", noise = 2", Verdict::Fails),
            (MANY_DECAY, "", Verdict::Holds),
            (MANY_DECAY, ", decay = 0.5", Verdict::Fails),
        ] {
            // From starts as different as a net's a wrong factor is seen by many replicas alone.
            if net && !wrong.is_empty() {
                continue;
            }
            let mut study = study(net, training, dynamics, 100, wrong);
            study.run.replicas = 1024;
            let result = judged(&study);
            assert_eq!(result.verdict, expected, "{net} {training} {dynamics} {wrong}: {result:#?}");
        }
    }
}

#[test]
fn a_noise_far_below_the_decay_is_judged_on_its_own_scale() {
    // The decay moves C a hundred times as much as the noise: ten times the noise lies within the tolerance of the whole.
    let many = |wrong: &str, replicas| {
        let training = "rate = 0.02\nbatch = 8\nweight_decay = 2";
        let mut study =
            study(false, training, "{ langevin = { scheme = \"heun\", substeps = 4 } }", 50, wrong);
        study.run.replicas = replicas;
        judged(&study)
    };
    let own = many("", 1024);
    assert_eq!((own.verdict, own.tests.len()), (Verdict::Holds, 2), "{own:#?}");
    assert!(own.tests[1].quantity.starts_with("noise in the change"));
    let (noise, whole) = (own.tests[1].predicted.abs(), own.tests[0].tolerance);
    assert!(2.0 * noise < whole, "{own:#?}");
    for wrong in [", noise = 0.5", ", noise = 2"] {
        let result = many(wrong, 1024);
        assert_eq!(result.verdict, Verdict::Fails, "{wrong}: {result:#?}");
        assert_eq!(result.tests[0].verdict, Verdict::Holds);
    }
    // Where the factor cannot matter, or the scatter hides it, a control does not hold.
    for (wrong, replicas) in [(", noise = 1.01", 1024), (", noise = 0", 1024), (", noise = 1.5", 3)] {
        let result = many(wrong, replicas);
        assert_eq!(result.verdict, Verdict::Undecided, "{wrong}: {result:#?}");
        assert!(result.reason.as_ref().unwrap().contains("cannot be told from 1"), "{result:#?}");
    }
    let hidden = many("", 3);
    assert!(
        hidden.tests[0].note.as_ref().unwrap().contains("cannot be told from the scatter"),
        "{hidden:#?}"
    );
}

#[test]
fn comparisons_without_power_are_named() {
    let epochs = format!("{PLAIN}\nsampling = \"without-replacement\"");
    let mut few = study(true, &epochs, "\"sgd\"", 100, "");
    few.run.replicas = 8;
    let result = judged(&few);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    assert!(
        result.tests.last().unwrap().note.as_ref().unwrap().contains("not told: noise in"),
        "{result:#?}"
    );
}

#[test]
fn inertia_has_its_decay_within_the_momentum() {
    let result = judged(&study(false, PENALTY, "{ underdamped = { friction = 0.5 } }", 100, ""));
    let note = result.tests.iter().filter_map(|t| t.note.as_ref()).find(|n| n.contains("mean over")).unwrap();
    assert!(note.contains("(decay within it)") && !note.contains("decay 0"), "{note}");
}

#[test]
fn wrong_factors_fail() {
    for (training, dynamics, wrong) in [
        (PLAIN, "\"sgd\"", "noise = 0.5"),
        (PLAIN, "{ langevin = { substeps = 2 } }", "noise = 2"),
        (PENALTY, "\"sgd\"", "decay = 0.5"),
        (PENALTY, "\"gradient-flow\"", "decay = 0.5"),
        ("rate = 0.01\nbatch = 2\npenalty = 0.2\nmomentum = 0.8", "\"sgd\"", "decay = 0.5"),
        ("rate = 0.01\nbatch = 2\nmomentum = 0.8", "\"sgd\"", "noise = 1.001"),
        (PENALTY, "{ underdamped = { friction = 0.5 } }", "noise = 1.001"),
        (PENALTY, "{ langevin = { order = 2 } }", "decay = 1.001"),
        (PLAIN, "{ langevin = { order = 2 } }", "noise = 1.001"),
        (PENALTY, "{ underdamped = { friction = 0.5 } }", "decay = 1.001"),
    ] {
        for net in [false, true] {
            let result = judged(&study(net, training, dynamics, 100, &format!(", {wrong}")));
            assert_eq!(result.verdict, Verdict::Fails, "{net} {training} {dynamics} {wrong}: {result:#?}");
        }
    }
}

#[test]
fn what_is_no_charge_has_no_budget() {
    // The cross term is seen: a form whose symmetry the loss has not.
    let mut study = study(false, PLAIN, "\"sgd\"", 100, "");
    let wrong = QuadraticForm::new(Shape::SCALAR, [(0, 0, 0, 1.0), (0, 1, 1, 1.0), (0, 2, 2, -1.01)]);
    for observable in &mut study.observables {
        if matches!(observable.kind, ObservableKind::Ledger(_)) {
            observable.kind = ObservableKind::Ledger(Arc::new(Ledger::new(wrong.clone(), 1.0, 1.0)));
        }
    }
    assert_eq!(judged(&study).verdict, Verdict::Fails);
}

#[test]
fn noise_of_another_covariance_is_seen_though_the_budget_closes() {
    // ĝ of batches of 2 against the expectation for batches of 4: half of η²Tr[ΣA]/2 too much.
    let study = study(false, "rate = 0.002\nbatch = 2", "\"sgd\"", 100, "");
    let mut record = recorded(&study);
    assert_eq!(judge(&study, &record).remove(0).verdict, Verdict::Holds);
    let ledger = record.dynamics[0].observables.iter_mut().find(|o| o.name.starts_with("ledger")).unwrap();
    let rows = crate::dynamics::ledger::Rows::new(1);
    for replica in ledger.last.chunks_mut(rows.len()) {
        replica[rows.surprise(0)] += 0.5 * replica[rows.sampled()];
    }
    let result = judge(&study, &record).remove(0);
    assert_eq!(result.verdict, Verdict::Fails, "{result:#?}");
    assert_eq!(result.tests[0].verdict, Verdict::Holds);
}

#[test]
fn accounts_change_no_path_and_blocks_change_no_account() {
    let with = study(false, PENALTY, "\"sgd\"", 60, "");
    let mut without = with.clone();
    without.claims.clear();
    without.observables.retain(|o| !o.hidden);
    let (a, b) = (recorded(&with), recorded(&without));
    for (one, other) in a.dynamics[0].observables.iter().zip(&b.dynamics[0].observables) {
        assert_eq!((&one.name, &one.last), (&other.name, &other.last));
    }
    let mut fewer = with.clone();
    fewer.run.replicas = 11;
    let c = recorded(&fewer);
    let ledger = |r: &Record| {
        r.dynamics[0].observables.iter().find(|o| o.name.starts_with("ledger")).unwrap().last.clone()
    };
    let (all, few) = (ledger(&a), ledger(&c));
    assert_eq!(all[..few.len()], few[..]);
}
