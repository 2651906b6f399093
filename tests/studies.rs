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
