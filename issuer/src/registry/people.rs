//! People in the registry.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Change, Kind, Registry};
use super::error::RegistryError;
use super::requests::{open, withdraw_revocation};
use super::rows::{self, PERSON, time_text, whole_seconds};
use crate::domain::unicode::search_key;
use crate::domain::{
    Cardholder, CardholderId, MailAddress, NewCardholder, Person, PersonCommand, PersonEvent, RequestCommand,
    RequestKind, StaffId, Subject,
};

impl Registry {
    /// Adds a person.
    ///
    /// # Errors
    /// [`RegistryError::MailTaken`], [`RegistryError::StaffIdTaken`].
    pub async fn add_cardholder(
        &self,
        person: &NewCardholder,
        now: Timestamp,
    ) -> Result<CardholderId, RegistryError> {
        self.change(async |change| {
            refuse_taken(change, person, None).await?;
            let event =
                Person::default().decide(&PersonCommand::Add(person.clone()), whole_seconds(now))?;
            let row = sqlx::query(
                "INSERT INTO people (name, mail, staff_id, added_at, employed_until, name_key, mail_key, staff_id_key) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            )
            .bind(person.name.as_str().to_owned())
            .bind(person.mail.as_str().to_owned())
            .bind(staff_id(person))
            .bind(time_text(now))
            .bind(person.employed_until.map(|day| day.to_string()))
            .bind(search_key(person.name.as_str()))
            .bind(search_key(person.mail.as_str()))
            .bind(staff_id(person).as_deref().map(search_key))
            .fetch_one(change.connection())
            .await?;
            let id = CardholderId(row.try_get("id")?);
            change.record(Subject::Person(id), &event, now).await?;
            let described = described(change, id).await?;
            index(change, id, &described).await?;
            Ok(id)
        })
        .await
    }

    /// Changes what is known of a person, or records that the person left or came back. Who left and still has a card or
    /// certificates is proposed for revocation: a request is opened, in the same transaction.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPerson`], [`RegistryError::PersonRefused`], [`RegistryError::MailTaken`],
    /// [`RegistryError::StaffIdTaken`].
    pub async fn command_person(
        &self,
        id: CardholderId,
        command: &PersonCommand,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            let known = load(change, id).await?;
            let event = Person::known(&known.details(), known.left).decide(command, whole_seconds(now))?;
            change.record(Subject::Person(id), &event, now).await?;
            match (&event, command) {
                (PersonEvent::PersonChanged(_), PersonCommand::Change { to, .. }) => {
                    refuse_taken(change, to, Some(id)).await?;
                    update(change, id, to).await?;
                    propose_renewal(change, &known, to, now).await?;
                }
                (PersonEvent::PersonLeft { at }, _) => {
                    set_left(change, id, Some(*at)).await?;
                    propose_revocation(change, &known, now).await?;
                }
                (PersonEvent::PersonRejoined { .. }, _) => {
                    set_left(change, id, None).await?;
                    withdraw_revocation(change, id, now).await?;
                }
                _ => {}
            }
            Ok(())
        })
        .await
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cardholders(&self) -> Result<Vec<Cardholder>, RegistryError> {
        let statement = format!("SELECT {PERSON} FROM people ORDER BY name, id");
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(rows::cardholder).collect()
    }

    /// The person with this mail address, in whatever form it was typed, or with exactly this staff identifier.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cardholder_named(&self, text: &str) -> Result<Option<Cardholder>, RegistryError> {
        let mail = MailAddress::new(text).ok();
        let statement =
            format!("SELECT {PERSON} FROM people WHERE mail_key = $1 OR mail_key = $2 OR staff_id = $3");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(mail.map(|mail| search_key(mail.as_str())))
            .bind(search_key(text))
            .bind(text.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(rows::cardholder).transpose()
    }

