//! Witness files: what they see, and what is done about one that is gone or says something else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod witness_support;

use desk_support::Desk;
use witness_support::{copy_registry, is_named, name_witness, seen, verify, witnessed};

#[test]
fn a_witness_that_is_told_of_every_change_never_holds_anything_up() {
    let desk = Desk::new();
    name_witness(&desk, Some(&desk.text("witness")));
    desk.import_staff("name,mail\nZoe Xu,zoe@example.org\n").expect(0);
    // That there is a witness is a change, too.
    assert_eq!(seen(&desk.path("witness")).len(), 2);
    // A crash in the middle of the next one.
    let whole = std::fs::read_to_string(desk.path("witness")).unwrap();
    std::fs::write(desk.path("witness"), format!("{whole}{}", &whole[..100])).unwrap();
    let torn = verify(&desk);
    torn.expect(0);
    assert!(
        torn.stderr.contains("the last checkpoint in the witness file witness is torn"),
        "{}",
        torn.stderr
    );
    assert!(torn.stdout.contains("It agrees with what was seen of it 2 times"), "{}", torn.stdout);
    desk.import_staff("name,mail\nYan Li,yan@example.org\n").expect(0);
    assert_eq!(seen(&desk.path("witness")).len(), 3);
    // A witness that cannot be read is said, and the change is made; but nothing is signed meanwhile.
    std::fs::create_dir(desk.path("folder")).unwrap();
    name_witness(&desk, Some(&desk.text("folder")));
    let done = desk.import_staff("name,mail\nXia Wu,xia@example.org\n");
    done.expect(0);
    assert!(
        done.stderr.contains("witness file") && done.stderr.contains("cannot be read"),
        "{}",
        done.stderr
    );
    let unreadable = ["cannot be read", "Make it readable again", "nothing is signed or published"];
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &unreadable);
    desk.issuer(&["audit", "verify"]).refuses(1, &["folder"]);
    // To be rid of it is a decision, not an edited line.
    name_witness(&desk, Some(&desk.text("witness")));
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &unreadable);
    let digest = desk.issuer(&["--json", "config", "show"]);
    let digest: serde_json::Value = serde_json::from_str(&digest.stdout).unwrap();
    desk.issuer(&["config", "accept", digest["digest"].as_str().unwrap()]).expect(0);
    desk.publish();
    verify(&desk).expect(0);
}

#[test]
fn a_witness_file_that_says_nothing_is_named_and_left_alone() {
    let desk = Desk::new();
    let begun = verify(&desk);
    begun.expect(0);
    assert!(
        begun.stdout.contains("witness: nothing was compared: the witness begins now."),
        "{}",
        begun.stdout
    );
    let again = verify(&desk);
    again.expect(0);
    assert!(!again.stdout.contains("begins now"), "{}", again.stdout);
    let whole = std::fs::read_to_string(desk.path("witness")).unwrap();
    name_witness(&desk, Some(&desk.text("witness")));
    let damaged = [
        (whole.as_bytes()[..100].to_vec(), "its only checkpoint is torn"),
        (Vec::new(), "it is empty"),
        (b"something else\n".to_vec(), "is no checkpoint of a log"),
        (vec![0xFF; 200], "is no checkpoint of a log"),
        (format!("{whole}something else\n").into_bytes(), "is no checkpoint of a log"),
    ];
    for (count, (remains, what)) in damaged.iter().enumerate() {
        std::fs::write(desk.path("witness"), remains).unwrap();
        let found = verify(&desk);
        is_named(&found, &["NOT WHOLE: the witness file witness is damaged", what, "--new-witness"]);
        assert!(!found.stdout.contains("The log is whole"), "{}", found.stdout);
        let json = desk.issuer(&["--json", "audit", "verify"]);
        json.expect(4);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["findings"][0]["code"], "witness-damaged");
        // Nothing is signed, and a revocation does not wait; neither begins it anew.
        for arguments in [&["publish", "--to", "public"][..], &["ca", "renew", "people"]] {
            desk.issuer(arguments).refuses(1, &["is damaged", what, "nothing is signed or published"]);
        }
        let changed = desk.import_staff(&format!("name,mail\nYan Li,yan{count}@example.org\n"));
        changed.expect(0);
        assert!(changed.stderr.contains("is damaged"), "{}", changed.stderr);
        assert_eq!(std::fs::read(desk.path("witness")).unwrap(), *remains);
        desk.issuer(&["audit", "verify", "--new-witness"])
            .refuses(1, &["is there, and nothing is begun over it", "--old-witness"]);
    }
    std::fs::remove_file(desk.path("witness")).unwrap();
    let changed = desk.import_staff("name,mail\nXia Wu,xia@example.org\n");
    changed.expect(0);
    // It is missed: neither a change nor a check begins it anew unless told.
    assert!(changed.stderr.contains("is missing, and it was begun before"), "{}", changed.stderr);
    for arguments in [
        &["audit", "verify"][..],
        &["audit", "verify", "--witness", "witness"],
        &["publish", "--to", "public"],
    ] {
        desk.issuer(arguments).refuses(1, &["is missing", "issuer audit verify --new-witness"]);
    }
    assert!(!desk.path("witness").exists());
    let begun = desk.issuer(&["audit", "verify", "--new-witness"]);
    begun.expect(0);
    assert!(begun.stdout.contains("the witness begins now"), "{}", begun.stdout);
    let json = desk.json(&["audit", "verify", "--witness", "witness", "--witness", "second"]);
    assert_eq!(json["witnesses_begun"], serde_json::json!(["second"]));
    assert_eq!(json["witnessed"], 1);
    desk.publish();
}

