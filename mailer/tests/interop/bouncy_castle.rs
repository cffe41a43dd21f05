//! BouncyCastle 1.72, both directions: Ed25519 beside the signatures that everybody has, several signers, AEAD, compression.
use mailer::smime::{Enveloping, Form};

use crate::engine;
use crate::foreign::bouncy_castle;
use crate::material::{CONTENT, reader, signer, with_other_content, with_other_end};
use crate::openssl_pki::{Identity, Pki};

/// The signature algorithms of BouncyCastle's that we read, by the kind of key.
const SIGNATURES: &[(&str, &str)] = &[
    ("ed25519", "Ed25519"),
    ("rsa2048", "SHA256withRSA"),
    ("rsa2048", "SHA512withRSA"),
    ("rsa2048", "SHA256withRSAandMGF1"),
    ("rsa2048", "SHA384withRSAandMGF1"),
    ("p256", "SHA224withECDSA"),
    ("p256", "SHA256withECDSA"),
    ("p384", "SHA384withECDSA"),
    ("p521", "SHA512withECDSA"),
];
/// Those that we refuse by name.
const REFUSED_SIGNATURES: &[(&str, &str)] = &[("ed448", "Ed448"), ("rsa2048", "SHA3-256withRSA")];
/// The ciphers that we read.
const CIPHERS: &[(&str, bool)] = &[
    ("AES128_CBC", false),
    ("AES256_CBC", false),
    ("DES_EDE3_CBC", false),
    ("AES128_GCM", true),
    ("AES192_GCM", true),
    ("AES256_GCM", true),
];
const REFUSED_CIPHERS: &[&str] = &["AES128_CCM", "CAMELLIA256_CBC", "SEED_CBC", "CAST5_CBC"];

fn people(pki: &Pki) -> Vec<(&'static str, Identity)> {
    ["ed25519", "ed448", "rsa2048", "p256", "p384", "p521"].map(|kind| (kind, signer(pki, kind))).into()
}

fn files<'a>(people: &'a [(&str, Identity)], kind: &str) -> &'a Identity {
    &people.iter().find(|(known, _)| *known == kind).unwrap().1
}

#[test]
fn signatures_of_bouncy_castle_are_read_or_refused_by_name() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    let people = people(&pki);
    let all: Vec<_> = SIGNATURES.iter().chain(REFUSED_SIGNATURES).collect();
    let mut commands = Vec::new();
    for (at, (kind, algorithm)) in all.iter().enumerate() {
        let person = files(&people, kind);
        for place in ["inside", "beside"] {
            commands.push(format!(
                "sign s{at}{place} content {place} {algorithm} {} {}",
                person.key(),
                person.pem()
            ));
        }
    }
    let several: Vec<String> = SIGNATURES
        .iter()
        .map(|(kind, algorithm)| {
            let person = files(&people, kind);
            format!("{algorithm} {} {}", person.key(), person.pem())
        })
        .collect();
    commands.push(format!("sign several content inside {}", several.join(" ")));
    for (command, answer) in commands.iter().zip(bouncy_castle(&pki, &commands)) {
        answer.unwrap_or_else(|refusal| panic!("{command}: {refusal}"));
    }
    for (at, (kind, algorithm)) in all.iter().enumerate() {
        let (inside, beside) = (pki.read(&format!("s{at}inside")), pki.read(&format!("s{at}beside")));
        if at >= SIGNATURES.len() {
            assert_eq!(
                engine::verify(&inside, None, &[]),
                Err("unsupported-algorithm".to_owned()),
                "{algorithm}"
            );
            continue;
        }
        let signed = engine::verify(&inside, None, &[]).unwrap_or_else(|code| panic!("{algorithm}: {code}"));
        assert_eq!(
            (signed.content.as_deref(), signed.signers),
            (Some(CONTENT), vec![files(&people, kind).certificate()])
        );
        engine::verify(&beside, Some(CONTENT), &[])
            .unwrap_or_else(|code| panic!("{algorithm} beside: {code}"));
        engine::verify(&with_other_content(&inside), None, &[]).expect_err(algorithm);
        engine::verify(&with_other_end(&inside), None, &[]).expect_err(algorithm);
        engine::verify(&beside, Some(&with_other_content(CONTENT)), &[]).expect_err(algorithm);
    }
    let several = pki.read("several");
    assert_eq!(engine::verify(&several, None, &[]).unwrap().signers.len(), SIGNATURES.len());
    engine::verify(&with_other_content(&several), None, &[]).unwrap_err();
    println!(
        "BouncyCastle signs: {} algorithms read, {} refused by name",
        SIGNATURES.len(),
        REFUSED_SIGNATURES.len()
    );
}

