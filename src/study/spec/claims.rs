//! `[[claims]]` as written.

use super::convergence::ConvergenceSpec;
use super::read::{Errors, Field, Fields, names, number, suggestion};
use super::values::{self, Quantity};
use crate::study::keys;
use crate::study::resolved::{At, DensityReading, Equation, Moment, Relation, Statistic, Tail};
use crate::study::source::{Span, Spanned};
use crate::study::tree::{Node, Table, Value};

/// One claim.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimSpec {
    /// Its index in the file.
    pub index: usize,
    /// Place of the law's name.
    pub at: Span,
    /// What it says.
    pub law: ClaimLawSpec,
    /// `dynamics`.
    pub dynamics: Field<Vec<Spanned<String>>>,
    /// `expect`: `holds` or `fails`.
    pub expect: Field<&'static str>,
    /// `significance`.
    pub significance: Field<f64>,
}

/// What a claim says.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimLawSpec {
    /// A statistic of an observable has a value.
    Equals {
        /// Name or formula.
        observable: Field<String>,
        /// Which statistic.
        statistic: Field<Statistic>,
        /// When.
        at: Field<At>,
        /// The value.
        value: Field<Quantity>,
        /// Relative.
        tolerance: Field<f64>,
        /// In the observable's units.
        absolute_tolerance: Field<f64>,
    },
    /// Every replica diverges.
    Diverges,
    /// An observable, or the charge of a symmetry, does not change.
    Conserved {
        /// Name or formula.
        observable: Field<String>,
        /// Name of a symmetry.
        symmetry: Field<String>,
        /// Relative to the size of the charge's terms.
        tolerance: Field<f64>,
    },
    /// A state comes to the fixed point of its orbit, or lies as far from it as is claimed.
    FixedPoint {
        /// Name of a symmetry.
        symmetry: Field<String>,
        /// λ* claimed of one instant.
        value: Field<Quantity>,
        /// True for the end of the run, false for its start.
        at_end: Field<bool>,
        /// In λ.
        tolerance: Field<f64>,
    },
    /// A charge changes, step by step, by what decay and noise say.
    NoetherFlow {
        /// Name of a symmetry.
        symmetry: Field<String>,
        /// Factor of the noise term.
        noise: Field<f64>,
        /// Factor of the decay's coefficient.
        decay: Field<f64>,
        /// Relative to the size of what cancels.
        tolerance: Field<f64>,
    },
    /// An observable decays at a rate.
    DecayRate {
        /// Name or formula.
        observable: Field<String>,
        /// The rate.
        value: Field<Quantity>,
        /// Share of the run at which the fit begins.
        from: Field<f64>,
        /// Share of the run at which it ends.
        to: Field<f64>,
        /// Relative.
        tolerance: Field<f64>,
        /// Per unit t.
        absolute_tolerance: Field<f64>,
    },
    /// An error falls with a power of a step.
    Convergence(Box<ConvergenceSpec>),
    /// The stationary law of one number.
    StationaryDensity {
        /// Name or formula.
        observable: Field<String>,
        /// How the noise is read.
        interpretation: Field<DensityReading>,
        /// The tail in place of the distribution.
        tail: Field<Tail>,
        /// Of the distance, or relative to the index.
        tolerance: Field<f64>,
    },
    /// Two motions side by side.
    Equilibrium {
        /// Names of the two.
        between: Field<Vec<Spanned<String>>>,
        /// Name or formula.
        observable: Field<String>,
        /// The first's variance over the second's.
        variance_ratio: Field<Quantity>,
        /// Claimed to be of one law.
        same: Field<bool>,
        /// Relative.
        tolerance: Field<f64>,
    },
    /// A fluctuation–dissipation relation.
    Fdt {
        /// Which.
        relation: Field<Relation>,
        /// What stands for the noise.
        moment: Field<Moment>,
        /// Relative.
        tolerance: Field<f64>,
    },
    /// The stationary covariance follows from dissipation and noise.
    Einstein {
        /// Relative, for leading-order predictions.
        tolerance: Field<f64>,
        /// Which equation.
        equation: Field<Equation>,
    },
}

impl ClaimLawSpec {
    /// Its key in the study file.
    pub fn name(&self) -> &'static str {
        match self {
            ClaimLawSpec::Equals { .. } => "equals",
            ClaimLawSpec::Conserved { .. } => "conserved",
            ClaimLawSpec::Diverges => "diverges",
            ClaimLawSpec::NoetherFlow { .. } => "noether-flow",
            ClaimLawSpec::FixedPoint { .. } => "fixed-point",
            ClaimLawSpec::DecayRate { .. } => "decay-rate",
            ClaimLawSpec::Convergence(_) => "convergence",
            ClaimLawSpec::Einstein { .. } => "einstein",
            ClaimLawSpec::Fdt { .. } => "fdt",
            ClaimLawSpec::Equilibrium { .. } => "equilibrium",
            ClaimLawSpec::StationaryDensity { .. } => "stationary-density",
        }
    }
}

