//! Bad input, one row each: the exit code, the code in JSON, and nothing on stdout.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail this way"
)]
mod accounts;
mod forgery;
mod hostile;
mod openssl_pki;

use accounts::Office;
use forgery::{
    Hand, MESSAGE_DIGEST, Shape, SignedData, attribute, message, multipart_signed, octets, pkcs7_mime, sha256,
};
use mailer::trust::Certificate;
use openssl_pki::{Authority, CA, Identity, Key, openssl, signing};

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n\r\nPay 100 to Carol.\r\n";
const FROM: &str = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: memo\r\n";
/// A validity that has ended, and one that holds whenever the tests may run.
const PAST: (&str, &str) = ("20240101000000Z", "20250101000000Z");
const LONG: (&str, &str) = ("20240101000000Z", "20480101000000Z");

/// What it is, the message, the exit code, the code in JSON.
struct Row(&'static str, String, i32, &'static str);

fn signed(signer: &Hand, along: &[&Certificate], entity: &str) -> String {
    let der = SignedData::new(None, along, &[signer.signer_info(entity.as_bytes())]).der();
    multipart_signed(entity, &der)
}

fn sealed(office: &Office, cipher: &str, entity: &str, reader: &str) -> String {
    office.pki.write("clear", entity.as_bytes());
    let arguments = [
        "cms",
        "-encrypt",
        "-binary",
        cipher,
        "-in",
        "clear",
        "-outform",
        "DER",
        "-out",
        "sealed.der",
        reader,
    ];
    openssl(office.pki.path(), &arguments);
    pkcs7_mime(&office.pki.read("sealed.der"))
}

fn mixed(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--mb\r\n{part}\r\n")).collect();
    format!("Content-Type: multipart/mixed; boundary=mb\r\n\r\n{parts}--mb--\r\n")
}

