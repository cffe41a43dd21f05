//! Time stamps asked for over HTTP: of `openssl ts` and of certomancer, and of servers that lie in every way.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;
mod time_stamp_server;

use std::time::Duration;

use const_oid::ObjectIdentifier;
use jiff::SignedDuration;
use mailer::certificate::DigestAlgorithm;
use mailer::clock::{Clock, FixedClock, SystemClock};
use mailer::time_stamping::{
    MessageImprint, NoTimeStamp, ServerProblem, TimeStamp, TimeStampClient, TimeStampServers,
};
use mailer::trust::Certificate;
use openssl_pki::{Identity, Key, Pki, openssl};
use time_stamp_server::{Answer, Certomancer, OpensslAuthority, STAMPER, nobody, serve, serve_tls};
use url::Url;

const VALUE: &[u8] = b"the value of a signature";

fn any(_: &TimeStamp) -> Result<(), String> {
    Ok(())
}

fn servers(urls: &[&Url]) -> TimeStampServers {
    TimeStampServers::new(urls.iter().map(|url| (*url).clone()).collect())
}

fn stamp_by(servers: TimeStampServers) -> Result<TimeStamp, NoTimeStamp> {
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    TimeStampClient::new(servers, &[], &SystemClock).stamp(&imprint, None, &mut any)
}

/// Why each server failed.
fn problems(error: NoTimeStamp) -> Vec<ServerProblem> {
    let NoTimeStamp::AllFailed(failures) = error else { panic!("{error}") };
    failures.into_iter().map(|failure| failure.problem).collect()
}

fn code(answer: impl FnMut(&[u8]) -> Answer + Send + 'static) -> &'static str {
    let (url, _) = serve(answer);
    let problems = problems(stamp_by(servers(&[&url])).unwrap_err());
    assert_eq!(problems.len(), 1);
    problems[0].code()
}

#[test]
fn openssl_reads_our_request_and_verifies_the_pair() {
    for (key, algorithm, name) in [
        (Key::P256, DigestAlgorithm::Sha256, "sha256"),
        (Key::Rsa2048, DigestAlgorithm::Sha384, "sha384"),
        (Key::P384, DigestAlgorithm::Sha512, "sha512"),
    ] {
        let authority = OpensslAuthority::with(key);
        let check = Pki::new();
        for file in ["Root.pem", "People.pem"] {
            check.write(file, &authority.pki.read(file));
        }
        let (url, requests) = authority.serve();
        let mut servers = servers(&[&url]);
        servers.policy = Some(ObjectIdentifier::new_unwrap("1.2.3.4.5"));
        let mut client = TimeStampClient::new(servers, &[], &SystemClock);
        let stamp = client.stamp(&MessageImprint::of(algorithm, VALUE), None, &mut any).unwrap();
        check.write("token.der", &stamp.der);
        check.write("value", VALUE);
        let request = requests.lock().unwrap().remove(0);
        check.write("request.tsq", &request);
        let text = openssl(check.path(), &["ts", "-query", "-in", "request.tsq", "-text"]);
        let text = String::from_utf8(text).unwrap();
        for said in [&format!("Hash Algorithm: {name}"), "Policy OID: 1.2.3.4.5", "Certificate required: yes"]
        {
            assert!(text.contains(said), "{said} is missing in {text}");
        }
        let trust = ["-in", "token.der", "-token_in", "-CAfile", "Root.pem", "-untrusted", "People.pem"];
        openssl(check.path(), &[&["ts", "-verify", "-queryfile", "request.tsq"][..], &trust].concat());
        openssl(check.path(), &[&["ts", "-verify", "-data", "value"][..], &trust].concat());
        let info = &stamp.token.info;
        assert_eq!(info.accuracy, Some(SignedDuration::from_millis(1_500)));
        assert_eq!(info.policy.to_string(), "1.2.3.4.5");
        assert_eq!(
            (stamp.token.authority.subject().as_str(), info.imprint.algorithm()),
            ("Stamper", algorithm)
        );
        assert!(stamp.token.certificates.len() >= 2);
    }
}

#[test]
fn certomancer_gives_stamps_too() {
    let service = Certomancer::start();
    let stamp = stamp_by(servers(&[&service.url])).unwrap();
    assert_eq!(stamp.token.info.accuracy, None);
    let check = Pki::new();
    check.write("token.der", &stamp.der);
    check.write("value", VALUE);
    check.write("demo.der", &service.root());
    openssl(check.path(), &["x509", "-inform", "DER", "-in", "demo.der", "-out", "demo.pem"]);
    openssl(
        check.path(),
        &["ts", "-verify", "-data", "value", "-in", "token.der", "-token_in", "-CAfile", "demo.pem"],
    );
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    let (good, asked) = OpensslAuthority::new().serve();
    let (lying, _) = serve(|_| Answer::Reply(b"0\x03\x02\x01\x00".to_vec()));
    let away = nobody();
    let mut client = TimeStampClient::new(servers(&[&away, &lying, &good]), &[], &SystemClock);
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    client.stamp(&imprint, None, &mut any).unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);

    let error = stamp_by(servers(&[&away, &lying])).unwrap_err();
    assert_eq!(error.code(), "no-time-stamp");
    let text = error.to_string();
    assert!(text.contains(&format!("\n  {away}: it cannot be reached")), "{text}");
    assert!(text.contains(&format!("\n  {lying}: the answer is no time-stamp response")), "{text}");
    let codes: Vec<&str> = problems(error).iter().map(ServerProblem::code).collect();
    assert_eq!(codes, ["time-stamp-server-unreachable", "time-stamp-response-malformed"]);
    assert_eq!(stamp_by(servers(&[])).unwrap_err().code(), "no-time-stamp-server");
}

