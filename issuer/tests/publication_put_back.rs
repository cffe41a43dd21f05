//! Older files, or a whole older publication, that somebody put back: signed, whole and good for days yet, and without what was
//! revoked since. `/health` tells.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use desk_support::{Desk, files_below, run};
use server::Server;

/// As `cp` and `rsync` do it, the files of a folder before those of its folders.
fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&Path) -> bool) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_by_key(|path| path.is_dir());
    for path in entries {
        let place = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &place, is_wanted),
            false if is_wanted(&path) => drop(fs::copy(&path, place).unwrap()),
            false => {}
        }
    }
}

/// Files that differ between two copies of the directory and that say what is revoked: their paths in it.
fn changed(old: &Path, new: &Path) -> Vec<PathBuf> {
    let files = ["crl", "ocsp"].into_iter().flat_map(|folder| files_below(&new.join(folder)));
    let paths =
        files.map(|file| file.strip_prefix(new).unwrap().to_owned()).chain([PathBuf::from("crl.pem")]);
    let mut paths: Vec<_> =
        paths.filter(|path| fs::read(old.join(path)).unwrap() != fs::read(new.join(path)).unwrap()).collect();
    paths.sort();
    paths
}

/// Signed, whole and good for days yet, and without what was revoked since.
#[test]
fn old_files_that_somebody_put_back_are_told_and_publishing_mends_them() {
    let desk = Desk::with_ocsp();
    let (public, old, new) = (desk.path("public"), desk.path("old"), desk.path("new"));
    copy(&public, &old, &|_| true);
    let server = Server::of(&public, &[]);
    server.expect("ok");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    server.expect("ok");
    copy(&public, &new, &|_| true);
    let files = changed(&old, &public);
    assert!(files.len() >= 3 && files.iter().any(|file| file.starts_with("ocsp")), "{files:?}");
    for file in &files {
        let name = file.strip_prefix("crl").unwrap_or(file).to_str().unwrap();
        fs::copy(old.join(file), public.join(file)).unwrap();
        // Whether or not the server saw what was there before.
        for server in [&server, &Server::of(&public, &[])] {
            let said = server.expect("differing");
            assert_eq!(said["differing"], serde_json::json!([name]), "{said}");
        }
        // A server that began after it knows only that it is another than was published.
        assert_eq!(Server::of(&public, &[]).expect("differing")["older"], serde_json::json!([]));
        fs::copy(new.join(file), public.join(file)).unwrap();
        server.expect("ok");
    }
    // What needs no key is mended without one.
    for file in [PathBuf::from("anchor.pem"), files_below(&public.join("ca")).remove(0)] {
        let file = file.strip_prefix(&public).unwrap_or(&file);
        fs::write(public.join(file), "another").unwrap();
        let said = server.expect("differing");
        assert_eq!(said["differing"], serde_json::json!([file]), "{said}");
        desk.issuer(&["publish", "--pending"]).expect(0);
        server.expect("ok");
    }
    let crl = files.iter().find(|file| file.starts_with("crl")).unwrap();
    fs::copy(old.join(crl), public.join(crl)).unwrap();
    desk.issuer(&["publish", "--pending"]).expect(0);
    server.expect("ok");

    // The publication of then, whole: a server that knew better says so, and the publisher does.
    copy(&old, &public, &|_| true);
    let said = server.expect("differing");
    let crls = files.iter().filter_map(|file| file.strip_prefix("crl").ok()?.to_str());
    assert_eq!(said["differing"], serde_json::json!(crls.collect::<Vec<_>>()), "{said}");
    desk.issuer(&["publish", "--pending"]).expect(3);
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");
}

/// It agrees with its own `.revision`, and its CRLs are signed and good for days: only who saw the newer ones can tell.
#[test]
fn an_older_publication_put_back_while_no_server_ran_is_told_by_one_that_remembers() {
    let desk = Desk::with_ocsp();
    let (public, old, state) = (desk.path("public"), desk.path("old"), desk.text("serve.state"));
    copy(&public, &old, &|_| true);
    let start = || Server::of(&public, &["--state", &state]);
    let server = start();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let crls: Vec<_> = changed(&old, &public).into_iter().filter(|file| file.starts_with("crl")).collect();
    let names: Vec<_> = crls.iter().map(|crl| crl.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), 3);
    // One was fetched, and nobody asked how the server is.
    assert_eq!(server.ask(&format!("/crl/{}", names[0]), &[]).status, 200);
    server.terminate();
    let put_back = |from: &Path| {
        fs::remove_dir_all(&public).unwrap();
        copy(from, &public, &|_| true);
    };
    let new = desk.path("new");
    copy(&public, &new, &|_| true);
    put_back(&old);
    assert_eq!(start().expect("differing")["differing"], serde_json::json!([names[0]]));
    // What it was told of later it remembers as well, also when it is killed.
    put_back(&new);
    start().expect("ok");
    put_back(&old);
    for _ in 0..2 {
        let said = start().expect("differing");
        assert_eq!((&said["differing"], &said["older"]), (&serde_json::json!(names), &said["differing"]));
    }
    // Whoever remembers nothing cannot know.
    Server::of(&public, &[]).expect("ok");
    let server = start();
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");

    // A state that cannot be kept is told, and kept when it can be.
    fs::rename(&state, desk.path("moved")).unwrap();
    fs::create_dir(&state).unwrap();
    desk.issuer(&["publish"]).expect(0);
    let said = server.expect("unremembered");
    assert!(said["unremembered"].as_str().is_some_and(|why| !why.is_empty()), "{said}");
    fs::remove_dir(&state).unwrap();
    server.expect("ok");
    let lines = fs::read_to_string(&state).unwrap();
    assert!(names.iter().all(|name| lines.contains(name)), "{lines}");
}

