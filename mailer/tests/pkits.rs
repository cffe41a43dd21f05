//! NIST's Public Key Interoperability Test Suite through `mailer certificate verify`: all 247 cases.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]
mod pkits_data;

use std::collections::BTreeSet;
use std::process::Command;

use pkits_data::{Case, cases, data, in_parallel};

/// A moment inside the validity of every certificate and CRL of the suite that shall be valid.
const MOMENT: &str = "2020-06-01T12:00:00Z";

/// What is wrong with our answer, if anything.
fn check(case: &Case) -> Option<String> {
    let files = |folder: &str, names: &[String], extension: &str| -> Vec<String> {
        let path = |name: &String| data().join(folder).join(format!("{name}.{extension}"));
        names.iter().map(|name| path(name).to_str().unwrap().to_owned()).collect()
    };
    let certificates = files("certs", &case.certificates, "crt");
    let [anchor, intermediates @ .., end_entity] = certificates.as_slice() else { panic!("{case:?}") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailer"));
    command.args(["certificate", "verify", end_entity, "--anchor", anchor, "--at", MOMENT, "--json"]);
    let mut list = |option: &str, values: &[String]| {
        if !values.is_empty() {
            command.arg(option).args(values);
        }
    };
    list("--intermediate", intermediates);
    list("--crl", &files("crls", &case.lists, "crl"));
    list("--policy", &case.policies);
    let flags = [
        (case.explicit, "--explicit-policy"),
        (case.inhibit_mapping, "--inhibit-mapping"),
        (case.inhibit_any, "--inhibit-any-policy"),
    ];
    command.args(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let wrong = |what: String| Some(format!("{}: {what}: {said}", case.test));
    let wanted = if case.valid { 0 } else { 4 };
    if output.status.code() != Some(wanted) {
        return wrong(format!("exit {:?} instead of {wanted}", output.status.code()));
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    if !case.valid {
        return answer["code"].as_str().is_none_or(str::is_empty).then(|| format!("{}: no code", case.test));
    }
    let policies: BTreeSet<String> =
        answer["policies"].as_array().unwrap().iter().map(|oid| oid.as_str().unwrap().to_owned()).collect();
    if answer["revocation"] != "good" {
        return wrong("revocation".to_owned());
    }
    if policies == case.user_constrained { None } else { wrong(format!("not {:?}", case.user_constrained)) }
}

#[test]
fn every_case_has_its_expected_result() {
    let cases = cases();
    assert_eq!(cases.len(), 247);
    assert_eq!(cases.iter().filter(|case| case.valid).count(), 112);
    let wrong: Vec<String> = in_parallel(&cases, check).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_wrong_result_would_be_found() {
    let cases = cases();
    let case = |test: &str| cases.iter().find(|case| case.test == test).unwrap().clone();
    let (valid, invalid) = (case("4.1.1"), case("4.1.3"));
    assert_eq!(check(&valid), None);
    assert!(check(&Case { valid: false, ..valid.clone() }).is_some());
    assert!(check(&Case { valid: true, ..invalid }).is_some());
    assert!(check(&Case { user_constrained: BTreeSet::new(), ..valid.clone() }).is_some());
    assert!(check(&Case { lists: Vec::new(), ..valid }).is_some());
}
