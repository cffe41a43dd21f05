use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn serial_numbers_are_compared_as_numbers_and_shown_in_hex() {
    let serial = SerialNumber::from_bytes(&[0, 0x8F, 1]).unwrap();
    assert_eq!(serial.to_string(), "8f01");
    assert_eq!(SerialNumber::from_hex("008F:01"), Some(serial));
    assert_eq!(SerialNumber::from_bytes(&[0, 0]), None);
    assert_eq!(SerialNumber::from_bytes(&[1; 21]), None);
    assert_eq!(SerialNumber::from_hex("alice"), None);
}

#[test]
fn a_certificate_is_stored_before_it_is_signed() {
    let unsigned = Certificate::default();
    assert_eq!(unsigned.decide(CertificateCommand::RecordSignature, at(0)), Err(CertificateRefusal::Unknown));
}

#[test]
fn a_certificate_that_was_perhaps_signed_can_be_revoked() {
    let certificate =
        Certificate::replay([CertificateEvent::CertificateReserved { at: at(0), certificate: None }]);
    let revoke = CertificateCommand::Revoke { reason: RevocationReason::Superseded, invalid_since: None };
    assert!(certificate.decide(revoke, at(1)).is_ok());
}

#[test]
fn a_key_cannot_become_invalid_in_the_future() {
    let certificate =
        Certificate::replay([CertificateEvent::CertificateReserved { at: at(0), certificate: None }]);
    let invalid_since = Some(at(11));
    let revoke = CertificateCommand::Revoke { reason: RevocationReason::KeyCompromise, invalid_since };
    assert_eq!(
        certificate.decide(revoke, at(10)),
        Err(CertificateRefusal::InvalidSinceInTheFuture { invalid_since: at(11), now: at(10) })
    );
}

#[test]
fn an_invalidity_date_is_one_that_a_crl_can_say() {
    let certificate =
        Certificate::replay([CertificateEvent::CertificateReserved { at: at(0), certificate: None }]);
    let revoke = |since| CertificateCommand::Revoke {
        reason: RevocationReason::KeyCompromise,
        invalid_since: Some(at(since)),
    };
    let refused = certificate.decide(revoke(-1), at(10));
    assert_eq!(refused, Err(CertificateRefusal::InvalidSinceTooEarly { invalid_since: at(-1) }));
    assert!(certificate.decide(revoke(0), at(10)).is_ok());
}

#[test]
fn a_revocation_without_a_reason_gets_one_and_keeps_its_date() {
    let revoked = |reason, invalid_since| {
        Certificate::replay([
            CertificateEvent::CertificateReserved { at: at(0), certificate: None },
            CertificateEvent::CertificateRevoked { at: at(1), reason, invalid_since },
        ])
    };
    let command = |reason, invalid_since| CertificateCommand::Revoke { reason, invalid_since };
    let (open, compromise) = (RevocationReason::Unspecified, RevocationReason::KeyCompromise);
    let stands = |reason| Err(CertificateRefusal::AlreadyRevoked { since: at(1), reason });

    let first = revoked(open, Some(at(0)));
    assert_eq!(first.decide(command(open, None), at(5)), stands(open), "nothing new was said");
    let event = first.decide(command(compromise, None), at(5)).unwrap();
    let explained = first.apply(event);
    let expected = CertificateState::Revoked { since: at(1), reason: compromise, invalid_since: Some(at(0)) };
    assert_eq!(explained.state(), &expected);
    assert_eq!(explained.decide(command(RevocationReason::Superseded, None), at(6)), stands(compromise));

    // An older program let dates in that no CRL can say.
    let wrong = revoked(compromise, Some(at(-1)));
    let event = wrong.decide(command(compromise, None), at(5)).unwrap();
    let expected = CertificateState::Revoked { since: at(1), reason: compromise, invalid_since: None };
    assert_eq!(wrong.apply(event).state(), &expected);
}

fn any_command() -> impl Strategy<Value = CertificateCommand> {
    prop_oneof![
        Just(CertificateCommand::Reserve),
        Just(CertificateCommand::RecordSignature),
        Just(CertificateCommand::ConfirmDelivery),
        prop::option::of(0..80_i64).prop_map(|since| CertificateCommand::Revoke {
            reason: RevocationReason::KeyCompromise,
            invalid_since: since.map(at),
        }),
    ]
}

proptest! {
    /// A serial number is reserved once; delivered means it was signed; the first revocation stands for ever.
    #[test]
    fn random_commands_keep_the_invariants(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut certificate, mut reserved, mut signed) = (Certificate::default(), 0, 0);
        for (second, command) in commands.into_iter().enumerate() {
            let before = certificate.clone();
            if let Ok(event) = certificate.decide(command, at(i64::try_from(second).unwrap())) {
                reserved += usize::from(matches!(event, CertificateEvent::CertificateReserved { .. }));
                signed += usize::from(matches!(event, CertificateEvent::CertificateSigned { .. }));
                certificate = certificate.apply(event);
            }
            prop_assert!(reserved <= 1 && signed <= reserved);
            if matches!(certificate.state(), CertificateState::Delivered { .. }) {
                prop_assert_eq!(signed, 1);
            }
            if matches!(before.state(), CertificateState::Revoked { .. }) {
                prop_assert_eq!(&certificate, &before);
            }
        }
    }
}
