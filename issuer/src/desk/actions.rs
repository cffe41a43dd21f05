//! What can be done at a desk with an opened home: one table, through which every front end goes.
//!
//! The command line and the desk shell parse an [`Action`] and carry it out; [`TABLE`] says of each what it needs and whether
//! it changes a card, for whoever offers choices before anything is typed. What needs no home ([`super::cli`]: `init`, `serve`,
//! `lint`...) is no action.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::Format;
use super::{
    approval, audit, backup, batch, ca, certify, check, class, clock, configuration, evidence, expiring,
    find, issue, life_cycle, operator, pin_letter, publish, renew, replace, report, request, return_card,
    revoke, show, staff, stock, unblock,
};
use crate::domain::Permission;
use crate::registry::SearchFor;

/// One action with its arguments.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// People
    #[command(
        subcommand,
        after_help = "Examples:\n  issuer --home pki staff import staff.csv\n  issuer --home pki staff list"
    )]
    Staff(staff::Command),
    /// Blank cards
    #[command(
        subcommand,
        after_help = "Examples:\n  issuer --home pki stock add --card pcsc:\n  issuer --home pki stock list"
    )]
    Stock(stock::cli::Command),
    /// Make a card in stock into somebody's card
    #[command(after_help = "Examples:\n  issuer --home pki issue alice@example.org --card pcsc:\n  \
        issuer --home pki issue 1001 --card sim:alice.card --transport-pin-file alice.pin")]
    Issue(issue::cli::Arguments),
    /// Make the cards of a list, one after the other, at several readers at once; the same command goes on
    #[command(
        after_help = "Exit status: 0 all done, 3 partly, 1 none. Ctrl-C stops after the step in hand.\n\n\
            Examples:\n  issuer --home pki batch new-staff.csv --card pcsc: --pin-folder pins\n  \
            issuer --home pki batch new-staff.csv --card 'pcsc:Reader 1' 'pcsc:Reader 2' --pin-folder pins"
    )]
    Batch(batch::Arguments),
    /// Compare a card with the registry and the authority, and say what differs; nothing is changed
    #[command(after_help = "Exit status: 0 all agree, 4 something differs, 1 it cannot be found out.\n\n\
            Examples:\n  issuer --home pki check --card pcsc:\n  issuer --home pki check --card sim:alice.card --pin-file alice.pin")]
    Check(check::Arguments),
    /// Make letters (PDF) of transport PINs that lie in files; each file goes once its letter is written
    #[command(after_help = "Examples:\n  issuer --home pki pin-letter pins/*.pin --to letters\n  \
        issuer --home pki pin-letter alice.transport --person alice@example.org --to letters")]
    PinLetter(pin_letter::Arguments),
    /// New certificates on the card that somebody has, for the same keys or new ones; its holder types the PIN
    #[command(after_help = "Examples:\n  issuer --home pki renew alice@example.org --card pcsc:\n  \
        issuer --home pki renew alice@example.org --card pcsc: --new-keys\n  \
        issuer --home pki renew 1001 --card sim:alice.card --key 9C --pin-file fd:3 3< pin")]
    Renew(Box<renew::Arguments>),
    /// Another card in the place of one that is lost, stolen, damaged or worn out
    #[command(
        after_help = "Examples:\n  issuer --home pki replace alice@example.org --because lost --card pcsc:\n  \
        issuer --home pki replace 1001 --because stolen --invalid-since 2026-11-20T08:00:00Z --card pcsc:serial=12345679"
    )]
    Replace(Box<replace::Arguments>),
    /// A new PIN for a blocked card, at the desk or far away
    #[command(after_help = "Examples:\n  issuer --home pki unblock alice@example.org --card pcsc:\n  \
        issuer --home pki unblock alice@example.org --card pcsc: --new-pin terminal\n  \
        issuer --home pki unblock --remote unblock-request:AQ... --check-digits '1234 5678' --identity-check 'called back on the number in the staff list'\n  \
        issuer --home pki unblock --confirm unblock-done:...")]
    Unblock(Box<unblock::Arguments>),
    /// Revoke a person's card and certificates, or one certificate
    #[command(
        after_help = "Examples:\n  issuer --home pki revoke alice@example.org --reason key-compromise --invalid-since 2026-11-20T08:00:00Z\n  \
        issuer --home pki revoke 4f3a09... --reason superseded"
    )]
    Revoke(revoke::cli::Arguments),
    /// Put a card and its certificates on hold
    #[command(
        after_help = "Example:\n  issuer --home pki hold alice@example.org && issuer --home pki publish --to /srv/pki"
    )]
    Hold(life_cycle::WhichCard),
    /// End a hold: everything is as before
    #[command(after_help = "Example:\n  issuer --home pki release alice@example.org")]
    Release(life_cycle::WhichCard),
    /// Record what became of a card: active, pin-blocked, lost, stolen, damaged, destroyed
    #[command(after_help = "Examples:\n  issuer --home pki mark alice@example.org active\n  \
        issuer --home pki mark alice@example.org stolen --invalid-since 2026-11-20T08:00:00Z")]
    Mark(life_cycle::Mark),
    /// Show a card: its state, its history, what can come next and what can be undone
    #[command(
        after_help = "Examples:\n  issuer --home pki show alice@example.org\n  issuer --home pki show serial=12345678"
    )]
    Show(life_cycle::WhichCard),
    /// What the desk is asked to do
    #[command(subcommand, after_help = "Example:\n  issuer --home pki request list")]
    Request(request::Command),
    /// List what ends soon, and queue the renewals
    #[command(
        after_help = "Examples:\n  issuer --home pki expiring --days 30\n  issuer --home pki expiring --days 30 --queue"
    )]
    Expiring(expiring::Arguments),
    /// Report everything of a kind: a table, CSV, or a JSON object a line
    #[command(
        after_help = "Examples:\n  issuer --home pki report cards --state 'on hold'\n  issuer --home pki report people --csv > people.csv\n  \
        issuer --home pki --json report events"
    )]
    Report(report::Arguments),
    /// Who may do what at the desk, by which card
    #[command(subcommand, after_help = "Example:\n  issuer --home pki operator list")]
    Operator(operator::Command),
    /// What one operator alone must not do, and the second one's answer
    #[command(subcommand, after_help = "Example:\n  issuer --home pki approval list")]
    Approval(approval::Command),
    /// Agree to what needs two operators: the same as approval grant
    #[command(after_help = "Example:\n  issuer --home pki approve 3 --operator pcsc:")]
    Approve(approval::WhichApproval),
    /// Write down the life of a person's cards for a third party, who checks it with openssl alone
    #[command(after_help = "Example:\n  issuer --home pki evidence alice@example.org --to evidence")]
    Evidence(evidence::Arguments),
    /// Take a backup of the home and the registry into one encrypted file
    #[command(after_help = "Example:\n  issuer --home pki backup pki.backup")]
    Backup(backup::Arguments),
    /// What the desk thinks of the computer's clock
    #[command(
        subcommand,
        after_help = "Example:\n  issuer --home pki clock accept --why 'the clock was a day ahead until today'"
    )]
    Clock(clock::Command),
    /// What config.toml says of certificates: what counts, and accepting what was edited
    #[command(subcommand, after_help = "Example:\n  issuer --home pki config show")]
    Config(configuration::Command),
    /// The log of everything that happened
    #[command(subcommand, after_help = "Example:\n  issuer --home pki audit verify")]
    Audit(audit::Command),
    /// Sign new CRLs and bring directories of files and LDAP directories up to date
    #[command(after_help = "Examples:\n  issuer --home pki publish --to /srv/pki\n  \
        issuer --home pki publish --to ldaps://ldap.example.org/dc=example,dc=org --ca-file ldap-ca.pem \\\n      \
        --bind-dn cn=issuer,dc=example,dc=org --bind-password-file ldap.password\n  issuer --home pki publish --pending")]
    Publish(publish::Arguments),
    /// Where is published, and what waits for it
    #[command(subcommand, after_help = "Example:\n  issuer --home pki target list")]
    Target(publish::targets::Command),
    /// The authorities after the ceremony: renewal, new keys, cross-certificates, a root whose key is elsewhere
    #[command(
        subcommand,
        after_help = "Examples:\n  issuer --home pki ca list\n  issuer --home pki ca renew people\n  issuer --home pki ca rollover people"
    )]
    Ca(ca::Command),
    /// Classes of readers: who may read documents of a kind
    #[command(
        subcommand,
        after_help = "Examples:\n  issuer --home pki class add board alice@example.org bob@example.org --clearance 3\n  \
        issuer --home pki class publish --to /srv/pki"
    )]
    Class(class::Command),
    /// Find people, cards and certificates
    #[command(after_help = "Examples:\n  issuer --home pki find alice\n  issuer --home pki find 4f3a")]
    Find {
        /// The beginning of a name or a later word of it, of a mail address, identifier, serial number or GUID; what has it
        /// in the middle is looked for if nothing begins so. A card's state (active, "on hold"...), or serial=, guid= or
        /// person= before the beginning
        text: String,
        /// Look for it in the middle of names, too
        #[arg(long)]
        part: bool,
    },
    /// Certify a server of the organisation from its request (PKCS#10)
    #[command(
        after_help = "Example:\n  issuer --home pki certify mail.csr --profile mail-server --out mail.pem"
    )]
    Certify {
        /// The request, DER or PEM
        request: PathBuf,
        /// What kind of certificate
        #[arg(long, value_enum)]
        profile: ServerProfile,
        /// A new file for the certificate and the authority's, PEM; otherwise standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What a server's certificate is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ServerProfile {
    /// SMTP and IMAP servers: serverAuth
    MailServer,
}

