//! The laws that theory claims, and how they are judged: one file a claim.
//!
//! A claim says which observables it [`needs`], what theory predicts for each dynamics, and is [`judge`]d on what the
//! run recorded: a pure function, so that a stored record can be judged again.

mod amplifier;
mod bend;
mod conserved;
mod convergence;
mod decay_rate;
mod density;
mod diverges;
mod einstein;
mod epochs;
mod equals;
mod equilibrium;
mod fdt;
mod fixed_point;
mod kesten;
pub mod lyapunov;
mod measure;
mod noether_flow;
mod number;
mod prediction;
pub mod recursion;
mod rounding;
mod settle;
mod shuffles;
mod sides;
mod stationary_density;
mod sums;
mod tails;
#[cfg(test)]
mod tests;
mod value;
pub mod verdict;

pub use diverges::lost;
pub use measure::{StationarySummary, stationary_summary};
pub use verdict::{ClaimResult, Kind, Tally, Test, Verdict};

use crate::ensemble::record::Record;
use crate::study::{Claim, ClaimLaw, Observable, Study};
use einstein::Centers;
use measure::Run;
use settle::Settled;

/// Hidden observables that the study's claims need beside those it names: to be appended to
/// [`Study::observables`] before the run. Calling it again afterwards returns nothing new.
pub fn needs(study: &Study) -> Vec<Observable> {
    let mut needed = einstein::needs(study, &Centers::new(study));
    needed.extend(sides::needs(study));
    needed
}

/// Judges every claim of the study: a pure function of the study and what its run recorded.
/// One result for each claim and each of its dynamics, in file order.
pub fn judge(study: &Study, record: &Record) -> Vec<ClaimResult> {
    let mut results = Vec::new();
    judge_each(study, record, &mut |result| results.push(result));
    results
}

/// As [`judge`], handing over each result as it comes.
pub fn judge_each(study: &Study, record: &Record, tell: &mut dyn FnMut(ClaimResult)) {
    let centers = Centers::new(study);
    for (index, claim) in study.claims.iter().enumerate() {
        for dynamics in claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d)) {
            let own = record.dynamics.iter().find(|r| r.name == dynamics.name);
            let settled = match (&claim.law, own) {
                (ClaimLaw::Convergence(ladder), _) => convergence::judge(ladder, study, record, claim),
                (ClaimLaw::Equilibrium { second, .. }, Some(own)) if own.replicas > 0 => {
                    judge_pair(claim, &Run { study, dynamics, record: own }, *second, record)
                }
                (_, Some(record)) if record.replicas > 0 => {
                    judge_one(claim, &Run { study, dynamics, record }, &centers)
                }
                _ => Settled::without_tests(Verdict::Undecided, "the run ended before this dynamics"),
            };
            tell(result(index, claim, &dynamics.name, settled));
        }
    }
}

/// Results for those claims that were not judged because judging was stopped after the first `judged` ones: `undecided`, in the order of [`judge`].
pub fn unjudged(study: &Study, judged: usize) -> Vec<ClaimResult> {
    let each = study.claims.iter().enumerate().flat_map(|(index, claim)| {
        let dynamics = claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d));
        dynamics.map(move |dynamics| (index, claim, dynamics))
    });
    let stopped = || Settled::without_tests(Verdict::Undecided, "judging was interrupted before this claim");
    each.skip(judged)
        .map(|(index, claim, dynamics)| result(index, claim, &dynamics.name, stopped()))
        .collect()
}

fn result(index: usize, claim: &Claim, dynamics: &str, settled: Settled) -> ClaimResult {
    let expect = if claim.expect_holds { Verdict::Holds } else { Verdict::Fails };
    ClaimResult {
        claim: index,
        law: name(&claim.law),
        dynamics: dynamics.to_owned(),
        verdict: settled.verdict,
        expect,
        as_expected: settled.verdict == expect,
        tests: settled.tests,
        reason: settled.reason,
    }
}

/// The claim's name in the study file.
pub fn name(law: &ClaimLaw) -> &'static str {
    match law {
        ClaimLaw::Equals { .. } => "equals",
        ClaimLaw::Conserved { .. } => "conserved",
        ClaimLaw::NoetherFlow { .. } => "noether-flow",
        ClaimLaw::FixedPoint { .. } => "fixed-point",
        ClaimLaw::Einstein { .. } => "einstein",
        ClaimLaw::DecayRate { .. } => "decay-rate",
        ClaimLaw::Convergence(_) => "convergence",
        ClaimLaw::Fdt { .. } => "fdt",
        ClaimLaw::Equilibrium { .. } => "equilibrium",
        ClaimLaw::StationaryDensity { .. } => "stationary-density",
        ClaimLaw::Diverges => "diverges",
    }
}

