//! Where the keys of cards came from, and what the cards said of them.
//!
//! A record is kept by the key, not by the certificate: a renewed certificate of the same key has it too.

use der::{Decode, Encode};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::database::{Change, Registry};
use super::error::RegistryError;
use super::rows::{self, damaged, time_text};
use crate::domain::{CardId, CardKey, ChainHash, ToldKey, ToldKeyOrigin};

/// SHA-256 of a SubjectPublicKeyInfo in DER.
pub type PublicKeyHash = [u8; 32];

/// Where a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOriginRecord {
    /// The card says, and its maker vouches for it, that it made the key itself.
    Attested(AttestationRecord),
    /// An emulated card says so: nobody vouches for it.
    AttestedByEmulatedCard(AttestationRecord),
    /// The card was told to make it; it cannot attest that.
    Generated,
    /// The issuer made it and wrote it into the card.
    Injected,
}

/// Certificates in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationRecord {
    /// What the card said.
    pub statement: Vec<u8>,
    /// The card's own attestation certificate, which signed it.
    pub issuer: Vec<u8>,
    /// The pinned root above that; none for an emulated card.
    pub root: Option<Vec<u8>>,
}

impl KeyOriginRecord {
    /// The name in the registry and in listings.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Attested(_) => "attested",
            Self::AttestedByEmulatedCard(_) => "attested by an emulated card",
            Self::Generated => "generated",
            Self::Injected => "injected",
        }
    }

    /// The word that fits the evidence; none where there is none.
    pub(super) const fn word_of(has_statement: bool, has_root: bool) -> Option<&'static str> {
        match (has_statement, has_root) {
            (true, true) => Some("attested"),
            (true, false) => Some("attested by an emulated card"),
            (false, _) => None,
        }
    }

    /// What the card said, where it said something.
    pub const fn attestation(&self) -> Option<&AttestationRecord> {
        match self {
            Self::Attested(attestation) | Self::AttestedByEmulatedCard(attestation) => Some(attestation),
            Self::Generated | Self::Injected => None,
        }
    }
}

impl Registry {
    /// Records where a key came from; what was recorded of it before stays.
    ///
    /// # Errors
    /// The database.
    pub async fn record_key_origin(
        &self,
        public_key: &PublicKeyHash,
        (card, key): (CardId, CardKey),
        origin: &KeyOriginRecord,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| record(change, public_key, (card, key), origin, now).await).await
    }

    /// Where a key came from; nothing for a key of before this was recorded.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn key_origin(
        &self,
        public_key: &PublicKeyHash,
    ) -> Result<Option<KeyOriginRecord>, RegistryError> {
        let row =
            sqlx::query("SELECT origin, statement, issuer, root FROM key_origins WHERE public_key = $1")
                .bind(public_key.to_vec())
                .fetch_optional(&self.pool)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let attestation = || -> Result<AttestationRecord, RegistryError> {
            Ok(AttestationRecord {
                statement: row.try_get("statement")?,
                issuer: row.try_get("issuer")?,
                root: row.try_get("root")?,
            })
        };
        let origin: String = row.try_get("origin")?;
        Ok(Some(match origin.as_str() {
            "attested" => KeyOriginRecord::Attested(attestation()?),
            "attested by an emulated card" => KeyOriginRecord::AttestedByEmulatedCard(attestation()?),
            "generated" => KeyOriginRecord::Generated,
            "injected" => KeyOriginRecord::Injected,
            other => return Err(damaged(format!("unknown origin of a key {other:?}"))),
        }))
    }
}

/// What is known of the key of a card's certificate that is to be made: its event keeps it.
pub(super) async fn told(change: &mut Change, to_be_signed: &[u8]) -> Result<Option<ToldKey>, RegistryError> {
    let Some(public_key) = public_key_of(to_be_signed) else { return Ok(None) };
    let row = sqlx::query(
        "SELECT card, card_key, origin, statement, issuer, root, at FROM key_origins WHERE public_key = $1",
    )
    .bind(public_key.as_bytes().to_vec())
    .fetch_optional(change.connection())
    .await?;
    let origin = row.as_ref().map(told_origin).transpose()?;
    Ok(Some(ToldKey { public_key: public_key.to_string(), origin }))
}

fn told_origin(row: &AnyRow) -> Result<ToldKeyOrigin, RegistryError> {
    let evidence = |column: &str| -> Result<Option<String>, RegistryError> {
        Ok(row.try_get::<Option<Vec<u8>>, _>(column)?.as_deref().map(rows::digest))
    };
    Ok(ToldKeyOrigin {
        card: CardId(row.try_get("card")?),
        card_key: row.try_get("card_key")?,
        origin: row.try_get("origin")?,
        statement: evidence("statement")?,
        issuer: evidence("issuer")?,
        root: evidence("root")?,
        at: rows::time(row, "at")?,
    })
}

/// The SHA-256 of the SubjectPublicKeyInfo of a TBSCertificate.
fn public_key_of(to_be_signed: &[u8]) -> Option<ChainHash> {
    let certificate = x509_cert::TbsCertificate::from_der(to_be_signed).ok()?;
    Some(ChainHash::of(&certificate.subject_public_key_info().to_der().ok()?))
}

/// Records it within a change.
pub(super) async fn record(
    change: &mut Change,
    public_key: &PublicKeyHash,
    (card, key): (CardId, CardKey),
    origin: &KeyOriginRecord,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let attestation = origin.attestation();
    sqlx::query(
        "INSERT INTO key_origins (public_key, card, card_key, origin, statement, issuer, root, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (public_key) DO NOTHING",
    )
    .bind(public_key.to_vec())
    .bind(card.0)
    .bind(key.as_str())
    .bind(origin.as_str())
    .bind(attestation.map(|attestation| attestation.statement.clone()))
    .bind(attestation.map(|attestation| attestation.issuer.clone()))
    .bind(attestation.and_then(|attestation| attestation.root.clone()))
    .bind(time_text(now))
    .execute(change.connection())
    .await?;
    Ok(())
}
