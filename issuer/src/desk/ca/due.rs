//! What of the authorities needs somebody soon: certificates that end, and the CRL of a root whose key is elsewhere.

use jiff::{SignedDuration, Timestamp};

use super::super::authority_key::is_at_hand;
use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use super::elsewhere::{is_elsewhere, told};
use crate::ca::Certificate;
use crate::ca::crl::view::CrlView;
use crate::clock::Clock;
use crate::domain::AuthorityName;
use crate::publication::life::LONGEST_NOTICE;
use crate::registry::AuthorityKey;

/// A CA certificate that ends sooner cuts what it certifies, and a new anchor takes months to reach everybody.
const CERTIFICATE_SOON: SignedDuration = SignedDuration::from_hours(365 * 24);
/// For an errand to the machine that has the root's key.
const CRL_SOON: SignedDuration = LONGEST_NOTICE;

/// What whoever looks at the authorities, publishes, or opens the desk is told.
///
/// # Errors
/// The registry.
pub(in crate::desk) async fn warnings(office: &Office, now: Timestamp) -> Result<Vec<String>, Failure> {
    let keys = office.registry.authority_keys().await?;
    let root = keys.iter().find(|key| key.name == AuthorityName::Root && key.is_current);
    let is_root_here = match root {
        Some(root) => is_at_hand(&office.home, root.name, &Certificate::from_der(root.certificate.clone())?)?,
        None => true,
    };
    let mut warnings = Vec::new();
    for key in keys.iter().filter(|key| key.is_current) {
        if is_elsewhere(office, key).await? {
            warnings.push(told(key)?);
        } else {
            warnings.extend(of_certificate(key, is_root_here, now)?);
        }
    }
    if !is_root_here {
        warnings.extend(of_root_list(next_root_update(office).await?, now));
    }
    Ok(warnings)
}

/// Says it, on standard error.
///
/// # Errors
/// The registry.
pub(in crate::desk) async fn tell(office: &Office) -> Result<(), Failure> {
    for warning in warnings(office, office.clock.now()).await? {
        output::progress(&format!("warning: {warning}"));
    }
    Ok(())
}

fn of_certificate(key: &AuthorityKey, is_root_here: bool, now: Timestamp) -> Result<Option<String>, Failure> {
    let (name, end) = (key.name, Certificate::from_der(key.certificate.clone())?.not_after());
    if end.duration_since(now) > CERTIFICATE_SOON {
        return Ok(None);
    }
    let ends = if end < now { "ended" } else { "ends" };
    let remedy = match is_root_here {
        true => format!("issuer ca renew {name}, or with a new key: issuer ca rollover {name}"),
        false if name == AuthorityName::Root => {
            "on the machine that has its key: issuer ca renew root".to_owned()
        }
        false => format!("issuer ca request {name}, for the machine that has the root's key"),
    };
    Ok(Some(format!(
        "the certificate of the authority {name} {ends} {end}, and nothing that it certifies is good for longer: {remedy}"
    )))
}

/// When everybody wants the next CRL of a root whose key is elsewhere; none where none was carried here.
async fn next_root_update(office: &Office) -> Result<Option<Timestamp>, Failure> {
    let newest = office.registry.newest_crl(AuthorityName::Root).await?;
    Ok(newest.and_then(|newest| CrlView::from_der(&newest.crl).ok()?.next()))
}

/// How an authority's next CRLs are made: those of a root whose key is elsewhere are signed there.
///
/// # Errors
/// The registry.
pub(in crate::desk) async fn way_to_new_lists(
    office: &Office,
    name: AuthorityName,
) -> Result<&'static str, Failure> {
    let is_here = match name {
        AuthorityName::Root => {
            let root = office.authority_certificate(name).await?;
            is_at_hand(&office.home, name, &root)?
        }
        AuthorityName::People | AuthorityName::Servers | AuthorityName::Documents => true,
    };
    Ok(if is_here { "sign new ones with: issuer publish" } else { ROOT_LIST })
}

/// Where the root's key is not here.
const ROOT_LIST: &str =
    "make one where it is, with: issuer ca crl --out root.crl; then here: issuer ca install root.crl";

fn of_root_list(end: Option<Timestamp>, now: Timestamp) -> Option<String> {
    match end {
        None => Some(format!("the root's key is not here, and no CRL of its is: {ROOT_LIST}")),
        Some(end) if end <= now => {
            Some(format!("the root's key is not here, and its CRL ended {end}: {ROOT_LIST}"))
        }
        Some(end) if end.duration_since(now) < CRL_SOON => {
            Some(format!("the root's key is not here, and its CRL ends {end}: {ROOT_LIST}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_s_list_is_asked_for_in_time() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let told = |hours: i64| of_root_list(Some(now + SignedDuration::from_hours(hours)), now);
        assert_eq!(told(14 * 24), None);
        assert!(told(14 * 24 - 1).unwrap().contains("its CRL ends 2030-01-14T23:00:00Z"));
        assert!(told(0).unwrap().contains("ended"));
        assert!(of_root_list(None, now).unwrap().contains("no CRL of its is"));
    }
}
