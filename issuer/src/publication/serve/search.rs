//! Queries, RFC 4387 section 2.
use base64ct::{Base64Unpadded, Encoding};
use percent_encoding::percent_decode_str;

use crate::ca::MailAddress;

/// Which store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Certificates,
    Crls,
}

impl Collection {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Certificates => "application/pkix-cert",
            Self::Crls => "application/pkix-crl",
        }
    }
}

/// The attributes that are looked up in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Attribute {
    /// SHA-1 of the certificate.
    CertHash,
    /// SHA-1 of the issuer's name.
    IHash,
    /// SHA-1 of issuerAndSerialNumber.
    IAndSHash,
    /// Common name, UTF-8.
    Name,
    /// SHA-1 of the subject's name.
    SHash,
    /// SHA-1 of the subjectKeyIdentifier.
    SKidHash,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Search {
    MailAddress(MailAddress),
    Indexed(Attribute, Vec<u8>),
}

/// Why a query is no query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueryError(pub(super) &'static str);

/// Reads a query. Unknown attributes are ignored (section 2); exactly one known one must be there.
pub(super) fn parse(collection: Collection, query: &str) -> Result<Search, QueryError> {
    let mut found = None;
    for pair in query.split('&') {
        let (attribute, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(search) = search(collection, &form_decode(attribute)?, &form_decode(value)?)? else {
            continue;
        };
        if found.replace(search).is_some() {
            return Err(QueryError("the query has more than one attribute to search by"));
        }
    }
    found.ok_or(QueryError(match collection {
        Collection::Certificates => {
            "search by email, uri, name, certHash, iHash, iAndSHash, sHash or sKIDHash"
        }
        Collection::Crls => "search by iHash or sKIDHash",
    }))
}

fn search(collection: Collection, attribute: &str, value: &str) -> Result<Option<Search>, QueryError> {
    let attribute = match (collection, attribute) {
        (Collection::Certificates, "email" | "uri") => {
            let address = value.parse().map_err(|_| QueryError("the value is not a mail address"))?;
            return Ok(Some(Search::MailAddress(address)));
        }
        (Collection::Certificates, "name") => {
            return Ok(Some(Search::Indexed(Attribute::Name, value.as_bytes().to_vec())));
        }
        (Collection::Certificates, "certHash") => Attribute::CertHash,
        (Collection::Certificates, "iAndSHash") => Attribute::IAndSHash,
        (Collection::Certificates, "sHash") => Attribute::SHash,
        (_, "iHash") => Attribute::IHash,
        (_, "sKIDHash") => Attribute::SKidHash,
        _ => return Ok(None),
    };
    Ok(Some(Search::Indexed(attribute, search_key(value)?)))
}

/// Section 2.1: a SHA-1 hash in base64, its one padding character dropped; anything else must be refused.
fn search_key(value: &str) -> Result<Vec<u8>, QueryError> {
    let refused = QueryError("the value is not 27 characters of base64 (write + as %2B and / as %2F)");
    if value.len() != 27 {
        return Err(refused);
    }
    Base64Unpadded::decode_vec(value).map_err(|_| refused)
}

/// `application/x-www-form-urlencoded`: `+` is a space.
fn form_decode(text: &str) -> Result<String, QueryError> {
    let complete =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|octet| octet.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(complete) {
        return Err(QueryError("a % is not followed by two hexadecimal digits"));
    }
    let spaced = text.replace('+', " ");
    let decoded =
        percent_decode_str(&spaced).decode_utf8().map_err(|_| QueryError("the query is not UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(query: &str) -> Result<Search, QueryError> {
        parse(Collection::Certificates, query)
    }

    #[test]
    fn the_example_of_the_standard_is_understood() {
        // RFC 4387 section 2.6.
        let hash = hex::decode("964C70C41EC908E5CA452510D6C8283A1AC1DFE2").unwrap();
        let expected = Search::Indexed(Attribute::SHash, hash);
        assert_eq!(certificates("sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3%2BI"), Ok(expected));
        let address = Search::MailAddress("foo@example.com".parse().unwrap());
        assert_eq!(certificates("email=foo%40example.com"), Ok(address.clone()));
        assert_eq!(certificates("uri=foo%40example.com&colour=green"), Ok(address));
    }

    #[test]
    fn a_plus_is_a_space_and_utf_8_is_decoded() {
        assert_eq!(
            certificates("name=Fred+Dagg"),
            Ok(Search::Indexed(Attribute::Name, b"Fred Dagg".to_vec()))
        );
        let name = Search::Indexed(Attribute::Name, "李".as_bytes().to_vec());
        assert_eq!(certificates("name=%E6%9D%8E"), Ok(name));
    }

    #[test]
    fn what_is_no_search_key_is_refused() {
        for query in [
            "",
            "email",
            "email=",
            "email=*",
            "colour=green",
            "sHash=",
            "sHash=short",
            "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3+I",
            "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3_I",
            "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3%2BI%3D",
            "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3%2B%27",
            "name=%FF",
            "name=%",
            "name=%4",
            "name=%+1",
            "name=a&name=b",
            "email=a%40b.org&name=b",
        ] {
            assert!(certificates(query).is_err(), "{query}");
        }
        assert!(parse(Collection::Crls, "email=a%40example.org").is_err());
    }
}
