//! What a study would run and what that would cost: `perrin check`.

use serde_json::{Map, Value, json};

use super::json::FORMAT;
use super::noise;
use super::number::{bytes, count, duration, plain};
use super::style::{Cell, Grid, Style, Tone};
use super::table::{parameters, title};
use super::words::describe;
use crate::dynamics::Law;
use crate::ensemble::{Expected, Trial};
use crate::lanes::memory;
use crate::law;
use crate::model::Origin;
use crate::study::{
    At, Claim, ClaimLaw, DensityReading, Dynamics, Equation, Moment, Relation, Study, System, Tail,
    Tolerance, Varied,
};

/// Numbers kept of one component of an observable: moments at an instant, averages and ends of a replica.
const MOMENTS: u64 = 7;
const A_REPLICA: u64 = 8;
/// Numbers written to the file of the same.
const STORED_MOMENTS: u64 = 10;

/// A look ahead at a run. Observables are the study's and those that its claims ask for.
#[derive(Clone, Copy)]
pub struct Outlook<'a> {
    study: &'a Study,
    dynamics: &'a [Dynamics],
    trial: Option<(&'a Trial, usize)>,
}

/// What one law of motion costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// Iterations.
    steps: u64,
    /// Iterations × replicas, substeps counted.
    replica_steps: u64,
    /// Bytes of its record, kept until the claims are judged.
    memory: u64,
    /// Bytes written, before compression.
    file: u64,
}

impl<'a> Outlook<'a> {
    /// Looks at a study whose observables are complete.
    pub fn new(study: &'a Study) -> Self {
        Self { study, dynamics: &study.dynamics, trial: None }
    }

    /// The same with what a trial for a run on `threads` threads showed.
    #[must_use]
    pub fn with(self, trial: &'a Trial, threads: usize) -> Self {
        Self { trial: Some((trial, threads)), ..self }
    }

    /// Bytes that the run's record takes.
    pub fn record(&self) -> u64 {
        self.dynamics.iter().fold(0, |sum, d| sum.saturating_add(self.cost(d).memory))
    }

    /// Bytes that the run holds at once beside what this process holds already: its record, the blocks that move, those that wait for their turn, and
    /// what is written.
    pub fn memory(&self) -> u64 {
        let (block, threads) = self.trial.map_or((0, 1), |(trial, threads)| (trial.block(), threads));
        let waiting = self.dynamics.iter().map(|d| self.waiting(d, threads)).max().unwrap_or(0);
        self.record().saturating_add(block.saturating_mul(threads as u64)).saturating_add(waiting)
    }

    /// Bytes of the blocks that are done and wait for those before them.
    fn waiting(&self, dynamics: &Dynamics, threads: usize) -> u64 {
        const A_THREAD: u64 = 4;
        let components: u64 = self.study.observables.iter().map(|o| o.shape.len() as u64).sum();
        let blocks = self.expected(dynamics).map_or(1, |e| e.blocks as u64).max(1);
        let moments = MOMENTS
            .saturating_mul(dynamics.instants.len() as u64)
            .saturating_mul(components)
            .saturating_mul(8);
        let whole = self.cost(dynamics).memory.saturating_sub(moments) / blocks;
        moments.saturating_add(whole).saturating_mul(blocks.min(A_THREAD * threads as u64))
    }

