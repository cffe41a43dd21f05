//! A list of staff beside the people who are known: who joins, who changed, who left.
//!
//! People are the same if their staff identifiers are, and otherwise if their mail addresses are. Nothing here decides
//! anything: the difference is shown first, and applied when somebody says so.

use std::collections::{HashMap, HashSet};

use unicode_security::confusable_detection::skeleton;

use super::cardholder::{Cardholder, CardholderId, MailAddress, Name, NewCardholder, StaffId};
use super::unicode::search_key;

/// One understood row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPerson {
    /// The row's number, or another name for its place.
    pub place: String,
    /// Whom it names.
    pub person: NewCardholder,
}

/// What a row that was not understood still says of whom it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// What stands in the field of the name.
    pub name: Option<String>,
    /// What stands in the field of the mail address.
    pub mail: Option<String>,
    /// What stands in the field of the identifier.
    pub staff_id: Option<String>,
}

/// Whether the list names everybody, so that who is missing has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Everybody.
    Everybody,
    /// Some; nobody leaves.
    Some,
}

/// A row that contradicts another, or somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where the row is.
    pub place: String,
    /// `mail`, `id` or `name`.
    pub field: &'static str,
    /// `duplicate` or `homograph`.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

/// Somebody who is known otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where the row is.
    pub place: String,
    /// As known.
    pub from: Cardholder,
    /// As listed.
    pub to: NewCardholder,
}

/// What a list would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// New.
    pub joiners: Vec<NewCardholder>,
    /// Known otherwise.
    pub changes: Vec<Change>,
    /// Had left, and are listed again.
    pub rejoiners: Vec<Cardholder>,
    /// Known, there, and not listed.
    pub leavers: Vec<Cardholder>,
    /// Rows that cannot be taken.
    pub conflicts: Vec<Conflict>,
    /// How many are known just so.
    pub unchanged: usize,
    /// Rows that may be about anybody: while there are any, nobody is taken to have left.
    pub unattributed: usize,
}

/// Compares a list with the people who are known.
pub fn reconcile(
    known: &[Cardholder],
    listed: &[ListedPerson],
    not_understood: &[Trace],
    coverage: Coverage,
) -> Difference {
    let index = Index::of(known);
    let mut difference = Difference::default();
    let mut seen: HashSet<CardholderId> = HashSet::new();
    let mut names = Taken::default();
    for row in listed {
        if let Err(conflict) = names.take(row) {
            // Who is named twice is there all the same.
            seen.extend(index.find(&row.person).ids());
            difference.conflicts.push(conflict);
            continue;
        }
        match index.find(&row.person) {
            Found::Known(known) => {
                seen.insert(known.id);
                difference.compare(&index, known, row);
            }
            Found::Contradiction { by_mail, by_id } => {
                seen.insert(by_mail.id);
                seen.extend(by_id.map(|known| known.id));
                difference.conflicts.push(taken(row, by_mail));
            }
            Found::Nobody => match index.look_alike(&row.person, None) {
                Some(known) => difference.conflicts.push(homograph(row, known)),
                None => match names.take_look(row) {
                    Ok(()) => difference.joiners.push(row.person.clone()),
                    Err(conflict) => difference.conflicts.push(conflict),
                },
            },
        }
    }
    for trace in not_understood {
        let meant = index.trace(trace);
        if meant.is_empty() && !trace.names_somebody_else() {
            difference.unattributed = difference.unattributed.saturating_add(1);
        }
        seen.extend(meant);
    }
    if coverage == Coverage::Everybody && difference.unattributed == 0 {
        let missing = known.iter().filter(|person| person.left.is_none() && !seen.contains(&person.id));
        difference.leavers = missing.cloned().collect();
    }
    difference
}

impl Trace {
    /// Whether it names somebody who is nobody known, once it was looked for: by a mail address that is one, or, where there
    /// is none, by a name. A slip in the address or identifier may be anybody's.
    fn names_somebody_else(&self) -> bool {
        let is_id = self.staff_id.as_deref().is_none_or(|id| StaffId::new(id).is_ok());
        let is_somebody = match (&self.mail, &self.name) {
            (Some(mail), _) => MailAddress::new(mail).is_ok(),
            (None, name) => name.as_deref().is_some_and(|name| Name::new(name).is_ok()),
        };
        is_id && is_somebody
    }
}

impl Difference {
    fn compare(&mut self, index: &Index<'_>, known: &Cardholder, row: &ListedPerson) {
        let differs = known.details() != row.person;
        if differs && let Some(other) = index.look_alike(&row.person, Some(known.id)) {
            self.conflicts.push(homograph(row, other));
            return;
        }
        if known.left.is_some() {
            self.rejoiners.push(known.clone());
        }
        if differs {
            let (place, from, to) = (row.place.clone(), known.clone(), row.person.clone());
            self.changes.push(Change { place, from, to });
        } else if known.left.is_none() {
            self.unchanged = self.unchanged.saturating_add(1);
        }
    }
}

/// The known people by what they are recognised by.
struct Index<'k> {
    by_mail: HashMap<String, &'k Cardholder>,
    by_staff_id: HashMap<&'k str, &'k Cardholder>,
    by_look: HashMap<String, &'k Cardholder>,
    by_name: HashMap<String, Vec<CardholderId>>,
}

impl<'k> Index<'k> {
    fn of(known: &'k [Cardholder]) -> Self {
        let by_staff_id =
            known.iter().filter_map(|person| Some((person.staff_id.as_ref()?.as_str(), person))).collect();
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for person in known {
            by_name.entry(search_key(person.name.as_str())).or_default().push(person.id);
        }
        Self {
            by_name,
            by_mail: known.iter().map(|person| (search_key(person.mail.as_str()), person)).collect(),
            by_staff_id,
            by_look: known.iter().map(|person| (look(person.mail.as_str()), person)).collect(),
        }
    }

