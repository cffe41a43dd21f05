//! `.revision`: which publication a directory holds, so that servers notice a new one; which CRLs and OCSP answers it has, so
//! that they notice when one is gone; and the digests of its files, so that they notice an older one that was put back.
//!
//! ```text
//! 17                                   the number, one higher each time
//! 5c1e...42.crl                        the name of a CRL, one a line
//! 5c1e...42.answers                    likewise of a file of OCSP answers
//! overdue 5c1e...42.crl                one that does not say everything that is revoked, and could not be signed anew
//! sha256 9f86...08 crl/5c1e...42.crl   the SHA-256 of a file: of every one but the certificates by mail address
//! ```
use std::collections::BTreeMap;

use super::layout::{self, CrlName, is_hexadecimal};
use super::ocsp_answers::{self, is_answers_file};

/// What `.revision` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) number: u64,
    /// Names of files in `crl/`; none where an earlier program published.
    pub(super) crls: Vec<String>,
    /// Names of files in `ocsp/`, likewise.
    pub(super) answers: Vec<String>,
    /// Names of files in `crl/` that are overdue.
    pub(super) overdue: Vec<String>,
    /// SHA-256, hexadecimal, by the path in the published directory; none where an earlier program published.
    pub(super) digests: BTreeMap<String, String>,
}

impl Revision {
    /// Reads it; whatever is no number counts as none, and what is no name of such a file is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let number = lines.next().and_then(|line| line.parse().ok()).unwrap_or_default();
        let mut revision = Self { number, ..Self::default() };
        for line in lines {
            revision.read(line);
        }
        revision
    }

    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix(OVERDUE) {
            self.overdue.extend(CrlName::parse(name).map(|_| name.to_owned()));
        } else if let Some(line) = line.strip_prefix(SHA_256) {
            let digest = line
                .split_once(' ')
                .filter(|(digest, path)| digest.len() == 64 && is_hexadecimal(digest) && has_digest(path));
            self.digests.extend(digest.map(|(digest, path)| (path.to_owned(), digest.to_owned())));
        } else if CrlName::parse(line).is_some() {
            self.crls.push(line.to_owned());
        } else if is_answers_file(line) {
            self.answers.push(line.to_owned());
        }
    }

    pub(super) fn text(&self) -> String {
        let names: String = self.crls.iter().chain(&self.answers).map(|name| format!("{name}\n")).collect();
        let overdue: String = self.overdue.iter().map(|name| format!("{OVERDUE}{name}\n")).collect();
        let digests = self.digests.iter().map(|(path, digest)| format!("{SHA_256}{digest} {path}\n"));
        format!("{}\n{names}{overdue}{}", self.number, digests.collect::<String>())
    }
}

/// Whether the digest of a file is kept: of everything that a publication writes, but the certificates by mail address, of
/// which there may be a million and none says what is revoked.
pub(super) fn has_digest(path: &str) -> bool {
    match path.split_once('/') {
        None => [layout::ANCHOR, layout::CA_CHAIN, layout::CRLS].contains(&path),
        Some((layout::AUTHORITIES, file)) => file.strip_suffix(".cer").is_some_and(is_hexadecimal),
        Some((layout::REVOCATIONS, file)) => CrlName::parse(file).is_some(),
        Some((ocsp_answers::FOLDER, file)) => is_answers_file(file),
        Some(_) => false,
    }
}

const OVERDUE: &str = "overdue ";
const SHA_256: &str = "sha256 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_anything_is_read() {
        let crls = vec!["00ff.crl".to_owned(), "00ff-16-3-delta.crl".to_owned()];
        let paths = ["anchor.pem", "ca/00ff.cer", "crl/00ff-16-3-delta.crl", "crl.pem", "ocsp/00ff.answers"];
        let digests = paths.map(|path| (path.to_owned(), "0123456789abcdef".repeat(4))).into();
        let answers = vec!["00ff.answers".to_owned()];
        let revision = Revision { number: 7, overdue: crls.clone(), crls, answers, digests };
        assert_eq!(Revision::parse(&revision.text()), revision);
        assert_eq!(Revision::parse("41\n"), Revision { number: 41, ..Revision::default() });
        let nothing =
            "many\n../../etc/passwd\n\n00.cer\n../00.answers\noverdue ../00.crl\noverdue 00.answers\n";
        assert_eq!(Revision::parse(nothing), Revision::default());
        let digest = "0123456789abcdef".repeat(4);
        for path in ["", "..", "/anchor.pem", "crl/../anchor.pem", "crl/x/00.crl", "ca/00.crl", "classes.p7m"]
        {
            assert_eq!(
                Revision::parse(&format!("1\nsha256 {digest} {path}\n")).digests,
                BTreeMap::new(),
                "{path}"
            );
        }
        for digest in ["", "00", &digest.to_uppercase(), &digest.replace('0', "g"), &format!("{digest}00")] {
            assert_eq!(
                Revision::parse(&format!("1\nsha256 {digest} crl.pem\n")).digests,
                BTreeMap::new(),
                "{digest}"
            );
        }
    }
}
