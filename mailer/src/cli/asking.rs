//! Messages that ask for receipts: what `send` and `document distribute` share.
use jiff::Timestamp;

use super::context::{Context, new_identifier};
use super::input::content_of;
use super::report::Failure;
use super::signing::Desk;
use crate::content::Content;
use crate::ledger::{Case, DocumentFacts, Ledger, Record};
use crate::message::address::Address;
use crate::message::build::{Composed, Unique};
use crate::message::mime::MimeError;
use crate::message::outer::{assemble, separate};
use crate::message::part::Part;
use crate::message::secured::{Protection, protection};
use crate::protection::protect;
use crate::smime::{
    self, ContentIdentifier, Entity, Enveloping, ReceiptRequest, ReceiptsFrom, SentRecord,
    SignedAttributesPlan,
};

/// What is sent to everybody: the header outside, and the signed entity.
pub(super) struct Letter {
    pub(super) fields: Vec<u8>,
    pub(super) entity: Content,
}

/// A message that asks for receipts, before it is signed.
pub(super) struct Asking<'a> {
    pub(super) context: &'a Context,
    pub(super) ledger: &'a Ledger,
    /// What is signed beside the request.
    pub(super) plan: SignedAttributesPlan,
    pub(super) subject: &'a str,
    /// The document that a receipt shall be bound to.
    pub(super) document: Option<DocumentFacts>,
    pub(super) receipts_from: ReceiptsFrom,
    /// Who is asked.
    pub(super) recipients: &'a [Address],
    pub(super) receipts_until: Option<Timestamp>,
}

impl Asking<'_> {
    /// Signs the message with the request, and writes the case down before anything leaves.
    pub(super) fn open_case(
        self,
        desk: &mut Desk<'_>,
        composed: Composed,
        unique: &mut Unique,
    ) -> Result<(Case, Letter), Failure> {
        let Self { context, .. } = self;
        let author = context.author()?.address;
        let oneself = desk.oneself()?;
        let request = self.request(&author)?;
        let attribute =
            request.to_attribute().map_err(|error| Failure::new("not-encodable", error.to_string()))?;
        let plan = self.plan.clone().with(attribute);
        let plain = Content::from_vec(composed.entity);
        let (signed, made) = desk.sign_planned(&plain, &author, &plan, &unique.boundary())?;
        let letter = Letter { fields: composed.fields, entity: content_of(signed)? };
        let addresses = self.recipients.iter().map(ToString::to_string).collect();
        let sent = SentRecord::of(&made, &request, addresses, context.now);
        let id = format!("{}-{}", context.now.strftime("%Y%m%dT%H%M%SZ"), unique.short());
        let about = (author.to_string(), self.subject.to_owned());
        let own = protect::encrypt(&letter.entity, &[oneself], Enveloping::Authenticated)?;
        let own = in_memory(&letter.fields, &content_of(own)?)?;
        let record = Record::new(id, about, self.document, &sent, self.receipts_until);
        Ok((self.ledger.create(record, &own)?, letter))
    }

    /// Receipts come to the author; where there is a document, it is named, so that a receipt is bound to it.
    fn request(&self, author: &Address) -> Result<ReceiptRequest, Failure> {
        let (who, at, random) = (author.to_string(), self.context.now, new_identifier()?);
        let identifier = match &self.document {
            Some(facts) => facts.content_identifier(&who, at, random),
            None => Some(ContentIdentifier::new(&who, at, random)),
        };
        let identifier = identifier
            .ok_or_else(|| Failure::new("not-encodable", "the request for receipts cannot be made"))?;
        Ok(ReceiptRequest {
            signed_content_identifier: identifier,
            receipts_from: self.receipts_from.clone(),
            receipts_to: vec![Entity::of(&who)],
        })
    }
}

/// The letter of a case, opened with the card.
pub(super) fn letter_of(case: &Case, desk: &mut Desk<'_>) -> Result<Letter, Failure> {
    let message = Content::from_vec(case.message()?);
    let part = Part::read(&message)?;
    let outer = separate(&part, &["MIME-Version"]);
    let damaged =
        || Failure::new("ledger-damaged", "the message that the ledger keeps is not what was written");
    let Protection::Object { cms, .. } = protection(&Part::read(&outer.entity())?)? else {
        return Err(damaged());
    };
    let opened = smime::decrypt(&cms, desk.keys())
        .map_err(|error| Failure::new(error.code(), format!("the message that the ledger keeps: {error}")))?;
    Ok(Letter { fields: outer.fields, entity: opened.content })
}

/// What was composed came from memory; it fits there again.
pub(super) fn in_memory(fields: &[u8], entity: &Content) -> Result<Vec<u8>, Failure> {
    let entity = entity.to_vec(usize::MAX).map_err(MimeError::from)?;
    Ok(assemble(fields, &entity.unwrap_or_default()))
}
