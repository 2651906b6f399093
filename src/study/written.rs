//! Trees written as TOML: the resolved study, with every default.

use super::clock::Record;
use super::resolved::{
    At, ClaimLaw, Dynamics, Equation, PrecisionMean, Relation, Statistic, Study, System, Tolerance,
};
use super::source::{Span, Spanned};
use super::spec::Spec;
use super::tree::{Node, Table, Value};
use crate::dynamics::{Convention, Decay, Law, Sampling, Schedule, Training};

/// The study with every default written out; parsed again it gives the same study.
pub fn resolved(spec: &Spec, study: &Study, record: &Record, record_parameters: bool) -> String {
    let mut tree = spec.tree.clone();
    set(&mut tree, "title", text(&study.title));
    if let Some(Value::Table(training)) = value_of(&mut tree, "training")
        && let Some(shared) = shared_training(spec)
    {
        fill(training, &shared);
    }
    if let System::Sde(sde) = &study.system
        && let Some(Value::Table(table)) = value_of(&mut tree, "sde")
    {
        set(table, "interpretation", text(if sde.stratonovich() { "stratonovich" } else { "ito" }));
    }
    if let Some(Value::Table(dynamics)) = value_of(&mut tree, "dynamics") {
        for one in &study.dynamics {
            set(dynamics, &one.name, motion(one));
        }
    }
    if let Some(Value::Table(run)) = value_of(&mut tree, "run") {
        let r = &study.run;
        set(run, "replicas", whole(r.replicas as u64));
        set(
            run,
            "seed",
            i64::try_from(r.seed).map_or_else(|_| node(Value::String(r.seed.to_string())), |_| whole(r.seed)),
        );
        set(run, "record", recorded(record));
        set(run, "burn_in", float(r.burn_in));
        set(run, "trajectories", whole(r.trajectories as u64));
        set(run, "significance", float(r.significance));
        set(run, "resolution", float(r.resolution));
        if let (Some(precision), Some(Value::Table(table))) = (&r.precision, value_of(run, "precision")) {
            let at = if precision.of == PrecisionMean::End { "end" } else { "stationary" };
            set(table, "at", text(at));
            set(table, "most", whole(precision.most as u64));
        }
        set(run, "record_parameters", node(Value::Boolean(record_parameters)));
    }
    if let Some(Value::Array(claims)) = value_of(&mut tree, "claims") {
        for (element, claim) in claims.iter_mut().zip(&study.claims) {
            let Value::Table(table) = &mut element.value else { continue };
            let names: Vec<Node> = claim.dynamics.iter().map(|&i| text(&study.dynamics[i].name)).collect();
            if let Some((_, Node { value: Value::Table(law), .. })) = table
                .entries
                .iter_mut()
                .find(|(k, _)| !["expect", "significance"].contains(&k.value.as_str()))
            {
                claim_defaults(law, &claim.law);
                if !matches!(claim.law, ClaimLaw::Convergence(_) | ClaimLaw::Equilibrium { .. }) {
                    set(law, "dynamics", node(Value::Array(names)));
                }
            }
            set(table, "expect", text(if claim.expect_holds { "holds" } else { "fails" }));
            set(table, "significance", float(claim.significance));
        }
    }
    document(&tree)
}

fn shared_training(spec: &Spec) -> Option<Vec<(&'static str, Node)>> {
    let written = &spec.training.as_ref()?.value;
    let mut list = vec![
        ("batch", whole(written.batch.value().copied().unwrap_or(1))),
        ("sampling", text(written.sampling.value().copied().unwrap_or("with-replacement"))),
        ("drop_last", node(Value::Boolean(written.drop_last.value().copied().unwrap_or(false)))),
    ];
    if written.momentum.is_absent() {
        list.insert(1, ("momentum", float(0.0)));
    }
    if written.weight_decay.is_absent() && written.penalty.is_absent() {
        list.push(("weight_decay", float(0.0)));
    }
    Some(list)
}

/// Settings of a law, all of them.
fn motion(dynamics: &Dynamics) -> Node {
    let mut settings = Table::default();
    if let Some(training) = &dynamics.training {
        of_training(&mut settings, training, &dynamics.law);
    }
    match &dynamics.law {
        Law::GradientFlow { tolerance } => set(&mut settings, "tolerance", float(*tolerance)),
        Law::Langevin { order, substeps, method } => {
            set(&mut settings, "order", whole(u64::from(*order)));
            set(&mut settings, "scheme", text(method.scheme.name()));
            set(&mut settings, "substeps", whole(u64::from(*substeps)));
            set(&mut settings, "increments", text(method.increments.name()));
        }
        Law::Svag { level } => set(&mut settings, "level", whole(u64::from(*level))),
        Law::Underdamped { friction, substeps } => {
            set(&mut settings, "friction", float(*friction));
            set(&mut settings, "substeps", whole(u64::from(*substeps)));
        }
        Law::Integrated { dt, method } => {
            set(&mut settings, "dt", float(*dt));
            set(&mut settings, "increments", text(method.increments.name()));
        }
        _ => {}
    }
    let mut outer = Table::default();
    set(&mut outer, dynamics.law.name(), node(Value::Table(settings)));
    node(Value::Table(outer))
}

