//! Classes that are groups of an LDAP server.
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use mailer::readers::ldap::url::Security;
use mailer::readers::ldap::{Client, LdapUrl};
use mailer::readers::{ReadersError, ldap_groups};
use mailer::transport::tls::TlsAnchors;
use serde_json::Value;

use crate::accounts::Office;
use crate::material::{office, pdf};
use crate::openssl_pki::{Key, Pki};
use crate::slapd::{BASE, Slapd, free_port};

const HOSTILE_NAME: &str = "a*)(cn=\\, \"b\"";

fn entries() -> String {
    let person = |uid: &str, mail: &str| {
        format!(
            "dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n{mail}\n"
        )
    };
    let mut ldif =
        format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n");
    for name in ["bob", "carol", "nobody"] {
        ldif.push_str(&person(name, &format!("mail: {name}@example.test\n")));
    }
    ldif.push_str(&person("mute", ""));
    ldif.push_str(&format!(
        "dn: cn=a\\2C \\\"odd\\\" \\3Done,{BASE}\nobjectClass: inetOrgPerson\ncn: a, \"odd\" =one\nsn: x\nmail: carol@example.test\n\n"
    ));
    let mut group = |name: &str, class: &str, attribute: &str, members: &[String]| {
        let members: String = members.iter().map(|member| format!("{attribute}: {member}\n")).collect();
        let relative =
            name.replace('\\', "\\5C").replace(',', "\\2C").replace('"', "\\22").replace('=', "\\3D");
        ldif.push_str(&format!("dn: cn={relative},{BASE}\nobjectClass: {class}\ncn: {name}\n{members}\n"));
    };
    let of = |names: &[&str]| names.iter().map(|name| format!("uid={name},{BASE}")).collect::<Vec<_>>();
    group("Board", "groupOfNames", "member", &of(&["bob", "carol"]));
    group("unique", "groupOfUniqueNames", "uniqueMember", &[format!("uid=bob,{BASE}#'0101'B")]);
    group("odd", "groupOfNames", "member", &[format!("cn=a\\2C \\22odd\\22 \\3Done,{BASE}")]);
    group("broken", "groupOfNames", "member", &of(&["bob", "mute", "gone"]));
    group("strangers", "groupOfNames", "member", &of(&["bob", "nobody"]));
    group("empty", "groupOfNames", "member", &[String::new()]);
    group(HOSTILE_NAME, "groupOfNames", "member", &of(&["bob"]));
    ldif.push_str(&format!("dn: ou=twice,{BASE}\nobjectClass: organizationalUnit\nou: twice\n\n"));
    ldif.push_str(&format!(
        "dn: cn=unique,ou=twice,{BASE}\nobjectClass: groupOfNames\ncn: double\nmember: uid=bob,{BASE}\n\n"
    ));
    ldif.replace("dn: cn=unique,ou=twice", "dn: cn=double,ou=twice")
        + &format!("dn: cn=double,{BASE}\nobjectClass: groupOfNames\ncn: double\nmember: uid=bob,{BASE}\n\n")
}

fn with_server(url: &str) -> Office {
    let office = office(&["bob", "carol"]);
    let alice = office.issue("alice", Key::P256);
    office.publish(&alice);
    office.make_card(&alice);
    office.setup("alice", &["--maildir", "spool", "--readers-ldap", url]).expect(0);
    office.pki.write("notice.pdf", &pdf("For the board."));
    office
}

fn error(office: &Office, class: &str) -> Value {
    let arguments = ["document", "encrypt", "notice.pdf", "--readers", class, "--json"];
    let said = office.run("alice", &arguments, b"").expect(1);
    assert!(!office.path("notice-sealed.pdf").exists());
    said.json()["error"].clone()
}

#[test]
fn groups_of_the_configured_server_are_classes() {
    let server = Slapd::start(&entries(), None);
    let office = with_server(&server.url());
    for (class, readers) in [
        ("Board", &["bob@example.test", "carol@example.test"][..]),
        // Names are compared as the server compares them.
        ("board", &["bob@example.test", "carol@example.test"]),
        ("unique", &["bob@example.test"]),
        ("odd", &["carol@example.test"]),
        (HOSTILE_NAME, &["bob@example.test"]),
    ] {
        let arguments = ["document", "encrypt", "notice.pdf", "--readers", class, "--json"];
        let said = office.run("alice", &arguments, b"").expect(0);
        let found: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(found["readers"], serde_json::json!(readers), "{class}");
        std::fs::remove_file(office.path("notice-sealed.pdf")).unwrap();
    }
    for (class, code) in [
        ("*", "unknown-class"),
        ("Board)(cn=*", "unknown-class"),
        ("", "unknown-class"),
        ("double", "class-ambiguous"),
        ("empty", "class-empty"),
    ] {
        assert_eq!(error(&office, class)["code"], code, "{class}");
    }
    let broken = error(&office, "broken");
    assert_eq!(broken["code"], "member-without-address");
    let message = broken["message"].as_str().unwrap();
    assert!(message.contains("uid=mute,") && message.contains("uid=gone,") && !message.contains("uid=bob,"));
    let strangers = error(&office, "strangers");
    assert_eq!(strangers["code"], "recipients-refused");
    assert!(strangers["message"].as_str().unwrap().contains("nobody@example.test"));
}

