//! The rows of a batch: who gets a card, with which keys, at which reader.
//!
//! ```text
//! person,profile,algorithm,keys,reader
//! alice@example.org,,rsa2048,,
//! bob@example.org,mail,,,
//! 1002,,,inject,pcsc:Reader 2
//! ```
//!
//! `person` is a mail address or staff identifier; the other columns may be left out or empty. A profile says algorithms and
//! origins of all keys, so a row names one or them. A row that cannot be used is named with its field, and the others go on.

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;
use middleware::KeyAlgorithm;

use super::reason::Reason;
use crate::desk::card_profile::{Before, Wanted};
use crate::desk::csv_row;
use crate::desk::failure::Failure;
use crate::desk::office::{Office, read_file};
use crate::domain::{CardProfile, Cardholder, KeyOrigin};

/// A card to be made.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line of the file.
    pub line: u64,
    /// For whom.
    pub holder: Cardholder,
    /// What was said of what it shall be like, in the row or for all.
    pub wanted: Wanted,
    /// What it shall be like, if nobody has begun with it.
    pub profile: CardProfile,
    /// The reader or card that it is bound to, as written.
    pub place: Option<String>,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The line of the file.
    pub line: u64,
    /// What it says of the person.
    pub person: String,
    /// Which field, and what is wrong with it.
    pub why: Reason,
}

/// What a batch is longest: nobody has more staff in one file.
const LARGEST_FILE: u64 = 16 << 20;
const COLUMNS: [&str; 5] = ["person", "profile", "algorithm", "keys", "reader"];

/// Reads the file; people are looked up in the registry.
///
/// # Errors
/// The file cannot be read, or its columns are not those of a batch.
pub async fn read(
    office: &Office,
    file: &Path,
    default: &Wanted,
) -> Result<(Vec<Row>, Vec<Unusable>), Failure> {
    let named = |what: String| Failure::new("malformed", format!("{}: {what}", file.display()));
    let bytes = read_file(file, LARGEST_FILE)?;
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|error| named(error.to_string()))?;
    let (columns, width) = (columns(header).map_err(named)?, header.len());
    let (mut rows, mut unusable) = (Vec::new(), Vec::new());
    let mut seen = BTreeMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let why = malformed("it is not UTF-8".to_owned()).saying("failed-row-encoding", &[]);
                unusable.push(Unusable { line, person: String::new(), why: why.into() });
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |name: &str| {
            let value = columns.get(name).and_then(|index| record.get(*index)).unwrap_or_default();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let person = field("person").unwrap_or_default();
        if let Some(fault) = csv_row::fault(&record, width, &bytes) {
            unusable.push(Unusable { line, person, why: malformed(fault).into() });
            continue;
        }
        match row(office, line, &field, default).await? {
            Ok(row) => match seen.insert(row.holder.id, line) {
                None => rows.push(row),
                Some(first) => {
                    seen.insert(row.holder.id, first);
                    let why = malformed(format!("person: {person} is in line {first} already"))
                        .saying("failed-row-twice", &[("person", &person), ("line", &first.to_string())]);
                    unusable.push(Unusable { line, person, why: why.into() });
                }
            },
            Err(why) => unusable.push(Unusable { line, person, why: why.into() }),
        }
    }
    Ok((rows, unusable))
}

fn columns(header: &StringRecord) -> Result<BTreeMap<String, usize>, String> {
    let mut columns = BTreeMap::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{FEFF}').to_lowercase();
        if !COLUMNS.contains(&name.as_str()) {
            return Err(format!("there is no column {name:?}; the columns are {}", COLUMNS.join(", ")));
        }
        if columns.insert(name.clone(), index).is_some() {
            return Err(format!("the column {name:?} is there twice"));
        }
    }
    if columns.contains_key("person") { Ok(columns) } else { Err("there is no column \"person\"".to_owned()) }
}

