//! The HTTP server, asked by curl: files as they are published, and what it must not answer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod serve_support;
#[path = "desk_support/server.rs"]
mod server;
mod support;

use std::path::Path;

use issuer::publication::{Service, serve};
use serve_support::Site;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[test]
fn the_published_files_are_served_as_they_are() {
    let site = Site::new();
    for (name, content_type) in [
        ("anchor.pem", "application/pem-certificate-chain"),
        ("ca-chain.pem", "application/pem-certificate-chain"),
        ("crl.pem", "application/x-pem-file"),
    ] {
        let contents = std::fs::read(site.published.path(name)).unwrap();
        site.get(&format!("/{name}")).is(content_type, &contents);
    }
    for authority in site.published.world.authorities() {
        let key = hex::encode(authority.subject_key_identifier());
        site.get(&format!("/ca/{key}.cer")).is("application/pkix-cert", authority.as_der());
    }
    let people = hex::encode(site.published.world.people.certificate().subject_key_identifier());
    site.get(&format!("/crl/{people}.crl")).is("application/pkix-crl", &site.published.crls[1]);
    let alice = &site.published.certificates[0];
    for address in ["alice@example.com", "alice%40example.com"] {
        let path = format!("/certificates/by-email/{address}/{}.cer", alice.serial_number());
        site.get(&path).is("application/pkix-cert", alice.as_der());
    }
}

#[test]
fn nothing_is_listed_and_nothing_outside_is_named() {
    let site = Site::new();
    std::fs::write(site.published.path("secret"), b"secret").unwrap();
    std::fs::write(site.published.path("ca/secret.cer"), b"secret").unwrap();
    std::fs::create_dir(site.published.path("ca/00.cer")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", site.published.path("ca/01.cer")).unwrap();
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
fn only_get_and_head_are_answered() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let refused = site.server.ask("/anchor.pem", &["--request", method, "--data", "x"]);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(site.server.ask("/health", &["--request", "POST", "--data", "x"]).status, 405);
    let head = site.server.ask("/anchor.pem", &["--head"]);
    let length = std::fs::metadata(site.published.path("anchor.pem")).unwrap().len();
    assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
    assert_eq!(head.status, 200);
}

#[test]
fn a_known_entity_tag_saves_the_body() {
    let site = Site::new();
    let first = site.get("/crl.pem");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(first.header("last-modified").unwrap().ends_with(" GMT"));
    let again = site.server.ask("/crl.pem", &["--header", &format!("If-None-Match: \"x\", {tag}")]);
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(site.server.ask("/crl.pem", &["--header", "If-None-Match: \"x\""]).status, 200);
}

/// RFC 9110 section 13.1.1: what is not what was wanted is not given. A client that loads a long CRL in pieces asks so.
#[test]
fn what_is_no_longer_as_a_request_wants_it_is_not_given() {
    let site = Site::new();
    let tag = site.get("/crl.pem").header("etag").unwrap().to_owned();
    let early = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
    let late = "If-Unmodified-Since: Fri, 31 Dec 2100 23:59:59 GMT";
    // One that was dated into the next second is dated by and by.
    let begin = std::time::Instant::now();
    while site.get("/crl.pem").header("last-modified").is_none() {
        assert!(begin.elapsed().as_secs() < 60, "it is never dated");
    }
    for (wanted, status) in [
        (&[format!("If-Match: \"x\", {tag}")][..], 200),
        (&["If-Match: *".to_owned()], 200),
        (&["If-Match: \"x\"".to_owned()], 412),
        (&[format!("If-Match: W/{tag}")], 412),
        (&[early.to_owned()], 412),
        (&[late.to_owned()], 200),
        (&["If-Unmodified-Since: yesterday".to_owned()], 200),
        (&[format!("If-Match: {tag}"), early.to_owned()], 200),
        (&["If-Match: \"x\"".to_owned(), format!("If-None-Match: {tag}")], 412),
        (&[format!("If-Match: {tag}"), format!("If-None-Match: {tag}")], 304),
    ] {
        let options: Vec<&str> = wanted.iter().flat_map(|field| ["--header", field]).collect();
        assert_eq!(site.server.ask("/crl.pem", &options).status, status, "{wanted:?}");
    }
}

/// `curl --continue-at` and `wget --continue` ask so.
#[test]
fn a_file_that_arrived_in_part_is_gone_on_with() {
    let site = Site::new();
    let whole = site.get("/crl.pem");
    let (tag, length) = (whole.header("etag").unwrap().to_owned(), whole.body.len());
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("crl.pem");
    std::fs::write(&begun, &whole.body[..100]).unwrap();
    let curl = ["--noproxy", "*", "-sSf", "--continue-at", "-", "--output", begun.to_str().unwrap()];
    let url = format!("{}/crl.pem", site.server.url);
    assert!(std::process::Command::new("curl").args(curl).arg(url).status().unwrap().success());
    assert_eq!(std::fs::read(&begun).unwrap(), whole.body);

    let all = format!("bytes 0-{}/{length}", length - 1);
    for (fields, status, range, size) in [
        (&["Range: bytes=0-"][..], 206, Some(all.as_str()), length),
        (&["Range: bytes=-0"], 416, Some(&*format!("bytes */{length}")), 0),
        (&["Range: bytes=0-1,3-4"], 200, None, length),
        (&["Range: bytes=0-", &format!("If-Range: {tag}")], 206, Some(&all), length),
        (&["Range: bytes=5-", "If-Range: \"x\""], 200, None, length),
        (&["Range: bytes=5-", &format!("If-Range: W/{tag}")], 200, None, length),
        (&["Range: bytes=5-", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"], 200, None, length),
        (&["Range: bytes=5-", &format!("If-None-Match: {tag}")], 304, None, 0),
    ] {
        let options: Vec<&str> = fields.iter().flat_map(|field| ["--header", field]).collect();
        let answer = site.server.ask("/crl.pem", &options);
        let seen = (answer.status, answer.header("content-range"), answer.body.len());
        assert_eq!(seen, (status, range, size), "{fields:?}");
        // Whoever is in between keeps what is good for a while, and not that there was no such part.
        let control = answer.header("cache-control").unwrap();
        assert_eq!(control == "no-store", status == 416, "{fields:?}: {control}");
        assert_eq!(answer.header("expires").is_some(), status != 416, "{fields:?}");
    }
    let head = site.server.ask("/crl.pem", &["--head", "--header", "Range: bytes=0-1"]);
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*length.to_string())));
}

