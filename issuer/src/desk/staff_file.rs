//! A list of people as CSV (RFC 4180): `name,mail` and, if they are there, `id` and `until`; other columns are left alone.
//! What is read here of a row's fields is the same for a directory's entries.

use csv::StringRecord;
use jiff::civil::Date;
use unicode_security::MixedScript;

use super::csv_row;
use crate::config::Config;
use crate::domain::reconciliation::{ListedPerson, Trace};
use crate::domain::{MailAddress, Name, NewCardholder, StaffId};

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BadRow {
    /// 1 is the header; absent for an entry of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// `row 1`, or the name of an entry.
    pub place: String,
    /// Which column.
    pub field: String,
    /// A stable word for programs: `malformed`, `foreign-domain`, `duplicate`, `homograph`, `unreadable`, `missing-column`.
    pub code: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl BadRow {
    /// What is wrong at a place.
    pub fn new(
        place: impl Into<String>,
        field: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let place = place.into();
        let row = place.strip_prefix("row ").and_then(|number| number.parse().ok());
        Self { row, place, field: field.into(), code, message: message.into() }
    }
}

/// What a list says.
#[derive(Clone, Debug, Default)]
pub struct StaffList {
    /// Rows that are understood.
    pub people: Vec<ListedPerson>,
    /// Rows that are not.
    pub errors: Vec<BadRow>,
    /// Whom those may be about.
    pub traces: Vec<Trace>,
    /// Whether the list says anything of last days of employment.
    pub says_until: bool,
    /// Columns that mean nothing here, as the header has them.
    pub unused_columns: Vec<String>,
}

/// The columns that a list can have.
pub const COLUMNS: [&str; 5] = ["name", "mail", "id", "until", "employed_until"];

/// What is wrong with a row.
struct BadField {
    field: &'static str,
    code: &'static str,
    message: String,
}

/// Where the columns are.
struct Columns {
    name: usize,
    mail: usize,
    id: Option<usize>,
    until: Option<usize>,
}

/// The fields of a row or an entry, before they are judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'t> {
    /// The name; absent where the row ends before it.
    pub name: Option<&'t str>,
    /// The mail address.
    pub mail: Option<&'t str>,
    /// The organisation's number.
    pub id: Option<&'t str>,
    /// The last day of employment.
    pub until: Option<&'t str>,
}

impl StaffList {
    /// Judges the fields of a row, and keeps the person or what is wrong.
    pub fn add(&mut self, place: String, fields: Fields<'_>, config: &Config) {
        match person(fields, config) {
            Ok(person) => self.people.push(ListedPerson { place, person }),
            Err(BadField { field, code, message }) => {
                self.errors.push(BadRow::new(place, field, code, message));
                let text = |field: Option<&str>| field.filter(|text| !text.is_empty()).map(str::to_owned);
                let (name, mail, staff_id) = (text(fields.name), text(fields.mail), text(fields.id));
                self.traces.push(Trace { name, mail, staff_id });
            }
        }
    }

    /// Keeps a row of which not even the fields are understood.
    pub fn add_unreadable(&mut self, place: String, message: String) {
        self.errors.push(BadRow::new(place, "row", "unreadable", message));
        self.traces.push(Trace::default());
    }
}

/// Reads a list; each row stands for itself.
///
/// # Errors
/// A header without `name` or `mail`, or with one of them twice.
pub fn read(bytes: &[u8], config: &Config) -> Result<StaffList, BadRow> {
    // Spreadsheets put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let columns = columns(&mut reader)?;
    let unused_columns = unused(&mut reader);
    let width = reader.headers().map_or(0, StringRecord::len);
    let mut list = StaffList { says_until: columns.until.is_some(), unused_columns, ..StaffList::default() };
    for (record, row) in reader.records().zip(2_u64..) {
        let place = format!("row {row}");
        match record {
            Ok(record) => match csv_row::fault(&record, width, bytes) {
                Some(fault) => list.add_unreadable(place, fault),
                None => list.add(place, fields(&record, &columns), config),
            },
            Err(error) => list.add_unreadable(place, reason(&error)),
        }
    }
    Ok(list)
}

