use jiff::Timestamp;

use super::*;
use crate::domain::{MailAddress, Name, StaffId};

fn listed(place: u32, name: &str, mail: &str, id: &str) -> ListedPerson {
    let staff_id = (!id.is_empty()).then(|| StaffId::new(id).unwrap());
    let person = NewCardholder {
        name: Name::new(name).unwrap(),
        mail: MailAddress::new(mail).unwrap(),
        staff_id,
        employed_until: None,
    };
    ListedPerson { place: format!("row {place}"), person }
}

fn known(id: i64, name: &str, mail: &str, staff_id: &str) -> Cardholder {
    let NewCardholder { name, mail, staff_id, employed_until } = listed(0, name, mail, staff_id).person;
    Cardholder { id: CardholderId(id), name, mail, staff_id, employed_until, left: None }
}

fn everybody() -> [Cardholder; 3] {
    [
        known(1, "Alice Ng", "alice@example.org", "1001"),
        known(2, "Bob Ruiz", "bob@example.org", ""),
        known(3, "Carol Wu", "carol@example.org", "1003"),
    ]
}

fn names(people: &[Cardholder]) -> Vec<&str> {
    people.iter().map(|person| person.name.as_str()).collect()
}

#[test]
fn joiners_changes_and_leavers_are_told_apart() {
    let list = [
        listed(2, "Alice Li", "alice.li@example.org", "1001"),
        listed(3, "Bob Ruiz", "BOB@example.org", ""),
        listed(4, "Dora Ek", "dora@example.org", "1004"),
    ];
    let found = reconcile(&everybody(), &list, &[], Coverage::Everybody);
    assert_eq!(found.joiners.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(), ["Dora Ek"]);
    let changed: Vec<_> =
        found.changes.iter().map(|change| (change.from.id.0, change.to.mail.as_str())).collect();
    assert_eq!(changed, [(1, "alice.li@example.org"), (2, "BOB@example.org")]);
    assert_eq!(names(&found.leavers), ["Carol Wu"]);
    assert_eq!((found.conflicts.len(), found.unchanged), (0, 0));
    assert!(reconcile(&everybody(), &list, &[], Coverage::Some).leavers.is_empty());
}

/// A row that cannot be read is not a person who left.
#[test]
fn who_stands_in_a_bad_row_has_not_left() {
    let list = [listed(2, "Alice Ng", "alice@example.org", "1001")];
    let trace = |mail: &str, id: &str| Trace {
        mail: Some(mail.to_owned()),
        staff_id: Some(id.to_owned()),
        ..Trace::default()
    };
    let bad = [trace("b o b", "none"), trace("nonsense", "1003")];
    let found = reconcile(&everybody(), &list, &bad, Coverage::Everybody);
    assert_eq!(
        (found.unattributed, found.leavers.len()),
        (1, 0),
        "a row names nobody: who it is, is not known"
    );
    let bad = [trace("Bob@Example.org", ""), trace("nonsense", "1003")];
    let found = reconcile(&everybody(), &list, &bad, Coverage::Everybody);
    assert_eq!((found.unattributed, found.leavers.len()), (0, 0));
}

/// A directory has entries that are nobody of ours: they keep nobody from leaving, unless they may be somebody's.
#[test]
fn a_bad_row_about_somebody_else_hides_nobody_who_left() {
    let list = [listed(2, "Alice Ng", "alice@example.org", "1001")];
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let left = |name: &str, mail: &str, id: &str| {
        let bad = [Trace { name: text(name), mail: text(mail), staff_id: text(id) }];
        let found = reconcile(&everybody(), &list, &bad, Coverage::Everybody);
        (found.unattributed, names(&found.leavers).join(", "))
    };
    let both = || (0, "Bob Ruiz, Carol Wu".to_owned());
    assert_eq!(left("Scanner", "", ""), both(), "no mail address, and nobody's name");
    assert_eq!(left("Eve Roy", "eve@elsewhere.example", ""), both(), "of another organisation");
    assert_eq!(left("", "eve@elsewhere.example", "7777"), both());
    assert_eq!(left("bob ruiz", "", ""), (0, "Carol Wu".to_owned()), "that is his name");
    assert_eq!(left("Bob Ruiz", "bob@elsewhere.example", ""), (0, "Carol Wu".to_owned()));
    assert_eq!(left("Bob Ruiz", "b o b", ""), (0, "Carol Wu".to_owned()));
    for (name, mail, id) in [
        ("Robert", "b o b", ""),
        ("Robert", "", "no number"),
        ("Robert", "robert@example.org", "no number"),
        ("", "", ""),
        ("", "", "7777"),
    ] {
        assert_eq!(left(name, mail, id), (1, String::new()), "{name} {mail} {id} may be anybody");
    }
}

#[test]
fn who_had_left_and_is_listed_comes_back() {
    let mut people = everybody();
    people[1].left = Some(Timestamp::UNIX_EPOCH);
    let list = [listed(2, "Bob Ruiz", "bob@example.org", "")];
    let found = reconcile(&people, &list, &[], Coverage::Everybody);
    assert_eq!(names(&found.rejoiners), ["Bob Ruiz"]);
    assert_eq!(names(&found.leavers), ["Alice Ng", "Carol Wu"], "who left before does not leave again");
}

#[test]
fn contradictions_are_named_and_change_nobody() {
    let list = [
        listed(2, "Alice Ng", "carol@example.org", "1001"),
        listed(3, "Dora Ek", "dora@example.org", "1004"),
        listed(4, "Dora Two", "DORA@example.org", "1005"),
        listed(5, "Eve Roy", "eve@example.org", "1004"),
        // Cyrillic letters that look like Latin ones.
        listed(6, "Alice Ng", "\u{430}lic\u{435}@example.org", ""),
        listed(7, "Somebody Else", "alice@example.org", "7777"),
    ];
    let found = reconcile(&everybody(), &list, &[], Coverage::Everybody);
    let conflicts: Vec<_> = found
        .conflicts
        .iter()
        .map(|conflict| (conflict.place.as_str(), conflict.field, conflict.code))
        .collect();
    assert_eq!(
        conflicts,
        [
            ("row 2", "mail", "duplicate"),
            ("row 4", "mail", "duplicate"),
            ("row 5", "id", "duplicate"),
            ("row 6", "mail", "homograph"),
            ("row 7", "mail", "duplicate"),
        ]
    );
    assert_eq!(names(&found.leavers), ["Bob Ruiz"]);
    assert_eq!((found.joiners.len(), found.changes.len()), (1, 0));
}

#[test]
fn addresses_in_one_alphabet_may_be_similar() {
    let list = [
        listed(2, "A", "modern@example.org", ""),
        listed(3, "B", "modem@example.org", ""),
        listed(4, "C", "bill@example.org", ""),
        listed(5, "D", "bi11@example.org", ""),
        listed(6, "E", "jürgen@example.org", ""),
        listed(7, "F", "jurgen@example.org", ""),
        listed(8, "G", "王@example.org", ""),
    ];
    assert_eq!(reconcile(&[], &list, &[], Coverage::Some).joiners.len(), 7);
}
