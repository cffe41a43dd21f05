//! Speed, ours and a peer by turns: `bench [card|middleware|issuer|mail|documents] [--json]`, run in release by `scripts/bench`.
//!
//! PC/SC clients find their pcscd by an environment variable, so what talks to a reader is this program once more:
//! `bench client AREA ...` with that variable set.

mod authority;
mod card;
mod documents;
mod http_client;
mod issuer;
mod issuing;
mod large;
mod mail;
mod middleware;
mod middleware_pkcs11;
mod plot;
mod recipients;
mod registry;
mod response_times;
mod revocation;
mod sizing;
mod usage;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sealwright_tests::measure::{Row, table};

const AREAS: [&str; 5] = ["card", "middleware", "issuer", "mail", "documents"];
const USAGE: &str =
    "usage: bench [card|middleware|issuer|mail|documents] [--json] [--small] [--only PART] [--plot FILE.svg] [--sizing FILE.md]
parts of card: apdus, signatures, objects, generation, cards
parts of middleware: certificates, pkcs11
parts of issuer: cards, batch, signing, lists, serving, directory, registry
parts of mail: letters, recipients, revocation, large, response-times
parts of documents: signing, verifying, sealing, time-stamps, distribution";

/// What to measure and how to show it.
#[derive(Default)]
struct Options {
    areas: Vec<&'static str>,
    json: bool,
    /// Messages of at most 10 MB, registries of at most 100,000 cards: a quick look, and no row of the sizes.
    small: bool,
    /// One part of the areas `card`, `middleware`, `issuer`, `mail` and `documents`.
    only: Option<String>,
    /// Where to draw the response times.
    plot: Option<String>,
    /// Where to write what an issuer needs, from what `issuer` has measured.
    sizing: Option<String>,
}

impl Options {
    /// Whether a part of an area is wanted.
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["client", "authority", rest @ ..] => authority::child(rest),
        ["client", "card", rest @ ..] => card::client(rest),
        ["client", "distribution", folder, to, count] => documents::distribution_client(folder, to, count),
        ["client", "seal", document, certificate, output] => {
            documents::sealing_client(document.as_ref(), certificate.as_ref(), output.as_ref())
        }
        ["client", "mail", folder, card, pin] => mail::protect_by_turns(Path::new(folder), card, pin),
        ["client", "response-times", rest @ ..] => response_times::client(rest),
        ["client", "revocation", folder] => revocation::client(Path::new(folder)),
        ["client", "pkcs11", rest @ ..] => middleware_pkcs11::run(rest),
        ["client", "usage", program, rest @ ..] => usage::client(program, rest),
        given => options(given).and_then(|options| bench(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[&str]) -> Result<Options> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--json" => options.json = true,
            "--small" => options.small = true,
            "--only" => options.only = Some((*rest.next().context(USAGE)?).to_owned()),
            "--plot" => options.plot = Some((*rest.next().context(USAGE)?).to_owned()),
            "--sizing" => options.sizing = Some((*rest.next().context(USAGE)?).to_owned()),
            area => match AREAS.iter().find(|known| **known == area) {
                Some(area) => options.areas.push(area),
                None => bail!(USAGE),
            },
        }
    }
    if options.areas.is_empty() {
        options.areas = AREAS.to_vec();
    }
    Ok(options)
}

fn bench(options: &Options) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for area in &options.areas {
        rows.extend(match *area {
            "card" => card::rows(options)?,
            "middleware" => middleware(options)?,
            "issuer" => issuer(options)?,
            "documents" => documents::rows(options)?,
            _ => mail(options)?,
        });
    }
    if options.json {
        rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        print!("{}", table(&rows));
    }
    if let Some(file) = &options.sizing {
        std::fs::write(file, sizing::page(&rows)).with_context(|| file.clone())?;
    }
    Ok(())
}

fn middleware(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("certificates") {
        rows.extend(middleware::rows()?);
    }
    if options.wants("pkcs11") {
        rows.extend(middleware_pkcs11::rows()?);
    }
    Ok(rows)
}

fn issuer(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("cards") {
        rows.extend(issuer::rows()?);
    }
    if options.wants("batch") {
        rows.extend(issuing::rows(options.small)?);
    }
    rows.extend(authority::rows(options)?);
    if options.wants("registry") {
        rows.extend(registry::rows(options.small)?);
    }
    Ok(rows)
}

fn mail(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("letters") {
        rows.extend(mail::rows()?);
    }
    if options.wants("recipients") {
        rows.extend(recipients::rows()?);
    }
    if options.wants("revocation") {
        rows.extend(revocation::rows()?);
    }
    if options.wants("large") {
        rows.extend(large::rows(options.small)?);
    }
    if options.wants("response-times") {
        response_times::show(options)?;
    }
    Ok(rows)
}

fn numbers(text: &str) -> Result<[f64; 2]> {
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("two numbers were expected")
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
