//! The columns that [`super`] does not compare with the log, each with the reason: the one place where that is decided.
//! Every other column is found when it is changed past the program (`tests/registry/verification.rs` tries each).

/// Table, column (`*` for all), and why it is not compared.
pub const NOT_COMPARED: &[(&str, &str, &str)] = &[
    ("authority_certificates", "id", "the order in which they came; a row is known by what else it says"),
    (
        "cards",
        "sealed_secrets",
        "sealed with AES-256-GCM for this one card: a change is refused when it is opened",
    ),
    (
        "crls_due",
        "*",
        "what is to be signed; every CRL is compared with all that is revoked before it is published",
    ),
    (
        "journal",
        "*",
        "how a card was made, not what became of it; every step is judged by what the card answers when it is read back",
    ),
    ("operation_steps", "*", "as the journal"),
    (
        "operations",
        "*",
        "work begun with a card; what came of it are events of the card and its certificates",
    ),
    ("people_text", "*", "an index of search, computed from people and their events"),
    ("people_words", "*", "likewise"),
    ("plans", "*", "as the journal"),
    ("publication_outbox", "*", "what waits to be published; issuer publish --to brings everything again"),
    ("publication_targets", "added_at", HOW_IT_GOES),
    ("publication_targets", "failures", HOW_IT_GOES),
    ("publication_targets", "id", HOW_IT_GOES),
    ("publication_targets", "reached_at", HOW_IT_GOES),
    ("publication_targets", "retry_at", HOW_IT_GOES),
    ("publication_targets", "settings", HOW_IT_GOES),
    ("publication_targets", "swept_until", HOW_IT_GOES),
    ("publication_targets", "trouble", HOW_IT_GOES),
    ("remote_unblocks", "*", "random numbers of requests; that a PUK left the desk is an event of the card"),
    ("reader_classes", "id", "known by its name; its members are compared through it"),
];

const HOW_IT_GOES: &str = "how publication to a place goes; what is there is compared with the registry, and its checkpoint with the log";
