//! CRLs in the registry: a number is taken before its CRL is signed.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use sqlx::Row;

use super::audit::event;
use super::database::{Change, Kind, Registry, stored};
use super::error::RegistryError;
use super::records::{IssuedCrl, SignedCrls};
use super::rows::{self, damaged, time_text};
use super::{crls_due, outbox, sqlite};
use crate::domain::{AuthorityEvent, AuthorityName, Subject};

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
            let next_update = Some(rows::whole_seconds(next_update));
            let event = AuthorityEvent::CrlNumberTaken { number, next_update };
            change.record(Subject::Authority(authority), &event, this_update).await?;
            Ok(number)
        })
        .await
    }

    /// Stores signed CRLs under their number, to be made known, and drops the bytes of the ones that they replace.
    ///
    /// # Errors
    /// The number was not taken, or has CRLs already.
    pub async fn store_crls(
        &self,
        authority: AuthorityName,
        signed: &SignedCrls<'_>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.storing_crls.fetch_add(1, Ordering::Relaxed);
        let stored = self
            .change(async |change| {
                change.record(Subject::Authority(authority), &told_of(signed), now).await?;
                overwrite_deleted(change, false).await?;
                let stored = store(change, authority, signed).await;
                overwrite_deleted(change, true).await?;
                stored?;
                if let Some(told) = &signed.told {
                    crls_due::settle(change, told).await?;
                }
                outbox::mark_authority(change, authority).await
            })
            .await;
        self.storing_crls.fetch_sub(1, Ordering::Relaxed);
        stored
    }

    /// The newest CRLs of an authority's partitions, and its newest deltas: names of files, and DER.
    ///
    /// # Errors
    /// The database.
    pub async fn crl_parts(&self, authority: AuthorityName) -> Result<Vec<(String, Vec<u8>)>, RegistryError> {
        let rows = sqlx::query("SELECT file, crl FROM crl_parts WHERE authority = $1 ORDER BY file")
            .bind(authority.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("file")?, row.try_get("crl")?))).collect()
    }

    /// The newest signed CRL of an authority.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_crl(&self, authority: AuthorityName) -> Result<Option<IssuedCrl>, RegistryError> {
        let row = sqlx::query("SELECT number, crl FROM crls WHERE authority = $1 AND length(crl) > 0 ORDER BY number DESC LIMIT 1")
            .bind(authority.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(IssuedCrl { number: rows::number(&row, "number")?, crl: row.try_get("crl")? }))
            .transpose()
    }

    /// The SHA-256, hexadecimal, of the newest signed CRL of an authority, as the log tells it: of one with a million entries
    /// that is soon read. None where there is no CRL, or the log does not tell of it.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_crl_digest(&self, authority: AuthorityName) -> Result<Option<String>, RegistryError> {
        let row = sqlx::query(
            "SELECT number FROM crls WHERE authority = $1 AND length(crl) > 0 ORDER BY number DESC LIMIT 1",
        )
        .bind(authority.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let newest: u64 = rows::number(&row, "number")?;
        // Since then deltas may have been signed.
        let rows = sqlx::query(
            "SELECT detail FROM events WHERE topic = $1 AND kind = 'crls-signed' ORDER BY sequence DESC LIMIT 20",
        )
        .bind(Subject::Authority(authority).to_string())
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            match event(&row.try_get::<String, _>("detail")?)? {
                AuthorityEvent::CrlsSigned { number, complete: Some(digest), .. } if number == newest => {
                    return Ok(Some(digest));
                }
                _ => {}
            }
        }
        Ok(None)
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

/// What the log keeps of signed CRLs.
fn told_of(signed: &SignedCrls<'_>) -> AuthorityEvent {
    AuthorityEvent::CrlsSigned {
        number: signed.number,
        key: signed.key.clone(),
        is_complete: signed.is_complete,
        complete: signed.complete.map(rows::digest),
        parts: signed.parts.iter().map(|(file, crl)| ((*file).to_owned(), rows::digest(crl))).collect(),
    }
}

/// Whether SQLite overwrites what is deleted, as it does with whatever may be secret. Everybody knows what a CRL says, and one
/// of a million entries would be written once more, as zeros.
async fn overwrite_deleted(change: &mut Change, shall: bool) -> Result<(), RegistryError> {
    match change.kind() {
        Kind::Sqlite => sqlite::overwrite_deleted(change.connection(), shall).await,
        #[cfg(feature = "postgres")]
        Kind::Postgres => Ok(()),
    }
}

async fn store(
    change: &mut Change,
    authority: AuthorityName,
    signed: &SignedCrls<'_>,
) -> Result<(), RegistryError> {
    let number = stored(signed.number)?;
    if let Some(complete) = signed.complete {
        store_complete(change, authority, signed.number, complete).await?;
    }
    for (file, crl) in &signed.parts {
        sqlx::query(
            "INSERT INTO crl_parts (authority, file, number, crl) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (authority, file) DO UPDATE SET number = excluded.number, crl = excluded.crl \
             WHERE crl_parts.number <= excluded.number",
        )
        .bind(authority.as_str())
        .bind(*file)
        .bind(number)
        .bind(*crl)
        .execute(change.connection())
        .await?;
    }
    if signed.is_complete {
        // Of an earlier key the CRLs stay.
        sqlx::query(
            "DELETE FROM crl_parts WHERE authority = $1 AND number < $2 AND substr(file, 1, length($3)) = $3",
        )
        .bind(authority.as_str())
        .bind(number)
        .bind(&signed.key)
        .execute(change.connection())
        .await?;
    }
    Ok(())
}

