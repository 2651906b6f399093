//! The order of the modules: every arrow between layers points down.
//!
//! Reads `src/` and finds each path that leaves its layer: `crate::layer`, grouped imports (`use crate::{…}`), and
//! `super::` that climbs out. A path to a layer that is not strictly lower than its own is an error, named by file and
//! line. Comments and string literals do not count; code of tests does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top down; a layer sees only those after it.
const ORDER: [&str; 11] =
    ["cli", "report", "law", "store", "ensemble", "study", "dynamics", "scheme", "model", "stats", "lanes"];

/// One climbing path.
#[derive(Debug, PartialEq)]
struct Violation {
    file: String,
    line: usize,
    layer: String,
    reaches: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}` must not see `{}`", self.file, self.line, self.layer, self.reaches)
    }
}

fn rank(layer: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == layer)
}

/// A path to `target` (a name below the crate's root) from a file of `layer` is allowed.
fn allowed(layer: &str, target: &str) -> bool {
    match (rank(layer), rank(target)) {
        (Some(from), Some(to)) => to >= from,
        _ => false,
    }
}

/// What the scan needs of Rust's tokens.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(char),
    /// `::`
    Path,
}

/// Tokens with their lines; comments, strings, characters and lifetimes are left out.
fn tokens(source: &str) -> Vec<(usize, Token)> {
    let text: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < text.len() {
        let start = i;
        let c = text[i];
        let next = text.get(i + 1).copied().unwrap_or('\0');
        if c == '/' && next == '/' {
            while i < text.len() && text[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && next == '*' {
            i = end_of_comment(&text, i);
        } else if let Some(end) = end_of_raw_string(&text, i) {
            i = end;
        } else if c == '"' {
            i = end_of_string(&text, i);
        } else if c == '\'' {
            i = end_of_character_or_lifetime(&text, i);
        } else if c.is_alphanumeric() || c == '_' {
            while i < text.len() && (text[i].is_alphanumeric() || text[i] == '_') {
                i += 1;
            }
            found.push((line, Token::Word(text[start..i].iter().collect())));
        } else if c == ':' && next == ':' {
            found.push((line, Token::Path));
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push((line, Token::Sign(c)));
            }
            i += 1;
        }
        line += text[start..i].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_comment(text: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i < text.len() {
        match (text[i], text.get(i + 1)) {
            ('/', Some('*')) => (i, depth) = (i + 2, depth + 1),
            ('*', Some('/')) => {
                (i, depth) = (i + 2, depth - 1);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn end_of_raw_string(text: &[char], start: usize) -> Option<usize> {
    if start > 0 && (text[start - 1].is_alphanumeric() || text[start - 1] == '_') {
        return None;
    }
    let mut i = start;
    if text.get(i) == Some(&'b') {
        i += 1;
    }
    if text.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = text[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if text.get(i) != Some(&'"') {
        return None;
    }
    i += 1;
    while i < text.len() {
        if text[i] == '"' && text[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(i)
}

fn end_of_string(text: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(text.len())
}

fn end_of_character_or_lifetime(text: &[char], start: usize) -> usize {
    let mut i = start + 1;
    if text.get(i) == Some(&'\\') {
        i += 2;
        while i < text.len() && text[i] != '\'' {
            i += 1;
        }
        return (i + 1).min(text.len());
    }
    if text.get(i + 1) == Some(&'\'') {
        return i + 2;
    }
    while i < text.len() && (text[i].is_alphanumeric() || text[i] == '_') {
        i += 1;
    }
    i
}

/// Every path of the tree of paths that starts at `at`, with its line; `{…}` is multiplied out.
fn paths(tokens: &[(usize, Token)], at: &mut usize, prefix: &[String], out: &mut Vec<(usize, Vec<String>)>) {
    let mut path = prefix.to_vec();
    let line = tokens.get(*at).map_or(0, |t| t.0);
    loop {
        match tokens.get(*at).map(|t| &t.1) {
            Some(Token::Word(word)) => {
                path.push(word.clone());
                *at += 1;
            }
            Some(Token::Sign('*')) => {
                path.push("*".into());
                *at += 1;
                break;
            }
            Some(Token::Sign('{')) => {
                *at += 1;
                while *at < tokens.len() && tokens[*at].1 != Token::Sign('}') {
                    let before = *at;
                    paths(tokens, at, &path, out);
                    // Skips `as name` and commas, and whatever is no path at all.
                    while *at < tokens.len()
                        && (*at == before || !matches!(tokens[*at].1, Token::Sign(',' | '}')))
                    {
                        *at += 1;
                    }
                    if tokens.get(*at).is_some_and(|t| t.1 == Token::Sign(',')) {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            _ => break,
        }
        if tokens.get(*at).is_some_and(|t| t.1 == Token::Path) {
            *at += 1;
        } else {
            break;
        }
    }
    out.push((line, path));
}

/// The name below the crate's root that a path reaches from module `here`, if it leaves `here`'s first component that way.
fn reaches(path: &[String], here: &[String]) -> Option<String> {
    let mut place = here.to_vec();
    let mut rest = path;
    let mut rooted = false;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "crate" => place.clear(),
            "super" => {
                place.pop();
            }
            "self" => {}
            _ => break,
        }
        rooted |= place.is_empty();
        rest = &rest[1..];
    }
    if !rooted {
        return None;
    }
    Some(rest.first().cloned().unwrap_or_else(|| "the crate's root".into()))
}

/// All climbing paths of one file.
fn scan(file: &str, module: &[&str], source: &str) -> Vec<Violation> {
    let tokens = tokens(source);
    let mut here: Vec<String> = module.iter().map(|m| (*m).to_owned()).collect();
    let mut inner: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let word = |at: usize| match tokens.get(at).map(|t| &t.1) {
            Some(Token::Word(word)) => Some(word.as_str()),
            _ => None,
        };
        match (&tokens[i].1, tokens.get(i + 1).map(|t| &t.1)) {
            (Token::Word(keyword), Some(Token::Word(name)))
                if keyword == "mod" && tokens.get(i + 2).is_some_and(|t| t.1 == Token::Sign('{')) =>
            {
                here.push(name.clone());
                inner.push(depth);
                depth += 1;
                i += 3;
                continue;
            }
            (Token::Sign('{'), _) => depth += 1,
            (Token::Sign('}'), _) => {
                depth = depth.saturating_sub(1);
                if inner.last() == Some(&depth) {
                    inner.pop();
                    here.pop();
                }
            }
            (Token::Word(first), following) if matches!(first.as_str(), "crate" | "super" | "self") => {
                let starts = i == 0 || tokens[i - 1].1 != Token::Path;
                let renamed = first == "crate" && i > 0 && word(i - 1) == Some("use");
                if starts && (following == Some(&Token::Path) || renamed) {
                    let mut all = Vec::new();
                    paths(&tokens, &mut i, &[], &mut all);
                    for (line, path) in all {
                        if let Some(target) = reaches(&path, &here)
                            && !allowed(module[0], &target)
                        {
                            let (file, layer) = (file.to_owned(), module[0].to_owned());
                            let violation = Violation { file, line, layer, reaches: target };
                            if !found.contains(&violation) {
                                found.push(violation);
                            }
                        }
                    }
                    continue;
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// `src/law/verdict.rs` → `[law, verdict]`, `src/law/mod.rs` → `[law]`.
fn module_of(relative: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

#[test]
fn every_arrow_between_layers_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut seen = std::collections::BTreeSet::new();
    let mut violations = Vec::new();
    for path in &files {
        let relative = path.strip_prefix(&root).unwrap();
        let module = module_of(relative);
        if module.len() == 1 && (module[0] == "lib" || module[0] == "main") {
            continue; // the crate's front page and the program see everything
        }
        assert!(rank(&module[0]).is_some(), "{} belongs to no layer of {ORDER:?}", path.display());
        seen.insert(module[0].clone());
        let names: Vec<&str> = module.iter().map(String::as_str).collect();
        let shown = format!("src/{}", relative.display());
        violations.extend(scan(&shown, &names, &fs::read_to_string(path).unwrap()));
    }
    assert_eq!(seen.len(), ORDER.len(), "layers without a file: seen {seen:?}");
    let shown: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "paths that climb:\n{}", shown.join("\n"));
}

/// What the scan says of `source` in a module: `line:target` each.
fn climbs(module: &[&str], source: &str) -> Vec<String> {
    scan("x.rs", module, source).iter().map(|v| format!("{}:{}", v.line, v.reaches)).collect()
}

#[test]
fn wrong_lines_are_caught() {
    let wrong: [(&[&str], &str, &[&str]); 17] = [
        (&["store"], "use crate::law::judge;", &["1:law"]),
        (&["store", "writer"], "\nfn f() { crate::report::show(); }", &["2:report"]),
        (&["lanes"], "use crate::{stats::moments, lanes};", &["1:stats"]),
        (&["model"], "use crate::{\n  lanes::Lane,\n  study::{Study, Run},\n};", &["3:study"]),
        (&["model", "formula"], "use super::super::study::Study;", &["1:study"]),
        (&["model"], "use super::ensemble;", &["1:ensemble"]),
        (&["model"], "use super::{lanes::Lane, dynamics as d};", &["1:dynamics"]),
        (&["model", "formula"], "use super::{super::{dynamics::Law}};", &["1:dynamics"]),
        (&["model"], "mod tests {\n use super::super::store::read;\n}", &["2:store"]),
        (&["model"], "mod a { mod b { fn f() {} }\n use super::super::cli::main; }", &["2:cli"]),
        (&["stats"], "use self::super::model::Model;", &["1:model"]),
        (&["stats"], "use crate::*;", &["1:*"]),
        (&["stats"], "use super::*;", &["1:*"]),
        (&["stats"], "use crate as root;", &["1:the crate's root"]),
        (&["stats"], "use crate::{self as root};", &["1:the crate's root"]),
        (&["scheme"], "macro_rules! m { () => { $crate::cli::main() } }", &["1:cli"]),
        (&["study"], "fn f(x: &'static str, c: char) { if c == '\"' { crate::law::g() } }", &["1:law"]),
    ];
    for (module, source, expected) in wrong {
        assert_eq!(climbs(module, source), expected, "in {module:?}: {source}");
    }
}

#[test]
fn a_name_that_is_no_layer_is_caught() {
    assert_eq!(climbs(&["law"], "use crate::load;"), ["1:load"]);
}

#[test]
fn right_lines_are_let_through() {
    let right: [(&[&str], &str); 10] = [
        (&["cli"], "use crate::{report, law::judge, lanes};"),
        (&["law", "einstein"], "use super::verdict::Test; use crate::law::Kind; pub(crate) fn f() {}"),
        (&["model"], "mod tests { use super::*; }"),
        (
            &["model", "formula", "tape"],
            "use super::super::layout::Layout; use super::{graph, super::Model};",
        ),
        (
            &["model"],
            "// use crate::law::judge;\n/* crate::cli /* nested */ crate::law */ use crate::lanes::Lane;",
        ),
        (&["model"], "/// [`crate::law::judge`]\nfn f() {}"),
        (
            &["model"],
            "const S: &str = \"crate::law::judge \\\" crate::law\"; const R: &str = r#\"crate::law\"#;",
        ),
        (&["model"], "fn f<'a>(x: &'a str) -> char { '\\'' }"),
        (&["model"], "pub(in crate::model) fn f(&self) { self.x; Self::y() }"),
        (&["study"], "use crate::dynamics::{self, Law};"),
    ];
    for (module, source) in right {
        assert_eq!(climbs(module, source), [""; 0], "in {module:?}: {source}");
    }
}