    fn expected(&self, dynamics: &Dynamics) -> Option<&'a Expected> {
        let (trial, _) = self.trial?;
        let index = self.dynamics.iter().position(|d| std::ptr::eq(d, dynamics))?;
        trial.dynamics.get(index)
    }

    /// Seconds that the run is expected to take, if there was a trial.
    pub fn seconds(&self) -> Option<f64> {
        self.trial.map(|(trial, threads)| trial.seconds(threads))
    }

    /// `3 min on 2 threads, by a trial of 0.05 s`.
    fn time(&self) -> Option<String> {
        let (trial, threads) = self.trial?;
        let least = if trial.at_least() { "at least " } else { "about " };
        let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        Some(format!("{least}{} on {threads} (an estimate)", duration(trial.seconds(self.trial?.1))))
    }

    /// What is to be said of a run that takes long.
    pub fn long(&self) -> Option<String> {
        const HOUR: f64 = 3600.0;
        let seconds = self.seconds().filter(|s| *s > HOUR)?;
        let work = large(self.replica_steps());
        let years =
            if seconds > 3.156e7 { format!(" ({:.1} years)", seconds / 3.156e7) } else { String::new() };
        Some(format!("this run takes {}{years}: {work} replica-steps", self.time()?))
    }

    /// Replica-steps of the whole run.
    pub fn replica_steps(&self) -> u64 {
        let hidden = self.study.hidden_runs().into_iter().map(|run| &run.dynamics);
        self.dynamics.iter().chain(hidden).fold(0, |sum, d| sum.saturating_add(self.cost(d).replica_steps))
    }

    /// Bytes of this process at its largest.
    fn whole_memory(&self) -> u64 {
        memory::resident().saturating_add(self.memory())
    }

    fn file(&self) -> u64 {
        self.dynamics.iter().fold(self.file_frame(), |sum, d| sum.saturating_add(self.cost(d).file))
    }

    /// Bytes of a file beside its numbers: what a variable's names, attributes and index take, the texts, the claims. More than was ever measured
    /// (some 1500 a variable).
    fn file_frame(&self) -> u64 {
        const FRAME: u64 = 65_536;
        const A_VARIABLE: u64 = 2048;
        const A_CLAIM: u64 = 512;
        // Of an observable, and of a dynamics beside: dimensions and clocks.
        const VARIABLES: u64 = 19;
        const OTHERS: u64 = 12;
        let observables = self.study.observables.len() as u64;
        let dynamics = self.dynamics.len() as u64;
        let variables = dynamics.saturating_mul(VARIABLES * observables + OTHERS);
        let tests: u64 = self
            .study
            .claims
            .iter()
            .map(|claim| {
                let components: u64 =
                    self.study.observables.iter().map(|o| o.shape.len() as u64).max().unwrap_or(1);
                (claim.dynamics.len() as u64)
                    .saturating_mul(components.saturating_mul(components).min(10_000))
            })
            .sum();
        let texts = 2 * (self.study.text.len() + self.study.resolved.len()) as u64;
        FRAME
            .saturating_add(variables.saturating_mul(A_VARIABLE))
            .saturating_add(tests.saturating_mul(A_CLAIM))
            .saturating_add(texts)
    }

    fn cost(&self, dynamics: &Dynamics) -> Cost {
        let run = &self.study.run;
        let replicas = run.replicas as u64;
        let kept = run.trajectories.min(run.replicas) as u64;
        let instants = dynamics.instants.len() as u64;
        let components: u64 = self.study.observables.iter().map(|o| o.shape.len() as u64).sum();
        let steps = dynamics.instants.last().map_or(0, |i| i.step);
        let (substeps, evaluations) = dynamics.law.substeps();
        let substeps = u64::from(substeps) * evaluations;
        let numbers = |moments: u64, replicas: u64| {
            let ensemble = moments.saturating_mul(instants);
            let kept = kept.min(replicas);
            let replicas = A_REPLICA.saturating_mul(replicas);
            let paths = kept.saturating_mul(instants);
            ensemble
                .saturating_add(replicas)
                .saturating_add(paths)
                .saturating_mul(components)
                .saturating_mul(8)
        };
        Cost {
            steps,
            replica_steps: steps.saturating_mul(replicas).saturating_mul(substeps),
            memory: numbers(MOMENTS, replicas),
            // An ensemble that grows has its end.
            file: numbers(STORED_MOMENTS, run.precision.as_ref().map_or(replicas, |p| p.most as u64))
                .saturating_add(16 * (replicas.saturating_add(instants))),
        }
    }

    /// Rows of a finite population.
    fn size(&self) -> Option<usize> {
        match &self.study.system {
            System::Loss(loss) => loss.model.population().size(),
            System::Sde(_) => None,
        }
    }

    /// Whether rows have fresh draws beside them.
    fn mixed(&self) -> bool {
        matches!(&self.study.system, System::Loss(loss) if loss.model.population().mixed())
    }

    fn population(&self) -> Option<(Option<usize>, &'a Origin, usize)> {
        match &self.study.system {
            System::Loss(loss) => {
                let population = loss.model.population();
                Some((population.size(), &population.nodes.origin, population.nodes.len()))
            }
            System::Sde(_) => None,
        }
    }

    /// Settings that change nothing, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.study.warnings.clone();
        let momentum = shared_momentum(self.study);
        for dynamics in self.dynamics {
            // Inertia has a friction in its place.
            let other = matches!(dynamics.law, Law::Underdamped { .. });
            if momentum != 0.0 && !other && dynamics.training.as_ref().is_some_and(|t| !t.heavy()) {
                warnings.push(format!(
                    "`{}` ({}) runs without the momentum of [training], {}",
                    dynamics.name,
                    dynamics.law.name(),
                    plain(momentum, 6)
                ));
            }
        }
        let means: Vec<String> =
            self.dynamics.iter().filter(|d| d.law != Law::Sgd).map(|d| format!("`{}`", d.name)).collect();
        // The nodes need not be made where nothing follows them.
        if !means.is_empty()
            && let Some((_, Origin::Reference { size, mean, covariance }, _)) = self.population()
        {
            warnings.push(format!(
                "{} follow{} the law of a reference sample of {size}, which stands for the population (standard errors: {} % of \
                 its mean gradient, {} % of its gradient covariance)",
                means.join(", "),
                if means.len() == 1 { "s" } else { "" },
                plain(100.0 * mean, 2),
                plain(100.0 * covariance, 2)
            ));
        }
        warnings.extend(self.long());
        let instants = self.dynamics.iter().map(|d| self.window(d)).min();
        let judged = self.study.claims.iter().any(|c| stationary(&c.law));
        if let Some(instants) = instants.filter(|n| *n < 10 && judged) {
            warnings.push(format!(
                "stationary averages would run over {instants} recorded instants: raise `record` in [run]"
            ));
        }
        warnings
    }

    /// Recorded instants after burn-in.
    fn window(&self, dynamics: &Dynamics) -> usize {
        let end = dynamics.instants.last().map_or(0.0, |i| i.time);
        // As the ensemble counts: an instant that misses the end of burn-in by rounding alone is after it.
        let begin = (self.study.run.burn_in - 1e-9) * end;
        dynamics.instants.iter().filter(|i| i.time >= begin).count()
    }

    /// The outlook as a person reads it.
    pub fn text(&self, style: &Style) -> String {
        let mut lines = vec![String::new()];
        lines.extend(title(self.study, style));
        lines.push(String::new());
        let mut about = Grid::default();
        let names = parameters(self.study.layout());
        about.row([Cell::new("parameters", Tone::Dim), names.into()]);
        if let Some((size, origin, nodes)) = self.population() {
            about.row([Cell::new("population", Tone::Dim), population(size, self.mixed()).into()]);
            about.row([
                Cell::new("expectations", Tone::Dim),
                expectations(origin, nodes, size.filter(|_| self.mixed())).into(),
            ]);
        }
        let shown: Vec<&str> =
            self.study.observables.iter().filter(|o| !o.hidden).map(|o| o.name.as_str()).collect();
        let hidden = self.study.observables.len() - shown.len();
        let mut recorded = shown.join(", ");
        if hidden > 0 {
            recorded.push_str(&format!(" (and {hidden} for the claims)"));
        }
        about.row([Cell::new("recorded", Tone::Dim), recorded.into()]);
        for line in about.flexible(1).lines(style, 2) {
            lines.push(line);
        }
        lines.push(String::new());
        if let System::Sde(equation) = &self.study.system {
            lines.extend(noise::text(equation, style));
        }
        for dynamics in self.dynamics {
            lines.extend(self.dynamics_text(dynamics, style));
        }
        lines.extend(self.claims_text(style));
        let cost = format!(
            "cost  {} replica-steps{}, about {} of memory, a file of at most {}",
            large(self.replica_steps()),
            self.time().map_or_else(String::new, |time| format!(", {time}")),
            bytes(self.whole_memory()),
            bytes(self.file())
        );
        for line in style.wrap(&cost, 2) {
            match line.strip_prefix("  cost") {
                Some(rest) => lines.push(format!("  {}{rest}", style.paint(Tone::Strong, "cost"))),
                None => lines.push(line),
            }
        }
        for warning in self.warnings() {
            lines.extend(
                style
                    .wrap(&format!("warning: {warning}"), 2)
                    .iter()
                    .map(|line| style.paint(Tone::Doubt, line)),
            );
        }
        lines.push(String::new());
        lines.join("\n") + "\n"
    }

    fn dynamics_text(&self, dynamics: &Dynamics, style: &Style) -> Vec<String> {
        let size = self.size();
        let words = describe(&dynamics.law, dynamics.training.as_ref(), size);
        let cost = self.cost(dynamics);
        let end = dynamics.instants.last().map_or(0.0, |i| i.time);
        let mut lines = vec![format!("  {}  {}", style.paint(Tone::Strong, &dynamics.name), words.name)];
        lines.push(format!("      {}", words.formula));
        if !words.settings.is_empty() {
            lines.extend(style.wrap(&words.settings, 6));
        }
        let length = format!(
            "{} steps to t = {}, {} recorded instants, {} of them after burn-in; {} replica-steps",
            count(cost.steps),
            plain(end, 6),
            count(dynamics.instants.len() as u64),
            count(self.window(dynamics) as u64),
            large(cost.replica_steps)
        );
        lines.extend(style.wrap(&length, 6).iter().map(|line| style.paint(Tone::Dim, line)));
        lines.push(String::new());
        lines
    }

    fn claims_text(&self, style: &Style) -> Vec<String> {
        if self.study.claims.is_empty() {
            return vec![];
        }
        let mut grid = Grid::default().flexible(1);
        for claim in &self.study.claims {
            let names: Vec<&str> = self.names(claim);
            grid.row([
                law::name(&claim.law).into(),
                what(&claim.law).into(),
                names.join(", ").into(),
                Cell::new(if claim.expect_holds { "" } else { "control: must fail" }, Tone::Dim),
            ]);
        }
        let mut lines = vec![format!("  {}", style.paint(Tone::Strong, "claims"))];
        lines.extend(grid.lines(style, 6));
        lines.push(String::new());
        lines
    }

    fn names(&self, claim: &Claim) -> Vec<&'a str> {
        let second = if let ClaimLaw::Equilibrium { second, .. } = &claim.law { Some(second) } else { None };
        let indices = claim.dynamics.iter().chain(second);
        indices.filter_map(|&d| self.dynamics.get(d)).map(|d| d.name.as_str()).collect()
    }

    /// The same as one JSON document.
    pub fn json(&self) -> Value {
        let size = self.size();
        let mut dynamics = Map::new();
        for one in self.dynamics {
            let words = describe(&one.law, one.training.as_ref(), size);
            let cost = self.cost(one);
            dynamics.insert(
                one.name.clone(),
                json!({
                    "law": one.law.name(),
                    "formula": words.formula,
                    "settings": words.settings,
                    "steps": cost.steps,
                    "time": one.instants.last().map(|i| i.time),
                    "instants": one.instants.len(),
                    "instants_after_burn_in": self.window(one),
                    "replica_steps": cost.replica_steps,
                    "seconds": self.expected(one).zip(self.trial).map(|(e, (_, threads))| e.seconds / threads.min(e.blocks).max(1) as f64),
                    "memory_bytes": cost.memory,
                    "file_bytes": cost.file,
                }),
            );
        }
        let shapes: Map<String, Value> = self
            .study
            .layout()
            .parameters()
            .iter()
            .map(|p| (p.name.clone(), json!(p.shape.dims())))
            .collect();
        let claims: Vec<Value> = self
            .study
            .claims
            .iter()
            .map(|claim| {
                json!({
                    "law": law::name(&claim.law),
                    "claim": what(&claim.law),
                    "dynamics": self.names(claim),
                    "expect": if claim.expect_holds { "holds" } else { "fails" },
                })
            })
            .collect();
        json!({
            "format": FORMAT,
            "perrin": env!("CARGO_PKG_VERSION"),
            "title": self.study.title,
            "seed": self.study.run.seed,
            "replicas": self.study.run.replicas,
            "parameters": shapes,
            "population": self.population().map(|(size, origin, nodes)| json!({
                "size": size,
                "fresh": size.is_none() || self.mixed(),
                "expectations": expectations(origin, nodes, size.filter(|_| self.mixed())),
                "nodes": nodes,
                "error": origin.error(),
            })),
            "noise": match &self.study.system {
                System::Sde(equation) => noise::json(equation),
                System::Loss(_) => Value::Null,
            },
            "observables": self.study.observables.iter().filter(|o| !o.hidden).map(|o| &o.name).collect::<Vec<_>>(),
            "dynamics": dynamics,
            "claims": claims,
            "cost": {
                "replica_steps": self.replica_steps(),
                "seconds": self.seconds(),
                "seconds_at_least": self.trial.map(|(trial, _)| trial.at_least()),
                "threads": self.trial.map(|(_, threads)| threads),
                "memory_bytes": self.whole_memory(),
                "file_bytes": self.file(),
            },
            "warnings": self.warnings(),
        })
    }
}

