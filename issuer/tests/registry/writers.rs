//! Changes made at the same time share a commit, and each is whole or not there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use issuer::registry::RegistryError;

use crate::database::{Place, actor, at, person, stock};

crate::on_both! {
    many_at_once_are_all_there_and_the_refused_are_not
    desks_in_threads_of_their_own_take_turns
    a_change_that_is_given_up_anywhere_holds_nobody_up
}

async fn many_at_once_are_all_there_and_the_refused_are_not(place: &Place) {
    let registry = place.registry().await;
    let mut people = Vec::new();
    for number in 0..12 {
        // Every third has the address of the one before.
        let name = format!("person{}", if number % 3 == 2 { number - 1 } else { number });
        people.push(person(&name, None));
    }
    let mut pending: Vec<_> =
        people.iter().map(|person| Box::pin(registry.add_cardholder(person, at(1)))).collect();
    // Each goes on whenever any of them can: all are under way at once.
    let mut outcomes = Vec::new();
    while !pending.is_empty() {
        let next = std::future::poll_fn(|context| {
            let done = pending.iter_mut().enumerate().find_map(|(place, change)| {
                match change.as_mut().poll(context) {
                    Poll::Ready(outcome) => Some((place, outcome)),
                    Poll::Pending => None,
                }
            });
            done.map_or(Poll::Pending, Poll::Ready)
        });
        let (place, outcome) = next.await;
        drop(pending.swap_remove(place));
        outcomes.push(outcome);
    }
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(RegistryError::MailTaken { .. })));
    assert_eq!((refused.count(), outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (4, 8));
    assert_eq!(place.open("bob").await.unwrap().cardholders().await.unwrap().len(), 8);
    registry.verify_log().await.unwrap();
}

async fn desks_in_threads_of_their_own_take_turns(place: &Place) {
    let registry = place.registry().await;
    let url = place.url();
    std::thread::scope(|scope| {
        for desk in 0..4_u32 {
            let url = &url;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let name = format!("desk{desk}");
                    let registry = issuer::registry::Registry::open(url, actor(&name)).await.unwrap();
                    for card in 0..10 {
                        stock(&registry, desk * 100 + card).await;
                    }
                    registry.close().await;
                });
            });
        }
    });
    assert_eq!(registry.cards().await.unwrap().len(), 40);
    registry.verify_log().await.unwrap();
}

/// Polls a change so often and gives it up, as Ctrl-C at the desk does: what comes after it is done all the same.
async fn a_change_that_is_given_up_anywhere_holds_nobody_up(place: &Place) {
    let registry = place.registry().await;
    for polls in 0..40 {
        let given_up = person(&format!("given-up{polls}"), None);
        {
            let mut change = pin!(registry.add_cardholder(&given_up, at(1)));
            for _ in 0..polls {
                if change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        registry.add_cardholder(&person(&format!("kept{polls}"), None), at(2)).await.unwrap();
    }
    let people = registry.cardholders().await.unwrap();
    let kept = people.iter().filter(|person| person.name.as_str().contains("kept"));
    assert_eq!(kept.count(), 40);
    registry.verify_log().await.unwrap();
}
