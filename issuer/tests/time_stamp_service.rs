//! The time-stamp service, asked by openssl and curl.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod time_stamp_support;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use desk_support::{Desk, PASSPHRASE, files_below, openssl, openssl_verify, run};
use time_stamp_support::*;

/// The lines of the log, split into fields.
fn log(desk: &Desk) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(desk.home().join("tsa/serials.log")).unwrap();
    text.lines().skip(1).map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn openssl_verifies_stamps_of_every_digest_with_and_without_certificate() {
    let desk = desk_with_service(&[]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    let mut serials = Vec::new();
    for digest in ["sha256", "sha384", "sha512"] {
        for certificate in [&["-cert"][..], &[]] {
            for nonce in [&["-no_nonce"][..], &[]] {
                let shown = client.stamp(&[&[format!("-{digest}").as_str()], certificate, nonce].concat());
                assert_eq!(field(&shown, "Status"), "Granted.");
                assert_eq!(field(&shown, "Version"), "1");
                assert_eq!(field(&shown, "Policy OID"), "1.3.6.1.4.1.32473.1.4");
                assert_eq!(field(&shown, "Hash Algorithm"), digest);
                assert_eq!(field(&shown, "Accuracy"), "0x01 seconds, unspecified millis, unspecified micros");
                assert_eq!(field(&shown, "Nonce") == "unspecified", !nonce.is_empty());
                // With the certificate the reply stands alone beside the root; without it, it does not.
                assert_eq!(client.verify_with(&[]).0, !certificate.is_empty());
                serials.push(serial(&shown));
            }
        }
    }
    assert_eq!(log(&desk).iter().map(|line| line[2].clone()).collect::<Vec<_>>(), serials);
    // The verification itself works: what is planted is found.
    let mut reply = client.read("reply");
    let last = reply.len() - 1;
    reply[last] ^= 1;
    client.write("reply", &reply);
    assert!(!client.verify().0);
    client.write("data", "The crane arrives on Wednesday.\n");
    client.query(&["-sha256"]);
    assert_eq!(client.post(), "200");
    client.write("data", "another");
    let asked = client.read("reply");
    client.query(&["-sha256"]);
    client.write("reply", asked);
    assert!(!client.verify().0);
    service.stop();
}

/// What openssl reads in the signature: one signer, the signed attributes of RFC 5816 and no more.
#[test]
fn a_token_has_one_signer_and_names_its_certificate_in_the_signed_attributes() {
    for key in ["p256", "rsa3072"] {
        let desk = desk_with_service(&["--key", key]);
        let service = Service::start(&desk);
        let client = Client::new(&desk, &service.url);
        client.stamp(&["-sha256", "-cert"]);
        let path = |name: &str| client.path(name).to_str().unwrap().to_owned();
        let (reply, token) = (path("reply"), path("token"));
        assert!(openssl(&["ts", "-reply", "-in", &reply, "-token_out", "-out", &token]).status.success());
        let shown = openssl(&["cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", &token]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for once in [
            "eContentType: id-smime-ct-TSTInfo (1.2.840.113549.1.9.16.1.4)",
            "d.issuerAndSerialNumber:",
            "object: contentType (1.2.840.113549.1.9.3)",
            "object: signingTime (1.2.840.113549.1.9.5)",
            "object: messageDigest (1.2.840.113549.1.9.4)",
            "object: id-smime-aa-signingCertificateV2 (1.2.840.113549.1.9.16.2.47)",
            "unsignedAttrs: <ABSENT>",
        ] {
            assert_eq!(shown.matches(once).count(), 1, "{once:?} in: {shown}");
        }
        let (_, attributes) = shown.split_once("signedAttrs:").unwrap();
        assert_eq!(attributes.matches("object: ").count(), 4, "{shown}");
        // The service's and its authority's; the root is known.
        assert_eq!(shown.matches("d.certificate:").count(), 2, "{shown}");
        let (anchor, chain) =
            (desk.text("public/anchor.pem"), desk.home().join("tsa/chain.pem").to_str().unwrap().to_owned());
        let verified = openssl(&[
            "cms",
            "-verify",
            "-cades",
            "-inform",
            "DER",
            "-in",
            &token,
            "-CAfile",
            &anchor,
            "-certfile",
            &chain,
            "-purpose",
            "timestampsign",
            "-out",
            "/dev/null",
        ]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

#[test]
fn nonces_of_any_size_come_back_octet_by_octet() {
    let desk = desk_with_service(&[]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256", "-no_nonce"]);
    let plain = client.read("query");
    let contents = &plain[2..];
    let long: Vec<u8> = [&[0x02, 0x82, 0x01, 0x00, 0x5A][..], &[0xC3; 255]].concat();
    for nonce in [vec![2, 1, 0], vec![2, 1, 0x80], vec![2, 3, 0, 0xFF, 0xFF], vec![2, 2, 0xFF, 0x7F], long] {
        let inside = [contents, &nonce].concat();
        let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
        let header = if inside.len() < 0x80 {
            vec![0x30, length[1]]
        } else if inside.len() < 0x100 {
            vec![0x30, 0x81, length[1]]
        } else {
            vec![0x30, 0x82, length[0], length[1]]
        };
        client.write("query", [header, inside].concat());
        assert_eq!(client.post(), "200");
        assert!(client.verify().0, "{}", client.shown());
        assert!(client.read("reply").windows(nonce.len()).any(|window| window == nonce));
    }
}

#[test]
fn policies_are_those_of_the_service() {
    let desk = desk_with_service(&["--policy", "1.2.3.4.5", "--accuracy", "20"]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    for arguments in [&["-sha256"][..], &["-sha256", "-tspolicy", "1.2.3.4.5"]] {
        let shown = client.stamp(arguments);
        assert_eq!(field(&shown, "Policy OID"), "1.2.3.4.5");
        assert_eq!(field(&shown, "Accuracy"), "unspecified seconds, 0x14 millis, unspecified micros");
    }
    client.query(&["-sha256", "-tspolicy", "1.2.3.4.6"]);
    client.assert_refused("the requested TSA policy is not supported by the TSA");
    assert_eq!(log(&desk).len(), 2, "a refused request stands in the log");
}

#[test]
fn each_bad_request_is_refused_with_its_code_and_leaves_no_line() {
    let desk = desk_with_service(&[]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    let (algorithm, format) =
        ("unrecognized or unsupported algorithm identifier", "the data submitted has the wrong format");
    for digest in ["-sha1", "-sha224", "-sha3-256"] {
        client.query(&[digest]);
        client.assert_refused(algorithm);
    }
    client.query(&["-sha256"]);
    let good = client.read("query");
    client.write("query", [&good[..], b"\0"].concat());
    client.assert_refused(format);
    client.write("query", &good[..good.len() - 1]);
    client.assert_refused(format);
    client.write("query", b"hello");
    client.assert_refused(format);
    client.write("query", b"");
    client.assert_refused(format);
    // An imprint that is one octet shorter than its digest.
    let imprint = good.windows(2).position(|pair| pair == [4, 32]).unwrap();
    let mut short = good.clone();
    short.remove(imprint + 2);
    for length in [1, 6, imprint + 1] {
        short[length] -= 1;
    }
    client.write("query", short);
    client.assert_refused(format);
    let mut version = good.clone();
    version[4] = 2;
    client.write("query", version);
    client.assert_refused("transaction not permitted or supported");
    let extension = [0xA0, 0x0B, 0x30, 0x09, 0x06, 0x03, 0x2A, 0x03, 0x04, 0x04, 0x02, 0x05, 0x00];
    let mut extended = [&good[..], &extension].concat();
    extended[1] += 13;
    client.write("query", extended);
    client.assert_refused("the requested extension is not supported by the TSA");
    assert!(log(&desk).is_empty());
    client.write("query", good);
    assert_eq!(client.post(), "200");
    assert_eq!(log(&desk).len(), 1);
}

#[test]
fn http_that_is_no_request_is_told_so() {
    let desk = desk_with_service(&["--rate", "20"]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256"]);
    assert_eq!(client.curl(&["-X", "GET"]), "405");
    assert!(String::from_utf8(client.read("head")).unwrap().to_lowercase().contains("allow: post"));
    assert_eq!(client.curl(&["-H", "Content-Type: application/json"]), "415");
    client.write("query", vec![0x30; 20_000]);
    assert_eq!(client.post(), "413");
    // Chunked and without end: cut off at the same length.
    assert_eq!(
        client.curl(&["-H", "Content-Type: application/timestamp-query", "-H", "Transfer-Encoding: chunked"]),
        "413"
    );
    client.query(&["-sha256"]);
    assert_eq!(client.post(), "200");
    let head = String::from_utf8(client.read("head")).unwrap().to_lowercase();
    assert!(head.contains("content-type: application/timestamp-reply"), "{head}");
}

/// Sends requests over one connection, as fast as they are answered, until it is closed; answers heads and bodies.
fn ask(url: &str, query: &[u8], times: usize) -> Vec<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/timestamp-query\r\nContent-Length: {}\r\n\r\n",
        query.len()
    );
    let request = [head.as_bytes(), query].concat();
    let one = |_| {
        stream.write_all(&request).ok()?;
        let (mut answer, mut chunk) = (Vec::new(), [0; 8192]);
        loop {
            let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
            answer.extend_from_slice(&chunk[..length]);
            let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if answer.len() == end + 4 + length.unwrap().parse::<usize>().unwrap() {
                return Some((head, answer.split_off(end + 4)));
            }
        }
    };
    (0..times).map_while(one).collect()
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let desk = desk_with_service(&["--rate", "1"]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256"]);
    let heads = ask(&service.url, &client.read("query"), 40);
    let heads: Vec<String> = heads.into_iter().map(|(head, _)| head).collect();
    assert!(heads[0].starts_with("http/1.1 200"), "{}", heads[0]);
    let refused: Vec<_> = heads.iter().filter(|head| head.starts_with("http/1.1 429")).collect();
    assert!(!refused.is_empty() && refused.iter().all(|head| head.contains("retry-after: 1")), "{heads:?}");
    let given = heads.iter().filter(|head| head.starts_with("http/1.1 200")).count();
    assert_eq!(given + refused.len(), 40);
    assert_eq!(log(&desk).len(), given);
}

#[test]
fn serial_numbers_stay_unique_over_restarts_and_kills_and_many_clients() {
    let desk = desk_with_service(&["--rate", "100000"]);
    let (mut serials, mut given) = (Vec::new(), 0);
    for round in 0..3 {
        let service = Service::start(&desk);
        let client = Client::new(&desk, &service.url);
        client.query(&["-sha256", "-cert"]);
        let query = client.read("query");
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&service.url, &query, 20))).collect();
            for client in asking {
                let answers = client.join().unwrap();
                assert!(answers.iter().all(|(head, _)| head.starts_with("http/1.1 200")));
                given += answers.len();
            }
        });
        serials.push(serial(&client.stamp(&["-sha256"])));
        given += 1;
        if round == 2 { service.stop() } else { service.kill() }
    }
    let lines = log(&desk);
    // Every stamp that was handed out stands in the log, once; and nothing else does.
    assert_eq!(lines.len(), given);
    let unique: HashSet<&str> = lines.iter().map(|line| line[2].as_str()).collect();
    assert_eq!(unique.len(), given);
    assert!(serials.iter().all(|serial| unique.contains(serial.as_str())));
    let report = run(desk.command(&["--json", "tsa", "status"]).current_dir(desk.directory.path()));
    let report: serde_json::Value = serde_json::from_str(&report.expect(0).stdout).unwrap();
    assert_eq!(report["stamps"], given);
    assert_eq!(report["chain"], lines[given - 1][7].as_str());
}

/// What had left before the service was killed stands in the log; what was killed on its way may.
#[test]
fn every_stamp_that_left_before_a_kill_stands_in_the_log() {
    let desk = desk_with_service(&["--rate", "100000"]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256"]);
    let (query, url) = (client.read("query"), service.url.clone());
    let mut replies = Vec::new();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&url, &query, usize::MAX))).collect();
        while log(&desk).len() < 100 {
            std::thread::yield_now();
        }
        service.kill();
        replies.extend(asking.into_iter().flat_map(|client| client.join().unwrap()));
    });
    let service = Service::start(&desk);
    let lines = log(&desk);
    assert!(replies.len() >= 50 && lines.len() >= replies.len(), "{} of {}", replies.len(), lines.len());
    let serials: Vec<Vec<u8>> = lines.iter().map(|line| hex::decode(&line[2]).unwrap()).collect();
    let mut found = HashSet::new();
    for (_, reply) in &replies {
        let own = |serial: &&Vec<u8>| reply.windows(serial.len()).any(|window| window == serial.as_slice());
        assert!(found.insert(serials.iter().find(own).expect("a stamp is not in the log")));
    }
    service.stop();
}

