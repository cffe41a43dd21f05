//! Namespaces and Postfix need root: without it a story says so and is skipped, in CI it fails.

use anyhow::{Result, bail};

/// Proof that this process is root; servers that need it ask for one.
#[derive(Clone, Copy, Debug)]
pub struct Root(());

impl Root {
    /// `None`, with a line on stderr, for an ordinary user; an error for an ordinary user in CI.
    pub fn or_skip(what: &str) -> Result<Option<Self>> {
        if rustix::process::geteuid().is_root() {
            return Ok(Some(Self(())));
        }
        if std::env::var_os("CI").is_some() {
            bail!("{what} needs root, and CI must not skip it");
        }
        eprintln!("SKIPPED: {what} needs root");
        Ok(None)
    }
}
