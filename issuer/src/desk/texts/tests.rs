//! Both languages say everything, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;
use crate::desk::failure::Failure;

/// Each message's key with its placeables.
fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut key = String::new();
    for line in source(language).lines() {
        if let Some((name, _)) = line.split_once(" =").filter(|_| line.starts_with(char::is_alphabetic)) {
            key = name.to_owned();
            assert!(found.insert(key.clone(), BTreeSet::new()).is_none(), "{key} stands there twice");
        }
        let placeables = line.split("{ $").skip(1).filter_map(|rest| rest.split_once(" }"));
        if let Some(known) = found.get_mut(&key) {
            known.extend(placeables.map(|(name, _)| name.to_owned()));
        }
    }
    found
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => sources(&path, files),
            Some("rs") if !path.ends_with("tests.rs") => files.push(path),
            _ => {}
        }
    }
}

/// Every word in quotation marks in the sources of the desk that could be a key.
fn quoted() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/desk"), &mut files);
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let is_key = |word: &&str| word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    texts.flat_map(|text| text.split('"').filter(is_key).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_message_is_in_both_languages_with_the_same_placeables() {
    let english = messages(Language::English);
    let mut chinese = messages(Language::Chinese);
    // What went wrong is said in English by whoever knows it; other languages have a sentence for each kind, and the whole of
    // what is met most. What help says in English stands beside the commands.
    let is_own =
        |key: &str| ["failure-", "failed-", "help-", "event-"].iter().any(|family| key.starts_with(family));
    chinese.retain(|key, _| !is_own(key));
    assert_eq!(english, chinese);
    assert!(english.len() > 80);
}

#[test]
fn every_message_can_be_said() {
    for language in Language::ALL {
        let texts = Texts::new(language);
        for (key, placeables) in messages(language) {
            let values: Vec<_> = placeables.iter().map(|name| (name.as_str(), "<given>")).collect();
            let said = texts.say(&key, &values);
            assert!(said != key && !said.contains('{'), "{key} in {language:?} is {said:?}");
            assert_eq!(said.contains("<given>"), !placeables.is_empty(), "{key} in {language:?} is {said:?}");
        }
    }
}

#[test]
fn every_message_is_said_somewhere_and_every_key_there_is_a_message() {
    let quoted = quoted();
    let english = messages(Language::English);
    for key in english.keys().filter(|key| !key.starts_with("state-") && !key.starts_with("undo-")) {
        assert!(key == "failure" || quoted.contains(key), "{key} is said nowhere");
    }
    let families = [
        "way-",
        "undo-",
        "shell-",
        "issue-",
        "show-",
        "half-done-",
        "checked-",
        "found-",
        "ending-",
        "said-",
        "batched-",
        "import-",
        "published-",
        "audited-",
        "leaver-",
        "letter-",
    ];
    for key in quoted.iter().filter(|key| families.iter().any(|family| key.starts_with(family))) {
        assert!(english.contains_key(key), "{key} is no message");
    }
    let chinese = messages(Language::Chinese);
    let refusals = |key: &&String| key.starts_with("failed-");
    let (said, known): (BTreeSet<_>, BTreeSet<_>) =
        (quoted.iter().filter(refusals).collect(), chinese.keys().filter(refusals).collect());
    assert_eq!(said, known);
}

#[test]
fn a_failure_keeps_its_details_in_every_language() {
    let failure = Failure::new("wrong-passphrase", "home/keys/root.pem: the passphrase is wrong");
    assert_eq!(Texts::new(Language::English).failure(&failure), failure.message);
    let said = Texts::new(Language::Chinese).failure(&failure);
    assert_eq!(said, format!("口令不对。\n{}", failure.message));
    let unheard = Texts::new(Language::Chinese).failure(&Failure::new("nowhere", "details"));
    assert_eq!(unheard, "未能完成：\ndetails");
}
