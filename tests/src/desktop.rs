//! A display that nobody sees (Xvfb), for the stories of programs with windows.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::{Run, Server};

/// A running X server; dropping it ends it.
#[derive(Debug)]
pub struct Desktop {
    _server: Server,
    display: String,
    folder: PathBuf,
}

/// Whether stories of programs with windows run: `scripts/test --full` asks for them, and its set-up installs them.
#[must_use]
pub fn wanted(program: &str) -> bool {
    let wanted = std::env::var_os("SEALWRIGHT_FULL").is_some();
    if !wanted {
        eprintln!("SKIPPED: {program} runs with scripts/test --full");
    }
    wanted
}

impl Desktop {
    /// Starts one on a free display number; its files in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let number = folder.join("display");
        // Xvfb chooses a free number and writes it to a descriptor; as a plain file, so that nobody waits at a pipe.
        let script = r#"exec Xvfb -displayfd 3 -screen 0 1280x900x24 -nolisten tcp 3>"$0""#;
        let run = Run::new("sh").args(["-c", script]).arg(&number);
        let mut server = run.serve(&folder.join("xvfb.log"))?;
        let said = || fs::read_to_string(&number).unwrap_or_default();
        server.wait_until("it says its number", || Ok(said().ends_with('\n')))?;
        let display = format!(":{}", said().trim());
        Ok(Self { _server: server, display, folder: folder.to_owned() })
    }

    /// The variables by which programs find it.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        vec![("DISPLAY".to_owned(), self.display.clone().into())]
    }

    /// Where a picture goes: `SEALWRIGHT_PICTURES` where somebody wants to look at it, a file that is removed otherwise.
    pub fn picture(&self, name: &str) -> PathBuf {
        std::env::var_os("SEALWRIGHT_PICTURES").map_or_else(|| self.folder.clone(), PathBuf::from).join(name)
    }

    /// The Python that has the remote control of Mozilla's programs.
    pub fn python(&self) -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests lies in the workspace")?;
        let python = root.join(".venv/bin/python");
        ensure!(python.exists(), "{} is missing: run scripts/setup --full", python.display());
        Ok(python)
    }
}
