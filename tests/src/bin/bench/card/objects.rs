//! Reading the 20 retired certificates, none of them there or all of them, in units of one short APDU.
use anyhow::{Result, ensure};
use card_sim::Card;
use card_sim::crypto::SymmetricAlgorithm;
use card_sim::secret::SecretBytes;
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use super::hosts::{ASK_FOR_TRIES, Reader, SELECT};
use super::row;
use crate::{microseconds, numbers};

const ROUNDS: usize = 300;
const CERTIFICATE: [u8; 1500] = [0x5A; 1500];

pub(super) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench card")? else { return Ok(Vec::new()) };
    let world = World::empty()?;
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let empty = world.blank_card("empty")?.state;
    let full = world.blank_card("full")?.state;
    fill(&full)?;
    let mut rows = Vec::new();
    for (state, size, limit) in [(empty, "none", 22.0), (full, "30 kB", f64::INFINITY)] {
        let inserted = pcscd.insert(0, &state)?;
        let client = Run::new(std::env::current_exe()?).args(["client", "card", "objects"]);
        let measured = client.arg(pcscd.reader_name(0)).envs([&pcscd.environment()]).ok()?.out();
        let [ours, one] = numbers(&measured)?;
        rows.push(Row {
            ours,
            peer: one,
            peer_name: "one short APDU",
            limit: limit * one,
            ..row("SELECT, then 20 retired certificates", size, "us")
        });
        drop(inserted);
        pcscd.wait_until_empty(0)?;
    }
    Ok(rows)
}

/// GET DATA of a retired key's certificate, 5FC10D to 5FC120, in an extended APDU.
fn read_command(number: u8) -> [u8; 14] {
    [0x00, 0xCB, 0x3F, 0xFF, 0x00, 0x00, 0x05, 0x5C, 0x03, 0x5F, 0xC1, 0x0D + number, 0x00, 0x00]
}

pub(super) fn client(reader: &str) -> Result<()> {
    let reader = Reader::connect(&Reader::context()?, reader)?;
    let (all, one) = by_turns(
        ROUNDS,
        || {
            reader.transmit(&SELECT, Some(0x9000))?;
            (0..20).try_for_each(|number| reader.transmit(&read_command(number), None).map(drop))
        },
        || reader.transmit(&ASK_FOR_TRIES, None).map(drop),
    )?;
    println!("{} {}", microseconds(all), microseconds(one));
    Ok(())
}

/// Writes the 20 certificates with the factory's management key of a YubiKey.
fn fill(state: &std::path::Path) -> Result<()> {
    let mut card = Card::open(state)?;
    card.power_on();
    authenticate(&mut card)?;
    for number in 0..20 {
        let tag = [0x5C, 0x03, 0x5F, 0xC1, 0x0D + number];
        let length = u16::try_from(CERTIFICATE.len())?;
        let outer = [&[0x53, 0x82][..], &(length + 9).to_be_bytes(), &[0x70, 0x82], &length.to_be_bytes()];
        let data = [&tag[..], &outer.concat(), &CERTIFICATE, &[0x71, 0x01, 0x00, 0xFE, 0x00]].concat();
        let length = u16::try_from(data.len())?.to_be_bytes();
        let command = [&[0x00, 0xDB, 0x3F, 0xFF, 0x00], &length[..], &data].concat();
        let answer = card.transmit(&command);
        ensure!(answer == [0x90, 0x00], "writing certificate {number}: {answer:02X?}");
    }
    Ok(())
}

/// Single authentication with the factory's key: 01 to 08, three times, for AES-192.
pub(super) fn authenticate(card: &mut Card) -> Result<()> {
    let key = SecretBytes::new([1, 2, 3, 4, 5, 6, 7, 8].repeat(3));
    let challenge = card.transmit(&[0x00, 0x87, 0x0A, 0x9B, 0x04, 0x7C, 0x02, 0x81, 0x00, 0x00]);
    let challenge = challenge.get(4..20).unwrap_or_default();
    let response = SymmetricAlgorithm::Aes192.encrypt_block(&key, challenge);
    let response = response.ok_or_else(|| anyhow::anyhow!("a challenge of 16 bytes"))?;
    let command = [&[0x00, 0x87, 0x0A, 0x9B, 0x14, 0x7C, 0x12, 0x82, 0x10][..], &response, &[0x00]].concat();
    let answer = card.transmit(&command);
    ensure!(answer == [0x90, 0x00], "the management key is the factory's");
    Ok(())
}
