//! `noether-flow`: a charge changes, step by step and along every path, by exactly what decay and noise say ([`crate::dynamics::ledger`]).
//!
//! Where the budget is exact ([`crate::dynamics::Budget`]) judged are, for each path, C less the sums of the terms, which must stay where it was to the
//! rounding of as many steps; and for minibatches that do not remember others, by its scatter over replicas, the noise term against its
//! expectation η²(σ²Tr[ΣA] + ∇LᵀA∇L) at given θ. Elsewhere, for the schemes that evaluate the equation several times a
//! step, it is the mean change of C over replicas, against Itô's drift summed along the paths, within a tolerance (0.1 unless given) of what moved the
//! most moved of the charge's numbers.
//!
//! With two terms, ΔC = f_N N + f_D D + r (f_N and f_D the claim's factors, N = Σ ηf Tr[ΣA]h, D = −Σ 2λCh), that tolerance says nothing of a much smaller
//! noise. Its own part of the change, ΔC − f_D D, is compared with it within the same tolerance of itself, where the scatter lets that be told (the
//! decay's as well, where the claim has a factor for it). A scheme's error in the other term looks the same as a wrong noise, so that a deviation there
//! alone leaves the claim undecided, unless the factor is not 1 and with the factor 1 the term agrees: then the factor fails. One that neither scale
//! tells from 1 is undecided: a control must be able to fail.

use super::measure::{Run, certain, strided};
use super::number::short;
use super::rounding::{A_STEP, INTEGRATED, Rounding, along_a_path};
use super::settle::{Question, Settled, settle};
use super::verdict::{Kind, Test, Verdict};
use crate::dynamics::ledger::Rows;
use crate::dynamics::{Budget, Law};
use crate::ensemble::record::ObservableRecord;
use crate::stats::Estimate;

/// Relative tolerance where the budget is of leading order and the study gives none.
const LEADING_ORDER: f64 = 0.1;
/// Of more numbers of a charge, those that change most are compared with their expectation.
const SHOWN: usize = 4;

