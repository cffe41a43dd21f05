//! Documents signed at the level B-T, and verified: the programs as a user runs them, nothing subtracted.
use std::path::Path;

use anyhow::Result;
use sealwright_tests::measure::Row;
use sealwright_tests::openssl::stranger_certificate;

use super::office::Office;
use super::{SECONDS, Size, by_turns, files, peer_program, rows_of};
use crate::Options;
use crate::usage::of_program;

const ROUNDS: usize = 5;

/// Signing beside pyHanko with a key in a file, verifying beside pdfsig, which builds no path.
pub(super) fn rows(sizes: &[Size], options: &Options) -> Result<Vec<Row>> {
    let office = Office::open()?;
    office.set_up(office.world.maildir_account())?;
    let folder = office.world.folder();
    stranger_certificate(folder, "soft", "example.org")?;
    let mut rows = Vec::new();
    for size in sizes {
        files::write(&office.world.path("document.pdf"), size.kind)?;
        if options.wants("signing") {
            let used = by_turns(ROUNDS, || sign(&office), || pyhanko(&office))?;
            let names = ["sign B-T, card and time stamps included", "  its memory"];
            rows.extend(rows_of(names, *size, "pyhanko, soft key, same time stamps", used, SECONDS));
        }
        if options.wants("verifying") {
            sign(&office)?;
            let pdfsig =
                || of_program(Path::new("pdfsig"), &["-nocert", "signed.pdf"], |run| run.folder(folder));
            let ours = || office.mailer(&["document", "verify", "signed.pdf"]);
            let used = by_turns(ROUNDS, ours, pdfsig)?;
            let limit = used[1].wall;
            rows.extend(rows_of(["verify B-T", "  its memory"], *size, "pdfsig -nocert", used, limit));
        }
    }
    Ok(rows)
}

fn sign(office: &Office) -> Result<crate::usage::Usage> {
    office.keyed(&["document", "sign", "document.pdf", "--level", "b-t", "--output", "signed.pdf"])
}

fn pyhanko(office: &Office) -> Result<crate::usage::Usage> {
    let arguments = [
        "sign",
        "addsig",
        "--field",
        "Signature1",
        "--use-pades",
        "--timestamp-url",
        &office.time_stamps.url,
        "pemder",
        "--key",
        "soft.key",
        "--cert",
        "soft.pem",
        "--no-pass",
        "document.pdf",
        "peer.pdf",
    ];
    of_program(&peer_program("pyhanko")?, &arguments, |run| run.folder(office.world.folder()))
}
