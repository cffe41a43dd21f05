//! Attributes and templates (PKCS#11 Base 3.0 section 4).
use std::collections::BTreeMap;
use std::ffi::c_ulong;

use zeroize::Zeroizing;

use crate::return_value::ReturnValue;

/// `CK_ATTRIBUTE_TYPE`.
pub(crate) type AttributeType = c_ulong;

pub(crate) const CLASS: AttributeType = 0x0000_0000;
pub(crate) const TOKEN: AttributeType = 0x0000_0001;
pub(crate) const PRIVATE: AttributeType = 0x0000_0002;
pub(crate) const LABEL: AttributeType = 0x0000_0003;
pub(crate) const UNIQUE_ID: AttributeType = 0x0000_0004;
pub(crate) const APPLICATION: AttributeType = 0x0000_0010;
pub(crate) const VALUE: AttributeType = 0x0000_0011;
pub(crate) const OBJECT_ID: AttributeType = 0x0000_0012;
pub(crate) const CERTIFICATE_TYPE: AttributeType = 0x0000_0080;
pub(crate) const ISSUER: AttributeType = 0x0000_0081;
pub(crate) const SERIAL_NUMBER: AttributeType = 0x0000_0082;
pub(crate) const TRUSTED: AttributeType = 0x0000_0086;
pub(crate) const CERTIFICATE_CATEGORY: AttributeType = 0x0000_0087;
pub(crate) const CHECK_VALUE: AttributeType = 0x0000_0090;
pub(crate) const KEY_TYPE: AttributeType = 0x0000_0100;
pub(crate) const SUBJECT: AttributeType = 0x0000_0101;
pub(crate) const ID: AttributeType = 0x0000_0102;
pub(crate) const SENSITIVE: AttributeType = 0x0000_0103;
pub(crate) const ENCRYPT: AttributeType = 0x0000_0104;
pub(crate) const DECRYPT: AttributeType = 0x0000_0105;
pub(crate) const WRAP: AttributeType = 0x0000_0106;
pub(crate) const UNWRAP: AttributeType = 0x0000_0107;
pub(crate) const SIGN: AttributeType = 0x0000_0108;
pub(crate) const SIGN_RECOVER: AttributeType = 0x0000_0109;
pub(crate) const VERIFY: AttributeType = 0x0000_010A;
pub(crate) const VERIFY_RECOVER: AttributeType = 0x0000_010B;
pub(crate) const DERIVE: AttributeType = 0x0000_010C;
pub(crate) const START_DATE: AttributeType = 0x0000_0110;
pub(crate) const END_DATE: AttributeType = 0x0000_0111;
pub(crate) const MODULUS: AttributeType = 0x0000_0120;
pub(crate) const MODULUS_BITS: AttributeType = 0x0000_0121;
pub(crate) const PUBLIC_EXPONENT: AttributeType = 0x0000_0122;
pub(crate) const PRIVATE_EXPONENT: AttributeType = 0x0000_0123;
pub(crate) const PRIME_1: AttributeType = 0x0000_0124;
pub(crate) const PRIME_2: AttributeType = 0x0000_0125;
pub(crate) const EXPONENT_1: AttributeType = 0x0000_0126;
pub(crate) const EXPONENT_2: AttributeType = 0x0000_0127;
pub(crate) const COEFFICIENT: AttributeType = 0x0000_0128;
pub(crate) const PUBLIC_KEY_INFO: AttributeType = 0x0000_0129;
pub(crate) const VALUE_LEN: AttributeType = 0x0000_0161;
pub(crate) const EXTRACTABLE: AttributeType = 0x0000_0162;
pub(crate) const LOCAL: AttributeType = 0x0000_0163;
pub(crate) const NEVER_EXTRACTABLE: AttributeType = 0x0000_0164;
pub(crate) const ALWAYS_SENSITIVE: AttributeType = 0x0000_0165;
pub(crate) const KEY_GEN_MECHANISM: AttributeType = 0x0000_0166;
pub(crate) const MODIFIABLE: AttributeType = 0x0000_0170;
pub(crate) const COPYABLE: AttributeType = 0x0000_0171;
pub(crate) const DESTROYABLE: AttributeType = 0x0000_0172;
pub(crate) const EC_PARAMS: AttributeType = 0x0000_0180;
pub(crate) const EC_POINT: AttributeType = 0x0000_0181;
pub(crate) const ALWAYS_AUTHENTICATE: AttributeType = 0x0000_0202;
pub(crate) const WRAP_WITH_TRUSTED: AttributeType = 0x0000_0210;

