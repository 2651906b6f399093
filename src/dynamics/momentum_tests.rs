//! Conventions of momentum, and settings that change on the way, against the update that they stand for, number by number.

use crate::dynamics::passes_tests::loss;
use crate::dynamics::{Clock, Convention, Course, Decay, Law, Motion, Sampling, Schedule, Setting, Training};
use crate::lanes::Lane;
use crate::model::Shape;

const CURVATURES: [f64; 2] = [0.7, 2.0];
const STEPS: u64 = 12;

fn training(course: Course) -> Training {
    Training {
        rate: Schedule { pieces: vec![(0, 0.1), (3, 0.02), (7, 0.2)] },
        batch: 1,
        decay: Decay::Force(0.3),
        momentum: 0.9,
        sampling: Sampling::WithReplacement,
        course,
    }
}

/// θ after every step of gradient descent on ½(0.7u² + 2w²).
fn path(training: &Training) -> Vec<[f64; 2]> {
    let system = loss(&[("u", Shape::SCALAR), ("w", Shape::SCALAR)], &[], None, "0.35*u^2 + w^2");
    let setting = Setting {
        law: &Law::GradientDescent,
        training: Some(training),
        system,
        instants: &[],
        starts: &[],
        together: None,
    };
    let motion = Motion::new(&setting).unwrap();
    let mut stepper = motion.stepper(1, 0, 1);
    let mut theta = vec![Lane::splat(1.0), Lane::splat(-0.5)];
    (0..STEPS)
        .map(|step| {
            let clock = |step| Clock { step, time: step as f64 };
            assert!(stepper.advance(&mut theta, clock(step), clock(step + 1), &mut |_| true));
            [theta[0].0[0], theta[1].0[0]]
        })
        .collect()
}

/// `torch.optim.SGD` in its own words, with the settings of each step.
fn torch(training: &Training, dampening: f64, nesterov: bool) -> Vec<[f64; 2]> {
    let mut theta = [1.0, -0.5];
    let mut buffer: Option<[f64; 2]> = None;
    let of = |s: &Option<Schedule>, value: f64, step| s.as_ref().map_or(value, |s| s.at(step));
    (0..STEPS)
        .map(|step| {
            let decay = of(&training.course.decay, training.decay.force(), step);
            let momentum = of(&training.course.momentum, training.momentum, step);
            let gradient: [f64; 2] = std::array::from_fn(|i| CURVATURES[i] * theta[i] + decay * theta[i]);
            let new = match buffer {
                None => gradient,
                Some(old) => std::array::from_fn(|i| momentum * old[i] + (1.0 - dampening) * gradient[i]),
            };
            buffer = Some(new);
            for i in 0..2 {
                let along = if nesterov { gradient[i] + momentum * new[i] } else { new[i] };
                theta[i] -= training.rate.at(step) * along;
            }
            theta
        })
        .collect()
}

fn close(ours: &[[f64; 2]], theirs: &[[f64; 2]]) -> bool {
    ours.iter().flatten().zip(theirs.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-13)
}

#[test]
fn pytorchs_convention_is_pytorchs() {
    let schedules = |changing: bool| {
        let of = |pieces: &[(u64, f64)]| changing.then(|| Schedule { pieces: pieces.to_vec() });
        (of(&[(0, 0.5), (5, 0.9)]), of(&[(0, 0.0), (4, 1.0), (8, 0.3)]))
    };
    for (dampening, nesterov) in [(0.0, false), (0.4, false), (0.0, true)] {
        for changing in [false, true] {
            let (momentum, decay) = schedules(changing);
            let convention = Convention::PyTorch { dampening, nesterov };
            let settings = training(Course { convention, momentum, decay });
            let (ours, theirs) = (path(&settings), torch(&settings, dampening, nesterov));
            assert!(close(&ours, &theirs), "{settings:?}\n{ours:?}\n{theirs:?}");
            // Controls: another dampening, and the rate within the velocity, are other paths.
            assert!(!close(&ours, &torch(&settings, dampening + 0.1, nesterov)), "{settings:?}");
            let mut own = settings.clone();
            own.course.convention = Convention::Sutskever;
            assert!(!close(&path(&own), &theirs), "{settings:?}");
        }
    }
}

#[test]
fn the_conventions_are_one_where_the_rate_is_constant() {
    let mut settings = training(Course::default());
    settings.rate = Schedule::constant(0.1);
    let own = path(&settings);
    settings.course.convention = Convention::PyTorch { dampening: 0.0, nesterov: false };
    assert_eq!(path(&settings), own);
    assert!(close(&own, &torch(&settings, 0.0, false)));
}

#[test]
fn what_a_dampened_ball_comes_down_to() {
    let convention = Convention::PyTorch { dampening: 0.25, nesterov: false };
    let mut settings = training(Course { convention, ..Course::default() });
    let plain = settings.plain_ball().unwrap();
    assert_eq!((plain.rate.last(), plain.momentum), (0.2 * 0.75, 0.9));
    assert_eq!(settings.last_change(), (7, "rate"));
    settings.course.convention = Convention::PyTorch { dampening: 0.0, nesterov: true };
    assert!(settings.plain_ball().is_err());
    // Without momentum there is no buffer to be dampened.
    settings.momentum = 0.0;
    settings.course.convention = Convention::PyTorch { dampening: 0.25, nesterov: false };
    assert_eq!(settings.gait(5).rate, 0.02);
}
