//! A root whose key is not at the desk: what goes to the machine that has it, and what comes back.

use std::path::Path;

use super::super::authority_key::{self, KeyLocation};
use super::super::failure::{Failure, Status};
use super::super::office::{Office, read_file};
use super::super::output;
use super::super::publish::root_list;
use super::standing::{refuse_absent_root, refuse_withdrawn};
use super::succession::{assurance, new_signer, next_generation, put_in_place};
use super::{Which, record};
use crate::ca::authority::succession::Succession;
use crate::ca::certificate::pem_contents;
use crate::ca::crl::view::CrlView;
use crate::ca::profile::Validity;
use crate::ca::request::{CertificationRequest, authority_request, generation_of};
use crate::ca::{Certificate, SerialNumber};
use crate::config::write_new;
use crate::domain::AuthorityName;
use crate::registry::AuthorityKey;

/// Certificates and requests are small; a root's CRL is not long.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Makes a key and asks for its certificate. Nothing changes until the certificate is installed.
///
/// # Errors
/// A root asks nobody; or the key cannot be made.
pub(super) async fn request(
    office: &mut Office,
    which: Which,
    location: &KeyLocation,
    out: &Path,
) -> Result<Status, Failure> {
    refuse_root(which)?;
    let passphrase = office.passphrase()?;
    let name = which.name();
    let old = office.authority_certificate(name).await?;
    let generation = next_generation(office, name).await?;
    let mut signer = new_signer(office, name, location, &old, &passphrase).await?;
    let organization = &office.config.organization;
    let text = authority_request(organization, &which.profile(), generation, signer.as_mut())?;
    write_new(out, 0o644, text.as_bytes()).map_err(|error| Failure::file(out, &error))?;
    output::line(&format!(
        "The request is in {0}. Carry it to the machine that has the root's key: issuer ca sign {0} --as {name} --out {name}.pem; then here: issuer ca install {name}.pem",
        out.display()
    ))?;
    Ok(Status::Done)
}

/// Certifies the key of a request.
///
/// # Errors
/// The root's key is not here either, or the request does not prove its key.
pub(super) async fn sign(
    office: &mut Office,
    request: &Path,
    which: Which,
    out: &Path,
) -> Result<Status, Failure> {
    refuse_root(which)?;
    let bytes = read_file(request, LONGEST)?;
    let asked = CertificationRequest::parse(&bytes).map_err(|error| Failure {
        message: format!("{}: {error}", request.display()),
        ..Failure::from(error)
    })?;
    refuse_absent_root(office, AuthorityName::Root).await?;
    let now = office.time_to_sign().await?;
    let passphrase = office.passphrase()?;
    let mut root = office.authority(AuthorityName::Root, &passphrase).await?;
    let (name, profile) = (which.name(), which.profile());
    let old = office.authority_certificate(name).await?;
    let generation = next_generation(office, name).await?;
    refuse_other_role(office, request, which, &asked.subject)?;
    if let Some(certified) = certified_before(office, request, name, &asked).await? {
        output::progress(
            "This key is certified already; its certificate is given again, and nothing was signed.",
        );
        return give(&certified, out);
    }
    let assurance = assurance(office).await?;
    let number = SerialNumber::random(&mut office.random);
    let unsigned = root.prepare_successor(
        &office.config.organization,
        (&profile, assurance),
        &Succession::Generation(generation),
        &asked.key,
        number.clone(),
        Validity::for_days(now, profile.maximum_days()),
    )?;
    let names = (profile.name(), &number);
    let certificate = record::sign(office, (AuthorityName::Root, &mut root), names, unsigned, now).await?;
    // Here too, so that the next one is counted on.
    put_in_place(office, name, &old, &certificate).await?;
    give(&certificate, out)
}

fn give(certificate: &Certificate, out: &Path) -> Result<Status, Failure> {
    write_new(out, 0o644, certificate.to_pem().as_bytes()).map_err(|error| Failure::file(out, &error))?;
    output::line(&format!(
        "\"{}\" is certified until {}; carry {} back: issuer ca install {}",
        certificate.subject(),
        certificate.not_after().strftime("%F"),
        out.display(),
        out.display()
    ))?;
    Ok(Status::Done)
}

/// A request or a certificate says whose it is by its name.
fn refuse_other_role(office: &Office, file: &Path, which: Which, subject: &str) -> Result<u32, Failure> {
    let organization = &office.config.organization;
    if let Some(generation) = generation_of(organization, &which.profile(), subject)? {
        return Ok(generation);
    }
    let issuing = [Which::Root, Which::People, Which::Servers, Which::Documents];
    for other in issuing {
        if generation_of(organization, &other.profile(), subject)?.is_some() {
            let message = format!(
                "{}: it is for \"{subject}\", the authority {}, and not for {}",
                file.display(),
                other.name(),
                which.name()
            );
            return Err(Failure::new("other-authority", message));
        }
    }
    let message = format!(
        "{}: it is for \"{subject}\", which is no authority of {}; was it made by another desk?",
        file.display(),
        organization.name
    );
    Err(Failure::new("not-ours", message))
}

/// The certificate of a request's key, if it has one as this authority's newest.
async fn certified_before(
    office: &Office,
    file: &Path,
    name: AuthorityName,
    asked: &CertificationRequest,
) -> Result<Option<Certificate>, Failure> {
    for key in office.registry.authority_keys().await? {
        let certificate = Certificate::from_der(key.certificate)?;
        if certificate.public_key() != asked.key.public_key() {
            continue;
        }
        if key.name == name && key.is_current {
            return Ok(Some(certificate));
        }
        let message = format!(
            "{}: its key is that of \"{}\" (key {} of the authority {}); make a request with a new one: issuer ca request {name}",
            file.display(),
            certificate.subject(),
            key.generation,
            key.name
        );
        return Err(Failure::new("key-in-use", message));
    }
    Ok(None)
}

