//! The C functions in random order with arguments that no program would give: none may crash or panic, and what they
//! answer is a code of the standard.
//!
//! The same calls in each run; for long runs: `scripts/fuzz pkcs11_calls [--seconds N]`.
use std::ffi::{c_char, c_ulong, c_void};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use middleware::{KeyAlgorithm, KeyReference};

use super::card::{PIN, TestCard, USER, find, login, open, private_key};
use crate::attribute;
use crate::ffi::{self, Attribute, EcdhParameters, Mechanism, OaepParameters, Source};
use crate::functions::{session, sign};
use crate::mechanism::{Parameter, Request, all};
use crate::module::Module;
use crate::object::class;
use crate::token::{Handle, coming_handle};

/// Rounds of a run in CI; a long run has a time instead.
const ROUNDS: usize = 60;
/// Calls of a round: then the card begins anew.
const CALLS: usize = 150;
const MEMORY: usize = 1 << 17;
/// CKR_GENERAL_ERROR: a panic was caught.
const PANIC: c_ulong = 5;
/// Handles are lengths too: beyond this there would not be so much memory.
const MOST_HANDLES: Handle = 400_000;
/// It may wait for ever, as it should: the stories have it.
const WAITS: &str = "C_WaitForSlotEvent";
/// Entries that a template may have, and a few.
const TEMPLATE: usize = 4100;

/// Arguments, from a sequence that follows from its seed.
struct Chance {
    state: u64,
    memory: Vec<u64>,
    templates: Vec<Attribute>,
    mechanisms: Vec<Mechanism>,
    oaep: Box<OaepParameters>,
    ecdh: Box<EcdhParameters>,
    known: Vec<Handle>,
}

impl Chance {
    fn new(seed: u64) -> Self {
        let nowhere = null_mut();
        let mut chance = Self {
            state: seed,
            memory: vec![0x0102_0304_0506_0708; MEMORY],
            templates: Vec::new(),
            mechanisms: Vec::new(),
            oaep: Box::new(OaepParameters {
                hash: 0x250,
                mask: 2,
                source: 1,
                label: nowhere,
                label_length: 0,
            }),
            ecdh: Box::new(EcdhParameters {
                function: 1,
                shared_length: 0,
                shared: nowhere,
                public_length: 65,
                public: nowhere,
            }),
            known: Vec::new(),
        };
        chance.ecdh.public = chance.memory.as_mut_ptr().cast();
        chance.fill_templates();
        chance
    }

    /// xorshift64*, by Vigna.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end
    }

    /// Somewhere in the first half of the memory: lengths that are not absurd fit behind it.
    fn anywhere(&mut self) -> *mut c_void {
        let place = self.below(MEMORY / 2);
        self.memory.as_mut_ptr().wrapping_add(place).cast()
    }

    /// More entries than a template may have, so that no count that is not absurd leads beyond them.
    fn fill_templates(&mut self) {
        let kinds = [
            attribute::CLASS,
            attribute::TOKEN,
            attribute::ID,
            attribute::LABEL,
            attribute::VALUE,
            attribute::KEY_TYPE,
            attribute::VALUE_LEN,
            attribute::EC_PARAMS,
            attribute::MODULUS,
            attribute::SENSITIVE,
            0xFFFF_FFFF,
        ];
        for _ in 0..2 * TEMPLATE {
            let kind = kinds[self.below(kinds.len())];
            let value = if self.below(4) == 0 { null_mut() } else { self.anywhere() };
            let length = match self.below(6) {
                0 => c_ulong::MAX,
                1 => 0,
                2 => 1,
                3 => 8,
                _ => self.next() % 3000,
            };
            self.templates.push(Attribute { kind, value, length });
        }
    }

    fn fill_mechanism(&mut self) {
        let known = all();
        let kind = if self.below(10) == 0 { self.next() } else { known[self.below(known.len())].0 };
        let (parameter, length): (*mut c_void, usize) = match (kind, self.below(4)) {
            (_, 0) => (null_mut(), 0),
            (0x0009, _) => ((&raw mut *self.oaep).cast(), size_of::<OaepParameters>()),
            (0x1050 | 0x1051, _) => ((&raw mut *self.ecdh).cast(), size_of::<EcdhParameters>()),
            // CK_EDDSA_PARAMS holds a pointer: never any bytes.
            (0x1057, _) => (null_mut(), 24),
            (_, choice) => (self.anywhere(), [24, 0, usize::MAX][choice - 1]),
        };
        self.mechanisms.clear();
        self.mechanisms.push(Mechanism { kind, parameter, length: length as c_ulong });
    }
}

