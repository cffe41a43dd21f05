//! Classes from the signed list: used where it is good, refused for every reason that there is.
use serde_json::Value;

use crate::accounts::{Office, Said};
use crate::material::{FAR, FOR_LISTS, class, class_list, office, pdf, publish_list, sign_list};
use crate::openssl_pki::{Key, Pki};

fn seal(office: &Office, class: &str) -> Said {
    let _ = std::fs::remove_file(office.path("notice-sealed.pdf"));
    let said = office.run("alice", &["document", "encrypt", "notice.pdf", "--readers", class, "--json"], b"");
    assert_eq!(said.code == 0, office.path("notice-sealed.pdf").exists(), "{}", said.stderr);
    said
}

fn refused(office: &Office, class: &str) -> Value {
    seal(office, class).expect(1).json()["error"].clone()
}

fn board(office: &Office, number: u64, members: &[(&str, Option<u8>)]) {
    publish_list(office, &class_list(number, FAR, &class("board", members)));
}

fn with_notice(people: &[&str]) -> Office {
    let office = office(people);
    office.pki.write("notice.pdf", &pdf("For the board."));
    office
}

#[test]
fn a_class_is_everybody_in_it() {
    let office = with_notice(&["alice", "bob", "carol", "dave"]);
    board(&office, 1, &[("alice", None), ("bob", Some(1)), ("carol", None)]);
    let said = seal(&office, "board").expect(0);
    let found: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(found["readers"], serde_json::json!(["bob@example.test", "carol@example.test"]));
    for (reader, exit) in [("bob", 0), ("carol", 0), ("alice", 0), ("dave", 1)] {
        office.run(reader, &["document", "decrypt", "notice-sealed.pdf"], b"").expect(exit);
    }
    let arguments = ["send", "--readers", "board", "--subject", "Budget"];
    office.run("alice", &arguments, b"Words.\n").expect(0);
    for name in ["bob", "carol"] {
        let mail = office.last_in_spool(name);
        assert!(office.run(name, &["open"], &mail).expect(0).text().contains("Words."));
    }
    for name in ["alice", "dave"] {
        assert!(!office.path(&format!("spool/{name}@example.test")).exists());
    }
    let arguments = [
        "document",
        "distribute",
        "notice.pdf",
        "--to",
        "class:board",
        "--subject",
        "Notice",
        "--as-it-is",
        "--json",
    ];
    let said = office.run("alice", &arguments, b"").expect(0);
    let found: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(found["recipients"].as_array().unwrap().len(), 3, "{found}");
}

#[test]
fn a_list_that_is_not_what_the_issuer_signed_is_not_used() {
    let office = with_notice(&["alice", "bob"]);
    assert_eq!(refused(&office, "board")["code"], "no-class-list");
    let good = class_list(1, FAR, &class("board", &[("bob", None)]));
    let folder = office.pki.path();
    let publish = |octets: &[u8]| office.pki.write("published/classes.p7m", octets);
    // A member of staff, with a card that signs mail.
    publish(&sign_list(folder, "bob-sign", "People", &good));
    let error = refused(&office, "board");
    assert_eq!(error["code"], "class-list-wrong-signer");
    assert!(error["message"].as_str().unwrap().contains("bob-sign"), "{error}");
    // A key that may sign documents and mail.
    let both = FOR_LISTS.replace("3.36", "3.36,emailProtection");
    office.pki.people.issue("both", Key::P256, &both);
    publish(&sign_list(folder, "both", "People", &good));
    assert_eq!(refused(&office, "board")["code"], "class-list-wrong-signer");
    // A stranger's authority.
    let stranger = Pki::new();
    stranger.people.issue("lists", Key::P256, FOR_LISTS);
    publish(&sign_list(stranger.path(), "lists", "People", &good));
    assert_eq!(refused(&office, "board")["code"], "class-list-untrusted");
    // Changed on its way.
    publish_list(&office, &good);
    let mut changed = office.pki.read("published/classes.p7m");
    let at = memchr::memmem::find(&changed, b"bob@").unwrap();
    changed[at] = b'r';
    publish(&changed);
    assert_eq!(refused(&office, "board")["code"], "class-list-changed");
    publish(b"\x30\x03no");
    assert_eq!(refused(&office, "board")["code"], "class-list-malformed");
    publish_list(&office, &good.replace("\"version\"", "\"more\":1,\"version\""));
    assert_eq!(refused(&office, "board")["code"], "class-list-malformed");
    publish_list(&office, &class_list(1, "2026-02-01T00:00:00Z", &class("board", &[("bob", None)])));
    assert_eq!(refused(&office, "board")["code"], "class-list-expired");
    // The good one counts, until its key is revoked.
    publish_list(&office, &good);
    seal(&office, "board").expect(0);
    let lists = crate::openssl_pki::Identity { folder: folder.to_owned(), name: "lists".to_owned() };
    office.revoke(&lists);
    assert_eq!(refused(&office, "board")["code"], "class-list-untrusted");
}

