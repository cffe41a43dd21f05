use super::super::confidentiality::ConfidentialityLevel;
use super::*;

const SIGNED_AND_ENCRYPTED: Around = Around { was_encrypted: true, was_signed: true };
const ENCRYPTED: Around = Around { was_encrypted: true, was_signed: false };
const SIGNED: Around = Around { was_encrypted: false, was_signed: true };

const MESSAGE: &str = "Date: Sat, 21 Nov 2026 22:15:00 +0000\r\nFrom: Alice <alice@x.test>\r\nTo: Bob <bob@x.test>\r\n\
    Message-ID: <1@x.test>\r\nSubject: Handling the\r\n Jones contract\r\nKeywords: contract\r\n";
const CONTENT: &str = "Content-Type: text/plain; charset=\"us-ascii\"\r\nContent-Transfer-Encoding: 7bit\r\n";

fn protected(protecting: Protecting, level: ConfidentialityLevel) -> (String, String) {
    let header = protect(MESSAGE.as_bytes(), CONTENT.as_bytes(), protecting, &level.into()).unwrap();
    (String::from_utf8(header.outer).unwrap(), String::from_utf8(header.payload_header).unwrap())
}

fn seen(outer: &str, payload: &str, around: Around) -> Revealed {
    reveal(outer.as_bytes(), Payload::Header(payload.as_bytes()), around)
}

fn codes(revealed: &Revealed) -> Vec<&'static str> {
    revealed.disagreements.iter().map(Disagreement::code).collect()
}

#[test]
fn a_signed_message_carries_its_header_twice() {
    let (outer, payload) = protected(Protecting::SignedOnly, ConfidentialityLevel::Shy);
    assert_eq!(outer, MESSAGE);
    assert_eq!(
        payload,
        format!(
            "{MESSAGE}Content-Type: text/plain; charset=\"us-ascii\";\r\n hp=\"clear\"\r\nContent-Transfer-Encoding: 7bit\r\n"
        )
    );
    let revealed = seen(&outer, &payload, SIGNED);
    assert_eq!((revealed.scheme, revealed.header()), (Scheme::Clear, MESSAGE.as_bytes().to_vec()));
    assert!(revealed.fields.iter().all(|field| field.protection == FieldProtection::SignedOnly));
    assert_eq!(revealed.disagreements, []);
}

#[test]
fn an_encrypted_message_hides_its_subject_and_records_what_it_left_outside() {
    let (outer, payload) = protected(Protecting::Encrypted, ConfidentialityLevel::Baseline);
    assert!(outer.contains("Subject: [...]\r\n") && !outer.contains("ontract"), "{outer}");
    assert_eq!(
        payload,
        format!(
            "{MESSAGE}HP-Outer: Date: Sat, 21 Nov 2026 22:15:00 +0000\r\nHP-Outer: From: Alice <alice@x.test>\r\n\
             HP-Outer: To: Bob <bob@x.test>\r\nHP-Outer: Message-ID: <1@x.test>\r\nHP-Outer: Subject: [...]\r\n\
             Content-Type: text/plain; charset=\"us-ascii\";\r\n hp=\"cipher\"\r\nContent-Transfer-Encoding: 7bit\r\n"
        )
    );
    for (around, hidden, visible) in [
        (SIGNED_AND_ENCRYPTED, FieldProtection::SignedAndEncrypted, FieldProtection::SignedOnly),
        (ENCRYPTED, FieldProtection::EncryptedOnly, FieldProtection::Unprotected),
    ] {
        let revealed = seen(&outer, &payload, around);
        assert_eq!((revealed.scheme, revealed.header()), (Scheme::Cipher, MESSAGE.as_bytes().to_vec()));
        assert_eq!(revealed.protection_of("subject"), Some(hidden));
        assert_eq!(revealed.protection_of("Keywords"), Some(hidden));
        assert_eq!(revealed.protection_of("From"), Some(visible));
        assert_eq!(revealed.disagreements, []);
    }
}

