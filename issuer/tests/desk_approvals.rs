//! What needs two operators is done by two, once, and for exactly what was asked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;

use operator_support::Staffed;

/// A desk where everything that can need two operators does.
fn demanding() -> Staffed {
    let desk = Staffed::new();
    let all = ["other-domain", "revoke-authority", "export", "clock-accept", "restore", "configuration"];
    let said = desk.as_operator("adam", &[&["approval", "demand"][..], &all].concat());
    said.expect(0);
    assert!(said.stdout.contains("dual-control"), "{}", said.stdout);
    desk
}

/// The number of the one approval that waits.
fn waiting(desk: &Staffed) -> String {
    let listed = desk.as_operator("vera", &["--json", "approval", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let open: Vec<_> = listed.as_array().unwrap().iter().collect();
    open.last().unwrap()["approval"].to_string()
}

#[test]
fn one_asks_another_grants_and_it_is_done_once() {
    let desk = demanding();
    let waive = ["approval", "waive", "export"];
    desk.as_operator("adam", &waive).refuses(1, &["needs a second operator", "issuer approval grant"]);
    // Asked twice, it is the same.
    desk.as_operator("adam", &waive).refuses(1, &["needs a second operator"]);
    let number = waiting(&desk);
    desk.as_operator("vera", &["approval", "grant", &number]).expect(0);
    // For what was asked, and nothing else.
    desk.as_operator("adam", &["approval", "waive", "restore"]).refuses(1, &["needs a second operator"]);
    desk.as_operator("adam", &waive).expect(0);
    let listed = desk.as_operator("adam", &["operator", "list"]);
    assert!(!listed.stdout.contains("export"), "{}", listed.stdout);
    // Granted once is done once.
    desk.as_operator("adam", &["approval", "demand", "export"]).refuses(1, &["needs a second operator"]);
    desk.as_operator("vera", &["approval", "grant", &number]).refuses(1, &["is used"]);
    let kinds: Vec<_> = desk.log().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    for kind in
        ["approval-asked", "approval-granted", "approval-used", "dual-control-set", "operator-refused"]
    {
        assert!(kinds.iter().any(|found| found == kind), "{kind} is not in the log");
    }
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn one_person_is_not_two_and_no_other_role_grants() {
    let desk = demanding();
    // Adam also becomes an approver: by another hand, because roles are changed by two.
    let vera = desk.as_two("adam", "vera", &["operator", "remove", "rita@example.org"]);
    vera.expect(0);
    desk.as_two("adam", "vera", &["operator", "add", "rita@example.org", "--role", "administrator,approver"])
        .expect(0);
    let waive = ["approval", "waive", "export"];
    desk.as_operator("rita", &waive).refuses(1, &["needs a second operator"]);
    let number = waiting(&desk);
    let grant = ["approval", "grant", &number];
    desk.as_operator("rita", &grant).refuses(1, &["another operator with another card must"]);
    desk.as_operator("rita", &["approval", "refuse", &number, "--why", "x"])
        .refuses(1, &["another operator with another card must"]);
    for wrong in ["adam", "otto"] {
        desk.as_operator(wrong, &grant).refuses(1, &["may not approve", "approver"]);
    }
    // Both at once at the same desk: not the same card twice, not the wrong role.
    desk.as_two("rita", "rita", &waive).refuses(1, &["another operator with another card must"]);
    desk.as_two("rita", "otto", &waive).refuses(1, &["may not approve"]);
    desk.as_two("rita", "zoe", &waive).refuses(1, &["is no operator's"]);
    let before = desk.log().iter().filter(|event| event["kind"] == "operator-refused").count();
    assert_eq!(before, 7);
    desk.as_operator("vera", &["approval", "refuse", &number, "--why", "not today"]).expect(0);
    desk.as_operator("rita", &waive).refuses(1, &["needs a second operator"]);
    desk.as_two("rita", "vera", &waive).expect(0);
}

#[test]
fn an_authority_is_not_revoked_by_one() {
    let desk = demanding();
    let serial = desk.authority_serial("people");
    let revoke = ["revoke", &serial, "--reason", "key-compromise"];
    desk.as_operator("adam", &revoke).refuses(1, &["revoke-authority", &serial, "needs a second operator"]);
    desk.as_operator("vera", &["approve", &waiting(&desk)]).expect(0);
    // For another reason is another act.
    desk.as_operator("adam", &["revoke", &serial, "--reason", "superseded"]).refuses(1, &["needs a second"]);
    desk.as_operator("adam", &revoke).expect(0);
    let revoked = desk.log().iter().filter(|event| event["kind"] == "certificate-revoked").count();
    assert_eq!(revoked, 1);
}

#[test]
fn a_new_pin_for_an_operators_card_is_given_by_two() {
    let desk = demanding();
    let card = desk.card("adam");
    let unblock = ["unblock", "adam@example.org", "--card", &card, "--transport-pin-file", "adam.new"];
    let meant = [&unblock[..], &["--not-blocked"]].concat();
    desk.as_operator("rita", &unblock).refuses(1, &["operator 1 Adam Administrator", "is not blocked"]);
    let needed = ["dual-control", "operator 1 Adam Administrator", "not blocked", "needs a second operator"];
    desk.as_operator("rita", &meant).refuses(1, &needed);
    desk.as_two("rita", "rita", &meant).refuses(1, &["may not approve"]);
    desk.as_two("rita", "otto", &meant).refuses(1, &["may not approve"]);
    assert!(!desk.path("adam.new").exists());
    desk.as_two("rita", "vera", &meant).expect(0);
    std::fs::copy(desk.path("adam.new"), desk.path("adam.pin")).unwrap();
    let log = desk.log();
    let at = log.iter().position(|event| event["kind"] == "operator-pin-set").unwrap();
    assert_eq!(log[at - 1]["kind"], "approval-used");
    assert_eq!(log[at]["actor"], "operator 2 Rita Registrar");
    // One approval, one PIN.
    std::fs::remove_file(desk.path("adam.new")).unwrap();
    desk.as_operator("rita", &meant).refuses(1, &["needs a second operator"]);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn nobody_is_removed_who_is_needed_for_two() {
    let desk = demanding();
    let remove = ["operator", "remove", "vera@example.org"];
    desk.as_two("adam", "vera", &remove).refuses(1, &["nobody could approve"]);
}

/// Another organisation's root.
fn partner(desk: &Staffed) -> String {
    let file = desk.desk.text("partner.pem");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let made = ["req", "-x509", "-days", "900", "-subj", "/CN=Partner Root", "-out", &file];
    assert!(desk_support::openssl(&[&made[..], &key].concat()).status.success());
    file
}

/// A request for a server of another organisation.
fn foreign_request(desk: &Staffed) -> String {
    let file = desk.desk.text("foreign.csr");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let name = ["-subj", "/CN=mx.partner.example", "-addext", "subjectAltName=DNS:mx.partner.example"];
    assert!(
        desk_support::openssl(&[&["req", "-new", "-out", &file][..], &key, &name].concat()).status.success()
    );
    file
}

/// A request for an authority's certificate that somebody made alone, and its SHA-256.
fn authority_request(desk: &Staffed) -> (String, String) {
    let file = desk.desk.text("people.csr");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let made = ["req", "-new", "-subj", "/O=Example Org/CN=Example Org People CA", "-out", &file];
    assert!(desk_support::openssl(&[&made[..], &key].concat()).status.success());
    let said = std::process::Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    (file, String::from_utf8(said).unwrap().split_whitespace().next().unwrap().to_owned())
}

/// What was granted is spent with what it allows, in one change: a command that fails before leaves it.
#[test]
fn a_command_that_fails_spends_no_approval() {
    let desk = demanding();
    let granted = |person: &str, act: &[&str]| {
        desk.as_operator(person, act).refuses(1, &["needs a second operator"]);
        desk.as_operator("vera", &["approve", &waiting(&desk)]).expect(0);
    };
    let right = std::fs::read(desk.path("passphrase")).unwrap();
    let with_wrong_passphrase = |act: &[&str]| {
        std::fs::write(desk.path("passphrase"), "another passphrase altogether\n").unwrap();
        desk.as_operator("adam", act).refuses(1, &["passphrase"]);
        std::fs::write(desk.path("passphrase"), &right).unwrap();
    };
    let (partner, request) = (partner(&desk), foreign_request(&desk));
    let certify = ["certify", &request, "--profile", "mail-server", "--out", "foreign.pem"];
    let cross = ["ca", "cross-certify", &partner, "--domain", "partner.example", "--out", "cross.pem"];
    for act in [&certify[..], &cross] {
        granted("adam", act);
        with_wrong_passphrase(act);
        desk.as_operator("adam", act).expect(0);
    }
    // The same key has its certificate already: nothing is signed, and nobody need agree anew.
    std::fs::remove_file(desk.path("foreign.pem")).unwrap();
    desk.as_operator("adam", &certify).expect(0);

    // No folder to write into, then another place: the act is the same.
    granted("adam", &["backup", "pki.backup"]);
    desk.as_operator("adam", &["backup", "nowhere/pki.backup"]).refuses(1, &["nowhere"]);
    desk.as_operator("adam", &["backup", "pki.backup"]).expect(0);
    desk.as_operator("adam", &["backup", "second.backup"]).refuses(1, &["needs a second operator"]);
    let evidence = |to: &'static str| ["evidence", "zoe@example.org", "--to", to];
    granted("otto", &evidence("evidence"));
    desk.as_operator("otto", &evidence("evidence")).refuses(1, &["there is no CRL"]);
    desk.plain(&["publish", "--to", "public"]).expect(0);
    desk.as_operator("otto", &evidence("evidence")).expect(0);
    desk.as_operator("otto", &evidence("another")).refuses(1, &["needs a second operator"]);

    // What the registry refuses: the certificate was revoked meanwhile, for that reason.
    let serial = desk.authority_serial("people");
    let revoke = |reason: &'static str| {
        ["revoke".to_owned(), serial.clone(), "--reason".to_owned(), reason.to_owned()]
    };
    for reason in ["superseded", "key-compromise"] {
        let act = revoke(reason);
        granted("adam", &act.each_ref().map(String::as_str));
    }
    desk.as_operator("adam", &revoke("key-compromise").each_ref().map(String::as_str)).expect(0);
    desk.as_operator("adam", &revoke("superseded").each_ref().map(String::as_str)).refuses(1, &["revoked"]);
    let states = desk.as_operator("adam", &["--json", "approval", "list"]);
    let states: serde_json::Value = serde_json::from_str(&states.stdout).unwrap();
    let left =
        states.as_array().unwrap().iter().find(|line| line["details"] == format!("{serial} superseded"));
    assert_eq!(left.unwrap()["state"], "granted", "{states}");

    // Each was spent once, next to what it allowed.
    let log = desk.log();
    let used: Vec<_> = log
        .windows(2)
        .filter(|two| two[0]["kind"] == "approval-used")
        .map(|two| two[1]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(used.len(), 5, "{used:?}");
    assert_eq!(
        [used[0], used[1], used[4]],
        ["certificate-signed", "certificate-signed", "certificate-revoked"]
    );
    desk.plain(&["audit", "verify"]).expect(0);
}

/// Puts other lines into `config.toml`, and answers what `config show` calls the result.
fn edit(desk: &Staffed, from: &str, to: &str) -> String {
    let path = desk.desk.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    let shown = desk.as_operator("adam", &["--json", "config", "show"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["digest"].as_str().unwrap().to_owned()
}

const DOMAINS: &str = "domains = [\"example.org\"]";
const MORE_DOMAINS: &str = "domains = [\"example.org\", \"other.example\"]";

#[test]
fn every_guarded_act_is_refused_to_one_person_twice_and_to_the_wrong_second_one() {
    let desk = demanding();
    let everything = "administrator,approver,auditor";
    desk.as_two("adam", "vera", &["operator", "remove", "rita@example.org"]).expect(0);
    desk.as_two("adam", "vera", &["operator", "add", "rita@example.org", "--role", everything]).expect(0);
    let (partner, request) = (partner(&desk), foreign_request(&desk));
    desk.plain(&["publish", "--to", "public"]).expect(0);
    let serial = desk.authority_serial("servers");
    let digest = edit(&desk, DOMAINS, MORE_DOMAINS);
    let (authority, hash) = authority_request(&desk);
    let acts: [&[&str]; 12] = [
        &["certify", &request, "--profile", "mail-server", "--out", "foreign.pem"],
        &["ca", "cross-certify", &partner, "--domain", "partner.example", "--out", "cross.pem"],
        &["ca", "sign", &authority, "--as", "people", "--digest", &hash, "--out", "people.pem"],
        &["ca", "renew", "people"],
        &["ca", "rollover", "people"],
        &["config", "accept", &digest],
        &["revoke", &serial, "--reason", "superseded"],
        &["evidence", "zoe@example.org", "--to", "evidence"],
        &["backup", "pki.backup"],
        &["approval", "waive", "export"],
        &["operator", "add", "zoe@example.org", "--role", "registrar"],
        &["operator", "remove", "otto@example.org"],
    ];
    // With the edited file nothing is certified in any case.
    let (certifying, others) = acts.split_at(5);
    for act in certifying {
        desk.as_operator("rita", act).refuses(1, &["an administrator has not accepted it"]);
    }
    edit(&desk, MORE_DOMAINS, DOMAINS);
    let mut refusals = certifying.len();
    let mut refuse_each = |acts: &[&[&str]]| {
        for act in acts {
            desk.as_operator("rita", act).refuses(1, &["needs a second operator"]);
            desk.as_two("rita", "rita", act).refuses(1, &["another operator with another card must"]);
            desk.as_two("rita", "otto", act).refuses(1, &["may not approve"]);
            refusals += 2;
        }
    };
    refuse_each(certifying);
    edit(&desk, DOMAINS, MORE_DOMAINS);
    refuse_each(others);
    let told = desk.log().iter().filter(|event| event["kind"] == "operator-refused").count();
    assert_eq!(told, refusals, "a refusal is not in the log");
    for file in ["foreign.pem", "cross.pem", "people.pem", "evidence", "pki.backup"] {
        assert!(!desk.path(file).exists(), "{file} was made");
    }
    // The right second one is enough, for each; the authority comes last, for it certifies nothing afterwards.
    let (last, before) = others.iter().partition::<Vec<_>, _>(|act| act.first() == Some(&"revoke"));
    for act in before.into_iter().chain(certifying).chain(last) {
        desk.as_two("rita", "vera", act).expect(0);
    }
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn an_edited_configuration_counts_once_two_have_accepted_it() {
    let desk = demanding();
    let staff = |name: &str| {
        std::fs::write(desk.path("more.csv"), format!("name,mail\nYan Li,{name}\n")).unwrap();
        desk.as_operator("rita", &["staff", "import", "more.csv"])
    };
    let foreign = staff("yan@other.example");
    assert!(foreign.status != 0 && format!("{foreign:?}").contains("not in a domain"), "{foreign:?}");
    let digest = edit(&desk, DOMAINS, MORE_DOMAINS);
    // What makes certificates is refused by name, for those of the own domain too; nothing counts of it.
    for mail in ["yan@other.example", "yan@example.org"] {
        staff(mail).refuses(1, &["+ domain = \"other.example\"", "issuer config show"]);
    }
    let shown = desk.as_operator("otto", &["config", "show"]);
    shown.expect(4);
    assert!(shown.stdout.contains("  + domain = \"other.example\"") && shown.stdout.contains(&digest));
    // Revocation does not wait, nor does its publication.
    let revoked = desk.as_operator("rita", &["revoke", "zoe@example.org", "--reason", "key-compromise"]);
    revoked.expect(0);
    assert!(revoked.stderr.contains("warning: config.toml is another"), "{}", revoked.stderr);
    desk.plain(&["publish", "--to", "public"]).expect(0);

    desk.as_operator("adam", &["config", "accept", &"0".repeat(64)])
        .refuses(1, &["what was reviewed", &digest]);
    let accept = ["config", "accept", &digest];
    desk.as_operator("rita", &accept).refuses(1, &["may not accept a configuration"]);
    desk.as_operator("adam", &accept)
        .refuses(1, &["other-domain", "other.example", "needs a second operator"]);
    desk.as_operator("vera", &["approve", &waiting(&desk)]).expect(0);
    desk.as_operator("adam", &accept).expect(0);
    desk.as_operator("adam", &["config", "show"]).expect(0);
    desk.as_operator("adam", &accept).refuses(1, &["nothing to accept"]);
    staff("yan@other.example").expect(0);

    // What profiles say, too.
    let digest = edit(&desk, "base_url", "piv_extensions = true\nbase_url");
    desk.as_operator("adam", &["config", "accept", &digest])
        .refuses(1, &["configuration", "+ piv_extensions = true", "needs a second operator"]);
    desk.as_two("adam", "vera", &["config", "accept", &digest]).expect(0);
    let log = desk.log();
    let recorded: Vec<_> = log.iter().filter(|event| event["kind"] == "configuration-recorded").collect();
    assert_eq!(recorded.len(), 3, "at the beginning, and twice");
    assert!(recorded[1].to_string().contains("other.example"), "{}", recorded[1]);
    assert_eq!(recorded[2]["actor"], "operator 1 Adam Administrator");
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn a_card_profile_counts_once_two_have_accepted_it() {
    let desk = demanding();
    std::fs::write(desk.path("more.csv"), "name,mail\nYan Li,yan@example.org\n").unwrap();
    desk.as_operator("rita", &["staff", "import", "more.csv"]).expect(0);
    let card = desk.desk.blank("yan.card", &[]);
    desk.as_operator("rita", &["stock", "add", "--card", &card]).expect(0);
    let issue = || {
        let words = ["issue", "yan@example.org", "--card", &card, "--profile", "door"];
        desk.as_operator("rita", &[&words[..], &["--transport-pin-file", "yan.pin"]].concat())
    };
    issue().refuses(1, &["no profile \"door\""]);
    let path = desk.desk.home().join("config.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}\n[profiles.door]\ndays = 90\n")).unwrap();
    let digest = edit(&desk, "days = 90", "days = 91");
    let told = "+ profile door = { algorithm = \"p256\", days = 91, keys = \"card\" }";
    issue().refuses(1, &[told, "issuer config show"]);
    let accept = ["config", "accept", &digest];
    desk.as_operator("adam", &accept).refuses(1, &["configuration", told, "needs a second operator"]);
    desk.as_two("adam", "vera", &accept).expect(0);
    // Whoever edits it again has changed nothing yet: also not for somebody else's card.
    edit(&desk, "days = 91", "days = 824");
    issue().refuses(1, &["- profile door", "days = 824"]);
    std::fs::write(&path, format!("{before}\n[profiles.door]\ndays = 91\n")).unwrap();
    issue().expect(0);
    let shown = desk.as_operator("rita", &["--json", "show", "yan@example.org"]);
    assert!(shown.expect(0).stdout.contains("\"card_profile\": \"door\""), "{}", shown.stdout);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn without_operators_an_edited_configuration_is_recorded_when_it_is_first_used() {
    let desk = Staffed::alone();
    let recorded = || {
        let log = desk.plain(&["--json", "report", "events"]);
        log.stdout
            .lines()
            .filter(|line| line.contains("configuration-recorded"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(recorded().len(), 1, "init records it");
    let path = desk.desk.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace(DOMAINS, MORE_DOMAINS);
    std::fs::write(&path, &text).unwrap();
    desk.plain(&["config", "show"]).expect(4);
    assert_eq!(recorded().len(), 1, "looking uses nothing");
    desk.plain(&["publish", "--to", "public"]).expect(0);
    desk.plain(&["publish", "--to", "public"]).expect(0);
    assert_eq!(recorded().len(), 2);
    assert!(recorded()[1].contains("other.example"), "{:?}", recorded());
    desk.plain(&["config", "show"]).expect(0);
    // What belongs to this computer is nobody else's affair.
    std::fs::write(&path, format!("operator = \"pcsc:\"\n{text}")).unwrap();
    desk.plain(&["config", "show"]).expect(0);
}

#[test]
fn a_new_administrator_is_made_beside_an_approver_where_anything_needs_two() {
    let desk = demanding();
    let revoke = ["revoke", "adam@example.org", "--reason", "key-compromise", "--last-administrator"];
    desk.as_operator("rita", &revoke).refuses(1, &["dual-control", "needs a second operator"]);
    desk.as_two("rita", "vera", &revoke).expect(0);
    let (card, pin) = (desk.card("zoe"), desk.pin_file("zoe"));
    let add = ["operator", "add", "zoe@example.org", "--role", "administrator", "--recover", "--card", &card];
    let add = [&add[..], &["--pin-file", &pin]].concat();
    let beside = |second: &str| {
        let (card, pin) = (desk.card(second), desk.pin_file(second));
        let second = ["--second-operator", &card, "--second-operator-pin-file", &pin];
        desk.plain(&[&second[..], &add].concat())
    };
    desk.plain(&add).refuses(1, &["an approver at the same desk"]);
    beside("otto").refuses(1, &["may not approve"]);
    beside("zoe").refuses(1, &["is no operator's"]);
    beside("vera").expect(0);
    desk.as_operator("zoe", &["operator", "list"]).expect(0);
}

#[test]
fn nobody_is_left_without_an_approver_unless_the_card_was_stolen() {
    let desk = demanding();
    let revoke = ["revoke", "vera@example.org", "--reason", "key-compromise"];
    for arguments in [&revoke[..], &["hold", "vera@example.org"], &["mark", "vera@example.org", "stolen"]] {
        desk.as_operator("rita", arguments)
            .refuses(1, &["without Vera Approver's card nobody could approve", "--last-approver"]);
    }
    desk.as_operator("rita", &["hold", "otto@example.org"]).expect(0);
    let (card, pin) = (desk.card("zoe"), desk.pin_file("zoe"));
    let add =
        ["operator", "add", "zoe@example.org", "--recover", "--card", &card, "--pin-file", &pin, "--role"];
    let approver = [&add[..], &["approver"]].concat();
    desk.as_operator("adam", &approver).refuses(1, &["Adam Administrator administers this desk"]);
    // Stolen: with the passphrase, and the next one is made by an administrator with the passphrase.
    let right = std::fs::read(desk.path("passphrase")).unwrap();
    std::fs::write(desk.path("passphrase"), "another passphrase altogether\n").unwrap();
    let stolen = [&revoke[..], &["--last-approver"]].concat();
    desk.as_operator("rita", &stolen).refuses(1, &["passphrase"]);
    std::fs::write(desk.path("passphrase"), &right).unwrap();
    desk.as_operator("rita", &stolen).expect(0);
    desk.as_operator("adam", &["approval", "waive", "export"]).refuses(1, &["needs a second operator"]);
    desk.plain(&approver).refuses(1, &["--operator"]);
    desk.as_operator("rita", &approver).refuses(1, &["may not"]);
    desk.as_operator("adam", &[&add[..], &["auditor"]].concat()).refuses(1, &["must be an approver"]);
    desk.as_operator("adam", &approver).expect(0);
    desk.as_two("adam", "zoe", &["approval", "waive", "export"]).expect(0);
    desk.as_two("adam", "zoe", &["operator", "remove", "vera@example.org"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[tokio::test]
async fn the_clock_is_accepted_by_two() {
    let desk = demanding();
    let url = issuer::registry::RegistryUrl::Sqlite(desk.desk.home().join("registry.db"));
    let registry = issuer::registry::Registry::open(&url, issuer::domain::Actor::unrecorded()).await.unwrap();
    let ahead: jiff::Timestamp = "2999-01-02T03:04:05Z".parse().unwrap();
    registry.reserve_crl_number(issuer::domain::AuthorityName::People, ahead, ahead).await.unwrap();
    registry.close().await;
    let accept = ["clock", "accept", "--why", "it was set wrong"];
    desk.as_operator("adam", &accept).refuses(1, &["clock-accept", "2999", "needs a second operator"]);
    for (second, word) in
        [("adam", "may not approve"), ("otto", "may not approve"), ("zoe", "is no operator's")]
    {
        desk.as_two("adam", second, &accept).refuses(1, &[word]);
    }
    desk.plain(&["publish", "--to", "public"]).refuses(1, &["issuer clock accept"]);
    desk.as_two("adam", "vera", &accept).expect(0);
    desk.plain(&["publish", "--to", "public"]).expect(0);
}

#[test]
fn a_backup_is_restored_by_two_at_the_same_desk() {
    let desk = demanding();
    desk.as_two("adam", "vera", &["backup", "pki.backup"]).expect(0);
    std::fs::rename(desk.desk.home(), desk.path("old")).unwrap();
    let restore = ["restore", "pki.backup"];
    desk.as_operator("adam", &restore).refuses(1, &["second operator at the same desk"]);
    for (second, word) in
        [("adam", "may not approve"), ("otto", "may not approve"), ("zoe", "is no operator's")]
    {
        desk.as_two("adam", second, &restore).refuses(1, &[word]);
    }
    desk.as_two("rita", "vera", &restore).expect(1);
    assert!(!desk.desk.home().exists(), "something was restored");
    let restored = desk.as_two("adam", "vera", &restore);
    assert!(matches!(restored.status, 0 | 3), "{restored:?}");
}