#[test]
fn a_server_that_is_down_or_not_to_be_asked_is_told() {
    let office = with_server(&format!("ldap://127.0.0.1:{}/{BASE}", free_port()));
    let down = error(&office, "board");
    assert_eq!(down["code"], "ldap-unreachable");
    assert!(down["message"].as_str().unwrap().contains("try again later"), "{down}");
    let arguments = ["--offline", "document", "encrypt", "notice.pdf", "--readers", "board", "--json"];
    assert_eq!(office.run("alice", &arguments, b"").expect(1).json()["error"]["code"], "offline");
    let bad = office.setup("alice", &["--maildir", "spool", "--readers-ldap", "ldap://127.0.0.1"]);
    assert!(bad.expect(2).stderr.contains("names no base"));
}

fn connect(url: &str, upgrade: bool, anchors: &Pki) -> Result<(Client, LdapUrl), ReadersError> {
    let mut url: LdapUrl = url.parse().unwrap();
    if upgrade {
        // As for a server that is not on this computer.
        url.security = Security::Upgrade;
    }
    let tls = TlsAnchors::from_pem(&anchors.read("Root.pem")).unwrap();
    Ok((Client::connect(&url, &tls.client_config())?, url))
}

#[test]
fn tls_is_used_with_our_server_alone() {
    let (ours, stranger) = (Pki::new(), Pki::new());
    let extensions =
        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature";
    ours.root.issue("server", Key::P256, extensions);
    let server = Slapd::start(&entries(), Some(&ours));
    let urls = [(server.url(), true), (format!("ldaps://127.0.0.1:{}/{BASE}", server.tls_port), false)];
    for (url, upgrade) in &urls {
        let (mut client, parsed) = connect(url, *upgrade, &ours).unwrap();
        let class = ldap_groups::class(&mut client, &parsed, "board").unwrap();
        assert_eq!(class.members.len(), 2);
        let Err(refused) = connect(url, *upgrade, &stranger) else {
            panic!("a stranger's server was believed")
        };
        assert_eq!(refused.code(), "ldap-unreachable");
        assert!(refused.to_string().contains("its issuer is not the configured anchor"), "{refused}");
    }
    // Without TLS the server refuses StartTLS, and nothing is asked in the clear.
    let plain = Slapd::start(&entries(), None);
    let Err(refused) = connect(&plain.url(), true, &ours) else { panic!("it went on in the clear") };
    assert_eq!(refused.code(), "ldap-refused", "{refused}");
}

/// A server that says these octets to whatever it is asked.
fn lying(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut question = [0; 4096];
            if stream.read(&mut question).is_ok() {
                let _ = stream.write_all(&answer);
            }
        }
    });
    format!("ldap://127.0.0.1:{port}/{BASE}")
}

#[test]
fn answers_that_break_the_rules_are_refused() {
    let ours = Arc::new(Pki::new());
    for (answer, code) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "ldap-answer-refused"),
        (b"\x30\x84\xFF\xFF\xFF\xFF", "ldap-answer-refused"),
        (b"\x30\x80", "ldap-answer-refused"),
        (b"\x30\x00", "ldap-answer-refused"),
        (b"\x30\x05\x02\x01\x02\x61\x00", "ldap-answer-refused"),
        // The answer to another question.
        (b"\x30\x0C\x02\x01\x09\x61\x07\x0A\x01\x00\x04\x00\x04\x00", "ldap-answer-refused"),
        // Invalid credentials.
        (b"\x30\x0C\x02\x01\x02\x61\x07\x0A\x01\x31\x04\x00\x04\x00", "ldap-refused"),
        (b"\x30\x0C\x02\x01", "ldap-unreachable"),
        (b"", "ldap-unreachable"),
    ] {
        let Err(refused) = connect(&lying(answer.to_vec()), false, &ours) else { panic!("{answer:02X?}") };
        assert_eq!(refused.code(), code, "{answer:02X?}: {refused}");
    }
}
