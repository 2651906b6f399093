//! A finished record → a terminal table, or JSON. Shows; judges nothing and computes no statistics of its own.

#[cfg(test)]
mod fixture;
mod json;
mod noise;
mod number;
mod outlook;
mod style;
mod summary;
mod symmetries;
mod table;
mod verification;
mod words;

use std::path::Path;

pub use json::{FORMAT, document};
pub use number::{bytes, count, duration, plain, probability, with_error};
pub use outlook::Outlook;
pub use style::{Cell, Grid, Style, Tone};
pub use symmetries::{Symmetries, document as symmetries_document, text as symmetries_text};
pub use table::table;
pub use verification::{Verified, verification, verification_document};
pub use words::{Words, describe};

use crate::ensemble::Record;
use crate::law::ClaimResult;
use crate::study::Study;

/// All that a report speaks of.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What was run.
    pub study: &'a Study,
    /// What it left.
    pub record: &'a Record,
    /// What was judged.
    pub claims: &'a [ClaimResult],
    /// The digest of all numbers.
    pub digest: &'a str,
    /// The file written, if any.
    pub output: Option<&'a Path>,
    /// Not all was done, or not all judged.
    pub interrupted: bool,
}
