//! The rows of a batch: who gets a card, with which keys, at which reader.
//!
//! ```text
//! person,algorithm,keys,reader
//! alice@example.org,rsa2048,,
//! 1002,,inject,pcsc:Reader 2
//! ```
//!
//! `person` is a mail address or staff identifier; the other columns may be left out or empty. A row that cannot be used
//! is named with its field, and the others go on.

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;
use middleware::KeyAlgorithm;

use crate::desk::csv_row;
use crate::desk::failure::Failure;
use crate::desk::office::{Office, read_file};
use crate::domain::Cardholder;
use crate::personalization::plan::{KeyChoice, KeyOrigin};

/// A card to be made.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line of the file.
    pub line: u64,
    /// For whom.
    pub holder: Cardholder,
    /// With which keys.
    pub keys: KeyChoice,
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
    pub why: String,
}

/// What a batch is longest: nobody has more staff in one file.
const LARGEST_FILE: u64 = 16 << 20;
const COLUMNS: [&str; 4] = ["person", "algorithm", "keys", "reader"];

/// Reads the file; people are looked up in the registry.
///
/// # Errors
/// The file cannot be read, or its columns are not those of a batch.
pub async fn read(
    office: &Office,
    file: &Path,
    default: KeyChoice,
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
                unusable.push(Unusable { line, person: String::new(), why: "it is not UTF-8".to_owned() });
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |name: &str| {
            let value = columns.get(name).and_then(|index| record.get(*index)).unwrap_or_default();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let person = field("person").unwrap_or_default();
        if let Some(why) = csv_row::fault(&record, width, &bytes) {
            unusable.push(Unusable { line, person, why });
            continue;
        }
        match row(office, line, &field, default).await? {
            Ok(row) => match seen.insert(row.holder.id, line) {
                None => rows.push(row),
                Some(first) => {
                    seen.insert(row.holder.id, first);
                    let why = format!("person: {person} is in line {first} already");
                    unusable.push(Unusable { line, person, why });
                }
            },
            Err(why) => unusable.push(Unusable { line, person, why }),
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
    default: KeyChoice,
) -> Result<Result<Row, String>, Failure> {
    let Some(person) = field("person") else { return Ok(Err("person: is empty".to_owned())) };
    let keys = match keys(field("algorithm").as_deref(), field("keys").as_deref(), default) {
        Ok(keys) => keys,
        Err(why) => return Ok(Err(why)),
    };
    Ok(match office.registry.cardholder_named(&person).await? {
        Some(holder) => Ok(Row { line, holder, keys, place: field("reader") }),
        None => Err(format!("person: nobody has the mail address or identifier {person:?}")),
    })
}

fn keys(algorithm: Option<&str>, origin: Option<&str>, default: KeyChoice) -> Result<KeyChoice, String> {
    let algorithm = match algorithm.map(str::to_lowercase).as_deref() {
        None => default.algorithm,
        Some("p256") => KeyAlgorithm::P256,
        Some("rsa2048") => KeyAlgorithm::Rsa2048,
        Some(other) => return Err(format!("algorithm: {other:?} is none of p256, rsa2048")),
    };
    let origin = match origin.map(str::to_lowercase).as_deref() {
        None => default.origin,
        Some("card") => KeyOrigin::GeneratedOnCard,
        Some("inject") => KeyOrigin::Injected,
        Some(other) => return Err(format!("keys: {other:?} is none of card, inject")),
    };
    Ok(KeyChoice { algorithm, origin })
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
        let default = KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
        assert_eq!(keys(None, None, default), Ok(default));
        let said = keys(Some("RSA2048"), Some("inject"), default).unwrap();
        assert_eq!((said.algorithm, said.origin), (KeyAlgorithm::Rsa2048, KeyOrigin::Injected));
        assert!(keys(Some("dsa"), None, default).unwrap_err().starts_with("algorithm: "));
        assert!(keys(None, Some("cloud"), default).unwrap_err().starts_with("keys: "));
    }
}