/// What the claim says.
pub(super) struct NoetherFlow<'a> {
    pub symmetry: &'a str,
    pub ledger: &'a str,
    pub components: usize,
    /// Factors of the two terms.
    pub noise: f64,
    pub decay: f64,
    pub tolerance: Option<f64>,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(claim: &NoetherFlow, run: &Run, significance: f64) -> Settled {
    attempt(claim, run, significance)
        .unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

fn attempt(claim: &NoetherFlow, run: &Run, significance: f64) -> Result<Settled, String> {
    let book = Book { rows: Rows::new(claim.components), record: run.observable(claim.ledger)? };
    if run.dynamics.law.budget() == Some(Budget::LeadingOrder) {
        return Ok(on_average(claim, run, &book, significance));
    }
    let steps =
        run.record.steps.last().copied().unwrap_or(0) as f64 * f64::from(run.dynamics.law.substeps().0);
    let size = book.largest(book.rows.size());
    let activity = book.largest(book.rows.activity());
    // Gradient flow is integrated to a tolerance of its own.
    let gathered = A_STEP * f64::EPSILON * (steps + 1.0);
    let gathered = match run.dynamics.law {
        Law::GradientFlow { tolerance } => gathered.max(INTEGRATED * tolerance),
        _ => gathered,
    };
    let possible = gathered * (size + activity);
    let allowed = claim.tolerance.map_or(possible, |relative| relative * (size + activity));
    let rounding = |quantity: String, measured: f64, predicted: f64, note: Option<String>| {
        rounding(quantity, (measured, predicted), allowed, possible, note)
    };
    let name = |component: usize| component_name(claim, component);
    let residual = book.largest_change(&|c| book.rows.residual(c));
    let mut tests = vec![rounding(
        format!("largest residual of the budget of the charge of {}", claim.symmetry),
        residual,
        0.0,
        Some(format!(
            "over {} replicas at every recorded instant; the charge's terms are as large as {}, the noise adds up to {}",
            book.replicas(),
            short(size),
            short(activity)
        )),
    )];
    let heavy = run.dynamics.training.as_ref().is_some_and(crate::dynamics::Training::heavy);
    let momentum = run.dynamics.law.inertial(f64::from(u8::from(heavy)));
    if momentum {
        let residual = book.largest_change(&|c| book.rows.momentum_residual(c));
        let quantity = format!("largest residual of the budget of θᵀAv of {}", claim.symmetry);
        tests.push(rounding(quantity, residual, 0.0, None));
    }
    // The same in numbers that a reader can follow.
    let busiest = book.busiest();
    let terms = |c: usize| {
        book.mean_last(book.rows.noise(c))
            + book.mean_last(book.rows.decay(c))
            + book.mean_last(book.rows.momentum(c))
    };
    let change = terms(busiest) + book.mean_last(book.rows.residual(busiest))
        - book.mean_first(book.rows.residual(busiest));
    tests.push(rounding(
        format!("change of {} by the end", name(busiest)),
        change,
        terms(busiest),
        Some(note_of_change(run, &book, busiest, momentum)),
    ));
    let mut settled = Settled::of_tests(tests, None);
    if settled.verdict == Verdict::Undecided {
        settled.reason = Some(format!(
            "the tolerance {} lies below what rounding and the integration can leave, {}",
            short(allowed),
            short(possible)
        ));
        return Ok(settled);
    }
    let moved = activity + book.largest_sum(&|c| book.rows.decay(c));
    // Where theory says that nothing changes C, C itself is what there is to compare with.
    let visible = run.study.run.resolution * if moved == 0.0 { size } else { moved };
    if settled.verdict == Verdict::Holds && allowed > visible {
        return Ok(Settled {
            verdict: Verdict::Undecided,
            reason: Some(format!(
                "all that should change the charge, {}, lies below the rounding of its terms, {}",
                short(moved),
                short(allowed)
            )),
            ..settled
        });
    }
    // The identity is certain without it: an expectation that cannot be decided takes nothing away.
    let expected = settle(expectations(claim, run, &book), significance);
    if expected.verdict == Verdict::Fails {
        settled.verdict = Verdict::Fails;
    }
    let (told, hidden): (Vec<Test>, Vec<Test>) =
        expected.tests.into_iter().partition(|t| t.verdict != Verdict::Undecided);
    let untold = match (hidden.first(), expected.reason) {
        (Some(test), reason) if told.is_empty() => {
            Some(reason.unwrap_or_else(|| format!("{}: undecided", test.quantity)))
        }
        (Some(test), _) => Some(format!("{}: too much scatter ({} in all)", test.quantity, hidden.len())),
        (None, _) if told.is_empty() && run.dynamics.law == Law::Sgd => {
            Some("noise beyond η²Tr[ΣA], of which no exact expectation is known".to_owned())
        }
        (None, _) => None,
    };
    if let (Some(untold), Some(note)) = (untold, settled.tests.last_mut().and_then(|t| t.note.as_mut())) {
        note.push_str(&format!("; not told: {untold}"));
    }
    settled.tests.extend(told);
    Ok(settled)
}

/// What the change is made of. With inertia as an equation the decay pulls at v, and reaches C through θᵀAv alone.
fn note_of_change(run: &Run, book: &Book, component: usize, momentum: bool) -> String {
    let mean = |row: usize| short(book.mean_last(row));
    let rows = book.rows;
    let mut note = format!("mean over replicas: noise {}", mean(rows.noise(component)));
    if matches!(run.dynamics.law, Law::Underdamped { .. }) {
        note.push_str(&format!(", momentum {} (decay within it)", mean(rows.momentum(component))));
        return note;
    }
    note.push_str(&format!(", decay {}", mean(rows.decay(component))));
    if momentum {
        note.push_str(&format!(", momentum {}", mean(rows.momentum(component))));
    }
    note
}

/// Where the budget holds on average alone: the change as a whole, then each term of it on its own scale.
fn on_average(claim: &NoetherFlow, run: &Run, book: &Book, significance: f64) -> Settled {
    let shown = book.most_moved();
    let tolerance = claim.tolerance.unwrap_or(LEADING_ORDER);
    let most = shown.iter().map(|&c| book.moved(c)).fold(0.0, f64::max);
    let questions = shown.iter().map(|&c| drift(claim, run, book, c, tolerance * most)).collect();
    let mut settled = settle(questions, significance);
    if settled.verdict != Verdict::Holds {
        return settled;
    }
    for term in [Term::Noise, Term::Decay] {
        let factor = term.factor(claim);
        if factor == 1.0 && term == Term::Decay {
            continue;
        }
        let size = |c: usize| term.of(book, c).abs();
        let Some(largest) = shown.iter().copied().max_by(|&a, &b| size(a).total_cmp(&size(b))) else {
            continue;
        };
        let part = Part::new(term, claim, run, book, largest, tolerance);
        let (mut told, mut missed) = (false, false);
        let mut allowed = tolerance * most;
        if part.matters(allowed) {
            let mut judged = settle(vec![part.as_claimed()], significance);
            match judged.verdict {
                // What the scatter hides takes nothing away from the whole.
                Verdict::Undecided => part.hidden(&judged, &mut settled.tests),
                Verdict::Fails => {
                    let own = part.of_law().map(|question| settle(vec![question], significance).verdict);
                    told = factor != 1.0 && own == Some(Verdict::Holds);
                    missed = !told;
                }
                Verdict::Holds => allowed = tolerance * part.claimed.abs(),
            }
            for test in &mut judged.tests {
                if missed {
                    test.verdict = Verdict::Undecided;
                }
            }
            if judged.verdict != Verdict::Undecided {
                settled.tests.extend(judged.tests);
            }
        }
        let moved = part.law.map(|law| (part.claimed - law).abs());
        let reason = if told {
            settled.verdict = Verdict::Fails;
            None
        } else if factor == 1.0 {
            missed.then(|| {
                format!(
                    "the change is within the tolerance, but the {0}'s part of it is not within that of the {0} alone: an error of the scheme in \
                     the other term looks the same; lower the step",
                    part.name
                )
            })
        } else if moved.is_none_or(|moved| moved <= 2.0 * allowed) {
            Some(format!(
                "{} = {} cannot be told from 1 at the tolerance {}{}: give a smaller one, or a study in which that term matters more",
                part.name,
                short(factor),
                short(allowed),
                moved.map_or(String::new(), |moved| format!(
                    ", as it moves the charge by {} only",
                    short(moved)
                ))
            ))
        } else {
            None
        };
        if settled.verdict == Verdict::Holds && reason.is_some() {
            settled.verdict = Verdict::Undecided;
            settled.reason = reason;
        }
    }
    settled
}

/// The terms of Itô's drift of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Noise,
    Decay,
}

