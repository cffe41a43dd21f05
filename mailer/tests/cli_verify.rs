//! `mailer verify`, and what `open` and `verify` say about parts, odd line ends and broken structures.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail this way"
)]
mod accounts;
mod openssl_pki;

use accounts::{Office, Said};
use openssl_pki::{Key, openssl};

const PLAIN: &[u8] = b"From: alice@example.test\nTo: bob@example.test\nSubject: memo\nContent-Type: text/plain; charset=utf-8\n\nline one\nline two\n";

fn office() -> Office {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    office
}

fn protect(office: &Office, more: &[&str], message: &[u8]) -> String {
    office.run("alice", &[&["protect"][..], more].concat(), message).expect(0).text()
}

/// What `verify --json` prints on stdout.
fn verified(office: &Office, message: &str, code: i32) -> serde_json::Value {
    let said = office.run("bob", &["verify", "--json"], message.as_bytes()).expect(code);
    assert!(said.stderr.is_empty(), "{}", said.stderr);
    serde_json::from_slice(&said.stdout).unwrap()
}

fn opened(office: &Office, message: &str, code: i32) -> Said {
    office.run("bob", &["open", "--json"], message.as_bytes()).expect(code)
}

#[test]
fn verify_tells_who_signed_and_shows_no_content() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt"], PLAIN);
    let found = verified(&office, &signed, 0);
    assert_eq!(found["verdict"]["code"], "trusted");
    assert_eq!(found["header"]["protection"], "hp-clear");
    let said = office.run("bob", &["verify"], signed.as_bytes()).expect(0);
    assert!(said.text().starts_with("Signed by ") && !said.text().contains("line one"), "{}", said.text());
    // From a file; with the card for an encrypted one; and without any card for a signed one.
    office.pki.write("signed.eml", signed.as_bytes());
    office.run("bob", &["verify", "signed.eml"], b"").expect(0);
    let protected = protect(&office, &[], PLAIN);
    assert_eq!(verified(&office, &protected, 0)["encrypted"], true);
    std::fs::rename(office.path("bob.card"), office.path("elsewhere.card")).unwrap();
    assert_eq!(verified(&office, &signed, 0)["verdict"]["code"], "trusted");
    office.run("bob", &["verify"], protected.as_bytes()).expect(1);
}

#[test]
fn verify_ends_with_4_where_nothing_is_proven() {
    let office = office();
    assert_eq!(verified(&office, &String::from_utf8_lossy(PLAIN), 4)["verdict"]["code"], "unsigned");
    let signed = protect(&office, &["--no-encrypt"], PLAIN);
    assert_eq!(
        verified(&office, &signed.replace("line one", "line two"), 4)["verdict"]["code"],
        "content-changed"
    );
    office.run("bob", &["verify", "no such file"], b"").expect(1);
}

#[test]
fn a_signature_over_a_file_is_verified() {
    let office = office();
    office.pki.write("report.bin", &[b"\x00\n\r\xFF".repeat(1_000), b"end".to_vec()].concat());
    let arguments = "cms -sign -binary -md sha256 -in report.bin -signer alice-sign.pem -inkey alice-sign.key -certfile People.pem -outform DER";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    office.pki.write("report.p7s", &openssl(office.pki.path(), &arguments));
    let arguments: Vec<&str> = [&arguments[..], &["-nodetach"]].concat();
    office.pki.write("report.p7m", &openssl(office.pki.path(), &arguments));
    let verify = |more: &[&str]| office.run("bob", &[&["verify", "--json"][..], more].concat(), b"");
    let said = verify(&["--content", "report.bin", "report.p7s"]).expect(0);
    assert!(said.text().contains("\"trusted\""), "{}", said.text());
    verify(&["--cms", "report.p7m"]).expect(0);
    // OpenSSL writes PEM with -outform PEM, others call it PKCS7.
    let pem: Vec<&str> = arguments.iter().map(|word| if *word == "DER" { "PEM" } else { word }).collect();
    let pem = String::from_utf8(openssl(office.pki.path(), &pem)).unwrap();
    for (text, code) in [
        (pem.clone(), 0),
        (format!("\r\n{}", pem.replace('\n', "\r\n").replace(" CMS-", " PKCS7-")), 0),
        (pem.replace(" CMS-", " CERTIFICATE-"), 4),
        (pem.replace("-----END CMS-----", ""), 4),
        ("-----BEGIN CMS-----".to_owned(), 4),
        ("nothing of the kind".to_owned(), 4),
        (String::new(), 4),
    ] {
        office.pki.write("report.pem", text.as_bytes());
        let said = verify(&["--cms", "report.pem"]).expect(code);
        assert_eq!(said.text().contains("\"trusted\":true"), code == 0, "{}", said.text());
    }
    office.pki.write("report.bin", b"something else");
    let said = verify(&["--content", "report.bin", "report.p7s"]).expect(4);
    assert!(said.text().contains("content-changed"), "{}", said.text());
    verify(&["--cms", "report.p7s"]).expect(4);
    verify(&["--content", "report.bin", "report.p7m"]).expect(4);
    verify(&["--cms", "report.bin"]).expect(4);
}

