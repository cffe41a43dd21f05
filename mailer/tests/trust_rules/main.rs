//! One chain for each rule of RFC 5280 that is broken, made anew with new keys each time; `openssl verify` gives a second
//! opinion, and where it differs, the reason is written down and held.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod explosion;
mod fields;
mod maker;
mod name_rules;
mod opinions;
mod path_rules;
mod policy_rules;
mod revocation_rules;

#[test]
#[should_panic(expected = "good instead of expired")]
fn a_rule_that_is_not_broken_would_be_found() {
    opinions::check(&[opinions::broken(
        "nothing",
        "expired",
        opinions::Second::Accepts("it is good"),
        |_| {},
    )]);
}

#[test]
#[should_panic(expected = "openssl accepts: false")]
fn a_disagreement_that_is_none_any_more_would_be_found() {
    let late = |chain: &mut opinions::Chain| chain.person.not_after = maker::utc_time("260101000000Z");
    opinions::check(&[opinions::broken(
        "expired",
        "expired",
        opinions::Second::Accepts("it does not"),
        late,
    )]);
}