impl Term {
    fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Decay => "decay",
        }
    }
    /// What the claim has it times.
    fn factor(self, claim: &NoetherFlow) -> f64 {
        match self {
            Self::Noise => claim.noise,
            Self::Decay => claim.decay,
        }
    }
    fn row(self, book: &Book, component: usize) -> usize {
        match self {
            Self::Noise => book.rows.noise(component),
            Self::Decay => book.rows.decay(component),
        }
    }
    /// As claimed, its mean over replicas at the end.
    fn of(self, book: &Book, component: usize) -> f64 {
        book.mean_last(self.row(book, component))
    }
}

/// One term's part of the change of one of the charge's numbers: the change less the other term.
struct Part {
    name: String,
    quantity: String,
    claimed: f64,
    /// With the factor 1; none where the claim has no such term.
    law: Option<f64>,
    other: f64,
    /// What both terms do not say of the change, over replicas.
    rest: Estimate,
    /// The same, where the factor is 1: without the scatter of what it has too much.
    rest_of_law: Estimate,
    rounding: Rounding,
    tolerance: f64,
}

impl Part {
    fn new(
        term: Term,
        claim: &NoetherFlow,
        run: &Run,
        book: &Book,
        component: usize,
        tolerance: f64,
    ) -> Self {
        let other = if term == Term::Noise { Term::Decay } else { Term::Noise };
        let (claimed, factor) = (term.of(book, component), term.factor(claim));
        let (rest, rounding) = book.rest(run, component);
        let excess = if factor == 0.0 { 0.0 } else { 1.0 - 1.0 / factor };
        let of_law: Vec<f64> = book
            .last(book.rows.residual(component))
            .iter()
            .zip(book.last(term.row(book, component)))
            .map(|(rest, claimed)| rest + excess * claimed)
            .collect();
        Self {
            name: term.name().to_owned(),
            quantity: format!("{} in the change of {}", term.name(), component_name(claim, component)),
            claimed,
            law: (factor != 0.0).then(|| claimed / factor),
            other: other.of(book, component),
            rest,
            rest_of_law: certain(run, Estimate::of_sample(&of_law)),
            rounding,
            tolerance,
        }
    }
    /// It is there, and so much smaller than the other term that the tolerance of the whole is not one of its own.
    fn matters(&self, allowed: f64) -> bool {
        self.claimed != 0.0 && self.other != 0.0 && allowed > 2.0 * self.tolerance * self.claimed.abs()
    }
    fn as_claimed(&self) -> Question {
        self.question(self.claimed, self.rest)
    }
    fn of_law(&self) -> Option<Question> {
        self.law.map(|law| self.question(law, self.rest_of_law))
    }
    fn question(&self, predicted: f64, rest: Estimate) -> Question {
        Question {
            quantity: self.quantity.clone(),
            estimate: Estimate { value: predicted + rest.value, ..rest },
            prediction_error: 0.0,
            squared: None,
            predicted,
            tolerance: Some(self.tolerance * predicted.abs()),
            resolution: 0.0,
            rounding: self.rounding,
            note: Some(format!("the change less the other term, {}", short(self.other))),
            doubt: None,
            averaged: false,
        }
    }
    /// Says with the whole that this part of it is not known.
    fn hidden(&self, judged: &Settled, tests: &mut [Test]) {
        let scatter = judged.tests.first().map_or(f64::NAN, |t| t.standard_error);
        let Some(note) = tests.first_mut().and_then(|t| t.note.as_mut()) else { return };
        note.push_str(&format!(
            "; the {} by itself cannot be told from the scatter, ± {}",
            self.name,
            short(scatter)
        ));
    }
}

