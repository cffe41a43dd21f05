//! A desk with operators: each with a card of the desk's own, issued before there were any.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;

use serde_json::Value;

use crate::desk_support::{Desk, Run};

pub struct Staffed {
    pub desk: Desk,
}

impl Staffed {
    /// The operators, in the order in which they become one, and their roles.
    pub const EVERYBODY: [(&'static str, &'static str); 4] =
        [("adam", "administrator"), ("rita", "registrar"), ("otto", "auditor"), ("vera", "approver")];

    /// Zoe has a card and is no operator.
    pub fn new() -> Self {
        let staffed = Self::with(&["adam", "rita", "otto", "vera", "zoe"]);
        for (person, role) in Self::EVERYBODY {
            let (mail, card) = (format!("{person}@example.org"), staffed.card(person));
            if person == "adam" {
                let pin = staffed.pin_file(person);
                let shown = ["--card", &card, "--pin-file", &pin];
                staffed.plain(&[&["operator", "add", &mail, "--role", role], &shown[..]].concat()).expect(0);
            } else {
                staffed.as_operator("adam", &["operator", "add", &mail, "--role", role]).expect(0);
            }
        }
        staffed
    }

    /// Rita and Zoe have cards, and nobody is an operator.
    pub fn alone() -> Self {
        Self::with(&["rita", "zoe"])
    }

    fn with(people: &[&str]) -> Self {
        let desk = Desk::new();
        let name = |person: &str| match person {
            "adam" => "Adam Administrator",
            "rita" => "Rita Registrar",
            "otto" => "Otto Auditor",
            "vera" => "Vera Approver",
            _ => "Zoe Xu",
        };
        let rows: String =
            people.iter().map(|person| format!("{},{person}@example.org\n", name(person))).collect();
        desk.import_staff(&format!("name,mail\n{rows}")).expect(0);
        let staffed = Self { desk };
        for person in people {
            let locator = staffed.desk.yubikey(&format!("{person}.card"), &[]);
            let pin = staffed.desk.issue(&format!("{person}@example.org"), &locator, &[]);
            std::fs::write(staffed.path(&format!("{person}.pin")), format!("{pin}\n")).unwrap();
        }
        staffed
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.desk.path(name)
    }

    pub fn card(&self, person: &str) -> String {
        format!("sim:{}", self.desk.text(&format!("{person}.card")))
    }

    pub fn pin_file(&self, person: &str) -> String {
        self.desk.text(&format!("{person}.pin"))
    }

    pub fn pin(&self, person: &str) -> String {
        std::fs::read_to_string(self.pin_file(person)).unwrap().trim().to_owned()
    }

    /// Without any card.
    pub fn plain(&self, arguments: &[&str]) -> Run {
        self.desk.issuer(arguments)
    }

    pub fn as_operator(&self, person: &str, arguments: &[&str]) -> Run {
        let (card, pin) = (self.card(person), self.pin_file(person));
        let who = ["--operator", &card, "--operator-pin-file", &pin];
        self.plain(&[&who[..], arguments].concat())
    }

    /// The same, to be started.
    pub fn command_of(&self, person: &str, arguments: &[&str]) -> std::process::Command {
        let (card, pin) = (self.card(person), self.pin_file(person));
        let who = ["--operator", &card, "--operator-pin-file", &pin];
        self.desk.command(&[&who[..], arguments].concat())
    }

    pub fn with_card(&self, locator: &str, pin: &str, arguments: &[&str]) -> Run {
        let file = self.desk.text("some.pin");
        std::fs::write(&file, format!("{pin}\n")).unwrap();
        self.plain(&[&["--operator", locator, "--operator-pin-file", &file], arguments].concat())
    }

    /// Two operators at one desk.
    pub fn as_two(&self, first: &str, second: &str, arguments: &[&str]) -> Run {
        let (card, pin) = (self.card(second), self.pin_file(second));
        let other = ["--second-operator", &card, "--second-operator-pin-file", &pin];
        self.as_operator(first, &[&other[..], arguments].concat())
    }

    /// The serial number of an authority's certificate, hex.
    pub fn authority_serial(&self, name: &str) -> String {
        let key = self.desk.home().join("registry.db");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let der = runtime.block_on(async {
            let url = issuer::registry::RegistryUrl::Sqlite(key);
            let registry =
                issuer::registry::Registry::open(&url, issuer::domain::Actor::unrecorded()).await.unwrap();
            let authorities = registry.authorities().await.unwrap();
            registry.close().await;
            authorities.into_iter().find(|authority| authority.name.as_str() == name).unwrap().certificate
        });
        issuer::ca::Certificate::from_der(der).unwrap().serial_number().to_string().to_lowercase()
    }

    /// Every event, as the report shows it.
    pub fn log(&self) -> Vec<Value> {
        let run = self.as_operator("vera", &["--json", "report", "events"]);
        run.expect(0);
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
