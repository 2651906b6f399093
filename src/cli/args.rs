//! The command line as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Simulates stochastic gradient descent and its Langevin equations, and judges what theory claims about them.
#[derive(Debug, Parser)]
#[command(name = "perrin", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 all is as expected; 1 a claim came out otherwise; 2 the command or the study is \
                        wrong; 3 the run could not be carried out, or all replicas of a dynamics diverged; 130 interrupted, with what is done saved."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a study, judge its claims, write its HDF5 file
    Run(Run),
    /// Read a study and show what would run and its cost; run nothing
    Check(Check),
    /// Run the catalogue of studies and show what became of their claims; write nothing
    Verify(Verify),
    /// Find every linear symmetry of the loss from its gradients, and its Noether charge
    Symmetries(Symmetries),
    /// Show what a file holds
    Inspect(Inspect),
}

/// What to read: shared by all commands that take a study.
#[derive(Debug, Args)]
pub(super) struct StudyArguments {
    /// The study file (TOML)
    pub study: PathBuf,
    /// Override one value, e.g. --set run.replicas=100 (repeatable); checked like the file
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Run {
    #[command(flatten)]
    pub study: StudyArguments,
    /// The file to write [default: the study's name with .h5, numbered where that exists, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    pub force: bool,
    /// Worker threads [default: one a core]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// Print one JSON document in place of the table
    #[arg(long)]
    pub json: bool,
    /// No progress, and no messages but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Show how each dynamics was computed and where its time went (which takes some more of it)
    #[arg(long)]
    pub profile: bool,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub study: StudyArguments,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Studies of the catalogue by name; or study files, or folders of them [default: the whole catalogue: the folder
    /// models/ if it is here and has studies, else the copies that perrin carries]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// What each study's [quick] says in place of its own values; studies with `quick = false` are left out
    #[arg(long)]
    pub quick: bool,
    /// Override one value in every study, e.g. --set run.seed=5 (repeatable); checked like the file
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Worker threads [default: one a core]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// Print one JSON document in place of the table
    #[arg(long)]
    pub json: bool,
    /// No progress, and no messages but errors
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct Symmetries {
    #[command(flatten)]
    pub study: StudyArguments,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file that `perrin run` wrote
    pub file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Print the digest over the first R replicas alone
    #[arg(long, value_name = "R")]
    pub replicas: Option<usize>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn definitions_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
