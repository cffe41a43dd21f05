//! Documents encrypted to a reader in a wrapper, beside pyHanko's encryption to the same certificate.
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use mailer::certificate::Certificate;
use mailer::content::Content;
use mailer::documents::sealed::{Explanation, FileName, seal};
use mailer::smime::Recipient;
use sealwright_tests::measure::Row;
use sealwright_tests::process::Run;

use super::files::{self, Kind};
use super::{SECONDS, Size, by_turns, peer_program, rows_of};
use crate::usage::of_program;

const ROUNDS: usize = 5;

/// Reading, encrypting and writing; the recipient was found and checked before.
pub(super) fn rows(sizes: &[Size]) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    reader_certificate(folder)?;
    let pyhanko = peer_program("pyhanko")?;
    let mut rows = Vec::new();
    for size in sizes {
        files::write(&folder.join("document.pdf"), size.kind)?;
        let ours = || {
            let arguments = ["client", "seal", "document.pdf", "reader.pem", "sealed.pdf"];
            of_program(&std::env::current_exe()?, &arguments, |run| run.folder(folder))
        };
        let peer = || {
            let arguments = ["encrypt", "--recipient", "reader.pem", "document.pdf", "peer.pdf"];
            of_program(&pyhanko, &arguments, |run| run.folder(folder))
        };
        // The peer takes half a minute for thousands of pages.
        let rounds = if matches!(size.kind, Kind::Pages(_)) { 1 } else { ROUNDS };
        let used = by_turns(rounds, ours, peer)?;
        let names = ["seal to one reader in a wrapper", "  its memory"];
        rows.extend(rows_of(names, *size, "pyhanko encrypt, no wrapper", used, SECONDS));
    }
    Ok(rows)
}

/// pyHanko encrypts to RSA keys only.
fn reader_certificate(folder: &Path) -> Result<()> {
    Run::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Reader"])
        .args(["-addext", "keyUsage=critical,keyEncipherment"])
        .args(["-keyout", "reader.key", "-out", "reader.pem"])
        .folder(folder)
        .ok()
        .map(drop)
}

/// What the client process does: seals one document and writes it durably.
pub(crate) fn client(document: &Path, certificate: &Path, output: &Path) -> Result<()> {
    let certificates = Certificate::from_file_contents(&std::fs::read(certificate)?)?;
    let reader = certificates.into_iter().next().context("a certificate")?;
    let content = Content::from_file(File::open(document)?)?;
    let name = FileName::new("document.pdf")?;
    let sealed = seal(&content, &name, &[Recipient::unchecked(reader, true)], &Explanation::english())?;
    let mut file = File::create(output)?;
    sealed.write_to(&mut file)?;
    Ok(file.sync_all()?)
}