/// A mailing list's footer around a message: the parts of a `multipart/mixed`.
fn mixed(from: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--=_list\r\n{part}\r\n")).collect();
    format!(
        "From: {from}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_list\"\r\n\r\n{parts}--=_list--\r\n"
    )
}

fn entity(message: &str) -> String {
    message[message.find("Content-Type").unwrap()..].to_owned()
}

const FOOTER: &str = "Content-Type: text/plain\r\n\r\n-- \r\nlist footer\r\n";

#[test]
fn a_part_that_is_signed_by_itself_speaks_for_itself_alone() {
    let office = office();
    let signed = entity(&protect(&office, &["--no-encrypt", "--headers", "unprotected"], PLAIN));
    let message = mixed("alice@example.test", &[&signed, FOOTER]);
    let said = opened(&office, &message, 0);
    assert_eq!(said.text(), message);
    let found = said.json();
    assert_eq!(found["verdict"]["code"], "unsigned");
    let part = &found["parts"][0];
    assert_eq!((&part["position"], &part["verdict"]["code"]), (&"1".into(), &"trusted".into()));
    let said = office.run("bob", &["open"], message.as_bytes()).expect(0);
    assert!(said.stderr.contains("not signed") && said.stderr.contains("Part 1 alone"), "{}", said.stderr);
    office.run("bob", &["open", "--require-signed"], message.as_bytes()).expect(4);
    // Somebody else's message around it: the part does not become theirs.
    let other = mixed("bob@example.test", &[FOOTER, &signed]);
    let part = &verified(&office, &other, 4)["parts"][0];
    assert_eq!((&part["position"], &part["verdict"]["code"]), (&"2".into(), &"address-mismatch".into()));
    let changed = message.replace("line one", "line two");
    assert_eq!(verified(&office, &changed, 4)["parts"][0]["verdict"]["code"], "content-changed");
}

#[test]
fn a_forwarded_message_is_judged_by_its_own_author() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt", "--headers", "unprotected"], PLAIN);
    let forwarded = format!("Content-Type: message/rfc822\r\n\r\n{signed}");
    let message = mixed("bob@example.test", &[FOOTER, &forwarded]);
    let part = &verified(&office, &message, 4)["parts"][0];
    assert_eq!((&part["position"], &part["verdict"]["code"]), (&"2.1".into(), &"trusted".into()));
    // The forwarder's own signature covers all of it; what is inside keeps its own.
    let message = message.replace("bob@", "alice@").replace(
        "From: alice@example.test\r\nMIME",
        "From: alice@example.test\r\nTo: bob@example.test\r\nMIME",
    );
    let again = protect(&office, &[], message.as_bytes());
    let found = opened(&office, &again, 0).json();
    assert_eq!(found["verdict"]["code"], "trusted");
    assert_eq!(found["parts"][0]["verdict"]["code"], "trusted");
}

#[test]
fn an_encrypted_part_among_others_stays_closed() {
    let office = office();
    let encrypted = entity(&protect(&office, &[], PLAIN));
    let html = "Content-Type: text/html\r\n\r\n<img src=\"http://evil.test/";
    let message = mixed("alice@example.test", &[html, &encrypted, "Content-Type: text/html\r\n\r\n\">"]);
    let said = opened(&office, &message, 0);
    assert_eq!(said.text(), message);
    assert_eq!(
        (&said.json()["parts"][0]["is"], &said.json()["encrypted"]),
        (&"encrypted".into(), &false.into())
    );
}