/// Opens each; all that came out wrong is named together.
fn check(office: &Office, rows: &[Row]) {
    let mut wrong = Vec::new();
    for Row(name, entity, exit, code) in rows {
        let text = message(FROM, entity);
        for command in [&["open", "--json"][..], &["verify", "--json"]] {
            let said = office.run("bob", command, text.as_bytes());
            let told = match command[0] {
                "verify" => serde_json::from_slice(&said.stdout).unwrap_or_else(|_| said.json()),
                _ => said.json(),
            };
            let found = told["verdict"]["code"].as_str().or(told["error"]["code"].as_str()).unwrap_or("none");
            let quiet = command[0] == "verify" || *exit == 0 || said.stdout.is_empty();
            // `verify` has nothing to show, so what is good but not signed is "not trusted" there.
            let expected = if command[0] == "verify" && *code == "unsigned" { 4 } else { *exit };
            if (said.code, found) != (expected, *code) || !quiet {
                wrong.push(format!(
                    "{name} ({}): exit {} {found}, wanted {expected} {code}; {} octets out; {}",
                    command[0],
                    said.code,
                    said.stdout.len(),
                    said.stderr.lines().last().unwrap_or_default()
                ));
            }
            if said.stderr.contains("panicked") {
                wrong.push(format!("{name}: a panic"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn damaged_and_disordered_messages() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let good = signed(&alice, &[&alice.certificate], TEXT);
    let parts: Vec<&str> = good.split("--sb").collect();
    let reordered = format!("{}--sb{}--sb{}--sb{}", parts[0], parts[2], parts[1], parts[3]);
    let gcm = sealed(&office, "-aes-256-gcm", &good, "bob-read.pem");
    let torn = {
        let at = gcm.len() / 2;
        let other = if gcm.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &gcm[..at], &gcm[at + 1..])
    };
    let mut shape = Shape::new(&alice.certificate, TEXT.as_bytes());
    shape.attributes.push(attribute(MESSAGE_DIGEST, &[octets(&sha256(b"other"))]));
    let twice = SignedData::new(None, &[&alice.certificate], &[shape.sign(&alice)]).der();
    let mut nested = good.clone();
    for _ in 0..12 {
        nested = signed(
            &alice,
            &[&alice.certificate],
            &nested.replace("\"sb\"", "\"inner\"").replace("--sb", "--inner"),
        );
        nested = pkcs7_mime(
            &SignedData::new(
                Some(nested.as_bytes()),
                &[&alice.certificate],
                &[alice.signer_info(nested.as_bytes())],
            )
            .der(),
        );
    }
    let strange = TEXT.replace("utf-8", "x-nobody-knows");
    check(
        &office,
        &[
            Row("good", good.clone(), 0, "trusted"),
            Row("tampered", good.replace("100", "900"), 4, "content-changed"),
            Row("tampered envelope", torn, 4, "damaged"),
            Row(
                "truncated in the text",
                good[..good.find("100").unwrap()].to_owned(),
                4,
                "signature-malformed",
            ),
            Row("truncated in the signature", good[..good.len() - 40].to_owned(), 4, "signature-malformed"),
            Row("truncated envelope", gcm[..gcm.len() / 2].to_owned(), 4, "envelope-malformed"),
            Row("reordered parts", reordered, 4, "signature-malformed"),
            Row("recursive", nested, 4, "too-many-layers"),
            Row("absent micalg", good.replace(" micalg=sha-256;", ""), 0, "trusted"),
            Row("two message digests", multipart_signed(TEXT, &twice), 4, "signature-malformed"),
            Row("an unknown charset", signed(&alice, &[&alice.certificate], &strange), 0, "trusted"),
            Row(
                "wrong octets for the charset",
                signed(
                    &alice,
                    &[&alice.certificate],
                    &TEXT
                        .replace("Carol", "C=C3")
                        .replace("utf-8", "utf-8\r\nContent-Transfer-Encoding: quoted-printable"),
                ),
                0,
                "trusted",
            ),
        ],
    );
}

#[test]
fn endless_structures() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let many = mixed(&["Content-Type: text/plain\r\n\r\nx"; 10_000]);
    let mut deep = "Content-Type: text/plain\r\n\r\nx\r\n".to_owned();
    for depth in 0..300 {
        deep = format!(
            "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n{deep}\r\n--b{depth}--\r\n"
        );
    }
    let mut forwarded = TEXT.to_owned();
    for _ in 0..300 {
        forwarded = format!("Content-Type: message/rfc822\r\n\r\n{FROM}{forwarded}");
    }
    let ber = [[0x30, 0x80].repeat(50_000), vec![0; 100_000]].concat();
    let infos: [Vec<u8>; 200] = std::array::from_fn(|_| alice.signer_info(TEXT.as_bytes()));
    let signers = SignedData::new(None, &[&alice.certificate], &infos).der();
    let crowded =
        SignedData::new(None, &[&alice.certificate; 2_000], &[alice.signer_info(TEXT.as_bytes())]).der();
    let before = "Content-Type: text/plain\r\n".to_owned() + &"X-Filling: y\r\n".repeat(40_000) + "\r\nx\r\n";
    for (name, entity, codes) in [
        ("10,000 parts", many.clone(), &["too-many-parts", "unsigned"][..]),
        ("300 parts deep", deep, &["too-deep", "unsigned"]),
        ("300 messages deep", forwarded, &["too-deep", "unsigned"]),
        ("BER without end", pkcs7_mime(&ber), &["signature-malformed"]),
        ("200 signers", multipart_signed(TEXT, &signers), &["too-many-parts"]),
        ("2,000 certificates", multipart_signed(TEXT, &crowded), &["too-many-parts", "trusted"]),
        ("a header without end", before, &["header-too-long", "unsigned"]),
        (
            "10,000 parts, signed",
            signed(&alice, &[&alice.certificate], &many),
            &["too-many-parts", "trusted"],
        ),
    ] {
        let said = office.run("bob", &["open", "--json"], message(FROM, &entity).as_bytes());
        let json = said.json();
        let code = json["verdict"]["code"].as_str().or(json["error"]["code"].as_str()).unwrap_or("none");
        assert!(codes.contains(&code), "{name}: {code}: {}", said.stderr);
        assert!(said.code == 0 || said.stdout.is_empty(), "{name}");
        assert!(![101, 134, 137, 139].contains(&said.code), "{name}: exit {}", said.code);
    }
}

#[test]
fn wrong_people() {
    let office = hostile::office();
    let (alice, eve) =
        (Hand::of(&hostile::signer(&office, "alice")), Hand::of(&hostile::signer(&office, "eve")));
    let people = &office.pki.people;
    let expired = Hand::of(&people.issue_with("expired", Key::P256, &signing("alice@example.test"), PAST));
    let revoked = Hand::of(&people.issue("revoked", Key::P256, &signing("alice@example.test")));
    office.issue("carol", Key::P256);
    let mut mixed_up = Shape::new(&alice.certificate, TEXT.as_bytes());
    mixed_up.identifier = forgery::issuer_and_serial(&alice.certificate);
    let mixed_up =
        SignedData::new(None, &[&alice.certificate, &eve.certificate], &[mixed_up.sign(&eve)]).der();
    // Those that lie on the shelf already are known; this one is nowhere.
    let unknown = Authority::root(&office.path("."), "Nowhere", CA).issue(
        "nobody",
        Key::P256,
        &signing("alice@example.test"),
    );
    let unknown = Hand::of(&unknown);
    office.revoke(&Identity { folder: office.pki.path().to_owned(), name: "revoked".to_owned() });
    forged_inner_headers(&office, &alice);
    check(
        &office,
        &[
            Row("missing certificate", signed(&alice, &[], TEXT), 4, "signer-certificate-missing"),
            Row("wrong recipient", sealed(&office, "-aes-256-gcm", TEXT, "carol-read.pem"), 1, "not-for-us"),
            Row("expired", signed(&expired, &[&expired.certificate], TEXT), 4, "expired"),
            Row("revoked", signed(&revoked, &[&revoked.certificate], TEXT), 4, "revoked"),
            Row("mixed-up signers", multipart_signed(TEXT, &mixed_up), 4, "signature-wrong"),
            Row(
                "a signer with another address",
                signed(&eve, &[&eve.certificate], TEXT),
                4,
                "address-mismatch",
            ),
            Row(
                "a signer of nobody's authority",
                signed(&unknown, &[&unknown.certificate], TEXT),
                4,
                "unknown-issuer",
            ),
        ],
    );
}

/// RFC 9788 section 4.4: an author inside whom no signature proves is not shown; where the outer one agrees, nobody is believed.
fn forged_inner_headers(office: &Office, alice: &Hand) {
    let hidden = "Content-Type: text/plain; hp=\"clear\"\r\nFrom: boss@example.test\r\nTo: bob@example.test\r\n\
                  Subject: pay\r\n\r\nPay.\r\n";
    let entity = signed(alice, &[&alice.certificate], hidden);
    let said = office.run("bob", &["open", "--json"], message(FROM, &entity).as_bytes());
    assert!(!said.text().contains("boss@example.test"), "{}", said.text());
    assert!(said.stderr.contains("from-differs"), "{}", said.stderr);
    let forged = message("From: boss@example.test\r\nTo: bob@example.test\r\n", &entity);
    let said = office.run("bob", &["open", "--json"], forged.as_bytes()).expect(4);
    assert_eq!((said.stdout.len(), &said.json()["verdict"]["code"]), (0, &"address-mismatch".into()));
}

fn publish(office: &Office, list: &[u8]) {
    let identifier = hex::encode(office.pki.people.certificate().subject_key_identifier().unwrap());
    std::fs::write(office.path(&format!("published/crl/{identifier}.crl")), list).unwrap();
    let _ = std::fs::remove_dir_all(office.path("home-bob/cache"));
}

#[test]
fn revocation_lists_that_do_not_speak_for_the_signer() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let good = signed(&alice, &[&alice.certificate], TEXT);
    let people = &office.pki.people;
    let scope = |flags: &str| format!("issuingDistributionPoint=critical,@idp\n[idp]\n{flags}");
    let twin_folder = office.path("twin");
    std::fs::create_dir_all(&twin_folder).unwrap();
    let twin = Authority::root(&twin_folder, "People", CA);
    let genuine = people.crl_with("", LONG).der().to_vec();
    let mut torn = genuine.clone();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    let lists = [
        ("authorities only", people.crl_with(&scope("onlyCA=TRUE"), LONG).der().to_vec()),
        ("attributes only", people.crl_with(&scope("onlyAA=TRUE"), LONG).der().to_vec()),
        (
            "another distribution point",
            people.crl_with(&scope("fullname=URI:http://other.test/a.crl"), LONG).der().to_vec(),
        ),
        ("some reasons only", people.crl_with(&scope("onlysomereasons=keyCompromise"), LONG).der().to_vec()),
        (
            "an extension that nobody knows",
            people.crl_with("1.3.6.1.4.1.32473.9=critical,DER:0500", LONG).der().to_vec(),
        ),
        ("a stranger's signature", twin.crl_with("", LONG).der().to_vec()),
        ("the root's list", office.pki.root.crl_with("", LONG).der().to_vec()),
        ("stale", people.crl_with("", PAST).der().to_vec()),
        ("a torn signature", torn),
        ("cut off", genuine[..genuine.len() / 2].to_vec()),
        ("no list at all", b"nothing".to_vec()),
    ];
    for (name, list) in &lists {
        publish(&office, list);
        check(&office, &[Row(name, good.clone(), 4, "revocation-unknown")]);
    }
    // The same certificate and message with the right list: it was the list.
    publish(&office, &genuine);
    check(&office, &[Row("the authority's list", good, 0, "trusted")]);
}

const NOW: &str = "now";
/// What it is, the file, the moment, the exit code, the code in JSON.
const OCSP_ANSWERS: &[(&str, &str, &str, i32, &str)] = &[
    ("good", "good.ocsp", NOW, 0, ""),
    ("stale", "good.ocsp", "2047-01-01", 4, "revocation-unknown"),
    ("from the future", "good.ocsp", "2024-06-01", 4, "revocation-unknown"),
    ("about another certificate", "of-eve.ocsp", NOW, 4, "revocation-unknown"),
    ("of a stranger with the authority's name", "stranger.ocsp", NOW, 4, "revocation-unknown"),
    ("of a person who is no responder", "eve.ocsp", NOW, 4, "revocation-unknown"),
    ("cut off", "cut.ocsp", NOW, 4, "revocation-unknown"),
    ("with a torn signature", "torn.ocsp", NOW, 4, "revocation-unknown"),
];

#[test]
fn stale_and_foreign_ocsp_answers() {
    let office = hostile::office();
    let folder = office.pki.path().to_owned();
    let people = &office.pki.people;
    let alice = hostile::signer(&office, "alice");
    let eve = hostile::signer(&office, "eve");
    let twin_folder = office.path("twin");
    std::fs::create_dir_all(&twin_folder).unwrap();
    let twin = Authority::root(&twin_folder, "People", CA);
    std::fs::copy(folder.join("People/index.txt"), twin.folder.join("People/index.txt")).unwrap();
    people.crl_with("", LONG);
    let answer = |signer: &Identity, subject: &Identity, file: &str| {
        let (certificate, key) = (signer.folder.join(signer.pem()), signer.folder.join(signer.key()));
        let arguments = [
            "ocsp",
            "-index",
            "People/index.txt",
            "-rsigner",
            certificate.to_str().unwrap(),
            "-rkey",
            key.to_str().unwrap(),
            "-CA",
            "People.pem",
            "-issuer",
            "People.pem",
            "-cert",
            &subject.pem(),
            "-ndays",
            "2",
            "-respout",
            file,
            "-noverify",
            "-resp_no_certs",
        ];
        openssl(&folder, &arguments);
    };
    let authority = Identity { folder: folder.clone(), name: "People".to_owned() };
    let stranger = Identity { folder: twin_folder, name: "People".to_owned() };
    answer(&authority, &alice, "good.ocsp");
    answer(&authority, &eve, "of-eve.ocsp");
    answer(&stranger, &alice, "stranger.ocsp");
    answer(&eve, &alice, "eve.ocsp");
    let good = office.pki.read("good.ocsp");
    office.pki.write("cut.ocsp", &good[..good.len() - 9]);
    let mut torn = good;
    let last = torn.len() - 1;
    torn[last] ^= 1;
    office.pki.write("torn.ocsp", &torn);
    let root = office.pki.root.crl_with("", LONG);
    office.pki.write("root.der.crl", root.der());
    // Answers are of the moment at which openssl made them: long after, they are stale.
    for (name, file, at, exit, code) in OCSP_ANSWERS {
        let subject = alice.pem();
        let mut arguments = vec![
            "certificate",
            "verify",
            &subject,
            "--anchor",
            "Root.pem",
            "--intermediate",
            "People.pem",
            "--crl",
            "root.der.crl",
            "--ocsp",
            file,
            "--json",
        ];
        if *at != NOW {
            arguments.extend(["--at", at]);
        }
        let said = office.run("bob", &arguments, b"");
        let json: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| said.json());
        let told = json.to_string();
        assert_eq!(said.code, *exit, "{name}: {told}");
        assert!(told.contains(code), "{name}: {told}");
    }
}

/// Authorities that certify each other, many times over: an answer, and soon.
#[test]
fn cycles_and_explosions_of_paths() {
    let office = hostile::office();
    let folder = office.path("maze");
    std::fs::create_dir_all(&folder).unwrap();
    let names = ["One", "Two", "Three", "Four"];
    let authorities: Vec<Authority> = names.iter().map(|name| Authority::root(&folder, name, CA)).collect();
    let mut certificates: Vec<Certificate> = Vec::new();
    for (round, issuer) in authorities.iter().enumerate() {
        for subject in &authorities {
            for time in 0..3 {
                let file = format!("{}-{round}-{time}", subject.name);
                let request = folder.join(format!("{}.csr", subject.name));
                assert!(request.is_file());
                issuer.certify_again(&subject.name, &file, CA, LONG);
                certificates.push(Identity { folder: folder.clone(), name: file }.certificate());
            }
        }
    }
    let signer = Hand::of(&authorities[0].issue("lost", Key::P256, &signing("alice@example.test")));
    certificates.push(signer.certificate.clone());
    assert_eq!(certificates.len(), 49);
    let along: Vec<&Certificate> = certificates.iter().collect();
    let two: Vec<&Certificate> = certificates
        .iter()
        .filter(|found| ["One", "Two", "lost"].contains(&found.subject().as_str()))
        .collect();
    let said = office
        .run("bob", &["open", "--json"], message(FROM, &signed(&signer, &along, TEXT)).as_bytes())
        .expect(4);
    let code = said.json()["verdict"]["code"].clone();
    assert!(code == "too-many-paths" || code == "unknown-issuer", "{code}");
    assert!(said.stdout.is_empty());
    let said = office
        .run("bob", &["open", "--json"], message(FROM, &signed(&signer, &two, TEXT)).as_bytes())
        .expect(4);
    let code = said.json()["verdict"]["code"].clone();
    assert!(code == "too-many-paths" || code == "unknown-issuer", "{code}");
}
