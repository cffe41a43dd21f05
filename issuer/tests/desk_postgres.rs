//! Desks that share a registry in PostgreSQL: the same commands, the same answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use desk_support::{Desk, Run, run};
use postgres_server::Server;

fn desk_at(server: &Server) -> Desk {
    let desk = Desk::empty();
    let base =
        ["--organization", "Example Org", "--domain", "example.org", "--base-url", "http://pki.example.org"];
    let mut all = vec!["init", "--allow-emulated"];
    all.extend(base);
    issuer(&desk, server, &all).expect(0);
    desk
}

fn issuer(desk: &Desk, server: &Server, arguments: &[&str]) -> Run {
    run(desk.command(arguments).env("ISSUER_REGISTRY", server.url()))
}

#[test]
fn two_desks_issue_at_once_and_nothing_is_lost() {
    let server = Server::start();
    let desk = desk_at(&server);
    let people: Vec<_> = (0..6).map(|number| format!("p{number}@example.org")).collect();
    let rows: String = people.iter().map(|mail| format!("Person,{mail}\n")).collect();
    std::fs::write(desk.path("staff.csv"), format!("name,mail\n{rows}")).unwrap();
    issuer(&desk, &server, &["staff", "import", "staff.csv"]).expect(0);
    let cards: Vec<_> = (0..6).map(|number| desk.blank(&format!("{number}.card"), &[])).collect();
    for card in &cards {
        issuer(&desk, &server, &["stock", "add", "--card", card]).expect(0);
    }
    std::thread::scope(|scope| {
        for half in [0..3, 3..6] {
            let (desk, server, people, cards) = (&desk, &server, &people, &cards);
            scope.spawn(move || {
                for number in half {
                    let pin = format!("{number}.pin");
                    let order =
                        ["issue", &people[number], "--card", &cards[number], "--transport-pin-file", &pin];
                    issuer(desk, server, &order).expect(0);
                }
            });
        }
    });
    let states = issuer(&desk, &server, &["report", "states", "--csv"]);
    assert_eq!(states.stdout, "state,cards\nawaiting activation,6\n");
    issuer(&desk, &server, &["hold", "p1@example.org"]).expect(0);
    issuer(&desk, &server, &["publish", "--to", "public"]).expect(0);
    let verified = issuer(&desk, &server, &["audit", "verify"]);
    verified.expect(0);
    assert!(verified.stdout.starts_with("The log is whole"), "{}", verified.stdout);
}

#[test]
fn a_database_that_is_gone_is_said_and_is_there_again() {
    let server = Server::start();
    let desk = desk_at(&server);
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