#[test]
fn structures_that_nobody_needs_are_refused_by_name() {
    let office = office();
    let parts = "--b\r\n\r\n".repeat(10_000);
    let many = format!("From: a@x.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let nested = (0..30).fold("From: a@x.test\r\n".to_owned(), |message, n| {
        format!("{message}Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")
    });
    let long = format!("From: a@x.test\r\nX: {}\r\n\r\n", "y".repeat(300_000));
    for (message, code) in [(many, "too-many-parts"), (nested, "too-deep"), (long, "header-too-long")] {
        let said = opened(&office, &message, 1);
        assert!(said.stdout.is_empty());
        assert_eq!(said.json()["error"]["code"], code);
        let said =
            office.run("alice", &["protect", "--json", "--from", "alice@example.test"], message.as_bytes());
        assert!(said.code != 0 && said.stdout.is_empty(), "{code}");
    }
}

#[test]
fn signed_mail_is_read_in_whatever_state_it_comes() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt"], PLAIN);
    let boundary = signed.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let good = [
        ("only line feeds", signed.replace("\r\n", "\n")),
        ("no micalg", signed.replace(" micalg=sha-256;\r\n", "")),
        ("another micalg", signed.replace("micalg=sha-256", "micalg=md5")),
        ("no protocol", signed.replace("protocol=\"application/pkcs7-signature\";", "")),
        ("no line end at the end", signed.trim_end().to_owned()),
        ("text after the end", format!("{signed}-- \r\nlist footer\r\n")),
        (
            "blanks after a boundary",
            signed.replace(&format!("--{boundary}\r\n"), &format!("--{boundary} \t\r\n")),
        ),
        ("an mbox line", format!("From alice Sat Nov 21 22:15:00 2026\r\n{signed}")),
    ];
    for (what, message) in good {
        let said = office.run("bob", &["open", "--json"], message.as_bytes());
        assert!(said.code == 0 && said.text().contains("line one\r\nline two"), "{what}: {}", said.stderr);
    }
    let broken = [
        ("cut off", signed[..signed.len() * 2 / 3].to_owned()),
        ("no end", signed.replace(&format!("--{boundary}--"), "")),
        ("a boundary inside", signed.replace("line two", &format!("--{boundary}\r\nline two"))),
        ("mixed line ends", signed.replace("line one\r\n", "line one\n")),
        ("a blank more", signed.replace("line one\r\n", "line one \r\n")),
        ("damaged base64", signed.replace("\r\nMII", "\r\nA\r\n=MII")),
    ];
    for (what, message) in broken {
        let said = office.run("bob", &["open", "--json", "--show-untrusted"], message.as_bytes());
        assert!(said.code == 4 && said.stdout.is_empty(), "{what}: {} {}", said.code, said.stderr);
    }
}

#[test]
fn a_wrong_charset_and_a_false_boundary_survive_protection() {
    let office = office();
    let odd = "From: alice@example.test\r\nTo: bob@example.test\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n\
               Content-Type: text/plain; charset=no-such-charset\r\n\r\n\u{e4}\r\n--=_bx\r\n--=_b --\r\n--=_b--\r\n";
    let opened = opened(&office, &protect(&office, &[], odd.as_bytes()), 0);
    assert_eq!(opened.json()["verdict"]["code"], "trusted");
    assert!(opened.text().ends_with(&odd[odd.find("--=_b\r\n").unwrap()..]), "{}", opened.text());
}

#[test]
fn what_anybody_may_have_changed_is_never_html() {
    let office = office();
    office.pki.write(
        "html",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=\"http://evil.test/\r\n--b\r\n\r\nplain\r\n--b--\r\n",
    );
    let arguments =
        ["cms", "-encrypt", "-aes-256-cbc", "-in", "html", "-from", "alice@example.test", "bob-read.pem"];
    let encrypted = openssl(office.pki.path(), &arguments);
    office.run("bob", &["open"], &encrypted).expect(4).stdout.is_empty().then_some(()).unwrap();
    let said = office.run("bob", &["open", "--show-untrusted"], &encrypted).expect(4);
    assert!(!said.text().contains("text/html") && said.text().contains("plain"), "{}", said.text());
}

