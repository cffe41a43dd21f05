//! Signatures with `openssl cms`, both directions: every digest it knows with every kind of key, in every form.
use std::collections::BTreeMap;

use mailer::smime::Form;

use crate::engine;
use crate::full;
use crate::material::{CONTENT, openssl_algorithms, signer, with_other_content, with_other_end};
use crate::openssl_pki::{Identity, Pki, openssl, try_openssl};

/// Where the content of a signature is, and how the message is written.
const FORMS: &[(&str, &[&str])] =
    &[("detached", &[]), ("opaque", &["-nodetach"]), ("opaque streamed", &["-nodetach", "-stream"])];
const PSS: &[&str] = &["-keyopt", "rsa_padding_mode:pss"];

/// Signs with openssl; none when openssl itself refuses, with what it says.
fn sign(pki: &Pki, people: &[(&Identity, &[&str])], options: &[&str]) -> Result<Vec<u8>, String> {
    pki.write("content", CONTENT);
    let mut arguments =
        vec!["cms", "-sign", "-binary", "-in", "content", "-outform", "DER", "-out", "signed.der"];
    arguments.extend(options);
    let files: Vec<(String, String)> =
        people.iter().map(|(person, _)| (person.pem(), person.key())).collect();
    for ((pem, key), (_, options)) in files.iter().zip(people) {
        arguments.extend(["-signer", pem, "-inkey", key]);
        arguments.extend(*options);
    }
    arguments.extend(["-provider", "legacy", "-provider", "default"]);
    let output = try_openssl(pki.path(), &arguments);
    match output.status.success() {
        true => Ok(pki.read("signed.der")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Reads a signature of openssl, and shows that three spoilt copies of it are not believed.
fn read(cms: &[u8], is_detached: bool) -> Result<(), String> {
    let detached = is_detached.then_some(CONTENT);
    let signed = engine::verify(cms, detached, &[])?;
    assert_eq!(signed.content.as_deref(), (!is_detached).then_some(CONTENT));
    let other_content = with_other_content(CONTENT);
    let content_changed = match is_detached {
        true => engine::verify(cms, Some(&other_content), &[]),
        false => engine::verify(&with_other_content(cms), None, &[]),
    };
    assert!(
        matches!(
            content_changed.as_ref().map_err(String::as_str),
            Err("content-changed" | "signature-wrong")
        ),
        "other content was believed: {content_changed:?}"
    );
    assert!(
        engine::verify(&with_other_end(cms), detached, &[]).is_err(),
        "another signature value was believed"
    );
    assert!(engine::verify(&cms[..cms.len() - 1], detached, &[]).is_err(), "a message cut off was believed");
    Ok(())
}

/// What we do with a digest under a key of this kind.
fn expected(kind: &str, digest: &str) -> Result<(), &'static str> {
    // The names of openssl: sha-256, sha2-256, sha256.
    let is_believed = ["224", "256", "384", "512"]
        .iter()
        .any(|length| ["sha-", "sha2-", "sha"].iter().any(|family| digest == format!("{family}{length}")));
    match kind {
        "rsa1024" | "secp256k1" | "brainpool" | "ed448" => Err("unsupported-algorithm"),
        _ if !is_believed => Err("unsupported-algorithm"),
        // openssl calls the signature rsaEncryption and pads it for PSS, so that it refuses it itself.
        "rsa-pss" => Err("signature-wrong"),
        _ => Ok(()),
    }
}

#[test]
fn every_digest_and_key_of_openssl_is_read_or_refused_by_name() {
    let pki = Pki::new();
    let digests = openssl_algorithms(&pki, "-digest-algorithms");
    assert!(digests.len() > 15, "{digests:?}");
    let (mut read_count, mut refused, mut not_written) = (0, 0, 0);
    let mut disagreements = Vec::new();
    for kind in [
        "rsa2048",
        "rsa3072",
        "rsa1024",
        "rsa-pss",
        "p256",
        "p384",
        "p521",
        "secp256k1",
        "brainpool",
        "ed25519",
        "ed448",
    ] {
        let person = signer(&pki, kind);
        for digest in &digests {
            let forms = if full() || kind == "p256" { FORMS } else { &FORMS[1..2] };
            for (form, options) in forms {
                let Ok(cms) = sign(&pki, &[(&person, &[])], &[options, &["-md", digest][..]].concat()) else {
                    not_written += 1;
                    continue;
                };
                let outcome = read(&cms, *form == "detached");
                match &outcome {
                    Ok(()) => read_count += 1,
                    Err(_) => refused += 1,
                }
                let wanted = expected(kind, digest);
                if outcome.as_ref().map_err(String::as_str) != wanted.as_ref().map_err(|code| *code) {
                    disagreements.push(format!("{kind} {digest} {form}: {outcome:?}, not {wanted:?}"));
                }
            }
        }
    }
    println!(
        "openssl signs, we read: {read_count} read, {refused} refused by name, {not_written} that openssl cannot write"
    );
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(read_count >= 15 && refused >= 20, "the matrix lost its rows");
}

#[test]
fn every_option_of_openssl_is_read_in_every_form() {
    let pki = Pki::new();
    let people: Vec<Identity> = ["rsa2048", "p256", "p384"].map(|kind| signer(&pki, kind)).into();
    let mut count = 0;
    for person in &people {
        for (form, options) in FORMS {
            for more in [
                &["-md", "sha256"][..],
                &["-md", "sha384", "-keyid"],
                &["-md", "sha512", "-noattr"],
                &["-md", "sha256", "-cades", "-nosmimecap"],
                &["-md", "sha256", "-certfile", "chain.pem"],
                &["-md", "sha256", "-receipt_request_all", "-receipt_request_to", "alice@example.test"],
            ] {
                let cms = sign(&pki, &[(person, &[])], &[options, more].concat()).unwrap();
                read(&cms, *form == "detached")
                    .unwrap_or_else(|code| panic!("{} {form} {more:?}: {code}", person.name));
                count += 1;
            }
            let bare = sign(&pki, &[(person, &[])], &[options, &["-nocerts"][..]].concat()).unwrap();
            let detached = (*form == "detached").then_some(CONTENT);
            assert_eq!(engine::verify(&bare, detached, &[]), Err("signer-certificate-missing".to_owned()));
            assert_eq!(
                engine::verify(&bare, detached, &[person.certificate()]).unwrap().signers,
                [person.certificate()]
            );
            let other = &people.iter().find(|other| other.name != person.name).unwrap().certificate();
            assert_eq!(
                engine::verify(&bare, detached, std::slice::from_ref(other)),
                Err("signer-certificate-missing".to_owned())
            );
            count += 1;
        }
    }
    println!("openssl signs with options, we read: {count}");
}

#[test]
fn pss_of_openssl_is_read_with_every_salt_and_mask() {
    let pki = Pki::new();
    let person = signer(&pki, "rsa2048");
    let mut outcomes = BTreeMap::new();
    for digest in ["sha1", "sha256", "sha384", "sha512"] {
        for more in [
            &[][..],
            &["-keyopt", "rsa_pss_saltlen:-1"],
            &["-keyopt", "rsa_pss_saltlen:0"],
            &["-keyopt", "rsa_mgf1_md:sha512"],
        ] {
            // openssl cannot stream PSS.
            for (form, options) in &FORMS[..2] {
                let keyopts = [PSS, more].concat();
                let cms =
                    sign(&pki, &[(&person, &keyopts)], &[options, &["-md", digest][..]].concat()).unwrap();
                let outcome = read(&cms, *form == "detached");
                outcomes.insert((digest, more.last().copied().unwrap_or("default"), *form), outcome);
            }
        }
    }
    for ((digest, option, form), outcome) in &outcomes {
        let wanted = match (*digest, *option) {
            ("sha1", _) => Err("unsupported-algorithm"),
            _ => Ok(()),
        };
        assert_eq!(
            outcome.as_ref().map_err(String::as_str),
            wanted.as_ref().map_err(|code| *code),
            "{digest} {option} {form}"
        );
    }
    // A key that is for PSS only.
    let cms = sign(&pki, &[(&signer(&pki, "rsa-pss"), PSS)], &["-nodetach", "-md", "sha384"]).unwrap();
    assert_eq!(read(&cms, false), Ok(()));
    println!("openssl signs with PSS, we read: {}", outcomes.len() + 1);
}

/// DSA is believed in old certificates at most, never in mail (FIPS 186-5 section 4).
#[test]
fn dsa_of_openssl_is_refused_by_name() {
    let pki = Pki::new();
    let person = signer(&pki, "dsa");
    for (form, options) in FORMS {
        for digest in ["sha1", "sha224", "sha256"] {
            let cms = sign(&pki, &[(&person, &[])], &[options, &["-md", digest][..]].concat()).unwrap();
            let outcome = read(&cms, *form == "detached");
            assert_eq!(outcome, Err("unsupported-algorithm".to_owned()), "{digest} {form}");
        }
    }
}

#[test]
fn several_signers_of_openssl_each_get_their_verdict() {
    let pki = Pki::new();
    let people = ["rsa2048", "p256", "p384"].map(|kind| signer(&pki, kind));
    for (form, options) in FORMS {
        let all: Vec<(&Identity, &[&str])> = people.iter().map(|person| (person, &[][..])).collect();
        let cms = sign(&pki, &all, &[options, &["-md", "sha256"][..]].concat()).unwrap();
        let detached = (*form == "detached").then_some(CONTENT);
        let signed = engine::verify(&cms, detached, &[]).unwrap();
        assert_eq!(signed.signers.len(), 3);
        for person in &people {
            assert!(signed.signers.contains(&person.certificate()), "{form} {}", person.name);
        }
        read(&cms, *form == "detached").unwrap();
        // A fourth signs what the others signed.
        let fourth = signer(&pki, "rsa3072");
        let resign = [
            "cms",
            "-resign",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "signed.der",
            "-outform",
            "DER",
            "-out",
            "again.der",
            "-md",
            "sha256",
            "-signer",
            &fourth.pem(),
            "-inkey",
            &fourth.key(),
        ];
        if *form != "detached" {
            openssl(pki.path(), &resign);
            assert_eq!(engine::verify(&pki.read("again.der"), detached, &[]).unwrap().signers.len(), 4);
        }
    }
}

#[test]
fn what_openssl_writes_and_is_no_signature_is_no_signature() {
    let pki = Pki::new();
    let person = signer(&pki, "p256");
    let certificates =
        openssl(pki.path(), &["crl2pkcs7", "-nocrl", "-certfile", "chain.pem", "-outform", "DER"]);
    let read = engine::verify(&certificates, None, &[]).unwrap();
    assert_eq!((read.signers.len(), read.certificates, read.content), (0, 2, None));
    pki.people.crl();
    let lists =
        openssl(pki.path(), &["crl2pkcs7", "-in", "People.crl", "-certfile", "chain.pem", "-outform", "DER"]);
    assert!(engine::verify(&lists, None, &[]).unwrap().signers.is_empty());
    let receipt =
        sign(&pki, &[(&person, &[])], &["-nodetach", "-econtent_type", "1.2.840.113549.1.9.16.1.1"]).unwrap();
    assert_eq!(engine::verify(&receipt, None, &[]), Err("signed-other-content".to_owned()));
    pki.write("content", CONTENT);
    for command in ["-digest_create", "-data_create"] {
        let cms = openssl(pki.path(), &["cms", command, "-binary", "-in", "content", "-outform", "DER"]);
        let outcome = engine::verify(&cms, None, &[]);
        assert!(
            matches!(outcome.as_ref().map_err(String::as_str), Err("not-signed-data")),
            "{command}: {outcome:?}"
        );
    }
}

#[test]
fn openssl_reads_what_we_sign_and_not_what_was_changed() {
    let pki = Pki::new();
    let mut count = 0;
    for (kind, padding) in engine::SIGNING.iter().filter(|(kind, _)| !kind.starts_with("ed")) {
        let person = signer(&pki, kind);
        for form in [Form::Opaque, Form::Detached] {
            let cms = engine::sign(&person, form, *padding);
            let detached = form == Form::Detached;
            assert_eq!(
                openssl_reads(&pki, &cms, detached.then_some(CONTENT)).unwrap(),
                CONTENT,
                "{kind} {form:?}"
            );
            assert!(openssl_reads(&pki, &with_other_end(&cms), detached.then_some(CONTENT)).is_err());
            let other = with_other_content(CONTENT);
            let changed = if detached {
                openssl_reads(&pki, &cms, Some(&other))
            } else {
                openssl_reads(&pki, &with_other_content(&cms), None)
            };
            assert!(changed.is_err());
            count += 1;
        }
    }
    println!("we sign, openssl reads: {count}");
}

/// The content, as openssl hands it out after its own verification of signature, chain and CAdES attributes.
fn openssl_reads(pki: &Pki, cms: &[u8], detached: Option<&[u8]>) -> Result<Vec<u8>, String> {
    pki.write("ours.der", cms);
    let mut arguments = vec![
        "cms",
        "-verify",
        "-cades",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "ours.der",
        "-CAfile",
        "chain.pem",
        "-out",
        "read",
    ];
    if let Some(content) = detached {
        pki.write("content", content);
        arguments.extend(["-content", "content"]);
    }
    let output = try_openssl(pki.path(), &arguments);
    match output.status.success() {
        true => Ok(pki.read("read")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
