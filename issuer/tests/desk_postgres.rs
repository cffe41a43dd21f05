//! Desks that share a registry in PostgreSQL: the same commands, the same answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use desk_support::{Desk, Run, run};
use postgres_server::Server;

fn issuer(desk: &Desk, server: &Server, arguments: &[&str]) -> Run {
    run(desk.command(arguments).env("ISSUER_REGISTRY", server.url()))
}

/// 20 cards, or 200 in the full run: each desk has half of the people and half of the cards.
#[test]
fn two_desks_issue_at_once_and_nothing_is_lost() {
    let count = if std::env::var_os("SEALWRIGHT_FULL").is_some() { 200 } else { 20 };
    several_desks_issue_at_once(2, count);
}

/// A server lets in a hundred as it comes: four desks with eight hands each and what each has beside them.
#[test]
fn four_desks_fit_at_one_server() {
    let count = if std::env::var_os("SEALWRIGHT_FULL").is_some() { 200 } else { 32 };
    several_desks_issue_at_once(4, count);
}

fn several_desks_issue_at_once(desks: usize, count: usize) {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    let people: Vec<_> = (0..count).map(|number| format!("p{number}@example.org")).collect();
    let rows: String = people.iter().map(|mail| format!("Person,{mail}\n")).collect();
    std::fs::write(desk.path("staff.csv"), format!("name,mail\n{rows}")).unwrap();
    issuer(&desk, &server, &["staff", "import", "staff.csv"]).expect(0);
    let serials: Vec<_> = (0..count).map(|number| (72_000_000 + number).to_string()).collect();
    let cards: Vec<_> = serials
        .iter()
        .enumerate()
        .map(|(number, serial)| desk.blank(&format!("{number}.card"), &["--serial", serial]))
        .collect();
    let mut add = vec!["stock", "add", "--serial"];
    add.extend(serials.iter().map(String::as_str));
    issuer(&desk, &server, &add).expect(0);
    std::thread::scope(|scope| {
        for (number, (people, cards)) in
            people.chunks(count / desks).zip(cards.chunks(count / desks)).enumerate()
        {
            let (desk, server) = (&desk, &server);
            scope.spawn(move || {
                let list = format!("list{number}.csv");
                std::fs::write(desk.path(&list), format!("person\n{}\n", people.join("\n"))).unwrap();
                let mut order = vec!["batch", &list, "--pin-folder", "pins", "--card"];
                order.extend(cards.iter().map(String::as_str));
                issuer(desk, server, &order).expect(0);
            });
        }
    });
    let states = issuer(&desk, &server, &["report", "states", "--csv"]);
    assert_eq!(states.stdout, format!("state,cards\nawaiting activation,{count}\n"));
    // Nothing twice, nothing lost: as many GUIDs, delivered certificates and PINs as there are cards.
    let counted = |statement: &str| server.psql(statement).trim().parse::<usize>().unwrap();
    assert_eq!(counted("SELECT count(DISTINCT guid) FROM cards"), count);
    assert_eq!(counted("SELECT count(DISTINCT holder) FROM cards WHERE live = 1"), count);
    assert_eq!(counted("SELECT count(*) FROM certificates WHERE card IS NOT NULL"), 4 * count);
    assert_eq!(
        counted("SELECT count(*) FROM certificates WHERE card IS NOT NULL AND state = 'delivered'"),
        4 * count
    );
    assert_eq!(desk_support::files_below(&desk.path("pins")).len(), count);
    for card in [&cards[0], &cards[count / 2], &cards[count - 1]] {
        issuer(&desk, &server, &["check", "--card", card]).expect(0);
    }
    issuer(&desk, &server, &["hold", "p1@example.org"]).expect(0);
    issuer(&desk, &server, &["publish", "--to", "public"]).expect(0);
    let verified = issuer(&desk, &server, &["audit", "verify"]);
    verified.expect(0);
    assert!(verified.stdout.starts_with("The log is whole"), "{}", verified.stdout);
}

/// Nobody else holds the registry: the server lets no more in.
#[test]
fn a_server_that_lets_nobody_in_is_told_apart_from_one_that_is_busy() {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    server.psql("ALTER SYSTEM SET max_connections = 5");
    server.stop();
    server.start_again();
    let mut held: Vec<_> = (0..5).map(|_| server.hold("SELECT 1")).collect();
    let words = ["no connection", "max_connections", "--at-once", "run the same command again"];
    issuer(&desk, &server, &["find", "alice"]).refuses(1, &words);
    for (child, input) in &mut held {
        use std::io::Write;
        writeln!(input, "\\q").unwrap();
        child.wait().unwrap();
    }
    issuer(&desk, &server, &["staff", "list"]).expect(0);
}

