//! CRLs in the registry: a number is taken before its CRL is signed.

use jiff::Timestamp;
use sqlx::Row;

use super::database::{Registry, stored};
use super::error::RegistryError;
use super::records::IssuedCrl;
use super::rows::{self, damaged, time_text};
use crate::domain::AuthorityName;

impl Registry {
    /// Takes the next CRL number of an authority; a number whose CRL was never signed is not used again.
    ///
    /// # Errors
    /// The database.
    pub async fn reserve_crl_number(
        &self,
        authority: AuthorityName,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<u64, RegistryError> {
        self.change(async |change| {
            let row = sqlx::query("SELECT coalesce(max(number), 0) + 1 AS next FROM crls WHERE authority = $1")
                .bind(authority.as_str())
                .fetch_one(change.connection())
                .await?;
            let number: u64 = rows::number(&row, "next")?;
            sqlx::query(
                "INSERT INTO crls (authority, number, this_update, next_update, crl) VALUES ($1, $2, $3, $4, NULL)",
            )
            .bind(authority.as_str())
            .bind(stored(number)?)
            .bind(time_text(this_update))
            .bind(time_text(next_update))
            .execute(change.connection())
            .await?;
            Ok(number)
        })
        .await
    }

    /// Stores a signed CRL under its number and drops the bytes of the ones before.
    ///
    /// # Errors
    /// The number was not taken, or has a CRL already.
    pub async fn store_crl(&self, authority: AuthorityName, crl: &IssuedCrl) -> Result<(), RegistryError> {
        self.change(async |change| {
            let updated =
                sqlx::query("UPDATE crls SET crl = $1 WHERE authority = $2 AND number = $3 AND crl IS NULL")
                    .bind(crl.crl.clone())
                    .bind(authority.as_str())
                    .bind(stored(crl.number)?)
                    .execute(change.connection())
                    .await?;
            if updated.rows_affected() != 1 {
                return Err(damaged(format!(
                    "CRL number {} of {authority} was not taken before it was used",
                    crl.number
                )));
            }
            sqlx::query("UPDATE crls SET crl = NULL WHERE authority = $1 AND number < $2")
                .bind(authority.as_str())
                .bind(stored(crl.number)?)
                .execute(change.connection())
                .await?;
            Ok(())
        })
        .await
    }

    /// The newest signed CRL of an authority.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_crl(&self, authority: AuthorityName) -> Result<Option<IssuedCrl>, RegistryError> {
        let row = sqlx::query("SELECT number, crl FROM crls WHERE authority = $1 AND crl IS NOT NULL ORDER BY number DESC LIMIT 1")
            .bind(authority.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(IssuedCrl { number: rows::number(&row, "number")?, crl: row.try_get("crl")? }))
            .transpose()
    }
}

impl Registry {
    /// Which CRL says the latest time of itself, signed or about to be.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn latest_crl(&self) -> Result<Option<(AuthorityName, Timestamp)>, RegistryError> {
        let row = sqlx::query("SELECT authority, this_update FROM crls ORDER BY this_update DESC LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok((rows::authority(&row, "authority")?, rows::time(&row, "this_update")?))).transpose()
    }
}
