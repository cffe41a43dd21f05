//! A request for signed receipts (RFC 2634 sections 2.2, 2.3 and 2.7).
use super::attribute_plan::attribute;
use super::ess::{ContentIdentifier, Entity, EssError};
use super::object_identifiers::{ML_EXPANSION_HISTORY, RECEIPT_REQUEST};
use super::verify::{Signature, SignedMessage};
use crate::certificate::tlv::{Element, Elements, Malformed, element, tag};

/// `ub-receiptsTo INTEGER ::= 16`
const MOST_RECEIVERS: usize = 16;
/// The most people who are asked by name.
const MOST_ASKED: usize = 10_000;

/// What a sender asks of its recipients.
///
/// ```text
/// ReceiptRequest ::= SEQUENCE { signedContentIdentifier ContentIdentifier, receiptsFrom ReceiptsFrom,
///     receiptsTo SEQUENCE SIZE (1..ub-receiptsTo) OF GeneralNames }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// Identifies the message.
    pub signed_content_identifier: ContentIdentifier,
    /// Who shall answer.
    pub receipts_from: ReceiptsFrom,
    /// Whom the answers go to; at least one, the sender too if it wants them.
    pub receipts_to: Vec<Entity>,
}

/// Who shall answer.
///
/// ```text
/// ReceiptsFrom ::= CHOICE { allOrFirstTier [0] AllOrFirstTier, receiptList [1] SEQUENCE OF GeneralNames }
/// AllOrFirstTier ::= INTEGER { allReceipts (0), firstTierRecipients (1) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptsFrom {
    /// Every recipient.
    AllReceipts,
    /// Every recipient who did not get the message from a mailing list.
    FirstTierRecipients,
    /// These.
    ReceiptList(Vec<Entity>),
}

/// How a message came to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// From its sender.
    Direct,
    /// From a mailing list: an outer signature has the attribute mlExpansionHistory.
    MailingList,
}

impl Delivery {
    /// What the signatures around the innermost one tell; none of them need be there.
    pub fn told_by<'s>(outer: impl IntoIterator<Item = &'s SignedMessage>) -> Self {
        let expanded = outer
            .into_iter()
            .flat_map(|message| &message.signers)
            .filter_map(|signer| signer.outcome.as_ref().ok())
            .any(|signature| !matches!(signature.signed_attribute(ML_EXPANSION_HISTORY), Ok(None)));
        if expanded { Self::MailingList } else { Self::Direct }
    }
}

impl ReceiptsFrom {
    /// Whether somebody with these addresses shall answer (section 2.3, steps 2 and 3).
    pub fn asks(&self, addresses: &[String], delivery: Delivery) -> bool {
        match self {
            Self::AllReceipts => true,
            Self::FirstTierRecipients => delivery == Delivery::Direct,
            Self::ReceiptList(asked) => asked.iter().any(|entity| entity.is_one_of(addresses)),
        }
    }

    fn to_der(&self) -> der::Result<Vec<u8>> {
        Ok(match self {
            Self::AllReceipts => element(tag::context(0), &[&[0]]),
            Self::FirstTierRecipients => element(tag::context(0), &[&[1]]),
            Self::ReceiptList(asked) => element(tag::context_constructed(1), &[&entities(asked)?]),
        })
    }

    fn read(choice: &Element<'_>) -> Result<Self, Malformed> {
        const ALL_OR_FIRST_TIER: u8 = tag::context(0);
        const RECEIPT_LIST: u8 = tag::context_constructed(1);
        match (choice.tag, choice.contents) {
            (ALL_OR_FIRST_TIER, [0]) => Ok(Self::AllReceipts),
            (ALL_OR_FIRST_TIER, [1]) => Ok(Self::FirstTierRecipients),
            (ALL_OR_FIRST_TIER, _) => Err(Malformed::Integer),
            (RECEIPT_LIST, _) => read_entities(choice.elements(), MOST_ASKED).map(Self::ReceiptList),
            (other, _) => Err(Malformed::Unexpected(other, ALL_OR_FIRST_TIER)),
        }
    }
}

impl ReceiptRequest {
    /// The signed attribute receipt-request.
    ///
    /// # Errors
    /// It cannot be encoded, as without any receiver.
    pub fn to_attribute(&self) -> der::Result<Vec<u8>> {
        if self.receipts_to.is_empty() || self.receipts_to.len() > MOST_RECEIVERS {
            return Err(der::ErrorKind::Failed.into());
        }
        let parts: [&[u8]; 3] = [
            &self.signed_content_identifier.to_der(),
            &self.receipts_from.to_der()?,
            &element(tag::SEQUENCE, &[&entities(&self.receipts_to)?]),
        ];
        attribute(RECEIPT_REQUEST, &element(tag::SEQUENCE, &parts))
    }

