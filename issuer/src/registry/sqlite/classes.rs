//! Classes of readers in the registry.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, Sqlite, Transaction};

use super::{Registry, Subject, record};
use crate::domain::{Cardholder, CardholderId, ClassDescription, ClassName, Clearance, ReaderClass};
use crate::registry::error::RegistryError;
use crate::registry::records::ClassChange;
use crate::registry::rows::{self, damaged, time_text};

/// What happens to a member.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum MemberEvent<'a> {
    ClassJoined { class: &'a str, clearance: u8 },
    ClassLeft { class: &'a str },
}

impl Registry {
    /// Adds members to a class, which is made if there is none; what is said anew of a class or member replaces what was
    /// said before.
    ///
    /// # Errors
    /// The database.
    pub async fn add_to_class(&self, change: &ClassChange, now: Timestamp) -> Result<(), RegistryError> {
        let mut transaction = self.begin().await?;
        let name = change.name.as_str();
        sqlx::query(
            "INSERT INTO reader_classes (name, description, policy) VALUES (?1, coalesce(?2, ''), coalesce(?3, ?4)) \
             ON CONFLICT (name) DO UPDATE SET description = coalesce(?2, description), policy = coalesce(?3, policy)",
        )
        .bind(name)
        .bind(change.description.as_ref().map(ClassDescription::as_str))
        .bind(change.policy.as_deref())
        .bind(&change.default_policy)
        .execute(&mut *transaction)
        .await?;
        let class = class_id(&mut transaction, name).await?.ok_or_else(|| damaged("a class vanished"))?;
        for member in &change.members {
            let row = sqlx::query(
                "INSERT INTO reader_class_members (class, person, clearance) VALUES (?1, ?2, coalesce(?3, 0)) \
                 ON CONFLICT (class, person) DO UPDATE SET clearance = coalesce(?3, clearance) RETURNING clearance",
            )
            .bind(class)
            .bind(member.0)
            .bind(change.clearance.map(Clearance::level))
            .fetch_one(&mut *transaction)
            .await?;
            let event = MemberEvent::ClassJoined { class: name, clearance: rows::number(&row, "clearance")? };
            record(&mut transaction, Subject::Person(*member), &event, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Takes members out of a class, or the class away with all of them; answers who left. Somebody who was not in it is no
    /// error.
    ///
    /// # Errors
    /// The database. A class that is not there is an answer: `None`.
    pub async fn remove_from_class(
        &self,
        name: &ClassName,
        members: Option<&[CardholderId]>,
        now: Timestamp,
    ) -> Result<Option<Vec<CardholderId>>, RegistryError> {
        let mut transaction = self.begin().await?;
        let Some(class) = class_id(&mut transaction, name.as_str()).await? else { return Ok(None) };
        let rows = sqlx::query("SELECT person FROM reader_class_members WHERE class = ? ORDER BY person")
            .bind(class)
            .fetch_all(&mut *transaction)
            .await?;
        let mut left = Vec::new();
        for row in &rows {
            let person = CardholderId(row.try_get("person")?);
            if members.is_some_and(|members| !members.contains(&person)) {
                continue;
            }
            sqlx::query("DELETE FROM reader_class_members WHERE class = ? AND person = ?")
                .bind(class)
                .bind(person.0)
                .execute(&mut *transaction)
                .await?;
            let event = MemberEvent::ClassLeft { class: name.as_str() };
            record(&mut transaction, Subject::Person(person), &event, now).await?;
            left.push(person);
        }
        if members.is_none() {
            sqlx::query("DELETE FROM reader_classes WHERE id = ?")
                .bind(class)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Some(left))
    }

    /// Every class, by name.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn reader_classes(&self) -> Result<Vec<ReaderClass>, RegistryError> {
        let mut transaction = self.pool.begin().await?;
        let classes = sqlx::query("SELECT id, name, description, policy FROM reader_classes ORDER BY name")
            .fetch_all(&mut *transaction)
            .await?;
        let mut found = Vec::new();
        for row in &classes {
            let members = sqlx::query(
                "SELECT people.id AS id, people.name AS name, mail, staff_id, clearance FROM reader_class_members \
                 JOIN people ON people.id = person WHERE class = ? ORDER BY mail",
            )
            .bind(row.try_get::<i64, _>("id")?)
            .fetch_all(&mut *transaction)
            .await?;
            let (name, description): (String, String) = (row.try_get("name")?, row.try_get("description")?);
            found.push(ReaderClass {
                name: ClassName::new(&name).map_err(|error| damaged(error.to_string()))?,
                description: ClassDescription::new(&description)
                    .map_err(|error| damaged(error.to_string()))?,
                policy: row.try_get("policy")?,
                members: members.iter().map(member).collect::<Result<_, _>>()?,
            });
        }
        Ok(found)
    }

    /// Takes the next number of the signed list of classes; a number is never used again.
    ///
    /// # Errors
    /// The database.
    pub async fn reserve_class_list_number(
        &self,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<u64, RegistryError> {
        let inserted = sqlx::query("INSERT INTO reader_class_lists (issued_at, expires_at) VALUES (?, ?)")
            .bind(time_text(issued))
            .bind(time_text(expires))
            .execute(&self.pool)
            .await?;
        u64::try_from(inserted.last_insert_rowid()).map_err(|_| damaged("the number of a list is negative"))
    }

    /// When the newest list of classes was signed, or was about to be.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn latest_class_list(&self) -> Result<Option<Timestamp>, RegistryError> {
        let row =
            sqlx::query("SELECT max(issued_at) AS at FROM reader_class_lists").fetch_one(&self.pool).await?;
        rows::optional_time(&row, "at")
    }
}

async fn class_id(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &str,
) -> Result<Option<i64>, RegistryError> {
    let row = sqlx::query("SELECT id FROM reader_classes WHERE name = ?")
        .bind(name)
        .fetch_optional(&mut **transaction)
        .await?;
    row.map(|row| Ok(row.try_get("id")?)).transpose()
}

fn member(row: &sqlx::sqlite::SqliteRow) -> Result<(Cardholder, Clearance), RegistryError> {
    let clearance = Clearance::new(rows::number(row, "clearance")?);
    Ok((rows::cardholder(row)?, clearance.ok_or_else(|| damaged("a clearance is above 5"))?))
}
