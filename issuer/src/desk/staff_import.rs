//! `issuer staff import`: a list of staff beside the people who are known; the difference, and what is made of it.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use middleware::secret_source::SecretSource;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::{Office, read_file};
use super::output::{self, Format};
use super::staff_directory::{self, Source};
use super::staff_file::{self, BadRow, StaffList};
use super::texts;
use crate::domain::reconciliation::{Coverage, Difference, reconcile};
use crate::domain::unicode::search_key;
use crate::domain::{Cardholder, NewCardholder, PersonCommand};
use crate::registry::RegistryError;

/// A list longer than this is not one.
const LIMIT: u64 = 64 * 1024 * 1024;

/// How many of those who join are written at the same time.
const JOINERS_AT_ONCE: usize = 64;

/// What `staff import` was told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The file, whose first row names the columns; or `ldap://`, `ldaps://` or `ldapi://`, as RFC 4516 has it
    #[arg(value_name = "FILE.csv|ldap://...")]
    source: String,
    /// Show what would change, taking the list to name everybody; change nothing
    #[arg(long, conflicts_with = "apply")]
    preview: bool,
    /// The list names everybody: who is missing has left. Their revocation is proposed, not done
    #[arg(long)]
    apply: bool,
    /// Refuse a list by which more than so many people left
    #[arg(long, value_name = "N", requires = "apply")]
    leavers_at_most: Option<usize>,
    /// Distinguished name to bind with; otherwise nobody's
    #[arg(long, value_name = "DN")]
    bind_dn: Option<String>,
    /// Where its password comes from: fd:N or a file; otherwise it is asked for
    #[arg(long, value_name = "fd:N|PATH", requires = "bind_dn")]
    bind_password_file: Option<SecretSource>,
    /// The certificates, PEM, of those who may speak for an ldaps server
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Default, Serialize)]
struct Imported {
    preview: bool,
    added: usize,
    changed: usize,
    returned: usize,
    left: usize,
    unchanged: usize,
    joiners: Vec<PersonView>,
    changes: Vec<ChangeView>,
    returners: Vec<PersonView>,
    leavers: Vec<PersonView>,
    errors: Vec<BadRow>,
    /// Columns of the list that mean nothing here.
    unused_columns: Vec<String>,
}

#[derive(Serialize)]
struct PersonView {
    name: String,
    mail: String,
    id: Option<String>,
}

#[derive(Serialize)]
struct ChangeView {
    name: String,
    mail: String,
    what: Vec<String>,
}

/// Compares, shows, and applies what was asked for.
///
/// # Errors
/// The list cannot be read, or by it too many people would have left.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let now = if arguments.preview { None } else { Some(office.time_to_record().await?) };
    let list = read(office, arguments).await?;
    let known = office.registry.cardholders().await?;
    let coverage = if arguments.preview || arguments.apply { Coverage::Everybody } else { Coverage::Some };
    let people = listed(&list, &known);
    let mut difference = reconcile(&known, &people, &list.traces, coverage);
    let mut errors = list.errors;
    if coverage == Coverage::Some {
        errors.extend(refuse_changes(&mut difference));
    }
    if arguments.apply {
        refuse_exodus(&difference, &known, arguments)?;
    }
    let mut imported = describe(&difference, errors);
    imported.unused_columns = list.unused_columns;
    if !imported.unused_columns.is_empty() && format == Format::Text {
        let (columns, known) = (imported.unused_columns.join(", "), staff_file::COLUMNS.join(", "));
        output::progress(&texts::say("import-unused", &[("columns", &columns), ("known", &known)]));
    }
    imported.preview = arguments.preview;
    if let Some(now) = now {
        apply(office, &difference, &mut imported, now).await?;
    }
    if difference.unattributed > 0 && coverage == Coverage::Everybody && format == Format::Text {
        output::progress(&texts::say("import-unattributed", &[]));
    }
    imported.errors.sort_by_key(|bad| bad.row.unwrap_or(u64::MAX));
    match format {
        Format::Json => output::json(&imported)?,
        Format::Text => report(&imported, &arguments.source)?,
    }
    let understood =
        imported.unchanged + imported.joiners.len() + imported.changes.len() + imported.returners.len();
    Ok(match (imported.errors.is_empty(), understood) {
        (true, _) => Status::Done,
        (false, 0) => Status::Failed,
        (false, _) => Status::Partly,
    })
}

