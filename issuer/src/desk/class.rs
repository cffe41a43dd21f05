//! `issuer class`: classes of readers, and the signed list of them.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use jiff::{SignedDuration, Timestamp};
use middleware::FileKey;
use serde::Serialize;

use super::documents_authority::documents_authority;
use super::failure::{Failure, Status};
use super::init::{CertificateRequest, certify};
use super::key_file;
use super::office::{Office, Passphrase};
use super::output::{self, Format};
use super::publish::refuse_home;
use crate::ca::profile::Assurance;
use crate::ca::signed_data::{Certificates, SignerIdentity};
use crate::ca::{Authority, Certificate, Profile, ProvenKey};
use crate::domain::{
    AuthorityName, CardholderId, ClassDescription, ClassName, Clearance, MalformedField, Permission,
};
use crate::publication::class_list::ClassList;
use crate::publication::{PublishedDirectory, layout};
use crate::registry::ClassChange;

/// Commands of `issuer class`.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Add people to a class, which is made if there is none; or say something anew of it or them
    #[command(
        after_help = "Example:\n  issuer --home pki class add board alice@example.org 1002 --clearance 3 --description 'Members of the board'"
    )]
    Add {
        /// Name of the class: a-z, 0-9, `-` and `.`
        name: String,
        /// Mail addresses or identifiers of people
        #[arg(value_name = "MEMBER")]
        members: Vec<String>,
        /// The highest classification that these members may read: 0 unmarked, 1 unclassified, 2 restricted, 3
        /// confidential, 4 secret, 5 top secret; 0 for new members unless told
        #[arg(long, value_name = "0-5", value_parser = clap::value_parser!(u8).range(0..=5))]
        clearance: Option<u8>,
        /// What the class is
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// The security policy that says what a classification means; otherwise the sixth below the issuer's arc
        #[arg(long, value_name = "OID")]
        policy: Option<ObjectIdentifier>,
    },
    /// Take people out of a class, or without people the class itself away
    #[command(after_help = "Examples:\n  issuer --home pki class remove board bob@example.org\n  \
        issuer --home pki class remove board")]
    Remove {
        /// Name of the class
        name: String,
        /// Mail addresses or identifiers of people
        #[arg(value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// List every class and who is in it
    #[command(after_help = "Example:\n  issuer --home pki class list --json")]
    List,
    /// Sign the list of all classes anew and put it into the published directory, as classes.p7m
    #[command(after_help = "Example:\n  issuer --home pki class publish --to /srv/pki")]
    Publish {
        /// The directory; issuer publish makes it
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// How long the list counts
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Add { .. } | Self::Remove { .. } => Permission::Classes,
            Self::List => Permission::Read,
            Self::Publish { .. } => Permission::Publish,
        }
    }
}

/// Carries out `issuer class`.
///
/// # Errors
/// As the command at hand.
pub async fn run(office: &mut Office, command: Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Add { name, members, clearance, description, policy } => {
            let said = Said { clearance, description, policy };
            add(office, &class_name(&name)?, &members, said, format).await
        }
        Command::Remove { name, members } => remove(office, &class_name(&name)?, &members, format).await,
        Command::List => list(office, format).await,
        Command::Publish { to, days } => publish(office, &to, days, format).await,
    }
}

/// What is said of a class or its new members.
struct Said {
    clearance: Option<u8>,
    description: Option<String>,
    policy: Option<ObjectIdentifier>,
}

#[derive(Serialize)]
struct Changed {
    class: String,
    members: Vec<String>,
}

async fn add(
    office: &Office,
    name: &ClassName,
    members: &[String],
    said: Said,
    format: Format,
) -> Result<Status, Failure> {
    let description =
        said.description.as_deref().map(ClassDescription::new).transpose().map_err(malformed)?;
    let people = people(office, members).await?;
    let change = ClassChange {
        name: name.clone(),
        description,
        policy: said.policy.map(|policy| policy.to_string()),
        default_policy: office.config.organization.policies.classification().to_string(),
        members: people.iter().map(|(id, _)| *id).collect(),
        clearance: said.clearance.and_then(Clearance::new),
    };
    office.registry.add_to_class(&change, office.time_to_sign().await?).await?;
    let members: Vec<String> = people.into_iter().map(|(_, mail)| mail).collect();
    report(name, members, format, |members| match members {
        "" => format!("Class {name} is as you said."),
        members => format!("Class {name} has {members}."),
    })
}

