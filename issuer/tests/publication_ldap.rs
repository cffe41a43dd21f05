//! Publication into OpenLDAP: what is there is judged by its own tools and by openssl, and nothing is lost when it is down,
//! lies, or the program is killed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
mod slapd_support;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use desk_support::{Desk, Run, files_below, openssl};
use issuer::ca::Certificate;
use serde_json::Value;
use slapd_support::meddler::{self, Verdict};
use slapd_support::{BASE, Slapd, WRITER};

const CERTIFICATES: &str = "userCertificate;binary";
const CRL: &str = "certificateRevocationList;binary";

/// Publishes into the directory behind this port.
fn publish(desk: &Desk, server: &Slapd, port: u16) -> Run {
    let (url, password) = (format!("ldap://127.0.0.1:{port}/{BASE}"), server.text("password"));
    desk.issuer(&["--json", "publish", "--to", &url, "--bind-dn", WRITER, "--bind-password-file", &password])
}

fn published(run: &Run) -> Value {
    run.expect(0);
    let said: Value = serde_json::from_str(&run.stdout).unwrap();
    said["targets"][0].clone()
}

fn desk_with_alice() -> Desk {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    desk
}

/// What a published directory of files holds of an address.
fn in_files(desk: &Desk, address: &str) -> BTreeSet<Vec<u8>> {
    let folder = desk.publish().join("certificates/by-email").join(address);
    if !folder.exists() {
        return BTreeSet::new();
    }
    files_below(&folder).iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn people_and_authorities_are_found_by_the_tools_of_others() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let done = published(&publish(&desk, &server, server.port));
    assert_eq!((&done["state"], &done["removed"]), (&"done".into(), &0.into()), "{done}");

    let certificates = server.values(BASE, "(mail=alice@example.org)", CERTIFICATES);
    assert_eq!(certificates.len(), 2);
    assert_eq!(certificates, in_files(&desk, "alice@example.org"));
    // RFC 4523 section 4.1: serial number and issuer.
    let one = Certificate::from_der(certificates.first().unwrap().clone()).unwrap();
    let serial = u128::from_str_radix(&one.serial_number().to_string(), 16).unwrap();
    let exact = format!(
        "(userCertificate:certificateExactMatch:={{ serialNumber {serial}, issuer rdnSequence:\"{}\" }})",
        one.issuer()
    );
    assert!(server.search(BASE, &exact, &["uid"]).contains("uid: alice"), "{exact}");

    // Whoever has only what LDAP gives can verify.
    let pem = |name: &str, text: String| {
        std::fs::write(desk.path(name), text).unwrap();
        desk.text(name)
    };
    let mut authorities: Vec<Certificate> = server
        .values(BASE, "(objectClass=pkiCA)", "cACertificate;binary")
        .into_iter()
        .map(|der| Certificate::from_der(der).unwrap())
        .collect();
    authorities.sort_by_key(|authority| !authority.is_self_issued());
    assert_eq!(authorities.len(), 3);
    let anchor = pem("anchor", authorities[0].to_pem());
    let chain = pem("chain", authorities[1..].iter().map(Certificate::to_pem).collect());
    let leaf = pem("leaf", one.to_pem());
    let crls = server.values(BASE, "(objectClass=pkiCA)", CRL);
    assert_eq!(crls.len(), 3);
    let crls: String = crls
        .iter()
        .map(|der| {
            std::fs::write(desk.path("crl.der"), der).unwrap();
            let converted = openssl(&["crl", "-inform", "DER", "-in", &desk.text("crl.der")]);
            String::from_utf8(converted.stdout).unwrap()
        })
        .collect();
    let crls = pem("crls", crls);
    let verify = ["verify", "-x509_strict", "-crl_check_all", "-CAfile", &anchor, "-untrusted", &chain];
    let judged = openssl(&[&verify[..], &["-CRLfile", &crls, &leaf]].concat());
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));

    let again = published(&publish(&desk, &server, server.port));
    assert_eq!(again["written"], 3, "only the three new CRLs: {again}");
    let pending: Value = desk.json(&["publish", "--pending"]);
    assert_eq!(pending["targets"][0]["written"], 0, "{pending}");
}