/// A copy beside it, the CRL of another authority in its place, and one that nobody can verify, however high their numbers.
#[test]
fn what_is_not_proven_to_be_the_crl_of_its_name_is_not_remembered() {
    let desk = Desk::with_ocsp();
    let (newer, public, state) = (desk.publish(), desk.path("served"), desk.text("serve.state"));
    copy(&newer, &public, &|_| true);
    desk.publish();
    let start = || Server::of(&public, &["--state", &state]);
    let names: Vec<_> = changed(&public, &newer).into_iter().filter(|file| file.starts_with("crl")).collect();
    let [own, other] = [&names[0], &names[1]];
    let key = own.file_stem().unwrap().to_str().unwrap();
    let (beside, kept) = (format!("crl/{key}.old.crl"), fs::read(public.join(own)).unwrap());
    fs::copy(public.join(own), public.join(&beside)).unwrap();
    start().expect("ok");
    let server = start();
    assert!(server.expect("ok")["crls"].to_string().contains("old"));
    assert!(!fs::read_to_string(&state).unwrap().contains("old"));

    fs::copy(newer.join(other), public.join(own)).unwrap();
    let said = server.expect("damaged");
    assert_eq!(said["damaged"], serde_json::json!([own.file_name().unwrap().to_str().unwrap()]));
    let certificate = PathBuf::from(format!("ca/{key}.cer"));
    fs::remove_file(public.join(&certificate)).unwrap();
    fs::copy(newer.join(own), public.join(own)).unwrap();
    server.expect("differing");
    fs::copy(newer.join(&certificate), public.join(&certificate)).unwrap();
    fs::write(public.join(own), &kept).unwrap();
    for server in [&server, &start()] {
        assert_eq!(server.expect("ok")["older"], serde_json::json!([]));
    }
    // Proven, it is.
    fs::copy(newer.join(own), public.join(own)).unwrap();
    server.expect("differing");
    fs::write(public.join(own), &kept).unwrap();
    assert_eq!(server.expect("differing")["older"][0], own.file_name().unwrap().to_str().unwrap());
}

/// A file of something else is not overwritten, and one that would be put back with the publication is refused.
#[test]
fn a_state_that_is_none_or_lies_in_the_published_directory_is_refused() {
    let desk = Desk::new();
    desk.publish();
    let serve = |state: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.current_dir(desk.directory.path()).args(["serve", "--from", "public", "--state", state]);
        run(&mut command)
    };
    fs::write(desk.path("other"), "a diary\n").unwrap();
    serve("other").refuses(1, &["other is no state of issuer serve", "line 1", "move it away"]);
    assert_eq!(fs::read(desk.path("other")).unwrap(), b"a diary\n");
    for inside in ["public/state", "public/crl/../state", "./public/crl/state"] {
        serve(inside).refuses(1, &["lies in the published directory", "--state"]);
    }
    serve("nowhere/state").refuses(1, &["nowhere/state"]);
    serve("public").refuses(1, &["public"]);
}

/// Another web server's copy, which brings `.revision` before the files that it speaks of.
#[test]
fn a_copy_that_is_on_its_way_is_no_difference_and_old_files_in_it_are() {
    let desk = Desk::with_ocsp();
    let (public, elsewhere) = (desk.path("public"), desk.path("elsewhere"));
    copy(&public, &elsewhere, &|_| true);
    let server = Server::of(&elsewhere, &[]);
    server.expect("ok");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let files = changed(&elsewhere, &public);
    let old: Vec<_> = files.iter().map(|file| fs::read(elsewhere.join(file)).unwrap()).collect();
    copy(&public, &elsewhere, &|file| file.ends_with(".revision"));
    server.expect("ok");
    copy(&public, &elsewhere, &|file| !file.ends_with(".revision"));
    server.expect("ok");
    for (file, old) in files.iter().zip(old) {
        fs::write(elsewhere.join(file), old).unwrap();
        server.expect("differing");
        fs::copy(public.join(file), elsewhere.join(file)).unwrap();
    }
    // A copy without what begins with a dot cannot be compared, but numbers of CRLs only grow.
    fs::remove_file(elsewhere.join(".revision")).unwrap();
    server.expect("ok");
}
