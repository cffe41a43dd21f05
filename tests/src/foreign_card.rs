//! `ifd-jcecard`, a foreign emulated card inside a driver of pcscd: built once from its published source, with the
//! versions that it names itself.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::Run;
use crate::programs;

const NAME: &str = "ifd-jcecard";
const VERSION: &str = "0.2.0";

/// Its driver, ready for pcscd.
pub fn driver() -> Result<PathBuf> {
    let folder = programs::folder()?.parent().context("the target folder")?.join("foreign");
    fs::create_dir_all(&folder)?;
    // One builds, whoever else wants it waits.
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock()?;
    let target = folder.join("target");
    let driver = target.join("release/libifd_jcecard.so");
    if !driver.exists() {
        let source = source(&folder)?;
        eprintln!("building {NAME} {VERSION} in {}", folder.display());
        let cargo = cargo().args(["build", "--quiet", "--release", "--lib", "--locked", "--manifest-path"]);
        cargo.arg(source.join("Cargo.toml")).arg("--target-dir").arg(&target).folder(&folder).ok()?;
    }
    Ok(driver)
}

/// Cargo gives the source of a dependency alone; so a package of one dependency is made.
fn source(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"foreign\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\n{NAME} = \"={VERSION}\"\n[workspace]\nexclude = [\"vendor\"]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    cargo().args(["vendor", "--quiet", "--versioned-dirs", "vendor"]).folder(folder).ok()?;
    let source = folder.join(format!("vendor/{NAME}-{VERSION}"));
    // It lies within our workspace and is none of it.
    let manifest = source.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    if !text.contains("[workspace]") {
        fs::write(&manifest, text + "\n[workspace]\n")?;
    }
    Ok(source)
}

/// Cargo with this process's environment: its home, its registry.
fn cargo() -> Run {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    Run::new("cargo").envs(&variables.collect::<Vec<_>>())
}
