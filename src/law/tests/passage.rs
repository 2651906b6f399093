//! First passages of levels, and walls, of motions of which all is known.

use std::path::Path;

use super::conventions::{judged, study};
use crate::law::Verdict;
use crate::study::parse;

fn verdicts(text: &str) -> Vec<Verdict> {
    judged(&mut study(text)).into_iter().map(|r| r.verdict).collect()
}

const HOLDS: Verdict = Verdict::Holds;
const FAILS: Verdict = Verdict::Fails;

/// Brownian motion: P(T ≤ t) = 2(1 − Φ(a/√t)) = 0.31731 for a = t = 1; ⟨min(T, 1)⟩ = ∫₀¹ P(T > t) dt.
#[test]
fn brownian_motion_passes_a_level_between_the_ends_of_its_steps() {
    let claim = |observable: &str, value: f64, tolerance: f64| {
        format!(
            "[[claims]]\nequals = {{ observable = \"{observable}\", at = \"end\", value = {value}, tolerance = {tolerance} }}\n"
        )
    };
    let text = format!(
        "[parameters]\nx = 0.0\ny = 0.0\n[sde]\ndiffusion = {{ x = \"1\" }}\ndrift = {{ y = \"1\" }}\n\
         [dynamics]\nem = {{ euler-maruyama = {{ dt = 0.05 }} }}\n\
         [run]\ntime = 1.0\nreplicas = 16384\nseed = 12\nrecord = 4\n\
         [observe]\nhit = {{ passed = \"x\", above = 1 }}\nlow = {{ passed = \"x\", below = -1 }}\nT = {{ first_passage = \"x\", above = 1 }}\n\
         ends = {{ passed = \"x + 0\", above = 1 }}\nline = {{ first_passage = \"y\", above = 0.62 }}\n\
         late = {{ first_passage = \"y\", above = 2 }}\nout = {{ passed = \"x\", above = 1, below = -1 }}\n{}{}{}{}{}{}{}",
        claim("hit", 0.317_310_507_862_914, 0.05),
        claim("low", 0.317_310_507_862_914, 0.05),
        claim("T", FIRST_PASSAGE, 0.02),
        // Control: seen at the ends of steps alone, the level lies 0.5826 σ√h farther off (Broadie, Glasserman & Kou 1997).
        claim("ends", 0.317_310_507_862_914, 0.05),
        claim("line", 0.62, 1e-9),
        claim("late", 1.0, 1e-9),
        // Either side: 1 − Σ_k (−1)^k (4/π)/(2k + 1) e^{−(2k + 1)²π²/8}.
        claim("out", 0.629_222_6, 0.05),
    );
    assert_eq!(verdicts(&text), [HOLDS, HOLDS, HOLDS, FAILS, HOLDS, HOLDS, HOLDS]);
}

/// ∫₀¹ (2Φ(1/√t) − 1) dt, by the midpoint rule with 4·10⁶ points.
const FIRST_PASSAGE: f64 = 0.849320433;

/// Where a path is looked at, it is the same path.
#[test]
fn a_passage_changes_no_path() {
    let text = |observe: &str| {
        format!(
            "[parameters]\nx = 0.0\n[sde]\ndiffusion = {{ x = \"1\" }}\n[dynamics]\nem = {{ euler-maruyama = {{ dt = 0.1 }} }}\n\
             [run]\ntime = 1.0\nreplicas = 16\nrecord = [0.3]\n{observe}"
        )
    };
    let last = |observe: &str| {
        let study = study(&text(observe));
        let record = super::conventions::recorded(&study);
        record.dynamics[0].observables.iter().find(|o| o.name == "x").unwrap().last.clone()
    };
    assert_eq!(last(""), last("[observe]\nT = { first_passage = \"x\", above = 0.5 }\n"));
}

