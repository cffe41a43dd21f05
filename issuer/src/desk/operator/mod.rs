//! `issuer operator`: who may do what at the desk, by which card.

mod authority_check;
mod guard;
mod pin;
mod session;

use clap::Subcommand;
use middleware::Locator;
use middleware::secret_source::SecretSource;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::ca::Certificate;
use crate::clock::Clock;
use crate::domain::{
    Act, Cardholder, ChainHash, GuardedAct, Operator, Permission, Role, Roles, SerialNumber,
    can_approve_each_other,
};
use crate::registry::Approved;
pub(super) use guard::is_demanded;
pub use guard::{Chosen, Guard, OperatorCard};
pub(super) use pin::PinStands;
use session::{PresentedCard, key_of};

/// What is done with operators.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a person an operator, by the card that the person has; the first one is an administrator
    #[command(
        after_help = "Examples:\n  issuer --home pki operator add alice@example.org --role administrator,registrar --card pcsc:\n  \
        issuer --home pki operator add bob@example.org --role approver --operator pcsc:"
    )]
    Add {
        /// Mail address or identifier of the person
        person: String,
        /// What the person may do: registrar, approver, auditor, administrator; several with commas
        #[arg(long, value_name = "ROLE,...")]
        role: Roles,
        /// The person's card, which proves its key; otherwise the registry's word for it is taken
        #[arg(long, value_name = "LOCATOR")]
        card: Option<Locator>,
        /// Where the PIN of the person's card comes from: fd:N, a file or pinentry; otherwise it is asked for
        #[arg(long, value_name = "fd:N|PATH", requires = "card")]
        pin_file: Option<SecretSource>,
        /// Where no administrator's card is good any more, or nobody can approve what needs two: by the passphrase of the keys
        #[arg(long, requires = "card")]
        recover: bool,
    },
    /// End that somebody is an operator
    #[command(after_help = "Example:\n  issuer --home pki operator remove bob@example.org --operator pcsc:")]
    Remove {
        /// Mail address or identifier of the person
        person: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// List the operators, and what needs two of them
    #[command(after_help = "Example:\n  issuer --home pki operator list")]
    List,
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::List => Permission::Read,
            Self::Add { recover: true, .. } => Permission::Recover,
            Self::Add { .. } | Self::Remove { .. } => Permission::Operators,
        }
    }
}

#[derive(Serialize)]
struct Line {
    operator: i64,
    name: String,
    roles: String,
    certificate: String,
    state: String,
    not_after: String,
}

#[derive(Serialize)]
struct Listing {
    single_operator: bool,
    operators: Vec<Line>,
    dual_control: Vec<&'static str>,
}

/// Carries out what was asked.
///
/// # Errors
/// Nobody of that name, no card, an operator already, or no administrator left.
pub async fn run(office: &Office, command: Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Add { person, role, card, pin_file, recover } => {
            let how = if recover { How::Recovering } else { How::Administering };
            let pin = pin_file.unwrap_or(SecretSource::Terminal);
            let card = card.map(|locator| OperatorCard { locator, pin });
            add(office, &person, &role, card.as_ref(), how, format).await
        }
        Command::Remove { person, why } => remove(office, &person, why, format).await,
        Command::List => list(office, format).await,
    }
}

/// Who makes an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// An administrator, or nobody yet.
    Administering,
    /// Whoever has the passphrase: there is no administrator any more, or nobody who can approve.
    Recovering,
}

async fn add(
    office: &Office,
    person: &str,
    roles: &Roles,
    card: Option<&OperatorCard>,
    how: How,
    format: Format,
) -> Result<Status, Failure> {
    let now = office.time_to_record().await?;
    let holder = office.cardholder(person).await?;
    let is_first = !office.registry.has_operators().await?;
    refuse_pointless(office, roles, is_first, how).await?;
    if is_first && card.is_none() {
        return Err(Failure::new(
            "operator-needed",
            "the first operator must show that the card works, or nobody might get in again: give --card LOCATOR",
        ));
    }
    let (serial, key) = certificate_of(office, &holder, card, how).await?;
    let mail = holder.mail.as_str();
    let approved = match how {
        How::Administering => {
            let details = format!("add operator {mail} {roles} {serial}");
            office.approve(&GuardedAct::new(Act::DualControl, &details)).await?
        }
        // The second operator was asked before.
        How::Recovering => Approved::default(),
    };
    let registry = &office.registry;
    let adding = registry.add_operator(holder.id, (&serial, &key), roles, now);
    let id = registry.spending(approved, now, adding).await?;
    match format {
        Format::Json => output::json(&serde_json::json!({
            "operator": id.0, "name": holder.name.as_str(), "roles": roles.to_string(), "certificate": serial.to_string()
        }))?,
        Format::Text => output::line(&format!(
            "{} <{mail}> is operator {} ({roles}), by certificate {serial}.{}",
            holder.name.as_str(),
            id.0,
            if is_first { " From now on this desk does nothing without an operator's card." } else { "" }
        ))?,
    }
    Ok(Status::Done)
}

/// Whoever is the first, or is made in a recovery, must be what there is none of.
async fn refuse_pointless(office: &Office, roles: &Roles, is_first: bool, how: How) -> Result<(), Failure> {
    if !is_first && how == How::Administering {
        return Ok(());
    }
    let (operators, now) = (office.registry.operators().await?, office.clock.now());
    let has_administrator =
        operators.iter().any(|operator| operator.judge(Permission::Operators, now).is_ok());
    if !has_administrator && !roles.has(Role::Administrator) {
        return Err(Failure::new(
            "no-administrator",
            "this operator must be an administrator, or nobody could add the next; nothing was changed",
        ));
    }
    if has_administrator && !roles.has(Role::Approver) {
        return Err(Failure::new(
            "no-approver",
            "this operator must be an approver, or nobody could approve what needs two; nothing was changed",
        ));
    }
    Ok(())
}

