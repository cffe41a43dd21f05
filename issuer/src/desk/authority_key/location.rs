//! Where a key is, in words.
use std::fmt;
use std::str::FromStr;

use middleware::{KeyReference, Locator, Pkcs11Uri};

/// Where the key of an authority is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLocation {
    /// `file`: in the home, encrypted under its passphrase.
    File,
    /// `pkcs11:...?module-path=FILE` (RFC 7512): behind a PKCS#11 module, made there before.
    Pkcs11(Pkcs11Uri),
    /// `card:LOCATOR` or `card:9A:LOCATOR`: on a PIV card, made there before; 9C unless another key is named.
    Card(Locator, KeyReference),
}

impl FromStr for KeyLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "file" {
            return Ok(Self::File);
        }
        if text.starts_with("pkcs11:") {
            let uri: Pkcs11Uri = text.parse().map_err(|error: middleware::KeyError| error.to_string())?;
            if uri.module.is_none() {
                return Err(format!("{text:?} names no module; add ?module-path=FILE"));
            }
            return Ok(Self::Pkcs11(uri));
        }
        let Some(rest) = text.strip_prefix("card:") else {
            return Err(format!("{text:?} is neither file nor pkcs11:... nor card:LOCATOR"));
        };
        let (key, locator) = match KEYS.iter().find_map(|(name, key)| Some((key, rest.strip_prefix(name)?))) {
            Some((key, locator)) => (*key, locator),
            None => (KeyReference::DigitalSignature, rest),
        };
        let locator = locator.parse().map_err(|error| format!("{text:?}: {error}"))?;
        Ok(Self::Card(locator, key))
    }
}

impl fmt::Display for KeyLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Pkcs11(uri) => write!(f, "{}", uri_text(uri)),
            Self::Card(locator, KeyReference::DigitalSignature) => write!(f, "card:{locator}"),
            Self::Card(locator, key) => {
                let name = KEYS.iter().find(|(_, known)| known == key).map_or("", |(name, _)| *name);
                write!(f, "card:{name}{locator}")
            }
        }
    }
}

/// RFC 7512 section 2.3; what is not plain is percent-encoded.
fn uri_text(uri: &Pkcs11Uri) -> String {
    let plain = |octets: &[u8]| -> String {
        let one = |octet: &u8| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(*octet).to_string()
            }
            octet => format!("%{octet:02X}"),
        };
        octets.iter().map(one).collect()
    };
    let text = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{name}={}", plain(value.as_bytes())))
    };
    let id = uri.id.as_ref().map(|id| format!("id={}", plain(id)));
    let parts = [text("token", &uri.token), text("serial", &uri.serial), text("object", &uri.object), id];
    let path: Vec<String> = parts.into_iter().flatten().collect();
    let module = uri
        .module
        .as_ref()
        .map(|path| format!("?module-path={}", plain(path.as_os_str().as_encoded_bytes())));
    format!("pkcs11:{}{}", path.join(";"), module.unwrap_or_default())
}

/// Keys that want a PIN, by the names that stand before a locator.
const KEYS: [(&str, KeyReference); 3] = [
    ("9A:", KeyReference::Authentication),
    ("9C:", KeyReference::DigitalSignature),
    ("9D:", KeyReference::KeyManagement),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_read_back_as_they_are_written() {
        for text in [
            "file",
            "pkcs11:token=CA;object=root%20key?module-path=/usr/lib/softhsm/libsofthsm2.so",
            "pkcs11:serial=1;id=%01%02?module-path=/x.so",
            "card:sim:/tmp/ca.card",
            "card:9A:sim:/tmp/ca.card",
            "card:pcsc:Reader 00",
        ] {
            let location: KeyLocation = text.parse().unwrap();
            assert_eq!(location.to_string().parse::<KeyLocation>().unwrap(), location, "{text}");
        }
    }

    #[test]
    fn what_is_no_location_is_named() {
        for (text, word) in [
            ("", "neither file"),
            ("usb:1", "neither file"),
            ("pkcs11:token=x", "module-path"),
            ("pkcs11:colour=red?module-path=/x.so", "colour"),
            ("card:", "card:"),
        ] {
            let refused = text.parse::<KeyLocation>().unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }
}
