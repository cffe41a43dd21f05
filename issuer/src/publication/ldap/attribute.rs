//! One attribute of an entry: what is there, what shall be, and the difference.
use std::collections::HashSet;

use ldap3::{Mod, SearchEntry};

/// What is to be removed and added, value by value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Ours that shall not be there any more.
    pub remove: Vec<Vec<u8>>,
    /// What is missing.
    pub add: Vec<Vec<u8>>,
}

/// Compares what is there with what shall be there of ours.
pub fn difference(present: &[Vec<u8>], wanted: &[Vec<u8>], is_ours: impl Fn(&[u8]) -> bool) -> Difference {
    let is_wanted = |value: &&Vec<u8>| wanted.contains(value);
    Difference {
        remove: present.iter().filter(|value| !is_wanted(value) && is_ours(value)).cloned().collect(),
        add: wanted.iter().filter(|value| !present.contains(value)).cloned().collect(),
    }
}

impl Difference {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }

    /// The modification (RFC 4511 section 4.6): exactly these values, so that others stay whatever happens in between.
    pub fn modifications(&self, attribute: &str) -> Vec<Mod<Vec<u8>>> {
        let name = || attribute.as_bytes().to_vec();
        let set = |values: &[Vec<u8>]| values.iter().cloned().collect::<HashSet<_>>();
        let mut all = Vec::new();
        if !self.remove.is_empty() {
            all.push(Mod::Delete(name(), set(&self.remove)));
        }
        if !self.add.is_empty() {
            all.push(Mod::Add(name(), set(&self.add)));
        }
        all
    }
}

/// The same for an attribute without a matching rule for equality (CRLs in RFC 4523 as OpenLDAP has it): its values can
/// only be replaced as a whole, those of others by themselves.
pub fn replacement(attribute: &str, present: &[Vec<u8>], change: &Difference) -> Mod<Vec<u8>> {
    let kept = present.iter().filter(|value| !change.remove.contains(value)).chain(&change.add);
    Mod::Replace(attribute.as_bytes().to_vec(), kept.cloned().collect())
}

/// How an attribute with a matching rule is brought there: value by value, or as a whole where one of ours is so damaged that
/// the rule cannot find it.
pub(super) fn modifications(
    attribute: &str,
    present: &[Vec<u8>],
    change: &Difference,
    is_readable: impl Fn(&[u8]) -> bool,
) -> Vec<Mod<Vec<u8>>> {
    if change.remove.iter().all(|value| is_readable(value)) {
        return change.modifications(attribute);
    }
    vec![replacement(attribute, present, change)]
}

/// What is said of damaged values of ours among those that are removed.
pub(super) fn mended(
    name: &str,
    attribute: &str,
    change: &Difference,
    is_damaged: impl Fn(&[u8]) -> bool,
) -> Option<String> {
    let has_damaged = change.remove.iter().any(|value| is_damaged(value));
    has_damaged.then(|| format!("{name}: {attribute} of ours was damaged, and is replaced"))
}

/// The values of an attribute, whichever way the server writes its options.
pub(super) fn values(entry: &SearchEntry, attribute: &str) -> Vec<Vec<u8>> {
    let wanted = attribute.split(';').next().unwrap_or(attribute);
    let is_it = |name: &String| name.split(';').next().unwrap_or(name).eq_ignore_ascii_case(wanted);
    let binary =
        entry.bin_attrs.iter().filter(|(name, _)| is_it(name)).flat_map(|(_, values)| values.clone());
    // A value that happens to be UTF-8 is given as text.
    let text = entry.attrs.iter().filter(|(name, _)| is_it(name)).flat_map(|(_, values)| values);
    binary.chain(text.map(|value| value.clone().into_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Vec<Vec<u8>> {
        values.iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn only_ours_is_removed_and_only_what_is_missing_added() {
        let (present, wanted) = (of(&["ours old", "theirs", "ours kept"]), of(&["ours kept", "ours new"]));
        let is_ours = |value: &[u8]| value.starts_with(b"ours");
        let found = difference(&present, &wanted, is_ours);
        assert_eq!(found, Difference { remove: of(&["ours old"]), add: of(&["ours new"]) });
        assert_eq!(found.modifications("x;binary").len(), 2);

        let after = of(&["theirs", "ours kept", "ours new"]);
        assert!(difference(&after, &wanted, is_ours).is_empty(), "a second time changes nothing");
        assert!(difference(&after, &wanted, is_ours).modifications("x").is_empty());

        let whole = of(&["theirs", "ours kept", "ours new"]).into_iter().collect();
        assert_eq!(replacement("x", &present, &found), Mod::Replace(b"x".to_vec(), whole));
    }
}
