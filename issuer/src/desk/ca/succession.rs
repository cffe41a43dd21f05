//! `issuer ca renew` and `issuer ca rollover`.

use super::super::authority_key::{self, KeyLocation};
use super::super::failure::{Failure, Status};
use super::super::office::{Office, Passphrase};
use super::super::output::{self, Format};
use super::standing::{refuse_absent_root, refuse_withdrawn};
use super::{Which, elsewhere, record};
use crate::ca::authority::succession::{CrossScope, Succession};
use crate::ca::profile::{Assurance, Validity};
use crate::ca::{Authority, Certificate, ProvenKey, SerialNumber};
use crate::clock::Clock;
use crate::domain::{Act, AuthorityName, GuardedAct};
use crate::registry::{Approved, CrossDirection, EmulatedCards, NewAuthorityKey};

/// A new certificate of the same key and name; the one before stays good until it ends.
///
/// # Errors
/// A certificate of the key is revoked; or the key of the root, or of the authority, is not at hand.
pub(super) async fn renew(office: &mut Office, which: Which, format: Format) -> Result<Status, Failure> {
    let (name, profile) = (which.name(), which.profile());
    // Certified again, a key that somebody else may have would be trusted again.
    refuse_withdrawn(office, name).await?;
    refuse_absent_root(office, name).await?;
    elsewhere::refuse_elsewhere(office, name).await?;
    let details = format!("renew the certificate of the authority {name}");
    let approved = office.approve(&GuardedAct::new(Act::CertifyAuthority, &details)).await?;
    let now = office.time_to_sign().await?;
    let passphrase = office.passphrase()?;
    let old = office.authority_certificate(name).await?;
    let validity = Validity::for_days(now, profile.maximum_days());
    let number = SerialNumber::random(&mut office.random);
    let succession = Succession::SameName(&old);
    let assurance = assurance(office).await?;
    let organization = office.config.organization.clone();
    let mut signer = office.authority_signer(name, &old, &passphrase)?;
    let mut approved = approved;
    let renewed = if which == Which::Root {
        Authority::succeed_root(&organization, &succession, signer, number, validity)?.certificate().clone()
    } else {
        let mut root = office.authority(AuthorityName::Root, &passphrase).await?;
        let key = ProvenKey::of_signer(signer.as_mut(), &mut office.random)?;
        let unsigned = root.prepare_successor(
            &organization,
            (&profile, assurance),
            &succession,
            &key,
            number.clone(),
            validity,
        )?;
        let signing = (unsigned, std::mem::take(&mut approved));
        record::sign_approved(
            office,
            (AuthorityName::Root, &mut root),
            (profile.name(), &number),
            signing,
            now,
        )
        .await?
    };
    let renewing = office.registry.renew_authority(name, renewed.as_der(), now);
    office.registry.spending(approved, now, renewing).await?;
    tell(office, (name, &renewed), "has a new certificate", format)
}

/// A new key under a new name. What the one before certified stays good; with it CRLs are still signed.
///
/// # Errors
/// The key of the root, or of the authority before, is not at hand.
pub(super) async fn rollover(
    office: &mut Office,
    which: Which,
    location: &KeyLocation,
    format: Format,
) -> Result<Status, Failure> {
    refuse_absent_root(office, which.name()).await?;
    let details = format!("a new key of the authority {}: {location}", which.name());
    let approved = office.approve(&GuardedAct::new(Act::CertifyAuthority, &details)).await?;
    let passphrase = office.passphrase()?;
    let certificate = if which == Which::Root {
        rollover_root(office, location, (&passphrase, approved)).await?
    } else {
        rollover_issuing(office, which, location, (&passphrase, approved)).await?
    };
    tell(office, (which.name(), &certificate), "is the authority from now on", format)?;
    if which.name() == AuthorityName::Documents && format == Format::Text {
        output::line(&said_of_services(office).await?)?;
    }
    Ok(Status::Done)
}

/// What stands under the key before, and is to be made anew.
async fn said_of_services(office: &Office) -> Result<String, Failure> {
    let lists = office.registry.latest_class_list().await?;
    let list = lists.map(|_| ", and sign the list of classes anew: issuer class publish --to DIR");
    Ok(format!(
        "Time-stamp services go on with the key that certified them; give each a certificate of the new one: issuer tsa init --folder NEW{}",
        list.unwrap_or_default()
    ))
}

async fn rollover_issuing(
    office: &mut Office,
    which: Which,
    location: &KeyLocation,
    (passphrase, approved): (&Passphrase, Approved),
) -> Result<Certificate, Failure> {
    let now = office.time_to_sign().await?;
    let (name, profile) = (which.name(), which.profile());
    let old = office.authority_certificate(name).await?;
    let mut root = office.authority(AuthorityName::Root, passphrase).await?;
    let mut signer = new_signer(office, name, location, &old, passphrase).await?;
    let key = ProvenKey::of_signer(signer.as_mut(), &mut office.random)?;
    let succession = Succession::Generation(next_generation(office, name).await?);
    let assurance = assurance(office).await?;
    let number = SerialNumber::random(&mut office.random);
    let validity = Validity::for_days(now, profile.maximum_days());
    let organization = &office.config.organization;
    let unsigned = root.prepare_successor(
        organization,
        (&profile, assurance),
        &succession,
        &key,
        number.clone(),
        validity,
    )?;
    let (names, signing) = ((profile.name(), &number), (unsigned, approved));
    let certificate =
        record::sign_approved(office, (AuthorityName::Root, &mut root), names, signing, now).await?;
    put_in_place(office, name, &old, &certificate).await?;
    Ok(certificate)
}

