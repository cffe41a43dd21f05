//! The command line: arguments, help, dispatch.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use getrandom::SysRng;
use jiff::Timestamp;
use middleware::secret_source::SecretSource;
use middleware::{KeyAlgorithm, Locator};
use rand_core::UnwrapErr;

use super::actions::Action;
use super::authority_key::KeyLocation;
use super::failure::{Failure, Status};
use super::office::Surroundings;
use super::operator::OperatorCard;
use super::output::{self, Format};
use super::texts::{self, Language};
use super::{backup, ceremony, help, init, lint, ocsp, serve, shell, tsa};
use crate::ca::profile::PivExtensions;
use crate::ca::profile::status_services::{DeltaCrls, OcspService};
use crate::clock::SystemClock;
use crate::config::{Config, Home};
use crate::domain::AuthorityName;
use crate::registry::{EmulatedCards, RegistryUrl};

/// Certification authority and card issuance desk.
#[derive(Parser, Debug)]
#[command(
    name = "issuer",
    version,
    about,
    after_help = "Exit status: 0 done, 1 refused or failed, 2 usage, 3 partly done, 4 not trusted.\n\n\
        Example:\n  issuer --home pki init --organization Example --domain example.org --base-url http://pki.example.org"
)]
pub struct Cli {
    /// The issuer's home: configuration, keys, registry
    #[arg(long, global = true, env = "ISSUER_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// Another registry than the home's own: sqlite:FILE or postgres://...
    #[arg(long, global = true, env = "ISSUER_REGISTRY", value_name = "URL")]
    registry: Option<RegistryUrl>,
    /// Who does it: the operator's card (pcsc:, pcsc:READER, sim:FILE); in a desk without operators a name for the log
    #[arg(long, global = true, env = "ISSUER_OPERATOR", value_name = "LOCATOR|NAME")]
    operator: Option<String>,
    /// Where the PIN of the operator's card comes from: fd:N, a file or pinentry; otherwise it is asked for
    #[arg(long, global = true, value_name = "fd:N|PATH")]
    operator_pin_file: Option<SecretSource>,
    /// The card of a second operator, who approves on the spot what needs two
    #[arg(long, global = true, value_name = "LOCATOR")]
    second_operator: Option<Locator>,
    /// Where the PIN of the second operator's card comes from; otherwise it is asked for
    #[arg(long, global = true, value_name = "fd:N|PATH", requires = "second_operator")]
    second_operator_pin_file: Option<SecretSource>,
    /// Where the passphrase of the keys comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, global = true, value_name = "fd:N|PATH")]
    passphrase_file: Option<SecretSource>,
    /// Where the PIN of authorities' keys on tokens and cards comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, global = true, value_name = "fd:N|PATH")]
    key_pin_file: Option<SecretSource>,
    /// In which language it answers; otherwise that of LC_ALL, LC_MESSAGES or LANG
    #[arg(long, global = true, env = "ISSUER_LANGUAGE", value_enum, value_name = "LANGUAGE")]
    language: Option<Language>,
    /// Print JSON; errors too, on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a new certification authority: root, authorities for people and servers, master key, registry
    #[command(
        after_help = "Example:\n  issuer --home pki init --organization Example --domain example.org --base-url http://pki.example.org"
    )]
    Init(Box<InitArguments>),
    #[command(flatten)]
    Action(Action),
    /// Restore a backup into a home and a registry that are not there yet
    #[command(
        after_help = "Examples:\n  issuer --home pki restore pki.backup --published /srv/pki\n  issuer --home pki --registry postgres://issuer@db/issuer restore pki.backup"
    )]
    Restore(backup::RestoreArguments),
    /// The desk as a shell: insert a card and be led through, or type commands
    #[command(
        after_help = "Examples:\n  issuer --home pki desk\n  issuer --home pki desk --card 'pcsc:My Reader 00 00'"
    )]
    Desk(shell::Arguments),
    /// Serve a published directory over HTTP (RFC 4387, OCSP); needs neither CA keys nor registry
    #[command(after_help = "Examples:\n  issuer serve --from /srv/pki --listen 127.0.0.1:8080\n  \
        issuer serve --from /srv/pki --ocsp /srv/ocsp --service-passphrase-file ocsp.pass")]
    Serve(serve::Arguments),
    /// The OCSP responder (RFC 6960) that answers what was not prepared; its folder is served by issuer serve
    #[command(after_help = "Example:\n  issuer --home pki ocsp init --folder /srv/ocsp")]
    Ocsp(ocsp::Arguments),
    /// The time-stamp service (RFC 3161); it runs with a folder of its own, without registry and CA keys
    #[command(
        after_help = "Examples:\n  issuer --home pki tsa init\n  issuer --home pki tsa --listen 127.0.0.1:8318\n  \
        openssl ts -query -data FILE -sha256 -cert | curl -s -H 'Content-Type: application/timestamp-query' --data-binary @- URL"
    )]
    Tsa(tsa::Arguments),
    /// Check any certificate or CRL against the rules that ours pass before they are signed
    #[command(
        after_help = "Exit status: 0 no findings, 4 findings, 3 a block that is neither certificate nor CRL, 1 nothing but such.\n\n\
            Examples:\n  issuer lint alice.cer\n  issuer lint ca-chain.pem"
    )]
    Lint {
        /// DER, or PEM with one block or more
        file: PathBuf,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  issuer completions bash > /etc/bash_completion.d/issuer")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages
    #[command(after_help = "Example:\n  issuer man /usr/local/share/man/man1")]
    Man {
        /// Where to
        directory: PathBuf,
    },
}

