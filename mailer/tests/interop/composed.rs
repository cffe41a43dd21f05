//! X25519 (RFC 8418) and ChaCha20-Poly1305 (RFC 8103), which no CMS peer of Debian 12 has: `composed.py` opens ours and
//! makes messages that we open.
use mailer::smime::Enveloping;

use crate::engine;
use crate::foreign::composed;
use crate::full;
use crate::material::{CONTENT, reader};
use crate::openssl_pki::{Identity, Pki};

const CIPHERS: &[&str] = &["chacha20-poly1305", "aes-128-gcm", "aes-192-gcm", "aes-256-gcm", "aes-256-cbc"];
const SCHEMES: &[&str] =
    &["hkdf-sha256", "hkdf-sha384", "hkdf-sha512", "x963-sha256", "x963-sha384", "x963-sha512"];
const WRAPS: &[&str] = &["aes128", "aes192", "aes256"];
/// Keying material of the sender: none, and some.
const MATERIALS: &[&str] = &["-", "00112233445566778899aabbccddeeff"];

#[test]
fn what_the_composed_peer_encrypts_is_opened_by_every_recipient() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    let people = ["x25519", "p256", "rsa2048"].map(|kind| reader(&pki, kind));
    let everybody = people.each_ref().map(|person| person.pem()).join(" ");
    let mut rows = Vec::new();
    for (scheme, wrap, material) in combinations() {
        // X9.63 is RFC 5753's function, HKDF RFC 8418's: each with its curves.
        let recipients = if scheme.starts_with("hkdf") { people[0].pem() } else { everybody.clone() };
        for cipher in CIPHERS {
            rows.push((
                format!("m{}", rows.len()),
                (*cipher).to_owned(),
                scheme,
                wrap,
                material,
                recipients.clone(),
            ));
        }
        rows.push((
            format!("m{}", rows.len()),
            "chacha20-poly1305+attributes".to_owned(),
            scheme,
            wrap,
            material,
            recipients,
        ));
    }
    let commands: Vec<String> = rows
        .iter()
        .map(|(out, cipher, scheme, wrap, material, recipients)| {
            format!("encrypt {out} content {cipher} {scheme} {wrap} {material} {recipients}")
        })
        .collect();
    let answers = composed(&pki, &commands);
    let mut count = 0;
    for ((command, answer), (out, cipher, .., recipients)) in commands.iter().zip(answers).zip(&rows) {
        answer.unwrap_or_else(|refusal| panic!("{command}: {refusal}"));
        let cms = pki.read(out);
        for person in people.iter().filter(|person| recipients.contains(&person.pem())) {
            let ring = &mut engine::ring(person);
            let opened = engine::decrypt(&cms, ring);
            assert_eq!(
                opened,
                Ok((CONTENT.to_vec(), !cipher.ends_with("cbc"))),
                "{command}, {}",
                person.name
            );
            let mut changed = cms.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert_ne!(
                engine::decrypt(&changed, ring).map(|(content, _)| content),
                Ok(CONTENT.to_vec()),
                "{command}"
            );
            count += 1;
        }
    }
    println!("the composed peer encrypts, we open: {count}");
}

/// Every scheme, and every wrap and material with one of them; all with all in a full run.
fn combinations() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all = Vec::new();
    for scheme in SCHEMES {
        for wrap in WRAPS {
            for material in MATERIALS {
                let usual = *wrap == "aes256" && *material == "-";
                if full() || usual || *scheme == "hkdf-sha256" {
                    all.push((*scheme, *wrap, *material));
                }
            }
        }
    }
    all
}

#[test]
fn the_composed_peer_opens_what_we_encrypt_and_not_what_was_changed() {
    let pki = Pki::new();
    let people = ["x25519", "p256", "rsa2048"].map(|kind| reader(&pki, kind));
    let mut commands = Vec::new();
    for (name, cms) in ours(&people) {
        let mut changed = cms.clone();
        *changed.last_mut().unwrap() ^= 1;
        pki.write(&name, &cms);
        pki.write(&format!("{name}-bad"), &changed);
        for person in &people {
            commands.push(format!(
                "decrypt {name}-{}.out {name} {} {}",
                person.name,
                person.key(),
                person.pem()
            ));
            commands.push(format!("decrypt bad.out {name}-bad {} {}", person.key(), person.pem()));
        }
    }
    let mut count = 0;
    for (command, answer) in commands.iter().zip(composed(&pki, &commands)) {
        let words: Vec<&str> = command.split(' ').collect();
        if words[1] == "bad.out" {
            assert!(answer.is_err(), "{command}: {answer:?}");
        } else {
            answer.unwrap_or_else(|refusal| panic!("{command}: {refusal}"));
            assert_eq!(pki.read(words[1]), CONTENT, "{command}");
            count += 1;
        }
    }
    println!("we encrypt, the composed peer opens: {count}");
    assert_eq!(count, 9);
}

/// Envelopes of ours to all of them, by name.
fn ours(people: &[Identity]) -> Vec<(String, Vec<u8>)> {
    let everybody: Vec<&Identity> = people.iter().collect();
    [
        ("authenticated", Enveloping::Authenticated),
        ("chacha20-poly1305", Enveloping::ChaCha20Poly1305),
        ("compatible", Enveloping::Compatible),
    ]
    .map(|(name, enveloping)| (name.to_owned(), engine::encrypt(CONTENT, &everybody, enveloping)))
    .into()
}
