//! A stochastic-differential-equation engine for the physics of learning.
//!
//! perrin simulates stochastic gradient descent and the Langevin equations that approximate it, on many replicas at
//! once, and judges the laws that theory claims about them. A study is a TOML file, or a [`study::Study`] built in Rust;
//! a run leaves a [`ensemble::Record`]; [`law::judge`] says what of the study's claims holds.
//!
//! ```
//! use std::path::Path;
//! use std::sync::atomic::AtomicBool;
//!
//! use perrin::ensemble::{self, NoSink, Options, Silent};
//! use perrin::law::{self, Verdict};
//! use perrin::study;
//!
//! // A parabola with unit noise: under SGD the variance settles at η/(2 − η).
//! let text = r#"
//! [parameters]
//! w = 0.0
//! [data]
//! x = "normal(0, 1)"
//! [loss]
//! formula = "0.5*(w - x)^2"
//! [training]
//! rate = 0.1
//! [dynamics]
//! sgd = "sgd"
//! [run]
//! steps = 1000
//! replicas = 400
//! seed = 7
//! [[claims]]
//! equals = { observable = "w", statistic = "variance", value = "rate/(2 - rate)" }
//! "#;
//!
//! let mut study = study::parse("parabola.toml", text, Path::new("."), &[]).expect("a good study");
//! study.observables.extend(law::needs(&study));
//! let record = ensemble::run(
//!     &study,
//!     &study.observables,
//!     Options { threads: None, stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink },
//! )?;
//! let claims = law::judge(&study, &record);
//! assert_eq!(claims[0].verdict, Verdict::Holds);
//! # Ok::<(), ensemble::RunError>(())
//! ```
//!
//! The layers, from the top, each seeing only those below it:
//! [`cli`] › [`report`] › [`law`] › [`store`] › [`ensemble`] › [`study`] › [`dynamics`] › [`scheme`] › [`model`] ›
//! [`stats`] › [`lanes`]. `ARCHITECTURE.md` says what each promises.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "references are computed by other means"))]

pub mod cli;
pub mod dynamics;
pub mod ensemble;
pub mod lanes;
#[allow(clippy::disallowed_methods, reason = "predictions and p-values are judged, not recorded")]
pub mod law;
pub mod model;
pub mod report;
pub mod scheme;
#[allow(clippy::disallowed_methods, reason = "estimates and p-values are judged, not recorded")]
pub mod stats;
pub mod store;
pub mod study;