impl Source for Chance {
    fn number(&mut self) -> c_ulong {
        match self.below(10) {
            0 => c_ulong::MAX - self.next() % 9,
            1 => c_ulong::MAX / 2 + 1,
            2 | 3 => self.next() % 16,
            4 => coming_handle().saturating_sub(self.next() % 8),
            5 => self.next() % 600,
            _ if self.known.is_empty() => 6,
            _ => {
                let place = self.below(self.known.len());
                self.known[place]
            }
        }
    }

    fn memory(&mut self) -> *mut c_void {
        match self.below(8) {
            0 => null_mut(),
            1 => self.anywhere().wrapping_byte_add(1),
            _ => self.anywhere(),
        }
    }

    fn template(&mut self) -> *mut Attribute {
        let start = self.below(TEMPLATE);
        let place = self.templates.as_mut_ptr().wrapping_add(start);
        match self.below(8) {
            0 => null_mut(),
            1 => place.wrapping_byte_add(3),
            _ => place,
        }
    }

    fn mechanism(&mut self) -> *mut Mechanism {
        self.fill_mechanism();
        match self.below(8) {
            0 => null_mut(),
            1 => self.mechanisms.as_mut_ptr().wrapping_byte_add(1),
            _ => self.mechanisms.as_mut_ptr(),
        }
    }

    fn name(&mut self) -> *const c_char {
        [null(), c"PKCS 11".as_ptr(), c"Vendor".as_ptr()][self.below(3)]
    }
}

/// What a program would do first, so that the calls reach deep: sessions, a login, handles, an operation.
fn begin_well(chance: &mut Chance) {
    let session = open();
    chance.known = vec![session, open(), super::card::slot()];
    // An earlier round may have locked the PIN: then it goes without.
    if chance.below(3) > 0 && login(session, USER, PIN).is_ok() {
        let key = private_key(session, 1);
        chance.known.extend([key, private_key(session, 3)]);
        let ecdsa = Request { kind: 0x1041, parameter: Parameter::None };
        sign::init(session, Some(&ecdsa), key).unwrap();
    }
    chance.known.extend(find(session, class::PUBLIC_KEY, 1));
}

fn round(chance: &mut Chance) -> usize {
    let mut succeeded = 0;
    for call in 0..CALLS {
        if call % 50 == 0 {
            // A call may have ended everything.
            let _ = Module::initialize(true);
            begin_well(chance);
        }
        let number = chance.below(100);
        let Some((name, answer)) = (if number == 67 { None } else { ffi::call(number, chance) }) else {
            continue;
        };
        assert_ne!(answer, PANIC, "{name} panicked");
        assert!(answer <= 0x203, "{name} answered {answer:#X}, which is no code of the standard");
        succeeded += usize::from(answer == 0);
    }
    // The module is still of use.
    let _ = Module::finalize();
    Module::initialize(true).unwrap();
    let session = open();
    session::close(session).unwrap();
    succeeded
}

#[test]
fn pkcs11_calls() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    card.generate(KeyReference::KeyManagement, KeyAlgorithm::Rsa2048);
    let pristine = std::fs::read(card.path()).unwrap();
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let seed = std::env::var("FUZZ_SEED").map_or(0x5EED, |text| text.parse().unwrap());
    let (started, mut rounds, mut succeeded) = (Instant::now(), 0, 0);
    while seconds.map_or(rounds < ROUNDS, |limit| started.elapsed() < limit) && coming_handle() < MOST_HANDLES
    {
        std::fs::write(card.path(), &pristine).unwrap();
        let _inserted = card.insert();
        succeeded += round(&mut Chance::new(seed + rounds as u64));
        rounds += 1;
    }
    assert!(succeeded > rounds, "nothing deep is reached: {succeeded} calls succeeded");
    println!(
        "fuzz pkcs11_calls: {rounds} rounds of {CALLS} calls in {:.0} s, {succeeded} taken",
        started.elapsed().as_secs_f64()
    );
}

/// C_WaitForSlotEvent is the 68th function, and left out above.
#[test]
fn the_function_that_is_left_out_waits() {
    let card = TestCard::yubikey();
    let _inserted = card.insert();
    struct DoNotBlock(u64);
    impl Source for DoNotBlock {
        fn number(&mut self) -> c_ulong {
            1
        }
        fn memory(&mut self) -> *mut c_void {
            &raw mut self.0 as *mut c_void
        }
        fn template(&mut self) -> *mut Attribute {
            null_mut()
        }
        fn mechanism(&mut self) -> *mut Mechanism {
            null_mut()
        }
        fn name(&mut self) -> *const c_char {
            null()
        }
    }
    let (name, _) = ffi::call(67, &mut DoNotBlock(0)).unwrap();
    assert_eq!(name, WAITS);
}
