//! The authorities that somebody's certificates lead to, with the CRL of each: also of keys that sign no certificates any
//! more, because what they signed is part of the story.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::ca::due::way_to_new_lists;
use super::super::failure::Failure;
use super::super::office::Office;
use crate::ca::Certificate;
use crate::ca::certificate::to_pem;
use crate::ca::crl::view::CrlView;
use crate::domain::AuthorityName;
use crate::registry::AuthorityKey;

/// What vouches for certificates, as openssl reads it.
#[derive(Default)]
pub(super) struct Vouching {
    /// Roots, PEM.
    pub(super) anchors: String,
    /// Authorities below them and certificates between roots, PEM.
    pub(super) chain: String,
    /// The newest CRL of each, PEM.
    pub(super) crls: String,
    /// Serial numbers that those CRLs name.
    pub(super) revoked: BTreeSet<Vec<u8>>,
}

/// A key of an authority of ours.
struct Known {
    name: AuthorityName,
    is_current: bool,
    identifier: Vec<u8>,
    /// Its certificates, the newest first.
    certificates: Vec<Certificate>,
}

impl Known {
    fn of(key: AuthorityKey) -> Result<Self, Failure> {
        let AuthorityKey { name, is_current, certificate, earlier, received, .. } = key;
        let all = std::iter::once(certificate).chain(earlier).chain(received);
        let certificates = all.map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?;
        let identifier = certificates.first().map(|newest| newest.subject_key_identifier().to_vec());
        Ok(Self { name, is_current, identifier: identifier.unwrap_or_default(), certificates })
    }

    /// Whether certificates of it are valid at `now`.
    fn is_alive(&self, now: Timestamp) -> bool {
        self.certificates.iter().any(|certificate| certificate.not_after() >= now)
    }

    /// The newest complete CRL of this key: that of an earlier key lies among the parts.
    async fn crl(&self, office: &Office) -> Result<Option<Vec<u8>>, Failure> {
        if self.is_current {
            return Ok(office.registry.newest_crl(self.name).await?.map(|newest| newest.crl));
        }
        let file = format!("{}.crl", hex::encode(&self.identifier));
        let parts = office.registry.crl_parts(self.name).await?;
        Ok(parts.into_iter().find_map(|(name, crl)| (name == file).then_some(crl)))
    }
}

/// Collects what vouches for these certificates at `now`.
///
/// # Errors
/// A certificate of an authority that the registry does not know, or no CRL that says at `now` what is revoked.
pub(super) async fn vouching(
    office: &Office,
    certificates: &[Certificate],
    now: Timestamp,
) -> Result<Vouching, Failure> {
    let keys = office.registry.authority_keys().await?;
    let known = keys.into_iter().map(Known::of).collect::<Result<Vec<_>, _>>()?;
    let signers: BTreeSet<Vec<u8>> =
        certificates.iter().map(|leaf| leaf.authority_key_identifier().to_vec()).collect();
    if let Some(stranger) = signers.iter().find(|id| !known.iter().any(|known| known.identifier == **id)) {
        let message = format!(
            "the registry does not know the authority {} that signed a certificate of this person",
            hex::encode(stranger)
        );
        return Err(Failure::new("unknown-authority", message));
    }
    // Whose word it is stands in the folder of somebody without certificates too.
    let roots = known.iter().filter(|key| key.name == AuthorityName::Root && key.is_current);
    let first = if signers.is_empty() {
        roots.map(|root| root.identifier.clone()).collect()
    } else {
        signers.clone()
    };
    let wanted = closure(&known, first);
    let mut vouching = Vouching::default();
    for key in known.iter().filter(|key| wanted.contains(&key.identifier)) {
        for certificate in &key.certificates {
            let is_anchor = certificate.is_self_issued();
            let place = if is_anchor { &mut vouching.anchors } else { &mut vouching.chain };
            place.push_str(&certificate.to_pem());
        }
        // Of a root that vouches only for another root, nobody needs to know what it revoked.
        let is_needed = signers.contains(&key.identifier) || signs_an_authority(&known, &wanted, key);
        let crl = key.crl(office).await?;
        if is_needed && key.is_alive(now) {
            let remedy = way_to_new_lists(office, key.name).await?;
            require_current(key, crl.as_deref(), now, remedy)?;
        }
        let Some(crl) = crl else { continue };
        for entry in CrlView::from_der(&crl)?.entries() {
            vouching.revoked.insert(entry?.revoked()?.serial_number.as_bytes().to_vec());
        }
        vouching.crls.push_str(&to_pem("X509 CRL", &crl));
    }
    Ok(vouching)
}

/// The keys, and whatever certified them, up to the roots.
fn closure(known: &[Known], mut wanted: BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    loop {
        let above: Vec<_> = known
            .iter()
            .filter(|key| wanted.contains(&key.identifier))
            .flat_map(|key| &key.certificates)
            .map(|certificate| certificate.authority_key_identifier().to_vec())
            .collect();
        let before = wanted.len();
        wanted.extend(above);
        if wanted.len() == before {
            return wanted;
        }
    }
}

/// Whether a key certified one of the wanted authorities that are no roots.
fn signs_an_authority(known: &[Known], wanted: &BTreeSet<Vec<u8>>, signer: &Known) -> bool {
    known
        .iter()
        .filter(|key| key.name != AuthorityName::Root && wanted.contains(&key.identifier))
        .flat_map(|key| &key.certificates)
        .any(|certificate| certificate.authority_key_identifier() == signer.identifier)
}

fn require_current(key: &Known, crl: Option<&[u8]>, now: Timestamp, remedy: &str) -> Result<(), Failure> {
    let name = key.certificates.first().map(Certificate::subject).unwrap_or_default();
    let refused = |what: String| Err(Failure::new("no-crl", format!("{what}; {remedy}")));
    let Some(crl) = crl else { return refused(format!("there is no CRL of \"{name}\" yet")) };
    let crl = CrlView::from_der(crl)?;
    if crl.made() > now {
        let made = crl.made();
        return refused(format!(
            "the CRL of \"{name}\" begins only at {made}: some clock was wrong, and no reader takes it yet"
        ));
    }
    match crl.next() {
        Some(end) if end <= now => refused(format!("the CRL of \"{name}\" ended at {end}")),
        _ => Ok(()),
    }
}
