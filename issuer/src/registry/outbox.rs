//! The outbox of publication: what has changed and has not been made known everywhere.
//!
//! A row names what is to be brought into the state of the registry at one target: an address with its certificates, or an
//! authority with its certificates and CRLs. It is written in the transaction of the change and taken out when the target
//! was seen to hold that state; whoever works it off in between, once or twice, does no harm.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::certificates::was_handed_over;
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::rows::{self, time_text};
use crate::domain::{AuthorityName, CardId, RegistryEvent, SerialNumber, Subject};

/// Where something is published, and how that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationTarget {
    /// The registry's number.
    pub id: i64,
    /// A directory or an LDAP URL.
    pub place: String,
    /// How it is reached, in the words of whoever publishes there.
    pub settings: String,
    /// When everything was last as it should be.
    pub reached_at: Option<Timestamp>,
    /// How often in a row it was not reached.
    pub failures: u32,
    /// Not tried by itself before.
    pub retry_at: Option<Timestamp>,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// How many things wait for it.
    pub waiting: u64,
    /// Up to which event the newest checkpoint of the log went that was put there.
    pub checkpoint: Option<u64>,
}

/// What of the registry is to be made known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutboxSubject {
    /// The certificates of a mail address, in lower case.
    Address(String),
    /// Certificates and CRLs of an authority.
    Authority(AuthorityName),
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxItem {
    id: i64,
    revision: i64,
    /// What is to be made known.
    pub subject: OutboxSubject,
    /// How often in a row it did not succeed.
    pub failures: u32,
    /// Why not, the last time.
    pub trouble: Option<String>,
    /// Of an address: the certificates that everybody should find, DER.
    pub certificates: Vec<Vec<u8>>,
}

/// Which rows are worked off.
#[derive(Clone, Copy, Debug)]
pub enum Due {
    /// Every one.
    All,
    /// Those whose next try is not after this.
    At(Timestamp),
}

impl Registry {
    /// Remembers a target, or gives a known one other settings. Everything that the registry holds is to be made known at a
    /// new one.
    ///
    /// # Errors
    /// The database.
    pub async fn add_target(
        &self,
        place: &str,
        settings: &str,
        now: Timestamp,
    ) -> Result<PublicationTarget, RegistryError> {
        self.change(async |change| {
            let known = sqlx::query("UPDATE publication_targets SET settings = $1 WHERE place = $2")
                .bind(settings.to_owned())
                .bind(place.to_owned())
                .execute(change.connection())
                .await?;
            if known.rows_affected() == 0 {
                sqlx::query(
                    "INSERT INTO publication_targets (place, settings, added_at, swept_until) VALUES ($1, $2, $3, $3)",
                )
                .bind(place.to_owned())
                .bind(settings.to_owned())
                .bind(time_text(now))
                .execute(change.connection())
                .await?;
                mark_everything(change, place).await?;
            }
            Ok(())
        })
        .await?;
        let found = self.target(place).await?;
        found.ok_or_else(|| rows::damaged("a target of publication that was just stored is not there"))
    }

