//! Revocation and publication, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

#[path = "desk_support/chain.rs"]
mod chain;
mod desk_support;

use desk_support::{Desk, begin_of, extract_certificates, files_below, openssl, openssl_verify};

/// Since when Alice's keys may be said to be invalid, as commands take it and as OpenSSL shows it.
fn earliest(desk: &Desk) -> (String, String) {
    let begin = begin_of(&format!("sim:{}", desk.text("alice.card")));
    let at: jiff::Timestamp = begin.parse().unwrap();
    (begin, at.strftime("%b %e %H:%M:%S %Y").to_string())
}

fn with_alice() -> Desk {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    extract_certificates(&locator, &desk.path("alice"));
    desk
}

fn crl_text(desk: &Desk) -> String {
    let mut all = String::new();
    for file in desk_support::files_below(&desk.path("public/crl")) {
        let output = openssl(&["crl", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", "-text"]);
        assert!(output.status.success());
        all += &String::from_utf8(output.stdout).unwrap();
    }
    all
}

#[test]
fn a_revoked_person_is_no_longer_trusted_and_everybody_else_still_is() {
    let desk = with_alice();
    let bob = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &bob, &[]);
    extract_certificates(&bob, &desk.path("bob"));
    let public = desk.publish();
    let alice_signs = desk.path("alice/9C.pem");
    assert!(openssl_verify(&public, &alice_signs, &[]).0);

    let (begin, shown) = earliest(&desk);
    let revoke = ["revoke", "alice@example.org", "--reason", "key-compromise", "--invalid-since"];
    let done = desk.issuer(&[&revoke[..], &[&begin]].concat());
    done.expect(0);
    assert!(
        done.stdout.contains("4 certificates revoked (key-compromise)")
            && done.stdout.contains("issuer publish"),
        "{}",
        done.stdout
    );
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "revoked");
    desk.publish();
    for key in ["9A", "9C", "9D", "9E"] {
        let (accepted, said) = openssl_verify(&public, &desk.path(&format!("alice/{key}.pem")), &[]);
        assert!(!accepted && said.contains("certificate revoked"), "{key}: {said}");
        let (accepted, said) = openssl_verify(&public, &desk.path(&format!("bob/{key}.pem")), &[]);
        assert!(accepted, "{key}: {said}");
    }
    let text = crl_text(&desk);
    assert_eq!(text.matches("Key Compromise").count(), 4, "{text}");
    assert!(text.contains("Invalidity Date") && text.contains(&shown), "{text}");
}

#[test]
fn revoking_twice_is_refused_and_the_first_stands() {
    let desk = with_alice();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let again = desk.issuer(&["revoke", "1001", "--reason", "superseded"]);
    again.refuses(1, &["revoked already", "key-compromise", "nothing was changed"]);
    let found = desk.json(&["find", "alice"]);
    let reasons: Vec<_> = found["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| certificate["reason"].clone())
        .collect();
    assert_eq!(reasons, ["key-compromise"; 4]);
    let serial = found["certificates"][0]["serial"].as_str().unwrap();
    desk.issuer(&["revoke", serial, "--reason", "superseded"])
        .refuses(1, &["already revoked", "key-compromise"]);
}

#[test]
fn a_revocation_without_a_reason_can_be_explained_once() {
    let desk = with_alice();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "unspecified"]).expect(0);
    desk.publish();
    assert!(!crl_text(&desk).contains("CRL Reason"), "unspecified is said by saying nothing");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "unspecified"]).refuses(1, &["revoked already"]);
    let (begin, shown) = earliest(&desk);
    let explain = ["revoke", "alice@example.org", "--reason", "key-compromise", "--invalid-since", &begin];
    let done = desk.issuer(&explain);
    assert!(
        done.expect(0).stdout.contains("The reason of 4 certificates revoked before is now key-compromise")
    );
    desk.publish();
    let text = crl_text(&desk);
    assert_eq!(text.matches("Key Compromise").count(), 4, "{text}");
    assert!(text.contains(&shown), "{text}");
    desk.issuer(&explain).refuses(1, &["revoked already", "key-compromise"]);
}

