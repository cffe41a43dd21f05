//! Objects (PKCS#11 Base 3.0 section 4): those of the card, made from what it shows, and those of sessions.
use std::ffi::c_ulong;

use middleware::{KeyAlgorithm, KeyReference};
use zeroize::Zeroizing;

use crate::attribute::{self, AttributeType, Attributes, UNAVAILABLE};
use crate::certificate;
use crate::public_key::PublicKey;
use crate::return_value::ReturnValue;

/// `CK_OBJECT_CLASS`.
pub(crate) mod class {
    use std::ffi::c_ulong;
    pub(crate) const DATA: c_ulong = 0;
    pub(crate) const CERTIFICATE: c_ulong = 1;
    pub(crate) const PUBLIC_KEY: c_ulong = 2;
    pub(crate) const PRIVATE_KEY: c_ulong = 3;
    pub(crate) const SECRET_KEY: c_ulong = 4;
}

/// `CK_KEY_TYPE`.
pub(crate) mod key_type {
    use std::ffi::c_ulong;
    pub(crate) const RSA: c_ulong = 0x00;
    pub(crate) const EC: c_ulong = 0x03;
    pub(crate) const GENERIC_SECRET: c_ulong = 0x10;
    pub(crate) const DES3: c_ulong = 0x15;
    pub(crate) const AES: c_ulong = 0x1F;
    pub(crate) const EC_EDWARDS: c_ulong = 0x40;
    pub(crate) const EC_MONTGOMERY: c_ulong = 0x41;
}

/// An object: what it shows, and what stands behind it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) attributes: Attributes,
    pub(crate) kind: Kind,
}

/// What stands behind an object.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    /// On the card, of that key; `None` in a session.
    Certificate(Option<KeyReference>),
    PublicKey(PublicKey),
    PrivateKey {
        reference: KeyReference,
        algorithm: KeyAlgorithm,
        public_key: PublicKey,
    },
    SecretKey,
}

/// What an application may learn of an attribute (C_GetAttributeValue).
pub(crate) enum Shown<'a> {
    Value(&'a [u8]),
    Sensitive,
    Unknown,
}

impl Object {
    /// The certificate of a key.
    pub(crate) fn certificate(reference: KeyReference, der: &[u8]) -> Option<Self> {
        let mut attributes = token_attributes(class::CERTIFICATE, reference, "Certificate");
        certificate::describe(der, &mut attributes)?;
        attributes.set_flag(attribute::PRIVATE, false);
        Some(Self { attributes, kind: Kind::Certificate(Some(reference)) })
    }

    /// The public half of a key.
    pub(crate) fn public_key(reference: KeyReference, key: &PublicKey, subject: Option<&[u8]>) -> Self {
        let mut attributes = token_attributes(class::PUBLIC_KEY, reference, "Public key");
        attributes.set(attribute::SUBJECT, subject.unwrap_or_default());
        attributes.set_flag(attribute::PRIVATE, false);
        describe_public_key(key, &mut attributes);
        Self { attributes, kind: Kind::PublicKey(key.clone()) }
    }

