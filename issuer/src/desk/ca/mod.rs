//! `issuer ca`: what comes after the ceremony: renewal, new keys, cross-certificates, and a root whose key is elsewhere.
//!
//! - `succession`: `renew` and `rollover`. - `cross`: `cross-certify`, for no domain of everybody's (`public_suffix`).
//! - `elsewhere`: authorities of other homes below this root. - `confirmation`: that a request is the one that was made.
//! - `offline`: `request`, `sign`, `crl` and `install`, between the desk and the machine that has the root's key.
//! - `standing`: a revoked authority certifies nothing. - `due`: what needs somebody soon.

mod confirmation;
mod cross;
pub(super) mod due;
pub(super) mod elsewhere;
mod offline;
mod public_suffix;
mod record;
pub(super) mod standing;
pub(super) mod succession;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::authority_key::{self, KeyLocation};
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::ca::profile::Branch;
use crate::ca::{Certificate, Profile};
use crate::domain::{AuthorityName, Permission};
use standing::Withdrawn;

/// What is done with the authorities.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the keys of the authorities and their certificates
    #[command(after_help = "Example:\n  issuer --home pki ca list")]
    List,
    /// A new certificate of the same key
    #[command(after_help = "Example:\n  issuer --home pki ca renew people")]
    Renew {
        /// Which authority
        #[arg(value_enum)]
        authority: Which,
    },
    /// A new key; with the one before CRLs are signed for as long as its certificates are used
    #[command(after_help = "Examples:\n  issuer --home pki ca rollover people\n  \
        issuer --home pki ca rollover root --key 'pkcs11:token=CA;object=root2?module-path=/usr/lib/softhsm/libsofthsm2.so'")]
    Rollover {
        /// Which authority; a new root and the one before certify each other
        #[arg(value_enum)]
        authority: Which,
        /// Where the new key is: file, pkcs11:...?module-path=FILE or card:LOCATOR; made there before, unless in a file
        #[arg(long, value_name = "LOCATION", default_value = "file")]
        key: KeyLocation,
    },
    /// Certify another organisation's authority for mail addresses in its domains
    #[command(
        after_help = "Example:\n  issuer --home pki ca cross-certify partner-root.pem --domain partner.example --out cross.pem"
    )]
    CrossCertify {
        /// The other authority's certificate, signed by itself; DER or PEM
        certificate: PathBuf,
        /// A domain of mail addresses that it may certify, and those below it
        #[arg(long = "domain", value_name = "DOMAIN", required = true)]
        domains: Vec<String>,
        /// How many authorities may follow below it, if it allows as many itself
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        path_length: u8,
        /// A new file for the cross-certificate, PEM; otherwise standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a new key of an authority, and the request for its certificate, where the root's key is not
    #[command(after_help = "Example:\n  issuer --home pki ca request people --out people.csr")]
    Request {
        /// Which authority
        #[arg(value_enum)]
        authority: Which,
        /// Where the new key is
        #[arg(long, value_name = "LOCATION", default_value = "file")]
        key: KeyLocation,
        /// A new file for the request
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Certify the key of a request for another home, where the root's key is
    #[command(
        after_help = "Example:\n  issuer --home root-home ca sign people.csr --as people --digest 3b1f9c... --out people.pem"
    )]
    Sign {
        /// The request of issuer ca request
        request: PathBuf,
        /// Which authority it shall be
        #[arg(long = "as", value_enum, value_name = "AUTHORITY")]
        authority: Which,
        /// The SHA-256 of the request, as issuer ca request showed it, told another way than the file; otherwise it is asked for
        #[arg(long, value_name = "SHA256")]
        digest: Option<String>,
        /// A new file for the certificate, PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a CRL of the root, where its key is
    #[command(after_help = "Example:\n  issuer --home root-home ca crl --out root.crl")]
    Crl {
        /// A new file for the CRL, DER
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in what was made where the root's key is: an authority's certificate, or the root's CRL
    #[command(
        after_help = "Examples:\n  issuer --home pki ca install people.pem\n  issuer --home pki ca install root.crl"
    )]
    Install {
        /// The certificate or CRL, DER or PEM
        file: PathBuf,
    },
}

/// An authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The anchor
    Root,
    /// For people's certificates
    People,
    /// For servers' certificates
    Servers,
    /// For time stamps and lists of classes
    Documents,
}

impl Which {
    pub(super) const fn name(self) -> AuthorityName {
        match self {
            Self::Root => AuthorityName::Root,
            Self::People => AuthorityName::People,
            Self::Servers => AuthorityName::Servers,
            Self::Documents => AuthorityName::Documents,
        }
    }

