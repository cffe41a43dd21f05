//! How old a signature is, proven by time stamps of `openssl ts`, and what that means for revoked and expired signers.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail this way"
)]
mod openssl_pki;

use jiff::{SignedDuration, Timestamp};
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::smime::{SignedMessage, verify};
use mailer::trust::verdict::RevocationAnswer;
use mailer::trust::{
    Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation, Verdict,
};
use openssl_pki::{Identity, Key, Pki, openssl, signing};

const TSA: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// What openssl writes into certificates, CRLs and its database.
fn asn1(moment: Timestamp) -> String {
    moment.strftime("%Y%m%d%H%M%SZ").to_string()
}

/// Stamps are made by the computer's clock; all is judged this much later.
fn later(days: i64) -> Timestamp {
    SystemClock.now() + SignedDuration::from_hours(24 * days)
}

struct World {
    pki: Pki,
    authority: Identity,
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        let authority = pki.root.issue("Stamper", Key::P256, TSA);
        Self { pki, authority }
    }

    fn signed_by(&self, signer: &Identity) -> SignedMessage {
        self.pki.write("content", b"Content-Type: text/plain\r\n\r\nHello.\r\n");
        let (certificate, key) = (signer.pem(), signer.key());
        let arguments = [
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-in",
            "content",
            "-outform",
            "DER",
            "-out",
            "signed.der",
        ];
        let signer = ["-signer", &certificate, "-inkey", &key, "-certfile", "People.pem"];
        openssl(self.pki.path(), &[&arguments[..], &signer[..]].concat());
        verify(&Content::from_vec(self.pki.read("signed.der")), None, &[]).unwrap()
    }

    /// A token over a signature value.
    fn stamp(&self, authority: &Identity, value: &[u8]) -> Vec<u8> {
        let (certificate, key) = (authority.pem(), authority.key());
        let config = format!(
            "[tsa]\ndefault_tsa=this\n[this]\nserial=stamps\ncrypto_device=builtin\nsigner_cert={certificate}\nsigner_key={key}\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha512\naccuracy=secs:1\ness_cert_id_chain=no\n\
             ess_cert_id_alg=sha256\n"
        );
        self.pki.write("tsa.cnf", config.as_bytes());
        self.pki.write("value", value);
        let folder = self.pki.path();
        openssl(folder, &["ts", "-query", "-data", "value", "-sha256", "-cert", "-out", "query.tsq"]);
        openssl(
            folder,
            &[
                "ts",
                "-reply",
                "-config",
                "tsa.cnf",
                "-queryfile",
                "query.tsq",
                "-token_out",
                "-out",
                "token.der",
            ],
        );
        self.pki.read("token.der")
    }

    fn stamped(&self, mut message: SignedMessage) -> SignedMessage {
        let signature = message.signers[0].outcome.as_mut().unwrap();
        signature.time_stamp_tokens = vec![self.stamp(&self.authority, &signature.value)];
        message
    }

    /// Writes a day of revocation into the database of openssl, which knows only today.
    fn revoke(&self, name: &str, at: Timestamp, options: &[&str]) {
        self.pki.people.revoke(name, options);
        let database = self.pki.path().join("People/index.txt");
        let text = std::fs::read_to_string(&database).unwrap();
        let lines = text.lines().map(|line| {
            let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            if fields[0] == "R" {
                let rest = fields[2].split_once(',').map(|(_, rest)| format!(",{rest}")).unwrap_or_default();
                fields[2] = format!("{}{rest}", &asn1(at)[2..]);
            }
            fields.join("\t") + "\n"
        });
        std::fs::write(&database, lines.collect::<String>()).unwrap();
    }

    fn judge(&self, message: &SignedMessage, days: i64) -> Verdict {
        self.judge_with(message, days, "", &[])
    }

    /// With extensions of the CRLs, and anchors beside the root.
    fn judge_with(&self, message: &SignedMessage, days: i64, lists: &str, more: &[Anchor]) -> Verdict {
        let at = later(days);
        let dates = (asn1(at - SignedDuration::from_hours(5)), asn1(at + SignedDuration::from_hours(24)));
        let crl = |authority: &openssl_pki::Authority| authority.crl_with(lists, (&dates.0, &dates.1));
        let mut source = Lists(vec![crl(&self.pki.root), crl(&self.pki.people)]);
        let own =
            Anchor { certificate: self.pki.root.certificate(), domains: vec!["example.test".to_owned()] };
        let anchors = Anchors([&[own], more].concat());
        for file in more.iter().map(|anchor| anchor.certificate.subject()) {
            source.0.push(CertificateList::from_der(&self.pki.read(&format!("{file}.crl"))).unwrap());
        }
        let unknown_revocation = UnknownRevocation::Reject;
        let mut judge = Judge { anchors: &anchors, source: &mut source, at, unknown_revocation };
        judge.signed_message(message, &["alice@example.test".to_owned()])
    }
}