#[test]
fn a_rehearsal_tells_the_room_and_who_is_asked_first() {
    let (good, asked) = OpensslAuthority::new().serve();
    let (large, large_asked) = OpensslAuthority::with(Key::Rsa4096).serve();
    let away = nobody();
    let mut client = TimeStampClient::new(servers(&[&away, &good, &large]), &[], &SystemClock);
    let rehearsal = client.rehearse(DigestAlgorithm::Sha256, &mut any).unwrap();
    assert_eq!(rehearsal.failures.len(), 1);
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    // Signatures on an elliptic curve differ by some octets, serial numbers grow.
    let room = rehearsal.longest_token + 16;
    let stamp = client.stamp(&imprint, Some(room), &mut any).unwrap();
    assert!(stamp.der.len() + 200 < rehearsal.longest_token, "the other server's is longer");
    assert_eq!((asked.lock().unwrap().len(), large_asked.lock().unwrap().len()), (2, 1));
    // Where there is no room for one server's, the other's is tried.
    let error = client.stamp(&imprint, Some(100), &mut any).unwrap_err();
    let codes: Vec<&str> = problems(error).iter().map(ServerProblem::code).collect();
    assert_eq!(codes, ["time-stamp-too-long", "time-stamp-too-long", "time-stamp-server-unreachable"]);

    let error = TimeStampClient::new(servers(&[&away]), &[], &SystemClock)
        .rehearse(DigestAlgorithm::Sha256, &mut any)
        .unwrap_err();
    assert_eq!(problems(error)[0].code(), "time-stamp-server-unreachable");
}

#[test]
fn whom_the_caller_does_not_believe_is_passed_over() {
    let (first, second) = (OpensslAuthority::new(), OpensslAuthority::new());
    let wanted = second.stamper.certificate();
    let ((first, _), (second, _)) = (first.serve(), second.serve());
    let mut client = TimeStampClient::new(servers(&[&first, &second]), &[], &SystemClock);
    let mut opinion = |stamp: &TimeStamp| match stamp.token.authority == wanted {
        true => Ok(()),
        false => Err("a stranger".to_owned()),
    };
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    let stamp = client.stamp(&imprint, None, &mut opinion).unwrap();
    assert_eq!(stamp.token.authority, wanted);
    let error = client.stamp(&imprint, None, &mut |_| Err("a stranger".to_owned())).unwrap_err();
    assert!(problems(error).iter().all(|problem| problem.code() == "time-stamp-not-believed"));
}

