//! `issuer certify`: a certificate for a server of the organisation, from its request.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::{Office, read_file};
use super::output::{self, Format};
use crate::ca::lint::lint;
use crate::ca::profile::{Assurance, MailServer, Validity};
use crate::ca::request::CertificationRequest;
use crate::ca::{Certificate, Profile, SerialNumber};
use crate::clock::Clock;
use crate::config::{Config, write_new};
use crate::domain::{Act, AuthorityName, CertificateState, GuardedAct};
use crate::personalization::domain_serial;
use crate::registry::{Approved, NewCertificate};

#[derive(Serialize)]
struct Summary {
    serial: String,
    names: Vec<String>,
    not_after: String,
    /// Whether this key and these names had the certificate already.
    issued_before: bool,
    file: Option<String>,
}

/// A certificate that ends sooner than this is not given again but renewed.
const RENEWAL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Signs a request for the profile `mail-server`; the answer is the certificate and then the authority's, PEM. A request
/// for a key and names that have a certificate already is answered with that one.
///
/// # Errors
/// Not a request, a name outside the organisation, an existing output file, or a wrong passphrase.
pub async fn run(
    office: &mut Office,
    request: &Path,
    out: Option<PathBuf>,
    format: Format,
) -> Result<Status, Failure> {
    if out.is_none() && format == Format::Json {
        return Err(Failure::usage("with --json, name the file for the certificate with --out"));
    }
    if let Some(out) = out.as_deref().filter(|out| out.exists()) {
        return Err(Failure::new(
            "exists",
            format!("{} exists already and is not overwritten", out.display()),
        ));
    }
    let bytes = read_file(request, 1024 * 1024)?;
    let parsed = CertificationRequest::parse(&bytes).map_err(|error| Failure {
        message: format!("{}: {error}", request.display()),
        ..Failure::from(error)
    })?;
    let foreign = refuse_nameless(&parsed.server, &office.config)?;
    let now = office.time_to_sign().await?;
    let names = names(&parsed.server);
    let known = issued_before(office, &parsed, now).await?;
    let issued_before = known.is_some();
    let (certificate, chain) = match known {
        // Whoever approved it did so when it was signed.
        Some(known) => (known, office.authority_certificate(AuthorityName::Servers).await?),
        None => {
            let approved = match foreign {
                Some(foreign) => approve_foreign_name(office, &foreign).await?,
                None => Approved::default(),
            };
            sign(office, parsed, approved, now).await?
        }
    };
    let pem = format!("{}{}", certificate.to_pem(), chain.to_pem());
    if let Some(out) = &out {
        write_new(out, 0o644, pem.as_bytes()).map_err(|error| Failure::file(out, &error))?;
    }
    let serial = domain_serial(certificate.serial_number())?;
    let record = office.registry.certificate(&serial).await?;
    if record.is_some_and(|record| matches!(record.state.state(), CertificateState::Signed { .. })) {
        office.registry.confirm_delivery(&serial, office.clock.now()).await?;
    }
    if issued_before && format == Format::Text {
        output::progress(&format!(
            "This key has certificate {serial} for {} already; it is given again, and nothing was signed. For another one, revoke that one first.",
            names.join(", ")
        ));
    }
    match (format, out) {
        (Format::Text, None) => output::line(pem.trim_end())?,
        (Format::Text, Some(out)) => output::line(&format!(
            "{}: certificate {serial} until {}, followed by the authority's.",
            out.display(),
            certificate.not_after().strftime("%F")
        ))?,
        (Format::Json, out) => output::json(&Summary {
            serial: serial.to_string(),
            names,
            not_after: certificate.not_after().to_string(),
            issued_before,
            file: out.map(|out| out.display().to_string()),
        })?,
    }
    Ok(Status::Done)
}

/// A name of another domain is certified only where two operators can agree on it.
async fn approve_foreign_name(office: &Office, name: &str) -> Result<Approved, Failure> {
    if !office.registry.dual_control().await?.contains(&Act::OtherDomain) {
        let message = format!(
            "the request names {name}, which is not in a domain of this organisation ({}); nothing was signed",
            office.config.domain_list()
        );
        return Err(Failure::new("foreign-name", message));
    }
    office.approve(&GuardedAct::new(Act::OtherDomain, &format!("certify {name}"))).await
}

/// Addresses must be loopback or private, because nobody can show that a public one is the organisation's. Answers the DNS
/// names that do not lie in the organisation's domains, if there are any.
fn refuse_nameless(server: &MailServer, config: &Config) -> Result<Option<String>, Failure> {
    if server.dns_names.is_empty() && server.ip_addresses.is_empty() {
        return Err(Failure::new(
            "no-name",
            "the request names no server: it needs a subjectAltName with a DNS name or an IP address",
        ));
    }
    for address in &server.ip_addresses {
        if !is_internal(*address) {
            let message = format!(
                "the request names the public address {address}; use a DNS name instead; nothing was signed"
            );
            return Err(Failure::new("foreign-name", message));
        }
    }
    Ok(server.dns_names.iter().find(|name| !config.covers(name)).cloned())
}

fn names(server: &MailServer) -> Vec<String> {
    let addresses = server.ip_addresses.iter().map(ToString::to_string);
    server.dns_names.iter().cloned().chain(addresses).collect()
}

const fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// The certificate that this key has for these names, if it is good for a while yet.
async fn issued_before(
    office: &Office,
    request: &CertificationRequest,
    now: Timestamp,
) -> Result<Option<Certificate>, Failure> {
    let subject = names(&request.server).join(", ");
    let until = now.saturating_add(RENEWAL).unwrap_or(now);
    let records = office.registry.live_certificates(AuthorityName::Servers, &subject, until).await?;
    for der in records.into_iter().filter_map(|record| record.certificate) {
        let certificate = Certificate::from_der(der)?;
        if certificate.public_key() == request.key.public_key() {
            return Ok(Some(certificate));
        }
    }
    Ok(None)
}

async fn sign(
    office: &mut Office,
    request: CertificationRequest,
    approved: Approved,
    now: Timestamp,
) -> Result<(Certificate, Certificate), Failure> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let passphrase = office.passphrase()?;
    let mut authority = office.authority(AuthorityName::Servers, &passphrase).await?;
    let subject = names(&request.server).join(", ");
    let profile = Profile::MailServer(request.server);
    let validity = Validity::for_days(now, profile.maximum_days());
    let number = SerialNumber::random(&mut office.random);
    let organization = &office.config.organization;
    let unsigned = authority.prepare(
        organization,
        &profile,
        Assurance::Production,
        &request.key,
        number.clone(),
        validity,
    )?;
    let linted = lint(unsigned)?;
    let serial = domain_serial(&number)?;
    let reserved = NewCertificate {
        serial: serial.clone(),
        authority: AuthorityName::Servers,
        profile: profile.name().to_owned(),
        subject,
        mail: None,
        on_card: None,
        not_before: validity.not_before,
        not_after: validity.not_after.min(authority.certificate().not_after()),
        to_be_signed: linted.as_der().to_vec(),
    };
    office.registry.reserve_certificate(&reserved, now).await?;
    let certificate = authority.sign(linted)?;
    let (registry, now) = (&office.registry, office.clock.now());
    let recording = registry.record_signature(&serial, certificate.as_der(), now);
    registry.spending(approved, now, recording).await?;
    Ok((certificate, authority.certificate().clone()))
}
