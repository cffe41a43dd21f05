//! Evidence of somebody's cards is checked by whoever has openssl and the folder's README, and any change of it is noticed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use desk_support::{Desk, files_below};
use operator_support::Staffed;

/// Alice's first card is lost and revoked, her second is good, and a new key of the authority certified it; Bob has one too.
fn lived() -> Desk {
    let desk = Desk::new();
    for (name, person) in [("bob", "bob@example.org"), ("first", "alice@example.org")] {
        let locator = desk.yubikey(&format!("{name}.card"), &[]);
        desk.issue(person, &locator, &[]);
    }
    desk.publish();
    desk.issuer(&["mark", "alice@example.org", "lost"]).expect(0);
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    let locator = desk.yubikey("second.card", &[]);
    std::fs::remove_file(desk.path("alice-example.org.pin")).unwrap();
    desk.issue("alice@example.org", &locator, &[]);
    // Nobody knows yet what the new key revoked.
    desk.issuer(&["evidence", "alice@example.org", "--to", "evidence"])
        .refuses(1, &["People CA G2", "no CRL", "issuer publish"]);
    desk.publish();
    desk.issuer(&["evidence", "alice@example.org", "--to", "evidence"]).expect(0);
    desk
}

/// The checks of a README, each a script of its own.
fn checks(readme: &str) -> Vec<String> {
    let blocks: Vec<_> =
        readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect();
    assert_eq!(blocks.len(), 6, "{readme}");
    blocks
}

/// What the organisation tells of its audit key by another way than the folder.
fn told(desk: &Desk) -> String {
    desk.json(&["audit", "verify"])["audit_key"].as_str().unwrap().to_owned()
}

/// Runs each check by itself, as a reader does, with the tools that the README names and no others: whether all of them
/// end with exit status 0, and what they say up to the first that does not.
fn run_in(shell: &str, checks: &[String], folder: &Path, tools: &Path, key: &str) -> (bool, String) {
    let mut said = String::new();
    for check in checks {
        let output = Command::new(shell)
            .args(["-c", check])
            .env_clear()
            .env("PATH", tools)
            .env("audit_key", key)
            .current_dir(folder)
            .output()
            .unwrap();
        said.push_str(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        if !output.status.success() {
            return (false, said);
        }
    }
    (true, said)
}

/// In two shells, which must agree.
fn run(checks: &[String], folder: &Path, tools: &Path, key: &str) -> (bool, String) {
    let (is_good, said) = run_in("/bin/dash", checks, folder, tools, key);
    let (bash, also) = run_in("/bin/bash", checks, folder, tools, key);
    assert_eq!(is_good, bash, "dash: {said}\nbash: {also}");
    (is_good, said)
}

fn tools(directory: &Path) -> PathBuf {
    let tools = directory.join("tools");
    std::fs::create_dir(&tools).unwrap();
    for name in ["openssl", "sha256sum", "find", "sort", "uniq", "grep", "head", "tail", "cut", "tr", "rm"] {
        let place = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let place = place.iter().find(|place| place.exists()).unwrap();
        std::os::unix::fs::symlink(place, tools.join(name)).unwrap();
    }
    tools
}

#[test]
fn the_commands_of_the_readme_prove_a_life_and_notice_every_change() {
    let desk = lived();
    let (folder, tools) = (desk.path("evidence"), tools(desk.directory.path()));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let (script, key) = (checks(&readme), told(&desk));
    let (is_good, said) = run(&script, &folder, &tools, &key);
    assert!(is_good, "{said}");
    // All of her eight certificates, and nothing of Bob.
    let certificates = files_below(&folder.join("certificates"));
    assert_eq!(certificates.len(), 8);
    // The authority with both of its keys, and the CRL of each; nothing of the servers'.
    let blocks = |name: &str, what: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        text.matches(&format!("BEGIN {what}-----")).count()
    };
    assert_eq!(blocks("chain.pem", "CERTIFICATE"), 2);
    assert_eq!(blocks("crls.pem", "X509 CRL"), 3);
    let revoked = readme.lines().filter(|line| line.starts_with("revoked ")).count();
    let good = readme.lines().filter(|line| line.starts_with("good ")).count();
    assert_eq!((revoked, good), (4, 4));
    for kind in
        ["person-added", "personalisation-begun", "certificate-signed", "card-lost", "certificate-revoked"]
    {
        assert!(readme.contains(kind), "{kind} is not told: {readme}");
    }
    let files = files_below(&folder);
    assert!(files.len() > 60, "{}", files.len());
    for file in &files {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        assert!(!text.contains("bob@example.org") && !text.contains("Bob Ruiz"), "{}", file.display());
    }
    for (index, file) in files.into_iter().enumerate() {
        let is_good = || run_in(["/bin/dash", "/bin/bash"][index % 2], &script, &folder, &tools, &key).0;
        let before = std::fs::read(&file).unwrap();
        let mut changed = before.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        assert!(!is_good(), "a change of {} is not noticed", file.display());
        std::fs::remove_file(&file).unwrap();
        assert!(!is_good(), "that {} is missing is not noticed", file.display());
        std::fs::write(&file, before).unwrap();
    }
    assert!(run(&script, &folder, &tools, &key).0);
    let check = script.iter().find(|check| check.contains("manifest.sig")).unwrap().clone();
    what_was_added_is_named(&[check], &folder, &tools, &key);
    assert!(run(&script, &folder, &tools, &key).0);
}

