//! Machine code gives what plain arithmetic gives, to the bit.

use super::*;
use crate::lanes::{LANES, Purpose, Stream, math};

const LEVELS: [Level; 3] = Level::ALL;

/// Runs a recipe over a block of random rows and compares every replica with plain arithmetic; false where there is no code.
fn agrees(recipe: &Recipe, tiles: usize, rows: usize, parameters: &[f64], seed: u64) -> bool {
    let mut stream = Stream::new(seed, Purpose::Test, 1);
    let mut block = |rows: usize| -> Vec<Lane> {
        (0..rows * tiles).map(|_| Lane(std::array::from_fn(|_| stream.normal()))).collect()
    };
    let [mut state, mut velocity, samples, noise] = std::array::from_fn(|_| block(rows));
    let before = (state.clone(), velocity.clone());
    let Some(mut pass) = recipe.pass(tiles) else { return false };
    for (which, &value) in parameters.iter().enumerate() {
        pass.set(which, value);
    }
    pass.run(&mut state, &mut velocity, &samples, &noise);
    for replica in 0..LANES * tiles {
        let one = |rows: &[Lane]| -> Vec<f64> {
            rows.chunks_exact(tiles).map(|row| row[replica / LANES].0[replica % LANES]).collect()
        };
        let old = [one(&before.0), one(&before.1), one(&samples), one(&noise)];
        let wanted = recipe.plain(std::array::from_fn(|k| &old[k][..]), parameters);
        for (got, wanted) in [one(&state), one(&velocity)].concat().iter().zip(wanted.concat()) {
            let same = got.to_bits() == wanted.to_bits() || (got.is_nan() && wanted.is_nan());
            assert!(same, "{got} for {wanted} in {recipe:?}");
        }
    }
    true
}

/// Levels with machine code of their own, here.
fn levels() -> impl Iterator<Item = Level> {
    let native = cfg!(all(unix, target_arch = "x86_64"));
    LEVELS.into_iter().filter(move |&level| native && Level::V1 < level && level <= Level::widest())
}

fn random(stream: &mut Stream, operations: usize, rows: usize) -> Recipe {
    let mut recipe = Recipe::default();
    let mut values = Vec::new();
    for rows_of in [Rows::State, Rows::Velocity, Rows::Samples, Rows::Noise] {
        values.extend((0..rows).map(|e| recipe.row(rows_of, e)));
    }
    values.extend([-1.5, 0.0, 0.1, 3.0].map(|x| recipe.constant(x)));
    values.extend([0, 1].map(|p| recipe.parameter(p)));
    for _ in 0..operations {
        let mut any = || values[stream.below(values.len() as u64) as usize];
        let (a, b) = (any(), any());
        let value = match stream.below(14) {
            0 | 1 => recipe.add(a, b),
            2 | 3 => recipe.subtract(a, b),
            4 | 5 => recipe.multiply(a, b),
            6 => recipe.divide(a, b),
            7 => recipe.sqrt(a),
            8 => recipe.negate(a),
            9 => recipe.step(a),
            10 => recipe.sign(a),
            11 => recipe.call("tanh", Kernel::Plain(math::tanh), a),
            12 => {
                let exponent = 0.5 + stream.below(2) as f64;
                recipe.call("power", Kernel::With(math::power, exponent), a)
            }
            _ if stream.sign() > 0.0 => recipe.abs(a),
            _ => recipe.positive_part(a),
        };
        values.push(value);
    }
    for (to, element) in (0..rows).flat_map(|e| [(Rows::State, e), (Rows::Velocity, e)]) {
        let value = values[values.len() - 1 - stream.below(operations as u64) as usize];
        recipe.store(to, element, value);
    }
    recipe
}

#[test]
fn random_recipes_give_the_bits_of_plain_arithmetic() {
    let mut stream = Stream::new(3, Purpose::Test, 0);
    let mut made = 0;
    for turn in 0..600 {
        let recipe = random(&mut stream, 1 + turn % 150, 1 + turn % 7);
        let tiles = 1 + turn % 5;
        for level in levels() {
            let parameters = [stream.normal(), stream.normal()];
            let done = Level::force(level, || agrees(&recipe, tiles, 1 + turn % 7, &parameters, turn as u64));
            made += usize::from(done);
        }
    }
    assert!(levels().count() == 0 || made > 500, "{made}");
}

#[test]
fn functions_divide_a_pass() {
    let mut recipe = Recipe::default();
    let rows: Vec<Value> = (0..3).map(|e| recipe.row(Rows::State, e)).collect();
    let rate = recipe.parameter(0);
    let call = |recipe: &mut Recipe, a| recipe.call("exp", Kernel::Plain(math::exp), a);
    // Two side by side, one of them of a bare row, and one of what they give.
    let scaled = recipe.multiply(rows[0], rate);
    let (a, b) = (call(&mut recipe, scaled), call(&mut recipe, rows[1]));
    let sum = recipe.add(a, b);
    let root = recipe.call("power", Kernel::With(math::power, 0.25), sum);
    let all = recipe.multiply(root, a);
    let all = recipe.subtract(all, rows[2]);
    recipe.store(Rows::State, 0, all);
    recipe.store(Rows::State, 2, a);
    // Of a constant nothing is called.
    let two = recipe.constant(2.0);
    let constant = call(&mut recipe, two);
    recipe.store(Rows::Velocity, 0, constant);
    for level in levels() {
        Level::force(level, || {
            assert!(agrees(&recipe, 3, 3, &[0.3], 8));
            let stages = recipe.stages();
            let calls: Vec<Vec<usize>> =
                stages.iter().map(|(_, calls)| calls.iter().map(|c| c.count).collect()).collect();
            assert_eq!(calls, [vec![2], vec![1], vec![]]);
        });
    }
}