/// dx = −μ dt + dW + dl at 0: exponential with mean 1/(2μ), whatever the step, as the least value within a step is drawn by its law. And the control, twice that.
#[test]
fn a_wall_holds_a_motion_that_falls() {
    let wall = |reflect: &str, diffusion: &str, dt: f64, claims: &str| {
        format!(
            "[parameters]\nx = 0.5\n[sde]\ndrift = {{ x = \"-1\" }}\ndiffusion = {{ x = \"{diffusion}\" }}\nreflect = {{ x = {reflect} }}\n\
             [dynamics]\nem = {{ euler-maruyama = {{ dt = {dt} }} }}\n[run]\ntime = 8.0\nreplicas = 4096\nseed = 13\nrecord = 40\n\
             {claims}"
        )
    };
    let mean = |value: f64| {
        format!(
            "[[claims]]\nequals = {{ observable = \"x\", at = \"end\", value = {value}, tolerance = 0.1 }}\n\
             [[claims]]\nequals = {{ observable = \"x\", statistic = \"minimum\", at = \"end\", value = 0, absolute_tolerance = 0.01 }}\n"
        )
    };
    for none in ["\"none\"", "inf"] {
        let text = wall(&format!("[0, {none}]"), "1", 0.1, &mean(0.5));
        assert_eq!(verdicts(&text)[0], HOLDS, "{none}");
    }
    assert_eq!(verdicts(&wall("[0, \"none\"]", "1", 0.1, &mean(1.0)))[0], FAILS);
    // Between two walls, uniform but for the fall: e^{−2x} on [0, 1] has the mean ½ − 1/(e² − 1).
    let text = wall("[0, 1]", "1", 0.01, &mean(0.5 - 0.156_517_642_749_665_6));
    assert_eq!(verdicts(&text)[0], HOLDS);
    // Noise that depends on the state is folded back: Itô's nothing but its bound is claimed.
    let low = "[[claims]]\nequals = { observable = \"relu(-x)\", at = \"end\", statistic = \"maximum\", value = 0, absolute_tolerance = 1e-12 }\n";
    assert_eq!(verdicts(&wall("[0, \"none\"]", "sqrt(1 + x^2)", 0.01, low)), [HOLDS]);
}

#[test]
fn what_walls_and_passages_do_not_go_with_is_refused() {
    let text = |reflect: &str, dynamics: &str, rest: &str| {
        format!(
            "[parameters]\nx = 0.5\n[sde]\ndrift = {{ x = \"-x\" }}\ndiffusion = {{ x = \"1\" }}\n{reflect}\n[dynamics]\nd = {dynamics}\n\
             [run]\ntime = 1.0\nreplicas = 8\n{rest}"
        )
    };
    let refused = |text: &str| match parse("s.toml", text, Path::new(""), &[]) {
        Ok(_) => panic!("accepted\n{text}"),
        Err(list) => list.into_iter().map(|d| d.message).collect::<Vec<_>>().join("; "),
    };
    let (wall, em) = ("reflect = { x = [0, \"none\"] }", "{ euler-maruyama = { dt = 0.1 } }");
    for (text, says) in [
        (text(wall, "{ exact = {} }", ""), "walls"),
        (text(wall, "{ heun = { dt = 0.1 } }", ""), "euler-maruyama"),
        (text(wall, em, "[[claims]]\neinstein = {}\n"), "reflect"),
        (text("reflect = { x = [1, 0] }", em, ""), "between 1 and 0"),
        (text("reflect = { y = [0, 1] }", em, ""), "unknown parameter `y`"),
        (
            text("", "{ exact = {} }", "[observe]\nT = { first_passage = \"x\", above = 1 }\n"),
            "makes no steps",
        ),
        (text("", em, "[observe]\nT = { first_passage = \"x\" }\n"), "level"),
        (text("", em, "[observe]\nT = { passed = \"x\", above = 0, below = 1 }\n"), "between the levels"),
    ] {
        let found = refused(&text);
        assert!(found.contains(says), "{found}\n{text}");
    }
}