#[test]
fn a_server_over_tls_needs_somebody_who_vouches_for_it() {
    let authority = OpensslAuthority::new();
    let usage = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    let server = authority.pki.people.issue("server", Key::P256, usage);
    let root = authority.pki.root.certificate();
    let (url, _) = serve_tls(&server, move |request| Answer::Reply(authority.reply(request, "sha256")));
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    let ask = |anchors: &[Certificate]| {
        TimeStampClient::new(servers(&[&url]), anchors, &SystemClock).stamp(&imprint, None, &mut any)
    };
    ask(&[root]).unwrap();
    assert_eq!(problems(ask(&[]).unwrap_err())[0].code(), "no-tls-anchor");
    let stranger = Pki::new().root.certificate();
    assert_eq!(problems(ask(&[stranger]).unwrap_err())[0].code(), "time-stamp-server-unreachable");
    let file: Url = "file:///etc/passwd".parse().unwrap();
    assert_eq!(problems(stamp_by(servers(&[&file])).unwrap_err())[0].code(), "time-stamp-server-address");
}

#[test]
fn bad_http_is_told_apart() {
    let http = |head: &str| {
        let head = head.to_owned();
        code(move |_| Answer::Http(head.clone(), b"<html>".to_vec()))
    };
    assert_eq!(http("500 Oops"), "time-stamp-server-status");
    assert_eq!(http("302 Found\r\nLocation: http://127.0.0.1:1/"), "time-stamp-server-status");
    assert_eq!(http("200 OK\r\nContent-Type: text/html"), "time-stamp-server-content-type");
    assert_eq!(http("200 OK"), "time-stamp-server-content-type");
    let cased = "200 OK\r\nContent-Type: Application/TimeStamp-Reply; charset=x";
    assert_eq!(http(cased), "time-stamp-response-malformed");
    assert_eq!(code(|_| Answer::Reply(Vec::new())), "time-stamp-response-malformed");
    assert_eq!(code(|_| Answer::HangUp), "time-stamp-server-unreachable");
    assert_eq!(code(|_| Answer::Endless), "time-stamp-response-too-large");
}

#[test]
fn a_server_that_drips_is_left_after_its_time() {
    let (slow, _) = serve(|_| Answer::Drip);
    let (good, _) = OpensslAuthority::new().serve();
    let mut servers = servers(&[&slow]);
    servers.time_limit = Duration::from_secs(1);
    let problems = problems(stamp_by(servers.clone()).unwrap_err());
    assert_eq!(problems, [ServerProblem::TooSlow(1)]);
    servers.urls.push(good);
    servers.time_limit = Duration::from_secs(5);
    stamp_by(servers).unwrap();
}

#[test]
fn addresses_are_told_without_passwords() {
    let mut url = nobody();
    url.set_username("alice").unwrap();
    url.set_password(Some("secret")).unwrap();
    url.set_query(Some("token=secret"));
    let text = stamp_by(servers(&[&url])).unwrap_err().to_string();
    assert!(!text.contains("secret") && !text.contains("alice"), "{text}");
}

