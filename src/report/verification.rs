//! Several studies' claims in one table or one document.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::number::{count, prediction, with_error};
use super::style::{Cell, Grid, Style, Tone};
use super::table::{mark, tone, tone_of_all, width};
use crate::law::{ClaimResult, Tally, Test, Verdict};

/// What became of one study's claims.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The study's name.
    pub study: String,
    /// Its claims, judged.
    pub claims: Vec<ClaimResult>,
}

fn tally(studies: &[Verified]) -> Tally {
    Tally::of(studies.iter().flat_map(|study| &study.claims))
}

/// A line a claim, with the comparison that speaks for its verdict; what came out otherwise is repeated below with its reason.
pub fn verification(studies: &[Verified], style: &Style) -> String {
    let mut table = grid(studies, true).lines(style, 2);
    if table.iter().any(|line| width(line) > style.width) {
        table = grid(studies, false).lines(style, 2);
    }
    let mut lines = vec![String::new()];
    lines.extend(table);
    lines.extend(otherwise(studies, style));
    lines.push(String::new());
    lines.push(format!("  {}", closing(studies, style)));
    lines.push(String::new());
    lines.join("\n") + "\n"
}

/// With what was compared, where there is room for it.
fn grid(studies: &[Verified], quantities: bool) -> Grid {
    let head = |text: &str| Cell::new(text, Tone::Dim);
    let mut grid = if quantities {
        Grid::with_right_aligned(&[4, 5]).flexible(3)
    } else {
        Grid::with_right_aligned(&[3, 4]).flexible(1)
    };
    let mut row = |mut cells: Vec<Cell>| {
        if !quantities {
            cells.remove(3);
        }
        grid.row(cells);
    };
    row(["law", "system", "dynamics", "quantity", "predicted", "measured", "verdict"].map(head).to_vec());
    for study in studies {
        study.claims.iter().for_each(|claim| row(cells(study, claim)));
    }
    grid
}

fn cells(study: &Verified, claim: &ClaimResult) -> Vec<Cell> {
    let test = claim.headline();
    let text = |of: &dyn Fn(&Test) -> String| Cell::from(test.map(of).unwrap_or_default());
    vec![
        Cell::new(claim.law, Tone::Strong),
        study.study.clone().into(),
        claim.dynamics.clone().into(),
        text(&|test| test.quantity.clone()),
        text(&|test| prediction(test.predicted, test.standard_error.max(test.tolerance))),
        text(&|test| with_error(test.measured, test.standard_error)),
        Cell::new(format!("{} {}", mark(claim), claim.verdict), tone(claim)),
        Cell::new(if claim.expect == Verdict::Fails { "control" } else { "" }, Tone::Dim),
    ]
}

/// Each claim that is not as expected, and why.
fn otherwise(studies: &[Verified], style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for study in studies {
        for claim in study.claims.iter().filter(|claim| !claim.as_expected) {
            if lines.is_empty() {
                lines.push(String::new());
            }
            let mut text = format!(
                "{} {}: {} of `{}` {}, expected: {}",
                mark(claim),
                study.study,
                claim.law,
                claim.dynamics,
                match claim.verdict {
                    Verdict::Undecided => "is undecided",
                    other => other.as_str(),
                },
                claim.expect
            );
            if let Some(reason) =
                claim.reason.as_ref().or_else(|| claim.headline().and_then(|t| t.note.as_ref()))
            {
                text.push_str(&format!(" ({reason})"));
            }
            lines.extend(style.wrap(&text, 2).iter().map(|line| style.paint(tone(claim), line)));
        }
    }
    lines
}

fn closing(studies: &[Verified], style: &Style) -> String {
    let tally = tally(studies);
    let named =
        |n: usize, one: &str, more: &str| format!("{} {}", count(n as u64), if n == 1 { one } else { more });
    let text = format!(
        "{}: {}, {}, {} otherwise, {} undecided",
        named(studies.len(), "study", "studies"),
        named(tally.held, "claim holds", "claims hold"),
        named(tally.controls, "control fails as it must", "controls fail as they must"),
        count(tally.failed as u64),
        count(tally.undecided as u64),
    );
    style.paint(tone_of_all(&tally), &text)
}

/// The one document of `perrin verify --json`.
pub fn verification_document(studies: &[Verified]) -> Value {
    let tally = tally(studies);
    let each: Vec<Value> =
        studies.iter().map(|study| json!({ "study": study.study, "claims": study.claims })).collect();
    json!({
        "format": FORMAT,
        "studies": each,
        "held": tally.held,
        "failed": tally.failed,
        "undecided": tally.undecided,
        "controls": tally.controls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn studies() -> Vec<Verified> {
        vec![Verified { study: "two".into(), claims: fixture::claims() }]
    }

    #[test]
    fn a_line_a_claim_and_what_is_otherwise_below() {
        let text = verification(&studies(), &Style::default());
        println!("{text}");
        let claims = fixture::claims();
        let lines: Vec<&str> = text.lines().collect();
        for (claim, line) in claims.iter().zip(&lines[2..]) {
            assert!(line.contains(claim.law) && line.contains(claim.verdict.as_str()), "{line}");
            assert_eq!(line.contains("control"), claim.expect == Verdict::Fails, "{line}");
        }
        assert!(text.contains("not stationary yet"), "the reason of what is undecided");
        for columns in [80, 100, 120] {
            let text = verification(&studies(), &Style { width: columns, colour: false });
            assert!(text.lines().all(|line| width(line) <= columns), "{text}");
            assert_eq!(text.contains("quantity"), columns > 80, "{text}");
        }
    }

    #[test]
    fn the_document_has_the_keys_that_others_read() {
        let document = verification_document(&studies());
        let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["format", "studies", "held", "failed", "undecided", "controls"]);
        assert_eq!(document["studies"][0]["study"], "two");
        let count = |key: &str| document[key].as_u64().unwrap();
        let all = count("held") + count("failed") + count("undecided") + count("controls");
        assert_eq!(all as usize, fixture::claims().len());
        assert_eq!(document["studies"][0]["claims"][0]["law"], fixture::claims()[0].law);
    }
}