/// The certificate as the registry knows it: the person's, delivered, for the key 9A. A card that is shown proves its key,
/// with its own PIN, and only once it is known to be the person's: a wrong PIN costs a card one of its tries.
async fn certificate_of(
    office: &Office,
    holder: &Cardholder,
    shown: Option<&OperatorCard>,
    how: How,
) -> Result<(SerialNumber, ChainHash), Failure> {
    let name = holder.name.as_str();
    let presented = shown.map(|card| PresentedCard::open(&card.locator)).transpose()?;
    let registered = office.registry.authentication_certificate(holder.id).await?;
    let (serial, der) = registered.ok_or_else(|| {
        Failure::new(
            "no-card",
            format!("{name} has no card whose certificate for 9A is good; issue one first"),
        )
    })?;
    let certificate = Certificate::from_der(der)?;
    if certificate.not_after() < office.clock.now() {
        let option = if how == How::Recovering { " --recover" } else { "" };
        let message = format!(
            "the certificate {serial} of {name}'s card ended {}; give the card new ones first: issuer renew {} --card LOCATOR{option}",
            certificate.not_after(),
            holder.mail.as_str()
        );
        return Err(Failure::new("card-expired", message));
    }
    if let (Some(presented), Some(card)) = (presented, shown) {
        if presented.certificate().as_der() != certificate.as_der() {
            let message = format!(
                "the card that was shown has certificate {}, and {name}'s card has {serial}; show the right card",
                presented.certificate().serial_number()
            );
            return Err(Failure::new("operator-unknown", message));
        }
        presented.prove(&card.pin, name)?;
    }
    Ok((serial, key_of(&certificate)?))
}

async fn remove(
    office: &Office,
    person: &str,
    why: Option<String>,
    format: Format,
) -> Result<Status, Failure> {
    let holder = office.cardholder(person).await?;
    let operators = office.registry.operators().await?;
    let name = holder.name.as_str();
    let Some(operator) = operators.iter().find(|operator| operator.person == holder.id) else {
        return Err(Failure::new(
            "unknown-operator",
            format!("{name} is not an operator; see issuer operator list"),
        ));
    };
    let others: Vec<&Operator> = operators.iter().filter(|other| other.id != operator.id).collect();
    let now = office.time_to_revoke().await?;
    let is_good = |other: &Operator| other.judge_certificate(now).is_ok();
    if !others.iter().any(|other| other.roles.has(Role::Administrator) && is_good(other)) {
        let message = format!(
            "{name} is the only administrator whose card is good; add another first; nothing was changed"
        );
        return Err(Failure::new("no-administrator", message));
    }
    let demanded = office.registry.dual_control().await?;
    if !demanded.is_empty() && !can_approve_each_other(others.iter().copied(), now) {
        let message =
            format!("without {name} nobody could approve what needs two operators; nothing was changed");
        return Err(Failure::new("no-approver", message));
    }
    let details = format!("remove operator {} {}", operator.id.0, holder.mail.as_str());
    let approved = office.approve(&GuardedAct::new(Act::DualControl, &details)).await?;
    let registry = &office.registry;
    registry.spending(approved, now, registry.remove_operator(operator.id, why, now)).await?;
    match format {
        Format::Json => output::json(&serde_json::json!({ "removed": operator.id.0, "name": name }))?,
        Format::Text => output::line(&format!("{name} is an operator no longer."))?,
    }
    Ok(Status::Done)
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let now = office.clock.now();
    let operators = office.registry.operators().await?;
    let lines: Vec<Line> = operators
        .iter()
        .map(|operator| Line {
            operator: operator.id.0,
            name: operator.name.clone(),
            roles: operator.roles.to_string(),
            certificate: operator.serial.to_string(),
            state: match operator.judge_certificate(now) {
                Ok(()) => "good".to_owned(),
                Err(_) if now > operator.not_after => "expired".to_owned(),
                Err(_) => operator.certificate.state().name().to_owned(),
            },
            not_after: operator.not_after.strftime("%F").to_string(),
        })
        .collect();
    let demanded = office.registry.dual_control().await?;
    let dual_control: Vec<_> =
        Act::ALL.into_iter().filter(|act| is_demanded(&demanded, *act)).map(Act::as_str).collect();
    if format == Format::Json {
        output::json(&Listing { single_operator: lines.is_empty(), operators: lines, dual_control })?;
        return Ok(Status::Done);
    }
    let rows = lines
        .into_iter()
        .map(|line| {
            vec![
                line.operator.to_string(),
                line.name,
                line.roles,
                line.state,
                line.not_after,
                line.certificate,
            ]
        })
        .collect();
    output::table(
        &["operator", "name", "roles", "card", "until", "certificate"],
        rows,
        "There are no operators: whoever can open this home may do everything (single-operator mode). Add one with: issuer operator add PERSON --role administrator --card LOCATOR",
    )?;
    if !dual_control.is_empty() {
        output::line(&format!("Two operators are needed for: {}.", dual_control.join(", ")))?;
    }
    let mut administrators = operators.iter().filter(|operator| {
        operator.roles.has(Role::Administrator) && operator.judge_certificate(now).is_ok()
    });
    if let (Some(only), None) = (administrators.next(), administrators.next()) {
        output::line(&format!(
            "{} is the only administrator whose card is good; make a second one: without that card nobody could change this.",
            only.name
        ))?;
    }
    Ok(Status::Done)
}
