//! What needs two operators is done by two, once, and for exactly what was asked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;

use operator_support::Staffed;

/// A desk where everything that can need two operators does.
fn demanding() -> Staffed {
    let desk = Staffed::new();
    let all = ["other-domain", "revoke-authority", "export", "clock-accept", "restore"];
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
fn nobody_is_removed_who_is_needed_for_two() {
    let desk = demanding();
    let remove = ["operator", "remove", "vera@example.org"];
    desk.as_two("adam", "vera", &remove).refuses(1, &["nobody could approve"]);
}
