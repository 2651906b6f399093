//! `noether-flow`: a charge changes, step by step and along every path, by exactly what decay and noise say ([`crate::dynamics::ledger`]).
//!
//! Where the budget is exact ([`crate::dynamics::Budget`]) judged are, for each path, C less the sums of the terms, which must stay where it was to the
//! rounding of as many steps; and for minibatches that do not remember others, by its scatter over replicas, the noise term against its
//! expectation η²(σ²Tr[ΣA] + ∇LᵀA∇L) at given θ. Elsewhere, for the schemes that evaluate the equation several times a
//! step, it is the mean change of C over replicas, against Itô's drift summed along the paths, within a tolerance (0.1 unless given) of what moved the
//! most moved of the charge's numbers.

use super::measure::{Run, Size, certain, strided};
use super::number::short;
use super::settle::{Question, Settled, settle};
use super::verdict::{Kind, Test, Verdict};
use crate::dynamics::Budget;
use crate::dynamics::ledger::Rows;
use crate::ensemble::record::ObservableRecord;
use crate::stats::Estimate;

/// Rounding errors of the size of C's terms that one step can make.
const ROUNDINGS: f64 = 8.0;
/// Relative tolerance where the budget is of leading order and the study gives none.
const LEADING_ORDER: f64 = 0.1;
/// Of more numbers of a charge, those that change most are compared with their expectation.
const SHOWN: usize = 4;

/// What the claim says.
pub(super) struct NoetherFlow<'a> {
    pub symmetry: &'a str,
    pub ledger: &'a str,
    pub components: usize,
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
        return Ok(settle(drifts(claim, run, &book), significance));
    }
    let steps =
        run.record.steps.last().copied().unwrap_or(0) as f64 * f64::from(run.dynamics.law.substeps().0);
    let size = book.largest(book.rows.size());
    let activity = book.largest(book.rows.activity());
    let relative = claim.tolerance.unwrap_or(ROUNDINGS * f64::EPSILON * (steps + 1.0));
    // Gradient flow is integrated to a tolerance of its own.
    let relative = match run.dynamics.law {
        crate::dynamics::Law::GradientFlow { tolerance } => relative.max(100.0 * tolerance),
        _ => relative,
    };
    let allowed = relative * (size + activity);
    let name = |component: usize| component_name(claim, component);
    let residual = book.largest_change(&|c| book.rows.residual(c));
    let mut tests = vec![rounding(
        format!("largest residual of the budget of the charge of {}", claim.symmetry),
        residual,
        0.0,
        allowed,
        Some(format!(
            "over {} replicas at every recorded instant; the charge's terms are as large as {}, the noise adds up to {}",
            book.replicas(),
            short(size),
            short(activity)
        )),
    )];
    let beta = run.dynamics.training.as_ref().map_or(0.0, |t| t.momentum);
    let momentum = run.dynamics.law.inertial(beta);
    if momentum {
        let residual = book.largest_change(&|c| book.rows.momentum_residual(c));
        let quantity = format!("largest residual of the budget of θᵀAv of {}", claim.symmetry);
        tests.push(rounding(quantity, residual, 0.0, allowed, None));
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
        allowed,
        Some(format!(
            "mean over replicas: noise {}, decay {}{}",
            short(book.mean_last(book.rows.noise(busiest))),
            short(book.mean_last(book.rows.decay(busiest))),
            if momentum {
                format!(", momentum {}", short(book.mean_last(book.rows.momentum(busiest))))
            } else {
                String::new()
            }
        )),
    ));
    let mut settled = Settled::of_tests(tests, None);
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
    settled.tests.extend(expected.tests.into_iter().filter(|t| t.verdict != Verdict::Undecided));
    Ok(settled)
}

/// The mean change of the charge's numbers that move most is what Itô's drift adds up to.
fn drifts(claim: &NoetherFlow, run: &Run, book: &Book) -> Vec<Question> {
    let moved =
        |c: usize| book.mean_last(book.rows.noise(c)).abs() + book.mean_last(book.rows.decay(c)).abs();
    let size = book.largest(book.rows.size());
    let most = (0..claim.components).map(moved).fold(0.0, f64::max);
    let mut order: Vec<usize> = (0..claim.components).collect();
    order.sort_by(|&a, &b| moved(b).total_cmp(&moved(a)).then(a.cmp(&b)));
    order.truncate(SHOWN);
    order.sort_unstable();
    order
        .into_iter()
        .map(|component| {
            let (noise, decay) =
                (book.mean_last(book.rows.noise(component)), book.mean_last(book.rows.decay(component)));
            // What its drift does not say of C's change, replica by replica.
            let rest = book.last(book.rows.residual(component));
            let here = rest.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            let rest = certain(run, Estimate::of_sample(&rest));
            let predicted = noise + decay;
            Question {
                quantity: format!("change of {} by the end", component_name(claim, component)),
                estimate: Estimate { value: predicted + rest.value, ..rest },
                prediction_error: 0.0,
                squared: None,
                predicted,
                tolerance: Some(claim.tolerance.unwrap_or(LEADING_ORDER) * most),
                resolution: 0.0,
                size: Size { here, floor: f64::EPSILON * size },
                note: Some(format!(
                    "mean over replicas, by Itô's drift: noise {}, decay {}",
                    short(noise),
                    short(decay)
                )),
                doubt: None,
            }
        })
        .collect()
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
                size: Size { here, floor: 64.0 * f64::EPSILON },
                note: Some(format!(
                    "share of the expected size of its terms, at {} steps of each path that follow recorded instants",
                    short(sampled)
                )),
                doubt: None,
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

fn rounding(quantity: String, measured: f64, predicted: f64, allowed: f64, note: Option<String>) -> Test {
    let right = (measured - predicted).abs() <= allowed;
    Test {
        quantity,
        measured,
        standard_error: 0.0,
        predicted,
        tolerance: allowed,
        p_value: f64::from(u8::from(right)),
        kind: Kind::Exact,
        verdict: if right { Verdict::Holds } else { Verdict::Fails },
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
        let moved =
            |c: usize| self.mean_last(self.rows.noise(c)).abs() + self.mean_last(self.rows.decay(c)).abs();
        (0..self.components()).max_by(|&a, &b| moved(a).total_cmp(&moved(b))).unwrap_or(0)
    }
    fn spread(&self, component: usize) -> f64 {
        self.last(self.rows.surprise(component)).iter().map(|x| x * x).sum()
    }
}
