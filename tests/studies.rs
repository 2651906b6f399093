//! Studies as files: good ones resolve, bad ones say what is wrong, where, and how to mend it.
//!
//! A bad study carries what is expected of it in its first lines:
//! ```text
//! #! set: run.steps=0                  an override (as often as needed)
//! #! 14:9 the momentum 1 is not in [0, 1)
//! #! help: a heavy ball has 0 ≤ momentum < 1, for example 0.9
//! ```
//! two lines an error, in order; a place in another file has its name in front, `cells.csv:3:1`. After a change of wording,
//! `PERRIN_BLESS=1 cargo test --test studies` writes them anew: read the difference before committing it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use perrin::study::{self, Diagnostic};

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let mut list: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    list.sort();
    list
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The lines of an expectation, and the overrides among them.
fn header(text: &str) -> (Vec<String>, Vec<String>) {
    let lines: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("#! ")).collect();
    let (set, expected): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|l| l.starts_with("set: "));
    (
        set.into_iter().map(|l| l["set: ".len()..].to_owned()).collect(),
        expected.into_iter().map(str::to_owned).collect(),
    )
}

fn errors(path: &Path, text: &str, set: &[String]) -> Vec<Diagnostic> {
    study::parse(&name(path), text, path.parent().unwrap(), set).err().unwrap_or_default()
}

/// As the header says it.
fn said(path: &Path, errors: &[Diagnostic]) -> Vec<String> {
    let folder = format!("{}/", path.parent().unwrap().display());
    let mut lines = Vec::new();
    for error in errors {
        let file = match error.file.replace(&folder, "") {
            file if file == name(path) => String::new(),
            file => format!("{file}:"),
        };
        lines.push(format!("{file}{}:{} {}", error.line, error.column, error.message.replace(&folder, "")));
        lines.push(format!("help: {}", error.help.replace(&folder, "")));
    }
    lines
}

fn bless(path: &Path, text: &str, set: &[String]) {
    let body: String =
        text.lines().skip_while(|l| l.starts_with("#! ")).fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    let mut said_before = Vec::new();
    // The header moves the lines that it speaks of, so write it until it stays.
    for _ in 0..3 {
        let mut whole = String::new();
        for line in set.iter().map(|s| format!("set: {s}")).chain(said_before.iter().cloned()) {
            writeln!(whole, "#! {line}").unwrap();
        }
        whole.push_str(&body);
        fs::write(path, &whole).unwrap();
        said_before = said(path, &errors(path, &whole, set));
    }
}

