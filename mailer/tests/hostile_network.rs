//! Hostile mail causes no connection, to nobody: shown in a network of its own where every address leads to a listener.
//!
//! The test runs itself again in a network namespace whose default route ends at home. There, listeners for the web, LDAP and
//! names stand on every address, and the kernel counts connections and datagrams. A configured directory is asked on purpose,
//! to show that a connection is noticed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may fail this way")]
mod accounts;
mod forgery;
mod hostile;
mod openssl_pki;

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use accounts::Office;
use forgery::{Hand, SignedData, message, multipart_signed, pkcs7_mime};
use openssl_pki::{Authority, CA, Key, openssl, signing};

const INSIDE: &str = "SEALWRIGHT_INSIDE_OWN_NETWORK";

/// Runs a test of this file again inside a network of its own; true in there.
fn in_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let inside = tempfile::tempdir().unwrap();
    std::fs::write(
        inside.path().join("resolv.conf"),
        "nameserver 192.0.2.53\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    // Everything is at home, and names are asked for at an address that is at home too.
    let script = "ip link set lo up && ip route add local default dev lo && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
    let said = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(inside.path().join("resolv.conf"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    if told.contains("Operation not permitted") && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED: a network of its own needs root");
        return false;
    }
    assert!(said.status.success(), "{told}");
    assert!(told.contains("1 passed"), "the inner test did not run: {told}");
    false
}

/// What the listeners and the kernel noticed.
struct Watch {
    tcp: Vec<(u16, TcpListener)>,
    names: UdpSocket,
}

/// Counted by the kernel for this network: connections begun, and datagrams sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traffic {
    connections: u64,
    datagrams: u64,
}

impl Watch {
    const PORTS: [u16; 7] = [25, 53, 80, 143, 389, 443, 8080];

    fn new() -> Self {
        let tcp = Self::PORTS.map(|port| {
            let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
            listener.set_nonblocking(true).unwrap();
            (port, listener)
        });
        let names = UdpSocket::bind(("0.0.0.0", 53)).unwrap();
        names.set_nonblocking(true).unwrap();
        Self { tcp: tcp.into(), names }
    }

    /// Who knocked since the last time.
    fn knocks(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (port, listener) in &self.tcp {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => found.push(format!("{port} at {}", stream.local_addr().unwrap())),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let mut question = [0; 512];
        while let Ok((length, _)) = self.names.recv_from(&mut question) {
            found.push(format!("a question for a name ({length} octets)"));
        }
        found
    }
}

impl Traffic {
    fn now() -> Self {
        let counters = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
        Self {
            connections: counter(&counters, "Tcp", "ActiveOpens"),
            datagrams: counter(&counters, "Udp", "OutDatagrams"),
        }
    }
}

/// `/proc/net/snmp`: a line of names, then a line of values, for each protocol.
fn counter(counters: &str, protocol: &str, name: &str) -> u64 {
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix(&format!("{protocol}: ")));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, value) = names.split(' ').zip(values.split(' ')).find(|(known, _)| *known == name).unwrap();
    value.parse().unwrap()
}

/// Extensions that invite to every kind of fetching.
fn inviting(address: &str) -> String {
    format!(
        "{}\nauthorityInfoAccess=caIssuers;URI:http://198.51.100.7/ca.cer,OCSP;URI:http://ocsp.stranger.test/,\
         caIssuers;URI:ldap://198.51.100.7/cn=ca?cACertificate\n\
         crlDistributionPoints=URI:http://198.51.100.7:8080/a.crl,URI:ldap://crl.stranger.test/cn=ca?certificateRevocationList",
        signing(address)
    )
}

const BAIT: &str = "Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><link rel=stylesheet href=\"http://198.51.100.7/a.css\">\
    <meta http-equiv=refresh content=\"0;url=http://198.51.100.7/\"><base href=\"http://bait.test/\">\
    <style>@import url(http://198.51.100.7/b.css)</style></head><body background=\"http://198.51.100.7/c\">\
    <img src=\"http://198.51.100.7/pixel.gif\"><iframe src=\"http://bait.test/\"></iframe><script src=\"//bait.test/x.js\"></script>\
    <object data=\"ldap://198.51.100.7/\"></object><video poster=\"https://bait.test/p\"></video>Hello</body></html>\r\n";

const EXTERNAL: &str = "Content-Type: message/external-body; access-type=URL; URL=\"http://198.51.100.7/body\"\r\n\r\n\
    Content-Type: text/plain\r\nContent-ID: <x@bait.test>\r\n\r\n";

const FIELDS: &str = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: hello\r\n\
    Disposition-Notification-To: eve@bait.test\r\nReturn-Receipt-To: eve@bait.test\r\nX-Confirm-Reading-To: eve@bait.test\r\n\
    List-Unsubscribe: <http://198.51.100.7/unsubscribe>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
    DKIM-Signature: v=1; a=rsa-sha256; d=bait.test; s=key; h=from; bh=x; b=x\r\nContent-Location: http://198.51.100.7/\r\n\
    Face-URL: http://198.51.100.7/face\r\nList-ID: <bait.test>\r\nOpenPGP: url=http://198.51.100.7/key\r\n";

