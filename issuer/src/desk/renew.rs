//! `issuer renew`: new certificates on the card that somebody has, for the same keys or for new ones.

use clap::Args;
use middleware::secret_source::SecretSource;
use middleware::{Card, KeyAlgorithm, Locator, Pin};
use serde::Serialize;

use super::bench::{Bench, Participants};
use super::card_profile::{Before, Wanted};
use super::failure::{Failure, Status};
use super::half_done::HalfDoneView;
use super::in_use::{self, Deed};
use super::issue::cli::CardKeyAlgorithm;
use super::office::Office;
use super::output::{self, Format};
use super::{half_done, issue, texts, which_card};
use crate::config::Config;
use crate::domain::{CardKey, CardProfile, KeyOrigin};
use crate::personalization::PersonalizationError;
use crate::personalization::renewal::{RenewalOrder, Renewed};
use crate::registry::{CardRecord, OperationKind};

/// Whose card, which keys.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The card
    #[arg(value_name = "CARD", long_help = which_card::HELP, help = which_card::HELP)]
    whose: String,
    /// Where it is: pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// Make new keys; the old key 9D moves to a retired reference, so that old mail stays readable
    #[arg(long)]
    new_keys: bool,
    /// Only this key; once for each. All four otherwise
    #[arg(long = "key", value_name = "9A|9C|9D|9E", value_parser = parse_key)]
    keys: Vec<CardKey>,
    /// A profile of config.toml: which new keys, for how long; it counts for the card from then on. The card's own where
    /// nothing is said
    #[arg(long, value_name = "NAME", conflicts_with_all = ["algorithm", "inject"])]
    profile: Option<String>,
    /// Algorithm of new keys; otherwise as the card's profile has them, or p256
    #[arg(long, value_enum, requires = "new_keys")]
    algorithm: Option<CardKeyAlgorithm>,
    /// Make new keys here and write them into the card, instead of letting the card make them
    #[arg(long, requires = "new_keys")]
    inject: bool,
    /// Where the holder's PIN comes from: fd:N or a file; otherwise the holder types it
    #[arg(long, value_name = "fd:N|PATH")]
    pin_file: Option<SecretSource>,
    /// Where no operator who may do this has a good card any more: by the passphrase of the keys
    #[arg(long)]
    pub(super) recover: bool,
}

#[derive(Serialize)]
struct Summary {
    holder: String,
    holder_name: String,
    card_guid: String,
    not_after: String,
    new_keys: bool,
    /// Where the old encryption key lies now.
    retired: Option<String>,
    resumed: bool,
    certificates: Vec<CertificateSummary>,
}

#[derive(Serialize)]
struct CertificateSummary {
    key: &'static str,
    serial: String,
}

fn parse_key(text: &str) -> Result<CardKey, String> {
    CardKey::parse(&text.to_uppercase()).ok_or_else(|| "a card's keys are 9A, 9C, 9D and 9E".to_owned())
}

/// Renews the certificates of a card.
///
/// # Errors
/// Refusals before anything changed, and interruptions; the message says what to do next.
pub async fn run(office: &mut Office, arguments: Arguments, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &arguments.whose).await?;
    let holder = match in_use::holder(office, &record, Deed::Renew).await {
        Ok(holder) => holder,
        Err(failure) => return Err(explain_end(office, &record, &arguments.card, failure).await?),
    };
    let open = half_done::order_of(office, &record).await?;
    let order = arguments.order(&office.config, record.card.profile(), open)?;
    let now = office.time_to_sign().await?;
    let mut card = Card::open(&arguments.card)?;
    let mut bench = Bench::open(office, now).await?;
    let source = arguments.pin_file.clone().unwrap_or(SecretSource::Terminal);
    let pin = source
        .read(&texts::say("said-pin-of-holder", &[("name", holder.name.as_str())]))
        .map_err(|error| Failure::new("pin", format!("the PIN cannot be read: {error}")))?;
    let pin = Pin::new(&pin)?;
    let participants = Participants {
        progress: &mut issue::watched(office, format, order.new_keys),
        hand_over_pin: &mut |_| Ok(()),
        stop: &|| false,
    };
    let mut desk = bench.desk(office, participants);
    let renewed = desk.renew(&mut card, &record, &holder, &order, &pin).await;
    let renewed = match renewed {
        Ok(renewed) => renewed,
        Err(error) => return Err(explain(office, &record, &arguments.card, error).await?),
    };
    let summary = Summary {
        holder: holder.mail.as_str().to_owned(),
        holder_name: holder.name.as_str().to_owned(),
        card_guid: renewed.guid.to_string(),
        not_after: renewed.not_after.to_string(),
        new_keys: order.new_keys.is_some(),
        retired: renewed.retired.map(|reference| reference.to_string()),
        resumed: renewed.was_resumed,
        certificates: renewed
            .serials
            .iter()
            .map(|(key, serial)| CertificateSummary { key: key.as_str(), serial: serial.to_string() })
            .collect(),
    };
    match format {
        Format::Json => output::json(&summary)?,
        Format::Text => output::line(&sentence(&summary, &renewed))?,
    }
    Ok(Status::Done)
}

