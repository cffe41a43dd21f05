//! Whatever desks do, in whatever order: the registry is what its log says, and keeps its promises.

use std::collections::HashMap;

use issuer::domain::{
    AuthorityName, Card, CardCommand, CardFault, CardId, CardKey, CardState, CardholderId, Guid, InitialPin,
    Loss, NewCardholder, PersonCommand, RevocationReason,
};
use issuer::registry::{Registry, RegistryError, Standing};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::database::{Place, at, certificate, person, stock};

/// Few here; a quarter of `PROPTEST_CASES` on SQLite, a sixteenth on PostgreSQL, each of which fills a database of its own.
const CASES: u32 = 12;
const CARDS: usize = 3;
const PEOPLE: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Card(usize, CardCommand),
    Begin {
        card: usize,
        person: usize,
        guid: [u8; 16],
    },
    Certify {
        card: usize,
    },
    RevokePerson(usize),
    Leave(usize),
    Rejoin(usize),
    /// Everything is closed, and somebody else opens it.
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let card = 0..CARDS;
    let person = 0..PEOPLE;
    prop_oneof![
        8 => (card.clone(), command()).prop_map(|(card, command)| Act::Card(card, command)),
        4 => (card.clone(), person.clone(), any::<[u8; 16]>())
            .prop_map(|(card, person, guid)| Act::Begin { card, person, guid }),
        4 => card.prop_map(|card| Act::Certify { card }),
        1 => person.clone().prop_map(Act::RevokePerson),
        1 => person.clone().prop_map(Act::Leave),
        1 => person.prop_map(Act::Rejoin),
        1 => Just(Act::Reopen),
    ]
}

fn command() -> impl Strategy<Value = CardCommand> {
    let attempt = 1_u32..4;
    let reason = prop_oneof![Just(RevocationReason::KeyCompromise), Just(RevocationReason::Superseded)];
    prop_oneof![
        Just(CardCommand::Receive),
        attempt
            .clone()
            .prop_map(|attempt| CardCommand::CompletePersonalisation { attempt, pin: InitialPin::Transport }),
        attempt.prop_map(|attempt| CardCommand::RecordFault { attempt, fault: CardFault::PukUnknown }),
        Just(CardCommand::AbandonPersonalisation),
        Just(CardCommand::Activate),
        Just(CardCommand::BlockPin),
        Just(CardCommand::UnblockPin),
        Just(CardCommand::Hold),
        Just(CardCommand::Release),
        Just(CardCommand::ReportLoss { loss: Loss::Lost }),
        Just(CardCommand::ReportDamage),
        reason.prop_map(|reason| CardCommand::Revoke { reason }),
        Just(CardCommand::Return),
        Just(CardCommand::Restock),
        Just(CardCommand::Destroy),
    ]
}

#[test]
fn random_acts_keep_the_promises_on_sqlite() {
    check(4, || (Place::sqlite(), ()));
}

/// One server for all cases, a database for each.
#[test]
fn random_acts_keep_the_promises_on_postgres() {
    let Place::Postgres(server) = Place::postgres() else { panic!("a server was wanted") };
    let server = std::rc::Rc::new(server);
    check(16, move || {
        server.empty();
        (Place::Shared(server.url()), std::rc::Rc::clone(&server))
    });
}

fn check<G>(share: u32, place: impl Fn() -> (Place, G)) {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    let cases = asked.map_or(CASES, |cases| CASES.max(cases / share));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&prop::collection::vec(act(), 1..50), |acts| {
            let (place, _guard) = place();
            runtime.block_on(run(&place, &acts))
        })
        .unwrap();
}

