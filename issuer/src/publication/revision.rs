//! `.revision`: which publication a directory holds, so that servers notice a new one, and which CRLs and OCSP answers it
//! has, so that they notice when one is gone.
//!
//! ```text
//! 17                                   the number, one higher each time
//! 5c1e...42.crl                        the name of a CRL, one a line
//! 5c1e...42.answers                    likewise of a file of OCSP answers
//! overdue 5c1e...42.crl                one that does not say everything that is revoked, and could not be signed anew
//! ```
use super::layout::CrlName;
use super::ocsp_answers::is_answers_file;

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
}

impl Revision {
    /// Reads it; whatever is no number counts as none, and what is no name of such a file is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let number = lines.next().and_then(|line| line.parse().ok()).unwrap_or_default();
        let mut revision = Self { number, ..Self::default() };
        for line in lines {
            match line.strip_prefix(OVERDUE) {
                Some(name) if CrlName::parse(name).is_some() => revision.overdue.push(name.to_owned()),
                None if CrlName::parse(line).is_some() => revision.crls.push(line.to_owned()),
                None if is_answers_file(line) => revision.answers.push(line.to_owned()),
                _ => {}
            }
        }
        revision
    }

    pub(super) fn text(&self) -> String {
        let names: String = self.crls.iter().chain(&self.answers).map(|name| format!("{name}\n")).collect();
        let overdue: String = self.overdue.iter().map(|name| format!("{OVERDUE}{name}\n")).collect();
        format!("{}\n{names}{overdue}", self.number)
    }
}

const OVERDUE: &str = "overdue ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_anything_is_read() {
        let crls = vec!["00ff.crl".to_owned(), "00ff-16-3-delta.crl".to_owned()];
        let revision =
            Revision { number: 7, overdue: crls.clone(), crls, answers: vec!["00ff.answers".to_owned()] };
        assert_eq!(Revision::parse(&revision.text()), revision);
        assert_eq!(Revision::parse("41\n"), Revision { number: 41, ..Revision::default() });
        let nothing =
            "many\n../../etc/passwd\n\n00.cer\n../00.answers\noverdue ../00.crl\noverdue 00.answers\n";
        assert_eq!(Revision::parse(nothing), Revision::default());
    }
}
