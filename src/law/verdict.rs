//! What a judgement says.

use serde::Serialize;

/// Outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Measurement and prediction agree, and a disagreement would have been seen.
    Holds,
    /// They disagree beyond the statistical error and the tolerance.
    Fails,
    /// The data cannot tell; the reason says what is missing.
    Undecided,
}

impl Verdict {
    /// `holds`, `fails`, `undecided`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Fails => "fails",
            Verdict::Undecided => "undecided",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a measured and a predicted number are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No difference beyond the statistical error (or beyond rounding where there is no scatter).
    Exact,
    /// Equivalence within a tolerance.
    LeadingOrder,
}

impl Kind {
    /// `exact`, `leading-order`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Exact => "exact",
            Kind::LeadingOrder => "leading-order",
        }
    }
}

/// One comparison of a measured number with a predicted one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    /// What is compared, short: `mean of w at the end`, `covariance of w[0], w[3]`.
    pub quantity: String,
    /// Measured value (NaN where it could not be measured).
    pub measured: f64,
    /// Its standard error, from the scatter between replicas; that of the prediction included where it has one.
    pub standard_error: f64,
    /// Predicted value.
    pub predicted: f64,
    /// Allowed deviation in the units of the quantity; 0 for an exact claim.
    pub tolerance: f64,
    /// Probability of a deviation at least this large were the claim right (within its tolerance); uncorrected.
    /// 1 or 0 where the comparison is at rounding level.
    pub p_value: f64,
    /// Exact or leading order.
    pub kind: Kind,
    /// Outcome of this comparison, corrected for the others of the same claim.
    pub verdict: Verdict,
    /// What a reader should know: another instant used, the replicas that are missing, heavy tails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Outcome of one claim for one dynamics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimResult {
    /// Index into `Study::claims`.
    #[serde(skip)]
    pub claim: usize,
    /// `equals`, `conserved`, `einstein`.
    pub law: &'static str,
    /// The user's name of the dynamics.
    pub dynamics: String,
    /// Outcome.
    pub verdict: Verdict,
    /// What the study expects: `holds`, or `fails` for a negative control.
    pub expect: Verdict,
    /// The verdict is the expected one (an undecided claim never is).
    pub as_expected: bool,
    /// The comparisons behind it.
    pub tests: Vec<Test>,
    /// Why, where the tests alone do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ClaimResult {
    /// The comparison that speaks for the verdict, for a table with one line a claim: the most significant
    /// deviation.
    pub fn headline(&self) -> Option<&Test> {
        self.tests
            .iter()
            .filter(|t| t.verdict == self.verdict)
            .min_by(|a, b| a.p_value.total_cmp(&b.p_value))
            .or_else(|| self.tests.first())
    }
}

/// How many of several claims came out how; each counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Expected to hold, and do.
    pub held: usize,
    /// Came out otherwise than expected: claims that fail, and controls that hold.
    pub failed: usize,
    /// Claims and controls that could not be decided.
    pub undecided: usize,
    /// Controls that fail, as they must.
    pub controls: usize,
}

impl Tally {
    /// Counts.
    pub fn of<'a>(claims: impl IntoIterator<Item = &'a ClaimResult>) -> Self {
        let mut tally = Self::default();
        for claim in claims {
            let count = match (claim.verdict, claim.expect) {
                (Verdict::Undecided, _) => &mut tally.undecided,
                (Verdict::Holds, Verdict::Holds) => &mut tally.held,
                (Verdict::Fails, Verdict::Fails) => &mut tally.controls,
                _ => &mut tally.failed,
            };
            *count += 1;
        }
        tally
    }

    /// Nothing came out otherwise, and all was decided.
    pub fn as_expected(&self) -> bool {
        self.failed == 0 && self.undecided == 0
    }
}

#[cfg(test)]
mod tally {
    use super::*;

    #[test]
    fn every_claim_counts_once() {
        use Verdict::{Fails, Holds, Undecided};
        let all = [Holds, Fails, Undecided].map(|verdict| {
            [Holds, Fails].map(|expect| ClaimResult {
                claim: 0,
                law: "equals",
                dynamics: "sgd".into(),
                verdict,
                expect,
                as_expected: verdict == expect,
                tests: vec![],
                reason: None,
            })
        });
        let tally = Tally::of(all.as_flattened());
        assert_eq!(tally, Tally { held: 1, failed: 2, undecided: 2, controls: 1 });
        assert!(!tally.as_expected());
        assert!(Tally::of(all.as_flattened().iter().filter(|c| c.as_expected)).as_expected());
    }
}
