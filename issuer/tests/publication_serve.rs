//! The HTTP server, asked by curl: files, searches after RFC 4387, and what it must not answer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use base64ct::{Base64Unpadded, Encoding};
use issuer::ca::{Certificate, Profile};
use issuer::publication::{MAX_AGE, Publication, PublishedDirectory, RateLimit, Service, serve, serve_with};
use sha1::{Digest, Sha1};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A published directory and a server over it.
struct Site {
    world: World,
    /// Alice's signature and encryption certificates, Bob's.
    certificates: Vec<Certificate>,
    crls: Vec<Vec<u8>>,
    directory: TempDir,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
}

impl Site {
    fn new() -> Self {
        let mut world = World::new(TestKey::p256);
        let profiles = [
            Profile::DigitalSignature(alice()),
            Profile::KeyManagement(alice()),
            Profile::DigitalSignature(holder("李 Bob", "bob@example.com")),
        ];
        let certificates =
            profiles.iter().map(|profile| world.certify(profile, &mut TestKey::p256())).collect();
        let crls = vec![world.root_crl(1, &[]), world.crl(1, &[]), world.servers_crl(1)];
        let directory = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let server = runtime.spawn(serve(listener, directory.path().to_owned(), stopped));
        let site = Self {
            world,
            certificates,
            crls,
            directory,
            url,
            stop: Some(stop),
            server: Some(server),
            runtime,
        };
        site.publish();
        site
    }

    fn publish(&self) {
        let publication = Publication {
            accepted: None,
            now: self.world.now,
            authorities: self.world.authorities(),
            certificates: self.certificates.clone(),
            crls: self.crls.clone(),
            registered: BTreeMap::new(),
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: std::collections::BTreeMap::new(),
            overdue: Vec::new(),
            not_after: &|_, _| None,
        };
        PublishedDirectory::open(self.directory.path()).unwrap().write(&publication).unwrap();
    }

    fn get(&self, path: &str) -> Answer {
        self.curl(path, &[])
    }

    fn curl(&self, path: &str, options: &[&str]) -> Answer {
        curl(&format!("{}{path}", self.url), options)
    }

    /// Searches the certificates.
    fn search(&self, attribute: &str, value: &str) -> Answer {
        self.get(&format!("/certificates/search.cgi?{attribute}={value}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server).unwrap().unwrap();
        }
    }
}

/// A clock that stands still.
struct Still(jiff::Timestamp);

impl issuer::clock::Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        self.0
    }
}