    /// Reads a ReceiptRequest in DER.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_der(der: &[u8]) -> Result<Self, EssError> {
        Self::read(der).map_err(EssError::malformed("receipt request"))
    }

    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
        let signed_content_identifier = ContentIdentifier::read(&fields.expect(tag::OCTET_STRING)?)?;
        let receipts_from = ReceiptsFrom::read(&fields.next()?.ok_or(Malformed::Truncated)?)?;
        let receipts_to = read_entities(fields.expect(tag::SEQUENCE)?.elements(), MOST_RECEIVERS)?;
        fields.finish()?;
        if receipts_to.is_empty() {
            return Err(Malformed::Empty);
        }
        Ok(Self { signed_content_identifier, receipts_from, receipts_to })
    }

    /// What a verified message asks for: the first signature that asks, and its request. All that ask must ask the same
    /// (section 2.2.1). Only the innermost signature of a message is to be looked at (section 2.2).
    ///
    /// # Errors
    /// A request is malformed, or two of them differ.
    pub fn of(message: &SignedMessage) -> Result<Option<(&Signature, Self)>, EssError> {
        let mut found: Option<(&Signature, Vec<u8>)> = None;
        for signature in message.signers.iter().filter_map(|signer| signer.outcome.as_ref().ok()) {
            match (signature.signed_attribute(RECEIPT_REQUEST)?, &found) {
                (Some(request), None) => found = Some((signature, request)),
                (Some(request), Some((_, first))) if request != *first => {
                    return Err(EssError::Different("receipt request"));
                }
                _ => {}
            }
        }
        found.map(|(signature, request)| Ok((signature, Self::from_der(&request)?))).transpose()
    }
}

fn entities(entities: &[Entity]) -> der::Result<Vec<u8>> {
    let encoded = entities.iter().map(Entity::to_der).collect::<der::Result<Vec<_>>>()?;
    Ok(encoded.concat())
}

fn read_entities(mut elements: Elements<'_>, most: usize) -> Result<Vec<Entity>, Malformed> {
    let mut found = Vec::new();
    while let Some(names) = elements.next()? {
        if found.len() >= most {
            return Err(Malformed::TooMuch);
        }
        found.push(Entity::read(&names)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(receipts_from: ReceiptsFrom) -> ReceiptRequest {
        ReceiptRequest {
            signed_content_identifier: ContentIdentifier::from_octets(b"one of a kind".to_vec()).unwrap(),
            receipts_from,
            receipts_to: vec![Entity::of("alice@example.test")],
        }
    }

    /// The value in an attribute.
    fn value(attribute: &[u8]) -> Vec<u8> {
        let mut fields = Element::only(attribute, tag::SEQUENCE).unwrap().elements();
        fields.expect(tag::OBJECT_IDENTIFIER).unwrap();
        fields.expect(tag::SET).unwrap().contents.to_vec()
    }

    #[test]
    fn requests_are_read_as_they_were_written() {
        let list = vec![Entity::of("bob@example.test"), Entity::of("carol@example.test")];
        for from in
            [ReceiptsFrom::AllReceipts, ReceiptsFrom::FirstTierRecipients, ReceiptsFrom::ReceiptList(list)]
        {
            let request = request(from);
            let der = value(&request.to_attribute().unwrap());
            assert_eq!(ReceiptRequest::from_der(&der).unwrap(), request);
        }
        let nobody = ReceiptRequest { receipts_to: Vec::new(), ..request(ReceiptsFrom::AllReceipts) };
        assert!(nobody.to_attribute().is_err());
    }

    #[test]
    fn who_is_asked_is_said_by_the_request() {
        let (bob, dave) = (["Bob@example.test".to_owned()], ["dave@example.test".to_owned()]);
        let list = ReceiptsFrom::ReceiptList(vec![Entity::of("bob@example.test")]);
        for (from, delivery, addresses, expected) in [
            (&ReceiptsFrom::AllReceipts, Delivery::MailingList, &dave, true),
            (&ReceiptsFrom::FirstTierRecipients, Delivery::Direct, &dave, true),
            (&ReceiptsFrom::FirstTierRecipients, Delivery::MailingList, &dave, false),
            (&list, Delivery::MailingList, &bob, true),
            (&list, Delivery::Direct, &dave, false),
        ] {
            assert_eq!(from.asks(addresses, delivery), expected, "{from:?} {addresses:?}");
        }
        assert!(!ReceiptsFrom::ReceiptList(Vec::new()).asks(&bob, Delivery::Direct));
    }

    #[test]
    fn malformed_requests_are_refused() {
        let good = value(&request(ReceiptsFrom::AllReceipts).to_attribute().unwrap());
        assert!(ReceiptRequest::from_der(&good).is_ok());
        let identifier = b"\x04\x01x";
        let to = b"\x30\x05\x30\x03\x81\x01a";
        let with = |parts: &[&[u8]]| ReceiptRequest::from_der(&element(tag::SEQUENCE, parts));
        assert!(with(&[identifier, b"\x80\x01\x00", to]).is_ok());
        for parts in [
            &[&b"\x04\x00"[..], b"\x80\x01\x00", to][..],
            &[identifier, b"\x80\x01\x02", to],
            &[identifier, b"\x80\x02\x00\x00", to],
            &[identifier, b"\x80\x00", to],
            &[identifier, b"\xA2\x00", to],
            &[identifier, b"\xA1\x02\x30\x00", to],
            &[identifier, b"\x80\x01\x00", b"\x30\x00"],
            &[identifier, b"\x80\x01\x00"],
            &[identifier, b"\x80\x01\x00", to, to],
            &[identifier, b"\x80\x01\x00", &element(tag::SEQUENCE, &[&b"\x30\x03\x81\x01a".repeat(17)])],
        ] {
            assert_eq!(with(parts).unwrap_err().code(), "ess-attribute-malformed", "{parts:02X?}");
        }
        let crowd = element(tag::context_constructed(1), &[&b"\x30\x03\x81\x01a".repeat(MOST_ASKED + 1)]);
        assert!(with(&[identifier, &crowd, to]).is_err());
    }
}
