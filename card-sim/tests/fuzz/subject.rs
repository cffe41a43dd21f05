//! What the model is compared with: the card, and cards with a fault planted in them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use card_sim::Card;
use card_sim::piv::state::CardState;
use card_sim::store::{Store, StoreError, image};
use zeroize::Zeroizing;

/// A card as the model sees it.
pub(crate) trait Subject {
    fn transmit(&mut self, command: &[u8]) -> Vec<u8>;
    fn reset(&mut self);
    fn power_cycle(&mut self);
    /// What would be there after a power cut now.
    fn durable_state(&self) -> CardState;
}

type Image = Arc<Mutex<Zeroizing<Vec<u8>>>>;

/// Keeps the image where the test can read it.
struct OpenStore(Image);

impl Store for OpenStore {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        *self.0.lock().unwrap() = Zeroizing::new(image.to_vec());
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The card as it is.
pub(crate) struct Sound {
    card: Card,
    image: Image,
}

impl Sound {
    pub(crate) fn holding(state: &CardState) -> Self {
        let image = Arc::new(Mutex::new(image::encode(state, path()).unwrap()));
        let mut card = Card::with_store(Box::new(OpenStore(Arc::clone(&image))), path()).unwrap();
        card.power_on();
        Self { card, image }
    }
}

fn path() -> &'static Path {
    Path::new("memory")
}

impl Subject for Sound {
    fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        self.card.transmit(command)
    }

    fn reset(&mut self) {
        self.card.reset();
    }

    fn power_cycle(&mut self) {
        self.card.power_off();
        self.card.power_on();
    }

    fn durable_state(&self) -> CardState {
        image::decode(&self.image.lock().unwrap(), path()).unwrap()
    }
}

/// What is wrong with a faulty card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A wrong PIN costs no try.
    KeepsTries,
    /// A reset does not end the verified state.
    SurvivesReset,
    /// "PIN always" keys need the PIN once.
    PinIsAlwaysFresh,
    /// Objects are shown without their PIN.
    ShowsProtectedObjects,
    /// PUT DATA answers 9000 and writes nothing.
    ForgetsObjects,
    /// DELETE KEY answers 9000 and the key stays.
    KeepsKeys,
    /// Another application leaves PIV's security status as it is.
    SurvivesSelect,
}

pub(crate) const FAULTS: [Fault; 7] = [
    Fault::KeepsTries,
    Fault::SurvivesReset,
    Fault::PinIsAlwaysFresh,
    Fault::ShowsProtectedObjects,
    Fault::ForgetsObjects,
    Fault::KeepsKeys,
    Fault::SurvivesSelect,
];

/// A card with one fault.
pub(crate) struct Faulty {
    inner: Sound,
    fault: Fault,
    /// The card on which another application is selected, while this one remembers.
    elsewhere: Option<Sound>,
}

impl Faulty {
    pub(crate) fn new(state: &CardState, fault: Fault) -> Self {
        Self { inner: Sound::holding(state), fault, elsewhere: None }
    }

    /// The card as it was before, which has forgotten what is volatile.
    fn go_back(&mut self, before: &CardState) {
        self.inner = Sound::holding(before);
    }

    fn verify(&mut self) {
        let pin = self.inner.durable_state().pin;
        self.inner.transmit(&[&[0, 0x20, 0, 0x80, 8][..], pin.value.expose()].concat());
    }
}

impl Subject for Faulty {
    fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        let before = self.inner.durable_state();
        match (self.fault, command) {
            (Fault::PinIsAlwaysFresh, [0, 0x87, 0x11, 0x9C, ..])
                if self.inner.transmit(&[0, 0x20, 0, 0x80]) == [0x90, 0] =>
            {
                self.verify();
            }
            (Fault::ShowsProtectedObjects, [0, 0xCB, _, _, 5, 0x5C, 3, 0x5F, 0xC1, 0x09, ..]) => {
                return match before.objects.get(&0x5F_C109) {
                    Some(_) => vec![0x53, 0x00, 0x90, 0x00],
                    None => vec![0x6A, 0x82],
                };
            }
            (Fault::SurvivesSelect, [0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, ..]) => {
                self.elsewhere = Some(Sound::holding(&before));
            }
            (Fault::SurvivesSelect, [0, 0xA4, 4, 0, _, 0xA0, 0, 0, 3, ..]) => self.elsewhere = None,
            _ => {}
        }
        if let Some(other) = &mut self.elsewhere {
            return other.transmit(command);
        }
        let answer = self.inner.transmit(command);
        match (self.fault, command, answer.as_slice()) {
            (Fault::KeepsTries, [_, 0x20, ..], [0x63, _])
            | (Fault::ForgetsObjects, [0, 0xDB, ..], [0x90, 0])
            | (Fault::KeepsKeys, [0, 0xF6, 0xFF, ..], [0x90, 0]) => self.go_back(&before),
            _ => {}
        }
        answer
    }

    fn reset(&mut self) {
        self.elsewhere = None;
        if self.fault != Fault::SurvivesReset {
            self.inner.reset();
        }
    }

    fn power_cycle(&mut self) {
        self.elsewhere = None;
        self.inner.power_cycle();
    }

    fn durable_state(&self) -> CardState {
        self.inner.durable_state()
    }
}
