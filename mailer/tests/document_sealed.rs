//! Documents sealed to their readers, against pyHanko in both directions, with key files and with cards.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod foreign_pdf;
mod openssl_pki;

use std::path::{Path, PathBuf};

use accounts::Office;
use foreign_pdf::{pyhanko, run};
use mailer::documents::sealed::{Explanation, FileName, Integrity, Opened, SealedError, open, seal};
use mailer::keys::{CardKeys, KeyRing, KeysError, LastTry, Locator, PinProvider, RsaEncryption};
use mailer::smime::{DecryptError, Enveloping, Recipient, decrypt};
use mailer::trust::Certificate;
use openssl_pki::{FileKeyRing, Identity, Key, Pki, bytes, content};
use zeroize::Zeroizing;

const NAME: &str = "通知 No. 7.pdf";

/// A document of several chunks that does not end with a block.
fn document() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let noise = (0..150_003).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    b"%PDF-1.7\n".iter().copied().chain(noise).collect()
}

fn recipients(readers: &[&Identity]) -> Vec<Recipient> {
    readers.iter().map(|reader| Recipient::unchecked(reader.certificate(), false)).collect()
}

fn sealed_to(document: &[u8], readers: &[&Identity]) -> Vec<u8> {
    let name = FileName::new(NAME).unwrap();
    let sealed = seal(&content(document), &name, &recipients(readers), &Explanation::english()).unwrap();
    let mut file = Vec::new();
    sealed.write_to(&mut file).unwrap();
    assert_eq!(file.len() as u64, sealed.len());
    file
}

fn opened(file: &[u8], ring: &mut FileKeyRing) -> Result<Opened, SealedError> {
    open(&content(file), ring)
}

#[test]
fn any_pdf_program_shows_the_page_and_only_readers_open_the_document() {
    let pki = Pki::new();
    let people = [Key::Rsa2048, Key::P256, Key::P384].map(|key| pki.reader(&format!("{key:?}"), key));
    let stranger = pki.reader("stranger", Key::P256);
    let document = document();
    let file = sealed_to(&document, &people.each_ref());
    pki.write("wrapper.pdf", &file);
    let path = pki.path().join("wrapper.pdf");
    let path = path.to_str().unwrap();
    let checked = run("qpdf", &["--check", path]);
    assert!(
        checked.contains("PDF Version: 2.0") && checked.contains("No syntax or stream encoding errors"),
        "{checked}"
    );
    assert!(checked.contains("File is not encrypted"), "{checked}");
    let text = run("pdftotext", &[path, "-"]);
    assert!(text.contains("sealed to its readers") && text.contains("mailer document decrypt"), "{text}");
    let listed = run("pdfdetach", &["-list", path]);
    assert!(listed.contains("1 embedded files") && listed.contains("sealed document.pdf"), "{listed}");
    // Nothing of the document and its name is in the file.
    assert!(!file.windows(8).any(|window| window == &document[..8] && window != b"%PDF-2.0"));
    assert!(!file.windows(64).any(|window| window == &document[1_000..1_064]));
    for person in &people {
        let opened = opened(&file, &mut person.ring()).unwrap();
        assert!(bytes(&opened.document) == document);
        assert_eq!((opened.file_name.as_str(), opened.integrity), (NAME, Integrity::Authenticated));
    }
    let refused = opened(&file, &mut stranger.ring()).unwrap_err();
    assert!(matches!(refused, SealedError::Envelope(DecryptError::NotForUs)), "{refused}");
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        ("not-for-us", "this document is not sealed to any key of this card")
    );
}