/// The mean change of one of the charge's numbers is what Itô's drift adds up to.
fn drift(claim: &NoetherFlow, run: &Run, book: &Book, component: usize, allowed: f64) -> Question {
    let (noise, decay) = (Term::Noise.of(book, component), Term::Decay.of(book, component));
    let (rest, rounding) = book.rest(run, component);
    let predicted = noise + decay;
    Question {
        quantity: format!("change of {} by the end", component_name(claim, component)),
        estimate: Estimate { value: predicted + rest.value, ..rest },
        prediction_error: 0.0,
        squared: None,
        predicted,
        tolerance: Some(allowed),
        resolution: 0.0,
        rounding,
        note: Some(format!(
            "mean over replicas, by Itô's drift: noise {}, decay {}",
            short(noise),
            short(decay)
        )),
        doubt: None,
        averaged: false,
    }
}

/// (c(ĝ) − ⟨c(ĝ)⟩)/⟨size⟩ has mean 0, whatever θ did before.
fn expectations(claim: &NoetherFlow, run: &Run, book: &Book) -> Vec<Question> {
    let sampled = book.mean_last(book.rows.sampled());
    if sampled == 0.0 || run.dynamics.law.deterministic() {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..claim.components).collect();
    order.sort_by(|&a, &b| book.spread(b).total_cmp(&book.spread(a)).then(a.cmp(&b)));
    order.truncate(SHOWN);
    order.sort_unstable();
    order
        .into_iter()
        .map(|component| {
            let sums = book.last(book.rows.surprise(component));
            let values: Vec<f64> = sums.iter().map(|x| x / sampled).collect();
            let here = values.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            Question {
                quantity: format!("noise in {} beyond η²Tr[ΣA]", component_name(claim, component)),
                estimate: certain(run, Estimate::of_sample(&values)),
                prediction_error: 0.0,
                squared: None,
                predicted: 0.0,
                tolerance: None,
                resolution: run.study.run.resolution,
                rounding: Rounding { own: A_STEP * f64::EPSILON * sampled * here, floor: 64.0 * f64::EPSILON },
                note: Some(format!(
                    "the excess is given as a share of the expected size of the noise's terms, at {} steps of each path that follow recorded \
                     instants",
                    short(sampled)
                )),
                doubt: None,
                averaged: false,
            }
        })
        .collect()
}