/// What `/health` says of a directory at a time.
fn health(site: &Site, at: jiff::Timestamp) -> (u16, serde_json::Value) {
    let listener = site.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Service {
        directory: site.directory.path().to_owned(),
        on_demand: None,
        rate: RateLimit::default(),
        max_age: MAX_AGE,
        clock: Box::new(Still(at)),
    };
    let server = site.runtime.spawn(serve_with(listener, service, async {
        let _ = stopped.await;
    }));
    let answer = curl(&url, &[]);
    stop.send(()).unwrap();
    site.runtime.block_on(server).unwrap().unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn health_is_lost_when_a_crl_has_expired() {
    let site = Site::new();
    let (status, said) = health(&site, site.world.now);
    assert_eq!((status, &said["status"]), (200, &"ok".into()), "{said}");
    let ends = said["crls"].as_array().unwrap().iter().map(|crl| crl["next_update"].as_str().unwrap());
    let first: jiff::Timestamp = ends.min().unwrap().parse().unwrap();
    let (status, said) = health(&site, first);
    assert_eq!((status, &said["status"]), (503, &"expired".into()), "{said}");
    assert!(!said["expired"].as_array().unwrap().is_empty());
    std::fs::remove_dir_all(site.directory.path().join("crl")).unwrap();
    let (status, gone) = health(&site, site.world.now);
    assert_eq!((status, &gone["status"]), (503, &"missing".into()), "{gone}");
    assert_eq!(gone["missing"].as_array().unwrap().len(), said["crls"].as_array().unwrap().len());
    // Where no CRL was published at all, none is missed.
    std::fs::write(site.directory.path().join(".revision"), "1\n").unwrap();
    std::fs::remove_file(site.directory.path().join("crl.pem")).unwrap();
    assert_eq!(health(&site, site.world.now).1["missing"], serde_json::json!(["crl.pem"]));
    std::fs::remove_file(site.directory.path().join(".revision")).unwrap();
    assert_eq!(health(&site, site.world.now).1["status"], "unpublished");
}

/// Until readers refuse it, a CRL that nobody signs anew looks good; a monitor is told before.
#[test]
fn health_is_lost_when_the_next_crls_are_overdue_and_before_their_time() {
    let site = Site::new();
    let (status, said) = health(&site, site.world.now);
    assert_eq!((status, &said["overdue"]), (200, &serde_json::json!([])), "{said}");
    let times = |name: &str| {
        let times = said["crls"].as_array().unwrap().iter().map(|crl| crl[name].as_str().unwrap());
        times.map(|time| time.parse::<jiff::Timestamp>().unwrap()).min().unwrap()
    };
    let (overdue_at, end) = (times("overdue_at"), times("next_update"));
    // The last quarter of a week.
    assert_eq!(end.duration_since(overdue_at), jiff::SignedDuration::from_hours(42));
    let second = jiff::SignedDuration::from_secs(1);
    assert_eq!(health(&site, overdue_at - second).0, 200);
    let (status, said) = health(&site, overdue_at);
    assert_eq!((status, &said["status"]), (503, &"overdue".into()), "{said}");
    assert_eq!(said["overdue"].as_array().unwrap().len(), 3, "{said}");
    assert_eq!(health(&site, end).1["status"], "expired");
    // Made by a clock that was ahead: openssl calls it not yet valid.
    let minute = jiff::SignedDuration::from_mins(1);
    assert_eq!(health(&site, site.world.now - minute * 5).0, 200);
    let (status, said) = health(&site, site.world.now - minute * 6);
    assert_eq!((status, &said["status"]), (503, &"early".into()), "{said}");
    assert_eq!(said["early"].as_array().unwrap().len(), 3, "{said}");
}

/// A directory that was copied in part, and the rest never came.
#[test]
fn what_is_not_as_published_is_told_when_it_had_time_to_come_and_so_is_what_never_ended() {
    let mut site = Site::new();
    let old: Vec<_> = ["crl.pem", "anchor.pem"].map(|name| site.directory.path().join(name)).into();
    let contents: Vec<_> = old.iter().map(|file| std::fs::read(file).unwrap()).collect();
    site.crls[1] = site.world.crl(2, &[]);
    site.publish();
    let revision = site.directory.path().join(".revision");
    let published = std::fs::read(&revision).unwrap();
    std::fs::write(&old[0], &contents[0]).unwrap();
    std::fs::remove_file(&old[1]).unwrap();
    std::fs::write(&revision, &published).unwrap();
    let later = site.world.now + jiff::SignedDuration::from_hours(2);
    let (status, said) = health(&site, later);
    assert_eq!((status, &said["status"]), (503, &"missing".into()), "{said}");
    assert_eq!(said["missing"], serde_json::json!(["anchor.pem"]));
    assert_eq!(said["differing"], serde_json::json!(["crl.pem"]));
    // While something is published, nothing is compared; but that comes to an end.
    std::fs::remove_file(&revision).unwrap();
    assert_eq!(health(&site, site.world.now).0, 200);
    let (status, said) = health(&site, later + jiff::SignedDuration::from_hours(1));
    assert_eq!((status, &said["status"]), (503, &"unfinished".into()), "{said}");
    // Of a copy without what begins with a dot nobody expects it.
    std::fs::remove_file(site.directory.path().join(".lock")).unwrap();
    assert_eq!(health(&site, later + jiff::SignedDuration::from_hours(1)).0, 200);
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        self.head
            .lines()
            .find(is_it)
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.trim_end())
    }

    /// One thing of this type.
    fn is(&self, content_type: &str, body: &[u8]) {
        assert_eq!((self.status, self.header("content-type")), (200, Some(content_type)));
        assert_eq!(self.header("content-length"), Some(body.len().to_string().as_str()));
        assert!(self.body == body, "{}", self.head);
    }
}

fn curl(url: &str, options: &[&str]) -> Answer {
    let directory = TempDir::new().unwrap();
    let (head, body) = (directory.path().join("head"), directory.path().join("body"));
    let output: Output = Command::new("curl")
        .args(["--silent", "--show-error", "--path-as-is", "--noproxy", "*", "--max-time", "60"])
        .args(["--write-out", "%{http_code}"])
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(options)
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{url}: {}", text(&output));
    Answer {
        status: String::from_utf8(output.stdout).unwrap().parse().unwrap(),
        head: std::fs::read_to_string(head).unwrap(),
        body: std::fs::read(body).unwrap_or_default(),
    }
}

/// The search key of RFC 4387 section 2.1, form-encoded.
fn key(octets: &[u8]) -> String {
    let key = Base64Unpadded::encode_string(&Sha1::digest(octets));
    assert_eq!(key.len(), 27);
    key.replace('+', "%2B").replace('/', "%2F")
}