    /// The private half of a key, of which nothing secret is ever here.
    pub(crate) fn private_key(
        reference: KeyReference,
        algorithm: KeyAlgorithm,
        key: &PublicKey,
        subject: Option<&[u8]>,
    ) -> Self {
        let mut attributes = token_attributes(class::PRIVATE_KEY, reference, "Private key");
        attributes.set(attribute::SUBJECT, subject.unwrap_or_default());
        key.describe(&mut attributes);
        let is_rsa = algorithm.is_rsa();
        let derives = algorithm.is_weierstrass() || algorithm == KeyAlgorithm::X25519;
        // C_DeriveKey and C_UnwrapKey have no place for the login that each use of 9C needs.
        let asks = reference == KeyReference::DigitalSignature;
        let flags = [
            // 9E is for readers of cards that ask nobody (SP 800-73-5 Part 1 section 3.1.3).
            (attribute::PRIVATE, reference.needs_pin()),
            (attribute::SENSITIVE, true),
            (attribute::ALWAYS_SENSITIVE, false),
            (attribute::EXTRACTABLE, false),
            (attribute::NEVER_EXTRACTABLE, false),
            (attribute::LOCAL, false),
            (attribute::SIGN, algorithm != KeyAlgorithm::X25519),
            (attribute::SIGN_RECOVER, false),
            (attribute::DECRYPT, is_rsa),
            (attribute::UNWRAP, is_rsa && !asks),
            (attribute::DERIVE, derives && !asks),
            (attribute::WRAP_WITH_TRUSTED, false),
            (attribute::ALWAYS_AUTHENTICATE, asks),
        ];
        for (kind, value) in flags {
            attributes.set_flag(kind, value);
        }
        attributes.set_number(attribute::KEY_GEN_MECHANISM, UNAVAILABLE);
        set_key_defaults(&mut attributes);
        Self { attributes, kind: Kind::PrivateKey { reference, algorithm, public_key: key.clone() } }
    }