#[test]
fn what_travel_does_to_the_outside_changes_nothing_inside() {
    let (outer, payload) = protected(Protecting::Encrypted, ConfidentialityLevel::Baseline);
    let travelled = format!(
        "Received: by mail.test\r\n{}List-Id: <l.x.test>\r\nReply-To: list@x.test\r\nHP-Outer: Subject: x\r\n",
        outer.replace("To: Bob <bob@x.test>", "To: \"Bob\" <bob@x.test>").replace("Alice <", "Alice\r\n <")
    );
    let revealed = seen(&travelled, &payload, SIGNED_AND_ENCRYPTED);
    let header = String::from_utf8(revealed.header()).unwrap();
    assert_eq!(header, format!("Received: by mail.test\r\nList-Id: <l.x.test>\r\n{MESSAGE}"));
    assert_eq!(revealed.protection_of("List-Id"), Some(FieldProtection::Unprotected));
    assert_eq!(
        revealed.disagreements,
        [Disagreement::ChangedOutside("To".into()), Disagreement::OnlyOutside("Reply-To".into())]
    );
}

#[test]
fn fields_inside_count_for_nothing_unless_the_author_says_so() {
    for parameter in ["", "; hp=\"Clear\"", "; hp=yes", "; protected-headers=v2"] {
        let payload =
            format!("From: boss@x.test\r\nSubject: forged\r\nContent-Type: text/plain{parameter}\r\n");
        let revealed = seen(MESSAGE, &payload, SIGNED_AND_ENCRYPTED);
        assert_eq!((revealed.scheme, revealed.header()), (Scheme::None, MESSAGE.as_bytes().to_vec()));
        assert_eq!(revealed.protection_of("Subject"), Some(FieldProtection::Unprotected));
    }
    let twice = "Subject: forged\r\nContent-Type: text/plain; hp=\"clear\"\r\nContent-Type: text/plain\r\n";
    assert_eq!(seen(MESSAGE, twice, SIGNED).scheme, Scheme::None);
}

#[test]
fn the_author_inside_counts_only_under_a_trusted_signature() {
    let payload = "From: Boss <boss@x.test>\r\nSubject: pay\r\nContent-Type: text/plain; hp=\"clear\"\r\n";
    let outer = "From: Eve <eve@y.test>\r\nSubject: pay\r\n";
    let trusted = seen(outer, payload, SIGNED);
    assert_eq!(trusted.header(), b"From: Boss <boss@x.test>\r\nSubject: pay\r\n");
    let doubtful = seen(outer, payload, Around::default());
    assert_eq!(doubtful.header(), b"From: Eve <eve@y.test>\r\nSubject: pay\r\n");
    for (revealed, inside_is_shown) in [(trusted, true), (doubtful, false)] {
        let [Disagreement::From { inside_is_shown: told, .. }] = revealed.disagreements[..] else {
            panic!("{revealed:?}");
        };
        assert_eq!(told, inside_is_shown);
        assert!(revealed.disagreements[0].is_alarming());
    }
}

#[test]
fn the_same_author_written_otherwise_is_the_same() {
    let payload = "From: Alice <alice@b\u{fc}cher.example>\r\nContent-Type: text/plain; hp=\"clear\"\r\n";
    for same in ["alice@xn--bcher-kva.example", "\"A\" <ALICE@B\u{fc}cher.Example> (x)"] {
        assert_eq!(
            codes(&seen(&format!("From: {same}\r\n"), payload, Around::default()))
                .iter()
                .filter(|code| **code == "from-differs")
                .count(),
            0,
            "{same}"
        );
    }
    for other in ["alice@bucher.example", "Alice:;", "alice@b\u{fc}cher.example\r\nFrom: eve@y.test", "\0"] {
        assert!(
            codes(&seen(&format!("From: {other}\r\n"), payload, Around::default())).contains(&"from-differs"),
            "{other}"
        );
    }
}