/// Messages of a stranger, of a colleague, and of nobody.
fn baits(office: &Office) -> Vec<(String, String)> {
    let mixed = |parts: &[&str]| {
        let parts: String = parts.iter().map(|part| format!("--mb\r\n{part}\r\n")).collect();
        format!("Content-Type: multipart/mixed; boundary=mb\r\n\r\n{parts}--mb--\r\n")
    };
    let stranger = Authority::root(office.pki.path(), "Stranger", CA);
    let unknown = stranger.issue("unknown", Key::P256, &inviting("alice@example.test"));
    let colleague = office.pki.people.issue("colleague", Key::P256, &inviting("alice@example.test"));
    let other_domain = office.pki.people.issue("abroad", Key::P256, &inviting("alice@abroad.test"));
    let body = mixed(&[BAIT, EXTERNAL]);
    let mut found = vec![("nobody".to_owned(), message(FIELDS, &body))];
    for identity in [unknown, colleague, other_domain] {
        let hand = Hand::of(&identity);
        let infos = [hand.signer_info(body.as_bytes())];
        let detached = SignedData::new(None, &[&hand.certificate], &infos).der();
        let signed = multipart_signed(&body, &detached);
        for (cipher, entity) in [
            ("clear", signed.clone()),
            ("no certificate along", multipart_signed(&body, &SignedData::new(None, &[], &infos).der())),
            ("sealed, AES-CBC", sealed(office, "-aes-256-cbc", &signed)),
            ("sealed, AES-GCM", sealed(office, "-aes-256-gcm", &signed)),
            ("sealed, not signed", sealed(office, "-aes-256-cbc", &body)),
        ] {
            found.push((format!("{} ({cipher})", identity.name), message(FIELDS, &entity)));
        }
    }
    found
}

fn sealed(office: &Office, cipher: &str, entity: &str) -> String {
    office.pki.write("clear", entity.as_bytes());
    let arguments = [
        "cms",
        "-encrypt",
        "-binary",
        cipher,
        "-in",
        "clear",
        "-outform",
        "DER",
        "-out",
        "sealed.der",
        "bob-read.pem",
    ];
    openssl(office.pki.path(), &arguments);
    pkcs7_mime(&office.pki.read("sealed.der"))
}

#[test]
fn hostile_mail_causes_no_connection() {
    if !in_own_network("hostile_mail_causes_no_connection") {
        return;
    }
    let office = hostile::office();
    let watch = Watch::new();
    let baits = baits(&office);
    assert!(watch.knocks().is_empty());
    let before = Traffic::now();
    for (number, (name, text)) in (1..).zip(&baits) {
        hostile::deliver(&office, "bob", text.as_bytes());
        let number = number.to_string();
        let save = office.path("saved");
        std::fs::create_dir_all(&save).unwrap();
        let save = save.to_str().unwrap().to_owned();
        let mut codes = Vec::new();
        for arguments in [
            &["open"][..],
            &["open", "--show-untrusted", "--json"],
            &["read", &number],
            &["read", &number, "--show-untrusted", "--save-attachments", &save],
            &["list"],
            &["verify"],
            &["verify", "--json"],
        ] {
            codes.push(office.run("bob", arguments, text.as_bytes()).code);
        }
        assert!(codes.iter().all(|code| [0, 4].contains(code)), "{name}: {codes:?}");
        assert_eq!((watch.knocks(), Traffic::now()), (Vec::new(), before), "{name}");
    }
}

#[test]
fn a_connection_would_be_noticed() {
    if !in_own_network("a_connection_would_be_noticed") {
        return;
    }
    let office = hostile::office();
    let watch = Watch::new();
    for (location, wanted) in
        [("http://198.51.100.7/", "80 at 198.51.100.7"), ("http://pki.bait.test/", "a question")]
    {
        let before = Traffic::now();
        // The owner's own directory is asked; nobody answers, which is not what is tested here.
        let home = office.path("home-bob");
        configure_directory(&home, location);
        let stranger = b"From: bob@example.test\r\nTo: zoe@example.test\r\nSubject: x\r\n\r\nx\r\n";
        let mut asking = Command::new(env!("CARGO_BIN_EXE_mailer"));
        asking.arg("--home").arg(&home).args(["protect", "--pin-file"]).arg(office.path("bob.pin"));
        asking.current_dir(office.pki.path()).env("XDG_STATE_HOME", office.path("state"));
        let mut child = asking.stdin(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), stranger).unwrap();
        let mut knocks: Vec<String> = Vec::new();
        while !knocks.iter().any(|knock| knock.contains(wanted)) && child.try_wait().unwrap().is_none() {
            knocks.extend(watch.knocks());
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
        // What came last belongs to this question, not to the next.
        knocks.extend(watch.knocks());
        assert!(knocks.iter().any(|knock| knock.contains(wanted)), "{location}: {knocks:?}");
        assert_ne!(Traffic::now(), before, "{location}");
    }
}

fn configure_directory(home: &Path, location: &str) {
    let file = accounts::files_below(home)
        .into_iter()
        .find(|file| file.extension().is_some_and(|kind| kind == "toml"));
    let file = file.expect("the account has a configuration");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("directory")).unwrap().to_owned();
    std::fs::write(&file, text.replace(&line, &format!("directory = \"{location}\""))).unwrap();
}