    /// Every target, in the order in which they were added.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn targets(&self) -> Result<Vec<PublicationTarget>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, place, settings, reached_at, failures, retry_at, trouble, checkpoint, \
             (SELECT count(*) FROM publication_outbox WHERE target = publication_targets.id) AS waiting \
             FROM publication_targets ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(target).collect()
    }

    /// The target at this place.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn target(&self, place: &str) -> Result<Option<PublicationTarget>, RegistryError> {
        Ok(self.targets().await?.into_iter().find(|target| target.place == place))
    }

    /// Forgets a target and what waits for it; answers whether there was one.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_target(&self, place: &str, now: Timestamp) -> Result<bool, RegistryError> {
        self.change(async |change| {
            let gone = sqlx::query("DELETE FROM publication_targets WHERE place = $1")
                .bind(place.to_owned())
                .execute(change.connection())
                .await?;
            if gone.rows_affected() != 1 {
                return Ok(false);
            }
            // With the target it is forgotten what was published there: nobody shall do that in silence.
            let event = RegistryEvent::TargetForgotten { place: place.to_owned() };
            change.record(Subject::Registry, &event, now).await?;
            Ok(true)
        })
        .await
    }

    /// Marks the addresses whose certificates expired since this was last done for the target: they are to be taken out.
    ///
    /// # Errors
    /// The database.
    pub async fn mark_expired(&self, target: i64, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query(
                "INSERT INTO publication_outbox (target, kind, subject, revision) \
                 SELECT DISTINCT publication_targets.id, 'address', lower(mail), 1 \
                 FROM certificates JOIN publication_targets ON publication_targets.id = $1 \
                 WHERE mail IS NOT NULL AND not_after < $2 AND not_after >= swept_until \
                 ON CONFLICT (target, kind, subject) DO UPDATE SET revision = publication_outbox.revision + 1",
            )
            .bind(target)
            .bind(time_text(now))
            .execute(change.connection())
            .await?;
            sqlx::query("UPDATE publication_targets SET swept_until = $1 WHERE id = $2 AND swept_until < $1")
                .bind(time_text(now))
                .bind(target)
                .execute(change.connection())
                .await?;
            Ok(())
        })
        .await
    }

    /// Marks the addresses with certificates that are revoked or on hold and have not expired: nobody shall find these, and
    /// whether somebody put them back only the target knows. What waits already goes on waiting as it does.
    ///
    /// # Errors
    /// The database.
    pub async fn mark_withdrawn(&self, target: i64, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query(
                "INSERT INTO publication_outbox (target, kind, subject, revision) \
                 SELECT DISTINCT publication_targets.id, 'address', lower(mail), 1 \
                 FROM revocations JOIN certificates ON certificates.serial = revocations.serial \
                 JOIN publication_targets ON publication_targets.id = $1 \
                 WHERE mail IS NOT NULL AND certificate IS NOT NULL AND not_after >= $2 \
                 ON CONFLICT (target, kind, subject) DO NOTHING",
            )
            .bind(target)
            .bind(time_text(now))
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }

    /// Up to `most` addresses that wait for a target, after the row `after`, each with what everybody should find under it
    /// at `now`; and the last row, to go on from.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn waiting_addresses(
        &self,
        target: i64,
        due: Due,
        now: Timestamp,
        after: i64,
        most: u32,
    ) -> Result<(Vec<OutboxItem>, i64), RegistryError> {
        let rows = sqlx::query(
            "SELECT waiting.id AS id, waiting.revision AS revision, waiting.kind AS kind, waiting.subject AS subject, \
             waiting.failures AS failures, waiting.trouble AS trouble, \
             certificates.certificate AS certificate, card, attempt, cards.snapshot AS snapshot \
             FROM (SELECT id, revision, kind, subject, failures, trouble FROM publication_outbox \
                   WHERE target = $1 AND kind = 'address' AND id > $2 AND (retry_at IS NULL OR retry_at <= $3) \
                   ORDER BY id LIMIT $4) AS waiting \
             LEFT JOIN certificates ON mail IS NOT NULL AND lower(mail) = waiting.subject AND certificate IS NOT NULL \
                   AND not_after >= $5 AND certificates.state = 'delivered' \
             LEFT JOIN cards ON cards.id = certificates.card \
             ORDER BY waiting.id, certificates.serial",
        )
        .bind(target)
        .bind(after)
        .bind(due_text(due))
        .bind(i64::from(most))
        .bind(time_text(now))
        .fetch_all(&self.pool)
        .await?;
        let mut items: Vec<OutboxItem> = Vec::new();
        for row in &rows {
            let item = item(row)?;
            if items.last().is_none_or(|last| last.id != item.id) {
                items.push(item);
            }
            if let (Some(last), Some(der)) = (items.last_mut(), visible_certificate(row)?) {
                last.certificates.push(der);
            }
        }
        let end = items.last().map_or(after, |last| last.id);
        Ok((items, end))
    }

    /// The authorities that wait for a target.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn waiting_authorities(&self, target: i64, due: Due) -> Result<Vec<OutboxItem>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, revision, kind, subject, failures, trouble FROM publication_outbox \
             WHERE target = $1 AND kind = 'authority' AND (retry_at IS NULL OR retry_at <= $2) ORDER BY id",
        )
        .bind(target)
        .bind(due_text(due))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(item).collect()
    }

    /// The newest row of the outbox of a target as it stands: everything up to it is done when the target holds what the
    /// registry held now.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn waiting(&self, target: i64) -> Result<Vec<OutboxItem>, RegistryError> {
        let rows = sqlx::query(
            "SELECT id, revision, kind, subject, failures, trouble FROM publication_outbox WHERE target = $1 ORDER BY id",
        )
        .bind(target)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(item).collect()
    }

    /// Takes out what was made known, unless it has changed since it was read.
    ///
    /// # Errors
    /// The database.
    pub async fn outbox_done(&self, items: &[&OutboxItem]) -> Result<(), RegistryError> {
        self.change(async |change| {
            for item in items {
                sqlx::query("DELETE FROM publication_outbox WHERE id = $1 AND revision = $2")
                    .bind(item.id)
                    .bind(item.revision)
                    .execute(change.connection())
                    .await?;
            }
            Ok(())
        })
        .await
    }

    /// Remembers why a row could not be worked off, and when it is tried again.
    ///
    /// # Errors
    /// The database.
    pub async fn outbox_failed(
        &self,
        item: &OutboxItem,
        trouble: &str,
        retry_at: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query(
                "UPDATE publication_outbox SET failures = failures + 1, trouble = $1, retry_at = $2 \
                 WHERE id = $3 AND revision = $4",
            )
            .bind(trouble.to_owned())
            .bind(time_text(retry_at))
            .bind(item.id)
            .bind(item.revision)
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }

    /// Remembers that a target was reached.
    ///
    /// # Errors
    /// The database.
    pub async fn target_reached(&self, target: i64, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query(
                "UPDATE publication_targets SET reached_at = $1, failures = 0, retry_at = NULL, trouble = NULL WHERE id = $2",
            )
            .bind(time_text(now))
            .bind(target)
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }

    /// Remembers that a target was not reached, and when it is tried again by itself.
    ///
    /// # Errors
    /// The database.
    pub async fn target_failed(
        &self,
        target: i64,
        trouble: &str,
        retry_at: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query(
                "UPDATE publication_targets SET failures = failures + 1, retry_at = $1, trouble = $2 WHERE id = $3",
            )
            .bind(time_text(retry_at))
            .bind(trouble.to_owned())
            .bind(target)
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }
}

