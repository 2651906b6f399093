//! From measured numbers to a verdict: exact tests with power, tests of equivalence, and rounding.

use super::measure::Unsteady;
use super::number::{round_up, short};
use super::rounding::Rounding;
use super::verdict::{Kind, Test, Verdict};
use crate::stats::Estimate;
use crate::stats::multiple::holm;

/// Relative rounding of a predicted value.
const PREDICTED: f64 = 16.0 * f64::EPSILON;
/// Probability with which an exact claim must be able to see a deviation as large as its resolution.
const POWER: f64 = 0.9;
/// From so many replicas on, one that makes more than half of the scatter is a heavy tail.
const MANY: f64 = 50.0;
/// Exact claims about anything with scatter need so many independent units: a standard error from fewer says too little.
const FEWEST: f64 = 30.0;
/// With fewer units than this, the correction for skewness is an estimate that can err either way.
const FEW: f64 = 100.0;

/// A measured number and what is claimed of it, before it is judged.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// What is compared.
    pub quantity: String,
    /// Measured.
    pub estimate: Estimate,
    /// Standard error of the prediction.
    pub prediction_error: f64,
    /// The same squared, where the tests are better made there (a standard deviation through the variance).
    pub squared: Option<Estimate>,
    /// Predicted.
    pub predicted: f64,
    /// Absolute; `None` for an exact claim.
    pub tolerance: Option<f64>,
    /// Deviation that an exact claim must be able to see.
    pub resolution: f64,
    /// Rounding of the quantity, for comparisons without scatter.
    pub rounding: Rounding,
    /// Remark for the reader.
    pub note: Option<String>,
    /// Why the measurement cannot be trusted, if it cannot.
    pub doubt: Option<String>,
    /// An average over a window of time: a longer run tells more, as more replicas do.
    pub averaged: bool,
}

/// Judged questions.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub tests: Vec<Test>,
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// By how much each quantity could be another before its test no longer held; none for tests that know of none.
    pub slack: Vec<f64>,
}

impl Settled {
    /// No test could be made.
    pub fn without_tests(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { tests: Vec::new(), verdict, reason: Some(reason.into()), slack: Vec::new() }
    }

    /// What is left of a verdict where windows may be moving: tests that fail by more than the motion explains, and those that would hold for
    /// all that it may have changed. `scale` turns a number of standard errors of what a window measures into one of the test's (1 for averages over the window).
    pub fn but_moving(mut self, moving: Option<Unsteady>, scale: f64) -> Self {
        let Some(Unsteady { reason, reach }) = moving else { return self };
        for (index, test) in self.tests.iter_mut().enumerate() {
            let beyond = (test.measured - test.predicted).abs() - test.tolerance;
            let motion = scale * reach * test.standard_error;
            let slack = self.slack.get(index).copied().unwrap_or(0.0);
            let stands = match test.verdict {
                Verdict::Fails => beyond > motion,
                Verdict::Holds => motion < slack,
                Verdict::Undecided => false,
            };
            if !stands {
                test.verdict = Verdict::Undecided;
            }
        }
        self.verdict = overall(&self.tests);
        self.reason = (self.verdict == Verdict::Undecided).then_some(reason);
        self
    }

    /// Tests that are judged already.
    pub fn of_tests(tests: Vec<Test>, reason: Option<String>) -> Self {
        Self { verdict: overall(&tests), tests, reason, slack: Vec::new() }
    }
}

/// What one question comes to before the others are known.
enum Answer {
    /// Nothing random: right or wrong, as far as rounding of this size lets that be told.
    Certain(bool, f64),
    /// To be compared by its p-value.
    Random,
    /// Cannot be told, with the reason.
    Unknown(String),
}