struct Lists(Vec<CertificateList>);

impl Source for Lists {
    fn issuers_at_hand(&mut self, _: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }
    fn issuers(&mut self, _: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }
    fn revocation_lists(&mut self, _: &[u8]) -> Vec<CertificateList> {
        self.0.clone()
    }
}

#[test]
fn a_stamp_is_told_and_claims_prove_nothing() {
    let world = World::new();
    let alice = world.pki.signer("alice", Key::P256);
    let plain = world.judge(&world.signed_by(&alice), 1);
    assert!(plain.is_trusted() && plain.proven_time().is_none(), "{plain}");
    let verdict = world.judge(&world.stamped(world.signed_by(&alice)), 1);
    assert!(verdict.is_trusted(), "{verdict}");
    assert!(verdict.proven_time().unwrap() <= later(0) + SignedDuration::from_secs(2));
    assert!(verdict.to_string().contains("by the signer's clock, before 20"), "{verdict}");
    assert!(verdict.to_string().contains("by a trusted time stamp; certificate valid"), "{verdict}");
    assert!(verdict.to_string().contains("(5 hours old)"), "{verdict}");
}

#[test]
fn a_signature_older_than_the_revocation_stays_good_only_with_a_stamp() {
    let world = World::new();
    let alice = world.pki.signer("alice", Key::P256);
    let plain = world.signed_by(&alice);
    let stamped = world.stamped(world.signed_by(&alice));
    world.revoke("alice", later(100), &["-crl_reason", "superseded"]);
    let verdict = world.judge(&plain, 200);
    assert_eq!(verdict.code(), "revoked", "{verdict}");
    let verdict = world.judge(&stamped, 200);
    assert!(verdict.is_trusted(), "{verdict}");
    assert_eq!(verdict.revocation(), RevocationAnswer::Revoked);
    assert!(verdict.to_string().contains("revoked, but only for what is signed from"), "{verdict}");
}

#[test]
fn a_signature_after_the_key_was_in_other_hands_is_refused_stamp_or_not() {
    let world = World::new();
    let alice = world.pki.signer("alice", Key::P256);
    let stamped = world.stamped(world.signed_by(&alice));
    let yesterday = asn1(later(-1));
    world.revoke("alice", later(100), &["-crl_compromise", &yesterday]);
    assert_eq!(world.judge(&stamped, 200).code(), "revoked");
}

#[test]
fn an_expired_signer_stays_good_with_a_stamp_from_before() {
    let world = World::new();
    let dates = ("20260101000000Z", asn1(later(50)));
    let alice =
        world.pki.people.issue_with("alice", Key::P256, &signing("alice@example.test"), (dates.0, &dates.1));
    assert_eq!(world.judge(&world.signed_by(&alice), 60).code(), "expired");
    // The list is younger than the end of the certificate: an entry may be gone (RFC 5280 section 3.3), unless the CA says
    // since when it keeps them.
    let stamped = world.stamped(world.signed_by(&alice));
    let verdict = world.judge(&stamped, 60);
    assert_eq!(verdict.code(), "revocation-unknown", "{verdict}");
    assert!(verdict.to_string().contains("need not name certificates that expired before it"), "{verdict}");
    let kept_since = |moment: Timestamp| format!("2.5.29.60=ASN1:GENERALIZEDTIME:{}", asn1(moment));
    assert_eq!(world.judge_with(&stamped, 60, &kept_since(later(51)), &[]).code(), "revocation-unknown");
    let verdict = world.judge_with(&stamped, 60, &kept_since(later(49)), &[]);
    assert!(verdict.is_trusted(), "{verdict}");
    assert!(verdict.to_string().contains("certificate valid until"), "{verdict}");
    let expired = (dates.0, asn1(later(-1)));
    let bob = world.pki.people.issue_with(
        "bob",
        Key::P256,
        &signing("alice@example.test"),
        (expired.0, &expired.1),
    );
    assert_eq!(world.judge(&world.stamped(world.signed_by(&bob)), 60).code(), "expired");
}