#[test]
fn pyhanko_opens_what_we_seal() {
    let pki = Pki::new();
    let people = [Key::Rsa2048, Key::P256, Key::P384].map(|key| pki.reader(&format!("{key:?}"), key));
    let document = document();
    let wrapper = sealed_to(&document, &people.each_ref());
    pki.write("wrapper.pdf", &wrapper);
    let mut changed = wrapper.clone();
    changed[wrapper.len() - 20_000] ^= 1;
    pki.write("changed.pdf", &changed);
    let stranger = pki.reader("stranger", Key::Rsa2048);
    let files: Vec<[String; 3]> = people
        .iter()
        .chain([&stranger])
        .map(|person| [person.key(), person.pem(), format!("{}.opened", person.name)])
        .collect();
    let commands: Vec<[&str; 5]> = files
        .iter()
        .map(|[key, certificate, out]| ["unseal", "wrapper.pdf", key, certificate, out])
        .collect();
    let mut commands: Vec<&[&str]> = commands.iter().map(|command| &command[..]).collect();
    commands.push(&["unseal", "changed.pdf", "P256.key", "P256.pem", "changed.opened"]);
    let answers = pyhanko(pki.path(), &commands);
    for (answer, [_, _, out]) in answers.iter().zip(&files).take(3) {
        // The code of ISO/TS 32004 is found right too.
        assert_eq!(answer.as_deref(), Ok(format!("USER SUCCESSFUL {NAME}").as_str()));
        assert!(pki.read(out) == document, "{out}");
    }
    assert!(answers[3].is_err(), "{answers:?}");
    assert!(!answers[4].as_ref().is_ok_and(|words| words.contains("SUCCESSFUL")), "{answers:?}");
}

#[test]
fn we_open_what_pyhanko_seals() {
    let pki = Pki::new();
    let people = [Key::Rsa2048, Key::P256, Key::P384].map(|key| pki.reader(&format!("{key:?}"), key));
    let document = document();
    pki.write("document.pdf", &document);
    let certificates = people.each_ref().map(|person| person.pem());
    let commands = ["wrap", "encrypt"].map(|command| {
        let out = if command == "wrap" { "wrap.pdf" } else { "encrypt.pdf" };
        [&[command, "document.pdf", out, NAME][..], &certificates.each_ref().map(String::as_str)].concat()
    });
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    for answer in pyhanko(pki.path(), &commands) {
        assert_eq!(answer.as_deref(), Ok("written"));
    }
    for (file, integrity) in [("wrap.pdf", Integrity::Unproven), ("encrypt.pdf", Integrity::Authenticated)] {
        let file = pki.read(file);
        for person in &people {
            let opened = opened(&file, &mut person.ring()).unwrap();
            assert!(bytes(&opened.document) == document);
            assert_eq!((opened.file_name.as_str(), opened.integrity), (NAME, integrity));
        }
        let stranger = pki.reader("stranger", Key::Rsa2048);
        assert_eq!(opened(&file, &mut stranger.ring()).unwrap_err().code(), "not-for-us");
    }
}

struct Typed;

impl PinProvider for Typed {
    fn pin(&mut self, _: &str) -> std::io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(accounts::PIN.to_owned()))
    }
}

#[test]
fn cards_open_what_we_and_pyhanko_seal() {
    let office = Office::new();
    let document = document();
    office.pki.write("document.pdf", &document);
    for key in [Key::Rsa2048, Key::P256] {
        let name = format!("{key:?}");
        let person = office.issue(&name, key);
        office.make_card_with(&name, &[("9D", &person.reader)]);
        let (reader, out) = (person.reader.pem(), format!("{name}.pdf"));
        let answers = pyhanko(office.pki.path(), &[&["wrap", "document.pdf", &out, NAME, &reader]]);
        assert_eq!(answers[0].as_deref(), Ok("written"));
        let locator = Locator::Emulated(office.path(&format!("{name}.card")));
        let mut card = CardKeys::open(&locator, Box::new(Typed), LastTry::Refuse).unwrap();
        for file in [office.pki.read(&out), sealed_to(&document, &[&person.reader])] {
            let opened = open(&content(&file), &mut card).unwrap();
            assert!(bytes(&opened.document) == document);
        }
    }
}

#[test]
fn documents_of_every_length_come_back() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    for length in [0, 1, 15, 16, 17, 65_535, 65_536, 65_537] {
        let document = &document()[..length];
        let file = sealed_to(document, &[&reader]);
        assert!(bytes(&opened(&file, &mut reader.ring()).unwrap().document) == document, "{length}");
    }
}

