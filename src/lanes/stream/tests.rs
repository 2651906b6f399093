//! Streams against `rand_xoshiro`'s own, their independence of everything but the key, and their laws.

use super::*;
use crate::lanes::Level;
use rand_distr::{Distribution, Exp1, StandardUniform};

const SEED: u64 = 0x1234_5678_9abc_def0;
const TILES: usize = 3;

/// The documented key, written anew with `rand_xoshiro`'s own SplitMix64.
fn documented(seed: u64, purpose: u8, replica: u64, repair: bool) -> Xoshiro256PlusPlus {
    use rand_xoshiro::SplitMix64;
    // One output of SplitMix64 started at z is mix(z + γ).
    let output = |z: u64| SplitMix64::seed_from_u64(z).next_u64();
    let id = replica + (u64::from(purpose) << 56) + (u64::from(repair) << 63);
    let key = output((output(seed) ^ output(id)).wrapping_sub(0x9e37_79b9_7f4a_7c15));
    Xoshiro256PlusPlus::seed_from_u64(key)
}

#[test]
fn every_lane_is_the_xoshiro_of_its_key() {
    for level in Level::ALL {
        Level::force(level, || {
            let mut streams = Streams::new(SEED, Purpose::Index, 40, TILES);
            let mut wanted: Vec<_> = (0..24).map(|r| documented(SEED, 2, 40 + r, false)).collect();
            for (replica, generator) in wanted.iter().enumerate() {
                assert_eq!(&Xoshiro256PlusPlus::from_seed(seed_of(streams.state(replica))), generator);
            }
            // Calls of several lengths, and single words of single lanes between them.
            for (round, rows) in [1, 100, 7, 64, 300, 2].into_iter().enumerate() {
                let mut out = vec![Bits::default(); rows * TILES];
                streams.fill_bits(&mut out);
                for row in out.chunks_exact(TILES) {
                    for (replica, generator) in wanted.iter_mut().enumerate() {
                        assert_eq!(row[replica / LANES].0[replica % LANES], generator.next_u64());
                    }
                }
                let alone = 5 * round % 24;
                assert_eq!(streams.next(alone), wanted[alone].next_u64());
            }
        });
    }
}

fn seed_of(state: [u64; 4]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    seed
}

#[test]
fn the_repair_twin_has_a_key_of_its_own() {
    assert_eq!(generator(SEED, Purpose::Wiener, 3, true), documented(SEED, 7, 3, true));
    assert_ne!(generator(SEED, Purpose::Wiener, 3, true), generator(SEED, Purpose::Wiener, 3, false));
}

#[test]
fn keys_differ_between_seeds_purposes_replicas_and_twins() {
    let mut keys = std::collections::HashSet::new();
    let purposes = [Purpose::Initial, Purpose::Index, Purpose::Uniform, Purpose::Test];
    for seed in [0, 1, 2, u64::MAX, 1 << 63] {
        for purpose in purposes {
            for replica in (0..500).chain([1 << 40, (1 << 56) - 1]) {
                for repair in [false, true] {
                    assert!(keys.insert(key(seed, purpose, replica, repair)));
                }
            }
        }
    }
}

#[test]
fn draws_are_those_of_the_scalar_twin_at_every_level() {
    let n = 150;
    for level in Level::ALL {
        Level::force(level, || {
            let mut lanes = vec![Lane::default(); n * TILES];
            let mut indices = vec![Indices::default(); n * TILES];
            let mut streams = Streams::new(SEED, Purpose::Uniform, 8, TILES);
            let mut twins: Vec<_> = (0..24).map(|r| Stream::new(SEED, Purpose::Uniform, 8 + r)).collect();
            let mut each = |check: &mut dyn FnMut(usize, usize, usize, &mut Stream)| {
                for row in 0..n {
                    for (replica, twin) in twins.iter_mut().enumerate() {
                        check(row * TILES + replica / LANES, replica % LANES, replica, twin);
                    }
                }
            };
            streams.fill_uniform(&mut lanes);
            each(&mut |at, lane, _, twin| assert_eq!(lanes[at].0[lane], twin.uniform()));
            streams.fill_sign(&mut lanes);
            each(&mut |at, lane, _, twin| assert_eq!(lanes[at].0[lane], twin.sign()));
            for n in [1, 2, 442, 1_000_003, (1 << 32) - 1, 1 << 32] {
                streams.fill_below(&mut indices, n);
                each(&mut |at, lane, _, twin| assert_eq!(u64::from(indices[at].0[lane]), twin.below(n)));
            }
            each(&mut |_, _, replica, twin| assert_eq!(streams.below(replica, 1 << 60), twin.below(1 << 60)));
        });
    }
}

