//! Classes of readers in the registry.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::records::ClassChange;
use super::rows::{self, PERSON, damaged, time_text};
use crate::domain::{
    Cardholder, CardholderId, ClassDescription, ClassName, Clearance, MemberEvent, ReaderClass,
    RegistryEvent, Subject,
};

impl Registry {
    /// Adds members to a class, which is made if there is none; what is said anew of a class or member replaces what was
    /// said before.
    ///
    /// # Errors
    /// The database.
    pub async fn add_to_class(&self, wanted: &ClassChange, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            let name = wanted.name.as_str();
            let before = described(change, name).await?;
            sqlx::query(
                "INSERT INTO reader_classes (name, description, policy) VALUES ($1, coalesce($2, ''), coalesce($3, $4)) \
                 ON CONFLICT (name) DO UPDATE SET description = coalesce($2, reader_classes.description), \
                 policy = coalesce($3, reader_classes.policy)",
            )
            .bind(name.to_owned())
            .bind(wanted.description.as_ref().map(|description| description.as_str().to_owned()))
            .bind(wanted.policy.clone())
            .bind(wanted.default_policy.clone())
            .execute(change.connection())
            .await?;
            let class = class_id(change, name).await?.ok_or_else(|| damaged("a class vanished"))?;
            let present = described(change, name).await?;
            if let Some(event) = present.filter(|present| before.as_ref() != Some(present)) {
                change.record(Subject::Registry, &event, now).await?;
            }
            for member in &wanted.members {
                let row = sqlx::query(
                    "INSERT INTO reader_class_members (class, person, clearance) VALUES ($1, $2, coalesce($3, 0)) \
                     ON CONFLICT (class, person) DO UPDATE SET clearance = coalesce($3, reader_class_members.clearance) \
                     RETURNING clearance",
                )
                .bind(class)
                .bind(member.0)
                .bind(wanted.clearance.map(|clearance| i64::from(clearance.level())))
                .fetch_one(change.connection())
                .await?;
                let event = MemberEvent::ClassJoined { class: name.to_owned(), clearance: rows::number(&row, "clearance")? };
                change.record(Subject::Person(*member), &event, now).await?;
            }
            Ok(())
        })
        .await
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
        self.change(async |change| {
            let Some(class) = class_id(change, name.as_str()).await? else { return Ok(None) };
            let rows =
                sqlx::query("SELECT person FROM reader_class_members WHERE class = $1 ORDER BY person")
                    .bind(class)
                    .fetch_all(change.connection())
                    .await?;
            let mut left = Vec::new();
            for row in &rows {
                let person = CardholderId(row.try_get("person")?);
                if members.is_some_and(|members| !members.contains(&person)) {
                    continue;
                }
                sqlx::query("DELETE FROM reader_class_members WHERE class = $1 AND person = $2")
                    .bind(class)
                    .bind(person.0)
                    .execute(change.connection())
                    .await?;
                let event = MemberEvent::ClassLeft { class: name.as_str().to_owned() };
                change.record(Subject::Person(person), &event, now).await?;
                left.push(person);
            }
            if members.is_none() {
                sqlx::query("DELETE FROM reader_classes WHERE id = $1")
                    .bind(class)
                    .execute(change.connection())
                    .await?;
                let event = RegistryEvent::ClassRemoved { class: name.as_str().to_owned() };
                change.record(Subject::Registry, &event, now).await?;
            }
            Ok(Some(left))
        })
        .await
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
        let statement = format!(
            "SELECT {PERSON}, clearance FROM reader_class_members JOIN people ON people.id = person WHERE class = $1 ORDER BY mail"
        );
        let mut found = Vec::new();
        for row in &classes {
            let members = sqlx::query(AssertSqlSafe(statement.clone()))
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
        self.change(async |change| {
            let row = sqlx::query(
                "INSERT INTO reader_class_lists (issued_at, expires_at) VALUES ($1, $2) RETURNING number",
            )
            .bind(time_text(issued))
            .bind(time_text(expires))
            .fetch_one(change.connection())
            .await?;
            let (number, expires_at) = (rows::number(&row, "number")?, rows::whole_seconds(expires));
            let event = RegistryEvent::ClassListNumberTaken { number, expires_at };
            change.record(Subject::Registry, &event, issued).await?;
            Ok(number)
        })
        .await
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

/// What is said of a class now, as the log keeps it.
async fn described(change: &mut Change, name: &str) -> Result<Option<RegistryEvent>, RegistryError> {
    let row = sqlx::query("SELECT description, policy FROM reader_classes WHERE name = $1")
        .bind(name.to_owned())
        .fetch_optional(change.connection())
        .await?;
    row.map(|row| {
        let (description, policy) = (row.try_get("description")?, row.try_get("policy")?);
        Ok(RegistryEvent::ClassDescribed { class: name.to_owned(), description, policy })
    })
    .transpose()
}

async fn class_id(change: &mut Change, name: &str) -> Result<Option<i64>, RegistryError> {
    let row = sqlx::query("SELECT id FROM reader_classes WHERE name = $1")
        .bind(name.to_owned())
        .fetch_optional(change.connection())
        .await?;
    row.map(|row| Ok(row.try_get("id")?)).transpose()
}

fn member(row: &AnyRow) -> Result<(Cardholder, Clearance), RegistryError> {
    let clearance = Clearance::new(rows::number(row, "clearance")?);
    Ok((rows::cardholder(row)?, clearance.ok_or_else(|| damaged("a clearance is above 5"))?))
}
