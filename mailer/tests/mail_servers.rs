//! Submission and retrieval against servers that behave, refuse, and attack. TLS is real; each server says what its script says.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod scripted_server;

use mailer::message::address::Address;
use mailer::transport::endpoint::Endpoint;
use mailer::transport::imap::{Position, RemoteMessage, fetch_new};
use mailer::transport::smtp::{RecipientReply, SmtpSession};
use mailer::transport::{Credentials, TransportError};
use scripted_server::{ScriptedServer, Step, Tls, authority};
use zeroize::Zeroizing;

fn credentials() -> Credentials {
    Credentials { user: "alice".to_owned(), password: Zeroizing::new("secret word".to_owned()) }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn smtp(server: &ScriptedServer) -> Endpoint {
    let scheme = if server.tls == Tls::Immediate { "smtps" } else { "smtp" };
    Endpoint::smtp(&format!("{scheme}://127.0.0.1:{}", server.port)).unwrap()
}

fn imap(server: &ScriptedServer) -> Endpoint {
    let scheme = if server.tls == Tls::Immediate { "imaps" } else { "imap" };
    Endpoint::imap(&format!("{scheme}://127.0.0.1:{}", server.port)).unwrap()
}

const HELLO: &str = "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n";
const START_TLS: [Step; 3] = [
    Step::Say("220 mail.test ESMTP\r\n"),
    Step::Expect("EHLO", "250-mail.test\r\n250-STARTTLS\r\n250 HELP\r\n"),
    Step::Expect("STARTTLS", "220 go ahead\r\n"),
];

fn open(server: &ScriptedServer) -> Result<SmtpSession, TransportError> {
    SmtpSession::open(&smtp(server), &authority().anchors(), Some(&credentials()))
}

#[test]
fn messages_arrive_byte_for_byte_after_starttls_and_login() {
    let message = b"Subject: dots\r\n\r\n.\r\n..two\r\n.end\r\nlast\r\n";
    let server = ScriptedServer::start(
        Tls::Upgrade,
        &[
            &START_TLS[..],
            &[
                Step::Secure,
                Step::Expect("EHLO", HELLO),
                Step::Expect("AUTH PLAIN AGFsaWNlAHNlY3JldCB3b3Jk", "235 welcome\r\n"),
                Step::Expect("MAIL FROM:<alice@mail.test>", "250 ok\r\n"),
                Step::Expect("RCPT TO:<bob@mail.test>", "250 ok\r\n"),
                Step::Expect("RCPT TO:<nobody@mail.test>", "550-5.1.1 no such\r\n550 5.1.1 user\r\n"),
                Step::Expect("RCPT TO:<busy@mail.test>", "450 later\r\n"),
                Step::Expect("DATA", "354 go\r\n"),
                Step::TakeMessage("250 queued\r\n"),
                Step::Expect("QUIT", "221 bye\r\n"),
            ],
        ]
        .concat(),
    );
    let recipients = [address("bob@mail.test"), address("nobody@mail.test"), address("busy@mail.test")];
    let mut session = open(&server).unwrap();
    let replies = session.send(&address("alice@mail.test"), &recipients, message).unwrap();
    drop(session);
    assert_eq!(
        replies,
        [
            RecipientReply::Accepted,
            RecipientReply::Refused { reply: "550 5.1.1 no such user".to_owned(), is_transient: false },
            RecipientReply::Refused { reply: "450 later".to_owned(), is_transient: true },
        ]
    );
    let seen = server.finish();
    assert_eq!(seen.message, b"Subject: dots\r\n\r\n..\r\n...two\r\n..end\r\nlast\r\n.\r\n");
    assert!(!seen.clear.contains("AUTH") && !seen.clear.contains("MAIL"), "{}", seen.clear);
}

#[test]
fn a_message_that_is_refused_at_its_end_is_refused_for_everybody() {
    let server = ScriptedServer::start(
        Tls::Immediate,
        &[
            Step::Say("220 mail.test\r\n"),
            Step::Expect("EHLO", HELLO),
            Step::Expect("AUTH PLAIN", "235 ok\r\n"),
            Step::Expect("MAIL", "250 ok\r\n"),
            Step::Expect("RCPT", "250 ok\r\n"),
            Step::Expect("DATA", "354 go\r\n"),
            Step::TakeMessage("554 5.7.1 not wanted here\r\n"),
        ],
    );
    let replies =
        open(&server).unwrap().send(&address("a@mail.test"), &[address("b@mail.test")], b"x\r\n").unwrap();
    let reply = "554 5.7.1 not wanted here".to_owned();
    assert_eq!(replies, [RecipientReply::Refused { reply, is_transient: false }]);
}

#[test]
fn after_a_connection_that_breaks_behind_the_message_nobody_knows() {
    let server = ScriptedServer::start(
        Tls::Immediate,
        &[
            Step::Say("220 mail.test\r\n"),
            Step::Expect("EHLO", HELLO),
            Step::Expect("AUTH PLAIN", "235 ok\r\n"),
            Step::Expect("MAIL", "250 ok\r\n"),
            Step::Expect("RCPT", "250 ok\r\n"),
            Step::Expect("DATA", "354 go\r\n"),
            Step::TakeMessage(""),
            Step::HangUp,
        ],
    );
    let error = open(&server)
        .unwrap()
        .send(&address("a@mail.test"), &[address("b@mail.test")], b"x\r\n")
        .unwrap_err();
    assert!(matches!(error, TransportError::Unconfirmed { .. }), "{error:?}");
}

#[test]
fn without_starttls_nothing_is_sent() {
    let hello = Step::Expect("EHLO", "250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n");
    let server = ScriptedServer::start(Tls::Upgrade, &[Step::Say("220 mail.test\r\n"), hello, Step::HangUp]);
    let error = open(&server).err().unwrap();
    assert!(matches!(error, TransportError::NoStartTls { .. }), "{error:?}");
    let clear = server.finish().clear;
    assert!(clear.lines().all(|line| line.starts_with("EHLO")), "{clear}");

    let server = ScriptedServer::start(
        Tls::Upgrade,
        &[Step::Say("* OK ready\r\n"), Step::Expect("tls STARTTLS", "tls BAD unknown\r\n"), Step::HangUp],
    );
    let error =
        fetch_new(&imap(&server), &authority().anchors(), &credentials(), None, &|_, _| false, &mut |_| {
            Ok(())
        })
        .unwrap_err();
    assert!(matches!(error, TransportError::NoStartTls { .. }), "{error:?}");
    assert!(!server.finish().clear.contains("LOGIN"));
}

/// RFC 3207 section 6: what was said before TLS counts for nothing. An attacker puts answers behind the server's "go ahead"; a
/// client that keeps them takes them for the secured server's.
#[test]
fn answers_smuggled_in_behind_starttls_break_the_connection() {
    let server = ScriptedServer::start(
        Tls::Upgrade,
        &[
            START_TLS[0],
            START_TLS[1],
            Step::Expect(
                "STARTTLS",
                "220 go ahead\r\n250-evil.test\r\n250 AUTH PLAIN\r\n235 logged in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
            ),
            Step::Secure,
            Step::Expect("EHLO", HELLO),
            Step::HangUp,
        ],
    );
    let error = open(&server).err().unwrap();
    assert!(matches!(error, TransportError::Tls { .. }), "{error:?}");

    let server = ScriptedServer::start(
        Tls::Upgrade,
        &[
            Step::Say("* OK ready\r\n"),
            Step::Expect("tls STARTTLS", "tls OK go\r\n* OK evil\r\nA0001 OK logged in\r\n"),
            Step::Secure,
            Step::HangUp,
        ],
    );
    let error =
        fetch_new(&imap(&server), &authority().anchors(), &credentials(), None, &|_, _| false, &mut |_| {
            Ok(())
        })
        .unwrap_err();
    assert!(matches!(error, TransportError::Tls { .. }), "{error:?}");
}

#[test]
fn a_server_with_another_ca_or_another_name_gets_no_password() {
    let stranger = scripted_server::Authority::new();
    for tls in [Tls::Immediate, Tls::Upgrade] {
        let steps = [&START_TLS[..], &[Step::Secure, Step::HangUp]].concat();
        let server = ScriptedServer::start(tls, if tls == Tls::Upgrade { &steps } else { &[Step::HangUp] });
        let error =
            SmtpSession::open(&smtp(&server), &stranger.anchors(), Some(&credentials())).err().unwrap();
        assert!(
            matches!(&error, TransportError::ServerCertificate { problem, .. } if problem.contains("issuer")),
            "{error:?}"
        );
        assert!(!server.finish().clear.contains("AUTH"));
    }
    let server = ScriptedServer::start(Tls::Immediate, &[Step::HangUp]);
    let endpoint = Endpoint::smtp(&format!("smtps://localhost:{}", server.port)).unwrap();
    let error = SmtpSession::open(&endpoint, &authority().anchors(), Some(&credentials())).err().unwrap();
    assert!(
        matches!(&error, TransportError::ServerCertificate { problem, .. } if problem.contains("another server")),
        "{error:?}"
    );
}

#[test]
fn a_wrong_password_is_told_in_the_servers_words() {
    let server = ScriptedServer::start(
        Tls::Immediate,
        &[
            Step::Say("220 mail.test\r\n"),
            Step::Expect("EHLO", HELLO),
            Step::Expect("AUTH PLAIN", "535 5.7.8 bad \u{1b}[31mcredentials\r\n"),
            Step::HangUp,
        ],
    );
    let error = open(&server).err().unwrap();
    let TransportError::AuthenticationRefused { reply, .. } = &error else { panic!("{error:?}") };
    assert!(reply.starts_with("535 5.7.8 bad") && !reply.contains('\u{1b}'), "{reply:?}");

    let server = ScriptedServer::start(
        Tls::Immediate,
        &[
            Step::Say("220 mail.test\r\n"),
            Step::Expect("EHLO", "250-mail.test\r\n250 AUTH GSSAPI\r\n"),
            Step::HangUp,
        ],
    );
    let error = open(&server).err().unwrap();
    assert!(matches!(error, TransportError::NoAuthentication { .. }), "{error:?}");
}

fn imap_steps(after_login: &[Step]) -> Vec<Step> {
    let login = Step::Expect("A0001 LOGIN \"alice\" \"secret word\"", "A0001 OK welcome\r\n");
    let examine = Step::Expect(
        "A0002 EXAMINE \"INBOX\"",
        "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 12] ok\r\nA0002 OK [READ-ONLY] done\r\n",
    );
    [&[Step::Say("* OK ready\r\n"), login, examine], after_login].concat()
}

fn fetch(
    server: &ScriptedServer,
    from: Option<Position>,
) -> (Result<Position, TransportError>, Vec<RemoteMessage>) {
    let mut stored = Vec::new();
    let visit = fetch_new(
        &imap(server),
        &authority().anchors(),
        &credentials(),
        from,
        &|_, uid| uid == 12,
        &mut |message| {
            stored.push(message);
            Ok(())
        },
    );
    (visit.map(|visit| visit.position), stored)
}

const AFTER_NINE: Option<Position> = Some(Position { uid_validity: 7, last_uid: 9 });

#[test]
fn only_new_messages_are_fetched_each_once() {
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            // "10:*" names the last message even when there is nothing new; here it names two, out of order.
            Step::Expect(
                "A0003 UID FETCH 10:* (UID RFC822.SIZE)",
                "* 3 FETCH (UID 11 RFC822.SIZE 5)\r\n* 2 FETCH (UID 10 RFC822.SIZE 4)\r\n* 1 FETCH (UID 9 RFC822.SIZE 4)\r\nA0003 OK\r\n",
            ),
            Step::Expect("A0004 NOOP", "A0004 OK\r\n"),
            Step::Expect(
                "A0005 UID FETCH 10 (UID BODY.PEEK[])",
                "* 2 FETCH (UID 10 BODY[] {4}\r\na\r\n\n)\r\nA0005 OK\r\n",
            ),
            Step::Expect(
                "A0006 UID FETCH 11 (UID BODY.PEEK[])",
                "* 3 FETCH (UID 11 BODY[] {5}\r\nb\r\nc\r)\r\nA0006 OK\r\n",
            ),
            Step::Expect("A0007 LOGOUT", "* BYE\r\nA0007 OK\r\n"),
        ]),
    );
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert_eq!(position.unwrap(), Position { uid_validity: 7, last_uid: 11 });
    let contents: Vec<_> = stored.iter().map(|message| (message.uid, &message.content[..])).collect();
    assert_eq!(contents, [(10, &b"a\r\n\n"[..]), (11, b"b\r\nc\r")]);
}

