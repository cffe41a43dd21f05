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

use card_sim::crypto::PrivateKeyMaterial;
use card_sim::store::file::FileStore;
use card_sim::store::{StoreError, image};
use card_sim::{Card, store::Store as _};
use sha2::{Digest as _, Sha256};
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
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_files/version-1.card");
    let old = fs::read(sample).unwrap();
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
        ([&old[..], b"more"].concat(), "state-damaged", "bytes follow its end"),
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
    // The file is gone, and a folder stands where a new one must be made: nobody, not even root, can write it.
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(folder.path().join("card.new")).unwrap();
    assert_eq!(hand.verify(PIN), 0x6581);
    assert_eq!(hand.verify(PIN), 0x6581);
    fs::remove_dir(folder.path().join("card.new")).unwrap();
    fs::rename(&aside, &path).unwrap();
    hand.card.reset();
    assert_eq!(hand.verify(PIN), 0x9000);
}

/// A running card with some changes, its file as it is in the midst of that, and where each change begins in it.
fn journaled(path: &Path) -> (Vec<u8>, Vec<usize>) {
    make(path);
    let mut hand = Hand::with_card(Card::open(path).unwrap(), &blank("standard"));
    let mut ends = vec![fs::read(path).unwrap().len()];
    for _ in 0..3 {
        // Two changes are written: a try is spent and given back. The others spend one.
        assert_eq!(hand.verify(PIN), 0x9000);
        assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
        ends.push(fs::read(path).unwrap().len());
    }
    (fs::read(path).unwrap(), ends)
}

fn tries_left(path: &Path) -> u8 {
    let state: card_sim::piv::state::CardState =
        image::decode(&FileStore::peek(path).unwrap(), path).unwrap();
    state.pin.tries_left
}

#[test]
fn a_change_that_was_cut_off_never_happened() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (file, ends) = journaled(&path);
    let [.., before, end] = ends[..] else { panic!("no changes") };
    assert_eq!(end, file.len());
    let last = &file[before..];
    let in_the_first = before + last.len() / 6;
    for cut in [file[..file.len() - 1].to_vec(), [&file[..file.len() - 20], &[0; 20]].concat()] {
        fs::write(&path, &cut).unwrap();
        assert_eq!(tries_left(&path), 3, "the spending of the last try was not completed");
        let hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
        assert_eq!(tries_left(&path), 3);
        drop(hand);
        assert_eq!(image::encode(&state_at(&path), &path).unwrap().to_vec(), fs::read(&path).unwrap());
    }
    fs::write(&path, &file[..in_the_first]).unwrap();
    assert_eq!(tries_left(&path), 2, "as it was before the last right PIN");
}

fn state_at(path: &Path) -> card_sim::piv::state::CardState {
    image::decode(&FileStore::peek(path).unwrap(), path).unwrap()
}

#[test]
fn a_damaged_change_that_others_follow_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (file, ends) = journaled(&path);
    let [first, _, _, end] = ends[..] else { panic!("other changes") };
    let first_of_last = end - (end - ends[2]) / 3;
    let mut refused = 0;
    for place in first..first_of_last {
        let mut damaged = file.clone();
        damaged[place] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let error = refusal(&path);
        assert_eq!(error.code(), "state-damaged", "byte {place}: {error}");
        assert!(error.to_string().contains("change number"), "{error}");
        refused += 1;
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_card_at_rest_is_a_snapshot_whose_every_bit_is_checked() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (file, ends) = journaled(&path);
    let closed = fs::read(&path).unwrap();
    assert!(closed.len() < file.len() && closed.len().abs_diff(ends[0]) < 10);
    for place in (0..closed.len()).step_by(7) {
        let mut damaged = closed.clone();
        damaged[place] ^= 0x01;
        fs::write(&path, &damaged).unwrap();
        refusal(&path);
    }
    for length in 0..closed.len() {
        fs::write(&path, &closed[..length]).unwrap();
        assert_eq!(refusal(&path).code(), "state-truncated");
    }
}

/// Two names of one file, each with a lock file of its own beside it.
#[test]
fn a_hard_link_is_the_same_card() {
    let folder = TempDir::new().unwrap();
    let (path, other) = (folder.path().join("card"), folder.path().join("other"));
    make(&path);
    fs::hard_link(&path, &other).unwrap();
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    assert_eq!(refusal(&other).code(), "state-in-use");
    // What is changed is ours alone: the other name keeps what it had, like any copy.
    let before = fs::read(&other).unwrap();
    assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
    assert_eq!(fs::read(&other).unwrap(), before);
    assert_eq!(tries_left(&path), 2);
}

