//! A root whose key is not at the desk: what goes to the machine that has it, and what comes back.

use std::path::Path;

use super::super::authority_key::{self, KeyLocation};
use super::super::failure::{Failure, Status};
use super::super::office::{Office, read_file};
use super::super::output;
use super::super::publish::root_list;
use super::elsewhere::{self, Elsewhere};
use super::standing::{of_certificate, refuse_absent_root, refuse_withdrawn};
use super::succession::{assurance, new_signer, next_generation, put_in_place};
use super::{Which, confirmation, record};
use crate::ca::authority::succession::Succession;
use crate::ca::certificate::pem_contents;
use crate::ca::crl::view::CrlView;
use crate::ca::profile::Validity;
use crate::ca::request::{CertificationRequest, authority_request, generation_of};
use crate::ca::{Certificate, SerialNumber};
use crate::config::write_new;
use crate::domain::{Act, AuthorityName, GuardedAct};
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
    let digest = confirmation::digest(text.as_bytes());
    output::line(&format!(
        "The request is in {0}; its SHA-256 is {digest}. Carry it to the machine that has the root's key, and say the SHA-256 to whoever signs there, another way than the file: issuer ca sign {0} --as {name} --digest SHA256 --out {name}.pem; then here: issuer ca install {name}.pem",
        out.display()
    ))?;
    Ok(Status::Done)
}

/// What is certified for another home.
pub(super) struct Order<'a> {
    pub(super) request: &'a Path,
    pub(super) which: Which,
    /// The SHA-256 of the request, as it was said; otherwise it is asked for.
    pub(super) digest: Option<&'a str>,
    pub(super) out: &'a Path,
}

/// Certifies the key of a request, for the home that made it. The authorities of this home stay as they are: what was
/// certified is kept with the root's key, as an authority of elsewhere.
///
/// # Errors
/// The root's key is not here either, the request does not prove its key or is another than was meant, or nobody approved.
pub(super) async fn sign(office: &mut Office, order: &Order<'_>) -> Result<Status, Failure> {
    let Order { request, which, digest, out } = *order;
    refuse_root(which)?;
    let bytes = read_file(request, LONGEST)?;
    let asked = CertificationRequest::parse(&bytes).map_err(|error| Failure {
        message: format!("{}: {error}", request.display()),
        ..Failure::from(error)
    })?;
    refuse_absent_root(office, AuthorityName::Root).await?;
    let (name, profile) = (which.name(), which.profile());
    refuse_other_role(office, request, which, &asked.subject)?;
    if let Some(certified) = certified_before(office, request, name, &asked).await? {
        output::progress(
            "This key is certified already; its certificate is given again, and nothing was signed.",
        );
        return give(&certified, out);
    }
    let digest = confirmation::confirm(&bytes, request, digest)?;
    let details =
        format!("certify the authority {name} of another home by the request with SHA-256 {digest}");
    let approved = office.approve(&GuardedAct::new(Act::CertifyAuthority, &details)).await?;
    let now = office.time_to_sign().await?;
    let passphrase = office.passphrase()?;
    let mut root = office.authority(AuthorityName::Root, &passphrase).await?;
    let generation = next_generation(office, name).await?;
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
    let (names, signing) = ((profile.name(), &number), (unsigned, approved));
    let certificate =
        record::sign_approved(office, (AuthorityName::Root, &mut root), names, signing, now).await?;
    record::keep_given(office, &certificate, now).await?;
    give(&certificate, out)
}

fn give(certificate: &Certificate, out: &Path) -> Result<Status, Failure> {
    write_new(out, 0o644, certificate.to_pem().as_bytes()).map_err(|error| Failure::file(out, &error))?;
    output::line(&format!(
        "\"{}\" is certified until {} for another home, serial number {}; the authorities of this one stay as they are. Carry {3} back: issuer ca install {3}",
        certificate.subject(),
        certificate.not_after().strftime("%F"),
        certificate.serial_number(),
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

/// The certificate that a request's key has already as this authority's of another home.
async fn certified_before(
    office: &Office,
    file: &Path,
    name: AuthorityName,
    asked: &CertificationRequest,
) -> Result<Option<Certificate>, Failure> {
    let mut known: Vec<_> = elsewhere::all(office).await?;
    for key in office.registry.authority_keys().await? {
        let certificate = Certificate::from_der(key.certificate.clone())?;
        if elsewhere::is_elsewhere(office, &key).await? {
            known.push(Elsewhere { name: key.name, generation: key.generation, certificate });
        } else if certificate.public_key() == asked.key.public_key() {
            let is = format!("key {} of the authority {} of this home", key.generation, key.name);
            return Err(key_in_use(file, name, &certificate, &is));
        }
    }
    let Some(found) = known.into_iter().find(|one| one.certificate.public_key() == asked.key.public_key())
    else {
        return Ok(None);
    };
    if found.name != name {
        let is = format!("that of the authority {} of another home", found.name);
        return Err(key_in_use(file, name, &found.certificate, &is));
    }
    if let Some(withdrawn) = of_certificate(&office.registry, found.certificate.as_der()).await? {
        let is = format!("revoked or on hold ({})", withdrawn.reason());
        return Err(key_in_use(file, name, &found.certificate, &is));
    }
    Ok(Some(found.certificate))
}

fn key_in_use(file: &Path, name: AuthorityName, certificate: &Certificate, is: &str) -> Failure {
    let message = format!(
        "{}: its key has the certificate \"{}\" and is {is}; make a request with a new one: issuer ca request {name}",
        file.display(),
        certificate.subject(),
    );
    Failure::new("key-in-use", message)
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
    office.time_to_record().await?;
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
