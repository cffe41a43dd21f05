//! What a second user, a service without keys and a searching eye find: nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ciborium::Value;
use sealwright_tests::card::CardFile;
use sealwright_tests::desk::PASSPHRASE;
use sealwright_tests::disk::{Needle, files};
use sealwright_tests::mail::Person;
use sealwright_tests::openssl;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::{World, staff};

#[test]
fn a_second_user_can_open_neither_state_files_nor_sockets() -> Result<()> {
    let Some(root) = Root::or_skip("acting as a second user")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, card, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    alice.set_up(&world.maildir_account())?.ok()?;
    alice.send(&["alice@example.org"], "to myself", "hello")?.ok()?;
    alice.fetch()?.ok()?;

    let mut private = vec![card.state];
    private.extend(files(world.desk.home())?);
    private.extend(files(alice.home())?);
    private.push(world.desk.transport_pin_file("alice@example.org"));
    assert!(private.len() > 8, "{private:?}");
    for file in &private {
        as_nobody("cat").arg(file).fails_with(1)?;
        as_nobody("sh").args(["-c", ": >> \"$1\"", "sh"]).arg(file).outcome().and_then(|tried| {
            ensure!(tried.code != Some(0), "{} can be written: {tried}", file.display());
            Ok(())
        })?;
    }
    let readers = as_nobody("opensc-tool").arg("--list-readers").envs([&pcscd.environment()]).outcome()?;
    assert!(!readers.out().contains("Yubi"), "a second user reaches the readers: {readers}");
    // The published folder is for everybody: the question asked above can be answered with yes.
    as_nobody("cat").arg(world.desk.anchor()).ok()?;
    Ok(())
}

fn as_nobody(program: &str) -> Run {
    Run::new("setpriv").args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", program])
}

#[test]
fn serve_answers_searches_when_the_ca_keys_and_the_registry_are_gone() -> Result<()> {
    let world = World::new()?;
    let alice = world.person("alice", "p256")?;
    fs::remove_dir_all(world.desk.home())?;

    let (_server, url) = world.desk.serve(&world.path("serve.log"))?;
    let address = url.trim_start_matches("http://");
    let (head, body) = get(address, &format!("/certificates/search.cgi?email={}", alice.address))?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("multipart/mixed"), "9C and 9D: {head}");
    assert!(!body.is_empty());
    let (head, _) = get(address, "/certificates/search.cgi?email=nobody%40example.org")?;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = get(address, "/certificates/")?;
    assert!(head.starts_with("HTTP/1.1 404"), "there is no listing: {head}");

    let crl = files(&world.desk.published().join("crl"))?.into_iter().next().context("a CRL is published")?;
    let name = crl.file_name().and_then(|name| name.to_str()).context("hexadecimal")?;
    let (_, served) = get(address, &format!("/crl/{name}"))?;
    assert_eq!(served, fs::read(&crl)?);
    let pem = world.path("crl.pem");
    fs::write(world.path("served.crl"), served)?;
    let read = Run::new("openssl").args(["crl", "-inform", "DER", "-in"]).arg(world.path("served.crl"));
    read.arg("-out").arg(&pem).ok()?;
    openssl::verify(world.desk.published(), &world.desk.anchor(), None)?.expect_code(0)?;
    Ok(())
}

/// Head and body of a GET over HTTP/1.1.
fn get(address: &str, path: &str) -> Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").context("a head ends")?;
    let body = answer.split_off(end + 4);
    Ok((String::from_utf8_lossy(&answer).into_owned(), body))
}

