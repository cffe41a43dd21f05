//! The configuration on which certificates are made, as the registry remembers it: an edited file is another one.

use jiff::Timestamp;

use super::database::Registry;
use super::error::RegistryError;
use super::operators::agree;
use crate::domain::agreement::CONFIGURATION;
use crate::domain::{RegistryEvent, Terms};

impl Registry {
    /// The terms that were recorded last.
    ///
    /// # Errors
    /// The database.
    pub async fn recorded_terms(&self) -> Result<Option<Terms>, RegistryError> {
        Ok(self.setting(CONFIGURATION).await?.map(Terms::new))
    }

    /// Records the terms that count from now on, and what is different in them.
    ///
    /// # Errors
    /// The database.
    pub async fn record_terms(
        &self,
        terms: &Terms,
        before: Option<&Terms>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let event = RegistryEvent::ConfigurationRecorded {
            terms: terms.as_str().to_owned(),
            digest: terms.digest().to_string(),
            before: before.map(|before| before.digest().to_string()),
            difference: terms.difference(before).lines(),
        };
        let value = terms.as_str().to_owned();
        self.change(async |change| agree(change, (CONFIGURATION, value.clone()), &event, now).await).await
    }
}