#[test]
fn special_numbers_keep_their_signs() {
    let mut recipe = Recipe::default();
    let x = recipe.row(Rows::State, 0);
    let [a, b, c] = [recipe.negate(x), recipe.abs(x), recipe.positive_part(x)];
    let [d, e, f] = [recipe.sqrt(a), recipe.step(x), recipe.sign(x)];
    for (element, value) in [a, b, c, d, e, f].into_iter().enumerate() {
        recipe.store(Rows::State, element, value);
    }
    let cases = [0.0, -0.0, 1.0, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324];
    for level in levels() {
        let mut state = vec![Lane::default(); 6];
        state[0] = Lane(cases);
        Level::force(level, || recipe.pass(1).unwrap().run(&mut state, &mut [], &[], &[]));
        for (l, x) in cases.into_iter().enumerate() {
            let wanted = recipe.plain([&[x, 0.0, 0.0, 0.0, 0.0, 0.0], &[], &[], &[]], &[]);
            for (row, wanted) in state.iter().zip(&wanted[0]) {
                let same = row.0[l].to_bits() == wanted.to_bits() || (row.0[l].is_nan() && wanted.is_nan());
                assert!(same, "{x}: {} for {wanted}", row.0[l]);
            }
        }
        assert_eq!(
            state[2].0[..4].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [0, 0, 1.0_f64.to_bits(), 0]
        );
    }
}

#[test]
fn what_is_zero_stays_so_however_steep_the_rest() {
    let mut recipe = Recipe::default();
    let (x, y) = (recipe.row(Rows::State, 0), recipe.row(Rows::State, 1));
    let product = recipe.multiply(x, y);
    let kept = recipe.unless_zero(x, product);
    recipe.store(Rows::State, 0, kept);
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        (0.0, inf),
        (-0.0, -inf),
        (0.0, nan),
        (nan, 1.0),
        (nan, inf),
        (5e-324, inf),
        (-2.0, 3.0),
        (inf, 0.0),
    ];
    for level in levels() {
        let mut state = vec![Lane(cases.map(|c| c.0)), Lane(cases.map(|c| c.1))];
        Level::force(level, || recipe.pass(1).unwrap().run(&mut state, &mut [], &[], &[]));
        let wanted = [0.0, -0.0, 0.0, nan, nan, inf, -6.0, nan];
        for (got, wanted) in state[0].0.iter().zip(wanted) {
            assert!(
                got.to_bits() == wanted.to_bits() || (got.is_nan() && wanted.is_nan()),
                "{got} for {wanted}"
            );
        }
    }
}

#[test]
fn the_state_is_read_as_it_was() {
    // A rotation: each new element needs the other's old one, and is known before the other is computed.
    let mut recipe = Recipe::default();
    let (x, y) = (recipe.row(Rows::State, 0), recipe.row(Rows::State, 1));
    let half = recipe.constant(0.5);
    let a = recipe.multiply(y, half);
    recipe.store(Rows::State, 0, a);
    let b = recipe.multiply(x, half);
    recipe.store(Rows::State, 1, b);
    for level in levels() {
        assert!(Level::force(level, || agrees(&recipe, 3, 2, &[], 1)));
    }
    // Rows that change places would need a register between.
    let mut swap = Recipe::default();
    let (x, y) = (swap.row(Rows::State, 0), swap.row(Rows::State, 1));
    swap.store(Rows::State, 0, y);
    swap.store(Rows::State, 1, x);
    assert!(swap.pass(1).is_none());
}

/// So many sums that are all needed at the end.
fn crowded(count: u32) -> Recipe {
    let mut recipe = Recipe::default();
    let x = recipe.row(Rows::State, 0);
    let values: Vec<Value> = (0..count)
        .map(|k| {
            let c = recipe.constant(f64::from(k));
            recipe.add(x, c)
        })
        .collect();
    let total = values.iter().rev().fold(x, |sum, &v| recipe.multiply(sum, v));
    let total = values.iter().fold(total, |sum, &v| recipe.subtract(v, sum));
    recipe.store(Rows::State, 0, total);
    recipe
}

#[test]
fn what_does_not_fit_has_no_code() {
    // Forty sums that are all needed at the end are more than there are registers; a hundred are more than the stack takes.
    for (count, fits) in [(40, true), (100, false)] {
        let recipe = crowded(count);
        for level in levels() {
            Level::force(level, || {
                assert_eq!(recipe.pass(1).is_some(), fits);
                assert!(!fits || agrees(&recipe, 2, 1, &[], 4));
            });
        }
    }
    let mut long = Recipe::default();
    let mut x = long.row(Rows::State, 0);
    for _ in 0..=MOST {
        x = long.multiply(x, x);
    }
    long.store(Rows::State, 0, x);
    assert!(long.too_long() && long.pass(1).is_none());
    Level::force(Level::V1, || assert!(Recipe::default().pass(4).is_none()));
}

#[test]
#[should_panic(expected = "rows for")]
fn too_few_rows_are_refused() {
    let mut recipe = Recipe::default();
    let x = recipe.row(Rows::Noise, 1);
    recipe.store(Rows::State, 0, x);
    match recipe.pass(2) {
        Some(mut pass) => pass.run(&mut [Lane::default(); 2], &mut [], &[], &[Lane::default(); 3]),
        None => panic!("rows for none"),
    }
}
