//! A step allocates nothing: every law of motion, counted by the allocator itself.

#![allow(clippy::unwrap_used, reason = "a test fails where its set-up does")]
#![allow(unsafe_code, reason = "a global allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout as Memory, System as SystemAllocator};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use perrin::dynamics::{Clock, Decay, Law, Motion, Sampling, Schedule, Setting, System, Training};
use perrin::lanes::Lane;
use perrin::model::formula::{
    DataEntry, DataSource, Diffusion, Expression, FormulaModel, ModelSpec, SdeModel,
};
use perrin::model::{Layout, Model, Shape};
use perrin::scheme::{Increments, Method, Scheme};

struct Counting;

thread_local! { static ALLOCATIONS: Cell<usize> = const { Cell::new(0) }; }

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        unsafe { SystemAllocator.alloc(memory) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        unsafe { SystemAllocator.dealloc(pointer, memory) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn expression(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn layout() -> Layout {
    let mut layout = Layout::default();
    layout.push("u", Shape::SCALAR);
    layout.push("w", Shape::SCALAR);
    layout
}

fn loss(size: Option<usize>) -> System {
    let entry = |name: &str, law: &str| DataEntry {
        name: name.to_owned(),
        source: DataSource::Formula { formula: expression(law), shape: None },
    };
    let spec = ModelSpec {
        layout: layout(),
        constants: BTreeMap::new(),
        data: vec![entry("x", "normal(0, 1)"), entry("s", "student(5)"), entry("r", "uniform(0, 1)")],
        size,
        loss: expression("(u*x + w - s*r)^2"),
        decay: 0.0,
        seed: 1,
    };
    let model = Arc::new(FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap());
    System::Loss { model: model.clone(), formula: Some(model) }
}

/// A linear model over a table, whose rows are used where they lie.
fn regression() -> System {
    let mut layout = Layout::default();
    layout.push("w", Shape::vector(9));
    let entry = |name: &str, law: &str| DataEntry {
        name: name.to_owned(),
        source: DataSource::Formula { formula: expression(law), shape: None },
    };
    let spec = ModelSpec {
        layout,
        constants: BTreeMap::new(),
        data: vec![entry("x", "normal([0, 0, 0, 0, 0, 0, 0, 0, 0], 1)"), entry("y", "normal(0, 1)")],
        size: Some(50),
        loss: expression("(dot(w, x) - y)^2"),
        decay: 0.0,
        seed: 1,
    };
    let model = Arc::new(FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap());
    assert!(model.over_rows(20).is_some() && model.in_rows(2).is_some());
    System::Loss { model: model.clone(), formula: Some(model) }
}

fn equation(noise: &str) -> System {
    let drift = [("u".to_owned(), expression("-u + 0.1*w"))];
    let diffusion = [("w".to_owned(), Diffusion::Own(expression(noise)))];
    let model = SdeModel::new(layout(), &BTreeMap::new(), &drift, &diffusion, false);
    System::Sde(Arc::new(model.map_err(|e| format!("{e:?}")).unwrap()))
}

#[test]
fn a_step_allocates_nothing() {
    assert_eq!(counted(|| drop(std::hint::black_box(vec![1.0]))), 1, "the counter counts");
    let training = |sampling, momentum| Training {
        rate: Schedule { pieces: vec![(0, 0.02), (30, 0.01)] },
        batch: 6,
        decay: Decay::Force(0.1),
        momentum,
        sampling,
        course: perrin::dynamics::Course::default(),
    };
    let with = || Some(training(Sampling::WithReplacement, 0.0));
    let heavy = || Some(training(Sampling::WithReplacement, 0.9));
    let without = || Some(training(Sampling::WithoutReplacement { drop_last: false }, 0.9));
    let by = |order, scheme, increments| Law::Langevin {
        order,
        substeps: 2,
        method: Method { scheme, increments },
    };
    let scheme = |scheme| Law::Integrated { dt: 0.01, method: Method { scheme, ..Method::default() } };
    let cases = [
        (Law::GradientFlow { tolerance: 1e-10 }, with(), loss(Some(50))),
        (Law::GradientDescent, with(), loss(None)),
        (Law::Sgd, heavy(), loss(None)),
        (Law::Sgd, with(), loss(Some(50))),
        (Law::Sgd, without(), loss(Some(50))),
        (Law::Sgd, with(), regression()),
        (Law::Sgd, without(), regression()),
        (Law::GaussianSgd, heavy(), loss(Some(5))),
        (Law::GaussianSgd, with(), loss(Some(500))),
        (Law::langevin(2), with(), loss(Some(500))),
        (Law::OrnsteinUhlenbeck, with(), loss(Some(50))),
        (Law::Svag { level: 3 }, with(), loss(None)),
        (Law::Underdamped { friction: 0.1, substeps: 2 }, with(), loss(Some(50))),
        (by(2, Scheme::EulerMaruyama, Increments::Normal), with(), loss(Some(50))),
        (by(1, Scheme::Heun, Increments::Rademacher), with(), loss(Some(50))),
        (by(2, Scheme::Weak2, Increments::ThreePoint), with(), loss(None)),
        (scheme(Scheme::Milstein), None, equation("0.3*w")),
        (scheme(Scheme::Heun), None, equation("0.3*w")),
        (scheme(Scheme::StochasticRungeKutta), None, equation("0.3*w")),
        (scheme(Scheme::Weak2), None, equation("0.3*w")),
        (Law::euler_maruyama(0.01), None, equation("0.3")),
        (Law::Exact, None, equation("0.3")),
    ];
    let instants: Vec<Clock> =
        [0, 1, 2, 102].iter().map(|&step| Clock { step, time: step as f64 * 0.02 }).collect();
    for (law, training, system) in cases {
        let starts = [vec![0.1, 0.2]];
        let parameters = match &system {
            System::Loss { model, .. } => model.layout().len(),
            System::Sde(_) => 2,
        };
        let setting = Setting {
            law: &law,
            training: training.as_ref(),
            system,
            instants: &instants,
            starts: &starts,
            together: None,
        };
        let motion = Motion::new(&setting).unwrap();
        let mut stepper = motion.stepper(1, 0, 2);
        let mut theta = vec![Lane::splat(0.3); 2 * parameters];
        let mut pulses = 0;
        let mut pulse = |_: u64| {
            pulses += 1;
            true
        };
        // The first step may touch what is made once a thread or process.
        assert!(stepper.advance(&mut theta, instants[0], instants[1], &mut pulse));
        let instants: Vec<Clock> = if law == Law::Exact {
            (1..=2).map(|step| Clock { step, time: 0.0 }).collect()
        } else {
            vec![instants[1], instants[3]]
        };
        let made = counted(|| {
            assert!(stepper.advance(&mut theta, instants[0], instants[1], &mut pulse));
        });
        assert_eq!(made, 0, "{}", law.name());
        assert!(pulses > 1 && theta.iter().all(|x| x.0[0].is_finite()));
    }
}