    /// An object of a session, from the application's template (C_CreateObject).
    ///
    /// # Errors
    /// Those of a template.
    pub(crate) fn of_template(template: &Attributes) -> Result<Self, ReturnValue> {
        let class = template.number(attribute::CLASS)?.ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
        let mut attributes = template.clone();
        attributes.set_flag(attribute::TOKEN, false);
        for kind in [attribute::MODIFIABLE, attribute::COPYABLE, attribute::DESTROYABLE] {
            attributes.set_default(kind, &[1]);
        }
        attributes.set_default(attribute::PRIVATE, &[0]);
        attributes.set_default(attribute::LABEL, &[]);
        let kind = match class {
            class::DATA => {
                for kind in [attribute::VALUE, attribute::APPLICATION, attribute::OBJECT_ID] {
                    attributes.set_default(kind, &[]);
                }
                Kind::Data
            }
            class::CERTIFICATE => {
                let der = template.get(attribute::VALUE).ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
                let mut described = Attributes::default();
                certificate::describe(der, &mut described).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)?;
                for (kind, value) in described.iter() {
                    attributes.set_default(kind, value);
                }
                Kind::Certificate(None)
            }
            class::PUBLIC_KEY => {
                let key = PublicKey::of_template(template)?;
                describe_public_key(&key, &mut attributes);
                Kind::PublicKey(key)
            }
            class::SECRET_KEY => {
                let value = template.get(attribute::VALUE).ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
                return Self::secret_key(template, value);
            }
            // A private key outside the card is what this module is there to avoid.
            class::PRIVATE_KEY => return Err(ReturnValue::TEMPLATE_INCONSISTENT),
            _ => return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
        };
        check_flags(&attributes)?;
        Ok(Self { attributes, kind })
    }

    /// A secret key of a session, whose value the template may not name but describes.
    ///
    /// # Errors
    /// Those of a template.
    pub(crate) fn secret_key(template: &Attributes, value: &[u8]) -> Result<Self, ReturnValue> {
        if template.flag(attribute::TOKEN)? == Some(true) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
        if template.number(attribute::CLASS)?.is_some_and(|class| class != class::SECRET_KEY) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
        let mut attributes = template.clone();
        attributes.set(attribute::VALUE, value);
        attributes.set_number(attribute::CLASS, class::SECRET_KEY);
        let length = c_ulong::try_from(value.len()).map_err(|_| ReturnValue::ATTRIBUTE_VALUE_INVALID)?;
        if attributes.number(attribute::VALUE_LEN)?.is_some_and(|wanted| wanted != length) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
        attributes.set_number(attribute::VALUE_LEN, length);
        attributes.set_default(attribute::KEY_TYPE, &key_type::GENERIC_SECRET.to_ne_bytes());
        let kind = attributes.number(attribute::KEY_TYPE)?.unwrap_or(key_type::GENERIC_SECRET);
        if secret_length(kind).is_some_and(|lengths| !lengths.contains(&value.len())) || value.is_empty() {
            return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID);
        }
        for kind in
            [attribute::MODIFIABLE, attribute::COPYABLE, attribute::DESTROYABLE, attribute::EXTRACTABLE]
        {
            attributes.set_default(kind, &[1]);
        }
        let unless_said = [attribute::TOKEN, attribute::PRIVATE, attribute::SENSITIVE];
        let by_nature = [attribute::LOCAL, attribute::ALWAYS_SENSITIVE, attribute::NEVER_EXTRACTABLE];
        for kind in unless_said.into_iter().chain(USES).chain(by_nature) {
            attributes.set_default(kind, &[0]);
        }
        attributes.set_default(attribute::LABEL, &[]);
        attributes.set_default(attribute::ID, &[]);
        attributes.set_number(attribute::KEY_GEN_MECHANISM, UNAVAILABLE);
        set_key_defaults(&mut attributes);
        check_flags(&attributes)?;
        Ok(Self { attributes, kind: Kind::SecretKey })
    }

    /// Whether it is there only for who is logged in.
    pub(crate) fn is_private(&self) -> bool {
        self.attributes.is_set(attribute::PRIVATE)
    }

    pub(crate) fn is_of_token(&self) -> bool {
        self.attributes.is_set(attribute::TOKEN)
    }

    /// An attribute as the application may see it.
    pub(crate) fn show(&self, kind: AttributeType) -> Shown<'_> {
        if self.is_secret(kind) {
            return Shown::Sensitive;
        }
        self.attributes.get(kind).map_or(Shown::Unknown, Shown::Value)
    }

    fn is_secret(&self, kind: AttributeType) -> bool {
        match &self.kind {
            Kind::PrivateKey { algorithm, .. } => match kind {
                attribute::VALUE => !algorithm.is_rsa(),
                attribute::PRIVATE_EXPONENT
                | attribute::PRIME_1
                | attribute::PRIME_2
                | attribute::EXPONENT_1
                | attribute::EXPONENT_2
                | attribute::COEFFICIENT => algorithm.is_rsa(),
                _ => false,
            },
            Kind::SecretKey => {
                kind == attribute::VALUE
                    && (self.attributes.is_set(attribute::SENSITIVE)
                        || !self.attributes.is_set(attribute::EXTRACTABLE))
            }
            _ => false,
        }
    }

    /// The value of a secret key, for use here.
    pub(crate) fn secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self.kind {
            Kind::SecretKey => {
                self.attributes.get(attribute::VALUE).map(|value| Zeroizing::new(value.to_vec()))
            }
            _ => None,
        }
    }

    /// Bytes that it takes, about (C_GetObjectSize).
    pub(crate) fn size(&self) -> usize {
        self.attributes.iter().map(|(_, value)| value.len() + size_of::<AttributeType>()).sum()
    }

    /// Changes attributes (C_SetAttributeValue, and C_CopyObject with more liberty); all or none.
    ///
    /// # Errors
    /// `CKR_ACTION_PROHIBITED`, `CKR_ATTRIBUTE_READ_ONLY`, `CKR_ATTRIBUTE_TYPE_INVALID`.
    pub(crate) fn change(&mut self, template: &Attributes) -> Result<(), ReturnValue> {
        if !self.attributes.is_set(attribute::MODIFIABLE) {
            return Err(ReturnValue::ACTION_PROHIBITED);
        }
        let mut attributes = self.attributes.clone();
        for (kind, value) in template.iter() {
            let before = self.attributes.get(kind).ok_or(ReturnValue::ATTRIBUTE_TYPE_INVALID)?;
            let may_change = match kind {
                attribute::LABEL | attribute::ID | attribute::SUBJECT | attribute::APPLICATION => true,
                attribute::START_DATE | attribute::END_DATE => true,
                attribute::VALUE | attribute::OBJECT_ID => self.kind == Kind::Data,
                // A key may become more secret, never less.
                attribute::SENSITIVE => value == [1],
                attribute::EXTRACTABLE => value == [0],
                attribute::COPYABLE => value == [0],
                attribute::ENCRYPT | attribute::DECRYPT | attribute::SIGN | attribute::VERIFY => true,
                attribute::WRAP | attribute::UNWRAP | attribute::DERIVE => true,
                _ => false,
            };
            if !may_change && value != before {
                return Err(ReturnValue::ATTRIBUTE_READ_ONLY);
            }
            attributes.set(kind, value);
        }
        check_flags(&attributes)?;
        self.attributes = attributes;
        Ok(())
    }
}