async fn remove(
    office: &Office,
    name: &ClassName,
    members: &[String],
    format: Format,
) -> Result<Status, Failure> {
    let people = people(office, members).await?;
    let ids: Vec<CardholderId> = people.iter().map(|(id, _)| *id).collect();
    let whom = (!ids.is_empty()).then_some(ids.as_slice());
    let now = office.time_to_sign().await?;
    let Some(left) = office.registry.remove_from_class(name, whom, now).await? else {
        let message = format!("there is no class {name}; issuer class list shows those there are");
        return Err(Failure::new("unknown-class", message));
    };
    if let Some((_, mail)) = people.iter().find(|(id, _)| !left.contains(id)) {
        output::progress(&format!("{mail} was not in class {name}"));
    }
    let mut mails = Vec::new();
    for id in left {
        mails.push(office.registry.cardholder(id).await?.mail.as_str().to_owned());
    }
    report(name, mails, format, |members| match (whom, members) {
        (None, "") => format!("Class {name} is gone; it was empty."),
        (None, members) => format!("Class {name} is gone, with {members}."),
        (Some(_), "") => format!("Class {name} is as it was."),
        (Some(_), members) => format!("Class {name} is without {members}."),
    })
}

fn report(
    name: &ClassName,
    members: Vec<String>,
    format: Format,
    sentence: impl FnOnce(&str) -> String,
) -> Result<Status, Failure> {
    match format {
        Format::Json => output::json(&Changed { class: name.to_string(), members })?,
        Format::Text => output::line(&format!(
            "{} Make it known with: issuer class publish --to DIR",
            sentence(&members.join(", "))
        ))?,
    }
    Ok(Status::Done)
}

#[derive(Serialize)]
struct ClassView {
    name: String,
    description: String,
    policy: String,
    members: Vec<MemberView>,
}

#[derive(Serialize)]
struct MemberView {
    name: String,
    mail: String,
    clearance: u8,
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let classes = office.registry.reader_classes().await?;
    let views: Vec<ClassView> = classes
        .into_iter()
        .map(|class| ClassView {
            name: class.name.to_string(),
            description: class.description.as_str().to_owned(),
            policy: class.policy,
            members: class
                .members
                .iter()
                .map(|(person, clearance)| MemberView {
                    name: person.name.as_str().to_owned(),
                    mail: person.mail.as_str().to_owned(),
                    clearance: clearance.level(),
                })
                .collect(),
        })
        .collect();
    if format == Format::Json {
        output::json(&views)?;
        return Ok(Status::Done);
    }
    let rows = views.iter().flat_map(|class| {
        let empty = class.members.is_empty().then(|| vec![class.name.clone(), "-".into(), "-".into()]);
        let member = |member: &MemberView| {
            vec![
                class.name.clone(),
                format!("{} <{}>", member.name, member.mail),
                member.clearance.to_string(),
            ]
        };
        empty.into_iter().chain(class.members.iter().map(member))
    });
    output::table(&["CLASS", "MEMBER", "CLEARANCE"], rows.collect(), "There are no classes yet.")?;
    Ok(Status::Done)
}

#[derive(Serialize)]
struct Published {
    file: String,
    number: u64,
    classes: usize,
    members: usize,
    expires: String,
    /// Whether the authority that certified the list's key has just been made.
    new_authority: bool,
}