#[derive(Args, Debug)]
struct InitArguments {
    /// Make what this TOML file declares; it is shown, and done when it is confirmed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["organization", "domains", "base_url"])]
    ceremony: Option<PathBuf>,
    /// The digest of the declaration that was reviewed, as `init --ceremony FILE` showed it
    #[arg(long, value_name = "SHA-256", requires = "ceremony")]
    confirm: Option<String>,
    /// Name of the organisation, as certificates show it
    #[arg(long, required_unless_present = "ceremony", default_value = "", hide_default_value = true)]
    organization: String,
    /// Registration identifier (X.520 organizationIdentifier), as NTRDE-HRB12345
    #[arg(long, value_name = "IDENTIFIER")]
    organization_identifier: Option<String>,
    /// Domain of its mail addresses and servers; one or more
    #[arg(long = "domain", value_name = "DOMAIN", required_unless_present = "ceremony", num_args = 1..)]
    domains: Vec<String>,
    /// Where the published directory will be served: `http://HOST[:PORT][/PATH]`; with a path, by `serve --below PATH` or behind
    /// a proxy that takes it away
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "ceremony",
        default_value = "",
        hide_default_value = true
    )]
    base_url: String,
    /// Personalise emulated cards too: for tests, never for production
    #[arg(long)]
    allow_emulated: bool,
    /// Algorithm of the three authorities' keys, where they are made in files
    #[arg(long, value_enum, default_value = "p256")]
    key_algorithm: AuthorityKeyAlgorithm,
    /// Where the root's key is: file, pkcs11:...?module-path=FILE or card:LOCATOR; made there before, unless in a file
    #[arg(long, value_name = "LOCATION", default_value = "file")]
    root_key: KeyLocation,
    /// Where the key of the authority for people is
    #[arg(long, value_name = "LOCATION", default_value = "file")]
    people_key: KeyLocation,
    /// Where the key of the authority for servers is
    #[arg(long, value_name = "LOCATION", default_value = "file")]
    servers_key: KeyLocation,
    /// Arc of the certificate policies, for an organisation that has its own
    #[arg(long, value_name = "OID")]
    policy_arc: Option<String>,
    /// Name the card's UUID in the certificates of 9A and 9E, for readers that look for PIV cards (SP 800-73-5)
    #[arg(long)]
    piv_extensions: bool,
    /// Divide the CRL of the authority for people into this many, 2 to 1024; certificates name theirs
    #[arg(long, value_name = "N")]
    crl_partitions: Option<u16>,
    /// Make delta CRLs for the authority for people; publish at least daily then
    #[arg(long)]
    delta_crls: bool,
    /// Name an OCSP responder, BASE_URL/ocsp, in the certificates, and publish answers for it
    #[arg(long)]
    ocsp: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AuthorityKeyAlgorithm {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// Parses, carries out, prints; answers the exit status.
pub async fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<_> = arguments.collect();
    let (outcome, format) = match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let format = if cli.json { Format::Json } else { Format::Text };
            let environment = || Language::of_environment(|name| std::env::var(name).ok());
            texts::speak(cli.language.unwrap_or_else(environment));
            (dispatch(cli, format).await, format)
        }
        Err(error) if error.use_stderr() && !wants_json(&arguments) => {
            let _ = error.print();
            return Status::Usage.code();
        }
        Err(error) if error.use_stderr() => (Err(Failure::usage(said(&error))), Format::Json),
        // Help and version.
        Err(error) => {
            if let Some(told) = told(&arguments) {
                let done = output::line(told.trim_end()).map(|()| Status::Done);
                return done.map_or(Status::Failed, |status| status).code();
            }
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            (output::judged(printed).map(|()| Status::Done), Format::Text)
        }
    };
    match outcome {
        Ok(status) => status.code(),
        Err(failure) => {
            match format {
                Format::Json => {
                    let error =
                        serde_json::json!({ "error": { "code": failure.code, "message": failure.message } });
                    output::progress(&error.to_string());
                }
                Format::Text => output::progress(&format!("issuer: {}", texts::failure(&failure))),
            }
            failure.status.code()
        }
    }
}

/// Help in another language than English, if that is wanted; what the manual pages say is English.
fn told(arguments: &[OsString]) -> Option<String> {
    let language = |name: &OsString| Language::from_str(name.to_str()?, true).ok();
    let mut words = arguments.iter();
    let named = words.find(|word| *word == "--language").and_then(|_| language(words.next()?));
    let of_environment = || std::env::var_os("ISSUER_LANGUAGE").as_ref().and_then(language);
    let environment = || Language::of_environment(|name| std::env::var(name).ok());
    let texts = texts::Texts::new(named.or_else(of_environment).unwrap_or_else(environment));
    if texts.language() == Language::English {
        return None;
    }
    let told = help::in_words(Cli::command(), &texts).try_get_matches_from(arguments).err()?;
    (told.kind() != ErrorKind::DisplayVersion).then(|| help::with_headings(&told.to_string(), &texts))
}