/// Judges the questions of one claim together, at level `significance`.
///
/// An exact question fails if Holm's procedure rejects it; it holds if not, and the test would have seen a
/// deviation of `resolution` with probability 0.9 at the level that the correction leaves it. A question with a
/// tolerance fails if Holm's procedure rejects "within the tolerance", and holds if the equivalence test rejects
/// "outside" (all of them must, so there it needs no correction). Without scatter an exact question compares at the level of rounding, which
/// is shown as its tolerance; a stated tolerance is meant: what lies within rounding of its edge, or a tolerance below it, is undecided.
pub(super) fn settle(questions: Vec<Question>, significance: f64) -> Settled {
    let measured: Vec<Estimate> = questions.iter().map(|q| q.estimate).collect();
    let questions: Vec<Question> = questions
        .into_iter()
        .map(|q| Question { estimate: q.estimate.with_error(q.prediction_error), ..q })
        .collect();
    let answers: Vec<Answer> = questions.iter().map(answer).collect();
    let p_values: Vec<f64> = questions
        .iter()
        .zip(&answers)
        .map(|(q, answer)| match answer {
            Answer::Certain(right, _) => f64::from(u8::from(*right)),
            Answer::Random => q.p_value(),
            Answer::Unknown(_) => 1.0,
        })
        .collect();
    let adjusted = holm(&p_values);
    let level = significance / questions.len().max(1) as f64;
    let mut reasons = Vec::new();
    let mut tests = Vec::with_capacity(questions.len());
    let mut slack = Vec::with_capacity(questions.len());
    for (index, (question, answer)) in questions.into_iter().zip(answers).enumerate() {
        let rounding = if let Answer::Certain(_, rounding) = answer { rounding } else { 0.0 };
        // A question that cannot be told takes no part in the correction, but its deviation is shown.
        let unknown = matches!(answer, Answer::Unknown(_));
        let verdict = match answer {
            Answer::Certain(true, _) => Verdict::Holds,
            Answer::Certain(false, _) => Verdict::Fails,
            Answer::Unknown(reason) => {
                reasons.push(reason);
                Verdict::Undecided
            }
            Answer::Random if adjusted[index] <= significance => Verdict::Fails,
            Answer::Random => match question.shortfall(&measured[index], significance, level) {
                None => Verdict::Holds,
                Some(reason) => {
                    reasons.push(reason);
                    Verdict::Undecided
                }
            },
        };
        slack.push(if verdict == Verdict::Holds { question.slack(significance, level) } else { 0.0 });
        let shown = if unknown && question.estimate.standard_error > 0.0 {
            question.p_value()
        } else {
            p_values[index]
        };
        let kind = if question.tolerance.is_some() { Kind::LeadingOrder } else { Kind::Exact };
        tests.push(Test {
            quantity: question.quantity,
            measured: question.estimate.value,
            standard_error: question.estimate.standard_error,
            predicted: question.predicted,
            tolerance: question.tolerance.unwrap_or(rounding),
            p_value: shown,
            kind,
            verdict,
            note: question.note,
        });
    }
    let verdict = overall(&tests);
    let reason = if verdict == Verdict::Undecided { Some(together(&reasons)) } else { None };
    Settled { tests, verdict, reason, slack }
}

fn overall(tests: &[Test]) -> Verdict {
    let any = |verdict| tests.iter().any(|t| t.verdict == verdict);
    if any(Verdict::Fails) {
        Verdict::Fails
    } else if any(Verdict::Undecided) || tests.is_empty() {
        Verdict::Undecided
    } else {
        Verdict::Holds
    }
}

fn together(reasons: &[String]) -> String {
    match reasons {
        [] => "nothing was measured".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => {
            format!("{first} (and {} other{})", rest.len(), if rest.len() == 1 { "" } else { "s" })
        }
    }
}