/// A field of a certificate as openssl cuts it out.
fn field(certificate: &Certificate, name: &str) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "certificate.der", certificate.as_der());
    let described = openssl(["asn1parse", "-inform", "DER", "-in", file.to_str().unwrap()]);
    // The fields at depth 2: version, serial number, algorithm, issuer, validity, subject...
    let at_depth_2 = described.lines().filter(|line| line.contains(":d=2 "));
    let line = at_depth_2.clone().nth(match name {
        "serial number" => 1,
        "issuer" => 3,
        "subject" => 5,
        other => panic!("{other}"),
    });
    let (offset, rest) = line.unwrap().trim_start().split_once(":d=2  hl=").unwrap();
    let (header, rest) = rest.split_once(" l=").unwrap();
    let offset: usize = offset.parse().unwrap();
    let header: usize = header.trim().parse().unwrap();
    let length: usize = rest.split_whitespace().next().unwrap().parse().unwrap();
    certificate.as_der()[offset..offset + header + length].to_vec()
}

#[test]
fn the_published_files_are_served_as_they_are() {
    let site = Site::new();
    for (name, content_type) in [
        ("anchor.pem", "application/pem-certificate-chain"),
        ("ca-chain.pem", "application/pem-certificate-chain"),
        ("crl.pem", "application/x-pem-file"),
    ] {
        let contents = std::fs::read(site.directory.path().join(name)).unwrap();
        site.get(&format!("/{name}")).is(content_type, &contents);
    }
    for authority in site.world.authorities() {
        let key = hex::encode(authority.subject_key_identifier());
        site.get(&format!("/ca/{key}.cer")).is("application/pkix-cert", authority.as_der());
    }
    let people = hex::encode(site.world.people.certificate().subject_key_identifier());
    site.get(&format!("/crl/{people}.crl")).is("application/pkix-crl", &site.crls[1]);
    let alice = &site.certificates[0];
    for address in ["alice@example.com", "alice%40example.com"] {
        let path = format!("/certificates/by-email/{address}/{}.cer", alice.serial_number());
        site.get(&path).is("application/pkix-cert", alice.as_der());
    }
}

