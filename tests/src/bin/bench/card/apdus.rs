//! A short APDU through pcscd and vpcd: our card beside one that answers 90 00 to everything, and beside `ifd-jcecard`,
//! which is a driver of pcscd and so needs no socket.
use anyhow::{Context, Result};
use sealwright_tests::foreign_card;
use sealwright_tests::measure::{Row, interleaved, percentile};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;
use serde_json::{Value, json};

use super::hosts::{ASK_FOR_TRIES, Reader, SELECT};
use super::row;
use crate::microseconds;

const ROUNDS: usize = 3000;

pub(super) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench card")? else { return Ok(Vec::new()) };
    let world = World::empty()?;
    let foreign = foreign_card::driver();
    if let Err(reason) = &foreign {
        eprintln!("bench: no figures of ifd-jcecard: {reason:#}");
    }
    let foreign = foreign.ok();
    let pcscd = Pcscd::start_with_driver(root, &world.servers_folder().join("pcscd"), 2, foreign.as_deref())?;
    let _ours = pcscd.insert(0, &world.blank_card("ours")?.state)?;
    let empty = pcscd.in_network(program("vpcd-card")?).args([&Pcscd::vpcd_address(1)?, "empty"]);
    let _stub = pcscd.insert_program(1, empty)?;
    let mut readers = vec![pcscd.reader_name(0), pcscd.reader_name(1)];
    readers.extend(foreign.as_ref().map(|_| Pcscd::foreign_reader_name()));
    let client = Run::new(std::env::current_exe()?).args(["client", "card", "apdus"]).args(&readers);
    let measured = client.envs([&pcscd.environment()]).ok()?.out();
    let measured: Vec<Value> = serde_json::from_str(&measured)?;
    let figure = |card: usize, name: &str| {
        let figure = measured.get(card).and_then(|figures| figures.get(name)).and_then(Value::as_f64);
        figure.with_context(|| format!("{name} of card {card}"))
    };
    let (median, stub) = (figure(0, "median")?, figure(1, "median")?);
    let name = "short APDU through pcscd and vpcd";
    let base = Row { ours: median, ..row(name, "4 B", "us") };
    let mut rows = vec![
        Row { peer: stub, peer_name: "an empty card", limit: 1.15 * stub, ..base.clone() },
        Row {
            name: "the slowest of 100 such APDUs",
            ours: figure(0, "p99")?,
            peer: median,
            peer_name: "the median",
            limit: 2.0 * median,
            ..base.clone()
        },
    ];
    if foreign.is_some() {
        rows.push(Row { peer: figure(2, "median")?, peer_name: "ifd-jcecard", ..base });
    }
    Ok(rows)
}

/// The same APDU to every reader by turns; says medians and 99th percentiles.
pub(super) fn client(readers: &[&str]) -> Result<()> {
    let context = Reader::context()?;
    let readers: Vec<Reader> =
        readers.iter().map(|name| Reader::connect(&context, name)).collect::<Result<_>>()?;
    for reader in &readers {
        reader.transmit(&SELECT, None)?;
    }
    let times = interleaved(ROUNDS, readers.len(), |card| {
        let reader = readers.get(card).context("a reader")?;
        reader.transmit(&ASK_FOR_TRIES, None).map(drop)
    })?;
    let figures: Vec<Value> = times
        .into_iter()
        .map(|times| {
            let figure = |part| microseconds(percentile(&times, part));
            json!({ "median": figure(50), "p99": figure(99) })
        })
        .collect();
    println!("{}", Value::from(figures));
    Ok(())
}