fn answer(question: &Question) -> Answer {
    let Question { quantity, estimate, predicted, tolerance, rounding, .. } = question;
    if !estimate.value.is_finite() || !predicted.is_finite() {
        return Answer::Unknown(format!("{quantity}: not finite"));
    }
    if let Some(doubt) = &question.doubt {
        return Answer::Unknown(format!("{quantity}: {doubt}"));
    }
    if estimate.standard_error.is_nan() {
        return Answer::Unknown(format!(
            "{quantity}: one replica gives no standard error; run more replicas"
        ));
    }
    if estimate.standard_error.is_infinite() {
        return Answer::Unknown(format!(
            "{quantity}: numbers as large as {} have no finite scatter: the motion runs away; lower the rate, or the time step",
            short(estimate.value.abs())
        ));
    }
    let deviation = (estimate.value - predicted).abs();
    let nothing = rounding.most();
    let both_nothing = estimate.standard_error <= nothing && deviation <= nothing;
    if estimate.standard_error <= rounding.own || both_nothing {
        return certain(question, deviation);
    }
    if let Some(tolerance) = tolerance.filter(|t| 0.0 < *t && *t < rounding.own) {
        return Answer::Unknown(below_rounding(quantity, tolerance, rounding.own));
    }
    if *tolerance == Some(0.0) {
        return Answer::Unknown(format!(
            "{quantity}: a tolerance relative to a prediction of 0 is 0; give absolute_tolerance"
        ));
    }
    if estimate.units >= MANY && estimate.dominance > 0.5 && !question.beyond_every_unit() {
        return Answer::Unknown(format!(
            "{quantity}: one replica of {} makes {:.0} % of the scatter (heavy tails), so its standard error says little",
            estimate.units,
            100.0 * estimate.dominance
        ));
    }
    if tolerance.is_none() && estimate.units < FEWEST {
        return Answer::Unknown(format!(
            "{quantity}: {} independent replicas are too few for an exact test; run {FEWEST} at least",
            estimate.units
        ));
    }
    Answer::Random
}

/// Without scatter beyond rounding.
fn certain(question: &Question, deviation: f64) -> Answer {
    let Question { quantity, predicted, tolerance, resolution, .. } = question;
    let rounding = question.rounding.most().max(PREDICTED * predicted.abs());
    match tolerance.filter(|t| *t > 0.0) {
        Some(tolerance) if deviation > tolerance + rounding => Answer::Certain(false, rounding),
        Some(tolerance) if tolerance < rounding => {
            Answer::Unknown(below_rounding(quantity, tolerance, rounding))
        }
        Some(tolerance) if deviation > tolerance => Answer::Unknown(format!(
            "{quantity}: beyond the tolerance {} by no more than what rounding can make, {}",
            short(tolerance),
            short(rounding)
        )),
        None if deviation > rounding => Answer::Certain(false, rounding),
        None if *predicted != 0.0 && *resolution > 0.0 && rounding > *resolution => Answer::Unknown(format!(
            "{quantity}: {} lies below what rounding can make, {}",
            short(*predicted),
            short(rounding)
        )),
        _ => Answer::Certain(true, rounding),
    }
}

fn below_rounding(quantity: &str, tolerance: f64, rounding: f64) -> String {
    format!(
        "{quantity}: the tolerance {} lies below what rounding along a path can make, {}",
        short(tolerance),
        short(rounding)
    )
}

impl Question {
    /// The tolerance's nearest edge lies farther from the mean than any unit does: a mean within it is that of units that all lie within, one
    /// outside that of units all outside on one side. Then heavy tails do not matter: what n ≥ 50 units have not shown has a probability below
    /// ln(1/α)/n ≤ 0.14 at α = 1e-3 and, with tails as heavy as P(|x| > z) ~ z^{−κ}, adds at most κ/(κ − 1) times that to the mean, in
    /// units of the largest deviation: 0.4 for κ = 3/2, 0.83 for κ = 1.2 (of 1; the standard error itself is 0.03).
    fn beyond_every_unit(&self) -> bool {
        let Self { estimate, predicted, tolerance: Some(tolerance), squared: None, .. } = self else {
            return false;
        };
        let edge = ((estimate.value - predicted).abs() - tolerance).abs();
        edge > estimate.largest_deviation()
    }

