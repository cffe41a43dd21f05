//! Cards that somebody had, and that were wiped since: in stock, or somebody else's.

use super::audit::event;
use super::database::Registry;
use super::error::RegistryError;
use super::records::CardRecord;
use super::rows;
use crate::domain::{CardholderId, Subject, Tenure};

/// A card that was somebody's.
#[derive(Clone, Debug)]
pub struct FormerCard {
    /// As it is now.
    pub card: CardRecord,
    /// When it was theirs.
    pub tenure: Tenure,
}

impl Registry {
    /// The cards that a person had and that name another holder now, or none; the one that was theirs last comes first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn former_cards_of(&self, holder: CardholderId) -> Result<Vec<FormerCard>, RegistryError> {
        // Certificates keep whose they were; a card that was wiped does not.
        let rows = sqlx::query(
            "SELECT id, vendor_serial, stock_guid, secrets_version, snapshot FROM cards \
             WHERE (holder IS NULL OR holder <> $1) \
             AND id IN (SELECT card FROM certificates WHERE certificates.holder = $1) ORDER BY id",
        )
        .bind(holder.0)
        .fetch_all(&self.pool)
        .await?;
        let mut former = Vec::new();
        for card in rows.iter().map(rows::card) {
            let card = card?;
            let entries = self.history(&Subject::Card(card.id)).await?;
            let events = entries.iter().map(|entry| event(&entry.record.detail));
            let events = events.collect::<Result<Vec<_>, _>>()?;
            if let Some(tenure) = Tenure::last_of(holder, events) {
                former.push(FormerCard { card, tenure });
            }
        }
        former.sort_by_key(|former| std::cmp::Reverse(former.tenure.until));
        Ok(former)
    }
}
