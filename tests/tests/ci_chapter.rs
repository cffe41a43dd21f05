//! The README's chapter for CI is followed word for word.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, path};
use sealwright_tests::programs::folder;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The blocks of the chapter in this language, in their order.
fn blocks(language: &str) -> Result<Vec<String>> {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md"))?;
    let (_, chapter) = readme.split_once("\n## An emulated card for your CI\n").context("no such chapter")?;
    let (chapter, _) = chapter.split_once("\n## ").context("the chapter has no end")?;
    let fence = format!("```{language}\n");
    let blocks = chapter.split(&fence).skip(1).map(|after| after.split("```").next().unwrap_or_default());
    Ok(blocks.map(str::to_owned).collect())
}

/// A program of the chapter that stands for a real one: what it would install must be here.
fn stand_in(folder: &Path, name: &str, script: &str) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\nset -eu\n{script}"))?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?)
}

#[test]
fn the_chapter_for_ci_is_true() -> Result<()> {
    let Some(root) = Root::or_skip("a network namespace with pcscd in it")? else { return Ok(()) };
    let blocks = blocks("sh")?;
    ensure!(blocks.len() == 6, "{} blocks", blocks.len());
    let desk = tempfile::tempdir()?;
    let desk = desk.path();
    let bin = desk.join("bin");
    fs::create_dir(&bin)?;
    // Nothing is installed by a test. What stands behind the options is what the packages are called.
    stand_in(
        &bin,
        "apt-get",
        "[ \"$1\" = install ] || exit 0\nshift\nfor word; do case $word in -*) ;; *) dpkg --status \"$word\" > /dev/null ;; esac; done\n",
    )?;
    stand_in(
        &bin,
        "cargo",
        &format!(
            "[ \"$*\" = 'install --locked --path card-sim' ] && [ -f {REPOSITORY}/card-sim/Cargo.toml ]\n"
        ),
    )?;
    fs::write(desk.join("chapter.sh"), blocks.join("\n"))?;
    // A machine of its own: no other pcscd, no other vpcd, its own loopback.
    fs::write(
        desk.join("machine.sh"),
        "ip link set lo up\nmount -t tmpfs tmpfs /run\nexec bash -eu chapter.sh\n",
    )?;
    let mut places = bin.into_os_string();
    for more in [folder()?.as_os_str(), &path()] {
        places.push(":");
        places.push(more);
    }
    let outcome = machine(root)
        .args(["timeout", "300", "sh", "-e", "machine.sh"])
        .env("PATH", places)
        .env("HOME", desk)
        .folder(desk)
        .ok()?;
    let said = outcome.out();
    for expected in [
        "ready 127.0.0.1:35963 test.card\n",
        "Virtual PCD 00 00",
        "> 00 20 00 80 08 [PIN]  # VERIFY, PIN\n< 90 00  # success\n",
        "every answer as recorded\n",
        "seeded: its keys can be computed from its seed",
        "ready 127.0.0.1:35966 4.card\n",
    ] {
        ensure!(said.contains(expected), "{expected:?} is missing in\n{outcome}");
    }
    ensure!(said.matches("Received (SW1=0x90, SW2=0x00)").count() == 4, "{outcome}");
    Ok(())
}

/// Namespaces that end with the program in them, and everything it started.
fn machine(_: Root) -> Run {
    Run::new("unshare").args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
}

/// The Rust of the chapter is the documentation's, which is compiled and run as a test.
#[test]
fn the_chapter_for_rust_is_that_of_the_documentation() -> Result<()> {
    let documentation = fs::read_to_string(Path::new(REPOSITORY).join("card-sim/src/lib.rs"))?;
    let blocks = blocks("rust")?;
    ensure!(blocks.len() == 1, "{} blocks", blocks.len());
    for line in blocks.iter().flat_map(|block| block.lines()) {
        ensure!(documentation.contains(&format!("//! {line}\n")), "{line:?} is not in the documentation");
    }
    Ok(())
}