#[test]
fn a_replica_does_not_depend_on_its_block() {
    let words = |first: u64, tiles: usize, replica: u64| {
        let mut streams = Streams::new(SEED, Purpose::Sign, first, tiles);
        let mut out = vec![Bits::default(); 20 * tiles];
        streams.fill_bits(&mut out);
        let r = (replica - first) as usize;
        (0..20).map(|row| out[row * tiles + r / LANES].0[r % LANES]).collect::<Vec<_>>()
    };
    assert_eq!(words(0, 4, 19), words(16, 1, 19));
    assert_eq!(words(0, 4, 19), words(13, 2, 19));
    assert_ne!(words(0, 4, 19), words(0, 4, 20));
}

#[test]
fn empty_blocks_and_empty_calls_do_nothing() {
    let mut streams = Streams::new(SEED, Purpose::Sign, 0, 2);
    let state = streams.state(9);
    streams.fill_bits(&mut []);
    streams.fill_below(&mut [], 3);
    assert_eq!(streams.state(9), state);
    Streams::new(SEED, Purpose::Sign, 0, 0).fill_uniform(&mut []);
}

#[test]
fn it_serves_rand_and_its_distributions() {
    let mut ours = Stream::new(SEED, Purpose::Initial, 5);
    let mut theirs = documented(SEED, 1, 5, false);
    for _ in 0..100 {
        let (a, b): (f64, f64) = (Exp1.sample(&mut ours), Exp1.sample(&mut theirs));
        assert_eq!(a, b);
        let (a, b): (f64, f64) = (ours.uniform(), StandardUniform.sample(&mut theirs));
        assert_eq!(a, b);
    }
    let (mut a, mut b) = ([0; 13], [0; 13]);
    ours.fill_bytes(&mut a);
    theirs.fill_bytes(&mut b);
    assert_eq!((a, ours.next_u32()), (b, theirs.next_u32()));
}

/// χ² of counts that should be equal, in standard deviations from its mean.
fn unevenness(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    let freedom = counts.len() as f64 - 1.0;
    (chi2 - freedom) / (2.0 * freedom).sqrt()
}

/// Bound on |z|: exceeded by chance with probability below 2·10⁻⁹ for a normal z, below 10⁻⁷ for a χ² of 400 degrees.
const BOUND: f64 = 6.0;

#[test]
fn draws_are_evenly_spread() {
    // 442 · 4096 draws a replica and kind, over replicas together; expected counts of 32768 and above.
    let (n, rows) = (442, 4096);
    let mut streams = Streams::new(SEED, Purpose::Index, 0, TILES);
    let mut counts = vec![0; n];
    let mut biased = vec![0; n];
    let mut cells = vec![0; 512];
    let mut signs = vec![0; 2];
    let mut indices = vec![Indices::default(); rows * TILES];
    let mut lanes = vec![Lane::default(); rows * TILES];
    for _ in 0..40 {
        streams.fill_below(&mut indices, n as u64);
        for (k, index) in indices.iter().flat_map(|i| i.0).enumerate() {
            counts[index as usize] += 1;
            // The control: one draw in fifty from the lower half only.
            biased[if k % 50 == 0 { index as usize / 2 } else { index as usize }] += 1;
        }
        streams.fill_uniform(&mut lanes);
        for x in lanes.iter().flat_map(|lane| lane.0) {
            cells[(x * 512.0) as usize] += 1;
        }
        streams.fill_sign(&mut lanes);
        for x in lanes.iter().flat_map(|lane| lane.0) {
            signs[usize::from(x > 0.0)] += 1;
        }
    }
    for (name, counts) in [("index", &counts), ("uniform", &cells), ("sign", &signs)] {
        let z = unevenness(counts);
        // Two cells have one degree of freedom: χ² < 36 is |z| < 6 of a normal number.
        let bound = if counts.len() == 2 { 25.0 } else { BOUND };
        assert!(z.abs() < bound, "{name}: {z}");
    }
    assert!(unevenness(&biased) > BOUND);
}