async fn publish(
    office: &mut Office,
    directory: &Path,
    days: u32,
    format: Format,
) -> Result<Status, Failure> {
    refuse_home(office, directory)?;
    if !layout::is_published(directory) {
        let message = format!(
            "nothing was published in {} yet; publish into it first: issuer publish --to {0}",
            directory.display()
        );
        return Err(Failure::new("not-published", message));
    }
    let now = office.time_to_sign().await?;
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let target = PublishedDirectory::open(directory)?;
    let passphrase = office.passphrase()?;
    let known = office.registry.authorities().await?.len();
    let (mut key, identity) = signer(office, &passphrase, now).await?;
    let new_authority = office.registry.authorities().await?.len() > known;
    let classes = office.registry.reader_classes().await?;
    let expires = now.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(now);
    let number = office.registry.reserve_class_list_number(now, expires).await?;
    let list = ClassList::new(number, &office.config.organization.name, now, expires, &classes);
    let content = list.to_json()?;
    let signed = identity.sign(&mut key, rfc5911::ID_DATA, &content, now, Certificates::Included)?;
    target.replace_class_list(&signed)?;
    let published = Published {
        file: directory.join(layout::CLASSES).display().to_string(),
        number,
        classes: classes.len(),
        members: classes.iter().map(|class| class.members.len()).sum(),
        expires: expires.to_string(),
        new_authority,
    };
    match format {
        Format::Json => output::json(&published)?,
        Format::Text => {
            output::line(&format!(
                "{}: list {number} of {} classes with {} members in all, until {}.",
                published.file,
                published.classes,
                published.members,
                expires.strftime("%F"),
            ))?;
            if new_authority {
                output::line(&format!(
                    "Its authority \"Documents CA\" is new; make it known with: issuer publish --to {}",
                    directory.display()
                ))?;
            }
        }
    }
    Ok(Status::Done)
}

/// A certificate that ends sooner than this is followed by another.
const RENEWAL: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The key that signs lists, and its certificate; both are made when they are first needed.
async fn signer(
    office: &mut Office,
    passphrase: &Passphrase,
    now: Timestamp,
) -> Result<(FileKey, SignerIdentity), Failure> {
    let (mut authority, _) = documents_authority(office, passphrase, now).await?;
    let mut key = list_key(office, passphrase)?;
    let certificate = match certificate_of(office, authority.certificate(), &key, now).await? {
        Some(certificate) => certificate,
        None => certify_list_key(office, &mut authority, &mut key, now).await?,
    };
    Ok((key, SignerIdentity::new(certificate, &[authority.certificate().clone()])?))
}

fn list_key(office: &Office, passphrase: &Passphrase) -> Result<FileKey, Failure> {
    let path = office.home.class_list_key_file();
    key_file::open_or_make(&path, middleware::KeyAlgorithm::P256, passphrase.as_str())
}

/// Its certificate by the authority as it is now, if it is good for a while yet.
async fn certificate_of(
    office: &Office,
    authority: &Certificate,
    key: &FileKey,
    now: Timestamp,
) -> Result<Option<Certificate>, Failure> {
    let subject = format!("{} ({})", office.config.organization.name, Profile::DocumentSigning.name());
    let until = now.saturating_add(RENEWAL).unwrap_or(now);
    let records = office.registry.live_certificates(AuthorityName::Documents, &subject, until).await?;
    for der in records.into_iter().filter_map(|record| record.certificate) {
        let certificate = Certificate::from_der(der)?;
        let is_of_authority = certificate.verify_issuer(authority).is_ok();
        if is_of_authority && certificate.public_key() == middleware::Signer::public_key(key) {
            return Ok(Some(certificate));
        }
    }
    Ok(None)
}

async fn certify_list_key(
    office: &mut Office,
    authority: &mut Authority,
    key: &mut FileKey,
    now: Timestamp,
) -> Result<Certificate, Failure> {
    let proven = ProvenKey::of_signer(key, &mut office.random)?;
    let request = CertificateRequest {
        organization: &office.config.organization,
        profile: Profile::DocumentSigning,
        assurance: Assurance::Production,
        key: &proven,
    };
    let signer = (AuthorityName::Documents, authority);
    certify(&office.registry, signer, request, now, &mut office.random).await
}

fn class_name(text: &str) -> Result<ClassName, Failure> {
    ClassName::new(text).map_err(malformed)
}

fn malformed(error: MalformedField) -> Failure {
    Failure::new("malformed", error.to_string())
}

/// Everybody named, once; nobody unknown.
async fn people(office: &Office, names: &[String]) -> Result<Vec<(CardholderId, String)>, Failure> {
    let mut people: Vec<(CardholderId, String)> = Vec::new();
    for name in names {
        let person = office.cardholder(name).await?;
        if people.iter().all(|(id, _)| *id != person.id) {
            people.push((person.id, person.mail.as_str().to_owned()));
        }
    }
    Ok(people)
}
