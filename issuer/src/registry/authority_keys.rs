//! The keys that an authority has had, each with its certificates.
//!
//! An authority signs certificates with one key, its newest; with earlier ones it still signs CRLs, for as long as
//! certificates of theirs may be used. Which key signed a certificate is told by the key identifier in what was to be
//! signed, whatever else happened meanwhile.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::crls_due::CrlDue;
use super::database::{Change, Registry};
use super::error::RegistryError;
use super::outbox;
use super::records::Authority;
use super::rows::{self, time_text};
use crate::domain::{AuthorityEvent, AuthorityName, Subject};

/// A key of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityKey {
    /// Whose.
    pub name: AuthorityName,
    /// Which, counted from 1.
    pub generation: u32,
    /// Whether certificates are signed with it.
    pub is_current: bool,
    /// Its newest certificate, DER.
    pub certificate: Vec<u8>,
    /// Its certificates before that one.
    pub earlier: Vec<Vec<u8>>,
    /// Certificates that it gave other authorities.
    pub given: Vec<Vec<u8>>,
    /// Certificates that other authorities gave it.
    pub received: Vec<Vec<u8>>,
}

/// How a certificate belongs to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossDirection {
    /// The key certified another authority.
    Given,
    /// Another authority certified the key.
    Received,
}

/// A new key of an authority.
pub struct NewAuthorityKey<'a> {
    /// Whose.
    pub name: AuthorityName,
    /// Its certificate, DER.
    pub certificate: &'a [u8],
    /// Its subjectKeyIdentifier.
    pub key_identifier: &'a [u8],
    /// The subjectKeyIdentifier of the key before it.
    pub predecessor: &'a [u8],
}

impl Registry {
    /// Stores the certificate of an authority.
    ///
    /// # Errors
    /// The database.
    pub async fn add_authority(&self, authority: &Authority, now: Timestamp) -> Result<(), RegistryError> {
        self.change(async |change| {
            let certificate = rows::digest(&authority.certificate);
            let event = AuthorityEvent::AuthorityAdded { certificate };
            change.record(Subject::Authority(authority.name), &event, now).await?;
            sqlx::query("INSERT INTO authorities (name, certificate) VALUES ($1, $2)")
                .bind(authority.name.as_str())
                .bind(authority.certificate.clone())
                .execute(change.connection())
                .await?;
            outbox::mark_authority(change, authority.name).await
        })
        .await
    }