    fn interval(&self) -> (f64, f64) {
        let tolerance = self.tolerance.unwrap_or(0.0);
        (self.predicted - tolerance, self.predicted + tolerance)
    }

    /// With few units the more lenient of the tests with and without the correction for skewness: the one errs for
    /// skewed samples, the other where the skewness of a small sample does.
    fn p_value(&self) -> f64 {
        let corrected = self.p_value_of(|estimate| estimate);
        if self.estimate.units >= FEW {
            return corrected;
        }
        corrected.max(self.p_value_of(|estimate| Estimate { skewness: 0.0, ..estimate }))
    }

    fn p_value_of(&self, form: impl Fn(Estimate) -> Estimate) -> f64 {
        let (low, high) = self.interval();
        match self.squared {
            None => form(self.estimate).outside(low, high),
            Some(squared) => form(squared).outside(low.max(0.0).powi(2), high.powi(2)),
        }
    }

    /// Why the data do not suffice to say `holds`, if they do not.
    fn shortfall(&self, measured: &Estimate, significance: f64, level: f64) -> Option<String> {
        let Self { quantity, estimate, predicted, resolution, .. } = self;
        let Some(tolerance) = self.tolerance else {
            let detectable = estimate.detectable(level, POWER);
            if detectable <= *resolution {
                let deviation = (estimate.value - predicted).abs();
                // Whatever blinds a test to a deviation beyond the resolution, it must not say `holds`.
                return (deviation > *resolution).then(|| {
                    format!(
                        "{quantity}: the deviation {} is larger than {} and yet not significant; {}",
                        short(deviation),
                        short(*resolution),
                        self.more(measured, 2.0)
                    )
                });
            }
            return Some(format!(
                "{quantity}: a deviation of {} would not be seen reliably, only one of {}; {}",
                short(*resolution),
                short(detectable),
                self.more(measured, self.replicas_for(level).sqrt())
            ));
        };
        let (low, high) = self.interval();
        let p = match &self.squared {
            None => estimate.inside(low, high),
            Some(squared) => squared.inside(low.max(0.0).powi(2), high.powi(2)),
        };
        if p <= significance {
            return None;
        }
        let deviation = (estimate.value - predicted).abs();
        // The deviation itself is known to a standard error only.
        let room = (deviation - tolerance).abs().max(estimate.standard_error);
        let needed = Estimate { value: 0.0, ..*estimate }.detectable(2.0 * significance, 0.5);
        Some(format!(
            "{quantity}: the deviation {} ± {} is neither inside nor outside the tolerance {}; {}",
            short(deviation),
            short(estimate.standard_error),
            short(tolerance),
            self.more(measured, needed / room)
        ))
    }

    /// How far off the measurement could be before this no longer held.
    fn slack(&self, significance: f64, level: f64) -> f64 {
        let slack = match self.tolerance {
            None => self.resolution - self.estimate.detectable(level, POWER),
            Some(tolerance) => {
                let deviation = (self.estimate.value - self.predicted).abs();
                tolerance - deviation - self.estimate.detectable(2.0 * significance, 0.5)
            }
        };
        slack.max(0.0)
    }

    /// How many times as many replicas see a deviation of the resolution: what skewness and single units do to the test fades with them.
    fn replicas_for(&self, level: f64) -> f64 {
        let mut factor = 1.1;
        while factor < 1e12 && self.estimate.of_more(factor).detectable(level, POWER) > self.resolution {
            factor *= 1.1;
        }
        factor
    }