#[test]
fn nothing_of_others_is_touched_and_ours_goes_when_it_is_revoked() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let theirs = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "3",
        "-subj",
        "/CN=another CA",
        "-outform",
        "DER",
        "-keyout",
        "/dev/null",
    ]);
    std::fs::write(server.path("theirs.der"), &theirs.stdout).unwrap();
    let changed = server.modify(&format!(
        "dn: uid=alice,{BASE}\nchangetype: modify\nadd: {CERTIFICATES}\n{CERTIFICATES}:< file://{}\n",
        server.text("theirs.der")
    ));
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));

    publish(&desk, &server, server.port).expect(0);
    let of_alice = || server.values(BASE, "(mail=alice@example.org)", CERTIFICATES);
    assert_eq!(of_alice().len(), 3);
    assert!(of_alice().contains(&theirs.stdout));

    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    // Nobody waited for the directory; what waits for it is known.
    assert_eq!(desk.json(&["target", "list"])[0]["waiting"], 1);
    let done = published(&publish(&desk, &server, server.port));
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(of_alice(), BTreeSet::from([theirs.stdout]), "a revoked certificate is found by senders");
    let crl = server.values(BASE, "(cn=Example Org People CA)", CRL);
    std::fs::write(desk.path("crl.der"), crl.first().unwrap()).unwrap();
    let text = openssl(&["crl", "-inform", "DER", "-noout", "-text", "-in", &desk.text("crl.der")]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("Key Compromise"));
}

/// Past our program: from a backup of the directory, or by somebody who means it.
#[test]
fn a_revoked_certificate_that_was_put_back_is_taken_out_again() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    publish(&desk, &server, server.port).expect(0);
    let of_alice = || server.values(BASE, "(mail=alice@example.org)", CERTIFICATES);
    let old = of_alice();
    assert_eq!(old.len(), 2);
    desk.issuer(&["mark", "alice@example.org", "lost"]).expect(0);
    let next = desk.yubikey("next.card", &[]);
    std::fs::remove_file(desk.path("alice-example.org.pin")).unwrap();
    desk.issue("alice@example.org", &next, &[]);
    publish(&desk, &server, server.port).expect(0);
    let new = of_alice();
    assert!(new.len() == 2 && new.is_disjoint(&old));

    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let theirs = ["req", "-x509", "-days", "3", "-subj", "/CN=another CA", "-outform", "DER"];
    let theirs = openssl(&[&theirs[..], &key].concat()).stdout;
    let mut change = format!("dn: uid=alice,{BASE}\nchangetype: modify\nadd: {CERTIFICATES}\n");
    for (index, value) in old.iter().chain([&theirs]).enumerate() {
        std::fs::write(server.path(&format!("{index}.der")), value).unwrap();
        change += &format!("{CERTIFICATES}:< file://{}\n", server.text(&format!("{index}.der")));
    }
    let changed = server.modify(&change);
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert_eq!(of_alice().len(), 5);

    let healed = published(&publish(&desk, &server, server.port));
    assert_eq!(healed["state"], "done", "{healed}");
    let expected: BTreeSet<_> = new.iter().cloned().chain([theirs]).collect();
    assert_eq!(of_alice(), expected, "what is revoked is found by senders, or something else is not");
    let again = published(&publish(&desk, &server, server.port));
    // The entries of the authorities, whose CRLs are new.
    assert_eq!((&again["written"], &again["unchanged"]), (&3.into(), &1.into()), "{again}");
    assert_eq!(of_alice(), expected);
}

