//! `perrin symmetries`: what is found in losses with and without symmetries, and that it can be pasted back.

use serde_json::{Value, json};

use crate::workplace::{HARMONIC, Workplace};

const NET: &str = r#"
[parameters]
u = 1.0
w = 0.5
U = { shape = [2, 2], init = "normal" }
W = { shape = [2, 2], init = "normal" }

[data]
x = { shape = [2], law = "normal(0, 1)" }

[loss]
formula = "norm2(U @ W @ x - x) + abs(u^2*w - 1)"

[training]
rate = 0.01
penalty = 0.1

[dynamics]
sgd = "sgd"

[run]
steps = 10
"#;

fn found(study: &str) -> Value {
    Workplace::with(study).perrin(&["symmetries", "study.toml", "--json"]).expect(0).json()
}

#[test]
fn a_hidden_symmetry_is_found_with_its_charge_and_the_decay_does_not_hide_it() {
    let study = HARMONIC.replace("w = 0.0", "u = 1.0\nw = 0.5").replace("0.5*(w - x)^2", "(u*w*x - 1)^2");
    let study = study
        .replace("batch = 1", "batch = 1\nweight_decay = 0.1")
        .replace("observable = \"w\"", "observable = \"u\"");
    let document = found(&study);
    assert_eq!(document["format"], 1);
    assert_eq!(document["parameters"], json!(["u", "w"]));
    assert_eq!(document["dimension"], 1);
    assert!(document["gap"].as_f64().unwrap() > 1e8);
    let generator = &document["generators"][0];
    assert_eq!(generator["matrix"], json!([[1, 0], [0, -1]]));
    assert_eq!(generator["kind"], "symmetric");
    assert_eq!(generator["charge"], "u^2 - w^2");
}

#[test]
fn none_is_found_where_there_is_none() {
    let document = found(HARMONIC);
    assert_eq!((&document["dimension"], &document["generators"]), (&json!(0), &json!([])));
    // A symmetry broken by a millionth is none.
    let broken =
        HARMONIC.replace("w = 0.0", "u = 1.0\nw = 0.5").replace("0.5*(w - x)^2", "(u*w*x - 1)^2 + 1e-6*u^2");
    assert_eq!(found(&broken)["dimension"], 0);
}

#[test]
fn what_is_found_can_be_pasted_back() {
    let document = found(NET);
    // gl(2) of U and W, and u → a u, w → w/a².
    assert_eq!(document["dimension"], 5);
    let lines: Vec<&str> =
        document["declarations"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert!(lines.contains(&"scaling = { exponential = { u = 1, w = -2 } }"), "{lines:?}");
    let place = Workplace::with(&format!("{NET}\n[symmetries]\n{}\n", lines.join("\n")));
    place.perrin(&["check", "study.toml"]).expect(0);
    // And charges are formulas of the language.
    let charges: Vec<&str> =
        document["generators"].as_array().unwrap().iter().filter_map(|g| g["charge"].as_str()).collect();
    assert_eq!(charges.len(), 4);
    let observed: Vec<String> = charges.iter().enumerate().map(|(i, c)| format!("c{i} = \"{c}\"")).collect();
    place.write("study.toml", &format!("{NET}\n[observe]\n{}\n", observed.join("\n")));
    place.perrin(&["check", "study.toml"]).expect(0);
}

#[test]
fn a_wrong_declaration_does_not_stand_in_the_way() {
    let place = Workplace::with(&format!("{NET}\n[symmetries]\nwrong = {{ scale = [\"u\"] }}\n"));
    place.perrin(&["check", "study.toml"]).expect(2);
    place
        .perrin(&["symmetries", "study.toml"])
        .expect(0)
        .shows(&["5 linear symmetries: 4 symmetric, 1 antisymmetric", "charge u^2 - 2*w^2", "[symmetries]"])
        .silent_on_stderr();
    place.write("sde.toml", "[parameters]\nx = 0.0\n[sde]\ndrift = { x = \"-x\" }\n[dynamics]\nem = { euler-maruyama = { dt = 0.1 } }\n[run]\ntime = 1.0\n");
    place.perrin(&["symmetries", "sde.toml"]).expect(2);
}
