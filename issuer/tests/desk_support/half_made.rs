//! A card that is begun for somebody and pulled out of the reader before it is done.
#![allow(dead_code, unreachable_pub, missing_docs)]

use issuer::personalization::plan::Commission;
use middleware::Card;

use crate::desk_support::Desk;
use crate::opened::{Opened, registry};
use crate::troubled::{Last, is_removed, pulled_card};

/// Begins the card in this file for a person as it is ordered, and pulls it out as soon as the registry knows of it.
pub async fn half_made(desk: &Desk, state: &str, person: &str, order: impl Fn() -> Commission) {
    let mut opened = Opened::at(&desk.home(), &registry(desk)).await;
    let holder = opened.registry.cardholder_named(person).await.unwrap().unwrap();
    let mut commands = 8;
    while opened.registry.card_of(holder.id).await.unwrap().is_none() {
        let pulled = pulled_card(&desk.path(state), commands, Last::CarriedOut);
        if let Ok(mut card) = Card::over(Box::new(pulled)) {
            let made = opened.personalize(&mut card, &holder, order(), &mut |_| {}).await;
            let pulled = made.map(|_| "it got through").unwrap_err();
            assert!(is_removed(&pulled), "{pulled}");
        }
        commands += 4;
    }
    opened.registry.close().await;
}
