//! The reference page of the language, made from the operations themselves.

use std::fmt::Write as _;

use super::elaborate::LAWS;
use super::operations::functions::FUNCTIONS;

/// `docs/formulas.md`, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for function in FUNCTIONS {
        let (signature, meaning) =
            function.documentation.split_once(": ").unwrap_or((function.documentation, ""));
        let _ = writeln!(page, "| `{signature}` | {} |", meaning.replace('|', "\\|"));
    }
    page.push_str(LAWS_HEAD);
    for law in LAWS {
        let _ = writeln!(page, "| `{law}` | {} |", law_meaning(law));
    }
    page.push_str(OBSERVATION);
    page
}

/// One line about a law of data.
fn law_meaning(law: &str) -> &'static str {
    match law {
        "normal" => "`normal(mean, standard deviation)`; bare: standard normal",
        "uniform" => "`uniform(low, high)`; bare: on [0, 1)",
        "rademacher" => "−1 or 1, each with probability ½; no arguments",
        "bernoulli" => "`bernoulli(p)`: 1 with probability p, else 0",
        "student" => "`student(ν)`: Student's t with ν degrees of freedom",
        "categorical" => "`categorical(p0, p1, …)`: a 0-based index",
        "exponential" => "`exponential(rate)`: density ∝ e^{−rate·x}, mean 1/rate; bare: rate 1",
        "gamma" => "`gamma(shape, scale)`: density ∝ x^{shape−1} e^{−x/scale}, mean shape·scale",
        "beta" => "`beta(a, b)`: density ∝ x^{a−1}(1 − x)^{b−1} on [0, 1]",
        "chi_squared" => {
            "`chi_squared(k)`: the sum of k squared standard normal numbers; k need not be whole"
        }
        "laplace" => {
            "`laplace(mean, scale)`: density ∝ e^{−\\|x − mean\\|/scale}, variance 2·scale²; bare: 0 and 1"
        }
        "lognormal" => "`lognormal(m, s)`: e to the power of normal(m, s)",
        "cauchy" => {
            "`cauchy(centre, scale)`: no mean and no variance; expectations run over a reference sample; bare: 0 and 1"
        }
        "poisson" => "`poisson(mean)`: a whole number from 0 on",
        _ => "`multinormal(m, C)`: a vector with mean m and covariance C, both constants",
    }
}

const INTRODUCTION: &str = "# The formula language

A formula is one expression, or several lines of which all but the last name intermediates
(`h = tanh(W @ x)`). `#` starts a comment. Numbers are `2`, `0.5`, `1e-3`, `20_000`; names are letters,
digits and `_`. Vectors are columns; a 1×1 result is a scalar.

| operator | meaning |
|---|---|
| `a^b` | power, elementwise; binds to the right and above the unary minus: `-x^2` is −(x²) |
| `A.T` | transpose |
| `-a` | minus |
| `a*b` `a/b` | elementwise, a scalar goes with everything |
| `A @ B` | matrix product |
| `a+b` `a-b` | elementwise, a scalar goes with everything |
| `a < b` `a <= b` `a > b` `a >= b` `a == b` `a != b` | 1 where true, else 0, elementwise; slope 0. They bind below + and −, and are not chained: for both `(a > 0)*(b > 0)`, for either `max(a > 0, b > 0)`, by cases `(a > 0)*b + (a <= 0)*c` |
| `[a, b]` `[[a, b], [c, d]]` | a vector, a matrix |

| function | meaning |
|---|---|
";

const LAWS_HEAD: &str = "
A slope that does not exist is that of the side on which it is bounded, or the mean of two such: 0 for `relu` and `abs`, for `sqrt` and for a power
between 0 and 1 at 0 (so for `sqrt(max(x, 0))`, `abs(x)^0.5`, `sqrt(norm2(w))`, and for the ½bb′ of a diffusion b with such a root).
Where a value does not count, its slope does not either, however steep: that of `max(log(x), -5)` at 0 is 0.

## Laws, in `[data]`

Laws may stand anywhere in a data formula (`2*x + normal(0, 0.5)`); each call is a draw of its own. With a
`shape` every call draws that many independent values. Without `[population]` all are new with every sample. Of a table, or of `size` samples,
a law is drawn once a row, and is then the same for all steps and replicas, unless it says `fresh = true`
(`y = { law = \"t + normal(0, 0.5)\", fresh = true }`): then it is drawn anew with every sample; see [tables.md](tables.md).
Shapes, degrees of freedom and probabilities are constants; expectations run over
the Gauss nodes of the law (over all whole numbers for Poisson's), or over a reference sample where there are many variates, for Student's and
Cauchy's laws and for Poisson's of a mean above 1000. In `[parameters]` and `[starts]` replicas may begin by `normal`, `uniform`, `rademacher`,
`student`, `multinormal` and the laws after it, by `kaiming`, `xavier`, `orthogonal(s)` and `identity(s)`.

| law | meaning |
|---|---|
";

const OBSERVATION: &str = "
## In `[observe]` and in claims

Beside parameters and constants: `loss` (the population mean of the formula), `objective` (with the decay's
energy), `gradient_norm2` (‖∇L‖², without decay), data, and the intermediates that the loss names. What depends
on data is averaged over the population. `grad(h)` is ∂loss/∂h, sample by sample, of a parameter or an
intermediate: `norm2(grad(w))` is the second moment of the gradient, `grad(h) @ h.T` an average of outer products.
`rate`, `batch`, `decay` (λ of the force λθ), `momentum` and `pi` are numbers of the study. `[loss]`, `[data]` and
`[observe]`, which all dynamics share, have those of `[training]`, with a warning where a dynamics has others; a rate that
changes on the way cannot stand there. The `value` of a claim has those of its dynamics, and of a rate that changes the last.
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formulas.md");
        if std::env::var_os("PERRIN_WRITE_DOCS").is_some() {
            std::fs::write(path, super::reference()).expect("docs can be written");
        }
        let page = std::fs::read_to_string(path).expect("docs/formulas.md is there");
        assert!(
            page == super::reference(),
            "docs/formulas.md is out of date: run the test with PERRIN_WRITE_DOCS=1"
        );
    }
}
