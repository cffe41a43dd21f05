//! What programs that nobody here wrote make of what is published, where they are stricter than the standards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::path::{Path, PathBuf};

use base64ct::{Base64Unpadded, Encoding};
use desk_support::{Desk, extract_certificates, files_below, openssl};
use issuer::ca::Certificate;
use server::Server;
use sha1::{Digest, Sha1};

/// A desk with everything: partitions, deltas and OCSP; and Alice's card; published, and a delta after that.
fn desk() -> Desk {
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let services = ["--crl-partitions", "3", "--delta-crls", "--ocsp"];
    desk.issuer(&[&init[..], &["--base-url", "http://pki.example.org"], &services].concat()).expect(0);
    desk.import_staff("name,mail,id\nAlice Ng,alice@example.org,1001\n").expect(0);
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    extract_certificates(&locator, &desk.path("alice"));
    desk.publish();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
    desk.issuer(&["publish", "--to", "public", "--delta"]).expect(0);
    desk
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The file with the certificate of the authority for people, PEM.
fn people(desk: &Desk) -> (PathBuf, Certificate) {
    let alice = std::fs::read_to_string(desk.path("alice/9C.pem")).unwrap();
    let key = hex::encode(Certificate::from_pem(&alice).unwrap().authority_key_identifier());
    let der = std::fs::read(desk.path("public/ca").join(format!("{key}.cer"))).unwrap();
    let certificate = Certificate::from_der(der).unwrap();
    let file = desk.path("people.pem");
    std::fs::write(&file, certificate.to_pem()).unwrap();
    (file, certificate)
}

/// Go's `ocsp.ParseResponse` refuses an answer with more than one SingleResponse, and many programs take the first.
#[test]
fn a_prepared_answer_is_about_the_certificate_that_was_asked_for_and_nothing_else() {
    let desk = desk();
    let (issuer, _) = people(&desk);
    let server = Server::of(&desk.path("public"), &[]);
    for hash in ["-sha1", "-sha256"] {
        let (alice, answer) = (desk.path("alice/9C.pem"), desk.path("answer.der"));
        let url = format!("{}/ocsp", server.url);
        let asked =
            ["ocsp", "-issuer", text(&issuer), hash, "-cert", text(&alice), "-no_nonce", "-url", &url];
        let checked = ["-CAfile", &desk.text("public/anchor.pem"), "-verify_other", text(&issuer)];
        let said = openssl(&[&asked[..], &checked, &["-respout", text(&answer)]].concat());
        let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{hash}: {said}");
        let shown = openssl(&["ocsp", "-respin", text(&answer), "-resp_text", "-noverify"]).stdout;
        let shown = String::from_utf8(shown).unwrap();
        let named: Vec<&str> = shown.lines().filter(|line| line.contains("Hash Algorithm:")).collect();
        assert_eq!(named.len(), 1, "{hash}: {shown}");
        assert!(named[0].trim().ends_with(hash.trim_start_matches('-')), "{hash}: {shown}");
    }
}

/// GnuPG's dirmngr verifies RSA alone, and whoever chose RSA for the authorities may have chosen it for such programs.
#[test]
fn an_authority_with_an_rsa_key_has_its_ocsp_answers_signed_with_rsa() {
    let desk = Desk::empty();
    let init = ["init", "--organization", "Example Org", "--domain", "example.org", "--ocsp"];
    let keys = ["--base-url", "http://pki.example.org", "--key-algorithm", "rsa2048"];
    desk.issuer(&[&init[..], &keys].concat()).expect(0);
    desk.publish();
    std::fs::write(desk.path("service.pass"), "the responder's own passphrase\n").unwrap();
    let service = ["--service-passphrase-file", "service.pass"];
    desk.issuer(&[&["ocsp", "init", "--folder", "responder"][..], &service].concat()).expect(0);
    let responder = [desk.text("responder"), desk.text("service.pass")];
    let with_responder = ["--ocsp", &responder[0], "--service-passphrase-file", &responder[1]];
    // The root's answers about its authorities: signed when they were published, and when they are asked for.
    let anchor = desk.text("public/anchor.pem");
    let chain = std::fs::read_to_string(desk.path("public/ca-chain.pem")).unwrap();
    let second = chain.match_indices("-----BEGIN").nth(1).unwrap().0;
    std::fs::write(desk.path("second.pem"), chain.get(second..).unwrap()).unwrap();
    for (options, nonce) in [(&[][..], "-no_nonce"), (&with_responder, "-nonce")] {
        let server = Server::of(&desk.path("public"), options);
        let url = format!("{}/ocsp", server.url);
        let asked = ["ocsp", "-issuer", &anchor, "-cert", &desk.text("second.pem"), nonce, "-url", &url];
        let said = openssl(&[&asked[..], &["-CAfile", &anchor, "-resp_text"]].concat());
        let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
        assert!(said.contains("sha256WithRSAEncryption") && !said.contains("ecdsa"), "{said}");
    }
}

/// What certificates name is answered, whatever base URL the authority was made with.
#[test]
fn what_certificates_name_below_a_path_is_answered_there() {
    let desk = Desk::empty();
    let init = ["init", "--organization", "Example Org", "--domain", "example.org", "--ocsp"];
    desk.issuer(&[&init[..], &["--base-url", "http://pki.example.org/pki/x"]].concat()).expect(0);
    desk.publish();
    let server = Server::of(&desk.path("public"), &["--below", "/pki/x/"]);
    let chain = std::fs::read_to_string(desk.path("public/ca-chain.pem")).unwrap();
    let second = chain.match_indices("-----BEGIN").nth(1).unwrap().0;
    std::fs::write(desk.path("second.pem"), chain.get(second..).unwrap()).unwrap();
    let shown = openssl(&["x509", "-in", &desk.text("second.pem"), "-noout", "-text"]).stdout;
    let shown = String::from_utf8(shown).unwrap();
    let named: Vec<&str> = shown.split("URI:http://pki.example.org").skip(1).collect();
    let named: Vec<&str> = named.iter().filter_map(|rest| rest.split_whitespace().next()).collect();
    assert_eq!(named.len(), 3, "{shown}");
    for path in named {
        if path.ends_with("/ocsp") {
            let (anchor, url) = (desk.text("public/anchor.pem"), format!("{}{path}", server.url));
            let second = desk.text("second.pem");
            let said =
                openssl(&["ocsp", "-issuer", &anchor, "-cert", &second, "-url", &url, "-CAfile", &anchor]);
            let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
            assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
        } else {
            assert_eq!(server.ask(path, &[]).status, 200, "{path}");
        }
    }
    // A proxy that takes the path away, and who looks whether all is well, find it too.
    assert_eq!(server.ask("/anchor.pem", &[]).status, 200);
    server.expect("ok");
    let refused = desk.issuer(&["serve", "--from", "public", "--below", "pki"]);
    assert!(refused.expect(2).stderr.contains("a path begins with a slash"), "{}", refused.stderr);
}

/// Who has nothing but an authority's name or key asks for the CRL that speaks about all of its certificates by itself.
#[test]
fn a_search_for_the_crl_of_an_authority_finds_the_complete_one_beside_partitions_and_deltas() {
    let desk = desk();
    let (_, people) = people(&desk);
    let key = hex::encode(people.subject_key_identifier());
    let complete = std::fs::read(desk.path("public/crl").join(format!("{key}.crl"))).unwrap();
    assert_eq!(
        files_below(&desk.path("public/crl")).len(),
        10,
        "a complete CRL, partitions, deltas, two more"
    );
    let server = Server::of(&desk.path("public"), &[]);
    let hash = Base64Unpadded::encode_string(&Sha1::digest(people.subject_key_identifier()));
    let hash = hash.replace('+', "%2B").replace('/', "%2F");
    let answer = server.curl(&format!("/crls/search.cgi?sKIDHash={hash}"), &[]).stdout;
    assert!(answer.ends_with(&complete), "not the complete CRL");
}

/// Cross-certificates lie in `ca-chain.pem` alone; whoever has one root and asks for what there is of the other finds them.
#[test]
fn what_roots_say_of_each_other_is_found_by_their_keys() {
    let desk = Desk::empty();
    let init = ["init", "--organization", "Example Org", "--domain", "example.org"];
    desk.issuer(&[&init[..], &["--base-url", "http://pki.example.org"]].concat()).expect(0);
    desk.publish();
    desk.issuer(&["ca", "rollover", "root"]).expect(0);
    desk.publish();
    let server = Server::of(&desk.path("public"), &[]);
    let anchors = std::fs::read_to_string(desk.path("public/anchor.pem")).unwrap();
    let roots: Vec<_> = anchors
        .split_inclusive("-----END CERTIFICATE-----\n")
        .map(|pem| Certificate::from_pem(pem).unwrap())
        .collect();
    assert_eq!(roots.len(), 2);
    for (root, other) in [(&roots[0], &roots[1]), (&roots[1], &roots[0])] {
        let hash = Base64Unpadded::encode_string(&Sha1::digest(root.subject_key_identifier()));
        let hash = hash.replace('+', "%2B").replace('/', "%2F");
        let answer = server.ask(&format!("/certificates/search.cgi?sKIDHash={hash}"), &[]);
        let kind = answer.header("content-type").unwrap();
        let boundary = format!("--{}\r\n", kind.strip_prefix("multipart/mixed; boundary=").unwrap());
        let parts: Vec<_> =
            answer.body.windows(boundary.len()).filter(|part| *part == boundary.as_bytes()).collect();
        assert_eq!(parts.len(), 2, "itself, and what the other one signed");
        let own = answer.body.windows(root.as_der().len()).filter(|part| *part == root.as_der());
        assert_eq!(own.count(), 1);
        // The other part names the other root's key as that of its issuer.
        let issuer = other.subject_key_identifier();
        assert!(answer.body.windows(issuer.len()).any(|part| part == issuer));
    }
}

/// A place that is mistyped the first time would be tried for ever, and every publication would be behind.
#[test]
fn where_nothing_was_ever_published_it_is_said_how_to_forget_it() {
    let desk = Desk::empty();
    let init = ["init", "--organization", "Example Org", "--domain", "example.org"];
    desk.issuer(&[&init[..], &["--base-url", "http://pki.example.org"]].concat()).expect(0);
    // The listener is gone at once: nobody answers at its port.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = format!("ldap://{free}/dc=example,dc=org");
    let advice = format!("issuer target forget {place}");
    desk.issuer(&["publish", "--to", &place]).refuses(1, &["cannot be reached", "is remembered", &advice]);
    desk.issuer(&["target", "forget", &place]).expect(0);
    desk.publish();
    desk.issuer(&["publish"]).expect(0);
}
