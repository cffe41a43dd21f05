//! Which witness counts is decided by operators, and recorded: neither an edited line nor a file that is gone decides it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;
mod witness_support;

use operator_support::Staffed;
use serde_json::Value;
use witness_support::{name_witness, seen};

/// Lets what `config.toml` says now count.
fn accept(desk: &Staffed) {
    let shown = desk.as_operator("adam", &["--json", "config", "show"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    desk.as_operator("adam", &["config", "accept", shown["digest"].as_str().unwrap()]).expect(0);
}

/// A desk with operators and a witness that they have accepted.
fn accepted() -> Staffed {
    let desk = Staffed::new();
    name_witness(&desk.desk, Some(&desk.desk.text("witness")));
    accept(&desk);
    desk
}

fn is_last_seen(desk: &Staffed, witness: &str, event: &Value) {
    let last = seen(&desk.path(witness)).pop().unwrap().checkpoint;
    assert_eq!(event["event"], last.end.sequence, "{event}");
}

#[test]
fn a_witness_counts_until_operators_have_accepted_that_it_does_not() {
    let desk = Staffed::new();
    let witness = desk.path("witness");
    name_witness(&desk.desk, Some(&desk.desk.text("witness")));
    // One that is new takes nothing away: it is told at once.
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    assert_eq!(seen(&witness).len(), 1);
    accept(&desk);
    let before = seen(&witness).len();
    assert_eq!(before, 2);
    // What is edited away counts all the same.
    name_witness(&desk.desk, None);
    let released = desk.as_operator("rita", &["release", "zoe@example.org"]);
    released.expect(0);
    assert!(released.stderr.contains("warning: config.toml is another"), "{}", released.stderr);
    assert_eq!(seen(&witness).len(), before + 1);
    let checked = desk.plain(&["audit", "verify"]);
    checked.expect(0);
    assert!(checked.stdout.contains("agrees with what was seen of it 3 times"), "{}", checked.stdout);
    assert!(checked.stderr.contains("- witness = "), "{}", checked.stderr);
    std::fs::rename(&witness, desk.path("moved")).unwrap();
    desk.plain(&["publish", "--to", "public"]).refuses(1, &["witness is missing"]);
    std::fs::rename(desk.path("moved"), &witness).unwrap();
    // Nobody but an administrator takes it out; it is told of that, and of nothing after it.
    let shown = desk.as_operator("otto", &["--json", "config", "show"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert!(shown["difference"].to_string().contains("- witness = "), "{shown}");
    for wrong in ["rita", "otto", "vera"] {
        desk.as_operator(wrong, &["config", "accept", shown["digest"].as_str().unwrap()])
            .refuses(1, &["may not accept a configuration"]);
    }
    accept(&desk);
    let log = desk.log();
    let recorded = log.iter().rfind(|event| event["kind"] == "configuration-recorded").unwrap();
    assert_eq!(recorded["actor"], "operator 1 Adam Administrator");
    assert!(recorded["detail"].to_string().contains("- witness = "), "{recorded}");
    is_last_seen(&desk, "witness", recorded);
    let told = seen(&witness).len();
    desk.as_operator("rita", &["hold", "zoe@example.org"]).expect(0);
    assert_eq!(seen(&witness).len(), told);
    desk.plain(&["audit", "verify", "--witness", "witness"]).expect(0);
}

#[test]
fn a_new_witness_is_begun_by_an_auditor_and_the_log_names_what_the_old_one_saw() {
    let desk = accepted();
    let last = seen(&desk.path("witness")).pop().unwrap().checkpoint;
    std::fs::rename(desk.path("witness"), desk.path("kept")).unwrap();
    let anew = ["audit", "verify", "--new-witness", "--old-witness", "kept"];
    // Whoever also makes the home forget that there was one is told the same.
    std::fs::remove_file(desk.desk.home().join("witness.begun")).unwrap();
    desk.plain(&["audit", "verify"]).refuses(1, &["witness is missing", "as an auditor"]);
    desk.plain(&anew).refuses(1, &["this desk has operators"]);
    for wrong in ["adam", "rita", "vera"] {
        desk.as_operator(wrong, &anew).refuses(1, &["may not begin a new witness", "auditor"]);
    }
    desk.as_operator("adam", &["approval", "demand", "new-witness"]).expect(0);
    let seen_last = format!("after {} {}", last.end.sequence, last.end.hash);
    desk.as_operator("otto", &anew).refuses(1, &["new-witness", &seen_last, "needs a second operator"]);
    desk.as_two("otto", "otto", &anew).refuses(1, &["may not approve"]);
    desk.as_two("otto", "rita", &anew).refuses(1, &["may not approve"]);
    // Not with a file that anybody could have written.
    let forged = std::fs::read_to_string(desk.path("kept")).unwrap().replace("\nbatch ", "\nbatch 0");
    for (text, what) in
        [("something else\n".to_owned(), "does not end with a checkpoint"), (forged, "does not end")]
    {
        std::fs::write(desk.path("forged"), text).unwrap();
        desk.as_two("otto", "vera", &["audit", "verify", "--new-witness", "--old-witness", "forged"])
            .refuses(1, &["forged", what, "nothing was begun"]);
    }
    assert!(!desk.path("witness").exists());
    let begun = desk.as_two("otto", "vera", &anew);
    begun.expect(0);
    assert!(begun.stdout.contains("the witness begins now"), "{}", begun.stdout);
    let log = desk.log();
    let event = log.iter().find(|event| event["kind"] == "witness-begun").unwrap();
    assert_eq!(event["actor"], "operator 3 Otto Auditor");
    let detail: Value = serde_json::from_str(event["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["before"]["event"], last.end.sequence);
    assert_eq!(detail["before"]["hash"], last.end.hash.to_string());
    is_last_seen(&desk, "witness", event);
    let refusals = log.iter().filter(|event| event["kind"] == "operator-refused").count();
    assert_eq!(refusals, 5, "a refusal is not in the log");
    // Every check repeats it, and the new one is compared.
    let checked = desk.plain(&["audit", "verify"]);
    checked.expect(0);
    for words in
        ["was begun anew", "operator 3 Otto Auditor", &format!("had seen event {}", last.end.sequence)]
    {
        assert!(checked.stderr.contains(words), "{words}: {}", checked.stderr);
    }
    assert!(!checked.stderr.contains("an older registry"), "{}", checked.stderr);
    assert!(checked.stdout.contains("agrees with what was seen of it once"), "{}", checked.stdout);
    // Over one that is there nothing is begun.
    desk.as_two("otto", "vera", &anew).refuses(1, &["is there, and nothing is begun over it"]);
}

#[test]
fn where_no_witness_is_named_none_is_begun_anew() {
    let desk = Staffed::new();
    desk.as_operator("otto", &["audit", "verify", "--new-witness"]).refuses(2, &["names no witness file"]);
    desk.plain(&["audit", "verify", "--old-witness", "kept"]).expect(2);
}