/// Names of the statistics.
pub const STATISTICS: [(&str, Statistic); 6] = [
    ("mean", Statistic::Mean),
    ("variance", Statistic::Variance),
    ("second_moment", Statistic::SecondMoment),
    ("standard_deviation", Statistic::StandardDeviation),
    ("minimum", Statistic::Minimum),
    ("maximum", Statistic::Maximum),
];

/// Names of the readings of a density.
pub const READINGS: [(&str, DensityReading); 4] = [
    ("own", DensityReading::Own),
    ("ito", DensityReading::Ito),
    ("stratonovich", DensityReading::Stratonovich),
    ("gibbs", DensityReading::Gibbs),
];

/// Names of the tails.
pub const TAILS: [(&str, Tail); 2] = [("own", Tail::Own), ("density", Tail::Density)];

/// Names of the moments.
pub const MOMENTS: [(&str, Moment); 3] =
    [("own", Moment::Own), ("second", Moment::Second), ("covariance", Moment::Covariance)];

/// Names of the equations.
pub const EQUATIONS: [(&str, Equation); 3] =
    [("own", Equation::Own), ("continuous", Equation::Continuous), ("discrete", Equation::Discrete)];

pub fn claims(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Vec<ClaimSpec> {
    let Some(node) = fields.node("claims") else { return Vec::new() };
    let Value::Array(list) = &node.value else {
        fields.wrong("claims", node, errors);
        return Vec::new();
    };
    list.iter().enumerate().filter_map(|(index, node)| claim(index, node, errors)).collect()
}

fn claim(index: usize, node: &Node, errors: &mut Errors<'_>) -> Option<ClaimSpec> {
    let Value::Table(table) = &node.value else {
        errors.at(node.span, format!("expected a claim, found {}", node.value.found()), "write [[claims]]");
        return None;
    };
    let mut laws = Vec::new();
    let before = errors.list.len();
    for (key, value) in &table.entries {
        if ["expect", "significance"].contains(&key.value.as_str()) {
            continue;
        }
        if keys::CLAIM.key(&key.value).is_none() {
            let known = keys::CLAIM.keys.iter().map(|k| k.name);
            errors.at(
                key.span,
                format!("unknown key `{}` in a claim", key.value),
                suggestion(&key.value, known),
            );
        } else {
            laws.push((key, value));
        }
    }
    let known: Vec<(&Spanned<String>, &Node)> = laws.clone();
    if known.is_empty() && errors.list.len() == before {
        errors.at(node.span, "this claim says nothing", format!("add one of {}", available(" = { … }")));
    }
    if let [_, (second, _), ..] = known[..] {
        errors.at(second.span, "a claim makes one statement, this is the second", "begin another [[claims]]");
        return None;
    }
    let only: Table = Table {
        entries: table
            .entries
            .iter()
            .filter(|(k, _)| ["expect", "significance"].contains(&k.value.as_str()))
            .cloned()
            .collect(),
    };
    let fields = Fields::new(&keys::CLAIM, &only, node.span, errors);
    let expect = fields.word("expect", &["holds", "fails"], errors);
    let significance = fields.number("significance", errors);
    let &[(key, inner)] = &known[..] else { return None };
    let Value::Table(settings) = &inner.value else {
        let outer = Fields::new(&keys::CLAIM, &only, node.span, errors);
        outer.wrong(&key.value, inner, errors);
        return None;
    };
    let (law, dynamics) = match key.value.as_str() {
        "equals" => equals(settings, key.span, errors),
        "conserved" => conserved(settings, key.span, errors),
        "diverges" => {
            let fields = Fields::new(&keys::DIVERGES, settings, key.span, errors);
            (ClaimLawSpec::Diverges, dynamics(&fields, errors))
        }
        "stationary-density" => stationary_density(settings, key.span, errors),
        "equilibrium" => equilibrium(settings, key.span, errors),
        "fdt" => fdt(settings, key.span, errors),
        "noether-flow" => noether_flow(settings, key.span, errors),
        "fixed-point" => fixed_point(settings, key.span, errors),
        "decay-rate" => decay_rate(settings, key.span, errors),
        "convergence" => {
            let spec = super::convergence::convergence(settings, key.span, errors);
            (ClaimLawSpec::Convergence(Box::new(spec)), Field::Absent)
        }
        _ => einstein(settings, key.span, errors),
    };
    Some(ClaimSpec { index, at: key.span, law, dynamics, expect, significance })
}

/// The claims there are, each with `ending` behind it.
fn available(ending: &str) -> String {
    let laws = keys::CLAIM.keys.iter().map(|k| k.name).filter(|n| !["expect", "significance"].contains(n));
    laws.map(|name| format!("{name}{ending}")).collect::<Vec<_>>().join(", ")
}

type Read = (ClaimLawSpec, Field<Vec<Spanned<String>>>);

fn dynamics(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<Vec<Spanned<String>>> {
    let Some(node) = fields.node("dynamics") else { return Field::Absent };
    let list = names(node);
    if list.is_none() {
        fields.wrong("dynamics", node, errors);
    }
    Field::from_read(list, node.span)
}

pub(super) fn word<T: Copy>(
    fields: &Fields<'_>,
    name: &str,
    words: &[(&'static str, T)],
    errors: &mut Errors<'_>,
) -> Field<T> {
    let names: Vec<&'static str> = words.iter().map(|(w, _)| *w).collect();
    match fields.word(name, &names, errors) {
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
        Field::Given(given) => {
            let value = words.iter().find(|(w, _)| *w == given.value).map(|(_, t)| *t);
            Field::from_read(value, given.span)
        }
    }
}

fn equals(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::EQUALS, table, at, errors);
    let observable = fields.string("observable", errors);
    let observable = fields.require("observable", observable, errors);
    let value = claimed_value(&fields, errors);
    let law = ClaimLawSpec::Equals {
        observable,
        statistic: word(&fields, "statistic", &STATISTICS, errors),
        at: instant(&fields, errors),
        value,
        tolerance: relative(&fields, errors),
        absolute_tolerance: positive(&fields, "absolute_tolerance", errors),
    };
    one_tolerance(&law, errors);
    (law, dynamics(&fields, errors))
}

fn one_tolerance(law: &ClaimLawSpec, errors: &mut Errors<'_>) {
    if let ClaimLawSpec::Equals {
        tolerance: Field::Given(_), absolute_tolerance: Field::Given(second), ..
    }
    | ClaimLawSpec::DecayRate {
        tolerance: Field::Given(_),
        absolute_tolerance: Field::Given(second),
        ..
    } = law
    {
        errors.at_key(
            second.span,
            "a claim has one tolerance",
            "give `tolerance` or `absolute_tolerance`, not both",
        );
    }
}

fn claimed_value(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<Quantity> {
    match fields.node("value") {
        Some(node) => {
            let name = Spanned::new("value".to_owned(), node.span);
            Field::from_read(values::quantity(node, &name, errors), node.span)
        }
        None => fields.require("value", Field::Absent, errors),
    }
}

fn decay_rate(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::DECAY_RATE, table, at, errors);
    let observable = fields.string("observable", errors);
    let law = ClaimLawSpec::DecayRate {
        observable: fields.require("observable", observable, errors),
        value: claimed_value(&fields, errors),
        from: fields.number("from", errors),
        to: fields.number("to", errors),
        tolerance: relative(&fields, errors),
        absolute_tolerance: positive(&fields, "absolute_tolerance", errors),
    };
    one_tolerance(&law, errors);
    (law, dynamics(&fields, errors))
}

/// `"stationary"`, `"end"`, `"start"` or a time.
pub(super) fn instant(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<At> {
    let words = [("stationary", At::Stationary), ("end", At::End), ("start", At::Start)];
    match fields.node("at") {
        Some(Node { value: Value::String(_), .. }) => word(fields, "at", &words, errors),
        _ => fields.read("at", errors, |v| number(v).filter(|t| t.is_finite()).map(At::Time)),
    }
}

/// A tolerance, above 0.
pub(super) fn positive(fields: &Fields<'_>, name: &str, errors: &mut Errors<'_>) -> Field<f64> {
    above_zero(fields, name, "give a tolerance above 0; without one the claim is exact", errors)
}

/// A number above 0.
pub(super) fn above_zero(fields: &Fields<'_>, name: &str, help: &str, errors: &mut Errors<'_>) -> Field<f64> {
    let field = fields.number(name, errors);
    if let Some(given) = field.given()
        && given.value <= 0.0
    {
        errors.at(given.span, format!("`{name}` is not positive"), help);
        return Field::Broken;
    }
    field
}

/// A tolerance relative to the value, which must not reach down to 0.
fn relative(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<f64> {
    let field = positive(fields, "tolerance", errors);
    if let Some(given) = field.given()
        && given.value > 1.0
    {
        errors.at(
            given.span,
            format!(
                "a tolerance of {} is no statement: it is relative, and so even 0 is within it",
                given.value
            ),
            "give at most 1, for example tolerance = 0.05 for five percent",
        );
        return Field::Broken;
    }
    field
}

fn conserved(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::CONSERVED, table, at, errors);
    let observable = fields.string("observable", errors);
    let symmetry = fields.string("symmetry", errors);
    match (&observable, &symmetry) {
        (Field::Given(_), Field::Given(second)) => errors.at_key(
            second.span,
            "`conserved` has both an observable and a symmetry",
            "keep one: `symmetry` stands for the symmetry's own charge",
        ),
        (Field::Absent, Field::Absent) => fields.missing("observable", errors),
        _ => {}
    }
    let tolerance = positive(&fields, "tolerance", errors);
    (ClaimLawSpec::Conserved { observable, symmetry, tolerance }, dynamics(&fields, errors))
}

fn stationary_density(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::STATIONARY_DENSITY, table, at, errors);
    let observable = fields.string("observable", errors);
    let law = ClaimLawSpec::StationaryDensity {
        observable: fields.require("observable", observable, errors),
        interpretation: word(&fields, "interpretation", &READINGS, errors),
        tail: word(&fields, "tail", &TAILS, errors),
        tolerance: positive(&fields, "tolerance", errors),
    };
    (law, dynamics(&fields, errors))
}

fn equilibrium(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::EQUILIBRIUM, table, at, errors);
    let observable = fields.string("observable", errors);
    let between = match fields.node("between") {
        None => fields.require("between", Field::Absent, errors),
        Some(node) => {
            let two = names(node).filter(|list| list.len() == 2);
            if two.is_none() {
                fields.wrong("between", node, errors);
            }
            Field::from_read(two, node.span)
        }
    };
    let variance_ratio = match fields.node("variance_ratio") {
        None => Field::Absent,
        Some(node) => {
            let name = Spanned::new("variance_ratio".to_owned(), node.span);
            Field::from_read(values::quantity(node, &name, errors), node.span)
        }
    };
    let law = ClaimLawSpec::Equilibrium {
        between,
        observable: fields.require("observable", observable, errors),
        variance_ratio,
        same: fields.boolean("same", errors),
        tolerance: relative(&fields, errors),
    };
    (law, Field::Absent)
}

fn fdt(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::FDT, table, at, errors);
    let relation = match fields.count("relation", errors) {
        Field::Given(given) => match given.value {
            1 => Field::Given(Spanned::new(Relation::First, given.span)),
            2 => Field::Given(Spanned::new(Relation::Second, given.span)),
            other => {
                errors.at(
                    given.span,
                    format!("there is no relation {other}"),
                    "1: θ·∇f against the noise's trace; 2: ‖∇f‖² against its trace with the Hessian",
                );
                Field::Broken
            }
        },
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
    };
    let law = ClaimLawSpec::Fdt {
        relation,
        moment: word(&fields, "moment", &MOMENTS, errors),
        tolerance: relative(&fields, errors),
    };
    (law, dynamics(&fields, errors))
}

fn fixed_point(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::FIXED_POINT, table, at, errors);
    let symmetry = fields.string("symmetry", errors);
    let value = match fields.node("value") {
        Some(_) => claimed_value(&fields, errors),
        None => Field::Absent,
    };
    let at_end = word(&fields, "at", &[("start", false), ("end", true)], errors);
    if let (Field::Absent, Some(at)) = (&value, at_end.given()) {
        errors.at(
            at.span,
            "without a `value` the claim is that every start comes to λ* = 0",
            "leave `at` out, or say `value`, a number or a formula for λ* at that instant",
        );
    }
    let law = ClaimLawSpec::FixedPoint {
        symmetry: fields.require("symmetry", symmetry, errors),
        value,
        at_end,
        tolerance: positive(&fields, "tolerance", errors),
    };
    (law, dynamics(&fields, errors))
}

fn noether_flow(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::NOETHER_FLOW, table, at, errors);
    let symmetry = fields.string("symmetry", errors);
    let law = ClaimLawSpec::NoetherFlow {
        symmetry: fields.require("symmetry", symmetry, errors),
        noise: fields.number("noise", errors),
        decay: fields.number("decay", errors),
        tolerance: positive(&fields, "tolerance", errors),
    };
    (law, dynamics(&fields, errors))
}

fn einstein(table: &Table, at: Span, errors: &mut Errors<'_>) -> Read {
    let fields = Fields::new(&keys::EINSTEIN, table, at, errors);
    let law = ClaimLawSpec::Einstein {
        tolerance: relative(&fields, errors),
        equation: word(&fields, "equation", &EQUATIONS, errors),
    };
    (law, dynamics(&fields, errors))
}