/// `CK_UNAVAILABLE_INFORMATION`, also the key-generation mechanism of a key that was not made here.
pub(crate) const UNAVAILABLE: c_ulong = c_ulong::MAX;

/// Attributes with their values, as an object has them or an application asks for them. Zeroised: a value may be a
/// secret key's.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<AttributeType, Zeroizing<Vec<u8>>>);

impl Attributes {
    pub(crate) fn set(&mut self, kind: AttributeType, value: &[u8]) {
        self.0.insert(kind, Zeroizing::new(value.to_vec()));
    }

    pub(crate) fn set_flag(&mut self, kind: AttributeType, value: bool) {
        self.set(kind, &[u8::from(value)]);
    }

    pub(crate) fn set_number(&mut self, kind: AttributeType, value: c_ulong) {
        self.set(kind, &value.to_ne_bytes());
    }

    /// Sets what is not there yet.
    pub(crate) fn set_default(&mut self, kind: AttributeType, value: &[u8]) {
        self.0.entry(kind).or_insert_with(|| Zeroizing::new(value.to_vec()));
    }

    pub(crate) fn remove(&mut self, kind: AttributeType) {
        self.0.remove(&kind);
    }

    pub(crate) fn get(&self, kind: AttributeType) -> Option<&[u8]> {
        self.0.get(&kind).map(|value| value.as_slice())
    }

    /// A `CK_BBOOL`.
    pub(crate) fn flag(&self, kind: AttributeType) -> Result<Option<bool>, ReturnValue> {
        match self.get(kind) {
            None => Ok(None),
            Some([0]) => Ok(Some(false)),
            Some([1]) => Ok(Some(true)),
            Some(_) => Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
        }
    }

    /// Whether a flag is there and set.
    pub(crate) fn is_set(&self, kind: AttributeType) -> bool {
        self.get(kind) == Some(&[1])
    }

    /// A `CK_ULONG`.
    pub(crate) fn number(&self, kind: AttributeType) -> Result<Option<c_ulong>, ReturnValue> {
        self.get(kind)
            .map(|value| value.try_into().map(c_ulong::from_ne_bytes))
            .transpose()
            .map_err(|_| ReturnValue::ATTRIBUTE_VALUE_INVALID)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (AttributeType, &[u8])> {
        self.0.iter().map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// Whether every attribute of the template is here with the same value.
    pub(crate) fn match_template(&self, template: &Self) -> bool {
        template.iter().all(|(kind, value)| self.get(kind) == Some(value))
    }
}

impl FromIterator<(AttributeType, Zeroizing<Vec<u8>>)> for Attributes {
    fn from_iter<T: IntoIterator<Item = (AttributeType, Zeroizing<Vec<u8>>)>>(attributes: T) -> Self {
        Self(attributes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_wrong_form_are_refused() {
        let mut attributes = Attributes::default();
        attributes.set(TOKEN, &[2]);
        attributes.set(VALUE_LEN, &[1, 2, 3]);
        assert_eq!(attributes.flag(TOKEN), Err(ReturnValue::ATTRIBUTE_VALUE_INVALID));
        assert_eq!(attributes.number(VALUE_LEN), Err(ReturnValue::ATTRIBUTE_VALUE_INVALID));
        assert_eq!(attributes.flag(PRIVATE), Ok(None));
        attributes.set_number(VALUE_LEN, 32);
        assert_eq!(attributes.number(VALUE_LEN), Ok(Some(32)));
    }

    #[test]
    fn an_object_matches_a_template_only_with_every_attribute() {
        let mut object = Attributes::default();
        object.set_number(CLASS, 1);
        object.set(ID, &[2]);
        let mut template = Attributes::default();
        assert!(object.match_template(&template));
        template.set(ID, &[2]);
        assert!(object.match_template(&template));
        template.set(LABEL, b"");
        assert!(!object.match_template(&template));
    }
}