#[test]
fn no_changed_octet_of_the_payload_is_overlooked() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let file = sealed_to(b"%PDF-1.7 a short document", &[&reader]);
    let start = 1 + file[1..].windows(8).position(|window| window == b"%PDF-2.0").unwrap();
    let end = start + file[start..].windows(5).position(|window| window == b"%%EOF").unwrap() + 6;
    let mut ring = reader.ring();
    let code = file.windows(6).position(|window| window == b"/MAC <").unwrap();
    let code = code..code + 660;
    let mut codes = std::collections::BTreeMap::new();
    for at in (start..end).step_by(7) {
        for bit in [0x01, 0x20] {
            // Small hexadecimal letters mean the same as capital ones.
            if bit == 0x20 && code.contains(&at) && file[at].is_ascii_alphabetic() {
                continue;
            }
            let mut changed = file.clone();
            changed[at] ^= bit;
            let refused = match opened(&changed, &mut ring) {
                Ok(_) => panic!("octet {at} of {start}..{end} changed, and nobody saw it"),
                Err(refused) => refused,
            };
            *codes.entry(refused.code()).or_insert(0) += 1;
        }
    }
    assert!(codes["sealed-damaged"] > 200, "{codes:?}");
    // Cut off anywhere, it is refused as well.
    for cut in (0..file.len()).step_by(53) {
        assert!(opened(&file[..cut], &mut ring).is_err(), "{cut}");
    }
}

/// Without its code a file that must have one is refused, although it decrypts.
#[test]
fn a_code_that_was_taken_out_is_missed() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let file = sealed_to(&document(), &[&reader]);
    let at = file.windows(9).position(|window| window == b"/AuthCode").unwrap();
    let mut without = file.clone();
    without[at..at + 9].copy_from_slice(b"/SomeCode");
    let refused = opened(&without, &mut reader.ring()).unwrap_err();
    assert!(matches!(refused, SealedError::CodeMissing), "{refused}");
    // Nor does a wrapper made of one recipient's envelope and another's content open.
    let other = sealed_to(&document(), &[&reader]);
    let envelope = |file: &[u8]| {
        let at = file.windows(11).position(|window| window == b"/Recipients").unwrap();
        let end = at + file[at..].iter().position(|octet| *octet == b']').unwrap();
        at..end
    };
    let (ours, theirs) = (envelope(&file), envelope(&other));
    let mut mixed = file.clone();
    mixed[ours].copy_from_slice(&other[theirs]);
    assert_eq!(opened(&mixed, &mut reader.ring()).unwrap_err().code(), "sealed-damaged");
}

/// Without a code, changed content shows only where the padding or the packing break.
#[test]
fn damaged_wrappers_of_others_release_nothing() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    pki.write("document.pdf", &document());
    let command: &[&str] = &["wrap", "document.pdf", "wrap.pdf", "x.pdf", "reader.pem"];
    assert_eq!(pyhanko(pki.path(), &[command])[0].as_deref(), Ok("written"));
    let file = pki.read("wrap.pdf");
    let stream = file.windows(7).position(|window| window == b"stream\n").unwrap();
    for at in [stream + 40, stream + 30_000] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let refused = opened(&changed, &mut reader.ring()).unwrap_err();
        assert!(matches!(refused, SealedError::Damaged), "{refused}");
    }
    let mut changed = file.clone();
    let size = file.windows(6).position(|window| window == b"/Size ").unwrap() + 6;
    changed[size] = b'9';
    assert!(matches!(opened(&changed, &mut reader.ring()), Err(SealedError::Damaged)));
}

#[test]
fn what_is_no_sealed_document_is_refused_by_its_name() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let mut ring = reader.ring();
    assert_eq!(opened(b"From: a@b.c\r\n\r\nmail", &mut ring).unwrap_err().code(), "not-pdf");
    let file = |options: &[&str]| {
        let source = pki.path().join("wrapper.pdf");
        let out = pki.path().join("out.pdf");
        pki.write("wrapper.pdf", &sealed_to(&document(), &[&reader]));
        run("qpdf", &[options, &[source.to_str().unwrap(), out.to_str().unwrap()]].concat());
        std::fs::read(out).unwrap()
    };
    // The wrapper written anew by another program still holds the payload, packed or not.
    for options in
        [&["--object-streams=generate"][..], &["--qdf", "--stream-data=preserve"], &["--linearize"]]
    {
        assert!(bytes(&opened(&file(options), &mut ring).unwrap().document) == document(), "{options:?}");
    }
    let password = file(&["--encrypt", "user", "owner", "256", "--"]);
    let refused = opened(&password, &mut ring).unwrap_err();
    assert!(refused.to_string().contains("with a password"), "{refused}");
    let attachment = file(&["--remove-attachment=sealed document.pdf"]);
    assert!(matches!(opened(&attachment, &mut ring), Err(SealedError::NotSealed)));
}