    /// The person with this number.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPerson`].
    pub async fn cardholder(&self, id: CardholderId) -> Result<Cardholder, RegistryError> {
        let statement = format!("SELECT {PERSON} FROM people WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.0).fetch_optional(&self.pool).await?;
        rows::cardholder(&row.ok_or(RegistryError::UnknownPerson(id))?)
    }
}

async fn load(change: &mut Change, id: CardholderId) -> Result<Cardholder, RegistryError> {
    let statement = format!("SELECT {PERSON} FROM people WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(id.0).fetch_optional(change.connection()).await?;
    rows::cardholder(&row.ok_or(RegistryError::UnknownPerson(id))?)
}

async fn refuse_taken(
    change: &mut Change,
    person: &NewCardholder,
    but: Option<CardholderId>,
) -> Result<(), RegistryError> {
    let key = search_key(person.mail.as_str());
    let rows =
        sqlx::query("SELECT name, mail_key FROM people WHERE (mail_key = $1 OR staff_id = $2) AND id <> $3")
            .bind(key.clone())
            .bind(staff_id(person))
            .bind(but.map_or(0, |id| id.0))
            .fetch_all(change.connection())
            .await?;
    let mut taken = None;
    for row in &rows {
        let name = row.try_get("name")?;
        if row.try_get::<String, _>("mail_key")? == key {
            return Err(RegistryError::MailTaken { name });
        }
        taken = Some(name);
    }
    taken.map_or(Ok(()), |name| Err(RegistryError::StaffIdTaken { name }))
}

async fn update(change: &mut Change, id: CardholderId, to: &NewCardholder) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE people SET name = $1, mail = $2, staff_id = $3, employed_until = $4, name_key = $5, mail_key = $6, staff_id_key = $7 \
         WHERE id = $8",
    )
    .bind(to.name.as_str().to_owned())
    .bind(to.mail.as_str().to_owned())
    .bind(staff_id(to))
    .bind(to.employed_until.map(|day| day.to_string()))
    .bind(search_key(to.name.as_str()))
    .bind(search_key(to.mail.as_str()))
    .bind(staff_id(to).as_deref().map(search_key))
    .bind(id.0)
    .execute(change.connection())
    .await?;
    let described = described(change, id).await?;
    index(change, id, &described).await
}

async fn set_left(change: &mut Change, id: CardholderId, at: Option<Timestamp>) -> Result<(), RegistryError> {
    sqlx::query("UPDATE people SET left_at = $1 WHERE id = $2")
        .bind(at.map(time_text))
        .bind(id.0)
        .execute(change.connection())
        .await?;
    Ok(())
}

/// Certificates say name, address and identifier: where they are others now, new certificates are due.
async fn propose_renewal(
    change: &mut Change,
    from: &Cardholder,
    to: &NewCardholder,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let is_said = (&from.name, &from.mail, &from.staff_id) != (&to.name, &to.mail, &to.staff_id);
    let live = sqlx::query("SELECT id FROM cards WHERE holder = $1 AND live = 1")
        .bind(from.id.0)
        .fetch_optional(change.connection())
        .await?;
    let Some(row) = live.filter(|_| is_said) else { return Ok(()) };
    let card = crate::domain::CardId(row.try_get("id")?);
    let why = "the certificates name what has changed".to_owned();
    let command = RequestCommand::Open { kind: RequestKind::Renewal, holder: from.id, card: Some(card), why };
    open(change, command, now).await.map(drop)
}

async fn propose_revocation(
    change: &mut Change,
    person: &Cardholder,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM cards WHERE holder = $1 AND live > 0) AS cards, \
         (SELECT count(*) FROM certificates WHERE holder = $1 AND not_after >= $2 AND state <> 'revoked') AS certificates",
    )
    .bind(person.id.0)
    .bind(time_text(now))
    .fetch_one(change.connection())
    .await?;
    let (cards, certificates): (i64, i64) = (row.try_get("cards")?, row.try_get("certificates")?);
    if cards == 0 && certificates == 0 {
        return Ok(());
    }
    let why = "the person left".to_owned();
    let command = RequestCommand::Open { kind: RequestKind::Revocation, holder: person.id, card: None, why };
    open(change, command, now).await.map(drop)
}