#[tokio::test]
async fn a_date_that_no_crl_can_say_does_not_stop_the_others() {
    let desk = with_alice();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    // As an older program let it in.
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let (old, new) = (
        "\"reason\":\"key-compromise\"",
        "\"reason\":\"key-compromise\",\"invalid_since\":\"1969-12-31T00:00:00Z\"",
    );
    for statement in [
        "UPDATE revocations SET invalid_since = '1969-12-31T00:00:00Z'".to_owned(),
        format!("UPDATE events SET detail = replace(detail, '{old}', '{new}') WHERE serial IS NOT NULL"),
        format!("UPDATE certificates SET snapshot = replace(snapshot, '{old}', '{new}')"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
    chain::hash_anew(&desk).await;
    let done = desk.issuer(&["publish", "--to", "public"]);
    done.expect(0);
    assert_eq!(done.stderr.matches("without its invalidity date 1969-12-31").count(), 4, "{}", done.stderr);
    assert_eq!(crl_text(&desk).matches("Key Compromise").count(), 4);
    let summary = desk.json(&["publish", "--to", "public"]);
    assert_eq!(summary["warnings"].as_array().unwrap().len(), 4);
    let (begin, shown) = earliest(&desk);
    desk.issuer(&["revoke", "1001", "--reason", "key-compromise", "--invalid-since", &begin]).expect(0);
    let done = desk.issuer(&["publish", "--to", "public"]);
    assert_eq!(done.expect(0).stderr, "");
    assert!(crl_text(&desk).contains(&shown));
}

#[test]
fn one_certificate_is_revoked_by_its_serial_number() {
    let desk = with_alice();
    let output = openssl(&["x509", "-in", &desk.text("alice/9A.pem"), "-noout", "-serial"]);
    let serial = String::from_utf8(output.stdout).unwrap().trim().trim_start_matches("serial=").to_owned();
    let (begin, _) = earliest(&desk);
    // A date before there was a key says nothing, and the earliest that does is named.
    for whom in [&serial, "alice@example.org"] {
        let early = ["revoke", whom, "--reason", "key-compromise", "--invalid-since", "1970-01-01"];
        let words = ["1970-01-01", "before there was a key", &begin, "Nothing was changed"];
        desk.issuer(&early).refuses(1, &words);
    }
    desk.issuer(&["revoke", &serial, "--reason", "superseded"]).expect(0);
    let public = desk.publish();
    assert!(!openssl_verify(&public, &desk.path("alice/9A.pem"), &[]).0);
    assert!(openssl_verify(&public, &desk.path("alice/9C.pem"), &[]).0);
    assert_eq!(desk.json(&["stock", "list"])[0]["state"], "awaiting activation");
}

/// RFC 5280 section 5.3.1: what becomes of an authority's key has a reason of its own, which no person's certificate has.
#[test]
fn every_reason_reaches_the_crl_of_what_it_is_for() {
    let desk = with_alice();
    let serial = |desk: &Desk| {
        let chain = std::fs::read_to_string(desk.path("public/ca-chain.pem")).unwrap();
        let certificates = chain.split_inclusive("-----END CERTIFICATE-----\n");
        let certificates = certificates.map(|pem| issuer::ca::Certificate::from_pem(pem).unwrap());
        let servers = certificates.filter(|one| one.subject().contains("Servers")).last().unwrap();
        servers.serial_number().to_string()
    };
    desk.issuer(&["revoke", "alice@example.org", "--reason", "ca-compromise"])
        .refuses(1, &["alice@example.org is none", "key-compromise"]);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "privilege-withdrawn"]).expect(0);
    desk.publish();
    desk.issuer(&["revoke", &serial(&desk), "--reason", "ca-compromise"]).expect(0);
    let public = desk.publish();
    let mut said = String::new();
    for crl in files_below(&public.join("crl")) {
        let shown = openssl(&["crl", "-inform", "DER", "-in", crl.to_str().unwrap(), "-noout", "-text"]);
        said.push_str(&String::from_utf8(shown.stdout).unwrap());
    }
    for (reason, count) in [("Privilege Withdrawn", 4), ("CA Compromise", 1)] {
        assert_eq!(said.matches(reason).count(), count, "{reason}: {said}");
    }
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

#[test]
fn what_cannot_be_revoked_is_named() {
    let desk = Desk::new();
    desk.issuer(&["revoke", "nobody@example.org", "--reason", "superseded"])
        .refuses(1, &["nobody@example.org", "issuer find"]);
    desk.issuer(&["revoke", "4f3a09", "--reason", "superseded"]).refuses(1, &["4f3a09"]);
    desk.issuer(&["revoke", "bob@example.org", "--reason", "superseded"])
        .refuses(1, &["bob@example.org", "no card"]);
    desk.issuer(&["revoke", "bob@example.org", "--reason", "because"]).expect(2);
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let future = desk.issuer(&[
        "revoke",
        "alice@example.org",
        "--reason",
        "key-compromise",
        "--invalid-since",
        "2999-01-01",
    ]);
    future.refuses(1, &["future"]);
    for day in ["1969-12-31", "-000001-01-01"] {
        let since = format!("--invalid-since={day}");
        desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise", &since])
            .refuses(1, &["before 1970"]);
    }
    assert_eq!(
        desk.json(&["stock", "list"])[0]["state"],
        "awaiting activation",
        "a refused revocation changed something"
    );
}

#[test]
fn a_lost_card_is_replaced_and_both_lives_stay_on_record() {
    let desk = with_alice();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let second = desk.yubikey("second.card", &[]);
    desk.issue("1001", &second, &[]);
    extract_certificates(&second, &desk.path("second"));
    let public = desk.publish();
    assert!(!openssl_verify(&public, &desk.path("alice/9C.pem"), &[]).0);
    assert!(openssl_verify(&public, &desk.path("second/9C.pem"), &[]).0);
    let cards = desk.json(&["stock", "list"]);
    assert_eq!((&cards[0]["state"], &cards[1]["state"]), (&"revoked".into(), &"awaiting activation".into()));
    let found = desk.json(&["find", "alice"]);
    let states: Vec<_> = found["cards"].as_array().unwrap().iter().map(|card| &card["state"]).collect();
    assert_eq!(states, ["revoked", "awaiting activation"], "the card that ended is hers too");
    assert!(desk.json(&["find", "bob"])["cards"].as_array().unwrap().is_empty());
    let dead = desk.issuer(&[
        "issue",
        "bob@example.org",
        "--card",
        &format!("sim:{}", desk.text("alice.card")),
        "--transport-pin-file",
        "pin",
    ]);
    dead.refuses(1, &["revoked", "another card"]);
}

#[test]
fn crl_numbers_grow_and_publishing_again_is_harmless() {
    let desk = with_alice();
    let number = |desk: &Desk| {
        let text = crl_text(desk);
        let mut numbers: Vec<_> = text
            .lines()
            .skip_while(|line| !line.contains("X509v3 CRL Number"))
            .nth(1)
            .into_iter()
            .map(str::trim)
            .map(str::to_owned)
            .collect();
        numbers.pop().unwrap()
    };
    desk.publish();
    let first = number(&desk);
    desk.publish();
    assert_ne!(first, number(&desk));
    let listing = desk_support::files_below(&desk.path("public/certificates/by-email"));
    assert_eq!(listing.len(), 2, "9C and 9D, and nothing else: {listing:?}");
}

#[test]
fn publishing_needs_the_right_passphrase_and_leaves_what_was_there() {
    let desk = with_alice();
    let public = desk.publish();
    let before = std::fs::read(public.join("crl.pem")).unwrap();
    std::fs::write(desk.path("passphrase"), "not the passphrase\n").unwrap();
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["wrong passphrase"]);
    assert_eq!(std::fs::read(public.join("crl.pem")).unwrap(), before);
}

#[test]
fn only_a_folder_of_its_own_is_published_into() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("papers")).unwrap();
    std::fs::write(desk.path("papers/letter"), "mine").unwrap();
    desk.issuer(&["publish", "--to", "papers"]).refuses(1, &["papers", "not empty", "name a new folder"]);
    for place in ["home", "home/keys", "home/../home", "."] {
        let refused = desk.issuer(&["publish", "--to", place]);
        refused.refuses(1, &["own home", "a folder of its own"]);
    }
    assert!(!desk.home().join(".lock").exists() && !desk.path("papers/.lock").exists());
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.issuer(&["publish", "--to", "empty"]).expect(0);
    desk.issuer(&["publish", "--to", "empty"]).expect(0);
}
