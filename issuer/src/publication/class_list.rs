//! The list of classes of readers, as it is signed and published: `classes.p7m`.
//!
//! CMS `SignedData` (RFC 5652) in DER with the content inside, of type id-data: UTF-8 JSON, one object.
//!
//! ```json
//! { "version": 1, "number": 7, "organization": "Example",
//!   "issued": "2026-11-30T06:28:00Z", "expires": "2026-12-30T06:28:00Z",
//!   "classes": [
//!     { "name": "board", "description": "Members of the board", "policy": "1.3.6.1.4.1.32473.1.6",
//!       "members": [ { "address": "alice@example.org", "clearance": 3 } ] } ] }
//! ```
//!
//! `number` grows with every list; `clearance` is the highest classification of `policy` that a member may read (RFC 2634
//! section 3.2). Addresses are as the members' certificates have them.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::PublicationError;
use crate::ca::signed_data::unverified_content;
use crate::domain::ReaderClass;

/// The content of a list.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ClassList<'a> {
    version: u8,
    number: u64,
    organization: &'a str,
    issued: String,
    expires: String,
    classes: Vec<Class<'a>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Class<'a> {
    name: &'a str,
    description: &'a str,
    policy: &'a str,
    members: Vec<Member<'a>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Member<'a> {
    address: &'a str,
    clearance: u8,
}

impl<'a> ClassList<'a> {
    /// The list under this number.
    pub fn new(
        number: u64,
        organization: &'a str,
        issued: Timestamp,
        expires: Timestamp,
        classes: &'a [ReaderClass],
    ) -> Self {
        let member = |(person, clearance): &'a (crate::domain::Cardholder, crate::domain::Clearance)| {
            Member { address: person.mail.as_str(), clearance: clearance.level() }
        };
        let class = |class: &'a ReaderClass| Class {
            name: class.name.as_str(),
            description: class.description.as_str(),
            policy: &class.policy,
            members: class.members.iter().map(member).collect(),
        };
        Self {
            version: 1,
            number,
            organization,
            issued: issued.to_string(),
            expires: expires.to_string(),
            classes: classes.iter().map(class).collect(),
        }
    }

    /// What is signed.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, PublicationError> {
        serde_json::to_vec(self).map_err(|error| PublicationError::Malformed(error.to_string()))
    }
}

/// A list follows the published one if its number is greater.
pub(super) fn check_succession(published: &[u8], offered: &[u8]) -> Result<(), PublicationError> {
    let (published, number) = (number_of(published)?, number_of(offered)?);
    if number > published { Ok(()) } else { Err(PublicationError::ClassListBehind { number, published }) }
}

fn number_of(signed: &[u8]) -> Result<u64, PublicationError> {
    #[derive(Deserialize)]
    struct Numbered {
        number: u64,
    }
    let malformed =
        |reason: String| PublicationError::Malformed(format!("a list of classes cannot be read: {reason}"));
    let content = unverified_content(signed).map_err(|error| malformed(error.to_string()))?;
    let list: Numbered = serde_json::from_slice(&content).map_err(|error| malformed(error.to_string()))?;
    Ok(list.number)
}