async fn rollover_root(
    office: &mut Office,
    location: &KeyLocation,
    (passphrase, approved): (&Passphrase, Approved),
) -> Result<Certificate, Failure> {
    let now = office.time_to_sign().await?;
    let name = AuthorityName::Root;
    let mut old = office.authority(name, passphrase).await?;
    let before = old.certificate().clone();
    let signer = new_signer(office, name, location, &before, passphrase).await?;
    let generation = next_generation(office, name).await?;
    let organization = office.config.organization.clone();
    let mut new = Authority::succeed_root(
        &organization,
        &Succession::Generation(generation),
        signer,
        SerialNumber::random(&mut office.random),
        Validity::for_days(now, Which::Root.profile().maximum_days()),
    )?;
    let certificate = new.certificate().clone();
    let days = Validity::for_days(now, Which::People.profile().maximum_days());
    // Who trusts the old root reaches the new one, and the other way round (RFC 4210 section 4.4).
    let number = SerialNumber::random(&mut office.random);
    let scope = CrossScope::Ourselves;
    let unsigned =
        old.prepare_cross_certificate(&organization, &certificate, &scope, number.clone(), days)?;
    let names = (CROSS, &number);
    let new_by_old =
        record::sign_approved(office, (name, &mut old), names, (unsigned, approved), now).await?;
    put_in_place(office, name, &before, &certificate).await?;
    keep_cross(office, (generation - 1, generation), &new_by_old).await?;
    let number = SerialNumber::random(&mut office.random);
    let unsigned = new.prepare_cross_certificate(&organization, &before, &scope, number.clone(), days)?;
    let old_by_new = record::sign(office, (name, &mut new), (CROSS, &number), unsigned, now).await?;
    keep_cross(office, (generation, generation - 1), &old_by_new).await?;
    Ok(certificate)
}

/// A cross-certificate between two keys of the root: given by one, received by the other.
async fn keep_cross(office: &Office, (by, to): (u32, u32), cross: &Certificate) -> Result<(), Failure> {
    let (registry, name, now) = (&office.registry, AuthorityName::Root, office.clock.now());
    registry.add_cross_certificate(name, by, CrossDirection::Given, cross.as_der(), now).await?;
    Ok(registry.add_cross_certificate(name, to, CrossDirection::Received, cross.as_der(), now).await?)
}

/// What an authority of this registry may certify: emulated cards too, or not.
pub(super) async fn assurance(office: &Office) -> Result<Assurance, Failure> {
    Ok(match office.registry.emulated_cards().await? {
        EmulatedCards::Allowed => Assurance::Emulated,
        EmulatedCards::Refused => Assurance::Production,
    })
}

/// The number of an authority's next key.
pub(super) async fn next_generation(office: &Office, name: AuthorityName) -> Result<u32, Failure> {
    let keys = office.registry.authority_keys().await?;
    let last = keys.iter().filter(|key| key.name == name).map(|key| key.generation).max();
    // No two keys below one root have one name, in whatever home they are.
    let others = elsewhere::all(office).await?;
    let others = others.iter().filter(|other| other.name == name).map(|other| other.generation);
    last.map(|last| others.fold(last, u32::max) + 1).ok_or_else(|| {
        Failure::new(
            "no-authority",
            format!("there is no authority {name} yet; it is made when it is first needed"),
        )
    })
}

/// A new key: made in a file as strong as the one before, or found where it was made.
pub(super) async fn new_signer(
    office: &Office,
    name: AuthorityName,
    location: &KeyLocation,
    old: &Certificate,
    passphrase: &Passphrase,
) -> Result<Box<dyn middleware::Signer>, Failure> {
    let emulated: EmulatedCards = office.registry.emulated_cards().await?;
    let kind = (authority_key::algorithm_like(old.public_key()), emulated);
    let signer =
        authority_key::establish_successor(&office.home, name, location, kind, passphrase, office.key_pin())?;
    if signer.public_key() == old.public_key() {
        return Err(Failure::usage(format!(
            "at {location} is the key that the authority {name} has now; for a new certificate of it: issuer ca renew {name}"
        )));
    }
    Ok(signer)
}

/// Makes a certified key the authority's.
pub(super) async fn put_in_place(
    office: &Office,
    name: AuthorityName,
    old: &Certificate,
    new: &Certificate,
) -> Result<(), Failure> {
    let key = NewAuthorityKey {
        name,
        certificate: new.as_der(),
        key_identifier: new.subject_key_identifier(),
        predecessor: old.subject_key_identifier(),
    };
    office.registry.roll_over_authority(&key, office.clock.now()).await?;
    Ok(())
}

fn tell(
    office: &Office,
    (name, certificate): (AuthorityName, &Certificate),
    what: &str,
    format: Format,
) -> Result<Status, Failure> {
    let (subject, serial) = (certificate.subject(), certificate.serial_number().to_string());
    let not_after = certificate.not_after();
    let key = authority_key::whereabouts(&office.home, name, certificate)?;
    match format {
        Format::Json => output::json(&serde_json::json!({
            "subject": subject, "serial": serial, "not_after": not_after.to_string(), "key": key
        }))?,
        Format::Text => output::line(&format!(
            "\"{subject}\" {what}, until {}; its key: {key}. Make it known with: issuer publish",
            not_after.strftime("%F")
        ))?,
    }
    Ok(Status::Done)
}

/// What cross-certificates are called in the registry.
pub(in crate::desk) const CROSS: &str = "cross-certificate";