/// RFC 9112 section 3.2.
#[test]
fn a_request_of_http_1_1_names_one_host() {
    use std::io::{Read, Write};
    let site = Site::new();
    let ask = |head: &str| {
        let mut stream = std::net::TcpStream::connect(site.server.address()).unwrap();
        write!(stream, "GET /crl.pem {head}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().to_owned()
    };
    for (head, status) in [
        ("HTTP/1.1\r\nHost: pki.example.org", "200"),
        ("HTTP/1.1\r\nHost:", "200"),
        ("HTTP/1.1", "400"),
        ("HTTP/1.1\r\nHost: a\r\nHost: b", "400"),
        // openssl ocsp asks so.
        ("HTTP/1.0", "200"),
    ] {
        assert_eq!(ask(head), status, "{head:?}");
    }
}

/// `curl --time-cond` and `wget --timestamping` ask so: nothing is sent twice, and nothing new is missed, however fast it comes.
#[test]
fn a_known_date_saves_the_body_and_misses_nothing() {
    let mut site = Site::new();
    let crl = std::fs::read_dir(site.published.path("crl")).unwrap();
    let crl = crl
        .map(|entry| entry.unwrap().path())
        .find(|path| std::fs::read(path).unwrap() == site.published.crls[1]);
    let path = format!("/crl/{}", crl.unwrap().file_name().unwrap().to_str().unwrap());
    let asked = |since: &str| site.server.ask(&path, &["--header", &format!("If-Modified-Since: {since}")]);
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
    assert_eq!(site.server.ask(&path, &both).status, 200);
    // The date of each version is its own, within one second too.
    let dates: Vec<_> = (2..5)
        .map(|number| {
            site.published.crls[1] = site.published.world.crl(number, &[]);
            site.published.publish();
            let metadata = std::fs::metadata(site.published.path(path.trim_start_matches('/'))).unwrap();
            metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
        })
        .collect();
    assert!(dates.is_sorted_by(|one, next| one < next), "{dates:?}");
    let newer = site.server.ask(&path, &["--header", &format!("If-Modified-Since: {date}")]);
    assert_eq!((newer.status, newer.body == site.published.crls[1]), (200, true));
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let missing = Service::of(Path::new("/nonexistent/published").to_owned());
    assert!(runtime.block_on(serve(listener, missing, std::future::pending())).is_err());
}
