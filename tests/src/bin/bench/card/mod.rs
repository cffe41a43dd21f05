//! The emulated card, beside a card that does nothing but what must be done, the library it computes with, and the
//! foreign emulated card `ifd-jcecard`.
//!
//! - `apdus`: the way of an APDU; `signatures`: through pcscd and in-process; `objects`: reading many.
//! - `generation`: new keys; `cards`: many cards, made and held. `hosts`: what a host sends.
mod apdus;
mod cards;
mod generation;
mod hosts;
mod objects;
mod signatures;

use anyhow::{Result, bail};
use sealwright_tests::measure::Row;

use crate::Options;

/// The parts that are wanted.
pub(crate) fn rows(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("apdus") {
        rows.extend(apdus::rows()?);
    }
    if options.wants("signatures") {
        rows.extend(signatures::rows()?);
    }
    if options.wants("objects") {
        rows.extend(objects::rows()?);
    }
    if options.wants("generation") {
        rows.extend(generation::rows()?);
    }
    if options.wants("cards") {
        rows.extend(cards::rows(options.small)?);
    }
    Ok(rows)
}

/// What the client processes do.
pub(crate) fn client(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["apdus", readers @ ..] => apdus::client(readers),
        ["objects", reader] => objects::client(reader),
        ["signatures", algorithm, form, ours, stub] => signatures::client(algorithm, form, ours, stub),
        ["memory", states @ ..] => cards::memory_client(states),
        other => bail!("no client of the area card: {other:?}"),
    }
}

/// A row of this area.
fn row(name: &'static str, size: &'static str, unit: &'static str) -> Row {
    Row { area: "card", name, size, ours: 0.0, peer: 0.0, peer_name: "-", limit: f64::INFINITY, unit }
}