#[test]
fn a_message_that_is_here_already_is_not_asked_for() {
    let listing = "* 2 FETCH (UID 11 RFC822.SIZE 1)\r\n* 3 FETCH (UID 12 RFC822.SIZE 1)\r\nA0003 OK\r\n";
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            Step::Expect("A0003 UID FETCH", listing),
            Step::Expect("A0004 NOOP", "A0004 OK\r\n"),
            Step::Expect("A0005 UID FETCH 11", "* 2 FETCH (UID 11 BODY[] {1}\r\nx)\r\nA0005 OK\r\n"),
        ]),
    );
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert_eq!((position.unwrap().last_uid, stored.len()), (12, 1));
}

#[test]
fn what_cannot_be_understood_is_told_in_words() {
    for answer in ["* 2 FETCH (((\r\nA0003 OK\r\n", "garbage \x01\r\n"] {
        let server = ScriptedServer::start(
            Tls::Immediate,
            &imap_steps(&[Step::Expect("A0003", answer), Step::HangUp]),
        );
        let problem = fetch(&server, AFTER_NINE).0.unwrap_err().to_string();
        assert!(!problem.contains("Error(") && !problem.contains("input:"), "{problem}");
    }
}

#[test]
fn another_validity_starts_from_the_beginning() {
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            Step::Expect(
                "A0003 UID FETCH 1:* (UID RFC822.SIZE)",
                "* 1 FETCH (UID 2 RFC822.SIZE 1)\r\nA0003 OK\r\n",
            ),
            Step::Expect("A0004 NOOP", "A0004 OK\r\n"),
            Step::Expect("A0005 UID FETCH 2", "* 1 FETCH (UID 2 BODY[] {1}\r\nx)\r\nA0005 OK\r\n"),
        ]),
    );
    let (position, stored) = fetch(&server, Some(Position { uid_validity: 6, last_uid: 9 }));
    assert_eq!((position.unwrap().last_uid, stored.len()), (2, 1));
}

