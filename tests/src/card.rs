//! Blank cards as they come from a manufacturer: state files of `card-sim new`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::Run;
use crate::programs::program;

/// PIN of every blank card.
pub const FACTORY_PIN: &str = "123456";

/// A card's state file, and the stock file where its manufacturer wrote one.
#[derive(Clone, Debug)]
pub struct CardFile {
    /// The state.
    pub state: PathBuf,
    /// GUID, PUK and management key of a `standard` card.
    pub stock: Option<PathBuf>,
    /// Serial number of a `yubikey5` card.
    pub serial: Option<u32>,
}

impl CardFile {
    /// A blank card of the personality `yubikey5` with this firmware (`5.4`, `5.7`) and serial number.
    pub fn yubikey(folder: &Path, name: &str, firmware: &str, serial: u32) -> Result<Self> {
        let state = folder.join(format!("{name}.card"));
        let serial_text = serial.to_string();
        new_card(&state, &["--personality", "yubikey5", "--firmware", firmware, "--serial", &serial_text])?;
        Ok(Self { state, stock: None, serial: Some(serial) })
    }

    /// A blank card of the personality `standard`.
    pub fn standard(folder: &Path, name: &str) -> Result<Self> {
        Self::standard_with(folder, name, &[])
    }

    /// The same with keys and more that its manufacturer puts in.
    pub fn standard_with(folder: &Path, name: &str, more: &[&str]) -> Result<Self> {
        let state = folder.join(format!("{name}.card"));
        let stock = folder.join(format!("{name}.stock.toml"));
        let stock_text = stock.display().to_string();
        new_card(&state, &[&["--personality", "standard", "--stock", &stock_text], more].concat())?;
        Ok(Self { state, stock: Some(stock), serial: None })
    }

    /// The card in-process.
    pub fn locator(&self) -> String {
        format!("sim:{}", self.state.display())
    }

    /// A value of the stock file, such as `puk`.
    pub fn stock_value(&self, key: &str) -> Result<String> {
        let stock = self.stock.as_ref().context("a yubikey5 card has no stock file")?;
        let text = fs::read_to_string(stock)?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        let value = line.with_context(|| format!("{} names no {key}", stock.display()))?;
        Ok(value.trim().trim_matches('"').to_owned())
    }
}

fn new_card(state: &Path, arguments: &[&str]) -> Result<()> {
    Run::new(program("card-sim")?).arg("new").arg(state).args(arguments).ok()?;
    Ok(())
}