/// Somebody pasted it into the wrong form: whoever writes to Bob would find it.
#[test]
fn a_certificate_of_ours_in_the_entry_of_somebody_else_is_taken_out_and_named() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    desk.issue_and_extract("bob");
    publish(&desk, &server, server.port).expect(0);
    let of = |person: &str| server.values(BASE, &format!("(uid={person})"), CERTIFICATES);
    let (alices, bobs) = (of("alice"), of("bob"));
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let theirs = ["req", "-x509", "-days", "3", "-subj", "/CN=another CA", "-outform", "DER"];
    let theirs = openssl(&[&theirs[..], &key].concat()).stdout;
    // The one for logging in names no address, and is no part of what is published.
    let login = openssl(&["x509", "-outform", "DER", "-in", &desk.text("bob/9A.pem")]).stdout;
    // Bob's entry has two addresses, each of which may be brought up to date; " Robert@example.org ", with spaces that slapd
    // ignores where it searches and gives back where it answers.
    let mut change = format!(
        "dn: uid=bob,{BASE}\nchangetype: modify\nadd: mail\nmail:: IFJvYmVydEBleGFtcGxlLm9yZyA=\n-\nadd: {CERTIFICATES}\n"
    );
    for (index, value) in alices.iter().chain([&theirs, &login]).enumerate() {
        std::fs::write(server.path(&format!("{index}.der")), value).unwrap();
        change += &format!("{CERTIFICATES}:< file://{}\n", server.text(&format!("{index}.der")));
    }
    let changed = server.modify(&change);
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert_eq!(of("bob").len(), bobs.len() + 4);
    // With whatever brings Bob's entry up to date next.
    desk.issuer(&["hold", "bob@example.org"]).expect(0);
    let healed = published(&publish(&desk, &server, server.port));
    let told = healed["troubles"].to_string();
    assert_eq!(healed["state"], "done", "{healed}");
    assert!(told.contains(&format!("uid=bob,{BASE}")) && told.contains("alice@example.org"), "{healed}");
    assert_eq!(of("bob"), BTreeSet::from([theirs.clone(), login.clone()]));
    assert_eq!(of("alice"), alices);
    desk.issuer(&["release", "bob@example.org"]).expect(0);
    let again = published(&publish(&desk, &server, server.port));
    assert_eq!(again["troubles"].as_array().unwrap().len(), 0, "{again}");
    let expected: BTreeSet<_> = bobs.into_iter().chain([theirs, login]).collect();
    assert_eq!(of("bob"), expected);
    // Where nothing of Bob's changes it stays until every entry is looked at: the directory is forgotten, and told anew. Whose
    // entry it is by both addresses takes it out once.
    let people = "name,mail,id\nAlice Ng,alice@example.org,1001\nBob Ruiz,bob@example.org,\nBob Ruiz,robert@example.org,\n";
    desk.import_staff(people).expect(0);
    desk.issue_and_extract("robert");
    publish(&desk, &server, server.port).expect(0);
    let both = of("bob");
    assert_eq!(both.len(), expected.len() + 2);
    let changed = server.modify(&format!(
        "dn: uid=bob,{BASE}\nchangetype: modify\nadd: {CERTIFICATES}\n{CERTIFICATES}:< file://{}\n",
        server.text("0.der")
    ));
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    publish(&desk, &server, server.port).expect(0);
    assert_eq!(of("bob").len(), both.len() + 1);
    desk.issuer(&["target", "forget", &server.url()]).expect(0);
    let healed = published(&publish(&desk, &server, server.port));
    assert_eq!(
        (&healed["state"], healed["troubles"].as_array().unwrap().len()),
        (&"done".into(), 1),
        "{healed}"
    );
    assert_eq!(of("bob"), both);
}

#[test]
fn what_has_expired_of_ours_leaves_and_nothing_of_others() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let theirs = ["req", "-x509", "-days", "3", "-subj", "/CN=another CA", "-outform", "DER"];
    let theirs = openssl(&[&theirs[..], &key].concat()).stdout;
    std::fs::write(server.path("theirs.der"), &theirs).unwrap();
    let change = format!(
        "dn: uid=alice,{BASE}\nchangetype: modify\nadd: {CERTIFICATES}\n{CERTIFICATES}:< file://{}\n",
        server.text("theirs.der")
    );
    assert!(server.modify(&change).status.success());
    publish(&desk, &server, server.port).expect(0);
    let of_alice = || server.values(BASE, "(mail=alice@example.org)", CERTIFICATES);
    assert_eq!(of_alice().len(), 3);
    let pending = |later: &str| desk.on_another_day(later, &["publish", "--pending"]);
    // A day before they end, and two days later; what is not ours stays, expired as it is.
    pending("+822d").expect(0);
    assert_eq!(of_alice().len(), 3);
    pending("+825d").expect(0);
    assert_eq!(of_alice(), BTreeSet::from([theirs]));
    assert_eq!(desk.json(&["target", "list"])[0]["waiting"], 0);
}

