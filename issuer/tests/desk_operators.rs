//! Operators: a card for everything that is done, the right role for each, and two of them where it is demanded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;

use operator_support::Staffed;

/// Every kind of command beside the roles that may give it.
const COMMANDS: [(&str, &[&str]); 24] = [
    ("find alice", &["registrar", "approver", "auditor", "administrator"]),
    ("stock list", &["registrar", "approver", "auditor", "administrator"]),
    ("staff import more.csv", &["registrar"]),
    ("stock add --serial 77", &["registrar"]),
    ("issue zoe@example.org --card sim:none.card", &["registrar"]),
    ("hold zoe@example.org", &["registrar"]),
    ("stock return zoe@example.org", &["registrar"]),
    ("request open renewal zoe@example.org", &["registrar"]),
    ("class add board zoe@example.org", &["registrar"]),
    ("revoke zoe@example.org --reason superseded", &["registrar", "administrator"]),
    ("certify none.csr --profile mail-server", &["administrator"]),
    ("operator remove zoe@example.org", &["administrator"]),
    ("approval demand export", &["administrator"]),
    ("approval grant 99", &["approver"]),
    ("approval request export anything", &["registrar", "auditor", "administrator"]),
    ("config show", &["registrar", "approver", "auditor", "administrator"]),
    ("config accept 00", &["administrator"]),
    ("ca install none.pem", &["administrator"]),
    ("ca cross-certify none.pem --domain partner.example", &["administrator"]),
    ("target forget nowhere", &["administrator"]),
    ("clock accept --why x", &["administrator"]),
    ("backup zoe.backup", &["administrator"]),
    ("evidence nobody@example.org --to evidence", &["auditor"]),
    ("audit verify --new-witness", &["auditor"]),
];