#[test]
fn a_search_of_registry_journal_logs_and_published_files_finds_no_secret() -> Result<()> {
    let world = World::new()?;
    // One card whose manufacturer gave it secrets of its own, one whose keys the issuer makes and injects.
    let blanks = [CardFile::standard(world.folder(), "alice")?, world.blank_card("bob")?];
    let mut logs = String::new();
    let mut secrets = vec![("passphrase".to_owned(), PASSPHRASE.as_bytes().to_vec())];
    for (blank, name, more) in [(&blanks[0], "alice", None), (&blanks[1], "bob", Some("--inject"))] {
        let (full_name, address) = staff(name)?;
        logs += &world.desk.stock(blank)?.env("RUST_LOG", "trace").ok()?.text();
        let issue = world.desk.issue(address, &blank.locator())?.args(more);
        logs += &issue.env("RUST_LOG", "trace").ok()?.text();
        let person = Person::new(world.folder(), full_name, address, &blank.locator())?;
        secrets.extend(secrets_of_card(&blank.state)?);
        person.change_pin(&world.desk.transport_pin_file(address))?.ok()?;
        secrets.push((format!("{name}'s PIN"), person.pin.clone().into_bytes()));
        logs += &world.desk.publish()?.env("RUST_LOG", "trace").ok()?.text();
        person.set_up(&world.maildir_account())?.ok()?;
        logs += &person.send(&[address], "to myself", "hello")?.env("RUST_LOG", "trace").ok()?.text();
        person.fetch()?.ok()?;
        logs += &person.read(1)?.env("RUST_LOG", "trace").ok()?.text();
    }
    secrets.push(("factory PUK".to_owned(), blanks[0].stock_value("puk")?.into_bytes()));
    let management_key = hex::decode(blanks[0].stock_value("management_key")?)?;
    secrets.push(("factory management key".to_owned(), management_key));
    assert!(secrets.len() >= 2 * (3 + 4), "PIN, PUK, management key and four keys of each card");

    fs::write(world.desk.home().join("all-logs"), logs)?;
    let places =
        [world.desk.home(), world.desk.published(), &world.path("alice/mail"), &world.path("bob/mail")];
    for (name, secret) in &secrets {
        let needle = Needle::new(secret);
        for place in places {
            assert_eq!(needle.files_in(place)?, Vec::<PathBuf>::new(), "{name}");
        }
        search_finds_it_where_it_is_planted(&needle, secret, world.desk.home())?;
    }
    private_keys_are_encrypted(world.desk.home())
}

/// PIN, PUK, management key and private keys of a card, out of its state file: a header of 14 bytes, then CBOR.
fn secrets_of_card(state: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let image = fs::read(state)?;
    let Value::Map(fields) = ciborium::from_reader(image.get(14..).context("a header")?)? else {
        bail!("a card's state is a map");
    };
    let mut secrets = Vec::new();
    for (name, value) in fields {
        let name = name.as_text().context("names are text")?.to_owned();
        if ["pin", "puk", "management_key", "keys"].contains(&name.as_str()) {
            let mut found = Vec::new();
            byte_strings(&value, &mut found);
            ensure!(!found.is_empty(), "{name} of {}", state.display());
            secrets.extend(found.into_iter().map(|bytes| (name.clone(), bytes)));
        }
    }
    Ok(secrets)
}

/// Every byte string in a value, without the padding of PIN and PUK.
fn byte_strings(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Bytes(bytes) => {
            let end = bytes.iter().rposition(|byte| *byte != 0xFF).map_or(0, |last| last + 1);
            found.push(bytes.iter().take(end).copied().collect());
        }
        Value::Array(values) => values.iter().for_each(|value| byte_strings(value, found)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| byte_strings(value, found)),
        Value::Tag(_, value) => byte_strings(value, found),
        _ => {}
    }
}

fn search_finds_it_where_it_is_planted(needle: &Needle, secret: &[u8], folder: &Path) -> Result<()> {
    let planted = folder.join("planted.log");
    fs::write(&planted, [b"debug: ", secret, b"\n"].concat())?;
    assert_eq!(needle.files_in(folder)?, [planted.as_path()]);
    fs::remove_file(planted)?;
    Ok(())
}

/// No PKCS#8, PKCS#1 or SEC 1 key lies open in any file, be it PEM or DER, but the one that signs what was done: a
/// revocation asks for no passphrase and is signed for all the same (README, "Where we differ").
fn private_keys_are_encrypted(folder: &Path) -> Result<()> {
    let audit = folder.join("keys/audit.pem");
    for file in files(folder)?.into_iter().filter(|file| *file != audit) {
        let bytes = fs::read(&file)?;
        for mark in ["BEGIN PRIVATE KEY", "BEGIN RSA PRIVATE KEY", "BEGIN EC PRIVATE KEY"] {
            assert!(!bytes.windows(mark.len()).any(|part| part == mark.as_bytes()), "{}", file.display());
        }
    }
    Ok(())
}
