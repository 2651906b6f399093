//! Pieces of a loss against the loss itself.

use super::tests::{S, model};
use super::*;
use crate::lanes::{LANES, Lane, Purpose, Stream};

/// Switches as the signs of their arguments have them, at one state a lane, and those arguments.
fn settled(switches: &Switches, theta: &[Lane], memory: &mut Memory) -> (Vec<Lane>, Vec<Lane>) {
    let count = switches.len();
    let (mut s, mut g, mut rates) =
        (vec![Lane::default(); count], vec![Lane::default(); count], vec![Lane::default(); count]);
    for _ in 0..=switches.kinks() {
        switches.arguments(theta, &vec![Lane::default(); theta.len()], &s, &mut g, &mut rates, memory);
        for (s, g) in s.iter_mut().zip(&g) {
            *s = Lane(g.0.map(|g| f64::from(u8::from(g > 0.0))));
        }
    }
    (s, g)
}

#[test]
fn a_piece_has_the_slope_of_the_loss() {
    let v = Shape::vector(3);
    let data = [("x", "normal(0, 1)"), ("e", "uniform(0, 1)")];
    for (parameters, text, kinks) in [
        (vec![("a", v), ("b", v), ("c", v)], "(dot(c, relu(a*x + b)) - e)^2", 1),
        (vec![("a", S), ("b", S)], "relu(b*relu(a*x - 0.2) - 0.3*e)^2 + abs(a)*0.1", 3),
        (vec![("a", v), ("b", S)], "max(a*x)*b + min(a)^2 + max(sum(a)*e, b)", 5),
        (vec![("a", S)], "abs(max(a*x, e))*min(a, 1)", 3),
        (vec![("a", v)], "sum(abs(a - x)) + sum(relu(a - x))", 1),
    ] {
        let m = model(&parameters, &data, Some(7), text);
        let switches = m.switches().unwrap().unwrap_or_else(|| panic!("{text} has kinks"));
        assert_eq!(switches.kinks(), kinks, "{text}");
        let (p, mut memory) = (m.layout.len(), switches.memory(1));
        let mut stream = Stream::new(2, Purpose::Test, 0);
        let mut random =
            || (0..p).map(|_| Lane(std::array::from_fn(|_| stream.normal()))).collect::<Vec<_>>();
        let (theta, velocity) = (random(), random());
        let (s, g) = settled(&switches, &theta, &mut memory);
        let mut gradient = vec![Lane::default(); p];
        switches.gradient(&theta, &s, &mut gradient, &mut memory);
        for l in 0..LANES {
            let state: Vec<f64> = theta.iter().map(|x| x.0[l]).collect();
            for (found, wanted) in gradient.iter().zip(m.mean_gradient(&state)) {
                assert!(
                    (found.0[l] - wanted).abs() < 1e-12 * (1.0 + wanted.abs()),
                    "{text}: {} {wanted}",
                    found.0[l]
                );
            }
        }
        // The change of g along v, by differences on the piece.
        let (mut value, mut rate, mut unused) = (g.clone(), g.clone(), g.clone());
        switches.arguments(&theta, &velocity, &s, &mut value, &mut rate, &mut memory);
        let h = 1e-6;
        let moved = |h: f64| -> Vec<Lane> {
            theta
                .iter()
                .zip(&velocity)
                .map(|(x, v)| Lane(std::array::from_fn(|l| x.0[l] + h * v.0[l])))
                .collect()
        };
        let (mut up, mut down) = (g.clone(), g.clone());
        switches.arguments(&moved(h), &velocity, &s, &mut up, &mut unused, &mut memory);
        switches.arguments(&moved(-h), &velocity, &s, &mut down, &mut unused, &mut memory);
        for at in 0..switches.len() {
            for l in 0..LANES {
                let difference = (up[at].0[l] - down[at].0[l]) / (2.0 * h);
                let found = rate[at].0[l];
                assert!(
                    (found - difference).abs() < 1e-7 * (1.0 + difference.abs()),
                    "{text}: {found} {difference}"
                );
            }
        }
    }
}

#[test]
fn a_switch_says_what_it_belongs_to() {
    let m = model(
        &[("w", Shape::vector(2)), ("b", S)],
        &[("x", "normal(0, 1)")],
        Some(5),
        "sum(relu(w*x + b)) + abs(b)",
    );
    let switches = m.switches().unwrap().unwrap();
    assert_eq!(switches.len(), 11);
    assert_eq!(switches.name(0), "`abs(b)`");
    assert_eq!(switches.name(1 + 2 * 3 + 1), "`relu(b + x*w)`, element 1, sample 3");
}

#[test]
fn what_has_no_kink_has_no_pieces() {
    for (data, text) in [
        ("normal(0, 1)", "(w*x - 1)^2"),
        ("relu(normal(0, 1))", "tanh(w*x)^2 + abs(x)"),
        ("uniform", "logsumexp(w*[x, 1])"),
    ] {
        for size in [None, Some(6)] {
            assert!(model(&[("w", S)], &[("x", data)], size, text).switches().unwrap().is_none(), "{text}");
        }
    }
}
