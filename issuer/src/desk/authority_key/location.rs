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

impl KeyLocation {
    /// Whether both are on one token or card, for all that is known: a PIN that one refused is not to be tried on the other.
    pub fn shares_pin(&self, other: &Self) -> bool {
        let can_be_one =
            |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        match (self, other) {
            (Self::Pkcs11(one), Self::Pkcs11(other)) => {
                one.module == other.module
                    && can_be_one(&one.token, &other.token)
                    && can_be_one(&one.serial, &other.serial)
            }
            (Self::Card(one, _), Self::Card(other, _)) => one == other,
            _ => false,
        }
    }
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
    fn one_token_has_one_pin() {
        let shares = |one: &str, other: &str| {
            let [one, other]: [KeyLocation; 2] = [one, other].map(|text| text.parse().unwrap());
            one.shares_pin(&other)
        };
        let root = "pkcs11:token=CA;object=root?module-path=/m.so";
        assert!(shares(root, "pkcs11:token=CA;object=people?module-path=/m.so"));
        assert!(shares(root, "pkcs11:object=people?module-path=/m.so"));
        assert!(!shares(root, "pkcs11:token=B;object=root?module-path=/m.so"));
        assert!(!shares(root, "pkcs11:token=CA;object=root?module-path=/other.so"));
        assert!(shares("card:sim:root.card", "card:9A:sim:root.card"));
        assert!(!shares("card:sim:root.card", "card:sim:people.card"));
        assert!(!shares("file", "file"));
        assert!(!shares(root, "file"));
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