#[test]
fn bouncy_castle_reads_what_we_sign_and_not_what_was_changed() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    pki.write("other", &with_other_content(CONTENT));
    let mut commands = Vec::new();
    for (at, (kind, padding)) in engine::SIGNING.iter().enumerate() {
        let person = signer(&pki, kind);
        for (name, form) in [("inside", Form::Opaque), ("beside", Form::Detached)] {
            let cms = engine::sign(&person, form, *padding);
            let (good, bad) = (format!("{at}-{kind}-{name}"), format!("{at}-{kind}-{name}-bad"));
            pki.write(&good, &cms);
            pki.write(&bad, &with_other_end(&cms));
            let (beside, other) = if form == Form::Detached { (" content", " other") } else { ("", "") };
            commands.push(format!("verify {good}.out {good}{beside}"));
            commands.push(format!("verify out {bad}{beside}"));
            if form == Form::Detached {
                commands.push(format!("verify out {good}{other}"));
            }
        }
    }
    let mut count = 0;
    for (command, answer) in commands.iter().zip(bouncy_castle(&pki, &commands)) {
        let words: Vec<&str> = command.split(' ').collect();
        let is_good = words[1] != "out";
        assert_eq!(answer.is_ok(), is_good, "{command}: {answer:?}");
        if is_good {
            assert_eq!(pki.read(words[1]), CONTENT, "{command}");
            count += 1;
        }
    }
    println!("we sign, BouncyCastle reads: {count}");
    assert_eq!(count, engine::SIGNING.len() * 2);
}

#[test]
fn what_bouncy_castle_compresses_is_read() {
    let pki = Pki::new();
    let long = [CONTENT, &b"again and again\r\n".repeat(20_000)].concat();
    pki.write("content", CONTENT);
    pki.write("long", &long);
    for answer in
        bouncy_castle(&pki, &["compress small content".to_owned(), "compress large long".to_owned()])
    {
        answer.unwrap();
    }
    for (file, content) in [("small", CONTENT), ("large", &long)] {
        let cms = pki.read(file);
        assert_eq!(engine::decompress(&cms).as_deref(), Ok(content), "{file}");
        assert!(engine::decompress(&cms[..cms.len() / 2]).is_err(), "{file} cut off");
    }
}

#[test]
fn envelopes_go_both_ways_with_bouncy_castle() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    let (rsa, elliptic) = (reader(&pki, "rsa2048"), reader(&pki, "p256"));
    let mut commands: Vec<String> = Vec::new();
    for cipher in CIPHERS.iter().map(|(cipher, _)| cipher).chain(REFUSED_CIPHERS) {
        commands.push(format!("encrypt {cipher} content {cipher} {} {}", rsa.pem(), elliptic.pem()));
    }
    for (name, enveloping) in
        [("authenticated", Enveloping::Authenticated), ("compatible", Enveloping::Compatible)]
    {
        let cms = engine::encrypt(CONTENT, &[&rsa, &elliptic], enveloping);
        pki.write(name, &cms);
        let mut changed = cms;
        *changed.last_mut().unwrap() ^= 1;
        pki.write(&format!("{name}-bad"), &changed);
    }
    let ours = commands.len();
    for (message, person) in [
        ("authenticated", &rsa),
        ("compatible", &rsa),
        ("compatible", &elliptic),
        ("authenticated-bad", &rsa),
    ] {
        commands.push(format!("decrypt opened {message} {} {}", person.key(), person.pem()));
    }
    let answers = bouncy_castle(&pki, &commands);
    for (command, answer) in commands.iter().zip(&answers) {
        assert_eq!(answer.is_ok(), !command.contains("-bad"), "{command}: {answer:?}");
    }
    assert_eq!(answers[ours], Ok("authenticated".to_owned()));
    assert_eq!(pki.read("opened"), CONTENT);
    for (cipher, authenticated) in CIPHERS {
        for person in [&rsa, &elliptic] {
            let opened = engine::decrypt(&pki.read(cipher), &mut person.ring());
            assert_eq!(opened, Ok((CONTENT.to_vec(), *authenticated)), "{cipher} {}", person.name);
        }
    }
    for cipher in REFUSED_CIPHERS {
        let refused = engine::decrypt(&pki.read(cipher), &mut rsa.ring()).map(|_| ());
        assert_eq!(refused, Err("unsupported-algorithm".to_owned()), "{cipher}");
    }
    println!(
        "BouncyCastle encrypts: {} ciphers read, {} refused by name",
        CIPHERS.len(),
        REFUSED_CIPHERS.len()
    );
}
