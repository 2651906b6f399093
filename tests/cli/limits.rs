//! Studies that ask for more than there is: of memory, of time, of words. Each ends with a message that has the numbers.

use std::process::Command;

use crate::workplace::{HARMONIC, Outcome, Workplace};

/// The program under a limit on its address space, kilobytes.
#[cfg(target_os = "linux")]
fn within(place: &Workplace, kilobytes: u64, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    let line = format!("ulimit -v {kilobytes}; exec \"$0\" \"$@\"");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_perrin")]).args(arguments).current_dir(place.path("."));
    Outcome::of(&mut command)
}

fn study(parameters: &str, data: &str, loss: &str) -> String {
    format!(
        "[parameters]\n{parameters}\n[data]\n{data}\n[loss]\nformula = \"{loss}\"\n[training]\nrate = 0.1\n[dynamics]\nsgd = \"sgd\"\n\
         [run]\nsteps = 100\nreplicas = 64\n"
    )
}

#[test]
#[cfg(target_os = "linux")]
fn what_does_not_fit_is_refused_with_the_numbers_and_never_an_abort() {
    let x = "x = \"normal(0, 1)\"";
    let small = study("w = 0.1", x, "(w - x)^2");
    let set = |set: &str| (small.clone(), vec!["--set".to_owned(), set.to_owned()]);
    let whole = |parameters: &str, data: &str, loss: &str| (study(parameters, data, loss), vec![]);
    let vector = "w = { shape = [20000], init = 0.1 }";
    let wide = "x = { shape = [20000], law = \"normal(0, 1)\" }";
    let million = "x = { shape = [1000000], law = \"normal(0, 1)\" }\n[population]\nsize = 1000000";
    let ones = vec!["1"; 6000].join(", ");
    let constants = format!("[constants]\nc = [{ones}]\nd = \"sum(outer(c, c))\"\n{small}");
    for (study, settings) in [
        whole(vector, x, "norm2(outer(w, w)) + x*sum(w)"),
        whole(vector, x, "sum(w @ w.T) + x*sum(w)"),
        whole("w = 0.1", wide, "sum(outer(x, x))*w"),
        whole("w = { shape = [3000, 3000], init = 0.1 }", x, "sum(w @ w) + x*sum(w)"),
        whole("w = { shape = [9000000], init = 0.1 }", x, "norm2(w) + x*sum(w)"),
        whole("w = 0.1", million, "sum(x)*w"),
        (constants, vec![]),
        set("run.replicas=100000000"),
        (
            small.clone(),
            ["--set", "run.replicas=1000000", "--set", "run.trajectories=1000000", "--set", "run.steps=1000"]
                .map(str::to_owned)
                .to_vec(),
        ),
        (
            small
                .replace("w = 0.1", "w = { shape = [1000], init = 0.1 }")
                .replace("(w - x)^2", "norm2(w)*x^2"),
            ["--set", "run.steps=1e6", "--set", "run.record=1000000"].map(str::to_owned).to_vec(),
        ),
    ] {
        let place = Workplace::with(&study);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let outcome = within(&place, 1_000_000, &[&["run", "study.toml", "-q"], &settings[..]].concat());
        assert!(outcome.code == 2 || outcome.code == 3, "{}", outcome.story());
        assert!(
            outcome.stderr.starts_with("error: ") && outcome.stderr.contains("help: "),
            "{}",
            outcome.story()
        );
        assert!([" GB", " TB"].iter().any(|unit| outcome.stderr.contains(unit)), "{}", outcome.story());
        let outcome =
            within(&place, 1_000_000, &[&["check", "study.toml", "--json"], &settings[..]].concat());
        assert!([0, 2, 3].contains(&outcome.code), "{}", outcome.story());
        outcome.json();
    }
    // The control: what fits runs under the same limit.
    let place = Workplace::with(&small);
    within(&place, 1_000_000, &["run", "study.toml", "-q"]).expect(0);
}

#[test]
fn a_formula_that_is_too_large_is_named_at_its_place() {
    let text = study(
        "w = { shape = [3000000], init = 0.1 }",
        "x = \"normal(0, 1)\"",
        "x*sum(w) + norm2(outer(w, w))",
    );
    let place = Workplace::with(&text);
    for command in ["check", "symmetries", "run"] {
        place.perrin(&[command, "study.toml"]).expect(2).says(&[
            "too large: a value [3000000,3000000] has 9000000000000 numbers, 576.0 TB for 8 replicas",
            "study.toml:6:29",
            "norm2(outer(a, b)) is norm2(a)*norm2(b)",
        ]);
    }
}

