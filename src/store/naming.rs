//! From the user's names to names that HDF5, NetCDF and Python all take; the original is kept beside it.

use std::collections::BTreeSet;

/// Longest name made; NetCDF allows 256 bytes, suffixes included.
const LONGEST: usize = 96;

/// The nearest plain name: letters, digits and `_`; a run of anything else becomes one `_`.
///
/// Identifiers, which is what nearly every study has, stay as they are. A formula such as `u^2 - w^2` becomes
/// `u_2_w_2`. Not injective: [`unique`] sees to that.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_alphanumeric() || character == '_' {
            out.push(character);
        } else if !out.ends_with('_') {
            out.push('_');
        }
        if out.len() >= LONGEST {
            break;
        }
    }
    let out = if is_plain(name) { out } else { out.trim_matches('_').to_string() };
    if out.is_empty() { "unnamed".to_string() } else { out }
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A plain name none of whose `derived` names (with the place each is put) is taken; takes them.
///
/// `place` tells groups apart: the same name may stand in two of them.
pub(super) fn unique(
    name: &str,
    taken: &mut BTreeSet<(usize, String)>,
    derived: impl Fn(&str) -> Vec<(usize, String)>,
) -> String {
    let base = plain(name);
    let mut candidate = base.clone();
    let mut number = 2;
    while derived(&candidate).iter().any(|n| taken.contains(n)) {
        candidate = format!("{base}_{number}");
        number += 1;
    }
    taken.extend(derived(&candidate));
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_stay() {
        for name in ["u", "w_2", "_hidden", "θ", "W1", "a__b_"] {
            assert_eq!(plain(name), name);
        }
    }

    #[test]
    fn formulas_become_plain() {
        assert_eq!(plain("u^2 - w^2"), "u_2_w_2");
        assert_eq!(plain("a/b"), "a_b");
        assert_eq!(plain("-(./)"), "unnamed");
        assert!(plain(&"long ".repeat(100)).len() <= LONGEST + 4);
    }

    #[test]
    fn no_two_are_the_same() {
        let mut taken = BTreeSet::from([(0, "time".to_string())]);
        let derived = |b: &str| vec![(0, b.to_string()), (1, format!("{b}_mean"))];
        assert_eq!(unique("a/b", &mut taken, derived), "a_b");
        assert_eq!(unique("a*b", &mut taken, derived), "a_b_2");
        assert_eq!(unique("time", &mut taken, derived), "time_2");
        assert_eq!(unique("a_b_mean", &mut taken, derived), "a_b_mean", "another place is another name");
    }
}