/// A file of these objects, written by hand.
fn file_of(objects: &[String], trailer: &str) -> Vec<u8> {
    let (mut file, mut table) = ("%PDF-2.0\n".to_owned(), String::new());
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let (start, size) = (file.len(), objects.len() + 1);
    file.push_str(&format!("xref\n0 {size}\n0000000000 65535 f \n{table}"));
    file.push_str(&format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF\n"));
    file.into_bytes()
}

fn stream(octets: &str) -> String {
    format!("<</Type/EmbeddedFile/Length {}>>\nstream\n{octets}\nendstream", octets.len())
}

/// A file whose key is in these envelopes, around a stream that does not matter.
fn encrypted_file(envelopes: &[Vec<u8>]) -> Vec<u8> {
    let recipients: String =
        envelopes.iter().map(|envelope| format!("<{}>", hex::encode(envelope))).collect();
    let filter = format!("<</CFM/AESV3/Recipients[{recipients}]>>");
    let objects = [
        "<</Type/Catalog/Names<</EmbeddedFiles<</Names[(x)2 0 R]>>>>>>".to_owned(),
        "<</Type/Filespec/F(x)/EF<</F 3 0 R>>>>".to_owned(),
        stream(&"x".repeat(32)),
        format!("<</Filter/Adobe.PubSec/SubFilter/adbe.pkcs7.s5/V 5/StmF/F/StrF/F/CF<</F {filter}>>>>"),
    ];
    file_of(&objects, "/Encrypt 4 0 R")
}

/// Counts what a card would have to do.
struct Counting(FileKeyRing, usize);

impl KeyRing for Counting {
    fn certificates(&self) -> &[Certificate] {
        self.0.certificates()
    }

    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        octets: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        self.1 += 1;
        self.0.decrypt(index, encryption, octets)
    }

    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        self.1 += 1;
        self.0.agree(index, peer)
    }
}

/// Many envelopes must not make the card work for each.
#[test]
fn envelopes_that_do_not_open_cost_one_key_operation() {
    let pki = Pki::new();
    let (reader, other) = (pki.reader("reader", Key::P256), pki.reader("other", Key::P256));
    let good = openssl_pki::envelope(&[7; 24], &recipients(&[&reader]), Enveloping::Document);
    let foreign = openssl_pki::envelope(&[7; 24], &recipients(&[&other]), Enveloping::Document);
    let damaged = (0..good.len()).rev().find_map(|at| {
        let mut changed = good.clone();
        changed[at] ^= 1;
        let mut ring = Counting(reader.ring(), 0);
        let refused = decrypt(&changed, &mut ring).err();
        (matches!(refused, Some(DecryptError::Damaged)) && ring.1 == 1).then_some(changed)
    });
    let damaged = damaged.unwrap();
    for (envelopes, operations) in [
        (vec![damaged.clone(); 50], 1),
        (vec![foreign.clone(); 50], 0),
        (vec![b"0".to_vec(), foreign, good, damaged], 1),
    ] {
        let mut ring = Counting(reader.ring(), 0);
        let refused = open(&content(&encrypted_file(&envelopes)), &mut ring).unwrap_err();
        assert_eq!(ring.1, operations, "{refused}");
    }
    let malformed = opened(&encrypted_file(&[]), &mut reader.ring()).unwrap_err();
    assert_eq!(malformed.code(), "sealed-malformed");
}