fn of_training(table: &mut Table, training: &Training, law: &Law) {
    set(table, "rate", rate(&training.rate));
    set(table, "batch", whole(training.batch as u64));
    match (training.decay, &training.course.decay) {
        (Decay::Penalty(_), Some(forces)) => set(table, "penalty", rate(&forces.times(0.5))),
        (_, Some(forces)) => set(table, "weight_decay", rate(forces)),
        (Decay::None, None) => set(table, "weight_decay", float(0.0)),
        (Decay::Force(lambda), None) => set(table, "weight_decay", float(lambda)),
        (Decay::Penalty(gamma), None) => set(table, "penalty", float(gamma)),
    }
    if law.takes_momentum() {
        set(table, "momentum", momentum(training));
    }
    let (sampling, drop_last) = match training.sampling {
        Sampling::WithReplacement => ("with-replacement", false),
        Sampling::WithoutReplacement { drop_last } => ("without-replacement", drop_last),
    };
    set(table, "sampling", text(sampling));
    set(table, "drop_last", node(Value::Boolean(drop_last)));
}

fn momentum(training: &Training) -> Node {
    let beta = training.course.momentum.as_ref().map_or_else(|| float(training.momentum), rate);
    match training.course.convention {
        Convention::Sutskever => beta,
        Convention::PyTorch { dampening, nesterov } => {
            let mut table = Table::default();
            set(&mut table, "beta", beta);
            set(&mut table, "convention", text("pytorch"));
            set(&mut table, "dampening", float(dampening));
            set(&mut table, "nesterov", node(Value::Boolean(nesterov)));
            node(Value::Table(table))
        }
    }
}

fn rate(schedule: &Schedule) -> Node {
    match schedule.pieces[..] {
        [(0, rate)] => float(rate),
        _ => node(Value::Array(
            schedule
                .pieces
                .iter()
                .map(|&(step, rate)| node(Value::Array(vec![whole(step), float(rate)])))
                .collect(),
        )),
    }
}

fn recorded(record: &Record) -> Node {
    let mut table = Table::default();
    match record {
        Record::Count(n) => return whole(*n),
        Record::Every(every) => set(&mut table, "every", float(*every)),
        Record::Log(n) => set(&mut table, "log", whole(*n)),
        Record::At(times) => return node(Value::Array(times.iter().map(|t| float(*t)).collect())),
    }
    node(Value::Table(table))
}

fn claim_defaults(law: &mut Table, claim: &ClaimLaw) {
    match claim {
        ClaimLaw::Equals { statistic, at, tolerance, .. } => {
            set(law, "statistic", text(statistic_name(*statistic)));
            set(
                law,
                "at",
                match at {
                    At::Stationary => text("stationary"),
                    At::End => text("end"),
                    At::Start => text("start"),
                    At::Time(t) => float(*t),
                },
            );
            set_tolerance(law, *tolerance);
        }
        ClaimLaw::FixedPoint { tolerance, value, .. } => {
            if let Some(value) = value {
                set(law, "at", text(if value.at_end { "end" } else { "start" }));
            }
            set(law, "tolerance", float(*tolerance));
        }
        ClaimLaw::Diverges => {}
        ClaimLaw::Conserved { tolerance, .. } => {
            set(law, "tolerance", float(*tolerance));
        }
        ClaimLaw::StationaryDensity { reading, tail, tolerance, .. } => {
            set(law, "interpretation", text(word_of(&super::spec::READINGS, *reading)));
            if let Some(tail) = tail {
                set(law, "tail", text(word_of(&super::spec::TAILS, *tail)));
            }
            if let Some(tolerance) = tolerance {
                set(law, "tolerance", float(*tolerance));
            }
        }
        ClaimLaw::Equilibrium { same, tolerance, .. } => {
            set(law, "same", node(Value::Boolean(*same)));
            if let Some(tolerance) = tolerance {
                set(law, "tolerance", float(*tolerance));
            }
        }
        ClaimLaw::Fdt { relation, moment, tolerance } => {
            set(law, "relation", whole(if *relation == Relation::First { 1 } else { 2 }));
            set(law, "moment", text(word_of(&super::spec::MOMENTS, *moment)));
            if let Some(tolerance) = tolerance {
                set(law, "tolerance", float(*tolerance));
            }
        }
        ClaimLaw::NoetherFlow { noise, decay, tolerance, .. } => {
            set(law, "noise", float(*noise));
            set(law, "decay", float(*decay));
            if let Some(tolerance) = tolerance {
                set(law, "tolerance", float(*tolerance));
            }
        }
        ClaimLaw::DecayRate { from, to, tolerance, .. } => {
            set(law, "from", float(*from));
            set(law, "to", float(*to));
            set_tolerance(law, *tolerance);
        }
        ClaimLaw::Convergence(ladder) => {
            set(law, "at", float(ladder.time));
            set(law, "kind", text(if ladder.strong { "strong" } else { "weak" }));
            set(law, "tolerance", float(ladder.tolerance));
        }
        ClaimLaw::Einstein { equation, tolerance } => {
            set(law, "equation", text(equation_name(*equation)));
            if let Some(tolerance) = tolerance {
                set(law, "tolerance", float(*tolerance));
            }
        }
    }
}