#[test]
fn every_command_is_refused_to_every_wrong_role_and_logged() {
    let desk = Staffed::new();
    std::fs::write(desk.path("more.csv"), "name,mail\nZoe Xu,zoe@example.org\n").unwrap();
    let mut refusals = 0;
    for (command, roles) in COMMANDS {
        for (person, role) in Staffed::EVERYBODY {
            let arguments: Vec<&str> = command.split(' ').collect();
            let run = desk.as_operator(person, &arguments);
            let is_refused = run.stderr.contains("may not");
            assert_eq!(is_refused, !roles.contains(&role), "{role}: {command}: {}", run.stderr);
            if is_refused {
                run.refuses(1, &["may not", role, roles[0]]);
                refusals += 1;
            }
        }
    }
    let log = desk.log();
    let told = log.iter().filter(|event| event["kind"] == "operator-refused").count();
    assert_eq!(told, refusals, "a refusal is not in the log");
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn without_a_card_nothing_is_done_and_nothing_is_shown() {
    let desk = Staffed::new();
    let before = desk.log().len();
    for (command, _) in COMMANDS {
        let arguments: Vec<&str> = command.split(' ').collect();
        desk.plain(&arguments).refuses(1, &["this desk has operators", "--operator"]);
        let mut named = vec!["--operator", "Mallory"];
        named.extend(&arguments);
        desk.plain(&named).refuses(1, &["this desk has operators"]);
    }
    assert_eq!(desk.log().len(), before);
    // What only makes known or checks what others decided needs nobody.
    desk.plain(&["publish", "--to", "public"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn publication_needs_nobody_and_is_refused_to_no_operator() {
    let desk = Staffed::new();
    let publish = ["publish", "--to", "public"];
    for (person, _) in Staffed::EVERYBODY {
        desk.as_operator(person, &publish).expect(0);
    }
    let by = |desk: &Staffed| {
        let log = desk.log();
        let taken = log.iter().rfind(|event| event["kind"] == "crl-number-taken").unwrap();
        taken["actor"].as_str().unwrap().to_owned()
    };
    assert_eq!(by(&desk), "operator 4 Vera Approver");
    // A card that is named must be good; one that the configuration names is not asked for: a timer has none.
    desk.with_card(&desk.card("zoe"), &desk.pin("zoe"), &publish).refuses(1, &["is no operator's"]);
    let config = desk.desk.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("operator = \"sim:/nowhere/card\"\n{text}")).unwrap();
    desk.plain(&publish).expect(0);
    assert!(!by(&desk).contains("operator"), "{}", by(&desk));
    desk.plain(&["stock", "list"]).refuses(1, &["/nowhere/card"]);
}

#[test]
fn a_card_that_is_not_good_opens_nothing() {
    let desk = Staffed::new();
    let find = ["find", "alice"];
    // Of nobody, of a person who is no operator, with a wrong PIN.
    let blank = desk.desk.blank("blank.card", &[]);
    desk.with_card(&blank, "123456", &find).refuses(1, &["no certificate for its key 9A"]);
    desk.with_card(&desk.card("zoe"), &desk.pin("zoe"), &find).refuses(1, &["is no operator's"]);
    let wrong = desk.with_card(&desk.card("rita"), "00000000", &["--json", "find", "alice"]);
    wrong.expect(1);
    for word in ["wrong-pin", "Rita Registrar's card", "2 tries left"] {
        assert!(wrong.stderr.contains(word), "{}", wrong.stderr);
    }
    // On hold, released, revoked.
    desk.as_operator("rita", &["hold", "otto@example.org"]).expect(0);
    desk.as_operator("otto", &find).refuses(1, &["on hold", "must be good"]);
    desk.as_operator("rita", &["release", "otto@example.org"]).expect(0);
    desk.as_operator("otto", &find).expect(0);
    desk.as_operator("rita", &["revoke", "otto@example.org", "--reason", "key-compromise"]).expect(0);
    desk.as_operator("otto", &find).refuses(1, &["revoked"]);
    // An operator who was removed.
    desk.as_operator("adam", &["operator", "remove", "otto@example.org"]).expect(0);
    desk.as_operator("otto", &find).refuses(1, &["is no operator's"]);
    let kinds: Vec<_> = desk.log().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "operator-refused").count(), 5);
}

#[test]
fn an_operator_s_card_that_has_expired_opens_nothing() {
    let desk = Staffed::new();
    let (card, pin) = (desk.card("rita"), desk.pin_file("rita"));
    let find = ["--operator", &card, "--operator-pin-file", &pin, "find", "alice"];
    let on = |later: &str| desk.desk.on_another_day(later, &find);
    on("+822d").expect(0);
    on("+826d").refuses(1, &["Rita Registrar's card is expired since", "must be good"]);
    assert!(
        desk.log().iter().any(|event| {
            event["kind"] == "operator-refused" && event.to_string().contains("expired since")
        })
    );
}

#[test]
fn the_log_names_the_operator() {
    let desk = Staffed::new();
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    let log = desk.log();
    let held = log.iter().rfind(|event| event["kind"] == "card-held").unwrap();
    assert_eq!(held["actor"], "operator 2 Rita Registrar");
}

#[test]
fn nobody_locks_everybody_out() {
    let desk = Staffed::alone();
    let add =
        |arguments: &[&str]| desk.plain(&[&["operator", "add", "rita@example.org"], arguments].concat());
    add(&["--role", "registrar", "--card", &desk.card("rita")]).refuses(1, &["must be an administrator"]);
    add(&["--role", "administrator"]).refuses(1, &["--card"]);
    let listed = desk.plain(&["operator", "list"]);
    assert!(listed.stdout.contains("single-operator mode"), "{}", listed.stdout);
    // Not with somebody else's card.
    let pin = desk.pin_file("zoe");
    add(&["--role", "administrator", "--card", &desk.card("zoe"), "--pin-file", &pin])
        .refuses(1, &["show the right card"]);
    let pin = desk.pin_file("rita");
    add(&["--role", "administrator", "--card", &desk.card("rita"), "--pin-file", &pin]).expect(0);
    desk.as_operator("rita", &["operator", "remove", "rita@example.org"]).refuses(1, &["only administrator"]);
    // Nor by what becomes of the card, or of one certificate of it.
    let revoke = ["revoke", "rita@example.org", "--reason", "key-compromise"];
    let last = ["Rita Registrar is the only administrator whose card is good", "issuer operator add"];
    desk.as_operator("rita", &revoke).refuses(1, &last);
    let listed = desk.as_operator("rita", &["--json", "operator", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let serial = listed["operators"][0]["certificate"].as_str().unwrap();
    desk.as_operator("rita", &["revoke", serial, "--reason", "superseded"]).refuses(1, &last);
    let told = desk.as_operator("rita", &["operator", "list"]);
    assert!(told.stdout.contains("Rita Registrar is the only administrator"), "{}", told.stdout);
    desk.as_operator("rita", &["find", "rita"]).expect(0);
    desk.as_operator("rita", &["operator", "add", "rita@example.org", "--role", "auditor"])
        .refuses(1, &["is an operator already"]);
    desk.as_operator("rita", &["approval", "demand", "export"])
        .refuses(1, &["two operators are needed first"]);
}

#[test]
fn the_last_good_administrator_is_neither_revoked_nor_held_nor_declared_lost() {
    let desk = Staffed::new();
    let last = ["Adam Administrator is the only administrator whose card is good"];
    for arguments in [
        &["revoke", "adam@example.org", "--reason", "key-compromise"][..],
        &["hold", "adam@example.org"],
        &["mark", "adam@example.org", "stolen"],
        &["mark", "adam@example.org", "damaged"],
    ] {
        desk.as_operator("rita", arguments).refuses(1, &last);
    }
    desk.as_operator("adam", &["operator", "add", "zoe@example.org", "--role", "administrator"]).expect(0);
    // With another one whose card is on hold there is still only one.
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    desk.as_operator("rita", &["mark", "adam@example.org", "stolen"]).refuses(1, &last);
    desk.as_operator("adam", &["operator", "list"]).expect(0);
    desk.as_operator("rita", &["release", "zoe@example.org"]).expect(0);
    desk.as_operator("rita", &["mark", "adam@example.org", "stolen"]).expect(0);
    desk.as_operator("zoe", &["operator", "remove", "adam@example.org"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn a_desk_whose_last_administrators_card_was_stolen_gets_another() {
    let desk = Staffed::new();
    let (card, pin) = (desk.card("zoe"), desk.pin_file("zoe"));
    let add = ["operator", "add", "zoe@example.org", "--card", &card, "--pin-file", &pin];
    let recover = |role: &str| desk.plain(&[&add[..], &["--recover", "--role", role]].concat());
    recover("administrator").refuses(1, &["Adam Administrator administers this desk"]);
    let revoke = ["revoke", "adam@example.org", "--reason", "key-compromise"];
    desk.as_operator("rita", &revoke).refuses(1, &["--last-administrator"]);
    desk.as_operator("rita", &[&revoke[..], &["--last-administrator"]].concat()).expect(0);
    desk.as_operator("adam", &["operator", "list"]).refuses(1, &["revoked"]);
    // Not with any passphrase, not as anything, and only with the card.
    let right = std::fs::read(desk.path("passphrase")).unwrap();
    std::fs::write(desk.path("passphrase"), "another passphrase altogether\n").unwrap();
    recover("administrator").refuses(1, &["passphrase"]);
    std::fs::write(desk.path("passphrase"), right).unwrap();
    recover("registrar").refuses(1, &["must be an administrator"]);
    recover("administrator").expect(0);
    desk.as_operator("zoe", &["operator", "remove", "adam@example.org"]).expect(0);
    recover("administrator").refuses(1, &["Zoe Xu administers this desk"]);
    let log = desk.log();
    let added = log.iter().rfind(|event| event["kind"] == "operator-added").unwrap();
    assert!(added["actor"].as_str().unwrap().ends_with(", recovering"), "{added}");
    desk.plain(&["audit", "verify"]).expect(0);
}

/// A PIN belongs to one card: on another it would cost that one a try.
#[test]
fn the_pin_of_an_operator_is_tried_on_no_other_card() {
    let desk = Staffed::new();
    let card = desk.card("zoe");
    let add = ["operator", "add", "zoe@example.org", "--role", "auditor", "--card", &card];
    for _ in 0..4 {
        desk.as_operator("adam", &add).refuses(1, &["cannot be read", "Zoe Xu's card"]);
    }
    // Nor the person's on a card that is not the person's.
    let (other, pin) = (desk.card("rita"), desk.pin_file("zoe"));
    let mistaken = ["operator", "add", "zoe@example.org", "--role", "auditor", "--card", &other];
    for _ in 0..4 {
        desk.as_operator("adam", &[&mistaken[..], &["--pin-file", &pin]].concat())
            .refuses(1, &["show the right card"]);
    }
    desk.as_operator("rita", &["find", "zoe"]).expect(0);
    let wrong = desk.pin_file("adam");
    desk.as_operator("adam", &[&add[..], &["--pin-file", &wrong]].concat())
        .refuses(1, &["Zoe Xu's card", "2 tries left"]);
    desk.as_operator("adam", &[&add[..], &["--pin-file", &pin]].concat()).expect(0);
    desk.as_operator("zoe", &["find", "rita"]).expect(0);
}

#[test]
fn an_operator_whose_card_is_renewed_stays_one() {
    let desk = Staffed::new();
    for options in [&[][..], &["--new-keys"]] {
        let (card, pin) = (desk.card("adam"), desk.pin_file("adam"));
        let renew = ["renew", "adam@example.org", "--card", &card, "--pin-file", &pin];
        desk.as_operator("rita", &[&renew[..], options].concat()).expect(0);
        desk.as_operator("adam", &["operator", "list"]).expect(0);
    }
    let log = desk.log();
    assert_eq!(log.iter().filter(|event| event["kind"] == "operator-renewed").count(), 2);
    desk.plain(&["audit", "verify"]).expect(0);
}

/// In long work, between two items: a batch or the desk's shell asks before each.
#[tokio::test]
async fn a_session_ends_for_good_when_the_card_leaves() {
    use issuer::domain::Permission;
    let desk = Staffed::new();
    let surroundings = issuer::desk::office::Surroundings {
        home: Some(issuer::config::Home::new(desk.desk.home())),
        registry: None,
        operator: Some(desk.card("rita")),
        operator_pin: Some(desk.pin_file("rita").parse().unwrap()),
        second_operator: None,
        passphrase: desk.desk.text("passphrase").parse().unwrap(),
        key_pin: None,
        format: issuer::desk::output::Format::Text,
        is_restored: false,
    };
    let office = surroundings.open().await.unwrap();
    let zoe = office.cardholder("zoe@example.org").await.unwrap();
    let hold = async || {
        let card = office.registry.card_of(zoe.id).await.unwrap().unwrap();
        let now = issuer::clock::Clock::now(&issuer::clock::SystemClock);
        office.registry.command_card(card.id, issuer::domain::CardCommand::Hold, now).await
    };
    // Nobody has shown a card yet.
    assert!(matches!(hold().await, Err(issuer::registry::RegistryError::NobodyActs)));
    office.authorize(Permission::Issue).await.unwrap();
    office.authorize(Permission::Issue).await.unwrap();
    assert_eq!(office.authorize(Permission::Approve).await.unwrap_err().code, "operator-refused");
    office.authorize(Permission::LifeCycle).await.unwrap();
    let (card, away) = (desk.path("rita.card"), desk.path("away.card"));
    std::fs::rename(&card, &away).unwrap();
    assert_eq!(office.authorize(Permission::LifeCycle).await.unwrap_err().code, "operator-card-gone");
    assert!(matches!(hold().await, Err(issuer::registry::RegistryError::NobodyActs)));
    // Put back, it is another session.
    std::fs::rename(&away, &card).unwrap();
    assert_eq!(office.authorize(Permission::LifeCycle).await.unwrap_err().code, "operator-card-gone");
    drop(office);
    let office = surroundings.open_for(Permission::LifeCycle).await.unwrap();
    drop(office);
    // Expired while it is at work: the certificate counts, not the session.
    let office = surroundings.open_for(Permission::Read).await.unwrap();
    desk.as_operator("adam", &["revoke", "rita@example.org", "--reason", "key-compromise"]).expect(0);
    assert_eq!(office.authorize(Permission::Read).await.unwrap_err().code, "operator-refused");
    drop(office);
    let ended = desk.log().iter().filter(|event| event["kind"] == "operator-refused").count();
    assert_eq!(ended, 4);
}

/// What SQL makes of the tables of operators and settings lets nobody in, and a check writes nothing about it.
#[tokio::test]
async fn authority_that_was_edited_past_the_program_is_not_acted_on() {
    let desk = Staffed::new();
    desk.as_operator("adam", &["approval", "demand", "export"]).expect(0);
    let file = desk.desk.home().join("registry.db");
    let kept = desk.path("kept.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).foreign_keys(false);
    let edit = async |statement: &'static str| {
        use sqlx::ConnectOptions;
        let mut connection = options.connect().await.unwrap();
        let done = sqlx::query(statement).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    };
    edit("UPDATE registry SET only_row = only_row").await;
    std::fs::copy(&file, &kept).unwrap();
    for (statement, person, named) in [
        ("DELETE FROM settings WHERE name = 'dual-control'", "adam", "settings, row dual-control"),
        ("UPDATE operators SET roles = 'registrar,administrator' WHERE id = 2", "rita", "roles is"),
        (
            "UPDATE operators SET removed_at = NULL, key_hash = zeroblob(32) WHERE id = 4",
            "rita",
            "key_hash is",
        ),
        ("UPDATE operators SET removed_at = added_at WHERE id = 1", "rita", "removed_at is"),
        ("UPDATE operators SET removed_at = added_at", "adam", "removed_at is"),
        ("DELETE FROM operators", "adam", "operators, row 1"),
    ] {
        edit(statement).await;
        for arguments in [&["find", "alice"][..], &["operator", "list"], &["backup", "x.backup"]] {
            desk.as_operator(person, arguments)
                .refuses(1, &["past the program", named, "issuer audit verify"]);
            desk.plain(arguments).refuses(1, &[]);
        }
        let verdict = desk.plain(&["audit", "verify"]);
        verdict.expect(4);
        std::fs::copy(&kept, &file).unwrap();
    }
    desk.as_operator("rita", &["find", "alice"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[tokio::test]
async fn a_check_of_the_log_writes_nothing() {
    use sqlx::ConnectOptions;
    let desk = Staffed::alone();
    let file = desk.desk.home().join("registry.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("DELETE FROM audit_keys").execute(&mut connection).await.unwrap();
    let count = "SELECT (SELECT count(*) FROM events) + 1000000 * (SELECT count(*) FROM audit_keys)";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
    for _ in 0..2 {
        let verdict = desk.plain(&["audit", "verify"]);
        verdict.expect(4);
        assert!(verdict.stdout.contains("audit_keys"), "{verdict:?}");
    }
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
    assert_eq!(before, after);
    // Nor does anything else put it back as if nothing had been.
    desk.plain(&["find", "alice"]).refuses(1, &["audit_keys", "issuer audit verify"]);
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
    assert_eq!(before, after);
}

/// Uses up the tries of a card's PIN.
fn block(desk: &Staffed, person: &str) {
    let mut card = desk_support::open(&desk.card(person));
    let wrong = desk_support::pin("424242");
    let mut transaction = card.transaction().unwrap();
    while transaction.pin_status().unwrap() != middleware::PinStatus::Blocked {
        assert!(transaction.verify_pin(&wrong, middleware::LastTry::Spend).is_err());
    }
}

/// Whoever sets the PIN of an operator's card can be that operator.
#[test]
fn nobody_becomes_another_operator_by_a_new_pin() {
    let desk = Staffed::new();
    let unblock = |by: &str, whose: &str, more: &[&str]| {
        let (mail, card) = (format!("{whose}@example.org"), desk.card(whose));
        let file = format!("{whose}.new");
        let arguments = ["unblock", &mail, "--card", &card, "--transport-pin-file", &file];
        desk.as_operator(by, &[&arguments[..], more].concat())
    };
    // Not blocked: nobody's, unless that is meant; and then not a registrar's.
    unblock("rita", "vera", &[]).refuses(1, &["operator 4 Vera Approver", "is not blocked", "--not-blocked"]);
    unblock("rita", "vera", &["--not-blocked"]).refuses(1, &["operator 4 Vera Approver", "administrator"]);
    block(&desk, "vera");
    unblock("rita", "vera", &[]).refuses(1, &["may not set the PIN of an operator's card", "administrator"]);
    unblock("adam", "adam", &["--not-blocked"]).refuses(1, &["somebody else", "--recover"]);
    assert!(!desk.path("vera.new").exists() && !desk.path("adam.new").exists());
    // Nor from far away.
    let guid = *desk_support::guid_of(&desk.card("vera")).as_bytes();
    let mut random = rand_core::UnwrapErr(getrandom::SysRng);
    let pending = middleware::remote_unblock::PendingUnblock::begin(guid, &mut random);
    let (request, digits) = (pending.request().to_string(), pending.request().check_digits());
    let remote = ["unblock", "--remote", &request, "--check-digits", &digits, "--identity-check", "called"];
    desk.as_operator("rita", &remote).refuses(1, &["operator 4 Vera Approver", "administrator"]);
    let refusals = desk.plain(&["--json", "audit", "verify"]);
    refusals.expect(0);

    // An administrator who is not its holder; it is in the log, and the holder works again.
    let done = unblock("adam", "vera", &[]);
    done.expect(0);
    assert!(done.stderr.contains("operator 4 Vera Approver (approver)"), "{}", done.stderr);
    std::fs::copy(desk.path("vera.new"), desk.path("vera.pin")).unwrap();
    let log = desk.log();
    let of = |kind: &str| log.iter().filter(|event| event["kind"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(of("operator-refused").len(), 4, "{log:?}");
    let set = of("operator-pin-set");
    assert_eq!(set.len(), 1);
    assert_eq!(set[0]["actor"], "operator 1 Adam Administrator");
    // A card that is nobody's of the desk is the registrar's affair, as before.
    unblock("rita", "zoe", &[]).expect(0);
    std::fs::remove_file(desk.path("zoe.new")).unwrap();
    unblock("adam", "zoe", &[]).refuses(1, &["may not set the PIN of a holder's card", "registrar"]);
    desk.plain(&["audit", "verify"]).expect(0);
}