    /// How many more replicas bring the standard error, `measured`'s and the prediction's, down by `factor`.
    fn more(&self, measured: &Estimate, factor: f64) -> String {
        let target = self.estimate.standard_error / factor;
        let left = target * target - self.prediction_error * self.prediction_error;
        // The standard error is known from a sample, too: two of its own standard errors on top.
        let unsure = 1.0 + 2.0 * measured.uncertainty();
        let needed = unsure * measured.units * measured.standard_error * measured.standard_error / left;
        if left <= 0.0 && self.prediction_error > 0.0 {
            return format!("the prediction itself is known only to ± {}", short(self.prediction_error));
        }
        if !(0.0..=1e12).contains(&needed) {
            return "no feasible number of replicas would tell".to_owned();
        }
        let time = if self.averaged { " or as much more time" } else { "" };
        format!("about {} replicas (now {}){time} would tell", round_up(needed), measured.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(value: f64, standard_error: f64, predicted: f64, tolerance: Option<f64>) -> Question {
        Question {
            quantity: "mean of x".to_owned(),
            estimate: Estimate { value, standard_error, skewness: 0.0, units: 400.0, dominance: 0.0 },
            prediction_error: 0.0,
            squared: None,
            predicted,
            tolerance,
            resolution: 0.2 * predicted.abs(),
            rounding: Rounding { own: 1e-12, floor: 1e-13 },
            note: None,
            doubt: None,
            averaged: true,
        }
    }

    fn verdict(questions: Vec<Question>) -> Verdict {
        settle(questions, 1e-3).verdict
    }

    #[test]
    fn exact_claims_are_right_wrong_or_underpowered() {
        assert_eq!(verdict(vec![question(1.01, 0.01, 1.0, None)]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.05, 0.01, 1.0, None)]), Verdict::Fails);
        // 0.2/0.06 is 3.3 standard errors: too few to be powered (4.6).
        let settled = settle(vec![question(1.01, 0.06, 1.0, None)], 1e-3);
        assert_eq!(settled.verdict, Verdict::Undecided);
        // (0.06·4.6/0.2)²·400 = 760, and 2·√(2/400) of it more, in steps of a tenth.
        let reason = settled.reason.unwrap();
        let needed: f64 = reason.split("about ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((860.0..=960.0).contains(&needed), "{reason}");
        assert!(reason.contains("(now 400) or as much more time would tell"), "{reason}");
        // At an instant more time does not help.
        let at = Question { averaged: false, ..question(1.01, 0.06, 1.0, None) };
        let reason = settle(vec![at], 1e-3).reason.unwrap();
        assert!(!reason.contains("time") && reason.contains("replicas (now 400) would tell"), "{reason}");
    }

    #[test]
    fn windows_that_may_move_leave_only_what_is_far_off() {
        let moving = || Some(Unsteady { reason: "it moves".to_owned(), reach: 20.0 });
        let left =
            |value, moving| settle(vec![question(value, 0.01, 1.0, None)], 1e-3).but_moving(moving, 1.0);
        assert_eq!(left(1.0, None).verdict, Verdict::Holds);
        assert_eq!(left(1.15, None).verdict, Verdict::Fails);
        assert_eq!(left(1.0, moving()).verdict, Verdict::Undecided);
        assert_eq!(left(1.15, moving()).verdict, Verdict::Undecided);
        assert_eq!(left(1.15, moving()).reason.unwrap(), "it moves");
        assert_eq!((left(1.25, moving()).verdict, left(1.25, moving()).reason), (Verdict::Fails, None));
        let closer = settle(vec![question(1.15, 0.01, 1.0, None)], 1e-3).but_moving(moving(), 0.5);
        assert_eq!(closer.verdict, Verdict::Fails);
        // What holds for anything that the motion may have changed: 0.2 is to be seen, 0.046 would be, and 0.1 is how far the motion reaches.
        let sure = settle(vec![question(1.0, 0.01, 1.0, None)], 1e-3).but_moving(moving(), 0.5);
        assert_eq!((sure.verdict, sure.reason), (Verdict::Holds, None));
        let within = |tolerance| {
            settle(vec![question(1.02, 0.01, 1.0, Some(tolerance))], 1e-3).but_moving(moving(), 0.5).verdict
        };
        assert_eq!((within(0.2), within(0.1)), (Verdict::Holds, Verdict::Undecided));
    }

    #[test]
    fn a_factor_of_two_never_holds() {
        for standard_error in [0.0, 1e-6, 1e-3, 0.01, 0.03, 0.05, 0.1, 0.3, 1.0, 10.0] {
            for (measured, predicted) in [(1.0, 2.0), (2.0, 1.0)] {
                for deviation in [-3.0, -2.0, 0.0, 2.0, 3.0] {
                    let value = measured + deviation * standard_error;
                    let exact = verdict(vec![question(value, standard_error, predicted, None)]);
                    // Three standard errors of bad luck may hide it only where it has not been tested for.
                    assert_ne!(exact, Verdict::Holds, "{value} ± {standard_error} for {predicted}");
                    let near =
                        verdict(vec![question(value, standard_error, predicted, Some(0.1 * predicted))]);
                    assert_ne!(near, Verdict::Holds);
                }
            }
        }
    }

    #[test]
    fn tolerances_are_tests_of_equivalence() {
        assert_eq!(verdict(vec![question(1.02, 0.005, 1.0, Some(0.05))]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.10, 0.005, 1.0, Some(0.05))]), Verdict::Fails);
        let settled = settle(vec![question(1.00, 0.05, 1.0, Some(0.05))], 1e-3);
        assert_eq!(settled.verdict, Verdict::Undecided);
        assert!(settled.reason.unwrap().contains("replicas"));
        assert_eq!(settled.tests[0].kind, Kind::LeadingOrder);
        // Relative to a prediction of 0.
        assert_eq!(verdict(vec![question(0.1, 0.01, 0.0, Some(0.0))]), Verdict::Undecided);
    }

    #[test]
    fn many_questions_are_corrected_together() {
        // p = 4e-4 alone is a rejection at 1e-3, among ten it is not.
        let doubtful = question(1.0355, 0.01, 1.0, None);
        assert_eq!(verdict(vec![doubtful.clone()]), Verdict::Fails);
        let mut ten = vec![question(1.0, 0.01, 1.0, None); 9];
        ten.push(doubtful);
        assert_eq!(verdict(ten.clone()), Verdict::Holds);
        ten.push(question(1.08, 0.01, 1.0, None));
        let settled = settle(ten, 1e-3);
        assert_eq!(settled.verdict, Verdict::Fails);
        assert_eq!(settled.tests.iter().filter(|t| t.verdict == Verdict::Fails).count(), 1);
    }

    #[test]
    fn without_scatter_rounding_decides() {
        // Rounded at 1e-12.
        assert_eq!(verdict(vec![question(1.0 + 1e-13, 0.0, 1.0, None)]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.0 + 1e-11, 0.0, 1.0, None)]), Verdict::Fails);
        let settled = settle(vec![question(1.0, 0.0, 1.0, None)], 1e-3);
        // What it was compared within is shown.
        assert_eq!((settled.tests[0].p_value, settled.tests[0].tolerance), (1.0, 1e-12));
        // A prediction so small that rounding hides it, beside an honest zero.
        assert_eq!(verdict(vec![question(1e-13, 0.0, 2e-13, None)]), Verdict::Undecided);
        assert_eq!(verdict(vec![question(1e-13, 0.0, 0.0, None)]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.04, 0.0, 1.0, Some(0.05))]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.06, 0.0, 1.0, Some(0.05))]), Verdict::Fails);
    }

    #[test]
    fn a_stated_tolerance_is_meant_down_to_rounding_and_never_widened() {
        // Far above rounding: to the last digit.
        assert_eq!(verdict(vec![question(1.0 + 0.9e-10, 0.0, 1.0, Some(1e-10))]), Verdict::Holds);
        assert_eq!(verdict(vec![question(1.0 + 1.1e-10, 0.0, 1.0, Some(1e-10))]), Verdict::Fails);
        // Below it: what is farther off than both fails, all else is undecided and says why.
        for (deviation, expected) in
            [(0.0, Verdict::Undecided), (9e-13, Verdict::Undecided), (1e-11, Verdict::Fails)]
        {
            let settled = settle(vec![question(1.0 + deviation, 0.0, 1.0, Some(1e-14))], 1e-3);
            assert_eq!(settled.verdict, expected, "{deviation}");
            assert_eq!(
                settled.reason.is_some_and(|r| r.contains("rounding")),
                expected == Verdict::Undecided
            );
        }
        // With scatter beside it, too.
        assert_eq!(verdict(vec![question(1.0, 1e-11, 1.0, Some(1e-14))]), Verdict::Undecided);
        // Within rounding of the edge.
        assert_eq!(verdict(vec![question(1.0 + 1e-10 + 5e-13, 0.0, 1.0, Some(1e-10))]), Verdict::Undecided);
        // Scatter far below 1e-9 of the value is scatter.
        assert_eq!(verdict(vec![question(1.0 + 1e-10, 1e-11, 1.0, None)]), Verdict::Fails);
    }

    #[test]
    fn errors_of_the_prediction_count_and_are_named() {
        // 0.01 measured, 0.05 predicted: 4 % off is no deviation, and more replicas would not help.
        let mut unsure = question(1.04, 0.01, 1.0, None);
        unsure.prediction_error = 0.05;
        let settled = settle(vec![unsure], 1e-3);
        assert_eq!(settled.verdict, Verdict::Undecided);
        assert!(settled.reason.unwrap().contains("the prediction itself is known only to ± 0.05"));
        assert!((settled.tests[0].standard_error - 0.01_f64.hypot(0.05)).abs() < 1e-15);
        let mut better = question(1.01, 0.01, 1.0, None);
        better.prediction_error = 0.01;
        assert_eq!(verdict(vec![better]), Verdict::Holds);
    }

    #[test]
    fn what_cannot_be_measured_is_undecided() {
        assert_eq!(verdict(vec![question(1.0, f64::NAN, 1.0, None)]), Verdict::Undecided);
        assert_eq!(verdict(vec![question(f64::NAN, 0.1, 1.0, None)]), Verdict::Undecided);
        assert_eq!(verdict(Vec::new()), Verdict::Undecided);
        let mut heavy = question(1.0, 0.01, 1.0, None);
        heavy.estimate.dominance = 0.8;
        assert_eq!(verdict(vec![heavy]), Verdict::Undecided);
    }

    #[test]
    fn heavy_tails_matter_unless_every_unit_is_on_one_side_of_the_tolerance() {
        // 100 units, 99 of them near 1 and one that makes nearly all of the scatter.
        let one = |outlier: f64, tolerance: f64| {
            let mut units: Vec<f64> = (0..99).map(|i| 1.0 + 1e-5 * f64::from(i % 7)).collect();
            units.push(outlier);
            let estimate = Estimate::of_sample(&units);
            assert!(estimate.dominance > 0.9);
            let largest = (outlier - estimate.value).abs();
            assert!((estimate.largest_deviation() / largest - 1.0).abs() < 1e-9);
            Question { estimate, ..question(0.0, 0.0, 1.0, Some(tolerance)) }
        };
        // It is well within the tolerance itself; control: it is not, though the mean is within by seven standard errors.
        assert_eq!(verdict(vec![one(1.05, 0.1)]), Verdict::Holds);
        let settled = settle(vec![one(1.12, 0.1)], 1e-3);
        assert!(settled.tests[0].standard_error < 0.1 / 70.0);
        assert_eq!(settled.verdict, Verdict::Undecided);
        assert!(settled.reason.unwrap().contains("heavy tails"));
        // All units are outside; control: the one is not.
        let far = |outlier| Question { predicted: 2.0, ..one(outlier, 0.1) };
        assert_eq!(verdict(vec![far(1.3)]), Verdict::Fails);
        assert_eq!(verdict(vec![far(2.0)]), Verdict::Undecided);
        // Without a tolerance nothing of this can be said.
        assert_eq!(verdict(vec![Question { tolerance: None, ..one(1.05, 0.1) }]), Verdict::Undecided);
    }
}
