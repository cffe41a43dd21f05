//! What `issuer publish` is told.

use std::path::PathBuf;

use clap::Args;
use middleware::secret_source::SecretSource;

/// Where to, and what.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// A directory or an LDAP URL, remembered from then on; without it, everything goes to every target that is known
    #[arg(long, value_name = "DIR|ldap://HOST/BASE")]
    pub(super) to: Option<String>,
    /// Sign only what has changed since the published CRLs, where the issuer has delta CRLs
    #[arg(long, conflicts_with = "pending")]
    pub(super) delta: bool,
    /// Sign nothing: only bring what was not made known yet to the targets; needs no passphrase. For a timer
    #[arg(long)]
    pub(super) pending: bool,
    /// LDAP: who publishes; a distinguished name
    #[arg(long, value_name = "DN", requires = "to")]
    pub(super) bind_dn: Option<String>,
    /// LDAP: where its password comes from: fd:N or a file, whose name is remembered; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH", requires = "bind_dn")]
    pub(super) bind_password_file: Option<SecretSource>,
    /// LDAP: the certificates, PEM, of those who may speak for the server
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(super) ca_file: Option<PathBuf>,
    /// LDAP: begin TLS on an ldap:// connection (RFC 4511)
    #[arg(long, requires = "ca_file")]
    pub(super) start_tls: bool,
    /// LDAP: the entry below which the entries of the authorities are; the base of the URL unless named
    #[arg(long, value_name = "DN", requires = "to")]
    pub(super) authorities_dn: Option<String>,
}