/// β of `[training]`. A law without momentum has none in its own settings, so it is read where all is written out.
fn shared_momentum(study: &Study) -> f64 {
    let resolved = toml::from_str::<toml::Table>(&study.resolved).unwrap_or_default();
    let written = resolved.get("training").and_then(|t| t.get("momentum"));
    let beta = |value: &toml::Value| value.get("beta").cloned().unwrap_or_else(|| value.clone());
    // Of a schedule, the last.
    let last = |value: toml::Value| match value {
        toml::Value::Array(pieces) => pieces.last().and_then(|piece| piece.get(1).cloned()),
        other => Some(other),
    };
    let number = |x: toml::Value| x.as_float().or_else(|| x.as_integer().map(|n| n as f64));
    written.map(beta).and_then(last).and_then(number).unwrap_or(0.0)
}

/// `12 000`, `5.1e9`.
fn large(number: u64) -> String {
    if number < 1_000_000 { count(number) } else { plain(number as f64, 3) }
}

fn population(size: Option<usize>, mixed: bool) -> String {
    match size {
        Some(n) if mixed => format!("{} rows, each with fresh draws whenever it is taken", count(n as u64)),
        Some(n) => format!("{} samples", count(n as u64)),
        None => "infinite: fresh draws at every step".into(),
    }
}