#[test]
fn a_protected_header_comes_back_and_nobody_on_the_way_reads_the_subject() {
    let office = office();
    let protected = protect(&office, &[], PLAIN);
    assert!(protected.contains("Subject: [...]") && !protected.contains("memo"), "{protected}");
    let said = opened(&office, &protected.replace("Subject: [...]", "Subject: forged"), 0);
    assert!(said.text().contains("Subject: memo\r\n") && !said.text().contains("forged"), "{}", said.text());
    assert!(!said.text().contains("HP-Outer") && !said.text().contains("hp="), "{}", said.text());
    assert_eq!(said.json()["header"]["protection"], "hp-cipher");
    let said = opened(&office, &protected.replace("From: alice@", "From: bob@"), 0);
    assert!(said.text().contains("From: alice@"), "{}", said.text());
    assert_eq!(said.json()["header"]["disagreements"][0]["code"], "from-differs");
    for (policy, subject) in [("no-confidentiality", "memo"), ("unprotected", "memo"), ("shy", "[...]")] {
        let protected = protect(&office, &["--headers", policy], PLAIN);
        assert!(protected.contains(&format!("Subject: {subject}\r\n")), "{policy}");
        assert!(opened(&office, &protected, 0).text().contains("Subject: memo\r\n"), "{policy}");
    }
    office.run("alice", &["protect", "--headers", "loud"], PLAIN).expect(2);
}

/// CompressedData (RFC 3274) around an entity, as Python's zlib and a few octets of DER make it.
const COMPRESS: &str = r#"
import sys, zlib
def tlv(tag, content):
    n = len(content)
    length = bytes([n]) if n < 128 else bytes([0x84]) + n.to_bytes(4, "big")
    return bytes([tag]) + length + content
oid = lambda text: tlv(6, bytes.fromhex(text))
inside = tlv(0x30, oid("2a864886f70d010701") + tlv(0xA0, tlv(4, zlib.compress(sys.stdin.buffer.read()))))
data = tlv(0x30, tlv(2, bytes([0])) + tlv(0x30, oid("2a864886f70d0109100308")) + inside)
sys.stdout.buffer.write(tlv(0x30, oid("2a864886f70d0109100109") + tlv(0xA0, data)))
"#;

fn compressed(entity: &[u8]) -> String {
    let mut python = std::process::Command::new("python3");
    let said = accounts::run(python.args(["-c", COMPRESS]), entity).expect(0);
    String::from_utf8(mailer::message::secured::pkcs7_mime(&said.stdout, "compressed-data")).unwrap()
}

#[test]
fn compressed_mail_is_read_inside_and_outside_a_signature() {
    let office = office();
    let outer = "From: alice@example.test\r\nTo: bob@example.test\r\nMIME-Version: 1.0\r\n";
    let plain = compressed(b"Content-Type: text/plain\r\n\r\nsmall\r\n");
    let said = opened(&office, &format!("{outer}{plain}"), 0);
    assert!(said.text().ends_with("\r\n\r\nsmall\r\n"), "{}", said.text());
    assert_eq!(
        (&said.json()["verdict"]["code"], &said.json()["layers"][0]["is"]),
        (&"unsigned".into(), &"compressed".into())
    );
    let around = protect(&office, &[], format!("{outer}{plain}").as_bytes());
    assert_eq!(opened(&office, &around, 0).json()["verdict"]["code"], "trusted");
    let signed = entity(&protect(&office, &["--no-encrypt", "--headers", "unprotected"], PLAIN));
    let inside = format!("{outer}{}", compressed(signed.as_bytes()));
    assert_eq!(opened(&office, &inside, 0).json()["verdict"]["code"], "trusted");
    let bomb = format!("{outer}{}", compressed(&vec![0; 100_000_000]));
    let said = opened(&office, &bomb, 4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["error"]["code"], "decompression-bomb");
}