const DIFFUSION: &str = "[parameters]\nx = 1.0\n[sde]\ndrift = { x = \"-x\" }\ndiffusion = { x = \"0.1\" }\n[dynamics]\n\
                         em = { euler-maruyama = { dt = 0.1 } }\n[run]\ntime = 10\nreplicas = 64\n";

#[test]
fn a_run_that_cannot_end_is_refused() {
    let place = Workplace::with(HARMONIC);
    place.write("sde.toml", DIFFUSION);
    let dt = |dt: &str| format!("dynamics.em.euler-maruyama.dt={dt}");
    for (file, set, said) in [
        ("sde.toml", dt("1e-21"), "`em` would make more than 2^64 steps"),
        ("sde.toml", dt("1e-16"), "`em` would make 100000000000000000 steps"),
        ("study.toml", "run.steps=9007199254740993".into(), "steps"),
        (
            "study.toml",
            "training.batch=9000000000000000".into(),
            "would not end: 400 steps × 64 replicas × a batch of 9000000000000000",
        ),
        (
            "study.toml",
            "dynamics.sgd={ svag = { level = 1000000, batch = 1000000000 } }".into(),
            "evaluations a step",
        ),
        ("study.toml", "dynamics.sgd={ sgd = { rate = 1e-16 } }".into(), "`sgd` would make"),
    ] {
        for command in ["check", "run"] {
            let outcome = place.perrin(&[command, file, "--set", &set]).expect(2).says(&[said, "help: "]);
            assert!(outcome.stderr.contains("--> "), "{}", outcome.story());
        }
    }
    let ladder = format!(
        "{DIFFUSION}[[claims]]\nconvergence = {{ observable = \"x\", of = \"em\", to = \"exact\", over = \"dt\", values = [0.4, 0.2, 0.1], \
         at = 1e17, order = 1, kind = \"weak\" }}\n"
    );
    place.write("ladder.toml", &ladder);
    place.perrin(&["check", "ladder.toml"]).expect(2).says(&["would make", "ladder.toml:12:"]);
}

#[test]
fn a_run_of_more_than_an_hour_is_told_of() {
    let place = Workplace::with(HARMONIC);
    let long = |set: &str| {
        place
            .perrin(&["check", "study.toml", "--set", set])
            .expect(0)
            .shows(&["warning: this run takes", "estimate)"]);
        let cost =
            place.perrin(&["check", "study.toml", "--json", "--set", set]).expect(0).json()["cost"].clone();
        assert!(cost["seconds"].as_f64().unwrap() > 3600.0, "{cost}");
    };
    long("run.steps=1e14");
    long("training.batch=100000000000");
    long("dynamics.sgd={ langevin = { substeps = 4000000000 } }");
    let short = place.perrin(&["check", "study.toml", "--json"]).expect(0).json();
    let cost = &short["cost"];
    assert!(cost["seconds"].as_f64().unwrap() < 3600.0 && cost["seconds"].as_f64().unwrap() > 0.0, "{cost}");
    assert_eq!(cost["seconds_at_least"], false);
    assert!(short["dynamics"]["sgd"]["seconds"].is_number());
    assert!(!short["warnings"].to_string().contains("this run takes"));
}

#[test]
fn seeds_up_to_the_largest() {
    let place = Workplace::with(HARMONIC);
    let digest = |set: &str, seed: u64| {
        let document = place
            .perrin(&["run", "study.toml", "-o", "a.h5", "--force", "--json", "--set", set])
            .expect(0)
            .json();
        assert_eq!(document["seed"].as_u64(), Some(seed));
        let stored = place.perrin(&["inspect", "a.h5", "--json"]).expect(0).json();
        assert_eq!(stored["seed"].as_u64(), Some(seed));
        // The file's study, resolved, gives the same run.
        place.write("again.toml", stored["study_resolved"].as_str().unwrap());
        let again = place.perrin(&["run", "again.toml", "-o", "b.h5", "--force", "--json"]).expect(0).json();
        assert_eq!(again["digest"], document["digest"]);
        document["digest"].as_str().unwrap().to_owned()
    };
    let largest = digest("run.seed=18446744073709551615", u64::MAX);
    assert_eq!(digest("run.seed=\"0xffff_ffff_ffff_ffff\"", u64::MAX), largest);
    assert_ne!(digest("run.seed=9223372036854775807", i64::MAX as u64), largest);
    assert_eq!(digest("run.seed=\"7\"", 7), digest("run.seed=7", 7));
    for wrong in
        ["run.seed=18446744073709551616", "run.seed=-1", "run.seed=\"0xg\"", "run.seed=1.5", "run.seed=\"\""]
    {
        place.perrin(&["check", "study.toml", "--set", wrong]).expect(2).says(&["seed"]);
    }
    place.write("study.toml", &HARMONIC.replace("seed = 1", "seed = 18446744073709551615"));
    place.perrin(&["check", "study.toml"]).expect(2).says(&["a seed beyond is text"]);
    place.write("study.toml", &HARMONIC.replace("seed = 1", "seed = \"18446744073709551615\""));
    place.perrin(&["check", "study.toml"]).expect(0).shows(&["seed 18446744073709551615"]);
}

