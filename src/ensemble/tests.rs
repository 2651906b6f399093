//! Whole runs: same bits however carried out, laws against closed forms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::run::run_in_blocks;
use super::*;
use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::model::formula::{
    DataEntry, DataSource, Diffusion, Expression, FormulaModel, ModelSpec, SdeModel,
};
use crate::model::{Layout, Shape};
use crate::study::{
    Dynamics, Initial, Instant, LossSystem, Observable, ObservableKind, Precision, PrecisionMean, Run, Study,
    System,
};

pub fn layout(parameters: &[(&str, Shape)]) -> Layout {
    let mut layout = Layout::default();
    for (name, shape) in parameters {
        layout.push(*name, *shape);
    }
    layout
}

fn formula(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

/// A loss over scalar parameters, data given by formulas.
pub fn loss(parameters: &[(&str, Shape)], data: &[(&str, &str)], size: Option<usize>, text: &str) -> System {
    let data = data
        .iter()
        .map(|(name, law)| DataEntry {
            name: (*name).to_owned(),
            source: DataSource::Formula { formula: formula(law), shape: None },
        })
        .collect();
    let spec = ModelSpec {
        layout: layout(parameters),
        constants: BTreeMap::new(),
        data,
        size,
        loss: formula(text),
        decay: 0.0,
        seed: 11,
    };
    let model = Arc::new(FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap());
    System::Loss(LossSystem { model: model.clone(), formula: Some(model) })
}

pub fn sde(parameters: &[(&str, Shape)], drift: &[(&str, &str)], diffusion: &[(&str, &str)]) -> System {
    let named = |list: &[(&str, &str)]| -> Vec<(String, Expression)> {
        list.iter().map(|(n, f)| ((*n).to_owned(), formula(f))).collect()
    };
    let noise: Vec<_> = named(diffusion).into_iter().map(|(n, f)| (n, Diffusion::Own(f))).collect();
    let model = SdeModel::new(layout(parameters), &BTreeMap::new(), &named(drift), &noise, false);
    System::Sde(Arc::new(model.map_err(|e| format!("{e:?}")).unwrap()))
}

pub fn training(rate: f64, batch: usize) -> Training {
    Training {
        rate: Schedule::constant(rate),
        batch,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
        course: crate::dynamics::Course::default(),
    }
}

/// Instants at these steps, t = step · rate.
pub fn dynamics(law: Law, training: Option<Training>, rate: f64, steps: &[u64]) -> Dynamics {
    let instants = steps.iter().map(|&step| Instant { step, time: step as f64 * rate }).collect();
    Dynamics { name: law.name().to_owned(), law, training, instants }
}

pub fn study(system: System, initial: Vec<Initial>, dynamics: Vec<Dynamics>, replicas: usize) -> Study {
    let mut study = Study {
        starts: Vec::new(),
        title: String::new(),
        path: String::new(),
        text: String::new(),
        overrides: vec![],
        resolved: String::new(),
        constants: BTreeMap::new(),
        system,
        initial,
        dynamics,
        run: Run {
            replicas,
            seed: 7,
            burn_in: 0.5,
            trajectories: 3,
            significance: 1e-3,
            resolution: 0.2,
            precision: None,
        },
        observables: vec![],
        symmetries: vec![],
        claims: vec![],
        warnings: vec![],
    };
    study.observables = study
        .layout()
        .parameters()
        .iter()
        .map(|p| Observable {
            name: p.name.clone(),
            shape: p.shape,
            hidden: false,
            kind: ObservableKind::Parameter { offset: p.offset },
        })
        .collect();
    study
}

/// Adds a formula to what is observed.
pub fn observe(study: &mut Study, name: &str, text: &str) {
    let function = match &study.system {
        System::Loss(loss) => loss.formula.as_ref().unwrap().function(&formula(text)).unwrap(),
        System::Sde(equation) => equation.function(&formula(text)).unwrap(),
    };
    study.observables.push(Observable {
        name: name.to_owned(),
        shape: function.shape(),
        hidden: false,
        kind: ObservableKind::Function(Arc::new(function)),
    });
}

pub fn simulate(study: &Study, threads: usize, most: Option<usize>) -> Record {
    let stop = AtomicBool::new(false);
    let options = Options { threads: Some(threads), stop: &stop, progress: &Silent, sink: &mut NoSink };
    run_in_blocks(study, &study.observables, options, most).unwrap()
}

pub fn fixed(values: &[f64]) -> Vec<Initial> {
    values.iter().map(|&x| Initial::Fixed(vec![x])).collect()
}

pub const SCALAR: Shape = Shape::SCALAR;

/// (uwx − 1)² with x ~ N(0, 1), under every law that moves it.
fn rescaling(replicas: usize) -> Study {
    let system = loss(&[("u", SCALAR), ("w", SCALAR)], &[("x", "normal(0, 1)")], None, "(u*w*x - 1)^2");
    let steps = [0, 1, 7, 20, 40];
    let t = || Some(training(0.01, 2));
    let laws = vec![
        dynamics(Law::Sgd, t(), 0.01, &steps),
        dynamics(Law::GaussianSgd, t(), 0.01, &steps),
        dynamics(Law::langevin(3), t(), 0.01, &steps),
        dynamics(Law::GradientDescent, t(), 0.01, &steps),
        dynamics(Law::GradientFlow { tolerance: 1e-12 }, t(), 0.01, &steps),
    ];
    let initial = vec![Initial::Fixed(vec![1.5]), Initial::Normal { mean: 0.2, standard_deviation: 0.1 }];
    let mut study = study(system, initial, laws, replicas);
    observe(&mut study, "charge", "u^2 - w^2");
    study
}

#[test]
fn threads_and_block_sizes_do_not_reach_a_bit() {
    let study = rescaling(300);
    let record = simulate(&study, 1, None);
    let one = digest(&record);
    for (threads, most) in [(2, None), (3, None), (1, Some(1)), (2, Some(4)), (3, Some(16))] {
        assert_eq!(digest(&simulate(&study, threads, most)), one, "{threads} threads, blocks of {most:?}");
    }
    let mut other = study;
    other.run.seed = 8;
    assert_ne!(digest(&simulate(&other, 1, None)), one);
}

#[test]
fn a_longer_ensemble_extends_a_shorter_one() {
    let (short, long) = (simulate(&rescaling(100), 2, None), simulate(&rescaling(277), 2, None));
    assert_eq!(digest_of_first(&short, 100), digest_of_first(&long, 100));
    assert_ne!(digest_of_first(&short, 100), digest_of_first(&long, 101));
}

#[test]
fn neither_records_nor_observables_nor_other_dynamics_change_a_path() {
    let full = simulate(&rescaling(64), 1, None);
    let mut bare = rescaling(64);
    bare.observables.truncate(2);
    for dynamics in &mut bare.dynamics {
        dynamics.instants = vec![dynamics.instants[0], dynamics.instants[4]];
    }
    bare.dynamics.remove(0);
    let bare = simulate(&bare, 1, None);
    for (a, b) in bare.dynamics.iter().zip(&full.dynamics[1..]) {
        assert_eq!(a.name, b.name);
        assert_eq!(a.observables[0].last, b.observables[0].last);
        assert_eq!(a.observables[1].last, b.observables[1].last);
    }
}

/// Counts what it is told, and asks for an end after so many calls.
struct Counter<'a> {
    told: AtomicU64,
    total: AtomicU64,
    calls: AtomicU64,
    stop_after: u64,
    stop: &'a AtomicBool,
}

