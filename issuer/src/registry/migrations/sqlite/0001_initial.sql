-- Times are RFC 3339 text in UTC with whole seconds, so that they sort as they are.
-- No table holds a secret in the clear: sealed_secrets is AES-256-GCM under the master key, which is elsewhere.

CREATE TABLE registry (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    emulated_cards TEXT NOT NULL CHECK (emulated_cards IN ('allowed', 'refused')),
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE authorities (
    name TEXT NOT NULL PRIMARY KEY CHECK (name IN ('root', 'people', 'servers')),
    certificate BLOB NOT NULL
) STRICT;

CREATE TABLE people (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    mail TEXT NOT NULL COLLATE NOCASE UNIQUE,
    staff_id TEXT UNIQUE,
    added_at TEXT NOT NULL
) STRICT;

-- A card's state is what its events say; the columns here are what it is found by.
CREATE TABLE cards (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    vendor_serial INTEGER UNIQUE,
    stock_guid BLOB UNIQUE CHECK (length(stock_guid) = 16),
    guid BLOB UNIQUE CHECK (length(guid) = 16),
    holder INTEGER REFERENCES people (id),
    secrets_version INTEGER NOT NULL,
    sealed_secrets BLOB,
    CHECK ((vendor_serial IS NULL) <> (stock_guid IS NULL))
) STRICT;

-- The holder column is set while a card is being personalised for somebody or issued to somebody.
CREATE UNIQUE INDEX one_live_card_per_person ON cards (holder) WHERE holder IS NOT NULL;

CREATE TABLE certificates (
    serial BLOB NOT NULL PRIMARY KEY,
    authority TEXT NOT NULL REFERENCES authorities (name),
    profile TEXT NOT NULL,
    subject TEXT NOT NULL,
    mail TEXT COLLATE NOCASE,
    holder INTEGER REFERENCES people (id),
    card INTEGER REFERENCES cards (id),
    attempt INTEGER,
    card_key TEXT CHECK (card_key IN ('9A', '9C', '9D', '9E')),
    not_before TEXT NOT NULL,
    not_after TEXT NOT NULL,
    to_be_signed BLOB NOT NULL,
    certificate BLOB
) STRICT;

CREATE INDEX certificates_by_holder ON certificates (holder);
CREATE INDEX certificates_by_card ON certificates (card, attempt);
CREATE INDEX certificates_by_end ON certificates (not_after);

CREATE TABLE revocations (
    serial BLOB NOT NULL PRIMARY KEY REFERENCES certificates (serial),
    authority TEXT NOT NULL REFERENCES authorities (name),
    revoked_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    invalid_since TEXT
) STRICT;

CREATE INDEX revocations_by_authority ON revocations (authority, serial);

-- The audit log. Each event belongs to one card, one certificate or one person.
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    card INTEGER REFERENCES cards (id),
    serial BLOB REFERENCES certificates (serial),
    person INTEGER REFERENCES people (id),
    detail TEXT NOT NULL,
    CHECK ((card IS NOT NULL) + (serial IS NOT NULL) + (person IS NOT NULL) = 1)
) STRICT;

CREATE INDEX events_by_card ON events (card, id) WHERE card IS NOT NULL;
CREATE INDEX events_by_serial ON events (serial, id) WHERE serial IS NOT NULL;

-- A number is taken before its CRL is signed and is never used again.
CREATE TABLE crls (
    authority TEXT NOT NULL REFERENCES authorities (name),
    number INTEGER NOT NULL,
    this_update TEXT NOT NULL,
    next_update TEXT NOT NULL,
    crl BLOB,
    PRIMARY KEY (authority, number)
) STRICT;

CREATE TABLE journal (
    card INTEGER NOT NULL REFERENCES cards (id),
    attempt INTEGER NOT NULL,
    step TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('intended', 'confirmed')),
    at TEXT NOT NULL,
    PRIMARY KEY (card, attempt, step, phase)
) STRICT;