#[test]
fn an_anchor_for_other_domains_says_nothing_about_our_classes() {
    let office = with_notice(&["alice", "bob"]);
    let partner = Pki::new();
    partner.people.issue("lists", Key::P256, FOR_LISTS);
    let list = class_list(1, FAR, &class("board", &[("bob", None)]));
    office.pki.write("published/classes.p7m", &sign_list(partner.path(), "lists", "People", &list));
    let root = String::from_utf8(partner.read("Root.pem")).unwrap();
    let config = office.path("home-alice/config.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str(&format!("\n[[anchors]]\ndomains = [\"partner.test\"]\ncertificate = '''\n{root}'''\n"));
    std::fs::write(&config, text).unwrap();
    assert_eq!(refused(&office, "board")["code"], "class-list-untrusted");
}

#[test]
fn an_older_list_does_not_come_back() {
    let office = with_notice(&["alice", "bob", "carol"]);
    board(&office, 7, &[("bob", None), ("carol", None)]);
    let old = office.pki.read("published/classes.p7m");
    seal(&office, "board").expect(0);
    board(&office, 8, &[("bob", None)]);
    seal(&office, "board").expect(0);
    office.pki.write("published/classes.p7m", &old);
    let error = refused(&office, "board");
    assert_eq!(error["code"], "class-list-older");
    assert!(error["message"].as_str().unwrap().contains("list 8 was seen before"), "{error}");
}

#[test]
fn classes_with_nobody_or_with_somebody_who_cannot_read_are_refused() {
    let office = with_notice(&["alice", "bob", "carol"]);
    let classes = [class("empty", &[]), class("board", &[("bob", None), ("carol", None), ("nobody", None)])];
    publish_list(&office, &class_list(1, FAR, &classes.join(",")));
    office.unpublish("carol");
    assert_eq!(refused(&office, "empty")["code"], "class-empty");
    let error = refused(&office, "staff");
    assert_eq!(error["code"], "unknown-class");
    assert!(error["message"].as_str().unwrap().contains("there are: empty, board"), "{error}");
    let error = refused(&office, "board");
    assert_eq!(error["code"], "recipients-refused");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("carol@") && message.contains("nobody@") && !message.contains("bob@"),
        "{message}"
    );
}

#[test]
fn the_list_seen_last_serves_while_the_directory_cannot_give_one() {
    let office = with_notice(&["alice", "bob"]);
    let away = || {
        // Something stands there that cannot be read.
        let _ = std::fs::remove_file(office.path("published/classes.p7m"));
        std::fs::create_dir(office.path("published/classes.p7m")).unwrap();
    };
    away();
    assert_eq!(refused(&office, "board")["code"], "directory-unreachable");
    std::fs::remove_dir(office.path("published/classes.p7m")).unwrap();
    board(&office, 1, &[("bob", None)]);
    seal(&office, "board").expect(0);
    away();
    let said = seal(&office, "board").expect(0);
    assert!(said.stderr.contains("the list of classes seen last is used"), "{}", said.stderr);
    // It is judged anew each time.
    let lists =
        crate::openssl_pki::Identity { folder: office.pki.path().to_owned(), name: "lists".to_owned() };
    office.revoke(&lists);
    assert_eq!(refused(&office, "board")["code"], "class-list-untrusted");
    // And what somebody put in its place is no better than anywhere else.
    std::fs::write(office.path("home-alice/classes/classes.p7m"), b"nonsense").unwrap();
    assert_eq!(refused(&office, "board")["code"], "class-list-malformed");
}
