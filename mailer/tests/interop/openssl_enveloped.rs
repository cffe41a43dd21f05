//! Envelopes with `openssl cms`, both directions: every cipher it knows, every way of wrapping the key, every form.
use mailer::smime::Enveloping;

use crate::engine;
use crate::full;
use crate::material::{CONTENT, openssl_algorithms, reader};
use crate::openssl_pki::{FileKeyRing, Identity, Pki, openssl, try_openssl};

/// The ciphers that we read, and whether they prove what they hold.
const CIPHERS: &[(&str, bool)] = &[
    ("aes-128-cbc", false),
    ("aes-192-cbc", false),
    ("aes-256-cbc", false),
    ("des-ede3-cbc", false),
    ("aes-128-gcm", true),
    ("aes-192-gcm", true),
    ("aes-256-gcm", true),
];
const LENGTHS: &[usize] = &[0, 1, 15, 16, 17, 4_095, 70_000];

/// Encrypts with openssl; options of a recipient follow it.
fn encrypt(
    pki: &Pki,
    cipher: &str,
    options: &[&str],
    people: &[(&Identity, &[&str])],
) -> Result<Vec<u8>, String> {
    let cipher = format!("-{cipher}");
    let mut arguments =
        vec!["cms", "-encrypt", "-binary", &cipher, "-in", "content", "-outform", "DER", "-out", "mail.der"];
    arguments.extend(options);
    let files: Vec<String> = people.iter().map(|(person, _)| person.pem()).collect();
    for (file, (_, options)) in files.iter().zip(people) {
        arguments.extend(["-recip", file.as_str()]);
        arguments.extend(*options);
    }
    arguments.extend(["-provider", "legacy", "-provider", "default"]);
    let output = try_openssl(pki.path(), &arguments);
    match output.status.success() {
        true => Ok(pki.read("mail.der")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Opens an envelope of openssl, and shows what becomes of it when its end is changed or cut off.
fn read(cms: &[u8], ring: &mut FileKeyRing, content: &[u8]) -> Result<bool, String> {
    let (opened, authenticated) = engine::decrypt(cms, ring)?;
    assert_eq!(opened, content);
    // The encrypted content ends before the tag of AuthEnvelopedData, and before the end-of-contents octets of a stream.
    let last = cms.iter().rposition(|byte| *byte != 0).unwrap();
    for back in [0, 1, 20] {
        let mut changed = cms.to_vec();
        changed[last - back] ^= 1;
        match engine::decrypt(&changed, ring) {
            Err(_) => {}
            Ok((opened, false)) if !authenticated => {
                assert_ne!(opened, content, "a change was not seen at all")
            }
            Ok(_) => panic!("a changed envelope that proves its content was opened"),
        }
    }
    assert!(engine::decrypt(&cms[..cms.len() - 1], ring).is_err(), "an envelope cut off was opened");
    Ok(authenticated)
}

#[test]
fn every_cipher_of_openssl_is_read_or_refused_by_name() {
    let pki = Pki::new();
    let person = reader(&pki, "rsa2048");
    let ring = &mut person.ring();
    let ciphers = openssl_algorithms(&pki, "-cipher-algorithms");
    assert!(ciphers.len() > 60, "{ciphers:?}");
    pki.write("content", CONTENT);
    let (mut read_count, mut refused, mut not_written) = (0, Vec::new(), 0);
    // `-aes128-wrap` and its like choose how keys are wrapped, not how the content is encrypted.
    for cipher in ciphers.iter().filter(|cipher| !cipher.contains("wrap")) {
        for options in [&[][..], &["-stream"]] {
            let Ok(cms) = encrypt(&pki, cipher, options, &[(&person, &[])]) else {
                not_written += 1;
                continue;
            };
            match CIPHERS.iter().find(|(known, _)| known == cipher) {
                Some((_, authenticated)) => {
                    assert_eq!(read(&cms, ring, CONTENT), Ok(*authenticated), "{cipher} {options:?}");
                    read_count += 1;
                }
                None => {
                    let outcome = engine::decrypt(&cms, ring).map(|(_, authenticated)| authenticated);
                    assert_eq!(outcome, Err("unsupported-algorithm".to_owned()), "{cipher} {options:?}");
                    refused.push(cipher.as_str());
                }
            }
        }
    }
    println!(
        "openssl encrypts, we read: {read_count} read, {} refused by name ({refused:?}), {not_written} that openssl cannot write",
        refused.len()
    );
    assert_eq!(read_count, CIPHERS.len() * 2);
    assert!(refused.contains(&"rc2") && refused.contains(&"des") && refused.contains(&"camellia-256-cbc"));
}

#[test]
fn every_length_and_form_of_openssl_is_read() {
    let pki = Pki::new();
    let (rsa, elliptic) = (reader(&pki, "rsa2048"), reader(&pki, "p256"));
    let mut count = 0;
    for length in LENGTHS {
        let content = vec![0xA5; *length];
        pki.write("content", &content);
        for (cipher, _) in CIPHERS.iter().filter(|(cipher, _)| full() || cipher.contains("256")) {
            // For triple DES openssl would wrap keys with triple DES too, which we do not read.
            let wrap: &[&str] = if *cipher == "des-ede3-cbc" { &["-aes256-wrap"] } else { &[] };
            for options in [&[][..], &["-stream"], &["-keyid"], &["-keyid", "-stream"]] {
                let Ok(cms) =
                    encrypt(&pki, cipher, &[wrap, options].concat(), &[(&rsa, &[]), (&elliptic, &[])])
                else {
                    assert_eq!(
                        *length, 0,
                        "openssl writes no empty content of definite length, but all else"
                    );
                    continue;
                };
                for person in [&rsa, &elliptic] {
                    let (opened, _) = engine::decrypt(&cms, &mut person.ring()).unwrap_or_else(|code| {
                        panic!("{length} {cipher} {options:?} {}: {code}", person.name)
                    });
                    assert_eq!(opened, content);
                    count += 1;
                }
            }
        }
    }
    println!("openssl encrypts lengths and forms, we read: {count}");
}

#[test]
fn every_rsa_padding_of_openssl_is_read_or_refused_by_name() {
    let pki = Pki::new();
    let person = reader(&pki, "rsa2048");
    let ring = &mut person.ring();
    pki.write("content", CONTENT);
    let digests = ["sha1", "sha224", "sha256", "sha384", "sha512"];
    for hash in digests {
        for mask in digests {
            let (hash_option, mask_option) = (format!("rsa_oaep_md:{hash}"), format!("rsa_mgf1_md:{mask}"));
            let options =
                ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", &hash_option, "-keyopt", &mask_option];
            let cms = encrypt(&pki, "aes-256-gcm", &[], &[(&person, &options)]).unwrap();
            assert_eq!(read(&cms, ring, CONTENT), Ok(true), "OAEP {hash} with MGF1 {mask}");
        }
    }
    let label = [
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha256",
        "-keyopt",
        "rsa_mgf1_md:sha256",
        "-keyopt",
        "rsa_oaep_label:616263",
    ];
    let cms = encrypt(&pki, "aes-256-gcm", &[], &[(&person, &label)]).unwrap();
    assert_eq!(engine::decrypt(&cms, ring).map(|_| ()), Err("unsupported-algorithm".to_owned()));
    let cms =
        encrypt(&pki, "aes-256-gcm", &[], &[(&person, &["-keyopt", "rsa_padding_mode:pkcs1"])]).unwrap();
    assert_eq!(read(&cms, ring, CONTENT), Ok(true));
}

#[test]
fn every_key_agreement_of_openssl_is_read_or_refused_by_name() {
    let pki = Pki::new();
    let mut count = 0;
    for kind in ["p256", "p384"] {
        let person = reader(&pki, kind);
        for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
            for wrap in ["-aes128-wrap", "-aes192-wrap", "-aes256-wrap", "-des3-wrap"] {
                for (cipher, cofactor) in
                    [("aes-128-cbc", "0"), ("aes-256-gcm", "0"), ("aes-256-gcm", "1"), ("des-ede3-cbc", "0")]
                {
                    pki.write("content", CONTENT);
                    let (digest_option, cofactor_option) =
                        (format!("ecdh_kdf_md:{digest}"), format!("ecdh_cofactor_mode:{cofactor}"));
                    let options = ["-keyopt", &digest_option, "-keyopt", &cofactor_option];
                    // DES key wrap holds DES keys only.
                    let Ok(cms) = encrypt(&pki, cipher, &[wrap], &[(&person, &options)]) else { continue };
                    let outcome =
                        engine::decrypt(&cms, &mut person.ring()).map(|(content, _)| content == CONTENT);
                    // Everything of RFC 5753 but triple DES key wrap.
                    let wanted = match wrap {
                        "-des3-wrap" => Err("unsupported-algorithm".to_owned()),
                        _ => Ok(true),
                    };
                    assert_eq!(outcome, wanted, "{kind} {digest} {wrap} {cipher} cofactor {cofactor}");
                    count += 1;
                }
            }
        }
    }
    println!("openssl agrees on keys, we read or refuse by name: {count}");
    assert!(count >= 100, "{count}");
}

#[test]
fn recipients_of_kinds_that_we_do_not_know_do_not_hide_ours() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    let (rsa, elliptic) = (reader(&pki, "rsa2048"), reader(&pki, "p256"));
    let (other_curve, larger) = (reader(&pki, "p521"), reader(&pki, "brainpool"));
    let password = ["-pwri_password", "secret"];
    let secret = ["-secretkey", "000102030405060708090A0B0C0D0E0F", "-secretkeyid", "C0FFEE"];
    for cipher in ["aes-256-cbc", "aes-256-gcm"] {
        for options in [&password[..], &secret, &[&password[..], &secret].concat()] {
            let people: [(&Identity, &[&str]); 4] =
                [(&other_curve, &[]), (&rsa, &[]), (&larger, &[]), (&elliptic, &[])];
            // OpenSSL 3.0 has passwords and AEAD exclude each other.
            let Ok(mixed) = encrypt(&pki, cipher, options, &people) else { continue };
            for person in [&rsa, &elliptic] {
                assert_eq!(engine::decrypt(&mixed, &mut person.ring()).unwrap().0, CONTENT, "{options:?}");
            }
            let alone = encrypt(&pki, cipher, options, &[]).unwrap();
            assert_eq!(engine::decrypt(&alone, &mut rsa.ring()).map(|_| ()), Err("not-for-us".to_owned()));
        }
    }
}

#[test]
fn what_openssl_writes_and_is_no_envelope_is_no_envelope() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    let ring = &mut reader(&pki, "p256").ring();
    for (command, more) in [
        ("-digest_create", &[][..]),
        ("-data_create", &[]),
        ("-EncryptedData_encrypt", &["-aes-128-cbc", "-secretkey", "000102030405060708090A0B0C0D0E0F"]),
    ] {
        let arguments = ["cms", command, "-binary", "-in", "content", "-outform", "DER"];
        let cms = openssl(pki.path(), &[&arguments[..], more].concat());
        let outcome = engine::decrypt(&cms, ring).map(|_| ());
        assert!(
            matches!(outcome.as_ref().map_err(String::as_str), Err("not-enveloped")),
            "{command}: {outcome:?}"
        );
    }
}