/// Whoever does not name the witness of config.toml is told what it says all the same.
#[test]
fn the_configured_witness_need_not_be_named() {
    let desk = Desk::new();
    name_witness(&desk, Some(&desk.text("witness")));
    desk.import_staff("name,mail\nZoe Xu,zoe@example.org\n").expect(0);
    let check = || desk.issuer(&["audit", "verify"]);
    let good = check();
    good.expect(0);
    assert!(good.stdout.contains("It agrees with what was seen of it 2 times"), "{}", good.stdout);
    copy_registry(&desk.home(), &desk.path("old"));
    desk.import_staff("name,mail\nYan Li,yan@example.org\n").expect(0);
    let whole = std::fs::read(desk.path("witness")).unwrap();
    for garbage in ["", "something else\n"] {
        std::fs::write(desk.path("witness"), garbage).unwrap();
        is_named(&check(), &["witness is damaged"]);
    }
    std::fs::remove_file(desk.path("witness")).unwrap();
    std::fs::create_dir(desk.path("witness")).unwrap();
    check().refuses(1, &["witness"]);
    std::fs::remove_dir(desk.path("witness")).unwrap();
    std::fs::write(desk.path("witness"), whole).unwrap();
    check().expect(0);
    copy_registry(&desk.path("old"), &desk.home());
    is_named(&check(), &["event"]);
}

/// What of a damaged witness can still be read speaks all the same.
#[test]
fn a_damaged_witness_file_still_tells_an_older_registry() {
    let desk = witnessed();
    copy_registry(&desk.home(), &desk.path("old"));
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    verify(&desk).expect(0);
    let whole = std::fs::read_to_string(desk.path("witness")).unwrap();
    std::fs::write(desk.path("witness"), whole.replacen("issuer checkpoint", "issuer chekpoint", 1)).unwrap();
    copy_registry(&desk.path("old"), &desk.home());
    is_named(&verify(&desk), &["an older copy of the registry was put back", "witness is damaged"]);
}

/// Whoever edits the line away is not rid of the witness; and it sees that the line was edited away.
#[test]
fn a_witness_that_is_named_no_longer_is_told_of_that() {
    let desk = Desk::new();
    name_witness(&desk, Some(&desk.text("witness")));
    desk.import_staff("name,mail\nZoe Xu,zoe@example.org\n").expect(0);
    let before = seen(&desk.path("witness")).len();
    // A check changes nothing, and compares with what was recorded.
    name_witness(&desk, None);
    let found = desk.issuer(&["audit", "verify"]);
    found.expect(0);
    assert!(found.stdout.contains("It agrees with what was seen of it 2 times"), "{}", found.stdout);
    assert!(found.stderr.contains("- witness = "), "{}", found.stderr);
    desk.issuer(&["config", "show"]).expect(4);
    // Another one is told from then on; the one before, that it is not any more.
    name_witness(&desk, Some(&desk.text("second")));
    desk.import_staff("name,mail\nYan Li,yan@example.org\n").expect(0);
    let (old, new) = (seen(&desk.path("witness")), seen(&desk.path("second")));
    assert_eq!((old.len(), new.len()), (before + 1, 2));
    assert_eq!(old[before], new[0]);
    let log = desk.issuer(&["--json", "report", "events"]).stdout;
    let number = new[0].checkpoint.end.sequence;
    let told = log.lines().nth(usize::try_from(number).unwrap() - 1).unwrap();
    for word in ["configuration-recorded", "- witness = ", "+ witness = ", "second"] {
        assert!(told.contains(word), "{told}");
    }
    // The new one was begun then: without the home's own memory, too, it is missed.
    std::fs::remove_file(desk.path("second")).unwrap();
    std::fs::remove_file(desk.home().join("witness.begun")).unwrap();
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["second is missing", "begun before"]);
    // An older registry is not rid of its witness by an edited line.
    name_witness(&desk, None);
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["second is missing"]);
    let log = desk.issuer(&["--json", "report", "events"]).stdout;
    assert_eq!(log.lines().filter(|line| line.contains("configuration-recorded")).count(), 3);
    assert!(!desk.path("second").exists());
}
