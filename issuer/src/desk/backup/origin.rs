//! Whether a published directory is that of the issuer whose backup is restored: looked at before anything is made.

use std::path::Path;

use super::super::audit::published::find_checkpoint;
use super::super::failure::Failure;
use crate::ca::Certificate;
use crate::ca::certificate::pem_blocks;
use crate::domain::SignedCheckpoint;
use crate::publication::layout;
use crate::registry::{BackupRow, BackupValue};

/// Who a backup is of.
pub(super) struct Origin {
    /// What checkpoints call its log: the key identifier of its first root, hex.
    logs: Vec<String>,
    /// Key identifiers of its roots, hex.
    roots: Vec<String>,
    /// Key identifiers of all its authorities, hex.
    authorities: Vec<String>,
}

impl Origin {
    /// Of these rows.
    ///
    /// # Errors
    /// A certificate of an authority that is none.
    pub(super) fn of(rows: &[BackupRow]) -> Result<Self, Failure> {
        let mut origin = Self { logs: Vec::new(), roots: Vec::new(), authorities: Vec::new() };
        for row in rows {
            match (row.table.as_str(), row.row.get("certificate"), row.row.get("document")) {
                ("authorities" | "authority_keys", Some(BackupValue::Octets { hex }), _) => {
                    let der =
                        hex::decode(hex).map_err(|error| Failure::new("malformed", error.to_string()))?;
                    let certificate = Certificate::from_der(der)?;
                    let key = hex::encode(certificate.subject_key_identifier());
                    if certificate.is_self_issued() {
                        origin.roots.push(key.clone());
                    }
                    origin.authorities.push(key);
                }
                ("checkpoints", _, Some(BackupValue::Text(document))) => {
                    origin
                        .logs
                        .extend(SignedCheckpoint::parse(document).ok().map(|read| read.checkpoint.log));
                }
                _ => {}
            }
        }
        if origin.logs.is_empty() {
            // A log without a checkpoint gets its name from the root.
            origin.logs.clone_from(&origin.roots);
        }
        Ok(origin)
    }

    /// Refuses a directory from which nothing could be learned about this issuer.
    ///
    /// # Errors
    /// It is not there, is another issuer's, or holds no CRL of this one.
    pub(super) fn check(&self, directory: &Path) -> Result<(), Failure> {
        if !directory.is_dir() {
            return Err(refusal("not-published", directory, "there is no such directory"));
        }
        match find_checkpoint(directory)? {
            Some(seen) if self.logs.contains(&seen.checkpoint.log) => {}
            Some(seen) => {
                let what =
                    format!("its checkpoint is of another issuer's log (root {})", seen.checkpoint.log);
                return Err(refusal("other-issuer", directory, &what));
            }
            None => self.check_anchor(directory)?,
        }
        let list = |key: &String| directory.join(layout::REVOCATIONS).join(format!("{key}.crl")).is_file();
        match self.authorities.iter().any(list) {
            true => Ok(()),
            false => Err(refusal("not-published", directory, "it holds no CRL of this issuer")),
        }
    }

    /// What was published before there were checkpoints.
    fn check_anchor(&self, directory: &Path) -> Result<(), Failure> {
        let path = directory.join(layout::ANCHOR);
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("it has neither {} nor {}", layout::CHECKPOINT, layout::ANCHOR);
                return Err(refusal("not-published", directory, &what));
            }
            Err(error) => return Err(Failure::file(&path, &error)),
        };
        for block in pem_blocks(&pem) {
            let root = Certificate::from_pem(&block.text)?;
            if self.roots.contains(&hex::encode(root.subject_key_identifier())) {
                return Ok(());
            }
        }
        Err(refusal("other-issuer", directory, "the root in its anchor.pem is another issuer's"))
    }
}

fn refusal(code: &'static str, directory: &Path, what: &str) -> Failure {
    Failure::new(
        code,
        format!(
            "{}: {what}; nothing was restored. Name the directory that this issuer publishes to, or a copy of it",
            directory.display()
        ),
    )
}
