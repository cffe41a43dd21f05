//! People, and the classes of readers that they are in, as their events tell them.

use std::collections::BTreeMap;

use super::super::error::RegistryError;
use super::difference::{Findings, Told};
use super::{Line, View, number, numbered, shown};
use crate::domain::unicode::search_key;
use crate::domain::{MemberEvent, Person, PersonEvent};

const TABLE: &str = "people";

/// Who may read up to which classification: by class and person.
pub(super) type Members = BTreeMap<(String, i64), u8>;

/// Compares everybody; answers who is in which class.
pub(super) async fn compare(view: &mut View, findings: &mut Findings) -> Result<Members, RegistryError> {
    let of = numbered(TABLE, "person");
    let mut members = Members::new();
    let mut after = of.start.clone();
    loop {
        let page = view.page(&of, &after).await?;
        for (key, row, lines) in page.subjects() {
            let id = shown(key);
            match row {
                None => findings.missing(TABLE, &id),
                Some(_) if lines.is_empty() => findings.without_event(TABLE, &id, true),
                Some(row) => {
                    findings.compare(TABLE, &id, row, told(lines));
                    note_classes(&mut members, number(row, "id")?, lines);
                }
            }
        }
        let Some(last) = page.last else { return Ok(members) };
        after = last;
    }
}

fn told(lines: &[Line]) -> Vec<(&'static str, Told)> {
    // Events of classes of readers are about people too.
    let events = lines.iter().filter_map(|line| {
        let event: PersonEvent = serde_json::from_str(&line.record.detail).ok()?;
        Some((event, line.at()))
    });
    let (mut person, mut added) = (Person::default(), Told::Untold);
    for (event, at) in events {
        if matches!(event, PersonEvent::PersonAdded(_)) {
            added = Told::time(at);
        }
        person = person.apply(event);
    }
    let left = Told::optional(person.left(), Told::time);
    let Some(details) = person.details() else { return vec![("left_at", left)] };
    let key = |text: &String| Told::text(search_key(text));
    vec![
        ("name", Told::text(&details.name)),
        ("mail", Told::text(&details.mail)),
        ("staff_id", Told::optional(details.staff_id.as_ref(), Told::text)),
        ("added_at", added),
        ("employed_until", Told::optional(details.employed_until, |day| Told::text(day.to_string()))),
        ("left_at", left),
        ("name_key", key(&details.name)),
        ("mail_key", key(&details.mail)),
        ("staff_id_key", Told::optional(details.staff_id.as_ref(), key)),
    ]
}

fn note_classes(members: &mut Members, person: i64, lines: &[Line]) {
    for line in lines {
        match serde_json::from_str(&line.record.detail) {
            Ok(MemberEvent::ClassJoined { class, clearance }) => {
                members.insert((class, person), clearance);
            }
            Ok(MemberEvent::ClassLeft { class }) => drop(members.remove(&(class, person))),
            Err(_) => {}
        }
    }
}
