//! A real Postfix on free loopback ports: submission with STARTTLS and with TLS, delivery into Dovecot by LMTP.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::dovecot::{Dovecot, Identity, greeting};
use crate::namespace::Enclosed;
use crate::ports::free_port;
use crate::privilege::Root;
use crate::process::{Run, wait_until};

/// A running Postfix; dropping it ends it and every process it started.
#[derive(Debug)]
pub struct Postfix {
    enclosed: Enclosed,
    folder: PathBuf,
    /// Submission, with STARTTLS.
    pub submission: u16,
    /// Submission over TLS.
    pub submissions: u16,
}

impl Postfix {
    /// Starts one that delivers to these mailboxes in Dovecot and refuses every other recipient of the domain.
    pub fn start(
        root: Root,
        folder: &Path,
        tls: &Identity,
        dovecot: &Dovecot,
        domain: &str,
        mailboxes: &[&str],
    ) -> Result<Self> {
        let etc = folder.join("etc");
        fs::create_dir_all(&etc)?;
        for part in ["spool", "data"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Run::new("chown").arg("postfix").arg(folder.join("data")).ok()?;
        Run::new("cp").arg("-R").args(SYSTEM_FILES).arg(&etc).ok()?;
        let boxes: String = mailboxes.iter().map(|address| format!("{address} {address}/\n")).collect();
        fs::write(etc.join("boxes"), boxes)?;
        let [submission, submissions] = [free_port()?, free_port()?];
        fs::write(etc.join("main.cf"), main_cf(folder, tls, dovecot, domain))?;
        fs::write(etc.join("master.cf"), master_cf(submission, submissions))?;
        let etc = etc.display().to_string();
        let log = folder.join("stdout.log");
        let mut enclosed = Enclosed::start(root, &[], &["postfix", "-c", &etc, "start-fg"], &log)?;
        enclosed.wait_until("submission greets", || Ok(greeting(submission)?.starts_with("220 ")))?;
        Ok(Self { enclosed, folder: folder.to_owned(), submission, submissions })
    }

    /// Queue, data and logs: what an operator of the server can read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What Postfix logged.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("maillog"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Lets Postfix know one more mailbox.
    pub fn add_mailbox(&self, address: &str) -> Result<()> {
        let etc = self.folder.join("etc");
        let mut boxes = fs::OpenOptions::new().append(true).open(etc.join("boxes"))?;
        writeln!(boxes, "{address} {address}/")?;
        // A running smtpd has read the table; on a hang-up signal the master starts new ones. Not `postfix reload`: that
        // would signal process 1 of our own namespace.
        self.enclosed.signal(Signal::HUP)
    }

    /// Waits until the log holds a line with all of these.
    pub fn wait_for_log(&self, words: &[&str]) -> Result<()> {
        wait_until(&format!("the mail log says {words:?}"), || {
            Ok(self.log().lines().any(|line| words.iter().all(|word| line.contains(word))))
        })
        .with_context(|| self.log())
    }
}

/// What Postfix wants to find beside its main.cf.
const SYSTEM_FILES: [&str; 3] =
    ["/etc/postfix/dynamicmaps.cf", "/etc/postfix/dynamicmaps.cf.d", "/etc/postfix/postfix-files"];

fn main_cf(folder: &Path, tls: &Identity, dovecot: &Dovecot, domain: &str) -> String {
    let (here, key, certificate) = (folder.display(), tls.key.display(), tls.certificate.display());
    format!(
        "compatibility_level = 3.6
queue_directory = {here}/spool
data_directory = {here}/data
multi_instance_name = postfix-sealwright
maillog_file = {here}/maillog
maillog_file_prefixes = {here}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {domain}
mydestination =
mynetworks =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{here}/etc/boxes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = error:no outside world
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
message_size_limit = 209715200
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtputf8_enable = yes
alias_maps =
local_recipient_maps =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
in_flow_delay = 0
",
        lmtp = dovecot.lmtp,
        sasl = dovecot.sasl,
    )
}

/// Every service with chroot off, the fifth column.
fn master_cf(submission: u16, submissions: u16) -> String {
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
