//! Domains below which anybody registers their own (`co.uk`, `com.cn`): nobody is believed for the addresses of all of them.
//!
//! The list is the operating system's (<https://publicsuffix.org>; Debian's package `publicsuffix` keeps it): it changes by the
//! week, and one that a program carries along is soon an old one.

use std::path::Path;

use publicsuffix::{IcannList, List, Psl, Type};

use super::super::failure::Failure;
use super::super::office::read_file;

/// Where the operating system has the list.
pub(super) const LIST: &str = "/usr/share/publicsuffix/public_suffix_list.dat";
/// It has some 300 kB.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The suffixes of the registries. Those that companies asked for (`github.io`) are domains of these companies.
pub(super) struct PublicSuffixes(IcannList);

impl PublicSuffixes {
    /// Reads a list; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        if !path.exists() {
            return Ok(None);
        }
        let list = List::from_bytes(&read_file(path, LONGEST)?).map_err(|error| {
            let message = format!("{} is no list of public suffixes: {error}", path.display());
            Failure::new("malformed", message)
        })?;
        Ok(Some(Self(list.into())))
    }

    /// Whether this domain, in lower-case A-labels, is one of them.
    pub(super) fn has(&self, domain: &str) -> bool {
        let suffix = self.0.suffix(domain.as_bytes());
        suffix
            .is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes() && suffix.typ() == Some(Type::Icann))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_registries_are_known_and_domains_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.dat");
        assert!(PublicSuffixes::read(&file).unwrap().is_none());
        std::fs::write(&file, "no list\n").unwrap();
        assert_eq!(PublicSuffixes::read(&file).err().unwrap().code, "malformed");
        let list = "// ===BEGIN ICANN DOMAINS===\ncom\nuk\nco.uk\ncn\n\u{516c}\u{53f8}.cn\n*.ck\n!www.ck\n// ===END ICANN DOMAINS===\n\
                    // ===BEGIN PRIVATE DOMAINS===\nexample.com\n// ===END PRIVATE DOMAINS===\n";
        std::fs::write(&file, list).unwrap();
        let suffixes = PublicSuffixes::read(&file).unwrap().unwrap();
        for suffix in ["com", "co.uk", "any.ck", "xn--55qx5d.cn"] {
            assert!(suffixes.has(suffix), "{suffix}");
        }
        for domain in
            ["partner.com", "partner.co.uk", "www.ck", "partner.any.ck", "example.com", "partner.example"]
        {
            assert!(!suffixes.has(domain), "{domain}");
        }
    }
}