#[test]
fn nothing_is_listed_and_nothing_outside_is_named() {
    let site = Site::new();
    std::fs::write(site.directory.path().join("secret"), b"secret").unwrap();
    std::fs::write(site.directory.path().join("ca/secret.cer"), b"secret").unwrap();
    std::fs::create_dir(site.directory.path().join("ca/00.cer")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", site.directory.path().join("ca/01.cer")).unwrap();
    for path in [
        "/",
        "/ca",
        "/ca/",
        "/crl/",
        "/certificates",
        "/certificates/",
        "/certificates/by-email/",
        "/secret",
        "/ca/secret.cer",
        "/ca/00.cer",
        "/ca/01.cer",
        "/certificates/by-email/alice@example.com",
        "/certificates/by-email/alice@example.com/",
        "/../secret",
        "/ca/../secret",
        "/ca/..%2fsecret",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/.revision",
        "/.lock",
        "/certificates/by-email/../../anchor.pem",
        "/certificates/by-email/..%2F..%2F@/00.cer",
        "/index.html",
    ] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_mail_address_finds_every_certificate_of_it() {
    let site = Site::new();
    let [sign, encrypt, bob] = site.certificates.as_slice() else { panic!() };
    for attribute in ["email", "uri"] {
        site.search(attribute, "bob%40example.com").is("application/pkix-cert", bob.as_der());
    }
    let several = site.search("email", "Alice%40Example.com");
    assert_eq!(several.status, 200);
    let boundary =
        several.header("content-type").unwrap().strip_prefix("multipart/mixed; boundary=").unwrap();
    let mut certificates = [sign, encrypt];
    certificates.sort_by_key(|certificate| certificate.serial_number().clone());
    let mut expected = Vec::new();
    for certificate in certificates {
        expected.extend(format!("--{boundary}\r\nContent-Type: application/pkix-cert\r\n\r\n").bytes());
        expected.extend(certificate.as_der());
        expected.extend(b"\r\n");
    }
    expected.extend(format!("--{boundary}--\r\n").bytes());
    assert!(several.body == expected);
    assert_eq!(several.header("transfer-encoding"), None, "RFC 4387 section 2: no chunks");
}

#[test]
fn a_search_is_exact() {
    let site = Site::new();
    for (attribute, value) in [
        ("email", "ali%40example.com"),
        ("email", "*%40example.com"),
        ("email", "xalice%40example.com"),
        ("email", "alice%40example.co"),
        ("name", "Alice"),
        ("name", "alice+example"),
        ("name", "*"),
        ("name", ""),
    ] {
        assert_eq!(site.search(attribute, value).status, 404, "{attribute}={value}");
    }
}

#[test]
fn every_attribute_of_rfc_4387_finds_certificates() {
    let site = Site::new();
    let bob = &site.certificates[2];
    let found = |attribute: &str, value: &str| {
        site.search(attribute, value).is("application/pkix-cert", bob.as_der())
    };
    found("certHash", &key(bob.as_der()));
    found("sHash", &key(&field(bob, "subject")));
    found("sKIDHash", &key(bob.subject_key_identifier()));
    found("name", "%E6%9D%8E%20Bob");
    found("name", "%E6%9D%8E+Bob");
    let mut both = [field(bob, "issuer"), field(bob, "serial number")].concat();
    both.splice(0..0, [0x30, u8::try_from(both.len()).unwrap()]);
    found("iAndSHash", &key(&both));
    let by_issuer = site.search("iHash", &key(&field(bob, "issuer")));
    assert_eq!(by_issuer.status, 200);
    let marker = b"Content-Type: application/pkix-cert";
    assert_eq!(by_issuer.body.windows(marker.len()).filter(|octets| octets == marker).count(), 3);
}

#[test]
fn authorities_and_their_crls_are_found_by_name_and_key() {
    let site = Site::new();
    let leaf = &site.certificates[0];
    let people = site.world.people.certificate();
    site.search("sKIDHash", &key(leaf.authority_key_identifier()))
        .is("application/pkix-cert", people.as_der());
    site.search("sHash", &key(&field(leaf, "issuer"))).is("application/pkix-cert", people.as_der());
    for (attribute, value) in
        [("iHash", key(&field(leaf, "issuer"))), ("sKIDHash", key(leaf.authority_key_identifier()))]
    {
        let path = format!("/crls/search.cgi?{attribute}={value}");
        site.get(&path).is("application/pkix-crl", &site.crls[1]);
    }
    let unknown = key(b"nobody");
    assert_eq!(site.get(&format!("/crls/search.cgi?iHash={unknown}")).status, 404);
    assert_eq!(site.get(&format!("/crls/search.cgi?certHash={unknown}")).status, 400);
}

#[test]
fn malformed_queries_are_refused_and_unknown_attributes_ignored() {
    let site = Site::new();
    for query in [
        "",
        "email=",
        "email=alice",
        "colour=green",
        "sHash=abc",
        "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3+I",
        "name=%ZZ",
    ] {
        assert_eq!(site.get(&format!("/certificates/search.cgi?{query}")).status, 400, "{query}");
    }
    assert_eq!(site.get("/certificates/search.cgi").status, 400);
    let path = "/certificates/search.cgi?colour=green&email=bob%40example.com&format=der";
    site.get(path).is("application/pkix-cert", site.certificates[2].as_der());
}

#[test]
fn only_get_and_head_are_answered() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let refused = site.curl("/anchor.pem", &["--request", method, "--data", "x"]);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(site.curl("/health", &["--request", "POST", "--data", "x"]).status, 405);
    let head = site.curl("/anchor.pem", &["--head"]);
    let length = std::fs::metadata(site.directory.path().join("anchor.pem")).unwrap().len();
    assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
    assert_eq!(head.status, 200);
}

#[test]
fn a_known_entity_tag_saves_the_body() {
    let site = Site::new();
    let first = site.get("/crl.pem");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(first.header("last-modified").unwrap().ends_with(" GMT"));
    let again = site.curl("/crl.pem", &["--header", &format!("If-None-Match: \"x\", {tag}")]);
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(site.curl("/crl.pem", &["--header", "If-None-Match: \"x\""]).status, 200);
}

/// `curl --time-cond` and `wget --timestamping` ask so: nothing is sent twice, and nothing new is missed, however fast it comes.
#[test]
fn a_known_date_saves_the_body_and_misses_nothing() {
    let mut site = Site::new();
    let crl = std::fs::read_dir(site.directory.path().join("crl")).unwrap();
    let crl =
        crl.map(|entry| entry.unwrap().path()).find(|path| std::fs::read(path).unwrap() == site.crls[1]);
    let path = format!("/crl/{}", crl.unwrap().file_name().unwrap().to_str().unwrap());
    let asked = |since: &str| site.curl(&path, &["--header", &format!("If-Modified-Since: {since}")]);
    // One that was dated into the next second is dated by and by.
    let wait = || {
        let begin = std::time::Instant::now();
        loop {
            let first = site.get(&path);
            if let Some(date) = first.header("last-modified") {
                return date.to_owned();
            }
            assert!(begin.elapsed().as_secs() < 60, "{}", first.head);
        }
    };
    let date = wait();
    let again = asked(&date);
    assert_eq!(
        (again.status, again.body.len(), again.header("last-modified")),
        (304, 0, Some(date.as_str()))
    );
    // RFC 9110 section 5.6.7: the two older forms, and nothing else.
    for (since, status) in [
        ("Tuesday, 31-Dec-69 23:59:59 GMT", 304),
        ("Fri Dec 31 23:59:59 2100", 304),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("yesterday", 200),
    ] {
        assert_eq!(asked(since).status, status, "{since}");
    }
    // A tag counts instead.
    let both =
        ["--header", "If-None-Match: \"x\"", "--header", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"];
    assert_eq!(site.curl(&path, &both).status, 200);
    // The date of each version is its own, within one second too.
    let dates: Vec<_> = (2..5)
        .map(|number| {
            site.crls[1] = site.world.crl(number, &[]);
            site.publish();
            let metadata =
                std::fs::metadata(site.directory.path().join(path.trim_start_matches('/'))).unwrap();
            metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
        })
        .collect();
    assert!(dates.is_sorted_by(|one, next| one < next), "{dates:?}");
    let newer = site.curl(&path, &["--header", &format!("If-Modified-Since: {date}")]);
    assert_eq!((newer.status, newer.body == site.crls[1]), (200, true));
}

#[test]
fn what_is_published_later_is_found_at_once() {
    let mut site = Site::new();
    let carol = Profile::DigitalSignature(holder("Carol", "carol@example.com"));
    let carol = site.world.certify(&carol, &mut TestKey::p256());
    assert_eq!(site.search("name", "Carol").status, 404);
    assert_eq!(site.search("email", "carol@example.com").status, 404);
    site.certificates.push(carol.clone());
    site.crls[1] = site.world.crl(2, &[]);
    site.publish();
    site.search("name", "Carol").is("application/pkix-cert", carol.as_der());
    site.search("email", "carol@example.com").is("application/pkix-cert", carol.as_der());
    let issuer = key(carol.authority_key_identifier());
    site.get(&format!("/crls/search.cgi?sKIDHash={issuer}")).is("application/pkix-crl", &site.crls[1]);
}

#[test]
fn a_directory_that_no_publisher_of_ours_marked_is_searched_too() {
    let site = Site::new();
    std::fs::remove_file(site.directory.path().join(".revision")).unwrap();
    let bob = &site.certificates[2];
    site.search("certHash", &key(bob.as_der())).is("application/pkix-cert", bob.as_der());
    let file = format!("certificates/by-email/bob@example.com/{}.cer", bob.serial_number());
    std::fs::remove_file(site.directory.path().join(file)).unwrap();
    assert_eq!(site.search("certHash", &key(bob.as_der())).status, 404);
}

#[test]
fn a_certificate_with_two_addresses_is_one_certificate() {
    let mut site = Site::new();
    let mut dave = holder("Dave", "dave@example.com");
    dave.mail.push("david@example.com".parse().unwrap());
    let dave = site.world.certify(&Profile::DigitalSignature(dave), &mut TestKey::p256());
    site.certificates.push(dave.clone());
    site.publish();
    for (attribute, value) in
        [("name", "Dave"), ("email", "dave@example.com"), ("email", "david@example.com")]
    {
        site.search(attribute, value).is("application/pkix-cert", dave.as_der());
    }
}

#[test]
fn the_command_serves_until_it_is_terminated() {
    let site = Site::new();
    let mut server = Command::new(env!("CARGO_BIN_EXE_issuer"))
        .args(["serve", "--listen", "127.0.0.1:0", "--from"])
        .arg(site.directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")).unwrap().to_owned();
    let anchor = std::fs::read(site.directory.path().join("anchor.pem")).unwrap();
    curl(&format!("{url}/anchor.pem"), &[]).is("application/pem-certificate-chain", &anchor);
    assert!(terminate(&mut server), "exit code 0");
}

fn terminate(server: &mut Child) -> bool {
    let killed = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(killed.success());
    server.wait().unwrap().success()
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let missing = Path::new("/nonexistent/published").to_owned();
    assert!(runtime.block_on(serve(listener, missing, std::future::pending())).is_err());
}
