//! Errors of formulas, with their place in the formula's text.

use std::ops::Range;

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
    /// The same with a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
