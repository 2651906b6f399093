//! The HDF5 file of a study: its layout, its writer, its reader.
//!
//! One file a study, a group a dynamics. Opened by xarray it is a `DataTree` with named dimensions and coordinates:
//!
//! | group | dimensions | variables |
//! |---|---|---|
//! | `/<dynamics>/ensemble` | time | `<name>_mean`, `_variance`, `_standard_error`, `_variance_standard_error`, `_minimum`, `_maximum`, `_count` |
//! | `/<dynamics>/moments` | time | `<name>_m2`, `_m3`, `_m4` |
//! | `/<dynamics>/trajectories` | replica, time | `<name>` |
//! | `/<dynamics>/final` | replica | `<name>`, `<name>_max_change`, `diverged_step` |
//! | `/<dynamics>/stationary` | replica | `<name>_mean`, `_variance`, and the same of each half of the window |
//! | `/claims` | test | law, dynamics, quantity, predicted, measured, … |
//!
//! While a run goes on, the tables along `replica` grow about once a second, and the statistics of a dynamics that has not
//! ended are NaN. The root attribute `status` says `running` (also of a run that was killed), `complete` or `interrupted`.
//! A kill at any moment leaves a file that opens, with everything committed: see the writer's `Target`.
//!
//! A vector has a further dimension `<name>_row`, a matrix `<name>_row` and `<name>_col`. A name that is not plain
//! (a claim's formula) is made so, and stands as it was in `long_name`. The root attribute `layout` says all this in
//! JSON.

mod buffer;
mod claims;
mod commit;
mod deflate;
mod error;
mod layout;
mod naming;
mod reader;
mod schema;
mod skeleton;
mod target;
mod writer;

pub use claims::ClaimRow;
pub use error::StoreError;
pub use layout::{DynamicsHeader, FORMAT, StudyHeader};
pub use reader::{Stored, read, read_summary};
pub use writer::{Status, Writer};
