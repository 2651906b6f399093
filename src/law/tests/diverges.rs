//! What divergence makes of claims and of their controls.

use super::convergence::judged;
use crate::law::Verdict;

/// Descent of ½w² multiplies w by 1 − η: 2¹³³³ is too much.
fn study(claims: &str) -> String {
    format!(
        "[parameters]\nw = 1.0\n[data]\nx = \"normal(0, 1)\"\n[loss]\nformula = \"0.5*(w - x)^2\"\n[training]\nrate = 0.5\n[dynamics]\n\
         stable = \"sgd\"\nlost = {{ sgd = {{ rate = 3.0 }} }}\n[run]\nsteps = 8000\nrecord = 10\nreplicas = 8\n{claims}"
    )
}

#[test]
fn a_control_is_not_passed_by_divergence() {
    let claim = |expect: &str| {
        let text = format!(
            "[[claims]]\nequals = {{ observable = \"w\", value = 5, dynamics = [\"stable\", \"lost\"] }}\nexpect = \"{expect}\"\n"
        );
        judged(&study(&text))
    };
    let control = claim("fails");
    assert_eq!(control[1].verdict, Verdict::Undecided);
    assert!(!control[1].as_expected);
    let reason = control[1].reason.clone().unwrap();
    assert!(
        reason.contains("8 of 8 replicas of `lost` diverged") && reason.contains("of its own"),
        "{reason}"
    );
    // One that is expected to hold fails.
    assert_eq!(claim("holds")[1].verdict, Verdict::Fails);
    // Pairs likewise.
    let pair = "[[claims]]\nequilibrium = { between = [\"stable\", \"lost\"], observable = \"w\", same = true }\nexpect = \"fails\"\n";
    assert_eq!(judged(&study(pair))[0].verdict, Verdict::Undecided);
}

#[test]
fn divergence_itself_can_be_claimed() {
    let results = judged(&study("[[claims]]\ndiverges = { dynamics = [\"lost\", \"stable\"] }\n"));
    assert_eq!(results.iter().map(|r| r.verdict).collect::<Vec<_>>(), [Verdict::Holds, Verdict::Fails]);
    assert_eq!((results[0].tests[0].measured, results[1].tests[0].measured), (1.0, 0.0));
}
