//! Errors of formulas, with their place in the formula's text.

use std::ops::Range;

use super::program::CompileError;
use super::size;

/// A formula's error: what, where (byte range in the formula's text), and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormulaError {
    /// What is wrong.
    pub message: String,
    /// Bytes of the formula's text that are wrong.
    pub span: Range<usize>,
    /// How to mend it.
    pub help: Option<String>,
}

impl FormulaError {
    /// An error at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, help: None }
    }
    /// A program that cannot be made of the formula.
    pub(super) fn of_program(span: Range<usize>, error: &CompileError) -> Self {
        let new = Self::new(span, error.to_string());
        if matches!(error, CompileError::TooLarge { .. }) { new.help(size::HELP) } else { new }
    }
    /// The same with a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