#[test]
fn an_author_who_stands_outside_only_is_not_lost() {
    let revealed = seen(
        "From: a@x.test\r\nTo: b@x.test\r\n",
        "Subject: s\r\nContent-Type: text/plain; hp=\"clear\"\r\n",
        SIGNED,
    );
    assert_eq!(revealed.header(), b"From: a@x.test\r\nSubject: s\r\n");
    assert_eq!(revealed.protection_of("From"), Some(FieldProtection::Unprotected));
    assert_eq!(revealed.disagreements, [Disagreement::OnlyOutside("To".into())]);
}

#[test]
fn a_hidden_field_that_everybody_could_read_is_not_called_hidden() {
    let payload = "From: a@x.test\r\nSubject: s\r\nHP-Outer: From: a@x.test\r\nHP-Outer: Subject: [...]\r\n\
        Content-Type: text/plain; hp=\"cipher\"\r\n";
    let revealed = seen("From: a@x.test\r\nSubject: s\r\n", payload, SIGNED_AND_ENCRYPTED);
    assert_eq!(revealed.protection_of("Subject"), Some(FieldProtection::SignedOnly));
    assert_eq!(revealed.disagreements, [Disagreement::NotHidden("Subject".into())]);
    // Without a record all of it was meant to be hidden; the outside decides.
    let silent = payload.replace("HP-Outer: From: a@x.test\r\nHP-Outer: Subject: [...]\r\n", "");
    let revealed = seen("From: a@x.test\r\nSubject: [...]\r\n", &silent, SIGNED_AND_ENCRYPTED);
    assert_eq!(revealed.protection_of("Subject"), Some(FieldProtection::SignedAndEncrypted));
    assert_eq!(revealed.protection_of("From"), Some(FieldProtection::SignedOnly));
}

#[test]
fn nothing_is_called_encrypted_that_was_not() {
    let (outer, payload) = protected(Protecting::Encrypted, ConfidentialityLevel::Baseline);
    let passed_on = seen(&outer, &payload, SIGNED);
    assert_eq!(passed_on.protection_of("Subject"), Some(FieldProtection::SignedOnly));
    assert_eq!(codes(&passed_on), ["cipher-in-the-clear"]);
    let (outer, payload) = protected(Protecting::SignedOnly, ConfidentialityLevel::Baseline);
    let enveloped =
        seen(&outer.replace("Handling the\r\n Jones contract", "..."), &payload, SIGNED_AND_ENCRYPTED);
    assert_eq!(enveloped.protection_of("Subject"), Some(FieldProtection::SignedOnly));
    assert_eq!(codes(&enveloped), ["clear-in-cipher", "changed-outside"]);
}

#[test]
fn fields_that_stand_inside_twice_are_all_shown_and_told() {
    let payload = "From: a@x.test\r\nFrom: b@x.test\r\nReceived: x\r\nReceived: y\r\nContent-Type: text/plain; hp=\"clear\"\r\n";
    let revealed = seen("From: a@x.test\r\n", payload, SIGNED);
    assert_eq!(revealed.header(), b"From: a@x.test\r\nFrom: b@x.test\r\nReceived: x\r\nReceived: y\r\n");
    assert_eq!(codes(&revealed), ["repeated-inside"]);
}

#[test]
fn older_schemes_are_read() {
    let wrapped = "From: a@x.test\r\nSubject: real\r\nContent-Type: text/plain\r\n";
    let outer = "From: a@x.test\r\nSubject: ...\r\n";
    let revealed =
        reveal(outer.as_bytes(), Payload::WrappedMessage(wrapped.as_bytes()), SIGNED_AND_ENCRYPTED);
    assert_eq!(revealed.header(), b"From: a@x.test\r\nSubject: real\r\n");
    assert_eq!(revealed.protection_of("Subject"), Some(FieldProtection::SignedAndEncrypted));
    let older = "Subject: real\r\nContent-Type: multipart/mixed; boundary=b; protected-headers=\"v1\"\r\n";
    let revealed = seen(outer, older, ENCRYPTED);
    assert_eq!(revealed.header(), b"From: a@x.test\r\nSubject: real\r\n");
    assert_eq!(revealed.protection_of("Subject"), Some(FieldProtection::EncryptedOnly));
}