    fn find(&self, person: &NewCardholder) -> Found<'k> {
        let by_id = person.staff_id.as_ref().and_then(|id| self.by_staff_id.get(id.as_str()).copied());
        let by_mail = self.by_mail.get(&search_key(person.mail.as_str())).copied();
        match (by_id, by_mail) {
            (None, None) => Found::Nobody,
            (Some(known), None) => Found::Known(known),
            (Some(one), Some(other)) if one.id == other.id => Found::Known(one),
            (Some(_), Some(by_mail)) => Found::Contradiction { by_mail, by_id },
            // The address was handed on to somebody else, or one of the identifiers is wrong.
            (None, Some(by_mail)) if person.staff_id.is_some() && by_mail.staff_id.is_some() => {
                Found::Contradiction { by_mail, by_id: None }
            }
            (None, Some(known)) => Found::Known(known),
        }
    }

    /// Somebody whose mail address is another one and looks the same.
    fn look_alike(&self, person: &NewCardholder, but: Option<CardholderId>) -> Option<&'k Cardholder> {
        let known = self.by_look.get(&look(person.mail.as_str())).copied()?;
        let is_same = search_key(known.mail.as_str()) == search_key(person.mail.as_str());
        (!is_same && Some(known.id) != but).then_some(known)
    }

    /// Who may be meant: by identifier or mail address one, by a name all who have it.
    fn trace(&self, trace: &Trace) -> Vec<CardholderId> {
        let by_id = trace.staff_id.as_deref().and_then(|id| self.by_staff_id.get(id.trim()));
        let by_mail = || trace.mail.as_deref().and_then(|mail| self.by_mail.get(&search_key(mail)));
        let by_name = || trace.name.as_deref().and_then(|name| self.by_name.get(&search_key(name.trim())));
        match by_id.or_else(by_mail) {
            Some(known) => vec![known.id],
            None => by_name().cloned().unwrap_or_default(),
        }
    }
}

/// Whom a row means.
enum Found<'k> {
    Nobody,
    Known(&'k Cardholder),
    /// The address is one person's, the identifier another's or nobody's.
    Contradiction {
        by_mail: &'k Cardholder,
        by_id: Option<&'k Cardholder>,
    },
}

impl Found<'_> {
    fn ids(&self) -> Vec<CardholderId> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Known(known) => vec![known.id],
            Self::Contradiction { by_mail, by_id } => {
                by_id.iter().map(|known| known.id).chain([by_mail.id]).collect()
            }
        }
    }
}

/// What the rows so far have taken.
#[derive(Default)]
struct Taken {
    mail: HashMap<String, String>,
    staff_id: HashMap<String, String>,
    look: HashMap<String, String>,
}

impl Taken {
    fn take(&mut self, row: &ListedPerson) -> Result<(), Conflict> {
        let conflict = |field, code, message| Conflict { place: row.place.clone(), field, code, message };
        let mail = row.person.mail.as_str();
        let key = search_key(mail);
        if let Some(place) = self.mail.get(&key) {
            return Err(conflict("mail", "duplicate", format!("{mail} stands in {place} already")));
        }
        if let Some(id) = &row.person.staff_id
            && let Some(place) = self.staff_id.get(id.as_str())
        {
            return Err(conflict("id", "duplicate", format!("{} stands in {place} already", id.as_str())));
        }
        self.mail.insert(key, row.place.clone());
        if let Some(id) = &row.person.staff_id {
            self.staff_id.insert(id.as_str().to_owned(), row.place.clone());
        }
        Ok(())
    }

    /// Of two new addresses that look alike, the first is taken.
    fn take_look(&mut self, row: &ListedPerson) -> Result<(), Conflict> {
        let mail = row.person.mail.as_str();
        if let Some(place) = self.look.get(&look(mail)) {
            let message = format!("{mail} looks like the address in {place} and is another");
            return Err(Conflict { place: row.place.clone(), field: "mail", code: "homograph", message });
        }
        self.look.insert(look(mail), row.place.clone());
        Ok(())
    }
}

/// Unicode Technical Standard 39 section 4: two texts that look alike have one skeleton.
///
/// Only letters outside ASCII are made alike: `rn` and `m`, `l` and `1` are different addresses that both may exist.
fn look(mail: &str) -> String {
    let key = search_key(mail);
    let mut alike = String::with_capacity(key.len());
    for character in key.chars() {
        if character.is_ascii() {
            alike.push(character);
        } else {
            let text = character.to_string();
            alike.extend(skeleton(&text).flat_map(char::to_lowercase));
        }
    }
    alike
}

fn taken(row: &ListedPerson, known: &Cardholder) -> Conflict {
    let message = format!("{} belongs to {} already", row.person.mail.as_str(), describe(known));
    Conflict { place: row.place.clone(), field: "mail", code: "duplicate", message }
}

fn homograph(row: &ListedPerson, known: &Cardholder) -> Conflict {
    let message = format!(
        "{} looks like the address of {} and is another: a letter of it is from another alphabet",
        row.person.mail.as_str(),
        describe(known)
    );
    Conflict { place: row.place.clone(), field: "mail", code: "homograph", message }
}

fn describe(known: &Cardholder) -> String {
    match &known.staff_id {
        Some(id) => format!("{} ({})", known.name.as_str(), id.as_str()),
        None => known.name.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
