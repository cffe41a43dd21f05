//! A desk whose operators' cards have all expired: whoever has the passphrase of the keys makes one good again, and nobody else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
mod operator_support;

use desk_support::Run;
use operator_support::Staffed;

/// A desk on a day when the cards that it issued today have expired, unless they were renewed.
struct Later(Staffed);

const DAY: &str = "+826d";
const LOST: [&str; 2] = ["expired since", "issuer renew PERSON --card LOCATOR --recover"];

impl Later {
    fn plain(&self, arguments: &[&str]) -> Run {
        self.0.desk.on_another_day(DAY, arguments)
    }

    fn as_operator(&self, person: &str, arguments: &[&str]) -> Run {
        self.as_operator_on(DAY, person, arguments)
    }

    fn as_operator_on(&self, day: &str, person: &str, arguments: &[&str]) -> Run {
        let (card, pin) = (self.0.card(person), self.0.pin_file(person));
        let who = ["--operator", &card, "--operator-pin-file", &pin];
        self.0.desk.on_another_day(day, &[&who[..], arguments].concat())
    }

    /// Renews the card of a person, who types the PIN.
    fn renewal(&self, person: &str, options: &[&str]) -> Vec<String> {
        let (mail, card) = (format!("{person}@example.org"), self.0.card(person));
        let all =
            ["renew", &mail, "--card", &card, "--pin-file", &self.0.pin_file(person)].map(str::to_owned);
        all.into_iter().chain(options.iter().map(|option| (*option).to_owned())).collect()
    }

    fn renew(&self, person: &str) -> Run {
        let all = self.renewal(person, &["--recover"]);
        self.plain(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Who did what, as a good operator sees it.
    fn actors(&self, reader: &str, kind: &str) -> Vec<String> {
        let run = self.as_operator(reader, &["--json", "report", "events"]);
        run.expect(0);
        let events = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events
            .filter(|event| event["kind"] == kind)
            .map(|event| event["actor"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn the_passphrase_makes_an_operator_s_card_good_again_once_all_have_expired() {
    let desk = Later(Staffed::new());
    // As long as somebody may, it is that one's to do.
    let early = desk.renewal("rita", &["--recover"]);
    let early: Vec<_> = early.iter().map(String::as_str).collect();
    desk.0.plain(&early).refuses(1, &["Rita Registrar may issue cards", "without --recover"]);

    let right = std::fs::read(desk.0.path("passphrase")).unwrap();
    std::fs::write(desk.0.path("passphrase"), "another passphrase altogether\n").unwrap();
    desk.renew("rita").refuses(1, &["passphrase"]);
    std::fs::write(desk.0.path("passphrase"), right).unwrap();

    // A desk that rested for so long doubts its clock first: that, too, is told by whoever has the passphrase.
    desk.renew("rita").refuses(1, &["it may be far ahead", "issuer clock accept"]);
    let accept = ["clock", "accept", "--why", "nobody was here for two years"];
    desk.plain(&accept).refuses(1, &["this desk has operators"]);
    desk.plain(&[&accept[..], &["--recover"]].concat()).expect(0);

    for person in ["adam", "rita", "vera"] {
        desk.as_operator(person, &["find", "zoe"]).refuses(1, &LOST);
    }
    desk.renew("rita").expect(0);
    // The role goes on with the card; from here it is an operator's work again.
    desk.renew("adam").refuses(1, &["Rita Registrar may issue cards", "without --recover"]);
    desk.as_operator("adam", &["operator", "list"]).refuses(1, &["a registrar gives one new certificates"]);
    let renewal = desk.renewal("adam", &[]);
    desk.as_operator("rita", &renewal.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
    desk.as_operator("adam", &["operator", "list"]).expect(0);
    let renewed = desk.actors("rita", "operator-renewed");
    assert!(renewed[0].ends_with(", recovering"), "{renewed:?}");
    assert_eq!(renewed[1], "operator 2 Rita Registrar");
    assert!(desk.actors("rita", "clock-accepted")[0].ends_with(", recovering"));
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn where_the_old_cards_are_lost_the_passphrase_makes_another() {
    let desk = Later(Staffed::new());
    std::fs::write(desk.0.path("more.csv"), "name,mail\nNoa Gil,noa@example.org\n").unwrap();
    desk.0.as_operator("rita", &["staff", "import", "more.csv"]).expect(0);
    let card = desk.0.desk.blank("noa.card", &[]);
    desk.plain(&["clock", "accept", "--why", "two years", "--recover"]).expect(0);
    let add = ["stock", "add", "--card", &card];
    desk.plain(&add).refuses(1, &["this desk has operators"]);
    desk.plain(&[&add[..], &["--recover"]].concat()).expect(0);
    let pin = desk.0.pin_file("noa");
    let issue = ["issue", "noa@example.org", "--card", &card, "--transport-pin-file", &pin, "--recover"];
    desk.plain(&issue).expect(0);
    // Nobody becomes an operator by a card that has expired.
    let (zoe, zoes_pin) = (desk.0.card("zoe"), desk.0.pin_file("zoe"));
    let name = |person: &str, card: &str, pin: &str| {
        let role = ["operator", "add", person, "--role", "administrator", "--card", card, "--pin-file", pin];
        desk.plain(&[&role[..], &["--recover"]].concat())
    };
    name("zoe@example.org", &zoe, &zoes_pin)
        .refuses(1, &["Zoe Xu's card ended", "issuer renew zoe@example.org --card LOCATOR --recover"]);
    name("noa@example.org", &card, &pin).expect(0);
    desk.as_operator("noa", &["operator", "list"]).expect(0);
    // Who administers makes the first registrar beside; with the passphrase, for no registrar has a good card.
    desk.renew("rita").refuses(1, &["--operator"]);
    let renewal = desk.renewal("rita", &["--recover"]);
    desk.as_operator("noa", &renewal.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
    desk.as_operator("rita", &["find", "zoe"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}

#[test]
fn an_approver_whose_card_is_good_stands_beside_it() {
    let desk = Later(Staffed::new());
    desk.0.as_operator("adam", &["approval", "demand", "export", "clock-accept"]).expect(0);
    // Vera's card is renewed in time, the others' are not.
    let renewal = desk.renewal("vera", &[]);
    let renewal: Vec<_> = renewal.iter().map(String::as_str).collect();
    desk.as_operator_on("+300d", "rita", &renewal).expect(0);
    desk.0.desk.on_another_day("+600d", &["publish", "--to", "public"]).expect(0);

    desk.as_operator("vera", &["find", "zoe"]).expect(0);
    desk.as_operator("rita", &["find", "zoe"]).refuses(1, &LOST);
    desk.renew("rita").refuses(1, &["an approver at the same desk"]);
    let beside = |person: &str| {
        let (card, pin) = (desk.0.card(person), desk.0.pin_file(person));
        let second = ["--second-operator", &card, "--second-operator-pin-file", &pin];
        let renewal = desk.renewal("rita", &["--recover"]);
        let renewal: Vec<_> = renewal.iter().map(String::as_str).collect();
        desk.plain(&[&second[..], &renewal].concat())
    };
    beside("adam").refuses(1, &["expired since"]);
    beside("zoe").refuses(1, &["is no operator's"]);
    beside("vera").expect(0);
    desk.as_operator("rita", &["find", "zoe"]).expect(0);
    desk.plain(&["audit", "verify"]).expect(0);
}