async fn row(
    office: &Office,
    line: u64,
    field: &dyn Fn(&str) -> Option<String>,
    default: &Wanted,
) -> Result<Result<Row, Failure>, Failure> {
    let Some(person) = field("person") else {
        return Ok(Err(malformed("person: is empty".to_owned()).saying("failed-row-nobody", &[])));
    };
    let wanted = match wanted(field, default) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(Err(why)),
    };
    let profile = match wanted.profile(&office.config, Before::MadeBy(None)) {
        Ok(profile) => profile,
        Err(failure) => return Ok(Err(Failure { code: MALFORMED, ..failure.before("profile") })),
    };
    Ok(match office.registry.cardholder_named(&person).await? {
        Some(holder) => Ok(Row { line, holder, wanted, profile, place: field("reader") }),
        None => Err(malformed(format!("person: nobody has the mail address or identifier {person:?}"))
            .saying("failed-row-unknown", &[("person", &person)])),
    })
}

/// What cannot be used.
const MALFORMED: &str = "malformed";

fn malformed(message: String) -> Failure {
    Failure::new(MALFORMED, message)
}

/// A field that is none of what it can be.
fn none_of(field: &str, value: &str, known: &str) -> Failure {
    malformed(format!("{field}: {value:?} is none of {known}"))
        .saying("failed-row-none-of", &[("field", field), ("value", value), ("known", known)])
}

/// What the row says of the keys; of what it says nothing, the batch does, unless the one names a profile and the other keys.
fn wanted(field: &dyn Fn(&str) -> Option<String>, default: &Wanted) -> Result<Wanted, Failure> {
    let algorithm = match field("algorithm").map(|text| text.to_lowercase()).as_deref() {
        None => None,
        Some("p256") => Some(KeyAlgorithm::P256),
        Some("rsa2048") => Some(KeyAlgorithm::Rsa2048),
        Some(other) => return Err(none_of("algorithm", other, "p256, rsa2048")),
    };
    let origin = match field("keys").map(|text| text.to_lowercase()).as_deref() {
        None => None,
        Some("card") => Some(KeyOrigin::GeneratedOnCard),
        Some("inject") => Some(KeyOrigin::Injected),
        Some(other) => return Err(none_of("keys", other, "card, inject")),
    };
    let is_spelled_out = algorithm.is_some() || origin.is_some();
    match field("profile") {
        Some(_) if is_spelled_out => {
            let message = "profile: says the keys already; leave algorithm and keys empty";
            Err(malformed(message.to_owned()).saying("failed-row-profile-and-keys", &[]))
        }
        Some(name) => Ok(Wanted { profile: Some(name), ..Wanted::default() }),
        None if is_spelled_out => Ok(Wanted {
            profile: None,
            algorithm: algorithm.or(default.algorithm),
            origin: origin.or(default.origin),
        }),
        None => Ok(default.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_and_there_once() {
        let of = |line: &[&str]| columns(&StringRecord::from(line.to_vec()));
        assert_eq!(of(&["Person", "reader"]).unwrap().get("reader"), Some(&1));
        assert!(of(&["person", "colour"]).unwrap_err().contains("\"colour\""));
        assert!(of(&["person", "person"]).unwrap_err().contains("twice"));
        assert!(of(&["reader"]).unwrap_err().contains("no column \"person\""));
        assert!(of(&["\u{FEFF}person"]).is_ok(), "a spreadsheet's byte order mark");
    }

    #[test]
    fn keys_are_the_batchs_unless_the_row_says_otherwise() {
        let row = |fields: &[(&str, &str)], default: &Wanted| {
            let field = |wanted: &str| {
                fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            };
            wanted(&field, default).map_err(|failure| failure.message)
        };
        let rsa = Wanted { algorithm: Some(KeyAlgorithm::Rsa2048), ..Wanted::default() };
        assert_eq!(row(&[], &rsa), Ok(rsa.clone()));
        let injected = Wanted { origin: Some(KeyOrigin::Injected), ..rsa.clone() };
        assert_eq!(row(&[("keys", "Inject")], &rsa), Ok(injected));
        let mail = Wanted { profile: Some("mail".to_owned()), ..Wanted::default() };
        assert_eq!(row(&[("profile", "mail")], &rsa), Ok(mail.clone()));
        assert_eq!(row(&[("algorithm", "RSA2048")], &mail), Ok(rsa));
        assert!(row(&[("algorithm", "dsa")], &mail).unwrap_err().starts_with("algorithm: "));
        assert!(row(&[("keys", "cloud")], &mail).unwrap_err().starts_with("keys: "));
        assert!(row(&[("profile", "mail"), ("keys", "card")], &mail).unwrap_err().starts_with("profile: "));
    }
}