async fn read(office: &Office, arguments: &Arguments) -> Result<StaffList, Failure> {
    if let Some(source) = Source::parse(&arguments.source)? {
        let login = staff_directory::Login {
            distinguished_name: arguments.bind_dn.as_deref(),
            password: arguments.bind_password_file.as_ref(),
        };
        return staff_directory::read(&source, login, arguments.ca_file.as_deref(), &office.config).await;
    }
    if arguments.bind_dn.is_some() || arguments.ca_file.is_some() {
        return Err(Failure::usage(
            "--bind-dn and --ca-file belong to a directory, ldap://... or ldaps://...",
        ));
    }
    let file = Path::new(&arguments.source);
    let bytes = read_file(file, LIMIT)?;
    staff_file::read(&bytes, &office.config).map_err(|bad| {
        Failure::new("csv", format!("{}, {}, {}: {}", file.display(), bad.place, bad.field, bad.message))
    })
}

/// A list without the column `until` says nothing of last days: what is known stays.
fn listed(list: &StaffList, known: &[Cardholder]) -> Vec<crate::domain::reconciliation::ListedPerson> {
    let mut people = list.people.clone();
    if list.says_until {
        return people;
    }
    let last_days: std::collections::HashMap<_, _> = known
        .iter()
        .filter_map(|person| Some((person.mail.as_str().to_lowercase(), person.employed_until?)))
        .collect();
    for row in &mut people {
        row.person.employed_until = last_days.get(&row.person.mail.as_str().to_lowercase()).copied();
    }
    people
}

/// Without being told that the list is everybody's, nobody who is known is changed: a row that differs is more likely a
/// mistake of that row.
fn refuse_changes(difference: &mut Difference) -> Vec<BadRow> {
    let changes = std::mem::take(&mut difference.changes);
    let returners = std::mem::take(&mut difference.rejoiners);
    let changes = changes.into_iter().map(|change| {
        let is_by_mail = search_key(change.from.mail.as_str()) == search_key(change.to.mail.as_str());
        let (field, what) = if is_by_mail { ("mail", "mail address") } else { ("id", "staff identifier") };
        let message = format!(
            "the {what} is already registered, for {}; to change what is known of people, import the whole list with --preview, then --apply",
            change.from.name.as_str()
        );
        BadRow::new(change.place, field, "duplicate", message)
    });
    let returners = returners.into_iter().map(|person| {
        let message = "the person left; whoever comes back is imported with --apply".to_owned();
        BadRow::new(person.mail.as_str(), "row", "person-left", message)
    });
    changes.chain(returners).collect()
}

/// A list that lost half of its rows on its way is not the end of half of the staff.
fn refuse_exodus(
    difference: &Difference,
    known: &[Cardholder],
    arguments: &Arguments,
) -> Result<(), Failure> {
    let there = known.iter().filter(|person| person.left.is_none()).count();
    let at_most = arguments.leavers_at_most.unwrap_or_else(|| (there / 10).max(5));
    let leavers = difference.leavers.len();
    if leavers <= at_most {
        return Ok(());
    }
    let message = format!(
        "by this list {leavers} of {there} people left, and nothing was changed: see who with --preview, and if it is true say --leavers-at-most {leavers}"
    );
    let values = [("leavers", leavers.to_string()), ("there", there.to_string())];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    Err(Failure::new("many-leavers", message).saying("failed-many-leavers", &values))
}

fn describe(difference: &Difference, errors: Vec<BadRow>) -> Imported {
    let person = |person: &NewCardholder| PersonView {
        name: person.name.as_str().to_owned(),
        mail: person.mail.as_str().to_owned(),
        id: person.staff_id.as_ref().map(|id| id.as_str().to_owned()),
    };
    let conflicts = difference
        .conflicts
        .iter()
        .map(|conflict| BadRow::new(&conflict.place, conflict.field, conflict.code, &conflict.message));
    Imported {
        unchanged: difference.unchanged,
        joiners: difference.joiners.iter().map(person).collect(),
        returners: difference.rejoiners.iter().map(|known| person(&known.details())).collect(),
        leavers: difference.leavers.iter().map(|known| person(&known.details())).collect(),
        changes: difference
            .changes
            .iter()
            .map(|change| ChangeView {
                name: change.from.name.as_str().to_owned(),
                mail: change.from.mail.as_str().to_owned(),
                what: what_changes(&change.from.details(), &change.to),
            })
            .collect(),
        errors: errors.into_iter().chain(conflicts).collect(),
        ..Imported::default()
    }
}

fn what_changes(from: &NewCardholder, to: &NewCardholder) -> Vec<String> {
    let text = |person: &NewCardholder| {
        let id = person.staff_id.as_ref().map(|id| id.as_str().to_owned());
        let until = person.employed_until.map(|day| day.to_string());
        [
            ("name", person.name.as_str().to_owned()),
            ("mail", person.mail.as_str().to_owned()),
            ("id", id.unwrap_or_else(|| "none".to_owned())),
            ("until", until.unwrap_or_else(|| "open".to_owned())),
        ]
    };
    let pairs = text(from).into_iter().zip(text(to));
    let changed = pairs.filter(|((_, from), (_, to))| from != to);
    changed.map(|((field, from), (_, to))| format!("{field} {from} -> {to}")).collect()
}

