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

    /// Takes a picture of the whole display.
    ///
    /// # Errors
    /// Where ImageMagick cannot.
    pub fn show(&self, name: &str) -> Result<PathBuf> {
        let file = self.picture(name);
        Run::new("import").args(["-window", "root"]).arg(&file).envs(&self.environment()).ok()?;
        Ok(file)
    }

    /// How many windows are to be seen.
    ///
    /// # Errors
    /// Where xdotool cannot run.
    pub fn windows(&self) -> Result<usize> {
        let search =
            Run::new("xdotool").args(["search", "--onlyvisible", "--name", "."]).envs(&self.environment());
        Ok(search.outcome()?.out().lines().count())
    }

    /// Types a line into the window in the middle; it travels by standard input.
    ///
    /// # Errors
    /// Where xdotool cannot run.
    pub fn type_line(&self, line: &str) -> Result<()> {
        // Without a window manager the keyboard belongs to the window below the pointer.
        Run::new("xdotool").args(["mousemove", "640", "432"]).envs(&self.environment()).ok()?;
        Run::new("xdotool").args(["type", "--file", "-"]).input(line).envs(&self.environment()).ok()?;
        self.press("Return")
    }

    /// Presses a key, such as `Return`.
    ///
    /// # Errors
    /// Where xdotool cannot run.
    pub fn press(&self, key: &str) -> Result<()> {
        Run::new("xdotool").args(["key", key]).envs(&self.environment()).ok()?;
        Ok(())
    }

    /// The Python that has the remote control of Mozilla's programs.
    pub fn python(&self) -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests lies in the workspace")?;
        let python = root.join(".venv/bin/python");
        ensure!(python.exists(), "{} is missing: run scripts/setup --full", python.display());
        Ok(python)
    }
}