#[test]
fn tls_from_the_first_octet_or_later() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let (password, ca) = (server.text("password"), server.text("server.pem"));
    let login = ["--bind-dn", WRITER, "--bind-password-file", &password];
    for (url, more) in [
        (format!("ldaps://127.0.0.1:{}/{BASE}", server.tls_port), vec!["--ca-file", &ca]),
        (server.url(), vec!["--ca-file", &ca, "--start-tls"]),
    ] {
        let mut all = vec!["publish", "--to", &url];
        all.extend(login);
        all.extend(more);
        desk.issuer(&all).expect(0);
        assert_eq!(server.values(BASE, "(mail=alice@example.org)", CERTIFICATES).len(), 2);
    }
    // A server that somebody else speaks for gets no password.
    let other = desk.publish().join("anchor.pem");
    let url = format!("ldaps://127.0.0.1:{}/{BASE}", server.tls_port);
    let mut all = vec!["publish", "--to", &url, "--ca-file", other.to_str().unwrap()];
    all.extend(login);
    desk.issuer(&all).refuses(1, &["cannot be reached"]);
}

#[test]
fn a_directory_that_is_down_loses_nothing() {
    let (desk, mut server) = (desk_with_alice(), Slapd::start());
    publish(&desk, &server, server.port).expect(0);
    server.sleep();
    let bob = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &bob, &[]);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
    publish(&desk, &server, server.port).expect(1);

    // Beside a target that is down, the others are brought up to date.
    let files = desk.publish();
    assert!(files.join("certificates/by-email/bob@example.org").is_dir());
    let all = desk.issuer(&["publish"]);
    all.expect(3);
    assert!(all.stderr.contains("cannot be reached") && all.stdout.contains("public"), "{all:?}");
    let listed = desk.json(&["target", "list"]);
    assert_eq!((&listed[0]["failures"], &listed[0]["waiting"]), (&2.into(), &5.into()), "{listed}");
    // A timer leaves it alone until its time has come.
    let later = desk.issuer(&["--json", "publish", "--pending"]);
    later.expect(3);
    let later: serde_json::Value = serde_json::from_str(&later.stdout).unwrap();
    assert_eq!(later["targets"][0]["state"], "later", "{later}");

    server.wake();
    let url = listed[0]["target"].as_str().unwrap();
    // Nothing has to be signed for it.
    let pending = desk.json(&["publish", "--pending", "--to", url]);
    assert_eq!(
        (&pending["targets"][0]["state"], &pending["targets"][0]["written"]),
        (&"done".into(), &5.into())
    );
    assert_eq!(server.values(BASE, "(mail=alice@example.org)", CERTIFICATES).len(), 0);
    assert_eq!(
        server.values(BASE, "(mail=bob@example.org)", CERTIFICATES),
        in_files(&desk, "bob@example.org")
    );
    assert_eq!(desk.json(&["target", "list"])[0]["failures"], 0);
}

#[test]
fn a_server_that_lies_is_named_and_what_it_swallowed_is_written_later() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let liar = meddler::between(server.port, |operation| match operation {
        meddler::MODIFY => Verdict::Swallow,
        _ => Verdict::Pass,
    });
    let lied = publish(&desk, &server, liar);
    lied.expect(3);
    assert!(lied.stdout.contains("read back its entry holds others"), "{lied:?}");
    let listed = desk.json(&["target", "list"]);
    assert_eq!(listed[0]["waiting"], 1);
    assert!(listed[0]["troubles"][0].as_str().unwrap().contains("alice@example.org"), "{listed}");
    let honest = published(&publish(&desk, &server, server.port));
    assert_eq!(honest["state"], "done");
    assert_eq!(server.values(BASE, "(mail=alice@example.org)", CERTIFICATES).len(), 2);
}