fn set_tolerance(law: &mut Table, tolerance: Tolerance) {
    match tolerance {
        Tolerance::Exact => {}
        Tolerance::Relative(x) => set(law, "tolerance", float(x)),
        Tolerance::Absolute(x) => set(law, "absolute_tolerance", float(x)),
    }
}

/// Its name in the study file.
pub fn statistic_name(statistic: Statistic) -> &'static str {
    super::spec::STATISTICS.iter().find(|(_, s)| *s == statistic).map_or("mean", |(n, _)| n)
}

fn equation_name(equation: Equation) -> &'static str {
    super::spec::EQUATIONS.iter().find(|(_, e)| *e == equation).map_or("own", |(n, _)| n)
}

/// The word of a value; every value has one.
fn word_of<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, v)| *v == value).map_or("own", |(word, _)| word)
}

fn node(value: Value) -> Node {
    Spanned::new(value, Span::default())
}

fn text(text: &str) -> Node {
    node(Value::String(text.to_owned()))
}

fn float(x: f64) -> Node {
    node(Value::Float(x))
}

fn whole(n: u64) -> Node {
    node(Value::Integer(i64::try_from(n).unwrap_or(i64::MAX)))
}

fn set(table: &mut Table, key: &str, value: Node) {
    table.set(Spanned::new(key.to_owned(), Span::default()), value);
}

fn fill(table: &mut Table, defaults: &[(&'static str, Node)]) {
    for (key, value) in defaults {
        if table.get(key).is_none() {
            set(table, key, value.clone());
        }
    }
}

fn value_of<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Value> {
    table.entries.iter_mut().find(|(k, _)| k.value == key).map(|(_, n)| &mut n.value)
}

/// A whole document: plain values, then a section a table, then arrays of tables.
pub fn document(root: &Table) -> String {
    let mut out = String::new();
    for (name, node) in &root.entries {
        if !matches!(node.value, Value::Table(_)) && !is_tables(&node.value) {
            out.push_str(&format!("{} = {}\n", key(&name.value), inline(&node.value)));
        }
    }
    for (name, node) in &root.entries {
        if let Value::Table(table) = &node.value {
            section(&mut out, &format!("[{}]", key(&name.value)), table);
        }
    }
    for (name, node) in &root.entries {
        if let Value::Array(list) = &node.value
            && is_tables(&node.value)
        {
            for element in list {
                if let Value::Table(table) = &element.value {
                    section(&mut out, &format!("[[{}]]", key(&name.value)), table);
                }
            }
        }
    }
    out
}

fn is_tables(value: &Value) -> bool {
    matches!(value, Value::Array(list) if !list.is_empty() && list.iter().all(|e| matches!(e.value, Value::Table(_))))
}

fn section(out: &mut String, header: &str, table: &Table) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(header);
    out.push('\n');
    for (name, node) in &table.entries {
        out.push_str(&format!("{} = {}\n", key(&name.value), inline(&node.value)));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) if x.is_nan() => "nan".to_owned(),
        Value::Float(x) => format!("{x:?}"),
        Value::Boolean(b) => b.to_string(),
        Value::Datetime(d) => d.clone(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(|n| inline(&n.value)).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) if table.entries.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entries: Vec<String> = table
                .entries
                .iter()
                .map(|(name, node)| format!("{} = {}", key(&name.value), inline(&node.value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { basic(name) }
}

/// Text of several lines as it is, other text on one line.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
    if text.contains('\n') && plain && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''\n{text}'''");
    }
    basic(text)
}

fn basic(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