fn staff_id(person: &NewCardholder) -> Option<String> {
    person.staff_id.as_ref().map(|id: &StaffId| id.as_str().to_owned())
}

/// What a person is and was called, as search keys.
pub(super) struct Described {
    present: Vec<String>,
    former: Vec<String>,
}

/// Everything that the log ever said of a person: who is looked for under an earlier name is found.
pub(super) async fn described(change: &mut Change, id: CardholderId) -> Result<Described, RegistryError> {
    let rows = sqlx::query("SELECT detail FROM events WHERE person = $1 ORDER BY sequence DESC")
        .bind(id.0)
        .fetch_all(change.connection())
        .await?;
    let mut described = Described { present: Vec::new(), former: Vec::new() };
    for row in &rows {
        let detail: String = row.try_get("detail")?;
        // Events of classes of readers are about people too, and say nothing of this.
        let Ok(PersonEvent::PersonAdded(said) | PersonEvent::PersonChanged(said)) =
            serde_json::from_str(&detail)
        else {
            continue;
        };
        let said = [Some(said.name), Some(said.mail), said.staff_id].into_iter().flatten();
        let keys: Vec<_> = said.map(|text| search_key(&text)).collect();
        if described.present.is_empty() {
            described.present = keys;
            continue;
        }
        for key in keys {
            if !described.present.contains(&key) && !described.former.contains(&key) {
                described.former.push(key);
            }
        }
    }
    Ok(described)
}

/// Writes what a person is found by beside the columns.
pub(super) async fn index(
    change: &mut Change,
    id: CardholderId,
    described: &Described,
) -> Result<(), RegistryError> {
    let [delete, insert] = match change.kind() {
        Kind::Sqlite => [
            "DELETE FROM people_text WHERE rowid = $1",
            "INSERT INTO people_text (rowid, text) VALUES ($1, $2)",
        ],
        #[cfg(feature = "postgres")]
        Kind::Postgres => [
            "DELETE FROM people_text WHERE person = $1",
            "INSERT INTO people_text (person, text) VALUES ($1, $2)",
        ],
    };
    let text = [described.present.as_slice(), &described.former].concat().join("\n");
    sqlx::query(delete).bind(id.0).execute(change.connection()).await?;
    sqlx::query(insert).bind(id.0).bind(text).execute(change.connection()).await?;
    sqlx::query("DELETE FROM people_words WHERE person = $1").bind(id.0).execute(change.connection()).await?;
    for word in words(described) {
        sqlx::query("INSERT INTO people_words (word, person) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(word)
            .bind(id.0)
            .execute(change.connection())
            .await?;
    }
    Ok(())
}

/// The beginnings that the columns do not have: of each later word, of each later letter where words are written without
/// spaces, and of what was said before.
fn words(described: &Described) -> Vec<String> {
    let mut words: Vec<_> = described.former.clone();
    for key in described.present.iter().chain(&described.former) {
        let mut before = None;
        for (place, character) in key.char_indices() {
            // Everybody's address ends alike.
            if character == '@' {
                break;
            }
            let begins = before.is_some_and(|before| {
                is_separator(before) && !is_separator(character)
                    || is_ideograph(before) && is_ideograph(character)
            });
            if begins && let Some((_, word)) = key.split_at_checked(place) {
                words.push(word.to_owned());
            }
            before = Some(character);
        }
    }
    words
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || "-.'_,".contains(character)
}

/// Letters of scripts that put no spaces between words.
fn is_ideograph(character: char) -> bool {
    matches!(u32::from(character), 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xAC00..=0xD7AF | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_each_of_its_words() {
        let words = |text: &str| {
            words(&Described { present: vec![search_key(text)], former: vec!["before".to_owned()] })
                .split_off(1)
        };
        assert_eq!(words("Alice O'Neil-Ng"), ["o'neil-ng", "neil-ng", "ng"]);
        assert_eq!(words("王小明"), ["小明", "明"]);
        assert_eq!(words("alice.ng@example.org"), ["ng@example.org"]);
        assert_eq!(words("x"), [] as [&str; 0]);
    }
}
