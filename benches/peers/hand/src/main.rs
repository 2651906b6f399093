//! The yardstick: what a kernel written by hand for one system takes, with vectors chosen for this machine.
//!
//! Reads requests from standard input, a line each, and answers with a line of JSON:
//!
//! ```text
//! W1 PATHS STEPS               W2a, W2b, W2b-rank, W3, W4 the same   { "seconds", "mean", "variance" }
//! normals                      ns a standard normal                  { "hand", "perrin" }
//! arithmetic THREADS           a loop of multiply-adds               { "seconds" }
//! chunks FILE MEGABYTES LEVEL  chunks written, deflated above 0      { "seconds" }
//! ```
#![allow(
    clippy::inline_always,
    clippy::missing_safety_doc,
    reason = "kernels take the caller's instruction set"
)]

mod dense;
mod extras;
mod normals;
mod paths;
mod vector;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use vector::{Kernel, fastest};

type Anything<T> = Result<T, Box<dyn Error>>;

fn main() -> Anything<()> {
    let folder = std::env::args().nth(1).ok_or("the folder of the data, please")?;
    let numbers = |name: &str| -> Anything<Vec<f64>> {
        let bytes = std::fs::read(Path::new(&folder).join(name))?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    };
    let (table, teacher) = (numbers("table.f64")?, numbers("teacher.f64")?);
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["normals"] => extras::normals(),
            ["arithmetic", threads] => extras::arithmetic(threads.parse()?),
            ["chunks", file, megabytes, level] => {
                extras::chunks(Path::new(file), megabytes.parse()?, level.parse()?)?
            }
            [work, paths, steps] => {
                let (paths, steps) = (paths.parse()?, steps.parse()?);
                match *work {
                    "W1" => timed(&paths::Harmonic { paths, steps }),
                    "W2a" => timed(&paths::Descent { paths, steps }),
                    "W2b-rank" => timed(&paths::LangevinRank { paths, steps }),
                    "W2b" => timed(&paths::Langevin { paths, steps }),
                    "W3" => timed(&dense::Regression { table: &table, replicas: paths, steps }),
                    "W4" => timed(&dense::DeepLinear { teacher: &teacher, replicas: paths, steps }),
                    other => return Err(format!("no work {other}").into()),
                }
            }
            _ => return Err(format!("not understood: {line}").into()),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn timed<K: Kernel<Out = (f64, f64)>>(kernel: &K) -> String {
    let start = Instant::now();
    let (mean, variance) = fastest(kernel);
    let seconds = start.elapsed().as_secs_f64();
    format!(
        r#"{{"seconds": {seconds:e}, "mean": {mean:e}, "variance": {variance:e}, "vectors": "{}"}}"#,
        vector::name()
    )
}