/// A client that goes away takes nothing with it: every connection asks and leaves before it is answered.
#[test]
fn clients_that_leave_do_not_wear_the_service_out() {
    let desk = desk_with_service(&["--rate", "100000"]);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256"]);
    let query = client.read("query");
    for _ in 0..60 {
        let mut stream = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/timestamp-query\r\nContent-Length: {}\r\n\r\n",
            query.len()
        );
        stream.write_all(&[head.as_bytes(), &query].concat()).unwrap();
    }
    client.stamp(&["-sha256"]);
    service.stop();
}

#[test]
fn a_torn_log_is_healed_and_a_changed_one_is_refused() {
    let desk = desk_with_service(&[]);
    let path = desk.home().join("tsa/serials.log");
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    for _ in 0..3 {
        client.stamp(&["-sha256"]);
    }
    service.kill();
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}4 4 5b89956f83de8c")).unwrap();
    let service = Service::start(&desk);
    Client::new(&desk, &service.url).stamp(&["-sha256"]);
    service.stop();
    assert_eq!(log(&desk).len(), 4);
    assert_eq!(std::fs::read_to_string(path.with_extension("torn-4")).unwrap(), "4 4 5b89956f83de8c");
    desk.issuer(&["tsa", "status"]).expect(0);

    let whole = std::fs::read_to_string(&path).unwrap();
    let changed = whole.replacen("sha256", "sha384", 1);
    std::fs::write(&path, &changed).unwrap();
    run(&mut program(&desk, &desk.home().join("tsa")))
        .refuses(1, &["serials.log", "line 2 was changed", "put the file back", "issuer tsa init"]);
    desk.issuer(&["tsa", "status"]).refuses(4, &["serials.log", "line 2 was changed"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
}

#[test]
fn a_service_needs_its_folder_alone_and_one_process_has_it() {
    let desk = desk_with_service(&["--folder", "service"]);
    let folder = desk.path("moved");
    std::fs::rename(desk.path("service"), &folder).unwrap();
    let certificate = std::fs::read(folder.join("certificate.pem")).unwrap();
    std::fs::remove_dir_all(desk.home()).unwrap();
    let service = Service::of(&mut program(&desk, &folder));
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256", "-cert"]);
    assert_eq!(client.post(), "200");
    let (verified, said) = client.verify_with(&[]);
    assert!(verified, "{said}");
    run(&mut program(&desk, &folder)).refuses(1, &["serials.log", "in use", "stop it first"]);
    service.stop();
    client.write("certificate.pem", certificate);
    let (verified, said) =
        openssl_verify(&desk.path("public"), &client.path("certificate.pem"), &["-purpose", "timestampsign"]);
    assert!(verified, "{said}");
}

#[test]
fn what_cannot_be_served_is_refused_with_what_to_do() {
    let desk = desk_with_service(&[]);
    let folder = desk.home().join("tsa");
    run(&mut program(&desk, &desk.path("nowhere")))
        .refuses(1, &["nowhere", "no time-stamp service", "tsa init"]);
    std::fs::write(desk.path("wrong"), "not the passphrase\n").unwrap();
    run(Command::new(env!("CARGO_BIN_EXE_issuer"))
        .args(["tsa", "--folder"])
        .arg(&folder)
        .arg("--service-passphrase-file")
        .arg(desk.path("wrong")))
    .refuses(1, &["key.pem", "passphrase"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(program(&desk, &folder).args(["--listen", &address])).refuses(1, &[&address, "--listen"]);
    std::fs::write(folder.join("tsa.toml"), "policy = '1.2.3'\n").unwrap();
    run(&mut program(&desk, &folder)).refuses(1, &["tsa.toml", "accuracy_milliseconds"]);
    run(Command::new(env!("CARGO_BIN_EXE_issuer")).env_remove("ISSUER_HOME").arg("tsa"))
        .refuses(2, &["--folder", "--home"]);
}

#[test]
fn a_service_is_made_whole_or_not_at_all() {
    let desk = Desk::new();
    write_passphrase(&desk);
    let keys = files_below(&desk.home().join("keys"));
    let init = |arguments: &[&str]| desk.issuer(&[&["tsa", "init"], arguments].concat());
    init(&["--service-passphrase-file", "passphrase"]).refuses(1, &["another one"]);
    std::fs::write(desk.path("short"), "short\n").unwrap();
    init(&["--service-passphrase-file", "short"]).refuses(1, &["8 characters"]);
    std::fs::create_dir(desk.path("full")).unwrap();
    std::fs::write(desk.path("full/file"), "x").unwrap();
    init(&["--service-passphrase-file", "service-passphrase", "--folder", "full"])
        .refuses(1, &["full", "not empty", "--folder"]);
    init(&["--policy", "one"]).expect(2);
    assert_eq!(files_below(&desk.home().join("keys")), keys);
    assert!(!desk.home().join("tsa").exists());
    init(&["--service-passphrase-file", "service-passphrase"]).expect(0);
    init(&["--service-passphrase-file", "service-passphrase"]).refuses(1, &["not empty"]);
    // A second service: the authority is there already.
    let made: serde_json::Value = serde_json::from_str(
        &desk
            .issuer(&[
                "--json",
                "tsa",
                "init",
                "--folder",
                "second",
                "--service-passphrase-file",
                "service-passphrase",
            ])
            .expect(0)
            .stdout,
    )
    .unwrap();
    assert_eq!(made["new_authority"], false);
    let key = std::fs::read_to_string(desk.path("second/key.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let opened = openssl(&[
        "pkey",
        "-in",
        &desk.text("second/key.pem"),
        "-noout",
        "-passin",
        &format!("pass:{PASSPHRASE}"),
    ]);
    assert!(!opened.status.success(), "the desk's passphrase opens the service's key");
}

/// A run of `tsa init` that was killed after it had written the authority's key, and before the registry knew it.
#[test]
fn an_authority_that_was_half_made_is_completed() {
    let desk = Desk::new();
    init(&desk, &["--folder", "elsewhere"]);
    let key = std::fs::read(desk.home().join("keys/documents.pem")).unwrap();
    let other = Desk::new();
    std::fs::write(other.home().join("keys/documents.pem"), &key).unwrap();
    init(&other, &[]);
    assert_eq!(std::fs::read(other.home().join("keys/documents.pem")).unwrap(), key);
    other.publish();
    let service = Service::start(&other);
    Client::new(&other, &service.url).stamp(&["-sha256", "-cert"]);
}

#[test]
fn a_revoked_service_is_on_the_crl() {
    let desk = desk_with_service(&[]);
    let certificate = desk.home().join("tsa/certificate.pem");
    let purpose = ["-purpose", "timestampsign"];
    assert!(openssl_verify(&desk.path("public"), &certificate, &purpose).0);
    let serial = openssl(&["x509", "-noout", "-serial", "-in", certificate.to_str().unwrap()]);
    let serial = String::from_utf8(serial.stdout).unwrap().trim().replace("serial=", "").to_lowercase();
    desk.issuer(&["revoke", &serial, "--reason", "key-compromise"]).expect(0);
    desk.publish();
    let (verified, said) = openssl_verify(&desk.path("public"), &certificate, &purpose);
    assert!(!verified && said.contains("certificate revoked"), "{said}");
}