#[test]
fn a_message_that_the_server_does_not_hand_out_is_not_lost_and_stops_no_other() {
    let listing = Step::Expect(
        "A0003 UID FETCH",
        "* 2 FETCH (UID 10 RFC822.SIZE 4)\r\n* 3 FETCH (UID 11 RFC822.SIZE 1)\r\nA0003 OK\r\n",
    );
    let noop = Step::Expect("A0004 NOOP", "A0004 OK\r\n");
    let next = Step::Expect(
        "A0008 UID FETCH 11 (UID BODY.PEEK[])",
        "* 3 FETCH (UID 11 BODY[] {1}\r\nx)\r\nA0008 OK\r\n",
    );
    // Refused for the moment, but still there.
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            listing,
            noop,
            Step::Expect("A0005 UID FETCH 10 (UID BODY.PEEK[])", "A0005 NO try later\r\n"),
            Step::Expect("A0006 NOOP", "A0006 OK\r\n"),
            Step::Expect("A0007 UID FETCH 10 (UID)", "* 2 FETCH (UID 10)\r\nA0007 OK\r\n"),
            next,
        ]),
    );
    // The others come, the position stays before it, and the next fetch tries again.
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert_eq!((position.unwrap().last_uid, stored[0].uid, stored[0].position.last_uid), (9, 11, 9));
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            listing,
            noop,
            Step::Expect("A0005 UID FETCH 10", "* 2 FETCH (UID 10 BODY[] NIL)\r\nA0005 OK\r\n"),
            Step::Expect("A0006 NOOP", "A0006 OK\r\n"),
            Step::Expect("A0007 UID FETCH 10 (UID)", "* 2 FETCH (UID 10)\r\nA0007 OK\r\n"),
            next,
        ]),
    );
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert_eq!((position.unwrap().last_uid, stored.len()), (9, 1));
    // The connection broke in the middle.
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            listing,
            noop,
            Step::Expect("A0005 UID FETCH 10", "* 2 FETCH (UID 10 BODY[] {4}\r\na"),
            Step::HangUp,
        ]),
    );
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert!(position.is_err() && stored.is_empty(), "{position:?}");
    // Removed meanwhile: the next one comes.
    let server = ScriptedServer::start(
        Tls::Immediate,
        &imap_steps(&[
            listing,
            noop,
            Step::Expect("A0005 UID FETCH 10 (UID BODY.PEEK[])", "A0005 OK\r\n"),
            Step::Expect("A0006 NOOP", "* 2 EXPUNGE\r\nA0006 OK\r\n"),
            Step::Expect("A0007 UID FETCH 10 (UID)", "A0007 OK\r\n"),
            Step::Expect("A0008 NOOP", "A0008 OK\r\n"),
            Step::Expect(
                "A0009 UID FETCH 11 (UID BODY.PEEK[])",
                "* 2 FETCH (UID 11 BODY[] {1}\r\nx)\r\nA0009 OK\r\n",
            ),
        ]),
    );
    let (position, stored) = fetch(&server, AFTER_NINE);
    assert_eq!((position.unwrap().last_uid, stored[0].uid), (11, 11));
}