#[test]
fn openssl_opens_what_we_encrypt_to_every_recipient() {
    let pki = Pki::new();
    let people: Vec<Identity> = engine::READING_KINDS.iter().map(|kind| reader(&pki, kind)).collect();
    let mut count = 0;
    for enveloping in [Enveloping::Authenticated, Enveloping::Compatible] {
        for length in LENGTHS {
            let content = vec![0x5A; *length];
            let everybody: Vec<&Identity> = people.iter().collect();
            let cms = engine::encrypt(&content, &everybody, enveloping);
            for person in &people {
                assert_eq!(
                    openssl_opens(&pki, &cms, person).unwrap(),
                    content,
                    "{} {enveloping:?} {length}",
                    person.name
                );
                count += 1;
            }
            if enveloping == Enveloping::Authenticated {
                let mut changed = cms.clone();
                *changed.last_mut().unwrap() ^= 1;
                assert!(openssl_opens(&pki, &changed, &people[0]).is_err());
            }
        }
    }
    println!("we encrypt, openssl opens: {count}");
}

/// The content, as openssl hands it out with this person's key.
fn openssl_opens(pki: &Pki, cms: &[u8], person: &Identity) -> Result<Vec<u8>, String> {
    pki.write("ours.der", cms);
    let (pem, key) = (person.pem(), person.key());
    let arguments = [
        "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "ours.der", "-recip", &pem, "-inkey", &key,
        "-out", "opened",
    ];
    let output = try_openssl(pki.path(), &arguments);
    match output.status.success() {
        true => Ok(pki.read("opened")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
