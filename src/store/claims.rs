//! A judged claim, as a row of numbers and words: what `/claims` holds.

/// One test of one claim for one dynamics. The file holds every field as a column over the dimension `test`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimRow {
    /// Which of the study's `[[claims]]`, from 0: the tests of one claim share it.
    pub claim: usize,
    /// The law: `equals`, `einstein`, …
    pub law: String,
    /// The dynamics it was judged for.
    pub dynamics: String,
    /// What was tested: `mean of charge at the end`.
    pub quantity: String,
    /// Theory's value; NaN where there is none.
    pub predicted: f64,
    /// The ensemble's value; NaN where there is none.
    pub measured: f64,
    /// Its standard error; NaN where there is none.
    pub standard_error: f64,
    /// Absolute tolerance; NaN for an exact claim.
    pub tolerance: f64,
    /// p-value; NaN where there is none.
    pub p_value: f64,
    /// `holds`, `fails` or `undecided`: of the claim for this dynamics.
    pub verdict: String,
    /// `holds`, or `fails` for a negative control.
    pub expect: String,
    /// `exact` or `leading-order`.
    pub kind: String,
}

/// Columns of numbers: name, getter, setter.
type Number = (&'static str, fn(&ClaimRow) -> f64, fn(&mut ClaimRow, f64));
/// Columns of words: name, getter, setter.
type Word = (&'static str, fn(&ClaimRow) -> &str, fn(&mut ClaimRow, String));

/// Rows a chunk of the table has.
pub(super) const CHUNK: usize = 64;

/// A column of numbers whose chunks beyond the extent may be written without harm.
pub(super) const SPARE: &str = "claims/test";

/// Columns of numbers.
pub(super) const NUMBERS: [Number; 5] = [
    ("predicted", |r| r.predicted, |r, x| r.predicted = x),
    ("measured", |r| r.measured, |r, x| r.measured = x),
    ("standard_error", |r| r.standard_error, |r, x| r.standard_error = x),
    ("tolerance", |r| r.tolerance, |r, x| r.tolerance = x),
    ("p_value", |r| r.p_value, |r, x| r.p_value = x),
];

/// Columns of words.
pub(super) const WORDS: [Word; 6] = [
    ("law", |r| &r.law, |r, x| r.law = x),
    ("dynamics", |r| &r.dynamics, |r, x| r.dynamics = x),
    ("quantity", |r| &r.quantity, |r, x| r.quantity = x),
    ("verdict", |r| &r.verdict, |r, x| r.verdict = x),
    ("expect", |r| &r.expect, |r, x| r.expect = x),
    ("kind", |r| &r.kind, |r, x| r.kind = x),
];
