//! Where a transport PIN goes: the terminal, or a file that gets its name only with the PIN in it.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};
use rustix::io::Errno;

use crate::config::write_new;
use crate::desk::failure::Failure;
use crate::desk::output::Format;
use crate::desk::texts;

/// Where the transport PIN goes; found out before the card is touched.
pub enum PinPlace {
    /// Shown once.
    Terminal,
    /// A file that gets its name only with the PIN in it: a run that is killed leaves none behind.
    New {
        /// Its name.
        path: PathBuf,
        /// `None` once it has it.
        file: Option<File>,
        /// Whether the PIN of an interrupted attempt, which is no card's PIN any more, may lie there.
        replaces: bool,
    },
}

impl PinPlace {
    /// A new file if one is named, else the terminal.
    ///
    /// # Errors
    /// As [`Self::file`] and [`Self::terminal`].
    pub fn new(path: Option<&Path>, format: Format) -> Result<Self, Failure> {
        path.map_or_else(|| Self::terminal(format), Self::file)
    }

    /// The terminal, if somebody looks at it.
    ///
    /// # Errors
    /// Standard output is no terminal.
    pub fn terminal(format: Format) -> Result<Self, Failure> {
        if format == Format::Json || !std::io::stdout().is_terminal() {
            return Err(Failure::usage(
                "the transport PIN is shown at a terminal only, and standard output is none; name a new file for it with --transport-pin-file",
            ));
        }
        Ok(Self::Terminal)
    }

    /// A new file, of mode 0600.
    ///
    /// # Errors
    /// There is one already, or its folder cannot be written.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(
                "exists",
                format!(
                    "{} exists already and is not overwritten; name a new file for the transport PIN",
                    path.display()
                ),
            ));
        }
        Self::without_name(path, false)
    }

    /// A file that an interrupted attempt at the same card may have written already; anything else there stays.
    ///
    /// # Errors
    /// As [`Self::file`], and where something else lies there than a PIN.
    pub fn replacing(path: &Path) -> Result<Self, Failure> {
        let is_pin = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 9);
        if is_pin { Self::without_name(path, true) } else { Self::file(path) }
    }

    fn without_name(path: &Path, replaces: bool) -> Result<Self, Failure> {
        let folder = folder_of(path);
        let only_ours = std::fs::Permissions::from_mode(0o600);
        let file = tempfile::tempfile_in(folder)
            .and_then(|file| file.set_permissions(only_ours).map(|()| file))
            .map_err(|error| Failure::file(folder, &error))?;
        Ok(Self::New { path: path.to_owned(), file: Some(file), replaces })
    }

    /// Puts the PIN there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn deliver(&mut self, pin: &str) -> std::io::Result<()> {
        match self {
            Self::Terminal => {
                let mut terminal = std::io::stdout().lock();
                writeln!(terminal, "{} {pin}", texts::say("issue-pin", &[]))?;
                terminal.flush()
            }
            Self::New { path, file, replaces } => {
                let Some(mut file) = file.take() else { return Ok(()) };
                writeln!(file, "{pin}")?;
                file.sync_all()?;
                if *replaces {
                    std::fs::remove_file(&*path)?;
                }
                if !give_name(&file, path)? {
                    write_new(path, 0o600, format!("{pin}\n").as_bytes())?;
                }
                // Its name must survive a power cut too: nobody can ask the card for the PIN.
                File::open(folder_of(path))?.sync_all()
            }
        }
    }
}

/// Gives a file without a name one that is not taken; answers whether this file system can.
fn give_name(file: &File, path: &Path) -> std::io::Result<bool> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, source, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        Err(_) => Ok(false),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