impl Progress for Counter<'_> {
    fn start(&self, _dynamics: &str, total: u64) {
        self.total.fetch_add(total, Ordering::Relaxed);
    }
    fn advance(&self, replica_steps: u64) {
        self.told.fetch_add(replica_steps, Ordering::Relaxed);
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 >= self.stop_after {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
    fn finish(&self) {
        assert!(self.told.load(Ordering::Relaxed) <= self.total.load(Ordering::Relaxed));
    }
}

fn watched(study: &Study, stop_after: u64, sink: &mut dyn Sink) -> (Record, u64, u64) {
    let stop = AtomicBool::new(false);
    let counter = Counter {
        told: AtomicU64::new(0),
        total: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        stop_after,
        stop: &stop,
    };
    let options = Options { threads: Some(2), stop: &stop, progress: &counter, sink };
    let record = run_in_blocks(study, &study.observables, options, Some(4)).unwrap();
    (record, counter.told.into_inner(), counter.total.into_inner())
}

/// One law, long enough that progress is told of it in pieces.
fn long() -> Study {
    let system = loss(&[("w", SCALAR)], &[("x", "normal(0, 1)")], None, "(w - x)^2");
    let steps: Vec<u64> = (0..=20).map(|i| 100 * i).collect();
    study(system, fixed(&[1.0]), vec![dynamics(Law::Sgd, Some(training(0.1, 1)), 0.1, &steps)], 2000)
}

#[test]
fn progress_is_told_of_every_replica_step() {
    let (record, told, total) = watched(&long(), u64::MAX, &mut NoSink);
    assert!(!record.interrupted);
    assert_eq!((told, total), (4_000_000, 4_000_000));
    // Shared paths count, too.
    let mut flow = rescaling(50);
    flow.initial = fixed(&[1.0, 2.0]);
    flow.dynamics.drain(..4);
    let (_, told, total) = watched(&flow, u64::MAX, &mut NoSink);
    assert_eq!((told, total), (50 * 40, 50 * 40));
}

#[test]
fn an_interrupted_run_keeps_the_first_replicas() {
    let study = long();
    let whole = simulate(&study, 2, None);
    let mut sink = MemorySink::default();
    let (part, ..) = watched(&study, 8, &mut sink);
    assert!(part.interrupted);
    let done = part.dynamics[0].replicas;
    assert!(done > 0 && done < 2000, "{done}");
    assert_eq!(part.dynamics[0].requested, 2000);
    assert_eq!(digest_of_first(&part, done), digest_of_first(&whole, done));
    assert_eq!(part.dynamics[0].observables[0].ensemble[20].count as usize, done);
    assert_eq!(sink.finished[0].1.replicas, done);
    // Stopped before it began: nothing, and no error.
    let stop = AtomicBool::new(true);
    let options = Options { threads: None, stop: &stop, progress: &Silent, sink: &mut NoSink };
    let none = run(&study, &study.observables, options).unwrap();
    assert!(none.interrupted && none.dynamics.is_empty());
}

#[test]
fn a_sink_sees_the_record_block_by_block() {
    let study = rescaling(300);
    let mut sink = MemorySink::default();
    let (record, ..) = watched(&study, u64::MAX, &mut sink);
    let plan = sink.plan.unwrap();
    for (index, dynamics) in record.dynamics.iter().enumerate() {
        let planned = &plan.dynamics[index];
        assert_eq!((&planned.times, planned.requested, planned.kept), (&dynamics.times, 300, 3));
        assert_eq!(planned.burn_in, dynamics.burn_in);
        let mut next = 0;
        let mut last = vec![];
        let mut kept = vec![];
        for (_, block) in sink.blocks.iter().filter(|b| b.0 == index) {
            assert_eq!(block.first, next);
            next += block.replicas;
            last.extend(block.observables[2].last.iter().copied());
            kept.extend(block.observables[2].trajectories.iter().copied());
            // Moments are folded over the ensemble, they do not come by blocks.
            assert!(block.observables[2].ensemble.is_empty());
        }
        assert_eq!(next, 300);
        assert_eq!(last, dynamics.observables[2].last);
        assert_eq!(kept, dynamics.observables[2].trajectories);
        assert_eq!(sink.finished[index].1.observables[2].last, last);
        assert_eq!(dynamics.observables[2].stationary.instants, 5 - dynamics.burn_in);
    }
}

#[test]
fn an_error_of_the_sink_ends_the_run() {
    struct Full(usize);
    impl Sink for Full {
        fn begin(&mut self, _plan: &Plan) -> Result<(), SinkError> {
            Ok(())
        }
        fn block(&mut self, _dynamics: usize, _block: &Arc<BlockRecord>) -> Result<(), SinkError> {
            self.0 += 1;
            if self.0 < 3 {
                return Ok(());
            }
            Err(SinkError { message: "no space left".to_owned(), source: None })
        }
        fn finish(&mut self, _dynamics: usize, _record: &DynamicsRecord) -> Result<(), SinkError> {
            panic!("it never got so far")
        }
    }
    let study = long();
    let stop = AtomicBool::new(false);
    let options = Options { threads: Some(2), stop: &stop, progress: &Silent, sink: &mut Full(0) };
    match run_in_blocks(&study, &study.observables, options, Some(4)) {
        Err(RunError::Sink(error)) => assert_eq!(error.message, "no space left"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn singular_values_are_recorded() {
    let system = loss(&[("W", Shape::matrix(2, 3))], &[], Some(1), "norm2(W)");
    let mut study = study(
        system,
        vec![Initial::Fixed(vec![0.0, -3.0, 0.0, 2.0, 0.0, 0.0])],
        vec![dynamics(Law::GradientDescent, Some(training(0.25, 1)), 0.25, &[0, 1])],
        2,
    );
    observe(&mut study, "spectrum", "W");
    let observable = study.observables.last_mut().unwrap();
    let ObservableKind::Function(function) = observable.kind.clone() else { panic!("a function") };
    observable.kind = ObservableKind::SingularValues(function);
    observable.shape = Shape::vector(2);
    let record = simulate(&study, 1, None);
    let last = &record.dynamics[0].observables[1].last;
    for (got, want) in last.iter().zip([1.5, 1.0, 1.5, 1.0]) {
        assert!((got - want).abs() < 1e-14, "{last:?}");
    }
}

#[test]
fn an_ensemble_grows_to_its_precision_and_is_the_one_of_that_size() {
    let mut study = rescaling(100);
    study.run.precision = Some(Precision {
        observable: "charge".to_owned(),
        standard_error: 2e-4,
        of: PrecisionMean::End,
        most: 3000,
    });
    let grown = simulate(&study, 2, None);
    let sizes: Vec<usize> = grown.dynamics.iter().map(|d| d.replicas).collect();
    // SGD's charge scatters more than the Langevin equation's; a start with scatter makes the deterministic ones scatter, too.
    assert!(sizes.iter().all(|n| (512..=3000).contains(n)) && sizes.iter().any(|n| *n > 512), "{sizes:?}");
    for (index, dynamics) in grown.dynamics.iter().enumerate() {
        assert_eq!(dynamics.requested, dynamics.replicas);
        let precision = study.run.precision.as_ref().unwrap();
        let error = precision::standard_error(precision, dynamics);
        assert!(error <= 2e-4 || dynamics.replicas == 3000, "{}: {error}", dynamics.name);
        let mut outright = rescaling(dynamics.replicas);
        outright.dynamics = vec![study.dynamics[index].clone()];
        let alone = Record { dynamics: vec![dynamics.clone()], ..Record::default() };
        assert_eq!(digest(&alone), digest(&simulate(&outright, 1, Some(4))), "{}", dynamics.name);
    }
    // However it is carried out, and whatever it is asked for.
    assert_eq!(digest(&simulate(&study, 3, Some(4))), digest(&grown));
    let first = simulate(&rescaling(100), 1, None);
    assert_eq!(digest_of_first(&grown, 100), digest_of_first(&first, 100));
}

#[test]
fn an_integral_is_the_sum_over_every_step_whatever_is_recorded() {
    let text = |record: &str| {
        format!(
            "[parameters]\nw = {{ init = \"normal(1, 0.3)\" }}\n[data]\nx = \"normal(0, 1)\"\ny = \"x + normal(0, 0.5)\"\n\
             [population]\nsize = 12\n[loss]\nformula = \"0.5*(w*x - y)^2\"\n\
             [training]\nrate = [[0, 0.1], [13, 0.05]]\nbatch = 4\n\
             [dynamics]\nsgd = \"sgd\"\nheavy = {{ sgd = {{ momentum = 0.5 }} }}\nflow = \"gradient-flow\"\n\
             em = {{ langevin = {{ substeps = 1 }} }}\nheun = {{ langevin = {{ scheme = \"heun\", order = 2 }} }}\n\
             inertia = {{ underdamped = {{ friction = 0.5 }} }}\nou = \"ornstein-uhlenbeck\"\n\
             [run]\nsteps = 40\nreplicas = 9\nseed = 3\nrecord = {record}\ntrajectories = 9\n\
             [observe]\nwork = {{ integral = \"w^2 + loss\" }}\nrate_of_it = \"w^2 + loss\"\n"
        )
    };
    let record = |record: &str| {
        let study = crate::study::parse("s.toml", &text(record), std::path::Path::new(""), &[]);
        simulate(&study.unwrap_or_else(|e| panic!("{}", crate::study::Rendered(&e))), 1, None)
    };
    let (all, few) = (record("40"), record("4"));
    for (every, fourth) in all.dynamics.iter().zip(&few.dynamics) {
        let of = |d: &crate::ensemble::DynamicsRecord, name: &str| {
            d.observables.iter().find(|o| o.name == name).unwrap().clone()
        };
        let (work, rate) = (of(every, "work"), of(every, "rate_of_it"));
        let trapezoidal = every.name == "flow";
        for replica in 0..9 {
            let path = |o: &crate::ensemble::ObservableRecord, k: usize| o.trajectories[replica * 41 + k];
            let mut sum = 0.0;
            for k in 0..40 {
                let h = every.times[k + 1] - every.times[k];
                let other = if trapezoidal { path(&rate, k + 1) } else { path(&rate, k) };
                sum += 0.5 * h * (path(&rate, k) + other);
                assert!((path(&work, k + 1) - sum).abs() < 1e-12 * sum, "{} {k}", every.name);
            }
            // Coarsely recorded it is the same, but for gradient flow's rule.
            let coarse = of(fourth, "work").last[replica];
            let allowed = if trapezoidal { 0.05 } else { 1e-12 };
            assert!((coarse - sum).abs() <= allowed * sum, "{} {coarse} {sum}", every.name);
        }
    }
}