/// Wherever it is put, and however it is called.
fn what_was_added_is_named(check: &[String], folder: &Path, tools: &Path, key: &str) {
    std::fs::create_dir_all(folder.join("certificates/deeper/still")).unwrap();
    std::fs::create_dir(folder.join(".folder")).unwrap();
    assert!(run(check, folder, tools, key).0, "folders alone say nothing");
    for name in [
        "added.txt",
        ".added",
        "events/0000000099.txt",
        "events/.added",
        "certificates/deeper/still/added.pem",
        ".folder/added",
        ".folder/.added",
        "a name [with] * \\ blanks",
        "-n",
        // Each line of it is the name of a file that is there.
        "README.md\n..README.md",
        "README.md\n..manifest.sig",
    ] {
        let added = folder.join(name);
        std::fs::write(&added, "something").unwrap();
        let (is_good, said) = run(check, folder, tools, key);
        assert!(!is_good, "{name:?} was added and is not noticed");
        let told = said.lines().any(|line| name.lines().any(|part| line == part));
        assert!(told || name.starts_with("README.md"), "{name:?} is not named: {said}");
        std::fs::remove_file(&added).unwrap();
    }
    for (link, place) in [("link.txt", "README.md"), ("events/more", "../certificates"), (".gone", "nowhere")]
    {
        std::os::unix::fs::symlink(place, folder.join(link)).unwrap();
        let (is_good, said) = run(check, folder, tools, key);
        assert!(!is_good && said.lines().any(|line| line == link), "{link}: {said}");
        std::fs::remove_file(folder.join(link)).unwrap();
    }
    assert!(run(check, folder, tools, key).0);
}