#[test]
fn a_forwarded_message_is_not_taken_for_the_message_itself() {
    let is_wrapped = |content_type: &str, inner_from: &str| {
        let header = format!("Content-Type: {content_type}\r\n");
        let (fields, _) = Fields::split(header.as_bytes());
        let media_type = MediaType::parse(fields.first("Content-Type").unwrap()).unwrap();
        is_wrapped_message(b"From: a@x.test\r\n", &media_type, format!("From: {inner_from}\r\n").as_bytes())
    };
    assert!(is_wrapped("message/rfc822; forwarded=no", "b@x.test"));
    assert!(is_wrapped("message/rfc822", "A <a@X.test>"));
    assert!(!is_wrapped("message/rfc822", "b@x.test"));
    assert!(!is_wrapped("message/rfc822; forwarded=yes", "a@x.test"));
    assert!(!is_wrapped("text/plain; forwarded=no", "a@x.test"));
}

#[test]
fn a_long_field_is_recorded_on_lines_that_mail_carries() {
    let long = format!("References: <{}@x.test>\r\n", "a".repeat(970));
    let header =
        protect(long.as_bytes(), b"", Protecting::Encrypted, &ConfidentialityPolicy::default()).unwrap();
    let text = String::from_utf8(header.payload_header).unwrap();
    assert!(text.lines().all(|line| line.len() <= 998), "{text}");
    let revealed = seen(&long, &text, SIGNED_AND_ENCRYPTED);
    assert_eq!(revealed.protection_of("References"), Some(FieldProtection::SignedOnly));
    assert_eq!(revealed.disagreements, []);
}

proptest::proptest! {
    #[test]
    fn any_header_comes_back_as_it_was(
        lines in proptest::collection::vec(("[A-Z][a-z]{0,8}(-[A-Z][a-z]{1,5})?", "[ -~]{0,60}"), 0..12),
        is_encrypted: bool,
        level in 0_usize..3,
    ) {
        let header: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let level = [ConfidentialityLevel::NoConfidentiality, ConfidentialityLevel::Baseline, ConfidentialityLevel::Shy][level];
        let protecting = if is_encrypted { Protecting::Encrypted } else { Protecting::SignedOnly };
        let protected = protect(header.as_bytes(), CONTENT.as_bytes(), protecting, &level.into()).unwrap();
        let around = Around { was_encrypted: is_encrypted, was_signed: true };
        let revealed = reveal(&protected.outer, Payload::Header(&protected.payload_header), around);
        let wanted: Vec<u8> = Fields::split(header.as_bytes()).0.iter()
            .filter(|field| is_protectable(field)).flat_map(|field| field.raw().to_vec()).collect();
        assert_eq!(revealed.header(), wanted);
        assert!(revealed.disagreements.iter().all(|told| matches!(told, Disagreement::Repeated(_))), "{revealed:?}");
    }

    #[test]
    fn nothing_panics(outer: Vec<u8>, payload: Vec<u8>, text: String) {
        let header = format!("HP-Outer: {text}\r\nFrom: {text}\r\nContent-Type: text/plain; hp=\"cipher\"\r\n");
        for payload in [&payload[..], header.as_bytes()] {
            let _ = reveal(&outer, Payload::Header(payload), ENCRYPTED);
            let _ = protect(payload, &outer, Protecting::Encrypted, &ConfidentialityLevel::Shy.into());
        }
    }
}
