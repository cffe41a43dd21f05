//! What else is written on a renewed card: the CHUID, where the card must last longer or another content signer signed it
//! (whose certificate the security object's readers look for there), and the hashes of what is on it.

use middleware::piv::objects::Chuid;
use middleware::{Card, DataObject};

use super::Run;
use crate::personalization::error::PersonalizationError;
use crate::personalization::objects::{chuid, security_object};
use crate::personalization::run::{Desk, end_of_day};
use crate::personalization::secrets;
use crate::registry::JournalPhase;

impl Desk<'_> {
    /// CHUID, where the card would end before its certificates, and the hashes of what is on the card now.
    pub(super) async fn renew_objects(
        &mut self,
        card: &mut Card,
        run: &Run<'_>,
    ) -> Result<(), PersonalizationError> {
        const STEP: &str = "data objects";
        self.note(run, STEP, JournalPhase::Intended, None).await?;
        {
            let mut transaction = card.transaction()?;
            let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
            let mut administration = transaction.authenticate(&opening)?;
            let contents = administration.transaction().read_object(DataObject::CHUID)?;
            let end = self.authority.certificate().not_after();
            let latest = run.holder.employed_until.and_then(end_of_day).map_or(end, |day| day.min(end));
            let expiration = chuid::expiration(self.clock.now(), run.plan.not_after, latest);
            let needed = chuid::expiration(run.plan.not_after, run.plan.not_after, run.plan.not_after);
            let is_signed = self.content_signer.has_signed_chuid(&contents)?;
            if Chuid::from_bytes(&contents)?.expiration < needed || !is_signed {
                let signed = chuid::signed(self.content_signer, run.guid, expiration)?;
                administration.write_object(DataObject::CHUID, &signed)?;
            }
            let hashes = security_object::over_card(self.content_signer, administration.transaction())?;
            administration.write_object(DataObject::SECURITY_OBJECT, &hashes)?;
        }
        if !security_object::fits_card(&mut card.transaction()?)? {
            return Err(PersonalizationError::ReadBackDiffers { what: "security object".to_owned() });
        }
        self.note(run, STEP, JournalPhase::Confirmed, None).await
    }
}