/// What every object of the card has. CKA_ID is the same for the three objects of a key, and the one that other PIV
/// modules use: 1 to 4 for 9A 9C 9D 9E, 5 to 24 for 82 to 95.
fn token_attributes(class: c_ulong, reference: KeyReference, what: &str) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set_number(attribute::CLASS, class);
    attributes.set_flag(attribute::TOKEN, true);
    attributes.set_flag(attribute::MODIFIABLE, false);
    attributes.set_flag(attribute::COPYABLE, class != class::PRIVATE_KEY);
    attributes.set_flag(attribute::DESTROYABLE, true);
    attributes.set(attribute::LABEL, format!("{what} for {}", name(reference)).as_bytes());
    attributes.set(attribute::ID, &[id(reference)]);
    attributes.set(attribute::UNIQUE_ID, format!("{what} {reference}").as_bytes());
    attributes
}

/// A key's name in SP 800-73-5 Part 1 table 4.
fn name(reference: KeyReference) -> String {
    match reference {
        KeyReference::Authentication => "PIV Authentication".to_owned(),
        KeyReference::DigitalSignature => "Digital Signature".to_owned(),
        KeyReference::KeyManagement => "Key Management".to_owned(),
        KeyReference::CardAuthentication => "Card Authentication".to_owned(),
        KeyReference::Retired(number) => format!("Retired Key Management {}", number.get()),
    }
}

/// The byte of CKA_ID.
pub(crate) fn id(reference: KeyReference) -> u8 {
    match reference {
        KeyReference::Authentication => 1,
        KeyReference::DigitalSignature => 2,
        KeyReference::KeyManagement => 3,
        KeyReference::CardAuthentication => 4,
        KeyReference::Retired(number) => 4 + number.get(),
    }
}

/// The key that a CKA_ID names.
pub(crate) fn key_of_id(bytes: &[u8]) -> Option<KeyReference> {
    let mut all = KeyReference::PRIMARY.into_iter().chain(KeyReference::retired());
    all.find(|&reference| bytes == [id(reference)])
}

fn describe_public_key(key: &PublicKey, attributes: &mut Attributes) {
    key.describe(attributes);
    let is_rsa = matches!(key, PublicKey::Rsa(_));
    if is_rsa {
        attributes.set_number(attribute::MODULUS_BITS, c_ulong::try_from(key.bits()).unwrap_or_default());
    }
    let verifies = !matches!(key, PublicKey::X25519(_));
    let flags = [
        (attribute::VERIFY, verifies),
        (attribute::VERIFY_RECOVER, false),
        (attribute::ENCRYPT, is_rsa),
        (attribute::WRAP, is_rsa),
        (attribute::DERIVE, false),
        (attribute::LOCAL, false),
        (attribute::TRUSTED, false),
    ];
    for (kind, value) in flags {
        attributes.set_default(kind, &[u8::from(value)]);
    }
    attributes.set_default(attribute::SUBJECT, &[]);
    attributes.set_default(attribute::ID, &[]);
    attributes.set_number(attribute::KEY_GEN_MECHANISM, UNAVAILABLE);
    set_key_defaults(attributes);
}

fn set_key_defaults(attributes: &mut Attributes) {
    attributes.set_default(attribute::START_DATE, &[]);
    attributes.set_default(attribute::END_DATE, &[]);
}