/// What was begun with a card that is in nobody's use any more.
async fn explain_end(
    office: &Office,
    record: &CardRecord,
    locator: &Locator,
    failure: Failure,
) -> Result<Failure, Failure> {
    Ok(match half_done::of(office, record, &locator.to_string()).await? {
        Some(open) if open.is_over => failure.and(&over(&open)),
        _ => failure,
    })
}

fn over(open: &HalfDoneView) -> String {
    format!(
        "the {} that was begun at {} is over with the card; what is left to do with it, once nobody needs it for old mail: {}",
        open.what, open.since, open.go_on
    )
}

/// What is half done now, and what goes on or is left to do.
async fn explain(
    office: &Office,
    record: &CardRecord,
    locator: &Locator,
    error: PersonalizationError,
) -> Result<Failure, Failure> {
    let is_another =
        matches!(error, PersonalizationError::RenewalOpen(_) | PersonalizationError::OutOfUse { .. });
    let failure = Failure::from(error);
    let record = office.registry.card(record.id).await?;
    Ok(match half_done::of(office, &record, &locator.to_string()).await? {
        Some(open) if open.is_over => failure.and(&over(&open)),
        Some(open) if is_another || open.kind != OperationKind::Renewal => {
            failure.and(&format!("go on with it: {}", open.go_on))
        }
        Some(_) => failure.and("the renewal is not finished: run the same command again"),
        None => failure,
    })
}

fn sentence(summary: &Summary, renewed: &Renewed) -> String {
    let until = renewed.not_after.strftime("%F").to_string();
    let mut values = vec![("mail", summary.holder.as_str()), ("card", &summary.card_guid), ("until", &until)];
    values.extend(summary.retired.as_deref().map(|reference| ("reference", reference)));
    let key = if summary.retired.is_some() { "said-renewed-retired" } else { "said-renewed" };
    format!("{} {}", texts::say(key, &values), texts::say("changed-publish", &[]))
}

impl Arguments {
    /// The order, for a card that was made by this profile and is perhaps half renewed. What was begun by the profile goes on
    /// as it was ordered, however the profile was edited since, as long as nothing else is said.
    fn order(
        &self,
        config: &Config,
        made_by: Option<&str>,
        open: Option<RenewalOrder>,
    ) -> Result<RenewalOrder, Failure> {
        let mut keys: Vec<_> = CardKey::ALL.into_iter().filter(|key| self.keys.contains(key)).collect();
        if keys.is_empty() {
            keys = CardKey::ALL.to_vec();
        }
        let wanted = Wanted {
            profile: self.profile.clone(),
            algorithm: self.algorithm.map(KeyAlgorithm::from),
            origin: self.inject.then_some(KeyOrigin::Injected),
        };
        let days_of = |name: Option<&str>| config.profiles.get(name?)?.days;
        let goes_on = |open: &RenewalOrder| {
            let is_of_profile = open.profile.is_some() && open.profile.as_deref() == made_by;
            is_of_profile
                && wanted.says_nothing()
                && (&open.keys, open.new_keys.is_some()) == (&keys, self.new_keys)
        };
        if let Some(open) = open.filter(goes_on) {
            return Ok(RenewalOrder { days: days_of(open.profile.as_deref()), ..open });
        }
        let CardProfile { name, keys: new_keys, days } = wanted.profile(config, Before::MadeBy(made_by))?;
        // New keys that are spelled out last as long as the card's others.
        let days = if name.is_some() { days } else { days_of(made_by) };
        Ok(RenewalOrder { keys, new_keys: self.new_keys.then_some(new_keys), profile: name, days })
    }
}
