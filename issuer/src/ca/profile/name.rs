//! Distinguished names, RFC 5280 section 4.1.2.4.
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::{Any, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::{Branch, CardHolder, CardUuid, MailServer, Organization, Profile};
use crate::ca::error::CaError;
use crate::ca::mail_address::ascii_domain;
use crate::domain::unicode::hidden_character;

/// The subject of a certificate. Attributes run from the general to the particular, one to a relative name.
pub(crate) fn subject(organization: &Organization, profile: &Profile) -> Result<Name, CaError> {
    let company = || NameBuilder::default().text("organization", rfc4519::O, &organization.name);
    match profile {
        Profile::Root => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Root CA"))?.build()
        }
        Profile::IssuingAuthority(Branch::People) => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "People CA"))?.build()
        }
        Profile::IssuingAuthority(Branch::Servers) => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Servers CA"))?.build()
        }
        Profile::IssuingAuthority(Branch::Documents) => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Documents CA"))?.build()
        }
        Profile::PivAuthentication(holder) => person(company()?, holder),
        Profile::DigitalSignature(holder) | Profile::KeyManagement(holder) => {
            match &organization.identifier {
                // S/MIME Baseline Requirements 7.1.4.2.4: sponsor-validated names carry both,
                // individual-validated ones neither.
                Some(identifier) => person(
                    company()?.text("organization identifier", ORGANIZATION_IDENTIFIER, identifier)?,
                    holder,
                ),
                None => person(NameBuilder::default(), holder),
            }
        }
        Profile::CardAuthentication(card) => card_name(company()?, *card),
        Profile::MailServer(server) => server_name(company()?, server),
        Profile::TimeStamping => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Time Stamps"))?.build()
        }
        Profile::DocumentSigning => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Reader Classes"))?.build()
        }
        Profile::ContentSigning => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "Card Content"))?.build()
        }
        Profile::OcspResponder => {
            company()?.text("name", rfc4519::CN, &authority_name(organization, "OCSP Responder"))?.build()
        }
    }
}

/// The subject of an authority's certificate whose key has this number: from the second on it says so.
pub(crate) fn of_generation(
    organization: &Organization,
    profile: &Profile,
    generation: u32,
) -> Result<Name, CaError> {
    let role = match profile {
        Profile::Root => "Root CA",
        Profile::IssuingAuthority(Branch::People) => "People CA",
        Profile::IssuingAuthority(Branch::Servers) => "Servers CA",
        Profile::IssuingAuthority(Branch::Documents) => "Documents CA",
        other => return Err(refuse("profile", other.name(), "it is not that of an authority")),
    };
    let role = if generation < 2 { role.to_owned() } else { format!("{role} G{generation}") };
    NameBuilder::default()
        .text("organization", rfc4519::O, &organization.name)?
        .text("name", rfc4519::CN, &authority_name(organization, &role))?
        .build()
}

fn authority_name(organization: &Organization, role: &str) -> String {
    let name = format!("{} {role}", organization.name);
    if name.chars().count() > UPPER_BOUND { role.to_owned() } else { name }
}

fn person(name: NameBuilder, holder: &CardHolder) -> Result<Name, CaError> {
    let name = match &holder.name.parts {
        Some((given, surname)) => {
            name.text("given name", rfc4519::GIVEN_NAME, given)?.text("surname", rfc4519::SN, surname)?
        }
        None => name.text("name", rfc4519::SN, &holder.name.full)?,
    };
    let name = match &holder.identifier {
        Some(identifier) => name.printable("id", rfc4519::SERIAL_NUMBER, identifier)?,
        None => name,
    };
    name.text("name", rfc4519::CN, &holder.name.full)?.build()
}

/// SP 800-73-5 wants no personal name beside the key that needs no PIN.
fn card_name(name: NameBuilder, card: CardUuid) -> Result<Name, CaError> {
    name.printable("card UUID", rfc4519::SERIAL_NUMBER, &card.to_string())?.build()
}

/// The common name repeats the first DNS name where it fits; names of servers count only in subjectAltName
/// (RFC 6125).
fn server_name(name: NameBuilder, server: &MailServer) -> Result<Name, CaError> {
    match server
        .dns_names
        .first()
        .and_then(|name| ascii_domain(name))
        .filter(|name| name.len() <= UPPER_BOUND)
    {
        Some(dns) => name.text("DNS name", rfc4519::CN, &dns)?.build(),
        None => name.build(),
    }
}

#[derive(Default)]
struct NameBuilder(Vec<RelativeDistinguishedName>);

impl NameBuilder {
    /// A DirectoryString; always UTF8String.
    fn text(self, field: &'static str, oid: ObjectIdentifier, value: &str) -> Result<Self, CaError> {
        check_text(field, value)?;
        self.push(oid, Utf8StringRef::new(value).and_then(|text| Any::encode_from(&text)), field, value)
    }

    /// An attribute that must be a PrintableString.
    fn printable(self, field: &'static str, oid: ObjectIdentifier, value: &str) -> Result<Self, CaError> {
        check_text(field, value)?;
        self.push(oid, PrintableStringRef::new(value).and_then(|text| Any::encode_from(&text)), field, value)
    }

    fn push(
        mut self,
        oid: ObjectIdentifier,
        encoded: der::Result<Any>,
        field: &'static str,
        value: &str,
    ) -> Result<Self, CaError> {
        let attribute = encoded
            .and_then(|any| SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value: any }]))
            .map_err(|_| {
                refuse(field, value, "only Latin letters, digits, space and '()+,-./:=? can stand there")
            })?;
        self.0.push(RelativeDistinguishedName::from(attribute));
        Ok(self)
    }

    fn build(self) -> Result<Name, CaError> {
        let encoded = RdnSequence::from(self.0).to_der();
        encoded
            .and_then(|der| Name::from_der(&der))
            .map_err(|error| CaError::malformed("distinguished name", error))
    }
}

fn check_text(field: &'static str, value: &str) -> Result<(), CaError> {
    match value {
        "" => Err(refuse(field, value, "it is empty")),
        long if long.chars().count() > UPPER_BOUND => {
            Err(refuse(field, value, "it is longer than 64 characters"))
        }
        padded if padded.trim() != padded => Err(refuse(field, value, "it begins or ends with a space")),
        text if hidden_character(text).is_some() => {
            Err(refuse(field, value, "it holds a character that cannot be seen"))
        }
        _ => Ok(()),
    }
}

fn refuse(field: &'static str, value: &str, reason: &str) -> CaError {
    CaError::Field { field, value: value.to_owned(), reason: reason.to_owned() }
}

/// `ub-common-name` and `ub-organization-name`, RFC 5280 appendix A.1; kept for the other attributes too.
pub(crate) const UPPER_BOUND: usize = 64;
/// organizationIdentifier, ITU-T X.520 section 6.4.4.
const ORGANIZATION_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.97");