/// Diverged replicas decide a claim.
fn diverged(claim: &Claim, run: &Run) -> Option<Settled> {
    let words = diverges::words(&format!("`{}`", run.dynamics.name), run.record)?;
    Some(diverges::of_divergence(&words, claim.expect_holds))
}

/// A claim about two dynamics.
fn judge_pair(claim: &Claim, first: &Run, second: usize, record: &Record) -> Settled {
    let dynamics = first.study.dynamics.get(second);
    let found = dynamics.and_then(|d| Some((d, record.dynamics.iter().find(|r| r.name == d.name)?)));
    let Some((dynamics, own)) = found.filter(|(_, own)| own.replicas > 0) else {
        return Settled::without_tests(Verdict::Undecided, "the run ended before the second dynamics");
    };
    let second = Run { study: first.study, dynamics, record: own };
    if let Some(settled) = diverged(claim, first).or_else(|| diverged(claim, &second)) {
        return settled;
    }
    match &claim.law {
        ClaimLaw::Equilibrium { observable, ratio, same, tolerance, .. } => {
            let claimed = equilibrium::Equilibrium {
                observable,
                ratio: ratio.as_ref(),
                same: *same,
                tolerance: *tolerance,
            };
            equilibrium::judge(&claimed, first, &second, claim.significance)
        }
        _ => Settled::without_tests(Verdict::Undecided, "this claim is about one dynamics"),
    }
}

fn judge_one(claim: &Claim, run: &Run, centers: &Centers) -> Settled {
    let indifferent = matches!(claim.law, ClaimLaw::Diverges);
    if let Some(settled) = diverged(claim, run).filter(|_| !indifferent) {
        return settled;
    }
    match &claim.law {
        ClaimLaw::Diverges => diverges::judge(run),
        ClaimLaw::Equals { observable, statistic, at, value, tolerance, .. } => {
            let claimed =
                equals::Equals { observable, statistic: *statistic, at: *at, value, tolerance: *tolerance };
            equals::judge(&claimed, run, claim.significance)
        }
        ClaimLaw::Conserved { observable, tolerance, scale } => {
            conserved::judge(observable, *tolerance, scale.as_deref(), run)
        }
        ClaimLaw::StationaryDensity { observable, reading, tail, tolerance } => {
            let claimed = stationary_density::StationaryDensity {
                observable,
                reading: *reading,
                tail: *tail,
                tolerance: *tolerance,
            };
            stationary_density::judge(&claimed, run, claim.significance)
        }
        ClaimLaw::Fdt { relation, moment, tolerance } => {
            fdt::judge(*relation, *moment, *tolerance, run, claim.significance)
        }
        ClaimLaw::FixedPoint { symmetry, spectra, moments, value, tolerance } => {
            let claimed = fixed_point::FixedPoint {
                symmetry,
                spectra,
                moments,
                value: value.as_ref(),
                tolerance: *tolerance,
            };
            fixed_point::judge(&claimed, run, claim.significance)
        }
        ClaimLaw::NoetherFlow { symmetry, ledger, components, noise, decay, tolerance } => {
            let claimed = noether_flow::NoetherFlow {
                symmetry,
                ledger,
                components: *components,
                noise: *noise,
                decay: *decay,
                tolerance: *tolerance,
            };
            noether_flow::judge(&claimed, run, claim.significance)
        }
        ClaimLaw::DecayRate { observable, fit, value, from, to, tolerance, .. } => {
            let claimed =
                decay_rate::DecayRate { observable, fit, value, share: (*from, *to), tolerance: *tolerance };
            decay_rate::judge(&claimed, run, claim.significance)
        }
        ClaimLaw::Equilibrium { .. } => {
            Settled::without_tests(Verdict::Undecided, "a claim about two dynamics")
        }
        ClaimLaw::Convergence(_) => Settled::without_tests(Verdict::Undecided, "judged by runs of its own"),
        ClaimLaw::Einstein { equation, tolerance } => {
            einstein::judge(*equation, *tolerance, run, centers, claim.significance)
        }
    }
}