/// One list at two desks: who comes second is told so, and nobody gets two cards.
#[test]
fn two_desks_with_the_same_list_give_nobody_two_cards() {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    std::fs::write(desk.path("staff.csv"), "name,mail\nA,a@example.org\nB,b@example.org\n").unwrap();
    issuer(&desk, &server, &["staff", "import", "staff.csv"]).expect(0);
    std::fs::write(desk.path("list.csv"), "person\na@example.org\nb@example.org\n").unwrap();
    let cards: Vec<_> = (0..4).map(|number| desk.blank(&format!("{number}.card"), &[])).collect();
    for card in &cards {
        issuer(&desk, &server, &["stock", "add", "--card", card]).expect(0);
    }
    std::thread::scope(|scope| {
        for (number, cards) in cards.chunks(2).enumerate() {
            let (desk, server) = (&desk, &server);
            scope.spawn(move || {
                let pins = format!("pins{number}");
                let order = ["batch", "list.csv", "--pin-folder", &pins, "--card", &cards[0], &cards[1]];
                let done = issuer(desk, server, &order);
                assert!([0, 1, 3].contains(&done.status), "{}{}", done.stdout, done.stderr);
            });
        }
    });
    let states = issuer(&desk, &server, &["report", "states", "--csv"]).stdout;
    assert_eq!(states, "state,cards\nawaiting activation,2\nin stock,2\n");
    let pins = ["pins0", "pins1"].map(|folder| desk_support::files_below(&desk.path(folder)).len());
    assert_eq!(pins.iter().sum::<usize>(), 2, "a PIN without a card, or a card without a PIN");
    issuer(&desk, &server, &["audit", "verify"]).expect(0);
}

/// Two homes, on two computers as it were, with one registry and one published directory: each run is whole, and no CRL goes
/// back.
#[test]
fn two_homes_publish_one_after_the_other() {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    let other = desk.path("other");
    copy_home(&desk.home(), &other);
    let publish = |home: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.current_dir(desk.directory.path()).env("ISSUER_REGISTRY", server.url());
        command.arg("--home").arg(home).arg("--passphrase-file").arg(desk.path("passphrase"));
        run(command.args(["publish", "--to", "public"]))
    };
    let homes = [desk.home(), other];
    publish(&homes[0]).expect(0);
    std::thread::scope(|scope| {
        for home in &homes {
            let publish = &publish;
            scope.spawn(move || {
                for _ in 0..3 {
                    publish(home).expect(0);
                }
            });
        }
    });
    let newest = server.psql("SELECT max(number) FROM crls WHERE authority = 'people'").trim().to_owned();
    assert_eq!(newest, "7", "seven runs");
    let numbers = desk_support::files_below(&desk.path("public/crl")).into_iter().map(|file| {
        let said = desk_support::openssl(&[
            "crl",
            "-inform",
            "DER",
            "-noout",
            "-crlnumber",
            "-in",
            file.to_str().unwrap(),
        ]);
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    });
    assert!(numbers.into_iter().all(|number| number == "crlNumber=0x07"), "an older CRL is published");

    // Whoever comes second waits, for as long as it takes; and a turn ends with whoever has it.
    let (mut holder, mut asked) = server.hold("SELECT pg_advisory_lock(x'7075626C697368'::bigint)");
    let mut command = desk.command(&["publish", "--to", "public"]);
    command.env("ISSUER_REGISTRY", server.url()).stderr(std::process::Stdio::piped());
    let mut waiting = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(waiting.stderr.take().unwrap());
    while !said.contains("waits for its turn") {
        assert_ne!(std::io::BufRead::read_line(&mut lines, &mut said).unwrap(), 0, "it did not wait: {said}");
    }
    assert_eq!(waiting.try_wait().unwrap(), None);
    std::io::Write::write_all(&mut asked, b"\\q\n").unwrap();
    drop(asked);
    holder.wait().unwrap();
    assert!(waiting.wait().unwrap().success());
}

fn copy_home(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_database_that_is_gone_is_said_and_is_there_again() {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    issuer(&desk, &server, &["init"]).expect(2);
    std::fs::write(desk.path("staff.csv"), "name,mail\nAlice Ng,alice@example.org\n").unwrap();
    server.stop();
    issuer(&desk, &server, &["staff", "import", "staff.csv"])
        .refuses(1, &["cannot be reached", "run the same command again"]);
    server.start_again();
    issuer(&desk, &server, &["staff", "import", "staff.csv"]).expect(0);
    issuer(&desk, &server, &["audit", "verify"]).expect(0);
    let missing = server.url().replace("/issuer?", "/nothing?");
    run(&mut desk.command(&["--registry", &missing, "staff", "list"]))
        .refuses(1, &["there is no registry at"]);
    run(&mut desk.command(&["--registry", "postgres://desk:secret@localhost/issuer", "staff", "list"]))
        .expect(2);
}
