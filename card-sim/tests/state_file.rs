//! State files: who may open them, and what is said about bad ones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use card_sim::store::file::FileStore;
use card_sim::store::{StoreError, image};
use card_sim::{Card, store::Store as _};
use support::openssl::OpenSsl;
use support::{Hand, PIN, WRONG_PIN, blank, padded_digest, tlv};
use tempfile::TempDir;

fn make(path: &Path) {
    FileStore::create(path, &image::encode(&blank("standard"), path).unwrap()).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refusal(path: &Path) -> StoreError {
    Card::open(path).err().expect("the card must be refused")
}

#[test]
fn what_a_card_was_told_is_there_in_the_next_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let state = blank("standard");
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &state);
    assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
    let public_key = hand.generate(0x9E, 0x11);
    drop(hand);
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &state);
    assert_eq!(hand.command(0x20, 0, 0x80, &[]).1, 0x63C2);
    assert_eq!(public_key[..2], [0x86, 0x41]);
    assert_eq!(hand.try_key(0x11, 0x9E, 0x81, &[1; 32]).1, 0x9000);
}

#[test]
fn state_files_are_for_their_owner_alone_and_stay_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    assert_eq!(mode(&path), 0o600);
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(hand.verify(PIN), 0x9000);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("card.lock")), 0o600);
}

#[test]
fn a_card_is_in_one_place_at_a_time() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    for round in 0..3 {
        assert!(matches!(refusal(&path), StoreError::InUse { .. }), "round {round}");
        assert!(matches!(refusal(&link), StoreError::InUse { .. }), "round {round}");
        // Every change puts a new file in the old one's place; the lock must not go with it.
        assert_eq!(hand.verify(PIN), 0x9000);
    }
    let message = refusal(&path).to_string();
    assert!(message.contains("in use by another process") && message.contains("card"), "{message}");
    drop(hand);
    assert!(Card::open(&link).is_ok());
}

#[test]
fn a_new_card_never_takes_a_files_place() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "letters").unwrap();
    assert!(matches!(FileStore::create(&path, b"image"), Err(StoreError::AlreadyExists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"letters");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn what_a_cut_replacement_left_is_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let leftover = folder.path().join("card.new");
    fs::write(&leftover, "half a card").unwrap();
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    assert!(!leftover.exists());
    assert_eq!(hand.verify(PIN), 0x9000);
    assert!(!leftover.exists());
}

/// A card that card-sim wrote when images had version 1: an imported RSA-2048 key in 9A and P-256 key in 9D, a generated
/// one in 82, an object, and one PIN try spent.
#[test]
fn a_card_of_version_1_is_taken_over_with_all_it_has() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_files/version-1");
    fs::copy(sample.with_extension("card"), &path).unwrap();
    assert_eq!(fs::read(&path).unwrap()[8..10], [0, 1]);
    let openssl = OpenSsl::new();
    for name in ["9a", "9d"] {
        openssl.write(name, &fs::read(sample.with_extension(format!("{name}.pem"))).unwrap());
    }
    openssl.write("message", b"from another time");
    let digest = openssl.run("dgst -sha256 -binary message");
    // The first round reads what version 1 wrote, the second what this version made of it.
    for round in [1, 2] {
        let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("yubikey5 5.7"));
        let tries_left = if round == 1 { 0x63C2 } else { 0x63C3 };
        assert_eq!(hand.command(0x20, 0, 0x80, &[]).1, tries_left);
        assert_eq!(hand.verify(PIN), 0x9000);
        openssl.write("signature", &hand.use_key(0x07, 0x9A, 0x81, &padded_digest(&digest, 256)));
        openssl.run("dgst -sha256 -verify 9a -signature signature message");
        openssl.write("signature", &hand.use_key(0x11, 0x9D, 0x81, &digest));
        openssl.run("dgst -sha256 -verify 9d -signature signature message");
        assert_eq!(hand.try_key(0x11, 0x82, 0x81, &digest).1, 0x9000);
        let object = hand.succeed(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x5F, 0xC1, 0x05]));
        assert_eq!(object, tlv(0x53, b"written by version 1"));
    }
    assert_eq!(fs::read(&path).unwrap()[8..10], [0, 2]);
}

#[test]
fn bad_files_are_refused_by_name_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let good = fs::read(&path).unwrap();
    let flipped = {
        let mut bytes = good.clone();
        bytes[40] ^= 1;
        bytes
    };
    let newer = {
        let mut bytes = good.clone();
        bytes[8..10].copy_from_slice(&[0x01, 0x02]);
        bytes
    };
    let nonsense = image::encode(&"not a card", &path).unwrap().to_vec();
    for (content, code, words) in [
        (good[..good.len() - 1].to_vec(), "state-truncated", "truncated"),
        (good[..20].to_vec(), "state-truncated", "truncated"),
        (vec![], "state-truncated", "truncated"),
        (flipped, "state-damaged", "checksum does not match"),
        ([&good[..], b"more"].concat(), "state-damaged", "bytes follow its end"),
        (nonsense, "state-damaged", "content is not a card"),
        (newer, "state-newer-version", "version 258, this card-sim reads up to 2"),
        (b"-----BEGIN PRIVATE KEY-----".to_vec(), "state-not-a-card", "not a card-sim state file"),
    ] {
        fs::write(&path, &content).unwrap();
        let error = refusal(&path);
        assert_eq!(error.code(), code, "{error}");
        let message = error.to_string();
        assert!(message.contains(words) && message.contains(path.to_str().unwrap()), "{message}");
        assert!(!message.contains("StoreError") && !message.contains('\n'), "{message}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::write(&path, &good).unwrap();
    assert!(Card::open(&path).is_ok());
}

#[test]
fn what_is_not_there_and_what_is_no_file_is_said() {
    let folder = TempDir::new().unwrap();
    let error = refusal(&folder.path().join("missing"));
    assert_eq!(error.code(), "state-not-found");
    assert!(error.to_string().contains("card-sim new"));
    assert_eq!(refusal(folder.path()).code(), "state-io");
}

#[test]
fn a_running_card_can_be_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    hand.authenticate();
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, b"seen")].concat();
    assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000);
    let image = FileStore::peek(&path).unwrap();
    let state: card_sim::piv::state::CardState = image::decode(&image, &path).unwrap();
    assert_eq!(state.object(0x5F_C105).unwrap().expose(), b"seen");
    drop(hand);
    assert_eq!(*FileStore::open(&path).unwrap().read().unwrap(), *image);
}

#[test]
fn a_disk_that_refuses_is_a_refused_command() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    make(&path);
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    // A folder stands where the new file must be made: nobody, not even root, can write it.
    fs::create_dir(folder.path().join("card.new")).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(hand.verify(PIN), 0x6581);
    assert_eq!(hand.verify(PIN), 0x6581);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_dir(folder.path().join("card.new")).unwrap();
    hand.card.reset();
    assert_eq!(hand.verify(PIN), 0x9000);
}
