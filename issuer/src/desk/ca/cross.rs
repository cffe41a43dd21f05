//! `issuer ca cross-certify`: another organisation's authority, for mail addresses in its domains.

use std::path::Path;

use super::super::failure::{Failure, Status};
use super::super::office::{Office, read_file};
use super::super::output;
use super::public_suffix::{LIST, PublicSuffixes};
use super::record;
use super::succession::CROSS;
use crate::ca::authority::succession::CrossScope;
use crate::ca::profile::Validity;
use crate::ca::{Certificate, SerialNumber};
use crate::config::write_new;
use crate::domain::{Act, AuthorityName, ChainHash, DomainName, GuardedAct};

/// How long another organisation is believed before it is looked at again.
const DAYS: u32 = 1096;

/// Signs the cross-certificate, keeps it to be published, and gives it.
///
/// # Errors
/// Not a CA certificate that signed itself, one of ours, domains of our own, or one below which everybody has their own.
pub(super) async fn run(
    office: &mut Office,
    file: &Path,
    (domains, path_length): (&[String], u8),
    out: Option<&Path>,
) -> Result<Status, Failure> {
    let bytes = read_file(file, 64 * 1024)?;
    let named = |error: crate::ca::CaError| Failure {
        message: format!("{}: {error}", file.display()),
        ..Failure::from(error)
    };
    let other = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => Certificate::from_pem(text),
        _ => Certificate::from_der(bytes),
    }
    .map_err(named)?;
    let domains = domains.iter().map(|domain| checked(office, domain)).collect::<Result<Vec<_>, _>>()?;
    let keys = office.registry.authority_keys().await?;
    for key in &keys {
        if Certificate::from_der(key.certificate.clone())?.public_key() == other.public_key() {
            return Err(Failure::usage(format!(
                "{}: that is our own authority {}",
                file.display(),
                key.name
            )));
        }
    }
    // The addresses are another organisation's, whoever certifies them.
    let details = format!(
        "cross-certify {} (SHA-256 {}) for {}, path length {path_length}",
        other.subject(),
        ChainHash::of(other.as_der()),
        domains.join(", ")
    );
    let approved = office.approve(&GuardedAct::new(Act::OtherDomain, &details)).await?;
    let now = office.time_to_sign().await?;
    let passphrase = office.passphrase()?;
    let mut root = office.authority(AuthorityName::Root, &passphrase).await?;
    let number = SerialNumber::random(&mut office.random);
    let unsigned = root
        .prepare_cross_certificate(
            &office.config.organization,
            &other,
            &CrossScope::Domains { domains: domains.clone(), path_length },
            number.clone(),
            Validity::for_days(now, DAYS),
        )
        .map_err(named)?;
    let name = AuthorityName::Root;
    let signing = (unsigned, approved);
    let cross = record::sign_approved(office, (name, &mut root), (CROSS, &number), signing, now).await?;
    record::keep_given(office, &cross, now).await?;
    match out {
        None => output::bytes(cross.to_pem().as_bytes())?,
        Some(path) => {
            write_new(path, 0o644, cross.to_pem().as_bytes()).map_err(|error| Failure::file(path, &error))?;
            output::line(&format!(
                "\"{}\" is certified until {} for mail addresses in {}. Make it known with: issuer publish",
                cross.subject(),
                cross.not_after().strftime("%F"),
                domains.join(", ")
            ))?;
        }
    }
    Ok(Status::Done)
}

/// A domain in A-labels that is not one of ours, nor one below which everybody has their own.
fn checked(office: &Office, domain: &str) -> Result<String, Failure> {
    let name =
        DomainName::new(domain).map_err(|error| Failure::usage(format!("domain {domain:?}: {error}")))?;
    let is_ours =
        office.config.domains.iter().any(|own| own.covers(name.as_str()) || name.covers(own.as_str()));
    if is_ours {
        return Err(Failure::usage(format!(
            "{domain} is this organisation's own; nobody else certifies its addresses"
        )));
    }
    if !name.as_str().contains('.') {
        return Err(Failure::usage(format!(
            "{domain} has a single label: everybody's addresses below it would be believed; name the organisation's own domain"
        )));
    }
    match PublicSuffixes::read(Path::new(LIST))? {
        Some(suffixes) if suffixes.has(name.as_str()) => {
            return Err(Failure::usage(format!(
                "{domain} is a public suffix, below which anybody has a domain: everybody's addresses below it would be believed; name the organisation's own domain"
            )));
        }
        Some(_) => {}
        None => output::progress(&format!(
            "warning: there is no {LIST} (Debian's package publicsuffix), so whether {domain} is a public suffix, such as co.uk, is not known"
        )),
    }
    Ok(name.as_str().to_owned())
}