/// Two keys of the root, two of the authority for people, two audit keys: the commands of the README are the same.
#[test]
fn evidence_spans_new_roots_and_a_restored_registry() {
    let desk = Desk::new();
    let first = desk.yubikey("first.card", &[]);
    desk.issue("alice@example.org", &first, &[]);
    desk.publish();
    desk.issuer(&["mark", "alice@example.org", "lost"]).expect(0);
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    std::fs::rename(desk.home(), desk.path("lost")).unwrap();
    desk.issuer(&["restore", "pki.backup", "--published", "public"]).expect(0);
    for authority in ["root", "people"] {
        desk.issuer(&["ca", "rollover", authority]).expect(0);
    }
    let second = desk.yubikey("second.card", &[]);
    std::fs::remove_file(desk.path("alice-example.org.pin")).unwrap();
    desk.issue("alice@example.org", &second, &[]);
    desk.publish();
    desk.issuer(&["evidence", "alice@example.org", "--to", "evidence"]).expect(0);
    let (folder, tools) = (desk.path("evidence"), tools(desk.directory.path()));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let (script, key) = (checks(&readme), told(&desk));
    let (is_good, said) = run(&script, &folder, &tools, &key);
    assert!(is_good, "{said}");
    let anchors = std::fs::read_to_string(folder.join("anchor.pem")).unwrap();
    assert_eq!(anchors.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(files_below(&folder.join("audit-keys")).len(), 2);
    // Each root alone reaches everything, through what the roots say of each other.
    for anchor in anchors.split_inclusive("-----END CERTIFICATE-----\n") {
        std::fs::write(desk.path("anchor.pem"), anchor).unwrap();
        let script: Vec<_> =
            script.iter().map(|check| check.replace("-CAfile anchor.pem", "-CAfile ../anchor.pem")).collect();
        let (is_good, said) = run(&script, &folder, &tools, &key);
        assert!(is_good, "{said}");
    }
}

/// Whoever makes the manifest anew, with a key of their own or even with the audit key, is caught by another check.
#[test]
fn a_folder_that_was_made_anew_is_not_believed() {
    let desk = lived();
    let (folder, tools) = (desk.path("evidence"), tools(desk.directory.path()));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let (script, key) = (checks(&readme), told(&desk));
    let sign = |key: &Path| {
        let made = Command::new("sh")
            .arg("-c")
            .arg(
                "find . -type f ! -name 'manifest.*' | cut -c 3- | sort | xargs sha256sum > manifest.sha256 && \
                 openssl dgst -sha256 -sign \"$0\" -out manifest.sig manifest.sha256",
            )
            .arg(key)
            .current_dir(&folder)
            .status()
            .unwrap();
        assert!(made.success());
    };
    let audit_key = desk.home().join("keys/audit.pem");
    sign(&audit_key);
    assert!(run(&script, &folder, &tools, &key).0, "the script that forges does not even do it right");

    // The reason of an event, told otherwise, with its hash.
    let event = files_below(&folder.join("events"))
        .into_iter()
        .find(|file| std::fs::read_to_string(file).unwrap().contains("card-lost"))
        .unwrap();
    let before = std::fs::read_to_string(&event).unwrap();
    std::fs::write(&event, before.replace("card-lost", "card-held")).unwrap();
    let sums = Command::new("sh")
        .args(["-c", "sha256sum events/*.txt > events.sha256"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(sums.success());
    sign(&audit_key);
    let (is_good, said) = run(&script, &folder, &tools, &key);
    assert!(!is_good && said.contains("is in no checkpoint"), "{said}");
    std::fs::write(&event, before).unwrap();
    let sums = Command::new("sh")
        .args(["-c", "sha256sum events/*.txt > events.sha256"])
        .current_dir(&folder)
        .status();
    assert!(sums.unwrap().success());
    sign(&audit_key);
    assert!(run(&script, &folder, &tools, &key).0);

    // A checkpoint in between, taken out.
    let checkpoints = files_below(&folder.join("checkpoints"));
    let mut lonely: Vec<_> = checkpoints
        .iter()
        .filter(|file| {
            file.extension().is_some_and(|end| end == "txt") && !file.with_extension("hashes").exists()
        })
        .collect();
    lonely.sort();
    let middle = lonely[lonely.len() / 2];
    std::fs::remove_file(middle).unwrap();
    sign(&audit_key);
    assert!(!run(&script, &folder, &tools, &key).0, "a missing checkpoint is not noticed");

    // Another key.
    let other = desk.path("other.pem");
    assert!(
        desk_support::openssl(&[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            other.to_str().unwrap()
        ])
        .status
        .success()
    );
    let public = folder.join("audit-key.pem");
    assert!(
        desk_support::openssl(&[
            "pkey",
            "-in",
            other.to_str().unwrap(),
            "-pubout",
            "-out",
            public.to_str().unwrap()
        ])
        .status
        .success()
    );
    sign(&other);
    assert!(!run(&script, &folder, &tools, &key).0, "another key is not noticed");
    // Whose name the folder says too: only what was told by another way is against it.
    let foreign = Command::new("sh")
        .args(["-c", "openssl pkey -pubin -in audit-key.pem -outform DER | sha256sum | cut -c 1-64"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let foreign = String::from_utf8(foreign.stdout).unwrap();
    std::fs::write(folder.join("README.md"), readme.replace(&key, foreign.trim())).unwrap();
    sign(&other);
    let renamed = checks(&std::fs::read_to_string(folder.join("README.md")).unwrap());
    let first = |key: &str| run(&renamed[..1], &folder, &tools, key).0;
    assert!(first(foreign.trim()), "the test forges badly");
    assert!(!first(&key), "a foreign key is believed");
    assert!(!first(""), "without the key's name nothing can be told");
}

/// What somebody does who has no key at all: an event, its hash, and the hash in the manifest.
#[test]
fn an_event_forged_without_any_key_makes_a_check_fail() {
    let desk = lived();
    let (folder, tools) = (desk.path("evidence"), tools(desk.directory.path()));
    let (script, key) = (checks(&std::fs::read_to_string(folder.join("README.md")).unwrap()), told(&desk));
    let event = files_below(&folder.join("events")).into_iter().next().unwrap();
    let name = format!("events/{}", event.file_name().unwrap().to_str().unwrap());
    let sum = || {
        let text = std::fs::read(&event).unwrap();
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text))
    };
    let before = sum();
    let text = std::fs::read_to_string(&event).unwrap();
    std::fs::write(&event, text.replacen("alice", "malice", 1) + "x").unwrap();
    for lists in [&["manifest.sha256"][..], &["events.sha256"], &["manifest.sha256", "events.sha256"]] {
        let kept: Vec<_> = lists
            .iter()
            .map(|list| {
                let path = folder.join(list);
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains(&format!("{before}  {name}")), "{text}");
                std::fs::write(&path, text.replace(&before, &sum())).unwrap();
                (path, text)
            })
            .collect();
        let (is_good, said) = run(&script, &folder, &tools, &key);
        assert!(!is_good, "{lists:?}: {said}");
        // The events' own check does not lean on the manifest's.
        assert!(!run(&script[3..4], &folder, &tools, &key).0, "{lists:?}: {said}");
        for (path, text) in kept {
            std::fs::write(path, text).unwrap();
        }
    }
}

#[test]
fn evidence_is_for_auditors_and_leaves_the_house_by_two() {
    let desk = Staffed::new();
    desk.plain(&["publish", "--to", "public"]).expect(0);
    let evidence = ["evidence", "zoe@example.org", "--to", "evidence"];
    desk.as_operator("adam", &evidence).refuses(1, &["may not take evidence", "auditor"]);
    desk.as_operator("otto", &evidence).expect(0);
    desk.as_operator("otto", &evidence).refuses(1, &["exists already"]);
    desk.as_operator("adam", &["approval", "demand", "export"]).expect(0);
    let again = ["evidence", "zoe@example.org", "--to", "again"];
    desk.as_operator("otto", &again).refuses(1, &["needs a second operator"]);
    assert!(!desk.path("again").exists());
    desk.as_two("otto", "vera", &again).expect(0);
    desk.as_operator("otto", &["evidence", "nobody@example.org", "--to", "x"])
        .refuses(1, &["nobody in the registry"]);
}

#[test]
fn without_a_crl_nothing_is_said_of_certificates() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    let evidence = ["evidence", "alice@example.org", "--to", "evidence"];
    desk.issuer(&evidence).refuses(1, &["issuer publish"]);
    // Nor with one of a clock that was ahead: openssl would call it not yet valid.
    desk.on_another_day("+20d", &["publish", "--to", "public"]).expect(0);
    desk.issuer(&["clock", "accept", "--why", "it was ahead"]).expect(0);
    desk.issuer(&evidence).refuses(1, &["begins only at ", "issuer publish"]);
    assert!(!desk.path("evidence").exists());
    desk.publish();
    desk.issuer(&evidence).expect(0);
}