/// `rows` are those that have fresh draws beside them.
fn expectations(origin: &Origin, nodes: usize, rows: Option<usize>) -> String {
    let each =
        rows.map_or_else(String::new, |rows| format!(", {} a row", count((nodes / rows.max(1)) as u64)));
    match origin {
        Origin::Table => "exact, over all samples".into(),
        Origin::Quadrature { per_variate, error } => format!(
            "by Gauss quadrature, {per_variate} nodes a variate ({} in all{each}), relative error {}",
            count(nodes as u64),
            plain(*error, 2)
        ),
        Origin::Reference { size, mean, covariance } => format!(
            "over a reference sample of {}{each}: to {} % (gradient), {} % (its covariance)",
            count(*size as u64),
            plain(100.0 * mean, 2),
            plain(100.0 * covariance, 2)
        ),
    }
}

fn stationary(law: &ClaimLaw) -> bool {
    matches!(
        law,
        ClaimLaw::Einstein { .. }
            | ClaimLaw::Fdt { .. }
            | ClaimLaw::StationaryDensity { .. }
            | ClaimLaw::Equilibrium { .. }
            | ClaimLaw::Equals { at: At::Stationary, .. }
    )
}

/// The claim in one line.
pub(super) fn what(law: &ClaimLaw) -> String {
    match law {
        ClaimLaw::Equals { observable, statistic, at, value_text, tolerance, .. } => {
            let tolerance = within(*tolerance);
            let value = shortened(value_text);
            format!("{} of {observable} {} = {value}{tolerance}", statistic.words(), when(at))
        }
        ClaimLaw::Diverges => "every replica diverges".to_owned(),
        ClaimLaw::Conserved { observable, tolerance, .. } => {
            format!("{observable} keeps its value to {}", plain(*tolerance, 2))
        }
        ClaimLaw::StationaryDensity { observable, reading, tail, tolerance } => {
            let reading = match reading {
                DensityReading::Own => "its drift and diffusion",
                DensityReading::Ito => "its drift and diffusion read after Itô",
                DensityReading::Stratonovich => "its drift and diffusion read after Stratonovich",
                DensityReading::Gibbs => "Gibbs, the same noise everywhere",
            };
            match tail {
                None => {
                    let tolerance = tolerance.map_or(String::new(), |x| format!(" ± {}", plain(x, 3)));
                    format!("stationary law of {observable} by {reading}{tolerance}")
                }
                Some(tail) => {
                    let tolerance =
                        tolerance.map_or(String::new(), |x| format!(" ± {} %", plain(100.0 * x, 3)));
                    let of = if *tail == Tail::Own { "its own steps" } else { "the density" };
                    format!("tail of {observable} by {of}{tolerance}")
                }
            }
        }
        ClaimLaw::Equilibrium { observable, ratio, ratio_text, same, tolerance, .. } => {
            let tolerance = tolerance.map_or(String::new(), |x| format!(" ± {} %", plain(100.0 * x, 3)));
            let mut parts = Vec::new();
            if *same {
                parts.push(format!("the same law of {observable}"));
            }
            if ratio.is_some() {
                parts.push(format!("variances of {observable} in the ratio {}", shortened(ratio_text)));
            }
            if parts.is_empty() {
                parts.push(format!("{observable} side by side"));
            }
            parts.join(", ") + &tolerance
        }
        ClaimLaw::Fdt { relation, moment, tolerance } => {
            let (gain, noise) = match relation {
                Relation::First => ("what the drift takes from ⟨‖θ‖²⟩", "Tr"),
                Relation::Second => ("⟨‖∇f‖²⟩", "Tr H"),
            };
            let moment = match moment {
                Moment::Own => "the noise of its own",
                Moment::Second => "the second moment of the gradient",
                Moment::Covariance => "the covariance of the gradient",
            };
            let tolerance = tolerance.map_or(String::new(), |x| format!(" ± {} %", plain(100.0 * x, 3)));
            format!("{gain} balances {noise} of {moment}{tolerance}")
        }
        ClaimLaw::FixedPoint { symmetry, value: Some(value), tolerance, .. } => {
            let tolerance = plain(*tolerance, 2);
            let when = if value.at_end { "end" } else { "start" };
            format!("along {symmetry} λ* = {} ± {tolerance} at the {when}", value.text)
        }
        ClaimLaw::FixedPoint { symmetry, tolerance, .. } => {
            let tolerance = plain(*tolerance, 2);
            format!(
                "along {symmetry} every start comes to λ* = 0 ± {tolerance}, where decay and noise balance"
            )
        }
        ClaimLaw::NoetherFlow { symmetry, noise, decay, .. } => {
            let factors = match (*noise, *decay) {
                (1.0, 1.0) => String::new(),
                (noise, 1.0) => format!(", with {} times the noise", plain(noise, 3)),
                (1.0, decay) => format!(", with {} times the decay", plain(decay, 3)),
                (noise, decay) => {
                    format!(
                        ", with {} times the noise and {} times the decay",
                        plain(noise, 3),
                        plain(decay, 3)
                    )
                }
            };
            format!("the charge of {symmetry} changes by decay and noise, step by step{factors}")
        }
        ClaimLaw::DecayRate { observable, value_text, from, to, tolerance, .. } => {
            let tolerance = within(*tolerance);
            let value = shortened(value_text);
            let share = match (*from, *to) {
                (0.0, 1.0) => String::new(),
                (from, to) => {
                    format!(" from {} to {} % of the run", plain(100.0 * from, 3), plain(100.0 * to, 3))
                }
            };
            format!("{observable} decays at the rate {value}{tolerance}{share}")
        }
        ClaimLaw::Convergence(ladder) => {
            let kind = if ladder.strong { "paths" } else { "means" };
            format!(
                "{kind} of {} differ from those of {} by a power {} of {} at t = {}",
                ladder.observable,
                ladder.to,
                plain(ladder.order, 3),
                match ladder.over {
                    Varied::Rate => "the rate",
                    Varied::Dt => "dt",
                    Varied::Substeps => "1/substeps",
                    Varied::Level => "1/level",
                },
                plain(ladder.time, 6)
            )
        }
        ClaimLaw::Einstein { equation, tolerance } => {
            let equation = match equation {
                Equation::Own => "its own equation",
                Equation::Continuous => "the continuous equation",
                Equation::Discrete => "the discrete equation",
            };
            let tolerance = tolerance.map_or(String::new(), |x| format!(" ± {} %", plain(100.0 * x, 3)));
            format!("stationary covariance by {equation}{tolerance}")
        }
    }
}

/// ` ± 3 %`, ` ± 0.02`, nothing.
fn within(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Exact => String::new(),
        Tolerance::Relative(x) => format!(" ± {} %", plain(100.0 * x, 3)),
        Tolerance::Absolute(x) => format!(" ± {}", plain(x, 3)),
    }
}

/// Of a list of values, the first three, without quotes.
fn shortened(value: &str) -> String {
    let bare = value.replace('"', "");
    match bare.split(',').collect::<Vec<_>>()[..] {
        [a, b, c, _, ..] if bare.starts_with('[') => format!("{a},{b},{c}, …]"),
        _ => bare,
    }
}

fn when(at: &At) -> String {
    match at {
        At::Stationary => "after burn-in".into(),
        At::End => "at the end".into(),
        At::Start => "at the start".into(),
        At::Time(t) => format!("at t = {}", plain(*t, 6)),
    }
}