#[test]
fn the_authority_of_another_organisation_proves_nothing() {
    let world = World::new();
    let alice = world.pki.signer("alice", Key::P256);
    let other = openssl_pki::Authority::root(world.pki.path(), "Other", openssl_pki::CA);
    let authority = other.issue("OtherStamper", Key::P256, TSA);
    let mut message = world.signed_by(&alice);
    let signature = message.signers[0].outcome.as_mut().unwrap();
    signature.time_stamp_tokens = vec![world.stamp(&authority, &signature.value)];
    let dates = (asn1(later(0)), asn1(later(5)));
    std::fs::write(world.pki.path().join("Other.crl"), other.crl_with("", (&dates.0, &dates.1)).der())
        .unwrap();
    let anchor = |domain: Option<&str>| Anchor {
        certificate: other.certificate(),
        domains: domain.map(str::to_owned).into_iter().collect(),
    };
    let verdict = world.judge_with(&message, 1, "", &[anchor(Some("elsewhere.test"))]);
    assert!(verdict.is_trusted() && verdict.proven_time().is_none(), "{verdict}");
    assert!(
        verdict.to_string().contains("is not trusted for addresses like alice@example.test"),
        "{verdict}"
    );
    // An anchor that is configured for no mail domain is there for this.
    let verdict = world.judge_with(&message, 1, "", &[anchor(None)]);
    assert!(verdict.proven_time().is_some(), "{verdict}");
}

#[test]
fn a_stamp_that_is_not_right_proves_nothing() {
    let world = World::new();
    let alice = world.pki.signer("alice", Key::P256);
    let bare = || world.signed_by(&alice);
    let elsewhere = World::new();
    // openssl stamps only with certificates that are for nothing else, but signs such content with any.
    let with_usage = |name: &str, usage: &str, value: &[u8]| {
        let base =
            "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
        let maker = world.pki.root.issue(name, Key::P256, &format!("{base}\n{usage}"));
        let token = world.stamp(&world.authority, value);
        world.pki.write("token.der", &token);
        let folder = world.pki.path();
        openssl(
            folder,
            &["cms", "-verify", "-noverify", "-in", "token.der", "-inform", "DER", "-binary", "-out", "info"],
        );
        let content = [
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-econtent_type",
            "1.2.840.113549.1.9.16.1.4",
            "-in",
            "info",
        ];
        let (certificate, key) = (maker.pem(), maker.key());
        let signer =
            ["-signer", &certificate, "-inkey", &key, "-cades", "-outform", "DER", "-out", "made.der"];
        openssl(folder, &[&content[..], &signer[..]].concat());
        world.pki.read("made.der")
    };
    let check = |mut message: SignedMessage, token: Vec<u8>, problem: &str| {
        message.signers[0].outcome.as_mut().unwrap().time_stamp_tokens = vec![token];
        let verdict = world.judge(&message, 1);
        assert!(verdict.proven_time().is_none(), "{problem}: {verdict}");
        assert!(verdict.is_trusted() && verdict.to_string().contains(problem), "{problem}: {verdict}");
    };
    let message = bare();
    let value = message.signers[0].outcome.as_ref().unwrap().value.clone();
    let good = world.stamp(&world.authority, &value);
    let at = good
        .windows(8)
        .rposition(|window| window == [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02])
        .unwrap();
    let mut tampered = good.clone();
    tampered[at + 20] ^= 1;
    check(message, tampered, "the signature of the time stamp is wrong");
    check(bare(), world.stamp(&world.authority, b"another"), "belongs to another signature");
    check(bare(), b"no token".to_vec(), "the time stamp is malformed");
    let stranger = bare();
    let value = stranger.signers[0].outcome.as_ref().unwrap().value.clone();
    check(stranger, elsewhere.stamp(&elsewhere.authority, &value), "is not believed");
    let usages = [
        ("extendedKeyUsage=critical,timeStamping", None),
        ("extendedKeyUsage=timeStamping", Some("is not for making time stamps")),
        ("extendedKeyUsage=critical,timeStamping,emailProtection", Some("is not for making time stamps")),
        ("extendedKeyUsage=critical,emailProtection", Some("is not for making time stamps")),
    ];
    for (number, (usage, problem)) in usages.into_iter().enumerate() {
        let mut message = bare();
        let value = message.signers[0].outcome.as_ref().unwrap().value.clone();
        let token = with_usage(&format!("maker{number}"), usage, &value);
        match problem {
            Some(problem) => check(message, token, problem),
            None => {
                message.signers[0].outcome.as_mut().unwrap().time_stamp_tokens = vec![token];
                let verdict = world.judge(&message, 1);
                assert!(verdict.proven_time().is_some(), "{verdict}");
            }
        }
    }
}
