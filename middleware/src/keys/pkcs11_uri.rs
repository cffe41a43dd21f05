//! `pkcs11:` URIs, which name a key behind a PKCS#11 module (RFC 7512).
use std::path::PathBuf;
use std::str::FromStr;

use super::KeyError;

/// Which key of which token of which module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// `module-path`.
    pub module: Option<PathBuf>,
    /// `token`, its label.
    pub token: Option<String>,
    /// `serial`, the token's.
    pub serial: Option<String>,
    /// `object`, the key's label.
    pub object: Option<String>,
    /// `id`, the key's CKA_ID.
    pub id: Option<Vec<u8>>,
}

impl FromStr for Pkcs11Uri {
    type Err = KeyError;

    /// Attributes that are not known here are refused where they narrow the choice, and passed over in the query.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |what: &str| KeyError::NoSuchKey(format!("{text:?} is no pkcs11: URI: {what}"));
        let rest = text.strip_prefix("pkcs11:").ok_or_else(|| bad("it begins otherwise"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for attribute in path.split(';').filter(|attribute| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=').ok_or_else(|| bad("an attribute has no value"))?;
            let value = decoded(value).ok_or_else(|| bad("a broken %"))?;
            let as_text = || String::from_utf8(value.clone()).map_err(|_| bad("not UTF-8"));
            match name {
                "token" => uri.token = Some(as_text()?),
                "serial" => uri.serial = Some(as_text()?),
                "object" => uri.object = Some(as_text()?),
                "id" => uri.id = Some(value),
                // The key is what is wanted in any case; which module it is the query says.
                "type"
                | "manufacturer"
                | "model"
                | "library-manufacturer"
                | "library-description"
                | "library-version" => {}
                name => return Err(bad(&format!("the attribute {name} is not known"))),
            }
        }
        for attribute in query.split('&').filter(|attribute| !attribute.is_empty()) {
            if let Some(("module-path", value)) = attribute.split_once('=') {
                let value = decoded(value).ok_or_else(|| bad("a broken %"))?;
                uri.module = Some(PathBuf::from(String::from_utf8(value).map_err(|_| bad("not UTF-8"))?));
            }
        }
        Ok(uri)
    }
}

/// RFC 3986 section 2.1.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(digits).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7512 section 3, as far as they name keys.
    #[test]
    fn uris_are_read_as_the_standard_shows_them() {
        let uri: Pkcs11Uri =
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;object=my-pubkey;id=%69%95%3E%5C;type=private?module-path=/usr/lib/m.so&pin-source=file:/x"
                .parse()
                .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
        assert_eq!(uri.object.as_deref(), Some("my-pubkey"));
        assert_eq!(uri.id.as_deref(), Some(&[0x69, 0x95, 0x3E, 0x5C][..]));
        assert_eq!(uri.module.as_deref(), Some(std::path::Path::new("/usr/lib/m.so")));
        assert_eq!("pkcs11:".parse::<Pkcs11Uri>().unwrap(), Pkcs11Uri::default());
        for wrong in ["", "pkcs12:", "pkcs11:token", "pkcs11:id=%6", "pkcs11:slot-id=1"] {
            assert!(matches!(wrong.parse::<Pkcs11Uri>(), Err(KeyError::NoSuchKey(_))), "{wrong}");
        }
    }
}
