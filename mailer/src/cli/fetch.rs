//! `mailer fetch`: new messages into our own store.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::report::{Exit, Failure, print_text, tell};
use crate::keys::SecretSource;
use crate::transport::courier::maildir_name;
use crate::transport::endpoint::Endpoint;
use crate::transport::mailbox_sync::{Fetched, Store};
use crate::transport::maildir::Maildir;

/// Gets new messages from the IMAP server or the Maildir of the account. They are stored as they come, protected; at the
/// source nothing is removed or marked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer fetch\n  mailer fetch --maildir /var/mail/vhosts")]
pub(super) struct Fetch {
    /// Take them from this folder, which holds one Maildir for each address, instead of the configured source
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Read the mail password from this file or descriptor
    #[arg(long, value_name = "fd:N|PATH")]
    password_file: Option<SecretSource>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

impl Fetch {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let folder = context.home.mail();
        let own = Maildir::create(&folder).map_err(|problem| Failure::file(&folder, &problem))?;
        own.sweep(context.now);
        let store = Store::open(&own, &context.home.position_file(), context.now)?;
        let fetched = match (&self.maildir, &context.config.imap, &context.config.maildir) {
            (Some(folder), _, _) | (None, None, Some(folder)) => from_maildir(&context, store, folder)?,
            (None, Some(url), _) => {
                let credentials = context.credentials(self.password_file.as_ref())?.ok_or_else(|| {
                    Failure::new(
                        "no-user",
                        "no user is configured for the mail server; add --user to mailer setup",
                    )
                })?;
                store.from_imap(&Endpoint::imap(url)?, &context.tls_anchors()?, &credentials)?
            }
            (None, None, None) => {
                let message = "no source of mail is configured; add --imap or --maildir to mailer setup";
                return Err(Failure::new("no-source", message));
            }
        };
        self.tell(&fetched)
    }

    fn tell(&self, fetched: &Fetched) -> Result<Exit, Failure> {
        if self.json {
            print_text(&format!(
                "{}\n",
                json!({ "new": fetched.new, "too_large": fetched.too_large, "unavailable": fetched.unavailable })
            ))?;
        } else {
            print_text(&match fetched.new {
                0 => "No new messages.\n".to_owned(),
                1 => "1 new message.\n".to_owned(),
                count => format!("{count} new messages.\n"),
            })?;
            for uid in &fetched.unavailable {
                tell(&format!(
                    "mailer: the server did not hand out message {uid}; the next fetch asks for it again"
                ));
            }
            for uid in &fetched.too_large {
                tell(&format!("mailer: message {uid} on the server is too large to fetch; it stays there"));
            }
        }
        Ok(if fetched.too_large.is_empty() && fetched.unavailable.is_empty() {
            Exit::Done
        } else {
            Exit::Partly
        })
    }
}

fn from_maildir(context: &Context, store: Store<'_>, folder: &std::path::Path) -> Result<Fetched, Failure> {
    if !folder.is_dir() {
        return Err(Failure::new("no-source", format!("there is no folder {}", folder.display())));
    }
    // Nobody has written to us yet: the Maildir comes with the first message.
    let path = folder.join(maildir_name(&context.address()?));
    if !path.exists() {
        return Ok(Fetched::default());
    }
    let source = Maildir::open(&path).map_err(|problem| Failure::file(&path, &problem))?;
    Ok(store.from_maildir(&source)?)
}
