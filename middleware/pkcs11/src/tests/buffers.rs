//! Buffers, templates and handles at the C boundary, with a card.
use middleware::{KeyAlgorithm, KeyReference};

use super::card::{TestCard, open_and_login, private_key};
use crate::attribute::{self, Attributes};
use crate::functions::{digest, object, session, sign};
use crate::mechanism::{Parameter, Request};
use crate::object::{Shown, class};
use crate::output::Output;
use crate::return_value::ReturnValue;

fn request(kind: u64) -> Request {
    Request { kind, parameter: Parameter::None }
}

/// Section 5.2: asking for a length, or giving too little room, leaves the operation as it was.
#[test]
fn an_operation_goes_on_until_it_is_answered() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open_and_login();
    let key = private_key(session, 1);
    sign::init(session, Some(&request(0x1044)), key).unwrap();
    assert_eq!(sign::init(session, Some(&request(0x1044)), key), Err(ReturnValue::OPERATION_ACTIVE));
    sign::update(session, b"data").unwrap();
    assert_eq!(sign::sign(session, b"data", Some(64)).err(), Some(ReturnValue::OPERATION_ACTIVE));
    for room in [None, Some(0), Some(63)] {
        assert!(matches!(sign::last(session, room), Ok(Output::Needs(64))));
    }
    assert!(matches!(sign::last(session, Some(64)), Ok(Output::Bytes(signature)) if signature.len() == 64));
    assert_eq!(sign::last(session, Some(64)).err(), Some(ReturnValue::OPERATION_NOT_INITIALIZED));
    // Base 3.0 section 5.13.1: without a mechanism, what is going on ends.
    sign::init(session, Some(&request(0x1044)), key).unwrap();
    sign::init(session, None, 0).unwrap();
    assert_eq!(sign::update(session, b"data"), Err(ReturnValue::OPERATION_NOT_INITIALIZED));
    digest::init(session, Some(&request(0x0250))).unwrap();
    session::cancel(session, 0x400).unwrap();
    assert_eq!(digest::update(session, b"data"), Err(ReturnValue::OPERATION_NOT_INITIALIZED));
}

#[test]
fn nothing_secret_is_shown_and_nothing_of_the_card_is_changed() {
    let card = TestCard::yubikey();
    card.generate(KeyReference::Authentication, KeyAlgorithm::P256);
    let _inserted = card.insert();
    let session = open_and_login();
    let key = private_key(session, 1);
    let shown = object::object(session, key).unwrap();
    assert!(matches!(shown.show(attribute::VALUE), Shown::Sensitive));
    assert!(matches!(shown.show(0x8000_0000), Shown::Unknown));
    let mut label = Attributes::default();
    label.set(attribute::LABEL, b"other");
    assert_eq!(object::set_attributes(session, key, &label), Err(ReturnValue::ACTION_PROHIBITED));
    assert_eq!(object::copy(session, key, &label), Err(ReturnValue::ACTION_PROHIBITED));
    assert_eq!(object::destroy(session, key), Err(ReturnValue::USER_NOT_LOGGED_IN));
}

#[test]
fn objects_of_a_session_end_with_it() {
    let card = TestCard::yubikey();
    let _inserted = card.insert();
    let (one, other) = (open_and_login(), super::card::open());
    let mut template = Attributes::default();
    template.set_number(attribute::CLASS, class::DATA);
    template.set(attribute::VALUE, b"a note");
    template.set(attribute::LABEL, b"note");
    let note = object::create(one, &template).unwrap();
    let mut changed = Attributes::default();
    changed.set(attribute::LABEL, b"changed");
    let copy = object::copy(other, note, &changed).unwrap();
    object::set_attributes(other, note, &changed).unwrap();
    session::close(one).unwrap();
    assert_eq!(object::object(other, note).err(), Some(ReturnValue::OBJECT_HANDLE_INVALID));
    let copy = object::object(other, copy).unwrap();
    assert_eq!(copy.attributes.get(attribute::VALUE), Some(&b"a note"[..]));
    let mut on_card = template.clone();
    on_card.set_flag(attribute::TOKEN, true);
    assert_eq!(object::create(other, &on_card), Err(ReturnValue::TEMPLATE_INCONSISTENT));
}

#[test]
fn sessions_have_no_small_limit() {
    let card = TestCard::yubikey();
    let _inserted = card.insert();
    let sessions: Vec<_> = (0..2000).map(|_| super::card::open()).collect();
    let info = crate::functions::slot::token_info(super::card::slot()).unwrap();
    assert_eq!((info.session_count, info.max_session_count), (2000, 0));
    for session in sessions {
        session::close(session).unwrap();
    }
}