/// How long a secret of a type is; `None` for any length.
pub(crate) fn secret_length(kind: c_ulong) -> Option<&'static [usize]> {
    match kind {
        key_type::AES => Some(&[16, 24, 32]),
        key_type::DES3 => Some(&[24]),
        _ => None,
    }
}

/// What a key may be for, each a `CK_BBOOL`.
const USES: [AttributeType; 7] = [
    attribute::ENCRYPT,
    attribute::DECRYPT,
    attribute::WRAP,
    attribute::UNWRAP,
    attribute::SIGN,
    attribute::VERIFY,
    attribute::DERIVE,
];

/// Every attribute that is a `CK_BBOOL` must be one.
fn check_flags(attributes: &Attributes) -> Result<(), ReturnValue> {
    let others = [
        attribute::TOKEN,
        attribute::PRIVATE,
        attribute::SENSITIVE,
        attribute::EXTRACTABLE,
        attribute::MODIFIABLE,
        attribute::COPYABLE,
        attribute::DESTROYABLE,
    ];
    others.into_iter().chain(USES).try_for_each(|kind| attributes.flag(kind).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_other_modules_use() {
        let all: Vec<_> = KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()).collect();
        let ids: Vec<u8> = all.iter().map(|&reference| id(reference)).collect();
        assert_eq!(ids, (1..=24).collect::<Vec<u8>>());
        for reference in all {
            assert_eq!(key_of_id(&[id(reference)]), Some(reference));
        }
        assert_eq!((key_of_id(&[]), key_of_id(&[25]), key_of_id(&[1, 1])), (None, None, None));
    }

    fn template(attributes: &[(AttributeType, &[u8])]) -> Attributes {
        attributes.iter().map(|(kind, value)| (*kind, Zeroizing::new(value.to_vec()))).collect()
    }

    #[test]
    fn a_secret_key_becomes_more_secret_and_never_less() {
        let mut key = Object::secret_key(&template(&[]), &[7; 32]).ok().unwrap();
        assert!(matches!(key.show(attribute::VALUE), Shown::Value(value) if value == [7; 32]));
        key.change(&template(&[(attribute::SENSITIVE, &[1]), (attribute::LABEL, b"x")])).unwrap();
        assert!(matches!(key.show(attribute::VALUE), Shown::Sensitive));
        let less = key.change(&template(&[(attribute::SENSITIVE, &[0])]));
        assert_eq!(less, Err(ReturnValue::ATTRIBUTE_READ_ONLY));
        let unknown = key.change(&template(&[(0x9999, &[0])]));
        assert_eq!(unknown, Err(ReturnValue::ATTRIBUTE_TYPE_INVALID));
        assert!(matches!(key.show(0x9999), Shown::Unknown));
    }

    #[test]
    fn templates_that_contradict_themselves_are_refused() {
        let aes = key_type::AES.to_ne_bytes();
        let refused = |attributes: &[(AttributeType, &[u8])], length: usize| {
            Object::secret_key(&template(attributes), &vec![1; length]).err()
        };
        assert_eq!(refused(&[(attribute::KEY_TYPE, &aes)], 32), None);
        assert_eq!(refused(&[(attribute::KEY_TYPE, &aes)], 33), Some(ReturnValue::ATTRIBUTE_VALUE_INVALID));
        assert_eq!(refused(&[(attribute::TOKEN, &[1])], 32), Some(ReturnValue::TEMPLATE_INCONSISTENT));
        assert_eq!(refused(&[(attribute::SIGN, &[9])], 32), Some(ReturnValue::ATTRIBUTE_VALUE_INVALID));
        let class = class::PRIVATE_KEY.to_ne_bytes();
        let private = Object::of_template(&template(&[(attribute::CLASS, &class)]));
        assert_eq!(private.err(), Some(ReturnValue::TEMPLATE_INCONSISTENT));
        assert_eq!(Object::of_template(&template(&[])).err(), Some(ReturnValue::TEMPLATE_INCOMPLETE));
    }
}