/// What an action needs beside the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Registry,
    /// The passphrase of the home's keys.
    Keys,
    /// A card in a reader; `--card` names it.
    Card,
    /// Both.
    KeysAndCard,
}

/// What an action leaves changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It only reads.
    Nothing,
    /// The registry, or published files.
    Records,
    /// What is on a card, too.
    Card,
}

/// What is known of an action before its arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its words, as `stock add`.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// What it changes.
    pub changes: Changes,
}

/// Every action, by its words.
pub const TABLE: &[About] = &[
    about("staff import", Needs::Registry, Changes::Records),
    about("staff list", Needs::Registry, Changes::Nothing),
    about("staff leavers", Needs::Registry, Changes::Records),
    about("stock add", Needs::Card, Changes::Records),
    about("stock return", Needs::Card, Changes::Card),
    about("stock list", Needs::Registry, Changes::Nothing),
    about("issue", Needs::KeysAndCard, Changes::Card),
    about("batch", Needs::KeysAndCard, Changes::Card),
    about("check", Needs::KeysAndCard, Changes::Nothing),
    about("pin-letter", Needs::Registry, Changes::Records),
    about("renew", Needs::KeysAndCard, Changes::Card),
    about("replace", Needs::KeysAndCard, Changes::Card),
    about("unblock", Needs::KeysAndCard, Changes::Card),
    about("revoke", Needs::Registry, Changes::Records),
    about("hold", Needs::Registry, Changes::Records),
    about("release", Needs::Registry, Changes::Records),
    about("mark", Needs::Registry, Changes::Records),
    about("show", Needs::Registry, Changes::Nothing),
    about("request list", Needs::Registry, Changes::Nothing),
    about("request open", Needs::Registry, Changes::Records),
    about("request approve", Needs::Registry, Changes::Records),
    about("request refuse", Needs::Registry, Changes::Records),
    about("request withdraw", Needs::Registry, Changes::Records),
    about("expiring", Needs::Registry, Changes::Records),
    about("report", Needs::Registry, Changes::Nothing),
    about("operator add", Needs::Registry, Changes::Records),
    about("operator remove", Needs::Registry, Changes::Records),
    about("operator list", Needs::Registry, Changes::Nothing),
    about("approval request", Needs::Registry, Changes::Records),
    about("approval list", Needs::Registry, Changes::Nothing),
    about("approval grant", Needs::Registry, Changes::Records),
    about("approval refuse", Needs::Registry, Changes::Records),
    about("approval demand", Needs::Registry, Changes::Records),
    about("approval waive", Needs::Registry, Changes::Records),
    about("approve", Needs::Registry, Changes::Records),
    about("evidence", Needs::Registry, Changes::Nothing),
    about("backup", Needs::Keys, Changes::Nothing),
    about("clock show", Needs::Registry, Changes::Nothing),
    about("clock accept", Needs::Registry, Changes::Records),
    about("config show", Needs::Registry, Changes::Nothing),
    about("config accept", Needs::Registry, Changes::Records),
    about("audit verify", Needs::Registry, Changes::Nothing),
    about("publish", Needs::Keys, Changes::Records),
    about("target list", Needs::Registry, Changes::Nothing),
    about("target forget", Needs::Registry, Changes::Records),
    about("ca list", Needs::Registry, Changes::Nothing),
    about("ca renew", Needs::Keys, Changes::Records),
    about("ca rollover", Needs::Keys, Changes::Records),
    about("ca cross-certify", Needs::Keys, Changes::Records),
    about("ca request", Needs::Keys, Changes::Records),
    about("ca sign", Needs::Keys, Changes::Records),
    about("ca crl", Needs::Keys, Changes::Records),
    about("ca install", Needs::Registry, Changes::Records),
    about("class add", Needs::Registry, Changes::Records),
    about("class remove", Needs::Registry, Changes::Records),
    about("class list", Needs::Registry, Changes::Nothing),
    about("class publish", Needs::Keys, Changes::Records),
    about("find", Needs::Registry, Changes::Nothing),
    about("certify", Needs::Keys, Changes::Records),
];

