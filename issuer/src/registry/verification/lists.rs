//! Which CRLs were signed last, as the log tells it up to an event.

use std::collections::BTreeMap;

use super::super::audit::{EVENT, entry, event};
use super::super::backup::BackupValue;
use super::super::database::Registry;
use super::super::error::RegistryError;
use super::revocations::ToldStanding;
use super::{AT_A_TIME, View, told_number};
use crate::domain::{AuthorityEvent, AuthorityHistory, AuthorityName, Known, Subject};

/// A CRL that was signed, and that no other has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedList {
    /// Whose.
    pub authority: AuthorityName,
    /// The name of its file; none for the complete CRL of the first key of an authority.
    pub file: Option<String>,
    /// Its number.
    pub number: u64,
    /// Its SHA-256, hex.
    pub digest: String,
    /// The event with which its number was taken: whatever was told before is in it. None of one that was signed elsewhere.
    pub taken: Option<u64>,
}

impl Registry {
    /// The newest CRLs, as the log tells them up to an event. Those of earlier programs it does not tell.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn lists_signed_until(&self, until: u64) -> Result<Vec<SignedList>, RegistryError> {
        let mut view = self.view().await?;
        let lists = view.lists_signed_until(until).await;
        view.transaction.rollback().await?;
        lists
    }

    /// What the log tells, up to an event, of every certificate that was ever held or revoked.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn standings_until(&self, until: u64) -> Result<Vec<ToldStanding>, RegistryError> {
        let mut view = self.view().await?;
        let told = view.told(0, Some(until)).await;
        view.transaction.rollback().await?;
        told
    }
}

impl View {
    async fn lists_signed_until(&mut self, until: u64) -> Result<Vec<SignedList>, RegistryError> {
        let mut histories: BTreeMap<AuthorityName, AuthorityHistory> = BTreeMap::new();
        let mut taken = BTreeMap::new();
        let mut after = 0;
        loop {
            let statement = format!(
                "SELECT {EVENT} FROM events WHERE topic >= 'authority ' AND topic < 'authority!' AND sequence > $1 \
                 AND sequence <= $2 ORDER BY sequence LIMIT {AT_A_TIME}"
            );
            let bounds = [after, until].map(|number| told_number(number).map(BackupValue::Number));
            let [from, to] = bounds;
            let rows = self.fetch(&statement, &[&from?, &to?]).await?;
            for row in &rows {
                let record = entry(row)?.record;
                after = record.sequence;
                let Subject::Authority(name) = record.subject else { continue };
                let told: AuthorityEvent = event(&record.detail)?;
                if let AuthorityEvent::CrlNumberTaken { number, .. } = told {
                    taken.insert((name, number), record.sequence);
                }
                let history = histories.remove(&name).unwrap_or_default();
                histories.insert(name, history.apply(told, record.at));
            }
            if rows.is_empty() {
                break;
            }
        }
        Ok(histories.iter().flat_map(|(name, history)| lists_of(*name, history, &taken)).collect())
    }
}

fn lists_of(
    authority: AuthorityName,
    history: &AuthorityHistory,
    taken: &BTreeMap<(AuthorityName, u64), u64>,
) -> Vec<SignedList> {
    let list = |file: Option<String>, number: u64, digest: &String| SignedList {
        authority,
        file,
        number,
        digest: digest.clone(),
        taken: taken.get(&(authority, number)).copied(),
    };
    let key = history.keys.get(&history.generation());
    let complete = history.crls.iter().filter_map(|(number, crl)| match &crl.crl {
        Known::Is(Some(digest)) => {
            Some(list(key.map(|key| format!("{}.crl", key.identifier)), *number, digest))
        }
        _ => None,
    });
    let parts =
        history.parts.iter().map(|(file, (number, digest))| list(Some(file.clone()), *number, digest));
    complete.chain(parts).collect()
}