    pub(super) const fn profile(self) -> Profile {
        match self {
            Self::Root => Profile::Root,
            Self::People => Profile::IssuingAuthority(Branch::People),
            Self::Servers => Profile::IssuingAuthority(Branch::Servers),
            Self::Documents => Profile::IssuingAuthority(Branch::Documents),
        }
    }
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if matches!(self, Self::List) { Permission::Read } else { Permission::Authority }
    }
}

#[derive(Serialize)]
struct Line {
    authority: &'static str,
    key: u32,
    is_current: bool,
    subject: String,
    serial: String,
    not_after: String,
    location: String,
    revoked_at: Option<String>,
    reason: Option<&'static str>,
    certificates: usize,
    cross_certificates: usize,
    elsewhere: Vec<ElsewhereLine>,
}

/// An authority of another home that a root certified.
#[derive(Serialize)]
struct ElsewhereLine {
    authority: &'static str,
    subject: String,
    serial: String,
    not_after: String,
    revoked_at: Option<String>,
    reason: Option<&'static str>,
}

/// Carries it out.
///
/// # Errors
/// No key, or something that must not be signed or taken in.
pub async fn run(office: &mut Office, command: Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::List => list(office, format).await,
        Command::Renew { authority } => succession::renew(office, authority, format).await,
        Command::Rollover { authority, key } => succession::rollover(office, authority, &key, format).await,
        Command::CrossCertify { certificate, domains, path_length, out } => {
            cross::run(office, &certificate, (&domains, path_length), out.as_deref()).await
        }
        Command::Request { authority, key, out } => offline::request(office, authority, &key, &out).await,
        Command::Sign { request, authority, digest, out } => {
            let digest = digest.as_deref();
            let order = offline::Order { request: &request, which: authority, digest, out: &out };
            offline::sign(office, &order).await
        }
        Command::Crl { out } => offline::crl(office, &out).await,
        Command::Install { file } => offline::install(office, &file).await,
    }
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    due::tell(office).await?;
    let mut lines = Vec::new();
    for key in office.registry.authority_keys().await? {
        let withdrawn = standing::withdrawn(&office.registry, &key).await?;
        let elsewhere = elsewhere_lines(office, &key.given).await?;
        let location = match elsewhere::is_elsewhere(office, &key).await? {
            true => "not here".to_owned(),
            false => {
                let certificate = Certificate::from_der(key.certificate.clone())?;
                authority_key::whereabouts(&office.home, key.name, &certificate)?
            }
        };
        let certificate = Certificate::from_der(key.certificate)?;
        lines.push(Line {
            authority: key.name.as_str(),
            key: key.generation,
            is_current: key.is_current,
            subject: certificate.subject(),
            serial: certificate.serial_number().to_string(),
            not_after: certificate.not_after().to_string(),
            location,
            reason: withdrawn.as_ref().map(Withdrawn::reason),
            revoked_at: withdrawn.map(|withdrawn| withdrawn.since.to_string()),
            certificates: key.earlier.len() + 1,
            cross_certificates: (key.given.len() + key.received.len()).saturating_sub(elsewhere.len()),
            elsewhere,
        });
    }
    if format == Format::Json {
        output::json(&lines)?;
        return Ok(Status::Done);
    }
    for line in lines {
        let now = match line.reason {
            Some(reason) => format!("revoked ({reason}), signs CRLs only"),
            None if line.is_current => "signs certificates".to_owned(),
            None => "signs CRLs only".to_owned(),
        };
        output::line(&format!(
            "{} {}: \"{}\" until {}, {now}; key: {}",
            line.authority, line.key, line.subject, line.not_after, line.location
        ))?;
        for other in line.elsewhere {
            let revoked = other.reason.map(|reason| format!(", revoked ({reason})")).unwrap_or_default();
            output::line(&format!(
                "{} elsewhere: \"{}\" until {}, certified by {} {}, serial number {}{revoked}",
                other.authority, other.subject, other.not_after, line.authority, line.key, other.serial
            ))?;
        }
    }
    Ok(Status::Done)
}

async fn elsewhere_lines(office: &Office, given: &[Vec<u8>]) -> Result<Vec<ElsewhereLine>, Failure> {
    let mut lines = Vec::new();
    for other in elsewhere::among(&office.config.organization, given)? {
        let withdrawn = standing::of_certificate(&office.registry, other.certificate.as_der()).await?;
        lines.push(ElsewhereLine {
            authority: other.name.as_str(),
            subject: other.certificate.subject(),
            serial: other.certificate.serial_number().to_string(),
            not_after: other.certificate.not_after().to_string(),
            reason: withdrawn.as_ref().map(Withdrawn::reason),
            revoked_at: withdrawn.map(|withdrawn| withdrawn.since.to_string()),
        });
    }
    Ok(lines)
}