/// Each person is a change of its own: what one refuses keeps nobody else out.
async fn apply(
    office: &Office,
    difference: &Difference,
    imported: &mut Imported,
    now: Timestamp,
) -> Result<(), Failure> {
    // Joiners are the many: those that are written at the same time share a commit.
    let joiners = difference.joiners.iter();
    let mut adding =
        stream::iter(joiners.map(async |person| (person, office.registry.add_cardholder(person, now).await)))
            .buffered(JOINERS_AT_ONCE);
    while let Some((person, added)) = adding.next().await {
        count(added.map(drop), &mut imported.added, person.mail.as_str(), &mut imported.errors)?;
    }
    for person in &difference.rejoiners {
        let back = office.registry.command_person(person.id, &PersonCommand::Rejoin, now).await;
        count(back, &mut imported.returned, person.mail.as_str(), &mut imported.errors)?;
    }
    for change in &difference.changes {
        let command = PersonCommand::Change { from: change.from.details(), to: change.to.clone() };
        let changed = office.registry.command_person(change.from.id, &command, now).await;
        count(changed, &mut imported.changed, change.from.mail.as_str(), &mut imported.errors)?;
    }
    for person in &difference.leavers {
        let left = office.registry.command_person(person.id, &PersonCommand::Leave, now).await;
        count(left, &mut imported.left, person.mail.as_str(), &mut imported.errors)?;
    }
    Ok(())
}

/// What another desk did meanwhile is an error of that row.
fn count(
    done: Result<(), RegistryError>,
    counter: &mut usize,
    place: &str,
    errors: &mut Vec<BadRow>,
) -> Result<(), Failure> {
    let field = match &done {
        Ok(()) => {
            *counter = counter.saturating_add(1);
            return Ok(());
        }
        Err(RegistryError::MailTaken { .. }) => "mail",
        Err(RegistryError::StaffIdTaken { .. }) => "id",
        Err(RegistryError::PersonRefused(_)) => "row",
        Err(_) => return done.map_err(Failure::from),
    };
    let failure = done.err().map(Failure::from);
    if let Some(Failure { code, message, .. }) = failure {
        errors.push(BadRow::new(place, field, code, message));
    }
    Ok(())
}

fn report(imported: &Imported, source: &str) -> Result<(), Failure> {
    for bad in &imported.errors {
        let why = texts::explained(bad.code, &bad.message);
        output::progress(&format!("{source}, {}, {}: {why}", bad.place, bad.field));
    }
    if imported.preview {
        let person = |key: &str, person: &PersonView| {
            let id = person.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
            let person = format!("{} <{}>{id}", person.name, person.mail);
            output::line(&texts::say(key, &[("person", &person)]))
        };
        imported.joiners.iter().try_for_each(|joiner| person("import-joins", joiner))?;
        imported.returners.iter().try_for_each(|returner| person("import-returns", returner))?;
        for change in &imported.changes {
            let person = format!("{} <{}>", change.name, change.mail);
            let values = [("person", person.as_str()), ("what", &change.what.join(", "))];
            output::line(&texts::say("import-changes", &values))?;
        }
        imported.leavers.iter().try_for_each(|leaver| person("import-leaves", leaver))?;
    }
    output::line(&texts::say("import-done", &[("counts", &counts(imported))]))?;
    if imported.left > 0 {
        output::line(&texts::say("import-leavers-next", &[]))?;
    }
    if imported.preview {
        output::line(&texts::say("import-preview", &[]))?;
    }
    Ok(())
}

fn counts(imported: &Imported) -> String {
    let numbers = if imported.preview {
        [
            (imported.joiners.len(), "import-would-be-added"),
            (imported.changes.len(), "import-would-be-changed"),
            (imported.returners.len(), "import-would-return"),
            (imported.leavers.len(), "import-would-leave"),
        ]
    } else {
        [
            (imported.added, "import-added"),
            (imported.changed, "import-changed"),
            (imported.returned, "import-returned"),
            (imported.left, "import-left"),
        ]
    };
    let more = [(imported.unchanged, "import-known"), (imported.errors.len(), "import-refused")];
    let parts = numbers.into_iter().chain(more).enumerate();
    let parts = parts.filter(|(place, (number, _))| *place == 0 || *number > 0);
    let parts: Vec<_> =
        parts.map(|(_, (number, key))| texts::say(key, &[("count", &number.to_string())])).collect();
    parts.join(&texts::say("import-between", &[]))
}