/// Somebody restores a copy under a running card: the card's memory counts, and the copy is not written into.
#[test]
fn a_file_that_was_exchanged_is_not_written_into() {
    let folder = TempDir::new().unwrap();
    let (path, copy) = (folder.path().join("card"), folder.path().join("copy"));
    make(&path);
    fs::copy(&path, &copy).unwrap();
    let mut hand = Hand::with_card(Card::open(&path).unwrap(), &blank("standard"));
    assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
    fs::rename(&copy, &path).unwrap();
    assert_eq!(hand.verify(WRONG_PIN), 0x63C1);
    assert_eq!(tries_left(&path), 1);
    drop(hand);
    assert_eq!(tries_left(&path), 1);
}

const PASSPHRASE: &[u8] = b"correct horse battery staple";

/// An encrypted card that was used, its file in the midst of that and after it was closed.
fn used_encrypted_card(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let state = blank("standard");
    FileStore::create_encrypted(path, &image::encode(&state, path).unwrap(), PASSPHRASE).unwrap();
    let mut hand = Hand::with_card(Card::open_with_passphrase(path, PASSPHRASE).unwrap(), &state);
    hand.authenticate();
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, b"written in secret")].concat();
    assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000);
    assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
    hand.generate(0x9E, 0x11);
    let running = fs::read(path).unwrap();
    drop(hand);
    (running, fs::read(path).unwrap())
}

#[test]
fn nothing_of_an_encrypted_card_is_on_disk_in_the_clear() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (running, closed) = used_encrypted_card(&path);
    let plain = FileStore::peek_with_passphrase(&path, PASSPHRASE).unwrap();
    let state: card_sim::piv::state::CardState = image::decode(&plain, &path).unwrap();
    assert_eq!(state.pin.tries_left, 2);
    let scalar = match &state.keys[&0x9E].material {
        PrivateKeyMaterial::P256 { scalar } => scalar.expose().to_vec(),
        _ => panic!("another key"),
    };
    let management_key = state.management_key.key.expose().to_vec();
    let puk = state.puk.value.expose().to_vec();
    let shows = |file: &[u8], secret: &[u8]| file.windows(secret.len()).any(|at| at == secret);
    for secret in [
        &scalar[..],
        &management_key,
        &puk,
        PIN,
        b"written in secret",
        b"tries_left",
        b"generation",
        PASSPHRASE,
    ] {
        // The search is able to find it.
        assert!(shows(&plain, secret) || secret == PASSPHRASE);
        for file in [&running, &closed] {
            assert!(!shows(file, secret), "{}", String::from_utf8_lossy(secret));
        }
    }
    assert_eq!(running[..8], *b"CARDSEAL");
    assert!(closed.len() < running.len());
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the card and its lock file, nothing else: {names:?}");
}

#[test]
fn an_encrypted_card_opens_with_its_passphrase_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (running, closed) = used_encrypted_card(&path);
    assert_eq!(refusal(&path).code(), "state-encrypted");
    assert!(FileStore::is_encrypted(&path).unwrap());
    assert_eq!(FileStore::peek(&path).unwrap_err().code(), "state-encrypted");
    for wrong in [&b"correct horse battery stapler"[..], b"", b"Correct horse battery staple"] {
        let error = Card::open_with_passphrase(&path, wrong).err().unwrap();
        assert_eq!(error.code(), "state-wrong-passphrase");
        assert!(error.to_string().contains("wrong passphrase"), "{error}");
    }
    for file in [running, closed] {
        fs::write(&path, file).unwrap();
        let card = Card::open_with_passphrase(&path, PASSPHRASE).unwrap();
        let mut hand = Hand::with_card(card, &blank("standard"));
        assert_eq!(hand.command(0x20, 0, 0x80, &[]).1, 0x63C2);
        let object = hand.succeed(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x5F, 0xC1, 0x05]));
        assert_eq!(object, tlv(0x53, b"written in secret"));
    }
    // A card that is not encrypted needs none.
    let plain = folder.path().join("plain");
    make(&plain);
    assert!(Card::open_with_passphrase(&plain, b"any").is_ok());
}

/// Whoever can write the file but does not know the passphrase changes nothing unnoticed, even with right checksums.
#[test]
fn an_encrypted_card_whose_parts_were_exchanged_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card");
    let (running, _) = used_encrypted_card(&path);
    let length = u32::from_be_bytes(running[10..14].try_into().unwrap());
    let snapshot = 14 + usize::try_from(length).unwrap();
    let mut forged = running[..snapshot].to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let checksum = Sha256::digest(&forged);
    forged.extend_from_slice(&checksum);
    fs::write(&path, &forged).unwrap();
    let error = Card::open_with_passphrase(&path, PASSPHRASE).err().unwrap();
    assert!(error.to_string().contains("encrypted part was changed"), "{error}");
}