fn component_name(claim: &NoetherFlow, component: usize) -> String {
    let side = claim.components.isqrt();
    if claim.components == 1 {
        format!("the charge of {}", claim.symmetry)
    } else {
        format!("charge [{},{}] of {}", component / side, component % side, claim.symmetry)
    }
}

/// Compared within `allowed`; where that is less than what is `possible` by rounding, what lies between them is undecided.
fn rounding(
    quantity: String,
    (measured, predicted): (f64, f64),
    allowed: f64,
    possible: f64,
    note: Option<String>,
) -> Test {
    let deviation = (measured - predicted).abs();
    let verdict = if deviation <= allowed {
        Verdict::Holds
    } else if deviation <= possible {
        Verdict::Undecided
    } else {
        Verdict::Fails
    };
    Test {
        quantity,
        measured,
        standard_error: 0.0,
        predicted,
        tolerance: allowed,
        p_value: f64::from(u8::from(verdict != Verdict::Fails)),
        kind: Kind::Exact,
        verdict,
        note,
    }
}

/// A recorded ledger.
struct Book<'a> {
    rows: Rows,
    record: &'a ObservableRecord,
}

impl Book<'_> {
    fn width(&self) -> usize {
        self.rows.len()
    }
    fn replicas(&self) -> usize {
        self.record.last.len() / self.width()
    }
    /// One number at the end, in each replica.
    fn last(&self, row: usize) -> Vec<f64> {
        strided(&self.record.last, row, self.width())
    }
    fn mean_last(&self, row: usize) -> f64 {
        let values = self.last(row);
        values.iter().sum::<f64>() / values.len() as f64
    }
    fn mean_first(&self, row: usize) -> f64 {
        self.record.ensemble.get(row).map_or(f64::NAN, |m| m.mean)
    }
    /// Largest value over replicas and instants.
    fn largest(&self, row: usize) -> f64 {
        let instants = self.record.ensemble.iter().skip(row).step_by(self.width());
        instants.map(|m| m.max.abs().max(m.min.abs())).fold(0.0, f64::max)
    }
    /// Largest change from the start over replicas, instants and the charge's numbers; NaN if one is.
    fn largest_change(&self, row: &dyn Fn(usize) -> usize) -> f64 {
        (0..self.components())
            .flat_map(|c| strided(&self.record.max_change, row(c), self.width()))
            .fold(0.0, |m: f64, x| if x.is_nan() || m.is_nan() { f64::NAN } else { m.max(x) })
    }
    fn largest_sum(&self, row: &dyn Fn(usize) -> usize) -> f64 {
        (0..self.components()).map(|c| self.largest(row(c))).fold(0.0, f64::max)
    }
    fn components(&self) -> usize {
        self.rows.noise(0)
    }
    /// The number that noise and decay move most.
    fn busiest(&self) -> usize {
        (0..self.components()).max_by(|&a, &b| self.moved(a).total_cmp(&self.moved(b))).unwrap_or(0)
    }
    /// What the terms do not say of C's change, over replicas, and how large it is.
    fn rest(&self, run: &Run, component: usize) -> (Estimate, Rounding) {
        let rest = self.last(self.rows.residual(component));
        let steps = run.record.steps.last().copied().unwrap_or(0);
        let own = along_a_path(&run.dynamics.law, steps) * self.largest(self.rows.size());
        (certain(run, Estimate::of_sample(&rest)), Rounding::own(own))
    }
    /// |noise| + |decay|, means over replicas at the end.
    fn moved(&self, component: usize) -> f64 {
        self.mean_last(self.rows.noise(component)).abs() + self.mean_last(self.rows.decay(component)).abs()
    }
    /// The charge's numbers that move most, in their order.
    fn most_moved(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.components()).collect();
        order.sort_by(|&a, &b| self.moved(b).total_cmp(&self.moved(a)).then(a.cmp(&b)));
        order.truncate(SHOWN);
        order.sort_unstable();
        order
    }
    fn spread(&self, component: usize) -> f64 {
        self.last(self.rows.surprise(component)).iter().map(|x| x * x).sum()
    }
}