/// The certificates of an authority, or its CRLs, are others than before.
pub(super) async fn mark_authority(change: &mut Change, name: AuthorityName) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO publication_outbox (target, kind, subject, revision) \
         SELECT id, 'authority', $1, 1 FROM publication_targets WHERE true \
         ON CONFLICT (target, kind, subject) DO UPDATE SET revision = publication_outbox.revision + 1, \
         failures = 0, retry_at = NULL, trouble = NULL",
    )
    .bind(name.as_str())
    .execute(change.connection())
    .await?;
    Ok(())
}

/// A certificate is another than before, or stands otherwise.
pub(super) async fn mark_certificate(
    change: &mut Change,
    serial: &SerialNumber,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO publication_outbox (target, kind, subject, revision) \
         SELECT publication_targets.id, 'address', lower(mail), 1 FROM publication_targets \
         JOIN certificates ON certificates.serial = $1 WHERE mail IS NOT NULL AND certificate IS NOT NULL \
         ON CONFLICT (target, kind, subject) DO UPDATE SET revision = publication_outbox.revision + 1, \
         failures = 0, retry_at = NULL, trouble = NULL",
    )
    .bind(serial.as_bytes().to_vec())
    .execute(change.connection())
    .await?;
    Ok(())
}

/// A card was handed over, or came back: its certificates are to be found, or no longer.
pub(super) async fn mark_card(change: &mut Change, card: CardId) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO publication_outbox (target, kind, subject, revision) \
         SELECT DISTINCT publication_targets.id, 'address', lower(mail), 1 FROM publication_targets \
         JOIN certificates ON certificates.card = $1 WHERE mail IS NOT NULL AND certificate IS NOT NULL \
         ON CONFLICT (target, kind, subject) DO UPDATE SET revision = publication_outbox.revision + 1, \
         failures = 0, retry_at = NULL, trouble = NULL",
    )
    .bind(card.0)
    .execute(change.connection())
    .await?;
    Ok(())
}