/// Whether `--json` was given, on a command line that is not understood otherwise.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

/// The sentence of a usage error, without the usage that follows it.
pub(super) fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<_> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    let sentence = words.join(" ");
    sentence.strip_prefix("error: ").unwrap_or(&sentence).to_owned()
}

async fn dispatch(cli: Cli, format: Format) -> Result<Status, Failure> {
    let surroundings = Surroundings {
        home: cli.home.map(Home::new),
        registry: cli.registry,
        operator: cli.operator,
        operator_pin: cli.operator_pin_file,
        second_operator: cli.second_operator.map(|locator| OperatorCard {
            locator,
            pin: cli.second_operator_pin_file.unwrap_or(SecretSource::Terminal),
        }),
        passphrase: cli.passphrase_file.unwrap_or(SecretSource::Terminal),
        key_pin: cli.key_pin_file,
        format,
        is_restored: false,
    };
    let registry = surroundings.registry_file();
    carry_out(cli.command, surroundings, format).await.map_err(|failure| match registry {
        Some(file) => failure.of_registry(&file),
        None => failure,
    })
}

async fn carry_out(command: Command, surroundings: Surroundings, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Init(arguments) => initialise(&surroundings, *arguments).await,
        Command::Desk(arguments) => shell::run(&surroundings, arguments, format).await,
        Command::Restore(arguments) => backup::restore(&surroundings, &arguments, format).await,
        Command::Action(action) => {
            let mut office = surroundings.open_to_do(action.permission()).await?;
            action.carry_out(&mut office, format).await
        }
        Command::Serve(arguments) => serve::run(arguments, format).await,
        Command::Ocsp(arguments) => ocsp::run(&surroundings, arguments, format).await,
        Command::Tsa(arguments) => tsa::run(&surroundings, arguments, format).await,
        Command::Lint { file } => lint::run(&file, format),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "issuer", &mut script);
            output::bytes(&script)?;
            Ok(Status::Done)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Cli::command(), &directory)
                .map_err(|error| Failure::file(&directory, &error))?;
            Ok(Status::Done)
        }
    }
}

async fn initialise(surroundings: &Surroundings, arguments: InitArguments) -> Result<Status, Failure> {
    if let Some(file) = &arguments.ceremony {
        let plan = ceremony::reviewed(file, arguments.confirm.as_deref())?;
        init::run(surroundings, plan, &SystemClock, &mut UnwrapErr(SysRng)).await?;
        return Ok(Status::Done);
    }
    let config = Config::new(
        &arguments.organization,
        arguments.organization_identifier.as_deref(),
        &arguments.domains,
        &arguments.base_url,
        arguments.policy_arc.as_deref(),
        if arguments.piv_extensions { PivExtensions::Included } else { PivExtensions::Omitted },
    )
    .and_then(|config| {
        config.with_status_services(
            arguments.crl_partitions,
            if arguments.delta_crls { DeltaCrls::Published } else { DeltaCrls::Omitted },
            if arguments.ocsp { OcspService::Offered } else { OcspService::Absent },
        )
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let plan = init::Plan {
        config,
        emulated: if arguments.allow_emulated { EmulatedCards::Allowed } else { EmulatedCards::Refused },
        key_algorithm: match arguments.key_algorithm {
            AuthorityKeyAlgorithm::P256 => KeyAlgorithm::P256,
            AuthorityKeyAlgorithm::P384 => KeyAlgorithm::P384,
            AuthorityKeyAlgorithm::Rsa2048 => KeyAlgorithm::Rsa2048,
            AuthorityKeyAlgorithm::Rsa3072 => KeyAlgorithm::Rsa3072,
            AuthorityKeyAlgorithm::Rsa4096 => KeyAlgorithm::Rsa4096,
        },
        keys: BTreeMap::from([
            (AuthorityName::Root, arguments.root_key),
            (AuthorityName::People, arguments.people_key),
            (AuthorityName::Servers, arguments.servers_key),
        ]),
        ceremony: None,
    };
    init::run(surroundings, plan, &SystemClock, &mut UnwrapErr(SysRng)).await?;
    Ok(Status::Done)
}

/// RFC 3339, or a day, which begins at midnight UTC.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let day = text
        .parse::<jiff::civil::Date>()
        .map_err(|_| "give a day (2026-11-20) or a time (2026-11-20T08:00:00Z)".to_owned())?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(midnight.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command) {
            for command in command.get_subcommands() {
                check(command);
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(parse_time("2026-11-20").unwrap().to_string(), "2026-11-20T00:00:00Z");
        assert_eq!(parse_time("2026-11-20T08:00:00+01:00").unwrap().to_string(), "2026-11-20T07:00:00Z");
        assert!(parse_time("yesterday").is_err());
    }
}