#[test]
fn a_wrapper_with_several_payloads_or_none_is_refused() {
    let pki = Pki::new();
    let mut ring = pki.reader("reader", Key::P256).ring();
    let wrapper = |relationships: [&str; 2]| {
        let specification =
            |name: &str| format!("<</Type/Filespec/F(x)/EF<</F 4 0 R>>/AFRelationship/{name}>>");
        let objects = [
            "<</Type/Catalog/Names<</EmbeddedFiles<</Names[(x)2 0 R(y)3 0 R]>>>>>>".to_owned(),
            specification(relationships[0]),
            specification(relationships[1]),
            stream("no PDF file at all"),
        ];
        file_of(&objects, "")
    };
    let two = opened(&wrapper(["EncryptedPayload", "EncryptedPayload"]), &mut ring).unwrap_err();
    assert!(two.to_string().contains("several"), "{two}");
    let none = opened(&wrapper(["Data", "Source"]), &mut ring).unwrap_err();
    assert!(matches!(none, SealedError::NotSealed), "{none}");
    let one = opened(&wrapper(["EncryptedPayload", "Data"]), &mut ring).unwrap_err();
    assert_eq!(one.code(), "not-pdf", "{one}");
}

#[test]
fn nobody_and_unusable_keys_are_refused_before_anything_is_written() {
    let pki = Pki::new();
    let name = FileName::new("x.pdf").unwrap();
    let explanation = Explanation::english();
    let nobody = seal(&content(b"x"), &name, &[], &explanation).unwrap_err();
    assert_eq!(nobody.code(), "no-recipient");
    let short = pki.reader("short", Key::Rsa1024);
    let refused = seal(&content(b"x"), &name, &recipients(&[&short]), &explanation).unwrap_err();
    assert_eq!(refused.code(), "unsupported-key");
    assert_eq!(FileName::new("../x.pdf").unwrap_err().code(), "file-name");
    let chinese = Explanation { lines: vec!["加密".to_owned()], font: None };
    let reader = pki.reader("reader", Key::P256);
    let refused = seal(&content(b"x"), &name, &recipients(&[&reader]), &chinese).unwrap_err();
    assert_eq!(refused.code(), "explanation-without-font");
}

#[test]
fn the_page_explains_in_english_and_chinese_where_there_is_a_font() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let explanation = Explanation::standard(&[PathBuf::from("/usr/share/fonts")]);
    assert!(explanation.font.is_some());
    assert!(Explanation::standard(&[]).font.is_none());
    let name = FileName::new(NAME).unwrap();
    let sealed = seal(&content(&document()), &name, &recipients(&[&reader]), &explanation).unwrap();
    let file = bytes(&sealed.into_content().unwrap());
    pki.write("wrapper.pdf", &file);
    let path = pki.path().join("wrapper.pdf");
    let checked = run("qpdf", &["--check", path.to_str().unwrap()]);
    assert!(checked.contains("No syntax or stream encoding errors"), "{checked}");
    let text = run("pdftotext", &["-enc", "UTF-8", path.to_str().unwrap(), "-"]);
    assert!(text.contains("sealed to its readers") && text.contains("仅供指定的接收人阅读"), "{text}");
    assert!(bytes(&opened(&file, &mut reader.ring()).unwrap().document) == document());
    keep(&path);
}

/// For looking at.
fn keep(path: &Path) {
    if let Some(folder) = std::env::var_os("SEAL_PICTURES") {
        std::fs::copy(path, Path::new(&folder).join("wrapper.pdf")).unwrap();
    }
}

#[test]
fn hundreds_of_readers_share_one_document() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let last = pki.reader("last", Key::Rsa2048);
    let mut everybody = vec![&reader; 1_200];
    everybody.push(&last);
    let file = sealed_to(&document(), &everybody);
    // More than one envelope; the file's key comes from all of them.
    let at = file.windows(11).position(|window| window == b"/Recipients").unwrap();
    let end = at + file[at..].iter().position(|octet| *octet == b']').unwrap();
    assert_eq!(file[at..end].iter().filter(|octet| **octet == b'<').count(), 2);
    for person in [&reader, &last] {
        assert!(bytes(&opened(&file, &mut person.ring()).unwrap().document) == document());
    }
}
