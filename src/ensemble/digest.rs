//! A fingerprint of all recorded numbers.

use crate::ensemble::record::Record;

/// SHA-256, in hexadecimal, of every recorded number of a record.
pub fn digest(_record: &Record) -> String {
    String::new()
}

/// SHA-256, in hexadecimal, of the numbers of the first `replicas` replicas alone: equal for an ensemble and a longer one.
pub fn digest_of_first(_record: &Record, _replicas: usize) -> String {
    String::new()
}