    /// The certificates of the authorities, the anchor first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn authorities(&self) -> Result<Vec<Authority>, RegistryError> {
        let rows = sqlx::query("SELECT name, certificate FROM authorities").fetch_all(&self.pool).await?;
        let mut authorities = rows
            .iter()
            .map(|row| {
                Ok(Authority {
                    name: rows::authority(row, "name")?,
                    certificate: row.try_get("certificate")?,
                })
            })
            .collect::<Result<Vec<_>, RegistryError>>()?;
        authorities.sort_by_key(|authority| authority.name);
        Ok(authorities)
    }

    /// Every key of every authority, the anchor's first, each authority's in the order in which it had them.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn authority_keys(&self) -> Result<Vec<AuthorityKey>, RegistryError> {
        let rows =
            sqlx::query("SELECT authority, generation, certificate FROM authority_keys ORDER BY generation")
                .fetch_all(&self.pool)
                .await?;
        let mut counted = Vec::new();
        for row in &rows {
            counted.push((
                rows::authority(row, "authority")?,
                rows::number(row, "generation")?,
                certificate(row)?,
            ));
        }
        let mut keys = Vec::new();
        for Authority { name, certificate } in self.authorities().await? {
            let own = counted.iter().filter(|(authority, ..)| *authority == name);
            let last = own.clone().map(|(_, generation, _)| *generation).max().unwrap_or(1);
            for (_, generation, certificate) in own.filter(|(_, generation, _)| *generation < last) {
                keys.push(key(name, *generation, certificate.clone(), false));
            }
            keys.push(key(name, last, certificate, true));
        }
        let rows = sqlx::query(
            "SELECT authority, generation, kind, certificate FROM authority_certificates ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            let (name, generation): (_, u32) =
                (rows::authority(row, "authority")?, rows::number(row, "generation")?);
            let Some(key) = keys.iter_mut().find(|key| (key.name, key.generation) == (name, generation))
            else {
                return Err(rows::damaged(format!("there is no key {generation} of the authority {name}")));
            };
            match row.try_get::<String, _>("kind")?.as_str() {
                "earlier" => key.earlier.push(certificate(row)?),
                "given" => key.given.push(certificate(row)?),
                _ => key.received.push(certificate(row)?),
            }
        }
        Ok(keys)
    }

    /// Whether a certificate was signed here with this key, or was to be.
    ///
    /// # Errors
    /// The database.
    pub async fn has_signed(&self, name: AuthorityName, generation: u32) -> Result<bool, RegistryError> {
        let row = sqlx::query(
            "SELECT 1 AS found FROM certificates WHERE authority = $1 AND generation = $2 LIMIT 1",
        )
        .bind(name.as_str())
        .bind(i64::from(generation))
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// Puts a new certificate of the same key in the place of an authority's; the one before is kept.
    ///
    /// # Errors
    /// The database, or there is no such authority.
    pub async fn renew_authority(
        &self,
        name: AuthorityName,
        renewed: &[u8],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            let event = AuthorityEvent::AuthorityRenewed { certificate: rows::digest(renewed) };
            change.record(Subject::Authority(name), &event, now).await?;
            let generation = current(change, name).await?;
            keep_present(change, name, generation).await?;
            set_present(change, name, renewed).await?;
            sqlx::query(
                "UPDATE authority_keys SET certificate = $1 WHERE authority = $2 AND generation = $3",
            )
            .bind(renewed.to_vec())
            .bind(name.as_str())
            .bind(generation)
            .execute(change.connection())
            .await?;
            outbox::mark_authority(change, name).await
        })
        .await
    }

    /// Makes a new key the one with which an authority signs certificates. The CRL of the one before stays, under the name
    /// of its file.
    ///
    /// # Errors
    /// The database, or the key is already there.
    pub async fn roll_over_authority(
        &self,
        new: &NewAuthorityKey<'_>,
        now: Timestamp,
    ) -> Result<u32, RegistryError> {
        self.change(async |change| {
            let (name, generation) = (new.name, current(change, new.name).await?);
            let present = sqlx::query("SELECT certificate FROM authorities WHERE name = $1")
                .bind(name.as_str())
                .fetch_one(change.connection())
                .await?;
            sqlx::query(
                "INSERT INTO authority_keys (authority, generation, key_identifier, certificate) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (authority, generation) DO NOTHING",
            )
            .bind(name.as_str())
            .bind(generation)
            .bind(new.predecessor.to_vec())
            .bind(certificate(&present)?)
            .execute(change.connection())
            .await?;
            let next = generation + 1;
            sqlx::query(
                "INSERT INTO authority_keys (authority, generation, key_identifier, certificate) VALUES ($1, $2, $3, $4)",
            )
            .bind(name.as_str())
            .bind(next)
            .bind(new.key_identifier.to_vec())
            .bind(new.certificate.to_vec())
            .execute(change.connection())
            .await?;
            set_present(change, name, new.certificate).await?;
            move_crl(change, name, new.predecessor).await?;
            outbox::mark_authority(change, name).await?;
            let next = u32::try_from(next).map_err(|_| rows::damaged("too many keys"))?;
            let event = AuthorityEvent::AuthorityRolledOver {
                generation: next,
                certificate: rows::digest(new.certificate),
                key: hex::encode(new.key_identifier),
                predecessor: hex::encode(new.predecessor),
            };
            change.record(Subject::Authority(name), &event, now).await?;
            Ok(next)
        })
        .await
    }

    /// Keeps a cross-certificate with a key of ours.
    ///
    /// # Errors
    /// The database.
    pub async fn add_cross_certificate(
        &self,
        name: AuthorityName,
        generation: u32,
        direction: CrossDirection,
        cross: &[u8],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let kind = match direction {
            CrossDirection::Given => "given",
            CrossDirection::Received => "received",
        };
        self.change(async |change| {
            keep(change, name, i64::from(generation), kind, cross.to_vec()).await?;
            let (direction, certificate) = (kind.to_owned(), rows::digest(cross));
            let event = AuthorityEvent::CrossCertificateKept { generation, direction, certificate };
            change.record(Subject::Authority(name), &event, now).await?;
            outbox::mark_authority(change, name).await
        })
        .await
    }

    /// Takes a CRL in that was made where the authority's key is; `told` was due, and is on it.
    ///
    /// # Errors
    /// The database, or its number was used.
    pub async fn import_crl(
        &self,
        name: AuthorityName,
        number: u64,
        times: (Timestamp, Timestamp),
        crl: &[u8],
        told: Option<&CrlDue>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            let event = AuthorityEvent::CrlInstalled {
                number,
                this_update: rows::whole_seconds(times.0),
                next_update: rows::whole_seconds(times.1),
                crl: rows::digest(crl),
            };
            change.record(Subject::Authority(name), &event, now).await?;
            sqlx::query(
                "INSERT INTO crls (authority, number, this_update, next_update, crl) VALUES ($1, $2, $3, $4, NULL)",
            )
            .bind(name.as_str())
            .bind(super::database::stored(number)?)
            .bind(time_text(times.0))
            .bind(time_text(times.1))
            .execute(change.connection())
            .await?;
            super::crls::store_complete(change, name, number, crl).await?;
            if let Some(told) = told {
                super::crls_due::settle(change, told).await?;
            }
            outbox::mark_authority(change, name).await
        })
        .await
    }
}

