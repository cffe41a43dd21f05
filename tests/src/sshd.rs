//! A real sshd on a free loopback port, which lets root in with the keys that a test names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::namespace::Enclosed;
use crate::ports::free_port;
use crate::privilege::Root;
use crate::process::Run;

/// A running sshd; dropping it ends it and its sessions.
#[derive(Debug)]
pub struct Sshd {
    _enclosed: Enclosed,
    folder: PathBuf,
    port: u16,
}

impl Sshd {
    /// Starts one with its files in `folder`. It wants /run/sshd, hence a mount namespace with an empty /run.
    pub fn start(root: Root, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (port, shown) = (free_port()?, folder.display());
        let host_key = folder.join("host_key");
        Run::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key).ok()?;
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host_key\nPidFile none\n\
             AuthorizedKeysFile {shown}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n"
        );
        fs::write(folder.join("sshd_config"), configuration)?;
        let public = fs::read_to_string(folder.join("host_key.pub"))?;
        fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {public}"))?;
        let script = format!(
            "mount -t tmpfs tmpfs /run; mkdir /run/sshd; exec /usr/sbin/sshd -D -e -f {shown}/sshd_config"
        );
        let log = folder.join("sshd.log");
        let mut enclosed = Enclosed::start(root, &["--mount"], &["sh", "-ec", &script], &log)?;
        enclosed.wait_until("it listens", || Ok(fs::read_to_string(&log)?.contains("Server listening")))?;
        Ok(Self { _enclosed: enclosed, folder: folder.to_owned(), port })
    }

    /// Lets these keys in, lines of `authorized_keys`, and no others.
    pub fn authorize(&self, keys: &str) -> Result<()> {
        Ok(fs::write(self.folder.join("authorized_keys"), keys)?)
    }

    /// Makes `run`, which is `ssh`, log in here with the keys of a PKCS#11 module and run a command. `ssh` has no
    /// terminal: it asks the program `askpass` for the PIN.
    pub fn log_in(&self, run: Run, module: &str, askpass: &Path, command: &str) -> Run {
        run.args(["-F", "none", "-o", &format!("UserKnownHostsFile={}/known_hosts", self.folder.display())])
            .args(["-o", "PreferredAuthentications=publickey", "-p", &self.port.to_string(), "-I", module])
            .args(["root@127.0.0.1", command])
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
    }

    /// What it wrote; it must contain these words.
    pub fn says(&self, words: &str) -> Result<()> {
        let log = fs::read_to_string(self.folder.join("sshd.log"))?;
        ensure!(log.contains(words), "sshd does not say {words:?}:\n{log}");
        Ok(())
    }
}
