//! A PostgreSQL server of its own: a socket in a temporary folder, no network.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Debian's.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The user `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65534;

/// A running server with an empty database `issuer`; it ends when it is dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes it, with the server's own settings for durability, and waits until it answers.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let server = Self { folder };
        let socket = server.socket();
        std::fs::create_dir(&socket)?;
        if is_root() {
            for owned in [server.folder.path(), socket.as_path()] {
                std::os::unix::fs::chown(owned, Some(NOBODY), Some(NOBODY))?;
            }
        }
        let (data, log) = (server.data(), server.folder.path().join("log"));
        let (data, log) = (data.display().to_string(), log.display().to_string());
        run(
            "initdb",
            &["-D", &data, "-U", "desk", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        )?;
        let settings = format!("-k {} -c listen_addresses='' -c max_wal_size=4GB", socket.display());
        run("pg_ctl", &["-D", &data, "-l", &log, "-w", "-o", &settings, "start"])?;
        run("createdb", &["-h", &socket.display().to_string(), "-U", "desk", "issuer"])?;
        Ok(server)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres:///issuer?host={}&user=desk", self.socket().display())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data().display().to_string();
        let _ = run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let path = Path::new(PROGRAMS).join(program);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(&path);
        command
    } else {
        Command::new(&path)
    };
    let output = command.args(arguments).current_dir("/").output().context("postgresql-15 is needed")?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
