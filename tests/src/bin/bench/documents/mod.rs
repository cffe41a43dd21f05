//! Official documents, beside pyHanko and pdfsig. Wall time and memory are those of whole processes.
//!
//! - `office`: who signs, with a card in memory and our own time-stamp service; `files`: the documents.
//! - `signing`: signed and verified; `sealing`: encrypted to readers; `time_stamps`: the service; `distribution`: to many.
mod distribution;
mod files;
mod office;
mod sealing;
mod signing;
mod time_stamps;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use sealwright_tests::measure::Row;

use self::files::Kind;
use crate::Options;
use crate::usage::Usage;

pub(crate) use distribution::client as distribution_client;
pub(crate) use sealing::client as sealing_client;

/// A document to measure with.
#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    kind: Kind,
}

const SIZES: [Size; 3] = [
    Size { name: "1 MB", kind: Kind::Attachment(1_000_000) },
    Size { name: "20 kp", kind: Kind::Pages(20_000) },
    Size { name: "100 MB", kind: Kind::Attachment(100_000_000) },
];

/// The limits for 100 MB; the smaller ones keep them too.
const SECONDS: f64 = 0.6;
const MEGABYTES: f64 = 20.0;

/// The parts that are wanted.
pub(crate) fn rows(options: &Options) -> Result<Vec<Row>> {
    let sizes = if options.small { &SIZES[..2] } else { &SIZES[..] };
    let mut rows = Vec::new();
    if options.wants("signing") || options.wants("verifying") {
        rows.extend(signing::rows(sizes, options)?);
    }
    if options.wants("sealing") {
        rows.extend(sealing::rows(sizes)?);
    }
    if options.wants("time-stamps") {
        rows.extend(time_stamps::rows()?);
    }
    if options.wants("distribution") {
        rows.extend(distribution::rows(options.small)?);
    }
    Ok(rows)
}

/// Ours and the peer's, by turns; the first turn does not count where there are several.
fn by_turns(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Usage>,
    mut peer: impl FnMut() -> Result<Usage>,
) -> Result<[Usage; 2]> {
    if rounds > 1 {
        ours()?;
        peer()?;
    }
    let mut used = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        used.0.push(ours()?);
        used.1.push(peer()?);
    }
    Ok([Usage::median(&used.0), Usage::median(&used.1)])
}

/// A row for the time, with this limit in seconds, and one for the memory.
fn rows_of(
    [time, memory]: [&'static str; 2],
    size: Size,
    peer_name: &'static str,
    [ours, peer]: [Usage; 2],
    limit: f64,
) -> [Row; 2] {
    let row = |name, ours, peer, limit, unit| Row {
        area: "documents",
        name,
        size: size.name,
        ours,
        peer,
        peer_name,
        limit,
        unit,
    };
    [row(time, ours.wall, peer.wall, limit, "s"), row(memory, ours.memory, peer.memory, MEGABYTES, "MB")]
}

/// A program of the Python environment that `scripts/setup` makes.
fn peer_program(name: &str) -> Result<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin").join(name);
    ensure!(program.exists(), "{} is missing: run scripts/setup", program.display());
    Ok(program)
}
