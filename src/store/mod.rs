//! The HDF5 file of a study: its layout, its writer, its reader.
//!
//! One file a study, a group a dynamics. Opened by xarray it is a `DataTree` with named dimensions and coordinates:
//!
//! | group | dimensions | variables |
//! |---|---|---|
//! | `/<dynamics>/ensemble` | time | `<name>_mean`, `_variance`, `_standard_error`, `_variance_standard_error`, `_minimum`, `_maximum`, `_count` |
//! | `/<dynamics>/trajectories` | replica, time | `<name>` |
//! | `/<dynamics>/final` | replica | `<name>`, `<name>_max_change`, `diverged_step` |
//! | `/<dynamics>/stationary` | replica | `<name>_mean`, `_variance` over the window |
//! | `/claims` | test | law, dynamics, quantity, predicted, measured, … |
//! | `/internals/<dynamics>/statistics` | time, number | `values`: what claims are judged from, packed |
//! | `/internals/<dynamics>/paths` | replica, time, number | `values` |
//! | `/internals/<dynamics>/replicas` | replica, number | `values` |
//!
//! A dynamics' group has its settings as attributes, under the study file's keys, given or not. `/internals` holds all numbers of what
//! claims alone look at, and the higher moments and half windows of the rest: the attribute `numbers` of each of its groups says in JSON which
//! numbers stand where. `replica` has a fixed maximum, the replicas that were asked for; its length is what was done.
//!
//! While a run goes on, the tables along `replica` grow about once a second, and the statistics of a dynamics that has not
//! ended are NaN. The root attribute `status` says `running` (also of a run that was killed), `complete`, `interrupted` or `failed` (a
//! full disk, say); `process`, `host` and `started` say who writes, so that a dead run's `running` is told from a living one's.
//! A kill at any moment leaves a file that opens, with everything committed: see the writer's `Target`.
//!
//! A vector has a further dimension `<name>_row`, a matrix `<name>_row` and `<name>_col`, with the elements' names for coordinates where they
//! have names, or their numbers. A name that is not plain
//! (a claim's formula) is made so, and stands as it was in `long_name`. The root attribute `layout` says all this in
//! JSON.

mod buffer;
mod claims;
mod commit;
mod deflate;
mod error;
mod layout;
mod naming;
mod process;
mod reader;
mod schema;
mod skeleton;
mod target;
mod writer;

pub use claims::ClaimRow;
pub use error::StoreError;
pub use layout::{DynamicsHeader, FORMAT, StudyHeader};
pub use process::Process;
pub use reader::{Stored, read, read_summary};
pub use writer::{Status, Writer};