fn fields<'t>(record: &'t StringRecord, columns: &Columns) -> Fields<'t> {
    let optional = |column: Option<usize>| column.and_then(|column| record.get(column));
    Fields {
        name: record.get(columns.name),
        mail: record.get(columns.mail),
        id: optional(columns.id),
        until: optional(columns.until),
    }
}

/// The columns of the header that mean nothing here.
fn unused(reader: &mut csv::Reader<&[u8]>) -> Vec<String> {
    let Ok(header) = reader.headers() else { return Vec::new() };
    let is_known = |column: &&str| COLUMNS.iter().any(|known| known.eq_ignore_ascii_case(column));
    header.iter().filter(|column| !is_known(column)).map(str::to_owned).collect()
}

fn columns(reader: &mut csv::Reader<&[u8]>) -> Result<Columns, BadRow> {
    let bad = |field: &str, code, message| BadRow::new("row 1", field, code, message);
    let header = reader.headers().map_err(|error| bad("header", "unreadable", reason(&error)))?;
    let find = |wanted: &str| {
        let mut found = header.iter().enumerate().filter(|(_, column)| column.eq_ignore_ascii_case(wanted));
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(Some(position)),
            (Some(_), Some(_)) => Err(bad(wanted, "duplicate", "the column is there twice".to_owned())),
            (None, _) => Ok(None),
        }
    };
    let shown = header.iter().collect::<Vec<_>>().join(",");
    let missing = |wanted| {
        bad(
            wanted,
            "missing-column",
            format!(
                "there is no such column; the first row must be name,mail or name,mail,id and is {shown:?}"
            ),
        )
    };
    Ok(Columns {
        name: find("name")?.ok_or_else(|| missing("name"))?,
        mail: find("mail")?.ok_or_else(|| missing("mail"))?,
        id: find("id")?,
        // As issuer report writes it.
        until: match (find("until")?, find("employed_until")?) {
            (Some(_), Some(_)) => {
                return Err(bad("until", "duplicate", "the column is there twice".to_owned()));
            }
            (one, other) => one.or(other),
        },
    })
}

fn person(fields: Fields<'_>, config: &Config) -> Result<NewCardholder, BadField> {
    let malformed = |field: &'static str, message: String| BadField { field, code: "malformed", message };
    let needed = |name: &'static str, field: Option<&'_ str>| {
        field.map(str::to_owned).ok_or_else(|| malformed(name, "there is none".to_owned()))
    };
    let name =
        Name::new(&needed("name", fields.name)?).map_err(|error| malformed("name", error.to_string()))?;
    if let Some(word) = mixed_alphabets(name.as_str()) {
        let message = format!("{word:?} mixes letters of several alphabets that look alike");
        return Err(BadField { field: "name", code: "homograph", message });
    }
    let mail = MailAddress::new(&needed("mail", fields.mail)?)
        .map_err(|error| malformed("mail", error.to_string()))?;
    if let Some(word) = mixed_alphabets(mail.as_str()) {
        let message = format!("{word:?} mixes letters of several alphabets that look alike");
        return Err(BadField { field: "mail", code: "homograph", message });
    }
    if !config.covers(mail.domain()) {
        let message =
            format!("{} is not in a domain of this organisation ({})", mail.as_str(), config.domain_list());
        return Err(BadField { field: "mail", code: "foreign-domain", message });
    }
    let id = fields.id.filter(|text| !text.is_empty());
    let staff_id = id.map(StaffId::new).transpose().map_err(|error| malformed("id", error.to_string()))?;
    let until = fields.until.filter(|text| !text.is_empty());
    let employed_until = until.map(day).transpose().map_err(|message| malformed("until", message))?;
    Ok(NewCardholder { name, mail, staff_id, employed_until })
}

/// The first word in which letters stand beside look-alikes of another alphabet (Unicode Technical Standard 39 section 5).
fn mixed_alphabets(text: &str) -> Option<&str> {
    text.split(|character: char| character.is_whitespace() || "@.-_'".contains(character))
        .find(|word| !word.is_single_script())
}

/// A day that somebody's employment can end.
fn day(text: &str) -> Result<Date, String> {
    let day: Date = text.parse().map_err(|_| format!("{text:?} is no day of the calendar as 2027-01-31"))?;
    if !(1970..=2200).contains(&day.year()) {
        return Err(format!("{text:?} is not between 1970 and 2200"));
    }
    Ok(day)
}

fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ca::profile::PivExtensions;

    fn config() -> Config {
        Config::new(
            "Example",
            None,
            &["example.org".to_owned()],
            "http://pki.example.org",
            None,
            PivExtensions::default(),
        )
        .unwrap()
    }

    #[test]
    fn each_row_stands_for_itself() {
        let text = b"\xEF\xBB\xBFmail,phone,name,id\nalice@example.org,1,Alice Ng,1001\n\
            bob@example.org,2,,1002\nnobody,3,Carol,\ndora@elsewhere.example,4,Dora,\n\"e@example.org\",5,\"Ev\xFF\",\nfinn@example.org,6,Finn,a b\nx\ngus@example.org,7,\"Gus, Jr.\",\n";
        let list = read(text, &config()).unwrap();
        let good: Vec<_> =
            list.people.iter().map(|row| (row.place.as_str(), row.person.name.as_str())).collect();
        assert_eq!(good, [("row 2", "Alice Ng"), ("row 9", "Gus, Jr.")]);
        let bad: Vec<_> = list.errors.iter().map(|bad| (bad.place.as_str(), bad.field.as_str())).collect();
        assert_eq!(list.unused_columns, ["phone"]);
        let expected = [
            ("row 3", "name"),
            ("row 4", "mail"),
            ("row 5", "mail"),
            ("row 6", "row"),
            ("row 7", "id"),
            ("row 8", "name"),
        ];
        assert_eq!(bad, expected);
        let forgiven =
            b"name,mail\nA,a@example.org,\nB,b@example.org,7\n\"C,c@example.org\nD,d@example.org\n";
        let list = read(forgiven, &config()).unwrap();
        let bad: Vec<_> = list.errors.iter().map(|bad| (bad.place.as_str(), bad.message.as_str())).collect();
        assert_eq!(list.people.len(), 1, "an empty field too many says nothing");
        assert_eq!(bad[0], ("row 3", "has 3 fields, and the header has 2"));
        assert!(bad[1].0 == "row 4" && bad[1].1.contains("never closed"), "{bad:?}");
        let list = read(text, &config()).unwrap();
        assert_eq!(list.traces[0].staff_id.as_deref(), Some("1002"), "a bad row still says whom it is about");
    }

    #[test]
    fn days_and_alphabets_are_judged() {
        let text = "name,mail,id,until\nA,a@example.org,1,2027-01-31\nB,b@example.org,2,2027-02-30\n\
            C,c@example.org,3,31.01.2027\nD,d@example.org,4,9999-01-01\nE,e@example.org,5,\n\
            \u{410}lice,f@example.org,6,\nG,\u{430}lice@example.org,7,\n\u{410}\u{43D}\u{43D}\u{430},h@example.org,8,\n王小明,i@example.org,9,\n";
        let list = read(text.as_bytes(), &config()).unwrap();
        let good: Vec<_> = list.people.iter().map(|row| row.person.mail.as_str()).collect();
        assert_eq!(good, ["a@example.org", "e@example.org", "h@example.org", "i@example.org"]);
        let bad: Vec<_> = list.errors.iter().map(|bad| (bad.field.as_str(), bad.code)).collect();
        let malformed = ("until", "malformed");
        assert_eq!(bad, [malformed, malformed, malformed, ("name", "homograph"), ("mail", "homograph")]);
    }

    #[test]
    fn a_header_that_is_not_one_is_named() {
        assert_eq!(read(b"Alice,alice@example.org\n", &config()).unwrap_err().field, "name");
        assert_eq!(read(b"name;mail\n", &config()).unwrap_err().place, "row 1");
        assert_eq!(read(b"name,mail,Mail\n", &config()).unwrap_err().field, "mail");
        assert_eq!(read(b"", &config()).unwrap_err().field, "name");
    }

    proptest! {
        #[test]
        fn no_list_makes_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut text = b"name,mail,id\n".to_vec();
            text.extend(&bytes);
            prop_assert!(read(&text, &config()).is_ok());
        }
    }
}
