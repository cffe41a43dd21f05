//! Speed, ours and a peer by turns: `bench [card|middleware|issuer|mail|time-stamps] [--json]`, run in release by `scripts/bench`.
//!
//! PC/SC clients find their pcscd by an environment variable, so what talks to a reader is this program once more:
//! `bench client AREA ...` with that variable set.

mod card;
mod issuer;
mod large;
mod mail;
mod middleware;
mod plot;
mod recipients;
mod response_times;
mod revocation;
mod time_stamps;
mod usage;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sealwright_tests::measure::{Row, table};

const AREAS: [&str; 5] = ["card", "middleware", "issuer", "mail", "time-stamps"];
const USAGE: &str =
    "usage: bench [card|middleware|issuer|mail|time-stamps] [--json] [--small] [--only PART] [--plot FILE.svg]
parts of mail: letters, recipients, revocation, large, response-times";

/// What to measure and how to show it.
#[derive(Default)]
struct Options {
    areas: Vec<&'static str>,
    json: bool,
    /// Messages of at most 10 MB: a quick look, and no row of the sizes.
    small: bool,
    /// One part of the area `mail`.
    only: Option<String>,
    /// Where to draw the response times.
    plot: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["client", "card", ours, peer] => card::short_apdus(ours, peer),
        ["client", "mail", folder, card, pin] => mail::protect_by_turns(Path::new(folder), card, pin),
        ["client", "response-times", rest @ ..] => response_times::client(rest),
        ["client", "revocation", folder] => revocation::client(Path::new(folder)),
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
            "card" => card::rows()?,
            "middleware" => middleware::rows()?,
            "issuer" => issuer::rows()?,
            "time-stamps" => time_stamps::rows()?,
            _ => mail(options)?,
        });
    }
    if options.json {
        rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

fn mail(options: &Options) -> Result<Vec<Row>> {
    let wanted = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    let mut rows = Vec::new();
    if wanted("letters") {
        rows.extend(mail::rows()?);
    }
    if wanted("recipients") {
        rows.extend(recipients::rows()?);
    }
    if wanted("revocation") {
        rows.extend(revocation::rows()?);
    }
    if wanted("large") {
        rows.extend(large::rows(options.small)?);
    }
    if wanted("response-times") {
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