/// One text of many.
fn all(of: std::ops::Range<usize>, one: impl Fn(usize) -> String) -> String {
    of.map(one).collect::<Vec<_>>().concat()
}

#[test]
fn long_studies_are_read_in_a_time_that_grows_with_their_length() {
    // Twenty thousand of each: were the time to grow with the square, none would be done within minutes.
    const MANY: usize = 20_000;
    let chain = all(1..MANY, |i| format!("c{i} = \"c{} + 1\"\n", i - 1));
    let lines = all(1..MANY, |i| format!("h{i} = h{}*0.5 + x\n", i - 1));
    let claims = all(0..MANY, |i| {
        format!("[[claims]]\nequals = {{ observable = \"w^2 + {}\", value = \"0\" }}\n", i % 2000)
    });
    let data = all(0..MANY / 8, |i| format!("x{i} = \"normal(0, 1)\"\n"));
    let unknown = all(0..MANY, |i| format!("unknown{i} = 1\n"));
    let place = Workplace::new();
    for (study, code) in [
        (format!("[constants]\nc0 = 1.0\n{chain}{HARMONIC}").replace("title = \"Harmonic\"\n", ""), 0),
        (HARMONIC.replace("\"0.5*(w - x)^2\"", &format!("'''\nh0 = w\n{lines}h{}^2'''", MANY - 1)), 0),
        (format!("{HARMONIC}{claims}"), 0),
        (HARMONIC.replace("[data]\n", &format!("[data]\n{data}")), 0),
        (HARMONIC.replace("batch = 1\n", &format!("batch = 1\n{unknown}")), 2),
    ] {
        place.write("study.toml", &study);
        let outcome = place.perrin(&["check", "study.toml"]).expect(code);
        assert!(outcome.stderr.len() < 100_000, "{} bytes of errors", outcome.stderr.len());
    }
}

#[test]
fn a_message_is_bounded_whatever_is_written() {
    let long = "k".repeat(1_000_000);
    let place = Workplace::with(HARMONIC);
    for (from, to) in [
        ("batch = 1", format!("batch = 1\n{long} = 1")),
        ("w = 0.0", format!("w = \"{long}\"")),
        ("sgd = \"sgd\"", format!("sgd = \"{long}\"")),
        ("observable = \"w\"", format!("observable = \"{long}\"")),
        ("(w - x)", format!("(w - {long})")),
    ] {
        place.write("study.toml", &HARMONIC.replace(from, &to));
        for arguments in [&["check", "study.toml"][..], &["check", "study.toml", "--json"]] {
            let outcome = place.perrin(arguments).expect(2);
            assert!(outcome.stdout.len() + outcome.stderr.len() < 20_000, "{} bytes", outcome.stderr.len());
        }
    }
}

#[test]
fn a_file_is_never_larger_than_was_said() {
    let place = Workplace::with(HARMONIC);
    place.write("sde.toml", DIFFUSION);
    let deep = study(
        "W = { shape = [4, 4], init = \"normal(0, 1)\" }\nu = { shape = [4], init = 0.5 }",
        "x = { shape = [4], law = \"normal(0, 1)\" }",
        "norm2(W @ x - u)",
    );
    place.write("deep.toml", &deep);
    for file in ["study.toml", "sde.toml", "deep.toml"] {
        for replicas in ["8", "100", "1000"] {
            for paths in ["0", "8"] {
                let replicas = format!("run.replicas={replicas}");
                let paths = format!("run.trajectories={paths}");
                let settings = ["--set", &replicas, "--set", &paths];
                let said =
                    place.perrin(&[&["check", file, "--json"], &settings[..]].concat()).expect(0).json();
                let bound = said["cost"]["file_bytes"].as_u64().unwrap();
                let run =
                    place.perrin(&[&["run", file, "-q", "-o", "out.h5", "--force"], &settings[..]].concat());
                assert!(run.code <= 1, "{}", run.story());
                let size = std::fs::metadata(place.path("out.h5")).unwrap().len();
                assert!(size <= bound, "{file} {settings:?}: {size} of {bound}");
            }
        }
    }
}
