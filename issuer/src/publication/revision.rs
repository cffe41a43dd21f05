//! `.revision`: which publication a directory holds, so that servers notice a new one, and which CRLs it has, so that they
//! notice when one is gone.
//!
//! ```text
//! 17                                   the number, one higher each time
//! 5c1e...42.crl                        the name of a CRL, one a line
//! ```
use super::layout::CrlName;

/// What `.revision` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) number: u64,
    /// Names of files in `crl/`; none where an earlier program published.
    pub(super) crls: Vec<String>,
}

impl Revision {
    /// Reads it; whatever is no number counts as none, and what is no name of a CRL is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let number = lines.next().and_then(|line| line.parse().ok()).unwrap_or_default();
        let crls = lines.filter(|line| CrlName::parse(line).is_some()).map(str::to_owned).collect();
        Self { number, crls }
    }

    pub(super) fn text(&self) -> String {
        let names: String = self.crls.iter().map(|name| format!("{name}\n")).collect();
        format!("{}\n{names}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_anything_is_read() {
        let crls = vec!["00ff.crl".to_owned(), "00ff-16-3-delta.crl".to_owned()];
        let revision = Revision { number: 7, crls };
        assert_eq!(Revision::parse(&revision.text()), revision);
        assert_eq!(Revision::parse("41\n"), Revision { number: 41, crls: Vec::new() });
        assert_eq!(Revision::parse("many\n../../etc/passwd\n\n00.cer\n"), Revision::default());
    }
}