#[test]
fn an_entry_that_cannot_be_written_does_not_hold_up_the_others() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    let bob = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &bob, &[]);
    let gone = server.modify(&format!("dn: uid=bob,{BASE}\nchangetype: delete\n"));
    assert!(gone.status.success());
    let partly = publish(&desk, &server, server.port);
    partly.expect(3);
    assert!(partly.stdout.contains("has mail=bob@example.org; add one"), "{partly:?}");
    assert_eq!(server.values(BASE, "(mail=alice@example.org)", CERTIFICATES).len(), 2);

    let twice = format!(
        "dn: uid=b1,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: b1\ncn: B\nsn: B\nmail: bob@example.org\n\n"
    );
    let added = server.modify(&(twice.clone() + &twice.replace("b1", "b2")));
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let unclear = publish(&desk, &server, server.port);
    unclear.expect(3);
    assert!(unclear.stdout.contains("more than one entry"), "{unclear:?}");
    assert!(server.modify(&format!("dn: uid=b2,{BASE}\nchangetype: delete\n")).status.success());
    publish(&desk, &server, server.port).expect(0);
    assert_eq!(server.values(BASE, "(uid=b1)", CERTIFICATES), in_files(&desk, "bob@example.org"));
}

#[test]
fn an_older_crl_never_replaces_a_newer_one() {
    let (desk, server) = (desk_with_alice(), Slapd::start());
    std::fs::copy(desk.home().join("registry.db"), desk.path("old.db")).unwrap();
    for _ in 0..3 {
        publish(&desk, &server, server.port).expect(0);
    }
    let before = server.values(BASE, "(objectClass=pkiCA)", CRL);
    for file in ["registry.db-wal", "registry.db-shm"] {
        let _ = std::fs::remove_file(desk.home().join(file));
    }
    std::fs::copy(desk.path("old.db"), desk.home().join("registry.db")).unwrap();
    let refused = publish(&desk, &server, server.port);
    refused.expect(3);
    assert!(refused.stdout.contains("the one there stays"), "{refused:?}");
    assert_eq!(server.values(BASE, "(objectClass=pkiCA)", CRL), before);
}