const fn about(name: &'static str, needs: Needs, changes: Changes) -> About {
    About { name, needs, changes }
}

impl Action {
    /// What whoever asks for it must be allowed to do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Staff(command) => command.permission(),
            Self::Stock(stock::cli::Command::Add(_) | stock::cli::Command::Return(_)) => Permission::Stock,
            Self::Issue(_) | Self::Batch(_) | Self::PinLetter(_) | Self::Renew(_) | Self::Replace(_) => {
                Permission::Issue
            }
            Self::Unblock(_) => Permission::Unblock,
            Self::Revoke(_) => Permission::Revoke,
            Self::Hold(_) | Self::Release(_) | Self::Mark(_) => Permission::LifeCycle,
            Self::Stock(stock::cli::Command::List)
            | Self::Show(_)
            | Self::Check(_)
            | Self::Report(_)
            | Self::Find { .. } => Permission::Read,
            Self::Request(command) => command.permission(),
            Self::Expiring(arguments) => arguments.permission(),
            Self::Operator(command) => command.permission(),
            Self::Approval(command) => command.permission(),
            Self::Approve(_) => Permission::Approve,
            Self::Evidence(_) => Permission::Evidence,
            Self::Backup(_) => Permission::Backup,
            Self::Clock(command) => command.permission(),
            Self::Config(command) => command.permission(),
            Self::Audit(command) => command.permission(),
            Self::Publish(_) => Permission::Publish,
            Self::Target(command) => command.permission(),
            Self::Ca(command) => command.permission(),
            Self::Class(command) => command.permission(),
            Self::Certify { .. } => Permission::Certify,
        }
    }

    /// Whether whoever has the passphrase asks for it, because no operator who may has a good card.
    const fn is_recovery(&self) -> bool {
        match self {
            Self::Stock(stock::cli::Command::Add(arguments)) => arguments.recover,
            Self::Issue(arguments) => arguments.recover,
            Self::Renew(arguments) => arguments.recover,
            Self::Replace(arguments) => arguments.issue.recover,
            Self::Clock(clock::Command::Accept { recover, .. }) => *recover,
            _ => false,
        }
    }

    /// Carries the action out, whoever asked for it, if that operator may.
    ///
    /// # Errors
    /// Those of [`Office::authorize`] and of the action.
    pub async fn carry_out(self, office: &mut Office, format: Format) -> Result<Status, Failure> {
        match self.is_recovery() {
            true => office.authorize_recovery(self.permission()).await?,
            false => office.authorize(self.permission()).await?,
        }
        match self {
            Self::Staff(command) => staff::run(office, command, format).await,
            Self::Stock(stock::cli::Command::Add(arguments)) => {
                stock::add(office, arguments.delivery(), format).await
            }
            Self::Stock(stock::cli::Command::Return(which)) => return_card::run(office, &which, format).await,
            Self::Stock(stock::cli::Command::List) => stock::list(office, format).await,
            Self::Issue(arguments) => issue::run(office, arguments.order()?, format).await,
            Self::Batch(arguments) => batch::run(office, &arguments, format).await,
            Self::Check(arguments) => check::run(office, &arguments, format).await,
            Self::PinLetter(arguments) => pin_letter::run(office, &arguments, format).await,
            Self::Renew(arguments) => renew::run(office, *arguments, format).await,
            Self::Replace(arguments) => replace::run(office, *arguments, format).await,
            Self::Unblock(arguments) => unblock::run(office, *arguments, format).await,
            Self::Revoke(arguments) => revoke::run(office, &arguments.order()?, format).await,
            Self::Hold(which) => life_cycle::hold(office, &which, format).await,
            Self::Release(which) => life_cycle::release(office, &which, format).await,
            Self::Mark(mark) => life_cycle::mark(office, &mark, format).await,
            Self::Show(which) => show::run(office, &which, format).await,
            Self::Request(command) => request::run(office, command, format).await,
            Self::Expiring(arguments) => expiring::run(office, &arguments, format).await,
            Self::Report(arguments) => report::run(office, &arguments, format).await,
            Self::Operator(command) => operator::run(office, command, format).await,
            Self::Approval(command) => approval::run(office, command, format).await,
            Self::Approve(which) => approval::grant(office, &which, format).await,
            Self::Evidence(arguments) => evidence::run(office, &arguments, format).await,
            Self::Backup(arguments) => backup::run(office, &arguments, format).await,
            Self::Clock(command) => clock::run(office, &command, format).await,
            Self::Config(command) => configuration::run(office, &command, format).await,
            Self::Audit(command) => audit::run(office, &command, format).await,
            Self::Publish(arguments) => publish::run(office, &arguments, format).await,
            Self::Target(command) => publish::targets::run(office, &command, format).await,
            Self::Ca(command) => ca::run(office, command, format).await,
            Self::Class(command) => class::run(office, command, format).await,
            Self::Find { text, part } => {
                let how = if part { SearchFor::Parts } else { SearchFor::Beginnings };
                find::run(office, &text, how, format).await
            }
            Self::Certify { request, profile: ServerProfile::MailServer, out } => {
                certify::run(office, &request, out, format).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn leaves(command: &clap::Command, before: &str, names: &mut BTreeSet<String>) {
        for command in command.get_subcommands() {
            let name = format!("{before}{}", command.get_name());
            if command.has_subcommands() {
                leaves(command, &format!("{name} "), names);
            } else {
                names.insert(name);
            }
        }
    }

    #[test]
    fn the_table_has_every_action_once() {
        let mut parsed = BTreeSet::new();
        leaves(&Action::augment_subcommands(clap::Command::new("desk")), "", &mut parsed);
        let tabled: BTreeSet<_> = TABLE.iter().map(|about| about.name.to_owned()).collect();
        assert_eq!(parsed, tabled);
        assert_eq!(tabled.len(), TABLE.len());
    }
}