/// z of the share of equal bits of two streams over `n` words.
fn agreement(mut a: impl FnMut() -> u64, mut b: impl FnMut() -> u64, n: u32) -> f64 {
    let differing: u64 = (0..n).map(|_| u64::from((a() ^ b()).count_ones())).sum();
    let bits = 64.0 * f64::from(n);
    (differing as f64 - bits / 2.0) / (bits / 4.0).sqrt()
}

#[test]
fn neighbouring_streams_are_uncorrelated() {
    // 4 · 60 pairs of 2000 words: |z| > 6 by chance with probability 5·10⁻⁷.
    let n = 2000;
    let words = |mut g: Xoshiro256PlusPlus| move || g.next_u64();
    for r in 0..60 {
        let here = || words(generator(SEED, Purpose::Wiener, r, false));
        for (name, other) in [
            ("replica", generator(SEED, Purpose::Wiener, r + 1, false)),
            ("purpose", generator(SEED, Purpose::Gradient, r, false)),
            ("seed", generator(SEED + 1, Purpose::Wiener, r, false)),
            ("twin", generator(SEED, Purpose::Wiener, r, true)),
        ] {
            let z = agreement(here(), words(other), n);
            assert!(z.abs() < BOUND, "{name} of replica {r}: {z}");
        }
    }
    // The control: one word in twenty shared.
    let mut k = 0;
    let (mut a, mut b) = (documented(1, 7, 0, false), documented(1, 7, 1, false));
    let mut shared = documented(1, 7, 2, false);
    let mut common = 0;
    let z = agreement(
        || {
            k += 1;
            common = shared.next_u64();
            if k % 20 == 0 { common } else { a.next_u64() }
        },
        {
            let mut k = 0;
            let mut shared = documented(1, 7, 2, false);
            move || {
                k += 1;
                let common = shared.next_u64();
                if k % 20 == 0 { common } else { b.next_u64() }
            }
        },
        n,
    );
    assert!(z < -BOUND, "{z}");
}

#[test]
fn recorded_bits() {
    // Change them only with an entry under *Value-breaking* in the change log.
    let mut streams = Streams::new(7, Purpose::Index, 0, 2);
    assert_eq!(
        streams.state(0),
        [0xacdc_3497_1312_96ce, 0x4fe8_83d9_f567_8add, 0xbf3d_94be_00c8_7ed8, 0x92f7_d9e4_f1be_f766]
    );
    let mut bits = [Bits::default(); 100];
    streams.fill_bits(&mut bits);
    let mut indices = [Indices::default(); 100];
    streams.fill_below(&mut indices, 442);
    let mut lanes = [Lane::default(); 100];
    streams.fill_uniform(&mut lanes);
    let fold = |words: &mut dyn Iterator<Item = u64>| words.fold(0u64, |sum, w| sum.rotate_left(5) ^ w);
    assert_eq!(
        [
            fold(&mut bits.iter().flat_map(|b| b.0)),
            fold(&mut indices.iter().flat_map(|i| i.0.map(u64::from))),
            fold(&mut lanes.iter().flat_map(|l| l.0.map(f64::to_bits))),
        ],
        [0x2fff_a9aa_2a22_755c, 0xe4e8_cb91_01d3_2fa6, 0x3625_a2ad_3069_9d1f]
    );
}