async fn mark_everything(change: &mut Change, place: &str) -> Result<(), RegistryError> {
    for statement in [
        "INSERT INTO publication_outbox (target, kind, subject, revision) \
         SELECT publication_targets.id, 'authority', authorities.name, 1 FROM publication_targets \
         JOIN authorities ON place = $1",
        "INSERT INTO publication_outbox (target, kind, subject, revision) \
         SELECT DISTINCT publication_targets.id, 'address', lower(mail), 1 FROM publication_targets \
         JOIN certificates ON place = $1 WHERE mail IS NOT NULL AND certificate IS NOT NULL",
    ] {
        sqlx::query(statement).bind(place.to_owned()).execute(change.connection()).await?;
    }
    Ok(())
}

fn due_text(due: Due) -> String {
    match due {
        // After every RFC 3339 time.
        Due::All => "~".to_owned(),
        Due::At(now) => time_text(now),
    }
}

fn target(row: &AnyRow) -> Result<PublicationTarget, RegistryError> {
    Ok(PublicationTarget {
        id: row.try_get("id")?,
        place: row.try_get("place")?,
        settings: row.try_get("settings")?,
        reached_at: rows::optional_time(row, "reached_at")?,
        failures: rows::number(row, "failures")?,
        retry_at: rows::optional_time(row, "retry_at")?,
        trouble: row.try_get("trouble")?,
        waiting: rows::number(row, "waiting")?,
        checkpoint: match row.try_get::<Option<i64>, _>("checkpoint")? {
            Some(_) => Some(rows::number(row, "checkpoint")?),
            None => None,
        },
    })
}

fn item(row: &AnyRow) -> Result<OutboxItem, RegistryError> {
    let (kind, subject): (String, String) = (row.try_get("kind")?, row.try_get("subject")?);
    Ok(OutboxItem {
        id: row.try_get("id")?,
        revision: row.try_get("revision")?,
        subject: match kind.as_str() {
            "address" => OutboxSubject::Address(subject),
            _ => OutboxSubject::Authority(rows::authority(row, "subject")?),
        },
        failures: rows::number(row, "failures")?,
        trouble: row.try_get("trouble")?,
        certificates: Vec::new(),
    })
}

/// The certificate of a joined row, if it reached its holder.
fn visible_certificate(row: &AnyRow) -> Result<Option<Vec<u8>>, RegistryError> {
    let der: Option<Vec<u8>> = row.try_get("certificate")?;
    let on_card: (Option<i64>, Option<i64>) = (row.try_get("card")?, row.try_get("attempt")?);
    Ok(match (der, on_card) {
        (Some(der), (Some(_), Some(attempt))) => {
            let card: crate::domain::Card = rows::snapshot(row)?;
            was_handed_over(card.state(), attempt, card.attempts()).then_some(der)
        }
        (der, _) => der,
    })
}
