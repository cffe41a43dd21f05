//! People in the registry.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;

use super::{Registry, Subject, record};
use crate::domain::{Cardholder, CardholderId, MailAddress, NewCardholder};
use crate::registry::error::RegistryError;
use crate::registry::rows::{self, time_text};

/// What happens to a person.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum PersonEvent<'a> {
    PersonAdded { name: &'a str, mail: &'a str, staff_id: Option<&'a str> },
}

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
        let mut transaction = self.begin().await?;
        let (name, mail) = (person.name.as_str(), person.mail.as_str());
        let staff_id = person.staff_id.as_ref().map(crate::domain::StaffId::as_str);
        let taken = sqlx::query("SELECT name, mail = ? AS by_mail FROM people WHERE mail = ? OR staff_id = ? ORDER BY by_mail DESC")
            .bind(mail)
            .bind(mail)
            .bind(staff_id)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = taken {
            let name = row.try_get("name")?;
            let by_mail: i64 = row.try_get("by_mail")?;
            return Err(if by_mail == 1 {
                RegistryError::MailTaken { name }
            } else {
                RegistryError::StaffIdTaken { name }
            });
        }
        let inserted = sqlx::query("INSERT INTO people (name, mail, staff_id, added_at) VALUES (?, ?, ?, ?)")
            .bind(name)
            .bind(mail)
            .bind(staff_id)
            .bind(time_text(now))
            .execute(&mut *transaction)
            .await?;
        let id = CardholderId(inserted.last_insert_rowid());
        record(
            &mut transaction,
            Subject::Person(id),
            &PersonEvent::PersonAdded { name, mail, staff_id },
            now,
        )
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cardholders(&self) -> Result<Vec<Cardholder>, RegistryError> {
        let rows = sqlx::query("SELECT id, name, mail, staff_id FROM people ORDER BY name, id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(rows::cardholder).collect()
    }

    /// The person with this mail address, in whatever form it was typed, or with exactly this staff identifier.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn cardholder_named(&self, text: &str) -> Result<Option<Cardholder>, RegistryError> {
        let mail = MailAddress::new(text).ok();
        let row = sqlx::query(
            "SELECT id, name, mail, staff_id FROM people WHERE mail IN (?1, ?2) OR staff_id = ?2",
        )
        .bind(mail.as_ref().map(MailAddress::as_str))
        .bind(text)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(rows::cardholder).transpose()
    }

    /// The person with this number.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPerson`].
    pub async fn cardholder(&self, id: CardholderId) -> Result<Cardholder, RegistryError> {
        let row = sqlx::query("SELECT id, name, mail, staff_id FROM people WHERE id = ?")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?
            .ok_or(RegistryError::UnknownPerson(id))?;
        rows::cardholder(&row)
    }
}