/// Signs a CRL of the root.
///
/// # Errors
/// The root's key is not here.
pub(super) async fn crl(office: &mut Office, out: &Path) -> Result<Status, Failure> {
    refuse_absent_root(office, AuthorityName::Root).await?;
    let now = office.time_to_sign().await?;
    let crl = root_list(office, now).await?;
    write_new(out, 0o644, &crl).map_err(|error| Failure::file(out, &error))?;
    output::line(&format!("The root's CRL is in {0}; at the desk: issuer ca install {0}", out.display()))?;
    Ok(Status::Done)
}

/// Takes in a certificate or a CRL of the root's.
///
/// # Errors
/// It is neither, is not the root's, or must not follow what is there.
pub(super) async fn install(office: &mut Office, file: &Path) -> Result<Status, Failure> {
    let bytes = read_file(file, LONGEST)?;
    let certificate = pem_contents("CERTIFICATE", &bytes).unwrap_or_else(|| bytes.clone());
    if let Ok(certificate) = Certificate::from_der(certificate) {
        return install_certificate(office, file, &certificate).await;
    }
    let crl = pem_contents("X509 CRL", &bytes).unwrap_or(bytes);
    if CrlView::from_der(&crl).is_err() {
        let message = format!("{} is neither a certificate nor a CRL", file.display());
        return Err(Failure::new("malformed", message));
    }
    install_list(office, file, &crl).await
}

async fn install_certificate(
    office: &Office,
    file: &Path,
    certificate: &Certificate,
) -> Result<Status, Failure> {
    let refused = |reason: &str| Failure::new("not-ours", format!("{}: {reason}", file.display()));
    let root = office.authority_certificate(AuthorityName::Root).await?;
    certificate.verify_issuer(&root).map_err(|_| refused("it is not signed by this issuer's root"))?;
    if !certificate.is_authority() {
        return Err(refused("it is not a CA certificate"));
    }
    if !crate::ca::lint::lint_certificate(certificate.as_der())?.is_empty() {
        return Err(refused("the lint finds faults in it; look with: issuer lint"));
    }
    if certificate.not_after() < crate::clock::Clock::now(&office.clock) {
        return Err(refused("it has expired"));
    }
    for key in office.registry.authority_keys().await? {
        if Certificate::from_der(key.certificate.clone())?.public_key() == certificate.public_key() {
            return install_renewed(office, file, &key, certificate).await;
        }
    }
    for which in [Which::People, Which::Servers, Which::Documents] {
        let name = which.name();
        if !authority_key::is_awaited(&office.home, name, certificate) {
            continue;
        }
        let generation = refuse_other_role(office, file, which, &certificate.subject())?;
        let next = next_generation(office, name).await?;
        if generation < next {
            let message = format!(
                "it has the name of key {generation} of the authority {name}, and {next} is the next"
            );
            return Err(refused(&message));
        }
        let old = office.authority_certificate(name).await?;
        put_in_place(office, name, &old, certificate).await?;
        return installed(certificate, name);
    }
    Err(refused("no key of this home belongs to it; it is the answer to another request"))
}

/// A new certificate of a key that is in use: the one before stays good until it ends.
async fn install_renewed(
    office: &Office,
    file: &Path,
    key: &AuthorityKey,
    certificate: &Certificate,
) -> Result<Status, Failure> {
    let refused =
        |code: &'static str, reason: &str| Err(Failure::new(code, format!("{}: {reason}", file.display())));
    if key.certificate == certificate.as_der() || key.earlier.iter().any(|one| one == certificate.as_der()) {
        return refused("exists", "it is installed already");
    }
    if !key.is_current {
        return refused("not-ours", "it is for a key that certifies nothing any more");
    }
    let present = Certificate::from_der(key.certificate.clone())?;
    if present.subject() != certificate.subject() || certificate.not_after() < present.not_after() {
        return refused("not-ours", "it does not renew the certificate that its key has");
    }
    refuse_withdrawn(office, key.name).await?;
    let now = crate::clock::Clock::now(&office.clock);
    office.registry.renew_authority(key.name, certificate.as_der(), now).await?;
    installed(certificate, key.name)
}

fn installed(certificate: &Certificate, name: AuthorityName) -> Result<Status, Failure> {
    output::line(&format!(
        "\"{}\" is the authority {name} from now on, until {}. Make it known with: issuer publish",
        certificate.subject(),
        certificate.not_after().strftime("%F")
    ))?;
    Ok(Status::Done)
}

async fn install_list(office: &Office, file: &Path, crl: &[u8]) -> Result<Status, Failure> {
    let now = crate::clock::Clock::now(&office.clock);
    let number = super::super::publish::install_root_list(office, crl, now).await.map_err(|failure| {
        Failure { message: format!("{}: {}", file.display(), failure.message), ..failure }
    })?;
    output::line(&format!(
        "The root's CRL number {number} is installed. Make it known with: issuer publish"
    ))?;
    Ok(Status::Done)
}

fn refuse_root(which: Which) -> Result<(), Failure> {
    if which == Which::Root {
        return Err(Failure::usage("a root asks nobody; with its key at hand: issuer ca rollover root"));
    }
    Ok(())
}
