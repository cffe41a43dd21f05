//! A base URL with a path: certificates name what lies below it.
use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The path of the base URL, as `/pki`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below(String);

/// It is no path that a base URL can have.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a path begins with a slash and holds letters, digits, . _ ~ % and -, as /pki")]
pub struct NoPath;

impl FromStr for Below {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~%".contains(&octet);
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(plain);
        let rest = text.strip_prefix('/').ok_or(NoPath)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.split('/').all(is_part) { Ok(Self(format!("/{rest}"))) } else { Err(NoPath) }
    }
}

impl Below {
    /// What is asked for, seen from here; `None` for what does not lie below.
    pub(super) fn strip(&self, asked: &Uri) -> Option<Uri> {
        let rest = asked.path().strip_prefix(&self.0)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let path = if rest.is_empty() { "/" } else { rest };
        let seen = match asked.query() {
            Some(query) => format!("{path}?{query}").parse::<PathAndQuery>(),
            None => path.parse(),
        };
        Some(Uri::from(seen.ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_is_seen_from_there_and_nothing_else() {
        let below: Below = "/pki/x/".parse().unwrap();
        for (asked, seen) in [
            ("/pki/x/crl/00.crl", Some("/crl/00.crl")),
            ("http://pki.example.org/pki/x/ocsp", Some("/ocsp")),
            ("/pki/x/ocsp//MA==", Some("/ocsp//MA==")),
            ("/pki/x/crls/search.cgi?iHash=a%2B", Some("/crls/search.cgi?iHash=a%2B")),
            ("/pki/x", Some("/")),
            ("/pki/xy/crl/00.crl", None),
            ("/crl/00.crl", None),
            ("/", None),
        ] {
            let stripped = below.strip(&asked.parse().unwrap());
            assert_eq!(stripped.map(|uri| uri.to_string()).as_deref(), seen, "{asked}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "/", "//", "pki", "/pki//x", "/a b", "/pki?x", "http://pki.example.org/pki"] {
            assert!(text.parse::<Below>().is_err(), "{text}");
        }
    }
}
