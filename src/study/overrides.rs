//! `--set K=V` and `[quick]`: values put into the tree before it is checked, with places where they were written.

use super::Diagnostic;
use super::diagnostics::cut;
use super::source::{Sources, Span, Spanned};
use super::tree::{self, Node, Table, Value};

/// Applies `K=V`, which becomes a source of its own. K is a dotted path (`training.rate`, `claims.0.expect`), V a TOML value;
/// what is no TOML value, such as a bare word, is text.
pub fn apply(sources: &mut Sources, root: &mut Table, text: &str) -> Result<(), Diagnostic> {
    let index = sources.push(format!("--set {}", cut(text, 160)), text);
    let sources = &*sources;
    let all = Span::new(index, 0..text.len());
    let form = "write --set section.key=value, as in --set run.replicas=100";
    let Some(equals) = text.find('=') else {
        return Err(sources.diagnostic(all, "an override needs `=`", form));
    };
    let path = path(text, equals, index)
        .ok_or_else(|| sources.diagnostic(Span::new(index, 0..equals), "this is not a path of keys", form))?;
    let value_start = equals + 1 + text[equals + 1..].len() - text[equals + 1..].trim_start().len();
    let value = text[value_start..].trim_end();
    let node = match tree::parse_value(sources, index, value_start) {
        Ok(node) => node,
        Err(error) if value.is_empty() || value.starts_with(['[', '{', '"', '\'']) => return Err(error),
        Err(_) => Spanned::new(
            Value::String(value.to_owned()),
            Span::new(index, value_start..value_start + value.len()),
        ),
    };
    set(sources, root, &path, node)
}

/// Takes `[quick]` out of the tree: values that stand in place of the study's own where it is run in short, by the
/// paths of an override.
pub fn take_quick(root: &mut Table) -> Option<Node> {
    let at = root.entries.iter().position(|(key, _)| key.value == "quick")?;
    Some(root.entries.remove(at).1)
}

/// Applies what `[quick]` says.
pub fn apply_quick(sources: &Sources, root: &mut Table, quick: &Table) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    leaves(quick, &mut Vec::new(), &mut |path, node| {
        errors.extend(set(sources, root, path, node.clone()).err());
    });
    errors
}

/// Every value that is no table, with its path.
fn leaves(table: &Table, path: &mut Vec<Spanned<String>>, each: &mut impl FnMut(&[Spanned<String>], &Node)) {
    for (key, node) in &table.entries {
        path.push(key.clone());
        match &node.value {
            Value::Table(inner) if !inner.entries.is_empty() => leaves(inner, path, each),
            _ => each(path, node),
        }
        path.pop();
    }
}

/// The keys of a path, quoted or bare, with their places.
fn path(text: &str, end: usize, source: usize) -> Option<Vec<Spanned<String>>> {
    if text[..end].contains(['\n', '#']) {
        return None;
    }
    let line = format!("{}=0", &text[..end]);
    let parsed = toml::de::DeTable::parse(&line).ok()?;
    let mut keys = Vec::new();
    let mut table = parsed.get_ref();
    loop {
        let (key, value) = table.iter().next()?;
        keys.push(Spanned::new(key.get_ref().clone().into_owned(), Span::new(source, key.span())));
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => table = inner,
            _ => return Some(keys),
        }
    }
}

fn set(sources: &Sources, table: &mut Table, path: &[Spanned<String>], node: Node) -> Result<(), Diagnostic> {
    let [key, rest @ ..] = path else { return Ok(()) };
    if rest.is_empty() {
        table.set(key.clone(), node);
        return Ok(());
    }
    if table.get(&key.value).is_none() {
        table.set(key.clone(), Spanned::new(Value::Table(Table::default()), key.span));
    }
    match table.entries.iter_mut().find(|(k, _)| k.value == key.value) {
        Some((_, inner)) => descend(sources, inner, key, rest, node),
        None => Ok(()),
    }
}

fn descend(
    sources: &Sources,
    inner: &mut Node,
    key: &Spanned<String>,
    rest: &[Spanned<String>],
    node: Node,
) -> Result<(), Diagnostic> {
    // A bare law (`sde = "langevin"`) has room for settings.
    if matches!(&inner.value, Value::String(bare) if *bare == rest[0].value && rest.len() > 1) {
        inner.value = Value::Table(Table::default());
    }
    let found = inner.value.found();
    match &mut inner.value {
        Value::Table(table) => set(sources, table, rest, node),
        Value::Array(list) => {
            let count = list.len();
            let at = rest[0].value.parse::<usize>().ok().and_then(|i| list.get_mut(i));
            match (at, &rest[1..]) {
                (Some(element), []) => {
                    *element = node;
                    Ok(())
                }
                (Some(element), deeper) => descend(sources, element, &rest[0], deeper, node),
                (None, _) => Err(sources.diagnostic(
                    rest[0].span,
                    format!("`{}` has no element `{}`", key.value, rest[0].value),
                    if count == 0 {
                        "the list is empty".to_owned()
                    } else {
                        format!("its elements are counted from 0 to {}", count - 1)
                    },
                )),
            }
        }
        _ => Err(sources.diagnostic(
            rest[0].span,
            format!("`{}` is {found} and has no key `{}`", key.value, rest[0].value),
            format!("set `{}` as a whole, for example --set {}={{ … }}", key.value, key.value),
        )),
    }
}