pub(super) async fn store_complete(
    change: &mut Change,
    authority: AuthorityName,
    number: u64,
    crl: &[u8],
) -> Result<(), RegistryError> {
    let updated =
        sqlx::query("UPDATE crls SET crl = $1 WHERE authority = $2 AND number = $3 AND crl IS NULL")
            .bind(crl)
            .bind(authority.as_str())
            .bind(stored(number)?)
            .execute(change.connection())
            .await?;
    if updated.rows_affected() != 1 {
        return Err(damaged(format!("CRL number {number} of {authority} was not taken before it was used")));
    }
    sqlx::query("UPDATE crls SET crl = NULL WHERE authority = $1 AND number < $2 AND length(crl) > 0")
        .bind(authority.as_str())
        .bind(stored(number)?)
        .execute(change.connection())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Actor;
    use crate::registry::{Authority, EmulatedCards, RegistryUrl};

    const PEOPLE: AuthorityName = AuthorityName::People;

    /// What each connection of the pool says.
    async fn secure_delete(registry: &Registry) -> Vec<i64> {
        let mut connections =
            [registry.pool.acquire().await.unwrap(), registry.pool.acquire().await.unwrap()];
        let mut said = Vec::new();
        for connection in &mut connections {
            let row = sqlx::query("PRAGMA secure_delete").fetch_one(&mut **connection).await.unwrap();
            said.push(row.try_get(0).unwrap());
        }
        said
    }

    async fn registry_in(folder: &std::path::Path) -> (Registry, Timestamp) {
        let url = RegistryUrl::Sqlite(folder.join("registry.db"));
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let actor = Actor::new("test").unwrap();
        let registry = Registry::create(&url, EmulatedCards::Allowed, actor, now).await.unwrap();
        let authority = Authority { name: PEOPLE, certificate: vec![1] };
        registry.add_authority(&authority, now).await.unwrap();
        (registry, now)
    }

    fn signed(number: u64, crl: &[u8]) -> SignedCrls<'_> {
        let (key, complete) = ("ab".to_owned(), Some(crl));
        SignedCrls { number, key, is_complete: true, complete, parts: Vec::new(), told: None }
    }

    #[tokio::test]
    async fn what_is_deleted_after_crls_were_stored_is_overwritten_again() {
        let folder = tempfile::tempdir().unwrap();
        let (registry, now) = registry_in(folder.path()).await;
        let number = registry.reserve_crl_number(PEOPLE, now, now).await.unwrap();
        registry.store_crls(PEOPLE, &signed(number, &[7; 100_000]), now).await.unwrap();
        assert_eq!(secure_delete(&registry).await, [1, 1]);
        assert_eq!(registry.newest_crl_digest(PEOPLE).await.unwrap(), Some(rows::digest(&[7; 100_000])));
        // A number that nobody took.
        registry.store_crls(PEOPLE, &signed(number + 1, &[8]), now).await.unwrap_err();
        assert_eq!(secure_delete(&registry).await, [1, 1]);
        assert_eq!(registry.newest_crl_digest(PEOPLE).await.unwrap(), Some(rows::digest(&[7; 100_000])));
        assert_eq!(registry.newest_crl_digest(AuthorityName::Root).await.unwrap(), None);
    }

    /// As Ctrl-C in the shell does, at ever later moments, until one comes after the end.
    #[tokio::test]
    async fn what_is_deleted_after_somebody_gave_up_is_overwritten_too() {
        let folder = tempfile::tempdir().unwrap();
        let (registry, now) = registry_in(folder.path()).await;
        let crl = vec![7; 20_000_000];
        let (mut left, mut patience) = (0, 1_u64);
        loop {
            let number = registry.reserve_crl_number(PEOPLE, now, now).await.unwrap();
            let crls = signed(number, &crl);
            let is_done = tokio::select! {
                biased;
                stored = registry.store_crls(PEOPLE, &crls, now) => stored.is_ok(),
                () = async { for _ in 0..patience { tokio::task::yield_now().await; } } => false,
            };
            left += secure_delete(&registry).await.iter().filter(|said| **said != 1).count();
            let said = registry
                .change(async |change| {
                    let row = sqlx::query("PRAGMA secure_delete").fetch_one(change.connection()).await?;
                    Ok(row.try_get::<i64, _>(0)?)
                })
                .await;
            assert_eq!(said.unwrap(), 1);
            if is_done {
                break;
            }
            patience = patience * 3 / 2 + 1;
        }
        assert!(left > 0, "nobody gave up in the middle");
    }
}
