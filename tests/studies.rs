//! Good and bad studies.
use perrin::study;
use std::path::Path;
#[test]
fn try_one() {
    for f in std::env::var("STUDY").unwrap_or_default().split(':').filter(|s| !s.is_empty()) {
        match study::load(Path::new(f), &[]) {
            Ok(s) => {
                println!("{}", s.resolved);
                for d in &s.dynamics {
                    println!(
                        "{} {:?} {:?} n={} last={:?}",
                        d.name,
                        d.law,
                        d.training,
                        d.instants.len(),
                        d.instants.last()
                    );
                }
                for o in &s.observables {
                    println!("{} {} {}", o.name, o.shape, o.hidden);
                }
                println!("{:?}", s.claims);
            }
            Err(e) => println!("{}", study::Rendered(&e)),
        }
    }
}