#[test]
fn answers_to_somebody_else_and_of_another_time_do_not_count() {
    let authority = OpensslAuthority::new();
    let pki = Pki::new();
    let query = |more: &[&str], value: &[u8]| {
        pki.write("value", value);
        openssl(pki.path(), &[&["ts", "-query", "-data", "value", "-out", "query.tsq"][..], more].concat());
        pki.read("query.tsq")
    };
    let reply = |request: &[u8]| authority.reply(request, "sha256,sha384");
    let other_nonce = reply(&query(&["-sha256", "-cert"], VALUE));
    let no_nonce = reply(&query(&["-sha256", "-cert", "-no_nonce"], VALUE));
    let no_certificate = reply(&query(&["-sha256"], VALUE));
    let other_value = reply(&query(&["-sha256", "-cert"], b"another value"));
    let other_algorithm = reply(&query(&["-sha384", "-cert"], VALUE));
    for (response, expected) in [
        (other_nonce, "time-stamp-nonce-wrong"),
        (no_nonce, "time-stamp-nonce-missing"),
        (no_certificate, "time-stamp-signature-wrong"),
        (other_value, "time-stamp-of-something-else"),
        (other_algorithm, "time-stamp-of-something-else"),
    ] {
        assert_eq!(code(move |_| Answer::Reply(response.clone())), expected);
    }
    // A refusal by openssl, and one by a policy that it does not have.
    let refusing = OpensslAuthority::new();
    let (url, _) = serve(move |request| Answer::Reply(refusing.reply(request, "sha512")));
    let problem = problems(stamp_by(servers(&[&url])).unwrap_err()).remove(0);
    assert_eq!(problem.code(), "time-stamp-refused");
    assert!(problem.to_string().contains("it does not take this digest algorithm"), "{problem}");
    let (url, _) = authority.serve();
    let mut asked = servers(&[&url]);
    asked.policy = Some(ObjectIdentifier::new_unwrap("1.2.3.4.9"));
    let problem = problems(stamp_by(asked).unwrap_err()).remove(0);
    assert!(problem.to_string().contains("it does not stamp under this policy"), "{problem}");
    // Our clock and theirs.
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, VALUE);
    for (minutes, right) in [(-7, false), (-3, true), (3, true), (7, false)] {
        let clock = FixedClock(SystemClock.now() + SignedDuration::from_mins(minutes));
        let stamped = TimeStampClient::new(servers(&[&url]), &[], &clock).stamp(&imprint, None, &mut any);
        match stamped {
            Ok(_) => assert!(right, "{minutes}"),
            Err(error) => {
                assert!(!right, "{error}");
                assert_eq!(problems(error)[0].code(), "time-stamp-time-wrong");
            }
        }
    }
}

/// Signs a TSTInfo with `openssl cms`, which does not mind what it signs, and wraps the token into a response.
struct Forger {
    authority: OpensslAuthority,
}

impl Forger {
    fn new() -> Self {
        Self { authority: OpensslAuthority::new() }
    }

    fn issue(&self, name: &str, extensions: &str, validity: (&str, &str)) -> Identity {
        self.authority.pki.people.issue_with(name, Key::P256, extensions, validity)
    }

    /// The TSTInfo of a genuine answer.
    fn info(&self, request: &[u8]) -> Vec<u8> {
        let pki = &self.authority.pki;
        self.authority.reply(request, "sha256");
        openssl(pki.path(), &["ts", "-reply", "-in", "response.tsr", "-token_out", "-out", "token.der"]);
        let arguments = ["-noverify", "-in", "token.der", "-inform", "DER", "-binary", "-out", "info"];
        openssl(pki.path(), &[&["cms", "-verify"][..], &arguments].concat());
        pki.read("info")
    }

    fn response(&self, info: &[u8], signers: &[&Identity], options: &[&str]) -> Vec<u8> {
        let pki = &self.authority.pki;
        pki.write("info", info);
        let files: Vec<(String, String)> =
            signers.iter().map(|signer| (signer.pem(), signer.key())).collect();
        let signers = files.iter().flat_map(|(certificate, key)| ["-signer", certificate, "-inkey", key]);
        let arguments: Vec<&str> = [
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-econtent_type",
            "1.2.840.113549.1.9.16.1.4",
            "-in",
            "info",
            "-outform",
            "DER",
            "-out",
            "made.der",
        ]
        .into_iter()
        .chain(signers)
        .chain(options.iter().copied())
        .collect();
        openssl(pki.path(), &arguments);
        let status = [0x30, 3, 2, 1, 0];
        let contents = [&status[..], &pki.read("made.der")].concat();
        der::asn1::Any::new(der::Tag::Sequence, contents)
            .map(|any| der::Encode::to_der(&any).unwrap())
            .unwrap()
    }
}

