//! A list of people as CSV (RFC 4180): `name,mail` and, if there is one, `id`; other columns are left alone.

use csv::StringRecord;

use crate::config::Config;
use crate::domain::{MailAddress, Name, NewCardholder, StaffId};

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BadRow {
    /// 1 is the header.
    pub row: u64,
    /// Which column.
    pub field: String,
    /// A stable word for programs: `malformed`, `foreign-domain`, `duplicate`, `unreadable`, `missing-column`.
    pub code: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// A row that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// 1 is the header.
    pub row: u64,
    /// Whom it names.
    pub person: NewCardholder,
}

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
}

/// Reads a list; each row stands for itself.
///
/// # Errors
/// A header without `name` or `mail`, or with one of them twice.
pub fn read(bytes: &[u8], config: &Config) -> Result<Vec<Result<Row, BadRow>>, BadRow> {
    // Spreadsheets put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let columns = columns(&mut reader)?;
    let rows = reader.records().zip(2..).map(|(record, row)| {
        let record = record.map_err(|error| BadRow {
            row,
            field: "row".to_owned(),
            code: "unreadable",
            message: reason(&error),
        })?;
        person(&record, &columns, config).map(|person| Row { row, person }).map_err(
            |BadField { field, code, message }| BadRow { row, field: field.to_owned(), code, message },
        )
    });
    Ok(rows.collect())
}

fn columns(reader: &mut csv::Reader<&[u8]>) -> Result<Columns, BadRow> {
    let bad = |field: &str, code, message| BadRow { row: 1, field: field.to_owned(), code, message };
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
    })
}

fn person(record: &StringRecord, columns: &Columns, config: &Config) -> Result<NewCardholder, BadField> {
    let malformed = |field: &'static str, message: String| BadField { field, code: "malformed", message };
    let field = |name: &'static str, position: usize| {
        record.get(position).ok_or_else(|| malformed(name, "the row ends before this column".to_owned()))
    };
    let name =
        Name::new(field("name", columns.name)?).map_err(|error| malformed("name", error.to_string()))?;
    let mail = MailAddress::new(field("mail", columns.mail)?)
        .map_err(|error| malformed("mail", error.to_string()))?;
    if !config.covers(mail.domain()) {
        let message =
            format!("{} is not in a domain of this organisation ({})", mail.as_str(), config.domain_list());
        return Err(BadField { field: "mail", code: "foreign-domain", message });
    }
    let id = columns.id.and_then(|position| record.get(position)).filter(|text| !text.is_empty());
    let staff_id = id.map(StaffId::new).transpose().map_err(|error| malformed("id", error.to_string()))?;
    Ok(NewCardholder { name, mail, staff_id })
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

    fn bad_rows(text: &[u8]) -> Vec<(u64, String)> {
        let rows = read(text, &config()).unwrap();
        rows.into_iter().filter_map(Result::err).map(|bad| (bad.row, bad.field)).collect()
    }

    #[test]
    fn each_row_stands_for_itself() {
        let text = b"\xEF\xBB\xBFmail,phone,name,id\nalice@example.org,1,Alice Ng,1001\n\
            bob@example.org,2,,1002\nnobody,3,Carol,\ndora@elsewhere.example,4,Dora,\n\"e@example.org\",5,\"Ev\xFF\",\nfinn@example.org,6,Finn,a b\nx\ngus@example.org,7,\"Gus, Jr.\",\n";
        let rows = read(text, &config()).unwrap();
        let good: Vec<_> = rows.iter().flatten().map(|row| (row.row, row.person.name.as_str())).collect();
        assert_eq!(good, [(2, "Alice Ng"), (9, "Gus, Jr.")]);
        let expected = [(3, "name"), (4, "mail"), (5, "mail"), (6, "row"), (7, "id"), (8, "name")];
        assert_eq!(bad_rows(text), expected.map(|(row, field)| (row, field.to_owned())));
    }

    #[test]
    fn a_header_that_is_not_one_is_named() {
        assert_eq!(read(b"Alice,alice@example.org\n", &config()).unwrap_err().field, "name");
        assert_eq!(read(b"name;mail\n", &config()).unwrap_err().row, 1);
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