/// Kills the program (SIGKILL) when its request number `nth` passes; answers whether there were as many.
fn killed_at(desk: &Desk, server: &Slapd, nth: usize, before: bool) -> bool {
    let (seen, process) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
    let (counter, victim) = (Arc::clone(&seen), Arc::clone(&process));
    let ready = Arc::new(Mutex::new(()));
    let (known, begun) = (Arc::clone(&ready), ready.lock().unwrap());
    let port = meddler::between(server.port, move |_| {
        drop(known.lock());
        if counter.fetch_add(1, Ordering::SeqCst) + 1 != nth {
            return Verdict::Pass;
        }
        let id = rustix::process::Pid::from_raw(victim.load(Ordering::SeqCst).cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        if before { Verdict::Cut } else { Verdict::Pass }
    });
    let url = format!("ldap://127.0.0.1:{port}/{BASE}");
    let password = server.text("password");
    let arguments =
        ["publish", "--pending", "--to", &url, "--bind-dn", WRITER, "--bind-password-file", &password];
    let mut command: Command = desk.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    process.store(child.id(), Ordering::SeqCst);
    drop(begun);
    child.wait().unwrap();
    desk.issuer(&["target", "forget", &url]).expect(0);
    seen.load(Ordering::SeqCst) >= nth
}

#[test]
fn a_run_that_is_killed_at_any_request_is_completed_by_the_next() {
    for before in [true, false] {
        let (desk, server) = (desk_with_alice(), Slapd::start());
        desk.publish();
        let mut nth = 1;
        while killed_at(&desk, &server, nth, before) {
            nth += 1;
            assert!(nth < 100, "the program never comes to its end");
        }
        assert!(nth > 5, "only {nth} requests");
        publish(&desk, &server, server.port).expect(0);
        assert_eq!(server.values(BASE, "(mail=alice@example.org)", CERTIFICATES).len(), 2);
        assert_eq!(server.values(BASE, "(objectClass=pkiCA)", CRL).len(), 3);
        assert_eq!(desk.json(&["target", "list"])[1]["waiting"], 0);
    }
}

/// Past our program: CRL and CA certificate overwritten, one cut off; beside them somebody else's.
#[test]
fn damaged_values_of_ours_are_healed_and_those_of_others_stay() {
    let (desk, mut server) = (desk_with_alice(), Slapd::start());
    publish(&desk, &server, server.port).expect(0);
    let entry = format!("cn=Example Org People CA,{BASE}");
    let of_authority = |server: &Slapd, attribute: &str| server.values(&entry, "(objectClass=*)", attribute);
    let authority = of_authority(&server, "cACertificate;binary");
    let crl = of_authority(&server, CRL).pop_first().unwrap();
    let theirs = their_crl(&server);
    let file = |name: &str, contents: &[u8]| {
        std::fs::write(desk.path(name), contents).unwrap();
        desk.text(name)
    };
    let overwritten = |mut whole: Vec<u8>| {
        *whole.last_mut().unwrap() ^= 1;
        whole
    };
    let (bad_crl, good) = (overwritten(crl.clone()), authority.first().unwrap());
    let (crl_file, ca_file) = (file("bad.crl", &bad_crl), file("bad.cer", &overwritten(good.clone())));
    let theirs_file = file("theirs.crl", &theirs);
    let change = format!(
        "dn: {entry}\nchangetype: modify\nreplace: {CRL}\n{CRL}:< file://{crl_file}\n{CRL}:< file://{theirs_file}\n-\n\
         replace: cACertificate;binary\ncACertificate;binary:< file://{ca_file}\n"
    );
    let changed = server.modify(&change);
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    assert!(of_authority(&server, CRL).contains(&bad_crl));

    let healed = published(&publish(&desk, &server, server.port));
    assert_eq!(healed["state"], "done", "{healed}");
    let told = healed["troubles"].to_string();
    assert!(told.contains(CRL) && told.contains("cACertificate") && told.contains("is replaced"), "{healed}");
    assert_eq!(of_authority(&server, "cACertificate;binary"), authority);
    let mut crls = of_authority(&server, CRL);
    assert!(
        crls.remove(&theirs) && !crls.contains(&bad_crl),
        "somebody else's is gone, or the damaged one not"
    );
    assert_eq!(crls.len(), 1);
    std::fs::write(desk.path("crl.der"), crls.first().unwrap()).unwrap();
    let chain = desk.publish().join("ca-chain.pem");
    let judged = openssl(&[
        "crl",
        "-inform",
        "DER",
        "-noout",
        "-in",
        &desk.text("crl.der"),
        "-CAfile",
        chain.to_str().unwrap(),
    ]);
    assert!(String::from_utf8_lossy(&judged.stderr).contains("verify OK"), "{judged:?}");

    // Cut off, as no server takes it over LDAP: written into its database.
    server.sleep();
    let (whole, half) = (crls.first().unwrap().clone(), crl[..crl.len() / 2].to_vec());
    server.overwrite_asleep(&whole, &half);
    server.wake();
    assert_eq!(of_authority(&server, CRL), BTreeSet::from([half, theirs.clone()]));
    let healed = published(&publish(&desk, &server, server.port));
    assert_eq!(healed["state"], "done", "{healed}");
    let mut crls = of_authority(&server, CRL);
    // Signatures differ by an octet or two.
    let is_whole = |found: &Vec<u8>| found.len() > crl.len() - 8;
    assert!(crls.remove(&theirs) && crls.len() == 1 && crls.first().is_some_and(is_whole), "{crls:?}");
    let again = published(&publish(&desk, &server, server.port));
    assert_eq!(again["troubles"].as_array().unwrap().len(), 0, "{again}");
}

/// A CRL of another organisation, DER.
fn their_crl(server: &Slapd) -> Vec<u8> {
    let at = |name: &str| server.text(name);
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &at("their.key")];
    let made = ["req", "-x509", "-days", "3", "-subj", "/CN=another CA", "-out", &at("their.pem")];
    assert!(openssl(&[&made[..], &key].concat()).status.success());
    std::fs::write(server.path("index.txt"), "").unwrap();
    let config = format!(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = {}\ndefault_md = sha256\ndefault_crl_days = 3\n",
        at("index.txt")
    );
    std::fs::write(server.path("ca.cnf"), config).unwrap();
    let (config, key, issuer, out) = (at("ca.cnf"), at("their.key"), at("their.pem"), at("their.crl.pem"));
    let made =
        openssl(&["ca", "-config", &config, "-gencrl", "-keyfile", &key, "-cert", &issuer, "-out", &out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    openssl(&["crl", "-in", &out, "-outform", "DER"]).stdout
}