#[test]
fn bad_studies_say_what_is_wrong_where_and_how_to_mend_it() {
    let mut wrong = Vec::new();
    for path in fixtures("bad") {
        let text = fs::read_to_string(&path).unwrap();
        let (set, expected) = header(&text);
        if std::env::var_os("PERRIN_BLESS").is_some() {
            bless(&path, &text, &set);
            continue;
        }
        let found = said(&path, &errors(&path, &text, &set));
        if expected.is_empty() || found != expected {
            wrong.push(format!("{}\nexpected {expected:#?}\nfound {found:#?}", name(&path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn there_are_many_bad_studies_and_each_message_is_whole() {
    let list = fixtures("bad");
    assert!(list.len() >= 60, "{}", list.len());
    for path in list {
        let text = fs::read_to_string(&path).unwrap();
        let (set, _) = header(&text);
        for error in errors(&path, &text, &set) {
            assert!(!error.message.is_empty() && !error.help.is_empty(), "{}: {error:?}", name(&path));
            let plain = error.render(false);
            assert!(
                plain.starts_with("error: ") && plain.contains("--> ") && plain.contains("\nhelp: "),
                "{plain}"
            );
            let json = error.to_json();
            for key in ["message", "file", "line", "column", "help"] {
                assert!(!json[key].is_null(), "{}: {json}", name(&path));
            }
        }
    }
}

#[test]
fn good_studies_resolve_and_read_again_as_they_resolved() {
    for path in fixtures("good") {
        let first = study::load(&path, &[]).map_err(|e| study::Rendered(&e).to_string());
        let first = first.unwrap_or_else(|e| panic!("{}", e));
        let second = study::parse("again", &first.resolved, path.parent().unwrap(), &[]);
        let second = second.unwrap_or_else(|e| panic!("{}\n{}", study::Rendered(&e), first.resolved));
        assert_eq!(second.resolved, first.resolved, "{}", name(&path));
        assert_eq!(second.title, first.title);
        assert_eq!(second.layout(), first.layout());
        assert_eq!(second.constants, first.constants);
        assert_eq!(second.initial, first.initial);
        assert_eq!(second.run, first.run);
        assert_eq!(second.symmetries, first.symmetries);
        assert_eq!(second.dynamics.len(), first.dynamics.len());
        for (a, b) in second.dynamics.iter().zip(&first.dynamics) {
            assert_eq!((&a.name, &a.law, &a.training), (&b.name, &b.law, &b.training), "{}", name(&path));
            assert_eq!(a.instants, b.instants, "{} {}", name(&path), a.name);
        }
        let observed = |s: &study::Study| {
            s.observables.iter().map(|o| (o.name.clone(), o.shape, o.hidden)).collect::<Vec<_>>()
        };
        assert_eq!(observed(&second), observed(&first), "{}", name(&path));
        assert_eq!(second.claims.len(), first.claims.len());
        for (a, b) in second.claims.iter().zip(&first.claims) {
            assert_eq!(a.dynamics, b.dynamics);
            assert_eq!((a.expect_holds, a.significance), (b.expect_holds, b.significance));
        }
    }
}

fn good(name: &str, set: &[&str]) -> study::Study {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good").join(name);
    let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
    study::load(&path, &set).unwrap_or_else(|e| panic!("{}", study::Rendered(&e)))
}

#[test]
fn defaults_are_filled_in() {
    let study = good("bare.toml", &[]);
    assert_eq!(study.title, "bare");
    assert_eq!(
        study.run,
        study::Run {
            replicas: 1024,
            seed: 0,
            burn_in: 0.5,
            trajectories: 0,
            significance: 1e-3,
            resolution: 0.2,
            precision: None
        }
    );
    let training = study.dynamics[0].training.as_ref().unwrap();
    assert_eq!((training.batch, training.momentum), (1, 0.0));
    // Fewer steps than the 100 instants that are recorded by default: every one of them.
    assert_eq!(study.dynamics[0].instants.iter().map(|i| i.step).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(study.observables.len(), 1);
}

#[test]
fn a_dynamics_overrides_training_and_takes_momentum_only_where_it_has_one() {
    use perrin::dynamics::Decay;
    let study = good("matrices.toml", &[]);
    let of =
        |name: &str| study.dynamics.iter().find(|d| d.name == name).and_then(|d| d.training.clone()).unwrap();
    assert_eq!((of("plain").momentum, of("plain").batch, of("plain").decay), (0.9, 4, Decay::Penalty(1e-4)));
    assert_eq!((of("slow").momentum, of("slow").decay), (0.0, Decay::Force(0.01)));
    assert_eq!((of("heavy").momentum, of("noise").momentum, of("noise").batch), (0.5, 0.9, 16));
    assert_eq!(of("flow").momentum, 0.0);
    // The same clock: T = 50·0.001 + 50·0.008 = 0.45.
    let end = |name: &str| *study.dynamics.iter().find(|d| d.name == name).unwrap().instants.last().unwrap();
    assert_eq!((end("plain").step, end("slow").step), (100, 900));
    assert!((end("plain").time - 0.45).abs() < 1e-12 && (end("slow").time - 0.45).abs() < 1e-12);
}

#[test]
fn parameters_start_as_written() {
    use study::Initial;
    let study = good("matrices.toml", &[]);
    let of = |name: &str| {
        let at = study.layout().parameters().iter().position(|p| p.name == name).unwrap();
        study.initial[at].clone()
    };
    let normal = |variance: f64| Initial::Normal { mean: 0.0, standard_deviation: variance.sqrt() };
    assert_eq!(of("U"), normal(2.0 / 3.0));
    assert_eq!(of("W"), normal(2.0 / 5.0));
    assert_eq!(of("Q"), Initial::Orthogonal { scale: 2.0_f64.sqrt() / 2.0 });
    assert_eq!(of("I"), Initial::Fixed(vec![2.0, 0.0, 0.0, 2.0]));
    assert_eq!(of("c"), Initial::Fixed(vec![0.5, 0.5]));
    assert_eq!(of("d"), Initial::Fixed(vec![1.0, 2.0_f64.sqrt() / 2.0, 3.0]));
    assert_eq!(of("e"), Initial::Uniform { low: -2.0, high: 2.0 });
    assert_eq!(of("µ"), Initial::Fixed(vec![2.0 * std::f64::consts::PI]));
}

#[test]
fn observables_may_name_earlier_ones() {
    let study = good("matrices.toml", &[]);
    let value =
        |name: &str, theta: &[f64]| match &study.observables.iter().find(|o| o.name == name).unwrap().kind {
            study::ObservableKind::Function(function) => function.value(theta),
            _ => panic!(),
        };
    let theta: Vec<f64> = (0..study.layout().len()).map(|i| (i * 37 % 17) as f64 / 8.5 - 1.0).collect();
    let (size, hidden, both) = (value("size", &theta), value("hidden", &theta), value("both", &theta));
    assert!((both[0] - size[0] - hidden[0]).abs() < 1e-12 && size[0] > 0.0 && hidden[0] > 0.0);
    let balance: f64 = value("balance", &theta).iter().map(|x| x * x).sum();
    assert!((size[0] - balance).abs() < 1e-12);
    let named: Vec<&str> = study.observables.iter().filter(|o| !o.hidden).map(|o| o.name.as_str()).collect();
    assert_eq!(named, ["balance", "size", "spread", "hidden", "both", "gradient_norm2"]);
    assert!(study.observables.iter().any(|o| o.hidden && o.name == "trace(balance)"));
    // Parameters that a claim speaks of are recorded for it alone.
    assert!(study.observables.iter().any(|o| o.hidden && o.name == "M"));
}

#[test]
fn overrides_are_read_like_the_file() {
    let study = good(
        "rescaling.toml",
        &[
            "run.replicas=100",
            "training.rate=[[0, 0.1], [100, 0.2]]",
            "dynamics.gd=sgd",
            "dynamics.sde.langevin.substeps=8",
            "dynamics.flow.gradient-flow.tolerance=1e-9",
            "parameters.w=2",
            "claims.2.equals.value=1",
            "claims.2.expect=fails",
            "title=another title",
            "observe.\"two words\"=u + w",
            "run.trajectories = 4",
        ],
    );
    assert_eq!((study.run.replicas, study.run.trajectories), (100, 4));
    assert_eq!(study.title, "another title");
    assert_eq!(study.dynamics[1].law.name(), "sgd");
    assert_eq!(study.dynamics[0].training.as_ref().unwrap().rate.pieces, [(0, 0.1), (100, 0.2)]);
    assert_eq!(study.dynamics[3].law, perrin::dynamics::Law::langevin(8));
    assert_eq!(study.dynamics[0].law, perrin::dynamics::Law::GradientFlow { tolerance: 1e-9 });
    assert_eq!(study.initial[1], study::Initial::Fixed(vec![2.0]));
    assert!(!study.claims[2].expect_holds);
    assert!(study.observables.iter().any(|o| o.name == "two words"));
    assert_eq!(study.overrides.len(), 11);
    assert!(study.text.contains("replicas = 4096") && study.resolved.contains("replicas = 100"));
}

#[test]
fn claims_without_dynamics_are_about_all_that_they_make_sense_for() {
    let study = good("oscillator.toml", &[]);
    assert_eq!(study.claims[0].dynamics, [0, 1, 2]);
    assert_eq!(study.claims[1].dynamics, [1]);
    let study =
        good("rescaling.toml", &["claims=[{ einstein = {} }, { conserved = { observable = \"charge\" } }]"]);
    assert_eq!(study.claims[0].dynamics, [2, 3]);
    assert_eq!(study.claims[1].dynamics, [0, 1, 2, 3]);
}

#[test]
fn a_missing_study_is_a_diagnostic() {
    let errors = study::load(Path::new("no/such.toml"), &[]).err().unwrap();
    assert_eq!((errors.len(), errors[0].file.as_str()), (1, "no/such.toml"));
    assert!(errors[0].render(false).contains("--> no/such.toml:1:1\nhelp: "));
}

/// A linear congruential generator is random enough to break texts.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Deletes, doubles, swaps or replaces a few characters or lines.
fn mutated(text: &str, random: &mut Random) -> String {
    const BITS: [&str; 24] = [
        "\"", "'", "[", "]", "{", "}", "=", "\n", "#", ".", "-", "0", "1e999", "é", "漢", "\t", "\\", ",",
        "(", ")", "nan", "@", "^", "\u{0}",
    ];
    let mut characters: Vec<String> = text.chars().map(String::from).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(characters.len());
        match random.below(5) {
            0 => drop(characters.remove(at)),
            1 => characters.insert(at, characters[at].clone()),
            2 => BITS[random.below(BITS.len())].clone_into(&mut characters[at]),
            3 => {
                let other = random.below(characters.len());
                characters.swap(at, other);
            }
            _ => {
                let end = (at + random.below(30)).min(characters.len());
                drop(characters.drain(at..end));
            }
        }
        if characters.is_empty() {
            break;
        }
    }
    characters.concat()
}

/// Texts and overrides broken at random: whatever they say, there is no panic, and each error has a place in its text.
#[test]
fn broken_texts_give_places_and_never_panic() {
    const EACH: usize = 300;
    let mut random = Random(20_241_024);
    let mut failed = 0;
    for path in fixtures("good") {
        let text = fs::read_to_string(&path).unwrap();
        let base = path.parent().unwrap();
        for _ in 0..EACH {
            let broken = mutated(&text, &mut random);
            let Err(errors) = study::parse("broken.toml", &broken, base, &[]) else { continue };
            failed += 1;
            assert!(!errors.is_empty(), "{broken}");
            for error in errors {
                assert!(!error.message.is_empty() && !error.help.is_empty(), "{error:?}\n{broken}");
                if error.file == "broken.toml" {
                    let line = broken.split('\n').nth(error.line - 1);
                    let line = line.unwrap_or_else(|| panic!("line {} of\n{broken}", error.line));
                    assert!(
                        error.column >= 1 && error.column <= line.chars().count() + 1,
                        "{error:?}\n{broken}"
                    );
                    error.render(true);
                }
            }
        }
        let set = mutated("dynamics.sgd.sgd.rate=0.5", &mut random);
        drop(study::parse("broken.toml", &text, base, &[set]));
    }
    // The generator does break something.
    assert!(failed > EACH, "{failed}");
}

#[test]
fn an_hdf5_dataset_is_a_population() {
    let folder = tempfile::tempdir().unwrap();
    let file = hdf5::H5File::create(folder.path().join("points.h5")).unwrap();
    let numbers: Vec<f64> = (0..12).map(f64::from).collect();
    file.new_dataset::<f64>().shape([4, 3]).create("x").unwrap().write_raw(&numbers).unwrap();
    file.new_dataset::<i64>().shape([4]).create("label").unwrap().write_raw(&[0_i64, 1, 1, 0]).unwrap();
    file.close().unwrap();
    let text = |data: &str, dataset: &str| {
        format!(
            "[parameters]\nw = [0, 0]\n[population]\ntable = \"points.h5\"\n{dataset}\n[data]\n{data}\n\
             [loss]\nformula = \"norm2(w - x) + 0*y\"\n[training]\nrate = 0.1\n[dynamics]\nsgd = \"sgd\"\n[run]\nsteps = 3"
        )
    };
    let parse = |text: &str| study::parse("points.toml", text, folder.path(), &[]);
    let study = parse(&text("x = { columns = [\"x[0]\", \"x[2]\"] }\ny = \"label\"", ""))
        .unwrap_or_else(|e| panic!("{}", study::Rendered(&e)));
    let study::System::Loss(loss) = &study.system else { panic!() };
    let nodes = &loss.model.population().nodes;
    assert_eq!(nodes.values, [0.0, 2.0, 0.0, 3.0, 5.0, 1.0, 6.0, 8.0, 1.0, 9.0, 11.0, 0.0]);
    let single = text("x = { columns = [0, 1] }\ny = { column = 2 }", "dataset = \"x\"");
    assert!(parse(&single).is_ok());
    let errors = parse(&text("y = \"label\"", "dataset = \"z\"")).err().unwrap();
    assert_eq!((errors[0].line, errors[0].column), (5, 11), "{errors:?}");
    assert!(errors[0].help.contains("label"));
}

mod by_hand {
    use perrin::lanes::Lane;
    use perrin::model::{Batch, Layout, Model, Nodes, Origin, Population, Scratch, Shape};

    /// ℓ = ½‖w‖², without data.
    pub struct Parabola(Layout, Population);

    impl Parabola {
        pub fn new() -> Self {
            let mut layout = Layout::default();
            layout.push("w", Shape::vector(2));
            let nodes = Nodes { width: 0, values: vec![], weights: vec![0.25; 4], origin: Origin::Table };
            Self(layout, Population { width: 0, fresh: None, rows: None, cells: vec![], nodes: nodes.into() })
        }
    }

    impl Model for Parabola {
        fn layout(&self) -> &Layout {
            &self.0
        }
        fn population(&self) -> &Population {
            &self.1
        }
        fn scratch(&self, _: usize) -> Scratch {
            Scratch::default()
        }
        fn weighted_gradient(
            &self,
            theta: &[Lane],
            _: &mut dyn Batch,
            gradient: &mut [Lane],
            _: &mut Scratch,
        ) {
            gradient.copy_from_slice(theta);
        }
        fn weighted_loss(&self, _: &[Lane], _: &mut dyn Batch, loss: &mut [Lane], _: &mut Scratch) {
            loss.fill(Lane::default());
        }
    }
}

#[test]
fn a_model_written_in_rust_takes_the_place_of_the_loss() {
    let draft = study::Draft::new("by hand")
        .model(std::sync::Arc::new(by_hand::Parabola::new()))
        .constant("k", 2.0)
        .training("rate", 0.1)
        .dynamics("sgd", toml::toml! { sgd = { batch = 4 } })
        .run("steps", 10)
        .observe("energy", "k*norm2(w)/4")
        .claim(toml::toml! { conserved = { observable = "energy" } expect = "fails" });
    let study = draft
        .clone()
        .parameter("w", vec![1.0, 2.0])
        .resolve()
        .unwrap_or_else(|e| panic!("{}", study::Rendered(&e)));
    let study::System::Loss(loss) = &study.system else { panic!() };
    assert!(loss.formula.is_none());
    assert_eq!(
        study.observables.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(),
        ["w", "energy", "magnitude(energy)"]
    );
    let study::ObservableKind::Function(energy) = &study.observables[1].kind else { panic!() };
    assert_eq!(energy.value(&[1.0, 3.0]), [5.0]);
    let wrong = |draft: study::Draft| draft.resolve().err().unwrap()[0].message.clone();
    assert!(
        wrong(draft.clone().parameter("w", 1.0))
            .contains("the model's parameters are w [2], the study's w scalar")
    );
    assert!(
        wrong(draft.clone().parameter("w", vec![1.0, 2.0]).loss("w^2"))
            .contains("[loss] cannot stand beside")
    );
    let batch = draft.clone().parameter("w", vec![1.0, 2.0]).training("batch", 5).resolve().err().unwrap();
    assert!(batch[0].message.contains("5 of 4 samples"));
    let einstein = draft.parameter("w", vec![1.0, 2.0]).claim(toml::toml! { einstein = {} });
    assert!(wrong(einstein).contains("`einstein` needs the loss as a formula"));
}

#[test]
fn windows_line_ends_and_a_mark_of_byte_order_change_no_place() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good/matrices.toml");
    let text = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
    assert!(study::parse("w.toml", &text, path.parent().unwrap(), &[]).is_ok());
    let broken = text.replace("r = U @ h + c + f - y", "r = U @ h + c + f - yy");
    let errors = study::parse("w.toml", &broken, path.parent().unwrap(), &[]).err().unwrap();
    assert_eq!(errors[0].message, "unknown name `yy`");
    let line = broken.lines().nth(errors[0].line - 1).unwrap();
    assert_eq!(line.chars().skip(errors[0].column - 1).collect::<String>(), "yy");
    assert!(!errors[0].render(false).contains('\r'));
    let marked = format!("\u{feff}{}", fs::read_to_string(&path).unwrap());
    assert!(study::parse("w.toml", &marked, path.parent().unwrap(), &[]).is_ok());
}

#[test]
fn a_formula_of_several_claims_is_recorded_once() {
    let text = r#"
[parameters]
u = 1.0
w = 0.5
[data]
x = "normal(0, 1)"
[loss]
formula = "(u*w*x - 1)^2"
[training]
rate = 0.01
[dynamics]
sgd = "sgd"
[run]
steps = 10
[observe]
charge = "u^2 - w^2"
[[claims]]
equals = { observable = "u^2-w^2", at = "end", value = 1, tolerance = 0.1 }
[[claims]]
equals = { observable = "u + w", at = "end", value = 1, tolerance = 0.1 }
[[claims]]
decay-rate = { observable = " u+ w", value = "4*rate" }
"#;
    let study = study::parse("a.toml", text, Path::new("."), &[]).unwrap();
    let names: Vec<(&str, bool)> = study.observables.iter().map(|o| (o.name.as_str(), o.hidden)).collect();
    assert_eq!(
        names,
        [("u", false), ("w", false), ("charge", false), ("u + w", true), ("decay-rate(u + w, 0, 1)", true)]
    );
}

#[test]
fn examples_of_the_claims_stand_in_the_studies_they_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/claims.md")).unwrap();
    let (mut study, mut block, mut inside, mut seen) = (String::new(), Vec::new(), false, 0);
    for line in text.lines() {
        if let Some(at) = line.find("](../models/") {
            let name = &line[at + "](../".len()..];
            study = fs::read_to_string(root.join(&name[..name.find(')').unwrap()])).unwrap();
        }
        match line {
            "```toml" => inside = true,
            "```" if inside => {
                // Remarks may stand behind a line.
                let lines: Vec<&str> =
                    study.lines().map(|l| l.split('#').next().unwrap().trim_end()).collect();
                let found = lines.windows(block.len()).any(|window| window == &block[..]);
                assert!(found, "{block:?} stands in no study");
                (inside, seen) = (false, seen + 1);
                block.clear();
            }
            _ if inside => block.push(line),
            _ => {}
        }
    }
    // Every claim, and a control of each.
    assert_eq!(seen, 24);
}

#[test]
fn pieces_of_a_schedule_that_the_run_never_reaches_count_for_nothing_and_are_told() {
    let study = |steps: u64, more: &str| {
        let text = format!(
            "parameters.w = 1\ndata.x = \"normal(0, 1)\"\nloss.formula = \"0.5*(w - x)^2\"\n\
             training.rate = [[0, 0.1], [100, 0.01]]\ndynamics.sgd = \"sgd\"\nrun = {{ steps = {steps}, replicas = 8 }}\n{more}"
        );
        study::parse("s", &text, Path::new(""), &[])
    };
    let short =
        study(100, "observe.eta = \"rate*w\"\n").unwrap_or_else(|e| panic!("{}", study::Rendered(&e)));
    assert_eq!(short.warnings.len(), 1, "{:?}", short.warnings);
    assert!(short.warnings[0].contains("0.01 from step 100"), "{:?}", short.warnings);
    assert_eq!(short.dynamics[0].training.as_ref().unwrap().rate.pieces, [(0, 0.1)]);
    let long = study(101, "").unwrap_or_else(|e| panic!("{}", study::Rendered(&e)));
    assert!(long.warnings.is_empty());
    assert_eq!(long.dynamics[0].training.as_ref().unwrap().rate.pieces.len(), 2);
    assert!(study(101, "observe.eta = \"rate*w\"\n").is_err());
}

#[test]
fn a_dt_that_does_not_divide_the_time_is_told() {
    let study = |dt: f64| {
        let text = format!(
            "parameters.x = 1\nsde.drift.x = \"-x\"\ndynamics.em.euler-maruyama.dt = {dt}\nrun = {{ time = 2.0, replicas = 8 }}\n"
        );
        study::parse("s", &text, Path::new(""), &[]).unwrap_or_else(|e| panic!("{}", study::Rendered(&e)))
    };
    assert!(study(0.1).warnings.is_empty());
    assert_eq!(study(0.3).warnings, ["`em` runs to t = 2.1, not 2: its dt of 0.3 does not divide the time"]);
}

#[test]
fn formulas_that_all_share_have_the_settings_of_training_and_say_where_a_dynamics_has_others() {
    let warnings = |dynamics: &str, observed: &str| {
        let text = format!(
            "parameters.w = 1\ndata.x = \"normal(0, 1)\"\nloss.formula = \"0.5*(w - x)^2\"\ntraining.rate = 0.1\n\
             run = {{ steps = 100, replicas = 8 }}\n[dynamics]\nsgd = \"sgd\"\n{dynamics}\n[observe]\n{observed}\n\
             [[claims]]\nequals = {{ observable = \"w\", at = \"start\", value = \"10*rate\", dynamics = \"sgd\" }}\n"
        );
        study::parse("s", &text, Path::new(""), &[])
            .unwrap_or_else(|e| panic!("{}", study::Rendered(&e)))
            .warnings
    };
    let fast = "fast = { sgd = { rate = 0.2, weight_decay = 0.5 } }";
    assert!(warnings(fast, "square = \"w^2\"").is_empty());
    assert!(warnings("again = \"sgd\"", "eta = \"rate*w\"").is_empty());
    assert_eq!(
        warnings(fast, "eta = \"rate*w\"\nall = \"objective + rate\""),
        [
            "`rate` is 0.1 in formulas that all dynamics share; `fast` has 0.2",
            "the decay of `objective` is 0 in formulas that all dynamics share; `fast` has 0.5"
        ]
    );
    let changing = "fast = { sgd = { rate = [[0, 0.1], [9, 0.2]] } }";
    assert_eq!(
        warnings(changing, "eta = \"rate*w\""),
        [
            "`fast` runs to t = 9.9, not 10: its rate does not divide the time",
            "`rate` is 0.1 in formulas that all dynamics share; `fast` has one that changes"
        ]
    );
}
