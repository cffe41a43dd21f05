//! A real Dovecot on free loopback ports: IMAP with STARTTLS and with TLS, LMTP and SASL for Postfix.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::namespace::Enclosed;
use crate::ports::free_port;
use crate::privilege::Root;
use crate::process::{PATIENCE, Run};

/// Who owns the mailboxes.
const MAIL_USER: &str = "mail";

/// A running Dovecot; dropping it ends it.
#[derive(Debug)]
pub struct Dovecot {
    _enclosed: Enclosed,
    folder: PathBuf,
    /// IMAP, with STARTTLS.
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// LMTP, for Postfix.
    pub lmtp: u16,
    /// SASL, for Postfix.
    pub sasl: u16,
}

/// A server's TLS identity: PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Private key.
    pub key: PathBuf,
    /// Certificate, followed by those of the CAs up to the anchor.
    pub certificate: PathBuf,
}

impl Dovecot {
    /// Starts one whose users have these addresses, all with this password.
    pub fn start(root: Root, folder: &Path, tls: &Identity, users: &[&str], password: &str) -> Result<Self> {
        for part in ["run", "state", "mail"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Run::new("chown").arg(format!("{MAIL_USER}:{MAIL_USER}")).arg(folder.join("mail")).ok()?;
        let hash = Run::new("openssl").args(["passwd", "-6", "-stdin"]).input(password).ok()?.out();
        let rows: String =
            users.iter().map(|user| format!("{user}:{{SHA512-CRYPT}}{}::::::\n", hash.trim())).collect();
        fs::write(folder.join("passwd"), rows)?;
        let [imap, imaps, lmtp, sasl] = [free_port()?, free_port()?, free_port()?, free_port()?];
        let configuration = folder.join("dovecot.conf");
        fs::write(&configuration, dovecot_conf(folder, tls, [imap, imaps, lmtp, sasl]))?;
        let configuration = configuration.display().to_string();
        let log = folder.join("stdout.log");
        let mut enclosed = Enclosed::start(root, &[], &["dovecot", "-F", "-c", &configuration], &log)?;
        enclosed.wait_until("IMAP greets", || Ok(greeting(imap)?.starts_with("* OK")))?;
        Ok(Self { _enclosed: enclosed, folder: folder.to_owned(), imap, imaps, lmtp, sasl })
    }

    /// Mailboxes, indexes and logs: what an operator of the server can read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Messages that wait in a user's mailbox, unread ones and read ones.
    pub fn messages(&self, user: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for part in ["new", "cur"] {
            let folder = self.folder.join("mail").join(user).join(part);
            if folder.exists() {
                for entry in fs::read_dir(folder)? {
                    found.push(entry?.path());
                }
            }
        }
        Ok(found)
    }
}

/// The first line a server sends on connection; empty while nobody listens.
pub fn greeting(port: u16) -> Result<String> {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return Ok(String::new()) };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).context("reading a greeting").unwrap_or(0) == 1 {
        line.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn dovecot_conf(folder: &Path, tls: &Identity, [imap, imaps, lmtp, sasl]: [u16; 4]) -> String {
    let (here, key, certificate) = (folder.display(), tls.key.display(), tls.certificate.display());
    format!(
        "protocols = imap lmtp
base_dir = {here}/run
state_dir = {here}/state
instance_name = sealwright-{imap}
log_path = {here}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain login
mail_location = maildir:{here}/mail/%u
mail_uid = {MAIL_USER}
mail_gid = {MAIL_USER}
first_valid_uid = 1
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = {here}/passwd
}}
userdb {{
  driver = static
  args = uid={MAIL_USER} gid={MAIL_USER} home={here}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener sasl {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
"
    )
}
