//! Tricks, each with the verdict that must come out; one check for all of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
use crate::accounts::Office;
use crate::openssl_pki::{Authority, Identity, Key, signing};

/// A message and the code of the verdict (or error) about it.
pub(crate) struct Trick {
    pub(crate) name: String,
    pub(crate) message: Vec<u8>,
    pub(crate) code: &'static str,
}

impl Trick {
    pub(crate) fn new(name: &str, message: &str, code: &'static str) -> Self {
        Self { name: name.to_owned(), message: message.as_bytes().to_vec(), code }
    }
}

/// Bob has a card and an account; alice and eve have certificates of the same authority.
pub(crate) fn office() -> Office {
    let office = Office::new();
    office.person("bob", Key::P256);
    office
}

/// A signature certificate of the office for `name@example.test`, made at the first call.
pub(crate) fn signer(office: &Office, name: &str) -> Identity {
    let file = format!("{name}-sign");
    if office.path(&format!("{file}.pem")).is_file() {
        return Identity { folder: office.pki.path().to_owned(), name: file };
    }
    office.pki.people.issue(&file, Key::P256, &signing(&format!("{name}@example.test")))
}

/// A certificate that a person, who is no authority, has signed.
pub(crate) fn issued_by_a_leaf(person: &Authority, name: &str, extensions: &str) -> Identity {
    let folder = &person.folder;
    std::fs::create_dir_all(folder.join(format!("{}-ca", person.name))).unwrap();
    std::fs::write(folder.join(format!("{name}.ext")), format!("{extensions}\n")).unwrap();
    let (key, request, file) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    crate::openssl_pki::openssl(
        folder,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key],
    );
    crate::openssl_pki::openssl(
        folder,
        &["req", "-new", "-config", "req.cnf", "-key", &key, "-out", &request, "-subj", &subject],
    );
    let (issuer, issuer_key) = (format!("{}.pem", person.name), format!("{}.key", person.name));
    let extension_file = format!("{name}.ext");
    let arguments = [
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &issuer,
        "-CAkey",
        &issuer_key,
        "-set_serial",
        "77",
        "-days",
        "3000",
        "-extfile",
        &extension_file,
        "-out",
        &file,
    ];
    crate::openssl_pki::openssl(folder, &arguments);
    Identity { folder: folder.clone(), name: name.to_owned() }
}

/// Puts a message into somebody's mailbox and fetches it.
pub(crate) fn deliver(office: &Office, name: &str, message: &[u8]) {
    let folder = office.path("spool").join(format!("{name}@example.test/new"));
    std::fs::create_dir_all(&folder).unwrap();
    for below in ["cur", "tmp"] {
        std::fs::create_dir_all(folder.with_file_name(below)).unwrap();
    }
    let number = std::fs::read_dir(&folder).unwrap().count();
    std::fs::write(folder.join(format!("17000000{number:02}.M1P1.test")), message).unwrap();
    office.run(name, &["fetch"], b"").expect(0);
}

/// Opens every trick as bob; all that came out wrong is named together.
///
/// `unsigned` must be said to be so (exit code 0, and 4 where signatures are required); everything else gives exit code 4
/// and an empty stdout.
pub(crate) fn check_all(office: &Office, tricks: &[Trick]) {
    assert!(!tricks.is_empty());
    let wrong: Vec<String> = tricks.iter().filter_map(|trick| check(office, trick).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), tricks.len(), wrong.join("\n"));
}

fn check(office: &Office, trick: &Trick) -> Result<(), String> {
    let plainly = trick.code == "unsigned";
    let options: &[&str] = if plainly { &["--require-signed"] } else { &[] };
    let said = office.run("bob", &[&["open", "--json"], options].concat(), &trick.message);
    let json = said.json();
    let code =
        json["verdict"]["code"].as_str().or(json["error"]["code"].as_str()).unwrap_or("none").to_owned();
    let sentence = json["verdict"]["sentence"].as_str().unwrap_or_default();
    let refused = json["error"].is_object();
    let expected_exit = if refused { 1 } else { 4 };
    if code != trick.code || said.code != expected_exit || !said.stdout.is_empty() {
        return Err(format!(
            "{}: {code} (wanted {}), exit {}, {} octets out; {sentence}{}",
            trick.name,
            trick.code,
            said.code,
            said.stdout.len(),
            if json.is_object() { "" } else { &said.stderr }
        ));
    }
    if json["verdict"]["trusted"] == true || sentence.starts_with("Signed by") {
        return Err(format!("{}: shown as valid: {sentence}", trick.name));
    }
    // Asked for, untrusted content comes out, broken content never; the exit code stays.
    let said = office.run("bob", &["open", "--json", "--show-untrusted"], &trick.message);
    let expected_exit = if plainly { 0 } else { expected_exit };
    if said.code != expected_exit {
        return Err(format!("{}: exit {} with --show-untrusted", trick.name, said.code));
    }
    if said.json()["content"] == "withheld" && !said.stdout.is_empty() {
        return Err(format!("{}: withheld, and yet {} octets out", trick.name, said.stdout.len()));
    }
    Ok(())
}