async fn run(place: &Place, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut registry = place.registry().await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let new: NewCardholder = person(&format!("Person {number}"), None);
        people.push(registry.add_cardholder(&new, at(1)).await.unwrap());
    }
    let mut cards = Vec::new();
    for serial in 1_u32..=u32::try_from(CARDS).unwrap() {
        cards.push(stock(&registry, serial).await);
    }
    let mut model: HashMap<CardId, Card> = HashMap::new();
    for id in &cards {
        model.insert(*id, registry.card(*id).await.unwrap().card);
    }
    let mut serial = 0;
    for (second, act) in (10..).zip(acts) {
        let now = at(second);
        let (id, command) = match act {
            Act::Card(card, command) => (cards[*card], *command),
            Act::Begin { card, person, guid } => {
                let fresh_guid = Guid::from_random(*guid);
                (cards[*card], CardCommand::BeginPersonalisation { holder: people[*person], fresh_guid })
            }
            other => {
                beside(place, &mut registry, other, &people, &cards, &mut serial, now).await?;
                for id in &cards {
                    model.insert(*id, registry.card(*id).await.unwrap().card);
                }
                continue;
            }
        };
        let judged = model[&id].decide(command, now);
        match registry.command_card(id, command, now).await {
            Ok(card) => {
                // What the registry did is what the domain decided, and nothing else.
                let event = judged.expect("the registry did what the domain refuses");
                let expected = model[&id].clone().apply(event);
                prop_assert_eq!(&card, &expected);
                model.insert(id, expected);
            }
            // Beyond the card's own state: the person has another, or left.
            Err(RegistryError::HasCard { .. } | RegistryError::PersonRefused(_)) => {}
            Err(RegistryError::CardRefused(refusal)) => prop_assert_eq!(judged, Err(refusal)),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    promises(&registry, &model).await
}

/// What is not a command to a card.
async fn beside(
    place: &Place,
    registry: &mut Registry,
    act: &Act,
    people: &[CardholderId],
    cards: &[CardId],
    serial: &mut u8,
    now: jiff::Timestamp,
) -> Result<(), TestCaseError> {
    match act {
        Act::Certify { card } => {
            let record = registry.card(cards[*card]).await.unwrap().card;
            let Some(holder) = record.state().holder() else { return Ok(()) };
            *serial += 1;
            let on_card = (holder, cards[*card], record.attempts(), CardKey::DigitalSignature);
            let new = certificate(*serial, Some(on_card));
            let is_being_made = matches!(record.state(), CardState::BeingPersonalised { .. });
            let reserved = registry.reserve_certificate(&new, now).await;
            prop_assert_eq!(reserved.is_ok(), is_being_made, "certified out of turn");
            if is_being_made {
                registry.record_signature(&new.serial, b"signed", now).await.unwrap();
            }
        }
        Act::RevokePerson(person) => {
            let reason = RevocationReason::CessationOfOperation;
            registry.revoke_cardholder(people[*person], reason, None, now).await.unwrap();
        }
        Act::Leave(person) => {
            drop(registry.command_person(people[*person], &PersonCommand::Leave, now).await)
        }
        Act::Rejoin(person) => {
            drop(registry.command_person(people[*person], &PersonCommand::Rejoin, now).await)
        }
        _ => *registry = place.open("another").await.unwrap(),
    }
    Ok(())
}

async fn promises(registry: &Registry, model: &HashMap<CardId, Card>) -> Result<(), TestCaseError> {
    if let Err(error) = registry.verify_log().await {
        return Err(TestCaseError::fail(error.to_string()));
    }
    let mut live = HashMap::new();
    for (id, card) in model {
        prop_assert_eq!(&registry.card(*id).await.unwrap().card, card);
        if card.state().is_live() {
            let holder = card.state().holder().unwrap();
            prop_assert_eq!(live.insert(holder, *id), None, "somebody has two cards");
        }
    }
    // What readers of the CRL see is what the cards are.
    let listed: HashMap<_, _> = registry
        .revoked_certificates(AuthorityName::People)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| (entry.serial, entry.standing))
        .collect();
    let mut after = Vec::new();
    loop {
        let page = registry.certificates_page(&after, None).await.unwrap();
        for certificate in &page.rows {
            let Some((card, attempt)) = certificate.card else { continue };
            let standing = listed.get(&certificate.serial);
            let state = model[&card].state();
            let is_present = model[&card].attempts() == attempt;
            match state {
                CardState::Issued { .. } if is_present => prop_assert_eq!(standing, None),
                CardState::OnHold { .. } if is_present => prop_assert_eq!(standing, Some(&Standing::OnHold)),
                CardState::BeingPersonalised { .. } if is_present => {}
                _ => prop_assert!(matches!(standing, Some(Standing::Revoked(_))), "{state:?}: {standing:?}"),
            }
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}
