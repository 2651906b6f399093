//! The Euler–Maruyama scheme, x' = x + a(x)h + B(x)ΔW with ΔW ~ N(0, h): Itô; strong order ½ (1 for additive noise), weak order 1.
//! Source: Kloeden & Platen (1992), §10.2.

use crate::model::formula::SdeModel;

/// Refuses an equation that the scheme would take for another one.
///
/// # Errors
/// A sentence, for a Stratonovich equation whose noise depends on the state: the scheme converges to the Itô one, which has
/// another drift.
pub fn admits(equation: &SdeModel) -> Result<(), String> {
    if equation.stratonovich() && !equation.additive() {
        return Err("Euler-Maruyama converges to the Itô equation, and this noise depends on the state, so that the \
                    Stratonovich equation has another drift: add ½(∂B)B to the drift and say interpretation = \"ito\""
            .to_owned());
    }
    Ok(())
}
