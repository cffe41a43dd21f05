//! Waiting for a card.

use std::time::Duration;

use middleware::{Card, CardError, Locator, ReaderWatch};

use crate::desk::failure::Failure;

/// Readers are asked anew at least so often, for those that tell nothing of a change.
const LONGEST: Duration = Duration::from_secs(2);

/// What a look into the readers came to.
pub(super) enum Present {
    /// No card.
    None,
    /// One: where it is.
    One(Locator),
    /// More than one, each where it is.
    Several(Vec<Locator>),
}

/// Where there is a card now, of those that `place` means.
///
/// # Errors
/// There is no such reader, or no PC/SC service.
pub(super) fn present(place: &Locator, watch: &mut ReaderWatch) -> Result<Present, Failure> {
    match place {
        Locator::OnlyPresent => {
            let readers = watch.readers()?.into_iter().filter(|reader| reader.has_card);
            let mut places: Vec<_> = readers.map(|reader| Locator::ReaderNamed(reader.name)).collect();
            Ok(match (places.pop(), places.is_empty()) {
                (None, _) => Present::None,
                (Some(only), true) => Present::One(only),
                (Some(last), false) => Present::Several(places.into_iter().chain([last]).collect()),
            })
        }
        Locator::ReaderNamed(_) | Locator::Serial(_) | Locator::Emulated(_) => match Card::open(place) {
            Ok(_) => Ok(Present::One(place.clone())),
            Err(CardError::NoCard | CardError::NoSuchCard(_)) => Ok(Present::None),
            Err(error) => Err(error.into()),
        },
    }
}

/// Waits until something changes in a reader.
///
/// # Errors
/// There is no PC/SC service to wait with.
pub(super) async fn change(mut watch: ReaderWatch) -> Result<ReaderWatch, Failure> {
    let waited = tokio::task::spawn_blocking(move || {
        let waited = watch.wait(LONGEST);
        (watch, waited)
    });
    match waited.await {
        Ok((watch, waited)) => waited.map(|()| watch).map_err(Failure::from),
        Err(error) => Err(Failure::new("io", format!("waiting for a card: {error}"))),
    }
}