#[test]
fn certificates_that_are_not_for_time_stamps_then_do_not_count() {
    let base = "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    let with = |usage: &str| format!("{base}\n{usage}");
    let always = ("20240101000000Z", "20480101000000Z");
    for (extensions, validity, options, expected) in [
        (STAMPER.to_owned(), always, &["-cades"][..], None),
        (STAMPER.to_owned(), always, &[], Some("time-stamp-certificate-not-named")),
        (STAMPER.to_owned(), always, &["-cades", "-nocerts"], Some("time-stamp-signature-wrong")),
        (with("extendedKeyUsage=timeStamping"), always, &["-cades"], Some("time-stamp-certificate-usage")),
        (
            with("extendedKeyUsage=critical,timeStamping,emailProtection"),
            always,
            &["-cades"],
            Some("time-stamp-certificate-usage"),
        ),
        (
            with("extendedKeyUsage=critical,emailProtection"),
            always,
            &["-cades"],
            Some("time-stamp-certificate-usage"),
        ),
        (base.to_owned(), always, &["-cades"], Some("time-stamp-certificate-usage")),
        (
            STAMPER.to_owned(),
            ("20240101000000Z", "20250101000000Z"),
            &["-cades"],
            Some("time-stamp-certificate-not-valid"),
        ),
        (
            STAMPER.to_owned(),
            ("20470101000000Z", "20480101000000Z"),
            &["-cades"],
            Some("time-stamp-certificate-not-valid"),
        ),
    ] {
        let forger = Forger::new();
        let maker = forger.issue("maker", &extensions, validity);
        let (url, _) =
            serve(move |request| Answer::Reply(forger.response(&forger.info(request), &[&maker], options)));
        match (stamp_by(servers(&[&url])), expected) {
            (Ok(_), None) => {}
            (Ok(_), Some(expected)) => panic!("{extensions} {validity:?} {options:?}: not {expected}"),
            (Err(error), expected) => assert_eq!(Some(problems(error)[0].code()), expected, "{extensions}"),
        }
    }
}

#[test]
fn what_was_changed_or_signed_by_two_does_not_count() {
    let forged = |change: fn(&Forger, &[u8]) -> Vec<u8>| {
        let forger = Forger::new();
        move |request: &[u8]| Answer::Reply(change(&forger, request))
    };
    let two = forged(|forger, request| {
        let other = forger.issue("other", STAMPER, ("20240101000000Z", "20480101000000Z"));
        forger.response(&forger.info(request), &[&forger.authority.stamper, &other], &["-cades"])
    });
    assert_eq!(code(two), "time-stamp-malformed");
    let changed = forged(|forger, request| {
        let mut response = forger.authority.reply(request, "sha256");
        let last = response.len() - 1;
        response[last] ^= 1;
        response
    });
    assert_eq!(code(changed), "time-stamp-signature-wrong");
    let trailing = forged(|forger, request| [&forger.authority.reply(request, "sha256")[..], &[0]].concat());
    assert_eq!(code(trailing), "time-stamp-response-malformed");
    let mail = forged(|forger, _| {
        let pki = &forger.authority.pki;
        pki.write("letter", b"Content-Type: text/plain\r\n\r\nHello.\r\n");
        let signer = ["-signer", "Stamper.pem", "-inkey", "Stamper.key", "-outform", "DER"];
        let token =
            openssl(pki.path(), &[&["cms", "-sign", "-nodetach", "-in", "letter"][..], &signer].concat());
        let contents = [&[0x30, 3, 2, 1, 0][..], &token].concat();
        der::asn1::Any::new(der::Tag::Sequence, contents)
            .map(|any| der::Encode::to_der(&any).unwrap())
            .unwrap()
    });
    assert_eq!(code(mail), "time-stamp-signature-wrong");
    // Signed rightly, but under a policy that was not asked for.
    let forger = Forger::new();
    let (url, _) = serve(move |request| {
        let mut info = forger.info(request);
        let at = info.windows(6).position(|octets| octets == [6, 4, 0x2A, 3, 4, 5]).unwrap();
        info[at + 5] = 1;
        Answer::Reply(forger.response(&info, &[&forger.authority.stamper], &["-cades"]))
    });
    let mut asked = servers(&[&url]);
    asked.policy = Some(ObjectIdentifier::new_unwrap("1.2.3.4.5"));
    let problem = problems(stamp_by(asked).unwrap_err()).remove(0);
    assert_eq!(problem.code(), "time-stamp-policy-wrong");
    assert!(problem.to_string().contains("under the policy 1.2.3.4.1, not under 1.2.3.4.5"), "{problem}");
}
