//! Where our own programs are. `scripts/test` builds them first and names the folder in `SEALWRIGHT_BINARIES`;
//! a plain `cargo test` or `cargo nextest run` builds them here, once per process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The path of one of our programs: `card-sim`, `card`, `issuer`, `mailer`.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

/// The folder that holds our programs and the PKCS#11 module.
pub fn folder() -> Result<&'static Path> {
    let folder = FOLDER.get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")));
    folder.as_deref().map_err(|error| anyhow!("{error}"))
}

fn find_or_build() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("SEALWRIGHT_BINARIES") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    let mut folder = own.parent().context("this program lies in no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in no folder")?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--workspace", "--lib", "--bins"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let built = build.output().context("running cargo")?;
    ensure!(built.status.success(), "cargo build failed:\n{}", String::from_utf8_lossy(&built.stderr));
    Ok(folder.to_owned())
}