/// Which key of the authority shall sign these bytes: the newest whose identifier they hold.
pub(super) async fn generation_of(
    change: &mut Change,
    name: AuthorityName,
    to_be_signed: &[u8],
) -> Result<i64, RegistryError> {
    let rows = sqlx::query(
        "SELECT generation, key_identifier FROM authority_keys WHERE authority = $1 ORDER BY generation DESC",
    )
    .bind(name.as_str())
    .fetch_all(change.connection())
    .await?;
    for row in &rows {
        let identifier: Vec<u8> = row.try_get("key_identifier")?;
        // keyIdentifier [0] of an authorityKeyIdentifier, RFC 5280 section 4.2.1.1.
        let mut wanted = vec![0x80, u8::try_from(identifier.len()).unwrap_or(0)];
        wanted.extend(identifier);
        if to_be_signed.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(row.try_get("generation")?);
        }
    }
    current(change, name).await
}

async fn current(change: &mut Change, name: AuthorityName) -> Result<i64, RegistryError> {
    let row = sqlx::query(
        "SELECT coalesce(max(generation), 1) AS generation FROM authority_keys WHERE authority = $1",
    )
    .bind(name.as_str())
    .fetch_one(change.connection())
    .await?;
    Ok(row.try_get("generation")?)
}

async fn keep_present(
    change: &mut Change,
    name: AuthorityName,
    generation: i64,
) -> Result<(), RegistryError> {
    let present = sqlx::query("SELECT certificate FROM authorities WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(change.connection())
        .await?;
    let present = present.ok_or_else(|| rows::damaged(format!("there is no authority {name}")))?;
    keep(change, name, generation, "earlier", certificate(&present)?).await
}

async fn keep(
    change: &mut Change,
    name: AuthorityName,
    generation: i64,
    kind: &str,
    certificate: Vec<u8>,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO authority_certificates (authority, generation, kind, certificate) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (authority, generation, kind, certificate) DO NOTHING",
    )
    .bind(name.as_str())
    .bind(generation)
    .bind(kind.to_owned())
    .bind(certificate)
    .execute(change.connection())
    .await?;
    Ok(())
}

async fn set_present(
    change: &mut Change,
    name: AuthorityName,
    certificate: &[u8],
) -> Result<(), RegistryError> {
    sqlx::query("UPDATE authorities SET certificate = $1 WHERE name = $2")
        .bind(certificate.to_vec())
        .bind(name.as_str())
        .execute(change.connection())
        .await?;
    Ok(())
}

/// The complete CRL is that of the key that signs certificates; that of an earlier key lies among the parts.
async fn move_crl(change: &mut Change, name: AuthorityName, key: &[u8]) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO crl_parts (authority, file, number, crl) \
         SELECT authority, $1, number, crl FROM crls WHERE authority = $2 AND crl IS NOT NULL",
    )
    .bind(format!("{}.crl", hex::encode(key)))
    .bind(name.as_str())
    .execute(change.connection())
    .await?;
    sqlx::query("UPDATE crls SET crl = NULL WHERE authority = $1")
        .bind(name.as_str())
        .execute(change.connection())
        .await?;
    Ok(())
}

fn key(name: AuthorityName, generation: u32, certificate: Vec<u8>, is_current: bool) -> AuthorityKey {
    let (earlier, given, received) = (Vec::new(), Vec::new(), Vec::new());
    AuthorityKey { name, generation, is_current, certificate, earlier, given, received }
}

fn certificate(row: &AnyRow) -> Result<Vec<u8>, RegistryError> {
    Ok(row.try_get("certificate")?)
}
